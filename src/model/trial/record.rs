//! What is on trial as it lies in the journal (`t/trial`): transactions in their order, each with what
//! its handlers' changes were and what the tree itself had kept before it.
//!
//! The seconds that a trial has been in force stand apart (`t/elapsed`, u32, little endian): they are
//! written again and again, and the record may be large.

use super::super::index::record;
use super::super::intent::{self, Planned};
use super::super::served::Served;
use crate::sys::sorted::SortedSet;

/// How far a transaction of the trial has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Waits for the end of the session; nothing of it has been committed.
    Promised = 0,
    /// Being committed: what the undo needs is on disk, and perhaps something is done.
    Applying = 1,
    /// In force.
    Applied = 2,
}

/// One transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    pub state: State,
    pub changes: Vec<Planned>,
    pub kept: Vec<Kept>,
}

/// What a transaction changed of the tree's own keys.
#[derive(Clone, PartialEq, Debug)]
pub enum Kept {
    /// A key, its value before, and after; `None` is no value.
    Value { key: String, old: Option<Vec<u8>>, new: Option<Vec<u8>> },
    /// The numbers of a list (a key under `i/`): number and key of the rows that went and that came.
    Rows { key: String, gone: Vec<(u32, String)>, made: Vec<(u32, String)> },
}

impl Kept {
    /// Rows that differ between two records of numbers.
    pub fn rows(key: &str, old: &[u8], new: &[u8]) -> Kept {
        let without = |one: &[u8], other: &[u8]| {
            let other = SortedSet::from_iter(record::entries(other));
            let left = record::entries(one).filter(|e| !other.contains(e));
            left.map(|(number, name)| (number, name.to_owned())).collect()
        };
        Kept::Rows { key: key.to_owned(), gone: without(old, new), made: without(new, old) }
    }
}

/// All that is on trial.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Record {
    /// In the order they were made.
    pub groups: Vec<Group>,
    /// Why it is to be put back at once, whatever the path is like.
    pub failed: Option<String>,
    /// The handlers' changes were taken back by this process, with these troubles. Not kept.
    pub undone: Option<Vec<String>>,
    /// Seconds in force, as last noted.
    pub elapsed: u32,
}

impl Record {
    /// Whether something of it is in force.
    pub fn is_applied(&self) -> bool {
        self.groups.iter().any(|g| g.state == State::Applied)
    }

    /// As bytes, without `elapsed`.
    pub fn encode(&self, served: &Served) -> Vec<u8> {
        let mut out = Vec::new();
        put_option(&mut out, self.failed.as_ref().map(String::as_bytes));
        intent::put_count(&mut out, self.groups.len());
        for group in &self.groups {
            out.push(group.state as u8);
            out.extend(intent::encode(served, group.changes.iter()));
            intent::put_count(&mut out, group.kept.len());
            for kept in &group.kept {
                match kept {
                    Kept::Value { key, old, new } => {
                        out.push(b'v');
                        intent::put(&mut out, key.as_bytes());
                        put_option(&mut out, old.as_deref());
                        put_option(&mut out, new.as_deref());
                    }
                    Kept::Rows { key, gone, made } => {
                        out.push(b'i');
                        intent::put(&mut out, key.as_bytes());
                        put_rows(&mut out, gone);
                        put_rows(&mut out, made);
                    }
                }
            }
        }
        out
    }

    /// Reads it back; changes that this program cannot do or undo any more are told of in `notes`.
    /// `None` when the bytes are damaged.
    pub fn decode(served: &Served, bytes: &[u8], notes: &mut Vec<String>) -> Option<Record> {
        let mut from = bytes;
        let from = &mut from;
        let failed = take_option(from)?.map(|why| String::from_utf8_lossy(&why).into_owned());
        let mut groups = Vec::new();
        for _ in 0..intent::take_count(from)? {
            let state = match intent::take_byte(from)? {
                0 => State::Promised,
                1 => State::Applying,
                2 => State::Applied,
                _ => return None,
            };
            let changes = intent::decode_from(served, from, notes)?;
            let mut kept = Vec::new();
            for _ in 0..intent::take_count(from)? {
                kept.push(match intent::take_byte(from)? {
                    b'v' => {
                        let key = intent::take_text(from)?;
                        let old = take_option(from)?;
                        Kept::Value { key, old, new: take_option(from)? }
                    }
                    b'i' => {
                        let key = intent::take_text(from)?;
                        let gone = take_rows(from)?;
                        Kept::Rows { key, gone, made: take_rows(from)? }
                    }
                    _ => return None,
                });
            }
            groups.push(Group { state, changes, kept });
        }
        from.is_empty().then_some(Record { groups, failed, undone: None, elapsed: 0 })
    }
}

fn put_option(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    intent::put(out, bytes.unwrap_or(&[]));
}

fn take_option(from: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let there = intent::take_byte(from)? == 1;
    let bytes = intent::take(from)?;
    Some(there.then(|| bytes.to_vec()))
}

fn put_rows(out: &mut Vec<u8>, rows: &[(u32, String)]) {
    intent::put_count(out, rows.len());
    for (number, name) in rows {
        out.extend(number.to_le_bytes());
        intent::put(out, name.as_bytes());
    }
}

fn take_rows(from: &mut &[u8]) -> Option<Vec<(u32, String)>> {
    let mut rows = Vec::new();
    for _ in 0..intent::take_count(from)? {
        let number = intent::take_count(from)? as u32;
        rows.push((number, intent::take_text(from)?));
    }
    Some(rows)
}
