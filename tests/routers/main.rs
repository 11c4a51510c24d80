//! Whole routers in folders: what the platform `openwrt` makes of each, how much of TR-181 that is, and what
//! changes do to their files. See `README.md` beside this.

mod bus;
mod changes;
mod counts;
#[allow(dead_code)] // a part of it is used here
#[path = "../daemon/mod.rs"]
mod daemon;
mod diff;
mod router;
mod snapshot;
#[path = "../ubusd/mod.rs"]
mod ubusd;

use router::{MASKS, Router, folder, routers};
use std::fs;

/// The tree of each router is as its golden file has it.
#[test]
fn golden_trees() {
    let write = std::env::var("CWMPD_GOLDEN").is_ok_and(|v| v == "write");
    let mut wrong = Vec::new();
    for name in routers() {
        let mut router = Router::of(&name);
        let text: String = router.values().into_iter().map(|(path, value)| line(&path, &value)).collect();
        let golden = folder().join(format!("{name}.golden"));
        if write {
            fs::write(&golden, text).expect("the golden file can be written");
            continue;
        }
        let known = fs::read_to_string(&golden).unwrap_or_default();
        if known != text {
            wrong.push(format!("{name}:\n{}", diff::lines(&known, &text)));
        }
    }
    assert!(wrong.is_empty(), "CWMPD_GOLDEN=write writes these; now they differ:\n{}", wrong.join("\n"));
}

/// A path and its value on one line. What changes with the wall clock or the machine is masked.
fn line(path: &str, value: &str) -> String {
    let general = router::general(path);
    let value = match MASKS.iter().find(|(pattern, _)| *pattern == general) {
        Some(_) if !value.is_empty() => "***".to_owned(),
        _ => value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"),
    };
    format!("{path}={value}\n")
}

/// A mask that masks nothing is of no use any more.
#[test]
fn masks_are_needed() {
    let mut seen = std::collections::BTreeSet::new();
    for name in routers() {
        seen.extend(Router::of(&name).values().into_iter().map(|(path, _)| router::general(&path)));
    }
    let idle: Vec<&str> = MASKS.iter().map(|m| m.0).filter(|m| !seen.contains(*m)).collect();
    assert!(idle.is_empty(), "masks without a value: {idle:?}");
}
