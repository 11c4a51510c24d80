//! Several ACSs in order: the next of the list after some failures, round and round, and back.

use crate::acs::{Acs, Incident, Options, Tls};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_at, kicked, over, status, text};
use std::net::{SocketAddr, TcpListener};

const URL: &str = "Device.ManagementServer.URL";

/// An address at which nobody listens yet.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound")
}

fn at(address: SocketAddr) -> String {
    format!("http://{address}/acs")
}

/// An agent with ACSs in this order, two failures before a move.
fn agent(urls: &[&str], name: &str, more: &str) -> Daemon {
    let others: Vec<String> = urls[1..].iter().map(|u| format!("{u:?}")).collect();
    let list = format!("fallback_urls = [{}]\nfallback_after = 2\n{more}", others.join(", "));
    let mut daemon = agent_at(urls[0], name, &list);
    daemon.start();
    daemon
}

/// C-22, C-24, V-8, S-5: the rules of TLS and the waits hold for each of the list; whoever answers is told
/// what waits, and is no new ACS; ManagementServer.URL stays what it is.
// Proves: V-8
#[test]
fn v_8_round_and_round_and_back() {
    let (first, second) = (nobody(), Acs::start(Options::default()));
    let untrusted = Acs::start(Options { tls: Some(Tls::default()), ..Options::default() });
    let daemon = agent(&[&at(first), &untrusted.url(), &second.url()], "round", "");
    let mut session = second.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.inform.retry_count, 4, "two failures each");
    assert_eq!(session.value(URL), Ok(at(first)), "a move alters nothing");
    session.end();
    over(&daemon);
    assert_eq!(untrusted.sessions(), 0, "S-5");
    let said = status(&daemon);
    assert_eq!((text(&said, "acs_url"), text(&said, "acs_in_use")), (&*at(first), &*second.url()));
    assert!(daemon.ask(&["status"]).contains("ACS in use"));
    assert!(daemon.log().contains(&format!("is tried with {}", second.url())));
    let session = kicked(&second, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-8: known by now");
    session.end();
    over(&daemon);
    // It fails as well, and the first has come back: no 0 BOOTSTRAP there either.
    let acs = Acs::start(Options { address: first, ..Options::default() });
    (0..2).for_each(|_| second.at(1, Incident::Status(500)));
    daemon.ask(&["inform"]);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-8: a move for failure is no bootstrap");
    assert_eq!(session.inform.retry_count, 2);
    session.end();
    over(&daemon);
    assert!(status(&daemon)["acs_in_use"].is_null());
}

/// A start begins with the first of the list.
#[test]
fn a_start_begins_with_the_first() {
    let (first, second) = (nobody(), Acs::start(Options::default()));
    let mut daemon = agent(&[&at(first), &second.url()], "begins", "");
    second.next_session(SOON).end();
    over(&daemon);
    daemon.kill();
    let acs = Acs::start(Options { address: first, ..Options::default() });
    daemon.start();
    daemon.wait_ready();
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    session.end();
}

/// Fewer failures than `acs.fallback_after` in a row are no reason to move.
#[test]
fn one_failure_is_not_enough() {
    let (first, second) = (Acs::start(Options::default()), Acs::start(Options::default()));
    let daemon = agent(&[&first.url(), &second.url()], "enough", LONG_WAIT);
    first.next_session(SOON).end();
    over(&daemon);
    for _ in 0..3 {
        first.at(1, Incident::Status(503));
        daemon.ask(&["inform"]);
        daemon.wait_for("failure", || status(&daemon)["retry_count"] == 1);
        kicked(&first, &daemon).end();
        over(&daemon);
    }
    assert_eq!(second.sessions(), 0);
}

/// V-8, V-9: another ManagementServer.URL, set while a fallback is in use, is another ACS, and the first of
/// the list. It is on trial: while it does not answer nobody else of the list is asked.
// Proves: V-8
#[test]
fn v_8_another_url_begins_anew() {
    let (first, second) = (nobody(), Acs::start(Options::default()));
    let daemon = agent(&[&at(first), &second.url()], "anew", "");
    let mut session = second.next_session(SOON);
    let new = Acs::start(Options::default());
    (0..3).for_each(|_| new.at(1, Incident::Status(404)));
    session.set(&[(URL, "xsd:string", &new.url())], "").expect("set");
    session.end();
    for n in 1..4 {
        daemon.wait_for("failure", || status(&daemon)["retry_count"].as_u64() >= Some(n));
        daemon.ask(&["inform"]);
    }
    let session = new.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"], "V-8");
    session.end();
    over(&daemon);
    assert_eq!(second.sessions(), 1);
    let said = status(&daemon);
    assert_eq!((text(&said, "acs_url"), &said["acs_in_use"]), (&*new.url(), &serde_json::Value::Null));
    // Its own fallback is the same list.
    (0..2).for_each(|_| new.at(1, Incident::Status(500)));
    daemon.ask(&["inform"]);
    let session = second.next_session(SOON);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-8");
    session.end();
}
