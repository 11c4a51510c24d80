//! Whether the device is idle (`3 When Idle`, X-38): by the bytes of its interfaces, looked at only while a
//! window asks for it.

use std::path::Path;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// How many quiet times between two looks in a row make it idle: half a minute.
const QUIET: u32 = 3;
/// The most that is read of the counters, bytes.
const MAX_COUNTERS: u64 = 64 * 1024;

/// What was seen so far.
#[derive(Default)]
pub struct Idle {
    /// When (monotonic), and how many bytes there were.
    last: Option<(Duration, u64)>,
    quiet: u32,
}

impl Idle {
    /// Whether it is idle now; `read` tells the bytes of all interfaces since they exist, and is asked no
    /// more often than is needed. `least` bytes a second are no longer idle.
    pub fn look(&mut self, now: Duration, least: u32, read: impl FnOnce() -> Option<u64>) -> bool {
        let passed = self.last.map(|(when, _)| now.saturating_sub(when));
        if passed.is_none_or(|passed| passed >= LOOK) {
            let Some(bytes) = read() else {
                // Where nobody counts, nobody can say that it is busy.
                self.last = Some((now, 0));
                self.quiet = QUIET;
                return true;
            };
            if let (Some((_, before)), Some(passed)) = (self.last, passed) {
                let rate = u128::from(bytes.saturating_sub(before)) * 1000 / passed.as_millis().max(1);
                let quiet = bytes >= before && rate < u128::from(least);
                self.quiet = if quiet { self.quiet.saturating_add(1) } else { 0 };
            }
            self.last = Some((now, bytes));
        }
        self.quiet >= QUIET
    }

    /// Monotonic: when to look again.
    pub fn next(&self) -> Option<Duration> {
        self.last.map(|(when, _)| when + LOOK)
    }

    /// Nobody asks any more.
    pub fn forget(&mut self) {
        *self = Idle::default();
    }
}

/// Bytes in and out of all interfaces but the loopback.
pub fn counters(root: &Path) -> Option<u64> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(root.join("proc/net/dev")).ok()?;
    file.take(MAX_COUNTERS).read_to_string(&mut text).ok()?;
    Some(sum(&text))
}

fn sum(text: &str) -> u64 {
    let interfaces = text.lines().filter_map(|line| line.split_once(':'));
    let counted = interfaces.filter(|(name, _)| name.trim() != "lo").map(|(_, numbers)| {
        let number = |at: usize| numbers.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
        number(0).unwrap_or(0).wrapping_add(number(8).unwrap_or(0))
    });
    counted.fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0
  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0
 wlan0:3 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0
";

    #[test]
    fn every_interface_but_the_loopback_counts() {
        assert_eq!(sum(DEV), 127);
        assert_eq!(sum("rubbish\nx: a b"), 0);
    }

    // Proves: X-38
    #[test]
    fn x_38_idle_after_half_a_quiet_minute() {
        let mut idle = Idle::default();
        let mut look = |seconds, bytes| idle.look(Duration::from_secs(seconds), 100, || Some(bytes));
        assert!(!look(0, 5000));
        assert!(!look(10, 5999) && !look(20, 6000));
        assert!(look(30, 6001), "three quiet times in a row");
        assert!(look(35, 90_000), "not looked at yet");
        assert!(!look(40, 90_000), "1000 bytes and more a second");
        assert!(!look(50, 90_000) && !look(60, 90_000) && look(70, 90_000));
        assert!(!look(80, 1), "an interface began to count anew");
        assert_eq!(idle.next(), Some(Duration::from_secs(90)));
        idle.forget();
        assert_eq!(idle.next(), None);
        assert!(idle.look(Duration::ZERO, 100, || None), "nobody counts");
    }
}
