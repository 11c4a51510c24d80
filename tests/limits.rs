//! `docs/limits.md` against the sources, in both directions: each constant that it names is there, with
//! that value and a comment, and each test that it names too; and no limit of the rooms that a peer
//! reaches is missing in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where peers, disks, scripts and administrators are read. Every `const MAX_…` below them is a limit.
const ROOMS: [&str; 26] = [
    "src/soap",
    "src/diagnostics/plan",
    "src/diagnostics/capture",
    "src/diagnostics/capture.rs",
    "src/diagnostics/neighbours",
    "src/diagnostics/neighbours.rs",
    "src/diagnostics/selftest.rs",
    "src/sys/netlink/wireless.rs",
    "src/net",
    "src/state",
    "src/agent",
    "src/cwmp",
    "src/config",
    "src/model",
    "src/transfer",
    "src/handlers/exec",
    "src/handlers/exec.rs",
    "src/handlers/firmware.rs",
    "src/sys/child.rs",
    "src/sys/command.rs",
    "src/sys/ubus",
    "src/sys/uci",
    "src/sys/tar.rs",
    "src/sys/trace.rs",
    "src/sys/unpack.rs",
    "src/cli/snapshot",
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every Rust file below a folder, or the file itself, as paths from the top.
fn sources(path: &str, out: &mut Vec<String>) {
    if here(path).is_file() {
        return out.push(path.to_owned());
    }
    for entry in fs::read_dir(here(path)).unwrap_or_else(|e| panic!("{path}: {e}")) {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if !name.starts_with('.') && (here(&format!("{path}/{name}")).is_dir() || name.ends_with(".rs")) {
            sources(&format!("{path}/{name}"), out);
        }
    }
}

/// The constants of a file with their values, and whether a comment stands above each.
fn constants(path: &str) -> BTreeMap<String, (String, bool)> {
    let text = text(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let rest = line.strip_prefix("pub").map_or(*line, |r| r.trim_start_matches("(super)"));
        let Some((name, rest)) = rest.trim_start().strip_prefix("const ").and_then(|r| r.split_once(": "))
        else {
            continue;
        };
        if let Some(value) = rest.split_once(" = ").and_then(|(_, v)| v.strip_suffix(';')) {
            let told = at > 0 && lines[at - 1].starts_with("///");
            found.insert(name.to_owned(), (value.to_owned(), told));
        }
    }
    found
}

/// The cells of each row of each table, without their marks.
fn rows() -> Vec<Vec<String>> {
    let text = text("docs/limits.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect())
        .collect()
}

fn is_test(place: &str) -> bool {
    let Some((file, name)) = place.split_once("::") else { return false };
    here(file).is_file() && text(file).contains(&format!("fn {name}("))
}

#[test]
fn the_tables_say_what_the_sources_say() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for row in rows() {
        let proof = row.last().expect("a cell");
        if !proof.starts_with("none: ") && !is_test(proof) {
            wrong.push(format!("{}: there is no test {proof}", row[0]));
        }
        let [what, constant, value, ..] = &row[..] else { panic!("{row:?}") };
        let Some((file, name)) = constant.split_once("::") else { continue };
        named += 1;
        match constants(file).get(name) {
            None => wrong.push(format!("{what}: there is no {constant}")),
            Some((found, _)) if found != value => {
                wrong.push(format!("{what}: {constant} is {found}, not {value}"));
            }
            Some((_, false)) => wrong.push(format!("{what}: {constant} has no comment")),
            Some(_) => {}
        }
    }
    assert!(named > 80, "{named} rows were understood");
    assert!(wrong.is_empty(), "docs/limits.md:\n{}", wrong.join("\n"));
}

#[test]
fn no_limit_is_left_out() {
    let named: Vec<String> = rows().into_iter().filter_map(|row| row.into_iter().nth(1)).collect();
    let mut files = Vec::new();
    ROOMS.iter().for_each(|room| sources(room, &mut files));
    let mut missing = Vec::new();
    for file in files.iter().filter(|f| !f.contains("test")) {
        for name in constants(file).into_keys().filter(|name| name.starts_with("MAX_")) {
            let place = format!("{file}::{name}");
            if !named.contains(&place) {
                missing.push(place);
            }
        }
    }
    assert!(missing.is_empty(), "these limits want a row in docs/limits.md:\n{}", missing.join("\n"));
}
