//! Diagnostics through real sessions: asked for by SetParameterValues, event 8, results read back, in network
//! namespaces of the test's own (`net`). Where namespaces cannot be made a test says that it was skipped.
//!
//! Each module names the states that its tests see (`STATES`); the test here holds them against what the data
//! model allows and prints the table.

#[path = "../acs/mod.rs"]
mod acs;
mod capacity;
mod capture;
#[allow(dead_code)] // a part of it is used here
#[path = "../daemon/mod.rs"]
mod daemon;
mod dnsmasq;
mod life;
mod neighbours;
#[allow(dead_code)] // what one module does not use, another does
mod net;
mod nslookup;
mod ping;
mod planned;
mod schedule;
mod selftest;
mod throughput;
mod trace;
mod udpecho;
mod udpst;

use std::collections::BTreeSet;
use std::fs;

/// What the modules prove; each has its own.
const PROVED: &[&[(&str, &str)]] = &[
    capacity::STATES,
    capture::STATES,
    neighbours::STATES,
    nslookup::STATES,
    ping::STATES,
    selftest::STATES,
    throughput::STATES,
    trace::STATES,
    udpecho::STATES,
];

/// Words of the standard's that no object ever reads, and why.
const NEVER: &[(&str, &str)] = &[
    ("Canceled", "it is only written, and reads None at once (DG-3)"),
    ("Error", "each object that has this word has more exact ones"),
    ("Error_PasswordRequestFailed", "FTP's; HTTP that asks for a password is Error_LoginFailed (DG-7)"),
    ("Error_NoTransferMode", "FTP's, of which there is none"),
    ("Error_NoPASV", "FTP's, of which there is none"),
    ("Error_NoCWD", "FTP's, of which there is none"),
    ("Error_NoSTOR", "FTP's, of which there is none"),
];

/// Words that one object never reads, and why.
const NEVER_HERE: &[(&str, &str, &str)] = &[
    (selftest::SELF_TEST, "Error_Other", "faults that it finds are its result, and it is Complete"),
    (
        neighbours::NEIGHBOURS,
        "Complete",
        "not here: it takes a radio; what a scan finds is tested beside the code",
    ),
];

use net::{Bed, FAR, in_namespaces};

/// The bed itself: the far host is reached, by both ways of the device.
#[test]
fn the_network() {
    in_namespaces("the_network", |bed: &mut Bed| {
        let wan1 = bed.interface("wan1");
        assert!(wan1.starts_with("Device.IP.Interface."), "{wan1}");
        let way = |more: &[&str]| bed.at("device", &[&["ip", "route", "get", FAR], more].concat());
        assert!(way(&[]).contains("dev wan0"), "{}", way(&[]));
        assert!(way(&["oif", "wan1"]).contains("via 10.92.8.1"), "{}", way(&["oif", "wan1"]));
    });
}

/// Each object with the words of its state, as the data model has them.
fn states() -> Vec<(String, Vec<String>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/datamodel");
    let shared = ["None", "Requested", "Canceled", "Complete", "Error", "Error_Internal", "Error_Other"];
    let mut found = Vec::new();
    for file in fs::read_dir(folder).expect("the data model") {
        let text = fs::read_to_string(file.expect("a file").path()).unwrap_or_default();
        let mut object = "";
        for line in text.lines() {
            let header = line.strip_prefix("[\"").and_then(|line| line.split('"').next());
            object = header.unwrap_or(object);
            if let Some(kind) = line.strip_prefix("DiagnosticsState").and_then(|l| l.split('"').nth(1)) {
                let (name, own) = kind.split_once('(').unwrap_or((kind, ""));
                let own = own
                    .trim_end_matches(')')
                    .split(',')
                    .map(|word| word.trim().trim_end_matches("@readOnly"));
                // An enumeration of its own has no shared words.
                let shared = if name == "enum" { &[][..] } else { &shared[..] };
                let all = shared.iter().copied().chain(own.filter(|word| !word.is_empty()));
                let words = all.map(str::to_owned).collect();
                found.push((object.to_owned(), words));
            }
        }
    }
    found.sort();
    found
}

/// The table of objects and states: each one is seen by a test, or cannot be.
// Proves: DG-13
#[test]
fn every_state_of_every_object() {
    let proved: BTreeSet<(&str, &str)> = PROVED.iter().copied().flatten().copied().collect();
    let all = states();
    let mut missing = Vec::new();
    for (object, words) in &all {
        println!("{object}");
        for word in words {
            let here = NEVER_HERE.iter().find(|(own, known, _)| own == object && known == word);
            let never = NEVER.iter().find(|(known, _)| known == word).map(|(_, why)| why);
            let never = here.map(|(.., why)| why).or(never);
            match (proved.contains(&(object, word)), never) {
                (true, _) => println!("    {word:32} seen"),
                (false, Some(why)) => println!("    {word:32} never: {why}"),
                (false, None) => missing.push(format!("{object} {word}")),
            }
        }
    }
    let known =
        |object: &str, word: &str| all.iter().any(|(o, w)| o == object && w.iter().any(|w| w == word));
    let strange: Vec<_> = proved.iter().filter(|(object, word)| !known(object, word)).collect();
    assert!(strange.is_empty(), "no such state: {strange:?}");
    assert!(missing.is_empty(), "seen by no test: {missing:?}");
}
