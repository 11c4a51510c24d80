//! Type expressions: `string(1..64)`, `enum(Up,Down)`, `list(ref(Device.IP.Interface.{i}.))`.

use super::super::schema::{Base, Format};

/// A type as a row says it, before it is packed into a `KindRow`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KindSpec {
    /// The base type, of an item for a list.
    pub base: Base,
    /// The form besides the base type.
    pub format: Format,
    /// Whether it is a list.
    pub list: bool,
    /// Bounds of length or number, any of which may hold; none when open. An open end is
    /// `i64::MIN` or `i64::MAX`.
    pub ranges: Vec<(i64, i64)>,
    /// List: least and greatest number of items.
    pub items: (u16, u16),
    /// List: greatest length of the whole text in characters.
    pub list_max: u32,
    /// Enumeration values.
    pub words: Vec<String>,
    /// Patterns.
    pub patterns: Vec<String>,
    /// Tables a reference may point into.
    pub targets: Vec<String>,
}

/// The named types of TR-106 and TR-181 that a row may use, with what they stand for.
const NAMED: &[(&str, Base, Format, (i64, i64))] = &[
    ("Alias", Base::String, Format::Alias, (0, 64)),
    ("IPAddress", Base::String, Format::IpAddress, (0, 45)),
    ("IPv4Address", Base::String, Format::Ipv4Address, (0, 15)),
    ("IPv6Address", Base::String, Format::Ipv6Address, (0, 45)),
    ("IPPrefix", Base::String, Format::IpPrefix, (0, 49)),
    ("IPv4Prefix", Base::String, Format::Ipv4Prefix, (0, 18)),
    ("IPv6Prefix", Base::String, Format::Ipv6Prefix, (0, 49)),
    ("MACAddress", Base::String, Format::MacAddress, (0, 17)),
    ("URL", Base::String, Format::Plain, (0, 2048)),
    ("URI", Base::String, Format::Plain, (0, 2048)),
    ("UUID", Base::String, Format::Uuid, (36, 36)),
    ("StatsCounter32", Base::UnsignedInt, Format::Plain, OPEN),
    ("StatsCounter64", Base::UnsignedLong, Format::Plain, OPEN),
    ("Order", Base::UnsignedInt, Format::Plain, (1, i64::MAX)),
];

/// The words of `DiagnosticsState` that all diagnostics share.
const DIAGNOSTICS: &[&str] = &[
    "None@readOnly",
    "Requested",
    "Canceled",
    "Complete@readOnly",
    "Error@readOnly",
    "Error_Internal@readOnly",
    "Error_Other@readOnly",
];

/// The length of a path reference (TR-069: ObjectName string(256)).
const REFERENCE_LENGTH: (i64, i64) = (0, 256);

const OPEN: (i64, i64) = (i64::MIN, i64::MAX);

impl KindSpec {
    fn plain(base: Base) -> KindSpec {
        KindSpec {
            base,
            format: Format::Plain,
            list: false,
            ranges: Vec::new(),
            items: (0, u16::MAX),
            list_max: u32::MAX,
            words: Vec::new(),
            patterns: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Reads a type expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<KindSpec, String> {
        let text = text.trim();
        let (word, args) = match text.split_once('(') {
            None => (text, None),
            Some((word, rest)) => match rest.strip_suffix(')') {
                Some(args) => (word.trim_end(), Some(args)),
                None => return Err(format!("type `{text}` has no closing parenthesis")),
            },
        };
        let base = match word {
            "list" => return list(args),
            "enum" => return enumeration(args),
            "ref" => return reference(args),
            // With the errors of this one test between the parentheses.
            "DiagnosticsState" => {
                let shared = DIAGNOSTICS.iter().map(|w| w.to_string());
                let own = args.unwrap_or("").split(',').map(str::trim).filter(|w| !w.is_empty());
                let words = shared.chain(own.map(|w| format!("{w}@readOnly"))).collect();
                return Ok(KindSpec { words, ..KindSpec::plain(Base::String) });
            }
            "string" => Base::String,
            "int" => Base::Int,
            "unsignedInt" => Base::UnsignedInt,
            "long" => Base::Long,
            "unsignedLong" => Base::UnsignedLong,
            "decimal" => Base::Decimal,
            "boolean" => Base::Boolean,
            "dateTime" => Base::DateTime,
            "base64" => Base::Base64,
            "hexBinary" => Base::HexBinary,
            _ => {
                let Some((_, base, format, range)) = NAMED.iter().find(|n| n.0 == word) else {
                    return Err(format!("`{word}` is no type"));
                };
                if args.is_some() {
                    return Err(format!("type {word} takes no bounds"));
                }
                let ranges = if *range == OPEN { Vec::new() } else { vec![*range] };
                return Ok(KindSpec { format: *format, ranges, ..KindSpec::plain(*base) });
            }
        };
        let mut kind = KindSpec::plain(base);
        if let Some(args) = args {
            if matches!(base, Base::Boolean | Base::DateTime) {
                return Err(format!("type {word} takes no bounds"));
            }
            let length = matches!(base, Base::String | Base::Base64 | Base::HexBinary);
            let (least, most) = match base {
                Base::Int => (i32::MIN.into(), i32::MAX.into()),
                Base::UnsignedInt => (0, u32::MAX.into()),
                Base::Long | Base::Decimal => OPEN,
                _ => (0, i64::MAX),
            };
            let beyond = |n: i64| n != i64::MIN && n != i64::MAX && !(least..=most).contains(&n);
            for one in args.split(',') {
                let one = one.trim();
                let range = range(one, length).ok_or_else(|| format!("`{one}` is no range"))?;
                if range.0 > range.1 || beyond(range.0) || beyond(range.1) {
                    return Err(format!("`{one}` does not lie within the values of {word}"));
                }
                kind.ranges.push(range);
            }
        }
        Ok(kind)
    }

    /// Whether its values are text (for patterns).
    pub fn is_text(&self) -> bool {
        self.base == Base::String
    }
}

/// `1..64`, `1..`, `..64`; a single number is a greatest length.
fn range(text: &str, length: bool) -> Option<(i64, i64)> {
    let number = |t: &str, open: i64| match t.trim() {
        "" => Some(open),
        // Past i64 is open: the greatest unsignedLong.
        t => Some(t.parse::<i128>().ok()?.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
    };
    match text.split_once("..") {
        Some((min, max)) => Some((number(min, i64::MIN)?, number(max, i64::MAX)?)),
        None if length && !text.trim().is_empty() => Some((0, number(text, 0)?)),
        None => None,
    }
}

fn list(args: Option<&str>) -> Result<KindSpec, String> {
    let item = KindSpec::parse(args.ok_or("a list without the type of its items: `list(string)`")?)?;
    if item.list {
        return Err("a list of lists is no type".into());
    }
    Ok(KindSpec { list: true, ..item })
}

fn enumeration(args: Option<&str>) -> Result<KindSpec, String> {
    let words: Vec<String> = args.unwrap_or("").split(',').map(|w| w.trim().to_string()).collect();
    for (i, word) in words.iter().enumerate() {
        if word.trim_end_matches(READ_ONLY).is_empty() {
            return Err("an enumeration with an empty value".into());
        }
        if words[..i].contains(word) {
            return Err(format!("value {word} stands twice in the enumeration"));
        }
    }
    Ok(KindSpec { words, ..KindSpec::plain(Base::String) })
}

/// What ends an enumeration value that a peer may not write.
const READ_ONLY: &str = "@readOnly";

fn reference(args: Option<&str>) -> Result<KindSpec, String> {
    let text = args.ok_or("a reference names its tables, or none: `ref()`")?;
    let mut targets = Vec::new();
    for one in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        super::reader::path_form(one).map_err(|why| format!("`{one}` is no object: {why}"))?;
        targets.push(one.to_string());
    }
    Ok(KindSpec {
        format: Format::Reference,
        ranges: vec![REFERENCE_LENGTH],
        targets,
        ..KindSpec::plain(Base::String)
    })
}
