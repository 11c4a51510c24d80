//! The connection-request listener (TR-069 3.2.2): non-blocking, polled by the reactor; small fixed
//! buffers, one deadline for a whole request, the oldest unauthenticated peer makes room for a newcomer.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What a peer must know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// ManagementServer.ConnectionRequestUsername; empty: every request is refused (CR-17).
    pub username: String,
    /// ManagementServer.ConnectionRequestPassword.
    pub password: String,
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
    /// One segment, with its slash: `/Xa3…`.
    pub path: String,
    /// See [`Credentials`].
    pub credentials: Credentials,
    /// In this order; MD5 alone by default.
    pub algorithms: Vec<Algorithm>,
    /// How many authenticated requests at once (CR-12).
    pub burst: u32,
    /// And one more after each of these.
    pub refill: Duration,
}

/// The listener with its connections.
pub struct Listener {}

impl Listener {
    /// Binds the address; port 0 takes a free one.
    pub fn bind(_address: SocketAddr, _settings: Settings) -> std::io::Result<Listener> {
        todo!()
    }

    /// The address in force.
    pub fn local_address(&self) -> SocketAddr {
        todo!()
    }

    /// New credentials or path; the connections under way are judged by them.
    pub fn set(&mut self, _settings: Settings) {
        todo!()
    }

    /// What to poll: each descriptor with whether it waits to write (else to read).
    pub fn interests<'a>(&'a self, _out: &mut Vec<(BorrowedFd<'a>, bool)>) {
        todo!()
    }

    /// When [`Listener::turn`] must be called even if nothing is ready.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Does whatever can be done without waiting. Returns how many valid requests were answered with
    /// 200 in this turn (each answer was handed to the kernel before it is counted, CR-8).
    pub fn turn(&mut self, _now: Instant) -> usize {
        todo!()
    }
}
