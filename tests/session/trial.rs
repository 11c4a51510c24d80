//! A change that the ACS cannot be reached with is put back, and told. (The way to the ACS itself is
//! changed in `tests/uplink`, with real interfaces.)

use crate::acs::{Acs, Algorithm, Authentication, Incident, Options, Reply, Session};
use crate::daemon::Daemon;
use crate::restart::next_living;
use crate::{LONG_WAIT, SOON, agent_at, keys, kicked, over, sections, status, text};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

const URL: &str = "Device.ManagementServer.URL";
const PASSWORD: &str = "Device.ManagementServer.Password";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const ROLLBACK: &str = "X CWMPD ROLLBACK";
const STRING: &str = "xsd:string";
/// Of an overlay.
const UPLINK: &str = "Device.X_00D09E_Test.Uplink";

/// Attempts at 0 and 2 s; after a failure that is not the change's, each second.
const TRIAL: &str = "confirm_timeout = 2\n";

/// An agent on which nothing is on trial.
fn settled(acs: &Acs, name: &str) -> Daemon {
    settled_with(acs, name, TRIAL)
}

/// The same with these keys of `[acs]`.
fn settled_with(acs: &Acs, name: &str, more: &str) -> Daemon {
    let mut daemon = agent_at(&acs.url(), name, more);
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    daemon
}

/// A URL at which nobody listens, as long as this is kept.
struct Nobody {
    url: String,
    _port: OwnedFd,
}

fn nobody() -> Nobody {
    let flags = SockFlag::SOCK_CLOEXEC;
    let port = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    socket::bind(port.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
    let address: SockaddrIn = socket::getsockname(port.as_raw_fd()).expect("bound");
    Nobody { url: format!("http://{address}/acs"), _port: port }
}

/// What can be read of the last change that was put back.
fn rollback(session: &mut Session) -> [String; 4] {
    let path = |name: &str| format!("Device.X_CWMPD_Rollback.{name}");
    ["Time", "Reason", "Parameters", "Count"].map(|name| session.value(&path(name)).expect("a value"))
}

/// V-8, V-9, V-26, R-SPV-27: a URL without an ACS. Everything of that transaction is put back and
/// nothing else, the former ACS is told so, and what it had asked for; and no 0 BOOTSTRAP.
// Proves: V-8, V-9, V-26
#[test]
fn v_8_a_wrong_url_is_put_back() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "wrong-url");
    let mut session = kicked(&acs, &daemon);
    session.set(&[("Device.DeviceInfo.ProvisioningCode", STRING, "stays")], "before").expect("set");
    session.schedule_inform(1, "of the former").expect("scheduled");
    let wrong = nobody();
    session.set(&[(URL, STRING, &wrong.url)], "moved").expect("set");
    session.end();
    daemon.wait_for("the trial", || status(&daemon)["trial"]["parameters"] == serde_json::json!([URL]));
    let said = status(&daemon);
    assert_eq!(text(&said, "acs_url"), wrong.url);
    let mut session = acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["3 SCHEDULED", "M ScheduleInform", ROLLBACK], "V-9, V-26");
    assert!(session.inform.events.contains(&("M ScheduleInform".into(), "of the former".into())));
    assert_eq!(session.inform.value(KEY), Some("before"), "the ParameterKey, too");
    assert_eq!(session.value("Device.DeviceInfo.ProvisioningCode").as_deref(), Ok("stays"));
    assert_eq!(session.value(URL), Ok(acs.url()));
    let [time, reason, parameters, count] = rollback(&mut session);
    assert!(time.starts_with("20") && reason.contains("URL"), "{time} {reason}");
    assert_eq!([parameters.as_str(), count.as_str()], [URL, "1"]);
    assert!(!reason.contains("127.0.0.1"), "no values: {reason}");
    session.end();
    over(&daemon);
    let said = status(&daemon);
    assert!(said["trial"].is_null(), "{said}");
    assert_eq!(said["rollback"]["parameters"], serde_json::json!([URL]));
    assert!(daemon.ask(&["status"]).contains("Put back"));
    // Told once, and read as long as it is the last, through a restart.
    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    assert_eq!(rollback(&mut session)[2], URL);
    session.end();
}

/// An ACS that sets the wrong URL in every session makes no loop: it is refused for an hour, also after
/// a restart, by whomever; another one is taken.
#[test]
fn a_wrong_url_is_not_taken_up_again() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "loop");
    let wrong = &nobody().url;
    let mut session = kicked(&acs, &daemon);
    session.set(&[(URL, STRING, wrong)], "").expect("the first time");
    session.end();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), [ROLLBACK]);
    for _ in 0..3 {
        let fault = session.set(&[(URL, STRING, wrong), (KEY, STRING, "x")], "").expect_err("refused");
        assert_eq!(fault.parameters[0].1, 9007, "{fault:?}");
        assert!(fault.parameters[0].2.contains("put back"), "{fault:?}");
        session.end();
        over(&daemon);
        assert!(status(&daemon)["trial"].is_null());
        daemon.kill();
        daemon.start();
        daemon.wait_ready();
        session = kicked(&acs, &daemon);
        assert_eq!(session.inform.codes(), ["2 PERIODIC"], "nothing has changed");
    }
    let said = daemon.cli(&["set", &format!("{URL}={wrong}")]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("put back"), "{said:?}");
    let other = Acs::start(Options::default());
    session.set(&[(URL, STRING, &other.url())], "").expect("another value");
    session.end();
    let session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"]);
    session.end();
    over(&daemon);
}

/// For a new URL everything but an outage of its ACS is a failure.
// Proves: V-9
#[test]
fn whatever_is_no_acs_is_none() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "no-acs");
    let refusing = Options {
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        password: "another".into(),
        ..Options::default()
    };
    let garbage = Incident::Reply(Reply::envelope("<html/>"));
    for (what, options, incident) in [
        ("it knows no such page", Options::default(), Some(Incident::Status(404))),
        ("it is a page", Options::default(), Some(garbage)),
        ("it is another's ACS", refusing, None),
        ("it says nothing", Options::default(), Some(Incident::Drop)),
    ] {
        let other = Acs::start(options);
        (0..20).for_each(|_| incident.iter().for_each(|i| other.at(1, i.clone())));
        let mut session = kicked(&acs, &daemon);
        session.set(&[(URL, STRING, &other.url())], "").expect("set");
        session.end();
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), [ROLLBACK], "{what}");
        session.end();
        over(&daemon);
    }
}

/// Waits until the time of the trial is over and another session has failed after that.
#[track_caller]
fn outlast(daemon: &Daemon) {
    let failed = |said: &serde_json::Value| said["retry_count"].as_u64().expect("a number");
    daemon.wait_for("the end of the time", || status(daemon)["trial"]["seconds_left"] == 0);
    let before = failed(&status(daemon));
    daemon.wait_for("another attempt", || failed(&status(daemon)) > before);
}

/// An outage of the new ACS confirms nothing and undoes nothing. When it answers it is the ACS, and what
/// the former one had asked for is gone.
// Proves: V-8, V-9
#[test]
fn v_9_an_outage_of_the_new_acs_undoes_nothing() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    (0..200).for_each(|_| other.at(1, Incident::Status(503)));
    let daemon = settled(&acs, "outage");
    let mut session = kicked(&acs, &daemon);
    session.schedule_inform(1, "of the former").expect("scheduled");
    session.set(&[(URL, STRING, &other.url())], "").expect("set");
    session.end();
    outlast(&daemon);
    let said = status(&daemon);
    assert_eq!((text(&said, "acs_url"), &said["trial"]["standing"]), (&*other.url(), &true.into()));
    assert!(daemon.ask(&["status"]).contains("it stands"));
    other.forget();
    let session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"], "V-9");
    session.end();
    over(&daemon);
    assert!(status(&daemon)["trial"].is_null());
    let session = kicked(&other, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-9: it is gone for good");
    session.end();
    assert_eq!(acs.sessions(), 2);
}

/// Credentials that the ACS refuses are put back to those that it took; no text has any of them. Neither
/// the attempts nor the session that tells wait as after other failures.
#[test]
fn credentials_that_are_refused() {
    let acs = Acs::start(Options {
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        ..Options::default()
    });
    let daemon = settled_with(&acs, "refused-credentials", &format!("{TRIAL}{LONG_WAIT}"));
    let mut session = kicked(&acs, &daemon);
    session.set(&[(PASSWORD, STRING, "sesame")], "").expect("set");
    session.end();
    let mut session = acs.next_session(SOON);
    assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
    let [_, reason, parameters, _] = rollback(&mut session);
    assert_eq!(parameters, PASSWORD);
    session.end();
    over(&daemon);
    let texts = [reason, daemon.ask(&["status"]), daemon.ask(&["status", "--json"]), daemon.log()];
    assert!(texts.iter().all(|t| !t.contains("sesame") && !t.contains("secret")), "{texts:?}");
}

/// A kill at any time leaves the trial what it was: what is left of its time goes on.
#[test]
fn killed_during_the_trial() {
    let acs = Acs::start(Options::default());
    for during_session in [true, false] {
        let mut daemon = settled(&acs, "killed-trial");
        let mut session = kicked(&acs, &daemon);
        let wrong = nobody();
        session.set(&[(URL, STRING, &wrong.url)], "").expect("set");
        if during_session {
            daemon.kill();
            drop(session);
        } else {
            session.end();
            daemon.wait_for("an attempt", || daemon.log().contains("session failed: TCP"));
            daemon.kill();
        }
        daemon.start();
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), [ROLLBACK]);
        session.end();
        over(&daemon);
        assert_eq!(daemon.ask(&["get", URL]), format!("{URL}={}\n", acs.url()));
        // Killed again: what was put back stays so.
        daemon.kill();
        daemon.start();
        daemon.wait_ready();
        kicked(&acs, &daemon).end();
        over(&daemon);
    }
}

/// Who sets the URL makes no difference: a shell, or the configuration file.
#[test]
fn by_a_shell_and_by_the_file() {
    let acs = Acs::start(Options::default());
    let sections = sections();
    let mut daemon = agent_at(&acs.url(), "local-url", TRIAL);
    daemon.configure(&(keys(&acs.url()) + TRIAL), &sections);
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    let back = |daemon: &Daemon| {
        let session = acs.next_session(SOON);
        assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
        session.end();
        over(daemon);
    };
    let wrong = [nobody(), nobody(), nobody()];
    daemon.ask(&["set", &format!("{URL}={}", wrong[0].url)]);
    back(&daemon);
    daemon.configure(&(keys(&wrong[1].url) + TRIAL), &sections);
    daemon.reload();
    back(&daemon);
    // The same at a start; and what the file says was taken over, and is not again.
    daemon.configure(&(keys(&wrong[2].url) + TRIAL), &sections);
    daemon.stop();
    daemon.start();
    back(&daemon);
    daemon.stop();
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    assert_eq!(rollback(&mut session)[3], "3");
    session.end();
}

/// `acs.confirm_timeout = 0`: nothing is tried out. 0 BOOTSTRAP waits for the ACS that answers all the
/// same, and is told to no other.
// Proves: V-8
#[test]
fn v_8_without_trials() {
    let acs = Acs::start(Options::default());
    let daemon = settled_with(&acs, "no-trials", "confirm_timeout = 0\n");
    let mut session = kicked(&acs, &daemon);
    let wrong = nobody();
    session.set(&[(URL, STRING, &wrong.url)], "").expect("set");
    session.end();
    daemon.wait_for("failures", || status(&daemon)["retry_count"].as_u64() > Some(2));
    let said = status(&daemon);
    assert!(said["trial"].is_null() && said["rollback"].is_null(), "{said}");
    assert_eq!(said["pending_events"][0][0], "0 BOOTSTRAP");
    daemon.ask(&["set", &format!("{URL}={}", acs.url())]);
    daemon.ask(&["inform"]);
    let session = acs.next_session(SOON);
    assert!(!session.inform.codes().contains(&"0 BOOTSTRAP"), "{:?}", session.inform.codes());
    session.end();
}

/// An agent with a parameter that carries its uplink, and the file that holds it, in a folder of its own.
fn with_uplink(acs: &Acs, name: &str) -> (Daemon, PathBuf) {
    let mut daemon = agent_at(&acs.url(), name, TRIAL);
    let file = daemon.folder.0.join("own/uplink");
    std::fs::create_dir_all(daemon.folder.0.join("own")).expect("a folder");
    std::fs::write(&file, "dsl\n").expect("a file");
    let overlays = daemon.folder.0.join("overlays");
    std::fs::create_dir_all(&overlays).expect("a folder");
    let row = format!("file = \"{}\", write = true, uplink = true", file.display());
    let row = format!("[\"Device.X_00D09E_Test.\"]\nUplink = {{ type = \"string(16)\", {row} }}\n");
    std::fs::write(overlays.join("uplink.toml"), row).expect("an overlay");
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    (daemon, file)
}

/// What was promised and cannot be made is put back as a whole, at once, and told.
// Proves: R-SPV-1
#[test]
fn what_cannot_be_made_is_told() {
    let acs = Acs::start(Options::default());
    let (daemon, file) = with_uplink(&acs, "cannot-be-made");
    let mut session = kicked(&acs, &daemon);
    let code = "Device.DeviceInfo.ProvisioningCode";
    assert_eq!(session.set(&[(UPLINK, STRING, "fibre"), (code, STRING, "c")], "changed"), Ok(1));
    std::fs::remove_dir_all(file.parent().expect("a folder")).expect("gone");
    session.end();
    let mut session = acs.next_session(SOON);
    assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
    assert_eq!(session.inform.value(KEY), Some(""));
    assert_eq!(session.value(code).as_deref(), Ok(""));
    let [_, reason, parameters, _] = rollback(&mut session);
    assert!(parameters.contains(UPLINK) && parameters.contains(code), "{parameters}");
    assert!(!reason.is_empty() && !reason.contains("fibre"), "{reason}");
    session.end();
    over(&daemon);
}

/// A change of the way to the ACS that works is confirmed by the InformResponse, and stays; so does one
/// after which the ACS is out of order. Values that are set to what they are go on no trial.
#[test]
fn a_good_change_stays() {
    let acs = Acs::start(Options::default());
    let (daemon, _) = with_uplink(&acs, "good-change");
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.set(&[(UPLINK, STRING, "fibre")], ""), Ok(1));
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "it is confirmed by a session of its own");
    session.end();
    over(&daemon);
    assert!(daemon.log().contains(&format!("confirmed: {UPLINK}")));
    (0..200).for_each(|_| acs.at(1, Incident::Status(503)));
    daemon.ask(&["set", &format!("{UPLINK}=mobile")]);
    outlast(&daemon);
    acs.forget();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.value(UPLINK).as_deref(), Ok("mobile"));
    // What it is already.
    session.set(&[(UPLINK, STRING, "mobile"), (URL, STRING, &acs.url())], "").expect("set");
    session.end();
    over(&daemon);
    let said = status(&daemon);
    assert!(said["trial"].is_null() && said["rollback"].is_null(), "{said}");
    assert_eq!(acs.sessions(), 4);
}

/// An ACS that changes its own credentials in every session is tried at once, and then later and later:
/// each session that is held for a trial alone would else lead to the next.
#[test]
fn changes_in_every_session_make_no_loop() {
    const USER: &str = "Device.ManagementServer.Username";
    let acs = Acs::start(Options::default());
    let daemon = settled_with(&acs, "rotating", "");
    let mut session = kicked(&acs, &daemon);
    session.set(&[(USER, STRING, "one")], "").expect("set");
    session.end();
    let mut session = acs.next_session(SOON);
    session.set(&[(USER, STRING, "two")], "").expect("set");
    session.end();
    over(&daemon);
    let next = &status(&daemon)["next_session"];
    assert_eq!(next["why"], "a change is on trial");
    assert!((5..=15).contains(&next["seconds"].as_u64().expect("a number")), "{next}");
    // One that tells of something else begins anew.
    let mut session = kicked(&acs, &daemon);
    session.set(&[(USER, STRING, "three")], "").expect("set");
    session.end();
    acs.next_session(SOON).end();
    over(&daemon);
    assert!(status(&daemon)["trial"].is_null());
}

/// A shell that sets another wrong URL while one is on trial: what is put back is the last that answered.
#[test]
fn two_wrong_urls_in_turn() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "in-turn");
    let wrong = [nobody(), nobody()];
    for wrong in &wrong {
        daemon.ask(&["set", &format!("{URL}={}", wrong.url)]);
    }
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), [ROLLBACK]);
    assert_eq!(session.value(URL), Ok(acs.url()));
    assert_eq!(rollback(&mut session)[3], "1");
    session.end();
}

/// A kill between two failures, again and again: the time that is over is not forgotten.
#[test]
fn killed_at_each_attempt() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled_with(&acs, "each-attempt", "confirm_timeout = 4\n");
    let wrong = nobody();
    daemon.ask(&["set", &format!("{URL}={}", wrong.url)]);
    let mut last = 4;
    while status(&daemon)["rollback"].is_null() {
        let left = status(&daemon)["trial"]["seconds_left"].as_u64();
        if left.is_some_and(|left| left < last) {
            last = left.unwrap_or(0);
            // It is noted with an attempt.
            let attempts = || daemon.log().matches(" begins").count();
            let before = attempts();
            daemon.ask(&["inform"]);
            daemon.wait_for("the attempt", || attempts() > before || !status(&daemon)["rollback"].is_null());
            daemon.kill();
            daemon.start();
            daemon.wait_ready();
            let now = status(&daemon)["trial"]["seconds_left"].as_u64().unwrap_or(0);
            assert!(now <= last, "{now} of {last} s are left");
        }
    }
    // One that was killed may have been about to tell it.
    next_living(&acs).end();
}
