//! The system's subjects over the recorded routers, and their changes with the files before and after.

use crate::handlers::{Around, all};
use crate::model::builtin::builtin;
use crate::model::schema::Platform;
use crate::model::tree::{Item, Tree};
use crate::state::journal::Journal;
use crate::sys::ubus;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One of the recorded routers.
fn router(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routers").join(name)
}

fn tree(root: &Path) -> Tree {
    let around =
        Around { platform: Platform::OpenWrt, ubus: ubus::Place::Recorded(root.into()), run_dir: None };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = all(around, Rc::default());
    let (tree, _) = Tree::open(builtin(), Platform::OpenWrt, root.to_owned(), journal, handlers);
    tree
}

fn values(tree: &mut Tree) -> BTreeMap<String, String> {
    tree.begin_rpc();
    let mut selection = tree.values(&["Device.".to_owned()]).unwrap();
    let mut out = BTreeMap::new();
    while tree.next(&mut selection, &mut |item| {
        if let Item::Value { path, value, .. } = item {
            out.insert(path.to_owned(), value.to_owned());
        }
    }) {}
    out
}

#[test]
fn dump() {
    for name in ["dsa", "dsl", "lte"] {
        let v = values(&mut tree(&router(name)));
        let text: String = v.iter().map(|(p, v)| format!("{p}={v}\n")).collect();
        std::fs::write(format!("/tmp/sysfix/{name}.dump"), text).unwrap();
    }
}

#[test]
fn dump_linux() {
    let root = crate::handlers::probe::Folder::new();
    let around = Around { platform: Platform::Linux, ubus: ubus::Place::Recorded(root.root().into()), run_dir: None };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = all(around, Rc::default());
    let (mut tree, _) = Tree::open(builtin(), Platform::Linux, root.root().to_owned(), journal, handlers);
    let text: String = values(&mut tree).iter().map(|(p, v)| format!("{p}={v}\n")).collect();
    std::fs::write("/tmp/sysfix/linux.dump", text).unwrap();
}
