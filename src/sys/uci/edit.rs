//! What may be changed of a package, and what an option holds afterwards.

use super::delta::is_text;
use super::file::{Held, MAX_ITEMS, MAX_VALUE, is_kind, is_name};

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

/// What an option holds after several edits of it.
pub(super) fn outcome(edits: &[&Edit], held: Option<&Held>) -> Option<Held> {
    edits.iter().fold(held.cloned(), |held, edit| edit.outcome(held.as_ref()))
}
