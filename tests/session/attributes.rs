//! Attributes and notification: what changed, who changed it, and when the ACS is told.

use crate::acs::{Acs, Attributes, Options, Session};
use crate::daemon::Daemon;
use crate::{SOON, agent, kicked, over, settled, status};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const USER: &str = "Device.ManagementServer.ConnectionRequestUsername";
const KEY: &str = "Device.ManagementServer.ParameterKey";

fn notification(name: &str, notification: u8) -> Attributes {
    Attributes { name: name.to_string(), notification: Some(notification), access_list: None }
}

/// What notification a parameter has.
fn has(session: &mut Session, name: &str) -> u8 {
    session.get_attributes(&[name]).expect("attributes")[0].notification.expect("a number")
}

fn set(daemon: &Daemon, name: &str, value: &str) {
    daemon.ask(&["set", &format!("{name}={value}")]);
}

/// N-1, N-2, I-4, V-13: passive changes go with the next Inform, whatever causes it.
// Proves: V-13, I-4, N-1, N-2
#[test]
fn n_2_passive() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "passive");
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[notification(INTERVAL, 1)]).expect("passive");
    session.end();
    over(&daemon);
    set(&daemon, INTERVAL, "4000");
    set(&daemon, INTERVAL, "4001");
    set(&daemon, USER, "nobody-asks");
    let session = kicked(&acs, &daemon);
    assert_eq!(acs.sessions(), 2, "N-2: no session of its own");
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "V-13");
    assert_eq!(session.inform.value(INTERVAL), Some("4001"), "I-4: the present value");
    assert_eq!(session.inform.parameters.iter().filter(|v| v.name == INTERVAL).count(), 1, "I-4: once");
    assert_eq!(session.inform.value(USER), None, "N-1");
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "told once");
    assert_eq!(session.inform.value(INTERVAL), None);
    session.end();
}

/// V-13, V-23: a change whose Inform is not answered is told again.
// Proves: V-13, V-23
#[test]
fn v_13_a_change_waits_for_its_answer() {
    use crate::acs::Incident;
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "unanswered");
    acs.at(1, Incident::Drop);
    set(&daemon, CODE, "x");
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.value(CODE)), (vec!["4 VALUE CHANGE"], Some("x")));
    assert_eq!(session.inform.retry_count, 1);
    daemon.kill();
    drop(session);
    acs.at(1, Incident::Status(500));
    set_at_next_start(&mut daemon);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.value(CODE), Some("y"));
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    session.end();
}

fn set_at_next_start(daemon: &mut Daemon) {
    daemon.start();
    daemon.wait_ready();
    set(daemon, CODE, "y");
}

/// C-2, V-4, N-3, N-4, C-21: an active change starts a session; many changes before it make one.
// Proves: C-2, C-21, V-4, N-3, N-7, N-4, N-5, N-6
#[test]
fn n_3_active() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "active");
    set(&daemon, CODE, "a");
    let session = acs.next_inform(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "N-3");
    assert_eq!(session.inform.value(CODE), Some("a"));
    // While its Inform waits for an answer, more happens: C-21, N-5.
    for value in ["b", "c", "d"] {
        set(&daemon, CODE, value);
    }
    let mut session = session;
    session.answer_inform();
    assert_eq!(session.value(CODE).as_deref(), Ok("d"));
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "N-5");
    assert_eq!(session.inform.value(CODE), Some("d"), "N-4: one Inform for all");
    session.end();
    over(&daemon);
    assert_eq!(acs.sessions(), 3);
}

/// N-5, C-21: watched from the moment it was asked for, also in the same session.
// Proves: C-21, N-5
#[test]
fn n_5_watched_and_changed_in_one_session() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "in-one");
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[notification(USER, 2)]).expect("active");
    set(&daemon, USER, "changed-by-hand");
    session.value(USER).expect("a value");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    assert_eq!(session.inform.value(USER), Some("changed-by-hand"));
    session.end();
}

/// I-9, R-SPV-26: what the ACS itself sets is not told to it, in this session or later.
// Proves: I-9, R-SPV-26
#[test]
fn i_9_the_acs_knows_what_it_set() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "own");
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[notification(INTERVAL, 2), notification(KEY, 1)]).expect("active");
    session.set(&[(CODE, "xsd:string", "mine"), (INTERVAL, "xsd:unsignedInt", "5000")], "mine").expect("set");
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "I-9");
    session.end();
    over(&daemon);
    set(&daemon, INTERVAL, "5001");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    session.end();
    over(&daemon);
    assert_eq!(acs.sessions(), 3);
}

/// R-SPA-1, R-SPA-3 to R-SPA-9: what is taken and what is not.
// Proves: R-SPA-1, R-SPA-2, R-SPA-3, R-SPA-4, R-SPA-5, R-SPA-6, R-SPA-7, R-SPA-8, R-SPA-9, R-SPA-13
#[test]
fn r_spa_1_all_or_none() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "spa");
    let mut session = acs.next_session(SOON);
    assert_eq!(has(&mut session, CODE), 2, "R-SPA-7: forced");
    assert_eq!(has(&mut session, "Device.ManagementServer.ConnectionRequestURL"), 2, "R-SPA-8: by default");
    assert_eq!(has(&mut session, INTERVAL), 0);
    for (bad, code) in [
        (notification(INTERVAL, 7), vec![9003]),
        (notification(INTERVAL, 4), vec![9003, 9009]),
        (notification("Device.Nowhere.", 1), vec![9005]),
        (Attributes { access_list: Some(vec!["x".repeat(65)]), ..notification(INTERVAL, 1) }, vec![9003]),
    ] {
        let fault = session.set_attributes(&[notification(USER, 2), bad.clone()]).expect_err(&bad.name);
        assert!(code.contains(&fault.code), "R-SPA-5: {bad:?}: {fault:?}");
        assert_eq!(has(&mut session, USER), 0, "R-SPA-1");
    }
    let nothing = Attributes { name: INTERVAL.to_string(), notification: None, access_list: None };
    session.set_attributes(&[notification(INTERVAL, 1), nothing]).expect("R-SPA-3");
    assert_eq!(has(&mut session, INTERVAL), 1, "R-SPA-3, R-SPA-4");
    session.set_attributes(&[notification(INTERVAL, 1), notification(INTERVAL, 2)]).expect("R-SPA-4");
    assert_eq!(has(&mut session, INTERVAL), 2, "R-SPA-4, R-SPA-6");
    // R-SPA-7: refused or without effect.
    if let Err(fault) = session.set_attributes(&[notification(CODE, 0)]) {
        assert_eq!(fault.code, 9009);
    }
    assert_eq!(has(&mut session, CODE), 2, "R-SPA-7");
    let access = |list: &[&str]| Attributes {
        name: "Device.ManagementServer.".to_string(),
        notification: None,
        access_list: Some(list.iter().map(|s| s.to_string()).collect()),
    };
    session.set_attributes(&[access(&[])]).expect("R-SPA-2, R-SPA-9");
    let all = session.get_attributes(&["Device.ManagementServer."]).expect("R-SPA-13");
    assert!(all.iter().all(|a| a.access_list.as_deref() == Some(&[])), "R-SPA-2: {all:?}");
    session.set_attributes(&[access(&["Subscriber", "Neighbour"])]).expect("R-SPA-9");
    let one = session.get_attributes(&[INTERVAL]).expect("attributes").remove(0);
    assert_eq!(one.access_list, Some(vec!["Subscriber".to_string()]), "R-SPA-9");
    assert_eq!(one.notification, Some(2), "R-SPA-3");
    session.end();
}

/// R-SPA-11, R-SPA-12, N-7: attributes outlive a power cut; what changed meanwhile is noticed.
// Proves: R-SPA-11, R-SPA-12
#[test]
fn r_spa_11_kept() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "kept");
    let mut session = acs.next_session(SOON);
    let closed = Attributes { access_list: Some(Vec::new()), ..notification(INTERVAL, 2) };
    session.set_attributes(&[closed]).expect("taken");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(has(&mut session, INTERVAL), 2, "R-SPA-11");
    session.end();
    over(&daemon);
    let refused = daemon.cli(&["set", &format!("{INTERVAL}=77")]);
    assert_eq!(refused.status.code(), Some(1), "R-SPA-12: only the ACS may");
    // N-7: another software version at the next start.
    daemon.stop();
    let text = std::fs::read_to_string(daemon.config()).expect("a configuration");
    std::fs::write(daemon.config(), text.replace("\"1.2.3\"", "\"1.2.4\"")).expect("a configuration");
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT", "4 VALUE CHANGE"], "N-7");
    assert_eq!(session.inform.value("Device.DeviceInfo.SoftwareVersion"), Some("1.2.4"));
    session.end();
    over(&daemon);
    assert_eq!(status(&daemon)["retry_count"], 0);
}
