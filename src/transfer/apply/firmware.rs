//! `firmware_apply`: begun once, never killed, and found again by an agent that starts anew meanwhile.
//!
//! It leads a session of its own and writes into a file of `run_dir`, so that nothing breaks when the agent
//! goes: that the agent is ended by it is the expected path. Two things in `run_dir` say how it is:
//!
//! * `firmware_apply.log` is made and locked right before the command is started, which inherits the lock:
//!   no second one can be started beside it, also when the agent dies before it could note anything;
//! * `firmware_apply.pid` is the process number with its start time, and the boot id.
//!
//! How it ended only its parent can know: the agent that started it. To an agent that found it, it has
//! ended, and the truth is what the device boots next.

use super::{Failed, Words};
use crate::model::fault::{Code, Fault};
use crate::sys::spawn::{self, Leads};
use crate::sys::{command, file};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOG: &str = "firmware_apply.log";
const NOTE: &str = "firmware_apply.pid";
const STORE: &str = "firmware_store.lock";
/// How large the log may grow while the agent looks on, bytes; then it begins anew.
const MAX_LOG: u64 = 256 * 1024;
/// How much of it is read for what it said last, bytes.
const TAIL: u64 = 1024;
/// The largest note, and the largest stat of a process, that is read, bytes.
const MAX_NOTE: u64 = 4096;
/// How often its end is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A `firmware_apply` that was started, by this process or an earlier one.
#[derive(Debug)]
pub struct Running {
    log: PathBuf,
    /// `None`: it was not noted any more; its lock says that it runs.
    process: Option<Process>,
    /// It is a child of this process, which alone is told how it ends.
    own: bool,
    since: Instant,
    late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Process {
    pid: i32,
    /// Clock ticks after the boot: another process with the same number began at another time.
    started: u64,
}

/// How it is with a `firmware_apply`.
#[derive(Debug)]
pub enum Ended {
    /// With status 0.
    Well,
    /// With another one, or it could not be started: 9010, or 9002. The text has its last words.
    Failed(Fault),
    /// It has ended, and nobody was told how; with its last words.
    Unknown(String),
    /// It goes on; the wait was ended from outside.
    Running,
}

/// What a start finds of an earlier process's `firmware_apply`.
#[derive(Debug)]
pub enum Found {
    /// In this boot none was started.
    Nothing,
    /// It runs.
    Running(Running),
    /// It was started (or was about to be: the agent died at that moment) and does not run any more; with
    /// its last words.
    Ended(String),
}

/// Starts it.
///
/// # Errors
/// 9002: it is missing or `run_dir` cannot be written; 9004 while another one runs.
pub fn begin(argv: &[String], words: &Words) -> Result<Running, Fault> {
    let failed = |what: &str, e: io::Error| {
        Fault::new(Code::INTERNAL_ERROR, format!("commands.firmware_apply: {what}: {e}"))
    };
    let argv = words.put_in(argv);
    let program = argv.first().map_or("", String::as_str);
    let path = words.run_dir.join(LOG);
    let runs = || Fault::new(Code::RESOURCES_EXCEEDED, "another firmware_apply still runs");
    // A new file, unless it runs: what the last one left (a service) may have the old one for ever.
    forget(&words.run_dir);
    let log = File::options().append(true).create_new(true).mode(0o600).open(&path);
    let log = log.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => runs(),
        _ => failed(LOG, e),
    })?;
    if !lock(&log) {
        return Err(runs());
    }
    let started = spawn::start(&argv, &[], (None, log.as_fd(), log.as_fd()), Leads::Session);
    let pid = match started {
        Ok(pid) => pid.as_raw(),
        Err(error) => {
            let _ = fs::remove_file(&path);
            return Err(failed(program, error));
        }
    };
    // It is there until this process has taken its end, also when it has ended already.
    let process = Process { pid, started: stat(pid).map_or(0, |(started, _)| started) };
    let note = format!("{} {} {}", process.pid, process.started, boot_id());
    if let Err(error) = file::replace(&words.run_dir.join(NOTE), note.as_bytes(), 0o600) {
        log::error!("{NOTE}: {error}"); // its lock tells of it still
    }
    log::info!("commands.firmware_apply runs as process {pid}");
    Ok(Running { log: path, process: Some(process), own: true, since: Instant::now(), late: false })
}

/// A lock that a `firmware_store` has while it runs, also without the agent: two must not write to one bank.
///
/// # Errors
/// 9004 while another one runs; 9002: `run_dir` cannot be written.
pub fn storing(run_dir: &Path) -> Result<File, Fault> {
    let file = File::options().create(true).append(true).read(true).mode(0o600).open(run_dir.join(STORE));
    let file = file.map_err(|e| Fault::new(Code::INTERNAL_ERROR, format!("{STORE}: {e}")))?;
    match lock(&file) {
        true => Ok(file),
        false => Err(Fault::new(Code::RESOURCES_EXCEEDED, "another firmware_store still runs")),
    }
}

/// What an earlier process left in `run_dir`.
pub fn find(run_dir: &Path) -> Found {
    let path = run_dir.join(LOG);
    let Ok(log) = File::options().append(true).open(&path) else { return Found::Nothing };
    let note = read(&run_dir.join(NOTE)).unwrap_or_default();
    let mut fields = note.split_whitespace();
    let process = match (fields.next().map(str::parse), fields.next().map(str::parse), fields.next()) {
        (Some(Ok(pid)), Some(Ok(started)), Some(boot)) => {
            if boot != boot_id() {
                return Found::Nothing; // a `run_dir` that outlives a boot
            }
            Some(Process { pid, started })
        }
        _ => None,
    };
    let runs = process.map_or_else(|| !lock(&log), Process::runs);
    if !runs {
        return Found::Ended(last_words(&path));
    }
    Found::Running(Running { log: path, process, own: false, since: Instant::now(), late: false })
}

/// It is over: nothing is left to be found, and taken for the next one. Without effect while it runs.
pub fn forget(run_dir: &Path) {
    if matches!(find(run_dir), Found::Running(_)) {
        return;
    }
    for name in [NOTE, LOG] {
        let _ = fs::remove_file(run_dir.join(name));
    }
}

impl Running {
    /// Waits for its end, or until something can be read from `stop`, or that is closed. After `deadline`
    /// the log is told, and the wait goes on.
    pub fn wait(&mut self, deadline: Duration, stop: BorrowedFd<'_>) -> Ended {
        loop {
            if let Some(ended) = self.look() {
                return ended;
            }
            if !self.late && self.since.elapsed() > deadline {
                self.late = true;
                let seconds = deadline.as_secs();
                log::warn!("commands.firmware_apply takes longer than {seconds} s; it is left alone");
            }
            if fs::metadata(&self.log).is_ok_and(|m| m.len() > MAX_LOG) {
                // It appends, so that it goes on at the beginning.
                let _ = File::options().write(true).open(&self.log).and_then(|f| f.set_len(0));
            }
            let mut waits = [PollFd::new(stop, PollFlags::POLLIN)];
            let ms = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
            if poll(&mut waits, ms).is_ok_and(|n| n > 0) {
                return self.look().unwrap_or(Ended::Running);
            }
        }
    }

    /// Whether it has ended.
    fn look(&self) -> Option<Ended> {
        let Some(process) = self.process else {
            let free = File::options().append(true).open(&self.log).map_or(true, |log| lock(&log));
            return free.then(|| Ended::Unknown(last_words(&self.log)));
        };
        if !self.own {
            return (!process.runs()).then(|| Ended::Unknown(last_words(&self.log)));
        }
        match waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
            Ok(WaitStatus::Exited(_, 0)) => Some(Ended::Well),
            Ok(status) => {
                let error = command::Error::Status(command::how(status), last_words(&self.log));
                let text = format!("commands.firmware_apply: {error}");
                log::error!("{text}");
                Some(Ended::Failed(Fault::new(Code::TRANSFER_FAILURE, text)))
            }
            Err(_) => Some(Ended::Unknown(last_words(&self.log))),
        }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed::Fault(fault)
    }
}

/// Takes the lock for as long as any copy of this descriptor is open, in a child too; false when it is
/// somebody else's.
#[expect(deprecated, reason = "nix::fcntl::Flock unlocks when it is dropped, in the child too")]
fn lock(log: &File) -> bool {
    nix::fcntl::flock(log.as_raw_fd(), nix::fcntl::FlockArg::LockExclusiveNonblock).is_ok()
}

impl Process {
    /// Whether it is there, and has not ended and only waits for its parent.
    fn runs(self) -> bool {
        stat(self.pid).is_some_and(|(started, alive)| alive && started == self.started)
    }
}

/// When a process began, in clock ticks after the boot, and whether it has not ended; `None` when there is none.
fn stat(pid: i32) -> Option<(u64, bool)> {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")))?;
    // The name, in parentheses, may hold anything: what comes behind the last one is what counts.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some((fields.nth(18)?.parse().ok()?, !matches!(state, "Z" | "X")))
}

/// The kernel's own, also when the tree's root is a recorded router.
fn boot_id() -> String {
    read(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default().trim().to_owned()
}

fn read(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_NOTE).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn last_words(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(io::SeekFrom::Start(from))?;
        let mut last = Vec::new();
        file.take(TAIL).read_to_end(&mut last)?;
        Ok(last)
    };
    command::words(&read().unwrap_or_default())
}
