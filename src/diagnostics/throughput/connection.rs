//! One connection of a test: it opens, asks, and takes what comes or sends what is wanted, as far as goes without
//! waiting.

use super::http::{self, Body, Sends};
use super::interface::{Counters, device_with};
use super::tally::Marks;
use super::wire::Wire;
use super::{FRAME, MAX_OPENED, Plan, Way};
use crate::diagnostics::run::after;
use crate::diagnostics::{Job, socket};
use nix::poll::PollFlags;
use rustls::ClientConfig;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many reads or writes one connection may do before the others have their turn.
const TURN: usize = 16;

/// What all connections share.
pub struct Common<'a> {
    pub plan: &'a Plan,
    pub job: &'a Job,
    /// Of the host, in the order they are tried.
    pub addresses: &'a [SocketAddr],
    pub tls: Option<Arc<ClientConfig>>,
    /// What is sent, and where heads are read.
    pub piece: Vec<u8>,
    /// The time of a time-based test is over.
    pub is_over: bool,
    /// Connections opened so far.
    pub opened: u32,
    /// IPAddressUsed.
    pub local: Option<IpAddr>,
    /// Of the interface that it belongs to.
    pub counters: Counters,
}

/// Why a test is an error: its state, and the reason.
pub type End = (&'static str, String);

enum Phase {
    /// Nothing is open.
    Idle,
    Connecting,
    Securing,
    /// The request's head goes out.
    Asking,
    /// The body of an upload goes out.
    Sending,
    /// The last chunk of an upload goes out.
    Closing,
    /// The head of the answer comes.
    Hearing,
    /// Its body comes.
    Taking(Body),
    Over,
}

/// See the module.
pub struct Connection {
    phase: Phase,
    wire: Option<Wire>,
    /// Which of the addresses is tried, and what the best of those before said.
    address: usize,
    refusal: Option<End>,
    /// When the present phase has lasted too long.
    until: Instant,
    /// What goes out beside the body, and how much of it has gone.
    out: Vec<u8>,
    gone: usize,
    /// Bytes of the body that have gone.
    sent: u64,
    /// The head of the answer as far as it came.
    head: Vec<u8>,
    keeps: bool,
    pub marks: Marks,
}

impl Connection {
    pub fn new() -> Connection {
        Connection {
            phase: Phase::Idle,
            wire: None,
            address: 0,
            refusal: None,
            until: Instant::now(),
            out: Vec::new(),
            gone: 0,
            sent: 0,
            head: Vec::new(),
            keeps: false,
            marks: Marks::default(),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// When it is to be looked after even if nothing happens.
    pub fn until(&self) -> Option<Instant> {
        (!self.is_over()).then_some(self.until)
    }

    /// Our end of it.
    pub fn local(&self) -> Option<SocketAddr> {
        self.wire.as_ref()?.local()
    }

    /// What to wait for.
    pub fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags, bool)> {
        let wire = self.wire.as_ref()?;
        let flags = match self.phase {
            Phase::Idle | Phase::Over => return None,
            Phase::Connecting | Phase::Asking => PollFlags::POLLOUT,
            Phase::Securing | Phase::Hearing | Phase::Taking(_) => PollFlags::POLLIN,
            Phase::Sending | Phase::Closing => PollFlags::POLLIN | PollFlags::POLLOUT,
        };
        Some((wire.fd(), wire.flags(flags), false))
    }

    /// Ends it where it is: the transmission ends now.
    pub fn stop(&mut self, now: Instant) {
        self.marks.eom = Some(now);
        (self.phase, self.wire) = (Phase::Over, None);
    }

    /// Does what can be done now. True when only its turn was over.
    ///
    /// # Errors
    /// The test cannot be what was asked for.
    pub fn step(&mut self, common: &mut Common<'_>, ready: bool) -> Result<bool, End> {
        if matches!(self.phase, Phase::Sending) && self.listen(common)? {
            return Ok(true);
        }
        for _ in 0..TURN {
            let moved = match &self.phase {
                Phase::Over => return Ok(false),
                Phase::Idle => self.open(common)?,
                Phase::Connecting => ready && self.connected(common)?,
                Phase::Securing => self.secured(common)?,
                Phase::Asking => self.ask(common)?,
                Phase::Sending => self.send(common)?,
                Phase::Closing => self.close(common)?,
                Phase::Hearing => self.hear(common)?,
                Phase::Taking(_) => self.take(common)?,
            };
            if !moved && Instant::now() >= self.until {
                self.late(common.plan.way)?;
            }
            // A socket that has just been opened is not known to be ready.
            if !moved || matches!(self.phase, Phase::Connecting) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The present phase has lasted too long.
    fn late(&mut self, way: Way) -> Result<(), End> {
        let (state, why) = match self.phase {
            Phase::Connecting | Phase::Securing => {
                let why = if matches!(self.phase, Phase::Connecting) { "TCP" } else { "TLS" };
                return self
                    .next_address(("Error_InitConnectionFailed", format!("{why}: no answer in time")));
            }
            Phase::Asking | Phase::Hearing => ("Error_NoResponse", "no answer to the request in time"),
            _ if way == Way::Upload => ("Error_Timeout", "the server takes no more"),
            _ => ("Error_Timeout", "nothing more comes"),
        };
        Err((state, why.to_owned()))
    }

    /// This address is no good: on to the next one, if there is one.
    fn next_address(&mut self, why: End) -> Result<(), End> {
        self.wire = None;
        self.phase = Phase::Idle;
        self.address += 1;
        // Somebody who refused says more than a missing way.
        if self.refusal.as_ref().is_none_or(|(state, _)| *state == "Error_NoRouteToHost") {
            self.refusal = Some(why);
        }
        self.until = Instant::now();
        Ok(())
    }

    fn open(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(&address) = common.addresses.get(self.address) else {
            return Err(self.refusal.take().unwrap_or(("Error_Other", "no address is left".to_owned())));
        };
        common.opened += 1;
        if common.opened > MAX_OPENED {
            let why = "the server closes one connection after the other".to_owned();
            return Err((common.plan.way.broken(), why));
        }
        // A silent address leaves their share of the time to those behind it.
        let shares = u32::try_from(common.addresses.len() - self.address).unwrap_or(1);
        self.until = after(common.plan.timeouts.connect / shares);
        self.marks.open_request.get_or_insert_with(Instant::now);
        match Wire::open(common.job, address) {
            Ok(wire) => {
                self.wire = Some(wire);
                self.phase = Phase::Connecting;
            }
            Err(error) => self.next_address(refused(address.ip(), &error))?,
        }
        Ok(true)
    }

    fn connected(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        if let Err(error) = wire.opened() {
            let address = common.addresses.get(self.address).map_or([0; 4].into(), SocketAddr::ip);
            self.next_address(refused(address, &error))?;
            return Ok(true);
        }
        self.marks.open_response.get_or_insert_with(Instant::now);
        if common.local.is_none() {
            common.local = wire.local().map(|local| local.ip());
            let device = common.job.device.clone().or_else(|| common.local.and_then(device_with));
            common.counters = Counters::of(&common.job.around.root, device.as_deref());
        }
        match &common.tls {
            None => self.begin(common),
            Some(config) => {
                let said = wire.secure(config, &common.plan.url.host);
                said.map_err(|why| ("Error_InitConnectionFailed", why))?;
                self.phase = Phase::Securing;
            }
        }
        Ok(true)
    }

    fn secured(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.shake(&common.plan.url.host) {
            Ok(true) => self.begin(common),
            Ok(false) => return Ok(false),
            Err(why) => self.next_address(("Error_InitConnectionFailed", why))?,
        }
        Ok(true)
    }

    /// A request begins on an open connection.
    fn begin(&mut self, common: &Common<'_>) {
        let plan = common.plan;
        let sends = match (plan.way, plan.duration) {
            (Way::Download, _) => Sends::Nothing,
            (Way::Upload, None) => Sends::Bytes(plan.length),
            (Way::Upload, Some(_)) => Sends::Chunks,
        };
        self.out = http::request(&plan.url, &common.job.around.options.user_agent, sends);
        (self.gone, self.sent) = (0, 0);
        self.head.clear();
        self.phase = Phase::Asking;
        self.until = after(plan.timeouts.response);
    }

    fn ask(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let now = Instant::now();
        if self.marks.rom.is_none() {
            (self.marks.rom, self.marks.begin) = (Some(now), common.counters.read());
        }
        if !self.put_out(common.plan.way)? {
            return Ok(false);
        }
        if self.gone < self.out.len() {
            return Ok(true);
        }
        self.phase = match common.plan.way {
            Way::Download => Phase::Hearing,
            Way::Upload => {
                self.data(self.out.len(), now);
                Phase::Sending
            }
        };
        self.wait(common.plan.timeouts.response);
        Ok(true)
    }

    /// Sends of what is in `out`; false when nothing goes.
    fn put_out(&mut self, way: Way) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.write(self.out.get(self.gone..).unwrap_or_default()) {
            Ok(amount) => self.gone += amount,
            Err(error) if is_patience(&error) => return Ok(false),
            // Perhaps it has said why.
            Err(error) => return self.cut(way, &error).map(|()| true),
        }
        Ok(true)
    }

    /// Data of the test moved.
    fn data(&mut self, amount: usize, now: Instant) {
        self.marks.bom.get_or_insert(now);
        self.marks.last = Some(now);
        self.marks.bytes = self.marks.bytes.saturating_add(amount as u64);
    }

    fn wait(&mut self, time: Duration) {
        self.until = after(time);
    }

    fn send(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let plan = common.plan;
        let whole = common.piece.len() as u64;
        let at = self.sent % whole;
        let left = match (plan.duration, common.is_over) {
            (None, _) => plan.length - self.sent,
            (Some(_), false) => whole,
            // To the end of the present chunk.
            (Some(_), true) => (FRAME - self.sent % FRAME) % FRAME,
        };
        if left == 0 {
            self.out = if plan.duration.is_some() { b"0\r\n\r\n".to_vec() } else { Vec::new() };
            (self.gone, self.phase) = (0, Phase::Closing);
            return Ok(true);
        }
        let amount = left.min(whole - at);
        let piece = common.piece.get(at as usize..(at + amount) as usize).unwrap_or_default();
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.write(piece) {
            Ok(amount) => {
                self.sent += amount as u64;
                self.data(amount, Instant::now());
                self.wait(plan.timeouts.progress);
                Ok(true)
            }
            Err(error) if is_patience(&error) => Ok(false),
            Err(error) => self.cut(plan.way, &error).map(|()| true),
        }
    }

    fn close(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        if self.gone < self.out.len() {
            return self.put_out(common.plan.way);
        }
        // What TLS holds back goes out as well.
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.flush() {
            Err(error) if is_patience(&error) => return Ok(false),
            Err(error) => self.cut(common.plan.way, &error)?,
            Ok(()) => {}
        }
        self.data(self.out.len(), Instant::now());
        self.phase = Phase::Hearing;
        self.wait(common.plan.timeouts.response);
        Ok(true)
    }

    /// An upload cannot go on. What the server said before is the better reason.
    fn cut(&mut self, way: Way, error: &io::Error) -> Result<(), End> {
        let state = match (way, self.marks.bom) {
            (Way::Upload, Some(_)) => way.broken(),
            _ => "Error_NoResponse",
        };
        let mut room = [0; 2048];
        while let Some(wire) = &mut self.wire
            && self.head.len() < http::MAX_HEAD
            && let Ok(amount @ 1..) = wire.read(&mut room)
        {
            self.head.extend_from_slice(room.get(..amount).unwrap_or_default());
            if let Some(head) = self.final_head(way)? {
                judge(way, head.status)?;
            }
        }
        Err((state, format!("the connection broke: {error}")))
    }

    /// Whether the server answers before it has all; a refusal is an error at once.
    fn listen(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        let mut room = [0; 2048];
        match wire.read(&mut room) {
            Ok(0) => {
                let why = "the server closed the connection before it had all".to_owned();
                return Err((common.plan.way.broken(), why));
            }
            Ok(amount) => self.head.extend_from_slice(room.get(..amount).unwrap_or_default()),
            Err(error) if is_patience(&error) => return Ok(false),
            Err(error) => return self.cut(common.plan.way, &error).map(|()| true),
        }
        if let Some(head) = self.final_head(common.plan.way)? {
            judge(common.plan.way, head.status)?;
            let why = format!("status {} before all was sent", head.status);
            return Err((common.plan.way.broken(), why));
        }
        Ok(false)
    }

    /// The head of the answer once it is whole, without interim ones.
    fn final_head(&mut self, way: Way) -> Result<Option<http::Head>, End> {
        if self.head.len() > http::MAX_HEAD {
            return Err((way.broken(), "a head without end".to_owned()));
        }
        loop {
            match http::head(&self.head).map_err(|why| (way.broken(), why.to_owned()))? {
                Some(head) if (100..200).contains(&head.status) && head.status != 101 => {
                    self.head.drain(..head.length);
                }
                other => return Ok(other),
            }
        }
    }

    fn hear(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let way = common.plan.way;
        let Some(wire) = &mut self.wire else { return Ok(false) };
        let mut room = [0; 4096];
        let none = |why: String| match self.head.is_empty() {
            true => ("Error_NoResponse", why),
            false => (way.broken(), why),
        };
        let amount = match wire.read(&mut room) {
            Ok(0) if self.may_reopen(common) => return self.reopen(),
            Ok(0) => return Err(none("the server closed the connection without an answer".to_owned())),
            Ok(amount) => amount,
            Err(error) if is_patience(&error) => return Ok(false),
            Err(_) if self.may_reopen(common) => return self.reopen(),
            Err(error) => return Err(none(format!("the connection broke: {error}"))),
        };
        let now = Instant::now();
        self.head.extend_from_slice(room.get(..amount).unwrap_or_default());
        if way == Way::Download {
            self.data(amount, now);
        }
        let Some(head) = self.final_head(way)? else { return Ok(true) };
        judge(way, head.status)?;
        if way == Way::Upload {
            self.marks.eom = Some(now);
            (self.phase, self.wire) = (Phase::Over, None);
            return Ok(true);
        }
        self.keeps = head.keeps;
        self.wait(common.plan.timeouts.progress);
        let mut body = head.body;
        let rest = self.head.get(head.length..).unwrap_or_default();
        let is_whole =
            body == Body::Length(0) || body.take(rest).map_err(|why| (way.broken(), why.to_owned()))?;
        self.phase = Phase::Taking(body);
        self.head = Vec::new();
        if is_whole {
            self.whole(common, now);
        }
        Ok(true)
    }

    /// Whether a server that has served before may have closed the connection between two requests.
    fn may_reopen(&self, common: &Common<'_>) -> bool {
        self.head.is_empty()
            && self.marks.bytes > 0
            && common.plan.duration.is_some()
            && common.plan.way == Way::Download
    }

    fn reopen(&mut self) -> Result<bool, End> {
        (self.wire, self.phase) = (None, Phase::Idle);
        Ok(true)
    }

    fn take(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let (Phase::Taking(body), Some(wire)) = (&mut self.phase, &mut self.wire) else { return Ok(false) };
        let blind = body.blind();
        let came = match blind {
            0 => wire.read(&mut common.piece),
            most => wire.skip(&mut common.piece, most),
        };
        let broken = common.plan.way.broken();
        let is_whole = match came {
            Ok(0) if *body == Body::ToEnd => true,
            Ok(0) => {
                let state = if blind > 0 { "Error_IncorrectSize" } else { broken };
                return Err((state, "the file ended before its end".to_owned()));
            }
            Ok(amount) => {
                let is_whole = match blind {
                    0 => body.take(common.piece.get(..amount).unwrap_or_default()),
                    _ => Ok(body.passed(amount as u64)),
                };
                let is_whole = is_whole.map_err(|why| (broken, why.to_owned()))?;
                self.data(amount, Instant::now());
                self.wait(common.plan.timeouts.progress);
                is_whole
            }
            Err(error) if is_patience(&error) => return Ok(false),
            Err(error) => return Err((broken, format!("the connection broke: {error}"))),
        };
        if is_whole {
            self.whole(common, Instant::now());
        }
        Ok(true)
    }

    /// The file is here. A time-based test asks for it again, by the same connection where the server lets it.
    fn whole(&mut self, common: &mut Common<'_>, now: Instant) {
        match (common.plan.duration, self.keeps) {
            (None, _) => {
                self.marks.eom = Some(self.marks.last.unwrap_or(now));
                (self.phase, self.wire) = (Phase::Over, None);
            }
            (Some(_), true) => self.begin(common),
            (Some(_), false) => (self.wire, self.phase) = (None, Phase::Idle),
        }
    }
}

/// What a status means (DG-7: what asks for a password is an error).
fn judge(way: Way, status: u16) -> Result<(), End> {
    let state = match (way, status) {
        (Way::Download, 200 | 206) | (Way::Upload, 200..=299) => return Ok(()),
        (_, 401 | 407) => "Error_LoginFailed",
        _ => way.broken(),
    };
    Err((state, format!("HTTP status {status}")))
}

fn refused(address: IpAddr, error: &io::Error) -> End {
    let state = match socket::is_no_route(error) {
        true => "Error_NoRouteToHost",
        false => "Error_InitConnectionFailed",
    };
    (state, format!("{address}: {error}"))
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
