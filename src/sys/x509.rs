//! What a person wants to know of a certificate (RFC 5280), read from its DER form.
//!
//! Nothing is verified here: rustls does that, and takes no word from this module. A certificate
//! that does not follow the rules is none.

use super::clock;

/// What a certificate says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Certificate {
    /// Bytes in upper-case hexadecimal, colons between.
    pub serial: String,
    /// A distinguished name as RFC 4514 writes it.
    pub issuer: String,
    /// As [`Certificate::issuer`].
    pub subject: String,
    /// A dateTime in UTC.
    pub not_before: String,
    /// A dateTime in UTC.
    pub not_after: String,
    /// Names of hosts, mail and IP addresses, URIs.
    pub alternatives: Vec<String>,
    /// The algorithm's name, or its number where it has none here.
    pub algorithm: String,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// No more other names than this are read.
const MAX_NAMES: usize = 64;
/// No serial number has more bytes (RFC 5280 4.1.2.2 has 20).
const MAX_SERIAL: usize = 64;

/// What lies in a buffer, one element behind the other.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its contents. `None` at the end, and where a length lies.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags of several bytes are in no certificate.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let mut len = usize::from(first);
        if first & 0x80 != 0 {
            let count = usize::from(first & 0x7f);
            // Without a length of its own (0x80), or longer than any file that is read.
            if !(1..=3).contains(&count) {
                return None;
            }
            let (bytes, behind) = rest.split_at_checked(count)?;
            len = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
            rest = behind;
        }
        let (body, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, body))
    }

    /// The contents of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(t, _)| *t == tag).map(|(_, body)| body)
    }

    /// The contents of the next element if it has this tag; else nothing is taken.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let body = ahead.take(tag)?;
        *self = ahead;
        Some(body)
    }
}

/// Reads a certificate.
pub fn read(der: &[u8]) -> Option<Certificate> {
    let mut whole = Der(Der(der).take(SEQUENCE)?);
    let mut body = Der(whole.take(SEQUENCE)?);
    let algorithm = Der(whole.take(SEQUENCE)?).take(OBJECT)?;
    whole.take(BIT_STRING)?;
    // The version.
    body.optional(0xa0);
    let serial = body.take(INTEGER)?;
    body.take(SEQUENCE)?;
    let issuer = body.take(SEQUENCE)?;
    let mut validity = Der(body.take(SEQUENCE)?);
    let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
    let subject = body.take(SEQUENCE)?;
    body.take(SEQUENCE)?;
    let mut alternatives = Vec::new();
    while let Some((tag, extensions)) = body.next() {
        if tag == 0xa3 {
            subject_alternatives(extensions, &mut alternatives);
        }
    }
    Some(Certificate {
        serial: serial_number(serial)?,
        issuer: name(issuer)?,
        subject: name(subject)?,
        not_before,
        not_after,
        alternatives,
        algorithm: algorithm_name(&oid(algorithm)?),
    })
}

fn serial_number(bytes: &[u8]) -> Option<String> {
    // A zero in front only says that the number is positive.
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    (1..=MAX_SERIAL).contains(&digits.len()).then(|| {
        let hex: Vec<String> = digits.iter().map(|b| format!("{b:02X}")).collect();
        hex.join(":")
    })
}

/// UTCTime or GeneralizedTime, in the one form that certificates have.
fn time(der: &mut Der<'_>) -> Option<String> {
    let (tag, bytes) = der.next()?;
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let long = match tag {
        // Two digits reach from 1950 to 2049.
        UTC_TIME if text.len() == 12 => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME if text.len() == 14 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize| long.get(from..from + 2);
    let text =
        format!("{}-{}-{}T{}:{}:{}Z", long.get(..4)?, part(4)?, part(6)?, part(8)?, part(10)?, part(12)?);
    clock::parse(&text).map(|_| text)
}

/// `1.2.840.113549.1.1.11`
fn oid(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    let mut out = String::new();
    let mut number = 0_u64;
    let mut open = true;
    for byte in bytes {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        open = byte & 0x80 != 0;
        if open {
            continue;
        }
        // Writing to a String cannot fail.
        if out.is_empty() {
            let root = (number / 40).min(2);
            let _ = write!(out, "{root}.{}", number - root * 40);
        } else {
            let _ = write!(out, ".{number}");
        }
        number = 0;
    }
    (!open).then_some(out)
}

fn algorithm_name(oid: &str) -> String {
    match oid {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    }
    .to_owned()
}

/// A distinguished name: the last part first, parts joined by commas.
fn name(bytes: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut der = Der(bytes);
    while !der.0.is_empty() {
        let mut set = Der(der.take(SET)?);
        let mut values = Vec::new();
        while !set.0.is_empty() {
            let mut pair = Der(set.take(SEQUENCE)?);
            let kind = oid(pair.take(OBJECT)?)?;
            let (tag, value) = pair.next()?;
            let value = escaped(&directory_string(tag, value));
            values.push(format!("{}={value}", short(&kind)));
        }
        parts.push(values.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn short(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        other => other,
    }
}

/// Text of one of the kinds of string; others are taken for text of single bytes.
fn directory_string(tag: u8, bytes: &[u8]) -> String {
    const UTF8: u8 = 0x0c;
    const BMP: u8 = 0x1e;
    match tag {
        UTF8 => String::from_utf8_lossy(bytes).into_owned(),
        BMP => {
            let units = bytes.chunks_exact(2).map(|pair| match pair {
                [a, b] => u16::from_be_bytes([*a, *b]),
                _ => 0,
            });
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// RFC 4514 2.4; what cannot be printed becomes a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        let edge = c == ' ' && (at == 0 || at == last) || c == '#' && at == 0;
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

/// The names of extension 2.5.29.17; one that does not follow the rules ends the list.
fn subject_alternatives(extensions: &[u8], out: &mut Vec<String>) {
    const ALTERNATIVES: [u8; 3] = [0x55, 0x1d, 0x11];
    let mut list = Der(Der(extensions).take(SEQUENCE).unwrap_or(&[]));
    while let Some(extension) = list.take(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.take(OBJECT) != Some(&ALTERNATIVES) {
            continue;
        }
        // Critical or not.
        extension.optional(0x01);
        let value = extension.take(OCTET_STRING).unwrap_or(&[]);
        let mut names = Der(Der(value).take(SEQUENCE).unwrap_or(&[]));
        while let Some((tag, name)) = names.next() {
            if out.len() >= MAX_NAMES {
                return;
            }
            out.extend(general_name(tag, name));
        }
    }
}

fn general_name(tag: u8, bytes: &[u8]) -> Option<String> {
    const MAIL: u8 = 0x81;
    const HOST: u8 = 0x82;
    const URI: u8 = 0x86;
    const IP: u8 = 0x87;
    match tag {
        MAIL | HOST | URI => {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then(|| text.into())
        }
        IP => <[u8; 4]>::try_from(bytes)
            .map(|b| std::net::Ipv4Addr::from(b).to_string())
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(|b| std::net::Ipv6Addr::from(b).to_string()))
            .ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    fn certificate() -> Vec<u8> {
        let mut p = CertificateParams::new(vec!["cpe.example".to_owned()]).unwrap();
        p.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
        p.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CountryName, "DE");
        p.distinguished_name.push(DnType::OrganizationName, " Müller, Söhne + Co ");
        p.distinguished_name.push(DnType::CommonName, "#1");
        p.serial_number = Some(SerialNumber::from_slice(&[0x80, 0x01, 0xff]));
        p.not_before = rcgen::date_time_ymd(1999, 12, 31);
        p.not_after = rcgen::date_time_ymd(2050, 1, 2);
        let key = KeyPair::generate().unwrap();
        p.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn what_a_certificate_says() {
        let got = read(&certificate()).expect("a certificate");
        let name = r"CN=\#1,O=\ Müller\, Söhne \+ Co\ ,C=DE";
        let expected = Certificate {
            serial: "80:01:FF".into(),
            issuer: name.into(),
            subject: name.into(),
            not_before: "1999-12-31T00:00:00Z".into(),
            not_after: "2050-01-02T00:00:00Z".into(),
            alternatives: ["cpe.example", "192.0.2.1", "2001:db8::1"].map(String::from).to_vec(),
            algorithm: "ecdsa-with-SHA256".into(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn torn_and_changed_certificates_are_survived() {
        let good = certificate();
        for end in 0..good.len() {
            assert_eq!(read(&good[..end]), None, "cut at {end}");
        }
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xff, 0x7f] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if let Some(c) = read(&bad) {
                    assert!(!c.serial.is_empty() && clock::parse(&c.not_after).is_some());
                    let texts = [&c.issuer, &c.subject];
                    assert!(texts.iter().all(|t| !t.chars().any(char::is_control)));
                }
            }
        }
    }

    #[test]
    fn numbers_and_times() {
        for (bytes, text) in [
            (&[0x2a_u8, 0x86, 0x48][..], Some("1.2.840")),
            (&[0x55, 4, 3], Some("2.5.4.3")),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x2a, 0x86], None),
            (&[], None),
            (&[0xff; 20], None),
        ] {
            assert_eq!(oid(bytes).as_deref(), text, "{bytes:?}");
        }
        let at = |tag, text: &str| {
            let mut bytes = vec![tag, text.len() as u8];
            bytes.extend(text.bytes());
            time(&mut Der(&bytes))
        };
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(at(UTC_TIME, "491231235959Z"), text("2049-12-31T23:59:59Z"));
        assert_eq!(at(UTC_TIME, "500101000000Z"), text("1950-01-01T00:00:00Z"));
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), text("9999-12-31T23:59:59Z"));
        for bad in ["491331235959Z", "4912312359Z", "491231235959", "49123123595éZ", "+91231235959Z"] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
        for bad in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0, 0, 0, 0], &[0x1f, 1, 0], &[0x30, 5, 0]]
        {
            assert_eq!(Der(bad).next(), None, "{bad:?}");
        }
    }
}
