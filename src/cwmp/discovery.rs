//! What DHCP says of the ACS and of the gateway, and what of it is taken (TR-069 3.1, Annex F).
//!
//! DHCPv4 option 43 holds sub-options as one byte of code and one of length; option 125 the same behind the
//! enterprise's number and a length of its own; DHCPv6 option 17 has two bytes each. Codes 1 to 4 tell of the
//! ACS; in option 125 servers use 11 to 14 for that, too, because there and in option 17 codes 1 to 3 of a
//! device's own messages say who it is, and 4 to 6 of the answer who the gateway is. So a 4 is an OUI when it
//! has the form of one, six hexadecimal digits, which no multiplier has.
//!
//! # Error handling
//! Bytes come from whoever answers first on the wire. An option whose lengths do not fit is passed over
//! whole, with the reason; a sub-option with a value that cannot be one is passed over alone.

use crate::net::url::Url;

/// The Broadband Forum's number, once the DSL Forum's.
pub const ENTERPRISE: u32 = 3561;
/// The vendor class that asks for the ACS (DH-1).
pub const VENDOR_CLASS: &str = "dslforum.org";
/// The most bytes of one option: RFC 3396 puts pieces of 255 together, and DHCPv6 has no such bound.
pub const MAX_OPTION: usize = 2048;
/// The longest SerialNumber and ProductClass, in characters.
const MAX_TEXT: usize = 64;

/// What the options of one lease say. Empty texts were not said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Judged as ManagementServer.URL is.
    pub url: String,
    /// DeviceInfo.ProvisioningCode, at most 64 characters.
    pub provisioning_code: String,
    /// Seconds, 1 to 65535 (C-25).
    pub retry_minimum_wait: Option<u16>,
    /// Thousandths, 1000 to 65535.
    pub retry_multiplier: Option<u16>,
    /// Who the gateway is; only of options 125 and 17.
    pub gateway: Identity,
}

impl Offer {
    /// Whether anything of it tells of the ACS.
    pub fn tells_of_acs(&self) -> bool {
        !self.url.is_empty() || !self.provisioning_code.is_empty() || self.has_retry()
    }

    fn has_retry(&self) -> bool {
        self.retry_minimum_wait.is_some() || self.retry_multiplier.is_some()
    }
}

/// Who a device or gateway is (Annex F).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Six hexadecimal digits in upper case.
    pub oui: String,
    /// At most 64 characters.
    pub serial_number: String,
    /// At most 64 characters, may be empty.
    pub product_class: String,
}

impl Identity {
    /// An identity of what a peer said; `None` when OUI or serial number are none (F-6).
    pub fn new(oui: &str, serial_number: &str, product_class: &str) -> Option<Identity> {
        let oui = oui.to_ascii_uppercase();
        let hex = oui.len() == 6 && oui.bytes().all(|b| b.is_ascii_hexdigit());
        let fits = |text: &str| text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control);
        let whole = hex && !serial_number.is_empty() && fits(serial_number) && fits(product_class);
        whole.then(|| Identity {
            oui,
            serial_number: serial_number.to_owned(),
            product_class: product_class.to_owned(),
        })
    }
}

/// An option, by what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// DHCPv4 option 43.
    VendorSpecific,
    /// DHCPv4 option 125.
    VendorIdentifying,
    /// DHCPv6 option 17.
    Version6,
}

/// Adds what an option says to `offer`, which it does not overrule: the first option that names a thing has
/// it (DH-4: 43 before 125). Returns what was wrong, for the log; values are not repeated in it.
pub fn read(kind: Kind, bytes: &[u8], offer: &mut Offer) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if bytes.len() > MAX_OPTION {
        return vec!["the option is too long"];
    }
    let mut said = Offer::default();
    let mut gateway = Identity::default();
    let taken = match kind {
        // Before there were sub-options, option 43 held nothing but the URL, and still does at some providers.
        Kind::VendorSpecific if is_bare_url(bytes) => {
            set_url(&mut said, bytes, &mut wrong);
            Ok(())
        }
        Kind::VendorSpecific => each::<1>(bytes, &mut |code, value| acs(&mut said, code, value, &mut wrong)),
        Kind::VendorIdentifying => enterprise_4(bytes, &mut |code, value| {
            either(&mut said, &mut gateway, code, value, &mut wrong);
        }),
        Kind::Version6 => enterprise_6(bytes, &mut |code, value| {
            either(&mut said, &mut gateway, code, value, &mut wrong);
        }),
    };
    if let Err(reason) = taken {
        return vec![reason];
    }
    said.gateway = match Identity::new(&gateway.oui, &gateway.serial_number, &gateway.product_class) {
        Some(known) => known,
        None if gateway == Identity::default() => gateway,
        None => {
            wrong.push("the gateway says only in part who it is");
            Identity::default()
        }
    };
    join(offer, said);
    wrong
}

fn join(offer: &mut Offer, said: Offer) {
    let keep = |have: &mut String, new: String| {
        if have.is_empty() {
            *have = new;
        }
    };
    keep(&mut offer.url, said.url);
    keep(&mut offer.provisioning_code, said.provisioning_code);
    offer.retry_minimum_wait = offer.retry_minimum_wait.or(said.retry_minimum_wait);
    offer.retry_multiplier = offer.retry_multiplier.or(said.retry_multiplier);
    if offer.gateway == Identity::default() {
        offer.gateway = said.gateway;
    }
}

/// 104 and 116 are codes that nobody has, so no list of sub-options begins so.
fn is_bare_url(bytes: &[u8]) -> bool {
    let begins =
        |with: &str| bytes.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with.as_bytes()));
    begins("http://") || begins("https://")
}

/// Sub-options with `N` bytes of code and `N` of length.
fn each<const N: usize>(bytes: &[u8], take: &mut dyn FnMut(u16, &[u8])) -> Result<(), &'static str> {
    let number = |bytes: &[u8]| bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let mut rest = bytes;
    while !rest.is_empty() {
        // RFC 2132: 0 is padding and 255 the end, in options of one-byte codes.
        match rest.first() {
            Some(0) if N == 1 => {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            Some(255) if N == 1 => return Ok(()),
            _ => {}
        }
        let cut = "a sub-option is longer than the option";
        let (code, length) = (rest.get(..N).ok_or(cut)?, rest.get(N..2 * N).ok_or(cut)?);
        let end = 2 * N + number(length);
        take(number(code) as u16, rest.get(2 * N..end).ok_or(cut)?);
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(())
}

/// Option 125 (RFC 3925): for each enterprise its number, a length, and sub-options; others' are passed over.
fn enterprise_4(bytes: &[u8], take: &mut dyn FnMut(u16, &[u8])) -> Result<(), &'static str> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let cut = "an enterprise's part is longer than the option";
        let [a, b, c, d, length] = *rest.first_chunk().ok_or(cut)?;
        let end = 5 + usize::from(length);
        let part = rest.get(5..end).ok_or(cut)?;
        if u32::from_be_bytes([a, b, c, d]) == ENTERPRISE {
            each::<1>(part, take)?;
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(())
}

/// Option 17 of DHCPv6 (RFC 8415 21.17): one enterprise each.
fn enterprise_6(bytes: &[u8], take: &mut dyn FnMut(u16, &[u8])) -> Result<(), &'static str> {
    let (number, part) = bytes.split_first_chunk().ok_or("the option has no enterprise number")?;
    if u32::from_be_bytes(*number) == ENTERPRISE { each::<2>(part, take) } else { Ok(()) }
}

/// A value as text: no zero byte at its end is part of it (DH-4).
fn text(value: &[u8]) -> Option<&str> {
    let end = value.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let text = std::str::from_utf8(value.get(..end)?).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

fn set_url(offer: &mut Offer, value: &[u8], wrong: &mut Vec<&'static str>) {
    match text(value).map(|t| (t, Url::of_acs(t))) {
        Some((text, Ok(_))) if offer.url.is_empty() => text.clone_into(&mut offer.url),
        Some((_, Ok(_))) => {}
        _ => wrong.push("what is offered as the ACS's URL is none"),
    }
}

fn acs(offer: &mut Offer, code: u16, value: &[u8], wrong: &mut Vec<&'static str>) {
    match code {
        1 => set_url(offer, value, wrong),
        2 => match text(value) {
            Some(text) if text.chars().count() <= MAX_TEXT => text.clone_into(&mut offer.provisioning_code),
            _ => wrong.push("what is offered as the provisioning code is none"),
        },
        3 => match number(value).filter(|n| *n >= 1) {
            Some(n) => offer.retry_minimum_wait = Some(n),
            None => wrong.push("what is offered as the retry's minimum wait is no number from 1 to 65535"),
        },
        4 => match number(value).filter(|n| *n >= 1000) {
            Some(n) => offer.retry_multiplier = Some(n),
            None => wrong.push("what is offered as the retry's multiplier is no number from 1000 to 65535"),
        },
        _ => {}
    }
}

/// A number in decimal digits.
fn number(value: &[u8]) -> Option<u16> {
    text(value).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// A sub-option of options 125 and 17.
fn either(offer: &mut Offer, gateway: &mut Identity, code: u16, value: &[u8], wrong: &mut Vec<&'static str>) {
    let is_oui = || text(value).is_some_and(|t| t.len() == 6 && t.bytes().all(|b| b.is_ascii_hexdigit()));
    let field = match code {
        4 if is_oui() => &mut gateway.oui,
        5 => &mut gateway.serial_number,
        6 => &mut gateway.product_class,
        11..=14 => return acs(offer, code - 10, value, wrong),
        _ => return acs(offer, code, value, wrong),
    };
    match text(value) {
        Some(text) => text.clone_into(field),
        None => wrong.push("who the gateway is is told in no text"),
    }
}

/// Option 125 by which a device says who it is (F-1). A field that finds no room is left out.
pub fn option_125(device: &Identity) -> Vec<u8> {
    let mut part = Vec::new();
    for (code, value) in device.fields() {
        // The enterprise's part is as long as one byte can tell.
        if part.len() + 2 + value.len() <= usize::from(u8::MAX) {
            part.extend([code, value.len() as u8]);
            part.extend(value.as_bytes());
        }
    }
    let mut option = ENTERPRISE.to_be_bytes().to_vec();
    option.push(part.len() as u8);
    option.extend(part);
    option
}

/// The same for DHCPv6: option 17 (F-3).
pub fn option_17(device: &Identity) -> Vec<u8> {
    let mut option = ENTERPRISE.to_be_bytes().to_vec();
    for (code, value) in device.fields() {
        option.extend(u16::from(code).to_be_bytes());
        option.extend((value.len() as u16).to_be_bytes());
        option.extend(value.as_bytes());
    }
    option
}

/// Option 16 of DHCPv6, the vendor class (DH-1).
pub fn option_16() -> Vec<u8> {
    let mut option = ENTERPRISE.to_be_bytes().to_vec();
    option.extend((VENDOR_CLASS.len() as u16).to_be_bytes());
    option.extend(VENDOR_CLASS.as_bytes());
    option
}

impl Identity {
    fn fields(&self) -> impl Iterator<Item = (u8, &str)> {
        [(1, &*self.oui), (2, &*self.serial_number), (3, &*self.product_class)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
    }
}

/// When DHCP's word is taken (`acs.dhcp_discovery`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Never.
    #[default]
    Off,
    /// Where nothing is set.
    Fill,
    /// Also in place of what the configuration file says.
    Prefer,
}

/// Whether what DHCP offers takes the place of a value (DH-5): where there is none, where DHCP itself set it,
/// and with [`Policy::Prefer`] where it is the configuration file's. What the ACS has set stays.
pub fn takes(policy: Policy, now: &str, by_dhcp: Option<&str>, file: &str, offered: &str) -> bool {
    let replaceable = now.is_empty() || by_dhcp == Some(now) || (policy == Policy::Prefer && now == file);
    policy != Policy::Off && !offered.is_empty() && offered != now && replaceable
}

#[cfg(test)]
mod tests;
