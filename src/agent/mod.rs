//! The running daemon. Three roles with messages between them: the *reactor* (main thread) polls
//! signals, the connection-request port and the control socket and answers at once; the *engine* owns
//! tree, journal and session and takes one message at a time; the *wire* lives as long as a session.

mod acs;
pub mod answer;
mod bells;
mod boot;
mod compression;
pub mod control;
mod control_server;
mod diagnosed;
mod diagnostics;
mod discovery;
mod door;
mod down;
mod engine;
mod fallback;
mod following;
mod heartbeat;
mod host;
mod judge;
mod kept;
pub mod leases;
mod planned;
mod reactor;
mod reboots;
mod refused;
mod serving;
mod settings;
mod start;
mod statistics;
mod status;
mod sweeping;
mod transfers;
mod trial;
mod ubus;
mod udpecho;
mod wire;

use crate::config::Config;
use crate::model::schema::Platform;
use crate::state::journal::{Journal, Locked};
use crate::sys::ubus::Place;
use control::{Request, StatusReport};
use control_server::{Control, ReplyTo, Snapshot};
use reactor::{End, Reactor};
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// Deep enough for the tree's walk and for SOAP's bounded nesting.
const ENGINE_STACK: usize = 512 * 1024;

/// What reaches the engine.
pub(crate) enum Message {
    /// A valid connection request was answered.
    ConnectionRequest,
    /// Something that is watched may have changed.
    Rung,
    /// Why the agent's object is not on the bus; `None` when it is.
    Bus(Option<String>),
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// From the wire of this session.
    Wire(u32, wire::Event),
    /// From the worker of a transfer, by the number of the work.
    Transfer(u32, crate::transfer::worker::Event),
    /// From the worker of a test, by the number of its run.
    Diagnosis(u32, diagnostics::Ended),
    /// From a shell.
    Control(Request, ReplyTo),
    /// A shell has taken what it got and wants the rest.
    ControlMore(u32, ReplyTo),
}

/// Why the daemon did not run.
#[derive(Debug)]
pub enum RunError {
    /// Another daemon uses the state folder.
    Locked(Locked),
    /// A folder, socket or thread cannot be had; the text names it.
    Io(String, io::Error),
    /// The engine broke: a mistake in this program. (A release build aborts instead.)
    Broken,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Locked(locked) => write!(f, "{locked}"),
            RunError::Io(what, error) => write!(f, "{what}: {error}"),
            RunError::Broken => write!(f, "the engine broke"),
        }
    }
}

impl std::error::Error for RunError {}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    move |error| RunError::Io(what.into(), error)
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// [`RunError`], most before anything was started. Damaged or unwritable state is no error: the agent goes
/// on in memory and says so.
pub fn run(config: Config, config_path: PathBuf) -> Result<(), RunError> {
    let run_dir = config.run_dir.clone();
    make_run_dir(&run_dir).map_err(io_error(format!("run_dir {}", run_dir.display())))?;
    let signals = reactor::block_signals().map_err(io_error("signals"))?;
    let journal = Journal::open(&config.state_dir).map_err(RunError::Locked)?;

    let snapshot: Snapshot = Arc::new(Mutex::new((Instant::now(), StatusReport::default(), None)));
    let socket = config.socket();
    let control = Control::bind(&socket, snapshot.clone()).map_err(io_error(socket.display().to_string()))?;
    let (engine_sender, inbox) = channel();
    let (mut reactor, mailbox) =
        Reactor::new(&signals, engine_sender.clone(), control).map_err(io_error("reactor"))?;
    if let (Platform::OpenWrt, Place::Socket(path)) = (config.platform, config.ubus()) {
        reactor.publish(path, snapshot.clone(), &mailbox);
    }

    let parts = engine::Parts { config, config_path, journal, inbox, own: engine_sender, mailbox, snapshot };
    let engine = thread::Builder::new()
        .name("engine".into())
        .stack_size(ENGINE_STACK)
        .spawn(move || engine::run(parts))
        .map_err(io_error("engine thread"))?;
    match reactor.run().map_err(io_error("poll"))? {
        End::Clean => drop(engine.join()), // it has said its last word
        End::Broken => return Err(RunError::Broken),
        End::Overdue => log::error!("the engine did not stop in time; what was promised is on disk"),
    }
    Ok(())
}

fn make_run_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let mode = std::fs::metadata(dir)?.permissions().mode();
    if mode & 0o002 != 0 {
        log::warn!("run_dir {} may be written by everybody", dir.display());
    }
    Ok(())
}
