//! Tables back into rows, so that overlays are merged with the built-in model by one builder.

use super::super::schema::{KindRow, NONE, Object, PLATFORMS, Param, Schema, SourceKind, flag};
use super::{At, KindSpec, ObjectSpec, ParamSpec, Place};
use std::rc::Rc;

/// The rows of a schema; each stands at line 0 of `file`. What is not in the tables (`why`) is lost.
pub fn unpack(schema: &Schema, file: &str) -> Vec<ObjectSpec> {
    let file: Rc<str> = file.into();
    (0..schema.objects.len()).map(|id| object(schema.object(id as u16), &file)).collect()
}

fn object(object: Object<'_>, file: &Rc<str>) -> ObjectSpec {
    let row = object.row();
    let mut places = row.sources.map(|id| place(object.schema, id));
    if places.iter().any(|p| matches!(p, Place::At(SourceKind::Nothing, _))) {
        // It is absent only where it holds nothing; with an overlay it may.
        for place in places.iter_mut().filter(|p| **p == Place::Absent) {
            *place = Place::Unsaid;
        }
    }
    ObjectSpec {
        path: object.path().to_string(),
        at: At { file: file.clone(), line: 0 },
        speaks: true,
        places,
        creatable: std::array::from_fn(|p| row.flags & (flag::CREATABLE << p) != 0),
        volatile: object.is_volatile(),
        uplink: object.is_uplink(),
        keys: strings(object.schema, row.keys),
        entries: object.entries().map(|p| p.name().to_string()),
        enable: object.enable().map(|p| p.name().to_string()),
        why: [const { None }; PLATFORMS],
        params: object.params().map(|p| param(p, file)).collect(),
    }
}

fn param(param: Param<'_>, file: &Rc<str>) -> ParamSpec {
    let row = param.row();
    let both = flag::WRITE | flag::WRITE << 1;
    ParamSpec {
        name: param.name().to_string(),
        at: At { file: file.clone(), line: 0 },
        kind: kind(param.schema, param.kind().row),
        places: row.sources.map(|id| place(param.schema, id)),
        write: std::array::from_fn(|p| row.flags & (flag::WRITE << p) != 0),
        why: [const { None }; PLATFORMS],
        flags: row.flags & !both,
    }
}

fn place(schema: &Schema, id: u16) -> Place {
    match schema.source(id) {
        Some(source) if id != NONE => Place::At(source.kind, source.arg.to_string()),
        _ => Place::Absent,
    }
}

fn kind(schema: &Schema, row: &KindRow) -> KindSpec {
    let mut ranges: Vec<(i64, i64)> = schema.words(row.ranges).map(super::super::kind::range).collect();
    if ranges.is_empty() && (row.min, row.max) != (i64::MIN, i64::MAX) {
        ranges.push((row.min, row.max));
    }
    KindSpec {
        base: row.base,
        format: row.format,
        list: row.list,
        ranges,
        items: row.items,
        list_max: row.list_max,
        words: strings(schema, row.words),
        patterns: strings(schema, row.patterns),
        targets: strings(schema, row.targets),
    }
}

fn strings(schema: &Schema, range: (u16, u16)) -> Vec<String> {
    schema.words(range).map(str::to_string).collect()
}
