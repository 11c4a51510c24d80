//! A package as one reads it.

use super::delta;
use super::file::{File, Held, Part};
use super::keys;
use super::problem::Problem;
use std::borrow::Cow;
use std::cell::OnceCell;

/// A package with what is pending on top of it: what `uci show` tells.
#[derive(Clone, Default, Debug)]
pub struct Package {
    pub(super) name: String,
    /// The file, without what is pending.
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Vec<Part>,
    /// The file with its statements, read when it is to be edited.
    file: OnceCell<File>,
}

/// A section of a package.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    package: &'a Package,
    part: &'a Part,
    at: usize,
}

impl Package {
    /// A package from the bytes of its file and of what is pending.
    ///
    /// # Errors
    /// The file is not understood.
    pub fn parse(name: &str, bytes: Vec<u8>, pending: &[u8]) -> Result<Package, Problem> {
        let File { bytes, mut parts, .. } = File::parse(&super::path(name), bytes)?;
        delta::apply(name, pending, &mut parts);
        Ok(Package { name: name.to_owned(), bytes, parts, file: OnceCell::new() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its sections, in order.
    pub fn sections(&self) -> impl Iterator<Item = Section<'_>> {
        self.parts.iter().enumerate().map(|(at, part)| Section { package: self, part, at })
    }

    /// The sections of a type, in order.
    pub fn of_kind<'a>(&'a self, kind: &str) -> impl Iterator<Item = Section<'a>> {
        self.sections().filter(move |s| s.part.kind == kind)
    }

    /// The section of a name, of a place (`@rule[2]`, `@rule[-1]`), or of a [key](Section::key).
    pub fn section(&self, key: &str) -> Option<Section<'_>> {
        let at = keys::find(&self.parts, key, true)?;
        self.parts.get(at).map(|part| Section { package: self, part, at })
    }

    /// The file, without what is pending, read once.
    pub(super) fn file(&self) -> Result<&File, Problem> {
        match self.file.get() {
            Some(file) => Ok(file),
            None => {
                let file = File::parse(&super::path(&self.name), self.bytes.clone())?;
                Ok(self.file.get_or_init(|| file))
            }
        }
    }
}

impl<'a> Section<'a> {
    /// By what it is found again: its name; of an anonymous one its place and what is in it, as [`super::align`]
    /// understands it.
    pub fn key(&self) -> Cow<'a, str> {
        keys::key(&self.package.parts, self.at)
    }

    /// Its name; `None` of an anonymous one.
    pub fn name(&self) -> Option<&'a str> {
        (!self.part.anonymous).then_some(&self.part.name)
    }

    /// The name by which libuci calls it: of an anonymous one `cfg` and a number.
    pub fn id(&self) -> &'a str {
        &self.part.name
    }

    /// Its type.
    pub fn kind(&self) -> &'a str {
        &self.part.kind
    }

    /// Its position among all sections.
    pub fn index(&self) -> usize {
        self.at
    }

    /// The value of an option, of a list its first item; `None` when it is not there.
    pub fn get(&self, option: &str) -> Option<&'a str> {
        match self.part.get(option)? {
            Held::One(value) => Some(value),
            Held::Many(items) => items.first().map(String::as_str),
        }
    }

    /// The items of a list; an option is one.
    pub fn items(&self, option: &str) -> Vec<&'a str> {
        match self.part.get(option) {
            Some(Held::One(value)) => vec![value],
            Some(Held::Many(items)) => items.iter().map(String::as_str).collect(),
            None => Vec::new(),
        }
    }

    /// The items of a list, each split at white space, as most programs read lists.
    pub fn words(&self, option: &str) -> Vec<&'a str> {
        self.items(option).into_iter().flat_map(str::split_ascii_whitespace).collect()
    }

    /// The truth of an option; `None` when it is not there or says neither.
    pub fn flag(&self, option: &str) -> Option<bool> {
        self.get(option).and_then(truth)
    }

    /// What an option holds.
    pub fn held(&self, option: &str) -> Option<&'a Held> {
        self.part.get(option)
    }

    /// Its options, in order.
    pub fn options(&self) -> impl Iterator<Item = (&'a str, &'a Held)> + use<'a> {
        self.part.options.iter().map(|(name, held)| (name.as_str(), held))
    }
}

/// What a word says that is a truth or its opposite.
pub fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "on" | "yes" | "true" | "enabled" => Some(true),
        "0" | "off" | "no" | "false" | "disabled" => Some(false),
        _ => None,
    }
}
