//! A command of the configuration, run to its end: an argument vector, never a shell.
//!
//! What it writes is read as it comes, and of what is not wanted only the last words are kept, for the
//! reason of a failure. One that must be given up dies with its whole process group; what an ordinary
//! end leaves running (a service it started, a reboot in a moment) is left alone.

use super::spawn::{self, Leads};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::fmt;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How much is kept of what a command said last, bytes.
const MAX_WORDS: usize = 160;
/// What is read of a pipe at once, bytes.
const CHUNK: usize = 4096;
/// What a pipe holds, bytes.
const PIPE: usize = 64 * 1024;
/// How often the end of a command is looked for, when nothing else tells of it: ever more seldom.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Why a command did not end well.
#[derive(Debug)]
pub enum Error {
    /// The vector is empty.
    Empty,
    /// It could not be started.
    Start(String, io::Error),
    /// It ended with something else than 0: how, and its last words.
    Status(String, String),
    /// It was killed after this long; with its last words.
    Deadline(Duration, String),
    /// It was killed because the agent wants to go on with something else.
    Stopped,
    /// It was killed because it wrote more than this many bytes.
    TooMuch(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self {
            Error::Empty => return write!(f, "no command"),
            Error::Start(program, error) => return write!(f, "{program}: {error}"),
            Error::Stopped => return write!(f, "stopped"),
            Error::TooMuch(most) => return write!(f, "wrote more than {most} bytes"),
            Error::Status(how, said) => {
                write!(f, "{how}")?;
                said
            }
            Error::Deadline(after, said) => {
                write!(f, "killed after {} s", after.as_secs())?;
                said
            }
        };
        if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
    }
}

impl std::error::Error for Error {}

/// Runs a command and waits for its end, at most `deadline`, and not longer than until something can be
/// read from `stop`, or it is closed.
///
/// # Errors
/// [`Error`]; the command is dead in every case.
pub fn run(argv: &[String], deadline: Duration, stop: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    run_watched(argv, deadline, stop, &mut || None)
}

/// As [`run`]; `watch` is asked again and again whether it may go on.
///
/// # Errors
/// [`Error`], of `watch` too.
pub fn run_watched(
    argv: &[String],
    deadline: Duration,
    stop: Option<BorrowedFd<'_>>,
    watch: &mut dyn FnMut() -> Option<Error>,
) -> Result<(), Error> {
    let mut running = Running::start(argv, deadline, false)?;
    while running.turn(stop, &mut [])?.is_none() {
        if let Some(error) = watch() {
            return Err(error);
        }
    }
    running.finish()
}

/// What a command writes to its standard output, at most `most` bytes.
///
/// # Errors
/// [`Error`].
pub fn output(argv: &[String], deadline: Duration, most: usize) -> Result<Vec<u8>, Error> {
    let mut stream = Stream::start(argv, deadline, most as u64, None)?;
    let mut out = Vec::new();
    match stream.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(error) => Err(stream.failure.take().unwrap_or(Error::Start(String::new(), error))),
    }
}

/// A command that is read while it runs. The end of the stream is told only when the command has ended
/// well: else the last read fails.
pub struct Stream {
    running: Running,
    stop: Option<OwnedFd>,
    left: u64,
    most: u64,
    /// The command has ended, and this is how.
    ended: bool,
    failure: Option<Error>,
}

impl Stream {
    /// Starts it; see [`run`].
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Start`].
    pub fn start(
        argv: &[String],
        deadline: Duration,
        most: u64,
        stop: Option<OwnedFd>,
    ) -> Result<Stream, Error> {
        let running = Running::start(argv, deadline, true)?;
        Ok(Stream { running, stop, left: most, most, ended: false, failure: None })
    }

    /// Why a read failed.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            let stop = self.stop.as_ref().map(AsFd::as_fd);
            match self.running.turn(stop, buffer)? {
                None => {}
                Some(0) => return self.running.finish().map(|()| 0),
                Some(got) => {
                    self.left = self.left.checked_sub(got as u64).ok_or(Error::TooMuch(self.most))?;
                    return Ok(got);
                }
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what process {} writes", self.running.pid)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return match &self.failure {
                Some(error) => Err(io::Error::other(error.to_string())),
                None => Ok(0),
            };
        }
        match self.next(buffer) {
            Ok(got) => {
                self.ended = got == 0;
                Ok(got)
            }
            Err(error) => {
                // It is of no use any more.
                self.running.give_up();
                self.ended = true;
                let told = io::Error::other(error.to_string());
                self.failure = Some(error);
                Err(told)
            }
        }
    }
}

/// A process with what it says.
struct Running {
    pid: Pid,
    /// It leads its group until its end has been taken.
    taken: bool,
    /// How it ended, which is seen before it is taken.
    status: Option<WaitStatus>,
    /// What is wanted of it; `None` when nothing is, or nothing more comes.
    output: Option<PipeReader>,
    /// The rest; both together where nothing is wanted.
    words: Option<PipeReader>,
    last: Vec<u8>,
    look: Duration,
    deadline: Duration,
    until: Instant,
}

impl Running {
    fn start(argv: &[String], deadline: Duration, wanted: bool) -> Result<Running, Error> {
        let program = argv.first().ok_or(Error::Empty)?;
        let failed = |error| Error::Start(program.clone(), error);
        let pipe = || {
            let (here, there) = io::pipe()?;
            fcntl(here.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            Ok((here, there))
        };
        let (words, errors) = pipe().map_err(failed)?;
        let (output, wanted) = if wanted { Some(pipe().map_err(failed)?) } else { None }.unzip();
        let streams = (None, wanted.as_ref().unwrap_or(&errors).as_fd(), errors.as_fd());
        let pid = spawn::start(argv, &[], streams, Leads::Group).map_err(failed)?;
        Ok(Running {
            pid,
            taken: false,
            status: None,
            output,
            words: Some(words),
            last: Vec::new(),
            look: LOOK.0,
            deadline,
            // A deadline beyond all time is none.
            until: Instant::now().checked_add(deadline).unwrap_or_else(far),
        })
    }

    /// Waits a moment for the next thing to happen. `Some(0)`: it has ended, and nothing more comes.
    fn turn(&mut self, stop: Option<BorrowedFd<'_>>, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Deadline(self.deadline, self.said()));
        }
        let [stopped, output, words] = self.wait(stop, self.look.min(left));
        if stopped {
            return Err(Error::Stopped);
        }
        self.look = if output || words { LOOK.0 } else { (self.look * 2).min(LOOK.1) };
        if words {
            self.hear();
        }
        if output && let Some(got) = self.take(buffer) {
            return Ok(Some(got));
        }
        if self.status.is_none() {
            self.see();
        }
        if self.status.is_none() || self.output.is_some() {
            return Ok(None);
        }
        // Who it left behind may hold its errors open, and write on: only what is there now is read.
        for _ in 0..PIPE / CHUNK {
            self.hear();
        }
        Ok(Some(0))
    }

    /// Waits for one of these, and says for which.
    fn wait(&self, stop: Option<BorrowedFd<'_>>, time: Duration) -> [bool; 3] {
        let fds = [stop, self.output.as_ref().map(AsFd::as_fd), self.words.as_ref().map(AsFd::as_fd)];
        let mut waits: Vec<PollFd<'_>> =
            fds.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        // A part of a millisecond counts as a whole one.
        let ms = PollTimeout::try_from(time.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut waits, ms);
        let mut waits = waits.iter();
        fds.map(|fd| fd.is_some() && waits.next().is_some_and(|w| w.any() == Some(true)))
    }

    fn hear(&mut self) {
        let mut chunk = [0; CHUNK];
        match self.words.as_mut().map(|pipe| pipe.read(&mut chunk)) {
            // A read gives no more than it was asked for.
            Some(Ok(got)) if got > 0 => keep_last(&mut self.last, chunk.get(..got).unwrap_or_default()),
            Some(Err(error)) if is_later(&error) => {}
            _ => self.words = None,
        }
    }

    /// Reads what is wanted; `None` when nothing came.
    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self.output.as_mut().map(|pipe| pipe.read(buffer)) {
            Some(Ok(got)) if got > 0 => return Some(got),
            Some(Err(error)) if is_later(&error) => {}
            _ => self.output = None,
        }
        None
    }

    /// Looks whether it has ended, and leaves it as it is: until then its group is its own.
    fn see(&mut self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        self.status = match waitid(Id::Pid(self.pid), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
            Ok(status) => Some(status),
            // Somebody else has taken it (a parent that ignores SIGCHLD): how it ended nobody knows.
            Err(_) => Some(WaitStatus::Continued(self.pid)),
        };
    }

    /// It has ended by itself: how.
    fn finish(&mut self) -> Result<(), Error> {
        self.taken = true;
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
        match self.status {
            Some(WaitStatus::Exited(_, 0)) => Ok(()),
            Some(status) => Err(Error::Status(how(status), self.said())),
            None => Ok(()), // not reached: it is called when the end has been seen
        }
    }

    fn give_up(&mut self) {
        if !self.taken {
            self.taken = true;
            spawn::kill(self.pid);
        }
    }

    fn said(&self) -> String {
        words(&self.last)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// How a process ended, in words.
pub fn how(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit status {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("ended by {signal}"),
        _ => "ended".to_owned(),
    }
}

/// The last of some bytes, as words on one line.
pub fn words(last: &[u8]) -> String {
    let from = last.len().saturating_sub(MAX_WORDS);
    let text = String::from_utf8_lossy(last.get(from..).unwrap_or_default());
    // Where it was cut may lie within a character.
    let text = text.trim_start_matches('\u{fffd}');
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn keep_last(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let beyond = kept.len().saturating_sub(MAX_WORDS);
    kept.drain(..beyond);
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A year from now.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(365 * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_command_ends_well_fails_hangs_or_is_missing() {
        let long = Duration::from_secs(20);
        assert!(run(&argv(&["true"]), long).is_ok());
        assert!(matches!(run(&argv(&["false"]), long), Err(Error::Status(_, _))));
        assert!(matches!(run(&argv(&["sleep", "600"]), Duration::from_millis(50)), Err(Error::Deadline(_))));
        assert!(matches!(run(&argv(&["/no/such/program"]), long), Err(Error::Start(_, _))));
        assert!(matches!(run(&[], long), Err(Error::Empty)));
    }

    /// The agent blocks signals that it reads from a descriptor; std gives a child an empty mask.
    #[test]
    fn a_child_has_no_signal_blocked() {
        use nix::sys::signal::{SigSet, Signal};
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.thread_block().unwrap();
        // Its error output says how grep's own signals stand.
        let words = argv(&["/bin/sh", "-c", "grep SigBlk /proc/self/status >&2; exit 1"]);
        let Err(Error::Status(_, text)) = run(&words, Duration::from_secs(20)) else { panic!("it fails") };
        assert!(text.ends_with(" 0000000000000000"), "{text}");
    }

    #[test]
    fn the_error_says_what_the_command_said() {
        let error = run(&argv(&["ls", "/no/such/folder"]), Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
