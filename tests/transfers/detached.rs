//! `firmware_apply` and the agent, each without the other; and the log that no file holds.

use crate::SOON;
use crate::acs::Transfer;
use crate::bed::{Bed, CONTENT, FIRMWARE, Setup};
use std::fs;

/// Writes down that it began, waits for a word, and "flashes". It ends with the test's folder.
const PATIENT: &str = "\
echo begin >> $dir/record
while [ ! -e $dir/go ]; do [ -d $dir ] || exit 9; sleep 0.02; done
sed 's/software_version = .*/software_version = \"2.0.0\"/' $dir/cwmpd.toml > $dir/new.toml
mv $dir/new.toml $dir/cwmpd.toml
echo end >> $dir/record
";

/// X-22: sysupgrade ends the agent. Whether that is by SIGTERM or by SIGKILL, the image is written to its
/// end, once, and the agent that is started meanwhile knows of it.
// Proves: X-21, X-22
#[test]
fn x_22_an_image_is_written_without_the_agent() {
    for gently in [true, false] {
        let mut bed = Bed::new("detached", &Setup::default());
        bed.script("firmware", PATIENT);
        bed.daemon.start();
        let url = bed.files.put("/f", CONTENT);
        bed.download(&Transfer::new("k", FIRMWARE, &url));
        bed.daemon.wait_for("the flash", || bed.record() == ["begin"]);
        match gently {
            true => drop(bed.daemon.stop()),
            false => bed.daemon.kill(),
        }
        assert_eq!(bed.record(), ["begin"]);
        bed.daemon.start();
        bed.daemon.wait_for("the same one", || bed.daemon.log().contains("firmware_apply still runs"));
        assert!(bed.daemon.ask(&["transfers"]).contains("applying"));
        fs::write(bed.dir().join("go"), "").expect("a word");
        bed.daemon.wait_for("its end", || bed.daemon.log().contains("how is not known"));
        bed.daemon.reboot();
        bed.daemon.start();
        assert_eq!(bed.told_one().brief(), ("k", 0), "the new image is there, and that is the truth");
        bed.quiet();
        assert_eq!(bed.record(), ["begin", "end"], "once");
    }
}

/// `firmware_apply` is never killed. One that hangs does not keep the device from its ACS for ever.
#[test]
fn an_image_that_is_written_for_ever() {
    let setup = Setup { transfer: "apply_timeout = 1\n".into(), ..Setup::default() };
    let mut bed = Bed::new("for-ever", &setup);
    bed.script("firmware", PATIENT);
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    bed.daemon.wait_for("the flash", || bed.record() == ["begin"]);
    bed.kicked().end();
    // Also when it was begun by an agent that is no more.
    bed.daemon.kill();
    bed.daemon.start();
    bed.daemon.wait_ready();
    bed.kicked().end();
    assert_eq!(bed.record(), ["begin"], "once, and it runs still");
    fs::write(bed.dir().join("go"), "").expect("a word");
    bed.daemon.wait_for("its end", || bed.record() == ["begin", "end"]);
}

/// The device is not booted while an image is written, also not by an agent that was started meanwhile and has
/// a reboot to do that failed before.
#[test]
fn an_image_that_is_written_is_not_cut_off_by_a_reboot() {
    let commands = "reboot = [\"sh\", \"{dir}/reboot\"]\n".into();
    let mut bed = Bed::new("cut-off", &Setup { commands, ..Setup::default() });
    bed.script("firmware", PATIENT);
    bed.script("reboot", "echo reboot >> $dir/record; exit 1\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("k", FIRMWARE, &url)).expect("promised");
    session.reboot("r").expect("promised");
    session.end();
    bed.daemon.wait_for("the flash", || bed.record() == ["reboot", "begin"]);
    bed.daemon.kill();
    bed.daemon.start();
    bed.daemon.wait_ready();
    // A reboot that is due comes before the first answer.
    assert!(bed.daemon.ask(&["transfers"]).contains("applying"));
    assert_eq!(bed.record(), ["reboot", "begin"]);
    fs::write(bed.dir().join("go"), "").expect("a word");
    bed.daemon.wait_for("its end", || bed.record().iter().any(|line| line == "end"));
}

/// What the first one left behind, a log and a process with that log open, is not taken for the second.
// Proves: X-23
#[test]
fn x_23_a_second_image_after_one_that_failed() {
    let mut bed = Bed::new("second", &Setup::default());
    bed.script("firmware", "tail -f /dev/null & echo $! >> $dir/left\necho no room >&2\nexit 1\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    for key in ["first", "second"] {
        bed.download(&Transfer::new(key, FIRMWARE, &url));
        let complete = bed.told_one();
        assert_eq!(complete.brief(), (key, 9010), "{}", complete.text);
        assert!(complete.text.contains("exit status 1: no room"), "{}", complete.text);
        bed.quiet();
        if key == "first" {
            bed.daemon.ask(&["inform"]);
        }
    }
    let left = fs::read_to_string(bed.dir().join("left")).expect("two of them");
    for pid in left.lines() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().expect("a number"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it was left alone");
    }
}

/// X-3: the system's log is a row of VendorLogFile, and what `log_read` writes.
// Proves: X-3
#[test]
fn x_3_the_log_that_no_file_holds() {
    let bed = Bed::start("log-row");
    let url = bed.files.url("/up");
    let mut session = bed.acs.next_session(SOON);
    let name = session.value("Device.DeviceInfo.VendorLogFile.1.Name");
    assert_eq!(name.as_deref(), Ok("system log"));
    session.upload(&Transfer::new("k", "4 Vendor Log File 1", &url)).expect("promised");
    session.end();
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 0), "{}", complete.text);
    assert_eq!(bed.files.uploaded("/up").as_deref(), Some(b"what the device has\n".as_slice()));
}
