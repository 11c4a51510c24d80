//! Transfers, as a person at the device sees and makes them.

use crate::SOON;
use crate::acs::{Authentication, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, FIRMWARE, SAVED, Setup};
use crate::files::Manner;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// `cwmpd transfers` while one runs, and `--follow` until none is left.
#[test]
fn what_one_sees() {
    let bed = Bed::start("seen");
    let url = bed.files.put("/f", vec![b'x'; 10_000]);
    bed.files.always("/f", Manner::Gate(4_000));
    bed.download(&Transfer::new("key", CONFIG, &url));
    bed.files.wait_at_gate("/f", SOON);
    let line = format!("#1 Download {CONFIG} (CommandKey key): fetching, 40 % of 10.0 kB\n    {url}\n");
    bed.daemon.wait_for("40 %", || bed.daemon.ask(&["transfers"]) == line);
    let shown = bed.daemon.ask(&["status"]);
    assert!(shown.contains("Transfers           #1 Download"), "{shown}");
    let mut follow = Command::new(env!("CARGO_BIN_EXE_cwmpd"))
        .args(["transfers", "--follow", "--config"])
        .arg(bed.daemon.config())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command line runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().map(|line| line.expect("a line"));
    assert_eq!(next().as_deref(), line.lines().next());
    bed.files.open("/f");
    let mut last = String::new();
    while let Some(line) = next() {
        last = line;
    }
    assert!(follow.wait().expect("its end").success());
    // It may have been told already, and be gone, when one looks.
    assert!(last.is_empty() || !last.contains("FAILED"), "{last}");
    bed.told_one();
    bed.quiet();
    assert_eq!(bed.daemon.ask(&["transfers"]), "");
}

/// A person's own: with a password from a file, both ways; the ACS, which has set no policy, hears nothing.
// Proves: X-46
#[test]
fn ones_own() {
    let bed = Bed::start("own");
    bed.acs.next_session(SOON).end();
    let url = bed.files.put("/f", CONTENT);
    for path in ["/f", "/up"] {
        bed.files.protect(path, Authentication::Basic, "person", "pass word");
    }
    let file = bed.dir().join("password");
    std::fs::write(&file, "pass word\n").expect("a file");
    let file = file.display().to_string();
    let who = ["--username", "person", "--password-file", &file];
    let number = bed.daemon.ask(&[&["download", CONFIG, &url][..], &who].concat());
    assert_eq!(number, "#1\n");
    bed.daemon.wait_for("the download", || bed.applied().as_deref() == Some(CONTENT));
    bed.daemon.ask(&[&["upload", SAVED, &bed.files.url("/up")][..], &who].concat());
    bed.daemon.wait_for("the upload", || bed.files.uploaded("/up").is_some());
    bed.quiet();
    assert_eq!(bed.acs.sessions(), 1);
    let refused = bed.daemon.cli(&["download", "7 Nothing", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("9003"), "{refused:?}");
    assert!(!bed.daemon.log().contains("pass word"), "X-33");
}

/// Nothing tells of an own transfer that could not go on; the next one has its turn all the same.
#[test]
fn one_that_cannot_go_on_holds_up_nobody() {
    let setup = Setup { transfer: "trusted_keys = [\"{dir}/key\"]\n".into(), ..Setup::default() };
    let mut bed = Bed::new("own-turn", &setup);
    let key = bed.dir().join("key");
    std::fs::write(&key, "").expect("a file");
    bed.daemon.start();
    bed.acs.next_session(SOON).end();
    let url = bed.files.put("/image", CONTENT);
    let second = bed.files.put("/second", CONTENT);
    bed.files.always("/image", Manner::Gate(10));
    // Nor is it to be woken by what it has to look at behind its start.
    let looks = || bed.daemon.log().matches("what is watched is compared").count();
    bed.daemon.wait_for("a look", || looks() >= 2);
    bed.daemon.ask(&["download", FIRMWARE, &url]);
    bed.daemon.ask(&["download", CONFIG, &second]);
    bed.files.wait_at_gate("/image", SOON);
    std::fs::remove_file(key).expect("removed");
    bed.files.open("/image");
    // To ask the daemon how it goes would wake it.
    bed.files.wait_for("GET", "/second", 1, SOON);
    assert!(bed.daemon.log().contains("transfer.trusted_keys"), "{}", bed.daemon.log());
}

/// A person takes back what the ACS asked for: that is told, as what it is.
// Proves: X-9
#[test]
fn canceled_at_the_device() {
    let bed = Bed::start("taken-back");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("runs", CONFIG, &url)).expect("promised");
    let later = Transfer { delay_seconds: 5000, ..Transfer::new("waits", CONFIG, &url) };
    session.download(&later).expect("promised");
    session.end();
    bed.files.wait_at_gate("/f", SOON);
    for (key, name) in [("waits", "waits"), ("#1", "runs")] {
        bed.daemon.ask(&["transfers", "cancel", key]);
        let complete = bed.told_one();
        assert_eq!(complete.brief(), (name, 9001), "{}", complete.text);
        assert!(complete.text.contains("canceled at the device"), "{}", complete.text);
    }
    bed.quiet();
    let none = bed.daemon.cli(&["transfers", "cancel", "#1"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    bed.files.open("/f");
    assert!(bed.record().is_empty());
}
