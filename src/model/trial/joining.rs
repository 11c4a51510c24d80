//! Which transactions go on trial, and what the record says of them.

use super::super::fault::{Code, Fault};
use super::super::handler::Keys;
use super::super::index::ListKey;
use super::super::intent::{NewValue, Op, Planned};
use super::super::objects::without;
use super::super::schema::{Format, ObjectId, ParamId, flag};
use super::super::served::Numbers;
use super::super::tree::{Tree, Writer};
use super::{Group, Kept, State, TRIAL};
use crate::state::journal::Batch;

/// One thing that a transaction is about to change.
pub struct Touched<'a> {
    pub object: ObjectId,
    pub numbers: Numbers,
    /// The parameter, and what it is to be; `None` when the row itself comes or goes.
    pub set: Option<(ParamId, &'a str)>,
}

/// Whether a row is, or lies below, the row of a change.
fn within(tree: &Tree, object: ObjectId, numbers: &Numbers, change: &Planned) -> bool {
    let end = tree.served.schema.object(change.object).row().end;
    (change.object..end).contains(&object)
        && numbers.get(..change.depth) == change.numbers.get(..change.depth)
}

impl Tree {
    /// Decides whether a transaction goes on trial: it changes what carries the session, or touches what
    /// the open trial is about. Numbers that were given lately are made durable then, so that what the
    /// transaction changes of them can be told from them.
    ///
    /// # Errors
    /// 9001: the open trial has failed, and is to be put back first.
    pub(in super::super) fn goes_on_trial(
        &mut self,
        writer: Writer<'_>,
        touched: &[Touched<'_>],
    ) -> Result<bool, Fault> {
        let opens = |tree: &mut Tree| touched.iter().any(|t| tree.carries_session(t) && tree.changes(t));
        let goes = touched.iter().any(|t| self.meets_trial(writer, t)) || (self.trials && opens(self));
        if !goes {
            return Ok(false);
        }
        if self.trial.as_ref().is_some_and(|t| t.failed.is_some()) {
            return Err(Fault::new(Code::REQUEST_DENIED, "an earlier change is being put back; try again"));
        }
        self.flush_numbers();
        Ok(true)
    }

    fn carries_session(&self, touched: &Touched<'_>) -> bool {
        match touched.set {
            // Nothing depends on what a row is called.
            Some((param, _)) => {
                self.served.schema.param(param).has(flag::UPLINK)
                    && self.served.schema.param(param).kind().row.format != Format::Alias
            }
            None => self.served.schema.object(touched.object).is_uplink(),
        }
    }

    /// Whether a value is another one than there is. An ACS that sets the same in every session would have
    /// a trial, and so a session that confirms it, without end.
    fn changes(&mut self, touched: &Touched<'_>) -> bool {
        let Some((param, value)) = touched.set else {
            return true;
        };
        let place = self.locate(touched.object, &touched.numbers);
        let now = place.and_then(|place| self.read(touched.object, &place, &[param], true).pop());
        now.as_deref() != Some(value)
    }

    /// Whether a transaction that touches this must be made, and put back, in the order of those on
    /// trial. What is in force is of no concern to the ACS, who confirms it.
    fn meets_trial(&self, writer: Writer<'_>, touched: &Touched<'_>) -> bool {
        let Some(trial) = &self.trial else {
            return false;
        };
        let all = writer == Writer::Local || self.confirms_nothing;
        let groups = trial.groups.iter().filter(|g| all || g.state == State::Promised);
        groups.flat_map(|g| &g.changes).any(|change| self.meets(touched, change))
    }

    fn meets(&self, touched: &Touched<'_>, change: &Planned) -> bool {
        let (object, numbers) = (touched.object, &touched.numbers);
        let is_set = matches!(change.op, Op::Set(_));
        match touched.set {
            Some((param, value)) => {
                let same = change.object == object && change.numbers == *numbers;
                let handled = self.served.source(param).is_some_and(|s| self.served.handler(s).is_some());
                (is_set && same && handled)
                    || (!is_set && within(self, object, numbers, change))
                    || (handled && self.is_reference(param) && self.refers_to_new(value, change))
            }
            None => {
                let end = self.served.schema.object(object).row().end;
                let depth = self.served.tables(object).len();
                let below = (object..end).contains(&change.object)
                    && numbers.get(..depth) == change.numbers.get(..depth);
                below || (!is_set && within(self, object, numbers, change))
            }
        }
    }

    /// Whether references point to, or below, the row that a change is to make.
    fn refers_to_new(&self, value: &str, change: &Planned) -> bool {
        change.op == Op::Add && without(value, &self.place_of(change)).is_some()
    }

    /// Whether a change is about a row that is promised and not there yet, or refers to one: its handler
    /// can be asked only when the row has been made.
    pub(in super::super) fn is_early(&self, planned: &Planned) -> bool {
        let promised = self.trial.iter().flat_map(|t| &t.groups).filter(|g| g.state == State::Promised);
        promised.flat_map(|g| &g.changes).filter(|c| c.op == Op::Add).any(|new| {
            let refers = |values: &[NewValue]| {
                values.iter().any(|v| self.is_reference(v.param) && self.refers_to_new(&v.value, new))
            };
            within(self, planned.object, &planned.numbers, new)
                || matches!(&planned.op, Op::Set(values) if refers(values))
        })
    }

    /// Whether a change sets values of a row that an earlier one of the same transaction makes: there is
    /// nothing yet to stage, and to take back the row is enough.
    pub(in super::super) fn is_of_new_row(&self, earlier: &[Planned], planned: &Planned) -> bool {
        let makes = |e: &Planned| e.op == Op::Add && within(self, planned.object, &planned.numbers, e);
        matches!(planned.op, Op::Set(_)) && earlier.iter().any(makes)
    }

    /// Shows a list as it will be when what is promised is made.
    pub(in super::super) fn amend_rows(&self, list: &ListKey, keys: &mut Keys) {
        let promised = self.trial.iter().flat_map(|t| &t.groups).filter(|g| g.state == State::Promised);
        for change in promised.flat_map(|g| &g.changes) {
            let Some(own) = change.depth.checked_sub(1) else {
                continue;
            };
            let mut above = change.numbers;
            above[own] = 0; // own is below the depth of a row
            let Some(key) = change.keys.last().filter(|_| (change.object, above) == *list) else {
                continue;
            };
            let at = keys.iter().position(|k| k == key);
            match (&change.op, at) {
                (Op::Add, None) => keys.push(key),
                (Op::Delete, Some(at)) => keys.remove(at),
                _ => {}
            }
        }
    }

    /// Notes in `batch` what a transaction means for the trial: by the ACS, it confirms what is in
    /// force; and with `changes` it joins.
    ///
    /// # Errors
    /// 9004: the record has become too large. The trial in memory is to be put back by the caller then.
    pub(in super::super) fn amend_trial(
        &mut self,
        by_acs: bool,
        changes: Option<&[Planned]>,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let kept = changes.map(|_| self.displaced(batch));
        let mut changed = by_acs && !self.confirms_nothing && self.drop_applied();
        if let (Some(changes), Some(kept)) = (changes, kept) {
            let state = if self.session == 0 { State::Applied } else { State::Promised };
            let group = Group { state, changes: changes.to_vec(), kept };
            self.trial.get_or_insert_default().groups.push(group);
            changed = true;
        }
        if changed { self.put_trial(batch) } else { Ok(()) }
    }

    /// What a batch changes of the keys whose values belong to a transaction.
    fn displaced(&self, batch: &Batch) -> Vec<Kept> {
        let journal = self.journal.borrow();
        let mut kept = Vec::new();
        for (key, new) in &batch.ops {
            let old = journal.get(key);
            if old == new.as_deref() {
                continue;
            }
            let value = || Kept::Value { key: key.clone(), old: old.map(<[u8]>::to_vec), new: new.clone() };
            match (key.get(..2), new) {
                (Some("i/"), Some(new)) => {
                    let known = self.record_before(key);
                    kept.push(Kept::rows(key, known.as_deref().or(old).unwrap_or(&[]), new));
                }
                // What the ACS was told it still knows, unless its row went.
                (Some("v/" | "l/"), _) | (Some("i/" | "a/"), None) => kept.push(value()),
                _ if key == "k" => kept.push(value()),
                _ => {}
            }
        }
        kept
    }

    /// A row goes away at once: what is promised does not refer to it any more, nor, unless the trial
    /// would bring the row back first, what would be put back.
    pub(in super::super) fn trial_without(&mut self, path: &str, comes_back: bool, batch: &mut Batch) {
        let Some(mut trial) = self.trial.take() else {
            return;
        };
        let mut changed = false;
        for group in &mut trial.groups {
            for kept in group.kept.iter_mut().filter(|_| !comes_back) {
                let Kept::Value { key, old: Some(old), .. } = kept else {
                    continue;
                };
                let is_reference = key
                    .strip_prefix("v/")
                    .and_then(|name| self.param_at(name))
                    .is_some_and(|p| self.is_reference(p));
                let text = std::str::from_utf8(old).ok().filter(|_| is_reference);
                if let Some(left) = text.and_then(|text| without(text, path)) {
                    *old = left.into_bytes();
                    changed = true;
                }
            }
            if group.state == State::Promised {
                for planned in &mut group.changes {
                    changed |= self.promise_without(planned, path);
                }
            }
        }
        if changed {
            batch.put(TRIAL, trial.encode(&self.served));
        }
        self.trial = Some(trial);
    }
}
