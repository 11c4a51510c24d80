//! Device.IP.Diagnostics.UDPEchoConfig at work: answers packets of UDP Echo and Echo Plus in a thread of its own,
//! which sleeps while nothing comes. It answers one address only (DG-11), nothing that was sent to many, with as
//! many octets as came, and no more often than a limit says: nobody can be flooded by way of it.

use super::echo::{self, Response};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage,
    setsockopt, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Packets that are taken in a window; those beyond wait, and are lost when the kernel has no room for them.
pub const MAX_PACKETS: u32 = 100;
/// How long a window is: 10,000 packets a second.
pub const WINDOW: Duration = Duration::from_millis(10);
/// Packets from ports below are not answered: services of the system stand there that would answer in turn,
/// for ever (echo, chargen, daytime, DNS, NTP).
pub const MIN_PORT: u16 = 1024;
/// The largest packet of UDP.
const MAX_PACKET: usize = 65_535;
/// What the standard counts with each packet beside its data.
const UDP_HEADER: u32 = 8;
/// The stack of the thread.
const STACK: usize = 64 * 1024;

/// What it is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Where it listens.
    pub port: u16,
    /// Whom it answers.
    pub source: IpAddr,
    /// The device whose packets it takes, with its number; `None`: of all.
    pub device: Option<(String, u32)>,
    /// Whether it fills in what Echo Plus knows.
    pub plus: bool,
}

impl Settings {
    /// Whom to answer, of a parameter's text: nobody when it is empty or no address of one host.
    pub fn source(text: &str) -> Option<IpAddr> {
        let address = text.parse::<IpAddr>().ok()?.to_canonical();
        let is_one = !address.is_unspecified() && !address.is_multicast();
        (is_one && address != IpAddr::V4(Ipv4Addr::BROADCAST)).then_some(address)
    }
}

/// What it has seen since it was enabled. Counters go round at 2^32, as their type does.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were to be answered.
    pub packets_received: u32,
    /// Packets that were.
    pub packets_responded: u32,
    /// With the headers of UDP.
    pub bytes_received: u32,
    /// With the headers of UDP.
    pub bytes_responded: u32,
    /// When the first one came.
    pub first: Option<SystemTime>,
    /// When the last one came.
    pub last: Option<SystemTime>,
    /// Packets that could not be answered.
    failures: u32,
}

/// The counters, shared between the thread and who shows them.
#[derive(Clone, Default, Debug)]
pub struct Tally(Arc<Mutex<Counters>>);

impl Tally {
    /// To read or to change.
    pub fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Tally) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tally {}

/// A responder that runs. Dropping it ends it, and gives its port back.
pub struct Responder {
    settings: Settings,
    wake: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Begins to listen.
    ///
    /// # Errors
    /// The port is taken, the device is gone, or there is no thread.
    pub fn start(settings: Settings, tally: Tally) -> io::Result<Responder> {
        let socket = open(&settings)?;
        let (waked, wake) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let own = settings.clone();
        let thread = std::thread::Builder::new()
            .name("udp echo".into())
            .stack_size(STACK)
            .spawn(move || serve(&socket, &waked, &own, &tally))?;
        Ok(Responder { settings, wake: Some(wake), thread: Some(thread) })
    }

    /// What it was begun with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.wake = None;
        // It waits for nothing else, so this is at once.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A socket of the source's family only, that tells where each packet was sent to.
fn open(settings: &Settings) -> io::Result<OwnedFd> {
    let (family, any): (_, IpAddr) = match settings.source {
        IpAddr::V4(_) => (AddressFamily::Inet, Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => (AddressFamily::Inet6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let fd = socket::socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    if any.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?;
    }
    if let Some((device, _)) = &settings.device {
        setsockopt(&fd, sockopt::BindToDevice, &device.into())?;
    }
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(any, settings.port)))?;
    Ok(fd)
}

/// Takes and answers until `wake` is closed.
fn serve(socket: &OwnedFd, wake: &OwnedFd, settings: &Settings, tally: &Tally) {
    let mut buffer = vec![0; MAX_PACKET];
    let (mut window, mut taken) = (Instant::now(), 0);
    loop {
        let is_full = taken >= MAX_PACKETS;
        let left = WINDOW.saturating_sub(window.elapsed());
        if left.is_zero() {
            (window, taken) = (Instant::now(), 0);
        } else if is_full {
            // Whatever comes, it waits.
            let millis = left.as_micros().div_ceil(1000) as u8;
            match poll(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], PollTimeout::from(millis)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                _ => return,
            }
        }
        match take(socket, settings, tally, &mut buffer) {
            Ok(()) => taken += 1,
            Err(Errno::EAGAIN) => {
                let fds = [(wake.as_fd()), (socket.as_fd())];
                let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) if fds[0].revents().is_some_and(|events| !events.is_empty()) => return,
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(_) => return,
                }
            }
            // An error that an answer brought back. It counts as a packet: there may be many of them.
            Err(_) => taken += 1,
        }
    }
}

/// Where a packet was sent to.
#[derive(Clone, Copy)]
enum Target {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Target {
    /// Whether that is an address of this device, and of nobody else.
    fn is_ours(&self) -> bool {
        match self {
            // The kernel tells the address of ours by which it came, too: of a broadcast it is another.
            Target::V4(info) => info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr,
            Target::V6(info) => !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast(),
        }
    }

    /// The same as the address that an answer leaves by.
    fn back(self) -> Target {
        match self {
            Target::V4(info) => Target::V4(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: info.ipi_addr,
                ipi_addr: libc::in_addr { s_addr: 0 },
            }),
            // Of what is known on a link only, the kernel wants to know the link.
            Target::V6(info) if Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() => self,
            Target::V6(info) => Target::V6(libc::in6_pktinfo { ipi6_ifindex: 0, ..info }),
        }
    }
}

/// Whether who sent a packet is answered.
fn is_answered(settings: &Settings, from: &SocketAddr) -> bool {
    from.ip() == settings.source && from.port() >= MIN_PORT && from.port() != settings.port
}

/// Takes one packet, and answers it where it is to be answered.
fn take(socket: &OwnedFd, settings: &Settings, tally: &Tally, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
    let (length, from, target) = {
        let mut pieces = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let got = socket::recvmsg::<SockaddrStorage>(fd, &mut pieces, Some(&mut control), flags)?;
        let target = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Target::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Target::V6(info)),
            _ => None,
        });
        (got.bytes, got.address, target)
    };
    let received = SystemTime::now();
    let (Some(address), Some(target)) = (from, target) else { return Ok(()) };
    let Some(data) = buffer.get_mut(..length) else { return Ok(()) };
    let is_wanted = peer(&address).is_some_and(|from| is_answered(settings, &from));
    if !is_wanted || !target.is_ours() {
        return Ok(());
    }
    let size = (length as u32).wrapping_add(UDP_HEADER);
    let mut counters = tally.lock();
    counters.packets_received = counters.packets_received.wrapping_add(1);
    counters.bytes_received = counters.bytes_received.wrapping_add(size);
    counters.first.get_or_insert(received);
    counters.last = Some(received);
    if settings.plus {
        let number = counters.packets_responded.wrapping_add(1);
        let (received, replied) = (echo::stamp(received), echo::stamp(SystemTime::now()));
        echo::answer(data, Response { number, received, replied, failures: counters.failures });
    }
    match send(socket, data, &address, target.back()) {
        Ok(_) => {
            counters.packets_responded = counters.packets_responded.wrapping_add(1);
            counters.bytes_responded = counters.bytes_responded.wrapping_add(size);
        }
        Err(_) => counters.failures = counters.failures.wrapping_add(1),
    }
    Ok(())
}

fn send(socket: &OwnedFd, data: &[u8], to: &SockaddrStorage, by: Target) -> Result<usize, Errno> {
    let control = match &by {
        Target::V4(info) => ControlMessage::Ipv4PacketInfo(info),
        Target::V6(info) => ControlMessage::Ipv6PacketInfo(info),
    };
    let (fd, pieces) = (socket.as_raw_fd(), [IoSlice::new(data)]);
    socket::sendmsg(fd, &pieces, &[control], MsgFlags::MSG_DONTWAIT, Some(to))
}

fn peer(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|a| SocketAddr::new(a.ip().into(), a.port()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::new(a.ip().into(), a.port())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    const SOON: Duration = Duration::from_secs(20);

    fn free_port() -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.local_addr().expect("an address").port()
    }

    fn settings(source: &str, plus: bool) -> Settings {
        Settings { port: free_port(), source: source.parse().expect("an address"), device: None, plus }
    }

    fn client(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).expect("a socket");
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
        socket
    }

    fn ask(client: &UdpSocket, port: u16, data: &[u8]) -> Vec<u8> {
        let to = SocketAddr::new(client.local_addr().expect("an address").ip(), port);
        client.send_to(data, to).expect("sent");
        let mut buffer = vec![0; MAX_PACKET];
        let (length, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, to);
        buffer.truncate(length);
        buffer
    }

    // Proves: DG-11
    #[test]
    fn whom_it_answers_dg_11() {
        for (text, source) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("", None),
            ("0.0.0.0", None),
            ("::", None),
            ("255.255.255.255", None),
            ("224.0.0.1", None),
            ("ff02::1", None),
        ] {
            assert_eq!(Settings::source(text), source.map(|s| s.parse().expect("an address")), "{text}");
        }
        let settings = Settings { port: 5000, ..settings("192.0.2.1", false) };
        for (from, fits) in [
            ("192.0.2.1:1024", true),
            ("192.0.2.1:65535", true),
            ("192.0.2.2:1024", false),
            ("[2001:db8::1]:1024", false),
            ("192.0.2.1:7", false),
            ("192.0.2.1:19", false),
            ("192.0.2.1:1023", false),
            ("192.0.2.1:5000", false),
        ] {
            assert_eq!(is_answered(&settings, &from.parse().expect("an address")), fits, "{from}");
        }
    }

    #[test]
    fn only_what_was_sent_to_one() {
        let v4 = |to: [u8; 4], by: [u8; 4]| {
            let address = |octets| libc::in_addr { s_addr: u32::from_ne_bytes(octets) };
            Target::V4(libc::in_pktinfo { ipi_ifindex: 1, ipi_spec_dst: address(by), ipi_addr: address(to) })
        };
        assert!(v4([192, 0, 2, 1], [192, 0, 2, 1]).is_ours());
        assert!(!v4([192, 0, 2, 255], [192, 0, 2, 1]).is_ours());
        assert!(!v4([255, 255, 255, 255], [192, 0, 2, 1]).is_ours());
        assert!(!v4([224, 0, 0, 1], [192, 0, 2, 1]).is_ours());
        let v6 = |to: &str| {
            let s6_addr = to.parse::<Ipv6Addr>().expect("an address").octets();
            Target::V6(libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr }, ipi6_ifindex: 3 })
        };
        assert!(v6("2001:db8::1").is_ours() && !v6("ff02::1").is_ours());
        let link = |target: Target| match target.back() {
            Target::V6(info) => info.ipi6_ifindex,
            Target::V4(_) => 99,
        };
        assert_eq!((link(v6("2001:db8::1")), link(v6("fe80::1"))), (0, 3));
    }

    // Proves: DG-11
    #[test]
    fn echo_and_echo_plus_dg_11() {
        for address in ["127.0.0.1", "::1"] {
            let (tally, client) = (Tally::default(), client(address));
            let plain = Responder::start(settings(address, false), tally.clone()).expect("it starts");
            for data in [&b""[..], b"x", &[7; 24], &[8; 9000]] {
                assert_eq!(ask(&client, plain.settings().port, data), data);
            }
            let seen = tally.lock().clone();
            assert_eq!((seen.packets_received, seen.packets_responded), (4, 4));
            assert_eq!((seen.bytes_received, seen.bytes_responded), (9025 + 32, 9025 + 32));
            assert!(seen.first.is_some() && seen.first <= seen.last);
            assert!(plain.is_alive());
            let again = Settings { plus: true, ..plain.settings().clone() };
            let taken = Responder::start(again.clone(), tally.clone());
            assert!(taken.is_err(), "the port is taken");
            drop(plain);
            let plus = Responder::start(again, tally.clone()).expect("the port is free again");
            let sent = echo::request(24, 5, 1);
            let said = echo::response(&sent, &ask(&client, plus.settings().port, &sent)).expect("its answer");
            assert_eq!((said.number, said.failures), (5, 0));
            assert!(said.replied.wrapping_sub(said.received) < 60_000_000);
            assert_eq!(ask(&client, plus.settings().port, &[9; 19]), [9; 19], "too small for Echo Plus");
        }
    }

    #[test]
    fn a_stranger_is_not_answered() {
        let tally = Tally::default();
        let responder = Responder::start(settings("127.0.0.2", true), tally.clone()).expect("it starts");
        let (stranger, friend) = (client("127.0.0.1"), client("127.0.0.2"));
        let to = |address: [u8; 4]| SocketAddr::from((address, responder.settings().port));
        for _ in 0..100 {
            stranger.send_to(b"hello", to([127, 0, 0, 1])).expect("sent");
        }
        // What comes later is answered when what came before was seen.
        assert_eq!(ask(&friend, responder.settings().port, b"mine"), b"mine");
        assert_eq!(tally.lock().packets_received, 1);
        stranger.set_nonblocking(true).expect("it can");
        assert!(stranger.recv(&mut [0; 8]).is_err());
    }

    #[test]
    fn what_is_for_everybody_is_not_answered() {
        let tally = Tally::default();
        let responder = Responder::start(settings("127.0.0.1", true), tally.clone()).expect("it starts");
        let client = client("127.0.0.1");
        client.set_broadcast(true).expect("it can");
        let port = responder.settings().port;
        for _ in 0..10 {
            client.send_to(b"all of you", ("127.255.255.255", port)).expect("sent");
        }
        assert_eq!(ask(&client, port, b"you"), b"you");
        assert_eq!(tally.lock().packets_received, 1);
    }

    #[test]
    fn a_flood_costs_no_more_than_the_limit() {
        let tally = Tally::default();
        let responder = Responder::start(settings("127.0.0.1", false), tally.clone()).expect("it starts");
        let flood = client("127.0.0.1");
        let to = SocketAddr::from(([127, 0, 0, 1], responder.settings().port));
        let began = Instant::now();
        while began.elapsed() < WINDOW * 20 {
            let _ = flood.send_to(&[0; 100], to); // what there is no room for is lost
        }
        let seen = tally.lock().packets_received;
        // Windows are never shorter than they are; one has begun, and one may have been begun before.
        let windows = began.elapsed().as_micros() / WINDOW.as_micros() + 2;
        assert!(u128::from(seen) <= windows * u128::from(MAX_PACKETS), "{seen} in {windows} windows");
        assert!(seen > 0);
        drop(responder);
        let mut buffer = [0; 200];
        assert!(flood.recv(&mut buffer).is_ok());
    }
}
