//! The signature that is appended to an image: one as `usign` writes it, or what `ucert` makes of such
//! signatures: certificates, each of a key by the key before, and the image's own signature at the end.
//!
//! It is written in blobs of libubox: four bytes of flag, kind and length (with these four), then the
//! contents, filled up to four. A blob with the flag begins with its name: two bytes of length, the name, a
//! zero, filled up to four. Numbers have their highest byte first. One element of the chain:
//!
//! | blob | in it | what |
//! |---|---|---|
//! | 0 | | the element |
//! | | 0 | a signature, in usign's text |
//! | | 1 | what it signs: the blob `ucert`. The image's own signature has none |
//! | | | `certtype` 1, `validfrom`, `expiresat`, `pubkey` in usign's text |

use super::ed25519::Check;
use super::key::{self, Key, KeyNumber, Signature};
use crate::sys::clock::Now;

/// The most certificates of a chain; OpenWrt's images have one.
pub const MAX_CERTIFICATES: usize = 4;

// Kinds of a blob in an element, and of a blob in a certificate.
const SIGNATURE: u8 = 0;
const PAYLOAD: u8 = 1;
const TABLE: u8 = 2;
const STRING: u8 = 3;
const INT64: u8 = 4;
const INT32: u8 = 5;

/// `certtype` of a certificate by which a key may sign; 2 revokes one.
const MAY_SIGN: u32 = 1;

const UNREADABLE: &str = "cannot be read";

/// Reads what is appended: the trusted key at its beginning, the key that signed the image, and its
/// signature, which is still to be checked.
///
/// # Errors
/// Why nobody can vouch for the image by it; goes on from "the appended signature".
pub(super) fn read(data: &[u8], keys: &[Key], now: Now) -> Result<(KeyNumber, Key, Signature), String> {
    if let Some(signature) = Signature::read(data) {
        let key = key::find(keys, signature.number)?;
        return Ok((key.number, key.clone(), signature));
    }
    let mut rest = Blobs(data);
    // The trusted key, and the last one that was vouched for.
    let mut vouched: Option<(KeyNumber, Key)> = None;
    for _ in 0..=MAX_CERTIFICATES {
        let element = rest.next().filter(|b| b.kind == 0 && b.name.is_none()).ok_or(UNREADABLE)?;
        let element = Element::read(element.contents).ok_or(UNREADABLE)?;
        let signer = match &vouched {
            Some((_, key)) => key::find(std::slice::from_ref(key), element.signature.number)?,
            None => key::find(keys, element.signature.number)?,
        };
        let trusted = vouched.as_ref().map_or(signer.number, |(trusted, _)| *trusted);
        let Some(payload) = element.payload else {
            // Nothing may follow, or it would be a chain that other readers end elsewhere.
            return match rest.0 {
                [] => Ok((trusted, signer.clone(), element.signature)),
                _ => Err(UNREADABLE.into()),
            };
        };
        if !Check::whole(&signer.point, &element.signature.bytes, payload) {
            return Err(format!("has a certificate that key {} did not sign", signer.number));
        }
        vouched = Some((trusted, certificate(payload, now)?));
    }
    Err(UNREADABLE.into())
}

/// The key that a certificate is of.
fn certificate(payload: &[u8], now: Now) -> Result<Key, &'static str> {
    let table = Blobs(payload).only(TABLE, "ucert").ok_or(UNREADABLE)?;
    let number = |kind, name| Blobs(table).only(kind, name).and_then(number).ok_or(UNREADABLE);
    if number(INT32, "certtype")? != u64::from(MAY_SIGN) {
        return Err("has a certificate that lets nobody sign");
    }
    let (from, until) = (number(INT64, "validfrom")?, number(INT64, "expiresat")?);
    let text =
        Blobs(table).only(STRING, "pubkey").and_then(|text| text.strip_suffix(b"\0")).ok_or(UNREADABLE)?;
    let key = std::str::from_utf8(text).ok().and_then(|text| Key::read(text).ok()).ok_or(UNREADABLE)?;
    // A clock that is not set would refuse every image, and with it the one that sets it right.
    let wall = u64::try_from(now.wall).unwrap_or(0);
    match now.clock_set {
        true if wall < from => Err("has a certificate that is not yet valid"),
        true if wall >= until => Err("has a certificate that has expired"),
        _ => Ok(key),
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        4 | 8 => Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
        _ => None,
    }
}

/// One element of a chain.
struct Element<'a> {
    signature: Signature,
    payload: Option<&'a [u8]>,
}

impl Element<'_> {
    fn read(contents: &[u8]) -> Option<Element<'_>> {
        let mut blobs = Blobs(contents);
        let signature = blobs.next().filter(|b| b.kind == SIGNATURE)?;
        let payload = match blobs.0 {
            [] => None,
            _ => Some(blobs.next().filter(|b| b.kind == PAYLOAD)?.contents),
        };
        blobs.0.is_empty().then_some(())?;
        Some(Element { signature: Signature::read(signature.contents)?, payload })
    }
}

struct Blob<'a> {
    kind: u8,
    name: Option<&'a [u8]>,
    contents: &'a [u8],
}

/// Blobs one behind the other.
#[derive(Clone, Copy)]
struct Blobs<'a>(&'a [u8]);

impl<'a> Blobs<'a> {
    /// The next one; `None` at the end, and where a length lies.
    fn next(&mut self) -> Option<Blob<'a>> {
        let (head, _) = self.0.split_first_chunk::<4>()?;
        let head = u32::from_be_bytes(*head);
        let len = (head & 0x00ff_ffff) as usize;
        let mut contents = self.0.get(4..len)?;
        self.0 = self.0.get(filled(len)..).unwrap_or_default();
        let name = match head >> 31 {
            0 => None,
            _ => {
                let (count, rest) = contents.split_first_chunk()?;
                let count = usize::from(u16::from_be_bytes(*count));
                let name = rest.get(..count)?;
                // Two of the length, and the zero.
                contents = contents.get(filled(2 + count + 1)..)?;
                Some(name)
            }
        };
        Some(Blob { kind: (head >> 24) as u8 & 0x7f, name, contents })
    }

    /// The contents of the one with that name, which has to be of that kind and the only one. What lies
    /// behind a broken blob does not count.
    fn only(mut self, kind: u8, name: &str) -> Option<&'a [u8]> {
        let mut found = None;
        while let Some(blob) = self.next() {
            if blob.name == Some(name.as_bytes())
                && (blob.kind != kind || found.replace(blob.contents).is_some())
            {
                return None;
            }
        }
        found
    }
}

/// A length filled up to a multiple of four.
fn filled(len: usize) -> usize {
    len.div_ceil(4) * 4
}
