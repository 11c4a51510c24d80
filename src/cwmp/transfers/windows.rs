//! When a transfer may go on: its delay, its time windows and their modes, and what a clock that was not
//! known says later.

use super::transfer::{Gate, Task, Transfer, ms};
use super::{Method, Mode, Step};
use crate::sys::clock::Now;
use std::time::Duration;

/// How long after its time a Download or Upload is still begun.
pub const MAX_LATE: Duration = Duration::from_secs(3600);
/// How long a transfer with time windows waits after a reboot for a clock that tells which are over.
pub const ADRIFT_WAIT: Duration = Duration::from_secs(600);
/// A wall clock that says that all of a transfer's times were over longer ago than this is taken for
/// one that has jumped.
pub const MAX_AWAY: i64 = 366 * 86_400;
/// The longest wait between two attempts in a time window.
pub const MAX_RETRY_WAIT: Duration = Duration::from_secs(3600);
/// The wait before the second attempt in a time window, at most; it is a 32nd of a shorter window.
pub const FIRST_RETRY_WAIT: Duration = Duration::from_secs(60);

impl Transfer {
    /// So many seconds after the receipt; monotonic, milliseconds.
    pub(super) fn at(&self, seconds: u32) -> i64 {
        self.received.saturating_add(i64::from(seconds) * 1000)
    }

    pub(super) fn is_scheduled(&self) -> bool {
        self.asked.method == Method::ScheduleDownload
    }

    /// What has to be besides the time: a file that is there is verified without it.
    pub(super) fn gate(&self) -> Option<Gate> {
        match self.asked.windows.get(self.window)?.mode {
            Mode::WhenIdle if self.step != Step::Fetched => Some(Gate::Idle),
            Mode::ConfirmationNeeded if !self.confirmed => Some(Gate::Confirmation),
            _ => None,
        }
    }

    pub(super) fn due_ms(&self) -> i64 {
        match self.asked.windows.get(self.window) {
            Some(window) => self.at(window.start),
            None => self.at(self.asked.delay_seconds),
        }
    }

    /// When it can go on as far as the time says.
    pub(super) fn opens(&self) -> i64 {
        match self.step {
            Step::Queued => self.due_ms().max(self.not_before.unwrap_or(i64::MIN)),
            _ if self.is_scheduled() => self.due_ms(),
            _ => i64::MIN,
        }
    }

    /// Until when it must have begun, or have ended where it has windows.
    pub(super) fn closes(&self) -> i64 {
        match self.asked.windows.get(self.window) {
            Some(window) => self.at(window.end),
            None if self.is_scheduled() => i64::MIN,
            None => self.at(self.asked.delay_seconds).saturating_add(ms(MAX_LATE)),
        }
    }

    /// After a reboot which window is open cannot be told, and the wall clock may yet tell it: until
    /// when that is waited for.
    pub(super) fn clock_by(&self) -> Option<i64> {
        let waits = self.adrift && self.is_scheduled() && self.wall.is_some();
        waits.then(|| self.received.saturating_add(ms(ADRIFT_WAIT)))
    }

    pub(super) fn waits_for_clock(&self, now: Now) -> bool {
        self.clock_by().is_some_and(|by| ms(now.mono) < by)
    }

    /// What can be done with it now.
    pub(super) fn ready(&self, now: Now, idle: bool) -> Option<Task> {
        let task = match self.step {
            Step::Queued if !self.asked.method.is_download() => Task::Send,
            Step::Queued => Task::Fetch,
            Step::Fetched => Task::Verify,
            Step::Verified => Task::Apply,
            Step::Fetching | Step::Applying | Step::Done => return None,
        };
        let time = ms(now.mono);
        let open = time >= self.opens() && !self.waits_for_clock(now);
        if !self.is_scheduled() {
            return open.then_some(task);
        }
        let may = match self.gate() {
            Some(Gate::Idle) => idle,
            gate => gate.is_none(),
        };
        (open && may && time < self.closes()).then_some(task)
    }

    /// The clock may tell by now when the request came.
    pub(super) fn look_at_clock(&mut self, now: Now) {
        if !now.clock_set {
            return;
        }
        let time = ms(now.mono);
        if self.adrift {
            self.adrift = false;
            let last = self.asked.windows.last().map_or(self.asked.delay_seconds, |w| w.end);
            let latest = i64::from(last).saturating_add(MAX_AWAY);
            match self.wall.map(|wall| now.wall.saturating_sub(wall)) {
                // It counts from the boot at the latest: a clock put back makes none wait longer.
                Some(ago) if (0..=latest).contains(&ago) => {
                    self.received = self.received.min(time.saturating_sub(ago * 1000));
                }
                _ => self.wall = None,
            }
        }
        if self.wall.is_none() {
            let ago = time.saturating_sub(self.received) / 1000;
            self.wall = Some(now.wall.saturating_sub(ago));
        }
    }

    /// Windows that are over count no more; whether one is left.
    pub(super) fn advance(&mut self, now: Now) -> bool {
        while self.window < self.asked.windows.len() && ms(now.mono) >= self.closes() {
            self.next_window();
        }
        self.window < self.asked.windows.len()
    }

    pub(super) fn next_window(&mut self) {
        self.window += 1;
        self.attempts = 0;
        self.not_before = None;
    }

    /// Another attempt failed with this fault: whether there is one more in the window that counts.
    /// Where the ACS leaves it to the device (−1), what failed on the way is tried again until the window
    /// is over, and what was fetched and is not good is not.
    pub(super) fn retries(&mut self, now: Now) -> bool {
        let Some(window) = self.asked.windows.get(self.window) else { return false };
        let again = match window.max_retries {
            Some(most) => self.attempts < most,
            None => self.step == Step::Fetching,
        };
        self.attempts = self.attempts.saturating_add(1);
        if again {
            let length = Duration::from_secs(u64::from(window.end - window.start));
            let first = (length / 32).clamp(Duration::from_secs(1), FIRST_RETRY_WAIT);
            let wait = first * (1 << (self.attempts - 1).min(12));
            self.not_before = Some(ms(now.mono).saturating_add(ms(wait.min(MAX_RETRY_WAIT))));
        }
        again
    }
}
