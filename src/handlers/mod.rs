//! Where values live.

pub mod agent;
pub mod linux;
pub mod natives;
#[cfg(test)]
pub mod probe;
pub mod reading;

use crate::model::tree::Handlers;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Every handler of the agent, for the tree. `root` is the root that the tree reads below.
pub fn all(_root: &Path, facts: Rc<RefCell<agent::AgentFacts>>) -> Handlers {
    Handlers {
        by_kind: Vec::new(),
        natives: linux::providers(&facts),
    }
}
