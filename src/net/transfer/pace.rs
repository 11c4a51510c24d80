//! A rate limit: bytes spread over time, so that a transfer leaves room for others.

use std::time::{Duration, Instant};

/// What a transfer that lagged behind may catch up with at once.
const BURST: Duration = Duration::from_millis(250);
/// Of a second's bytes the part that moves at once.
const SHARE: u32 = 10;
/// The fewest bytes that move at once, or a low rate would be all system calls.
const LEAST: usize = 1024;

/// When the next bytes may move.
pub struct Pace {
    /// Bytes a second; 0 for no limit.
    rate: u32,
    free: Instant,
}

impl Pace {
    /// Begins now.
    pub fn new(rate: u32, now: Instant) -> Pace {
        Pace { rate, free: now }
    }

    /// How many bytes to move at once, when there is room for so many.
    pub fn piece(&self, room: usize) -> usize {
        match self.rate {
            0 => room,
            rate => room.min(LEAST.max(usize::try_from(rate / SHARE).unwrap_or(usize::MAX))),
        }
    }

    /// So many have moved: until when to wait before the next, if at all.
    pub fn moved(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / u64::from(self.rate);
        let from = now.checked_sub(BURST).map_or(self.free, |earliest| self.free.max(earliest));
        self.free = from + Duration::from_nanos(nanos);
        (self.free > now).then_some(self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spread_evenly_and_a_pause_is_not_caught_up_with() {
        let start = Instant::now() + Duration::from_secs(10);
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut pace = Pace::new(100_000, start);
        assert_eq!(pace.piece(65_536), 10_000);
        assert_eq!(pace.piece(4096), 4096);
        // (moved, at this time, and the wait ends then)
        let table = [
            (10_000, 0, Some(100)),
            (10_000, 100, Some(200)),
            // late by 50 ms: caught up with
            (10_000, 250, Some(300)),
            (5_000, 320, Some(350)),
            // 10 s of silence are worth no more than a quarter of a second
            (10_000, 10_350, None),
            (10_000, 10_350, None),
            (10_000, 10_350, Some(10_400)),
        ];
        for (bytes, now, until) in table {
            assert_eq!(pace.moved(bytes, at(now)), until.map(at), "at {now}");
        }
        let mut free = Pace::new(0, start);
        assert_eq!((free.piece(65_536), free.moved(1 << 30, start)), (65_536, None));
        assert_eq!(Pace::new(100, start).piece(65_536), LEAST);
    }
}
