//! Netlink, reading only: what the kernel knows of links, addresses, routes, neighbours and sockets.
//!
//! [`collect`] asks for one dump and gives back typed records of [`link`], [`route`] and [`queue`].
//! The kernel is trusted to
//! be the sender, not to be right: a length that lies ends the message it stands in, an attribute of
//! the wrong size is skipped, and the number of records, of bytes waited for and of attempts is
//! bounded. A dump that the kernel marks as interrupted (something changed meanwhile) is asked for
//! again; the last attempt counts as it is, since a busy machine would otherwise never be read.

pub mod events;
pub mod generic;
pub mod link;
pub mod queue;
pub mod route;
mod wire;
pub mod wireless;

use wire::{Attribute, BATCH, attributes, ip, messages, nested, number, text, u8_at, u16_at, u32_at, u64_at};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvmsg, sendto, socket,
};
use std::fmt;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The most records of one dump; what comes beyond is left out.
pub const MAX_RECORDS: usize = 65_536;
/// How long a whole dump may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How often a dump that was interrupted is begun again.
const ATTEMPTS: u32 = 3;
/// The most datagrams of one dump: far above what [`MAX_RECORDS`] records take.
const MAX_BATCHES: u32 = 65_536;

const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x010;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const SEQUENCE: u32 = 1;

/// Why a dump could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A system call failed: which, and how.
    System(&'static str, Errno),
    /// The kernel answered with an error number.
    Refused(i32),
    /// The dump did not end within its deadline.
    TimedOut,
    /// An answer was larger than any that the kernel sends.
    Truncated,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System(call, errno) => write!(f, "netlink {call}: {}", errno.desc()),
            Error::Refused(number) => {
                write!(f, "netlink: the kernel answered {}", Errno::from_raw(*number).desc())
            }
            Error::TimedOut => write!(f, "netlink: no complete answer within {} s", DEADLINE.as_secs()),
            Error::Truncated => write!(f, "netlink: an answer longer than {BATCH} bytes"),
        }
    }
}

impl std::error::Error for Error {}

/// What to dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dump {
    /// All links.
    Links,
    /// Bridge ports with their VLANs.
    PortVlans,
    /// IPv4 and IPv6 addresses.
    Addresses,
    /// IPv4 routes of all tables.
    Routes4,
    /// IPv6 routes of all tables.
    Routes6,
    /// IPv4 and IPv6 neighbours.
    Neighbours,
    /// What bridges have learned.
    Forwarding,
    /// Queue disciplines of all devices. A kernel may be built without them.
    Queues,
    /// TCP sockets that listen or are connected, of IPv4 and IPv6 in one pass over the kernel's
    /// table: reading `/proc/net/tcp` and `tcp6` takes ten times as long. Many routers lack it.
    Sockets,
}

impl Dump {
    /// Message type, address family, bytes of the fixed header, extension mask.
    fn request(self) -> (u16, u8, usize, u32) {
        const BRIDGE: u8 = 7;
        match self {
            Dump::Links => (18, 0, 16, 0),
            // RTEXT_FILTER_BRVLAN
            Dump::PortVlans => (18, BRIDGE, 16, 2),
            Dump::Addresses => (22, 0, 8, 0),
            Dump::Routes4 => (26, 2, 12, 0),
            Dump::Routes6 => (26, 10, 12, 0),
            Dump::Neighbours => (30, 0, 12, 0),
            Dump::Forwarding => (30, BRIDGE, 12, 0),
            // RTM_GETQDISC, struct tcmsg.
            Dump::Queues => (38, 0, 20, 0),
            // TCPDIAG_GETSOCK, struct inet_diag_req.
            Dump::Sockets => (18, 2, 60, 0),
        }
    }

    fn protocol(self) -> SockProtocol {
        match self {
            Dump::Sockets => SockProtocol::NetlinkSockDiag,
            _ => SockProtocol::NetlinkRoute,
        }
    }

    fn bytes(self) -> Vec<u8> {
        let (kind, family, header, mask) = self.request();
        let extension = if mask == 0 { 0 } else { 8 };
        let len = 16 + header + extension;
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&(len as u32).to_ne_bytes());
        out.extend_from_slice(&kind.to_ne_bytes());
        out.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        out.extend_from_slice(&SEQUENCE.to_ne_bytes());
        out.extend_from_slice(&0u32.to_ne_bytes());
        out.push(family);
        out.resize(16 + header, 0);
        if self == Dump::Sockets {
            // The states wanted stand in the last word but one.
            let states = 1u32 << route::TCP_ESTABLISHED | 1 << route::TCP_LISTEN;
            if let Some(place) = out.get_mut(16 + 52..16 + 56) {
                place.copy_from_slice(&states.to_ne_bytes());
            }
        }
        if mask != 0 {
            const IFLA_EXT_MASK: u16 = 29;
            out.extend_from_slice(&8u16.to_ne_bytes());
            out.extend_from_slice(&IFLA_EXT_MASK.to_ne_bytes());
            out.extend_from_slice(&mask.to_ne_bytes());
        }
        out
    }
}

/// How far a dump has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    More,
    Done,
}

/// The records of one dump; `parse` pushes what a message's payload says.
///
/// # Errors
/// [`Error`]; nothing is given of a dump that did not end.
pub fn collect<T>(what: Dump, parse: fn(&[u8], &mut Vec<T>)) -> Result<Vec<T>, Error> {
    let deadline = Instant::now() + DEADLINE;
    let mut out = Vec::new();
    for _ in 0..ATTEMPTS {
        out.clear();
        let whole = exchange(what, deadline, &mut |payload| {
            if out.len() < MAX_RECORDS {
                parse(payload, &mut out);
            }
        })?;
        if whole {
            break;
        }
    }
    out.truncate(MAX_RECORDS);
    Ok(out)
}

/// One request and its answers; `false` when the kernel says that something changed meanwhile.
fn exchange(what: Dump, deadline: Instant, sink: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
    let system = |call| move |errno| Error::System(call, errno);
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        what.protocol(),
    )
    .map_err(system("socket"))?;
    talk(&fd, &what.bytes(), deadline, sink)
}

/// Sends a request by a socket of its own, and reads what is answered until it ends.
fn talk(fd: &OwnedFd, request: &[u8], deadline: Instant, sink: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
    let system = |call| move |errno| Error::System(call, errno);
    sendto(fd.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).map_err(system("send"))?;
    let mut buffer = vec![0u8; BATCH];
    let mut whole = true;
    for _ in 0..MAX_BATCHES {
        let left = deadline.saturating_duration_since(Instant::now());
        // A wait of at most DEADLINE: its milliseconds fit u16.
        let timeout = PollTimeout::from(left.as_millis().min(u16::MAX as u128) as u16);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(Error::TimedOut),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::System("poll", errno)),
        }
        let (len, from) = {
            let mut pieces = [IoSliceMut::new(&mut buffer)];
            match recvmsg::<NetlinkAddr>(fd.as_raw_fd(), &mut pieces, None, MsgFlags::empty()) {
                Ok(m) if m.flags.contains(MsgFlags::MSG_TRUNC) => return Err(Error::Truncated),
                Ok(m) => (m.bytes, m.address),
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                // Messages were lost: the dump is not whole, and is begun again.
                Err(Errno::ENOBUFS) => return Ok(false),
                Err(errno) => return Err(Error::System("receive", errno)),
            }
        };
        // Only the kernel has port 0.
        if from.is_some_and(|a| a.pid() != 0) {
            continue;
        }
        if batch(buffer.get(..len).unwrap_or(&[]), &mut whole, sink)? == Progress::Done {
            return Ok(whole);
        }
    }
    Err(Error::TimedOut)
}

/// Reads one datagram.
fn batch(bytes: &[u8], whole: &mut bool, sink: &mut dyn FnMut(&[u8])) -> Result<Progress, Error> {
    for message in messages(bytes) {
        if message.sequence != SEQUENCE {
            continue;
        }
        if message.flags & NLM_F_DUMP_INTR != 0 {
            *whole = false;
        }
        match message.kind {
            // Both carry a negative error number, or 0.
            NLMSG_DONE | NLMSG_ERROR => {
                let number = u32_at(message.payload, 0).map(|n| (n as i32).wrapping_neg());
                return match number {
                    Some(number) if number != 0 => Err(Error::Refused(number)),
                    None if message.kind == NLMSG_ERROR => Err(Error::Refused(0)),
                    _ => Ok(Progress::Done),
                };
            }
            NLMSG_OVERRUN => *whole = false,
            // Below 16 are control messages that say nothing.
            kind if kind >= 16 => sink(message.payload),
            _ => {}
        }
    }
    Ok(Progress::More)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = ((16 + payload.len()) as u32).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend([0; 4]);
        out.extend(payload);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn run(bytes: &[u8]) -> (Result<Progress, Error>, bool, usize) {
        let (mut whole, mut count) = (true, 0);
        let result = batch(bytes, &mut whole, &mut |_| count += 1);
        (result, whole, count)
    }

    #[test]
    fn a_batch_ends_where_the_kernel_says() {
        let two = [message(16, 2, SEQUENCE, &[0; 5]), message(16, 2, SEQUENCE, &[0; 16])].concat();
        assert_eq!(run(&two), (Ok(Progress::More), true, 2));
        let done = [two.clone(), message(NLMSG_DONE, 2, SEQUENCE, &[0; 4]), two.clone()].concat();
        assert_eq!(run(&done), (Ok(Progress::Done), true, 2));
        let torn =
            [message(16, NLM_F_DUMP_INTR, SEQUENCE, &[]), message(NLMSG_DONE, 2, SEQUENCE, &[])].concat();
        assert_eq!(run(&torn), (Ok(Progress::Done), false, 1));
        assert_eq!(
            run(&message(NLMSG_ERROR, 0, SEQUENCE, &(-95i32).to_ne_bytes())).0,
            Err(Error::Refused(95))
        );
        assert_eq!(run(&message(NLMSG_ERROR, 0, SEQUENCE, &[1])).0, Err(Error::Refused(0)));
        assert_eq!(
            run(&message(NLMSG_ERROR, 0, SEQUENCE, &i32::MIN.to_ne_bytes())).0,
            Err(Error::Refused(i32::MIN))
        );
        let refused = message(NLMSG_DONE, 2, SEQUENCE, &(-2i32).to_ne_bytes());
        assert_eq!(run(&refused).0, Err(Error::Refused(2)), "a dump that failed on the way");
        assert_eq!(
            run(&message(16, 0, SEQUENCE + 1, &[0; 8])),
            (Ok(Progress::More), true, 0),
            "of another dump"
        );
    }

    #[test]
    fn the_live_kernel_knows_the_loopback() {
        let links = collect(Dump::Links, link::Link::parse).unwrap();
        let lo = links.iter().find(|l| l.is_loopback()).expect("every machine has a loopback");
        let addresses = collect(Dump::Addresses, route::Address::parse).unwrap();
        assert!(lo.mtu > 0);
        // A network namespace may have its loopback down and without addresses.
        if lo.is_up() {
            assert!(addresses.iter().any(|a| a.link == lo.index && a.local.is_loopback()));
        }
        let sockets = collect(Dump::Sockets, route::Socket::parse);
        // A kernel without the protocol has no such socket, or no answer.
        if let Err(e) = sockets {
            assert!(!matches!(e, Error::TimedOut | Error::Truncated), "{e}");
        }
        for dump in
            [Dump::PortVlans, Dump::Routes4, Dump::Routes6, Dump::Neighbours, Dump::Forwarding, Dump::Queues]
        {
            // A kernel without IPv6 or bridges refuses; it must not hang or panic.
            if let Err(e) = collect::<()>(dump, |_, _| {}) {
                assert!(matches!(e, Error::Refused(_)), "{dump:?}: {e}");
            }
        }
    }
}
