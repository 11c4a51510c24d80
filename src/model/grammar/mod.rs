//! The grammar of `datamodel/*.toml`: rows of text in, tables of a [`Schema`] out.
//!
//! One module serves `build.rs` (the rows compiled in) and the running agent (overlays), so a row
//! means the same in both. It goes in three steps, each a file here: `reader` turns TOML into
//! [`ObjectSpec`]s, with `types` for the type expressions; `tables` puts the specs of all files
//! together and checks what one file alone cannot know; `pack` makes the tables. `unpack` goes the
//! other way, so that overlays are merged with the built-in tables.
//!
//! # Errors
//! Nothing stops at the first mistake: each is one [`Problem`] with file, line and reason.

pub mod expression;
mod pack;
mod reader;
mod tables;
mod types;
mod unpack;

#[cfg(test)]
mod tests;

pub use reader::read;
pub use tables::build;
pub use types::KindSpec;
pub use unpack::unpack;

use super::schema::{PLATFORMS, Schema, SourceKind};
use std::fmt;
use std::rc::Rc;

/// The prefix that rows write for vendor names; [`Options::prefix`] takes its place.
pub const PREFIX: &str = "X_CWMPD_";
/// The longest path of a row in bytes (TR-069: ObjectName string(256)).
pub const MAX_PATH: usize = 256;
/// The longest text of a row (a value, an argument, a pattern) in bytes.
pub const MAX_TEXT: usize = 4096;

/// Where something is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At {
    /// The file's name as it is cited.
    pub file: Rc<str>,
    /// From 1; 0 for a whole file, or for what was read from built-in tables.
    pub line: u32,
}

/// One mistake of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.line {
            0 => write!(f, "{}: {}", self.at.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.at.file, self.reason),
        }
    }
}

/// What the reader must know besides the text.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The names that `native` may have.
    pub natives: &'a [&'a str],
    /// What stands for [`PREFIX`] in names.
    pub prefix: &'a str,
    /// Whether this is an overlay: `native` is refused then.
    pub overlay: bool,
}

/// Where values live on one platform, as a row says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nothing is said: the object's own place, for a parameter.
    Unsaid,
    /// It does not exist there.
    Absent,
    /// Here, with this argument.
    At(SourceKind, String),
}

/// One section of a file.
#[derive(Clone, Debug)]
pub struct ObjectSpec {
    /// Full path with `{i}` and the final dot.
    pub path: String,
    /// The section's line.
    pub at: At,
    /// Whether the section says anything about the object itself; only one section may.
    pub speaks: bool,
    /// Per platform where its row or its instances come from.
    pub places: [Place; PLATFORMS],
    /// Per platform whether the ACS may add and delete instances.
    pub creatable: [bool; PLATFORMS],
    /// Instance numbers in memory only.
    pub volatile: bool,
    /// What it holds, and its rows themselves, carry the ACS session.
    pub uplink: bool,
    /// Unique keys.
    pub keys: Vec<String>,
    /// The parameter of the parent that counts it.
    pub entries: Option<String>,
    /// The table's enableParameter.
    pub enable: Option<String>,
    /// Per platform why access is narrower than the standard's.
    pub why: [Option<String>; PLATFORMS],
    /// Its rows in the order of the file.
    pub params: Vec<ParamSpec>,
}

/// One row of a file.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// Its line.
    pub at: At,
    /// Its type.
    pub kind: KindSpec,
    /// Per platform where its value lives.
    pub places: [Place; PLATFORMS],
    /// Per platform whether it may be written.
    pub write: [bool; PLATFORMS],
    /// Per platform why access is narrower than the standard's.
    pub why: [Option<String>; PLATFORMS],
    /// The bits of [`super::schema::flag`] that do not depend on the platform.
    pub flags: u16,
}

impl ObjectSpec {
    /// An object that exists and says nothing.
    pub fn bare(path: String, at: At) -> ObjectSpec {
        ObjectSpec {
            path,
            at,
            speaks: false,
            places: [const { Place::Unsaid }; PLATFORMS],
            creatable: [false; PLATFORMS],
            volatile: false,
            uplink: false,
            keys: Vec::new(),
            entries: None,
            enable: None,
            why: [const { None }; PLATFORMS],
            params: Vec::new(),
        }
    }

    /// Whether it has instances.
    pub fn is_table(&self) -> bool {
        self.path.ends_with(".{i}.")
    }
}

/// Reads files (name as cited, text) and builds their tables.
///
/// # Errors
/// Every mistake, by file and line.
pub fn schema_from(files: &[(&str, &str)], natives: &[&str]) -> Result<Schema, Vec<Problem>> {
    schema_with(files, &Options { natives, prefix: PREFIX, overlay: false })
}

/// As [`schema_from`], with all options.
///
/// # Errors
/// Every mistake, by file and line.
pub fn schema_with(files: &[(&str, &str)], options: &Options<'_>) -> Result<Schema, Vec<Problem>> {
    let mut specs = Vec::new();
    let mut problems = Vec::new();
    for (file, text) in files {
        read(file, text, options, &mut specs, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    build(specs)
}
