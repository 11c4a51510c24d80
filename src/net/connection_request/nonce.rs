//! PURE: nonces that cost nothing to hand out. A nonce is a stamp and its HMAC, so a flood of
//! challenges fills no table; only nonces that were used with the right password are remembered, to
//! see a replay (CR-6).

use crate::net::digest;
use crate::sys::hash::sha256;
use std::time::{Duration, Instant};

/// How long a nonce can be used.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// How many used nonces are remembered. When one more is used, the oldest is forgotten, and with
/// it every nonce of its age or older is refused.
const MAX_USED: usize = 64;

/// HMAC-SHA256 has a key of at most one block of the hash.
const BLOCK: usize = 64;

/// Hands out nonces and says which may still be used.
pub(super) struct Nonces {
    secret: [u8; 32],
    /// The time that stamps count from: the first one this was told.
    epoch: Option<Instant>,
    last: u64,
    used: Vec<Used>,
    floor: u64,
}

struct Used {
    stamp: u64,
    /// The highest `nc` seen with it.
    count: u32,
}

impl Nonces {
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> std::io::Result<Nonces> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Nonces { secret, epoch: None, last: 0, used: Vec::new(), floor: 0 })
    }

    /// A nonce that was never handed out before.
    pub fn issue(&mut self, now: Instant) -> String {
        // microseconds, pushed up where two nonces share one: a stamp is a serial number too
        self.last = self.microseconds(now).max(self.last + 1);
        self.write(self.last)
    }

    /// Uses a nonce with this `nc`; the caller has checked the response. False when the nonce is not
    /// ours, is too old, or was used with this count or a higher one.
    pub fn redeem(&mut self, nonce: &str, count: u32, now: Instant) -> bool {
        let Some(stamp) = nonce.get(..16).and_then(|s| u64::from_str_radix(s, 16).ok()) else {
            return false;
        };
        if !digest::same(nonce, &self.write(stamp)) {
            return false;
        }
        let oldest = self.microseconds(now).saturating_sub(LIFETIME.as_micros() as u64); // 3 * 10^8
        if stamp <= self.floor || stamp < oldest {
            return false;
        }
        self.used.retain(|u| u.stamp >= oldest);
        if let Some(used) = self.used.iter_mut().find(|u| u.stamp == stamp) {
            let higher = count > used.count;
            used.count = used.count.max(count);
            return higher;
        }
        self.used.push(Used { stamp, count });
        if self.used.len() > MAX_USED {
            self.floor = self.used.iter().map(|u| u.stamp).min().unwrap_or(0);
            self.used.retain(|u| u.stamp > self.floor);
        }
        count > 0
    }

    fn microseconds(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        now.saturating_duration_since(epoch).as_micros() as u64 // enough for half a million years
    }

    fn write(&self, stamp: u64) -> String {
        let stamp = stamp.to_be_bytes();
        let mac = self.hmac(&stamp);
        digest::hex(&stamp) + &digest::hex(mac.get(..16).unwrap_or_default())
    }

    /// RFC 2104 with SHA-256.
    fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let pad = |byte: u8| {
            let mut block = [byte; BLOCK];
            block.iter_mut().zip(self.secret).for_each(|(b, s)| *b ^= s);
            block
        };
        sha256(&[&pad(0x5c), &sha256(&[&pad(0x36), message])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn nonces() -> (Nonces, Instant) {
        (Nonces::new().expect("random numbers"), Instant::now())
    }

    #[test]
    fn cr6_hmac_is_the_published_one() {
        // RFC 4231 4.3 has a short key: padded with zeros to ours it is the same key
        let (mut n, _) = nonces();
        n.secret = [0; 32];
        n.secret[..4].copy_from_slice(b"Jefe");
        let mac = digest::hex(&n.hmac(b"what do ya want for nothing?"));
        assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn cr6_nonces_are_fresh_and_unforgeable() {
        let (mut n, now) = nonces();
        let all: HashSet<String> = (0..1000).map(|_| n.issue(now)).collect();
        assert_eq!(all.len(), 1000);
        let nonce = n.issue(now);
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert!(!n.redeem(&forged, 1, now), "{at}");
        }
        assert!(!n.redeem("", 1, now) && !n.redeem(&nonce[..16], 1, now) && !n.redeem("ü", 1, now));
        assert!(!n.redeem(&nonce.to_uppercase(), 1, now) || nonce == nonce.to_uppercase());
        let (mut other, _) = nonces();
        assert!(!other.redeem(&nonce, 1, now), "another listener's nonce");
        assert!(n.redeem(&nonce, 1, now));
    }

    #[test]
    fn cr6_count_goes_up() {
        let (mut n, now) = nonces();
        let nonce = n.issue(now);
        let steps = [(0, false), (1, true), (1, false), (5, true), (4, false), (5, false), (6, true)];
        for (count, good) in steps {
            assert_eq!(n.redeem(&nonce, count, now), good, "{count}");
        }
    }

    #[test]
    fn cr6_nonces_expire() {
        let (mut n, now) = nonces();
        n.issue(now); // sets the epoch
        let nonce = n.issue(now + Duration::from_secs(1));
        let last = now + Duration::from_secs(1) + LIFETIME;
        assert!(n.redeem(&nonce, 1, last));
        assert!(!n.redeem(&nonce, 2, last + Duration::from_millis(1)));
    }

    #[test]
    fn cr6_memory_is_bounded_and_forgetting_allows_no_replay() {
        let (mut n, now) = nonces();
        let all: Vec<String> = (0..MAX_USED * 3).map(|_| n.issue(now)).collect();
        for nonce in &all {
            assert!(n.redeem(nonce, 1, now));
        }
        assert_eq!(n.used.len(), MAX_USED);
        for nonce in &all {
            assert!(!n.redeem(nonce, 1, now), "replayed");
        }
        let forgotten = &all[0];
        assert!(!n.redeem(forgotten, 2, now));
        assert!(n.redeem(&all[MAX_USED * 3 - 1], 2, now));
    }
}
