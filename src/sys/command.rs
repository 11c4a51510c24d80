//! A command of the configuration, run to its end: an argument vector, never a shell.

use std::fmt;
use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What is kept of a command's error output, bytes.
const MAX_OUTPUT: u64 = 512;
/// How often the end of a command is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Why a command did not end well.
#[derive(Debug)]
pub enum Error {
    /// The vector is empty.
    Empty,
    /// It could not be started.
    Start(String, io::Error),
    /// It ended with something else than 0; with the beginning of its error output.
    Status(ExitStatus, String),
    /// It was killed after this long.
    Deadline(Duration),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => write!(f, "no command"),
            Error::Start(program, error) => write!(f, "{program}: {error}"),
            Error::Status(status, output) if output.is_empty() => write!(f, "{status}"),
            Error::Status(status, output) => write!(f, "{status}: {output}"),
            Error::Deadline(after) => write!(f, "killed after {} s", after.as_secs()),
        }
    }
}

impl std::error::Error for Error {}

/// Runs a command and waits for its end, at most `deadline`.
///
/// # Errors
/// [`Error`]; the command is dead in every case.
pub fn run(argv: &[String], deadline: Duration) -> Result<(), Error> {
    let (program, words) = argv.split_first().ok_or(Error::Empty)?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::Start(program.clone(), error))?;
    let output = child.stderr.take().map(|pipe| {
        thread::spawn(move || {
            let mut kept = Vec::new();
            let mut pipe = pipe;
            let _ = (&mut pipe).take(MAX_OUTPUT).read_to_end(&mut kept);
            // The rest is read, so that the command does not die of a broken pipe, and thrown away.
            let _ = io::copy(&mut pipe, &mut io::sink());
            kept
        })
    });
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                // A grandchild may hold the pipe open: what is there in time is shown.
                let kept = output.filter(waited).and_then(|t| t.join().ok()).unwrap_or_default();
                let text: String =
                    String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ");
                return Err(Error::Status(status, text));
            }
            Ok(None) if since.elapsed() < deadline => thread::sleep(LOOK.min(deadline)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::Deadline(deadline));
            }
            Err(error) => return Err(Error::Start(program.clone(), error)),
        }
    }
}

fn waited<T>(thread: &thread::JoinHandle<T>) -> bool {
    let since = Instant::now();
    while !thread.is_finished() && since.elapsed() < Duration::from_millis(500) {
        thread::sleep(LOOK);
    }
    thread.is_finished()
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
