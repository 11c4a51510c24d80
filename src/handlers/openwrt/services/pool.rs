//! `Device.DHCPv4.Server.Pool.{i}.` and that of DHCPv6: what follows from several options, or from the network.

use super::lan::{self, Net};
use super::options::{give, given};
use super::{bad, fields::put_list, gone, lan::length, leases, read_only, set};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing, lists_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::uci::{Edit, Package, Section};
use std::net::Ipv4Addr;

/// The providers.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "dhcp4_pool",
        list: lists_nothing,
        fill: fill4,
        plan: plan4,
        key: adds_nothing,
        packages: &["dhcp", "network"],
        objects: &["network.interface"],
    },
    Spec {
        name: "dhcp6_pool",
        list: lists_nothing,
        fill: fill6,
        plan: plan6,
        key: adds_nothing,
        packages: &["dhcp"],
        objects: &["network.interface"],
    },
    Spec {
        name: "dhcp4_relay",
        list: lists_nothing,
        fill: fill_relay,
        plan: plan_relay,
        key: adds_nothing,
        packages: &["dhcp", "network"],
        objects: &["network.interface"],
    },
];

/// The pool of a row, or of a row within it.
pub fn of<'a>(package: &'a Package, row: &Row<'_>) -> Option<Section<'a>> {
    row.keys.first().and_then(|key| package.section(key)).filter(|s| s.kind() == "dhcp")
}

/// The interface that a pool is for.
pub fn interface<'a>(pool: &Section<'a>) -> &'a str {
    pool.get("interface").or(pool.name()).unwrap_or("")
}

/// The network that a pool is of, with the mask that its clients are told.
pub fn net(sources: &mut Sources, ctx: &Ctx<'_>, pool: &Section<'_>) -> Option<Net> {
    let net = lan::net(sources, ctx, interface(pool))?;
    let told = pool.get("netmask").and_then(|mask| mask.parse().ok().map(length).or(mask.parse().ok()));
    Some(Net { prefix: told.filter(|n| *n <= 32).unwrap_or(net.prefix), ..net })
}

fn is_on4(pool: &Section<'_>) -> bool {
    pool.flag("ignore") != Some(true) && pool.get("dhcpv4") != Some("disabled")
}

fn is_on6(pool: &Section<'_>) -> bool {
    pool.flag("ignore") != Some(true) && matches!(pool.get("dhcpv6"), Some("server" | "relay" | "hybrid"))
}

/// The first address that is given, and how many there are.
fn range(pool: &Section<'_>, net: Net) -> (u32, u32) {
    // `100`, or `0.0.1.100` of a large network.
    let start = pool.get("start").map_or(Some(100), |s| match s.parse() {
        Ok(number) => Some(number),
        Err(_) => s.parse().ok().map(Ipv4Addr::to_bits),
    });
    let size = pool.get("limit").and_then(|l| l.parse().ok()).unwrap_or(150);
    (net.base().saturating_add(start.unwrap_or(100)), size)
}

/// The last address that is given: that of the broadcast is none.
fn last(first: u32, size: u32, net: Net) -> u32 {
    first.saturating_add(size.max(1) - 1).min(net.last().saturating_sub(1))
}

fn fill4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(pool) = of(&package, row) else { return Ok(()) };
    let net = net(sources, ctx, &pool);
    let options = given(&pool);
    let option = |tag| options.iter().find(|o| o.tag == tag).map(|o| o.value);
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, is_on4(&pool)),
            "Status" => {
                let up = || lan::is_up(&lan::dump(sources, ctx), interface(&pool));
                out.put(at, status(is_on4(&pool), net.is_some(), up));
            }
            "Order" => out.put(at, order(&package, &pool)),
            "MinAddress" | "MaxAddress" => {
                let Some(net) = net else { continue };
                let (first, size) = range(&pool, net);
                let last = last(first, size, net);
                // A network may be too small for the pool.
                if first <= last {
                    out.put(at, Ipv4Addr::from(if want.param.name() == "MinAddress" { first } else { last }));
                }
            }
            "ReservedAddresses" => {
                let Some(net) = net else { continue };
                let (first, size) = range(&pool, net);
                let within = first..=last(first, size, net);
                let hosts = package.of_kind("host").filter(|h| h.flag("enable") != Some(false));
                let fixed = hosts.filter_map(|h| h.get("ip")?.parse::<Ipv4Addr>().ok());
                put_list(fixed.filter(|a| within.contains(&a.to_bits())), at, out);
            }
            "SubnetMask" => {
                let Some(net) = net else { continue };
                out.put(at, Ipv4Addr::from(crate::handlers::linux::network::mask4(net.prefix)));
            }
            // What is not said otherwise is the box itself.
            "DNSServers" | "IPRouters" => {
                let tag = if want.param.name() == "IPRouters" { 3 } else { 6 };
                match (option(tag), net) {
                    (Some(value), _) => out.put(at, value),
                    (None, Some(net)) => out.put(at, net.address),
                    (None, None) => {}
                }
            }
            "WINSServers" => out.put(at, option(44).unwrap_or("")),
            "DomainName" => {
                let domain = package.of_kind("dnsmasq").find_map(|s| s.get("domain"));
                out.put(at, option(15).or(domain).unwrap_or(""));
            }
            _ => {}
        }
    }
    Ok(())
}

fn status(on: bool, has_network: bool, is_up: impl FnOnce() -> bool) -> &'static str {
    match (on, has_network) {
        (false, _) => "Disabled",
        (true, false) => "Error_Misconfigured",
        (true, true) if is_up() => "Enabled",
        _ => "Error",
    }
}

fn order(package: &Package, pool: &Section<'_>) -> usize {
    package.of_kind("dhcp").take_while(|p| p.index() != pool.index()).count() + 1
}

/// The edits that switch a pool on or off. The other protocol of a section that was left out stays off.
fn switch(pool: &Section<'_>, on: bool, own: &str, other: &str, edits: &mut Vec<Edit>) {
    let key = pool.key();
    if !on {
        return edits.push(set(&key, own, "disabled"));
    }
    if pool.flag("ignore") == Some(true) {
        edits.push(set(&key, "ignore", ""));
        edits.push(set(&key, other, "disabled"));
    }
    if !matches!(pool.get(own), Some("server" | "relay" | "hybrid")) {
        edits.push(set(&key, own, "server"));
    }
}

fn plan4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else { return Err((0, read_only())) };
    let package = sources.package(ctx, "dhcp").map_err(|f| (0, f))?.unwrap_or_default();
    let pool = of(&package, row).ok_or_else(|| (0, gone()))?;
    let key = pool.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        match one.param.name() {
            "Enable" => switch(&pool, one.value == "true", "dhcpv4", "dhcpv6", &mut edits),
            "MinAddress" | "MaxAddress" => {}
            "SubnetMask" if one.value.is_empty() => edits.push(set(&key, "netmask", "")),
            "SubnetMask" => {
                let mask: Ipv4Addr = one.value.parse().map_err(|_| (at, bad("no mask")))?;
                if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() < 32 {
                    return Err((at, bad("a mask with a gap")));
                }
                edits.push(set(&key, "netmask", one.value));
            }
            "DNSServers" => give(&pool, 6, one.value, &mut edits),
            "IPRouters" => give(&pool, 3, one.value, &mut edits),
            "WINSServers" => give(&pool, 44, one.value, &mut edits),
            "DomainName" if one.value.contains([',', ' ', '\'', '"']) => {
                return Err((at, bad("one domain")));
            }
            "DomainName" => give(&pool, 15, one.value, &mut edits),
            _ => return Err((at, read_only())),
        }
    }
    let ends = |name: &str| sets.iter().enumerate().find(|(_, s)| s.param.name() == name);
    if let Some((at, _)) = ends("MinAddress").or_else(|| ends("MaxAddress")) {
        let net = net(sources, ctx, &pool).ok_or_else(|| (at, bad("the pool has no network yet")))?;
        bounds(&pool, net, ends("MinAddress"), ends("MaxAddress"), &mut edits)?;
    }
    Ok(edits.into_iter().map(|edit| ("dhcp".to_owned(), edit)).collect())
}

/// The edits that move the ends of a pool.
fn bounds(
    pool: &Section<'_>,
    net: Net,
    min: Option<(usize, &Set<'_>)>,
    max: Option<(usize, &Set<'_>)>,
    edits: &mut Vec<Edit>,
) -> Result<(), (usize, Failure)> {
    let (old, size) = range(pool, net);
    let read = |end: Option<(usize, &Set<'_>)>, old: u32| match end {
        None => Ok((usize::MAX, old)),
        Some((at, one)) => match one.value.parse::<Ipv4Addr>() {
            Ok(address)
                if net.contains(address)
                    && net.base() < address.to_bits()
                    && address.to_bits() < net.last() =>
            {
                Ok((at, address.to_bits()))
            }
            _ => Err((at, bad("not an address of the pool's network"))),
        },
    };
    let (first_at, first) = read(min, old)?;
    let (last_at, last) = read(max, last(old, size, net))?;
    if last < first {
        return Err((last_at.min(first_at), bad("the last address is below the first")));
    }
    edits.push(set(&pool.key(), "start", (first - net.base()).to_string()));
    edits.push(set(&pool.key(), "limit", (last - first + 1).to_string()));
    Ok(())
}

fn fill6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(pool) = of(&package, row) else { return Ok(()) };
    let dump = lan::dump(sources, ctx);
    let name = interface(&pool);
    let prefixes = lan::interface(&dump, name).and_then(|i| i.get("ipv6-prefix-assignment"));
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, is_on6(&pool)),
            "Status" => {
                let on = is_on6(&pool);
                out.put(at, status(on, true, || lan::is_up(&dump, name)));
            }
            "Order" => out.put(at, order(&package, &pool)),
            "IANAPrefixes" | "IAPDPrefixes" => {
                let option = if want.param.name() == "IANAPrefixes" { "dhcpv6_na" } else { "dhcpv6_pd" };
                if !is_on6(&pool) || pool.flag(option) == Some(false) {
                    continue;
                }
                for prefix in prefixes.into_iter().flat_map(|p| p.fields()).map(|f| f.1) {
                    let length = prefix.get("mask").and_then(|m| m.number()).unwrap_or(128);
                    let text = format!("{}/{length}", lan::text(prefix, "address"));
                    out.refer(at, "Device.IP.Interface.{i}.IPv6Prefix.{i}.", &[name, &text]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn plan6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "dhcp").map_err(|f| (0, f))?.unwrap_or_default();
    let pool = of(&package, row).ok_or_else(|| (0, gone()))?;
    let Change::Set([one]) = change else { return Err((0, read_only())) };
    let mut edits = Vec::new();
    switch(&pool, one.value == "true", "dhcpv6", "dhcpv4", &mut edits);
    Ok(edits.into_iter().map(|edit| ("dhcp".to_owned(), edit)).collect())
}

// A relay is told the address at which it listens: that of an interface.

fn fill_relay(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(relay) = package.section(row.key()) else { return Ok(()) };
    let local = relay.get("local_addr").and_then(|a| a.parse::<Ipv4Addr>().ok());
    let network = sources.package(ctx, "network")?.unwrap_or_default();
    let names = network.of_kind("interface").filter_map(|i| i.name());
    let found =
        names.filter(|name| lan::net(sources, ctx, name).is_some_and(|n| Some(n.address) == local)).last();
    for (at, _) in want.iter().enumerate() {
        found.into_iter().for_each(|name| out.refer(at, super::zones::INTERFACE, &[name]));
    }
    Ok(())
}

fn plan_relay(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set([one]) = change else { return Err((0, read_only())) };
    let address = match one.refers.and_then(<[String]>::first) {
        Some(name) => {
            let net = lan::net(sources, ctx, name).ok_or_else(|| (0, bad("the interface has no address")))?;
            net.address.to_string()
        }
        None => String::new(),
    };
    Ok(vec![("dhcp".to_owned(), set(row.key(), "local_addr", address))])
}

/// Whether a lease is of a pool.
pub fn holds(net: Option<Net>, lease: &leases::Lease) -> bool {
    net.is_some_and(|net| net.contains(lease.address))
}
