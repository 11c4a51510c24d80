//! When the device is to boot because the ACS has set a time for it: DelayReboot and ScheduleReboot
//! (R-SYS-10). The values themselves stand in the tree; here is what they mean by the clocks.
//!
//! DelayReboot counts on the monotonic clock, from the end of the session that it was set in; a boot
//! for whatever reason ends it. ScheduleReboot is a time of the wall clock: when that is already past,
//! as seen when it was set or by the first clock that can be believed, nothing is done.
//!
//! # Data storage
//! [`Reboots::record`] gives a line for each value that waits, for the journal: what a restart of the
//! daemon could not find out from the values.
//!
//! # Error handling
//! A damaged line is passed over: its value counts as set just now.

use super::fields;
use super::schedule::LOOK_AT_CLOCK;
use crate::sys::clock::Now;
use std::time::Duration;

const DELAY: &str = "delay";
const TIME: &str = "time";

/// DelayReboot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Delay {
    /// Seconds, as it was set.
    seconds: u32,
    /// Monotonic; `None` until the session that it was set in has ended.
    due: Option<Duration>,
}

/// ScheduleReboot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Time {
    /// Seconds since 1970.
    wall: i64,
    /// It lay ahead by a clock that could be believed: when it comes, it is a reboot.
    ahead: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// The device is to boot: DelayReboot is over.
    Delay,
    /// The device is to boot: the time of ScheduleReboot has come.
    Time,
    /// The time of ScheduleReboot was past already; it is to be Unknown Time again.
    Past,
}

/// The reboots that wait.
#[derive(Clone, Debug, Default)]
pub struct Reboots {
    delay: Option<Delay>,
    time: Option<Time>,
    looked_at: Duration,
    recorded: String,
}

impl Reboots {
    /// What the values of the last process mean now: `delay` in seconds, `time` in seconds since 1970,
    /// `None` for no reboot. `rebooted` when the device has booted since: then the delay is over, and
    /// is to be −1.
    pub fn from_record(
        record: &str,
        rebooted: bool,
        delay: Option<u32>,
        time: Option<i64>,
        now: Now,
    ) -> Reboots {
        let mut reboots = Reboots { looked_at: now.mono, recorded: record.to_string(), ..Reboots::default() };
        reboots.delay = delay.filter(|_| !rebooted).map(|seconds| Delay { seconds, due: None });
        reboots.time = time.map(|wall| Time { wall, ahead: false });
        if rebooted {
            return reboots;
        }
        for [what, value, more] in fields::lines(record) {
            match (&mut reboots.delay, &mut reboots.time) {
                (Some(delay), _) if what == DELAY && value == delay.seconds.to_string() => {
                    // Damaged or not, it is never longer than it was asked to be.
                    let latest = now.mono + Duration::from_secs(delay.seconds.into());
                    delay.due = more.parse().ok().map(|due| Duration::from_secs(due).min(latest));
                }
                (_, Some(time)) if what == TIME && value == time.wall.to_string() => {
                    time.ahead = more == "ahead";
                }
                _ => {}
            }
        }
        reboots
    }

    /// The record to store, when it is not what was stored last.
    pub fn record(&mut self) -> Option<String> {
        let mut record = String::new();
        if let Some(Delay { seconds, due }) = self.delay {
            // Rounded up: no reboot comes early.
            let due = due.map(|d| (d.as_secs() + u64::from(d.subsec_nanos() > 0)).to_string());
            fields::push_line(&mut record, &[DELAY, &seconds.to_string(), &due.unwrap_or_default()]);
        }
        if let Some(Time { wall, ahead }) = self.time {
            let ahead = if ahead { "ahead" } else { "" };
            fields::push_line(&mut record, &[TIME, &wall.to_string(), ahead]);
        }
        if record == self.recorded {
            return None;
        }
        self.recorded = record.clone();
        Some(record)
    }

    /// DelayReboot was set, perhaps to what it was: it counts anew from the end of the session.
    pub fn set_delay(&mut self, seconds: Option<u32>) {
        self.delay = seconds.map(|seconds| Delay { seconds, due: None });
    }

    /// ScheduleReboot was set: whether it is past is judged now, and not when the session has ended.
    pub fn set_time(&mut self, time: Option<i64>, now: Now) {
        self.time = time.map(|wall| Time { wall, ahead: now.clock_set && wall > now.wall });
    }

    /// What the values are, however they came to be so: acts on what differs.
    pub fn follow(&mut self, delay: Option<u32>, time: Option<i64>, now: Now) {
        if self.delay.map(|d| d.seconds) != delay {
            self.set_delay(delay);
        }
        if self.time.map(|t| t.wall) != time {
            self.set_time(time, now);
        }
    }

    /// Takes what is to be done now. Not to be called while a session runs: a delay begins when this
    /// is called first, and no reboot is before the end of a session.
    pub fn take_due(&mut self, now: Now) -> Option<Due> {
        self.looked_at = now.mono;
        if let Some(delay) = &mut self.delay {
            let due = *delay.due.get_or_insert(now.mono + Duration::from_secs(delay.seconds.into()));
            if now.mono >= due {
                self.delay = None;
                return Some(Due::Delay);
            }
        }
        let time = self.time.as_mut().filter(|_| now.clock_set)?;
        if now.wall < time.wall {
            time.ahead = true;
            return None;
        }
        let ahead = time.ahead;
        self.time = None;
        Some(if ahead { Due::Time } else { Due::Past })
    }

    /// When to look again, monotonic; `None` for never.
    pub fn next(&self, now: Now) -> Option<Duration> {
        let delay = self.delay.map(|d| d.due.unwrap_or(now.mono));
        let time = self.time.map(|t| {
            let look = self.looked_at + LOOK_AT_CLOCK;
            let left = t.wall.saturating_sub(now.wall).max(0).unsigned_abs();
            if now.clock_set { look.min(now.mono + Duration::from_secs(left)) } else { look }
        });
        [delay, time].into_iter().flatten().min()
    }

    /// In how many seconds the next reboot is, and by which of the two, for status; `None` in it while
    /// that is not known: a session runs, or the clock is not set.
    pub fn planned(&self, now: Now) -> Option<(Option<u64>, Due)> {
        let delay = self.delay.map(|d| (d.due.map(|due| due.saturating_sub(now.mono).as_secs()), Due::Delay));
        let time = self.time.map(|t| {
            let left = t.wall.saturating_sub(now.wall).max(0).unsigned_abs();
            (now.clock_set.then_some(left), Due::Time)
        });
        [delay, time].into_iter().flatten().min_by_key(|(left, _)| left.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
