//! `RULES.md` says which test proves which rule. Here it is held against the sources: no rule is
//! missing, and no test is named that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// The groups A to O of the requirements, and how many rules each has.
const GROUPS: [(&str, u32); 15] = [
    ("T", 41),
    ("S", 22),
    ("E", 32),
    ("C", 33),
    ("V", 26),
    ("I", 12),
    ("CR", 20),
    ("R-GEN", 8),
    ("R-GRM", 3),
    ("R-SPV", 27),
    ("R-GPV", 12),
    ("R-GPN", 9),
    ("R-SPA", 14),
    ("R-OBJ", 12),
    ("R-SYS", 11),
];

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rule and what is said of it, line by line.
fn table() -> Vec<(String, String)> {
    let text = fs::read_to_string(here().join("tests/RULES.md")).expect("RULES.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines
        .filter_map(|line| line.split_once(" | "))
        .filter(|(rule, _)| *rule != "rule")
        .map(|(rule, proof)| (rule.to_string(), proof.to_string()))
        .collect()
}

/// The `file::function` of a line.
fn tests(proof: &str) -> Vec<(&str, &str)> {
    proof.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect()
}

/// The functions of a file that are tests.
fn functions(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| marked) {
            found.extend(rest.split('(').next());
            marked = false;
        }
    }
    found
}

#[test]
fn every_rule_has_one_line() {
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for (rule, _) in table() {
        *lines.entry(rule).or_default() += 1;
    }
    for (group, count) in GROUPS {
        for number in 1..=count {
            let rule = format!("{group}-{number}");
            assert_eq!(lines.remove(&rule), Some(1), "lines for {rule}");
        }
    }
    assert!(lines.is_empty(), "no such rules: {lines:?}");
}

#[test]
fn every_test_is_there() {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut named = 0;
    for (rule, proof) in table() {
        let tests = tests(&proof);
        assert!(!tests.is_empty() || proof.len() > 10, "{rule} has neither a test nor a reason");
        for (file, function) in tests {
            assert!(file.starts_with("src/") || file.starts_with("tests/"), "{rule}: {file}");
            let text = files.entry(file.to_string()).or_insert_with(|| {
                fs::read_to_string(here().join(file)).unwrap_or_else(|e| panic!("{rule}: {file}: {e}"))
            });
            assert!(functions(text).contains(function), "{rule}: {file} has no test {function}");
            named += 1;
        }
    }
    assert!(named > 250, "{named} tests are named: is the table still read?");
}
