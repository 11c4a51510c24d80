//! How a child process is started and ended, for all that start some.
//!
//! A child leads a process group of its own and begins with no signal blocked (the agent blocks some,
//! and a child inherits that).

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::thread;
use std::time::Duration;

/// How often, and how long, a killed child is looked for before a thread waits for its end.
const LOOK: Duration = Duration::from_millis(2);
const LOOKS: u32 = 100;
/// `POSIX_SPAWN_SETSID` of glibc and musl, for which nix has no name.
const SETSID: i32 = 0x80;

/// What a child leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leads {
    /// A process group, by which it is ended.
    Group,
    /// A session without a terminal: it goes on when the agent has gone.
    Session,
}

/// Starts a program, looked for in `PATH` unless it has a slash, with the agent's environment and these
/// variables besides. `streams` are its standard input (`None`: nothing to read), output and errors.
///
/// # Errors
/// It could not be started.
pub fn start<S: AsRef<str>>(
    argv: &[S],
    variables: &[(&str, &OsStr)],
    streams: (Option<BorrowedFd<'_>>, BorrowedFd<'_>, BorrowedFd<'_>),
    leads: Leads,
) -> io::Result<Pid> {
    let argv: Vec<CString> = argv.iter().map(|w| CString::new(w.as_ref())).collect::<Result<_, _>>()?;
    let program = argv.first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    let environment = environment(variables)?;
    let mut actions = PosixSpawnFileActions::init()?;
    let nothing = std::fs::File::open("/dev/null")?;
    actions.add_dup2(streams.0.unwrap_or(nothing.as_fd()).as_raw_fd(), 0)?;
    actions.add_dup2(streams.1.as_raw_fd(), 1)?;
    actions.add_dup2(streams.2.as_raw_fd(), 2)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    // Rust programs ignore SIGPIPE; others are to die of it.
    let mut defaults = SigSet::empty();
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults)?;
    let leads = match leads {
        Leads::Group => PosixSpawnFlags::POSIX_SPAWN_SETPGROUP,
        Leads::Session => PosixSpawnFlags::from_bits_retain(SETSID),
    };
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_flags(leads | signals)?;
    Ok(posix_spawnp(program, &actions, &attributes, &argv, &environment)?)
}

/// The agent's environment, with `variables` in place of its own of these names.
fn environment(variables: &[(&str, &OsStr)]) -> io::Result<Vec<CString>> {
    let own = std::env::vars_os().filter(|(name, _)| !variables.iter().any(|v| name == v.0));
    let all = own.chain(variables.iter().map(|(name, value)| (name.into(), (*value).to_owned())));
    let mut out = Vec::new();
    for (name, value) in all {
        let mut entry = name.as_bytes().to_vec();
        entry.push(b'=');
        entry.extend_from_slice(value.as_bytes());
        out.push(CString::new(entry)?);
    }
    Ok(out)
}

/// Kills the group of a child that has not been waited for (so that its number cannot belong to anybody
/// else), and takes its end.
pub fn kill(pid: Pid) {
    let _ = killpg(pid, Signal::SIGKILL);
    for _ in 0..LOOKS {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR) => thread::sleep(LOOK),
            _ => return,
        }
    }
    // It hangs in the kernel (a dead network file system): nobody else is to wait for it.
    let reaper = thread::Builder::new().name("reaper".into()).stack_size(16 * 1024);
    let _ = reaper.spawn(move || waitpid(pid, None));
}
