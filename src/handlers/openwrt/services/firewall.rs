//! `Device.Firewall.`, `Device.NAT.` and `Device.Hosts.AccessControl.`: rules, redirects, forwardings and sets of
//! `/etc/config/firewall`. A rule is in the one chain that there is, and seen from the other tables that speak of
//! its kind: services of the box, pinholes to the hosts behind it, hosts that are kept from something.

use super::fields::{self, Field, Form::*, View};
use super::{bad, fresh, fresh_name, gone, opened, read_only, zones};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::Spec;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Package, Section};

/// The words for what becomes of a packet.
const TARGETS: &[(&str, &str)] = &[("ACCEPT", "Accept"), ("DROP", "Drop"), ("REJECT", "Reject")];

fn any(_: &Package, _: &Section<'_>) -> bool {
    true
}

/// A rule for what comes to the box itself.
fn is_service(_: &Package, rule: &Section<'_>) -> bool {
    rule.get("src").is_some_and(|s| s != "*")
        && rule.get("dest").is_none()
        && rule.get("target").is_some_and(|t| TARGETS.iter().any(|w| w.0.eq_ignore_ascii_case(t)))
}

/// A rule that lets something in from outside.
fn is_pinhole(firewall: &Package, rule: &Section<'_>) -> bool {
    rule.get("src").is_some_and(|s| zones::is_outside(firewall, s))
        && rule.get("dest").is_some_and(|d| d != "*")
        && rule.get("target").is_some_and(|t| t.eq_ignore_ascii_case("ACCEPT"))
}

/// A rule about one host that is known by its MAC address.
fn is_access(_: &Package, rule: &Section<'_>) -> bool {
    rule.get("src_mac").is_some_and(|mac| !mac.starts_with('!')) && rule.get("src").is_some()
}

fn is_dnat(redirect: &Section<'_>) -> bool {
    redirect.get("target").is_none_or(|t| t.eq_ignore_ascii_case("DNAT"))
}

/// A redirect of all that comes.
fn is_dmz(_: &Package, redirect: &Section<'_>) -> bool {
    is_dnat(redirect) && redirect.get("src_dport").is_none() && is_for_all(redirect)
}

fn is_for_all(section: &Section<'_>) -> bool {
    section.words("proto").iter().any(|p| matches!(*p, "all" | "any" | "*"))
}

/// A redirect of some ports.
fn is_mapping(_: &Package, redirect: &Section<'_>) -> bool {
    is_dnat(redirect) && !is_for_all(redirect)
}

/// The table that redirects are in, and ports that hosts opened by UPnP.
const MAPPINGS: &str = "Device.NAT.PortMapping.{i}.";

const RULE: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("Order", "", Order),
    Field("Description", "name", Text),
    Field("Target", "target", Words(TARGETS)),
    Field("Log", "log", Log),
    Field("SourceInterface", "src", Zone),
    Field("SourceAllInterfaces", "src", Any),
    Field("DestInterface", "dest", Zone),
    Field("DestAllInterfaces", "dest", Any),
    Field("IPVersion", "family", Family(-1)),
    Field("DestIP", "dest_ip", Address),
    Field("DestMask", "dest_ip", Prefix),
    Field("DestIPExclude", "dest_ip", Not),
    Field("DestMatchSet", "ipset", SetName("dest", false)),
    Field("DestMatchSetExclude", "ipset", SetName("dest", true)),
    Field("SourceIP", "src_ip", Address),
    Field("SourceMask", "src_ip", Prefix),
    Field("SourceIPExclude", "src_ip", Not),
    Field("SourceMatchSet", "ipset", SetName("src", false)),
    Field("SourceMatchSetExclude", "ipset", SetName("src", true)),
    Field("Protocol", "proto", Protocol),
    Field("ProtocolExclude", "proto", Not),
    Field("DestPort", "dest_port", Port(-1)),
    Field("DestPortRangeMax", "dest_port", LastPort(-1)),
    Field("DestPortExclude", "dest_port", Not),
    Field("SourcePort", "src_port", Port(-1)),
    Field("SourcePortRangeMax", "src_port", LastPort(-1)),
    Field("SourcePortExclude", "src_port", Not),
    Field("DSCP", "dscp", Class),
    Field("DSCPExclude", "dscp", Not),
    Field("SourceMAC", "src_mac", Address),
    Field("SourceMACExclude", "src_mac", Not),
];

const PINHOLE: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("Origin", "", Origin),
    Field("Description", "name", Text),
    Field("Interface", "src", Zone),
    Field("SourcePort", "src_port", Port(-1)),
    Field("SourcePortRangeMax", "src_port", LastPort(-1)),
    Field("DestPort", "dest_port", Port(-1)),
    Field("DestPortRangeMax", "dest_port", LastPort(-1)),
    Field("IPVersion", "family", Family(-1)),
    Field("Protocol", "proto", Protocols),
    Field("SourcePrefixes", "src_ip", List),
    Field("DestIP", "dest_ip", Address),
    Field("Log", "log", Log),
];

const SERVICE: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("Interface", "src", Zone),
    Field("DestPort", "dest_port", Ports),
    Field("IPVersion", "family", Family(-1)),
    Field("Protocol", "proto", Protocols),
    Field("ICMPType", "icmp_type", Icmp),
    Field("SourcePrefixes", "src_ip", List),
    Field("Action", "target", Words(TARGETS)),
    Field("Log", "log", Log),
];

const DMZ: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("Origin", "", Origin),
    Field("Description", "name", Text),
    Field("Interface", "src", Zone),
    Field("DestIP", "dest_ip", Text),
    Field("SourcePrefix", "src_ip", Text),
    Field("Log", "log", Log),
];

const MAPPING: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("Origin", "", Origin),
    Field("Interface", "src", Zone),
    Field("RemoteHost", "src_ip", Text),
    Field("ExternalPort", "src_dport", Port(0)),
    Field("ExternalPortEndRange", "src_dport", LastPort(0)),
    Field("InternalPort", "dest_port", Port(0)),
    Field("Protocol", "proto", Transport),
    Field("InternalClient", "dest_ip", Text),
    Field("Description", "name", Text),
    Field("Log", "log", Log),
];

const POLICY: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Status", "enabled", Status),
    Field("SourceInterface", "src", Zone),
    Field("DestinationInterface", "dest", Zone),
    Field("IPVersion", "family", Family(-1)),
];

const ACCESS: &[Field] = &[
    Field("Origin", "", Origin),
    Field("PhysAddress", "src_mac", Address),
    Field("HostName", "name", Text),
    Field("Enable", "enabled", Flag(true)),
    Field("AccessPolicy", "target", Words(&[("REJECT", "Deny"), ("DROP", "Deny"), ("ACCEPT", "Allow")])),
];

const SET: &[Field] = &[
    Field("Enable", "enabled", Flag(true)),
    Field("Origin", "", Origin),
    Field("Name", "name", Text),
    Field("IPVersion", "family", Family(4)),
];

/// The tables.
static VIEWS: &[View] = &[
    View {
        path: "Device.Firewall.Chain.{i}.Rule.{i}.",
        package: "firewall",
        kind: "rule",
        fits: any,
        split: true,
        fields: RULE,
        fresh: &[("enabled", "0"), ("src", "*"), ("dest", "*"), ("proto", "all"), ("target", "DROP")],
    },
    View {
        path: "Device.Firewall.Pinhole.{i}.",
        package: "firewall",
        kind: "rule",
        fits: is_pinhole,
        split: false,
        fields: PINHOLE,
        fresh: &[("enabled", "0"), ("src", "wan"), ("dest", "lan"), ("proto", "all"), ("target", "ACCEPT")],
    },
    View {
        path: "Device.Firewall.Service.{i}.",
        package: "firewall",
        kind: "rule",
        fits: is_service,
        split: false,
        fields: SERVICE,
        fresh: &[("enabled", "0"), ("src", "wan"), ("proto", "all"), ("target", "ACCEPT")],
    },
    View {
        path: "Device.Firewall.DMZ.{i}.",
        package: "firewall",
        kind: "redirect",
        fits: is_dmz,
        split: false,
        fields: DMZ,
        fresh: &[("enabled", "0"), ("src", "wan"), ("dest", "lan"), ("proto", "all"), ("target", "DNAT")],
    },
    View {
        path: "Device.NAT.PortMapping.{i}.",
        package: "firewall",
        kind: "redirect",
        fits: is_mapping,
        split: true,
        fields: MAPPING,
        fresh: &[("enabled", "0"), ("src", "wan"), ("dest", "lan"), ("proto", "tcp"), ("target", "DNAT")],
    },
    View {
        path: "Device.Firewall.Policy.{i}.",
        package: "firewall",
        kind: "forwarding",
        fits: any,
        split: false,
        fields: POLICY,
        fresh: &[("enabled", "0")],
    },
    View {
        path: "Device.Firewall.Set.{i}.",
        package: "firewall",
        kind: "ipset",
        fits: any,
        split: false,
        fields: SET,
        fresh: &[("enabled", "0"), ("match", "src_net")],
    },
    View {
        path: "Device.Hosts.AccessControl.{i}.",
        package: "firewall",
        kind: "rule",
        fits: is_access,
        split: false,
        fields: ACCESS,
        fresh: &[
            ("enabled", "0"),
            ("src", "lan"),
            ("dest", "*"),
            ("proto", "all"),
            ("src_mac", "00:00:00:00:00:00"),
            ("target", "REJECT"),
        ],
    },
];

/// The table of a row.
fn view(row: &Row<'_>) -> Option<&'static View> {
    VIEWS.iter().find(|v| v.path == row.object.path())
}

/// The providers.
pub const SPECS: &[Spec] =
    &[Spec { name: "firewall", list, fill, plan, key: fresh_key, packages: &["firewall"], objects: &[] }];

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let Some(view) = view(row) else {
        // The rules of all zones are one chain.
        if row.object.name() == "Chain" && sources.package(ctx, "firewall")?.is_some() {
            out.push("rule");
        }
        return Ok(());
    };
    if let Some(package) = sources.package(ctx, view.package)? {
        out.extend(fields::rows(view, &package).iter().map(fields::key));
    }
    if view.path == MAPPINGS {
        out.extend(opened::read(ctx.root).iter().map(opened::Lease::key));
    }
    Ok(())
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(view) = view(row) else {
        // The object above all tables: which level there is.
        let package = sources.package(ctx, "firewall")?.unwrap_or_default();
        for (at, _) in want.iter().enumerate().filter(|(_, w)| w.param.name() == "AdvancedLevel") {
            let level = package.of_kind("defaults").next();
            level.iter().for_each(|level| out.refer(at, "Device.Firewall.Level.{i}.", &[&level.key()]));
        }
        return Ok(());
    };
    if view.path == MAPPINGS && row.key().starts_with(opened::PREFIX) {
        opened::fill(sources, ctx, row.key(), want, out);
        return Ok(());
    }
    let package = sources.package(ctx, view.package)?.unwrap_or_default();
    let Some(place) = fields::find(view, &package, row.key()) else {
        return Ok(());
    };
    for (at, want) in want.iter().enumerate() {
        if let Some(field) = view.fields.iter().find(|f| f.0 == want.param.name()) {
            fields::show(view, &place, field, at, out);
            if field.0 == "InternalPort" && place.section.get(field.1).is_none() {
                // The same port, when nothing is said.
                fields::show(view, &place, &Field("", "src_dport", Port(0)), at, out);
            }
        }
    }
    Ok(())
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Some(view) = view(row) else {
        return Err((0, read_only()));
    };
    if view.path == MAPPINGS && row.key().starts_with(opened::PREFIX) {
        return Err((0, Failure::denied("a host of the network opened this port, and closes it")));
    }
    let package = sources.package(ctx, view.package).map_err(|f| (0, f))?.unwrap_or_default();
    let mut edits = Vec::new();
    match change {
        Change::Add => edits = fresh(view.kind, row.key(), view.fresh),
        Change::Delete => {
            if let Some(place) = fields::find(view, &package, row.key()) {
                edits.push(fields::plan_delete(view, &place));
            }
        }
        Change::Set(sets) => {
            let place = fields::find(view, &package, row.key()).ok_or_else(|| (0, gone()))?;
            if let Some(at) = sets.iter().position(|s| is_no_address(s.param.name(), s.value)) {
                return Err((at, bad("an address, or a network with the length of its prefix")));
            }
            fields::plan_set(view, &place, sets, &mut edits)?;
        }
    }
    Ok(edits.into_iter().map(|edit| (view.package.to_owned(), edit)).collect())
}

/// What is free text in the standard and an address in the firewall.
fn is_no_address(name: &str, value: &str) -> bool {
    let address = value.split('/').next().unwrap_or("");
    matches!(name, "InternalClient" | "RemoteHost")
        && !value.is_empty()
        && (address.parse::<std::net::IpAddr>().is_err()
            || value.split_once('/').is_some_and(|(_, n)| n.parse::<u8>().is_err()))
}

fn fresh_key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let view = view(row).ok_or_else(|| Failure::denied("no rows can be added here"))?;
    fresh_name(sources, ctx, view.package, view.kind, number)
}
