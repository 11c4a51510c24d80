//! The tables that `build.rs` made of `datamodel/*.toml`: constants, so nothing is read, parsed,
//! relocated or allocated at start.

use super::schema::{
    Base, Format, KindRow, ObjectRow, PLATFORMS, ParamRow, Schema, SourceKind, SourceRow, Text,
};
use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/datamodel.rs"));

/// The built-in data model.
pub fn builtin() -> Schema {
    Schema {
        blob: Cow::Borrowed(BLOB),
        objects: Cow::Borrowed(&OBJECTS),
        params: Cow::Borrowed(&PARAMS),
        kinds: Cow::Borrowed(&KINDS),
        sources: Cow::Borrowed(&SOURCES),
        words: Cow::Borrowed(&WORDS),
    }
}

/// The text of a name that stands in the compiled tables, for those who keep names without copies of them; `None`
/// for one that only an overlay has.
pub fn text(of: Text) -> Option<&'static str> {
    BLOB.get(of.at as usize..of.at as usize + usize::from(of.len))
}

// What the generated tables are written with: short, since there are thousands of them.

const fn t(at: u32, len: u16) -> Text {
    Text { at, len }
}

const fn p(name: Text, flags: u16, kind: u16, sources: [u16; PLATFORMS]) -> ParamRow {
    ParamRow { name, flags, kind, sources }
}

const fn s(kind: SourceKind, arg: Text) -> SourceRow {
    SourceRow { kind, arg }
}
