//! One ACS session's HTTP client: one connection, continued on a new one when the ACS closes it;
//! Digest and Basic, cookies, redirects, deadlines. Blocking, but every wait can be woken.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{HeaderMap, StatusCode, header};

use super::buffer::{BUFFER, MAX_HEAD};
use super::coding::{self, Coding, Limits};
use super::connector::{Handover, NoLookup, Opener};
use super::cookies::{self, Jar};
use super::credentials::Credentials;
use super::line::{Note, Shared};
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

/// Why an exchange failed; the text is for log and `status` and names the phase. Never holds a
/// credential.
#[derive(Debug)]
pub enum Error {
    /// The URL is not one the agent can use.
    Url(String),
    /// The CA file, certificate or key cannot be used.
    Credentials(String),
    /// Name lookup failed.
    Resolve(String),
    /// No TCP connection.
    Connect(String),
    /// No TLS: handshake, certificate, host name (S-5, S-6, S-10).
    Tls(String),
    /// The ACS refused our credentials, or asked in a way we do not answer (S-12, S-18).
    Authentication(String),
    /// Too many redirects, one without a usable Location, or one from https to http (T-25, T-28, T-30).
    Redirect(String),
    /// Another HTTP status (T-10, T-31); `retry_after` in seconds when the ACS asked for it (C-33).
    Status {
        /// The status code.
        code: u16,
        /// The request's body was compressed: perhaps the ACS cannot read it (T-33).
        compressed: bool,
        /// Seconds.
        retry_after: Option<u32>,
        /// The beginning of what it said about it in plain words; often the only hint.
        text: String,
    },
    /// A deadline passed; the text says which.
    Timeout(&'static str),
    /// A body or head beyond a limit.
    TooLarge(String),
    /// The peer does not speak HTTP, or the connection broke.
    Broken(String),
    /// The wait was woken: the agent stops.
    Woken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Url(text) => write!(f, "the URL of the ACS: {text}"),
            Error::Credentials(text) => write!(f, "credentials: {text}"),
            Error::Resolve(text) => write!(f, "name lookup: {text}"),
            Error::Connect(text) => write!(f, "TCP: {text}"),
            Error::Tls(text) => write!(f, "TLS: {text}"),
            Error::Authentication(text) => write!(f, "authentication: {text}"),
            Error::Redirect(text) => write!(f, "redirect: {text}"),
            Error::Status { code, text, .. } if text.is_empty() => {
                write!(f, "the ACS answered with HTTP status {code}")
            }
            Error::Status { code, text, .. } => {
                write!(f, "the ACS answered with HTTP status {code}: {text}")
            }
            Error::Timeout(phase) => write!(f, "deadline passed: {phase}"),
            Error::TooLarge(text) => write!(f, "too large: {text}"),
            Error::Broken(text) => write!(f, "HTTP: {text}"),
            Error::Woken => f.write_str("the agent stops"),
        }
    }
}

impl std::error::Error for Error {}

/// How far a session came toward the ACS, in this order. Who changed the way to the ACS learns from it
/// whether the way is at fault: from [`Reached::Refused`] on it is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Reached {
    /// Nothing: perhaps the name has no address, perhaps nobody was asked for it.
    #[default]
    Nothing,
    /// There was an address for the name; nobody answered there.
    Resolved,
    /// TCP, and then silence where TLS should have been.
    Tcp,
    /// The other end answered and refused: a reset, a TLS alert, a certificate that is no good.
    Refused,
    /// A whole connection: TCP, and TLS where the URL is https.
    Connected,
    /// HTTP: the status of the last response.
    Answered(u16),
}

/// The most redirects in a row that are followed (T-25).
pub const MAX_REDIRECTS: u32 = 5;
/// The most headers of a response; more fail the session. (ureq itself stops at 128.)
pub const MAX_HEADERS: usize = 100;
/// The most of a challenge's or redirect's own body that is read to keep the connection.
const MAX_IGNORED: u64 = 64 * 1024;
/// The most of an error's body that is told.
const MAX_WORDS: usize = 96;

/// The client of one session.
pub struct Client {
    options: Options,
    shared: Arc<Shared>,
    opener: Opener,
    agent: Agent,
    /// Where POSTs go: after a redirect, the new place for the rest of the session (T-24).
    url: Url,
    cookies: Jar,
    credentials: Credentials,
    local_address: Option<SocketAddr>,
    acs_address: Option<SocketAddr>,
    /// How long a response may take: the configuration's time, or what the ACS said (T-8).
    response: Duration,
}

/// What the ACS answered, its body not yet read.
type Answer = ureq::http::Response<ureq::Body>;

impl Client {
    /// Prepares a session; connects at the first POST or by [`Client::open`]. `wake` is the read end of a pipe: as soon as
    /// it is readable (or closed) every wait ends with [`Error::Woken`].
    pub fn new(options: Options, wake: OwnedFd) -> Result<Client, Error> {
        let url = Url::parse(&options.url).map_err(|why| Error::Url(why.to_string()))?;
        if !options.user_agent.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(Error::Credentials("the user agent's name is not ASCII".to_string()));
        }
        let credentials = Credentials::new(&options, url.https)?;
        let shared = Arc::new(Shared::new(wake, options.timeouts));
        let mut opener = Opener::new(&options, Arc::clone(&shared));
        if url.https {
            opener.prepare_tls(&options)?;
        }
        let handover = Handover(Arc::clone(&shared));
        Ok(Client {
            agent: Agent::with_parts(settings(&options), handover, NoLookup),
            response: options.timeouts.response,
            options,
            shared,
            opener,
            url,
            cookies: Jar::default(),
            credentials,
            local_address: None,
            acs_address: None,
        })
    }

    /// Connects ahead of the first POST, which may want to tell our own address.
    pub fn open(&mut self) -> Result<(), Error> {
        self.connect()
    }

    /// The ACS says how long to wait for its responses in this session (T-8).
    pub fn wait_for_responses(&mut self, wait: Duration) {
        self.response = wait;
    }

    /// Sends one POST and reads its answer; answers challenges (S-11 to S-20), follows redirects
    /// (T-22 to T-30), keeps cookies (T-19, T-20).
    pub fn post(&mut self, body: Body<'_>) -> Result<Response, Error> {
        let compressed;
        let mut body = match (self.options.compression, body) {
            (Some(coding), Body::Whole(bytes)) => {
                compressed = coding.compress(bytes).map_err(rendering)?;
                Body::Whole(&compressed)
            }
            (_, Body::Whole(bytes)) => Body::Whole(bytes),
            (_, Body::Stream(pieces)) => Body::Stream(pieces),
            (_, Body::Empty) => Body::Empty,
        };
        self.credentials.begin();
        let mut redirects = 0;
        loop {
            let answer = self.exchange(&mut body)?;
            match answer.status() {
                StatusCode::OK | StatusCode::NO_CONTENT => return self.read(answer),
                StatusCode::UNAUTHORIZED => {
                    let challenges = texts(answer.headers(), header::WWW_AUTHENTICATE);
                    self.credentials.challenged(&self.url, &challenges)?;
                    self.ignore(answer)?;
                }
                StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT => {
                    redirects += 1;
                    let target = self.target(answer.headers(), redirects)?;
                    self.ignore(answer)?;
                    log::info!("the ACS redirects to {}://{}", target.scheme(), target.authority());
                    if target.https {
                        self.opener.prepare_tls(&self.options)?;
                    }
                    self.url = target;
                }
                other => {
                    return Err(Error::Status {
                        code: other.as_u16(),
                        compressed: self.options.compression.is_some() && !matches!(body, Body::Empty),
                        retry_after: retry_after(answer.headers(), self.date(answer.headers())),
                        text: self.words(answer),
                    });
                }
            }
            if let Body::Stream(pieces) = &mut body {
                pieces.rewind().map_err(rendering)?;
            }
        }
    }

    /// How far the session has come until now.
    pub fn reached(&self) -> Reached {
        self.shared.reached()
    }

    /// The local address of the last connection: what the connection-request URL shows.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// The ACS's end of it.
    pub fn acs_address(&self) -> Option<SocketAddr> {
        self.acs_address
    }

    /// One request and the head of its response, on the connection at hand if there is one. When
    /// that turns out to be dead before anything was answered, once more on a new one (T-4).
    fn exchange(&mut self, body: &mut Body<'_>) -> Result<Answer, Error> {
        let mut fresh = self.shared.note().ready.is_some();
        loop {
            self.shared.check()?;
            let result = self.send(body);
            let (failure, broken, received, wanted) = {
                let mut note = self.shared.note();
                note.ready = None;
                (note.failure.take(), note.broken, note.received, note.wanted)
            };
            let error = match result {
                Ok(answer) if answer.headers().len() > MAX_HEADERS => {
                    return Err(Error::TooLarge(format!("a response with more than {MAX_HEADERS} headers")));
                }
                Ok(answer) => {
                    self.shared.came(Reached::Answered(answer.status().as_u16()));
                    self.note_head(answer.headers());
                    return Ok(answer);
                }
                Err(_) if wanted && !fresh => {
                    self.credentials.take_back(&self.url);
                    self.connect()?;
                    fresh = true;
                    continue;
                }
                Err(error) => error,
            };
            if !broken || received || fresh {
                return Err(failure.unwrap_or_else(|| plain(error)));
            }
            log::debug!("the ACS has closed the connection: the request is sent again");
            if let Body::Stream(pieces) = body {
                pieces.rewind().map_err(rendering)?;
            }
            self.connect()?;
            fresh = true;
        }
    }

    fn connect(&mut self) -> Result<(), Error> {
        let line = self.opener.open(&self.url)?;
        (self.local_address, self.acs_address) = (line.local_address(), line.peer_address());
        self.shared.note().ready = Some(line);
        self.credentials.new_connection()
    }

    fn send(&mut self, body: &mut Body<'_>) -> Result<Answer, ureq::Error> {
        let ready = self.shared.note().ready.take();
        *self.shared.note() = Note { ready, ..Default::default() };
        let mut request = self
            .agent
            .post(self.url.to_string())
            .config()
            .timeout_recv_response(Some(self.response))
            .build()
            .header_raw("Host", self.url.authority().as_bytes())
            .header_raw("User-Agent", self.options.user_agent.as_bytes());
        if let Some(value) = self.credentials.header(&self.url) {
            request = request.header_raw("Authorization", value.as_bytes());
        }
        if let Some(value) = self.cookies.header(&self.url) {
            request = request.header_raw("Cookie", value.as_bytes());
        }
        if !matches!(body, Body::Empty) {
            request =
                request.header_raw("SOAPAction", b"").header_raw("Content-Type", b"text/xml; charset=utf-8");
        }
        if let Some(coding) = self.options.compression {
            request = request.header_raw("Accept-Encoding", coding::ACCEPTED.as_bytes());
            if !matches!(body, Body::Empty) {
                request = request.header_raw("Content-Encoding", coding.name().as_bytes());
            }
        }
        match body {
            Body::Empty => request.header_raw("Content-Length", b"0").send_empty(),
            Body::Whole(bytes) => {
                let length = bytes.len().to_string();
                request.header_raw("Content-Length", length.as_bytes()).send(&**bytes)
            }
            Body::Stream(pieces) => {
                let plain = PieceReader { pieces: &mut **pieces, piece: io::Cursor::default(), ended: false };
                let mut reader: Box<dyn Read> = match self.options.compression {
                    Some(coding) => coding.compressing(plain),
                    None => Box::new(plain),
                };
                request
                    .header_raw("Transfer-Encoding", b"chunked")
                    .send(ureq::SendBody::from_reader(&mut reader))
            }
        }
    }

    fn note_head(&mut self, headers: &HeaderMap) {
        let date = self.date(headers);
        for text in texts(headers, header::SET_COOKIE) {
            self.cookies.store(&text, &self.url, date);
        }
        for text in texts(headers, header::HeaderName::from_static("authentication-info")) {
            self.credentials.next_nonce(&self.url, &text);
        }
    }

    /// What time it is for the ACS, in seconds since 1970, or else for us when our clock is believed.
    fn date(&self, headers: &HeaderMap) -> Option<i64> {
        let said = texts(headers, header::DATE).first().and_then(|text| cookies::parse_date(text));
        said.or_else(|| self.options.clock_set.then(|| clock::now().wall))
    }

    /// Where a redirect leads (T-25, T-28, T-30).
    fn target(&self, headers: &HeaderMap, redirects: u32) -> Result<Url, Error> {
        let refused = |why: &str| Error::Redirect(format!("{} {why}", self.url.host));
        if redirects > MAX_REDIRECTS {
            return Err(refused(&format!("leads to more than {MAX_REDIRECTS} redirects in a row")));
        }
        let locations = texts(headers, header::LOCATION);
        let location = locations
            .first()
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| refused("gives no Location"))?;
        let target = self
            .url
            .join(location)
            .map_err(|why| refused(&format!("gives a Location that is no use: {why}")))?;
        if self.url.https && !target.https {
            return Err(refused("leads from https to http"));
        }
        Ok(target)
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
                Err(e) => Err(self.failure(e)),
            },
            Ok(None) => {
                // It grows with what comes, not by what the peer says will come.
                let mut body = Vec::new();
                match reader.take(limit + 1).read_to_end(&mut body) {
                    Ok(_) if body.len() > MAX_BODY => Err(too_large()),
                    Ok(_) => Ok(Response::new(body)),
                    Err(e) => Err(self.failure(e)),
                }
            }
            Ok(Some(coding)) => match coding.decompress(&mut reader, DECODED) {
                Ok(body) => Ok(Response::new(body)),
                Err(e) if e.kind() == ErrorKind::FileTooLarge => Err(Error::TooLarge(e.to_string())),
                Err(e) => Err(self.failure(e)),
            },
        }
    }

    /// The first words of an error's body, when they are plain ASCII and no page of markup.
    fn words(&self, mut answer: Answer) -> String {
        let mut body = [0; MAX_WORDS];
        let mut length = 0;
        let mut reader = answer.body_mut().as_reader();
        while let Some(room) = body.get_mut(length..).filter(|room| !room.is_empty()) {
            // A body that breaks off says as much as came.
            match reader.read(room) {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        let text = body.get(..length).unwrap_or(&[]).trim_ascii();
        let line = text.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or(&[]);
        match std::str::from_utf8(line) {
            Ok(line) if !line.starts_with('<') && line.bytes().all(|b| matches!(b, b' '..=b'~')) => {
                line.to_owned()
            }
            _ => String::new(),
        }
    }

    /// Reads a body that nobody wants, so that its connection can be used again (T-5).
    fn ignore(&self, mut answer: Answer) -> Result<(), Error> {
        let mut reader = answer.body_mut().as_reader().take(MAX_IGNORED + 1); // its end is seen too
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(e) => match self.failure(e) {
                // the next request goes by a new connection
                Error::Broken(_) => Ok(()),
                other => Err(other),
            },
        }
    }

    fn failure(&self, e: io::Error) -> Error {
        let failure = self.shared.note().failure.take();
        failure.unwrap_or_else(|| Error::Broken(format!("the response's body: {e}")))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // a connection that waits there holds the note itself
        self.shared.note().ready = None;
    }
}

fn settings(options: &Options) -> Config {
    Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_response_header_size(MAX_HEAD + BUFFER)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(options.timeouts.session)
        .build()
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

fn rendering(e: io::Error) -> Error {
    Error::Broken(format!("our own body cannot be rendered: {e}"))
}

/// The values of a header, as far as they are text.
fn texts(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let text = |v: &header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
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

/// An error of ureq's own, where the connection had none to tell.
fn plain(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(ureq::Timeout::RecvResponse) => Error::Timeout("waiting for the response"),
        ureq::Error::LargeResponseHeader(..) => Error::TooLarge("the head of a response".to_string()),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Broken("the ACS closed the connection without a response".to_string())
        }
        ureq::Error::Io(e) => rendering(e),
        ureq::Error::Protocol(e) => Error::Broken(format!("the response is malformed: {e}")),
        other => Error::Broken(other.to_string()),
    }
}
