//! How much of TR-181 is served, and how much of it has a real value in the routers.
//!
//! *Served* is what has a source on the platform; parameters are counted once for a table, not once a row.
//! *Real* is a parameter of which a row of a router has a value that is not its type's neutral one, and that
//! is no constant of the data model. Vendor extensions, `WiFi.DataElements` and processes are left out.
//!
//!     CWMPD_COVERAGE=write cargo test --test routers counts
//!     CWMPD_MISSING=Device.WiFi. cargo test --test routers counts -- --nocapture     what is never real there

use super::router::{Router, general, routers};
use cwmpd::model::builtin::builtin;
use cwmpd::model::grammar::expression::{self, Place};
use cwmpd::model::schema::{Param, Platform, SourceKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

const README: &str = "datamodel/README.md";
const BEGIN: &str = "<!-- counts: CWMPD_COVERAGE=write cargo test --test routers counts -->\n";
const END: &str = "<!-- end of counts -->\n";

/// Objects and parameters, by general path.
type Counts = (BTreeSet<String>, BTreeSet<String>);

/// Whether a path is the standard's, and counted.
fn is_counted(path: &str) -> bool {
    !path.contains(".X_")
        && !path.starts_with("Device.WiFi.DataElements.")
        && !path.starts_with("Device.DeviceInfo.ProcessStatus.Process.")
}

/// What a platform serves.
fn served(platform: Platform) -> Counts {
    let schema = builtin();
    let mut counts = Counts::default();
    for object in (0..schema.objects.len() as u16).map(|id| schema.object(id)).filter(|o| o.exists(platform))
    {
        if is_counted(object.path()) {
            counts.0.insert(object.path().to_owned());
        }
        let params = object.params().filter(|p| p.exists(platform));
        counts.1.extend(params.map(|p| format!("{}{}", object.path(), p.name())).filter(|p| is_counted(p)));
    }
    counts
}

/// Whether a value may have been said by the row itself.
fn is_constant(param: Param<'_>, value: &str) -> bool {
    let Some(source) = param.source(Platform::OpenWrt) else { return true };
    match source.kind {
        SourceKind::Const => true,
        SourceKind::Expression => {
            let constants =
                expression::alternatives(source.arg).flatten().filter_map(|one| match one.place {
                    Place::Const(text) => Some(text),
                    _ => None,
                });
            constants.into_iter().any(|text| text == value)
        }
        _ => false,
    }
}

/// What has a real value in a router.
fn real(name: &str) -> Counts {
    let schema = builtin();
    let mut counts = Counts::default();
    for (path, value) in Router::of(name).values() {
        let general = general(&path);
        let Some(param) = schema.find_param(&general).filter(|_| is_counted(&general)) else { continue };
        if value == param.kind().neutral() || value.is_empty() || is_constant(param, &value) {
            continue;
        }
        counts.0.insert(param.object().path().to_owned());
        counts.1.insert(general);
    }
    counts
}

/// How many of some parameters the tree itself makes: names of rows, and their number.
fn of_the_tree(params: &BTreeSet<String>) -> usize {
    let is_own = |p: &&String| p.ends_with(".Alias") || p.ends_with("NumberOfEntries");
    params.iter().filter(is_own).count()
}

#[test]
fn counts() {
    let mut table = String::from(
        "| | objects | parameters | of these `Alias` and `…NumberOfEntries` |\n|---|---|---|---|\n",
    );
    let mut row = |name: &str, counts: &Counts| {
        let own = of_the_tree(&counts.1);
        let _ = writeln!(table, "| {name} | {} | {} | {own} |", counts.0.len(), counts.1.len());
    };
    row("served on `linux`", &served(Platform::Linux));
    let all = served(Platform::OpenWrt);
    row("served on `openwrt`", &all);
    let mut union = Counts::default();
    for name in routers().iter().filter(|n| *n != "tiny") {
        let real = real(name);
        row(&format!("real in the router `{name}`"), &real);
        union.0.extend(real.0);
        union.1.extend(real.1);
    }
    row("real in at least one router", &union);
    println!("{table}\n{}", by_subject(&all, &union));
    if let Ok(below) = std::env::var("CWMPD_MISSING") {
        let missing = all.1.difference(&union.1).filter(|p| p.starts_with(&below));
        missing.for_each(|path| println!("never real: {path}"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(README);
    let text = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = text.split_once(BEGIN).expect("where the counts begin");
    let (_, behind) = rest.split_once(END).expect("where they end");
    let new = format!("{before}{BEGIN}\n{table}\n{END}{behind}");
    if std::env::var("CWMPD_COVERAGE").is_ok_and(|v| v == "write") {
        std::fs::write(&path, new).expect("the README can be written");
    } else {
        assert!(text == new, "the counts of {README} are others now: CWMPD_COVERAGE=write writes them");
    }
}

/// Served and real parameters by the second word of their path.
fn by_subject(served: &Counts, real: &Counts) -> String {
    let mut subjects: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    fn word(path: &str) -> &str {
        path.split('.').nth(1).unwrap_or("")
    }
    served.1.iter().for_each(|p| subjects.entry(word(p)).or_default().0 += 1);
    real.1.iter().for_each(|p| subjects.entry(word(p)).or_default().1 += 1);
    subjects.iter().map(|(name, (served, real))| format!("{name}: {real} of {served}\n")).collect()
}
