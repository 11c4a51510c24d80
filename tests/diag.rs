//! `cwmpd diag`, the shipped binary driven as a user would, against small servers on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};
use std::thread;

fn diag(words: &[&str]) -> Output {
    let none = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-such-configuration.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cwmpd"));
    command.args(["--config", none, "diag"]).args(words).output().expect("cwmpd runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A line of the output that begins so.
fn value<'a>(out: &'a str, name: &str) -> &'a str {
    let found = out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {out}"))
}

/// Answers every second datagram; its port.
fn echo() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        let mut even = false;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            even = !even;
            if even {
                let _ = socket.send_to(&buffer[..length], from);
            }
        }
    });
    port.to_string()
}

#[test]
fn an_echo_in_words_and_in_json() {
    let port = format!("Port={}", echo());
    let own =
        ["udpecho", "127.0.0.1", &port, "NumberOfRepetitions=4", "InterTransmissionTime=5", "Timeout=300"];
    let done = diag(&own);
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{out}{}", text(&done.stderr));
    assert_eq!((value(&out, "DiagnosticsState"), value(&out, "SuccessCount")), ("Complete", "2"));
    assert_eq!((value(&out, "FailureCount"), value(&out, "IPAddressUsed")), ("2", "127.0.0.1"));
    assert!(done.stderr.is_empty(), "no live line where nobody looks: {}", text(&done.stderr));
    let done = diag(&[&own[..], &["EnableIndividualPacketResults=true", "--json"]].concat());
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).expect("one object");
    assert_eq!((&found["DiagnosticsState"], &found["SuccessCount"]), (&"Complete".into(), &2.into()));
    let rows = found["IndividualPacketResult"].as_array().expect("a table");
    let came: Vec<_> =
        rows.iter().map(|row| row["PacketSuccess"].as_bool().expect("a truth value")).collect();
    assert_eq!(came, [true, false, true, false]);
}

#[test]
fn a_download() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/file?a=b", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            asked.push(byte[0]);
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &[7; 100_000]].concat()).expect("it is read");
        text(&asked)
    });
    let done = diag(&["download", &url]);
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{out}{}", text(&done.stderr));
    assert!(server.join().expect("a request").starts_with("GET /file?a=b HTTP/1.1\r\n"));
    assert!(value(&out, "TestBytesReceived").parse::<u32>().is_ok_and(|bytes| bytes >= 100_000), "{out}");
    assert!(value(&out, "BOMTime") <= value(&out, "EOMTime"));
}

/// A test that fails says so by its exit code, with the standard's word.
#[test]
fn errors() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("an address");
    let url = format!("http://{closed}/");
    for (words, state) in [
        (&["download", &url][..], "Error_InitConnectionFailed"),
        (&["ping", ";id"], "Error_CannotResolveHostName"),
        (&["trace", "$(id)"], "Error_CannotResolveHostName"),
        (&["nslookup", "name.example", "nobody.invalid"], "Error_DNSServerNotResolved"),
    ] {
        let done = diag(words);
        assert_eq!(done.status.code(), Some(1), "{words:?}");
        assert_eq!(value(&text(&done.stdout), "DiagnosticsState"), state);
        assert!(text(&done.stderr).starts_with(&format!("cwmpd: {state}")), "{}", text(&done.stderr));
    }
}

/// What a SetParameterValues would refuse, a shell is refused, and no packet is sent.
#[test]
fn what_cannot_be_asked() {
    for (words, named) in [
        (&["ping", "127.0.0.1", "NumberOfRepetitions=1000000"][..], "NumberOfRepetitions"),
        (&["ping", "127.0.0.1", "Repetitions=1"], "Repetitions"),
        (&["download", "gopher://127.0.0.1/"], "DownloadURL"),
        (&["selftest"], "selftest"),
        (&["ping", "-f"], "-f"),
        (&[], "nslookup"),
    ] {
        let done = diag(words);
        assert_eq!(done.status.code(), Some(2), "{words:?}");
        assert!(done.stdout.is_empty() && text(&done.stderr).contains(named), "{}", text(&done.stderr));
    }
}
