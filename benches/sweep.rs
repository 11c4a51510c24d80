//! What notification costs: `const` and `store` leaves, all of them actively watched, ten a row, half of
//! the stored ones with a value of their own; the journal in a folder, as in the daemon. Printed are the
//! time of SetParameterAttributes on the whole tree, with its one batch on disk; what the watch list costs
//! on disk and in memory in all; what a sweep takes for itself, the table's index that it makes included;
//! and the time of a sweep that finds nothing and of one that finds a change.
//!
//! Time is processor time, a mean. Memory is taken in processes of their own that have just opened the
//! same state with and without the watch, so that nothing is hidden in what was freed before: RssAnon,
//! and for the sweep how far it and its high-water mark rise above.
//!
//! `CWMPD_BENCH_LEAVES=1000,10000` measures other sizes.

use cwmpd::model::request::{ParameterValue, SetAttributes};
use cwmpd::model::sample;
use cwmpd::model::tree::{Handlers, Tree, Writer};
use cwmpd::state::journal::Journal;
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

const SIZES: &str = "1000,10000,16000";
const ENOUGH: Duration = Duration::from_millis(1500);

fn model() -> String {
    let mut text = String::from("[\"Device.Group.Leaf.{i}.\"]\nstore = \"\"\ncreate = true\n");
    for at in 0..5 {
        let _ = writeln!(text, "ConstantName{at} = {{ type = \"string(64)\", const = \"constant {at}\" }}");
        let _ = writeln!(
            text,
            "StoredName{at} = {{ type = \"string(64)\", store = \"default {at}\", write = true }}"
        );
    }
    text + "[\"Device.Group.\"]\n"
}

/// A figure of this process in KiB; 0 where /proc does not tell.
fn memory(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Processor time of this thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

fn mean(mut work: impl FnMut()) -> f64 {
    let (begun, mut rounds, mut total) = (Instant::now(), 0_u32, Duration::ZERO);
    while begun.elapsed() < ENOUGH || rounds < 5 {
        let started = cpu();
        work();
        total += cpu() - started;
        rounds += 1;
    }
    total.as_secs_f64() * 1e3 / f64::from(rounds)
}

fn set(tree: &mut Tree, rows: usize, at: usize, value: &str) {
    for first in (1..=rows).step_by(1000) {
        let list: Vec<ParameterValue> = (first..=rows.min(first + 999))
            .map(|row| ParameterValue {
                name: format!("Device.Group.Leaf.{row}.StoredName{at}"),
                value: value.to_owned(),
                xsi_type: None,
            })
            .collect();
        tree.begin_rpc();
        tree.set(&list, Writer::Local).expect("values");
    }
}

/// The tree over the state in a folder.
fn open(folder: &Path) -> (Tree, Rc<RefCell<Journal>>) {
    let journal = Rc::new(RefCell::new(Journal::open(folder).expect("a folder of its own")));
    let none = Handlers { by_kind: Vec::new(), natives: Vec::new() };
    let (mut tree, _) = sample::tree(&model(), &journal, none);
    tree.begin_rpc();
    (tree, journal)
}

/// Makes the state, in `plain` without the watch and in `watched` with it: times of the request, KiB of
/// the journal.
fn make(folder: &Path, rows: usize) {
    let (mut tree, journal) = open(&folder.join("watched"));
    for _ in 0..rows {
        tree.begin_rpc();
        tree.add("Device.Group.Leaf.", Writer::Local).expect("a row");
    }
    set(&mut tree, rows, 1, "a value of its own");
    set(&mut tree, rows, 3, "another one");
    std::fs::create_dir_all(folder.join("plain")).expect("a folder");
    std::fs::copy(folder.join("watched/journal"), folder.join("plain/journal")).expect("a copy");
    let everything = [SetAttributes { name: "Device.".into(), notification: Some(2), access_list: None }];
    tree.begin_rpc();
    let (started, clock, size) = (cpu(), Instant::now(), journal.borrow().size());
    tree.set_attributes(&everything).expect("watched");
    let (asked, waited) = ((cpu() - started).as_secs_f64() * 1e3, clock.elapsed().as_secs_f64() * 1e3);
    println!("{asked:>10.1} {waited:>8.1} {:>9}", (journal.borrow().size() - size) / 1024);
}

/// What the state takes in memory once it is open.
fn held(folder: &Path) {
    let kept = open(&folder.join("plain"));
    println!("{}", memory("RssAnon"));
    drop(kept);
}

/// What the state with the watch takes, what a sweep adds, and how long sweeps take.
fn sweep(folder: &Path) {
    let (mut tree, _journal) = open(&folder.join("watched"));
    let look = |tree: &mut Tree, active: bool| {
        tree.begin_rpc();
        assert_eq!(tree.sweep(), active);
    };
    // 5: the high-water mark is set to what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (held, resident) = (memory("RssAnon"), memory("VmRSS"));
    look(&mut tree, false);
    let own = (memory("VmHWM") - resident).max(memory("RssAnon") - held);
    let quiet = mean(|| look(&mut tree, false));
    set(&mut tree, 1, 1, "changed");
    let changed = mean(|| look(&mut tree, true));
    println!("{held} {own} {quiet:.2} {changed:.2}");
}

fn main() {
    let of = |name: &str| std::env::var(name).ok();
    if let (Some(phase), Some(folder), Some(rows)) =
        (of("CWMPD_BENCH_PHASE"), of("CWMPD_BENCH_FOLDER"), of("CWMPD_BENCH_ROWS"))
    {
        let folder = Path::new(&folder);
        return match phase.as_str() {
            "make" => make(folder, rows.parse().expect("a number")),
            "held" => held(folder),
            _ => sweep(folder),
        };
    }
    let own = std::env::current_exe().expect("the path of this program");
    println!(
        "         SetParameterAttributes            watch list      sweep\n\
         \x20 leaves     cpu ms  wall ms  disk KiB  memory KiB    KiB   quiet ms  change ms"
    );
    for leaves in of("CWMPD_BENCH_LEAVES").unwrap_or_else(|| SIZES.to_owned()).split(',').map(str::trim) {
        let rows = (leaves.parse::<usize>().expect("a number") / 10).max(1);
        let folder = std::env::temp_dir().join(format!("cwmpd-sweep-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let phase = |phase: &str| {
            let mut child = Command::new(&own);
            child.env("CWMPD_BENCH_PHASE", phase).env("CWMPD_BENCH_FOLDER", &folder);
            let output =
                child.env("CWMPD_BENCH_ROWS", rows.to_string()).output().expect("a child of its own");
            assert!(output.status.success(), "{leaves} leaves: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
        };
        let (made, plain, swept) = (phase("make"), phase("held"), phase("sweep"));
        let words: Vec<&str> = swept.split(' ').collect();
        let [held, own, quiet, changed] = words[..] else { panic!("{swept}") };
        let list = held.parse::<i64>().unwrap_or(0) - plain.parse::<i64>().unwrap_or(0);
        println!("{:>8} {made} {list:>11} {own:>6} {quiet:>10} {changed:>10}", rows * 10);
        let _ = std::fs::remove_dir_all(&folder);
    }
}
