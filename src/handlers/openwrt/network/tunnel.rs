//! Provider `net_tunnel`: values of tunnels that UCI keeps in two options, or that point at a row by what it
//! is; and `net_wireguard`, peers, whose sections have a type for each interface.

use super::super::sources::Sources;
use super::{Planned, denied, drop, edit, planned, read, set, wrong};
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Set, Want};
use crate::sys::ubus::Value;
use crate::sys::uci::{Edit, Section};

/// Parameters that are a prefix, by object: option of the address, option of the length.
const PREFIXES: &[(&str, &str, &str, &str)] = &[
    ("Device.IPv6rd.InterfaceSetting.{i}.", "SPIPv6Prefix", "ip6prefix", "ip6prefixlen"),
    ("Device.MAP.Domain.{i}.Rule.{i}.", "IPv6Prefix", "ip6prefix", "ip6prefixlen"),
    ("Device.MAP.Domain.{i}.Rule.{i}.", "IPv4Prefix", "ipaddr", "ip4prefixlen"),
    // The relay of encapsulation is one address.
    ("Device.MAP.Domain.{i}.", "BRIPv6Prefix", "peeraddr", ""),
];

fn options(row: &Row<'_>, name: &str) -> Option<(&'static str, &'static str)> {
    let path = row.object.path();
    let found = PREFIXES.iter().find(|(object, param, ..)| *object == path && *param == name);
    found.map(|(_, _, address, length)| (*address, *length))
}

/// The tables with values of two options.
///
/// # Errors
/// None.
pub fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let key = row.keys.first().copied().unwrap_or("");
    let Some(package) = read(sources, ctx) else { return Ok(()) };
    let Some(section) = package.section(key) else { return Ok(()) };
    let link = section.get("tunlink").unwrap_or("");
    for (at, w) in want.iter().enumerate() {
        match (w.param.name(), options(row, w.param.name())) {
            (_, Some((address, length))) => {
                let Some(text) = section.get(address) else { continue };
                let whole = if text.contains(':') { "128" } else { "32" };
                let bits = section.get(length).unwrap_or(whole);
                match text.contains('/') {
                    true => out.put(at, text),
                    false => out.put(at, format_args!("{text}/{bits}")),
                }
            }
            ("AddressSource", _) if !link.is_empty() => {
                out.refer(at, "Device.IP.Interface.{i}.IPv4Address.{i}.", &[link, "primary"]);
            }
            ("IPv6Prefix", _) => {
                if let Some(prefix) = delegated(sources, ctx, link) {
                    out.refer(at, "Device.IP.Interface.{i}.IPv6Prefix.{i}.", &[link, &prefix]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first prefix that an interface was delegated.
fn delegated(sources: &mut Sources, ctx: &Ctx<'_>, interface: &str) -> Option<String> {
    let dump = sources.answer(ctx, "network.interface", "dump", &[])?;
    let list = dump.root().get("interface")?;
    let is_it = |e: &Value<'_>| e.get("interface").and_then(Value::text) == Some(interface);
    let (_, one) = list.fields().map(|(_, e)| e).find(is_it)?.get("ipv6-prefix")?.fields().next()?;
    Some(format!("{}/{}", one.get("address")?.text()?, one.get("mask")?.number()?))
}

/// The edits of a change.
///
/// # Errors
/// 9001: the interface is gone; 9007 for a relay that is no single address.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let Change::Set(sets) = change else { return Ok(Vec::new()) };
    let key = row.keys.first().copied().unwrap_or("");
    let package = edit(sources, ctx)?;
    let section = package.section(key).ok_or_else(|| denied(0, "the interface is gone"))?;
    let key = section.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        let (address, length) =
            options(row, one.param.name()).ok_or_else(|| denied(at, "read only on this platform"))?;
        let (text, bits) = one.value.split_once('/').unwrap_or((one.value, ""));
        edits.push(set(&key, address, text));
        match (length, bits) {
            ("", "" | "128") => {}
            ("", _) => return Err(wrong(at, "the relay is one address here")),
            (length, bits) => edits.push(set(&key, length, bits)),
        }
    }
    Ok(planned(edits))
}

/// Options of a peer by parameter; of a list its items.
const PEER: &[(&str, &str)] = &[
    ("Name", "description"),
    ("PublicKey", "public_key"),
    ("PresharedKey", "preshared_key"),
    ("EndpointHost", "endpoint_host"),
    ("EndpointPort", "endpoint_port"),
    ("PersistentKeepalive", "persistent_keepalive"),
    ("RouteAllowedIPs", "route_allowed_ips"),
];

fn kind(row: &Row<'_>) -> String {
    ["wireguard_", row.keys.first().copied().unwrap_or("")].concat()
}

/// The keys of `Device.X_CWMPD_WireGuard.Interface.{i}.Peer.{i}.`
///
/// # Errors
/// None.
pub fn list_peers(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    out: &mut Keys,
) -> Result<(), Failure> {
    let (package, kind) = (read(sources, ctx), kind(row));
    out.extend(package.iter().flat_map(|p| p.of_kind(&kind)).map(|s| s.key()));
    Ok(())
}

/// `Device.X_CWMPD_WireGuard.Interface.{i}.Peer.{i}.`
///
/// # Errors
/// None.
pub fn fill_peer(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(package) = read(sources, ctx) else { return Ok(()) };
    let Some(section) = package.section(row.key()).filter(|s| s.kind() == kind(row)) else { return Ok(()) };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, section.flag("disabled") != Some(true)),
            "AllowedIPs" => out.put(at, section.words("allowed_ips").join(",")),
            "RouteAllowedIPs" => out.put(at, section.flag("route_allowed_ips") == Some(true)),
            name => {
                let value = PEER.iter().find(|(n, _)| *n == name).and_then(|(_, o)| section.get(o));
                if let Some(value) = value {
                    out.put(at, value);
                }
            }
        }
    }
    Ok(())
}

/// The key of a new peer: the name of its section.
///
/// # Errors
/// None.
pub fn peer_key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let package = read(sources, ctx);
    let parent = row.numbers.first().copied().unwrap_or(0);
    let mut name = format!("cwmpd_peer_{parent}_{number}");
    while package.as_ref().is_some_and(|p| p.section(&name).is_some()) {
        name.push('b');
    }
    Ok(name)
}

/// The edits of a change of a peer.
///
/// # Errors
/// 9001: the peer is gone.
pub fn plan_peer(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let key = row.key();
    if let Change::Add = change {
        let made = Edit::Make { kind: kind(row), name: key.to_owned() };
        return Ok(planned(vec![made, set(key, "disabled", "1")]));
    }
    let package = edit(sources, ctx)?;
    let section = package.section(key).filter(|s| s.kind() == kind(row));
    let section = section.ok_or_else(|| denied(0, "the peer is gone"))?;
    let Change::Set(sets) = change else { return Ok(planned(vec![drop(&section)])) };
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        edits.push(peer_edit(&section, at, one)?);
    }
    Ok(planned(edits))
}

fn peer_edit(section: &Section<'_>, at: usize, one: &Set<'_>) -> Result<Edit, (usize, Failure)> {
    let key = section.key();
    let flag = |on: bool| if on { "1" } else { "" };
    Ok(match (one.param.name(), one.value) {
        ("Enable", value) => set(&key, "disabled", flag(value != "true")),
        ("RouteAllowedIPs", value) => set(&key, "route_allowed_ips", flag(value == "true")),
        ("AllowedIPs", value) => {
            let items = value.split(',').filter(|i| !i.is_empty()).map(str::to_owned).collect();
            Edit::List { section: key.into_owned(), option: "allowed_ips".into(), items }
        }
        (name, value) => {
            let option = PEER.iter().find(|(n, _)| *n == name);
            set(&key, option.ok_or_else(|| denied(at, "read only on this platform"))?.1, value)
        }
    })
}
