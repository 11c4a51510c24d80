//! Configuration files in the shapes of OpenWrt's packages, with the oddities that people put into them: what
//! is read, written and put back of each. `corpus` holds what libuci reads, `broken` what it refuses; a broken
//! file's name ends with the line that is to blame.

use cwmpd::sys::uci::{self, Cause, Edit, Held, Package, Section};
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uci").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("a file"))).collect()
}

fn parse(bytes: &[u8]) -> Package {
    Package::parse("a", bytes.to_vec(), b"").unwrap_or_else(|problem| panic!("{problem}"))
}

/// The package as libuci writes it.
fn written(package: &Package) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
    let section = |section: Section<'_>| {
        let name = section.name().map_or(String::new(), |name| format!(" {}", quoted(name)));
        let options: String = section
            .options()
            .map(|(name, held)| match held {
                Held::One(value) => format!("\toption {name} {}\n", quoted(value)),
                Held::Many(items) => items.iter().map(|i| format!("\tlist {name} {}\n", quoted(i))).collect(),
            })
            .collect();
        format!("\nconfig {}{name}\n{options}", section.kind())
    };
    package.sections().map(section).collect()
}

#[test]
fn what_is_read_and_written_reads_the_same() {
    let mut sections = 0;
    for (path, bytes) in files("corpus") {
        let package = parse(&bytes);
        let again = parse(written(&package).as_bytes());
        let told = |p: &Package| -> Vec<_> {
            let options =
                |s: Section<'_>| s.options().map(|(n, h)| (n.to_owned(), h.clone())).collect::<Vec<_>>();
            p.sections().map(|s| (s.kind().to_owned(), s.key().into_owned(), options(s))).collect()
        };
        assert_eq!(told(&package), told(&again), "{}", path.display());
        // With nothing to do nothing changes, not even a byte.
        assert_eq!(uci::edited(&package, &[]).expect("nothing to do"), bytes, "{}", path.display());
        for section in package.sections() {
            let found = package.section(&section.key()).map(|s| s.index());
            assert_eq!(found, Some(section.index()), "{}: {}", path.display(), section.key());
            sections += 1;
        }
    }
    assert!(sections > 100, "{sections}");
}

/// Edits of each kind for one section.
fn edits_of(section: Section<'_>) -> Vec<Edit> {
    let key = || section.key().into_owned();
    let mut edits = vec![
        Edit::Set { section: key(), option: "x_new".into(), value: "it's \"new\"\n#;".into() },
        Edit::List {
            section: key(),
            option: "x_new".into(),
            items: vec!["a b".into(), "".into(), "c".into()],
        },
        Edit::Drop { section: key() },
    ];
    for (option, held) in section.options() {
        let option = || option.to_owned();
        let first = match held {
            Held::One(value) => value.clone(),
            Held::Many(items) => items[0].clone(),
        };
        edits.extend([
            Edit::Set { section: key(), option: option(), value: "other".into() },
            Edit::Set { section: key(), option: option(), value: first.clone() },
            Edit::Unset { section: key(), option: option() },
            Edit::List {
                section: key(),
                option: option(),
                items: vec!["0".into(), first.clone(), "9".into()],
            },
            Edit::AddItem { section: key(), option: option(), item: "another".into() },
            Edit::RemoveItem { section: key(), option: option(), item: first },
        ]);
    }
    // What is not text the agent does not write.
    edits.retain(|edit| !format!("{edit:?}").contains('\u{fffd}'));
    edits
}

#[test]
fn each_edit_is_what_was_meant_and_each_way_back_leads_to_the_same_bytes() {
    let mut count = 0;
    for (path, bytes) in files("corpus") {
        let package = parse(&bytes);
        let mut all: Vec<Vec<Edit>> = package.sections().flat_map(edits_of).map(|edit| vec![edit]).collect();
        all.push(vec![
            Edit::Make { kind: "made".into(), name: "x_made".into() },
            Edit::Set { section: "x_made".into(), option: "a".into(), value: "1".into() },
        ]);
        // Something of each section at once.
        all.push(package.sections().flat_map(|s| edits_of(s).into_iter().take(2)).collect());
        all.push(package.sections().map(|s| Edit::Drop { section: s.key().into_owned() }).collect());
        for edits in all {
            let place = || format!("{}: {edits:?}", path.display());
            let saved = uci::undo_of(&package, &edits);
            let after =
                uci::edited(&package, &edits).unwrap_or_else(|problem| panic!("{}: {problem}", place()));
            let back =
                uci::put_back("a", after, &saved).unwrap_or_else(|problem| panic!("{}: {problem}", place()));
            assert!(back == bytes, "{}\n{}", place(), String::from_utf8_lossy(&back));
            let twice =
                uci::put_back("a", back, &saved).unwrap_or_else(|problem| panic!("{}: {problem}", place()));
            assert!(twice == bytes, "a second time: {}\n{}", place(), String::from_utf8_lossy(&twice));
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn a_change_of_one_line_leaves_all_others() {
    for (path, bytes) in files("corpus") {
        let package = parse(&bytes);
        for section in package.sections() {
            for (option, held) in section.options() {
                // Of an option that stands on a line of its own.
                let Held::One(value) = held else { continue };
                if value.contains('\n') || path.ends_with("odd") || path.ends_with("many") {
                    continue;
                }
                let key = section.key().into_owned();
                let edit = Edit::Set { section: key, option: option.to_owned(), value: "other".into() };
                let after = uci::edited(&package, &[edit]).expect("it can be set");
                let lines =
                    |bytes: &[u8]| bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
                let (old, new) = (lines(&bytes), lines(&after));
                let differ = old.iter().zip(&new).filter(|(a, b)| a != b).count();
                assert_eq!((old.len(), differ), (new.len(), 1), "{}: {option}", path.display());
            }
        }
    }
}

#[test]
fn what_is_broken_is_told_with_its_line() {
    for (path, bytes) in files("broken") {
        let line = path.extension().and_then(|e| e.to_str()).expect("the line").parse().expect("a number");
        let problem = Package::parse("a", bytes, b"").map(|_| ()).expect_err(&path.display().to_string());
        assert_eq!((problem.cause, problem.line), (Cause::Broken, line), "{}: {problem}", path.display());
    }
}
