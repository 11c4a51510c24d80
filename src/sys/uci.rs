//! OpenWrt's configuration files (`/etc/config/network`): read as libuci reads them, and changed so
//! that only the bytes of the option concerned differ.
//!
//! # Grammar
//! Statements are lines: `config TYPE [NAME]`, `option NAME VALUE`, `list NAME VALUE`, `package NAME`;
//! each keyword may be its first letter alone, and `;` ends a statement too. A word is made of pieces:
//! `'…'` as it stands, `"…"` and bare text with backslash escapes; quotes may span lines. `#` outside
//! quotes begins a comment. Of several options of one name the last holds; sections of one name are one.

use std::fmt;
use std::ops::Range;

/// The most bytes of a file.
pub const MAX_FILE: u64 = 1 << 20;

/// Why a file is not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ParseError {}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Package {
    text: String,
    sections: Vec<Section>,
    entries: Vec<Entry>,
}

/// One `config` statement.
#[derive(Clone, Debug)]
struct Section {
    kind: String,
    /// Empty for an anonymous one.
    name: String,
    /// The statement.
    span: Range<usize>,
}

/// One `option` or `list` statement.
#[derive(Clone, Debug)]
struct Entry {
    /// Index of the section it stands in.
    section: usize,
    name: String,
    value: String,
    list: bool,
    /// Of the statement, and of its value.
    span: Range<usize>,
    value_span: Range<usize>,
}

/// What an option holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// `option`
    One(String),
    /// `list`
    Many(Vec<String>),
}

/// Why a change was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There is no such section.
    NoSection,
    /// It is a list, not an option.
    List,
    /// A zero byte cannot stand in a file.
    Value,
    /// No name of an option.
    Name,
}

impl Package {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first thing that libuci would refuse, too.
    pub fn parse(text: &str) -> Result<Package, ParseError> {
        let mut package = Package { text: text.to_owned(), sections: Vec::new(), entries: Vec::new() };
        let mut reader = Reader { text, at: 0 };
        while let Some(words) = reader.statement()? {
            package
                .take(&words)
                .map_err(|reason| reader.error(words.first().map_or(0, |w| w.span.start), reason))?;
        }
        Ok(package)
    }

    fn take(&mut self, words: &[Word]) -> Result<(), &'static str> {
        let [keyword, rest @ ..] = words else {
            return Ok(());
        };
        let whole = keyword.span.start..words.last().map_or(0, |w| w.span.end);
        match (keyword.text.as_str(), rest) {
            ("package" | "p", [_]) => Ok(()),
            ("config" | "c", [kind, name @ ..]) if name.len() <= 1 => {
                let name = name.first().map_or(String::new(), |n| n.text.clone());
                if !is_name(&kind.text, true) || !(name.is_empty() || is_name(&name, false)) {
                    return Err("a section's type or name is no name");
                }
                self.sections.push(Section { kind: kind.text.clone(), name, span: whole });
                Ok(())
            }
            (word @ ("option" | "o" | "list" | "l"), [name, value]) => {
                let section =
                    self.sections.len().checked_sub(1).ok_or("an option before the first section")?;
                if !is_name(&name.text, false) {
                    return Err("an option's name is no name");
                }
                self.entries.push(Entry {
                    section,
                    name: name.text.clone(),
                    value: value.text.clone(),
                    list: word.starts_with('l'),
                    span: whole,
                    value_span: value.span.clone(),
                });
                Ok(())
            }
            ("option" | "o" | "list" | "l", _) => Err("an option has a name and one value"),
            ("config" | "c", _) => Err("a section has a type and at most a name"),
            _ => Err("neither config, option nor list"),
        }
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys of the sections of a type in the order of the file: the name, or `@type[n]` for an
    /// anonymous one, where n counts all sections of the type from 0.
    pub fn keys(&self, kind: &str) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for (n, section) in self.of_kind(kind).enumerate() {
            let key = match section.name.as_str() {
                "" => format!("@{kind}[{n}]"),
                name => name.to_owned(),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The sections of a type; one whose name came before is the same one again.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Section> {
        let first = |at: usize, name: &str| !self.sections.iter().take(at).any(|s| s.name == name);
        let all = self.sections.iter().enumerate();
        all.filter(move |(at, s)| s.kind == kind && (s.name.is_empty() || first(*at, &s.name)))
            .map(|(_, s)| s)
    }

    /// The sections that a key names: one, or several of one name. A negative n counts from the end.
    fn find(&self, key: &str) -> Vec<usize> {
        let index = |wanted: &Section| self.sections.iter().position(|s| std::ptr::eq(s, wanted));
        let Some(inner) = key.strip_prefix('@') else {
            let named = |s: &Section| !s.name.is_empty() && s.name == key;
            return (0..self.sections.len()).filter(|i| self.sections.get(*i).is_some_and(named)).collect();
        };
        let found = || {
            let (kind, n) = inner.strip_suffix(']')?.split_once('[')?;
            let all: Vec<&Section> = self.of_kind(kind).collect();
            let n: isize = n.parse().ok()?;
            let n = if n < 0 { all.len().checked_add_signed(n)? } else { n as usize };
            let section = all.get(n)?;
            match section.name.as_str() {
                "" => Some(vec![index(section)?]),
                name => Some(self.find(name)),
            }
        };
        found().unwrap_or_default()
    }

    /// Whether there is a section of this key.
    pub fn has(&self, key: &str) -> bool {
        !self.find(key).is_empty()
    }

    fn entries_of(&self, key: &str, option: &str) -> impl Iterator<Item = &Entry> {
        let sections = self.find(key);
        self.entries.iter().filter(move |e| e.name == option && sections.contains(&e.section))
    }

    /// What an option holds; `None` when it is not there.
    pub fn get(&self, key: &str, option: &str) -> Option<Held> {
        let mut held = None;
        for entry in self.entries_of(key, option) {
            held = Some(match (entry.list, held) {
                (false, _) => Held::One(entry.value.clone()),
                (true, Some(Held::Many(mut many))) => {
                    many.push(entry.value.clone());
                    Held::Many(many)
                }
                // An option that a list follows is the list's first item.
                (true, Some(Held::One(one))) => Held::Many(vec![one, entry.value.clone()]),
                (true, None) => Held::Many(vec![entry.value.clone()]),
            });
        }
        held
    }

    /// The value of an option as it stands in the file, quotes and all.
    pub fn raw(&self, key: &str, option: &str) -> Option<&str> {
        self.text.get(self.entries_of(key, option).last()?.value_span.clone())
    }

    /// The file with another value of an option, in quotes; with `None` the file without it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn with(&self, key: &str, option: &str, value: Option<&str>) -> Result<String, Refused> {
        if value.is_some_and(|v| v.contains('\0')) {
            return Err(Refused::Value);
        }
        self.with_raw(key, option, value.map(quoted).as_deref())
    }

    /// As [`Package::with`], for a value that [`Package::raw`] gave.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn with_raw(&self, key: &str, option: &str, raw: Option<&str>) -> Result<String, Refused> {
        if !is_name(option, false) {
            return Err(Refused::Name);
        }
        let section = *self.find(key).last().ok_or(Refused::NoSection)?;
        let present: Vec<&Entry> = self.entries_of(key, option).collect();
        if present.iter().any(|e| e.list) {
            return Err(Refused::List);
        }
        let mut text = self.text.clone();
        match (raw, present.last()) {
            (Some(raw), Some(last)) => text.replace_range(last.value_span.clone(), raw),
            (Some(raw), None) => {
                let behind = self.entries.iter().rfind(|e| e.section == section).map(|e| &e.span);
                let behind = behind.or(self.sections.get(section).map(|s| &s.span)).map_or(0, |s| s.end);
                let indent =
                    self.entries.iter().rfind(|e| e.section == section).map(|e| self.indent(e.span.start));
                let (at, start) = match self.text.get(behind..).and_then(|t| t.find('\n')) {
                    Some(end) => (behind + end + 1, ""),
                    None => (self.text.len(), "\n"),
                };
                // Where `;` puts another statement on the line, the end of the line may be another section.
                let shared = self.sections.iter().any(|s| (behind..at).contains(&s.span.start));
                match shared {
                    true => text.insert_str(behind, &format!("; option {option} {raw}")),
                    false => text
                        .insert_str(at, &format!("{start}{}option {option} {raw}\n", indent.unwrap_or("\t"))),
                }
            }
            (None, _) => {
                for entry in present.iter().rev() {
                    text.replace_range(self.line_of(&entry.span), "");
                }
            }
        }
        Ok(text)
    }

    /// White space before a statement, when nothing else stands before it on its line.
    fn indent(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or("");
        let line = before.rfind('\n').map_or(before, |n| before.get(n + 1..).unwrap_or(""));
        if line.trim().is_empty() { line } else { "\t" }
    }

    /// The whole line of a statement that stands alone on it, or else the statement.
    fn line_of(&self, span: &Range<usize>) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or("");
        let behind = self.text.get(span.end..).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        let end = behind.find('\n').map_or(self.text.len(), |n| span.end + n + 1);
        let rest = self.text.get(span.end..end).unwrap_or("").trim();
        let alone = self.text.get(start..span.start).unwrap_or("x").trim().is_empty();
        match alone && (rest.is_empty() || rest.starts_with('#')) {
            true => start..end,
            false => span.clone(),
        }
    }
}

/// A value in single quotes, as libuci writes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// A name of libuci: letters, digits and `_`; a type may have more.
fn is_name(text: &str, kind: bool) -> bool {
    let fits = |b: u8| {
        if kind { (33..=126).contains(&b) } else { b.is_ascii_alphanumeric() || b == b'_' || b == b'-' }
    };
    !text.is_empty() && text.bytes().all(fits)
}

struct Word {
    text: String,
    span: Range<usize>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, at: usize, reason: &'static str) -> ParseError {
        let line = self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
        ParseError { line, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The words of the next statement; none for an empty line, `None` at the end.
    fn statement(&mut self) -> Result<Option<Vec<Word>>, ParseError> {
        let mut words = Vec::new();
        loop {
            match self.peek() {
                None if words.is_empty() => return Ok(None),
                None => return Ok(Some(words)),
                Some(b'\n' | b';') => {
                    self.at += 1;
                    return Ok(Some(words));
                }
                Some(b'#') => self.skip_line(),
                Some(b) if b.is_ascii_whitespace() => self.at += 1,
                Some(b'\\') if self.text.as_bytes().get(self.at + 1) == Some(&b'\n') => self.at += 2,
                Some(_) => words.push(self.word()?),
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or("");
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn word(&mut self) -> Result<Word, ParseError> {
        let start = self.at;
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' | b'"' => self.quote(byte, &mut bytes)?,
                b'\\' => {
                    self.at += 1;
                    bytes.extend(self.peek().filter(|b| *b != b'\n'));
                    self.at += usize::from(self.peek().is_some());
                }
                b'#' | b';' => break,
                b if b.is_ascii_whitespace() => break,
                b => {
                    bytes.push(b);
                    self.at += 1;
                }
            }
        }
        // Cut at ASCII only, so what was text still is.
        Ok(Word { text: String::from_utf8_lossy(&bytes).into_owned(), span: start..self.at })
    }

    fn quote(&mut self, mark: u8, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.error(start, "a quote that does not end")),
                Some(b) if b == mark => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if mark == b'"' => {
                    self.at += 1;
                    bytes.extend(self.peek().filter(|b| *b != b'\n'));
                }
                Some(b) => bytes.push(b),
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
