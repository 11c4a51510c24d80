//! A connection with ubusd that never waits: what has come is in a buffer, and what is to go in another.

use super::message::{self, Message};
use super::{MAX_MESSAGE, Problem};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Bytes read at once.
const CHUNK: usize = 8 * 1024;
/// The most bytes that wait to be sent; a ubusd that does not read is left.
const MAX_WAITING: usize = 2 * MAX_MESSAGE;

/// A connection.
pub(super) struct Stream {
    socket: UnixStream,
    inbox: Vec<u8>,
    /// How much of the inbox was taken.
    taken: usize,
    outbox: Vec<u8>,
    /// How much of the outbox was sent.
    sent: usize,
}

impl Stream {
    /// Connects at once or not at all.
    ///
    /// # Errors
    /// [`Problem::Absent`]; [`Problem::Silent`] when ubusd takes no connections.
    pub fn connect(path: &Path) -> Result<Stream, Problem> {
        let absent = |errno: Errno| match errno {
            // Its backlog is full.
            Errno::EAGAIN => Problem::Silent,
            _ => Problem::Absent(errno.desc()),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(absent)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path).map_err(absent)?).map_err(absent)?;
        Ok(Stream::over(fd.into()))
    }

    /// A connection that is there, and does not wait.
    pub fn over(socket: UnixStream) -> Stream {
        Stream { socket, inbox: Vec::new(), taken: 0, outbox: Vec::new(), sent: 0 }
    }

    /// The next message that has come whole, if any: reads once at most.
    ///
    /// # Errors
    /// [`Problem::Broken`]: the connection is of no more use.
    pub fn next(&mut self) -> Result<Option<Message>, Problem> {
        match self.take()? {
            None if self.fill()? => self.take(),
            taken => Ok(taken),
        }
    }

    /// Reads what has come; `false` when there is nothing.
    fn fill(&mut self) -> Result<bool, Problem> {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        // Between the messages of a quiet connection it holds nothing, and keeps no room either.
        if self.inbox.is_empty() {
            self.inbox = Vec::new();
        }
        let len = self.inbox.len();
        self.inbox.resize(len + CHUNK, 0);
        let read = loop {
            match self.socket.read(&mut self.inbox[len..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.inbox.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Problem::Broken("ubusd closed it")),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(Problem::Broken("it cannot be read")),
        }
    }

    fn take(&mut self) -> Result<Option<Message>, Problem> {
        let rest = self.inbox.get(self.taken..).unwrap_or(&[]);
        let Some(len) = message::length(rest)? else { return Ok(None) };
        let Some(message) = rest.get(..len).and_then(Message::read) else { return Ok(None) };
        self.taken += len;
        Ok(Some(message))
    }

    /// Sends these bytes behind those that wait, as far as can be.
    ///
    /// # Errors
    /// [`Problem::Broken`]: the connection is of no more use.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.outbox.len() - self.sent + bytes.len() > MAX_WAITING {
            return Err(Problem::Broken("ubusd does not read"));
        }
        self.outbox.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends what waits, as far as can be.
    ///
    /// # Errors
    /// [`Problem::Broken`]: the connection is of no more use.
    pub fn flush(&mut self) -> Result<(), Problem> {
        while let Some(rest) = self.outbox.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Problem::Broken("it cannot be written")),
            }
        }
        self.outbox = Vec::new();
        self.sent = 0;
        Ok(())
    }

    /// Whether a message has come that was not taken.
    pub fn has_more(&self) -> bool {
        let rest = self.inbox.get(self.taken..).unwrap_or(&[]);
        message::length(rest).is_ok_and(|len| len.is_some_and(|len| len <= rest.len()))
    }

    /// Whether something waits to be sent.
    pub fn wants_to_send(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
