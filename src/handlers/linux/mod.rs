//! Native providers of the platform `linux`: procfs, sysfs, netlink and plain files below the root.
//!
//! One provider serves the rows that come from one place. The network's share one
//! [`network::Network`], which reads each part of the kernel's answer once per RPC.

pub mod identity;
pub mod network;

use crate::model::handler::Handler;
use std::cell::RefCell;
use std::rc::Rc;

/// Every provider by its name in `datamodel/*.toml`; the names are those of
/// [`crate::handlers::natives::NAMES`].
pub fn providers() -> Vec<(&'static str, Box<dyn Handler>)> {
    let mut all = Vec::new();
    network_providers(&mut all);
    all
}

/// Links, addresses, routes, neighbours and sockets.
fn network_providers(_all: &mut Vec<(&'static str, Box<dyn Handler>)>) {
    let _network = Rc::new(RefCell::new(network::Network::default()));
}
