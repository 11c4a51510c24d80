//! How a place in the tree is named: `Device.IP.Interface.1.Name` (a full path),
//! `Device.IP.Interface.` (a partial path), `Device.IP.Interface.*.` (a wildcard),
//! `Device.IP.Interface.[cpe-1].` (an alias; TR-069 3.6.1).

//!
//! # Aliases
//! An Alias begins with a letter and may hold any character behind it. In a path it stands in brackets
//! as it is, without escapes (N-13): the bracket that closes it is the first one with a dot or the end
//! of the path behind it. So dots and brackets may be part of it, and only an Alias with `].` in it
//! has no form in a path: such a row is named by its number ([`is_addressable`]).

use std::fmt;

/// The longest path the agent takes from a peer, in characters (TR-069: ObjectName string(256)).
pub const MAX_PATH: usize = 256;

/// One word between dots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Segment<'a> {
    /// An object's or a parameter's name.
    Name(&'a str),
    /// An instance number, 1 to 2^32-1.
    Number(u32),
    /// An instance by its Alias, without the brackets.
    Alias(&'a str),
    /// `*`, every instance.
    Wildcard,
}

/// A path cut into words; borrows the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<'a> {
    /// The words in order; empty for the root (`""`).
    pub segments: Vec<Segment<'a>>,
    /// Whether it ended with a dot (or is empty): an object or partial path.
    pub partial: bool,
}

impl<'a> Path<'a> {
    /// Cuts `text`. `""` is the root, the same as `Device.` (R-GPN-1, R-GPN-9).
    ///
    /// # Errors
    /// A reason, in words, when it is too long or not of the form of a path (fault 9005).
    pub fn parse(text: &'a str) -> Result<Path<'a>, &'static str> {
        // A character has four bytes at most, and needs no counting where the bytes say that it fits.
        if text.len() > 4 * MAX_PATH || (text.len() > MAX_PATH && text.chars().count() > MAX_PATH) {
            return Err("longer than 256 characters");
        }
        if text.is_empty() {
            return Ok(Path { segments: Vec::new(), partial: true });
        }
        let (body, partial) = match text.strip_suffix('.') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let mut segments = Vec::with_capacity(8);
        let mut rest = body;
        loop {
            // A dot inside brackets belongs to the alias.
            let (word, tail) = if rest.starts_with('[') {
                match rest.find("].") {
                    Some(close) => {
                        let (word, tail) = rest.split_at(close + 1);
                        (word, tail.strip_prefix('.'))
                    }
                    None if rest.ends_with(']') => (rest, None),
                    None => return Err("an alias without its closing bracket"),
                }
            } else {
                match rest.split_once('.') {
                    Some((word, tail)) => (word, Some(tail)),
                    None => (rest, None),
                }
            };
            segments.push(segment(word)?);
            match tail {
                Some(tail) => rest = tail,
                None => break,
            }
        }
        Ok(Path { segments, partial })
    }
}

impl fmt::Display for Segment<'_> {
    /// The word as it stands in a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Name(name) => f.write_str(name),
            Segment::Number(number) => write!(f, "{number}"),
            Segment::Alias(alias) => write!(f, "[{alias}]"),
            Segment::Wildcard => f.write_str("*"),
        }
    }
}

impl fmt::Display for Path<'_> {
    /// The text that was parsed, to the letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            write!(f, "{}{segment}", if at > 0 { "." } else { "" })?;
        }
        f.write_str(if self.partial && !self.segments.is_empty() { "." } else { "" })
    }
}

/// Whether an Alias can stand in a path: written in brackets and read again, it is the same.
pub fn is_addressable(alias: &str) -> bool {
    !alias.is_empty() && !alias.contains("].")
}

fn segment(word: &str) -> Result<Segment<'_>, &'static str> {
    match word.as_bytes() {
        [] => Err("two dots in a row, or a dot in front"),
        b"*" => Ok(Segment::Wildcard),
        [b'[', .., b']'] if word.len() > 2 => Ok(Segment::Alias(&word[1..word.len() - 1])),
        [b'[', ..] => Err("an empty alias"),
        [b'0'..=b'9', ..] => match word.parse() {
            Ok(n) if n > 0 && !word.starts_with('0') => Ok(Segment::Number(n)),
            _ => Err("not an instance number"),
        },
        _ if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') => {
            Ok(Segment::Name(word))
        }
        _ => Err("a character that no name has"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_paths() {
        let p = Path::parse("Device.IP.Interface.[a.b].*.3.Name").unwrap();
        assert!(!p.partial);
        assert_eq!(p.segments[3], Segment::Alias("a.b"));
        assert_eq!(p.segments[4], Segment::Wildcard);
        assert_eq!(p.segments[5], Segment::Number(3));
        assert!(Path::parse("").unwrap().partial);
        assert!(Path::parse("Device.").unwrap().partial);
    }

    #[test]
    fn refuses_what_is_no_path() {
        for bad in [
            ".",
            "Device..X",
            ".Device",
            "Device.0.",
            "Device.01.",
            "Device.[].",
            "Device.[a",
            "Device.[a]b",
            "Device.4294967296.",
            "Device.a b",
            "Device.\u{e9}",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert!(Path::parse(&"a".repeat(257)).is_err());
        assert!(Path::parse(&format!("Device.[a{}]", "\u{1d11e}".repeat(246))).is_ok());
        assert!(Path::parse(&format!("Device.[a{}]", "\u{1d11e}".repeat(247))).is_err());
    }

    /// N-13: what an Alias may hold and still be found by, and that a path that was read is written as
    /// it was.
    // Proves: N-13
    #[test]
    fn n_13_an_alias_in_a_path() {
        for alias in [
            "cpe-1",
            "a.b",
            "a]b",
            "a]",
            "a]]",
            "[a",
            "a[0]",
            "a]x.y",
            "*",
            "x=1",
            "a,b",
            "50%",
            "a%5Db",
            "a b",
            "\u{e9}t\u{e9}",
            "a\"<&>'",
            "1",
            ".",
            "]",
        ] {
            assert!(is_addressable(alias), "{alias}");
            for (text, partial) in
                [(format!("Device.X.[{alias}]."), true), (format!("Device.X.[{alias}].Y.2.*.P"), false)]
            {
                let path = Path::parse(&text).unwrap();
                assert_eq!(path.segments[2], Segment::Alias(alias), "{text}");
                assert_eq!(path.partial, partial);
                assert_eq!(path.to_string(), text);
                assert_eq!(Path::parse(&path.to_string()), Ok(path));
            }
        }
        for alias in ["", "a].b", "a].", "]."] {
            assert!(!is_addressable(alias), "{alias}");
            let text = format!("Device.X.[{alias}].Y");
            let read = Path::parse(&text);
            assert!(read.is_err() || read.unwrap().segments[2] != Segment::Alias(alias), "{text}");
        }
        for text in ["", "Device.", "Device.X.1", "*"] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
    }
}
