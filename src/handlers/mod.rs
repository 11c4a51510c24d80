//! Where values live.

pub mod agent;
pub mod exec;
pub mod file;
pub mod firmware;
pub mod gateway;
pub mod linux;
pub mod natives;
#[cfg(test)]
pub mod probe;
pub mod reading;
#[cfg(test)]
mod root_tests;
#[cfg(test)]
mod tests;
pub mod uci;

use crate::model::handler::Handler;
use crate::model::schema::SourceKind;
use crate::model::tree::Handlers;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Every handler of the agent, for the tree. `root` is the root that the tree reads below.
pub fn all(_root: &Path, facts: Rc<RefCell<agent::AgentFacts>>) -> Handlers {
    let by_kind: Vec<(SourceKind, Box<dyn Handler>)> = vec![
        (SourceKind::File, Box::new(file::FileValues)),
        (SourceKind::Exec, Box::new(exec::Exec::default())),
        (SourceKind::Uci, Box::new(uci::Uci::default())),
    ];
    Handlers { by_kind, natives: linux::providers(&facts) }
}
