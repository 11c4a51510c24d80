//! The bytes of the journal: one record is one batch, with its length and its checksum.
//!
//! A payload is a row of operations: a byte `+` (put) or `-` (delete), the key's length (u16) and the
//! key, and for a put the value's length (u32) and the value; integers are little endian.

use crate::sys::crc::crc32;
use std::io::{self, Read};

/// The first line of a journal; another format gets another number.
pub const MAGIC: &[u8] = b"cwmpd journal 1\n";

/// The longest payload of a record, bytes.
pub const MAX_RECORD: usize = 1024 * 1024;

/// The longest key, bytes: a path of 256 and what stands before it, with room.
pub const MAX_KEY: usize = 1024;

/// The longest value, bytes: one operation always fits in one record.
pub const MAX_VALUE: usize = MAX_RECORD - MAX_KEY - 16;

/// Length and checksum.
const HEAD: usize = 8;

const PUT: u8 = b'+';
const DELETE: u8 = b'-';

/// A key and its new value; `None` deletes.
pub type Operation<'a> = (&'a str, Option<&'a [u8]>);

/// Bytes that one operation takes in a payload.
pub fn size(key: &str, value: Option<&[u8]>) -> usize {
    3 + key.len() + value.map_or(0, |v| 4 + v.len())
}

/// A record under construction.
pub struct Record(Vec<u8>);

impl Default for Record {
    fn default() -> Record {
        Record(vec![0; HEAD])
    }
}

impl Record {
    /// Adds one operation. The caller has judged its key and value by [`MAX_KEY`] and [`MAX_VALUE`],
    /// so that no length is cut here.
    pub fn push(&mut self, key: &str, value: Option<&[u8]>) {
        self.0.push(if value.is_some() { PUT } else { DELETE });
        self.0.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.0.extend_from_slice(key.as_bytes());
        if let Some(value) = value {
            self.0.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.0.extend_from_slice(value);
        }
    }

    /// Bytes of payload so far.
    pub fn len(&self) -> usize {
        self.0.len() - HEAD
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole record, as it goes to the file.
    pub fn finish(mut self) -> Vec<u8> {
        let (head, payload) = self.0.split_at_mut(HEAD);
        head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32(payload).to_le_bytes());
        self.0
    }
}

/// What stands at one place of the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole record; its payload.
    Record(Vec<u8>),
    /// The end of the file, at the end of a record.
    End,
    /// No whole record stands here.
    Broken,
}

/// Reads the next record.
///
/// # Errors
/// The file cannot be read; its end is no error.
pub fn next(file: &mut impl Read) -> io::Result<Next> {
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Next::End);
    }
    let Some((len, crc)) = measure(&head) else {
        return Ok(Next::Broken);
    };
    // It grows with what is there: a length that was damaged reserves no memory.
    let mut payload = Vec::new();
    file.by_ref().take(len as u64).read_to_end(&mut payload)?;
    if payload.len() == len && crc32(&payload) == crc && operations(&payload).is_some() {
        Ok(Next::Record(payload))
    } else {
        Ok(Next::Broken)
    }
}

/// Whether a whole record stands anywhere in `bytes`: then what is broken before it is damage, not
/// the torn end of the last write.
pub fn any_whole(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| {
        let rest = &bytes[at..]; // at is below the length
        let Some((len, crc)) = measure(rest) else {
            return false;
        };
        // The form is judged first because it is cheap: almost every place fails it.
        rest.get(HEAD..HEAD + len).is_some_and(|p| operations(p).is_some() && crc32(p) == crc)
    })
}

/// Length and checksum; an empty record is none, since zeros after a power cut would look like it.
fn measure(head: &[u8]) -> Option<(usize, u32)> {
    let (len, rest) = head.split_first_chunk::<4>()?;
    let crc = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    let len = u32::from_le_bytes(*len) as usize;
    (1..=MAX_RECORD).contains(&len).then_some((len, crc))
}

/// The operations of a payload in order, the value `None` for a delete; `None` when it has not the
/// form of a payload.
pub fn operations(mut payload: &[u8]) -> Option<Vec<Operation<'_>>> {
    let mut ops = Vec::new();
    while let Some((&kind, rest)) = payload.split_first() {
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*len) as usize)?;
        let key = std::str::from_utf8(key).ok()?;
        payload = match kind {
            PUT => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                ops.push((key, Some(value)));
                rest
            }
            DELETE => {
                ops.push((key, None));
                rest
            }
            _ => return None,
        };
    }
    Some(ops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let mut record = Record::default();
        record.push("k", Some(b"key"));
        record.push("t/intent", None);
        record.push("v/Device.X", Some(b""));
        assert_eq!(
            record.len(),
            size("k", Some(b"key")) + size("t/intent", None) + size("v/Device.X", Some(b""))
        );
        let bytes = record.finish();
        let mut file = &bytes[..];
        let Next::Record(payload) = next(&mut file).unwrap() else { panic!("whole") };
        assert_eq!(
            operations(&payload).unwrap(),
            [("k", Some(&b"key"[..])), ("t/intent", None), ("v/Device.X", Some(b""))]
        );
        assert_eq!(next(&mut file).unwrap(), Next::End);
        assert!(any_whole(&[b"xyz", &bytes[..]].concat()));
        for cut in 1..bytes.len() {
            assert_eq!(next(&mut &bytes[..cut]).unwrap(), Next::Broken, "cut at {cut}");
            assert!(!any_whole(&bytes[..cut]), "cut at {cut}");
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(next(&mut &[0u8; 64][..]).unwrap(), Next::Broken);
        assert!(!any_whole(&[0; 64]));
    }
}
