//! Whether a text is an expression: asked once, when rows are read, so that nobody asks at run time.

use super::{
    Alternative, Call, Extra, Filter, MAX_ARGUMENTS, MAX_FILTERS, MAX_NESTED, Piece, Place, Section, Step,
    Table, Test, Wrong, alternative, alternatives, conditions, is_name, pieces, steps, table,
};

/// Judges the expression of a parameter below `depth` tables.
///
/// # Errors
/// What is wrong with it.
pub fn judge(text: &str, depth: usize) -> Result<(), String> {
    let judge = Judge { depth, own: false, nested: 0 };
    alternatives(text).try_for_each(|one| judge.alternative(&one.map_err(say)?))
}

/// Judges whether a parameter with this expression can be written: its first `uci` place is.
///
/// # Errors
/// Why not.
pub fn judge_write(text: &str) -> Result<(), String> {
    let mut all = alternatives(text).filter_map(Result::ok);
    let Some((uci, filters)) = all.find_map(|one| match one.place {
        Place::Uci(uci) => Some((uci, one.filters)),
        _ => None,
    }) else {
        return Err("nothing in it is written: there is no `uci`".into());
    };
    if uci.option.starts_with('.') {
        return Err(format!("`{}` of a section cannot be written", uci.option));
    }
    if matches!(uci.section, Section::All(..)) {
        return Err("one section is written, and this says all of them".into());
    }
    match filters.texts().find(|text| Filter::parse(text).is_ok_and(|f| !f.is_two_way())) {
        Some(filter) => Err(format!("`{filter}` works in one direction only, so this cannot be written")),
        None => Ok(()),
    }
}

/// Judges the source of a table that lies below `depth` others.///
/// # Errors
/// What is wrong with it.
pub fn judge_table(text: &str, depth: usize) -> Result<(), String> {
    let judge = Judge { depth, own: false, nested: 0 };
    let sections = match table(text).map_err(say)? {
        Table::Sections(sections) => sections,
        Table::Values(one) => return judge.alternative(&one),
    };
    judge.conditions(sections.conditions)?;
    let own = Judge { own: true, ..judge };
    for extra in sections.extras() {
        match extra.map_err(say)? {
            Extra::With(_, _, conditions) => own.conditions(conditions)?,
            Extra::From(uci) => own.section(uci.section)?,
            Extra::New(options) => {
                super::split(options, " ")
                    .try_for_each(|o| own.text(o.split_once('=').map_or("", |o| o.1)))?;
            }
            Extra::Name(_) => {}
        }
    }
    Ok(())
}

/// Whether rows can be added to a table with this source: its rows are sections.
pub fn can_grow(text: &str) -> bool {
    matches!(table(text), Ok(Table::Sections(_)))
}

fn say(wrong: Wrong<'_>) -> String {
    wrong.to_string()
}

/// What texts may speak of.
#[derive(Clone, Copy)]
struct Judge {
    depth: usize,
    own: bool,
    nested: usize,
}

impl Judge {
    fn alternative(self, one: &Alternative<'_>) -> Result<(), String> {
        match one.place {
            Place::Uci(uci) => self.section(uci.section)?,
            Place::Ubus(call) => self.call(&call)?,
            Place::File(text) | Place::Const(text) => self.text(text)?,
        }
        let mut count = 0;
        for filter in one.filters.iter() {
            count += 1;
            match filter.map_err(say)? {
                Filter::Default(text) | Filter::Has(text) => self.text(text)?,
                Filter::Is(one, other) => {
                    self.text(one)?;
                    self.text(other)?;
                }
                Filter::Ref(words) => self.reference(words)?,
                _ => {}
            }
        }
        if count > MAX_FILTERS {
            return Err(format!("more than {MAX_FILTERS} filters"));
        }
        Ok(())
    }

    fn reference(self, words: &str) -> Result<(), String> {
        let (objects, keys): (Vec<&str>, Vec<&str>) =
            words.split_ascii_whitespace().partition(|w| w.starts_with("Device."));
        if objects.is_empty() {
            return Err("`ref` names no table".into());
        }
        for object in objects {
            super::super::reader::path_form(object)
                .map_err(|why| format!("`{object}` is no object: {why}"))?;
            let depth = object.matches("{i}").count();
            if depth != keys.len() + 1 {
                return Err(format!(
                    "`{object}` has {depth} {{i}}, and keys are given for {}",
                    keys.len() + 1
                ));
            }
        }
        keys.into_iter().try_for_each(|key| self.text(key))
    }

    fn section(self, section: Section<'_>) -> Result<(), String> {
        match section {
            Section::Key(text, _) => self.text(text),
            Section::Nth(..) => Ok(()),
            Section::First(_, text) | Section::All(_, text) => self.conditions(text),
        }
    }

    fn call(self, call: &Call<'_>) -> Result<(), String> {
        self.text(call.object)?;
        if call.arguments().count() > MAX_ARGUMENTS {
            return Err(format!("more than {MAX_ARGUMENTS} arguments"));
        }
        for (name, value) in call.arguments() {
            if !is_name(name) {
                let said = if name.is_empty() { value } else { name };
                return Err(format!("`{said}` is no argument: NAME=VALUE"));
            }
            self.text(value)?;
        }
        let mut last = None;
        for step in steps(call.path) {
            match step {
                Step::Name(text) => self.text(text)?,
                Step::Where(text) => self.conditions(text)?,
                Step::Each | Step::At(_) | Step::Key => {}
            }
            if last == Some(Step::Key) {
                return Err("nothing is below `@key`".into());
            }
            last = Some(step);
        }
        if call.path.matches('[').count() != call.path.matches(']').count() || last.is_none() {
            return Err(format!("`{}` is no path", call.path));
        }
        Ok(())
    }

    fn conditions(self, text: &str) -> Result<(), String> {
        for condition in conditions(text) {
            let name = condition.name.strip_prefix(['.', '@']).unwrap_or(condition.name);
            if !is_name(name) {
                return Err(format!("`{}` is no name in a condition", condition.name));
            }
            if condition.test != Test::There {
                condition.values().try_for_each(|value| self.text(value))?;
            }
        }
        Ok(())
    }

    fn text(self, text: &str) -> Result<(), String> {
        for piece in pieces(text) {
            match piece {
                Piece::Key(at) | Piece::Number(at) if at >= self.depth => {
                    let place = at + 1;
                    return Err(match self.depth {
                        0 => format!("`{{{place}}}` speaks of an instance, and there is none here"),
                        depth => format!("`{{{place}}}` is not within {{1}} to {{{depth}}}"),
                    });
                }
                Piece::Own if !self.own => return Err("`$` is the key of a row that is deleted".into()),
                Piece::Value(_) if self.nested == MAX_NESTED => {
                    return Err(format!("parentheses deeper than {MAX_NESTED}"));
                }
                Piece::Value(inner) => {
                    let inner = alternative(inner).map_err(say)?;
                    Judge { nested: self.nested + 1, ..self }.alternative(&inner)?;
                }
                Piece::Text(text) if text.contains(['{', '(', ')']) => {
                    return Err(format!("`{text}` has a brace or parenthesis that does not close"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
