//! `htmode` of a `wifi-device`, and what the standard makes of it: standards and bandwidths.

use std::fmt;

/// Families of standards, the older first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Before 802.11n: b, g, a.
    Legacy,
    /// 802.11n.
    Ht,
    /// 802.11ac.
    Vht,
    /// 802.11ax.
    He,
    /// 802.11be.
    Eht,
}

/// Where the second channel of 40 MHz lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The driver chooses.
    Auto,
    /// `HT40+`
    Above,
    /// `HT40-`
    Below,
}

/// One mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// What is spoken at most.
    pub family: Family,
    /// MHz.
    pub width: u16,
    /// Of 40 MHz in HT.
    pub side: Side,
}

/// The frequency bands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Band {
    /// 2.4 GHz.
    Two,
    /// 5 GHz.
    Five,
    /// 6 GHz.
    Six,
}

const FAMILIES: [(Family, &str, &str); 5] = [
    (Family::Legacy, "NOHT", ""),
    (Family::Ht, "HT", "n"),
    (Family::Vht, "VHT", "ac"),
    (Family::He, "HE", "ax"),
    (Family::Eht, "EHT", "be"),
];

impl Mode {
    /// Reads `HE80`, `HT40+`, `NOHT`; nothing reads as it.
    pub fn parse(text: &str) -> Mode {
        let (rest, side) = match text.as_bytes().last() {
            Some(b'+') => (&text[..text.len() - 1], Side::Above),
            Some(b'-') => (&text[..text.len() - 1], Side::Below),
            _ => (text, Side::Auto),
        };
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let family = FAMILIES.iter().find(|f| f.1 == letters).map_or(Family::Legacy, |f| f.0);
        let width = rest.get(letters.len()..).and_then(|w| w.parse().ok()).unwrap_or(20);
        Mode { family, width, side }
    }

    /// The same in another family, as wide as that can be.
    pub fn within(self, family: Family) -> Mode {
        let most = match family {
            Family::Legacy => 20,
            Family::Ht => 40,
            Family::Vht | Family::He => 160,
            Family::Eht => 320,
        };
        Mode { family, width: self.width.min(most), ..self }.plain()
    }

    /// Without a side that it cannot have.
    fn plain(self) -> Mode {
        match (self.family, self.width) {
            (Family::Ht, 40) => self,
            _ => Mode { side: Side::Auto, ..self },
        }
    }

    /// As iwinfo lists it: sides are one.
    pub fn listed(self) -> String {
        Mode { side: Side::Auto, ..self }.to_string()
    }

    /// The word of the standard for the width.
    pub fn bandwidth(self) -> &'static str {
        match self.width {
            40 => "40MHz",
            80 => "80MHz",
            160 => "160MHz",
            320 => "320MHz-1",
            _ => "20MHz",
        }
    }

    /// The mode with the width of this word.
    pub fn with_bandwidth(self, word: &str) -> Option<Mode> {
        let width = match word {
            "20MHz" => 20,
            "40MHz" => 40,
            "80MHz" => 80,
            "160MHz" => 160,
            "320MHz-1" | "320MHz-2" => 320,
            _ => return None,
        };
        let mode = Mode { width, ..self };
        (mode.within(self.family).width == width).then(|| mode.plain())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FAMILIES.iter().find(|n| n.0 == self.family).map_or("", |n| n.1);
        f.write_str(name)?;
        if self.family != Family::Legacy {
            write!(f, "{}", self.width)?;
        }
        f.write_str(match self.side {
            Side::Auto => "",
            Side::Above => "+",
            Side::Below => "-",
        })
    }
}

impl Band {
    /// The band of a frequency in MHz.
    pub fn of(mhz: i64) -> Option<Band> {
        match mhz {
            2400..=2500 => Some(Band::Two),
            4900..=5925 => Some(Band::Five),
            5926..=7125 => Some(Band::Six),
            _ => None,
        }
    }

    /// The band of `band`, or of the older `hwmode`.
    pub fn from_uci(band: Option<&str>, hwmode: Option<&str>) -> Option<Band> {
        match (band, hwmode) {
            (Some("2g"), _) | (None, Some("11b" | "11g" | "11ng")) => Some(Band::Two),
            (Some("5g"), _) | (None, Some("11a" | "11na")) => Some(Band::Five),
            (Some("6g"), _) => Some(Band::Six),
            _ => None,
        }
    }

    /// `2g`
    pub fn uci(self) -> &'static str {
        ["2g", "5g", "6g"][self as usize] // one for each variant
    }

    /// `2.4GHz`
    pub fn word(self) -> &'static str {
        ["2.4GHz", "5GHz", "6GHz"][self as usize] // one for each variant
    }

    /// The band of a word.
    pub fn parse(word: &str) -> Option<Band> {
        [Band::Two, Band::Five, Band::Six].into_iter().find(|b| b.word() == word)
    }
}

/// The standards that are spoken in a band, the oldest first, with the family each belongs to.
fn spoken(band: Band) -> &'static [(&'static str, Family)] {
    match band {
        Band::Two => &[
            ("b", Family::Legacy),
            ("g", Family::Legacy),
            ("n", Family::Ht),
            ("ax", Family::He),
            ("be", Family::Eht),
        ],
        Band::Five => &[
            ("a", Family::Legacy),
            ("n", Family::Ht),
            ("ac", Family::Vht),
            ("ax", Family::He),
            ("be", Family::Eht),
        ],
        Band::Six => &[("ax", Family::He), ("be", Family::Eht)],
    }
}

/// What UCI says of standards: the family at most, the family at least, and whether b is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// `htmode`
    pub most: Family,
    /// `require_mode`
    pub least: Family,
    /// `legacy_rates`
    pub slow: bool,
}

/// The standards of a radio.
pub fn standards(band: Band, say: Spoken) -> Vec<&'static str> {
    let all = spoken(band)
        .iter()
        .filter(|(name, family)| (say.least..=say.most).contains(family) && (*name != "b" || say.slow));
    all.map(|(name, _)| *name).collect()
}

/// What UCI has to say for these standards; `None` for a set that it cannot say.
pub fn speak(band: Band, wanted: &[&str]) -> Option<Spoken> {
    let known = spoken(band);
    let family = |name: &&str| known.iter().find(|k| k.0 == *name).map(|k| k.1);
    let families: Option<Vec<Family>> = wanted.iter().map(family).collect();
    let families = families?;
    let least = families.iter().min().copied()?;
    // hostapd can require n or ac, and no more than that of stations.
    if band != Band::Six && least > Family::Vht {
        return None;
    }
    let say = Spoken { most: families.iter().max().copied()?, least, slow: wanted.contains(&"b") };
    let said = standards(band, say);
    let same = said.iter().all(|s| wanted.contains(s)) && wanted.iter().all(|w| said.contains(w));
    same.then_some(say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (text, family, width, side, back) in [
            ("NOHT", Family::Legacy, 20, Side::Auto, "NOHT"),
            ("HT20", Family::Ht, 20, Side::Auto, "HT20"),
            ("HT40+", Family::Ht, 40, Side::Above, "HT40+"),
            ("HT40-", Family::Ht, 40, Side::Below, "HT40-"),
            ("VHT80", Family::Vht, 80, Side::Auto, "VHT80"),
            ("HE160", Family::He, 160, Side::Auto, "HE160"),
            ("EHT320", Family::Eht, 320, Side::Auto, "EHT320"),
            ("", Family::Legacy, 20, Side::Auto, "NOHT"),
            ("junk", Family::Legacy, 20, Side::Auto, "NOHT"),
        ] {
            let mode = Mode::parse(text);
            assert_eq!(mode, Mode { family, width, side }, "{text}");
            assert_eq!(mode.to_string(), back, "{text}");
        }
        assert_eq!(Mode::parse("HE160").within(Family::Ht).to_string(), "HT40");
        assert_eq!(Mode::parse("HT40+").within(Family::He).to_string(), "HE40");
        assert_eq!(Mode::parse("HT40+").with_bandwidth("20MHz").unwrap().to_string(), "HT20");
        assert_eq!(Mode::parse("HT20").with_bandwidth("80MHz"), None);
        assert_eq!(Mode::parse("HE80").with_bandwidth("Auto"), None);
    }

    #[test]
    fn standards_both_ways() {
        use Family::*;
        for (band, list, most, least, slow) in [
            (Band::Two, "b,g,n", Ht, Legacy, true),
            (Band::Two, "g,n,ax", He, Legacy, false),
            (Band::Two, "n", Ht, Ht, false),
            (Band::Two, "b,g", Legacy, Legacy, true),
            (Band::Five, "a,n,ac,ax", He, Legacy, false),
            (Band::Five, "ac,ax", He, Vht, false),
            (Band::Six, "ax", He, He, false),
        ] {
            let wanted: Vec<&str> = list.split(',').collect();
            let say = Spoken { most, least, slow };
            assert_eq!(speak(band, &wanted), Some(say), "{list}");
            assert_eq!(standards(band, say).join(","), list);
        }
        for (band, list) in [
            (Band::Two, "g,ax"),
            (Band::Two, "b"),
            (Band::Two, "a"),
            (Band::Two, "n,ac"),
            (Band::Five, "a,ac"),
            (Band::Five, "ax"),
            (Band::Six, "a"),
            (Band::Two, ""),
        ] {
            let wanted: Vec<&str> = list.split(',').collect();
            assert_eq!(speak(band, &wanted), None, "{list}");
        }
    }
}
