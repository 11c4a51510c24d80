//! Signals: SIGTERM ends the daemon whatever it waits for, SIGHUP reads the configuration again.

use crate::acs::{Acs, Incident, Options, Tls};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_at, call_url, keys, kicked, over, sections, settled};
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};

const URL: &str = "Device.ManagementServer.URL";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// Ends in order, not by the way out for an engine that hangs.
#[track_caller]
fn stops(daemon: &mut Daemon) {
    daemon.stop();
    assert!(!daemon.log().contains("did not stop in time"), "{}", daemon.log());
    assert!(!daemon.folder.0.join("run/cwmpd.sock").exists(), "the control socket is gone");
}

/// Stopped with nothing to do, in the middle of a session, and while the ACS is silent; what was
/// not delivered is told at the next start, without a retry wait and not as a boot.
#[test]
fn stop_in_a_session() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "stop");
    stops(&mut daemon);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    session.value(CODE).expect("a value");
    stops(&mut daemon);
    drop(session);
    daemon.start();
    daemon.wait_ready();
    acs.at(1, Incident::Silence);
    let before = acs.log().len();
    daemon.ask(&["set", &format!("{CODE}=changed")]);
    daemon.wait_for("Inform", || acs.log().len() > before);
    stops(&mut daemon);
    // The silent Inform comes through to the test, now that the agent is gone.
    acs.release();
    drop(acs.next_inform(SOON));
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    assert_eq!(session.inform.retry_count, 0, "C-29");
    session.end();
}

/// The agent's connection to a listener of the test.
#[track_caller]
fn accept(listener: &TcpListener, daemon: &Daemon) -> TcpStream {
    listener.set_nonblocking(true).expect("a mode");
    let mut taken = None;
    daemon.wait_for("connection", || {
        taken = listener.accept().ok();
        taken.is_some()
    });
    let (stream, _) = taken.expect("just taken");
    stream.set_nonblocking(false).expect("a mode");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// In the middle of a TLS handshake with an ACS that says nothing.
#[test]
fn stop_in_a_handshake() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}/acs", silent.local_addr().expect("bound"));
    let some = Acs::start(Options { tls: Some(Tls::default()), ..Options::default() });
    let mut daemon = agent_at(&url, "handshake", "");
    let ca = daemon.folder.0.join("ca.pem");
    fs::write(&ca, &some.identity().ca).expect("a file");
    daemon.configure(&(keys(&url) + LONG_WAIT + &format!("ca_file = \"{}\"\n", ca.display())), &sections());
    daemon.start();
    let mut peer = accept(&silent, &daemon);
    let mut first = [0; 1];
    peer.read_exact(&mut first).expect("ClientHello");
    assert_eq!(first, [0x16], "S-1: TLS and nothing else");
    stops(&mut daemon);
}

/// In the middle of a long answer that the ACS does not read.
#[test]
fn stop_while_the_acs_does_not_read() {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/acs", listener.local_addr().expect("bound"));
    let mut daemon = agent_at(&url, "unread", LONG_WAIT);
    let folder = daemon.folder.0.join("overlays");
    fs::create_dir_all(&folder).expect("a folder");
    let value = "x".repeat(4000);
    let rows: String =
        (0..200).map(|n| format!("P{n} = {{ type = \"string\", const = \"{value}\" }}\n")).collect();
    fs::write(folder.join("long.toml"), format!("[\"Device.X_00D09E_Long.\"]\n{rows}")).expect("an overlay");
    daemon.start();
    let mut stream = BufReader::new(accept(&listener, &daemon));
    let mut post = || {
        let (mut length, mut line) = (0, String::new());
        while {
            line.clear();
            stream.read_line(&mut line).expect("a head") > 2
        } {
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().expect("a length");
            }
        }
        stream.read_exact(&mut vec![0; length]).expect("a body");
        stream.get_ref().try_clone().expect("a stream")
    };
    let envelope = |body: &str| {
        let xml = format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
             <s:Header/><s:Body>{body}</s:Body></s:Envelope>"
        );
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{xml}", xml.len())
    };
    let informed = envelope("<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>");
    post().write_all(informed.as_bytes()).expect("sent");
    let ask = "<c:GetParameterValues><ParameterNames>".to_string()
        + &"<string>Device.X_00D09E_Long.</string>".repeat(60)
        + "</ParameterNames></c:GetParameterValues>";
    post().write_all(envelope(&ask).as_bytes()).expect("sent");
    // The first of it comes; the rest, some tens of megabytes, is never read.
    let mut begun = String::new();
    stream.read_line(&mut begun).expect("an answer begins");
    assert!(begun.starts_with("POST "), "{begun}");
    stops(&mut daemon);
}

/// SIGHUP: the file's own value is taken when it is a new one; what the ACS set wins until then.
#[test]
fn reload_takes_what_is_new() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    let interval = "Device.ManagementServer.PeriodicInformInterval";
    let sections = sections();
    let mut daemon = agent_at(&acs.url(), "reload", "");
    daemon.configure(&keys(&acs.url()), &sections);
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.set(&[(interval, "xsd:unsignedInt", "5000")], "").expect("set");
    session.end();
    over(&daemon);
    let url = call_url(&daemon);
    let again = |times: usize| {
        daemon.reload();
        daemon.wait_for("reload", || daemon.log().matches("configuration read again").count() == times);
    };
    // Nothing is new but what the ACS does not know of.
    daemon.configure(&(keys(&acs.url()) + "response_timeout = 40\n"), &sections);
    again(1);
    assert_eq!(daemon.ask(&["get", interval]), format!("{interval}=5000\n"));
    // The file's own value is another than before: it wins.
    let more = "periodic_inform_interval = 7000\n";
    daemon.configure(&(keys(&acs.url()) + more), &sections.replace("call-secret", "call-2"));
    again(2);
    assert_eq!(daemon.ask(&["get", interval]), format!("{interval}=7000\n"));
    daemon.wait_for("new password", || acs.connection_request(&url, "caller", "call-2") == 200);
    acs.next_session(SOON).end();
    over(&daemon);
    // A file with a mistake changes nothing, and it is said why.
    daemon.configure("url = 5", &sections);
    daemon.reload();
    daemon.wait_for("refusal", || daemon.log().contains("was not taken over"));
    assert!(daemon.ask(&["status"]).contains("was not taken over"));
    assert_eq!(daemon.ask(&["get", URL]), format!("{URL}={}\n", acs.url()));
    // Another ACS: V-8.
    daemon.configure(&(keys(&other.url()) + more), &sections);
    again(3);
    let session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"], "V-8, V-10");
    session.end();
}

/// SIGHUP during a session changes nothing of it.
// Proves: S-22
#[test]
fn reload_in_a_session() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    let sections = sections();
    let mut daemon = agent_at(&acs.url(), "reload-in", "");
    daemon.configure(&keys(&acs.url()), &sections);
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.value(CODE).expect("the Inform is delivered");
    daemon.configure(&keys(&other.url()), &sections);
    daemon.reload();
    daemon.wait_for("reload", || daemon.log().contains("configuration read again"));
    session.value(CODE).expect("S-22: it goes on");
    session.end();
    let session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"], "V-10");
    session.end();
    assert_eq!(acs.sessions(), 1);
}
