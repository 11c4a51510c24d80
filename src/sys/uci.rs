//! One file of `/etc/config`, read and edited: every byte that an edit does not touch stays.
//!
//! The form: lines of words; `config TYPE [NAME]` begins a section, `option NAME VALUE` and
//! `list NAME VALUE` stand in it. A word is made of bare text, `'…'`, `"…"` and backslash escapes;
//! quotes may span lines; `#` begins a comment where a word could begin.

use std::ops::Range;

/// The largest file that is taken, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// A word: what it says, and where it stands.
#[derive(Clone, Debug)]
struct Word {
    text: String,
    at: Range<usize>,
}

/// One `option` or `list` line.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    value: Word,
    list: bool,
    /// The whole line, its newline included.
    line: Range<usize>,
}

/// One section.
#[derive(Clone, Debug)]
pub struct Section {
    /// `interface`.
    pub kind: String,
    /// `lan`; `None` for an anonymous one.
    pub name: Option<String>,
    entries: Vec<Entry>,
    /// Behind its last line that says something.
    end: usize,
}

/// A file of `/etc/config`.
#[derive(Clone, Debug)]
pub struct Package {
    text: String,
    sections: Vec<Section>,
}

impl Section {
    /// The value of an option; of a list, its first. The last one said counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|e| !e.list && e.name == name)
            .or_else(|| self.list_entries(name).next())
            .map(|e| e.value.text.as_str())
    }

    /// All values of a list.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list_entries(name).map(|e| e.value.text.as_str())
    }

    fn list_entries(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |e| e.list && e.name == name)
    }
}

impl Package {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A reason with its line, when it is not of the form.
    pub fn parse(text: String) -> Result<Package, String> {
        if text.len() > MAX_FILE {
            return Err(format!("longer than {MAX_FILE} bytes"));
        }
        let mut sections: Vec<Section> = Vec::new();
        let mut from = 0;
        while from < text.len() {
            let (words, to) = line(&text, from).map_err(|why| {
                let number = text.get(..from).map_or(0, |t| t.matches('\n').count()) + 1;
                format!("line {number}: {why}")
            })?;
            let keyword = words.first().map(|w| w.text.as_str());
            let mut rest = words.iter().skip(1).cloned();
            match (keyword, rest.next(), rest.next(), sections.last_mut()) {
                (None | Some("package"), ..) => {}
                (Some("config"), Some(kind), name, _) => {
                    let name = name.map(|w| w.text).filter(|n| !n.is_empty());
                    sections.push(Section {
                        kind: kind.text,
                        name,
                        entries: Vec::new(),
                        end: to,
                    });
                }
                (Some(word @ ("option" | "list")), Some(name), Some(value), Some(section)) => {
                    section.entries.push(Entry {
                        name: name.text,
                        value,
                        list: word == "list",
                        line: from..to,
                    });
                    section.end = to;
                }
                _ => {
                    let number = text.get(..from).map_or(0, |t| t.matches('\n').count()) + 1;
                    return Err(format!("line {number}: not of the form of a UCI file"));
                }
            }
            from = to;
        }
        Ok(Package { text, sections })
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The sections in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of a name, or of the form `@type[n]`, n from 0, or from -1 backwards.
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections.get(self.position(id)?)
    }

    fn position(&self, id: &str) -> Option<usize> {
        let Some(rest) = id.strip_prefix('@') else {
            return self
                .sections
                .iter()
                .position(|s| s.name.as_deref() == Some(id));
        };
        let (kind, index) = rest.strip_suffix(']')?.split_once('[')?;
        let index: i64 = index.parse().ok()?;
        let mut of_kind = self
            .sections
            .iter()
            .enumerate()
            .filter(|(_, s)| s.kind == kind)
            .map(|(at, _)| at);
        match usize::try_from(index) {
            Ok(index) => of_kind.nth(index),
            Err(_) => of_kind.rev().nth(usize::try_from(-1 - index).ok()?),
        }
    }

    /// Sets an option, or takes it away with `None`. What was there, quotes and all, for
    /// [`Package::restore`].
    ///
    /// # Errors
    /// There is no such section, or a list of this name stands there.
    pub fn set(&mut self, id: &str, name: &str, value: Option<&str>) -> Result<(), String> {
        let raw = value.map(quoted);
        self.restore(id, name, raw.as_deref())
    }

    /// The value of an option as it is written, quotes and all; `None` where there is none.
    pub fn raw(&self, id: &str, name: &str) -> Option<&str> {
        let entry = self
            .section(id)?
            .entries
            .iter()
            .rev()
            .find(|e| !e.list && e.name == name)?;
        self.text.get(entry.value.at.clone())
    }

    /// As [`Package::set`], with the value as it is to be written.
    ///
    /// # Errors
    /// As [`Package::set`].
    pub fn restore(&mut self, id: &str, name: &str, raw: Option<&str>) -> Result<(), String> {
        let section = self
            .section(id)
            .ok_or_else(|| format!("there is no section {id}"))?;
        if section.list_entries(name).next().is_some() {
            return Err(format!("{name} is a list"));
        }
        let entry = section
            .entries
            .iter()
            .rev()
            .find(|e| e.name == name)
            .cloned();
        let mut text = self.text.clone();
        match (entry, raw) {
            (Some(entry), Some(raw)) => text.replace_range(entry.value.at, raw),
            (Some(entry), None) => text.replace_range(entry.line, ""),
            (None, Some(raw)) => {
                // A last line without its newline gets one.
                let newline = if text.get(..section.end).is_some_and(|t| t.ends_with('\n')) {
                    ""
                } else {
                    "\n"
                };
                text.insert_str(section.end, &format!("{newline}\toption {name} {raw}\n"));
            }
            (None, None) => return Ok(()),
        }
        *self = Package::parse(text)?;
        Ok(())
    }
}

/// A value in single quotes.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// The words of the line that begins at `from`, and where the next one begins.
fn line(text: &str, from: usize) -> Result<(Vec<Word>, usize), &'static str> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = text
        .get(from..)
        .unwrap_or("")
        .char_indices()
        .map(|(at, c)| (from + at, c))
        .peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        if quote.is_none() && word.is_none() && c == '#' {
            while chars.next_if(|(_, c)| *c != '\n').is_some() {}
            continue;
        }
        if quote.is_none() && c.is_ascii_whitespace() {
            words.extend(word.take());
            if c == '\n' {
                return Ok((words, end));
            }
            continue;
        }
        let open = word.get_or_insert_with(|| Word {
            text: String::new(),
            at: at..end,
        });
        open.at.end = end;
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            (None | Some('"'), '\\') => {
                let Some((at, c)) = chars.next() else {
                    return Err("a backslash at the end");
                };
                open.at.end = at + c.len_utf8();
                open.text.push(c);
            }
            _ => open.text.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote that is not closed");
    }
    words.extend(word);
    Ok((words, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "# first\npackage system\n\nconfig system\n\toption hostname 'Open''Wrt' # not a name\n\toption  zone \"a \\\" b\"\n\toption note bare\\ word\n\n\
        config timeserver 'ntp'\n\tlist server '0.pool'\n\tlist server 1.pool\n\toption two 'line\nbreak'\nconfig system\n\toption hostname second";

    fn package() -> Package {
        Package::parse(SYSTEM.to_owned()).unwrap()
    }

    #[test]
    fn reads_words_sections_and_lists() {
        let p = package();
        for (id, name, want) in [
            ("@system[0]", "hostname", Some("OpenWrt")),
            ("@system[0]", "zone", Some("a \" b")),
            ("@system[0]", "note", Some("bare word")),
            ("@system[1]", "hostname", Some("second")),
            ("@system[-1]", "hostname", Some("second")),
            ("@system[-2]", "hostname", Some("OpenWrt")),
            ("ntp", "two", Some("line\nbreak")),
            ("ntp", "server", Some("0.pool")),
            ("ntp", "nope", None),
            ("@system[2]", "hostname", None),
            ("@system[-3]", "hostname", None),
            ("@system[x]", "hostname", None),
        ] {
            assert_eq!(p.section(id).and_then(|s| s.get(name)), want, "{id} {name}");
        }
        assert_eq!(
            p.section("ntp").unwrap().list("server").collect::<Vec<_>>(),
            ["0.pool", "1.pool"]
        );
        assert_eq!(p.sections().len(), 3);
    }

    #[test]
    fn an_edit_keeps_every_other_byte() {
        let mut p = package();
        p.set("@system[0]", "hostname", Some("it's")).unwrap();
        assert_eq!(p.text(), SYSTEM.replace("'Open''Wrt'", "'it'\\''s'"));
        assert_eq!(
            p.section("@system[0]").unwrap().get("hostname"),
            Some("it's")
        );
        p.restore("@system[0]", "hostname", Some("'Open''Wrt'"))
            .unwrap();
        assert_eq!(p.text(), SYSTEM);
        p.set("ntp", "enabled", Some("1")).unwrap();
        assert_eq!(
            p.text(),
            SYSTEM.replace("break'\n", "break'\n\toption enabled '1'\n")
        );
        p.set("ntp", "enabled", None).unwrap();
        assert_eq!(p.text(), SYSTEM);
        p.set("@system[1]", "a", Some("b\n'c")).unwrap();
        assert_eq!(p.section("@system[1]").unwrap().get("a"), Some("b\n'c"));
        assert!(p.set("ntp", "server", Some("x")).is_err());
        assert!(p.set("nope", "server", Some("x")).is_err());
    }

    #[test]
    fn refuses_what_is_no_package() {
        for bad in [
            "option a b\n",
            "config\n",
            "config a\noption b\n",
            "word\n",
            "config a 'b\n",
            "config a \\",
        ] {
            assert!(Package::parse(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Package::parse(String::new()).is_ok());
    }
}
