//! How what is on trial comes into force: at the end of the session, or by the next start.

use super::super::intent::Planned;
use super::super::tree::Tree;
use super::{CUT_OFF, ELAPSED, Record, State, TRIAL};
use crate::state::journal::{Batch, MAX_VALUE};

impl Tree {
    /// Makes what was promised on trial. When a part of it cannot be made all is taken back at once, and
    /// the trial waits to be put back (see [`super::Trial::failed`]).
    pub(in super::super) fn begin_trial(&mut self, notes: &mut Vec<String>) {
        let Some(mut trial) = self.trial.take() else {
            return;
        };
        if trial.failed.is_none() && trial.groups.iter().any(|g| g.state != State::Applied) {
            self.overlay.clear();
            if let Err((group, change, why)) = self.apply(&mut trial) {
                notes.push(format!("a promised change failed: {why}"));
                trial.failed = Some(why);
                // No start is to make it again.
                self.write_trial(&trial);
                let mut troubles = Vec::new();
                if let Some(failed) = trial.groups.get(group).filter(|g| g.state == State::Applying) {
                    self.take_back_group(&failed.changes, change + 1, &mut troubles);
                }
                self.take_back_groups(trial.groups.get(..group).unwrap_or(&[]), &mut troubles);
                self.reload_services();
                notes.extend(troubles.iter().cloned());
                trial.undone = Some(troubles);
            }
            self.new_epoch();
        }
        self.trial = Some(trial);
    }

    /// Commits each transaction that is not in force; where it failed, and why. What the undo of one
    /// needs is on disk before anything of it is done.
    fn apply(&mut self, trial: &mut Record) -> Result<(), (usize, usize, String)> {
        for at in 0..trial.groups.len() {
            let Some(group) = trial.groups.get_mut(at).filter(|g| g.state != State::Applied) else {
                continue;
            };
            let mut changes = std::mem::take(&mut group.changes);
            let begun = group.state == State::Applying;
            // What an earlier one has made of the rows is what a failure must leave behind. The last
            // process may have died amidst the commits: what it found before them stands.
            let staged = if begun { Ok(()) } else { self.stage_again(&mut changes) };
            group.changes = changes;
            staged.map_err(|why| (at, 0, why))?;
            if !begun && !group.changes.is_empty() {
                group.state = State::Applying;
                if trial.encode(&self.served).len() > MAX_VALUE {
                    let why = "what there was before is too large to be kept".to_owned();
                    if let Some(group) = trial.groups.get_mut(at) {
                        group.state = State::Promised;
                    }
                    return Err((at, 0, why));
                }
                self.write_trial(trial);
            }
            let Some(group) = trial.groups.get_mut(at) else {
                continue;
            };
            self.commit_in_order(&group.changes).map_err(|(change, why)| (at, change, why))?;
            group.state = State::Applied;
            // Handlers read afresh what they have just written.
            self.new_epoch();
        }
        // In force is what services have taken over: a start does both again.
        self.reload_services();
        self.write_trial(trial);
        Ok(())
    }

    fn stage_again(&mut self, changes: &mut [Planned]) -> Result<(), String> {
        for at in 0..changes.len() {
            let (earlier, rest) = changes.split_at_mut(at);
            let Some(planned) = rest.first_mut().filter(|p| !self.is_of_new_row(earlier, p)) else {
                continue;
            };
            match self.with(planned, |h, ctx, row, change| h.stage(ctx, row, change)) {
                Some(Ok(saved)) => planned.saved = saved,
                Some(Err(failure)) => return Err(format!("{}: {}", self.place_of(planned), failure.text)),
                None => return Err(format!("{}: no handler", self.place_of(planned))),
            }
        }
        Ok(())
    }

    /// Makes the record durable; when that fails the agent goes on in memory.
    fn write_trial(&self, trial: &Record) {
        let mut batch = Batch::default();
        batch.put(TRIAL, trial.encode(&self.served));
        if trial.elapsed == 0 {
            batch.delete(ELAPSED);
        }
        self.write(batch);
    }

    /// Takes back what handlers did for transactions, newest first.
    fn take_back_groups(&mut self, groups: &[super::Group], notes: &mut Vec<String>) {
        for group in groups.iter().rev().filter(|g| g.state != State::Promised) {
            self.take_back_group(&group.changes, group.changes.len(), notes);
        }
    }

    /// Takes back the first `count` changes of a transaction, newest first.
    fn take_back_group(&mut self, changes: &[Planned], count: usize, notes: &mut Vec<String>) {
        let done = changes.get(..count).unwrap_or(changes);
        for (at, planned) in done.iter().enumerate().rev() {
            if self.is_of_new_row(done.get(..at).unwrap_or(&[]), planned) {
                continue;
            }
            if !planned.undoable {
                notes.push(format!("{} cannot be put back", self.place_of(planned)));
                continue;
            }
            notes.extend(self.take_back(planned));
        }
        self.new_epoch();
    }

    /// What a start finds on trial: what was promised is made, the rest goes on.
    pub(in super::super) fn find_trial(&mut self, notes: &mut Vec<String>) {
        let (bytes, elapsed) = {
            let journal = self.journal.borrow();
            let elapsed = journal.get(ELAPSED).and_then(|v| Some(u32::from_le_bytes(v.try_into().ok()?)));
            (journal.get(TRIAL).map(<[u8]>::to_vec), elapsed.unwrap_or(0))
        };
        let Some(bytes) = bytes else {
            return;
        };
        let Some(mut trial) = Record::decode(&self.served, &bytes, notes) else {
            notes.push("the record of what is on trial is damaged; it cannot be put back".to_owned());
            let mut batch = Batch::default();
            batch.delete(TRIAL);
            batch.delete(ELAPSED);
            return self.write(batch);
        };
        trial.elapsed = elapsed;
        for group in &mut trial.groups {
            for planned in &mut group.changes {
                planned.undoable = self.can_undo(planned);
                if group.state != State::Applied && trial.failed.is_none() {
                    self.drop_misfits(planned, notes);
                    notes.push(format!("{}: a promised change is made now", self.place_of(planned)));
                }
            }
        }
        self.trial = Some(trial);
        self.begin_trial(notes);
    }

    /// Takes back what handlers did for a trial, and lets services take that over; why some could not be.
    /// It is marked first, so that a start goes on with it whatever the path is like.
    pub(super) fn take_back_trial(&mut self, trial: &mut Record) -> Vec<String> {
        let mut notes = Vec::new();
        let begun = |g: &super::Group| g.state != State::Promised && !g.changes.is_empty();
        if !trial.groups.iter().any(begun) {
            return notes;
        }
        if trial.failed.is_none() {
            trial.failed = Some(CUT_OFF.to_owned());
            self.write_trial(trial);
        }
        self.take_back_groups(&trial.groups, &mut notes);
        self.reload_services();
        notes
    }
}
