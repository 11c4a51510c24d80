//! URLs that were put back because nothing at them answered as an ACS: for an hour they are not taken up
//! again, so that an ACS that sets one in every session makes no loop.
//!
//! # Data storage
//! [`Refused::record`] is for the journal: JSON, each URL with the time it was put back at. While the
//! clock was or is not set, the hour begins anew with each start.

use crate::sys::clock::Now;
use std::time::Duration;

/// How long a URL is not taken up again, seconds.
pub const REFUSED_FOR: u32 = 3600;
/// The most URLs that are remembered; the oldest goes first.
pub const MAX_REFUSED: usize = 8;

#[derive(Clone, PartialEq, Eq, Debug)]
struct One {
    url: String,
    /// When it was put back, seconds since 1970, when that was known.
    wall: Option<i64>,
    /// Monotonic: not before.
    until: Duration,
}

/// The URLs, oldest first.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Refused {
    list: Vec<One>,
}

impl Refused {
    /// The URLs of a record, as far as it can be read.
    pub fn from_record(record: &[u8], now: Now) -> Refused {
        let known: Vec<(String, Option<i64>)> = serde_json::from_slice(record).unwrap_or_default();
        let old = known.len().saturating_sub(MAX_REFUSED);
        let list = known.into_iter().skip(old).map(|(url, wall)| {
            let over = match wall {
                Some(wall) if now.clock_set => now.wall.saturating_sub(wall).clamp(0, REFUSED_FOR.into()),
                _ => 0,
            };
            let left = Duration::from_secs(u64::from(REFUSED_FOR) - over.unsigned_abs());
            One { url, wall, until: now.mono + left }
        });
        Refused { list: list.collect() }
    }

    /// The record to store.
    pub fn record(&self) -> Vec<u8> {
        let known: Vec<(&str, Option<i64>)> = self.list.iter().map(|o| (o.url.as_str(), o.wall)).collect();
        // Texts and numbers are always JSON.
        serde_json::to_vec(&known).unwrap_or_default()
    }

    /// This one was put back now.
    pub fn add(&mut self, url: &str, now: Now) {
        self.list.retain(|o| o.url != url && now.mono < o.until);
        let until = now.mono + Duration::from_secs(REFUSED_FOR.into());
        self.list.push(One { url: url.to_owned(), wall: now.clock_set.then_some(now.wall), until });
        let old = self.list.len().saturating_sub(MAX_REFUSED);
        self.list.drain(..old);
    }

    /// Seconds until this one may be taken up again; `None` when it may be now.
    pub fn left(&self, url: &str, now: Now) -> Option<u64> {
        let one = self.list.iter().find(|o| o.url == url)?;
        let left = one.until.checked_sub(now.mono).filter(|left| !left.is_zero())?;
        Some(left.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, clock_set: bool) -> Now {
        Now { mono: Duration::from_secs(seconds), wall: 1_700_000_000 + seconds as i64, clock_set }
    }

    #[test]
    fn for_an_hour() {
        let mut refused = Refused::default();
        assert_eq!(refused.left("http://b/", at(0, true)), None);
        refused.add("http://b/", at(100, true));
        for (now, left) in [(100, Some(3600)), (3699, Some(1)), (3700, None), (9999, None)] {
            assert_eq!(refused.left("http://b/", at(now, true)), left, "{now}");
        }
        assert_eq!(refused.left("http://b/x", at(100, true)), None, "another value");
        refused.add("http://b/", at(200, true));
        assert_eq!(refused.left("http://b/", at(3700, true)), Some(100), "anew");
    }

    #[test]
    fn through_a_start() {
        for (then, now, left) in [
            (at(100, true), at(1100, true), Some(2600)),
            (at(100, true), at(5000, true), None),
            // A clock that is not set, or was put back, says nothing.
            (at(100, false), at(5000, true), Some(3600)),
            (at(100, true), at(5000, false), Some(3600)),
            (at(5000, true), at(100, true), Some(3600)),
        ] {
            let mut refused = Refused::default();
            refused.add("http://b/", then);
            let again = Refused::from_record(&refused.record(), now);
            assert_eq!(again.left("http://b/", now), left, "{then:?} {now:?}");
        }
        assert_eq!(Refused::from_record(b"junk", at(0, true)), Refused::default());
    }

    #[test]
    fn no_more_than_some() {
        let mut refused = Refused::default();
        for n in 0..20 {
            refused.add(&format!("http://{n}/"), at(0, true));
        }
        assert_eq!(refused.list.len(), MAX_REFUSED);
        assert!(refused.left("http://19/", at(1, true)).is_some());
        let many: Vec<(String, Option<i64>)> = (0..20).map(|n| (n.to_string(), None)).collect();
        let again = Refused::from_record(&serde_json::to_vec(&many).unwrap(), at(0, true));
        assert_eq!(again.list.len(), MAX_REFUSED);
        assert!(again.left("19", at(1, true)).is_some());
    }
}
