//! The second ring: the shipped daemon against a scripted ACS, over real sockets. Each test reads as
//! a dialogue and names the rules it is about. Nothing here waits by the clock: every wait is for an
//! event, and has a deadline that only says when a test gives up.

#[path = "../acs/mod.rs"]
mod acs;
mod address;
mod alias;
mod attributes;
mod boot;
mod compression;
#[path = "../daemon/mod.rs"]
mod daemon;
mod delayed_reboot;
mod discovery;
mod fallback;
mod firmware_rows;
mod heartbeat;
mod inconvenient;
mod notification;
mod objects;
mod off;
mod own_requests;
mod promised;
mod reading;
mod reboot;
mod requests;
mod restart;
mod retry;
mod shell;
mod statistics;
mod stop;
mod throttle;
mod tls;
mod transport;
mod trial;
mod values;
mod versions;
mod wire_rules;

use acs::{Acs, Session};
use daemon::Daemon;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// When a test gives up.
const SOON: Duration = Duration::from_secs(30);

/// Every test's agent, unless it says otherwise: who it is, and where connection requests are taken.
/// The port is one that this process has not used and that nobody listens at; a port below those
/// that the kernel gives away stays free while the agent is down.
fn sections() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port = loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() as u16 % 200) * 100 + number % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break port;
        }
    };
    format!(
        "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\nproduct_class = \"Box\"\n\
         serial_number = \"S1\"\nsoftware_version = \"1.2.3\"\nhardware_version = \"h1\"\n\
         [connection_request]\nlisten = \"127.0.0.1:{port}\"\nusername = \"caller\"\n\
         password = \"call-secret\"\nburst = 100\n"
    )
}

/// A wait after a failure that no test sits out: the next attempt is one that somebody asks for.
const LONG_WAIT: &str = "retry_minimum_wait_interval = 600\n";

/// The keys of `[acs]` for the scripted ACS at a URL, with a wait of one second after each failure.
fn keys(url: &str) -> String {
    format!(
        "url = \"{url}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_interval_multiplier = 1000\n"
    )
}

/// An agent that belongs to a URL, not yet started; `more` are keys of `[acs]`.
fn agent_at(url: &str, name: &str, more: &str) -> Daemon {
    let wait = match more.contains("retry_minimum_wait_interval") {
        true => "",
        false => "retry_minimum_wait_interval = 1\n",
    };
    let keys = keys(url) + wait + more;
    Daemon::new(env!("CARGO_BIN_EXE_cwmpd"), name, &keys, &sections())
}

/// An agent that belongs to an ACS and runs.
fn agent(acs: &Acs, name: &str) -> Daemon {
    agent_with(acs, name, "")
}

/// The same with more keys of `[acs]`.
fn agent_with(acs: &Acs, name: &str, more: &str) -> Daemon {
    let mut daemon = agent_at(&acs.url(), name, more);
    daemon.start();
    daemon
}

/// An agent that has been through its first session.
fn settled(acs: &Acs, name: &str) -> Daemon {
    let daemon = agent(acs, name);
    acs.next_session(SOON).end();
    over(&daemon);
    daemon
}

/// Waits until no session runs and nothing waits to be told.
#[track_caller]
fn over(daemon: &Daemon) {
    daemon.wait_for("end of the session", || {
        let status = status(daemon);
        !text(&status, "state").starts_with("in a session")
            && status["pending_events"].as_array().is_some_and(Vec::is_empty)
    });
}

/// A session that a person asks for.
#[track_caller]
fn kicked(acs: &Acs, daemon: &Daemon) -> Session {
    daemon.ask(&["inform"]);
    acs.next_session(SOON)
}

/// What `cwmpd status --json` says.
#[track_caller]
fn status(daemon: &Daemon) -> serde_json::Value {
    let said = daemon.ask(&["status", "--json"]);
    let line = said.lines().next().expect("a line");
    let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    value["status"].take()
}

/// Waits until the status is so: it is told after the answer to what changed it.
#[track_caller]
fn until(daemon: &Daemon, what: &str, so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let mut last = serde_json::Value::Null;
    daemon.wait_for(what, || {
        last = status(daemon);
        so(&last)
    });
    last
}

/// A text of the status; empty when it is not there.
fn text<'a>(status: &'a serde_json::Value, name: &str) -> &'a str {
    status[name].as_str().unwrap_or_default()
}

/// Why the last session failed, when it did.
#[track_caller]
fn failure(daemon: &Daemon) -> Option<String> {
    status(daemon)["last_session"]["failure"].as_str().map(str::to_owned)
}

/// The ConnectionRequestURL, as soon as there is one.
#[track_caller]
fn call_url(daemon: &Daemon) -> String {
    daemon.wait_ready();
    let mut url = String::new();
    daemon.wait_for("ConnectionRequestURL", || {
        url = text(&status(daemon), "connection_request_url").to_owned();
        !url.is_empty()
    });
    url
}

/// The ACS calls the agent; it must be taken.
#[track_caller]
fn call(acs: &Acs, daemon: &Daemon) {
    assert_eq!(acs.connection_request(&call_url(daemon), "caller", "call-secret"), 200);
}
