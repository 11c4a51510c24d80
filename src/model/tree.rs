//! The tree: schema, handlers, instances and journal put together. One owner (the engine), no locks.

use super::fault::Fault;
use super::handler::Handler;
use super::request::{ParameterValue, SetAttributes};
use super::schema::{Platform, Schema, SourceKind};
use crate::state::journal::Journal;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

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
    Acs { parameter_key: &'a str },
    /// Somebody else (command line, LAN): a change to notify; access lists apply (R-SPA-12).
    Local,
}

/// The agent's handlers: which serves a source.
pub struct Handlers {
    /// By kind, for everything but native (`File`, `Exec`, `Uci`, `Ubus`).
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

/// A description of an answer: what to walk, how many entries it has, how far the walk is. Owned
/// (it borrows nothing), so that it can wait while the socket is slow.
#[derive(Default)]
pub struct Selection {
    /// How many items it yields: known before the first is rendered (arrayType).
    pub count: usize,
}

impl Selection {
    /// Starts again from the first item (a challenge or a dead connection).
    pub fn rewind(&mut self) {
        todo!()
    }
}

/// What a sweep over the watched parameters found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Some parameter with passive or active notification differs from what was last reported.
    pub any: bool,
    /// One of them has active notification: a session is due.
    pub active: bool,
}

/// The tree.
pub struct Tree {}

impl Tree {
    /// Opens the tree and puts right what the last process left: a transaction without its "done" is
    /// undone, promised changes are committed. The notes say what was done, for the log.
    pub fn open(_schema: Schema, _platform: Platform, _root: PathBuf, _journal: Rc<RefCell<Journal>>, _handlers: Handlers) -> (Tree, Vec<String>) {
        todo!()
    }

    /// The schema in force.
    pub fn schema(&self) -> &Schema {
        todo!()
    }

    /// A new RPC: sources are read afresh.
    pub fn begin_rpc(&mut self) {}

    /// A session begins: instances are fixed at first touch from now on.
    pub fn begin_session(&mut self) {}

    /// The session has ended, in whatever way: promised changes are committed, services reloaded.
    /// The notes say what failed.
    pub fn end_session(&mut self) -> Vec<String> {
        todo!()
    }

    /// Whether changes wait for the end of the session.
    pub fn has_promised(&self) -> bool {
        todo!()
    }

    /// GetParameterValues: full names, partial paths, wildcards (R-GPV-1 to 6).
    pub fn values(&mut self, _names: &[String]) -> Result<Selection, Fault> {
        todo!()
    }

    /// GetParameterNames (R-GPN-1 to 9); refreshes the instances it touches.
    pub fn names(&mut self, _path: &str, _next_level: bool) -> Result<Selection, Fault> {
        todo!()
    }

    /// GetParameterAttributes.
    pub fn attributes(&mut self, _names: &[String]) -> Result<Selection, Fault> {
        todo!()
    }

    /// Renders the next row of a selection; `false` when there was none left.
    pub fn next(&mut self, _selection: &mut Selection, _out: &mut dyn FnMut(Item<'_>)) -> bool {
        todo!()
    }

    /// SetParameterValues as one transaction (R-SPV-*).
    pub fn set(&mut self, _list: &[ParameterValue], _writer: Writer<'_>) -> Result<Status, Fault> {
        todo!()
    }

    /// AddObject: the new instance number.
    pub fn add(&mut self, _object: &str, _writer: Writer<'_>) -> Result<(u32, Status), Fault> {
        todo!()
    }

    /// DeleteObject.
    pub fn delete(&mut self, _object: &str, _writer: Writer<'_>) -> Result<Status, Fault> {
        todo!()
    }

    /// SetParameterAttributes, all or none, durable before it returns.
    pub fn set_attributes(&mut self, _list: &[SetAttributes]) -> Result<(), Fault> {
        todo!()
    }

    /// One value for the agent's own use, hidden ones included; `None` when there is no such
    /// parameter now.
    pub fn value(&mut self, _path: &str) -> Option<String> {
        todo!()
    }

    /// Sets `store` parameters for the agent's own use (first values, ProvisioningCode …): durable,
    /// checked, access ignored; not a change by the ACS.
    pub fn store(&mut self, _values: &[(&str, &str)]) -> Result<(), Fault> {
        todo!()
    }

    /// The full paths of the parameters in every Inform that exist here (I-3).
    pub fn forced_inform(&mut self) -> Vec<String> {
        todo!()
    }

    /// Compares every watched parameter with what was last reported.
    pub fn sweep(&mut self) -> Changes {
        todo!()
    }

    /// The watched parameters that differ from what was last reported, for Inform (I-4).
    pub fn changed(&mut self) -> Vec<String> {
        todo!()
    }

    /// These parameters were reported with these values and the Inform was answered: the new
    /// baseline, durable.
    pub fn reported(&mut self, _values: &[(String, String)]) {
        todo!()
    }
}
