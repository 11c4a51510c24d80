//! The device's own troubles: limits, disks, folders.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cwmpd::net::transfer::{Meter, get};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::peer::Reply;
use crate::{Folder, assert_fault, fault, fetch, fetch_sized, request, scripted, wake};

/// The size limit: by what the server says, and by what comes.
// Proves: X-24
#[test]
fn a_file_beyond_max_bytes_is_9010_and_not_written() {
    let body = vec![b'x'; 100_000];
    let chunked =
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n", &body[..], b"\r\n0\r\n\r\n"];
    let until_the_end = [b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat();
    for reply in [Reply::ok(&body), Reply::raw(chunked.concat()), Reply::raw(until_the_end).close()] {
        let peer = scripted([reply]);
        let mut small = request(peer.url("/"));
        small.limits.max_bytes = 99_999;
        let fetched = fetch(small);
        assert!(fetched.seen.bytes.len() <= 99_999);
        assert_fault(fetched, 9010, "max_bytes");
    }
    let peer = scripted([Reply::ok(&body)]);
    let mut just = request(peer.url("/"));
    just.limits.max_bytes = 100_000;
    assert_eq!(fetch(just).file(), body);
}

/// FileSize that cannot fit is refused without a connection, and so is a length that the server tells.
// Proves: X-24
#[test]
fn x_24_what_cannot_fit_is_9010_before_it_comes() {
    let peer = scripted([]);
    assert_fault(fetch_sized(request(peer.url("/")), 1 << 60), 9010, "do not fit");
    assert!(peer.requests().is_empty());
    let peer = scripted([Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 60))]);
    let mut large = request(peer.url("/"));
    large.limits.max_bytes = u64::MAX;
    assert_fault(fetch(large), 9010, "do not fit");
}

/// A file system of its own, small; `None` where only root may mount.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(path: &Path) -> Option<Small<'_>> {
        let options = Some("size=65536");
        mount(Some("none"), path, Some("tmpfs"), MsFlags::empty(), options).ok()?;
        Some(Small(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).expect("unmounted");
    }
}

// Proves: X-15
#[test]
fn a_disk_that_fills_up_is_9010_and_is_free_again() {
    let folder = Folder::new();
    let Some(_small) = Small::mount(&folder.0) else {
        return println!("skipped: only root can mount a small disk");
    };
    let body = vec![b'x'; 100_000];
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat();
    for (reply, told) in
        [(Reply::ok(&body), "do not fit"), (Reply::raw(endless).close(), "No space left on device")]
    {
        let peer = scripted([reply]);
        let (_waker, wake) = wake();
        let result = get(request(peer.url("/")), 0, &folder.file(), &Meter::default(), &mut (), wake);
        let (code, text) = fault(result);
        assert!(code == 9010 && text.contains(told), "{code} {text}");
        assert!(folder.names().is_empty());
        fs::write(folder.0.join("x"), vec![0; 60_000]).expect("there is room again");
        fs::remove_file(folder.0.join("x")).expect("removed");
    }
}

// Proves: X-15
#[test]
fn a_folder_that_cannot_be_written_is_9010_and_nobody_is_asked() {
    let folder = Folder::new();
    let peer = scripted([]);
    let try_in = |dir: &Path| {
        let (_waker, wake) = wake();
        fault(get(request(peer.url("/")), 0, &dir.join("1.file"), &Meter::default(), &mut (), wake))
    };
    let plain = folder.0.join("plain");
    fs::write(&plain, "").expect("a file");
    let (code, text) = try_in(&plain);
    assert!(code == 9010 && text.contains("plain"), "{code} {text}");
    // root writes to a folder without write permission, but not to a file system without it
    let closed = folder.0.join("closed");
    fs::create_dir(&closed).expect("a folder");
    let mounted = match nix::unistd::geteuid().is_root() {
        false => fs::set_permissions(&closed, Permissions::from_mode(0o500)).map(|()| None).expect("closed"),
        true => {
            let Some(small) = Small::mount(&closed) else {
                return println!("skipped: no disk could be mounted");
            };
            let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(None::<&str>, &closed, None::<&str>, read_only, None::<&str>).expect("read-only");
            Some(small)
        }
    };
    let (code, text) = try_in(&closed);
    assert!(code == 9010 && text.contains("1.part"), "{code} {text}");
    assert!(peer.requests().is_empty());
    drop(mounted);
}
