//! A change as one transaction over all handlers: staged, journaled, committed, done; or undone.
//!
//! Order of the writes: the intent (every change with what its handler saved) is on disk before the
//! first commit; one more batch after the last commit carries everything that the tree keeps itself
//! (stored values, ParameterKey, instance numbers, promised changes) and takes the intent away. A
//! change that no handler takes part in is that one batch alone. What would not fit into the journal
//! is refused before anything is changed.

use super::fault::{Code, Fault};
use super::handler::{Change, Ctx, Failure, Handler, Row, Set};
use super::intent::{self, Op, Planned};
use super::objects::without;
use super::schema::ParamId;
use super::served::Numbers;
use super::tree::{Status, Tree, Writer};
use crate::state::journal::{Batch, MAX_VALUE};
use crate::sys::order;
use crate::sys::sorted::SortedMap;

const INTENT: &str = "t/intent";
const PROMISED: &str = "t/promised";
/// The longest ParameterKey, in characters (R-SPV-12).
pub(super) const MAX_PARAMETER_KEY: usize = 32;

/// The ParameterKey that comes with a change, when the ACS makes it.
///
/// # Errors
/// 9003 when it is too long (R-SPV-12).
pub(super) fn parameter_key<'a>(writer: Writer<'a>) -> Result<Option<&'a str>, Fault> {
    match writer {
        Writer::Acs { parameter_key } if parameter_key.chars().count() > MAX_PARAMETER_KEY => {
            let why = format!("ParameterKey is longer than {MAX_PARAMETER_KEY} characters");
            Err(Fault::new(Code::INVALID_ARGUMENTS, why))
        }
        Writer::Acs { parameter_key } => Ok(Some(parameter_key)),
        Writer::Local => Ok(None),
    }
}

impl Tree {
    /// Calls the handler of a change.
    pub(super) fn with<R>(
        &mut self,
        planned: &Planned,
        call: impl FnOnce(&mut dyn Handler, &Ctx<'_>, &Row<'_>, &Change<'_>) -> R,
    ) -> Option<R> {
        let served = &self.served;
        let keys: Vec<&str> = planned.keys.iter().map(String::as_str).collect();
        let mut sets = Vec::new();
        let change = match &planned.op {
            Op::Set(values) => {
                sets.extend(values.iter().map(|v| Set {
                    param: served.schema.param(v.param),
                    arg: served.source(v.param).map_or("", |s| s.arg),
                    value: &v.value,
                    refers: v.refers.as_deref(),
                }));
                Change::Set(&sets)
            }
            Op::Add => Change::Add,
            Op::Delete => Change::Delete,
        };
        let row = Row {
            object: served.schema.object(planned.object),
            arg: served.row_arg(planned.object, planned.handler, sets.first().map_or("", |s| s.arg)),
            keys: &keys,
            numbers: planned.numbers.get(..planned.depth).unwrap_or(&[]),
        };
        let ctx = Ctx { epoch: self.epoch, root: &self.root };
        let handler = self.handlers.get_mut(planned.handler as usize)?;
        Some(call(handler.as_mut(), &ctx, &row, &change))
    }

    /// The path of the row that a change is about, for a text.
    pub(super) fn place_of(&self, planned: &Planned) -> String {
        let mut path = String::new();
        self.served.write_path(planned.object, &planned.numbers, &mut path);
        path
    }

    /// Asks whether a change can be taken back.
    pub(super) fn can_undo(&self, planned: &Planned) -> bool {
        let Some(handler) = self.handlers.get(planned.handler as usize) else {
            return false;
        };
        let arg = |p| self.served.source(p).map_or("", |s| s.arg);
        match &planned.op {
            Op::Set(values) => values.iter().all(|v| handler.can_undo(arg(v.param))),
            _ => handler.can_undo(self.served.row_arg(planned.object, planned.handler, "")),
        }
    }

    /// Stages all changes, writes the intent, and commits those that are not for the end of the
    /// session: on `trial`, in a session, none. The order of `list` becomes the order of commits.
    ///
    /// # Errors
    /// The reason, and nothing has been changed: 9001 for two changes that cannot be undone, what the
    /// handler said when one could not be staged, 9004 for what the journal could not hold, 9002 when
    /// one could not be committed.
    pub(super) fn carry_out(&mut self, list: &mut [Planned], trial: bool) -> Result<(), Fault> {
        self.carry_out_behind(&[], list, trial)
    }

    /// As [`Tree::carry_out`], as one transaction with changes that were carried out just before; they
    /// are taken back with these.
    ///
    /// # Errors
    /// As [`Tree::carry_out`].
    pub(super) fn carry_out_behind(
        &mut self,
        done: &[Planned],
        list: &mut [Planned],
        trial: bool,
    ) -> Result<(), Fault> {
        let Err((reached, fault)) = self.stage_and_commit(done, list, trial) else {
            return Ok(());
        };
        if let Some(at) = reached {
            log::error!("a change failed and is taken back: {}", fault.text);
            let all: Vec<Planned> = done.iter().chain(list.iter()).cloned().collect();
            self.take_all_back(&all, done.len() + at);
        } else if !done.is_empty() {
            self.take_all_back(done, done.len());
        }
        Err(fault)
    }

    /// When it fails: which change of `list` could not be committed, if it came so far, and why.
    fn stage_and_commit(
        &mut self,
        done: &[Planned],
        list: &mut [Planned],
        trial: bool,
    ) -> Result<(), (Option<usize>, Fault)> {
        if list.is_empty() {
            return Ok(());
        }
        let early = |fault| (None, fault);
        if list.iter().filter(|p| !p.undoable).count() > 1 {
            let why = "two of the changes cannot be taken back, so they cannot be made together";
            return Err(early(Fault::new(Code::REQUEST_DENIED, why)));
        }
        list.iter_mut().filter(|_| trial).for_each(|p| p.after = self.session != 0);
        order::sort_by(list, |a, b| (a.after, !a.undoable).cmp(&(b.after, !b.undoable)));
        let makes_rows = list.iter().any(|p| p.op == Op::Add);
        for at in 0..list.len() {
            let (earlier, rest) = list.split_at_mut(at);
            let of_new_row = |p: &Planned| makes_rows && self.is_of_new_row(earlier, p);
            let asked = |p: &&mut Planned| !self.is_early(p) && !of_new_row(p);
            let Some(planned) = rest.first_mut().filter(asked) else {
                continue;
            };
            match self.with(planned, |h, ctx, row, change| h.stage(ctx, row, change)) {
                Some(Ok(saved)) => planned.saved = saved,
                failed => {
                    let failure =
                        failed.and_then(Result::err).unwrap_or_else(|| Failure::internal("no handler"));
                    let place = self.place_of(planned);
                    return Err(early(Fault::new(failure.code, format!("{place}: {}", failure.text))));
                }
            }
        }
        let (now, later) = list.split_at(list.iter().take_while(|p| !p.after).count());
        let whole: Vec<&Planned> = done.iter().chain(now).collect();
        let intent = intent::encode(&self.served, whole.into_iter());
        let held = match trial {
            true => self.trial_bytes() + intent.len(),
            false => intent::encode_groups(&self.served, &self.promised).len(),
        };
        let promised = held + intent::encode(&self.served, later.iter()).len();
        if intent.len().max(promised) > MAX_VALUE {
            let why = "the changes are too large to be made together";
            return Err(early(Fault::new(Code::RESOURCES_EXCEEDED, why)));
        }
        if now.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.put(INTENT, intent);
        self.keep(batch).map_err(early)?;
        self.commit_in_order(now).map_err(|(at, why)| (Some(at), Fault::new(Code::INTERNAL_ERROR, why)))?;
        // Handlers read afresh what they have just written.
        self.new_epoch();
        Ok(())
    }

    /// Commits changes up to the first that fails: which one (the last when it was not one alone), and why.
    pub(super) fn commit_in_order(&mut self, list: &[Planned]) -> Result<(), (usize, String)> {
        for (at, planned) in list.iter().enumerate() {
            let done = self.with(planned, |h, ctx, row, change| h.commit(ctx, row, change));
            if let Some(Err(failure)) = done {
                return Err((at, format!("{}: {}", self.place_of(planned), failure.text)));
            }
        }
        let ctx = Ctx { epoch: self.epoch, root: &self.root };
        for (at, planned) in list.iter().enumerate() {
            if list.iter().skip(at + 1).any(|later| later.handler == planned.handler) {
                continue;
            }
            let Some(handler) = self.handlers.get_mut(planned.handler as usize) else { continue };
            // What a part of it has written is taken back with the whole.
            handler.flush(&ctx).map_err(|failure| (list.len() - 1, failure.text))?;
        }
        Ok(())
    }

    /// Undoes a transaction up to the change at `failed`, and its intent.
    pub(super) fn take_all_back(&mut self, now: &[Planned], failed: usize) {
        let mut notes = Vec::new();
        self.undo_newest_first(now, failed, &mut notes);
        notes.iter().for_each(|note| log::error!("{note}"));
        self.troubles.append(&mut notes);
        let mut batch = Batch::default();
        batch.delete(INTENT);
        self.write(batch);
        self.new_epoch();
    }

    /// Undoes the changes up to the one that failed, which may have done a part.
    fn undo_newest_first(&mut self, list: &[Planned], failed: usize, notes: &mut Vec<String>) {
        for planned in list.iter().take(failed + 1).rev().filter(|p| p.undoable) {
            notes.extend(self.take_back(planned));
        }
    }

    /// Undoes one change; why it could not be.
    pub(super) fn take_back(&mut self, planned: &Planned) -> Option<String> {
        let undone = self.with(planned, |h, ctx, row, change| h.undo(ctx, row, change, &planned.saved));
        match undone {
            Some(Ok(())) => None,
            Some(Err(failure)) => {
                Some(format!("{} could not be put back: {}", self.place_of(planned), failure.text))
            }
            None => Some(format!("{} could not be put back: no handler", self.place_of(planned))),
        }
    }

    /// Ends a transaction whose changes were carried out: one batch with all that the tree keeps, what
    /// is on trial among it.
    ///
    /// # Errors
    /// 9002: the batch is not on disk; 9004: the record of the trial is too large. Everything is taken
    /// back.
    pub(super) fn conclude(
        &mut self,
        list: Vec<Planned>,
        mut batch: Batch,
        key: Option<&str>,
        trial: bool,
    ) -> Result<Status, Fault> {
        if let Some(key) = key {
            batch.put("k", key);
        }
        let open = self.trial.clone();
        let noted = self.amend_trial(key.is_some(), trial.then_some(&list), &mut batch);
        let (later, now): (Vec<Planned>, Vec<Planned>) = list.into_iter().partition(|p| p.after);
        if !now.is_empty() {
            batch.delete(INTENT);
        }
        let waits = |p: &Planned| self.handlers.get(p.handler as usize).is_some_and(|h| h.waits());
        let status = match later.is_empty() && !(self.session != 0 && now.iter().any(waits)) {
            true => Status::Applied,
            false => Status::AtSessionEnd,
        };
        let promises = self.promised.len();
        let overlay = overlay(&later);
        if !later.is_empty() && !trial {
            self.promised.push(later);
            batch.put(PROMISED, intent::encode_groups(&self.served, &self.promised));
        }
        if let Err(fault) = noted.and_then(|()| self.keep(batch)) {
            self.promised.truncate(promises);
            self.trial = open;
            if !now.is_empty() {
                self.take_all_back(&now, now.len());
            }
            // Lists that were amended already are read anew.
            self.index.clear();
            self.new_epoch();
            return Err(fault);
        }
        self.overlay.extend(overlay);
        self.flush_numbers();
        self.new_epoch();
        if self.session == 0 {
            // No session whose end would do it.
            self.reload_services();
        }
        Ok(status)
    }

    /// Commits what was promised; by the last process when `inherited`.
    pub(super) fn keep_promises(&mut self, inherited: bool, notes: &mut Vec<String>) {
        if self.promised.is_empty() {
            return;
        }
        self.overlay.clear();
        for mut group in std::mem::take(&mut self.promised) {
            // Since it was promised an earlier promise, or somebody else, may have changed the row:
            // that is what a failure must leave behind. The last process may have died amidst this.
            for planned in group.iter_mut().filter(|_| !inherited) {
                let saved = self.with(planned, |h, ctx, row, change| h.stage(ctx, row, change));
                if let Some(Ok(saved)) = saved {
                    planned.saved = saved;
                }
            }
            if let Err((at, why)) = self.commit_in_order(&group) {
                notes.push(format!("a promised change failed: {why}"));
                self.undo_newest_first(&group, at, notes);
            }
            self.new_epoch();
        }
        let mut batch = Batch::default();
        batch.delete(PROMISED);
        self.write(batch);
        self.new_epoch();
    }

    /// Shows the promised values without those of rows at or below one that is being deleted, and
    /// without references to it.
    pub(super) fn hide_promises(&mut self, object: u16, numbers: &[u32], path: &str) {
        let end = self.served.schema.object(object).row().end;
        let below = |o: u16, n: &[u32]| (object..end).contains(&o) && n.starts_with(numbers);
        let mut overlay = std::mem::take(&mut self.overlay);
        overlay.retain(|(param, n), _| !below(self.served.schema.param(*param).object().id, n));
        for ((param, _), value) in overlay.iter_mut() {
            if let Some(left) = without(value, path).filter(|_| self.is_reference(*param)) {
                *value = left;
            }
        }
        self.overlay = overlay;
    }

    /// Takes references to a row that goes away out of a promise; whether there were any.
    pub(super) fn promise_without(&self, planned: &mut Planned, path: &str) -> bool {
        let Op::Set(values) = &mut planned.op else {
            return false;
        };
        let mut changed = false;
        for value in values {
            if let Some(left) = without(&value.value, path).filter(|_| self.is_reference(value.param)) {
                // The keys of the others stay: each has as many as it has, when all are of one table.
                let items: Vec<&str> = value.value.split(',').collect();
                if let Some(keys) =
                    value.refers.take().filter(|k| !left.is_empty() && k.len() % items.len() == 0)
                {
                    let of_each = keys.chunks((keys.len() / items.len()).max(1)).zip(&items);
                    let stays = of_each.filter(|(_, item)| left.split(',').any(|l| l == **item));
                    value.refers = Some(stays.flat_map(|(keys, _)| keys.to_vec()).collect());
                }
                value.value = left;
                changed = true;
            }
        }
        changed
    }

    /// Shows what is still promised, and no more.
    pub(super) fn show_promises(&mut self) {
        self.overlay = SortedMap::from_iter(self.promised.iter().flat_map(|group| overlay(group)));
    }

    /// Forgets promises about rows at or below one that is being deleted, and what of the others
    /// refers to it.
    pub(super) fn forget_promises(&mut self, object: u16, numbers: &[u32], path: &str, batch: &mut Batch) {
        let end = self.served.schema.object(object).row().end;
        let below = |o: u16, n: &[u32]| (object..end).contains(&o) && n.starts_with(numbers);
        let mut promised = std::mem::take(&mut self.promised);
        let mut changed = false;
        for group in &mut promised {
            let before = group.len();
            group.retain(|p| !below(p.object, &p.numbers));
            changed |= group.len() < before;
            for planned in group {
                changed |= self.promise_without(planned, path);
            }
        }
        promised.retain(|group| !group.is_empty());
        self.promised = promised;
        match (changed, self.promised.is_empty()) {
            (false, _) => {}
            (true, true) => batch.delete(PROMISED),
            (true, false) => batch.put(PROMISED, intent::encode_groups(&self.served, &self.promised)),
        }
    }

    /// Takes out of a promise of the last process what is no value any more: a newer program may
    /// have other types.
    pub(super) fn drop_misfits(&self, planned: &mut Planned, notes: &mut Vec<String>) {
        let place = self.place_of(planned);
        if let Op::Set(values) = &mut planned.op {
            values.retain(|v| {
                let fits = self.check_value(v.param, &v.value).is_ok();
                if !fits {
                    let name = self.served.schema.param(v.param).name();
                    notes.push(format!("{place}{name}: what was promised is no value any more"));
                }
                fits
            });
        }
    }

    /// What a start finds: an intent without its "done" is undone, promises are kept.
    pub(super) fn recover(&mut self, notes: &mut Vec<String>) {
        let (intent, promised) = {
            let journal = self.journal.borrow();
            (journal.get(INTENT).map(<[u8]>::to_vec), journal.get(PROMISED).map(<[u8]>::to_vec))
        };
        if let Some(bytes) = intent {
            match intent::decode(&self.served, &bytes, notes) {
                Some(mut list) => {
                    for planned in list.iter_mut().rev() {
                        planned.undoable = self.can_undo(planned);
                        let place = self.place_of(planned);
                        if !planned.undoable {
                            notes.push(format!("{place} may have been changed and cannot be put back"));
                            continue;
                        }
                        notes.push(self.take_back(planned).unwrap_or_else(|| {
                            format!("{place}: a transaction was cut off; what it did is taken back")
                        }));
                    }
                }
                None => {
                    notes.push("the record of a transaction is damaged; it cannot be taken back".to_owned())
                }
            }
            let mut batch = Batch::default();
            batch.delete(INTENT);
            self.write(batch);
        }
        if let Some(bytes) = promised {
            match intent::decode_groups(&self.served, &bytes, notes) {
                Some(mut groups) => {
                    groups.iter_mut().flatten().for_each(|p| self.drop_misfits(p, notes));
                    for planned in groups.iter_mut().flatten() {
                        planned.undoable = self.can_undo(planned);
                        notes.push(format!("{}: a promised change is made now", self.place_of(planned)));
                    }
                    self.promised = groups;
                    self.keep_promises(true, notes);
                    self.reload_services();
                }
                None => {
                    notes.push("the record of promised changes is damaged; they are forgotten".to_owned())
                }
            }
            let mut batch = Batch::default();
            batch.delete(PROMISED);
            self.write(batch);
        }
        self.find_trial(notes);
        // What the last process left for the end of its session, and what was put back just now.
        if self.handlers.iter().any(|h| h.waits()) {
            self.reload_services();
        }
        self.new_epoch();
    }
}

/// What promises make of the values.
fn overlay(list: &[Planned]) -> Vec<((ParamId, Numbers), String)> {
    let mut values = Vec::new();
    for planned in list.iter().filter(|p| p.after) {
        if let Op::Set(new) = &planned.op {
            values.extend(new.iter().map(|v| ((v.param, planned.numbers), v.value.clone())));
        }
    }
    values
}
