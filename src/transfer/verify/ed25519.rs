//! Ed25519 (RFC 8032 5.1.7) over a message that comes in pieces. The hash is ring's, the curve that of
//! curve25519-dalek: ring verifies whole messages only, and an image does not fit in memory.
//!
//! Strict, so that one message has one signature of a key: no encoding but the canonical one, no point of
//! small order, and the equation without cofactor.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ring::digest::{Context, SHA512};

/// Whether a public key is a point that only the owner of a secret can sign for.
pub(super) fn is_key(point: &[u8; 32]) -> bool {
    decoded(point).is_some()
}

/// A point in its canonical encoding, and not of small order.
fn decoded(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress()?;
    (point.compress().as_bytes() == bytes && !point.is_small_order()).then_some(point)
}

/// A signature under check.
pub(super) struct Check {
    hash: Context,
    minus_a: EdwardsPoint,
    r: [u8; 32],
    s: Scalar,
}

impl Check {
    /// `None` when no message could have that signature.
    pub fn new(key: &[u8; 32], signature: &[u8; 64]) -> Option<Check> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        let a = decoded(key)?;
        decoded(r)?;
        let mut hash = Context::new(&SHA512);
        hash.update(r);
        hash.update(key);
        Some(Check { hash, minus_a: -a, r: *r, s })
    }

    /// More of the message.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
    }

    /// Whether the signature is that of the message: R = sB - kA. Nothing here is secret, so the time it
    /// takes tells nothing.
    pub fn finish(self) -> bool {
        let Ok(k) = self.hash.finish().as_ref().try_into() else { return false };
        let k = Scalar::from_bytes_mod_order_wide(&k);
        let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &self.minus_a, &self.s);
        *r.compress().as_bytes() == self.r
    }

    /// The same for a message that is at hand.
    pub fn whole(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
        Check::new(key, signature).is_some_and(|mut check| {
            check.update(message);
            check.finish()
        })
    }
}
