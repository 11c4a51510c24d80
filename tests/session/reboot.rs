//! ScheduleInform, Reboot and FactoryReset: answered first, done after the session, told at the next.

use crate::acs::{Acs, Attributes, Incident, Options};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent, agent_at, agent_with, keys, kicked, over, sections, settled, status};
use std::fs;
use std::path::PathBuf;

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const ROWS: &str = "Device.ManagementServer.InformParameter.";

/// An agent whose reboot command leaves a link that points to the CommandKey; not started.
fn recording(acs: &Acs, name: &str) -> (Daemon, PathBuf) {
    let daemon = agent_at(&acs.url(), name, "");
    let record = daemon.folder.0.join("rebooted");
    let commands = format!(
        "[commands]\nreboot = [\"ln\", \"-s\", \"{{command_key}}\", \"{}\"]\nfactory_reset = []\n",
        record.display()
    );
    daemon.configure(&(keys(&acs.url()) + "retry_minimum_wait_interval = 1\n"), &(sections() + &commands));
    (daemon, record)
}

/// C-20, R-SYS-1, R-SYS-2, R-SYS-3, R-SYS-4, V-4, V-6, V-11, V-19
// Proves: C-20, V-4, V-6, V-19, R-SYS-1, R-SYS-2, R-SYS-3, R-SYS-4
#[test]
fn r_sys_1_reboot() {
    let acs = Acs::start(Options::default());
    let (mut daemon, record) = recording(&acs, "reboot");
    daemon.start();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.reboot(&"k".repeat(33)).expect_err("R-SYS-3").code, 9003);
    session.reboot("first").expect("R-SYS-1");
    session.reboot("second").expect("R-SYS-4");
    session.value(CODE).expect("C-20: the session goes on");
    assert!(record.symlink_metadata().is_err(), "R-SYS-1: not before the session has ended");
    session.end();
    daemon.wait_for("the reboot command", || record.symlink_metadata().is_ok());
    assert_eq!(fs::read_link(&record).expect("a link"), PathBuf::from("second"));
    fs::remove_file(&record).expect("removed");
    daemon.reboot();
    acs.at(1, Incident::Status(500));
    daemon.start();
    let session = acs.next_session(SOON);
    let mut events = session.inform.events.clone();
    events.sort();
    let event = |code: &str, key: &str| (code.to_string(), key.to_string());
    assert_eq!(
        events,
        [event("1 BOOT", ""), event("M Reboot", "first"), event("M Reboot", "second")],
        "R-SYS-2, R-SYS-4"
    );
    session.end();
    over(&daemon);
    assert!(record.symlink_metadata().is_err(), "once");
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT"], "V-3: told once");
    session.end();
}

/// R-SYS-1, V-24: a power cut of the process before the session has ended: the promise is kept.
#[test]
fn r_sys_1_the_promise_is_kept() {
    let acs = Acs::start(Options::default());
    let (mut daemon, record) = recording(&acs, "promise");
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.reboot("promised").expect("answered");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_for("the reboot command", || record.symlink_metadata().is_ok());
    assert_eq!(fs::read_link(&record).expect("a link"), PathBuf::from("promised"));
}

/// R-SYS-5, R-SYS-6, R-GEN-6, V-8, V-9, V-10: everything begins anew but the device's identity.
// Proves: V-9, V-10, R-GEN-6, R-SYS-5, R-SYS-6
#[test]
fn r_sys_5_factory_reset() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    let mut daemon = agent(&acs, "factory");
    let mut session = acs.next_session(SOON);
    session.add(ROWS, "").expect("a row");
    session.schedule_inform(5000, "of before").expect("scheduled");
    let watched = Attributes {
        name: "Device.ManagementServer.Username".into(),
        notification: Some(2),
        access_list: None,
    };
    session.set_attributes(std::slice::from_ref(&watched)).expect("watched");
    let list = [(CODE, "xsd:string", "gone"), ("Device.ManagementServer.URL", "xsd:string", &*other.url())];
    session.set(&list, "gone").expect("set");
    session.end();
    // The serial number of the file is not looked at again.
    let text = fs::read_to_string(daemon.config()).expect("a configuration");
    fs::write(daemon.config(), text.replace("\"S1\"", "\"S2\"")).expect("written");
    let mut session = other.next_session(SOON);
    session.factory_reset().expect("R-SYS-5");
    assert_eq!(session.value(CODE).as_deref(), Ok("gone"), "C-20");
    session.end();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "R-SYS-5");
    assert_eq!(session.inform.value("Device.ManagementServer.ParameterKey"), Some(""), "R-SYS-6");
    assert_eq!(session.inform.serial_number, "S1", "I-1: for the life of the device");
    assert_eq!(session.value(CODE).as_deref(), Ok(""), "R-SYS-6");
    assert_eq!(session.names(ROWS, true), Ok(vec![]), "R-SYS-6");
    let attributes = session.get_attributes(&[&watched.name]).expect("attributes");
    assert_eq!(attributes[0].notification, Some(0), "R-SYS-6");
    assert_eq!(session.value("Device.ManagementServer.URL"), Ok(acs.url()));
    session.end();
    over(&daemon);
    daemon.kill();
    let stored: Vec<u8> = fs::read_dir(daemon.folder.0.join("state"))
        .expect("a folder")
        .flat_map(|file| fs::read(file.expect("a file").path()).unwrap_or_default())
        .collect();
    assert!(!stored.windows(4).any(|w| w == b"gone"), "R-SYS-6: nothing of before is left on disk");
}

/// V-24, R-SYS-5: a reset that was promised is done, whatever happens to the process.
#[test]
fn r_sys_5_the_promise_is_kept() {
    let acs = Acs::start(Options::default());
    for boot in [false, true] {
        let mut daemon = agent(&acs, "factory-promise");
        let mut session = acs.next_session(SOON);
        session.set(&[(CODE, "xsd:string", "gone")], "gone").expect("set");
        session.factory_reset().expect("answered");
        daemon.kill();
        drop(session);
        if boot {
            daemon.reboot();
        }
        daemon.start();
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "boot: {boot}");
        assert_eq!(session.inform.value(CODE), Some(""), "boot: {boot}");
        session.end();
        over(&daemon);
    }
}

/// C-2, V-4, R-SYS-7, R-SYS-8, V-6, V-20: each has its own key.
// Proves: C-2, V-4, V-6, V-7, V-20, R-SYS-7, R-SYS-8
#[test]
fn r_sys_8_schedule_inform() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "schedule");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.schedule_inform(0, "k").expect_err("R-SYS-7").code, 9003);
    assert_eq!(session.schedule_inform(1, &"k".repeat(33)).expect_err("R-SYS-8").code, 9003);
    for key in ["one", "two", "one"] {
        session.schedule_inform(1, key).expect("R-SYS-8");
    }
    session.end();
    let mut keys: Vec<String> = Vec::new();
    while keys.len() < 3 {
        let session = acs.next_session(SOON);
        assert!(session.inform.codes().contains(&"3 SCHEDULED"), "{:?}", session.inform.codes());
        for (code, key) in &session.inform.events {
            match code.as_str() {
                "M ScheduleInform" => keys.push(key.clone()),
                code => assert_eq!((code, key.as_str()), ("3 SCHEDULED", ""), "V-7"),
            }
        }
        session.end();
    }
    keys.sort();
    assert_eq!(keys, ["one", "one", "two"], "V-6");
    over(&daemon);
    assert_eq!(status(&daemon)["pending_events"], serde_json::json!([]));
}

/// R-SYS-11, V-12, V-20: what was promised survives restarts and reboots, before it is due and after.
// Proves: V-12, V-20, R-SYS-11
#[test]
fn r_sys_11_scheduled_through_restarts() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "scheduled");
    for reboots in [false, true] {
        let mut session = kicked(&acs, &daemon);
        session.schedule_inform(1, "kept").expect("scheduled");
        daemon.kill();
        drop(session);
        if reboots {
            daemon.reboot();
        }
        acs.at(1, Incident::Drop);
        daemon.start();
        let mut codes: Vec<String> = Vec::new();
        while !codes.iter().any(|c| c == "M ScheduleInform") {
            let session = acs.next_session(SOON);
            codes.extend(session.inform.codes().iter().map(|c| c.to_string()));
            session.end();
        }
        codes.sort();
        let expected: &[&str] = match reboots {
            true => &["1 BOOT", "3 SCHEDULED", "M ScheduleInform"],
            false => &["3 SCHEDULED", "M ScheduleInform"],
        };
        assert_eq!(codes, expected, "reboots: {reboots}");
        over(&daemon);
    }
}

/// R-SYS-9: more than the agent keeps is refused, not forgotten.
// Proves: R-SYS-9
#[test]
fn r_sys_9_too_many() {
    let acs = Acs::start(Options::default());
    let daemon = agent_with(&acs, "many", &format!("{LONG_WAIT}periodic_inform_enable = false\n"));
    let mut session = acs.next_session(SOON);
    let mut taken = 0;
    let fault = loop {
        match session.schedule_inform(50_000, &format!("k{taken}")) {
            Ok(()) => taken += 1,
            Err(fault) => break fault,
        }
        assert!(taken < 1000, "bounded");
    };
    assert_eq!(fault.code, 9004);
    assert!(taken >= 10, "{taken}");
    session.end();
    over(&daemon);
    let next = status(&daemon)["next_session"].clone();
    assert_eq!(next["why"], "scheduled by the ACS", "{next}");
    assert!(next["seconds"].as_u64().is_some_and(|s| (40_000..=50_000).contains(&s)), "{next}");
}
