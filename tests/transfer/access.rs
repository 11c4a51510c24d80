//! Credentials, redirects and certificates.

use cwmpd::net::transfer::Failure;
use rustls::ALL_VERSIONS;

use crate::peer::tls::Authority;
use crate::peer::{Peer, Reply, listener};
use crate::{Fetched, assert_fault, fetch, one, request, scripted};

const DIGEST: &str = r#"Digest realm="r", nonce="n1", qop="auth", algorithm=SHA-256"#;
const OLD_DIGEST: &str = r#"Digest realm="r", nonce="n1", qop="auth""#;
const BASIC: &str = r#"Basic realm="r""#;

/// X-32: Digest is taken before Basic; Basic over http is answered when there is nothing else.
// Proves: X-32
#[test]
fn x_32_digest_and_basic() {
    for challenges in [vec![DIGEST], vec![OLD_DIGEST], vec![BASIC, OLD_DIGEST]] {
        let peer = Peer::start(move |r| match r.digest_is_right("n1") {
            true => Reply::ok("in"),
            false => Reply::challenge(&challenges),
        });
        assert_eq!(fetch(request(peer.url("/a b?c"))).file(), b"in");
        let requests = peer.requests();
        assert_eq!((requests.len(), requests[0].authorization()), (2, None));
        assert_eq!(requests[1].connection, 0, "the connection is kept");
    }
    let (fetched, requests) = one([Reply::challenge(&[BASIC]), Reply::ok("in")]);
    assert_eq!(fetched.file(), b"in");
    assert_eq!(requests[1].header("Authorization"), Some("Basic dTpw"));
}

// Proves: X-15, X-32
#[test]
fn x_32_401_for_ever_is_9012() {
    for challenge in [DIGEST, BASIC, "Negotiate", r#"Digest realm="r", nonce="n", stale=true"#] {
        let peer = Peer::start(move |_| Reply::challenge(&[challenge]));
        assert_fault(fetch(request(peer.url("/"))), 9012, "127.0.0.1");
        assert!(peer.requests().len() <= 3, "{}", peer.requests().len());
    }
    let (fetched, requests) = one([Reply::status("401 Unauthorized", &[], b"")]);
    assert_fault(fetched, 9012, "without a challenge");
    assert_eq!(requests.len(), 1);
    assert_fault(one([Reply::status("407 Proxy Authentication Required", &[], b"")]).0, 9012, "407");
    // none in the RPC
    let peer = scripted([Reply::challenge(&[BASIC])]);
    let mut bare = request(peer.url("/"));
    (bare.options.username, bare.options.password) = (String::new(), String::new());
    assert_fault(fetch(bare), 9012, "none are set");
    // a name that no header can carry
    let mut odd = request(peer.url("/"));
    odd.options.username = "für".into();
    assert_fault(fetch(odd), 9012, "user name");
}

/// X-13: an HTTP error is never repeated.
// Proves: X-13, X-15
#[test]
fn x_15_statuses_are_9016_and_asked_for_once() {
    for status in [204, 300, 304, 400, 403, 404, 410, 416, 500, 502, 503] {
        let head = format!("HTTP/1.1 {status} Some\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n");
        let (fetched, requests) = one([Reply::raw(head)]);
        assert!(matches!(&fetched.result, Err(Failure::Status(code, _)) if *code == status));
        assert_fault(fetched, 9016, &format!("HTTP status {status}"));
        assert_eq!(requests.len(), 1, "{status}");
    }
}

// Proves: X-35
#[test]
fn x_35_redirects_are_followed_as_gets() {
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let (fetched, requests) = one([Reply::redirect(status, "../new?x"), Reply::ok("there")]);
        assert_eq!(fetched.file(), b"there");
        assert_eq!(requests[1].line(), "GET /new?x HTTP/1.1");
    }
    let loops = Peer::start(|_| Reply::redirect("302 Found", "/again"));
    assert_fault(fetch(request(loops.url("/"))), 9016, "more than 5 redirects");
    assert_eq!(loops.requests().len(), 6);
    for bad in ["ftp://a/", "http://u:p@a/", "mailto:x", ""] {
        assert_fault(one([Reply::redirect("302 Found", bad)]).0, 9016, "Location");
    }
}

/// X-35: whom the server redirects to does not learn the credentials.
// Proves: X-33, X-35
#[test]
fn x_35_credentials_are_for_the_place_that_the_acs_named() {
    let other = Peer::start(|_| Reply::challenge(&[BASIC]));
    let there = other.url("/x");
    let peer = Peer::start(move |r| match r.header("Authorization") {
        Some(_) => Reply::redirect("302 Found", &there),
        None => Reply::challenge(&[BASIC]),
    });
    assert_fault(fetch(request(peer.url("/"))), 9012, "alone");
    assert_eq!(other.requests().len(), 1);
    assert_eq!(other.requests()[0].header("Authorization"), None);
    // without a challenge the file there is as good
    let open = scripted([Reply::ok("open")]);
    let peer = scripted([Reply::redirect("302 Found", &open.url("/x"))]);
    assert_eq!(fetch(request(peer.url("/"))).file(), b"open");
}

fn over_tls(authority: &Authority, names: &[&str], trusted: &Authority, host: &str) -> (Fetched, usize) {
    let config = authority.sign(names, |_| {}).server(ALL_VERSIONS, None);
    let peer = Peer::start_tls(config, |_| Reply::ok(vec![b'x'; 300_000]));
    let mut request = request(format!("https://{host}:{}/", peer.address.port()));
    request.options.ca_file = Some(trusted.file.clone());
    (fetch(request), peer.requests().len())
}

// Proves: X-31
#[test]
fn x_31_https_and_certificates_that_are_no_good() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (fetched, _) = over_tls(&authority, &["localhost"], &authority, "localhost");
    assert_eq!(fetched.file().len(), 300_000);
    let (fetched, requests) = over_tls(&authority, &["other.example"], &authority, "localhost");
    assert_fault(fetched, 9015, "is for other.example");
    assert_eq!(requests, 0, "nothing is asked of a stranger");
    let (fetched, requests) = over_tls(&stranger, &["localhost"], &authority, "localhost");
    assert_fault(fetched, 9015, "certificate of localhost");
    assert_eq!(requests, 0);
    assert_fault(fetch(request("https://localhost:1/".into())), 9015, "ca_file");
}

// Proves: X-31, X-35
#[test]
fn x_35_never_from_https_to_http() {
    let authority = Authority::new();
    let clear = scripted([]);
    let down = clear.url("/f");
    let config = authority.sign(&["localhost"], |_| {}).server(ALL_VERSIONS, None);
    let peer = Peer::start_tls(config, move |_| Reply::redirect("302 Found", &down));
    let mut request = request(format!("https://localhost:{}/", peer.address.port()));
    request.options.ca_file = Some(authority.file.clone());
    assert_fault(fetch(request), 9016, "https to http");
    assert!(clear.requests().is_empty());
}

/// The same host by https is the same host: who is sent there has its certificate.
// Proves: X-32, X-35
#[test]
fn x_35_credentials_go_up_to_https() {
    let authority = Authority::new();
    let config = authority.sign(&["localhost"], |_| {}).server(ALL_VERSIONS, None);
    let safe = Peer::start_tls(config, |r| match r.header("Authorization") {
        Some("Basic dTpw") => Reply::ok("in"),
        _ => Reply::challenge(&[BASIC]),
    });
    let up = format!("https://localhost:{}/", safe.address.port());
    let peer = Peer::start(move |_| Reply::redirect("301 Moved", &up));
    let mut request = request(format!("http://localhost:{}/", peer.address.port()));
    request.options.ca_file = Some(authority.file.clone());
    assert_eq!(fetch(request).file(), b"in");
}

/// X-35: the client certificate is for the place that the ACS named, as the credentials are.
// Proves: X-31, X-35
#[test]
fn x_35_a_stranger_does_not_see_the_client_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["agent"], |_| {}).files();
    let config = authority.sign(&["localhost"], |_| {}).server(ALL_VERSIONS, Some(&authority));
    let other = Peer::start_tls(config, |_| Reply::ok("in"));
    let there = format!("https://localhost:{}/", other.address.port());
    let with = |url: &str| {
        let mut request = request(url.into());
        request.options.ca_file = Some(authority.file.clone());
        request.options.client_certificate = Some((certificate.clone(), key.clone()));
        fetch(request)
    };
    assert_eq!(with(&there).file(), b"in", "the ACS named it");
    let to = there.clone();
    let peer = Peer::start(move |_| Reply::redirect("302 Found", &to));
    assert_ne!(with(&peer.url("/")).fault().0, 0);
    assert_eq!(other.requests().len(), 1);
    let up = format!("http://localhost:{}/", peer.address.port());
    assert_eq!(with(&up).file(), b"in", "the same host");
}

/// X-13: a connection that is refused is not tried again.
// Proves: X-13, X-15
#[test]
fn x_15_refused_connections_and_unknown_names_are_9015() {
    let free = listener().local_addr().expect("address");
    assert_fault(fetch(request(format!("http://{free}/"))), 9015, "refused");
    assert_fault(fetch(request("http://no-such-host.invalid/".into())), 9015, "no-such-host.invalid");
    assert_fault(fetch(request("ftp://a/".into())), 9015, "neither http nor https");
}
