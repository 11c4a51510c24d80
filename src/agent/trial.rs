//! Changes on trial, as the engine sees them: the tree knows what was changed and how to put it back,
//! [`crate::cwmp::trial`] when sessions are attempted and what their failures say; here the two are put
//! together, and what comes of it is made durable and told.
//!
//! # Data storage
//! What was found out about the open trial ([`NOTED`]), the last change that was put back ([`ROLLBACK`],
//! for the ACS to read), and the URLs that are not taken up again ([`REFUSED`]). Each is written in one
//! batch with what it belongs to.

use super::boot::Marker;
use super::control::{RollbackReport, TrialReport};
use super::engine::Engine;
use super::host::{ACS, Core};
use super::refused::Refused;
use super::status;
use crate::cwmp::events;
use crate::cwmp::trial::{Facts, Noted, Trial};
use crate::cwmp::trigger::{Call, Trigger};
use crate::handlers::agent::Rollback;
use crate::model::schema::Platform;
use crate::model::trial as tree;
use crate::net::client::Reached;
use crate::state::journal::Batch;
use crate::sys::clock::{self, Now};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Journal key of what is noted of the open trial.
pub const NOTED: &str = "b/trial";
/// Journal key of the last change that was put back, JSON.
pub const ROLLBACK: &str = "b/rollback";
/// Journal key of the URLs that are not taken up again.
pub const REFUSED: &str = "b/refused";

/// The longest text about why a change was put back, characters.
const MAX_REASON: usize = 256;

const URL: &str = "Device.ManagementServer.URL";
/// How the ACS is reached, as far as the configuration file says it.
pub const REACHES_ACS: [&str; 3] =
    [URL, "Device.ManagementServer.Username", "Device.ManagementServer.Password"];

/// What the engine knows of trials.
#[derive(Default)]
pub struct Trials {
    open: Option<Open>,
    /// The last session reached the ACS.
    reached: bool,
    /// The ACS did not refuse the credentials when it was asked last.
    let_in: bool,
    /// Shared with who judges what ManagementServer.URL may be set to.
    pub refused: Rc<RefCell<Refused>>,
    /// The session under way was begun for nothing but the trial.
    only: bool,
    /// How many such sessions in a row each left another trial behind.
    chain: usize,
}

/// The open trial.
struct Open {
    names: Vec<String>,
    machine: Trial,
}

impl Trials {
    /// When the next attempt is due; `None` when no trial has a say in it.
    pub fn next(&self) -> Option<Duration> {
        self.open.as_ref()?.machine.next()
    }

    /// What is wanted of the engine.
    pub fn call(&self) -> Call {
        match &self.open {
            None => Call::Nothing,
            Some(Open { machine, .. }) => match (machine.waits(), machine.next()) {
                (Some(at), Some(alone)) => Call::At(at, alone),
                _ => Call::Session,
            },
        }
    }

    /// A bell rang.
    pub fn moved(&mut self, now: Duration) {
        if let Some(open) = &mut self.open {
            open.machine.moved(now);
        }
    }

    /// Whether services may still be making what is on trial: what they move is to be heard.
    pub fn settles(&self, now: Duration) -> bool {
        self.open.as_ref().is_some_and(|open| open.machine.settles(now))
    }

    /// Whether the session under way, or the last one, was asked by the way that is on trial.
    fn counts(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.machine.counts())
    }

    /// Whether this is on trial.
    pub fn has(&self, name: &str) -> bool {
        self.open.as_ref().is_some_and(|open| open.names.iter().any(|n| n == name))
    }

    /// Whether a new URL is on trial: nobody else is asked meanwhile.
    pub fn has_acs(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.machine.facts().acs)
    }
}

fn facts(trial: &tree::Trial) -> Facts {
    Facts { path: trial.path, acs: trial.acs, credentials: trial.credentials }
}

/// What a start finds.
pub fn open(core: &mut Core, now: Now) {
    let knows_acs = core.journal.borrow().get(ACS).is_some();
    let journal = core.journal.borrow();
    let refused = journal.get(REFUSED).map(|record| Refused::from_record(record, now));
    core.facts.borrow_mut().rollback =
        journal.get(ROLLBACK).and_then(|record| serde_json::from_slice(record).ok());
    let noted = Noted::from_record(journal.text(NOTED).unwrap_or_default());
    drop(journal);
    // Of the time before the start only this is known: an ACS was reached at all.
    let refused = Rc::new(RefCell::new(refused.unwrap_or_default()));
    core.trials = Trials { reached: knows_acs, let_in: knows_acs, refused, ..Trials::default() };
    switch(core);
    let timeout = core.config.acs.confirm_timeout;
    if let Some(trial) = core.tree.trial().filter(|t| t.applied && t.failed.is_none()) {
        log::warn!("on trial since before the start, {} s so far: {}", trial.elapsed, trial.names.join(", "));
        let facts = facts(&trial);
        let mut machine = Trial::new(facts, noted, timeout, trial.elapsed, now.mono);
        // Whether services are done is not known, unless they began with it: at a boot.
        if core.is_made_later(facts) && !Marker::look(&core.config.run_dir).1 {
            machine.told(now.mono);
        }
        core.trials.open = Some(Open { names: trial.names, machine });
    }
}

/// Takes `acs.confirm_timeout` over. 0: nothing goes on trial, and what is on trial stays.
pub fn switch(core: &mut Core) {
    let on = core.config.acs.confirm_timeout > 0;
    core.tree.set_trials(on);
    if !on {
        core.confirm_trial(Batch::default());
    }
}

impl Core {
    /// Ends a session of the tree, or what stands for one, and takes up what is on trial from then on.
    /// `again`: a local change may have joined what was on trial before.
    pub fn end_session(&mut self, again: bool) -> Vec<String> {
        // An ACS may have changed anew what is on trial, in a session that confirmed nothing.
        let again = again || self.tree.has_promised();
        let notes = self.tree.end_session();
        self.follow_trial(again);
        notes
    }

    /// Looks what is on trial now.
    pub fn follow_trial(&mut self, again: bool) {
        let now = clock::now();
        let only = std::mem::take(&mut self.trials.only);
        let Some(trial) = self.tree.trial().filter(|t| t.applied && t.failed.is_none()) else {
            self.trials.open = None;
            self.trials.chain = 0;
            return;
        };
        let facts = facts(&trial);
        if facts == Facts::default() {
            // Values were set to what they had been: there is nothing to try.
            return self.confirm_trial(Batch::default());
        }
        let proven = Facts {
            path: self.trials.reached,
            acs: self.journal.borrow().get(ACS).is_some(),
            credentials: self.trials.let_in,
        };
        let later = self.is_made_later(facts);
        let mut batch = Batch::default();
        match &mut self.trials.open {
            Some(open) if !again && open.names == trial.names && open.machine.facts() == facts => return,
            Some(open) => {
                open.machine.joined(facts, proven, now.mono);
                if later {
                    open.machine.told(now.mono);
                }
                log::info!("more is on trial: {}", trial.names.join(", "));
                open.names = trial.names;
                batch.put(NOTED, open.machine.noted().record());
            }
            None => {
                // An ACS that makes another change in each session that was held for the last one is not
                // to be asked again and again.
                self.trials.chain = if only { self.trials.chain + 1 } else { 0 };
                let timeout = self.config.acs.confirm_timeout;
                let noted = Noted { proven, ..Noted::default() };
                let mut machine = Trial::new(facts, noted, timeout, 0, now.mono);
                machine.skip(self.trials.chain);
                if later {
                    machine.told(now.mono);
                }
                log::info!("on trial for {timeout} s: {}", trial.names.join(", "));
                // Mostly there is nothing to be noted, and nothing is there.
                let record = noted.record();
                if record != self.journal.borrow().text(NOTED).unwrap_or_default() {
                    batch.put(NOTED, record);
                }
                self.trials.open = Some(Open { names: trial.names, machine });
            }
        }
        if !batch.ops.is_empty() {
            self.keep(batch);
        }
    }

    /// A session begins, perhaps for nothing but the trial, or a heartbeat's.
    pub fn trial_attempt(&mut self, now: Now, trigger: Trigger) {
        let heartbeat = trigger == Trigger::Heartbeat;
        if !heartbeat {
            self.trials.only = trigger == Trigger::Trial;
        }
        let Some(open) = &mut self.trials.open else { return };
        if heartbeat {
            return open.machine.asked(now.mono);
        }
        open.machine.began(now.mono);
        let elapsed = open.machine.elapsed(now.mono);
        if let Err(fault) = self.tree.note_trial(elapsed) {
            log::error!("how long the trial has lasted is not on disk: {fault}");
        }
    }

    /// Whether services are told of such a change, and make it later: those of UCI.
    fn is_made_later(&self, facts: Facts) -> bool {
        facts.path && self.config.platform == Platform::OpenWrt
    }

    /// The ACS has answered an Inform: what is in force stays, if it was asked by that. `batch` is durable with it.
    pub fn trial_answered(&mut self, batch: Batch) {
        if self.trials.counts() {
            return self.confirm_trial(batch);
        }
        log::info!("on trial still: the session began before services were done");
        self.tree.hold_trial();
        self.keep(batch);
    }

    /// What is in force stays. `batch` is durable with that.
    pub fn confirm_trial(&mut self, mut batch: Batch) {
        let Some(trial) = self.tree.trial().filter(|t| t.applied && t.failed.is_none()) else {
            self.keep(batch);
            return;
        };
        batch.delete(NOTED);
        match self.tree.confirm_trial(batch) {
            Ok(()) => {
                log::info!("confirmed: {}", trial.names.join(", "));
                self.trials.open = None;
            }
            // It stays on trial; the next session confirms it.
            Err(fault) => log::error!("the trial cannot be confirmed: {fault}"),
        }
    }

    /// A session ended; what is learned of the ACS by that. Before what it promised comes into force.
    pub fn trial_learns(&mut self, answered: bool, reached: Reached) {
        self.trials.reached = answered || reached >= Reached::Connected;
        self.trials.let_in = answered || (self.trials.let_in && reached != Reached::Answered(401));
    }

    /// The session failed before its Inform was answered. Why the change is put back, when it is.
    fn trial_failed(&mut self, now: Now, reached: Reached, why: &str) -> Option<String> {
        let open = self.trials.open.as_mut()?;
        let before = open.machine.noted();
        if let Some(blame) = open.machine.failed(now.mono, reached) {
            let words = format!("{} in {} s", blame.words(), open.machine.elapsed(now.mono));
            // How it failed names the ACS: no value of what is put back is to be told.
            return Some(if open.machine.facts().acs { words } else { format!("{words}: {why}") });
        }
        let noted = open.machine.noted();
        if noted != before {
            let mut batch = Batch::default();
            batch.put(NOTED, noted.record());
            self.keep(batch);
        }
        None
    }

    /// Puts back what is on trial, and notes it for the ACS.
    fn undo_trial(&mut self, now: Now, why: &str) -> Option<tree::PutBack> {
        let trial = self.tree.trial()?;
        let mut batch = Batch::default();
        if trial.acs {
            let url = self.tree.value(URL).unwrap_or_default();
            let mut refused = self.trials.refused.borrow_mut();
            refused.add(&url, now);
            batch.put(REFUSED, refused.record());
        }
        let count = self.facts.borrow().rollback.as_ref().map_or(0, |r| r.count);
        let rollback = Rollback {
            time: now.clock_set.then_some(now.wall),
            reason: why.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect(),
            parameters: trial.names,
            count: count.saturating_add(1),
        };
        // Texts and numbers are always JSON.
        batch.put(ROLLBACK, serde_json::to_vec(&rollback).unwrap_or_default());
        batch.delete(NOTED);
        self.queue.add(events::ROLLBACK, "");
        self.records(&mut batch);
        let done = self.tree.put_back_trial(batch);
        let mut facts = self.facts.borrow_mut();
        facts.rollback = Some(rollback);
        facts.parameter_key = self.journal.borrow().text("k").unwrap_or_default().to_owned();
        self.trials.open = None;
        Some(done)
    }
}

impl Engine {
    /// The session under way failed before its Inform was answered: the change may be put back.
    pub fn trial_ended(&mut self, now: Now, reached: Reached, why: &str) {
        if let Some(why) = self.core.trial_failed(now, reached, why) {
            self.put_back(now, &why);
        }
    }

    /// What could not be made as it was promised, or was being put back when the agent was stopped, is
    /// put back at once. No session runs.
    pub fn put_back_failed(&mut self, now: Now) {
        if let Some(why) = self.core.tree.trial().and_then(|trial| trial.failed) {
            self.put_back(now, &why);
            self.settings_changed();
            self.sweep();
        }
    }

    fn put_back(&mut self, now: Now, why: &str) {
        let Some(done) = self.core.undo_trial(now, why) else { return };
        log::warn!("put back: {} ({why})", done.names.join(", "));
        for note in done.notes {
            log::error!("{note}");
            self.note(note);
        }
        self.kick();
    }
}

/// What `status` says of the open trial.
pub fn report(core: &Core, now: Now) -> Option<TrialReport> {
    let open = core.trials.open.as_ref()?;
    Some(TrialReport {
        parameters: open.names.clone(),
        seconds_left: open.machine.left(now.mono),
        standing: open.machine.stands(),
    })
}

/// What `status` says of the last change that was put back.
pub fn rollback(core: &Core) -> Option<RollbackReport> {
    let facts = core.facts.borrow();
    let last = facts.rollback.as_ref()?;
    Some(RollbackReport {
        time: last.time.map(status::moment).unwrap_or_default(),
        reason: last.reason.clone(),
        parameters: last.parameters.clone(),
        count: last.count,
    })
}
