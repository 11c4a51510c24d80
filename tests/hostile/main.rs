//! The shipped daemon among hostile peers and bad luck: what must not stop it, spin it, fill it, or
//! make it forget or repeat what it promised.

#![allow(dead_code)] // of what it shares with other tests

#[path = "../acs/mod.rs"]
mod acs;
#[path = "../daemon/mod.rs"]
mod daemon;
mod limits;
mod memory;

use acs::{Acs, Incident, Options};
use daemon::{DEADLINE, Daemon};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_cwmpd");
const DOOR: &str =
    "[connection_request]\nlisten = \"127.0.0.1:0\"\nusername = \"caller\"\npassword = \"call-secret\"\n";

/// `[acs]` of an agent whose next attempt after a failure comes in a second.
fn keys(url: &str) -> String {
    format!("url = \"{url}\"\nretry_minimum_wait_interval = 1\nretry_interval_multiplier = 1000\n")
}

fn agent(url: &str, name: &str, rest: &str) -> Daemon {
    let mut daemon = Daemon::new(BINARY, name, &keys(url), rest);
    daemon.start();
    daemon.wait_ready();
    daemon
}

fn status(daemon: &Daemon) -> serde_json::Value {
    let said = daemon.ask(&["status", "--json"]);
    let line: serde_json::Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    line["status"].clone()
}

/// Waits until no session runs.
fn idle(daemon: &Daemon) {
    daemon.wait_for("end of the session", || {
        let status = status(daemon);
        !status["state"].as_str().expect("a text").starts_with("in a session")
            && !status["last_session"].is_null()
    });
}

fn door(daemon: &Daemon) -> Option<String> {
    status(daemon)["connection_request_url"].as_str().map(str::to_owned)
}

/// A port that is free at this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback").port()
}

/// A shell that sends bytes of its own; what the daemon answers.
fn control(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(daemon.folder.0.join("run/cwmpd.sock")).expect("the control socket");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    line
}

/// An ACS that answers each POST with the bytes that a closure gives, and closes.
fn raw_acs(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let url = format!("http://{}/acs", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            if let Some(head) = request(&mut stream) {
                let _ = stream.write_all(&answer(n, &head));
            }
        }
    });
    url
}

/// Reads one request whole; its head.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .to_ascii_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.split("\r\n").next().and_then(|n| n.parse().ok()).unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head)
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn failure(daemon: &Daemon) -> String {
    let mut why = String::new();
    daemon.wait_for("failed session", || {
        why = status(daemon)["last_session"]["failure"].as_str().unwrap_or_default().to_owned();
        !why.is_empty()
    });
    why
}

#[test]
fn lines_on_the_control_socket_that_are_no_requests() {
    let daemon = agent("http://127.0.0.1:9/", "lines", "");
    let nested = [&b"{\"op\":\"get\",\"paths\":"[..], &b"[".repeat(126), &b"]".repeat(126), b"}\n"].concat();
    let long = [&b"{\"op\":\"get\",\"paths\":[\""[..], &b"x".repeat(1 << 20), b"\"]}\n"].concat();
    for bytes in [
        &nested[..],
        &long,
        b"\n",
        b"\xff\xfe\n",
        b"null\n",
        b"{\"op\":\"set\",\"values\":[]}\n",
        b"{\"op\":\"run\"}\n",
    ] {
        let answer = control(&daemon, bytes);
        // What is too long may be cut off before the answer is read.
        assert!(answer.starts_with("{\"error\":") || bytes.len() > 1 << 16, "{answer}");
    }
    // All places taken by shells that say nothing: they are waited for, not asked again and again.
    let silent: Vec<UnixStream> = (0..4)
        .map(|_| UnixStream::connect(daemon.folder.0.join("run/cwmpd.sock")).expect("a connection"))
        .collect();
    drop(silent);
    assert!(!daemon.ask(&["get", "Device.DeviceInfo.UpTime"]).is_empty());
}

#[test]
fn what_an_acs_can_answer_to_an_inform() {
    let soap = "http://schemas.xmlsoap.org/soap/envelope/";
    let deep = format!("<Envelope xmlns='{soap}'><Body>{}", "<a>".repeat(100_000));
    let faults = format!(
        "<Envelope xmlns='{soap}'><Body><Fault><detail><Fault><FaultCode>8005</FaultCode></Fault></detail></Fault></Body></Envelope>"
    );
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (ok(""), "empty response"),
        (ok("<"), "cannot be read"),
        (ok(&deep), "something else than InformResponse"),
        (ok("<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><a>&b;</a>"), "DOCTYPE"),
        (ok(&faults), "8005"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(), "too large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_vec(), "HTTP"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "HTTP"),
        ([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"x".repeat(100_000)].concat(), "too large"),
        (b"HTTP/1.1 302 Found\r\nLocation: /acs\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(), "more than 5 redirects"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n".to_vec(), "no use"),
        (
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", stale=true\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            "refused our user name",
        ),
        (
            [b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"".to_vec(), b"n".repeat(20_000), b"\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()].concat(),
            "without a challenge",
        ),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n".to_vec(), "Basic over http"),
    ];
    for (answer, words) in cases {
        let url = raw_acs(move |_, _| answer.clone());
        let mut daemon = Daemon::new(
            BINARY,
            "answers",
            &(keys(&url) + "username = \"agent\"\npassword = \"open-sesame\"\n"),
            "",
        );
        daemon.start();
        daemon.wait_ready();
        let why = failure(&daemon);
        assert!(why.contains(words), "{words}: {why}");
        assert!(!daemon.log().contains("open-sesame"), "a secret in the log");
        daemon.stop();
    }
}

/// V-3: what was told is told, but a session that failed behind its Inform is owed to the ACS.
// Proves: V-3
#[test]
fn v_3_a_session_that_fails_behind_its_inform_is_tried_again() {
    let acs = Acs::start(Options::default());
    acs.at(2, Incident::Status(500));
    let _daemon = agent(&acs.url(), "owed", "");
    let first = acs.next_session(DEADLINE);
    assert_eq!(first.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    let second = acs.next_session(DEADLINE);
    assert_eq!((second.inform.codes(), second.inform.retry_count), (vec![], 1));
    second.end();
}

/// V-15: a call whose session fails before there is even a connection is not told later.
// Proves: V-15
#[test]
fn v_15_a_call_is_dropped_with_its_session() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs.url(), "dropped", DOOR);
    acs.next_session(DEADLINE).end();
    idle(&daemon);
    let url = door(&daemon).expect("a door");
    let port = acs.url();
    drop(acs);
    let away = Acs::start(Options::default()); // only to call by
    assert_eq!(away.connection_request(&url, "caller", "call-secret"), 200);
    daemon.wait_for("failed session", || status(&daemon)["last_session"]["failure"].is_string());
    let status = status(&daemon);
    assert_eq!(status["pending_events"].as_array().map(Vec::len), Some(0), "{port}: {status}");
}

/// T-8: the ACS says how long its answers may take.
// Proves: T-8
#[test]
fn t_8_session_timeout_replaces_ours() {
    // Ours is 1 s; the ACS says 30 s in its InformResponse, and takes longer than ours for the next.
    let (silence, wait) = std::sync::mpsc::channel::<()>();
    let url = raw_acs(move |n, _| match n {
        0 => ok(concat!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='urn:dslforum-org:cwmp-1-2'>",
            "<s:Header><c:SessionTimeout>30</c:SessionTimeout></s:Header>",
            "<s:Body><c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse></s:Body></s:Envelope>"
        )),
        _ => {
            let _ = wait.recv_timeout(Duration::from_secs(3));
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
        }
    });
    let mut daemon = Daemon::new(BINARY, "patience", &(keys(&url) + "response_timeout = 1\n"), "");
    daemon.start();
    daemon.wait_ready();
    idle(&daemon);
    let status = status(&daemon);
    assert_eq!(status["last_session"]["failure"], serde_json::Value::Null, "{status}");
    drop(silence);
}

/// R-SYS-5: a reset that was promised and cut off is done before any session.
// Proves: R-SYS-5
#[test]
fn r_sys_5_a_promised_reset_comes_before_the_next_session() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs.url(), "reset", "");
    let mut session = acs.next_session(DEADLINE);
    session
        .set(&[("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "777")], "key")
        .expect("set");
    session.factory_reset().expect("promised");
    daemon.kill(); // in the middle of the session
    drop(session);
    daemon.start();
    let session = acs.next_session(DEADLINE);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.inform.value("Device.ManagementServer.ParameterKey"), Some(""));
    session.end();
}

/// R-SYS-1: where nothing of a reboot shows but that the daemon was started again (a container), it
/// is a boot all the same, and not a reason to boot once more.
// Proves: R-SYS-1
#[test]
fn r_sys_1_a_reboot_that_leaves_run_dir_is_one_reboot() {
    let acs = Acs::start(Options::default());
    let folder = daemon::Folder::new("rebooted");
    let count = folder.0.join("count");
    let script = folder.0.join("boot");
    fs::write(&script, "#!/bin/sh\necho x >> \"$1\"\n").expect("a script");
    // A port of its own, so that the URL is the same after the restart.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let commands = format!(
        "[connection_request]\nlisten = \"127.0.0.1:{port}\"\n[commands]\nreboot = [\"/bin/sh\", \"{}\", \"{}\"]\nfactory_reset = []\n",
        script.display(),
        count.display()
    );
    let mut daemon = agent(&acs.url(), "container", &commands);
    let mut session = acs.next_session(DEADLINE);
    session.reboot("why").expect("promised");
    session.end();
    daemon.wait_for("reboot command", || count.exists());
    // The command has ended when the daemon takes messages again.
    idle(&daemon);
    daemon.wait_for("its end", || !daemon.ask(&["get", "Device.DeviceInfo.UpTime"]).is_empty());
    daemon.kill();
    daemon.start();
    let session = acs.next_session(DEADLINE);
    assert_eq!(session.inform.codes(), ["1 BOOT", "M Reboot"]);
    session.end();
    idle(&daemon);
    assert_eq!(fs::read_to_string(&count).expect("a file"), "x\n", "one reboot");
}

/// CR-14, SIGHUP: where calls are taken follows the configuration, and a port that cannot be had
/// does not cost the one that is open.
// Proves: CR-14
#[test]
fn cr_14_the_port_follows_the_configuration() {
    let acs = Acs::start(Options::default());
    let listen = |port: u16| {
        format!("[connection_request]\nlisten = \"127.0.0.1:{port}\"\nusername = \"u\"\npassword = \"p\"\n")
    };
    let (first, second) = (free_port(), free_port());
    let daemon = agent(&acs.url(), "moves", &listen(first));
    acs.next_session(DEADLINE).end();
    idle(&daemon);
    assert!(door(&daemon).expect("a door").contains(&format!(":{first}/")));
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    daemon.configure(&keys(&acs.url()), &listen(taken.local_addr().expect("an address").port()));
    daemon.reload();
    daemon.wait_for("word about the taken port", || daemon.log().contains("cannot be taken at"));
    let url = door(&daemon).expect("the door that was open");
    assert_eq!(acs.connection_request(&url, "u", "p"), 200);
    acs.next_session(DEADLINE).end();
    idle(&daemon);
    daemon.configure(&keys(&acs.url()), &listen(second));
    daemon.reload();
    daemon.wait_for("other door", || door(&daemon).is_some_and(|url| url.contains(&format!(":{second}/"))));
    assert!(TcpStream::connect(("127.0.0.1", first)).is_err() || first == second, "the first is closed");
}

/// GW-10: what goes wrong in every session fills neither memory nor `status`.
#[test]
fn notes_of_the_same_kind_are_one_note() {
    let acs = Acs::start(Options::default());
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let rest = format!("[connection_request]\nlisten = \"{}\"\n", taken.local_addr().expect("an address"));
    let daemon = agent(&acs.url(), "notes", &rest);
    for _ in 0..3 {
        acs.next_session(DEADLINE).end();
        idle(&daemon);
        daemon.ask(&["inform"]);
    }
    let notes = status(&daemon)["notes"].clone();
    let same = notes
        .as_array()
        .expect("a list")
        .iter()
        .filter(|n| n.as_str().is_some_and(|n| n.contains("cannot be taken")));
    assert_eq!(same.count(), 1, "{notes}");
}

/// R-GEN-5: a FactoryReset that was answered with a fault is not done at the next start.
// Proves: R-GEN-5
#[test]
fn r_gen_5_what_could_not_be_promised_is_not_kept_later() {
    let acs = Acs::start(Options::default());
    // Ignored signals stay ignored in a child: a file that may not grow is an error and no signal.
    let folder = daemon::Folder::new("wrapper");
    let wrapper = folder.0.join("cwmpd");
    fs::write(&wrapper, format!("#!/bin/sh\ntrap '' XFSZ\nexec {BINARY} \"$@\"\n")).expect("a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o700)).expect("its mode");
    let mut daemon = Daemon::new(&wrapper, "full", &keys(&acs.url()), DOOR);
    daemon.start();
    let mut session = acs.next_session(DEADLINE);
    // The disk is gone: nothing can be appended, nothing written anew.
    limit(daemon.pid(), "--fsize=0:unlimited");
    assert!(session.factory_reset().is_err(), "no promise without a disk");
    assert!(session.reboot("x").is_err());
    assert!(session.schedule_inform(3000, "later").is_err());
    // R-SPV-27: what cannot be kept is refused, and nothing of it is left behind.
    const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
    const ROWS: &str = "Device.ManagementServer.InformParameter.";
    let refused = session.set(&[(CODE, "xsd:string", "lost")], "lost").expect_err("no disk");
    assert_eq!(refused.code, 9002, "{refused:?}");
    assert_eq!(session.add(ROWS, "lost").expect_err("no disk").code, 9002);
    let active = acs::Attributes { name: CODE.into(), notification: Some(1), access_list: Some(Vec::new()) };
    assert_eq!(session.set_attributes(&[active]).expect_err("no disk").code, 9002);
    assert_eq!(session.value(CODE).expect("a value"), "");
    assert_eq!(session.value("Device.ManagementServer.ParameterKey").expect("a value"), "");
    assert_eq!(session.names(ROWS, true).expect("names"), []);
    limit(daemon.pid(), "--fsize=unlimited");
    let (row, _) = session.add(ROWS, "row").expect("a row");
    session.delete(&format!("{ROWS}{row}."), "row").expect("deleted");
    session
        .set(&[("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "777")], "key")
        .expect("set");
    session.end();
    idle(&daemon);
    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    let value = daemon.ask(&["get", "Device.ManagementServer.PeriodicInformInterval"]);
    assert!(value.contains("=777"), "not reset: {value}");
    assert!(!daemon.log().contains("reboot, as the ACS asked"));
}

/// Sets a resource limit of a running process.
fn limit(pid: u32, what: &str) {
    let done = std::process::Command::new("prlimit").args([&format!("--pid={pid}"), what]).status();
    assert!(done.expect("prlimit").success());
}

/// A descriptor shortage makes no place spin, and is over when it is over.
#[test]
fn without_descriptors_it_waits() {
    let daemon = agent("http://127.0.0.1:9/", "fds", DOOR);
    // Whatever it holds now: the next descriptor would be 3 or more.
    limit(daemon.pid(), "--nofile=3:4096");
    let waiting = UnixStream::connect(daemon.folder.0.join("run/cwmpd.sock")).expect("the backlog");
    daemon.wait_for("word about it", || daemon.log().contains("control socket: "));
    // It says so once a second at most, not once a turn of a spinning loop.
    let said = daemon.log().matches("control socket: ").count();
    assert!(said < 20, "{said} times");
    limit(daemon.pid(), "--nofile=4096:4096");
    drop(waiting);
    assert!(!daemon.ask(&["get", "Device.DeviceInfo.UpTime"]).is_empty());
}

/// The whole answer also when the ACS reads slowly and stops reading, and a stop in the middle.
#[test]
fn a_stop_in_the_middle_of_an_answer_nobody_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let mut daemon = agent(&url, "stuck", "");
    let (mut stream, _) = listener.accept().expect("the agent");
    request(&mut stream).expect("an Inform");
    let soap = |body: &str| {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='urn:dslforum-org:cwmp-1-2'><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let say = |stream: &mut TcpStream, body: String| {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).expect("sent");
    };
    say(&mut stream, soap("<c:InformResponse/>"));
    request(&mut stream).expect("an empty POST");
    // Every value of the tree a thousand times: more than any socket's buffers.
    let names = "<string>Device.</string>".repeat(1000);
    say(
        &mut stream,
        soap(&format!(
            "<c:GetParameterValues><ParameterNames>{names}</ParameterNames></c:GetParameterValues>"
        )),
    );
    let mut some = [0; 4096];
    stream.read_exact(&mut some).expect("it has begun");
    // A shell is served meanwhile.
    assert!(!daemon.ask(&["get", "Device.DeviceInfo.UpTime"]).is_empty());
    let took = daemon.stop();
    assert!(took < DEADLINE);
}
