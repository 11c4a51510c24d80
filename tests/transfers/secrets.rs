//! credentials of a transfer are nowhere once it has been reported.

use crate::SOON;
use crate::acs::{Authentication, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, SAVED};
use cwmpd::state::journal::{Batch, Journal};
use std::fs;
use std::path::{Path, PathBuf};

const USER: &str = "u-53cr3t-n4m3";
const PASSWORD: &str = "p-53cr3t-w0rd";

/// The files below a folder.
fn below(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&path, out),
            Ok(kind) if kind.is_file() => out.push(path),
            _ => {}
        }
    }
}

/// Where a text stands in the folder of the bed.
fn found(bed: &Bed, text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    below(bed.dir(), &mut files);
    let holds = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap_or_default();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    };
    files.retain(holds);
    files
}

/// What a person asks for is reported to nobody: its credentials go all the same.
// Proves: X-33
#[test]
fn x_33_nor_of_ones_own() {
    let bed = Bed::start("x-33-own");
    bed.acs.next_session(SOON).end();
    bed.files.protect("/up", Authentication::Basic, USER, PASSWORD);
    let file = bed.dir().join("password");
    fs::write(&file, PASSWORD).expect("a file");
    let who = ["--username", USER, "--password-file", &file.display().to_string()];
    bed.daemon.ask(&[&["upload", SAVED, &bed.files.url("/up")][..], &who].concat());
    // It is in the queue before the shell has its prompt back, and until it is over.
    bed.daemon.wait_for("the end", || bed.daemon.ask(&["transfers"]).is_empty());
    assert!(bed.files.uploaded("/up").is_some());
    fs::remove_file(file).expect("a file");
    let found = found(&bed, PASSWORD);
    assert!(found.is_empty(), "X-33: it stands in {found:?}");
}

/// Good and bad ends, with a boot between; also what status and the command line say meanwhile.
// Proves: X-33
#[test]
fn x_33_no_byte_is_left() {
    let mut bed = Bed::start("x-33");
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"))
    };
    let good = bed.files.put("/good", CONTENT);
    bed.files.protect("/good", Authentication::Basic, USER, PASSWORD);
    bed.files.protect("/up", Authentication::Basic, USER, PASSWORD);
    let none = bed.files.url("/none");
    let in_url = good.replace("http://", &format!("http://{USER}:{PASSWORD}@"));
    let mut session = bed.acs.next_session(SOON);
    let with = |key: &str, url: &str| Transfer::new(key, CONFIG, url).with_credentials(USER, PASSWORD);
    let delayed = Transfer { delay_seconds: 2, ..with("delayed", &good) };
    session.download(&delayed).expect("promised");
    session.download(&with("good", &format!("{good}?token={PASSWORD}"))).expect("promised");
    session.download(&with("none", &none)).expect("promised");
    let up = Transfer::new("up", SAVED, &bed.files.url("/up")).with_credentials(USER, PASSWORD);
    session.upload(&up).expect("promised");
    let mut expected = 4;
    expected += usize::from(session.download(&Transfer::new("url", CONFIG, &in_url)).is_ok());
    session.download(&Transfer { delay_seconds: 5000, ..with("cancelled", &good) }).expect("promised");
    session.cancel("cancelled").expect("X-41");
    session.end();
    bed.daemon.kill();
    bed.daemon.start();
    let mut codes: Vec<(String, u16)> = Vec::new();
    while codes.len() < expected {
        bed.daemon.wait_ready();
        for words in [&["status"][..], &["status", "--json"], &["transfers"], &["transfers", "--json"]] {
            let said = bed.daemon.ask(words);
            assert!(!said.contains(PASSWORD) && !said.contains(USER), "{words:?}: {said}");
        }
        for complete in bed.told() {
            assert!(!complete.text.contains(PASSWORD), "{complete:?}");
            codes.push((complete.command_key, complete.code));
        }
    }
    codes.sort();
    let ends: Vec<(&str, u16)> = codes.iter().map(|(key, code)| (key.as_str(), *code)).collect();
    for end in [("delayed", 0), ("good", 0), ("none", 9016), ("up", 0)] {
        assert!(ends.contains(&end), "{end:?}: {ends:?}");
    }
    bed.quiet();
    for text in [USER, PASSWORD, &base64] {
        let found = found(&bed, text);
        assert!(found.is_empty(), "X-33: {text} stands in {found:?}");
    }
    assert!(!bed.daemon.log().contains(PASSWORD));
    bed.daemon.stop();
}

/// What the agent keeps has nothing of them.
#[track_caller]
fn is_clean(bed: &Bed) {
    for text in [USER, PASSWORD] {
        bed.daemon.wait_for("a clean folder", || found(bed, text).is_empty());
    }
}

/// One that was canceled is over, too: no report follows that would clear up behind it.
// Proves
#[test]
fn x_33_canceled_by_the_acs() {
    let bed = Bed::start("x-33-cancel");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let one = Transfer::new("k", CONFIG, &url).with_credentials(USER, PASSWORD);
    session.download(&Transfer { delay_seconds: 5000, ..one }).expect("promised");
    assert!(!found(&bed, PASSWORD).is_empty(), "it is kept as long as it is needed");
    session.cancel("k").expect("X-41");
    session.end();
    bed.quiet();
    is_clean(&bed);
}

/// The power goes between the ACS's answer and the clearing: the next start sees to it.
// Proves: X-33
#[test]
fn x_33_a_power_cut_before_it_is_cleared() {
    let mut bed = Bed::start("x-33-power");
    bed.acs.next_session(SOON).end();
    bed.daemon.stop();
    let mut journal = Journal::open(&bed.dir().join("state")).expect("nobody else has it");
    let mut batch = Batch::default();
    batch.put("q/7/secret", format!("{USER}\t{PASSWORD}\twhole\n"));
    journal.promise(batch).expect("written");
    let mut batch = Batch::default();
    batch.delete("q/7/secret");
    batch.put("b/purge", "due");
    journal.promise(batch).expect("written");
    drop(journal);
    assert!(!found(&bed, PASSWORD).is_empty(), "deleted, and in the file still");
    bed.daemon.start();
    bed.daemon.wait_ready();
    is_clean(&bed);
}

/// Those of a former ACS, which go with the new one's answer.
// Proves: X-33
#[test]
fn x_33_of_a_former_acs() {
    let bed = Bed::start("x-33-former");
    let other = crate::acs::Acs::start(crate::acs::Options::default());
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let one = Transfer::new("k", CONFIG, &url).with_credentials(USER, PASSWORD);
    session.download(&Transfer { delay_seconds: 5000, ..one }).expect("promised");
    session.set(&[("Device.ManagementServer.URL", "xsd:string", &other.url())], "").expect("set");
    session.end();
    let session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"]);
    session.end();
    bed.quiet();
    is_clean(&bed);
}
