//! Static routes of the package network, and what else the kernel's main table has.
//!
//! A route that a section says is one row with the kernel's, under the section's key; the kernel's others go by
//! the kernel's keys and cannot be changed.

use super::super::sources::Sources;
use super::naming;
use super::{NETWORK, Planned, denied, drop, edit, look, planned, read, set, wrong};
use crate::handlers::linux::naming::Names;
use crate::handlers::linux::network::{View, Way, mask4, part, prefix_text};
use crate::handlers::linux::route;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Set, Want};
use crate::sys::uci::{Edit, Package, Section};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The types of sections.
const KINDS: [&str; 2] = ["route", "route6"];

/// What a section says.
struct Said {
    target: IpAddr,
    bits: u8,
    gateway: Option<IpAddr>,
    metric: u32,
    kind: u8,
}

fn parse(section: &Section<'_>, six: bool) -> Option<Said> {
    let text = section.get("target").unwrap_or(if six { "::/0" } else { "0.0.0.0/0" });
    let (target, bits) = text.split_once('/').unwrap_or((text, ""));
    let target: IpAddr = target.parse().ok().filter(|t: &IpAddr| t.is_ipv6() == six)?;
    let mask = |text: &str| text.parse::<Ipv4Addr>().map(|m| m.to_bits().leading_ones() as u8).ok();
    let bits = match (bits, section.get("netmask").filter(|_| !six)) {
        ("", Some(text)) => mask(text).or_else(|| text.parse().ok())?,
        ("", None) => {
            if six {
                128
            } else {
                32
            }
        }
        (bits, _) => bits.parse().ok()?,
    };
    Some(Said {
        target,
        bits,
        gateway: section.get("gateway").and_then(|g| g.parse().ok()),
        metric: section.get("metric").and_then(|m| m.parse().ok()).unwrap_or(0),
        kind: match section.get("type") {
            Some("blackhole" | "6") => 6,
            Some("unreachable" | "7") => 7,
            Some("prohibit" | "8") => 8,
            _ => 1,
        },
    })
}

/// Whether the kernel's route is what a section says.
fn is_of(view: &View, way: &Way, said: &Said, section: &Section<'_>) -> bool {
    let interface = section.get("interface").unwrap_or("");
    let same = || {
        let device = view.at(way.link).map_or("", |device| &device.name);
        let named = |names: &Names| names.0.iter().any(|n| n.key == interface && n.device == device);
        device.is_empty() || interface.is_empty() || view.names.as_ref().is_some_and(named)
    };
    // The kernel gives routes of IPv6 without a metric this one.
    let metric = if said.target.is_ipv6() && said.metric == 0 { 1024 } else { said.metric };
    prefix_text(way.destination, way.prefix) == prefix_text(said.target, said.bits)
        && way.kind == said.kind
        && way.gateway == said.gateway
        && (way.metric == metric || way.metric == said.metric)
        && same()
}

/// One row: what a section says, what the kernel has, or both.
struct Own<'p, 'v> {
    section: Option<Section<'p>>,
    way: Option<&'v Way>,
}

fn all<'p, 'v>(package: Option<&'p Package>, view: &'v View, six: bool) -> Vec<Own<'p, 'v>> {
    let ways = || view.routes.iter().filter(|w| w.destination.is_ipv6() == six);
    let mut all = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    for section in package.into_iter().flat_map(|p| p.of_kind(KINDS[usize::from(six)])) {
        let said = parse(&section, six).filter(|_| section.flag("disabled") != Some(true));
        let way = said.and_then(|said| {
            ways().find(|w| !taken.contains(&w.key.as_str()) && is_of(view, w, &said, &section))
        });
        taken.extend(way.map(|w| w.key.as_str()));
        all.push(Own { section: Some(section), way });
    }
    let others = ways().filter(|w| !taken.contains(&w.key.as_str()));
    all.extend(others.map(|way| Own { section: None, way: Some(way) }));
    all
}

fn key_of(own: &Own<'_, '_>) -> String {
    match (&own.section, own.way) {
        (Some(section), _) => section.key().into_owned(),
        (None, way) => way.map_or(String::new(), |w| w.key.clone()),
    }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, six: bool, out: &mut Keys) -> Result<(), Failure> {
    let package = read(sources, ctx);
    look(sources, ctx, part::ROUTES, &mut |view| {
        out.extend(all(package.as_deref(), view, six).iter().map(key_of));
    })
}

/// The keys of `Device.Routing.Router.{i}.IPv4Forwarding.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list4(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    list(sources, ctx, false, out)
}

/// The keys of `Device.Routing.Router.{i}.IPv6Forwarding.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list6(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    list(sources, ctx, true, out)
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    six: bool,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    look(sources, ctx, part::ROUTES, &mut |view| {
        let all = all(package.as_deref(), view, six);
        let Some(own) = all.iter().find(|own| key_of(own) == row.key()) else { return };
        let ours = own.section.as_ref();
        for (at, w) in want.iter().enumerate() {
            match (w.param.name(), ours, own.way) {
                ("Enable", Some(section), _) => out.put(at, section.flag("disabled") != Some(true)),
                ("StaticRoute", Some(_), _) => out.put(at, true),
                // netifd's own routes of a provider or an interface are no administrator's.
                ("StaticRoute", None, _) => out.put(at, false),
                ("Interface", Some(section), _) => {
                    let interface = section.get("interface").unwrap_or("");
                    out.refer(at, "Device.IP.Interface.{i}.", &[interface]);
                }
                ("Origin", None, Some(way)) => out.put(at, origin(package.as_deref(), view, way)),
                (name, _, Some(way)) if six => route::fill_ipv6_one(view, way, name, at, out),
                (name, _, Some(way)) => route::fill_ipv4_one(view, way, name, at, out),
                (name, Some(section), None) => configured(section, six, name, at, out),
                _ => {}
            }
        }
    })
}

/// Who made a route: netifd installs all of its own as static, so the protocol of the interface says it.
fn origin(package: Option<&Package>, view: &View, way: &Way) -> &'static str {
    const BY_NETIFD: u8 = 4;
    let known = route::origin(way);
    if way.protocol != BY_NETIFD || way.gateway.is_none() {
        return known;
    }
    let device = view.at(way.link).map_or("", |device| &device.name);
    let six = way.destination.is_ipv6();
    let interface = view.names.as_ref().and_then(|names| names.ip(device, six));
    let section = interface.and_then(|named| package?.section(&named.key));
    match (section.and_then(|s| s.get("proto")), six) {
        (Some("dhcp"), false) => "DHCPv4",
        (Some("dhcpv6"), true) => "DHCPv6",
        (Some(proto), false) if naming::PPP.contains(&proto) => "IPCP",
        (Some("qmi" | "mbim" | "ncm" | "modemmanager" | "wwan"), _) => "3GPP-NAS",
        _ => known,
    }
}

/// What a section says of a route that the kernel has not.
fn configured(section: &Section<'_>, six: bool, name: &str, at: usize, out: &mut Fields) {
    let said = parse(section, six);
    match (name, &said) {
        ("Status", None) if section.flag("disabled") != Some(true) => out.put(at, "Error_Misconfigured"),
        ("Status", _) if section.flag("disabled") == Some(true) => out.put(at, "Disabled"),
        ("Status", _) => out.put(at, "Error"),
        ("ForwardingPolicy", _) => out.put(at, -1),
        ("Origin", _) => out.put(at, "Static"),
        ("Type", _) => out.put(at, type_word(said.as_ref().map_or(1, |said| said.kind))),
        ("ForwardingMetric", Some(said)) => out.put(at, said.metric),
        ("DestIPAddress" | "DestSubnetMask" | "DestIPPrefix", Some(said)) if said.bits == 0 => {}
        ("DestIPAddress", Some(said)) => out.put(at, said.target),
        ("DestSubnetMask", Some(said)) => out.put(at, Ipv4Addr::from_bits(mask4(said.bits))),
        ("DestIPPrefix", Some(said)) => out.put(at, prefix_text(said.target, said.bits)),
        ("GatewayIPAddress" | "NextHop", Some(Said { gateway: Some(gateway), .. })) => out.put(at, gateway),
        _ => {}
    }
}

fn type_word(kind: u8) -> &'static str {
    match kind {
        6 => "Blackhole",
        7 => "Unreachable",
        8 => "Prohibit",
        _ => "Normal",
    }
}

/// `Device.Routing.Router.{i}.IPv4Forwarding.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    fill(sources, ctx, row, false, want, out)
}

/// `Device.Routing.Router.{i}.IPv6Forwarding.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    fill(sources, ctx, row, true, want, out)
}

/// The key of a new route: the name of a section that never was.
///
/// # Errors
/// There is no package.
pub fn key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let package = sources.package(ctx, NETWORK)?;
    let package = package.ok_or_else(|| Failure::denied("there is no /etc/config/network"))?;
    let six = row.object.path().contains("IPv6");
    let mut name = format!("cwmpd_{}_{number}", KINDS[usize::from(six)]);
    while package.section(&name).is_some() {
        name.push('b');
    }
    Ok(name)
}

/// The edits of a change of a route of IPv4.
///
/// # Errors
/// 9001 for a route that no section says, 9007 for a mask with holes.
pub fn plan4(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    plan(sources, ctx, row, change, false)
}

/// The edits of a change of a route of IPv6.
///
/// # Errors
/// 9001 for a route that no section says.
pub fn plan6(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    plan(sources, ctx, row, change, true)
}

fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, six: bool) -> Planned {
    let key = row.key();
    if let Change::Add = change {
        let kind = KINDS[usize::from(six)].to_owned();
        let made = [Edit::Make { kind, name: key.to_owned() }, set(key, "disabled", "1")];
        return Ok(planned(made.into()));
    }
    let package = edit(sources, ctx)?;
    let section = package.section(key).filter(|s| KINDS.contains(&s.kind()));
    let section = section.ok_or_else(|| denied(0, "the route is not from the configuration"))?;
    let Change::Set(sets) = change else { return Ok(planned(vec![drop(&section)])) };
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        edits.extend(change_one(&section, at, one, sets)?);
    }
    Ok(planned(edits))
}

/// The edits that set one value.
fn change_one(
    section: &Section<'_>,
    at: usize,
    one: &Set<'_>,
    sets: &[Set<'_>],
) -> Result<Vec<Edit>, (usize, Failure)> {
    let key = section.key();
    let value = one.value;
    let put = |option: &str, value: &str| Ok(vec![set(&key, option, value)]);
    match (one.param.name(), value) {
        ("Enable", "true") => put("disabled", ""),
        ("Enable", _) => put("disabled", "1"),
        ("Interface", "") => put("interface", ""),
        ("Interface", _) => {
            let interface =
                one.refers.and_then(|keys| keys.last()).ok_or_else(|| wrong(at, "no interface"))?;
            put("interface", interface)
        }
        ("GatewayIPAddress" | "NextHop", value) => put("gateway", value),
        ("ForwardingMetric", "-1") => put("metric", ""),
        ("ForwardingMetric", value) => put("metric", value),
        ("Type", "Normal") => put("type", ""),
        ("Type", "Receive") => Err(wrong(at, "the kernel makes these itself")),
        ("Type", value) => put("type", &value.to_ascii_lowercase()),
        ("DestIPPrefix", "") => put("target", "::/0"),
        ("DestIPPrefix", value) => {
            let (address, bits) = value.split_once('/').unwrap_or((value, "128"));
            let (Ok(address), Ok(bits)) = (address.parse::<Ipv6Addr>(), bits.parse()) else {
                return Err(wrong(at, "no prefix"));
            };
            put("target", &prefix_text(address.into(), bits))
        }
        ("DestIPAddress" | "DestSubnetMask", _) => {
            let said = parse(section, false);
            let new = |name| sets.iter().find(|s| s.param.name() == name).map(|s| s.value);
            let target = new("DestIPAddress").map(str::to_owned);
            let target = target.or_else(|| said.as_ref().map(|s| s.target.to_string())).unwrap_or_default();
            let mask = new("DestSubnetMask").map(str::to_owned);
            let kept = || said.as_ref().map(|s| Ipv4Addr::from_bits(mask4(s.bits)).to_string());
            let mask = mask.or_else(kept).unwrap_or_default();
            let bits: Ipv4Addr = if mask.is_empty() {
                Ipv4Addr::UNSPECIFIED
            } else {
                mask.parse().map_err(|_| wrong(at, "no mask"))?
            };
            if bits.to_bits() != mask4(bits.to_bits().leading_ones() as u8) {
                return Err(wrong(at, "the mask has holes"));
            }
            // Empty is all destinations, whatever the mask.
            let everything = target.is_empty() || target == "0.0.0.0";
            let target = if everything { "0.0.0.0" } else { &target };
            let mask = if everything { "0.0.0.0".to_owned() } else { bits.to_string() };
            Ok(vec![set(&key, "target", target), set(&key, "netmask", mask)])
        }
        _ => Err(denied(at, "read only on this platform")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_routes() {
        let said = |options: &[(&str, &str)], six: bool| {
            let mut text = "config route 'r'\n".to_owned();
            options.iter().for_each(|(name, value)| text.push_str(&format!("\toption {name} '{value}'\n")));
            let package = Package::parse("network", text.into_bytes(), b"").unwrap();
            let said = parse(&package.section("r").unwrap(), six)?;
            let gateway = said.gateway.map_or("-".to_owned(), |g| g.to_string());
            Some(format!("{}/{} {gateway} {} {}", said.target, said.bits, said.metric, said.kind))
        };
        for (options, six, want) in [
            (
                &[("target", "10.0.0.0"), ("netmask", "255.0.0.0"), ("gateway", "192.0.2.1")][..],
                false,
                Some("10.0.0.0/8 192.0.2.1 0 1"),
            ),
            (&[("target", "10.0.0.0/9"), ("metric", "7")], false, Some("10.0.0.0/9 - 7 1")),
            (&[("target", "10.0.0.1"), ("type", "blackhole")], false, Some("10.0.0.1/32 - 0 6")),
            (&[], false, Some("0.0.0.0/0 - 0 1")),
            (&[], true, Some("::/0 - 0 1")),
            (&[("target", "fd00::/8"), ("gateway", "fe80::1")], true, Some("fd00::/8 fe80::1 0 1")),
            (&[("target", "fd00::/8")], false, None),
            (&[("target", "10.0.0.0"), ("netmask", "x")], false, None),
            (&[("target", "everywhere")], false, None),
        ] {
            assert_eq!(said(options, six).as_deref(), want, "{options:?}");
        }
    }
}
