//! What the kernel tells by itself: rtnetlink's multicast groups, as a bell. What a message says is
//! hardly looked at: whoever hears the bell reads anew.

use super::wire::{BATCH, attributes, messages};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmsg, setsockopt,
    socket, sockopt,
};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What the kernel can tell of, as bits.
pub mod topic {
    /// Devices: they come, go, and change.
    pub const LINK: u8 = 1;
    /// IPv4 and IPv6 addresses.
    pub const ADDRESS: u8 = 2;
    /// IPv4 and IPv6 routes.
    pub const ROUTE: u8 = 4;
    /// Neighbours, and what bridges learn.
    pub const NEIGHBOUR: u8 = 8;
    /// Queue disciplines.
    pub const QUEUE: u8 = 16;
}

/// Bytes of messages that wait in the kernel: it loses what comes beyond and says so, which rings too.
const WAITING: usize = 64 * 1024;
/// The most datagrams read at once: a flood is not read to its end.
const MAX_READ: usize = 64;
/// RTM_NEWLINK, and its attribute for what only wireless drivers say (scans, stations).
const NEW_LINK: u16 = 16;
const IFLA_WIRELESS: u16 = 11;

/// A socket that hears what the kernel tells.
pub struct Events(OwnedFd);

/// RTMGRP_* bits of a set of topics.
fn groups(topics: u8) -> u32 {
    [
        (topic::LINK, 0x1),
        (topic::ADDRESS, 0x10 | 0x100),
        (topic::ROUTE, 0x40 | 0x400),
        (topic::NEIGHBOUR, 0x4),
        (topic::QUEUE, 0x8),
    ]
    .iter()
    .filter(|(topic, _)| topics & topic != 0)
    .fold(0, |all, (_, group)| all | group)
}

impl Events {
    /// Hears of these topics from now on.
    ///
    /// # Errors
    /// The kernel has no rtnetlink, or the process may not hear it.
    pub fn listen(topics: u8) -> io::Result<Events> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        setsockopt(&fd, sockopt::RcvBuf, &WAITING)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups(topics)))?;
        Ok(Events(fd))
    }

    /// Reads what is there; whether something changed. Messages that were lost (ENOBUFS) are a change.
    pub fn heard(&self) -> bool {
        let mut buffer = vec![0; BATCH];
        let mut rung = false;
        for _ in 0..MAX_READ {
            let mut pieces = [IoSliceMut::new(&mut buffer)];
            match recvmsg::<NetlinkAddr>(self.0.as_raw_fd(), &mut pieces, None, MsgFlags::empty()) {
                Ok(m) => {
                    // Only the kernel has port 0.
                    let from_kernel = m.address.is_none_or(|a| a.pid() == 0);
                    let len = m.bytes;
                    rung |= from_kernel && is_change(buffer.get(..len).unwrap_or(&[]));
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(Errno::ENOBUFS) => rung = true,
                // Nobody knows what was lost.
                Err(_) => return true,
            }
        }
        rung
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a datagram tells of a change of what is shown. Wireless drivers tell of every scan.
fn is_change(datagram: &[u8]) -> bool {
    messages(datagram).any(|m| {
        m.kind >= NEW_LINK
            && !(m.kind == NEW_LINK && attributes(m.payload, 16).any(|a| a.kind == IFLA_WIRELESS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, attribute: u16) -> Vec<u8> {
        let mut out = 40u32.to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.resize(32, 0);
        out.extend(8u16.to_ne_bytes());
        out.extend(attribute.to_ne_bytes());
        out.extend([0; 4]);
        out
    }

    #[test]
    fn what_is_no_change() {
        let (link, scan) = (message(NEW_LINK, 3), message(NEW_LINK, IFLA_WIRELESS));
        assert!(is_change(&link) && is_change(&message(20, 3)) && is_change(&message(24, IFLA_WIRELESS)));
        assert!(
            !is_change(&scan) && !is_change(&message(3, 3)) && !is_change(&[]) && !is_change(&[0xff; 90])
        );
        assert!(is_change(&[scan, link].concat()));
    }

    #[test]
    fn groups_of_topics() {
        assert_eq!(groups(topic::LINK), 1);
        assert_eq!(groups(topic::ADDRESS | topic::ROUTE), 0x550);
        assert_eq!(groups(topic::NEIGHBOUR | topic::QUEUE), 0xc);
    }
}
