//! Diagnostics against the network's known truth: ours beside the tool's, in network namespaces of the bench's own.
//! `cargo bench --bench diagnostics` prints all figures; words behind `--` choose parts (`ping`, `loss`, `trace`).
//! A tool that is not there is named as missing, or busybox's takes its place, which is named, too.

#[path = "../tests/acs/mod.rs"]
mod acs;
#[allow(dead_code)]
#[path = "../tests/daemon/mod.rs"]
mod daemon;
#[allow(dead_code)]
#[path = "../tests/diagnostics/net.rs"]
mod net;
#[path = "diagnostics/paths.rs"]
mod paths;

use cwmpd::diagnostics::run::Run;
use cwmpd::diagnostics::{Arguments, Around, Job, KINDS, Report};
use net::Bed;
use std::process::Command;

/// Set in a process that runs at a place of the network: the word of a test, and its arguments.
const INSIDE: &str = "CWMPD_BENCH_INSIDE";

/// A host that leaves some pings unanswered.
pub const QUIET: &str = "quiet-host";

/// A word and what it measures.
type Part = (&'static str, fn(&Bed));

/// All of them, in the order in which they are printed.
const PARTS: &[Part] = &[("ping", paths::ping), ("loss", paths::loss), ("trace", paths::trace)];

fn main() {
    if let Ok(asked) = std::env::var(INSIDE) {
        return inside(&asked);
    }
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (word, part) in PARTS {
        if chosen.is_empty() || chosen.iter().any(|one| one == word) {
            match Bed::new() {
                Ok(bed) => part(&bed),
                Err(why) => println!("{word}: skipped: no namespaces here: {why}"),
            }
        }
    }
}

/// This program at a place of the network, to do what `inside` knows.
pub fn at(bed: &Bed, place: &str, asked: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bed.namespace(place)]).arg(program).env(INSIDE, asked);
    command
}

/// What our own test says, run on the device: state, results and tables as lines.
pub fn ours(bed: &Bed, word: &str, arguments: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let output = at(bed, "device", &format!("{word} {}", pairs.join(" "))).output().expect("ip runs");
    assert!(output.status.success(), "{word}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// A number of what it said.
pub fn number(said: &[(String, String)], name: &str) -> f64 {
    let found = said.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {said:?}"))
}

fn inside(asked: &str) {
    if asked == QUIET {
        return paths::quiet_host();
    }
    let mut words = asked.split(' ');
    let word = words.next().unwrap_or_default();
    let kind = KINDS.iter().find(|kind| kind.word == word).unwrap_or_else(|| panic!("no test {word}"));
    let mut arguments = Arguments::default();
    words.filter_map(|pair| pair.split_once('=')).for_each(|(name, value)| arguments.set(name, value));
    let (wake, _keep) = nix::unistd::pipe().expect("a pipe");
    let job = Job { arguments, device: None, around: Around::default() };
    let report: Report = (kind.run)(&job, &mut Run::new(wake, None)).expect("nobody cancels it");
    println!("DiagnosticsState={}", report.state);
    report.values.iter().for_each(|(name, value)| println!("{name}={value}"));
    for (table, rows) in &report.tables {
        for (row, values) in rows.iter().enumerate() {
            values.iter().for_each(|(name, value)| println!("{table}.{}.{name}={value}", row + 1));
        }
    }
}
