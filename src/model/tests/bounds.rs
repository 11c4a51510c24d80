//! Each limit of the tree on what a peer asks: what lies on it is done, what lies beyond it is refused
//! by it, and nothing has changed.

use super::*;
use crate::model::attributes::{MAX_ATTRIBUTES, MAX_ENTITY, MAX_NAMED};
use crate::model::cursor::{MAX_ITEMS, MAX_NAMES};
use crate::model::path::MAX_PATH;
use crate::model::request::SetAttributes;
use crate::model::rows::MAX_ROW;
use crate::model::served::MAX_DEPTH;
use crate::model::set::{MAX_FAULTS, MAX_SET};
use crate::model::transaction::MAX_PARAMETER_KEY;

/// A table with as many rows as keys, each with two values of the agent's own.
fn wide(keys: usize) -> Tree {
    let keys: Vec<String> = (0..keys).map(|n| format!("k{n}")).collect();
    let text = keys.chunks(500).enumerate().map(|(nth, keys)| {
        format!(
            "[\"Device.Wide.T{nth}.{{i}}.\"]\nconst = \"{}\"\n\
             A = {{ type = \"string\", store = \"\", write = true }}\n\
             B = {{ type = \"string\", store = \"\", write = true }}\n",
            keys.join(" ")
        )
    });
    let text: String = std::iter::once("[\"Device.Wide.\"]\n".to_owned()).chain(text).collect();
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = Handlers { by_kind: Vec::new(), natives: Vec::new() };
    sample::tree(&text, &journal, handlers).0
}

/// The paths of all values.
fn paths(tree: &mut Tree) -> Vec<String> {
    let selection = tree.values(&texts(&["Device.Wide."])).unwrap();
    pairs(tree, selection).into_iter().map(|pair| pair.0).collect()
}

// Proves: R-GEN-3
#[test]
fn a_set_of_too_many_changes_nothing() {
    let mut tree = wide(MAX_SET.div_ceil(2) + 1);
    let mut list: Vec<ParameterValue> = paths(&mut tree)
        .into_iter()
        .map(|name| ParameterValue { name, value: "new".into(), xsi_type: None })
        .collect();
    list.truncate(MAX_SET + 1);
    let name = list[0].name.clone();
    tree.begin_rpc();
    assert_eq!(code(tree.set(&list, Writer::Acs { parameter_key: "" })), Code::RESOURCES_EXCEEDED);
    assert_eq!(tree.value(&name).as_deref(), Some(""));
    list.truncate(MAX_SET);
    tree.begin_rpc();
    assert_eq!(tree.set(&list, Writer::Acs { parameter_key: "" }), Ok(Status::Applied));
    assert_eq!(tree.value(&name).as_deref(), Some("new"));
}

// Proves: R-GEN-3, R-GPV-11
#[test]
fn a_request_of_too_many_names_or_values() {
    let mut b = Bench::new();
    assert_eq!(b.values(&["Device.Info.Model"; MAX_NAMES]).unwrap().len(), MAX_NAMES);
    let all = texts(&["Device.Info.Model"; MAX_NAMES + 1]);
    assert_eq!(code(b.tree.values(&all).map(|s| s.count)), Code::RESOURCES_EXCEEDED);
    assert_eq!(code(b.tree.attributes(&all).map(|s| s.count)), Code::RESOURCES_EXCEEDED);
    // A few names that stand for many values each.
    let mut tree = wide(2000);
    let each = tree.values(&texts(&["Device."])).unwrap().count;
    let fit = MAX_ITEMS / each;
    assert!(fit < MAX_NAMES);
    assert_eq!(tree.values(&texts(&vec!["Device."; fit])).unwrap().count, fit * each);
    let beyond = tree.values(&texts(&vec!["Device."; fit + 1]));
    assert_eq!(code(beyond.map(|s| s.count)), Code::RESOURCES_EXCEEDED);
}

// Proves: R-GEN-3
#[test]
fn attributes_of_too_many() {
    let entry = |name: &str, entities: &[&str]| SetAttributes {
        name: name.into(),
        notification: Some(1),
        access_list: Some(texts(entities)),
    };
    let mut tree = wide(MAX_ATTRIBUTES / 2 + 1);
    let all = paths(&mut tree);
    let list: Vec<SetAttributes> = all.iter().map(|path| entry(path, &[])).collect();
    assert_eq!(code(tree.set_attributes(&list[..=MAX_ATTRIBUTES])), Code::RESOURCES_EXCEEDED);
    assert_eq!(tree.set_attributes(&list[..MAX_ATTRIBUTES]), Ok(()));
    assert_eq!(code(tree.set_attributes(&list[MAX_ATTRIBUTES..])), Code::RESOURCES_EXCEEDED);
    // The same ones again are no more.
    assert_eq!(tree.set_attributes(&list[..1]), Ok(()));
    // So many entries that each names the whole tree.
    let mut one = entry("Device.", &["Subscriber"]);
    one.notification = None;
    let fit = MAX_NAMED / all.len();
    assert_eq!(tree.set_attributes(&vec![one.clone(); 2]), Ok(()));
    assert_eq!(code(tree.set_attributes(&vec![one; fit + 1])), Code::RESOURCES_EXCEEDED);
    let long = "ü".repeat(MAX_ENTITY);
    assert_eq!(tree.set_attributes(&[entry(&all[0], &[&long])]), Ok(()));
    let longer = long + "x";
    assert_eq!(code(tree.set_attributes(&[entry(&all[0], &[&longer])])), Code::INVALID_ARGUMENTS);
}

/// R-SPV-4: each bad parameter is told of, as long as that is a fault and no flood.
// Proves: R-SPV-4
#[test]
fn faults_of_one_set_are_bounded() {
    let mut b = Bench::new();
    let told = |b: &mut Bench, name: &str| {
        let list: Vec<(&str, &str)> = vec![(name, "x"); MAX_SET];
        let fault = b.set(&list).unwrap_err();
        let bytes: usize = fault.parameters.iter().map(|p| p.name.len() + p.text.len()).sum();
        assert!(bytes <= MAX_FAULTS, "{bytes} bytes");
        (fault.parameters.len(), fault.text)
    };
    assert_eq!(told(&mut b, "Device.Nope"), (MAX_SET, "Invalid arguments".to_owned()));
    let (count, text) = told(&mut b, &"\"".repeat(MAX_PATH));
    assert!(count > 500, "{count}");
    assert_eq!(text, format!("Invalid arguments; {} more of them are not told", MAX_SET - count));
}

/// A peer's text is repeated in a fault only as far as it could be a name.
#[test]
fn names_that_are_none_are_not_repeated_whole() {
    let mut b = Bench::new();
    let long = "\"".repeat(1 << 20);
    let fault = b.set(&[(&long, "1")]).unwrap_err();
    assert_eq!((fault.code, fault.parameters[0].code), (Code::INVALID_ARGUMENTS, Code::INVALID_NAME));
    assert_eq!(fault.parameters[0].name.len(), MAX_PATH);
    assert!(fault.parameters[0].text.len() < 2 * MAX_PATH);
    let entry = |notification| SetAttributes { name: long.clone(), notification, access_list: None };
    let faults = [
        b.values(&[&long]).unwrap_err(),
        b.names(&long, false).unwrap_err(),
        b.add(&long).unwrap_err(),
        b.delete(&long).unwrap_err(),
        b.tree.set_attributes(&[entry(Some(1))]).unwrap_err(),
        b.tree.set_attributes(&[entry(Some(4))]).unwrap_err(),
        b.tree.set_attributes(&[entry(Some(9))]).unwrap_err(),
    ];
    for fault in faults {
        assert!(fault.text.len() < 2 * MAX_PATH, "{} bytes", fault.text.len());
    }
    let key = "ü".repeat(MAX_PARAMETER_KEY + 1);
    let set = |b: &mut Bench, key: &str| {
        b.set_as(&[("Device.Info.Count", "4")], Writer::Acs { parameter_key: key })
    };
    assert_eq!(code(set(&mut b, &key)), Code::INVALID_ARGUMENTS);
    assert_eq!(set(&mut b, &key[2..]), Ok(Status::Applied));
}

#[test]
fn tables_nest_so_deep() {
    let text = (1..=MAX_DEPTH + 1).map(|depth| {
        let object = format!("Device.{}", "T.{i}.".repeat(depth));
        format!("[\"{object}\"]\nstore = \"\"\ncreate = true\n")
    });
    let text: String = text.collect();
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (mut tree, notes) =
        sample::tree(&text, &journal, Handlers { by_kind: Vec::new(), natives: Vec::new() });
    assert!(notes.iter().any(|n| n.contains("lies below more than 8 tables")), "{notes:?}");
    let mut path = String::from("Device.");
    for depth in 1..=MAX_DEPTH + 1 {
        path += "T.";
        let added = tree.add(&path, Writer::Local);
        assert_eq!(added.is_ok(), depth <= MAX_DEPTH, "{path}");
        path += "1.";
    }
}

/// What one source says of one row.
#[test]
fn a_row_that_says_too_much_says_nothing() {
    let mut b = Bench::new();
    for (size, shown) in [(MAX_ROW - 1024, 64), (MAX_ROW + 1, 0)] {
        b.one.borrow_mut().row("Device.Info.").insert("Version".into(), "v".repeat(size));
        assert_eq!(b.value("Device.Info.Version").len(), shown, "{size}");
    }
}
