//! Platform `openwrt`: values of UCI and ubus.
//!
//! [`sources`] holds what was read in an RPC, what is to be written and what is to be reloaded, for all
//! handlers of the platform. [`rows`] serves rows of the data model that say by an expression where their
//! value is: [`values`] reads it, [`filters`] makes of it what the row says, [`change`] turns a change into edits
//! of packages, [`fitting`] says what may stand in them, and [`plan`] writes them. [`provider`] does the same for native providers, which plan their changes and never write.

mod access;
pub mod change;
pub mod filters;
pub mod fitting;
pub mod network;
pub mod plan;
pub mod provider;
pub mod rows;
pub mod services;
pub mod sources;
pub mod system;
#[cfg(test)]
mod tests;
pub mod values;

use crate::model::handler::Handler;
use provider::{Provider, Spec};
use sources::Shared;
use std::rc::Rc;

/// The native providers of this platform, by subject.
const SPECS: &[&[Spec]] = &[
    access::SPECS,
    network::SPECS,
    system::SPECS,
    services::access::SPECS,
    services::conntrack::SPECS,
    services::ddns::SPECS,
    services::dns::SPECS,
    services::firewall::SPECS,
    services::hosts::SPECS,
    services::ipsec::SPECS,
    services::leases::SPECS,
    services::leases6::SPECS,
    services::mdns::SPECS,
    services::options::SPECS,
    services::pool::SPECS,
    services::requests::SPECS,
];

/// Every native provider of this platform by its name in `datamodel/*.toml`.
pub fn providers(sources: &Shared) -> Vec<(&'static str, Box<dyn Handler>)> {
    let specs = SPECS.iter().flat_map(|specs| specs.iter());
    let provider = |spec| -> Box<dyn Handler> { Box::new(Provider { spec, sources: Rc::clone(sources) }) };
    let mut all: Vec<_> = specs.map(|spec| (spec.name, provider(spec))).collect();
    all.extend(system::providers(sources));
    all
}
