//! TLS toward the ACS: rustls with the roots of `acs.ca_file`, TLS 1.2 and 1.3 (S-2, S-5 to S-10).

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::client::Options;
use super::error::Error;

/// The most dates that are tried while the clock is not set; a chain has no more certificates.
const MAX_DATES: usize = 16;

/// What all TLS connections of a session are made from.
pub fn config(options: &Options) -> Result<Arc<ClientConfig>, Error> {
    let ca_file = options.ca_file.as_deref().ok_or_else(|| {
        Error::Credentials("https needs acs.ca_file, the trusted roots, and there is none".into())
    })?;
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_file)?), Arc::clone(&provider));
    let inner = verifier.build().map_err(|e| Error::Credentials(format!("{}: {e}", ca_file.display())))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| Error::Tls(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { inner, clock_set: options.clock_set }));
    let config = match &options.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, "private key", &e))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| Error::Credentials(format!("{}: {e}", certificate.display())))?
        }
    };
    Ok(Arc::new(config))
}

/// A connection that will verify the ACS as `host`: a name, or an address without brackets (S-6).
pub fn connection(config: &Arc<ClientConfig>, host: &str) -> Result<ClientConnection, Error> {
    let name = ServerName::try_from(host.to_string())
        .map_err(|_| Error::Tls(format!("{host} is no name that a certificate can have")))?;
    ClientConnection::new(Arc::clone(config), name).map_err(|e| Error::Tls(explain(host, &e)))
}

fn roots(file: &Path) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(certificates(file)?);
    if store.is_empty() {
        let text = format!("{}: none of its certificates can be a root", file.display());
        return Err(Error::Credentials(text));
    }
    if ignored > 0 {
        log::warn!("{}: {ignored} certificates cannot be roots", file.display());
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(file, "certificate", &e));
    match list? {
        list if list.is_empty() => Err(unreadable(file, "certificate", &pem::Error::NoItemsFound)),
        list => Ok(list),
    }
}

/// Names the file and the fault, never what stands in it.
fn unreadable(file: &Path, what: &str, e: &pem::Error) -> Error {
    let reason = match e {
        pem::Error::Io(e) => e.to_string(),
        pem::Error::NoItemsFound => format!("it holds no {what} in PEM form"),
        _ => format!("its {what} is malformed"),
    };
    Error::Credentials(format!("{}: {reason}", file.display()))
}

/// A failure in the field's words, for log and status.
pub fn explain(host: &str, error: &rustls::Error) -> String {
    use CertificateError::*;
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::AlertReceived(alert) => {
            return format!("{host} refused the TLS connection: alert {alert:?}");
        }
        other => return format!("TLS with {host}: {other}"),
    };
    match certificate {
        NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("the certificate of {host} names no host in its subjectAltName")
        }
        NotValidForNameContext { presented, .. } => {
            format!("the certificate of {host} is for {}", names(presented))
        }
        Expired | ExpiredContext { .. } => format!("the certificate of {host} has expired"),
        NotValidYet | NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet")
        }
        UnknownIssuer => format!("the certificate of {host} is not signed by a trusted root"),
        other => format!("the certificate of {host}: {other}"),
    }
}

/// `DnsName("a.example")` as `a.example`; a few of them.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| match name.split_once('(') {
        Some((_, rest)) => rest.trim_end_matches(')').trim_matches('"').to_string(),
        None => name.clone(),
    };
    let mut list: Vec<String> = presented.iter().take(5).map(plain).collect();
    if presented.len() > list.len() {
        list.push("others".to_string());
    }
    list.join(", ")
}

/// webpki's verifier, which is asked again for another date while the clock is not set (S-7).
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    clock_set: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut at = now;
        for _ in 0..MAX_DATES {
            let verdict =
                self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
            // A date at which the certificate in question is valid; all else is checked again.
            at = match &verdict {
                _ if self.clock_set => return verdict,
                Err(rustls::Error::InvalidCertificate(e)) => match e {
                    CertificateError::ExpiredContext { not_after, .. } => *not_after,
                    CertificateError::NotValidYetContext { not_before, .. } => *not_before,
                    _ => return verdict,
                },
                _ => return verdict,
            };
        }
        Err(CertificateError::Expired.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
