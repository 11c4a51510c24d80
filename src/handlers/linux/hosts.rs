//! `Device.Hosts.`: stations on the local networks, from the neighbour table, from what bridges
//! learned, and from the leases that dnsmasq gave.
//!
//! On a machine that forwards packets, who is seen on the uplink is no host of ours and left out.
//! The kernel tells of silence, not of absence: a station that was not heard of for
//! [`PRESENT_FOR`] counts as gone.

use super::layers::{Layer, is, ports};
use super::network::View;
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::netlink::link::Mac;
use crate::sys::netlink::route::{Neighbour, neighbour_state as state};
use crate::sys::order;
use crate::sys::sorted::SortedMap;
use crate::sys::{clock, host, kernel_file};
use std::net::IpAddr;

/// The most hosts shown.
const MAX_HOSTS: usize = 4096;
/// The most bytes read of a lease file.
const MAX_LEASES: u64 = 1024 * 1024;
/// Seconds after which a station that nothing was heard of is not present.
const PRESENT_FOR: u32 = 300;
/// Where dnsmasq keeps its leases: OpenWrt, Debian, others.
pub const LEASE_FILES: [&str; 3] =
    ["tmp/dhcp.leases", "var/lib/misc/dnsmasq.leases", "var/lib/dnsmasq/dnsmasq.leases"];

/// One station.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// Its MAC address, which is its key.
    pub mac: Mac,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// The device whose network it is on; 0 for a lease of which nothing else is known.
    pub device: u32,
    /// The port it was heard on; 0 when not known.
    pub port: u32,
    /// Whether it is present.
    pub active: bool,
    /// The name it gave itself when it asked for a lease.
    pub name: String,
}

/// Puts together what is known, by MAC address.
pub fn gather(view: &View, known: &[Neighbour], learned: &[Neighbour]) -> Vec<Host> {
    let forwards = kernel_file::number::<u32>(&view.file("proc/sys/net/ipv4/ip_forward")).unwrap_or(0) != 0;
    let uplink = view.uplink().filter(|_| forwards).map_or(0, |d| d.index);
    let mut hosts: SortedMap<Mac, Host> = SortedMap::new();
    for n in known {
        let (Some(mac), Some(address)) = (n.mac.filter(|m| !m.is_no_station()), n.address) else {
            continue;
        };
        let is_nobody = n.state & (state::NO_ARP | state::INCOMPLETE) != 0 || address.is_multicast();
        if is_nobody || n.link == uplink || hosts.len() >= MAX_HOSTS && !hosts.contains_key(&mac) {
            continue;
        }
        let host = hosts.entry(mac).or_default();
        host.mac = mac;
        host.device = n.link;
        let heard = n.state & (state::REACHABLE | state::DELAY | state::PROBE | state::PERMANENT) != 0;
        host.active |= heard || n.state & state::STALE != 0 && n.confirmed < PRESENT_FOR;
        if n.state & state::FAILED == 0 && !host.addresses.contains(&address) {
            host.addresses.push(address);
        }
    }
    leases(view, &mut hosts);
    for n in learned {
        // A bridge's own addresses are permanent.
        let Some(host) =
            n.mac.and_then(|mac| hosts.get_mut(&mac)).filter(|_| n.state & state::PERMANENT == 0)
        else {
            continue;
        };
        host.port = n.link;
        host.active |= n.confirmed < PRESENT_FOR;
    }
    let mut all: Vec<Host> = hosts.into_values().collect();
    for host in &mut all {
        // The one shown as the host's address is the first: IPv4, then global IPv6.
        let rank = |a: &IpAddr| match a {
            IpAddr::V4(_) => 0,
            IpAddr::V6(a) if a.is_unicast_link_local() => 2,
            IpAddr::V6(_) => 1,
        };
        order::sort_by(&mut host.addresses, |a, b| rank(a).cmp(&rank(b)));
        if host.port == 0 && view.at(host.device).is_some_and(|d| d.kind != "bridge") {
            host.port = host.device;
        }
    }
    all
}

/// Adds the names and addresses of leases; a line is time, MAC, address, name (`*` for none), client id.
fn leases(view: &View, hosts: &mut SortedMap<Mac, Host>) {
    let now = host::now(&view.root);
    for file in LEASE_FILES {
        // Everybody may write to /tmp: what lies there need not be a file.
        let Ok(text) = host::read_bytes(&view.root, file, MAX_LEASES) else {
            continue;
        };
        for line in String::from_utf8_lossy(&text).lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(until), Some(mac), Some(address), Some(name)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let (Ok(until), Some(mac), Ok(address)) =
                (until.parse::<i64>(), Mac::read(mac), address.parse::<IpAddr>())
            else {
                continue;
            };
            // 0 is a lease without end.
            let is_over = until != 0 && clock::believed(now) && until < now;
            if is_over || hosts.len() >= MAX_HOSTS && !hosts.contains_key(&mac) {
                continue;
            }
            let host = hosts.entry(mac).or_default();
            host.mac = mac;
            if name != "*" {
                host.name = name.to_string();
            }
            if !host.addresses.contains(&address) {
                host.addresses.push(address);
            }
        }
    }
}

fn station<'v>(view: &'v View, row: &Row<'_>) -> Option<&'v Host> {
    let mac = Mac::read(row.keys.first()?)?;
    let at = view.hosts.binary_search_by_key(&mac, |h| h.mac).ok()?;
    view.hosts.get(at)
}

/// The keys of `Device.Hosts.Host.{i}.`: MAC addresses.
pub fn list(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.hosts.iter().map(|h| h.mac.to_string()));
}

/// `Device.Hosts.Host.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(host) = station(view, row) else { return };
    let port = view.at(host.port);
    let layer = port.and_then(|p| [Layer::Ethernet, Layer::Ssid].into_iter().find(|l| is(view, p, *l)));
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "PhysAddress" => out.put(at, host.mac),
            "IPAddress" => {
                if let Some(address) = host.addresses.first() {
                    out.put(at, address);
                }
            }
            "Layer1Interface" => match (port, layer) {
                (Some(port), Some(Layer::Ethernet)) => {
                    out.refer(at, "Device.Ethernet.Interface.{i}.", &[&port.name])
                }
                (Some(port), Some(_)) => {
                    if let Some(radio) = view.key(Layer::Radio, port) {
                        out.refer(at, "Device.WiFi.Radio.{i}.", &[radio]);
                    }
                }
                _ => {}
            },
            "Layer3Interface" => {
                if let Some(device) = view.at(host.device) {
                    let six = host.addresses.first().is_some_and(IpAddr::is_ipv6);
                    view.refer_ip(out, at, device, six);
                }
            }
            "InterfaceType" => out.put(
                at,
                match layer {
                    Some(Layer::Ethernet) => "Ethernet",
                    Some(_) => "Wi-Fi",
                    None if all_ethernet(view, host) => "Ethernet",
                    None => "Other",
                },
            ),
            "HostName" => out.put(at, &host.name),
            "Active" => out.put(at, host.active),
            _ => {}
        }
    }
}

/// A station behind a bridge of which the port is not known is on Ethernet when all ports are.
fn all_ethernet(view: &View, host: &Host) -> bool {
    let Some(bridge) = view.at(host.device).filter(|d| d.kind == "bridge") else {
        return false;
    };
    ports(view, bridge).next().is_some() && ports(view, bridge).all(|p| is(view, p, Layer::Ethernet))
}

/// `SourceAddress` of a client of DHCPv6, whose key is its DUID: the link local address of the host whose MAC
/// address the DUID was made of (types 1 and 3 of RFC 8415).
pub fn fill_source(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let duid = row.key();
    let is_made = matches!(duid.get(..4), Some("0001" | "0003"));
    let tail = duid.len().checked_sub(12).and_then(|from| duid.get(from..)).filter(|_| is_made);
    let mac = tail.and_then(|t| u64::from_str_radix(t, 16).ok());
    let of = |host: &&Host| host.mac.0.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let Some(host) = view.hosts.iter().find(|host| Some(of(host)) == mac) else {
        return;
    };
    let local = |a: &&IpAddr| matches!(a, IpAddr::V6(a) if a.is_unicast_link_local());
    for (at, _) in want.iter().enumerate() {
        if let Some(address) = host.addresses.iter().find(local) {
            out.put(at, address);
        }
    }
}

/// The keys of `Device.Hosts.Host.{i}.IPv4Address.{i}.`
pub fn list_ipv4(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some(host) = station(view, row) else { return };
    out.extend(host.addresses.iter().filter(|a| a.is_ipv4()).map(IpAddr::to_string));
}

/// The keys of `Device.Hosts.Host.{i}.IPv6Address.{i}.`
pub fn list_ipv6(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some(host) = station(view, row) else { return };
    out.extend(host.addresses.iter().filter(|a| a.is_ipv6()).map(IpAddr::to_string));
}

/// `Device.Hosts.Host.{i}.IPv4Address.{i}.` and `IPv6Address.{i}.`: the key is the address.
pub fn fill_address(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(host) = station(view, row) else { return };
    if !host.addresses.iter().any(|a| row.key().parse() == Ok(*a)) {
        return;
    }
    for (at, w) in want.iter().enumerate() {
        if w.param.name() == "IPAddress" {
            out.put(at, row.key());
        }
    }
}
