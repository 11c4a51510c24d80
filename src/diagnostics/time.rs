//! Times of results: to the microsecond, in UTC (DG-8).

use crate::sys::clock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// `2026-10-01T12:00:00.123456Z`
pub fn micros(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = clock::utc(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    format!("{}.{:06}Z", second.trim_end_matches('Z'), since.subsec_micros())
}

/// The wall clock of one test: what is set while it runs moves none of its times against another.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: SystemTime,
    mono: Instant,
}

impl Clock {
    /// Begins now.
    pub fn new() -> Clock {
        Clock { wall: SystemTime::now(), mono: Instant::now() }
    }

    /// What the wall clock shows at that moment.
    pub fn at(&self, moment: Instant) -> SystemTime {
        match moment.checked_duration_since(self.mono) {
            Some(since) => self.wall.checked_add(since),
            None => self.wall.checked_sub(self.mono.saturating_duration_since(moment)),
        }
        .unwrap_or(self.wall)
    }

    /// The same as text.
    pub fn text(&self, moment: Instant) -> String {
        micros(self.at(moment))
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    // Proves: DG-8
    #[test]
    fn microseconds_in_utc_dg_8() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_000, "1970-01-01T00:00:00.000001Z"),
            (1_207_753_265_123_456_789, "2008-04-09T15:01:05.123456Z"),
            (1_207_753_265_999_999_999, "2008-04-09T15:01:05.999999Z"),
        ] {
            assert_eq!(micros(UNIX_EPOCH + Duration::from_nanos(nanos)), text);
        }
        assert_eq!(micros(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn one_clock_for_a_test() {
        let clock = Clock::new();
        let later = clock.mono + Duration::from_micros(1_500_000);
        let apart = clock.at(later).duration_since(clock.at(clock.mono)).expect("later");
        assert_eq!(apart, Duration::from_micros(1_500_000));
    }
}
