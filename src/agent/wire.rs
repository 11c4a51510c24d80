//! The wire: one thread for the life of one ACS session. It connects, does TLS and HTTP, hands the
//! engine whole requests, and pulls a long answer's body piece by piece. It knows nothing of SOAP.

use super::Message;
use crate::net::client::{Body, Client, Error, Options, Pieces, Reached};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// rustls and ureq are the deepest callers, measured well below a quarter of this; a compressor's tables
/// pass over the stack when it is made, in a build without optimization some times over.
const STACK: usize = 512 * 1024;

/// What the wire tells the engine.
#[derive(Debug)]
pub enum Event {
    /// There is a connection and the first message is wanted. With its local address: the
    /// connection-request URL in the first Inform shows it. And the address of the ACS.
    Ready(Option<IpAddr>, Option<SocketAddr>),
    /// A 200 or 204 came; the body is empty for an empty response.
    Answered {
        /// The response's body.
        body: Vec<u8>,
        /// The local address of the connection.
        local: Option<IpAddr>,
    },
    /// The next piece of a long answer is wanted.
    Pull,
    /// The last answer is to be sent once more, from its first byte.
    Again,
    /// The exchange failed, and how far the session had come; nothing more will come.
    Failed(Error, Reached),
}

/// What the engine tells the wire.
#[derive(Debug)]
pub enum Order {
    /// Wait so long for responses from now on (T-8); nothing is POSTed.
    Patience(Duration),
    /// POST this message.
    Whole(Vec<u8>),
    /// POST an answer that begins with these bytes and goes on with [`Order::Piece`].
    Stream(Vec<u8>),
    /// The next piece, `None` at the end.
    Piece(Option<Vec<u8>>),
    /// POST nothing.
    Empty,
    /// The session is over.
    Finish,
}

/// The engine's end of a session's wire.
pub struct Wire {
    /// Where orders go; a rendezvous, so that only one piece is ever in flight.
    pub orders: SyncSender<Order>,
    /// Dropping it wakes every wait of the wire.
    _wake: OwnedFd,
}

impl Wire {
    /// Starts the thread of a session. Everything it says is marked with `session`.
    ///
    /// # Errors
    /// No pipe or no thread could be had.
    pub fn start(session: u32, options: Options, engine: Sender<Message>) -> io::Result<Wire> {
        let (wake_read, wake) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (orders, inbox) = sync_channel(0);
        thread::Builder::new().name("wire".into()).stack_size(STACK).spawn(move || {
            let line = Line { session, engine, inbox };
            line.run(options, wake_read);
        })?;
        Ok(Wire { orders, _wake: wake })
    }
}

struct Line {
    session: u32,
    engine: Sender<Message>,
    inbox: Receiver<Order>,
}

impl Line {
    fn tell(&self, event: Event) -> bool {
        self.engine.send(Message::Wire(self.session, event)).is_ok()
    }

    fn run(self, options: Options, wake: OwnedFd) {
        let mut client = match Client::new(options, wake) {
            Ok(client) => client,
            Err(error) => {
                self.tell(Event::Failed(error, Reached::Nothing));
                return;
            }
        };
        if let Err(error) = client.open() {
            self.tell(Event::Failed(error, client.reached()));
            return;
        }
        if !self.tell(Event::Ready(client.local_address().map(|a| a.ip()), client.acs_address())) {
            return;
        }
        loop {
            // A closed channel: the engine has given the session up.
            let Ok(order) = self.inbox.recv() else { return };
            let answer = match order {
                Order::Patience(wait) => {
                    client.wait_for_responses(wait);
                    continue;
                }
                Order::Whole(bytes) => client.post(Body::Whole(&bytes)),
                Order::Empty => client.post(Body::Empty),
                Order::Stream(first) => {
                    client.post(Body::Stream(&mut Puller { line: &self, first: Some(first) }))
                }
                Order::Piece(_) => continue,
                Order::Finish => return,
            };
            let event = match answer {
                Ok(response) => {
                    Event::Answered { body: response.body, local: client.local_address().map(|a| a.ip()) }
                }
                Err(error) => {
                    self.tell(Event::Failed(error, client.reached()));
                    return;
                }
            };
            if !self.tell(event) {
                return;
            }
        }
    }
}

/// A long answer, pulled from the engine while it is sent.
struct Puller<'a> {
    line: &'a Line,
    first: Option<Vec<u8>>,
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the engine has given the session up")
}

impl Puller<'_> {
    fn ask(&self, event: Event) -> io::Result<Order> {
        if !self.line.tell(event) {
            return Err(gone());
        }
        self.line.inbox.recv().map_err(|_| gone())
    }
}

impl Pieces for Puller<'_> {
    fn rewind(&mut self) -> io::Result<()> {
        match self.ask(Event::Again)? {
            Order::Stream(first) => {
                self.first = Some(first);
                Ok(())
            }
            _ => Err(gone()),
        }
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match self.ask(Event::Pull)? {
            Order::Piece(piece) => Ok(piece),
            _ => Err(gone()),
        }
    }
}
