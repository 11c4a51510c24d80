//! credentials of a transfer are nowhere once it has been reported.

use crate::SOON;
use crate::acs::{Authentication, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, SAVED};
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

/// Nobody is told of these, so that no report takes the credentials away: a person's own, and those that a
/// former ACS asked for.
// Proves: X-33
#[test]
fn x_33_no_byte_is_left_of_what_nobody_is_told() {
    let bed = Bed::start("x-33-untold");
    let (url, password) = (bed.files.put("/f", CONTENT), bed.dir().join("password"));
    fs::write(&password, PASSWORD).expect("a file");
    let delayed = Transfer { delay_seconds: 5000, ..Transfer::new("former", CONFIG, &url) };
    bed.download(&delayed.with_credentials(USER, PASSWORD));
    let file = password.display().to_string();
    bed.daemon.ask(&["download", CONFIG, &url, "--username", USER, "--password-file", &file]);
    bed.daemon.wait_for("its end", || bed.applied().is_some() && bed.transfers().len() == 1);
    assert!(!found(&bed, PASSWORD).is_empty(), "that of the other one is there still");
    let mut session = bed.kicked();
    let new = format!("{}?new", bed.acs.url());
    session.set(&[("Device.ManagementServer.URL", "xsd:string", &new)], "").expect("taken");
    session.end();
    bed.acs.next_session(SOON).end();
    bed.daemon.wait_for("the end of the former", || bed.transfers().is_empty());
    fs::remove_file(password).expect("removed");
    for text in [USER, PASSWORD] {
        let found = found(&bed, text);
        assert!(found.is_empty(), "X-33: {text} stands in {found:?}");
    }
}
