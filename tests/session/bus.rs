//! The agent on OpenWrt's bus: its object, what it hears there, and what it does without.

use crate::acs::{Acs, Attributes, Options, Session};
use crate::daemon::Daemon;
use crate::ubusd::{Says, Ubusd, json};
use crate::{SOON, agent_at, kicked, over, settled, status, text, until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const UP: &str = "Device.X_00D09E_Bus.Up";
const MODEL: &str = "Device.X_00D09E_Bus.Model";
const CLIENTS: &str = "Device.X_00D09E_Bus.Clients";
const NOTE: &str = "Device.X_00D09E_Bus.Note";
const SERIAL: &str = "Device.DeviceInfo.SerialNumber";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const PASSWORD: &str = "Device.ManagementServer.Password";

fn socket(daemon: &Daemon) -> PathBuf {
    daemon.folder.0.join("ubus/ubus.sock")
}

/// An agent of platform openwrt with rows of its own, not yet started; nobody listens at its bus.
fn on_openwrt(acs: &Acs, name: &str) -> Daemon {
    let daemon = agent_at(&acs.url(), name, "");
    let dir = daemon.folder.0.display().to_string();
    fs::create_dir_all(daemon.folder.0.join("root/etc/parts")).expect("a folder");
    fs::create_dir_all(daemon.folder.0.join("overlays")).expect("a folder");
    let rows = "[\"Device.X_00D09E_Bus.\"]\n\
        Up = { type = \"boolean\", ubus = \"network.interface.wan status up\" }\n\
        Model = { type = \"string\", ubus = \"system board model\" }\n\
        Clients = { type = \"unsignedInt\", ubus = \"hostapd.phy0-ap0 get_clients count\" }\n\
        Note = { type = \"string\", file = \"/etc/note\" }\n\
        PartNumberOfEntries = { type = \"unsignedInt\" }\n\
        [\"Device.X_00D09E_Bus.Part.{i}.\"]\n\
        file = \"/etc/parts/*\"\nentries = \"PartNumberOfEntries\"\n\
        Text = { type = \"string\", file = \"/etc/parts/{1}\" }\n";
    fs::write(daemon.folder.0.join("overlays/bus.toml"), rows).expect("an overlay");
    let config = fs::read_to_string(daemon.config()).expect("a configuration");
    let top =
        format!("platform = \"openwrt\"\nroot = \"{dir}/root\"\nubus_socket = \"{dir}/ubus/ubus.sock\"\n");
    fs::write(daemon.config(), top + &config).expect("a configuration");
    daemon
}

/// A bus with what the rows ask of it.
fn bus(daemon: &Daemon) -> Ubusd {
    fs::create_dir_all(daemon.folder.0.join("ubus")).expect("a folder");
    bus_with(daemon, &[])
}

/// The same, and before anybody is greeted other objects.
fn bus_with(daemon: &Daemon, others: &[&str]) -> Ubusd {
    let ubusd = Ubusd::start_with(&socket(daemon), others);
    ubusd.says("network.interface", "dump", json("{}"));
    ubusd.says("network.interface.wan", "status", json(r#"{"up":false}"#));
    ubusd.says("system", "board", json(r#"{"model":"Example AX3000"}"#));
    ubusd.says("hostapd.phy0-ap0", "get_clients", json(r#"{"count":1}"#));
    ubusd
}

/// An agent that has been through its first session, and its bus.
fn settled_on_bus(acs: &Acs, name: &str) -> (Daemon, Ubusd) {
    let mut daemon = on_openwrt(acs, name);
    let ubusd = bus(&daemon);
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    ubusd.wait_object("cwmpd");
    (daemon, ubusd)
}

/// What a call of the agent's object says: status, and its table.
#[track_caller]
fn call(ubusd: &Ubusd, method: &str, args: &Value) -> (u32, Value) {
    let (data, status) = ubusd.call("cwmpd", method, &args.to_string());
    assert!(data.len() <= 1, "{data:?}");
    (status, data.first().map_or(Value::Null, |data| serde_json::from_str(data).expect("JSON")))
}

#[track_caller]
fn get(ubusd: &Ubusd, path: &str) -> Value {
    let (status, mut said) = call(ubusd, "get", &json!({ "path": path }));
    assert_eq!(status, 0, "{said}");
    said["values"].take()
}

fn watch(name: &str, notification: u8) -> Attributes {
    Attributes { name: name.to_string(), notification: Some(notification), access_list: None }
}

/// The methods: what a script reads, and what it is told when it asks for the impossible.
// Proves: S-21, V-26
#[test]
fn the_object_and_its_methods() {
    let acs = Acs::start(Options::default());
    let (daemon, ubusd) = settled_on_bus(&acs, "bus-methods");
    let values = get(&ubusd, "Device.X_00D09E_Bus.");
    assert_eq!(
        (&values[UP], &values[MODEL], &values[CLIENTS]),
        (&json!("false"), &json!("Example AX3000"), &json!("1"))
    );
    let (_, said) = call(&ubusd, "get", &json!({ "paths": [SERIAL, PASSWORD] }));
    assert_eq!(said, json!({ "values": { SERIAL: "S1", PASSWORD: "" } }), "S-21");
    let all = get(&ubusd, "Device.");
    assert!(
        all.as_object().is_some_and(|all| all.len() > 100) && !all.to_string().contains("secret"),
        "S-21"
    );
    let (_, said) = call(&ubusd, "status", &json!({}));
    assert_eq!((&said["platform"], &said["serial_number"]), (&json!("openwrt"), &json!("S1")));
    assert_eq!(said["last_session"]["events"], status(&daemon)["last_session"]["events"]);
    assert_eq!(call(&ubusd, "transfers", &json!({})), (0, json!({ "transfers": [] })));

    assert_eq!(
        call(&ubusd, "set", &json!({"values": {INTERVAL: 4321}})),
        (0, json!({"applied_later": false}))
    );
    assert_eq!(get(&ubusd, INTERVAL)[INTERVAL], json!("4321"));
    let (code, said) =
        call(&ubusd, "set", &json!({"values": {INTERVAL: 5000, SERIAL: "x", "Device.No": "y"}}));
    assert_eq!((code, &said["fault"]["code"]), (2, &json!(9003)));
    let bad = said["fault"]["parameters"].as_array().expect("an array");
    let bad: Vec<(&str, u64)> = bad.iter().map(|p| (text(p, "path"), p["code"].as_u64().unwrap())).collect();
    assert_eq!(bad, [(SERIAL, 9008), ("Device.No", 9005)]);
    assert_eq!(get(&ubusd, INTERVAL)[INTERVAL], json!("4321"), "all or nothing");
    for (method, args, code, fault) in [
        ("get", json!({}), 2, 9003),
        ("get", json!({"path": "Device.Nowhere"}), 2, 9005),
        ("set", json!({"values": {}}), 2, 9003),
        ("set", json!({"values": [1]}), 2, 9003),
        ("inform", json!({"event": "1 BOOT"}), 2, 9003),
        ("inform", json!({"event": "X 00d09e Tea"}), 2, 9003),
    ] {
        let (status, said) = call(&ubusd, method, &args);
        assert_eq!((status, &said["fault"]["code"]), (code, &json!(fault)), "{method} {args}");
    }
    assert_eq!(call(&ubusd, "reboot", &json!({})), (3, Value::Null));

    assert_eq!(call(&ubusd, "inform", &json!({})), (0, json!({})));
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!(call(&ubusd, "inform", &json!({"event": "X 00D09E Tea is ready"})).0, 0);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["X 00D09E Tea is ready"]);
    session.end();
    over(&daemon);
    // Whoever listens hears how each session ended.
    let mut events = Vec::new();
    ubusd.wait_for("events", |world| {
        events = world.events.clone();
        events.len() == 3
    });
    let told: Value = serde_json::from_str(&events[2].1).expect("JSON");
    assert_eq!((events[2].0.as_str(), &told["events"]), ("cwmpd.session", &json!(["X 00D09E Tea is ready"])));
    assert_eq!(told["failure"], Value::Null);
}

/// Calls pile up while the engine waits for a source: so many are kept, and an answer has an end.
#[test]
fn the_object_is_bounded() {
    let acs = Acs::start(Options::default());
    let (daemon, ubusd) = settled_on_bus(&acs, "bus-bounds");
    ubusd.says("system", "board", Says::Silence);
    let said = ubusd.calls_at_once("cwmpd", "get", &json!({ "path": MODEL }).to_string(), 20);
    let refused = said.iter().filter(|(status, _)| *status == 11).count();
    assert_eq!((said.len(), refused), (20, 12), "{said:?}");
    assert!(
        said.iter()
            .filter(|(status, _)| *status == 0)
            .all(|(_, data)| data == r#"{"values":{"Device.X_00D09E_Bus.Model":""}}"#)
    );
    // What does not fit into an answer is refused as a whole.
    for n in 0..10 {
        fs::write(daemon.folder.0.join(format!("root/etc/parts/{n}")), "x".repeat(60_000)).expect("a file");
    }
    let (code, said) = call(&ubusd, "get", &json!({ "path": "Device.X_00D09E_Bus.Part." }));
    assert_eq!((code, &said["fault"]["code"]), (11, &json!(9004)));
    let part = "Device.X_00D09E_Bus.Part.1.Text";
    assert_eq!(get(&ubusd, part)[part].as_str().map(str::len), Some(60_000));
}

/// ubusd comes after the agent, is killed, and comes again: the object is there as soon as it is.
#[test]
fn a_bus_that_comes_and_goes() {
    let acs = Acs::start(Options::default());
    let mut daemon = on_openwrt(&acs, "bus-comes");
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    until(&daemon, "note", |s| s["notes"].to_string().contains("object cwmpd is not on the bus"));
    let ubusd = bus(&daemon);
    ubusd.wait_object("cwmpd");
    assert_eq!(get(&ubusd, MODEL)[MODEL], json!("Example AX3000"));
    until(&daemon, "no note", |s| !s["notes"].to_string().contains("on the bus"));
    ubusd.stop();
    for _ in 0..3 {
        let ubusd = bus(&daemon);
        ubusd.wait_object("cwmpd");
        assert_eq!(get(&ubusd, SERIAL)[SERIAL], json!("S1"));
    }
    // Somebody else has the name, for a while.
    let ubusd = bus_with(&daemon, &["cwmpd"]);
    until(&daemon, "note", |s| s["notes"].to_string().contains("not on the bus: invalid argument"));
    ubusd.remove("cwmpd");
    ubusd.wait_object("cwmpd");
    // It goes with the agent.
    daemon.stop();
    ubusd.wait_for("end", |world| !world.objects.iter().any(|o| o.path == "cwmpd"));
}

/// Interfaces and stations: what netifd and hostapd tell is heard, and told to the ACS at once.
// Proves: N-3
#[test]
fn n_3_services_that_tell() {
    let acs = Acs::start(Options::default());
    let (daemon, ubusd) = settled_on_bus(&acs, "bus-told");
    assert!(!heard(&ubusd), "nothing is watched yet");
    let mut session = kicked(&acs, &daemon);
    session.set_attributes(&[watch(UP, 2), watch(CLIENTS, 2)]).expect("active");
    session.end();
    over(&daemon);
    ubusd.wait_for("an ear", |world| world.subscriptions.len() == 2);
    let told = |name: &str| {
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
        let value = session.inform.value(name).map(str::to_owned);
        session.end();
        over(&daemon);
        ubusd.wait_for("an ear again", |world| world.subscriptions.len() == 2);
        value
    };
    ubusd.says("network.interface.wan", "status", json(r#"{"up":true}"#));
    ubusd.event("network.interface", r#"{"action":"ifup","interface":"wan"}"#);
    assert_eq!(told(UP).as_deref(), Some("true"), "an event");
    ubusd.says("network.interface.wan", "status", json(r#"{"up":false}"#));
    ubusd.notify("network.interface", "interface.down", r#"{"interface":"wan"}"#, false);
    assert_eq!(told(UP).as_deref(), Some("false"), "a notification");
    ubusd.says("hostapd.phy0-ap0", "get_clients", json(r#"{"count":2}"#));
    ubusd.notify("hostapd.phy0-ap0", "assoc", "{}", true);
    assert_eq!(told(CLIENTS).as_deref(), Some("2"));
    ubusd.wait_for("an answer to who waits for one", |world| world.thanks == 1);
    // The access point goes, and comes again with nobody.
    ubusd.remove("hostapd.phy0-ap0");
    ubusd.wait_for("a new ear", |world| world.subscriptions.len() == 1);
    ubusd.says("hostapd.phy0-ap0", "get_clients", json(r#"{"count":0}"#));
    ubusd.announce("hostapd.phy0-ap0");
    assert_eq!(told(CLIENTS).as_deref(), Some("0"));
    let mut session = kicked(&acs, &daemon);
    session.set_attributes(&[watch(UP, 0), watch(CLIENTS, 0)]).expect("off");
    session.end();
    over(&daemon);
    ubusd.wait_for("no ear", |world| world.subscriptions.is_empty() && world.patterns.is_empty());
    let log = daemon.log();
    assert!(log.contains("compared: Told") && !log.contains("compared: Time"), "{log}");
}

/// Whether somebody listens.
fn heard(ubusd: &Ubusd) -> bool {
    let mut any = false;
    ubusd.wait_for("a look", |world| {
        any = !world.patterns.is_empty();
        true
    });
    any
}

/// ubusd gone, one object silent, one that lies: what comes from there reads neutral, all else answers, and
/// the status says so. It is no change of which anybody is told.
#[test]
fn sources_that_fail() {
    let acs = Acs::start(Options::default());
    let (daemon, ubusd) = settled_on_bus(&acs, "bus-fails");
    fs::write(daemon.folder.0.join("root/etc/note"), "here\n").expect("a file");
    let mut session = kicked(&acs, &daemon);
    session.set_attributes(&[watch(UP, 2), watch(MODEL, 2), watch(CLIENTS, 2)]).expect("watched");
    session.end();
    over(&daemon);
    let read = |session: &mut Session| {
        let values = session.get(&["Device.X_00D09E_Bus."]).expect("values");
        [UP, MODEL, CLIENTS, NOTE]
            .map(|name| values.iter().find(|v| v.name == name).map(|v| v.value.clone()).expect("a value"))
    };
    ubusd.says("system", "board", Says::Silence);
    ubusd.says("hostapd.phy0-ap0", "get_clients", Says::Table(vec![0xff; 16]));
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "nothing has changed");
    assert_eq!(read(&mut session), ["false", "", "0", "here"]);
    session.end();
    over(&daemon);
    let notes = status(&daemon)["notes"].to_string();
    assert!(notes.contains("ubus system: ") && notes.contains("ubus hostapd.phy0-ap0: "), "{notes}");

    drop(ubusd);
    until(&daemon, "note", |s| s["notes"].to_string().contains("ubusd cannot be reached"));
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "nor has it now");
    assert_eq!(read(&mut session), ["false", "", "0", "here"]);
    session.end();
    over(&daemon);
    assert!(status(&daemon)["notes"].to_string().contains("ubus: ubusd cannot be reached"));

    let ubusd = bus(&daemon);
    ubusd.says("network.interface.wan", "status", json(r#"{"up":true}"#));
    ubusd.wait_object("cwmpd");
    let session = acs.next_session(SOON);
    assert_eq!((session.inform.codes(), session.inform.value(UP)), (vec!["4 VALUE CHANGE"], Some("true")));
    session.end();
    over(&daemon);
    until(&daemon, "no note", |s| !s["notes"].to_string().contains("cannot be reached"));
}

/// Nobody asks a bus on a platform that has none.
#[test]
fn no_bus_on_linux() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "bus-linux");
    assert!(!daemon.log().contains("bus"), "{}", daemon.log());
}
