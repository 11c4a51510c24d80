//! The HTTP/1.1 that an ACS needs: heads, bodies with a length or in chunks, replies.

use std::io::{self, BufRead, Read, Write};

/// The largest head that is read.
const MAX_HEAD: u64 = 64 * 1024;

/// A start line with its header fields, of either direction.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `POST /acs HTTP/1.1` or `HTTP/1.1 204 No Content`.
    pub line: String,
    /// Names as they were written.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the first field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The second word of a request line.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The second word of a status line, as a number.
    pub fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }

    /// Whether a field that holds a list has this word.
    pub fn says(&self, name: &str, word: &str) -> bool {
        let mut words = self.all(name).into_iter().flat_map(|v| v.split(','));
        words.any(|w| w.trim().eq_ignore_ascii_case(word))
    }
}

/// Reads a head; `None` when the peer closed the connection instead.
pub fn read_head(input: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut input = input.take(MAX_HEAD);
    let mut head = Head::default();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            let nothing_came = head.line.is_empty();
            return if nothing_came { Ok(None) } else { Err(malformed("the head breaks off")) };
        }
        let line = line.trim_end_matches(['\r', '\n']);
        match line.split_once(':') {
            _ if head.line.is_empty() => head.line = line.to_string(),
            _ if line.is_empty() => return Ok(Some(head)),
            Some((name, value)) => head.headers.push((name.to_string(), value.trim().to_string())),
            None => return Err(malformed("a header line without a colon")),
        }
    }
}

/// The body that follows a head, as a stream that ends where the body ends.
pub fn body<'a>(head: &Head, input: &'a mut dyn BufRead) -> io::Result<Body<'a>> {
    let chunked = head.says("Transfer-Encoding", "chunked");
    let left = match head.header("Content-Length") {
        Some(_) if chunked => return Err(malformed("both a length and chunks")),
        Some(length) => length.parse().map_err(|_| malformed("Content-Length"))?,
        None => 0,
    };
    Ok(Body { input, left, chunked, begun: false })
}

/// See [`body`].
pub struct Body<'a> {
    input: &'a mut dyn BufRead,
    /// Bytes left of the body, or of the present chunk.
    left: u64,
    /// Whether chunks follow.
    chunked: bool,
    /// Whether a chunk was read: its line end stands before the next size.
    begun: bool,
}

impl Body<'_> {
    /// Reads a chunk's size; behind the last one also the trailer.
    fn next_chunk(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) && !self.line()?.is_empty() {
            return Err(malformed("a chunk is longer than it said"));
        }
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(size, 16).map_err(|_| malformed("the size of a chunk"))?;
        if self.left == 0 {
            while !self.line()?.is_empty() {}
            self.chunked = false;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if (&mut *self.input).take(MAX_HEAD).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

impl Read for Body<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.chunked {
            self.next_chunk()?;
        }
        let room = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut out[..room])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// What a server says.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// 200, 204, 401 ...
    pub status: u16,
    /// Beyond those that frame the body.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply without body.
    pub fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// 200 with an envelope.
    pub fn envelope(xml: impl Into<Vec<u8>>) -> Reply {
        let kind = ("Content-Type".to_string(), "text/xml; charset=utf-8".to_string());
        Reply { status: 200, headers: vec![kind], body: xml.into() }
    }

    /// With one more header field.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_string(), value.into()));
        self
    }
}

/// How replies are put on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// In chunks of this size, not with a length.
    pub chunk: Option<usize>,
    /// Says `Connection: close`.
    pub close: bool,
    /// Header names in lower case (T-18).
    pub lower_case: bool,
    /// `100 Continue` goes before (T-17).
    pub interim: bool,
}

/// Writes a reply; gives its head as it was written.
pub fn write(output: &mut dyn Write, reply: &Reply, manner: Manner) -> io::Result<Head> {
    let mut headers = reply.headers.clone();
    let mut add = |name: &str, value: String| headers.push((name.to_string(), value));
    let chunk = manner.chunk.filter(|_| !reply.body.is_empty());
    match chunk {
        Some(_) => add("Transfer-Encoding", "chunked".to_string()),
        None if reply.status == 204 => {} // has no body, so no length either
        None => add("Content-Length", reply.body.len().to_string()),
    }
    if manner.close {
        add("Connection", "close".to_string());
    }
    if manner.lower_case {
        headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    }
    let line = format!("HTTP/1.1 {} {}", reply.status, reason(reply.status));
    let mut bytes = Vec::new();
    if manner.interim {
        bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    bytes.extend_from_slice(line.as_bytes());
    for (name, value) in &headers {
        bytes.extend_from_slice(format!("\r\n{name}: {value}").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    match chunk {
        None => bytes.extend_from_slice(&reply.body),
        Some(size) => {
            for piece in reply.body.chunks(size.max(1)) {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    output.write_all(&bytes)?;
    output.flush()?;
    Ok(Head { line, headers })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        415 => "Unsupported Media Type",
        503 => "Service Unavailable",
        400..=499 => "Not So",
        _ => "As It Is",
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
