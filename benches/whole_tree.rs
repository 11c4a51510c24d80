//! A generated tree read whole: GetParameterValues of `Device.` through the real rendering, in the
//! pieces in which the wire pulls it. Ten leaves an instance: five constants, five that a native
//! handler gives (numbers, a string, a boolean, a word of an enumeration); once as one table, once as
//! tables in a table.
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
use cwmpd::soap::writer::List;
use cwmpd::state::journal::Journal;
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::fmt::Write as _;
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

fn read(tree: &mut Tree, path: &str, sampled: bool) -> Reading {
    let mut found = Reading::default();
    let sample = |peak: &mut i64| {
        if sampled {
            *peak = rss_anon().max(*peak);
        }
    };
    tree.begin_rpc();
    let started = cpu();
    let selection = match tree.values(&[path.to_owned()]) {
        Ok(selection) => selection.named(naming()),
        Err(fault) => panic!("{path}: {fault}"),
    };
    found.counted = cpu() - started;
    found.values = selection.count;
    sample(&mut found.listed);
    found.peak = found.listed;
    let started = cpu();
    let mut rendering = Rendering::new(LongAnswer::new(Namespace::V1_2, Some("1"), List::Values, selection));
    let (First::Whole(first) | First::Begun(first)) = rendering.first(tree);
    found.bytes = first.len();
    sample(&mut found.peak);
    drop(first);
    while let Some(piece) = rendering.piece(tree) {
        found.bytes += piece.len();
        sample(&mut found.peak);
    }
    found.rendered = cpu() - started;
    found
}

fn measure(leaves: usize, nested: bool) {
    let instances = (leaves / 10).max(1);
    let side = if nested { (instances as f64).sqrt() as usize } else { 0 };
    let generated = if nested { Generated(side, instances / side) } else { Generated(instances, 0) };
    let handlers = Handlers { by_kind: Vec::new(), natives: vec![("generated", Box::new(generated))] };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (mut tree, _) = sample::tree(&model(nested), &journal, handlers);
    // One value first: what any answer needs is part of idle.
    read(&mut tree, "Device.RootDataModelVersion", true);
    let idle = rss_anon();
    tree.begin_session();
    let memory = read(&mut tree, "Device.", true);
    let index = tree.index_bytes() as i64 / 1024;
    tree.end_session();
    let begun = Instant::now();
    let mut all = Reading::default();
    let mut rounds = 0_u32;
    while begun.elapsed() < ENOUGH || rounds < 5 {
        rounds += 1;
        tree.begin_session();
        let one = read(&mut tree, "Device.", false);
        tree.end_session();
        all.counted += one.counted;
        all.rendered += one.rendered;
    }
    let each = |d: Duration| d.as_nanos() as f64 / memory.values as f64 / f64::from(rounds);
    let total = each(all.counted) + each(all.rendered);
    let above = memory.peak - idle;
    println!(
        "{:>9} {} {:>10.0} {:>7.0} {:>7.0} {:>9} | {idle:>6} {:>8} {:>7} {index:>7} {:>9}",
        memory.values,
        if nested { "nested" } else { "flat  " },
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
    if let (Ok(leaves), Ok(nested)) = (std::env::var("CWMPD_BENCH_ONE"), std::env::var("CWMPD_BENCH_NESTED"))
    {
        return measure(leaves.parse().expect("a number"), nested == "true");
    }
    let own = std::env::current_exe().expect("the path of this program");
    let sizes = std::env::var("CWMPD_BENCH_LEAVES").unwrap_or_else(|_| SIZES.to_owned());
    println!(
        "                                                         | RssAnon, KiB\n\
         \x20  values          values/s  ns/value: XML KiB   |   idle    above: peak    of it  peak without\n\
         \x20                            count  render             |          counted         index   index"
    );
    for leaves in sizes.split(',').map(str::trim) {
        for nested in [false, true] {
            // A list has at most 65,536 instances.
            if !nested && leaves.parse::<usize>().is_ok_and(|n| n > 600_000) {
                continue;
            }
            let mut child = Command::new(&own);
            child.env("CWMPD_BENCH_ONE", leaves).env("CWMPD_BENCH_NESTED", nested.to_string());
            let status = child.status().expect("a child of its own");
            assert!(status.success(), "{leaves} leaves: {status}");
        }
    }
}
