//! What filters make of a value: `read` on its way to the tree, `write` on its way back to its place. Pure.

use crate::model::fault::Code;
use crate::model::grammar::expression::Filter;
use crate::model::handler::Failure;
use crate::model::kind::forms::percent_decoded;
use crate::sys::clock;

/// What a place holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// A text.
    One(String),
    /// A list of texts.
    Many(Vec<String>),
}

/// What is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// The option goes.
    Nothing,
    /// An option.
    Text(String),
    /// A list.
    Items(Vec<String>),
    /// One item of a list, and whether it is to be there.
    Item(String, bool),
}

impl Found {
    /// The texts of it.
    pub fn items(&self) -> &[String] {
        match self {
            Found::One(one) => std::slice::from_ref(one),
            Found::Many(many) => many,
        }
    }

    /// The first text.
    pub fn first(&self) -> Option<&str> {
        self.items().first().map(String::as_str)
    }

    fn each(self, make: &dyn Fn(&str) -> Option<String>) -> Option<Found> {
        match self {
            Found::One(one) => make(&one).map(Found::One),
            Found::Many(many) => {
                let many: Vec<String> = many.iter().filter_map(|one| make(one)).collect();
                (!many.is_empty()).then_some(Found::Many(many))
            }
        }
    }
}

/// The truth of a text of UCI; `None` when it says neither.
pub fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "on" | "yes" | "true" | "enabled" => Some(true),
        "0" | "off" | "no" | "false" | "disabled" => Some(false),
        _ => None,
    }
}

/// A whole number; of one with a fraction what stands before the point.
fn whole(text: &str) -> Option<i64> {
    text.trim().split('.').next()?.parse().ok()
}

/// What a filter makes of a value when it is read. Its texts have their keys in them by now; `now` are the
/// seconds since 1970.
pub fn read(filter: Filter<'_>, found: Option<Found>, now: &dyn Fn() -> i64) -> Option<Found> {
    let word = |word: bool| Some(Found::One(if word { "true" } else { "false" }.to_owned()));
    match (filter, found) {
        (Filter::Default(text), None) => Some(Found::One(text.to_owned())),
        (Filter::Default(_), found) => found,
        (Filter::Present, found) => word(found.is_some_and(|f| f.items().iter().any(|i| !i.is_empty()))),
        (Filter::Count, found) => Some(Found::One(found.map_or(0, |f| f.items().len()).to_string())),
        (Filter::Is(text, _), found) => word(found.as_ref().and_then(Found::first) == Some(text)),
        (Filter::Has(text), found) => {
            let has = |item: &String| item == text || item.split_ascii_whitespace().any(|word| word == text);
            word(found.is_some_and(|f| f.items().iter().any(has)))
        }
        (Filter::Map(pairs), None) => mapped(pairs, "").map(Found::One),
        (Filter::Map(pairs), Some(found)) => found.each(&|text| mapped(pairs, text)),
        (_, None) => None,
        (Filter::Items(at), Some(found)) => {
            let mut items: Vec<String> = Vec::new();
            for text in found.items() {
                match at {
                    "" => items.extend(text.split_ascii_whitespace().map(str::to_owned)),
                    at => items.extend(text.split(at).map(|i| i.trim().to_owned()).filter(|i| !i.is_empty())),
                }
            }
            (!items.is_empty()).then_some(Found::Many(items))
        }
        (Filter::Join(with), Some(found)) => {
            let with = percent_decoded(with);
            Some(Found::One(found.items().join(if with.is_empty() { " " } else { &with })))
        }
        (filter, Some(found)) => found.each(&|text| read_one(filter, text, now)),
    }
}

fn read_one(filter: Filter<'_>, text: &str, now: &dyn Fn() -> i64) -> Option<String> {
    let number = |make: &dyn Fn(i64) -> Option<i64>| Some(make(whole(text)?)?.to_string());
    match filter {
        Filter::Not => Some(if flag(text)? { "false" } else { "true" }.to_owned()),
        Filter::Times(by) => number(&|n| n.checked_mul(by)),
        Filter::Div(by) => number(&|n| n.checked_div(by)),
        Filter::Plus(by) => number(&|n| n.checked_add(by)),
        Filter::Word(n) => nth(text.split_ascii_whitespace(), n),
        Filter::Cut(at, n) => nth(text.split(percent_decoded(at).as_ref()), n),
        Filter::Seconds => seconds(text).map(|n| n.to_string()),
        Filter::Time => whole(text).map(clock::utc),
        Filter::FromNow => Some(clock::utc(now().checked_add(whole(text)?)?)),
        Filter::Ago => Some(clock::utc(now().checked_sub(whole(text)?)?)),
        Filter::Mask => mask(text),
        Filter::Address => text.split('/').next().map(str::to_owned),
        Filter::Upper => Some(text.to_uppercase()),
        Filter::Lower => Some(text.to_lowercase()),
        Filter::Number => {
            let text = text.trim_start();
            let digits =
                text.strip_prefix('-').unwrap_or(text).bytes().take_while(u8::is_ascii_digit).count();
            let sign = text.len() - text.strip_prefix('-').unwrap_or(text).len();
            (digits > 0).then(|| text.get(..sign + digits).unwrap_or("").to_owned())
        }
        // The others are about lists, or no value.
        _ => Some(text.to_owned()),
    }
}

fn nth<'a>(words: impl Iterator<Item = &'a str>, n: i32) -> Option<String> {
    let words: Vec<&str> = words.collect();
    let at = if n < 0 { words.len().checked_sub(n.unsigned_abs() as usize)? } else { n as usize };
    words.get(at).map(|w| (*w).to_owned())
}

/// Left and right sides of a map.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_ascii_whitespace().filter_map(|pair| pair.split_once('='))
}

fn mapped(map: &str, text: &str) -> Option<String> {
    // What has no value is only what the map says of it.
    let fits = |left: &str| percent_decoded(left) == text || (left == "*" && !text.is_empty());
    let (_, right) = pairs(map).find(|(left, _)| fits(left))?;
    Some(if right == "*" { text.to_owned() } else { percent_decoded(right).into_owned() })
}

/// The first left side that is read as this; empty when the option is to go.
fn unmapped(map: &str, text: &str) -> Option<String> {
    let found = pairs(map).find(|(left, right)| *left != "*" && percent_decoded(right) == text);
    match found {
        Some((left, _)) => Some(percent_decoded(left).into_owned()),
        None => pairs(map).any(|pair| pair == ("*", "*")).then(|| text.to_owned()),
    }
}

/// The units of times, longest first, as far as everybody understands them.
const UNITS: &[(char, i64)] = &[('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "infinite" {
        return Some(-1);
    }
    match text.parse() {
        Ok(seconds) => Some(seconds),
        Err(_) => {
            let last = text.chars().last()?.to_ascii_lowercase();
            let (unit, factor) = UNITS.iter().find(|u| u.0 == last)?;
            text.get(..text.len() - unit.len_utf8())?.trim().parse::<i64>().ok()?.checked_mul(*factor)
        }
    }
}

fn unseconds(text: &str) -> Option<String> {
    let seconds: i64 = text.parse().ok()?;
    if seconds < 0 {
        return Some("infinite".to_owned());
    }
    let whole = UNITS.iter().filter(|u| matches!(u.0, 'h' | 'm')).find(|u| seconds > 0 && seconds % u.1 == 0);
    Some(whole.map_or_else(|| seconds.to_string(), |(unit, by)| format!("{}{unit}", seconds / by)))
}

/// `24`, `10.0.0.1/24`, or a mask as it is.
fn mask(text: &str) -> Option<String> {
    let bits = text.rsplit('/').next()?;
    if bits.contains('.') {
        return (!text.contains('/')).then(|| bits.to_owned()).or_else(|| Some(bits.to_owned()));
    }
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(std::net::Ipv4Addr::from(mask).to_string())
}

fn unmask(text: &str) -> Option<String> {
    let mask: u32 = text.parse::<std::net::Ipv4Addr>().ok()?.into();
    (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0).then(|| mask.leading_ones().to_string())
}

/// What a filter makes of a value that is written, to the left of it.
///
/// # Errors
/// 9007: there is no such value on the other side.
pub fn write(filter: Filter<'_>, value: Written) -> Result<Written, Failure> {
    let refused = |why: &str| Failure { code: Code::INVALID_VALUE, text: why.to_owned() };
    let each = |value: Written, why: &str, make: &dyn Fn(&str) -> Option<String>| {
        let made = match &value {
            Written::Text(text) => make(text).map(Written::Text),
            Written::Items(items) => items.iter().map(|i| make(i)).collect::<Option<_>>().map(Written::Items),
            _ => return Ok(value),
        };
        made.ok_or_else(|| refused(why))
    };
    let truth = |text: &str| flag(text);
    match (filter, value) {
        (Filter::Is(_, ""), Written::Text(text)) if truth(&text) == Some(false) => Ok(Written::Nothing),
        (Filter::Is(yes, no), value) => {
            each(value, "not a boolean", &|text| truth(text).map(|t| if t { yes } else { no }.to_owned()))
        }
        (Filter::Has(item), Written::Text(text)) => match truth(&text) {
            Some(there) => Ok(Written::Item(item.to_owned(), there)),
            None => Err(refused("not a boolean")),
        },
        (Filter::Not, value) => each(value, "not a boolean", &|text| {
            truth(text).map(|t| if t { "false" } else { "true" }.to_owned())
        }),
        (Filter::Map(map), value) => {
            let value = match value {
                // What is nothing may have a word.
                Written::Nothing => match unmapped(map, "") {
                    Some(text) => Written::Text(text),
                    None => Written::Nothing,
                },
                value => each(value, "the device has no such setting", &|text| unmapped(map, text))?,
            };
            Ok(if value == Written::Text(String::new()) { Written::Nothing } else { value })
        }
        (Filter::Times(by), value) => each(value, "not a multiple of what the device can be told", &|text| {
            let n = whole(text)?;
            (n % by == 0).then(|| (n / by).to_string())
        }),
        (Filter::Div(by), value) => {
            each(value, "too large", &|text| Some(whole(text)?.checked_mul(by)?.to_string()))
        }
        (Filter::Plus(by), value) => {
            each(value, "too large", &|text| Some(whole(text)?.checked_sub(by)?.to_string()))
        }
        (Filter::Items(at), Written::Items(items)) => {
            let at = if at.is_empty() { " " } else { at };
            match items.iter().any(|item| item.contains(at)) {
                true => Err(refused("an item holds what stands between items")),
                false => Ok(Written::Text(items.join(at))),
            }
        }
        (Filter::Seconds, value) => each(value, "not a number of seconds", &unseconds),
        (Filter::Mask, value) => each(value, "not a network mask", &unmask),
        (_, value) => Ok(value),
    }
}
