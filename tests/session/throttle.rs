//! DefaultActiveNotificationThrottle: a session that would only tell active changes waits.

use crate::acs::{Acs, Incident, Options};
use crate::daemon::Daemon;
use crate::{SOON, call, over, settled, until};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const THROTTLE: &str = "Device.ManagementServer.DefaultActiveNotificationThrottle";

fn set(daemon: &Daemon, name: &str, value: &str) {
    daemon.ask(&["set", &format!("{name}={value}")]);
}

/// A change that waits, as status tells it.
#[track_caller]
fn waits(daemon: &Daemon) {
    let status = until(daemon, "change that waits", |s| {
        s["pending_events"] == serde_json::json!([["4 VALUE CHANGE", ""]])
            && s["next_session"]["why"] == "active change, throttled"
    });
    let seconds = status["next_session"]["seconds"].as_u64().expect("planned");
    assert!((3000..=3600).contains(&seconds), "{seconds}");
}

/// An agent whose throttle is an hour, set by the ACS.
fn throttled(acs: &Acs, name: &str) -> Daemon {
    let daemon = settled(acs, name);
    let mut session = crate::kicked(acs, &daemon);
    session.set(&[(THROTTLE, "xsd:unsignedInt", "3600")], "").expect("set");
    // So that nothing else is due.
    let periodic = "Device.ManagementServer.PeriodicInformEnable";
    session.set(&[(periodic, "xsd:boolean", "0")], "").expect("set");
    session.end();
    over(&daemon);
    daemon
}

// Proves: C-31
#[test]
fn c_31_active_changes_alone_wait() {
    let acs = Acs::start(Options::default());
    let daemon = throttled(&acs, "throttle");
    set(&daemon, CODE, "a");
    set(&daemon, CODE, "b");
    waits(&daemon);
    assert_eq!(acs.sessions(), 2);
    // A change of the throttle holds at once.
    set(&daemon, THROTTLE, "0");
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.value(CODE)), (vec!["4 VALUE CHANGE"], Some("b")));
    session.end();
    over(&daemon);
    // Another session takes it along.
    set(&daemon, THROTTLE, "3600");
    set(&daemon, CODE, "c");
    waits(&daemon);
    call(&acs, &daemon);
    let session = acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
    assert_eq!(session.inform.value(CODE), Some("c"));
    session.end();
    over(&daemon);
    // Back to what was told: nothing is left to tell.
    set(&daemon, CODE, "d");
    waits(&daemon);
    set(&daemon, CODE, "c");
    until(&daemon, "nothing to tell", |s| s["pending_events"] == serde_json::json!([]));
    assert_eq!(acs.sessions(), 4);
}

/// The end of the last good session counts: an hour later by the clock is tried by tables; here a short
/// throttle is over by itself.
// Proves: C-31
#[test]
fn c_31_the_wait_is_over_by_itself() {
    let acs = Acs::start(Options::default());
    let daemon = throttled(&acs, "by-itself");
    set(&daemon, CODE, "a");
    waits(&daemon);
    set(&daemon, THROTTLE, "2");
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.value(CODE)), (vec!["4 VALUE CHANGE"], Some("a")));
    session.end();
}

/// A session that failed is tried again by its own wait; a restart remembers no session to wait for.
// Proves: C-31
#[test]
fn c_31_retries_and_restarts_do_not_wait() {
    let acs = Acs::start(Options::default());
    let mut daemon = throttled(&acs, "not-throttled");
    set(&daemon, CODE, "a");
    waits(&daemon);
    acs.at(1, Incident::Status(500));
    daemon.ask(&["inform"]);
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.retry_count), (vec!["4 VALUE CHANGE"], 1));
    session.end();
    over(&daemon);
    set(&daemon, CODE, "b");
    waits(&daemon);
    daemon.kill();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.value(CODE)), (vec!["4 VALUE CHANGE"], Some("b")));
    session.end();
}
