//! The way to the ACS is changed, with real interfaces: two network namespaces of the test's own, a veth
//! pair between them, the scripted ACS in the one and the shipped daemon in the other. An overlay lets
//! the ACS set the device's address, and a script does it with `ip`.
//!
//! Each test makes its namespaces and runs itself again inside one of them. Where namespaces cannot be
//! made (no root, no `ip`), it says that it was skipped.

#[path = "../acs/mod.rs"]
mod acs;
mod bed;
#[allow(dead_code)] // a part of it is used here
#[path = "../daemon/mod.rs"]
mod daemon;
mod services;
#[path = "../ubusd/mod.rs"]
mod ubusd;

use acs::{Acs, Incident, Options, Session};
use bed::{Bed, GATEWAY, HOME, in_namespaces};
use daemon::{Daemon, Folder};
use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const ADDRESS: &str = "Device.X_00D09E_Uplink.Address";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const ROLLBACK: &str = "X CWMPD ROLLBACK";

/// Another address by which the ACS is reached.
const GOOD: &str = "10.91.0.3/24";
/// One by which nothing is: there is no route to the ACS.
const ELSEWHERE: &str = "192.0.2.7/24";
/// One from which the ACS is asked, and to which its answers do not come.
const SILENT: &str = bed::SILENT;

/// What the daemon asks the script: the address of `wan0`, read and set by `ip`.
const SCRIPT: &str = r#"#!/bin/sh
while read -r line; do
    id=${line#*\"id\":}; id=${id%%,*}
    value=${line#*\"Address\":\"}; value=${value%%\"*}
    case $line in
    *'"op":"get"'*)
        now=$(ip -4 -o addr show dev wan0 | sed -n 's/.* inet \([^ ]*\) .*/\1/p')
        printf '{"id":%s,"values":{"Address":"%s"}}\n' "$id" "$now" ;;
    *'"op":"set"'*)
        ip addr flush dev wan0 && ip addr add "$value" dev wan0
        printf '{"id":%s,"values":{}}\n' "$id" ;;
    *)  printf '{"id":%s,"error":{"code":9000,"text":"get and set"}}\n' "$id" ;;
    esac
done
"#;

fn acs_at(port: u16) -> Acs {
    let address: SocketAddr = format!("{GATEWAY}:{port}").parse().expect("an address");
    Acs::start(Options { address, ..Options::default() })
}

/// An agent and what starts it in its namespace.
struct Agent {
    daemon: Daemon,
    _wrapper: Folder,
}

impl Deref for Agent {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// An agent in the device's namespace that has been through its first session. Changes are on trial for
/// three seconds, with attempts at 0 and 3 s.
fn settled(bed: &Bed, acs: &Acs) -> Agent {
    let wrapper = Folder::new("uplink-wrapper");
    let binary = wrapper.0.join("cwmpd");
    let text =
        format!("#!/bin/sh\nexec ip netns exec {} {} \"$@\"\n", bed.device, env!("CARGO_BIN_EXE_cwmpd"));
    executable(&binary, &text);
    let keys = format!(
        "url = \"{}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_minimum_wait_interval = 1\n\
         retry_interval_multiplier = 1000\nconnect_timeout = 1\nconfirm_timeout = 3\n",
        acs.url()
    );
    let rest = "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\n\
                product_class = \"Box\"\nserial_number = \"S1\"\n";
    let mut daemon = Daemon::new(binary, "uplink", &keys, rest);
    let script = daemon.folder.0.join("uplink.sh");
    executable(&script, SCRIPT);
    let overlays = daemon.folder.0.join("overlays");
    fs::create_dir_all(&overlays).expect("a folder");
    let rows = format!(
        "[\"Device.X_00D09E_Uplink.\"]\nexec = \"{}\"\n\
         Address = {{ type = \"string(64)\", write = true, uplink = true }}\n",
        script.display()
    );
    fs::write(overlays.join("uplink.toml"), rows).expect("an overlay");
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    Agent { daemon, _wrapper: wrapper }
}

fn executable(file: &std::path::Path, text: &str) {
    fs::write(file, text).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// What `cwmpd status --json` says.
#[track_caller]
fn status(daemon: &Daemon) -> serde_json::Value {
    let said = daemon.ask(&["status", "--json"]);
    let line = said.lines().next().expect("a line");
    let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    value["status"].take()
}

/// Waits until no session runs and nothing waits to be told.
#[track_caller]
fn over(daemon: &Daemon) {
    daemon.wait_for("end of the session", || {
        let status = status(daemon);
        let state = status["state"].as_str().unwrap_or_default();
        !state.starts_with("in a session") && status["pending_events"].as_array().is_some_and(Vec::is_empty)
    });
}

/// A session that a person asks for.
#[track_caller]
fn kicked(acs: &Acs, daemon: &Daemon) -> Session {
    daemon.ask(&["inform"]);
    acs.next_session(SOON)
}

/// The ACS sets the address; in force when the session is over.
#[track_caller]
fn set(acs: &Acs, daemon: &Daemon, address: &str) {
    let mut session = kicked(acs, daemon);
    assert_eq!(session.set(&[(ADDRESS, "xsd:string", address)], "changed"), Ok(1), "after the session");
    session.end();
}

/// Waits until a session has failed after the time of the trial.
#[track_caller]
fn outlast(daemon: &Daemon) {
    let failures = || status(daemon)["retry_count"].as_u64().expect("a number");
    daemon.wait_for("the end of the time", || status(daemon)["trial"]["seconds_left"] == 0);
    let before = failures();
    daemon.wait_for("another attempt", || failures() > before);
}

/// What is told after an address was put back.
#[track_caller]
fn is_put_back(bed: &Bed, acs: &Acs, daemon: &Daemon, count: &str) {
    let mut session = acs.next_session(SOON);
    assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
    assert_eq!(session.inform.value(KEY), Some(""), "the ParameterKey, too");
    assert_eq!(bed.addresses(), [HOME]);
    assert_eq!(session.value(ADDRESS).as_deref(), Ok(HOME));
    let mut read = |name: &str| session.value(&format!("Device.X_CWMPD_Rollback.{name}")).expect("a value");
    assert_eq!((read("Parameters").as_str(), read("Count").as_str()), (ADDRESS, count));
    let (time, reason) = (read("Time"), read("Reason"));
    assert!(time.starts_with("20") && reason.contains("no connection"), "{time} {reason}");
    session.end();
    over(daemon);
    assert!(status(daemon)["trial"].is_null());
}

#[test]
fn a_broken_way_is_put_back() {
    in_namespaces("a_broken_way_is_put_back", |bed| {
        let acs = acs_at(8080);
        let daemon = settled(bed, &acs);
        for (count, address) in [("1", ELSEWHERE), ("2", SILENT)] {
            set(&acs, &daemon, address);
            daemon.wait_for("the change", || bed.addresses() == [address]);
            is_put_back(bed, &acs, &daemon, count);
        }
        // It is told once.
        let session = kicked(&acs, &daemon);
        assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
        session.end();
    });
}

#[test]
fn killed_between_applying_and_confirming() {
    in_namespaces("killed_between_applying_and_confirming", |bed| {
        let acs = acs_at(8080);
        let mut daemon = settled(bed, &acs);
        for (count, address) in [("1", ELSEWHERE), ("2", SILENT)] {
            set(&acs, &daemon, address);
            daemon.wait_for("the change", || bed.addresses() == [address]);
            daemon.kill();
            assert_eq!(bed.addresses(), [address], "in force while nobody is there");
            daemon.start();
            daemon.wait_ready();
            is_put_back(bed, &acs, &daemon, count);
        }
        // Killed before it is told.
        set(&acs, &daemon, ELSEWHERE);
        let session = acs.next_inform(SOON);
        daemon.kill();
        drop(session);
        daemon.start();
        is_put_back(bed, &acs, &daemon, "3");
    });
}

#[test]
fn a_good_change_is_confirmed_and_stays() {
    in_namespaces("a_good_change_is_confirmed_and_stays", |bed| {
        let acs = acs_at(8080);
        let mut daemon = settled(bed, &acs);
        set(&acs, &daemon, GOOD);
        let mut session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "where it takes connection requests");
        assert_eq!(session.inform.value(KEY), Some("changed"));
        let peer = acs.log().last().expect("a message").peer.ip().to_string();
        assert_eq!(format!("{peer}/24"), GOOD, "by the new address");
        let url = session.inform.value("Device.ManagementServer.ConnectionRequestURL").expect("a URL");
        assert!(url.contains(&peer), "connection requests, too: {url}");
        assert_eq!(session.value(ADDRESS).as_deref(), Ok(GOOD));
        session.end();
        over(&daemon);
        assert!(status(&daemon)["trial"].is_null() && status(&daemon)["rollback"].is_null());
        daemon.kill();
        // What breaks later is not its fault.
        bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "down"]);
        daemon.start();
        daemon.wait_ready();
        for n in 1..4 {
            daemon.ask(&["inform"]);
            daemon.wait_for("failure", || status(&daemon)["retry_count"] == n);
        }
        assert_eq!(bed.addresses(), [GOOD]);
        bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "up"]);
        let before = acs.sessions();
        daemon.wait_for("a session", || {
            daemon.ask(&["inform"]);
            acs.sessions() > before
        });
    });
}

/// An ACS that answers 503, and then is not there at all: whoever answers, with a refusal, was reached.
#[test]
fn an_outage_of_the_acs_undoes_nothing() {
    in_namespaces("an_outage_of_the_acs_undoes_nothing", |bed| {
        for refusing in [false, true] {
            let acs = acs_at(8080);
            let mut daemon = settled(bed, &acs);
            // From the next Inform on.
            (0..1000).for_each(|_| acs.at(1, Incident::Status(503)));
            let acs = Some(acs).filter(|_| !refusing);
            daemon.ask(&["set", &format!("{ADDRESS}={GOOD}")]);
            outlast(&daemon);
            assert_eq!(bed.addresses(), [GOOD]);
            assert_eq!(status(&daemon)["trial"]["standing"], true);
            // A way that was good once is not blamed any more, not after a start either.
            daemon.kill();
            bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "down"]);
            daemon.start();
            daemon.wait_ready();
            daemon.wait_for("failures", || status(&daemon)["retry_count"].as_u64() > Some(3));
            assert_eq!(bed.addresses(), [GOOD]);
            bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "up"]);
            let acs = acs.unwrap_or_else(|| acs_at(8080));
            acs.forget();
            let mut session = acs.next_session(SOON);
            assert_eq!(session.value(ADDRESS).as_deref(), Ok(GOOD));
            session.set(&[(ADDRESS, "xsd:string", HOME)], "").expect("set");
            session.end();
            acs.next_session(SOON).end();
            over(&daemon);
            let said = status(&daemon);
            assert!(said["trial"].is_null() && said["rollback"].is_null(), "{said}");
        }
    });
}

/// A change by somebody at the device while the ACS cannot be reached: there is nothing better to go
/// back to.
#[test]
fn a_way_that_was_not_good_before() {
    in_namespaces("a_way_that_was_not_good_before", |bed| {
        let acs = acs_at(8080);
        let daemon = settled(bed, &acs);
        bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "down"]);
        daemon.ask(&["inform"]);
        daemon.wait_for("failure", || status(&daemon)["retry_count"].as_u64() > Some(0));
        daemon.ask(&["set", &format!("{ADDRESS}={GOOD}")]);
        assert_eq!(bed.addresses(), [GOOD]);
        outlast(&daemon);
        assert_eq!(bed.addresses(), [GOOD]);
        bed.ip(&["-n", &bed.acs, "link", "set", "acs0", "up"]);
        let session = acs.next_session(SOON);
        assert!(!session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
        session.end();
        over(&daemon);
        assert!(status(&daemon)["trial"].is_null());
        // And while it can be reached: a shell's change is put back as any other.
        daemon.ask(&["set", &format!("{ADDRESS}={ELSEWHERE}")]);
        daemon.wait_for("the way back", || bed.addresses() == [GOOD]);
        let session = acs.next_session(SOON);
        assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
        session.end();
    });
}
