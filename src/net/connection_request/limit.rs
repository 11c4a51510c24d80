//! PURE: how many authenticated requests are let through (CR-12).

use std::time::{Duration, Instant};

/// A token bucket: so many at once, and one more after each interval.
pub(super) struct Limit {
    burst: u32,
    refill: Duration,
    tokens: u32,
    /// Since when the next token is growing; `None` while the bucket is full.
    growing: Option<Instant>,
}

impl Limit {
    /// A full bucket. A refill interval of zero sets no limit.
    pub fn new(burst: u32, refill: Duration) -> Limit {
        Limit { burst, refill, tokens: burst, growing: None }
    }

    /// New figures; what was used up stays used up.
    pub fn set(&mut self, burst: u32, refill: Duration) {
        let spent = self.burst - self.tokens; // never above burst
        self.tokens = burst.saturating_sub(spent);
        self.burst = burst;
        self.refill = refill;
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.refill.is_zero() {
            return true;
        }
        if let Some(since) = self.growing {
            let waited = now.saturating_duration_since(since);
            let grown = waited.as_nanos() / self.refill.as_nanos();
            let missing = self.burst - self.tokens; // never above burst
            match u32::try_from(grown) {
                Ok(grown) if grown < missing => {
                    self.tokens += grown;
                    self.growing = Some(since + self.refill * grown);
                }
                _ => {
                    self.tokens = self.burst;
                    self.growing = None;
                }
            }
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        self.growing.get_or_insert(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: CR-12
    #[test]
    fn cr12_burst_then_one_each_interval() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut limit = Limit::new(4, Duration::from_secs(3));
        let takes = |limit: &mut Limit, ms| (0..10).filter(|_| limit.take(at(ms))).count();
        let table = [
            (0, 4),
            (2_999, 0),
            (3_000, 1),
            (5_999, 0),
            (6_000, 1),
            (13_500, 2), // one and a half intervals: 9,000 and 12,000
            (14_999, 0), // and the half is not lost
            (15_000, 1),
            (3_600_000, 4), // never more than the burst
            (3_600_001, 0),
        ];
        for (ms, expected) in table {
            assert_eq!(takes(&mut limit, ms), expected, "at {ms} ms");
        }
    }

    #[test]
    fn cr12_new_figures_give_nothing_back() {
        let now = Instant::now();
        let mut limit = Limit::new(4, Duration::from_secs(3));
        assert!(limit.take(now) && limit.take(now));
        limit.set(3, Duration::from_secs(3));
        assert!(limit.take(now) && !limit.take(now));
        limit.set(3, Duration::ZERO);
        assert!((0..100).all(|_| limit.take(now)));
        let mut closed = Limit::new(0, Duration::from_secs(1));
        assert!(!closed.take(now) && !closed.take(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_away() {
        let now = Instant::now() + Duration::from_secs(100);
        let mut limit = Limit::new(2, Duration::from_secs(1));
        assert!(limit.take(now) && limit.take(now - Duration::from_secs(50)) && !limit.take(now));
    }
}
