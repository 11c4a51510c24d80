//! Compression both ways, byte by byte.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use cwmpd::net::client::{Body, Client, Error, MAX_BODY, Options, Pieces};
use cwmpd::net::coding::Coding;
use flate2::Compression;
use flate2::bufread::{DeflateEncoder, GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};

use crate::peer::{self, Peer, Reply, Request};
use crate::{Rendered, one, post_ok, scripted};

const CODINGS: [Coding; 2] = [Coding::Gzip, Coding::Deflate];

fn compressing(peer: &Peer, coding: Coding) -> Options {
    Options { compression: Some(coding), ..peer::options(peer.url("/acs")) }
}

fn client(options: Options) -> (Client, std::os::unix::net::UnixStream) {
    peer::client(options)
}

/// A request's body as it was before it was compressed.
fn plain(request: &Request) -> Vec<u8> {
    let mut plain = Vec::new();
    let body = &request.body[..];
    match request.header("Content-Encoding") {
        Some("gzip") => GzDecoder::new(body).read_to_end(&mut plain),
        Some("deflate") => ZlibDecoder::new(body).read_to_end(&mut plain),
        other => panic!("Content-Encoding {other:?}"),
    }
    .expect("a whole stream");
    plain
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzEncoder::new(body, Compression::best()).read_to_end(&mut bytes).expect("memory can be read");
    bytes
}

fn coded(coding: &str, body: &[u8]) -> Reply {
    Reply::status("200 OK", &[&format!("Content-Encoding: {coding}")], body)
}

// Proves: T-32, T-35
#[test]
fn t32_t35_heads_and_bodies() {
    for coding in CODINGS {
        let peer = scripted([Reply::ok("x"), Reply::empty()]);
        let (mut client, _waker) = client(compressing(&peer, coding));
        let text = "<Envelope/>".repeat(1000);
        assert_eq!(post_ok(&mut client, text.as_bytes()), "x");
        client.post(Body::Empty).expect("204");
        let requests = peer.requests();
        assert_eq!(requests[0].header("Content-Encoding"), Some(coding.name()));
        assert_eq!(requests[0].header("Accept-Encoding"), Some("gzip, deflate"));
        assert_eq!(requests[0].header("Content-Type"), Some("text/xml; charset=utf-8"));
        let length = requests[0].body.len();
        assert_eq!(requests[0].header("Content-Length"), Some(length.to_string().as_str()));
        assert!(length < 200, "{length}");
        assert_eq!(plain(&requests[0]), text.as_bytes());
        // What has no body has no coding.
        assert_eq!(requests[1].header("Content-Encoding"), None);
        assert_eq!(requests[1].header("Accept-Encoding"), Some("gzip, deflate"));
        assert_eq!(requests[1].header("Content-Length"), Some("0"));
    }
}

/// What the agent writes, another program reads.
// Proves: T-32
#[test]
fn t32_gzip_reads_what_we_write() {
    let text = Rendered::new(30).whole();
    let bytes = Coding::Gzip.compress(&text).expect("memory can be read");
    let child = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("this machine has no gzip: not tested");
        return;
    };
    let mut input = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("gzip runs");
    writer.join().expect("it only writes").expect("gzip reads");
    assert!(output.status.success() && output.stdout == text);
}

/// Long answers are compressed while they are rendered, and are sent again from their first byte.
// Proves: T-32
#[test]
fn t32_streams_are_compressed() {
    let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
    for coding in CODINGS {
        let peer = scripted([
            Reply::challenge(&[challenge]),
            Reply::redirect("307 Temporary Redirect", "/new"),
            Reply::ok("1"),
            Reply::raw("").close(),
            Reply::ok("2"),
        ]);
        let (mut client, _waker) = client(compressing(&peer, coding));
        let mut body = Rendered::new(40);
        for want in ["1", "2"] {
            body.rewind().expect("rewind");
            assert_eq!(client.post(Body::Stream(&mut body)).expect("200").body, want.as_bytes());
        }
        let requests = peer.requests();
        assert_eq!(requests.len(), 5);
        for request in &requests {
            assert_eq!(request.header("Transfer-Encoding"), Some("chunked"));
            assert_eq!(request.header("Content-Length"), None);
            assert_eq!(plain(request), body.whole());
            assert_eq!(request.body, requests[0].body);
        }
    }
}

/// T-5, T-23: a challenge, a redirect and a dead connection get the same bytes again.
// Proves: T-5, T-23, T-32
#[test]
fn t32_the_same_bytes_again() {
    let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
    let peer = scripted([
        Reply::challenge(&[challenge]),
        Reply::redirect("302 Found", "/new"),
        Reply::ok("1"),
        Reply::raw("").close(),
        Reply::ok("2"),
    ]);
    let (mut client, _waker) = client(compressing(&peer, Coding::Gzip));
    let text = Rendered::new(9).whole();
    assert_eq!(post_ok(&mut client, &text), "1");
    assert_eq!(post_ok(&mut client, &text), "2");
    let requests = peer.requests();
    assert!(requests.iter().all(|r| r.body == requests[0].body && plain(r) == text));
    let connections: Vec<usize> = requests.iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 1]);
}

// Proves: T-33
#[test]
fn t33_which_request_was_refused() {
    let refused = |compression, body: Body<'_>| {
        let peer = scripted([Reply::status("415 Unsupported Media Type", &[], b"")]);
        let (mut client, _waker) = client(Options { compression, ..peer::options(peer.url("/")) });
        match client.post(body) {
            Err(Error::Status { code: 415, compressed, .. }) => compressed,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(Some(Coding::Gzip), Body::Whole(b"<Inform/>")));
    assert!(refused(Some(Coding::Deflate), Body::Stream(&mut Rendered::new(3))));
    assert!(!refused(Some(Coding::Gzip), Body::Empty), "nothing was compressed");
    assert!(!refused(None, Body::Whole(b"<Inform/>")));
}

/// Compressed responses are read whether they were asked for or not; the connection is kept.
// Proves: T-16, T-35
#[test]
fn t35_responses_are_decoded() {
    let text = "<Envelope/>".repeat(3000);
    let mut zlib = Vec::new();
    ZlibEncoder::new(text.as_bytes(), Compression::fast()).read_to_end(&mut zlib).expect("memory");
    let mut bare = Vec::new();
    DeflateEncoder::new(text.as_bytes(), Compression::best()).read_to_end(&mut bare).expect("memory");
    for (name, body) in [
        ("gzip", gzip(text.as_bytes())),
        ("X-GZip", gzip(text.as_bytes())),
        ("deflate", zlib),
        ("DEFLATE", bare),
        ("identity", text.clone().into_bytes()),
    ] {
        for compression in [None, Some(Coding::Deflate)] {
            let mut chunked =
                format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .into_bytes();
            for byte in &body[..] {
                chunked.extend_from_slice(b"1\r\n");
                chunked.extend_from_slice(&[*byte, b'\r', b'\n']);
            }
            chunked.extend_from_slice(b"0\r\n\r\n");
            let peer = scripted([
                coded(name, &body),
                Reply::raw(chunked),
                coded(name, &body).pieces(7),
                Reply::empty(),
            ]);
            let (mut client, _waker) = client(Options { compression, ..peer::options(peer.url("/")) });
            for _ in 0..3 {
                assert_eq!(post_ok(&mut client, b"<Inform/>"), text, "{name}");
            }
            assert_eq!(post_ok(&mut client, b"<Inform/>"), "");
            assert!(peer.requests().iter().all(|r| r.connection == 0), "{name}");
        }
    }
}

/// An empty response is one, whatever it says of its coding.
// Proves: T-11
#[test]
fn t11_nothing_is_nothing_in_any_coding() {
    for reply in [
        coded("gzip", b""),
        coded("br", b""),
        coded("gzip", &gzip(b"")),
        coded("gzip, gzip", b""),
        Reply::raw("HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"),
        Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        assert_eq!(one([reply]).0.expect("empty"), "");
    }
}

// Proves: T-35
#[test]
fn t35_what_cannot_be_decoded_ends_the_post_with_a_reason() {
    let whole = gzip(b"<Envelope/>");
    let mut wrong = whole.clone();
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    for (coding, body, word) in [
        ("gzip", whole[..whole.len() - 9].to_vec(), "gzip: incomplete"),
        ("gzip", whole[..5].to_vec(), "gzip: "),
        ("gzip", wrong, "checksum"),
        ("gzip", [&whole[..], b"\n"].concat(), "gzip: bytes behind its end"),
        ("gzip", [&whole[..], &whole].concat(), "gzip: bytes behind its end"),
        ("gzip", b"<Envelope/>".to_vec(), "invalid gzip header"),
        ("deflate", b"<Envelope/>".to_vec(), "deflate: corrupt"),
        ("deflate", whole.clone(), "deflate: "),
        ("br", whole.clone(), "not known: br"),
        ("compress", whole.clone(), "not known: compress"),
        ("gzip, gzip", gzip(&whole), "more than once: gzip, gzip"),
    ] {
        match one([coded(coding, &body)]).0 {
            Err(Error::Broken(text)) => assert!(text.contains(word), "{coding}: {text}"),
            other => panic!("{coding}: {other:?}"),
        }
    }
    // Cut off by the connection: that is what is said.
    let mut cut = coded("gzip", &gzip(&Rendered::new(30).whole()));
    cut = cut.cut(40).close();
    match one([cut]).0 {
        Err(Error::Broken(text)) => assert!(text.contains("disconnected"), "{text}"),
        other => panic!("{other:?}"),
    }
}

// Proves: T-35
#[test]
fn t35_bombs_are_refused_at_the_size_of_plain_bodies() {
    assert_eq!(one([coded("gzip", &gzip(&vec![b'x'; MAX_BODY]))]).0.expect("200").len(), MAX_BODY);
    let thousandfold = gzip(&vec![0; 64 << 20]);
    assert!(thousandfold.len() < 100_000);
    for (coding, body) in [
        ("gzip", gzip(&vec![b'x'; MAX_BODY + 1])),
        ("gzip", thousandfold),
        // Blocks without end that hold nothing, and a name without end.
        ("deflate", [0, 0, 0, 0xff, 0xff].repeat(MAX_BODY / 5)),
        ("gzip", [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &vec![b'n'; MAX_BODY - 10]].concat()),
    ] {
        let (result, _) = one([coded(coding, &body)]);
        assert!(matches!(result, Err(Error::TooLarge(_) | Error::Broken(_))), "{result:?}");
    }
}

/// The body of an error is no answer: it is not decoded, and its first bytes are not told.
#[test]
fn errors_are_not_decoded() {
    let body = gzip(b"no such place");
    match one([Reply::status("404 Not Found", &["Content-Encoding: gzip"], &body)]).0 {
        Err(Error::Status { code: 404, text, .. }) => assert_eq!(text, ""),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_compressed_body_that_cannot_be_rendered_ends_the_post() {
    struct Broken(usize);
    impl Pieces for Broken {
        fn rewind(&mut self) -> std::io::Result<()> {
            Ok(())
        }
        fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
            self.0 += 1;
            match self.0 {
                1..10 => Ok(Some(vec![0; 20_000])),
                _ => Err(std::io::Error::other("the tree is gone")),
            }
        }
    }
    let peer = scripted([]);
    let (mut client, _waker) = client(compressing(&peer, Coding::Gzip));
    match client.post(Body::Stream(&mut Broken(0))) {
        Err(Error::Broken(text)) => assert!(text.contains("the tree is gone"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(peer.requests().is_empty());
}
