//! The frame of gzip (RFC 1952) around deflate, both ways.

use crate::sys::crc::{Crc, crc32};
use flate2::Compression;
use flate2::bufread::{DeflateDecoder, DeflateEncoder};
use std::io::{self, BufRead, ErrorKind, Read};

/// No name, no time, of an unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, 0xff];
const DEFLATE: u8 = 8;

/// What a head may have besides.
mod flag {
    pub const CHECKSUM: u8 = 2;
    pub const EXTRA: u8 = 4;
    pub const NAME: u8 = 8;
    pub const COMMENT: u8 = 16;
    pub const RESERVED: u8 = 0xe0;
}

/// Compresses while it is read.
pub(super) struct Encoder<R> {
    body: DeflateEncoder<Summed<R>>,
    /// Head, then checksum and length, as far as they are still to be given.
    edge: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Encoder<R> {
    pub fn new(plain: R, level: Compression) -> Encoder<R> {
        let plain = Summed { plain, crc: Crc::default(), len: 0 };
        Encoder { body: DeflateEncoder::new(plain, level), edge: HEAD.to_vec(), ended: false }
    }
}

impl<R: BufRead> Read for Encoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.edge.is_empty() && !self.ended {
            let amount = self.body.read(room)?;
            if amount > 0 || room.is_empty() {
                return Ok(amount);
            }
            let plain = self.body.get_ref();
            self.edge = [plain.crc.value().to_le_bytes(), plain.len.to_le_bytes()].concat();
            self.ended = true;
        }
        let amount = self.edge.as_slice().read(room)?;
        self.edge.drain(..amount);
        Ok(amount)
    }
}

/// Text with its checksum and its length, modulo 2^32, as far as it was taken.
struct Summed<R> {
    plain: R,
    crc: Crc,
    len: u32,
}

impl<R: BufRead> Read for Summed<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(room)?;
        self.consume(amount);
        Ok(amount)
    }
}

impl<R: BufRead> BufRead for Summed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.plain.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is in the buffer is given again, without reading.
        if let Some(taken) = self.plain.fill_buf().ok().and_then(|bytes| bytes.get(..amount)) {
            self.crc.update(taken);
            self.len = self.len.wrapping_add(amount as u32);
        }
        self.plain.consume(amount);
    }
}

/// Reads one member to its end; `drain` takes what it holds.
///
/// # Errors
/// It is not gzip, or damaged, or cut off; and what reading and draining give.
pub(super) fn decode<R: BufRead>(
    input: &mut R,
    drain: impl FnOnce(DeflateDecoder<&mut R>) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    head(input)?;
    let body = drain(DeflateDecoder::new(&mut *input))?;
    let mut tail = [0; 8];
    input.read_exact(&mut tail)?;
    match tail == *[crc32(&body).to_le_bytes(), (body.len() as u32).to_le_bytes()].concat() {
        true => Ok(body),
        false => Err(invalid("its checksum is wrong")),
    }
}

/// Passes over the head.
fn head(input: &mut impl Read) -> io::Result<()> {
    let mut crc = Crc::default();
    let mut take = |bytes: &mut [u8]| {
        input.read_exact(bytes)?;
        crc.update(bytes);
        io::Result::Ok(crc.value())
    };
    let (mut first, mut two, mut one) = (HEAD, [0; 2], [0; 1]);
    take(&mut first)?;
    let flags = first[3];
    if first[..3] != HEAD[..3] || flags & flag::RESERVED != 0 {
        return Err(invalid("invalid gzip header"));
    }
    if flags & flag::EXTRA != 0 {
        take(&mut two)?;
        for _ in 0..u16::from_le_bytes(two) {
            take(&mut one)?;
        }
    }
    for text in [flag::NAME, flag::COMMENT] {
        one = [1];
        while flags & text != 0 && one != [0] {
            take(&mut one)?;
        }
    }
    if flags & flag::CHECKSUM != 0 {
        let expected = take(&mut [])? as u16; // its lower half
        take(&mut two)?;
        if u16::from_le_bytes(two) != expected {
            return Err(invalid("the checksum of its head is wrong"));
        }
    }
    Ok(())
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}
