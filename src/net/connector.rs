//! Connections to a server: name lookup, TCP, TLS, all within one deadline (T-39 to T-41).

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};
use rustls::ClientConfig;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};

use super::client::Options;
use super::error::{Error, Reached};
use super::line::Line;
use super::shared::{Shared, after};
use super::tls;
use super::url::Url;

/// The most addresses of a name that are tried.
pub const MAX_ADDRESSES: usize = 16;
/// The stack of the thread that looks a name up; the C library's resolver wants some.
const LOOKUP_STACK: usize = 128 * 1024;

/// Opens the connections of one session.
pub struct Opener {
    shared: Arc<Shared>,
    bind_interface: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    /// Host and port that were looked up, with the addresses, the one that answered first (T-41).
    known: Option<(String, u16, Vec<SocketAddr>)>,
}

impl Opener {
    /// Opens nothing yet.
    pub fn new(options: &Options, shared: Arc<Shared>) -> Opener {
        Opener { shared, bind_interface: options.bind_interface.clone(), tls: None, known: None }
    }

    /// Reads the CA file and the client certificate, once.
    pub fn prepare_tls(&mut self, options: &Options) -> Result<(), Error> {
        if self.tls.is_none() {
            self.tls = Some(tls::config(options)?);
        }
        Ok(())
    }

    /// What was read is not used any more.
    pub fn forget_tls(&mut self) {
        self.tls = None;
    }

    /// A connection to the URL's host, with TLS done where it is https.
    pub fn open(&mut self, url: &Url) -> Result<Line, Error> {
        self.shared.check()?;
        let until = after(self.shared.timeouts.connect);
        let addresses = self.addresses(url, until)?;
        self.shared.came(Reached::Resolved);
        let mut last = Error::Resolve(format!("{} has no address", url.host));
        for (place, &address) in addresses.iter().enumerate() {
            // A silent address leaves their share of the time to those behind it.
            let shares = u32::try_from(addresses.len() - place).unwrap_or(1);
            let left = until.saturating_duration_since(Instant::now());
            match self.reach(address, after(left / shares)) {
                Ok(socket) => {
                    self.keep_first(place);
                    return self.finish(socket, url, until);
                }
                Err(e @ (Error::Woken | Error::Timeout("session"))) => return Err(e),
                Err(e) => last = e,
            }
        }
        Err(match last {
            Error::Timeout(_) => Error::Timeout("TCP connect"),
            other => other,
        })
    }

    fn finish(&self, socket: TcpStream, url: &Url, until: Instant) -> Result<Line, Error> {
        let mut line = Line::new(socket, &url.host, Arc::clone(&self.shared));
        self.shared.came(if url.https { Reached::Tcp } else { Reached::Connected });
        if url.https {
            let none = || Error::Credentials("https without TLS settings".to_string());
            let config = self.tls.as_ref().ok_or_else(none)?;
            line.secure(tls::connection(config, &url.host)?, until)?;
        }
        Ok(line)
    }

    /// The address that answered is tried first from now on.
    fn keep_first(&mut self, place: usize) {
        if let Some((_, _, addresses)) = &mut self.known
            && let Some(head) = addresses.get_mut(..=place)
        {
            head.rotate_right(1);
        }
    }

    fn addresses(&mut self, url: &Url, until: Instant) -> Result<Vec<SocketAddr>, Error> {
        if let Some((host, port, addresses)) = &self.known
            && (host.as_str(), *port) == (url.host.as_str(), url.port)
        {
            return Ok(addresses.clone());
        }
        let addresses = match url.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, url.port)],
            Err(_) => self.look_up(&url.host, url.port, until)?,
        };
        self.known = Some((url.host.clone(), url.port, addresses.clone()));
        Ok(addresses)
    }

    /// The system's own lookup cannot be woken, so a thread does it; when it comes too late it
    /// runs out by itself.
    fn look_up(&self, host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Error> {
        let failed = |e: io::Error| Error::Resolve(format!("lookup of {host}: {e}"));
        let (done, finished) = UnixStream::pair().map_err(failed)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let query = (host.to_string(), port);
        std::thread::Builder::new()
            .name("lookup".to_string())
            .stack_size(LOOKUP_STACK)
            .spawn(move || {
                let found = query.to_socket_addrs();
                let found = found.map(|list| list.take(MAX_ADDRESSES).collect::<Vec<_>>());
                let _ = sender.send(found); // nobody listens when it came too late
                drop(done); // wakes who waits
            })
            .map_err(failed)?;
        self.shared.wait(finished.as_fd(), PollFlags::POLLIN, until, "name lookup")?;
        match receiver.try_recv() {
            Ok(Ok(list)) if list.is_empty() => Err(Error::Resolve(format!("{host} has no address"))),
            Ok(found) => found.map_err(failed),
            Err(_) => Err(Error::Resolve(format!("lookup of {host} broke off"))),
        }
    }

    fn reach(&self, address: SocketAddr, until: Instant) -> Result<TcpStream, Error> {
        let failed = |e: Errno| {
            if e == Errno::ECONNREFUSED {
                self.shared.came(Reached::Refused);
            }
            Error::Connect(format!("connect to {address}: {}", e.desc()))
        };
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(family, SockType::Stream, flags, None).map_err(failed)?;
        if let Some(interface) = &self.bind_interface {
            setsockopt(&socket, sockopt::BindToDevice, &interface.into())
                .map_err(|e| Error::Connect(format!("bind to interface {interface}: {}", e.desc())))?;
        }
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
            Ok(()) => {}
            Err(Errno::EINPROGRESS | Errno::EINTR) => {
                self.shared.wait(socket.as_fd(), PollFlags::POLLOUT, until, "TCP connect")?;
                let code = nix::sys::socket::getsockopt(&socket, sockopt::SocketError);
                match code.map_err(failed)? {
                    0 => {}
                    code => return Err(failed(Errno::from_raw(code))),
                }
            }
            Err(e) => return Err(failed(e)),
        }
        // the head and the body of a small request leave in two writes
        setsockopt(&socket, sockopt::TcpNoDelay, &true).map_err(failed)?;
        Ok(TcpStream::from(socket))
    }
}

/// Hands ureq the connection that the client opened; without one it notes that one is wanted,
/// so that the client learns of a new connection before the request is made (S-17).
pub struct Handover(pub Arc<Shared>);

impl Connector for Handover {
    type Out = Line;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Line>, ureq::Error> {
        let mut note = self.0.note();
        let line = note.ready.take();
        note.wanted = line.is_none();
        Ok(line)
    }
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

/// ureq asks for addresses before each request, even with a connection at hand: it gets none.
#[derive(Debug)]
pub struct NoLookup;

impl Resolver for NoLookup {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::net::client::Timeouts;
    use crate::net::shared::Bounds;

    // Proves: T-40, T-41
    #[test]
    fn t40_t41_addresses_are_tried_in_order_and_the_good_one_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let good = listener.local_addr().expect("address");
        let refused =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port that is free again");
        let other_family = SocketAddr::new("::1".parse().expect("an address"), refused.port());
        let (_waker, wake) = UnixStream::pair().expect("a pair");
        let shared = Arc::new(Shared::new(wake.into(), Timeouts::default(), Bounds::default()));
        let mut opener = Opener::new(&Options::default(), shared);
        let url = Url::parse("http://acs.example:7547/").expect("a URL");
        let list = vec![other_family, refused, good, refused];
        opener.known = Some((url.host.clone(), url.port, list));
        let line = opener.open(&url).expect("the third address");
        assert!(line.local_address().is_some());
        let (_, _, order) = opener.known.as_ref().expect("known");
        assert_eq!(order, &[good, other_family, refused, refused]);
        assert_eq!(opener.shared.reached(), Reached::Connected);
        drop(listener);
        match opener.open(&url).err() {
            Some(Error::Connect(text)) => assert!(text.contains("refused"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
