//! Moments at a reference time plus and minus whole intervals: the periodic Informs (I-10) and the
//! heartbeats (HB-2).
//!
//! The wall clock only says where the moments stand, and is never trusted alone: when it jumps, the
//! next one is moved at most to an earlier time, and never nearer than half an interval to the last.

use crate::sys::clock::Now;
use std::time::Duration;

/// Wall clock against monotonic clock: what differs by more seconds since last looked at is a jump.
pub(super) const JUMP: u64 = 2;

/// How often, and where the moments stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Beat {
    /// Seconds, at least 1.
    pub interval: u32,
    /// Seconds since 1970; `None` for Unknown Time: at a random point of the interval.
    pub time: Option<i64>,
}

/// The moments of a [`Beat`], one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    beat: Beat,
    due: Duration,
    /// When it was due last.
    last: Option<Duration>,
    /// Where it stands without reference or clock: a random point of the interval, seconds.
    phase: u64,
    /// Wall clock less monotonic clock when last looked at; `None` while not believed.
    offset: Option<i64>,
    /// The wall clock has jumped since it was due last.
    jumped: bool,
}

impl Rhythm {
    /// The rhythm of a beat, `None` where there is none: the former one when the beat is the same,
    /// else a new one, which holds at once. `random` is any number.
    pub fn of(former: Option<Rhythm>, beat: Option<Beat>, now: Now, random: u32) -> Option<Rhythm> {
        let beat = beat?;
        if let Some(same) = former.filter(|r| r.beat == beat) {
            return Some(same);
        }
        let phase = now.mono.as_secs() + u64::from(random) % u64::from(beat.interval.max(1));
        let mut rhythm =
            Rhythm { beat, due: now.mono, last: None, phase, offset: offset(now), jumped: false };
        rhythm.due = now.mono + rhythm.until(now);
        Some(rhythm)
    }

    /// When the next moment is, monotonic.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether the wall clock matters, so that it has to be looked at now and then.
    pub fn by_clock(&self) -> bool {
        self.beat.time.is_some()
    }

    /// Whether a moment has come since this was asked last; one, however many there were (I-12).
    pub fn take_due(&mut self, now: Now) -> bool {
        let interval = Duration::from_secs(self.beat.interval.max(1).into());
        let offset = offset(now);
        let jumped = match (offset, self.offset) {
            (Some(a), Some(b)) => a.abs_diff(b) > JUMP,
            (a, b) => a.is_some() != b.is_some(),
        };
        if jumped && self.by_clock() {
            self.jumped = true;
            let mut moved = now.mono + self.until(now);
            if let Some(last) = self.last {
                moved = moved.max(last + interval / 2);
            }
            self.due = self.due.min(moved);
        }
        if jumped {
            self.offset = offset;
        }
        if now.mono < self.due {
            return false;
        }
        let mut wait = self.until(now);
        // A clock that was put back a little says that the point just reached is still ahead.
        let slip = Duration::from_secs(JUMP);
        if (self.jumped && wait < interval / 2) || (wait <= slip && interval > 2 * slip) {
            wait += interval;
        }
        *self = Rhythm { due: now.mono + wait, last: Some(now.mono), offset, jumped: false, ..*self };
        true
    }

    /// How long until the next moment: more than nothing, at most an interval.
    fn until(&self, now: Now) -> Duration {
        let interval = i64::from(self.beat.interval.max(1));
        let since = match self.beat.time {
            Some(reference) if now.clock_set => now.wall.saturating_sub(reference),
            _ => (now.mono.as_secs() as i64).saturating_sub(self.phase as i64),
        };
        let left = interval - since.rem_euclid(interval);
        Duration::from_secs(left.unsigned_abs())
    }
}

fn offset(now: Now) -> Option<i64> {
    now.clock_set.then(|| now.wall.saturating_sub_unsigned(now.mono.as_secs()))
}

#[cfg(test)]
mod tests;
