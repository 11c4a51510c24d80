//! A generated tree read whole: nanoseconds a value, the anonymous memory it costs, and the instance
//! index apart. Ten leaves an instance, half constants, half of a native handler that formats a
//! number; once as one table, once as tables in a table.

use cwmpd::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use cwmpd::model::sample;
use cwmpd::model::tree::{Handlers, Item};
use cwmpd::state::journal::Journal;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

/// Instances of the outer table, and of each inner one (0: the leaves are in the outer one).
struct Numbers(usize, usize);

impl Handler for Numbers {
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
        for at in 0..want.len() {
            out.put(at, row.numbers.last().copied().unwrap_or(0) as usize + at);
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

/// RssAnon of this process in KiB; 0 where /proc does not tell.
fn rss_anon() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn model(nested: bool) -> String {
    let mut text = String::from(
        "[\"Device.\"]\nRootDataModelVersion = { type = \"string\", const = \"2.19\" }\n",
    );
    let table = if nested {
        text.push_str("[\"Device.Box.{i}.\"]\nnative = \"numbers\"\nvolatile = true\n");
        "Device.Box.{i}.Leaf.{i}."
    } else {
        "Device.Leaf.{i}."
    };
    let _ = write!(
        text,
        "[\"{table}\"]\nnative = \"numbers\"\nvolatile = true\n"
    );
    for at in 0..5 {
        let _ = writeln!(
            text,
            "Const{at} = {{ type = \"string(64)\", const = \"constant {at}\" }}"
        );
        let _ = writeln!(text, "Native{at} = {{ type = \"unsignedInt\" }}");
    }
    text
}

fn measure(leaves: usize, nested: bool) {
    let instances = leaves / 10;
    let side = (instances as f64).sqrt() as usize;
    let numbers = if nested {
        Numbers(side, instances / side)
    } else {
        Numbers(instances, 0)
    };
    let handlers = Handlers {
        by_kind: Vec::new(),
        natives: vec![("numbers", Box::new(numbers))],
    };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (mut tree, _) = sample::tree(&model(nested), &journal, handlers);
    let idle = rss_anon();
    tree.begin_session();
    tree.begin_rpc();
    let started = Instant::now();
    let mut selection = match tree.values(&["Device.".to_owned()]) {
        Ok(selection) => selection,
        Err(fault) => return println!("{leaves}: {fault}"),
    };
    let counted = started.elapsed();
    let listed = rss_anon();
    let (mut values, mut bytes, mut rows, mut peak) = (0_usize, 0_usize, 0_usize, listed);
    let started = Instant::now();
    while tree.next(&mut selection, &mut |item| {
        if let Item::Value { path, value, .. } = item {
            values += 1;
            bytes += path.len() + value.len();
        }
    }) {
        rows += 1;
        if rows % 8192 == 0 {
            peak = peak.max(rss_anon());
        }
    }
    let walked = started.elapsed();
    peak = peak.max(rss_anon());
    let each = |d: std::time::Duration| d.as_nanos() as f64 / values as f64;
    println!(
        "{values:>8} values {} ({bytes} bytes of text): count {:>5.0} ns, read {:>5.0} ns a value; RssAnon KiB: idle {idle}, \
         counted +{}, peak of the walk +{} above that; index {} KiB",
        if nested {
            "in tables of tables"
        } else {
            "in one table       "
        },
        each(counted),
        each(walked),
        listed - idle,
        peak - listed,
        tree.index_bytes() / 1024,
    );
}

fn main() {
    for leaves in [1_000, 10_000, 100_000] {
        measure(leaves, false);
        measure(leaves, true);
    }
    measure(1_000_000, true);
}
