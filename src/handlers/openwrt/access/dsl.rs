//! Provider `openwrt_dsl`: the line of a Lantiq modem, where its daemon counts otherwise than the standard, and
//! the ATM bridges of UCI.

use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::Value;
use crate::sys::uci::Section;
use std::fmt::Write as _;

/// The key of the line, of its channel and of its PTM link: the name that the driver gives its device.
const LINE: &str = "dsl0";
/// What br2684ctl takes when UCI says nothing.
const VPI: &str = "8";
const VCI: &str = "35";

/// Whether packets go through ATM cells.
fn is_atm(sources: &mut Sources, ctx: &Ctx<'_>) -> bool {
    let package = sources.readable(ctx, "network");
    package.as_ref().and_then(|p| p.of_kind("dsl").next()?.get("xfer_mode")) == Some("atm")
}

/// There is one line, where its daemon answers.
///
/// # Errors
/// None.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let there = sources.answer(ctx, "dsl", "metrics", &[]).is_some();
    let ptm = row.object.path().starts_with("Device.PTM.");
    if there && !(ptm && is_atm(sources, ctx)) {
        out.push(LINE);
    }
    Ok(())
}

/// See [`crate::model::handler::Handler::get`].
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
    if row.object.path().starts_with("Device.ATM.") {
        return fill_atm(sources, ctx, row, want, out);
    }
    let atm = is_atm(sources, ctx);
    let params = row.object.name() == "TestParams";
    let tones = if params { sources.answer(ctx, "dsl", "statistics", &[]) } else { None };
    let Some(metrics) = sources.answer(ctx, "dsl", "metrics", &[]) else {
        return Ok(());
    };
    for (at, w) in want.iter().enumerate() {
        let name = w.param.name();
        let value = match name.get(..4) {
            Some("HLOG" | "QLNp" | "SNRp") => tones.as_ref().and_then(|t| groups(t.root(), name)),
            _ if name == "LinkEncapsulationUsed" => encapsulation(metrics.root(), atm),
            _ => line(metrics.root(), name),
        };
        if let Some(value) = value {
            out.put(at, value);
        }
    }
    Ok(())
}

/// Tenths of what the daemon tells with a fraction.
fn tenths(root: Value<'_>, way: &str, name: &str) -> Option<String> {
    let value = root.get(way)?.get(name)?;
    let number = value.float().or_else(|| value.number().map(|n| n as f64))?;
    Some(((number * 10.0).round() as i64).to_string())
}

/// Octets of an array as hexadecimal digits; the whole of it when no range is said.
fn octets(array: Value<'_>, from: usize, count: usize) -> Option<String> {
    let mut out = String::new();
    for n in from..from + count {
        let octet = u8::try_from(array.at(n)?.number()?).ok()?;
        // Writing to a String cannot fail.
        let _ = write!(out, "{octet:02X}");
    }
    Some(out)
}

fn line(root: Value<'_>, name: &str) -> Option<String> {
    let far = |field: &str| root.get("atu_c")?.get(field);
    let (up, down) = ("upstream", "downstream");
    match name {
        "UpstreamNoiseMargin" => tenths(root, up, "snr"),
        "DownstreamNoiseMargin" => tenths(root, down, "snr"),
        "UpstreamAttenuation" | "SATNus" => tenths(root, up, "satn"),
        "DownstreamAttenuation" | "SATNds" => tenths(root, down, "satn"),
        "LATNus" => tenths(root, up, "latn"),
        "LATNds" => tenths(root, down, "latn"),
        "UpstreamPower" => tenths(root, up, "actatp"),
        "DownstreamPower" => tenths(root, down, "actatp"),
        "ACTINP" => tenths(root, down, "inp"),
        "XTSUsed" => octets(root.get("xtse")?, 0, 8),
        "XTUCVersion" => octets(far("version")?, 0, 16),
        // Country, vendor and the vendor's own: eight octets of T.35.
        "XTUCCountry" => octets(far("vendor_id")?, 0, 2),
        "XTUCVendor" => octets(far("vendor_id")?, 2, 4),
        "XTUCVendorSpecific" => octets(far("vendor_id")?, 6, 2),
        "XTUCSystemCountry" => octets(far("system_vendor_id")?, 0, 2),
        "XTUCSystemVendor" => octets(far("system_vendor_id")?, 2, 4),
        "XTUCSystemVendorSpecific" => octets(far("system_vendor_id")?, 6, 2),
        "XTUCSerial" => {
            let octets = far("serial")?.fields().filter_map(|(_, o)| u8::try_from(o.number()?).ok());
            let text: String =
                octets.filter(|o| (b' '..=b'~').contains(o)).take(32).map(char::from).collect();
            Some(text.trim().to_owned())
        }
        _ => None,
    }
}

fn encapsulation(root: Value<'_>, atm: bool) -> Option<String> {
    let very = root.get("standard")?.text()?.starts_with("G.993");
    let standard = if very { "G.993.2_Annex_K_" } else { "G.992.3_Annex_K_" };
    Some([standard, if atm { "ATM" } else { "PTM" }].concat())
}

/// A measurement of all groups of tones in the code of G.997.1, whose inverse the daemon made decibels of.
fn groups(root: Value<'_>, name: &str) -> Option<String> {
    let (kind, none): (&str, i64) = match name.get(..3)? {
        "HLO" => ("hlog", 1023),
        "QLN" => ("qln", 255),
        _ => ("snr", 255),
    };
    let way = if name.ends_with("ds") { "downstream" } else { "upstream" };
    let data = root.get(kind)?.get(way)?.get("data")?;
    let mut out = String::new();
    for (_, group) in data.fields() {
        let decibels = group.float().or_else(|| group.number().map(|n| n as f64));
        let code = decibels.map_or(none, |d| {
            let code = match kind {
                "hlog" => (6.0 - d) * 10.0,
                "qln" => (-23.0 - d) * 2.0,
                _ => (d + 32.0) * 2.0,
            };
            code.round().clamp(0.0, none as f64) as i64
        });
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}{code}");
    }
    (!out.is_empty()).then_some(out)
}

fn fill_atm(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.readable(ctx, "network");
    let Some(bridge) = package.as_ref().and_then(|p| p.section(row.key())) else {
        return Ok(());
    };
    let name = device(&bridge);
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Name" => out.put(at, &name),
            "Status" => {
                let all = sources.answer(ctx, "network.device", "status", &[]);
                // Without ATM a device of this name is that of PTM.
                let device = all.as_ref().and_then(|a| a.root().get(&name)).filter(|_| is_atm(sources, ctx));
                let carrier = device.and_then(|d| d.get("carrier")?.flag());
                out.put(
                    at,
                    match carrier {
                        Some(true) => "Up",
                        Some(false) => "LowerLayerDown",
                        None => "NotPresent",
                    },
                );
            }
            "DestinationAddress" => {
                let (vpi, vci) = (bridge.get("vpi").unwrap_or(VPI), bridge.get("vci").unwrap_or(VCI));
                out.put(at, format_args!("{vpi}/{vci}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn device(bridge: &Section<'_>) -> String {
    [bridge.get("nameprefix").unwrap_or("nas"), bridge.get("unit").unwrap_or("0")].concat()
}

/// What a change of a bridge means for `network`.
///
/// # Errors
/// An address that ATM does not have.
pub fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let package = sources.readable(ctx, "network").ok_or((0, gone()))?;
    package.section(row.key()).ok_or((0, gone()))?;
    let mut edits = Edits::new("network", row.key());
    for (at, set) in sets.iter().enumerate().filter(|(_, s)| s.param.name() == "DestinationAddress") {
        let (vpi, vci) = set.value.split_once('/').unwrap_or(("", ""));
        let fits = vpi.parse::<u8>().is_ok() && vci.parse::<u16>().is_ok_and(|v| v >= 32);
        if !fits {
            return Err((at, bad("VPI/VCI: 0 to 255, and 32 to 65535")));
        }
        edits.set("vpi", vpi);
        edits.set("vci", vci);
    }
    Ok(edits.plan)
}
