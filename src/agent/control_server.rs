//! The server's side of the control socket: a short-lived thread for each connection, so that a slow
//! shell never keeps reactor or engine waiting. `status` is answered from the last snapshot, at once,
//! whatever the engine does.

use super::Message;
use super::control::{Line, Request, StatusReport};
use super::ubus::Back;
use crate::net::transfer::Meter;
use nix::sys::stat::{Mode, umask};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Connections served at once; the next one waits in the socket's backlog.
pub const CONNECTIONS: usize = 4;
/// A shell that has not sent its whole request by then is left, also one that sends byte by byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// A person who reads the answer page by page may take this long for one.
const PAGER: Duration = Duration::from_secs(600);
/// JSON that [`Request::read`] keeps from nesting, and a buffer.
const STACK: usize = 128 * 1024;

/// The last snapshot of the agent's state and when it was made, written by the engine and read by any
/// number of shells.
/// Beside it what shows how far the transfer of a number is, which no message tells.
pub type Snapshot = Arc<Mutex<(Instant, StatusReport, Option<(u32, Arc<Meter>)>)>>;

/// How long no connection is taken after the system refused one (out of descriptors or threads).
const PAUSE: Duration = Duration::from_secs(1);

/// What the engine answers to one request.
pub enum Reply {
    /// Lines that end the answer.
    Last(Vec<u8>),
    /// Lines, and the number of the walk that has more: to be given back as [`Message::ControlMore`].
    More(Vec<u8>, u32),
}

/// The listening socket and what its connections need.
pub struct Control {
    socket: UnixListener,
    path: PathBuf,
    snapshot: Snapshot,
    /// Counts the connections: each holds a clone.
    places: Arc<()>,
    /// Until when no connection is taken.
    paused: Option<Instant>,
}

impl Control {
    /// Makes the socket, mode 0600.
    ///
    /// # Errors
    /// The folder cannot be written, or another daemon answers there.
    pub fn bind(path: &Path, snapshot: Snapshot) -> io::Result<Control> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another cwmpd answers there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // From its first moment for its owner alone; no other thread makes a file at this point.
        let usual = umask(Mode::from_bits_truncate(0o177));
        let socket = UnixListener::bind(path);
        umask(usual);
        let socket = socket?;
        socket.set_nonblocking(true)?;
        Ok(Control { socket, path: path.to_owned(), snapshot, places: Arc::new(()), paused: None })
    }

    /// Takes the connections that wait, as far as there are places.
    pub fn turn(&mut self, engine: &Sender<Message>) {
        while self.has_place() {
            let stream = match self.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The socket stays ready to be read: polling it now would only spin.
                Err(error) => {
                    log::warn!("control socket: {error}");
                    self.paused = Some(Instant::now() + PAUSE);
                    return;
                }
            };
            let place = self.places.clone();
            let engine = engine.clone();
            let snapshot = self.snapshot.clone();
            let started = thread::Builder::new().name("control".into()).stack_size(STACK).spawn(move || {
                if let Err(error) = serve(&stream, &engine, &snapshot) {
                    log::debug!("control socket: {error}");
                }
                drop(place);
            });
            if let Err(error) = started {
                log::warn!("control socket: no thread: {error}");
                self.paused = Some(Instant::now() + PAUSE);
                return;
            }
        }
    }

    /// Whether a connection can be taken now: else, polling the socket would spin.
    pub fn has_place(&self) -> bool {
        Arc::strong_count(&self.places) <= CONNECTIONS
            && self.paused.is_none_or(|until| Instant::now() >= until)
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A stream whose bytes must all have come by a moment.
struct Hurried<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Read for Hurried<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(room)
    }
}

fn serve(stream: &UnixStream, engine: &Sender<Message>, snapshot: &Snapshot) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PAGER))?;
    let mut out = stream;
    let request = match Request::read(&mut Hurried { stream, until: Instant::now() + PATIENCE }) {
        Ok(request) => request,
        Err(error) => return Line::Error { error }.write(&mut out),
    };
    if matches!(request, Request::Status) {
        let report = live(snapshot).or_else(|| {
            // Nothing was published yet: the engine answers its first message when it has.
            let (reply, begun) = sync_channel(1);
            let _ = engine.send(Message::Control(Request::Status, ReplyTo::Shell(reply)));
            let _ = begun.recv();
            live(snapshot)
        });
        Line::Status { status: Box::new(report.unwrap_or_default()) }.write(&mut out)?;
        return Line::ok().write(&mut out);
    }
    let (reply, answers) = sync_channel(1);
    let reply = ReplyTo::Shell(reply);
    let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the engine has stopped");
    engine.send(Message::Control(request, reply.clone())).map_err(|_| gone())?;
    loop {
        match answers.recv().map_err(|_| gone())? {
            Reply::Last(lines) => return out.write_all(&lines),
            Reply::More(lines, rest) => {
                out.write_all(&lines)?;
                engine.send(Message::ControlMore(rest, reply.clone())).map_err(|_| gone())?;
            }
        }
    }
}

/// The last snapshot as of now; `None` before the first.
pub fn live(snapshot: &Snapshot) -> Option<StatusReport> {
    let (made, mut report, meter) = snapshot.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    if report.version.is_empty() {
        return None;
    }
    // The engine may have slept for hours since.
    let since = made.elapsed().as_secs();
    report.uptime = report.uptime.saturating_add(since);
    if let Some(next) = &mut report.next_session {
        next.seconds = next.seconds.saturating_sub(since);
    }
    if let Some((number, meter)) = meter
        && let Some(transfer) = report.transfers.iter_mut().find(|t| t.number == number)
    {
        let amounts = meter.read();
        transfer.bytes = amounts.done;
        transfer.total = amounts.expected.unwrap_or(transfer.total);
    }
    for transfer in &mut report.transfers {
        transfer.seconds = transfer.seconds.saturating_sub(since);
    }
    Some(report)
}

/// Where a reply goes.
#[derive(Clone)]
pub enum ReplyTo {
    /// To the thread of a connection.
    Shell(SyncSender<Reply>),
    /// To the reactor, for a call on the bus of this number.
    Bus(Back, u32),
}

impl ReplyTo {
    /// Hands it over; it never waits, and who does not wait for it any more does not get it.
    pub fn send(&self, reply: Reply) {
        match self {
            ReplyTo::Shell(shell) => drop(shell.try_send(reply)),
            ReplyTo::Bus(back, call) => back.send(*call, reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place is not kept by a shell that always has one byte more to say.
    #[test]
    fn a_request_that_trickles_is_not_waited_for() {
        let (mut shell, stream) = UnixStream::pair().unwrap();
        let mut hurried = Hurried { stream: &stream, until: Instant::now() + Duration::from_millis(50) };
        let mut byte = [0];
        let error = loop {
            shell.write_all(b"x").unwrap();
            match hurried.read(&mut byte) {
                Ok(n) => assert_eq!(n, 1),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
