//! Native providers of the platform `linux`: procfs, sysfs, netlink and plain files below the root.
//!
//! One provider serves the rows that come from one place. The network's share one
//! [`network::Network`], which reads each part of the kernel's answer once per RPC; they are the
//! rows of one table, [`NETWORK`], since they differ in no more than that.

pub mod bridge;
pub mod certificate;
pub mod cpu;
pub mod discovery;
pub mod dns;
pub mod fault;
pub mod firewall;
pub mod hostname;
pub mod hosts;
pub mod identity;
pub mod ip;
pub mod knobs;
pub mod layers;
pub mod led;
pub mod link;
pub mod logrotate;
pub mod machine;
pub mod memory;
pub mod naming;
pub mod network;
pub mod process;
pub mod provider;
pub mod queue;
pub mod recorded;
pub mod recording;
pub mod rmon;
pub mod route;
pub mod sensor;
pub mod sfp;
pub mod sockets;
pub mod ssh;
pub mod syslog;
pub mod system;
pub mod time;
pub mod unix_socket;
pub mod usb;
pub mod usb_link;
pub mod user_interface;
pub mod users;
pub mod vendor_file;

use crate::handlers::agent::AgentFacts;
use crate::model::handler::Handler;
use network::part::{ADDRESSES, DEVICES, HOSTS, QUEUES, ROUTES, SOCKETS};
use provider::Told::{All, Also, But, Counters, Nothing};
use provider::{Provider, Spec};
use std::cell::RefCell;
use std::rc::Rc;

/// Every provider by its name in `datamodel/*.toml`; the names are those of
/// [`crate::handlers::natives::NAMES`]. What the agent knows of itself comes in `facts`, which the
/// engine keeps up to date.
pub fn providers(facts: &Rc<RefCell<AgentFacts>>) -> Vec<(&'static str, Box<dyn Handler>)> {
    named_providers(facts, &Rc::default())
}

/// The same over a network that is given: one whose rows have names of their own ([`naming`]).
pub fn named_providers(
    facts: &Rc<RefCell<AgentFacts>>,
    network: &Rc<RefCell<network::Network>>,
) -> Vec<(&'static str, Box<dyn Handler>)> {
    let mut all = network_providers(network);
    all.extend(machine::providers(facts, network));
    all
}

/// Links, addresses, routes, neighbours and sockets; and what they share.
fn network_providers(network: &Rc<RefCell<network::Network>>) -> Vec<(&'static str, Box<dyn Handler>)> {
    let one = |spec| Box::new(Provider { spec, network: Rc::clone(network) });
    NETWORK.iter().map(|spec| (spec.name, one(spec) as Box<dyn Handler>)).collect()
}

macro_rules! specs {
    ($($name:literal $parts:expr, $list:path, $fill:path, $knobs:expr, $told:expr;)*) => {
        &[$(Spec { name: $name, parts: $parts, list: $list, fill: $fill, knobs: $knobs, told: $told },)*]
    };
}

/// What the kernel renews without a word.
const LIFETIMES: &[&str] = &["PreferredLifetime", "ValidLifetime"];
/// The same, and what follows from which address of a prefix lives longest.
const PREFIX_LIFETIMES: &[&str] =
    &["PreferredLifetime", "ValidLifetime", "PrefixStatus", "Origin", "StaticType", "Autonomous"];

/// The providers of the network: name, parts read, list, fill, what can be set, what the kernel tells of.
#[rustfmt::skip]
pub static NETWORK: &[Spec] = specs! {
    "ethernet_interface" DEVICES | ROUTES, link::list_interfaces, link::fill_interface, link::KNOBS, But(&["CurrentBitRate", "CurrentDuplexMode"]);
    "ethernet_link" DEVICES, link::list_links, link::fill_link, &[], All;
    "ethernet_vlan" DEVICES, link::list_vlans, link::fill_vlan, link::KNOBS, All;
    "ethernet_lag" DEVICES, link::list_lags, link::fill_lag, link::KNOBS, All;
    "ethernet_rmon" DEVICES, rmon::list, rmon::fill, &[], Counters(&["Name", "Interface"]);
    "link_stats" DEVICES, link::list_nothing, link::fill_stats, &[], Counters(&[]);
    "radio_stats" DEVICES, link::list_nothing, link::fill_radio_stats, &[], Counters(&[]);
    "wifi_radio" DEVICES | ROUTES, link::list_radios, link::fill_radio, &[], All;
    "wifi_ssid" DEVICES | ROUTES, link::list_ssids, link::fill_ssid, link::KNOBS, All;
    "bridge" DEVICES, bridge::list, bridge::fill, bridge::KNOBS, But(&["Standard"]);
    "bridge_stp" DEVICES, link::list_nothing, bridge::fill_stp, bridge::STP_KNOBS, Nothing;
    "bridge_port" DEVICES, bridge::list_ports, bridge::fill_port, bridge::PORT_KNOBS, But(&["PortState"]);
    "bridge_vlan" DEVICES, bridge::list_vlans, bridge::fill_vlan, &[], All;
    "bridge_vlan_port" DEVICES, bridge::list_vlan_ports, bridge::fill_vlan_port, &[], All;
    "ip" 0, link::list_nothing, ip::fill, ip::KNOBS, Nothing;
    "ip_interface" DEVICES, ip::list_interfaces, ip::fill_interface, ip::INTERFACE_KNOBS, All;
    "ip_ipv4_address" ADDRESSES | ROUTES, ip::list_ipv4, ip::fill_ipv4, &[], All;
    "ip_ipv6_address" ADDRESSES, ip::list_ipv6, ip::fill_ipv6, &[], But(LIFETIMES);
    "ip_ipv6_prefix" ADDRESSES | ROUTES, ip::list_prefixes, ip::fill_prefix, &[], But(PREFIX_LIFETIMES);
    "ip_active_port" SOCKETS, sockets::list, sockets::fill, &[], Nothing;
    "ppp_interface" ADDRESSES, ip::list_ppp, ip::fill_ppp, &[], All;
    "routing_router" 0, route::list_routers, route::fill_router, &[], All;
    "routing_ipv4" ROUTES, route::list_ipv4, route::fill_ipv4, &[], All;
    "routing_ipv6" ROUTES, route::list_ipv6, route::fill_ipv6, &[], But(&["ExpirationTime"]);
    "route_information" 0, link::list_nothing, route::fill_information, &[], Nothing;
    "route_information_interface" ROUTES, route::list_advertised, route::fill_advertised, &[], But(&["RouteLifetime"]);
    "neighbor_discovery" 0, link::list_nothing, discovery::fill, &[], Nothing;
    "neighbor_discovery_interface" DEVICES, discovery::list, discovery::fill_setting, discovery::KNOBS, Nothing;
    "hosts" HOSTS, hosts::list, hosts::fill, &[], Also;
    "hosts_ipv4" HOSTS, hosts::list_ipv4, hosts::fill_address, &[], Also;
    "hosts_ipv6" HOSTS, hosts::list_ipv6, hosts::fill_address, &[], Also;
    "host_of_duid" HOSTS, link::list_nothing, hosts::fill_source, &[], Also;
    "interface_stack" DEVICES, layers::list, layers::fill, &[], All;
    "qos_queue" QUEUES, queue::list, queue::fill, &[], All;
    "qos_queue_stats" QUEUES, queue::list, queue::fill_stats, &[], Counters(&["Queue", "Status", "Interface"]);
    "usb_interface" DEVICES | ROUTES, usb_link::list, usb_link::fill, link::KNOBS, But(&["MaxBitRate", "Port"]);
    "firewall_interface" DEVICES, firewall::list, firewall::fill, &[], But(&["IPv4SpoofingProtection"]);
};

#[cfg(test)]
mod tests;
