//! Compares every built-in row with TR-181, when the table is at hand: `tr181.tsv` in the folder that
//! `CWMPD_SPEC` names, or in `../shared/spec` beside the crate. Says so when it is not.
//!
//! A row may be narrower than the standard in access only, and then says why; such rows are counted.
//! See the figures with `cargo test --test standard -- --nocapture`.

mod compare;

use compare::{ALL, Standard, compare};
use cwmpd::handlers::natives;
use cwmpd::model::builtin::{VENDOR_PREFIX, builtin};
use cwmpd::model::grammar::{self, ObjectSpec, Options};
use std::path::PathBuf;

fn specs_of(files: &[(String, String)]) -> Vec<ObjectSpec> {
    let options = Options { natives: natives::NAMES, prefix: VENDOR_PREFIX, overlay: false };
    let (mut specs, mut problems) = (Vec::new(), Vec::new());
    for (name, text) in files {
        grammar::read(name, text, &options, &mut specs, &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems[0]);
    specs
}

#[test]
fn rows_agree_with_the_standard() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("CWMPD_SPEC").map_or_else(|| here.join("../shared/spec"), PathBuf::from);
    let schema = builtin();
    for (platform, name) in ALL {
        let (objects, params) = schema.counts(platform);
        println!("{name}: {objects} objects, {params} distinct parameters");
    }
    let file = folder.join("tr181.tsv");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED: no table of the standard at {}", file.display());
        return;
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(here.join("datamodel")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    let files: Vec<(String, String)> =
        files.into_iter().map(|p| (p.display().to_string(), std::fs::read_to_string(p).unwrap())).collect();
    let report = compare(&schema, &specs_of(&files), &Standard::table(&text));
    for (platform, name) in ALL {
        println!("{name}: {} rows narrowed with a reason", report.narrowed[platform as usize]);
    }
    println!("{} vendor rows not compared", report.vendor);
    assert!(report.wrong.is_empty(), "{} differences:\n{}", report.wrong.len(), report.wrong.join("\n"));
}

/// The comparison itself: a table of a few lines, and rows that differ from it in every way.
#[test]
fn differences_are_found() {
    let standard = "\
path\tkind\taccess\ttype\tconstraints\tdefault\tversion\tstatus
Device.\tobject\tR\tobject\tentries=1..1\t\t2.0\tcurrent
Device.TNumberOfEntries\tparam\tR\tunsignedInt\t\t\t2.0\tcurrent
Device.T.{i}.\tobject\tW\tobject\tentries=0..unbounded ; numEntries=TNumberOfEntries ; enable=Enable ; keys=nf:Alias;A+B\t\t2.0\tcurrent
Device.T.{i}.Enable\tparam\tW\tboolean\t\t\t2.0\tcurrent
Device.T.{i}.Alias\tparam\tW\t_AliasCWMP<string>\tsize=0..64\t\t2.0\tcurrent
Device.T.{i}.Size\tparam\tR\tstring\tsize=0..64\t\t2.0\tcurrent
Device.T.{i}.Range\tparam\tR\tunsignedInt\trange=..100 ; units=percent\t\t2.0\tcurrent
Device.T.{i}.Ranges\tparam\tR\tint\trange=-1..-1 ; range=1..\t\t2.0\tcurrent
Device.T.{i}.Enum\tparam\tW\tstring\tenum={A|B?|C@readOnly|D!deleted}\t\t2.0\tcurrent
Device.T.{i}.List\tparam\tR\tMACAddress<string>\tlist(items=0..4,listsize=0..) ; size=0..17 ; pattern={ || x}\t\t2.0\tcurrent
Device.T.{i}.Ref\tparam\tR\tstring\tpathRef(strong)=#.T. ##.Device.U.{i}.V.~row\t\t2.0\tcurrent
Device.T.{i}.Pattern\tparam\tR\tstring\tpattern={ || \\d+}\t\t2.0\tcurrent
Device.T.{i}.Secret\tparam\tW\tstring\tsecured ; activeNotify=canDeny ; forcedInform=true\t\t2.0\tcurrent
Device.T.{i}.Gone\tparam\tR\tstring\t\t\t2.0\tdeleted
";
    let good = r#"
["Device."]
TNumberOfEntries = { type = "unsignedInt" }
["Device.T.{i}."]
entries = "TNumberOfEntries"
store = ""
create = true
enable = "Enable"
keys = ["nf:Alias"]
Enable = { type = "boolean", store = "true", write = true }
Alias = { type = "Alias", write = false, why = "a reason" }
Size = { type = "string(64)", store = "" }
Range = { type = "unsignedInt(0..100)", store = "0" }
Ranges = { type = "int(-1..-1,1..)", store = "1" }
Enum = { type = "enum(A,C@readOnly,X_CWMPD_E)", store = "A", write = true }
List = { type = "list(MACAddress)", items = "..4", store = "" }
Ref = { type = "ref(Device.T.{i}.)", store = "" }
Pattern = { type = "string", pattern = ["", '\d+'], store = "" }
Secret = { type = "string", store = "", write = true, hidden = true, notify = "canDeny", forced_inform = true }
X_CWMPD_Own = { type = "string", store = "" }
"#;
    let standard = Standard::table(standard);
    let wrong = |text: &str| {
        let files = [("f.toml".to_string(), text.to_string())];
        let specs = specs_of(&files);
        let schema = grammar::build(specs.clone()).unwrap_or_else(|p| panic!("{}", p[0]));
        compare(&schema, &specs, &standard)
    };
    let report = wrong(good);
    assert_eq!(report.wrong, Vec::<String>::new());
    assert_eq!((report.narrowed, report.vendor), ([1, 1], 1));
    let cases = [
        ("create = true", "", "read-only on linux without a why"),
        ("enable = \"Enable\"", "", "enable is None"),
        ("keys = [\"nf:Alias\"]", "keys = [\"Alias\"]", "keys is"),
        (
            "\" }\n[\"Device.T.{i}.\"]\nentries = \"TNumberOfEntries\"",
            "\", const = \"0\" }\n[\"Device.T.{i}.\"]",
            "entries is None",
        ),
        (", why = \"a reason\"", "", "Alias: read-only on linux without a why"),
        ("\"Alias\", write = false", "\"string(64)\", store = \"\", write = false", "named type is \"\""),
        ("string(64)", "string(65)", "size is {(0, 65)}"),
        ("string(64)", "string", "size is {}"),
        (
            "\"string(64)\", store = \"\"",
            "\"string(64)\", store = \"\", write = true",
            "writable on linux, read-only",
        ),
        ("0..100", "0..99", "range is {(0, 99)}"),
        ("unsignedInt(0..100)", "int(0..100)", "base type is \"int\""),
        ("-1..-1,1..", "1..", "range is {(1, 2147483647)}"),
        ("A,C@readOnly", "A,B,C@readOnly,Z", "value Z is not in the standard"),
        ("A,C@readOnly", "A", "value C is missing"),
        ("A,C@readOnly", "A,C", "value C is marked differently"),
        ("A,C@readOnly", "A,C@readOnly,D", "value D is deleted"),
        ("enum(A,C@readOnly,X_CWMPD_E)", "string", "enumeration is \"none\""),
        (", items = \"..4\"", "", "items is"),
        ("list(MACAddress)\", items = \"..4\"", "MACAddress\"", "list is false"),
        ("ref(Device.T.{i}.)", "ref(Device.W.{i}.)", "reference is {\"Device.W.\"}"),
        ("ref(Device.T.{i}.)", "string(256)", "reference is false"),
        ("[\"\", '\\d+'], store = \"\"", "'\\d+', store = \"1\"", "pattern is"),
        (", hidden = true", "", "hidden is false"),
        (", forced_inform = true", "", "forced_inform is false"),
        (", notify = \"canDeny\"", "", "notify is None"),
        ("X_CWMPD_Own", "Own", "Own: not in the standard"),
        ("X_CWMPD_Own", "Gone", "Gone: kind and status"),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        let found = wrong(&good.replacen(from, to, 1)).wrong;
        assert!(found.iter().any(|f| f.contains(expected)), "{from} -> {to}: {found:?}");
    }
}
