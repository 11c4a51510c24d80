//! How long services take to make a change that they were told of. Until then the way to the ACS may be
//! the one before the change, and what a session says is said of that one.
//!
//! Nobody tells when they are done. OpenWrt's wait a second after the word (`config.change`), and are then
//! reloaded one after the other, each as fast as the device is. What they do moves links, addresses and
//! routes, and that is heard: it is over when nothing has moved for a while. Where nothing moves at all,
//! since the change is one of names or of the firewall, or they have not begun, more time is left to them.

use std::time::Duration;

/// Seconds that services have at least.
pub const LEAST: u32 = 30;
/// Seconds without a move, after the last one.
pub const QUIET: u32 = 15;
/// Seconds that they have when nothing moves.
pub const UNSEEN: u32 = 90;

const fn seconds(n: u32) -> Duration {
    Duration::from_secs(n as u64)
}

/// Services that were told of a change. Times are of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settling {
    told: Duration,
    moved: Option<Duration>,
    /// It is over then, however much moves.
    most: Duration,
}

impl Settling {
    /// They were told now. It takes half of the trial at most (`timeout`, in seconds), so that its end says
    /// something.
    pub fn new(timeout: u32, now: Duration) -> Settling {
        Settling { told: now, moved: None, most: seconds(timeout) / 2 }
    }

    /// A link, an address or a route changed, or netifd told of one.
    pub fn moved(&mut self, now: Duration) {
        self.moved = Some(now);
    }

    /// When it is over, as far as is known.
    pub fn over(&self) -> Duration {
        let quiet = match self.moved {
            Some(moved) => (moved + seconds(QUIET)).max(self.told + seconds(LEAST)),
            None => self.told + seconds(UNSEEN),
        };
        quiet.min(self.told + self.most)
    }
}
