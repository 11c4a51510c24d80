use super::*;
use crate::model::attributes::MAX_ATTRIBUTES;
use crate::model::handler::Bell;
use crate::model::request::SetAttributes;

pub(super) fn entry(name: &str, notification: Option<i64>, access: Option<&[&str]>) -> SetAttributes {
    SetAttributes { name: name.into(), notification, access_list: access.map(texts) }
}

fn attributes(b: &mut Bench, names: &[&str]) -> Vec<(String, String)> {
    b.tree.begin_rpc();
    let selection = b.tree.attributes(&texts(names)).unwrap();
    pairs(&mut b.tree, selection)
}

pub(super) fn attribute(b: &mut Bench, name: &str) -> String {
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

/// R-SPA-6: what never stands still and has no bell is refused where the standard allows it, and only
/// there; what can be had is accepted.
// Proves: R-SPA-6, R-SPA-1
#[test]
fn active_notification_that_is_refused() {
    let mut b = Bench::new();
    b.one.borrow_mut().bells.insert("UpTime".into(), vec![Bell::Dear]);
    b.two.borrow_mut().bells.insert("Bytes".into(), vec![Bell::Dear]);
    b.two.borrow_mut().bells.insert("Limit".into(), vec![Bell::Dear]);
    for refused in ["Device.Info.UpTime", "Device.Port.1.Stats.Bytes"] {
        let list = [entry("Device.Info.Model", Some(2), None), entry(refused, Some(2), None)];
        assert_eq!(code(b.tree.set_attributes(&list)), Code::NOTIFICATION_REJECTED, "{refused}");
        assert_eq!(attribute(&mut b, "Device.Info.Model"), "0true", "R-SPA-1");
        // Passive never costs anything, and the access list is another matter.
        b.tree.set_attributes(&[entry(refused, Some(1), Some(&[]))]).unwrap();
        assert_eq!(attribute(&mut b, refused), "1false");
        b.tree.set_attributes(&[entry(refused, Some(0), Some(&["Subscriber"]))]).unwrap();
    }
    // Below a partial path it is told passively, and the rest actively.
    b.tree.set_attributes(&[entry("Device.", Some(2), None)]).unwrap();
    for (path, want) in [
        ("Device.Info.UpTime", "1true"),
        ("Device.Port.2.Stats.Bytes", "1true"),
        // Dear too, but nobody may refuse it.
        ("Device.Port.2.Stats.Limit", "2true"),
        ("Device.Info.Model", "2true"),
        ("Device.Info.Secret", "2true"),
    ] {
        assert_eq!(attribute(&mut b, path), want, "{path}");
    }
    // With a bell, or where looking is cheap, it is accepted.
    for bells in [Vec::new(), vec![Bell::None], vec![Bell::Kernel(1)], vec![Bell::File("/x".into())]] {
        b.tree.set_attributes(&[entry("Device.Info.UpTime", Some(0), None)]).unwrap();
        b.one.borrow_mut().bells.insert("UpTime".into(), bells);
        b.tree.set_attributes(&[entry("Device.Info.UpTime", Some(2), None)]).unwrap();
        assert_eq!(attribute(&mut b, "Device.Info.UpTime"), "2true");
    }
}

/// A partial path below which nothing can be had is refused: the request would come to nothing.
// Proves: R-SPA-6
#[test]
fn a_path_below_which_all_is_refused() {
    let text = r#"
["Device.Port.{i}."]
native = "one"
["Device.Port.{i}.Stats."]
native = "one"
Sent     = { type = "StatsCounter64", notify = "canDeny" }
Received = { type = "StatsCounter64", notify = "canDeny" }
"#;
    let b = Bench::new();
    for name in ["Sent", "Received"] {
        b.one.borrow_mut().bells.insert(name.into(), vec![Bell::Dear]);
    }
    let one: Vec<(&'static str, Box<dyn crate::model::handler::Handler>)> =
        vec![("one", Box::new(MemoryHandler(b.one.clone())))];
    let (mut tree, _) = sample::tree(text, &b.journal, Handlers { by_kind: Vec::new(), natives: one });
    let active = [entry("Device.Port.1.Stats.", Some(2), None)];
    assert_eq!(code(tree.set_attributes(&active)), Code::NOTIFICATION_REJECTED);
    tree.set_attributes(&[entry("Device.Port.1.Stats.", Some(1), None)]).unwrap();
    assert_eq!(code(tree.set_attributes(&active)), Code::NOTIFICATION_REJECTED);
}

/// R-SPA-10: as many as the bound, and no more; what belongs to rows that are gone makes room.
// Proves: R-SPA-10, R-GEN-3
#[test]
fn attributes_of_too_many_parameters() {
    let text = r#"
["Device."]
Name = { type = "string", store = "" }
["Device.Port.{i}."]
native = "one"
A = { type = "string", const = "a" }
B = { type = "string", const = "b" }
C = { type = "string", const = "c" }
D = { type = "string", const = "d" }
"#;
    let b = Bench::new();
    let many = |n: usize| (0..n).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let full = MAX_ATTRIBUTES / 4;
    b.one.borrow_mut().keys.insert("Device.Port.{i}.".into(), many(full));
    let one: Vec<(&'static str, Box<dyn crate::model::handler::Handler>)> =
        vec![("one", Box::new(MemoryHandler(b.one.clone())))];
    let (mut tree, _) = sample::tree(text, &b.journal, Handlers { by_kind: Vec::new(), natives: one });
    tree.begin_rpc();
    tree.set_attributes(&[entry("Device.Port.", Some(2), None)]).unwrap();
    let kept = b.journal.borrow().size();
    assert_eq!(code(tree.set_attributes(&[entry("Device.Name", Some(1), None)])), Code::RESOURCES_EXCEEDED);
    assert_eq!(code(tree.set_attributes(&[entry("Device.", Some(1), None)])), Code::RESOURCES_EXCEEDED);
    assert_eq!(b.journal.borrow().size(), kept, "nothing of it holds");
    tree.set_attributes(&[entry("Device.Port.1.", Some(0), None), entry("Device.Name", Some(1), None)])
        .unwrap();
    assert_eq!(
        code(tree.set_attributes(&[entry("Device.Port.1.", Some(1), None)])),
        Code::RESOURCES_EXCEEDED
    );
    b.one.borrow_mut().keys.insert("Device.Port.{i}.".into(), many(full - 1));
    tree.begin_rpc();
    tree.set_attributes(&[entry("Device.Port.1.", Some(1), None)]).unwrap();
    assert!(!tree.sweep());
}
