//! Answers in files, for a router that is replayed: `.cwmpd/ubus/OBJECT/METHOD.json` below its root, with
//! arguments `METHOD@VALUE,VALUE.json`, their values in the order of the arguments. In names every byte but
//! letters, digits, `.`, `_` and `-` is written as `%XX`. An object without a folder is not there; a method
//! without a file is none that it has.

use super::{Answer, Args, Problem};
use crate::sys::host;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

/// Where they lie below the root.
pub const FOLDER: &str = ".cwmpd/ubus";

/// The file of an answer, below the root.
pub fn file(object: &str, method: &str, args: Args<'_>) -> String {
    let mut path = String::from(FOLDER);
    path.push('/');
    escape(object, &mut path);
    path.push('/');
    escape(method, &mut path);
    let mut first = true;
    let mut value = |text: &str| {
        path.push(if std::mem::replace(&mut first, false) { '@' } else { ',' });
        escape(text, &mut path);
    };
    match args {
        Args::None => {}
        Args::Words(words) => words.iter().for_each(|(_, word)| value(word)),
        Args::Table(table) => table.root().fields().for_each(|(_, field)| value(&field.show().to_string())),
    }
    path.push_str(".json");
    path
}

fn escape(name: &str, out: &mut String) {
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            // No name leads upwards.
            b'.' if at == 0 => out.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(byte.into()),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (hex, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// An answer.
pub(super) fn read(root: &Path, object: &str, method: &str, args: Args<'_>) -> Result<Answer, Problem> {
    let text = host::read(root, &file(object, method, args)).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidFilename => Problem::NoObject,
        _ => Problem::Record(error.to_string()),
    })?;
    Answer::from_json(&text)
}

/// The objects that have answers.
pub(super) fn list(root: &Path, pattern: Option<&str>) -> Vec<String> {
    let names = host::names(root, FOLDER);
    let mut names: Vec<String> = names.iter().filter_map(|name| unescape(name)).collect();
    names.retain(|name| match pattern.map(|p| p.strip_suffix('*').ok_or(p)) {
        None => true,
        Some(Ok(start)) => name.starts_with(start),
        Some(Err(whole)) => name == whole,
    });
    names.truncate(super::client::MAX_OBJECTS);
    names
}
