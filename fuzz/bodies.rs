//! What each fuzz target does with its bytes: something a peer (or a disk) could have sent, read by
//! the agent's own code, and what must hold afterwards. Plain functions without a fuzzer in them:
//! `fuzz_targets/` hands them to libFuzzer, `tests/mutations.rs` runs them in every test run.

#![allow(dead_code)] // each target uses one of them

use cwmpd::agent::control::{Line, Request};
use cwmpd::cwmp::rpc::{self, Body, Namespace};
use cwmpd::model::fault::{Code, Fault};
use cwmpd::model::path::{self, Path, Segment};
use cwmpd::model::{builtin, grammar};
use cwmpd::net::connection_request::{Credentials, Listener, Settings};
use cwmpd::net::cookies::{self, Jar};
use cwmpd::net::digest::{self, Answering};
use cwmpd::net::url::Url;
use cwmpd::soap::{reader, writer};
use cwmpd::state::journal::{Batch, Journal};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A message of the ACS: its lists are bounded, and an answer with its ID can be read again.
pub fn envelope(data: &[u8]) {
    let Ok(envelope) = reader::read(data) else {
        return;
    };
    let entries = match &envelope.body {
        Body::Request(rpc::Request::SetParameterValues { list, .. }) => list.len(),
        Body::Request(rpc::Request::GetParameterValues { names }) => names.len(),
        Body::Request(rpc::Request::SetParameterAttributes { list }) => list.len(),
        _ => 0,
    };
    assert!(entries <= reader::MAX_ENTRIES);
    let id = envelope.id.as_deref();
    assert!(id.is_none_or(|id| id.len() <= reader::MAX_HEADER));
    let fault = Fault::new(Code::INVALID_ARGUMENTS, String::from_utf8_lossy(data));
    let namespace = envelope.namespace.unwrap_or(Namespace::V1_0);
    let answer = writer::fault(namespace, id, &fault);
    let again = reader::read(&answer).expect("our own fault can be read");
    assert!(matches!(&again.body, Body::Fault(f) if f.code == 9003));
    assert_eq!(again.id, envelope.id, "the ID comes back as it was");
}

/// Bytes on the connection-request port: an HTTP answer or none, and never a session for somebody
/// who does not know the password.
pub fn connection_request(data: &[u8]) {
    thread_local! {
        static LISTENER: std::cell::RefCell<Listener> = {
            let credentials = Credentials { username: "acs".into(), password: "a secret".into() };
            let settings = Settings::new("/path".into(), credentials);
            Listener::bind(([127, 0, 0, 1], 0).into(), settings).expect("a port on loopback").into()
        };
    }
    LISTENER.with_borrow_mut(|listener| {
        let mut stream = TcpStream::connect(listener.local_address()).expect("a connection");
        stream.set_nonblocking(true).expect("a socket");
        let mut rest = data;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        let since = Instant::now();
        let mut closed = false;
        while !closed {
            match stream.write(rest) {
                Ok(n) if !rest.is_empty() => rest = &rest[n..],
                Err(e) if e.kind() != ErrorKind::WouldBlock => rest = &[],
                _ => {}
            }
            if rest.is_empty() {
                let _ = stream.shutdown(Shutdown::Write); // as often as one likes
            }
            assert_eq!(listener.turn(Instant::now()), 0, "a stranger was let in");
            match stream.read(&mut piece) {
                Ok(0) => closed = true,
                Ok(n) => answer.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => closed = true,
            }
            assert!(since.elapsed() < Duration::from_secs(20), "the peer is kept for ever");
        }
        if !answer.is_empty() {
            let status = answer.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or("");
            assert!(["400", "401", "404", "405", "431"].contains(&status), "{status}");
        }
    });
}

/// A `WWW-Authenticate` of the ACS: what we answer names the same nonce to whoever reads it.
pub fn digest_challenge(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for challenge in digest::parse(&text) {
        let Some(mut answering) = Answering::new(&challenge, "cnonce") else {
            continue;
        };
        let header = answering.authorization("user \"u\"", "a secret", "POST", "/x?y=z");
        assert!(!header.contains("a secret") || text.contains("a secret"));
        let [read] = &digest::parse(&header)[..] else { panic!("not one answer: {header}") };
        for name in ["nonce", "realm", "opaque"] {
            assert_eq!(read.get(name), challenge.get(name), "{name}");
        }
        assert_eq!(read.get("username"), Some("user \"u\""));
    }
}

/// Lines of `Set-Cookie`: the jar stays small, its header fits one line, and goes to its host only.
pub fn set_cookie(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let url = Url::parse("https://acs.isp.example/cwmp/in").expect("a URL");
    let other = Url::parse("https://elsewhere.invalid/cwmp/in").expect("a URL");
    let mut jar = Jar::default();
    for line in text.split('\n') {
        jar.store(line, &url, Some(1_767_225_600));
        let _ = cookies::parse_date(line);
        if let Some(header) = jar.header(&url) {
            assert!(header.len() <= cookies::MAX_COOKIES_SIZE + 3 * cookies::MAX_COOKIES);
            assert!(header.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')));
        }
        assert_eq!(jar.header(&other), None);
    }
}

/// A URL and, on the lines behind it, Locations: what is taken can be written in a request line and
/// read again, and the configuration takes nothing that the client does not.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or("");
    let parsed = Url::parse(first);
    if Url::of_acs(first).is_ok() {
        assert!(parsed.is_ok(), "the configuration takes it, the client does not: {parsed:?}");
    }
    let Ok(mut url) = parsed else { return };
    sound(&url);
    for line in lines {
        if let Ok(next) = url.join(line) {
            sound(&next);
            url = next;
        }
    }
}

fn sound(url: &Url) {
    assert!(url.target.starts_with('/') && url.target.bytes().all(|b| b.is_ascii_graphic()));
    assert!(
        !url.host.is_empty() && url.port != 0 && !url.to_string().contains('@') || url.target.contains('@')
    );
    let text = url.to_string();
    // Encoding makes a long one longer, and then it is refused by its length alone.
    match Url::parse(&text) {
        Ok(again) => assert_eq!(again, *url),
        Err(why) => assert!(text.len() > cwmpd::net::url::MAX_URL, "{text}: {why}"),
    }
}

/// A path: put together from its words it is itself again.
pub fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // As an Alias: what can stand in a path comes out of it as it went in.
    if path::is_addressable(&text) {
        let row = format!("Device.X.[{text}].Y");
        let read = Path::parse(&row).map(|p| p.segments.get(2) == Some(&Segment::Alias(&text)));
        assert!(matches!(read, Ok(true) | Err("longer than 256 characters")), "{read:?}");
    }
    let Ok(path) = Path::parse(&text) else { return };
    let again = path.to_string();
    assert_eq!(again, text);
    assert_eq!(Path::parse(&again), Ok(path));
}

/// A journal file as a disk could give it back: what is read is kept by the next start, and so is
/// what is written behind it.
pub fn journal(data: &[u8]) {
    thread_local! {
        static FOLDER: Scratch = Scratch::new();
    }
    FOLDER.with(|folder| {
        let dir = &folder.0;
        let _ = std::fs::remove_file(dir.join("journal.damaged"));
        std::fs::write(dir.join("journal"), data).expect("a file");
        let mut journal = Journal::open(dir).expect("nobody else has it");
        let mut batch = Batch::default();
        batch.put("k", "what was promised");
        journal.commit(batch).expect("a folder of ours");
        let before = all(&journal);
        drop(journal);
        let journal = Journal::open(dir).expect("nobody else has it");
        assert_eq!(journal.health(), None, "damage is told once and then put right");
        assert_eq!(all(&journal), before);
        assert_eq!(journal.text("k"), Some("what was promised"));
    });
}

fn all(journal: &Journal) -> Vec<(String, Vec<u8>)> {
    journal.scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect()
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        // In memory where there is such a place: every start of a journal waits for the disk.
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
        let dir = base.join(format!("cwmpd-fuzz-journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An overlay file: refused with a line and a reason, or built into the tables.
pub fn overlay(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let options = grammar::Options { natives: &[], prefix: builtin::VENDOR_PREFIX, overlay: true };
    let (mut specs, mut problems) = (Vec::new(), Vec::new());
    grammar::read("x.toml", text, &options, &mut specs, &mut problems);
    assert!(problems.iter().all(|p| !p.reason.is_empty()));
    if !problems.is_empty() || specs.is_empty() {
        return;
    }
    let mut rows = grammar::unpack(&builtin::builtin(), "built in");
    rows.extend(specs);
    if let Err(problems) = grammar::build(rows) {
        assert!(!problems.is_empty());
    }
}

/// A line on the control socket, read on a stack as small as the daemon's.
pub fn control(data: &[u8]) {
    // What a shell reads of the daemon, on its own stack.
    let _ = serde_json::from_slice::<Line>(data);
    let body = || {
        if let Ok(request) = Request::read(&mut &*data) {
            let mut line = serde_json::to_vec(&request).expect("a request is JSON");
            line.push(b'\n');
            // Escapes may make it longer than may be sent.
            if let Ok(again) = Request::read(&mut &line[..]) {
                assert_eq!(again, request);
            }
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, body);
        if let Err(panic) = thread.expect("a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}
