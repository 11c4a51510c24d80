//! How a place in the tree is named: `Device.IP.Interface.1.Name` (a full path),
//! `Device.IP.Interface.` (a partial path), `Device.IP.Interface.*.` (a wildcard),
//! `Device.IP.Interface.[cpe-1].` (an alias; TR-069 3.6.1).

/// The longest path the agent takes from a peer, in bytes (TR-069: ObjectName string(256)).
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
        if text.len() > MAX_PATH {
            return Err("longer than 256 bytes");
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
                let close = rest.find(']').ok_or("an alias without its closing bracket")?;
                let (word, tail) = rest.split_at(close + 1);
                match tail.strip_prefix('.') {
                    Some(tail) => (word, Some(tail)),
                    None if tail.is_empty() => (word, None),
                    None => return Err("text behind an alias"),
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
    }
}
