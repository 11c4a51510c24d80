//! One flow: set up on the server's control port, activated on its test port, then load one way and feedback the
//! other until the server says stop.

use super::auth::Keys;
use super::emission::Emission;
use super::pdu::{self, ACCEPTED, GOES_ON, LOAD, Load, STATUS, STOP, Setup, Status, Wrong};
use super::plan::{Content, Plan};
use super::reception::{Reception, Sub};
use crate::diagnostics::throughput::interface::Counters;
use crate::diagnostics::{Job, socket};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// How long a setup request is waited for before it is sent again, in microseconds.
const AGAIN: i64 = 1_000_000;
/// How long the server may take to stop behind the test's end, in microseconds.
const LINGER: i64 = 1_500_000;
/// The most datagrams that are taken before the others and the timers have their turn.
const MAX_TURN: usize = 256;
/// The largest datagram that is no load: one octet more than any has.
const ROOM: usize = STATUS + 1;
/// What is asked for a socket's buffers, in bytes; the kernel may give less.
const BUFFER: usize = 1 << 20;
/// How many ports are tried.
const MAX_PORTS: u32 = 64;
/// Random octets, of which each datagram takes a part of its own.
const RANDOM: usize = 4 * pdu::MAX_PAYLOAD as usize;

/// Why a flow is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Of the object's enumeration.
    pub state: &'static str,
    /// For a person.
    pub why: String,
    /// `StatusCode`: 100 and the code of the server's answer to a setup, 150 and that to an activation, or 255.
    pub code: u32,
}

impl Failure {
    /// One of ours.
    pub fn new(state: &'static str, why: impl Into<String>) -> Failure {
        Failure { state, why: why.into(), code: 255 }
    }

    /// What the kernel says of a server that was not heard yet.
    fn of(error: &io::Error) -> Failure {
        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
        let state = match error.raw_os_error().map(Errno::from_raw) {
            _ if refused => "Error_InitConnectionFailed",
            _ if socket::is_no_route(error) => "Error_NoRouteToHost",
            Some(Errno::EADDRINUSE) => "Error_InitConnectionFailed",
            Some(Errno::EMSGSIZE) => "Error_IncorrectSize",
            _ => "Error_Internal",
        };
        Failure::new(state, error.to_string())
    }
}

enum Phase {
    SetUp {
        request: [u8; pdu::SETUP],
        since: i64,
        again: i64,
    },
    Activating {
        since: i64,
    },
    Receiving(Box<Reception>),
    Sending(Box<Emission>),
    /// Over, with what was measured.
    Done,
    Failed(Failure),
}

/// A flow.
pub struct Flow<'a> {
    plan: &'a Plan,
    socket: UdpSocket,
    server: SocketAddr,
    setup: Setup,
    keys: Option<Keys>,
    phase: Phase,
    /// Something of a wrong size came where an answer was waited for.
    wrong_size: bool,
    /// When feedback goes next (receiving).
    feedback: i64,
    heard: i64,
    stopped: bool,
    activated: pdu::Activated,
    /// Every sub-interval that has ended.
    pub subs: Vec<Sub>,
    /// When the first load came or went, since 1970; 0 before.
    pub begun: i64,
    /// When the last one did.
    pub last: i64,
    /// When the test's time is over.
    over: i64,
    content: Vec<u8>,
    offset: usize,
    counters: Option<Counters>,
    octets: u64,
}

/// A socket toward the server, on a port of the range that is free.
fn open(job: &Job, plan: &Plan, server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ports = u32::from(plan.ports.1 - plan.ports.0) + 1;
    let first = chance() % ports;
    let mut tried = (0..ports.min(MAX_PORTS)).map(|n| {
        let port = u32::from(plan.ports.0) + (first + n) % ports;
        UdpSocket::bind((any, port as u16)) // within the range
    });
    let bound = loop {
        match tried.next() {
            Some(Err(error)) if error.kind() == io::ErrorKind::AddrInUse => {}
            Some(other) => break other?,
            None => return Err(Errno::EADDRINUSE.into()),
        }
    };
    drop(tried);
    socket::dress(job, &bound, server.ip())?;
    if plan.priority != 0 {
        setsockopt(&bound, sockopt::Priority, &plan.priority)?;
    }
    // As much as the kernel's limits give.
    let _ = setsockopt(&bound, sockopt::RcvBuf, &BUFFER);
    let _ = setsockopt(&bound, sockopt::SndBuf, &BUFFER);
    report_errors(&bound, server, true);
    bound.connect(server)?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

/// Whether the socket tells of each ICMP error, not only of those that are final: for a server that is yet to
/// answer. What has come of them goes when they are told no more.
fn report_errors(socket: &UdpSocket, server: SocketAddr, wanted: bool) {
    // Without it there is no answer where there could be a reason.
    let _ = match server {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &wanted),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &wanted),
    };
}

/// A number drawn by chance.
pub fn chance() -> u32 {
    getrandom::u32().unwrap_or(1)
}

impl<'a> Flow<'a> {
    /// Opens a socket and sends the request.
    ///
    /// # Errors
    /// There is no way to the server, or no socket.
    pub fn begin(
        job: &Job,
        plan: &'a Plan,
        server: SocketAddr,
        setup: Setup,
        now: i64,
    ) -> Result<Flow<'a>, Failure> {
        let socket = open(job, plan, server).map_err(|e| Failure::of(&e))?;
        let keys = plan.secret.as_ref().map(|secret| Keys::derive(secret, seconds(now)));
        let mut request = setup.request();
        if let Some(keys) = &keys {
            keys.sign(&mut request, pdu::SETUP_AUTH, seconds(now));
        }
        send(&socket, &request).map_err(|e| Failure::of(&e))?;
        let content = match plan.content {
            _ if !plan.activation.upstream => Vec::new(),
            Content::Octet(octet) => vec![octet; pdu::MAX_PAYLOAD as usize],
            Content::Random => {
                let mut octets = vec![0; RANDOM];
                let failed = |e| Failure::new("Error_Internal", format!("no random numbers: {e}"));
                getrandom::fill(&mut octets).map_err(failed)?;
                octets
            }
        };
        Ok(Flow {
            plan,
            socket,
            server,
            setup,
            keys,
            phase: Phase::SetUp { request, since: now, again: now + AGAIN },
            wrong_size: false,
            feedback: 0,
            heard: now,
            stopped: false,
            activated: pdu::Activated {
                code: 0,
                feedback: 0,
                seconds: 0,
                period: 0,
                rate: Default::default(),
            },
            subs: Vec::new(),
            begun: 0,
            last: 0,
            over: 0,
            content,
            offset: 0,
            counters: None,
            octets: 0,
        })
    }

    /// Its socket, for who waits.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// It counts what goes through its interface, too.
    pub fn count_with(&mut self, counters: Counters) {
        self.counters = Some(counters);
    }

    /// How it has ended, when it has.
    pub fn ended(&self) -> Option<Result<(), &Failure>> {
        match &self.phase {
            Phase::Done => Some(Ok(())),
            Phase::Failed(failure) => Some(Err(failure)),
            _ => None,
        }
    }

    /// The length of the test and of a sub-interval, in milliseconds, as the server has agreed to.
    pub fn lengths(&self) -> (u32, u32) {
        (u32::from(self.activated.seconds) * 1000, self.activated.period.into())
    }

    /// How many sub-intervals the test has.
    fn wanted(&self) -> usize {
        let (test, period) = self.lengths();
        (test / period.max(1)) as usize
    }

    /// When [`Flow::turn`] has something to do next.
    pub fn due(&self) -> i64 {
        match &self.phase {
            Phase::SetUp { since, again, .. } => (*again).min(since + self.plan.wait),
            Phase::Activating { since } => since + self.plan.wait,
            Phase::Receiving(reception) => {
                let sub = reception.since().map(|since| since + self.period());
                let next = self.feedback.min(self.quiet()).min(self.over);
                sub.filter(|_| self.subs.len() < self.wanted()).map_or(next, |sub| sub.min(next))
            }
            Phase::Sending(emission) => emission.due().unwrap_or(i64::MAX).min(self.quiet()).min(self.over),
            Phase::Done | Phase::Failed(_) => i64::MAX,
        }
    }

    fn period(&self) -> i64 {
        i64::from(self.activated.period) * 1000
    }

    /// When nothing was heard for too long.
    fn quiet(&self) -> i64 {
        self.heard + self.plan.silence
    }

    fn fail(&mut self, failure: Failure) {
        self.phase = Phase::Failed(failure);
    }

    /// Takes what has come.
    pub fn hear(&mut self, clock: impl Fn() -> i64) {
        let mut room = [0; ROOM];
        for _ in 0..MAX_TURN {
            // Load is larger than the room: its length is told, its content is nobody's.
            match recv(self.socket.as_raw_fd(), &mut room, MsgFlags::MSG_TRUNC) {
                Ok(length) => {
                    self.heard_one(room.get(..length.min(ROOM)).unwrap_or_default(), length, clock())
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(error) => {
                    // While the test runs silence is what ends it.
                    if matches!(self.phase, Phase::SetUp { .. } | Phase::Activating { .. }) {
                        self.fail(Failure::of(&error.into()));
                    }
                    return;
                }
            }
            if self.ended().is_some() {
                return;
            }
        }
    }

    fn heard_one(&mut self, bytes: &[u8], length: usize, now: i64) {
        let mut told = None;
        let heard = match &mut self.phase {
            Phase::SetUp { .. } => self.set_up(bytes, now),
            Phase::Activating { .. } => self.activate(bytes, now),
            Phase::Receiving(reception) => Load::read(bytes, length).map(|load| {
                self.heard = now;
                if load.action != GOES_ON {
                    self.stopped = true;
                    return;
                }
                self.begun = if self.begun == 0 { now } else { self.begun };
                self.last = now;
                reception.load(&load, now);
            }),
            Phase::Sending(emission) => Status::read(bytes).map(|status| {
                self.heard = now;
                self.stopped |= status.action != GOES_ON;
                told = emission.heard(&status, now);
            }),
            Phase::Done | Phase::Failed(_) => Ok(()),
        };
        if let Some(sub) = told {
            self.add(sub);
        }
        self.wrong_size |= heard == Err(Wrong::Size);
    }

    fn set_up(&mut self, bytes: &[u8], now: i64) -> Result<(), Wrong> {
        let answer = pdu::set_up(bytes, &self.setup)?;
        // A refusal before the server knows the key is not signed by it.
        let is_signed = self.keys.as_ref().is_none_or(|keys| keys.is_theirs(bytes, pdu::SETUP_AUTH));
        match rejected(answer.code, answer.version) {
            Some(failure) => self.fail(failure),
            None if !is_signed => self.fail(unsigned()),
            None => self.ask_for_test(answer.port, now),
        }
        Ok(())
    }

    /// The server waits on a port of its own for this flow.
    fn ask_for_test(&mut self, port: u16, now: i64) {
        self.server.set_port(port);
        let mut request = self.plan.activation.request();
        if let Some(keys) = &self.keys {
            keys.sign(&mut request, pdu::ACTIVATION_AUTH, seconds(now));
        }
        let asked = match port {
            0 => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => self.socket.connect(self.server).and_then(|()| send(&self.socket, &request)),
        };
        match asked {
            Ok(()) => self.phase = Phase::Activating { since: now },
            Err(error) => self.fail(Failure::of(&error)),
        }
    }

    fn activate(&mut self, bytes: &[u8], now: i64) -> Result<(), Wrong> {
        let upstream = self.plan.activation.upstream;
        let answer = pdu::activated(bytes, upstream)?;
        if self.keys.as_ref().is_some_and(|keys| !keys.is_theirs(bytes, pdu::ACTIVATION_AUTH)) {
            self.fail(unsigned());
            return Ok(());
        }
        if answer.code != ACCEPTED {
            let why = format!("the server refuses the test's parameters (code {})", answer.code);
            let code = 150 + u32::from(answer.code);
            self.fail(Failure { state: "Error_RejectedByRemote", why, code });
            return Ok(());
        }
        // What the server makes of the test may be shorter, never longer or finer than what was asked for.
        let asked = &self.plan.activation;
        let fits = (1..=asked.seconds).contains(&answer.seconds)
            && (asked.period.min(1000)..=10_000).contains(&answer.period)
            && (5..=250).contains(&answer.feedback);
        if !fits {
            self.fail(Failure::new("Error_Other", "the server makes another test of what was asked for"));
            return Ok(());
        }
        report_errors(&self.socket, self.server, false);
        self.activated = answer;
        self.heard = now;
        self.over = now + i64::from(answer.seconds) * 1_000_000 + LINGER;
        self.phase = if upstream {
            let six = self.server.is_ipv6();
            let bounds = (self.plan.payload.0.max(LOAD as u32), self.plan.payload.1.max(LOAD as u32));
            (self.begun, self.last) = (now, now);
            Phase::Sending(Box::new(Emission::new(answer.rate, now, six, bounds, chance())))
        } else {
            self.feedback = now + i64::from(answer.feedback) * 1000;
            Phase::Receiving(Box::new(Reception::new(now, self.plan.wait)))
        };
        self.octets = self.interface();
        Ok(())
    }

    /// Does what is due.
    pub fn turn(&mut self, now: i64) {
        let late = |since: i64| now >= since + self.plan.wait;
        match &mut self.phase {
            Phase::SetUp { since, .. } if late(*since) => self.silent("no answer to the setup request"),
            Phase::Activating { since } if late(*since) => self.silent("no answer to the activation"),
            Phase::SetUp { request, again, .. } if now >= *again => {
                *again = now + AGAIN;
                let request = *request;
                if let Err(error) = send(&self.socket, &request) {
                    self.fail(Failure::of(&error));
                }
            }
            Phase::Receiving(_) => self.receive(now),
            Phase::Sending(_) => self.emit(now),
            _ => {}
        }
    }

    fn silent(&mut self, why: &str) {
        self.fail(match self.wrong_size {
            true => Failure::new("Error_IncorrectSize", format!("{why}: what came has a wrong size")),
            false => Failure::new("Error_NoResponse", why),
        });
    }

    fn receive(&mut self, now: i64) {
        let (mode, wanted, period) = (Keys::mode(self.keys.as_ref()), self.wanted(), self.period());
        let Phase::Receiving(reception) = &mut self.phase else { return };
        let ended = reception.since().filter(|since| self.subs.len() < wanted && now >= since + period);
        // A test that stops a little early has a last sub-interval that is a little shorter.
        let rest = reception.since().filter(|since| self.stopped && now - since > period / 2);
        if ended.or(rest.filter(|_| self.subs.len() < wanted)).is_some() {
            let sub = reception.end_sub(now);
            self.add(sub);
        }
        let is_deaf = now >= self.heard + 1_000_000;
        let Phase::Receiving(reception) = &mut self.phase else { return };
        if self.stopped || now >= self.feedback {
            self.feedback = now + i64::from(self.activated.feedback) * 1000;
            if let Some(feedback) = reception.feedback(now, self.stopped, is_deaf, mode) {
                // What is lost here is lost as on the way.
                let _ = self.socket.send(&feedback);
            }
        }
        self.judge(now);
    }

    fn emit(&mut self, now: i64) {
        let is_deaf = now >= self.heard + 1_000_000;
        loop {
            let Phase::Sending(emission) = &mut self.phase else { return };
            if self.stopped {
                let load = emission.next(LOAD as u32, now, STOP, is_deaf);
                let _ = self.put(load, LOAD);
                break;
            }
            let Some(burst) = emission.take(now) else { break };
            let sizes = (0..burst.count).map(|_| burst.payload).chain([burst.addon]);
            for size in sizes.filter(|size| *size > 0) {
                let Phase::Sending(emission) = &mut self.phase else { return };
                let load = emission.next(size, now, GOES_ON, is_deaf);
                if let Err(error) = self.put(load, size as usize) {
                    if let Phase::Sending(emission) = &mut self.phase {
                        emission.take_back();
                    }
                    if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) {
                        return self.fail(Failure::of(&error));
                    }
                    // The queue is full: the rest of the burst would not fit either.
                    break;
                }
                self.last = now;
            }
        }
        self.judge(now);
    }

    fn put(&mut self, load: Load, size: usize) -> io::Result<()> {
        if self.offset + size > self.content.len() {
            self.offset = 0;
        }
        let Some(datagram) = self.content.get_mut(self.offset..self.offset + size) else { return Ok(()) };
        load.write(datagram);
        let sent = self.socket.send(datagram);
        if self.plan.content == Content::Random {
            self.offset += size / 2 + 1;
        } else if let Some(head) = self.content.get_mut(..LOAD) {
            head.fill(0);
        }
        sent.map(drop)
    }

    /// Whether it is over.
    fn judge(&mut self, now: i64) {
        let all = self.subs.len() >= self.wanted();
        if self.stopped || now >= self.over {
            match self.subs.is_empty() || (now >= self.over && !self.stopped && !all) {
                true => {
                    self.fail(Failure::new("Error_Timeout", "the test ended without all its sub-intervals"))
                }
                false => self.phase = Phase::Done,
            }
        } else if now >= self.quiet() {
            match all {
                true => self.phase = Phase::Done,
                false => self.fail(Failure::new("Error_Timeout", "nothing more came from the server")),
            }
        }
    }

    fn add(&mut self, mut sub: Sub) {
        if self.subs.len() >= self.wanted() {
            return;
        }
        let octets = self.interface();
        sub.interface = octets.saturating_sub(self.octets);
        self.octets = octets;
        self.subs.push(sub);
    }

    /// Octets of the interface so far, the test's direction only.
    fn interface(&self) -> u64 {
        let bytes = self.counters.as_ref().and_then(Counters::read).unwrap_or_default();
        if self.plan.activation.upstream { bytes.sent } else { bytes.received }
    }
}

fn seconds(now: i64) -> u32 {
    (now / 1_000_000) as u32 // the protocol's wrap in 2106
}

fn unsigned() -> Failure {
    Failure::new("Error_LoginFailed", "the server's answer is not signed with the key")
}

/// All of it or nothing: a datagram.
fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    socket.send(datagram).map(drop)
}

/// What a server's answer to a setup request means when it is no acceptance.
fn rejected(code: u8, version: u16) -> Option<Failure> {
    let (state, why) = match code {
        ACCEPTED => return None,
        2 => {
            let why = format!("the server speaks version {version}, not {}", pdu::VERSION);
            return Some(Failure { state: "Error_RejectedByRemote", why, code: 102 });
        }
        3 => ("Error_RejectedByRemote", "JumboFramesPermitted is not as the server wants it"),
        4 => ("Error_LoginFailed", "the server has no keys"),
        5 => ("Error_PasswordRequestFailed", "the server wants a key"),
        6 => ("Error_LoginFailed", "the server wants another mode of authentication"),
        7 => ("Error_LoginFailed", "the server knows another key"),
        8 => ("Error_LoginFailed", "the server's clock shows another time"),
        9 => ("Error_RejectedByRemote", "the server wants to know MaximumTestBandwidth"),
        10 => ("Error_RejectedByRemote", "the server has less than MaximumTestBandwidth left"),
        11 => ("Error_RejectedByRemote", "MTU is not as the server wants it"),
        12 => ("Error_RejectedByRemote", "the server does not take so many flows"),
        13 => ("Error_RejectedByRemote", "the server has no room for a test"),
        _ => ("Error_RejectedByRemote", "the server refuses, with a code that nobody knows"),
    };
    Some(Failure { state, why: why.to_owned(), code: 100 + u32::from(code) })
}
