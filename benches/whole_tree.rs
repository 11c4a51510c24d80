//! A generated tree read whole: GetParameterValues of `Device.` through the real rendering, in the
//! pieces in which the wire pulls it. Ten leaves an instance: five constants, five that a native
//! handler gives (numbers, a string, a boolean, a word of an enumeration); once as one table, once as
//! tables in a table, and the first once more compressed with gzip as HTTPCompression has it.
//!
//! Each tree is read in a process of its own, so that no memory is one that another tree has left
//! behind. Time is processor time, the mean of several readings; time and memory are taken in different readings: a sample of RssAnon costs time.
//!
//! `CWMPD_BENCH_LEAVES=1000,10000` reads trees of other sizes. `CWMPD_BENCH_ALIASES=1` gives each instance
//! an Alias, an eleventh leaf, and has the names told by it (InstanceMode `InstanceAlias`).

use cwmpd::agent::answer::{First, Rendering};
use cwmpd::cwmp::rpc::Namespace;
use cwmpd::cwmp::session::LongAnswer;
use cwmpd::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use cwmpd::model::sample;
use cwmpd::model::tree::{Handlers, Naming, Tree};
use cwmpd::net::coding::Coding;
use cwmpd::soap::writer::List;
use cwmpd::state::journal::Journal;
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, BufRead, Cursor, Read};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

const SIZES: &str = "1000,10000,100000,1000000";
/// A tree is read again until this much time went by. Means, not the best: a reading of a thousand
/// values finds a moment without noise, one of a million does not.
const ENOUGH: Duration = Duration::from_millis(1500);

/// Instances of the outer table, and of each inner one (0: the leaves are in the outer one).
struct Generated(usize, usize);

impl Handler for Generated {
    fn list(&mut self, _: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let count = if row.keys.is_empty() { self.0 } else { self.1 };
        out.extend((0..count).map(|n| format!("if{n}")));
        Ok(())
    }

    fn get(
        &mut self,
        _: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let number = row.numbers.last().copied().unwrap_or(0);
        for (at, want) in want.iter().enumerate() {
            match want.param.name() {
                "Up" => out.put(at, number % 2 == 0),
                "Status" => out.put(at, "LowerLayerDown"),
                "Name" => out.put(at, row.key()),
                _ => out.put(at, number as usize * 1001 + at),
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Err(Failure::denied("read-only"))
    }

    fn commit(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<(), Failure> {
        Err(Failure::denied("read-only"))
    }

    fn undo(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
}

fn model(nested: bool) -> String {
    let mut text =
        String::from("[\"Device.\"]\nRootDataModelVersion = { type = \"string\", const = \"2.19\" }\n");
    let mut table = "Device.Leaf.{i}.";
    let alias = if naming() == Naming::Aliases { "Alias = { type = \"Alias\", write = true }\n" } else { "" };
    if nested {
        let _ = write!(text, "[\"Device.Box.{{i}}.\"]\nnative = \"generated\"\nvolatile = true\n{alias}");
        table = "Device.Box.{i}.Leaf.{i}.";
    }
    let _ = write!(text, "[\"{table}\"]\nnative = \"generated\"\nvolatile = true\n{alias}");
    for at in 0..5 {
        let _ = writeln!(text, "Const{at} = {{ type = \"string(64)\", const = \"constant {at}\" }}");
    }
    text.push_str(
        "Name = { type = \"string(64)\" }\nUp = { type = \"boolean\" }\nBytes = { type = \"StatsCounter64\" }\n\
         Mtu = { type = \"unsignedInt(64..)\" }\n\
         Status = { type = \"enum(Up,Down,Unknown,Dormant,NotPresent,LowerLayerDown,Error)\" }\n",
    );
    text
}

/// How names are told.
fn naming() -> Naming {
    if std::env::var_os("CWMPD_BENCH_ALIASES").is_some() { Naming::Aliases } else { Naming::AsAsked }
}

/// RssAnon of this process in KiB; 0 where /proc does not tell.
fn rss_anon() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Processor time of this thread: others on the machine do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

/// What one reading found.
#[derive(Default)]
struct Reading {
    values: usize,
    bytes: usize,
    /// Until the number of values was known, and from then to the last byte.
    counted: Duration,
    rendered: Duration,
    /// RssAnon when all was counted, and its peak while pieces were made.
    listed: i64,
    peak: i64,
}

/// An answer in the pieces in which the wire pulls it.
struct Pulled<'a> {
    rendering: Rendering,
    tree: &'a mut Tree,
    piece: Cursor<Vec<u8>>,
    peak: &'a mut Peak,
}

impl BufRead for Pulled<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.fill_buf()?.is_empty() {
            let Some(piece) = self.rendering.piece(self.tree) else { break };
            self.peak.sample();
            self.piece = Cursor::new(piece);
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.piece.consume(amount);
    }
}

impl Read for Pulled<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(room)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// The highest RssAnon seen; looked at only when memory is what is measured.
struct Peak(i64, bool);

impl Peak {
    fn sample(&mut self) {
        if self.1 {
            self.0 = self.0.max(rss_anon());
        }
    }
}

fn read(tree: &mut Tree, path: &str, coding: Option<Coding>, sampled: bool) -> Reading {
    let mut found = Reading::default();
    let mut peak = Peak(0, sampled);
    tree.begin_rpc();
    let started = cpu();
    let selection = match tree.values(&[path.to_owned()]) {
        Ok(selection) => selection.named(naming()),
        Err(fault) => panic!("{path}: {fault}"),
    };
    found.counted = cpu() - started;
    found.values = selection.count;
    peak.sample();
    found.listed = peak.0;
    let started = cpu();
    let mut rendering = Rendering::new(LongAnswer::new(Namespace::V1_2, Some("1"), List::Values, selection));
    let (First::Whole(first) | First::Begun(first)) = rendering.first(tree);
    peak.sample();
    let pulled = Pulled { rendering, tree, piece: Cursor::new(first), peak: &mut peak };
    let mut stream: Box<dyn Read> = match coding {
        Some(coding) => coding.compressing(pulled),
        None => Box::new(pulled),
    };
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(amount @ 1..) = stream.read(&mut buffer) {
        found.bytes += amount;
    }
    drop(stream);
    found.rendered = cpu() - started;
    found.peak = peak.0;
    found
}

fn measure(leaves: usize, kind: &str) {
    let nested = kind == "nested";
    let coding = (kind == "gzip").then_some(Coding::Gzip);
    let instances = (leaves / 10).max(1);
    let side = if nested { (instances as f64).sqrt() as usize } else { 0 };
    let generated = if nested { Generated(side, instances / side) } else { Generated(instances, 0) };
    let handlers = Handlers { by_kind: Vec::new(), natives: vec![("generated", Box::new(generated))] };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (mut tree, _) = sample::tree(&model(nested), &journal, handlers);
    // One value first: what any answer needs is part of idle.
    read(&mut tree, "Device.RootDataModelVersion", None, true);
    let idle = rss_anon();
    tree.begin_session();
    let memory = read(&mut tree, "Device.", coding, true);
    let index = tree.index_bytes() as i64 / 1024;
    tree.end_session();
    let begun = Instant::now();
    let mut all = Reading::default();
    let mut rounds = 0_u32;
    while begun.elapsed() < ENOUGH || rounds < 5 {
        rounds += 1;
        tree.begin_session();
        let one = read(&mut tree, "Device.", coding, false);
        tree.end_session();
        all.counted += one.counted;
        all.rendered += one.rendered;
    }
    let each = |d: Duration| d.as_nanos() as f64 / memory.values as f64 / f64::from(rounds);
    let total = each(all.counted) + each(all.rendered);
    let above = memory.peak - idle;
    println!(
        "{:>9} {kind:<6} {:>10.0} {:>7.0} {:>7.0} {:>9} | {idle:>6} {:>8} {:>7} {index:>7} {:>9}",
        memory.values,
        1e9 / total,
        each(all.counted),
        each(all.rendered),
        memory.bytes / 1024,
        memory.listed - idle,
        above,
        above - index,
    );
}

fn main() {
    if let (Ok(leaves), Ok(kind)) = (std::env::var("CWMPD_BENCH_ONE"), std::env::var("CWMPD_BENCH_KIND")) {
        return measure(leaves.parse().expect("a number"), &kind);
    }
    let own = std::env::current_exe().expect("the path of this program");
    let sizes = std::env::var("CWMPD_BENCH_LEAVES").unwrap_or_else(|_| SIZES.to_owned());
    println!(
        "                                                         | RssAnon, KiB\n\
         \x20  values          values/s  ns/value: sent KiB   |   idle    above: peak    of it  peak without\n\
         \x20                            count  render             |          counted         index   index"
    );
    for leaves in sizes.split(',').map(str::trim) {
        for kind in ["flat", "nested", "gzip"] {
            // A list has at most 65,536 instances.
            if kind != "nested" && leaves.parse::<usize>().is_ok_and(|n| n > 600_000) {
                continue;
            }
            let mut child = Command::new(&own);
            child.env("CWMPD_BENCH_ONE", leaves).env("CWMPD_BENCH_KIND", kind);
            let status = child.status().expect("a child of its own");
            assert!(status.success(), "{leaves} leaves: {status}");
        }
    }
}
