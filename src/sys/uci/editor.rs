//! A file that is edited step by step, and read again after each.

use super::batch::{no_section, other_kind};
use super::edit::{Edit, outcome};
use super::file::{Act, File, Held, Part};
use super::lines::{Splice, parting, written};
use super::problem::Problem;
use crate::sys::order;

/// A file that is being edited.
pub(super) struct Editor {
    pub file: File,
    package: String,
}

impl Editor {
    /// Reads the bytes of a package's file.
    pub fn new(package: &str, bytes: Vec<u8>) -> Result<Editor, Problem> {
        Ok(Editor { file: File::parse(&super::path(package), bytes)?, package: package.to_owned() })
    }

    /// Replaces bytes, and reads what came of it. Of two that begin at one place the first is done first.
    pub fn splice(&mut self, mut splices: Vec<Splice>) -> Result<(), Problem> {
        let mut bytes = std::mem::take(&mut self.file.bytes);
        // From the end, so that the places before stay right.
        order::sort_by(&mut splices, |a, b| b.0.start.cmp(&a.0.start));
        for (range, new) in splices {
            let end = range.end.min(bytes.len());
            bytes.splice(range.start.min(end)..end, new);
        }
        self.file = File::parse(&super::path(&self.package), bytes)?;
        Ok(())
    }

    /// Makes an option hold this. What it holds already keeps its form.
    pub fn put(&mut self, section: usize, option: &str, held: Option<&Held>) -> Result<(), Problem> {
        let part = self.file.parts.get(section);
        if part.and_then(|p| p.get(option)) == held {
            return Ok(());
        }
        let of = self.file.statements(section, option);
        let act = if matches!(held, Some(Held::Many(_))) { Act::List } else { Act::Option };
        let (Some(held), Some((first, others))) = (held, of.split_first()) else {
            return self.splice(self.file.splices(section, option, held));
        };
        if of.iter().all(|at| self.file.statements[*at].act == act) {
            return self.splice(self.file.splices(section, option, Some(held)));
        }
        // Its first statement is written anew, the others go: one after another, whatever shares their lines.
        let value = match held {
            Held::One(value) => Some(value),
            Held::Many(items) => items.first(),
        };
        let word = if act == Act::List { "list" } else { "option" };
        self.splice(self.file.without(others))?;
        if let (Some(statement), Some(value)) = (self.file.statements.get(*first), value) {
            let splices =
                vec![(statement.keyword.clone(), word.into()), self.file.value_of(statement, value)];
            self.splice(splices)?;
        }
        match held {
            Held::Many(items) if items.len() > 1 => self.put(section, option, Some(held)),
            _ => Ok(()),
        }
    }

    /// A new section at the end of the file.
    pub fn make(&mut self, kind: &str, name: &str) -> Result<(), Problem> {
        let part = Part { kind: kind.to_owned(), name: name.to_owned(), ..Part::default() };
        let text = [parting(&self.file.bytes), &written(&part)].concat();
        let end = self.file.bytes.len();
        self.splice(vec![(end..end, text)])
    }

    /// Takes a section away, and an empty line behind it.
    pub fn drop_section(&mut self, section: usize) -> Result<(), Problem> {
        let ranges = self.file.blocks(section);
        self.splice(ranges.into_iter().map(|r| (r, Vec::new())).collect())
    }

    /// Does an edit, or several of one option, in the bytes and in what is meant by them.
    pub fn edit(
        &mut self,
        edits: &[&Edit],
        target: Option<usize>,
        meant: &mut Vec<Part>,
    ) -> Result<(), Problem> {
        let Some(edit) = edits.first() else {
            return Ok(());
        };
        match (edit, target) {
            (Edit::Make { kind, .. }, Some(target)) if meant[target].kind == *kind => Ok(()),
            (Edit::Make { .. }, Some(target)) => Err(other_kind(&self.package, edit, &meant[target])),
            (Edit::Make { kind, name }, None) => {
                meant.push(Part { kind: kind.clone(), name: name.clone(), ..Part::default() });
                self.make(kind, name)
            }
            (Edit::Drop { .. }, Some(target)) => {
                meant.remove(target);
                self.drop_section(target)
            }
            (Edit::Drop { .. }, None) => Ok(()),
            (_, None) => Err(no_section(&self.package, edit)),
            (_, Some(target)) => {
                let option = edit.option().unwrap_or_default();
                let held = outcome(edits, meant[target].get(option));
                meant[target].put(option, held.clone());
                self.put(target, option, held.as_ref())
            }
        }
    }
}
