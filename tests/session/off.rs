//! EnableCWMP: put off, nothing goes out and nobody is let in, until somebody at the device says so.

use crate::acs::{Acs, Options};
use crate::{SOON, agent, call, call_url, failure, status, text, until};
use std::net::TcpStream;

const ENABLE: &str = "Device.ManagementServer.EnableCWMP";

/// C-30: the session in which it is put off ends as any other; then not even what waits is told.
// Proves: C-30
#[test]
fn c_30_put_off_through_a_restart() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "put-off");
    let url = call_url(&daemon);
    let address = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    let mut session = acs.next_session(SOON);
    session.set(&[(ENABLE, "xsd:boolean", "0")], "").expect("put off");
    assert_eq!(session.value(ENABLE).as_deref(), Ok("false"), "the session goes on");
    session.end();
    until(&daemon, "end of the session", |s| text(s, "state").starts_with("EnableCWMP"));
    assert_eq!(failure(&daemon), None, "it ends normally");
    daemon.wait_for("closed port", || TcpStream::connect(&address).is_err());
    let policy = "Device.ManagementServer.HeartbeatPolicy.Enable=true";
    daemon.ask(&["set", policy, "Device.DeviceInfo.ProvisioningCode=local"]);
    for boot in [false, true] {
        match boot {
            true => daemon.reboot(),
            false => daemon.kill(),
        }
        daemon.start();
        daemon.wait_ready();
        assert!(TcpStream::connect(&address).is_err(), "boot: {boot}");
        let status = status(&daemon);
        assert!(text(&status, "state").starts_with("EnableCWMP"), "{status}");
        assert!(status["next_session"].is_null() && status["next_heartbeat"].is_null(), "{status}");
    }
    assert_eq!(acs.sessions(), 1, "C-30");
    daemon.ask(&["set", &format!("{ENABLE}=true"), "Device.ManagementServer.HeartbeatPolicy.Enable=false"]);
    let session = acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["1 BOOT", "4 VALUE CHANGE"]);
    session.end();
}

/// C-30: who called before it was put off is not called back when it is put on again.
// Proves: C-30
#[test]
fn c_30_a_call_of_before() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "call-of-before");
    let mut session = acs.next_session(SOON);
    session.set(&[(ENABLE, "xsd:boolean", "0")], "").expect("put off");
    call(&acs, &daemon);
    session.end();
    until(&daemon, "end of the session", |s| text(s, "state").starts_with("EnableCWMP"));
    daemon.ask(&["set", &format!("{ENABLE}=true")]);
    until(&daemon, "open port", |s| s["connection_request_url"].is_string());
    daemon.ask(&["set", "Device.DeviceInfo.ProvisioningCode=local"]);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    session.end();
}

/// C-30: put off by a person while the ACS is called: the call finds nobody.
// Proves: C-30
#[test]
fn c_30_put_off_by_hand() {
    let acs = Acs::start(Options::default());
    let daemon = crate::settled(&acs, "put-off-by-hand");
    let url = call_url(&daemon);
    let address = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    daemon.ask(&["set", &format!("{ENABLE}=false")]);
    daemon.wait_for("closed port", || TcpStream::connect(&address).is_err());
    until(&daemon, "empty URL", |s| s["connection_request_url"].is_null());
    assert_eq!(daemon.cli(&["inform"]).status.code(), Some(1), "refused with its reason");
    daemon.ask(&["set", &format!("{ENABLE}=true")]);
    call(&acs, &daemon);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"]);
    assert_eq!(session.inform.value("Device.ManagementServer.ConnectionRequestURL"), Some(&*url));
    session.end();
}
