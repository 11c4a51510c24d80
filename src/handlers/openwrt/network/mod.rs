//! The network on OpenWrt: what netifd says of its interfaces on top of what the kernel says of devices, and
//! the package `network`, to which changes go.
//!
//! The providers of [`crate::handlers::linux`] read the kernel here, too; [`naming`] tells them the keys of rows.
//! Rows that the ACS made and that the package cannot hold as they are yet (an address without a value, a port
//! without a device) are noted in options of the section they will be in, whose names begin with `cwmpd_`
//! ([`note`]): netifd passes over them.

pub mod address;
pub mod bridge;
pub mod interface;
pub mod naming;
pub mod note;
pub mod port;
pub mod prefix;
pub mod route;
pub mod tunnel;
pub mod vlan;

use super::change;
use super::plan::Plan;
use super::provider::{Spec, adds_nothing, lists_nothing};
use super::sources::Sources;
use crate::handlers::linux::network::View;
use crate::model::fault::Code;
use crate::model::handler::{Ctx, Failure, Keys};
use crate::sys::uci::{Edit, Package, Section};
use std::rc::Rc;

/// The package.
pub const NETWORK: &str = "network";
/// Who tells of changes.
const OBJECTS: &[&str] = &["network.interface"];

/// What a plan says: edits, or which value is at fault.
pub type Planned = Result<Plan, (usize, Failure)>;

/// The providers of the network.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "net_interface",
        list: lists_nothing,
        fill: interface::fill,
        plan: interface::plan,
        key: adds_nothing,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ppp",
        list: lists_nothing,
        fill: interface::fill_ppp,
        plan: interface::plan_ppp,
        key: adds_nothing,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ipv4_address",
        list: address::list4,
        fill: address::fill4,
        plan: address::plan4,
        key: address::key,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ipv6_address",
        list: address::list6,
        fill: address::fill6,
        plan: address::plan6,
        key: address::key,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ipv6_prefix",
        list: prefix::list,
        fill: prefix::fill,
        plan: prefix::plan,
        key: prefix::key,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ipv4_route",
        list: route::list4,
        fill: route::fill4,
        plan: route::plan4,
        key: route::key,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_ipv6_route",
        list: route::list6,
        fill: route::fill6,
        plan: route::plan6,
        key: route::key,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_vlan",
        list: vlan::list,
        fill: vlan::fill,
        plan: vlan::plan,
        key: vlan::key,
        packages: &[NETWORK],
        objects: &[],
    },
    Spec {
        name: "net_bridge",
        list: bridge::list,
        fill: bridge::fill,
        plan: bridge::plan,
        key: bridge::key,
        packages: &[NETWORK],
        objects: &[],
    },
    Spec {
        name: "net_bridge_vlan",
        list: bridge::list_vlans,
        fill: bridge::fill_vlan,
        plan: bridge::plan_vlan,
        key: bridge::vlan_key,
        packages: &[NETWORK],
        objects: &[],
    },
    Spec {
        name: "net_bridge_port",
        list: port::list,
        fill: port::fill,
        plan: port::plan,
        key: port::key,
        packages: &[NETWORK],
        objects: &[],
    },
    Spec {
        name: "net_bridge_vlan_port",
        list: port::list_members,
        fill: port::fill_member,
        plan: port::plan_member,
        key: port::member_key,
        packages: &[NETWORK],
        objects: &[],
    },
    Spec {
        name: "net_tunnel",
        list: lists_nothing,
        fill: tunnel::fill,
        plan: tunnel::plan,
        key: adds_nothing,
        packages: &[NETWORK],
        objects: OBJECTS,
    },
    Spec {
        name: "net_wireguard",
        list: tunnel::list_peers,
        fill: tunnel::fill_peer,
        plan: tunnel::plan_peer,
        key: tunnel::peer_key,
        packages: &[NETWORK],
        objects: &[],
    },
];

/// Shows somebody the network as the kernel and netifd know it.
///
/// # Errors
/// The kernel cannot be asked.
pub fn look(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    parts: u8,
    see: &mut dyn FnMut(&View),
) -> Result<(), Failure> {
    let network = Rc::clone(&sources.network);
    let mut network = network.borrow_mut();
    network.name(ctx, || naming::names(sources, ctx));
    see(network.view(ctx, parts)?);
    Ok(())
}

/// The package, to be read.
pub fn read(sources: &mut Sources, ctx: &Ctx<'_>) -> Option<Rc<Package>> {
    sources.readable(ctx, NETWORK)
}

/// The package, to be changed.
///
/// # Errors
/// It is not there or cannot be read.
pub fn edit(sources: &mut Sources, ctx: &Ctx<'_>) -> Result<Rc<Package>, (usize, Failure)> {
    let found = sources.package(ctx, NETWORK).map_err(|failure| (0, failure))?;
    found.ok_or_else(|| (0, Failure::denied("there is no /etc/config/network")))
}

/// The edits of the package as a plan.
pub fn planned(edits: Vec<Edit>) -> Plan {
    edits.into_iter().map(|edit| (NETWORK.to_owned(), edit)).collect()
}

/// A value that is refused, of this index.
pub fn wrong(at: usize, why: &str) -> (usize, Failure) {
    (at, Failure { code: Code::INVALID_VALUE, text: why.to_owned() })
}

/// A change that is refused.
pub fn denied(at: usize, why: &str) -> (usize, Failure) {
    (at, Failure::denied(why))
}

/// Sets an option; to nothing removes it.
pub fn set(section: &str, option: &str, value: impl Into<String>) -> Edit {
    Edit::Set { section: section.to_owned(), option: option.to_owned(), value: value.into() }
}

/// Puts an item into a list.
pub fn add_item(section: &str, option: &str, item: impl Into<String>) -> Edit {
    Edit::AddItem { section: section.to_owned(), option: option.to_owned(), item: item.into() }
}

/// Takes an item out of a list.
pub fn remove_item(section: &str, option: &str, item: impl Into<String>) -> Edit {
    Edit::RemoveItem { section: section.to_owned(), option: option.to_owned(), item: item.into() }
}

/// Removes a section.
pub fn drop(section: &Section<'_>) -> Edit {
    Edit::Drop { section: section.key().into_owned() }
}

/// The section that configures a device.
pub fn device<'p>(package: &'p Package, name: &str) -> Option<Section<'p>> {
    package.of_kind("device").find(|s| s.get("name") == Some(name))
}

/// Adds the devices whose sections are of this kind and that the kernel has not named already.
pub fn add_devices(package: Option<Rc<Package>>, is: fn(&Section<'_>) -> bool, out: &mut Keys) {
    for section in package.iter().flat_map(|p| p.of_kind("device")).filter(is) {
        if let Some(name) = section.get("name").filter(|name| !out.contains(name)) {
            out.push(name);
        }
    }
}

/// The key of the section that configures a device, with the edits that make it when there is none.
pub fn device_key(package: &Package, name: &str, edits: &mut Vec<Edit>) -> String {
    if let Some(section) = device(package, name) {
        return section.key().into_owned();
    }
    // The name that a row with `@device[name=…]` gives it.
    let section = change::name_for(package, "device", [("name", name)].into_iter());
    let made = [Edit::Make { kind: "device".into(), name: section.clone() }, set(&section, "name", name)];
    edits.extend(made.into_iter().filter(|edit| !edits.contains(edit)).collect::<Vec<_>>());
    section
}
