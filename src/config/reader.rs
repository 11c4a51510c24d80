//! The tables of the file, read key by key. Derived code for as many keys is seven times as large, for a
//! file that is read once. A file of UCI comes as such tables, too; there all values are words.

use super::{LogTarget, Secret};
use crate::config::Listen;
use crate::cwmp::discovery::Policy;
use crate::model::schema::Platform;
use crate::net::connection_request::Algorithm;
use crate::sys::uci;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong, and where in the text.
pub(super) struct Wrong {
    /// Bytes from its start.
    pub at: usize,
    /// What it is.
    pub reason: String,
}

/// A table of the file while it is read. The first thing that is wrong is kept.
pub(super) struct Section<'t, 'i> {
    table: &'t DeTable<'i>,
    words: bool,
    known: Vec<&'static str>,
    wrong: Option<Wrong>,
}

/// A value of the file.
#[derive(Clone, Copy)]
pub(super) struct Given<'t, 'i> {
    value: &'t Spanned<DeValue<'i>>,
    /// Whether the file knows nothing but words and lists of them, as UCI.
    words: bool,
}

impl<'t, 'i> Section<'t, 'i> {
    /// All of it is still to be read; `words`: numbers and truths are written as words.
    pub fn new(table: &'t DeTable<'i>, words: bool) -> Section<'t, 'i> {
        Section { table, words, known: Vec::new(), wrong: None }
    }

    /// The value of a key goes into its field, which stays as it is when the file has none.
    pub fn get<T: Value>(&mut self, key: &'static str, field: &mut T) {
        let Some(value) = self.find(key) else { return };
        match T::read(Given { value, words: self.words }) {
            Ok(read) => *field = read,
            Err(reason) => self.note(value.span().start, reason),
        }
    }

    /// A table within this one.
    pub fn table(&mut self, key: &'static str, read: &mut dyn FnMut(&mut Section<'_, '_>)) {
        let Some(value) = self.find(key) else { return };
        let Some(table) = value.get_ref().as_table() else {
            return self.note(value.span().start, Given { value, words: self.words }.mistyped("a table"));
        };
        let mut inner = Section::new(table, self.words);
        read(&mut inner);
        if let Err(wrong) = inner.end() {
            self.note(wrong.at, wrong.reason);
        }
    }

    /// All that there is has been asked for.
    ///
    /// # Errors
    /// The first thing that was wrong, or a key that nobody asked for.
    pub fn end(mut self) -> Result<(), Wrong> {
        let unknown = self.table.keys().find(|key| !self.known.contains(&key.get_ref().as_ref()));
        if let Some(key) = unknown {
            let known: Vec<String> = self.known.iter().map(|k| format!("`{k}`")).collect();
            let reason = format!("unknown field `{}`, expected one of {}", key.get_ref(), known.join(", "));
            self.note(key.span().start, reason);
        }
        self.so_far()
    }

    /// The first thing that was wrong of what was asked for.
    ///
    /// # Errors
    /// That.
    pub fn so_far(self) -> Result<(), Wrong> {
        self.wrong.map_or(Ok(()), Err)
    }

    fn find(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn note(&mut self, at: usize, reason: String) {
        self.wrong.get_or_insert(Wrong { at, reason });
    }
}

/// What can stand behind a key.
pub(super) trait Value: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(given: Given<'_, '_>) -> Result<Self, String>;
}

impl<'t> Given<'t, '_> {
    fn mistyped(self, expected: &str) -> String {
        let found = match self.value.get_ref() {
            DeValue::String(text) => format!("string {text:?}"),
            DeValue::Integer(number) => format!("integer `{number}`"),
            other => other.type_str().to_owned(),
        };
        format!("invalid type: {found}, expected {expected}")
    }

    /// A text. In a file of words a list of one is one, so that it may be empty: UCI has no empty option.
    fn text(self) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::Array(items) if self.words && items.len() == 1 => items.first()?.get_ref().as_str(),
            value => value.as_str(),
        }
    }

    /// A word of a file that has nothing else.
    fn word(self) -> Option<&'t str> {
        self.text().filter(|_| self.words)
    }
}

impl Value for String {
    fn read(given: Given<'_, '_>) -> Result<String, String> {
        given.text().map(str::to_owned).ok_or_else(|| given.mistyped("a string"))
    }
}

impl Value for PathBuf {
    fn read(given: Given<'_, '_>) -> Result<PathBuf, String> {
        String::read(given).map(PathBuf::from)
    }
}

impl Value for Secret {
    fn read(given: Given<'_, '_>) -> Result<Secret, String> {
        // What stands there is not repeated: it may be a password without its quotes.
        let text = String::read(given).map_err(|_| "a password is a string in quotes")?;
        Ok(Secret::new(text))
    }
}

impl<T: Value> Value for Option<T> {
    fn read(given: Given<'_, '_>) -> Result<Option<T>, String> {
        T::read(given).map(Some)
    }
}

impl Value for Vec<String> {
    fn read(given: Given<'_, '_>) -> Result<Vec<String>, String> {
        match (given.value.get_ref(), given.word()) {
            // A list of UCI with nothing in its one item is how an empty one is written.
            (_, Some("")) => Ok(Vec::new()),
            (_, Some(word)) => Ok(vec![word.to_owned()]),
            (DeValue::Array(items), None) => {
                items.iter().map(|value| String::read(Given { value, ..given })).collect()
            }
            _ => Err(given.mistyped("a sequence")),
        }
    }
}

impl Value for bool {
    fn read(given: Given<'_, '_>) -> Result<bool, String> {
        let said = match given.word() {
            Some(word) => uci::truth(word),
            None => given.value.get_ref().as_bool(),
        };
        said.ok_or_else(|| given.mistyped("a boolean"))
    }
}

/// A whole number from 0 to `most`.
fn number(given: Given<'_, '_>, most: u64) -> Result<u64, String> {
    let (text, radix) = match (given.word(), given.value.get_ref().as_integer()) {
        (Some(word), _) if word.bytes().any(|b| b.is_ascii_digit()) => (word, 10),
        (None, Some(number)) => (number.as_str(), number.radix()),
        _ => return Err(given.mistyped("a whole number")),
    };
    let read = i64::from_str_radix(text, radix).ok();
    let read = read.and_then(|n| u64::try_from(n).ok()).filter(|n| *n <= most);
    read.ok_or_else(|| format!("invalid value: integer `{}`, expected 0 to {most}", shown(given, text)))
}

fn shown(given: Given<'_, '_>, text: &str) -> String {
    given.value.get_ref().as_integer().map_or_else(|| text.to_owned(), ToString::to_string)
}

impl Value for u32 {
    fn read(given: Given<'_, '_>) -> Result<u32, String> {
        number(given, u32::MAX.into()).map(|n| n as u32) // it is not more
    }
}

impl Value for u64 {
    fn read(given: Given<'_, '_>) -> Result<u64, String> {
        number(given, i64::MAX as u64) // TOML has no more
    }
}

/// One word of several: its place among them.
fn one_of(given: Given<'_, '_>, words: &[&str]) -> Result<usize, String> {
    let word = String::read(given)?;
    words.iter().position(|w| *w == word).ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
        format!("`{word}` is not one of {}", known.join(", "))
    })
}

impl Value for Platform {
    fn read(given: Given<'_, '_>) -> Result<Platform, String> {
        one_of(given, &["linux", "openwrt"]).map(|at| [Platform::Linux, Platform::OpenWrt][at])
    }
}

impl Value for LogTarget {
    fn read(given: Given<'_, '_>) -> Result<LogTarget, String> {
        one_of(given, &["stderr", "syslog"]).map(|at| [LogTarget::Stderr, LogTarget::Syslog][at])
    }
}

impl Value for log::LevelFilter {
    fn read(given: Given<'_, '_>) -> Result<log::LevelFilter, String> {
        use log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
        one_of(given, &["off", "error", "warn", "info", "debug", "trace"])
            .map(|at| [Off, Error, Warn, Info, Debug, Trace][at])
    }
}

impl Value for Policy {
    fn read(given: Given<'_, '_>) -> Result<Policy, String> {
        match String::read(given)?.as_str() {
            "off" => Ok(Policy::Off),
            "fill" => Ok(Policy::Fill),
            "prefer" => Ok(Policy::Prefer),
            text => Err(format!("`{text}` is not one of `off`, `fill`, `prefer`")),
        }
    }
}

impl Value for Listen {
    fn read(given: Given<'_, '_>) -> Result<Listen, String> {
        let text = String::read(given)?;
        if text == "auto" {
            return Ok(Listen::Auto);
        }
        text.parse()
            .map(Listen::Address)
            .map_err(|_| format!("`{text}` is neither \"auto\" nor ADDRESS:PORT (IPv6 as \"[::]:7547\")"))
    }
}

impl Value for Vec<Algorithm> {
    fn read(given: Given<'_, '_>) -> Result<Vec<Algorithm>, String> {
        let known = |word: &String| match word.as_str() {
            "MD5" => Ok(Algorithm::Md5),
            "SHA-256" => Ok(Algorithm::Sha256),
            _ => Err(format!("`{word}` is not one of `MD5`, `SHA-256`")),
        };
        Vec::<String>::read(given)?.iter().map(known).collect()
    }
}
