//! Provider `sensor`: DeviceInfo.TemperatureStatus and PowerStatus, from sysfs: hwmon, thermal
//! zones and power supplies.
//!
//! The numbers in `hwmon0` change from boot to boot, so a sensor's key is its chip's name and its
//! own; where two chips have one name, the second has `#2` behind it.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host};
use std::path::Path;

/// No more sensors than this are looked at.
const MAX_SENSORS: usize = 256;
/// The standard's word for "no reading", in degrees.
const NO_READING: i64 = -274;

/// The provider.
#[derive(Default)]
pub struct Sensors {
    found: PerRpc<Vec<Sensor>>,
}

/// One sensor.
#[derive(Clone, PartialEq, Debug)]
struct Sensor {
    name: String,
    what: What,
}

/// What it measures and the files that say it.
#[derive(Clone, PartialEq, Debug)]
enum What {
    /// Thousandths of a degree: the value, and the limits where the driver has some.
    Temperature { value: String, low: Option<String>, high: Option<String> },
    /// Each a file and how many of its units make a mV, mA or mW.
    Power { voltage: Option<(String, i64)>, current: Option<(String, i64)>, power: Option<(String, i64)> },
}

impl Reading for Sensors {
    /// Temperatures and voltages never stand still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let temperature = row.object.name() == "TemperatureSensor";
        let found = self.found.get(ctx, || find(ctx.root));
        out.extend(found.iter().filter(|s| s.is_temperature() == temperature).map(|s| s.name.clone()));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let temperature = row.object.name() == "TemperatureSensor";
        let found = self.found.get(ctx, || find(ctx.root));
        let Some(sensor) = found.iter().find(|s| s.name == row.key() && s.is_temperature() == temperature)
        else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, &sensor.name),
                "Status" => out.put(i, if sensor.answers(ctx.root) { "Enabled" } else { "Error" }),
                // Read just now.
                "LastUpdate" if sensor.answers(ctx.root) => out.put(i, clock::utc(host::now(ctx.root))),
                name => sensor.value(ctx.root, name, i, out),
            }
        }
    }
}

impl Sensor {
    fn is_temperature(&self) -> bool {
        matches!(self.what, What::Temperature { .. })
    }

    fn answers(&self, root: &Path) -> bool {
        match &self.what {
            What::Temperature { value, .. } => degrees(root, value).is_some(),
            What::Power { voltage, current, power } => [voltage, current, power]
                .into_iter()
                .flatten()
                .any(|(file, _)| host::number::<i64>(root, file).is_some()),
        }
    }

    fn value(&self, root: &Path, name: &str, i: usize, out: &mut Fields) {
        match &self.what {
            What::Temperature { value, low, high } => {
                let read = |file: Option<&String>| file.and_then(|f| degrees(root, f)).unwrap_or(NO_READING);
                match name {
                    "Value" => out.put(i, read(Some(value))),
                    "LowAlarmValue" => out.put(i, read(low.as_ref())),
                    "HighAlarmValue" => out.put(i, read(high.as_ref())),
                    _ => {}
                }
            }
            What::Power { voltage, current, power } => {
                let source = match name {
                    "Voltage" => voltage,
                    "Current" => current,
                    "Power" => power,
                    _ => return,
                };
                let Some((file, unit)) = source else { return };
                if let Some(n) = host::number::<i64>(root, file) {
                    out.put(i, (n / unit).clamp(i32::MIN.into(), i32::MAX.into()));
                }
            }
        }
    }
}

/// Whole degrees, rounded; nothing is colder than -273.
fn degrees(root: &Path, file: &str) -> Option<i64> {
    let milli: i64 = host::number(root, file)?;
    let whole = milli.saturating_add(if milli < 0 { -500 } else { 500 }) / 1000;
    Some(whole.clamp(-273, 100_000))
}

fn find(root: &Path) -> Vec<Sensor> {
    let mut found = Vec::new();
    thermal_zones(root, &mut found);
    let zones: Vec<String> = found.iter().map(|s| s.name.replace('-', "_")).collect();
    for chip in host::names(root, "/sys/class/hwmon") {
        let dir = format!("/sys/class/hwmon/{chip}");
        let name = host::line(root, &format!("{dir}/name")).unwrap_or(chip);
        // The kernel shows a thermal zone as a chip of the same name once more.
        if !zones.contains(&name.replace('-', "_")) {
            channels(root, &dir, &name, &mut found);
        }
    }
    supplies(root, &mut found);
    found
}

fn thermal_zones(root: &Path, found: &mut Vec<Sensor>) {
    for zone in host::names(root, "/sys/class/thermal") {
        if !zone.starts_with("thermal_zone") {
            continue;
        }
        let dir = format!("/sys/class/thermal/{zone}");
        let name = host::line(root, &format!("{dir}/type")).unwrap_or(zone);
        let trip = (0..16).find(|n| {
            matches!(
                host::line(root, &format!("{dir}/trip_point_{n}_type")).as_deref(),
                Some("hot" | "critical")
            )
        });
        let high = trip.map(|n| format!("{dir}/trip_point_{n}_temp"));
        add(found, name, What::Temperature { value: format!("{dir}/temp"), low: None, high });
    }
}

fn channels(root: &Path, dir: &str, chip: &str, found: &mut Vec<Sensor>) {
    for file in host::names(root, dir) {
        let Some(channel) = file.strip_suffix("_input") else {
            continue;
        };
        let kind = channel.trim_end_matches(|c: char| c.is_ascii_digit());
        let path = format!("{dir}/{file}");
        let there = |suffix: &str| {
            let path = format!("{dir}/{channel}_{suffix}");
            host::line(root, &path).map(|_| path)
        };
        let power = |voltage, current, power| What::Power { voltage, current, power };
        let what = match kind {
            "temp" => {
                let high = there("crit").or_else(|| there("max"));
                What::Temperature { value: path, low: there("min"), high }
            }
            "in" => power(Some((path, 1)), None, None),
            "curr" => power(None, Some((path, 1)), None),
            "power" => power(None, None, Some((path, 1000))),
            _ => continue,
        };
        let label = host::line(root, &format!("{dir}/{channel}_label")).unwrap_or_else(|| channel.to_owned());
        add(found, format!("{chip} {label}"), what);
    }
}

/// Batteries and chargers count in millionths.
fn supplies(root: &Path, found: &mut Vec<Sensor>) {
    for name in host::names(root, "/sys/class/power_supply") {
        let there = |file: &str| {
            let path = format!("/sys/class/power_supply/{name}/{file}");
            host::line(root, &path).map(|_| (path, 1000))
        };
        let (voltage, current, power) = (there("voltage_now"), there("current_now"), there("power_now"));
        if voltage.is_some() || current.is_some() || power.is_some() {
            add(found, name.clone(), What::Power { voltage, current, power });
        }
    }
}

fn add(found: &mut Vec<Sensor>, name: String, what: What) {
    if found.len() >= MAX_SENSORS {
        return;
    }
    let plain: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
    let mut name = plain.clone();
    let mut nth = 1;
    while found.iter().any(|s| s.name == name) {
        nth += 1;
        name = format!("{plain}#{nth}");
    }
    found.push(Sensor { name, what });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const TEMPERATURE: &str = "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.{i}.";
    const POWER: &str = "Device.DeviceInfo.PowerStatus.PowerSensor.{i}.";

    fn sensors() -> ReadOnly {
        ReadOnly(Box::new(Sensors::default()))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        f.file("sys/class/thermal/thermal_zone0/temp", "47500\n");
        f.file("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n");
        f.file("sys/class/thermal/thermal_zone0/trip_point_1_type", "critical\n");
        f.file("sys/class/thermal/thermal_zone0/trip_point_1_temp", "105000\n");
        f.file("sys/class/thermal/cooling_device0/type", "fan\n");
        f.file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
        f.file("sys/class/hwmon/hwmon0/temp1_input", "47500\n");
        for chip in ["hwmon1", "hwmon2"] {
            f.file(&format!("sys/class/hwmon/{chip}/name"), "ath10k_hwmon\n");
            f.file(&format!("sys/class/hwmon/{chip}/temp1_input"), "-10600\n");
        }
        f.file("sys/class/hwmon/hwmon3/name", "nct6775\n");
        f.file("sys/class/hwmon/hwmon3/in0_input", "11980\n");
        f.file("sys/class/hwmon/hwmon3/in0_label", "+12V\n");
        f.file("sys/class/hwmon/hwmon3/power1_input", "15000000\n");
        f.file("sys/class/hwmon/hwmon3/fan1_input", "1200\n");
        f.file("sys/class/power_supply/BAT0/voltage_now", "12345678\n");
        f.file("sys/class/power_supply/BAT0/current_now", "-500000\n");
        let mut s = sensors();
        assert_eq!(
            probe::list(&mut s, f.root(), TEMPERATURE, &[]),
            ["cpu-thermal", "ath10k_hwmon temp1", "ath10k_hwmon temp1#2"]
        );
        assert_eq!(probe::list(&mut s, f.root(), POWER, &[]), ["nct6775 +12V", "nct6775 power1", "BAT0"]);
        let mut get = |path, key, names: &[&str]| {
            let v = probe::get(&mut s, f.root(), path, &[key], names);
            probe::line(&v, names)
        };
        let names = ["Status", "Value", "LowAlarmValue", "HighAlarmValue"];
        assert_eq!(get(TEMPERATURE, "cpu-thermal", &names), "Enabled|48|-274|105");
        assert_eq!(get(TEMPERATURE, "ath10k_hwmon temp1#2", &names), "Enabled|-11|-274|-274");
        assert_eq!(get(POWER, "nct6775 +12V", &["Voltage", "Current"]), "11980|-");
        assert_eq!(get(POWER, "nct6775 power1", &["Power"]), "15000");
        assert_eq!(get(POWER, "BAT0", &["Status", "Voltage", "Current"]), "Enabled|12345|-500");
        assert_eq!(get(POWER, "cpu-thermal", &["Name"]), "-", "a name of the other table");
    }

    #[test]
    fn a_sensor_that_does_not_answer() {
        let f = Folder::new();
        f.file("sys/class/thermal/thermal_zone0/temp", "");
        f.file("sys/class/hwmon/hwmon0/temp1_input", "9223372036854775807");
        f.bytes("sys/class/hwmon/hwmon0/name", &[0xff, 0x01, 0x02]);
        let mut s = sensors();
        let v =
            probe::get(&mut s, f.root(), TEMPERATURE, &["thermal_zone0"], &["Status", "Value", "LastUpdate"]);
        assert_eq!((v["Status"].as_str(), v["Value"].as_str(), v.get("LastUpdate")), ("Error", "-274", None));
        let keys = probe::list(&mut s, f.root(), TEMPERATURE, &[]);
        assert_eq!(keys.len(), 2);
        let v = probe::get(&mut s, f.root(), TEMPERATURE, &[&keys[1]], &["Value"]);
        assert_eq!(v["Value"], "100000");
        for n in 0..MAX_SENSORS + 10 {
            f.file(&format!("sys/class/hwmon/hwmon0/temp{n}_input"), "1");
        }
        assert_eq!(probe::list(&mut sensors(), f.root(), TEMPERATURE, &[]).len(), MAX_SENSORS);
    }
}
