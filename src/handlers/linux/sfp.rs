//! Provider `sfp`: pluggable transceivers (Device.SFPs.), from what the kernel's driver shows as hwmon.
//!
//! The numbers in `hwmon0` change from boot to boot, so a transceiver's key is the name of its chip, which is
//! that of its cage: `sfp1`, `sfp_p5`.

use crate::handlers::reading::Reading;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

/// The tables' names.
const MODULES: &str = "Device.SFPs.Mgmt.SFF8472.{i}.";
/// What is measured: the standard's names in Status and Alarms, and in Thresholds; the channel in sysfs, and its unit.
const CHANNELS: [(&str, &str, &str, Unit); 5] = [
    ("Temperature", "Temp", "temp1", Unit::Milli),
    ("Vcc", "Vcc", "in0", Unit::One),
    ("TxBias", "TxBias", "curr1", Unit::Thousand),
    ("TxPower", "TxPower", "power1", Unit::Decibels),
    ("RxPower", "RxPower", "power2", Unit::Decibels),
];

/// How a number of sysfs is one of the standard.
#[derive(Clone, Copy)]
enum Unit {
    /// Thousandths of a degree as degrees.
    Milli,
    /// mV as they are.
    One,
    /// mA as µA.
    Thousand,
    /// µW as tenths of dBm.
    Decibels,
}

/// The provider.
#[derive(Default)]
pub struct Transceivers;

/// The chips of cages: name and folder.
fn chips(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for chip in host::names(root, "/sys/class/hwmon") {
        let folder = format!("/sys/class/hwmon/{chip}");
        let name = host::line(root, &format!("{folder}/name")).filter(|n| n.starts_with("sfp"));
        found.extend(name.map(|name| (name, folder)));
    }
    found
}

impl Reading for Transceivers {
    /// What is measured never stands still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        out.extend(chips(ctx.root).into_iter().map(|(name, _)| name));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let Some((name, folder)) = chips(ctx.root).into_iter().find(|(name, _)| name == row.key()) else {
            return;
        };
        for (at, w) in want.iter().enumerate() {
            match (row.object.name(), w.param.name()) {
                (_, "Name") => out.put(at, &name),
                (_, "SFPReference") => out.refer(at, MODULES, &[&name]),
                ("Alarms" | "Warnings", param) => {
                    let high = param.ends_with("High");
                    let channel = CHANNELS
                        .iter()
                        .find(|c| param.strip_suffix(if high { "High" } else { "Low" }) == Some(c.0));
                    let limit = limit(high, row.object.name() == "Alarms");
                    let path = channel.map(|c| format!("{folder}/{}_{limit}_alarm", c.2));
                    if let Some(on) = path.and_then(|p| host::number::<u8>(ctx.root, &p)) {
                        out.put(at, on != 0);
                    }
                }
                (_, param) => {
                    if let Some(value) = measured(ctx.root, &folder, param) {
                        out.put(at, value);
                    }
                }
            }
        }
    }
}

/// The kernel's word for a limit: an alarm is critical.
fn limit(high: bool, alarm: bool) -> &'static str {
    match (high, alarm) {
        (true, true) => "crit",
        (true, false) => "max",
        (false, true) => "lcrit",
        (false, false) => "min",
    }
}

/// `TxPower`, or `HighTxPowerAlarm`.
fn measured(root: &Path, folder: &str, param: &str) -> Option<i64> {
    let high = param.starts_with("High");
    let inner = param.strip_prefix(if high { "High" } else { "Low" });
    let (channel, file) = match inner {
        Some(inner) => {
            let alarm = inner.ends_with("Alarm");
            let name = inner.strip_suffix(if alarm { "Alarm" } else { "Warning" })?;
            (CHANNELS.iter().find(|c| c.1 == name)?, limit(high, alarm))
        }
        None => (CHANNELS.iter().find(|c| c.0 == param)?, "input"),
    };
    let number: i64 = host::number(root, &format!("{folder}/{}_{file}", channel.2))?;
    Some(match channel.3 {
        Unit::Milli => number / 1000,
        Unit::One => number,
        Unit::Thousand => number.saturating_mul(1000),
        // Nothing arrives at -40 dBm, which is where modules end to measure.
        Unit::Decibels if number <= 0 => -400,
        Unit::Decibels => (100.0 * (number as f64 / 1000.0).log10()).round() as i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
        for (file, text) in [
            ("name", "sfp1"),
            ("temp1_input", "38250"),
            ("temp1_crit", "90000"),
            ("temp1_lcrit", "-45000"),
            ("in0_input", "3295"),
            ("in0_max", "3500"),
            ("curr1_input", "24"),
            ("power1_input", "562"),
            ("power2_input", "0"),
            ("power2_min", "10"),
            ("power2_lcrit_alarm", "1"),
            ("power2_min_alarm", "0"),
        ] {
            f.file(&format!("sys/class/hwmon/hwmon3/{file}"), &format!("{text}\n"));
        }
        let mut s = ReadOnly(Box::new(Transceivers));
        assert_eq!(probe::list(&mut s, f.root(), MODULES, &[]), ["sfp1"]);
        let mut get = |object: &str, names: &[&str]| {
            let v = probe::get(&mut s, f.root(), &format!("{MODULES}{object}"), &["sfp1"], names);
            probe::line(&v, names)
        };
        let names = ["Temperature", "Vcc", "TxBias", "TxPower", "RxPower"];
        assert_eq!(get("Transceiver.Status.", &names), "38|3295|24000|-25|-400");
        let names =
            ["HighTempAlarm", "LowTempAlarm", "HighVccWarning", "LowRxPowerWarning", "HighTxPowerAlarm"];
        assert_eq!(get("Transceiver.Thresholds.", &names), "90|-45|3500|-200|-");
        assert_eq!(get("Transceiver.Alarms.", &["RxPowerLow", "RxPowerHigh"]), "true|-");
        assert_eq!(get("Transceiver.Warnings.", &["RxPowerLow"]), "false");
        let v =
            probe::get(&mut s, f.root(), "Device.SFPs.SFPCage.{i}.", &["sfp1"], &["Name", "SFPReference"]);
        assert_eq!(probe::line(&v, &["Name", "SFPReference"]), format!("sfp1|{MODULES}<sfp1>"));
        let none = probe::get(&mut s, f.root(), MODULES, &["cpu_thermal"], &["Name"]);
        assert!(none.is_empty(), "another chip");
    }
}
