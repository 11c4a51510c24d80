//! SelfTestDiagnostics: a report that says what is well and what is not.

use super::net::{Bed, DEVICE, FAR, in_namespaces};
use std::fs;

pub const SELF_TEST: &str = "Device.SelfTestDiagnostics.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] =
    &[(SELF_TEST, "None"), (SELF_TEST, "Requested"), (SELF_TEST, "Complete"), (SELF_TEST, "Error_Internal")];

/// The line of a report that speaks of this; without its first word, and whether that is `ok`.
#[track_caller]
fn line<'a>(report: &'a str, name: &str) -> (bool, &'a str) {
    let found = report.lines().find_map(|line| {
        let (word, rest) = line.split_once(' ')?;
        assert!(matches!(word, "ok" | "FAILED"), "{line}");
        Some((word == "ok", rest.strip_prefix(name)?.strip_prefix(": ")?))
    });
    found.unwrap_or_else(|| panic!("no line of {name} in\n{report}"))
}

// Proves: DG-17
#[test]
fn a_report_for_a_person() {
    in_namespaces("selftest::a_report_for_a_person", |bed| {
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, SELF_TEST).state(), "None");
        assert_eq!(bed.set(&mut session, SELF_TEST, &[("DiagnosticsState", "Requested")]), Ok(0));
        assert_eq!(bed.read(&mut session, SELF_TEST).state(), "Requested");
        session.end();
        let mut told = bed.told();
        let results = bed.read(&mut told, SELF_TEST);
        told.end();
        assert_eq!(results.state(), "Complete");
        let report = results.text("Results").to_owned();
        assert!(report.len() <= 1024 && !report.contains("secret"), "{report}");
        for name in ["journal", "run folder", "overlay", "sources", "clock", "roots", "certificate", "dns"] {
            assert!(line(&report, name).0, "{report}");
        }
        let (is_well, acs) = line(&report, "acs");
        assert!(is_well && acs.starts_with(&format!("connected to {FAR}:8080 in ")), "{report}");
        let closed = format!("{DEVICE}:7547 lets nobody in: no ConnectionRequestUsername");
        assert_eq!(line(&report, "connection request"), (false, closed.as_str()));
        faults_are_found(bed);
    });
}

/// Faults that were found are a result, and no error of the test.
fn faults_are_found(bed: &mut Bed) {
    let folder = bed.daemon().folder.0.clone();
    fs::create_dir_all(folder.join("overlays")).expect("a folder");
    fs::write(folder.join("overlays/bad.toml"), "[\"Device.X_ACME_A.\"]\nnonsense = 1\n").expect("a file");
    bed.daemon_mut().kill();
    bed.daemon_mut().start();
    bed.daemon().wait_ready();
    let results = bed.ask(SELF_TEST, &[]);
    assert_eq!(results.state(), "Complete");
    let (is_well, why) = line(results.text("Results"), "overlay");
    assert!(!is_well && why.contains("bad.toml"), "{why}");
    assert!(line(results.text("Results"), "acs").0, "{:?}", results.0);
    let mut session = bed.kicked();
    let credentials = "Device.ManagementServer.ConnectionRequest";
    assert_eq!(bed.set(&mut session, credentials, &[("Username", "acs"), ("Password", "secret")]), Ok(0));
    session.end();
    let results = bed.ask(SELF_TEST, &[]);
    let listens = format!("{DEVICE}:7547 listens");
    assert_eq!(line(results.text("Results"), "connection request"), (true, listens.as_str()));
}

/// The device has no descriptor left when a test is to begin.
#[track_caller]
pub fn without_descriptors(bed: &Bed, object: &str) -> String {
    let mut session = bed.kicked();
    assert_eq!(bed.set(&mut session, object, &[("DiagnosticsState", "Requested")]), Ok(0));
    let limit = |words: &str| {
        bed.at("device", &["prlimit", "--pid", &bed.daemon().pid().to_string(), words]);
    };
    limit("--nofile=3:");
    session.end();
    bed.daemon().wait_for("its failure", || bed.daemon().log().contains("no thread for the test"));
    limit("--nofile=1024:");
    let mut told = bed.told();
    let state = bed.read(&mut told, object).state().to_owned();
    told.end();
    state
}

// Proves: DG-2
#[test]
fn a_device_that_cannot_begin_it() {
    in_namespaces("selftest::a_device_that_cannot_begin_it", |bed| {
        assert_eq!(without_descriptors(bed, SELF_TEST), "Error_Internal");
        assert_eq!(bed.ask(SELF_TEST, &[]).state(), "Complete", "the next time it can");
    });
}
