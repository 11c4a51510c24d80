//! The grammar, oddities included: each of these was held against libuci itself.

use super::*;

#[test]
fn reads_as_libuci_does() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("# nothing\n\n  \t\n", &[]),
        ("package network\nconfig interface lan\n\toption proto static\n", &["interface lan proto=static"]),
        ("p x\nc interface 'lan'\no a 1\nl b 2\nl b '3'\n", &["interface lan a=1 b=[2,3]"]),
        ("config rule\nconfig rule\n\toption a 1\n", &["rule -", "rule - a=1"]),
        ("config \"rule\" ''\n", &["rule -"]),
        // Pieces of a word, escapes, quotes over lines.
        ("config a\noption x '10.0.0.0'\\''s'\" \\\"net\\\"\"\\ end\n", &["a - x=10.0.0.0's \"net\" end"]),
        ("config a\noption x '1''5'00\n", &["a - x=1500"]),
        (
            "config a\noption x 'one\ntwo'\noption y \"a\\\nb\"\noption z a\\\nb\n",
            &["a - x=one\ntwo y=ab z=ab"],
        ),
        ("config a\noption x 'a\\b' \noption y a\\\\b\n", &["a - x=a\\b y=a\\b"]),
        ("config a\r\n\toption x y\r\n", &["a - x=y"]),
        ("config a\noption x y\\\r\nz\r\n", &["a - x=yz"]),
        ("config a\n\u{b}option x y\u{c}\n", &["a - x=y"]),
        // Comments.
        ("config a # c\noption x 'y' # z\noption y a#b c\n#config b\n", &["a - x=y y=a"]),
        ("config a\noption x # c\noption y 'a#b'\n", &["a - y=a#b"]),
        // Several on a line; what touches a bare word ends the line.
        ("config 'a' b ; option x '1'; option y 2 ; list z 3\n", &["a b x=1 y=2 z=[3]"]),
        ("config a one; option x 1; config a two\n", &["a one"]),
        ("config a\noption x y;\noption z w\n", &["a - x=y z=w"]),
        ("config a b \\\n\toption x y\n", &["a b x=y"]),
        // The last option holds, an empty one is none, a list takes an option for its first item.
        ("config a\noption x 1\noption x 2\noption x ''\noption y\n", &["a - x=2"]),
        ("config a\noption x 1\nlist x 2\n", &["a - x=[1,2]"]),
        ("config a\nlist x 1\noption x 2\nlist y ''\nlist y\n", &["a - x=2 y=[,]"]),
        // Sections of one name are one.
        ("config a s\noption x 1\nconfig b t\nconfig a s\noption y 2\n", &["a s x=1 y=2", "b t"]),
        ("config wifi-iface\nconfig a.b:c/d\n", &["wifi-iface -", "a.b:c/d -"]),
        ("config a\noption x é", &["a - x=é"]),
    ];
    for (text, sections) in cases {
        assert_eq!(told(&package(text)), *sections, "{text:?}");
    }
}

#[test]
fn what_libuci_refuses_is_refused_with_its_line() {
    let cases = [
        ("option a b\n", 1),
        ("list a b\n", 1),
        ("config\n", 1),
        ("config", 1),
        ("config ''\n", 1),
        ("config a\n\noption\n", 3),
        ("config a\noption b 'c\n\n", 2),
        ("config a\noption b \"c\\\"\n", 2),
        ("config a b c\n", 1),
        ("config a\noption b c d\n", 2),
        ("config a ; option b c\n", 1),
        ("config a b ;\n", 1),
        ("config 'a' ; option b c\n", 1),
        ("config a 'b.c'\n", 1),
        ("config a b-c\n", 1),
        ("config 'a b'\n", 1),
        ("config é\n", 1),
        ("config a\n#\noption 'b c' d\n", 3),
        ("config a\noption b-c d\n", 2),
        ("#\nnonsense\n", 2),
        ("configs a\n", 1),
        ("package\n", 1),
        ("package a.b\n", 1),
        ("package a b\n", 1),
        ("config a x\nconfig b x\n", 2),
        ("config a\noption x 'a\0b'\n", 2),
    ];
    for (text, line) in cases {
        let problem = parse(text).map(|_| ()).expect_err(text);
        assert_eq!((problem.cause, problem.line), (Cause::Broken, line), "{text:?}: {problem}");
    }
    let problem = parse("\n\nconfig").expect_err("half a statement");
    assert_eq!(problem.to_string(), "/etc/config/a: line 3: a keyword without a name");
}

#[test]
fn sections_are_found_by_name_and_by_place() {
    let p = package("config a\nconfig b lan\noption x 1\nconfig a\noption x 2\nconfig a n\noption x 3\n");
    let x = |key: &str| p.section(key).map(|s| s.get("x").unwrap_or("-").to_owned());
    for (key, value) in [
        ("lan", Some("1")),
        ("@a[0]", Some("-")),
        ("@a[1]", Some("2")),
        ("@a[2]", Some("3")),
        ("n", Some("3")),
        ("@a[-1]", Some("3")),
        ("@a[-3]", Some("-")),
        ("@[1]", Some("1")),
        // By the names that libuci makes up.
        (p.section("@a[1]").expect("it is there").id(), Some("2")),
        ("@a[3]", None),
        ("@a[-4]", None),
        ("@a[x]", None),
        ("@a", None),
        ("@c[0]", None),
        ("a", None),
        ("", None),
    ] {
        assert_eq!(x(key).as_deref(), value, "{key}");
    }
    assert_eq!(p.section("@a[1]").expect("it is there").id(), "cfg03b606");
    assert_eq!(p.of_kind("a").map(|s| s.index()).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn options_are_read_in_many_ways() {
    let p = package(
        "config a s\noption up on\noption down disabled\noption odd 2\nlist l 'a b'\nlist l c\noption w ' x  y '\n",
    );
    let s = p.section("s").expect("it is there");
    assert_eq!(
        (s.get("l"), s.items("l"), s.words("l")),
        (Some("a b"), vec!["a b", "c"], vec!["a", "b", "c"])
    );
    assert_eq!((s.get("w"), s.items("w"), s.words("w")), (Some(" x  y "), vec![" x  y "], vec!["x", "y"]));
    assert_eq!((s.get("none"), s.items("none"), s.words("none")), (None, vec![], vec![]));
    assert_eq!(["up", "down", "odd", "none"].map(|o| s.flag(o)), [Some(true), Some(false), None, None]);
    assert_eq!((s.name(), s.kind(), s.key().as_ref(), s.id()), (Some("s"), "a", "s", "s"));
}

#[test]
fn bytes_that_are_no_utf8_are_read_and_stay() {
    let text = b"config a s\n\toption x 'caf\xe9'\n\toption y 1\n".to_vec();
    let p = Package::parse("a", text.clone(), b"").expect("libuci reads it");
    assert_eq!(p.section("s").and_then(|s| s.get("x")), Some("caf\u{fffd}"));
    let changed = uci_edited(&p, &[set("s", "y", "2")]).expect("another option");
    assert_eq!(changed, b"config a s\n\toption x 'caf\xe9'\n\toption y '2'\n");
    let saved = undo_of(&p, &[set("s", "x", "cafe"), set("s", "y", "2")]);
    let changed = uci_edited(&p, &[set("s", "x", "cafe"), set("s", "y", "2")]).expect("it can be replaced");
    assert_eq!(undo::put_back("a", changed, &saved).expect("all is there"), text);
}

#[test]
fn beyond_a_limit_a_file_is_broken() {
    let limit = |text: String, reason: &str| {
        let problem = parse(&text).map(|_| ()).expect_err(reason);
        assert_eq!((problem.cause, problem.text.as_ref()), (Cause::Broken, reason));
    };
    let long = "x".repeat(MAX_VALUE);
    assert!(parse(&format!("config a\noption x {long}\n")).is_ok());
    limit(format!("config a\noption x '{long}y'\n"), "a value that is too long");
    assert!(parse(&"config a\n".repeat(MAX_SECTIONS)).is_ok());
    limit("config a\n".repeat(MAX_SECTIONS + 1), "too many sections");
    let options = |n: usize| (0..n).map(|i| format!("option o{i} 1\n")).collect::<String>();
    assert!(parse(&format!("config a\n{}", options(MAX_OPTIONS))).is_ok());
    limit(format!("config a\n{}", options(MAX_OPTIONS + 1)), "too many options");
    assert!(parse(&format!("config a\n{}", "list l 1\n".repeat(MAX_ITEMS))).is_ok());
    limit(format!("config a\n{}", "list l 1\n".repeat(MAX_ITEMS + 1)), "too many items");
}
