//! Servers, and ways to them, on a bad day.

use std::io::Write;
use std::net::Shutdown;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use cwmpd::net::transfer::{Failure, Meter, get};
use nix::sys::socket::{setsockopt, sockopt};

use crate::peer::{PATIENCE, Peer, Reply, read_head};
use crate::{Folder, assert_fault, fetch, one, request, scripted, wake};

const SHORT: Duration = Duration::from_millis(50);

/// A server that reads a request, says this, and leaves the rest to `end`.
fn saying(text: impl Into<Vec<u8>>, end: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> Peer {
    let text = text.into();
    Peer::raw(move |_, mut socket| {
        if read_head(&mut socket).is_some() && socket.write_all(&text).is_ok() {
            end(socket);
        }
    })
}

/// Closes so that the other end sees a reset.
fn reset(socket: std::net::TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&socket, sockopt::Linger, &linger).expect("linger");
}

// Proves: X-15
#[test]
fn resets_are_9017() {
    let peer = saying("", reset);
    assert_fault(fetch(request(peer.url("/"))), 9017, "127.0.0.1");
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", reset);
    assert_fault(fetch(request(peer.url("/"))), 9017, "broke off after 4 of 100 bytes");
    // no length, but a reset is no end
    let peer = saying("HTTP/1.1 200 OK\r\n\r\nhalf", reset);
    assert_fault(fetch(request(peer.url("/"))), 9017, "broke off after 4 bytes");
}

// Proves: X-15
#[test]
fn a_content_length_that_is_too_large_is_9017_and_one_too_small_ends_the_file() {
    let (fetched, requests) = one([Reply::ok("0123456789").cut(3).close()]);
    assert_fault(fetched, 9017, "broke off after 7 of 10 bytes");
    assert_eq!(requests.len(), 1, "without a strong ETag nothing is asked for again");
    let small = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0123456789";
    assert_eq!(one([Reply::raw(small).close()]).0.file(), b"0123");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    assert_fault(one([Reply::raw(chunked).close()]).0, 9017, "broke off after 5 bytes");
    for bad in ["5x", "-1", "99999999999999999999999"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bad}\r\n\r\nabcde");
        assert_fault(one([Reply::raw(head).close()]).0, 9017, "127.0.0.1");
    }
}

/// The server has closed its end for writing, and reads on.
// Proves: X-15
#[test]
fn half_closed_servers() {
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", move |socket| {
        socket.shutdown(Shutdown::Write).expect("half closed");
        let _ = held.lock().expect("held").recv();
    });
    assert_fault(fetch(request(peer.url("/"))), 9017, "broke off after 4 of 100 bytes");
    drop(hold);
}

// Proves: X-15
#[test]
fn silence_is_9017() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] {
        let peer = scripted([Reply::raw(said), Reply::hang()]);
        let mut short = request(peer.url("/"));
        (short.limits.silence, short.options.timeouts.response) = (SHORT, SHORT);
        assert_fault(fetch(short), 9017, "deadline passed");
    }
}

/// Each byte comes in time, and all of them do not.
// Proves: X-15
#[test]
fn a_trickle_ends_with_the_time_for_all_9017() {
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", |mut socket| {
        while socket.write_all(b"x").is_ok() {
            std::thread::yield_now();
        }
    });
    let mut short = request(peer.url("/"));
    short.limits.whole = Duration::from_millis(300);
    assert_fault(fetch(short), 9017, "too long");
}

/// A chunk of one byte costs six, and trailers and comments any number: eight bytes of them to one is the end.
#[test]
fn chunks_of_a_byte_have_an_end() {
    let peer = saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", |mut socket| {
        while socket.write_all(&b"0000000000001\r\nx\r\n".repeat(1000)).is_ok() {}
    });
    assert_fault(fetch_small(request(peer.url("/"))), 9017, "does not end");
}

/// With 200,000 bytes at most: in chunks of a byte that cost 18 it takes in more than eight for each.
fn fetch_small(mut request: cwmpd::net::transfer::Request) -> crate::Fetched {
    request.limits.max_bytes = 200_000;
    fetch(request)
}

/// Encoded bytes are never taken for the file.
// Proves: X-15
#[test]
fn codings_that_nobody_asked_for_are_9018() {
    for (header, told) in [
        ("Content-Encoding: gzip", "compressed (gzip)"),
        ("Content-Encoding: x-gzip", "compressed (gzip)"),
        ("Content-Encoding: br", "br"),
        ("Content-Encoding: gzip, identity", "gzip"),
        ("Transfer-Encoding: gzip, chunked", "transfer coding"),
    ] {
        assert_fault(one([Reply::status("200 OK", &[header], b"\x1f\x8b")]).0, 9018, told);
    }
    assert_eq!(one([Reply::ok("f").with_header("Content-Encoding: identity")]).0.file(), b"f");
}

// Proves: X-15
#[test]
fn a_part_that_nobody_asked_for_is_9017() {
    let reply = Reply::status("206 Partial Content", &["Content-Range: bytes 0-3/10"], b"0123");
    assert_fault(one([reply]).0, 9017, "206");
}

// Proves: X-15
#[test]
fn what_is_no_http_is_9017() {
    for said in ["ICY 200 OK\r\n\r\n", "\x00\x01\x02", "HTTP/1.1 2000 OK\r\n\r\n"] {
        assert_fault(one([Reply::raw(said).close()]).0, 9017, "127.0.0.1");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
    assert_fault(one([Reply::raw(endless)]).0, 9017, "too large");
}

/// Whoever stops the agent, or gives the transfer up, does not wait for a server.
#[test]
fn every_wait_can_be_woken() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    // in the head, in the body, and in a wait of the rate limit
    for (said, rate) in [("", 0), (half, 0), (half, 1)] {
        let peer = scripted([Reply::raw(said), Reply::hang()]);
        let mut request = request(peer.url("/"));
        request.limits.bytes_per_second = rate;
        let (waker, wake) = wake();
        let folder = Folder::new();
        let file = folder.file();
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || done.send(get(request, 0, &file, &Meter::default(), &mut (), wake)));
        peer.wait_request();
        drop(waker);
        let result = result.recv_timeout(PATIENCE).expect("the GET ended");
        assert_eq!(result, Err(Failure::Stopped), "{said:?}, {rate}");
        assert!(folder.names().is_empty());
    }
}

/// No timing passes or fails: but at this rate it would be done at once, or take longer than anybody waits.
#[test]
fn a_rate_limit_lets_the_file_through() {
    let body = vec![b'x'; 50_000];
    let peer = scripted([Reply::ok(&body)]);
    let mut slow = request(peer.url("/"));
    slow.limits.bytes_per_second = 200_000;
    let begun = std::time::Instant::now();
    assert_eq!(fetch(slow).file(), body);
    assert!(begun.elapsed() >= Duration::from_millis(240), "{:?}", begun.elapsed());
}
