//! Provider `ow_time`: the NTP daemons of OpenWrt. The key `sysntpd` is busybox's (section `ntp` of package
//! system); all others are sections of package chrony: `server`, `pool` and `peer` are clients, `allow` servers.

use super::{INTERFACE, Spec, bad, procd, put};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::fault::Code;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Set, Want};
use crate::sys::host;
use crate::sys::uci::{Edit, Package, Section};
use std::rc::Rc;

const SYSTEM: &str = "system";
const CHRONY: &str = "chrony";
const SYSNTPD: &str = "sysntpd";
const SECTION: &str = "ntp";
const SOURCES: [&str; 3] = ["server", "pool", "peer"];
/// What the daemons leave when they follow a server: dnsmasq's script for sysntpd, chrony its drift.
const MARKS: [(&str, &str); 2] = [(SYSNTPD, "/var/state/dnsmasqsec"), ("chronyd", "/var/lib/chrony/drift")];

/// The provider.
pub const SPEC: Spec =
    Spec { name: "ow_time", list, fill, plan, key, packages: &[SYSTEM, CHRONY], objects: &["*"] };

/// The two packages, as far as they are there.
struct Found {
    system: Option<Rc<Package>>,
    chrony: Option<Rc<Package>>,
}

impl Found {
    fn read(sources: &mut Sources, ctx: &Ctx<'_>) -> Result<Found, Failure> {
        Ok(Found { system: sources.package(ctx, SYSTEM)?, chrony: sources.package(ctx, CHRONY)? })
    }

    /// The section of busybox's daemon.
    fn ntp(&self) -> Option<Section<'_>> {
        self.system.as_deref()?.section(SECTION).filter(|s| s.kind() == "timeserver")
    }

    /// The section of a client or a server.
    fn section(&self, key: &str) -> Option<Section<'_>> {
        if key == SYSNTPD { self.ntp() } else { self.chrony.as_deref()?.section(key) }
    }
}

/// The daemon that serves a row.
fn daemon(key: &str) -> &'static str {
    if key == SYSNTPD { SYSNTPD } else { "chronyd" }
}

/// Whether a daemon follows a server: its mark is younger than the system is up.
fn is_synchronized(ctx: &Ctx<'_>, daemon: &str) -> bool {
    let mark = MARKS.iter().find(|m| m.0 == daemon).and_then(|m| host::modified(ctx.root, m.1));
    let up = host::uptime(ctx.root).map_or(0, |up| up.as_secs());
    mark.is_some_and(|changed| changed >= host::now(ctx.root).saturating_sub_unsigned(up))
}

fn is_on(key: &str, section: Section<'_>) -> bool {
    match key {
        SYSNTPD => section.flag("enabled") != Some(false),
        _ => section.flag("disabled") != Some(true),
    }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let found = Found::read(sources, ctx)?;
    let kinds: &[&str] = if row.object.name() == "Client" { &SOURCES } else { &["allow"] };
    if found.ntp().is_some() {
        out.push(SYSNTPD);
    }
    if let Some(chrony) = &found.chrony {
        out.extend(chrony.sections().filter(|s| kinds.contains(&s.kind())).map(|s| s.key()));
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
    let found = Found::read(sources, ctx)?;
    if row.keys.is_empty() {
        let status = all(sources, ctx);
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, enabled(&found)),
                "Status" => out.put(i, status),
                _ => {}
            }
        }
        return Ok(());
    }
    let Some(section) = found.section(row.key()) else {
        return Ok(());
    };
    let runs = procd::is_up(sources, ctx, daemon(row.key()));
    for (i, want) in want.iter().enumerate() {
        match row.object.name() {
            "Server" => server(row.key(), section, runs, want.param.name(), i, out),
            "Authentication" => out.put(i, section.flag("nts") == Some(true)),
            _ => client(ctx, row.key(), section, runs, want.param.name(), i, out),
        }
    }
    Ok(())
}

/// Of a package chrony that is there its clients count, else busybox's daemon.
fn enabled(found: &Found) -> bool {
    let ntp = found.ntp().is_some_and(|s| is_on(SYSNTPD, s));
    let chrony = found.chrony.as_ref();
    ntp || chrony.is_some_and(|p| p.sections().any(|s| SOURCES.contains(&s.kind()) && is_on("", s)))
}

/// Status of Device.Time.: what holds of one of the daemons that run holds.
fn all(sources: &mut Sources, ctx: &Ctx<'_>) -> &'static str {
    let running: Vec<_> = MARKS.iter().filter(|(d, _)| procd::is_up(sources, ctx, d)).collect();
    match running.iter().any(|(d, _)| is_synchronized(ctx, d)) {
        _ if running.is_empty() => "Disabled",
        true => "Synchronized",
        false => "Unsynchronized",
    }
}

fn client(
    ctx: &Ctx<'_>,
    key: &str,
    section: Section<'_>,
    runs: bool,
    name: &str,
    i: usize,
    out: &mut Fields,
) {
    let chrony = key != SYSNTPD;
    match name {
        "Enable" => out.put(i, is_on(key, section)),
        "Status" => out.put(
            i,
            match is_on(key, section) {
                false => "Disabled",
                true if !runs => "Error",
                true if is_synchronized(ctx, daemon(key)) => "Synchronized",
                true => "Unsynchronized",
            },
        ),
        "Servers" if chrony => put(out, i, section.get("hostname").map(item)),
        "Servers" => {
            let items: Vec<String> = section.items("server").into_iter().map(item).collect();
            out.put(i, items.join(","));
        }
        "ResolveAddresses" => out.put(i, section.kind() == "pool"),
        // chrony's own limit.
        "ResolveMaxAddresses" if section.kind() == "pool" => {
            out.put(i, section.get("maxsources").unwrap_or("4"))
        }
        "Peer" => out.put(i, section.kind() == "peer"),
        "MinPoll" if chrony => out.put(i, section.get("minpoll").unwrap_or("6")),
        "MaxPoll" if chrony => out.put(i, section.get("maxpoll").unwrap_or("10")),
        "IBurst" => out.put(i, section.flag("iburst") == Some(true)),
        _ => {}
    }
}

/// As an item of a list is written.
fn item(text: &str) -> String {
    text.replace('%', "%25").replace(',', "%2C")
}

fn server(key: &str, section: Section<'_>, runs: bool, name: &str, i: usize, out: &mut Fields) {
    let on = key != SYSNTPD || section.flag("enable_server") == Some(true);
    match name {
        "Enable" => out.put(i, on),
        "Status" => out.put(i, if on && runs { "Up" } else { "Down" }),
        "Interface" => {
            if let Some(interface) = section.get("interface") {
                out.refer(i, INTERFACE, &[interface]);
            }
        }
        "BindType" => out.put(i, if key == SYSNTPD { "Device" } else { "Address" }),
        _ => {}
    }
}

/// chrony's clients come and go; busybox's daemon is one.
fn key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    match sources.package(ctx, CHRONY)? {
        Some(_) if row.object.name() == "Client" => Ok(format!("cwmpd_server_{number}")),
        _ => Err(Failure::denied("there is one client where there is no chrony")),
    }
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let found = Found::read(sources, ctx).map_err(|f| (0, f))?;
    let key = row.key().to_owned();
    let package = if key == SYSNTPD || key.is_empty() { SYSTEM } else { CHRONY };
    let mut edits = Vec::new();
    match change {
        // It is off, and has no server, until the ACS says more.
        Change::Add => {
            edits.push(Edit::Make { kind: "server".into(), name: key.clone() });
            edits.push(Edit::Set { section: key, option: "disabled".into(), value: "1".into() });
        }
        Change::Delete if package == SYSTEM => {
            return Err((0, Failure::denied("busybox's daemon is a part of the system")));
        }
        Change::Delete => edits.push(Edit::Drop { section: key }),
        Change::Set(sets) => {
            for (at, set) in sets.iter().enumerate() {
                edits.extend(edit(&found, row, set).map_err(|f| (at, f))?);
            }
        }
    }
    Ok(edits.into_iter().map(|edit| (package.to_owned(), edit)).collect())
}

fn invalid(text: &str) -> Failure {
    bad(0, text).1
}

/// What one value means.
fn edit(found: &Found, row: &Row<'_>, set: &Set<'_>) -> Result<Option<Edit>, Failure> {
    let name = set.param.name();
    if row.keys.is_empty() {
        if found.chrony.is_some() {
            return Err(Failure::denied("chrony has no switch: its clients have"));
        }
        return Ok(Some(flag(SECTION, "enabled", set)));
    }
    let key = row.key();
    let Some(section) = found.section(key) else {
        // A row that is only now added has no section yet.
        return match (row.object.name(), key.starts_with("cwmpd_") && found.chrony.is_some()) {
            ("Authentication", true) => Ok(Some(flag(key, "nts", set))),
            (_, true) => chrony(key, "server", set),
            _ => Err(Failure { code: Code::INVALID_NAME, text: "the section is gone".into() }),
        };
    };
    match (row.object.name(), key) {
        ("Authentication", SYSNTPD) if set.value == "false" => Ok(None),
        ("Authentication", SYSNTPD) => Err(Failure::denied("busybox's daemon has no such choice")),
        ("Authentication", key) => Ok(Some(flag(key, "nts", set))),
        ("Server", SYSNTPD) if name == "Enable" => Ok(Some(flag(SECTION, "enable_server", set))),
        ("Server", _) if name == "Enable" => match set.value {
            "true" => Ok(None),
            _ => Err(Failure::denied("a section allow of chrony's is in force where it is")),
        },
        ("Server", key) => {
            let interface = set.refers.and_then(|keys| keys.first()).map_or("", String::as_str);
            let section = if key == SYSNTPD { SECTION } else { key };
            Ok(Some(Edit::Set {
                section: section.into(),
                option: "interface".into(),
                value: interface.into(),
            }))
        }
        (_, SYSNTPD) => match name {
            "Enable" => Ok(Some(flag(SECTION, "enabled", set))),
            "Servers" => {
                let items = servers(set.value)?;
                Ok(Some(Edit::List { section: SECTION.into(), option: "server".into(), items }))
            }
            _ => Err(Failure::denied("busybox's daemon has no such choice")),
        },
        (_, key) => chrony(key, section.kind(), set),
    }
}

/// What one value means for a section of chrony's.
fn chrony(key: &str, kind: &str, set: &Set<'_>) -> Result<Option<Edit>, Failure> {
    let option = |option: &str, value: &str| {
        Ok(Some(Edit::Set { section: key.into(), option: option.into(), value: value.into() }))
    };
    match set.param.name() {
        "Enable" => option("disabled", if set.value == "true" { "0" } else { "1" }),
        "Servers" => match servers(set.value)?.as_slice() {
            [] => option("hostname", ""),
            [one] => option("hostname", one),
            _ => Err(invalid("a section of chrony's has one server: add a client for each")),
        },
        "ResolveMaxAddresses" if kind == "pool" && (1..=16).contains(&number(set.value)) => {
            option("maxsources", set.value)
        }
        "ResolveMaxAddresses" if kind == "pool" => Err(invalid("1 to 16")),
        "ResolveMaxAddresses" => Err(Failure::denied("only a pool has several addresses")),
        // Powers of two of seconds, as chrony bounds them.
        "MinPoll" | "MaxPoll" if number(set.value) > 24 => Err(invalid("at most 24")),
        "MinPoll" => option("minpoll", set.value),
        "MaxPoll" => option("maxpoll", set.value),
        _ => Ok(Some(flag(key, "iburst", set))),
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(u32::MAX)
}

fn flag(section: &str, option: &str, set: &Set<'_>) -> Edit {
    let value = if set.value == "true" { "1" } else { "0" };
    Edit::Set { section: section.into(), option: option.into(), value: value.into() }
}

/// The items of a list: names of hosts and addresses, which become words of a command line there.
fn servers(list: &str) -> Result<Vec<String>, Failure> {
    let plain = |s: &&str| {
        s.len() <= 253
            && !s.starts_with('-')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
    };
    let items: Vec<&str> = list.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    match items.iter().all(plain) {
        true => Ok(items.into_iter().map(str::to_owned).collect()),
        false => Err(invalid("a server is the name of a host, or an address")),
    }
}
