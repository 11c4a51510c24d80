//! The file server of the tests is tested itself, by a client that is a few lines of socket code.

use crate::acs::{Algorithm, Authentication, Tls};
use crate::files::{Files, Manner, Refused};
use crate::{SOON, client_config};
use cwmpd::net::digest;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const FILE: &[u8] = b"0123456789";

fn connect(url: &str) -> TcpStream {
    let host = url.split("//").nth(1).and_then(|u| u.split('/').next()).expect("a URL");
    let stream = TcpStream::connect(host).expect("the server listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// One request on a connection of its own; all that comes back, and whether it ended in order.
fn ask(url: &str, method: &str, headers: &str, body: &str) -> (String, bool) {
    let mut stream = connect(url);
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let request = format!("{method} /{path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let good = match stream.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
        Err(e) => panic!("{e}"),
    };
    (String::from_utf8_lossy(&answer).into_owned(), good)
}

fn get(url: &str, headers: &str) -> String {
    ask(url, "GET", headers, "").0
}

/// Status and content.
fn parts(answer: &str) -> (&str, &str) {
    (answer.get(9..12).unwrap_or_default(), answer.split_once("\r\n\r\n").map_or("", |(_, body)| body))
}

#[test]
fn files_whole_and_in_parts() {
    let files = Files::start();
    let url = files.put("/f", FILE);
    let whole = get(&url, "");
    assert_eq!(parts(&whole), ("200", "0123456789"));
    assert!(whole.contains("ETag: \"v1\"\r\n") && whole.contains("Content-Length: 10\r\n"), "{whole}");
    let part = get(&format!("{url}?q"), "Range: bytes=4-\r\nIf-Range: \"v1\"\r\n");
    assert_eq!(parts(&part), ("206", "456789"));
    assert!(part.contains("Content-Range: bytes 4-9/10\r\n"), "{part}");
    assert_eq!(parts(&get(&url, "Range: bytes=4-\r\nIf-Range: \"v0\"\r\n")).0, "200");
    assert_eq!(parts(&get(&url, "Range: bytes=10-\r\n")).0, "416");
    assert_eq!(parts(&get(&files.url("/g"), "")).0, "404");
    assert_eq!((files.count("GET", "/f"), files.count("GET", "/g")), (4, 1));
    let asked = files.requests_of("/f");
    assert_eq!((asked[1].target.as_str(), asked[1].header("range")), ("/f?q", Some("bytes=4-")));
    assert_eq!((asked[1].status, asked[1].sent, asked[0].connection), (206, 6, 1));
    let (answer, _) = ask(&files.url("/up"), "PUT", "Content-Length: 3\r\n", "abc");
    assert_eq!((parts(&answer).0, files.uploaded("/up").as_deref()), ("201", Some(&b"abc"[..])));
    let (answer, _) = ask(
        &files.url("/chunks"),
        "PUT",
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
        "2\r\nab\r\n0\r\n\r\n",
    );
    assert!(answer.contains("100 Continue") && answer.contains("201 Created"), "{answer}");
    assert_eq!(files.uploaded("/chunks").as_deref(), Some(&b"ab"[..]));
}

#[test]
fn manners_one_after_the_other() {
    let files = Files::start();
    let url = files.put("/f", FILE);
    let says = |manner: Manner| {
        files.next("/f", manner);
        let answer = get(&url, "");
        (parts(&answer).0.to_string(), parts(&answer).1.to_string(), answer)
    };
    assert_eq!(says(Manner::Status(503)).0, "503");
    assert!(says(Manner::Redirect(302, "/g".into())).2.contains("Location: /g\r\n"));
    assert_eq!(says(Manner::BreakOff(3)).1, "012");
    assert_eq!(says(Manner::HalfClose(4)).1, "0123");
    assert!(says(Manner::Length(5)).2.contains("Content-Length: 15\r\n"));
    assert!(says(Manner::Length(-5)).2.contains("Content-Length: 5\r\n"));
    let unsaid = says(Manner::NoLength);
    assert!(!unsaid.2.contains("Content-Length") && unsaid.1 == "0123456789", "{}", unsaid.2);
    assert_eq!(says(Manner::Chunks(7)).1, "7\r\n0123456\r\n3\r\n789\r\n0\r\n\r\n");
    assert_eq!(says(Manner::Trickle(Duration::ZERO)).1, "0123456789");
    assert!(says(Manner::Gzip).2.contains("Content-Encoding: gzip\r\n"));
    let other = says(Manner::Part("bytes 0-2/3".into(), b"abc".to_vec()));
    assert_eq!((other.0.as_str(), other.1.as_str()), ("206", "abc"));
    files.always("/f", Manner::Whole);
    assert_eq!(parts(&get(&url, "Range: bytes=4-\r\n")), ("200", "0123456789"));
    files.always("/f", Manner::Reset(2));
    let (answer, good) = ask(&url, "GET", "", "");
    assert!(!good, "reset: {answer}");
    let refused = Refused::take();
    let port = refused.url("").rsplit(':').next().and_then(|p| p.parse::<u16>().ok()).expect("a port");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn gates_and_silence() {
    let files = Files::start();
    let url = files.put("/f", FILE);
    files.next("/f", Manner::Gate(4));
    let client = std::thread::spawn(move || get(&url, ""));
    files.wait_at_gate("/f", SOON);
    assert_eq!(files.requests_of("/f")[0].sent, 4);
    files.open("/f");
    assert_eq!(parts(&client.join().expect("an answer")).1, "0123456789");
    files.next("/up", Manner::Gate(2));
    let url = files.url("/up");
    let client = std::thread::spawn(move || ask(&url, "PUT", "Content-Length: 3\r\n", "abc").0);
    files.wait_at_gate("/up", SOON);
    assert_eq!((files.requests_of("/up")[0].body.as_slice(), files.uploaded("/up")), (&b"ab"[..], None));
    files.open("/up");
    client.join().expect("an answer");
    assert_eq!(files.uploaded("/up").as_deref(), Some(&b"abc"[..]));
    for manner in [Manner::Silent(1), Manner::Mute] {
        let url = files.put("/silent", FILE);
        files.next("/silent", manner);
        let mut client = connect(&url);
        client.write_all(b"GET /silent HTTP/1.1\r\n\r\n").expect("written");
        files.wait_at_gate("/silent", SOON);
    }
}

#[test]
fn passwords() {
    let files = Files::start();
    let url = files.put("/f", FILE);
    files.protect("/f", Authentication::Basic, "u", "p");
    assert!(get(&url, "").contains("WWW-Authenticate: Basic realm="));
    assert_eq!(parts(&get(&url, "Authorization: Basic dTpw\r\n")).0, "200");
    files.protect("/f", Authentication::Digest(vec![Algorithm::Sha256]), "u", "p");
    let answer = get(&url, "");
    let challenge = answer.split("WWW-Authenticate: ").nth(1).and_then(|c| c.split("\r\n").next());
    let challenge = digest::parse(challenge.expect("a challenge"));
    let mut answering = digest::Answering::new(&challenge[0], "c").expect("usable");
    let authorization = answering.authorization("u", "p", "GET", "/f");
    assert_eq!(parts(&get(&url, &format!("Authorization: {authorization}\r\n"))).0, "200");
    files.always("/f", Manner::Refuse(Authentication::Basic));
    files.put("/g", FILE);
    files.always("/g", Manner::Refuse(Authentication::Basic));
    assert_eq!(parts(&get(&files.url("/g"), "Authorization: Basic dTpw\r\n")).0, "401");
}

#[test]
fn over_tls() {
    let files = Files::with_tls(&Tls::default());
    let url = files.put("/f", FILE);
    files.next("/f", Manner::NoLength);
    let config = client_config(&files.identity().ca);
    let name = "127.0.0.1".try_into().expect("a host name");
    let tls = rustls::ClientConnection::new(config, name).expect("a configuration that fits");
    let mut stream = rustls::StreamOwned::new(tls, connect(&url));
    stream.write_all(b"GET /f HTTP/1.1\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a close that is said");
    assert_eq!(parts(&answer), ("200", "0123456789"));
}
