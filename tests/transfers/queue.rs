//! What is queued: told when it is asked for, canceled, refused.

use crate::SOON;
use crate::acs::Transfer;
use crate::bed::{Bed, CONFIG, CONTENT, LOG, Setup};
use crate::files::Manner;
use std::fs;

/// one that runs, one that waits, one of a person at the device; canceled, they are told to
/// nobody, and their files are gone.
// Proves
#[test]
fn x_41_listed_and_canceled() {
    let bed = Bed::start("x-41");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer { file_size: 60, ..Transfer::new("one", CONFIG, &url) }).expect("promised");
    let later = |key: &str| Transfer { delay_seconds: 5000, ..Transfer::new(key, LOG, &url) };
    session.upload(&later("two")).expect("promised");
    session.upload(&later("two")).expect("X-28");
    session.end();
    bed.files.wait_at_gate("/f", SOON);
    bed.daemon.ask(&["download", CONFIG, &url]);
    let mut session = bed.kicked();
    let all = session.all_queued().expect("X-43");
    let list: Vec<(&str, u8, bool, &str, u32)> = all
        .iter()
        .map(|q| (q.command_key.as_str(), q.state, q.is_download, q.file_type.as_str(), q.file_size))
        .collect();
    let upload = ("two", 1, false, "4 Vendor Log File", 0);
    assert_eq!(list, [("one", 2, true, CONFIG, 60), upload, upload, ("", 1, true, CONFIG, 0)], "X-43");
    let own = |key: &str, state: u8| (key.to_string(), state);
    assert_eq!(session.queued().expect("X-44"), [own("one", 2), own("two", 1), own("two", 1)], "X-44");
    session.cancel("nobody has this").expect("X-42: no effect");
    session.cancel("two").expect("X-41");
    assert_eq!(session.queued().expect("X-44"), [own("one", 2)], "X-41: both of them");
    session.cancel("one").expect("X-41: a fetch can be stopped");
    assert_eq!(session.queued().expect("X-44"), []);
    session.end();
    // The one of the person begins now: the worker of the other has given up.
    bed.files.open("/f");
    bed.daemon.wait_for("the transfer of the person", || bed.applied().is_some());
    bed.quiet();
    assert!(bed.fetched_files().is_empty());
    let mut session = bed.kicked();
    assert!(session.completes().is_empty(), "X-42");
    session.end();
}

/// a fetch that is canceled ends at once, whatever its server does, and nothing is left of it.
// Proves
#[test]
fn x_42_a_fetch_is_given_up() {
    let bed = Bed::start("x-42");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    bed.download(&Transfer::new("k", CONFIG, &url));
    bed.files.wait_at_gate("/f", SOON);
    bed.daemon.wait_for("a part of the file", || !bed.fetched_files().is_empty());
    let mut session = bed.kicked();
    session.cancel("k").expect("X-41");
    session.end();
    // The gate is still closed.
    bed.daemon.wait_for("the end of the fetch", || bed.fetched_files().is_empty());
    bed.files.open("/f");
    bed.quiet();
    assert!(bed.record().is_empty(), "X-42");
    let mut session = bed.kicked();
    assert!(session.completes().is_empty(), "X-42");
    session.end();
}

/// what has ended can no longer not have been.
// Proves
#[test]
fn x_41_too_late() {
    let bed = Bed::start("x-41-late");
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let mut session = bed.acs.next_inform(SOON);
    session.hold(true);
    session.answer_inform();
    assert_eq!(session.queued().expect("X-44"), [("k".to_string(), 3)], "X-43");
    assert_eq!(session.cancel("k").expect_err("X-41").code, 9021);
    session.hold(false);
    session.reply_empty();
    assert_eq!(session.next_complete().brief(), ("k", 0));
    session.accept();
    session.end();
    bed.quiet();
}

/// rows of DeviceInfo are uploaded by their number; a row that is not there is refused at once.
// Proves
#[test]
fn x_3_files_of_the_tables() {
    let bed = Bed::start("x-3");
    let url = bed.files.url("/up");
    let mut session = bed.acs.next_session(SOON);
    let name = session.value("Device.DeviceInfo.VendorConfigFile.1.Name").expect("the agent's own");
    assert_eq!(name, bed.daemon.config().display().to_string());
    for kind in ["3 Vendor Configuration File 999", "4 Vendor Log File 999", "3 Vendor Configuration File 0"]
    {
        let fault = session.upload(&Transfer::new("k", kind, &url)).expect_err("X-3");
        assert_eq!(fault.code, 9003, "{kind}: {fault:?}");
    }
    session.upload(&Transfer::new("k", "3 Vendor Configuration File 1", &url)).expect("promised");
    session.end();
    assert_eq!(bed.told_one().brief(), ("k", 0));
    assert_eq!(bed.files.uploaded("/up"), fs::read(bed.daemon.config()).ok());
    bed.quiet();
}

/// more than there will ever be room for is refused at once; a hint that is wrong is no error.
// Proves: X-24
#[test]
fn x_24_file_size() {
    let setup = Setup { transfer: "max_bytes = 1000000\n".into(), ..Setup::default() };
    let bed = Bed::started("x-24", &setup);
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let asked = |size: u32| Transfer { file_size: size, ..Transfer::new(&size.to_string(), CONFIG, &url) };
    assert_eq!(session.download(&asked(1_000_001)).expect_err("X-24").code, 9004);
    assert_eq!(session.download(&asked(u32::MAX)).expect_err("X-24").code, 9004);
    session.download(&asked(1_000_000)).expect("X-24: a hint");
    session.end();
    assert_eq!(bed.told_one().brief(), ("1000000", 0));
    bed.quiet();
}

/// the agent is stopped while a file is applied, and what came of that nobody knows; one that
/// was about to end in that moment has a moment to do so.
// Proves
#[test]
fn x_36_stopped_while_a_file_is_applied() {
    let mut bed = Bed::new("x-36", &Setup::default());
    // It waits for a word, and the test's folder goes in the end.
    bed.script(
        "apply",
        "echo begin >> $dir/record\nwhile [ -d $dir ] && [ ! -e $dir/go ]; do sleep 0.02; done\n",
    );
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    bed.daemon.wait_for("the hook", || !bed.record().is_empty());
    bed.daemon.stop();
    fs::write(bed.dir().join("go"), "").expect("a file");
    bed.daemon.start();
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9010), "{}", complete.text);
    assert!(complete.text.contains("interrupted"), "{}", complete.text);
    bed.quiet();
    assert_eq!(bed.record(), ["begin"], "not twice");
    assert!(bed.fetched_files().is_empty());
}
