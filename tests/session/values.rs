//! SetParameterValues: all or nothing, a fault for each bad parameter, and what takes effect when.

use crate::acs::{Acs, Algorithm, Authentication, Options};
use crate::{SOON, agent, agent_with, failure, kicked, over, settled, status, text};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const ENABLE: &str = "Device.ManagementServer.PeriodicInformEnable";
const URL: &str = "Device.ManagementServer.URL";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const STRING: &str = "xsd:string";

/// R-SPV-8, R-SPV-27, R-GEN-6, I-3: applied, read back, told in the next Inform, there after a power cut.
// Proves: R-SPV-8, R-SPV-27
#[test]
fn r_spv_8_applied_and_kept() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "applied");
    let mut session = acs.next_session(SOON);
    let list =
        [(CODE, STRING, "north.1"), (INTERVAL, "xsd:unsignedInt", "7200"), (ENABLE, "xsd:boolean", "0")];
    assert_eq!(session.set(&list, "key 1"), Ok(0), "R-SPV-8");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.value(KEY), Some("key 1"), "R-GEN-6");
    assert_eq!(session.inform.value(CODE), Some("north.1"));
    for (name, value) in [(CODE, "north.1"), (INTERVAL, "7200"), (ENABLE, "false"), (KEY, "key 1")] {
        assert_eq!(session.value(name).as_deref(), Ok(value), "R-SPV-27: {name}");
    }
    session.end();
}

/// R-SPV-1, R-SPV-4, R-SPV-5, R-SPV-11, R-SPV-14, R-GEN-5, R-GEN-6, E-18, E-30: each bad parameter has
/// its own entry, and nothing at all is changed.
// Proves: T-37, T-38, E-18, E-19, E-30, R-SPV-4, R-SPV-5, R-SPV-11, R-SPV-14
#[test]
fn r_spv_4_a_fault_for_each() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "faults");
    let mut session = acs.next_session(SOON);
    session.set(&[(CODE, STRING, "before")], "first").expect("a good one");
    let long = "x".repeat(65);
    let fault = session
        .set(
            &[
                (CODE, STRING, "after"),
                ("Device.Nowhere.Name", STRING, "1"),
                ("Device.DeviceInfo.Manufacturer", STRING, "me"),
                (INTERVAL, "xsd:unsignedInt", "0"),
                (ENABLE, "xsd:int", "1"),
                ("Device.ManagementServer.", STRING, "1"),
                (URL, STRING, "ftp://a/"),
            ],
            "second",
        )
        .expect_err("R-SPV-4");
    assert_eq!((fault.code, fault.side.as_str()), (9003, "Client"), "E-18, E-19");
    let mut found: Vec<(&str, u16)> =
        fault.parameters.iter().map(|(name, code, _)| (name.as_str(), *code)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("Device.DeviceInfo.Manufacturer", 9008),
            ("Device.ManagementServer.", 9005),
            (ENABLE, 9006),
            (INTERVAL, 9007),
            (URL, 9007),
            ("Device.Nowhere.Name", 9005),
        ]
    );
    assert!(fault.parameters.iter().all(|(_, _, text)| !text.is_empty()));
    for (bad, code) in [
        ((CODE, STRING, long.as_str()), 9007),
        ((URL, STRING, "http://u:p@a/"), 9007),
        ((URL, STRING, ""), 9007),
    ] {
        match session.set(&[bad], "third") {
            Err(fault) => assert_eq!(fault.parameters[0].1, code, "{bad:?}: {fault:?}"),
            Ok(_) => panic!("T-37, R-SPV-14: {bad:?} was taken"),
        }
    }
    assert_eq!(session.value(CODE).as_deref(), Ok("before"), "R-SPV-1");
    assert_eq!(session.value(KEY).as_deref(), Ok("first"), "R-GEN-5");
    session.end();
}

/// R-SPV-3, R-SPV-12, R-SPV-13, R-GEN-6: duplicates, keys that are too long, an empty list.
// Proves: E-23, R-SPV-3, R-SPV-12, R-SPV-13
#[test]
fn r_spv_3_the_list_itself() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "list");
    let mut session = acs.next_session(SOON);
    let fault = session.set(&[(CODE, STRING, "a"), (CODE, STRING, "b")], "").expect_err("R-SPV-3");
    assert_eq!(fault.code, 9003);
    let key = "k".repeat(33);
    assert_eq!(session.set(&[(CODE, STRING, "a")], &key).expect_err("R-SPV-12").code, 9003);
    let key = "é".repeat(32);
    assert_eq!(session.set(&[(CODE, STRING, "a")], &key), Ok(0), "E-23: characters, not octets");
    assert_eq!(session.value(KEY), Ok(key));
    assert_eq!(session.set(&[], "empty"), Ok(0), "R-SPV-13");
    assert_eq!(session.value(KEY).as_deref(), Ok("empty"));
    session.end();
}

/// E-23, E-24, E-25, E-31, S-21, R-GPV-8, R-SPV-19: what values look like on their way in and out.
// Proves: E-23, E-24, E-25, E-31, R-SPV-19, R-GPV-8
#[test]
fn e_24_values_survive_the_way() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "survive");
    let mut session = acs.next_session(SOON);
    let wide = "€".repeat(64);
    for value in [&*wide, " a\tb\nc\rd ", "<&>\"'", "]]>", "", "\u{10348}"] {
        assert_eq!(session.set(&[(CODE, STRING, value)], ""), Ok(0), "{value:?}");
        assert_eq!(session.value(CODE).as_deref(), Ok(value), "E-24");
    }
    for (written, read) in [("1", "true"), ("0", "false"), ("true", "true"), ("false", "false")] {
        session.set(&[(ENABLE, "xsd:boolean", written)], "").expect("E-25");
        assert_eq!(session.value(ENABLE).as_deref(), Ok(read), "E-25");
    }
    let list = format!(
        "<ParameterList><ParameterValueStruct><Name>{INTERVAL}</Name><Value>90000</Value></ParameterValueStruct>\
         </ParameterList><ParameterKey/>"
    );
    session.ask("SetParameterValues", &list).expect("E-31: no xsi:type");
    let password = "Device.ManagementServer.ConnectionRequestPassword";
    session.set(&[(password, STRING, "hush")], "").expect("it can be set");
    let values = session.get(&[INTERVAL, ENABLE, password]).expect("values");
    let typed: Vec<(&str, &str)> = values.iter().map(|v| (v.xsi_type.as_str(), v.value.as_str())).collect();
    assert_eq!(
        typed,
        [("xsd:unsignedInt", "90000"), ("xsd:boolean", "false"), ("xsd:string", "")],
        "R-GPV-8, R-SPV-19"
    );
    session.end();
}

/// R-SPV-2, R-SPV-20: judged on the final state.
// Proves: R-SPV-2, R-SPV-20
#[test]
fn r_spv_20_unique_among_rows() {
    const ROWS: &str = "Device.ManagementServer.InformParameter.";
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "unique");
    let mut session = acs.next_session(SOON);
    let (a, _) = session.add(ROWS, "").expect("a row");
    let (b, _) = session.add(ROWS, "").expect("a row");
    let alias = |n: u32| format!("{ROWS}{n}.Alias");
    let names = [alias(a), alias(b)];
    session.set(&[(&names[0], STRING, "left"), (&names[1], STRING, "right")], "").expect("two names");
    let fault = session.set(&[(&names[0], STRING, "right")], "").expect_err("R-SPV-20");
    assert_eq!((fault.code, fault.parameters.len()), (9003, 1));
    session
        .set(&[(&names[0], STRING, "right"), (&names[1], STRING, "left")], "")
        .expect("R-SPV-2: they change places");
    assert_eq!(session.value(&names[1]).as_deref(), Ok("left"));
    assert_eq!(session.set(&[(&names[0], STRING, "")], "").expect_err("N-10").parameters[0].1, 9007);
    session.end();
}

/// C-2, V-4, V-8, V-9, V-10, S-22, R-SPV-25: the new ACS is told 0 BOOTSTRAP, in the next session.
// Proves: C-2, V-4, V-8, V-9, R-SPV-10, R-SPV-25
#[test]
fn v_8_another_acs() {
    let acs = Acs::start(Options::default());
    let new = Acs::start(Options {
        username: "newcomer".into(),
        password: "n".into(),
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        ..Options::default()
    });
    let mut daemon = settled(&acs, "moved");
    let mut session = kicked(&acs, &daemon);
    session.schedule_inform(3000, "of the former").expect("scheduled");
    session
        .set(
            &[
                (URL, STRING, &new.url()),
                ("Device.ManagementServer.Username", STRING, "newcomer"),
                ("Device.ManagementServer.Password", STRING, "n"),
            ],
            "moved",
        )
        .expect("it moves");
    assert_eq!(session.value(URL), Ok(new.url()), "R-SPV-10");
    session.get(&[CODE]).expect("S-22: this session stays where it is");
    session.end();
    let session = new.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"], "V-10");
    assert_eq!(session.inform.value(KEY), Some("moved"));
    session.end();
    over(&daemon);
    assert_eq!(text(&status(&daemon), "acs_url"), new.url());
    // The file still names the former one: what the ACS set wins.
    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    let session = kicked(&new, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    session.end();
    assert_eq!(acs.sessions(), 2);
}

/// S-22: new credentials hold from the next session on, which tries them out.
// Proves: S-22
#[test]
fn s_22_new_credentials() {
    let acs = Acs::start(Options {
        authentication: Authentication::Digest(vec![Algorithm::Md5]),
        ..Options::default()
    });
    let daemon = agent_with(&acs, "credentials", crate::LONG_WAIT);
    let mut session = acs.next_session(SOON);
    session.set(&[("Device.ManagementServer.Password", STRING, "changed")], "").expect("it can be set");
    session.get(&[CODE]).expect("the old one holds for this session");
    session.end();
    acs.change(|options| options.password = "changed".into());
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}

/// C-2, V-4, I-11, V-12, V-5: a new interval holds at once; without an ACS one 2 PERIODIC waits.
// Proves: C-2, V-4, I-11, I-12
#[test]
fn i_11_periodic() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "periodic");
    let mut session = acs.next_session(SOON);
    session.set(&[(INTERVAL, "xsd:unsignedInt", "1")], "").expect("an interval");
    session.end();
    for _ in 0..2 {
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
        session.end();
    }
    let mut session = acs.next_session(SOON);
    session.set(&[(ENABLE, "xsd:boolean", "0")], "").expect("no more");
    session.end();
    // One may have become due during that session (I-12).
    daemon.wait_for("end of the periodic Informs", || {
        let status = status(&daemon);
        status["next_session"].is_null() && !text(&status, "state").starts_with("in a session")
    });
}

/// C-30: EnableCWMP=false: no Inform, no connection request, until somebody at the device allows it.
// Proves: C-30
#[test]
fn c_30_cwmp_can_be_put_off() {
    const NAME: &str = "Device.ManagementServer.EnableCWMP";
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "off");
    let url = crate::call_url(&daemon);
    let mut session = acs.next_session(SOON);
    session.set(&[(NAME, "xsd:boolean", "0")], "").expect("it can be put off");
    session.end();
    over(&daemon);
    let address = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    daemon.wait_for("closed port", || std::net::TcpStream::connect(&address).is_err());
    assert_eq!(daemon.cli(&["inform"]).status.code(), Some(1), "refused with its reason");
    daemon.ask(&["set", "Device.DeviceInfo.ProvisioningCode=local"]);
    assert_eq!(acs.sessions(), 1);
    daemon.ask(&["set", &format!("{NAME}=true")]);
    let session = acs.next_session(SOON);
    assert!(session.inform.codes().contains(&"4 VALUE CHANGE"), "{:?}", session.inform.codes());
    session.end();
}
