//! A router in a folder, and the tree that it makes.

use cwmpd::handlers::{self, Around, agent::AgentFacts, linux::identity};
use cwmpd::model::builtin::builtin;
use cwmpd::model::schema::Platform;
use cwmpd::model::tree::{Item, Tree};
use cwmpd::state::journal::Journal;
use cwmpd::sys::ubus;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What follows the wall clock or the machine that the test runs on: general path, and why.
pub const MASKS: &[(&str, &str)] = &[];

/// Where the routers are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routers")
}

/// Their names, in order.
pub fn routers() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("tests/routers").flatten();
    let routers = entries.filter(|e| e.path().join("etc").is_dir());
    let mut names: Vec<String> = routers.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A path with `{i}` for its instance numbers.
pub fn general(path: &str) -> String {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let words: Vec<&str> = path.split('.').map(|w| if is_number(w) { "{i}" } else { w }).collect();
    words.join(".")
}

/// A router and its tree.
pub struct Router {
    /// The tree, opened for the first time.
    pub tree: Tree,
}

impl Router {
    /// One of `tests/routers`.
    pub fn of(name: &str) -> Router {
        Router::at(&folder().join(name), None)
    }

    /// The router below a root; what is to outlive a restart goes into the run folder.
    pub fn at(root: &Path, run_dir: Option<PathBuf>) -> Router {
        Router::on(Platform::OpenWrt, root, run_dir)
    }

    /// The same on a platform.
    pub fn on(platform: Platform, root: &Path, run_dir: Option<PathBuf>) -> Router {
        let place = ubus::Place::Recorded(root.to_owned());
        let around = Around { platform, ubus: place, run_dir };
        let facts = AgentFacts { identity: identity::resolve(root), ..AgentFacts::default() };
        let handlers = handlers::all(around, Rc::new(RefCell::new(facts)));
        let journal = Rc::new(RefCell::new(Journal::in_memory()));
        let (tree, notes) = Tree::open(builtin(), platform, root.to_owned(), journal, handlers);
        assert!(notes.iter().all(|n| !n.contains("nobody serves")), "{notes:?}");
        Router { tree }
    }

    /// Every value, in the tree's order.
    pub fn values(&mut self) -> Vec<(String, String)> {
        self.below("Device.").expect("Device. is there")
    }

    /// Every value below a path.
    pub fn below(&mut self, path: &str) -> Result<Vec<(String, String)>, String> {
        self.tree.begin_rpc();
        let mut selection = self.tree.values(&[path.to_owned()]).map_err(|fault| fault.to_string())?;
        let mut out = Vec::new();
        while self.tree.next(&mut selection, &mut |item| {
            if let Item::Value { path, value, .. } = item {
                out.push((path.to_owned(), value.to_owned()));
            }
        }) {}
        Ok(out)
    }
}
