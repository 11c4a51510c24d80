//! `Device.Firewall.`, `Device.NAT.` and `Device.Hosts.AccessControl.`: rules, redirects, forwardings and sets of
//! `/etc/config/firewall`. A rule is in the one chain that there is, and seen from the other tables that speak of
//! its kind: services of the box, pinholes to the hosts behind it, hosts that are kept from something.

use super::fields::{self, Field, Form::*, Place, View};
use super::{opened, zones};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};

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
    Field("AllInterfaces", "src", Any),
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
pub const SPECS: &[Spec] = &[
    Spec {
        name: "firewall",
        list,
        fill,
        plan,
        key: fresh_key,
        packages: &["firewall"],
        objects: &[],
    },
    Spec {
        name: "firewall_set",
        list: list_entries,
        fill: fill_entries,
        plan: plan_entries,
        key: adds_nothing,
        packages: &["firewall"],
        objects: &[],
    },
    Spec {
        name: "access_schedule",
        list: list_schedule,
        fill: fill_schedule,
        plan: plan_schedule,
        key: adds_nothing,
        packages: &["firewall"],
        objects: &[],
    },
];

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let Some(view) = view(row) else { return Ok(()) };
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
    let Some(view) = view(row) else { return Ok(()) };
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
        return Err((0, Failure::denied("read only on this platform")));
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
                return Err((at, fields::bad("an address, or a network with the length of its prefix")));
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

/// The plan of a new section.
pub fn fresh(kind: &str, name: &str, options: &[(&str, &str)]) -> Vec<Edit> {
    let make = Edit::Make { kind: kind.to_owned(), name: name.to_owned() };
    let set = |(option, value): &(&str, &str)| set(name, option, value);
    std::iter::once(make).chain(options.iter().map(set)).collect()
}

/// The edit that sets an option.
pub fn set(section: &str, option: &str, value: impl Into<String>) -> Edit {
    Edit::Set { section: section.to_owned(), option: option.to_owned(), value: value.into() }
}

/// A row that is not there any more.
pub fn gone() -> Failure {
    Failure { code: crate::model::fault::Code::INVALID_NAME, text: "the row is gone".to_owned() }
}

/// The name of a section that is to be made, `cwmpd_rule_7`: the row's number, or the next that is free.
///
/// # Errors
/// The package cannot be read.
pub fn fresh_name(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    package: &str,
    kind: &str,
    number: u32,
) -> Result<String, Failure> {
    let there = sources.package(ctx, package)?.unwrap_or_default();
    let mut names = (number..).map(|n| format!("cwmpd_{kind}_{n}"));
    let free = |name: &String| there.section(name).is_none() && !sources.is_gathered(package, name);
    names.find(free).ok_or_else(|| Failure::internal("no name is free"))
}

fn fresh_key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let view = view(row).ok_or_else(|| Failure::denied("no rows can be added here"))?;
    fresh_name(sources, ctx, view.package, view.kind, number)
}

// The entries of a set are one row: the standard has them in as many as one likes.

/// What the entries of a set are.
fn set_type(set: &Section<'_>) -> &'static str {
    let of = |end: &str| set.words("match").iter().any(|m| m.ends_with(end));
    match (of("mac"), of("port")) {
        (true, _) => "MACAddresses",
        (_, true) => "Ports",
        _ => "IPAddresses",
    }
}

fn list_entries(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "firewall")?.unwrap_or_default();
    if row.keys.first().is_some_and(|key| package.section(key).is_some()) {
        out.push("entries");
    }
    Ok(())
}

fn fill_entries(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "firewall")?.unwrap_or_default();
    let Some(set) = row.keys.first().and_then(|key| package.section(key)) else {
        return Ok(());
    };
    let kind = set_type(&set);
    for (at, want) in want.iter().enumerate() {
        let name = want.param.name();
        match name {
            "Type" => out.put(at, kind),
            _ if list_of(kind) == name => fields::put_list(set.items("entry").into_iter(), at, out),
            _ => {}
        }
    }
    Ok(())
}

/// The parameter that has the entries of a set of this type.
fn list_of(kind: &str) -> &'static str {
    match kind {
        "MACAddresses" => "MACAddressList",
        "Ports" => "PortList",
        _ => "IPAddressList",
    }
}

fn plan_entries(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "firewall").map_err(|f| (0, f))?.unwrap_or_default();
    let Some(set) = row.keys.first().and_then(|key| package.section(key)) else {
        return Err((0, gone()));
    };
    let Change::Set(sets) = change else {
        return Err((0, Failure::denied("a set has one list of entries")));
    };
    let mut plan = Plan::new();
    for (at, want) in sets.iter().enumerate() {
        let section = set.key().into_owned();
        let (option, items) = match (want.param.name(), want.value) {
            ("Type", value) => {
                // At the end of a packet that it was about so far.
                let end = if set.words("match").iter().any(|m| m.starts_with("dest")) { "dest" } else { "src" };
                let what = match value {
                    "MACAddresses" => "mac",
                    "Ports" => "port",
                    _ => "net",
                };
                ("match", vec![format!("{end}_{what}")])
            }
            (name, value) if name == list_of(set_type(&set)) || value.is_empty() => {
                ("entry", value.split(',').filter(|v| !v.is_empty()).map(str::to_owned).collect())
            }
            _ => return Err((at, fields::bad("the set is of another type"))),
        };
        plan.push(("firewall".to_owned(), Edit::List { section, option: option.to_owned(), items }));
    }
    Ok(plan)
}

// The times at which a host is kept out are one row.

fn access<'a>(package: &'a Package, row: &Row<'_>) -> Option<Section<'a>> {
    row.keys.first().and_then(|key| package.section(key))
}

fn list_schedule(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "firewall")?.unwrap_or_default();
    let timed = |s: &Section<'_>| ["start_time", "stop_time", "weekdays"].iter().any(|o| s.get(o).is_some());
    if access(&package, row).is_some_and(|s| timed(&s)) {
        out.push("times");
    }
    Ok(())
}

/// Seconds of a time of day, `21:30` or `21:30:15`.
fn seconds(time: &str) -> Option<u32> {
    let mut parts = time.split(':').map(|p| p.parse::<u32>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    Some(hours * 3600 + minutes * 60 + seconds).filter(|s| *s <= DAY)
}

/// Seconds of a day.
const DAY: u32 = 86400;

fn fill_schedule(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "firewall")?.unwrap_or_default();
    let Some(rule) = access(&package, row) else { return Ok(()) };
    let time = |option, unless| rule.get(option).map_or(Some(unless), seconds);
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, true),
            "Day" => fields::put_list(rule.words("weekdays").into_iter(), at, out),
            "StartTime" => out.put(at, rule.get("start_time").and_then(|t| t.get(..5)).unwrap_or("00:00")),
            "Duration" => {
                if let (Some(from), Some(to)) = (time("start_time", 0), time("stop_time", DAY)) {
                    out.put(at, if to > from { to - from } else { to + DAY - from });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn plan_schedule(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "firewall").map_err(|f| (0, f))?.unwrap_or_default();
    let Some(rule) = access(&package, row) else { return Err((0, gone())) };
    let key = rule.key().into_owned();
    let Change::Set(sets) = change else {
        return Err((0, Failure::denied("a rule has one time at which it is in force")));
    };
    let mut edits = Vec::new();
    let old = |option, unless| rule.get(option).and_then(seconds).unwrap_or(unless);
    let (mut from, to) = (old("start_time", 0), old("stop_time", DAY));
    let mut lasts = if to > from { to - from } else { to + DAY - from };
    let mut timed = false;
    for (at, want) in sets.iter().enumerate() {
        match want.param.name() {
            "Day" => edits.push(set(&key, "weekdays", want.value.replace(',', " "))),
            "StartTime" => {
                from = seconds(want.value).ok_or((at, fields::bad("a time of day is needed")))?;
                timed = true;
            }
            "Duration" => {
                lasts = want.value.parse().unwrap_or(0);
                if !(1..=DAY).contains(&lasts) {
                    return Err((at, fields::bad("a day has 86400 seconds")));
                }
                timed = true;
            }
            _ => return Err((at, Failure::denied("read only on this platform"))),
        }
    }
    if timed {
        let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
        edits.push(set(&key, "start_time", clock(from)));
        // The firewall knows no 24:00.
        edits.push(set(&key, "stop_time", clock((from + lasts) % DAY)));
    }
    Ok(edits.into_iter().map(|edit| ("firewall".to_owned(), edit)).collect())
}
