//! The undelivered events, by the policy of TR-069 3.7.1.5 (Table 8): which are told once and which
//! each time, what a failed session, a reboot or a bootstrap does to them.
//!
//! `0 BOOTSTRAP` sets everything before it aside: that belongs to the former ACS, and is told to
//! nobody. It is discarded (V-9) when the new ACS has answered, and not before: a new URL that turns
//! out to be wrong is taken back with [`Queue::withdraw_bootstrap`], and the former ACS misses nothing.
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

mod transfers;

use super::fields;
use super::rpc::Event;
pub use crate::model::builtin::ROLLBACK_EVENT as ROLLBACK;
pub use transfers::is_transfer;

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
/// `7 TRANSFER COMPLETE`
pub const TRANSFER_COMPLETE: &str = "7 TRANSFER COMPLETE";
/// `8 DIAGNOSTICS COMPLETE`
pub const DIAGNOSTICS_COMPLETE: &str = "8 DIAGNOSTICS COMPLETE";
/// `9 REQUEST DOWNLOAD`
pub const REQUEST_DOWNLOAD: &str = "9 REQUEST DOWNLOAD";
/// `10 AUTONOMOUS TRANSFER COMPLETE`
pub const AUTONOMOUS_TRANSFER_COMPLETE: &str = "10 AUTONOMOUS TRANSFER COMPLETE";
/// `14 HEARTBEAT`
pub const HEARTBEAT: &str = "14 HEARTBEAT";
/// `M Reboot`
pub const M_REBOOT: &str = "M Reboot";
/// `M ScheduleInform`
pub const M_SCHEDULE_INFORM: &str = "M ScheduleInform";

/// `M Download`
pub const M_DOWNLOAD: &str = "M Download";
/// `M ScheduleDownload`
pub const M_SCHEDULE_DOWNLOAD: &str = "M ScheduleDownload";
/// `M Upload`
pub const M_UPLOAD: &str = "M Upload";

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
        BOOTSTRAP | PERIODIC | SCHEDULED | M_REBOOT | M_SCHEDULE_INFORM | ROLLBACK => {
            (Kept::Always, InformResponse)
        }
        REQUEST_DOWNLOAD => (Kept::UntilReboot, OwnResponse),
        TRANSFER_COMPLETE
        | AUTONOMOUS_TRANSFER_COMPLETE
        | M_DOWNLOAD
        | M_SCHEDULE_DOWNLOAD
        | M_UPLOAD
        | "11 DU STATE CHANGE COMPLETE"
        | "12 AUTONOMOUS DU STATE CHANGE COMPLETE"
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

/// Whether it is an event of a vendor's: `X`, the OUI, and a name (V-26), 64 characters in all.
pub fn is_of_vendor(code: &str) -> bool {
    let Some((oui, name)) = code.strip_prefix("X ").and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    let hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    let visible = |c: char| !c.is_control();
    code.chars().count() <= 64
        && oui.len() == 6
        && oui.bytes().all(hex)
        && !name.trim().is_empty()
        && name.chars().all(visible)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    event: Event,
    /// It stands in the Inform of the session that runs.
    told: bool,
}

/// The undelivered events, oldest first. Those before `0 BOOTSTRAP` are the former ACS's.
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
    /// happens while its like is being told stands for a session of its own.
    pub fn add(&mut self, code: &str, command_key: &str) {
        match code {
            HEARTBEAT => self.heartbeat = true,
            BOOTSTRAP => self.bootstrap(),
            _ => self.push(code, command_key),
        }
    }

    /// The same for what the last ACS that answered had asked for: one that is still to be told
    /// `0 BOOTSTRAP` never hears of it.
    pub fn add_of_former(&mut self, code: &str, command_key: &str) {
        let bootstrap = self.entries.iter().position(|e| e.event.code == BOOTSTRAP);
        let since = self.entries.split_off(bootstrap.unwrap_or(self.entries.len()));
        self.push(code, command_key);
        self.entries.extend(since);
        self.limit();
    }

    /// The machine was started, or the agent for the first time since (V-11): what is kept until
    /// reboot goes, `1 BOOT` comes.
    pub fn boot(&mut self) {
        self.entries.retain(|e| policy(&e.event.code).0 == Kept::Always);
        self.push(BOOT, "");
    }

    /// The ACS is another, or the first: `0 BOOTSTRAP`, with a `1 BOOT` that was not told yet (V-10).
    /// Everything else is set aside.
    fn bootstrap(&mut self) {
        let boots = self.contains(BOOT);
        self.withdraw_bootstrap();
        self.heartbeat = false;
        self.push(BOOTSTRAP, "");
        if boots {
            self.push(BOOT, "");
        }
    }

    /// The ACS is the former one after all: it is told what was set aside, and no `0 BOOTSTRAP`.
    pub fn withdraw_bootstrap(&mut self) {
        self.entries.retain(|e| e.event.code != BOOTSTRAP);
        // What was set aside and what came since may be alike (V-5).
        let mut singles: Vec<(String, bool)> = Vec::new();
        self.entries.retain(|e| {
            let key = (e.event.code.clone(), e.told);
            let again = !is_multiple(&e.event.code) && singles.contains(&key);
            singles.push(key);
            !again
        });
    }

    /// An event turned out not to be (V-13: `4 VALUE CHANGE` without a changed parameter).
    pub fn remove(&mut self, code: &str) {
        self.entries.retain(|e| e.event.code != code);
        self.heartbeat &= code != HEARTBEAT;
    }

    /// Whether anything waits to be told, heartbeats left out.
    pub fn is_empty(&self) -> bool {
        self.pending().next().is_none()
    }

    /// Whether nothing waits to be told but changed values.
    pub fn is_only_value_change(&self) -> bool {
        !self.is_empty() && self.pending().all(|e| e.code == VALUE_CHANGE)
    }

    /// Whether this event waits to be told.
    pub fn contains(&self, code: &str) -> bool {
        (code == HEARTBEAT && self.heartbeat) || self.pending().any(|e| e.code == code)
    }

    /// What waits to be told, heartbeats and what is set aside left out; for status.
    pub fn pending(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().skip(self.present()).map(|e| &e.event)
    }

    /// Where the present ACS's events begin.
    fn present(&self) -> usize {
        self.entries.iter().position(|e| e.event.code == BOOTSTRAP).unwrap_or(0)
    }

    /// A session begins: the events of its Inform (V-1, V-25). What happens before the Inform is
    /// really made is told by it too, when this is called again then.
    pub fn begin_session(&mut self) -> Vec<Event> {
        self.merge();
        let present = self.present();
        for entry in self.entries.iter_mut().skip(present) {
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
    /// its own (V-23). With `0 BOOTSTRAP`, what the former ACS was not told is discarded (V-9); whether
    /// it was so.
    pub fn delivered(&mut self) -> bool {
        let bootstrap = self.entries.iter().position(|e| e.told && e.event.code == BOOTSTRAP);
        self.entries.drain(..bootstrap.unwrap_or(0));
        self.entries.retain(|e| !e.told || policy(&e.event.code).1 == DeliveredBy::OwnResponse);
        bootstrap.is_some()
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
        let alike = |e: &Entry| !e.told && e.event.code == code;
        if !multiple && self.entries.iter().skip(self.present()).any(alike) {
            return;
        }
        let command_key = if multiple { command_key } else { "" }.to_string();
        self.entries.push(Entry { event: Event { code: code.to_string(), command_key }, told: false });
        self.limit();
    }

    /// V-2: the oldest that comes in several goes first, and what is set aside before what is not.
    fn limit(&mut self) {
        while self.entries.len() > MAX_EVENTS {
            let multiple = |e: &Entry| !e.told && is_multiple(&e.event.code);
            // What waits for a response of its own is never discarded (V-16): those are few.
            let may = |e: &Entry| multiple(e) && policy(&e.event.code).1 == DeliveredBy::InformResponse;
            // Without any, the newest has no room.
            let place = self.entries.iter().position(may);
            let place = place.or_else(|| self.entries.iter().position(multiple));
            drop(self.entries.remove(place.unwrap_or(MAX_EVENTS)));
        }
    }
}

#[cfg(test)]
mod tests;
