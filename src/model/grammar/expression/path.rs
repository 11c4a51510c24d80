//! The path of a field in an answer of ubus.

use super::split;

/// One step from a value to those below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// The field of this name; a text with places for keys.
    Name(&'a str),
    /// Every entry of a table or an array.
    Each,
    /// The nth entry of an array, from its end when negative.
    At(i32),
    /// The entries that fit, see [`super::conditions`]; `@key` is the name of the entry.
    Where(&'a str),
    /// The name under which the value stands.
    Key,
}

/// The steps of a path: words with dots between, each with brackets behind it. A word in quotes may hold
/// dots and brackets.
pub fn steps(path: &str) -> impl Iterator<Item = Step<'_>> + Clone {
    split(path, ".").flat_map(|word| {
        let name = match word.strip_prefix('"').and_then(|w| w.split_once('"')) {
            Some((quoted, _)) => word.get(..quoted.len() + 2).unwrap_or(word),
            None => word.split('[').next().unwrap_or(word),
        };
        let brackets = word.get(name.len()..).unwrap_or("");
        let first = match name {
            "" => None,
            "*" => Some(Step::Each),
            "@key" => Some(Step::Key),
            name => Some(Step::Name(name.trim_matches('"'))),
        };
        first.into_iter().chain(self::brackets(brackets))
    })
}

/// What is in each pair of brackets.
fn brackets(text: &str) -> impl Iterator<Item = Step<'_>> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        let inside = rest.strip_prefix('[')?;
        let mut depth = 1;
        let end = inside.bytes().position(|b| {
            depth += match b {
                b'[' | b'(' => 1,
                b']' | b')' => -1,
                _ => 0,
            };
            depth == 0
        })?;
        rest = inside.get(end + 1..).unwrap_or("");
        let inside = inside.get(..end)?;
        Some(match inside.parse() {
            Ok(n) => Step::At(n),
            Err(_) if inside == "*" => Step::Each,
            Err(_) => Step::Where(inside),
        })
    })
}
