//! What a throughput test needs to know of HTTP/1.1: the words of its requests, the head of an answer, and where
//! a body ends. No I/O.

use crate::net::url::Url;

/// The most bytes of an answer's head, interim ones before it included.
pub const MAX_HEAD: usize = 32 * 1024;
/// The most headers of an answer.
pub const MAX_HEADERS: usize = 100;
/// The longest line between two chunks, in bytes.
pub const MAX_LINE: u32 = 1024;
/// The most bytes of trailers behind the last chunk.
pub const MAX_TRAILERS: u32 = 16 * 1024;

/// How much a request sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sends {
    /// A GET.
    Nothing,
    /// A PUT of so many bytes.
    Bytes(u64),
    /// A PUT of chunks.
    Chunks,
}

/// The head of a request. It answers no challenge (DG-7), asks for no coding and no range.
pub fn request(url: &Url, agent: &str, sends: Sends) -> Vec<u8> {
    let method = if sends == Sends::Nothing { "GET" } else { "PUT" };
    let body = match sends {
        Sends::Nothing => String::new(),
        Sends::Bytes(length) => {
            format!("Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n")
        }
        Sends::Chunks => {
            "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n".to_owned()
        }
    };
    let (target, host) = (&url.target, url.authority());
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{body}\r\n")
        .into_bytes()
}

/// The head of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// What follows it.
    pub body: Body,
    /// Another request may go by the same connection.
    pub keeps: bool,
    /// Its length, in bytes.
    pub length: usize,
}

/// Reads the head of an answer; `None` while it is not whole.
///
/// # Errors
/// It is no head of HTTP, or too long.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) => return Err("a head without end"),
        Err(httparse::Error::TooManyHeaders) => return Err("more than 100 headers"),
        Err(_) => return Err("what it answers is not HTTP"),
    };
    let status = response.code.unwrap_or(0);
    let (mut size, mut chunked, mut coded) = (None, false, false);
    let mut keeps = response.version == Some(1);
    for header in response.headers.iter() {
        let value = header.value.trim_ascii();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("Content-Length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number =
                std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            match number {
                Some(number) if size.is_none_or(|before| before == number) => size = Some(number),
                _ => return Err("a Content-Length that is none"),
            }
        } else if is("Transfer-Encoding") {
            coded = true;
            chunked = value.len() >= 7 && value[value.len() - 7..].eq_ignore_ascii_case(b"chunked");
        } else if is("Connection") {
            let mut words = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
            keeps &= !words.any(|word| word.eq_ignore_ascii_case(b"close"));
        }
    }
    let body = match (status, coded, size) {
        (100..200 | 204 | 304, _, _) => Body::Length(0),
        (_, true, _) if chunked => Body::Chunks(Chunks::default()),
        (_, true, _) => Body::ToEnd,
        (_, _, Some(size)) => Body::Length(size),
        _ => Body::ToEnd,
    };
    keeps &= body != Body::ToEnd;
    Ok(Some(Head { status, body, keeps, length }))
}

/// What is still to come of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunks(Chunks),
    /// Whatever comes until the server closes.
    ToEnd,
}

impl Body {
    /// Takes what came. True when that was the end of it; what stands behind the end is nobody's.
    ///
    /// # Errors
    /// It is not what a body is.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        match self {
            Body::Length(left) => {
                *left = left.saturating_sub(bytes.len() as u64);
                Ok(*left == 0)
            }
            Body::Chunks(chunks) => chunks.take(bytes),
            Body::ToEnd => Ok(false),
        }
    }

    /// How many bytes may be taken without a look at them; 0 where they are to be read.
    pub fn blind(&self) -> u64 {
        match self {
            Body::Length(left) => *left,
            Body::Chunks(_) => 0,
            Body::ToEnd => u64::MAX,
        }
    }

    /// So many were taken without a look at them. True when that was the end.
    pub fn passed(&mut self, amount: u64) -> bool {
        match self {
            Body::Length(left) => {
                *left = left.saturating_sub(amount);
                *left == 0
            }
            _ => false,
        }
    }
}

/// Where in the chunks of a body we are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chunks {
    place: Place,
    /// Of the present chunk: its bytes that are still to come, or what was read of its size.
    left: u64,
    /// Bytes of the present line, or of all trailers.
    line: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    /// In the digits of a size; whether there was one.
    #[default]
    Size,
    Digits,
    /// Behind them, before the line feed.
    Rest,
    Data,
    /// Behind a chunk's data.
    Return,
    Feed,
    /// At the beginning of a line of the trailers.
    Trailer,
    /// In one.
    Within,
}

impl Chunks {
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, &'static str> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.place == Place::Data {
                let amount = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= amount as u64;
                bytes = bytes.get(amount..).unwrap_or_default();
                if self.left == 0 {
                    self.place = Place::Return;
                }
                continue;
            }
            bytes = rest;
            if self.byte(first)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn byte(&mut self, byte: u8) -> Result<bool, &'static str> {
        const BAD: &str = "chunks that are none";
        self.line += 1;
        let most = if matches!(self.place, Place::Trailer | Place::Within) { MAX_TRAILERS } else { MAX_LINE };
        if self.line > most {
            return Err("a line between chunks without end");
        }
        self.place = match (self.place, byte) {
            (Place::Size | Place::Digits, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16).unwrap_or(0);
                self.left = self.left.checked_mul(16).ok_or(BAD)? + u64::from(digit);
                Place::Digits
            }
            (Place::Digits | Place::Rest, b'\n') => {
                self.line = 0;
                if self.left == 0 { Place::Trailer } else { Place::Data }
            }
            (Place::Digits, b'\r' | b' ' | b'\t' | b';') | (Place::Rest, _) => Place::Rest,
            (Place::Return, b'\r') => Place::Feed,
            (Place::Return | Place::Feed, b'\n') => {
                (self.line, self.left) = (0, 0);
                Place::Size
            }
            (Place::Trailer, b'\n') => return Ok(true),
            (Place::Trailer, b'\r') => Place::Trailer,
            (Place::Within, b'\n') => Place::Trailer,
            (Place::Trailer | Place::Within, _) => Place::Within,
            _ => return Err(BAD),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &str) -> Body {
        head(answer.as_bytes()).expect("a head").expect("all of it").body
    }

    #[test]
    fn requests_carry_no_credentials_dg_7() {
        let url = Url::parse("http://[2001:db8::1]:8080/a b?x=1").expect("a URL");
        let text = String::from_utf8(request(&url, "cwmpd/1", Sends::Nothing)).expect("text");
        assert_eq!(
            text,
            "GET /a%20b?x=1 HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nUser-Agent: cwmpd/1\r\nAccept: */*\r\n\r\n"
        );
        let text = String::from_utf8(request(&url, "cwmpd/1", Sends::Bytes(5))).expect("text");
        assert!(text.starts_with("PUT /") && text.contains("\r\nContent-Length: 5\r\n"), "{text}");
        let text = String::from_utf8(request(&url, "cwmpd/1", Sends::Chunks)).expect("text");
        assert!(text.contains("\r\nTransfer-Encoding: chunked\r\n"), "{text}");
    }

    #[test]
    fn what_an_answer_says_of_its_body() {
        let chunks = || Body::Chunks(Chunks::default());
        for (answer, expected, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Body::Length(7), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nConnection: x, Close\r\n\r\n", Body::Length(7), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", Body::Length(7), false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", chunks(), true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", chunks(), true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Body::ToEnd, false),
            ("HTTP/1.1 200 OK\r\n\r\n", Body::ToEnd, false),
            ("HTTP/1.1 204 No\r\n\r\n", Body::Length(0), true),
            ("HTTP/1.1 100 Continue\r\n\r\n", Body::Length(0), true),
        ] {
            let head = head(answer.as_bytes()).expect(answer).expect(answer);
            assert_eq!((&head.body, head.keeps, head.length), (&expected, keeps, answer.len()), "{answer}");
        }
    }

    #[test]
    fn heads_that_are_none() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
        assert_eq!(head(b""), Ok(None));
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
        assert!(head(endless.as_bytes()).is_err());
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        assert!(head(many.as_bytes()).is_err());
        for bad in [
            "SSH-2.0-dropbear\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ] {
            assert!(head(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn chunks_end_where_they_end_however_they_are_cut() {
        let text = b"5\r\nhello\r\n0A ;x=y\r\n0123456789\r\n1\n!\n000\r\nTrailer: z\r\n\r\n";
        for step in 1..text.len() {
            let mut body = body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let pieces: Vec<&[u8]> = text.chunks(step).collect();
            for (n, piece) in pieces.iter().enumerate() {
                assert_eq!(body.take(piece), Ok(n + 1 == pieces.len()), "{step} {n}");
            }
        }
    }

    #[test]
    fn chunks_that_are_none() {
        let endless = format!("5;{}", "x".repeat(MAX_LINE as usize));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MAX_TRAILERS as usize / 6 + 1));
        for bad in
            ["x", "\r\n", "-1\r\n", "5\r\nhelloX", "5x\r\n", "11111111111111111\r\n", &endless, &trailers]
        {
            let mut body = Body::Chunks(Chunks::default());
            assert!(body.take(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_length_is_passed_blindly() {
        let mut body = Body::Length(10);
        assert_eq!(body.blind(), 10);
        assert!(!body.passed(9));
        assert!(body.passed(1));
        assert_eq!(Body::Chunks(Chunks::default()).blind(), 0);
    }
}
