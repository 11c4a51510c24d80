//! Values by expression: an expression of the data model, or of a native provider, read for one row.

use super::filters::{self, Found};
use super::sources::Sources;
use crate::model::grammar::expression::{
    Alternative, Call, Condition, Filter, Piece, Place, Section, Step, Table, Test, Uci, alternative,
    alternatives, conditions, pieces, steps, table,
};
use crate::model::handler::{Ctx, Keys, Row};
use crate::model::kind::forms::percent_decoded;
use crate::sys::host;
use crate::sys::ubus::Value;
use crate::sys::uci::{self, Held, Package};
use std::borrow::Cow;
use std::rc::Rc;

/// The most bytes of a file that are a value.
const MAX_FILE: u64 = 64 * 1024;

/// What an expression gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// The texts.
    pub found: Found,
    /// Tables and outer keys, when the texts are keys of rows (`ref`).
    pub refers: Option<(Vec<String>, Vec<String>)>,
}

/// What an expression gives in a row; `None` when no place has a value.
pub fn read(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, expression: &str) -> Option<Given> {
    Eyes { sources, ctx, row, own: "" }.expression(expression)
}

/// The first text that an expression gives.
pub fn text(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, expression: &str) -> Option<String> {
    read(sources, ctx, row, expression)?.found.first().map(str::to_owned)
}

/// The keys of a table with this source.
pub fn keys(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, expression: &str, out: &mut Keys) {
    let mut eyes = Eyes { sources, ctx, row, own: "" };
    match table(expression) {
        Ok(Table::Sections(sections)) => {
            let Some(package) = eyes.sources.readable(ctx, sections.package) else {
                return;
            };
            let Some(tests) = eyes.tests(sections.conditions) else { return };
            out.extend(
                package.of_kind(sections.kind).filter(|s| fits(&tests, &uci_field(s))).map(|s| s.key()),
            );
        }
        Ok(Table::Values(one)) => {
            if let Some(given) = eyes.alternative(&one) {
                let mut seen: Vec<&str> = Vec::new();
                for key in given.found.items() {
                    if !seen.contains(&key.as_str()) {
                        out.push(key);
                        seen.push(key);
                    }
                }
            }
        }
        Err(_) => {}
    }
}

/// One row's view of the sources.
pub(super) struct Eyes<'s, 'c> {
    pub sources: &'s mut Sources,
    pub ctx: &'c Ctx<'c>,
    pub row: &'c Row<'c>,
    /// What `$` stands for.
    pub own: &'c str,
}

/// A condition with its texts put in: one of these values must fit.
pub(super) struct Ready<'t> {
    pub condition: Condition<'t>,
    pub values: Vec<String>,
}

/// What conditions ask of a section or an entry: the texts of an option or field.
pub(super) fn fits(tests: &[Ready<'_>], field: &dyn Fn(&str) -> Vec<String>) -> bool {
    tests.iter().all(|Ready { condition, values }| {
        let held = field(condition.name);
        let holds = match condition.test {
            Test::There => !held.is_empty(),
            Test::Is if held.is_empty() => values.iter().any(String::is_empty),
            Test::Is => held.first().is_some_and(|h| values.contains(h)),
            Test::Has => {
                held.iter().flat_map(|h| h.split_ascii_whitespace()).any(|w| values.iter().any(|v| v == w))
            }
        };
        holds != condition.not
    })
}

/// The options of a section, for conditions.
pub(super) fn uci_field<'a>(section: &'a uci::Section<'_>) -> impl Fn(&str) -> Vec<String> + 'a {
    |name| match name {
        ".name" => vec![section.id().to_owned()],
        ".type" => vec![section.kind().to_owned()],
        name => section.items(name).into_iter().map(str::to_owned).collect(),
    }
}

/// A step with its texts put in.
enum Ground<'t> {
    Name(Cow<'t, str>),
    Each,
    At(i32),
    Where(Vec<Ready<'t>>),
    Key,
}

impl Eyes<'_, '_> {
    /// See [`read`].
    pub fn expression(&mut self, text: &str) -> Option<Given> {
        alternatives(text).flatten().find_map(|one| self.alternative(&one))
    }

    /// What one alternative gives.
    pub fn alternative(&mut self, one: &Alternative<'_>) -> Option<Given> {
        let mut found = match one.place {
            Place::Uci(uci) => self.uci(&uci),
            Place::Ubus(call) => self.ubus(&call),
            Place::File(path) => self.file(path),
            Place::Const(value) => self.text(value).map(|text| Found::One(text.into_owned())),
        };
        let mut refers = None;
        for filter in one.filters.iter().flatten() {
            let (first, second);
            let filter = match filter {
                Filter::Default(text) => {
                    first = self.text(text)?;
                    Filter::Default(&first)
                }
                Filter::Has(text) => {
                    first = self.text(text)?;
                    Filter::Has(&first)
                }
                Filter::Is(yes, no) => {
                    (first, second) = (self.text(yes)?, self.text(no)?);
                    Filter::Is(&first, &second)
                }
                Filter::Ref(words) => {
                    refers = Some(self.reference(words)?);
                    continue;
                }
                filter => filter,
            };
            let root = self.ctx.root;
            found = filters::read(filter, found, &|| host::now(root));
        }
        Some(Given { found: found?, refers })
    }

    /// The tables and the outer keys of `ref`.
    pub fn reference(&mut self, words: &str) -> Option<(Vec<String>, Vec<String>)> {
        let (mut objects, mut keys) = (Vec::new(), Vec::new());
        for word in words.split_ascii_whitespace() {
            match word.starts_with("Device.") {
                true => objects.push(word.to_owned()),
                false => keys.push(self.text(word)?.into_owned()),
            }
        }
        Some((objects, keys))
    }

    /// A text with keys and values put in; `None` when one of them has none.
    pub fn text<'t>(&mut self, text: &'t str) -> Option<Cow<'t, str>> {
        if !text.contains(['{', '(', '$']) {
            return Some(percent_decoded(text));
        }
        let mut all = String::with_capacity(text.len() + 16);
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => all.push_str(&percent_decoded(text)),
                Piece::Key(at) => all.push_str(self.row.keys.get(at)?),
                Piece::Number(at) => all.push_str(&self.row.numbers.get(at)?.to_string()),
                Piece::Own => all.push_str(self.own),
                Piece::Value(inner) => {
                    let inner = alternative(inner).ok()?;
                    all.push_str(self.alternative(&inner)?.found.first()?);
                }
            }
        }
        Some(all.into())
    }

    /// Conditions with their texts put in.
    pub fn tests<'t>(&mut self, text: &'t str) -> Option<Vec<Ready<'t>>> {
        let mut tests = Vec::new();
        for condition in conditions(text) {
            let mut values = Vec::new();
            for value in condition.values().filter(|_| condition.test != Test::There) {
                values.push(self.text(value)?.into_owned());
            }
            tests.push(Ready { condition, values });
        }
        Some(tests)
    }

    fn uci(&mut self, uci: &Uci<'_>) -> Option<Found> {
        let package = self.sources.readable(self.ctx, uci.package)?;
        if let Section::All(kind, conditions) = uci.section {
            let tests = self.tests(conditions)?;
            let all = package.of_kind(kind).filter(|s| fits(&tests, &uci_field(s)));
            let items: Vec<String> = all.flat_map(|s| uci_field(&s)(uci.option)).collect();
            return (!items.is_empty()).then_some(Found::Many(items));
        }
        let section = self.section(&package, uci.section)?;
        match uci.option {
            ".name" => Some(Found::One(section.id().to_owned())),
            ".type" => Some(Found::One(section.kind().to_owned())),
            option => section.held(option).map(|held| match held {
                Held::One(value) => Found::One(value.clone()),
                Held::Many(values) => Found::Many(values.clone()),
            }),
        }
    }

    /// The section that is meant, if it is there.
    pub fn section<'p>(&mut self, package: &'p Package, section: Section<'_>) -> Option<uci::Section<'p>> {
        match section {
            Section::Key(text, _) => package.section(&self.text(text)?),
            Section::Nth(kind, n) if n < 0 => {
                let all: Vec<_> = package.of_kind(kind).collect();
                all.get(all.len().checked_sub(n.unsigned_abs() as usize)?).copied()
            }
            Section::Nth(kind, n) => package.of_kind(kind).nth(n as usize),
            Section::First(kind, conditions) | Section::All(kind, conditions) => {
                let tests = self.tests(conditions)?;
                package.of_kind(kind).find(|s| fits(&tests, &uci_field(s)))
            }
        }
    }

    fn file(&mut self, path: &str) -> Option<Found> {
        let path = self.text(path)?;
        if path.split('/').any(|word| word == "..") {
            return None;
        }
        let bytes = host::read_bytes(self.ctx.root, &path, MAX_FILE).ok()?;
        Some(Found::One(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned()))
    }

    fn ubus(&mut self, call: &Call<'_>) -> Option<Found> {
        let object = self.text(call.object)?;
        let mut arguments = Vec::new();
        for (name, value) in call.arguments() {
            arguments.push((name, self.text(value)?));
        }
        let mut ground = Vec::new();
        for step in steps(call.path) {
            ground.push(match step {
                Step::Name(text) => Ground::Name(self.text(text)?),
                Step::Each => Ground::Each,
                Step::At(n) => Ground::At(n),
                Step::Where(text) => Ground::Where(self.tests(text)?),
                Step::Key => Ground::Key,
            });
        }
        let args: Vec<(&str, &str)> = arguments.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let answer = self.sources.answer(self.ctx, &object, call.method, &args)?;
        let answer = Rc::clone(&answer);
        let mut walk = Walk { items: Vec::new(), many: false };
        walk.go(answer.root(), "", &ground);
        let Walk { mut items, many } = walk;
        match items.len() {
            0 => None,
            1 if !many => items.pop().map(Found::One),
            _ => Some(Found::Many(items)),
        }
    }
}

/// A walk along a path.
struct Walk {
    items: Vec<String>,
    /// More than one value can be at its end.
    many: bool,
}

impl Walk {
    fn go(&mut self, value: Value<'_>, key: &str, path: &[Ground<'_>]) {
        let Some((step, rest)) = path.split_first() else {
            return self.end(value);
        };
        match step {
            Ground::Name(name) => {
                if let Some((name, field)) =
                    value.fields().filter(|_| value.is_table()).find(|(n, _)| n == name)
                {
                    self.go(field, name, rest);
                }
            }
            Ground::Each => {
                self.many = true;
                value.fields().for_each(|(name, field)| self.go(field, name, rest));
            }
            Ground::At(n) => {
                let at = match n {
                    0.. => Some(*n as usize),
                    _ => value.fields().count().checked_sub(n.unsigned_abs() as usize),
                };
                if let Some(field) = at.and_then(|at| value.at(at)) {
                    self.go(field, "", rest);
                }
            }
            Ground::Where(tests) => {
                for (name, field) in
                    value.fields().filter(|(name, field)| fits(tests, &field_of(name, *field)))
                {
                    // Conditions mostly mean one entry: several make it a list.
                    self.many |= !self.items.is_empty();
                    self.go(field, name, rest);
                }
            }
            Ground::Key => self.items.push(key.to_owned()),
        }
    }

    fn end(&mut self, value: Value<'_>) {
        if value.is_table() || value.is_array() {
            self.many = true;
            self.items.extend(value.fields().map(|(_, field)| scalar(field).unwrap_or_default()));
        } else {
            self.items.extend(scalar(value));
        }
    }
}

/// The fields of an entry, for conditions.
fn field_of<'a>(name: &'a str, value: Value<'a>) -> impl Fn(&str) -> Vec<String> + 'a {
    move |wanted| match wanted {
        "@key" => vec![name.to_owned()],
        wanted => match value.get(wanted) {
            Some(field) if field.is_array() => field.fields().filter_map(|(_, one)| scalar(one)).collect(),
            // A table is there, whatever is in it.
            Some(field) if field.is_table() => vec![String::new()],
            Some(field) => scalar(field).into_iter().collect(),
            None => Vec::new(),
        },
    }
}

/// A scalar as text.
fn scalar(value: Value<'_>) -> Option<String> {
    match value.text() {
        Some(text) => Some(text.to_owned()),
        None if value.is_flag() => value.flag().map(|f| if f { "true" } else { "false" }.to_owned()),
        None if value.is_table() || value.is_array() => None,
        None => Some(value.show().to_string()).filter(|text| !text.is_empty()),
    }
}
