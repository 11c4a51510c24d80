//! Deadlines, and waits that are woken: a silent ACS never delays a stop.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cwmpd::net::client::{Body, Client, Error, Options, Response};

use crate::peer::{PATIENCE, Peer, Reply, client, listener, options, read_head};
use crate::{post, post_ok, scripted};

const SHORT: Duration = Duration::from_millis(50);

fn timeout(result: Result<impl std::fmt::Debug, Error>) -> &'static str {
    match result {
        Err(Error::Timeout(phase)) => phase,
        other => panic!("{other:?}"),
    }
}

/// A listener whose queue is full: further connections get no answer at all.
pub struct BlackHole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    pub fn new() -> BlackHole {
        let listener = listener();
        let backlog = nix::sys::socket::Backlog::new(0).expect("a backlog");
        nix::sys::socket::listen(&listener, backlog).expect("a short queue");
        let address = listener.local_addr().expect("address");
        let mut queue = Vec::new();
        while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(socket);
            assert!(queue.len() < 100, "the queue has no end");
        }
        BlackHole { listener, _queue: queue }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("address")
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }
}

#[test]
fn t6_refused_and_black_holed_connections() {
    let free = listener().local_addr().expect("address");
    let (mut refused, _waker) = client(options(format!("http://{free}/")));
    match post(&mut refused, b"x") {
        Err(Error::Connect(text)) => assert!(text.contains(&free.to_string()), "{text}"),
        other => panic!("{other:?}"),
    }
    let hole = BlackHole::new();
    let mut short = options(hole.url());
    short.timeouts.connect = SHORT;
    let (mut client, _waker) = client(short);
    assert_eq!(timeout(post(&mut client, b"x")), "TCP connect");
}

// Proves: T-41
#[test]
fn t41_names_are_looked_up() {
    let peer = scripted([Reply::ok("x")]);
    let url = format!("http://LocalHost:{}/", peer.address.port());
    let (mut client, _waker) = client(options(url));
    assert_eq!(post_ok(&mut client, b"x"), "x");
    let host = format!("localhost:{}", peer.address.port());
    assert_eq!(peer.requests()[0].header("Host"), Some(host.as_str()));
}

#[test]
fn unknown_names_are_told() {
    let (mut client, _waker) = client(options("http://no-such-host.invalid/".to_string()));
    match post(&mut client, b"x") {
        Err(Error::Resolve(text)) => assert!(text.contains("no-such-host.invalid"), "{text}"),
        other => panic!("{other:?}"),
    }
}

/// T-7, C-32
// Proves: T-7, C-32
#[test]
fn t7_each_phase_has_its_deadline() {
    let default = cwmpd::net::client::Timeouts::default();
    assert!(default.response >= Duration::from_secs(30));

    let silent = scripted([Reply::hang()]);
    let mut short = options(silent.url("/"));
    short.timeouts.response = SHORT;
    let (mut one, _waker) = client(short);
    assert_eq!(timeout(post(&mut one, b"x")), "waiting for the response");

    // a head that never ends, a byte now and then: no byte prolongs the wait
    let trickling = Peer::raw(|_, mut socket| {
        read_head(&mut socket).expect("a head");
        while socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {}
    });
    let mut short = options(trickling.url("/"));
    short.timeouts.response = SHORT;
    let (mut two, _waker) = client(short);
    let result = post(&mut two, b"x");
    let ended = matches!(result, Err(Error::Timeout("waiting for the response") | Error::TooLarge(_)));
    assert!(ended, "{result:?}");

    let stuck = scripted([Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Reply::hang()]);
    let mut short = options(stuck.url("/"));
    short.timeouts.progress = SHORT;
    let (mut three, _waker) = client(short);
    assert_eq!(timeout(post(&mut three, b"x")), "reading the response");

    let silent = scripted([Reply::ok("x"), Reply::hang()]);
    let mut short = options(silent.url("/"));
    short.timeouts.session = Duration::from_millis(300);
    let (mut four, _waker) = client(short);
    let _ = post(&mut four, b"x");
    assert_eq!(timeout(post(&mut four, b"x")), "session");
    assert_eq!(timeout(post(&mut four, b"x")), "session");
}

// Proves: T-7
#[test]
fn t7_a_request_that_is_not_read_has_a_deadline() {
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let deaf = Peer::raw(move |_, _socket| _ = held.lock().expect("held").recv());
    let mut short = options(deaf.url("/"));
    short.timeouts.progress = SHORT;
    let (mut client, _waker) = client(short);
    let large = vec![b'x'; 32 * 1024 * 1024];
    assert_eq!(timeout(client.post(Body::Whole(&large))), "sending the request");
    drop(hold);
}

/// Starts a POST, waits for `event`, wakes, and gives what came of it.
fn woken(options: Options, event: impl FnOnce()) -> Result<Response, Error> {
    let (mut client, mut waker): (Client, UnixStream) = client(options);
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(client.post(Body::Whole(&vec![b'x'; 4 << 20]))));
    event();
    waker.write_all(b"!").expect("woken");
    // deadlines are 30 s, as this is; woken, it takes no time
    result.recv_timeout(PATIENCE).expect("the POST ended")
}

/// Whether the kernel is connecting to this address.
fn wait_connecting(address: SocketAddr) {
    let port = format!(":{:04X}", address.port());
    let started = Instant::now();
    let connecting = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|f| f.ends_with(&port)) && fields.get(3) == Some(&"02")
    };
    while !std::fs::read_to_string("/proc/net/tcp").expect("tcp").lines().any(connecting) {
        assert!(started.elapsed() < PATIENCE, "no connection is being made");
        std::thread::yield_now();
    }
}

#[test]
fn every_wait_can_be_woken() {
    let hole = BlackHole::new();
    let result = woken(options(hole.url()), || wait_connecting(hole.address()));
    assert!(matches!(result, Err(Error::Woken)), "connect: {result:?}");

    let (sender, hello) = mpsc::channel();
    let mute = Peer::raw(move |_, mut socket| {
        socket.read_exact(&mut [0; 5]).expect("the begin of a handshake");
        let _ = sender.send(());
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let mut https = options(format!("https://{}/", mute.address));
    https.ca_file = Some(crate::peer::tls::Authority::new().file);
    let wait = || hello.recv_timeout(PATIENCE).expect("a handshake");
    let result = woken(https, wait);
    assert!(matches!(result, Err(Error::Woken)), "handshake: {result:?}");

    let silent = scripted([Reply::hang()]);
    let result = woken(options(silent.url("/")), || silent.wait_request());
    assert!(matches!(result, Err(Error::Woken)), "response: {result:?}");

    let (sender, head) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let deaf = Peer::raw(move |_, mut socket| {
        read_head(&mut socket).expect("a head");
        let _ = sender.send(());
        let _ = held.lock().expect("held").recv();
    });
    let wait = || head.recv_timeout(PATIENCE).expect("a head");
    let result = woken(options(deaf.url("/")), wait);
    drop(hold);
    assert!(matches!(result, Err(Error::Woken)), "sending: {result:?}");

    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let peer = scripted([Reply::raw(half)]);
    let result = woken(options(peer.url("/")), || peer.wait_request());
    assert!(matches!(result, Err(Error::Woken)), "body: {result:?}");
}

#[test]
fn a_stop_before_the_post_and_a_closed_waker_end_it_too() {
    let peer = scripted([]);
    let (mut woken, mut waker) = client(options(peer.url("/")));
    waker.write_all(b"!").expect("woken");
    assert!(matches!(post(&mut woken, b"x"), Err(Error::Woken)));
    let (mut orphan, waker) = client(options(peer.url("/")));
    drop(waker);
    assert!(matches!(post(&mut orphan, b"x"), Err(Error::Woken)));
    assert!(peer.requests().is_empty());
}

#[test]
fn the_interface_is_bound_or_named() {
    let peer = scripted([Reply::ok("x")]);
    let bound = |interface: &str| {
        let mut options = options(peer.url("/"));
        options.bind_interface = Some(interface.into());
        let (mut client, _waker) = client(options);
        post(&mut client, b"x")
    };
    match bound("nosuch0") {
        Err(Error::Connect(text)) => assert!(text.contains("nosuch0"), "{text}"),
        other => panic!("{other:?}"),
    }
    match bound("lo") {
        Ok(body) => assert_eq!(body, "x"),
        // kernels before 5.7 want CAP_NET_RAW
        Err(error) => println!("not tested: {error}"),
    }
}
