//! What puts a change back, kept as bytes that any process understands.
//!
//! Of each edit is kept what it meant, and the bytes that it replaced with some of what stands around them.
//! Where those still stand so, the old bytes take their place again, comments and all, and the file is what
//! it was. Where somebody has changed the file since, what was meant is put back in the file as it is now.
//! What is as it was before needs nothing: to put back twice does no harm.

use super::edit::{self, Edit, Editor};
use super::file::{Held, MAX_ITEMS, Part};
use super::keys;
use super::package::Package;
use super::problem::{Cause, Problem};
use crate::sys::order;

/// So many bytes before and behind a change tell its place.
const CONTEXT: usize = 96;
/// So many places are tried where a change may have been made.
const MAX_PLACES: usize = 4;
/// First byte of what is saved; another one is another form.
const FORM: u8 = 1;

/// Bytes that were replaced.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Hunk {
    at: usize,
    ahead: Vec<u8>,
    old: Vec<u8>,
    new: Vec<u8>,
    behind: Vec<u8>,
}

/// What an edit meant, for its way back.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Back {
    /// An option: what it held and what it holds; of an item the edit that takes it back.
    Option { section: String, option: String, before: Option<Held>, after: Option<Held>, item: Option<Edit> },
    /// A section was made.
    Made { kind: String, name: String },
    /// A section was dropped: its text, the sections around it, and how many were like it, itself included.
    Dropped { text: Vec<u8>, before: String, behind: String, alike: usize },
}

/// Bytes that [`super::revert`] needs to put the edits back, in this process or another. Of edits that cannot
/// be done nothing is kept: they are not to be committed.
pub fn undo_of(package: &Package, edits: &[Edit]) -> Vec<u8> {
    let mut all: Vec<(Back, Hunk)> = Vec::new();
    let mut open: Option<(Back, Vec<u8>, Option<usize>)> = None;
    let mut close = |open: &mut Option<(Back, Vec<u8>, Option<usize>)>, now: &Editor| {
        let Some((mut back, old, target)) = open.take() else {
            return;
        };
        if let (Back::Option { section, .. }, Some(target)) = (&mut back, target) {
            *section = keys::key(&now.file.parts, target).into_owned();
        }
        all.extend(Hunk::between(&old, &now.file.bytes).map(|hunk| (back, hunk)));
    };
    let done = edit::apply(package, edits, &mut |now, edit, target| {
        close(&mut open, now);
        open = back(now, edit, target).map(|back| (back, now.file.bytes.clone(), target));
    });
    match done {
        Ok(now) => close(&mut open, &now),
        Err(_) => return vec![FORM],
    }
    let mut saved = vec![FORM];
    all.iter().for_each(|(back, hunk)| write(&mut saved, back, hunk));
    saved
}

/// Whether these edits could be made in a package as it was read.
///
/// # Errors
/// As [`super::commit`], as far as the package tells.
pub fn judge(package: &Package, edits: &[Edit]) -> Result<(), Problem> {
    edit::apply(package, edits, &mut |_, _, _| {}).map(drop)
}

fn back(now: &Editor, edit: &Edit, target: Option<usize>) -> Option<Back> {
    let part = target.and_then(|t| now.file.parts.get(t));
    match (edit, part) {
        (Edit::Make { kind, name }, None) => Some(Back::Made { kind: kind.clone(), name: name.clone() }),
        (Edit::Make { .. }, Some(_)) | (_, None) => None,
        (Edit::Drop { .. }, Some(part)) => {
            let (target, parts) = (target?, &now.file.parts);
            let bytes = |range: std::ops::Range<usize>| now.file.bytes.get(range).unwrap_or_default();
            let mut text: Vec<u8> = now.blocks(target).into_iter().flat_map(bytes).copied().collect();
            if section_of(&text).is_none_or(|read| !edit::same(&read, part)) {
                text = written(part);
            }
            let before = target.checked_sub(1).map_or(String::new(), |at| keys::key(parts, at).into_owned());
            let behind = keys::key(parts, target + 1).into_owned();
            let alike = parts.iter().filter(|p| edit::same(p, part)).count();
            Some(Back::Dropped { text, before, behind, alike })
        }
        (_, Some(part)) => {
            let option = edit.option()?.to_owned();
            let before = part.get(&option).cloned();
            let after = edit.outcome(before.as_ref());
            let item = match edit.clone() {
                Edit::AddItem { section, option, item } => Some(Edit::RemoveItem { section, option, item }),
                Edit::RemoveItem { section, option, item } => Some(Edit::AddItem { section, option, item }),
                _ => None,
            };
            Some(Back::Option { section: String::new(), option, before, after, item })
        }
    }
}

/// The one section that a text holds.
fn section_of(text: &[u8]) -> Option<Part> {
    let file = super::file::File::parse("", text.to_vec()).ok()?;
    match <[Part; 1]>::try_from(file.parts) {
        Ok([part]) => Some(part),
        Err(_) => None,
    }
}

/// A section as libuci would write it.
fn written(part: &Part) -> Vec<u8> {
    let mut text = format!("config {}", part.kind).into_bytes();
    if !part.anonymous {
        text.push(b' ');
        text.extend(edit::quoted(&part.name));
    }
    text.push(b'\n');
    for (name, held) in &part.options {
        let (word, values) = match held {
            Held::One(value) => ("option", std::slice::from_ref(value)),
            Held::Many(items) => ("list", items.as_slice()),
        };
        for value in values {
            text.extend_from_slice(format!("\t{word} {name} ").as_bytes());
            text.extend(edit::quoted(value));
            text.push(b'\n');
        }
    }
    text
}

/// The bytes of the file with everything put back.
pub(super) fn put_back(name: &str, bytes: Vec<u8>, saved: &[u8]) -> Result<Vec<u8>, Problem> {
    let damaged = || Problem::of(name, Cause::Damaged, "what was saved for the way back is damaged");
    let mut all = Vec::new();
    let mut reader = Reader(saved);
    if reader.byte().is_none_or(|form| form != FORM) {
        return Err(damaged());
    }
    while !reader.0.is_empty() {
        all.push(reader.entry().ok_or_else(damaged)?);
    }
    let mut editor = Editor::new(&super::path(name), bytes)?;
    for (back, hunk) in all.iter().rev() {
        let Some(meant) = back.meant(&editor.file.parts) else {
            continue;
        };
        let mut whole = None;
        hunk.undone(&editor.file.bytes, |old| {
            whole = Editor::new(&super::path(name), old).ok().filter(|e| back.is_done(&meant, &e.file.parts));
            whole.is_some()
        });
        match whole {
            Some(whole) => editor = whole,
            None => back.redo(&mut editor, meant)?,
        }
    }
    Ok(editor.file.bytes)
}

/// What is to be done to put something back.
enum Meant {
    Put { at: usize, held: Option<Held>, parts: Vec<Part> },
    Drop { at: usize, parts: Vec<Part> },
    Insert { part: Box<Part>, parts: Vec<Part> },
}

impl Back {
    /// What is to be done in a file of these sections; `None` when nothing is.
    fn meant(&self, parts: &[Part]) -> Option<Meant> {
        match self {
            Back::Option { section, option, before, after, item } => {
                let at = keys::find(parts, section, false)?;
                let now = parts.get(at)?.get(option);
                let held = match item {
                    Some(item) if now != after.as_ref() => item.outcome(now),
                    _ => before.clone(),
                };
                if held.as_ref() == now {
                    return None;
                }
                let mut parts = parts.to_vec();
                parts.get_mut(at)?.put(option, held.clone());
                Some(Meant::Put { at, held, parts })
            }
            Back::Made { kind, name } => {
                let at = parts.iter().position(|p| !p.anonymous && p.name == *name && p.kind == *kind)?;
                let mut parts = parts.to_vec();
                parts.remove(at);
                Some(Meant::Drop { at, parts })
            }
            Back::Dropped { text, alike, .. } => {
                let part = section_of(text)?;
                let there = match part.anonymous {
                    true => parts.iter().filter(|p| edit::same(p, &part)).count() >= *alike,
                    false => parts.iter().any(|p| p.name == part.name),
                };
                (!there).then(|| Meant::Insert { part: Box::new(part), parts: parts.to_vec() })
            }
        }
    }

    /// Whether a file of these sections is what is meant.
    fn is_done(&self, meant: &Meant, parts: &[Part]) -> bool {
        match meant {
            Meant::Put { parts: meant, .. } | Meant::Drop { parts: meant, .. } => edit::alike(meant, parts),
            Meant::Insert { part, parts: others } => {
                let at = others.iter().zip(parts).take_while(|(a, b)| edit::same(a, b)).count();
                let rest = parts.get(at + 1..).unwrap_or_default();
                parts.get(at).is_some_and(|p| edit::same(p, part)) && edit::alike(&others[at..], rest)
            }
        }
    }

    /// Puts it back in a file that somebody else has changed.
    fn redo(&self, editor: &mut Editor, meant: Meant) -> Result<(), Problem> {
        match (self, meant) {
            (Back::Option { option, .. }, Meant::Put { at, held, .. }) => {
                editor.put(at, option, held.as_ref())
            }
            (Back::Dropped { text, before, behind, .. }, _) => {
                let find = |key: &str| keys::find(&editor.file.parts, key, false).filter(|_| !key.is_empty());
                let behind_of = |at: usize| editor.blocks(at).last().map(|r| r.end);
                let before_of = |at: usize| editor.blocks(at).first().map(|r| r.start);
                let at = find(before).and_then(behind_of).or_else(|| find(behind).and_then(before_of));
                let at = at.unwrap_or(editor.file.bytes.len());
                let mut text = text.clone();
                if at > 0 && editor.file.bytes.get(at - 1) != Some(&b'\n') {
                    text.insert(0, b'\n');
                }
                if text.last() != Some(&b'\n') {
                    text.push(b'\n');
                }
                editor.splice(vec![(at..at, text)])
            }
            (_, Meant::Drop { at, .. }) => editor.drop_section(at),
            _ => Ok(()),
        }
    }
}

impl Hunk {
    /// What differs between two texts; `None` when nothing does.
    fn between(old: &[u8], new: &[u8]) -> Option<Hunk> {
        let at = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let (a, b) = (&old[at..], &new[at..]);
        let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
        let end = at + b.len();
        (!a.is_empty() || !b.is_empty()).then(|| Hunk {
            at,
            ahead: new[at.saturating_sub(CONTEXT)..at].to_vec(),
            old: a.to_vec(),
            new: b.to_vec(),
            behind: new[end..(end + CONTEXT).min(new.len())].to_vec(),
        })
    }

    /// The text with the old bytes in their place again: where most around is as it was, and nearest to where
    /// it stood, first.
    fn undone(&self, text: &[u8], mut accept: impl FnMut(Vec<u8>) -> bool) -> bool {
        let line = |bytes: &[u8]| bytes.iter().take_while(|b| **b != b'\n').count();
        let lines = |bytes: &[u8]| bytes.iter().rev().take_while(|b| **b != b'\n').count();
        // All that is known of the surroundings, the same line, nothing.
        let levels =
            [(self.ahead.len(), self.behind.len()), (lines(&self.ahead), line(&self.behind)), (0, 0)];
        levels.into_iter().any(|(ahead, behind)| {
            let before = self.ahead.get(self.ahead.len() - ahead..).unwrap_or_default();
            let found = [before, &self.new, self.behind.get(..behind).unwrap_or_default()].concat();
            let is_at =
                |at: &usize| !found.is_empty() && text.get(*at..).is_some_and(|t| t.starts_with(&found));
            let mut places: Vec<usize> = (0..=text.len()).filter(is_at).map(|at| at + ahead).collect();
            order::sort_by(&mut places, |a, b| a.abs_diff(self.at).cmp(&b.abs_diff(self.at)));
            places.into_iter().take(MAX_PLACES).any(|at| {
                let (head, tail) = (text.get(..at), text.get(at + self.new.len()..));
                accept([head.unwrap_or_default(), &self.old, tail.unwrap_or_default()].concat())
            })
        })
    }
}

/// Writes an entry: numbers in four bytes, texts behind their length.
fn write(out: &mut Vec<u8>, back: &Back, hunk: &Hunk) {
    match back {
        Back::Option { section, option, before, after, item } => {
            let (tag, item) = match item {
                Some(Edit::RemoveItem { item, .. }) => (b'+', item.as_str()),
                Some(Edit::AddItem { item, .. }) => (b'-', item.as_str()),
                _ => (b'=', ""),
            };
            out.push(tag);
            [section.as_str(), option, item].iter().for_each(|t| text(out, t.as_bytes()));
            [before, after].iter().for_each(|held| write_held(out, held.as_ref()));
        }
        Back::Made { kind, name } => {
            out.push(b'm');
            [kind, name].iter().for_each(|t| text(out, t.as_bytes()));
        }
        Back::Dropped { text: block, before, behind, alike } => {
            out.push(b'd');
            [block.as_slice(), before.as_bytes(), behind.as_bytes()].iter().for_each(|t| text(out, t));
            number(out, *alike);
        }
    }
    number(out, hunk.at);
    [&hunk.ahead, &hunk.old, &hunk.new, &hunk.behind].iter().for_each(|t| text(out, t));
}

fn write_held(out: &mut Vec<u8>, held: Option<&Held>) {
    let (count, items) = match held {
        None => (0, &[][..]),
        Some(Held::One(value)) => (1, std::slice::from_ref(value)),
        // No list has so few.
        Some(Held::Many(items)) => (items.len() + 2, items.as_slice()),
    };
    number(out, count);
    items.iter().for_each(|item| text(out, item.as_bytes()));
}

fn number(out: &mut Vec<u8>, n: usize) {
    // No file is as long as that.
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads entries.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number) as usize)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    fn held(&mut self) -> Option<Option<Held>> {
        Some(match self.number()? {
            0 => None,
            1 => Some(Held::One(self.text()?)),
            n if n - 2 <= MAX_ITEMS => {
                let mut items = Vec::new();
                for _ in 0..n - 2 {
                    items.push(self.text()?);
                }
                Some(Held::Many(items))
            }
            _ => return None,
        })
    }

    fn entry(&mut self) -> Option<(Back, Hunk)> {
        let back = match self.byte()? {
            tag @ (b'+' | b'-' | b'=') => {
                let (section, option, item) = (self.text()?, self.text()?, self.text()?);
                let (before, after) = (self.held()?, self.held()?);
                let (s, o) = (String::new(), String::new());
                let item = match tag {
                    b'+' => Some(Edit::RemoveItem { section: s, option: o, item }),
                    b'-' => Some(Edit::AddItem { section: s, option: o, item }),
                    _ => None,
                };
                Back::Option { section, option, before, after, item }
            }
            b'm' => Back::Made { kind: self.text()?, name: self.text()? },
            b'd' => Back::Dropped {
                text: self.bytes()?,
                before: self.text()?,
                behind: self.text()?,
                alike: self.number()?,
            },
            _ => return None,
        };
        let at = self.number()?;
        let (ahead, old) = (self.bytes()?, self.bytes()?);
        Some((back, Hunk { at, ahead, old, new: self.bytes()?, behind: self.bytes()? }))
    }
}
