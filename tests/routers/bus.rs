//! The platform on a bus that is there, slow, lies, or goes away; and what services hear of changes.

use crate::daemon::{Daemon, Folder};
use crate::ubusd::{Says, Ubusd, json};
use cwmpd::handlers::openwrt::rows::Rows;
use cwmpd::handlers::openwrt::sources::{Shared, Sources};
use cwmpd::model::fault::Fault;
use cwmpd::model::grammar::schema_from;
use cwmpd::model::request::{ParameterValue, SetAttributes};
use cwmpd::model::schema::{Platform, SourceKind};
use cwmpd::model::tree::{Handlers, Item, Status, Tree, Writer};
use cwmpd::state::journal::Journal;
use cwmpd::sys::ubus::Place;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const ROWS: &str = r##"
["Device.I.{i}."]
uci = "network.@interface"
Proto  = { type = "string", uci = "network.{1}.proto", write = true }
Up     = { type = "boolean", ubus = "network.interface dump interface[interface={1}].up" }
Uptime = { type = "unsignedInt", ubus = "network.interface dump interface[interface={1}].uptime" }
Bytes  = { type = "unsignedInt", ubus = "network.device status name={1} statistics.rx_bytes" }
["Device.S."]
Model  = { type = "string", openwrt = "ubus system board model || const none" }
Host   = { type = "string", uci = "system.@system[0].hostname", write = true }
"##;
const NETWORK: &str =
    "config interface 'lan'\n\toption proto 'static'\n\nconfig interface 'wan'\n\toption proto 'dhcp'\n";
const DUMP: &str =
    r#"{"interface":[{"interface":"lan","up":true,"uptime":60},{"interface":"wan","up":false}]}"#;

struct Bed {
    folder: Folder,
    ubusd: Option<Ubusd>,
    facts: Rc<RefCell<cwmpd::handlers::agent::AgentFacts>>,
    sources: Shared,
    tree: Tree,
}

impl Bed {
    fn new(name: &str) -> Bed {
        Bed::of(name, ROWS)
    }

    fn of(name: &str, rows: &str) -> Bed {
        let folder = Folder::new(name);
        files(&folder.0);
        let socket = folder.0.join("ubus.sock");
        let ubusd = Ubusd::start(&socket);
        ubusd.says("network.interface", "dump", json(DUMP));
        ubusd.says("network.device", "status", json(r#"{"statistics":{"rx_bytes":7}}"#));
        ubusd.says("system", "board", json(r#"{"model":"Example"}"#));
        ubusd.says("service", "event", json("{}"));
        let facts = Rc::default();
        let sources =
            Sources::new(Some(Place::Socket(socket)), Some(folder.0.join("run")), Rc::clone(&facts));
        let handler = Box::new(Rows(Rc::clone(&sources)));
        let handlers = Handlers { by_kind: vec![(SourceKind::Expression, handler)], natives: Vec::new() };
        let schema = schema_from(&[("rows.toml", rows)], &[]).expect("rows");
        let journal = Rc::new(RefCell::new(Journal::in_memory()));
        let (tree, _) = Tree::open(schema, Platform::OpenWrt, folder.0.clone(), journal, handlers);
        Bed { folder, ubusd: Some(ubusd), facts, sources, tree }
    }

    fn ubusd(&self) -> &Ubusd {
        self.ubusd.as_ref().expect("it runs")
    }

    fn values(&mut self) -> String {
        self.tree.begin_rpc();
        let mut selection = self.tree.values(&["Device.".to_owned()]).expect("Device. is there");
        let mut out = Vec::new();
        while self.tree.next(&mut selection, &mut |item| {
            if let Item::Value { value, .. } = item {
                out.push(value.to_owned());
            }
        }) {}
        out.join(" ")
    }

    fn set(&mut self, name: &str, value: &str) {
        self.try_set(&[(name, value)]).expect("it is set");
    }

    fn try_set(&mut self, values: &[(&str, &str)]) -> Result<Status, Fault> {
        self.tree.begin_rpc();
        let value = |(name, value): &(&str, &str)| ParameterValue {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            xsi_type: None,
        };
        let list: Vec<ParameterValue> = values.iter().map(value).collect();
        self.tree.set(&list, Writer::Acs { parameter_key: "" })
    }

    fn troubles(&self) -> Vec<String> {
        self.facts.borrow().troubles.clone()
    }

    /// What services were told of.
    fn told(&self) -> Vec<String> {
        let calls = self.ubusd().calls().into_iter().filter(|(object, ..)| object == "service");
        calls.map(|(_, method, args)| format!("{method} {args}")).collect()
    }
}

/// A disk that is unmounted in the end.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

fn files(root: &Path) {
    std::fs::create_dir_all(root.join("etc/config")).expect("a folder");
    std::fs::create_dir_all(root.join("run")).expect("a folder");
    std::fs::write(root.join("etc/config/network"), NETWORK).expect("a file");
    std::fs::write(root.join("etc/config/system"), "config system\n\toption hostname 'a'\n").expect("a file");
}

const ALL: &str = "static true 60 7 dhcp false 0 7 Example a";

/// One call of each object and method with the same arguments in an RPC, however many rows use it.
#[test]
fn an_rpc_asks_once() {
    let mut bed = Bed::new("bus-once");
    assert_eq!(bed.values(), ALL);
    let asked: Vec<String> = bed
        .ubusd()
        .calls()
        .into_iter()
        .map(|(object, method, args)| format!("{object} {method} {args}"))
        .collect();
    assert_eq!(
        asked,
        [
            "network.interface dump {}",
            r#"network.device status {"name":"lan"}"#,
            r#"network.device status {"name":"wan"}"#,
            "system board {}",
        ]
    );
    assert_eq!(bed.sources.borrow().calls(), 4);
    assert_eq!(bed.values(), ALL);
    assert_eq!(bed.ubusd().calls().len(), 8);
}

/// Without ubusd its rows are neutral, the rest answers, and it is told of until it is back.
#[test]
fn ubusd_goes_away() {
    let mut bed = Bed::new("bus-gone");
    assert_eq!(bed.values(), ALL);
    bed.ubusd.take().expect("it runs").stop();
    assert_eq!(bed.values(), "static false 0 0 dhcp false 0 0 none a");
    let troubles = bed.troubles();
    assert!(troubles.len() == 1 && troubles[0].starts_with("ubus: "), "{troubles:?}");
    let ubusd = Ubusd::start(&bed.folder.0.join("ubus.sock"));
    ubusd.says("system", "board", json(r#"{"model":"Example"}"#));
    assert_eq!(bed.values(), "static false 0 0 dhcp false 0 0 Example a");
    assert_eq!(bed.troubles(), [""; 0]);
    bed.ubusd = Some(ubusd);
}

/// Rows that ubus tells of go and come with it, and nobody is told that they are fewer.
#[test]
fn rows_of_the_bus_come_back() {
    const ROWS: &str = r##"
["Device."]
PNumberOfEntries = { type = "unsignedInt" }
["Device.P.{i}."]
entries = "PNumberOfEntries"
ubus = "network.interface dump interface[*].interface"
Up = { type = "boolean", ubus = "network.interface dump interface[interface={1}].up" }
"##;
    let mut bed = Bed::of("bus-rows", ROWS);
    assert_eq!(bed.values(), "2 true false");
    let watch = SetAttributes {
        name: "Device.PNumberOfEntries".to_owned(),
        notification: Some(2),
        access_list: None,
    };
    bed.tree.set_attributes(&[watch]).expect("it can be watched");
    bed.ubusd.take().expect("it runs").stop();
    assert!(!bed.tree.sweep() && bed.tree.is_doubtful());
    assert_eq!(bed.values(), "0");
    let ubusd = Ubusd::start(&bed.folder.0.join("ubus.sock"));
    let dump = r#"{"interface":[{"interface":"new"},{"interface":"wan"},{"interface":"lan","up":true}]}"#;
    ubusd.says("network.interface", "dump", json(dump));
    assert_eq!(bed.values(), "3 true false false", "the old ones have their numbers");
    assert!(bed.tree.sweep(), "and that there is another one is told");
}

/// One that is silent costs its deadline once, and what the others say is read; so it is with lies.
#[test]
fn an_object_is_slow_or_lies() {
    let mut bed = Bed::new("bus-lies");
    bed.ubusd().says("network.interface", "dump", Says::Silence);
    assert_eq!(bed.values(), "static false 0 7 dhcp false 0 7 Example a");
    assert_eq!(bed.troubles(), ["ubus network.interface: dump: no answer in time"]);
    // It is left alone for a while.
    let before = bed.ubusd().calls().len();
    assert_eq!(bed.values(), "static false 0 7 dhcp false 0 7 Example a");
    assert!(bed.ubusd().calls()[before..].iter().all(|(object, ..)| object != "network.interface"));

    for (says, troubled) in [
        (Says::Table(vec![0x82, 0, 0, 99, 0, 1, b'a', 0]), true),
        (json(r#"{"interface":7}"#), false),
        (json(r#"{"interface":[[],{"interface":["lan"]},{"interface":{}}]}"#), false),
        (json(r#"{"interface":{"a":{"up":"maybe"}}}"#), false),
        (Says::Status(4), false),
    ] {
        let mut bed = Bed::new("bus-lies-more");
        bed.ubusd().says("network.interface", "dump", says);
        assert_eq!(bed.values(), "static false 0 7 dhcp false 0 7 Example a");
        assert_eq!(!bed.troubles().is_empty(), troubled, "{:?}", bed.troubles());
    }
}

/// Services hear of each package once, when the session has ended, as `reload_config` says it.
#[test]
fn services_are_told_once() {
    let mut bed = Bed::new("bus-reload");
    bed.tree.begin_session();
    bed.set("Device.I.1.Proto", "none");
    bed.set("Device.I.2.Proto", "none");
    bed.set("Device.S.Host", "b");
    assert_eq!(bed.told(), [""; 0]);
    assert_eq!(bed.tree.end_session(), [""; 0]);
    let event =
        |package: &str| format!(r#"event {{"type":"config.change","data":{{"package":"{package}"}}}}"#);
    assert_eq!(bed.told(), [event("network"), event("system")]);
    bed.tree.begin_session();
    bed.set("Device.S.Host", "b");
    bed.tree.end_session();
    assert_eq!(bed.told().len(), 2, "nothing was written");

    // Nobody hears: it is told of, and tried again at the end of the next session.
    bed.ubusd().says("service", "event", Says::Status(9));
    bed.tree.begin_session();
    bed.set("Device.S.Host", "c");
    bed.tree.end_session();
    let troubles = bed.troubles();
    assert!(troubles.len() == 1 && troubles[0].contains("services are not told of changes"), "{troubles:?}");
    bed.ubusd().says("service", "event", json("{}"));
    bed.tree.begin_session();
    bed.tree.end_session();
    assert_eq!(bed.told()[2..], [event("system"), event("system")]);
    assert_eq!(bed.troubles(), [""; 0]);
}

/// A disk that is full, or read-only: 9002, and every package as before; the first of them was written by then.
#[test]
fn a_disk_is_full_or_read_only() {
    let mut bed = Bed::new("bus-disk");
    let folder = bed.folder.0.join("etc/config");
    let mount = |words: &[&str]| {
        let mut command = std::process::Command::new("mount");
        let done = command.args(words).arg(&folder).stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    let large = format!("{NETWORK}{}", "# as large as some are\n".repeat(1200));
    let is_there = mount(&["-t", "tmpfs", "-o", "size=96k", "none"]);
    if !is_there {
        eprintln!("no right to mount a small disk: skipped");
        return;
    }
    let disk = Disk(folder.clone());
    files(&bed.folder.0);
    std::fs::write(folder.join("network"), &large).expect("a file");
    // Room for a small file, and not for another large one.
    let _ = std::fs::write(folder.join("junk"), vec![b'x'; 44 * 1024]);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let system = read("system");
    let values = [("Device.S.Host", "b"), ("Device.I.1.Proto", "none")];
    let mut refused = |why: &str| {
        let fault = bed.try_set(&values).expect_err(why);
        assert_eq!(fault.code.0, 9002, "{fault}");
        assert!(read("network") == large && read("system") == system, "{why}: {fault}");
        let names: Vec<_> =
            std::fs::read_dir(&folder).expect("a folder").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names.len(), 3, "nothing is left: {names:?}");
    };
    refused("a full disk");
    assert!(mount(&["-o", "remount,ro"]));
    refused("a read-only disk");
    assert!(mount(&["-o", "remount,rw,size=1m"]));
    bed.try_set(&values).expect("there is room");
    assert!(read("system").contains('b') && read("network").contains("none"));
    drop(disk);
}

/// Somebody saves the same package again and again while the ACS sets values: nobody's change is lost.
#[test]
fn others_save_at_the_same_moment() {
    use cwmpd::sys::uci::{Edit, commit};
    let mut bed = Bed::new("bus-overlap");
    let root = bed.folder.0.clone();
    let theirs = std::thread::spawn(move || {
        for round in 0..40 {
            let (section, option) = ("wan".to_owned(), format!("theirs{round}"));
            let edit = Edit::Set { section, option, value: round.to_string() };
            commit(&root, "network", &[edit]).expect("they save");
        }
    });
    for round in 0..40 {
        let done = bed.try_set(&[("Device.I.1.Proto", &format!("p{round}"))]);
        assert!(done.is_ok(), "{done:?} {:?}", bed.troubles());
    }
    theirs.join().expect("they are done");
    let text = std::fs::read_to_string(bed.folder.0.join("etc/config/network")).expect("a file");
    assert!(text.contains("option proto 'p39'"), "{text}");
    assert!((0..40).all(|round| text.contains(&format!("option theirs{round} '{round}'"))), "{text}");
}

/// The daemon's `status` names what is not well.
#[test]
fn status_says_so() {
    let folder = Folder::new("bus-status");
    let root = folder.0.join("root");
    files(&root);
    std::fs::write(root.join("etc/config/broken"), "config x\n\toption 'y\n").expect("a file");
    let overlays = folder.0.join("overlays");
    std::fs::create_dir_all(&overlays).expect("a folder");
    let rows = "[\"Device.X_ACME_S.\"]\nModel = { type = \"string\", ubus = \"system board model\" }\n\
                Broken = { type = \"string\", uci = \"broken.@x[0].y\" }\n";
    std::fs::write(overlays.join("a.toml"), rows).expect("a file");
    let mut daemon =
        Daemon::new(env!("CARGO_BIN_EXE_cwmpd"), "bus-status-daemon", "url = \"http://127.0.0.1:9/\"", "");
    let text = std::fs::read_to_string(daemon.config()).expect("the configuration");
    let socket = folder.0.join("none.sock");
    let text = text.replace(&format!("overlay_dir = \"{}/overlays\"", daemon.folder.0.display()), "");
    let own = format!(
        "platform = \"openwrt\"\nroot = {root:?}\noverlay_dir = {overlays:?}\nubus_socket = {socket:?}\n"
    );
    std::fs::write(daemon.config(), own + &text).expect("a configuration file");
    daemon.start();
    daemon.wait_ready();
    let got = daemon.ask(&["get", "Device.X_ACME_S."]);
    assert!(got.contains("Device.X_ACME_S.Model"), "{got}");
    daemon.wait_for("word of what is not well", || {
        let status = daemon.ask(&["status"]);
        status.contains("ubus: ubusd cannot be reached") && status.contains("/etc/config/broken: line 2")
    });
}
