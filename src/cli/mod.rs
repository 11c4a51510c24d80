//! Words of the command line.
//!
//! `run` is the daemon, `check`, `verify`, `diag`, `snapshot` and `replay` do without it; all other words ask the
//! running daemon over its control socket. Results go to standard output, problems to standard error. A reader that closes
//! the pipe ends the program quietly.

mod arguments;
mod check;
mod diag;
mod lease;
mod show;
mod snapshot;
mod transfers;
mod verify;

use crate::agent::control::{self, Line, Request};
use crate::config::Config;
use arguments::{Arguments, Parsed, Word};
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// How a run of the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// The daemon answered with a fault, or gave no whole answer.
    Fault = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// The configuration (or an overlay, for `check`) is wrong; nothing was started.
    Configuration = 3,
    /// The daemon is not running, or cannot be reached.
    Unreachable = 4,
    /// The daemon could not start, or could not go on.
    Run = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Does what the command line says.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let parsed = match arguments::parse(arguments) {
        Ok(parsed) => parsed,
        Err(e) => {
            complain(&format!("{e}\nTry `cwmpd --help`."));
            return Exit::Usage;
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match parsed {
        Parsed::Help => out.write_all(arguments::HELP.as_bytes()).map(|()| Exit::Ok),
        Parsed::Version => writeln!(out, "cwmpd {}", env!("CARGO_PKG_VERSION")).map(|()| Exit::Ok),
        Parsed::Word(Arguments { word: Word::Run, config, .. }) => return run(&config),
        Parsed::Word(Arguments { word: Word::Check, config, json }) => check::check(&config, json, &mut out),
        Parsed::Word(Arguments { word: Word::Verify { image, signature }, config, json }) => {
            verify::verify(&config, &image, signature.as_deref(), json, &mut out)
        }
        Parsed::Word(Arguments { word: Word::Diag(test), config, json }) => {
            diag::run(&config, *test, json, &mut out)
        }
        Parsed::Word(Arguments { word: Word::Snapshot(file), config, .. }) => {
            snapshot::snapshot(&config, &file, &mut out)
        }
        Parsed::Word(Arguments { word: Word::Replay(file, question), json, .. }) => {
            snapshot::replay(&file, &question, json, &mut out)
        }
        Parsed::Word(Arguments { word: Word::Lease(said), config, .. }) => {
            return lease::keep(&config, &said);
        }
        Parsed::Word(Arguments { word: Word::DhcpOptions, config, .. }) => lease::options(&config, &mut out),
        Parsed::Word(Arguments { word: Word::Ask(request), config, json }) => {
            let socket = match Config::socket_of(&config) {
                Ok(socket) => socket,
                Err(e) => {
                    complain(&e.to_string());
                    return Exit::Configuration;
                }
            };
            ask(&socket, &request, json, &mut out)
        }
        Parsed::Word(Arguments { word: Word::Transfers { follow }, config, json }) => {
            match Config::socket_of(&config) {
                Ok(socket) => transfers::show(&socket, follow, json, &mut out),
                Err(e) => {
                    complain(&e.to_string());
                    return Exit::Configuration;
                }
            }
        }
    };
    match done.and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(e) => {
            complain(&format!("cannot write the answer: {e}"));
            Exit::Fault
        }
    }
}

fn run(file: &std::path::Path) -> Exit {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return Exit::Configuration;
        }
    };
    if !config.enabled {
        complain(&format!("{}: `enabled` says that nothing is to be done", file.display()));
        return Exit::Ok;
    }
    crate::logging::set(&config.log);
    for warning in config.warnings() {
        log::warn!("{}: {warning}", file.display());
    }
    match crate::agent::run(config, file.to_path_buf()) {
        Ok(()) => Exit::Ok,
        Err(e) => {
            complain(&e.to_string());
            Exit::Run
        }
    }
}

fn ask(socket: &std::path::Path, request: &Request, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    let mut written = Ok(());
    let mut each = |line: Line| {
        written = if json { line.write(out) } else { show::line(&line, out) };
        written.is_ok()
    };
    let answer = control::ask(socket, request, &mut each);
    written?;
    match answer {
        Ok(line) => {
            if json {
                line.write(out)?;
            } else if matches!(line, Line::Ok { applied_later: 1, .. }) {
                complain("takes effect when the session with the ACS has ended");
            }
            Ok(Exit::Ok)
        }
        Err(control::Error::Failed(error)) => {
            if json {
                Line::Error { error }.write(out)?;
            } else {
                out.flush()?;
                complain(&show::plain(&error.to_string(), true));
            }
            Ok(Exit::Fault)
        }
        Err(e @ control::Error::Unreachable { .. }) => {
            complain(&e.to_string());
            Ok(Exit::Unreachable)
        }
        Err(e @ control::Error::TooLong) => {
            complain(&e.to_string());
            Ok(Exit::Usage)
        }
        Err(e @ control::Error::Broken(_)) => {
            complain(&e.to_string());
            Ok(Exit::Fault)
        }
    }
}

/// Says what is wrong; there is nowhere to say that standard error is gone.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "cwmpd: {text}");
}
