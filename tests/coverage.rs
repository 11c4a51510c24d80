//! Which test proves which rule of the protocol. `rules.tsv` has every rule in our words; a test says
//! what it proves in a comment above it, `// Proves: C-3, V-4`; here the two are put together.
//!
//!     CWMPD_COVERAGE=write cargo test --test coverage
//!
//! writes `COVERAGE.md`. Without the variable that file must be what would be written, and no rule may
//! be without either a test or a reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The chapters of the rules, by the first part of the id, and how many rules each has.
const GROUPS: [(&str, usize, &str); 21] = [
    ("T", 41, "Transport: TCP and HTTP"),
    ("S", 22, "TLS and identity"),
    ("E", 32, "SOAP and XML"),
    ("C", 33, "Session"),
    ("V", 26, "Events"),
    ("I", 12, "Inform"),
    ("CR", 20, "Connection request"),
    ("R-GEN", 8, "RPCs in general"),
    ("R-GRM", 3, "GetRPCMethods"),
    ("R-SPV", 27, "SetParameterValues"),
    ("R-GPV", 12, "GetParameterValues"),
    ("R-GPN", 9, "GetParameterNames"),
    ("R-SPA", 14, "SetParameterAttributes, GetParameterAttributes"),
    ("R-OBJ", 12, "AddObject, DeleteObject"),
    ("R-SYS", 11, "Reboot, FactoryReset, ScheduleInform"),
    ("X", 49, "Transfers"),
    ("N", 14, "Notification and aliases"),
    ("F", 6, "Association of device and gateway"),
    ("DH", 7, "The ACS by DHCP"),
    ("HB", 7, "Heartbeat, standby, proxied devices"),
    ("DG", 18, "Diagnostics"),
];

struct Rule {
    id: String,
    text: String,
    /// Why no test proves it, or what is to be said beside those that do.
    remark: String,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(here("tests/rules.tsv")).expect("rules.tsv");
    let lines = text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    lines
        .map(|fields| match <[String; 3]>::try_from(fields) {
            Ok([id, text, remark]) => Rule { id, text, remark },
            Err(fields) => panic!("rules.tsv: three fields are wanted, not {fields:?}"),
        })
        .collect()
}

/// Every source file below a folder.
fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// For each id the tests that name it, `file::function`.
fn proofs() -> BTreeMap<String, Vec<String>> {
    let mut files = Vec::new();
    sources(&here("src"), &mut files);
    sources(&here("tests"), &mut files);
    let mut proofs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let shown = path.strip_prefix(here("")).expect("below the repository").display().to_string();
        let text = fs::read_to_string(&path).expect("a source file");
        let (mut ids, mut marked): (Vec<&str>, bool) = (Vec::new(), false);
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if let Some(named) = line.strip_prefix("// Proves: ") {
                ids.extend(named.split(',').map(str::trim));
            } else if line == "#[test]" {
                marked = true;
            } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
                let function = rest.split(['(', '<']).next().unwrap_or_default();
                for id in ids.drain(..) {
                    proofs.entry(id.to_owned()).or_default().push(format!("{shown}::{function}"));
                }
                marked = false;
            } else if !marked || !line.starts_with("#[") {
                assert!(ids.is_empty(), "{shown}:{}: `// Proves:` stands above no test", number + 1);
            }
        }
    }
    proofs
}

fn group(id: &str) -> &str {
    id.rsplit_once('-').map_or("", |(group, _)| group)
}

/// `COVERAGE.md`, and how many rules are proved.
fn coverage() -> (String, usize) {
    let (rules, mut proofs) = (rules(), proofs());
    let mut out = String::new();
    let mut proved = 0;
    for (prefix, count, title) in GROUPS {
        let of_group: Vec<&Rule> = rules.iter().filter(|r| group(&r.id) == prefix).collect();
        assert_eq!(of_group.len(), count, "rules of group {prefix}");
        let _ = write!(out, "\n## {title}\n\n| rule | what it asks | proved by |\n|---|---|---|\n");
        for (at, rule) in of_group.into_iter().enumerate() {
            assert_eq!(rule.id, format!("{prefix}-{}", at + 1), "the order of rules");
            let tests = proofs.remove(&rule.id).unwrap_or_default();
            assert!(
                !tests.is_empty() || !rule.remark.is_empty(),
                "{} has neither a test nor a reason",
                rule.id
            );
            assert!(
                tests.is_empty() || !rule.remark.starts_with("not built"),
                "{} is built, it seems",
                rule.id
            );
            proved += usize::from(!tests.is_empty());
            let mut proof: Vec<String> = tests.iter().map(|t| format!("`{t}`")).collect();
            proof.extend(Some(rule.remark.clone()).filter(|r| !r.is_empty()));
            let _ =
                writeln!(out, "| {} | {} | {} |", rule.id, rule.text.replace('|', "\\|"), proof.join("; "));
        }
    }
    assert!(proofs.is_empty(), "no such rules: {:?}", proofs.keys());
    let head = format!(
        "# Rules and their proofs\n\n\
         Every rule of CWMP that concerns what is built, in our words, and the tests that go red when it is\n\
         broken, as `file::function`, or why there is none. Written by `tests/coverage.rs` from `rules.tsv`\n\
         and the `// Proves:` lines of the tests: do not edit.\n\n\
         {} rules: {proved} proved by tests, {} with a reason why not.\n",
        rules.len(),
        rules.len() - proved,
    );
    (head + &out, proved)
}

#[test]
fn coverage_is_up_to_date() {
    let (text, proved) = coverage();
    let path = here("tests/COVERAGE.md");
    if std::env::var("CWMPD_COVERAGE").is_ok_and(|v| v == "write") {
        fs::write(&path, &text).expect("COVERAGE.md");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "tests/COVERAGE.md is stale: CWMPD_COVERAGE=write cargo test --test coverage writes it"
    );
    assert!(proved > 250, "{proved} rules are proved: are the tests still read?");
}
