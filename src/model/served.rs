//! What of a schema exists on the platform, and which handler serves each source.

use super::handler::Handler;
use super::path::Segment;
use super::schema::{Object, ObjectId, Param, ParamId, Platform, Schema, Source, SourceKind, flag};
use super::tree::Handlers;

/// The most `{i}` of a path: TR-181 has 6, and vendors may go a little deeper.
pub const MAX_DEPTH: usize = 8;

/// The instance number of each `{i}`, outermost first; 0 where the path has fewer.
pub type Numbers = [u32; MAX_DEPTH];

/// "No handler" in the table of handlers by source.
const NO_HANDLER: u16 = u16::MAX;

/// The schema as one platform sees it.
pub struct Served {
    pub schema: Schema,
    pub platform: Platform,
    /// By object: whether it and all it stands in exist here.
    objects: Vec<bool>,
    /// By source: the index of its handler.
    handlers: Vec<u16>,
}

impl Served {
    /// Joins a schema and the handlers; the notes name sources that nobody serves.
    pub fn new(
        schema: Schema,
        platform: Platform,
        handlers: Handlers,
    ) -> (Served, Vec<Box<dyn Handler>>, Vec<String>) {
        let mut notes = Vec::new();
        let mut list: Vec<Box<dyn Handler>> = Vec::new();
        let (mut kinds, mut natives) = (Vec::new(), Vec::new());
        for (kind, handler) in handlers.by_kind {
            kinds.push((kind, list.len() as u16));
            list.push(handler);
        }
        for (name, handler) in handlers.natives {
            natives.push((name, list.len() as u16));
            list.push(handler);
        }
        let by_source = (0..schema.sources.len() as u16)
            .map(|id| {
                let source = schema.source(id);
                let found = source.and_then(|s| match s.kind {
                    SourceKind::Native => natives.iter().find(|n| n.0 == s.arg).map(|n| n.1),
                    kind => kinds.iter().find(|k| k.0 == kind).map(|k| k.1),
                });
                found.unwrap_or(NO_HANDLER)
            })
            .collect();
        let mut objects: Vec<bool> = Vec::with_capacity(schema.objects.len());
        for id in 0..schema.objects.len() as ObjectId {
            let object = schema.object(id);
            let parent = object.parent().is_none_or(|p| objects.get(p.id as usize).copied().unwrap_or(false));
            let deep = object.depth() > MAX_DEPTH;
            if deep {
                notes.push(format!(
                    "{} lies below more than {MAX_DEPTH} tables and is left out",
                    object.path()
                ));
            }
            objects.push(parent && !deep && object.source(platform).is_some());
        }
        let served = Served { schema, platform, objects, handlers: by_source };
        served.note_unserved(&mut notes);
        (served, list, notes)
    }

    fn note_unserved(&self, notes: &mut Vec<String>) {
        let mut said = Vec::new();
        let mut look = |place: &str, source: Option<Source<'_>>| {
            let Some(source) = source else { return };
            if is_handled(source.kind) && self.handler(source).is_none() && !said.contains(&source.id) {
                said.push(source.id);
                notes.push(format!("{place}: nobody serves {:?} \"{}\"", source.kind, source.arg));
            }
        };
        for id in 0..self.schema.objects.len() as ObjectId {
            let object = self.schema.object(id);
            if self.has(id) {
                look(object.path(), object.source(self.platform));
                for param in object.params() {
                    look(object.path(), param.source(self.platform));
                }
            }
        }
    }

    /// Whether the object exists here.
    pub fn has(&self, object: ObjectId) -> bool {
        self.objects.get(object as usize).copied().unwrap_or(false)
    }

    /// Where a parameter's value lives; `None` when it does not exist here.
    pub fn source(&self, param: ParamId) -> Option<Source<'_>> {
        self.schema.param(param).source(self.platform)
    }

    /// Where the row of an object, or its instances, come from.
    pub fn object_source(&self, object: ObjectId) -> Option<Source<'_>> {
        self.schema.object(object).source(self.platform)
    }

    /// The index of the handler that serves a source.
    pub fn handler(&self, source: Source<'_>) -> Option<u16> {
        self.handlers.get(source.id as usize).copied().filter(|h| *h != NO_HANDLER)
    }

    /// The argument of a row: that of its object when the same handler serves it, or else `other`.
    pub fn row_arg<'a>(&'a self, object: ObjectId, handler: u16, other: &'a str) -> &'a str {
        match self.object_source(object) {
            Some(source) if self.handler(source) == Some(handler) => source.arg,
            _ => other,
        }
    }

    /// The object one level below of this name.
    pub fn child(&self, object: ObjectId, name: &str) -> Option<Object<'_>> {
        self.schema.object(object).children().find(|o| o.name() == name && self.has(o.id))
    }

    /// The parameter of this name.
    pub fn param(&self, object: ObjectId, name: &str) -> Option<Param<'_>> {
        self.params(object).find(|p| p.name() == name)
    }

    /// The parameters that exist here, in order.
    pub fn params(&self, object: ObjectId) -> impl Iterator<Item = Param<'_>> {
        self.schema.object(object).params().filter(|p| p.source(self.platform).is_some())
    }

    /// Whether rows may be added and deleted here.
    pub fn is_creatable(&self, object: ObjectId) -> bool {
        let object = self.schema.object(object);
        object.is_table() && object.is_creatable(self.platform)
    }

    /// Whether the instance numbers of the object, or of a table that it lies in, live in memory only.
    pub fn is_volatile(&self, object: ObjectId) -> bool {
        let mut at = Some(self.schema.object(object));
        while let Some(object) = at {
            if object.is_table() && object.is_volatile() {
                return true;
            }
            at = object.parent();
        }
        false
    }

    /// The tables that an object lies in, itself included, outermost first.
    pub fn tables(&self, object: ObjectId) -> Tables {
        let mut out = Tables { ids: [0; MAX_DEPTH], len: 0 };
        let mut at = Some(self.schema.object(object));
        while let Some(object) = at {
            if object.is_table() {
                // Deeper objects are left out when the tree is opened.
                if let Some(id) = out.ids.get_mut(out.len) {
                    *id = object.id;
                    out.len += 1;
                }
            }
            at = object.parent();
        }
        out.ids[..out.len].reverse();
        out
    }

    /// The Alias parameter of a table, when the tree keeps it.
    pub fn alias(&self, table: ObjectId) -> Option<Param<'_>> {
        self.params(table).find(|p| p.source(self.platform).is_some_and(|s| s.kind == SourceKind::Alias))
    }

    /// The parameters that exist here and have one of these flags, each with its object.
    pub fn marked(&self, flags: u16) -> Vec<(ObjectId, ParamId)> {
        let mut out = Vec::new();
        for id in (0..self.schema.objects.len() as ObjectId).filter(|id| self.has(*id)) {
            out.extend(self.params(id).filter(|p| p.has(flags)).map(|p| (id, p.id)));
        }
        out
    }

    /// Notification by the model: 2 for forced and default active, and whether it can change.
    pub fn default_notification(&self, param: ParamId) -> (u8, bool) {
        let param = self.schema.param(param);
        match (param.has(flag::FORCE_ENABLED), param.has(flag::FORCE_DEFAULT)) {
            (true, _) => (2, false),
            (false, true) => (2, true),
            _ => (0, true),
        }
    }

    /// The full path of a row, with its final dot, put behind what `out` holds; for a table whose own
    /// number is 0, the path of the table.
    pub fn write_path(&self, object: ObjectId, numbers: &[u32], out: &mut String) {
        self.write_labelled(object, numbers, |_| "", out);
    }

    /// As [`Served::write_path`], with what `label` gives for an `{i}` in brackets in place of its number,
    /// when that is not empty.
    pub fn write_labelled<'a>(
        &self,
        object: ObjectId,
        numbers: &[u32],
        label: impl Fn(usize) -> &'a str,
        out: &mut String,
    ) {
        use std::fmt::Write as _;
        let mut at = 0;
        for word in self.schema.object(object).path().split_terminator('.') {
            if word == "{i}" {
                // Writing to a String cannot fail.
                match (numbers.get(at), label(at)) {
                    (Some(n), "") if *n > 0 => drop(write!(out, "{n}.")),
                    (Some(n), label) if *n > 0 => drop(write!(out, "{}.", Segment::Alias(label))),
                    _ => return,
                }
                at += 1;
            } else {
                out.push_str(word);
                out.push('.');
            }
        }
    }
}

/// The tables of a path, outermost first.
#[derive(Clone, Copy)]
pub struct Tables {
    ids: [ObjectId; MAX_DEPTH],
    len: usize,
}

impl std::ops::Deref for Tables {
    type Target = [ObjectId];

    fn deref(&self) -> &[ObjectId] {
        &self.ids[..self.len]
    }
}

/// Whether a handler, and not the tree itself, serves this kind of source.
pub fn is_handled(kind: SourceKind) -> bool {
    matches!(kind, SourceKind::File | SourceKind::Exec | SourceKind::Expression | SourceKind::Native)
}
