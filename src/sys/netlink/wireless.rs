//! nl80211, as far as a scan needs it: which devices use which radio, scans, and what they found.

use super::generic::{Attributes, Family, attributes_of};
use super::{Attribute, Error, nested, number, text, u16_at, u32_at};
use nix::errno::Errno;
use std::os::fd::BorrowedFd;

/// The most networks of one scan; what is beyond is left out.
pub const MAX_FOUND: usize = 1024;
/// The most bytes that a network may say of itself: a beacon has at most 2304.
const MAX_ELEMENTS: usize = 4096;

const GET_INTERFACE: u8 = 5;
const GET_SCAN: u8 = 32;
const TRIGGER_SCAN: u8 = 33;
const NEW_SCAN_RESULTS: u8 = 34;
const SCAN_ABORTED: u8 = 35;

const WIPHY: u16 = 1;
const IFINDEX: u16 = 3;
const IFNAME: u16 = 4;
const IFTYPE: u16 = 5;
const SCAN_SSIDS: u16 = 45;
const BSS: u16 = 47;
const SCAN_FLAGS: u16 = 158;

/// NL80211_SCAN_FLAG_AP: also where an access point is at work.
const FLAG_AP: u32 = 4;
/// NL80211_IFTYPE_STATION
pub const STATION: u32 = 2;
/// NL80211_IFTYPE_AP
pub const ACCESS_POINT: u32 = 3;

/// A device that uses a radio.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Device {
    /// The kernel's number of it.
    pub index: u32,
    /// `wlan0`
    pub name: String,
    /// The number of its radio.
    pub radio: u32,
    /// NL80211_IFTYPE_*
    pub kind: u32,
}

/// A network that was heard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Its BSSID.
    pub bssid: [u8; 6],
    /// MHz.
    pub frequency: u32,
    /// Time units of 1.024 ms between beacons.
    pub interval: u16,
    /// The capability field of its beacon.
    pub capability: u16,
    /// Hundredths of dBm, where the driver tells them.
    pub signal: Option<i32>,
    /// Its information elements, as they were on the air.
    pub elements: Vec<u8>,
}

/// What became of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// There are results.
    Done,
    /// It was given up.
    Aborted,
}

/// nl80211.
pub struct Wireless(Family);

impl Wireless {
    /// # Errors
    /// `Refused(ENOENT)`: this kernel has no wireless devices.
    pub fn open() -> Result<Wireless, Error> {
        Family::open("nl80211", "scan").map(Wireless)
    }

    /// All devices that use a radio.
    ///
    /// # Errors
    /// The kernel's.
    pub fn devices(&self) -> Result<Vec<Device>, Error> {
        let mut all = Vec::new();
        self.0
            .ask(GET_INTERFACE, true, &Attributes::default(), &mut |payload| all.extend(device(payload)))?;
        Ok(all)
    }

    /// Begins a scan by a device, also where it is an access point that has to be silent for it. True when one
    /// is under way already.
    ///
    /// # Errors
    /// The kernel's: the device is down, or its driver cannot do it now.
    pub fn scan(&self, device: &Device) -> Result<bool, Error> {
        let any = Attributes::default().with(1, &[]);
        let wanted = || Attributes::default().number(IFINDEX, device.index).nest(SCAN_SSIDS, &any);
        let mut result = self.0.ask(TRIGGER_SCAN, false, &wanted(), &mut |_| {});
        if device.kind == ACCESS_POINT && result == Err(Error::Refused(Errno::EOPNOTSUPP as i32)) {
            result = self.0.ask(TRIGGER_SCAN, false, &wanted().number(SCAN_FLAGS, FLAG_AP), &mut |_| {});
        }
        match result {
            Err(Error::Refused(number)) if number == Errno::EBUSY as i32 => Ok(true),
            other => other.map(|()| false),
        }
    }

    /// Readable when a scan has ended; `None` where that cannot be heard.
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.0.events()
    }

    /// What became of the scan of a radio, when something was said of it.
    pub fn ended(&self, radio: u32) -> Option<Scan> {
        let mut found = None;
        let lost = self.0.heard(&mut |payload| {
            found = ended(payload).filter(|(of, _)| *of == radio).map(|(_, scan)| scan).or(found);
        });
        // What was lost may have been it: the results are there to be read.
        found.or(lost.then_some(Scan::Done))
    }

    /// What the radio of this device has heard.
    ///
    /// # Errors
    /// The kernel's.
    pub fn found(&self, device: &Device) -> Result<Vec<Found>, Error> {
        let mut all = Vec::new();
        let wanted = Attributes::default().number(IFINDEX, device.index);
        self.0.ask(GET_SCAN, true, &wanted, &mut |payload| {
            if all.len() < MAX_FOUND {
                all.extend(found(payload));
            }
        })?;
        Ok(all)
    }
}

fn device(payload: &[u8]) -> Option<Device> {
    let mut device = Device::default();
    for a in attributes_of(payload) {
        match a.kind {
            IFINDEX => device.index = number(a),
            IFNAME => device.name = text(a.data),
            WIPHY => device.radio = number(a),
            IFTYPE => device.kind = number(a),
            _ => {}
        }
    }
    (device.index != 0).then_some(device)
}

fn ended(payload: &[u8]) -> Option<(u32, Scan)> {
    let scan = match *payload.first()? {
        NEW_SCAN_RESULTS => Scan::Done,
        SCAN_ABORTED => Scan::Aborted,
        _ => return None,
    };
    Some((attributes_of(payload).find(|a| a.kind == WIPHY).map(number)?, scan))
}

/// A network of an answer to GET_SCAN.
pub fn found(payload: &[u8]) -> Option<Found> {
    let bss = attributes_of(payload).find(|a| a.kind == BSS)?;
    let mut found = Found::default();
    let mut beacon: &[u8] = &[];
    for Attribute { kind, data } in nested(bss) {
        match kind {
            1 => found.bssid = data.try_into().ok()?,
            2 => found.frequency = u32_at(data, 0)?,
            4 => found.interval = u16_at(data, 0)?,
            5 => found.capability = u16_at(data, 0)?,
            6 => found.elements = data.get(..data.len().min(MAX_ELEMENTS))?.to_vec(),
            7 => found.signal = u32_at(data, 0).map(|n| n as i32),
            11 => beacon = data,
            _ => {}
        }
    }
    // A probe's answer has no DTIM period: the beacon's elements go behind, and what is there twice is read once.
    let room = MAX_ELEMENTS.saturating_sub(found.elements.len());
    found.elements.extend(beacon.iter().take(room));
    (found.bssid != [0; 6]).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(command: u8, attributes: &Attributes) -> Vec<u8> {
        [&[command, 1, 0, 0][..], attributes.bytes()].concat()
    }

    #[test]
    fn devices_events_and_networks() {
        let all = Attributes::default()
            .number(IFINDEX, 7)
            .with(IFNAME, b"wlan0\0")
            .number(WIPHY, 1)
            .number(IFTYPE, STATION);
        let expected = Device { index: 7, name: "wlan0".into(), radio: 1, kind: STATION };
        assert_eq!(device(&payload(7, &all)), Some(expected));
        assert_eq!(
            device(&payload(7, &Attributes::default().number(WIPHY, 1))),
            None,
            "a device of its own kind"
        );
        assert_eq!(ended(&payload(NEW_SCAN_RESULTS, &all)), Some((1, Scan::Done)));
        assert_eq!(ended(&payload(SCAN_ABORTED, &all)), Some((1, Scan::Aborted)));
        assert_eq!(ended(&payload(TRIGGER_SCAN, &all)), None);
        assert_eq!(ended(&[]), None);
        let bss = Attributes::default()
            .with(1, &[2, 0, 0, 0, 0, 1])
            .number(2, 2412)
            .with(4, &100_u16.to_ne_bytes())
            .with(5, &0x11_u16.to_ne_bytes())
            .with(6, &[0, 1, b'x'])
            .with(7, &(-4550_i32).to_ne_bytes())
            .with(11, &[5, 4, 0, 2, 0, 0]);
        let whole = payload(NEW_SCAN_RESULTS, &Attributes::default().number(IFINDEX, 7).nest(BSS, &bss));
        let expected = Found {
            bssid: [2, 0, 0, 0, 0, 1],
            frequency: 2412,
            interval: 100,
            capability: 0x11,
            signal: Some(-4550),
            elements: vec![0, 1, b'x', 5, 4, 0, 2, 0, 0],
        };
        assert_eq!(found(&whole), Some(expected));
        for len in 0..whole.len() {
            let _ = found(&whole[..len]);
        }
        let huge = Attributes::default().with(1, &[2; 6]).with(6, &[0; 5000]).with(11, &[0; 5000]);
        let huge = found(&payload(34, &Attributes::default().nest(BSS, &huge))).unwrap();
        assert_eq!(huge.elements.len(), MAX_ELEMENTS);
        let short = Attributes::default().with(1, &[2; 5]);
        assert_eq!(found(&payload(34, &Attributes::default().nest(BSS, &short))), None);
    }
}
