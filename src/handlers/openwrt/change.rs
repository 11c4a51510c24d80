//! What a change of a row with expressions means for packages.

use super::filters::{self, Written, flag};
use super::plan::Plan;
use super::sources::Sources;
use super::values::{Eyes, Ready, fits, uci_field};
use crate::model::fault::Code;
use crate::model::grammar::expression::{
    Extra, Filter, Place, Section, Sections, Table, Test, Uci, alternatives, table,
};
use crate::model::handler::{Ctx, Failure, Row, Set};
use crate::model::kind::forms::items;
use crate::model::schema::{Base, Param};
use crate::sys::crc::Crc;
use crate::sys::uci::{Edit, Held, Package};

fn denied(why: &str) -> Failure {
    Failure { code: Code::REQUEST_DENIED, text: why.to_owned() }
}

/// The edits that set a value.
///
/// # Errors
/// 9005 for a row that is gone, 9007 for a value that its place cannot hold, 9001 for a place that is not
/// there.
pub fn set(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, set: &Set<'_>) -> Result<Plan, Failure> {
    let mut eyes = Eyes { sources, ctx, row, own: "" };
    let place = alternatives(set.arg).flatten().find_map(|one| match one.place {
        Place::Uci(uci) => Some((uci, one.filters)),
        _ => None,
    });
    let Some((uci, filters)) = place else {
        return Err(denied("read only on this platform"));
    };
    let written = written(&mut eyes, set, filters.iter().flatten().collect())?;
    let package = match eyes.sources.package(ctx, uci.package)? {
        Some(package) => package,
        None => return Err(denied(&format!("/etc/config/{} is not there", uci.package))),
    };
    let mut plan = Vec::new();
    let section = target(&mut eyes, &package, &uci, &mut plan)?;
    let held = package.section(&section).and_then(|s| s.held(uci.option));
    let option = uci.option.to_owned();
    let edit = match written {
        Written::Nothing => Edit::Unset { section, option },
        Written::Items(items) => Edit::List { section, option, items },
        Written::Item(item, true) => Edit::AddItem { section, option, item },
        Written::Item(item, false) => Edit::RemoveItem { section, option, item },
        Written::Text(value) => match held {
            // Another word of the same truth is no change.
            Some(Held::One(old))
                if set.param.kind().row.base == Base::Boolean
                    && flag(old).is_some()
                    && flag(old) == flag(&value) =>
            {
                Edit::Set { section, option, value: old.clone() }
            }
            // Read is the first of them.
            Some(Held::Many(items)) if !items.is_empty() => {
                let mut items = items.clone();
                items[0] = value; // there is one
                Edit::List { section, option, items }
            }
            _ => Edit::Set { section, option, value },
        },
    };
    plan.push((uci.package.to_owned(), edit));
    Ok(plan)
}

/// A value as its place has it.
fn written(eyes: &mut Eyes<'_, '_>, set: &Set<'_>, filters: Vec<Filter<'_>>) -> Result<Written, Failure> {
    let kind = set.param.kind().row;
    let mut written = match set.value {
        "" => Written::Nothing,
        value if kind.list => Written::Items(items(value).map(|i| i.into_owned()).collect()),
        value => Written::Text(value.to_owned()),
    };
    let gone = || denied("what it depends on has no value");
    for filter in filters.into_iter().rev() {
        written = match filter {
            Filter::Ref(words) => referred(eyes, set, words)?,
            Filter::Has(text) => {
                let text = eyes.text(text).ok_or_else(gone)?;
                filters::write(Filter::Has(&text), written)?
            }
            Filter::Is(yes, no) => {
                let (yes, no) = (eyes.text(yes).ok_or_else(gone)?, eyes.text(no).ok_or_else(gone)?);
                filters::write(Filter::Is(&yes, &no), written)?
            }
            filter => filters::write(filter, written)?,
        };
    }
    Ok(match written {
        Written::Text(text) if text.is_empty() => Written::Nothing,
        Written::Text(text) if kind.base == Base::Boolean && !kind.list => match text.as_str() {
            "true" => Written::Text("1".to_owned()),
            "false" => Written::Text("0".to_owned()),
            _ => Written::Text(text),
        },
        written => written,
    })
}

/// The key of the row that is referred to; of a list the keys.
fn referred(eyes: &mut Eyes<'_, '_>, set: &Set<'_>, words: &str) -> Result<Written, Failure> {
    if set.value.is_empty() {
        return Ok(Written::Nothing);
    }
    let not_here = || Failure {
        code: Code::INVALID_VALUE,
        text: "a row of this table cannot be referred to here".to_owned(),
    };
    let (_, outer) = eyes.reference(words).ok_or_else(not_here)?;
    let keys = set.refers.ok_or_else(not_here)?;
    let mut last = Vec::new();
    for keys in keys.chunks(outer.len() + 1) {
        match keys.split_last() {
            Some((key, rest)) if rest == outer => last.push(key.clone()),
            _ => return Err(not_here()),
        }
    }
    match set.param.kind().row.list {
        true => Ok(Written::Items(last)),
        false => last.pop().map(Written::Text).ok_or_else(not_here),
    }
}

/// The key of the section that is written; edits that make it when it is not there.
fn target(
    eyes: &mut Eyes<'_, '_>,
    package: &Package,
    uci: &Uci<'_>,
    plan: &mut Plan,
) -> Result<String, Failure> {
    let gone = || Failure { code: Code::INVALID_NAME, text: "its section is gone".to_owned() };
    if let Section::Key(text, kind) = uci.section {
        let key = eyes.text(text).ok_or_else(gone)?.into_owned();
        if package.section(&key).is_some() || eyes.sources.is_gathered(uci.package, &key) {
            return Ok(key);
        }
        if kind.is_empty() {
            return Err(if text.contains('{') { gone() } else { denied("there is no such section") });
        }
        plan.push((uci.package.to_owned(), Edit::Make { kind: kind.to_owned(), name: key.clone() }));
        return Ok(key);
    }
    if let Some(section) = eyes.section(package, uci.section) {
        return Ok(section.key().into_owned());
    }
    let Section::First(kind, conditions) = uci.section else {
        return Err(denied("there is no such section"));
    };
    let tests = eyes.tests(conditions).ok_or_else(gone)?;
    let name = name_of(package, kind, &tests);
    plan.push((uci.package.to_owned(), Edit::Make { kind: kind.to_owned(), name: name.clone() }));
    plan.extend(meet(&name, &tests).map(|edit| (uci.package.to_owned(), edit)));
    Ok(name)
}

/// Edits that make a new section fit conditions.
fn meet<'t>(section: &'t str, tests: &'t [Ready<'_>]) -> impl Iterator<Item = Edit> {
    tests.iter().filter(|t| !t.condition.not && !t.condition.name.starts_with('.')).filter_map(move |t| {
        let (section, option) = (section.to_owned(), t.condition.name.to_owned());
        let value = t.values.first()?.clone();
        match t.condition.test {
            Test::There => None,
            Test::Is => Some(Edit::Set { section, option, value }),
            Test::Has => Some(Edit::List { section, option, items: vec![value] }),
        }
    })
}

/// The name of a section that has to be there for a value: the same whenever it is asked for, so that the
/// undo of one that is yet to be made knows it.
fn name_of(package: &Package, kind: &str, tests: &[Ready<'_>]) -> String {
    let mut crc = Crc::default();
    for test in tests {
        crc.update(test.condition.name.as_bytes());
        test.values.first().inspect(|value| crc.update(value.as_bytes()));
    }
    let start = format!("cwmpd_{}_{:06x}", in_name(kind), crc.value() & 0x00ff_ffff);
    free(package, &start, "")
}

/// A type as a piece of a name, which has no hyphens.
fn in_name(kind: &str) -> String {
    kind.replace('-', "_")
}

/// A name that no section has.
fn free(package: &Package, start: &str, number: &str) -> String {
    let mut name = format!("{start}{number}");
    let mut again = 1_u32;
    while package.section(&name).is_some() {
        again += 1;
        name = format!("{start}{number}_{again}");
    }
    name
}

fn sections<'a>(row: &Row<'a>) -> Result<Sections<'a>, Failure> {
    match table(row.arg) {
        Ok(Table::Sections(sections)) => Ok(sections),
        _ => Err(denied("rows of this table come and go by themselves")),
    }
}

/// The key of a row that is added: the name of a section that never was.
///
/// # Errors
/// 9001 where there is no package.
pub fn key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let sections = sections(row)?;
    let Some(package) = sources.package(ctx, sections.package)? else {
        return Err(denied(&format!("/etc/config/{} is not there", sections.package)));
    };
    let start = sections.extras().flatten().find_map(|extra| match extra {
        Extra::Name(start) => Some(start.to_owned()),
        _ => None,
    });
    let start = start.unwrap_or_else(|| format!("cwmpd_{}_", in_name(sections.kind)));
    let number = number.to_string();
    let mut name = free(&package, &start, &number);
    // Another table with sections of the type may have given the name in this transaction.
    while !sources.give(sections.package, &name, row.object.id) {
        name.push('b');
    }
    Ok(name)
}

/// The edits that make a row.
///
/// # Errors
/// 9001: something that it is to be made with has no value.
pub fn add(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Result<Plan, Failure> {
    let sections = sections(row)?;
    let name = row.key();
    let mut eyes = Eyes { sources, ctx, row, own: name };
    let gone = || denied("what the row lies in has no value");
    let mut edits = vec![Edit::Make { kind: sections.kind.to_owned(), name: name.to_owned() }];
    let tests = eyes.tests(sections.conditions).ok_or_else(gone)?;
    edits.extend(meet(name, &tests));
    for extra in sections.extras().flatten() {
        let Extra::New(options) = extra else { continue };
        for (option, value) in options.split_ascii_whitespace().filter_map(|o| o.split_once('=')) {
            let value = eyes.text(value).ok_or_else(gone)?.into_owned();
            edits.push(Edit::Set { section: name.to_owned(), option: option.to_owned(), value });
        }
    }
    Ok(edits.into_iter().map(|edit| (sections.package.to_owned(), edit)).collect())
}

/// The edits that take a row away, with what depends on it.
///
/// # Errors
/// A package that what depends on it may be in cannot be read.
pub fn delete(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Result<Plan, Failure> {
    let sections = sections(row)?;
    let own = row.key();
    let mut plan: Plan = Vec::new();
    for extra in sections.extras().flatten() {
        let mut eyes = Eyes { sources, ctx, row, own };
        match extra {
            Extra::With(name, kind, conditions) => {
                let Some(package) = eyes.sources.package(ctx, name)? else { continue };
                let Some(tests) = eyes.tests(conditions) else { continue };
                let found = package.of_kind(kind).filter(|s| fits(&tests, &uci_field(s)));
                plan.extend(found.map(|s| (name.to_owned(), Edit::Drop { section: s.key().into_owned() })));
            }
            Extra::From(uci) => {
                let Some(package) = eyes.sources.package(ctx, uci.package)? else { continue };
                let found: Vec<_> = match uci.section {
                    Section::All(kind, conditions) => {
                        let Some(tests) = eyes.tests(conditions) else { continue };
                        package.of_kind(kind).filter(|s| fits(&tests, &uci_field(s))).collect()
                    }
                    section => eyes.section(&package, section).into_iter().collect(),
                };
                for section in found.into_iter().filter(|s| s.words(uci.option).contains(&own)) {
                    let (section, option) = (section.key().into_owned(), uci.option.to_owned());
                    let edit = Edit::RemoveItem { section, option, item: own.to_owned() };
                    plan.push((uci.package.to_owned(), edit));
                }
            }
            Extra::New(_) | Extra::Name(_) => {}
        }
    }
    plan.push((sections.package.to_owned(), Edit::Drop { section: own.to_owned() }));
    Ok(plan)
}

/// A value from the words of UCI.
pub fn shown<'a>(param: Param<'_>, text: &'a str) -> &'a str {
    match (param.kind().row.base, flag(text)) {
        (Base::Boolean, Some(true)) => "true",
        (Base::Boolean, Some(false)) => "false",
        _ => text,
    }
}
