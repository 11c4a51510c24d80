//! AddObject and DeleteObject, on the table that every agent has: InformParameter.

use crate::acs::{Acs, Options};
use crate::{SOON, agent, kicked, over};

const ROWS: &str = "Device.ManagementServer.InformParameter.";
const COUNT: &str = "Device.ManagementServer.InformParameterNumberOfEntries";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const STRING: &str = "xsd:string";

/// R-OBJ-2, R-OBJ-5, R-OBJ-6, R-OBJ-7, R-OBJ-8, R-OBJ-10, R-GEN-6, DM-3
// Proves: R-GEN-6, R-OBJ-2, R-OBJ-5, R-OBJ-6, R-OBJ-7, R-OBJ-8, R-OBJ-10
#[test]
fn r_obj_6_numbers_are_never_used_again() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "numbers");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.add(ROWS, "k1"), Ok((1, 0)), "R-OBJ-6, R-OBJ-7");
    assert_eq!(session.value(KEY).as_deref(), Ok("k1"), "R-OBJ-8");
    assert_eq!(session.value(COUNT).as_deref(), Ok("1"), "DM-3");
    for (name, value) in [("Enable", "false"), ("Alias", "cpe-1"), ("ParameterName", ""), ("EventList", "")] {
        assert_eq!(session.value(&format!("{ROWS}1.{name}")).as_deref(), Ok(value), "R-OBJ-5, R-OBJ-10");
    }
    assert_eq!(session.add(ROWS, "k2"), Ok((2, 0)));
    assert_eq!(session.delete(&format!("{ROWS}2."), "k3"), Ok(0));
    assert_eq!(session.value(KEY).as_deref(), Ok("k3"));
    assert_eq!(session.value(COUNT).as_deref(), Ok("1"));
    assert_eq!(session.add(ROWS, "k4"), Ok((3, 0)), "R-OBJ-6: 2 is gone for good");
    assert_eq!(session.delete(&format!("{ROWS}3."), "k5"), Ok(0));
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.value(KEY), Some("k5"));
    assert_eq!(session.add(ROWS, ""), Ok((4, 0)), "R-OBJ-6: nor after a power cut");
    assert_eq!(session.names(ROWS, true).expect("names").len(), 2);
    session.end();
}

/// R-OBJ-1, R-OBJ-3, R-OBJ-4, R-OBJ-12, R-GEN-5: what is refused changes nothing.
// Proves: R-GEN-5, R-OBJ-1, R-OBJ-3, R-OBJ-4, R-OBJ-12
#[test]
fn r_obj_3_refused() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "refused");
    let mut session = acs.next_session(SOON);
    session.add(ROWS, "good").expect("a row");
    let table = ROWS.trim_end_matches('.');
    let row = format!("{ROWS}1.");
    for bad in
        [table, &row, "Device.Nowhere.", "Device.DeviceInfo.", "Device.DeviceInfo.SupportedDataModel.", ""]
    {
        let fault = session.add(bad, "bad").expect_err(bad);
        assert!([9003, 9005].contains(&fault.code), "R-OBJ-1, R-OBJ-4: {bad}: {fault:?}");
    }
    for bad in [
        ROWS,
        "Device.ManagementServer.InformParameter.9.",
        "Device.ManagementServer.InformParameter.1",
        "Device.DeviceInfo.SupportedDataModel.1.",
        "",
    ] {
        let fault = session.delete(bad, "bad").expect_err(bad);
        assert!([9001, 9003, 9005].contains(&fault.code), "R-OBJ-3, R-OBJ-12: {bad}: {fault:?}");
    }
    let long = "k".repeat(33);
    assert_eq!(session.add(ROWS, &long).expect_err("too long").code, 9003);
    assert_eq!(session.delete(&row, &long).expect_err("too long").code, 9003);
    assert_eq!(session.value(KEY).as_deref(), Ok("good"), "R-GEN-5");
    assert_eq!(session.value(COUNT).as_deref(), Ok("1"), "R-GEN-5");
    session.delete(&row, "").expect("once");
    assert_eq!(session.delete(&row, "").expect_err("R-OBJ-3: twice").code, 9005);
    session.end();
}

/// I-5, I-6, I-8: rows add to the Inform what they name, when their events come.
// Proves: I-5, I-6, I-8
#[test]
fn i_5_inform_parameter() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "inform-parameter");
    let mut session = acs.next_session(SOON);
    let mut row = |name: &str, events: &str| {
        let (n, _) = session.add(ROWS, "").expect("a row");
        let cell = |c: &str| format!("{ROWS}{n}.{c}");
        let (a, b, c) = (cell("Enable"), cell("ParameterName"), cell("EventList"));
        session.set(&[(&a, "xsd:boolean", "1"), (&b, STRING, name), (&c, STRING, events)], "")
    };
    row("Device.DeviceInfo.SerialNumber", "").expect("always");
    row("Device.DeviceInfo.ProductClass", "6 CONNECTION REQUEST,3 SCHEDULED").expect("when called");
    row("Device.ManagementServer.InformParameter.*.Enable", "3 SCHEDULED, 6 CONNECTION REQUEST")
        .expect("a wildcard");
    for (name, events) in [
        ("Device.DeviceInfo.SoftwareVersion", ""),
        ("Device.DeviceInfo.Serial*", ""),
        ("Device.DeviceInfo.Manufacturer", "4 VALUE CHANGE"),
    ] {
        let fault = row(name, events).expect_err("I-5, I-6");
        assert_eq!((fault.code, fault.parameters[0].1), (9003, 9007), "{name}");
    }
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.value("Device.DeviceInfo.SerialNumber"), Some("S1"), "I-5");
    assert_eq!(session.inform.value("Device.DeviceInfo.ProductClass"), None, "I-5");
    session.end();
    over(&daemon);
    crate::call(&acs, &daemon);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"]);
    assert_eq!(session.inform.value("Device.DeviceInfo.ProductClass"), Some("Box"), "I-5");
    let enabled = session.inform.parameters.iter().filter(|v| v.name.starts_with(ROWS)).count();
    assert_eq!(enabled, 6, "I-6: the wildcard's matches");
    session.end();
}
