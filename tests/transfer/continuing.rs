//! Bodies that break off and go on: part of the same attempt.

use cwmpd::net::transfer::Amounts;

use crate::peer::{Reply, Request};
use crate::{assert_fault, fetch, one, request};

const FILE: &[u8] = b"0123456789";

/// All of the file with this ETag, of which so many bytes come.
fn broken(etag: &str, come: usize) -> Reply {
    Reply::ok(FILE).with_header(&format!("ETag: {etag}")).cut(FILE.len() - come).close()
}

/// What comes behind `from`, of which the last `cut` bytes do not.
fn rest(from: usize, cut: usize) -> Reply {
    let range = format!("Content-Range: bytes {from}-9/10");
    let reply = Reply::status("206 Partial Content", &[&range, "ETag: \"e\""], &FILE[from..]);
    if cut > 0 { reply.cut(cut).close() } else { reply }
}

fn range(request: &Request) -> (Option<&str>, Option<&str>) {
    (request.header("Range"), request.header("If-Range"))
}

#[test]
fn what_broke_off_goes_on_where_it_was() {
    let (fetched, requests) = one([broken("\"e\"", 4), rest(4, 0)]);
    assert_eq!((fetched.seen.anew, fetched.meter), (0, Amounts { done: 10, expected: Some(10) }));
    assert_eq!(fetched.file(), FILE);
    assert_eq!(range(&requests[0]), (None, None));
    assert_eq!(range(&requests[1]), (Some("bytes=4-"), Some("\"e\"")));
}

#[test]
fn three_times_and_no_more() {
    let (fetched, requests) = one([broken("\"e\"", 2), rest(2, 6), rest(4, 4), rest(6, 0)]);
    assert_eq!(fetched.file(), FILE);
    assert_eq!(requests.len(), 4);
    let (fetched, requests) = one([broken("\"e\"", 2), rest(2, 7), rest(3, 6), rest(4, 5)]);
    assert_fault(fetched, 9017, "broke off after 5 of 10 bytes");
    assert_eq!(requests.len(), 4);
}

#[test]
fn only_a_strong_etag_lets_it_go_on() {
    for header in ["ETag: W/\"e\"", "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT", "X: y"] {
        let reply = Reply::ok(FILE).with_header(header).cut(6).close();
        let (fetched, requests) = one([reply]);
        assert_fault(fetched, 9017, "broke off after 4 of 10 bytes");
        assert_eq!(requests.len(), 1, "{header}");
    }
}

/// The file has changed, or the server knows no Range: it begins anew, and what was hashed is void.
#[test]
fn a_200_begins_the_file_anew() {
    let new = Reply::ok("a new file").with_header("ETag: \"f\"");
    let (fetched, _) = one([broken("\"e\"", 4), new]);
    assert_eq!((fetched.seen.anew, fetched.meter.done), (1, 10));
    assert_eq!(fetched.file(), b"a new file");
    // shorter than what was there, and broken off itself
    let short = Reply::ok("abc").with_header("ETag: \"f\"").cut(1).close();
    let end = Reply::status("206 P", &["Content-Range: bytes 2-2/3", "ETag: \"f\""], b"c");
    let (fetched, requests) = one([broken("\"e\"", 4), short, end]);
    assert_eq!(fetched.file(), b"abc");
    assert_eq!(range(&requests[2]), (Some("bytes=2-"), Some("\"f\"")));
    // what it is now counts among the three
    let again = || broken("\"e\"", 4);
    let (fetched, requests) = one([again(), again(), again(), again()]);
    assert_fault(fetched, 9017, "often enough");
    assert_eq!(requests.len(), 4);
    // and is judged like the first
    let coded = Reply::ok("abc").with_header("Content-Encoding: gzip");
    assert_fault(one([broken("\"e\"", 4), coded]).0, 9018, "gzip");
}

/// 206 with other content.
// Proves: X-15
#[test]
fn a_rest_of_something_else_is_9017() {
    for (range, etag, body, told) in [
        ("bytes 3-9/10", "\"e\"", &FILE[3..], "those from 4 on"),
        ("bytes 0-9/10", "\"e\"", FILE, "those from 4 on"),
        ("bytes 4-8/10", "\"e\"", &FILE[4..9], "those from 4 on"),
        ("bytes 4-9/10", "\"f\"", &FILE[4..], "another ETag"),
        ("bytes 4-10/11", "\"e\"", b"4567890", "11 bytes"),
    ] {
        let headers = [format!("Content-Range: {range}"), format!("ETag: {etag}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let reply = Reply::status("206 Partial Content", &headers, body);
        let (fetched, requests) = one([broken("\"e\"", 4), reply]);
        assert_fault(fetched, 9017, told);
        assert_eq!(requests.len(), 2, "{range}");
    }
    let bare = Reply::status("206 Partial Content", &["ETag: \"e\""], &FILE[4..]);
    assert_fault(one([broken("\"e\"", 4), bare]).0, 9017, "Content-Range");
    // the range is right, and more comes than it says
    let more = "HTTP/1.1 206 P\r\nContent-Range: bytes 4-9/10\r\nETag: \"e\"\r\nTransfer-Encoding: chunked\r\n\r\n\
                8\r\n4567890x\r\n0\r\n\r\n";
    assert_fault(one([broken("\"e\"", 4), Reply::raw(more)]).0, 9017, "more bytes");
    let coded = rest(4, 0).with_header("Content-Encoding: gzip");
    assert_fault(one([broken("\"e\"", 4), coded]).0, 9018, "gzip");
}

/// an HTTP error is never repeated, nor is a connection that is refused.
// Proves: X-13
#[test]
fn x_13_what_cannot_go_on_is_not_tried_again() {
    for status in ["404 Not Found", "416 Range Not Satisfiable", "503 Busy"] {
        let (fetched, requests) = one([broken("\"e\"", 4), Reply::status(status, &[], b"")]);
        assert_fault(fetched, 9017, &status[..3]);
        assert_eq!(requests.len(), 2);
    }
    // the server is gone
    let listener = crate::peer::listener();
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    let server = std::thread::spawn(move || {
        use std::io::Write;
        let (mut socket, _) = listener.accept().expect("a connection");
        drop(listener);
        crate::peer::read_head(&mut socket).expect("a head");
        let half = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\n0123";
        socket.write_all(half).expect("half");
    });
    let fetched = fetch(request(url));
    server.join().expect("the server");
    assert_fault(fetched, 9017, "refused");
}

/// Credentials that were asked for once go with the rest too; so does the place of a redirect.
// Proves
#[test]
fn the_rest_is_asked_for_where_the_file_was() {
    let (fetched, requests) = one([
        Reply::challenge(&["Basic realm=\"r\""]),
        Reply::redirect("302 Found", "/there"),
        broken("\"e\"", 4),
        rest(4, 0),
    ]);
    assert_eq!(fetched.file(), FILE);
    let last = &requests[3];
    assert_eq!((last.line(), last.header("Authorization")), ("GET /there HTTP/1.1", Some("Basic dTpw")));
}
