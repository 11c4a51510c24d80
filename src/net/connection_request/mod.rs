//! The connection-request listener (TR-069 3.2.2): non-blocking, polled by the reactor; small fixed
//! buffers, one deadline for a whole request, the oldest unauthenticated peer makes room for a newcomer.
//!
//! The engine makes sessions; this room only says how many valid requests were answered. It
//! accepts also while a session runs (CR-11), and closing the port is dropping the listener (CR-14).

pub mod gate;
pub mod head;
mod limit;
mod nonce;
mod peer;
#[cfg(test)]
mod tests;

use gate::Gate;
use peer::{Peer, Standing};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The port that IANA keeps for CWMP (CR-13).
pub const DEFAULT_PORT: u16 = 7547;

/// Connections held at once.
const MAX_PEERS: usize = 16;
/// Connections taken in one turn; the others wait in the kernel's queue for the next.
const ACCEPTS_PER_TURN: usize = 32;
/// How long no connection is taken after the system refused one (out of descriptors or memory).
const PAUSE: Duration = Duration::from_secs(1);

/// What a peer must know.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// ManagementServer.ConnectionRequestUsername; empty: every request is refused (CR-17).
    pub username: String,
    /// ManagementServer.ConnectionRequestPassword.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A digest algorithm that is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `SHA-256`
    Sha256,
}

/// How the listener behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// One segment, with its slash: `/Xa3…`; see [`random_path`].
    pub path: String,
    /// See [`Credentials`].
    pub credentials: Credentials,
    /// In this order; MD5 alone by default, because GenieACS fails at a second challenge.
    pub algorithms: Vec<Algorithm>,
    /// How many authenticated requests at once (CR-12).
    pub burst: u32,
    /// And one more after each of these; zero sets no limit.
    pub refill: Duration,
}

impl Settings {
    /// The defaults: MD5, four at once and one more every three seconds.
    pub fn new(path: String, credentials: Credentials) -> Settings {
        let refill = Duration::from_secs(3);
        Settings { path, credentials, algorithms: vec![Algorithm::Md5], burst: 4, refill }
    }
}

/// A path nobody can guess (CR-1): 128 random bits. To be kept across restarts.
///
/// # Errors
/// The system has no random numbers.
pub fn random_path() -> std::io::Result<String> {
    Ok(format!("/{}", super::digest::random_hex::<16>()?))
}

/// ConnectionRequestURL: an IPv6 address stands in brackets (CR-16), without its zone, which means
/// nothing to others.
pub fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{}{path}", SocketAddr::new(address.ip(), address.port()))
}

/// The listener with its connections.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// From the oldest to the newest.
    peers: Vec<Peer>,
    gate: Gate,
    /// Until when no connection is taken.
    paused: Option<Instant>,
    /// Whether the system refused the last connection: said once in the log.
    refused: bool,
}

impl Listener {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken or not ours, or the system has no random numbers.
    pub fn bind(address: SocketAddr, settings: Settings) -> std::io::Result<Listener> {
        let socket = TcpListener::bind(address)?; // close-on-exec, as all that it accepts
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Listener {
            socket,
            address,
            peers: Vec::new(),
            gate: Gate::new(settings)?,
            paused: None,
            refused: false,
        })
    }

    /// The address in force.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// New credentials or path; the connections under way are judged by them.
    pub fn set(&mut self, settings: Settings) {
        self.gate.set(settings);
    }

    /// What to poll: each descriptor with whether it waits to write (else to read).
    pub fn interests<'a>(&'a self, out: &mut Vec<(BorrowedFd<'a>, bool)>) {
        if self.paused.is_none() {
            out.push((self.socket.as_fd(), false));
        }
        out.extend(self.peers.iter().map(|p| (p.stream.as_fd(), p.wants_to_write())));
    }

    /// When [`Listener::turn`] must be called even if nothing is ready.
    pub fn deadline(&self) -> Option<Instant> {
        self.peers.iter().map(|p| p.deadline).chain(self.paused).min()
    }

    /// Does whatever can be done without waiting. Returns how many valid requests were answered with
    /// 200 in this turn (each answer was handed to the kernel before it is counted, CR-8).
    pub fn turn(&mut self, now: Instant) -> usize {
        let mut accepted = 0;
        let gate = &mut self.gate;
        self.peers.retain_mut(|peer| {
            let turn = peer.turn(gate, now);
            accepted += turn.accepted;
            turn.alive
        });
        if self.paused.is_none_or(|until| now >= until) {
            self.paused = None;
            accepted += self.take_newcomers(now);
        }
        accepted
    }

    fn take_newcomers(&mut self, now: Instant) -> usize {
        let mut accepted = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            let (stream, from) = match self.accept() {
                Ok(newcomer) => {
                    self.refused = false;
                    newcomer
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => {
                    // the queue stays ready to be read: polling it now would only spin
                    if !std::mem::replace(&mut self.refused, true) {
                        log::warn!("no connection request can be taken at present: {e}");
                    }
                    self.paused = Some(now + PAUSE);
                    break;
                }
            };
            let mut newcomer = Peer::new(stream, from.ip(), now);
            // most have sent their request by now: one that is served at once needs no place
            let turn = newcomer.turn(&mut self.gate, now);
            accepted += turn.accepted;
            if turn.alive && self.make_room() {
                self.peers.push(newcomer);
            }
        }
        accepted
    }

    fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self.socket.accept()?;
        stream.set_nonblocking(true)?;
        Ok((stream, from))
    }

    /// Drops a peer if all places are taken: the one that has come least far, among equals one of
    /// the address that holds most places, among these the oldest. So neither slow peers nor a flood
    /// from one address push out an ACS that is about to answer its challenge. False when all are
    /// authenticated.
    fn make_room(&mut self) -> bool {
        if self.peers.len() < MAX_PEERS {
            return true;
        }
        let places = |a: IpAddr| self.peers.iter().filter(|p| p.address == a).count();
        let open = self.peers.iter().enumerate().filter(|(_, p)| p.standing < Standing::Authenticated);
        let victim = open.min_by_key(|(_, p)| (p.standing, std::cmp::Reverse(places(p.address))));
        match victim.map(|(at, _)| at) {
            Some(at) => drop(self.peers.remove(at)), // at comes from enumerate
            None => return false,
        }
        true
    }
}
