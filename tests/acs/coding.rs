//! Compressed bodies, both ways.

use super::http::{Head, Reply};
use flate2::Compression;
use flate2::bufread::{DeflateEncoder, GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};
use std::io::{self, BufRead, BufReader, Read};

/// How the ACS compresses its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `deflate`, as RFC 9110 has it: in the frame of zlib.
    Deflate,
    /// `deflate` without the frame, as some servers send it.
    BareDeflate,
}

impl Coding {
    /// A body, compressed.
    pub fn encode(self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let level = Compression::default();
        let result = match self {
            Coding::Gzip => GzEncoder::new(plain, level).read_to_end(&mut bytes),
            Coding::Deflate => ZlibEncoder::new(plain, level).read_to_end(&mut bytes),
            Coding::BareDeflate => DeflateEncoder::new(plain, level).read_to_end(&mut bytes),
        };
        result.expect("memory can be read");
        bytes
    }

    /// A reply, compressed, when it has a body.
    pub fn reply(self, reply: &Reply) -> Reply {
        if reply.body.is_empty() {
            return reply.clone();
        }
        let name = if self == Coding::Gzip { "gzip" } else { "deflate" };
        Reply { body: self.encode(&reply.body), ..reply.clone() }.with("Content-Encoding", name)
    }
}

/// A body of the agent as it was before it was compressed. An error for a coding that is none of
/// TR-069's, for what cannot be decoded, and for bytes behind the end.
pub fn decoded<'a>(head: &Head, body: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let body = BufReader::new(body);
    Ok(match head.all("Content-Encoding").as_slice() {
        [] => Box::new(body),
        ["gzip"] => Box::new(BufReader::new(Strict(GzDecoder::new(body), GzDecoder::get_mut))),
        ["deflate"] => Box::new(BufReader::new(Strict(ZlibDecoder::new(body), ZlibDecoder::get_mut))),
        other => return Err(io::Error::other(format!("Content-Encoding {other:?}"))),
    })
}

/// A decoder, with the way to what lies behind it.
struct Strict<D, B>(D, fn(&mut D) -> &mut B);

impl<D: Read, B: BufRead> Read for Strict<D, B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let amount = self.0.read(out)?;
        if amount == 0 && !out.is_empty() && !(self.1)(&mut self.0).fill_buf()?.is_empty() {
            return Err(io::Error::other("bytes behind the end of a compressed body"));
        }
        Ok(amount)
    }
}
