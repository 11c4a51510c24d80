//! Changes: what a row's change means for packages, and the way of edits to the files.
//!
//! # The way of a change
//! `stage` keeps what puts the packages back. `commit` only gathers edits; when all changes of a transaction
//! are gathered, [`Sources::write`] writes each package once. What fails then is taken back by the tree, which
//! calls `undo` for every change. Services take over what was written when the session has ended, each package
//! told of once. Until then a file in the run folder names the packages, so that a start after a crash tells
//! of them; after a boot nobody has to be told.

use super::fitting;
use super::sources::Sources;
use crate::model::fault::Code;
use crate::model::handler::{Ctx, Failure};
use crate::sys::sorted::SortedSet;
use crate::sys::ubus::Answer;
use crate::sys::uci::{self, Cause, Edit, Held, Package, Problem};
use std::fs;
use std::path::PathBuf;

/// Edits by package, in their order.
pub type Plan = Vec<(String, Edit)>;

/// The most packages that wait to be told of.
const MAX_WAITING: usize = 64;
/// The file in the run folder that names the packages which services have not taken over.
const MARKER: &str = "reload";

/// What waits.
pub(super) struct Writes {
    /// Edits that were given to commit, by package.
    gathered: Vec<(String, Vec<Edit>)>,
    /// Packages that were written and that services do not know of.
    waiting: SortedSet<String>,
    marker: Option<PathBuf>,
    /// Names of sections that are to be made: package, name, table.
    given: Vec<(String, String, u16)>,
}

impl Writes {
    /// Finds what the last process left.
    pub fn new(run_dir: Option<PathBuf>) -> Writes {
        let marker = run_dir.map(|dir| dir.join(MARKER));
        let left = marker.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let waiting = left.lines().filter(|l| is_package(l)).take(MAX_WAITING).map(str::to_owned).collect();
        Writes { gathered: Vec::new(), waiting, marker, given: Vec::new() }
    }

    /// Keeps the marker as the set is.
    fn mark(&self) {
        let Some(path) = &self.marker else { return };
        let text: Vec<&str> = self.waiting.iter().map(String::as_str).collect();
        let done = match text.is_empty() {
            true => fs::remove_file(path),
            false => fs::write(path, text.join("\n")),
        };
        if let Err(error) = done
            && !text.is_empty()
        {
            log::warn!("{}: {error}", path.display());
        }
    }
}

/// A package is a file of this name, and nothing that leads elsewhere.
fn is_package(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What a problem is to the ACS.
fn failure(problem: &Problem) -> Failure {
    let code = match problem.cause {
        Cause::Value => Code::INVALID_VALUE,
        Cause::Pending => Code::REQUEST_DENIED,
        _ => Code::INTERNAL_ERROR,
    };
    Failure { code, text: problem.to_string() }
}

/// Edits by package.
fn by_package(plan: &[(String, Edit)]) -> Vec<(&str, Vec<Edit>)> {
    let mut all: Vec<(&str, Vec<Edit>)> = Vec::new();
    for (package, edit) in plan {
        match all.iter_mut().find(|p| p.0 == package) {
            Some((_, edits)) => edits.push(edit.clone()),
            None => all.push((package, vec![edit.clone()])),
        }
    }
    all
}

/// Whether an edit changes anything of a package.
fn changes(package: &Package, edit: &Edit) -> bool {
    let Some(section) = package.section(edit.section()) else {
        return !matches!(edit, Edit::Drop { .. });
    };
    let held = edit.option().and_then(|option| section.held(option));
    match edit {
        Edit::Set { value, .. } if value.is_empty() => held.is_some(),
        Edit::Set { value, .. } => !matches!(held, Some(Held::One(one)) if one == value),
        Edit::Unset { .. } => held.is_some(),
        Edit::List { items, .. } if items.is_empty() => held.is_some(),
        Edit::List { items, .. } => !matches!(held, Some(Held::Many(many)) if many == items),
        Edit::AddItem { option, item, .. } => !section.words(option).contains(&item.as_str()),
        Edit::RemoveItem { option, item, .. } => section.words(option).contains(&item.as_str()),
        Edit::Make { .. } => false,
        Edit::Drop { .. } => true,
    }
}

impl Sources {
    fn writable(&mut self, ctx: &Ctx<'_>, name: &str) -> Result<std::rc::Rc<Package>, Failure> {
        match is_package(name) {
            true => self.package(ctx, name)?.ok_or_else(|| {
                let text = format!("{} is not there: what it is for is not installed", uci::path(name));
                Failure { code: Code::REQUEST_DENIED, text }
            }),
            false => Err(Failure::internal(format!("`{name}` is no package"))),
        }
    }

    /// Whether the packages of a plan are there and can be edited so. No effect.
    ///
    /// # Errors
    /// What is in the way.
    pub fn judge(&mut self, ctx: &Ctx<'_>, plan: &[(String, Edit)]) -> Result<(), Failure> {
        for (name, edits) in by_package(plan) {
            let package = self.writable(ctx, name)?;
            fitting::judge(self, ctx, name, edits.iter())?;
            uci::judge(&package, &edits).map_err(|problem| failure(&problem))?;
        }
        Ok(())
    }

    /// What puts back what a plan does: for each package its name and bytes of [`uci::undo_of`], each behind
    /// its length.
    ///
    /// # Errors
    /// A package is not there or cannot be read; 9007 for a value that may not be written.
    pub fn stage(&mut self, ctx: &Ctx<'_>, plan: &[(String, Edit)]) -> Result<Vec<u8>, Failure> {
        self.writes.gathered.clear();
        let mut saved = Vec::new();
        for (name, edits) in by_package(plan) {
            let package = self.writable(ctx, name)?;
            fitting::judge(self, ctx, name, edits.iter())?;
            for bytes in [name.as_bytes(), &uci::undo_of(&package, &edits)] {
                saved.extend((bytes.len() as u32).to_le_bytes());
                saved.extend(bytes);
            }
        }
        Ok(saved)
    }

    /// Takes a name for a section that a table is going to make; `false` when another table has.
    pub fn give(&mut self, package: &str, name: &str, table: u16) -> bool {
        let given = &mut self.writes.given;
        if let Some(known) = given.iter().find(|g| g.0 == package && g.1 == name) {
            return known.2 == table;
        }
        given.push((package.to_owned(), name.to_owned(), table));
        true
    }

    /// Takes edits that are to be written with others of the transaction.
    pub fn gather(&mut self, plan: Plan) {
        for (package, edit) in plan {
            match self.writes.gathered.iter_mut().find(|p| p.0 == package) {
                Some((_, edits)) => edits.push(edit),
                None => self.writes.gathered.push((package, vec![edit])),
            }
        }
    }

    /// Whether a section will be there when what is gathered is written.
    pub fn is_gathered(&self, package: &str, section: &str) -> bool {
        let mut edits = self.writes.gathered.iter().filter(|p| p.0 == package).flat_map(|p| &p.1);
        edits.any(|edit| matches!(edit, Edit::Make { name, .. } if name == section))
    }

    /// Writes what was gathered, each package once. Edits that change nothing are left out, and so are
    /// packages without any others.
    ///
    /// # Errors
    /// A package could not be written: those before it are, and the tree takes them back.
    pub fn write(&mut self, ctx: &Ctx<'_>) -> Result<(), Failure> {
        let gathered = std::mem::take(&mut self.writes.gathered);
        let mut all = Vec::new();
        for (name, edits) in gathered {
            let package = self.writable(ctx, &name)?;
            if edits.iter().any(|edit| changes(&package, edit)) {
                all.push((name, edits));
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        // Noted first: a crash behind the write is to find it.
        self.writes.waiting.extend(all.iter().map(|(name, _)| name.clone()));
        self.writes.mark();
        self.forget();
        let all: Vec<(&str, &[Edit])> = all.iter().map(|(name, edits)| (name.as_str(), &edits[..])).collect();
        uci::commit_all(ctx.root, &all).map_err(|problem| failure(&problem))
    }

    /// Puts back what [`Sources::stage`] saved.
    ///
    /// # Errors
    /// A package could not be put back; the others are.
    pub fn undo(&mut self, ctx: &Ctx<'_>, saved: &[u8]) -> Result<(), Failure> {
        self.writes.gathered.clear();
        let mut rest = saved;
        let mut failed = None;
        while !rest.is_empty() {
            let (Some(name), Some(bytes)) = (take(&mut rest), take(&mut rest)) else {
                return Err(Failure::internal("what was saved is damaged"));
            };
            let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_package(name)) else {
                return Err(Failure::internal("what was saved is damaged"));
            };
            self.writes.waiting.insert(name.to_owned());
            self.writes.mark();
            let done = uci::revert(ctx.root, name, bytes);
            failed = failed.or(done.err().map(|problem| failure(&problem)));
        }
        self.forget();
        failed.map_or(Ok(()), Err)
    }

    /// Whether services have yet to take something over.
    pub fn waits(&self) -> bool {
        !self.writes.waiting.is_empty()
    }

    /// Tells services of the packages that were written, once a package, and gives back what reading took.
    pub fn session_ended(&mut self, _: &Ctx<'_>) {
        self.forget();
        self.writes.gathered = Vec::new();
        self.writes.given = Vec::new();
        if self.writes.waiting.is_empty() {
            return;
        }
        let mut failed = None;
        for name in std::mem::take(&mut self.writes.waiting) {
            // As `reload_config` does it; procd starts what has asked to hear of the package.
            let event = format!(r#"{{"type":"config.change","data":{{"package":"{name}"}}}}"#);
            let told = Answer::from_json(&event).and_then(|event| self.call("service", "event", &event));
            if let Err(problem) = told {
                log::error!("services are not told that {name} changed: {problem}");
                failed = Some(format!("services are not told of changes: {problem}"));
                self.writes.waiting.insert(name);
            }
        }
        self.note("ubus service", failed.as_deref());
        self.writes.mark();
    }
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = from.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *from = rest;
    Some(bytes)
}
