//! Group B: challenges and their answers.

use std::io::Write;

use cwmpd::net::client::{Body, Error, Pieces};

use crate::peer::{Peer, Reply, Request, client, options, read_head, read_request};
use crate::{Rendered, one, post, post_ok, scripted};

/// Answers 200 to who knows the password, a challenge to others.
fn guarded(challenge: &'static str, nonce: &'static str) -> Peer {
    Peer::start(move |r| match r.digest_is_right(nonce) {
        true => Reply::ok("in"),
        false => Reply::challenge(&[challenge]),
    })
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    request.authorization()?.get(name).map(str::to_string)
}

// Proves: T-5, S-13, S-16, S-17
#[test]
fn t5_s13_s16_s17_the_answer_goes_by_the_same_connection_and_stays() {
    for algorithm in ["", ", algorithm=MD5", ", algorithm=MD5-sess", ", algorithm=SHA-256"] {
        let challenge = format!(r#"Digest realm="acs", nonce="n", qop="auth,auth-int"{algorithm}"#);
        let peer = guarded(challenge.leak(), "n");
        let (mut client, _waker) = client(options(peer.url("/acs?x")));
        for _ in 0..3 {
            assert_eq!(post_ok(&mut client, b"<Inform/>"), "in");
        }
        let requests = peer.requests();
        assert_eq!(requests.len(), 4);
        assert!(requests.iter().all(|r| r.connection == 0 && r.body == b"<Inform/>"));
        assert!(requests[0].authorization().is_none());
        let counts: Vec<_> = requests[1..].iter().map(|r| parameter(r, "nc")).collect();
        let want = ["00000001", "00000002", "00000003"].map(|c| Some(c.to_string()));
        assert_eq!(counts, want);
        let cnonce = parameter(&requests[1], "cnonce");
        assert!(cnonce.as_ref().is_some_and(|c| c.len() >= 16));
        assert!(requests[1..].iter().all(|r| parameter(r, "cnonce") == cnonce));
        assert!(requests[1..].iter().all(|r| parameter(r, "uri").as_deref() == Some("/acs?x")));
        assert_eq!(parameter(&requests[1], "algorithm").is_some(), !algorithm.is_empty());
    }
}

// Proves: T-5
#[test]
fn t5_a_challenge_that_closes_is_answered_on_a_new_connection() {
    let peer = Peer::start(|r| match r.digest_is_right("n") {
        true => Reply::ok("in"),
        false => Reply::challenge(&[r#"Digest realm="r", nonce="n", qop=auth"#])
            .with_header("Connection: close")
            .close(),
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    assert_eq!(post_ok(&mut client, b"x"), "in");
    let requests = peer.requests();
    assert_eq!((requests.len(), requests[1].connection), (2, 1));
    assert_eq!(parameter(&requests[1], "nc").as_deref(), Some("00000001"));
}

// Proves: S-17
#[test]
fn s17_a_new_connection_has_a_new_cnonce_and_the_count_goes_on() {
    let peer = Peer::start(|r| match r.digest_is_right("n") {
        true => Reply::ok("in").with_header("Connection: close").close(),
        false => Reply::challenge(&[r#"Digest realm="r", nonce="n", qop="auth""#]),
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    for _ in 0..3 {
        post_ok(&mut client, b"x");
    }
    let requests = peer.requests();
    let answers = &requests[1..];
    assert_eq!(answers.iter().map(|r| r.connection).collect::<Vec<_>>(), [0, 1, 2]);
    let mut cnonces: Vec<_> = answers.iter().map(|r| parameter(r, "cnonce")).collect();
    cnonces.dedup();
    assert_eq!(cnonces.len(), 3);
    let counts: Vec<_> = answers.iter().filter_map(|r| parameter(r, "nc")).collect();
    assert_eq!(counts, ["00000001", "00000002", "00000003"]);
}

// Proves: S-18
#[test]
fn s18_endless_challenges_end() {
    let plain = r#"Digest realm="r", nonce="n", qop="auth""#;
    let stale = r#"Digest realm="r", nonce="n", qop="auth", stale=TRUE"#;
    for (challenge, requests) in [(plain, 2), (stale, 3), ("Digest nonce=\"no realm\"", 1)] {
        let mut patience = 10;
        let peer = Peer::start(move |_| {
            patience -= 1;
            match patience {
                ..0 => Reply::status("500 Enough", &[], b""),
                _ => Reply::challenge(&[challenge]),
            }
        });
        let (mut client, _waker) = client(options(peer.url("/")));
        match post(&mut client, b"x") {
            Err(Error::Authentication(text)) => assert!(!text.contains("p\""), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(peer.requests().len(), requests, "{challenge}");
    }
}

// Proves: S-18
#[test]
fn s18_a_stale_nonce_is_replaced_silently() {
    // each nonce is good for two requests
    let mut used = 0;
    let peer = Peer::start(move |r| {
        let nonce = format!("n{}", used / 2);
        if r.digest_is_right(&nonce) {
            used += 1;
            return Reply::ok("in");
        }
        let stale = if r.authorization().is_some() { ", stale=true" } else { "" };
        Reply::challenge(&[&format!(r#"Digest realm="r", nonce="{nonce}", qop="auth"{stale}"#)])
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    for _ in 0..5 {
        assert_eq!(post_ok(&mut client, b"x"), "in");
    }
    let requests = peer.requests();
    let counts: Vec<_> = requests.iter().map(|r| parameter(r, "nc").unwrap_or_default()).collect();
    let (one, two, three) = ("00000001", "00000002", "00000003");
    assert_eq!(counts, ["", one, two, three, one, two, three, one]);
}

// Proves: S-19
#[test]
fn s19_the_strongest_known_challenge_is_answered() {
    let md5 = r#"Digest realm="r", nonce="weak", qop="auth", algorithm=MD5"#;
    let sha = r#"Digest realm="r", nonce="strong", qop="auth", algorithm=SHA-256, opaque="o\"p""#;
    let unknown = r#"Digest realm="r", nonce="unknown", qop="auth", algorithm=SHA-512-256"#;
    let basic = "Basic realm=\"r, s\"";
    let joined = format!("{unknown}, {basic}, {md5}, {sha}");
    let lists: [&[&str]; 3] = [&[md5, sha], &[basic, sha, unknown, md5], &[&joined]];
    for list in lists {
        let headers: Vec<String> = list.iter().map(ToString::to_string).collect();
        let peer = Peer::start(move |r| match r.digest_is_right("strong") {
            true => Reply::ok("in"),
            false => Reply::challenge(&headers.iter().map(String::as_str).collect::<Vec<_>>()),
        });
        let (mut client, _waker) = client(options(peer.url("/")));
        assert_eq!(post_ok(&mut client, b"x"), "in");
        assert_eq!(parameter(&peer.requests()[1], "opaque").as_deref(), Some("o\"p"));
    }
}

// Proves: S-20
#[test]
fn s20_nextnonce_is_used() {
    let mut turn = 0;
    let peer = Peer::start(move |r| {
        if !r.digest_is_right(&format!("n{turn}")) {
            return Reply::challenge(&[&format!(r#"Digest realm="r", nonce="n{turn}", qop="auth""#)]);
        }
        turn += 1;
        Reply::ok("in").with_header(&format!("authentication-info: qop=auth, nextnonce=\"n{turn}\""))
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    for _ in 0..3 {
        post_ok(&mut client, b"x");
    }
    assert_eq!(peer.requests().len(), 4, "one challenge only");
}

// Proves: S-12
#[test]
fn s12_basic_over_http_only_when_asked_for() {
    let replies = || [Reply::challenge(&["Basic realm=\"r\""]), Reply::ok("in")];
    let (result, requests) = one(replies());
    assert!(matches!(result, Err(Error::Authentication(_))), "{result:?}");
    assert_eq!(requests.len(), 1);

    let peer = scripted(replies().into_iter().chain([Reply::ok("again")]));
    let mut allowed = options(peer.url("/"));
    allowed.basic_over_http = true;
    let (mut client, _waker) = client(allowed);
    assert_eq!(post_ok(&mut client, b"x"), "in");
    assert_eq!(post_ok(&mut client, b"x"), "again");
    let sent: Vec<_> =
        peer.requests().iter().map(|r| r.header("Authorization").map(str::to_string)).collect();
    let basic = Some("Basic dTpw".to_string());
    assert_eq!(sent, [None, basic.clone(), basic]);
}

#[test]
fn s18_challenges_that_cannot_be_answered() {
    for challenges in [&[][..], &["Bearer realm=\"r\""], &["\"", "Digest realm=\"r"]] {
        let (result, requests) = one([Reply::challenge(challenges)]);
        assert!(matches!(result, Err(Error::Authentication(_))), "{result:?}");
        assert_eq!(requests.len(), 1);
    }
    let peer = scripted([Reply::challenge(&[r#"Digest realm="r", nonce="n""#])]);
    let mut nobody = options(peer.url("/"));
    nobody.username.clear();
    nobody.password.clear();
    let (mut client, _waker) = client(nobody);
    assert!(matches!(post(&mut client, b"x"), Err(Error::Authentication(_))));
}

#[test]
fn credentials_go_to_another_host_only_when_it_asks() {
    let other = guarded(r#"Digest realm="other", nonce="other", qop="auth""#, "other");
    let there = other.url("/there");
    let peer = Peer::start(move |r| match r.digest_is_right("n") {
        true => Reply::redirect("302 Found", &there),
        false => Reply::challenge(&[r#"Digest realm="r", nonce="n", qop="auth""#]),
    });
    let (mut client, _waker) = client(options(peer.url("/")));
    assert_eq!(post_ok(&mut client, b"x"), "in");
    let requests = other.requests();
    assert!(requests[0].authorization().is_none());
    assert_eq!(parameter(&requests[1], "uri").as_deref(), Some("/there"));
}

/// Answers a challenge at once, then does as told with the rest of the request.
fn impatient(then: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static) -> Peer {
    Peer::raw(move |number, mut socket| {
        if number == 0 {
            read_head(&mut socket).expect("a head");
            let challenge = "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\
                             WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\nno";
            socket.write_all(challenge.as_bytes()).expect("sent");
            return then(&mut socket);
        }
        let request = read_request(&mut socket, number).expect("a request");
        assert!(request.digest_is_right("n"));
        let reply = format!("HTTP/1.1 200 OK\r\n\r\n{}", request.body.len());
        socket.write_all(reply.as_bytes()).expect("sent");
    })
}

#[test]
fn a_challenge_may_come_before_the_body_is_read() {
    // far more than the kernel's buffers hold
    let mut body = Rendered::new(2_500);
    let length = body.whole().len().to_string();
    let closes = impatient(|_| ());
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    // never reads on, until the test is over
    let stays = impatient(move |_| _ = held.lock().expect("held").recv());
    for peer in [closes, stays] {
        let (mut client, _waker) = client(options(peer.url("/")));
        body.rewind().expect("rewind");
        let got = client.post(Body::Stream(&mut body)).expect("200").body;
        assert_eq!(String::from_utf8_lossy(&got), length);
        let whole = body.whole();
        let got = client.post(Body::Whole(&whole)).expect("200").body;
        assert_eq!(String::from_utf8_lossy(&got), length);
    }
    drop(hold);
}

/// S-12: whoever sits on the way of an http session can send it to an https of his own.
// Proves: S-12
#[test]
fn s12_an_https_that_http_led_to_is_no_place_for_basic() {
    let authority = crate::peer::tls::Authority::new();
    let identity = authority.sign(&["localhost"], |_| {});
    let config = identity.server(rustls::ALL_VERSIONS, None);
    let other = Peer::start_tls(config, |_| Reply::challenge(&["Basic realm=\"r\""]));
    let there = format!("https://localhost:{}/", other.address.port());
    let peer = Peer::start(move |_| Reply::redirect("302 Found", &there));
    let mut from_http = options(peer.url("/"));
    from_http.ca_file = Some(authority.file.clone());
    let (mut client, _waker) = client(from_http);
    let result = post(&mut client, b"x");
    assert!(matches!(result, Err(Error::Authentication(_))), "{result:?}");
    assert!(other.requests().iter().all(|r| r.header("Authorization").is_none()));
}
