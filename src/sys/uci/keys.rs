//! By what a section is found again: its name; an anonymous one by its type and place and by what is in it.
//!
//! A key of an anonymous section is `@rule[2]~` and a *print*: three letters for each option, the first of
//! its name, the others of what it holds, in an order of their own. So a key tells whether a section is the
//! same one still, and of one that was edited how much of it is left. Quotes, comments and the order of
//! options do not count. `@rule[2]` alone is a place, whatever stands there.

use super::file::{Held, Part};
use crate::sys::order;
use crate::sys::sorted::{SortedMap, SortedSet};
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

/// The most options that a print tells of.
const MAX_PRINT: usize = 32;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A key, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    Named(&'a str),
    /// Type (empty: any), place (from the end when negative), and print.
    Nth(&'a str, i32, Option<&'a str>),
}

impl<'a> Key<'a> {
    pub fn parse(key: &'a str) -> Option<Key<'a>> {
        let Some(rest) = key.strip_prefix('@') else {
            return Some(Key::Named(key));
        };
        // A type may hold brackets and tildes of its own, a print has none.
        let (place, print) = match rest.rsplit_once("]~") {
            Some((place, print)) => (place, Some(print)),
            None => (rest.strip_suffix(']')?, None),
        };
        let (kind, n) = place.rsplit_once('[')?;
        Some(Key::Nth(kind, n.parse().ok()?, print))
    }
}

/// The key of the section at a position; empty where there is none.
pub(super) fn key(parts: &[Part], at: usize) -> Cow<'_, str> {
    match parts.get(at) {
        Some(part) if part.anonymous => {
            let nth = parts.iter().take(at).filter(|p| p.kind == part.kind).count();
            Cow::Owned(format!("@{}[{nth}]~{}", part.kind, part.print()))
        }
        part => Cow::Borrowed(part.map_or("", |p| &p.name)),
    }
}

/// The keys of all sections.
pub(super) fn all(parts: &[Part]) -> Vec<Cow<'_, str>> {
    let mut counts: SortedMap<&str, usize> = SortedMap::new();
    let key = |part| key_of(part, &mut counts);
    parts.iter().map(key).collect()
}

/// The key of a section, from how many there are of each type before it.
fn key_of<'a>(part: &'a Part, counts: &mut SortedMap<&'a str, usize>) -> Cow<'a, str> {
    let count = counts.entry(&part.kind).or_default();
    let nth = std::mem::replace(count, *count + 1);
    match part.anonymous {
        true => Cow::Owned(format!("@{}[{nth}]~{}", part.kind, part.print())),
        false => Cow::Borrowed(&part.name),
    }
}

/// The section that a key means; unless `loose`, one that has a print only where most of it is as it was.
pub(super) fn find(parts: &[Part], key: &str, loose: bool) -> Option<usize> {
    Finder::new(parts).find(key, loose)
}

/// Finds sections of one package.
pub(super) struct Finder<'a> {
    parts: &'a [Part],
    /// Made when they are needed: nearly always a section is where it was.
    prints: RefCell<SortedMap<&'a str, Vec<Option<String>>>>,
    names: OnceCell<SortedMap<&'a str, usize>>,
}

impl<'a> Finder<'a> {
    pub fn new(parts: &'a [Part]) -> Finder<'a> {
        Finder { parts, prints: RefCell::default(), names: OnceCell::new() }
    }

    /// As [`find`]; for many keys.
    pub fn find_each(&self, key: &str) -> Option<usize> {
        match Key::parse(key)? {
            Key::Named(name) => {
                let names = || {
                    SortedMap::from_iter(self.parts.iter().enumerate().rev().map(|(at, p)| (&*p.name, at)))
                };
                self.names.get_or_init(names).get(name).copied()
            }
            Key::Nth(..) => self.find(key, false),
        }
    }

    /// As [`find`].
    pub fn find(&self, key: &str, loose: bool) -> Option<usize> {
        let parts = self.parts;
        let (kind, n, print) = match Key::parse(key)? {
            Key::Named(name) => return parts.iter().position(|p| p.name == name),
            Key::Nth(kind, n, print) => (kind, n, print),
        };
        let of_kind = || parts.iter().enumerate().filter(|(_, p)| kind.is_empty() || p.kind == kind);
        let Some(print) = print else {
            let n = if n < 0 { i64::from(n) + of_kind().count() as i64 } else { i64::from(n) };
            return of_kind().nth(usize::try_from(n).ok()?).map(|(at, _)| at);
        };
        // A section that has a name is not what an anonymous one has become.
        let print_of = |part: &Part| part.anonymous.then(|| part.print());
        // Nearly always it is where it was.
        let (at, part) = usize::try_from(n).ok().and_then(|n| of_kind().nth(n)).unzip();
        if part.is_some_and(|part| print_of(part).as_deref() == Some(print)) {
            return at;
        }
        let mut known = self.prints.borrow_mut();
        let whose = of_kind().next().map_or("", |(_, part)| if kind.is_empty() { "" } else { &part.kind });
        let prints =
            known.entry(whose).or_insert_with(|| of_kind().map(|(_, part)| print_of(part)).collect());
        let n = resolve(n, print, prints, loose)?;
        of_kind().nth(n).map(|(at, _)| at)
    }
}

impl Part {
    /// What tells it from others of its type: three letters for each option, in the order of the letters.
    pub(super) fn print(&self) -> String {
        #[cfg(test)]
        super::tests::batching::count(|counts| counts.prints += 1);
        let mut prints: Vec<[u8; 3]> = self.options.iter().map(|(name, held)| letters(name, held)).collect();
        order::sort(&mut prints);
        prints.truncate(MAX_PRINT);
        prints.iter().flatten().map(|b| char::from(*b)).collect()
    }
}

fn letters(name: &str, held: &Held) -> [u8; 3] {
    let items = match held {
        Held::One(value) => std::slice::from_ref(value),
        Held::Many(items) => items,
    };
    // An option and a list of one item are the same to those who read them.
    let value = items.iter().fold(hash(0, name), |h, item| hash(h, item));
    [letter(hash(0, name)), letter(value), letter(value >> 6)]
}

/// FNV-1a, with an end mark, and its halves folded.
fn hash(start: u32, text: &str) -> u32 {
    let bytes = text.bytes().chain([0]);
    let hash = bytes.fold(start ^ 0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    hash ^ (hash >> 15)
}

fn letter(bits: u32) -> u8 {
    LETTERS[(bits & 63) as usize]
}

/// How alike two prints are: for each option in common 1, and 3 more when it holds the same.
fn likeness(a: &str, b: &str) -> usize {
    let of = |x: &[u8]| {
        let mut all =
            b.as_bytes().chunks_exact(3).map(|y| if x == y { 4 } else { usize::from(x[0] == y[0]) });
        all.by_ref().fold(0, usize::max)
    };
    a.as_bytes().chunks_exact(3).map(of).sum()
}

/// Whether a likeness says that more than half of a section is left.
fn is_most(likeness: usize, a: &str, b: &str) -> bool {
    2 * likeness * 3 > 4 * a.len().max(b.len())
}

/// Which of the sections of a type (their prints; none of those with names) a place and a print mean: the one
/// that holds the same (nearest to its place), else the one that holds most of it; when `loose`, else what
/// stands in its place.
fn resolve(n: i32, print: &str, all: &[Option<String>], loose: bool) -> Option<usize> {
    let place = usize::try_from(n).ok()?;
    let far = |at: &usize| at.abs_diff(place);
    if let Some(same) = (0..all.len()).filter(|at| all[*at].as_deref() == Some(print)).min_by_key(far) {
        return Some(same);
    }
    let score = |other: &Option<String>| other.as_ref().map_or(0, |other| likeness(print, other));
    let scores: Vec<usize> = all.iter().map(score).collect();
    let most = scores.iter().copied().fold(0, usize::max);
    let is_best = |at: &usize| {
        let other = all.get(*at).and_then(Option::as_deref).unwrap_or_default();
        scores.get(*at) == Some(&most) && is_most(most, print, other)
    };
    let mut best = (0..all.len()).filter(is_best);
    match (best.next(), best.next()) {
        (Some(one), None) => Some(one),
        // Of several equally alike only the one in its place.
        (Some(_), _) if is_best(&place) => Some(place),
        (None, _) if loose && scores.get(place).is_some_and(|s| *s > 0) => Some(place),
        _ => None,
    }
}

/// The most pairs of edited sections that are compared; beyond, only those that are unchanged are found.
const MAX_PAIRS: usize = 1 << 16;

/// Which of the keys that a table has now goes on each key that it had (as far as one does): a name goes on
/// itself; an anonymous section one of its type, first by all that is in it (of several alike in their order),
/// then by most of it, and then by standing alone between the same neighbours. What goes on nothing is new.
pub fn align(had: &[&str], now: &[&str]) -> Vec<Option<usize>> {
    // Nothing has changed, nearly always.
    if had == now {
        return (0..now.len()).map(Some).collect();
    }
    let mut found: Vec<Option<usize>> = vec![None; had.len()];
    let mut taken = vec![false; now.len()];
    let pair = |found: &mut Vec<Option<usize>>, taken: &mut Vec<bool>, old: usize, new: usize| {
        found[old] = Some(new);
        taken[new] = true;
    };
    // By all that is in them, in the order of their places.
    let mut order: Vec<usize> = (0..had.len()).collect();
    order::sort_by(&mut order, |a, b| place(had[*a]).cmp(&place(had[*b])));
    let mut same: SortedMap<(&str, &str), Vec<usize>> = SortedMap::new();
    for (at, key) in now.iter().enumerate().rev() {
        same.entry(content(key)).or_default().push(at);
    }
    for old in &order {
        if let Some(new) = same.get_mut(&content(had[*old])).and_then(Vec::pop) {
            pair(&mut found, &mut taken, *old, new);
        }
    }
    // By most of it.
    let left: Vec<usize> = order.iter().copied().filter(|at| found[*at].is_none()).collect();
    let free: Vec<usize> = (0..now.len()).filter(|at| !taken[*at]).collect();
    let mut pairs = Vec::new();
    if left.len().saturating_mul(free.len()) <= MAX_PAIRS {
        for (old, new) in left.iter().flat_map(|old| free.iter().map(|new| (*old, *new))) {
            let (Some(a), Some(b)) = (kind_and_print(had[old]), kind_and_print(now[new])) else {
                continue;
            };
            let score = likeness(a.1, b.1);
            if a.0 == b.0 && is_most(score, a.1, b.1) {
                pairs.push((score, old, new));
            }
        }
    }
    order::sort_by(&mut pairs, |a, b| b.0.cmp(&a.0));
    for (_, old, new) in pairs {
        if found[old].is_none() && !taken[new] {
            pair(&mut found, &mut taken, old, new);
        }
    }
    between(had, now, &order, &mut found, &taken);
    found
}

/// Of each gap: its type, the section before it now, and what is left of the old and of the new in it.
type Gaps = SortedMap<(String, Option<usize>), (Vec<usize>, Vec<usize>)>;

/// Pairs what is left between two neighbours that were found, where as many are left of the old as of the new.
fn between(had: &[&str], now: &[&str], order: &[usize], found: &mut [Option<usize>], taken: &[bool]) {
    let kind = |key: &str| kind_and_print(key).map(|a| a.0.to_owned());
    let mut gaps: Gaps = SortedMap::new();
    let mut before: SortedMap<String, usize> = SortedMap::new();
    for old in order {
        let Some(kind) = kind(had[*old]) else { continue };
        match found[*old] {
            Some(new) => drop(before.insert(kind, new)),
            None => {
                let gap = before.get(&kind).copied();
                gaps.entry((kind, gap)).or_default().0.push(*old);
            }
        }
    }
    before.clear();
    for new in 0..now.len() {
        let Some(kind) = kind(now[new]) else { continue };
        match taken[new] {
            true => drop(before.insert(kind, new)),
            false => {
                let gap = before.get(&kind).copied();
                gaps.entry((kind, gap)).or_default().1.push(new);
            }
        }
    }
    for (old, new) in gaps.into_values().filter(|(old, new)| old.len() == new.len()) {
        old.into_iter().zip(new).for_each(|(old, new)| found[old] = Some(new));
    }
}

/// So many neighbours on each side of a section help to find it again.
const NEIGHBOURS: usize = 4;

/// The keys of anonymous sections at these positions, and of their neighbours of the same type.
pub(super) fn around(parts: &[Part], positions: impl Iterator<Item = usize>) -> Vec<String> {
    let mut alike: SortedMap<&str, Vec<usize>> = SortedMap::new();
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| part.anonymous) {
        alike.entry(&part.kind).or_default().push(at);
    }
    let mut wanted: SortedSet<usize> = SortedSet::new();
    for at in positions {
        let Some(part) = parts.get(at).filter(|p| p.anonymous) else { continue };
        let all = alike.get(&*part.kind).map_or(&[][..], Vec::as_slice);
        let n = all.partition_point(|other| *other < at);
        wanted.extend(all[n.saturating_sub(NEIGHBOURS)..(n + NEIGHBOURS + 1).min(all.len())].iter().copied());
    }
    let mut counts = SortedMap::new();
    let keys = parts.iter().enumerate().filter_map(|(at, part)| match wanted.contains(&at) {
        true => Some(key_of(part, &mut counts).into_owned()),
        false => {
            *counts.entry(&part.kind).or_default() += 1;
            None
        }
    });
    keys.collect()
}

/// A number for what all anonymous sections hold and how they stand.
pub(super) fn fingerprint(parts: &[Part]) -> u64 {
    let mut counts = SortedMap::new();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        let key = key_of(part, &mut counts);
        if part.anonymous {
            hash = fold(hash, key.as_bytes());
            hash = fold(hash, &[0]);
        }
    }
    hash
}

/// FNV-1a of 64 bits, from a beginning.
pub(super) fn fold(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// How many sections hold the same as a key says, for any key.
pub(super) fn counts<'a>(keys: &'a [Cow<'_, str>]) -> SortedMap<(&'a str, &'a str), usize> {
    let mut counts = SortedMap::new();
    keys.iter().for_each(|key| *counts.entry(content(key)).or_default() += 1);
    counts
}

/// What makes two keys the same whatever their places: a name, or type and print.
pub(super) fn content(key: &str) -> (&str, &str) {
    match Key::parse(key) {
        Some(Key::Nth(kind, _, Some(print))) => (kind, print),
        // No type is empty.
        _ => ("", key),
    }
}

/// Type and print of an anonymous section's key.
fn kind_and_print(key: &str) -> Option<(&str, &str)> {
    Some(content(key)).filter(|(kind, _)| !kind.is_empty())
}

fn place(key: &str) -> i32 {
    match Key::parse(key) {
        Some(Key::Nth(_, n, _)) => n,
        _ => 0,
    }
}
