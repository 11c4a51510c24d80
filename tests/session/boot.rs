//! The first contact: what the Inform says, how it is put on the wire, and who is told what after a
//! boot and after a restart.

use crate::acs::{Acs, Algorithm, Authentication, Direction, Incident, Message, Options};
use crate::{
    LONG_WAIT, SOON, agent, agent_at, agent_with, failure, keys, kicked, over, sections, status, until,
};

const FORCED: [&str; 7] = [
    "Device.RootDataModelVersion",
    "Device.DeviceInfo.HardwareVersion",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.DeviceInfo.ProvisioningCode",
    "Device.ManagementServer.ParameterKey",
    "Device.ManagementServer.ConnectionRequestURL",
    "Device.ManagementServer.AliasBasedAddressing",
];

fn posts(acs: &Acs) -> Vec<Message> {
    acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).collect()
}

/// C-2, V-4, C-3, C-17, C-22, C-29, I-1, I-2, I-3, V-7, V-8, V-10, V-11, E-11, E-26
// Proves: E-11, E-26, C-2, C-3, C-11, C-13, C-17, C-22, C-29, V-4, V-7, V-8, V-10, V-11, I-1, I-2, I-3
// Proves: CR-15, CR-18
#[test]
fn the_first_inform() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "first");
    let session = acs.next_session(SOON);
    let inform = &session.inform;
    assert_eq!(inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "V-10");
    assert!(inform.events.iter().all(|(_, key)| key.is_empty()), "V-7");
    assert_eq!(
        [&inform.manufacturer, &inform.oui, &inform.product_class, &inform.serial_number],
        ["Example", "00D09E", "Box", "S1"],
        "I-1"
    );
    assert_eq!(inform.max_envelopes, "1", "C-17");
    assert_eq!(inform.retry_count, 0, "C-22");
    let id = inform.id.as_deref().expect("E-11: an ID");
    assert!(!id.is_empty() && id.chars().count() <= 32, "E-11: {id}");
    // I-2, E-26: local time with its offset.
    let shape: String =
        inform.current_time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert!(
        ["9999-99-99T99:99:99+99:99", "9999-99-99T99:99:99-99:99", "9999-99-99T99:99:99Z"].contains(&&*shape),
        "{}",
        inform.current_time
    );
    for name in FORCED {
        let times = inform.parameters.iter().filter(|v| v.name == name).count();
        assert_eq!(times, 1, "I-3: {name}");
    }
    assert_eq!(inform.value("Device.DeviceInfo.SoftwareVersion"), Some("1.2.3"));
    assert_eq!(inform.value("Device.ManagementServer.ParameterKey"), Some(""));
    let url = inform.value("Device.ManagementServer.ConnectionRequestURL").expect("CR-15");
    assert!(url.starts_with("http://127.0.0.1:"), "CR-15, CR-18: {url}");
    let typed = |name: &str| {
        let value = inform.parameters.iter().find(|v| v.name == name).expect("listed");
        value.xsi_type.clone()
    };
    assert_eq!(typed("Device.ManagementServer.AliasBasedAddressing"), "xsd:boolean", "E-5");
    assert_eq!(typed("Device.ManagementServer.ParameterKey"), "xsd:string", "E-5");
    session.end();
    let posts = posts(&acs);
    assert!(posts[0].body.contains("Inform"), "C-3: nothing goes before the Inform");
    let [_, own, empty] = posts.as_slice() else { panic!("C-13: {} POSTs", posts.len()) };
    assert!(own.body.contains("<cwmp:GetRPCMethods/>"), "C-11: {}", own.body);
    assert_eq!(empty.body, "", "C-13");
}

/// I-1: DeviceId is what DeviceInfo says.
// Proves: I-1
#[test]
fn i_1_the_inform_says_what_device_info_says() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "identity");
    let mut session = acs.next_session(SOON);
    for (name, value) in [
        ("Manufacturer", "Example"),
        ("ManufacturerOUI", "00D09E"),
        ("ProductClass", "Box"),
        ("SerialNumber", "S1"),
    ] {
        assert_eq!(session.value(&format!("Device.DeviceInfo.{name}")).as_deref(), Ok(value));
    }
    session.end();
}

/// T-2, T-3, T-9, T-12, T-13, T-14, T-15
// Proves: T-2, T-3, T-9, T-12, T-14, T-15
#[test]
fn the_heads_of_posts() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "heads");
    let mut session = acs.next_session(SOON);
    session.get(&["Device.DeviceInfo.Manufacturer"]).expect("a value");
    session.end();
    let posts = posts(&acs);
    let [inform, own, empty, answer] = posts.as_slice() else { panic!("{} posts", posts.len()) };
    for post in [inform, own, answer] {
        assert_eq!(post.head.line, "POST /acs HTTP/1.1", "T-2");
        let action = post.head.header("SOAPAction").expect("T-14");
        assert!(action.is_empty() || action == "\"\"", "T-14: {action}");
        let kind = post.head.header("Content-Type").expect("T-15").to_ascii_lowercase();
        assert!(kind.starts_with("text/xml") && kind.contains("utf-8"), "T-15: {kind}");
        assert_eq!(post.head.all("Host").len(), 1);
    }
    assert_eq!(empty.head.header("SOAPAction"), None, "T-12");
    assert_eq!(empty.head.header("Content-Type"), None, "T-12");
    assert_eq!(empty.head.header("Content-Length"), Some("0"), "T-13");
    assert_eq!(empty.body, "");
    assert!(acs.log().iter().all(|m| m.connection == 1), "T-3: one connection");
    for pair in acs.log().chunks(2) {
        assert_eq!(pair[0].direction, Direction::FromAgent, "T-9: an answer before the next POST");
        assert_eq!(pair[1].direction, Direction::ToAgent, "T-9");
    }
}

/// E-1, E-3, E-8, E-10: the namespaces and the ID of what goes out. (E-2 to E-5 are judged by the
/// ACS at each envelope.)
// Proves: E-8, E-10, E-13
#[test]
fn the_envelope_of_the_inform() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "envelope");
    let session = acs.next_session(SOON);
    let xml = &session.inform.xml;
    for namespace in [
        "\"http://schemas.xmlsoap.org/soap/envelope/\"",
        "\"http://schemas.xmlsoap.org/soap/encoding/\"",
        "\"http://www.w3.org/2001/XMLSchema\"",
        "\"http://www.w3.org/2001/XMLSchema-instance\"",
        "\"urn:dslforum-org:cwmp-1-2\"",
    ] {
        assert!(xml.contains(namespace), "E-1, E-8: {namespace}\n{xml}");
    }
    assert!(!xml.contains("cwmp-1-3") && !xml.contains("cwmp-1-4"), "E-8");
    let from = xml.find("<cwmp:ID").expect("E-10: an ID");
    let id = xml[from..].split('>').next().unwrap_or_default();
    assert!(id.contains("mustUnderstand=\"1\""), "E-10: {id}");
    let versions = "mustUnderstand=\"0\">1.0,1.1,1.2,1.3,1.4</cwmp:SupportedCWMPVersions>";
    assert!(xml.contains(versions), "E-13");
    session.end();
}

/// T-5, S-11, S-13, S-16, S-17, S-19: a challenge is answered on the same connection, and nc counts.
// Proves: S-11, S-16, S-19
#[test]
fn digest_on_one_connection() {
    use Algorithm::{Md5, Md5Sess, Sha256};
    for (offered, used) in [
        (vec![Md5], "MD5"),
        (vec![Md5Sess], "MD5-sess"),
        (vec![Sha256], "SHA-256"),
        (vec![Md5, Sha256], "SHA-256"),
    ] {
        let acs =
            Acs::start(Options { authentication: Authentication::Digest(offered), ..Options::default() });
        let _daemon = agent(&acs, "digest");
        let mut session = acs.next_session(SOON);
        session.get(&["Device.DeviceInfo.Manufacturer"]).expect("a value");
        session.end();
        let posts = posts(&acs);
        assert_eq!(posts.len(), 5, "{used}: one challenge, four POSTs");
        assert_eq!(posts[0].head.header("Authorization"), None, "nothing to answer yet");
        assert_eq!(posts[0].body, posts[1].body, "the same Inform again");
        assert!(posts.iter().all(|m| m.connection == 1), "T-5");
        for (n, post) in posts[1..].iter().enumerate() {
            let said = post.head.header("Authorization").expect("S-13");
            assert!(said.contains(&format!("nc={:08x}", n + 1)), "S-17: {said}");
            assert!(said.contains(&format!("algorithm={used}")), "S-19: {said}");
        }
    }
}

/// S-12: Basic over clear text only for who allowed it.
#[test]
fn s_12_basic_over_http() {
    let acs = Acs::start(Options { authentication: Authentication::Basic, ..Options::default() });
    let daemon = agent_with(&acs, "basic", LONG_WAIT);
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    let why = failure(&daemon).expect("failed");
    assert!(why.contains("Basic"), "{why}");
    assert!(posts(&acs).iter().all(|p| p.head.header("Authorization").is_none()), "the password stayed here");
    drop(daemon);
    let _daemon = agent_with(&acs, "basic", "basic_over_http = true\n");
    acs.next_session(SOON).end();
    let posts = posts(&acs);
    assert!(posts.last().expect("posts").head.header("Authorization").is_some(), "S-13");
}

/// S-14, S-15: without a name of its own the agent has the standard's.
// Proves: S-14, S-15
#[test]
fn s_14_the_name_nobody_gave() {
    let acs = Acs::start(Options {
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        username: "00D09E-A%20Box%2F%C3%A9-S1".into(),
        ..Options::default()
    });
    let mut daemon = agent_at(&acs.url(), "name", "");
    let sections = sections().replace("\"Box\"", "\"A Box/é\"");
    daemon.configure(&keys(&acs.url()).replace("username = \"agent\"\n", ""), &sections);
    daemon.start();
    acs.next_session(SOON).end();
}

/// S-18: a second refusal of the same credentials ends the session.
#[test]
fn s_18_wrong_password() {
    let acs = Acs::start(Options {
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        password: "another".into(),
        ..Options::default()
    });
    let daemon = agent_with(&acs, "refused", LONG_WAIT);
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    let why = failure(&daemon).expect("failed");
    assert!(why.starts_with("authentication:"), "{why}");
    assert_eq!(posts(&acs).len(), 2, "asked, answered, given up");
    let said = daemon.ask(&["status"]) + &daemon.log();
    assert!(!said.contains("secret"), "no password in status or log");
}

/// C-2, V-4, V-11, V-24: a restart of the daemon is no boot; an emptied run_dir is one, and no bootstrap.
// Proves: C-2, V-4, V-11
#[test]
fn v_11_restart_and_reboot() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "boots");
    acs.next_session(SOON).end();
    over(&daemon);
    for by_force in [true, false] {
        if by_force {
            daemon.kill();
        } else {
            daemon.stop();
        }
        daemon.start();
        daemon.wait_ready();
        let session = kicked(&acs, &daemon);
        assert_eq!(session.inform.codes(), ["2 PERIODIC"], "nothing has happened");
        session.end();
        over(&daemon);
    }
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT"], "V-8, V-11");
    session.end();
    assert_eq!(acs.sessions(), 4, "not one more");
}

/// V-11, V-24: boots that could not be told are told once; 0 BOOTSTRAP outlives them all.
// Proves: C-26, C-29, V-24
#[test]
fn v_24_a_boot_without_an_acs() {
    let acs = Acs::start(Options::default());
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/acs", port.local_addr().expect("bound"));
    drop(port);
    let sections = sections();
    let mut daemon = agent_at(&nobody, "alone", "");
    daemon.configure(&keys(&nobody), &sections);
    for _ in 0..2 {
        daemon.start();
        daemon.wait_ready();
        daemon.wait_for("failure", || failure(&daemon).is_some());
        assert_eq!(status(&daemon)["pending_events"][0][0], "0 BOOTSTRAP");
        daemon.reboot();
    }
    daemon.configure(&keys(&acs.url()), &sections);
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.inform.retry_count, 0, "C-26, C-29");
    session.end();
}

/// V-13, V-9: what changed before the first contact is no change to an ACS that was told nothing yet, also
/// where the agent had taken it for one.
// Proves: V-13
#[test]
fn v_13_no_change_beside_bootstrap() {
    const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(500));
    let daemon = agent_with(&acs, "before-contact", LONG_WAIT);
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    daemon.ask(&["set", &format!("{CODE}=early")]);
    let pending = |s: &serde_json::Value| s["pending_events"].to_string().contains("4 VALUE CHANGE");
    until(&daemon, "change", pending);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "V-13");
    assert_eq!(session.inform.value(CODE), Some("early"));
    session.end();
    over(&daemon);
    assert_eq!(acs.sessions(), 1, "nothing is owed");
}
