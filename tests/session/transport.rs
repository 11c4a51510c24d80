//! What is open toward the world, where an attempt begins, and what its Inform holds.

use crate::acs::{Acs, Direction, Incident, Options};
use crate::{LONG_WAIT, SOON, agent, agent_at, agent_with, call_url, failure, kicked, over, settled};
use std::collections::BTreeSet;
use std::fs;

/// T-1: the agent is a client; it listens for connection requests alone.
// Proves: T-1
#[test]
fn t_1_one_port_is_open() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "listening");
    let url = call_url(&daemon);
    let port: u16 = url.split(['/', ':']).find_map(|part| part.parse().ok()).expect("a port");
    let process = format!("/proc/{}", daemon.pid());
    let ours: BTreeSet<String> = fs::read_dir(format!("{process}/fd"))
        .expect("descriptors")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            Some(target.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_string())
        })
        .collect();
    let mut open = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // No IPv6, no file.
        let text = fs::read_to_string(format!("{process}/net/{protocol}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN; UDP has no such state, there every socket is open.
            if ours.contains(fields[9]) && (fields[3] == "0A" || protocol.starts_with("udp")) {
                let hex = fields[1].rsplit(':').next().expect("address:port");
                open.push((protocol, u16::from_str_radix(hex, 16).expect("hexadecimal")));
            }
        }
    }
    assert_eq!(open, [("tcp", port)], "{url}");
}

/// T-27: an attempt that failed at the target of a redirect is followed by one at ManagementServer.URL.
// Proves: T-27
#[test]
fn t_27_a_retry_starts_at_the_url() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Redirect(307, "/acs/elsewhere".to_string()));
    acs.at(1, Incident::Status(500));
    let _daemon = agent(&acs, "retried");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.retry_count, 1);
    session.end();
    let posts: Vec<String> = acs
        .log()
        .into_iter()
        .filter(|m| m.direction == Direction::FromAgent)
        .map(|m| m.head.target().to_string())
        .collect();
    assert_eq!(posts[..3], ["/acs", "/acs/elsewhere", "/acs"]);
}

/// CR-19
// Proves: CR-19
#[test]
fn cr_19_methods_of_connection_requests() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "methods");
    let mut session = acs.next_session(SOON);
    let value = session.value("Device.ManagementServer.SupportedConnReqMethods");
    assert_eq!(value.as_deref(), Ok("HTTP"));
    session.end();
}

/// C-28: what a retry tells is read anew.
// Proves: C-28
#[test]
fn c_28_a_retry_is_made_anew() {
    const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(500));
    let daemon = agent_with(&acs, "anew", LONG_WAIT);
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    daemon.ask(&["set", &format!("{CODE}=meanwhile")]);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.inform.value(CODE), Some("meanwhile"));
    session.end();
}

/// I-8: a long Inform is whole.
// Proves: I-8
#[test]
fn i_8_a_long_inform() {
    const ROWS: &str = "Device.ManagementServer.InformParameter.";
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "long-inform", "");
    let folder = daemon.folder.0.join("overlays");
    fs::create_dir_all(&folder).expect("a folder");
    let mut rows = String::from("[\"Device.X_00D09E_Many.\"]\n");
    for n in 0..900 {
        rows += &format!("P{n} = {{ type = \"unsignedInt\", const = \"{n}\" }}\n");
    }
    fs::write(folder.join("many.toml"), rows).expect("an overlay");
    daemon.start();
    let mut session = acs.next_session(SOON);
    let (row, _) = session.add(ROWS, "").expect("a row");
    let (enable, name) = (format!("{ROWS}{row}.Enable"), format!("{ROWS}{row}.ParameterName"));
    let many = "Device.X_00D09E_Many.";
    session.set(&[(&enable, "xsd:boolean", "1"), (&name, "xsd:string", many)], "").expect("set");
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    for n in 0..900 {
        let path = format!("{many}P{n}");
        let value = session.inform.parameters.iter().find(|v| v.name == path).expect("it is there");
        assert_eq!(
            (value.value.as_str(), value.xsi_type.as_str()),
            (n.to_string().as_str(), "xsd:unsignedInt")
        );
    }
    assert!(session.inform.value("Device.ManagementServer.ParameterKey").is_some());
    session.end();
}
