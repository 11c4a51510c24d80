//! Diagnostics: tests that the ACS, a schedule or a shell asks for, measured here and by nobody else
//! (TR-181 Device.IP.Diagnostics, DNS.Diagnostics …; TR-143, TR-471).
//!
//! A test is a function of its arguments: it runs in a thread of its own, touches neither tree nor journal, and
//! gives back a [`Report`]. Every wait of it can be woken ([`Run`]). What the states mean and when a test runs
//! is the [`board`]'s to say, which does no I/O. Each test has one entry in [`KINDS`], and its rows in
//! `datamodel/diagnostics.toml`: the arguments are kept by the tree (`store`), state and results are read from
//! the board (`native = "diagnostics"`).

pub mod board;
pub mod capacity;
pub mod capture;
pub mod dns;
pub mod echo;
mod icmp;
pub mod neighbours;
pub mod nslookup;
pub mod ping;
pub mod plan;
pub mod responder;
pub mod run;
pub mod select;
pub mod selftest;
pub mod socket;
pub mod throughput;
pub mod time;
pub mod trace;
pub mod udpecho;

use crate::model::schema::{Platform, Schema, SourceKind};
use crate::net::client::Options;
use run::{Canceled, Run};
use std::fmt;
use std::path::PathBuf;

/// The most rows that a table of results may have; what a test finds beyond is counted and left out.
pub const MAX_ROWS: usize = 1024;
/// The longest text of one result, in bytes; what is longer is cut.
pub const MAX_TEXT: usize = 2048;

/// A test.
pub struct Kind {
    /// Its object, with the final dot.
    pub object: &'static str,
    /// What a shell calls it.
    pub word: &'static str,
    /// Does it.
    pub run: fn(&Job, &mut Run) -> Result<Report, Canceled>,
    /// Judges one argument beyond its type (DG-9, DG-14, DG-15): why it cannot be.
    pub judge: fn(name: &str, value: &str) -> Result<(), String>,
}

/// Each has an object of its own.
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.object == other.object
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.object)
    }
}

/// Every test there is.
pub const KINDS: &[Kind] = &[
    Kind { object: "Device.IP.Diagnostics.IPPing.", word: "ping", run: ping::run, judge: any },
    Kind { object: "Device.IP.Diagnostics.TraceRoute.", word: "trace", run: trace::run, judge: any },
    nslookup::KIND,
    select::KIND,
    udpecho::KIND,
    Kind {
        object: "Device.IP.Diagnostics.DownloadDiagnostics.",
        word: "download",
        run: throughput::download,
        judge: throughput::judge,
    },
    Kind {
        object: "Device.IP.Diagnostics.UploadDiagnostics.",
        word: "upload",
        run: throughput::upload,
        judge: throughput::judge,
    },
    Kind { object: capacity::OBJECT, word: "capacity", run: capacity::run, judge: capacity::judge },
    selftest::KIND,
    capture::KIND,
    neighbours::KIND,
];

/// Judges arguments of one test against each other: the names of those that do not fit, and why.
pub type Together = fn(&Arguments) -> Result<(), (&'static [&'static str], String)>;

/// The tests some arguments of which must fit each other (DG-14, DG-15).
pub const TOGETHER: &[(&str, Together)] = &[(capacity::OBJECT, capacity::together)];

/// The test whose object, or a table of whose results, this is.
pub fn kind(path: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| path.starts_with(kind.object))
}

/// The state of a test that the device itself was in the way of.
pub fn internal(kind: &Kind) -> &'static str {
    // The one enumeration without Error_Internal.
    if kind.object == neighbours::KIND.object { "Error" } else { "Error_Internal" }
}

/// The arguments of a test that nobody has set anything of: all its writable parameters but the state, with the
/// defaults of the data model.
pub fn defaults(schema: &Schema, platform: Platform, kind: &Kind) -> Arguments {
    let mut all = Arguments::default();
    for param in schema.find_object(kind.object).into_iter().flat_map(|object| object.params()) {
        if param.is_writable(platform) && param.name() != "DiagnosticsState" {
            let stored = param.source(platform).filter(|source| source.kind == SourceKind::Store);
            all.set(param.name(), stored.map_or("", |source| source.arg));
        }
    }
    all
}

/// For arguments that are what their types say.
pub fn any(_: &str, _: &str) -> Result<(), String> {
    Ok(())
}

/// What a test is to do.
pub struct Job {
    /// Its writable parameters, with the values that the tree has, or a shell's.
    pub arguments: Arguments,
    /// The device of `Interface`, to which all sockets are bound (DG-18); `None` lets routing decide.
    pub device: Option<String>,
    /// What the agent knows that a test may need.
    pub around: Around,
}

/// What the agent knows.
#[derive(Clone, Default)]
pub struct Around {
    /// Everything of the platform that is read lies below it.
    pub root: PathBuf,
    /// Roots, clock, user agent and deadlines of a connection as toward the ACS, without its URL, credentials,
    /// client certificate and interface.
    pub options: Options,
    /// What only the agent knows, by name; a name may be there several times.
    pub facts: Facts,
}

/// Names of facts and what they say.
#[derive(Clone, Default, Debug)]
pub struct Facts(pub Vec<(&'static str, String)>);

impl Facts {
    /// The first of a name; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All of a name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, text)| text.as_str())
    }
}

/// Names and values of arguments, as in the tree.
#[derive(Clone, Default, Debug)]
pub struct Arguments(pub Vec<(String, String)>);

impl Arguments {
    /// The text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The number; 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether it is true.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// Sets one.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }
}

/// One row of a table of results.
pub type Record = Vec<(&'static str, String)>;

/// How a test ended, with what it found: after an error, too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// `Complete`, or an `Error…` of the object's enumeration (DG-13).
    pub state: &'static str,
    /// Why it is an error, for a person.
    pub why: String,
    /// Results. What is not named reads as its type's neutral value.
    pub values: Record,
    /// Tables by the name behind the object's path (`RouteHops`), with their rows; numbered from 1.
    pub tables: Vec<(&'static str, Vec<Record>)>,
}

impl Report {
    /// It did what was asked for.
    pub fn complete() -> Report {
        Report { state: "Complete", ..Report::default() }
    }

    /// It did not.
    pub fn error(state: &'static str, why: impl Into<String>) -> Report {
        Report { state, why: why.into(), ..Report::default() }
    }

    /// Adds a result.
    pub fn put(&mut self, name: &'static str, value: impl ToString) {
        self.values.push((name, value.to_string()));
    }
}
