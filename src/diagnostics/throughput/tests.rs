//! Tests of throughput against servers of our own on loopback.

use super::*;
use crate::diagnostics::{Arguments, Around, Facts};
use crate::net::client::Options;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

/// One connection, nothing time-based.
pub fn plan(way: Way, url: &str) -> Plan {
    Plan {
        way,
        url: Url::parse(url).expect("a URL"),
        duration: None,
        interval: None,
        offset: Duration::ZERO,
        connections: 1,
        per_connection: false,
        length: 0,
        timeouts: Timeouts::default(),
        whole: MAX_TEST,
    }
}

/// How the server treats a connection; the number says which one it is.
type Manner = Arc<dyn Fn(&mut BufReader<TcpStream>, usize) + Send + Sync>;

/// A server that runs until the test program ends. Its URL.
fn server(manner: impl Fn(&mut BufReader<TcpStream>, usize) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let manner: Manner = Arc::new(manner);
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let (Ok(stream), manner) = (stream, Arc::clone(&manner)) else { continue };
            thread::spawn(move || manner(&mut BufReader::new(stream), n));
        }
    });
    format!("http://127.0.0.1:{port}/file")
}

/// Reads a request's head; its lines.
fn request(stream: &mut BufReader<impl Read>) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) if line == "\r\n" => return Some(lines),
            Ok(_) => lines.push(line.trim_end().to_owned()),
        }
    }
}

/// Answers the first request with this, and closes.
fn says(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    server(move |stream, _| {
        if request(stream).is_some() {
            let _ = stream.get_mut().write_all(&answer);
        }
    })
}

/// Waits until the other end is gone.
fn hold(stream: &mut BufReader<TcpStream>) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

pub fn job(arguments: &[(&str, &str)]) -> Job {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let options = Options { user_agent: "cwmpd/1".to_owned(), ..Options::default() };
    Job {
        arguments: Arguments(arguments.iter().map(own).collect()),
        device: None,
        around: Around { root: PathBuf::from("/"), options, facts: Facts::default() },
    }
}

/// A run, and what cancels it when it is dropped.
fn run() -> (Run, UnixStream) {
    let (waker, wake) = UnixStream::pair().expect("a pair");
    (Run::new(OwnedFd::from(wake), None), waker)
}

fn name(way: Way) -> &'static str {
    if way == Way::Download { "DownloadURL" } else { "UploadURL" }
}

fn with(way: Way, url: &str, more: &[(&str, &str)]) -> Report {
    let job = job(&[&[(name(way), url)], more].concat());
    test(way, &job, &mut run().0).expect("not canceled")
}

fn download_of(url: &str) -> Report {
    with(Way::Download, url, &[])
}

/// Ends by itself soon, whatever the server does.
fn hurried(way: Way, url: &str, whole: u64, silence: u64) -> Report {
    let job = job(&[]);
    let time = Duration::from_millis(silence);
    let timeouts = Timeouts { connect: time, response: time, progress: time, ..Timeouts::default() };
    let plan = Plan { whole: Duration::from_millis(whole), timeouts, length: 64 << 20, ..plan(way, url) };
    measure(&plan, &job, &mut run().0).or_else(Refusal::end).expect("not canceled")
}

fn value<'a>(report: &'a Report, name: &str) -> &'a str {
    let found = report.values.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| panic!("no {name}: {report:?}"), |(_, value)| value)
}

fn number(report: &Report, name: &str) -> u64 {
    value(report, name).parse().expect("a number")
}

fn rows<'a>(report: &'a Report, table: &str) -> &'a [crate::diagnostics::Record] {
    report.tables.iter().find(|(name, _)| *name == table).map_or(&[], |(_, rows)| rows)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";

#[test]
fn a_file_whatever_its_body_is_told_by() {
    let file = "x".repeat(300_000);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{file}\r\n0\r\n\r\n", 300_000);
    let to_end = format!("HTTP/1.0 200 OK\r\n\r\n{file}");
    let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{HEAD}{file}");
    for answer in [format!("{HEAD}{file}"), chunked, to_end, interim] {
        let length = answer.len() as u64;
        let report = download_of(&says(answer));
        assert_eq!(report.state, "Complete", "{}", report.why);
        assert_eq!(number(&report, "TestBytesReceived"), length, "heads included");
        assert_eq!(number(&report, "TestBytesReceivedUnderFullLoading"), length);
        assert_eq!(value(&report, "IPAddressUsed"), "127.0.0.1");
        let order = ["TCPOpenRequestTime", "TCPOpenResponseTime", "ROMTime", "BOMTime", "EOMTime"];
        let times: Vec<&str> = order.iter().map(|name| value(&report, name)).collect();
        assert!(times.is_sorted(), "{times:?}");
        // lo counts what passes it.
        assert!(number(&report, "TotalBytesReceived") >= 300_000, "{report:?}");
        assert!(report.tables.is_empty(), "nothing was asked of single connections");
    }
}

// Proves: DG-7
#[test]
fn a_password_is_not_given_dg_7() {
    let (seen, heads) = mpsc::channel();
    let url = server(move |stream, _| {
        while let Some(lines) = request(stream) {
            let _ = seen.send(lines);
            let challenge =
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.get_mut().write_all(challenge.as_bytes());
        }
    });
    let mut job = job(&[("DownloadURL", &url)]);
    (job.around.options.username, job.around.options.password) = ("agent".into(), "secret".into());
    let report = test(Way::Download, &job, &mut run().0).expect("not canceled");
    assert_eq!(report.state, "Error_LoginFailed");
    let heads: Vec<Vec<String>> = heads.try_iter().collect();
    assert_eq!(heads.len(), 1, "asked once");
    assert!(!heads.concat().iter().any(|line| line.to_ascii_lowercase().starts_with("authorization")));
    assert_eq!(download_of(&says("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")).state, "Error_LoginFailed");
    assert!(judge("DownloadURL", "http://user:secret@192.0.2.1/").is_err());
    assert_eq!(download_of("http://user:secret@192.0.2.1/").state, "Error_Other");
}

#[test]
fn urls_that_are_taken() {
    for (url, fits) in [
        ("http://example.com/file", true),
        ("https://[2001:db8::1]:8443/file?size=1", true),
        ("", true),
        ("ftp://example.com/file", false),
        ("FTP://example.com/file", false),
        ("file:///etc/passwd", false),
        ("http://a b/", false),
        ("http://-f;id/", false),
        ("http://$(id)/", false),
        ("example.com", false),
    ] {
        assert_eq!(judge("DownloadURL", url).is_ok(), fits, "{url}");
        assert_eq!(judge("UploadURL", url).is_ok(), fits, "{url}");
    }
    for (connections, fits) in [("1", true), ("8", true), ("9", false), ("4294967295", false)] {
        assert_eq!(judge("NumberOfConnections", connections).is_ok(), fits, "{connections}");
    }
    assert_eq!(judge("DownloadURL", "ftp://h/"), Err("FTP is none of the transports".to_owned()));
    assert!(judge("Interface", "ftp://h/").is_ok());
    assert_eq!(download_of("").state, "Error_Other");
}

// Proves: DG-13
#[test]
fn errors_of_a_download_dg_13() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let head = |status: &str| says(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    let reset = server(|stream, _| {
        request(stream);
        let _ = stream.get_mut().write_all(HEAD.as_bytes());
        let _ = stream.get_mut().write_all(&[0; 1000]);
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = nix::sys::socket::setsockopt(stream.get_ref(), nix::sys::socket::sockopt::Linger, &linger);
    });
    for (url, state) in [
        ("http://no-such-host.invalid/".to_owned(), "Error_CannotResolveHostName"),
        (format!("http://{free}/"), "Error_InitConnectionFailed"),
        ("http://192.0.2.1:1/".to_owned(), "Error_NoRouteToHost"),
        (says(""), "Error_NoResponse"),
        (says("HTTP/1.1 200"), "Error_TransferFailed"),
        (says("220 ready\r\n"), "Error_TransferFailed"),
        (head("404 No"), "Error_TransferFailed"),
        (head("204 Nothing"), "Error_TransferFailed"),
        (says("HTTP/1.1 302 On\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"), "Error_TransferFailed"),
        (says(format!("{HEAD}short")), "Error_IncorrectSize"),
        (reset, "Error_TransferFailed"),
        (says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "Error_TransferFailed"),
        (says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), "Error_TransferFailed"),
        (says(format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(100_000))), "Error_TransferFailed"),
        (says("HTTP/1.1 100 Go\r\n\r\n".repeat(10_000)), "Error_NoResponse"),
    ] {
        let mut job = job(&[("DownloadURL", &url)]);
        // On loopback nothing is reached but this machine.
        job.device = (state == "Error_NoRouteToHost").then(|| "nosuch0".to_owned());
        let report = test(Way::Download, &job, &mut run().0).expect("not canceled");
        assert_eq!(report.state, state, "{url}: {}", report.why);
    }
    let report = with(Way::Download, "https://127.0.0.1:1/", &[]);
    assert_eq!(report.state, "Error_Internal", "no trusted roots: {}", report.why);
}

// Proves: DG-13
#[test]
fn errors_of_an_upload_dg_13() {
    let early = |answer: &'static str| {
        server(move |stream, _| {
            request(stream);
            let _ = stream.get_mut().write_all(answer.as_bytes());
            hold(stream);
        })
    };
    let takes_all = |answer: &'static str| {
        server(move |stream, _| {
            request(stream);
            let mut body = stream.take(1_000_000);
            let _ = std::io::copy(&mut body, &mut std::io::sink());
            let _ = stream.get_mut().write_all(answer.as_bytes());
        })
    };
    for (url, length, state) in [
        (takes_all("HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n"), "1000000", "Complete"),
        (takes_all(""), "1000000", "Error_NoResponse"),
        (takes_all("HTTP/1.1 500 Oh\r\n\r\n"), "1000000", "Error_NoTransferComplete"),
        (early("HTTP/1.1 401 No\r\n\r\n"), "100000000", "Error_LoginFailed"),
        (early("HTTP/1.1 413 No\r\n\r\n"), "100000000", "Error_NoTransferComplete"),
        (early("HTTP/1.1 200 OK\r\n\r\n"), "100000000", "Error_NoTransferComplete"),
        (early("rubbish"), "100000000", "Error_NoTransferComplete"),
        (says(""), "100000000", "Error_NoTransferComplete"),
        (says("HTTP/1.1 403 No\r\n\r\n"), "100000000", "Error_NoTransferComplete"),
        (says("HTTP/1.1 204 Fine\r\n\r\n"), "0", "Complete"),
    ] {
        let report = with(Way::Upload, &url, &[("TestFileLength", length)]);
        assert_eq!(report.state, state, "{length}: {}", report.why);
    }
}

#[test]
fn what_never_ends_is_ended() {
    let trickle = || {
        server(|stream, _| {
            request(stream);
            let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n");
            while stream.get_mut().write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let stuck = |said: &'static str| {
        server(move |stream, _| {
            request(stream);
            let _ = stream.get_mut().write_all(said.as_bytes());
            thread::park(); // reads nothing more
        })
    };
    let slow_head = server(|stream, _| {
        request(stream);
        while stream.get_mut().write_all(b"HTTP/1.1 100 Go\r\n\r\n").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    let (download, upload) = (Way::Download, Way::Upload);
    for (way, url, whole, silence, state) in [
        (download, trickle(), 300, 60_000, "Error_Timeout"),
        (download, stuck(HEAD), 60_000, 100, "Error_Timeout"),
        (download, stuck(""), 60_000, 100, "Error_NoResponse"),
        (download, stuck("HTTP/1.1 200"), 60_000, 100, "Error_NoResponse"),
        (download, slow_head, 60_000, 100, "Error_NoResponse"),
        (upload, stuck(""), 60_000, 100, "Error_Timeout"),
        (upload, stuck(""), 300, 60_000, "Error_Timeout"),
    ] {
        let report = hurried(way, &url, whole, silence);
        assert_eq!(report.state, state, "{}", report.why);
    }
    // Nobody does TLS there.
    let url = stuck("").replace("http:", "https:");
    let mut job = job(&[]);
    job.around.options.ca_file = Some(authority("roots").0);
    let silent = Timeouts { connect: Duration::from_millis(100), ..Timeouts::default() };
    let plan = Plan { timeouts: silent, ..plan(download, &url) };
    let report = measure(&plan, &job, &mut run().0).or_else(Refusal::end).expect("not canceled");
    assert_eq!(report.state, "Error_InitConnectionFailed", "{}", report.why);
}

/// DG-3: wherever it is, a test ends at once.
#[test]
fn canceled_in_every_phase() {
    let stuck = |said: &'static str| {
        server(move |stream, _| {
            request(stream);
            let _ = stream.get_mut().write_all(said.as_bytes());
            thread::park();
        })
    };
    // A queue of one that nobody empties: the second connection gets no answer.
    let full = {
        use nix::sys::socket::*;
        let listener =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a socket");
        use std::os::fd::AsRawFd;
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
        listen(&listener, Backlog::new(0).expect("a number")).expect("listens");
        let address: SockaddrIn = getsockname(listener.as_raw_fd()).expect("an address");
        let first = TcpStream::connect(("127.0.0.1", address.port())).expect("connects");
        (address.port(), listener, first)
    };
    let plain = stuck("");
    for (way, url) in [
        (Way::Download, format!("http://127.0.0.1:{}/", full.0)),
        (Way::Download, plain.clone()),
        (Way::Download, plain.replace("http:", "https:")),
        (Way::Download, stuck(HEAD)),
        (Way::Download, stuck("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")),
        (Way::Upload, plain),
    ] {
        let mut job =
            job(&[(name(way), &url), ("NumberOfConnections", "8"), ("TestFileLength", "999999999")]);
        job.around.options.ca_file = Some(authority("roots").0);
        let (mut run, waker) = run();
        let worker = thread::spawn(move || test(way, &job, &mut run));
        thread::sleep(Duration::from_millis(50)); // on its way
        assert!(!worker.is_finished(), "{url}");
        drop(waker);
        assert_eq!(worker.join().expect("no panic"), Err(Canceled), "{url}");
    }
}

// Proves: DG-9, DG-10
#[test]
fn several_connections_and_their_rows_dg_10() {
    const LONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n";
    let met = Arc::new(std::sync::Barrier::new(8));
    let url = server(move |stream, _| {
        request(stream);
        let _ = stream.get_mut().write_all(LONG.as_bytes());
        // All heads are there before any body, and no body fits into one connection's turn.
        met.wait();
        let _ = stream.get_mut().write_all(&vec![7; 4_000_000]);
    });
    // The type allows 8; what a shell says beyond is cut.
    let more = [("NumberOfConnections", "9"), ("EnablePerConnectionResults", "true")];
    let report = with(Way::Download, &url, &more);
    assert_eq!(report.state, "Complete", "{}", report.why);
    let each = 4_000_000 + LONG.len() as u64;
    assert_eq!(number(&report, "TestBytesReceived"), 8 * each);
    let rows = rows(&report, "PerConnectionResult");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
        let expected = [
            "TCPOpenRequestTime",
            "TCPOpenResponseTime",
            "ROMTime",
            "BOMTime",
            "EOMTime",
            "TestBytesReceived",
            "TotalBytesReceived",
            "TotalBytesSent",
        ];
        assert_eq!(names, expected);
        assert!(row.contains(&("TestBytesReceived", each.to_string())), "{row:?}");
    }
    assert!(number(&report, "PeriodOfFullLoading") > 0, "all met");
    let loaded = number(&report, "TestBytesReceivedUnderFullLoading");
    assert!((1..=8 * each).contains(&loaded), "{loaded}");
}

// Proves: DG-7, DG-10
#[test]
fn a_time_based_download_asks_again_on_the_same_connection() {
    let (opened, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&opened), Arc::clone(&asked));
    let url = server(move |stream, _| {
        counts.0.fetch_add(1, Ordering::SeqCst);
        while request(stream).is_some() {
            // No pipelining: nothing more is here before the answer.
            assert!(stream.buffer().is_empty());
            counts.1.fetch_add(1, Ordering::SeqCst);
            let _ = stream.get_mut().write_all(HEAD.as_bytes());
            let _ = stream.get_mut().write_all(&[1; 300_000]);
        }
    });
    let more = [("TimeBasedTestDuration", "3"), ("TimeBasedTestMeasurementInterval", "1")];
    let report = with(Way::Download, &url, &more);
    assert_eq!(report.state, "Complete", "{}", report.why);
    assert_eq!(opened.load(Ordering::SeqCst), 1, "persistent");
    assert!(asked.load(Ordering::SeqCst) > 1);
    let rows = rows(&report, "IncrementalResult");
    assert_eq!(rows.len(), 3);
    let sum: u64 = rows.iter().map(|row| row[2].1.parse::<u64>().expect("a number")).sum();
    assert!(sum <= number(&report, "TestBytesReceived") && sum > 0);
    assert!(rows.windows(2).all(|pair| pair[0][1].1 == pair[1][0].1), "one ends where the next begins");
    let period = number(&report, "PeriodOfFullLoading");
    assert!(period >= 3_000_000, "{period}");
}

#[test]
fn a_server_that_closes_after_each_file_is_opened_again_so_often() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let url = server(move |stream, _| {
        count.fetch_add(1, Ordering::SeqCst);
        request(stream);
        let _ =
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n.");
    });
    let report = with(Way::Download, &url, &[("TimeBasedTestDuration", "999")]);
    assert_eq!(report.state, "Error_TransferFailed", "{}", report.why);
    assert_eq!(opened.load(Ordering::SeqCst), MAX_OPENED as usize);
}

/// What an upload sends is taken apart by another's code: a reader of chunks that knows only RFC 9112.
#[test]
fn a_time_based_upload_is_chunks_with_an_end() {
    let (tell, told) = mpsc::channel();
    let url = server(move |stream, _| {
        let head = request(stream).expect("a head");
        // What is not read fills the sockets, so that the time is over amidst a chunk.
        thread::sleep(Duration::from_millis(1_200));
        let mut total = 0;
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).expect("a size");
            let size = u64::from_str_radix(size.trim_end(), 16).expect("hexadecimal");
            total += size;
            std::io::copy(&mut stream.by_ref().take(size), &mut std::io::sink()).expect("a chunk");
            let mut end = [0; 2];
            stream.read_exact(&mut end).expect("its end");
            assert_eq!(&end, b"\r\n");
            if size == 0 {
                break;
            }
        }
        let _ = tell.send((head, total));
        let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let more = [("TimeBasedTestDuration", "1"), ("TimeBasedTestMeasurementInterval", "1")];
    let report = with(Way::Upload, &url, &more);
    assert_eq!(report.state, "Complete", "{}", report.why);
    let (head, total) = told.recv().expect("a whole body");
    assert!(head[0].starts_with("PUT /file ") && head.contains(&"Transfer-Encoding: chunked".to_owned()));
    let sent = number(&report, "TestBytesSent");
    let frames = total / (FRAME - 8);
    let head: u64 = head.iter().map(|line| line.len() as u64 + 2).sum();
    assert_eq!(sent, head + 2 + frames * FRAME + 5, "every byte of HTTP is counted once");
    assert_eq!(rows(&report, "IncrementalResult").len(), 1);
}

#[test]
fn what_is_uploaded_cannot_be_compressed() {
    let piece = piece(&plan(Way::Upload, "http://192.0.2.1/")).expect("noise");
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&piece).expect("memory");
    encoder.write_all(&piece).expect("memory");
    assert!(encoder.finish().expect("memory").len() > 2 * piece.len() * 99 / 100);
}

/// A certificate for 127.0.0.1 in a file of its own, and its key.
fn authority(name: &str) -> (PathBuf, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let file = std::env::temp_dir().join(format!("cwmpd-throughput-{name}-{}.pem", std::process::id()));
    std::fs::write(&file, made.cert.pem()).expect("a file");
    (file, made)
}

#[test]
fn https_both_ways() {
    let (file, made) = authority("https");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().and_then(
            |builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key),
        );
    let config = Arc::new(config.expect("a configuration"));
    let url = server(move |stream, _| {
        let socket = stream.get_ref().try_clone().expect("a descriptor");
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("TLS");
        let mut stream = BufReader::new(rustls::StreamOwned::new(connection, socket));
        while let Some(lines) = request(&mut stream) {
            let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: u64 = length.map_or(0, |text| text.parse().expect("a number"));
            std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).expect("a body");
            let body = if length > 0 { 0 } else { 3_000_000 };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
            let _ = stream.get_mut().write_all(head.as_bytes());
            let _ = stream.get_mut().write_all(&vec![3; body]);
            let _ = stream.get_mut().flush();
        }
    })
    .replace("http:", "https:");
    for (way, bytes) in [(Way::Download, 3_000_000), (Way::Upload, 5_000_000)] {
        let mut job = job(&[(name(way), &url), ("TestFileLength", "5000000"), ("NumberOfConnections", "3")]);
        job.around.options.ca_file = Some(file.clone());
        job.around.options.clock_set = true;
        let report = test(way, &job, &mut run().0).expect("not canceled");
        assert_eq!(report.state, "Complete", "{}", report.why);
        let counted = number(&report, way.test_bytes());
        assert!((3 * bytes..3 * bytes + 2_000).contains(&counted), "{counted}");
        // A certificate that nobody trusts.
        job.around.options.ca_file = Some(authority("other").0);
        let report = test(way, &job, &mut run().0).expect("not canceled");
        assert_eq!(report.state, "Error_InitConnectionFailed", "{}", report.why);
    }
}
