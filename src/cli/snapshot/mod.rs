//! `cwmpd snapshot` and `cwmpd replay`: a router in a file. A snapshot reads the whole tree once, and keeps
//! whatever was read for it: files, folders, answers of ubus, and what the kernel says, in the form that the
//! agent reads below a `root`. Replayed, it is such a root.

mod gather;
mod masks;
mod replay;

pub(super) use replay::replay;

use super::{Exit, complain};
use crate::config::Config;
use crate::handlers::{self, Around, agent::AgentFacts, linux::identity};
use crate::model::builtin::builtin;
use crate::model::schema::Platform;
use crate::model::tree::Tree;
use crate::net::coding::Coding;
use crate::state::journal::Journal;
use crate::sys::file::Replacement;
use crate::sys::{tar, ubus};
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

/// What an archive says of the platform, below the root.
const PLATFORM: &str = ".cwmpd/platform";

/// What is asked of a replayed router.
pub(super) enum Question {
    Get(Vec<String>),
    Names(String, bool),
    Unpack(std::path::PathBuf),
}

/// The tree of a root, with nothing kept of it.
fn tree(root: &Path, platform: Platform, ubus: ubus::Place) -> Tree {
    let facts = AgentFacts { identity: identity::resolve(root), ..AgentFacts::default() };
    let around = Around { platform, ubus, run_dir: None };
    let handlers = handlers::all(around, Rc::new(RefCell::new(facts)));
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (mut tree, notes) = Tree::open(builtin(), platform, root.to_owned(), journal, handlers);
    notes.iter().for_each(|note| complain(note));
    tree.begin_rpc();
    tree
}

/// Makes the file: an archive, compressed, that only its owner reads.
pub(super) fn snapshot(config: &Path, file: &Path, out: &mut impl Write) -> io::Result<Exit> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return Ok(Exit::Configuration);
        }
    };
    let gathered = gather::gather(&config);
    gathered.warnings.iter().for_each(|warning| complain(warning));
    match write(file, &gathered) {
        Ok(()) => {
            let (files, answers, masked) = (gathered.entries.len(), gathered.answers, gathered.masked);
            writeln!(out, "{files} files, {answers} of them answers of ubus; {masked} secrets masked")?;
            Ok(Exit::Ok)
        }
        Err(e) => {
            complain(&format!("{}: {e}", file.display()));
            Ok(Exit::Fault)
        }
    }
}

fn write(file: &Path, gathered: &gather::Gathered) -> io::Result<()> {
    let mut archive = Vec::new();
    for (path, body) in &gathered.entries {
        let kind = match body {
            gather::Body::File(bytes) => tar::Kind::File(bytes),
            gather::Body::Folder => tar::Kind::Folder,
            gather::Body::Link(target) => tar::Kind::Link(target),
        };
        let modified = gathered.times.get(path).copied().unwrap_or(gathered.now);
        match tar::write(&mut archive, &tar::Entry { path: path.clone(), kind, modified }) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => complain(&format!("left out: {path}: {e}")),
            done => done?,
        }
    }
    tar::finish(&mut archive)?;
    let mut file = Replacement::create(file, 0o600)?;
    io::copy(&mut Coding::Gzip.compressing(archive.as_slice()), &mut file)?;
    file.commit().map(drop)
}
