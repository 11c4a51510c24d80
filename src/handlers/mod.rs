//! Where values live.

pub mod agent;
pub mod diagnostics;
pub mod exec;
pub mod file;
pub mod firmware;
pub mod gateway;
pub mod linux;
pub mod natives;
pub mod openwrt;
pub mod planned;
#[cfg(test)]
pub mod probe;
pub mod reading;
#[cfg(test)]
mod root_tests;
pub mod statistics;
#[cfg(test)]
mod tests;
pub mod udp_echo;

use crate::model::handler::Handler;
use crate::model::schema::{Platform, SourceKind};
use crate::model::tree::Handlers;
use crate::sys::ubus;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// What the handlers are to know of the machine.
#[derive(Clone, Debug)]
pub struct Around {
    /// The platform in force.
    pub platform: Platform,
    /// Who answers calls of ubus; nobody is asked on a platform without it.
    pub ubus: ubus::Place,
    /// A folder for what a restart is to know and a boot is not.
    pub run_dir: Option<PathBuf>,
}

/// Every handler of the agent, for the tree.
pub fn all(around: Around, facts: Rc<RefCell<agent::AgentFacts>>) -> Handlers {
    let place = (around.platform == Platform::OpenWrt).then_some(around.ubus);
    let sources = openwrt::sources::Sources::new(place, around.run_dir, facts.clone());
    let network = Rc::clone(&sources.borrow().network);
    let mut natives = linux::named_providers(&facts, &network);
    if around.platform == Platform::OpenWrt {
        natives.extend(openwrt::providers(&sources));
    }
    let by_kind: Vec<(SourceKind, Box<dyn Handler>)> = vec![
        (SourceKind::File, Box::new(file::FileValues)),
        (SourceKind::Exec, Box::new(exec::Exec::default())),
        (SourceKind::Expression, Box::new(openwrt::rows::Rows(sources))),
    ];
    Handlers { by_kind, natives }
}
