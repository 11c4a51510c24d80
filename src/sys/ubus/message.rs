//! What goes over the socket: a header of eight bytes, and one attribute that holds all others.
//!
//! The header is a version (0), a type, a number of the request in two bytes, and in four the peer: the
//! object that is called, or who called. An attribute is a word of four bytes (its number in the upper byte,
//! its length with the word itself in the lower three), its value, and zeros up to a multiple of four.

use super::{MAX_MESSAGE, Problem};

/// Bytes of the header.
pub(super) const HEADER: usize = 8;

/// Types of messages.
pub(super) mod kind {
    pub const HELLO: u8 = 0;
    pub const STATUS: u8 = 1;
    pub const DATA: u8 = 2;
    pub const LOOKUP: u8 = 4;
    pub const INVOKE: u8 = 5;
    pub const ADD_OBJECT: u8 = 6;
    pub const SUBSCRIBE: u8 = 8;
    pub const UNSUBSCRIBE: u8 = 9;
}

/// Attributes.
pub(super) mod attribute {
    pub const STATUS: u8 = 1;
    pub const PATH: u8 = 2;
    pub const OBJECT: u8 = 3;
    pub const METHOD: u8 = 4;
    pub const SIGNATURE: u8 = 6;
    pub const DATA: u8 = 7;
    pub const TARGET: u8 = 8;
    pub const NO_REPLY: u8 = 10;
}

/// ubusd's own objects.
pub(super) const EVENTS: u32 = 1;

/// A message that came.
pub(super) struct Message {
    pub kind: u8,
    pub sequence: u16,
    pub peer: u32,
    /// Its attributes.
    body: Vec<u8>,
}

/// How many bytes the message at the start of these has; `None` while its beginning is not there.
///
/// # Errors
/// It is none.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    let Some(word) = bytes.get(HEADER..HEADER + 4).and_then(|b| b.try_into().ok()) else {
        return Ok(None);
    };
    if bytes.first() != Some(&0) {
        return Err(Problem::Broken("another version of the protocol"));
    }
    let len = u32::from_be_bytes(word) as usize & 0x00ff_ffff;
    match len {
        0..4 => Err(Problem::Broken("a message without its length")),
        4..=MAX_MESSAGE => Ok(Some(HEADER + len)),
        _ => Err(Problem::Broken("a message that is too long")),
    }
}

/// The attributes: number and value. Ends at the first whose length cannot be true.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u8, std::ops::Range<usize>)> {
    let whole = rest.len();
    std::iter::from_fn(move || {
        let word = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let len = word as usize & 0x00ff_ffff;
        rest.get(4..len)?;
        let from = whole - rest.len();
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(((word >> 24) as u8 & 0x7f, from + 4..from + len))
    })
}

impl Message {
    /// Reads a whole message, as many bytes as [`length`] says.
    pub fn read(bytes: &[u8]) -> Option<Message> {
        Some(Message {
            kind: *bytes.get(1)?,
            sequence: u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?),
            peer: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            body: bytes.get(HEADER + 4..)?.to_vec(),
        })
    }

    /// The value of an attribute.
    pub fn get(&self, number: u8) -> Option<&[u8]> {
        self.body.get(self.place(number)?)
    }

    fn place(&self, number: u8) -> Option<std::ops::Range<usize>> {
        attributes(&self.body).find(|(n, _)| *n == number).map(|(_, place)| place)
    }

    /// An attribute that is a number of four bytes.
    pub fn number(&self, number: u8) -> Option<u32> {
        self.get(number)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// An attribute that is text with its zero byte.
    pub fn text(&self, number: u8) -> Option<&str> {
        std::str::from_utf8(self.get(number)?.split(|b| *b == 0).next()?).ok()
    }

    /// An attribute that is one byte, 0 or not.
    pub fn flag(&self, number: u8) -> bool {
        self.get(number).and_then(<[u8]>::first).is_some_and(|b| *b != 0)
    }

    /// An attribute alone, without its message.
    pub fn into(mut self, number: u8) -> Option<Vec<u8>> {
        let place = self.place(number)?;
        self.body.truncate(place.end);
        self.body.drain(..place.start);
        self.body.shrink_to_fit();
        Some(self.body)
    }
}

/// A message to be sent.
pub(super) struct Draft(Vec<u8>);

impl Draft {
    pub fn new(kind: u8, sequence: u16, peer: u32) -> Draft {
        let mut bytes = vec![0, kind];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(peer.to_be_bytes());
        // The length comes at the end.
        bytes.extend([0; 4]);
        Draft(bytes)
    }

    pub fn bytes(mut self, number: u8, value: &[u8]) -> Draft {
        // What is longer than a length can say is refused by finish.
        let word = u32::from(number) << 24 | (4 + value.len()) as u32 & 0x00ff_ffff;
        self.0.extend(word.to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn number(self, number: u8, value: u32) -> Draft {
        self.bytes(number, &value.to_be_bytes())
    }

    pub fn text(self, number: u8, value: &str) -> Draft {
        let text: Vec<u8> = value.bytes().take_while(|b| *b != 0).chain([0]).collect();
        self.bytes(number, &text)
    }

    /// # Errors
    /// [`Problem::TooLong`]: ubusd would close the connection.
    pub fn finish(mut self) -> Result<Vec<u8>, Problem> {
        let len = self.0.len() - HEADER;
        if len > MAX_MESSAGE {
            return Err(Problem::TooLong);
        }
        if let Some(word) = self.0.get_mut(HEADER..HEADER + 4) {
            word.copy_from_slice(&(len as u32).to_be_bytes());
        }
        Ok(self.0)
    }
}
