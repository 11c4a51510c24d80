//! Devices with two banks: a new image has to prove itself where that is wished.

use crate::SOON;
use crate::acs::{Incident, Transfer};
use crate::bed::{Bed, CONTENT, FIRMWARE, Setup};
use std::fs;

const COMMANDS: &str = "\
reboot = [\"sh\", \"{dir}/reboot\"]
firmware_apply = [\"sh\", \"{dir}/flash\", \"{file}\", \"{bank}\"]
firmware_store = [\"sh\", \"{dir}/store\", \"{file}\", \"{bank}\"]
firmware_banks = [\"cat\", \"{dir}/banks\"]
firmware_boot = [\"sh\", \"{dir}/boot\", \"{bank}\"]
";

/// A device whose bank `a` runs and whose bank `b` is empty.
fn device(name: &str, transfer: &str) -> Bed {
    let setup = Setup { transfer: transfer.into(), commands: COMMANDS.into(), ..Setup::default() };
    let mut bed = Bed::new(name, &setup);
    bed.script("flash", "cp \"$1\" $dir/applied; echo $2 > $dir/next; echo flash $2 >> $dir/record\n");
    bed.script("store", "echo store $2 >> $dir/record; cp \"$1\" $dir/applied\n");
    bed.script("boot", "echo $1 > $dir/next; echo boot $1 >> $dir/record\n");
    bed.script("reboot", "echo reboot >> $dir/record\n");
    banks(&bed, "a", "1.0.0", "");
    bed.daemon.start();
    bed
}

/// What `firmware_banks` says from now on.
fn banks(bed: &Bed, active: &str, a: &str, b: &str) {
    let line = |name: &str, version: &str| {
        let flags = if name == active { "active,boot" } else { "" };
        format!("{name}\t{version}\t\t{flags}\n")
    };
    fs::write(bed.dir().join("banks"), line("a", a) + &line("b", b)).expect("a file");
}

/// What the boot loader does: boots the bank that was said, which has this version.
fn boot(bed: &mut Bed, bank: &str, version: &str) {
    bed.daemon.kill();
    let next = fs::read_to_string(bed.dir().join("next")).expect("a bank was said");
    assert_eq!(next.trim(), bank);
    banks(bed, bank, "1.0.0", "2.0.0");
    let text = fs::read_to_string(bed.daemon.config()).expect("a configuration");
    let line = text.lines().find(|l| l.starts_with("software_version")).expect("a version").to_owned();
    let text = text.replace(&line, &format!("software_version = \"{version}\""));
    fs::write(bed.daemon.config(), text).expect("written");
    bed.daemon.reboot();
    bed.daemon.start();
}

/// An image is flashed into the other bank; the device is about to boot it.
fn flashed(name: &str, transfer: &str) -> Bed {
    let bed = device(name, transfer);
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    bed.daemon.wait_for("the flash", || bed.record().iter().any(|line| line == "flash b"));
    bed
}

// Proves: X-22
#[test]
fn the_other_bank_is_booted() {
    let mut bed = flashed("other-bank", "");
    boot(&mut bed, "b", "2.0.0");
    assert_eq!(bed.told_one().brief(), ("k", 0));
    bed.quiet();
}

/// The boot loader came back to the former bank by itself.
// Proves: X-23
#[test]
fn the_former_bank_is_booted_again() {
    let mut bed = flashed("former-bank", "");
    fs::write(bed.dir().join("next"), "a").expect("written");
    boot(&mut bed, "a", "1.0.0");
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9018), "{}", complete.text);
    bed.quiet();
}

/// It holds a session in time: that is told in the next one.
#[test]
fn an_image_that_proves_itself() {
    let mut bed = flashed("proves", "health_timeout = 600\n");
    boot(&mut bed, "b", "2.0.0");
    let mut told = Vec::new();
    while told.is_empty() {
        let mut session = bed.acs.next_session(SOON);
        told = session.completes();
        session.end();
    }
    assert_eq!(told[0].brief(), ("k", 0));
    bed.quiet();
    assert!(!bed.record().iter().any(|line| line.starts_with("boot")), "{:?}", bed.record());
}

/// It does not: the former bank is booted, and the ACS is told so from there.
// Proves: X-23
#[test]
fn an_image_that_does_not_prove_itself() {
    let mut bed = flashed("fails-to", "health_timeout = 1\n");
    (0..200).for_each(|_| bed.acs.at(1, Incident::Drop));
    boot(&mut bed, "b", "2.0.0");
    bed.daemon.wait_for("the way back", || bed.record().ends_with(&["boot a".into(), "reboot".into()]));
    bed.acs.forget();
    boot(&mut bed, "a", "1.0.0");
    let complete = loop {
        let mut session = bed.acs.next_session(SOON);
        let told = session.completes();
        session.end();
        if let Some(complete) = told.first() {
            break complete.clone();
        }
    };
    assert_eq!(complete.brief(), ("k", 9018), "{}", complete.text);
    bed.quiet();
}

/// The agent is killed on the way back, before the former bank is the one to boot.
// Proves: X-23
#[test]
fn a_way_back_that_is_cut_off() {
    let mut bed = flashed("cut-back", "health_timeout = 1\n");
    let once = "[ -e $dir/once ] || { touch $dir/once; kill -9 $PPID; exit 1; }\n";
    bed.script("boot", &format!("{once}echo $1 > $dir/next; echo boot $1 >> $dir/record\n"));
    (0..200).for_each(|_| bed.acs.at(1, Incident::Drop));
    boot(&mut bed, "b", "2.0.0");
    bed.daemon.wait_for("the way back", || bed.dir().join("once").exists());
    bed.daemon.kill();
    bed.daemon.start();
    bed.daemon.wait_for("the rest of it", || bed.record().ends_with(&["boot a".into(), "reboot".into()]));
}

/// The boot loader does not follow: what runs is the new image, and the device does not boot for ever.
#[test]
fn a_boot_loader_that_does_not_go_back() {
    let mut bed = flashed("stays", "health_timeout = 1\n");
    (0..2000).for_each(|_| bed.acs.at(1, Incident::Drop));
    boot(&mut bed, "b", "2.0.0");
    bed.daemon.wait_for("the way back", || bed.record().ends_with(&["boot a".into(), "reboot".into()]));
    fs::write(bed.dir().join("next"), "b").expect("written");
    boot(&mut bed, "b", "2.0.0");
    bed.daemon.wait_ready();
    // Nobody has been told yet, and it is done all the same.
    bed.daemon.wait_for("its end", || bed.transfers().iter().any(|t| t["step"] == "done"));
    assert_eq!(bed.record().iter().filter(|line| *line == "boot a").count(), 1, "{:?}", bed.record());
}

/// `6 Stored Firmware Image`: into the bank that does not run, and nothing is booted.
#[test]
fn a_stored_image() {
    let bed = device("stored", "");
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", "6 Stored Firmware Image", &url));
    assert_eq!(bed.told_one().brief(), ("k", 0));
    assert_eq!((bed.record(), bed.applied().as_deref()), (vec!["store b".to_string()], Some(CONTENT)));
    bed.quiet();
}

/// The agent is killed, and its `firmware_store` writes on: no second one writes to the same bank beside it.
// Proves: X-23
#[test]
fn two_images_for_one_bank() {
    let mut bed = device("two-images", "");
    bed.script(
        "store",
        "echo store >> $dir/record\nwhile [ ! -e $dir/go ]; do [ -d $dir ] || exit 9; sleep 0.02; done\n\
         echo stored >> $dir/record\n",
    );
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("first", "6 Stored Firmware Image", &url));
    bed.daemon.wait_for("the first", || bed.record() == ["store"]);
    bed.daemon.kill();
    bed.daemon.start();
    assert_eq!(bed.told_one().brief(), ("first", 9010));
    bed.daemon.ask(&["inform"]);
    bed.download(&Transfer::new("second", "6 Stored Firmware Image", &url));
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("second", 9010), "{}", complete.text);
    assert!(complete.text.contains("still runs"), "{}", complete.text);
    fs::write(bed.dir().join("go"), "").expect("a word");
    bed.daemon.wait_for("the end of the first", || bed.record() == ["store", "stored"]);
    bed.daemon.ask(&["inform"]);
    bed.download(&Transfer::new("third", "6 Stored Firmware Image", &url));
    assert_eq!(bed.told_one().brief(), ("third", 0));
}
