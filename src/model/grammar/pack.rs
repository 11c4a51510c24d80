//! Settled rows into small integers: every text, type, source and run of words is kept once.

use super::super::schema::{
    Base, KindRow, NONE, ObjectRow, ParamRow, Schema, SourceKind, SourceRow, Text, flag,
};
use super::tables::Links;
use super::{At, KindSpec, ObjectSpec, Place, Problem};
use std::borrow::Cow;
use std::collections::HashMap;

/// The most rows of one table: its index is a `u16`, and the last one means none.
pub(super) const MAX_ROWS: usize = NONE as usize;

/// What is packed once and named by index or offset.
#[derive(Default)]
struct Packer {
    blob: String,
    texts: HashMap<String, Text>,
    words: Vec<Text>,
    runs: HashMap<Vec<String>, (u16, u16)>,
    kinds: Vec<KindRow>,
    known_kinds: HashMap<KindSpec, u16>,
    sources: Vec<SourceRow>,
    known_sources: HashMap<(SourceKind, String), u16>,
}

impl Packer {
    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let new = Text { at: self.blob.len() as u32, len: text.len() as u16 };
        self.blob.push_str(text);
        self.texts.insert(text.to_string(), new);
        new
    }

    fn run(&mut self, list: &[String]) -> (u16, u16) {
        if list.is_empty() {
            return (0, 0);
        }
        if let Some(known) = self.runs.get(list) {
            return *known;
        }
        let from = self.words.len() as u16;
        for word in list {
            let text = self.text(word);
            self.words.push(text);
        }
        let run = (from, self.words.len() as u16);
        self.runs.insert(list.to_vec(), run);
        run
    }

    fn kind(&mut self, spec: &KindSpec) -> u16 {
        if let Some(known) = self.known_kinds.get(spec) {
            return *known;
        }
        let (min, max) = spec
            .ranges
            .iter()
            .copied()
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or((i64::MIN, i64::MAX));
        let ranges: Vec<String> = match spec.ranges.as_slice() {
            [] | [_] => Vec::new(),
            many => many.iter().map(|r| range_text(*r)).collect(),
        };
        let row = KindRow {
            base: spec.base,
            format: spec.format,
            list: spec.list,
            min,
            max,
            items: spec.items,
            list_max: spec.list_max,
            ranges: self.run(&ranges),
            words: self.run(&spec.words),
            patterns: self.run(&spec.patterns),
            targets: self.run(&spec.targets),
            neutral: self.text(&neutral(spec)),
        };
        let id = self.kinds.len() as u16;
        self.kinds.push(row);
        self.known_kinds.insert(spec.clone(), id);
        id
    }

    fn source(&mut self, place: &Place) -> u16 {
        let Place::At(kind, arg) = place else {
            return NONE;
        };
        let key = (*kind, arg.clone());
        if let Some(known) = self.known_sources.get(&key) {
            return *known;
        }
        let id = self.sources.len() as u16;
        let arg = self.text(arg);
        self.sources.push(SourceRow { kind: *kind, arg });
        self.known_sources.insert(key, id);
        id
    }
}

fn range_text((min, max): (i64, i64)) -> String {
    let end = |n: i64, open: i64| {
        if n == open { String::new() } else { n.to_string() }
    };
    format!("{}..{}", end(min, i64::MIN), end(max, i64::MAX))
}

/// What is shown where a source has no value: for a number the one nearest to 0.
fn neutral(spec: &KindSpec) -> String {
    if spec.list {
        return String::new();
    }
    match spec.base {
        Base::String | Base::Base64 | Base::HexBinary => String::new(),
        Base::Boolean => "false".into(),
        Base::DateTime => "0001-01-01T00:00:00Z".into(),
        Base::Int | Base::UnsignedInt | Base::Long | Base::UnsignedLong | Base::Decimal => {
            let near = spec.ranges.iter().map(|r| 0.clamp(r.0, r.1)).min_by_key(|n| n.unsigned_abs());
            near.unwrap_or(0).to_string()
        }
    }
}

/// The tables of settled rows.
///
/// # Errors
/// There are more than the tables hold.
pub(super) fn pack(objects: &[ObjectSpec], links: &Links) -> Result<Schema, Vec<Problem>> {
    let mut packer = Packer::default();
    let paths = paths(&mut packer, objects);
    let mut rows = Vec::with_capacity(objects.len());
    let mut params = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        let from = params.len() as u16;
        for row in &object.params {
            let mut flags = row.flags;
            // What carries the session is changed when the session has ended.
            flags |= if object.uplink { flag::UPLINK | flag::AFTER_SESSION } else { 0 };
            for (platform, write) in row.write.iter().enumerate() {
                flags |= if *write { flag::WRITE << platform } else { 0 };
            }
            params.push(ParamRow {
                name: packer.text(&row.name),
                flags,
                kind: packer.kind(&row.kind),
                sources: row.places.each_ref().map(|p| packer.source(p)),
            });
        }
        let mut flags = if object.is_table() { flag::TABLE } else { 0 };
        flags |= if object.volatile { flag::VOLATILE } else { 0 };
        flags |= if object.uplink { flag::UPLINK } else { 0 };
        for (platform, create) in object.creatable.iter().enumerate() {
            flags |= if *create { flag::CREATABLE << platform } else { 0 };
        }
        let below = objects[i + 1..].iter().take_while(|o| o.path.starts_with(&object.path)).count();
        rows.push(ObjectRow {
            name: name_in(paths[i], &object.path),
            path: paths[i],
            flags,
            parent: links.parent[i].map_or(NONE, |p| p as u16),
            end: (i + 1 + below) as u16,
            params: (from, params.len() as u16),
            entries: links.entries.get(&i).map_or(NONE, |p| *p as u16),
            enable: links.enable.get(&i).map_or(NONE, |p| *p as u16),
            keys: packer.run(&object.keys),
            sources: object.places.each_ref().map(|p| packer.source(p)),
        });
    }
    let counts = [rows.len(), params.len(), packer.words.len(), packer.kinds.len(), packer.sources.len()];
    if let Some(many) = counts.iter().find(|n| **n >= MAX_ROWS) {
        let at = objects.last().map(|o| o.at.clone()).unwrap_or(At { file: "".into(), line: 0 });
        return Err(vec![Problem {
            at,
            reason: format!("{many} rows are more than a table holds ({MAX_ROWS})"),
        }]);
    }
    Ok(Schema {
        blob: Cow::Owned(packer.blob),
        objects: Cow::Owned(rows),
        params: Cow::Owned(params),
        kinds: Cow::Owned(packer.kinds),
        sources: Cow::Owned(packer.sources),
        words: Cow::Owned(packer.words),
    })
}

/// The texts of all paths. A path lies inside the path of the object that follows it when that one
/// is below it, so it is kept only once.
fn paths(packer: &mut Packer, objects: &[ObjectSpec]) -> Vec<Text> {
    let mut texts = vec![Text { at: 0, len: 0 }; objects.len()];
    for i in (0..objects.len()).rev() {
        let path = &objects[i].path;
        texts[i] = match objects.get(i + 1) {
            Some(next) if next.path.starts_with(path.as_str()) => {
                let text = Text { at: texts[i + 1].at, len: path.len() as u16 };
                packer.texts.insert(path.clone(), text);
                text
            }
            _ => packer.text(path),
        };
    }
    texts
}

/// The last word of a path, as a piece of the path's own text.
fn name_in(text: Text, path: &str) -> Text {
    let body = path.strip_suffix(".{i}.").or(path.strip_suffix('.')).unwrap_or(path);
    let from = body.rfind('.').map_or(0, |dot| dot + 1);
    Text { at: text.at + from as u32, len: (body.len() - from) as u16 }
}
