//! What a network says of itself in its beacon (IEEE 802.11, 9.4.2). It was on the air, so anybody can have made it:
//! what does not fit where it stands is passed over, and of what is there twice the first counts.

/// The most rates of a network; two elements of their own hold them.
const MAX_RATES: usize = 32;
/// The most suites of a kind that are read of a network.
const MAX_SUITES: usize = 16;

/// One element: its number, for extended ones 256 and more, and what stands in it.
fn elements(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const EXTENSION: u8 = 255;
    std::iter::from_fn(move || {
        let (number, len) = (*rest.first()?, usize::from(*rest.get(1)?));
        let body = rest.get(2..2 + len)?;
        rest = rest.get(2 + len..)?;
        Some(match (number, body) {
            (EXTENSION, [extension, body @ ..]) => (256 + u16::from(*extension), body),
            _ => (number.into(), body),
        })
    })
}

/// The elements that are read here.
#[derive(Default)]
pub struct Beacon<'a> {
    pub ssid: &'a [u8],
    /// In units of 500 kbit/s; the highest bit says that all must know it.
    pub rates: Vec<u8>,
    pub dtim: Option<u8>,
    channel: Option<u8>,
    has_ht: bool,
    has_vht: bool,
    has_he: bool,
    has_eht: bool,
    ht: &'a [u8],
    vht: &'a [u8],
    he: &'a [u8],
    eht: &'a [u8],
    rsn: Option<Suites>,
    wpa: Option<Suites>,
}

/// Suites of a network's security.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Suites {
    /// A bit for each cipher, by its number.
    ciphers: u32,
    /// A bit for each way to prove who one is.
    keys: u32,
    /// Management frames must be protected.
    protected: bool,
}

const fn bits(numbers: &[u32]) -> u32 {
    let (mut all, mut i) = (0, 0);
    while i < numbers.len() {
        all |= 1 << numbers[i];
        i += 1;
    }
    all
}

/// By 802.1X; those with SHA-256 alone; those of 192 bits.
const ENTERPRISE: u32 = bits(&[1, 3, 5, 11, 12, 13]);
const ENTERPRISE_SHA1: u32 = bits(&[1, 3]);
const ENTERPRISE_192: u32 = bits(&[12, 13]);
/// By a common secret.
const PSK: u32 = bits(&[2, 4, 6]);
/// By a common secret that nobody who listens can guess at.
const SAE: u32 = bits(&[8, 9, 24, 25]);
const OWE: u32 = bits(&[18]);
const TKIP: u32 = bits(&[2]);
const AES: u32 = bits(&[4, 8, 9, 10]);

impl<'a> Beacon<'a> {
    /// Reads elements.
    pub fn read(bytes: &'a [u8]) -> Beacon<'a> {
        const MICROSOFT_WPA: [u8; 4] = [0x00, 0x50, 0xf2, 1];
        let mut beacon = Beacon::default();
        let mut seen: Vec<u16> = Vec::new();
        for (number, body) in elements(bytes) {
            let wpa = body.strip_prefix(&MICROSOFT_WPA);
            // Vendors' elements are many; of all others the first counts.
            if number != 221 {
                if seen.contains(&number) {
                    continue;
                }
                seen.push(number);
            }
            match number {
                0 if body.len() <= 32 => beacon.ssid = body,
                1 | 50 => {
                    beacon.rates.extend(body.iter().take(MAX_RATES - beacon.rates.len().min(MAX_RATES)))
                }
                3 => beacon.channel = body.first().copied(),
                5 => beacon.dtim = body.get(1).copied(),
                45 => beacon.has_ht = true,
                48 => beacon.rsn = suites(body, &[0x00, 0x0f, 0xac]),
                61 => beacon.ht = body,
                191 => beacon.has_vht = true,
                192 => beacon.vht = body,
                221 if beacon.wpa.is_none() => {
                    beacon.wpa = wpa.and_then(|body| suites(body, &[0x00, 0x50, 0xf2]));
                }
                291 => beacon.has_he = true,
                292 => beacon.he = body,
                362 => beacon.eht = body,
                364 => beacon.has_eht = true,
                _ => {}
            }
        }
        beacon
    }

    /// SecurityModeEnabled; `private` is the bit of the capability field.
    pub fn security(&self, private: bool) -> &'static str {
        let wpa = self.wpa.unwrap_or_default().keys;
        let Some(rsn) = self.rsn else {
            return match wpa {
                keys if keys & PSK != 0 => "WPA",
                keys if keys & ENTERPRISE != 0 => "WPA-Enterprise",
                _ if private => "WEP",
                _ => "None",
            };
        };
        let has = |keys: u32| rsn.keys & keys != 0;
        let sha256_alone = !has(ENTERPRISE_SHA1) && rsn.protected;
        match () {
            () if has(OWE) => "OWE",
            () if has(SAE) && has(PSK) => "WPA2-PSK-WPA3-SAE",
            () if has(SAE) => "WPA3-SAE",
            () if has(PSK) && wpa & PSK != 0 => "WPA-WPA2",
            () if has(PSK) => "WPA2",
            () if has(ENTERPRISE) && (has(ENTERPRISE_192) || sha256_alone) => "WPA3-Enterprise",
            () if has(ENTERPRISE) && wpa & ENTERPRISE != 0 => "WPA-WPA2-Enterprise",
            () if has(ENTERPRISE) => "WPA2-Enterprise",
            // Keys that nobody here knows.
            () => "WPA2",
        }
    }

    /// EncryptionMode.
    pub fn encryption(&self) -> String {
        let all = self.rsn.unwrap_or_default().ciphers | self.wpa.unwrap_or_default().ciphers;
        words(&[("TKIP", all & TKIP != 0), ("AES", all & AES != 0)])
    }

    /// SupportedStandards, by the band in MHz.
    pub fn standards(&self, frequency: u32) -> String {
        let low = frequency < 3000;
        let own: Vec<u8> = self.rates.iter().map(|rate| rate & 127).filter(|rate| *rate < 122).collect();
        let dsss = own.iter().any(|rate| matches!(rate, 2 | 4 | 11 | 22));
        let ofdm = own.iter().any(|rate| matches!(rate, 12 | 18 | 24 | 36 | 48 | 72 | 96 | 108));
        words(&[
            ("a", (3000..5950).contains(&frequency) && ofdm),
            ("b", low && dsss),
            ("g", low && ofdm),
            ("n", self.has_ht),
            ("ac", self.has_vht && !low),
            ("ax", self.has_he),
            ("be", self.has_eht),
        ])
    }

    /// Rates in Mbit/s: those that all must know, and all of them.
    pub fn rates(&self) -> (String, String) {
        let (mut basic, mut all) = (String::new(), String::new());
        for rate in &self.rates {
            let number = rate & 127;
            // From 122 on they are no rates, but what one must be able to.
            if number == 0 || number >= 122 {
                continue;
            }
            let text = if number % 2 == 0 { format!("{}", number / 2) } else { format!("{}.5", number / 2) };
            add(&mut all, &text);
            if rate & 128 != 0 {
                add(&mut basic, &text);
            }
        }
        (basic, all)
    }

    /// The channel on which its beacons are, by the frequency in MHz where it has one.
    pub fn channel(&self, frequency: u32) -> Option<u32> {
        let channel = match frequency {
            2484 => 14,
            2412..=2472 => (frequency - 2407) / 5,
            5935 => 2,
            5955..=7115 => (frequency - 5950) / 5,
            5005..=5900 => (frequency - 5000) / 5,
            _ => self.ht.first().copied().or(self.channel)?.into(),
        };
        (1..=255).contains(&channel).then_some(channel)
    }

    /// OperatingChannelBandwidth. Two channels of 80 MHz are told as 160.
    pub fn bandwidth(&self) -> &'static str {
        if let Some(width) = self.eht_width().or_else(|| self.he_width()).or_else(|| self.vht_width()) {
            return width;
        }
        // Channels beside the first one, and that they are used.
        match self.ht.get(1) {
            Some(info) if info & 4 != 0 && matches!(info & 3, 1 | 3) => "40MHz",
            _ => "20MHz",
        }
    }

    fn vht_width(&self) -> Option<&'static str> {
        let (width, first, second) = (*self.vht.first()?, *self.vht.get(1)?, *self.vht.get(2)?);
        match width {
            1 if second != 0 && matches!(first.abs_diff(second), 8 | 16) => Some("160MHz"),
            1 => Some("80MHz"),
            2 | 3 => Some("160MHz"),
            _ => None,
        }
    }

    /// Of HE, only what is said of 6 GHz has a width.
    fn he_width(&self) -> Option<&'static str> {
        let parameters = self.he.get(..3)?;
        let (vht, hosted, six) =
            (parameters[1] & 0x40 != 0, parameters[1] & 0x80 != 0, parameters[2] & 2 != 0);
        let at = 6 + if vht { 3 } else { 0 } + usize::from(hosted);
        let control = self.he.get(at + 1).filter(|_| six)?;
        Some(["20MHz", "40MHz", "80MHz", "160MHz"][usize::from(control & 3)])
    }

    fn eht_width(&self) -> Option<&'static str> {
        let has_operation = self.eht.first()? & 1 != 0;
        let (control, wide) = (self.eht.get(5).filter(|_| has_operation)?, self.eht.get(7)?);
        Some(match control & 7 {
            0 => "20MHz",
            1 => "40MHz",
            2 => "80MHz",
            3 => "160MHz",
            // By the centre: 31, 95, 159, or 63, 127, 191.
            4 if wide % 64 == 31 => "320MHz-1",
            4 => "320MHz-2",
            _ => return None,
        })
    }
}

fn words(all: &[(&str, bool)]) -> String {
    let mut text = String::new();
    all.iter().filter(|(_, is)| *is).for_each(|(word, _)| add(&mut text, word));
    text
}

fn add(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(word);
}

/// Version, group cipher, ciphers, keys, capabilities; what is left out at the end is as the standard says.
fn suites(body: &[u8], organization: &[u8; 3]) -> Option<Suites> {
    let rest = body.strip_prefix(&[1, 0])?;
    let rest = rest.get(4..).unwrap_or(&[]);
    let (ciphers, rest) = list(rest, organization);
    let (keys, rest) = list(rest, organization);
    Some(Suites {
        ciphers: ciphers.unwrap_or(AES & bits(&[4])),
        keys: keys.unwrap_or(bits(&[1])),
        protected: rest.first().is_some_and(|low| low & 0x40 != 0),
    })
}

/// A number of suites and that many of four bytes each; `None` where the list is not there.
fn list<'a>(bytes: &'a [u8], organization: &[u8; 3]) -> (Option<u32>, &'a [u8]) {
    let &[low, high, ref rest @ ..] = bytes else { return (None, &[]) };
    let count = usize::from(u16::from_le_bytes([low, high]));
    let Some(own) = rest.get(..count * 4) else { return (None, &[]) };
    let mut found = 0;
    for suite in own.chunks_exact(4).take(MAX_SUITES) {
        if let (Some(number), true) = (suite.get(3), suite.starts_with(organization)) {
            found |= 1_u32.checked_shl(u32::from(*number)).unwrap_or(0);
        }
    }
    (Some(found), rest.get(count * 4..).unwrap_or(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(number: u8, body: &[u8]) -> Vec<u8> {
        [&[number, body.len() as u8], body].concat()
    }

    /// An RSN element of these ciphers, keys and capabilities.
    fn rsn(ciphers: &[u8], keys: &[u8], capabilities: u8) -> Vec<u8> {
        let list = |all: &[u8]| {
            let mut out = (all.len() as u16).to_le_bytes().to_vec();
            all.iter().for_each(|number| out.extend([0, 0x0f, 0xac, *number]));
            out
        };
        let body = [&[1, 0, 0, 0x0f, 0xac, 4][..], &list(ciphers), &list(keys), &[capabilities, 0]].concat();
        element(48, &body)
    }

    fn wpa(key: u8) -> Vec<u8> {
        let mut body = vec![0, 0x50, 0xf2, 1, 1, 0, 0, 0x50, 0xf2, 2, 1, 0, 0, 0x50, 0xf2, 2, 1, 0];
        body.extend([0, 0x50, 0xf2, key]);
        element(221, &body)
    }

    #[test]
    fn security() {
        let wmm = element(221, &[0, 0x50, 0xf2, 2, 1, 1]);
        for (bytes, private, mode, ciphers) in [
            (vec![], false, "None", ""),
            (vec![], true, "WEP", ""),
            (wmm.clone(), false, "None", ""),
            ([wmm, wpa(2)].concat(), true, "WPA", "TKIP"),
            (wpa(1), true, "WPA-Enterprise", "TKIP"),
            (rsn(&[4], &[2], 0), true, "WPA2", "AES"),
            (rsn(&[2, 4], &[2, 6], 0), true, "WPA2", "TKIP,AES"),
            ([rsn(&[4], &[2], 0), wpa(2)].concat(), true, "WPA-WPA2", "TKIP,AES"),
            (rsn(&[4], &[1], 0), true, "WPA2-Enterprise", "AES"),
            ([wpa(1), rsn(&[4], &[1], 0)].concat(), true, "WPA-WPA2-Enterprise", "TKIP,AES"),
            (rsn(&[4], &[8], 0xc0), true, "WPA3-SAE", "AES"),
            (rsn(&[8], &[24], 0xc0), true, "WPA3-SAE", "AES"),
            (rsn(&[4], &[2, 8], 0x80), true, "WPA2-PSK-WPA3-SAE", "AES"),
            (rsn(&[9], &[12], 0xc0), true, "WPA3-Enterprise", "AES"),
            (rsn(&[4], &[5], 0xc0), true, "WPA3-Enterprise", "AES"),
            (rsn(&[4], &[5], 0), true, "WPA2-Enterprise", "AES"),
            (rsn(&[4], &[18], 0xc0), false, "OWE", "AES"),
            (element(48, &[1, 0]), true, "WPA2-Enterprise", "AES"),
        ] {
            let beacon = Beacon::read(&bytes);
            assert_eq!(
                (beacon.security(private), beacon.encryption().as_str()),
                (mode, ciphers),
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn width_and_standards() {
        let ht = |width| element(61, &[[36, width, 0, 0, 0].as_slice(), &[0; 17]].concat());
        let vht = |width, first, second| element(192, &[width, first, second, 0, 0]);
        let he6 = |width| element(255, &[36, 0, 0x40, 2, 0, 0, 0, 9, 9, 9, 37, width, 39, 0, 0]);
        let eht = |width, wide| element(255, &[106, 1, 0, 0, 0, 0, width, 15, wide]);
        for (bytes, expected) in [
            (vec![], "20MHz"),
            (ht(0), "20MHz"),
            (ht(5), "40MHz"),
            (ht(1), "20MHz"),
            ([ht(5), vht(0, 0, 0)].concat(), "40MHz"),
            ([ht(5), vht(1, 42, 0)].concat(), "80MHz"),
            ([ht(5), vht(1, 42, 50)].concat(), "160MHz"),
            ([ht(5), vht(2, 50, 0)].concat(), "160MHz"),
            (he6(3), "160MHz"),
            (he6(1), "40MHz"),
            ([he6(3), eht(4, 31)].concat(), "320MHz-1"),
            ([he6(3), eht(4, 63)].concat(), "320MHz-2"),
            (eht(2, 0), "80MHz"),
        ] {
            assert_eq!(Beacon::read(&bytes).bandwidth(), expected, "{bytes:02x?}");
        }
        let old =
            [element(1, &[0x82, 0x84, 0x8b, 0x96, 12, 18, 24, 36]), element(50, &[48, 72, 96, 108, 0xff])]
                .concat();
        let beacon = Beacon::read(&old);
        assert_eq!(beacon.standards(2412), "b,g");
        assert_eq!(beacon.rates(), ("1,2,5.5,11".into(), "1,2,5.5,11,6,9,12,18,24,36,48,54".into()));
        let new = [element(1, &[0x8c]), element(45, &[0; 26]), element(191, &[0; 12]), element(255, &[35])]
            .concat();
        assert_eq!(Beacon::read(&new).standards(5180), "a,n,ac,ax");
        let newest = [element(1, &[0x8c]), element(255, &[35]), element(255, &[108])].concat();
        assert_eq!(Beacon::read(&newest).standards(5955), "ax,be");
    }

    #[test]
    fn channels() {
        let by_element = element(3, &[9]);
        for (frequency, expected) in [
            (2412, Some(1)),
            (2472, Some(13)),
            (2484, Some(14)),
            (5180, Some(36)),
            (5825, Some(165)),
            (5935, Some(2)),
            (5955, Some(1)),
            (7115, Some(233)),
            (900, Some(9)),
        ] {
            assert_eq!(Beacon::read(&by_element).channel(frequency), expected, "{frequency}");
        }
        assert_eq!(Beacon::read(&[]).channel(0), None);
        assert_eq!(Beacon::read(&element(3, &[0])).channel(0), None);
    }

    /// Lengths that lie, lists that are longer than what they stand in, the same element for ever.
    #[test]
    fn hostile_elements() {
        let everything = [
            element(0, b"name"),
            element(1, &[0x82; 255]),
            element(50, &[0x0c; 255]),
            element(5, &[0, 2, 0, 0]),
            rsn(&[4; 40], &[2; 20], 0),
            wpa(2),
            element(61, &[36, 5]),
            element(192, &[1, 42, 50]),
            element(255, &[36, 0, 0xc0, 2, 0, 0, 0, 1, 2, 3, 4]),
            element(255, &[106, 1, 0]),
            element(255, &[]),
            element(48, &[1, 0, 0, 0x0f, 0xac, 4, 0xff, 0xff, 0, 0x0f, 0xac, 4]),
        ]
        .concat();
        for len in 0..everything.len() {
            let beacon = Beacon::read(&everything[..len]);
            let _ = (beacon.security(true), beacon.encryption(), beacon.bandwidth(), beacon.standards(2412));
            assert!(beacon.rates.len() <= MAX_RATES && beacon.rates().1.len() <= 256);
        }
        let twice = [element(0, b"first"), element(0, b"second"), element(0, &[b'x'; 33])].concat();
        assert_eq!(Beacon::read(&twice).ssid, b"first");
        assert_eq!(Beacon::read(&element(0, &[b'x'; 33])).ssid, b"");
    }
}
