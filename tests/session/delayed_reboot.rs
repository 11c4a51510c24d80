//! DelayReboot and ScheduleReboot: after the session, at their time, once.

use crate::acs::{Acs, Options};
use crate::daemon::Daemon;
use crate::{SOON, agent_at, keys, kicked, over, sections, status, until};
use cwmpd::sys::clock;
use std::fs;
use std::path::PathBuf;

const DELAY: &str = "Device.ManagementServer.DelayReboot";
const TIME: &str = "Device.ManagementServer.ScheduleReboot";

/// An agent that runs, whose reboot command makes a folder: it fails when there is one already.
fn booting(acs: &Acs, name: &str) -> (Daemon, PathBuf) {
    let mut daemon = agent_at(&acs.url(), name, "");
    let made = daemon.folder.0.join("rebooted");
    let commands = format!("[commands]\nreboot = [\"mkdir\", \"{}\"]\nfactory_reset = []\n", made.display());
    daemon.configure(&(keys(&acs.url()) + "retry_minimum_wait_interval = 1\n"), &(sections() + &commands));
    daemon.start();
    (daemon, made)
}

/// A time so many seconds from now.
fn ahead(seconds: i64) -> String {
    clock::utc(clock::now().wall + seconds)
}

/// A value, as a person at the device reads it.
fn value(daemon: &Daemon, name: &str) -> String {
    let line = daemon.ask(&["get", name]);
    line.trim().split_once('=').expect("a value").1.to_owned()
}

/// The device goes down and comes up: the session it then has, whose events are told here.
#[track_caller]
fn boots(acs: &Acs, daemon: &mut Daemon, codes: &[&str]) {
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), codes);
    session.end();
    over(daemon);
}

/// R-SYS-10, C-20: not before the session has ended, once, by the cause `1 BOOT` alone; then −1.
// Proves: C-20, V-19, R-SYS-10
#[test]
fn r_sys_10_delay_reboot() {
    let acs = Acs::start(Options::default());
    let (mut daemon, made) = booting(&acs, "delay");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.value(DELAY).as_deref(), Ok("-1"));
    let fault = session.set(&[(DELAY, "xsd:int", "-2")], "").expect_err("a range");
    assert_eq!(fault.parameters[0].1, 9007);
    assert_eq!(session.set(&[(DELAY, "xsd:int", "0")], ""), Ok(0));
    assert_eq!(session.value(DELAY).as_deref(), Ok("0"));
    until(&daemon, "reboot that waits", |s| {
        s["next_reboot"]["why"] == "DelayReboot, from the end of the session"
    });
    assert!(!made.exists(), "C-20");
    session.end();
    daemon.wait_for("the reboot command", || made.exists());
    assert_eq!(value(&daemon, DELAY), "-1", "R-SYS-10");
    until(&daemon, "no reboot", |s| s["next_reboot"].is_null());
    fs::remove_dir(&made).expect("removed");
    boots(&acs, &mut daemon, &["1 BOOT"]);
    assert_eq!(value(&daemon, DELAY), "-1");
    assert!(!made.exists(), "once");
}

/// It counts on through a restart of the daemon; a new value takes the place of the former, −1 ends it,
/// and so does any boot: "whenever the CPE reboots, this value MUST be reset".
// Proves: R-SYS-10
#[test]
fn r_sys_10_what_becomes_of_a_delay() {
    let acs = Acs::start(Options::default());
    let (mut daemon, made) = booting(&acs, "becomes");
    let mut session = acs.next_session(SOON);
    session.set(&[(DELAY, "xsd:int", "5000")], "").expect("set");
    session.end();
    over(&daemon);
    let left = |daemon: &Daemon| {
        until(daemon, "reboot that waits", |s| s["next_reboot"]["seconds"].is_u64());
        status(daemon)["next_reboot"]["seconds"].as_u64()
    };
    let none = |daemon: &Daemon| drop(until(daemon, "no reboot", |s| s["next_reboot"].is_null()));
    assert!(left(&daemon).is_some_and(|s| (4000..=5000).contains(&s)), "{:?}", left(&daemon));
    assert!(daemon.ask(&["status"]).contains("Reboot              in 1 h 23 min: DelayReboot"));
    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    assert!(left(&daemon).is_some_and(|s| (4000..=5000).contains(&s)), "{:?}", left(&daemon));
    assert_eq!(value(&daemon, DELAY), "5000");
    let mut session = kicked(&acs, &daemon);
    session.set(&[(DELAY, "xsd:int", "2147483647")], "").expect("replaced");
    session.end();
    over(&daemon);
    assert!(left(&daemon).is_some_and(|s| s > 2_000_000_000), "{:?}", left(&daemon));
    let mut session = kicked(&acs, &daemon);
    session.set(&[(DELAY, "xsd:int", "-1")], "").expect("cancelled");
    session.end();
    over(&daemon);
    none(&daemon);
    // By a person: from now on, no session being there.
    daemon.ask(&["set", &format!("{DELAY}=5000")]);
    assert!(left(&daemon).is_some());
    boots(&acs, &mut daemon, &["1 BOOT"]);
    none(&daemon);
    assert_eq!(value(&daemon, DELAY), "-1");
    assert!(!made.exists());
}

/// R-SPV-27: what was answered holds, also when the process is killed before the session has ended.
// Proves: R-SYS-10
#[test]
fn r_sys_10_the_promise_is_kept() {
    let acs = Acs::start(Options::default());
    let (mut daemon, made) = booting(&acs, "kept");
    let mut session = acs.next_session(SOON);
    session.set(&[(DELAY, "xsd:int", "1")], "").expect("answered");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_for("the reboot command", || made.exists());
    assert_eq!(value(&daemon, DELAY), "-1");
}

/// R-SYS-10: at its time, but not during a session; then Unknown Time, and not again.
// Proves: C-20, R-SYS-10
#[test]
fn r_sys_10_schedule_reboot() {
    let acs = Acs::start(Options::default());
    let (mut daemon, made) = booting(&acs, "schedule-reboot");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.value(TIME).as_deref(), Ok(clock::UNKNOWN_TIME));
    let fault = session.set(&[(TIME, "xsd:dateTime", "0001-01-01T01:00:00")], "").expect_err("relative");
    assert_eq!(fault.parameters[0].1, 9007);
    let time = ahead(3);
    session.set(&[(TIME, "xsd:dateTime", &time)], "").expect("set");
    assert_eq!(session.value(TIME).as_deref(), Ok(&*time));
    daemon.wait_for("the time", || clock::utc(clock::now().wall) > time);
    session.value(TIME).expect("C-20: the session goes on");
    assert!(!made.exists(), "C-20");
    session.end();
    daemon.wait_for("the reboot command", || made.exists());
    assert_eq!(value(&daemon, TIME), clock::UNKNOWN_TIME, "R-SYS-10");
    fs::remove_dir(&made).expect("removed");
    boots(&acs, &mut daemon, &["1 BOOT"]);
    assert_eq!(value(&daemon, TIME), clock::UNKNOWN_TIME);
    assert!(!made.exists(), "once");
}

/// "If the value specifies a date and time that has already passed, no reboot will be performed."
// Proves: R-SYS-10
#[test]
fn r_sys_10_a_time_that_is_past() {
    let acs = Acs::start(Options::default());
    let (mut daemon, made) = booting(&acs, "past");
    let mut session = acs.next_session(SOON);
    let past = ahead(-5);
    session.set(&[(TIME, "xsd:dateTime", &past)], "").expect("taken");
    assert_eq!(session.value(TIME).as_deref(), Ok(&*past));
    session.end();
    daemon.wait_for("Unknown Time", || value(&daemon, TIME) == clock::UNKNOWN_TIME);
    over(&daemon);
    // One that comes while the device is off is past when it boots; one to come is not.
    for (seconds, reads) in [(1, None), (5000, Some(()))] {
        let mut session = kicked(&acs, &daemon);
        let time = ahead(seconds);
        session.set(&[(TIME, "xsd:dateTime", &time)], "").expect("set");
        daemon.kill();
        drop(session);
        daemon.wait_for("the time", || reads.is_some() || clock::utc(clock::now().wall) > time);
        boots(&acs, &mut daemon, &["1 BOOT"]);
        let expected = reads.map_or(clock::UNKNOWN_TIME, |()| &*time);
        assert_eq!(value(&daemon, TIME), expected, "{seconds}");
    }
    assert_eq!(status(&daemon)["next_reboot"]["why"], "ScheduleReboot");
    daemon.ask(&["set", &format!("{TIME}={}", clock::UNKNOWN_TIME)]);
    until(&daemon, "no reboot", |s| s["next_reboot"].is_null());
    // A restart of the daemon alone is no boot: its time came, and it is done.
    let time = ahead(5);
    daemon.ask(&["set", &format!("{TIME}={time}")]);
    daemon.kill();
    daemon.wait_for("the time", || clock::utc(clock::now().wall) > time);
    assert!(!made.exists());
    daemon.start();
    daemon.wait_for("the reboot command", || made.exists());
}
