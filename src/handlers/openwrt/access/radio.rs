//! Provider `openwrt_radio`: what a `wifi-device` says in words of its own (`htmode`, dBm, kbps, the options of
//! its access points), in the words of the standard.

use super::air::{iwinfo, results, wireless};
use super::htmode::{Band, Family, Mode, Side, Spoken, standards};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::{Package, Section};
use std::rc::Rc;

/// How often hostapd sends what sleeping stations wait for, in beacons, when nobody says it.
const DTIM: u32 = 2;
/// Milliseconds between beacons when nobody says it.
const BEACON: u32 = 100;

/// A radio with what iwinfo says of it.
pub(super) struct Radio {
    package: Rc<Package>,
    key: String,
    info: Option<Rc<Answer>>,
    pub(super) channels: Option<Rc<Answer>>,
    powers: Option<Rc<Answer>>,
}

pub(super) fn find(sources: &mut Sources, ctx: &Ctx<'_>, key: &str) -> Option<Radio> {
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

    pub(super) fn info(&self, name: &str) -> Option<Value<'_>> {
        self.info.as_ref()?.root().get(name)
    }

    /// Its access points.
    pub(super) fn points(&self) -> impl Iterator<Item = Section<'_>> {
        let mine = |s: &Section<'_>| s.get("device") == Some(&self.key) && s.get("mode") == Some("ap");
        self.package.of_kind("wifi-iface").filter(mine)
    }

    pub(super) fn bands(&self) -> Vec<Band> {
        let mut bands = Vec::new();
        for entry in results(&self.channels) {
            let band = entry.get("mhz").and_then(Value::number).and_then(Band::of);
            bands.extend(band.filter(|b| !bands.contains(b)));
        }
        bands
    }

    pub(super) fn band(&self) -> Option<Band> {
        Band::from_uci(self.get("band"), self.get("hwmode")).or_else(|| self.bands().first().copied())
    }

    pub(super) fn mode(&self) -> Mode {
        Mode::parse(self.get("htmode").unwrap_or(""))
    }

    pub(super) fn is_auto(&self) -> bool {
        !self.get("channel").is_some_and(|c| c.parse::<u8>().is_ok_and(|c| c != 0))
    }

    pub(super) fn spoken(&self) -> Spoken {
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
    pub(super) fn steps(&self) -> Vec<(i64, i64)> {
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

    pub(super) fn beacon(&self) -> u32 {
        self.number("beacon_int").unwrap_or(BEACON)
    }

    fn dtim(&self) -> u32 {
        let beacons = self.points().find_map(|p| p.get("dtim_period")?.parse().ok()).unwrap_or(DTIM);
        beacons.saturating_mul(self.beacon())
    }

    /// The rates before 802.11n that its standards have, Mbps.
    fn legacy(&self) -> Option<String> {
        let modes = self.info("hwmodes")?;
        let has = |mode: &str| modes.fields().any(|(_, m)| m.text() == Some(mode));
        let slow = if has("b") { "1,2,5.5,11" } else { "" };
        let fast = if has("a") || has("g") { "6,9,12,18,24,36,48,54" } else { "" };
        let all = [slow, fast].into_iter().filter(|r| !r.is_empty()).collect::<Vec<_>>();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// Why the radio is on its channel. It looks for one when it starts; radar alone makes it leave.
    fn reason(&self) -> Option<&'static str> {
        let now = self.info("channel").and_then(Value::number)?.to_string();
        Some(match self.get("channel") {
            _ if self.is_auto() => "Auto_Startup",
            Some(channel) if channel == now => "Manual",
            _ => "Auto_DFS",
        })
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
        "SupportedDataTransmitRates" => radio.legacy()?,
        "ChannelLastSelectionReason" => radio.reason()?.to_owned(),
        "BeaconPeriod" => radio.beacon().to_string(),
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
