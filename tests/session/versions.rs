//! Which version of CWMP the agent speaks: the newest, an older one to an ACS that refuses it, and the
//! one that the ACS picks.

use crate::acs::{Acs, Dialect, Direction, Incident, Options, Session};
use crate::{LONG_WAIT, SOON, agent, agent_with, failure, kicked, over, settled, status, text};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const URL: &str = "Device.ManagementServer.URL";

/// The last digit of the namespace of each Inform so far, and whether each names versions.
fn informs(acs: &Acs) -> Vec<(String, bool)> {
    let posts = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent);
    let bodies = posts.map(|m| m.body).filter(|body| body.contains("<cwmp:Inform>"));
    bodies.map(|b| (namespace(&b), b.contains("SupportedCWMPVersions"))).collect()
}

fn namespace(xml: &str) -> String {
    let after = xml.split_once("urn:dslforum-org:cwmp-1-").expect("a namespace").1;
    after.chars().take(1).collect()
}

fn all(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(n, named)| (n.to_string(), *named)).collect()
}

fn version(daemon: &crate::daemon::Daemon) -> String {
    text(&status(daemon), "acs_version").to_owned()
}

fn in_namespace(digit: &str) -> Dialect {
    Dialect { namespace: format!("urn:dslforum-org:cwmp-1-{digit}"), ..Dialect::default() }
}

#[track_caller]
fn said(session: &Session) -> String {
    namespace(&session.inform.xml)
}

/// E-16, E-13, E-9: 8006 to an Inform: the next one is a version older, without the header that is newer,
/// and stays so after it was answered; a restart begins anew.
// Proves: E-16, E-13, E-9
#[test]
fn e_16_version_incompatible() {
    let acs = Acs::start(Options { dialect: in_namespace("1"), ..Options::default() });
    acs.at(1, Incident::Fault(8006));
    let mut daemon = agent(&acs, "8006");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!((said(&session).as_str(), session.inform.retry_count), ("1", 1));
    let (_, own) = session.next_request();
    assert_eq!(namespace(&own), "1", "E-9");
    assert_eq!(session.value(CODE).as_deref(), Ok(""));
    session.end();
    over(&daemon);
    assert_eq!(version(&daemon), "1.1 (it refused 1.4: fault 8006)");
    let shown = daemon.ask(&["status"]);
    assert!(shown.contains("ACS version         1.1 (it refused 1.4: fault 8006)\n"), "{shown}");
    assert!(daemon.log().contains("fault 8006"), "{}", daemon.log());
    kicked(&acs, &daemon).end();
    over(&daemon);
    daemon.stop();
    daemon.start();
    daemon.wait_ready();
    assert_eq!(version(&daemon), "1.4");
    kicked(&acs, &daemon).end();
    over(&daemon);
    let expected = all(&[("2", true), ("1", false), ("1", false), ("2", true)]);
    assert_eq!(informs(&acs), expected);
}

/// E-16: an ACS that has never answered: 400 and faults that say less than 8006 are taken for it, down to
/// 1.0; after that the newest is tried again.
// Proves: E-16
#[test]
fn e_16_down_to_the_oldest_and_back() {
    let acs = Acs::start(Options::default());
    for refusal in [Incident::Status(400), Incident::Fault(8000), Incident::Fault(8002)] {
        acs.at(1, refusal);
    }
    let daemon = agent(&acs, "down");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "nothing is lost");
    session.end();
    over(&daemon);
    assert_eq!(informs(&acs), all(&[("2", true), ("1", false), ("0", false), ("2", true)]));
    assert_eq!(version(&daemon), "1.4 (it refused 1.0: fault 8002)");
}

/// E-16: of an ACS that has answered this version before, 400 and the like say nothing about versions, also
/// after a restart; nor does a failure of another kind from any ACS.
// Proves: E-16
#[test]
fn e_16_what_says_nothing_about_versions() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "known");
    for restart in [false, true] {
        if restart {
            daemon.stop();
            daemon.start();
            daemon.wait_ready();
        }
        for incident in [Incident::Status(400), Incident::Fault(8000), Incident::Fault(8002)] {
            acs.at(1, incident);
            let session = kicked(&acs, &daemon);
            assert_eq!(said(&session), "2");
            session.end();
            over(&daemon);
        }
    }
    let acs = Acs::start(Options::default());
    for incident in [Incident::Status(503), Incident::Status(404), Incident::Fault(8001), Incident::Drop] {
        acs.at(1, incident);
    }
    let _daemon = agent(&acs, "ill");
    let session = acs.next_session(SOON);
    assert_eq!((said(&session).as_str(), session.inform.retry_count), ("2", 4));
    session.end();
}

/// E-16: another ACS is spoken to in the newest version.
// Proves: E-16
#[test]
fn e_16_another_url() {
    let acs = Acs::start(Options { dialect: in_namespace("1"), ..Options::default() });
    let other = Acs::start(Options::default());
    acs.at(1, Incident::Fault(8006));
    let daemon = agent(&acs, "moved");
    let mut session = acs.next_session(SOON);
    assert_eq!(said(&session), "1");
    session.set(&[(URL, "xsd:string", &other.url())], "").expect("another ACS");
    session.end();
    let session = other.next_session(SOON);
    assert_eq!(said(&session), "2");
    session.end();
    over(&daemon);
    assert_eq!(version(&daemon), "1.4");
}

/// E-16, R-SYS-5: a factory reset forgets what was known of the ACS.
// Proves: E-16
#[test]
fn e_16_a_factory_reset_begins_anew() {
    let acs = Acs::start(Options { dialect: in_namespace("1"), ..Options::default() });
    acs.at(1, Incident::Fault(8006));
    let daemon = agent(&acs, "reset");
    let mut session = acs.next_session(SOON);
    assert_eq!(said(&session), "1");
    session.factory_reset().expect("a reset");
    session.end();
    let session = acs.next_session(SOON);
    assert_eq!(said(&session), "2");
    session.end();
    over(&daemon);
    assert_eq!(version(&daemon), "1.4");
}

/// E-14, E-15, E-9: the version that the ACS picks holds for the session: by its header, else by the
/// namespace that it answers in. The next Inform is in the newest again.
// Proves: E-9, E-14, E-15
#[test]
fn e_14_the_version_that_the_acs_picks() {
    let picks =
        |version: &str, digit| Dialect { use_cwmp_version: Some(version.to_owned()), ..in_namespace(digit) };
    for (dialect, digit) in [
        (picks("1.0", "0"), "0"),
        (picks("1.1", "1"), "1"),
        (picks("1.2", "2"), "2"),
        (picks("1.3", "2"), "2"),
        (picks("1.4", "2"), "2"),
        (picks("7.9", "2"), "2"),
        (in_namespace("0"), "0"),
        (in_namespace("1"), "1"),
    ] {
        let acs = Acs::start(Options { dialect, ..Options::default() });
        let daemon = agent_with(&acs, "picked", LONG_WAIT);
        let mut session = acs.next_session(SOON);
        assert_eq!(said(&session), "2");
        assert_eq!(namespace(&session.next_request().1), digit, "E-14, E-15");
        session.get(&[CODE]).expect("a value");
        session.end();
        over(&daemon);
        assert_eq!(failure(&daemon), None);
        let log = acs.log();
        let answer = log.iter().rfind(|m| m.body.contains("GetParameterValuesResponse")).expect("an answer");
        assert_eq!(namespace(&answer.body), digit, "E-9");
        kicked(&acs, &daemon).end();
        assert_eq!(informs(&acs), all(&[("2", true), ("2", true)]));
    }
}
