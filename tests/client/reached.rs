//! How far a session came: whether the way to the ACS is at fault when it fails.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use cwmpd::net::client::{Options, Reached, Timeouts};
use rustls::ALL_VERSIONS;

use crate::peer::tls::Authority;
use crate::peer::{Peer, Reply, client, listener, options};
use crate::waits::BlackHole;
use crate::{post, scripted};

/// The end of a session that POSTs once, and whether it went well.
fn end(options: Options) -> (bool, Reached) {
    let (mut client, _waker) = client(options);
    assert_eq!(client.reached(), Reached::Nothing);
    let went_well = post(&mut client, b"x").is_ok();
    (went_well, client.reached())
}

fn hurried(url: String) -> Options {
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    Options { timeouts, ..options(url) }
}

#[test]
fn silence_and_refusals() {
    assert_eq!(end(options("http://no-such-name.invalid/".into())), (false, Reached::Nothing));
    assert_eq!(end(hurried(BlackHole::new().url())), (false, Reached::Resolved));
    let free = listener().local_addr().expect("address");
    assert_eq!(end(options(format!("http://{free}/"))), (false, Reached::Refused));
}

#[test]
fn connections_and_answers() {
    let closing = scripted([Reply::raw("").close()]);
    assert_eq!(end(options(closing.url("/"))), (false, Reached::Connected));
    let speaking = scripted([Reply::status("503 Later", &[], b""), Reply::ok("x")]);
    assert_eq!(end(options(speaking.url("/"))), (false, Reached::Answered(503)));
    assert_eq!(end(options(speaking.url("/"))), (true, Reached::Answered(200)));
    let asking = scripted([
        Reply::challenge(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth\""]),
        Reply::challenge(&[]),
    ]);
    assert_eq!(end(options(asking.url("/"))), (false, Reached::Answered(401)));
}

/// Silence where TLS should be is no answer; whatever is said there is one.
#[test]
fn tls() {
    let authority = Authority::new();
    let trusting = |options: Options| Options { ca_file: Some(authority.file.clone()), ..options };
    let at = |address: SocketAddr| format!("https://localhost:{}/", address.port());
    let silent = listener();
    let address = silent.local_addr().expect("address");
    assert_eq!(end(trusting(hurried(at(address)))), (false, Reached::Tcp));
    drop(silent);
    let clear = listener();
    let address = clear.local_addr().expect("address");
    let speaking = std::thread::spawn(move || {
        let (mut stream, _) = clear.accept().expect("a connection");
        stream.write_all(b"HTTP/1.1 400 What?\r\n\r\n").expect("written");
    });
    assert_eq!(end(trusting(options(at(address)))), (false, Reached::Refused));
    speaking.join().expect("no panic");
    for (name, reached) in [("another.example", Reached::Refused), ("localhost", Reached::Connected)] {
        let identity = authority.sign(&[name], |_| {});
        let peer = Peer::start_tls(identity.server(ALL_VERSIONS, None), |_| Reply::raw("").close());
        assert_eq!(end(trusting(options(at(peer.address)))), (false, reached), "{name}");
    }
}
