//! A listener with its reactor in a thread, and peers that talk to it.

use super::super::*;
use crate::net::digest::{self, Answering};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const PATH: &str = "/Xa3";

pub(super) fn settings() -> Settings {
    let credentials = Credentials { username: "acs".into(), password: "secret".into() };
    Settings::new(PATH.to_string(), credentials)
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) enum Order {
    Set(Settings),
    /// Puts the clock forward, and takes a turn.
    Later(Duration),
}

/// A listener with its reactor.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    orders: SyncSender<Order>,
    wake: Option<std::fs::File>,
    /// What each turn that accepted something returned.
    pub(super) accepted: Receiver<usize>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start() -> Running {
        Running::with(Listener::bind(loopback(), settings()).expect("loopback"))
    }

    pub(super) fn with(listener: Listener) -> Running {
        let address = listener.local_address();
        let (orders, inbox) = sync_channel(0);
        let (outbox, accepted) = channel();
        let (woken, wake) = nix::unistd::pipe().expect("a pipe");
        let thread = std::thread::spawn(move || react(listener, &woken, &inbox, &outbox));
        Running { address, orders, wake: Some(wake.into()), accepted, thread: Some(thread) }
    }

    /// Holds for every byte that is sent after it returned.
    pub(super) fn order(&self, order: Order) {
        self.wake.as_ref().expect("not stopped").write_all(b"!").expect("the reactor runs");
        self.orders.send(order).expect("the reactor runs");
    }

    pub(super) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("the port is open"))
    }

    /// From another address of this machine than most.
    pub(super) fn connect_from(&self, last: u8) -> Client {
        use nix::sys::socket::*;
        let none = SockFlag::empty();
        let fd = socket(AddressFamily::Inet, SockType::Stream, none, None).expect("a socket");
        let SocketAddr::V4(to) = self.address else { panic!("an IPv4 test") };
        bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrIn::new(127, 0, 0, last, 0)).expect("loopback");
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrIn::from(to)).expect("the port is open");
        Client::new(TcpStream::from(fd))
    }

    /// Waits until so many requests were accepted in all.
    pub(super) fn expect_accepted(&self, wanted: usize) {
        let mut sum = 0;
        while sum < wanted {
            sum += self.accepted.recv_timeout(PATIENCE).expect("an accepted request");
        }
        assert_eq!(sum, wanted);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wake = None; // ends the reactor
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the reactor panicked");
    }
}

fn react(mut listener: Listener, woken: &OwnedFd, inbox: &Receiver<Order>, outbox: &Sender<usize>) {
    let mut now = Instant::now();
    loop {
        let mut interests = vec![(woken.as_fd(), false)];
        listener.interests(&mut interests);
        let mut fds: Vec<PollFd> = interests
            .iter()
            .map(|(fd, write)| PollFd::new(*fd, if *write { PollFlags::POLLOUT } else { PollFlags::POLLIN }))
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
        assert!(listener.deadline().is_none_or(|d| d > now), "a deadline that passed would spin");
        if accepted > 0 {
            outbox.send(accepted).expect("the test waits");
        }
    }
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn answering(&self) -> Answering {
        let challenge = self.header("WWW-Authenticate").expect("a challenge");
        Answering::new(&digest::parse(challenge)[0], "cnonce").expect("one that can be answered")
    }
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client { stream }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the listener reads");
    }

    /// The next reply; every one has an empty body.
    pub(super) fn reply(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let n = self.stream.read(&mut byte).expect("a reply in time");
            assert_eq!(n, 1, "closed after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let reply = Reply { status: head[9..12].parse().expect("a status"), head };
        assert_eq!(reply.header("Content-Length"), Some("0"), "{reply:?}");
        assert_eq!(reply.header("Retry-After"), None, "CR-12");
        reply
    }

    pub(super) fn get(&mut self, target: &str, authorization: Option<&str>) -> Reply {
        let authorization = authorization.map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
        self.send(format!("GET {target} HTTP/1.1\r\nHost: cpe\r\n{authorization}\r\n").as_bytes());
        self.reply()
    }

    pub(super) fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest)),
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}"),
        }
    }

    /// Asks, answers the challenge on the same connection, gives the last status.
    pub(super) fn call(&mut self, username: &str, password: &str) -> u16 {
        let first = self.get(PATH, None);
        assert_eq!((first.status, first.header("Connection")), (401, Some("keep-alive")));
        let header = first.answering().authorization(username, password, "GET", PATH);
        let last = self.get(PATH, Some(&header));
        last.status
    }
}
