//! Where values live.

pub mod agent;
pub mod linux;
pub mod natives;
#[cfg(test)]
pub mod probe;
pub mod reading;

use crate::model::tree::Handlers;
use std::cell::RefCell;
use std::rc::Rc;

/// All of them, for a tree; `facts` is what the agent says of itself.
pub fn all(facts: Rc<RefCell<agent::AgentFacts>>) -> Handlers {
    let mut natives = linux::providers();
    natives.push(("agent", agent::provider(facts)));
    Handlers { by_kind: Vec::new(), natives }
}
