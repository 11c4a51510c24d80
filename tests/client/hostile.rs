//! The limits of the ACS client: what lies on one is taken, what lies beyond it is refused by it.

use cwmpd::net::client::{Error, MAX_HEADERS, MAX_REDIRECTS};
use cwmpd::net::cookies::{MAX_COOKIES, MAX_COOKIES_SIZE};
use cwmpd::net::digest::MAX_CHALLENGES;

use crate::peer::tls::Authority;
use crate::peer::{Peer, Reply, client, options};
use crate::{one, post, post_ok, scripted};

#[test]
fn headers_are_counted() {
    // Content-Length is one of them.
    let reply = |count: usize| {
        let headers = vec!["X: y"; count - 1];
        Reply::status("200 OK", &headers, b"x")
    };
    assert_eq!(one([reply(MAX_HEADERS)]).0.expect("200"), "x");
    let (result, _) = one([reply(MAX_HEADERS + 1)]);
    assert!(matches!(result, Err(Error::TooLarge(_))), "{result:?}");
    // Beyond what ureq itself reads.
    let (result, _) = one([reply(1000)]);
    assert!(matches!(result, Err(Error::Broken(_))), "{result:?}");
}

/// The size of a chunk, with its extension, is a line of 20 bytes at most; that is ureq's own limit.
#[test]
fn the_line_before_a_chunk_is_short() {
    let reply = |line: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::raw(format!("{head}{line}\r\nx\r\n0\r\n\r\n"))
    };
    for good in ["1", "1;a=b", "00000000000000000001", "1;name=\"some value\""] {
        assert_eq!(one([reply(good)]).0.expect(good), "x", "{good}");
    }
    for bad in
        ["", "x", "-1", "1;name=\"another value\"", "FFFFFFFFFFFFFFFFF", &format!("1;{}", "x".repeat(50_000))]
    {
        let (result, _) = one([reply(bad).close()]);
        assert!(matches!(result, Err(Error::Broken(_) | Error::TooLarge(_))), "{bad}: {result:?}");
    }
}

/// A body that nobody wants is read to keep the connection, but not for ever.
// Proves: T-5
#[test]
fn a_challenge_with_a_long_page_costs_the_connection() {
    for (size, connection) in [(64 * 1024, 0), (64 * 1024 + 1, 1)] {
        let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"";
        let peer = scripted([Reply::status("401 No", &[challenge], &vec![b'x'; size]), Reply::ok("in")]);
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post_ok(&mut client, b"x"), "in");
        assert_eq!(peer.requests()[1].connection, connection, "{size}");
    }
}

#[test]
fn of_an_errors_page_some_words_are_told() {
    let told = |body: &str| match one([Reply::status("500 Oops", &[], body.as_bytes())]).0 {
        Err(Error::Status { text, .. }) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(told("disk full\nand more"), "disk full");
    assert_eq!(told(&"x".repeat(5000)), "x".repeat(96));
    for page in ["<html>disk full</html>", "\u{1b}[2J", "für", "\0"] {
        assert_eq!(told(page), "", "{page:?}");
    }
}

/// S-18: neither the same challenge nor ever new nonces are answered for ever, nor two places that send
/// us to each other.
// Proves: S-18, T-25
#[test]
fn challenges_have_an_end() {
    let fresh = |n: usize, stale: bool| {
        let stale = if stale { ", stale=true" } else { "" };
        Reply::challenge(&[&format!("Digest realm=\"r\", nonce=\"n{n}\", qop=\"auth\"{stale}")])
    };
    for (stale, posts) in [(false, 2), (true, 3)] {
        let mut count = 0;
        let peer = Peer::start(move |_| {
            count += 1;
            fresh(count, stale)
        });
        let (mut client, _waker) = client(options(peer.url("/")));
        let result = post(&mut client, b"x");
        assert!(matches!(result, Err(Error::Authentication(_))), "{result:?}");
        assert_eq!(peer.requests().len(), posts);
    }
    // Two origins, each of which challenges and then sends us to the other.
    let listener = super::peer::listener();
    let first = format!("http://{}/", listener.local_addr().expect("an address"));
    let ping = move |to: String| {
        let mut count = 0;
        move |_: &super::Request| {
            count += 1;
            if count % 3 == 0 { Reply::redirect("302 Found", &to) } else { fresh(count, true) }
        }
    };
    let second = Peer::start(ping(first));
    let first = Peer::over(listener, "http", |s| Some(Box::new(s)), ping(second.url("/")));
    let (mut client, _waker) = client(options(first.url("/")));
    let result = post(&mut client, b"x");
    assert!(matches!(result, Err(Error::Redirect(_))), "{result:?}");
    let posts = first.requests().len() + second.requests().len();
    assert_eq!(posts, 3 * (MAX_REDIRECTS as usize + 1));
}

/// In however many headers they come.
#[test]
fn challenges_are_counted() {
    let known = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"";
    for (before, answered) in [(MAX_CHALLENGES - 1, true), (MAX_CHALLENGES, false)] {
        let mut headers = vec!["WWW-Authenticate: Other realm=\"r\""; before];
        headers.push(known);
        let peer = scripted([Reply::status("401 No", &headers, b""), Reply::ok("in")]);
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post(&mut client, b"x").is_ok(), answered, "{before}");
    }
}

/// What is kept of many cookies fits the head of a request, beside a long answer to a challenge.
// Proves: T-20
#[test]
fn many_large_cookies_still_let_a_post_through() {
    let large: Vec<String> = (0..60).map(|n| format!("Set-Cookie: c{n}={}", "v".repeat(500))).collect();
    let mut headers: Vec<&str> = large.iter().map(String::as_str).collect();
    let long = "o".repeat(1500);
    let challenge = format!("WWW-Authenticate: Digest realm=\"{long}\", nonce=\"{long}\", opaque=\"{long}\"");
    headers.push(&challenge);
    let peer = scripted([Reply::status("401 No", &headers, b""), Reply::ok("in")]);
    let (mut client, _waker) = client(options(peer.url(&format!("/{}", "p".repeat(1900)))));
    assert_eq!(post_ok(&mut client, b"x"), "in");
    let sent = peer.requests()[1].header("Cookie").expect("cookies").to_owned();
    let count = sent.split("; ").count();
    assert!(count <= MAX_COOKIES && sent.len() <= MAX_COOKIES_SIZE + 2 * MAX_COOKIES);
    assert!(sent.ends_with(&format!("c59={}", "v".repeat(500))), "the newest are kept");
}

/// TLS records that hold nothing of a response must have an end too: here tickets for later sessions, which
/// the ACS sends behind the handshake.
// Proves: S-3
#[test]
fn tls_records_without_content_have_an_end() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    for (tickets, passes) in [(20, true), (20_000, false)] {
        let mut config = identity.server(&[&rustls::version::TLS13], None);
        config.send_tls13_tickets = tickets;
        let peer = Peer::start_tls(config, |_| Reply::ok("x"));
        let mut options = options(peer.url("/").replace("127.0.0.1", "localhost"));
        options.ca_file = Some(authority.file.clone());
        let (mut client, _waker) = client(options);
        let result = post(&mut client, b"x");
        assert_eq!(result.is_ok(), passes, "{result:?}");
        // rustls may have enough before we have.
        assert!(passes || matches!(result, Err(Error::TooLarge(_) | Error::Broken(_))), "{result:?}");
    }
}
