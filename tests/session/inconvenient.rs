//! The least convenient ACS that the standard allows. Each of its manners has tests of its own; here
//! they come together, and the agent is configured all the same.

use crate::acs::{Acs, Algorithm, Authentication, Coding, Dialect, Direction, Id, Incident, Options, Post};
use crate::{SOON, agent, failure, kicked, over, status};

const SERVER: &str = "Device.ManagementServer.";
const ROWS: &str = "Device.ManagementServer.InformParameter.";

/// What the ACS does from the second session on.
fn manners() -> Options {
    Options {
        // The body of every answer is compressed, and comes in chunks of one byte …
        coding: Some(Coding::Gzip),
        chunk: Some(1),
        // … behind a `100 Continue`, below headers in lower case, on a connection that is then closed;
        interim_100: true,
        lower_case_headers: true,
        close_each: true,
        // an empty answer is a 200,
        empty_as_200: true,
        // the agent has to say who it is, with cookies beside,
        authentication: Authentication::Digest(vec![Algorithm::Md5Sess]),
        cookies: true,
        // and envelopes come in unusual prefixes, with IDs that are not the agent's.
        dialect: Dialect {
            soap: "S".to_owned(),
            cwmp: "q".to_owned(),
            id: Id::Other,
            session_timeout: Some(90),
            hold_requests: Some(true),
            ..Dialect::default()
        },
        ..Options::default()
    }
}

/// C-6, C-12, T-4, T-16, T-19, T-24, T-32, N-12, R-SPV-21: one after the other, and all at once.
// Proves: C-6, C-12, C-13, T-4, T-11, T-16, T-17, T-24, T-32, N-12, R-SPV-21
#[test]
fn everything_at_once() {
    let acs = Acs::start(Options::default());

    // The first session: the ACS wants the Inform twice more, and holds the agent's requests.
    acs.at(1, Incident::Fault(8005));
    acs.at(1, Incident::Fault(8005));
    acs.change(|o| o.dialect.hold_requests = Some(true));
    let daemon = agent(&acs, "inconvenient");
    let mut session = acs.next_inform(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    session.answer_inform();
    assert!(matches!(session.peek(), Post::Empty), "C-12: GetRPCMethods has to wait");
    // It chooses compression, aliases, and rows that are made by being written to.
    let modes = [
        ("HTTPCompression", "xsd:string", "GZIP"),
        ("InstanceMode", "xsd:string", "InstanceAlias"),
        ("AutoCreateInstances", "xsd:boolean", "1"),
    ];
    let modes = modes.map(|(name, kind, value)| (format!("{SERVER}{name}"), kind, value));
    let modes: Vec<_> = modes.iter().map(|(name, kind, value)| (name.as_str(), *kind, *value)).collect();
    assert_eq!(session.set(&modes, "modes"), Ok(0));
    assert!(session.requests.is_empty(), "C-12");
    // Now the agent may ask, and does so before anything else.
    session.hold(false);
    session.reply_empty();
    assert_eq!(session.next_request().0.method.name, "GetRPCMethods", "C-12, C-14");
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);

    // The second session, with all manners at once, and a redirect of its third message.
    acs.change(|o| *o = Options { address: o.address, ..manners() });
    acs.at(3, Incident::Redirect(307, "/acs/elsewhere".to_owned()));
    let mut session = kicked(&acs, &daemon);
    let row = |name: &str| format!("{ROWS}[late row].{name}");
    let (enable, name, list) = (row("Enable"), row("ParameterName"), row("EventList"));
    let configured = [
        (enable.as_str(), "xsd:boolean", "1"),
        (name.as_str(), "xsd:string", "Device.DeviceInfo.UpTime"),
        (list.as_str(), "xsd:string", "2 PERIODIC"),
        ("Device.DeviceInfo.ProvisioningCode", "xsd:string", "set by an odd ACS"),
    ];
    assert_eq!(session.set(&configured, "configured"), Ok(0), "R-SPV-21");
    let rows = session.get(&[ROWS]).expect("the row");
    assert!(rows.iter().any(|v| v.name == name && v.value == "Device.DeviceInfo.UpTime"), "N-12: {rows:?}");
    assert!(rows.iter().all(|v| v.name.starts_with(&row(""))), "N-12: {rows:?}");
    let whole = session.get(&["Device."]).expect("the whole tree");
    assert!(
        whole
            .iter()
            .any(|v| v.name == "Device.DeviceInfo.ProvisioningCode" && v.value == "set by an odd ACS")
    );
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);

    // What it saw of the agent in that session.
    let log = acs.log();
    let second = log.iter().rposition(|m| m.body.contains("<cwmp:Inform>")).expect("an Inform");
    let posts: Vec<_> = log[second..].iter().filter(|m| m.direction == Direction::FromAgent).collect();
    let moved: Vec<bool> = posts.iter().map(|m| m.head.line.contains("/acs/elsewhere")).collect();
    assert!(moved.contains(&true) && moved.is_sorted(), "T-24: it stays where it was sent: {moved:?}");
    let compressed = |m: &crate::acs::Message| m.head.header("Content-Encoding") == Some("gzip");
    assert!(posts.iter().filter(|m| m.wire > 0).all(|m| compressed(m)), "T-32");
    let mut connections: Vec<usize> = posts.iter().map(|m| m.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), posts.len(), "T-4: each on a connection of its own");

    // The third Inform tells the row that was asked for, by its alias' rules, and nothing is owed.
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    assert_eq!(session.inform.retry_count, 0);
    assert!(session.inform.value("Device.DeviceInfo.UpTime").is_some(), "{}", session.inform.xml);
    session.end();
    over(&daemon);
    assert_eq!(status(&daemon)["retry_count"], 0);
}
