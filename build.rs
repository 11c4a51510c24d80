//! Turns `datamodel/*.toml` into the constant tables of `src/model/builtin.rs`. A wrong row fails the
//! build, one line a mistake, by file and line.

#![allow(dead_code, unused_imports, missing_docs)] // the crate's own modules are used here in part

#[path = "src/model/grammar/mod.rs"]
mod grammar;
#[path = "src/model/kind/mod.rs"]
mod kind;
#[path = "src/handlers/natives.rs"]
mod natives;
#[path = "src/model/path.rs"]
mod path;
#[path = "src/model/schema.rs"]
mod schema;
#[path = "src/sys"]
mod sys {
    pub mod order;
    pub mod sorted;
}

use schema::{Schema, Text};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// Where the rows are.
const FOLDER: &str = "datamodel";
/// The longest vendor: `X vendor ROLLBACK` is an event code, which has at most 64 characters.
const MAX_VENDOR: usize = 53;
/// The variable that gives the prefix of vendor names.
const PREFIX: &str = "CWMPD_VENDOR_PREFIX";

fn main() {
    leave_out_unwinding();
    println!("cargo:rerun-if-changed={FOLDER}");
    println!("cargo:rerun-if-changed=build.rs");
    for source in ["grammar", "kind", "path.rs", "schema.rs"] {
        println!("cargo:rerun-if-changed=src/model/{source}");
    }
    println!("cargo:rerun-if-changed=src/handlers/natives.rs");
    println!("cargo:rerun-if-changed=src/sys/order.rs");
    println!("cargo:rerun-if-changed=src/sys/sorted.rs");
    println!("cargo:rerun-if-env-changed={PREFIX}");

    let prefix = env::var(PREFIX).unwrap_or_else(|_| grammar::PREFIX.into());
    if !is_prefix(&prefix) {
        fail(&[format!("{PREFIX}: `{prefix}` is no vendor prefix: X_ACME_, X_00256D_, X_example-com_")]);
    }
    let files = read_all().unwrap_or_else(|error| fail(&[format!("{FOLDER}: {error}")]));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let options = grammar::Options { natives: natives::NAMES, prefix: &prefix, overlay: false };
    let schema = grammar::schema_with(&files, &options)
        .unwrap_or_else(|problems| fail(&problems.iter().map(|p| p.to_string()).collect::<Vec<_>>()));

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("datamodel.rs");
    if let Err(error) = fs::write(&out, source(&schema, &prefix)) {
        fail(&[format!("{}: {error}", out.display())]);
    }
}

/// The static release binary has no tables for unwinding: it aborts on panic, and std comes with some for all
/// of its own code, and ours where that is inlined. A tenth of the binary. Not where a feed builds with
/// `CARGO_PROFILE_RELEASE_PANIC=unwind`; `CWMPD_UNWIND_TABLES=1` keeps them for a linker that takes no scripts.
fn leave_out_unwinding() {
    const SCRIPT: &str = "no-unwind.ld";
    const PANIC: &str = "CARGO_PROFILE_RELEASE_PANIC";
    const KEEP: &str = "CWMPD_UNWIND_TABLES";
    println!("cargo:rerun-if-changed={SCRIPT}");
    println!("cargo:rerun-if-env-changed={PANIC}");
    println!("cargo:rerun-if-env-changed={KEEP}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v == value);
    let unwinds = !is("PROFILE", "release") || env::var(PANIC).is_ok_and(|panic| panic != "abort");
    if is("CARGO_CFG_TARGET_ENV", "musl") && !unwinds && env::var_os(KEEP).is_none() {
        let folder = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
        println!("cargo:rustc-link-arg-bins=-T{}", Path::new(&folder).join(SCRIPT).display());
    }
}

/// TR-106 3.3: `X_`, an OUI or a domain name with hyphens for dots, `_`.
fn is_prefix(text: &str) -> bool {
    let vendor = text.strip_prefix("X_").and_then(|t| t.strip_suffix('_')).unwrap_or("");
    let fits = (1..=MAX_VENDOR).contains(&vendor.len());
    fits && vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Says what is wrong and ends the build.
fn fail(lines: &[String]) -> ! {
    for line in lines {
        println!("cargo::error={line}");
    }
    process::exit(1);
}

/// All files in name order, so that the same rows always give the same tables.
fn read_all() -> std::io::Result<Vec<(String, String)>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(FOLDER)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    paths.into_iter().map(|p| Ok((p.display().to_string(), fs::read_to_string(&p)?))).collect()
}

fn t(text: Text) -> String {
    format!("t({},{})", text.at, text.len)
}

/// The tables as Rust.
fn source(schema: &Schema, prefix: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "/// The prefix of vendor names of this build.\npub const VENDOR_PREFIX: &str = {prefix:?};"
    );
    let vendor = prefix.strip_prefix("X_").and_then(|p| p.strip_suffix('_')).unwrap_or(prefix);
    let _ = writeln!(
        out,
        "/// The event that tells that a change was put back (V-26).\n\
         pub const ROLLBACK_EVENT: &str = \"X {vendor} ROLLBACK\";"
    );
    let _ = writeln!(out, "const BLOB: &str = {:?};", schema.blob);
    let mut table = |name: &str, of: &str, rows: Vec<String>| {
        let _ = writeln!(out, "static {name}: [{of}; {}] = [\n{}];", rows.len(), rows.concat());
    };
    let objects = schema.objects.iter().map(|o| {
        format!(
            "ObjectRow{{name:{},path:{},flags:{},parent:{},end:{},params:{:?},entries:{},enable:{},keys:{:?},sources:{:?}}},\n",
            t(o.name), t(o.path), o.flags, o.parent, o.end, o.params, o.entries, o.enable, o.keys, o.sources
        )
    });
    table("OBJECTS", "ObjectRow", objects.collect());
    let params =
        schema.params.iter().map(|p| format!("p({},{},{},{:?}),\n", t(p.name), p.flags, p.kind, p.sources));
    table("PARAMS", "ParamRow", params.collect());
    let kinds = schema.kinds.iter().map(|k| {
        format!(
            "KindRow{{base:Base::{:?},format:Format::{:?},list:{},min:{},max:{},items:{:?},list_max:{},ranges:{:?},\
             words:{:?},patterns:{:?},targets:{:?},neutral:{}}},\n",
            k.base, k.format, k.list, number(k.min), number(k.max), k.items, k.list_max, k.ranges, k.words,
            k.patterns, k.targets, t(k.neutral)
        )
    });
    table("KINDS", "KindRow", kinds.collect());
    let sources = schema.sources.iter().map(|s| format!("s(SourceKind::{:?},{}),\n", s.kind, t(s.arg)));
    table("SOURCES", "SourceRow", sources.collect());
    table("WORDS", "Text", schema.words.iter().map(|w| t(*w) + ",\n").collect());
    out
}

fn number(n: i64) -> String {
    match n {
        i64::MIN => "i64::MIN".into(),
        i64::MAX => "i64::MAX".into(),
        n => n.to_string(),
    }
}
