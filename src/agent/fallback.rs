//! Several ACSs in order: ManagementServer.URL, then `acs.fallback_urls`. After so many failed sessions
//! in a row the next one of the list is tried, round and round. A move for failure alters neither
//! ManagementServer.URL nor events: whoever of the list answers stands for the same ACS.
//!
//! While another than the first is in use, the first is tried again with the next session that is due
//! anyway, an hour after it was tried last. It is asked before the one in use, which is not given up for
//! that: when the first does not answer, the session is held there at once. No session is begun only to
//! look.
//!
//! # Data storage
//! None: a start begins with the first.

use std::time::Duration;

/// How long after the first ACS was tried it is tried again.
pub const FIRST_AGAIN: Duration = Duration::from_secs(3600);

/// What a failed session leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: the same ACS, after the wait.
    Same,
    /// Another ACS, after the wait.
    Moved,
    /// The ACS in use, at once: it was the first that was looked for.
    AtOnce,
}

/// Which ACS is in use.
#[derive(Clone, Debug, Default)]
pub struct Fallback {
    /// At least one; the first is ManagementServer.URL.
    urls: Vec<String>,
    /// How many failed sessions in a row make it move on.
    after: u32,
    used: usize,
    failed: u32,
    /// Monotonic: when the first was tried last.
    first_tried: Duration,
    /// The session under way looks for the first again.
    looking: bool,
}

impl Fallback {
    /// Takes over URL and configuration; another URL, or another list, begins with the first.
    pub fn set(&mut self, url: &str, others: &[String], after: u32) {
        let others = others.iter().filter(|other| *other != url);
        let urls: Vec<String> =
            std::iter::once(url).chain(others.map(String::as_str)).map(str::to_owned).collect();
        if urls != self.urls {
            *self = Fallback { urls, ..Fallback::default() };
        }
        self.after = after.max(1);
    }

    /// A session begins: with whom. With `only_first` nobody else is asked, for instance while a new
    /// URL is on trial.
    pub fn begin(&mut self, now: Duration, only_first: bool) -> &str {
        if only_first {
            self.back();
        }
        self.looking = self.used > 0 && now.saturating_sub(self.first_tried) >= FIRST_AGAIN;
        if self.used == 0 || self.looking {
            self.first_tried = now;
        }
        self.asked()
    }

    /// The ACS answered the Inform. True when that ended the use of another than the first.
    pub fn answered(&mut self) -> bool {
        self.failed = 0;
        let returned = self.looking;
        if returned {
            self.back();
        }
        returned
    }

    /// The session failed, before or after its Inform was answered.
    pub fn failed(&mut self, answered: bool) -> Next {
        if std::mem::take(&mut self.looking) && !answered {
            return Next::AtOnce;
        }
        self.failed = self.failed.saturating_add(1);
        if self.failed < self.after || self.urls.len() < 2 {
            return Next::Same;
        }
        self.failed = 0;
        self.used = (self.used + 1) % self.urls.len();
        Next::Moved
    }

    /// Begins with the first again.
    pub fn back(&mut self) {
        (self.used, self.failed, self.looking) = (0, 0, false);
    }

    /// Whom the session under way, or else the next one, asks.
    pub fn asked(&self) -> &str {
        let at = if self.looking { 0 } else { self.used };
        self.urls.get(at).map_or("", String::as_str)
    }

    /// The one in use, when that is not the first.
    pub fn other(&self) -> Option<&str> {
        self.urls.get(self.used).filter(|_| self.used > 0).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(urls: &[&str], after: u32) -> Fallback {
        let mut fallback = Fallback::default();
        let others: Vec<String> = urls[1..].iter().map(|u| (*u).to_owned()).collect();
        fallback.set(urls[0], &others, after);
        fallback
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Sessions that all fail: whom they ask.
    fn asked(fallback: &mut Fallback, sessions: u64) -> String {
        let ask = |n| {
            let url = fallback.begin(seconds(n), false).to_owned();
            fallback.failed(false);
            url
        };
        (0..sessions).map(ask).collect()
    }

    #[test]
    fn round_and_round() {
        for (urls, after, expected) in [
            (&["a"][..], 3, "aaaaaaaaaaaa"),
            (&["a", "b"], 3, "aaabbbaaabbb"),
            (&["a", "b", "c"], 2, "aabbccaabbcc"),
            (&["a", "b"], 1, "abababababab"),
            (&["a", "b"], 0, "abababababab"),
            // The first stands in the list, too.
            (&["a", "a", "b"], 1, "abababababab"),
        ] {
            assert_eq!(asked(&mut list(urls, after), 12), expected);
        }
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let mut fallback = list(&["a", "b"], 2);
        for _ in 0..5 {
            fallback.begin(seconds(0), false);
            assert_eq!(fallback.failed(false), Next::Same);
            fallback.begin(seconds(0), false);
            assert!(!fallback.answered());
        }
        // An ACS that answers and then breaks off each time is a failure as well.
        for next in [Next::Same, Next::Moved] {
            fallback.begin(seconds(0), false);
            assert_eq!(fallback.failed(true), next);
        }
        assert_eq!(fallback.other(), Some("b"));
    }

    #[test]
    fn the_first_is_looked_for_each_hour() {
        let mut fallback = list(&["a", "b", "c"], 1);
        assert_eq!(asked(&mut fallback, 1), "a");
        for (at, expected) in [(10, "b"), (3599, "b"), (3600, "a"), (3601, "b"), (7199, "b"), (7200, "a")] {
            assert_eq!(fallback.begin(seconds(at), false), expected, "{at}");
            assert_eq!(fallback.asked(), expected);
            match expected {
                "a" => assert_eq!(fallback.failed(false), Next::AtOnce),
                _ => assert!(!fallback.answered()),
            }
            assert_eq!((fallback.other(), fallback.asked()), (Some("b"), "b"), "b is in use all the time");
        }
        assert_eq!(fallback.begin(seconds(10_800), false), "a");
        assert!(fallback.answered(), "it is back");
        assert_eq!((fallback.other(), fallback.asked()), (None, "a"));
    }

    /// The first answers when it is looked for, and the session fails afterwards: it is in use.
    #[test]
    fn an_answer_is_enough_to_return() {
        let mut fallback = list(&["a", "b"], 2);
        asked(&mut fallback, 2);
        assert_eq!(fallback.begin(seconds(4000), false), "a");
        assert!(fallback.answered());
        assert_eq!(fallback.failed(true), Next::Same);
        assert_eq!(fallback.asked(), "a");
    }

    #[test]
    fn another_url_begins_anew() {
        let mut fallback = list(&["a", "b"], 1);
        asked(&mut fallback, 1);
        fallback.set("a", &["b".to_owned()], 5);
        assert_eq!(fallback.other(), Some("b"), "the same list");
        fallback.set("c", &["b".to_owned()], 5);
        assert_eq!((fallback.other(), fallback.asked()), (None, "c"));
        let mut fallback = list(&["a", "b"], 1);
        asked(&mut fallback, 1);
        assert_eq!(fallback.begin(seconds(5), true), "a", "nobody else is to be asked");
        assert_eq!(fallback.other(), None);
        assert_eq!(Fallback::default().asked(), "", "no ACS is known");
    }
}
