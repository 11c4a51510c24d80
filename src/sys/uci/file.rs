//! A file: its statements with their places, and the sections and options that they make.

use super::problem::{Cause, Problem};
use super::words::{Lines, Unended, Word};
use std::ops::Range;

/// The most bytes of a file, and of what is pending for it.
pub const MAX_FILE: u64 = 1 << 20;
/// The most sections of a package.
pub const MAX_SECTIONS: usize = 8192;
/// The most options of a section.
pub const MAX_OPTIONS: usize = 1024;
/// The most items of a list.
pub const MAX_ITEMS: usize = 8192;
/// The most bytes of a word: a value, a name, a type.
pub const MAX_VALUE: usize = 64 * 1024;

/// What an option holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// `option`
    One(String),
    /// `list`
    Many(Vec<String>),
}

/// A section, as it is after all statements.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Part {
    /// Its name; that which libuci makes up when it is anonymous.
    pub name: String,
    pub kind: String,
    pub anonymous: bool,
    pub options: Vec<(String, Held)>,
    /// Which section of the file it is; `None` when it is only pending.
    pub from: Option<usize>,
    /// Names of options that have a pending change; an empty one stands for the section itself.
    pub pending: Vec<String>,
}

impl Part {
    pub fn get(&self, option: &str) -> Option<&Held> {
        self.options.iter().find(|(name, _)| name == option).map(|(_, held)| held)
    }

    /// Puts a value in the place of the old one, or at the end; without a value the option goes.
    pub fn put(&mut self, option: &str, held: Option<Held>) {
        let at = self.options.iter().position(|(name, _)| name == option);
        match (at, held) {
            (Some(at), Some(held)) => self.options[at].1 = held,
            (None, Some(held)) => self.options.push((option.to_owned(), held)),
            (Some(at), None) => drop(self.options.remove(at)),
            (None, None) => {}
        }
    }

    /// Adds an item; an option becomes the first item of a list.
    pub fn add_item(&mut self, option: &str, item: String) {
        match self.options.iter_mut().find(|(name, _)| name == option) {
            Some((_, Held::Many(items))) => items.push(item),
            Some((_, held @ Held::One(_))) => {
                let old = std::mem::replace(held, Held::Many(Vec::new()));
                if let (Held::One(old), Held::Many(items)) = (old, held) {
                    items.extend([old, item]);
                }
            }
            None => self.options.push((option.to_owned(), Held::Many(vec![item]))),
        }
    }
}

/// What a statement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    Package,
    Config,
    Option,
    List,
}

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub act: Act,
    /// Index of the section that it makes or stands in.
    pub section: usize,
    /// Of a section its type, of an option its name.
    pub first: Word,
    /// Of a section its name, of an option its value; empty when there is none.
    pub second: Word,
    /// Where the keyword stands.
    pub keyword: Range<usize>,
    /// Where its line begins; statements with one of these share a line.
    pub line: usize,
}

impl Statement {
    /// From its keyword to the end of its last word.
    pub fn span(&self) -> Range<usize> {
        // A word that is not there may have been looked for on the next line.
        let last = if self.second.span.is_empty() { &self.first } else { &self.second };
        self.keyword.start..last.span.end
    }
}

/// A file that was read.
#[derive(Clone, Default, Debug)]
pub(super) struct File {
    pub bytes: Vec<u8>,
    pub statements: Vec<Statement>,
    pub parts: Vec<Part>,
}

/// What is wrong, and where.
type Wrong = (usize, &'static str);

impl File {
    /// Reads the bytes of a file; `name` is for the report.
    ///
    /// # Errors
    /// What libuci refuses, too, or a limit.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<File, Problem> {
        #[cfg(test)]
        super::tests::batching::count(|counts| counts.files += 1);
        let mut file = File { bytes, ..File::default() };
        file.read().map_err(|(at, text)| {
            let line = file.bytes.iter().take(at).filter(|b| **b == b'\n').count() + 1;
            Problem { cause: Cause::Broken, file: name.to_owned(), line, text: text.into() }
        })?;
        Ok(file)
    }

    fn read(&mut self) -> Result<(), Wrong> {
        if let Some(at) = self.bytes.iter().position(|b| *b == 0) {
            return Err((at, "a zero byte"));
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut lines = Lines::new(&bytes);
        let mut done = Ok(());
        while done.is_ok() && lines.advance() {
            done = self.line(&bytes, &mut lines);
        }
        self.bytes = bytes;
        done
    }

    fn line(&mut self, bytes: &[u8], lines: &mut Lines<'_>) -> Result<(), Wrong> {
        lines.skip_space();
        let line = lines.at();
        while let Some((keyword, followed)) = lines.keyword() {
            let at = keyword.start;
            let act = match bytes.get(keyword.clone()).unwrap_or_default() {
                [b'#', ..] => return Ok(()),
                b"config" | b"c" => Act::Config,
                b"option" | b"o" => Act::Option,
                b"list" | b"l" => Act::List,
                b"package" | b"p" => Act::Package,
                _ => return Err((at, "neither config, option nor list")),
            };
            if matches!(act, Act::Option | Act::List) && self.parts.is_empty() {
                return Err((at, "an option before the first section"));
            }
            if !followed {
                return Err((at, "a keyword without a name"));
            }
            let mut word = || {
                let word = lines.word().map_err(|Unended(at)| (at, "a quote that does not end"))?;
                match word.text.len() <= MAX_VALUE {
                    true => Ok(word),
                    false => Err((word.span.start, "a value that is too long")),
                }
            };
            let first = word()?;
            let second = if act == Act::Package { Word::default() } else { word()? };
            if !word()?.text.is_empty() {
                return Err((at, "too many words"));
            }
            self.take(Statement { act, section: 0, first, second, keyword, line }).map_err(|t| (at, t))?;
        }
        Ok(())
    }

    fn take(&mut self, mut statement: Statement) -> Result<(), &'static str> {
        let first = text(&statement.first);
        if first.is_empty() {
            return Err("a keyword without a name");
        }
        match statement.act {
            Act::Package if !is_package(&first) => return Err("no name of a package"),
            Act::Package => {}
            Act::Config => {
                let name = text(&statement.second);
                if !is_kind(&first) || !(name.is_empty() || is_name(&name)) {
                    return Err("a section's type or name is no name");
                }
                statement.section = self.section(first, name)?;
            }
            Act::Option | Act::List => {
                if !is_name(&first) {
                    return Err("an option's name is no name");
                }
                statement.section = self.open();
                let part =
                    self.parts.get_mut(statement.section).ok_or("an option before the first section")?;
                set(part, &first, text(&statement.second), statement.act == Act::List)?;
            }
        }
        self.statements.push(statement);
        Ok(())
    }

    /// The section that options go to.
    fn open(&self) -> usize {
        self.statements.iter().rfind(|s| s.act != Act::Package).map_or(0, |s| s.section)
    }

    /// The section that a `config` opens: a new one, or that of the same name again.
    fn section(&mut self, kind: String, name: String) -> Result<usize, &'static str> {
        let found = self.parts.iter().position(|p| !name.is_empty() && p.name == name);
        if let Some(found) = found {
            return match self.parts[found].kind == kind {
                true => Ok(found),
                false => Err("a section of this name has another type before"),
            };
        }
        let at = self.parts.len();
        if at >= MAX_SECTIONS {
            return Err("too many sections");
        }
        let anonymous = name.is_empty();
        let name = if anonymous { made_up(at + 1, &kind) } else { name };
        self.parts.push(Part { name, kind, anonymous, from: Some(at), ..Part::default() });
        Ok(at)
    }
}

/// Does what `option` and `list` do: an empty option changes nothing, as in libuci.
fn set(part: &mut Part, option: &str, value: String, list: bool) -> Result<(), &'static str> {
    match list {
        true => part.add_item(option, value),
        false if value.is_empty() => {}
        false => part.put(option, Some(Held::One(value))),
    }
    match part.get(option) {
        Some(Held::Many(items)) if items.len() > MAX_ITEMS => Err("too many items"),
        _ if part.options.len() > MAX_OPTIONS => Err("too many options"),
        _ => Ok(()),
    }
}

/// Bytes that are no UTF-8 read as U+FFFD: in the file they stay.
pub(super) fn text(word: &Word) -> String {
    String::from_utf8_lossy(&word.text).into_owned()
}

/// The name that libuci gives to an anonymous section, the nth one made: pending changes go by it.
pub(super) fn made_up(nth: usize, kind: &str) -> String {
    let mut hash: u32 = 5381;
    for byte in kind.bytes() {
        hash = hash.wrapping_mul(33).wrapping_add(u32::from(byte));
    }
    format!("cfg{nth:02x}{:04x}", hash & 0xffff)
}

/// A name of libuci: of a section or an option.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A section's type.
pub(super) fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (33..=126).contains(&b))
}

/// A package's name: a file of this name, and nothing that leads elsewhere.
pub(super) fn is_package(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
