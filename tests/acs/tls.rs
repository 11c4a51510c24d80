//! TLS for the ACS: a certification authority made on the spot, a server certificate below it,
//! and, if wanted, a client certificate for the agent.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// How the ACS does TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Host names and addresses in the server's certificate.
    pub names: Vec<String>,
    /// First and last year of the server's certificate.
    pub years: (i32, i32),
    /// TLS 1.2 and nothing newer.
    pub only_1_2: bool,
    /// Demands a client certificate of its own CA: [`Identity::client`].
    pub client_certificate: bool,
}

impl Default for Tls {
    fn default() -> Tls {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_string).to_vec();
        Tls { names, years: (2020, 2090), only_1_2: false, client_certificate: false }
    }
}

/// Certificates as PEM texts, for the agent's files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What the agent must trust.
    pub ca: String,
    /// A certificate for the agent, and its key.
    pub client: (String, String),
}

/// Makes certificates and the server's configuration.
pub fn prepare(tls: &Tls) -> (Arc<ServerConfig>, Identity) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = named("scripted CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().expect("a key");
    let mut server = CertificateParams::new(tls.names.clone()).expect("host names");
    server.not_before = rcgen::date_time_ymd(tls.years.0, 1, 1);
    server.not_after = rcgen::date_time_ymd(tls.years.1, 1, 1);
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");

    let client_key = KeyPair::generate().expect("a key");
    let client = named("scripted agent").signed_by(&client_key, &issuer).expect("a certificate");

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = if tls.only_1_2 { &[&rustls::version::TLS12][..] } else { rustls::DEFAULT_VERSIONS };
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("versions that ring has");
    let config = if tls.client_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(authority_certificate.der().clone()).expect("our own CA");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        config.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        config.with_no_client_auth()
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = config.with_single_cert(chain, key).expect("a key that fits");
    let identity =
        Identity { ca: authority_certificate.pem(), client: (client.pem(), client_key.serialize_pem()) };
    (Arc::new(config), identity)
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
