//! A file server that misbehaves as it is told, for tests of transfers and for the quickstart:
//!
//! ```ignore
//! let files = Files::start();
//! let url = files.put("/image", b"...");
//! files.next("/image", Manner::BreakOff(1000)); // the first GET; the second is a good one
//! // ... a transfer from `url` ...
//! assert_eq!(files.count("GET", "/image"), 2);
//! ```
//!
//! It records every request. Nothing in it waits by the clock but a manner that says so: a [`Manner::Gate`]
//! holds a transfer at a byte until the test opens it.

// each program that has this module uses a part of it
#![allow(dead_code, unused_imports)]

mod answer;
mod server;

use crate::acs::{Authentication, Identity, Tls};
use server::{Entry, Server};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How one request for a path is answered. Byte counts are of the content (of an upload: of its body).
#[derive(Clone, Debug)]
pub enum Manner {
    /// As it should be: with ETag, Content-Length and, where it is asked for, a part (206).
    Good,
    /// This status with a short page.
    Status(u16),
    /// This status to this Location.
    Redirect(u16, String),
    /// 401, whatever the client answers.
    Refuse(Authentication),
    /// The connection is closed after so many bytes, before the promised length.
    BreakOff(u64),
    /// The connection is reset after so many bytes.
    Reset(u64),
    /// No more is sent after so many bytes, and the client may go on sending.
    HalfClose(u64),
    /// After so many bytes nothing more comes, and the connection stays.
    Silent(u64),
    /// Silent from the first byte: not even a head.
    Mute,
    /// One byte each so often.
    Trickle(Duration),
    /// After so many bytes it waits for [`Files::open`].
    Gate(u64),
    /// Content-Length says so much more than there is (less, when negative); then the connection is closed.
    Length(i64),
    /// No length: the end of the connection is the end of the content.
    NoLength,
    /// In chunks of this size.
    Chunks(usize),
    /// Compressed with gzip, which nobody asked for.
    Gzip,
    /// 206 whatever was asked for, with this Content-Range and this content.
    Part(String, Vec<u8>),
    /// The whole with 200, also where a part was asked for.
    Whole,
}

/// One request, as it was seen.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts the TCP connections from 1.
    pub connection: usize,
    /// `GET`, `PUT`.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names as they were written.
    pub headers: Vec<(String, String)>,
    /// What came with it.
    pub body: Vec<u8>,
    /// The status of the answer; 0 as long as there is none.
    pub status: u16,
    /// Bytes of content that were sent.
    pub sent: u64,
}

impl Request {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// The running server; it stops when it is dropped.
pub struct Files {
    server: Server,
}

impl Files {
    /// http on loopback.
    pub fn start() -> Files {
        Files { server: Server::start(None) }
    }

    /// https, with certificates made on the spot.
    pub fn with_tls(tls: &Tls) -> Files {
        Files { server: Server::start(Some(tls)) }
    }

    /// The certificates of an https server.
    pub fn identity(&self) -> &Identity {
        self.server.identity.as_ref().expect("a server with TLS")
    }

    /// The absolute URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.server.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.server.address)
    }

    /// Puts a file there, with good manners and an ETag of its own; gives its URL.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) -> String {
        let content = content.into();
        self.server.shared.change(|state| {
            state.versions += 1;
            let etag = Some(format!("\"v{}\"", state.versions));
            state
                .entries
                .insert(path.to_string(), Entry { content: content.into(), etag, ..Entry::default() });
        });
        self.url(path)
    }

    /// Its validator from now on: `"strong"`, `W/"weak"`, or none.
    pub fn etag(&self, path: &str, etag: Option<&str>) {
        self.entry(path, |entry| entry.etag = etag.map(str::to_string));
    }

    /// One request is answered in this way; several come one after the other.
    pub fn next(&self, path: &str, manner: Manner) {
        self.entry(path, |entry| entry.next.push_back(manner));
    }

    /// Every request is answered in this way, when nothing else is said of it.
    pub fn always(&self, path: &str, manner: Manner) {
        self.entry(path, |entry| entry.always = manner);
    }

    /// A path that asks for a username and password.
    pub fn protect(&self, path: &str, asked: Authentication, username: &str, password: &str) {
        let protection = (asked, username.to_string(), password.to_string());
        self.entry(path, |entry| entry.protection = Some(protection));
    }

    /// What was uploaded there, when an upload came whole.
    pub fn uploaded(&self, path: &str) -> Option<Vec<u8>> {
        self.server.shared.state().uploaded.get(path).cloned()
    }

    /// Opens the gates of a path, those at which a request waits and those to come.
    pub fn open(&self, path: &str) {
        self.entry(path, |entry| entry.open = true);
    }

    /// Whether a request waits at a gate of this path now.
    pub fn at_gate(&self, path: &str) -> bool {
        self.server.shared.state().entries.get(path).is_some_and(|e| e.waiting > 0)
    }

    /// Waits until a request waits at a gate (or in silence) of this path.
    #[track_caller]
    pub fn wait_at_gate(&self, path: &str, deadline: Duration) {
        let look = |state: &mut server::State| state.entries.get(path).filter(|e| e.waiting > 0).map(drop);
        self.wait(&format!("request at the gate of {path}"), deadline, look);
    }

    /// Waits for so many requests of a method for a path, answered to their end or not.
    #[track_caller]
    pub fn wait_for(&self, method: &str, path: &str, count: usize, deadline: Duration) {
        let look = |state: &mut server::State| (state.count(method, path) >= count).then_some(());
        self.wait(&format!("{method} number {count} of {path}"), deadline, look);
    }

    /// How many requests of a method came for a path.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.server.shared.state().count(method, path)
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.shared.state().requests.clone()
    }

    /// What was asked of one path.
    pub fn requests_of(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|r| r.path() == path).collect()
    }

    /// TCP connections that came, those too that asked nothing.
    pub fn connections(&self) -> usize {
        self.server.shared.state().connections
    }

    fn entry(&self, path: &str, change: impl FnOnce(&mut Entry)) {
        self.server.shared.change(|state| change(state.entries.entry(path.to_string()).or_default()));
    }

    #[track_caller]
    fn wait(&self, what: &str, deadline: Duration, look: impl FnMut(&mut server::State) -> Option<()>) {
        if self.server.shared.wait(deadline, look).is_none() {
            let asked = self.requests();
            let tail: Vec<String> =
                asked.iter().map(|r| format!("{} {} {}", r.method, r.target, r.status)).collect();
            panic!("no {what} within {deadline:?}: {tail:?}");
        }
    }
}

/// A port of loopback at which nobody listens, as long as this lives.
pub struct Refused {
    _socket: OwnedFd,
    port: u16,
}

impl Refused {
    /// Takes one.
    pub fn take() -> Refused {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
        use std::os::fd::AsRawFd;
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let socket = socket.expect("a socket");
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
        let port = getsockname::<SockaddrIn>(socket.as_raw_fd()).expect("bound").port();
        Refused { _socket: socket, port }
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
