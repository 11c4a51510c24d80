//! The undelivered events, by the policy of TR-069 3.7.1.5 (Table 8): which are told once and which
//! each time, what a failed session, a reboot or a bootstrap does to them.
//!
//! `14 HEARTBEAT` stands apart from all others: it has a session of its own, which delivers nothing
//! else and is not tried again (HB-3, V-22).
//!
//! # Data storage
//! [`Queue::record`] gives a text for the journal whenever what must survive has changed: everything
//! but `6 CONNECTION REQUEST`, so that a restart of the daemon loses nothing. A reboot is told to the
//! queue by [`Queue::boot`], which drops what is kept "until reboot".
//!
//! # Error handling
//! A damaged record is read as far as it makes sense.

use super::fields;
use super::rpc::Event;

/// The most events in one Inform (V-2), and so in the queue.
pub const MAX_EVENTS: usize = 64;

/// `0 BOOTSTRAP`
pub const BOOTSTRAP: &str = "0 BOOTSTRAP";
/// `1 BOOT`
pub const BOOT: &str = "1 BOOT";
/// `2 PERIODIC`
pub const PERIODIC: &str = "2 PERIODIC";
/// `3 SCHEDULED`
pub const SCHEDULED: &str = "3 SCHEDULED";
/// `4 VALUE CHANGE`
pub const VALUE_CHANGE: &str = "4 VALUE CHANGE";
/// `6 CONNECTION REQUEST`
pub const CONNECTION_REQUEST: &str = "6 CONNECTION REQUEST";
/// `14 HEARTBEAT`
pub const HEARTBEAT: &str = "14 HEARTBEAT";
/// `M Reboot`
pub const M_REBOOT: &str = "M Reboot";
/// `M ScheduleInform`
pub const M_SCHEDULE_INFORM: &str = "M ScheduleInform";

/// What an undelivered event is kept through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Kept {
    /// Nothing: the next session tells it or it is lost.
    OneSession,
    /// Failed sessions, not a reboot.
    UntilReboot,
    /// Everything but a bootstrap.
    Always,
}

/// Which response delivers an event (V-16, V-17, V-23).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DeliveredBy {
    InformResponse,
    /// The response to a request of its own, which follows the Inform.
    OwnResponse,
}

fn policy(code: &str) -> (Kept, DeliveredBy) {
    use DeliveredBy::{InformResponse, OwnResponse};
    match code {
        CONNECTION_REQUEST => (Kept::OneSession, InformResponse),
        BOOTSTRAP | PERIODIC | SCHEDULED | M_REBOOT | M_SCHEDULE_INFORM => (Kept::Always, InformResponse),
        "9 REQUEST DOWNLOAD" => (Kept::UntilReboot, OwnResponse),
        "7 TRANSFER COMPLETE"
        | "10 AUTONOMOUS TRANSFER COMPLETE"
        | "11 DU STATE CHANGE COMPLETE"
        | "12 AUTONOMOUS DU STATE CHANGE COMPLETE"
        | "M Download"
        | "M ScheduleDownload"
        | "M Upload"
        | "M ChangeDUState" => (Kept::Always, OwnResponse),
        // 1 BOOT, 4 VALUE CHANGE, 5 KICKED, 8 DIAGNOSTICS COMPLETE, 13 WAKEUP
        _ if !is_multiple(code) => (Kept::UntilReboot, InformResponse),
        _ => (Kept::Always, InformResponse),
    }
}

/// Whether each occurrence is told by itself, with its CommandKey (V-6, V-26).
fn is_multiple(code: &str) -> bool {
    code.starts_with("M ")
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    event: Event,
    /// It stands in the Inform of the session that runs.
    told: bool,
}

/// The undelivered events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: Vec<Entry>,
    /// A heartbeat waits for its session.
    heartbeat: bool,
    recorded: String,
}

impl Queue {
    /// The queue of a record; an empty one for an empty record.
    pub fn from_record(record: &str) -> Queue {
        let mut queue = Queue::default();
        for [code, command_key] in fields::lines(record) {
            if !code.is_empty() && code.len() <= 64 && command_key.chars().count() <= 32 {
                queue.push(&code, &command_key);
            }
        }
        queue.recorded = record.to_string();
        queue
    }

    /// The record to store, when what must survive is not what was stored last (V-24).
    pub fn record(&mut self) -> Option<String> {
        let mut record = String::new();
        for Entry { event, .. } in &self.entries {
            if policy(&event.code).0 > Kept::OneSession {
                fields::push_line(&mut record, &[&event.code, &event.command_key]);
            }
        }
        if record == self.recorded {
            return None;
        }
        self.recorded = record.clone();
        Some(record)
    }

    /// Something happened. A single event is kept once (V-5) and without CommandKey (V-7); one that
    /// happens while its like is being told stands for a session of its own. `0 BOOTSTRAP` discards
    /// all others (V-9).
    pub fn add(&mut self, code: &str, command_key: &str) {
        if code == HEARTBEAT {
            self.heartbeat = true;
            return;
        }
        if code == BOOTSTRAP {
            self.entries.clear();
            self.heartbeat = false;
        }
        self.push(code, command_key);
    }

    /// The machine was started, or the agent for the first time since (V-11): what is kept until
    /// reboot goes, `1 BOOT` comes; with `bootstrap`, `0 BOOTSTRAP` before it (V-10).
    pub fn boot(&mut self, bootstrap: bool) {
        self.entries.retain(|e| policy(&e.event.code).0 == Kept::Always);
        if bootstrap {
            self.add(BOOTSTRAP, "");
        }
        self.add(BOOT, "");
    }

    /// An event turned out not to be (V-13: `4 VALUE CHANGE` without a changed parameter).
    pub fn remove(&mut self, code: &str) {
        self.entries.retain(|e| e.event.code != code);
        self.heartbeat &= code != HEARTBEAT;
    }

    /// Whether anything waits to be told, heartbeats left out.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether nothing waits to be told but changed values.
    pub fn is_only_value_change(&self) -> bool {
        !self.is_empty() && self.entries.iter().all(|e| e.event.code == VALUE_CHANGE)
    }

    /// Whether this event waits to be told.
    pub fn contains(&self, code: &str) -> bool {
        (code == HEARTBEAT && self.heartbeat) || self.entries.iter().any(|e| e.event.code == code)
    }

    /// What waits to be told, heartbeats left out; for status.
    pub fn pending(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|e| &e.event)
    }

    /// A session begins: the events of its Inform (V-1, V-25). What happens before the Inform is
    /// really made is told by it too, when this is called again then.
    pub fn begin_session(&mut self) -> Vec<Event> {
        self.merge();
        for entry in &mut self.entries {
            entry.told = true;
        }
        self.pending().cloned().collect()
    }

    /// The session of a heartbeat begins: the one event of its Inform, which is over with it whatever
    /// becomes of it. None of the others is told, so its session delivers and drops nothing.
    pub fn begin_heartbeat(&mut self) -> Vec<Event> {
        self.heartbeat = false;
        vec![Event { code: HEARTBEAT.to_string(), command_key: String::new() }]
    }

    /// InformResponse came: what the Inform told is delivered, but for what waits for a response of
    /// its own (V-23).
    pub fn delivered(&mut self) {
        self.entries.retain(|e| !e.told || policy(&e.event.code).1 == DeliveredBy::OwnResponse);
    }

    /// The session is over, well or not: what it told and did not deliver waits for the next, but for
    /// a connection request (V-15).
    pub fn end_session(&mut self) {
        self.entries.retain(|e| !e.told || policy(&e.event.code).0 > Kept::OneSession);
        self.merge();
    }

    /// Nothing is told any more, and each single event is there once (V-5).
    fn merge(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        for Entry { event, .. } in entries {
            self.push(&event.code, &event.command_key);
        }
    }

    fn push(&mut self, code: &str, command_key: &str) {
        let multiple = is_multiple(code);
        if !multiple && self.entries.iter().any(|e| !e.told && e.event.code == code) {
            return;
        }
        if self.entries.len() >= MAX_EVENTS {
            // V-2
            match self.entries.iter().position(|e| !e.told && is_multiple(&e.event.code)) {
                Some(oldest) => drop(self.entries.remove(oldest)),
                None => return,
            }
        }
        let command_key = if multiple { command_key } else { "" }.to_string();
        self.entries.push(Entry { event: Event { code: code.to_string(), command_key }, told: false });
    }
}

#[cfg(test)]
mod tests;
