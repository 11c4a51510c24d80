//! The tree against its rules: tables over a small data model and two handlers in memory.

mod aliases;
mod attributes;
mod bounds;
mod changing;
mod creating;
mod cut;
mod limits;
mod notification;
mod reading;
mod recovery;
mod trial;

use super::fault::{Code, Fault};
use super::request::ParameterValue;
use super::sample::{self, Memory, MemoryHandler};
use super::tree::{Handlers, Item, Selection, Status, Tree, Writer};
use crate::state::journal::Journal;
use std::cell::RefCell;
use std::rc::Rc;

const MODEL: &str = r#"
["Device."]
RootDataModelVersion = { type = "string(32)", const = "2.19", forced_inform = true }
InterfaceStackNumberOfEntries = { type = "unsignedInt", const = "0" }

["Device.Info."]
Model    = { type = "string(8)", const = "router" }
UpTime   = { type = "unsignedInt", native = "one", notify = "canDeny" }
Version  = { type = "string(64)", native = "one", notify = "forceEnabled" }
Code     = { type = "string(64)", store = "first", write = true, notify = "forceEnabled" }
Secret   = { type = "string(64)", store = "s3cret", write = true, hidden = true }
Count    = { type = "unsignedInt(1..10)", store = "3", write = true }
Uplink   = { type = "string(64)", native = "one", write = true, after_session = true }
Reset    = { type = "boolean", native = "one", write = true, command = true }
Gone     = { type = "string", openwrt = "uci a.b.c" }

["Device.Port.{i}."]
native  = "one"
keys    = ["nf:Alias", "Name"]
enable  = "Enable"
entries = "PortNumberOfEntries"
Enable  = { type = "boolean", write = true }
Alias   = { type = "Alias", write = true }
Name    = { type = "string(16)", write = true }
Speed   = { type = "int(-1..1000)", write = true }
Lower   = { type = "list(ref())" }

["Device.Port.{i}.Stats."]
Bytes   = { type = "unsignedLong", native = "two", notify = "canDeny" }
Limit   = { type = "unsignedInt", native = "two", write = true }

["Device.Rule.{i}."]
store   = ""
create  = true
keys    = ["nf:Alias"]
entries = "RuleNumberOfEntries"
Alias   = { type = "Alias", write = true }
Target  = { type = "ref(Device.Port.{i}.)", store = "", write = true }
Targets = { type = "list(ref(Device.Port.{i}.,Device.Rule.{i}.))", store = "", write = true }
Text    = { type = "string(8)", store = "new", write = true }
ItemNumberOfEntries = { type = "unsignedInt" }

["Device.Rule.{i}.Item.{i}."]
store   = ""
create  = true
entries = "ItemNumberOfEntries"
Text    = { type = "string(8)", store = "", write = true }

["Device.Link.{i}."]
native  = "two"
create  = true
entries = "LinkNumberOfEntries"
Note    = { type = "string(8)", write = true }
Port    = { type = "ref(Device.Port.{i}.)", write = true }

["Device.Zone.{i}."]
native  = "two"
create  = true
keys    = ["nf:Alias", "Name"]
entries = "ZoneNumberOfEntries"
Alias   = { type = "Alias", write = true }
Name    = { type = "string(16)", write = true }
Via     = { type = "ref(Device.Port.{i}.)", write = true }
Kept    = { type = "string(8)", store = "kept", write = true }
HostNumberOfEntries = { type = "unsignedInt" }

["Device.Zone.{i}.Host.{i}."]
native  = "two"
create  = true
entries = "HostNumberOfEntries"
Alias   = { type = "Alias", write = true }
Name    = { type = "string(16)", write = true }
Later   = { type = "string(16)", write = true, after_session = true }

["Device.Seen.{i}."]
native  = "two"
volatile = true
entries = "SeenNumberOfEntries"
Name    = { type = "string(16)" }

["Device.Empty."]
"#;

/// Counters of `Device.` follow the tables above.
const COUNTERS: &str = r#"
PortNumberOfEntries = { type = "unsignedInt" }
RuleNumberOfEntries = { type = "unsignedInt" }
LinkNumberOfEntries = { type = "unsignedInt" }
ZoneNumberOfEntries = { type = "unsignedInt" }
SeenNumberOfEntries = { type = "unsignedInt" }
"#;

/// A tree with its surroundings, so that it can be "restarted".
struct Bench {
    tree: Tree,
    journal: Rc<RefCell<Journal>>,
    one: Rc<RefCell<Memory>>,
    two: Rc<RefCell<Memory>>,
    notes: Vec<String>,
}

fn open(
    journal: &Rc<RefCell<Journal>>,
    one: &Rc<RefCell<Memory>>,
    two: &Rc<RefCell<Memory>>,
) -> (Tree, Vec<String>) {
    sample::tree(&model(), journal, handlers(one, two))
}

fn model() -> String {
    MODEL.replacen("\n\n", &format!("\n{COUNTERS}\n"), 1)
}

fn handlers(one: &Rc<RefCell<Memory>>, two: &Rc<RefCell<Memory>>) -> Handlers {
    Handlers {
        by_kind: Vec::new(),
        natives: vec![
            ("one", Box::new(MemoryHandler(one.clone()))),
            ("two", Box::new(MemoryHandler(two.clone()))),
        ],
    }
}

impl Bench {
    /// Three ports, one link, two that are seen.
    fn new() -> Bench {
        let (one, two): (Rc<RefCell<Memory>>, Rc<RefCell<Memory>>) = Default::default();
        {
            let mut one = one.borrow_mut();
            one.keys.insert("Device.Port.{i}.".into(), vec!["eth0".into(), "eth1".into(), "wan".into()]);
            for (at, key) in ["eth0", "eth1", "wan"].iter().enumerate() {
                let row = one.row(&format!("Device.Port.{{i}}. {key}"));
                row.insert("Enable".into(), "true".into());
                row.insert("Name".into(), (*key).into());
                row.insert("Speed".into(), format!("{}", at * 100));
            }
            let info = one.row("Device.Info.");
            info.insert("UpTime".into(), "77".into());
            info.insert("Version".into(), "1.0".into());
            info.insert("Uplink".into(), "dsl".into());
            let mut two = two.borrow_mut();
            two.keys.insert("Device.Link.{i}.".into(), vec!["l0".into()]);
            two.row("Device.Link.{i}. l0").insert("Note".into(), "old".into());
            two.keys.insert("Device.Seen.{i}.".into(), vec!["a".into(), "b".into()]);
            for key in ["eth0", "eth1", "wan"] {
                two.row(&format!("Device.Port.{{i}}.Stats. {key}"))
                    .insert("Bytes".into(), "18446744073709551615".into());
            }
        }
        let journal = Rc::new(RefCell::new(Journal::in_memory()));
        let (tree, notes) = open(&journal, &one, &two);
        Bench { tree, journal, one, two, notes }
    }

    /// The process ends and a new one starts.
    fn restart(self) -> Bench {
        let Bench { journal, one, two, .. } = self;
        let (tree, notes) = open(&journal, &one, &two);
        Bench { tree, journal, one, two, notes }
    }

    fn values(&mut self, names: &[&str]) -> Result<Vec<(String, String)>, Fault> {
        self.tree.begin_rpc();
        let selection = self.tree.values(&texts(names))?;
        Ok(pairs(&mut self.tree, selection))
    }

    fn value(&mut self, name: &str) -> String {
        let mut values = self.values(&[name]).unwrap();
        assert_eq!(values.len(), 1, "{name}");
        values.remove(0).1
    }

    fn names(&mut self, path: &str, next_level: bool) -> Result<Vec<String>, Fault> {
        self.tree.begin_rpc();
        let selection = self.tree.names(path, next_level)?;
        Ok(pairs(&mut self.tree, selection).into_iter().map(|p| p.0).collect())
    }

    fn set_as(&mut self, list: &[(&str, &str)], writer: Writer<'_>) -> Result<Status, Fault> {
        self.tree.begin_rpc();
        self.tree.set(&entries(list), writer)
    }

    fn set(&mut self, list: &[(&str, &str)]) -> Result<Status, Fault> {
        self.set_as(list, Writer::Acs { parameter_key: "key" })
    }

    /// A set while AutoCreateInstances is true.
    fn create(&mut self, list: &[(&str, &str)]) -> Result<Status, Fault> {
        self.tree.begin_rpc();
        self.tree.set_creating(&entries(list), Writer::Acs { parameter_key: "created" })
    }

    fn add(&mut self, object: &str) -> Result<(u32, Status), Fault> {
        self.tree.begin_rpc();
        self.tree.add(object, Writer::Acs { parameter_key: "added" })
    }

    fn delete(&mut self, object: &str) -> Result<Status, Fault> {
        self.tree.begin_rpc();
        self.tree.delete(object, Writer::Acs { parameter_key: "deleted" })
    }

    /// What an Inform would tell as changed.
    fn changed(&mut self) -> Vec<String> {
        self.tree.changed(usize::MAX)
    }

    /// An Inform told these values and was answered.
    fn reported(&mut self, values: &[(&str, &str)]) {
        let mut told = Vec::new();
        for (path, value) in values {
            told.extend(self.tree.fingerprint(path, value).map(|print| ((*path).to_owned(), print)));
        }
        self.tree.reported(&told);
    }

    fn key(&self) -> Option<String> {
        self.journal.borrow().text("k").map(str::to_owned)
    }

    /// What the handlers were told to do since the last time, reads left out.
    fn log(&self) -> Vec<String> {
        let mut log = std::mem::take(&mut self.one.borrow_mut().log);
        log.append(&mut self.two.borrow_mut().log);
        log.retain(|l| !l.starts_with("get") && !l.starts_with("list"));
        log
    }
}

fn entries(list: &[(&str, &str)]) -> Vec<ParameterValue> {
    let one = |(name, value): &(&str, &str)| ParameterValue {
        name: (*name).into(),
        value: (*value).into(),
        xsi_type: None,
    };
    list.iter().map(one).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// Path and value (or writable, or notification and access) of every item, whose number must be the
/// one announced.
fn pairs(tree: &mut Tree, mut selection: Selection) -> Vec<(String, String)> {
    let mut out = Vec::new();
    while tree.next(&mut selection, &mut |item| {
        out.push(match item {
            Item::Value { path, value, .. } => (path.to_owned(), value.to_owned()),
            Item::Name { path, writable } => (path.to_owned(), writable.to_string()),
            Item::Attributes { path, notification, subscriber } => {
                (path.to_owned(), format!("{notification}{subscriber}"))
            }
        });
    }) {}
    assert_eq!(out.len(), selection.count, "as many items as were counted");
    out
}

fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> Code {
    result.unwrap_err().code
}
