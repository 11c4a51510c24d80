//! The journal: an append-only file of batches, replayed into a map at start.
//!
//! A file begins with a magic line; then each record is length (u32, little endian), CRC-32 of the
//! payload (u32, little endian), payload. A payload is a batch of puts and deletes and takes effect
//! whole or not at all; replay goes to the last whole record and cuts off the rest. When the file has
//! grown past twice its live content (and past a floor) it is compacted: written new, fsynced,
//! renamed, folder fsynced.
//!
//! # Data storage
//! In the state folder (mode 0700): `journal` (0600), `.journal.new` while it is compacted, `lock`,
//! held as long as the journal is open, and perhaps `journal.damaged`, the last file that was broken
//! in its middle.
//!
//! # Error handling
//! Damaged or unwritable state never stops the agent: it keeps what is whole, goes on in memory, and
//! [`Journal::health`] says so. What could not be written is tried again with every commit.

use super::record::{self, MAGIC, MAX_KEY, MAX_RECORD, Next, Record};
use crate::sys::file::{Replacement, sync_folder};
use crate::sys::sorted::{SortedMap, SortedSet};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub use super::record::MAX_VALUE;

/// Below this many bytes beyond twice the live content a file is not compacted.
const FLOOR: u64 = 64 * 1024;

/// How much behind a broken record is searched for a whole one, bytes.
const MAX_SEARCH: u64 = 4 * 1024 * 1024;

/// The longest file that is replayed, bytes: several times what compaction lets it grow to. What is
/// behind it counts as damage.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// How long another daemon that has the journal may yet be one that is gone.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Changes that take effect together.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Key, and the new value (`None` deletes).
    pub ops: Vec<(String, Option<Vec<u8>>)>,
}

impl Batch {
    /// Puts a value.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.ops.push((key.into(), Some(value.into())));
    }

    /// Deletes a key; nothing happens when it is not there.
    pub fn delete(&mut self, key: impl Into<String>) {
        self.ops.push((key.into(), None));
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// Another daemon holds this state folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locked {
    /// The folder.
    pub dir: PathBuf,
}

impl std::fmt::Display for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "another cwmpd is using the state folder {}", self.dir.display())
    }
}

impl std::error::Error for Locked {}

/// The open journal: the map in memory and the file behind it.
pub struct Journal {
    map: SortedMap<String, Vec<u8>>,
    /// Empty: in memory only, on purpose.
    dir: PathBuf,
    lock: Option<Flock<File>>,
    /// `None` when the next commit must write the file anew.
    file: Option<File>,
    /// Where the last whole record ends.
    len: u64,
    /// Bytes of all keys and values as records.
    live: u64,
    /// The file is compacted when it is longer than this.
    compact_at: u64,
    /// Keys whose present value (or absence) is not on disk.
    unsaved: SortedSet<String>,
    /// Why the last write failed.
    failure: Option<String>,
    /// What was found broken at the start.
    damage: Option<String>,
    /// The file in its place is damaged and is kept aside when it is replaced.
    keep_aside: bool,
}

impl Journal {
    /// Opens (or makes) the journal in `dir`. What cannot be read or written is no error: it is said
    /// by [`Journal::health`] and the agent goes on with what is whole.
    ///
    /// # Errors
    /// Another daemon has it open.
    pub fn open(dir: &Path) -> Result<Journal, Locked> {
        let mut journal = Journal { dir: dir.to_path_buf(), ..Journal::in_memory() };
        // A process that the last agent was starting as it was killed has its lock until it is another program.
        let until = Instant::now() + LAST_MOMENT;
        let prepared = loop {
            match journal.prepare() {
                Err(Prepare::Locked) if Instant::now() < until => thread::sleep(LAST_MOMENT / 50),
                done => break done,
            }
        };
        match prepared {
            Err(Prepare::Locked) => {
                return Err(Locked { dir: dir.to_path_buf() });
            }
            Err(Prepare::Io(e)) => {
                journal.failed(&e);
                // A journal that turns up there later (a late mount) was not read: it is not lost.
                journal.keep_aside = true;
            }
            Ok(()) => {}
        }
        match File::open(journal.path()) {
            Ok(file) => {
                journal.keep_aside = false;
                journal.replay(file);
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => journal.damaged(format!("the journal cannot be read: {e}")),
        }
        if journal.file.is_none() {
            // The error is kept for health, and the next commit tries again.
            let _ = journal.rewrite();
        }
        Ok(journal)
    }

    /// A journal in memory only (tests, and a state folder that cannot be had).
    pub fn in_memory() -> Journal {
        Journal {
            map: SortedMap::new(),
            dir: PathBuf::new(),
            lock: None,
            file: None,
            len: 0,
            live: 0,
            compact_at: 0,
            unsaved: SortedSet::new(),
            failure: None,
            damage: None,
            keep_aside: false,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.map.get(key).map(Vec::as_slice)
    }

    /// The value of a key as text; `None` also when it is not UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|v| std::str::from_utf8(v).ok())
    }

    /// All keys that begin with `prefix`, in order.
    pub fn scan<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.map
            .range::<str>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(move |(k, _)| k.starts_with(prefix))
            .map(|(k, v)| (k.as_str(), v.as_slice()))
    }

    /// The first key behind `key`, whether or not that is there, and its value.
    pub fn after(&self, key: &str) -> Option<(&str, &[u8])> {
        let behind = (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded);
        self.map.range::<str>(behind).next().map(|(k, v)| (k.as_str(), v.as_slice()))
    }

    /// Bytes of all keys and values, about.
    pub fn size(&self) -> u64 {
        self.live
    }

    /// Makes a batch durable (fsync) and then visible. An empty batch, or one that changes nothing,
    /// writes nothing. The map has the new values afterwards also when they could not be written.
    ///
    /// # Errors
    /// The batch could not be made durable; it holds in memory, and is written with the next one
    /// that can be. A key or value beyond [`MAX_KEY`] or [`MAX_VALUE`] is `InvalidInput`, and then
    /// nothing of the batch holds.
    pub fn commit(&mut self, batch: Batch) -> io::Result<()> {
        let too_long = |(key, value): &(String, Option<Vec<u8>>)| {
            key.len() > MAX_KEY || value.as_ref().is_some_and(|v| v.len() > MAX_VALUE)
        };
        if let Some((key, _)) = batch.ops.iter().find(|op| too_long(op)) {
            let start: String = key.chars().take(64).collect();
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{start}` is too long for the journal"),
            ));
        }
        for (key, value) in batch.ops {
            self.apply(key, value);
        }
        if self.unsaved.is_empty() || self.dir.as_os_str().is_empty() {
            self.unsaved.clear();
            return Ok(());
        }
        self.save()
    }

    /// Makes a batch durable that somebody is promised, or leaves the map as it was: what was refused
    /// must not turn up on disk when it can be written again.
    ///
    /// # Errors
    /// As [`Journal::commit`]; nothing of the batch holds.
    pub fn promise(&mut self, batch: Batch) -> io::Result<()> {
        let old = |key: &String| (key.clone(), self.get(key).map(<[u8]>::to_vec));
        let old: Vec<_> = batch.ops.iter().map(|(key, _)| old(key)).collect();
        self.commit(batch).inspect_err(|_| {
            // In memory it is taken back whatever the disk says; the next write that succeeds brings
            // both to the same.
            let _ = self.commit(Batch { ops: old });
        })
    }

    /// Writes the file anew and removes the damaged one, so that deleted values are in no file any
    /// more: the last step of a factory reset.
    ///
    /// # Errors
    /// Old values may still be on disk.
    pub fn purge(&mut self) -> io::Result<()> {
        if self.dir.as_os_str().is_empty() {
            return Ok(());
        }
        self.keep_aside = false;
        self.rewrite()?;
        self.damage = None;
        match std::fs::remove_file(self.aside()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => sync_folder(&self.dir),
        }
    }

    /// What is wrong with the stored state, for the log and for `status`; `None` when nothing is.
    pub fn health(&self) -> Option<String> {
        let unwritable = self.failure.as_ref().map(|why| {
            format!(
                "{} cannot be written ({why}): changes are lost with the next restart",
                self.dir.display()
            )
        });
        match (&self.damage, unwritable) {
            (None, None) => None,
            (Some(one), None) => Some(one.clone()),
            (None, Some(two)) => Some(two),
            (Some(one), Some(two)) => Some(format!("{one}; {two}")),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("journal")
    }

    fn aside(&self) -> PathBuf {
        self.dir.join("journal.damaged")
    }

    /// Changes the map; a key that has its value already is not touched.
    fn apply(&mut self, key: String, value: Option<Vec<u8>>) {
        let old = self.map.get(&key);
        if old == value.as_ref() {
            return;
        }
        self.live -= old.map_or(0, |v| record::size(&key, Some(v)) as u64);
        self.live += value.as_ref().map_or(0, |v| record::size(&key, Some(v)) as u64);
        match value {
            Some(value) => self.map.insert(key.clone(), value),
            None => self.map.remove(&key),
        };
        self.unsaved.insert(key);
    }

    /// Brings everything unsaved to the disk: as one record, or else by writing the file anew.
    fn save(&mut self) -> io::Result<()> {
        let mut bytes = Record::default();
        for key in &self.unsaved {
            let value = self.map.get(key).map(Vec::as_slice);
            if bytes.len() + record::size(key, value) > MAX_RECORD {
                // Too much for a record, which must hold all of it or nothing.
                return self.rewrite();
            }
            bytes.push(key, value);
        }
        let Some(file) = &self.file else {
            return self.rewrite();
        };
        let bytes = bytes.finish();
        if let Err(e) = file.write_all_at(&bytes, self.len).and_then(|()| file.sync_data()) {
            // Half a record must not stand before later ones. After a failed fsync nobody knows what
            // is on disk, so this file is not used again.
            let _ = file.set_len(self.len).and_then(|()| file.sync_data());
            self.file = None;
            log::debug!("state: appending failed: {e}");
            return self.rewrite();
        }
        self.len += bytes.len() as u64;
        self.saved();
        if self.len > self.compact_at && self.rewrite().is_err() {
            // All is durable in the long file; the next try comes when it has grown some more.
            self.failure = None;
            self.compact_at = self.len + FLOOR;
        }
        Ok(())
    }

    /// Writes the file anew with what is live (the compaction). The old file stays in use until the
    /// new one is in its place; a damaged one is kept aside first.
    fn rewrite(&mut self) -> io::Result<()> {
        match self.written_anew() {
            Ok((file, len)) => {
                self.file = Some(file);
                self.len = len;
                self.compact_at = 2 * self.live + FLOOR;
                self.keep_aside = false;
                self.saved();
                Ok(())
            }
            Err(e) => {
                self.failed(&e);
                Err(e)
            }
        }
    }

    fn written_anew(&mut self) -> io::Result<(File, u64)> {
        self.prepare().map_err(|e| match e {
            Prepare::Locked => io::Error::other("another cwmpd is using it"),
            Prepare::Io(e) => e,
        })?;
        let mut new = Replacement::create(&self.path(), 0o600)?;
        let mut len = MAGIC.len();
        new.write_all(MAGIC)?;
        let mut bytes = Record::default();
        for (key, value) in &self.map {
            if bytes.len() + record::size(key, Some(value)) > MAX_RECORD {
                let full = std::mem::take(&mut bytes).finish();
                len += full.len();
                new.write_all(&full)?;
            }
            bytes.push(key, Some(value));
        }
        if !bytes.is_empty() {
            let last = bytes.finish();
            len += last.len();
            new.write_all(&last)?;
        }
        new.sync()?;
        if self.keep_aside {
            self.set_aside()?;
        }
        // If only the folder's fsync fails, the old descriptor no longer names the file in place.
        let old = self.file.take();
        let file = new.commit()?;
        drop(old);
        Ok((file, len as u64))
    }

    /// Gives the damaged file a second name, so that there is a `journal` at every moment.
    fn set_aside(&self) -> io::Result<()> {
        let (from, to) = (self.path(), self.aside());
        let _ = std::fs::remove_file(&to);
        std::fs::hard_link(&from, &to)
            // Some file systems have no links, and a folder in the journal's place can only be moved.
            .or_else(|_| std::fs::copy(&from, &to).map(drop))
            .or_else(|_| std::fs::rename(&from, &to))
            .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
    }

    /// The folder is there, with its mode, and ours alone.
    fn prepare(&mut self) -> Result<(), Prepare> {
        if self.lock.is_some() {
            return Ok(());
        }
        own_folder(&self.dir).map_err(Prepare::Io)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.dir.join("lock")).map_err(Prepare::Io)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(Prepare::Io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                self.lock = Some(lock);
                Ok(())
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(Prepare::Locked),
            // A file system without locks: better unguarded than in memory only.
            Err((_, errno)) => {
                log::debug!("state: no lock on {}: {errno}", self.dir.display());
                Ok(())
            }
        }
    }

    /// Fills the map from the file, to the last whole record, and keeps it open for appending when
    /// nothing in it is broken.
    fn replay(&mut self, file: File) {
        if !file.metadata().is_ok_and(|m| m.is_file()) {
            return self.damaged("the journal is not a regular file".into());
        }
        let mut reader = BufReader::new(&file);
        let mut magic = Vec::new();
        match reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic) {
            Ok(_) if magic == MAGIC => {}
            Ok(_) if MAGIC.starts_with(&magic) => return, // cut in its first line: nothing was in it
            Ok(_) => return self.damaged("the journal has another format".into()),
            Err(e) => return self.damaged(format!("the journal cannot be read: {e}")),
        }
        self.len = MAGIC.len() as u64;
        let end = loop {
            match record::next(&mut reader) {
                Ok(Next::Record(_)) if self.len > MAX_FILE => break Ok(Next::Broken),
                Ok(Next::Record(payload)) => {
                    for (key, value) in record::operations(&payload).unwrap_or_default() {
                        match value {
                            Some(value) => self.map.insert(key.to_owned(), value.to_vec()),
                            None => self.map.remove(key),
                        };
                    }
                    self.len += 8 + payload.len() as u64;
                }
                other => break other,
            }
        };
        self.live = self.map.iter().map(|(k, v)| record::size(k, Some(v)) as u64).sum();
        match end {
            Ok(Next::Broken) if !torn(&file, self.len) => {
                self.damaged(format!(
                    "the journal was damaged at byte {}, what came before is kept",
                    self.len
                ));
            }
            Err(e) => self.damaged(format!("the journal cannot be read beyond byte {}: {e}", self.len)),
            Ok(_) => self.append_to(),
        }
    }

    /// Opens the file for appending behind its last whole record.
    fn append_to(&mut self) {
        let opened = OpenOptions::new().read(true).write(true).open(self.path()).and_then(|file| {
            if file.metadata()?.len() > self.len {
                log::info!("state: the last write was cut short; {} bytes are whole", self.len);
                file.set_len(self.len)?;
                file.sync_all()?;
            }
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(file)
        });
        match opened {
            Ok(file) => {
                self.file = Some(file);
                self.compact_at = 2 * self.live + FLOOR;
            }
            Err(e) => self.failed(&e),
        }
    }

    fn damaged(&mut self, what: String) {
        log::error!("state: {what} (the old file becomes {})", self.aside().display());
        self.damage = Some(format!("{what} (see {})", self.aside().display()));
        self.keep_aside = true;
    }

    fn failed(&mut self, e: &io::Error) {
        let why = e.to_string();
        if self.failure.as_ref() != Some(&why) {
            log::error!("state: {} cannot be written: {why}", self.dir.display());
            self.failure = Some(why);
        }
    }

    fn saved(&mut self) {
        self.unsaved.clear();
        if self.failure.take().is_some() {
            log::info!("state: {} can be written again", self.dir.display());
        }
    }
}

/// What stands in the state folder.
const FILES: [&str; 4] = ["journal", ".journal.new", "journal.damaged", "lock"];

/// Makes the folder for nobody but its owner. One that holds files of others keeps its mode: a wrong
/// `state_dir` must not lock the system out of `/etc`.
fn own_folder(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(crate::sys::file::folder(dir))?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
        Ok(()) => {
            // A record is on disk only when the way to it is. Folders that cannot be opened were
            // not made here.
            for above in dir.ancestors().skip(1) {
                let _ = sync_folder(above);
            }
        }
    }
    let mut names = std::fs::read_dir(dir)?;
    if names.all(|e| e.is_ok_and(|e| FILES.iter().any(|f| e.file_name() == *f))) {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    } else {
        log::warn!("state: {} holds files of others, its mode stays as it is", dir.display());
    }
    Ok(())
}

enum Prepare {
    Locked,
    Io(io::Error),
}

/// Whether what is broken behind `from` is the torn end of the last write: no whole record follows,
/// and it is no longer than one write can be.
fn torn(file: &File, from: u64) -> bool {
    let mut rest = Vec::new();
    let mut at = from;
    let mut piece = vec![0; 64 * 1024];
    while at - from < MAX_SEARCH {
        match file.read_at(&mut piece, at) {
            Ok(0) => return !record::any_whole(rest.get(1..).unwrap_or_default()),
            Ok(n) => {
                rest.extend_from_slice(&piece[..n]); // n is at most the piece
                at += n as u64;
            }
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
