//! The edits of a transaction in one file: of a value nothing but the value changes, of a list the lines of
//! the items that come and go, of a section its own lines. What was made is read again and held against what
//! was meant, so that a file too odd to be edited stays as it is.
//!
//! All edits are made at once, in the file as it was read: it is written once and read again once, however many
//! they are. Only where they get into each other's way (statements that share a line) are they made one after
//! another.

use super::edit::{Edit, outcome};
use super::editor::Editor;
use super::file::{File, Part};
use super::keys::Finder;
use super::package::Package;
use super::problem::{Cause, Problem};
use crate::sys::order;
use crate::sys::sorted::{SortedMap, SortedSet};
use std::ops::Range;

/// What is done at once: an edit, or all edits of an option.
pub(super) struct Step<'e> {
    pub edits: Vec<&'e Edit>,
    /// The section of the file that is meant; `None` where it is none, or made by a step before.
    pub target: Option<usize>,
}

/// Which section of a file each edit means; `None` where it is none, or made by an edit before.
fn targets(package: &Package, file: &File, edits: &[Edit]) -> Result<Vec<Option<usize>>, Problem> {
    let name = package.name.as_str();
    let finder = Finder::new(&package.parts);
    let mut targets = Vec::with_capacity(edits.len());
    for edit in edits {
        edit.judge().map_err(|text| Problem::of(name, Cause::Value, text))?;
        let pending = || {
            let what = edit.option().map_or(String::new(), |o| format!(".{o}"));
            let text =
                format!("{}{what} has a change of somebody else's that is not committed yet", edit.section());
            Problem::of(name, Cause::Pending, text)
        };
        let part = finder.find_each(edit.section()).and_then(|at| package.parts.get(at));
        let Some(part) = part else {
            // Somebody has removed or renamed it, and may think better of it.
            match file.parts.iter().any(|p| !p.anonymous && p.name == edit.section()) {
                true => return Err(pending()),
                false => targets.push(None),
            }
            continue;
        };
        let touched = |what: &str| part.pending.iter().any(|p| p == what);
        let clash = match edit.option() {
            Some(option) => touched("") || touched(option),
            None => !part.pending.is_empty() && !matches!(edit, Edit::Make { .. }),
        };
        if clash || part.from.is_none() {
            return Err(pending());
        }
        targets.push(part.from);
    }
    Ok(targets)
}

/// Which section an edit means, as long as it is there: that of the file, or one by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose<'e> {
    File(usize),
    Name(&'e str),
}

/// What is to be done, in order. Of a section that goes as well nothing else is changed: its way back is to be
/// what it was.
///
/// # Errors
/// An edit cannot stand in a file, or somebody has a pending change of the same.
pub(super) fn steps<'e>(package: &Package, edits: &'e [Edit]) -> Result<Vec<Step<'e>>, Problem> {
    let targets = targets(package, package.file()?, edits)?;
    let mut gone = SortedSet::new();
    let mut last_drop = SortedMap::new();
    let mut whose = Vec::with_capacity(edits.len());
    for (n, (edit, target)) in edits.iter().zip(targets).enumerate() {
        let section = match target.filter(|at| !gone.contains(at)) {
            Some(at) => Whose::File(at),
            None => Whose::Name(edit.section()),
        };
        if matches!(edit, Edit::Drop { .. }) {
            last_drop.insert(section, n);
            if let Whose::File(at) = section {
                gone.insert(at);
            }
        }
        whose.push(section);
    }
    let mut steps: Vec<Step<'e>> = Vec::new();
    let mut of_option: SortedMap<(Whose<'_>, &str), usize> = SortedMap::new();
    for (n, (edit, section)) in edits.iter().zip(whose).enumerate() {
        if last_drop.get(&section).is_some_and(|last| *last > n) {
            continue;
        }
        let known = edit.option().map(|option| *of_option.entry((section, option)).or_insert(steps.len()));
        match known.and_then(|at| steps.get_mut(at)) {
            Some(step) => step.edits.push(edit),
            None => {
                let target = match section {
                    Whose::File(at) => Some(at),
                    Whose::Name(_) => None,
                };
                steps.push(Step { edits: vec![edit], target });
            }
        }
    }
    Ok(steps)
}

/// Bytes that a step replaced, and those that took their place.
pub(super) struct Change {
    pub step: usize,
    /// In the file as it was.
    pub old: Range<usize>,
    /// In the file as it is.
    pub new: Range<usize>,
}

/// What came of steps that were done at once.
pub(super) struct Done {
    pub bytes: Vec<u8>,
    pub parts: Vec<Part>,
    /// In the order of the file.
    pub changes: Vec<Change>,
}

/// What is meant by steps.
struct Meant {
    /// The sections of the file.
    parts: Vec<Part>,
    gone: SortedSet<usize>,
    /// Sections that are made, and by which step.
    made: Vec<(Part, usize)>,
}

/// Does all steps at once; `None` where that does not make what is meant.
///
/// # Errors
/// A section is not there, or of another type.
pub(super) fn at_once(package: &Package, steps: &[Step<'_>]) -> Result<Option<Done>, Problem> {
    let file = package.file()?;
    let mut meant = Meant { parts: file.parts.clone(), gone: SortedSet::new(), made: Vec::new() };
    let mut splices: Vec<(Range<usize>, Vec<u8>, usize)> = Vec::new();
    let mut names: SortedMap<&str, usize> = SortedMap::new();
    for (n, step) in steps.iter().enumerate() {
        let Some(edit) = step.edits.first() else { continue };
        let made = names.get(edit.section()).copied();
        let part = match step.target {
            Some(at) => meant.parts.get_mut(at),
            None => made.and_then(|at| meant.made.get_mut(at)).map(|made| &mut made.0),
        };
        match (edit, part) {
            (Edit::Make { kind, .. }, Some(part)) if part.kind == *kind => {}
            (Edit::Make { .. }, Some(part)) => return Err(other_kind(&package.name, edit, part)),
            (Edit::Make { kind, name }, None) => {
                names.insert(name, meant.made.len());
                meant.made.push((Part { kind: kind.clone(), name: name.clone(), ..Part::default() }, n));
            }
            (Edit::Drop { .. }, _) => {
                if let Some(at) = step.target {
                    meant.gone.insert(at);
                    splices.extend(file.blocks(at).into_iter().map(|range| (range, Vec::new(), n)));
                }
            }
            (_, None) => return Err(no_section(&package.name, edit)),
            (_, Some(part)) => {
                let option = edit.option().unwrap_or_default();
                let held = outcome(&step.edits, part.get(option));
                if part.get(option) != held.as_ref() {
                    if let Some(at) = step.target {
                        let of_it = file.splices(at, option, held.as_ref());
                        splices.extend(of_it.into_iter().map(|(range, text)| (range, text, n)));
                    }
                    part.put(option, held);
                }
            }
        }
    }
    // One that goes and one that comes under its name have to be put back in their order.
    if meant.gone.iter().any(|at| names.contains_key(&*meant.parts[*at].name)) {
        return Ok(None);
    }
    let Some(mut done) = weave(&file.bytes, splices, &meant.made) else {
        return Ok(None);
    };
    let Meant { parts, gone, made } = meant;
    let stay = parts.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, part)| part);
    done.parts = stay.chain(made.into_iter().map(|made| made.0)).collect();
    if done.bytes == file.bytes {
        return Ok(alike(&done.parts, &file.parts).then_some(done));
    }
    let Ok(read) = File::parse("", std::mem::take(&mut done.bytes)) else {
        return Ok(None);
    };
    if !alike(&done.parts, &read.parts) {
        return Ok(None);
    }
    Ok(Some(Done { bytes: read.bytes, parts: read.parts, ..done }))
}

/// Puts the new bytes between the old ones; `None` where they get into each other's way, or a step has changes
/// on both sides of another's.
fn weave(
    bytes: &[u8],
    mut splices: Vec<(Range<usize>, Vec<u8>, usize)>,
    made: &[(Part, usize)],
) -> Option<Done> {
    // Of two in one place the first stays the first.
    order::sort_by(&mut splices, |a, b| a.0.start.cmp(&b.0.start));
    let mut done = Done { bytes: Vec::new(), parts: Vec::new(), changes: Vec::new() };
    let mut seen = SortedSet::new();
    let mut at = 0;
    for (range, text, step) in splices {
        if range.start < at && !text.is_empty() {
            return None;
        }
        if range.start < at && range.end == bytes.len() {
            last_empty_line(&mut done);
        }
        let start = range.start.max(at);
        done.bytes.extend_from_slice(bytes.get(at..start)?);
        let from = done.bytes.len();
        // The last line of the file has no end; only the first that comes behind it brings one.
        let begun = matches!(done.bytes.last(), None | Some(b'\n'));
        let text = match text.strip_prefix(b"\n") {
            Some(rest) if begun && start == bytes.len() => rest,
            _ => &text,
        };
        done.bytes.extend_from_slice(text);
        at = range.end.max(start);
        match done.changes.last_mut().filter(|last| last.step == step) {
            Some(last) => {
                last.old.end = at;
                last.new.end = done.bytes.len();
            }
            None => {
                if !seen.insert(step) {
                    return None;
                }
                done.changes.push(Change { step, old: start..at, new: from..done.bytes.len() });
            }
        }
    }
    done.bytes.extend_from_slice(bytes.get(at..)?);
    for (part, step) in made {
        let from = done.bytes.len();
        done.bytes.extend_from_slice(super::lines::parting(&done.bytes));
        done.bytes.extend(super::lines::written(part));
        done.changes.push(Change { step: *step, old: bytes.len()..bytes.len(), new: from..done.bytes.len() });
    }
    Some(done)
}

/// Of several sections that go at the end the first takes the empty line that parts it from the one before.
fn last_empty_line(done: &mut Done) {
    let len = done.bytes.len();
    let first = done.changes.len() - done.changes.iter().rev().take_while(|c| c.new == (len..len)).count();
    if let Some(change) = done.changes.get_mut(first).filter(|_| done.bytes.ends_with(b"\n\n")) {
        change.old.start -= 1;
        done.bytes.pop();
        done.changes[first..].iter_mut().for_each(|c| c.new = len - 1..len - 1);
    }
}

/// The bytes of a package's file with these edits made.
///
/// # Errors
/// As [`super::commit()`], as far as the package tells.
pub fn edited(package: &Package, edits: &[Edit]) -> Result<Vec<u8>, Problem> {
    let steps = steps(package, edits)?;
    match at_once(package, &steps)? {
        Some(done) => Ok(done.bytes),
        None => one_by_one(package, &steps, &mut |_, _, _| {}).map(|editor| editor.file.bytes),
    }
}

/// Called with the file as it is, edits of one option, and the section that they mean.
pub(super) type Before<'b> = &'b mut dyn FnMut(&Editor, &[&Edit], Option<usize>);

/// Does the steps one after another. `before` sees them, the section that they mean and the file as it is then.
///
/// # Errors
/// A section is not there, or of another type; the file is too odd.
pub(super) fn one_by_one(
    package: &Package,
    steps: &[Step<'_>],
    before: Before<'_>,
) -> Result<Editor, Problem> {
    let mut editor = Editor::new(&package.name, package.bytes.clone())?;
    let mut gone: Vec<usize> = Vec::new();
    for step in steps {
        let Some(edit) = step.edits.first() else { continue };
        // One that was made by an edit before has a name.
        let named = || editor.file.parts.iter().position(|p| !p.anonymous && p.name == edit.section());
        let moved = |at: usize| at - gone.iter().filter(|gone| **gone < at).count();
        let target = step.target.map(moved).or_else(named);
        before(&editor, &step.edits, target);
        let mut meant = editor.file.parts.clone();
        editor.edit(&step.edits, target, &mut meant)?;
        if let (Edit::Drop { .. }, Some(at)) = (edit, step.target) {
            gone.push(at);
        }
        if !alike(&meant, &editor.file.parts) {
            let text = "the file is written too oddly for this change";
            return Err(Problem::of(&package.name, Cause::Value, text));
        }
    }
    Ok(editor)
}

pub(super) fn no_section(package: &str, edit: &Edit) -> Problem {
    Problem::of(package, Cause::Gone, format!("there is no section {}, or no longer", edit.section()))
}

pub(super) fn other_kind(package: &str, edit: &Edit, part: &Part) -> Problem {
    Problem::of(package, Cause::Value, format!("section {} is of type {}", edit.section(), part.kind))
}

/// Whether two packages say the same, whatever the order of options.
pub(super) fn alike(a: &[Part], b: &[Part]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Whether two sections say the same.
pub(super) fn same(a: &Part, b: &Part) -> bool {
    a.kind == b.kind
        && a.anonymous == b.anonymous
        && (a.anonymous || a.name == b.name)
        && a.options.len() == b.options.len()
        && a.options.iter().all(|(name, held)| b.get(name) == Some(held))
}
