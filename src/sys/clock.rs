//! Time, as the pure rooms are given it, and the dateTime texts of the standard.

use super::host;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tz::{TimeZone, UtcDateTime};

/// A moment: a monotonic time to measure waits by, and the wall clock to tell to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Since boot, sleep included (CLOCK_BOOTTIME); never goes back.
    pub mono: Duration,
    /// Seconds since 1970 UTC.
    pub wall: i64,
    /// Whether the wall clock is believed: false until it is past the time of the build.
    pub clock_set: bool,
}

/// The most bytes read of a zone file; the largest there are have a few KiB.
const MAX_ZONE: u64 = 64 * 1024;

/// Unknown Time (TR-106 3.2.1, E-27).
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// Infinite Time (E-27).
pub const INFINITE_TIME: &str = "9999-12-31T23:59:59Z";

/// Unknown Time in seconds since 1970.
const UNKNOWN: i64 = -62_135_596_800;

/// The time of the build, by `SOURCE_DATE_EPOCH` so that builds can be reproduced; without it the
/// first day of 2025, before which no copy of this program existed.
pub const BUILD: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => decimal(text),
    None => 1_735_689_600,
};

/// A device without a battery starts in 1970, or at the time of a file of its firmware; one day is
/// left for builders and devices that disagree about the zone.
const SLACK: i64 = 24 * 3600;

const fn decimal(text: &str) -> i64 {
    let bytes = text.as_bytes();
    let mut value = 0;
    let mut i = 0;
    while i < bytes.len() {
        assert!(bytes[i].is_ascii_digit(), "SOURCE_DATE_EPOCH is not a number");
        value = value * 10 + (bytes[i] - b'0') as i64;
        i += 1;
    }
    value
}

/// The present moment.
pub fn now() -> Now {
    let wall = wall();
    Now { mono: mono(), wall, clock_set: believed(wall) }
}

/// Processor time of this thread so far, which a busy machine does not prolong; zero where the kernel
/// does not tell.
pub fn processor() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .unwrap_or_default()
}

fn mono() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .map(Duration::from)
        // Linux has had CLOCK_MONOTONIC since 2.6; without a clock nothing could be scheduled.
        .expect("the kernel has a monotonic clock")
}

fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

/// Whether a wall clock of so many seconds since 1970 can be right.
pub fn believed(wall: i64) -> bool {
    wall > BUILD - SLACK
}

/// `2026-11-22T10:28:55Z` for seconds since 1970. What lies before the year 1000, where the standard
/// has relative times, is Unknown Time; what lies beyond 9999 is Infinite Time.
pub fn utc(seconds: i64) -> String {
    match UtcDateTime::from_timespec(seconds, 0) {
        Ok(t) if (1000..=9999).contains(&t.year()) => format!("{}Z", digits(&t)),
        _ if seconds < 0 => UNKNOWN_TIME.to_owned(),
        _ => INFINITE_TIME.to_owned(),
    }
}

/// Local time with its UTC offset, for Inform's CurrentTime (I-2); `root` is where `/etc/localtime`
/// and OpenWrt's `/etc/TZ` are looked for. Without either the offset is `+00:00`.
pub fn local(seconds: i64, root: &Path) -> String {
    let offset = zone(root)
        .and_then(|zone| zone.find_local_time_type(seconds).ok().map(|t| t.ut_offset()))
        .unwrap_or(0);
    // Old zones were off by odd seconds; dateTime knows minutes only.
    let minutes = i64::from(offset.div_euclid(60));
    match UtcDateTime::from_timespec(seconds.saturating_add(minutes * 60), 0) {
        Ok(t) if (1000..=9999).contains(&t.year()) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            format!("{}{sign}{hours:02}:{rest:02}", digits(&t))
        }
        _ => UNKNOWN_TIME.to_owned(),
    }
}

fn digits(t: &UtcDateTime) -> String {
    let (year, month, day) = (t.year(), t.month(), t.month_day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())
}

/// The machine's zone, to be asked more than once.
pub struct Zone(Option<TimeZone>);

impl Zone {
    /// As [`local`] finds it.
    pub fn of(root: &Path) -> Zone {
        Zone(zone(root))
    }

    /// How many seconds local time is east of UTC at a moment.
    pub fn offset(&self, seconds: i64) -> i64 {
        let found = self.0.as_ref().and_then(|zone| zone.find_local_time_type(seconds).ok());
        found.map_or(0, |kind| i64::from(kind.ut_offset()))
    }
}

/// The zone of the machine whose files lie below `root`.
fn zone(root: &Path) -> Option<TimeZone> {
    let file = |name| host::read_bytes(root, name, MAX_ZONE).ok();
    if let Some(zone) = file("/etc/localtime").and_then(|bytes| TimeZone::from_tz_data(&bytes).ok()) {
        return Some(zone);
    }
    posix_zone(std::str::from_utf8(&file("/etc/TZ")?).ok()?.trim())
}

/// The zone of a POSIX TZ string. As the footer of an otherwise empty zone file, because there the
/// hours beyond 24 are allowed that OpenWrt writes for some zones (`IST-2IDT,M3.4.4/26,M10.5.0`).
fn posix_zone(rule: &str) -> Option<TimeZone> {
    if rule.is_empty() || rule.contains('\n') {
        return None;
    }
    // Version 3; no UT and standard indicators, leap seconds or transitions, one type, 4 bytes of names.
    let mut block = b"TZif3".to_vec();
    block.resize(20, 0);
    for count in [0u32, 0, 0, 0, 1, 4] {
        block.extend_from_slice(&count.to_be_bytes());
    }
    block.extend_from_slice(b"\0\0\0\0\0\0LMT\0");
    TimeZone::from_tz_data(&[&block[..], &block, b"\n", rule.as_bytes(), b"\n"].concat()).ok()
}

/// Seconds since 1970 of a dateTime with `Z` or an offset; a time without zone is taken as UTC.
/// `None` for what is no dateTime; years below 1000 are relative times and give `None` too, but for
/// Unknown Time (E-27). Parts of a second are cut off.
pub fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(at);
    let time = match time.split_once('.') {
        Some((time, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => time,
        Some(_) => return None,
        None => time,
    };
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    // 24:00:00 is the end of a day (XML Schema 3.2.7); the 60th second is not in the type.
    let (hour, next_day) = if (hour, minute, second) == (24, 0, 0) { (0, 86_400) } else { (hour, 0) };
    if second > 59 {
        return None;
    }
    let moment =
        UtcDateTime::new(i32::from(year), month as u8, day as u8, hour as u8, minute as u8, second as u8, 0)
            .ok()?;
    let seconds = moment.unix_time() + next_day - offset(zone)?;
    (year >= 1000 || seconds == UNKNOWN).then_some(seconds)
}

/// As [`parse`], but `None` for Unknown Time too.
pub fn known(text: &str) -> Option<i64> {
    parse(text).filter(|seconds| *seconds != UNKNOWN)
}

/// Numbers of just so many digits with `mark` between them.
fn fields(text: &str, mark: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let mut words = text.split(mark);
    let mut out = [0; 3];
    for (value, len) in out.iter_mut().zip(digits) {
        *value = number(words.next()?, len)?;
    }
    words.next().is_none().then_some(out)
}

fn number(word: &str, len: usize) -> Option<u16> {
    if word.len() != len || !word.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    word.parse().ok()
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, zone) = match zone.as_bytes() {
        [] | [b'Z'] => return Some(0),
        [b'+', ..] => (1, zone.get(1..)?),
        [b'-', ..] => (-1, zone.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = zone.split_once(':')?;
    let (hours, minutes) = (i64::from(number(hours, 2)?), i64::from(number(minutes, 2)?));
    // XML Schema 3.2.7.3
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: i64 = 1_795_343_335; // 2026-11-22T10:28:55Z

    // Proves: E-26
    #[test]
    fn e_26_utc_texts() {
        for (seconds, text) in [
            (MOMENT, "2026-11-22T10:28:55Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_294_967_296, "2106-02-07T06:28:16Z"),
            (253_402_300_799, INFINITE_TIME),
            (253_402_300_800, INFINITE_TIME),
            (i64::MAX, INFINITE_TIME),
            (UNKNOWN, UNKNOWN_TIME),
            (i64::MIN, UNKNOWN_TIME),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    // Proves: E-27
    #[test]
    fn e_26_e_27_reads_date_times() {
        for (text, seconds) in [
            ("2026-11-22T10:28:55Z", MOMENT),
            ("2026-11-22T10:28:55", MOMENT),
            ("2026-11-22T10:28:55.999Z", MOMENT),
            ("2026-11-22T11:28:55+01:00", MOMENT),
            ("2026-11-22T04:58:55-05:30", MOMENT),
            ("2026-11-21T24:00:00Z", 1_795_305_600),
            ("1000-01-01T00:00:00Z", -30_610_224_000),
            (UNKNOWN_TIME, UNKNOWN),
            (INFINITE_TIME, 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(known(text), Some(seconds).filter(|_| text != UNKNOWN_TIME), "{text}");
        }
        assert_eq!(known("1970-01-01T00:00:00Z"), Some(0));
    }

    // Proves: E-27
    #[test]
    fn e_27_refuses_what_is_no_absolute_date_time() {
        for text in [
            "",
            "T",
            "2026-11-22",
            "2026-11-22T10:28Z",
            "2026-11-22 10:28:55Z",
            "2026-13-22T10:28:55Z",
            "2026-02-29T10:28:55Z",
            "2026-11-22T24:00:01Z",
            "2026-11-22T10:60:55Z",
            "2026-11-22T10:28:60Z",
            "2026-11-22T10:28:55+15:00",
            "2026-11-22T10:28:55+01",
            "2026-11-22T10:28:55+01:60",
            "2026-11-22T10:28:55z",
            "2026-11-22T10:28:55.Z",
            "2026-11-22T10:28:55ZZ",
            "+026-11-22T10:28:55Z",
            "-2026-11-22T10:28:55Z",
            "12026-11-22T10:28:55Z",
            "2026-1-22T10:28:55Z",
            "2026-11-22T10:28:55+é",
            // relative times
            "0000-00-00T01:00:00",
            "0001-01-01T00:00:01Z",
            "0999-12-31T23:59:59Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn texts_read_back() {
        for seconds in (-30_610_224_000..253_402_300_799).step_by(86_399 * 997) {
            assert_eq!(parse(&utc(seconds)), Some(seconds));
        }
    }

    // Proves: I-2
    #[test]
    fn i_2_local_time_has_its_offset() {
        let root = std::env::temp_dir().join(format!("cwmpd-clock-{}", std::process::id()));
        let etc = root.join("etc");
        std::fs::create_dir_all(&etc).unwrap();
        const JULY: i64 = 1_782_907_200; // 2026-07-01T12:00:00Z
        const JANUARY: i64 = 1_767_268_800; // 2026-01-01T12:00:00Z
        assert_eq!(local(JULY, &root), "2026-07-01T12:00:00+00:00", "no zone is known");
        for (rule, july, january) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3\n", "2026-07-01T14:00:00+02:00", "2026-01-01T13:00:00+01:00"),
            ("EST5EDT,M3.2.0,M11.1.0\n", "2026-07-01T08:00:00-04:00", "2026-01-01T07:00:00-05:00"),
            ("<-0330>3:30\n", "2026-07-01T08:30:00-03:30", "2026-01-01T08:30:00-03:30"),
            ("<+0545>-5:45", "2026-07-01T17:45:00+05:45", "2026-01-01T17:45:00+05:45"),
            ("IST-2IDT,M3.4.4/26,M10.5.0", "2026-07-01T15:00:00+03:00", "2026-01-01T14:00:00+02:00"),
            ("GMT0", "2026-07-01T12:00:00+00:00", "2026-01-01T12:00:00+00:00"),
            ("UTC", "2026-07-01T12:00:00+00:00", "2026-01-01T12:00:00+00:00"),
            ("", "2026-07-01T12:00:00+00:00", "2026-01-01T12:00:00+00:00"),
            ("nonsense,,,", "2026-07-01T12:00:00+00:00", "2026-01-01T12:00:00+00:00"),
        ] {
            std::fs::write(etc.join("TZ"), rule).unwrap();
            assert_eq!(
                (local(JULY, &root).as_str(), local(JANUARY, &root).as_str()),
                (july, january),
                "{rule}"
            );
            for text in [july, january] {
                assert!(parse(text) == Some(JULY) || parse(text) == Some(JANUARY));
            }
        }
        // Links stay below the root, as on OpenWrt where /etc/TZ leads to /tmp/TZ.
        std::fs::remove_file(etc.join("TZ")).unwrap();
        std::fs::create_dir(root.join("tmp")).unwrap();
        std::fs::write(root.join("tmp/TZ"), "JST-9").unwrap();
        std::os::unix::fs::symlink("/tmp/TZ", etc.join("TZ")).unwrap();
        assert_eq!(local(JULY, &root), "2026-07-01T21:00:00+09:00");
        // A zone file goes before it.
        let head = |version: u8| {
            let mut bytes = [&b"TZif"[..], &[version], &[0; 15]].concat();
            [0u32, 0, 0, 0, 1, 4].iter().for_each(|n| bytes.extend_from_slice(&n.to_be_bytes()));
            bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(b"UTC\0");
            bytes
        };
        std::fs::write(root.join("tmp/zone"), [head(b'2'), head(b'2'), b"\n<-03>3\n".to_vec()].concat())
            .unwrap();
        std::os::unix::fs::symlink("../tmp/zone", etc.join("localtime")).unwrap();
        assert_eq!(local(JULY, &root), "2026-07-01T09:00:00-03:00");
        // A link that leads to itself ends too.
        std::fs::remove_file(etc.join("localtime")).unwrap();
        std::os::unix::fs::symlink("localtime", etc.join("localtime")).unwrap();
        assert_eq!(local(JULY, &root), "2026-07-01T21:00:00+09:00");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_clock_is_believed_when_it_is_past_the_build() {
        assert!(!believed(0));
        assert!(!believed(BUILD - SLACK));
        assert!(believed(BUILD));
        let (one, two) = (now(), now());
        assert!(two.mono >= one.mono);
        assert_eq!(one.clock_set, believed(one.wall));
    }
}
