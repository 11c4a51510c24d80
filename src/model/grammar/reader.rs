//! TOML text into rows; every mistake becomes a problem with its line.

use super::super::kind::forms;
use super::super::schema::{Base, PLATFORMS, SourceKind, flag};
use super::expression::{self, is_expression};
use super::{At, KindSpec, MAX_PATH, MAX_TEXT, ObjectSpec, Options, PREFIX, ParamSpec, Place, Problem};
use crate::sys::order;
use std::ops::Range;
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The platforms by name, in the order of the columns.
const PLATFORM_NAMES: [&str; PLATFORMS] = ["linux", "openwrt"];

/// The sources by name.
const SOURCES: &[(&str, SourceKind)] = &[
    ("const", SourceKind::Const),
    ("store", SourceKind::Store),
    ("file", SourceKind::File),
    ("exec", SourceKind::Exec),
    ("uci", SourceKind::Expression),
    ("ubus", SourceKind::Expression),
    ("native", SourceKind::Native),
];

/// Reads one file into `specs`; what is wrong with it goes into `problems`.
pub fn read(
    file: &str,
    text: &str,
    options: &Options<'_>,
    specs: &mut Vec<ObjectSpec>,
    problems: &mut Vec<Problem>,
) {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let mut reader = Reader { file: file.into(), starts, options, problems };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.wrong(error.span().unwrap_or(0..0), error.message().lines().next().unwrap_or("not TOML"));
    }
    if !errors.is_empty() {
        return;
    }
    for (key, value) in in_order(table.get_ref()) {
        if let Some(spec) = reader.object(key, value) {
            specs.push(spec);
        }
    }
}

type Entry<'t, 'i> = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>);

/// The entries of a table as they stand in the file.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    order::sort_by(&mut entries, |(a, _), (b, _)| a.span().start.cmp(&b.span().start));
    entries
}

/// What a row, a section or one platform's part of it says of source and access.
#[derive(Default)]
struct Side {
    place: Option<Place>,
    access: Option<bool>,
    why: Option<String>,
}

/// Which rules a source is read by.
#[derive(Clone, Copy)]
struct Site {
    /// How many `{i}` its arguments may speak of.
    depth: usize,
    /// The word for its access: `write` or `create`.
    access: &'static str,
    /// Whether it is an object, and then whether it is a table.
    table: Option<bool>,
}

struct Reader<'a> {
    file: Rc<str>,
    starts: Vec<usize>,
    options: &'a Options<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn at(&self, span: &Range<usize>) -> At {
        At { file: self.file.clone(), line: self.starts.partition_point(|s| *s <= span.start) as u32 }
    }

    fn wrong(&mut self, span: Range<usize>, reason: impl Into<String>) {
        let at = self.at(&span);
        self.problems.push(Problem { at, reason: reason.into() });
    }

    /// A name with the vendor prefix of this build.
    fn name(&self, text: &str) -> String {
        text.replace(PREFIX, self.options.prefix)
    }

    fn object(
        &mut self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<ObjectSpec> {
        let path = self.name(key.get_ref());
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key.span(), format!("`{path}` is no section: [\"Device.X.\"]"));
            return None;
        };
        if let Err(why) = path_form(&path) {
            self.wrong(key.span(), format!("`{path}` is no object: {why}"));
            return None;
        }
        let mut spec = ObjectSpec::bare(path, self.at(&key.span()));
        let is_table = spec.is_table();
        let depth = spec.path.matches("{i}").count();
        // A table's own source lists its instances, so it knows the keys of the parents only.
        let site = Site { depth: depth - usize::from(is_table), access: "create", table: Some(is_table) };
        let sides = self.sides(table, site);
        spec.speaks = table.keys().any(|k| k.get_ref().starts_with(|c: char| c.is_ascii_lowercase()));
        spec.places = places(&sides);
        spec.creatable = access(&sides);
        spec.why = whys(&sides);
        for (place, create) in spec.places.iter().zip(spec.creatable) {
            if let (Place::At(SourceKind::Expression, text), true) = (place, create)
                && !expression::can_grow(text)
            {
                self.wrong(key.span(), format!("rows of {} are no sections, so none are added", spec.path));
            }
        }
        for (key, value) in in_order(table) {
            let word: &str = key.get_ref();
            match word {
                "keys" | "entries" | "enable" | "volatile" | "create" if !is_table => {
                    self.wrong(
                        key.span(),
                        format!("`{word}` is for a table, and {} has no {{i}}", spec.path),
                    );
                }
                "keys" => spec.keys = self.strings(value, "keys").iter().map(|k| self.name(k)).collect(),
                "entries" => spec.entries = self.string(value, "entries").map(|n| self.name(&n)),
                "enable" => spec.enable = self.string(value, "enable").map(|n| self.name(&n)),
                "volatile" => spec.volatile = self.boolean(value, "volatile").unwrap_or(false),
                "uplink" => spec.uplink = self.boolean(value, "uplink").unwrap_or(false),
                _ if is_side_key(word, site.access) => {}
                _ if word.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    if let Some(param) = self.param(key, value, &spec.path, depth) {
                        spec.params.push(param);
                    }
                }
                _ => self.wrong(key.span(), format!("unknown key `{word}` in {}", spec.path)),
            }
        }
        Some(spec)
    }

    fn param(
        &mut self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        object: &str,
        depth: usize,
    ) -> Option<ParamSpec> {
        let name = self.name(key.get_ref());
        let span = key.span();
        if !is_name(&name) {
            self.wrong(span, format!("`{name}` is no parameter name"));
            return None;
        }
        if longest(object) + name.len() > MAX_PATH {
            self.wrong(span, format!("the path of {name} is longer than {MAX_PATH} bytes"));
            return None;
        }
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(span, format!("the row of {name} is no table: {name} = {{ type = \"…\" }}"));
            return None;
        };
        let site = Site { depth, access: "write", table: None };
        let sides = self.sides(table, site);
        let Some(expression) = table.get("type") else {
            self.wrong(span, format!("{name} has no type"));
            return None;
        };
        let expression_text = self.string(expression, "type")?;
        let mut kind = match KindSpec::parse(&self.name(&expression_text)) {
            Ok(kind) => kind,
            Err(why) => {
                self.wrong(expression.span(), format!("{name}: {why}"));
                return None;
            }
        };
        let mut flags = 0;
        for (key, value) in in_order(table) {
            let word: &str = key.get_ref();
            match word {
                "type" => {}
                "pattern" => self.patterns(&mut kind, value, &name),
                "items" => match self.string(value, "items").as_deref().and_then(items) {
                    Some(range) if kind.list => kind.items = range,
                    Some(_) => self.wrong(value.span(), format!("`items` is for a list, and {name} is none")),
                    None => self.wrong(value.span(), "`items` is not of the form \"0..8\""),
                },
                "list_size" => match value.get_ref().as_integer().and_then(|n| n.as_str().parse().ok()) {
                    Some(size) if kind.list => kind.list_max = size,
                    Some(_) => {
                        self.wrong(value.span(), format!("`list_size` is for a list, and {name} is none"))
                    }
                    None => self.wrong(value.span(), "`list_size` is no number of characters"),
                },
                "notify" => match self.string(value, "notify").as_deref() {
                    Some("canDeny") => flags |= flag::CAN_DENY,
                    Some("forceEnabled") => flags |= flag::FORCE_ENABLED,
                    Some("forceDefaultEnabled") => flags |= flag::FORCE_DEFAULT,
                    Some(_) => self
                        .wrong(value.span(), "`notify` is one of canDeny, forceEnabled, forceDefaultEnabled"),
                    None => {}
                },
                "hidden" | "forced_inform" | "command" | "after_session" | "uplink" => {
                    let bit = match word {
                        "hidden" => flag::HIDDEN,
                        "forced_inform" => flag::FORCED_INFORM,
                        "command" => flag::COMMAND,
                        "uplink" => flag::UPLINK | flag::AFTER_SESSION,
                        _ => flag::AFTER_SESSION,
                    };
                    if self.boolean(value, word) == Some(true) {
                        flags |= bit;
                    }
                }
                _ if is_side_key(word, site.access) => {}
                _ => self.wrong(key.span(), format!("unknown key `{word}` in the row of {name}")),
            }
        }
        if flags & flag::COMMAND != 0 && (kind.base != Base::Boolean || kind.list) {
            self.wrong(span.clone(), format!("{name} is a command, so its type is boolean"));
        }
        let write = access(&sides);
        let places = places(&sides);
        let is_const = |place: &Place| matches!(place, Place::At(SourceKind::Const, _));
        if places.iter().zip(write).any(|(place, write)| write && is_const(place)) {
            self.wrong(span.clone(), format!("{name} is writable, and a const cannot be written"));
        }
        for (place, write) in places.iter().zip(write) {
            if let (Place::At(SourceKind::Expression, text), true) = (place, write)
                && let Err(why) = expression::judge_write(text)
            {
                self.wrong(span.clone(), format!("{name} is writable: {why}"));
            }
        }
        Some(ParamSpec { name, at: self.at(&span), kind, places, write, why: whys(&sides), flags })
    }

    /// The general side, then one for each platform.
    fn sides(&mut self, table: &DeTable<'_>, site: Site) -> [Side; 1 + PLATFORMS] {
        let mut sides = [self.side(table, site), Side::default(), Side::default()];
        for (name, side) in PLATFORM_NAMES.iter().zip(&mut sides[1..]) {
            let Some(value) = table.get(*name) else {
                continue;
            };
            match value.get_ref() {
                DeValue::Boolean(false) => side.place = Some(Place::Absent),
                DeValue::String(text) => {
                    let (word, arg) = text.split_once(' ').unwrap_or((text, ""));
                    side.place = match SOURCES.iter().find(|(n, _)| *n == word) {
                        // What is said in words can be several places, and filters behind them.
                        Some((_, SourceKind::Const | SourceKind::File)) if is_expression(text) => {
                            self.place(SourceKind::Expression, text, value.span(), site)
                        }
                        Some((_, SourceKind::Expression)) => {
                            self.place(SourceKind::Expression, text, value.span(), site)
                        }
                        Some((_, kind)) => self.place(*kind, arg, value.span(), site),
                        None => {
                            self.wrong(value.span(), format!("`{word}` is no source"));
                            None
                        }
                    };
                }
                DeValue::Table(inner) => {
                    *side = self.side(inner, site);
                    for (key, _) in in_order(inner) {
                        let word: &str = key.get_ref();
                        if !is_side_key(word, site.access) || PLATFORM_NAMES.contains(&word) {
                            self.wrong(key.span(), format!("unknown key `{word}` under `{name}`"));
                        }
                    }
                }
                _ => self.wrong(value.span(), format!("`{name}` is `false`, a source in words, or a table")),
            }
        }
        sides
    }

    fn side(&mut self, table: &DeTable<'_>, site: Site) -> Side {
        let mut side = Side::default();
        for (key, value) in in_order(table) {
            let word: &str = key.get_ref();
            if let Some((_, kind)) = SOURCES.iter().find(|(n, _)| *n == word) {
                let Some(arg) = self.string(value, word) else {
                    continue;
                };
                if side.place.is_some() {
                    self.wrong(key.span(), format!("`{word}` is a second source"));
                    continue;
                }
                // The argument of `uci` and `ubus` is the rest of an expression.
                let arg = if *kind == SourceKind::Expression { format!("{word} {arg}") } else { arg };
                side.place = self.place(*kind, &arg, value.span(), site);
            } else if word == site.access {
                side.access = self.boolean(value, word);
            } else if word == "why" {
                side.why = self.string(value, word);
            }
        }
        side
    }

    /// Checks the argument of a source as far as its form goes.
    fn place(&mut self, kind: SourceKind, arg: &str, span: Range<usize>, site: Site) -> Option<Place> {
        if let Some(reason) = self.place_problem(kind, arg, site) {
            self.wrong(span, reason);
            return None;
        }
        Some(Place::At(kind, arg.to_string()))
    }

    fn place_problem(&self, kind: SourceKind, arg: &str, site: Site) -> Option<String> {
        if arg.len() > MAX_TEXT {
            return Some(format!("a source longer than {MAX_TEXT} bytes"));
        }
        let word = match kind {
            SourceKind::Expression => arg.split(' ').next().unwrap_or(""),
            _ => SOURCES.iter().find(|s| s.1 == kind).map_or("", |s| s.0),
        };
        match site.table {
            Some(false) if !matches!(kind, SourceKind::Native | SourceKind::Exec) => {
                return Some(format!(
                    "`{word}` is for parameters and tables; an object's row is native or exec"
                ));
            }
            _ => {}
        }
        match kind {
            SourceKind::Const | SourceKind::Store => return None,
            SourceKind::Expression => {
                let judged = match site.table {
                    Some(_) => expression::judge_table(arg, site.depth),
                    None => expression::judge(arg, site.depth),
                };
                return judged.err();
            }
            SourceKind::Native if self.options.overlay => {
                return Some("an overlay cannot name a native provider".into());
            }
            SourceKind::Native => {
                let known = self.options.natives.contains(&arg);
                return (!known)
                    .then(|| format!("`{arg}` is no native provider (handlers/natives.rs lists them)"));
            }
            _ => {}
        }
        if arg.trim().is_empty() {
            return Some(format!("`{word}` without an argument"));
        }
        if kind == SourceKind::File && !arg.starts_with('/') {
            return Some("a file is named by a path from the root".into());
        }
        if kind == SourceKind::File && site.table == Some(true) && arg.matches('*').count() != 1 {
            return Some("a table's file names its instances by one `*`".into());
        }
        for (place, number) in placeholders(arg) {
            if number.is_none_or(|n| n == 0 || n > site.depth) {
                return Some(match site.depth {
                    0 => format!("`{place}` speaks of an instance, and there is none here"),
                    depth => format!("`{place}` is not within {{1}} to {{{depth}}}"),
                });
            }
        }
        None
    }

    fn patterns(&mut self, kind: &mut KindSpec, value: &Spanned<DeValue<'_>>, name: &str) {
        if !kind.is_text() {
            self.wrong(value.span(), format!("`pattern` is for strings, and {name} is none"));
            return;
        }
        for text in self.strings(value, "pattern") {
            match forms::judge_pattern(&text) {
                Ok(()) => kind.patterns.push(text),
                Err(why) => self.wrong(value.span(), format!("pattern of {name}: {why}")),
            }
        }
    }

    fn string(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if text.len() <= MAX_TEXT => Some(text.to_string()),
            Some(_) => {
                self.wrong(value.span(), format!("`{key}` is longer than {MAX_TEXT} bytes"));
                None
            }
            None => {
                self.wrong(
                    value.span(),
                    format!("`{key}` is text in quotes, not {}", value.get_ref().type_str()),
                );
                None
            }
        }
    }

    fn strings(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Vec<String> {
        match value.get_ref().as_array() {
            Some(list) => list.iter().filter_map(|v| self.string(v, key)).collect(),
            None => self.string(value, key).into_iter().collect(),
        }
    }

    fn boolean(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value.span(), format!("`{key}` is true or false, not {}", value.get_ref().type_str()));
        }
        found
    }
}

/// Whether a key speaks of source and access, and so is read by `sides`.
fn is_side_key(word: &str, access: &str) -> bool {
    word == access
        || word == "why"
        || PLATFORM_NAMES.contains(&word)
        || SOURCES.iter().any(|(n, _)| *n == word)
}

fn places(sides: &[Side; 1 + PLATFORMS]) -> [Place; PLATFORMS] {
    let [general, own @ ..] = sides;
    own.each_ref().map(|side| side.place.clone().or(general.place.clone()).unwrap_or(Place::Unsaid))
}

fn access(sides: &[Side; 1 + PLATFORMS]) -> [bool; PLATFORMS] {
    let [general, own @ ..] = sides;
    own.each_ref().map(|side| side.access.or(general.access).unwrap_or(false))
}

fn whys(sides: &[Side; 1 + PLATFORMS]) -> [Option<String>; PLATFORMS] {
    let [general, own @ ..] = sides;
    own.each_ref().map(|side| side.why.clone().or(general.why.clone()))
}

/// `0..8`, `..8`, `8..`.
fn items(text: &str) -> Option<(u16, u16)> {
    let (min, max) = text.split_once("..")?;
    let number = |t: &str, open| {
        if t.is_empty() { Some(open) } else { t.parse().ok() }
    };
    let range = (number(min.trim(), 0)?, number(max.trim(), u16::MAX)?);
    (range.0 <= range.1).then_some(range)
}

/// `{1}` and `{#1}` in an argument, with their numbers.
fn placeholders(arg: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
    arg.match_indices('{').filter_map(|(from, _)| {
        let to = from + arg[from..].find('}')?;
        let inside = &arg[from + 1..to];
        let digits = inside.strip_prefix('#').unwrap_or(inside);
        let is_place = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_place.then(|| (&arg[from..=to], digits.parse().ok()))
    })
}

/// A name of TR-106: a letter, then letters, digits, `_` and `-`.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The length of a path with the longest instance numbers: what is listed must be readable.
fn longest(path: &str) -> usize {
    path.len() + path.matches("{i}").count() * ("4294967295".len() - "{i}".len())
}

/// Whether a text has the form of an object's path: `Device.IP.Interface.{i}.`.
pub(super) fn path_form(path: &str) -> Result<(), String> {
    if longest(path) > MAX_PATH {
        return Err(format!("longer than {MAX_PATH} bytes"));
    }
    let Some(body) = path.strip_suffix('.') else {
        return Err("a path ends with a dot".into());
    };
    let mut after_name = false;
    for (i, word) in body.split('.').enumerate() {
        if i == 0 && word != "Device" {
            return Err("a path begins with Device.".into());
        }
        if word == "{i}" {
            if !after_name || i == 1 {
                return Err("{i} stands behind a table's name".into());
            }
            after_name = false;
        } else if is_name(word) {
            after_name = true;
        } else {
            return Err(format!("`{word}` is no name"));
        }
    }
    Ok(())
}
