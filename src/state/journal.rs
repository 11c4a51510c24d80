//! The journal: an append-only file of batches, replayed into a map at start.
//!
//! A file begins with a magic line; then each record is length (u32, little endian), CRC-32 of the
//! payload (u32, little endian), payload. A payload is a batch of puts and deletes and takes effect
//! whole or not at all; replay goes to the last whole record and cuts off the rest. When the file has
//! grown past twice its live content (and past a floor) it is compacted: written new, fsynced,
//! renamed, folder fsynced.
//!
//! # Error handling
//! Damaged or unwritable state never stops the agent: it keeps what is whole, goes on in memory, and
//! [`Journal::health`] says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// The open journal: the map in memory and the file behind it.
pub struct Journal {
    map: BTreeMap<String, Vec<u8>>,
    dir: PathBuf,
}

impl Journal {
    /// Opens (or makes) the journal in `dir`. Never fails: what cannot be read or written is said by
    /// [`Journal::health`] and the agent goes on with what is whole.
    pub fn open(_dir: &Path) -> Journal {
        todo!()
    }

    /// A journal in memory only (tests, and a state folder that cannot be had).
    pub fn in_memory() -> Journal {
        Journal { map: BTreeMap::new(), dir: PathBuf::new() }
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
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(move |(k, _)| k.starts_with(prefix))
            .map(|(k, v)| (k.as_str(), v.as_slice()))
    }

    /// Makes a batch durable (fsync) and then visible. An empty batch, or one that changes nothing,
    /// writes nothing. In any case the map has the new values afterwards.
    ///
    /// # Errors
    /// The batch could not be made durable; it holds in memory, and is written with the next one
    /// that can be.
    pub fn commit(&mut self, _batch: Batch) -> std::io::Result<()> {
        todo!()
    }

    /// What is wrong with the stored state, for the log and for `status`; `None` when nothing is.
    pub fn health(&self) -> Option<String> {
        let _ = &self.dir;
        None
    }
}
