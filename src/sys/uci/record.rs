//! What puts a change back, as bytes.

use super::edit::Edit;
use super::file::{Held, MAX_ITEMS};

/// Bytes that were replaced.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Hunk {
    pub at: usize,
    pub ahead: Vec<u8>,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
    pub behind: Vec<u8>,
}

/// What an edit meant, for its way back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Back {
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

/// Writes an entry: numbers in four bytes, texts behind their length.
pub(super) fn write(out: &mut Vec<u8>, back: &Back, hunk: &Hunk) {
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
pub(super) fn write_keys(out: &mut Vec<u8>, before: u64, now: &[String]) {
    out.extend_from_slice(&before.to_le_bytes());
    number(out, now.len());
    now.iter().for_each(|key| text(out, key.as_bytes()));
}

pub(super) fn write_held(out: &mut Vec<u8>, held: Option<&Held>) {
    let (count, items) = match held {
        None => (0, &[][..]),
        Some(Held::One(value)) => (1, std::slice::from_ref(value)),
        // No list has so few.
        Some(Held::Many(items)) => (items.len() + 2, items.as_slice()),
    };
    number(out, count);
    items.iter().for_each(|item| text(out, item.as_bytes()));
}

pub(super) fn number(out: &mut Vec<u8>, n: usize) {
    // No file is as long as that.
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// What an entry begins with that says by what the text is known that is put back.
pub(super) const SUM: u8 = b's';

/// Writes by what the text is known that is put back.
pub(super) fn write_sum(out: &mut Vec<u8>, sum: u64) {
    out.push(SUM);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Reads entries.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number) as usize)
    }

    pub fn long(&mut self) -> Option<u64> {
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

    pub fn keys(&mut self) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        for _ in 0..self.number()? {
            keys.push(self.text()?);
        }
        Some(keys)
    }

    pub fn entry(&mut self, tag: u8) -> Option<(Back, Hunk)> {
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
