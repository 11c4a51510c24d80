//! Heartbeats: a session of their own at their own time, which takes nothing from the others.

use crate::acs::{Acs, Attributes, Direction, Incident, Options};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_with, call, failure, kicked, over, settled, status, text, until};
use cwmpd::sys::clock;
use std::time::Duration;

const POLICY: &str = "Device.ManagementServer.HeartbeatPolicy.";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const USER: &str = "Device.ManagementServer.ConnectionRequestUsername";
const THROTTLE: &str = "Device.ManagementServer.DefaultActiveNotificationThrottle";
const ROWS: &str = "Device.ManagementServer.InformParameter.";
const HEARTBEAT: &str = "14 HEARTBEAT";

/// When a test gives up on a heartbeat: a machine under load may miss the first, and one comes every
/// 30 s.
const BEAT: Duration = Duration::from_secs(60);

/// What every Inform has (I-3), in the order of names.
const FORCED: [&str; 7] = [
    "Device.DeviceInfo.HardwareVersion",
    CODE,
    "Device.DeviceInfo.SoftwareVersion",
    "Device.ManagementServer.AliasBasedAddressing",
    "Device.ManagementServer.ConnectionRequestURL",
    "Device.ManagementServer.ParameterKey",
    "Device.RootDataModelVersion",
];

/// A policy whose first heartbeat is due in two seconds, and then one every 30 s.
fn soon(more: &[&str]) -> Vec<String> {
    let first = clock::utc(clock::now().wall + 2);
    let mut words = vec![
        "set".to_owned(),
        format!("{POLICY}Enable=true"),
        format!("{POLICY}ReportingInterval=30"),
        format!("{POLICY}InitiationTime={first}"),
    ];
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

/// Somebody at the device sets such a policy.
fn beat(daemon: &Daemon, more: &[&str]) {
    let words = soon(more);
    daemon.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The names of an Inform's parameters.
fn names(inform: &crate::acs::Inform) -> Vec<&str> {
    let mut names: Vec<&str> = inform.parameters.iter().map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    names
}

// Proves: HB-1
#[test]
fn hb_1_the_policy() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "policy");
    let mut session = kicked(&acs, &daemon);
    let interval = format!("{POLICY}ReportingInterval");
    for value in ["29", "0"] {
        let fault = session.set(&[(&interval, "xsd:unsignedInt", value)], "").expect_err("HB-1");
        assert_eq!(fault.parameters[0].1, 9007, "{value}");
    }
    for value in ["30", "4294967295"] {
        session.set(&[(&interval, "xsd:unsignedInt", value)], "").expect("HB-1");
        assert_eq!(session.value(&interval).as_deref(), Ok(value));
    }
    let enable = format!("{POLICY}Enable");
    assert_eq!(session.value(&enable).as_deref(), Ok("false"));
    session.set(&[(&enable, "xsd:boolean", "1")], "").expect("enabled");
    session.end();
    over(&daemon);
    let status = until(&daemon, "heartbeat", |s| !s["next_heartbeat"].is_null());
    let next = status["next_heartbeat"]["seconds"].as_u64().expect("planned");
    assert!(next <= u64::from(u32::MAX), "{next}");
    assert!(daemon.ask(&["status"]).contains("Next heartbeat      in "));
    daemon.ask(&["set", &format!("{enable}=false")]);
    until(&daemon, "no heartbeat", |s| s["next_heartbeat"].is_null());
}

/// HB-2, HB-3, HB-4, V-22: the Inform tells nothing else, and what else there is to tell is told later.
// Proves: C-2, C-31, V-4, V-22, HB-2, HB-3, HB-4
#[test]
fn hb_3_a_session_of_its_own() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "own-session");
    let mut session = kicked(&acs, &daemon);
    let passive = Attributes { name: USER.to_owned(), notification: Some(1), access_list: None };
    session.set_attributes(&[passive]).expect("watched");
    session.end();
    over(&daemon);
    // An active change that has to wait, a passive one, and a heartbeat before either is told.
    beat(&daemon, &[&format!("{THROTTLE}=3600"), &format!("{CODE}=new"), &format!("{USER}=anew")]);
    let before = acs.log().len();
    let waits = |s: &serde_json::Value| s["next_session"]["seconds"].as_u64().is_some_and(|s| s <= 3598);
    until(&daemon, "second", |s| waits(s) || text(s, "state").starts_with("in a session"));
    let session = acs.next_session(BEAT);
    assert_eq!(session.inform.codes(), [HEARTBEAT], "V-22");
    assert_eq!(session.inform.events[0].1, "");
    assert_eq!(names(&session.inform), FORCED, "V-22: no changed parameter");
    assert_eq!(session.inform.value(CODE), Some("new"), "it is forced, with its value of now");
    session.end();
    let posts = acs.log()[before..].iter().filter(|m| m.direction == Direction::FromAgent).count();
    assert_eq!(posts, 2, "HB-4: Inform, empty POST, 204");
    let status = until(&daemon, "end of the session", |s| !text(s, "state").starts_with("in a"));
    assert_eq!(failure(&daemon), None);
    assert!(waits(&status), "C-31: it is not what a change waits for: {status}");
    let next = status["next_heartbeat"]["seconds"].as_u64().expect("HB-2");
    assert!(next <= 30, "HB-2: {next}");
    daemon.ask(&["set", &format!("{POLICY}Enable=false")]);
    // Neither was delivered by it.
    assert_eq!(acs.sessions(), 3);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    assert_eq!((session.inform.value(CODE), session.inform.value(USER)), (Some("new"), Some("anew")));
    session.end();
}

/// What the ACS does in it works as in any other session; what happens meanwhile has the next one.
// Proves: C-1, HB-4
#[test]
fn hb_4_what_the_acs_may_do_in_it() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "in-it");
    beat(&daemon, &[]);
    let mut session = acs.next_inform(BEAT);
    assert_eq!(session.inform.codes(), [HEARTBEAT]);
    call(&acs, &daemon);
    daemon.ask(&["set", &format!("{CODE}=by-hand")]);
    session.answer_inform();
    let off = format!("{POLICY}Enable");
    session.set(&[(&off, "xsd:boolean", "0")], "key").expect("set");
    assert_eq!(session.value(&off).as_deref(), Ok("false"));
    session.schedule_inform(5000, "later").expect("scheduled");
    session.end();
    let session = acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["4 VALUE CHANGE", "6 CONNECTION REQUEST"], "at once");
    assert_eq!(session.inform.value(CODE), Some("by-hand"));
    assert_eq!(session.inform.value("Device.ManagementServer.ParameterKey"), Some("key"));
    session.end();
    over(&daemon);
    until(&daemon, "no heartbeat", |s| s["next_heartbeat"].is_null());
}

/// V-22: one that fails is dropped: no wait, no RetryCount, no second try, nothing owed.
// Proves: V-22, HB-3
#[test]
fn v_22_a_heartbeat_that_fails_is_dropped() {
    let acs = Acs::start(Options::default());
    let daemon = agent_with(&acs, "dropped", LONG_WAIT);
    acs.next_session(SOON).end();
    over(&daemon);
    // Before its Inform is answered, and after.
    for (n, post) in [(0, 1), (1, 2)] {
        acs.at(post, Incident::Status(503));
        beat(&daemon, &[]);
        if post == 2 {
            let session = acs.next_session(BEAT);
            assert_eq!(session.inform.codes(), [HEARTBEAT]);
            drop(session);
        }
        daemon.wait_for("failed heartbeat", || failure(&daemon).is_some());
        let status = status(&daemon);
        assert_eq!(status["last_session"]["events"], serde_json::json!([HEARTBEAT]));
        assert_eq!(status["retry_count"], 0, "V-22");
        assert_eq!(text(&status, "state"), "waiting");
        assert_ne!(status["next_session"]["why"], "retry 1", "V-22");
        assert_eq!(status["pending_events"], serde_json::json!([]));
        // Others do not wait, and have nothing to make up for.
        daemon.ask(&["set", &format!("{CODE}=v{n}"), &format!("{POLICY}Enable=false")]);
        let session = acs.next_session(SOON);
        assert_eq!((session.inform.codes(), session.inform.retry_count), (vec!["4 VALUE CHANGE"], 0));
        session.end();
        over(&daemon);
        let session = kicked(&acs, &daemon);
        assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-3: nothing is owed");
        session.end();
        over(&daemon);
    }
}

/// HB-3: while another session is to be tried again a heartbeat waits; then it has its session.
// Proves: HB-3
#[test]
fn hb_3_a_retry_goes_first() {
    let acs = Acs::start(Options::default());
    let daemon = agent_with(&acs, "retry-first", LONG_WAIT);
    acs.next_session(SOON).end();
    over(&daemon);
    acs.at(1, Incident::Status(500));
    daemon.ask(&["inform"]);
    daemon.wait_for("failed session", || status(&daemon)["retry_count"] == 1);
    let wait = status(&daemon)["next_session"].clone();
    assert_eq!(wait["why"], "retry 1");
    beat(&daemon, &[]);
    daemon.wait_for("heartbeat that waits", || {
        text(&status(&daemon)["next_heartbeat"], "why").starts_with("due")
    });
    let waits = status(&daemon);
    assert!(!text(&waits, "state").starts_with("in a session"), "{waits}");
    assert_eq!(waits["next_session"]["why"], "retry 1", "the wait is not touched");
    assert!(waits["next_session"]["seconds"].as_u64() <= wait["seconds"].as_u64());
    let session = kicked(&acs, &daemon);
    assert_eq!((session.inform.codes(), session.inform.retry_count), (vec!["2 PERIODIC"], 1));
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.retry_count), (vec![HEARTBEAT], 0));
    session.end();
}

/// V-22: due at the same moment as a periodic Inform, each has its session.
// Proves: V-22, HB-3
#[test]
fn v_22_not_merged_with_what_is_due_at_the_same_time() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "same-time");
    let time = clock::utc(clock::now().wall + 2);
    let server = "Device.ManagementServer.PeriodicInform";
    daemon.ask(&[
        "set",
        &format!("{POLICY}Enable=true"),
        &format!("{POLICY}ReportingInterval=30"),
        &format!("{POLICY}InitiationTime={time}"),
        &format!("{server}Enable=true"),
        &format!("{server}Interval=30"),
        &format!("{server}Time={time}"),
    ]);
    for codes in [[HEARTBEAT], ["2 PERIODIC"]] {
        let session = acs.next_session(BEAT);
        assert_eq!(session.inform.codes(), codes);
        session.end();
    }
}

/// I-5: an InformParameter row for this event is in its Inform; rows for others are not.
// Proves: I-5
#[test]
fn i_5_rows_for_heartbeats() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "rows");
    let mut session = kicked(&acs, &daemon);
    for (name, events) in [("SerialNumber", HEARTBEAT), ("ProductClass", "2 PERIODIC")] {
        let (n, _) = session.add(ROWS, "").expect("a row");
        let cell = |c: &str| format!("{ROWS}{n}.{c}");
        let (a, b, c) = (cell("Enable"), cell("ParameterName"), cell("EventList"));
        let name = format!("Device.DeviceInfo.{name}");
        let list = [(&*a, "xsd:boolean", "1"), (&b, "xsd:string", &*name), (&c, "xsd:string", events)];
        session.set(&list, "").expect("set");
    }
    session.end();
    over(&daemon);
    beat(&daemon, &[]);
    let session = acs.next_session(BEAT);
    assert_eq!(session.inform.codes(), [HEARTBEAT]);
    assert_eq!(session.inform.value("Device.DeviceInfo.SerialNumber"), Some("S1"));
    assert_eq!(session.inform.parameters.len(), FORCED.len() + 1);
    session.end();
}

/// The policy is kept; a restart begins with no heartbeat of before.
// Proves: HB-2
#[test]
fn hb_2_after_a_restart() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "restarted");
    beat(&daemon, &[]);
    daemon.kill();
    daemon.start();
    let session = acs.next_session(BEAT);
    assert_eq!(session.inform.codes(), [HEARTBEAT]);
    session.end();
}
