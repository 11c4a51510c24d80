//! Times by the clock: the five fields of cron, strictly read. No I/O, no clock.
//!
//! A field is `*`, a number, a range `a-b`, either of the latter or `*` with a step `/n`, or several of these with
//! commas. Days of the week are 0 to 7, of which 0 and 7 are Sunday. Where both kinds of days are restricted, either
//! is enough, as everywhere in cron.

use tz::UtcDateTime;

/// The five fields and what they may hold.
const FIELDS: [(&str, u8, u8); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];
/// A 29th of February may be eight years away.
const MAX_DAYS: i64 = 8 * 366 + 2;
const DAY: i64 = 24 * 3600;
const MONTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// When something is due: bits of what each field lets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cron {
    /// 60 bits, in two halves.
    minutes: [u32; 2],
    hours: u32,
    days: u32,
    months: u32,
    weekdays: u32,
    /// Both kinds of days are restricted.
    either: bool,
}

impl Cron {
    /// Reads `m h dom mon dow`.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = *words else {
            return Err(format!("five fields are wanted, m h dom mon dow; there are {}", words.len()));
        };
        let mut fields = [[0u32; 2]; 5];
        for ((word, known), bits) in [minute, hour, day, month, weekday].iter().zip(FIELDS).zip(&mut fields) {
            *bits = field(word, known)?;
        }
        let [minutes, [hours, _], [days, high], [months, _], [weekdays, _]] = fields;
        debug_assert_eq!(high, 0);
        let cron = Cron {
            minutes,
            hours,
            days,
            months,
            // 7 is Sunday, too.
            weekdays: weekdays | u32::from(weekdays & 1 << 7 != 0),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        let is_there = |(month, length): (u32, u8)| {
            cron.months & 1 << month != 0 && (1..=length).any(|day| cron.days & 1 << day != 0)
        };
        match cron.either || (1..).zip(MONTHS).any(is_there) {
            true => Ok(cron),
            false => Err(format!("no month has this day: {day} {month}")),
        }
    }

    /// The first time behind `after` at which it is due; both in seconds since 1970. `offset` says how many seconds
    /// local time is east of UTC at a moment. An hour that local time leaves out is made up for right behind it, and
    /// of one that comes twice only one counts.
    pub fn next(&self, after: i64, offset: &dyn Fn(i64) -> i64) -> Option<i64> {
        let mut local = after.checked_add(offset(after))?.div_euclid(60).checked_add(1)?.checked_mul(60)?;
        // More than once only where the zone's offset changes just there.
        for _ in 0..8 {
            local = self.next_local(local)?;
            let guess = local - offset(local);
            let utc = local - offset(guess);
            // In the gap the later offset makes a moment before it.
            let utc = if utc + offset(utc) < local { guess.max(utc) } else { utc };
            if utc > after {
                return Some(utc);
            }
            local += 60;
        }
        None
    }

    /// The first minute from here on that fits, all as if local time were UTC.
    fn next_local(&self, from: i64) -> Option<i64> {
        let first = from.div_euclid(DAY);
        let mut minute = from.rem_euclid(DAY) / 60;
        for day in first..first + MAX_DAYS {
            if self.fits_day(day)? {
                let fits = |m: &i64| self.hours & 1 << (m / 60) != 0 && has(self.minutes, (m % 60) as u8);
                if let Some(found) = (minute..DAY / 60).find(fits) {
                    return Some(day * DAY + found * 60);
                }
            }
            minute = 0;
        }
        None
    }

    fn fits_day(&self, day: i64) -> Option<bool> {
        let date = UtcDateTime::from_timespec(day.checked_mul(DAY)?, 0).ok()?;
        let of_month = self.days & 1 << date.month_day() != 0;
        let of_week = self.weekdays & 1 << date.week_day() != 0;
        let is_day = if self.either { of_month || of_week } else { of_month && of_week };
        Some(is_day && self.months & 1 << date.month() != 0)
    }
}

fn has(bits: [u32; 2], n: u8) -> bool {
    bits[usize::from(n / 32).min(1)] & 1 << (n % 32) != 0
}

/// The bits of a field.
fn field(word: &str, (name, least, most): (&str, u8, u8)) -> Result<[u32; 2], String> {
    let mut bits = [0; 2];
    for part in word.split(',') {
        let wrong = |why: &str| format!("{name}: {part:.32}: {why}");
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => {
                let step = number(step).filter(|n| *n > 0).ok_or_else(|| wrong("no step"))?;
                (range, step)
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => {
                let both = number(from).zip(number(to)).ok_or_else(|| wrong("no range of numbers"))?;
                if both.0 > both.1 {
                    return Err(wrong("the range ends before it begins"));
                }
                both
            }
            None if part.contains('/') => return Err(wrong("a step wants a range or *")),
            None => number(range).map(|n| (n, n)).ok_or_else(|| wrong("no number"))?,
        };
        if from < least || to > most {
            return Err(wrong(&format!("{least} to {most} are possible")));
        }
        for n in (from..=to).step_by(usize::from(step)) {
            bits[usize::from(n / 32).min(1)] |= 1 << (n % 32);
        }
    }
    Ok(bits)
}

/// One or two digits.
fn number(word: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|_| is_number)
}
