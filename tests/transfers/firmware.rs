//! Images on a device with two banks: which of them runs, and what the ACS is told of it.

use crate::SOON;
use crate::acs::{Incident, Transfer};
use crate::bed::{Bed, CONTENT, FIRMWARE, Setup};
use std::fs;

const STORED: &str = "6 Stored Firmware Image";

/// The commands of a device that has the banks `A` and `B` in files.
const COMMANDS: &str = "\
reboot = [\"sh\", \"{dir}/note\", \"reboot\"]
firmware_apply = [\"sh\", \"{dir}/firmware\", \"{file}\", \"{bank}\"]
firmware_store = [\"sh\", \"{dir}/store\", \"{file}\", \"{bank}\"]
firmware_banks = [\"sh\", \"{dir}/banks\"]
firmware_boot = [\"sh\", \"{dir}/boot\", \"{bank}\"]
";

const BANKS: &str = "\
for bank in A B; do
  flags=none
  [ \"$(cat $dir/active)\" = $bank ] && flags=active
  [ \"$(cat $dir/next)\" = $bank ] && flags=$flags,boot
  printf '%s\\t%s\\t\\t%s\\n' $bank \"$(cat $dir/version.$bank)\" $flags
done
";
const NOTE: &str = "echo $1 >> $dir/record\n";
const BOOT: &str = "echo boot $1 >> $dir/record\necho $1 > $dir/next\n";
const STORE: &str =
    "cmp -s $1 $dir/image || exit 1\necho store $2 >> $dir/record\necho 2.0.0 > $dir/version.$2\n";
const APPLY: &str = "\
echo begin >> $dir/record
while [ -d $dir ] && [ -e $dir/wait ]; do sleep 0.02; done
echo 2.0.0 > $dir/version.$2
echo $2 > $dir/next
echo apply $2 >> $dir/record
";

/// Bank `A` with 1.0.0 runs, `B` is empty.
fn device(name: &str, transfer: &str) -> Bed {
    let setup = setup(transfer);
    let bed = Bed::new(name, &setup);
    for (name, text) in
        [("banks", BANKS), ("note", NOTE), ("boot", BOOT), ("store", STORE), ("firmware", APPLY)]
    {
        bed.script(name, text);
    }
    for (name, text) in
        [("active", "A"), ("next", "A"), ("version.A", "1.0.0"), ("version.B", ""), ("wait", "")]
    {
        fs::write(bed.dir().join(name), text).expect("a file");
    }
    fs::write(bed.dir().join("image"), CONTENT).expect("a file");
    fs::remove_file(bed.dir().join("wait")).expect("a file");
    bed
}

fn setup(transfer: &str) -> Setup {
    Setup { commands: COMMANDS.into(), transfer: transfer.into(), ..Setup::default() }
}

/// The device boots: what was to be next runs. With `falls_back`, its bootloader takes the other bank.
fn boot(bed: &mut Bed, transfer: &str, falls_back: bool) {
    bed.daemon.reboot();
    let read = |name: &str| fs::read_to_string(bed.dir().join(name)).expect("a file").trim().to_owned();
    let next = if falls_back { read("active") } else { read("next") };
    fs::write(bed.dir().join("active"), &next).expect("a file");
    fs::write(bed.dir().join("next"), &next).expect("a file");
    bed.configure(&setup(transfer), &read(&format!("version.{next}")));
    bed.daemon.start();
}

fn applied(bed: &Bed) {
    bed.daemon.wait_for("the image", || bed.record().iter().any(|line| line == "apply B"));
}

/// The new bank runs; and where the bootloader went back to the old one, that is told.
// Proves
#[test]
fn x_22_two_banks() {
    for falls_back in [false, true] {
        let mut bed = device("banks", "");
        bed.daemon.start();
        let url = bed.files.put("/f", CONTENT);
        bed.download(&Transfer::new("k", FIRMWARE, &url));
        applied(&bed);
        boot(&mut bed, "", falls_back);
        let mut session = bed.acs.next_session(SOON);
        let codes = session.inform.codes();
        assert!(codes.contains(&"1 BOOT") && codes.contains(&"M Download"), "X-22: {codes:?}");
        let complete = session.next_complete();
        let code = if falls_back { 9018 } else { 0 };
        assert_eq!(complete.brief(), ("k", code), "{}", complete.text);
        session.accept();
        let bank = if falls_back { "1" } else { "2" };
        let active = session.value("Device.DeviceInfo.ActiveFirmwareImage").expect("a bank");
        assert!(active.ends_with(bank) || active.ends_with(&format!("{bank}.")), "{active}");
        session.end();
        bed.quiet();
    }
}

/// Nobody boots the device: the ACS hears of it, and what waits behind goes on.
// Proves
#[test]
fn an_image_that_nobody_boots() {
    let mut bed = device("not-booted", "");
    let mut setup = setup("boot_timeout = 2");
    setup.commands = setup.commands.replace("[\"sh\", \"{dir}/note\", \"reboot\"]", "[]");
    bed.configure(&setup, "1.0.0");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9010), "{}", complete.text);
    assert!(complete.text.contains("has not booted"), "{}", complete.text);
    assert_eq!(bed.record(), ["begin", "apply B"]);
    bed.quiet();
    assert_eq!(bed.daemon.ask(&["transfers"]), "");
}

/// Type 6 fills the other bank, and boots nothing.
// Proves
#[test]
fn a_stored_image() {
    let mut bed = device("stored", "");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", STORED, &url));
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.completes().iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0)]);
    assert_eq!(session.value("Device.DeviceInfo.FirmwareImage.2.Version").as_deref(), Ok("2.0.0"));
    assert_eq!(session.value("Device.DeviceInfo.FirmwareImage.2.Status").as_deref(), Ok("Available"));
    session.end();
    bed.quiet();
    assert_eq!(bed.record(), ["store B"], "not activated");
}

/// A new image that cannot hold a session with the ACS: back to the old one, which tells why.
// Proves: X-23
#[test]
fn x_23_an_image_that_cannot_reach_the_acs() {
    let health = "health_timeout = 1\n";
    let mut bed = device("health", health);
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    applied(&bed);
    (0..60).for_each(|_| bed.acs.at(1, Incident::Status(503)));
    boot(&mut bed, health, false);
    bed.daemon.wait_ready();
    bed.daemon.wait_for("the way back", || bed.record().iter().any(|line| line == "boot A"));
    // A power cut at this moment changes nothing.
    bed.daemon.wait_for("the reboot", || bed.record().iter().any(|line| line == "reboot"));
    assert!(bed.daemon.ask(&["transfers"]).contains("back to bank A"));
    bed.acs.forget();
    boot(&mut bed, health, false);
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9018), "{}", complete.text);
    assert!(complete.text.contains("no session with the ACS within 1 s"), "{}", complete.text);
    bed.quiet();
    assert_eq!(bed.record(), ["begin", "apply B", "boot A", "reboot"], "once");
}

/// The way back that nobody boots: told, too, and the queue is free.
// Proves
#[test]
fn x_23_a_way_back_that_nobody_boots() {
    let health = "health_timeout = 1\nboot_timeout = 2\n";
    let mut bed = device("no-way-back", health);
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    applied(&bed);
    (0..60).for_each(|_| bed.acs.at(1, Incident::Status(503)));
    bed.daemon.reboot();
    fs::write(bed.dir().join("active"), "B").expect("a file");
    let mut setup = setup(health);
    setup.commands = setup.commands.replace("[\"sh\", \"{dir}/note\", \"reboot\"]", "[]");
    bed.configure(&setup, "2.0.0");
    bed.daemon.start();
    bed.daemon.wait_for("the way back", || bed.record().iter().any(|line| line == "boot A"));
    bed.daemon.wait_for("its end", || bed.daemon.ask(&["transfers"]).contains("9010"));
    bed.acs.forget();
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9010), "{}", complete.text);
    assert!(complete.text.contains("has not booted"), "{}", complete.text);
    bed.quiet();
    assert_eq!(bed.daemon.ask(&["transfers"]), "");
}

/// One that can: it is told behind the session that proves it.
// Proves: X-22
#[test]
fn x_22_an_image_that_proves_itself() {
    let health = "health_timeout = 600\n";
    let mut bed = device("healthy", health);
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    applied(&bed);
    (0..60).for_each(|_| bed.acs.at(1, Incident::Status(503)));
    boot(&mut bed, health, false);
    bed.daemon.wait_ready();
    bed.daemon.wait_for("an attempt", || bed.status()["retry_count"].as_u64() > Some(0));
    assert!(bed.daemon.ask(&["transfers"]).contains("has to hold a session"));
    // A restart of the agent alone changes nothing.
    bed.daemon.kill();
    bed.acs.forget();
    bed.daemon.start();
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT", "4 VALUE CHANGE"], "X-22");
    assert!(session.completes().is_empty());
    session.end();
    assert_eq!(bed.told_one().brief(), ("k", 0));
    bed.quiet();
    assert_eq!(bed.record(), ["begin", "apply B"]);
}

/// A reboot that is due waits until an image is written; so do sessions.
// Proves: X-23
#[test]
fn a_reboot_waits_for_the_image() {
    let mut bed = device("waits", "");
    fs::write(bed.dir().join("wait"), "").expect("a file");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("k", FIRMWARE, &url)).expect("promised");
    session.set(&[("Device.ManagementServer.DelayReboot", "xsd:int", "1")], "").expect("set");
    session.end();
    bed.daemon.wait_for("the image", || bed.record() == ["begin"]);
    bed.daemon.wait_for("the time of the reboot", || bed.daemon.log().contains("DelayReboot has come"));
    let sessions = bed.acs.sessions();
    bed.daemon.ask(&["inform"]);
    assert!(bed.daemon.ask(&["transfers"]).contains("applying"));
    fs::remove_file(bed.dir().join("wait")).expect("a file");
    bed.daemon.wait_for("the reboot", || bed.record().iter().any(|line| line == "reboot"));
    assert_eq!(bed.record(), ["begin", "apply B", "reboot"]);
    assert_eq!(bed.acs.sessions(), sessions, "no session while an image is written");
    boot(&mut bed, "", false);
    assert_eq!(bed.told_one().brief(), ("k", 0));
    bed.quiet();
}
