//! `listen = "auto"` while the device's address changes: in a network namespace of the test's own, made by
//! unshare(1) and ip(8). Without them, or where namespaces are not allowed, the test says so.

use crate::acs::{Acs, Options};
use crate::{SOON, agent_at, call, call_url, keys, over, sections};
use std::net::SocketAddr;
use std::process::Command;

const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
/// Set in the process that runs inside.
const INSIDE: &str = "CWMPD_TEST_INSIDE";

/// Runs a test of this program again in a namespace of its own, and `dialogue` there.
fn in_a_namespace(test: &str, dialogue: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return dialogue();
    }
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", program]).env(INSIDE, "1");
        command
    };
    let allowed = unshare("ip").args(["link", "set", "lo", "up"]).output();
    if !allowed.is_ok_and(|o| o.status.success()) {
        eprintln!("{test} is SKIPPED: no network namespaces here");
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let status = unshare(own.to_str().expect("a path")).args([test, "--exact", "--nocapture"]).status();
    assert!(status.expect("unshare runs").success(), "{test}, in its namespace");
}

#[track_caller]
fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("ip runs");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The agent reaches the ACS by this address of its own.
fn source(address: &str) {
    ip(&format!("route change table local local 198.51.100.1 dev lo src {address}"));
}

/// CR-15, CR-18: the port moves with the address by which the ACS is reached, and the ACS is told.
// Proves: CR-15, CR-18
#[test]
fn cr_18_a_new_address() {
    in_a_namespace("address::cr_18_a_new_address", || {
        ip("link set lo up");
        ip("addr add 198.51.100.1/32 dev lo");
        ip("addr add 192.0.2.10/32 dev lo");
        source("192.0.2.10");
        let address = SocketAddr::from(([198, 51, 100, 1], 0));
        let acs = Acs::start(Options { address, ..Options::default() });
        let mut daemon = agent_at(&acs.url(), "address", "");
        let lines = sections();
        let sections: Vec<&str> = lines.lines().filter(|line| !line.starts_with("listen")).collect();
        daemon.configure(&keys(&acs.url()), &sections.join("\n"));
        daemon.start();
        let session = acs.next_session(SOON);
        let before = session.inform.value(URL).expect("a URL").to_owned();
        assert!(before.starts_with("http://192.0.2.10:7547/"), "{before}");
        session.end();
        over(&daemon);
        ip("addr add 192.0.2.11/32 dev lo");
        source("192.0.2.11");
        ip("addr del 192.0.2.10/32 dev lo");
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "CR-15");
        let after = before.replace("192.0.2.10", "192.0.2.11");
        assert_eq!(session.inform.value(URL), Some(after.as_str()), "the path stays");
        session.end();
        over(&daemon);
        assert_eq!(call_url(&daemon), after);
        call(&acs, &daemon);
        assert_eq!(acs.next_session(SOON).inform.codes(), ["6 CONNECTION REQUEST"]);
    });
}
