//! What a value may be: the lexical forms and bounds of the TR-106 types.
//!
//! There are two doors. [`Kind::check`] is for a peer: what does not fit is refused, with 9006 when
//! it is not of the type at all and 9007 when it lies outside the bounds. [`Kind::coerce`] is for a
//! source: what does not fit is made to.

pub mod forms;

use super::schema::{Base, Format, KindRow, Schema};
use forms::Number;
use std::borrow::Cow;

/// What ends an enumeration value that the agent may show and no peer may write.
const READ_ONLY: &str = "@readOnly";
/// How many enumeration values a fault text names.
const WORDS_NAMED: usize = 12;

/// A type with its bounds.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    /// The schema it stands in.
    pub schema: &'a Schema,
    /// Its row.
    pub row: &'a KindRow,
}

/// Why a text is no value of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Misfit {
    /// Not of the type at all: fault 9006.
    Type(String),
    /// Of the type, but outside its bounds, enumeration or pattern: fault 9007.
    Value(String),
}

impl Misfit {
    /// The reason, for a person; never quotes the value.
    pub fn text(&self) -> &str {
        match self {
            Misfit::Type(text) | Misfit::Value(text) => text,
        }
    }
}

/// For whom a text is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// A peer: read-only words are refused, times are put into UTC.
    Peer,
    /// A source of the agent's own.
    Source,
}

impl<'a> Kind<'a> {
    /// The xsi:type of its values: `xsd:string`, `xsd:unsignedInt` …; a list is a string (R-GPV-8).
    pub fn xsi_type(self) -> &'static str {
        if self.row.list {
            return "xsd:string";
        }
        match self.row.base {
            Base::String => "xsd:string",
            Base::Int => "xsd:int",
            Base::UnsignedInt => "xsd:unsignedInt",
            Base::Long => "xsd:long",
            Base::UnsignedLong => "xsd:unsignedLong",
            Base::Decimal => "xsd:decimal",
            Base::Boolean => "xsd:boolean",
            Base::DateTime => "xsd:dateTime",
            Base::Base64 => "xsd:base64Binary",
            Base::HexBinary => "xsd:hexBinary",
        }
    }

    /// Whether a value that the ACS calls by this xsi:type (its local name) may be meant for this
    /// type; if not, the fault is 9006 (E-30).
    ///
    /// Real ACSs do not always know the type, so this asks for the family only: all whole numbers
    /// are one (and may be meant for a decimal), `string` may be meant for anything, and so may
    /// `anySimpleType`. A number or a boolean is not meant for a string: an ACS that writes one
    /// there believes in another data model. The text itself is checked in any case.
    pub fn accepts_xsi(self, local_name: &str) -> bool {
        const WHOLE: &[&str] = &[
            "int",
            "unsignedInt",
            "long",
            "unsignedLong",
            "integer",
            "short",
            "unsignedShort",
            "byte",
            "unsignedByte",
            "nonNegativeInteger",
            "positiveInteger",
            "negativeInteger",
            "nonPositiveInteger",
        ];
        const TEXT: &[&str] = &["string", "normalizedString", "token", "anySimpleType", "anyType"];
        if TEXT.contains(&local_name) {
            return true;
        }
        if self.row.list {
            return false;
        }
        match self.row.base {
            Base::String => local_name == "anyURI",
            Base::Int | Base::UnsignedInt | Base::Long | Base::UnsignedLong => WHOLE.contains(&local_name),
            Base::Decimal => {
                matches!(local_name, "decimal" | "float" | "double") || WHOLE.contains(&local_name)
            }
            Base::Boolean => local_name == "boolean",
            Base::DateTime => matches!(local_name, "dateTime" | "date"),
            Base::Base64 => matches!(local_name, "base64" | "base64Binary"),
            Base::HexBinary => local_name == "hexBinary",
        }
    }

    /// The value shown where a source has none: empty, 0, false, Unknown Time; the nearest value
    /// within the bounds where 0 lies outside; the empty string also for an enumeration.
    pub fn neutral(self) -> &'a str {
        self.schema.text(self.row.neutral)
    }

    /// Whether it is a path reference (or a list of them).
    pub fn is_reference(self) -> bool {
        self.row.format == Format::Reference
    }

    /// The tables a reference may point into (`Device.IP.Interface.{i}.`); any when there are none.
    pub fn targets(self) -> impl Iterator<Item = &'a str> + Clone {
        self.schema.words(self.row.targets)
    }

    /// The values of the enumeration; with `true` only those that a peer may write.
    pub fn words(self, writable: bool) -> impl Iterator<Item = &'a str> + Clone {
        self.schema.words(self.row.words).filter_map(move |word| match word.strip_suffix(READ_ONLY) {
            Some(word) => (!writable).then_some(word),
            None => Some(word),
        })
    }

    /// Checks a text written by a peer and gives its canonical form (`1` becomes `true`, list items
    /// are trimmed, numbers lose leading zeros and plus signs, times are put into UTC). Path
    /// references are checked for their form only: whether the row exists is the tree's question.
    ///
    /// # Errors
    /// [`Misfit`], naming the bound that was broken; never quotes the value itself.
    pub fn check<'t>(self, text: &'t str) -> Result<Cow<'t, str>, Misfit> {
        self.value(text, Door::Peer)
    }

    /// As [`Kind::check`], for a text of the agent's own: read-only words of an enumeration are
    /// values too, and a time keeps its offset.
    ///
    /// # Errors
    /// As [`Kind::check`].
    pub fn judge<'t>(self, text: &'t str) -> Result<Cow<'t, str>, Misfit> {
        self.value(text, Door::Source)
    }

    /// Makes a text from a source fit: canonical when it is a value; else a string is cut to its
    /// greatest length, a number goes to the nearest bound, list items that do not fit are left out,
    /// and whatever is no value even then becomes the neutral one.
    pub fn coerce<'t>(self, text: &'t str) -> Cow<'t, str>
    where
        'a: 't,
    {
        match self.judge(text) {
            Ok(value) => value,
            Err(_) if self.row.list => self.fit_list(text).into(),
            Err(misfit) => self.fit_item(text, &misfit).unwrap_or(Cow::Borrowed(self.neutral())),
        }
    }

    fn value<'t>(self, text: &'t str, door: Door) -> Result<Cow<'t, str>, Misfit> {
        if self.row.list { self.list(text, door) } else { self.item(text, door) }
    }

    /// R-SPV-16.
    fn list<'t>(self, text: &'t str, door: Door) -> Result<Cow<'t, str>, Misfit> {
        let mut canonical = String::with_capacity(text.len());
        let mut count = 0_usize;
        for raw in forms::raw_items(text) {
            if count > 0 {
                canonical.push(',');
            }
            count += 1;
            let plain = forms::percent_decoded(raw);
            let value = self.item(&plain, door)?;
            // Text stays as it was written: which characters were escaped is the writer's choice.
            canonical.push_str(if value == plain { raw } else { &value });
        }
        let (least, most) = (usize::from(self.row.items.0), usize::from(self.row.items.1));
        if count < least {
            return Err(Misfit::Value(format!("fewer than {least} items")));
        }
        if count > most && self.row.items.1 != u16::MAX {
            return Err(Misfit::Value(format!("more than {most} items")));
        }
        if longer(&canonical, self.row.list_max.into()) {
            return Err(Misfit::Value(format!("a list longer than {} characters", self.row.list_max)));
        }
        Ok(if canonical == text { Cow::Borrowed(text) } else { Cow::Owned(canonical) })
    }

    fn item<'t>(self, text: &'t str, door: Door) -> Result<Cow<'t, str>, Misfit> {
        let not = |what: &str| Misfit::Type(format!("not {what}"));
        match self.row.base {
            Base::String => self.string(text, door).map(|()| forms::canonical(self.row.format, text)),
            Base::Int | Base::UnsignedInt | Base::Long | Base::UnsignedLong => {
                let number = Number::parse(text).ok_or_else(|| not("a whole number"))?;
                self.number(number)?;
                Ok(number.canonical())
            }
            Base::Decimal => {
                let decimal = forms::Decimal::parse(text).ok_or_else(|| not("a decimal number"))?;
                let (low, high) = decimal.around();
                let within = self.ranges().any(|r| low >= r.0.into() && high <= r.1.into());
                if within { Ok(decimal.canonical()) } else { Err(self.outside("")) }
            }
            Base::Boolean => match text.trim_matches(forms::is_space) {
                "true" | "1" => Ok("true".into()),
                "false" | "0" => Ok("false".into()),
                _ => Err(not("a boolean (true, false, 1, 0)")),
            },
            Base::DateTime => {
                forms::date_time(text, door == Door::Peer).map_err(|why| Misfit::Type(why.to_string()))
            }
            Base::Base64 => {
                let (value, octets) = forms::base64(text).ok_or_else(|| not("base64"))?;
                self.length(octets, "octets")?;
                Ok(value)
            }
            Base::HexBinary => {
                let value = forms::hex(text).ok_or_else(|| not("pairs of hexadecimal digits"))?;
                self.length(value.len() / 2, "octets")?;
                Ok(value)
            }
        }
    }

    fn string(self, text: &str, door: Door) -> Result<(), Misfit> {
        if self.row.words.0 != self.row.words.1 {
            if self.words(door == Door::Peer).any(|word| word == text) {
                return Ok(());
            }
            let mut named: Vec<&str> = self.words(door == Door::Peer).take(WORDS_NAMED + 1).collect();
            if named.len() > WORDS_NAMED {
                named[WORDS_NAMED] = "…";
            }
            return Err(Misfit::Value(format!("not one of {}", named.join(", "))));
        }
        // Counting is only needed when the bytes alone do not say that it fits (E-23).
        if (self.row.min, self.row.max) != (i64::MIN, i64::MAX) {
            self.length(text.chars().count(), "characters")?;
        }
        if text.chars().any(|c| !forms::is_xml(c)) {
            return Err(Misfit::Value("a character that XML cannot carry".into()));
        }
        if let Some(what) = forms::misform(self.row.format, text) {
            return Err(Misfit::Value(format!("not {what}")));
        }
        let mut patterns = self.schema.words(self.row.patterns).peekable();
        if patterns.peek().is_some() && !patterns.any(|p| forms::matches(p, text)) {
            return Err(Misfit::Value("not of the pattern it must have".into()));
        }
        Ok(())
    }

    fn length(self, count: usize, unit: &str) -> Result<(), Misfit> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if self.ranges().any(|r| (r.0..=r.1).contains(&count)) {
            return Ok(());
        }
        if count > self.row.max {
            return Err(Misfit::Value(format!("longer than {} {unit}", self.row.max)));
        }
        if count < self.row.min {
            return Err(Misfit::Value(format!("shorter than {} {unit}", self.row.min)));
        }
        Err(self.outside(unit))
    }

    fn number(self, number: Number<'_>) -> Result<(), Misfit> {
        let (least, most) = self.hull();
        let within = match number.value() {
            Some(n) => n >= least && n <= most && self.ranges().any(|r| n >= r.0 && n <= r.1),
            None => number.is_unsigned_long() && most == i64::MAX && self.row.base == Base::UnsignedLong,
        };
        if within { Ok(()) } else { Err(self.outside("")) }
    }

    /// All ranges: one, unless the row says more.
    fn ranges(self) -> impl Iterator<Item = (i64, i64)> {
        let one = (self.row.ranges.0 == self.row.ranges.1).then_some((self.row.min, self.row.max));
        self.schema.words(self.row.ranges).map(range).chain(one)
    }

    /// The least and the greatest whole number, by bounds and base type; `i64::MAX` also stands for
    /// the greatest unsignedLong.
    fn hull(self) -> (i64, i64) {
        let (least, most) = match self.row.base {
            Base::Int => (i32::MIN.into(), i32::MAX.into()),
            Base::UnsignedInt => (0, u32::MAX.into()),
            Base::UnsignedLong => (0, i64::MAX),
            _ => (i64::MIN, i64::MAX),
        };
        (least.max(self.row.min), most.min(self.row.max))
    }

    fn outside(self, unit: &str) -> Misfit {
        let mut text = String::from("not within ");
        let mut ranges = self.schema.words(self.row.ranges);
        match ranges.next() {
            Some(first) => {
                text.push_str(first);
                for one in ranges {
                    text.push_str(", ");
                    text.push_str(one);
                }
            }
            None => {
                let (least, most) = self.hull();
                let open = self.row.base == Base::UnsignedLong && most == i64::MAX;
                let most = if open { u64::MAX.to_string() } else { most.to_string() };
                text.push_str(&format!("{least}..{most}"));
            }
        }
        if !unit.is_empty() {
            text.push(' ');
            text.push_str(unit);
        }
        Misfit::Value(text)
    }

    /// A value near a text that is none; `None` when there is nothing near.
    fn fit_item<'t>(self, text: &str, misfit: &Misfit) -> Option<Cow<'t, str>> {
        if matches!(misfit, Misfit::Type(_)) {
            return None;
        }
        let near = match self.row.base {
            Base::String => {
                let most = usize::try_from(self.row.max).unwrap_or(usize::MAX);
                text.chars().filter(|c| forms::is_xml(*c)).take(most).collect()
            }
            Base::Int | Base::UnsignedInt | Base::Long | Base::UnsignedLong => {
                let number = Number::parse(text)?;
                let (least, most) = self.hull();
                match number.value() {
                    Some(n) if n < least => least.to_string(),
                    Some(n) if n <= most => return None,
                    None if number.is_negative() => least.to_string(),
                    _ if most == i64::MAX && self.row.base == Base::UnsignedLong => u64::MAX.to_string(),
                    _ => most.to_string(),
                }
            }
            Base::Decimal => {
                let below = forms::Decimal::parse(text)?.around().0 < self.row.min.into();
                if below { self.row.min } else { self.row.max }.to_string()
            }
            _ => return None,
        };
        self.item(&near, Door::Source).ok().map(|value| Cow::Owned(value.into_owned()))
    }

    fn fit_list(self, text: &str) -> String {
        let mut fitted = String::new();
        let mut count = 0;
        for raw in forms::raw_items(text) {
            let plain = forms::percent_decoded(raw);
            let value = match self.item(&plain, Door::Source) {
                // Text stays as it was written, as in a list that fits.
                Ok(value) if value == plain => Cow::Borrowed(raw),
                Ok(value) => Cow::Owned(value.into_owned()),
                Err(misfit) => match self.fit_item(&plain, &misfit) {
                    Some(value) => forms::percent_encoded(&value).into_owned().into(),
                    None => continue,
                },
            };
            let comma = usize::from(count > 0);
            let length = fitted.chars().count() + comma + value.chars().count();
            if count == self.row.items.1 || length > self.row.list_max as usize {
                break;
            }
            if comma > 0 {
                fitted.push(',');
            }
            fitted.push_str(&value);
            count += 1;
        }
        fitted
    }
}

/// Whether a text has more than so many characters.
fn longer(text: &str, most: u64) -> bool {
    // A character has at least one byte.
    text.len() as u64 > most && text.chars().count() as u64 > most
}

/// One range of [`KindRow::ranges`] as numbers.
pub fn range(text: &str) -> (i64, i64) {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    (min.parse().unwrap_or(i64::MIN), max.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
