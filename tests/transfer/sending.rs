//! Uploads by PUT.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Duration;

use cwmpd::net::transfer::{Amounts, Failure, Meter, Sent, Source, put};

use crate::peer::tls::file;
use crate::peer::{PATIENCE, Peer, Reply, read_head, read_request};
use crate::{fault, request, scripted, wake};

const BASIC: &str = r#"Basic realm="r""#;
const DIGEST: &str = r#"Digest realm="r", nonce="n1", qop="auth""#;

fn source(text: &str) -> Source<'static> {
    Source::File(File::open(file("upload", text)).expect("a file"))
}

fn send(url: String, text: &str) -> Result<Sent, Failure> {
    let (_waker, wake) = wake();
    put(request(url), source(text), &Meter::default(), wake)
}

/// A pipe from which this can be read, and then its end.
fn pipe(text: String) -> OwnedFd {
    let (output, input) = nix::unistd::pipe().expect("a pipe");
    std::thread::spawn(move || File::from(input).write_all(text.as_bytes()));
    output
}

fn send_pipe(url: String, text: String, end: Result<(), String>) -> (Result<Sent, Failure>, u32) {
    let (_waker, wake) = wake();
    let mut finished = 0;
    let mut finish = || {
        finished += 1;
        end.clone()
    };
    let source = Source::Pipe { output: pipe(text), finish: &mut finish };
    let result = put(request(url), source, &Meter::default(), wake);
    (result, finished)
}

// Proves: X-34
#[test]
fn x_34_a_file_is_put_with_its_length() {
    for status in ["200 OK", "201 Created", "204 No Content"] {
        let peer = scripted([Reply::raw(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))]);
        let (meter, (_waker, wake)) = (Meter::default(), wake());
        let sent = put(request(peer.url("/up/x?y")), source("a log"), &meter, wake);
        assert_eq!(sent, Ok(Sent { bytes: 5 }), "{status}");
        assert_eq!(meter.read(), Amounts { done: 5, expected: Some(5) });
        let requests = peer.requests();
        assert_eq!(
            (requests[0].line(), requests[0].body.as_slice()),
            ("PUT /up/x?y HTTP/1.1", &b"a log"[..])
        );
        assert_eq!((requests[0].header("Content-Length"), requests[0].header("Expect")), (Some("5"), None));
    }
    let peer = scripted([Reply::status("201 Created", &[], b"")]);
    assert_eq!(send(peer.url("/"), ""), Ok(Sent { bytes: 0 }));
    assert_eq!(peer.requests()[0].header("Content-Length"), Some("0"));
}

/// A server that does not know the announcement is sent the body all the same, a second later.
// Proves: X-34
#[test]
fn x_34_a_large_file_and_a_commands_output() {
    let text = "0123456789".repeat(30_000);
    let peer = scripted([Reply::ok("")]);
    assert_eq!(send(peer.url("/"), &text), Ok(Sent { bytes: 300_000 }));
    assert!(peer.requests()[0].body == text.as_bytes());
    let peer = scripted([Reply::ok("")]);
    let (result, finished) = send_pipe(peer.url("/"), text.clone(), Ok(()));
    assert_eq!((result, finished), (Ok(Sent { bytes: 300_000 }), 1));
    let requests = peer.requests();
    assert!(requests[0].body == text.as_bytes());
    assert_eq!(requests[0].header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(requests[0].header("Content-Length"), None);
}

/// Half a file is not taken for one: its last chunk never comes.
#[test]
fn a_command_that_fails_ends_the_upload_9011() {
    let (sender, got) = mpsc::channel();
    let peer = Peer::raw(move |_, mut socket| {
        let _ = sender.send(read_request(&mut socket, 0).is_some());
    });
    let (result, finished) = send_pipe(peer.url("/"), "half".into(), Err("exit status 1".into()));
    let (code, text) = fault(result);
    assert!(code == 9011 && text.contains("exit status 1"), "{code} {text}");
    assert_eq!((finished, got.recv_timeout(PATIENCE)), (1, Ok(false)));
}

// Proves: X-32, X-34
#[test]
fn x_32_a_challenge_before_the_body_costs_no_second_sending() {
    let text = "0123456789".repeat(100_000);
    let (sender, got) = mpsc::channel();
    let peer = Peer::raw(move |_, mut socket| {
        while let Some(head) = read_head(&mut socket) {
            let expects = head.contains("Expect: 100-continue");
            let mut body = vec![0; if expects { 0 } else { 1_000_000 }];
            socket.read_exact(&mut body).expect("a body");
            let answer: &[u8] = match head.contains("Authorization: Basic dTpw") {
                true => b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
                false => {
                    b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n"
                }
            };
            let _ = sender.send((expects, body.len()));
            socket.write_all(answer).expect("an answer");
        }
    });
    assert_eq!(send(peer.url("/"), &text), Ok(Sent { bytes: 1_000_000 }));
    assert_eq!(got.try_iter().collect::<Vec<_>>(), [(true, 0), (false, 1_000_000)]);
}

fn continuing(said: &'static str) -> Result<Sent, Failure> {
    let peer = Peer::raw(move |_, mut socket| {
        let head = read_head(&mut socket).expect("a head");
        assert!(head.contains("Expect: 100-continue"));
        // in two pieces, as a network may have it
        let (first, second) = said.split_at(said.len() / 2);
        socket.write_all(first.as_bytes()).expect("half");
        socket.write_all(second.as_bytes()).expect("half");
        let mut body = vec![0; 100_000];
        if socket.read_exact(&mut body).is_ok() {
            let _ = socket.write_all(b"HTTP/1.1 204 N\r\n\r\n");
        }
    });
    send(peer.url("/"), &"x".repeat(100_000))
}

#[test]
fn the_word_to_go_on_may_have_headers_and_company() {
    for said in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nServer: x\r\nDate: now\r\n\r\n",
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100\r\n\r\n",
    ] {
        assert_eq!(continuing(said), Ok(Sent { bytes: 100_000 }), "{said:?}");
    }
    // it says that all is well before it has seen a byte
    let (code, text) = fault(continuing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(code == 9011 && text.contains("has not read all"), "{code} {text}");
    let (code, text) = fault(continuing("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
    assert!(code == 9016 && text.contains("403"), "{code} {text}");
}

#[test]
fn an_announcement_that_is_refused_is_left_out() {
    let text = "x".repeat(100_000);
    let peer = Peer::raw(|_, mut socket| {
        while let Some(head) = read_head(&mut socket) {
            let answer = match head.contains("Expect") {
                true => "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n",
                false => {
                    socket.read_exact(&mut vec![0; 100_000]).expect("a body");
                    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
                }
            };
            socket.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    assert_eq!(send(peer.url("/"), &text), Ok(Sent { bytes: 100_000 }));
}

// Proves: X-32, X-34, X-35
#[test]
fn challenges_and_redirects_have_the_body_sent_again() {
    for status in ["301 M", "302 F", "307 T", "308 P"] {
        let peer = Peer::start(move |r| match (r.line(), r.digest_is_right("n1")) {
            ("PUT / HTTP/1.1", _) => Reply::redirect(status, "/there"),
            (_, false) => Reply::challenge(&[DIGEST, BASIC]),
            (_, true) => Reply::empty(),
        });
        assert_eq!(send(peer.url("/"), "again"), Ok(Sent { bytes: 5 }));
        let requests = peer.requests();
        let lines: Vec<&str> = requests.iter().map(|r| r.line()).collect();
        assert_eq!(lines, ["PUT / HTTP/1.1", "PUT /there HTTP/1.1", "PUT /there HTTP/1.1"]);
        assert!(requests.iter().all(|r| r.body == b"again"));
    }
    // 303 says that a GET would tell more: the file was not taken there
    let peer = scripted([Reply::redirect("303 See Other", "/there")]);
    assert_eq!(fault(send(peer.url("/"), "x")).0, 9016);
    let peer = Peer::start(|_| Reply::redirect("307 T", "/"));
    assert_eq!(fault(send(peer.url("/"), "x")).0, 9016);
    assert_eq!(peer.requests().len(), 6);
}

/// What a command wrote is kept as far as it is short; a long output cannot be made again.
// Proves: X-32
#[test]
fn a_short_output_is_sent_again_and_a_long_one_is_9011() {
    let challenging = || {
        Peer::start(|r| match r.header("Authorization") {
            Some(_) => Reply::empty(),
            None => Reply::challenge(&[BASIC]),
        })
    };
    let peer = challenging();
    let (result, finished) = send_pipe(peer.url("/"), "x".repeat(64 * 1024), Ok(()));
    assert_eq!((result, finished), (Ok(Sent { bytes: 65_536 }), 1));
    assert!(peer.requests().iter().all(|r| r.body == [b'x'; 64 * 1024]));
    let peer = challenging();
    let (code, text) = fault(send_pipe(peer.url("/"), "x".repeat(64 * 1024 + 1), Ok(())).0);
    assert!(code == 9011 && text.contains("sent twice"), "{code} {text}");
}

// Proves: X-13, X-15
#[test]
fn x_15_codes_of_an_upload() {
    for (status, code) in [(403, 9016), (404, 9016), (405, 9016), (407, 9012), (503, 9016), (507, 9016)] {
        let peer = scripted([Reply::raw(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"))]);
        assert_eq!(fault(send(peer.url("/"), "x")).0, code, "{status}");
        assert_eq!(peer.requests().len(), 1);
    }
    let peer = Peer::start(|_| Reply::challenge(&[BASIC]));
    assert_eq!(fault(send(peer.url("/"), "x")).0, 9012);
    let free = crate::peer::listener().local_addr().expect("address");
    assert_eq!(fault(send(format!("http://{free}/"), "x")).0, 9015);
    let peer = scripted([Reply::raw("").close()]);
    assert_eq!(fault(send(peer.url("/"), "x")).0, 9011);
    assert_eq!(peer.requests().len(), 1, "it is not repeated");
    // a file beyond the limit is not sent
    let (_waker, wake) = wake();
    let peer = scripted([]);
    let mut small = request(peer.url("/"));
    small.limits.max_bytes = 4;
    let (code, text) = fault(put(small, source("12345"), &Meter::default(), wake));
    assert!(code == 9011 && text.contains("max_bytes"), "{code} {text}");
}

// Proves: X-15
#[test]
fn silence_either_way_is_9011_and_waits_can_be_woken() {
    let hung = scripted([Reply::hang()]);
    let mut short = request(hung.url("/"));
    short.options.timeouts.response = Duration::from_millis(50);
    let (_waker, fd) = wake();
    assert_eq!(fault(put(short, source("x"), &Meter::default(), fd)).0, 9011);

    // the command says nothing
    let (output, _input) = nix::unistd::pipe().expect("a pipe");
    let deaf = Peer::raw(|_, mut socket: TcpStream| {
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let mut short = request(deaf.url("/"));
    short.limits.silence = Duration::from_millis(50);
    let (_waker, fd) = wake();
    let source = Source::Pipe { output: output.try_clone().expect("a pipe"), finish: &mut || Ok(()) };
    let (code, text) = fault(put(short, source, &Meter::default(), fd));
    assert!(code == 9011 && text.contains("output of the command"), "{code} {text}");

    let (waker, fd) = wake();
    drop(waker);
    let source = Source::Pipe { output, finish: &mut || Ok(()) };
    assert_eq!(put(request(deaf.url("/")), source, &Meter::default(), fd), Err(Failure::Stopped));
}
