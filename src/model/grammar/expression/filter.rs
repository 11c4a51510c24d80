//! What is made of a value on its way to and from its place.

use super::{Wrong, split};

/// One filter. Words in it are percent-encoded where they hold blanks or what has a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter<'a> {
    /// `not`
    Not,
    /// `map a=b c=d *=e`
    Map(&'a str),
    /// `times N`
    Times(i64),
    /// `div N`
    Div(i64),
    /// `plus N`
    Plus(i64),
    /// `default V`
    Default(&'a str),
    /// `is W`, `is W V`: whether it is W; written W, or V (nothing).
    Is(&'a str, &'a str),
    /// `has W`: whether W is an item.
    Has(&'a str),
    /// `present`
    Present,
    /// `count`
    Count,
    /// `word N`
    Word(i32),
    /// `cut C N`
    Cut(&'a str, i32),
    /// `items`, `items C`
    Items(&'a str),
    /// `join C`
    Join(&'a str),
    /// `ref OBJECT [OBJECT …] [KEY …]`
    Ref(&'a str),
    /// `seconds`
    Seconds,
    /// `time`
    Time,
    /// `fromnow`
    FromNow,
    /// `ago`
    Ago,
    /// `mask`
    Mask,
    /// `address`
    Address,
    /// `upper`
    Upper,
    /// `lower`
    Lower,
    /// `number`
    Number,
}

/// The filters of an alternative: its text behind the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filters<'a>(pub(super) &'a str);

impl<'a> Filters<'a> {
    /// One by one, as a value is read.
    pub fn iter(self) -> impl Iterator<Item = Result<Filter<'a>, Wrong<'a>>> + Clone {
        self.texts().map(Filter::parse)
    }

    /// Each as it is written.
    pub fn texts(self) -> impl Iterator<Item = &'a str> + Clone {
        split(self.0, " | ").map(str::trim).filter(|f| !f.is_empty())
    }
}

impl<'a> Filter<'a> {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a str) -> Result<Filter<'a>, Wrong<'a>> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let number = || rest.parse::<i64>().map_err(|_| Wrong("is no number", rest));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let nth = |text: &'a str| text.parse::<i32>().map_err(|_| Wrong("is no number", text));
        let given = |filter| if rest.is_empty() { Err(Wrong("has no argument", text)) } else { Ok(filter) };
        let bare = |filter| if rest.is_empty() { Ok(filter) } else { Err(Wrong("has no arguments", name)) };
        match name {
            "not" => bare(Filter::Not),
            "map" if rest.split(' ').all(|pair| pair.contains('=')) => Ok(Filter::Map(rest)),
            "map" => Err(Wrong("is not of the form a=b c=d *=e", rest)),
            "times" | "div" if number()? == 0 => Err(Wrong("is no factor", rest)),
            "times" => Ok(Filter::Times(number()?)),
            "div" => Ok(Filter::Div(number()?)),
            "plus" => Ok(Filter::Plus(number()?)),
            "default" => given(Filter::Default(rest)),
            "is" => given(Filter::Is(first, second.trim())),
            "has" => given(Filter::Has(rest)),
            "present" => bare(Filter::Present),
            "count" => bare(Filter::Count),
            "word" => Ok(Filter::Word(nth(rest)?)),
            "cut" if !first.is_empty() => Ok(Filter::Cut(first, nth(second.trim())?)),
            "cut" => Err(Wrong("is not of the form cut C N", text)),
            "items" => Ok(Filter::Items(rest)),
            "join" => Ok(Filter::Join(rest)),
            "ref" => given(Filter::Ref(rest)),
            "seconds" => bare(Filter::Seconds),
            "time" => bare(Filter::Time),
            "fromnow" => bare(Filter::FromNow),
            "ago" => bare(Filter::Ago),
            "mask" => bare(Filter::Mask),
            "address" => bare(Filter::Address),
            "upper" => bare(Filter::Upper),
            "lower" => bare(Filter::Lower),
            "number" => bare(Filter::Number),
            _ => Err(Wrong("is no filter", name)),
        }
    }

    /// Whether a value can go this way back to its place.
    pub fn is_two_way(self) -> bool {
        !matches!(
            self,
            Filter::Present
                | Filter::Count
                | Filter::Word(_)
                | Filter::Cut(..)
                | Filter::Join(_)
                | Filter::Time
                | Filter::FromNow
                | Filter::Ago
                | Filter::Address
                | Filter::Number
        )
    }
}
