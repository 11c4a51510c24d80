//! A small HTTP/1.1 server for tests, scripted at byte level: each request goes to a closure that
//! says which bytes to answer with, in what pieces, and what becomes of the connection then.
#![allow(dead_code)] // each test program uses a part of it

pub mod tls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use cwmpd::net::client::{Client, Options, Timeouts};
use cwmpd::net::digest;

/// The longest that any test waits for an event; only a failure lasts so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts the connections from 0.
    pub connection: usize,
    /// Request line and headers, byte for byte, with the empty line.
    pub head: String,
    /// Without its chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// `POST / HTTP/1.1`
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    /// Name and value of each header, as written.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.split("\r\n").skip(1).filter(|l| !l.is_empty());
        lines.map(|l| l.split_once(':').expect("a header has a colon"))
    }

    /// A header's value without the blanks around it; one that stands twice fails the test.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, v)| v.trim());
        assert!(found.next().is_none(), "{name} stands twice");
        value
    }

    /// The answer to a challenge.
    pub fn authorization(&self) -> Option<digest::Challenge> {
        Some(digest::parse(self.header("Authorization")?).remove(0))
    }

    /// Whether the request carries a right Digest answer of user `u` with password `p`.
    pub fn digest_is_right(&self, nonce: &str) -> bool {
        let Some(a) = self.authorization() else {
            return false;
        };
        let get = |name| a.get(name).unwrap_or("");
        let expected = digest::response(&digest::Inputs {
            algorithm: a.algorithm().expect("a known algorithm"),
            username: "u",
            realm: get("realm"),
            password: "p",
            nonce: get("nonce"),
            method: self.line().split(' ').next().expect("a method"),
            uri: self.line().split(' ').nth(1).expect("a target"),
            cnonce: get("cnonce"),
            nc: a.get("nc"),
        });
        a.scheme == "digest"
            && get("username") == "u"
            && get("nonce") == nonce
            && digest::same(get("response"), &expected)
    }
}

/// What to do with a request.
pub struct Reply {
    bytes: Vec<u8>,
    piece: usize,
    close: bool,
    hang: bool,
}

impl Reply {
    /// Exactly these bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { bytes: bytes.into(), piece: usize::MAX, close: false, hang: false }
    }

    /// A response with its length.
    pub fn status(status: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for header in headers {
            head += header;
            head += "\r\n";
        }
        head += "\r\n";
        Reply::raw([head.as_bytes(), body].concat())
    }

    /// 200 with a body.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::status("200 OK", &[], body.as_ref())
    }

    /// 204.
    pub fn empty() -> Reply {
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")
    }

    /// 401 with challenges, and a body that has to be skipped.
    pub fn challenge(challenges: &[&str]) -> Reply {
        let headers: Vec<String> = challenges.iter().map(|c| format!("WWW-Authenticate: {c}")).collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        Reply::status("401 Unauthorized", &headers, b"<html>who are you?</html>")
    }

    /// A redirect.
    pub fn redirect(status: &str, location: &str) -> Reply {
        Reply::status(status, &[&format!("Location: {location}")], b"over there")
    }

    /// Never answers.
    pub fn hang() -> Reply {
        Reply { hang: true, ..Reply::raw("") }
    }

    /// One header more.
    pub fn with_header(mut self, header: &str) -> Reply {
        let at = self.bytes.windows(2).position(|w| w == b"\r\n").expect("a status line");
        self.bytes.splice(at..at, format!("\r\n{header}").into_bytes());
        self
    }

    /// Without its last bytes.
    pub fn cut(mut self, bytes: usize) -> Reply {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    /// Closes the connection after the bytes.
    pub fn close(self) -> Reply {
        Reply { close: true, ..self }
    }

    /// Writes so many bytes at a time.
    pub fn pieces(self, piece: usize) -> Reply {
        Reply { piece, ..self }
    }
}

/// What a connection is to the server: TCP, or TLS over it.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The server; runs until it is dropped.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Request>>>,
    came: mpsc::Receiver<()>,
    stop: Arc<AtomicBool>,
}

impl Peer {
    /// A server that asks `script` what to do with each request.
    pub fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Peer {
        Peer::over(listener(), "http", |socket| Some(Box::new(socket)), script)
    }

    /// The same over TLS.
    pub fn start_tls(
        config: rustls::ServerConfig,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Peer {
        let config = Arc::new(config);
        let wrap = move |socket| {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
            let stream: Box<dyn Stream> = Box::new(tls::Closing(rustls::StreamOwned::new(tls, socket)));
            Some(stream)
        };
        Peer::over(listener(), "https", wrap, script)
    }

    /// The same on a listener that is there already.
    pub fn over(
        listener: TcpListener,
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Peer {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (sender, came) = mpsc::channel();
        let script = Arc::new(Mutex::new(script));
        let log = Arc::clone(&requests);
        Peer::accept(listener, scheme, requests, came, move |connection, socket| {
            let Some(mut stream) = wrap(socket) else {
                return;
            };
            while let Some(request) = read_request(&mut *stream, connection) {
                log.lock().expect("log").push(request.clone());
                let _ = sender.send(());
                let reply = (script.lock().expect("script"))(&request);
                for piece in reply.bytes.chunks(reply.piece.max(1)) {
                    if stream.write_all(piece).and_then(|()| stream.flush()).is_err() {
                        return;
                    }
                }
                if reply.hang {
                    // until the client goes away
                    let _ = stream.read(&mut [0]);
                }
                if reply.close || reply.hang {
                    return;
                }
            }
        })
    }

    /// A server that leaves each connection to `handle`, with its number.
    pub fn raw(handle: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Peer {
        let (_, came) = mpsc::channel();
        Peer::accept(listener(), "http", Arc::default(), came, handle)
    }

    fn accept(
        listener: TcpListener,
        scheme: &'static str,
        requests: Arc<Mutex<Vec<Request>>>,
        came: mpsc::Receiver<()>,
        handle: impl Fn(usize, TcpStream) + Send + Sync + 'static,
    ) -> Peer {
        let address = listener.local_addr().expect("address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handle = Arc::new(handle);
        std::thread::spawn(move || {
            for (number, socket) in listener.incoming().enumerate() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let socket = socket.expect("accept");
                socket.set_nodelay(true).expect("nodelay");
                socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
                socket.set_write_timeout(Some(PATIENCE)).expect("timeout");
                let handle = Arc::clone(&handle);
                std::thread::spawn(move || handle(number, socket));
            }
        });
        Peer { address, scheme, requests, came, stop }
    }

    /// Its URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What came in so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("log").clone()
    }

    /// Waits for the next request.
    pub fn wait_request(&self) {
        self.came.recv_timeout(PATIENCE).expect("a request");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // ends the accept
    }
}

/// On a free port of loopback.
pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Up to the empty line; `None` when the connection ends before.
pub fn read_head(stream: &mut dyn Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1..) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).expect("heads are ASCII"))
}

fn read_line(stream: &mut dyn Read) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).ok()
}

/// A whole request; `None` when the connection ends before.
pub fn read_request(stream: &mut dyn Read, connection: usize) -> Option<Request> {
    let head = read_head(stream)?;
    let mut request = Request { connection, head, body: Vec::new() };
    let length: usize = request.header("Content-Length").map_or(0, |l| l.parse().expect("length"));
    request.body.resize(length, 0);
    let mut body = std::mem::take(&mut request.body);
    stream.read_exact(&mut body).ok()?;
    if request.header("Transfer-Encoding") == Some("chunked") {
        loop {
            let size = usize::from_str_radix(&read_line(stream)?, 16).expect("a chunk size");
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..]).ok()?;
            assert_eq!(read_line(stream)?, "", "a chunk ends with its line");
            if size == 0 {
                break;
            }
        }
    }
    request.body = body;
    Some(request)
}

/// Options for a test: user `u`, password `p`, generous deadlines.
pub fn options(url: String) -> Options {
    Options {
        url,
        username: "u".into(),
        password: "p".into(),
        user_agent: "cwmpd/test".into(),
        clock_set: true,
        timeouts: Timeouts {
            connect: PATIENCE,
            response: PATIENCE,
            progress: PATIENCE,
            session: PATIENCE * 4,
        },
        ..Options::default()
    }
}

/// A client, and what wakes it when it is dropped or written to.
pub fn client(options: Options) -> (Client, UnixStream) {
    let (waker, wake) = UnixStream::pair().expect("a pair");
    (Client::new(options, wake.into()).expect("a client"), waker)
}
