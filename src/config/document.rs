//! The file as tables with places, whichever form it has.
//!
//! A file of UCI is the same tables: a section is the table of its type, an option a key, a list an array; the
//! options of a section of type `cwmpd` are what TOML has before its first table.

use super::reader::Section;
use super::{Error, line_at};
use crate::model::schema::Platform;
use crate::sys::uci::{self, Said};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Where the file lies when nobody says; where it does not, OpenWrt's is taken.
const TOML_FILE: &str = "/etc/cwmpd/cwmpd.toml";
const UCI_FILE: &str = "/etc/config/cwmpd";
/// The type of the section whose options stand in no table.
const GENERAL: &str = "cwmpd";

/// The file that is meant when nobody names one: `/etc/cwmpd/cwmpd.toml`, or UCI's where only that is there.
pub fn default_file() -> PathBuf {
    let uci = !Path::new(TOML_FILE).exists() && Path::new(UCI_FILE).exists();
    PathBuf::from(if uci { UCI_FILE } else { TOML_FILE })
}

/// A file that was read.
pub(super) struct Document<'i> {
    table: DeTable<'i>,
    uci: bool,
}

impl<'i> Document<'i> {
    /// Reads a text; `file` is cited in errors.
    ///
    /// # Errors
    /// It is not of its form.
    pub fn parse(text: &'i str, file: &Path) -> Result<Document<'i>, Error> {
        let error = |line, reason| Error { file: file.to_path_buf(), line, reason };
        if is_uci(text, file) {
            // A file's bytes may stand elsewhere than below a root: the name of the report is this one's.
            let said = uci::said("", text.into())
                .map_err(|problem| error((problem.line > 0).then_some(problem.line), problem.text.into()))?;
            let table = table(said).map_err(|(at, reason)| error(Some(line_at(text, at)), reason))?;
            return Ok(Document { table, uci: true });
        }
        let table = DeTable::parse(text).map_err(|e| {
            let line = e.span().map(|s| line_at(text, s.start));
            error(line, e.message().lines().collect::<Vec<_>>().join(" "))
        })?;
        Ok(Document { table: table.into_inner(), uci: false })
    }

    /// The platform of those who have such a file and do not say.
    pub fn platform(&self) -> Platform {
        if self.uci { Platform::OpenWrt } else { Platform::Linux }
    }

    /// What stands in no table, and the tables.
    pub fn top(&self) -> Section<'_, 'i> {
        Section::new(&self.table, self.uci)
    }

    /// Where `table.key` or `key` is given, bytes from the beginning; `None` when it is not.
    pub fn at(&self, key: &str) -> Option<usize> {
        let name = |table: &DeTable<'_>, word: &str| {
            table.keys().find(|k| k.get_ref().as_ref() == word).map(|k| k.span().start)
        };
        match key.split_once('.') {
            None => name(&self.table, key),
            Some((first, rest)) => name(self.table.get(first)?.get_ref().as_table()?, rest),
        }
    }
}

/// Whether a text is UCI: its first word is one that nothing in TOML begins with. Where it has none, its folder
/// says so.
fn is_uci(text: &str, file: &Path) -> bool {
    let mut lines =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = lines.next() else {
        return file.parent().is_some_and(|folder| folder.ends_with("config"));
    };
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    matches!(word, "config" | "package" | "c" | "p") && !rest.trim_start().starts_with(['=', '.'])
}

/// The tables that a file of UCI makes; what is wrong, and where.
fn table(said: Vec<Said>) -> Result<DeTable<'static>, (usize, String)> {
    let mut top = DeTable::new();
    let mut sections: Vec<(String, usize)> = Vec::new();
    for said in said {
        match sections.iter().find(|(kind, _)| *kind == said.kind) {
            Some((kind, section)) if *section != said.section => {
                return Err((said.at, format!("a second section of type `{kind}`")));
            }
            Some(_) => {}
            None => sections.push((said.kind.clone(), said.section)),
        }
        let at = said.at..said.at;
        let into = if said.kind == GENERAL {
            &mut top
        } else {
            let key = Spanned::new(at.clone(), said.kind.clone().into());
            let made = || Spanned::new(at.clone(), DeValue::Table(DeTable::new()));
            match top.entry(key).or_insert_with(made).get_mut() {
                DeValue::Table(table) => table,
                _ => return Err((said.at, format!("`{}` is a section, and no option", said.kind))),
            }
        };
        if !said.option.is_empty() {
            put(into, said)?;
        }
    }
    Ok(top)
}

/// An option takes the place of what was said before, an item comes behind it; an empty option says nothing.
fn put(table: &mut DeTable<'static>, said: Said) -> Result<(), (usize, String)> {
    if said.value.is_empty() && !said.list {
        return Ok(());
    }
    let span = said.at..said.at;
    let value = Spanned::new(span.clone(), DeValue::String(said.value.into()));
    let (key, held) = match table.remove_entry(said.option.as_str()) {
        Some((_, held)) if held.get_ref().is_table() => {
            return Err((said.at, format!("`{}` is a section, and no option", said.option)));
        }
        Some((key, held)) if said.list => (key, Some(held)),
        _ => (Spanned::new(span.clone(), said.option.into()), None),
    };
    let value = if !said.list {
        value
    } else {
        let (mut items, span) = match held {
            Some(held) => match (held.span(), held.into_inner()) {
                (span, DeValue::Array(items)) => (items, span),
                (span, one) => {
                    let mut items = DeArray::new();
                    items.push(Spanned::new(span.clone(), one));
                    (items, span)
                }
            },
            None => (DeArray::new(), span),
        };
        items.push(value);
        Spanned::new(span, DeValue::Array(items))
    };
    table.insert(key, value);
    Ok(())
}
