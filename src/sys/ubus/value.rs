//! Tables of named fields, as objects send them to each other (OpenWrt calls the format blobmsg).
//!
//! A field is a word of four bytes (a bit that is set, seven bits of type, 24 of length, the word itself
//! counted), the length of its name in two bytes, the name with a zero byte, zeros up to a multiple of four,
//! and the value; the next field begins at a multiple of four. Tables and arrays hold fields; in an array
//! names are empty. Numbers are big-endian, text ends with a zero byte.

use super::{MAX_DEPTH, MAX_FIELDS, Problem};
use std::fmt;

/// Types of fields. A number not among them is of no use, and passed over.
pub(super) mod kind {
    pub const NULL: u8 = 0;
    pub const ARRAY: u8 = 1;
    pub const TABLE: u8 = 2;
    pub const TEXT: u8 = 3;
    pub const INT64: u8 = 4;
    pub const INT32: u8 = 5;
    pub const INT16: u8 = 6;
    /// Also a boolean: there is no other.
    pub const INT8: u8 = 7;
    pub const DOUBLE: u8 = 8;
}

/// The bit of a word that says that a name follows.
pub(super) const NAMED: u32 = 0x8000_0000;
/// The bits of a word that are the length.
pub(super) const LENGTH: u32 = 0x00ff_ffff;

/// The bytes of a table, checked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Answer {
    bytes: Vec<u8>,
}

/// One field of an answer.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    kind: u8,
    data: &'a [u8],
}

/// The length of a name with its two bytes before and zeros behind.
pub(super) fn name_room(len: usize) -> usize {
    (2 + len + 1).next_multiple_of(4)
}

/// The word at the start: type with the bit [`NAMED`] as it stands there, and length.
fn word(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    Some((word, (word & LENGTH) as usize))
}

/// Where name and value of the field at the start of `bytes` lie, its type, and where the next one begins.
struct Place {
    kind: u8,
    name: std::ops::Range<usize>,
    data: std::ops::Range<usize>,
    next: usize,
}

fn place(bytes: &[u8]) -> Result<Place, &'static str> {
    let (word, len) = word(bytes).ok_or("a field without its head")?;
    if len < 4 || len > bytes.len() {
        return Err("a length that lies");
    }
    let mut name = 4..4;
    let mut from = 4;
    if word & NAMED != 0 {
        let head = bytes.get(4..6).and_then(|b| b.try_into().ok()).ok_or("a name without its length")?;
        let name_len = u16::from_be_bytes(head) as usize;
        from += name_room(name_len);
        if from > len {
            return Err("a name that is longer than its field");
        }
        name = 6..6 + name_len;
        if bytes.get(name.end) != Some(&0) {
            return Err("a name without its end");
        }
    }
    // A last one may lack its padding. No overflow: len has 24 bits.
    let next = len.next_multiple_of(4).min(bytes.len());
    Ok(Place { kind: (word >> 24) as u8 & 0x7f, name, data: from..len, next })
}

/// Text up to its zero byte.
fn c_text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(&[])
}

/// Bytes that are no UTF-8 become question marks, in place.
fn mend(mut bytes: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(bytes) {
        let from = error.valid_up_to();
        let len = error.error_len().unwrap_or(bytes.len() - from);
        bytes[from..from + len].fill(b'?');
        bytes = &mut bytes[from + len..];
    }
}

/// Checks the fields of a table or an array, and mends their text.
fn check(mut rest: &mut [u8], depth: usize, fields: &mut usize) -> Result<(), &'static str> {
    while !rest.is_empty() {
        let place = place(rest)?;
        *fields += 1;
        if *fields > MAX_FIELDS {
            return Err("too many fields");
        }
        mend(&mut rest[place.name]);
        let data = &mut rest[place.data];
        let len = match place.kind {
            kind::ARRAY | kind::TABLE if depth >= MAX_DEPTH => return Err("nested too deep"),
            kind::ARRAY | kind::TABLE => {
                check(data, depth + 1, fields)?;
                None
            }
            kind::TEXT if data.last() != Some(&0) => return Err("a text without its end"),
            kind::TEXT => {
                mend(data);
                None
            }
            kind::INT8 => Some(1),
            kind::INT16 => Some(2),
            kind::INT32 => Some(4),
            kind::INT64 | kind::DOUBLE => Some(8),
            _ => None,
        };
        if len.is_some_and(|len| len != data.len()) {
            return Err("a number of the wrong length");
        }
        rest = &mut rest[place.next..];
    }
    Ok(())
}

impl Answer {
    /// Checks what somebody sent; text that is no UTF-8 has its bad bytes replaced.
    ///
    /// # Errors
    /// [`Problem::Malformed`].
    pub fn new(mut bytes: Vec<u8>) -> Result<Answer, Problem> {
        check(&mut bytes, 0, &mut 0).map_err(Problem::Malformed)?;
        Ok(Answer { bytes })
    }

    /// The table itself.
    pub fn root(&self) -> Value<'_> {
        Value { kind: kind::TABLE, data: &self.bytes }
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads an object of JSON; numbers become 32 bits wide where they fit, as ubus does it.
    ///
    /// # Errors
    /// [`Problem::Record`], or [`Problem::TooLong`].
    pub fn from_json(text: &str) -> Result<Answer, Problem> {
        super::json::read(text)
    }

    /// JSON on one line, as `ubus -S call` prints it.
    pub fn to_json(&self) -> String {
        self.root().show().to_string()
    }
}

impl fmt::Debug for Answer {
    /// The size alone: an answer may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} bytes)", self.bytes.len())
    }
}

impl<'a> Value<'a> {
    /// The fields of a table with their names; of an array with empty names; none of a scalar.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let mut rest = match self.is_table() || self.is_array() {
            true => self.data,
            false => &[],
        };
        std::iter::from_fn(move || {
            let bytes = rest;
            if bytes.is_empty() {
                return None;
            }
            // It was checked; all of this is there.
            let place = place(bytes).ok()?;
            rest = bytes.get(place.next..)?;
            let name = std::str::from_utf8(c_text(bytes.get(place.name)?)).unwrap_or("");
            Some((name, Value { kind: place.kind, data: bytes.get(place.data)? }))
        })
    }

    /// The field of a table by its name: the first that has it.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.fields().filter(|_| self.is_table()).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The element of an array, or the field of a table, by its place.
    pub fn at(self, n: usize) -> Option<Value<'a>> {
        self.fields().nth(n).map(|(_, value)| value)
    }

    /// Whether it holds named fields.
    pub fn is_table(self) -> bool {
        self.kind == kind::TABLE
    }

    /// Whether it holds elements.
    pub fn is_array(self) -> bool {
        self.kind == kind::ARRAY
    }

    /// Whether it is neither a table nor an array, nor nothing.
    pub fn is_scalar(self) -> bool {
        (kind::TEXT..=kind::DOUBLE).contains(&self.kind)
    }

    /// Text.
    pub fn text(self) -> Option<&'a str> {
        (self.kind == kind::TEXT).then(|| std::str::from_utf8(c_text(self.data)).unwrap_or(""))
    }

    /// A whole number: 8, 16, 32 or 64 bits with a sign, as ubus prints them; `true` is 1; of a number with
    /// a fraction what stands before the point.
    pub fn number(self) -> Option<i64> {
        match self.kind {
            kind::INT8 => Some(u8::from_be_bytes(self.data.try_into().ok()?).into()),
            kind::INT16 => Some(i16::from_be_bytes(self.data.try_into().ok()?).into()),
            kind::INT32 => Some(i32::from_be_bytes(self.data.try_into().ok()?).into()),
            kind::INT64 => Some(i64::from_be_bytes(self.data.try_into().ok()?)),
            // Beyond the ends of i64 it is its end.
            kind::DOUBLE => self.float().map(|n| n as i64),
            _ => None,
        }
    }

    /// A number with a fraction.
    pub fn float(self) -> Option<f64> {
        match self.kind {
            kind::DOUBLE => Some(f64::from_be_bytes(self.data.try_into().ok()?)),
            _ => None,
        }
    }

    /// A boolean; of a whole number whether it is not 0.
    pub fn flag(self) -> Option<bool> {
        match self.kind {
            kind::INT8 | kind::INT16 | kind::INT32 | kind::INT64 => self.number().map(|n| n != 0),
            _ => None,
        }
    }

    /// Whether it is a boolean.
    pub fn is_flag(self) -> bool {
        self.kind == kind::INT8
    }

    /// A scalar as text; a table or an array as JSON; nothing for null.
    pub fn show(self) -> impl fmt::Display + 'a {
        Shown(self)
    }
}

struct Shown<'a>(Value<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.text(), self.0.kind) {
            (Some(text), _) => f.write_str(text),
            (None, kind::NULL) => Ok(()),
            (None, _) => super::json::write(self.0, f),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value(type {}, {} bytes)", self.kind, self.data.len())
    }
}
