//! PacketCaptureDiagnostics: packets of the device as a file that others can read, kept or sent away.

use super::net::{Bed, DEVICE, FAR, SOON, in_namespaces};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CAPTURE: &str = "Device.PacketCaptureDiagnostics.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (CAPTURE, "None"),
    (CAPTURE, "Requested"),
    (CAPTURE, "Complete"),
    (CAPTURE, "Error"),
    (CAPTURE, "Error_Internal"),
    (CAPTURE, "Error_Other"),
];

/// What the far host sends while a test runs.
const WORD: &[u8] = b"are you there";
/// The packets with that.
const OWN: &str = "udp dst port 9 and src host 10.92.2.2 and not (arp or icmp)";

/// Lets the agent capture.
fn allow(bed: &mut Bed) {
    let file = bed.daemon().config();
    let text = fs::read_to_string(&file).expect("a configuration");
    fs::write(&file, text + "[diagnostics]\npacket_capture = true\n").expect("a file");
    bed.daemon_mut().kill();
    bed.daemon_mut().start();
    bed.daemon().wait_ready();
}

/// Somebody who sends datagrams to the device until he is dropped.
struct Talker(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Talker {
    fn new() -> Talker {
        let quiet = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&quiet);
        let thread = thread::spawn(move || {
            let socket = UdpSocket::bind((FAR, 0)).expect("a socket");
            while !heard.load(Ordering::Relaxed) {
                // Refused, where nobody listens.
                let _ = socket.send_to(WORD, (DEVICE, 9));
                thread::sleep(Duration::from_millis(5));
            }
        });
        Talker(quiet, Some(thread))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

fn kept(bed: &Bed) -> PathBuf {
    bed.daemon().folder.0.join("run/capture.pcap")
}

/// The link type of a file, and its packets.
#[track_caller]
fn packets(file: &[u8]) -> (u32, Vec<&[u8]>) {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(0), &file[4..8]), (0xa1b2_c3d4, &[2, 0, 4, 0][..]));
    let (mut at, mut all) = (24, Vec::new());
    while at < file.len() {
        let (seconds, micros, len, whole) = (number(at), number(at + 4), number(at + 8), number(at + 12));
        assert!(
            seconds > 1_700_000_000 && micros < 1_000_000 && len == whole,
            "{seconds} {micros} {len} {whole}"
        );
        all.push(&file[at + 16..at + 16 + len as usize]);
        at += 16 + len as usize;
    }
    (number(20), all)
}

// Proves: DG-17
#[test]
fn off_unless_the_operator_lets_it() {
    in_namespaces("capture::off_unless_the_operator_lets_it", |bed| {
        let results = bed.ask(CAPTURE, &[("Duration", "1")]);
        assert_eq!((results.state(), results.text("PacketCaptureResultNumberOfEntries")), ("Error", "0"));
        assert!(!kept(bed).exists());
    });
}

// Proves: DG-17, DG-18
#[test]
fn kept_on_the_device() {
    in_namespaces("capture::kept_on_the_device", |bed| {
        allow(bed);
        let wan0 = bed.interface("wan0");
        let talker = Talker::new();
        let arguments = [
            ("Interface", wan0.as_str()),
            ("Duration", "60"),
            ("PacketCount", "5"),
            ("FilterExpression", OWN),
        ];
        let results = bed.ask(CAPTURE, &arguments);
        assert_eq!(results.state(), "Complete", "{:?}", results.0);
        assert_eq!(results.column("PacketCaptureResult", "Count"), ["5"]);
        let place = format!("file://{}", kept(bed).display());
        assert_eq!(results.column("PacketCaptureResult", "FileLocation"), [place]);
        let time = |name| results.column("PacketCaptureResult", name)[0].to_owned();
        assert!(time("StartTime") <= time("EndTime"), "{:?}", results.0);
        let file = fs::read(kept(bed)).expect("the file");
        let (link, all) = packets(&file);
        assert_eq!((link, all.len()), (1, 5));
        for packet in all {
            assert_eq!(packet[12..14], [8, 0], "an Ethernet header");
            assert_eq!(packet[26..34], [10, 92, 2, 2, 10, 92, 0, 2]);
            assert!(packet[42..].starts_with(WORD), "{packet:02x?}");
        }
        // All devices together, and as many bytes as there may be: 16 of a header, 28 of IP and UDP, the word.
        let arguments = [("Interface", ""), ("PacketCount", "0"), ("ByteCount", "130"), ("Duration", "60")];
        let results = bed.ask(CAPTURE, &arguments);
        assert_eq!(results.column("PacketCaptureResult", "Count"), ["2"], "{:?}", results.0);
        let file = fs::read(kept(bed)).expect("the file");
        let (link, all) = packets(&file);
        assert_eq!((link, all.len()), (113, 2));
        assert!(all.iter().all(|packet| packet[14..16] == [8, 0] && packet[44..].starts_with(WORD)));
        // The other uplink hears nothing of it: time ends it.
        let wan1 = bed.interface("wan1");
        let arguments = [("Interface", wan1.as_str()), ("ByteCount", "0"), ("Duration", "1")];
        let results = bed.ask(CAPTURE, &arguments);
        assert_eq!(
            (results.state(), results.column("PacketCaptureResult", "Count")),
            ("Complete", vec!["0"])
        );
        drop(talker);
    });
}

/// Hostile: as much as the line carries, without a bound of the ACS's.
// Proves: DG-17
#[test]
fn a_flood_fills_the_file_and_no_more() {
    in_namespaces("capture::a_flood_fills_the_file_and_no_more", |bed| {
        allow(bed);
        let (done, over) = mpsc::channel::<()>();
        let flood = thread::spawn(move || {
            let socket = UdpSocket::bind((FAR, 0)).expect("a socket");
            while over.try_recv() == Err(mpsc::TryRecvError::Empty) {
                for _ in 0..32 {
                    let _ = socket.send_to(&[7; 1400], (DEVICE, 9));
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let results = bed.ask(CAPTURE, &[("Duration", "600")]);
        drop(done);
        flood.join().expect("it ends");
        assert_eq!(results.state(), "Complete");
        let file = fs::read(kept(bed)).expect("the file");
        assert!((3 << 20..=4 << 20).contains(&file.len()), "{}", file.len());
        let count = packets(&file).1.len().to_string();
        assert_eq!(results.column("PacketCaptureResult", "Count"), [count]);
    });
}

/// A server that takes one file from who knows the password, and then refuses everything.
fn server() -> Receiver<Vec<u8>> {
    let listener = TcpListener::bind((FAR, 80)).expect("a port of this namespace");
    let (sender, files) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            while let Some((head, body)) = request(&mut stream) {
                let answer = match () {
                    () if head.starts_with("PUT /no ") => "500 No",
                    () if head.contains("Basic dXNlcjpzZWNyZXQ=") => "201 Created",
                    () => "401 No\r\nWWW-Authenticate: Basic realm=\"x\"",
                };
                if answer.starts_with("201") {
                    sender.send(body).expect("the test waits");
                }
                let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                stream.get_mut().write_all(text.as_bytes()).expect("an answer");
            }
        }
    });
    files
}

fn request(stream: &mut BufReader<std::net::TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let at = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some(text) = head[at..].to_ascii_lowercase().strip_prefix("content-length: ") {
            length = text.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

// Proves: DG-17
#[test]
fn sent_to_a_server() {
    in_namespaces("capture::sent_to_a_server", |bed| {
        allow(bed);
        let files = server();
        let talker = Talker::new();
        let target = format!("http://{FAR}/captures/1");
        let arguments = [
            ("Duration", "60"),
            ("PacketCount", "3"),
            ("FilterExpression", OWN),
            ("FileTarget", target.as_str()),
            ("Username", "user"),
            ("Password", "secret"),
        ];
        let results = bed.ask(CAPTURE, &arguments);
        assert_eq!((results.state(), results.text("Password")), ("Complete", ""));
        assert_eq!(results.column("PacketCaptureResult", "FileLocation"), [target]);
        let file = files.recv_timeout(SOON).expect("the file");
        assert_eq!(packets(&file).1.len(), 3);
        assert!(!kept(bed).exists(), "it lies in memory");
        // A server that does not want it, and none.
        for target in ["/no", ":81/x"] {
            let results = bed.ask(CAPTURE, &[("FileTarget", &format!("http://{FAR}{target}"))]);
            assert_eq!(results.state(), "Error_Other", "{target}");
            assert_eq!(results.column("PacketCaptureResult", "FileLocation"), [""]);
            assert!(!kept(bed).exists());
        }
        // No file can be made where it is to be.
        fs::create_dir(kept(bed)).expect("a folder");
        let results = bed.ask(CAPTURE, &[("FileTarget", "")]);
        assert_eq!(results.state(), "Error_Internal");
        assert!(!bed.daemon().log().contains("secret"));
        drop(talker);
    });
}

// Proves: DG-1, DG-3, DG-4
#[test]
fn arguments_and_their_end() {
    in_namespaces("capture::arguments_and_their_end", |bed| {
        allow(bed);
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, CAPTURE).state(), "None");
        for (name, value) in [
            ("FilterExpression", "udp; id"),
            ("FilterExpression", "host example.org"),
            ("FilterExpression", "ether[0] & 1 != 0"),
            ("FileTarget", "ftp://192.0.2.1/x"),
            ("FileTarget", "file:///etc/passwd"),
            ("FileTarget", "/etc/passwd"),
            ("Username", "f\u{fc}r"),
            ("Duration", "0"),
            ("Duration", "601"),
            ("PacketCount", "100001"),
            ("ByteCount", "4194305"),
            ("DiagnosticsState", "Complete"),
        ] {
            assert_eq!(bed.set(&mut session, CAPTURE, &[(name, value)]), Err(9007), "{name} {value}");
        }
        session.end();
        let begun = |bed: &Bed, times: usize| {
            let log = || bed.daemon().log().matches("PacketCaptureDiagnostics. begins").count();
            bed.daemon().wait_for("its begin", || log() == times && kept(bed).exists());
            assert_eq!(bed.state(CAPTURE), "Requested");
        };
        for (n, end) in
            [("DiagnosticsState", "Canceled"), ("FilterExpression", "tcp")].into_iter().enumerate()
        {
            bed.request(CAPTURE, &[("Duration", "600"), ("FilterExpression", "host 192.0.2.1")]);
            begun(bed, n + 1);
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, CAPTURE, &[end]), Ok(0));
            assert_eq!(bed.read(&mut session, CAPTURE).state(), "None");
            session.end();
            let ended = || bed.daemon().log().matches("was canceled").count() == n + 1;
            bed.daemon().wait_for("its end", || ended() && !kept(bed).exists());
        }
    });
}
