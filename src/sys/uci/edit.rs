//! Changes of a file's bytes: of a value nothing but the value changes, of a list the lines of the items that
//! come and go, of a section its own lines. What was made is read again and held against what was meant, so
//! that a file too odd to be edited stays as it is.

use super::delta::is_text;
use super::file::{Act, File, Held, MAX_ITEMS, MAX_VALUE, Part, Statement, is_kind, is_name};
use super::package::Package;
use super::problem::{Cause, Problem};
use crate::sys::order;
use std::ops::Range;

/// A change of a package. Sections are named by key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Sets an option; to nothing removes it. What was a list becomes an option.
    #[allow(missing_docs)]
    Set { section: String, option: String, value: String },
    /// Removes an option or a list; no effect when there is none.
    #[allow(missing_docs)]
    Unset { section: String, option: String },
    /// Sets a whole list; to no items removes it.
    #[allow(missing_docs)]
    List { section: String, option: String, items: Vec<String> },
    /// Adds an item to a list, unless it is there. The words of an option become items.
    #[allow(missing_docs)]
    AddItem { section: String, option: String, item: String },
    /// Takes an item out of a list, or a word out of an option.
    #[allow(missing_docs)]
    RemoveItem { section: String, option: String, item: String },
    /// Makes a section of a name at the end; no effect when it is there.
    #[allow(missing_docs)]
    Make { kind: String, name: String },
    /// Removes a section; no effect when it is gone.
    #[allow(missing_docs)]
    Drop { section: String },
}

impl Edit {
    /// The section that it changes, by key.
    pub fn section(&self) -> &str {
        match self {
            Edit::Set { section, .. }
            | Edit::Unset { section, .. }
            | Edit::List { section, .. }
            | Edit::AddItem { section, .. }
            | Edit::RemoveItem { section, .. }
            | Edit::Drop { section } => section,
            Edit::Make { name, .. } => name,
        }
    }

    /// The option that it changes; `None` of a whole section.
    pub fn option(&self) -> Option<&str> {
        match self {
            Edit::Set { option, .. }
            | Edit::Unset { option, .. }
            | Edit::List { option, .. }
            | Edit::AddItem { option, .. }
            | Edit::RemoveItem { option, .. } => Some(option),
            Edit::Make { .. } | Edit::Drop { .. } => None,
        }
    }

    /// What an option holds afterwards.
    pub(super) fn outcome(&self, held: Option<&Held>) -> Option<Held> {
        match self {
            Edit::Set { value, .. } => (!value.is_empty()).then(|| Held::One(value.clone())),
            Edit::List { items, .. } => (!items.is_empty()).then(|| Held::Many(items.clone())),
            Edit::AddItem { item, .. } => {
                let has = |items: &[String]| items.contains(item);
                let mut items = match held {
                    Some(Held::Many(items)) => items.clone(),
                    Some(Held::One(words)) => words.split_ascii_whitespace().map(str::to_owned).collect(),
                    None => Vec::new(),
                };
                if held.is_some() && has(&items) {
                    return held.cloned();
                }
                items.push(item.clone());
                Some(Held::Many(items))
            }
            Edit::RemoveItem { item, .. } => match held? {
                Held::Many(items) => {
                    let left: Vec<String> = items.iter().filter(|i| *i != item).cloned().collect();
                    (!left.is_empty()).then_some(Held::Many(left))
                }
                Held::One(words) if words == item => None,
                Held::One(words) => {
                    let all: Vec<&str> = words.split_ascii_whitespace().collect();
                    let left: Vec<&str> = all.iter().copied().filter(|w| w != item).collect();
                    match left.len() {
                        n if n == all.len() => Some(Held::One(words.clone())),
                        0 => None,
                        _ => Some(Held::One(left.join(" "))),
                    }
                }
            },
            Edit::Unset { .. } | Edit::Make { .. } | Edit::Drop { .. } => None,
        }
    }

    /// What of it cannot stand in a file.
    pub(super) fn judge(&self) -> Result<(), &'static str> {
        let fits = |value: &str| is_text(value) && value.len() <= MAX_VALUE;
        let values = match self {
            Edit::Set { value, .. } => std::slice::from_ref(value),
            Edit::AddItem { item, .. } => std::slice::from_ref(item),
            Edit::List { items, .. } if items.len() > MAX_ITEMS => return Err("too many items"),
            Edit::List { items, .. } => items,
            Edit::Make { kind, name }
                if !is_kind(kind) || kind.contains(['\'', '"', '\\', '#', ';']) || !is_name(name) =>
            {
                return Err("no type or name of a section");
            }
            _ => &[],
        };
        match self.option().is_none_or(is_name) {
            false => Err("no name of an option"),
            true if values.iter().all(|v| fits(v)) => Ok(()),
            true => Err("a control character, or too long a text, cannot be written"),
        }
    }
}

/// A file that is being edited.
pub(super) struct Editor {
    pub file: File,
    name: String,
}

impl Editor {
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Editor, Problem> {
        Ok(Editor { file: File::parse(name, bytes)?, name: name.to_owned() })
    }

    /// Replaces bytes, and reads what came of it. Of two that begin at one place the first is done first.
    pub fn splice(&mut self, mut splices: Vec<(Range<usize>, Vec<u8>)>) -> Result<(), Problem> {
        let mut bytes = std::mem::take(&mut self.file.bytes);
        // From the end, so that the places before stay right.
        order::sort_by(&mut splices, |a, b| b.0.start.cmp(&a.0.start));
        for (range, new) in splices {
            let end = range.end.min(bytes.len());
            bytes.splice(range.start.min(end)..end, new);
        }
        self.file = File::parse(&self.name, bytes)?;
        Ok(())
    }

    /// Makes an option hold this. What it holds already keeps its form.
    pub fn put(&mut self, section: usize, option: &str, held: Option<&Held>) -> Result<(), Problem> {
        let part = self.file.parts.get(section);
        if part.and_then(|p| p.get(option)) == held {
            return Ok(());
        }
        let (act, word, values) = match held {
            None => return self.splice(self.without(&self.statements(section, option))),
            Some(Held::One(value)) => (Act::Option, "option", std::slice::from_ref(value)),
            Some(Held::Many(items)) => (Act::List, "list", items.as_slice()),
        };
        let of = self.statements(section, option);
        let all = &self.file.statements;
        let Some((first, others)) = of.split_first() else {
            let behind = all.iter().rposition(|s| s.act != Act::Package && s.section == section);
            let splices = behind.map(|at| self.insert(at, word, option, values));
            return self.splice(splices.into_iter().collect());
        };
        if of.iter().all(|at| all[*at].act == act) {
            return match (act, others.last().or(Some(first)), values) {
                (Act::Option, Some(last), [value, ..]) => {
                    self.splice(vec![self.value_of(&all[*last], value)])
                }
                _ => self.splice(self.items(&of, option, values)),
            };
        }
        // Its first statement is written anew, the others go.
        self.splice(self.without(others))?;
        if let (Some(at), Some(value)) = (self.statements(section, option).first(), values.first()) {
            let statement = &self.file.statements[*at];
            let splices = vec![(statement.keyword.clone(), word.into()), self.value_of(statement, value)];
            self.splice(splices)?;
        }
        match values {
            [_, _, ..] => self.put(section, option, held),
            _ => Ok(()),
        }
    }

    /// The statements of an option, in order.
    fn statements(&self, section: usize, option: &str) -> Vec<usize> {
        let is_it = |s: &Statement| {
            matches!(s.act, Act::Option | Act::List)
                && s.section == section
                && s.first.text == option.as_bytes()
        };
        (0..self.file.statements.len()).filter(|at| is_it(&self.file.statements[*at])).collect()
    }

    /// Items of a list: those at its beginning and its end that stay keep their lines.
    fn items(&self, of: &[usize], option: &str, items: &[String]) -> Vec<(Range<usize>, Vec<u8>)> {
        let old: Vec<String> =
            of.iter().map(|at| super::file::text(&self.file.statements[*at].second)).collect();
        let head = old.iter().zip(items).take_while(|(a, b)| a == b).count();
        let tail =
            old[head..].iter().rev().zip(items[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (left, new) = (&of[head..of.len() - tail], &items[head..items.len() - tail]);
        let mut splices: Vec<_> =
            left.iter().zip(new).map(|(at, item)| self.value_of(&self.file.statements[*at], item)).collect();
        splices.extend(self.without(left.get(new.len()..).unwrap_or_default()));
        if let Some(more @ [_, ..]) = new.get(left.len()..) {
            let before = of[..head + left.len()].last();
            let insert = match before {
                Some(at) => self.insert(*at, "list", option, more),
                None => self.before(of[0], "list", option, more),
            };
            splices.push(insert);
        }
        splices
    }

    /// Another value for a statement, in its place.
    fn value_of(&self, statement: &Statement, value: &str) -> (Range<usize>, Vec<u8>) {
        let mut range = statement.second.span.clone();
        let mut text = quoted(value);
        if range.is_empty() {
            // An option without one.
            range = statement.first.span.end..statement.first.span.end;
            text.insert(0, b' ');
        }
        // What touched a bare word ended the line, and is not to come alive.
        if self.file.bytes.get(range.end) == Some(&b';') {
            text.extend_from_slice(b" #");
        }
        (range, text)
    }

    /// New statements behind one.
    fn insert(&self, behind: usize, word: &str, option: &str, values: &[String]) -> (Range<usize>, Vec<u8>) {
        let statement = &self.file.statements[behind];
        if let Some(next) = self.file.statements.get(behind + 1).filter(|s| s.line == statement.line) {
            return self.inline(next, word, option, values);
        }
        let end = self.line_end(statement.span().end);
        let mut text = Vec::new();
        let whole = end > 0 && self.file.bytes.get(end - 1) == Some(&b'\n');
        if !whole {
            text.push(b'\n');
        }
        let indent = match statement.act {
            Act::Option | Act::List => self.indent(statement),
            _ => b"\t",
        };
        for value in values {
            text.extend_from_slice(indent);
            text.extend_from_slice(format!("{word} {option} ").as_bytes());
            text.extend(quoted(value));
            text.push(b'\n');
        }
        (end..end, text)
    }

    /// New statements before one.
    fn before(&self, next: usize, word: &str, option: &str, values: &[String]) -> (Range<usize>, Vec<u8>) {
        let statement = &self.file.statements[next];
        match self.file.statements[..next].last().filter(|s| s.line == statement.line) {
            Some(_) => self.inline(statement, word, option, values),
            None => self.insert(next - 1, word, option, values),
        }
    }

    /// New statements on a line that others share.
    fn inline(
        &self,
        next: &Statement,
        word: &str,
        option: &str,
        values: &[String],
    ) -> (Range<usize>, Vec<u8>) {
        let at = next.keyword.start;
        let mut text = Vec::new();
        for value in values {
            text.extend_from_slice(format!("{word} {option} ").as_bytes());
            text.extend(quoted(value));
            text.extend_from_slice(b" ; ");
        }
        (at..at, text)
    }

    /// Takes statements away: with their lines, where nothing else stands on them.
    fn without(&self, of: &[usize]) -> Vec<(Range<usize>, Vec<u8>)> {
        let all = &self.file.statements;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in of {
            let line = all[*at].line;
            let gone = |at: usize| of.contains(&at);
            let first = (0..*at).rev().take_while(|n| all[*n].line == line).last().unwrap_or(*at);
            let last = (*at..all.len()).take_while(|n| all[*n].line == line).last().unwrap_or(*at);
            let range = if (first..=last).all(gone) {
                line_start(&self.file.bytes, line)..self.line_end(all[last].span().end)
            } else if *at < last {
                all[*at].keyword.start..all[*at + 1].keyword.start
            } else {
                // The last of a line takes with it what parts it from the one before.
                let kept = (first..*at).rev().find(|n| !gone(*n)).unwrap_or(first);
                all[kept].span().end..all[*at].span().end
            };
            match ranges.last_mut() {
                Some(last) if range.start <= last.end => {
                    last.start = last.start.min(range.start);
                    last.end = last.end.max(range.end);
                }
                _ => ranges.push(range),
            }
        }
        ranges.into_iter().map(|r| (r, Vec::new())).collect()
    }

    /// A new section at the end of the file.
    pub fn make(&mut self, kind: &str, name: &str) -> Result<(), Problem> {
        let bytes = &self.file.bytes;
        let start = match bytes.as_slice() {
            [] => "",
            [b'\n'] | [.., b'\n', b'\n'] => "",
            [.., b'\n'] => "\n",
            _ => "\n\n",
        };
        let end = bytes.len();
        self.splice(vec![(end..end, format!("{start}config {kind} '{name}'\n").into_bytes())])
    }

    /// Takes a section away, and an empty line behind it.
    pub fn drop_section(&mut self, section: usize) -> Result<(), Problem> {
        let ranges = self.blocks(section);
        self.splice(ranges.into_iter().map(|r| (r, Vec::new())).collect())
    }

    /// The bytes of a section: from each of its heads to its last option, with whole lines where it has them.
    pub fn blocks(&self, section: usize) -> Vec<Range<usize>> {
        let all = &self.file.statements;
        let of: Vec<usize> =
            (0..all.len()).filter(|at| all[*at].act != Act::Package && all[*at].section == section).collect();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut rest = of.as_slice();
        while let Some(first) = rest.first() {
            // A run of statements without another between.
            let len = rest.iter().enumerate().take_while(|(n, at)| **at == first + n).count();
            let (run, others) = rest.split_at(len);
            rest = others;
            let (head, last) = (&all[*first], &all[run[len - 1]]);
            let shared = |a: Option<&Statement>, line: usize| a.is_some_and(|a| a.line == line);
            let before = first.checked_sub(1).and_then(|n| all.get(n));
            if shared(before, head.line) || shared(all.get(first + len), last.line) {
                // Odd enough to be taken statement by statement.
                ranges.extend(self.without(run).into_iter().map(|(r, _)| r));
                continue;
            }
            let mut end = self.line_end(last.span().end);
            let mut start = line_start(&self.file.bytes, head.line);
            if first + len < all.len() && self.file.bytes.get(end) == Some(&b'\n') {
                end += 1;
            } else if end == self.file.bytes.len() && self.file.bytes[..start].ends_with(b"\n\n") {
                // The last one takes the empty line that parts it from the one before.
                start -= 1;
            }
            ranges.push(start..end);
        }
        ranges
    }

    /// White space before a statement, when it begins its line.
    fn indent(&self, statement: &Statement) -> &[u8] {
        let start = line_start(&self.file.bytes, statement.line);
        match statement.line == statement.keyword.start {
            true => self.file.bytes.get(start..statement.line).unwrap_or_default(),
            false => b"\t",
        }
    }

    /// Behind the end of the line that a place is on.
    fn line_end(&self, at: usize) -> usize {
        let rest = self.file.bytes.get(at..).unwrap_or_default();
        rest.iter().position(|b| *b == b'\n').map_or(self.file.bytes.len(), |n| at + n + 1)
    }
}

pub(super) fn line_start(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or_default();
    before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

/// A value in single quotes, as libuci writes it.
pub(super) fn quoted(value: &str) -> Vec<u8> {
    format!("'{}'", value.replace('\'', "'\\''")).into_bytes()
}

/// Which section of a file each edit means; `None` where it is none, or made by an edit before.
fn targets(package: &Package, file: &File, edits: &[Edit]) -> Result<Vec<Option<usize>>, Problem> {
    let name = package.name.as_str();
    let mut targets = Vec::new();
    for edit in edits {
        edit.judge().map_err(|text| Problem::of(name, Cause::Value, text))?;
        let pending = || {
            let what = edit.option().map_or(String::new(), |o| format!(".{o}"));
            let text =
                format!("{}{what} has a change of somebody else's that is not committed yet", edit.section());
            Problem::of(name, Cause::Pending, text)
        };
        let part = package.find(edit.section(), false).and_then(|at| package.parts.get(at));
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

/// Called with the file as it is, edits of one option, and the section that they mean.
pub(super) type Before<'b> = &'b mut dyn FnMut(&Editor, &[&Edit], Option<usize>);
/// The bytes of a package's file with these edits made.
///
/// # Errors
/// As [`super::commit()`], as far as the package tells.
pub fn edited(package: &Package, edits: &[Edit]) -> Result<Vec<u8>, Problem> {
    apply(package, edits, &mut |_, _, _| {}).map(|editor| editor.file.bytes)
}

/// Does the edits in the file, one after another, those of one option at once. `before` sees them, the section
/// that they mean and the file as it is then.
pub(super) fn apply(package: &Package, edits: &[Edit], before: Before<'_>) -> Result<Editor, Problem> {
    let mut editor = Editor::new(&super::path(&package.name), package.bytes.clone())?;
    let mut targets = targets(package, &editor.file, edits)?;
    for (at, edit) in edits.iter().enumerate() {
        let of_it = |n: usize| match (targets[at], targets[n]) {
            (None, None) => edits[n].section() == edit.section(),
            (this, other) => this == other,
        };
        // Of a section that goes as well nothing else is changed: its way back is to be what it was.
        let goes = |n: usize| of_it(n) && matches!(edits[n], Edit::Drop { .. });
        let same = |n: usize| edit.option().is_some() && edits[n].option() == edit.option() && of_it(n);
        if (at + 1..edits.len()).any(goes) || (0..at).any(same) {
            continue;
        }
        let all: Vec<&Edit> = (at..edits.len()).filter(|n| *n == at || same(*n)).map(|n| &edits[n]).collect();
        // One that was made by an edit before has a name.
        let named = || editor.file.parts.iter().position(|p| !p.anonymous && p.name == edit.section());
        let target = targets[at].or_else(named);
        before(&editor, &all, target);
        let mut meant = editor.file.parts.clone();
        editor.edit(&all, target, &mut meant)?;
        if let (Edit::Drop { .. }, Some(gone)) = (edit, target) {
            for other in &mut targets[at..] {
                *other = other.filter(|o| *o != gone).map(|o| o - usize::from(o > gone));
            }
        }
        if !alike(&meant, &editor.file.parts) {
            let text = "the file is written too oddly for this change";
            return Err(Problem::of(&package.name, Cause::Value, text));
        }
    }
    Ok(editor)
}

/// What an option holds after several edits of it.
pub(super) fn outcome(edits: &[&Edit], held: Option<&Held>) -> Option<Held> {
    edits.iter().fold(held.cloned(), |held, edit| edit.outcome(held.as_ref()))
}

impl Editor {
    /// Does an edit, or several of one option, in the bytes and in what is meant by them.
    fn edit(&mut self, edits: &[&Edit], target: Option<usize>, meant: &mut Vec<Part>) -> Result<(), Problem> {
        let wrong = |cause, text| Problem { cause, file: self.name.clone(), line: 0, text };
        let Some(edit) = edits.first() else {
            return Ok(());
        };
        match (edit, target) {
            (Edit::Make { kind, .. }, Some(target)) => match &meant[target].kind == kind {
                true => Ok(()),
                false => {
                    let text = format!("section {} is of type {}", edit.section(), meant[target].kind);
                    Err(wrong(Cause::Value, text.into()))
                }
            },
            (Edit::Make { kind, name }, None) => {
                meant.push(Part { kind: kind.clone(), name: name.clone(), ..Part::default() });
                self.make(kind, name)
            }
            (Edit::Drop { .. }, Some(target)) => {
                meant.remove(target);
                self.drop_section(target)
            }
            (Edit::Drop { .. }, None) => Ok(()),
            (_, None) => {
                let text = format!("there is no section {}, or no longer", edit.section());
                Err(wrong(Cause::Gone, text.into()))
            }
            (_, Some(target)) => {
                let option = edit.option().unwrap_or_default();
                let held = outcome(edits, meant[target].get(option));
                meant[target].put(option, held.clone());
                self.put(target, option, held.as_ref())
            }
        }
    }
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
