//! The change that is tried out: what carries the ACS session is changed when the session has ended, and
//! stays only when it is confirmed; else exactly what the transaction changed is put back.
//!
//! # Life of a trial
//! A transaction that touches a row marked `uplink` goes on trial as a whole. It is *promised* (Status 1)
//! in the record that also says it is made; *applied* at the end of the session, or by the next start,
//! with what its undo needs on disk before the first commit; and then *confirmed* or *put back* by the
//! owner of the tree, who knows whether the ACS is reached. A kill at any moment leaves it promised, or
//! on trial, or over.
//!
//! # One trial, perhaps of several transactions
//! There is one trial at a time. A transaction of the ACS confirms what is in force: the ACS could make it
//! only because the path works, unless the session began before that was so for certain
//! ([`Tree::hold_trial`]): it is as a local one then. What is promised in the same session joins the trial, and so does a
//! transaction that touches a row (or refers to one) which a transaction of the trial is about to change:
//! they must be made in their order. A local transaction confirms nothing; when it touches what carries
//! the session, or a row on trial, it joins the trial, whose time goes on. Everything is put back newest
//! first, so that each undo finds what its change has left.
//!
//! # What others changed meanwhile
//! Put back is what the trial touched and nothing else. A value that the tree keeps itself (`store`
//! values, aliases, ParameterKey) is put back only where it is still the one that the trial made: what
//! somebody has set since stays. Values of handlers cannot have been set through the tree by anybody
//! else, since such a transaction has joined; what another program has made of them is overwritten.

mod applying;
mod joining;
mod record;
mod restoring;

pub(super) use joining::Touched;
pub(super) use record::{Group, Record, State};

use super::attributes::general;
use super::fault::{Code, Fault};
use super::intent::Op;
use super::schema::flag;
use super::tree::Tree;
use crate::state::journal::{Batch, MAX_VALUE};
use crate::sys::order;
use crate::sys::sorted::SortedSet;
use record::Kept;

const TRIAL: &str = "t/trial";
const ELAPSED: &str = "t/elapsed";

/// The most names that a trial gives; the rest are left out.
pub const MAX_NAMES: usize = 64;

const URL: &str = "Device.ManagementServer.URL";
const USERNAME: &str = "Device.ManagementServer.Username";
const PASSWORD: &str = "Device.ManagementServer.Password";

/// Why it is put back when a start finds that this was begun.
const CUT_OFF: &str = "it was being put back when the agent was stopped";

/// What is on trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// Full paths of what was changed, at most [`MAX_NAMES`]; a row that came or went by its own path,
    /// with its final dot. Never values.
    pub names: Vec<String>,
    /// Something of it is in force: the session in which it was promised has ended.
    pub applied: bool,
    /// It touches rows marked `uplink` beyond the three below: the network path.
    pub path: bool,
    /// It touches ManagementServer.URL.
    pub acs: bool,
    /// It touches ManagementServer.Username or Password.
    pub credentials: bool,
    /// Seconds in force so far, as last noted.
    pub elapsed: u32,
    /// It could not be applied, or putting it back was cut off: what handlers had done is taken back, as
    /// far as it can be, and [`Tree::put_back_trial`] is to be called at once.
    pub failed: Option<String>,
}

/// What became of a trial that was put back.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PutBack {
    /// As in [`Trial`].
    pub names: Vec<String>,
    /// What could not be put back, and why.
    pub notes: Vec<String>,
}

/// What a key of the journal is about: the path behind its kind.
fn tail(key: &str) -> &str {
    key.get(2..).unwrap_or("")
}

impl Tree {
    /// Whether transactions go on trial from now on; they do not until this is called. What is on trial
    /// stays so.
    pub fn set_trials(&mut self, on: bool) {
        self.trials = on;
    }

    /// The session under way says nothing about what is on trial: no transaction of it confirms that.
    pub fn hold_trial(&mut self) {
        self.confirms_nothing = true;
    }

    /// What is on trial; `None` when nothing is.
    pub fn trial(&self) -> Option<Trial> {
        let record = self.trial.as_ref()?;
        let mut trial = Trial {
            names: self.trial_names(record),
            applied: record.is_applied(),
            path: false,
            acs: false,
            credentials: false,
            elapsed: record.elapsed,
            failed: record.failed.clone(),
        };
        let schema = &self.served.schema;
        let marked = |p: u16| schema.param(p).has(flag::UPLINK);
        for group in &record.groups {
            trial.path |= group.changes.iter().any(|change| match &change.op {
                Op::Set(values) => values.iter().any(|v| marked(v.param)),
                _ => schema.object(change.object).is_uplink(),
            });
            for kept in &group.kept {
                match kept {
                    Kept::Value { key, .. } => match key.strip_prefix("v/") {
                        Some(URL) => trial.acs = true,
                        Some(USERNAME | PASSWORD) => trial.credentials = true,
                        Some(path) => trial.path |= self.param_at(path).is_some_and(marked),
                        None => {}
                    },
                    Kept::Rows { key, .. } => {
                        let table = schema.find_object(&format!("{}{{i}}.", general(tail(key))));
                        trial.path |= table.is_some_and(|t| t.is_uplink());
                    }
                }
            }
        }
        Some(trial)
    }

    /// Durable: so many seconds of the trial have passed (after a power cut the time that was left goes
    /// on).
    ///
    /// # Errors
    /// 9002: it is not on disk.
    pub fn note_trial(&mut self, elapsed: u32) -> Result<(), Fault> {
        let Some(record) = &mut self.trial else {
            return Ok(());
        };
        record.elapsed = elapsed;
        let mut batch = Batch::default();
        batch.put(ELAPSED, elapsed.to_le_bytes());
        self.keep(batch)
    }

    /// What is in force stays; what is only promised yet stays on trial. `batch` is written with it.
    ///
    /// # Errors
    /// 9002: it is not on disk, and the trial is as it was. 9001 for a trial that has failed.
    pub fn confirm_trial(&mut self, mut batch: Batch) -> Result<(), Fault> {
        if self.trial.as_ref().is_some_and(|t| t.failed.is_some()) {
            return Err(Fault::new(Code::REQUEST_DENIED, "what has failed cannot be confirmed"));
        }
        let open = self.trial.clone();
        let noted = if self.drop_applied() { self.put_trial(&mut batch) } else { Ok(()) };
        noted.and_then(|()| self.keep(batch)).inspect_err(|_| self.trial = open)
    }

    /// Takes out of the trial what is in force; whether there was any.
    fn drop_applied(&mut self) -> bool {
        let Some(record) = self.trial.as_mut().filter(|t| t.failed.is_none() && t.is_applied()) else {
            return false;
        };
        record.groups.retain(|g| g.state == State::Promised);
        record.elapsed = 0;
        if record.groups.is_empty() {
            self.trial = None;
        }
        true
    }

    /// Adds the record of the trial to a batch, or that there is none.
    ///
    /// # Errors
    /// 9004: the journal could not hold it.
    fn put_trial(&self, batch: &mut Batch) -> Result<(), Fault> {
        let Some(record) = &self.trial else {
            batch.delete(TRIAL);
            batch.delete(ELAPSED);
            return Ok(());
        };
        let bytes = record.encode(&self.served);
        if bytes.len() > MAX_VALUE {
            let why = "the changes are too large to be tried out together";
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
        }
        batch.put(TRIAL, bytes);
        if record.elapsed == 0 {
            batch.delete(ELAPSED);
        }
        Ok(())
    }

    /// Bytes of the record as it stands.
    pub(super) fn trial_bytes(&self) -> usize {
        self.trial.as_ref().map_or(0, |t| t.encode(&self.served).len())
    }

    /// What a trial changed, by name.
    fn trial_names(&self, record: &Record) -> Vec<String> {
        let (mut rows, mut names): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for group in &record.groups {
            for change in &group.changes {
                match &change.op {
                    Op::Set(values) => {
                        let path = |p: u16| self.param_path(change.object, &change.numbers, p);
                        names.extend(values.iter().map(|v| path(v.param)));
                    }
                    Op::Add | Op::Delete => rows.push(self.place_of(change)),
                }
            }
            for kept in &group.kept {
                match kept {
                    Kept::Rows { key, gone, made } => {
                        rows.extend(gone.iter().chain(made).map(|(n, _)| format!("{}{n}.", tail(key))));
                    }
                    Kept::Value { key, .. } if key.starts_with("v/") => names.push(tail(key).to_owned()),
                    Kept::Value { key, .. } if key.starts_with("l/") => {
                        names.push(format!("{}Alias", tail(key)));
                    }
                    Kept::Value { .. } => {}
                }
            }
        }
        order::sort(&mut rows);
        rows.dedup();
        // What lies in a row that came or went is named by it.
        names.retain(|name| !rows.iter().any(|row| name.starts_with(row.as_str())));
        let mut seen = SortedSet::new();
        rows.into_iter().chain(names).filter(|name| seen.insert(name.clone())).take(MAX_NAMES).collect()
    }
}
