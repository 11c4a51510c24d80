//! The tree: schema, handlers, instances and journal put together. One owner (the engine), no locks.
//!
//! What it is asked lies in the files beside this one: names (`resolve`), instances (`index`), rows
//! (`rows`), answers (`cursor`), changes (`transaction`), attributes and notification (`attributes`,
//! `watched`, `sweep`, `bells`).

use super::alias::Aliases;
use super::attributes::general;
use super::create::Created;
use super::cursor::{MAX_NAMES, Pins, What};
use super::fault::{Code, Fault};
use super::handler::{Ctx, Handler};
use super::index::{Index, MAX_INDEX_BYTES};
use super::intent::Planned;
use super::resolve::Target;
use super::rows::Buffers;
use super::schema::{ObjectId, ParamId, Platform, Schema, SourceKind, flag};
use super::served::{Numbers, Served};
use super::sweep::Watch;
use super::trial::{Record, State};
use crate::state::journal::{Batch, Journal, MAX_VALUE};
use crate::sys::sorted::SortedMap;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

pub use super::bells::Bells;
pub use super::cursor::Selection;
pub use super::cursor::shown::Naming;
pub use super::sweep::SALT;

/// No row is added and no value is set that would make the journal larger than this, in bytes: it
/// stands in memory too.
pub const MAX_KEPT: u64 = 4 << 20;

/// Whether a change is in force: 0 applied, 1 promised for the end of the session (R-SPV-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Everything is applied.
    Applied = 0,
    /// Committed, and applied when the session has ended.
    AtSessionEnd = 1,
}

/// Who changes the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer<'a> {
    /// The ACS, with the ParameterKey it gave: not a change to notify (I-9).
    Acs {
        /// At most 32 characters, may be empty (R-GEN-6).
        parameter_key: &'a str,
    },
    /// Somebody else (command line, LAN): a change to notify; access lists apply (R-SPA-12).
    Local,
}

/// The agent's handlers: which serves a source.
pub struct Handlers {
    /// By kind, for everything but native (`File`, `Exec`, `Expression`).
    pub by_kind: Vec<(SourceKind, Box<dyn Handler>)>,
    /// By provider name (`handlers::natives::NAMES`).
    pub natives: Vec<(&'static str, Box<dyn Handler>)>,
}

/// One thing that a selection yields.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Item<'a> {
    /// For GetParameterValues.
    Value {
        /// Full path.
        path: &'a str,
        /// `xsd:string` …
        xsi_type: &'static str,
        /// In canonical form; empty for a hidden parameter.
        value: &'a str,
    },
    /// For GetParameterNames.
    Name {
        /// Full path; an object's ends with a dot.
        path: &'a str,
        /// R-GPN-6.
        writable: bool,
    },
    /// For GetParameterAttributes.
    Attributes {
        /// Full path.
        path: &'a str,
        /// 0 to 6.
        notification: u8,
        /// Whether `Subscriber` may write.
        subscriber: bool,
    },
}

/// The tree.
pub struct Tree {
    pub(super) served: Served,
    pub(super) root: PathBuf,
    pub(super) journal: Rc<RefCell<Journal>>,
    pub(super) handlers: Vec<Box<dyn Handler>>,
    pub(super) index: Index,
    pub(super) buffers: Buffers,
    pub(super) aliases: Aliases,
    pub(super) created: Created,
    /// Changes with each RPC; see [`Ctx::epoch`].
    pub(super) epoch: u32,
    /// Which session is under way; 0 outside one.
    pub(super) session: u32,
    sessions: u32,
    /// GetParameterNames is walking: what it touches is read anew.
    pub(super) refreshing: bool,
    /// Answers under way; see [`Selection`].
    pub(super) pins: Rc<Pins>,
    /// Changes answered with Status 1, by transaction.
    pub(super) promised: Vec<Vec<Planned>>,
    /// What they will make of the values.
    pub(super) overlay: SortedMap<(ParamId, Numbers), String>,
    /// Whether transactions that touch what carries the session go on trial.
    pub(super) trials: bool,
    /// The session under way may have been asked by what was before the trial.
    pub(super) confirms_nothing: bool,
    /// What is on trial.
    pub(super) trial: Option<Record>,
    pub(super) watch: Watch,
    /// What could not be put back after a change had failed.
    pub(super) troubles: Vec<String>,
    /// The parameters of every Inform.
    forced: Vec<(ObjectId, ParamId)>,
    pub(super) judge: Judge,
    pub(super) together: super::together::Together,
}

/// Judges what a parameter is to be set to beyond its type: its path with `{i}`, the value. The reason
/// makes a fault 9007.
pub type Judge = Rc<dyn Fn(&mut Tree, &str, &str) -> Result<(), String>>;

impl Tree {
    /// Opens the tree and puts right what the last process left: a transaction without its "done" is
    /// undone, promised changes are committed. The notes say what was done, for the log.
    pub fn open(
        schema: Schema,
        platform: Platform,
        root: PathBuf,
        journal: Rc<RefCell<Journal>>,
        handlers: Handlers,
    ) -> (Tree, Vec<String>) {
        let (served, handlers, mut notes) = Served::new(schema, platform, handlers);
        let forced = served.marked(flag::FORCED_INFORM);
        let watch = Watch::new(&served);
        let mut tree = Tree {
            served,
            root,
            journal,
            handlers,
            index: Index::default(),
            buffers: Buffers::default(),
            aliases: Aliases::default(),
            created: Created::default(),
            epoch: 1,
            session: 0,
            sessions: 0,
            refreshing: false,
            pins: Rc::default(),
            promised: Vec::new(),
            overlay: SortedMap::new(),
            trials: false,
            confirms_nothing: false,
            trial: None,
            watch,
            troubles: Vec::new(),
            forced,
            judge: Rc::new(|_, _, _| Ok(())),
            together: Rc::new(|_, _, _| Ok(())),
        };
        tree.forget_volatile();
        tree.recover(&mut notes);
        (tree, notes)
    }

    /// Rows of volatile tables have new numbers with each start: what was kept by the old ones (an
    /// Alias, a stored value) would be another row's now.
    fn forget_volatile(&mut self) {
        let mut batch = Batch::default();
        for kind in ["v/", "l/", "a/", "i/"] {
            for (key, _) in self.journal.borrow().scan(kind) {
                let path = key.get(2..).unwrap_or("");
                // A table without its instance is the object of its instances.
                let object = path.rfind('.').and_then(|dot| path.get(..=dot)).map(general);
                let object = object.and_then(|o| {
                    let schema = &self.served.schema;
                    schema.find_object(&o).or_else(|| schema.find_object(&format!("{o}{{i}}.")))
                });
                if object.is_some_and(|o| self.served.is_volatile(o.id)) {
                    batch.delete(key);
                }
            }
        }
        self.write(batch);
    }

    /// The schema in force.
    pub fn schema(&self) -> &Schema {
        &self.served.schema
    }

    /// The platform in force.
    pub fn platform(&self) -> Platform {
        self.served.platform
    }

    /// Bytes that the instance index holds, the numbers of volatile tables included; an estimate.
    pub fn index_bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Has values judged by who gives them their meaning.
    pub fn judge_with(&mut self, judge: impl Fn(&mut Tree, &str, &str) -> Result<(), String> + 'static) {
        self.judge = Rc::new(judge);
    }

    /// A new RPC: sources are read afresh.
    pub fn begin_rpc(&mut self) {
        self.new_epoch();
        if !self.pins.any() && self.index.bytes() > MAX_INDEX_BYTES {
            self.index.clear();
        }
    }

    /// What handlers kept from here on is stale.
    pub(super) fn new_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.pins.new_epoch(self.epoch);
    }

    /// A session begins: instances are fixed at first touch from now on.
    pub fn begin_session(&mut self) {
        self.sessions = self.sessions.wrapping_add(1).max(1);
        self.session = self.sessions;
        self.new_epoch();
        self.index.trim();
        if !self.pins.any() {
            self.index.clear();
        }
    }

    /// The session has ended, in whatever way: promised changes are committed, services reloaded.
    /// The notes say what failed.
    pub fn end_session(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        (self.session, self.confirms_nothing) = (0, false);
        self.keep_promises(false, &mut notes);
        self.begin_trial(&mut notes);
        self.reload_services();
        self.new_epoch();
        if !self.pins.any() {
            self.index.clear();
        }
        notes
    }

    /// Lets services take over what was committed.
    pub(super) fn reload_services(&mut self) {
        let ctx = Ctx { epoch: self.epoch, root: &self.root };
        for handler in &mut self.handlers {
            handler.session_ended(&ctx);
        }
    }

    /// What could not be put back since this was asked last: the device is not as anybody wanted it, and
    /// `status` has to say so.
    pub fn take_troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.troubles)
    }

    /// Whether changes wait for the end of the session.
    pub fn has_promised(&self) -> bool {
        let waits = |t: &Record| t.groups.iter().any(|g| g.state == State::Promised);
        !self.promised.is_empty() || self.trial.as_ref().is_some_and(waits)
    }

    /// GetParameterValues: full names, partial paths, wildcards (R-GPV-1 to 6). Every name is
    /// answered in its turn; one that is asked twice is answered twice.
    ///
    /// # Errors
    /// 9005 for an unknown name, 9003 without any name, 9004 for too many.
    pub fn values(&mut self, names: &[String]) -> Result<Selection, Fault> {
        self.select(What::Values, names)
    }

    /// GetParameterAttributes.
    ///
    /// # Errors
    /// As [`Tree::values`].
    pub fn attributes(&mut self, names: &[String]) -> Result<Selection, Fault> {
        self.select(What::Attributes, names)
    }

    fn select(&mut self, what: What, names: &[String]) -> Result<Selection, Fault> {
        if names.is_empty() {
            return Err(Fault::new(Code::INVALID_ARGUMENTS, "ParameterNames is empty"));
        }
        if names.len() > MAX_NAMES {
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, format!("more than {MAX_NAMES} names")));
        }
        let mut selection = Selection::new(what, self.pins.clone());
        for name in names {
            let target = self.resolve(name, true)?;
            selection.push(&target, self.served.tables(target.object).len());
        }
        selection.count(self)
    }

    /// GetParameterNames (R-GPN-1 to 9); refreshes the instances it lists. An instance that the path
    /// itself names stays as it was listed before: who walks a table of processes one by one is not
    /// told on the way that some have gone.
    ///
    /// # Errors
    /// 9005 for an unknown path, 9003 for a parameter with `next_level`.
    pub fn names(&mut self, path: &str, next_level: bool) -> Result<Selection, Fault> {
        let known = self.resolve(path, true);
        if known.is_err() {
            // Perhaps an instance that came meanwhile.
            self.new_epoch();
        }
        self.refreshing = true;
        let answer =
            known.or_else(|_| self.resolve(path, true)).and_then(|t| self.select_names(path, &t, next_level));
        self.refreshing = false;
        answer
    }

    fn select_names(&mut self, path: &str, target: &Target, next_level: bool) -> Result<Selection, Fault> {
        let what = match next_level {
            false => What::Names,
            true if path.is_empty() => What::Root,
            true if target.param.is_some() => {
                return Err(Fault::new(Code::INVALID_ARGUMENTS, format!("{path}: NextLevel of a parameter")));
            }
            true => What::NextLevel,
        };
        let mut selection = Selection::new(what, self.pins.clone());
        selection.push(target, self.served.tables(target.object).len());
        selection.count(self)
    }

    /// Renders the next row of a selection; `false` when there was none left.
    pub fn next(&mut self, selection: &mut Selection, out: &mut dyn FnMut(Item<'_>)) -> bool {
        let more = selection.next(self, out);
        // References may have touched a table for the first time.
        self.flush_numbers();
        more
    }

    /// One value for the agent's own use, hidden ones included; `None` when there is no such
    /// parameter now.
    pub fn value(&mut self, path: &str) -> Option<String> {
        let target = self.resolve(path, false).ok()?;
        let place = self.locate(target.object, &target.numbers)?;
        let value = self.read(target.object, &place, &[target.param?], true).pop();
        self.flush_numbers();
        value
    }

    /// Sets `store` parameters for the agent's own use (first values, ProvisioningCode …): durable,
    /// checked, access ignored; not a change by the ACS.
    ///
    /// # Errors
    /// 9005 for what is no `store` parameter, 9006 or 9007 for a bad value; nothing is stored then.
    pub fn store(&mut self, values: &[(&str, &str)]) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (path, value) in values {
            let target = self.resolve(path, false)?;
            let stored = |id: &ParamId| self.served.source(*id).is_some_and(|s| s.kind == SourceKind::Store);
            let Some(param) = target.param.filter(stored) else {
                return Err(Fault::new(Code::INVALID_NAME, format!("{path} is not stored")));
            };
            let value = self
                .check_value(param, value)
                .map_err(|(code, why)| Fault::new(code, format!("{path}: {why}")))?;
            batch.put(format!("v/{}", self.param_path(target.object, &target.numbers, param)), value);
        }
        self.write(batch);
        self.new_epoch();
        Ok(())
    }

    /// The full paths of the parameters in every Inform that exist here (I-3).
    pub fn forced_inform(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        for (object, param) in self.forced.clone() {
            // Nothing that lies in a table is in every Inform.
            if self.served.tables(object).is_empty() {
                paths.push(self.param_path(object, &[0; _], param));
            }
        }
        paths
    }

    /// The journal was emptied (factory reset): everything that was known from it, or promised, is
    /// forgotten, and instance numbers begin anew.
    pub fn forget(&mut self) {
        self.promised.clear();
        self.overlay.clear();
        self.trial = None;
        self.index = Index::default();
        self.watch = Watch::new(&self.served);
        self.new_epoch();
    }

    /// Whether the journal has room for so many bytes more, in one change.
    ///
    /// # Errors
    /// 9004.
    pub(super) fn check_room(&self, more: usize) -> Result<(), Fault> {
        let full = self.journal.borrow().size().saturating_add(more as u64) > MAX_KEPT;
        if more > MAX_VALUE || (more > 0 && full) {
            let why = "there is no room to keep it";
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
        }
        Ok(())
    }

    /// Makes a batch durable that somebody is promised, or leaves everything as it was (R-SPV-27,
    /// R-GEN-5).
    ///
    /// # Errors
    /// 9002: it is not on disk.
    pub(super) fn keep(&self, batch: Batch) -> Result<(), Fault> {
        self.journal.borrow_mut().promise(batch).map_err(|error| {
            log::error!("a change is refused, since it cannot be kept: {error}");
            Fault::new(Code::INTERNAL_ERROR, "the change cannot be written to stable storage")
        })
    }

    /// Makes a batch durable. The journal goes on in memory when it cannot be written, and says so in
    /// its health: that is no reason to stop.
    pub(super) fn write(&self, batch: Batch) {
        if let Err(error) = self.journal.borrow_mut().commit(batch) {
            log::error!("the journal cannot be written, going on in memory: {error}");
        }
    }
}
