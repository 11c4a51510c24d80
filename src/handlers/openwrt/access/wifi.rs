//! Provider `openwrt_wifi_iface`: a `wifi-iface` as SSID, access point or end point, with what became of it.

use super::air::{hostapd, iwinfo, number, results, running, wireless};
use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::ubus::Value;
use crate::sys::uci::Section;

/// How far a section got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Switched off, or its radio is.
    Off,
    /// Not on the air yet.
    Down,
    /// netifd or hostapd gave up.
    Failed,
    /// On the air.
    Up,
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
    let (Some(package), Some(key)) = (wireless(sources, ctx), row.keys.first()) else {
        return Ok(());
    };
    let Some(section) = package.section(key) else {
        return Ok(());
    };
    let run = running(sources, ctx, &section);
    let is_off = |s: Option<Section<'_>>| s.and_then(|s| s.flag("disabled")) == Some(true);
    let off = is_off(Some(section)) || is_off(section.get("device").and_then(|d| package.section(d)));
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Status" => {
                let state = state(sources, ctx, &section, &run.ifname, off, run.failed);
                out.put(at, status(sources, ctx, row, &run.ifname, state));
            }
            "Name" => out.put(at, if run.ifname.is_empty() { section.id() } else { &run.ifname }),
            "BSSID" if !run.ifname.is_empty() => {
                let info = iwinfo(sources, ctx, "info", &run.ifname);
                let point = hostapd(sources, ctx, "get_status", &run.ifname);
                let mut all = [&info, &point].into_iter().flatten();
                if let Some(bssid) = all.find_map(|a| a.root().get("bssid")?.text()) {
                    out.put(at, bssid);
                }
            }
            name @ ("RetransCount" | "FailedRetransCount") if !run.ifname.is_empty() => {
                let joined = iwinfo(sources, ctx, "assoclist", &run.ifname);
                let field = if name == "RetransCount" { "retries" } else { "failed" };
                let counts = results(&joined).filter_map(|s| number(s, &["tx", field]));
                let sum = counts.fold(0_i64, i64::saturating_add);
                out.put(at, sum & i64::from(u32::MAX));
            }
            "MACAddressControlEnabled" => out.put(at, section.get("macfilter") == Some("allow")),
            "AllowedMACAddress" if section.get("macfilter") != Some("deny") => {
                out.put(at, section.words("maclist").join(","));
            }
            _ => {}
        }
    }
    Ok(())
}

fn state(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    section: &Section<'_>,
    ifname: &str,
    off: bool,
    failed: bool,
) -> State {
    match (off, failed, ifname) {
        (true, ..) => State::Off,
        (_, true, _) => State::Failed,
        (_, _, "") => State::Down,
        _ if section.get("mode") == Some("ap") => {
            let answer = hostapd(sources, ctx, "get_status", ifname);
            match answer.as_ref().and_then(|a| a.root().get("status")?.text()) {
                Some("ENABLED") | None => State::Up,
                // Looking for a channel, or listening for radar.
                Some("DISABLED" | "UNINITIALIZED") => State::Failed,
                Some(_) => State::Down,
            }
        }
        _ => State::Up,
    }
}

/// The word of the row's own object.
fn status(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, ifname: &str, state: State) -> &'static str {
    match (row.object.name(), state) {
        ("SSID", State::Up) => "Up",
        ("SSID", State::Failed) => "Error",
        ("SSID", _) => "Down",
        ("Profile", State::Up) => {
            let network = iwinfo(sources, ctx, "assoclist", ifname);
            if results(&network).next().is_some() { "Active" } else { "Available" }
        }
        ("Profile", State::Down) => "Available",
        (_, State::Up) => "Enabled",
        (_, State::Failed) => "Error",
        (_, State::Off | State::Down) => "Disabled",
    }
}

/// What a change of the filter of stations means for `wireless`.
///
/// # Errors
/// A list of stations that are kept out cannot become one of those let in by being written to.
pub fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let package = wireless(sources, ctx).ok_or((0, gone()))?;
    let section = package.section(row.key()).ok_or((0, gone()))?;
    let find = |name: &str| sets.iter().position(|s: &Set<'_>| s.param.name() == name);
    let (on, list) = (find("MACAddressControlEnabled"), find("AllowedMACAddress"));
    let denies = section.get("macfilter") == Some("deny");
    let allows = on.and_then(|at| sets.get(at)).map(|s| s.value == "true");
    let mut edits = Edits::new("wireless", row.key());
    match allows {
        Some(true) => {
            edits.set("macfilter", "allow");
            // Who was kept out is not let in by that.
            if denies && list.is_none() {
                edits.list("maclist", Vec::new());
            }
        }
        Some(false) if !denies => edits.set("macfilter", ""),
        _ => {}
    }
    if let Some((at, set)) = list.and_then(|at| Some((at, sets.get(at)?))) {
        if denies && allows != Some(true) {
            return Err((at, bad("the list is of stations that are kept out")));
        }
        let items = set.value.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
        edits.list("maclist", items);
    }
    Ok(edits.plan)
}

/// Whether an entry of iwinfo speaks of this station.
pub fn is_station(entry: Value<'_>, mac: &str) -> bool {
    entry.get("mac").and_then(Value::text).is_some_and(|m| m.eq_ignore_ascii_case(mac))
}
