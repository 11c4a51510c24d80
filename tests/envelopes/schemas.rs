//! What the agent sends against the Broadband Forum's schemas, where those and xmllint are there:
//! the golden envelopes always, and with `CWMPD_MESSAGES` every message that the agent sent to the
//! scripted ACS while `cargo test` ran with the same variable.
//!
//! The schemas do not name event `14 HEARTBEAT`; those of cwmp-1-2 and later take it by their pattern.
//! They know SupportedCWMPVersions from cwmp-1-4.xsd on. Those of SOAP itself are not among them: `tests/xsd` has minimal stand-ins.

use super::{envelopes, here, inform};
use cwmpd::cwmp::rpc::Namespace;
use std::path::{Path, PathBuf};
use std::process::Command;

fn spec() -> PathBuf {
    std::env::var_os("CWMPD_SPEC").map_or_else(|| here().join("../shared/spec"), PathBuf::from)
}

/// A folder with one driver schema for each of CWMP's, which imports SOAP's stand-ins and it.
struct Schemas {
    work: PathBuf,
}

const SCHEMAS: [(&str, Namespace); 5] = [
    ("cwmp-1-0.xsd", Namespace::V1_0),
    ("cwmp-1-1.xsd", Namespace::V1_1),
    ("cwmp-1-2.xsd", Namespace::V1_2),
    ("cwmp-1-3.xsd", Namespace::V1_2),
    ("cwmp-1-4.xsd", Namespace::V1_2),
];

impl Schemas {
    /// `None` where they, or xmllint, cannot be had: said on standard output.
    fn find(name: &str) -> Option<Schemas> {
        let spec = spec().join("xsd");
        if !spec.join("cwmp-1-2.xsd").exists() {
            println!("skipped: no schemas in {} (CWMPD_SPEC says where)", spec.display());
            return None;
        }
        if Command::new("xmllint").arg("--version").output().is_err() {
            println!("skipped: no xmllint on the PATH");
            return None;
        }
        let work = std::env::temp_dir().join(format!("cwmpd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&work).unwrap();
        for (schema, namespace) in SCHEMAS {
            // The stand-ins come first, so that the imports by URL in CWMP's schemas are met already.
            let import = |namespace: &str, path: &Path| {
                format!("<xs:import namespace=\"{namespace}\" schemaLocation=\"{}\"/>", path.display())
            };
            let text = format!(
                "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">{}{}{}</xs:schema>",
                import("http://schemas.xmlsoap.org/soap/envelope/", &here().join("tests/xsd/envelope.xsd")),
                import("http://schemas.xmlsoap.org/soap/encoding/", &here().join("tests/xsd/encoding.xsd")),
                import(namespace.urn(), &spec.join(schema)),
            );
            std::fs::write(work.join(schema), text).unwrap();
        }
        Some(Schemas { work })
    }

    fn valid(&self, schema: &str, text: &str) -> Result<(), String> {
        let file = self.work.join("message.xml");
        std::fs::write(&file, text).unwrap();
        self.all_valid(schema, &[file])
    }

    /// Validates many files in one run, since a run reads the schemas anew.
    fn all_valid(&self, schema: &str, files: &[PathBuf]) -> Result<(), String> {
        let mut xmllint = Command::new("xmllint");
        // The later schemas include the earlier by URL; the catalog beside them says which file that is.
        xmllint.env("XML_CATALOG_FILES", spec().join("xsd/catalog.xml"));
        let driver = self.work.join(schema);
        let output = xmllint
            .args(["--noout", "--nonet", "--huge", "--schema"])
            .arg(driver)
            .args(files)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(()),
            false => {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(errors
                    .lines()
                    .filter(|l| !l.ends_with(" validates"))
                    .take(20)
                    .collect::<Vec<_>>()
                    .join("\n"))
            }
        }
    }
}

impl Drop for Schemas {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// E-1 to E-5.
// Proves: E-1, E-2, E-3, E-4, E-5
#[test]
fn as_the_schemas_say() {
    let Some(schemas) = Schemas::find("envelopes") else { return };
    let mut checked = 0;
    for (schema, namespace) in SCHEMAS {
        for (name, bytes) in envelopes() {
            let text = String::from_utf8(bytes).unwrap();
            if !text.contains(namespace.urn()) {
                continue;
            }
            if let Err(why) = schemas.valid(schema, &text) {
                panic!("{schema} {name}: {why}");
            }
            checked += 1;
        }
        // The schemas are really looked at: what they forbid is found.
        let text = String::from_utf8(inform(namespace)).unwrap();
        let heartbeat = text.replace("1 BOOT<", "14 HEARTBEAT<");
        assert_ne!(heartbeat, text);
        if let (Namespace::V1_2, Err(why)) = (namespace, schemas.valid(schema, &heartbeat)) {
            panic!("{schema} 14 HEARTBEAT: {why}");
        }
        for (from, to) in [
            ("00D09E", "00d09e"),
            ("<CommandKey></CommandKey>", ""),
            ("<MaxEnvelopes>1</MaxEnvelopes>", "<MaxEnvelopes/>"),
            ("0 BOOTSTRAP", "BOOTSTRAP"),
            (" soap-enc:arrayType=\"cwmp:EventStruct[3]\"", ""),
            ("cwmp:Inform>", "cwmp:Informs>"),
        ] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text);
            assert!(schemas.valid(schema, &broken).is_err(), "{schema} takes {to:?} for {from:?}");
        }
    }
    println!("{checked} times valid");
    assert!(checked >= envelopes().len());
}

/// E-1 to E-5, for whatever the shipped daemon sent to the scripted ACS in the other tests.
// Proves: E-1, E-3
#[test]
fn every_message_of_the_tests_is_valid() {
    let Some(folder) = std::env::var_os("CWMPD_MESSAGES") else {
        return println!("skipped: CWMPD_MESSAGES names no folder of messages (.ci/run does)");
    };
    let Some(schemas) = Schemas::find("messages") else { return };
    let files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    let mut checked = 0;
    // The newest schema of each namespace.
    for (schema, namespace) in [SCHEMAS[0], SCHEMAS[1], SCHEMAS[4]] {
        let of =
            |file: &&PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.contains(namespace.urn()));
        let files: Vec<PathBuf> = files.iter().filter(of).cloned().collect();
        for some in files.chunks(200) {
            if let Err(why) = schemas.all_valid(schema, some) {
                panic!("{schema}: {why}");
            }
        }
        checked += files.len();
    }
    println!("{checked} messages of {} are valid", files.len());
    assert!(checked > 0, "no message in {}", folder.display());
}
