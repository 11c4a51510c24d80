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
use std::borrow::Cow;

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
    /// An option: what it held and what it holds; of items the edits that take them back.
    Option {
        /// The section's key before and after all edits.
        sections: [String; 2],
        /// How many held the same before, itself included.
        alike: usize,
        option: String,
        before: Option<Held>,
        after: Option<Held>,
        /// Empty when the whole was set.
        items: Vec<Edit>,
    },
    /// A section was made.
    Made { kind: String, name: String },
    /// A section was dropped: its text, the sections around it, and how many were like it, itself included.
    Dropped { text: Vec<u8>, before: String, behind: String, alike: usize },
}

/// Bytes that [`super::revert`] needs to put the edits back, in this process or another. Of edits that cannot
/// be done nothing is kept: they are not to be committed.
pub fn undo_of(package: &Package, edits: &[Edit]) -> Vec<u8> {
    let mut saving = Saving::default();
    let done = edit::apply(package, edits, &mut |now, edits, target| {
        saving.close(now);
        saving.begin(now, edits, target);
    });
    let mut saved = vec![FORM];
    if let Ok(now) = done {
        saving.close(&now);
        if saving.all.is_empty() {
            return saved;
        }
        let touched = saving.sections.iter().map(|(at, _)| *at);
        // Where it cannot tell before from after it is not asked.
        let before =
            Some(keys::fingerprint(&saving.parts)).filter(|b| *b != keys::fingerprint(&now.file.parts));
        write_keys(&mut saved, before.unwrap_or(0), &keys::around(&now.file.parts, touched));
        for (mut back, hunk, section) in saving.all {
            if let (Back::Option { sections, alike, .. }, Some((at, old))) =
                (&mut back, saving.sections.get(section))
            {
                let before = keys::key(&saving.parts, *old);
                *alike = keys::count(&saving.parts, &before);
                *sections = [before.into_owned(), keys::key(&now.file.parts, *at).into_owned()];
            }
            write(&mut saved, &back, &hunk);
        }
    }
    saved
}

/// What is kept while edits are made.
#[derive(Default)]
struct Saving {
    all: Vec<(Back, Hunk, usize)>,
    /// What is being done: its way back, the bytes before, and which of `sections` it changes.
    open: Option<(Back, Vec<u8>, usize)>,
    /// Of each section whose options change: where it stands at the moment, and where it stood before.
    sections: Vec<(usize, usize)>,
    /// The sections before, with those that are made since.
    parts: Vec<Part>,
    /// Of each section that there is at the moment, where it stood before.
    origin: Vec<usize>,
}

impl Saving {
    fn begin(&mut self, now: &Editor, edits: &[&Edit], target: Option<usize>) {
        if self.parts.is_empty() {
            self.parts.clone_from(&now.file.parts);
            self.origin = (0..self.parts.len()).collect();
        }
        for made in now.file.parts.iter().skip(self.origin.len()) {
            self.origin.push(self.parts.len());
            self.parts.push(made.clone());
        }
        let mut section = usize::MAX;
        if let Some(target) = target {
            if let Some(Edit::Drop { .. }) = edits.first() {
                self.sections.iter_mut().for_each(|(at, _)| *at -= usize::from(*at > target));
                self.origin.remove(target);
            } else {
                let known = self.sections.iter().position(|(at, _)| *at == target);
                section = known.unwrap_or_else(|| {
                    self.sections.push((target, self.origin[target]));
                    self.sections.len() - 1
                });
            }
        }
        self.open = back(now, edits, target).map(|back| (back, now.file.bytes.clone(), section));
    }

    fn close(&mut self, now: &Editor) {
        if let Some((back, old, section)) = self.open.take() {
            self.all.extend(Hunk::between(&old, &now.file.bytes).map(|hunk| (back, hunk, section)));
        }
    }
}

/// Whether these edits could be made in a package as it was read.
///
/// # Errors
/// As [`super::commit()`], as far as the package tells.
pub fn judge(package: &Package, edits: &[Edit]) -> Result<(), Problem> {
    edit::edited(package, edits).map(drop)
}

fn back(now: &Editor, edits: &[&Edit], target: Option<usize>) -> Option<Back> {
    let part = target.and_then(|t| now.file.parts.get(t));
    match (edits.first()?, part) {
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
        (edit, Some(part)) => {
            let option = edit.option()?.to_owned();
            let before = part.get(&option).cloned();
            let after = edit::outcome(edits, before.as_ref());
            let item = |edit: &&Edit| match (*edit).clone() {
                Edit::AddItem { section, option, item } => Some(Edit::RemoveItem { section, option, item }),
                Edit::RemoveItem { section, option, item } => Some(Edit::AddItem { section, option, item }),
                _ => None,
            };
            // The last one first; with another edit among them it was the whole.
            let items: Option<Vec<Edit>> = edits.iter().rev().map(item).collect();
            Some(Back::Option {
                sections: Default::default(),
                alike: 0,
                option,
                before,
                after,
                items: items.unwrap_or_default(),
            })
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

/// The bytes of a package's file with everything put back that [`undo_of`] saved.
///
/// # Errors
/// As [`super::revert`], as far as the bytes tell.
pub fn put_back(name: &str, bytes: Vec<u8>, saved: &[u8]) -> Result<Vec<u8>, Problem> {
    let damaged = || Problem::of(name, Cause::Damaged, "what was saved for the way back is damaged");
    let mut all = Vec::new();
    let mut reader = Reader(saved);
    if reader.byte().is_none_or(|form| form != FORM) {
        return Err(damaged());
    }
    let mut editor = Editor::new(&super::path(name), bytes)?;
    let mut had: Vec<String> = Vec::new();
    if !reader.0.is_empty() {
        let before = reader.long().ok_or_else(damaged)?;
        had = reader.keys().ok_or_else(damaged)?;
        while let Some(tag) = reader.byte() {
            all.push(reader.entry(tag).ok_or_else(damaged)?);
        }
        // Those without names are as they were: what they are called now is no sign.
        if keys::fingerprint(&editor.file.parts) == before {
            all.retain(|(back, _)| !back.is_anonymous());
        }
    }
    // Where the sections are whose options are put back: found before anything changes.
    let mut places: Vec<Option<usize>> =
        all.iter().map(|(back, _)| back.place(&editor.file.parts, &had)).collect();
    for (n, (back, hunk)) in all.iter().enumerate().rev() {
        let Some(meant) = back.meant(&editor.file.parts, places[n]) else {
            continue;
        };
        let mut whole = None;
        hunk.undone(&editor.file.bytes, |old| {
            whole = Editor::new(&super::path(name), old).ok().filter(|e| meant.is_done(&e.file.parts));
            whole.is_some()
        });
        let before = editor.file.parts.len();
        match whole {
            Some(whole) => editor = whole,
            None => back.redo(&mut editor, &meant)?,
        }
        let now = &editor.file.parts;
        let moved = meant.parts().iter().zip(now).take_while(|(a, b)| edit::same(a, b)).count();
        for place in &mut places {
            *place = match *place {
                Some(at) if now.len() > before && at >= moved => Some(at + 1),
                Some(at) if now.len() < before && Some(at) > meant.dropped() => Some(at - 1),
                Some(at) if now.len() < before && Some(at) == meant.dropped() => None,
                same => same,
            };
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

impl Meant {
    /// The sections that there shall be; without one that is to be inserted.
    fn parts(&self) -> &[Part] {
        match self {
            Meant::Put { parts, .. } | Meant::Drop { parts, .. } | Meant::Insert { parts, .. } => parts,
        }
    }

    fn dropped(&self) -> Option<usize> {
        match self {
            Meant::Drop { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Whether a file of these sections is what is meant.
    fn is_done(&self, parts: &[Part]) -> bool {
        let Meant::Insert { part, parts: others } = self else {
            return edit::alike(self.parts(), parts);
        };
        let at = others.iter().zip(parts).take_while(|(a, b)| edit::same(a, b)).count();
        let rest = parts.get(at + 1..).unwrap_or_default();
        parts.get(at).is_some_and(|p| edit::same(p, part)) && edit::alike(&others[at..], rest)
    }
}

impl Back {
    /// Where the section is whose option is to be put back; `None` as well when it is as it was before.
    fn place(&self, parts: &[Part], had: &[String]) -> Option<usize> {
        let Back::Option { sections: [old, new], alike, .. } = self else {
            return None;
        };
        let stands = |key: &str| (0..parts.len()).any(|at| keys::key(parts, at) == key);
        let is_back = old != new && (stands(old) || keys::count(parts, old) >= *alike);
        let Some(at) = had.iter().position(|key| key == new).filter(|_| !stands(new)) else {
            return keys::find(parts, new, false);
        };
        if is_back {
            return None;
        }
        // It was changed: what it is now tell its neighbours, too.
        let now: Vec<Cow<'_, str>> = (0..parts.len()).map(|at| keys::key(parts, at)).collect();
        let [had, now] = [
            had.iter().map(String::as_str).collect::<Vec<_>>(),
            now.iter().map(|key| key.as_ref()).collect::<Vec<_>>(),
        ];
        keys::align(&had, &now).get(at).copied().flatten()
    }

    /// Whether it is of a section without a name.
    fn is_anonymous(&self) -> bool {
        match self {
            Back::Option { sections, .. } => sections[0].starts_with('@'),
            Back::Made { .. } => false,
            Back::Dropped { text, .. } => section_of(text).is_some_and(|part| part.anonymous),
        }
    }

    /// What is to be done in a file of these sections; `None` when nothing is.
    fn meant(&self, parts: &[Part], place: Option<usize>) -> Option<Meant> {
        match self {
            Back::Option { option, before, after, items, .. } => {
                let at = place?;
                let now = parts.get(at)?.get(option);
                if now == before.as_ref() {
                    return None;
                }
                let held = match items.is_empty() || now == after.as_ref() {
                    true => before.clone(),
                    false => edit::outcome(&items.iter().collect::<Vec<_>>(), now),
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

    /// Puts it back in a file that somebody else has changed.
    fn redo(&self, editor: &mut Editor, meant: &Meant) -> Result<(), Problem> {
        match (self, meant) {
            (Back::Option { option, .. }, Meant::Put { at, held, .. }) => {
                editor.put(*at, option, held.as_ref())
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
            (_, Meant::Drop { at, .. }) => editor.drop_section(*at),
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
            // Nothing is everywhere.
            let is_at = |at: &usize| {
                let here = text.get(*at..).is_some_and(|t| t.starts_with(&found));
                here && (!found.is_empty() || *at == self.at)
            };
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
        Back::Option { sections: [old, new], alike, option, before, after, items } => {
            out.push(b'o');
            [old, new, option].iter().for_each(|t| text(out, t.as_bytes()));
            [before, after].iter().for_each(|held| write_held(out, held.as_ref()));
            number(out, *alike);
            number(out, items.len());
            for edit in items {
                match edit {
                    Edit::AddItem { item, .. } => text(out, format!("+{item}").as_bytes()),
                    Edit::RemoveItem { item, .. } => text(out, format!("-{item}").as_bytes()),
                    // Nothing else is among them.
                    _ => text(out, b""),
                }
            }
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

/// Writes by what the anonymous sections are known that were there before, and keys of those that are there now.
fn write_keys(out: &mut Vec<u8>, before: u64, now: &[String]) {
    out.extend_from_slice(&before.to_le_bytes());
    number(out, now.len());
    now.iter().for_each(|key| text(out, key.as_bytes()));
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

    fn long(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
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

    fn keys(&mut self) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        for _ in 0..self.number()? {
            keys.push(self.text()?);
        }
        Some(keys)
    }

    fn entry(&mut self, tag: u8) -> Option<(Back, Hunk)> {
        let back = match tag {
            b'o' => {
                let sections = [self.text()?, self.text()?];
                let (option, before, after) = (self.text()?, self.held()?, self.held()?);
                let alike = self.number()?;
                let mut items = Vec::new();
                for _ in 0..self.number()? {
                    let text = self.text()?;
                    let (section, option) = (String::new(), String::new());
                    items.push(match (text.strip_prefix('+'), text.strip_prefix('-')) {
                        (Some(item), _) => Edit::AddItem { section, option, item: item.to_owned() },
                        (_, Some(item)) => Edit::RemoveItem { section, option, item: item.to_owned() },
                        _ => return None,
                    });
                }
                Back::Option { sections, alike, option, before, after, items }
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
