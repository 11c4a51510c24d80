//! Device.PeriodicStatistics: what the ACS has the agent sample.

use crate::acs::{Acs, Attributes, Options};
use crate::{SOON, over, settled, status};

const SET: &str = "Device.PeriodicStatistics.SampleSet.1.";
const PARAMETER: &str = "Device.PeriodicStatistics.SampleSet.1.Parameter.1.";

/// A set and its parameter by the ACS; samples on demand; the report is full, and the ACS is told to fetch it by one
/// change of Status, which reads Enabled then as before.
#[test]
fn samples_on_demand_and_a_full_report() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "statistics");
    daemon.ask(&["inform"]);
    let mut session = acs.next_session(SOON);
    assert_eq!(session.add("Device.PeriodicStatistics.SampleSet.", ""), Ok((1, 0)));
    assert_eq!(session.add(&format!("{SET}Parameter."), ""), Ok((1, 0)));
    assert_eq!(session.value(&format!("{SET}Status")), Ok("Disabled".into()));
    let wrong = session.set(&[(&format!("{SET}SampleInterval"), "xsd:unsignedInt", "9")], "");
    assert_eq!(wrong.expect_err("less than MinSampleInterval").parameters[0].1, 9007);
    let values = [
        (format!("{SET}Name"), "xsd:string", "uptime"),
        (format!("{SET}FetchSamples"), "xsd:unsignedInt", "3"),
        (format!("{SET}ReportSamples"), "xsd:unsignedInt", "3"),
        (format!("{PARAMETER}Reference"), "xsd:string", "Device.ManagementServer.PeriodicInformInterval"),
        (format!("{PARAMETER}Enable"), "xsd:boolean", "true"),
        (format!("{PARAMETER}HighThreshold"), "xsd:int", "500"),
        (format!("{SET}Enable"), "xsd:boolean", "true"),
        (format!("{SET}ForceSample"), "xsd:boolean", "true"),
    ];
    let list: Vec<(&str, &str, &str)> = values.iter().map(|(n, t, v)| (n.as_str(), *t, *v)).collect();
    assert_eq!(session.set(&list, "k"), Ok(0));
    let watch = Attributes { name: format!("{SET}Status"), notification: Some(2), access_list: None };
    session.set_attributes(&[watch]).expect("watched");
    assert_eq!(session.value(&format!("{SET}ForceSample")), Ok("false".into()));
    session.end();
    over(&daemon);
    let get = |name: &str| {
        let path = format!("{SET}{name}");
        daemon
            .ask(&["get", &path])
            .trim_end()
            .strip_prefix(&format!("{path}="))
            .expect("its value")
            .to_owned()
    };
    daemon.wait_for("first sample", || get("Parameter.1.Values") == "86400");
    assert_eq!(get("Status"), "Enabled");
    assert_eq!(get("Parameter.1.Failures"), "1");
    // What is sampled may be a sample itself.
    daemon.ask(&["add", &format!("{SET}Parameter.")]);
    daemon.ask(&[
        "set",
        &format!("{SET}Parameter.2.Reference={PARAMETER}Failures"),
        &format!("{SET}Parameter.2.Enable=true"),
    ]);
    assert_eq!(get("Parameter.1.Values"), "", "another report has begun");
    for n in 1..=3 {
        daemon.ask(&["set", &format!("{SET}ForceSample=true")]);
        daemon.wait_for("sample", || {
            get("Parameter.1.Values").split(',').count() == n && !get("Parameter.1.Values").is_empty()
        });
    }
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    assert_eq!(session.inform.value(&format!("{SET}Status")), Some("Enabled"));
    assert_eq!(session.value(&format!("{PARAMETER}Values")), Ok("86400,86400,86400".into()));
    assert_eq!(session.value(&format!("{SET}Parameter.2.Values")), Ok("0,1,1".into()));
    assert_eq!(session.value(&format!("{PARAMETER}SuspectData")), Ok("0,0,0".into()));
    session.end();
    over(&daemon);
    // Told once.
    assert!(status(&daemon)["pending_events"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(acs.sessions(), 3);
}
