//! The expressions of UCI and ubus rows: where a value is and what is made of what is there.
//! `datamodel/README.md` tells the grammar for those who write rows.
//!
//! Parsing takes no heap and is done each time a value is read: the row's text is the only form that is
//! kept. `build.rs` and overlays judge the same texts with [`judge()`], so at run time nothing is wrong.

mod filter;
mod judge;
mod path;
#[cfg(test)]
mod tests;

pub use filter::{Filter, Filters};
pub use judge::{can_grow, judge, judge_table, judge_write};
pub use path::{Step, steps};

use std::fmt;

/// How deep parentheses may lie in each other.
pub const MAX_NESTED: usize = 3;
/// The most filters of one alternative.
pub const MAX_FILTERS: usize = 8;
/// The most arguments of one ubus call.
pub const MAX_ARGUMENTS: usize = 4;

/// What is wrong with a text, and the piece of it that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wrong<'a>(pub &'static str, pub &'a str);

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.1, self.0)
    }
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// An option of UCI.
    Uci(Uci<'a>),
    /// A field of an answer of ubus.
    Ubus(Call<'a>),
    /// The text of a file below the root.
    File(&'a str),
    /// This text.
    Const(&'a str),
}

/// `PACKAGE.SECTION.OPTION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uci<'a> {
    /// The file's name.
    pub package: &'a str,
    /// Which section.
    pub section: Section<'a>,
    /// The option's name, or `.name`, `.type`.
    pub option: &'a str,
}

/// Which section of a package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section<'a> {
    /// Its key, a text with places for keys; and its type, when it may be made.
    Key(&'a str, &'a str),
    /// The nth of its type, from the end when negative.
    Nth(&'a str, i32),
    /// The first of its type that fits, see [`conditions`].
    First(&'a str, &'a str),
    /// All of its type that fit.
    All(&'a str, &'a str),
}

/// `OBJECT METHOD [NAME=VALUE …] PATH`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call<'a> {
    /// The object; a text with places for keys.
    pub object: &'a str,
    /// The method.
    pub method: &'a str,
    /// The arguments, see [`Call::arguments`].
    arguments: &'a str,
    /// The field, see [`steps`].
    pub path: &'a str,
}

/// One place with its filters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alternative<'a> {
    /// Where the value is.
    pub place: Place<'a>,
    /// What is made of it.
    pub filters: Filters<'a>,
}

/// Where the rows of a table come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table<'a> {
    /// Sections of a type that fit.
    Sections(Sections<'a>),
    /// The items of a list, or what an answer holds at a path.
    Values(Alternative<'a>),
}

/// `PACKAGE.@type[conditions] | …`: sections as rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sections<'a> {
    /// The file's name.
    pub package: &'a str,
    /// The type.
    pub kind: &'a str,
    /// See [`conditions`].
    pub conditions: &'a str,
    extras: &'a str,
}

/// What goes with the making and taking away of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extra<'a> {
    /// `with P.@t[o=$]`: these sections go too.
    With(&'a str, &'a str, &'a str),
    /// `from P.@t.o`, `from P.@t[c].o`: the key is no item of these options any more.
    From(Uci<'a>),
    /// `new o=v …`: a new section has these options besides those of its conditions.
    New(&'a str),
    /// `name x`: the name of a new section is this and a number.
    Name(&'a str),
}

/// One condition on a section, or on an entry of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Condition<'a> {
    /// The option or field.
    pub name: &'a str,
    /// It must not be so.
    pub not: bool,
    /// What must be so.
    pub test: Test,
    /// One of these, with `|` between; each a text with places for keys.
    pub values: &'a str,
}

/// What a condition asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Test {
    /// It is there.
    There,
    /// It is the value.
    Is,
    /// The value is an item of it, or one of its words.
    Has,
}

/// Splits at a separator that stands in no parentheses, brackets or quotes.
pub(super) fn split<'a>(text: &'a str, separator: &'static str) -> impl Iterator<Item = &'a str> + Clone {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let (mut depth, mut quoted) = (0_i32, false);
        for (at, byte) in whole.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                _ => {}
            }
            // A separator is ASCII, so what is before and behind it is text.
            if depth <= 0 && !quoted && whole.as_bytes()[at..].starts_with(separator.as_bytes()) {
                rest = whole.get(at + separator.len()..);
                return whole.get(..at);
            }
        }
        rest = None;
        Some(whole)
    })
}

/// The alternatives of an expression; the first that has a value counts.
pub fn alternatives(text: &str) -> impl Iterator<Item = Result<Alternative<'_>, Wrong<'_>>> + Clone {
    split(text, " || ").map(alternative)
}

/// Gives every place that an expression speaks of, those in parentheses too.
pub fn each_place<'a>(text: &'a str, give: &mut dyn FnMut(&Place<'a>)) {
    alternatives(text).flatten().for_each(|one| places_of(&one, give));
}

/// As [`each_place`], of the source of a table.
pub fn each_place_of_table<'a>(text: &'a str, give: &mut dyn FnMut(&Place<'a>)) {
    match table(text) {
        Ok(Table::Values(one)) => places_of(&one, give),
        Ok(Table::Sections(s)) => {
            let section = Section::All(s.kind, s.conditions);
            give(&Place::Uci(Uci { package: s.package, section, option: "" }));
            inner_places(s.conditions, give);
        }
        Err(_) => {}
    }
}

fn places_of<'a>(one: &Alternative<'a>, give: &mut dyn FnMut(&Place<'a>)) {
    give(&one.place);
    match one.place {
        Place::Uci(Uci { section: Section::Key(text, _), .. }) | Place::File(text) | Place::Const(text) => {
            inner_places(text, give);
        }
        Place::Uci(Uci { section: Section::First(_, text) | Section::All(_, text), .. }) => {
            inner_places(text, give);
        }
        Place::Ubus(call) => {
            [call.object, call.arguments, call.path].into_iter().for_each(|text| inner_places(text, give));
        }
        Place::Uci(_) => {}
    }
}

fn inner_places<'a>(text: &'a str, give: &mut dyn FnMut(&Place<'a>)) {
    for piece in pieces(text) {
        if let Piece::Value(inner) = piece
            && let Ok(one) = alternative(inner)
        {
            places_of(&one, give);
        }
    }
}

/// Whether a text is an expression and no more than the argument of one plain source.
pub fn is_expression(text: &str) -> bool {
    split(text, " || ").nth(1).is_some() || split(text, " | ").nth(1).is_some()
}

/// One alternative.
///
/// # Errors
/// What is wrong with it.
pub fn alternative(text: &str) -> Result<Alternative<'_>, Wrong<'_>> {
    let text = text.trim();
    let place = split(text, " | ").next().unwrap_or(text);
    let filters = Filters(text.get(place.len()..).unwrap_or(""));
    let place = place.trim();
    let (word, rest) = place.split_once(' ').unwrap_or((place, ""));
    let rest = rest.trim();
    let place = match word {
        "uci" => Place::Uci(uci(rest)?),
        "ubus" => Place::Ubus(call(rest)?),
        "file" if rest.starts_with('/') => Place::File(rest),
        "file" => return Err(Wrong("is no path from the root", rest)),
        "const" => Place::Const(rest),
        _ => return Err(Wrong("is none of uci, ubus, file, const", word)),
    };
    Ok(Alternative { place, filters })
}

/// The name of a package, of a type, of an option: what a file of UCI can hold.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `PACKAGE.SECTION.OPTION`.
fn uci(text: &str) -> Result<Uci<'_>, Wrong<'_>> {
    let mut words = split(text, ".");
    let (package, section) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let option = text.get((package.len() + section.len() + 2)..).unwrap_or("");
    if !is_name(package) || section.is_empty() || !(is_name(option) || matches!(option, ".name" | ".type")) {
        return Err(Wrong("is not of the form package.section.option", text));
    }
    Ok(Uci { package, section: self::section(section)?, option })
}

fn section(text: &str) -> Result<Section<'_>, Wrong<'_>> {
    let Some(inner) = text.strip_prefix('@') else {
        // A name has no colon, and neither has the key of an anonymous section behind its type.
        return match text.rsplit_once(':') {
            Some((key, kind)) if is_name(kind) => Ok(Section::Key(key, kind)),
            _ => Ok(Section::Key(text, "")),
        };
    };
    let (kind, inside) = kind(inner).ok_or(Wrong("is not of the form @type[…]", text))?;
    let inside = inside.ok_or(Wrong("says nothing in [ ] of which section", text))?;
    if let Ok(n) = inside.parse() {
        return Ok(Section::Nth(kind, n));
    }
    Ok(match inside.strip_prefix('*') {
        Some("") => Section::All(kind, ""),
        Some(rest) => {
            Section::All(kind, rest.strip_prefix(',').ok_or(Wrong("has no comma behind its *", inside))?)
        }
        None => Section::First(kind, inside),
    })
}

/// `type` or `type[…]`.
fn kind(text: &str) -> Option<(&str, Option<&str>)> {
    let (kind, inside) = match text.split_once('[') {
        Some((kind, rest)) => (kind, Some(rest.strip_suffix(']')?)),
        None => (text, None),
    };
    is_name(kind).then_some((kind, inside))
}

/// `PACKAGE.@type[conditions]`.
fn sections(text: &str) -> Option<(&str, &str, &str)> {
    let mut words = split(text, ".");
    let (package, section) = (words.next()?, words.next()?);
    let (kind, inside) = kind(section.strip_prefix('@')?)?;
    (is_name(package) && words.next().is_none()).then_some((package, kind, inside.unwrap_or("")))
}

/// `OBJECT METHOD [NAME=VALUE …] PATH`.
fn call(text: &str) -> Result<Call<'_>, Wrong<'_>> {
    let mut words = split(text, " ").filter(|w| !w.is_empty());
    let (Some(object), Some(method)) = (words.next(), words.next()) else {
        return Err(Wrong("is not of the form OBJECT METHOD [NAME=VALUE …] PATH", text));
    };
    let path = words.last().ok_or(Wrong("has no path behind object and method", text))?;
    // All are pieces of the text, in this order.
    let from = method.as_ptr() as usize - text.as_ptr() as usize + method.len();
    let to = path.as_ptr() as usize - text.as_ptr() as usize;
    Ok(Call { object, method, arguments: text.get(from..to).unwrap_or("").trim(), path })
}

impl<'a> Call<'a> {
    /// Names and values of the arguments; a value is a text with places for keys. They are
    /// sent as the method's own types.
    pub fn arguments(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let words = split(self.arguments, " ").filter(|w| !w.is_empty());
        words.map(|word| word.split_once('=').unwrap_or(("", word)))
    }
}

/// The conditions between the brackets of a section or a path.
pub fn conditions(text: &str) -> impl Iterator<Item = Condition<'_>> + Clone {
    split(text, ",").map(str::trim).filter(|c| !c.is_empty()).map(|text| {
        let Some(at) = text.find(['=', '~', '!']) else {
            return Condition { name: text, not: false, test: Test::There, values: "" };
        };
        let (name, rest) = text.split_at(at);
        if name.is_empty() {
            let name = rest.strip_prefix('!').unwrap_or("");
            return Condition { name, not: true, test: Test::There, values: "" };
        }
        let (not, rest) = match rest.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let test = if rest.starts_with('~') { Test::Has } else { Test::Is };
        Condition { name, not, test, values: rest.get(1..).unwrap_or("") }
    })
}

impl<'a> Condition<'a> {
    /// The values of which one must fit.
    pub fn values(&self) -> impl Iterator<Item = &'a str> + Clone {
        split(self.values, "|")
    }
}

/// The source of a table.
///
/// # Errors
/// What is wrong with it.
pub fn table(text: &str) -> Result<Table<'_>, Wrong<'_>> {
    let text = text.trim();
    let head = split(text, " | ").next().unwrap_or(text);
    if let Some(place) = head.strip_prefix("uci ").map(str::trim) {
        if let Some((package, kind, conditions)) = sections(place) {
            let extras = text.get(head.len()..).unwrap_or("");
            return Ok(Table::Sections(Sections { package, kind, conditions, extras }));
        }
        let Some(list) = place.strip_suffix("[]") else {
            return Err(Wrong("is neither package.@type[…] nor package.section.option[]", place));
        };
        let filters = Filters(text.get(head.len()..).unwrap_or(""));
        return Ok(Table::Values(Alternative { place: Place::Uci(uci(list)?), filters }));
    }
    let found = alternative(text)?;
    match found.place {
        Place::Ubus(_) => Ok(Table::Values(found)),
        _ => Err(Wrong("lists no rows: uci and ubus do", text)),
    }
}

impl<'a> Sections<'a> {
    /// What goes with the making and taking away of one.
    pub fn extras(&self) -> impl Iterator<Item = Result<Extra<'a>, Wrong<'a>>> + Clone {
        split(self.extras, " | ").map(str::trim).filter(|e| !e.is_empty()).map(|text| {
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            let rest = rest.trim();
            match word {
                "with" => {
                    let (package, kind, conditions) =
                        sections(rest).ok_or(Wrong("is not of the form package.@type[option=$]", rest))?;
                    Ok(Extra::With(package, kind, conditions))
                }
                "from" => from(rest).map(Extra::From),
                "new" if split(rest, " ").all(|w| w.split_once('=').is_some_and(|w| is_name(w.0))) => {
                    Ok(Extra::New(rest))
                }
                "new" => Err(Wrong("is not of the form option=value …", rest)),
                "name" if is_name(rest) => Ok(Extra::Name(rest)),
                "name" => Err(Wrong("is no beginning of a section's name", rest)),
                _ => Err(Wrong("is none of with, from, new, name", word)),
            }
        })
    }
}

/// `P.@t.o`, `P.@t[c].o`, `P.s.o`: all of the type when nothing is said.
fn from(text: &str) -> Result<Uci<'_>, Wrong<'_>> {
    let mut words = split(text, ".");
    let (Some(package), Some(section), Some(option)) = (words.next(), words.next(), words.next()) else {
        return Err(Wrong("is not of the form package.@type.option", text));
    };
    let kind = match section.strip_prefix('@') {
        Some(inner) => kind(inner).ok_or(Wrong("is not of the form @type[…]", section))?,
        None => ("", None),
    };
    if !is_name(package) || !is_name(option) || words.next().is_some() {
        return Err(Wrong("is not of the form package.@type.option", text));
    }
    let section = match kind {
        ("", _) => Section::Key(section, ""),
        (kind, conditions) => Section::All(kind, conditions.unwrap_or("")),
    };
    Ok(Uci { package, section, option })
}

/// A piece of a text that has places for keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// As it stands, but for `%XX`.
    Text(&'a str),
    /// `{1}`: the key of this `{i}`, from 0.
    Key(usize),
    /// `{#1}`: its instance number.
    Number(usize),
    /// `$`, only where a row is deleted: its key.
    Own,
    /// `(…)`: the value of this alternative.
    Value(&'a str),
}

/// The pieces of a text.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.bytes().next()?;
        let special = match first {
            b'{' => key(rest),
            b'(' => value(rest),
            b'$' => Some((Piece::Own, 1)),
            _ => None,
        };
        let (piece, length) = special.unwrap_or_else(|| {
            let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '{' | '(' | '$'));
            let length = end.map_or(rest.len(), |(at, _)| at);
            (Piece::Text(rest.get(..length).unwrap_or("")), length)
        });
        rest = rest.get(length..).unwrap_or("");
        Some(piece)
    })
}

fn key(text: &str) -> Option<(Piece<'_>, usize)> {
    let end = text.find('}')?;
    let inside = text.get(1..end)?;
    let piece = match inside.strip_prefix('#') {
        Some(digits) => Piece::Number(digits.parse::<usize>().ok()?.checked_sub(1)?),
        None => Piece::Key(inside.parse::<usize>().ok()?.checked_sub(1)?),
    };
    Some((piece, end + 1))
}

fn value(text: &str) -> Option<(Piece<'_>, usize)> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some((Piece::Value(text.get(1..at)?), at + 1)),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}
