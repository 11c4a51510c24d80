//! What `cwmpd status` says: why a session failed, what waits, and when the next attempt is.

use super::control::StatusReport;
use super::engine::Engine;
use super::start;
use crate::cwmp::session::Session;
use crate::sys::clock::{self, Now};
use std::time::Duration;

/// Notes shown; older ones are in the log.
const MAX_NOTES: usize = 16;

/// How the last session went.
#[derive(Clone, Default)]
pub struct LastSession {
    /// When it ended, seconds since 1970; `None` before the first.
    at: Option<i64>,
    words: String,
    failures: u32,
}

impl LastSession {
    /// It ended by the rules.
    pub fn succeeded(&mut self, now: Now, machine: &Session, took: Duration) {
        self.at = Some(now.wall);
        self.failures = 0;
        self.words = format!(
            "succeeded in {} ms, {} requests of the ACS, {} of them answered with a fault",
            took.as_millis(),
            machine.rpcs(),
            machine.faults()
        );
    }

    /// It failed.
    pub fn failed(&mut self, now: Now, why: String) {
        self.at = Some(now.wall);
        self.failures += 1;
        self.words = format!("failed: {why}");
    }

    /// In words.
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// The whole report.
pub fn report(engine: &Engine) -> StatusReport {
    let core = &engine.core;
    let now = clock::now();
    let mut notes = engine.notes.clone();
    notes.drain(..notes.len().saturating_sub(MAX_NOTES));
    let state = match engine.session_age() {
        Some(age) => format!("a session with the ACS runs since {} s", age.as_secs()),
        None if !core.settings.enable_cwmp => "EnableCWMP is false: no session is begun".to_owned(),
        None if core.schedule.retry_count() > 0 => {
            format!("waiting to try again after {} failed sessions", core.schedule.retry_count())
        }
        None => "idle".to_owned(),
    };
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        manufacturer: core.device.manufacturer.clone(),
        manufacturer_oui: core.device.oui.clone(),
        product_class: core.device.product_class.clone(),
        serial_number: core.device.serial_number.clone(),
        software_version: core.facts.borrow().identity.software_version.clone(),
        acs_url: core.settings.url.clone(),
        state,
        last_session_at: engine.last.at.map(clock::utc),
        last_session: (!engine.last.words.is_empty()).then(|| engine.last.words.clone()),
        failed_sessions: engine.last.failures,
        next_attempt: next_attempt(engine, now),
        pending_events: core.queue.codes(),
        connection_request_url: start::door_url(&engine.door, core.local),
        journal: core.journal.borrow().health(),
        overlay_problems: engine.overlay_problems.clone(),
        notes,
    }
}

fn next_attempt(engine: &Engine, now: Now) -> Option<String> {
    let core = &engine.core;
    if !core.settings.enable_cwmp || engine.session_age().is_some() {
        return None;
    }
    let wait = core.schedule.wait(now, !core.queue.is_empty())?;
    let why = if core.queue.is_empty() { "scheduled" } else { "pending events" };
    Some(format!("{} (in {} s, {why})", clock::utc(now.wall + wait.as_secs() as i64), wait.as_secs()))
}
