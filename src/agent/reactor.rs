//! The reactor: the main thread's poll loop over signals, the connection-request port, the control
//! socket, the bus and the bells of what is watched. It never waits for the engine, so a connection request is answered at once whatever the
//! engine does.

use super::Message;
use super::bells::Ear;
use super::control::SessionReport;
use super::control_server::{Control, Snapshot};
use super::ubus::Bus;
use crate::net::connection_request::{Listener, Settings};
use crate::sys::bells::Bells;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long the engine may take to stop before the process ends without it. The journal is made for
/// that: whatever was promised is on disk.
const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// What the engine tells the reactor.
pub enum Task {
    /// Listen here from now on; `None` closes the port (CR-14).
    Listen(Option<Box<Listener>>),
    /// New credentials or limits for the port.
    Settings(Settings),
    /// Listen to these bells from now on.
    Bells(Option<Box<Bells>>),
    /// A session has ended so.
    Ended(Box<SessionReport>),
    /// The engine has stopped.
    Quit,
}

/// How other threads reach the reactor.
pub struct Mailbox {
    tasks: Sender<Task>,
    bell: Arc<OwnedFd>,
}

impl Mailbox {
    /// Leaves a task and rings.
    pub fn send(&self, task: Task) {
        if self.tasks.send(task).is_ok() {
            // A full pipe has rung already.
            let _ = nix::unistd::write(&self.bell, &[1]);
        }
    }
}

/// The poll loop's state.
pub struct Reactor {
    engine: Sender<Message>,
    tasks: Receiver<Task>,
    bell: OwnedFd,
    signals: SignalFd,
    listener: Option<Box<Listener>>,
    control: Control,
    ear: Ear,
    /// The agent's object, on a platform that has the bus.
    bus: Option<Bus>,
    stopping: Option<Instant>,
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The engine stopped in order.
    Clean,
    /// The engine did not stop in time.
    Overdue,
    /// The engine is gone without a word: it panicked.
    Broken,
}

/// The signals the reactor reads; blocked in every thread, so set this before the first is started.
///
/// # Errors
/// The mask cannot be set.
pub fn block_signals() -> io::Result<SigSet> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(set)
}

impl Reactor {
    /// A reactor and the mailbox to reach it by.
    ///
    /// # Errors
    /// No pipe or signal descriptor could be had.
    pub fn new(
        signals: &SigSet,
        engine: Sender<Message>,
        control: Control,
    ) -> io::Result<(Reactor, Mailbox)> {
        let (bell, ring) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
        let (sender, tasks) = channel();
        let signals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let (listener, ear, bus) = (None, Ear::default(), None);
        let reactor = Reactor { engine, tasks, bell, signals, listener, control, ear, bus, stopping: None };
        Ok((reactor, Mailbox { tasks: sender, bell: Arc::new(ring) }))
    }

    /// Puts the agent's object on the bus at this socket, as soon as there is one.
    pub fn publish(&mut self, socket: PathBuf, snapshot: Snapshot, mailbox: &Mailbox) {
        self.bus = Some(Bus::new(socket, snapshot, Arc::downgrade(&mailbox.bell)));
    }

    /// Runs until the engine has stopped or is overdue.
    ///
    /// # Errors
    /// `poll` itself fails.
    pub fn run(&mut self) -> io::Result<End> {
        loop {
            self.wait()?;
            self.take_signals();
            if let Some(end) = self.take_tasks() {
                return Ok(end);
            }
            self.control.turn(&self.engine);
            if let Some(bus) = &mut self.bus {
                bus.turn(Instant::now(), &self.engine);
            }
            if self.ear.turn(Instant::now()) {
                let _ = self.engine.send(Message::Rung);
            }
            if let Some(listener) = &mut self.listener {
                // Several valid requests in one turn make one event (CR-10).
                if listener.turn(Instant::now()) > 0 {
                    let _ = self.engine.send(Message::ConnectionRequest);
                }
            }
            if self.stopping.is_some_and(|since| since.elapsed() >= STOP_WITHIN) {
                return Ok(End::Overdue);
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut peers = Vec::new();
        let mut until = self.stopping.map(|since| since + STOP_WITHIN);
        if let Some(listener) = &self.listener {
            listener.interests(&mut peers);
            until = [until, listener.deadline()].into_iter().flatten().min();
        }
        until = [until, self.ear.deadline(), self.bus.as_ref().and_then(Bus::deadline)]
            .into_iter()
            .flatten()
            .min();
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
        ];
        // A waiting shell without a free place would make the loop spin; places are looked for again.
        if self.control.has_place() {
            fds.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
        } else {
            let again = Instant::now() + Duration::from_millis(100);
            until = Some(until.map_or(again, |at| at.min(again)));
        }
        fds.extend(self.bus.iter().filter_map(Bus::interest).map(|(fd, flags)| PollFd::new(fd, flags)));
        fds.extend(self.ear.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(peers.iter().map(|(fd, write)| {
            PollFd::new(*fd, if *write { PollFlags::POLLOUT } else { PollFlags::POLLIN })
        }));
        let timeout = match until {
            None => PollTimeout::NONE,
            // One millisecond more than is left: poll rounds down, and a loop must not spin.
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now()).as_millis().min(60_000) as u16;
                PollTimeout::from(left.saturating_add(1))
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_signo == Signal::SIGHUP as u32 {
                let _ = self.engine.send(Message::Reload);
            } else if self.stopping.is_none() {
                self.stopping = Some(Instant::now());
                // Nobody shall call it any more.
                self.bus = None;
                let _ = self.engine.send(Message::Stop);
            }
        }
    }

    fn take_tasks(&mut self) -> Option<End> {
        let mut rung = [0; 64];
        while matches!(nix::unistd::read(&self.bell, &mut rung), Ok(n) if n > 0) {}
        loop {
            match self.tasks.try_recv() {
                Ok(Task::Listen(listener)) => self.listener = listener,
                Ok(Task::Settings(settings)) => {
                    if let Some(listener) = &mut self.listener {
                        listener.set(settings);
                    }
                }
                Ok(Task::Bells(bells)) => self.ear.set(bells),
                Ok(Task::Ended(report)) => {
                    if let Some(bus) = &mut self.bus {
                        bus.session_ended(&report);
                    }
                }
                Ok(Task::Quit) => return Some(End::Clean),
                Err(std::sync::mpsc::TryRecvError::Empty) => return None,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Some(End::Broken),
            }
        }
    }
}
