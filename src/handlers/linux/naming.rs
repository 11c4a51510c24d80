//! What a platform calls the rows that the kernel knows as devices.
//!
//! On plain Linux the key of a row is the name of its device. Where something above the kernel makes
//! interfaces (netifd), rows of some layers have keys of their own: then [`Names`] tells which device is
//! whose, and every provider of the network asks it, in both directions. A port may have the name of an
//! interface, so a key is one only together with its layer.

use super::layers::Layer;
use crate::model::handler::{Ctx, Row};
use std::net::IpAddr;

/// A row with a key of its own.
pub struct Named {
    /// The layer, and so the table.
    pub layer: Layer,
    /// The key.
    pub key: String,
    /// The device that packets of the row pass; empty while there is none.
    pub device: String,
    /// The device it stands on; empty when it stands on none.
    pub lower: String,
    /// It has to do with IPv6 alone.
    pub six: bool,
    /// The addresses that are its own, of those of the device.
    pub addresses: Vec<IpAddr>,
}

/// All of them, in the order of the platform.
#[derive(Default)]
pub struct Names(pub Vec<Named>);

/// Who tells the names.
pub trait Namer {
    /// The names, as they are in this RPC.
    fn names(&mut self, ctx: &Ctx<'_>) -> Names;
}

/// The tables whose rows have keys of their own, with what lies in them.
const TABLES: &[(&str, Layer)] = &[
    ("Device.IP.Interface.{i}.", Layer::Ip),
    ("Device.PPP.Interface.{i}.", Layer::Ppp),
    // The same interfaces of netifd, as modems.
    ("Device.Cellular.Interface.{i}.", Layer::Ip),
    ("Device.WiFi.SSID.{i}.", Layer::Ssid),
    ("Device.WiFi.Radio.{i}.", Layer::Radio),
    ("Device.GRE.Tunnel.{i}.", Layer::Gre),
    ("Device.VXLAN.Tunnel.{i}.", Layer::Vxlan),
    ("Device.MAP.Domain.{i}.", Layer::Map),
];

/// The layer of a row whose first key is one of a platform's.
pub fn layer_of(row: &Row<'_>) -> Option<Layer> {
    let path = row.object.path();
    TABLES.iter().find(|(table, _)| path.starts_with(table)).map(|(_, layer)| *layer)
}

/// The table that a row lies in.
pub fn table<'a>(row: &Row<'a>) -> &'a str {
    let path = row.object.path();
    path.rfind("{i}.").and_then(|at| path.get(..at + "{i}.".len())).unwrap_or(path)
}

/// Whether rows of the layer have keys of their own.
pub fn is_named(layer: Layer) -> bool {
    TABLES.iter().any(|(_, l)| *l == layer)
}

impl Names {
    /// The rows of a layer.
    pub fn of(&self, layer: Layer) -> impl Iterator<Item = &Named> {
        self.0.iter().filter(move |n| n.layer == layer)
    }

    /// The row of a layer with this key.
    pub fn find(&self, layer: Layer, key: &str) -> Option<&Named> {
        self.of(layer).find(|n| n.key == key)
    }

    /// The first row of a layer on this device.
    pub fn on(&self, layer: Layer, device: &str) -> Option<&Named> {
        self.of(layer).find(|n| n.device == device)
    }

    /// The IP interface on a device that speaks of a family; another one where none does.
    pub fn ip(&self, device: &str, six: bool) -> Option<&Named> {
        let here = || self.of(Layer::Ip).filter(|n| n.device == device);
        here().find(|n| n.six == six).or_else(|| here().next())
    }

    /// The IP interface that an address of a device belongs to.
    pub fn owner(&self, device: &str, address: IpAddr) -> Option<&Named> {
        let mut here = self.of(Layer::Ip).filter(|n| n.device == device);
        here.find(|n| n.addresses.contains(&address)).or_else(|| self.ip(device, address.is_ipv6()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(layer: Layer, key: &str, device: &str, six: bool, addresses: &[&str]) -> Named {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Named { layer, key: key.into(), device: device.into(), lower: String::new(), six, addresses }
    }

    #[test]
    fn a_device_has_one_interface_a_family() {
        let names = Names(vec![
            named(Layer::Ppp, "wan", "pppoe-wan", false, &[]),
            named(Layer::Ip, "wan6", "pppoe-wan", true, &["2001:db8::7"]),
            named(Layer::Ip, "wan", "pppoe-wan", false, &["198.51.100.23"]),
            named(Layer::Ip, "lan", "br-lan", false, &["192.168.1.1"]),
            named(Layer::Ip, "second", "br-lan", false, &["192.168.2.1", "fd00::1"]),
            named(Layer::Ip, "down", "", false, &[]),
        ]);
        let key = |n: Option<&Named>| n.map_or("-", |n| n.key.as_str()).to_string();
        for (device, six, want) in [
            ("pppoe-wan", false, "wan"),
            ("pppoe-wan", true, "wan6"),
            ("br-lan", false, "lan"),
            // No interface of it is for IPv6 alone.
            ("br-lan", true, "lan"),
            ("eth9", false, "-"),
        ] {
            assert_eq!(key(names.ip(device, six)), want, "{device} {six}");
        }
        for (device, address, want) in [
            ("br-lan", "192.168.2.1", "second"),
            ("br-lan", "192.168.1.1", "lan"),
            ("br-lan", "fd00::1", "second"),
            ("br-lan", "fe80::1", "lan"),
            ("pppoe-wan", "fe80::1", "wan6"),
            ("pppoe-wan", "10.0.0.1", "wan"),
        ] {
            assert_eq!(key(names.owner(device, address.parse().unwrap())), want, "{address}");
        }
        assert_eq!(key(names.on(Layer::Ppp, "pppoe-wan")), "wan");
        assert_eq!(key(names.find(Layer::Ppp, "wan6")), "-");
    }
}
