//! Changes of rows as they lie in the journal: what a transaction is about to do (`t/intent`), and
//! what was promised for the end of the session (`t/promised`).
//!
//! Objects and parameters are kept by name, since the program that reads them may be a newer one.
//! Everything is length (u32, little endian) and bytes; a list begins with its count.

use super::schema::{ObjectId, ParamId};
use super::served::{Numbers, Served};

/// A value to be set.
#[derive(Clone, Debug, PartialEq)]
pub struct NewValue {
    pub param: ParamId,
    /// Canonical.
    pub value: String,
    /// For a reference that is not empty, the keys of the row it points at; for a list those of all rows.
    pub refers: Option<Vec<String>>,
}

/// What is done to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Set(Vec<NewValue>),
    Add,
    Delete,
}

/// One change of one row by one handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub object: ObjectId,
    pub numbers: Numbers,
    pub depth: usize,
    pub keys: Vec<String>,
    pub handler: u16,
    pub op: Op,
    /// Committed when the session has ended.
    pub after: bool,
    /// Whether the handler can take it back.
    pub undoable: bool,
    /// What `stage` gave for `undo`.
    pub saved: Vec<u8>,
}

/// Changes as bytes.
pub fn encode<'a>(served: &Served, list: impl ExactSizeIterator<Item = &'a Planned>) -> Vec<u8> {
    let mut out = Vec::new();
    put_count(&mut out, list.len());
    for change in list {
        put(&mut out, served.schema.object(change.object).path().as_bytes());
        put_count(&mut out, change.depth);
        for number in change.numbers.iter().take(change.depth) {
            out.extend(number.to_le_bytes());
        }
        put_texts(&mut out, &change.keys);
        match &change.op {
            Op::Set(values) => {
                out.push(b's');
                put_count(&mut out, values.len());
                for value in values {
                    put(&mut out, served.schema.param(value.param).name().as_bytes());
                    put(&mut out, value.value.as_bytes());
                    out.push(u8::from(value.refers.is_some()));
                    put_texts(&mut out, value.refers.as_deref().unwrap_or(&[]));
                }
            }
            Op::Add => out.push(b'a'),
            Op::Delete => out.push(b'd'),
        }
        put(&mut out, &change.saved);
    }
    out
}

/// Reads changes back; those that this program cannot do any more are told of in `notes`. `None`
/// when the bytes are damaged.
pub fn decode(served: &Served, bytes: &[u8], notes: &mut Vec<String>) -> Option<Vec<Planned>> {
    let mut from = bytes;
    let out = decode_from(served, &mut from, notes)?;
    from.is_empty().then_some(out)
}

pub(super) fn decode_from(
    served: &Served,
    from: &mut &[u8],
    notes: &mut Vec<String>,
) -> Option<Vec<Planned>> {
    let mut out = Vec::new();
    for _ in 0..take_count(from)? {
        let path = take_text(from)?;
        let depth = take_count(from)?;
        let mut numbers: Numbers = [0; _];
        for at in 0..depth {
            *numbers.get_mut(at)? = take_count(from)? as u32;
        }
        let keys = take_texts(from)?;
        let object = served.schema.find_object(&path).filter(|o| served.has(o.id));
        let (op, source) = match take_byte(from)? {
            b's' => {
                let mut values = Vec::new();
                let mut source = None;
                for _ in 0..take_count(from)? {
                    let name = take_text(from)?;
                    let value = take_text(from)?;
                    let refers = (take_byte(from)? == 1).then_some(take_texts(from)?);
                    let param = object.and_then(|o| served.param(o.id, &name));
                    match param {
                        Some(param) => {
                            source = source.or(served.source(param.id));
                            values.push(NewValue { param: param.id, value, refers });
                        }
                        None => {
                            notes.push(format!("{path}{name} is no longer there; its change is forgotten"))
                        }
                    }
                }
                (Op::Set(values), source)
            }
            b'a' => (Op::Add, object.and_then(|o| served.object_source(o.id))),
            b'd' => (Op::Delete, object.and_then(|o| served.object_source(o.id))),
            _ => return None,
        };
        let saved = take(from)?.to_vec();
        match (object, source.and_then(|s| served.handler(s))) {
            (Some(object), Some(handler)) => {
                let object = object.id;
                out.push(Planned {
                    object,
                    numbers,
                    depth,
                    keys,
                    handler,
                    op,
                    after: false,
                    undoable: true,
                    saved,
                });
            }
            _ => notes.push(format!("{path}: nobody can take back or do its change any more")),
        }
    }
    Some(out)
}

/// Several transactions as bytes.
pub fn encode_groups(served: &Served, groups: &[Vec<Planned>]) -> Vec<u8> {
    let mut out = Vec::new();
    put_count(&mut out, groups.len());
    for group in groups {
        out.extend(encode(served, group.iter()));
    }
    out
}

/// Reads several transactions back.
pub fn decode_groups(served: &Served, bytes: &[u8], notes: &mut Vec<String>) -> Option<Vec<Vec<Planned>>> {
    let mut from = bytes;
    let mut out = Vec::new();
    for _ in 0..take_count(&mut from)? {
        out.push(decode_from(served, &mut from, notes)?);
    }
    from.is_empty().then_some(out)
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend(bytes);
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_count(out, texts.len());
    for text in texts {
        put(out, text.as_bytes());
    }
}

pub(super) fn take_byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

pub(super) fn take_count(from: &mut &[u8]) -> Option<usize> {
    let (count, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u32::from_le_bytes(*count) as usize)
}

pub(super) fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_count(from)?;
    let (bytes, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(bytes)
}

pub(super) fn take_text(from: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(from)?.to_vec()).ok()
}

fn take_texts(from: &mut &[u8]) -> Option<Vec<String>> {
    let count = take_count(from)?;
    // No room is set aside for a count that may be damage.
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(take_text(from)?);
    }
    Some(out)
}
