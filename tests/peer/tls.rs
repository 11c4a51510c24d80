//! Certificates and TLS settings for the test server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

/// A certification authority with its file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// Its certificate in PEM form.
    pub file: PathBuf,
}

/// A certificate with its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "cwmpd test authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = file("ca.pem", &certificate.pem());
        Authority { issuer: Issuer::new(params, key), certificate, file }
    }

    /// A certificate for these names and addresses, changed as `change` likes.
    pub fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (params, key) = prepare(names, change);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { pem: certificate.pem(), chain: vec![certificate.into()], key }
    }

    /// Its certificate as the root of a server that asks for client certificates.
    fn roots(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add(self.certificate.der().clone()).expect("a root");
        store
    }
}

fn prepare(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    (params, KeyPair::generate().expect("a key"))
}

impl Identity {
    /// One that only itself vouches for.
    pub fn self_signed(names: &[&str]) -> Identity {
        let (params, key) = prepare(names, |_| {});
        let certificate = params.self_signed(&key).expect("a certificate");
        Identity { pem: certificate.pem(), chain: vec![certificate.into()], key }
    }

    /// PEM files of certificate and key.
    pub fn files(&self) -> (PathBuf, PathBuf) {
        (file("cert.pem", &self.pem), file("key.pem", &self.key.serialize_pem()))
    }

    /// A server with this certificate.
    pub fn server(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(authority.roots()),
                    provider,
                )
                .build()
                .expect("a verifier"),
            ),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        builder.with_single_cert(self.chain.clone(), key).expect("a certificate")
    }
}

/// A file of a test, in the build's own folder for such.
pub fn file(name: &str, text: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("{}-{number}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("a file");
    path
}

/// A TLS connection that says goodbye when it is dropped.
pub struct Closing(pub rustls::StreamOwned<ServerConnection, TcpStream>);

impl Read for Closing {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Closing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }
}
