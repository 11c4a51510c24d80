//! Tables as JSON, in the form that ubus prints and reads.

use super::value::kind;
use super::{Answer, MAX_DEPTH, Problem, Value, Writer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};

/// Writes a value without blanks.
pub(super) fn write(value: Value<'_>, out: &mut dyn Write) -> fmt::Result {
    if let Some(text) = value.text() {
        return quoted(text, out);
    }
    if let Some(number) = value.float() {
        // C prints `nan`, which is no JSON.
        return if number.is_finite() { write!(out, "{number:.6}") } else { out.write_str("null") };
    }
    if let Some(number) = value.number() {
        return match value.is_flag() {
            true => out.write_str(if number != 0 { "true" } else { "false" }),
            false => write!(out, "{number}"),
        };
    }
    let (open, close) = match (value.is_table(), value.is_array()) {
        (true, _) => ('{', '}'),
        (_, true) => ('[', ']'),
        _ => return out.write_str("null"),
    };
    out.write_char(open)?;
    for (at, (name, field)) in value.fields().enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        if value.is_table() {
            quoted(name, out)?;
            out.write_char(':')?;
        }
        write(field, out)?;
    }
    out.write_char(close)
}

fn quoted(text: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\u{8}' => out.write_str("\\b")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            '\r' => out.write_str("\\r")?,
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32)?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Reads an object.
pub(super) fn read(text: &str) -> Result<Answer, Problem> {
    let mut writer = Writer::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let whole =
        Field { name: None, depth: 0, to: &mut writer }.deserialize(&mut json).and_then(|()| json.end());
    whole.map_err(|e| Problem::Record(e.to_string()))?;
    writer.finish()
}

/// Where the next value goes: a field of this name, or the table itself.
struct Field<'a> {
    name: Option<&'a str>,
    depth: usize,
    to: &'a mut Writer,
}

impl Field<'_> {
    fn put<E: Error>(self, put: impl FnOnce(&mut Writer, &str)) -> Result<(), E> {
        let name = self.name.ok_or_else(|| E::custom("not an object"))?;
        put(self.to, name);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.put(|w, name| w.flag(name, flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(|w, name| w.number(name, number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(|w, name| w.number(name, number.try_into().unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(|w, name| w.float(name, number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(|w, name| w.text(name, text))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(|w, name| w.null(name))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Field { name, depth, to } = self;
        let name = name.ok_or_else(|| A::Error::custom("not an object"))?;
        if depth > MAX_DEPTH {
            return Err(A::Error::custom("nested too deep"));
        }
        to.array(name);
        while list.next_element_seed(Field { name: Some(""), depth: depth + 1, to })?.is_some() {}
        to.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Field { name, depth, to } = self;
        if depth > MAX_DEPTH {
            return Err(A::Error::custom("nested too deep"));
        }
        if let Some(name) = name {
            to.table(name);
        }
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Field { name: Some(&key), depth: depth + 1, to })?;
        }
        if name.is_some() {
            to.end();
        }
        Ok(())
    }
}

/// Whether a type of a signature is one that words are written as numbers for.
pub(super) fn put_word(writer: &mut Writer, name: &str, word: &str, expected: Option<u8>) {
    let number = word.parse::<i64>().ok();
    match (expected, number) {
        (Some(kind::INT8), _) => writer.flag(name, matches!(word, "1" | "true")),
        (Some(kind::INT64), Some(number)) => writer.wide(name, number),
        (Some(kind::INT32 | kind::INT16), Some(number)) => writer.number(name, number),
        _ => writer.text(name, word),
    }
}
