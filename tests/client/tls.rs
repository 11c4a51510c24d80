//! Group B: TLS.

use std::sync::Arc;

use cwmpd::net::client::{Client, Error, Options};
use rustls::ALL_VERSIONS;
use rustls::version::{TLS12, TLS13};

use crate::peer::tls::{Authority, Identity};
use crate::peer::{Peer, Reply, client, options};
use crate::{post, post_ok, scripted};

fn server(identity: &Identity) -> Peer {
    Peer::start_tls(identity.server(ALL_VERSIONS, None), |_| Reply::ok("in"))
}

fn trusting(url: String, authority: &Authority) -> Options {
    let mut options = options(url);
    options.ca_file = Some(authority.file.clone());
    options
}

fn tls_error(result: Result<String, Error>) -> String {
    match result {
        Err(Error::Tls(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn by_name(peer: &Peer) -> String {
    format!("https://localhost:{}/", peer.address.port())
}

fn refusal(identity: &Identity, change: impl FnOnce(&mut Options), authority: &Authority) -> String {
    let peer = server(identity);
    let mut options = trusting(by_name(&peer), authority);
    change(&mut options);
    let (mut client, _waker) = client(options);
    let text = tls_error(post(&mut client, b"x"));
    assert!(peer.requests().is_empty(), "nothing is sent");
    text
}

// Proves: S-2
#[test]
fn s2_both_versions_and_reuse() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    for version in [&TLS12, &TLS13] {
        let config = identity.server(&[version], None);
        let peer = Peer::start_tls(config, |r| match r.body.as_slice() {
            b"close" => Reply::raw("HTTP/1.1 200 OK\r\n\r\nclosed").close(),
            _ => Reply::ok("in").pieces(1),
        });
        let (mut client, _waker) = client(trusting(by_name(&peer), &authority));
        let bodies: [&[u8]; 4] = [b"1", b"2", b"close", &vec![b'x'; 300_000]];
        for body in bodies {
            let want = if body == b"close" { "closed" } else { "in" };
            assert_eq!(post_ok(&mut client, body), want);
        }
        let requests = peer.requests();
        let connections: Vec<usize> = requests.iter().map(|r| r.connection).collect();
        assert_eq!(connections, [0, 0, 0, 1]);
        assert_eq!(requests[3].body.len(), 300_000);
    }
}

// Proves: S-3
#[test]
fn s3_large_answers_and_answers_cut_off() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    let peer = server_with(&identity, vec![Reply::ok(vec![b'x'; 2 << 20])]);
    let (mut whole, _waker) = client(trusting(by_name(&peer), &authority));
    assert_eq!(post_ok(&mut whole, b"x").len(), 2 << 20);

    // TCP ends without TLS's own ending: somebody may have cut the body
    let config = Arc::new(identity.server(ALL_VERSIONS, None));
    let abrupt = move |socket| {
        let tls = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
        let stream: Box<dyn crate::peer::Stream> = Box::new(rustls::StreamOwned::new(tls, socket));
        Some(stream)
    };
    let reply = |_: &crate::peer::Request| Reply::raw("HTTP/1.1 200 OK\r\n\r\nhalf").close();
    let peer = Peer::over(crate::peer::listener(), "https", abrupt, reply);
    let (mut cut, _waker) = client(trusting(by_name(&peer), &authority));
    let result = post(&mut cut, b"x");
    assert!(matches!(result, Err(Error::Broken(_))), "{result:?}");
}

fn server_with(identity: &Identity, replies: Vec<Reply>) -> Peer {
    let mut replies = replies.into_iter();
    let config = identity.server(ALL_VERSIONS, None);
    Peer::start_tls(config, move |_| replies.next().expect("scripted"))
}

// Proves: S-5, S-6, S-8
#[test]
fn s5_s6_s8_certificates_that_are_refused() {
    let authority = Authority::new();
    let other = authority.sign(&["other.example", "*.example.net"], |_| {});
    let text = refusal(&other, |_| {}, &authority);
    assert_eq!(text, "the certificate of localhost is for other.example, *.example.net");

    let by_address = authority.sign(&["127.0.0.1"], |_| {});
    let text = refusal(&by_address, |_| {}, &authority);
    assert!(text.starts_with("the certificate of localhost is for "), "{text}");

    let nameless = authority.sign(&[], |p| {
        p.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    });
    refusal(&nameless, |_| {}, &authority);

    let expired = authority.sign(&["localhost"], |p| p.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let text = refusal(&expired, |_| {}, &authority);
    assert_eq!(text, "the certificate of localhost has expired");

    let early = authority.sign(&["localhost"], |p| p.not_before = rcgen::date_time_ymd(3000, 1, 1));
    let text = refusal(&early, |_| {}, &authority);
    assert_eq!(text, "the certificate of localhost is not valid yet");

    let untrusted = Authority::new().sign(&["localhost"], |_| {});
    let text = refusal(&untrusted, |_| {}, &authority);
    assert!(text.contains("localhost"), "{text}");

    let text = refusal(&Identity::self_signed(&["localhost"]), |_| {}, &authority);
    assert_eq!(text, "the certificate of localhost is not signed by a trusted root");
}

/// The name in the client hello when a host is reached whose server has a certificate; nothing is
/// looked up and nothing leaves the process.
fn handshake(
    host: &str,
    identity: &Identity,
    authority: &Authority,
) -> Result<Option<String>, rustls::Error> {
    let options = trusting(format!("https://{host}/"), authority);
    let config = cwmpd::net::tls::config(&options).expect("roots");
    let mut client = cwmpd::net::tls::connection(&config, host).expect("a name");
    let server = Arc::new(identity.server(ALL_VERSIONS, None));
    let mut server = rustls::ServerConnection::new(server).expect("a server");
    while client.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("memory");
        }
        let mut sent = sent.as_slice();
        while !sent.is_empty() {
            server.read_tls(&mut sent).expect("memory");
            server.process_new_packets().expect("a client hello");
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).expect("memory");
        }
        let mut answer = answer.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer).expect("memory");
            client.process_new_packets()?;
        }
    }
    Ok(server.server_name().map(str::to_string))
}

/// S-4: a name is sent to the server, an address is not (RFC 6066). S-6: a wildcard stands for one
/// label, the left-most.
// Proves: S-4, S-6
#[test]
fn s4_s6_names_and_wildcards() {
    let authority = Authority::new();
    let wildcard = authority.sign(&["*.example.net"], |_| {});
    let told = handshake("acs.example.net", &wildcard, &authority);
    assert_eq!(told, Ok(Some("acs.example.net".to_string())));
    for other in ["a.acs.example.net", "example.net", "acs.example.com", "192.0.2.1"] {
        assert!(handshake(other, &wildcard, &authority).is_err(), "{other}");
    }
    let addresses = authority.sign(&["192.0.2.1", "2001:db8::1"], |_| {});
    assert_eq!(handshake("192.0.2.1", &addresses, &authority), Ok(None));
    assert_eq!(handshake("2001:db8::1", &addresses, &authority), Ok(None));
    assert!(handshake("192.0.2.2", &addresses, &authority).is_err());
}

#[test]
fn s6_addresses() {
    let authority = Authority::new();
    let peer = server(&authority.sign(&["127.0.0.1"], |_| {}));
    let (mut by_address, _waker) = client(trusting(peer.url("/"), &authority));
    assert_eq!(post_ok(&mut by_address, b"x"), "in");
}

// Proves: S-7
#[test]
fn s7_dates_are_ignored_only_while_the_clock_is_not_set() {
    let authority = Authority::new();
    let expired = authority.sign(&["localhost"], |p| p.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let early = authority.sign(&["localhost"], |p| p.not_before = rcgen::date_time_ymd(3000, 1, 1));
    for identity in [&expired, &early] {
        let peer = server(identity);
        let mut unset = trusting(by_name(&peer), &authority);
        unset.clock_set = false;
        let (mut client, _waker) = client(unset);
        assert_eq!(post_ok(&mut client, b"x"), "in");
    }
    // all the rest is still checked
    let unset = |o: &mut Options| o.clock_set = false;
    let change = |p: &mut rcgen::CertificateParams| p.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let text = refusal(&authority.sign(&["other.example"], change), unset, &authority);
    assert_eq!(text, "the certificate of localhost is for other.example");
    refusal(&Authority::new().sign(&["localhost"], change), unset, &authority);
    refusal(&Identity::self_signed(&["localhost"]), unset, &authority);
}

// Proves: S-9
#[test]
fn s9_client_certificates() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    let ours = authority.sign(&["00D09E-Box-1"], |_| {});
    for versions in [&[&TLS12], &[&TLS13]] {
        let config = identity.server(versions, Some(&authority));
        let peer = Peer::start_tls(config, |_| Reply::ok("in"));
        let mut with = trusting(by_name(&peer), &authority);
        with.client_certificate = Some(ours.files());
        let (mut with, _waker) = client(with);
        assert_eq!(post_ok(&mut with, b"x"), "in");
        let (mut without, _waker) = client(trusting(by_name(&peer), &authority));
        let text = tls_error(post(&mut without, b"x"));
        assert!(text.contains("alert"), "{text}");
    }
}

// Proves: S-5, S-9
#[test]
fn s5_s9_files_that_are_no_use() {
    let authority = Authority::new();
    let new = |change: &dyn Fn(&mut Options)| {
        let (_, wake) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut options = trusting("https://127.0.0.1:1/".to_string(), &authority);
        change(&mut options);
        match Client::new(options, wake.into()) {
            Err(Error::Credentials(text)) => text,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was taken"),
        }
    };
    assert!(new(&|o| o.ca_file = None).contains("acs.ca_file"));
    assert!(new(&|o| o.ca_file = Some("/no/such/file".into())).contains("/no/such/file"));
    let empty = crate::peer::tls::file("empty.pem", "no PEM at all\n");
    assert!(new(&|o| o.ca_file = Some(empty.clone())).contains("no certificate"));
    let identity = authority.sign(&["x"], |_| {});
    let (certificate, key) = identity.files();
    let (_, other_key) = authority.sign(&["y"], |_| {}).files();
    let pair = |c: &std::path::Path, k: &std::path::Path| {
        let pair = Some((c.to_path_buf(), k.to_path_buf()));
        new(&move |o: &mut Options| o.client_certificate = pair.clone())
    };
    assert!(pair(&certificate, &certificate).contains("no private key"));
    assert!(pair(&key, &key).contains("no certificate"));
    assert!(!pair(&certificate, &other_key).is_empty());
}

// Proves: S-1, S-10
#[test]
fn s1_s10_no_way_back_to_clear_text() {
    // a server that speaks no TLS
    let plain = scripted([]);
    let authority = Authority::new();
    let url = format!("https://{}/", plain.address);
    let peer = Peer::raw(|_, mut socket| {
        use std::io::{Read, Write};
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"HTTP/1.1 400 This is HTTP\r\n\r\n");
    });
    let (mut talks, _waker) = client(trusting(format!("https://{}/", peer.address), &authority));
    tls_error(post(&mut talks, b"x"));
    drop(plain);
    let (mut closed, _waker) = client(trusting(url, &authority));
    assert!(post(&mut closed, b"x").is_err());
}

// Proves: T-29, T-30
#[test]
fn t29_t30_redirects_over_tls() {
    let authority = Authority::new();
    let target = server(&authority.sign(&["localhost"], |_| {}));
    let from = scripted([Reply::redirect("302 Found", &by_name(&target))]);
    let (mut up, _waker) = client(trusting(from.url("/"), &authority));
    assert_eq!(post_ok(&mut up, b"x"), "in");

    // the certificate of the target is checked for the target's own name
    let from = scripted([Reply::redirect("302 Found", &target.url("/"))]);
    let (mut wrong, _waker) = client(trusting(from.url("/"), &authority));
    tls_error(post(&mut wrong, b"x"));

    let clear = scripted([]);
    let identity = authority.sign(&["localhost"], |_| {});
    let down = server_with(&identity, vec![Reply::redirect("302 Found", &clear.url("/"))]);
    let (mut down, _waker) = client(trusting(by_name(&down), &authority));
    match post(&mut down, b"x") {
        Err(Error::Redirect(text)) => assert!(text.contains("https to http"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(clear.requests().is_empty());
}

// Proves: S-13
#[test]
fn s12_s13_basic_over_tls_and_secure_cookies() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    let challenge = Reply::challenge(&["Basic realm=\"r\""]).with_header("Set-Cookie: s=1; Secure");
    let peer = server_with(&identity, vec![challenge, Reply::ok("1"), Reply::ok("2")]);
    let (mut client, _waker) = client(trusting(by_name(&peer), &authority));
    assert_eq!(post_ok(&mut client, b"x"), "1");
    assert_eq!(post_ok(&mut client, b"x"), "2");
    let requests = peer.requests();
    let basic = requests[1..].iter().all(|r| r.header("Authorization") == Some("Basic dTpw"));
    assert!(basic && requests.iter().all(|r| r.connection == 0));
    assert_eq!(requests[1].header("Cookie"), Some("s=1"));
}
