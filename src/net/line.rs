//! One connection to a server as ureq sees it: plain TCP or TLS over a socket that never blocks.
//! Every wait is a `poll` on the socket and the wake descriptor, with the deadline of its phase.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use rustls::ClientConnection;
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::buffer::{Buffer, MAX_HEAD, is_interim};
use super::error::{Error, Reached};
use super::shared::{Shared, after};
use super::tls;

/// The most bytes taken in for a TLS handshake; a chain of certificates is a few thousand.
const MAX_HANDSHAKE: usize = 512 * 1024;
/// How long a server that has answered already may leave the rest of a request unread.
const UNREAD_GRACE: Duration = Duration::from_secs(1);

/// A connection. Dropping it closes it, after a word of goodbye where there is TLS.
pub struct Line {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// For the error texts.
    host: String,
    buffer: Buffer,
    /// Bytes taken in for the present response.
    taken: u64,
    /// Some came in while the request was still being sent.
    early: bool,
    /// The server answered without reading the whole request: what is left of it is not sent, and the
    /// connection is not used again.
    given_up: bool,
    shared: Arc<Shared>,
}

impl Line {
    /// A connected socket, non-blocking.
    pub fn new(socket: TcpStream, host: &str, shared: Arc<Shared>) -> Line {
        Line {
            socket,
            tls: None,
            host: host.to_string(),
            buffer: Buffer::new(shared.bounds.input, shared.bounds.output),
            taken: 0,
            early: false,
            given_up: false,
            shared,
        }
    }

    /// Our end.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// The other end.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    /// Does the TLS handshake; from then on everything goes through it.
    pub fn secure(&mut self, connection: ClientConnection, until: Instant) -> Result<(), Error> {
        let done = self.handshake(connection, until);
        match &done {
            Ok(()) => self.shared.came(Reached::Connected),
            // An alert, a bad certificate, a closed connection: all but silence is an answer.
            Err(Error::Tls(_)) => self.shared.came(Reached::Refused),
            Err(_) => {}
        }
        done
    }

    fn handshake(&mut self, connection: ClientConnection, until: Instant) -> Result<(), Error> {
        const PHASE: &str = "TLS handshake";
        let mut taken: usize = 0;
        let tls = self.tls.insert(Box::new(connection));
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        self.shared.wait(self.socket.as_fd(), PollFlags::POLLOUT, until, PHASE)?;
                    }
                    Err(e) => return Err(Error::Tls(format!("{PHASE} with {}: {e}", self.host))),
                }
            }
            if !tls.is_handshaking() {
                return Ok(());
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    let text = format!("{} closed the connection during the {PHASE}", self.host);
                    return Err(Error::Tls(text));
                }
                Ok(amount) => {
                    taken = taken.saturating_add(amount);
                    if taken > MAX_HANDSHAKE {
                        let text = format!("{} does not come to the end of the {PHASE}", self.host);
                        return Err(Error::Tls(text));
                    }
                    if let Err(e) = tls.process_new_packets() {
                        // the alert, as far as it goes
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(Error::Tls(tls::explain(&self.host, &e)));
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.shared.wait(self.socket.as_fd(), PollFlags::POLLIN, until, PHASE)?;
                }
                Err(e) => return Err(Error::Tls(format!("{PHASE} with {}: {e}", self.host))),
            }
        }
    }

    /// Takes in what is there without waiting: how many bytes, 0 at the end; `WouldBlock` when
    /// there is nothing yet.
    fn take_in(&mut self) -> Result<usize, Trouble> {
        if self.buffer.unconsumed().len() > MAX_HEAD {
            let text = "a head, or a line between chunks, above 32 KiB";
            return Err(Trouble::Fatal(Error::TooLarge(text.to_string())));
        }
        let most = self.shared.bounds.response;
        let room = self.buffer.room();
        let amount = match &mut self.tls {
            None => self.socket.read(room)?,
            Some(tls) => loop {
                match tls.reader().read(room) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                        let text = "the connection was cut off, without TLS's own ending";
                        return Err(Trouble::Broken(text.to_string()));
                    }
                    other => break other?,
                }
                flush(tls, &mut self.socket)?;
                // Records without content give nothing to read, and must have an end all the same.
                self.taken = self.taken.saturating_add(tls.read_tls(&mut self.socket)? as u64);
                within(self.taken, most)?;
                if let Err(e) = tls.process_new_packets() {
                    let _ = tls.write_tls(&mut self.socket); // the alert, as far as it goes
                    return Err(Trouble::Fatal(Error::Tls(tls::explain(&self.host, &e))));
                }
            },
        };
        self.buffer.input_appended(amount);
        if self.tls.is_none() {
            self.taken = self.taken.saturating_add(amount as u64);
            within(self.taken, most)?;
        }
        if amount > 0 {
            self.shared.note().received = true;
        }
        Ok(amount)
    }

    /// Hands over as much of the output as goes without waiting.
    fn give_out(&mut self, from: usize, to: usize) -> Result<usize, Trouble> {
        let output = self.buffer.written(from, to);
        match &mut self.tls {
            None => Ok(self.socket.write(output)?),
            Some(tls) => {
                flush(tls, &mut self.socket)?;
                let amount = tls.writer().write(output)?;
                match flush(tls, &mut self.socket) {
                    Err(Trouble::Wait) | Ok(()) => Ok(amount),
                    Err(other) => Err(other),
                }
            }
        }
    }

    fn give_up(&mut self, given_up: bool) {
        self.given_up = given_up;
        self.shared.note().given_up = given_up;
    }

    /// Whether encrypted bytes are still to be sent.
    fn is_backed_up(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    fn send(&mut self, amount: usize) -> Result<(), Trouble> {
        const PHASE: &str = "sending the request";
        let mut sent = 0;
        let mut until = after(self.shared.timeouts.progress);
        let mut answered: Option<Instant> = None;
        while sent < amount || self.is_backed_up() {
            match self.give_out(sent, amount) {
                Ok(more) => {
                    sent += more;
                    until = after(self.shared.timeouts.progress);
                    if sent < amount || !self.is_backed_up() {
                        continue;
                    }
                }
                Err(Trouble::Wait) => {}
                Err(Trouble::Broken(text)) => {
                    // A server may answer, and close, before it has read the whole request.
                    self.early |= matches!(self.take_in(), Ok(1..));
                    self.give_up(self.early);
                    return match self.early {
                        true => Ok(()),
                        false => Err(Trouble::Broken(text)),
                    };
                }
                Err(other) => return Err(other),
            }
            if self.has_answer() {
                let patience = *answered.get_or_insert_with(|| after(UNREAD_GRACE));
                if Instant::now() >= patience {
                    self.give_up(true);
                    return Ok(());
                }
            }
            let mut events = PollFlags::POLLOUT;
            if !self.has_answer() {
                events |= PollFlags::POLLIN;
            }
            let limit = answered.unwrap_or(until);
            let ready = self.shared.wait(self.socket.as_fd(), events, limit, PHASE);
            let ready = match ready {
                Err(Error::Timeout(PHASE)) if answered.is_some() => continue,
                other => other.map_err(Trouble::Fatal)?,
            };
            if ready.contains(PollFlags::POLLIN) && !ready.contains(PollFlags::POLLOUT) {
                match self.take_in() {
                    Ok(0) => return Err(Trouble::closed()),
                    Ok(_) => {
                        self.buffer.tidy_head();
                        self.early = true;
                    }
                    Err(Trouble::Wait) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }

    /// Whether something of a final response is in the buffer.
    fn has_answer(&self) -> bool {
        let text = self.buffer.unconsumed().trim_ascii_start();
        text.len() > 12 && !is_interim(text)
    }

    fn receive(&mut self, until: Instant, is_head: bool) -> Result<bool, Trouble> {
        let phase = if is_head { "waiting for the response" } else { "reading the response" };
        loop {
            self.shared.check().map_err(Trouble::Fatal)?;
            match self.take_in() {
                Ok(0) => {
                    self.shared.note().broken = true;
                    return Ok(false);
                }
                Ok(_) if is_head => {
                    self.buffer.tidy_head();
                    if self.buffer.has_head() {
                        return Ok(true);
                    }
                }
                Ok(_) => return Ok(true),
                Err(Trouble::Wait) => {
                    let mut events = PollFlags::POLLIN;
                    if self.is_backed_up() {
                        events |= PollFlags::POLLOUT;
                    }
                    let ready = self.shared.wait(self.socket.as_fd(), events, until, phase);
                    ready.map_err(Trouble::Fatal)?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Waits for the word that a body is wanted, or for an answer without it (`Expect: 100-continue`): false
    /// when neither came in time, or the word did. What is interim is dropped, with whatever headers it has.
    fn receive_go(&mut self, until: Instant) -> Result<bool, Trouble> {
        const PHASE: &str = "waiting for 100 Continue";
        loop {
            self.shared.check().map_err(Trouble::Fatal)?;
            match self.take_in() {
                Ok(0) => return Err(Trouble::closed()),
                Ok(_) => {
                    let go = self.buffer.tidy_head();
                    if self.buffer.has_head() && !self.buffer.unconsumed().is_empty() {
                        self.early = true;
                        return Ok(true);
                    }
                    if go {
                        return Ok(false);
                    }
                }
                Err(Trouble::Wait) => {
                    match self.shared.wait(self.socket.as_fd(), PollFlags::POLLIN, until, PHASE) {
                        Err(Error::Timeout(PHASE)) => return Ok(false),
                        other => other.map_err(Trouble::Fatal)?,
                    };
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Leaves the reason in the note, and gives ureq an error of its own kind.
    fn fail(&self, trouble: Trouble) -> ureq::Error {
        let mut note = self.shared.note();
        note.broken = matches!(trouble, Trouble::Broken(_));
        note.failure = Some(match trouble {
            Trouble::Fatal(error) => error,
            Trouble::Broken(text) => Error::Broken(text),
            Trouble::Wait => Error::Broken("a wait where none can be".to_string()),
        });
        ureq::Error::ConnectionFailed
    }
}

/// Why bytes do not move.
enum Trouble {
    /// They will, later.
    Wait,
    /// The connection is gone.
    Broken(String),
    /// It must not go on.
    Fatal(Error),
}

impl Trouble {
    fn closed() -> Trouble {
        Trouble::Broken("the server closed the connection".to_string())
    }
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Trouble {
        match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Trouble::Wait,
            _ => Trouble::Broken(format!("the connection broke: {e}")),
        }
    }
}

/// Judges the bytes that were taken in for a response.
fn within(taken: u64, most: u64) -> Result<(), Trouble> {
    match taken > most {
        true => Err(Trouble::Fatal(Error::TooLarge("a response that does not end".to_string()))),
        false => Ok(()),
    }
}

fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<(), Trouble> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffer
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.given_up {
            return Ok(());
        }
        self.taken = 0;
        self.send(amount).map_err(|trouble| self.fail(trouble))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if timeout.reason == Timeout::Await100 {
            return match self.receive_go(after(*timeout.after)) {
                Ok(true) => Ok(true),
                Ok(false) => Err(ureq::Error::Timeout(Timeout::Await100)),
                Err(trouble) => Err(self.fail(trouble)),
            };
        }
        let is_head = timeout.reason == Timeout::RecvResponse;
        if std::mem::take(&mut self.early) {
            self.buffer.tidy_head();
            if self.buffer.has_head() {
                return Ok(true);
            }
        }
        let until = if is_head { after(*timeout.after) } else { after(self.shared.timeouts.progress) };
        let result = self.receive(until, is_head);
        result.map_err(|trouble| self.fail(trouble))
    }

    /// Whether nothing came in since the last response, not even the end.
    fn is_open(&mut self) -> bool {
        if self.given_up || !self.buffer.unconsumed().is_empty() {
            return false;
        }
        matches!(self.take_in(), Err(Trouble::Wait))
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = flush(tls, &mut self.socket); // as far as it goes
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line to {}", self.host)
    }
}
