//! A SetParameterValues of 1,000 values as one transaction: checked, staged, journaled, with a handler
//! that does nothing, so that all the time is the agent's own.
//!
//! The journal is a real one, in a temporary folder (of `TMPDIR`; a file system in memory makes fsync look
//! free). Time is processor time of this thread, in which waiting for the disk does not count; beside it
//! the time by the clock, and what the same writes with fsync cost by themselves.
//!
//! `CWMPD_BENCH_VALUES=100,10000` sets other numbers of values, `CWMPD_BENCH_ROUNDS` says how often,
//! `CWMPD_BENCH_CASE=watched` picks the cases with this word.

use cwmpd::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use cwmpd::model::request::{ParameterValue, SetAttributes};
use cwmpd::model::sample;
use cwmpd::model::tree::{Handlers, Status, Writer};
use cwmpd::soap::reader;
use cwmpd::state::journal::Journal;
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Ten values a row, in a table of any size, and one row that is no table's. `Name` is a unique key;
/// half of the rest is kept by the agent, half goes to the handler.
const MODEL: &str = r#"
["Device."]
RowNumberOfEntries = { type = "unsignedInt" }
["Device.Row.{i}."]
native = "nothing"
entries = "RowNumberOfEntries"
keys = ["nf:Alias", "Name"]
Alias = { type = "Alias", write = true }
Name = { type = "string(64)", write = true }
S0 = { type = "string(64)", write = true, store = "" }
S1 = { type = "unsignedInt(1..)", write = true, store = "1" }
S2 = { type = "boolean", write = true, store = "false" }
S3 = { type = "enum(Up,Down,Unknown)", write = true, store = "Up" }
S4 = { type = "string", write = true, store = "" }
H1 = { type = "unsignedInt(1..)", write = true }
H2 = { type = "boolean", write = true }
H3 = { type = "enum(Up,Down,Unknown)", write = true }
H4 = { type = "IPAddress", write = true }
"#;

/// Rows whose values go nowhere.
struct Nothing(usize);

impl Handler for Nothing {
    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        out.extend((0..self.0).map(|n| format!("row{n}")));
        Ok(())
    }

    fn get(
        &mut self,
        _: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        for (at, want) in want.iter().enumerate() {
            if want.param.name() == "Name" {
                out.put(at, row.key());
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn undo(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
}

/// What is set, by name; each round sets other values.
struct Case {
    name: &'static str,
    /// The parameters of each row that are set.
    params: &'static [&'static str],
    /// All of them are watched actively, so that what was written has to be remembered as told.
    watched: bool,
}

const CASES: &[Case] = &[
    Case { name: "kept by the agent", params: &["S0", "S1", "S2", "S3", "S4"], watched: false },
    Case { name: "one kept value a row", params: &["S0"], watched: false },
    Case { name: "of a handler", params: &["Name", "H1", "H2", "H3", "H4"], watched: false },
    Case { name: "a unique key a row", params: &["Name"], watched: false },
    Case {
        name: "half and half",
        params: &["Name", "H1", "H2", "H3", "H4", "S0", "S1", "S2", "S3", "S4"],
        watched: false,
    },
    Case {
        name: "half and half, watched",
        params: &["Name", "H1", "H2", "H3", "H4", "S0", "S1", "S2", "S3", "S4"],
        watched: true,
    },
];

fn list(case: &Case, values: usize, round: usize) -> Vec<ParameterValue> {
    let entry = |at: usize| {
        let (row, param) = (at / case.params.len(), case.params[at % case.params.len()]);
        let number = round * values + at + 1;
        let (value, kind) = match param {
            "Name" | "S0" | "S4" => (format!("a value {number}"), "string"),
            "S1" | "H1" => (number.to_string(), "unsignedInt"),
            "S2" | "H2" => (round.is_multiple_of(2).to_string(), "boolean"),
            "S3" | "H3" => (["Up", "Down"][round % 2].to_owned(), "string"),
            _ => (format!("192.0.{}.{}", round % 250, at % 250), "string"),
        };
        ParameterValue { name: format!("Device.Row.{}.{param}", row + 1), value, xsi_type: Some(kind.into()) }
    };
    (0..values).map(entry).collect()
}

/// The request as the ACS writes it.
fn envelope(list: &[ParameterValue]) -> String {
    let mut text = String::from(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:c=\"urn:dslforum-org:cwmp-1-2\"><s:Body><c:SetParameterValues><ParameterList>",
    );
    for one in list {
        let kind = one.xsi_type.as_deref().unwrap_or("string");
        let _ = write!(
            text,
            "<ParameterValueStruct><Name>{}</Name><Value xsi:type=\"xsd:{kind}\">{}</Value></ParameterValueStruct>",
            one.name, one.value
        );
    }
    text + "</ParameterList><ParameterKey>k</ParameterKey></c:SetParameterValues></s:Body></s:Envelope>"
}

/// Processor time of this thread: others on the machine do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
}

fn measure(case: &Case, values: usize, rounds: usize, folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    let journal = Rc::new(RefCell::new(Journal::open(folder).expect("nobody else has it")));
    let rows = values.div_ceil(case.params.len());
    let handlers = Handlers { by_kind: Vec::new(), natives: vec![("nothing", Box::new(Nothing(rows)))] };
    let (mut tree, _) = sample::tree(MODEL, &journal, handlers);
    if case.watched {
        let all = SetAttributes { name: "Device.Row.".to_owned(), notification: Some(2), access_list: None };
        if let Err(fault) = tree.set_attributes(&[all]) {
            return println!("{values:>7} {:<24} not measured: {fault}", case.name);
        }
    }
    let (mut read, mut own, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let text = envelope(&list(case, values, round));
        let started = cpu();
        reader::read(text.as_bytes()).expect("our own request");
        read.push(cpu() - started);
        let list = list(case, values, round);
        // As in a session that begins with it: instances are looked up for the first time.
        tree.begin_session();
        tree.begin_rpc();
        let (began, started) = (Instant::now(), cpu());
        let status = tree.set(&list, Writer::Acs { parameter_key: "k" });
        own.push(cpu() - started);
        whole.push(began.elapsed());
        assert_eq!(status, Ok(Status::Applied), "{}", case.name);
        tree.end_session();
    }
    let length = std::fs::metadata(folder.join("journal")).map_or(0, |m| m.len());
    println!(
        "{values:>7} {:<24} {:>9.2} {:>9.2} {:>12.2} {:>10} {:>9.2}",
        case.name,
        median(read),
        median(own),
        median(whole),
        length / 1024,
        fsync(folder, 64 * 1024)
    );
    let _ = std::fs::remove_dir_all(folder);
}

/// Appending so many bytes to a file with fsync, by itself.
fn fsync(folder: &Path, bytes: usize) -> f64 {
    let file = File::create(folder.join("plain")).expect("a file");
    let bytes = vec![b'x'; bytes];
    let once = |at: usize| {
        let began = Instant::now();
        file.write_all_at(&bytes, (at * bytes.len()) as u64).and_then(|()| file.sync_data()).expect("a disk");
        began.elapsed()
    };
    median((0..20).map(once).collect())
}

fn main() {
    let number = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let rounds: usize = number("CWMPD_BENCH_ROUNDS", "50").parse().expect("a number");
    let only = number("CWMPD_BENCH_CASE", "");
    let folder = std::env::temp_dir().join(format!("cwmpd-bench-set-{}", std::process::id()));
    println!("medians of {rounds} changes, in ms; journal in {}", folder.display());
    println!(
        "                                  request  set: pro-  by the clock,   journal  one 64 KiB\n\
         \x20values                              read   cessor     with fsync       KiB  with fsync"
    );
    for values in number("CWMPD_BENCH_VALUES", "100,1000,4000").split(',').map(str::trim) {
        for case in CASES.iter().filter(|c| c.name.contains(&only)) {
            measure(case, values.parse().expect("a number"), rounds, &folder);
        }
    }
}
