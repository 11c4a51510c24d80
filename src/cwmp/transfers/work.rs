//! What of the queue is to be done now, and when to look again.

use super::queue::Queue;
use super::transfer::{Gate, Task, Transfer, from_ms, ms};
use super::{FileType, Step};
use crate::cwmp::schedule::LOOK_AT_CLOCK;
use crate::sys::clock::Now;
use std::time::Duration;

/// How often the device is looked at while a transfer waits for it to be idle.
pub const IDLE_LOOK: Duration = Duration::from_secs(30);

/// What is to be done now. [`Step::Fetching`] or [`Step::Applying`] is entered with it, and has to be on
/// disk before it is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    /// The transfer's.
    pub number: u32,
    /// What.
    pub task: Task,
}

impl Queue {
    /// What to do now: in the order of the due times, then of the numbers, what has begun first. `None`
    /// while one is worked on. `idle` is whether the device is (mode 3). What could not be done in its
    /// time has failed hereby, so this is to be called now and then while one is worked on,
    /// too; but not while a session runs.
    pub fn next_work(&mut self, now: Now, idle: bool) -> Option<Work> {
        self.looked_at = now.mono;
        self.expire(now);
        if self.is_busy() {
            return None;
        }
        let ready = self.transfers.iter().filter_map(|t| Some((t, t.ready(now, idle)?)));
        let first = ready.min_by_key(|(t, _)| (t.step == Step::Queued, t.due_ms(), t.number));
        let work = first.map(|(t, task)| Work { number: t.number, task })?;
        self.working = Some(work.number);
        let t = self.find(work.number)?;
        match work.task {
            Task::Fetch | Task::Send => {
                t.begin(now);
                t.step = Step::Fetching;
            }
            Task::Verify => {}
            Task::Apply => {
                t.step = Step::Applying;
                // What is applied is not fetched again, but in another window.
                if !t.is_scheduled() {
                    t.forget_credentials();
                }
            }
        }
        Some(work)
    }

    /// Clocks are looked at, and what can no longer begin, or no longer end in its window, fails.
    fn expire(&mut self, now: Now) {
        let mut ended = Vec::new();
        for t in &mut self.transfers {
            if t.step == Step::Done {
                continue;
            }
            t.look_at_clock(now);
            if self.working == Some(t.number) || t.step == Step::Applying {
                continue;
            }
            let former = t.window;
            let fault = match t.is_scheduled() {
                true if t.advance(now) => {
                    if t.window != former {
                        t.step = Step::Queued;
                    }
                    continue;
                }
                true => t.outside_windows(),
                false if t.step == Step::Queued && ms(now.mono) > t.closes() => t.too_late(),
                false => continue,
            };
            ended.push((t.number, fault));
        }
        for (number, fault) in ended {
            self.end(number, Some(fault), now);
        }
    }

    /// When to look again by [`Queue::next_work`], and by [`Queue::window_over`] where one is worked on;
    /// monotonic. `None` for not before something else happens. A time that is past means that there is
    /// work, were it not for a session.
    pub fn next(&self) -> Option<Duration> {
        let busy = self.is_busy();
        self.transfers.iter().filter_map(|t| self.next_of(t, busy)).min()
    }

    fn next_of(&self, t: &Transfer, busy: bool) -> Option<Duration> {
        let at = match t.step {
            Step::Done => return None,
            _ if self.working == Some(t.number) => t.can_run_over().then(|| t.closes()),
            Step::Applying => None,
            // Only its end can come, and for one that has begun and has no windows not even that. One
            // millisecond more, and it is too late.
            _ if busy => (t.step == Step::Queued || t.is_scheduled()).then(|| t.closes().saturating_add(1)),
            _ => Some(self.next_of_waiting(t)),
        };
        // What was seen to be over is known: the worker is being stopped.
        let at = at.filter(|at| !busy || *at > ms(self.looked_at)).map(from_ms);
        let look = t.adrift.then(|| self.looked_at + LOOK_AT_CLOCK);
        [look, at].into_iter().flatten().min()
    }

    fn next_of_waiting(&self, t: &Transfer) -> i64 {
        let looked_at = ms(self.looked_at);
        let opens = t.opens().max(t.clock_by().unwrap_or(i64::MIN));
        let at = match t.gate() {
            _ if opens > looked_at => opens,
            Some(Gate::Idle) => looked_at.saturating_add(ms(IDLE_LOOK)),
            Some(Gate::Confirmation) => i64::MAX,
            None => opens,
        };
        // One without windows that has begun goes on whatever the time.
        if t.step == Step::Queued || t.is_scheduled() { at.min(t.closes()) } else { at }
    }

    /// Whether one would be done now if the device were idle, so that this has to be known.
    pub fn wants_idle(&self, now: Now) -> bool {
        let waits = |t: &Transfer| t.ready(now, false).is_none() && t.ready(now, true).is_some();
        !self.is_busy() && self.transfers.iter().any(waits)
    }

    /// the window of the one that is worked on is over: it is to be given up, with
    /// [`Queue::failed`] and any fault. Never while firmware is being applied.
    pub fn window_over(&self, number: u32, now: Now) -> bool {
        self.get(number).is_some_and(|t| t.can_run_over() && ms(now.mono) >= t.closes())
    }
}

impl Transfer {
    /// Whether work on it is given up at the end of its window: firmware that is being applied is not.
    fn can_run_over(&self) -> bool {
        let flashes = self.step == Step::Applying && self.file_type().is_some_and(FileType::is_firmware);
        self.is_scheduled() && !flashes
    }
}
