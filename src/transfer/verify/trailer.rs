//! What OpenWrt's `fwtool` appends to an image: parts, each with a trailer of 16 bytes behind it, found
//! from the end of the file backwards. Numbers have their highest byte first.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `FWx0` |
//! | 4 | CRC-32 of the whole file before the trailer, not inverted at its end |
//! | 1 | 0: signature, 1: metadata |
//! | 3 | unused |
//! | 4 | length of the part with its trailer |
//!
//! Metadata is JSON behind 8 bytes (version 0, flags).

use std::io;

/// The most parts that are looked at; an image has two. What is before them is image.
pub const MAX_PARTS: usize = 4;
/// The most bytes of a part without its trailer; `fwtool` writes 30 KiB of metadata and 1 KiB of signature.
pub const MAX_PART: usize = 32 * 1024;

const MAGIC: &[u8] = b"FWx0";
const TRAILER: usize = 16;

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// By whom all before it is signed.
    Signature,
    /// JSON that says for which device it is, and which version.
    Info,
    /// Nothing that is known.
    Other,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, without the trailer.
    pub data: Vec<u8>,
    /// Where it begins.
    pub start: u64,
    /// Where its trailer begins.
    pub trailer: u64,
    /// As [`crate::sys::crc`] has it, of all before the trailer.
    pub crc: u32,
}

/// The parts of a file of `len` bytes, the last first, as far as the metadata; none when nothing is appended. `read` fills a
/// buffer with what lies at an offset.
///
/// # Errors
/// Outer: what `read` gave. Inner: a trailer whose length cannot be.
pub fn find(
    len: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Result<Vec<Part>, &'static str>> {
    let mut parts = Vec::new();
    let mut end = len;
    while parts.len() < MAX_PARTS {
        let Some(trailer) = end.checked_sub(TRAILER as u64) else { break };
        let mut bytes = [0; TRAILER];
        read(trailer, &mut bytes)?;
        if !bytes.starts_with(MAGIC) {
            break;
        }
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let size = number(12);
        let count = size.checked_sub(TRAILER as u32).filter(|count| *count as usize <= MAX_PART);
        let (Some(count), Some(start)) = (count, end.checked_sub(size.into())) else {
            return Ok(Err("what is appended to the image has a length that cannot be"));
        };
        let mut data = vec![0; count as usize];
        read(start, &mut data)?;
        let kind = match bytes[8] {
            0 => Kind::Signature,
            1 => Kind::Info,
            _ => Kind::Other,
        };
        parts.push(Part { kind, data, start, trailer, crc: !number(4) });
        end = start;
        // What lies before belongs to the image: it may itself end with another image and its parts.
        if kind == Kind::Info {
            break;
        }
    }
    Ok(Ok(parts))
}
