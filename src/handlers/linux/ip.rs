//! `Device.IP.` and `Device.PPP.`: interfaces with their addresses and prefixes.

use super::knobs::{Form, Knob};
use super::layers::{Layer, is};
use super::link::{common, device};
use super::network::{Device, OwnAddress, View, mask4, prefix_text};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::netlink::link::hardware;
use crate::sys::netlink::route::{FOREVER, address_flag as flag};
use crate::sys::{clock, host};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

/// Unknown Time's counterpart: a time that never comes (TR-106 3.2.1).
const NEVER: &str = "9999-12-31T23:59:59Z";

/// `Device.IP.`
pub const KNOBS: &[Knob] =
    &[Knob::new("IPv6Enable", "proc/sys/net/ipv6/conf/all/disable_ipv6", Form::Reverse)];
/// `Device.IP.Interface.{i}.`
pub const INTERFACE_KNOBS: &[Knob] = &[
    Knob { told: true, ..Knob::new("MaxMTUSize", "sys/class/net/{}/mtu", Form::Number) },
    Knob::new("IPv6Enable", "proc/sys/net/ipv6/conf/{}/disable_ipv6", Form::Reverse),
];

/// `Device.IP.`
pub fn fill(view: &View, _row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let has_ipv6 = host::is_there(&view.file("proc/net/if_inet6"));
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "IPv4Capable" | "IPv4Enable" => out.put(at, true),
            "IPv4Status" => out.put(at, "Enabled"),
            "IPv6Capable" => out.put(at, has_ipv6),
            "IPv6Status" => {
                let on = KNOBS[0].show(&view.root, "").as_deref() == Some("true");
                out.put(at, if has_ipv6 && on { "Enabled" } else { "Disabled" });
            }
            _ => {}
        }
    }
}

/// The keys of `Device.IP.Interface.{i}.`
pub fn list_interfaces(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.devices.iter().filter(|d| is(view, d, Layer::Ip)).map(|d| d.name.clone()));
}

/// `Device.IP.Interface.{i}.`
pub fn fill_interface(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ip) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "IPv4Enable" => out.put(at, true),
            "Router" => out.refer(at, "Device.Routing.Router.{i}.", &[super::route::MAIN]),
            // The loopback's 65536 is more than the standard has room for.
            "MaxMTUSize" => out.put(at, device.mtu.clamp(64, 65_535)),
            "Loopback" => out.put(at, device.is_loopback()),
            "Type" => out.put(
                at,
                match device.hardware {
                    hardware::LOOPBACK => "Loopback",
                    hardware::TUNNEL | hardware::TUNNEL6 | hardware::SIT | hardware::GRE | hardware::GRE6 => {
                        "Tunnel"
                    }
                    _ => "Normal",
                },
            ),
            name => common(view, (Layer::Ip, row.key()), device, name, at, out),
        }
    }
}

fn address<'v>(view: &'v View, row: &Row<'_>) -> Option<(&'v Device, &'v OwnAddress)> {
    let (device, mut own) = view.addresses_at(row)?;
    let key = row.key();
    Some((device, own.find(|a| a.key == key)?))
}

/// The keys of `Device.IP.Interface.{i}.IPv4Address.{i}.`
pub fn list_ipv4(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some((_, own)) = view.addresses_at(row) else {
        return;
    };
    out.extend(own.filter(|a| a.local.is_ipv4()).map(|a| a.key.as_str()));
}

/// `Device.IP.Interface.{i}.IPv4Address.{i}.`
pub fn fill_ipv4(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some((device, own)) = address(view, row).filter(|(_, a)| a.local.is_ipv4()) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, true),
            "Status" => out.put(at, address_status(device, own)),
            "IPAddress" => out.put(at, own.local),
            "SubnetMask" => out.put(at, std::net::Ipv4Addr::from_bits(mask4(own.prefix))),
            "AddressingType" => out.put(at, addressing(view, device, own)),
            _ => {}
        }
    }
}

/// How the address came: from PPP, from a client that gave it a lifetime or a route of its own, or by hand.
fn addressing(view: &View, device: &Device, own: &OwnAddress) -> &'static str {
    const PROTOCOL_DHCP: u8 = 16;
    let by_dhcp = || view.routes.iter().any(|r| r.link == device.index && r.protocol == PROTOCOL_DHCP);
    match own.local {
        _ if device.hardware == hardware::PPP => "IPCP",
        IpAddr::V4(a) if a.is_link_local() => "AutoIP",
        _ if own.valid != FOREVER || own.key == "primary" && by_dhcp() => "DHCP",
        _ => "Static",
    }
}

/// Whether an address is in force.
pub fn address_status(device: &Device, own: &OwnAddress) -> &'static str {
    match own.flags {
        flags if flags & flag::DAD_FAILED != 0 => "Error",
        _ if device.is_up() => "Enabled",
        _ => "Disabled",
    }
}

/// The keys of `Device.IP.Interface.{i}.IPv6Address.{i}.`
pub fn list_ipv6(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some((_, own)) = view.addresses_at(row) else {
        return;
    };
    out.extend(own.filter(|a| a.local.is_ipv6()).map(|a| a.key.as_str()));
}

/// `Device.IP.Interface.{i}.IPv6Address.{i}.`
pub fn fill_ipv6(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some((device, own)) = address(view, row) else {
        return;
    };
    let IpAddr::V6(local) = own.local else { return };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, true),
            "Status" => out.put(at, address_status(device, own)),
            name => fill_ipv6_one(view, row, local, own, name, at, out),
        }
    }
}

/// A value of an IPv6 address that the kernel has.
pub fn fill_ipv6_one(
    view: &View,
    row: &Row<'_>,
    local: Ipv6Addr,
    own: &OwnAddress,
    name: &str,
    at: usize,
    out: &mut Fields,
) {
    match name {
        "IPAddressStatus" => out.put(
            at,
            match own.flags {
                f if f & flag::DAD_FAILED != 0 => "Duplicate",
                f if f & flag::OPTIMISTIC != 0 => "Optimistic",
                f if f & flag::TENTATIVE != 0 => "Tentative",
                f if f & flag::DEPRECATED != 0 => "Deprecated",
                _ => "Preferred",
            },
        ),
        "IPAddress" => out.put(at, local),
        "Origin" => out.put(at, origin(local, own)),
        "Prefix" => {
            let prefix = prefix_text(own.local, own.prefix);
            let interface = row.keys.first().copied().unwrap_or("");
            out.refer(at, "Device.IP.Interface.{i}.IPv6Prefix.{i}.", &[interface, &prefix]);
        }
        "PreferredLifetime" => put_time(&view.root, out, at, own.preferred),
        "ValidLifetime" => put_time(&view.root, out, at, own.valid),
        _ => {}
    }
}

/// Who made the address: the kernel says so since 6.3, before that its lifetime and length do.
pub fn origin(local: Ipv6Addr, own: &OwnAddress) -> &'static str {
    if local.is_loopback() {
        return "WellKnown";
    }
    let is_by_kernel = local.is_unicast_link_local() || matches!(own.protocol, 2 | 3);
    match own.flags & (flag::TEMPORARY | flag::MANAGE_TEMPORARY) {
        0 if is_by_kernel => "AutoConfigured",
        0 if own.valid == FOREVER => "Static",
        // A server gives single addresses, an advertisement whole networks.
        0 if own.prefix == 128 => "DHCPv6",
        _ => "AutoConfigured",
    }
}

/// Puts the time that lies so many seconds ahead; Unknown Time while the clock is not set.
pub fn put_time(root: &Path, out: &mut Fields, at: usize, seconds: u32) {
    match seconds {
        FOREVER => out.put(at, NEVER),
        _ if host::is_live(root) && !clock::now().clock_set => out.put(at, clock::UNKNOWN_TIME),
        _ => out.put(at, clock::utc(host::now(root).saturating_add(seconds.into()))),
    }
}

/// The IPv6 networks of a device's addresses, each with the address that lives longest.
fn prefixes<'v>(own: impl Iterator<Item = &'v OwnAddress>) -> Vec<(String, &'v OwnAddress)> {
    let mut out: Vec<(String, &OwnAddress)> = Vec::new();
    for own in own.filter(|a| a.local.is_ipv6() && a.prefix < 128) {
        let prefix = prefix_text(own.local, own.prefix);
        match out.iter_mut().find(|(p, _)| *p == prefix) {
            Some((_, longest)) if own.valid > longest.valid => *longest = own,
            Some(_) => {}
            None => out.push((prefix, own)),
        }
    }
    out
}

/// The keys of `Device.IP.Interface.{i}.IPv6Prefix.{i}.`
pub fn list_prefixes(view: &View, row: &Row<'_>, out: &mut Keys) {
    out.extend(prefixes_of(view, row).into_iter().map(|(prefix, _)| prefix));
}

/// The IPv6 networks of the addresses of an IP interface, each with the address that lives longest.
pub fn prefixes_of<'v>(view: &'v View, row: &Row<'_>) -> Vec<(String, &'v OwnAddress)> {
    view.addresses_at(row).map_or(Vec::new(), |(_, own)| prefixes(own))
}

/// `Device.IP.Interface.{i}.IPv6Prefix.{i}.`
pub fn fill_prefix(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        fill_prefix_one(view, row, row.key(), w.param.name(), at, out);
    }
}

/// A value of a network of the kernel's addresses.
pub fn fill_prefix_one(view: &View, row: &Row<'_>, prefix: &str, name: &str, at: usize, out: &mut Fields) {
    let found = prefixes_of(view, row).into_iter().find(|(p, _)| p == prefix);
    let (Some((device, _)), Some((prefix, own))) = (view.addresses_at(row), found) else {
        return;
    };
    let IpAddr::V6(local) = own.local else { return };
    let is_autonomous = origin(local, own) == "AutoConfigured" && !local.is_unicast_link_local();
    match name {
        "Enable" => out.put(at, true),
        "Status" => out.put(at, if device.is_up() { "Enabled" } else { "Disabled" }),
        "PrefixStatus" => {
            out.put(at, if own.flags & flag::DEPRECATED == 0 { "Preferred" } else { "Deprecated" })
        }
        "Prefix" => out.put(at, &prefix),
        "Origin" => out.put(
            at,
            match is_autonomous {
                _ if local.is_unicast_link_local() => "WellKnown",
                true => "RouterAdvertisement",
                false => "Static",
            },
        ),
        "StaticType" => {
            let is_static = !is_autonomous && !local.is_unicast_link_local();
            out.put(at, if is_static { "Static" } else { "Inapplicable" });
        }
        "OnLink" => {
            let is_on_link = |r: &&super::network::Way| {
                r.link == device.index
                    && r.gateway.is_none()
                    && prefix_text(r.destination, r.prefix) == prefix
            };
            out.put(at, view.routes.iter().find(is_on_link).is_some());
        }
        "Autonomous" => out.put(at, is_autonomous),
        "PreferredLifetime" => put_time(&view.root, out, at, own.preferred),
        "ValidLifetime" => put_time(&view.root, out, at, own.valid),
        _ => {}
    }
}

/// The keys of `Device.PPP.Interface.{i}.`
pub fn list_ppp(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.devices.iter().filter(|d| is(view, d, Layer::Ppp)).map(|d| d.name.clone()));
}

/// `Device.PPP.Interface.{i}.` with `IPCP.` and `IPv6CP.`
pub fn fill_ppp(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ppp) else {
        return;
    };
    let v4 = view.addresses_of(device).find(|a| a.local.is_ipv4());
    let is_local = |a: &&OwnAddress| matches!(a.local, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let v6 = view.addresses_of(device).find(is_local);
    let own = |a: Option<&OwnAddress>| a.map(|a| a.local);
    let peer = |a: Option<&OwnAddress>| a.and_then(|a| a.peer);
    for (at, w) in want.iter().enumerate() {
        let ip = match w.param.name() {
            // A PPP device of Linux has addresses only while a session is up.
            "ConnectionStatus" => {
                let is_connected = device.is_up() && (v4.is_some() || v6.is_some());
                out.put(at, if is_connected { "Connected" } else { "Disconnected" });
                continue;
            }
            "LocalIPAddress" => own(v4),
            "RemoteIPAddress" => peer(v4),
            "LocalInterfaceIdentifier" => own(v6),
            "RemoteInterfaceIdentifier" => peer(v6),
            name => {
                common(view, (Layer::Ppp, row.key()), device, name, at, out);
                continue;
            }
        };
        if let Some(ip) = ip {
            out.put(at, ip);
        }
    }
}
