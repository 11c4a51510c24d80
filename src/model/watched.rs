//! What is kept of the parameters of a row: attributes that were set, and what the ACS was last told.
//!
//! # Data storage
//! One record a row: in the journal under `a/` and the row's path with its final dot; those of rows of
//! volatile tables live in memory, as their instance numbers do. For each parameter that has something to
//! keep: a byte of bits (0 and 1 notification, 2 attributes were set, 3 Subscriber may write, 4 a hash
//! follows), the length of its name (u8), the name, and the hash of the value last told (u64, little
//! endian). Names, and not places in a table: another firmware has other tables. What this program does
//! not know stays as it is.

use super::schema::{ObjectId, ParamId};
use super::served::{Numbers, Served};
use super::tree::Tree;
use crate::state::journal::Batch;
use crate::sys::sorted::SortedMap;

/// What the keys of records begin with.
pub const PREFIX: &str = "a/";

/// The attributes of one parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// 0 off, 1 passive, 2 active.
    pub notification: u8,
    /// Whether Subscriber may write.
    pub subscriber: bool,
}

/// What is kept of one parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// The attributes that were set; `None` where the model's hold.
    pub set: Option<Attributes>,
    /// The hash of the value that the ACS was last told.
    pub told: Option<u64>,
}

const NOTIFICATION: u8 = 3;
const SET: u8 = 4;
const SUBSCRIBER: u8 = 8;
const TOLD: u8 = 16;

/// One entry of a record: how many bytes it has, its name, and what is kept. `None` at the end, and where
/// the record is damaged.
fn first(record: &[u8]) -> Option<(usize, &str, Kept)> {
    let ([bits, len], rest) = record.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(*len as usize)?;
    let told = match bits & TOLD {
        0 => None,
        _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
    };
    let attributes = Attributes { notification: bits & NOTIFICATION, subscriber: bits & SUBSCRIBER != 0 };
    let known = bits & !(NOTIFICATION | SET | SUBSCRIBER | TOLD) == 0 && attributes.notification < 3;
    let kept = Kept { set: (bits & SET != 0).then_some(attributes), told };
    let name = std::str::from_utf8(name).ok().filter(|_| known && *len > 0)?;
    Some((2 + name.len() + told.map_or(0, |_| 8), name, kept))
}

/// The entries of a record.
pub fn entries(record: &[u8]) -> impl Iterator<Item = (&str, Kept)> + Clone {
    let mut rest = record;
    std::iter::from_fn(move || {
        let (len, name, kept) = first(rest)?;
        rest = rest.get(len..)?;
        Some((name, kept))
    })
}

/// What a record keeps of a parameter.
pub fn find(record: &[u8], name: &str) -> Kept {
    entries(record).find(|e| e.0 == name).map_or(Kept::default(), |e| e.1)
}

/// Changes what a record keeps of a parameter. A record that is damaged loses what is behind the damage.
pub fn put(record: &mut Vec<u8>, name: &str, kept: Kept) {
    let mut at = 0;
    let mut old = 0;
    while let Some((len, found, _)) = record.get(at..).and_then(first) {
        if found == name {
            old = len;
            break;
        }
        at += len;
    }
    if old == 0 {
        record.truncate(at);
    }
    let mut new = Vec::with_capacity(name.len() + 10);
    // A path has at most 256 bytes, so a name has fewer.
    if let (Ok(len), true) = (u8::try_from(name.len()), kept != Kept::default()) {
        let set = kept.set.map_or(0, |a| SET | a.notification | if a.subscriber { SUBSCRIBER } else { 0 });
        new.extend([set | if kept.told.is_some() { TOLD } else { 0 }, len]);
        new.extend(name.as_bytes());
        if let Some(told) = kept.told {
            new.extend(told.to_le_bytes());
        }
    }
    record.splice(at..at + old, new);
}

/// Records of rows that are about to change.
#[derive(Default)]
pub struct Edits {
    pub rows: SortedMap<(ObjectId, Numbers), Vec<u8>>,
}

/// Records of rows of volatile tables, by key.
pub type Volatile = SortedMap<String, Vec<u8>>;

impl Served {
    /// The row that a path with its final dot speaks of, whether or not it exists now.
    pub fn row_at(&self, path: &str) -> Option<(ObjectId, Numbers)> {
        let mut words = path.strip_suffix('.')?.split('.');
        if !self.has(0) || words.next()? != self.schema.object(0).name() {
            return None;
        }
        let (mut object, mut numbers, mut depth): (ObjectId, Numbers, usize) = (0, [0; _], 0);
        while let Some(word) = words.next() {
            let child = self.child(object, word)?;
            object = child.id;
            if child.is_table() {
                *numbers.get_mut(depth)? = words.next()?.parse().ok().filter(|n| *n > 0)?;
                depth += 1;
            }
        }
        Some((object, numbers))
    }

    /// The parameter of this name, looked for from `from` on: names of a record mostly stand in the order
    /// of the table.
    pub fn param_from(&self, object: ObjectId, name: &str, from: ParamId) -> Option<ParamId> {
        let (first, end) = self.schema.object(object).row().params;
        let from = from.clamp(first, end);
        let mut all = (from..end).chain(first..from);
        all.find(|id| self.schema.param(*id).name() == name && self.source(*id).is_some())
    }
}

impl Tree {
    /// The key of a row's record.
    pub(super) fn kept_key(&self, object: ObjectId, numbers: &Numbers) -> String {
        let mut key = String::with_capacity(64);
        key.push_str(PREFIX);
        self.served.write_path(object, numbers, &mut key);
        key
    }

    /// What `read` makes of the record with this key.
    pub(super) fn with_kept<R>(&self, key: &str, read: impl FnOnce(&[u8]) -> R) -> R {
        match self.watch.volatile.get(key) {
            Some(record) => read(record),
            None => read(self.journal.borrow().get(key).unwrap_or(&[])),
        }
    }

    /// What is kept of a parameter.
    pub(super) fn kept(&self, object: ObjectId, numbers: &Numbers, param: ParamId) -> Kept {
        let name = self.served.schema.param(param).name();
        self.with_kept(&self.kept_key(object, numbers), |record| find(record, name))
    }

    /// Changes what is kept of a parameter, among other changes.
    pub(super) fn edit(
        &self,
        edits: &mut Edits,
        object: ObjectId,
        numbers: &Numbers,
        param: ParamId,
        change: impl FnOnce(&mut Kept),
    ) {
        let record = edits
            .rows
            .entry((object, *numbers))
            .or_insert_with(|| self.with_kept(&self.kept_key(object, numbers), <[u8]>::to_vec));
        let name = self.served.schema.param(param).name();
        let old = find(record, name);
        let mut new = old;
        change(&mut new);
        if new != old {
            put(record, name, new);
        }
    }

    /// Puts changed records into a batch; those of volatile rows are given back, for
    /// [`Tree::keep_volatile`].
    pub(super) fn batch_edits(&self, edits: Edits, batch: &mut Batch) -> Volatile {
        let mut volatile = Volatile::new();
        for ((object, numbers), mut record) in edits.rows {
            let key = self.kept_key(object, &numbers);
            record.shrink_to_fit();
            match (self.served.is_volatile(object), record.is_empty()) {
                (true, _) => drop(volatile.insert(key, record)),
                (false, true) => batch.delete(key),
                (false, false) => batch.put(key, record),
            }
        }
        volatile
    }

    /// Takes over changed records of volatile rows.
    pub(super) fn keep_volatile(&mut self, changed: Volatile) {
        for (key, record) in changed {
            match record.is_empty() {
                true => self.watch.volatile.remove(&key),
                false => self.watch.volatile.insert(key, record),
            };
        }
    }

    /// The record behind the key `last`, of the volatile rows or of the others, in the order of keys; key
    /// and record are overwritten. `false` when there is none.
    pub(super) fn next_kept(
        &self,
        volatile: bool,
        last: &str,
        key: &mut String,
        record: &mut Vec<u8>,
    ) -> bool {
        let mut take = |found: Option<(&str, &[u8])>| {
            let Some((found, bytes)) = found.filter(|f| f.0.starts_with(PREFIX)) else {
                return false;
            };
            key.clear();
            key.push_str(found);
            record.clear();
            record.extend_from_slice(bytes);
            true
        };
        if !volatile {
            let journal = self.journal.borrow();
            let found = journal.after(last);
            return take(found);
        }
        let behind = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
        let found = self.watch.volatile.range::<str>(behind).next();
        take(found.map(|(k, v)| (k.as_str(), v.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(set: Option<(u8, bool)>, told: Option<u64>) -> Kept {
        Kept { set: set.map(|(notification, subscriber)| Attributes { notification, subscriber }), told }
    }

    fn sample() -> (Vec<u8>, Vec<(&'static str, Kept)>) {
        let all = vec![
            ("Enable", kept(Some((2, true)), Some(u64::MAX))),
            ("A", kept(None, Some(0))),
            ("NameOfSomeLength", kept(Some((0, false)), None)),
            ("Status", kept(Some((1, false)), Some(7))),
        ];
        let mut record = Vec::new();
        all.iter().for_each(|(name, kept)| put(&mut record, name, *kept));
        (record, all)
    }

    #[test]
    fn a_record_reads_back() {
        let (mut record, mut all) = sample();
        assert_eq!(entries(&record).collect::<Vec<_>>(), all);
        assert_eq!(find(&record, "Status"), all[3].1);
        assert_eq!(find(&record, "Stat"), Kept::default());
        // Each takes another's place, of every length, and goes when there is nothing to keep.
        for at in 0..all.len() {
            for new in [kept(None, Some(9)), kept(Some((2, false)), None), kept(Some((1, true)), Some(1))] {
                all[at].1 = new;
                put(&mut record, all[at].0, new);
                assert_eq!(entries(&record).collect::<Vec<_>>(), all);
            }
        }
        for (name, _) in all {
            put(&mut record, name, Kept::default());
            assert_eq!(find(&record, name), Kept::default());
        }
        assert!(record.is_empty());
        put(&mut record, "Gone", Kept::default());
        put(&mut record, &"x".repeat(256), kept(Some((2, true)), None));
        assert!(record.is_empty(), "no such name fits into a path");
    }

    /// What the disk made of a record is read as far as it is one, and can be written on.
    #[test]
    fn damage_is_survived() {
        let (record, all) = sample();
        for at in 0..record.len() {
            assert!(entries(&record[..at]).all(|e| all.contains(&e)), "cut at {at}");
            for value in [0, 1, 3, 0x20, 0x7f, 0xff] {
                let mut broken = record.clone();
                broken[at] = value;
                let read = entries(&broken).count();
                assert!(read <= record.len() / 3);
                put(&mut broken, "New", kept(Some((2, true)), Some(1)));
                assert_eq!(find(&broken, "New"), kept(Some((2, true)), Some(1)), "{at} {value}");
                assert_eq!(entries(&broken).count(), read + 1, "{at} {value}");
            }
        }
    }
}
