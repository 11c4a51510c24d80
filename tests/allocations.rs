//! Nothing is reserved by a number that a peer wrote: the most memory that was allocated at once is
//! measured while messages are read that promise much and hold little. One test alone, since the
//! allocator counts the whole process.

mod peer;

use cwmpd::model::grammar;
use cwmpd::net::client::Body;
use cwmpd::net::connection_request::{Credentials, Listener, Settings};
use cwmpd::soap::reader;
use cwmpd::state::journal::Journal;
use peak_alloc::PeakAlloc;
use peer::{Peer, Reply, client, options};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a small thing may take that is read honestly, bytes. The least lie below says a megabyte.
const LITTLE: usize = 128 * 1024;

/// The most that was allocated at once while something was done, above what there was before.
fn peak(act: impl FnOnce()) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    act();
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// One POST that is answered with these bytes.
fn exchange(answer: &str) {
    let answer = answer.to_owned();
    let peer = Peer::start(move |_| Reply::raw(answer.clone()).close());
    let (mut client, _waker) = client(options(peer.url("/")));
    let _ = client.post(Body::Whole(b"<Inform/>"));
}

/// A request to a connection-request port of its own, to the end of what is said about it.
fn call(request: &str) {
    let credentials = Credentials { username: "acs".into(), password: "p".into() };
    let settings = Settings::new("/path".into(), credentials);
    let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), settings).expect("loopback");
    let mut stream = TcpStream::connect(listener.local_address()).expect("a connection");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.set_nonblocking(true).expect("a socket");
    let mut answer = [0; 512];
    while !matches!(stream.read(&mut answer), Ok(n) if n > 0) {
        listener.turn(Instant::now());
    }
}

/// A journal whose file ends with these bytes.
fn replay(folder: &Path, rest: &[u8]) {
    std::fs::write(folder.join("journal"), [b"cwmpd journal 1\n", rest].concat()).expect("a file");
    Journal::open(folder).expect("nobody else has it");
}

/// A whole record with this payload.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&length[..], &crc32fast::hash(payload).to_le_bytes(), payload].concat()
}

// Proves: R-GEN-3
#[test]
fn nothing_is_reserved_by_a_number_of_a_peer() {
    let folder = std::env::temp_dir().join(format!("cwmpd-allocations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    // Everything once before it is measured: what is made at first use is nobody's lie.
    for round in ["warm", "measured"] {
        let judge = |what: &str, act: &mut dyn FnMut()| {
            let took = peak(act);
            assert!(round == "warm" || took < LITTLE, "{what} took {took} bytes");
        };
        for count in ["[4294967295]", "[99999999999999999999]", "[1,2,3]", "[-1]"] {
            let text = format!(
                "<Envelope><Body><GetParameterValues><ParameterNames arrayType='string{count}'>\
                 <string>Device.</string></ParameterNames></GetParameterValues></Body></Envelope>"
            );
            judge(count, &mut || drop(reader::read(text.as_bytes()).expect("a request")));
        }
        let beginning = "HTTP/1.1 200 OK\r\n";
        for head in [
            "Content-Length: 10\r\n\r\n",
            "Content-Length: 2000000\r\n\r\n",
            "Content-Length: 99999999999\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1F0000\r\n",
            "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n",
        ] {
            judge(head, &mut || exchange(&format!("{beginning}{head}little")));
        }
        for length in ["0", "65536", "4294967296", "18446744073709551615"] {
            judge("a call", &mut || {
                call(&format!("GET /path HTTP/1.1\r\nContent-Length: {length}\r\n\r\nx"))
            });
        }
        for length in [1_u32, 1_048_576, u32::MAX] {
            let rest = [&length.to_le_bytes()[..], b"\x01\x02\x03\x04+"].concat();
            judge("a record's length", &mut || replay(&folder, &rest));
        }
        judge("a key's length", &mut || replay(&folder, &record(b"+\xff\xffkey")));
        judge("a value's length", &mut || replay(&folder, &record(b"+\x01\x00k\xff\xff\xff\xffv")));
        judge("bounds of a row", &mut || {
            let text = "[\"Device.\"]\n\
                        A = { type = \"string(4294967295..)\", store = \"\" }\n\
                        B = { type = \"list(string)\", items = \"65534..\", list_size = 4294967295, store = \"\" }\n";
            let _ = grammar::schema_from(&[("x.toml", text)], &[]);
        });
    }
    std::fs::remove_dir_all(&folder).expect("the folder");
}
