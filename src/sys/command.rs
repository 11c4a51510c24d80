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
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much is kept of what a command said last, bytes.
const MAX_WORDS: usize = 160;
/// What is read of a pipe at once, bytes.
const CHUNK: usize = 4096;
/// How long the last words of a command that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
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

/// The name in a word `{name}` of an argument vector.
pub fn name_of(word: &str) -> Option<&str> {
    word.strip_prefix('{')?.strip_suffix('}')
}

/// Replaces each word `{name}` of an argument vector whole by the value of that name; a word that
/// only contains one stays as it is, so that a value is never cut into arguments or joined to one.
pub fn expand(argv: &[String], values: &[(&str, &str)]) -> Vec<String> {
    let value = |word: &String| {
        let name = name_of(word)?;
        values.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    };
    argv.iter().map(|word| value(word).unwrap_or_else(|| word.clone())).collect()
}

/// Runs a command and waits for its end, at most `deadline`, and not longer than until something can be
/// read from `stop`, or it is closed.
///
/// # Errors
/// [`Error`]; the command is dead in every case.
pub fn run(argv: &[String], deadline: Duration, stop: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    run_watched(argv, deadline, stop, &mut || None)
}

/// As [`run`]; the command reads `input`, and has it open for as long as it lives, whatever becomes of the agent.
///
/// # Errors
/// [`Error`]; the command is dead in every case.
pub fn run_with(
    argv: &[String],
    input: BorrowedFd<'_>,
    deadline: Duration,
    stop: BorrowedFd<'_>,
) -> Result<(), Error> {
    let mut running = Running::start(argv, deadline, Some(input), false)?;
    while running.turn(Some(stop), &mut [])?.is_none() {}
    running.finish()
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
    let mut running = Running::start(argv, deadline, None, false)?;
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
/// [`Error`]; the command is dead in every case.
pub fn output(argv: &[String], deadline: Duration, most: usize) -> Result<Vec<u8>, Error> {
    let mut running = Running::start(argv, deadline, None, true)?;
    let (mut out, mut chunk) = (Vec::new(), [0; CHUNK]);
    loop {
        match running.turn(None, &mut chunk)? {
            None => {}
            Some(0) => return running.finish().map(|()| out),
            Some(got) if out.len() + got > most => return Err(Error::TooMuch(most as u64)),
            Some(got) => out.extend_from_slice(chunk.get(..got).unwrap_or_default()),
        }
    }
}

/// A command whose standard output somebody else reads while it runs. It dies with this.
#[derive(Debug)]
pub struct Stream {
    running: Running,
    words: Option<JoinHandle<Vec<u8>>>,
}

impl Stream {
    /// Starts it, and gives what reads its output: it does not block.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Start`].
    pub fn start(argv: &[String], deadline: Duration) -> Result<(Stream, OwnedFd), Error> {
        let mut running = Running::start(argv, deadline, None, true)?;
        let pipes = running.output.take().zip(running.words.take());
        let failed = |e| Error::Start(argv.first().cloned().unwrap_or_default(), e);
        let (output, words) = pipes.ok_or_else(|| failed(io::Error::other("no pipe")))?;
        // Who reads the output does not read the errors: a command that says much would stand still.
        let listener = thread::Builder::new().name("errors".into()).stack_size(32 * 1024);
        let words = listener.spawn(move || listen(words)).map_err(failed)?;
        Ok((Stream { running, words: Some(words) }, output.into()))
    }

    /// Its output is at its end: waits for its own, as [`run`].
    ///
    /// # Errors
    /// [`Error`]: what was read is not whole.
    pub fn finish(&mut self, stop: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        while self.running.turn(stop, &mut [])?.is_none() {}
        // Who it left behind may hold its errors open: what is there in time is shown.
        let soon = Instant::now() + LAST_WORDS;
        while self.words.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < soon {
            thread::sleep(LOOK.0);
        }
        let said = self.words.take().filter(JoinHandle::is_finished).and_then(|t| t.join().ok());
        self.running.last = said.unwrap_or_default();
        self.running.finish()
    }
}

/// Reads to the end, and keeps the last of it.
fn listen(mut pipe: PipeReader) -> Vec<u8> {
    let (mut last, mut chunk) = (Vec::new(), [0; CHUNK]);
    loop {
        let _ = poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
        match pipe.read(&mut chunk) {
            Ok(got) if got > 0 => keep_last(&mut last, chunk.get(..got).unwrap_or_default()),
            Err(error) if is_later(&error) => {}
            _ => return last,
        }
    }
}

/// A process with what it says.
#[derive(Debug)]
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
    fn start(
        argv: &[String],
        deadline: Duration,
        input: Option<BorrowedFd<'_>>,
        wanted: bool,
    ) -> Result<Running, Error> {
        let program = argv.first().ok_or(Error::Empty)?;
        let failed = |error| Error::Start(program.clone(), error);
        let pipe = || {
            let (here, there) = io::pipe()?;
            fcntl(here.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            Ok((here, there))
        };
        let (words, errors) = pipe().map_err(failed)?;
        let (output, wanted) = if wanted { Some(pipe().map_err(failed)?) } else { None }.unzip();
        let streams = (input, wanted.as_ref().unwrap_or(&errors).as_fd(), errors.as_fd());
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
    use std::os::fd::AsFd;

    const LONG: Duration = Duration::from_secs(60);

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn shell(text: &str) -> Vec<String> {
        argv(&["sh", "-c", text])
    }

    #[test]
    fn a_command_ends_well_fails_hangs_or_is_missing() {
        assert!(run(&argv(&["true"]), LONG, None).is_ok());
        let long = Duration::MAX;
        assert!(run(&argv(&["true"]), long, None).is_ok());
        let cases = [
            (argv(&["false"]), LONG, "exit status 1"),
            (shell("kill -9 $$"), LONG, "ended by SIGKILL"),
            (argv(&["sleep", "600"]), Duration::from_millis(50), "killed after 0 s"),
            (shell("echo so far >&2; exec sleep 600"), Duration::from_secs(1), "killed after 1 s: so far"),
            (argv(&["/no/such/program"]), LONG, "/no/such/program: No such file or directory (os error 2)"),
            (argv(&["/etc/passwd"]), LONG, "/etc/passwd: Permission denied (os error 13)"),
            (vec![], LONG, "no command"),
        ];
        for (argv, deadline, text) in cases {
            assert_eq!(run(&argv, deadline, None).unwrap_err().to_string(), text, "{argv:?}");
        }
    }

    /// The agent blocks signals that it reads from a descriptor, and ignores SIGPIPE.
    #[test]
    fn a_child_has_no_signal_blocked_and_nothing_to_read() {
        use nix::sys::signal::{SigSet, Signal};
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.thread_block().unwrap();
        let said = output(&shell("grep SigBlk /proc/self/status; cat"), LONG, 1000).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "SigBlk:\t0000000000000000\n");
    }

    #[test]
    fn of_megabytes_the_last_words_stay() {
        let flood = "head -c 20000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2";
        let Err(Error::Status(how, said)) =
            run(&shell(&format!("{flood}; echo; echo no room; exit 3")), LONG, None)
        else {
            panic!("it fails")
        };
        assert_eq!(how, "exit status 3");
        assert!(said.len() <= MAX_WORDS && said.ends_with("y no room"), "{said}");
        assert!(run(&shell(flood), LONG, None).is_ok());
        let kept = words("\u{e4}\u{e4}\u{e4} a\tb\r\n\x1b[31mc\0".as_bytes().split_at(1).1);
        assert_eq!(kept, "\u{e4}\u{e4} a b [31mc");
    }

    /// Whether a process is there and no zombie.
    fn lives(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    fn wait_until(what: impl Fn() -> bool) {
        let since = Instant::now();
        while !what() {
            assert!(since.elapsed() < LONG, "it does not happen");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A folder for what a child is to tell; removed when dropped.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("cwmpd-command-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_given_up_dies_with_its_grandchildren() {
        let folder = Folder::new("group");
        let text =
            format!("sleep 600 & echo $! > {0}/pid.new; mv {0}/pid.new {0}/pid; wait", folder.0.display());
        let (stop, waker) = io::pipe().unwrap();
        let running = thread::spawn(move || run(&shell(&text), LONG, Some(stop.as_fd())));
        wait_until(|| !folder.text("pid").is_empty());
        let pid = folder.text("pid").trim().to_owned();
        assert!(lives(&pid));
        drop(waker); // closed is as good as written to
        assert!(matches!(running.join().unwrap(), Err(Error::Stopped)));
        wait_until(|| !lives(&pid));
        // So does what is only read.
        let text = format!("sleep 600 & echo $! > {}/second; wait", folder.0.display());
        let (stream, _output) = Stream::start(&shell(&text), LONG).unwrap();
        wait_until(|| folder.text("second").ends_with('\n'));
        let pid = folder.text("second").trim().to_owned();
        drop(stream);
        wait_until(|| !lives(&pid));
    }

    /// A service that it started goes on, and is not waited for though it has the pipes.
    #[test]
    fn what_is_left_behind_is_left_alone() {
        let folder = Folder::new("left");
        let text = format!("sleep 600 & echo $! > {}/pid", folder.0.display());
        assert!(run(&shell(&text), LONG, None).is_ok());
        let pid = folder.text("pid").trim().to_owned();
        assert!(lives(&pid));
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn output_is_whole_or_an_error() {
        assert_eq!(output(&shell("echo a; echo aside >&2; echo b"), LONG, 4).unwrap(), b"a\nb\n");
        assert!(matches!(output(&shell("echo abcd"), LONG, 4), Err(Error::TooMuch(4))));
        let error = output(&shell("echo a; echo why >&2; exit 1"), LONG, 100).unwrap_err();
        assert_eq!(error.to_string(), "exit status 1: why");
        // Who goes on in the background may have the rest of it.
        assert_eq!(output(&shell("(sleep 0.1; echo late) &"), LONG, 100).unwrap(), b"late\n");
    }

    #[test]
    fn a_stream_that_breaks_off_is_told() {
        let read = |text: &str| {
            let (mut stream, output) = Stream::start(&shell(text), LONG).unwrap();
            let mut out = Vec::new();
            let mut pipe: PipeReader = output.into();
            loop {
                let _ = poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
                match pipe.read_to_end(&mut out) {
                    Err(error) if is_later(&error) => {}
                    done => break assert!(done.is_ok()),
                }
            }
            (out.len(), stream.finish(None).map_err(|e| e.to_string()))
        };
        assert_eq!(read("head -c 1000000 /dev/zero"), (1_000_000, Ok(())));
        let flood = "head -c 1000000 /dev/zero >&2; echo abc; echo; echo no space left >&2; exit 2";
        assert_eq!(read(flood), (5, Err("exit status 2: no space left".into())));
    }
}
