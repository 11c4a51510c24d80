use super::*;
use crate::model::request::SetAttributes;
use crate::model::tree::Changes;

fn entry(name: &str, notification: Option<i64>, access: Option<&[&str]>) -> SetAttributes {
    SetAttributes { name: name.into(), notification, access_list: access.map(texts) }
}

fn attributes(b: &mut Bench, names: &[&str]) -> Vec<(String, String)> {
    b.tree.begin_rpc();
    let selection = b.tree.attributes(&texts(names)).unwrap();
    pairs(&mut b.tree, selection)
}

fn attribute(b: &mut Bench, name: &str) -> String {
    attributes(b, &[name]).remove(0).1
}

/// R-SPA-2, 3, 4, 7, 8, 9, 11, 13, 14.
// Proves: R-SPA-2, R-SPA-3, R-SPA-4, R-SPA-7, R-SPA-8, R-SPA-9, R-SPA-11, R-SPA-14
#[test]
fn attributes_are_set_and_kept() {
    let mut b = Bench::new();
    assert_eq!(attribute(&mut b, "Device.Info.Model"), "0true");
    assert_eq!(attribute(&mut b, "Device.Info.Version"), "2true", "forced");
    b.tree
        .set_attributes(&[
            entry("Device.Info.", Some(1), None),
            entry("Device.Info.Model", Some(2), Some(&[])),
            entry("Device.Port.[cpe-2].Name", None, Some(&["Somebody"])),
            entry("Device.Port.3.Name", None, Some(&["Somebody", "Subscriber"])),
        ])
        .unwrap();
    let mut b = b.restart();
    for (path, want) in [
        ("Device.Info.Model", "2false"),
        ("Device.Info.UpTime", "1true"),
        ("Device.Info.Version", "2true"),
        ("Device.Port.2.Name", "0false"),
        ("Device.Port.3.Name", "0true"),
        ("Device.Port.1.Name", "0true"),
    ] {
        assert_eq!(attribute(&mut b, path), want, "{path}");
    }
    // Back to what the model says: nothing is left in the journal.
    b.tree.set_attributes(&[entry("", Some(0), Some(&["Subscriber"]))]).unwrap();
    assert_eq!(b.journal.borrow().scan("a/").count(), 0);
    assert_eq!(attribute(&mut b, "Device.Info.Version"), "2true", "R-SPA-7");
}

/// R-SPA-1, 5, 10: what is refused, and that nothing of the request holds.
// Proves: R-SPA-1, R-SPA-5, R-SPA-10
#[test]
fn bad_attributes_are_refused_as_a_whole() {
    let mut b = Bench::new();
    let long = "x".repeat(65);
    for (bad, want) in [
        (entry("Device.Nope", Some(1), None), Code::INVALID_NAME),
        (entry("Device.Port.*.Name", Some(1), None), Code::INVALID_NAME),
        (entry("Device.Info.UpTime", Some(3), None), Code::NOTIFICATION_REJECTED),
        (entry("Device.Info.UpTime", Some(6), None), Code::NOTIFICATION_REJECTED),
        (entry("Device.Info.UpTime", Some(7), None), Code::INVALID_ARGUMENTS),
        (entry("Device.Info.UpTime", Some(-1), None), Code::INVALID_ARGUMENTS),
        (entry("Device.Info.UpTime", None, Some(&[&long])), Code::INVALID_ARGUMENTS),
    ] {
        assert_eq!(code(b.tree.set_attributes(&[entry("Device.Info.Model", Some(2), None), bad])), want);
    }
    assert_eq!(attribute(&mut b, "Device.Info.Model"), "0true");
}

/// R-SPA-12.
// Proves: R-SPA-12
#[test]
fn the_acs_can_take_a_parameter_for_itself() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Info.Code", None, Some(&[]))]).unwrap();
    let fault = b.set_as(&[("Device.Info.Code", "x")], Writer::Local).unwrap_err();
    assert_eq!(fault.parameters[0].code, Code::REQUEST_DENIED);
    assert!(b.set(&[("Device.Info.Code", "x")]).is_ok());
}

fn changes(any: bool, active: bool) -> Changes {
    Changes { any, active }
}

/// I-4, N-7: silent at first, then every difference until it was reported; a restart loses nothing.
// Proves: I-4, N-1, N-7
#[test]
fn changes_are_found_and_reported() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(1), None)]).unwrap();
    assert_eq!(b.tree.sweep(), changes(false, false));
    b.one.borrow_mut().row("Device.Port.{i}. eth0").insert("Speed".into(), "10".into());
    assert_eq!(b.tree.sweep(), changes(true, false));
    assert_eq!(b.tree.changed(), ["Device.Port.1.Speed"]);
    b.one.borrow_mut().row("Device.Info.").insert("Version".into(), "2.0".into());
    let mut b = b.restart();
    assert_eq!(b.tree.sweep(), changes(true, true));
    assert_eq!(b.tree.changed(), ["Device.Info.Version", "Device.Port.1.Speed"]);
    b.tree
        .reported(&[("Device.Info.Version".into(), "2.0".into()), ("Device.Info.Model".into(), "x".into())]);
    assert_eq!(b.tree.changed(), ["Device.Port.1.Speed"]);
    b.tree.reported(&[("Device.Port.1.Speed".into(), "10".into())]);
    let mut b = b.restart();
    assert_eq!(b.tree.sweep(), changes(false, false));
    // Off and on again: what happened meanwhile is not told.
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(0), None)]).unwrap();
    b.one.borrow_mut().row("Device.Port.{i}. eth0").insert("Speed".into(), "11".into());
    b.tree.set_attributes(&[entry("Device.Port.1.Speed", Some(2), None)]).unwrap();
    assert_eq!(b.tree.sweep(), changes(false, false));
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
    assert!(b.tree.changed().is_empty());
    b.tree.end_session();
    assert!(b.tree.changed().is_empty());
    b.set_as(&[("Device.Info.Code", "b"), ("Device.Port.1.Speed", "6")], Writer::Local).unwrap();
    assert_eq!(b.tree.changed(), ["Device.Info.Code", "Device.Port.1.Speed"]);
    assert_eq!(b.key().as_deref(), Some("key"));
}

/// Rows of volatile tables keep their attributes as long as they keep their numbers.
#[test]
fn attributes_of_volatile_rows_live_in_memory() {
    let mut b = Bench::new();
    b.tree.set_attributes(&[entry("Device.Seen.1.Name", Some(2), None)]).unwrap();
    b.tree.sweep();
    assert_eq!(b.journal.borrow().scan("a/").count(), 0);
    b.two.borrow_mut().row("Device.Seen.{i}. a").insert("Name".into(), "x".into());
    assert_eq!(b.tree.changed(), ["Device.Seen.1.Name"]);
    let mut b = b.restart();
    assert_eq!(attribute(&mut b, "Device.Seen.1.Name"), "0true");
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
    assert_eq!(b.journal.borrow().scan("a/").count() + b.journal.borrow().scan("r/Device.Rule.").count(), 0);
    assert_eq!(b.tree.sweep(), Changes::default());
}

/// A sweep is of use when something outside the agent is watched actively.
#[test]
fn what_is_watched_outside() {
    let b = Bench::new();
    assert!(b.tree.watches_outside(), "Version is active by the model and comes from a handler");
    let text = r#"
["Device."]
Code = { type = "string", store = "", write = true, notify = "forceEnabled" }
["Device.Port.{i}."]
native = "one"
Name = { type = "string" }
"#;
    let one: Vec<(&'static str, Box<dyn crate::model::handler::Handler>)> =
        vec![("one", Box::new(MemoryHandler(b.one.clone())))];
    let (mut tree, _) = sample::tree(text, &b.journal, Handlers { by_kind: Vec::new(), natives: one });
    assert!(!tree.watches_outside());
    tree.set_attributes(&[entry("Device.Port.1.Name", Some(1), None)]).unwrap();
    assert!(!tree.watches_outside());
    tree.set_attributes(&[entry("Device.Port.1.Name", Some(2), None)]).unwrap();
    assert!(tree.watches_outside());
}
