//! What libuci reads and refuses, and the bytes that a change touches.

use super::*;

const NETWORK: &str = "\
package network

config interface 'loopback'
\toption ifname lo   # the kernel's
\toption proto 'static'
\toption ipaddr \"127.0.0.1\"

config interface lan; option proto static
  list dns '1.1.1.1'
  list dns 8.8.8.8

config route
config route
    option target '10.0.0.0'\\''s'\" \\\"net\\\"\"\\ end
    option metric 1
    option metric 2
config interface 'lan'
\toption mtu '15''00'";

fn one(text: &str) -> Option<Held> {
    Some(Held::One(text.to_owned()))
}

#[test]
fn reads_as_libuci_does() {
    let p = Package::parse(NETWORK).unwrap();
    assert_eq!(p.keys("interface"), ["loopback", "lan"]);
    assert_eq!(p.keys("route"), ["@route[0]", "@route[1]"]);
    assert_eq!(p.keys("rule"), [""; 0]);
    assert_eq!(p.get("loopback", "ifname"), one("lo"));
    assert_eq!(p.get("@interface[0]", "ipaddr"), one("127.0.0.1"));
    assert_eq!(p.get("lan", "proto"), one("static"));
    assert_eq!(p.get("@interface[1]", "mtu"), one("1500"), "sections of one name are one");
    assert_eq!(p.get("lan", "dns"), Some(Held::Many(vec!["1.1.1.1".into(), "8.8.8.8".into()])));
    assert_eq!(p.get("@route[1]", "target"), one("10.0.0.0's \"net\" end"));
    assert_eq!(p.get("@route[-1]", "metric"), one("2"), "the last one holds");
    for (key, option) in [
        ("@route[0]", "metric"),
        ("@route[2]", "metric"),
        ("@route[-3]", "metric"),
        ("wan", "proto"),
        ("", "target"),
        ("@route", "metric"),
    ] {
        assert_eq!(p.get(key, option), None, "{key}");
    }
}

#[test]
fn what_libuci_refuses_is_refused_with_its_line() {
    for (text, line) in [
        ("option a b\n", 1),
        ("config a\n\noption b\n", 3),
        ("config a\noption b 'c\n\n", 2),
        ("config\n", 1),
        ("config a b c", 1),
        ("config a 'b.c'", 1),
        ("config a\n#\noption 'b c' d", 3),
        ("#\nnonsense", 2),
    ] {
        assert_eq!(Package::parse(text).map(|_| ()).map_err(|e| e.line), Err(line), "{text:?}");
    }
    assert!(Package::parse("").unwrap().keys("a").is_empty());
}

/// What differs between two texts: the bytes taken out and those put in.
fn difference<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let head = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let tail = |a: &str, b: &str| a.bytes().rev().zip(b.bytes().rev()).take_while(|(x, y)| x == y).count();
    let tail = tail(&old[head..], &new[head..]);
    (&old[head..old.len() - tail], &new[head..new.len() - tail])
}

#[test]
fn only_the_bytes_of_the_option_change_and_come_back() {
    let cases = [
        ("loopback", "ifname", Some("eth0"), "lo", "'eth0'"),
        ("lan", "proto", Some("it's"), "static", "'it'\\''s'"),
        ("@route[1]", "metric", Some("9"), "2", "'9'"),
        ("@route[1]", "gateway", Some("10.0.0.1"), "", "    option gateway '10.0.0.1'\n"),
        ("@route[0]", "gateway", Some("x"), "", "\toption gateway 'x'\n"),
        ("lan", "metric", Some("5"), "", "\n\toption metric '5'\n"),
        ("loopback", "ifname", None, "\toption ifname lo   # the kernel's\n", ""),
    ];
    for (key, option, value, gone, come) in cases {
        let old = Package::parse(NETWORK).unwrap();
        let text = old.with(key, option, value).unwrap();
        let (taken, put) = difference(NETWORK, &text);
        // The same bytes may be found in another place of a run of equal ones.
        assert_eq!((taken.len(), put.len()), (gone.len(), come.len()), "{key}.{option}: {taken:?} {put:?}");
        assert!(text.contains(come), "{text}");
        let new = Package::parse(&text).unwrap();
        assert_eq!(new.get(key, option), value.map(|v| Held::One(v.to_owned())), "{key}.{option}");
        // Back again: all bytes where the option was there, or where it was added to a whole line.
        let back = new.with_raw(key, option, old.raw(key, option)).unwrap();
        match (value, gone.is_empty()) {
            (None, _) => assert_eq!(Package::parse(&back).unwrap().get(key, option), old.get(key, option)),
            (_, true) => assert_eq!(back.trim_end(), NETWORK),
            _ => assert_eq!(back, NETWORK),
        }
    }
}

#[test]
fn a_section_on_a_line_with_others_is_kept_apart() {
    let p = Package::parse("config a one; option x 1; config a two; option x 2").unwrap();
    let p = Package::parse(&p.with("one", "y", Some("3")).unwrap()).unwrap();
    assert_eq!((p.get("one", "y"), p.get("two", "y")), (one("3"), None));
    let p = Package::parse(&p.with("one", "x", None).unwrap()).unwrap();
    assert_eq!((p.get("one", "x"), p.get("two", "x")), (None, one("2")));
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let p = Package::parse(NETWORK).unwrap();
    assert_eq!(p.with("lan", "dns", Some("1")), Err(Refused::List));
    assert_eq!(p.with("wan", "proto", Some("1")), Err(Refused::NoSection));
    assert_eq!(p.with("lan", "proto", Some("a\0b")), Err(Refused::Value));
    assert_eq!(p.with("lan", "pro to", Some("a")), Err(Refused::Name));
}

#[test]
fn any_value_reads_back_as_it_was_written() {
    for value in ["", "'", "''", "\\", "a\nb", "#;\"", " x ", "é'\\n", "$(reboot)"] {
        let p = Package::parse(NETWORK).unwrap();
        let p = Package::parse(&p.with("lan", "x", Some(value)).unwrap()).unwrap();
        assert_eq!(p.get("lan", "x"), one(value), "{value:?}");
        assert_eq!(p.get("lan", "mtu"), one("1500"));
    }
}
