//! What is too much, and what a newer program finds of an older one.

use super::*;
use crate::model::handler::Handler;
use crate::state::journal::{Batch, MAX_VALUE};

/// A tree over a text, with the provider `one`.
fn tree(text: &str, journal: &Rc<RefCell<Journal>>, one: &Rc<RefCell<Memory>>) -> (Tree, Vec<String>) {
    let natives: Vec<(&'static str, Box<dyn Handler>)> = vec![("one", Box::new(MemoryHandler(one.clone())))];
    let by_kind = Vec::new();
    sample::tree(text, journal, Handlers { by_kind, natives })
}

fn fresh() -> (Rc<RefCell<Journal>>, Rc<RefCell<Memory>>) {
    (Rc::new(RefCell::new(Journal::in_memory())), Rc::default())
}

fn set(tree: &mut Tree, name: &str, value: &str) -> Result<Status, Fault> {
    tree.begin_rpc();
    let one = ParameterValue { name: name.into(), value: value.into(), xsi_type: None };
    tree.set(&[one], Writer::Acs { parameter_key: "k" })
}

const WIDE: &str = r#"
["Device."]
Text  = { type = "string", store = "", write = true }
Big   = { type = "string", native = "one", write = true }
Later = { type = "string", native = "one", write = true, after_session = true }
["Device.Row.{i}."]
store  = ""
create = true
Text   = { type = "string", store = "", write = true }
"#;

/// What the journal could not hold is refused as a whole (9004) before anything is changed: a value, a
/// row, the record of how to take a change back, a promise.
#[test]
fn what_cannot_be_kept_is_refused() {
    let (journal, one) = fresh();
    let (mut tree, _) = tree(WIDE, &journal, &one);
    tree.begin_session();
    let long = "x".repeat(MAX_VALUE + 1);
    for name in ["Device.Text", "Device.Big", "Device.Later"] {
        assert_eq!(code(set(&mut tree, name, &long)), Code::RESOURCES_EXCEEDED, "{name}");
    }
    assert_eq!(one.borrow().rows.get("Device."), None, "nothing was committed");
    assert!(!tree.has_promised());
    assert_eq!(journal.borrow().text("k"), None);
    // The old value is what is too long to be put back.
    one.borrow_mut().row("Device.").insert("Big".into(), long.clone());
    assert_eq!(code(set(&mut tree, "Device.Big", "short")), Code::RESOURCES_EXCEEDED);
    assert_eq!(one.borrow_mut().row("Device.")["Big"], long);

    // Rows and values fill the journal up to a bound, and can always be taken away again.
    let part = "x".repeat(MAX_VALUE - 1024);
    let mut refused = None;
    for _ in 0..8 {
        tree.begin_rpc();
        let added = tree
            .add("Device.Row.", Writer::Local)
            .and_then(|(n, _)| set(&mut tree, &format!("Device.Row.{n}.Text"), &part));
        refused = refused.or(added.err().map(|f| f.code));
    }
    assert_eq!(refused, Some(Code::RESOURCES_EXCEEDED));
    assert!(journal.borrow().size() <= crate::model::tree::MAX_KEPT);
    tree.delete("Device.Row.1.", Writer::Local).unwrap();
    assert_eq!(set(&mut tree, "Device.Row.2.Text", ""), Ok(Status::Applied));
}

/// A newer program may have other types: what was kept and is no value any more is the default
/// again, and a promise of it is forgotten.
#[test]
fn values_of_an_older_program_fit_the_newer_one() {
    let (journal, one) = fresh();
    let (mut old, _) = tree(WIDE, &journal, &one);
    set(&mut old, "Device.Text", "words").unwrap();
    old.begin_session();
    set(&mut old, "Device.Later", "words").unwrap();
    drop(old);
    let narrow = WIDE
        .replace(
            r#"Text  = { type = "string", store = """#,
            r#"Text  = { type = "unsignedInt(1..9)", store = "3""#,
        )
        .replace(r#"Later = { type = "string""#, r#"Later = { type = "boolean""#);
    let (mut new, notes) = tree(&narrow, &journal, &one);
    assert!(notes.iter().any(|n| n.contains("Device.Later")), "{notes:?}");
    assert_eq!(new.value("Device.Text").as_deref(), Some("3"));
    assert_eq!(one.borrow().rows.get("Device.").and_then(|r| r.get("Later")), None);
    set(&mut new, "Device.Text", "7").unwrap();
    assert_eq!(new.value("Device.Text").as_deref(), Some("7"));
}

/// A promise that fails leaves what an earlier promise of the same session has made.
#[test]
fn a_promise_that_fails_leaves_the_one_before_it() {
    let mut b = Bench::new();
    b.tree.begin_session();
    b.set(&[("Device.Info.Uplink", "fibre")]).unwrap();
    b.set(&[("Device.Info.Uplink", "radio"), ("Device.Port.1.Name", "x")]).unwrap();
    // Half of the second: its commit is the second of this row at the end of the session.
    struct Second(MemoryHandler, u32);
    use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
    impl Handler for Second {
        fn list(&mut self, c: &Ctx<'_>, r: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
            self.0.list(c, r, out)
        }
        fn get(&mut self, c: &Ctx<'_>, r: &Row<'_>, w: &[Want<'_>], out: &mut Fields) -> Result<(), Failure> {
            self.0.get(c, r, w, out)
        }
        fn stage(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>) -> Result<Vec<u8>, Failure> {
            self.0.stage(c, r, ch)
        }
        fn commit(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>) -> Result<(), Failure> {
            self.1 += 1;
            self.0.commit(c, r, ch)?;
            if self.1 == 2 { Err(Failure::internal("half done")) } else { Ok(()) }
        }
        fn undo(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>, s: &[u8]) -> Result<(), Failure> {
            self.0.undo(c, r, ch, s)
        }
    }
    b.tree.handlers[0] = Box::new(Second(MemoryHandler(b.one.clone()), 0));
    let notes = b.tree.end_session();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(b.value("Device.Info.Uplink"), "fibre");
    assert_eq!(b.value("Device.Port.1.Name"), "x", "that was no promise");
}

/// Numbers of a volatile table whose keys had to be forgotten are not given again.
#[test]
fn forgotten_keys_do_not_give_their_numbers_back() {
    let (journal, one) = fresh();
    let text = r#"
["Device.Seen.{i}."]
native   = "one"
volatile = true
Name     = { type = "string" }
["Device.Other."]
"#;
    let (mut tree, _) = tree(text, &journal, &one);
    let keys = |from: usize| (from..from + 4000).map(|n| format!("{n:0>250}")).collect::<Vec<_>>();
    let mut last = 0;
    for round in 0..3 {
        one.borrow_mut().keys.insert("Device.Seen.{i}.".into(), keys(round * 4000));
        tree.begin_session();
        let selection = tree.names("Device.Seen.", true).unwrap();
        let numbers: Vec<u32> = pairs(&mut tree, selection)
            .iter()
            .map(|(path, _)| path.trim_end_matches('.').rsplit('.').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), 4000);
        assert!(numbers[0] > last, "{} was given before", numbers[0]);
        last = numbers[3999];
        tree.end_session();
    }
    assert!(tree.index_bytes() < 2 << 20, "{} bytes", tree.index_bytes());
}

/// R-GPV-11: what is named again is counted again, whole and in its place.
// Proves: R-GPV-11
#[test]
fn the_whole_tree_many_times_over() {
    let mut b = Bench::new();
    let once = b.values(&["Device."]).unwrap();
    let ports = b.values(&["Device.Port."]).unwrap();
    let thrice = b.values(&["Device.", "Device.Port.", "Device.", "Device.Port.1.", "Device."]).unwrap();
    assert_eq!(thrice.len(), 3 * once.len() + ports.len() + ports.len() / 3);
    assert_eq!(thrice[..once.len()], once);
    assert_eq!(thrice[thrice.len() - once.len()..], once);
    let names = b
        .values(&["Device.Port.*.Name", "Device.Port.*.Speed", "Device.Port.*.Name", "Device.Port.*.Stats."])
        .unwrap();
    assert_eq!(names.len(), 3 * 3 + 6);
    assert_eq!(b.values(&["Device."; 1000]).unwrap().len(), 1000 * once.len());
}

/// Tables in tables that would fill the memory are refused, not walked to the end.
#[test]
fn a_wall_of_rows_is_refused() {
    let (journal, one) = fresh();
    let text = r#"
["Device.A.{i}."]
native   = "one"
volatile = true
["Device.A.{i}.B.{i}."]
native = "one"
"#;
    let (mut tree, _) = tree(text, &journal, &one);
    let keys: Vec<String> = (0..2000).map(|n| format!("{n:0>200}")).collect();
    for key in &keys {
        one.borrow_mut().keys.insert(format!("Device.A.{{i}}.B.{{i}}. {key}"), keys.clone());
    }
    one.borrow_mut().keys.insert("Device.A.{i}.".into(), keys);
    tree.begin_session();
    assert_eq!(code(tree.names("Device.", false).map(|s| s.count)), Code::RESOURCES_EXCEEDED);
    tree.begin_rpc();
    assert!(tree.index_bytes() < 64 << 20);
    let selection = tree.names("Device.A.1.", false).unwrap();
    assert_eq!(selection.count, 2002, "a part of it can be read");
}

/// R-SPV-20: of many rows set together.
#[test]
fn keys_of_many_rows_may_change_places_and_not_meet() {
    let mut b = Bench::new();
    let moved = [("Device.Port.1.Name", "wan"), ("Device.Port.3.Name", "eth0")];
    assert_eq!(b.set(&moved), Ok(Status::Applied));
    let met =
        [("Device.Port.1.Name", "same"), ("Device.Port.3.Name", "same"), ("Device.Port.2.Name", "other")];
    let fault = b.set(&met).unwrap_err();
    let named: Vec<&str> = fault.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(named, ["Device.Port.1.Name", "Device.Port.3.Name"]);
    // A row that is not enabled has no key that counts.
    let off = [("Device.Port.1.Name", "same"), ("Device.Port.3.Name", "same"), ("Device.Port.3.Enable", "0")];
    assert_eq!(b.set(&off), Ok(Status::Applied));
    let fault = b.set(&[("Device.Port.3.Enable", "1")]).unwrap_err();
    assert_eq!(fault.parameters[0].code, Code::REQUEST_DENIED);
}

/// N-3: the number of instances that something else makes changes by itself.
#[test]
fn a_counter_of_others_rows_is_watched() {
    let (journal, one) = fresh();
    let text = r#"
["Device."]
SeenNumberOfEntries = { type = "unsignedInt" }
RowNumberOfEntries  = { type = "unsignedInt" }
["Device.Seen.{i}."]
native  = "one"
entries = "SeenNumberOfEntries"
["Device.Row.{i}."]
store   = ""
create  = true
entries = "RowNumberOfEntries"
"#;
    let (mut tree, _) = tree(text, &journal, &one);
    let mut watch = |name: &str| {
        let entry = crate::model::request::SetAttributes {
            name: name.into(),
            notification: Some(2),
            access_list: None,
        };
        tree.set_attributes(&[entry]).unwrap();
        tree.bells().sweep
    };
    assert!(!watch("Device.RowNumberOfEntries"), "these the agent makes itself");
    assert!(watch("Device.SeenNumberOfEntries"));
}

/// A record of another version in place of each: nothing of it stops the tree.
#[test]
fn records_of_another_version_are_survived() {
    let keys = [
        "i/Device.Port.",
        "i/Device.Rule.",
        "l/Device.Port.1.",
        "a/Device.Port.1.",
        "a/Device.Info.",
        "v/Device.Info.Count",
        "v/Device.Rule.1.Target",
        "t/intent",
        "t/promised",
        "k",
    ];
    let values: [&[u8]; 9] = [
        b"",
        b"\xff",
        &[0; 64],
        &[0xfe; 64],
        b"Device.Port.9",
        &[1, 0, 0, 0, 0, 0, 0, 0],
        b"\x05\x04Name",
        b"\x05\x04Name\x15\x05SpeedXYZ",
        b"\x07\x04Name\x05\x00\x05\xff",
    ];
    for key in keys {
        for value in values {
            let b = Bench::new();
            let mut batch = Batch::default();
            batch.put(key, value);
            b.journal.borrow_mut().commit(batch).unwrap();
            let mut b = b.restart();
            let all = b.values(&["Device."]).unwrap();
            assert!(all.iter().any(|(name, value)| name.ends_with("Model") && value == "router"), "{key}");
            assert_eq!(b.names("Device.Port.", true).unwrap().len(), 3, "{key} {value:?}");
            b.add("Device.Rule.").unwrap();
            b.tree.sweep();
            b.changed();
            b.tree.set_attributes(&[super::attributes::entry("Device.Port.", Some(1), None)]).unwrap();
            b.set(&[("Device.Info.Count", "5")]).unwrap();
            assert_eq!(b.value("Device.Info.Count"), "5");
        }
    }
}

/// R-SPV-18: a promise that refers to a row that is deleted in the same session.
// Proves: R-SPV-18
#[test]
fn a_promised_reference_goes_with_its_row() {
    let (journal, one) = fresh();
    let text = r#"
["Device."]
Ref  = { type = "ref(Device.Row.{i}.)", native = "one", write = true, after_session = true }
Refs = { type = "list(ref(Device.Row.{i}.))", native = "one", write = true, after_session = true }
Kept = { type = "list(ref(Device.Row.{i}.))", store = "", write = true }
["Device.Row.{i}."]
store  = ""
create = true
"#;
    let (mut tree, _) = tree(text, &journal, &one);
    for _ in 0..3 {
        tree.add("Device.Row.", Writer::Local).unwrap();
    }
    tree.begin_session();
    set(&mut tree, "Device.Ref", "Device.Row.2").unwrap();
    for name in ["Device.Refs", "Device.Kept"] {
        set(&mut tree, name, "Device.Row.1,Device.Row.2,Device.Row.3").unwrap();
    }
    tree.delete("Device.Row.2.", Writer::Local).unwrap();
    for name in ["Device.Refs", "Device.Kept"] {
        assert_eq!(tree.value(name).as_deref(), Some("Device.Row.1,Device.Row.3"), "{name}");
    }
    assert_eq!(tree.value("Device.Ref").as_deref(), Some(""));
    assert!(tree.end_session().is_empty());
    let row = one.borrow_mut().row("Device.").clone();
    assert_eq!((row["Ref"].as_str(), row["Refs"].as_str()), ("", "Device.Row.1,Device.Row.3"));
}

/// What is listed is readable: a path may not outgrow its bound by its instance numbers.
#[test]
fn a_path_has_room_for_its_numbers() {
    let row = |words: usize| {
        let object = format!("Device.{}{{i}}.", "x".repeat(words) + ".");
        format!("[\"{object}\"]\nstore = \"\"\ncreate = true\nP = {{ type = \"string\", store = \"\" }}\n")
    };
    let good = |words| crate::model::grammar::schema_from(&[("t.toml", &row(words))], &[]).is_ok();
    let fits = 256 - "Device.".len() - ".4294967295.P".len();
    assert!(good(fits) && !good(fits + 1));
}

/// After a restart the numbers of a volatile table are other rows': an Alias or a value that was given to
/// one is not theirs.
#[test]
fn what_volatile_rows_were_given_goes_with_their_numbers() {
    let (journal, one) = fresh();
    let text = r#"
["Device.Seen.{i}."]
native   = "one"
volatile = true
Alias    = { type = "Alias", write = true }
Note     = { type = "string", store = "", write = true }
["Device.Row.{i}."]
native = "one"
Alias  = { type = "Alias", write = true }
"#;
    for table in ["Device.Seen.{i}.", "Device.Row.{i}."] {
        one.borrow_mut().keys.insert(table.into(), texts(&["a", "b"]));
    }
    let (mut first, _) = tree(text, &journal, &one);
    for name in ["Device.Seen.1.Alias", "Device.Seen.1.Note", "Device.Row.1.Alias"] {
        set(&mut first, name, "mine").unwrap();
    }
    drop(first);
    for table in ["Device.Seen.{i}.", "Device.Row.{i}."] {
        one.borrow_mut().keys.insert(table.into(), texts(&["b", "a"]));
    }
    let (mut again, _) = tree(text, &journal, &one);
    assert_eq!(again.value("Device.Seen.1.Alias").as_deref(), Some("cpe-1"));
    assert_eq!(again.value("Device.Seen.1.Note").as_deref(), Some(""));
    assert_eq!(again.value("Device.Row.1.Alias").as_deref(), Some("mine"));
}

/// R-SPA-7: what an older program kept of a parameter that the model makes active by now has no effect.
#[test]
fn forced_notification_heeds_no_older_attributes() {
    // Off, passive, off and closed; bits as `watched` says.
    for bits in [0x0c, 0x0d, 0x04] {
        let b = Bench::new();
        let mut batch = Batch::default();
        batch.put("a/Device.Info.", [&[bits, 7], &b"Version"[..]].concat());
        b.journal.borrow_mut().commit(batch).unwrap();
        let mut b = b.restart();
        b.tree.sweep();
        b.one.borrow_mut().row("Device.Info.").insert("Version".into(), "2.0".into());
        assert!(b.tree.sweep(), "{bits:#x}");
        assert_eq!(b.changed(), ["Device.Info.Version"]);
    }
}
