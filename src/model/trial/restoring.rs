//! How a trial is put back.

use super::super::index::record;
use super::super::objects::without;
use super::super::tree::Tree;
use super::{ELAPSED, Group, Kept, PutBack, TRIAL, tail};
use crate::state::journal::Batch;
use crate::sys::order;
use crate::sys::sorted::SortedMap;

/// Keys that are put back, by name, with their values.
type Restored = SortedMap<String, Option<Vec<u8>>>;

impl Tree {
    /// Puts back exactly what the trial changed, newest first, ParameterKey too; `batch` (the owner's own
    /// records) is durable with the end of the trial in one write. Until that write a start finds the
    /// trial open, and marked as one to be put back. What the ACS was told of the values stays as it
    /// was, so that a sweep finds them changed.
    pub fn put_back_trial(&mut self, batch: Batch) -> PutBack {
        let Some(mut trial) = self.trial.take() else {
            self.write(batch);
            return PutBack::default();
        };
        let names = self.trial_names(&trial);
        let notes = match trial.undone.take() {
            Some(notes) => notes,
            None => self.take_back_trial(&mut trial),
        };
        self.flush_numbers();
        let mut all = Batch::default();
        for (key, value) in self.restored(&trial.groups) {
            all.ops.push((key, value));
        }
        all.delete(TRIAL);
        all.delete(ELAPSED);
        all.ops.extend(batch.ops);
        self.write(all);
        self.show_promises();
        self.new_epoch();
        if !self.pins.any() {
            self.index.clear();
        }
        PutBack { names, notes }
    }

    /// What the tree's own keys are to be again.
    fn restored(&mut self, groups: &[Group]) -> Restored {
        let mut restored = Restored::new();
        let mut came: Vec<String> = Vec::new();
        for kept in groups.iter().rev().flat_map(|g| g.kept.iter().rev()) {
            match kept {
                Kept::Value { key, old, new } => {
                    // What somebody has set since stays.
                    if self.now(&restored, key) == *new {
                        restored.insert(key.clone(), old.clone());
                    }
                }
                Kept::Rows { key, gone, made } => {
                    let now = self.now(&restored, key).unwrap_or_default();
                    restored.insert(key.clone(), Some(rows_before(&now, gone, made)));
                    came.extend(made.iter().map(|(number, _)| format!("{}{number}.", tail(key))));
                }
            }
        }
        for row in &came {
            self.forget_below(row, &mut restored);
        }
        restored
    }

    /// The value of a key, as far as it is put back by now.
    fn now(&self, restored: &Restored, key: &str) -> Option<Vec<u8>> {
        match restored.get(key) {
            Some(value) => value.clone(),
            None => self.journal.borrow().get(key).map(<[u8]>::to_vec),
        }
    }

    /// Forgets what stands below a row that came and goes again, and references to it.
    fn forget_below(&mut self, row: &str, restored: &mut Restored) {
        let journal = self.journal.borrow();
        for kind in ["v/", "l/", "a/", "i/"] {
            let prefix = format!("{kind}{row}");
            let known = journal.scan(&prefix).map(|(key, _)| key.to_owned());
            let again = restored.keys().filter(|key| key.starts_with(&prefix)).cloned();
            let keys: Vec<String> = known.chain(again).collect();
            restored.extend(keys.into_iter().map(|key| (key, None)));
        }
        let cleared = |key: &str, value: &[u8]| {
            let left = std::str::from_utf8(value).ok().and_then(|text| without(text, row))?;
            let is_reference = self.param_at(tail(key)).is_some_and(|p| self.is_reference(p));
            is_reference.then(|| (key.to_owned(), Some(left.into_bytes())))
        };
        let kept = journal.scan("v/").filter(|(key, _)| !restored.contains_key(*key));
        let again = restored.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)));
        let again = again.filter(|(key, _)| key.starts_with("v/"));
        let references: Restored =
            SortedMap::from_iter(kept.chain(again).filter_map(|(key, v)| cleared(key, v)));
        drop(journal);
        restored.extend(references);
        self.watch.forget(row);
    }
}

/// A record of numbers without the rows that came, and with those that went under their old numbers. How
/// far the numbers have got stays: none is given twice.
fn rows_before(now: &[u8], gone: &[(u32, String)], made: &[(u32, String)]) -> Vec<u8> {
    let is_made = |e: &(u32, &str)| made.iter().any(|m| (m.0, m.1.as_str()) == *e);
    let back = |e: &(u32, &str)| gone.iter().any(|g| g.0 == e.0 || g.1 == e.1);
    let mut rows: Vec<(u32, &str)> = record::entries(now).filter(|e| !is_made(e) && !back(e)).collect();
    rows.extend(gone.iter().map(|(number, key)| (*number, key.as_str())));
    order::sort(&mut rows);
    let room = 4 + rows.iter().map(|(_, key)| record::size(key)).sum::<usize>();
    record::encode(record::next(now), room, rows.into_iter())
}
