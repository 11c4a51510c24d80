//! The tree as an ACS changes and asks it, by names and aliases of its own making.

use cwmpd::model::fault::Fault;
use cwmpd::model::request::{ParameterValue, SetAttributes};
use cwmpd::model::sample;
use cwmpd::model::schema::{Platform, Schema};
use cwmpd::model::tree::{Handlers, Item, Naming, Selection, Tree, Writer};
use cwmpd::state::journal::Journal;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

const MODEL: &str = r#"
["Device."]
RowNumberOfEntries = { type = "unsignedInt" }
Text = { type = "string(8)", store = "", write = true }
Secret = { type = "string(8)", store = "hidden!", write = true, hidden = true }
Ref = { type = "ref(Device.Row.{i}.)", store = "", write = true }
["Device.Row.{i}."]
store = ""
create = true
entries = "RowNumberOfEntries"
keys = ["Name", "nf:Alias"]
enable = "Enable"
Alias = { type = "Alias", write = true }
Enable = { type = "boolean", store = "true", write = true }
Name = { type = "string(8)", store = "", write = true }
["Device.Row.{i}.Sub.{i}."]
store = ""
create = true
Alias = { type = "Alias", write = true }
Count = { type = "unsignedInt(1..9)", store = "3", write = true }
["Device.Fixed.{i}."]
const = "a b c"
Alias = { type = "Alias", write = true }
Value = { type = "string", const = "v" }
"#;

/// Lines of requests: `+TABLE`, `-ROW`, `=NAME=VALUE;NAME=VALUE`, `?NAME` and `!NAME` (attributes). What
/// is refused has changed nothing, what is listed can be read, by number and by Alias, and as many
/// items come as were announced.
pub fn tree(data: &[u8]) {
    thread_local! {
        static SCHEMA: Schema = sample::schema(MODEL, &[]);
    }
    let text = String::from_utf8_lossy(data);
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = Handlers { by_kind: Vec::new(), natives: Vec::new() };
    let schema = SCHEMA.with(Clone::clone);
    let (mut tree, _) = Tree::open(schema, Platform::Linux, PathBuf::from("/"), journal, handlers);
    tree.begin_session();
    for line in text.split('\n').take(24) {
        let Some(first) = line.chars().next() else { continue };
        let rest = &line[first.len_utf8()..];
        let before = everything(&mut tree);
        let writer = Writer::Acs { parameter_key: "key" };
        tree.begin_rpc();
        let done: Result<(), Fault> = match first {
            '+' => tree.add(rest, writer).map(|(number, _)| {
                assert!(number > 0);
                assert!(everything(&mut tree).len() > before.len(), "a row more: {line}");
            }),
            '-' => tree.delete(rest, writer).map(drop),
            '=' => {
                let values = rest.split(';').filter_map(|one| one.split_once('='));
                let list: Vec<ParameterValue> = values
                    .map(|(name, value)| ParameterValue {
                        name: name.into(),
                        value: value.into(),
                        xsi_type: None,
                    })
                    .collect();
                let creating = list.len().is_multiple_of(2);
                if creating { tree.set_creating(&list, writer) } else { tree.set(&list, writer) }.map(drop)
            }
            '?' => ask(&mut tree, rest),
            '!' => {
                let entry = SetAttributes { name: rest.into(), notification: Some(1), access_list: None };
                tree.set_attributes(&[entry])
            }
            _ => continue,
        };
        let after = everything(&mut tree);
        if done.is_err() || matches!(first, '?' | '!') {
            assert_eq!(after, before, "{line:?} changed something: {done:?}");
        }
        assert!(after.iter().all(|(name, value)| !name.ends_with("Secret") || value.is_empty()));
    }
    // Whatever it is now, all names can be read, and an Alias leads where its number leads.
    let (numbered, called) = (everything(&mut tree), read(&mut tree, "Device.", Naming::Aliases));
    assert_eq!(numbered.len(), called.len());
    for ((name, value), (called, same)) in numbered.into_iter().zip(called) {
        assert_eq!(read(&mut tree, &name, Naming::AsAsked), [(name.clone(), value.clone())]);
        assert_eq!(read(&mut tree, &called, Naming::AsAsked), [(called.clone(), value.clone())], "{name}");
        if name == "Device.Ref" && !value.is_empty() {
            // What it refers to is called by its Alias too.
            let number = |row: &str, tree: &mut Tree| tree.value(&format!("{row}.Alias"));
            assert_eq!(number(&value, &mut tree), number(&same, &mut tree), "{value} is called {same}");
        } else {
            assert_eq!(same, value, "{name} is called {called}");
        }
    }
    let _ = tree.end_session();
}

fn ask(tree: &mut Tree, name: &str) -> Result<(), Fault> {
    let names = [name.to_owned()];
    for naming in [Naming::AsAsked, Naming::Aliases] {
        let selection = tree.values(&names)?.named(naming);
        items(tree, selection);
        let selection = tree.attributes(&names)?.named(naming);
        items(tree, selection);
        for next_level in [false, true] {
            if let Ok(selection) = tree.names(name, next_level) {
                items(tree, selection.named(naming));
            }
        }
    }
    Ok(())
}

fn read(tree: &mut Tree, name: &str, naming: Naming) -> Vec<(String, String)> {
    tree.begin_rpc();
    let selection = tree.values(&[name.to_owned()]).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    items(tree, selection.named(naming))
}

fn everything(tree: &mut Tree) -> Vec<(String, String)> {
    read(tree, "Device.", Naming::AsAsked)
}

/// Path, and value where there is one.
fn items(tree: &mut Tree, mut selection: Selection) -> Vec<(String, String)> {
    let mut out = Vec::new();
    while tree.next(&mut selection, &mut |item| {
        out.push(match item {
            Item::Value { path, value, .. } => (path.to_owned(), value.to_owned()),
            Item::Name { path, .. } | Item::Attributes { path, .. } => (path.to_owned(), String::new()),
        });
    }) {}
    assert_eq!(out.len(), selection.count, "as many items as were announced");
    out
}
