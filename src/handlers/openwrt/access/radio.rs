//! Provider `openwrt_radio`: what a `wifi-device` says in words of its own (`htmode`, dBm, kbps, the options of
//! its access points), in the words of the standard.

use super::air::{iwinfo, results, wireless};
use super::htmode::{Band, Family, Mode, Side, Spoken, speak, standards};
use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::{Package, Section};
use std::rc::Rc;

/// How often hostapd sends what sleeping stations wait for, in beacons, when nobody says it.
const DTIM: u32 = 2;
/// Milliseconds between beacons when nobody says it.
const BEACON: u32 = 100;

/// A radio with what iwinfo says of it.
struct Radio {
    package: Rc<Package>,
    key: String,
    info: Option<Rc<Answer>>,
    channels: Option<Rc<Answer>>,
    powers: Option<Rc<Answer>>,
}

fn find(sources: &mut Sources, ctx: &Ctx<'_>, key: &str) -> Option<Radio> {
    let package = wireless(sources, ctx)?;
    package.section(key)?;
    let mut ask = |method| iwinfo(sources, ctx, method, key);
    let (info, channels, powers) = (ask("info"), ask("freqlist"), ask("txpowerlist"));
    Some(Radio { package, key: key.to_owned(), info, channels, powers })
}

impl Radio {
    fn section(&self) -> Option<Section<'_>> {
        self.package.section(&self.key)
    }

    fn get(&self, option: &str) -> Option<&str> {
        self.section()?.get(option)
    }

    fn number(&self, option: &str) -> Option<u32> {
        self.get(option)?.parse().ok()
    }

    fn info(&self, name: &str) -> Option<Value<'_>> {
        self.info.as_ref()?.root().get(name)
    }

    /// Its access points.
    fn points(&self) -> impl Iterator<Item = Section<'_>> {
        let mine = |s: &Section<'_>| s.get("device") == Some(&self.key) && s.get("mode") == Some("ap");
        self.package.of_kind("wifi-iface").filter(mine)
    }

    fn bands(&self) -> Vec<Band> {
        let mut bands = Vec::new();
        for entry in results(&self.channels) {
            let band = entry.get("mhz").and_then(Value::number).and_then(Band::of);
            bands.extend(band.filter(|b| !bands.contains(b)));
        }
        bands
    }

    fn band(&self) -> Option<Band> {
        Band::from_uci(self.get("band"), self.get("hwmode")).or_else(|| self.bands().first().copied())
    }

    fn mode(&self) -> Mode {
        Mode::parse(self.get("htmode").unwrap_or(""))
    }

    fn is_auto(&self) -> bool {
        !self.get("channel").is_some_and(|c| c.parse::<u8>().is_ok_and(|c| c != 0))
    }

    fn spoken(&self) -> Spoken {
        let least = match self.get("require_mode") {
            Some("n") => Family::Ht,
            Some("ac") => Family::Vht,
            _ if self.band() == Some(Band::Six) => Family::He,
            _ => Family::Legacy,
        };
        let slow = self.section().and_then(|s| s.flag("legacy_rates")).unwrap_or(false);
        Spoken { most: self.mode().family, least, slow }
    }

    /// The powers it can send with: dBm, and percent of the most.
    fn steps(&self) -> Vec<(i64, i64)> {
        let power = |e: Value<'_>| Some((e.get("dbm")?.number()?, e.get("mw")?.number()?));
        let all: Vec<(i64, i64)> = results(&self.powers).filter_map(power).collect();
        let most = all.iter().map(|p| p.1).max().unwrap_or(0).max(1);
        all.into_iter()
            .map(|(dbm, mw)| (dbm, (mw.saturating_mul(100).saturating_add(most / 2) / most).clamp(1, 100)))
            .collect()
    }

    fn percent(&self) -> Option<i64> {
        let Some(dbm) = self.get("txpower").and_then(|p| p.parse::<i64>().ok()) else {
            return Some(-1);
        };
        let steps = self.steps();
        // A driver sends with no more than it can.
        let fits = steps.iter().filter(|s| s.0 <= dbm).max_by_key(|s| s.0);
        fits.or(steps.first()).map(|s| s.1)
    }

    /// Rates in kbps: as UCI lists them, or as hostapd is told when it does not.
    fn rates(&self, option: &str) -> Vec<u32> {
        let given: Vec<u32> = self
            .section()
            .map_or(Vec::new(), |s| s.words(option))
            .iter()
            .filter_map(|w| w.parse().ok())
            .collect();
        if !given.is_empty() {
            return given;
        }
        let two = self.band() == Some(Band::Two);
        let slow = two && self.spoken().slow;
        let basic = option == "basic_rate";
        match (self.number("cell_density").unwrap_or(0), slow) {
            // The driver's own, which nobody tells.
            (0, true) => Vec::new(),
            (0, false) if !two => Vec::new(),
            (1, true) if basic => vec![5500, 11000],
            (1, true) => vec![5500, 6000, 9000, 11000, 12000, 18000, 24000, 36000, 48000, 54000],
            (2, true) if basic => vec![11000],
            (2, true) => vec![11000, 12000, 18000, 24000, 36000, 48000, 54000],
            (2, false) if basic => vec![12000, 24000],
            (2, false) => vec![12000, 18000, 24000, 36000, 48000, 54000],
            (3.., false) if basic => vec![24000],
            (3.., false) => vec![24000, 36000, 48000, 54000],
            _ if basic => vec![6000, 12000, 24000],
            _ => vec![6000, 9000, 12000, 18000, 24000, 36000, 48000, 54000],
        }
    }

    fn dtim(&self) -> u32 {
        let beacons = self.points().find_map(|p| p.get("dtim_period")?.parse().ok()).unwrap_or(DTIM);
        beacons.saturating_mul(self.number("beacon_int").unwrap_or(BEACON))
    }

    fn domain(&self) -> Option<String> {
        let country = self.get("country").or_else(|| self.info("country")?.text())?;
        let third = match self.get("country3") {
            Some("0x4f" | "0x4F") => 'O',
            Some("0x49") => 'I',
            _ => ' ',
        };
        Some(format!("{country}{third}"))
    }
}

/// Kbps as Mbps: `5.5`.
fn mbps(kbps: u32) -> String {
    match kbps % 1000 / 100 {
        0 => (kbps / 1000).to_string(),
        tenth => format!("{}.{tenth}", kbps / 1000),
    }
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
    let Some(radio) = find(sources, ctx, row.key()) else {
        return Ok(());
    };
    for (at, w) in want.iter().enumerate() {
        if let Some(text) = value(&radio, w.param.name()) {
            out.put(at, text);
        }
    }
    Ok(())
}

fn value(radio: &Radio, name: &str) -> Option<String> {
    let words = |all: Vec<&str>| (!all.is_empty()).then(|| all.join(","));
    Some(match name {
        "SupportedFrequencyBands" => words(radio.bands().into_iter().map(Band::word).collect())?,
        "OperatingFrequencyBand" => radio.band()?.word().to_owned(),
        "OperatingStandards" => words(standards(radio.band()?, radio.spoken()))?,
        "Channel" => match radio.info("channel").and_then(Value::number) {
            Some(channel) => channel.to_string(),
            None => radio.get("channel").filter(|_| !radio.is_auto())?.to_owned(),
        },
        "AutoChannelEnable" => radio.is_auto().to_string(),
        "SupportedOperatingChannelBandwidths" => {
            let mut all: Vec<&str> = vec!["20MHz"];
            let modes = radio.info("htmodes").into_iter().flat_map(Value::fields);
            for (_, mode) in modes {
                let word = match mode.text().unwrap_or("") {
                    "VHT80+80" => "80+80MHz",
                    mode => Mode::parse(mode).bandwidth(),
                };
                if !all.contains(&word) {
                    all.push(word);
                }
            }
            all.join(",")
        }
        "OperatingChannelBandwidth" => radio.mode().bandwidth().to_owned(),
        "CurrentOperatingChannelBandwidth" => {
            let mode = radio.info("htmode").and_then(Value::text).map_or_else(|| radio.mode(), Mode::parse);
            mode.bandwidth().to_owned()
        }
        "ExtensionChannel" => match radio.mode().side {
            Side::Auto => "Auto",
            Side::Above => "AboveControlChannel",
            Side::Below => "BelowControlChannel",
        }
        .to_owned(),
        "TransmitPowerSupported" => {
            let mut all: Vec<i64> = radio.steps().iter().map(|s| s.1).collect();
            all.dedup();
            all.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
        }
        "TransmitPower" => radio.percent()?.to_string(),
        "IEEE80211hSupported" => radio.bands().contains(&Band::Five).to_string(),
        "RegulatoryDomain" => radio.domain()?,
        "DTIMPeriod" => radio.dtim().to_string(),
        "PreambleType" => {
            match radio.points().find_map(|p| p.flag("short_preamble")) {
                Some(false) => "long",
                _ => "short",
            }
        }
        .to_owned(),
        "EnableRRM" => radio.points().any(|p| p.flag("ieee80211k") == Some(true)).to_string(),
        "BasicDataTransmitRates" => rates(&radio.rates("basic_rate"))?,
        "OperationalDataTransmitRates" => rates(&radio.rates("supported_rates"))?,
        _ => return None,
    })
}

fn rates(all: &[u32]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(|r| mbps(*r)).collect::<Vec<_>>().join(","))
}

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
        "AutoChannelEnable" if value == "true" => {
            if !radio.is_auto() {
                edits.set("channel", "auto");
            }
        }
        "AutoChannelEnable" => {
            if radio.is_auto() && !sets.iter().any(|s| s.param.name() == "Channel") {
                let now = radio.info("channel").and_then(Value::number);
                let now = now.ok_or_else(|| bad("a channel must be given: none is in use"))?;
                edits.set("channel", now.to_string());
            }
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
        name => each_point(radio, name, value, edits)?,
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

/// What stands at each access point of the radio.
fn each_point(radio: &Radio, name: &str, value: &str, edits: &mut Edits<'_>) -> Result<(), Failure> {
    let (option, text) = match name {
        "DTIMPeriod" => {
            let beacon = radio.number("beacon_int").unwrap_or(BEACON).max(1);
            let beacons = value.parse::<u32>().ok().filter(|ms| ms % beacon == 0).map(|ms| ms / beacon);
            let beacons = beacons.filter(|n| (1..=255).contains(n));
            (
                "dtim_period",
                beacons.ok_or_else(|| bad("no multiple of BeaconPeriod, 1 to 255 of it"))?.to_string(),
            )
        }
        "PreambleType" => {
            let short = if value == "long" { "0" } else { "1" };
            ("short_preamble", short.to_owned())
        }
        "EnableRRM" => ("ieee80211k", if value == "true" { "1" } else { "0" }.to_owned()),
        _ => return Ok(()),
    };
    for point in radio.points() {
        edits.set_in(&point.key(), option, text.as_str());
    }
    Ok(())
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
