//! The cookies of one session (T-19 to T-21): the part of RFC 6265 that an ACS uses, bounded.

use crate::sys::order;
use std::time::{Duration, Instant};

use super::url::Url;
use crate::sys::clock;

/// The most cookies kept; a further one drives the oldest out.
pub const MAX_COOKIES: usize = 20;
/// The largest cookie kept, name, value, path and domain together, in bytes.
pub const MAX_COOKIE: usize = 4096;
/// All cookies together, in bytes: what one header line can carry.
pub const MAX_COOKIES_SIZE: usize = 7 * 1024;

struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Sent to this very host only.
    host_only: bool,
    path: String,
    secure: bool,
    /// By the monotonic clock: setting the wall clock in the middle of a session ends no cookie.
    expires: Option<Instant>,
}

impl Cookie {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }
}

/// What the ACS set in this session; empty at its begin.
#[derive(Default)]
pub struct Jar {
    /// Oldest first.
    cookies: Vec<Cookie>,
}

impl Jar {
    /// Takes a `Set-Cookie` value up. What is malformed, too large or not this host's to set is
    /// left out, as RFC 6265 5.2 has it. `date` is the time that `Expires` is measured by, in seconds
    /// since 1970: what the ACS said it is, or what it is by a clock that is believed.
    pub fn store(&mut self, header: &str, url: &Url, date: Option<i64>) {
        let now = Instant::now();
        let Some(cookie) = read(header, url, now, date) else {
            return;
        };
        let same = |c: &Cookie| c.name == cookie.name && c.domain == cookie.domain && c.path == cookie.path;
        let place = self.cookies.iter().position(same);
        self.cookies.retain(|c| !same(c) && c.expires.is_none_or(|at| at > now));
        if cookie.expires.is_some_and(|at| at <= now) || cookie.size() > MAX_COOKIE {
            return;
        }
        let place = place.unwrap_or(usize::MAX).min(self.cookies.len());
        self.cookies.insert(place, cookie);
        while self.cookies.len() > MAX_COOKIES || self.size() > MAX_COOKIES_SIZE {
            self.cookies.remove(0);
        }
    }

    /// The `Cookie` value for a request; `None` when there is nothing to return.
    pub fn header(&self, url: &Url) -> Option<String> {
        let now = Instant::now();
        let due = |c: &&Cookie| {
            let host = if c.host_only { c.domain == url.host } else { domain_matches(&url.host, &c.domain) };
            host && path_matches(url.path(), &c.path)
                && (url.https || !c.secure)
                && c.expires.is_none_or(|at| at > now)
        };
        let mut list: Vec<&Cookie> = self.cookies.iter().filter(due).collect();
        // longer paths first, then older ones (RFC 6265 5.4)
        order::sort_by(&mut list, |a, b| b.path.len().cmp(&a.path.len()));
        let text = |c: &Cookie| match c.name.as_str() {
            "" => c.value.clone(),
            name => format!("{name}={}", c.value),
        };
        let texts: Vec<String> = list.into_iter().map(text).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    fn size(&self) -> usize {
        self.cookies.iter().map(Cookie::size).sum()
    }
}

fn read(header: &str, url: &Url, now: Instant, date: Option<i64>) -> Option<Cookie> {
    // Not visible ASCII: it could not be sent back.
    if !header.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        return None;
    }
    let mut parts = header.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_string(),
        value: value.trim().to_string(),
        domain: url.host.clone(),
        host_only: true,
        path: default_path(url.path()),
        secure: false,
        expires: None,
    };
    if cookie.name.is_empty() {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                if domain.is_empty() || domain == url.host {
                    cookie.host_only = domain.is_empty() || url.host_is_address();
                    continue;
                }
                // A single label would be a whole top-level domain.
                if url.host_is_address() || !domain.contains('.') {
                    return None;
                }
                if !domain_matches(&url.host, &domain) {
                    return None;
                }
                cookie.domain = domain;
                cookie.host_only = false;
            }
            "path" if value.starts_with('/') => cookie.path = value.to_string(),
            "path" => cookie.path = default_path(url.path()),
            "secure" => cookie.secure = true,
            "expires" => expires = parse_date(value).or(expires),
            "max-age" => max_age = age(value).or(max_age),
            _ => {}
        }
    }
    // Max-Age goes before Expires. What no clock can reach never expires.
    let left = max_age.or_else(|| Some(left(expires?, date)));
    cookie.expires = left.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)));
    Some(cookie)
}

/// How many seconds are left until `at`. Without a clock only what is past by any clock is past.
fn left(at: i64, date: Option<i64>) -> u64 {
    match date {
        Some(date) => u64::try_from(at.saturating_sub(date)).unwrap_or(0),
        None if at < clock::BUILD => 0,
        None => u64::MAX,
    }
}

/// Seconds of a Max-Age; 0 for what is past, `None` for what is no number.
fn age(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if text.starts_with('-') {
        return Some(0);
    }
    Some(digits.parse().unwrap_or(u64::MAX)) // only digits: it can but be too large
}

fn domain_matches(host: &str, domain: &str) -> bool {
    match host.strip_suffix(domain) {
        Some("") => true,
        Some(rest) => rest.ends_with('.') && host.parse::<std::net::IpAddr>().is_err(),
        None => false,
    }
}

fn default_path(path: &str) -> String {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/".to_string(),
        Some((folder, _)) => folder.to_string(),
    }
}

fn path_matches(path: &str, cookie: &str) -> bool {
    match path.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || cookie.ends_with('/'),
        None => false,
    }
}

/// Seconds since 1970 of a date in any of HTTP's forms (RFC 6265 5.1.1).
pub fn parse_date(text: &str) -> Option<i64> {
    let (mut day, mut month, mut year, mut time) = (None, None, None, None);
    let delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':');
    for token in text.split(delimiter).filter(|t| !t.is_empty()) {
        if time.is_none() && token.contains(':') {
            let mut parts = token.split(':').map(|p| p.parse::<i64>().ok());
            time = Some((parts.next()??, parts.next()??, parts.next()??));
        } else if let Ok(number) = token.parse::<i64>() {
            match (day, year) {
                (None, _) if number <= 31 => day = Some(number),
                (_, None) => year = Some(number),
                _ => {}
            }
        } else if month.is_none() {
            month = month_number(token);
        }
    }
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let year = match year? {
        y @ 70..=99 => y + 1900,
        y @ 0..=69 => y + 2000,
        y => y,
    };
    let sane = (1..=31).contains(&day)
        && (1601..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..61).contains(&second);
    sane.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn month_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.to_ascii_lowercase();
    let place = NAMES.iter().position(|n| name.starts_with(n))?;
    i64::try_from(place + 1).ok()
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, years counted from March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    /// 2026-01-01
    const NOW: i64 = 1_767_225_600;

    fn sent(set: &[&str], from: &str, to: &str) -> String {
        let mut jar = Jar::default();
        for header in set {
            jar.store(header, &url(from), Some(NOW));
        }
        jar.header(&url(to)).unwrap_or_default()
    }

    // Proves: T-19
    #[test]
    fn t19_where_a_cookie_goes() {
        let table = [
            ("a=1", "http://h.x.y/", "http://h.x.y/z", "a=1"),
            ("a=1", "http://h.x.y/", "http://h.x.y:81/z", "a=1"),
            ("a=1", "http://h.x.y/", "http://x.y/", ""),
            ("a=1", "http://h.x.y/", "http://i.h.x.y/", ""),
            ("a=1; Domain=x.y", "http://h.x.y/", "http://i.x.y/", "a=1"),
            ("a=1; domain=.X.Y", "http://h.x.y/", "http://x.y/", "a=1"),
            ("a=1; Domain=x.y", "http://h.x.y/", "http://hx.y/", ""),
            ("a=1; Domain=z.y", "http://h.x.y/", "http://h.x.y/", ""),
            ("a=1; Domain=y", "http://h.x.y/", "http://h.x.y/", ""),
            ("a=1; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", ""),
            ("a=1; Domain=127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", "a=1"),
            ("a=1; Path=/p", "http://h/", "http://h/p/q", "a=1"),
            ("a=1; Path=/p", "http://h/", "http://h/pq", ""),
            ("a=1; Path=p", "http://h/d/e", "http://h/d/f", "a=1"),
            ("a=1", "http://h/d/e", "http://h/f", ""),
            ("a=1; Secure", "https://h/", "http://h/", ""),
            ("a=1; Secure; HttpOnly", "https://h/", "https://h/?q=/", "a=1"),
            ("a = b c ; x", "http://h/", "http://h/", "a=b c"),
            ("a=\"q\"", "http://h/", "http://h/", "a=\"q\""),
            ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://h/", "http://h/", "a=1"),
            ("a=1; Expires=nonsense", "http://h/", "http://h/", "a=1"),
            ("a=1; Max-Age=99999999999999999999", "http://h/", "http://h/", "a=1"),
            ("a=1; Max-Age=0", "http://h/", "http://h/", ""),
            ("a=1; Max-Age=-5", "http://h/", "http://h/", ""),
            ("=1", "http://h/", "http://h/", ""),
            ("novalue", "http://h/", "http://h/", ""),
            ("a=\u{1}", "http://h/", "http://h/", ""),
        ];
        for (set, from, to, want) in table {
            assert_eq!(sent(&[set], from, to), want, "{set} from {from} to {to}");
        }
    }

    #[test]
    fn t19_replaced_deleted_ordered() {
        let h = "http://h/a/b";
        assert_eq!(sent(&["x=1", "y=2", "x=3"], h, h), "x=3; y=2");
        assert_eq!(sent(&["x=1; Path=/", "x=2"], h, h), "x=2; x=1");
        let past = "x=; Expires=Thu, 01-Jan-70 00:00:01 GMT";
        assert_eq!(sent(&["x=1", past], h, h), "");
    }

    /// Whose clock Expires is measured by; Max-Age needs none.
    // Proves: T-19
    #[test]
    fn t19_whose_clock() {
        let table = [
            ("a=1; Expires=Thu, 01 Jan 2026 00:00:01 GMT", Some(NOW), true),
            ("a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", Some(NOW), false),
            ("a=1; Expires=Thu, 01 Jan 1970 01:00:00 GMT", Some(60), true),
            ("a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", None, true),
            ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None, false),
            ("a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Max-Age=1000", Some(NOW + 5), true),
            ("a=1; Max-Age=1000", Some(0), true),
            ("a=1; Max-Age=1000", None, true),
            ("a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some(NOW), true),
        ];
        for (header, date, kept) in table {
            let mut jar = Jar::default();
            jar.store(header, &url("http://h/"), date);
            assert_eq!(jar.header(&url("http://h/")).is_some(), kept, "{header} at {date:?}");
        }
    }

    // Proves: T-20
    #[test]
    fn t20_bounds() {
        let h = "http://h/";
        let eight: Vec<String> = (0..8).map(|i| format!("n{i}={}", "v".repeat(62))).collect();
        let refs: Vec<&str> = eight.iter().map(String::as_str).collect();
        assert_eq!(sent(&refs, h, h), eight.join("; "));
        let many: Vec<String> = (0..MAX_COOKIES + 3).map(|i| format!("n{i}=v")).collect();
        let refs: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(sent(&refs, h, h), many[3..].join("; "));
        let large = format!("a={}", "v".repeat(MAX_COOKIE));
        assert_eq!(sent(&["b=1", &large], h, h), "b=1");
        let big = |n: &str| format!("{n}={}", "v".repeat(3500));
        assert_eq!(sent(&[&big("a"), &big("b"), &big("c")], h, h).len(), 2 * 3502 + 2);
    }

    #[test]
    fn dates_in_three_forms() {
        let day = 784_111_777;
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse_date(text), Some(day), "{text}");
        }
        assert_eq!(parse_date("29 Feb 2024 00:00:00"), Some(1_709_164_800));
        for text in ["", "06 Nov", "06 Nov 1994", "06 Nov 1994 25:00:00", "1:2 06 Nov 1994"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
