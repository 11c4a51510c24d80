//! IPPing.

use super::net::{
    Bed, DEVICE, DEVICE6, FAR, FAR6, HOPS, NOBODY, NOBODY6, Results, UNREACHABLE, UNREACHABLE6, in_namespaces,
};
use super::trace::TRACE;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, setsockopt, socket,
    sockopt,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;

pub const PING: &str = "Device.IP.Diagnostics.IPPing.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (PING, "None"),
    (PING, "Requested"),
    (PING, "Complete"),
    (PING, "Error_CannotResolveHostName"),
    (PING, "Error_NoRouteToHost"),
    (PING, "Error_Internal"),
    (PING, "Error_Other"),
];

/// Successes, failures; and the times fit together.
#[track_caller]
fn counts(results: &Results) -> (u64, u64) {
    let (won, lost) = (results.number("SuccessCount"), results.number("FailureCount"));
    let micros =
        ["Minimum", "Average", "Maximum"].map(|w| results.number(&format!("{w}ResponseTimeDetailed")));
    let millis = ["Minimum", "Average", "Maximum"].map(|w| results.number(&format!("{w}ResponseTime")));
    assert!(micros.is_sorted() && millis.is_sorted(), "{micros:?} {millis:?}");
    assert_eq!(micros.map(|m| (m + 500) / 1000), millis);
    assert_eq!(won == 0, micros[2] == 0, "DG-12: {micros:?} of {won}");
    (won, lost)
}

// Proves: DG-12, DG-13
#[test]
fn complete_by_both_kinds_of_sockets() {
    in_namespaces("ping::complete_by_both_kinds_of_sockets", |bed| {
        // Nobody's group, then everybody's: a raw socket, then one for ping.
        for range in ["1 0", "0 2147483647"] {
            bed.sysctl("device", "ipv4/ping_group_range", range);
            for (host, version, size, local) in [
                (FAR, "Any", "56", DEVICE),
                (FAR6, "IPv6", "1", DEVICE6),
                (FAR, "IPv4", "65507", DEVICE),
                (FAR6, "Any", "4000", DEVICE6),
            ] {
                let arguments = [
                    ("Host", host),
                    ("ProtocolVersion", version),
                    ("DataBlockSize", size),
                    ("NumberOfRepetitions", "3"),
                    ("Timeout", "10000"),
                ];
                let results = bed.ask(PING, &arguments);
                assert_eq!(results.state(), "Complete", "{host} {size} {range}");
                assert_eq!(counts(&results), (3, 0), "{host} {size} {range}");
                let used: std::net::IpAddr = results.text("IPAddressUsed").parse().expect("an address");
                assert_eq!(used, local.parse::<std::net::IpAddr>().expect("an address"));
            }
        }
    });
}

// Proves: DG-12, DG-13
#[test]
fn nobody_answers() {
    in_namespaces("ping::nobody_answers", |bed| {
        for host in [NOBODY, NOBODY6] {
            let arguments = [("Host", host), ("NumberOfRepetitions", "4"), ("Timeout", "30")];
            let results = bed.ask(PING, &arguments);
            assert_eq!((results.state(), counts(&results)), ("Complete", (0, 4)), "{host}");
        }
    });
}

// Proves: DG-2, DG-13
#[test]
fn no_way_to_the_host() {
    in_namespaces("ping::no_way_to_the_host", |bed| {
        bed.ip("device", "route add unreachable 203.0.113.0/24\n-6 route add unreachable 2001:db8::/32\n");
        for range in ["1 0", "0 2147483647"] {
            bed.sysctl("device", "ipv4/ping_group_range", range);
            for host in ["203.0.113.1", "2001:db8::1"] {
                let results = bed.ask(PING, &[("Host", host)]);
                assert_eq!(results.state(), "Error_NoRouteToHost", "{host}");
            }
            // What a router says of it ends the wait at once: no minute for each is waited for. It says so five
            // times and then once a second (the kernel's `error_burst`, for all namespaces the same).
            for host in [UNREACHABLE, UNREACHABLE6] {
                let arguments = [("Host", host), ("NumberOfRepetitions", "2"), ("Timeout", "60000")];
                let results = bed.ask(PING, &arguments);
                assert_eq!((results.state(), counts(&results)), ("Error_NoRouteToHost", (0, 2)), "{host}");
            }
        }
    });
}

// Proves: DG-2, DG-13
#[test]
fn hosts_that_are_none() {
    in_namespaces("ping::hosts_that_are_none", |bed| {
        for host in ["", "-f", ";id", "$(id)", "`id`", "a b", "10.92.2.2;id", "nobody.example"] {
            let results = bed.ask(PING, &[("Host", host)]);
            assert_eq!(results.state(), "Error_CannotResolveHostName", "{host}");
            assert_eq!(counts(&results), (0, 0), "{host}");
        }
        let results = bed.ask(PING, &[("Host", FAR), ("ProtocolVersion", "IPv6")]);
        assert_eq!(results.state(), "Error_CannotResolveHostName");
    });
}

// Proves: DG-2, DG-13
#[test]
fn what_cannot_be_sent() {
    in_namespaces("ping::what_cannot_be_sent", |bed| {
        let results = bed.ask(PING, &[("Host", "10.92.0.255")]);
        assert_eq!(results.state(), "Error_Other", "a broadcast");
        bed.ip("device", "route add prohibit 203.0.113.0/24\n");
        let results = bed.ask(PING, &[("Host", "203.0.113.1")]);
        assert_eq!(results.state(), "Error_Other", "forbidden");
    });
}

/// The device itself has no room for a test.
// Proves: DG-2, DG-13
#[test]
fn no_descriptors_left() {
    in_namespaces("ping::no_descriptors_left", |bed| {
        for object in [PING, TRACE] {
            let mut session = bed.kicked();
            let arguments = [("Host", FAR), ("DiagnosticsState", "Requested")];
            assert_eq!(bed.set(&mut session, object, &arguments), Ok(0));
            let limit = |most: &str| {
                let pid = bed.daemon().pid().to_string();
                bed.at("device", &["prlimit", "--pid", &pid, &format!("--nofile={most}:1024")]);
            };
            limit("3");
            session.end();
            let said = format!("{object}: Error_Internal");
            bed.daemon().wait_for("its end", || bed.daemon().log().contains(&said));
            limit("1024");
            let mut told = bed.told();
            assert_eq!(bed.read(&mut told, object).state(), "Error_Internal");
            told.end();
        }
    });
}

// Proves: DG-18
#[test]
fn its_interface() {
    in_namespaces("ping::its_interface", |bed| {
        let wan1 = bed.interface("wan1");
        let before = bed.counter("device", "wan1", "tx_packets");
        let arguments =
            [("Host", FAR), ("Interface", &wan1), ("NumberOfRepetitions", "30"), ("Timeout", "10000")];
        let results = bed.ask(PING, &arguments);
        assert_eq!((results.state(), counts(&results)), ("Complete", (30, 0)));
        assert_eq!(results.text("IPAddressUsed"), "10.92.8.2");
        assert!(bed.counter("device", "wan1", "tx_packets") >= before + 30);
        // A row whose device has gone: never another way while the parameter still names it.
        bed.ip("device", "link add gone0 type veth peer name gone1\n");
        let gone = bed.interface("gone0");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, PING, &[("Interface", &gone)]), Ok(0));
        session.end();
        bed.ip("device", "link del gone0\n");
        let results = bed.ask(PING, &[("NumberOfRepetitions", "1")]);
        let found = (results.text("Interface"), results.state(), results.text("IPAddressUsed"));
        let expected =
            if found.0.is_empty() { ("", "Complete", DEVICE) } else { (&gone[..], "Error_Internal", "") };
        assert_eq!(found, expected);
    });
}

/// Sockets for ping where the kernel allows them, raw ones where it does not.
#[test]
fn which_sockets() {
    in_namespaces("ping::which_sockets", |bed| {
        for (range, table) in [("0 2147483647", "icmp"), ("1 0", "raw")] {
            bed.sysctl("device", "ipv4/ping_group_range", range);
            bed.request(PING, &[("Host", NOBODY), ("Timeout", "60000")]);
            let lines = |name: &str| bed.at("device", &["cat", &format!("/proc/net/{name}")]).lines().count();
            bed.daemon().wait_for("its socket", || lines(table) == 2);
            assert_eq!(lines("icmp") + lines("raw"), 3, "and no other");
        }
    });
}

/// A raw socket of the far host, whose kernel answers no pings meanwhile.
fn answering(bed: &Bed) -> OwnedFd {
    bed.sysctl("far", "ipv4/icmp_echo_ignore_all", "1");
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp);
    let raw = raw.expect("a raw socket");
    let patience = nix::sys::time::TimeVal::new(30, 0);
    setsockopt(&raw, sockopt::ReceiveTimeout, &patience).expect("a deadline");
    raw
}

/// The next echo request: the class of its IP header, and ICMP's bytes.
fn heard(raw: &OwnedFd) -> (u8, Vec<u8>) {
    loop {
        let mut buffer = [0; 2048];
        let length =
            nix::sys::socket::recv(raw.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("a packet");
        if buffer[20] == 8 {
            return (buffer[1], buffer[20..length].to_vec());
        }
    }
}

fn answer(raw: &OwnedFd, mut packet: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) {
    packet[0] = 0;
    change(&mut packet);
    packet[2..4].fill(0);
    let mut sum: u32 =
        packet.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let device =
        SockaddrIn::from(format!("{DEVICE}:0").parse::<std::net::SocketAddrV4>().expect("an address"));
    sendto(raw.as_raw_fd(), &packet, &device, MsgFlags::empty()).expect("sent");
}

/// A host that answers twice, late, with others' numbers, and with another payload.
// Proves: DG-12
#[test]
fn answers_that_do_not_count() {
    in_namespaces("ping::answers_that_do_not_count", |bed| {
        for range in ["1 0", "0 2147483647"] {
            bed.sysctl("device", "ipv4/ping_group_range", range);
            let raw = answering(bed);
            let host: JoinHandle<Vec<u8>> = std::thread::spawn(move || {
                let mut all: Vec<(u8, Vec<u8>)> = Vec::new();
                for number in 1..=6 {
                    let (class, packet) = heard(&raw);
                    match number {
                        // Twice; the second one is there when the next packet waits.
                        1 => (0..2).for_each(|_| answer(&raw, packet.clone(), |_| {})),
                        2 => answer(&raw, packet.clone(), |p| *p.last_mut().expect("a byte") ^= 1),
                        // That of the one before comes too late, with all its own numbers.
                        3 => answer(&raw, all[1].1.clone(), |_| {}),
                        4 => answer(&raw, packet.clone(), |p| p.truncate(p.len() - 1)),
                        5 => answer(&raw, packet.clone(), |p| p[4] ^= 0x55),
                        _ => answer(&raw, packet.clone(), |_| {}),
                    }
                    all.push((class, packet));
                }
                all.into_iter().map(|(class, _)| class).collect()
            });
            // All but the second to fifth are answered at once.
            let arguments =
                [("Host", FAR), ("NumberOfRepetitions", "6"), ("Timeout", "1500"), ("DSCP", "46")];
            let results = bed.ask(PING, &arguments);
            assert_eq!((results.state(), counts(&results)), ("Complete", (2, 4)), "{range}");
            let classes = host.join().expect("the host");
            assert_eq!(classes, [46 << 2; 6], "DSCP");
        }
    });
}

/// Somebody else's answer.
#[test]
fn answers_of_others_do_not_count() {
    in_namespaces("ping::answers_of_others_do_not_count", |bed| {
        let raw = answering(bed);
        bed.ip("far", "addr add 10.92.2.3/24 dev far0\n");
        let host = std::thread::spawn(move || {
            let (_, packet) = heard(&raw);
            let other =
                SockaddrIn::from("10.92.2.3:0".parse::<std::net::SocketAddrV4>().expect("an address"));
            nix::sys::socket::bind(raw.as_raw_fd(), &other).expect("another address");
            answer(&raw, packet, |_| {});
        });
        let results = bed.ask(PING, &[("Host", FAR), ("NumberOfRepetitions", "1"), ("Timeout", "700")]);
        assert_eq!((results.state(), counts(&results)), ("Complete", (0, 1)));
        host.join().expect("the host");
        // The routers still answer, of course.
        let results = bed.ask(PING, &[("Host", HOPS[1]), ("Timeout", "10000")]);
        assert_eq!((results.state(), counts(&results)), ("Complete", (1, 0)));
    });
}
