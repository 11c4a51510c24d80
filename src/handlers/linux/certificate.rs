//! Provider `certificate`: Device.Security, from the PEM files of the agent's own configuration: the
//! roots it trusts (a CABundle) and its own certificate; on OpenWrt from those of the web server and of
//! radsecproxy, too. Private keys are never opened.
//!
//! The key of a certificate is a hash of it. What was read is kept while the files stay as they are,
//! until the session ends.

use crate::handlers::agent::AgentFacts;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::sys::hash::sha256;
use crate::sys::x509::{self, Certificate};
use crate::sys::{clock, host, uci};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The most bytes of one file: systems' bundles have a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;
/// No more certificates than this are shown.
const MAX_CERTIFICATES: usize = 1024;
/// No more sections of a service's than this are looked at.
const MAX_SECTIONS: usize = 16;
/// Package, type, option, and whether the file has roots.
const OTHERS: [(&str, &str, &str, bool); 4] = [
    ("uhttpd", "uhttpd", "cert", false),
    ("radsecproxy", "tls", "CACertificateFile", true),
    ("radsecproxy", "tls", "certificateFile", false),
    ("radsecproxy", "tls", "CertificateFile", false),
];
const TABLE: &str = "Device.Security.Certificate.{i}.";

/// The provider.
pub struct Certificates {
    /// Tells the files.
    pub facts: Rc<RefCell<AgentFacts>>,
    known: Known,
}

#[derive(Default)]
struct Known {
    epoch: Option<u32>,
    /// The files with their time and size when they were read; the first `bundles` are roots.
    files: Vec<(PathBuf, i64, u64)>,
    bundles: usize,
    found: Vec<Found>,
}

struct Found {
    key: String,
    /// The files it is in, by their place in `files`.
    files: Vec<usize>,
    certificate: Certificate,
}

impl Certificates {
    /// For these files.
    pub fn new(facts: Rc<RefCell<AgentFacts>>) -> Certificates {
        Certificates { facts, known: Known::default() }
    }

    fn look(&mut self, ctx: &Ctx<'_>) -> &Known {
        if self.known.epoch == Some(ctx.epoch) {
            return &self.known;
        }
        let facts = self.facts.borrow();
        let stamp = |path: &PathBuf| {
            let name = path.to_str()?;
            let size = host::metadata(ctx.root, name).filter(|m| m.is_file())?;
            Some((path.clone(), host::modified(ctx.root, name)?, size.len()))
        };
        let others = Others::read(ctx.root);
        let mut files: Vec<_> = facts.ca_file.iter().chain(&others.roots).filter_map(stamp).collect();
        let bundles = files.len();
        files.extend(facts.client_certificate.iter().chain(&others.own).filter_map(stamp));
        if (&self.known.files, self.known.bundles) != (&files, bundles) {
            self.known.found = read(ctx.root, &files);
            (self.known.files, self.known.bundles) = (files, bundles);
        }
        self.known.epoch = Some(ctx.epoch);
        &self.known
    }
}

/// Files that other services of OpenWrt name in their UCI: the web server's certificate, and what radsecproxy
/// trusts and shows.
#[derive(Default)]
struct Others {
    roots: Vec<PathBuf>,
    own: Vec<PathBuf>,
}

impl Others {
    fn read(root: &Path) -> Others {
        let mut others = Others::default();
        for (package, kind, option, is_root) in OTHERS {
            let Ok(Some(package)) = uci::load(root, package) else { continue };
            for section in package.of_kind(kind).take(MAX_SECTIONS) {
                let Some(path) = section.get(option).filter(|path| path.starts_with('/')) else { continue };
                let list = if is_root { &mut others.roots } else { &mut others.own };
                if !list.iter().any(|known| known.to_str() == Some(path)) {
                    list.push(PathBuf::from(path));
                }
            }
        }
        others
    }
}

/// The key of the first certificate of a file, as the table has it.
pub fn key_of(root: &Path, path: &str) -> Option<String> {
    let text = host::read_bytes(root, path, MAX_FILE).ok()?;
    let der = CertificateDer::pem_slice_iter(&text).flatten().find(|der| x509::read(der).is_some())?;
    Some(key(&der))
}

fn key(der: &[u8]) -> String {
    sha256(&[der]).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The certificates of the files, each once; what is none is passed over.
fn read(root: &Path, files: &[(PathBuf, i64, u64)]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (at, (path, ..)) in files.iter().enumerate() {
        let text = path.to_str().and_then(|path| host::read_bytes(root, path, MAX_FILE).ok());
        for der in CertificateDer::pem_slice_iter(&text.unwrap_or_default()).flatten() {
            let Some(certificate) = x509::read(&der) else {
                continue;
            };
            let key = key(&der);
            // Serial number and issuer together name one certificate (RFC 5280 4.1.2.2).
            let full = found.len() >= MAX_CERTIFICATES;
            let same = found.iter_mut().find(|f| {
                f.certificate.serial == certificate.serial && f.certificate.issuer == certificate.issuer
            });
            match same {
                Some(known) if !known.files.contains(&at) => known.files.push(at),
                Some(_) => {}
                None if full => return found,
                None => found.push(Found { key, files: vec![at], certificate }),
            }
        }
    }
    found
}

impl Handler for Certificates {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let known = self.look(ctx);
        if row.object.path() == TABLE {
            out.extend(known.found.iter().map(|f| &f.key));
        } else {
            let bundles = known.files.iter().take(known.bundles);
            out.extend(bundles.filter_map(|(path, ..)| path.to_str()));
        }
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let known = self.look(ctx);
        if row.object.path() == TABLE {
            if let Some(found) = known.found.iter().find(|f| f.key == row.key()) {
                one(known, found, want, out);
            }
            return Ok(());
        }
        let bundles = &mut known.files.iter().take(known.bundles);
        let Some(at) = bundles.position(|(path, ..)| path.to_str() == Some(row.key())) else {
            return Ok(());
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, row.key()),
                "CACertificates" => {
                    for found in known.found.iter().filter(|f| f.files.contains(&at)) {
                        out.refer(i, TABLE, &[&found.key]);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Err(Failure::denied("read only on this platform"))
    }

    fn commit(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<(), Failure> {
        Err(Failure::denied("read only on this platform"))
    }

    fn undo(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let facts = self.facts.borrow();
        let files = facts.ca_file.iter().chain(&facts.client_certificate);
        files.filter_map(|path| path.to_str()).for_each(|path| ring(Bell::File(path.to_owned())));
    }

    fn session_ended(&mut self, _: &Ctx<'_>) {
        self.known = Known::default();
    }
}

/// `Device.Security.Certificate.{i}.`
fn one(known: &Known, found: &Found, want: &[Want<'_>], out: &mut Fields) {
    let c = &found.certificate;
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "LastModif" => {
                let files = found.files.iter().filter_map(|at| known.files.get(*at));
                if let Some(changed) = files.map(|(_, changed, _)| *changed).max() {
                    out.put(i, clock::utc(changed));
                }
            }
            "SerialNumber" => out.put(i, short(&c.serial, 64)),
            "Issuer" => out.put(i, short(&c.issuer, 256)),
            "NotBefore" => out.put(i, &c.not_before),
            "NotAfter" => out.put(i, &c.not_after),
            "Subject" => out.put(i, short(&c.subject, 256)),
            "SubjectAlt" => out.put(i, items(&c.alternatives, 256)),
            "SignatureAlgorithm" => out.put(i, short(&c.algorithm, 256)),
            _ => {}
        }
    }
}

/// At most so many characters.
fn short(text: &str, max: usize) -> &str {
    let end = text.char_indices().nth(max).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or("")
}

/// As many whole items as fit, as a list is written (TR-106 3.2.3).
fn items(names: &[String], max: usize) -> String {
    let mut out = String::new();
    for name in names {
        let name = name.replace('%', "%25").replace(',', "%2C");
        if out.len() + 1 + name.len() > max {
            break;
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use rcgen::{CertificateParams, DnType, KeyPair};

    const BUNDLE: &str = "Device.Security.CABundle.{i}.";
    const NAMES: [&str; 7] =
        ["SerialNumber", "Issuer", "NotBefore", "NotAfter", "Subject", "SubjectAlt", "SignatureAlgorithm"];

    fn pem(name: &str, hosts: &[&str], serial: u64) -> String {
        let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut p = CertificateParams::new(hosts).unwrap();
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CommonName, name);
        p.serial_number = Some(serial.into());
        p.not_before = rcgen::date_time_ymd(2020, 1, 1);
        p.not_after = rcgen::date_time_ymd(2049, 1, 1);
        let key = KeyPair::generate().unwrap();
        p.self_signed(&key).unwrap().pem()
    }

    fn provider() -> Certificates {
        Certificates::new(Rc::new(RefCell::new(AgentFacts {
            ca_file: Some("/etc/ca.pem".into()),
            client_certificate: Some("/etc/cpe.pem".into()),
            ..AgentFacts::default()
        })))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        let (root, own) = (pem("Root", &[], 1), pem("cpe", &["a.example", "b.example"], 258));
        f.file("etc/ca.pem", &format!("# trusted\n{root}{root}"));
        f.file("etc/cpe.pem", &format!("{own}{root}"));
        let mut p = provider();
        let keys = probe::list(&mut p, f.root(), TABLE, &[]);
        assert_eq!(keys.len(), 2, "{keys:?}");
        let mut get = |key| {
            let v = probe::get(&mut p, f.root(), TABLE, &[key], &NAMES);
            probe::line(&v, &NAMES)
        };
        let times = "2020-01-01T00:00:00Z|2049-01-01T00:00:00Z";
        assert_eq!(get(&keys[0]), format!("01|CN=Root|{times}|CN=Root||ecdsa-with-SHA256"));
        assert_eq!(
            get(&keys[1]),
            format!("01:02|CN=cpe|{times}|CN=cpe|a.example,b.example|ecdsa-with-SHA256")
        );
        let v = probe::get(&mut p, f.root(), TABLE, &[&keys[1]], &["LastModif"]);
        assert!(clock::parse(&v["LastModif"]).is_some_and(clock::believed));
        assert_eq!(probe::list(&mut p, f.root(), BUNDLE, &[]), ["/etc/ca.pem"]);
        let names = ["Name", "CACertificates"];
        let v = probe::get(&mut p, f.root(), BUNDLE, &["/etc/ca.pem"], &names);
        assert_eq!(probe::line(&v, &names), format!("/etc/ca.pem|{TABLE}<{}>", keys[0]));
        assert!(probe::get(&mut p, f.root(), BUNDLE, &["/etc/cpe.pem"], &names).is_empty());
    }

    #[test]
    fn a_new_file_is_read_in_the_next_rpc() {
        let f = Folder::new();
        f.file("etc/ca.pem", &pem("Root", &[], 1));
        let mut p = provider();
        let keys = probe::list(&mut p, f.root(), TABLE, &[]);
        f.file("etc/ca.pem", "");
        assert_eq!(probe::list(&mut p, f.root(), TABLE, &[]), keys, "same RPC");
        let later = probe::get_at(&mut p, f.root(), 2, TABLE, &[&keys[0]], &NAMES);
        assert!(later.is_empty());
    }

    #[test]
    fn hostile_files() {
        let good = pem("Root", &[], 1);
        let long = pem(&"é,".repeat(400), &[&"h".repeat(250), "i.example"], 2);
        for (text, count) in [
            (String::new(), 0),
            ("-----BEGIN CERTIFICATE-----\n".into(), 0),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), 0),
            (format!("{}\n{good}", "x".repeat(100_000)), 1),
            (good.replace("END CERTIFICATE", "END PRIVATE KEY"), 0),
            (long, 1),
        ] {
            let f = Folder::new();
            f.file("etc/ca.pem", &text);
            let mut p = provider();
            let keys = probe::list(&mut p, f.root(), TABLE, &[]);
            assert_eq!(keys.len(), count, "{:.60}", text);
            for key in keys {
                let v = probe::get(&mut p, f.root(), TABLE, &[&key], &NAMES);
                assert_eq!(v.len(), NAMES.len());
            }
        }
        let f = Folder::new();
        f.bytes("etc/ca.pem", &[0xff; 5000]);
        assert!(probe::list(&mut provider(), f.root(), TABLE, &[]).is_empty());
        let nobody = &mut Certificates::new(Rc::default());
        assert!(probe::list(nobody, Path::new("/"), TABLE, &[]).is_empty());
    }
}
