//! Where in a file a change goes: the bytes to be taken out and to be put in, with nothing done yet.

use super::file::{Act, File, Held, Part, Statement};
use std::ops::Range;

/// Bytes that take the place of others.
pub(super) type Splice = (Range<usize>, Vec<u8>);

impl File {
    /// The statements of an option, in order.
    pub(super) fn statements(&self, section: usize, option: &str) -> Vec<usize> {
        let is_it = |s: &Statement| {
            matches!(s.act, Act::Option | Act::List)
                && s.section == section
                && s.first.text == option.as_bytes()
        };
        (0..self.statements.len()).filter(|at| is_it(&self.statements[*at])).collect()
    }

    /// Items of a list: those at its beginning and its end that stay keep their lines.
    pub(super) fn items(&self, of: &[usize], option: &str, items: &[String]) -> Vec<Splice> {
        let old: Vec<String> = of.iter().map(|at| super::file::text(&self.statements[*at].second)).collect();
        let head = old.iter().zip(items).take_while(|(a, b)| a == b).count();
        let tail =
            old[head..].iter().rev().zip(items[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (left, new) = (&of[head..of.len() - tail], &items[head..items.len() - tail]);
        let mut splices: Vec<_> =
            left.iter().zip(new).map(|(at, item)| self.value_of(&self.statements[*at], item)).collect();
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
    pub(super) fn value_of(&self, statement: &Statement, value: &str) -> Splice {
        let mut range = statement.second.span.clone();
        let mut text = quoted(value);
        if range.is_empty() {
            // An option without one.
            range = statement.first.span.end..statement.first.span.end;
            text.insert(0, b' ');
        }
        // What touched a bare word ended the line, and is not to come alive.
        if self.bytes.get(range.end) == Some(&b';') {
            text.extend_from_slice(b" #");
        }
        (range, text)
    }

    /// New statements behind one.
    pub(super) fn insert(&self, behind: usize, word: &str, option: &str, values: &[String]) -> Splice {
        let statement = &self.statements[behind];
        if let Some(next) = self.statements.get(behind + 1).filter(|s| s.line == statement.line) {
            return self.inline(next, word, option, values);
        }
        let end = self.line_end(statement.span().end);
        let mut text = Vec::new();
        let whole = end > 0 && self.bytes.get(end - 1) == Some(&b'\n');
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
    fn before(&self, next: usize, word: &str, option: &str, values: &[String]) -> Splice {
        let statement = &self.statements[next];
        match self.statements[..next].last().filter(|s| s.line == statement.line) {
            Some(_) => self.inline(statement, word, option, values),
            None => self.insert(next - 1, word, option, values),
        }
    }

    /// New statements on a line that others share.
    fn inline(&self, next: &Statement, word: &str, option: &str, values: &[String]) -> Splice {
        let at = next.keyword.start;
        let mut text = Vec::new();
        for value in values {
            text.extend_from_slice(format!("{word} {option} ").as_bytes());
            text.extend(quoted(value));
            text.extend_from_slice(b" ; ");
        }
        (at..at, text)
    }

    /// What makes an option of a section hold this: all of it in the file as it is.
    pub(super) fn splices(&self, section: usize, option: &str, held: Option<&Held>) -> Vec<Splice> {
        let of = self.statements(section, option);
        let all = &self.statements;
        let (act, word, values) = match held {
            None => return self.without(&of),
            Some(Held::One(value)) => (Act::Option, "option", std::slice::from_ref(value)),
            Some(Held::Many(items)) => (Act::List, "list", items.as_slice()),
        };
        let Some((first, others)) = of.split_first() else {
            let behind = all.iter().rposition(|s| s.act != Act::Package && s.section == section);
            return behind.map(|at| self.insert(at, word, option, values)).into_iter().collect();
        };
        let last = &all[*others.last().unwrap_or(first)];
        match values {
            [value, ..] if act == Act::Option && of.iter().all(|at| all[*at].act == act) => {
                vec![self.value_of(last, value)]
            }
            _ if of.iter().all(|at| all[*at].act == act) => self.items(&of, option, values),
            // Its first statement is written anew, the others go.
            [value, more @ ..] => {
                let statement = &all[*first];
                let mut splices =
                    vec![(statement.keyword.clone(), word.into()), self.value_of(statement, value)];
                if !more.is_empty() {
                    splices.push(self.insert(*first, word, option, more));
                }
                splices.extend(self.without(others));
                splices
            }
            [] => Vec::new(),
        }
    }

    /// Takes statements away: with their lines, where nothing else stands on them.
    pub(super) fn without(&self, of: &[usize]) -> Vec<Splice> {
        let all = &self.statements;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in of {
            let line = all[*at].line;
            let gone = |at: usize| of.binary_search(&at).is_ok();
            let first = (0..*at).rev().take_while(|n| all[*n].line == line).last().unwrap_or(*at);
            let last = (*at..all.len()).take_while(|n| all[*n].line == line).last().unwrap_or(*at);
            let range = if (first..=last).all(gone) {
                line_start(&self.bytes, line)..self.line_end(all[last].span().end)
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

    /// The bytes of a section: from each of its heads to its last option, with whole lines where it has them.
    pub(super) fn blocks(&self, section: usize) -> Vec<Range<usize>> {
        let all = &self.statements;
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
            let mut start = line_start(&self.bytes, head.line);
            if first + len < all.len() && self.bytes.get(end) == Some(&b'\n') {
                end += 1;
            } else if end == self.bytes.len() && self.bytes[..start].ends_with(b"\n\n") {
                // The last one takes the empty line that parts it from the one before.
                start -= 1;
            }
            ranges.push(start..end);
        }
        ranges
    }

    /// White space before a statement, when it begins its line.
    fn indent(&self, statement: &Statement) -> &[u8] {
        let start = line_start(&self.bytes, statement.line);
        match statement.line == statement.keyword.start {
            true => self.bytes.get(start..statement.line).unwrap_or_default(),
            false => b"\t",
        }
    }

    /// Behind the end of the line that a place is on.
    fn line_end(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.iter().position(|b| *b == b'\n').map_or(self.bytes.len(), |n| at + n + 1)
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

/// A section as libuci would write it.
pub(super) fn written(part: &Part) -> Vec<u8> {
    let mut text = format!("config {}", part.kind).into_bytes();
    if !part.anonymous {
        text.push(b' ');
        text.extend(quoted(&part.name));
    }
    text.push(b'\n');
    for (name, held) in &part.options {
        let (word, values) = match held {
            Held::One(value) => ("option", std::slice::from_ref(value)),
            Held::Many(items) => ("list", items.as_slice()),
        };
        for value in values {
            text.extend_from_slice(format!("\t{word} {name} ").as_bytes());
            text.extend(quoted(value));
            text.push(b'\n');
        }
    }
    text
}

/// What parts a section behind these bytes from them.
pub(super) fn parting(bytes: &[u8]) -> &'static [u8] {
    match bytes {
        [] | [b'\n'] | [.., b'\n', b'\n'] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    }
}
