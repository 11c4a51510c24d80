//! Disks that are full, and folders that cannot be written.

use crate::SOON;
use crate::acs::{Session, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, Setup};
use crate::files::Manner;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A disk of its own, of some KiB; goes with its owner.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount.
    fn mount(at: &Path, size: &str) -> Option<Disk> {
        fs::create_dir_all(at).expect("a folder");
        let option = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk(at.to_owned()));
        }
        println!("no right to mount a small disk: not tried");
        None
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        let piece = [b'x'; 512];
        while std::io::Write::write_all(&mut filler, &piece).is_ok() {}
    }

    fn clear(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// The disk for fetched files is too small: said before, by FileSize, and found on the way.
// Proves: X-24
#[test]
fn no_room_for_the_file() {
    let setup = Setup { transfer: "download_dir = \"{dir}/disk\"\n".into(), ..Setup::default() };
    let mut bed = Bed::new("no-room", &setup);
    let Some(_disk) = Disk::mount(&bed.dir().join("disk"), "64k") else { return };
    bed.daemon.start();
    bed.acs.next_session(SOON).end();
    for (key, manner, size) in [
        ("length", Manner::Good, 0),
        ("chunks", Manner::Chunks(1000), 0),
        ("until-the-end", Manner::NoLength, 0),
        ("said", Manner::Chunks(1000), 200_000),
    ] {
        let url = bed.files.put(&format!("/{key}"), vec![b'x'; 200_000]);
        bed.files.always(&format!("/{key}"), manner);
        let mut session = bed.kicked();
        let transfer = Transfer { file_size: size, ..Transfer::new(key, CONFIG, &url) };
        match session.download(&transfer) {
            Ok(()) => {
                session.end();
                let complete = bed.told_one();
                assert_eq!(complete.brief(), (key, 9010), "{}", complete.text);
            }
            Err(fault) => {
                assert!(size > 0 && [9004, 9010].contains(&fault.code), "X-24: {fault:?}");
                session.end();
            }
        }
        bed.quiet();
        let left: Vec<_> = fs::read_dir(bed.dir().join("disk")).expect("a folder").flatten().collect();
        assert!(left.is_empty(), "nothing is left of it: {left:?}");
    }
    let url = bed.files.put("/small", CONTENT);
    let mut session = bed.kicked();
    session.download(&Transfer::new("small", CONFIG, &url)).expect("promised");
    session.end();
    assert_eq!(bed.told_one().brief(), ("small", 0));
}

/// A folder that nobody can make or write.
#[test]
fn a_folder_that_cannot_be() {
    let setup = Setup { transfer: "download_dir = \"{dir}/barrier/below\"\n".into(), ..Setup::default() };
    let mut bed = Bed::new("barrier", &setup);
    fs::write(bed.dir().join("barrier"), "a file where a folder should be").expect("written");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    if let Err(fault) = session.download(&Transfer::new("k", CONFIG, &url)) {
        assert!([9002, 9004, 9010].contains(&fault.code), "{fault:?}");
        return;
    }
    session.end();
    let complete = bed.told_one();
    assert_eq!(complete.code, 9010, "{}", complete.text);
}

#[test]
fn a_read_only_folder() {
    let setup = Setup { transfer: "download_dir = \"{dir}/disk\"\n".into(), ..Setup::default() };
    let mut bed = Bed::new("read-only", &setup);
    let Some(disk) = Disk::mount(&bed.dir().join("disk"), "64k") else { return };
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status();
    assert!(remounted.is_ok_and(|status| status.success()));
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let complete = bed.told_one();
    assert_eq!(complete.code, 9010, "{}", complete.text);
    assert!(complete.text.to_lowercase().contains("read-only"), "{}", complete.text);
}

/// Fills what is left of the journal's last page, too.
fn stuff(session: &mut Session) {
    let value = |n: usize| format!("{n:064}");
    let name = "Device.DeviceInfo.ProvisioningCode";
    let refused = (0..1000).find_map(|n| session.set(&[(name, "xsd:string", &value(n))], "").err());
    let fault = refused.expect("a disk that is full");
    assert!([9002, 9003].contains(&fault.code), "{fault:?}");
}

/// The journal's disk is full: nothing is promised (9002), and what was promised before waits for room.
// Proves: X-21
#[test]
fn no_room_for_the_journal() {
    for step in ["asked", "fetching", "told"] {
        let mut bed = Bed::new("journal", &Setup::default());
        let Some(disk) = Disk::mount(&bed.dir().join("state"), "128k") else { return };
        bed.daemon.start();
        let url = bed.files.put("/f", CONTENT);
        bed.files.always("/f", Manner::Gate(10));
        let transfer = Transfer::new("k", CONFIG, &url);
        let mut session = bed.acs.next_session(SOON);
        if step == "asked" {
            disk.fill();
            stuff(&mut session);
            let fault = session.download(&transfer).expect_err("it would be forgotten");
            assert_eq!(fault.code, 9002, "{fault:?}");
            disk.clear();
        }
        session.download(&transfer).expect("promised");
        session.end();
        bed.files.wait_at_gate("/f", SOON);
        if step == "fetching" {
            disk.fill();
            let mut session = bed.kicked();
            stuff(&mut session);
            session.end();
        }
        bed.files.open("/f");
        if step == "fetching" {
            bed.daemon.wait_for("the journal's complaint", || !bed.status()["state_problem"].is_null());
            // what it still had to say, to somebody who does not listen
            bed.daemon.kill();
            while bed.acs.inform_within(Duration::from_millis(100)).is_some() {}
            disk.clear();
            bed.daemon.start();
        }
        let mut session = bed.acs.next_session(SOON);
        if step == "told" {
            session.next_complete();
            disk.fill();
            session.accept();
            stuff(&mut session);
            session.ready();
            disk.clear();
        }
        let all = session.completes();
        assert_eq!(all.iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0)], "{step}");
        session.end();
        // the disk goes before the folder in which it lies
        bed.daemon.kill();
        drop(disk);
    }
}
