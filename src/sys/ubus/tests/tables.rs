//! Tables: every type, and what is none.

use super::super::*;
use super::bytes;

/// Every type there is, as JSON: what ubus prints for it.
#[test]
fn types_of_fields() {
    for (text, json) in [
        ("80000008 0001 'a' 00", r#"{"a":null}"#),
        ("8000000c 0001 'a' 00 01020304", r#"{"a":null}"#),
        ("81000008 0001 'a' 00", r#"{"a":[]}"#),
        ("82000008 0001 'a' 00", r#"{"a":{}}"#),
        ("83000009 0001 'a' 00 00 000000", r#"{"a":""}"#),
        ("8300000f 0001 'a' 00 22 5c 08 0a 0d 00 00 00", r#"{"a":"\"\\\b\n\r"}"#),
        ("8300000d 0001 'a' 00 09 01 1f 2f 00 000000", "{\"a\":\"\\t\\u0001\\u001f/\"}"),
        ("8300000c 0001 'a' 00 'b' 00 'c' 00", r#"{"a":"b"}"#),
        ("8300000d 0001 'a' 00 'b' ff c3 'c' 00 000000", r#"{"a":"b??c"}"#),
        ("8300000b 0001 'a' 00 c3 a9 00 00", r#"{"a":"é"}"#),
        ("84000010 0001 'a' 00 8000000000000000", r#"{"a":-9223372036854775808}"#),
        ("84000010 0001 'a' 00 00000000ffffffff", r#"{"a":4294967295}"#),
        ("8500000c 0001 'a' 00 ffffffff", r#"{"a":-1}"#),
        ("8500000c 0001 'a' 00 7fffffff", r#"{"a":2147483647}"#),
        ("8600000a 0001 'a' 00 8000 0000", r#"{"a":-32768}"#),
        ("87000009 0001 'a' 00 00 000000", r#"{"a":false}"#),
        ("87000009 0001 'a' 00 02 000000", r#"{"a":true}"#),
        ("88000010 0001 'a' 00 3ff8000000000000", r#"{"a":1.500000}"#),
        ("88000010 0001 'a' 00 7ff0000000000000", r#"{"a":null}"#),
        // A type of the future is of no use, and its neighbour is.
        ("ff00000c 0001 'a' 00 01020304  8500000c 0001 'b' 00 00000007", r#"{"a":null,"b":7}"#),
        // Elements of an array need no name, not even an empty one.
        ("8100001c 0001 'a' 00  8500000c 0000 00 00 00000001  05 000008 00000002", r#"{"a":[1,2]}"#),
        // The padding of the last field may be missing.
        ("83000009 0001 'a' 00 00", r#"{"a":""}"#),
        ("", "{}"),
    ] {
        let answer = Answer::new(bytes(text)).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(answer.to_json(), json, "{text}");
        let again = Answer::from_json(json).unwrap();
        assert_eq!(again.to_json(), json, "{text}");
    }
}

#[test]
fn finding_ones_way() {
    let json = r#"{"a":{"b":[{"c":"x"},[1,true,2.75]]},"t":"s","n":null,"":3,"a":1}"#;
    let answer = Answer::from_json(json).unwrap();
    assert_eq!(answer.to_json(), json.replace("2.75", "2.750000"));
    let root = answer.root();
    let list = root.get("a").and_then(|a| a.get("b")).unwrap();
    assert_eq!(list.at(0).and_then(|e| e.get("c")?.text()), Some("x"));
    let inner = list.at(1).unwrap();
    let numbers: Vec<_> = (0..4).map(|n| inner.at(n).map(|v| (v.number(), v.flag(), v.float()))).collect();
    let expected = [
        Some((Some(1), Some(true), None)),
        Some((Some(1), Some(true), None)),
        Some((Some(2), None, Some(2.75))),
        None,
    ];
    assert_eq!(numbers, expected);
    let shown: Vec<String> = inner.fields().map(|(_, v)| v.show().to_string()).collect();
    assert_eq!(shown, ["1", "true", "2.750000"]);
    assert_eq!(list.show().to_string(), r#"[{"c":"x"},[1,true,2.750000]]"#);
    assert_eq!(
        (root.get("t").unwrap().show().to_string(), root.get("n").unwrap().show().to_string()),
        ("s".into(), String::new())
    );
    assert_eq!(root.get("").and_then(Value::number), Some(3));
    // Nothing is in a scalar, no name in an array.
    assert!(root.get("t").unwrap().get("x").is_none() && list.get("").is_none() && root.get("z").is_none());
    assert_eq!(root.get("t").unwrap().fields().count(), 0);
    let names: Vec<&str> = root.fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "t", "n", "", "a"]);
    let scalar = |name| root.get(name).unwrap().is_scalar();
    assert!(scalar("t") && !scalar("a") && !scalar("n"));
}

/// Lengths that lie, and what else is no table: refused, whatever stands behind.
#[test]
fn damaged_tables() {
    let deep = |levels: usize| {
        let mut text = Vec::new();
        for level in (0..levels).rev() {
            let len = 8 + text.len() as u32;
            let word = 0x8100_0000 | len;
            text = [&word.to_be_bytes()[..], &[0, 0, 0, 0], &text].concat();
            assert!(level < levels);
        }
        text
    };
    assert!(Answer::new(deep(MAX_DEPTH)).is_ok());
    let many = |count: usize| bytes("80000008 0000 0000").repeat(count);
    assert!(Answer::new(many(MAX_FIELDS)).is_ok());
    for (bytes, why) in [
        (bytes("8500"), "head"),
        (bytes("00000000"), "length"),
        (bytes("80000003"), "length"),
        (bytes("80000005"), "length"),
        (bytes("80ffffff"), "length"),
        (bytes("80000004"), "name without its length"),
        (bytes("80000005 00"), "name without its length"),
        (bytes("80000008 0002 'ab'"), "longer than its field"),
        (bytes("80000008 ffff 'ab'"), "longer than its field"),
        (bytes("80000008 0001 'ab'"), "without its end"),
        (bytes("83000008 0001 'a' 00"), "text without its end"),
        (bytes("8300000a 0001 'a' 00 'bc' 0000"), "text without its end"),
        (bytes("8500000b 0001 'a' 00 000000 00"), "wrong length"),
        (bytes("85000010 0001 'a' 00 0000000000000000"), "wrong length"),
        (bytes("8700000a 0001 'a' 00 0000 0000"), "wrong length"),
        (bytes("8800000c 0001 'a' 00 00000000"), "wrong length"),
        // Within a table that is sound itself.
        (bytes("8200000c 0001 'a' 00  85000020"), "length"),
        (bytes("82000010 0001 'a' 00  83000008 0000 0000"), "text without its end"),
        (deep(MAX_DEPTH + 1), "too deep"),
        (deep(10_000), "too deep"),
        (many(MAX_FIELDS + 1), "too many"),
    ] {
        match Answer::new(bytes) {
            Err(Problem::Malformed(said)) => assert!(said.contains(why), "{said}: {why}"),
            other => panic!("{other:?}: {why}"),
        }
    }
}

/// What would not be taken by the other side is not written.
#[test]
fn bounds_of_what_is_written() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(Answer::from_json(&nested(MAX_DEPTH)).is_ok());
    for (json, problem) in [
        (nested(MAX_DEPTH + 1), "too deep"),
        (nested(100_000), "too deep"),
        (format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_MESSAGE)), "longer than"),
        (format!("{{\"{}\":1}}", "x".repeat(70_000)), "longer than"),
        (format!("{{\"a\":[{}0]}}", "0,".repeat(MAX_FIELDS)), "longer than"),
        ("[1]".into(), "not an object"),
        ("1".into(), "not an object"),
        ("null".into(), "not an object"),
        (String::new(), "EOF"),
        ("{} {}".into(), "trailing"),
        ("{\"a\":1e999}".into(), "out of range"),
    ] {
        let said = Answer::from_json(&json).unwrap_err().to_string();
        assert!(said.contains(problem), "{said}: {json:.40}");
    }
    // C reads up to a zero byte.
    let cut = Answer::from_json(r#"{"a\u0000b":"c\u0000d","n":18446744073709551615}"#).unwrap();
    assert_eq!(cut.to_json(), r#"{"a":"c","n":9223372036854775807}"#);
    assert!(matches!(
        message::Draft::new(5, 1, 1).bytes(7, &vec![0; MAX_MESSAGE]).finish(),
        Err(Problem::TooLong)
    ));
}
