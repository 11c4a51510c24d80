//! ICMP echo as bytes, and what the kernel says of a packet: when it came, and which ICMP error was its answer.
//! Shared by ping and trace.

use super::Report;
use super::socket::is_no_route;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An echo's header, the same for both versions: type, code, checksum, identifier, sequence number.
pub const HEADER: usize = 8;
/// Room for a timestamp, an error and who sent it; from the heap, and so aligned.
const CONTROL: usize = 256;
/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of `linux/errqueue.h`.
const FROM_ICMP: [u8; 2] = [2, 3];

/// An echo request: type 8 of ICMP (RFC 792), 128 of ICMPv6 (RFC 4443), whose checksum is the kernel's to make.
pub fn request(is_v6: bool, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + payload.len());
    packet.extend([if is_v6 { 128 } else { 8 }, 0, 0, 0]);
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(payload);
    if !is_v6 {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

/// RFC 1071, over a packet whose own checksum is 0.
fn checksum(packet: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in packet.chunks(2) {
        let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What is behind the IPv4 header with which raw sockets begin.
pub fn behind_header(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |first| usize::from(first & 0xf));
    packet.get(words.max(5) * 4..).unwrap_or_default()
}

/// Whether this is the answer to an echo request: its type, its sequence number and every byte of its payload,
/// and its identifier where the kernel has not looked at that itself.
pub fn is_reply(packet: &[u8], is_v6: bool, id: Option<u16>, sequence: u16, payload: &[u8]) -> bool {
    let (Some(header), Some(own)) = (packet.get(..HEADER), packet.get(HEADER..)) else { return false };
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    header[0] == (if is_v6 { 129 } else { 0 })
        && header[1] == 0
        && id.is_none_or(|id| id == number(4))
        && number(6) == sequence
        && own == payload
}

/// Whether an echo request of ours, as it comes back in an error, has this sequence number.
pub fn is_request(packet: &[u8], is_v6: bool, id: Option<u16>, sequence: u16) -> bool {
    let Some(header) = packet.get(..HEADER) else { return false };
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    header[0] == (if is_v6 { 128 } else { 8 }) && id.is_none_or(|id| id == number(4)) && number(6) == sequence
}

/// The error that a packet of ours met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Type and code of an ICMP message; `None` when it is the kernel's own.
    pub icmp: Option<(u8, u8)>,
    /// Who sent that message.
    pub from: Option<IpAddr>,
    /// What it means to the kernel.
    pub errno: Errno,
}

impl Trouble {
    /// A router has let it go, its time was up.
    pub fn is_exceeded(&self, is_v6: bool) -> bool {
        self.icmp == Some((if is_v6 { 3 } else { 11 }, 0))
    }

    /// Nobody takes datagrams at that port: the host itself was reached.
    pub fn is_port(&self, is_v6: bool) -> bool {
        self.icmp == Some(if is_v6 { (1, 4) } else { (3, 3) })
    }

    /// There is no way to the network or to the host (not: somebody forbids it).
    pub fn is_no_route(&self, is_v6: bool) -> bool {
        match self.icmp {
            Some((1, code)) if is_v6 => matches!(code, 0 | 2 | 3),
            Some((3, code)) if !is_v6 => matches!(code, 0 | 1 | 5..=8 | 11 | 12),
            _ => false,
        }
    }

    /// Too large for a link on the way: the kernel now knows, and the same packet goes in pieces.
    pub fn is_too_large(&self) -> bool {
        self.errno == Errno::EMSGSIZE
    }
}

/// Something that came.
pub struct Came {
    /// Bytes of it in the buffer; never more than that holds.
    pub length: usize,
    /// When, by the clock that Instants are of.
    pub at: Instant,
    /// `None` for a packet, else what befell ours, the beginning of which is in the buffer.
    pub trouble: Option<Trouble>,
}

/// Has the kernel say when packets come, and which errors ours meet.
///
/// # Errors
/// The kernel's word.
pub fn prepare(socket: &impl AsFd, is_v6: bool) -> io::Result<()> {
    // Without it the time is that of our own reading.
    let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    match is_v6 {
        true => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
        false => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
    }
    Ok(())
}

/// The next thing that came, errors first; `None` when nothing has. `since` is when our packet went out.
///
/// # Errors
/// The kernel's word for what befell the socket itself.
pub fn next(socket: &impl AsFd, buffer: &mut [u8], since: Instant) -> io::Result<Option<Came>> {
    for flags in [MsgFlags::MSG_ERRQUEUE, MsgFlags::empty()] {
        match receive(socket, buffer, flags | MsgFlags::MSG_DONTWAIT, since) {
            Ok(came) => return Ok(Some(came)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn receive(socket: &impl AsFd, buffer: &mut [u8], flags: MsgFlags, since: Instant) -> Result<Came, Errno> {
    let mut control = vec![0; CONTROL];
    let mut pieces = [IoSliceMut::new(buffer)];
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut pieces, Some(&mut control), flags)?;
    let (now, wall) = (Instant::now(), SystemTime::now());
    let (mut at, mut trouble) = (now, None);
    let mut heard = |kind: u8, code: u8, origin: u8, errno: u32, from: Option<IpAddr>| {
        let icmp = FROM_ICMP.contains(&origin).then_some((kind, code));
        trouble = Some(Trouble { icmp, from, errno: Errno::from_raw(errno as i32) });
    };
    for part in message.cmsgs().into_iter().flatten() {
        match part {
            ControlMessageOwned::ScmTimestampns(stamp) => at = moment(stamp, wall, now, since),
            ControlMessageOwned::Ipv4RecvErr(e, from) => {
                let from = from.map(|a| IpAddr::V4(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr))));
                heard(e.ee_type, e.ee_code, e.ee_origin, e.ee_errno, from);
            }
            ControlMessageOwned::Ipv6RecvErr(e, from) => {
                let from = from.map(|a| IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr)));
                heard(e.ee_type, e.ee_code, e.ee_origin, e.ee_errno, from);
            }
            _ => {}
        }
    }
    Ok(Came { length: message.bytes, at, trouble })
}

/// The kernel's stamp is of the wall clock, which may be set while we measure. All that is taken from it is how
/// long the packet has lain there, and only if that fits between `since` and `now`: a step in this short time
/// costs the time until we looked, and nothing else.
fn moment(stamp: TimeSpec, wall: SystemTime, now: Instant, since: Instant) -> Instant {
    let whole =
        Duration::new(stamp.tv_sec().try_into().unwrap_or(0), stamp.tv_nsec().try_into().unwrap_or(0));
    let lain = UNIX_EPOCH.checked_add(whole).and_then(|stamp| wall.duration_since(stamp).ok());
    match lain {
        Some(lain) if lain <= now.saturating_duration_since(since) => now.checked_sub(lain).unwrap_or(now),
        _ => now,
    }
}

/// How a test ends for which there is no socket toward any address of the host.
pub fn no_socket(error: &io::Error) -> Report {
    let state = match error.raw_os_error().map(Errno::from_raw) {
        _ if is_no_route(error) => "Error_NoRouteToHost",
        // A version that this kernel has not.
        Some(Errno::EAFNOSUPPORT) => "Error_NoRouteToHost",
        Some(Errno::EACCES | Errno::EPERM | Errno::EINVAL) => "Error_Other",
        _ => "Error_Internal",
    };
    Report::error(state, format!("no socket toward the host: {error}"))
}

/// Microseconds as milliseconds, to the nearest.
pub fn millis(micros: u64) -> u64 {
    micros.saturating_add(500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_its_answer() {
        let sent = request(false, 0x1234, 7, b"abc");
        assert_eq!(sent[..2], [8, 0]);
        // A packet whose checksum is right sums up to nothing.
        assert_eq!(checksum(&sent), 0);
        assert_eq!(request(true, 0x1234, 7, b"abc")[..4], [128, 0, 0, 0]);
        let reply = |kind: u8, id: u16, sequence: u16, payload: &[u8]| {
            let mut packet = request(false, id, sequence, payload);
            packet[0] = kind;
            packet
        };
        for (packet, is_v6, own) in [
            (reply(0, 0x1234, 7, b"abc"), false, true),
            (reply(129, 0x1234, 7, b"abc"), true, true),
            (reply(129, 0x1234, 7, b"abc"), false, false),
            (reply(8, 0x1234, 7, b"abc"), false, false),
            (reply(0, 0x1235, 7, b"abc"), false, false),
            (reply(0, 0x1234, 6, b"abc"), false, false),
            (reply(0, 0x1234, 7, b"abd"), false, false),
            (reply(0, 0x1234, 7, b"ab"), false, false),
            (reply(0, 0x1234, 7, b"abcd"), false, false),
            (vec![0; 7], false, false),
            (Vec::new(), true, false),
        ] {
            assert_eq!(is_reply(&packet, is_v6, Some(0x1234), 7, b"abc"), own, "{packet:?} {is_v6}");
        }
        assert!(is_reply(&reply(0, 1, 7, b"abc"), false, None, 7, b"abc"), "the kernel has looked");
        assert!(is_request(&sent, false, Some(0x1234), 7) && is_request(&sent[..HEADER], false, None, 7));
        assert!(!is_request(&sent, false, Some(1), 7) && !is_request(&sent, true, None, 7));
        assert!(!is_request(&sent, false, None, 8) && !is_request(&sent[..5], false, None, 7));
    }

    #[test]
    fn what_is_behind_a_header_of_ipv4() {
        let packet: Vec<u8> = (0..40).map(|n| if n == 0 { 0x45 } else { n }).collect();
        assert_eq!(behind_header(&packet)[0], 20);
        let options: Vec<u8> = (0..40).map(|n| if n == 0 { 0x46 } else { n }).collect();
        assert_eq!(behind_header(&options)[0], 24);
        for short in [&[][..], &[0x45], &[0x4f; 40], &[0x40; 19]] {
            assert_eq!(behind_header(short), [0u8; 0], "{short:?}");
        }
    }

    #[test]
    fn errors_by_their_meaning() {
        let trouble =
            |kind, code| Trouble { icmp: Some((kind, code)), from: None, errno: Errno::EHOSTUNREACH };
        for (is_v6, icmp, exceeded, port, no_route) in [
            (false, (11, 0), true, false, false),
            (false, (3, 3), false, true, false),
            (false, (3, 0), false, false, true),
            (false, (3, 1), false, false, true),
            (false, (3, 13), false, false, false),
            (false, (1, 0), false, false, false),
            (true, (3, 0), true, false, false),
            (true, (1, 4), false, true, false),
            (true, (1, 0), false, false, true),
            (true, (1, 3), false, false, true),
            (true, (1, 1), false, false, false),
            (true, (11, 0), false, false, false),
        ] {
            let one = trouble(icmp.0, icmp.1);
            let found = (one.is_exceeded(is_v6), one.is_port(is_v6), one.is_no_route(is_v6));
            assert_eq!(found, (exceeded, port, no_route), "{is_v6} {icmp:?}");
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_costs_nothing_but_the_wait() {
        let since = Instant::now();
        let now = since + Duration::from_millis(50);
        let wall = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let stamped =
            |seconds: i64, nanos: i64| moment(TimeSpec::new(seconds as _, nanos as _), wall, now, since);
        assert_eq!(stamped(999_999, 990_000_000), now - Duration::from_millis(10));
        assert_eq!(stamped(999_999, 960_000_000), now - Duration::from_millis(40));
        assert_eq!(stamped(999_999, 0), now, "a second ago: before it was sent");
        assert_eq!(stamped(1_000_010, 0), now, "from the time to come");
        assert_eq!(stamped(-5, -5), now);
    }

    #[test]
    fn milliseconds_to_the_nearest() {
        let all = [(0, 0), (499, 0), (500, 1), (1499, 1), (1500, 2), (u64::MAX, u64::MAX / 1000)];
        all.into_iter().for_each(|(micros, expected)| assert_eq!(millis(micros), expected, "{micros}"));
    }
}
