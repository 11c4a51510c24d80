//! TraceRoute.

use super::net::{
    DEVICE, DEVICE6, FAR, FAR6, HOPS, HOPS6, NOBODY, Results, UNREACHABLE, UNREACHABLE6, in_namespaces,
};
use std::net::UdpSocket;

pub const TRACE: &str = "Device.IP.Diagnostics.TraceRoute.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (TRACE, "None"),
    (TRACE, "Requested"),
    (TRACE, "Complete"),
    (TRACE, "Error_CannotResolveHostName"),
    (TRACE, "Error_NoRouteToHost"),
    (TRACE, "Error_MaxHopCountExceeded"),
    (TRACE, "Error_Internal"),
    (TRACE, "Error_Other"),
];

fn hops(results: &Results) -> Vec<&str> {
    let found = results.column("RouteHops", "HostAddress");
    assert_eq!(results.column("RouteHops", "Host"), found);
    assert_eq!(results.number("RouteHopsNumberOfEntries"), found.len() as u64);
    found
}

// Proves: DG-12, DG-13
#[test]
fn all_hops() {
    in_namespaces("trace::all_hops", |bed| {
        for (host, way, code, size, local) in [
            (FAR, HOPS, "3", "32", DEVICE),
            (FAR6, HOPS6, "4", "3000", DEVICE6),
            (FAR, HOPS, "3", "65507", DEVICE),
        ] {
            let arguments =
                [("Host", host), ("NumberOfTries", "2"), ("Timeout", "10000"), ("DataBlockSize", size)];
            let results = bed.ask(TRACE, &arguments);
            assert_eq!(results.state(), "Complete", "{host}");
            assert_eq!(hops(&results), way);
            assert_eq!(results.column("RouteHops", "ErrorCode"), ["0", "0", code]);
            let times = results.column("RouteHops", "RTTimes");
            let answered = |list: &&str| list.split(',').all(|t| t.parse::<u32>().is_ok_and(|t| t > 0));
            assert!(times.iter().all(|list| list.split(',').count() == 2 && answered(list)), "{times:?}");
            assert!(results.number("ResponseTime") > 0);
            let used: std::net::IpAddr = results.text("IPAddressUsed").parse().expect("an address");
            assert_eq!(used, local.parse::<std::net::IpAddr>().expect("an address"));
        }
        // Somebody listens at the port, and answers.
        let open = UdpSocket::bind((FAR, 33434 + 2)).expect("a port");
        let host = std::thread::spawn(move || {
            let (length, from) = open.recv_from(&mut [0; 64]).expect("a datagram");
            open.send_to(b"here", from).expect("sent");
            length
        });
        let results = bed.ask(TRACE, &[("NumberOfTries", "1"), ("DataBlockSize", "20")]);
        assert_eq!((results.state(), hops(&results)), ("Complete", HOPS.to_vec()));
        assert_eq!(results.column("RouteHops", "ErrorCode"), ["0", "0", "0"]);
        assert_eq!(host.join().expect("the host"), 20);
    });
}

// Proves: DG-2, DG-12, DG-13
#[test]
fn too_many_hops() {
    in_namespaces("trace::too_many_hops", |bed| {
        let results = bed.ask(TRACE, &[("Host", FAR), ("MaxHopCount", "2"), ("Timeout", "10000")]);
        assert_eq!((results.state(), hops(&results)), ("Error_MaxHopCountExceeded", HOPS[..2].to_vec()));
        assert_eq!(results.number("ResponseTime"), 0);
        // Behind r1 nobody answers: r2 throws it away.
        let results = bed.ask(TRACE, &[("Host", NOBODY), ("MaxHopCount", "4"), ("Timeout", "40")]);
        assert_eq!(results.state(), "Error_MaxHopCountExceeded");
        let found = hops(&results);
        assert_eq!((found.len(), found[0], found[2], found[3]), (4, HOPS[0], "", ""));
        assert_eq!(results.column("RouteHops", "RTTimes")[3], "0,0,0");
        assert_eq!(results.number("ResponseTime"), 0);
    });
}

// Proves: DG-2, DG-13
#[test]
fn no_way_to_the_host() {
    in_namespaces("trace::no_way_to_the_host", |bed| {
        bed.ip("device", "route add unreachable 203.0.113.0/24\n-6 route add unreachable 2001:db8::/32\n");
        for host in ["203.0.113.1", "2001:db8::1"] {
            let results = bed.ask(TRACE, &[("Host", host)]);
            assert_eq!((results.state(), hops(&results).len()), ("Error_NoRouteToHost", 0), "{host}");
        }
        for (host, first) in [(UNREACHABLE, HOPS[0]), (UNREACHABLE6, HOPS6[0])] {
            let results = bed.ask(TRACE, &[("Host", host), ("Timeout", "60000"), ("NumberOfTries", "1")]);
            assert_eq!(results.state(), "Error_NoRouteToHost", "{host}");
            assert_eq!(hops(&results).last(), Some(&first), "{host}: who says so");
        }
    });
}

// Proves: DG-2, DG-13
#[test]
fn errors_of_hosts_and_arguments() {
    in_namespaces("trace::errors_of_hosts_and_arguments", |bed| {
        for host in ["", "-f", ";id", "$(id)", "nobody.example"] {
            let results = bed.ask(TRACE, &[("Host", host)]);
            assert_eq!((results.state(), hops(&results).len()), ("Error_CannotResolveHostName", 0), "{host}");
        }
        let results = bed.ask(TRACE, &[("Host", "10.92.0.255")]);
        assert_eq!(results.state(), "Error_Other", "a broadcast");
        // A router forbids it.
        bed.ip("r1", "route add prohibit 10.92.88.0/24\n");
        let results = bed.ask(TRACE, &[("Host", "10.92.88.1"), ("Timeout", "60000")]);
        assert_eq!((results.state(), hops(&results)), ("Error_Other", vec![HOPS[0]]));
        assert_eq!(results.column("RouteHops", "ErrorCode"), ["13"]);
    });
}

// Proves: DG-18
#[test]
fn its_interface() {
    in_namespaces("trace::its_interface", |bed| {
        let wan1 = bed.interface("wan1");
        let results = bed.ask(TRACE, &[("Host", FAR), ("Interface", &wan1), ("Timeout", "10000")]);
        assert_eq!(results.state(), "Complete");
        assert_eq!(hops(&results), ["10.92.8.1", HOPS[1], HOPS[2]]);
        assert_eq!(results.text("IPAddressUsed"), "10.92.8.2");
    });
}
