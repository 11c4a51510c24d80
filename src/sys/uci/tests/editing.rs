//! The bytes that a change touches.

use super::*;

const NETWORK: &str = "\
package network

config interface 'loopback'
\toption ifname lo   # the kernel's
\toption proto 'static'
\toption ipaddr \"127.0.0.1\"

# the house
config interface lan
  option proto static
  list dns '1.1.1.1'  # one
  list dns 8.8.8.8
  option old 'eth0 eth1'

config route
config route
    option metric 1
    option metric 2
    list l 1
    option l 2
config interface 'lan'
\toption mtu '15''00'";

/// What differs between two texts: the bytes taken out and those put in.
fn difference<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let head = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let tail = old[head..].bytes().rev().zip(new[head..].bytes().rev()).take_while(|(a, b)| a == b).count();
    (&old[head..old.len() - tail], &new[head..new.len() - tail])
}

#[test]
fn only_the_bytes_of_what_is_changed_change() {
    let cases: &[(Edit, &str, &str)] = &[
        (set("loopback", "ifname", "eth0"), "lo", "'eth0'"),
        (set("loopback", "proto", "dhcp"), "static", "dhcp"),
        (set("lan", "proto", "it's"), "static", "'it'\\''s'"),
        (set("lan", "mtu", "1400"), "5''", "4"),
        (set("lan", "proto", "static"), "", ""),
        (set("lan", "metric", "5"), "", "\n\toption metric '5'\n"),
        (set("@route[0]", "gateway", "x"), "", "\toption gateway 'x'\n"),
        (set("@route[1]", "gateway", "x"), "", "    option gateway 'x'\n"),
        (set("@route[1]", "metric", "9"), "2", "'9'"),
        (unset("loopback", "ifname"), "\toption ifname lo   # the kernel's\n", ""),
        (unset("@route[1]", "metric"), "    option metric 1\n    option metric 2\n", ""),
        (set("loopback", "ifname", ""), "\toption ifname lo   # the kernel's\n", ""),
        (unset("lan", "nothing"), "", ""),
        (add("lan", "dns", "9.9.9.9"), "", "  list dns '9.9.9.9'\n"),
        (add("lan", "dns", "8.8.8.8"), "", ""),
        (remove("lan", "dns", "1.1.1.1"), "  list dns '1.1.1.1'  # one\n", ""),
        (remove("lan", "dns", "none"), "", ""),
        (list("lan", "dns", &["1.1.1.1", "9.9.9.9"]), "8.8.8.8", "'9.9.9.9'"),
        (list("lan", "dns", &["0", "1.1.1.1", "8.8.8.8"]), "", "  list dns '0'\n"),
        (list("lan", "dns", &["1.1.1.1", "0", "8.8.8.8"]), "", "  list dns '0'\n"),
        (list("lan", "dns", &[]), "  list dns '1.1.1.1'  # one\n  list dns 8.8.8.8\n", ""),
        (list("loopback", "dns", &["a", "b"]), "", "\tlist dns 'a'\n\tlist dns 'b'\n"),
        (set("lan", "dns", "x"), "list dns '1.1.1.1'  # one\n  list dns 8.8.8.8", "option dns 'x'  # one"),
        (list("@route[1]", "metric", &["7"]), "option metric 1\n    option metric 2", "list metric '7'"),
        (remove("lan", "old", "eth0"), "eth0 ", ""),
        (remove("lan", "old", "eth0 eth1"), "  option old 'eth0 eth1'\n", ""),
        (add("lan", "old", "eth1"), "", ""),
        (
            add("lan", "old", "eth2"),
            "option old 'eth0 eth1",
            "list old 'eth0'\n  list old 'eth1'\n  list old 'eth2",
        ),
        (add("@route[1]", "l", "3"), "1\n    option l 2", "'2'\n    list l '3'"),
        (make("rule", "r1"), "", "\n\nconfig rule 'r1'\n"),
        (make("interface", "lan"), "", ""),
        (drop_section("@route[0]"), "config route\n", ""),
        (drop_section("nobody"), "", ""),
    ];
    let p = package(NETWORK);
    for (edit, gone, come) in cases {
        let text = edited(&p, std::slice::from_ref(edit)).unwrap_or_else(|e| panic!("{edit:?}: {e}"));
        let (taken, put) = difference(NETWORK, &text);
        // The same bytes may be found in another place of a run of equal ones.
        assert_eq!((taken.len(), put.len()), (gone.len(), come.len()), "{edit:?}: {taken:?} {put:?}");
        assert!(text.contains(come) && NETWORK.contains(gone), "{edit:?}: {taken:?} {put:?}");
    }
}

#[test]
fn a_section_goes_with_its_lines_and_nothing_else() {
    let p = package(NETWORK);
    let text = edited(&p, &[drop_section("lan")]).expect("it is there");
    assert!(text.contains("# the house\nconfig route\n"), "{text}");
    assert!(text.ends_with("    option l 2\n"), "both of its pieces: {text}");
    let text = edited(&p, &[drop_section("loopback")]).expect("it is there");
    assert_eq!(text.find("# the house"), Some("package network\n\n".len()));
}

#[test]
fn edits_follow_one_another() {
    let p = package(NETWORK);
    let key = p.section("@route[1]").expect("it is there").key().into_owned();
    let edits = [
        drop_section("@route[0]"),
        make("rule", "r1"),
        set("r1", "target", "ACCEPT"),
        list("r1", "proto", &["tcp", "udp"]),
        add("r1", "proto", "icmp"),
        set(&key, "metric", "3"),
        make("rule", "r2"),
        set("lan", "mtu", "1400"),
        set("lan", "mtu", "1300"),
    ];
    let text = edited(&p, &edits).expect("in their order");
    let p = package(&text);
    assert_eq!(
        told(&p)[2..],
        ["route - metric=3 l=2", "rule r1 target=ACCEPT proto=[tcp,udp,icmp]", "rule r2"],
        "{text}"
    );
    assert_eq!(p.section("lan").and_then(|s| s.get("mtu")), Some("1300"));
    assert!(text.ends_with("\n\nconfig rule 'r1'\n\toption target 'ACCEPT'\n\tlist proto 'tcp'\n\tlist proto 'udp'\n\tlist proto 'icmp'\n\nconfig rule 'r2'\n"), "{text}");
}

#[test]
fn lines_that_statements_share_are_kept_apart() {
    let text = "config a 'one' ; option x '1' ; option y '2' # c\nconfig b two ; list l '1' ; list l '2'\nconfig a\noption x y;dead\n";
    let p = package(text);
    let cases: &[(Edit, &[&str])] = &[
        (set("one", "z", "3"), &["a one x=1 y=2 z=3", "b two l=[1,2]", "a - x=y"]),
        (unset("one", "x"), &["a one y=2", "b two l=[1,2]", "a - x=y"]),
        (unset("one", "y"), &["a one x=1", "b two l=[1,2]", "a - x=y"]),
        (add("two", "l", "3"), &["a one x=1 y=2", "b two l=[1,2,3]", "a - x=y"]),
        (list("two", "l", &["0", "1", "2"]), &["a one x=1 y=2", "b two l=[0,1,2]", "a - x=y"]),
        (remove("two", "l", "1"), &["a one x=1 y=2", "b two l=[2]", "a - x=y"]),
        (list("two", "l", &[]), &["a one x=1 y=2", "b two", "a - x=y"]),
        (set("@a[1]", "x", "it's"), &["a one x=1 y=2", "b two l=[1,2]", "a - x=it's"]),
        (list("@a[1]", "x", &["1", "2"]), &["a one x=1 y=2", "b two l=[1,2]", "a - x=[1,2]"]),
        (drop_section("one"), &["b two l=[1,2]", "a - x=y"]),
        (drop_section("two"), &["a one x=1 y=2", "a - x=y"]),
    ];
    for (edit, sections) in cases {
        let after = edited(&p, std::slice::from_ref(edit)).unwrap_or_else(|e| panic!("{edit:?}: {e}"));
        assert_eq!(told(&package(&after)), *sections, "{edit:?}: {after:?}");
        assert_eq!(back(&after, &undo_of(&p, std::slice::from_ref(edit))), text, "{edit:?}: {after:?}");
    }
    // One line for two sections.
    let p = package("config a one ; option x '1' ; config a two ; option x '2'\n");
    let after = edited(&p, &[set("one", "y", "3"), unset("two", "x")]).expect("both");
    assert_eq!(told(&package(&after)), ["a one x=1 y=3", "a two"], "{after:?}");
    let after = edited(&p, &[drop_section("one")]).expect("the first of them");
    assert_eq!(told(&package(&after)), ["a two x=2"], "{after:?}");
}

#[test]
fn any_value_reads_back_as_it_was_written() {
    let p = package(NETWORK);
    for value in ["'", "''", "\\", "a\nb", "#;\"", " x ", "é'\\n", "$(reboot)", "\t", "a\r\n", "\u{7f}"] {
        let after = package(
            &edited(&p, &[set("lan", "x", value), list("lan", "dns", &[value, "", value])]).expect(value),
        );
        let lan = after.section("lan").expect("it is there");
        assert_eq!((lan.get("x"), lan.items("dns")), (Some(value), vec![value, "", value]), "{value:?}");
        assert_eq!(lan.get("mtu"), Some("1500"));
    }
}

#[test]
fn what_cannot_stand_in_a_file_is_refused() {
    let p = package(NETWORK);
    let long = "x".repeat(MAX_VALUE + 1);
    for (edit, cause) in [
        (set("lan", "proto", "a\0b"), Cause::Value),
        (set("lan", "proto", "a\u{1}b"), Cause::Value),
        (set("lan", "proto", &long), Cause::Value),
        (set("lan", "pro to", "a"), Cause::Value),
        (set("lan", "pro-to", "a"), Cause::Value),
        (set("lan", "", "a"), Cause::Value),
        (add("lan", "dns", "\u{2}"), Cause::Value),
        (list("lan", "dns", &["a", "\u{3}"]), Cause::Value),
        (make("a b", "x"), Cause::Value),
        (make("a;b", "x"), Cause::Value),
        (make("a", "x-y"), Cause::Value),
        (make("a", ""), Cause::Value),
        (make("route", "lan"), Cause::Value),
        (set("wan", "proto", "1"), Cause::Gone),
        (set("@route[2]", "metric", "1"), Cause::Gone),
        (set("@route[1]~AAAAAA", "metric", "1"), Cause::Gone),
    ] {
        let problem = edited(&p, std::slice::from_ref(&edit)).expect_err("refused");
        assert_eq!(problem.cause, cause, "{edit:?}: {problem}");
        assert_eq!(judge(&p, &[edit]).map_err(|p| p.cause), Err(cause));
    }
    let many =
        Edit::List { section: owned("lan"), option: owned("dns"), items: vec![owned("x"); MAX_ITEMS + 1] };
    assert_eq!(judge(&p, &[many]).map_err(|p| p.cause), Err(Cause::Value));
}
