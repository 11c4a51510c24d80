//! The socket of one connection, and TLS on it: nothing here waits.

use crate::diagnostics::{Job, socket};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockopt, recv, setsockopt,
    sockopt,
};
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use crate::net::tls;

/// The most bytes taken in for a TLS handshake.
const MAX_HANDSHAKE: usize = 512 * 1024;
/// What TLS may hold that is still to be sent, in bytes.
const BACKLOG: usize = 32 * 1024;

/// A connection to the server.
pub struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Bytes of the handshake.
    taken: usize,
}

impl Wire {
    /// Begins a connection: Interface, DSCP and EthernetPriority are the socket's from its first packet on.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn open(job: &Job, peer: SocketAddr) -> io::Result<Wire> {
        let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = nix::sys::socket::socket(family, SockType::Stream, flags, None)?;
        socket::dress(job, &socket, peer.ip())?;
        // Behind the DSCP, which the kernel derives a priority from, too.
        let priority = job.arguments.number("EthernetPriority").min(7) as i32;
        if priority != 0 {
            setsockopt(&socket, sockopt::Priority, &priority)?;
        }
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(peer)) {
            Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        Ok(Wire { socket: TcpStream::from(socket), tls: None, taken: 0 })
    }

    /// What became of the connection, once it can be written to.
    ///
    /// # Errors
    /// Why there is none.
    pub fn opened(&self) -> io::Result<()> {
        match getsockopt(&self.socket, sockopt::SocketError)? {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Our end.
    pub fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// What is polled.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What to wait for beside `flags`, so that TLS gets on.
    pub fn flags(&self, flags: PollFlags) -> PollFlags {
        match &self.tls {
            Some(tls) if tls.is_handshaking() && !tls.wants_write() => PollFlags::POLLIN,
            Some(tls) if tls.wants_write() => flags | PollFlags::POLLOUT,
            _ => flags,
        }
    }

    /// From now on all goes through TLS.
    ///
    /// # Errors
    /// The host is no name that a certificate can have.
    pub fn secure(&mut self, config: &Arc<ClientConfig>, host: &str) -> Result<(), String> {
        let mut tls = tls::connection(config, host).map_err(|error| error.to_string())?;
        tls.set_buffer_limit(Some(BACKLOG));
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Goes on with the handshake: whether it is done.
    ///
    /// # Errors
    /// There will be no TLS.
    pub fn shake(&mut self, host: &str) -> Result<bool, String> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        let said = |error: io::Error| format!("TLS handshake with {host}: {error}");
        loop {
            match push(tls, &mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                other => other.map_err(said)?,
            }
            if !tls.is_handshaking() {
                return Ok(true);
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Err(format!("{host} closed the connection during the TLS handshake")),
                Ok(amount) => self.taken += amount,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(said(error)),
            }
            if self.taken > MAX_HANDSHAKE {
                return Err(format!("{host} does not come to the end of the TLS handshake"));
            }
            if let Err(error) = tls.process_new_packets() {
                let _ = tls.write_tls(&mut self.socket); // the alert, as far as it goes
                return Err(tls::explain(host, &error));
            }
        }
    }

    /// Reads what is there; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet, or what broke the connection.
    pub fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(room),
            Some(tls) => {
                fill(tls, &mut self.socket)?;
                tls.reader().read(room)
            }
        }
    }

    /// Takes at most so many bytes that nobody looks at, and copies none of them: TCP drops them in the kernel.
    /// `room` bounds how many at once.
    ///
    /// # Errors
    /// As of [`Wire::read`].
    pub fn skip(&mut self, room: &mut [u8], most: u64) -> io::Result<usize> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        match &mut self.tls {
            None => {
                let room = room.get_mut(..most.min(room.len())).unwrap_or_default();
                Ok(recv(self.socket.as_raw_fd(), room, MsgFlags::MSG_TRUNC)?)
            }
            Some(tls) => {
                fill(tls, &mut self.socket)?;
                let mut reader = tls.reader();
                let amount = reader.fill_buf()?.len().min(most);
                reader.consume(amount);
                Ok(amount)
            }
        }
    }

    /// Sends what goes without waiting.
    ///
    /// # Errors
    /// As of [`Wire::read`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => {
                push(tls, &mut self.socket)?;
                let amount = tls.writer().write(bytes)?;
                match push(tls, &mut self.socket) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                    _ => Ok(amount),
                }
            }
        }
    }

    /// Sends what TLS holds back.
    ///
    /// # Errors
    /// As of [`Wire::read`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| push(tls, &mut self.socket))
    }
}

/// Makes sure that there is something to read in the clear.
fn fill(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    loop {
        match tls.reader().fill_buf() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return Ok(()), // the end, too, and what is wrong with it
        }
        match push(tls, socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        tls.read_tls(socket)?;
        if let Err(error) = tls.process_new_packets() {
            let _ = tls.write_tls(socket); // the alert, as far as it goes
            return Err(io::Error::other(error));
        }
    }
}

/// Sends what TLS has ready.
fn push(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Arguments;
    use std::net::TcpListener;

    #[test]
    fn the_socket_has_dscp_and_priority() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut arguments = Arguments::default();
        arguments.set("DSCP", "46");
        arguments.set("EthernetPriority", "5");
        let around = crate::diagnostics::Around::default();
        let job = Job { arguments, device: None, around };
        let wire = Wire::open(&job, listener.local_addr().expect("an address")).expect("a socket");
        assert_eq!(getsockopt(&wire.socket, sockopt::Priority), Ok(5), "and not what the DSCP makes of it");
        assert_eq!(getsockopt(&wire.socket, sockopt::Ipv4Tos), Ok(46 << 2));
    }
}
