//! What `cwmpd status` says: why a session failed, what waits, and when the next attempt is.

use super::control::{NextReport, RebootReport, SessionReport, StatusReport};
use super::engine::Engine;
use super::transfers::shown;
use super::{door, start, trial};
use crate::cwmp::events;
use crate::cwmp::reboots::Due;
use crate::cwmp::session::Session;
use crate::cwmp::trigger;
use crate::model::schema::Platform;
use crate::sys::clock::{self, Now};
use std::path::Path;
use std::time::Duration;

/// How much of why a session failed is kept, in characters: some of it may be the peer's own words.
pub const MAX_FAILURE: usize = 512;

/// A session that ended; `failure` says why it failed.
pub fn ended(
    machine: &Session,
    began: Now,
    now: Now,
    events: &[String],
    failure: Option<String>,
) -> Option<SessionReport> {
    Some(SessionReport {
        began: at(began, began.wall),
        milliseconds: now.mono.saturating_sub(began.mono).as_millis().try_into().unwrap_or(u64::MAX),
        events: events.to_vec(),
        requests: machine.rpcs(),
        failure: failure.map(|why| why.chars().take(MAX_FAILURE).collect()),
    })
}

/// A moment as a dateTime; the time since boot while the clock is not set.
fn at(now: Now, wall: i64) -> String {
    match now.clock_set {
        true => moment(wall),
        false => format!("{} s after boot", now.mono.as_secs()),
    }
}

/// Seconds since 1970 as a dateTime.
pub fn moment(wall: i64) -> String {
    clock::local(wall, Path::new("/"))
}

/// The whole report.
pub fn report(engine: &Engine) -> StatusReport {
    let core = &engine.core;
    let now = clock::now();
    let schema = core.tree.schema();
    let (objects, parameters) = schema.counts(core.config.platform);
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: match core.config.platform {
            Platform::Linux => "linux".to_owned(),
            Platform::OpenWrt => "openwrt".to_owned(),
        },
        uptime: now.mono.saturating_sub(engine.began.mono).as_secs(),
        manufacturer: core.device.manufacturer.clone(),
        manufacturer_oui: core.device.oui.clone(),
        product_class: core.device.product_class.clone(),
        serial_number: core.device.serial_number.clone(),
        software_version: core.facts.borrow().identity.software_version.clone(),
        acs_url: core.settings.url.clone(),
        acs_in_use: core.fallback.other().map(str::to_owned),
        acs_username: start::username(core),
        acs_version: core.acs.version(),
        acs_methods: core.acs.methods().iter().map(ToString::to_string).collect(),
        state: state(engine, now),
        last_session: engine.last.clone(),
        retry_count: core.schedule.failures(),
        next_session: next(engine, now),
        trial: trial::report(core, now),
        rollback: trial::rollback(core),
        next_heartbeat: heartbeat(engine, now),
        next_reboot: reboot(engine, now),
        transfers: shown::report(core, now),
        pending_events: core.queue.pending().map(|e| (e.code.clone(), e.command_key.clone())).collect(),
        connection_request_url: Some(door::url(&engine.door, core.local)).filter(|url| !url.is_empty()),
        served: (objects as u32, parameters as u32),
        state_problem: core.journal.borrow().health(),
        overlay_problems: engine.overlay_problems.clone(),
        notes: engine
            .notes
            .iter()
            .cloned()
            .chain(core.facts.borrow().troubles.iter().cloned())
            .chain(engine.compression.note(core.fallback.asked()))
            .collect(),
    }
}

fn state(engine: &Engine, now: Now) -> String {
    let core = &engine.core;
    if let Some(began) = engine.session_began() {
        return format!("in a session since {}", at(now, began.wall));
    }
    match core.schedule.failures() {
        _ if !core.settings.enable_cwmp => "EnableCWMP is false: no session is begun".to_owned(),
        0 => "waiting".to_owned(),
        1 => "waiting after a failed session".to_owned(),
        n => format!("waiting after {n} failed sessions"),
    }
}

fn next(engine: &Engine, now: Now) -> Option<NextReport> {
    let core = &engine.core;
    if !core.settings.enable_cwmp || engine.session_began().is_some() {
        return None;
    }
    let periodic = core.schedule.periodic_at().map(|at| (at, "periodic".to_owned()));
    let scheduled = core.schedule.scheduled_at().map(|at| (at, "scheduled by the ACS".to_owned()));
    let held = trigger::held_until(&core.queue, &core.schedule, engine.calls());
    let why = match core.queue.is_only_value_change() {
        true => "active change, throttled",
        false => "the end of a transfer, not taken before",
    };
    let held = held.map(|at| (at, why.to_owned()));
    let (due, why) = match (core.trials.next(), core.schedule.retry_at()) {
        (Some(attempt), _) => (attempt, "a change is on trial".to_owned()),
        (None, Some(retry)) => (retry, format!("retry {}", core.schedule.failures())),
        (None, None) => [periodic, scheduled, held].into_iter().flatten().min()?,
    };
    Some(report_at(due, why, now))
}

/// The next heartbeat; one that is due and not sent waits for another session (HB-3).
fn heartbeat(engine: &Engine, now: Now) -> Option<NextReport> {
    let core = &engine.core;
    let at = core.schedule.heartbeat_at()?;
    match core.queue.contains(events::HEARTBEAT) {
        true => Some(report_at(now.mono, "due, waits for another session".to_owned(), now)),
        false => Some(report_at(at, "by HeartbeatPolicy".to_owned(), now)),
    }
}

fn reboot(engine: &Engine, now: Now) -> Option<RebootReport> {
    let (seconds, due) = engine.core.reboots.planned(now)?;
    let why = match (due, seconds) {
        (Due::Delay, Some(_)) => "DelayReboot",
        (Due::Delay, None) => "DelayReboot, from the end of the session",
        (_, Some(_)) => "ScheduleReboot",
        (_, None) => "ScheduleReboot, when the clock is set",
    };
    Some(RebootReport { seconds, why: why.to_owned() })
}

fn report_at(due: Duration, why: String, now: Now) -> NextReport {
    let seconds = due.saturating_sub(now.mono).as_secs();
    let at = match now.clock_set {
        true => at(now, now.wall.saturating_add_unsigned(seconds)),
        false => String::new(),
    };
    NextReport { seconds, at, why }
}
