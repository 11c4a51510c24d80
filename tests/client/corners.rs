//! Corners of HTTP that ACSs turn: framing, versions, what is said of the connection, dates.

use cwmpd::net::client::{Body, Error};

use crate::peer::{Peer, Reply, client, options};
use crate::{one, post, post_ok, scripted};

/// Two POSTs to a server that gives this reply each time: what came back, and on which connections.
fn twice(reply: &'static str) -> (Vec<Result<String, Error>>, Vec<usize>) {
    let peer = Peer::start(move |_| Reply::raw(reply));
    let (mut client, _waker) = client(options(peer.url("/")));
    let results = vec![post(&mut client, b"1"), post(&mut client, b"2")];
    let connections = peer.requests().iter().map(|r| r.connection).collect();
    (results, connections)
}

/// Whether the connection is used again is for the ACS to say, in all the ways there are; the peer here
/// never closes by itself.
// Proves: T-3, T-4
#[test]
fn t4_what_is_said_of_the_connection() {
    for (head, kept) in [
        ("HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", true),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: CLOSE\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n", false),
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: close\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true),
    ] {
        let (results, connections) = twice(format!("{head}Content-Length: 1\r\n\r\nx").leak());
        assert!(results.iter().all(|r| r.as_deref().is_ok_and(|body| body == "x")), "{head}: {results:?}");
        assert_eq!(connections, [0, usize::from(!kept)], "{head}");
    }
    // More than it said: what follows is not taken for the next response.
    let (results, connections) = twice("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxEXTRA");
    assert!(results.iter().all(|r| r.as_deref().is_ok_and(|body| body == "x")), "{results:?}");
    assert_eq!(connections, [0, 1]);
}

// Proves: T-16, T-18
#[test]
fn t16_t18_framing_as_it_is_written() {
    for reply in [
        "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\nSet-Cookie \t : a=1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: identity\r\n\r\nx",
        "HTTP/1.1 200 \u{e9}\u{e9}\r\nContent-Length: 1\r\nX-Text: \u{e9}\r\n\r\nx",
    ] {
        let peer = Peer::start(move |_| Reply::raw(reply).pieces(3));
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post_ok(&mut client, b"1"), "x", "{reply}");
        assert_eq!(post_ok(&mut client, b"2"), "x", "{reply}");
        let requests = peer.requests();
        assert_eq!(requests[1].header("Cookie"), reply.contains("a=1").then_some("a=1"), "{reply}");
    }
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX Y: z\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: \u{1}\r\n\r\nx",
        "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "ICY 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let (result, _) = one([Reply::raw(reply).close()]);
        assert!(matches!(result, Err(Error::Broken(_))), "{reply}: {result:?}");
    }
}

/// What is empty, and what of it belongs to the next response.
// Proves: T-11
#[test]
fn t11_empty_responses() {
    for reply in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n \t\r\n\n",
    ] {
        let (results, _) = twice(reply);
        assert!(results.iter().all(|r| r.as_deref().is_ok_and(str::is_empty)), "{reply}: {results:?}");
    }
}

/// C-33: how long, by the ACS's own clock where it gives a date; ours may be in 1970.
// Proves: C-33
#[test]
fn c33_how_long_to_wait() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
    for (retry, date, want) in [
        (" 120 ", "", Some(120)),
        ("99999999999999999999", "", Some(u32::MAX)),
        ("-5", "", None),
        ("1.5", "", None),
        ("soon", date, None),
        ("Sun, 06 Nov 1994 08:59:37 GMT", date, Some(600)),
        ("Sun, 06 Nov 1994 08:39:37 GMT", date, None),
        ("Thu, 01 Jan 2099 00:00:00 GMT", "", None),
    ] {
        let peer = scripted([Reply::status("503 Busy", &[&format!("Retry-After: {retry}"), date], b"")]);
        let mut options = options(peer.url("/"));
        options.clock_set = false;
        let (mut client, _waker) = client(options);
        match client.post(Body::Whole(b"x")) {
            Err(Error::Status { retry_after, .. }) => assert_eq!(retry_after, want, "{retry}"),
            other => panic!("{retry}: {other:?}"),
        }
    }
}

/// Cookies that expire by the ACS's own clock, and a device that believes it is 1970.
// Proves: T-19
#[test]
fn t19_cookies_without_a_clock() {
    let date = "Date: Thu, 01 Jan 2026 00:00:00 GMT";
    let peer = scripted([
        Reply::status(
            "200 OK",
            &[
                date,
                "Set-Cookie: kept=1; Expires=Thu, 01 Jan 2026 01:00:00 GMT",
                "Set-Cookie: gone=1; Expires=Wed, 31 Dec 2025 23:00:00 GMT",
                "Set-Cookie: aged=1; Max-Age=3600",
            ],
            b"",
        ),
        Reply::empty(),
    ]);
    let mut options = options(peer.url("/"));
    options.clock_set = false;
    let (mut client, _waker) = client(options);
    post_ok(&mut client, b"1");
    post_ok(&mut client, b"2");
    assert_eq!(peer.requests()[1].header("Cookie"), Some("kept=1; aged=1"));
}
