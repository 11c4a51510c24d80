//! What rules and sets of the firewall have within them: the entries of a set
//! (`Device.Firewall.Set.{i}.Rule.{i}.`) and the times at which a host is kept out
//! (`Device.Hosts.AccessControl.{i}.Schedule.{i}.`). UCI has one of each where the standard has a table.

use super::{bad, fields, gone, read_only, set};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};

/// The providers.
pub const SPECS: &[Spec] = &[
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
                let end =
                    if set.words("match").iter().any(|m| m.starts_with("dest")) { "dest" } else { "src" };
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
            _ => return Err((at, bad("the set is of another type"))),
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

/// Seconds of a time of day, `21:30` or `21:30:15`; the last second of a day is its end.
fn seconds(time: &str) -> Option<u32> {
    let mut parts = time.split(':').map(|p| p.parse::<u32>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    let all = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?;
    if all == DAY - 1 { Some(DAY) } else { Some(all).filter(|s| *s < DAY) }
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
                from = seconds(want.value).ok_or((at, bad("a time of day is needed")))?;
                timed = true;
            }
            "Duration" => {
                lasts = want.value.parse().unwrap_or(0);
                if !(1..=DAY).contains(&lasts) {
                    return Err((at, bad("a day has 86400 seconds")));
                }
                timed = true;
            }
            _ => return Err((at, read_only())),
        }
    }
    if timed {
        let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
        edits.push(set(&key, "start_time", clock(from)));
        // The firewall knows no 24:00.
        let to = from + lasts;
        edits.push(set(&key, "stop_time", clock(if to == DAY { DAY - 1 } else { to % DAY })));
    }
    Ok(edits.into_iter().map(|edit| ("firewall".to_owned(), edit)).collect())
}
