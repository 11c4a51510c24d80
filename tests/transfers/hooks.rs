//! Commands of the platform that have a bad day, each with what the ACS is told.

use crate::acs::{Complete, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, FIRMWARE, LOG, SAVED, Setup};
use crate::files::Manner;

/// A Download of one type with these commands; what the ACS is told.
#[track_caller]
fn fetch(name: &str, file_type: &str, transfer: &str, commands: &str) -> (Complete, Bed) {
    let setup = Setup { transfer: transfer.into(), commands: commands.into(), ..Setup::default() };
    let bed = Bed::started(name, &setup);
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", file_type, &url));
    let complete = bed.told_one();
    assert_eq!(complete.command_key, "k");
    assert_eq!(bed.files.count("GET", "/f"), 1, "X-13");
    bed.quiet();
    assert!(bed.fetched_files().is_empty(), "nothing is left of it: {:?}", bed.fetched_files());
    (complete, bed)
}

#[test]
fn a_hook_that_fails() {
    let commands = "config_apply = [\"sh\", \"-c\", \"echo cannot do that; exit 3\", \"x\", \"{file}\"]";
    let (complete, _bed) = fetch("fails", CONFIG, "", commands);
    assert_eq!(complete.code, 9018, "{}", complete.text);
    assert!(complete.text.contains("cannot do that"), "{}", complete.text);
}

#[test]
fn a_hook_that_prints_megabytes() {
    for exit in [0, 1] {
        let loud =
            "head -c 5000000 /dev/zero | tr '\\\\\\\\0' x; head -c 5000000 /dev/zero | tr '\\\\\\\\0' y >&2";
        let commands =
            format!("config_apply = [\"sh\", \"-c\", \"{loud}; exit {exit}\", \"x\", \"{{file}}\"]");
        let (complete, bed) = fetch("loud", CONFIG, "", &commands);
        assert_eq!(complete.code, if exit == 0 { 0 } else { 9018 }, "{}", complete.text);
        assert!(complete.text.chars().count() <= 256 && bed.daemon.log().len() < 500_000);
    }
}

#[test]
fn a_hook_that_is_missing() {
    let (complete, _bed) = fetch("missing", CONFIG, "", "config_apply = [\"/no/such/hook\", \"{file}\"]");
    assert_eq!(complete.code, 9002, "{}", complete.text);
    assert!(complete.text.contains("/no/such/hook"), "{}", complete.text);
}

/// It has a deadline, and all that it started ends with it.
#[test]
fn a_hook_that_hangs() {
    let commands = "config_apply = [\"sh\", \"{dir}/hang\", \"{file}\"]";
    let setup =
        Setup { transfer: "apply_timeout = 1\n".into(), commands: commands.into(), ..Setup::default() };
    let mut bed = Bed::new("hangs", &setup);
    bed.script("hang", "sh -c 'echo $$ > $0/grandchild; exec tail -f /dev/null' $dir\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let complete = bed.told_one();
    assert_eq!(complete.code, 9002, "{}", complete.text);
    let pid = std::fs::read_to_string(bed.dir().join("grandchild")).expect("it ran");
    let process = std::path::Path::new("/proc").join(pid.trim()).join("cmdline");
    bed.daemon.wait_for("the end of what the hook started", || {
        std::fs::read(&process).map_or(true, |line| line.is_empty())
    });
}

#[test]
fn a_check_that_refuses() {
    let commands =
        "firmware_check = [\"sh\", \"-c\", \"echo not for this device; exit 1\", \"x\", \"{file}\"]";
    let (complete, bed) = fetch("check", FIRMWARE, "", commands);
    assert_eq!(complete.code, 9018, "{}", complete.text);
    assert!(complete.text.contains("not for this device"), "{}", complete.text);
    assert_eq!(bed.record(), Vec::<String>::new(), "X-23: nothing was flashed");
}

#[test]
fn a_check_that_hangs() {
    let commands = "firmware_check = [\"tail\", \"-f\", \"/dev/null\", \"{file}\"]";
    let (complete, bed) = fetch("check-hangs", FIRMWARE, "check_timeout = 1\n", commands);
    assert_eq!(complete.code, 9002, "{}", complete.text);
    assert_eq!(bed.record(), Vec::<String>::new(), "X-23");
}

/// with keys an unsigned image is not made use of.
// Proves: X-23
#[test]
fn x_23_an_image_that_nobody_signed() {
    let key = "RWQTaY96AKG0RajS5qqHfA81FOfNvVNaLGue99YhKsw/tt/PAjSwaNw3";
    let setup = Setup { transfer: format!("trusted_keys = [\"{key}\"]\n"), ..Setup::default() };
    let bed = Bed::started("unsigned", &setup);
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    let complete = bed.told_one();
    assert_eq!(complete.code, 9019, "{}", complete.text);
    assert_eq!(bed.files.count("GET", "/f.sig"), 1);
    assert_eq!(bed.record(), Vec::<String>::new(), "nothing was flashed");
}

/// A platform that cannot do it says so at once: nothing is promised.
// Proves: X-9
#[test]
fn a_platform_without_the_command() {
    let setup = Setup { commands: "config_apply = []\nlog_read = []\n".into(), ..Setup::default() };
    let bed = Bed::started("unable", &setup);
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(crate::SOON);
    let fault = session.download(&Transfer::new("k", CONFIG, &url)).expect_err("not here");
    assert!([9000, 9001, 9003, 9010].contains(&fault.code), "X-5: {fault:?}");
    let fault = session.upload(&Transfer::new("k", LOG, &url)).expect_err("not here");
    assert!([9000, 9001, 9003, 9011].contains(&fault.code), "X-6: {fault:?}");
    session.end();
    bed.quiet();
    assert_eq!(bed.acs.sessions(), 1, "X-9: not called when it was refused");
}

/// What cannot be made is not sent.
#[test]
fn a_save_that_fails() {
    let commands = "config_save = [\"sh\", \"-c\", \"echo half of it; exit 1\"]";
    let setup = Setup { commands: commands.into(), ..Setup::default() };
    let bed = Bed::started("save", &setup);
    bed.files.always("/up", Manner::Good);
    bed.upload(&Transfer::new("k", SAVED, &bed.files.url("/up")));
    let complete = bed.told_one();
    assert_eq!(complete.code, 9011, "{}", complete.text);
    assert_eq!(bed.files.uploaded("/up"), None, "half of a file is not taken for one");
}
