//! Which session is to begin now: a heartbeat's own, or one that tells what waits (C-2, C-27, C-31).

use super::events::{self, Queue};
use super::rpc::Event;
use super::schedule::Schedule;
use crate::sys::clock::Now;
use std::time::Duration;

/// A session that is to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The session of a heartbeat, which tells nothing else (HB-3).
    Heartbeat,
    /// A session that tells all events that wait.
    Events,
    /// The same, with none that waits: a change is to be confirmed.
    Trial,
}

/// What an open trial ([`super::trial`]) calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Call {
    /// There is none.
    #[default]
    Nothing,
    /// A session, after the waits that there are.
    Session,
    /// A session at this time (monotonic), whatever the wait after a failure, and none before; one that has
    /// nothing to tell not before the second, which is no earlier.
    At(Duration, Duration),
}

/// What may call for a session beside queue and schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// A connection request or a person: whatever the retry wait says (CR-20).
    pub kicked: bool,
    /// A session failed after its Inform was answered (V-3).
    pub owed: bool,
    /// What is on trial.
    pub trial: Call,
    /// Until when what transfers have to report makes no session by itself: the ACS did not take it
    /// ([`super::transfers::Queue::report_at`]).
    pub report_at: Option<Duration>,
}

/// Which session is to begin now, when none runs and CWMP is enabled. A heartbeat goes first: its
/// moment is fixed, its session short by its nature, and it is lost where others wait. It waits only
/// for sessions that failed and for an ACS that does not know the device yet.
pub fn now(queue: &Queue, schedule: &Schedule, calls: Calls, now: Now) -> Option<Trigger> {
    let new = queue.contains(events::BOOTSTRAP);
    if queue.contains(events::HEARTBEAT) && schedule.failures() == 0 && !new {
        return Some(Trigger::Heartbeat);
    }
    if calls.kicked {
        return Some(Trigger::Events);
    }
    let tells = calls.owed || !queue.is_empty();
    let waits = match calls.trial {
        Call::At(at, alone) => now.mono < if tells { at } else { alone },
        Call::Session => schedule.retry_at().is_some(),
        Call::Nothing => {
            schedule.retry_at().is_some()
                || held_until(queue, schedule, calls).is_some_and(|until| now.mono < until)
        }
    };
    match (tells, calls.trial) {
        _ if waits => None,
        (true, _) => Some(Trigger::Events),
        (false, Call::Nothing) => None,
        (false, _) => Some(Trigger::Trial),
    }
}

/// When a session is to begin that neither an event nor the end of a wait calls for.
pub fn later(queue: &Queue, schedule: &Schedule, calls: Calls) -> Option<Duration> {
    match calls.trial {
        Call::At(at, alone) => Some(if calls.owed || !queue.is_empty() { at } else { alone }),
        _ => held_until(queue, schedule, calls),
    }
}

/// Until when what waits has to wait, because it is nothing but active changes (C-31), tests that ended right
/// behind a session (DG-2), and transfers whose report was not taken.
pub fn held_until(queue: &Queue, schedule: &Schedule, calls: Calls) -> Option<Duration> {
    if calls.kicked || calls.owed || calls.trial != Call::Nothing || queue.is_empty() {
        return None;
    }
    // Each of them has its own time, and one without ends the wait of all.
    let until = |event: &Event| match event.code.as_str() {
        events::VALUE_CHANGE => schedule.throttled_until(),
        events::DIAGNOSTICS_COMPLETE => schedule.results_at(),
        code if events::is_transfer(code) => calls.report_at,
        _ => None,
    };
    queue.pending().map(|event| until(event).unwrap_or_default()).min().filter(|at| !at.is_zero())
}

#[cfg(test)]
mod tests;
