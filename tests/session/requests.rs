//! Connection requests at the daemon's own port.

use crate::acs::{Acs, Incident, Options, get, raw};
use crate::{SOON, agent, agent_at, call, call_url, keys, over, sections, settled, status, text};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const ENABLE: &str = "Device.ManagementServer.HTTPConnectionRequestEnable";

/// The address in a ConnectionRequestURL.
fn address(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().expect("a host")
}

/// C-2, V-4, CR-1, CR-8, CR-9, CR-15: the URL that the Inform shows takes calls; the path stays after a restart.
// Proves: C-2, V-4, I-3, CR-1, CR-8, CR-9, CR-15
#[test]
fn cr_1_the_url_of_the_inform() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "url");
    let mut session = acs.next_session(SOON);
    let url = session.inform.value(URL).expect("I-3").to_string();
    assert_eq!(session.value(URL).as_deref(), Ok(url.as_str()));
    assert!(url.rsplit('/').next().expect("a path").len() >= 16, "CR-1: {url}");
    session.end();
    over(&daemon);
    assert_eq!(acs.connection_request(&url, "caller", "call-secret"), 200, "CR-8");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"], "CR-9");
    session.end();
    over(&daemon);
    daemon.stop();
    daemon.start();
    assert_eq!(call_url(&daemon), url);
    call(&acs, &daemon);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"]);
    session.end();
}

/// CR-2, CR-4, CR-5, CR-6, GW-14: who may not call does not.
// Proves: CR-2, CR-4, CR-5, CR-6
#[test]
fn cr_4_who_may_not_call() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "strangers");
    let url = call_url(&daemon);
    assert_eq!(acs.connection_request(&url, "caller", "wrong"), 401, "CR-4");
    assert_eq!(acs.connection_request(&url, "stranger", "call-secret"), 401, "CR-4");
    let challenge = get(&url, None);
    let said = challenge.all("WWW-Authenticate");
    assert!(said.iter().all(|c| c.starts_with("Digest ") && c.contains("qop=")), "CR-5, CR-6: {said:?}");
    let basic = get(&url, Some("Basic Y2FsbGVyOmNhbGwtc2VjcmV0"));
    assert_eq!(basic.status(), Some(401), "CR-5");
    let elsewhere = format!("http://{}/elsewhere", address(&url));
    assert_eq!(get(&elsewhere, None).status(), Some(404), "CR-2");
    let path = url.rsplit_once('/').expect("a path").1;
    let post = format!("POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let answer = String::from_utf8_lossy(&raw(&url, post.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.1 405"), "CR-2: {answer}");
    raw(&url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(status(&daemon)["pending_events"], serde_json::json!([]));
    assert_eq!(acs.sessions(), 1, "none of them started a session");
    call(&acs, &daemon);
    acs.next_session(SOON).end();
}

/// CR-17: without credentials nobody may call.
// Proves: CR-17
#[test]
fn cr_17_no_credentials() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "no-credentials", "");
    let sections = sections().replace("\"caller\"", "\"\"").replace("\"call-secret\"", "\"\"");
    daemon.configure(&keys(&acs.url()), &sections);
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    let status = acs.connection_request(&call_url(&daemon), "", "");
    assert!([401, 403, 404, 503].contains(&status), "CR-17: {status}");
    assert_eq!(acs.sessions(), 1);
}

/// C-1, CR-11: a call during a session does not cut it; a session of its own follows.
// Proves: C-1, CR-11
#[test]
fn cr_11_during_a_session() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "during");
    let mut session = acs.next_session(SOON);
    session.get(&["Device.DeviceInfo."]).expect("values");
    call(&acs, &daemon);
    session.get(&["Device.DeviceInfo."]).expect("CR-11: it goes on");
    assert_eq!(acs.sessions(), 1, "C-1");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"], "CR-11");
    session.end();
    over(&daemon);
    assert_eq!(acs.sessions(), 2);
}

/// CR-11: answered at once also while the ACS is silent and the engine waits for it.
// Proves: CR-11
#[test]
fn cr_11_while_the_acs_is_silent() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "silent");
    acs.at(1, Incident::Silence);
    daemon.ask(&["inform"]);
    daemon.wait_for("session", || text(&status(&daemon), "state").starts_with("in a session"));
    call(&acs, &daemon);
    acs.release();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "its Inform was sent before");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"]);
    session.end();
}

/// CR-10, V-5: five calls before a session make one session with one event.
// Proves: V-5, CR-10
#[test]
fn cr_10_five_at_once() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "five");
    daemon.ask(&["inform"]);
    let mut session = acs.next_inform(SOON);
    let url = call_url(&daemon);
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(acs.connection_request(&url, "caller", "call-secret"), 200));
        }
    });
    session.answer_inform();
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"], "V-5");
    session.end();
    over(&daemon);
    assert_eq!(acs.sessions(), 3, "CR-10");
}

/// CR-12: too many are refused, without Retry-After.
// Proves: CR-12
#[test]
fn cr_12_too_many() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "too-many", "");
    let sections = sections().replace("burst = 100", "burst = 2\nrefill = 3600");
    daemon.configure(&keys(&acs.url()), &sections);
    daemon.start();
    let session = acs.next_session(SOON);
    let url = session.inform.value(URL).expect("a URL").to_string();
    let answers: Vec<u16> = (0..4).map(|_| acs.connection_request(&url, "caller", "call-secret")).collect();
    assert_eq!(answers, [200, 200, 503, 503], "CR-12");
    session.end();
    acs.next_session(SOON).end();
}

/// CR-14, CR-15: put off, the port is closed and the URL empty, and the ACS is told; put on, it comes back.
// Proves: CR-14
#[test]
fn cr_14_put_off_and_on() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "put-off");
    let mut session = acs.next_session(SOON);
    let url = session.inform.value(URL).expect("a URL").to_string();
    session.set(&[(ENABLE, "xsd:boolean", "0")], "").expect("put off");
    session.end();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "CR-15");
    assert_eq!(session.inform.value(URL), Some(""), "CR-14");
    daemon.wait_for("closed port", || TcpStream::connect(address(&url)).is_err());
    session.set(&[(ENABLE, "xsd:boolean", "1")], "").expect("put on");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "CR-15");
    assert_eq!(session.inform.value(URL), Some(url.as_str()));
    session.end();
    over(&daemon);
    call(&acs, &daemon);
    acs.next_session(SOON).end();
}

/// S-21, R-SPV-25: new credentials for calls hold from the next session on.
// Proves: S-21, CR-4, R-SPV-25
#[test]
fn cr_4_new_credentials() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "new-credentials");
    let mut session = acs.next_session(SOON);
    let password = "Device.ManagementServer.ConnectionRequestPassword";
    session.set(&[(password, "xsd:string", "fresh")], "").expect("set");
    session.end();
    over(&daemon);
    let url = call_url(&daemon);
    daemon.wait_for("new password", || acs.connection_request(&url, "caller", "fresh") == 200);
    assert_eq!(acs.connection_request(&url, "caller", "call-secret"), 401);
    acs.next_session(SOON).end();
}

/// CR-13, CR-18: by default port 7547 of the address by which the ACS is reached, from the first Inform on.
// Proves: CR-13, CR-18
#[test]
fn cr_13_the_default_port() {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, 7547)).is_err() {
        eprintln!("skipped: port 7547 of 127.0.0.1 is taken by another process of this machine");
        return;
    }
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "auto", "");
    let lines = sections();
    let sections: Vec<&str> = lines.lines().filter(|line| !line.starts_with("listen")).collect();
    daemon.configure(&keys(&acs.url()), &sections.join("\n"));
    daemon.start();
    let session = acs.next_session(SOON);
    let url = session.inform.value(URL).expect("a URL").to_string();
    assert!(url.starts_with("http://127.0.0.1:7547/"), "CR-13, CR-18: {url}");
    session.end();
    over(&daemon);
    call(&acs, &daemon);
    let mut session = acs.next_session(SOON);
    session.set(&[(ENABLE, "xsd:boolean", "0")], "").expect("put off");
    session.end();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.value(URL), Some(""), "CR-14");
    session.set(&[(ENABLE, "xsd:boolean", "1")], "").expect("put on");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "CR-15");
    assert_eq!(session.inform.value(URL), Some(url.as_str()), "CR-14: it comes back");
    session.end();
}
