//! The way back: the same bytes where nobody else was, and what was meant where somebody was.

use super::*;

const FILE: &str = "\
# by hand
config defaults
\toption input ACCEPT # open
\toption n 1

# ping
config rule
\toption name 'Allow-Ping'
\toption proto icmp
\tlist icmp_type echo-request   # one
\tlist icmp_type 'echo-reply'

config rule 'mine'
\toption ports 'a b'

config zone
\toption name lan
\tlist network 'lan'
\tlist network 'guest'
";

fn all_edits() -> Vec<Vec<Edit>> {
    let p = package(FILE);
    let ping = p.section("@rule[0]").expect("it is there").key().into_owned();
    let zone = p.section("@zone[0]").expect("it is there").key().into_owned();
    let one = vec![
        set("@defaults[0]", "input", "DROP"),
        set("@defaults[0]", "new", "x"),
        unset("@defaults[0]", "input"),
        set(&ping, "icmp_type", "any"),
        list(&ping, "icmp_type", &["echo-reply", "x"]),
        list(&ping, "icmp_type", &[]),
        unset(&ping, "name"),
        add(&ping, "icmp_type", "more"),
        add("mine", "ports", "c"),
        remove("mine", "ports", "a"),
        remove(&zone, "network", "lan"),
        make("rule", "made"),
        drop_section(&ping),
        drop_section("mine"),
        drop_section(&zone),
        drop_section("@defaults[0]"),
    ];
    let mut all: Vec<Vec<Edit>> = one.into_iter().map(|edit| vec![edit]).collect();
    all.push(vec![make("rule", "made"), set("made", "a", "1"), list("made", "b", &["1", "2"])]);
    all.push(vec![drop_section(&ping), remove(&zone, "network", "lan"), set("mine", "x", "1")]);
    all.push(vec![
        set(&ping, "name", "a"),
        set(&ping, "name", "b"),
        add(&ping, "icmp_type", "c"),
        remove(&ping, "icmp_type", "echo-reply"),
    ]);
    all.push(vec![drop_section("mine"), make("rule", "mine"), set("mine", "y", "1")]);
    all
}

#[test]
fn what_is_put_back_is_what_it_was() {
    let p = package(FILE);
    for edits in all_edits() {
        let saved = undo_of(&p, &edits);
        let after = edited(&p, &edits).unwrap_or_else(|e| panic!("{edits:?}: {e}"));
        assert_ne!(after, FILE, "{edits:?}");
        let once = back(&after, &saved);
        assert_eq!(once, FILE, "{edits:?}");
        assert_eq!(back(&once, &saved), FILE, "a second time: {edits:?}");
    }
    // Nothing to do, nothing kept.
    assert_eq!(undo_of(&p, &[set("mine", "ports", "a b"), drop_section("gone")]), undo_of(&p, &[]));
    assert_eq!(undo_of(&p, &[set("gone", "x", "1")]), undo_of(&p, &[]));
}

/// What somebody else does to the file after our change.
fn others(text: &str) -> Vec<String> {
    let p = package(text);
    let mut all = vec![
        // Written anew by libuci: no comments, other quotes.
        p.sections()
            .map(|s| {
                let name = s.name().map_or(String::new(), |n| format!(" '{n}'"));
                let options: String = s
                    .options()
                    .map(|(name, held)| match held {
                        Held::One(v) => format!("\toption {name} '{v}'\n"),
                        Held::Many(v) => v.iter().map(|v| format!("\tlist {name} '{v}'\n")).collect(),
                    })
                    .collect();
                format!("\nconfig {}{name}\n{options}", s.kind())
            })
            .collect(),
        format!("{text}\nconfig other\n\toption x 1\n"),
        format!("config rule\n\toption name First\n\n{text}"),
    ];
    all.push(text.replace("option n 1", "option n 2 # theirs"));
    all
}

#[test]
fn somebody_elses_change_survives_the_way_back() {
    let p = package(FILE);
    for edits in all_edits() {
        let saved = undo_of(&p, &edits);
        let after = edited(&p, &edits).expect("they can be made");
        for (before, theirs) in others(FILE).iter().zip(others(&after)) {
            // What is gone nobody can change.
            if before.contains("theirs") && !theirs.contains("theirs") {
                continue;
            }
            let mut meant = told(&package(before));
            let mut found = told(&package(&back(&theirs, &saved)));
            // Where a section stood and in which order its options were is put back as well as can be.
            for told in [&mut meant, &mut found] {
                for section in told.iter_mut() {
                    let mut words: Vec<&str> = section.split(' ').collect();
                    words.sort_unstable();
                    *section = words.join(" ");
                }
                told.sort_unstable();
            }
            assert_eq!(found, meant, "{edits:?}\n{theirs}");
        }
    }
}

#[test]
fn a_dropped_section_comes_back_where_it_stood_comments_and_all() {
    let p = package(FILE);
    let ping = p.section("@rule[0]").expect("it is there").key().into_owned();
    let saved = undo_of(&p, &[drop_section(&ping)]);
    let after = edited(&p, &[drop_section(&ping)]).expect("it is there");
    let theirs = after.replace("ACCEPT # open", "DROP # shut").replace("'a b'", "'c'");
    let found = back(&theirs, &saved);
    assert_eq!(found, FILE.replace("ACCEPT # open", "DROP # shut").replace("'a b'", "'c'"));
}

#[test]
fn items_that_others_added_stay() {
    let p = package(FILE);
    let zone = p.section("@zone[0]").expect("it is there").key().into_owned();
    for (edit, theirs, meant) in [
        (add(&zone, "network", "iot"), "list network 'theirs'", vec!["lan", "guest", "theirs"]),
        (remove(&zone, "network", "lan"), "list network 'theirs'", vec!["guest", "theirs", "lan"]),
    ] {
        let saved = undo_of(&p, std::slice::from_ref(&edit));
        let after = edited(&p, std::slice::from_ref(&edit)).expect("it can be made");
        let found = package(&back(&format!("{after}\t{theirs}\n"), &saved));
        let zone = found.section("@zone[0]").expect("it is there");
        assert_eq!(zone.items("network"), meant);
    }
}

#[test]
fn of_sections_alike_the_right_one_is_put_back() {
    let text = "config r\n\toption a 1\nconfig r\n\toption a 1\nconfig r\n\toption a 1\n";
    let p = package(text);
    for at in 0..3 {
        for edit in [
            set(&format!("@r[{at}]"), "a", "2"),
            unset(&format!("@r[{at}]"), "a"),
            drop_section(&format!("@r[{at}]")),
        ] {
            let saved = undo_of(&p, std::slice::from_ref(&edit));
            let after = edited(&p, std::slice::from_ref(&edit)).expect("it can be made");
            let once = back(&after, &saved);
            assert_eq!(once, text, "{edit:?}");
            assert_eq!(back(&once, &saved), text, "{edit:?}");
        }
    }
}

#[test]
fn damaged_bytes_put_nothing_back() {
    let p = package(FILE);
    let edits: Vec<Edit> = vec![
        set("mine", "x", "1"),
        add("mine", "ports", "c"),
        make("rule", "made"),
        drop_section("@defaults[0]"),
    ];
    let saved = undo_of(&p, &edits);
    let after = edited(&p, &edits).expect("they can be made");
    assert_eq!(back(&after, &saved), FILE);
    assert!(undo::put_back("a", after.clone().into(), b"").is_err());
    assert!(undo::put_back("a", after.clone().into(), b"\x02").is_err());
    // Cut off anywhere, it is refused, or it is an entry less.
    for cut in 1..saved.len() {
        match undo::put_back("a", after.clone().into(), &saved[..cut]) {
            Ok(bytes) => assert!(Package::parse("a", bytes, b"").is_ok(), "{cut}"),
            Err(problem) => assert_eq!(problem.cause, Cause::Damaged, "{cut}"),
        }
    }
    let mut huge = saved.clone();
    huge[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(undo::put_back("a", after.into(), &huge).map_err(|p| p.cause), Err(Cause::Damaged));
}
