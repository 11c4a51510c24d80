//! The ACS client against a scripted server: groups A (transport) and B (TLS, authentication) of
//! the rules.

mod peer;

#[path = "client/authentication.rs"]
mod authentication;
#[path = "client/compression.rs"]
mod compression;
#[path = "client/corners.rs"]
mod corners;
#[path = "client/hostile.rs"]
mod hostile;
#[path = "client/reached.rs"]
mod reached;
#[path = "client/tls.rs"]
mod tls;
#[path = "client/waits.rs"]
mod waits;

use std::collections::VecDeque;
use std::io;

use cwmpd::net::client::{Body, Client, Error, MAX_BODY, Pieces, Response};
use peer::{Peer, Reply, Request, client, options};

/// A server that gives these replies in turn.
fn scripted(replies: impl IntoIterator<Item = Reply>) -> Peer {
    let mut replies: VecDeque<Reply> = replies.into_iter().collect();
    Peer::start(move |_| replies.pop_front().expect("no more than the scripted requests"))
}

fn post(client: &mut Client, body: &[u8]) -> Result<String, Error> {
    let Response { body } = client.post(Body::Whole(body))?;
    Ok(String::from_utf8(body).expect("text"))
}

fn post_ok(client: &mut Client, body: &[u8]) -> String {
    post(client, body).expect("200")
}

/// One POST to a server with these replies.
fn one(replies: impl IntoIterator<Item = Reply>) -> (Result<String, Error>, Vec<Request>) {
    let peer = scripted(replies);
    let (mut client, _waker) = client(options(peer.url("/acs")));
    let result = post(&mut client, b"<Inform/>");
    (result, peer.requests())
}

fn assert_status(result: Result<String, Error>, want: u16) {
    match result {
        Err(Error::Status { code, .. }) => assert_eq!(code, want),
        other => panic!("{other:?}"),
    }
}

/// T-35: no Accept-Encoding without HTTPCompression.
// Proves: T-2, T-13, T-14, T-15, T-35
#[test]
fn t2_t13_t14_t15_head_of_a_post_with_an_envelope() {
    let (result, requests) = one([Reply::ok("x")]);
    assert_eq!(result.expect("200"), "x");
    let request = &requests[0];
    assert_eq!(request.line(), "POST /acs HTTP/1.1");
    assert_eq!(request.body, b"<Inform/>");
    let mut names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
    names.sort_unstable();
    let want = ["Content-Length", "Content-Type", "Host", "SOAPAction", "User-Agent"];
    assert_eq!(names, want);
    assert_eq!(request.header("User-Agent"), Some("cwmpd/test"));
    assert_eq!(request.header("Content-Length"), Some("9"));
    assert_eq!(request.header("Content-Type"), Some("text/xml; charset=utf-8"));
    assert_eq!(request.header("SOAPAction"), Some(""));
    assert!(request.head.contains("\r\nSOAPAction: \r\n"), "{}", request.head);
}

// Proves: T-12, T-13
#[test]
fn t12_t13_head_of_an_empty_post() {
    let peer = scripted([Reply::empty()]);
    let (mut client, _waker) = client(options(peer.url("/acs?id=1")));
    assert_eq!(client.post(Body::Empty).expect("204").body, b"");
    let request = &peer.requests()[0];
    assert_eq!(request.line(), "POST /acs?id=1 HTTP/1.1");
    let mut names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["Content-Length", "Host", "User-Agent"]);
    assert_eq!(request.header("Content-Length"), Some("0"));
    let host = peer.address.to_string();
    assert_eq!(request.header("Host"), Some(host.as_str()));
}

// Proves: T-3
#[test]
fn t3_one_connection_for_all_posts() {
    let peer = scripted([Reply::ok("1"), Reply::empty(), Reply::ok(""), Reply::ok("4")]);
    let (mut client, _waker) = client(options(peer.url("/")));
    assert!(client.local_address().is_none());
    for want in ["1", "", "", "4"] {
        assert_eq!(post_ok(&mut client, b"x"), want);
    }
    assert!(peer.requests().iter().all(|r| r.connection == 0));
    let address = client.local_address().expect("connected");
    assert!(address.ip().is_loopback() && address.port() != 0);
}

// Proves: T-4
#[test]
fn t4_the_session_goes_on_when_the_acs_closes() {
    let variants: [fn() -> Reply; 4] = [
        || Reply::status("200 OK", &["Connection: close"], b"x").close(),
        || Reply::status("200 OK", &[], b"x").close(),
        || Reply::raw("HTTP/1.1 200 OK\r\n\r\nx").close(),
        || Reply::raw("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx").close(),
    ];
    for reply in variants {
        let mut first = true;
        let peer = Peer::start(move |_| {
            let mut reply = reply();
            if std::mem::take(&mut first) {
                reply = reply.with_header("Set-Cookie: id=7");
            }
            reply
        });
        let (mut client, _waker) = client(options(peer.url("/")));
        for _ in 0..3 {
            assert_eq!(post_ok(&mut client, b"body"), "x");
        }
        let requests = peer.requests();
        let connections: Vec<usize> = requests.iter().map(|r| r.connection).collect();
        assert_eq!(connections, [0, 1, 2]);
        assert!(requests.iter().all(|r| r.body == b"body"));
        assert!(requests[1..].iter().all(|r| r.header("Cookie") == Some("id=7")));
    }
}

// Proves: T-4
#[test]
fn t4_a_request_that_a_dead_connection_swallowed_is_sent_again() {
    // read, and closed without a word, on a connection that was used before
    let peer = Peer::start(|r| match (r.connection, r.body.as_slice()) {
        (0, b"second") => Reply::raw("").close(),
        _ => Reply::ok("x"),
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    post_ok(&mut client, b"first");
    post_ok(&mut client, b"second");
    let seen: Vec<(usize, Vec<u8>)> = peer.requests().into_iter().map(|r| (r.connection, r.body)).collect();
    let want = [(0, b"first".to_vec()), (0, b"second".to_vec()), (1, b"second".to_vec())];
    assert_eq!(seen, want);
}

// Proves: T-6
#[test]
fn t6_no_second_try_on_a_new_connection_or_after_the_first_byte() {
    let (result, requests) = one([Reply::raw("").close()]);
    assert!(matches!(result, Err(Error::Broken(_))), "{result:?}");
    assert_eq!(requests.len(), 1);

    let peer = scripted([Reply::ok("x"), Reply::raw("HTTP/1.1 2").close()]);
    let (mut client, _waker) = client(options(peer.url("/")));
    post_ok(&mut client, b"1");
    let result = post(&mut client, b"2");
    assert!(matches!(result, Err(Error::Broken(_))), "{result:?}");
    assert_eq!(peer.requests().len(), 2);
}

// Proves: T-6
#[test]
fn t6_bodies_cut_short_are_failures() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        "SMTP ready\r\n\r\n",
    ] {
        let (result, _) = one([Reply::raw(reply).close()]);
        assert!(matches!(result, Err(Error::Broken(_))), "{reply}: {result:?}");
    }
}

// Proves: T-10, T-31
#[test]
fn t10_t31_other_statuses_end_the_session() {
    for (status, code) in [
        ("202 Accepted", 202),
        ("301 Moved", 301),
        ("308 Permanent", 308),
        ("400 Bad", 400),
        ("404 Not Found", 404),
        ("407 Proxy", 407),
        ("415 Media", 415),
        ("500 Oops", 500),
        ("503 Busy", 503),
    ] {
        let (result, requests) = one([Reply::status(status, &["Location: /x"], b"<Envelope/>")]);
        assert_status(result, code);
        assert_eq!(requests.len(), 1);
    }
}

// Proves: C-33
#[test]
fn c33_retry_after_is_told() {
    let table = [("120", Some(120)), ("soon", None), ("Sun, 06 Nov 1994 08:49:37 GMT", None)];
    for (text, want) in table {
        let header = format!("retry-after: {text}");
        match one([Reply::status("503 Busy", &[&header], b"")]).0 {
            Err(Error::Status { retry_after, .. }) => assert_eq!(retry_after, want, "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

// Proves: T-16
#[test]
fn t16_chunks_of_odd_sizes_byte_by_byte() {
    let body = "HTTP/1.1 200 OK\r\ntransfer-ENCODING:chunked\r\n\r\n\
                1\r\na\r\n00a;x=y\r\nbcdefghijk\r\n7 \r\nlmnopqr\r\n0\r\nTrailer: x\r\n\r\n";
    for piece in [1, 2, 7, usize::MAX] {
        let peer = scripted([Reply::raw(body).pieces(piece), Reply::ok("next")]);
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post_ok(&mut client, b"x"), "abcdefghijklmnopqr");
        assert_eq!(post_ok(&mut client, b"x"), "next");
        assert_eq!(peer.requests()[1].connection, 0, "the connection is kept");
    }
}

// Proves: T-17
#[test]
fn t17_interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n\
                   HTTP/1.1 100 Go on\r\nX-Why: not\r\n folded\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    for piece in [1, 9, usize::MAX] {
        let reply = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        let (result, _) = one([Reply::raw(reply).pieces(piece)]);
        assert_eq!(result.expect("200"), "x");
    }
}

// Proves: T-18
#[test]
fn t18_header_variants() {
    let reply = "HTTP/1.1 200 OK\r\nX-Folded: a\r\n\tb\r\n  c\r\nSET-cookie:  id=7  \r\n\
                 cOnTeNt-lEnGtH:1\r\nx-last:y\r\n z\r\n\r\nx";
    for piece in [1, 11, usize::MAX] {
        let peer = scripted([Reply::raw(reply).pieces(piece), Reply::empty()]);
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post_ok(&mut client, b"x"), "x");
        client.post(Body::Empty).expect("204");
        assert_eq!(peer.requests()[1].header("Cookie"), Some("id=7"));
    }
    let bare = "HTTP/1.1 200 OK\nContent-Length: 1\n\nx";
    assert_eq!(one([Reply::raw(bare)]).0.expect("200"), "x");
}

// Proves: T-19, T-21
#[test]
fn t19_t21_cookies_last_for_the_session() {
    let peer = scripted([
        Reply::status("200 OK", &["Set-Cookie: a=1", "set-cookie: b=2; Path=/"], b""),
        Reply::status("200 OK", &["Set-Cookie: c=3", "Set-Cookie: a=; Max-Age=0"], b""),
        Reply::empty(),
        Reply::empty(),
    ]);
    let (mut first, _waker) = client(options(peer.url("/acs")));
    for _ in 0..3 {
        post_ok(&mut first, b"x");
    }
    let (mut second, _waker) = client(options(peer.url("/acs")));
    post_ok(&mut second, b"x");
    let requests = peer.requests();
    let sent: Vec<_> = requests.iter().map(|r| r.header("Cookie")).collect();
    assert_eq!(sent, [None, Some("a=1; b=2"), Some("b=2; c=3"), None]);
}

// Proves: T-22, T-23, T-24
#[test]
fn t22_t23_t24_redirects_post_the_same_bytes_and_stay() {
    for status in ["302 Found", "307 Temporary Redirect"] {
        let target = scripted([Reply::ok("1"), Reply::ok("2")]);
        let peer = scripted([Reply::ok("0"), Reply::redirect(status, &target.url("/new?x#y"))]);
        let (mut client, _waker) = client(options(peer.url("/acs")));
        assert_eq!(post_ok(&mut client, b"zero"), "0");
        assert_eq!(post_ok(&mut client, b"one"), "1");
        assert_eq!(post_ok(&mut client, b"two"), "2");
        let seen = target.requests();
        assert!(seen.iter().all(|r| r.line() == "POST /new?x HTTP/1.1"));
        assert!(seen.iter().all(|r| r.header("SOAPAction") == Some("")));
        let bodies: Vec<&[u8]> = seen.iter().map(|r| r.body.as_slice()).collect();
        assert_eq!(bodies, [b"one", b"two"]);
    }
}

// Proves: T-24
#[test]
fn t24_an_empty_post_is_redirected_too() {
    let target = scripted([Reply::ok("1"), Reply::ok("2")]);
    let peer = scripted([Reply::ok("0"), Reply::redirect("307 Temporary Redirect", &target.url("/new"))]);
    let (mut client, _waker) = client(options(peer.url("/acs")));
    assert_eq!(post_ok(&mut client, b"zero"), "0");
    assert_eq!(client.post(Body::Empty).expect("redirected").body, b"1");
    assert_eq!(post_ok(&mut client, b"two"), "2");
    let seen = target.requests();
    assert!(seen.iter().all(|r| r.line() == "POST /new HTTP/1.1"));
    assert!(seen[0].body.is_empty() && seen[0].header("SOAPAction").is_none());
}

// Proves: T-25
#[test]
fn t25_five_redirects_pass_and_six_fail() {
    for (count, passes) in [(5, true), (6, false)] {
        let redirects = (0..count).map(|i| Reply::redirect("302 Found", &format!("r{i}")));
        let (result, requests) = one(redirects.chain([Reply::ok("x")]));
        assert_eq!(result.is_ok(), passes, "{result:?}");
        assert!(passes || matches!(result, Err(Error::Redirect(_))));
        assert_eq!(requests.len(), 6);
        assert!(requests.iter().all(|r| r.connection == 0), "the same host, the same connection");
        assert_eq!(requests[5].line(), "POST /r4 HTTP/1.1");
    }
}

// Proves: T-28
#[test]
fn t28_redirects_that_lead_nowhere() {
    for reply in [
        Reply::status("302 Found", &[], b""),
        Reply::redirect("302 Found", ""),
        Reply::redirect("302 Found", "ftp://other/"),
        Reply::redirect("302 Found", "http://u:p@other/"),
        Reply::redirect("302 Found", "http://"),
    ] {
        let (result, requests) = one([reply]);
        assert!(matches!(result, Err(Error::Redirect(_))), "{result:?}");
        assert_eq!(requests.len(), 1);
    }
}

// Proves: T-26
#[test]
fn t26_the_next_session_starts_at_the_configured_url() {
    let peer = scripted([Reply::redirect("302 Found", "/new"), Reply::empty(), Reply::empty()]);
    for _ in 0..2 {
        let (mut client, _waker) = client(options(peer.url("/acs")));
        post_ok(&mut client, b"x");
    }
    let requests = peer.requests();
    let lines: Vec<&str> = requests.iter().map(Request::line).collect();
    assert_eq!(lines, ["POST /acs HTTP/1.1", "POST /new HTTP/1.1", "POST /acs HTTP/1.1"]);
}

// Proves: T-37
#[test]
fn t37_urls_that_are_refused() {
    for url in ["http://u:p@127.0.0.1/", "ftp://127.0.0.1/", "acs", ""] {
        let (_, wake) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let result = Client::new(options(url.to_string()), wake.into());
        assert!(matches!(result.err(), Some(Error::Url(_))), "{url}");
    }
}

// Proves: T-40
#[test]
fn t40_ipv6_literals() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        println!("this machine has no IPv6: not tested");
        return;
    };
    let peer = Peer::over(listener, "http", |s| Some(Box::new(s)), |_| Reply::ok("six"));
    let (mut client, _waker) = client(options(peer.url("/")));
    assert_eq!(post_ok(&mut client, b"x"), "six");
    let host = format!("[::1]:{}", peer.address.port());
    assert_eq!(peer.requests()[0].header("Host"), Some(host.as_str()));
}

#[test]
fn header_values_of_ours_cannot_break_out() {
    let refused = |change: fn(&mut cwmpd::net::client::Options)| {
        let (_, wake) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut options = options("http://127.0.0.1/".to_string());
        change(&mut options);
        matches!(Client::new(options, wake.into()).err(), Some(Error::Credentials(_)))
    };
    assert!(refused(|o| o.user_agent = "x\r\nX-Evil: 1".into()));
    assert!(refused(|o| o.username = "u\nx".into()));
    let challenge = r#"Digest realm="a\"b", nonce="n", opaque="\"\\", qop="auth""#;
    let peer = Peer::start(move |r| match r.digest_is_right("n") {
        true => Reply::ok("x"),
        false => Reply::challenge(&[challenge]),
    });
    let mut odd = options(peer.url("/a\"b?c d"));
    odd.password = "p".into();
    let (mut client, _waker) = client(odd);
    assert_eq!(post_ok(&mut client, b"x"), "x");
    assert_eq!(peer.requests()[1].line(), "POST /a%22b?c%20d HTTP/1.1");
}

/// T-36: 32,768 bytes is the least.
// Proves: T-35, T-36
#[test]
fn bodies_of_two_megabytes_are_read_and_larger_ones_refused() {
    let chunked = |size: usize| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in vec![b'x'; size].chunks(100_000) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        Reply::raw(bytes)
    };
    for reply in [Reply::ok(vec![b'x'; MAX_BODY]), chunked(MAX_BODY)] {
        assert_eq!(one([reply]).0.expect("200").len(), MAX_BODY);
    }
    for reply in [Reply::ok(vec![b'x'; MAX_BODY + 1]), chunked(MAX_BODY + 1)] {
        let (result, _) = one([reply]);
        assert!(matches!(result, Err(Error::TooLarge(_))), "{result:?}");
    }
}

#[test]
fn heads_and_trailers_without_end_are_refused() {
    let many = "X-Header: some value\r\n".repeat(10_000);
    let long = format!("X-Header: {}", "x".repeat(200_000));
    let few = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "X-H: v\r\n".repeat(50));
    assert_eq!(one([Reply::raw(few)]).0.expect("200"), "");
    let (result, _) = one([Reply::raw(format!("HTTP/1.1 200 OK\r\n{many}"))]);
    assert!(matches!(result, Err(Error::TooLarge(_) | Error::Broken(_))), "{result:?}");
    for reply in [
        format!("HTTP/1.1 200 OK\r\n{long}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{long}"),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000_000),
        "\r\n".repeat(1_000_000),
    ] {
        let (result, _) = one([Reply::raw(reply)]);
        assert!(matches!(result, Err(Error::TooLarge(_))), "{result:?}");
    }
}

/// A long answer: pieces of changing size, counted.
struct Rendered {
    pieces: usize,
    at: usize,
    rewinds: usize,
}

impl Rendered {
    fn new(pieces: usize) -> Rendered {
        Rendered { pieces, at: 0, rewinds: 0 }
    }

    fn piece(i: usize) -> Vec<u8> {
        vec![b'a' + (i % 26) as u8; i * 7919 % 20_000]
    }

    fn whole(&self) -> Vec<u8> {
        let pieces: Vec<Vec<u8>> = (0..self.pieces).map(Rendered::piece).collect();
        pieces.concat()
    }
}

impl Pieces for Rendered {
    fn rewind(&mut self) -> io::Result<()> {
        self.at = 0;
        self.rewinds += 1;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.at += 1;
        Ok((self.at <= self.pieces).then(|| Rendered::piece(self.at - 1)))
    }
}

#[test]
fn streams_are_chunked_and_sent_again_when_needed() {
    let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
    let peer = scripted([
        Reply::challenge(&[challenge]),
        Reply::redirect("307 Temporary Redirect", "/new"),
        Reply::ok("1"),
        Reply::raw("").close(),
        Reply::ok("2"),
    ]);
    let (mut client, _waker) = client(options(peer.url("/")));
    let mut body = Rendered::new(40);
    for want in ["1", "2"] {
        body.rewind().expect("rewind");
        let got = client.post(Body::Stream(&mut body)).expect("200").body;
        assert_eq!(got, want.as_bytes());
    }
    assert_eq!(body.rewinds, 2 + 3);
    let requests = peer.requests();
    assert!(requests.iter().all(|r| r.body == body.whole()));
    assert!(requests.iter().all(|r| r.header("Transfer-Encoding") == Some("chunked")));
    assert!(requests.iter().all(|r| r.header("Content-Length").is_none()));
    let connections: Vec<usize> = requests.iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 1]);
}

#[test]
fn a_body_that_cannot_be_rendered_ends_the_post() {
    struct Broken;
    impl Pieces for Broken {
        fn rewind(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
            Err(io::Error::other("the tree is gone"))
        }
    }
    let peer = scripted([]);
    let (mut client, _waker) = client(options(peer.url("/")));
    match client.post(Body::Stream(&mut Broken)) {
        Err(Error::Broken(text)) => assert!(text.contains("the tree is gone"), "{text}"),
        other => panic!("{other:?}"),
    }
}
