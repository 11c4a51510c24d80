//! When the next session is due: the periodic Inform, the heartbeat, ScheduleInforms, the wait after a
//! failure, the wait before active changes alone are told.
//!
//! Waits are measured on the monotonic clock. The wall clock only says where periodic Informs and
//! heartbeats stand (`rhythm`).
//!
//! # Data storage
//! [`Schedule::record`] gives the pending ScheduleInforms for the journal (R-SYS-11). Failures are
//! counted in memory: a start begins anew (C-26, C-29).

mod rhythm;

use super::fields;
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use rhythm::{Beat, Rhythm};
use std::time::Duration;

/// How many ScheduleInforms may wait; more are answered 9004 (R-SYS-9).
pub const MAX_SCHEDULED: usize = 64;
/// The failure from which on the wait no longer grows (C-24).
pub const LAST_STEP: u32 = 10;
/// The longest wait after a failure, whatever multiplier the ACS chose.
pub const MAX_RETRY_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The longest wait that a Retry-After is obeyed for (C-33).
pub const MAX_RETRY_AFTER: u32 = 86_400;
/// The shortest interval of heartbeats, seconds (HB-1).
pub const MIN_HEARTBEAT: u32 = 30;
/// The pause after a good session before the end of a test makes the next one: an ACS may still be storing the
/// last session, and refuses the next until then (GenieACS: 400 "CPE already in session"), which costs a retry wait.
pub const PAUSE_BEFORE_RESULTS: Duration = Duration::from_secs(1);
/// How soon a change of the wall clock is noticed, where it matters.
pub(super) const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

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
    /// HeartbeatPolicy.Enable.
    pub heartbeat_enable: bool,
    /// HeartbeatPolicy.ReportingInterval, seconds; below [`MIN_HEARTBEAT`] it is taken as that.
    pub heartbeat_interval: u32,
    /// HeartbeatPolicy.InitiationTime, seconds since 1970; `None` for Unknown Time.
    pub heartbeat_time: Option<i64>,
    /// DefaultActiveNotificationThrottle, seconds.
    pub throttle: u32,
}

impl Settings {
    fn periodic(&self) -> Option<Beat> {
        let (interval, time) = (self.periodic_interval.max(1), self.periodic_time);
        self.periodic_enable.then_some(Beat { interval, time })
    }

    fn heartbeat(&self) -> Option<Beat> {
        let (interval, time) = (self.heartbeat_interval.max(MIN_HEARTBEAT), self.heartbeat_time);
        self.heartbeat_enable.then_some(Beat { interval, time })
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            periodic_enable: false,
            periodic_interval: 86_400,
            periodic_time: None,
            retry_minimum: 5,
            retry_multiplier: 2000,
            heartbeat_enable: false,
            heartbeat_interval: 3600,
            heartbeat_time: None,
            throttle: 0,
        }
    }
}

/// What has become due.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// `2 PERIODIC`.
    pub periodic: bool,
    /// `14 HEARTBEAT`.
    pub heartbeat: bool,
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

/// The state of the schedule.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    settings: Settings,
    periodic: Option<Rhythm>,
    heartbeat: Option<Rhythm>,
    scheduled: Vec<Scheduled>,
    failures: u32,
    retry_at: Option<Duration>,
    /// When the last session ended that was successful, heartbeats left out.
    succeeded_at: Option<Duration>,
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

    /// The settings may have changed; they hold at once (I-11, C-31). `random` is any number.
    pub fn set(&mut self, settings: Settings, now: Now, random: u32) {
        self.periodic = Rhythm::of(self.periodic, settings.periodic(), now, random);
        // Not the same random point: two Informs at a time are of no use to anybody.
        self.heartbeat = Rhythm::of(self.heartbeat, settings.heartbeat(), now, random.rotate_left(16));
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
        let mut due = Due {
            periodic: self.periodic.as_mut().is_some_and(|r| r.take_due(now)),
            heartbeat: self.heartbeat.as_mut().is_some_and(|r| r.take_due(now)),
            ..Due::default()
        };
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
        let rhythms = [self.periodic, self.heartbeat];
        let scheduled = self.scheduled.iter().map(|s| s.due).min();
        let by_clock = rhythms.iter().flatten().any(Rhythm::by_clock);
        let look =
            (by_clock || self.scheduled.iter().any(|s| s.adrift)).then(|| self.looked_at + LOOK_AT_CLOCK);
        let rhythms = rhythms.into_iter().flatten().map(|r| r.due());
        [scheduled, self.retry_at, look].into_iter().flatten().chain(rhythms).min()
    }

    /// A session begins: a wait is over, by a connection request perhaps (C-27).
    pub fn session_began(&mut self) {
        self.retry_at = None;
    }

    /// The session failed: how long to wait (C-24, C-25). `retry_after` is what the ACS asked for, in
    /// seconds (C-33); `random` any number.
    pub fn session_failed(&mut self, now: Now, retry_after: Option<u32>, random: u32) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let asked = Duration::from_secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER).into());
        let wait = self.retry_wait(self.failures, random).max(asked);
        self.retry_at = Some(now.mono + wait);
        wait
    }

    /// The wait after the n-th failure of whatever is told to the ACS (C-24, C-25). `random` is any number.
    pub fn retry_wait(&self, failures: u32, random: u32) -> Duration {
        let (least, most) =
            retry_range(failures, self.settings.retry_minimum, self.settings.retry_multiplier);
        let spread = (most - least).as_millis() * u128::from(random) / u128::from(u32::MAX);
        // The spread is at most MAX_RETRY_WAIT in milliseconds.
        least + Duration::from_millis(u64::try_from(spread).unwrap_or(0))
    }

    /// The session was successful (C-26). Not for a heartbeat: it tells of nothing, so it moves
    /// nothing (C-31).
    pub fn session_succeeded(&mut self, now: Now) {
        self.forget_failures();
        self.succeeded_at = Some(now.mono);
    }

    /// How sessions with another ACS failed says nothing about this one.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// Until when a session waits that would only tell of active changes (C-31). One that failed is
    /// tried again without this wait; since the start of the agent there must have been one.
    pub fn throttled_until(&self) -> Option<Duration> {
        let succeeded = self.succeeded_at.filter(|_| self.failures == 0)?;
        Some(succeeded + Duration::from_secs(self.settings.throttle.into()))
    }

    /// Until when a session waits that would only tell that a test has ended (DG-2), by the same rules.
    pub fn results_at(&self) -> Option<Duration> {
        let succeeded = self.succeeded_at.filter(|_| self.failures == 0)?;
        Some(succeeded + PAUSE_BEFORE_RESULTS)
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
        self.periodic.map(|r| r.due())
    }

    /// When the next heartbeat is due, for status.
    pub fn heartbeat_at(&self) -> Option<Duration> {
        self.heartbeat.map(|r| r.due())
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

#[cfg(test)]
mod tests;
