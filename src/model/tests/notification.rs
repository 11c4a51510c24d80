//! Notification: what is watched, what is told, and what rings.

use super::attributes::entry;
use super::*;
use crate::model::handler::Bell;
use crate::model::tree::Bells;
use crate::sys::netlink::events::topic;

/// I-4, N-7: silent at first, then every difference until it was reported; a restart loses nothing.
// Proves: I-4, N-1, N-7
#[test]
fn changes_are_found_and_reported() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(1), None)]).unwrap();
    assert!(!b.tree.sweep());
    b.one.borrow_mut().row("Device.Port.{i}. eth0").insert("Speed".into(), "10".into());
    assert!(!b.tree.sweep(), "passive: looked at when an Inform is made");
    assert_eq!(b.changed(), ["Device.Port.1.Speed"]);
    b.one.borrow_mut().row("Device.Info.").insert("Version".into(), "2.0".into());
    let mut b = b.restart();
    assert!(b.tree.sweep());
    assert_eq!(b.changed(), ["Device.Info.Version", "Device.Port.1.Speed"]);
    b.reported(&[("Device.Info.Version", "2.0"), ("Device.Info.Model", "x")]);
    assert_eq!(b.changed(), ["Device.Port.1.Speed"]);
    b.reported(&[("Device.Port.1.Speed", "10")]);
    let mut b = b.restart();
    assert!(!b.tree.sweep());
    // Off and on again: what happened meanwhile is not told.
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(0), None)]).unwrap();
    b.one.borrow_mut().row("Device.Port.{i}. eth0").insert("Speed".into(), "11".into());
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(2), None)]).unwrap();
    assert!(!b.tree.sweep());
}

/// No write when nothing changed: flash wears out.
#[test]
fn a_sweep_that_finds_nothing_writes_nothing() {
    let mut b = Bench::new();
    b.tree.sweep();
    let before: Vec<(String, Vec<u8>)> =
        b.journal.borrow().scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
    b.tree.sweep();
    let after: Vec<(String, Vec<u8>)> =
        b.journal.borrow().scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
    assert_eq!(before, after);
}

/// I-9, R-SPV-26: what the ACS writes is known to it; what others write is told.
// Proves: I-9, R-SPV-26
#[test]
fn the_acss_own_changes_are_not_told() {
    let mut b = Bench::new();
    b.tree
        .set_attributes(&[entry("Device.Port.1.", Some(2), None), entry("Device.Info.Uplink", Some(2), None)])
        .unwrap();
    b.tree.sweep();
    b.tree.begin_session();
    b.set(&[("Device.Info.Code", "a"), ("Device.Port.1.Speed", "5"), ("Device.Info.Uplink", "x")]).unwrap();
    assert!(b.changed().is_empty());
    b.tree.end_session();
    assert!(b.changed().is_empty());
    b.set_as(&[("Device.Info.Code", "b"), ("Device.Port.1.Speed", "6")], Writer::Local).unwrap();
    assert_eq!(b.changed(), ["Device.Info.Code", "Device.Port.1.Speed"]);
    assert_eq!(b.key().as_deref(), Some("key"));
}

/// Rows of volatile tables keep their attributes as long as they keep their numbers.
#[test]
fn attributes_of_volatile_rows_live_in_memory() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Seen.1.Name", Some(2), None)]).unwrap();
    b.tree.sweep();
    assert_eq!(b.journal.borrow().scan("a/Device.Seen.").count(), 0);
    b.two.borrow_mut().row("Device.Seen.{i}. a").insert("Name".into(), "x".into());
    assert_eq!(b.changed(), ["Device.Seen.1.Name"]);
    let mut b = b.restart();
    assert_eq!(super::attributes::attribute(&mut b, "Device.Seen.1.Name"), "0true");
}

/// R-OBJ-11, R-SPA-11: a new row has default attributes, whatever stood at its path.
// Proves: R-OBJ-11
#[test]
fn attributes_go_with_their_row() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    b.tree.set_attributes(&[entry("Device.Rule.1.", Some(2), None)]).unwrap();
    b.tree.sweep();
    b.delete("Device.Rule.1.").unwrap();
    assert_eq!(b.journal.borrow().scan("a/Device.Rule.").count(), 0);
    assert!(!b.tree.sweep());
}

/// I-9: AddObject and DeleteObject of the ACS are no news to it, in the counter of the rows and in what
/// referred to a row; what somebody else adds or deletes is.
// Proves: I-9
#[test]
fn rows_that_the_acs_makes_are_not_told() {
    const COUNT: &str = "Device.RuleNumberOfEntries";
    let mut b = Bench::new();
    for _ in 0..2 {
        b.add("Device.Rule.").unwrap();
    }
    b.set(&[("Device.Rule.1.Targets", "Device.Rule.2,Device.Port.1")]).unwrap();
    b.tree.set_attributes(&[entry(COUNT, Some(2), None), entry("Device.Rule.1.", Some(2), None)]).unwrap();
    let text = |b: &mut Bench| b.value("Device.Rule.1.Targets");
    b.add("Device.Rule.").unwrap();
    b.delete("Device.Rule.2.").unwrap();
    assert_eq!((b.value(COUNT).as_str(), text(&mut b).as_str()), ("2", "Device.Port.1"));
    assert!(!b.tree.sweep() && b.changed().is_empty());
    b.tree.begin_rpc();
    b.tree.add("Device.Rule.", Writer::Local).unwrap();
    assert_eq!(b.changed(), [COUNT]);
    // What was not told yet is not swallowed by the ACS's own request.
    b.add("Device.Rule.").unwrap();
    assert_eq!(b.changed(), [COUNT]);
    b.delete("Device.Rule.5.").unwrap();
    assert_eq!(b.changed(), [COUNT]);
    b.reported(&[(COUNT, "3")]);
    assert!(b.changed().is_empty());
    // Rows that a set makes.
    b.tree.begin_rpc();
    let list = entries(&[("Device.Rule.[one].Text", "a"), ("Device.Rule.[two].Text", "b")]);
    b.tree.set_creating(&list, Writer::Acs { parameter_key: "" }).unwrap();
    assert_eq!(b.value(COUNT), "5");
    assert!(b.changed().is_empty());
}

/// A hidden value reads as nothing; that it changed is told all the same, and its hash tells nothing to
/// who has not the salt.
// Proves: I-4, N-3
#[test]
fn a_hidden_value_that_changes_is_told() {
    const SECRET: &str = "Device.Info.Secret";
    let mut b = Bench::new();
    b.tree.salt([7; 16]);
    b.tree.set_attributes(&[entry(SECRET, Some(2), None)]).unwrap();
    let record = b.journal.borrow().get("a/Device.Info.").unwrap().to_vec();
    let plain = crate::model::sweep::hash("s3cret").to_le_bytes();
    assert!(!record.windows(8).any(|w| w == plain));
    assert!(!b.tree.sweep());
    b.set(&[(SECRET, "by the ACS")]).unwrap();
    assert!(!b.tree.sweep(), "I-9");
    b.set_as(&[(SECRET, "by hand")], Writer::Local).unwrap();
    assert!(b.tree.sweep());
    assert_eq!((b.changed(), b.value(SECRET).as_str()), (texts(&[SECRET]), ""));
    let print = b.tree.fingerprint(SECRET, "").unwrap();
    // Changed once more before the Inform was answered: that is still to be told.
    b.set_as(&[(SECRET, "again")], Writer::Local).unwrap();
    b.tree.reported(&[(SECRET.into(), print)]);
    assert!(b.tree.sweep());
    b.reported(&[(SECRET, "")]);
    assert!(!b.tree.sweep());
    let mut b = b.restart();
    b.tree.salt([7; 16]);
    assert!(!b.tree.sweep());
}

/// N-7, R-SPA-11: a newer program with other tables understands what was kept, and keeps what it does not
/// know.
// Proves: N-7, R-SPA-11
#[test]
fn another_firmware_has_other_tables() {
    let rows = |names: &[&str]| {
        let params: String =
            names.iter().map(|n| format!("{n} = {{ type = \"string\", native = \"one\" }}\n")).collect();
        format!(
            "[\"Device.X.{{i}}.\"]\nnative = \"one\"\n{params}[\"Device.Y.\"]\nZ = {{ type = \"string\", const = \"\" }}\n"
        )
    };
    let b = Bench::new();
    b.one.borrow_mut().keys.insert("Device.X.{i}.".into(), texts(&["a", "b"]));
    let open = |names: &[&str]| {
        let one: Vec<(&'static str, Box<dyn crate::model::handler::Handler>)> =
            vec![("one", Box::new(MemoryHandler(b.one.clone())))];
        sample::tree(&rows(names), &b.journal, Handlers { by_kind: Vec::new(), natives: one }).0
    };
    let mut tree = open(&["A", "B", "C", "D"]);
    tree.set_attributes(&[entry("Device.X.", Some(1), None), entry("Device.X.2.C", Some(2), None)]).unwrap();
    let mut tree = open(&["D", "X", "C", "A"]);
    assert!(!tree.sweep() && tree.changed(9).is_empty(), "nothing has changed but the tables");
    b.one.borrow_mut().row("Device.X.{i}. b").insert("C".into(), "new".into());
    b.one.borrow_mut().row("Device.X.{i}. a").insert("A".into(), "new".into());
    assert!(tree.sweep());
    assert_eq!(tree.changed(9), ["Device.X.1.A", "Device.X.2.C"]);
    assert_eq!(tree.changed(1), ["Device.X.1.A"]);
    tree.set_attributes(&[entry("Device.X.1.", Some(0), None)]).unwrap();
    // B was not known in between, and is what it was.
    let mut tree = open(&["A", "B", "C", "D"]);
    let selection = tree.attributes(&texts(&["Device.X.1.B", "Device.X.2.B"])).unwrap();
    let found: Vec<String> = pairs(&mut tree, selection).into_iter().map(|p| p.1).collect();
    assert_eq!(found, ["1true", "1true"]);
}

/// A source that cannot be read is no change: its values are not known, and the ACS is not told of
/// neutral ones.
#[test]
fn a_source_that_fails_is_no_change() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Port.1.", Some(2), None)]).unwrap();
    b.one.borrow_mut().failing = texts(&["get Device.Port.{i}. eth0", "get Device.Info."]);
    assert!(!b.tree.sweep() && b.changed().is_empty());
    b.one.borrow_mut().failing.clear();
    assert!(!b.tree.sweep());
    b.one.borrow_mut().row("Device.Port.{i}. eth0").insert("Speed".into(), "9".into());
    assert!(b.tree.sweep());
}

/// N-2: what is only passive is not read until an Inform is made.
// Proves: N-2
#[test]
fn passive_costs_nothing_until_an_inform() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Port.", Some(1), None)]).unwrap();
    b.tree.sweep();
    b.one.borrow_mut().log.clear();
    b.tree.sweep();
    let read = |b: &Bench| b.one.borrow().log.iter().filter(|l| l.starts_with("get Device.Port")).count();
    assert_eq!(read(&b), 0);
    b.one.borrow_mut().row("Device.Port.{i}. wan").insert("Speed".into(), "9".into());
    assert!(b.tree.has_changed());
    assert_eq!(b.changed(), ["Device.Port.3.Speed"]);
    assert!(read(&b) >= 3);
}

/// N-7: changed while the agent was down, for every kind of row.
// Proves: N-7
#[test]
fn what_changed_while_the_agent_was_down() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    let watched = [
        "Device.Info.Code",
        "Device.Info.Count",
        "Device.Info.Model",
        "Device.LinkNumberOfEntries",
        "Device.Port.2.Alias",
        "Device.Port.2.Lower",
        "Device.Port.2.Name",
        "Device.Rule.1.Text",
    ];
    let list: Vec<_> = watched.iter().map(|path| entry(path, Some(2), None)).collect();
    b.tree.set_attributes(&list).unwrap();
    b.tree.sweep();
    let Bench { tree, journal, one, two, .. } = b;
    drop(tree);
    let mut batch = crate::state::journal::Batch::default();
    for (key, value) in [
        ("v/Device.Info.Code", "c"),
        ("v/Device.Info.Count", "4"),
        ("v/Device.Rule.1.Text", "t"),
        ("l/Device.Port.2.", "x"),
    ] {
        batch.put(key, value);
    }
    journal.borrow_mut().commit(batch).unwrap();
    one.borrow_mut().row("Device.Port.{i}. eth1").insert("Name".into(), "n".into());
    let refers = ("Device.Port.{i}.".to_owned(), texts(&["wan"]));
    one.borrow_mut().references.insert("Device.Port.{i}. eth1 Lower".into(), vec![refers]);
    two.borrow_mut().keys.insert("Device.Link.{i}.".into(), texts(&["l0", "l1"]));
    let text = model().replace("const = \"router\"", "const = \"other\"");
    let (mut tree, _) = sample::tree(&text, &journal, handlers(&one, &two));
    assert!(tree.sweep());
    let mut changed = tree.changed(99);
    changed.sort_unstable();
    assert_eq!(changed, watched);
}

/// Which bells are wanted: of what is actively watched only, by what the rows' sources say, with those of
/// the tables they lie in.
// Proves: N-3
#[test]
fn the_bells_of_what_is_watched() {
    let b = Bench::new();
    let text = r#"
["Device."]
Code  = { type = "string", store = "", write = true, notify = "forceEnabled" }
Fixed = { type = "string", const = "" }
File  = { type = "string", native = "one" }
PortNumberOfEntries = { type = "unsignedInt" }
["Device.Port.{i}."]
native  = "one"
entries = "PortNumberOfEntries"
Alias = { type = "Alias" }
Link  = { type = "string" }
Other = { type = "string" }
"#;
    {
        let mut one = b.one.borrow_mut();
        let mut bell = |name: &str, bells: Vec<Bell>| drop(one.bells.insert(name.into(), bells));
        bell("File", vec![Bell::File("/etc/a".into()), Bell::File("/etc/b/".into())]);
        bell("Device.Port.{i}.", vec![Bell::Kernel(topic::LINK)]);
        bell("Link", vec![Bell::Kernel(topic::ROUTE | topic::ADDRESS)]);
    }
    let open = |root: &str| {
        let one: Vec<(&'static str, Box<dyn crate::model::handler::Handler>)> =
            vec![("one", Box::new(MemoryHandler(b.one.clone())))];
        let handlers = Handlers { by_kind: Vec::new(), natives: one };
        let schema = sample::schema(text, &["one"]);
        Tree::open(schema, crate::model::schema::Platform::Linux, root.into(), b.journal.clone(), handlers).0
    };
    let mut tree = open("/");
    let watch = |tree: &mut Tree, name: &str, n| tree.set_attributes(&[entry(name, Some(n), None)]).unwrap();
    assert_eq!(tree.bells(), Bells::default(), "the agent's own values need no bell");
    watch(&mut tree, "Device.", 1);
    assert_eq!(tree.bells(), Bells::default(), "passive ones neither");
    for name in ["Device.Fixed", "Device.Code"] {
        watch(&mut tree, name, 2);
    }
    assert_eq!(tree.bells(), Bells::default());
    watch(&mut tree, "Device.File", 2);
    let files: crate::sys::sorted::SortedSet<String> = ["/etc/a".to_owned(), "/etc/b/".to_owned()].into();
    assert_eq!(tree.bells(), Bells { files: files.clone(), ..Bells::default() });
    watch(&mut tree, "Device.PortNumberOfEntries", 2);
    assert_eq!(tree.bells(), Bells { kernel: topic::LINK, files: files.clone(), sweep: false, ubus: 0 });
    watch(&mut tree, "Device.PortNumberOfEntries", 0);
    // A row comes and goes: its table rings too, also while it is gone.
    watch(&mut tree, "Device.Port.2.Alias", 2);
    watch(&mut tree, "Device.Port.2.Link", 2);
    let all = topic::LINK | topic::ROUTE | topic::ADDRESS;
    assert_eq!(tree.bells(), Bells { kernel: all, files: files.clone(), sweep: false, ubus: 0 });
    b.one.borrow_mut().keys.insert("Device.Port.{i}.".into(), texts(&["eth0"]));
    tree.begin_rpc();
    assert_eq!(tree.bells(), Bells { kernel: topic::LINK, files: files.clone(), sweep: false, ubus: 0 });
    watch(&mut tree, "Device.Port.1.Other", 2);
    assert!(tree.bells().sweep, "nobody tells of it");
    watch(&mut tree, "Device.Port.1.Other", 0);
    // With a root of its own nothing of the host is heard.
    drop(tree);
    assert_eq!(open("/none").bells(), Bells { kernel: 0, files, sweep: true, ubus: 0 });
}

/// The whole tree in one request: one batch, whatever its size, and the same after a power cut.
// Proves: R-SPA-2, R-SPA-14
#[test]
fn the_whole_tree_in_one_batch() {
    let dir = std::env::temp_dir().join(format!("cwmpd-whole-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut b = Bench::new();
    b.journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
    let (tree, _) = open(&b.journal, &b.one, &b.two);
    b.tree = tree;
    b.tree.sweep();
    let before = std::fs::read(dir.join("journal")).unwrap();
    b.tree.begin_rpc();
    b.tree.set_attributes(&[entry("", Some(2), None)]).unwrap();
    let after = std::fs::read(dir.join("journal")).unwrap();
    let mut records = &after[before.len()..];
    // Length, checksum, payload of each.
    let mut batches = 0;
    while let Some(len) = records.first_chunk::<4>() {
        records = &records[8 + u32::from_le_bytes(*len) as usize..];
        batches += 1;
    }
    // The numbers of instances seen for the first time are a batch of their own.
    assert!((1..=2).contains(&batches), "{batches} batches");
    b.tree.sweep();
    assert_eq!(std::fs::read(dir.join("journal")).unwrap(), after, "all was known already");
    let (one, two) = (b.one.clone(), b.two.clone());
    drop(b);
    std::fs::write(dir.join("journal"), &after).unwrap();
    let journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
    let (tree, notes) = open(&journal, &one, &two);
    let mut b = Bench { tree, journal, one, two, notes };
    let selection = b.tree.attributes(&texts(&["Device."])).unwrap();
    let all = pairs(&mut b.tree, selection);
    // Volatile rows are others after a restart.
    assert!(all.iter().all(|(path, a)| a == "2true" || path.starts_with("Device.Seen.")), "{all:?}");
    assert!(!b.tree.sweep());
    std::fs::remove_dir_all(&dir).unwrap();
}
