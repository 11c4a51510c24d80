//! Content codings of HTTP (T-32 to T-35): gzip and deflate, both ways, as streams. What comes in is
//! bounded on both ends and in time: a bomb is refused at the size that a plain body is refused at.

mod gzip;

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::{DeflateDecoder, ZlibDecoder, ZlibEncoder};

use super::buffer::BUFFER;
use crate::sys::clock;

/// What is sent with `Accept-Encoding`: all that [`Coding::decompress`] can read (T-35).
pub const ACCEPTED: &str = "gzip, deflate";

/// Of the ten levels the fastest that compresses: it leaves 4 percent of an answer, the slower ones 3.
const LEVEL: u32 = 1;

/// How much of an encoded body is taken in, and how much may come out of it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes, on either end.
    pub size: usize,
    /// Processor time: a stream of blocks that hold nothing takes thousands of times as much as it
    /// should.
    pub time: Duration,
}

/// A content coding that the agent writes and reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950. Read also without its frame (RFC 1951), as some servers send it.
    Deflate,
}

impl Coding {
    /// By its name in ManagementServer.HTTPCompression; `None` for `Disabled`.
    pub fn of_parameter(value: &str) -> Option<Coding> {
        match value {
            "GZIP" => Some(Coding::Gzip),
            "Deflate" => Some(Coding::Deflate),
            _ => None,
        }
    }

    /// By the `Content-Encoding` headers of a response, and its `Transfer-Encoding`, where nothing but
    /// chunks was agreed on; `None` for a plain body.
    ///
    /// # Errors
    /// A coding that is not known, or several over each other; the text names them.
    pub fn of_response(content: &[String], transfer: &[String]) -> Result<Option<Coding>, String> {
        let coded = |n: &&str| !n.is_empty() && !n.eq_ignore_ascii_case("identity");
        let mut codings = content.iter().flat_map(|h| h.split(',')).map(str::trim).filter(coded);
        let mut ways = transfer.iter().flat_map(|h| h.split(',')).map(str::trim).filter(coded);
        if ways.any(|n| !n.eq_ignore_ascii_case("chunked")) {
            return Err(format!(
                "the response comes in a transfer coding that is not known: {}",
                told(transfer)
            ));
        }
        let Some(name) = codings.next() else { return Ok(None) };
        if codings.next().is_some() {
            return Err(format!("the response's body is compressed more than once: {}", told(content)));
        }
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
            "deflate" => Ok(Some(Coding::Deflate)),
            _ => Err(format!(
                "the response's body is compressed in a way that is not known: {}",
                told(content)
            )),
        }
    }

    /// Its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// A stream, compressed while it is read; its tables (some 320 KiB) live as long as it does.
    pub fn compressing<'a>(self, plain: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        let level = Compression::new(LEVEL);
        match self {
            Coding::Gzip => Box::new(gzip::Encoder::new(plain, level)),
            Coding::Deflate => Box::new(ZlibEncoder::new(plain, level)),
        }
    }

    /// The same of what is there whole.
    pub fn compress(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut compressed = Vec::new();
        self.compressing(plain).read_to_end(&mut compressed)?;
        compressed.shrink_to_fit();
        Ok(compressed)
    }

    /// Reads a compressed body to its end; an empty one is not compressed at all.
    ///
    /// # Errors
    /// What is beyond the limits ([`ErrorKind::FileTooLarge`]); a stream that is cut off, corrupt, has a
    /// wrong checksum, or more behind its end; and what reading it says.
    pub fn decompress(self, compressed: impl Read, limits: Limits) -> io::Result<Vec<u8>> {
        let bounded =
            Bounded { input: compressed, taken: 0, limits, spent: Duration::ZERO, since: clock::processor() };
        let mut input = BufReader::with_capacity(BUFFER, bounded);
        let mut first = [0; 2];
        let length = fill(&mut input, &mut first)?;
        let first = first.get(..length).unwrap_or_default();
        if first.is_empty() {
            return Ok(Vec::new());
        }
        let has_frame = is_zlib(first);
        let mut input = first.chain(input);
        let body = match self {
            Coding::Gzip => gzip::decode(&mut input, |body| drain(body, limits)),
            Coding::Deflate if has_frame => drain(ZlibDecoder::new(&mut input), limits),
            Coding::Deflate => drain(DeflateDecoder::new(&mut input), limits),
        };
        let body = body.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.name())))?;
        match input.fill_buf()? {
            [] => Ok(body),
            _ => {
                Err(io::Error::new(ErrorKind::InvalidData, format!("{}: bytes behind its end", self.name())))
            }
        }
    }
}

/// The headers as they are told in a log: short, and nothing but visible ASCII.
fn told(headers: &[String]) -> String {
    let text = headers.join(", ");
    text.chars().take(64).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// Whether a deflate body has the frame that it should have (RFC 1950 2.2). A bare one cannot begin
/// so: it would be a block that is stored with padding that is not zero.
fn is_zlib(first: &[u8]) -> bool {
    matches!(first, [method, flags] if method & 0x8f == 0x08
        && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn fill(input: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

fn drain(mut input: impl Read, limits: Limits) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut piece = [0; BUFFER / 2];
    loop {
        match input.read(&mut piece)? {
            0 => return Ok(body),
            more => body.extend_from_slice(piece.get(..more).unwrap_or_default()),
        }
        if body.len() > limits.size {
            return Err(too_large(limits));
        }
    }
}

fn too_large(limits: Limits) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("a response body above {} bytes", limits.size))
}

/// An encoded body as it comes in, cut off at the limits.
struct Bounded<R> {
    input: R,
    taken: usize,
    limits: Limits,
    /// Processor time of this thread while what came in was decoded.
    spent: Duration,
    /// When decoding went on.
    since: Duration,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.spent += clock::processor().saturating_sub(self.since);
        if self.spent > self.limits.time {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "a response body that takes too long to decode",
            ));
        }
        if self.taken > self.limits.size {
            return Err(too_large(self.limits));
        }
        let amount = loop {
            match self.input.read(room) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.taken = self.taken.saturating_add(amount);
        self.since = clock::processor();
        Ok(amount)
    }
}

#[cfg(test)]
mod tests;
