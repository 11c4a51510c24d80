//! Rows of UCI and ubus through the whole tree, on a router in a folder.

mod failing;
mod filters;
mod fitting;
mod reading;
mod uplink;
mod writing;

use crate::handlers::agent::AgentFacts;
use crate::handlers::openwrt::rows::Rows;
use crate::handlers::openwrt::sources::{Shared, Sources};
use crate::handlers::probe::Folder;
use crate::model::fault::Fault;
use crate::model::grammar::schema_from;
use crate::model::request::ParameterValue;
use crate::model::schema::{Platform, SourceKind};
use crate::model::tree::{Handlers, Item, Status, Tree, Writer};
use crate::state::journal::Journal;
use crate::sys::ubus;
use std::cell::RefCell;
use std::rc::Rc;

const ACS: Writer<'_> = Writer::Acs { parameter_key: "" };

struct Bench {
    root: Folder,
    rows: String,
    journal: Rc<RefCell<Journal>>,
    facts: Rc<RefCell<AgentFacts>>,
    sources: Shared,
    tree: Tree,
}

impl Bench {
    fn new(rows: &str, files: &[(&str, &str)]) -> Bench {
        let root = Folder::new();
        root.file("run/cwmpd/none", "");
        files.iter().for_each(|(path, text)| root.file(path, text));
        Bench::open(root, rows.to_owned(), Rc::new(RefCell::new(Journal::in_memory())))
    }

    fn open(root: Folder, rows: String, journal: Rc<RefCell<Journal>>) -> Bench {
        let schema = schema_from(&[("rows.toml", &rows)], &[]).unwrap_or_else(|p| panic!("{}", p[0]));
        let facts = Rc::default();
        let place = ubus::Place::Recorded(root.root().to_owned());
        let sources = Sources::new(Some(place), Some(root.root().join("run/cwmpd")), Rc::clone(&facts));
        let handlers = Handlers {
            by_kind: vec![(SourceKind::Expression, Box::new(Rows(Rc::clone(&sources))))],
            natives: Vec::new(),
        };
        let (tree, notes) =
            Tree::open(schema, Platform::OpenWrt, root.root().to_owned(), journal.clone(), handlers);
        assert!(notes.iter().all(|n| !n.contains("nobody serves")), "{notes:?}");
        Bench { root, rows, journal, facts, sources, tree }
    }

    /// Another process.
    fn restart(self) -> Bench {
        Bench::open(self.root, self.rows, self.journal)
    }

    /// The values below a path, without the path.
    fn values(&mut self, path: &str) -> Vec<(String, String)> {
        self.tree.begin_rpc();
        let mut out = Vec::new();
        let Ok(mut selection) = self.tree.values(&[path.to_owned()]) else { return out };
        while self.tree.next(&mut selection, &mut |item| {
            if let Item::Value { path: name, value, .. } = item {
                out.push((name.strip_prefix(path).unwrap_or(name).to_owned(), value.to_owned()));
            }
        }) {}
        out
    }

    fn value(&mut self, path: &str) -> String {
        self.tree.begin_rpc();
        self.tree.value(path).unwrap_or_else(|| panic!("{path} is not there"))
    }

    fn set(&mut self, values: &[(&str, &str)]) -> Result<Status, Fault> {
        self.set_as(values, ACS)
    }

    fn set_as(&mut self, values: &[(&str, &str)], writer: Writer<'_>) -> Result<Status, Fault> {
        self.tree.begin_rpc();
        let list: Vec<ParameterValue> = values
            .iter()
            .map(|(name, value)| ParameterValue {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
                xsi_type: None,
            })
            .collect();
        self.tree.set_creating(&list, writer)
    }

    /// From now on a package can be read and not written: where its link leads to, its name is so long that
    /// no other beside it can be longer.
    fn bar(&self, package: &str) {
        let (folder, long) = (self.root.root().join("etc"), "x".repeat(250));
        std::fs::rename(folder.join("config").join(package), folder.join(&long)).unwrap();
        std::os::unix::fs::symlink(format!("../{long}"), folder.join("config").join(package)).unwrap();
    }

    fn unbar(&self, package: &str) {
        let folder = self.root.root().join("etc");
        std::fs::rename(folder.join("x".repeat(250)), folder.join("config").join(package)).unwrap();
    }

    fn config(&self, package: &str) -> String {
        self.root.text(&format!("etc/config/{package}"))
    }
}

/// The code of the first bad parameter, or of the fault.
fn code(result: Result<Status, Fault>) -> u16 {
    let fault = result.expect_err("a fault");
    fault.parameters.first().map_or(fault.code.0, |p| p.code.0)
}
