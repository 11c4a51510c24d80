//! How a body that broke off goes on (RFC 9110 14): with Range and If-Range, and only where a strong ETag
//! says that it is the same file still. Last-Modified is not used: it is a strong validator only by the
//! word of the server's clock against ours (RFC 9110 8.8.2.2), and nothing that knows it lacks ETag.

use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, header};

use crate::net::exchange::texts;

/// The most continuations of one file.
pub const MAX_CONTINUATIONS: usize = 3;
/// How long after the first break one may still begin.
const CONTINUE_TIME: Duration = Duration::from_secs(10);
/// What is waited before each: who closed the connection by mistake is there, who restarts needs a moment.
const PAUSES: [Duration; MAX_CONTINUATIONS] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// The longest ETag that is kept, in bytes.
const MAX_ETAG: usize = 512;

/// Counts the continuations of one file.
#[derive(Default)]
pub struct Continuations {
    first: Option<Instant>,
    count: usize,
}

impl Continuations {
    /// It broke off now: when to go on, or `None` when that was often enough.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        let first = *self.first.get_or_insert(now);
        let at = now + *PAUSES.get(self.count)?;
        self.count += 1;
        (at.saturating_duration_since(first) <= CONTINUE_TIME).then_some(at)
    }
}

/// The strong ETag of an answer.
pub fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let mut tags = texts(headers, header::ETAG);
    let tag = tags.pop().filter(|_| tags.is_empty())?;
    let tag = tag.trim();
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    let sound = tag.len() <= MAX_ETAG && inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    sound.then(|| tag.to_owned())
}

/// Judges a 206: the part that begins at `done` and goes to the end, of the same file. Gives the file's
/// length; the error says what is different.
pub fn judge(headers: &HeaderMap, done: u64, total: Option<u64>, etag: &str) -> Result<u64, String> {
    let ranges = texts(headers, header::CONTENT_RANGE);
    let [range] = ranges.as_slice() else { return Err("no single Content-Range".to_string()) };
    let Some((start, end, whole)) = content_range(range) else {
        return Err("a Content-Range that is none".to_string());
    };
    if start != done || whole.checked_sub(1) != Some(end) {
        return Err(format!("bytes {start} to {end} of {whole} where those from {done} on were wanted"));
    }
    if total.is_some_and(|total| total != whole) {
        return Err(format!("a file of {whole} bytes where it had {}", total.unwrap_or_default()));
    }
    if strong_etag(headers).as_deref() != Some(etag) {
        return Err("another ETag".to_string());
    }
    Ok(whole)
}

/// `bytes 5-9/10` as its three numbers.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, whole) = rest.trim().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)
    };
    let (start, end) = (number(start)?, number(end)?);
    (unit.eq_ignore_ascii_case("bytes") && start <= end).then_some((start, end, number(whole)?))
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn headers(list: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn only_one_strong_etag_is_a_validator() {
        let long = format!("\"{}\"", "x".repeat(MAX_ETAG - 2));
        let table = [
            (vec!["\"a-1\""], Some("\"a-1\"")),
            (vec!["\"\""], Some("\"\"")),
            (vec![long.as_str()], Some(long.as_str())),
            (vec![], None),
            (vec!["W/\"a\""], None),
            (vec!["a"], None),
            (vec!["\""], None),
            (vec!["\"a\"b\""], None),
            (vec!["\"a b\""], None),
            (vec!["\"a\"", "\"a\""], None),
        ];
        for (tags, want) in table {
            let list: Vec<_> = tags.iter().map(|t| (header::ETAG, *t)).collect();
            assert_eq!(strong_etag(&headers(&list)).as_deref(), want, "{tags:?}");
        }
        let longer = format!("\"{}\"", "x".repeat(MAX_ETAG - 1));
        assert_eq!(strong_etag(&headers(&[(header::ETAG, &longer)])), None);
    }

    #[test]
    fn a_part_must_be_the_rest_of_the_same_file() {
        let table = [
            ("bytes 5-9/10", "\"e\"", Some(10), Ok(10)),
            ("Bytes  5-9/10", "\"e\"", None, Ok(10)),
            ("bytes 5-9/*", "\"e\"", Some(10), Err("that is none")),
            ("bytes 4-9/10", "\"e\"", Some(10), Err("those from 5 on")),
            ("bytes 5-8/10", "\"e\"", Some(10), Err("those from 5 on")),
            ("bytes 5-10/10", "\"e\"", Some(10), Err("those from 5 on")),
            ("bytes 5-9/10", "\"f\"", Some(10), Err("another ETag")),
            ("bytes 5-9/10", "W/\"e\"", Some(10), Err("another ETag")),
            ("bytes 5-10/11", "\"e\"", Some(10), Err("11 bytes where it had 10")),
            ("bytes 9-5/10", "\"e\"", Some(10), Err("that is none")),
            ("bytes +5-9/10", "\"e\"", Some(10), Err("that is none")),
            ("bytes */10", "\"e\"", Some(10), Err("that is none")),
            ("lines 5-9/10", "\"e\"", Some(10), Err("that is none")),
            ("bytes 5-9/99999999999999999999", "\"e\"", None, Err("that is none")),
            ("", "\"e\"", Some(10), Err("that is none")),
        ];
        for (range, etag, total, want) in table {
            let map = headers(&[(header::CONTENT_RANGE, range), (header::ETAG, etag)]);
            match (judge(&map, 5, total, "\"e\""), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{range}: {got}"),
                (got, want) => panic!("{range}: {got:?}, {want:?}"),
            }
        }
        let none = judge(&headers(&[(header::ETAG, "\"e\"")]), 5, Some(10), "\"e\"");
        assert!(none.unwrap_err().contains("no single"));
    }

    #[test]
    fn three_continuations_within_ten_seconds() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let run = |breaks: &[u64]| -> Vec<Option<u64>> {
            let mut c = Continuations::default();
            let next = breaks.iter().map(|s| c.next(at(*s)));
            next.map(|n| n.map(|n| n.duration_since(start).as_secs())).collect()
        };
        assert_eq!(run(&[0, 0, 1, 3]), [Some(0), Some(1), Some(3), None]);
        assert_eq!(run(&[100, 109]), [Some(100), Some(110)]);
        assert_eq!(run(&[100, 110]), [Some(100), None]);
    }
}
