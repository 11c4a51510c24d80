//! Overlays: a folder of files of the same grammar that add objects and parameters at run time, for
//! vendors who do not compile. Declarative sources only; what exists cannot be redefined.
//!
//! # Errors
//! A file with any mistake is refused whole, and the others are taken without it. A file that builds
//! on a refused one is refused as well.

use super::builtin;
use super::grammar::{self, At, ObjectSpec, Options, Problem};
use super::schema::Schema;
use crate::sys::order;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most octets of one overlay file.
pub const MAX_FILE: u64 = 1 << 20;
/// The most overlay files; those that come later by name are refused.
pub const MAX_FILES: usize = 256;

/// How built-in rows are cited.
const BUILT_IN: &str = "the built-in data model";

/// One mistake, by file and line.
pub type OverlayError = Problem;

/// Adds every `*.toml` of a folder, in name order, to the built-in tables. A folder that does not
/// exist is empty. Without any overlay the built-in tables come back as they are.
pub fn load(built_in: Schema, folder: &Path) -> (Schema, Vec<OverlayError>) {
    let mut errors = Vec::new();
    let mut files = files(folder, &mut errors);
    for path in files.split_off(files.len().min(MAX_FILES)) {
        errors.push(whole_file(&path, format!("more than {MAX_FILES} overlays")));
    }
    let mut taken: Vec<Vec<ObjectSpec>> = Vec::new();
    let options = Options { natives: &[], prefix: builtin::VENDOR_PREFIX, overlay: true };
    for path in files {
        match text(&path) {
            Ok(text) => {
                let mut specs = Vec::new();
                let before = errors.len();
                grammar::read(&path.display().to_string(), &text, &options, &mut specs, &mut errors);
                if errors.len() == before && !specs.is_empty() {
                    taken.push(specs);
                }
            }
            Err(error) => errors.push(whole_file(&path, error.to_string())),
        }
    }
    while !taken.is_empty() {
        let mut specs = grammar::unpack(&built_in, BUILT_IN);
        specs.extend(taken.iter().flatten().cloned());
        let problems = match grammar::build(specs) {
            Ok(schema) => return (schema, errors),
            Err(problems) => problems,
        };
        let before = taken.len();
        taken.retain(|specs| !specs.iter().any(|s| problems.iter().any(|p| p.at.file == s.at.file)));
        if taken.len() == before {
            // A limit of the tables, which no one file broke: the last one goes.
            taken.pop();
        }
        errors.extend(problems);
    }
    (built_in, errors)
}

fn whole_file(path: &Path, reason: String) -> OverlayError {
    Problem { at: At { file: path.display().to_string().into(), line: 0 }, reason }
}

/// The overlays of a folder in name order.
fn files(folder: &Path, errors: &mut Vec<OverlayError>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            errors.push(whole_file(folder, error.to_string()));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    order::sort(&mut files);
    files
}

/// The text of a file, bounded.
fn text(path: &Path) -> io::Result<String> {
    // Asked before opening: to open a pipe would wait for somebody to write into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{Platform, SourceKind};
    use std::borrow::Cow;

    const BASE: &str = r#"
["Device."]
InterfaceNumberOfEntries = { type = "unsignedInt" }
OnlyLinux = { type = "string", linux = { const = "x" }, write = false }
["Device.Interface.{i}."]
native = "port"
entries = "InterfaceNumberOfEntries"
keys = ["Name", "nf:Alias"]
Name = { type = "string(64)" }
Alias = { type = "Alias", write = true }
MaxMTUSize = { type = "unsignedInt(0..0,64..65535)", write = true }
["Device.Held.Below."]
Value = { type = "list(enum(A,B@readOnly))", items = "..2", list_size = 20, linux = { const = "A" } }
"#;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Folder {
            let path = std::env::temp_dir().join(format!("cwmpd-overlay-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            for (file, text) in files {
                fs::write(path.join(file), text).unwrap();
            }
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn base() -> Schema {
        grammar::schema_from(&[("base.toml", BASE)], &["port"]).unwrap()
    }

    /// Loads these files; the errors without the folder's name.
    fn with(name: &str, files: &[(&str, &str)]) -> (Schema, Vec<String>) {
        let folder = Folder::new(name, files);
        let (schema, errors) = load(base(), &folder.0);
        let prefix = format!("{}/", folder.0.display());
        (schema, errors.iter().map(|e| e.to_string().replace(&prefix, "")).collect())
    }

    #[test]
    fn without_overlays_the_tables_stay_borrowed() {
        let (schema, errors) = load(builtin::builtin(), Path::new("/nonexistent/cwmpd"));
        assert!(errors.is_empty());
        assert!(matches!(schema.params, Cow::Borrowed(_)));
        let (_, errors) = with("empty", &[("readme.md", "no overlay"), ("a.toml", "# nothing\n")]);
        assert!(errors.is_empty());
    }

    #[test]
    fn rows_survive_unpacking() {
        for before in [base(), builtin::builtin()] {
            let after = grammar::build(grammar::unpack(&before, BUILT_IN)).unwrap();
            assert_eq!(before.objects, after.objects);
            assert_eq!(before.params, after.params);
            assert_eq!(before.kinds, after.kinds);
            assert_eq!(before.sources, after.sources);
            assert_eq!(before.words, after.words);
            assert_eq!(before.blob, after.blob);
        }
    }

    #[test]
    fn adds_objects_and_parameters() {
        let (schema, errors) = with(
            "adds",
            &[
                (
                    "a.toml",
                    r#"
["Device."]
X_ACME_FanNumberOfEntries = { type = "unsignedInt" }
["Device.X_ACME_Fan.{i}."]
entries = "X_ACME_FanNumberOfEntries"
file = "/sys/class/fan/*"
Speed = { type = "unsignedInt", file = "/sys/class/fan/{1}/speed" }
"#,
                ),
                (
                    "b.toml",
                    r#"
["Device.Interface.{i}."]
X_CWMPD_Colour = { type = "string(16)", store = "grey", write = true }
["Device.Held.Below."]
X_ACME_Other = { type = "boolean", openwrt = "uci acme.main.other" }
"#,
                ),
            ],
        );
        assert_eq!(errors, Vec::<String>::new());
        let fan = schema.find_object("Device.X_ACME_Fan.{i}.").unwrap();
        assert_eq!(fan.source(Platform::Linux).unwrap().kind, SourceKind::File);
        let counter = schema.find_param("Device.X_ACME_FanNumberOfEntries").unwrap();
        assert_eq!(counter.source(Platform::Linux).unwrap().kind, SourceKind::Entries);
        assert_eq!(counter.counts().unwrap().path(), fan.path());
        let colour = format!("Device.Interface.{{i}}.{}Colour", builtin::VENDOR_PREFIX);
        assert_eq!(schema.find_param(&colour).unwrap().source(Platform::OpenWrt).unwrap().arg, "grey");
        let name = schema.find_param("Device.Interface.{i}.Name").unwrap();
        assert_eq!(name.source(Platform::Linux).unwrap().arg, "port");
        // An object that held nothing on a platform exists there when the overlay gives it something.
        assert!(!base().find_object("Device.Held.").unwrap().exists(Platform::OpenWrt));
        assert!(schema.find_object("Device.Held.").unwrap().exists(Platform::OpenWrt));
        assert!(!schema.find_param("Device.Held.Below.Value").unwrap().exists(Platform::OpenWrt));
    }

    #[test]
    fn a_bad_file_is_refused_whole_and_the_rest_goes_on() {
        let good = r#"
["Device.X_ACME_Good."]
A = { type = "string", const = "a" }
"#;
        let cases: &[(&str, &str)] = &[
            (
                "[\"Device.X_ACME_Bad.\"]\nB = { type = \"strin\", const = \"b\" }",
                "bad.toml:2: B: `strin` is no type",
            ),
            (
                "[\"Device.X_ACME_Bad.\"]\nB = { type = \"string\", native = \"port\" }",
                "bad.toml:2: an overlay cannot name a native provider",
            ),
            (
                "[\"Device.Interface.{i}.\"]\nName = { type = \"string\", const = \"b\" }",
                "bad.toml:2: Device.Interface.{i}.Name is already there (the built-in data model)",
            ),
            (
                "[\"Device.Interface.{i}.\"]\nvolatile = true",
                "bad.toml:1: Device.Interface.{i}. is already there (the built-in data model)",
            ),
            (
                "[\"Device.Interface.{i}.\"]\nX_ACME_B = { type = \"string\" }",
                "bad.toml:2: X_ACME_B has no source",
            ),
            (
                "[\"Device.X_ACME_Good.\"]\nA = { type = \"string\", const = \"b\" }",
                // Named before the good one, so it would win: both say A, the later one loses.
                "good.toml:3: Device.X_ACME_Good.A is already there (bad.toml:2)",
            ),
            (
                "[\"Device.X_ACME_T.{i}.\"]\nconst = \"a b\"\nentries = \"InterfaceNumberOfEntries\"",
                "bad.toml:1: InterfaceNumberOfEntries already counts Device.Interface.{i}.",
            ),
            (
                "[\"Device.X_ACME_T.{i}.\"]\nconst = \"a b\"\nentries = \"OnlyLinux\"",
                "bad.toml:1: OnlyLinux counts a table, so it has no source",
            ),
            ("[\"Device.X_ACME_Bad.\"\n", "bad.toml:1: "),
        ];
        for (i, (bad, expected)) in cases.iter().enumerate() {
            let (schema, errors) = with(&format!("bad{i}"), &[("bad.toml", bad), ("good.toml", good)]);
            assert!(errors[0].starts_with(expected), "{errors:?}");
            let refused =
                if expected.starts_with("good") { "Device.X_ACME_Bad." } else { "Device.X_ACME_T.{i}." };
            assert!(schema.find_object(refused).is_none(), "{bad}");
            assert!(schema.find_param("Device.X_ACME_Good.A").is_some(), "{bad}");
        }
    }

    #[test]
    fn what_builds_on_a_refused_file_is_refused() {
        let (schema, errors) = with(
            "chain",
            &[
                ("a.toml", "[\"Device.X_ACME_T.{i}.\"]\nconst = \"a\"\nentries = \"Missing\""),
                ("b.toml", "[\"Device.X_ACME_T.{i}.More.\"]\nA = { type = \"string\", const = \"a\" }"),
                ("c.toml", "[\"Device.X_ACME_C.\"]\nA = { type = \"string\", const = \"a\" }"),
            ],
        );
        assert_eq!(
            errors,
            [
                "a.toml:1: entries = Missing is no parameter of Device.",
                "b.toml:1: the table Device.X_ACME_T.{i}. that it stands in is not there",
            ]
        );
        assert!(schema.find_param("Device.X_ACME_C.A").is_some());
    }

    #[test]
    fn files_are_bounded() {
        let long = format!("#{}", " ".repeat(MAX_FILE as usize));
        let folder = Folder::new("bounds", &[("long.toml", &long)]);
        fs::create_dir(folder.0.join("folder.toml")).unwrap();
        fs::write(folder.0.join("latin.toml"), b"# \xe9\n").unwrap();
        let (_, errors) = load(base(), &folder.0);
        let reasons: Vec<&str> = errors.iter().map(|e| e.reason.as_str()).collect();
        assert_eq!(reasons[0], "not a file");
        assert!(reasons[1].contains("UTF-8"), "{reasons:?}");
        assert_eq!(reasons[2], "larger than 1048576 bytes");

        let many: Vec<String> = (0..MAX_FILES + 2).map(|n| format!("{n:03}.toml")).collect();
        let files: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "")).collect();
        let (_, errors) = with("many", &files);
        assert_eq!(errors, ["256.toml: more than 256 overlays", "257.toml: more than 256 overlays"]);
    }
}
