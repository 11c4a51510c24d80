//! The routers of `tests/routers` read whole, as GetParameterValues of `Device.` with the real rendering, and a
//! change of five UCI packages.
//!
//! A reading is done twice in one RPC: the first time it reads its sources (files, recorded answers of ubus), the
//! second time it has them all. So the second is the time beyond the sources, and the difference is theirs.
//! Time is processor time. Heap is what was allocated at most above what was before the reading.
//!
//! `CWMPD_BENCH_ROUTERS=/path` reads the routers in another folder.

#[allow(dead_code)] // a part of it is used here
#[path = "../tests/routers/router.rs"]
mod router;

use cwmpd::agent::answer::{First, Rendering};
use cwmpd::cwmp::rpc::Namespace;
use cwmpd::cwmp::session::LongAnswer;
use cwmpd::handlers::openwrt::rows::Rows;
use cwmpd::handlers::openwrt::sources::Sources;
use cwmpd::model::grammar::schema_from;
use cwmpd::model::request::ParameterValue;
use cwmpd::model::schema::{Platform, SourceKind};
use cwmpd::model::tree::{Handlers, Tree, Writer};
use cwmpd::soap::writer::List;
use cwmpd::state::journal::Journal;
use cwmpd::sys::clock;
use cwmpd::sys::ubus::Place;
use nix::time::{ClockId, clock_gettime};
use peak_alloc::PeakAlloc;
use router::Router;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const ROUNDS: u32 = 200;

/// Processor time of this thread: others on the machine do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

/// Renders `Device.`: values and bytes.
fn render(tree: &mut Tree) -> (usize, usize) {
    let selection = tree.values(&["Device.".to_owned()]).expect("Device. is there");
    let values = selection.count;
    let answer = LongAnswer::new(Namespace::V1_2, Some("1"), List::Values, selection);
    let mut rendering = Rendering::new(answer);
    let (First::Whole(first) | First::Begun(first)) = rendering.first(tree);
    let mut bytes = first.len();
    drop(first);
    while let Some(piece) = rendering.piece(tree) {
        bytes += piece.len();
    }
    (values, bytes)
}

fn whole(name: &str, root: &Path) {
    let mut router = Router::at(root, None);
    let tree = &mut router.tree;
    tree.begin_rpc();
    tree.value("Device.RootDataModelVersion");
    // What a session keeps of instances is part of what the answer takes.
    tree.begin_session();
    let idle = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    tree.begin_rpc();
    let (values, bytes) = render(tree);
    let peak = ALLOCATOR.peak_usage().saturating_sub(idle);
    tree.end_session();
    let after = ALLOCATOR.current_usage() as i64 - idle as i64;
    let (mut first, mut second) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        tree.begin_session();
        tree.begin_rpc();
        let start = cpu();
        render(tree);
        first += cpu() - start;
        let start = cpu();
        render(tree);
        second += cpu() - start;
        tree.end_session();
    }
    let each = |d: Duration| d.as_nanos() as f64 / 1000.0 / f64::from(ROUNDS) / values as f64;
    println!(
        "{name:<8} {values:>7} {:>9} {:>10.2} {:>10.2} {:>10.2} {:>12.0} {:>9} {:>9}",
        bytes / 1024,
        each(first),
        each(second),
        each(first) - each(second),
        1e6 / each(first),
        peak / 1024,
        after / 1024,
    );
}

const ROWS: &str = r#"
["Device.T."]
A = { type = "string", uci = "a.@x[0].v", write = true }
B = { type = "string", uci = "b.@x[0].v", write = true }
C = { type = "string", uci = "c.@x[0].v", write = true }
D = { type = "string", uci = "d.@x[0].v", write = true }
E = { type = "string", uci = "e.@x[0].v", write = true }
"#;

/// Five packages, changed by one SetParameterValues: the journal's writes and the files', all with fsync; beside
/// it what the disk takes for one file of 4 KiB. In memory what is left is the agent's own time.
fn transaction(place: &str, base: &Path) {
    let folder = base.join(format!("routers-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("etc/config")).expect("a folder");
    for package in ["a", "b", "c", "d", "e"] {
        // As long as a firewall with many rules.
        let rules: String = (0..200).map(|n| format!("config rule\n\toption name 'rule {n}'\n\n")).collect();
        let text = format!("{rules}config x\n\toption v '0'\n");
        std::fs::write(folder.join("etc/config").join(package), text).expect("a file");
    }
    let journal = Rc::new(RefCell::new(Journal::open(&folder.join("state")).expect("a journal")));
    let sources = Sources::new(Some(Place::Recorded(folder.clone())), Some(folder.clone()), Rc::default());
    let rows = Box::new(Rows(sources));
    let handlers = Handlers { by_kind: vec![(SourceKind::Expression, rows)], natives: Vec::new() };
    let schema = schema_from(&[("rows.toml", ROWS)], &[]).expect("rows");
    let (mut tree, _) = Tree::open(schema, Platform::OpenWrt, folder.clone(), journal, handlers);
    let (mut times, mut own, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..50 {
        tree.begin_session();
        tree.begin_rpc();
        let value = |name: &str| ParameterValue {
            name: format!("Device.T.{name}"),
            value: format!("value {round}"),
            xsi_type: None,
        };
        let list: Vec<ParameterValue> = ["A", "B", "C", "D", "E"].map(value).into();
        let (start, processor) = (Instant::now(), clock::processor());
        tree.set(&list, Writer::Acs { parameter_key: "k" }).expect("it is set");
        times.push(start.elapsed());
        own.push(clock::processor() - processor);
        tree.end_session();
        let start = Instant::now();
        let mut file = File::create(folder.join("plain")).expect("a file");
        file.write_all(&[0; 4096]).and_then(|()| file.sync_all()).expect("it is written");
        plain.push(start.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1000.0
    };
    println!(
        "five packages in one transaction, {place}: {:.1} ms, of it processor {:.1}; one write and fsync {:.2}",
        median(&mut times),
        median(&mut own),
        median(&mut plain),
    );
    let _ = std::fs::remove_dir_all(folder);
}

fn main() {
    println!(
        "                            us a value, of it                           heap, KiB\n\
         router    values  sent KiB       all    beyond    sources    values/s      peak      kept"
    );
    let other = std::env::var_os("CWMPD_BENCH_ROUTERS").map(PathBuf::from);
    let folder = other.unwrap_or_else(router::folder);
    let mut routers: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("routers").flatten().map(|e| e.path()).collect();
    routers.sort();
    for root in routers.iter().filter(|p| p.join("etc").is_dir()) {
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        whole(&name, root);
    }
    println!();
    transaction("on disk", Path::new(env!("CARGO_TARGET_TMPDIR")));
    if Path::new("/dev/shm").is_dir() {
        transaction("in memory", Path::new("/dev/shm"));
    }
}
