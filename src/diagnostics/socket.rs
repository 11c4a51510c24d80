//! Names and sockets of tests: what `Host`, `ProtocolVersion`, `Interface` and `DSCP` mean, for all of them.

use super::run::{Canceled, Run};
use super::{Job, Report};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The stack of the thread that looks a name up; the C library's resolver wants some.
const LOOKUP_STACK: usize = 128 * 1024;
/// The longest that a name's lookup may take.
pub const LOOKUP: Duration = Duration::from_secs(20);
/// The longest name of a host (RFC 1035), in characters.
const MAX_NAME: usize = 253;

/// Why there is no test.
pub enum Refusal {
    /// See [`Canceled`].
    Canceled,
    /// With its state.
    Report(Box<Report>),
}

impl From<Canceled> for Refusal {
    fn from(_: Canceled) -> Refusal {
        Refusal::Canceled
    }
}

impl From<Report> for Refusal {
    fn from(report: Report) -> Refusal {
        Refusal::Report(Box::new(report))
    }
}

impl Refusal {
    /// What the test as a whole ends with.
    ///
    /// # Errors
    /// It was canceled.
    pub fn end(self) -> Result<Report, Canceled> {
        match self {
            Refusal::Canceled => Err(Canceled),
            Refusal::Report(report) => Ok(*report),
        }
    }
}

/// Whether this may be a name or an address: what goes to the resolver is a host and nothing else.
pub fn is_host(host: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    host.parse::<IpAddr>().is_ok()
        || !host.is_empty() && host.len() <= MAX_NAME && !host.starts_with(['-', '.']) && host.chars().all(name)
}

/// The addresses of the job's host, those of `ProtocolVersion` only (`Any`: as the resolver orders them).
/// State `Error_CannotResolveHostName` when there is none.
///
/// # Errors
/// No address, or canceled.
pub fn addresses(job: &Job, host: &str, run: &Run) -> Result<Vec<IpAddr>, Refusal> {
    let none = |why: String| Refusal::from(Report::error("Error_CannotResolveHostName", why));
    let wanted = |address: &IpAddr| match job.arguments.text("ProtocolVersion") {
        "IPv4" => address.is_ipv4(),
        "IPv6" => address.is_ipv6(),
        _ => true,
    };
    if !is_host(host) {
        return Err(none("the host is neither a name nor an address".to_owned()));
    }
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => look_up(host, run)?.map_err(|e| none(format!("lookup of {host}: {e}")))?,
    };
    let mut fitting: Vec<IpAddr> = found.into_iter().filter(wanted).collect();
    fitting.dedup();
    match fitting.is_empty() {
        true => Err(none(format!("{host} has no address of the wanted version"))),
        false => Ok(fitting),
    }
}

/// The system's own lookup cannot be woken, so a thread does it; when it comes too late it runs out by itself.
fn look_up(host: &str, run: &Run) -> Result<io::Result<Vec<IpAddr>>, Canceled> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let begin = || -> io::Result<UnixStream> {
        let (done, finished) = UnixStream::pair()?;
        let query = (host.to_owned(), 0);
        std::thread::Builder::new().name("lookup".into()).stack_size(LOOKUP_STACK).spawn(move || {
            let found = query.to_socket_addrs();
            let _ = sender.send(found.map(|all| all.take(16).map(|a| a.ip()).collect()));
            drop(done);
        })?;
        Ok(finished)
    };
    let finished = match begin() {
        Ok(finished) => finished,
        Err(error) => return Ok(Err(error)),
    };
    run.wait(&mut [(finished.as_fd(), PollFlags::POLLIN, false)], super::run::after(LOOKUP))?;
    Ok(receiver.try_recv().unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
}

/// A UDP socket toward `peer`, connected, that never blocks: bound to the job's device, marked with its DSCP.
///
/// # Errors
/// The kernel's word: no route, no such device …
pub fn udp(job: &Job, peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    dress(job, &socket, peer.ip())?;
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What every socket of a test gets: the device it is bound to (DG-18), DSCP in its six bits.
///
/// # Errors
/// The kernel's word.
pub fn dress(job: &Job, socket: &impl AsFd, peer: IpAddr) -> io::Result<()> {
    if let Some(device) = &job.device {
        setsockopt(socket, sockopt::BindToDevice, &device.into())?;
    }
    let class = (job.arguments.number("DSCP").min(63) << 2) as i32;
    if class != 0 {
        match peer {
            IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4Tos, &class)?,
            IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6TClass, &class)?,
        }
    }
    Ok(())
}

/// By which address of ours this peer is reached (`IPAddressUsed`).
pub fn local(job: &Job, peer: IpAddr) -> Option<IpAddr> {
    let socket = udp(job, SocketAddr::new(peer, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether the error says that there is no way to the peer (`Error_NoRouteToHost`).
pub fn is_no_route(error: &io::Error) -> bool {
    let codes = [Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ENETDOWN, Errno::EADDRNOTAVAIL, Errno::ENODEV];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
}

/// Time left until then, for a socket's own timeout; at least a millisecond.
pub fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_host() {
        for (host, fits) in [
            ("example.org", true),
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("a_b-c.d", true),
            ("", false),
            ("-f", false),
            (";id", false),
            ("$(id)", false),
            ("a b", false),
            (".", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_host(host), fits, "{host}");
        }
        assert!(!is_host(&"a".repeat(254)));
    }
}
