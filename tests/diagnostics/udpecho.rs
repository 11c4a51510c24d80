//! UDP Echo: the client against a server of the test's own, the responder against a client.

use crate::net::{Bed, DEVICE, DEVICE6, FAR, FAR6, NOBODY, SOON, in_namespaces};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (OBJECT, "None"),
    (OBJECT, "Requested"),
    (OBJECT, "Complete"),
    (OBJECT, "Error_CannotResolveHostName"),
    (OBJECT, "Error_Internal"),
    (OBJECT, "Error_Other"),
    (SELECT, "None"),
    (SELECT, "Requested"),
    (SELECT, "Complete"),
    (SELECT, "Error_CannotResolveHostName"),
    (SELECT, "Error_Internal"),
    (SELECT, "Error_Other"),
];

const OBJECT: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
const CONFIG: &str = "Device.IP.Diagnostics.UDPEchoConfig.";
const SELECT: &str = "Device.IP.Diagnostics.ServerSelectionDiagnostics.";
/// Another address of the far host.
const OTHER: &str = "10.92.2.3";

/// A server that answers what `change` makes of a packet, of which it knows how many came before it. How many came.
fn serve(
    address: &str,
    port: u16,
    change: impl Fn(u32, &mut Vec<u8>) -> bool + Send + 'static,
) -> Arc<AtomicU32> {
    let address: IpAddr = address.parse().expect("an address");
    let socket = UdpSocket::bind((address, port)).expect("a port");
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut data = buffer[..length].to_vec();
            if change(counted.fetch_add(1, Ordering::Relaxed), &mut data) {
                let _ = socket.send_to(&data, from);
            }
        }
    });
    count
}

fn put(data: &mut [u8], at: usize, number: u32) {
    data[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

/// An interface that has gone since it was set.
fn vanished(bed: &Bed, object: &str) {
    bed.ip("device", "link add gone0 type veth peer name gone1\nlink set gone0 up");
    let interface = bed.interface("gone0");
    let mut session = bed.kicked();
    assert_eq!(bed.set(&mut session, object, &[("Interface", &interface)]), Ok(0));
    session.end();
    bed.ip("device", "link del gone0");
}

// Proves: DG-12, DG-13, DG-17
#[test]
fn complete() {
    in_namespaces("udpecho::complete", |bed| {
        // Every third is lost.
        let count = serve(FAR, 7, |n, data| {
            if data.len() >= 20 {
                put(data, 4, n + 100);
                put(data, 8, 5_000_000 + n);
                put(data, 12, 6_000_000 + n);
                put(data, 16, 9);
            }
            n % 3 != 2
        });
        let all = [
            ("Host", FAR),
            ("NumberOfRepetitions", "9"),
            ("InterTransmissionTime", "10"),
            ("Timeout", "500"),
            ("EnableIndividualPacketResults", "true"),
        ];
        let results = bed.ask(OBJECT, &all);
        assert_eq!(results.state(), "Complete");
        assert_eq!((results.number("SuccessCount"), results.number("FailureCount")), (6, 3));
        assert_eq!(count.load(Ordering::Relaxed), 9);
        assert_eq!(results.text("IPAddressUsed"), DEVICE);
        let [least, mean, most] = ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"]
            .map(|name| results.number(name));
        assert!(0 < least && least <= mean && mean <= most && most <= 500_000, "{least} {mean} {most}");
        let column = |name: &str| results.column("IndividualPacketResult", name);
        assert_eq!(results.number("IndividualPacketResultNumberOfEntries"), 9);
        let came = |n: usize| n % 3 != 2;
        assert_eq!(
            column("PacketSuccess"),
            (0..9).map(|n| if came(n) { "true" } else { "false" }).collect::<Vec<_>>()
        );
        let numbers: Vec<u32> = column("TestGenSN").iter().map(|n| n.parse().expect("a number")).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
        let times = column("PacketSendTime");
        assert!(
            times.is_sorted() && times.iter().all(|time| time.len() == 27 && time.ends_with('Z')),
            "DG-8: {times:?}"
        );
        for (n, received) in column("PacketReceiveTime").iter().enumerate() {
            let cell = |name: &str| column(name)[n].parse::<u32>().expect("a number");
            let said =
                ["TestRespSN", "TestRespRcvTimeStamp", "TestRespReplyTimeStamp", "TestRespReplyFailureCount"]
                    .map(cell);
            if came(n) {
                assert!(*received > times[n]);
                assert_eq!(said, [n as u32 + 100, 5_000_000 + n as u32, 6_000_000 + n as u32, 9]);
            } else {
                assert_eq!((*received, said), ("0001-01-01T00:00:00Z", [0; 4]));
            }
        }
        // What is written to an argument takes the state and its table with it.
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, OBJECT, &[("Timeout", "400")]), Ok(0));
        let left = bed.read(&mut session, OBJECT);
        session.end();
        assert_eq!((left.state(), left.number("IndividualPacketResultNumberOfEntries")), ("None", 0));
        assert_eq!(left.number("SuccessCount"), 6, "DG-6");
    });
}

// Proves: DG-12, DG-18
#[test]
fn sizes_versions_and_ways() {
    in_namespaces("udpecho::sizes_versions_and_ways", |bed| {
        serve(FAR, 4000, |_, _| true);
        serve(FAR6, 4000, |_, _| true);
        let plain = [("Port", "4000"), ("InterTransmissionTime", "20"), ("Timeout", "5000")];
        for (host, size, version, used) in [
            (FAR, "1", "Any", DEVICE),
            (FAR, "3", "IPv4", DEVICE),
            (FAR, "1400", "Any", DEVICE),
            (FAR, "65507", "Any", DEVICE),
            (FAR6, "24", "IPv6", "fd92::2"),
        ] {
            let own = [
                ("Host", host),
                ("DataBlockSize", size),
                ("ProtocolVersion", version),
                ("NumberOfRepetitions", "5"),
            ];
            let results = bed.ask(OBJECT, &[&plain[..], &own].concat());
            assert_eq!((results.state(), results.number("SuccessCount")), ("Complete", 5), "{host} {size}");
            assert_eq!(results.text("IPAddressUsed"), used);
            assert_eq!(results.number("IndividualPacketResultNumberOfEntries"), 0);
        }
        let before = bed.counter("device", "wan1", "tx_packets");
        let interface = bed.interface("wan1");
        let own = [
            ("Host", FAR),
            ("Interface", interface.as_str()),
            ("ProtocolVersion", "Any"),
            ("DataBlockSize", "24"),
        ];
        let results = bed.ask(OBJECT, &own);
        assert_eq!((results.number("SuccessCount"), results.text("IPAddressUsed")), (5, "10.92.8.2"));
        assert!(bed.counter("device", "wan1", "tx_packets") >= before + 5, "DG-18");
        // Nobody there, nobody listening, answers that are none: no success, no error.
        serve(FAR, 4001, |_, data| {
            data.push(0);
            true
        });
        serve(FAR, 4002, |n, data| {
            put(data, 0, n);
            true
        });
        for (host, port) in [(NOBODY, "4000"), (FAR, "4999"), (FAR, "4001"), (FAR, "4002")] {
            let own = [("Host", host), ("Port", port), ("Timeout", "200"), ("Interface", "")];
            let results = bed.ask(OBJECT, &own);
            assert_eq!((results.state(), results.number("FailureCount")), ("Complete", 5), "{host} {port}");
            let times = ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime", "SuccessCount"];
            assert_eq!(times.map(|name| results.number(name)), [0; 4], "DG-12");
        }
    });
}

// Proves: DG-13, DG-17
#[test]
fn errors() {
    in_namespaces("udpecho::errors", |bed| {
        assert_eq!(bed.state(OBJECT), "None");
        for host in ["nobody.invalid", "-f", ";id", "$(id)", ""] {
            assert_eq!(bed.ask(OBJECT, &[("Host", host)]).state(), "Error_CannotResolveHostName", "{host}");
        }
        let own = [("Host", FAR6), ("ProtocolVersion", "IPv4")];
        assert_eq!(bed.ask(OBJECT, &own).state(), "Error_CannotResolveHostName");
        let long = [
            ("Host", FAR),
            ("NumberOfRepetitions", "1000"),
            ("InterTransmissionTime", "65535"),
            ("ProtocolVersion", "Any"),
        ];
        assert_eq!(bed.ask(OBJECT, &long).state(), "Error_Other", "it would take 18 hours");
        let own = [("Host", "255.255.255.255"), ("NumberOfRepetitions", "1")];
        assert_eq!(bed.ask(OBJECT, &own).state(), "Error_Other", "the kernel sends no packet to everybody");
        vanished(bed, OBJECT);
        assert_eq!(bed.ask(OBJECT, &[("Host", FAR)]).state(), "Error_Internal");
        let mut session = bed.kicked();
        for (name, value) in [
            ("NumberOfRepetitions", "1001"),
            ("Timeout", "60001"),
            ("DataBlockSize", "65508"),
            ("InterTransmissionTime", "65536"),
            ("DSCP", "64"),
            ("Port", "0"),
        ] {
            assert_eq!(bed.set(&mut session, OBJECT, &[(name, value)]), Err(9007), "{name} {value}");
        }
        session.end();
        // It runs until it is canceled.
        bed.request(OBJECT, &[("Host", NOBODY), ("Timeout", "60000"), ("Interface", "")]);
        assert_eq!(bed.state(OBJECT), "Requested");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, OBJECT, &[("DiagnosticsState", "Canceled")]), Ok(0));
        session.end();
        assert_eq!(bed.state(OBJECT), "None");
    });
}

/// A client of the responder on the device.
fn client(address: &str) -> UdpSocket {
    let address: IpAddr = address.parse().expect("an address");
    let socket = UdpSocket::bind((address, 0)).expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    socket
}

#[track_caller]
fn echoed(client: &UdpSocket, to: &str, port: u16, data: &[u8]) -> Vec<u8> {
    let to = SocketAddr::new(to.parse().expect("an address"), port);
    client.send_to(data, to).expect("sent");
    let mut buffer = [0; 9000];
    let (length, from) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, to);
    buffer[..length].to_vec()
}

// Proves: DG-11
#[test]
fn responder() {
    in_namespaces("udpecho::responder", |bed| {
        bed.at("far", &["ip", "addr", "add", &format!("{OTHER}/24"), "dev", "far0"]);
        let (friend, stranger) = (client(FAR), client(OTHER));
        let set = |values: &[(&str, &str)]| {
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, CONFIG, values), Ok(0), "{values:?}");
            session.end();
        };
        let read = || {
            let mut session = bed.kicked();
            let results = bed.read(&mut session, CONFIG);
            session.end();
            results
        };
        set(&[("Enable", "true"), ("SourceIPAddress", FAR), ("UDPPort", "5007")]);
        assert_eq!(read().text("TimeFirstPacketReceived"), "0001-01-01T00:00:00Z");
        assert_eq!(echoed(&friend, DEVICE, 5007, b"hello"), b"hello");
        assert_eq!(echoed(&friend, DEVICE, 5007, &[1; 24]), [1; 24], "Echo Plus is not enabled");
        // What others send is neither answered nor counted; nor what comes from where it would come back for ever.
        let to = (DEVICE, 5007);
        let near = UdpSocket::bind((FAR, 7)).expect("a port");
        for _ in 0..50 {
            stranger.send_to(b"hello", to).expect("sent");
            near.send_to(b"hello", to).expect("sent");
        }
        assert_eq!(echoed(&friend, "10.92.8.2", 5007, b"x"), b"x", "by any address of the device");
        let seen = read();
        assert_eq!((seen.number("PacketsReceived"), seen.number("PacketsResponded")), (3, 3));
        assert_eq!((seen.number("BytesReceived"), seen.number("BytesResponded")), (30 + 24, 30 + 24));
        let (first, last) = (seen.text("TimeFirstPacketReceived"), seen.text("TimeLastPacketReceived"));
        assert!(first < last && last.len() == 27, "{first} {last}");
        // In force before the response; the counters stay, the responder's own go on.
        set(&[("EchoPlusEnabled", "true"), ("UDPPort", "5008")]);
        let mut packet = vec![0; 24];
        put(&mut packet, 0, 77);
        let plus = echoed(&friend, DEVICE, 5008, &packet);
        let number = |at: usize| u32::from_be_bytes(plus[at..at + 4].try_into().expect("four"));
        assert_eq!((plus.len(), number(0), number(4), number(16), number(20)), (24, 77, 4, 0, 0));
        assert!(number(12).wrapping_sub(number(8)) < 60_000_000);
        // A restart of the agent answers again, with new counters.
        bed.daemon_mut().kill();
        bed.daemon_mut().start();
        bed.daemon().wait_ready();
        assert_eq!(echoed(&friend, DEVICE, 5008, b"again"), b"again");
        let set = |values: &[(&str, &str)]| {
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, CONFIG, values), Ok(0), "{values:?}");
            let results = bed.read(&mut session, CONFIG);
            session.end();
            results
        };
        set(&[("SourceIPAddress", FAR6)]);
        assert_eq!(echoed(&client(FAR6), DEVICE6, 5008, b"six"), b"six");
        assert_eq!(
            set(&[("Enable", "false")]).number("PacketsReceived"),
            2,
            "they stay until it is enabled again"
        );
        assert_eq!(set(&[("Enable", "true")]).number("PacketsReceived"), 0);
        // Nobody is answered without an address.
        for nobody in ["", "0.0.0.0"] {
            set(&[("SourceIPAddress", nobody)]);
            assert!(!bed.at("device", &["cat", "/proc/net/udp", "/proc/net/udp6"]).contains(":1390 "));
        }
        // By one interface only.
        let interface = bed.interface("wan0");
        set(&[("SourceIPAddress", FAR), ("Interface", &interface)]);
        assert_eq!(echoed(&friend, DEVICE, 5008, b"wan0"), b"wan0");
    });
}

// Proves: DG-11
#[test]
fn responder_under_a_flood() {
    in_namespaces("udpecho::responder_under_a_flood", |bed| {
        let mut session = bed.kicked();
        let values = [("Enable", "true"), ("SourceIPAddress", FAR), ("UDPPort", "5007")];
        assert_eq!(bed.set(&mut session, CONFIG, &values), Ok(0));
        session.end();
        let friend = client(FAR);
        assert_eq!(echoed(&friend, DEVICE, 5007, b"before"), b"before");
        let (before, began) = (bed.resident(), std::time::Instant::now());
        let flood = client(FAR);
        for _ in 0..100_000 {
            let _ = flood.send_to(&[0; 500], (DEVICE, 5007)); // what there is no room for is lost
        }
        let mut session = bed.kicked();
        let seen = bed.read(&mut session, CONFIG);
        session.end();
        let most = (began.elapsed().as_millis() as u64 / 10 + 2) * 100;
        println!(
            "flood: {} of 100,000 packets were taken in {:?}",
            seen.number("PacketsReceived"),
            began.elapsed()
        );
        assert!(seen.number("PacketsReceived") <= most, "10,000 a second at most: {seen:?}");
        assert_eq!(seen.number("BytesReceived"), (seen.number("PacketsReceived") - 1) * 508 + 14);
        friend.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let answered = |data: &[u8]| {
            friend.send_to(data, (DEVICE, 5007)).expect("sent");
            friend.recv(&mut [0; 100]).is_ok()
        };
        assert!((0..50).any(|_| answered(b"after")), "it answers again");
        let after = bed.resident();
        assert!(after <= before + 512, "{before} KiB before, {after} KiB after");
    });
}

// Proves: DG-13, DG-17
#[test]
fn server_selection() {
    in_namespaces("udpecho::server_selection", |bed| {
        assert_eq!(bed.state(SELECT), "None");
        bed.at("far", &["ip", "addr", "add", &format!("{OTHER}/24"), "dev", "far0"]);
        serve(FAR, 7, |_, _| {
            thread::sleep(Duration::from_millis(40)); // a server that is slow
            true
        });
        let fast = serve(OTHER, 7, |_, _| true);
        let echo = ("Protocol", "UDP Echo");
        let list = format!("{FAR},nobody.invalid,{OTHER},{NOBODY}");
        let results =
            bed.ask(SELECT, &[echo, ("HostList", &list), ("NumberOfRepetitions", "3"), ("Timeout", "300")]);
        assert_eq!((results.state(), results.text("FastestHost")), ("Complete", OTHER));
        assert_eq!((results.text("IPAddressUsed"), fast.load(Ordering::Relaxed)), (DEVICE, 3));
        let times = |results: &crate::net::Results| {
            ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"]
                .map(|name| results.number(name))
        };
        let [least, mean, most] = times(&results);
        assert!(0 < least && least <= mean && mean <= most && most <= 300_000, "{least} {mean} {most}");
        let results = bed.ask(SELECT, &[("HostList", NOBODY)]);
        assert_eq!((results.state(), results.text("FastestHost"), times(&results)), ("Complete", "", [0; 3]));
        for (hosts, version, host) in
            [(format!("{NOBODY},{FAR}"), "Any", FAR), (format!("{FAR},{FAR6}"), "IPv6", FAR6)]
        {
            let own = [("Protocol", "ICMP"), ("HostList", hosts.as_str()), ("ProtocolVersion", version)];
            let results = bed.ask(SELECT, &own);
            assert_eq!((results.state(), results.text("FastestHost")), ("Complete", host));
            assert!(times(&results)[0] > 0);
        }
        let invalid = [("HostList", "nobody.invalid,-f,;id,$(id)"), ("ProtocolVersion", "Any")];
        assert_eq!(bed.ask(SELECT, &invalid).state(), "Error_CannotResolveHostName");
        assert_eq!(bed.ask(SELECT, &[("HostList", "")]).state(), "Error_Other");
        vanished(bed, SELECT);
        assert_eq!(bed.ask(SELECT, &[("HostList", FAR)]).state(), "Error_Internal");
        let mut session = bed.kicked();
        let eleven = ["a"; 11].join(",");
        for (name, value) in [
            ("HostList", eleven.as_str()),
            ("NumberOfRepetitions", "101"),
            ("Timeout", "60001"),
            ("Protocol", "TCP"),
        ] {
            assert_eq!(bed.set(&mut session, SELECT, &[(name, value)]), Err(9007), "{name} {value}");
        }
        session.end();
        let own = [("HostList", NOBODY), ("Timeout", "60000"), ("Interface", "")];
        bed.request(SELECT, &own);
        assert_eq!(bed.state(SELECT), "Requested");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, SELECT, &[("DiagnosticsState", "Canceled")]), Ok(0));
        session.end();
        assert_eq!(bed.state(SELECT), "None");
    });
}
