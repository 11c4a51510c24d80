//! Time, as the pure rooms are given it, and the dateTime texts of the standard.

use std::time::Duration;

/// A moment: a monotonic time to measure waits by, and the wall clock to tell to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Since boot, sleep included (CLOCK_BOOTTIME); never goes back.
    pub mono: Duration,
    /// Seconds since 1970 UTC.
    pub wall: i64,
    /// Whether the wall clock is believed: false until it is past the time of the build.
    pub clock_set: bool,
}

/// Unknown Time (TR-106 3.2.1, E-27).
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// The present moment.
pub fn now() -> Now {
    todo!()
}

/// `2026-11-22T10:28:55Z` for seconds since 1970.
pub fn utc(_seconds: i64) -> String {
    todo!()
}

/// Local time with its UTC offset, for Inform's CurrentTime (I-2); `root` is where `/etc/localtime`
/// and OpenWrt's `/etc/TZ` are looked for.
pub fn local(_seconds: i64, _root: &std::path::Path) -> String {
    todo!()
}

/// Seconds since 1970 of a dateTime with `Z` or an offset; a time without zone is taken as UTC.
/// `None` for what is no dateTime; years below 1000 are relative times and give `None` too, but for
/// Unknown Time (E-27).
pub fn parse(_text: &str) -> Option<i64> {
    todo!()
}
