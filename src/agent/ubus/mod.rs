//! The agent on the bus (OpenWrt): object `cwmpd`, for LuCI and scripts. The reactor's: nothing here waits.
//! A call is put to the engine as a request of the control socket is, and answered when the engine has.
//!
//! While ubusd is not there, its socket is watched for, and tried at waits that double up to [`LONGEST`]: a
//! machine without it is hardly ever woken.

mod answers;
mod methods;

use super::Message;
use super::control::{Failure, SessionReport};
use super::control_server::{Reply, ReplyTo, Snapshot, live};
use crate::model::fault::Code;
use crate::sys::ubus::published::{Caller, Invocation, Method};
use crate::sys::ubus::{Answer, Problem, Published};
use crate::sys::watch::{Heard, Watch};
use methods::METHODS;
use nix::poll::PollFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The name of the object.
const OBJECT: &str = "cwmpd";
/// The event that tells of a session's end.
const SESSION: &str = "cwmpd.session";
/// The most calls that are being answered; the next is refused.
pub const MAX_CALLS: usize = 8;
/// The most bytes of an answer, as the engine gives it.
pub const MAX_ANSWER: usize = 512 * 1024;
/// The most calls taken in one turn of the reactor.
const MAX_TURN: usize = 8;
/// How long ubusd may take until it has the object.
const GREETING: Duration = Duration::from_secs(10);
/// The first wait until ubusd is tried again, and the longest.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);

/// A call that the engine has.
struct Call {
    number: u32,
    caller: Caller,
    method: &'static Method,
    /// What it has answered so far.
    lines: Vec<u8>,
}

/// The object, or the wait for the bus.
pub struct Bus {
    socket: PathBuf,
    snapshot: Snapshot,
    /// `None` while there is no connection.
    object: Option<Published>,
    /// When ubusd is tried again; while there is a connection, until when the object must be there.
    again: Instant,
    /// Rings when the socket is made.
    watch: Option<Watch>,
    wait: Duration,
    /// What the engine was told last: that the object is there, or why it is not.
    told: Option<Result<(), Problem>>,
    calls: Vec<Call>,
    last: u32,
    replies: Receiver<(u32, Reply)>,
    back: Back,
}

/// How the engine's replies come back.
#[derive(Clone)]
pub struct Back {
    replies: Sender<(u32, Reply)>,
    /// The mailbox's; the end of it, when the engine breaks, is to be heard.
    bell: Weak<OwnedFd>,
}

impl Back {
    /// Hands over the reply to a call.
    pub fn send(&self, call: u32, reply: Reply) {
        if let (Ok(()), Some(bell)) = (self.replies.send((call, reply)), self.bell.upgrade()) {
            // A full pipe has rung already.
            let _ = nix::unistd::write(&bell, &[1]);
        }
    }
}

impl Bus {
    /// Not connected yet; the first turn tries. `bell` wakes the reactor.
    pub fn new(socket: PathBuf, snapshot: Snapshot, bell: Weak<OwnedFd>) -> Bus {
        let (sender, replies) = channel();
        Bus {
            socket,
            snapshot,
            object: None,
            again: Instant::now(),
            watch: None,
            wait: SHORTEST,
            told: None,
            calls: Vec::new(),
            last: 0,
            replies,
            back: Back { replies: sender, bell },
        }
    }

    /// What to poll, and for what.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let Some(object) = &self.object else {
            return self.watch.as_ref().map(|watch| (watch.as_fd(), PollFlags::POLLIN));
        };
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, object.wants_to_send());
        Some((object.as_fd(), flags))
    }

    /// When it wants its turn.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.object {
            Some(object) if object.has_more() => Some(Instant::now()),
            Some(object) if object.is_there() => None,
            _ => Some(self.again),
        }
    }

    /// Connects when it is time, takes calls, and answers those that the engine has answered.
    pub fn turn(&mut self, now: Instant, engine: &Sender<Message>) {
        if self.object.is_none() {
            if self.watch.as_ref().is_some_and(|watch| watch.heard() == Heard::Ring) {
                self.wait = SHORTEST;
            } else if now < self.again {
                return;
            }
            // Before it is tried, so that nothing falls in between; the wait alone would find it later.
            let path = self.socket.to_str();
            self.watch = path.and_then(|path| Watch::new(Path::new("/"), [path]).ok());
            match Published::begin(&self.socket, OBJECT, METHODS) {
                Ok(object) => (self.object, self.again) = (Some(object), now + GREETING),
                Err(problem) => return self.away(problem, now, engine),
            }
        }
        if let Err(problem) = self.serve(now, engine) {
            self.away(problem, now, engine);
        }
    }

    fn serve(&mut self, now: Instant, engine: &Sender<Message>) -> Result<(), Problem> {
        for _ in 0..MAX_TURN {
            let Some(call) = self.object.as_mut().map(Published::next_call).transpose()?.flatten() else {
                break;
            };
            self.called(call, engine)?;
        }
        while let Ok((number, reply)) = self.replies.try_recv() {
            self.replied(number, reply, engine)?;
        }
        match self.object.as_ref().is_some_and(Published::is_there) {
            true => {
                self.wait = SHORTEST;
                self.tell(Ok(()), engine);
            }
            false if now >= self.again => return Err(Problem::Silent),
            false => {}
        }
        Ok(())
    }

    /// Tells the engine what is new.
    fn tell(&mut self, how: Result<(), Problem>, engine: &Sender<Message>) {
        if self.told.as_ref() == Some(&how) {
            return;
        }
        match &how {
            Ok(()) => log::info!("object {OBJECT} is on the bus"),
            Err(problem) => log::warn!("object {OBJECT} is not on the bus: {problem}"),
        }
        let problem =
            how.as_ref().err().map(|problem| format!("object {OBJECT} is not on the bus: {problem}"));
        let _ = engine.send(Message::Bus(problem));
        self.told = Some(how);
    }

    /// There is no connection; when the next one is tried.
    fn away(&mut self, problem: Problem, now: Instant, engine: &Sender<Message>) {
        self.object = None;
        self.calls.clear();
        self.again = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST);
        self.tell(Err(problem), engine);
    }

    fn called(&mut self, call: Invocation, engine: &Sender<Message>) -> Result<(), Problem> {
        let Some(method) = METHODS.iter().find(|(name, _)| *name == call.method) else {
            return Ok(()); // it would not have come here
        };
        if let Some(report) = methods::is_report(method).then(|| live(&self.snapshot)).flatten() {
            return self.answer(call.caller, answers::report(method, &report));
        }
        let request = match methods::request(method, &call.args) {
            _ if self.calls.len() >= MAX_CALLS => {
                Err(Failure::new(Code::RESOURCES_EXCEEDED, "too many calls at once"))
            }
            request => request,
        };
        let request = match request {
            Ok(request) => request,
            Err(failure) => return self.answer(call.caller, Err(failure)),
        };
        self.last = self.last.wrapping_add(1);
        self.calls.push(Call { number: self.last, caller: call.caller, method, lines: Vec::new() });
        let _ = engine.send(Message::Control(request, ReplyTo::Bus(self.back.clone(), self.last)));
        Ok(())
    }

    /// The engine has answered a call, or has begun to.
    fn replied(&mut self, number: u32, reply: Reply, engine: &Sender<Message>) -> Result<(), Problem> {
        // Of a connection that is gone nobody waits for the answer.
        let Some(at) = self.calls.iter().position(|call| call.number == number) else { return Ok(()) };
        let (lines, rest) = match reply {
            Reply::Last(lines) => (lines, None),
            Reply::More(lines, rest) => (lines, Some(rest)),
        };
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        let fits = call.lines.len() + lines.len() <= MAX_ANSWER;
        if fits {
            call.lines.extend_from_slice(&lines);
            if let Some(rest) = rest {
                let _ = engine.send(Message::ControlMore(rest, ReplyTo::Bus(self.back.clone(), number)));
                return Ok(());
            }
        }
        let Call { caller, method, lines, .. } = self.calls.swap_remove(at);
        let said = match fits {
            false => Err(answers::too_long()),
            // Nothing was published before the engine's first answer, and has been since.
            true if methods::is_report(method) => {
                live(&self.snapshot).ok_or_else(answers::broken).and_then(|r| answers::report(method, &r))
            }
            true => answers::lines(method, &lines),
        };
        self.answer(caller, said)
    }

    fn answer(&mut self, caller: Caller, said: Result<Answer, Failure>) -> Result<(), Problem> {
        let Some(object) = &mut self.object else { return Ok(()) };
        match said {
            Ok(answer) => object.answer(caller, Some(&answer), 0),
            Err(failure) => {
                object.answer(caller, answers::fault(&failure).as_ref(), answers::status(failure.code))
            }
        }
    }

    /// A session has ended: whoever listens hears how.
    pub fn session_ended(&mut self, report: &SessionReport) {
        if let (Some(object), Some(event)) = (&mut self.object, answers::of_json(report)) {
            // A connection that broke is found by the next turn.
            let _ = object.send_event(SESSION, &event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A day without ubusd: the waits grow to an hour, and the engine is told once.
    #[test]
    fn a_bus_that_is_not_there_wakes_nobody() {
        let (_, bell) = nix::unistd::pipe().unwrap();
        let snapshot: Snapshot = Arc::new(Mutex::new((Instant::now(), Default::default(), None)));
        let (engine, inbox) = channel();
        let mut bus = Bus::new("/nowhere/ubus.sock".into(), snapshot, Arc::downgrade(&Arc::new(bell)));
        let start = Instant::now();
        let (mut now, mut turns) = (start, 0);
        while now < start + Duration::from_secs(86_400) {
            bus.turn(now, &engine);
            turns += 1;
            let next = bus.deadline().unwrap();
            assert!(next > now && next <= now + LONGEST);
            now = next;
        }
        assert!((24..60).contains(&turns), "{turns}");
        assert!(matches!(inbox.try_recv(), Ok(Message::Bus(Some(_)))) && inbox.try_recv().is_err());
    }
}
