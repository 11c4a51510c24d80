//! Files from and to a scripted file server: what is on the wire of group P of the rules.

mod peer;

#[path = "transfer/access.rs"]
mod access;
#[path = "transfer/bad_days.rs"]
mod bad_days;
#[path = "transfer/continuing.rs"]
mod continuing;
#[path = "transfer/disk.rs"]
mod disk;
#[path = "transfer/secrets.rs"]
mod secrets;
#[path = "transfer/sending.rs"]
mod sending;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use cwmpd::net::transfer::{Amounts, Failure, Got, Limits, Meter, Request, Tee, get};
use peer::{PATIENCE, Peer, Reply, options};

/// A folder of a test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("transfer-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    /// `1.file` in it.
    fn file(&self) -> PathBuf {
        self.0.join("1.file")
    }

    /// Names in it.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a tee saw.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    anew: u32,
}

impl Tee for Seen {
    fn anew(&mut self) {
        self.bytes.clear();
        self.anew += 1;
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// A request of user `u`, password `p`, with generous limits.
fn request(url: String) -> Request {
    let limits = Limits { max_bytes: 1 << 30, bytes_per_second: 0, silence: PATIENCE, whole: PATIENCE * 4 };
    Request { options: options(url), limits }
}

/// A file server that gives these replies in turn, and then none.
fn scripted(replies: impl IntoIterator<Item = Reply>) -> Peer {
    let mut replies: VecDeque<Reply> = replies.into_iter().collect();
    Peer::start(move |_| replies.pop_front().expect("no more than the scripted requests"))
}

/// What wakes nobody until it is dropped.
fn wake() -> (UnixStream, OwnedFd) {
    let (waker, wake) = UnixStream::pair().expect("a pair");
    (waker, wake.into())
}

/// What came of a fetch.
struct Fetched {
    result: Result<Got, Failure>,
    /// The file, when there is one.
    file: Option<Vec<u8>>,
    seen: Seen,
    meter: Amounts,
}

fn fetch_sized(request: Request, size: u64) -> Fetched {
    let (folder, meter, mut seen) = (Folder::new(), Meter::default(), Seen::default());
    let (_waker, wake) = wake();
    let result = get(request, size, &folder.file(), &meter, &mut seen, wake);
    let file = std::fs::read(folder.file()).ok();
    match &result {
        Ok(got) => {
            let file = file.as_ref().expect("the file");
            assert_eq!((got.bytes, file), (file.len() as u64, &seen.bytes));
            assert_eq!(folder.names(), ["1.file"]);
        }
        Err(_) => assert_eq!(folder.names(), Vec::<String>::new(), "nothing is left"),
    }
    Fetched { result, file, seen, meter: meter.read() }
}

fn fetch(request: Request) -> Fetched {
    fetch_sized(request, 0)
}

impl Fetched {
    fn file(self) -> Vec<u8> {
        self.result.expect("the file");
        self.file.expect("a file")
    }

    /// The code, and the text.
    fn fault(self) -> (u16, String) {
        fault(self.result)
    }
}

fn fault<T: std::fmt::Debug>(result: Result<T, Failure>) -> (u16, String) {
    match result {
        Err(Failure::Fault(fault) | Failure::Status(_, fault)) => (fault.code.0, fault.text),
        other => panic!("{other:?}"),
    }
}

/// One GET from a server with these replies.
fn one(replies: impl IntoIterator<Item = Reply>) -> (Fetched, Vec<peer::Request>) {
    let peer = scripted(replies);
    let fetched = fetch(request(peer.url("/f?token=sesame")));
    (fetched, peer.requests())
}

/// The fault has this code, and its text names this.
fn assert_fault(fetched: Fetched, code: u16, text: &str) {
    let (got, told) = fetched.fault();
    assert_eq!(got, code, "{told}");
    assert!(told.contains(text), "{told}");
    assert!(told.chars().count() <= 200 && !told.contains("sesame"), "{told}");
}

// Proves: X-29
#[test]
fn a_file_comes_whole() {
    let body: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let (fetched, requests) = one([Reply::ok(&body).pieces(9_999)]);
    assert_eq!(fetched.meter, Amounts { done: 1_000_000, expected: Some(1_000_000) });
    assert_eq!(fetched.seen.anew, 0);
    assert_eq!(fetched.file(), body);
    assert_eq!(requests[0].line(), "GET /f?token=sesame HTTP/1.1");
    let mut names: Vec<&str> = requests[0].headers().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["Accept", "Accept-Encoding", "Host", "User-Agent"]);
    assert_eq!(requests[0].header("Accept-Encoding"), Some("identity"));
}

// Proves
#[test]
fn chunks_no_length_and_nothing_at_all() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(one([Reply::raw(chunked)]).0.file(), b"abcde");
    let (fetched, _) = one([Reply::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end").close()]);
    assert_eq!(fetched.meter, Amounts { done: 13, expected: None });
    assert_eq!(fetched.file(), b"until the end");
    assert_eq!(one([Reply::ok("")]).0.file(), b"");
    // where nothing else tells that it came whole the hint does
    for (size, code) in [(12, 0), (13, 0), (14, 9017)] {
        let peer = scripted([Reply::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end").close()]);
        let result = fetch_sized(request(peer.url("/")), size).result;
        assert_eq!(result.is_err(), code != 0, "{size}");
        if result.is_err() {
            assert_eq!(fault(result).0, code);
        }
    }
    // FileSize is a hint: a file that is larger or smaller is a file
    for size in [1, 4, 5, 1000] {
        let peer = scripted([Reply::ok("abcd")]);
        let fetched = fetch_sized(request(peer.url("/")), size);
        assert_eq!(fetched.meter, Amounts { done: 4, expected: Some(4) });
        assert_eq!(fetched.file(), b"abcd");
    }
}
