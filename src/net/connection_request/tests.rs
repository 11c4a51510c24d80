//! The listener over real sockets: a thread polls it as the reactor does, the tests are its peers.
//! Time moves on only when a test says so.

use super::*;
use crate::net::digest::{self, Answering};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/Xa3";

fn settings() -> Settings {
    let credentials = Credentials {
        username: "acs".into(),
        password: "secret".into(),
    };
    Settings::new(PATH.to_string(), credentials)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

enum Order {
    Set(Settings),
    /// Puts the clock forward, and takes a turn.
    Later(Duration),
}

/// A listener with its reactor.
struct Running {
    address: SocketAddr,
    orders: SyncSender<Order>,
    wake: Option<std::fs::File>,
    /// What each turn that accepted something returned.
    accepted: Receiver<usize>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start() -> Running {
        Running::with(Listener::bind(loopback(), settings()).expect("loopback"))
    }

    fn with(listener: Listener) -> Running {
        let address = listener.local_address();
        let (orders, inbox) = sync_channel(0);
        let (outbox, accepted) = channel();
        let (woken, wake) = nix::unistd::pipe().expect("a pipe");
        let thread = std::thread::spawn(move || react(listener, &woken, &inbox, &outbox));
        Running {
            address,
            orders,
            wake: Some(wake.into()),
            accepted,
            thread: Some(thread),
        }
    }

    /// Holds for every byte that is sent after it returned.
    fn order(&self, order: Order) {
        self.wake
            .as_ref()
            .expect("not stopped")
            .write_all(b"!")
            .expect("the reactor runs");
        self.orders.send(order).expect("the reactor runs");
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("the port is open"))
    }

    /// From another address of this machine than most.
    fn connect_from(&self, last: u8) -> Client {
        use nix::sys::socket::*;
        let none = SockFlag::empty();
        let fd = socket(AddressFamily::Inet, SockType::Stream, none, None).expect("a socket");
        let SocketAddr::V4(to) = self.address else {
            panic!("an IPv4 test")
        };
        bind(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            &SockaddrIn::new(127, 0, 0, last, 0),
        )
        .expect("loopback");
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrIn::from(to))
            .expect("the port is open");
        Client::new(TcpStream::from(fd))
    }

    /// Waits until so many requests were accepted in all.
    fn expect_accepted(&self, wanted: usize) {
        let mut sum = 0;
        while sum < wanted {
            sum += self
                .accepted
                .recv_timeout(PATIENCE)
                .expect("an accepted request");
        }
        assert_eq!(sum, wanted);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wake = None; // ends the reactor
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || matches!(ended, Some(Ok(()))),
            "the reactor panicked"
        );
    }
}

fn react(mut listener: Listener, woken: &OwnedFd, inbox: &Receiver<Order>, outbox: &Sender<usize>) {
    let mut now = Instant::now();
    loop {
        let mut interests = vec![(woken.as_fd(), false)];
        listener.interests(&mut interests);
        let mut fds: Vec<PollFd> = interests
            .iter()
            .map(|(fd, write)| {
                PollFd::new(
                    *fd,
                    if *write {
                        PollFlags::POLLOUT
                    } else {
                        PollFlags::POLLIN
                    },
                )
            })
            .collect();
        poll(&mut fds, PollTimeout::NONE).expect("poll");
        if fds[0].any() == Some(true) {
            let mut one = [0];
            if nix::unistd::read(woken, &mut one).expect("a pipe") == 0 {
                return;
            }
            match inbox.recv().expect("an order for each byte") {
                Order::Set(settings) => listener.set(settings),
                Order::Later(more) => now += more,
            }
        }
        let accepted = listener.turn(now);
        assert!(
            listener.deadline().is_none_or(|d| d > now),
            "a deadline that passed would spin"
        );
        if accepted > 0 {
            outbox.send(accepted).expect("the test waits");
        }
    }
}

struct Client {
    stream: TcpStream,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
    }

    fn answering(&self) -> Answering {
        let challenge = self.header("WWW-Authenticate").expect("a challenge");
        Answering::new(&digest::parse(challenge)[0], "cnonce").expect("one that can be answered")
    }
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client { stream }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the listener reads");
    }

    /// The next reply; every one has an empty body.
    fn reply(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let n = self.stream.read(&mut byte).expect("a reply in time");
            assert_eq!(n, 1, "closed after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let reply = Reply {
            status: head[9..12].parse().expect("a status"),
            head,
        };
        assert_eq!(reply.header("Content-Length"), Some("0"), "{reply:?}");
        assert_eq!(reply.header("Retry-After"), None, "CR-12");
        reply
    }

    fn get(&mut self, target: &str, authorization: Option<&str>) -> Reply {
        let authorization = authorization
            .map(|a| format!("Authorization: {a}\r\n"))
            .unwrap_or_default();
        self.send(format!("GET {target} HTTP/1.1\r\nHost: cpe\r\n{authorization}\r\n").as_bytes());
        self.reply()
    }

    fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest)),
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}"),
        }
    }

    /// Asks, answers the challenge on the same connection, gives the last status.
    fn call(&mut self, username: &str, password: &str) -> u16 {
        let first = self.get(PATH, None);
        assert_eq!(
            (first.status, first.header("Connection")),
            (401, Some("keep-alive"))
        );
        let header = first
            .answering()
            .authorization(username, password, "GET", PATH);
        let last = self.get(PATH, Some(&header));
        last.status
    }
}

fn good_call(running: &Running) {
    assert_eq!(running.connect().call("acs", "secret"), 200);
}

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
    assert_eq!(
        (challenge.status, challenge.header("Connection")),
        (401, Some("close"))
    );
    first.expect_closed();
    let header = challenge
        .answering()
        .authorization("acs", "secret", "GET", PATH);
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
    let (one, two) = (
        random_path().expect("random"),
        random_path().expect("random"),
    );
    assert_ne!(one, two);
    for path in [one, two] {
        assert!(
            path.len() == 33 && path[1..].bytes().all(|b| b.is_ascii_hexdigit()),
            "{path}"
        );
    }
}

#[test]
fn cr2_gw14_other_methods_paths_and_protocols() {
    let running = Running::start();
    let soap = "<soap:Envelope/>";
    let table = [
        (
            format!(
                "POST {PATH} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{soap}",
                soap.len()
            ),
            405,
        ),
        (format!("HEAD {PATH} HTTP/1.1\r\n\r\n"), 405),
        ("GET / HTTP/1.1\r\n\r\n".to_string(), 404),
        (
            "GET /upnp/desc.xml HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n".to_string(),
            404,
        ),
        (format!("GET {PATH}\r\n\r\n"), 400),
        ("SSH-2.0-OpenSSH\r\n".to_string(), 400),
        (format!("GET {PATH} HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), 400),
    ];
    for (request, status) in table {
        let mut client = running.connect();
        client.send(request.as_bytes());
        let reply = client.reply();
        assert_eq!(
            (reply.status, reply.header("Connection")),
            (status, Some("close")),
            "{request}"
        );
        client.expect_closed();
    }
    assert!(running.accepted.try_recv().is_err());
}

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
    client.send(
        format!("GET {target} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    );
    let mut answering = client.reply().answering();
    let header = answering.authorization("acs", "secret", "GET", &target);
    client.send(format!("GET {target} HTTP/1.1\r\nAuthorization: {header}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
    assert_eq!(client.reply().status, 200);
    client.expect_closed();
    running.expect_accepted(1);
}

#[test]
fn cr7_any_source_address() {
    let running = Running::start();
    assert_eq!(running.connect_from(77).call("acs", "secret"), 200);
    running.expect_accepted(1);
}

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

#[test]
fn cr16_url_and_ipv6() {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(
        url(address("192.0.2.1:7547"), "/x"),
        "http://192.0.2.1:7547/x"
    );
    assert_eq!(
        url(address("[2001:db8::1]:7547"), "/x"),
        "http://[2001:db8::1]:7547/x"
    );
    assert_eq!(
        url(address("[fe80::1%3]:7547"), "/x"),
        "http://[fe80::1]:7547/x"
    );
    match Listener::bind(address("[::1]:0"), settings()) {
        Ok(listener) => good_call(&Running::with(listener)),
        Err(e) => eprintln!("no IPv6 on this machine, not tried: {e}"),
    }
}

#[test]
fn cr17_empty_username() {
    let open = Settings {
        credentials: Credentials {
            username: String::new(),
            password: String::new(),
        },
        ..settings()
    };
    let running = Running::with(Listener::bind(loopback(), open).expect("loopback"));
    assert_eq!(running.connect().call("", ""), 401);
    assert_eq!(running.connect().get(PATH, None).status, 401);
    assert!(running.accepted.try_recv().is_err());
}

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
    let changed = Credentials {
        username: "acs".into(),
        password: "changed".into(),
    };
    running.order(Order::Set(Settings {
        credentials: changed,
        ..settings()
    }));
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
    let header = client
        .reply()
        .answering()
        .authorization("acs", "secret", "GET", PATH);
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
    let statuses = [
        client.reply().status,
        client.reply().status,
        client.reply().status,
    ];
    assert_eq!(statuses, [401, 401, 404]);
    client.expect_closed(); // what stood behind the last answer is not looked at
    // nobody asks for ever on one connection
    let mut client = running.connect();
    client.send(get.repeat(20).as_bytes());
    let answered = (1..).find(|_| client.reply().header("Connection") == Some("close"));
    assert_eq!(answered, Some(8));
    client.expect_closed();
}

#[test]
fn heads_are_bounded() {
    let running = Running::start();
    let mut client = running.connect();
    client.send(format!("GET {PATH} HTTP/1.1\r\nA: {}", "b".repeat(10_000)).as_bytes());
    assert_eq!(client.reply().status, 431);
    client.expect_closed();
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
    assert_eq!(
        (polled(&listener), listener.deadline()),
        (0, Some(now + PAUSE))
    );
    listener.turn(now + PAUSE);
    assert_eq!((polled(&listener), listener.paused), (2, None));
}

#[test]
fn an_idle_listener_has_no_deadline() {
    let mut listener = Listener::bind(loopback(), settings()).expect("loopback");
    assert_eq!(
        (listener.turn(Instant::now()), listener.deadline()),
        (0, None)
    );
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
