//! Digest in both directions, and the port that connection requests come to.

use cwmpd::net::connection_request::gate::{Answer, Gate};
use cwmpd::net::connection_request::head::{self, Scan};
use cwmpd::net::connection_request::{Algorithm, Credentials, Listener, Settings};
use cwmpd::net::digest::{self, Answering, Challenge, Inputs};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Bytes on the connection-request port: an HTTP answer or none, and never a session for somebody
/// who does not know the password.
pub fn connection_request(data: &[u8]) {
    thread_local! {
        static LISTENER: RefCell<Listener> = {
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

/// The head of a request: what was judged from its beginning holds for the whole, and nothing behind
/// it plays a part.
pub fn request_head(data: &[u8]) {
    let whole = head::scan(data);
    // Where the bytes are cut is the network's affair.
    let cut = data.iter().fold(data.len(), |n, b| n.wrapping_mul(31) ^ usize::from(*b)) % (data.len() + 1);
    match head::scan(&data[..cut]) {
        Scan::Partial => {}
        earlier => assert_eq!(earlier, whole),
    }
    if let Scan::Whole(head, length) = whole {
        assert!(length <= data.len());
        assert_eq!(head::scan(&data[..length]), Scan::Whole(head.clone(), length));
        assert_eq!(head::scan(&data[..length - 1]), Scan::Partial);
        assert!(head.target.bytes().all(|b| b.is_ascii_graphic()));
        let path = head::path(head.target);
        assert!(path.is_empty() || path.starts_with('/') && !path.contains('?'));
    }
}

const PATH: &str = "/path";
const USER: &str = "acs";
const PASSWORD: &str = "a secret";

/// An `Authorization`, in which `NONCE` stands for a nonce of ours and `RESPONSE` for the right one to
/// all the rest: nobody is let in who does not say the right things about the right place, and
/// nobody twice.
pub fn digest_answer(data: &[u8]) {
    let credentials = Credentials { username: USER.into(), password: PASSWORD.into() };
    let settings = Settings {
        algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
        ..Settings::new(PATH.into(), credentials)
    };
    let now = Instant::now();
    let mut gate = Gate::new(settings).expect("random numbers");
    let challenge = gate.write(Answer::Challenge { stale: false }, true, now);
    let challenge = String::from_utf8(challenge).expect("ASCII");
    let nonce = challenge.split("nonce=\"").nth(1).and_then(|t| t.split('"').next()).expect("a nonce");
    let text = String::from_utf8_lossy(data).replace("NONCE", nonce);
    if text.contains(['\r', '\n']) {
        return; // more than one header
    }
    let answer = with_response(&text);
    let request = format!("GET {PATH} HTTP/1.1\r\nAuthorization: {answer}\r\n\r\n");
    let Scan::Whole(head, _) = head::scan(request.as_bytes()) else { return };
    if gate.judge(&head, now) != Answer::Accepted {
        return;
    }
    let [read] = &digest::parse(&answer)[..] else { panic!("not one answer: {answer}") };
    assert_eq!((read.scheme.as_str(), read.get("username")), ("digest", Some(USER)));
    assert_eq!((read.get("nonce"), read.get("uri").map(head::path)), (Some(nonce), Some(PATH)));
    assert!(text.contains("RESPONSE"), "somebody knows the password: {answer}");
    assert_eq!(gate.judge(&head, now), Answer::Challenge { stale: true }, "a replay: {answer}");
}

/// The text with the right response to what it says.
fn with_response(text: &str) -> String {
    let right = |read: &Challenge| {
        let get = |name| read.get(name).unwrap_or("");
        Some(digest::response(&Inputs {
            algorithm: read.algorithm()?,
            username: get("username"),
            realm: get("realm"),
            password: PASSWORD,
            nonce: get("nonce"),
            method: "GET",
            uri: get("uri"),
            cnonce: get("cnonce"),
            nc: read.get("nc"),
        }))
    };
    let response = digest::parse(text).first().and_then(right).unwrap_or_default();
    text.replace("RESPONSE", &response)
}
