//! Device.DNS.Diagnostics.NSLookupDiagnostics against a name server that answers as the first word of a name says.

use crate::net::{Bed, FAR, NOBODY, UNREACHABLE, in_namespaces};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (OBJECT, "None"),
    (OBJECT, "Requested"),
    (OBJECT, "Complete"),
    (OBJECT, "Error_DNSServerNotResolved"),
    (OBJECT, "Error_Internal"),
    (OBJECT, "Error_Other"),
];

const OBJECT: &str = "Device.DNS.Diagnostics.NSLookupDiagnostics.";
const OWN: &[u8] = &[0xc0, 0x0c];
const CNAME: u16 = 5;

/// A name server on the far host, by UDP and TCP, for as long as the test lives.
struct Server;

impl Server {
    fn start() -> Server {
        let socket = UdpSocket::bind((FAR, 53)).expect("port 53");
        let listener = TcpListener::bind((FAR, 53)).expect("port 53");
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                for answer in by_datagram(&buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || by_stream(stream));
            }
        });
        Server
    }
}

/// The first word of the name asked for.
fn word(question: &[u8]) -> String {
    let length = usize::from(question[12]);
    String::from_utf8_lossy(&question[13..13 + length]).into_owned()
}

fn is_a(question: &[u8]) -> bool {
    question[question.len() - 3] == 1
}

/// An answer with these flags and records: owner, type, data.
fn answer(question: &[u8], flags: u16, records: &[(&[u8], u16, Vec<u8>)]) -> Vec<u8> {
    let mut out = question.to_vec();
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for (owner, kind, data) in records {
        out.extend(*owner);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    out
}

/// An address of the kind that is asked for.
fn address(question: &[u8], last: u16) -> (u16, Vec<u8>) {
    match is_a(question) {
        true => (1, vec![192, 0, 2 + (last >> 8) as u8, last as u8]),
        false => (28, [&[0x20, 1, 0xd, 0xb8][..], &[0; 10], &last.to_be_bytes()].concat()),
    }
}

fn addresses(question: &[u8], count: u16) -> Vec<(&'static [u8], u16, Vec<u8>)> {
    (1..=count).map(|n| address(question, n)).map(|(kind, data)| (OWN, kind, data)).collect()
}

fn by_datagram(question: &[u8]) -> Vec<Vec<u8>> {
    let fine = || answer(question, 0x8180, &addresses(question, 1));
    match word(question).as_str() {
        "www" => {
            let (kind, data) = address(question, 7);
            let alias: &[u8] = b"\x03cdn\x07example\0";
            vec![answer(question, 0x8580, &[(OWN, CNAME, alias.to_vec()), (alias, kind, data)])]
        }
        "many" => vec![answer(question, 0x8180, &addresses(question, 12))],
        "big" | "flood" | "trickle" => vec![answer(question, 0x8380, &[])],
        "four" if !is_a(question) => vec![answer(question, 0x8180, &[])],
        "refused" => vec![answer(question, 0x8185, &[])],
        // The name points at itself.
        "loop" => {
            let at = question.len() as u16 | 0xc000;
            vec![answer(question, 0x8180, &[(&at.to_be_bytes(), 1, vec![192, 0, 2, 66])])]
        }
        // Ids, a question and an answer of somebody else come first.
        "stray" | "strays" => {
            let count = if word(question) == "stray" { 20 } else { 600 };
            let mut all: Vec<Vec<u8>> = (1..=count)
                .map(|n: u16| {
                    let mut wrong = answer(question, 0x8180, &[(OWN, 1, vec![6, 6, 6, 6])]);
                    match n % 3 {
                        0 => wrong[13] ^= 1,
                        1 => wrong[2] = 1,
                        _ => wrong[0] ^= 1 + (n as u8 & 0x7f),
                    }
                    wrong
                })
                .collect();
            all.push(fine());
            all
        }
        "silent" => Vec::new(),
        "box" if question[12..].starts_with(b"\x03box\x07example") => vec![fine()],
        "fine" | "four" => vec![fine()],
        _ => vec![answer(question, 0x8183, &[])],
    }
}

fn by_stream(mut stream: std::net::TcpStream) -> Option<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question).ok()?;
    let answer = match word(&question).as_str() {
        "big" => answer(&question, 0x8180, &addresses(&question, 40)),
        "flood" if is_a(&question) => answer(&question, 0x8180, &addresses(&question, 4000)),
        "flood" => answer(&question, 0x8180, &addresses(&question, 2300)),
        // The rest never comes.
        _ => {
            stream.write_all(&[0xff, 0xff, question[0]]).ok()?;
            stream.read_exact(&mut length).ok()?;
            return None;
        }
    };
    stream.write_all(&(answer.len() as u16).to_be_bytes()).ok()?;
    stream.write_all(&answer).ok()
}

/// One row of results.
fn row(bed: &Bed, arguments: &[(&str, &str)]) -> (String, Vec<String>) {
    let results = bed.ask(OBJECT, arguments);
    let names = ["Status", "AnswerType", "HostNameReturned", "IPAddresses", "DNSServerIP"];
    let cells = names.map(|name| results.text(&format!("Result.1.{name}")).to_owned());
    (results.state().to_owned(), cells.to_vec())
}

// Proves: DG-13, DG-17
#[test]
fn complete() {
    in_namespaces("nslookup::complete", |bed| {
        let _server = Server::start();
        let results = bed.ask(OBJECT, &[("HostName", "www.example"), ("NumberOfRepetitions", "3")]);
        assert_eq!(results.state(), "Complete");
        assert_eq!((results.number("SuccessCount"), results.number("ResultNumberOfEntries")), (3, 3));
        assert_eq!(results.column("Result", "Status"), ["Success"; 3]);
        assert_eq!(results.column("Result", "AnswerType"), ["Authoritative"; 3]);
        assert_eq!(results.column("Result", "HostNameReturned"), ["cdn.example"; 3]);
        assert_eq!(results.column("Result", "IPAddresses"), ["192.0.2.7,2001:db8::7"; 3]);
        assert_eq!(results.column("Result", "DNSServerIP"), [FAR; 3]);
        assert!(results.number("Result.1.ResponseTime") > 0);
        // Ten addresses of both kinds; by TCP when they do not fit; of one kind only.
        for (host, count) in [("many.example", (5, 5)), ("big.example", (5, 5)), ("four.example", (1, 0))] {
            let (state, cells) = row(bed, &[("HostName", host), ("NumberOfRepetitions", "1")]);
            assert_eq!(
                (state.as_str(), cells[0].as_str(), cells[1].as_str()),
                ("Complete", "Success", "NonAuthoritative")
            );
            let all: Vec<&str> = cells[3].split(',').collect();
            let of_six = all.iter().filter(|ip| ip.contains(':')).count();
            assert_eq!((all.len() - of_six, of_six), count, "{host}");
        }
        // By way of an interface that is named.
        let before = bed.counter("device", "wan1", "tx_packets");
        let interface = bed.interface("wan1");
        let (state, _) = row(bed, &[("HostName", "fine.example"), ("Interface", &interface)]);
        assert_eq!(state, "Complete");
        assert!(bed.counter("device", "wan1", "tx_packets") >= before + 2, "DG-18");
        // The device's domain is put behind a name that is not fully qualified.
        let file = format!("/etc/netns/{}/resolv.conf", bed.namespace("device"));
        std::fs::write(&file, format!("search example\nnameserver {NOBODY}\nnameserver {FAR}\n"))
            .expect("a file");
        let own = [("HostName", "box"), ("Interface", ""), ("Timeout", "300")];
        let (state, cells) = row(bed, &own);
        assert_eq!((state.as_str(), cells[2].as_str(), cells[4].as_str()), ("Complete", "box.example", FAR));
    });
}

// Proves: DG-13, DG-17
#[test]
fn errors() {
    in_namespaces("nslookup::errors", |bed| {
        assert_eq!(bed.state(OBJECT), "None");
        let _server = Server::start();
        for server in ["nobody.invalid", "-f", ";id", "$(id)"] {
            let results = bed.ask(OBJECT, &[("HostName", "fine.example"), ("DNSServer", server)]);
            assert_eq!(results.state(), "Error_DNSServerNotResolved", "{server}");
            assert_eq!(results.number("ResultNumberOfEntries"), 0);
        }
        let short = ("Timeout", "300");
        for (host, server, status) in [
            ("gone.example", "", "Error_HostNameNotResolved"),
            ("refused.example", "", "Error_Other"),
            ("silent.example", "", "Error_Timeout"),
            ("trickle.example", "", "Error_Timeout"),
            ("fine.example", NOBODY, "Error_Timeout"),
            ("fine.example", UNREACHABLE, "Error_DNSServerNotAvailable"),
            // Nothing listens there.
            ("fine.example", "10.92.0.1", "Error_DNSServerNotAvailable"),
        ] {
            let (state, cells) = row(bed, &[("HostName", host), ("DNSServer", server), short]);
            assert_eq!((state.as_str(), cells[0].as_str()), ("Error_Other", status), "{host} {server}");
            assert_eq!((cells[1].as_str(), cells[2].as_str(), cells[3].as_str()), ("None", "", ""));
        }
        for host in ["-f", ";id", "$(id)", "192.0.2.1", ""] {
            let results = bed.ask(OBJECT, &[("HostName", host), ("DNSServer", FAR)]);
            assert_eq!(results.state(), "Error_Other", "{host}");
        }
        bed.ip("device", "link add gone0 type veth peer name gone1\nlink set gone0 up");
        let interface = bed.interface("gone0");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, OBJECT, &[("Interface", &interface)]), Ok(0));
        session.end();
        bed.ip("device", "link del gone0");
        assert_eq!(bed.ask(OBJECT, &[("HostName", "fine.example")]).state(), "Error_Internal");
    });
}

#[test]
fn bounds_and_canceling() {
    in_namespaces("nslookup::bounds_and_canceling", |bed| {
        let mut session = bed.kicked();
        for (name, value) in [
            ("NumberOfRepetitions", "101"),
            ("NumberOfRepetitions", "0"),
            ("Timeout", "60001"),
            ("DiagnosticsState", "Complete"),
        ] {
            assert_eq!(bed.set(&mut session, OBJECT, &[(name, value)]), Err(9007), "{name} {value}");
        }
        session.end();
        // Nobody answers for a minute: it runs until it is canceled.
        bed.request(OBJECT, &[("HostName", "a.example"), ("DNSServer", NOBODY), ("Timeout", "60000")]);
        assert_eq!(bed.state(OBJECT), "Requested");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, OBJECT, &[("DiagnosticsState", "Canceled")]), Ok(0));
        session.end();
        assert_eq!(bed.state(OBJECT), "None");
    });
}

#[test]
fn hostile() {
    in_namespaces("nslookup::hostile", |bed| {
        let _server = Server::start();
        let one = |host: &str| row(bed, &[("HostName", host), ("Timeout", "5000")]);
        let (state, cells) = one("stray.example");
        assert_eq!(
            (state.as_str(), cells[3].as_str()),
            ("Complete", "192.0.2.1,2001:db8::1"),
            "what is right still counts"
        );
        assert_eq!(one("loop.example").1[0], "Error_Other");
        assert_eq!(one("strays.example").1[0], "Error_Other");
        let before = bed.resident();
        for _ in 0..3 {
            let (state, cells) = one("flood.example");
            assert_eq!(state, "Complete");
            assert_eq!(cells[3].split(',').count(), 10);
        }
        let after = bed.resident();
        assert!(after <= before + 512, "{before} KiB before, {after} KiB after");
    });
}
