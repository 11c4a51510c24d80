//! `cwmpd snapshot` and `cwmpd replay`: a router in a file. A snapshot reads the whole tree once, and keeps
//! whatever was read for it: files, folders, answers of ubus, and what the kernel says, in the form that the
//! agent reads below a `root`. Replayed, it is such a root.

mod gather;
mod masks;
mod replay;

use replay::MAX_ARCHIVE;
pub(super) use replay::{Access, replay};

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
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What an archive says of the platform, below the root.
const PLATFORM: &str = ".cwmpd/platform";

/// What is asked of a replayed router.
pub(super) enum Question {
    Get(Vec<String>),
    Names(String, bool),
    Unpack(PathBuf),
    /// The daemon on it, with this ACS.
    Run(Access),
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
    let (files, answers, masked) = (gathered.entries.len(), gathered.answers, gathered.masked);
    match write(file, gathered) {
        Ok(()) => {
            writeln!(out, "{files} files, {answers} of them answers of ubus; {masked} secrets masked")?;
            Ok(Exit::Ok)
        }
        Err(e) => {
            complain(&format!("{}: {e}", file.display()));
            Ok(Exit::Fault)
        }
    }
}

fn write(file: &Path, gathered: gather::Gathered) -> io::Result<()> {
    let mut file = Replacement::create(file, 0o600)?;
    let archive = Archive { gathered, piece: Vec::new(), at: 0, written: 0, ended: false };
    io::copy(&mut Coding::Gzip.compressing(archive), &mut file)?;
    file.commit().map(drop)
}

/// The archive, made while it is read: one entry of it is in memory.
struct Archive {
    gathered: gather::Gathered,
    piece: Vec<u8>,
    at: usize,
    written: usize,
    ended: bool,
}

impl Archive {
    fn next(&mut self) -> io::Result<()> {
        self.piece.clear();
        self.at = 0;
        let Some((path, body)) = self.gathered.entries.pop_first() else {
            self.ended = true;
            return tar::finish(&mut self.piece);
        };
        let zeros;
        let kind = match &body {
            gather::Body::File(bytes) => tar::Kind::File(bytes),
            gather::Body::Size(size) => {
                zeros = vec![0; *size as usize];
                tar::Kind::File(&zeros)
            }
            gather::Body::Folder => tar::Kind::Folder,
            gather::Body::Link(target) => tar::Kind::Link(target),
        };
        let modified = self.gathered.times.get(&path).copied().unwrap_or(self.gathered.now);
        match tar::write(&mut self.piece, &tar::Entry { path: path.clone(), kind, modified }) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => complain(&format!("left out: {path}: {e}")),
            done => done?,
        }
        self.written += self.piece.len();
        if self.written > MAX_ARCHIVE - 4096 {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than a replay takes"));
        }
        Ok(())
    }
}

impl BufRead for Archive {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.piece.len() && !self.ended {
            self.next()?;
        }
        Ok(self.piece.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Archive {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(room)?;
        self.consume(amount);
        Ok(amount)
    }
}
