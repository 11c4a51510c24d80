//! One ACS session's HTTP client: one connection, continued on a new one when the ACS closes it;
//! Digest and Basic, cookies, redirects, deadlines. Blocking, but every wait can be woken.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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

/// The largest response body that is read.
pub const MAX_BODY: usize = 2 * 1024 * 1024 + 64 * 1024;

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
    Status { code: u16, retry_after: Option<u32> },
    /// A deadline passed; the text says which.
    Timeout(&'static str),
    /// A body or head beyond a limit.
    TooLarge(String),
    /// The peer does not speak HTTP, or the connection broke.
    Broken(String),
    /// The wait was woken: the agent stops.
    Woken,
}

/// The client of one session.
pub struct Client {}

impl Client {
    /// Prepares a session; connects at the first POST. `wake` is the read end of a pipe: as soon as
    /// it is readable (or closed) every wait ends with [`Error::Woken`].
    pub fn new(_options: Options, _wake: std::os::fd::OwnedFd) -> Result<Client, Error> {
        todo!()
    }

    /// Sends one POST and reads its answer; answers challenges (S-11 to S-20), follows redirects
    /// (T-22 to T-30), keeps cookies (T-19, T-20).
    pub fn post(&mut self, _body: Body<'_>) -> Result<Response, Error> {
        todo!()
    }

    /// The local address of the last connection: what the connection-request URL shows.
    pub fn local_address(&self) -> Option<SocketAddr> {
        todo!()
    }
}
