//! Zones of the firewall: which interfaces of netifd belong together.

use crate::sys::uci::{Package, Section};

/// The table that zones refer to.
pub const INTERFACE: &str = "Device.IP.Interface.{i}.";

/// The zone of this name.
pub fn zone<'a>(firewall: &'a Package, name: &str) -> Option<Section<'a>> {
    firewall.of_kind("zone").find(|s| s.get("name") == Some(name))
}

/// The interface that a zone names first.
pub fn first_interface<'a>(firewall: &'a Package, name: &str) -> Option<&'a str> {
    zone(firewall, name)?.words("network").first().copied()
}

/// The name of the zone that an interface is in.
pub fn zone_of<'a>(firewall: &'a Package, interface: &str) -> Option<&'a str> {
    let mut zones = firewall.of_kind("zone").filter(|s| s.flag("enabled") != Some(false));
    zones.find(|s| s.words("network").contains(&interface))?.get("name")
}

/// Whether a zone leads to the Internet: its addresses are hidden, or it is called so.
pub fn is_outside(firewall: &Package, name: &str) -> bool {
    name.starts_with("wan") || zone(firewall, name).is_some_and(|s| s.flag("masq") == Some(true))
}
