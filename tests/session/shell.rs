//! The command line against the running daemon.

use crate::acs::{Acs, Options};
use crate::{SOON, agent, call_url, over, settled, status, text};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const ROWS: &str = "Device.ManagementServer.InformParameter.";

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// names, get, set, add, del: what a person reads, what a script reads.
// Proves: S-21
#[test]
fn words_of_the_tree() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "words");
    assert_eq!(lines(&daemon.ask(&["names", "--next-level"])), ["Device."]);
    let names = daemon.ask(&["names"]);
    assert!(lines(&names).contains(&CODE) && lines(&names).contains(&ROWS));
    let said = daemon.ask(&["names", CODE, "--json"]);
    let json: serde_json::Value = serde_json::from_str(lines(&said)[0]).expect("JSON");
    assert_eq!(json, serde_json::json!({"path": CODE, "writable": true}));
    assert_eq!(lines(&said)[1], "{\"ok\":true}");
    assert_eq!(
        daemon.ask(&["get", "Device.DeviceInfo.SerialNumber", CODE]),
        format!("Device.DeviceInfo.SerialNumber=S1\n{CODE}=\n")
    );
    assert_eq!(daemon.ask(&["add", ROWS]), format!("{ROWS}1.\n"));
    let said = daemon.ask(&["add", ROWS, "--json"]);
    let json: serde_json::Value = serde_json::from_str(lines(&said)[0]).expect("JSON");
    assert_eq!(json, serde_json::json!({"instance": 2, "path": format!("{ROWS}2.")}));
    daemon.ask(&["set", &format!("{ROWS}2.Alias=a=b"), &format!("{ROWS}1.Enable=1")]);
    assert_eq!(daemon.ask(&["get", &format!("{ROWS}[a=b].Alias")]).split('=').nth(1), Some("a"));
    assert_eq!(daemon.ask(&["get", &format!("{ROWS}1.Enable")]), format!("{ROWS}1.Enable=true\n"));
    daemon.ask(&["del", &format!("{ROWS}1.")]);
    assert_eq!(lines(&daemon.ask(&["names", "--next-level", ROWS])), [format!("{ROWS}2.")]);
    let password = "Device.ManagementServer.Password";
    assert_eq!(daemon.ask(&["get", password]), format!("{password}=\n"), "S-21");
    let all = daemon.ask(&["get", "Device."]);
    assert!(!all.contains("secret"), "S-21: no password anywhere");
    assert!(lines(&all).len() > 100);
}

/// Exit codes and what goes where when it fails.
// Proves: R-SPV-4
#[test]
fn what_fails() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "fails");
    for (words, code, word) in [
        (vec!["get", "Device.Nowhere"], 1, "9005"),
        (
            vec![
                "set",
                "Device.DeviceInfo.Manufacturer=x",
                "Device.ManagementServer.PeriodicInformInterval=no",
            ],
            1,
            "9008",
        ),
        (vec!["set", "Device.ManagementServer.URL=ftp://a/"], 1, "9007"),
        (vec!["add", "Device.DeviceInfo."], 1, "9005"),
        (vec!["del", "Device.ManagementServer.InformParameter.5."], 1, "9005"),
        (vec!["names", "Device.Nowhere."], 1, "9005"),
        (vec!["set", "nothing"], 2, "PATH=VALUE"),
        (vec!["fly"], 2, "fly"),
    ] {
        let output = daemon.cli(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(word), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    let output = daemon.cli(&["set", "Device.Nowhere=1", "--json"]);
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let json: serde_json::Value = serde_json::from_str(lines(&line)[0]).expect("JSON");
    assert_eq!((output.status.code(), &json["error"]["code"]), (Some(1), &serde_json::json!(9003)));
    assert_eq!(json["error"]["parameters"][0]["code"], 9005, "R-SPV-4");
    daemon.stop();
    for words in [vec!["status"], vec!["get", CODE], vec!["inform"]] {
        assert_eq!(daemon.cli(&words).status.code(), Some(4), "{words:?}");
    }
}

/// All of a set or nothing, also from here.
// Proves: R-SPV-1
#[test]
fn r_spv_1_a_set_is_one() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "one");
    let output =
        daemon.cli(&["set", &format!("{CODE}=x"), "Device.ManagementServer.PeriodicInformInterval=0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(daemon.ask(&["get", CODE]), format!("{CODE}=\n"));
    let key = "Device.ManagementServer.ParameterKey";
    daemon.ask(&["set", &format!("{CODE}=x")]);
    assert_eq!(daemon.ask(&["get", key]), format!("{key}=\n"), "R-GEN-6: of the ACS alone");
    acs.next_session(SOON).end();
}

/// status: before, during and after a session; what is asked during one is answered at once.
#[test]
fn status_tells_how_it_goes() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "status");
    let mut session = acs.next_inform(SOON);
    daemon.wait_ready();
    let during = status(&daemon);
    assert!(text(&during, "state").starts_with("in a session since "), "{during}");
    assert_eq!(during["pending_events"][0][0], "0 BOOTSTRAP", "V-23");
    assert_eq!(during["next_session"], serde_json::Value::Null);
    session.answer_inform();
    session.value(CODE).expect("a value");
    assert_eq!(daemon.ask(&["get", "Device.DeviceInfo.SerialNumber"]), "Device.DeviceInfo.SerialNumber=S1\n");
    session.end();
    over(&daemon);
    let after = status(&daemon);
    assert_eq!(after["last_session"]["requests"], 1);
    assert_eq!(after["last_session"]["events"], serde_json::json!(["0 BOOTSTRAP", "1 BOOT"]));
    assert_eq!(after["last_session"]["failure"], serde_json::Value::Null);
    assert_eq!(text(&after, "acs_username"), "agent");
    assert_eq!(after["next_session"]["why"], "periodic");
    assert_eq!(text(&after, "connection_request_url"), call_url(&daemon));
    let shown = daemon.ask(&["status"]);
    for word in [
        "went well, 1 requests of the ACS",
        "Example 00D09E Box",
        "Stored state        sound",
        "Pending events      none",
    ] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    assert!(!shown.contains("secret"));
}

/// status: whole from the moment the control socket is there.
#[test]
fn status_at_the_start() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "at-start");
    for _ in 0..5 {
        daemon.stop();
        daemon.start();
        daemon.wait_ready();
        let said = status(&daemon);
        assert_eq!(text(&said, "serial_number"), "S1", "{said}");
    }
}

/// inform: a session now, one at a time.
// Proves: C-1
#[test]
fn inform_starts_a_session() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "inform");
    daemon.ask(&["inform"]);
    let session = acs.next_inform(SOON);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"]);
    daemon.ask(&["inform"]);
    let mut session = session;
    session.answer_inform();
    session.end();
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!(acs.sessions(), 3, "C-1");
}
