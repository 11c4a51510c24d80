//! The schema: every object and parameter the agent has, as flat tables of small integers.
//!
//! The built-in tables are made by `build.rs` from `datamodel/*.toml` and cost neither start-up
//! time nor heap; with overlays the same tables are built once at start and owned. Objects stand in
//! depth-first order, so that a partial path is one range of objects; names are offsets into one
//! blob of text, since a position-independent program would have to relocate every pointer.

use std::borrow::Cow;

/// How many platforms a row can speak of.
pub const PLATFORMS: usize = 2;
/// "None" in a table of `u16` indexes.
pub const NONE: u16 = u16::MAX;

/// Which column of the rows is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// Plain Linux: procfs, sysfs, netlink and files.
    Linux = 0,
    /// OpenWrt: UCI and ubus on top.
    OpenWrt = 1,
}

/// An index into the objects of a [`Schema`].
pub type ObjectId = u16;
/// An index into the parameters of a [`Schema`].
pub type ParamId = u16;

/// A piece of the blob of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// Offset in bytes.
    pub at: u32,
    /// Length in bytes.
    pub len: u16,
}

/// One object of the model; for a table this one row stands for the table and for its instances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectRow {
    /// The last word of its path without `{i}`: `Interface`.
    pub name: Text,
    /// Its full path with `{i}` and the final dot: `Device.IP.Interface.{i}.`.
    pub path: Text,
    /// [`flag`] bits.
    pub flags: u16,
    /// The object it stands in; [`NONE`] for `Device.`.
    pub parent: u16,
    /// One past the last object below it.
    pub end: u16,
    /// Its parameters: first, and one past the last.
    pub params: (u16, u16),
    /// The parameter that counts its instances ([`NONE`] when not a table or not counted).
    pub entries: u16,
    /// The table's enableParameter (R-SPV-20); [`NONE`] when it has none.
    pub enable: u16,
    /// Unique keys: first and one past the last index into [`Schema::words`]; each word is one key,
    /// parameter names joined by `+` (`ManufacturerOUI+SerialNumber`), `nf:` in front when non-functional.
    pub keys: (u16, u16),
    /// Per platform where its instances (for a table) or its row comes from; index into sources,
    /// [`NONE`] when the object does not exist there.
    pub sources: [u16; PLATFORMS],
}

/// One parameter of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamRow {
    /// Its name: `MaxMTUSize`.
    pub name: Text,
    /// [`flag`] bits.
    pub flags: u16,
    /// Its type: index into [`Schema::kinds`].
    pub kind: u16,
    /// Per platform where its value lives; index into sources, [`NONE`] when it does not exist there.
    pub sources: [u16; PLATFORMS],
}

/// Bits of the rows.
pub mod flag {
    /// Object: has instances.
    pub const TABLE: u16 = 1 << 0;
    /// Table: instance numbers live in memory only (processes, neighbours, ports).
    pub const VOLATILE: u16 = 1 << 2;
    /// Table: the ACS may add and delete instances (standard's access `W`) on platform 0
    /// (`CREATABLE << 1` on platform 1).
    pub const CREATABLE: u16 = 1 << 3;
    /// Parameter: writable, on platform 0 (`WRITE << 1` on platform 1).
    pub const WRITE: u16 = 1 << 3;
    /// Parameter: reads empty over CWMP (hidden, or secured).
    pub const HIDDEN: u16 = 1 << 5;
    /// Parameter: in every Inform (I-3).
    pub const FORCED_INFORM: u16 = 1 << 6;
    /// Parameter: active notification may be refused (R-SPA-6).
    pub const CAN_DENY: u16 = 1 << 7;
    /// Parameter: always active (R-SPA-7).
    pub const FORCE_ENABLED: u16 = 1 << 8;
    /// Parameter: active by default (R-SPA-8).
    pub const FORCE_DEFAULT: u16 = 1 << 9;
    /// Parameter: writing starts an action, reading gives the neutral value (R-SPV-23).
    pub const COMMAND: u16 = 1 << 10;
    /// Parameter: a change is committed when the session has ended (Status 1): it carries the uplink.
    pub const AFTER_SESSION: u16 = 1 << 11;
    /// Parameter: it carries the ACS session (a change of it is tried out and must be confirmed).
    /// Table: so do its rows as such, when they come and go.
    pub const UPLINK: u16 = 1 << 12;
}

/// Where values live.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum SourceKind {
    /// `arg` is the value.
    Const = 0,
    /// In the journal; `arg` is the default. Only for what the agent itself gives meaning to.
    Store = 1,
    /// A file below the root; `arg` is its path, with `{1}` for the key of the first `{i}` and so on.
    File = 2,
    /// A child process that speaks the exec protocol; `arg` is its argument vector, split at spaces.
    Exec = 3,
    /// Options of UCI, fields of answers of ubus, and what is made of them; `arg` is an expression
    /// (`grammar::expression`).
    Expression = 4,
    /// Rust; `arg` is the provider's name, one of `handlers::natives::NAMES`.
    Native = 6,
    /// `…NumberOfEntries`: the tree counts; `arg` is empty.
    Entries = 7,
    /// `Alias`: the tree keeps it; `arg` is empty.
    Alias = 8,
    /// An object with nothing of its own (`Device.IP.`).
    Nothing = 9,
}

/// One place that values come from; shared by all rows that name the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceRow {
    /// What kind of place.
    pub kind: SourceKind,
    /// Its argument; meaning by kind.
    pub arg: Text,
}

/// The base types of TR-106.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the standard's
pub enum Base {
    String = 0,
    Int = 1,
    UnsignedInt = 2,
    Long = 3,
    UnsignedLong = 4,
    Decimal = 5,
    Boolean = 6,
    DateTime = 7,
    Base64 = 8,
    HexBinary = 9,
}

/// A lexical form beyond the base type: the named types of TR-106 that a pattern describes badly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Format {
    /// No form of its own.
    Plain = 0,
    /// A path reference; empty is "refers to nothing".
    Reference = 1,
    /// Begins with a letter, never empty (N-10).
    Alias = 2,
    /// IPv4 or IPv6 address, or empty.
    IpAddress = 3,
    /// Dotted quad, or empty.
    Ipv4Address = 4,
    /// RFC 4291 text, or empty.
    Ipv6Address = 5,
    /// IPv4 or IPv6 prefix with its length, or empty.
    IpPrefix = 6,
    /// `10.0.0.0/8`, `/8`, or empty.
    Ipv4Prefix = 7,
    /// `2001:db8::/32`, or empty.
    Ipv6Prefix = 8,
    /// Six octets with colons, or empty.
    MacAddress = 9,
    /// 36 characters of RFC 4122.
    Uuid = 10,
}

/// One type with its bounds; shared by all parameters of the same type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindRow {
    /// The base type (of an item, for a list).
    pub base: Base,
    /// The form it must have besides.
    pub format: Format,
    /// Whether it is a comma-separated list (its lexical base is then string).
    pub list: bool,
    /// Bounds: of length in characters (octets for base64, hexBinary) or of the number;
    /// `i64::MIN` and `i64::MAX` when open. An unsignedLong's upper bound past `i64::MAX` is open.
    pub min: i64,
    /// See `min`.
    pub max: i64,
    /// List only: least and greatest number of items (`u16::MAX` when open).
    pub items: (u16, u16),
    /// List only: greatest length of the whole text in characters, `u32::MAX` when open.
    pub list_max: u32,
    /// When the bounds are more than one range (`-1..-1` or `1..`), all of them as text; into words.
    pub ranges: (u16, u16),
    /// Enumeration values: first and one past the last index into [`Schema::words`]. One that the
    /// agent may show and no peer may write ends with `@readOnly`.
    pub words: (u16, u16),
    /// Patterns (any may match, whole text): first and one past the last index into words.
    pub patterns: (u16, u16),
    /// For a path reference, the tables it may point into (`Device.IP.Interface.{i}.`), any when
    /// there are none; into words.
    pub targets: (u16, u16),
    /// What is shown where a source has no value.
    pub neutral: Text,
}

/// The tables of a data model.
#[derive(Clone, Debug)]
pub struct Schema {
    /// All text, end to end.
    pub blob: Cow<'static, str>,
    /// Objects, depth first; the first is `Device.`.
    pub objects: Cow<'static, [ObjectRow]>,
    /// Parameters, by object.
    pub params: Cow<'static, [ParamRow]>,
    /// Types.
    pub kinds: Cow<'static, [KindRow]>,
    /// Sources.
    pub sources: Cow<'static, [SourceRow]>,
    /// Words of enumerations, patterns, targets and keys.
    pub words: Cow<'static, [Text]>,
}

/// A handle on one object of a schema.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    /// The schema it stands in.
    pub schema: &'a Schema,
    /// Its index.
    pub id: ObjectId,
}

/// A handle on one parameter of a schema.
#[derive(Clone, Copy)]
pub struct Param<'a> {
    /// The schema it stands in.
    pub schema: &'a Schema,
    /// Its index.
    pub id: ParamId,
}

/// A place that values come from, as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<'a> {
    /// Its index in the schema: equal indexes are one source.
    pub id: u16,
    /// What kind of place.
    pub kind: SourceKind,
    /// Its argument.
    pub arg: &'a str,
}

impl Schema {
    /// The text of a piece.
    pub fn text(&self, t: Text) -> &str {
        let at = t.at as usize;
        self.blob.get(at..at + t.len as usize).unwrap_or("")
    }

    /// A handle on an object.
    pub fn object(&self, id: ObjectId) -> Object<'_> {
        Object { schema: self, id }
    }

    /// A handle on a parameter.
    pub fn param(&self, id: ParamId) -> Param<'_> {
        Param { schema: self, id }
    }

    /// A source by its index; `None` for [`NONE`].
    pub fn source(&self, id: u16) -> Option<Source<'_>> {
        let row = self.sources.get(id as usize)?;
        Some(Source { id, kind: row.kind, arg: self.text(row.arg) })
    }

    /// The words of a range of [`Schema::words`].
    pub fn words(&self, range: (u16, u16)) -> impl Iterator<Item = &str> + Clone {
        self.words[range.0 as usize..range.1 as usize].iter().map(|w| self.text(*w))
    }

    /// The object with this path, `{i}` included and with its final dot.
    pub fn find_object(&self, path: &str) -> Option<Object<'_>> {
        let mut at =
            (!self.objects.is_empty()).then(|| self.object(0)).filter(|o| path.starts_with(o.path()))?;
        while at.path().len() < path.len() {
            at = at.children().find(|o| path.starts_with(o.path()))?;
        }
        Some(at)
    }

    /// The parameter with this path, `{i}` included.
    pub fn find_param(&self, path: &str) -> Option<Param<'_>> {
        let (object, name) = path.split_at(path.rfind('.')? + 1);
        self.find_object(object)?.param(name)
    }

    /// How many objects and how many distinct parameters (`{i}` paths) a platform has.
    pub fn counts(&self, platform: Platform) -> (usize, usize) {
        let there = |sources: &[u16; PLATFORMS]| sources[platform as usize] != NONE;
        (
            self.objects.iter().filter(|o| there(&o.sources)).count(),
            self.params.iter().filter(|p| there(&p.sources)).count(),
        )
    }
}

impl<'a> Object<'a> {
    /// Its row.
    pub fn row(self) -> &'a ObjectRow {
        &self.schema.objects[self.id as usize]
    }

    /// `Interface`.
    pub fn name(self) -> &'a str {
        self.schema.text(self.row().name)
    }

    /// `Device.IP.Interface.{i}.`.
    pub fn path(self) -> &'a str {
        self.schema.text(self.row().path)
    }

    /// Whether it has instances.
    pub fn is_table(self) -> bool {
        self.row().flags & flag::TABLE != 0
    }

    /// Whether the ACS may add and delete instances on the platform.
    pub fn is_creatable(self, platform: Platform) -> bool {
        self.row().flags & (flag::CREATABLE << platform as u16) != 0
    }

    /// Whether its instance numbers live in memory only.
    pub fn is_volatile(self) -> bool {
        self.row().flags & flag::VOLATILE != 0
    }

    /// Whether its rows carry the ACS session.
    pub fn is_uplink(self) -> bool {
        self.row().flags & flag::UPLINK != 0
    }

    /// The object it stands in.
    pub fn parent(self) -> Option<Object<'a>> {
        let parent = self.row().parent;
        (parent != NONE).then(|| self.schema.object(parent))
    }

    /// The objects one level below, in order.
    pub fn children(self) -> impl Iterator<Item = Object<'a>> {
        let (mut next, end) = (self.id + 1, self.row().end);
        std::iter::from_fn(move || {
            (next < end).then(|| {
                let child = self.schema.object(next);
                next = child.row().end;
                child
            })
        })
    }

    /// Its parameters, in order (of all platforms).
    pub fn params(self) -> impl Iterator<Item = Param<'a>> {
        let (from, to) = self.row().params;
        (from..to).map(move |id| self.schema.param(id))
    }

    /// The parameter of this name.
    pub fn param(self, name: &str) -> Option<Param<'a>> {
        self.params().find(|p| p.name() == name)
    }

    /// The parameter of the parent object that counts the instances.
    pub fn entries(self) -> Option<Param<'a>> {
        let id = self.row().entries;
        (id != NONE).then(|| self.schema.param(id))
    }

    /// The enableParameter of the table: functional keys are unique among enabled rows only
    /// (R-SPV-20).
    pub fn enable(self) -> Option<Param<'a>> {
        let id = self.row().enable;
        (id != NONE).then(|| self.schema.param(id))
    }

    /// The unique keys: whether it is functional, and the names of its parameters joined by `+`.
    pub fn keys(self) -> impl Iterator<Item = (bool, &'a str)> + Clone {
        self.schema.words(self.row().keys).map(|key| match key.strip_prefix("nf:") {
            Some(names) => (false, names),
            None => (true, key),
        })
    }

    /// Where its row or its instances come from; `None` when it does not exist on the platform.
    pub fn source(self, platform: Platform) -> Option<Source<'a>> {
        self.schema.source(self.row().sources[platform as usize])
    }

    /// Whether it exists on the platform.
    pub fn exists(self, platform: Platform) -> bool {
        self.row().sources[platform as usize] != NONE
    }

    /// How many `{i}` its path has.
    pub fn depth(self) -> usize {
        self.path().matches("{i}").count()
    }
}

impl<'a> Param<'a> {
    /// Its row.
    pub fn row(self) -> &'a ParamRow {
        &self.schema.params[self.id as usize]
    }

    /// `MaxMTUSize`.
    pub fn name(self) -> &'a str {
        self.schema.text(self.row().name)
    }

    /// Its type.
    pub fn kind(self) -> super::kind::Kind<'a> {
        super::kind::Kind { schema: self.schema, row: &self.schema.kinds[self.row().kind as usize] }
    }

    /// Whether one of its [`flag`] bits is set.
    pub fn has(self, bit: u16) -> bool {
        self.row().flags & bit != 0
    }

    /// Whether it may be written on the platform.
    pub fn is_writable(self, platform: Platform) -> bool {
        self.has(flag::WRITE << platform as u16)
    }

    /// Where its value lives; `None` when it does not exist on the platform.
    pub fn source(self, platform: Platform) -> Option<Source<'a>> {
        self.schema.source(self.row().sources[platform as usize])
    }

    /// Whether it exists on the platform.
    pub fn exists(self, platform: Platform) -> bool {
        self.row().sources[platform as usize] != NONE
    }

    /// The object it stands in.
    pub fn object(self) -> Object<'a> {
        // Parameters lie in the order of their objects; an object without any has an empty range
        // and is never the last one that begins at or before this parameter.
        let after = self.schema.objects.partition_point(|o| o.params.0 <= self.id);
        let id = (0..after).rev().find(|i| self.schema.objects[*i].params.1 > self.id).unwrap_or(0);
        self.schema.object(id as ObjectId)
    }

    /// For `…NumberOfEntries`, the table it counts.
    pub fn counts(self) -> Option<Object<'a>> {
        self.object().children().find(|o| o.row().entries == self.id)
    }
}
