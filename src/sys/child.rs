//! A long-lived child process that is spoken to in lines, and never waited for longer than a deadline.
//!
//! The child leads a process group of its own (see [`super::spawn`]) and dies with its [`Child`], with all
//! that it started and that stayed in its group. All pipes are non-blocking on this side; one `poll` waits for whatever comes first, so a
//! child that writes before it reads, or floods its standard error, delays nobody past the deadline.

use super::spawn::{self, Leads};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest line in either direction, its end not counted, in bytes.
pub const MAX_LINE: usize = 64 * 1024;
/// The longest line of standard error that is handed on, in bytes; the rest of it is dropped.
pub const MAX_COMPLAINT: usize = 512;
/// What is read of a pipe at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// Why a child gave no line.
#[derive(Debug)]
pub enum Error {
    /// It could not be started.
    Start(io::Error),
    /// It did not take, or not answer, in time.
    Deadline,
    /// It has ended, or closed its end.
    Closed,
    /// It sent a line longer than [`MAX_LINE`].
    Overlong,
    /// A pipe failed.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start(error) => write!(f, "cannot be started: {error}"),
            Error::Deadline => write!(f, "did not answer in time"),
            Error::Closed => write!(f, "has ended"),
            Error::Overlong => write!(f, "sent a line longer than {MAX_LINE} bytes"),
            Error::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

/// A child process with its pipes.
pub struct Child {
    pid: Pid,
    /// `None` when it is closed.
    input: Option<PipeWriter>,
    /// What it has not taken yet.
    unsent: Vec<u8>,
    output: PipeReader,
    /// What it said beyond the last line that was taken.
    heard: Vec<u8>,
    errors: Option<PipeReader>,
    complaint: Complaint,
}

/// A line of standard error that is being put together.
#[derive(Default)]
struct Complaint {
    line: Vec<u8>,
    /// The line was too long: the rest of it is dropped.
    cut: bool,
}

impl Complaint {
    fn take(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(tell),
                _ if self.cut => {}
                _ => {
                    self.line.push(*byte);
                    if self.line.len() >= MAX_COMPLAINT {
                        self.end(tell);
                        self.cut = true;
                    }
                }
            }
        }
    }

    fn end(&mut self, tell: &mut dyn FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            tell(text);
        }
        self.line.clear();
        self.cut = false;
    }
}

impl Child {
    /// Starts a program, looked for in `PATH` unless it has a slash, with the agent's environment and
    /// these variables besides.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(argv: &[&str], variables: &[(&str, &OsStr)]) -> Result<Child, Error> {
        start(argv, variables).map_err(Error::Start)
    }

    /// Puts a line behind what the child is to read; it goes out while [`Child::hear`] waits.
    pub fn say(&mut self, line: &[u8]) {
        self.unsent.extend_from_slice(line);
        self.unsent.push(b'\n');
    }

    /// The next line, without its end, when all that was said has been taken. Lines of standard error
    /// that come meanwhile go to `tell`.
    ///
    /// # Errors
    /// Every [`Error`] but `Start`; the child is of no use afterwards.
    pub fn hear(&mut self, deadline: Instant, tell: &mut dyn FnMut(&str)) -> Result<Vec<u8>, Error> {
        loop {
            let end = self.heard.iter().position(|b| *b == b'\n');
            if end.unwrap_or(self.heard.len()) > MAX_LINE {
                return Err(Error::Overlong);
            }
            if let Some(end) = end.filter(|_| self.unsent.is_empty()) {
                let rest = self.heard.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.heard, rest);
                line.truncate(end);
                return Ok(line);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.last_words(tell);
                return Err(Error::Deadline);
            }
            // A full line that waits for the rest of the question to be taken: no more is read.
            if let Err(error) = self.turn(left, end.is_none(), tell) {
                self.last_words(tell);
                return Err(error);
            }
        }
    }

    /// Whether it still can be spoken to: `false` when it has ended since the last answer.
    pub fn is_open(&mut self) -> bool {
        let mut waits = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waits, PollTimeout::ZERO) {
            Ok(_) => {
                !waits[0].revents().is_some_and(|e| e.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
            }
            Err(_) => false,
        }
    }

    /// Waits for any of the pipes and moves what can be moved.
    fn turn(&mut self, left: Duration, read: bool, tell: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let (mut may_write, mut may_read, mut may_log) = (false, false, false);
        {
            let mut waits = Vec::with_capacity(3);
            let input = self.input.as_ref().filter(|_| !self.unsent.is_empty());
            let wanted = |fd, events| PollFd::new(fd, events);
            waits.extend(input.map(|p| (&mut may_write, wanted(p.as_fd(), PollFlags::POLLOUT))));
            waits.extend(read.then(|| (&mut may_read, wanted(self.output.as_fd(), PollFlags::POLLIN))));
            waits.extend(self.errors.as_ref().map(|p| (&mut may_log, wanted(p.as_fd(), PollFlags::POLLIN))));
            let (flags, mut fds): (Vec<&mut bool>, Vec<PollFd<'_>>) = waits.into_iter().unzip();
            // A part of a millisecond counts as a whole one, or the last one would be spent spinning.
            let ms = left.as_millis().saturating_add(1);
            let timeout = PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(Error::Io(error.into())),
            }
            for (flag, fd) in flags.into_iter().zip(&fds) {
                *flag = fd.any().unwrap_or(false);
            }
        }
        if may_log {
            self.read_errors(tell);
        }
        if may_write {
            self.write_some()?;
        }
        if may_read {
            self.read_some()?;
        }
        Ok(())
    }

    fn write_some(&mut self) -> Result<(), Error> {
        let Some(input) = &mut self.input else {
            return Err(Error::Closed);
        };
        match input.write(&self.unsent) {
            Ok(sent) => drop(self.unsent.drain(..sent)),
            Err(error) if is_later(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Error::Closed),
            Err(error) => return Err(Error::Io(error)),
        }
        Ok(())
    }

    fn read_some(&mut self) -> Result<(), Error> {
        let mut chunk = [0; CHUNK];
        match self.output.read(&mut chunk) {
            Ok(0) => Err(Error::Closed),
            // A read gives no more than it was asked for.
            Ok(got) => {
                self.heard.extend_from_slice(chunk.get(..got).unwrap_or_default());
                Ok(())
            }
            Err(error) if is_later(&error) => Ok(()),
            Err(error) => Err(Error::Io(error)),
        }
    }

    /// Reads one chunk of standard error; `false` when there is none.
    fn read_errors(&mut self, tell: &mut dyn FnMut(&str)) -> bool {
        let Some(errors) = &mut self.errors else {
            return false;
        };
        let mut chunk = [0; CHUNK];
        match errors.read(&mut chunk) {
            Ok(got) if got > 0 => {
                self.complaint.take(chunk.get(..got).unwrap_or_default(), tell);
                true
            }
            Err(error) if is_later(&error) => false,
            _ => {
                self.complaint.end(tell);
                self.errors = None;
                false
            }
        }
    }

    /// What a failing child wrote last mostly says why.
    fn last_words(&mut self, tell: &mut dyn FnMut(&str)) {
        for _ in 0..4 {
            if !self.read_errors(tell) {
                break;
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        spawn::kill(self.pid);
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn start(argv: &[&str], variables: &[(&str, &OsStr)]) -> io::Result<Child> {
    let (child_input, input) = io::pipe()?;
    let (output, child_output) = io::pipe()?;
    let (errors, child_errors) = io::pipe()?;
    for fd in [input.as_fd(), output.as_fd(), errors.as_fd()] {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let streams = (Some(child_input.as_fd()), child_output.as_fd(), child_errors.as_fd());
    let pid = spawn::start(argv, variables, streams, Leads::Group)?;
    Ok(Child {
        pid,
        input: Some(input),
        unsent: Vec::new(),
        output,
        heard: Vec::new(),
        errors: Some(errors),
        complaint: Complaint::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{SigSet, Signal};
    use std::thread;

    fn shell(text: &str) -> Child {
        Child::start(&["sh", "-c", text], &[("CWMPD_ROOT", OsStr::new("/r"))]).expect("a shell")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn lines_go_both_ways_and_complaints_aside() {
        let mut child = shell("echo early >&2; while read -r l; do echo \"$CWMPD_ROOT $l\"; done");
        let mut told = Vec::new();
        child.say(b"one");
        let tell = &mut |line: &str| told.push(line.to_owned());
        assert_eq!(child.hear(soon(), tell).unwrap(), b"/r one");
        child.say(b"two");
        assert_eq!(child.hear(soon(), tell).unwrap(), b"/r two");
        assert!(child.is_open());
        assert_eq!(told, ["early"]);
    }

    #[test]
    fn it_begins_with_no_signal_blocked_and_leads_its_group() {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.thread_block().unwrap();
        let mut child = shell("grep SigBlk /proc/self/status; cut -d' ' -f1,5 /proc/$$/stat");
        mask.thread_unblock().unwrap();
        let line = String::from_utf8(child.hear(soon(), &mut |_| {}).unwrap()).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"));
        let line = String::from_utf8(child.hear(soon(), &mut |_| {}).unwrap()).unwrap();
        let (pid, group) = line.split_once(' ').unwrap();
        assert_eq!(pid, group);
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_does_not() {
        let mut child = shell("cat");
        child.say(&vec![b'x'; MAX_LINE]);
        assert_eq!(child.hear(soon(), &mut |_| {}).unwrap().len(), MAX_LINE);
        child.say(&vec![b'x'; MAX_LINE + 1]);
        assert!(matches!(child.hear(soon(), &mut |_| {}), Err(Error::Overlong)));
        let mut child = shell("while :; do printf 0123456789abcdef; done");
        assert!(matches!(child.hear(soon(), &mut |_| {}), Err(Error::Overlong)));
    }

    #[test]
    fn what_hangs_ends_or_is_missing_is_told_apart() {
        let short = || Instant::now() + Duration::from_millis(30);
        assert!(matches!(shell("sleep 600").hear(short(), &mut |_| {}), Err(Error::Deadline)));
        // It takes nothing, and a pipe does not hold so much.
        let mut child = shell("sleep 600");
        child.say(&[b'x'; 3 * MAX_LINE]);
        assert!(matches!(child.hear(short(), &mut |_| {}), Err(Error::Deadline)));
        let mut told = Vec::new();
        let mut child = shell("echo why >&2; exit 3");
        assert!(matches!(child.hear(soon(), &mut |l| told.push(l.to_owned())), Err(Error::Closed)));
        assert_eq!(told, ["why"]);
        assert!(!child.is_open());
        assert!(matches!(Child::start(&["/no/such/program"], &[]), Err(Error::Start(_))));
        assert!(matches!(Child::start(&[], &[]), Err(Error::Start(_))));
    }

    #[test]
    fn a_flood_of_complaints_does_not_outlast_the_deadline() {
        let mut child = shell("while :; do echo 'a long complaint about nothing' >&2; done");
        let mut told = 0;
        let answer = child.hear(Instant::now() + Duration::from_millis(50), &mut |_| told += 1);
        assert!(matches!(answer, Err(Error::Deadline)));
        assert!(told > 0);
        let mut complaint = Complaint::default();
        let mut lines = Vec::new();
        complaint.take(&[b'x'; 3 * MAX_COMPLAINT], &mut |l| lines.push(l.len()));
        complaint.take(b"rest\nshort\n", &mut |l| lines.push(l.len()));
        assert_eq!(lines, [MAX_COMPLAINT, 5]);
    }

    #[test]
    fn the_whole_group_dies_with_it() {
        let mut child = shell("sleep 600 & echo $!; wait");
        let line = String::from_utf8(child.hear(soon(), &mut |_| {}).unwrap()).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap());
        drop(child);
        // It is somebody else's child by now, who may be slow to bury it: dead is enough.
        let until = soon();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map_or("", |s| s.1);
            if state.is_empty() || state.starts_with(['Z', 'X']) {
                break;
            }
            assert!(Instant::now() < until, "still {state}");
            thread::yield_now();
        }
    }
}
