//! What an exchange and its connections share: how to wait, and what happened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::buffer::BUFFER;
use super::client::{MAX_BODY, Timeouts};
use super::error::{Error, Reached};
use super::line::Line;

/// The most bytes taken in for one response of an ACS: its body in whatever chunks, and its trailers; with
/// TLS as they come, records without content included.
const MAX_RESPONSE: u64 = 8 * MAX_BODY as u64;

/// What one connection may hold and take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The buffer of what comes in, in bytes.
    pub input: usize,
    /// The buffer of what goes out, in bytes.
    pub output: usize,
    /// All that is taken in for one response, in bytes.
    pub response: u64,
}

/// Those of a session with an ACS.
impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { input: BUFFER, output: BUFFER, response: MAX_RESPONSE }
    }
}

/// See the module.
pub struct Shared {
    /// Readable or closed: every wait ends.
    pub wake: OwnedFd,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// When the session must be over.
    pub end: Instant,
    /// What connections may hold and take.
    pub bounds: Bounds,
    note: Mutex<Note>,
    reached: Mutex<Reached>,
}

/// What a connection tells the client about the request under way.
#[derive(Default)]
pub struct Note {
    /// Why it failed; ureq's own error says less.
    pub failure: Option<Error>,
    /// The connection broke, or was closed; no deadline, no refusal.
    pub broken: bool,
    /// Something of the response came in.
    pub received: bool,
    /// The server has answered without reading all of the request: no more of it is sent.
    pub given_up: bool,
    /// A connection is wanted and none is ready.
    pub wanted: bool,
    /// A connection that waits to be taken.
    pub ready: Option<Line>,
}

impl Shared {
    /// The session begins now.
    pub fn new(wake: OwnedFd, timeouts: Timeouts, bounds: Bounds) -> Shared {
        Shared {
            wake,
            timeouts,
            bounds,
            end: after(timeouts.session),
            note: Mutex::default(),
            reached: Mutex::default(),
        }
    }

    /// The session came as far as this.
    pub fn came(&self, place: Reached) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        // Of several responses the last counts.
        if place > *reached || matches!(place, Reached::Answered(_)) {
            *reached = place;
        }
    }

    /// How far the session came.
    pub fn reached(&self) -> Reached {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The note; one thread only ever takes it.
    pub fn note(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the session may go on, without waiting.
    pub fn check(&self) -> Result<(), Error> {
        let mut fds = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(0) | Err(_) if Instant::now() >= self.end => Err(Error::Timeout("session")),
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(Error::Woken),
        }
    }

    /// Waits until then, for nothing but being woken.
    pub fn pause(&self, until: Instant) -> Result<(), Error> {
        loop {
            let now = Instant::now();
            if now >= self.end {
                return Err(Error::Timeout("session"));
            }
            if now >= until {
                return Ok(());
            }
            let left = until.min(self.end).saturating_duration_since(now).as_millis().saturating_add(1);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            if let Ok(1..) = poll(&mut fds, timeout) {
                return Err(Error::Woken);
            }
        }
    }

    /// Waits for one of `events` on `fd`; `phase` names the deadline `until`.
    pub fn wait(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        until: Instant,
        phase: &'static str,
    ) -> Result<PollFlags, Error> {
        loop {
            let now = Instant::now();
            let left = until.min(self.end).saturating_duration_since(now);
            // rounded up, so that the deadline has passed when poll says so
            let left = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
            let mut fds = [PollFd::new(fd, events), PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(0) if Instant::now() >= self.end => return Err(Error::Timeout("session")),
                Ok(0) if Instant::now() >= until => return Err(Error::Timeout(phase)),
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(Error::Broken(format!("poll: {}", e.desc()))),
            }
            let [socket, wake] = &fds;
            if wake.any() != Some(false) {
                return Err(Error::Woken);
            }
            if let Some(events) = socket.revents().filter(|e| !e.is_empty()) {
                return Ok(events);
            }
        }
    }
}

/// A deadline from now; one that cannot be told is a year away.
pub fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400)) // a year fits any clock
}
