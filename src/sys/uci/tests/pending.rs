//! Changes that somebody has not committed, as libuci puts them on top.

use super::*;

const FILE: &str = "config interface lan\n\toption proto static\n\tlist dns 1\n\tlist dns 2\n\nconfig rule\n\toption n 1\nconfig rule\n\toption n 2\n";

fn over(pending: &str) -> Package {
    Package::parse("a", FILE.into(), pending.as_bytes()).expect("the file is sound")
}

#[test]
fn what_is_pending_is_read_on_top() {
    let lan = "interface lan proto=static dns=[1,2]";
    let (r1, r2) = ("rule - n=1", "rule - n=2");
    let cases: &[(&str, &[&str])] = &[
        ("", &[lan, r1, r2]),
        ("a.lan.proto='dhcp'\n", &["interface lan proto=dhcp dns=[1,2]", r1, r2]),
        ("a.lan.proto=''\n", &["interface lan dns=[1,2]", r1, r2]),
        ("-a.lan.proto\n", &["interface lan dns=[1,2]", r1, r2]),
        ("a.lan.mtu='it'\\''s'\n", &["interface lan proto=static dns=[1,2] mtu=it's", r1, r2]),
        ("|a.lan.dns='3'\n~a.lan.dns='1'\n", &["interface lan proto=static dns=[2,3]", r1, r2]),
        ("|a.lan.proto='x'\n", &["interface lan proto=[static,x] dns=[1,2]", r1, r2]),
        ("-a.lan.dns='1'\n", &["interface lan proto=static dns=[1]", r1, r2]),
        ("-a.lan.dns='9'\n-a.lan.dns='x'\n", &[lan, r1, r2]),
        ("a.lan.dns='x'\n", &["interface lan proto=static dns=x", r1, r2]),
        ("-a.lan\n", &[r1, r2]),
        ("@a.lan='home'\n", &["interface home proto=static dns=[1,2]", r1, r2]),
        ("@a.lan.proto='kind'\n", &["interface lan kind=static dns=[1,2]", r1, r2]),
        ("^a.lan='1'\n", &[r1, lan, r2]),
        ("^a.lan='99'\n", &[r1, r2, lan]),
        ("a.new='rule'\na.new.n='3'\n", &[lan, r1, r2, "rule new n=3"]),
        ("+a.cfg0492bd='rule'\na.cfg0492bd.n='3'\n", &[lan, r1, r2, "rule - n=3"]),
        ("a.lan='alias'\n", &["alias lan proto=static dns=[1,2]", r1, r2]),
        ("a.lan.note='a\nb'\n", &["interface lan proto=static dns=[1,2] note=a\nb", r1, r2]),
        // Of the anonymous ones by the names that libuci makes up.
        ("-a.cfg02c8b2\n", &[lan, r1, r2]),
        // What is not understood, or of nothing, counts for nothing.
        ("b.lan.proto='x'\na.lan.proto\na.gone.proto='x'\na.@rule[0].n='x'\na.lan.x-y='1'\n", &[lan, r1, r2]),
        (
            "a.lan.proto='x' y\na.lan.proto='\u{1}'\n|a.lan='x'\n^a.lan.proto='1'\n@a.lan='b-c'\n",
            &[lan, r1, r2],
        ),
        (
            "nonsense\n\n#\n=\na\na.b.c.d='x'\na.lan.mtu='9'\n",
            &["interface lan proto=static dns=[1,2] mtu=9", r1, r2],
        ),
        ("a.lan.mtu='9'\na.lan.x='unended\n", &["interface lan proto=static dns=[1,2] mtu=9", r1, r2]),
    ];
    for (pending, sections) in cases {
        assert_eq!(told(&over(pending)), *sections, "{pending:?}");
    }
    let id = package(FILE).section("@rule[0]").expect("it is there").id().to_owned();
    assert_eq!(told(&over(&format!("-a.{id}\n"))), [lan, r2]);
    assert_eq!(told(&over(&format!("a.{id}.n='7'\n"))), [lan, "rule - n=7", r2]);
}

#[test]
fn what_somebody_is_changing_is_refused_and_the_rest_is_not() {
    let id = package(FILE).section("@rule[1]").expect("it is there").id().to_owned();
    let pending = format!("a.lan.proto='dhcp'\na.new='rule'\n@a.{id}='named'\n");
    let p = over(&pending);
    let refused = |edit: Edit| judge(&p, &[edit]).err().map(|problem| problem.cause);
    for (edit, cause) in [
        (set("lan", "proto", "none"), Some(Cause::Pending)),
        (unset("lan", "proto"), Some(Cause::Pending)),
        (drop_section("lan"), Some(Cause::Pending)),
        (set("new", "n", "1"), Some(Cause::Pending)),
        (make("rule", "new"), Some(Cause::Pending)),
        (set("named", "n", "1"), Some(Cause::Pending)),
        (add("lan", "dns", "3"), None),
        (set("lan", "mtu", "1400"), None),
        (set("@rule[0]", "n", "5"), None),
        (make("rule", "other"), None),
    ] {
        assert_eq!(refused(edit.clone()), cause, "{edit:?}");
    }
    let text = judge(&p, &[set("lan", "proto", "x")]).expect_err("it is pending").to_string();
    assert_eq!(text, "/etc/config/a: lan.proto has a change of somebody else's that is not committed yet");
    // Removed by somebody, though the file still has it.
    let p = over("-a.lan\n");
    assert_eq!(judge(&p, &[set("lan", "mtu", "1")]).map_err(|p| p.cause), Err(Cause::Pending));
    assert_eq!(judge(&p, &[drop_section("lan")]).map_err(|p| p.cause), Err(Cause::Pending));
    assert_eq!(judge(&p, &[make("interface", "lan")]).map_err(|p| p.cause), Err(Cause::Pending));
    assert_eq!(judge(&p, &[make("interface", "wan")]), Ok(()));
    // Places are those of what is read, bytes those of the file.
    let p = over("^a.lan='2'\n");
    assert_eq!(
        edited(&p, &[set("@rule[1]", "n", "9")]).expect("nobody changes it"),
        FILE.replace("n 2", "n '9'")
    );
}
