//! The sending side: when which datagrams of load go, as the server's last feedback orders. No socket; times are
//! microseconds since 1970.

use super::pdu::{Load, NO_DELAY, Rate, Stamp, Status};
use super::reception::Sub;

/// What was not sent for so long, in microseconds, is not sent in one heap: the machine is too slow for the rate.
const MAX_LATE: i64 = 20_000;
/// What IPv6 takes of a datagram more than IPv4, in octets: packets stay as large.
const SIX: u32 = 20;
/// The smallest payload with which the table counts, in octets.
const LEAST: u32 = 52;

/// Datagrams that go at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// Octets of each.
    pub payload: u32,
    /// How many.
    pub count: u32,
    /// Octets of one more; 0 is none.
    pub addon: u32,
}

/// The load of one flow.
#[derive(Debug)]
pub struct Emission {
    rate: Rate,
    due: [Option<i64>; 2],
    six: bool,
    /// Sizes that are allowed.
    bounds: (u32, u32),
    chance: u32,
    /// The number of the last datagram.
    sequence: u32,
    /// The last feedback: its own number, its time, and when it came.
    number: u32,
    sent: Stamp,
    came: Option<i64>,
    missed: u16,
    ended: u32,
}

impl Emission {
    /// Begins now. `bounds` are the sizes that are allowed; `chance` is a number drawn by chance.
    pub fn new(rate: Rate, now: i64, six: bool, bounds: (u32, u32), chance: u32) -> Emission {
        let mut emission = Emission {
            rate,
            due: [None; 2],
            six,
            bounds,
            chance: chance | 1,
            sequence: 0,
            number: 0,
            sent: Stamp::default(),
            came: None,
            missed: 0,
            ended: 0,
        };
        emission.keep_time(now);
        emission
    }

    /// A timer that the rate has begins to run, one that it has no more stands.
    fn keep_time(&mut self, now: i64) {
        for (due, timer) in self.due.iter_mut().zip(self.rate.0) {
            *due = match timer.interval {
                0 => None,
                interval => Some(due.unwrap_or(now + i64::from(interval))),
            };
        }
    }

    /// When something goes next.
    pub fn due(&self) -> Option<i64> {
        self.due.iter().flatten().copied().min()
    }

    /// What goes now.
    pub fn take(&mut self, now: i64) -> Option<Burst> {
        let at = (0..2).find(|n| self.due.get(*n).copied().flatten().is_some_and(|due| due <= now))?;
        let timer = *self.rate.0.get(at)?;
        let due = self.due.get_mut(at)?;
        let next = due.unwrap_or(now) + i64::from(timer.interval);
        *due = Some(if now - next > MAX_LATE { now + i64::from(timer.interval) } else { next });
        let addon = match timer.by_chance {
            true => self.drawn(timer.addon),
            false => timer.addon,
        };
        Some(Burst { payload: self.size(timer.payload), count: timer.burst, addon: self.size(addon) })
    }

    fn size(&self, size: u32) -> u32 {
        let own = if self.six && size >= LEAST { size - SIX } else { size };
        if own == 0 { 0 } else { own.clamp(self.bounds.0, self.bounds.1) }
    }

    /// A size up to this one, by chance.
    fn drawn(&mut self, most: u32) -> u32 {
        // xorshift: load that is alike from test to test would do, too.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 17;
        self.chance ^= self.chance << 5;
        match most.checked_sub(LEAST) {
            Some(room) => LEAST + self.chance % (room + 1),
            None => most,
        }
    }

    /// The header of the next datagram.
    pub fn next(&mut self, payload: u32, now: i64, action: u8, is_deaf: bool) -> Load {
        self.sequence = self.sequence.wrapping_add(1);
        let held = self.came.map_or(0, |came| (now - came + 500) / 1000);
        Load {
            action,
            is_deaf,
            sequence: self.sequence,
            payload: u16::try_from(payload).unwrap_or(u16::MAX),
            missed: self.missed,
            feedback: self.sent,
            sent: Stamp::of(now),
            held: u16::try_from(held).unwrap_or(u16::MAX),
        }
    }

    /// The kernel did not take the last datagram: its number is free.
    pub fn take_back(&mut self) {
        self.sequence = self.sequence.wrapping_sub(1);
    }

    /// A feedback has come. The sub-interval that it tells of, when it is a new one.
    pub fn heard(&mut self, status: &Status, now: i64) -> Option<Sub> {
        self.missed = match status.sequence.checked_sub(self.number) {
            Some(0) | None => u16::MAX,
            Some(further) => u16::try_from(further - 1).unwrap_or(u16::MAX),
        };
        self.number = self.number.max(status.sequence);
        (self.sent, self.came) = (status.sent, Some(now));
        self.rate = status.rate;
        self.keep_time(now);
        if status.sub_interval == self.ended {
            return None;
        }
        self.ended = status.sub_interval;
        Some(told(status, now))
    }
}

/// What a server has counted in a sub-interval.
fn told(status: &Status, now: i64) -> Sub {
    let counted = &status.counted;
    let range = |least: i64, [from, to]: [u32; 2]| {
        (from != NO_DELAY && from <= to)
            .then(|| ((least + i64::from(from)) * 1000, (least + i64::from(to)) * 1000))
    };
    let [from, to, _, count] = counted.variation;
    Sub {
        end: now,
        time: counted.time.into(),
        datagrams: counted.datagrams.into(),
        bytes: counted.bytes,
        errors: counted.errors,
        delay: range(status.clock_delta.into(), [from, to]).filter(|_| count > 0),
        round_trip: match status.round_trip {
            NO_DELAY => None,
            least => range(least.into(), counted.round_trip),
        },
        interface: 0,
    }
}
