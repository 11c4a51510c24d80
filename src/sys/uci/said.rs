//! What a file says, statement by statement and with its place, for those who have to tell a person where.

use super::file::{Act, File, text};
use super::problem::Problem;

/// An option or an item of a list, as a file has it; a section without any has one with an empty name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Which section, from 0; sections of one name are one.
    pub section: usize,
    /// Its type.
    pub kind: String,
    /// The option's name.
    pub option: String,
    /// Its value.
    pub value: String,
    /// Whether it is an item of a list.
    pub list: bool,
    /// Where it begins, bytes from the beginning of the file.
    pub at: usize,
}

/// All that a file says, in its order, without what is pending; `name` is for the report.
///
/// # Errors
/// The file is not understood.
pub fn said(name: &str, bytes: Vec<u8>) -> Result<Vec<Said>, Problem> {
    let file = File::parse(name, bytes)?;
    let kind = |section: usize| file.parts.get(section).map(|part| part.kind.clone()).unwrap_or_default();
    let said = file.statements.iter().filter(|s| s.act != Act::Package).map(|s| {
        let opens = s.act == Act::Config;
        Said {
            section: s.section,
            kind: kind(s.section),
            option: if opens { String::new() } else { text(&s.first) },
            value: if opens { String::new() } else { text(&s.second) },
            list: s.act == Act::List,
            at: s.keyword.start,
        }
    });
    Ok(said.collect())
}
