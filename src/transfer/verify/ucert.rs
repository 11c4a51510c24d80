//! The signature that is appended to an image: a chain of `ucert`, or one signature as `usign` writes it.

use super::key::{self, Key, KeyNumber, Signature};
use crate::sys::clock::Now;

/// Reads it: the trusted key at its beginning, the key that signed the image, and its signature.
///
/// # Errors
/// Why nobody can vouch for the image by it; goes on from "the appended signature".
pub(super) fn read(data: &[u8], keys: &[Key], _now: Now) -> Result<(KeyNumber, Key, Signature), String> {
    let signature = Signature::read(data).ok_or("cannot be read")?;
    let key = key::find(keys, signature.number)?;
    Ok((key.number, key.clone(), signature))
}
