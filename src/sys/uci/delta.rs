//! Changes that somebody has made and not committed: `/tmp/.uci/PACKAGE`, a line for each. They are read on
//! top of the file as libuci does, and never written. A line that is not understood, or has nothing to change,
//! counts for nothing, as there.

use super::file::{Held, MAX_ITEMS, MAX_OPTIONS, MAX_SECTIONS, Part, is_kind, is_name, is_package};
use super::words::Lines;

/// One change: `[command]package.section[.option][='value']`.
struct Change {
    command: u8,
    section: String,
    option: Option<String>,
    value: Option<String>,
}

/// What the first byte of a line may say; without one of them it sets.
const COMMANDS: &[u8] = b"+-@^|~";

impl Change {
    fn parse(package: &str, text: &str) -> Option<Change> {
        let command = text.bytes().next().filter(|b| COMMANDS.contains(b)).unwrap_or(b'=');
        let text = if command == b'=' { text } else { text.get(1..)? };
        let (place, value) = match text.split_once('=') {
            Some((place, value)) => (place, Some(value.to_owned())),
            None => (text, None),
        };
        let mut words = place.split('.');
        let (whose, section, option) = (words.next()?, words.next()?, words.next());
        let change =
            Change { command, section: section.to_owned(), option: option.map(str::to_owned), value };
        let value = change.value.as_deref();
        let fits = words.next().is_none()
            && is_package(whose)
            && whose == package
            && is_name(section)
            && option.is_none_or(is_name)
            && (value.is_some() || command == b'-')
            && value.is_none_or(is_text)
            && match command {
                b'^' => option.is_none(),
                b'@' => value.is_some_and(is_name),
                b'|' | b'~' => option.is_some(),
                _ => true,
            };
        fits.then_some(change)
    }

    /// Makes the change; nothing when there is nothing to change.
    fn apply(self, parts: &mut Vec<Part>, made: &mut usize) -> Option<()> {
        let Change { command, section, option, value } = self;
        let at = parts.iter().position(|p| p.name == section);
        let value = value.unwrap_or_default();
        if let Some(part) = at.and_then(|at| parts.get_mut(at)) {
            part.pending.push(option.clone().unwrap_or_default());
        }
        match (command, option) {
            (b'=' | b'+', None) => set_section(parts, made, at, section, value, command == b'+'),
            (b'=' | b'+', Some(option)) => {
                let part = parts.get_mut(at?)?;
                let held = (!value.is_empty()).then_some(Held::One(value));
                part.put(&option, held);
                // No more of them than a file may have.
                part.options.truncate(MAX_OPTIONS);
                Some(())
            }
            (b'-', None) => {
                parts.remove(at?);
                Some(())
            }
            (b'-', Some(option)) => remove(parts.get_mut(at?)?, &option, &value),
            (b'@', None) => {
                let part = parts.get_mut(at?)?;
                part.name = value;
                part.anonymous = false;
                Some(())
            }
            (b'@', Some(option)) => {
                let held = parts.get_mut(at?)?.options.iter_mut().find(|(name, _)| *name == option)?;
                held.0 = value;
                Some(())
            }
            (b'^', _) => {
                let part = parts.remove(at?);
                // As strtoul and an int see it.
                let to = digits(&value) as u32 as i32;
                parts.insert(usize::try_from(to).unwrap_or(0).min(parts.len()), part);
                Some(())
            }
            (b'|', Some(option)) => {
                let part = parts.get_mut(at?)?;
                let full = match part.get(&option) {
                    Some(Held::Many(items)) => items.len() >= MAX_ITEMS,
                    Some(Held::One(_)) => false,
                    None => part.options.len() >= MAX_OPTIONS,
                };
                (!full).then(|| part.add_item(&option, value))
            }
            (b'~', Some(option)) => {
                let part = parts.get_mut(at?)?;
                if let Some((_, Held::Many(items))) =
                    part.options.iter_mut().find(|(name, _)| *name == option)
                {
                    items.retain(|item| *item != value);
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// A section of this type: a new one at the end, or one that is there and gets another type.
fn set_section(
    parts: &mut Vec<Part>,
    made: &mut usize,
    at: Option<usize>,
    name: String,
    kind: String,
    anonymous: bool,
) -> Option<()> {
    match at {
        Some(at) if kind.is_empty() => drop(parts.remove(at)),
        _ if !is_kind(&kind) => return None,
        Some(at) => {
            let part = parts.get_mut(at)?;
            // libuci makes the section anew unless the types are equally long, and so forgets this.
            part.anonymous = anonymous || (part.anonymous && part.kind.len() == kind.len());
            part.kind = kind;
        }
        None if parts.len() >= MAX_SECTIONS => return None,
        None => {
            *made += 1;
            parts.push(Part { name, kind, anonymous, pending: vec![String::new()], ..Part::default() });
        }
    }
    Some(())
}

/// Removes an option, or of a list the nth item, where a number says so.
fn remove(part: &mut Part, option: &str, nth: &str) -> Option<()> {
    let at = part.options.iter().position(|(name, _)| name == option)?;
    match part.options.get_mut(at) {
        Some((_, Held::Many(items))) if !nth.is_empty() => {
            let digit = nth.trim_start().bytes().next().filter(u8::is_ascii_digit);
            let n = digit.map(|_| digits(nth.trim_start()) as usize)?;
            (n < items.len()).then(|| drop(items.remove(n)))
        }
        _ => {
            part.options.remove(at);
            Some(())
        }
    }
}

/// The number that a text begins with.
fn digits(text: &str) -> u64 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
}

/// Text of libuci: no control characters but tabs and ends of lines.
pub(super) fn is_text(text: &str) -> bool {
    text.bytes().all(|b| b >= 32 || matches!(b, b'\t' | b'\n' | b'\r'))
}

/// Puts what is pending on top of the sections.
pub(super) fn apply(package: &str, bytes: &[u8], parts: &mut Vec<Part>) {
    let mut made = parts.len();
    let bytes = bytes.split(|b| *b == 0).next().unwrap_or_default();
    let mut lines = Lines::new(bytes);
    while lines.advance() {
        let Ok(word) = lines.word() else {
            continue;
        };
        if lines.is_done() {
            let text = String::from_utf8_lossy(&word.text);
            if let Some(change) = Change::parse(package, &text) {
                change.apply(parts, &mut made);
            }
        }
    }
}
