//! When the next session is due: the periodic Inform, ScheduleInforms, the wait after a failure.
//!
//! Waits are measured on the monotonic clock. The wall clock only says where the periodic Informs
//! stand (PeriodicInformTime), and is never trusted alone: when it jumps, the next one is moved at
//! most to an earlier time, and never nearer than half an interval to the last.
//!
//! # Data storage
//! [`Schedule::record`] gives the pending ScheduleInforms for the journal (R-SYS-11). Failures are
//! counted in memory: a start begins anew (C-26, C-29).

use super::fields;
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use std::time::Duration;

/// How many ScheduleInforms may wait; more are answered 9004 (R-SYS-9).
pub const MAX_SCHEDULED: usize = 64;
/// The failure from which on the wait no longer grows (C-24).
pub const LAST_STEP: u32 = 10;
/// The longest wait after a failure, whatever multiplier the ACS chose.
pub const MAX_RETRY_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The longest wait that a Retry-After is obeyed for (C-33).
pub const MAX_RETRY_AFTER: u32 = 86_400;
/// How soon a change of the wall clock is noticed, where it matters.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);
/// Wall clock against monotonic clock: what differs by more seconds since last looked at is a jump.
const JUMP: u64 = 2;

/// What the parameters below ManagementServer say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// PeriodicInformEnable.
    pub periodic_enable: bool,
    /// PeriodicInformInterval, seconds; 0 is taken as 1.
    pub periodic_interval: u32,
    /// PeriodicInformTime, seconds since 1970; `None` for Unknown Time.
    pub periodic_time: Option<i64>,
    /// CWMPRetryMinimumWaitInterval m, seconds (1 to 65535).
    pub retry_minimum: u32,
    /// CWMPRetryIntervalMultiplier k, thousandths (1000 to 65535).
    pub retry_multiplier: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            periodic_enable: false,
            periodic_interval: 86_400,
            periodic_time: None,
            retry_minimum: 5,
            retry_multiplier: 2000,
        }
    }
}

/// What has become due.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// `2 PERIODIC`.
    pub periodic: bool,
    /// The CommandKeys of ScheduleInforms: `3 SCHEDULED`, and `M ScheduleInform` for each.
    pub scheduled: Vec<String>,
    /// The wait after a failure is over.
    pub retry: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scheduled {
    command_key: String,
    delay: u32,
    /// Monotonic.
    due: Duration,
    /// Seconds since 1970, when the clock was believed.
    wall: Option<i64>,
    /// It came through a reboot, and how long that took is not known yet.
    adrift: bool,
}

#[derive(Clone, Copy, Debug)]
struct Periodic {
    due: Duration,
    /// When it was due last.
    last: Option<Duration>,
    /// Where it stands without PeriodicInformTime or clock: a random point of the interval, seconds.
    phase: u64,
    /// Wall clock less monotonic clock when last looked at; `None` while not believed.
    offset: Option<i64>,
    /// The wall clock has jumped since it was due last.
    jumped: bool,
}

/// The state of the schedule.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    settings: Settings,
    periodic: Option<Periodic>,
    scheduled: Vec<Scheduled>,
    failures: u32,
    retry_at: Option<Duration>,
    looked_at: Duration,
    recorded: String,
}

impl Schedule {
    /// The schedule of a record; `rebooted` when the monotonic clock began anew since it was made.
    /// `random` is any number.
    pub fn from_record(record: &str, rebooted: bool, settings: Settings, now: Now, random: u32) -> Schedule {
        let mut schedule =
            Schedule { looked_at: now.mono, recorded: record.to_string(), ..Schedule::default() };
        for [wall, due, delay, command_key] in fields::lines(record) {
            let (Ok(due), Ok(delay)) = (due.parse(), delay.parse::<u32>()) else {
                continue;
            };
            if schedule.scheduled.len() < MAX_SCHEDULED && command_key.chars().count() <= 32 {
                // Damaged or not, none waits longer than it was asked to.
                let latest = now.mono + Duration::from_secs(delay.into());
                let due = if rebooted { latest } else { Duration::from_secs(due).min(latest) };
                schedule.scheduled.push(Scheduled {
                    command_key,
                    delay,
                    due,
                    wall: wall.parse().ok(),
                    adrift: rebooted,
                });
            }
        }
        schedule.set(settings, now, random);
        schedule
    }

    /// The record to store, when it is not what was stored last (R-SYS-11).
    pub fn record(&mut self) -> Option<String> {
        let mut record = String::new();
        for s in &self.scheduled {
            let wall = s.wall.map(|w| w.to_string()).unwrap_or_default();
            let (due, delay) = (s.due.as_secs().to_string(), s.delay.to_string());
            fields::push_line(&mut record, &[&wall, &due, &delay, &s.command_key]);
        }
        if record == self.recorded {
            return None;
        }
        self.recorded = record.clone();
        Some(record)
    }

    /// The settings may have changed; those of the periodic Inform hold at once (I-11).
    pub fn set(&mut self, settings: Settings, now: Now, random: u32) {
        let part = |s: &Settings| (s.periodic_enable, s.periodic_interval, s.periodic_time);
        if part(&settings) != part(&self.settings) || settings.periodic_enable != self.periodic.is_some() {
            let interval = u64::from(settings.periodic_interval.max(1));
            self.periodic = settings.periodic_enable.then(|| {
                let phase = now.mono.as_secs() + u64::from(random) % interval;
                let mut p = Periodic { due: now.mono, last: None, phase, offset: offset(now), jumped: false };
                p.due = now.mono + until(&settings, &p, now);
                p
            });
        }
        self.settings = settings;
    }

    /// A ScheduleInform of the ACS (R-SYS-8).
    ///
    /// # Errors
    /// 9004 when [`MAX_SCHEDULED`] wait already.
    pub fn schedule_inform(&mut self, delay_seconds: u32, command_key: &str, now: Now) -> Result<(), Fault> {
        if self.scheduled.len() >= MAX_SCHEDULED {
            return Err(Fault::new(
                Code::RESOURCES_EXCEEDED,
                format!("{MAX_SCHEDULED} ScheduleInforms wait already"),
            ));
        }
        self.scheduled.push(Scheduled {
            command_key: command_key.to_string(),
            delay: delay_seconds,
            due: now.mono + Duration::from_secs(delay_seconds.into()),
            wall: now.clock_set.then(|| now.wall.saturating_add(delay_seconds.into())),
            adrift: false,
        });
        Ok(())
    }

    /// A bootstrap: what the former ACS asked for goes (V-9, R-SYS-5).
    pub fn forget_scheduled(&mut self) {
        self.scheduled.clear();
    }

    /// Takes what is due now; to be called when [`Schedule::next`] has come, and may be at any time.
    pub fn take_due(&mut self, now: Now) -> Due {
        self.looked_at = now.mono;
        let mut due = Due::default();
        let settings = self.settings;
        if let Some(p) = &mut self.periodic {
            let interval = Duration::from_secs(settings.periodic_interval.max(1).into());
            let offset = offset(now);
            let jumped = match (offset, p.offset) {
                (Some(a), Some(b)) => a.abs_diff(b) > JUMP,
                (a, b) => a.is_some() != b.is_some(),
            };
            if jumped && settings.periodic_time.is_some() {
                p.jumped = true;
                let mut moved = now.mono + until(&settings, p, now);
                if let Some(last) = p.last {
                    moved = moved.max(last + interval / 2);
                }
                p.due = p.due.min(moved);
            }
            if jumped {
                p.offset = offset;
            }
            if now.mono >= p.due {
                due.periodic = true;
                let mut wait = until(&settings, p, now);
                // A clock that was put back a little says that the point just reached is still ahead.
                let slip = Duration::from_secs(JUMP);
                if (p.jumped && wait < interval / 2) || (wait <= slip && interval > 2 * slip) {
                    wait += interval;
                }
                *p = Periodic { due: now.mono + wait, last: Some(now.mono), offset, jumped: false, ..*p };
            }
        }
        for s in &mut self.scheduled {
            if s.adrift && now.clock_set {
                s.adrift = false;
                if let Some(wall) = s.wall {
                    let left = Duration::from_secs(wall.saturating_sub(now.wall).max(0) as u64);
                    s.due = s.due.min(now.mono + left);
                }
            }
        }
        self.scheduled.retain(|s| {
            if now.mono >= s.due {
                due.scheduled.push(s.command_key.clone());
            }
            now.mono < s.due
        });
        if self.retry_at.is_some_and(|at| now.mono >= at) {
            self.retry_at = None;
            due.retry = true;
        }
        due
    }

    /// When something becomes due next, monotonic; `None` for never.
    pub fn next(&self) -> Option<Duration> {
        let periodic = self.periodic.map(|p| p.due);
        let scheduled = self.scheduled.iter().map(|s| s.due).min();
        let by_clock = self.periodic.is_some() && self.settings.periodic_time.is_some();
        let look =
            (by_clock || self.scheduled.iter().any(|s| s.adrift)).then(|| self.looked_at + LOOK_AT_CLOCK);
        [periodic, scheduled, self.retry_at, look].into_iter().flatten().min()
    }

    /// A session begins: a wait is over, by a connection request perhaps (C-27).
    pub fn session_began(&mut self) {
        self.retry_at = None;
    }

    /// The session failed: how long to wait (C-24, C-25). `retry_after` is what the ACS asked for, in
    /// seconds (C-33); `random` any number.
    pub fn session_failed(&mut self, now: Now, retry_after: Option<u32>, random: u32) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let (least, most) =
            retry_range(self.failures, self.settings.retry_minimum, self.settings.retry_multiplier);
        let spread = (most - least).as_millis() * u128::from(random) / u128::from(u32::MAX);
        let asked = Duration::from_secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER).into());
        // The spread is at most MAX_RETRY_WAIT in milliseconds.
        let wait = (least + Duration::from_millis(u64::try_from(spread).unwrap_or(0))).max(asked);
        self.retry_at = Some(now.mono + wait);
        wait
    }

    /// The session was successful (C-26).
    pub fn session_succeeded(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// The wait is over early; what failed still counts.
    pub fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// How many sessions failed since the last good one: RetryCount (C-22).
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Until when sessions wait because the last one failed; only a connection request may come
    /// before (C-27).
    pub fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// When the next periodic Inform is due, for status.
    pub fn periodic_at(&self) -> Option<Duration> {
        self.periodic.map(|p| p.due)
    }

    /// When the next ScheduleInform is due, for status.
    pub fn scheduled_at(&self) -> Option<Duration> {
        self.scheduled.iter().map(|s| s.due).min()
    }

    /// How many ScheduleInforms wait, for status.
    pub fn scheduled(&self) -> usize {
        self.scheduled.len()
    }
}

/// The bounds of the wait after the n-th failure: from m·(k/1000)^(n−1) to m·(k/1000)^n, n at most 10
/// (C-24, C-25). Arguments beyond their ranges are taken as the nearest allowed.
pub fn retry_range(failures: u32, minimum: u32, multiplier: u32) -> (Duration, Duration) {
    let most = MAX_RETRY_WAIT.as_millis() as u64;
    let multiplier = u64::from(multiplier.clamp(1000, 65_535));
    let (mut from, mut to) = (0, u64::from(minimum.clamp(1, 65_535)) * 1000);
    for _ in 0..failures.clamp(1, LAST_STEP) {
        // No overflow: 10 years are below 2^39 ms, the multiplier below 2^16.
        (from, to) = (to, (to * multiplier / 1000).min(most));
    }
    (Duration::from_millis(from), Duration::from_millis(to))
}

fn offset(now: Now) -> Option<i64> {
    now.clock_set.then(|| now.wall.saturating_sub_unsigned(now.mono.as_secs()))
}

/// How long until the next periodic Inform: more than nothing, at most an interval (I-10).
fn until(settings: &Settings, periodic: &Periodic, now: Now) -> Duration {
    let interval = i64::from(settings.periodic_interval.max(1));
    let since = match settings.periodic_time {
        Some(reference) if now.clock_set => now.wall.saturating_sub(reference),
        _ => (now.mono.as_secs() as i64).saturating_sub(periodic.phase as i64),
    };
    let left = interval - since.rem_euclid(interval);
    Duration::from_secs(left.unsigned_abs())
}

#[cfg(test)]
mod tests;
