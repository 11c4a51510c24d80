//! What puts a change back, kept as bytes that any process understands.
//!
//! Of each edit is kept what it meant, and the bytes that it replaced with some of what stands around them.
//! Where those still stand so, the old bytes take their place again, comments and all, and the file is what
//! it was. Where somebody has changed the file since, what was meant is put back in the file as it is now.
//! What is as it was before needs nothing: to put back twice does no harm.

use super::batch::{self, Done, Step};
use super::edit::{self, Edit};
use super::editor::Editor;
use super::file::{File, Held, Part};
use super::keys::{self, Finder};
use super::lines;
use super::package::Package;
use super::problem::{Cause, Problem};
use super::record::{Back, Hunk, Reader, SUM, write, write_keys, write_sum};
use crate::sys::order;
use crate::sys::sorted::SortedMap;
use std::borrow::Cow;
use std::ops::Range;

/// So many bytes before and behind a change tell its place.
const CONTEXT: usize = 96;
/// So many places are tried where a change may have been made.
const MAX_PLACES: usize = 4;
/// First byte of what is saved; another one is another form.
const FORM: u8 = 1;

/// Bytes that [`super::revert`] needs to put the edits back, in this process or another. Of edits that cannot
/// be done nothing is kept: they are not to be committed.
pub fn undo_of(package: &Package, edits: &[Edit]) -> Vec<u8> {
    let kept = keep(package, edits).ok().filter(|kept| !kept.all.is_empty());
    let mut saved = vec![FORM];
    let Some(kept) = kept else { return saved };
    let touched = kept.sections.iter().map(|(at, _)| *at);
    // Where it cannot tell before from after it is not asked.
    let before = Some(keys::fingerprint(&kept.before)).filter(|b| *b != keys::fingerprint(&kept.after));
    write_keys(&mut saved, before.unwrap_or(0), &keys::around(&kept.after, touched));
    let (old, new) = (keys::all(&kept.before), keys::all(&kept.after));
    let counts = keys::counts(&old);
    for (mut back, hunk, section) in kept.all {
        if let (Back::Option { sections, alike, .. }, Some((at, from))) =
            (&mut back, kept.sections.get(section))
            && let (Some(old), Some(new)) = (old.get(*from), new.get(*at))
        {
            *alike = counts.get(&keys::content(old)).copied().unwrap_or(0);
            *sections = [old.to_string(), new.to_string()];
        }
        write(&mut saved, &back, &hunk);
    }
    write_sum(&mut saved, sum(&package.bytes));
    saved
}

/// What a text is known by.
fn sum(bytes: &[u8]) -> u64 {
    keys::fold(keys::fold(0xcbf2_9ce4_8422_2325, &bytes.len().to_le_bytes()), bytes)
}

/// What is kept of edits that are made.
struct Kept {
    /// Ways back, with the place in `sections` of what they change.
    all: Vec<(Back, Hunk, usize)>,
    /// Of each section whose options change: where it is afterwards, and where it was.
    sections: Vec<(usize, usize)>,
    /// The sections that there were (and those made on the way), and those that there are.
    before: Vec<Part>,
    after: Vec<Part>,
}

fn keep(package: &Package, edits: &[Edit]) -> Result<Kept, Problem> {
    let steps = batch::steps(package, edits)?;
    if let Some(done) = batch::at_once(package, &steps)? {
        return Ok(kept_at_once(package.file()?, &steps, done));
    }
    let mut saving = Saving::default();
    let now = batch::one_by_one(package, &steps, &mut |now, edits, target| {
        saving.close(now);
        saving.begin(now, edits, target);
    })?;
    saving.close(&now);
    Ok(Kept { all: saving.all, sections: saving.sections, before: saving.parts, after: now.file.parts })
}

/// Of steps that were done at once: put back from the beginning of the file to its end, so the last one first.
fn kept_at_once(file: &File, steps: &[Step<'_>], done: Done) -> Kept {
    let dropped = |step: &&Step<'_>| matches!(step.edits.first(), Some(Edit::Drop { .. }));
    let mut gone: Vec<usize> = steps.iter().filter(dropped).filter_map(|step| step.target).collect();
    order::sort(&mut gone);
    let mut sections = Vec::new();
    let mut known = SortedMap::new();
    let mut all = Vec::new();
    for change in done.changes.iter().rev() {
        let Some(step) = steps.get(change.step) else { continue };
        let Some(back) = back(file, &step.edits, step.target) else { continue };
        let mut section = usize::MAX;
        if let (Back::Option { .. }, Some(at)) = (&back, step.target) {
            section = *known.entry(at).or_insert_with(|| {
                sections.push((at - gone.partition_point(|gone| *gone < at), at));
                sections.len() - 1
            });
        }
        let hunk = Hunk::of((&file.bytes, change.old.clone()), (&done.bytes, change.new.clone()));
        all.extend(hunk.map(|hunk| (back, hunk, section)));
    }
    Kept { all, sections, before: file.parts.clone(), after: done.parts }
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
        self.open = back(&now.file, edits, target).map(|back| (back, now.file.bytes.clone(), section));
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
    batch::edited(package, edits).map(drop)
}

/// The way back of edits of one option in a file as it is.
fn back(file: &File, edits: &[&Edit], target: Option<usize>) -> Option<Back> {
    let part = target.and_then(|t| file.parts.get(t));
    match (edits.first()?, part) {
        (Edit::Make { kind, name }, None) => Some(Back::Made { kind: kind.clone(), name: name.clone() }),
        (Edit::Make { .. }, Some(_)) | (_, None) => None,
        (Edit::Drop { .. }, Some(part)) => {
            let (target, parts) = (target?, &file.parts);
            let bytes = |range: std::ops::Range<usize>| file.bytes.get(range).unwrap_or_default();
            let mut text: Vec<u8> = file.blocks(target).into_iter().flat_map(bytes).copied().collect();
            if section_of(&text).is_none_or(|read| !batch::same(&read, part)) {
                text = lines::written(part);
            }
            let before = target.checked_sub(1).map_or(String::new(), |at| keys::key(parts, at).into_owned());
            let behind = keys::key(parts, target + 1).into_owned();
            let alike = parts.iter().filter(|p| batch::same(p, part)).count();
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
    let file = File::parse("", text.to_vec()).ok()?;
    match <[Part; 1]>::try_from(file.parts) {
        Ok([part]) => Some(part),
        Err(_) => None,
    }
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
    let mut had: Vec<String> = Vec::new();
    let mut before = 0;
    if !reader.0.is_empty() {
        before = reader.long().ok_or_else(damaged)?;
        had = reader.keys().ok_or_else(damaged)?;
        while let Some(tag) = reader.byte() {
            if tag == SUM {
                let was = reader.long().ok_or_else(damaged)?;
                if let Some(text) = as_it_was(&bytes, &all, was) {
                    return Ok(text);
                }
                continue;
            }
            all.push(reader.entry(tag).ok_or_else(damaged)?);
        }
    }
    let mut editor = Editor::new(name, bytes)?;
    if !all.is_empty() {
        // Those without names are as they were: what they are called now is no sign.
        if keys::fingerprint(&editor.file.parts) == before {
            all.retain(|(back, _)| !back.is_anonymous());
        }
    }
    // Where the sections are whose options are put back: found before anything changes.
    let now = keys::all(&editor.file.parts);
    let finding = Finding { keys: &now, counts: keys::counts(&now), finder: Finder::new(&editor.file.parts) };
    let mut places: Vec<Option<usize>> = all.iter().map(|(back, _)| back.place(&finding, &had)).collect();
    for (n, (back, hunk)) in all.iter().enumerate().rev() {
        let Some(meant) = back.meant(&editor.file.parts, places[n]) else {
            continue;
        };
        let mut whole = None;
        hunk.undone(&editor.file.bytes, |old| {
            whole = Editor::new(name, old).ok().filter(|e| meant.is_done(&e.file.parts));
            whole.is_some()
        });
        let before = editor.file.parts.len();
        match whole {
            Some(whole) => editor = whole,
            None => back.redo(&mut editor, &meant)?,
        }
        let now = &editor.file.parts;
        let moved = meant.parts().iter().zip(now).take_while(|(a, b)| batch::same(a, b)).count();
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

/// The text that there was, where nobody has touched what came of it: all hunks fit in their places.
fn as_it_was(bytes: &[u8], all: &[(Back, Hunk)], was: u64) -> Option<Vec<u8>> {
    if sum(bytes) == was {
        return Some(bytes.to_vec());
    }
    let mut text = bytes.to_vec();
    for (_, hunk) in all.iter().rev() {
        let end = hunk.at.checked_add(hunk.new.len())?;
        if text.get(hunk.at..end)? != hunk.new {
            return None;
        }
        text.splice(hunk.at..end, hunk.old.iter().copied());
    }
    (sum(&text) == was).then_some(text)
}

/// Where sections are found.
struct Finding<'a> {
    keys: &'a [Cow<'a, str>],
    counts: SortedMap<(&'a str, &'a str), usize>,
    finder: Finder<'a>,
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
            return batch::alike(self.parts(), parts);
        };
        let at = others.iter().zip(parts).take_while(|(a, b)| batch::same(a, b)).count();
        let rest = parts.get(at + 1..).unwrap_or_default();
        parts.get(at).is_some_and(|p| batch::same(p, part)) && batch::alike(&others[at..], rest)
    }
}

impl Back {
    /// Where the section is whose option is to be put back; `None` as well when it is as it was before.
    fn place(&self, finding: &Finding<'_>, had: &[String]) -> Option<usize> {
        let Back::Option { sections: [old, new], alike, .. } = self else {
            return None;
        };
        let stands = |key: &str| finding.finder.find_each(key).is_some_and(|at| finding.keys[at] == *key);
        let count = finding.counts.get(&keys::content(old)).copied().unwrap_or(0);
        let is_back = old != new && (stands(old) || count >= *alike);
        let Some(at) = had.iter().position(|key| key == new).filter(|_| !stands(new)) else {
            return finding.finder.find_each(new);
        };
        if is_back {
            return None;
        }
        // It was changed: what it is now tell its neighbours, too.
        let had: Vec<&str> = had.iter().map(String::as_str).collect();
        let now: Vec<&str> = finding.keys.iter().map(|key| key.as_ref()).collect();
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
                    true => parts.iter().filter(|p| batch::same(p, &part)).count() >= *alike,
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
                let behind_of = |at: usize| editor.file.blocks(at).last().map(|r| r.end);
                let before_of = |at: usize| editor.file.blocks(at).first().map(|r| r.start);
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
    /// The part of a text that came in the place of a part of another; `None` when they are the same. What is
    /// ahead is as it was, what is behind as it is.
    fn of(old: (&[u8], Range<usize>), new: (&[u8], Range<usize>)) -> Option<Hunk> {
        let (before, mut was) = old;
        let (after, mut is) = new;
        let (a, b) = (before.get(was.clone())?, after.get(is.clone())?);
        let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[head..], &b[head..]);
        let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        was = was.start + head..was.end - tail;
        is = is.start + head..is.end - tail;
        (!was.is_empty() || !is.is_empty()).then(|| Hunk {
            at: was.start,
            ahead: before[was.start.saturating_sub(CONTEXT)..was.start].to_vec(),
            old: before[was].to_vec(),
            behind: after[is.end..(is.end + CONTEXT).min(after.len())].to_vec(),
            new: after[is].to_vec(),
        })
    }

    /// What differs between two texts; `None` when nothing does.
    fn between(old: &[u8], new: &[u8]) -> Option<Hunk> {
        Hunk::of((old, 0..old.len()), (new, 0..new.len()))
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
