//! DownloadDiagnostics and UploadDiagnostics: each state that HTTP can bring about, by a server on the far host
//! that does as the path says.

use super::net::{Bed, EVENT, FAR, FAR6, NOBODY, UNREACHABLE, in_namespaces};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const DOWNLOAD: &str = "Device.IP.Diagnostics.DownloadDiagnostics.";
const UPLOAD: &str = "Device.IP.Diagnostics.UploadDiagnostics.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (DOWNLOAD, "None"),
    (DOWNLOAD, "Requested"),
    (DOWNLOAD, "Complete"),
    (DOWNLOAD, "Error_CannotResolveHostName"),
    (DOWNLOAD, "Error_NoRouteToHost"),
    (DOWNLOAD, "Error_InitConnectionFailed"),
    (DOWNLOAD, "Error_NoResponse"),
    (DOWNLOAD, "Error_TransferFailed"),
    (DOWNLOAD, "Error_LoginFailed"),
    (DOWNLOAD, "Error_IncorrectSize"),
    (DOWNLOAD, "Error_Timeout"),
    (DOWNLOAD, "Error_Internal"),
    (DOWNLOAD, "Error_Other"),
    (UPLOAD, "None"),
    (UPLOAD, "Requested"),
    (UPLOAD, "Complete"),
    (UPLOAD, "Error_CannotResolveHostName"),
    (UPLOAD, "Error_NoRouteToHost"),
    (UPLOAD, "Error_InitConnectionFailed"),
    (UPLOAD, "Error_NoResponse"),
    (UPLOAD, "Error_NoTransferComplete"),
    (UPLOAD, "Error_LoginFailed"),
    (UPLOAD, "Error_Timeout"),
    (UPLOAD, "Error_Internal"),
    (UPLOAD, "Error_Other"),
];

/// A megabyte and its head.
const FILE: usize = 1_000_000;

/// The server: the first word of the path says how a request is answered.
fn serve() {
    let listener = TcpListener::bind("[::]:80").expect("a port of this namespace");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || drop(answer(BufReader::new(stream))));
        }
    });
}

fn answer(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    loop {
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(text) = line.strip_prefix("Content-Length: ") {
                length = text.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        let is_upload = first.starts_with("PUT ");
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut say = |text: &str| stream.get_mut().write_all(text.as_bytes());
        match path.as_str() {
            "/401" => say(
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\nContent-Length: 0\r\n\r\n",
            )?,
            "/404" => say("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?,
            "/short" => return say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"),
            // The length is said, and then nothing more, either way.
            "/stuck" => {
                if !is_upload {
                    say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")?;
                }
                thread::park();
            }
            "/gone" => {
                std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
                return Ok(());
            }
            _ if is_upload => {
                std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
                stream.get_mut().write_all(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n")?;
            }
            _ => {
                say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {FILE}\r\n\r\n"))?;
                stream.get_mut().write_all(&vec![1; FILE])?;
            }
        }
    }
}

/// The agent waits a second for silent servers.
fn hurry(bed: &mut Bed) {
    let url = bed.acs().url();
    let keys = format!(
        "url = \"{url}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_minimum_wait_interval = 1\n\
         connect_timeout = 1\nprogress_timeout = 1\n"
    );
    let rest = "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\n\
                product_class = \"Box\"\nserial_number = \"S1\"\n";
    bed.daemon_mut().stop();
    bed.daemon().configure(&keys, rest);
    bed.daemon_mut().start();
    bed.daemon().wait_ready();
    bed.kicked().end();
}

fn far(path: &str) -> String {
    format!("http://{FAR}{path}")
}

// Proves: DG-8, DG-9, DG-10
#[test]
fn complete() {
    in_namespaces("throughput::complete", |bed: &mut Bed| {
        serve();
        for (object, url, bytes) in
            [(DOWNLOAD, "DownloadURL", "TestBytesReceived"), (UPLOAD, "UploadURL", "TestBytesSent")]
        {
            let length = FILE.to_string();
            let mut arguments = vec![
                (url, far("/file")),
                ("NumberOfConnections", "2".to_owned()),
                ("EnablePerConnectionResults", "true".to_owned()),
                ("DSCP", "46".to_owned()),
                ("EthernetPriority", "5".to_owned()),
            ];
            if object == UPLOAD {
                arguments.push(("TestFileLength", length));
            }
            let arguments: Vec<(&str, &str)> = arguments.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let results = bed.ask(object, &arguments);
            assert_eq!(results.state(), "Complete");
            assert_eq!(results.text("IPAddressUsed"), super::net::DEVICE);
            assert!(
                (2 * FILE as u64..2 * FILE as u64 + 2000).contains(&results.number(bytes)),
                "{results:?}"
            );
            let total = if object == DOWNLOAD { "TotalBytesReceived" } else { "TotalBytesSent" };
            assert!(results.number(total) > 2 * FILE as u64, "the interface counts heads of frames, too");
            for time in ["ROMTime", "BOMTime", "EOMTime", "TCPOpenRequestTime", "TCPOpenResponseTime"] {
                for text in
                    results.column("PerConnectionResult", time).into_iter().chain([results.text(time)])
                {
                    let fraction = text.strip_suffix('Z').and_then(|text| text.split_once('.'));
                    let digits = fraction.map_or("", |(_, digits)| digits);
                    assert!(
                        digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()),
                        "{time}: {text}"
                    );
                }
            }
            assert_eq!(results.text("PerConnectionResultNumberOfEntries"), "2");
            assert_eq!(results.column("PerConnectionResult", bytes).len(), 2);
            assert_eq!(results.text("IncrementalResultNumberOfEntries"), "0");
        }
        // DG-9, and what no test can be.
        let mut session = bed.kicked();
        for (object, name, value) in [
            (DOWNLOAD, "NumberOfConnections", "9"),
            (UPLOAD, "NumberOfConnections", "9"),
            (DOWNLOAD, "NumberOfConnections", "0"),
            (DOWNLOAD, "DSCP", "64"),
            (DOWNLOAD, "EthernetPriority", "8"),
            (DOWNLOAD, "TimeBasedTestDuration", "1000"),
            (DOWNLOAD, "DownloadURL", "ftp://10.92.2.2/file"),
            (UPLOAD, "UploadURL", "ftp://10.92.2.2/file"),
            (DOWNLOAD, "DownloadURL", "http://user:secret@10.92.2.2/file"),
        ] {
            assert_eq!(bed.set(&mut session, object, &[(name, value)]), Err(9007), "{name} {value}");
        }
        for (name, most) in [
            (format!("{DOWNLOAD}DownloadDiagnosticMaxConnections"), "8"),
            (format!("{UPLOAD}UploadDiagnosticsMaxConnections"), "8"),
            (format!("{DOWNLOAD}DownloadTransports"), "HTTP"),
        ] {
            assert_eq!(session.value(&name).as_deref(), Ok(most));
        }
        // An argument is written: the state is None, and the rows are gone.
        assert_eq!(bed.set(&mut session, DOWNLOAD, &[("DSCP", "0")]), Ok(0));
        let results = bed.read(&mut session, DOWNLOAD);
        assert_eq!((results.state(), results.text("PerConnectionResultNumberOfEntries")), ("None", "0"));
        session.end();
    });
}

/// DSCP, ProtocolVersion and Interface (DG-18) are what leaves the device.
// Proves: DG-18
#[test]
fn by_the_way_that_was_asked_for() {
    in_namespaces("throughput::by_the_way_that_was_asked_for", |bed: &mut Bed| {
        serve();
        let wan1 = bed.interface("wan1");
        let sent = |bed: &Bed, device| bed.counter("device", device, "tx_bytes");
        // Only what has the DSCP is in the first class.
        for line in [
            "qdisc add dev wan1 root handle 1: htb default 2",
            "class add dev wan1 parent 1: classid 1:1 htb rate 10gbit",
            "class add dev wan1 parent 1: classid 1:2 htb rate 10gbit",
            "filter add dev wan1 protocol ip parent 1: u32 match ip dsfield 0x28 0xfc flowid 1:1",
        ] {
            bed.at("device", &["tc"].into_iter().chain(line.split(' ')).collect::<Vec<_>>());
        }
        let before = sent(bed, "wan1");
        let length = FILE.to_string();
        let arguments = [
            ("UploadURL", &far("/file")[..]),
            ("TestFileLength", &length),
            ("Interface", &wan1),
            ("DSCP", "10"),
        ];
        let results = bed.ask(UPLOAD, &arguments);
        assert_eq!(results.state(), "Complete");
        assert_eq!(results.text("IPAddressUsed"), "10.92.8.2");
        assert!(sent(bed, "wan1") - before > FILE as u64);
        assert!(results.number("TotalBytesSent") > FILE as u64, "wan1's counter");
        let said = bed.at("device", &["tc", "-s", "class", "show", "dev", "wan1", "classid", "1:1"]);
        let marked = said.split("Sent ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        assert!(marked.is_some_and(|bytes: u64| bytes > FILE as u64), "{said}");
        let six = format!("http://[{FAR6}]/file");
        let results = bed.ask(DOWNLOAD, &[("DownloadURL", &six), ("ProtocolVersion", "IPv6")]);
        assert_eq!((results.state(), results.text("IPAddressUsed")), ("Complete", "fd92::2"));
        let results = bed.ask(DOWNLOAD, &[("DownloadURL", &six), ("ProtocolVersion", "IPv4")]);
        assert_eq!(results.state(), "Error_CannotResolveHostName");
    });
}

// Proves: DG-7, DG-13
#[test]
fn every_error() {
    in_namespaces("throughput::every_error", |bed: &mut Bed| {
        serve();
        hurry(bed);
        let nowhere = format!("http://{UNREACHABLE}/");
        let nobody = format!("http://{NOBODY}/");
        let https = format!("https://{FAR}/");
        for (url, down, up) in [
            ("http://no-such-host.invalid/", "Error_CannotResolveHostName", "Error_CannotResolveHostName"),
            (&nowhere, "Error_NoRouteToHost", "Error_NoRouteToHost"),
            (&nobody, "Error_InitConnectionFailed", "Error_InitConnectionFailed"),
            (&far(":81/refused"), "Error_InitConnectionFailed", "Error_InitConnectionFailed"),
            (&far("/gone"), "Error_NoResponse", "Error_NoResponse"),
            (&far("/401"), "Error_LoginFailed", "Error_LoginFailed"),
            (&far("/404"), "Error_TransferFailed", "Error_NoTransferComplete"),
            (&far("/short"), "Error_IncorrectSize", ""),
            (&far("/stuck"), "Error_Timeout", "Error_Timeout"),
            // No trusted roots are configured.
            (&https, "Error_Internal", "Error_Internal"),
            ("", "Error_Other", "Error_Other"),
        ] {
            assert_eq!(bed.ask(DOWNLOAD, &[("DownloadURL", url)]).state(), down, "{url}");
            if !up.is_empty() {
                let arguments = [("UploadURL", url), ("TestFileLength", "99000000")];
                assert_eq!(bed.ask(UPLOAD, &arguments).state(), up, "{url}");
            }
        }
    });
}

/// DG-3, DG-5: a test with eight connections that get nothing is canceled, and another one begins at once.
#[test]
fn canceled_while_stuck() {
    in_namespaces("throughput::canceled_while_stuck", |bed: &mut Bed| {
        serve();
        for (object, url) in [(DOWNLOAD, "DownloadURL"), (UPLOAD, "UploadURL")] {
            let stuck = far("/stuck");
            bed.request(object, &[(url, &stuck), ("NumberOfConnections", "8")]);
            assert_eq!(bed.state(object), "Requested");
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, object, &[("DiagnosticsState", "Canceled")]), Ok(0));
            assert_eq!(session.value(&format!("{object}DiagnosticsState")).as_deref(), Ok("None"));
            session.end();
            let results = bed.ask(object, &[(url, &far("/file")), ("NumberOfConnections", "1")]);
            assert_eq!(results.state(), "Complete", "{EVENT} is of this one alone");
        }
    });
}
