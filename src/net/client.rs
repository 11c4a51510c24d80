//! One ACS session's HTTP client: POSTs and their answers over an [`Exchange`], with cookies and compression.
//! Blocking, but every wait can be woken.

use std::io::{self, BufRead, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, header};

use super::coding::{self, Coding, Limits};
use super::cookies::{self, Jar};
pub use super::error::{Error, Reached};
use super::exchange::{Answer, Exchange, Head, Request, rendering, texts};
pub use super::exchange::{MAX_HEADERS, MAX_REDIRECTS};
use super::shared::Bounds;
use super::url::Url;
use crate::sys::clock;

/// Everything the client is told about the ACS; made afresh for each session (S-22).
#[derive(Clone, Default)]
pub struct Options {
    /// ManagementServer.URL.
    pub url: String,
    /// ManagementServer.Username, or the default of S-14.
    pub username: String,
    /// ManagementServer.Password.
    pub password: String,
    /// PEM file with the trusted roots; without it https fails (S-5).
    pub ca_file: Option<PathBuf>,
    /// PEM files of the client certificate and its key (S-9).
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Interface that the connection leaves by (SO_BINDTODEVICE).
    pub bind_interface: Option<String>,
    /// Whether a Basic challenge over http is answered (S-12).
    pub basic_over_http: bool,
    /// Whether the wall clock is believed; when not, certificate dates are ignored (S-7).
    pub clock_set: bool,
    /// How requests are compressed (T-32); `None` for ManagementServer.HTTPCompression `Disabled`, and then
    /// no coding is asked for in responses (T-35).
    pub compression: Option<Coding>,
    /// `cwmpd/0.1.0`
    pub user_agent: String,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// Deadlines of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup, TCP and TLS together.
    pub connect: Duration,
    /// From the end of a request to the end of the response's head; at least 30 s by T-7.
    pub response: Duration,
    /// Between two pieces of a body, either way.
    pub progress: Duration,
    /// The whole session.
    pub session: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(30),
            response: Duration::from_secs(60),
            progress: Duration::from_secs(60),
            session: Duration::from_secs(3600),
        }
    }
}

/// The body of a POST.
pub enum Body<'a> {
    /// No body, no SOAPAction, no Content-Type, `Content-Length: 0` (T-12, T-13).
    Empty,
    /// Sent with its length; sent again byte for byte after a challenge, redirect or dead connection.
    Whole(&'a [u8]),
    /// Chunked; rewound when it must be sent again.
    Stream(&'a mut dyn Pieces),
}

/// A body that is rendered while it is sent.
pub trait Pieces {
    /// Starts again from the first byte.
    fn rewind(&mut self) -> io::Result<()>;
    /// The next piece (at most some 20 KiB); `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// A response that is not a challenge and not a redirect: 200 or 204.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Its body, at most [`MAX_BODY`] bytes; empty for an empty response.
    pub body: Vec<u8>,
}

impl Response {
    /// A body of blanks alone is an empty response too (T-11): scripts leave a line end behind.
    fn new(body: Vec<u8>) -> Response {
        let empty = body.trim_ascii().is_empty();
        Response { body: if empty { Vec::new() } else { body } }
    }
}

/// The largest response body that is read, in bytes, as it comes and decoded. What its Content-Length says
/// reserves no memory.
pub const MAX_BODY: usize = 2 * 1024 * 1024 + 64 * 1024;
/// The most processor time that decoding it may take; in earnest it is some 10 ms for the largest one on a
/// PC, and some hundred on a slow router.
const MAX_DECODING: Duration = Duration::from_secs(2);
const DECODED: Limits = Limits { size: MAX_BODY, time: MAX_DECODING };

/// The client of one session.
pub struct Client {
    exchange: Exchange,
    cookies: Jar,
    compression: Option<Coding>,
    clock_set: bool,
}

impl Client {
    /// Prepares a session; connects at the first POST or by [`Client::open`]. `wake` is the read end of a pipe: as soon as
    /// it is readable (or closed) every wait ends with [`Error::Woken`].
    pub fn new(options: Options, wake: OwnedFd) -> Result<Client, Error> {
        let (compression, clock_set) = (options.compression, options.clock_set);
        let exchange = Exchange::new(options, Bounds::default(), wake)?;
        Ok(Client { exchange, cookies: Jar::default(), compression, clock_set })
    }

    /// Connects ahead of the first POST, which may want to tell our own address.
    pub fn open(&mut self) -> Result<(), Error> {
        self.exchange.connect()
    }

    /// The ACS says how long to wait for its responses in this session (T-8).
    pub fn wait_for_responses(&mut self, wait: Duration) {
        self.exchange.wait_for_responses(wait);
    }

    /// Sends one POST and reads its answer; answers challenges (S-11 to S-20), follows redirects
    /// (T-22 to T-30), keeps cookies (T-19, T-20).
    pub fn post(&mut self, body: Body<'_>) -> Result<Response, Error> {
        let compressed;
        let body = match (self.compression, body) {
            (Some(coding), Body::Whole(bytes)) => {
                compressed = coding.compress(bytes).map_err(rendering)?;
                Body::Whole(&compressed)
            }
            // each borrowed anew, for no longer than `compressed` lives
            (_, Body::Whole(bytes)) => Body::Whole(bytes),
            (_, Body::Stream(pieces)) => Body::Stream(pieces),
            (_, Body::Empty) => Body::Empty,
        };
        let is_compressed = self.compression.is_some() && !matches!(body, Body::Empty);
        let (coding, clock_set) = (self.compression, self.clock_set);
        let mut post = Post { body, coding, clock_set, cookies: &mut self.cookies };
        let answer = self.exchange.ask(&mut post)?;
        match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => self.read(answer),
            other => Err(Error::Status {
                code: other.as_u16(),
                compressed: is_compressed,
                retry_after: retry_after(answer.headers(), date(answer.headers(), clock_set)),
                text: self.exchange.words(answer),
            }),
        }
    }

    /// How far the session has come until now.
    pub fn reached(&self) -> Reached {
        self.exchange.shared().reached()
    }

    /// The local address of the last connection: what the connection-request URL shows.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.exchange.local_address()
    }

    /// The ACS's end of it.
    pub fn acs_address(&self) -> Option<SocketAddr> {
        self.exchange.peer_address()
    }

    fn read(&self, mut answer: Answer) -> Result<Response, Error> {
        let codings = texts(answer.headers(), header::CONTENT_ENCODING);
        let coding = Coding::of_response(&codings, &texts(answer.headers(), header::TRANSFER_ENCODING));
        let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
        let length = answer.body().content_length();
        let too_large = || Error::TooLarge(format!("a response body above {MAX_BODY} bytes"));
        if length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut reader = answer.body_mut().as_reader();
        match coding {
            Err(why) => match reader.read(&mut [0]) {
                // Nothing is nothing in any coding.
                Ok(0) => Ok(Response::new(Vec::new())),
                Ok(_) => Err(Error::Broken(why)),
                Err(e) => Err(self.exchange.failure(e)),
            },
            Ok(None) => {
                // It grows with what comes, not by what the peer says will come.
                let mut body = Vec::new();
                match reader.take(limit + 1).read_to_end(&mut body) {
                    Ok(_) if body.len() > MAX_BODY => Err(too_large()),
                    Ok(_) => Ok(Response::new(body)),
                    Err(e) => Err(self.exchange.failure(e)),
                }
            }
            Ok(Some(coding)) => match coding.decompress(&mut reader, DECODED) {
                Ok(body) => Ok(Response::new(body)),
                Err(e) if e.kind() == ErrorKind::FileTooLarge => Err(Error::TooLarge(e.to_string())),
                Err(e) => Err(self.exchange.failure(e)),
            },
        }
    }
}

/// A POST under way.
struct Post<'a> {
    body: Body<'a>,
    coding: Option<Coding>,
    clock_set: bool,
    cookies: &'a mut Jar,
}

impl Request for Post<'_> {
    fn method(&self) -> &'static str {
        "POST"
    }

    /// T-22, T-23
    fn follows(&self) -> &'static [u16] {
        &[302, 307]
    }

    fn send(&mut self, agent: &Agent, head: &Head<'_>) -> Result<Answer, ureq::Error> {
        let mut request = head.onto(agent.post(head.url.to_string()));
        if let Some(value) = self.cookies.header(head.url) {
            request = request.header_raw("Cookie", value.as_bytes());
        }
        if !matches!(self.body, Body::Empty) {
            request =
                request.header_raw("SOAPAction", b"").header_raw("Content-Type", b"text/xml; charset=utf-8");
        }
        if let Some(coding) = self.coding {
            request = request.header_raw("Accept-Encoding", coding::ACCEPTED.as_bytes());
            if !matches!(self.body, Body::Empty) {
                request = request.header_raw("Content-Encoding", coding.name().as_bytes());
            }
        }
        match &mut self.body {
            Body::Empty => request.header_raw("Content-Length", b"0").send_empty(),
            Body::Whole(bytes) => {
                let length = bytes.len().to_string();
                request.header_raw("Content-Length", length.as_bytes()).send(&**bytes)
            }
            Body::Stream(pieces) => {
                let plain = PieceReader { pieces: &mut **pieces, piece: io::Cursor::default(), ended: false };
                let mut reader: Box<dyn Read> = match self.coding {
                    Some(coding) => coding.compressing(plain),
                    None => Box::new(plain),
                };
                request
                    .header_raw("Transfer-Encoding", b"chunked")
                    .send(ureq::SendBody::from_reader(&mut reader))
            }
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        match &mut self.body {
            Body::Stream(pieces) => pieces.rewind(),
            Body::Empty | Body::Whole(_) => Ok(()),
        }
    }

    fn head_came(&mut self, from: &Url, headers: &HeaderMap) {
        let date = date(headers, self.clock_set);
        for text in texts(headers, header::SET_COOKIE) {
            self.cookies.store(&text, from, date);
        }
    }
}

/// What time it is for the ACS, in seconds since 1970, or else for us when our clock is believed.
fn date(headers: &HeaderMap, clock_set: bool) -> Option<i64> {
    let said = texts(headers, header::DATE).first().and_then(|text| cookies::parse_date(text));
    said.or_else(|| clock_set.then(|| clock::now().wall))
}

/// A streamed body as ureq reads it.
struct PieceReader<'a> {
    pieces: &'a mut dyn Pieces,
    piece: io::Cursor<Vec<u8>>,
    /// There is no further piece.
    ended: bool,
}

impl BufRead for PieceReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while !self.ended && self.piece.fill_buf()?.is_empty() {
            match self.pieces.next()? {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => self.ended = true,
            }
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.piece.consume(amount);
    }
}

impl Read for PieceReader<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(room)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// Seconds, given as such or as a date (C-33).
fn retry_after(headers: &HeaderMap, date: Option<i64>) -> Option<u32> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(seconds),
        // Digits alone that are no u32 are a wait beyond any bound.
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Some(u32::MAX),
        Err(_) => u32::try_from(cookies::parse_date(text)?.saturating_sub(date?)).ok(),
    }
}
