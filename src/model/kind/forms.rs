//! Lexical forms: numbers, times, octets, addresses, list items, patterns. No bounds here, see
//! [`super::Kind`].

use super::super::schema::Format;
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::Ipv6Addr;

/// How many compiled patterns a thread keeps.
const PATTERNS_KEPT: usize = 32;
/// The most memory of one compiled pattern, bytes; a row with a larger one is refused.
pub const MAX_PATTERN: usize = 64 * 1024;
/// How deep the groups of a pattern may nest.
pub const MAX_PATTERN_DEPTH: u32 = 32;

/// White space of XML Schema; around numbers, times and octets it does not count.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Whether XML 1.0 can carry a character.
pub fn is_xml(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    }
}

/// A whole number as text: its sign and its digits without leading zeros.
#[derive(Clone, Copy)]
pub struct Number<'t> {
    negative: bool,
    digits: &'t str,
    /// The text from the sign on, when it is canonical as it stands.
    canonical: Option<&'t str>,
}

impl<'t> Number<'t> {
    /// `None` when it is no whole number.
    pub fn parse(text: &'t str) -> Option<Number<'t>> {
        let text = text.trim_matches(is_space);
        let (negative, all) = match text.as_bytes().first()? {
            b'-' => (true, text.strip_prefix('-')?),
            b'+' => (false, text.strip_prefix('+')?),
            _ => (false, text),
        };
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0');
        let negative = negative && !digits.is_empty();
        let canonical = match (digits.len() == all.len(), digits.is_empty()) {
            (true, _) if !text.starts_with('+') => Some(text),
            (_, true) => Some("0"),
            (_, false) if !negative => Some(digits),
            _ => None,
        };
        Some(Number { negative, digits, canonical })
    }

    /// Its value when it lies within `i64`.
    pub fn value(self) -> Option<i64> {
        match (self.digits, self.negative) {
            ("", _) => Some(0),
            (digits, false) => digits.parse().ok(),
            // The least i64 has no positive twin.
            (digits, true) => format!("-{digits}").parse().ok(),
        }
    }

    /// Whether it is below 0.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    /// Whether it lies within `u64`.
    pub fn is_unsigned_long(self) -> bool {
        !self.negative && (self.digits.is_empty() || self.digits.parse::<u64>().is_ok())
    }

    /// Without plus sign and leading zeros.
    pub fn canonical(self) -> Cow<'t, str> {
        match self.canonical {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(format!("-{}", self.digits)),
        }
    }
}

/// A decimal number: whole part and fraction.
#[derive(Clone, Copy)]
pub struct Decimal<'t> {
    text: &'t str,
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
}

impl<'t> Decimal<'t> {
    /// `None` when it is no decimal number; an exponent is none of XML Schema's decimal.
    pub fn parse(text: &'t str) -> Option<Decimal<'t>> {
        let text = text.trim_matches(is_space);
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Decimal { text, negative, whole, fraction })
    }

    /// The whole numbers below and above it (equal when it is whole); far out of `i64` they stop.
    pub fn around(self) -> (i128, i128) {
        let far = i128::from(i64::MAX) + 2;
        let whole = if self.whole.is_empty() { 0 } else { self.whole.parse().unwrap_or(far).min(far) };
        let part = i128::from(!self.fraction.is_empty());
        if self.negative { (-whole - part, -whole) } else { (whole, whole + part) }
    }

    /// Without plus sign, leading and trailing zeros.
    pub fn canonical(self) -> Cow<'t, str> {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() { "0" } else { self.whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        let canonical = format!("{sign}{whole}{point}{}", self.fraction);
        if canonical == self.text { Cow::Borrowed(self.text) } else { Cow::Owned(canonical) }
    }
}

/// A dateTime (E-26, E-27): absolute with `Z` or an offset, or relative (a year below 1000, without
/// zone). An absolute time without zone is UTC. With `to_utc` the canonical form ends with `Z`.
///
/// # Errors
/// What is wrong with it.
pub fn date_time(text: &str, to_utc: bool) -> Result<Cow<'_, str>, &'static str> {
    const NO: &str = "not a dateTime (2024-12-31T23:59:59Z)";
    let text = text.trim_matches(is_space);
    let b = text.as_bytes();
    let number =
        |from: usize, to: usize| -> Result<i64, &'static str> {
            let digits = b.get(from..to).ok_or(NO)?;
            digits.iter().try_fold(0, |n, d| {
                if d.is_ascii_digit() { Ok(n * 10 + i64::from(d - b'0')) } else { Err(NO) }
            })
        };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| b.get(*at) != Some(mark)) {
        return Err(NO);
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..).ok_or(NO)?;
    let after = match rest.strip_prefix('.') {
        Some(digits) => digits.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let fraction = rest.strip_suffix(after).unwrap_or("");
    if fraction == "." || year == 0 {
        return Err(NO);
    }
    let in_month = month_days(year, month).ok_or("a month that is none")?;
    if !(1..=in_month).contains(&day) {
        return Err("a day that its month does not have");
    }
    let midnight = hour == 24 && minute == 0 && second == 0;
    if (hour > 23 && !midnight) || minute > 59 || second > 59 {
        return Err("an hour, minute or second that is none");
    }
    let offset = match after.as_bytes() {
        [] => None,
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 5;
            let (hours, minutes) = (number(at, at + 2)?, number(at + 3, at + 5)?);
            if hours > 14 || minutes > 59 {
                return Err("an offset that is none");
            }
            Some((hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 })
        }
        _ => return Err(NO),
    };
    if year < 1000 {
        let unknown = text == "0001-01-01T00:00:00Z";
        return if offset.is_none() || unknown {
            Ok(text.into())
        } else {
            Err("a relative time with a zone")
        };
    }
    if offset == Some(0) && after == "Z" && !midnight || !to_utc {
        return Ok(text.into());
    }
    let seconds =
        days_before(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset.unwrap_or(0);
    utc_text(seconds, fraction).map(Cow::Owned).ok_or("a year that is none in UTC")
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

/// Days from 1 January of year 1 to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let y = year - 1;
    let months: i64 = (1..month).filter_map(|m| month_days(year, m)).sum();
    y * 365 + y / 4 - y / 100 + y / 400 + months + day - 1
}

/// The text of a time given in seconds from 1 January of year 1; `None` outside the years from 1000 to
/// 9999, which would not be read as what they are.
fn utc_text(seconds: i64, fraction: &str) -> Option<String> {
    let (days, of_day) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    // The mean year is a little longer than 365 days, so the guess is never too small by much.
    let mut year = days / 366 + 1;
    while days_before(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut left = days - days_before(year, 1, 1);
    let mut month = 1;
    while let Some(length) = month_days(year, month).filter(|n| *n <= left) {
        left -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    (1000..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z", left + 1))
}

/// Base64 without white space, and how many octets it stands for.
pub fn base64(text: &str) -> Option<(Cow<'_, str>, usize)> {
    let text: Cow<'_, str> = if text.contains(is_space) {
        text.chars().filter(|c| !is_space(*c)).collect::<String>().into()
    } else {
        text.into()
    };
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if !text.len().is_multiple_of(4) || padding > 2 || !digits.bytes().all(in_alphabet) {
        return None;
    }
    let octets = text.len() / 4 * 3 - padding;
    Some((text, octets))
}

/// Pairs of hexadecimal digits, in capital letters as XML Schema writes them.
pub fn hex(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_matches(is_space);
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let small = text.bytes().any(|b| b.is_ascii_lowercase());
    Some(if small { text.to_ascii_uppercase().into() } else { text.into() })
}

/// What a text should be and is not; `None` when it has the form.
pub fn misform(format: Format, text: &str) -> Option<&'static str> {
    let (fits, what) = match format {
        Format::Plain => return None,
        Format::Alias => (text.starts_with(|c: char| c.is_alphabetic()), "an alias: it begins with a letter"),
        Format::Uuid => (is_uuid(text), "a UUID"),
        // All that follow may be empty: unknown, or inapplicable.
        _ if text.is_empty() => return None,
        Format::Reference => (is_reference(text), "a path"),
        Format::IpAddress => (is_v4(text) || is_v6(text), "an IP address"),
        Format::Ipv4Address => (is_v4(text), "an IPv4 address"),
        Format::Ipv6Address => (is_v6(text), "an IPv6 address"),
        Format::IpPrefix => (is_v4_prefix(text) || is_v6_prefix(text), "an IP prefix with its length"),
        Format::Ipv4Prefix => (is_v4_prefix(text), "an IPv4 prefix with its length"),
        Format::Ipv6Prefix => (is_v6_prefix(text), "an IPv6 prefix with its length"),
        Format::MacAddress => (is_mac(text), "a MAC address with colons"),
    };
    (!fits).then_some(what)
}

/// A text that has its form, as it is kept: a dotted quad loses its leading zeros, which other
/// programs read as octal.
pub fn canonical(format: Format, text: &str) -> Cow<'_, str> {
    let dotted = match format {
        Format::IpAddress | Format::Ipv4Address => is_v4(text),
        Format::IpPrefix | Format::Ipv4Prefix => is_v4_prefix(text),
        _ => false,
    };
    let zeros = |part: &str| part.len() > 1 && part.starts_with('0');
    if !dotted || !text.split(['.', '/']).any(zeros) {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len());
    for part in text.split_inclusive(['.', '/']) {
        let (digits, mark) = match part.strip_suffix(['.', '/']) {
            Some(digits) => (digits, &part[digits.len()..]),
            None => (part, ""),
        };
        let short = digits.trim_start_matches('0');
        kept.push_str(if short.is_empty() && !digits.is_empty() { "0" } else { short });
        kept.push_str(mark);
    }
    kept.into()
}

/// A row or parameter of the tree, with or without the final dot (form only).
fn is_reference(text: &str) -> bool {
    super::super::path::Path::parse(text).is_ok() && text.starts_with("Device.")
}

/// TR-106 allows leading zeros in a dotted quad.
fn is_v4(text: &str) -> bool {
    let octet = |t: &str| t.len() <= 3 && t.bytes().all(|b| b.is_ascii_digit()) && t.parse::<u8>().is_ok();
    text.split('.').count() == 4 && text.split('.').all(octet)
}

fn is_v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn prefix_length(text: &str, most: u8) -> bool {
    text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u8>().is_ok_and(|n| n <= most)
}

fn is_v4_prefix(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(net, length)| (net.is_empty() || is_v4(net)) && prefix_length(length, 32))
}

fn is_v6_prefix(text: &str) -> bool {
    text.split_once('/').is_some_and(|(net, length)| is_v6(net) && prefix_length(length, 128))
}

fn is_mac(text: &str) -> bool {
    text.split(':').count() == 6
        && text.split(':').all(|o| o.len() == 2 && o.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_uuid(text: &str) -> bool {
    let parts = [8, 4, 4, 4, 12];
    text.split('-').count() == parts.len()
        && text.split('-').zip(parts).all(|(p, n)| p.len() == n && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The items of a list as they are written, without the white space around them; none in an empty
/// text.
pub fn raw_items(text: &str) -> impl Iterator<Item = &str> {
    let empty = text.chars().all(is_space);
    text.split(',').map(|item| item.trim_matches(is_space)).filter(move |_| !empty)
}

/// The items of a list with their percent escapes resolved (R-SPV-16).
pub fn items(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    raw_items(text).map(percent_decoded)
}

/// An item with its escapes (`%2C`) resolved; a percent sign that begins none stands for itself.
pub fn percent_decoded(item: &str) -> Cow<'_, str> {
    if !item.contains('%') {
        return item.into();
    }
    let mut bytes = Vec::with_capacity(item.len());
    let mut rest = item.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |b: u8| char::from(b).to_digit(16);
        match tail {
            [a, b, after @ ..] if *first == b'%' => match (digit(*a), digit(*b)) {
                (Some(high), Some(low)) => {
                    bytes.push((high * 16 + low) as u8);
                    rest = after;
                    continue;
                }
                _ => bytes.push(*first),
            },
            _ => bytes.push(*first),
        }
        rest = tail;
    }
    // Escapes that are not UTF-8 stay escaped.
    String::from_utf8(bytes).map_or(item.into(), Cow::Owned)
}

/// A text as an item of a list: commas, percent signs and outer spaces escaped (R-SPV-16).
pub fn percent_encoded(text: &str) -> Cow<'_, str> {
    let outer = text.starts_with(is_space) || text.ends_with(is_space);
    if !outer && !text.contains([',', '%']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            ',' | '%' => escaped.push_str(if c == ',' { "%2C" } else { "%25" }),
            c if outer && is_space(c) => escaped.push_str(&format!("%{:02X}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

thread_local! {
    static PATTERNS: RefCell<Vec<(String, regex_lite::Regex)>> = const { RefCell::new(Vec::new()) };
}

/// A pattern that a whole text has to fit.
///
/// # Errors
/// It is no pattern, or takes more than [`MAX_PATTERN`] or [`MAX_PATTERN_DEPTH`].
pub fn compiled(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    bounded(&format!(r"\A(?:{pattern})\z"))
}

/// Whether a text is a pattern, by itself as well as in its group.
///
/// # Errors
/// As [`compiled`].
pub fn judge_pattern(pattern: &str) -> Result<(), regex_lite::Error> {
    bounded(pattern)?;
    compiled(pattern).map(drop)
}

fn bounded(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(pattern).size_limit(MAX_PATTERN).nest_limit(MAX_PATTERN_DEPTH).build()
}

/// Whether the whole text matches a pattern. One that cannot be compiled matches nothing; the
/// grammar lets none through.
pub fn matches(pattern: &str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|kept| {
        if let Some((_, regex)) = kept.iter().find(|(p, _)| p == pattern) {
            return regex.is_match(text);
        }
        let Ok(regex) = compiled(pattern) else {
            return false;
        };
        let is_match = regex.is_match(text);
        if kept.len() >= PATTERNS_KEPT {
            kept.clear();
        }
        kept.push((pattern.to_string(), regex));
        is_match
    })
}
