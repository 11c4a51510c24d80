//! Tests that run by themselves: when each is due, what came of it, which thresholds it crossed. No I/O and no clock:
//! times are told.
//!
//! An interval is measured by the monotonic clock, so that a clock that is set moves no run. A time of the day is
//! measured by the wall clock, and waits until that is believed; one that is passed over by a jump is run once.

pub mod cron;
#[cfg(test)]
mod tests;
pub mod threshold;

use super::{Kind, Report};
use crate::sys::clock::Now;
use cron::Cron;
use std::collections::VecDeque;
use std::time::Duration;
use threshold::{Tally, Threshold};

/// Rows that are run; AddObject of more is refused (9004).
pub const MAX_PLANS: usize = 16;
/// Arguments of a row; AddObject of more is refused (9004).
pub const MAX_ARGUMENTS: usize = 32;
/// Thresholds of a row; AddObject of more is refused (9004).
pub const MAX_THRESHOLDS: usize = 16;
/// The shortest interval, seconds.
pub const MIN_INTERVAL: u32 = 60;
/// Runs that are kept of a row.
pub const MAX_RESULTS: usize = 32;
/// Values that are kept of a run.
pub const MAX_VALUES: usize = 64;
/// The longest value that is kept, bytes; what is longer is cut.
pub const MAX_VALUE: usize = 256;
/// A row that is there when the agent starts has its first run so much later: a device that boots has other things
/// to do, and what a run does wrong does not happen at each start.
pub const SETTLE: Duration = Duration::from_secs(300);
/// A clock that is set is noticed so late.
const LOOK: i64 = 600;

/// What the ACS has said of a row.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Instance number.
    pub number: u32,
    /// Whether it is to run.
    pub is_enabled: bool,
    /// The test.
    pub kind: Option<&'static Kind>,
    /// Seconds; 0 is by `cron`.
    pub interval: u32,
    /// Local times.
    pub cron: Option<Cron>,
    /// Seconds.
    pub jitter: u32,
    /// How many runs are kept.
    pub keep: usize,
    /// What is not the test's default.
    pub arguments: Vec<(String, String)>,
    /// By instance number, with what the ACS was told.
    pub thresholds: Vec<(u32, bool, Threshold)>,
}

impl Settings {
    /// What a run does and when; the rest changes nothing that is under way.
    fn is_same_run(&self, other: &Settings) -> bool {
        (self.is_enabled, self.kind, self.interval, self.cron, self.jitter, &self.arguments)
            == (other.is_enabled, other.kind, other.interval, other.cron, other.jitter, &other.arguments)
    }

    /// Whether there is something to run, and a time for it.
    fn is_whole(&self) -> bool {
        self.kind.is_some() && (self.interval >= MIN_INTERVAL || self.interval == 0 && self.cron.is_some())
    }
}

/// When a run is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// By the monotonic clock; the second is the time without jitter.
    At(Duration, Duration),
    /// By the wall clock, jitter included; the second is when that was reckoned.
    Wall(i64, i64),
    /// The wall clock is not believed yet, or the time never comes.
    Never,
}

/// One run that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its name among those of the row.
    pub key: u32,
    /// When it began, seconds since 1970; `None` when the clock was not set.
    pub time: Option<i64>,
    /// DiagnosticsState.
    pub state: &'static str,
    /// Results.
    pub values: Vec<(&'static str, String)>,
}

#[derive(PartialEq, Eq, Debug)]
struct Row {
    settings: Settings,
    due: Due,
    tallies: Vec<Tally>,
    outcomes: VecDeque<Outcome>,
    last: Option<i64>,
    runs: u32,
    /// The last run could not be begun.
    failed: bool,
}

/// The moment, and what is needed to reckon another one from it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The moment.
    pub now: Now,
    /// How many seconds local time is east of UTC at a moment.
    pub offset: &'a dyn Fn(i64) -> i64,
    /// Draws a number.
    pub random: &'a dyn Fn() -> u32,
}

/// All rows.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Plan {
    rows: Vec<Row>,
    running: Option<u32>,
}

impl Plan {
    /// Takes over what the ACS has said; `settles` at the start of the agent.
    pub fn follow(&mut self, wanted: Vec<Settings>, around: Around<'_>, settles: bool) {
        self.rows.retain(|row| wanted.iter().any(|settings| settings.number == row.settings.number));
        for mut settings in wanted.into_iter().take(MAX_PLANS) {
            settings.keep = settings.keep.clamp(1, MAX_RESULTS);
            let told: Vec<Tally> =
                settings.thresholds.iter().map(|(_, crossed, _)| Tally::new(*crossed)).collect();
            match self.rows.iter_mut().find(|row| row.settings.number == settings.number) {
                Some(row) => {
                    let is_same = row.settings.is_same_run(&settings);
                    if row.settings.thresholds != settings.thresholds {
                        row.tallies = told;
                    }
                    row.settings = settings;
                    row.outcomes.drain(..row.outcomes.len().saturating_sub(row.settings.keep));
                    if !is_same {
                        row.failed = false;
                        row.due = row.settings.first(around, Duration::ZERO);
                        // The run under way is of what was said before.
                        self.running.take_if(|number| *number == row.settings.number);
                    }
                }
                None => {
                    let due = settings.first(around, if settles { SETTLE } else { Duration::ZERO });
                    let outcomes = VecDeque::new();
                    let tallies = told;
                    self.rows.push(Row {
                        settings,
                        due,
                        tallies,
                        outcomes,
                        last: None,
                        runs: 0,
                        failed: false,
                    });
                }
            }
        }
        self.rows.sort_by_key(|row| row.settings.number);
        self.running.take_if(|number| !self.rows.iter().any(|row| row.settings.number == *number));
    }

    /// When something is due, by the monotonic clock.
    pub fn next(&self, now: Now) -> Option<Duration> {
        let at = |row: &Row| match row.due {
            Due::At(at, _) => Some(at),
            Due::Wall(at, _) => {
                let wait = u64::try_from((at - now.wall).clamp(0, LOOK)).unwrap_or(0);
                Some(now.mono + Duration::from_secs(wait))
            }
            // When the clock is set somebody hears of it late enough.
            Due::Never if row.settings.is_runnable() => Some(now.mono + Duration::from_secs(LOOK as u64)),
            Due::Never => None,
        };
        self.rows.iter().filter_map(at).min()
    }

    /// Whether something is due, or is to be reckoned anew because the clock was set.
    pub fn is_due(&self, now: Now) -> bool {
        self.rows.iter().any(|row| row.is_stale(now)) || self.next(now).is_some_and(|at| at <= now.mono)
    }

    /// The row that is due longest; it is said to run from now on.
    pub fn begin(&mut self, around: Around<'_>) -> Option<&Settings> {
        let now = around.now;
        for row in self.rows.iter_mut().filter(|row| row.is_stale(now)) {
            row.due = row.settings.by_clock(around);
        }
        let late = |row: &Row| match row.due {
            Due::At(at, _) => now.mono.checked_sub(at),
            Due::Wall(at, _) => u64::try_from(now.wall - at).ok().map(Duration::from_secs),
            Due::Never => None,
        };
        let row = self.rows.iter_mut().filter(|row| late(row).is_some()).max_by_key(|row| late(row))?;
        self.running = Some(row.settings.number);
        row.due = match row.due {
            Due::At(_, plain) => row.settings.again(plain, around),
            _ => row.settings.by_clock(around),
        };
        row.last = now.clock_set.then_some(now.wall);
        row.failed = false;
        Some(&row.settings)
    }

    /// The run that is wanted now.
    pub fn running(&self) -> Option<u32> {
        self.running
    }

    /// The run gave way to what the ACS wants: it is due again.
    pub fn gave_way(&mut self, number: u32, now: Now) {
        if self.running.take_if(|running| *running == number).is_none() {
            return;
        }
        if let Some(row) = self.rows.iter_mut().find(|row| row.settings.number == number) {
            let plain = if let Due::At(_, plain) = row.due { plain } else { now.mono };
            let back = Duration::from_secs(row.settings.interval.into());
            row.due = Due::At(now.mono, plain.saturating_sub(back));
        }
    }

    /// A run has ended. Which thresholds the ACS is to be told something new of, and what.
    pub fn end(&mut self, number: u32, report: &Report, is_begun: bool) -> Vec<(u32, bool)> {
        if self.running.take_if(|running| *running == number).is_none() {
            return Vec::new();
        }
        let Some(row) = self.rows.iter_mut().find(|row| row.settings.number == number) else {
            return Vec::new();
        };
        row.failed = !is_begun;
        row.runs = row.runs.wrapping_add(1);
        let values = report.values.iter().take(MAX_VALUES).map(|(name, value)| (*name, cut(value)));
        let (key, values) = (row.runs, values.collect());
        row.outcomes.push_back(Outcome { key, time: row.last, state: report.state, values });
        row.outcomes.drain(..row.outcomes.len().saturating_sub(row.settings.keep));
        let mut told = Vec::new();
        for ((number, known, threshold), tally) in row.settings.thresholds.iter_mut().zip(&mut row.tallies) {
            let value = match threshold.name.as_str() {
                "DiagnosticsState" => Some(report.state),
                name => {
                    report.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
                }
            };
            if tally.judge(threshold, value) {
                *known = tally.crossed;
                told.push((*number, tally.crossed));
            }
        }
        told
    }

    /// What Status reads.
    pub fn status(&self, number: u32) -> &'static str {
        let Some(row) = self.row(number) else { return "Disabled" };
        match () {
            () if !row.settings.is_enabled => "Disabled",
            () if self.running == Some(number) => "Running",
            () if row.failed || !row.settings.is_whole() => "Error",
            () => "Scheduled",
        }
    }

    /// When a row has run last, seconds since 1970.
    pub fn last(&self, number: u32) -> Option<i64> {
        self.row(number)?.last
    }

    /// When a row is to run next, seconds since 1970.
    pub fn upcoming(&self, number: u32, now: Now) -> Option<i64> {
        match self.row(number)?.due {
            Due::At(at, _) => {
                let wait = i64::try_from(at.saturating_sub(now.mono).as_secs()).ok()?;
                now.clock_set.then(|| now.wall.saturating_add(wait))
            }
            Due::Wall(at, _) => Some(at),
            Due::Never => None,
        }
    }

    /// The runs that are kept, oldest first.
    pub fn outcomes(&self, number: u32) -> impl Iterator<Item = &Outcome> {
        self.row(number).into_iter().flat_map(|row| &row.outcomes)
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.settings.number == number)
    }
}

impl Row {
    fn is_stale(&self, now: Now) -> bool {
        match self.due {
            Due::Never => self.settings.is_runnable() && now.clock_set,
            // The clock was put back: an earlier time may fit.
            Due::Wall(_, reckoned) => now.wall < reckoned - LOOK,
            Due::At(..) => false,
        }
    }
}

impl Settings {
    fn is_runnable(&self) -> bool {
        self.is_enabled && self.is_whole()
    }

    /// The first run of a row by interval is at once.
    fn first(&self, around: Around<'_>, settle: Duration) -> Due {
        let plain = around.now.mono + settle;
        match self.interval {
            _ if !self.is_runnable() => Due::Never,
            0 => self.by_clock(around),
            _ => Due::At(plain + Duration::from_secs(self.drawn(around).into()), plain),
        }
    }

    /// Behind a run: runs that were missed are not made up for.
    fn again(&self, plain: Duration, around: Around<'_>) -> Due {
        if self.interval == 0 {
            // It gave way once.
            return self.by_clock(around);
        }
        let interval = Duration::from_secs(self.interval.into());
        let next = plain + interval;
        let plain = if next <= around.now.mono { around.now.mono + interval } else { next };
        Due::At(plain + Duration::from_secs(self.drawn(around).into()), plain)
    }

    fn by_clock(&self, around: Around<'_>) -> Due {
        let now = around.now;
        // By now the time of the run that begins has passed, and of what is less late than its jitter, too.
        let next = self.cron.filter(|_| now.clock_set && self.interval == 0);
        match next.and_then(|cron| cron.next(now.wall, around.offset)) {
            Some(at) if self.is_runnable() => {
                Due::Wall(at.saturating_add(self.drawn(around).into()), now.wall)
            }
            _ => Due::Never,
        }
    }

    /// Seconds of jitter: 0 to Jitter, and no more than half an interval, so that none is passed over.
    fn drawn(&self, around: Around<'_>) -> u32 {
        let most = if self.interval == 0 { self.jitter } else { self.jitter.min(self.interval / 2) };
        match most {
            0 => 0,
            // Multiplied and not divided: all of the number counts, evenly enough.
            most => ((u64::from((around.random)()) * (u64::from(most) + 1)) >> 32) as u32,
        }
    }
}

fn cut(value: &str) -> String {
    let end = (0..=MAX_VALUE.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    value.get(..end.unwrap_or(0)).unwrap_or("").to_owned()
}
