//! What a change of a radio means for its section: values in their order, since standards and bandwidth make one
//! `htmode`.

use super::air::results;
use super::htmode::{Band, Family, Mode, Side, speak};
use super::radio::{Radio, find};
use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Row, Set};
use crate::sys::ubus::Value;

/// What a change of a radio means for `wireless`.
///
/// # Errors
/// A value that the radio or UCI cannot have.
pub fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let radio = find(sources, ctx, row.key()).ok_or((0, gone()))?;
    let mut edits = Edits::new("wireless", row.key());
    let mut mode = radio.mode();
    let mut band = radio.band();
    // What others depend on goes first.
    for order in [&["OperatingFrequencyBand"][..], &["OperatingStandards"], &[]] {
        for (at, set) in sets.iter().enumerate() {
            let early = ["OperatingFrequencyBand", "OperatingStandards"];
            let now = if order.is_empty() {
                !early.contains(&set.param.name())
            } else {
                order.contains(&set.param.name())
            };
            if now {
                one(&radio, set, sets, (&mut band, &mut mode), &mut edits).map_err(|f| (at, f))?;
            }
        }
    }
    if mode != radio.mode() {
        let known = || radio.info("htmodes").into_iter().flat_map(Value::fields);
        let listed = mode.listed();
        if mode.family != Family::Legacy
            && known().next().is_some()
            && !known().any(|m| m.1.text() == Some(&listed))
        {
            let about = ["OperatingChannelBandwidth", "OperatingStandards"];
            let at = sets.iter().position(|s| about.contains(&s.param.name())).unwrap_or(0);
            return Err((at, bad(format!("the radio has no {listed}"))));
        }
        edits.set("htmode", mode.to_string());
    }
    Ok(edits.plan)
}

/// What one value means; band and mode are those that the values before it made.
fn one(
    radio: &Radio,
    set: &Set<'_>,
    sets: &[Set<'_>],
    (band, mode): (&mut Option<Band>, &mut Mode),
    edits: &mut Edits<'_>,
) -> Result<(), Failure> {
    let value = set.value;
    match set.param.name() {
        "OperatingFrequencyBand" => {
            let new = Band::parse(value).filter(|b| radio.bands().contains(b));
            let new = new.ok_or_else(|| bad("the radio is not made for this band"))?;
            if *band != Some(new) {
                edits.set("hwmode", "");
                edits.set("band", new.uci());
            }
            *band = Some(new);
        }
        "OperatingStandards" => {
            let wanted: Vec<&str> = value.split(',').filter(|w| !w.is_empty()).collect();
            let say = band.and_then(|b| speak(b, &wanted));
            let say =
                say.ok_or_else(|| bad("these standards cannot be had together, or not in this band"))?;
            *mode = mode.within(say.most);
            if say.slow != radio.spoken().slow && *band == Some(Band::Two) {
                edits.set("legacy_rates", if say.slow { "1" } else { "0" });
            }
            let require = match say.least {
                Family::Ht => "n",
                Family::Vht => "ac",
                _ => "",
            };
            edits.set("require_mode", require);
        }
        "OperatingChannelBandwidth" => {
            *mode = mode.with_bandwidth(value).ok_or_else(|| bad("not with these standards"))?;
        }
        "ExtensionChannel" => {
            let side = match value {
                "AboveControlChannel" => Side::Above,
                "BelowControlChannel" => Side::Below,
                _ => Side::Auto,
            };
            if side != Side::Auto && (mode.family, mode.width) != (Family::Ht, 40) {
                return Err(bad("only 40 MHz of 802.11n have a side"));
            }
            mode.side = side;
        }
        "Channel" => {
            let auto = sets.iter().find(|s| s.param.name() == "AutoChannelEnable");
            if auto.is_some_and(|a| a.value == "true") {
                return Err(bad("the radio is to choose its channel itself"));
            }
            let known = || {
                results(&radio.channels).filter(|c| c.get("restricted").and_then(Value::flag) != Some(true))
            };
            let mut numbers = known().filter_map(|c| c.get("channel").and_then(Value::number));
            if known().next().is_some() && !numbers.any(|n| n.to_string() == value) {
                return Err(bad("none of PossibleChannels"));
            }
            edits.set("channel", value);
        }
        "AutoChannelEnable" if (value == "true") == radio.is_auto() => {}
        "AutoChannelEnable" if value == "true" => edits.set("channel", "auto"),
        "AutoChannelEnable" if sets.iter().any(|s| s.param.name() == "Channel") => {}
        "AutoChannelEnable" => {
            let now = radio.info("channel").and_then(Value::number);
            let now = now.ok_or_else(|| bad("a channel must be given: none is in use"))?;
            edits.set("channel", now.to_string());
        }
        "TransmitPower" => edits.set("txpower", power(radio, value)?),
        "RegulatoryDomain" => {
            edits.set("country", value.get(..2).unwrap_or(""));
            let third = match value.as_bytes().get(2) {
                Some(b'O') => "0x4f",
                Some(b'I') => "0x49",
                _ => "",
            };
            edits.set("country3", third);
        }
        "BasicDataTransmitRates" => edits.list("basic_rate", kbps(value)?),
        "OperationalDataTransmitRates" => edits.list("supported_rates", kbps(value)?),
        // What hostapd takes, in units of 1.024 ms.
        "BeaconPeriod" if !value.parse::<u32>().is_ok_and(|b| (15..=65535).contains(&b)) => {
            return Err(bad("15 to 65535 milliseconds"));
        }
        "BeaconPeriod" => edits.set("beacon_int", value),
        "DTIMPeriod" => {
            let beacon = sets.iter().find(|s| s.param.name() == "BeaconPeriod");
            let beacon = beacon.and_then(|b| b.value.parse().ok()).unwrap_or_else(|| radio.beacon()).max(1);
            let beacons = value.parse::<u32>().ok().filter(|ms| ms % beacon == 0).map(|ms| ms / beacon);
            let beacons = beacons.filter(|n| (1..=255).contains(n));
            let beacons = beacons.ok_or_else(|| bad("no multiple of BeaconPeriod, 1 to 255 of it"))?;
            each_point(radio, "dtim_period", &beacons.to_string(), edits);
        }
        "PreambleType" => each_point(radio, "short_preamble", if value == "long" { "0" } else { "1" }, edits),
        "EnableRRM" => each_point(radio, "ieee80211k", if value == "true" { "1" } else { "0" }, edits),
        _ => {}
    }
    Ok(())
}

/// dBm of a percentage; nothing of -1.
fn power(radio: &Radio, value: &str) -> Result<String, Failure> {
    if value == "-1" {
        return Ok(String::new());
    }
    let step = radio.steps().into_iter().filter(|s| s.1.to_string() == value).max_by_key(|s| s.0);
    step.map(|s| s.0.to_string()).ok_or_else(|| bad("none of TransmitPowerSupported"))
}

/// Sets what stands at each access point of the radio.
fn each_point(radio: &Radio, option: &str, text: &str, edits: &mut Edits<'_>) {
    for point in radio.points() {
        edits.set_in(&point.key(), option, text);
    }
}

/// Mbps as UCI has them.
fn kbps(value: &str) -> Result<Vec<String>, Failure> {
    let one = |word: &str| {
        let (whole, tenth) = word.split_once('.').unwrap_or((word, "0"));
        let (whole, tenth): (u32, u32) = (whole.parse().ok()?, tenth.parse().ok()?);
        (tenth < 10 && (1..=54).contains(&whole)).then(|| (whole * 1000 + tenth * 100).to_string())
    };
    let words = value.split(',').map(str::trim).filter(|w| !w.is_empty());
    words.map(|w| one(w).ok_or_else(|| bad(format!("`{w}` is no rate in Mbps")))).collect()
}
