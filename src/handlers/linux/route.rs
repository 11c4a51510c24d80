//! `Device.Routing.`: the kernel's main table, and what routers advertise.
//!
//! The one router's key is [`MAIN`]. Routes to the machine itself and to everybody (tables `local`)
//! are the kernel's own business and not shown.

use super::ip::put_time;
use super::layers::{Layer, is};
use super::network::{View, Way, mask4, prefix_text};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::kernel_file;
use std::net::{IpAddr, Ipv4Addr};

/// The key of the router.
pub const MAIN: &str = "main";
const PROTOCOL_RA: u8 = 9;

/// The keys of `Device.Routing.Router.{i}.`
pub fn list_routers(_view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.push(MAIN);
}

/// `Device.Routing.Router.{i}.`
pub fn fill_router(_view: &View, _row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, true),
            "Status" => out.put(at, "Enabled"),
            _ => {}
        }
    }
}

/// The keys of `Device.Routing.Router.{i}.IPv4Forwarding.{i}.`
pub fn list_ipv4(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.routes.iter().filter(|r| r.destination.is_ipv4()).map(|r| r.key.clone()));
}

/// The keys of `Device.Routing.Router.{i}.IPv6Forwarding.{i}.`
pub fn list_ipv6(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.routes.iter().filter(|r| r.destination.is_ipv6()).map(|r| r.key.clone()));
}

/// What both tables have.
fn common(view: &View, way: &Way, name: &str, at: usize, out: &mut Fields) {
    match name {
        "Enable" => out.put(at, true),
        // The kernel takes routes of a device that is down out of the table.
        "Status" => out.put(at, "Enabled"),
        "Type" => out.put(
            at,
            match way.kind {
                6 => "Blackhole",
                7 => "Unreachable",
                8 => "Prohibit",
                _ => "Normal",
            },
        ),
        "ForwardingPolicy" => out.put(at, -1),
        "ForwardingMetric" => out.put(at, way.metric.min(i32::MAX as u32)),
        "Interface" => {
            if let Some(device) = view.at(way.link).filter(|d| is(view, d, Layer::Ip)) {
                view.refer_ip(out, at, device, way.destination.is_ipv6());
            }
        }
        "Origin" => out.put(at, origin(way)),
        _ => {}
    }
}

/// Who made a route.
pub fn origin(way: &Way) -> &'static str {
    const DHCP: u8 = 16;
    const OSPF: u8 = 188;
    const RIP: u8 = 189;
    match (way.protocol, way.destination.is_ipv4()) {
        (DHCP, true) => "DHCPv4",
        (DHCP, false) => "DHCPv6",
        (PROTOCOL_RA, false) => "RA",
        (OSPF, _) => "OSPF",
        (RIP, true) => "RIP",
        (RIP, false) => "RIPng",
        _ => "Static",
    }
}

/// `Device.Routing.Router.{i}.IPv4Forwarding.{i}.`
pub fn fill_ipv4(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(way) = view.seek(&view.routes, |r| r.key == row.key()) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        fill_ipv4_one(view, way, w.param.name(), at, out);
    }
}

/// A value of a route of IPv4.
pub fn fill_ipv4_one(view: &View, way: &Way, name: &str, at: usize, out: &mut Fields) {
    // By RTPROT_BOOT and RTPROT_STATIC administrators make routes.
    const BY_HAND: [u8; 2] = [3, 4];
    match name {
        "StaticRoute" => out.put(at, BY_HAND.contains(&way.protocol)),
        // Empty stands for all destinations (TR-181).
        "DestIPAddress" if way.prefix == 0 => {}
        "DestIPAddress" => out.put(at, way.destination),
        "DestSubnetMask" if way.prefix == 0 => {}
        "DestSubnetMask" => out.put(at, Ipv4Addr::from_bits(mask4(way.prefix))),
        "GatewayIPAddress" => {
            // A next hop of IPv6 has no place in this table.
            if let Some(gateway @ IpAddr::V4(_)) = way.gateway {
                out.put(at, gateway);
            }
        }
        name => common(view, way, name, at, out),
    }
}

/// `Device.Routing.Router.{i}.IPv6Forwarding.{i}.`
pub fn fill_ipv6(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(way) = view.seek(&view.routes, |r| r.key == row.key()) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        fill_ipv6_one(view, way, w.param.name(), at, out);
    }
}

/// A value of a route of IPv6.
pub fn fill_ipv6_one(view: &View, way: &Way, name: &str, at: usize, out: &mut Fields) {
    match name {
        "DestIPPrefix" if way.prefix == 0 => {}
        "DestIPPrefix" => out.put(at, prefix_text(way.destination, way.prefix)),
        "NextHop" => {
            if let Some(gateway) = way.gateway {
                out.put(at, gateway);
            }
        }
        "ExpirationTime" => put_time(&view.root, out, at, way.expires),
        name => common(view, way, name, at, out),
    }
}

/// The first route that a router advertised on the device, as the kernel keeps it.
fn advertised<'v>(view: &'v View, name: &str) -> Option<&'v Way> {
    let index = view.device(name)?.index;
    view.routes.iter().find(|r| r.link == index && r.protocol == PROTOCOL_RA && r.gateway.is_some())
}

/// `Device.Routing.RouteInformation.`
pub fn fill_information(view: &View, _row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        if w.param.name() == "Enable" {
            let accept = kernel_file::number::<i32>(&view.file("proc/sys/net/ipv6/conf/default/accept_ra"));
            out.put(at, accept.is_some_and(|a| a > 0));
        }
    }
}

/// The keys of `Device.Routing.RouteInformation.InterfaceSetting.{i}.`
pub fn list_advertised(view: &View, _row: &Row<'_>, out: &mut Keys) {
    let with = view.devices.iter().filter(|d| is(view, d, Layer::Ip) && advertised(view, &d.name).is_some());
    out.extend(with.map(|d| d.name.clone()));
}

/// `Device.Routing.RouteInformation.InterfaceSetting.{i}.`
pub fn fill_advertised(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(way) = advertised(view, row.key()) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Status" => out.put(at, "ForwardingEntryCreated"),
            "Interface" => {
                if let Some(device) = view.at(way.link) {
                    view.refer_ip(out, at, device, true);
                }
            }
            "SourceRouter" => {
                if let Some(gateway) = way.gateway {
                    out.put(at, gateway);
                }
            }
            "PreferredRouteFlag" => out.put(
                at,
                match way.preference {
                    1 => "High",
                    3 => "Low",
                    _ => "Medium",
                },
            ),
            "Prefix" => out.put(at, prefix_text(way.destination, way.prefix)),
            "RouteLifetime" => put_time(&view.root, out, at, way.expires),
            _ => {}
        }
    }
}
