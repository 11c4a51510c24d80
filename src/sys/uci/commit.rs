//! Reading and replacing a package's file under the lock that libuci takes (`flock` on the file itself).
//!
//! libuci locks the file, writes another beside it, gives the lock back and renames: so who waits for the lock
//! gets it on a file that has no name any more, and would write the old text over the new one. Whoever waits
//! for ours is spared that: the file that lost its name gets the new text as well. And nothing is read while
//! somebody else is about to rename, or from a file that has lost its name.

use super::batch;
use super::edit::Edit;
use super::file::{MAX_FILE, is_package};
use super::package::Package;
use super::problem::{Cause, Problem};
use super::undo;
use crate::sys::file::Replacement;
use crate::sys::sorted::SortedMap;
use crate::sys::{host, trace};
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long a writer waits for the lock, and begins anew where somebody else replaced the file meanwhile.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// So long a reader does; then it reads without, since files are replaced whole.
pub const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// So long a rename of somebody else's may be on its way; what lies there longer is the rest of a crash.
pub const RENAME_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to get the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// A package with what is pending on top of it, as `uci show` tells it; `None` when there is no such file.
///
/// # Errors
/// It cannot be read, or is not understood: the line is told.
pub fn load(root: &Path, package: &str) -> Result<Option<Package>, Problem> {
    if !is_package(package) {
        return Err(Problem::of(package, Cause::Gone, "no name of a package"));
    }
    let Some(bytes) = read(root, package, &place(root, package))? else {
        return Ok(None);
    };
    let pending = read(root, package, &super::pending_path(package))?.unwrap_or_default();
    Package::parse(package, bytes, &pending).map(Some)
}

/// Makes these edits, and no others, in the file as it is at this moment.
///
/// # Errors
/// The file is as it was: it cannot be locked, read, understood or replaced; a section is not there any more;
/// a value cannot be written; somebody has a pending change of the same option.
pub fn commit(root: &Path, package: &str, edits: &[Edit]) -> Result<(), Problem> {
    commit_all(root, &[(package, edits)])
}

/// As [`commit`], of several packages, up to the first that fails. All of them are durable when it returns
/// well: their folder is synced once, behind the last. A power cut before may leave any of them, each whole.
///
/// # Errors
/// As [`commit`]: those before the one that is named may have been written.
pub fn commit_all(root: &Path, all: &[(&str, &[Edit])]) -> Result<(), Problem> {
    let mut folders = SortedMap::new();
    for (package, edits) in all {
        let change = |bytes, pending: &[u8]| batch::edited(&Package::parse(package, bytes, pending)?, edits);
        if let Some(folder) = rewrite(root, package, &change)? {
            folders.entry(folder).or_insert(*package);
        }
    }
    sync(&folders)
}

/// Makes names in folders durable; the package is for the report.
fn sync(folders: &SortedMap<PathBuf, &str>) -> Result<(), Problem> {
    for (folder, package) in folders {
        #[cfg(test)]
        super::tests::batching::count(|counts| counts.folders += 1);
        crate::sys::file::sync_folder(folder).map_err(|e| Problem::system(package, &e))?;
    }
    Ok(())
}

/// Puts back what [`super::undo_of`] saved, and nothing else; a second time has no effect.
///
/// # Errors
/// The file is as it was: as [`commit`], or what was saved is damaged.
pub fn revert(root: &Path, package: &str, saved: &[u8]) -> Result<(), Problem> {
    let folder = rewrite(root, package, &|bytes, _| undo::put_back(package, bytes, saved))?;
    sync(&SortedMap::from_iter(folder.map(|folder| (folder, package))))
}

/// Which file is the package's: one in memory takes the place of that in `/etc/config`, where libuci knows such.
fn place(root: &Path, package: &str) -> String {
    let volatile = format!("/var/run/uci/{package}");
    match host::metadata(root, &volatile) {
        Some(_) => volatile,
        None => super::path(package),
    }
}

/// Reads a file, locked; `None` when there is none.
fn read(root: &Path, package: &str, path: &str) -> Result<Option<Vec<u8>>, Problem> {
    let failed = |e: &io::Error| Problem { file: path.to_owned(), ..Problem::system(package, e) };
    let deadline = Instant::now() + READ_TIMEOUT;
    loop {
        let real = host::below(root, path);
        let file = match open(&real, false) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let mut held = match lock(file, FlockArg::LockSharedNonblock, left) {
            Ok(held) => held,
            Err((file, _)) => Held::Without(file),
        };
        // One that was replaced while it was waited for may be half of something. Where others save without
        // end it was opened just now, and nobody has waited.
        if held.file().metadata().is_ok_and(|m| m.nlink() == 0) && !left.is_zero() {
            continue;
        }
        let bytes = whole(held.file()).map_err(|e| failed(&e))?;
        trace::file(&real, &bytes);
        return Ok(Some(bytes));
    }
}

/// What a change makes of the bytes of a file and of what is pending for it.
type Change<'a> = &'a dyn Fn(Vec<u8>, &[u8]) -> Result<Vec<u8>, Problem>;

/// Changes a file under its lock; returns the folder that is to be synced when it was changed.
fn rewrite(root: &Path, package: &str, change: Change<'_>) -> Result<Option<PathBuf>, Problem> {
    if !is_package(package) {
        return Err(Problem::of(package, Cause::Gone, "no name of a package"));
    }
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => Problem::of(package, Cause::Gone, "there is no such file"),
        io::ErrorKind::WouldBlock => {
            Problem::of(package, Cause::Busy, "somebody else has locked it for too long")
        }
        _ => Problem::system(package, &e),
    };
    let path = host::below(root, &place(root, package));
    // Where a link leads: the link stays.
    let path = fs::canonicalize(&path).map_err(failed)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    // Somebody may save again and again; at least once it is tried.
    let mut first = true;
    while std::mem::take(&mut first) || Instant::now() < deadline {
        let file = open(&path, true).map_err(failed)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let mut held = lock(file, FlockArg::LockExclusiveNonblock, left).map_err(|(_, e)| failed(e))?;
        settle(&path, package);
        if !is_at(held.file(), &path) {
            continue;
        }
        let old = whole(held.file()).map_err(failed)?;
        let pending = read(root, package, &super::pending_path(package))?.unwrap_or_default();
        let new = change(old.clone(), &pending)?;
        if new == old {
            return Ok(None);
        }
        let written = write(&path, &held, &new).map_err(failed)?;
        settle(&path, package);
        if !is_at(held.file(), &path) {
            continue;
        }
        let new_file = written.commit_locked().map_err(failed)?;
        inherit(&mut held, &new);
        // Somebody who read the file that it was before may have renamed theirs over it: then this change is
        // to be made in that one.
        settle(&path, package);
        if is_at(new_file.get(), &path) {
            return Ok(Some(crate::sys::file::folder(&path).to_path_buf()));
        }
    }
    Err(Problem::of(package, Cause::Busy, "somebody else replaces it again and again"))
}

/// An open file, locked where the file system knows locks.
enum Held {
    Locked(Flock<fs::File>),
    Without(fs::File),
}

impl Held {
    fn get(&self) -> &fs::File {
        match self {
            Held::Locked(lock) => lock,
            Held::Without(file) => file,
        }
    }

    fn file(&mut self) -> &mut fs::File {
        match self {
            Held::Locked(lock) => lock,
            Held::Without(file) => file,
        }
    }
}

fn open(path: &Path, write: bool) -> io::Result<fs::File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = fs::OpenOptions::new().read(true).write(write).custom_flags(flags.bits()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")),
    }
}

/// Locks a file, or gives it back with the reason (`WouldBlock`: somebody else has it).
fn lock(mut file: fs::File, how: FlockArg, timeout: Duration) -> Result<Held, (fs::File, io::Error)> {
    use nix::errno::Errno;
    let deadline = Instant::now() + timeout;
    loop {
        match Flock::lock(file, how) {
            Ok(locked) => return Ok(Held::Locked(locked)),
            Err((again, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => {
                file = again;
                std::thread::sleep(PAUSE);
            }
            // libuci goes on without as well.
            Err((file, Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ENOLCK)) => return Ok(Held::Without(file)),
            Err((file, e)) => return Err((file, e.into())),
        }
    }
}

/// All of a file, from its beginning.
fn whole(file: &mut fs::File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().min(MAX_FILE);
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= MAX_FILE {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large")),
    }
}

/// Whether this file is the one at this path.
fn is_at(file: &fs::File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Waits until nobody is about to rename: as long as there is a file of libuci's to be renamed, for a while.
fn settle(path: &Path, package: &str) {
    let deadline = Instant::now() + RENAME_TIMEOUT;
    while is_renaming(path, package) && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
}

fn is_renaming(path: &Path, package: &str) -> bool {
    let begins = format!(".{package}.uci-");
    let Ok(dir) = fs::read_dir(crate::sys::file::folder(path)) else {
        return false;
    };
    let is_fresh = |e: &fs::DirEntry| {
        let age = e.metadata().and_then(|m| m.modified()).map(|t| t.elapsed().unwrap_or_default());
        age.is_ok_and(|age| age < RENAME_TIMEOUT)
    };
    dir.take(host::MAX_NAMES)
        .filter_map(Result::ok)
        .any(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&begins)) && is_fresh(&e))
}

/// A new file that is on disk, to be put in the place of the old one.
struct Written {
    file: Replacement,
    lock: Held,
}

impl Written {
    /// Renames it, not yet durably; it stays locked until what is returned is dropped.
    fn commit_locked(self) -> io::Result<Held> {
        self.file.put()?;
        Ok(self.lock)
    }
}

/// Writes a new file, with owner and mode of the old one, and locks it before anybody can see it.
fn write(path: &Path, old: &Held, new: &[u8]) -> io::Result<Written> {
    let present = old.get().metadata()?;
    let mut file = Replacement::create_unique(path, present.mode() & 0o7777)?;
    // Only root may give a file away; for anybody else it was their own already.
    let _ = file.give(present.uid(), present.gid());
    file.write_all(new)?;
    file.sync()?;
    let lock = match lock(file.reopened()?, FlockArg::LockExclusiveNonblock, Duration::ZERO) {
        Ok(held) => held,
        Err((file, _)) => Held::Without(file),
    };
    Ok(Written { file, lock })
}

/// Gives the file that lost its name the new text, for those who have it open and wait for the lock. Until it
/// is whole nobody takes it for a file of libuci's.
fn inherit(old: &mut Held, new: &[u8]) {
    let file = old.file();
    if file.metadata().is_ok_and(|m| m.nlink() == 0) && file.write_at(b"!", 0).is_ok() {
        let (first, rest) = new.split_at(new.len().min(1));
        let whole = file.write_all_at(rest, 1).and_then(|()| file.set_len(new.len() as u64));
        let _ = whole.and_then(|()| file.write_all_at(first, 0));
    }
}
