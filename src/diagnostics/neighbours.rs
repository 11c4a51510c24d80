//! Device.WiFi.NeighboringWiFiDiagnostic: the networks that each radio hears, by a scan of nl80211.
//!
//! A radio is scanned by one device of it: a station, else whatever there is. An access point leaves its channel for
//! that, some hundred milliseconds at a time, and its stations wait.

mod elements;

use super::run::{Canceled, Run, after};
use super::{Job, Kind, MAX_ROWS, Record, Report};
use crate::sys::netlink::wireless::{Device, Found, STATION, Scan, Wireless};
use elements::Beacon;
use nix::poll::PollFlags;
use std::time::Duration;

/// The test.
pub const KIND: Kind =
    Kind { object: "Device.WiFi.NeighboringWiFiDiagnostic.", word: "neighbours", run, judge: super::any };

/// Fact: a device of the kernel's and the row of its radio, with a blank between.
pub const DEVICE: &str = "device";
/// The most devices that are asked for their radio.
pub const MAX_DEVICES: usize = 64;

/// The most radios that are scanned.
const MAX_RADIOS: usize = 8;
/// The longest that a scan of one radio may take: channels where nothing may be sent are listened to in turn.
const SCAN: Duration = Duration::from_secs(20);
/// How long is waited where nobody says that a scan has ended.
const UNHEARD: Duration = Duration::from_secs(10);

/// Does it. Complete when at least one radio was scanned; its enumeration has no other error than `Error`.
fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let none = |why: String| Ok(Report::error("Error", why));
    let wireless = match Wireless::open() {
        Ok(wireless) => wireless,
        Err(error) => return none(format!("no radio: {error}")),
    };
    let devices = match wireless.devices() {
        Ok(devices) => devices,
        Err(error) => return none(error.to_string()),
    };
    let radios = by_radio(&devices);
    if radios.is_empty() {
        return none("no device uses a radio".to_owned());
    }
    let (mut rows, mut why, mut scanned) = (Vec::new(), String::new(), 0);
    for device in radios {
        let radio = row_of(job, &devices, device.radio);
        match scan(&wireless, device, run)? {
            Ok(found) => {
                scanned += 1;
                run.show(&format!("{}: {} networks", device.name, found.len()));
                found.iter().for_each(|one| add(&mut rows, one, &radio));
            }
            Err(error) => {
                run.show(&format!("{}: {error}", device.name));
                why = format!("{}: {error}", device.name);
            }
        }
    }
    let mut report = if scanned == 0 { Report::error("Error", why) } else { Report::complete() };
    report.tables.push(("Result", rows.into_iter().map(|(_, row)| row).collect()));
    Ok(report)
}

/// One device for each radio: a station before others.
fn by_radio(devices: &[Device]) -> Vec<&Device> {
    let mut chosen: Vec<&Device> = Vec::new();
    for device in devices {
        let is_full = chosen.len() >= MAX_RADIOS;
        match chosen.iter_mut().find(|known| known.radio == device.radio) {
            Some(known) if known.kind != STATION && device.kind == STATION => *known = device,
            Some(_) => {}
            None if is_full => {}
            None => chosen.push(device),
        }
    }
    chosen
}

/// The row of a radio, by any of its devices; empty when the tree has none.
fn row_of(job: &Job, devices: &[Device], radio: u32) -> String {
    let mut own = devices.iter().filter(|device| device.radio == radio);
    let known = |name: &str| {
        let facts = job.around.facts.all(DEVICE).filter_map(|fact| fact.split_once(' '));
        facts.filter(|(device, _)| *device == name).map(|(_, row)| row.to_owned()).next()
    };
    own.find_map(|device| known(&device.name)).unwrap_or_default()
}

fn scan(wireless: &Wireless, device: &Device, run: &Run) -> Result<Result<Vec<Found>, String>, Canceled> {
    // What was said of scans before this one.
    let _ = wireless.ended(device.radio);
    if let Err(error) = wireless.scan(device) {
        return Ok(Err(error.to_string()));
    }
    match wireless.events() {
        None => run.pause(after(UNHEARD))?,
        Some(events) => {
            let until = after(SCAN);
            loop {
                if !run.wait(&mut [(events, PollFlags::POLLIN, false)], until)? {
                    return Ok(Err("the scan did not end".to_owned()));
                }
                match wireless.ended(device.radio) {
                    Some(Scan::Done) => break,
                    Some(Scan::Aborted) => return Ok(Err("the scan was given up".to_owned())),
                    None => {}
                }
            }
        }
    }
    Ok(wireless.found(device).map_err(|error| error.to_string()))
}

/// Adds a network; one that several radios hear is told once, where it is heard best.
fn add(rows: &mut Vec<([u8; 6], Record)>, found: &Found, radio: &str) {
    let row = record(found, radio);
    let signal = |row: &Record| {
        let text = row.iter().find(|(name, _)| *name == "SignalStrength").map(|(_, text)| text.as_str());
        text.and_then(|text| text.parse::<i32>().ok()).unwrap_or(i32::MIN)
    };
    let is_full = rows.len() >= MAX_ROWS;
    match rows.iter_mut().find(|(bssid, _)| *bssid == found.bssid) {
        Some((_, known)) if signal(known) < signal(&row) => *known = row,
        Some(_) => {}
        None if is_full => {}
        None => rows.push((found.bssid, row)),
    }
}

/// The row of a network.
pub fn record(found: &Found, radio: &str) -> Record {
    const ESS: u16 = 1;
    const IBSS: u16 = 2;
    const PRIVACY: u16 = 16;
    let beacon = Beacon::read(&found.elements);
    let [a, b, c, d, e, f] = found.bssid;
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let ssid: String = String::from_utf8_lossy(beacon.ssid).chars().map(clean).collect();
    // A name that is hidden is left out, or made of zeros.
    let hidden = beacon.ssid.iter().all(|byte| *byte == 0);
    let (basic, all) = beacon.rates();
    let standards = beacon.standards(found.frequency);
    let milliseconds = |units: u64| (units * 1024 + 500) / 1000;
    let interval = u64::from(found.interval);
    let mut row: Record = vec![
        ("BSSID", format!("{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}")),
        ("SSID", if hidden { String::new() } else { ssid }),
        ("Radio", radio.to_owned()),
        ("SecurityModeEnabled", beacon.security(found.capability & PRIVACY != 0).to_owned()),
        ("EncryptionMode", beacon.encryption()),
        ("SupportedStandards", standards.clone()),
        ("OperatingStandards", standards),
        ("OperatingChannelBandwidth", beacon.bandwidth().to_owned()),
        ("BeaconPeriod", milliseconds(interval).to_string()),
        ("BasicDataTransferRates", basic),
        ("SupportedDataTransferRates", all),
        ("DTIMPeriod", milliseconds(interval * u64::from(beacon.dtim.unwrap_or(0))).to_string()),
    ];
    let mode = match found.capability & (ESS | IBSS) {
        IBSS => "AdHoc",
        _ => "Infrastructure",
    };
    row.push(("Mode", mode.to_owned()));
    if let Some(channel) = beacon.channel(found.frequency) {
        row.push(("Channel", channel.to_string()));
    }
    if let Some(signal) = found.signal {
        row.push(("SignalStrength", (signal / 100).clamp(-200, 0).to_string()));
    }
    let band = match found.frequency {
        2400..=2500 => "2.4GHz",
        4900..=5924 => "5GHz",
        5925..=7125 => "6GHz",
        _ => "",
    };
    if !band.is_empty() {
        row.push(("OperatingFrequencyBand", band.to_owned()));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, radio: u32, kind: u32) -> Device {
        Device { index: 1, name: name.into(), radio, kind }
    }

    fn text<'a>(row: &'a Record, name: &str) -> &'a str {
        row.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }

    #[test]
    fn one_device_for_each_radio() {
        let all =
            [device("a", 0, 3), device("b", 0, 2), device("c", 1, 3), device("d", 1, 3), device("e", 0, 2)];
        let names: Vec<&str> = by_radio(&all).iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        let many: Vec<Device> = (0..20).map(|n| device("x", n, 2)).collect();
        assert_eq!(by_radio(&many).len(), MAX_RADIOS);
        let mut job = Job { arguments: Default::default(), device: None, around: Default::default() };
        job.around.facts.0.push((DEVICE, "d Device.WiFi.Radio.2".into()));
        assert_eq!(row_of(&job, &all, 1), "Device.WiFi.Radio.2");
        assert_eq!(row_of(&job, &all, 0), "");
    }

    /// A beacon, byte by byte as IEEE 802.11 has it.
    #[test]
    fn a_network() {
        let mut elements = vec![0, 4, b'n', b'a', b'm', b'e'];
        elements.extend([1, 4, 0x82, 0x84, 0x8b, 0x96]);
        elements.extend([3, 1, 6, 5, 4, 0, 3, 0, 0]);
        elements
            .extend([48, 20, 1, 0, 0, 0x0f, 0xac, 4, 1, 0, 0, 0x0f, 0xac, 4, 1, 0, 0, 0x0f, 0xac, 2, 0, 0]);
        let found = Found {
            bssid: [2, 0, 0, 0xab, 0, 1],
            frequency: 2437,
            interval: 100,
            capability: 0x0411,
            signal: Some(-5760),
            elements,
        };
        let row = record(&found, "Device.WiFi.Radio.1");
        for (name, expected) in [
            ("BSSID", "02:00:00:AB:00:01"),
            ("SSID", "name"),
            ("Radio", "Device.WiFi.Radio.1"),
            ("Mode", "Infrastructure"),
            ("Channel", "6"),
            ("SignalStrength", "-57"),
            ("SecurityModeEnabled", "WPA2"),
            ("EncryptionMode", "AES"),
            ("OperatingFrequencyBand", "2.4GHz"),
            ("SupportedStandards", "b"),
            ("OperatingStandards", "b"),
            ("OperatingChannelBandwidth", "20MHz"),
            ("BeaconPeriod", "102"),
            ("DTIMPeriod", "307"),
            ("BasicDataTransferRates", "1,2,5.5,11"),
        ] {
            assert_eq!(text(&row, name), expected, "{name}");
        }
        // Heard by two radios: told once, where it is heard best.
        let mut rows = Vec::new();
        add(&mut rows, &found, "Device.WiFi.Radio.1");
        add(&mut rows, &Found { signal: Some(-3000), ..found.clone() }, "Device.WiFi.Radio.2");
        add(&mut rows, &Found { signal: None, ..found.clone() }, "Device.WiFi.Radio.3");
        assert_eq!(rows.len(), 1);
        assert_eq!(text(&rows[0].1, "Radio"), "Device.WiFi.Radio.2");
        for n in 0..2000_u16 {
            let [high, low] = n.to_be_bytes();
            add(&mut rows, &Found { bssid: [4, 0, 0, 0, high, low], ..found.clone() }, "");
        }
        assert_eq!(rows.len(), MAX_ROWS, "an attacker who makes up networks");
        let hidden =
            Found { elements: vec![0, 3, 0, 0, 0], interval: u16::MAX, signal: Some(i32::MAX), ..found };
        let row = record(&hidden, "");
        assert_eq!((text(&row, "SSID"), text(&row, "SignalStrength")), ("", "0"));
        let strange = Found { elements: vec![0, 4, 0xff, b'\n', b'"', 0], ..hidden };
        assert_eq!(text(&record(&strange, ""), "SSID"), "\u{fffd}\u{fffd}\"\u{fffd}");
    }
}
