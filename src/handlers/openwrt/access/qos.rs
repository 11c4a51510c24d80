//! Providers `openwrt_shaper` and `openwrt_classification`: where sqm and qos-scripts count or name things
//! otherwise than the standard.

use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::ubus::Value;
use crate::sys::uci::{Package, Section};

/// The interface of netifd on a device.
fn interface_on(sources: &mut Sources, ctx: &Ctx<'_>, device: &str) -> Option<String> {
    let dump = sources.answer(ctx, "network.interface", "dump", &[])?;
    let mut all = dump.root().get("interface")?.fields();
    let found = all.find(|(_, i)| i.get("l3_device").and_then(Value::text) == Some(device))?;
    found.1.get("interface")?.text().map(str::to_owned)
}

/// The device of an interface of netifd.
fn device_of(sources: &mut Sources, ctx: &Ctx<'_>, interface: &str) -> Option<String> {
    let dump = sources.answer(ctx, "network.interface", "dump", &[])?;
    let mut all = dump.root().get("interface")?.fields();
    let found = all.find(|(_, i)| i.get("interface").and_then(Value::text) == Some(interface))?;
    found.1.get("l3_device")?.text().map(str::to_owned)
}

/// `Device.QoS.Shaper.{i}.`
///
/// # Errors
/// None.
pub fn fill_shaper(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.readable(ctx, "sqm");
    let Some(queue) = package.as_ref().and_then(|p| p.section(row.key())) else {
        return Ok(());
    };
    let device = queue.get("interface").unwrap_or("");
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Status" => out.put(
                at,
                match queue.flag("enabled") {
                    Some(true) if interface_on(sources, ctx, device).is_some() => "Enabled",
                    Some(true) => "Error_Misconfigured",
                    _ => "Disabled",
                },
            ),
            "Interface" => match interface_on(sources, ctx, device) {
                Some(interface) => out.refer(at, "Device.IP.Interface.{i}.", &[&interface]),
                None => out.refer(at, "Device.Ethernet.Interface.{i}.", &[device]),
            },
            // Kbps in UCI, where 0 is no limit.
            "ShapingRate" => match queue.get("upload").and_then(|u| u.parse::<i64>().ok()) {
                Some(kbps) if kbps > 0 => out.put(at, kbps.saturating_mul(1000)),
                _ => out.put(at, -1),
            },
            _ => {}
        }
    }
    Ok(())
}

/// What a change of a shaper means for `sqm`.
///
/// # Errors
/// An interface without a device, a rate that is none.
pub fn plan_shaper(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let mut edits = Edits::new("sqm", row.key());
    for (at, set) in sets.iter().enumerate() {
        match set.param.name() {
            "Interface" => {
                let device = device(sources, ctx, set).ok_or((at, bad("no interface with a device")))?;
                edits.set("interface", device);
            }
            "ShapingRate" => {
                let rate = set.value.parse::<i64>().unwrap_or(-1);
                if (0..1000).contains(&rate) {
                    return Err((at, bad("bits a second, at least 1000; or -1")));
                }
                edits.set("upload", if rate < 0 { 0 } else { rate / 1000 }.to_string());
            }
            _ => {}
        }
    }
    Ok(edits.plan)
}

/// The device of the row that a reference points at; nothing of none.
fn device(sources: &mut Sources, ctx: &Ctx<'_>, set: &Set<'_>) -> Option<String> {
    if set.value.is_empty() {
        return Some(String::new());
    }
    let key = set.refers?.first()?;
    match set.value.split('.').nth(1)? {
        "IP" | "PPP" => device_of(sources, ctx, key),
        // Their keys are devices.
        "Ethernet" | "PTM" => Some(key.clone()),
        _ => None,
    }
}

/// DSCP by the names that tc and iptables know; classes `CS`, assured forwarding `AF`, and `EF`.
fn dscp(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let digit =
        |at: usize| upper.as_bytes().get(at).filter(|d| d.is_ascii_digit()).map(|d| i64::from(*d - b'0'));
    let code = match upper.get(..2) {
        Some("EF") => Some(46),
        Some("BE") => Some(0),
        Some("CS") => digit(2).map(|class| class * 8),
        Some("AF") => Some(digit(2)? * 8 + digit(3)? * 2),
        _ => {
            text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| i64::from_str_radix(hex, 16).ok())
        }
    };
    code.filter(|c| (0..64).contains(c))
}

/// `25`, `25-30`, `25:30`; of a list nothing: the standard has no word for it.
fn range(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(['-', ':']) {
        Some((from, to)) => Some((from.trim().parse().ok()?, Some(to.trim().parse().ok()?))),
        None => Some((text.trim().parse().ok()?, None)),
    }
}

/// The classes of the first group, in their order.
fn classes(package: &Package) -> Vec<&str> {
    package.of_kind("classgroup").next().map_or(Vec::new(), |g| g.words("classes"))
}

fn class_number(package: &Package, name: &str) -> Option<usize> {
    classes(package).iter().position(|c| *c == name).map(|at| at + 1)
}

/// `Device.QoS.Classification.{i}.`, and what is one for all in `Device.QoS.`
///
/// # Errors
/// None.
pub fn fill_rule(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(package) = sources.readable(ctx, "qos") else {
        return Ok(());
    };
    let rule = package.section(row.key());
    for (at, w) in want.iter().enumerate() {
        if w.param.name() == "DefaultTrafficClass" {
            let default = package.of_kind("classgroup").next().and_then(|g| g.get("default"));
            if let Some(n) = default.and_then(|name| class_number(&package, name)) {
                out.put(at, n);
            }
        } else if let Some(value) = rule.and_then(|r| rule_value(&package, &r, w.param.name())) {
            out.put(at, value);
        }
    }
    Ok(())
}

fn rule_value(package: &Package, rule: &Section<'_>, name: &str) -> Option<i64> {
    let ports = |option: &str| rule.get(option).and_then(range);
    let to = ports("dstports").or_else(|| ports("portrange"));
    let end = |ports: Option<(u32, Option<u32>)>| Some(ports.and_then(|p| p.1).map_or(-1, i64::from));
    let from = |ports: Option<(u32, Option<u32>)>| Some(ports.map_or(-1, |p| i64::from(p.0)));
    match name {
        "Order" => {
            let before = package.of_kind("classify").take_while(|r| r.index() != rule.index()).count();
            i64::try_from(before + 1).ok()
        }
        "DestPort" => from(to),
        "DestPortRangeMax" => end(to),
        "SourcePort" => from(ports("srcports")),
        "SourcePortRangeMax" => end(ports("srcports")),
        "IPLengthMin" | "IPLengthMax" => {
            // `-500` is up to 500, `128-` from 128.
            let (least, most) = rule.get("pktsize")?.split_once('-')?;
            let text = if name == "IPLengthMin" { least } else { most };
            Some(text.trim().parse().unwrap_or(0))
        }
        "DSCPCheck" => Some(rule.get("dscp").and_then(dscp).unwrap_or(-1)),
        "TrafficClass" => {
            let number = rule.get("target").and_then(|name| class_number(package, name));
            Some(number.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1))
        }
        _ => None,
    }
}

/// What a change of a rule means for `qos`.
///
/// # Errors
/// A class that is not there, an end without a beginning.
pub fn plan_rule(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let package = sources.readable(ctx, "qos").ok_or((0, gone()))?;
    let rule = package.section(row.key()).ok_or((0, gone()))?;
    let mut edits = Edits::new("qos", row.key());
    let mut pair = |first: &str, second: &str, option: &str| -> Result<(), (usize, Failure)> {
        let find = |name: &str| sets.iter().position(|s| s.param.name() == name);
        let (one, other) = (find(first), find(second));
        let Some(at) = other.or(one) else { return Ok(()) };
        let value = |at: Option<usize>, name: &str| match at.and_then(|at| sets.get(at)) {
            Some(set) => set.value.parse().unwrap_or(-1),
            None => rule_value(&package, &rule, name).unwrap_or(-1),
        };
        let (low, high) = (value(one, first), value(other, second));
        let text = match (option, low, high) {
            ("pktsize", 0 | -1, 0 | -1) | (_, -1, -1) => String::new(),
            ("pktsize", 0 | -1, high) => format!("-{high}"),
            ("pktsize", low, 0 | -1) => format!("{low}-"),
            (_, -1, _) => return Err((at, bad("a range has a beginning"))),
            (_, low, -1) => low.to_string(),
            (_, low, high) if high < low => return Err((at, bad("a range ends behind its beginning"))),
            (_, low, high) => format!("{low}-{high}"),
        };
        edits.set(option, text);
        Ok(())
    };
    pair(
        "DestPort",
        "DestPortRangeMax",
        if rule.get("portrange").is_some() { "portrange" } else { "dstports" },
    )?;
    pair("SourcePort", "SourcePortRangeMax", "srcports")?;
    pair("IPLengthMin", "IPLengthMax", "pktsize")?;
    for (at, set) in sets.iter().enumerate() {
        match (set.param.name(), set.value) {
            ("DSCPCheck", "-1") => edits.set("dscp", ""),
            ("DSCPCheck", code) => edits.set("dscp", code),
            ("TrafficClass", "-1") => edits.set("target", ""),
            ("TrafficClass", number) => {
                let all = classes(&package);
                let class = number.parse::<usize>().ok().and_then(|n| all.get(n.checked_sub(1)?));
                edits.set("target", *class.ok_or((at, bad("qos-scripts has no such class")))?);
            }
            _ => {}
        }
    }
    Ok(edits.plan)
}
