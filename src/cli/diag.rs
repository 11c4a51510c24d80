//! `cwmpd diag`: a test of the network from a shell, by the same code as when the ACS asks for it. It runs in this
//! process and needs no daemon; what a daemon's own tests are doing is not touched.
//!
//! Names, types, bounds and defaults of arguments are those of the data model, so that nothing is said twice.

use super::{Exit, complain, show};
use crate::config::Config;
use crate::diagnostics::run::{Run, Show};
use crate::diagnostics::{Arguments, Around, Job, KINDS, Kind, Record, Report, TOGETHER, defaults};
use crate::model::builtin::builtin;
use crate::model::kind::Misfit;
use crate::model::schema::{Base, Platform, Schema};
use crate::net::client::Options;
use crate::sys::clock;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// The tests that need nothing of the daemon, with the arguments that may stand without their names.
const WORDS: &[(&str, &[&str])] = &[
    ("ping", &["Host"]),
    ("trace", &["Host"]),
    ("nslookup", &["HostName", "DNSServer"]),
    ("select", &["HostList"]),
    ("udpecho", &["Host"]),
    ("download", &["DownloadURL"]),
    ("upload", &["UploadURL"]),
    ("capacity", &["ServerList"]),
];

/// What is asked for.
pub(super) struct Test {
    kind: &'static Kind,
    arguments: Arguments,
    device: Option<String>,
}

/// The names of all tests, for a person.
pub(super) fn words() -> String {
    WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

impl Test {
    /// Takes a command line's words: the test, then values by place or as `Name=Value`.
    ///
    /// # Errors
    /// No such test or argument, or a value that a SetParameterValues would refuse, with its name.
    pub(super) fn parse(words: &[String], device: Option<String>) -> Result<Test, String> {
        let Some((word, rest)) = words.split_first() else {
            return Err(format!("diag takes a test: {}", self::words()));
        };
        let known = WORDS.iter().find(|(own, _)| own == word);
        let kind = KINDS.iter().find(|kind| kind.word == word);
        let (Some((_, places)), Some(kind)) = (known, kind) else {
            return Err(format!("there is no test `{word}` for a shell, but {}", self::words()));
        };
        let schema = builtin();
        let mut arguments = defaults(&schema, Platform::Linux, kind);
        let mut places = places.iter();
        for text in rest {
            let named = text.split_once('=').filter(|(name, _)| is_name(name));
            let (name, value) = match named {
                Some(pair) => pair,
                None => match places.next() {
                    Some(name) => (*name, text.as_str()),
                    None => return Err(format!("{word}: `{text}` has no place; NAME=VALUE is wanted")),
                },
            };
            if name == "Interface" {
                return Err("Interface is a row of the daemon's tree; --device takes a device".to_owned());
            }
            let value = judged(&schema, kind, &arguments, name, value)?;
            arguments.set(name, &value);
        }
        for (_, together) in TOGETHER.iter().filter(|(object, _)| *object == kind.object) {
            together(&arguments).map_err(|(names, why)| format!("{}: {why}", names.join(", ")))?;
        }
        Ok(Test { kind, arguments, device })
    }
}

/// A parameter's name, and no beginning of a URL.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn judged(
    schema: &Schema,
    kind: &Kind,
    known: &Arguments,
    name: &str,
    value: &str,
) -> Result<String, String> {
    let param = schema.find_object(kind.object).and_then(|object| object.param(name));
    let Some(param) = param.filter(|_| known.0.iter().any(|(own, _)| own == name)) else {
        let names: Vec<&str> = known.0.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("{} has no argument {name}; it has {}", kind.word, names.join(" ")));
    };
    let said = |misfit: Misfit| format!("{name}: {}", misfit.text());
    let value = param.kind().check(value).map_err(said)?.into_owned();
    (kind.judge)(name, &value).map_err(|why| format!("{name}: {why}"))?;
    Ok(value)
}

/// Runs the test and tells its results. [`Exit::Fault`] when it did not end with Complete.
///
/// # Errors
/// Of the writer.
pub(super) fn run(file: &Path, test: Test, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    let config = match file.exists() {
        true => Config::load(file),
        // A shell on a machine that is no CPE may measure, too.
        false => Ok(Config::default()),
    };
    let config = match config {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return Ok(Exit::Configuration);
        }
    };
    // The other end stays open for as long as the test runs: an interrupt ends the process, and with it the test.
    let (wake, _open) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let options = Options {
        ca_file: config.acs.ca_file.clone(),
        clock_set: clock::now().clock_set,
        user_agent: concat!("cwmpd/", env!("CARGO_PKG_VERSION")).to_owned(),
        timeouts: config.acs.timeouts(),
        ..Options::default()
    };
    let around = Around { root: config.root.clone(), options, ..Around::default() };
    let is_live = io::stderr().is_terminal() && !json;
    let live: Option<Show> = is_live.then(|| Box::new(live) as Show);
    let job = Job { arguments: test.arguments, device: test.device, around };
    let report = (test.kind.run)(&job, &mut Run::new(wake, live));
    if is_live {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let Ok(report) = report else { return Ok(Exit::Fault) };
    if json {
        writeln!(out, "{}", as_json(test.kind, &report))?;
    } else {
        as_lines(&report, out)?;
    }
    if report.state == "Complete" {
        return Ok(Exit::Ok);
    }
    out.flush()?;
    let why = if report.why.is_empty() { String::new() } else { format!(": {}", report.why) };
    complain(&show::plain(&format!("{}{why}", report.state), false));
    Ok(Exit::Fault)
}

/// One line that is written over by the next.
fn live(step: crate::diagnostics::run::Step<'_>) {
    const WIDTH: usize = 78;
    let text: String = show::plain(step.text, false).chars().take(WIDTH).collect();
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

/// As `cwmpd get` would show them below the object's path.
fn as_lines(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "DiagnosticsState={}", report.state)?;
    let mut write = |row: &str, record: &Record| {
        record.iter().try_for_each(|(name, value)| writeln!(out, "{row}{name}={}", show::plain(value, false)))
    };
    write("", &report.values)?;
    for (table, rows) in &report.tables {
        for (at, row) in rows.iter().enumerate() {
            write(&format!("{table}.{}.", at + 1), row)?;
        }
    }
    Ok(())
}

/// One object; numbers and truth values as such, tables as arrays.
fn as_json(kind: &Kind, report: &Report) -> Value {
    let schema = builtin();
    let object = |path: &str, record: &Record| {
        let mut map = Map::new();
        for (name, value) in record {
            let base = schema.find_param(&format!("{path}{name}")).map(|param| param.kind().row.base);
            let typed = match base {
                Some(Base::Boolean) => value.parse().ok().map(Value::Bool),
                Some(Base::Int | Base::Long) => value.parse::<i64>().ok().map(Value::from),
                Some(Base::UnsignedInt | Base::UnsignedLong) => value.parse::<u64>().ok().map(Value::from),
                _ => None,
            };
            map.insert((*name).to_owned(), typed.unwrap_or_else(|| Value::from(value.as_str())));
        }
        map
    };
    let mut map = object(kind.object, &report.values);
    map.insert("DiagnosticsState".to_owned(), report.state.into());
    if !report.why.is_empty() {
        map.insert("why".to_owned(), report.why.as_str().into());
    }
    for (table, rows) in &report.tables {
        let path = format!("{}{table}.{{i}}.", kind.object);
        let rows = rows.iter().map(|row| Value::Object(object(&path, row))).collect();
        map.insert((*table).to_owned(), Value::Array(rows));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Test, String> {
        let words: Vec<String> = line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        Test::parse(&words, None)
    }

    #[test]
    fn words_become_arguments() {
        for (word, places) in WORDS {
            let test = parse(word).expect("a test");
            assert!(places.iter().all(|name| test.arguments.0.iter().any(|(own, _)| own == name)), "{word}");
        }
        let test = parse("ping 192.0.2.1 NumberOfRepetitions=07 DSCP=10").unwrap();
        let text = |name| test.arguments.text(name);
        assert_eq!((text("Host"), text("NumberOfRepetitions"), text("DSCP")), ("192.0.2.1", "7", "10"));
        assert_eq!(text("Timeout"), "1000", "the data model's own");
        let test = parse("nslookup www.example 192.0.2.53").unwrap();
        assert_eq!(
            (test.arguments.text("HostName"), test.arguments.text("DNSServer")),
            ("www.example", "192.0.2.53")
        );
        let test = parse("download http://h/f?a=b").unwrap();
        assert_eq!(test.arguments.text("DownloadURL"), "http://h/f?a=b");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, named) in [
            ("", "ping, trace"),
            ("pong h", "`pong`"),
            ("selftest", "`selftest`"),
            ("ping a b", "`b`"),
            ("ping h Hots=x", "Hots"),
            ("ping h DiagnosticsState=Requested", "DiagnosticsState"),
            ("ping h SuccessCount=1", "SuccessCount"),
            ("ping h NumberOfRepetitions=9999999", "NumberOfRepetitions"),
            ("ping h DSCP=x", "DSCP"),
            ("ping h Interface=Device.IP.Interface.1", "--device"),
            ("download http://h/ NumberOfConnections=99", "NumberOfConnections"),
            ("download ftp://h/", "DownloadURL"),
            ("capacity h TestSubInterval=100 NumberTestSubIntervals=1", "TestSubInterval"),
        ] {
            let why = parse(line).err().unwrap_or_else(|| panic!("{line}"));
            assert!(why.contains(named), "{line}: {why}");
        }
    }

    #[test]
    fn results_are_typed() {
        let kind = KINDS.iter().find(|kind| kind.word == "trace").expect("a test");
        let mut report = Report::error("Error_MaxHopCountExceeded", "far");
        report.put("ResponseTime", 12);
        report
            .tables
            .push(("RouteHops", vec![vec![("Host", "h\u{1b}".to_owned()), ("ErrorCode", "11".to_owned())]]));
        let expected = serde_json::json!({
            "DiagnosticsState": "Error_MaxHopCountExceeded", "why": "far", "ResponseTime": 12,
            "RouteHops": [{"Host": "h\u{1b}", "ErrorCode": 11}],
        });
        assert_eq!(as_json(kind, &report), expected);
        let mut out = Vec::new();
        as_lines(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with(
                "DiagnosticsState=Error_MaxHopCountExceeded\nResponseTime=12\nRouteHops.1.Host=h"
            )
        );
        assert!(!text.contains('\u{1b}'));
    }
}
