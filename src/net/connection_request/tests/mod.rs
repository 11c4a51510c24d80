//! The rules of group G over real sockets. Time moves on only when a test says so.

mod loopback;

use super::*;
use loopback::{Client, Order, PATH, Running, loopback, settings};
use std::io::Write;
use std::net::Shutdown;

fn good_call(running: &Running) {
    assert_eq!(running.connect().call("acs", "secret"), 200);
}

// Proves: CR-8
#[test]
fn cr1_cr4_cr8_challenge_and_answer() {
    let running = Running::start();
    // on one connection; the answer is there before the request counts
    let mut client = running.connect();
    assert_eq!(client.call("acs", "secret"), 200);
    client.expect_closed();
    running.expect_accepted(1);
    // on two connections, as HTTP/1.0 clients do
    let mut first = running.connect();
    first.send(format!("GET {PATH} HTTP/1.0\n\n").as_bytes());
    let challenge = first.reply();
    assert_eq!((challenge.status, challenge.header("Connection")), (401, Some("close")));
    first.expect_closed();
    let header = challenge.answering().authorization("acs", "secret", "GET", PATH);
    assert_eq!(running.connect().get(PATH, Some(&header)).status, 200);
    running.expect_accepted(1);
    // and the same bytes again are a replay (CR-6)
    let replay = running.connect().get(PATH, Some(&header));
    assert_eq!(replay.status, 401);
    assert!(replay.head.contains("stale=true"), "{replay:?}");
    assert_eq!(running.connect().call("acs", "wrong"), 401);
    assert!(running.accepted.try_recv().is_err());
}

#[test]
fn cr1_random_paths() {
    let (one, two) = (random_path().expect("random"), random_path().expect("random"));
    assert_ne!(one, two);
    for path in [one, two] {
        assert!(path.len() == 33 && path[1..].bytes().all(|b| b.is_ascii_hexdigit()), "{path}");
    }
}

// Proves: CR-2
#[test]
fn cr2_gw14_other_methods_paths_and_protocols() {
    let running = Running::start();
    let soap = "<soap:Envelope/>";
    let table = [
        (format!("POST {PATH} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{soap}", soap.len()), 405),
        (format!("HEAD {PATH} HTTP/1.1\r\n\r\n"), 405),
        ("GET / HTTP/1.1\r\n\r\n".to_string(), 404),
        ("GET /upnp/desc.xml HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n".to_string(), 404),
        (format!("GET {PATH}\r\n\r\n"), 400),
        ("SSH-2.0-OpenSSH\r\n".to_string(), 400),
        (format!("GET {PATH} HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), 400),
    ];
    for (request, status) in table {
        let mut client = running.connect();
        client.send(request.as_bytes());
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("Connection")), (status, Some("close")), "{request}");
        client.expect_closed();
    }
    assert!(running.accepted.try_recv().is_err());
}

// Proves: CR-3
#[test]
fn cr3_query_and_body_are_passed_over() {
    let running = Running::start();
    let target = format!("{PATH}?a=b&c=/../x");
    // a body that never comes is not awaited
    let mut client = running.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").as_bytes());
    assert_eq!(client.reply().status, 401);
    // one that comes is no request, even if it looks like one
    let mut client = running.connect();
    let body = format!("GET {PATH} HTTP/1.1\r\n\r\n");
    let length = body.len();
    client.send(format!("GET {target} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
    let mut answering = client.reply().answering();
    let header = answering.authorization("acs", "secret", "GET", &target);
    client.send(
        format!("GET {target} HTTP/1.1\r\nAuthorization: {header}\r\nContent-Length: {length}\r\n\r\n{body}")
            .as_bytes(),
    );
    assert_eq!(client.reply().status, 200);
    client.expect_closed();
    running.expect_accepted(1);
}

// Proves: CR-7
#[test]
fn cr7_any_source_address() {
    let running = Running::start();
    assert_eq!(running.connect_from(77).call("acs", "secret"), 200);
    running.expect_accepted(1);
}

// Proves: CR-10
#[test]
fn cr10_cr12_several_requests_and_the_limit() {
    let running = Running::start();
    for _ in 0..4 {
        good_call(&running);
    }
    for _ in 0..20 {
        assert_eq!(running.connect().call("acs", "secret"), 503);
        assert_eq!(running.connect().call("acs", "wrong"), 401);
        assert_eq!(running.connect().get("/wrong", None).status, 404);
    }
    running.order(Order::Later(Duration::from_secs(3)));
    good_call(&running);
    assert_eq!(running.connect().call("acs", "secret"), 503);
    running.expect_accepted(5);
}

// Proves: CR-14
#[test]
fn cr14_dropped_listener_closes_port_and_connections() {
    let running = Running::start();
    let address = running.address;
    let mut client = running.connect();
    assert_eq!(client.get(PATH, None).status, 401);
    drop(running);
    client.expect_closed();
    let refused = TcpStream::connect(address).expect_err("the port is closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

// Proves: CR-16
#[test]
fn cr16_url_and_ipv6() {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(url(address("192.0.2.1:7547"), "/x"), "http://192.0.2.1:7547/x");
    assert_eq!(url(address("[2001:db8::1]:7547"), "/x"), "http://[2001:db8::1]:7547/x");
    assert_eq!(url(address("[fe80::1%3]:7547"), "/x"), "http://[fe80::1]:7547/x");
    match Listener::bind(address("[::1]:0"), settings()) {
        Ok(listener) => good_call(&Running::with(listener)),
        Err(e) => eprintln!("no IPv6 on this machine, not tried: {e}"),
    }
}

// Proves: CR-17
#[test]
fn cr17_empty_username() {
    let open = Settings {
        credentials: Credentials { username: String::new(), password: String::new() },
        ..settings()
    };
    let running = Running::with(Listener::bind(loopback(), open).expect("loopback"));
    assert_eq!(running.connect().call("", ""), 401);
    assert_eq!(running.connect().get(PATH, None).status, 401);
    assert!(running.accepted.try_recv().is_err());
}

// Proves: CR-18
#[test]
fn cr18_other_addresses_of_the_machine_are_closed() {
    let running = Running::start();
    let other = SocketAddr::from(([127, 0, 0, 2], running.address.port()));
    assert!(TcpStream::connect(other).is_err());
    good_call(&running);
}

#[test]
fn new_settings_judge_connections_under_way() {
    let running = Running::start();
    let mut client = running.connect();
    let mut answering = client.get(PATH, None).answering();
    let changed = Credentials { username: "acs".into(), password: "changed".into() };
    running.order(Order::Set(Settings { credentials: changed, ..settings() }));
    let old = answering.authorization("acs", "secret", "GET", PATH);
    let new = answering.authorization("acs", "changed", "GET", PATH);
    assert_eq!(client.get(PATH, Some(&old)).status, 401);
    assert_eq!(client.get(PATH, Some(&new)).status, 200);
}

#[test]
fn half_closed_peers_are_answered() {
    let running = Running::start();
    let mut client = running.connect();
    client.send(format!("GET {PATH} HTTP/1.1\r\n\r\n").as_bytes());
    client.stream.shutdown(Shutdown::Write).expect("open");
    let header = client.reply().answering().authorization("acs", "secret", "GET", PATH);
    client.expect_closed();
    let mut client = running.connect();
    client.send(format!("GET {PATH} HTTP/1.1\r\nAuthorization: {header}\r\n\r\n").as_bytes());
    client.stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.reply().status, 200);
    client.expect_closed();
    running.expect_accepted(1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = Running::start();
    let mut client = running.connect();
    let get = format!("GET {PATH} HTTP/1.1\r\n\r\n");
    let wrong = "GET /wrong HTTP/1.1\r\n\r\n";
    client.send(format!("{get}{get}{wrong}{get}").as_bytes());
    let statuses = [client.reply().status, client.reply().status, client.reply().status];
    assert_eq!(statuses, [401, 401, 404]);
    client.expect_closed(); // what stood behind the last answer is not looked at
    // nobody asks for ever on one connection
    let mut client = running.connect();
    client.send(get.repeat(20).as_bytes());
    let answered = (1..).find(|_| client.reply().header("Connection") == Some("close"));
    assert_eq!(answered, Some(peer::MAX_REQUESTS));
    client.expect_closed();
}

#[test]
fn heads_are_bounded() {
    let running = Running::start();
    let mut client = running.connect();
    client.send(format!("GET {PATH} HTTP/1.1\r\nA: {}", "b".repeat(10_000)).as_bytes());
    assert_eq!(client.reply().status, 431);
    client.expect_closed();
    let line = format!("GET {PATH} HTTP/1.1\r\n\r\nA: ").len();
    for (size, status) in [(head::MAX_HEAD, 401), (head::MAX_HEAD + 1, 431)] {
        let mut client = running.connect();
        let filler = "b".repeat(size - line - 2);
        client.send(format!("GET {PATH} HTTP/1.1\r\nA: {filler}\r\n\r\n").as_bytes());
        assert_eq!(client.reply().status, status, "{size}");
    }
    // and a long one that still fits is read, byte by byte if need be
    let mut client = running.connect();
    let request = format!("GET {PATH} HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(3_000));
    client.stream.set_nodelay(true).expect("a TCP socket");
    for byte in request.as_bytes() {
        client.send(&[*byte]);
    }
    assert_eq!(client.reply().status, 401);
}

#[test]
fn one_deadline_for_the_whole_request() {
    let running = Running::start();
    let mut silent = running.connect();
    let mut slow = running.connect();
    slow.send(b"GET ");
    let mut challenged = running.connect();
    let mut answering = challenged.get(PATH, None).answering();
    let step = Duration::from_secs(3);
    running.order(Order::Later(step));
    slow.send(b"/Xa3 HTTP");
    // an answered request starts a new deadline; bytes do not
    assert_eq!(challenged.get(PATH, None).status, 401);
    running.order(Order::Later(step));
    silent.expect_closed();
    slow.expect_closed();
    let header = answering.authorization("acs", "secret", "GET", PATH);
    assert_eq!(challenged.get(PATH, Some(&header)).status, 200);
}

#[test]
fn hundred_slow_peers_do_not_delay_a_good_one() {
    let running = Running::start();
    let slow: Vec<Client> = (0..100)
        .map(|i| {
            let mut client = running.connect();
            client.send(&b"GET /Xa3 HTTP/1.1\r\nA: b\r\n"[..i % 26]);
            client
        })
        .collect();
    // the listener's clock stands still: no slow peer is ever closed for its deadline
    good_call(&running);
    running.expect_accepted(1);
    drop(slow);
}

#[test]
fn newcomer_replaces_the_oldest_that_has_come_least_far() {
    let running = Running::start();
    let mut good = running.connect_from(99);
    let mut answering = good.get(PATH, None).answering();
    let mut oldest = running.connect();
    assert_eq!(oldest.get(PATH, None).status, 401);
    // every one of these asks, too: a flood from one address
    let mut flood: Vec<Client> = Vec::new();
    for _ in 0..3 * MAX_PEERS {
        let mut client = running.connect();
        assert_eq!(client.get(PATH, None).status, 401);
        flood.push(client);
    }
    oldest.expect_closed();
    flood[0].expect_closed();
    let header = answering.authorization("acs", "secret", "GET", PATH);
    assert_eq!(good.get(PATH, Some(&header)).status, 200);
    running.expect_accepted(1);
    // the newest are still there, at least eight of them
    for client in flood.iter_mut().rev().take(8) {
        assert_eq!(client.get(PATH, None).status, 401);
    }
}

#[test]
fn out_of_descriptors_does_not_spin() {
    let mut listener = Listener::bind(loopback(), settings()).expect("loopback");
    let now = Instant::now();
    listener.paused = Some(now + PAUSE);
    let _waiting = TcpStream::connect(listener.local_address()).expect("the queue has room");
    listener.turn(now);
    let polled = |listener: &Listener| {
        let mut interests = Vec::new();
        listener.interests(&mut interests);
        interests.len()
    };
    assert_eq!((polled(&listener), listener.deadline()), (0, Some(now + PAUSE)));
    listener.turn(now + PAUSE);
    assert_eq!((polled(&listener), listener.paused), (2, None));
}

#[test]
fn an_idle_listener_has_no_deadline() {
    let mut listener = Listener::bind(loopback(), settings()).expect("loopback");
    assert_eq!((listener.turn(Instant::now()), listener.deadline()), (0, None));
}

#[test]
fn random_bytes_start_nothing_and_break_nothing() {
    let running = Running::start();
    let mut state = 0x2545_f491_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let words: [&[u8]; 12] = [
        b"GET ",
        b"/Xa3",
        b" HTTP/1.1",
        b"\r\n",
        b"\n",
        b"Authorization: Digest ",
        b"nonce=\"",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"99999999",
        b", ",
        b": ",
    ];
    for round in 0..300 {
        let mut client = running.connect();
        for _ in 0..random() % 60 {
            let piece = match random() % 4 {
                0 => (0..random() % 200).map(|_| random() as u8).collect(),
                _ => words[random() as usize % words.len()].to_vec(),
            };
            if client.stream.write_all(&piece).is_err() {
                break; // refused already
            }
        }
        if round % 3 == 0 {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }
    assert!(running.accepted.try_recv().is_err());
    good_call(&running);
    running.expect_accepted(1);
}
