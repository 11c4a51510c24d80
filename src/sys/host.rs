//! Files below the root, and what the system calls uname and statvfs say.
//!
//! With a root other than `/` nothing of the host shows through: links are followed inside the root
//! only, and the system calls are replaced by files:
//!
//! * `.cwmpd/uname`: lines `sysname=Linux`, `release=6.1.0`, `version=#1 SMP`, `machine=mips`;
//!   what is missing is empty.
//! * `.cwmpd/time`: when it was recorded, seconds since 1970; the wall clock when it is missing.
//! * `.cwmpd/statvfs`: one line for a mount point, `/overlay 8192 4096`: its total and its free
//!   space in KiB.
//!
//! # Error handling
//! A file that is missing, no plain file, or not readable is an `io::Error`, which callers take for
//! "the source is not there". Text that is not UTF-8 has its bad bytes replaced.

use super::{order, trace};
use nix::fcntl::OFlag;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No file is read further than this: /proc/cpuinfo of a large server is about 200 KiB.
pub const MAX_FILE: u64 = 1024 * 1024;
/// No folder is listed further than this.
pub const MAX_NAMES: usize = 16384;
/// As the kernel's own bound on links in a path.
const MAX_LINKS: usize = 40;

/// Whether what lies below `root` is the running system.
pub fn is_live(root: &Path) -> bool {
    root == Path::new("/")
}

/// `path` below `root`, its links followed inside the root: an absolute link begins at the root
/// again, and no `..` climbs out of it.
pub fn below(root: &Path, path: &str) -> PathBuf {
    if is_live(root) {
        return Path::new("/").join(path);
    }
    let mut found = root.to_path_buf();
    let mut depth = 0usize;
    let mut links = 0;
    // The components still to walk, the next one last.
    let mut rest: Vec<PathBuf> = words(Path::new(path));
    while let Some(word) = rest.pop() {
        if word == Path::new("..") {
            if depth > 0 {
                found.pop();
                depth -= 1;
            }
            continue;
        }
        let step = found.join(&word);
        match fs::read_link(&step) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                trace::link(&step, &target);
                if target.is_absolute() {
                    found = root.to_path_buf();
                    depth = 0;
                }
                rest.extend(words(&target));
            }
            // A loop of links: a name that cannot be opened as what it is meant to be.
            Ok(_) => return root.join(".cwmpd/too-many-links"),
            Err(_) => {
                found = step;
                depth += 1;
            }
        }
    }
    found
}

/// The names of a path, last first; `..` kept, everything else that is no name left out.
fn words(path: &Path) -> Vec<PathBuf> {
    let mut words: Vec<PathBuf> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect();
    words.reverse();
    words
}

/// The bytes of a file, the first `max` of them. A pipe or a device is not opened for long.
///
/// # Errors
/// As the system says, or `InvalidInput` when it is no plain file.
pub fn read_bytes(root: &Path, path: &str, max: u64) -> io::Result<Vec<u8>> {
    let path = below(root, path);
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(&path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Files of procfs and sysfs have no size to tell; few are larger than this.
    let mut bytes = Vec::with_capacity(max.min(4096) as usize);
    file.take(max).read_to_end(&mut bytes)?;
    trace::file(&path, &bytes);
    Ok(bytes)
}

/// The text of a file, the first [`MAX_FILE`] bytes of it.
///
/// # Errors
/// As [`read_bytes`].
pub fn read(root: &Path, path: &str) -> io::Result<String> {
    let bytes = read_bytes(root, path, MAX_FILE)?;
    // Text that is whole is not copied.
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// The first line of a small file, trimmed of white space and zero bytes; `None` when there is
/// nothing in it.
pub fn line(root: &Path, path: &str) -> Option<String> {
    let bytes = read_bytes(root, path, 4096).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or("");
    let line = line.split('\0').next().unwrap_or("").trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// A number in a small file, as sysfs has them.
pub fn number<T: std::str::FromStr>(root: &Path, path: &str) -> Option<T> {
    line(root, path)?.parse().ok()
}

/// The names in a folder in order, [`MAX_NAMES`] at most; empty when there is no such folder. Names
/// that are not UTF-8 or hold control characters are left out: they become keys and values.
pub fn names(root: &Path, path: &str) -> Vec<String> {
    let path = below(root, path);
    let Ok(dir) = fs::read_dir(&path) else {
        return Vec::new();
    };
    let mut names: Vec<String> = dir
        .take(MAX_NAMES)
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| !name.chars().any(char::is_control))
        .collect();
    order::sort(&mut names);
    trace::folder(&path, &names);
    names
}

/// Size and times of what a path leads to.
pub fn metadata(root: &Path, path: &str) -> Option<fs::Metadata> {
    let path = below(root, path);
    let found = fs::symlink_metadata(&path).ok().and_then(|m| {
        // On a live system the link is followed by the kernel; below a root it was followed already.
        if m.is_symlink() && is_live(root) { fs::metadata(&path).ok() } else { Some(m) }
    })?;
    trace::there(&path);
    Some(found)
}

/// Whether there is something at a path that [`below`] has found, or that lies in what it has found.
pub fn is_there(path: &Path) -> bool {
    let found = path.exists();
    if found {
        trace::there(path);
    }
    found
}

/// Where a link leads, as it says; `None` when there is none.
pub fn target(link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(link).ok()?;
    trace::link(link, &target);
    Some(target)
}

/// When a file was last changed, in seconds since 1970. Nothing that was recorded changed after the recording:
/// what is later is when the recording was unpacked.
pub fn modified(root: &Path, path: &str) -> Option<i64> {
    let changed = seconds(metadata(root, path)?.modified().ok()?)?;
    Some(recorded(root).map_or(changed, |at| at.min(changed)))
}

/// The wall clock in seconds since 1970.
pub fn wall() -> i64 {
    seconds(SystemTime::now()).unwrap_or(0)
}

/// The wall clock, or when the recording below the root was made (`.cwmpd/time`, seconds since 1970).
pub fn now(root: &Path) -> i64 {
    recorded(root).unwrap_or_else(wall)
}

fn recorded(root: &Path) -> Option<i64> {
    if is_live(root) { None } else { number(root, "/.cwmpd/time") }
}

fn seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// How long the system has been up.
pub fn uptime(root: &Path) -> Option<Duration> {
    let text = line(root, "/proc/uptime")?;
    Duration::try_from_secs_f64(text.split_ascii_whitespace().next()?.parse().ok()?).ok()
}

/// What uname says.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names are POSIX's
pub struct Uname {
    pub sysname: String,
    pub release: String,
    pub version: String,
    pub machine: String,
}

/// What uname says, or the file in its place.
pub fn uname(root: &Path) -> Uname {
    let mut uname = Uname::default();
    if is_live(root) {
        if let Ok(live) = nix::sys::utsname::uname() {
            uname.sysname = live.sysname().to_string_lossy().into_owned();
            uname.release = live.release().to_string_lossy().into_owned();
            uname.version = live.version().to_string_lossy().into_owned();
            uname.machine = live.machine().to_string_lossy().into_owned();
        }
        return uname;
    }
    for line in read(root, "/.cwmpd/uname").unwrap_or_default().lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        match name.trim() {
            "sysname" => uname.sysname = value.trim().to_owned(),
            "release" => uname.release = value.trim().to_owned(),
            "version" => uname.version = value.trim().to_owned(),
            "machine" => uname.machine = value.trim().to_owned(),
            _ => {}
        }
    }
    uname
}

/// The space of a file system, in KiB.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What a user without privileges may still fill.
    pub free: u64,
}

/// The space of the file system mounted at `mount`, or what the file in its place says.
pub fn space(root: &Path, mount: &str) -> Option<Space> {
    if is_live(root) {
        let stat = nix::sys::statvfs::statvfs(mount).ok()?;
        // The field types differ between the targets.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let kib = |blocks: u64| blocks.saturating_mul(stat.fragment_size() as u64) / 1024;
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        return Some(Space { total: kib(stat.blocks() as u64), free: kib(stat.blocks_available() as u64) });
    }
    read(root, "/.cwmpd/statvfs").ok()?.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == mount).then_some(())?;
        Some(Space { total: words.next()?.parse().ok()?, free: words.next()?.parse().ok()? })
    })
}

/// The size of a memory page in KiB; 4 where it cannot be asked.
pub fn page_kib(root: &Path) -> u64 {
    if !is_live(root) {
        return 4;
    }
    match nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE) {
        Ok(Some(bytes)) => (bytes as u64 / 1024).max(1),
        _ => 4,
    }
}

/// A mount: where, and what kind of file system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// `/overlay`
    pub point: String,
    /// `ext4`
    pub kind: String,
}

/// The mounts in force, in the order they were made.
pub fn mounts(root: &Path) -> Vec<Mount> {
    let text = read(root, "/proc/self/mounts").or_else(|_| read(root, "/proc/mounts")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            Some(Mount { point: words.next()?.replace("\\040", " "), kind: words.next()?.to_owned() })
        })
        .collect()
}

/// Whether a path lies in memory, so that a reboot empties it.
pub fn is_volatile(mounts: &[Mount], path: &str) -> bool {
    mounts
        .iter()
        .filter(|m| Path::new(path).starts_with(&m.point))
        // Of two mounts at one point the later one is in force: max_by_key gives the last of equals.
        .max_by_key(|m| m.point.len())
        .is_some_and(|m| m.kind == "tmpfs" || m.kind == "ramfs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    #[test]
    fn links_stay_inside_the_root() {
        let f = Folder::new();
        f.file("usr/lib/os-release", "ID=inside\n");
        f.link("etc/os-release", "../usr/lib/os-release");
        f.link("etc/absolute", "/usr/lib/os-release");
        f.link("etc/climbs", "../../../../../../../../usr/lib/os-release");
        f.link("etc/loop", "loop");
        f.link("lib", "/usr/lib");
        for name in
            ["/etc/os-release", "/etc/absolute", "/etc/climbs", "/lib/os-release", "etc/../lib/os-release"]
        {
            assert_eq!(read(f.root(), name).ok().as_deref(), Some("ID=inside\n"), "{name}");
        }
        assert!(read(f.root(), "/etc/loop").is_err());
        // The host has this file, the root has not.
        assert!(read(f.root(), "/proc/self/stat").is_err());
        assert!(read(f.root(), "/../../../../../../../../proc/self/stat").is_err());
        assert_eq!(uname(f.root()), Uname::default());
        assert_eq!(space(f.root(), "/"), None);
        assert_eq!(uptime(f.root()), None);
    }

    #[test]
    fn no_file_is_too_odd() {
        let f = Folder::new();
        f.bytes("bad", &[0xff, 0xfe, b'a', 0, b'b', b'\n']);
        f.bytes("big", &vec![b'x'; MAX_FILE as usize + 10]);
        f.file("empty", "");
        assert_eq!(line(f.root(), "/bad").as_deref(), Some("\u{fffd}\u{fffd}a"));
        assert_eq!(read(f.root(), "/big").map(|t| t.len() as u64).ok(), Some(MAX_FILE));
        assert_eq!(line(f.root(), "/empty"), None);
        assert!(read(f.root(), "/").is_err(), "a folder is no file");
        nix::unistd::mkfifo(&f.root().join("pipe"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a pipe in a temporary folder");
        assert!(read(f.root(), "/pipe").is_err(), "a pipe is not waited for");
        assert_eq!(number::<u8>(f.root(), "/bad"), None);
        f.file("folder/a\u{1f}b", "");
        f.file("folder/c d", "");
        assert_eq!(names(f.root(), "/folder"), ["c d"]);
    }

    #[test]
    fn files_stand_in_for_system_calls() {
        let f = Folder::new();
        f.file(".cwmpd/uname", "sysname=Linux\nrelease = 5.15.134\nmachine=mips\nnonsense\n");
        f.file(".cwmpd/statvfs", "/ 100 0\nbad\n/overlay 8192 4096\n/x y z\n");
        f.file("proc/uptime", "350735.47 234388.90\n");
        let u = uname(f.root());
        assert_eq!((u.release.as_str(), u.machine.as_str(), u.version.as_str()), ("5.15.134", "mips", ""));
        assert_eq!(space(f.root(), "/overlay"), Some(Space { total: 8192, free: 4096 }));
        assert_eq!(space(f.root(), "/x"), None);
        assert_eq!(uptime(f.root()).map(|d| d.as_secs()), Some(350_735));
        assert!(now(f.root()) > 1_700_000_000);
        assert!(modified(f.root(), "/proc/uptime").is_some_and(|at| at > 1_700_000_000));
        f.file(".cwmpd/time", "17\n");
        assert_eq!((now(f.root()), modified(f.root(), "/proc/uptime")), (17, Some(17)));
        assert_eq!(modified(f.root(), "/gone"), None);
        f.file("proc/uptime", "-1 nan\n");
        assert_eq!(uptime(f.root()), None);
    }

    #[test]
    fn a_log_on_tmpfs_is_volatile() {
        let f = Folder::new();
        f.file(
            "proc/self/mounts",
            "/dev/root / squashfs ro 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/a /tmp/a\\040b ext4 rw 0 0\nshort\n",
        );
        let m = mounts(f.root());
        assert!(is_volatile(&m, "/tmp/log/messages"));
        assert!(!is_volatile(&m, "/tmp/a b/log"));
        assert!(!is_volatile(&m, "/tmpfile"));
    }

    #[test]
    fn the_live_system_answers() {
        let live = Path::new("/");
        assert!(!uname(live).machine.is_empty());
        assert!(space(live, "/").is_some_and(|s| s.total >= s.free));
        assert!(page_kib(live) >= 4);
    }
}
