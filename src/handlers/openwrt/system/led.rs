//! Provider `ow_led`: how a light shines by UCI (`system.@led`). The key of an element is `on` or `off`.

use super::{Spec, bad, put};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::adds_nothing;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::host;
use crate::sys::uci::{Edit, Package, Section};

const ELEMENT: &str = "Device.LEDs.LED.{i}.CycleElement.{i}.";
/// The kernel's names of colours, and what they are.
const COLORS: [(&str, &str); 12] = [
    ("white", "FFFFFF"),
    ("red", "FF0000"),
    ("green", "00FF00"),
    ("blue", "0000FF"),
    ("amber", "FFBF00"),
    ("violet", "8F00FF"),
    ("yellow", "FFFF00"),
    ("purple", "800080"),
    ("orange", "FFA500"),
    ("pink", "FFC0CB"),
    ("cyan", "00FFFF"),
    ("lime", "BFFF00"),
];

/// The provider.
pub const SPEC: Spec =
    Spec { name: "ow_led", list, fill, plan, key: adds_nothing, packages: &["system"], objects: &[] };

/// The section of a light, by the kernel's name for it.
fn section<'a>(package: &'a Package, led: &str) -> Option<Section<'a>> {
    package.of_kind("led").find(|s| s.get("sysfs") == Some(led))
}

fn blinks(section: Section<'_>) -> bool {
    section.get("trigger") == Some("timer")
}

/// The elements of a light: on and off where it blinks, else the one that it stays in.
fn elements(section: Section<'_>) -> &'static [&'static str] {
    match section.get("trigger") {
        Some("timer") => &["on", "off"],
        Some("default-on") => &["on"],
        None | Some("none") if section.flag("default") == Some(true) => &["on"],
        None | Some("none") => &["off"],
        _ => &[],
    }
}

/// What UCI calls the time of an element, in ms.
fn option(element: &str) -> &'static str {
    if element == "on" { "delayon" } else { "delayoff" }
}

/// `device:green:wan`, `green:wan` or `green` are green.
fn color(led: &str) -> Option<&'static str> {
    led.split([':', '-', '_']).find_map(|word| COLORS.iter().find(|c| c.0 == word)).map(|c| c.1)
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "system")?;
    let led = row.keys.first().copied().unwrap_or("");
    if let Some(section) = package.as_deref().and_then(|p| section(p, led)) {
        out.extend(elements(section));
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
    let package = sources.package(ctx, "system")?;
    let led = row.keys.first().copied().unwrap_or("");
    let Some(section) = package.as_deref().and_then(|p| section(p, led)) else {
        return Ok(());
    };
    let is_element = row.object.name() == "CycleElement";
    let element = if is_element { row.key() } else { shines(ctx, led, section) };
    if !is_element && !elements(section).contains(&element) {
        return Ok(());
    }
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(i, true),
            "Order" => out.put(i, if element == "off" && blinks(section) { 2 } else { 1 }),
            "Color" if element == "on" => put(out, i, color(led)),
            "Color" => out.put(i, "000000"),
            "Duration" if blinks(section) => put(out, i, section.get(option(element))),
            "Brightness" => out.put(i, if element == "on" { 100 } else { 0 }),
            "CyclePeriodRepetitions" if blinks(section) => out.put(i, -1),
            "CycleElementReference" => out.refer(i, ELEMENT, &[led, element]),
            _ => {}
        }
    }
    Ok(())
}

/// The element that a light is in just now.
fn shines(ctx: &Ctx<'_>, led: &str, section: Section<'_>) -> &'static str {
    let path = format!("/sys/class/leds/{led}/brightness");
    match elements(section) {
        [one] => one,
        _ if host::number::<u32>(ctx.root, &path).unwrap_or(0) > 0 => "on",
        _ => "off",
    }
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "system").map_err(|f| (0, f))?;
    let led = row.keys.first().copied().unwrap_or("");
    let section = package.as_deref().and_then(|p| section(p, led));
    let (Change::Set(sets), Some(section)) = (change, section) else {
        return Err((0, Failure::denied("the kernel's timer has a time on and a time off, no more")));
    };
    let mut plan = Plan::new();
    for (at, set) in sets.iter().enumerate().filter(|(_, set)| set.param.name() == "Duration") {
        if !blinks(section) {
            return Err((at, Failure::denied("this light does not blink")));
        }
        if set.value == "0" {
            return Err(bad(at, "with no time at all the light would not blink"));
        }
        let option = option(row.key()).to_owned();
        plan.push((
            "system".into(),
            Edit::Set { section: section.key().into(), option, value: set.value.into() },
        ));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::color;

    #[test]
    fn colors_by_name() {
        for (led, want) in [
            ("green:wan", Some("00FF00")),
            ("tp-link:amber:wan", Some("FFBF00")),
            ("blue-power", Some("0000FF")),
            ("mt76-phy0", None),
            ("", None),
        ] {
            assert_eq!(color(led), want, "{led}");
        }
    }
}
