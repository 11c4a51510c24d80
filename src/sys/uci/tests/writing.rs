//! Files replaced under the lock, and what happens when they cannot be.

use super::*;
use crate::handlers::probe::Folder;
use nix::fcntl::{Flock, FlockArg};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

const FILE: &str = "config a s\n\toption x 1 # one\n\toption y 2\n";

fn folder() -> (Folder, PathBuf) {
    let folder = Folder::new();
    folder.file("etc/config/a", FILE);
    let path = folder.root().join("etc/config/a");
    (folder, path)
}

#[test]
fn the_file_is_replaced_whole_with_its_mode_and_link() {
    let (f, path) = folder();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    f.bytes("elsewhere/a", FILE.as_bytes());
    let inode = fs::metadata(&path).expect("it is there").ino();
    let p = load(f.root(), "a").expect("it can be read").expect("it is there");
    let saved = undo_of(&p, &[set("s", "x", "3")]);
    commit(f.root(), "a", &[set("s", "x", "3")]).expect("it can be written");
    assert_eq!(f.text("etc/config/a"), "config a s\n\toption x '3' # one\n\toption y 2\n");
    let meta = fs::metadata(&path).expect("it is there");
    assert_eq!(meta.mode() & 0o7777, 0o640);
    assert_ne!(meta.ino(), inode, "another file has the name");
    assert_eq!(fs::read_dir(f.root().join("etc/config")).expect("a folder").count(), 1, "no rests");
    revert(f.root(), "a", &saved).expect("it can be written");
    assert_eq!(f.text("etc/config/a"), FILE);
    // What is there already is not written.
    let inode = fs::metadata(&path).expect("it is there").ino();
    commit(f.root(), "a", &[set("s", "x", "1"), add("s", "y", "2"), unset("s", "z")]).expect("nothing to do");
    revert(f.root(), "a", &saved).expect("nothing to do");
    assert_eq!(fs::metadata(&path).expect("it is there").ino(), inode);
    // A link stays one.
    fs::remove_file(&path).expect("it is ours");
    f.link("etc/config/a", "../../elsewhere/a");
    commit(f.root(), "a", &[set("s", "x", "4")]).expect("it can be written");
    assert!(fs::symlink_metadata(&path).expect("it is there").is_symlink());
    assert!(f.text("elsewhere/a").contains("'4'"));
}

#[test]
fn what_is_not_there_or_leads_elsewhere_is_refused() {
    let (f, _) = folder();
    assert!(load(f.root(), "none").expect("no file is no problem").is_none());
    let cause = |name: &str| commit(f.root(), name, &[set("s", "x", "1")]).map_err(|p| p.cause);
    assert_eq!(cause("none"), Err(Cause::Gone));
    for name in ["", "..", "../passwd", "a/b", "a b", "a.b", ".a"] {
        assert_eq!(cause(name), Err(Cause::Gone), "{name}");
        assert!(load(f.root(), name).is_err(), "{name}");
    }
    fs::create_dir_all(f.root().join("etc/config/folder")).expect("a folder");
    assert!(matches!(load(f.root(), "folder"), Err(Problem { cause: Cause::System(_), .. })));
    f.bytes("etc/config/big", &vec![b'#'; MAX_FILE as usize + 1]);
    assert!(load(f.root(), "big").expect_err("it is too large").text.contains("too large"));
    assert!(commit(f.root(), "big", &[make("a", "b")]).is_err());
    // In memory, in the place of the one on flash, as new libuci has it.
    f.file("var/run/uci/a", "config b t\n");
    commit(f.root(), "a", &[set("t", "x", "1")]).expect("it can be written");
    assert_eq!(
        (f.text("etc/config/a").as_str(), f.text("var/run/uci/a").as_str()),
        (FILE, "config b t\n\toption x '1'\n")
    );
}

#[test]
fn a_broken_file_is_told_with_its_line_and_never_written() {
    let (f, _) = folder();
    let broken = "config a s\n\toption x 1\n\toption y 'half\n";
    f.file("etc/config/a", broken);
    let problem = load(f.root(), "a").expect_err("a quote does not end");
    assert_eq!(problem.to_string(), "/etc/config/a: line 3: a quote that does not end");
    for edits in [vec![set("s", "x", "2")], vec![], vec![make("a", "t")]] {
        assert_eq!(commit(f.root(), "a", &edits).map_err(|p| p.cause), Err(Cause::Broken));
    }
    assert!(revert(f.root(), "a", &undo_of(&package(FILE), &[set("s", "x", "2")])).is_err());
    assert_eq!(f.text("etc/config/a"), broken);
}

#[test]
fn pending_changes_are_seen_kept_and_never_written() {
    let (f, _) = folder();
    f.file("tmp/.uci/a", "a.s.x='9'\n");
    let p = load(f.root(), "a").expect("it can be read").expect("it is there");
    assert_eq!(told(&p), ["a s x=9 y=2"]);
    assert_eq!(commit(f.root(), "a", &[set("s", "x", "3")]).map_err(|p| p.cause), Err(Cause::Pending));
    commit(f.root(), "a", &[set("s", "y", "3")]).expect("nobody changes it");
    assert_eq!(f.text("etc/config/a"), FILE.replace("y 2", "y '3'"));
    assert_eq!(f.text("tmp/.uci/a"), "a.s.x='9'\n");
}

#[test]
fn each_change_is_made_in_the_file_of_that_moment() {
    let (f, path) = folder();
    let held = fs::File::options().read(true).write(true).open(&path).expect("it is there");
    let held = Flock::lock(held, FlockArg::LockExclusive).expect("nobody has it");
    let (told, hears) = mpsc::channel();
    let root = f.root().to_owned();
    let writer = std::thread::spawn(move || {
        let done = commit(&root, "a", &[set("s", "x", "3")]);
        told.send(()).expect("somebody hears");
        done
    });
    // It waits for the lock, while LuCI saves as libuci does: another file, the lock given back, a rename.
    assert!(hears.recv_timeout(Duration::from_millis(200)).is_err(), "it waits");
    f.file("etc/config/.a.uci-Xy12ab", &FILE.replace("y 2", "y theirs"));
    drop(held);
    assert!(hears.recv_timeout(Duration::from_millis(200)).is_err(), "it waits for the rename");
    fs::rename(f.root().join("etc/config/.a.uci-Xy12ab"), &path).expect("both are there");
    writer.join().expect("no panic").expect("it was written");
    assert_eq!(f.text("etc/config/a"), FILE.replace("x 1", "x '3'").replace("y 2", "y theirs"));
}

#[test]
fn who_waits_for_our_lock_gets_the_new_text() {
    let (f, path) = folder();
    // As libuci: opened before our change, locked after it, and read by that descriptor.
    let waits = fs::File::options().read(true).write(true).open(&path).expect("it is there");
    for (value, text) in [("long enough to be longer", "x 'long enough to be longer'"), ("s", "x 's'")] {
        commit(f.root(), "a", &[set("s", "x", value)]).expect("it can be written");
        assert_eq!(f.text("etc/config/a"), FILE.replace("x 1", text));
    }
    let read = std::io::read_to_string(&waits).expect("it is open");
    assert_eq!(
        read,
        FILE.replace("x 1", "x 'long enough to be longer'"),
        "that of the change that took its name"
    );
    // Not where it still has a name: that is somebody's copy.
    let (f, path) = folder();
    fs::hard_link(&path, f.root().join("copy")).expect("a link");
    commit(f.root(), "a", &[set("s", "x", "3")]).expect("it can be written");
    assert_eq!(f.text("copy"), FILE);
}

#[test]
fn a_lock_that_is_not_given_back_is_told() {
    let (f, path) = folder();
    let held = fs::File::options().read(true).write(true).open(&path).expect("it is there");
    let _held = Flock::lock(held, FlockArg::LockExclusive).expect("nobody has it");
    // A reader does not wait for long.
    assert_eq!(told(&load(f.root(), "a").expect("it can be read").expect("it is there")), ["a s x=1 y=2"]);
    assert_eq!(commit(f.root(), "a", &[set("s", "x", "3")]).map_err(|p| p.cause), Err(Cause::Busy));
    assert_eq!(f.text("etc/config/a"), FILE);
}

#[test]
fn rests_of_a_crash_are_removed_and_others_files_are_not() {
    let (f, _) = folder();
    // No process has this number: they end before.
    f.file("etc/config/.a.cwmpd-4194305.7", "half");
    f.file("etc/config/.b.cwmpd-4194305.7", "half of another");
    f.file("etc/config/.a.uci-abcdef", "libuci's");
    let old =
        fs::File::options().write(true).open(f.root().join("etc/config/.a.uci-abcdef")).expect("it is there");
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it is ours");
    commit(f.root(), "a", &[set("s", "x", "3")]).expect("it can be written");
    let mut names: Vec<String> = crate::sys::host::names(f.root(), "/etc/config");
    names.sort_unstable();
    assert_eq!(names, [".a.uci-abcdef", ".b.cwmpd-4194305.7", "a"]);
}

/// A small file system in memory, as root may make one; `None` where that is not allowed.
fn small_disk(f: &Folder, options: &str) -> Option<PathBuf> {
    use nix::mount::{MsFlags, mount};
    let at = f.root().join("etc/config");
    mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(options)).ok()?;
    Some(at)
}

#[test]
fn a_disk_that_is_full_or_read_only_leaves_the_file_as_it_was() {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let (f, _) = folder();
    let Some(at) = small_disk(&f, "size=64k") else {
        return; // only root may
    };
    let outcome = std::panic::catch_unwind(|| {
        let page = "#".repeat(4095) + "\n";
        f.file("etc/config/a", &format!("{FILE}{}", page.repeat(6)));
        let before = f.text("etc/config/a");
        fs::write(at.join("fill"), vec![0u8; 30 * 1024]).expect("there is room");
        let problem = commit(f.root(), "a", &[set("s", "x", "3")]).expect_err("there is no room");
        assert_eq!(problem.cause, Cause::System(std::io::ErrorKind::StorageFull), "{problem}");
        assert_eq!(f.text("etc/config/a"), before);
        assert_eq!(fs::read_dir(&at).expect("a folder").count(), 2, "no rests");
        fs::remove_file(at.join("fill")).expect("it is ours");
        mount(None::<&str>, &at, None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>)
            .expect("it is ours");
        let problem = commit(f.root(), "a", &[set("s", "x", "3")]).expect_err("it is read-only");
        assert_eq!(problem.cause, Cause::System(std::io::ErrorKind::ReadOnlyFilesystem), "{problem}");
        assert_eq!(f.text("etc/config/a"), before);
        assert!(load(f.root(), "a").expect("it can be read").is_some());
    });
    let _ = umount2(&at, MntFlags::MNT_DETACH);
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
