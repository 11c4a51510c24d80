use super::*;
use crate::model::grammar;

/// What [`Kind::check`] says of a text: its canonical form, or the fault code.
fn check(row: &str, text: &str) -> Result<String, u16> {
    with(row, |kind| match kind.check(text) {
        Ok(value) => Ok(value.into_owned()),
        Err(Misfit::Type(_)) => Err(9006),
        Err(Misfit::Value(_)) => Err(9007),
    })
}

/// The type of a row as the grammar reads it.
fn with<T>(row: &str, then: impl FnOnce(Kind<'_>) -> T) -> T {
    let text = format!("[\"Device.X.\"]\nP = {{ {row}, native = \"n\" }}\n");
    let schema = grammar::schema_from(&[("t.toml", &text)], &["n"]).unwrap_or_else(|p| panic!("{}", p[0]));
    then(schema.find_param("Device.X.P").unwrap().kind())
}

/// A row, and for each text what comes of it.
fn table(row: &str, cases: &[(&str, Result<&str, u16>)]) {
    for (text, expected) in cases {
        assert_eq!(check(row, text), expected.map(str::to_string), "{row}: {text:?}");
    }
}

// Proves: E-23
#[test]
fn e_23_lengths_are_counted_in_characters() {
    let long = "\u{20ac}".repeat(64);
    assert_eq!(check("type = \"string(64)\"", &long), Ok(long.clone()));
    assert_eq!(check("type = \"string(64)\"", &(long + "x")), Err(9007));
    table("type = \"string(2..3)\"", &[("é", Err(9007)), ("éé", Ok("éé")), ("abcd", Err(9007))]);
    table("type = \"string(0..0,5..7)\"", &[("", Ok("")), ("abc", Err(9007)), ("abcde", Ok("abcde"))]);
}

// Proves: E-24
#[test]
fn e_24_text_stays_as_it_is() {
    table(
        "type = \"string\"",
        &[
            (" \ta\n&<b\r ", Ok(" \ta\n&<b\r ")),
            ("", Ok("")),
            ("a\u{1}b", Err(9007)),
            ("\u{fffe}", Err(9007)),
        ],
    );
}

// Proves: E-25
#[test]
fn e_25_booleans() {
    table(
        "type = \"boolean\"",
        &[
            ("true", Ok("true")),
            ("1", Ok("true")),
            ("false", Ok("false")),
            (" 0\n", Ok("false")),
            ("True", Err(9006)),
            ("yes", Err(9006)),
            ("", Err(9006)),
        ],
    );
}

// Proves: E-28
#[test]
fn e_28_whole_numbers() {
    table(
        "type = \"unsignedInt\"",
        &[
            ("0", Ok("0")),
            ("4294967295", Ok("4294967295")),
            ("4294967296", Err(9007)),
            ("-1", Err(9007)),
            ("-0", Ok("0")),
            ("+007", Ok("7")),
            (" 7 ", Ok("7")),
            ("7.0", Err(9006)),
            ("1e3", Err(9006)),
            ("", Err(9006)),
            ("-", Err(9006)),
            ("--1", Err(9006)),
            ("+-1", Err(9006)),
            ("١", Err(9006)),
            ("99999999999999999999999999", Err(9007)),
        ],
    );
    table(
        "type = \"int\"",
        &[
            ("-2147483648", Ok("-2147483648")),
            ("-2147483649", Err(9007)),
            ("2147483647", Ok("2147483647")),
            ("2147483648", Err(9007)),
            ("-007", Ok("-7")),
            ("-00", Ok("0")),
        ],
    );
    table(
        "type = \"long\"",
        &[
            ("-9223372036854775808", Ok("-9223372036854775808")),
            ("-9223372036854775809", Err(9007)),
            ("9223372036854775807", Ok("9223372036854775807")),
            ("9223372036854775808", Err(9007)),
        ],
    );
    table(
        "type = \"unsignedLong\"",
        &[
            ("18446744073709551615", Ok("18446744073709551615")),
            ("18446744073709551616", Err(9007)),
            ("-1", Err(9007)),
        ],
    );
    table(
        "type = \"unsignedLong(..18446744073709551615)\"",
        &[("18446744073709551615", Ok("18446744073709551615"))],
    );
    table("type = \"unsignedLong(5..10)\"", &[("18446744073709551615", Err(9007)), ("10", Ok("10"))]);
    table(
        "type = \"int(-1..-1,1..65535)\"",
        &[
            ("-1", Ok("-1")),
            ("0", Err(9007)),
            ("65535", Ok("65535")),
            ("65536", Err(9007)),
            ("-2", Err(9007)),
        ],
    );
}

// Proves: R-SPV-14
#[test]
fn r_spv_14_decimals() {
    table(
        "type = \"decimal\"",
        &[
            ("-01.50", Ok("-1.5")),
            ("5.", Ok("5")),
            (".5", Ok("0.5")),
            ("-0.0", Ok("0")),
            ("1e3", Err(9006)),
            (".", Err(9006)),
            ("1.2.3", Err(9006)),
            ("123456789012345678901234567890.5", Err(9007)),
        ],
    );
    table(
        "type = \"decimal(-1..1)\"",
        &[
            ("1", Ok("1")),
            ("1.01", Err(9007)),
            ("-1.0", Ok("-1")),
            ("-1.01", Err(9007)),
            ("0.999", Ok("0.999")),
        ],
    );
}

// Proves: E-26
#[test]
fn e_26_27_times() {
    table(
        "type = \"dateTime\"",
        &[
            ("2024-02-29T23:59:59Z", Ok("2024-02-29T23:59:59Z")),
            ("2023-02-29T00:00:00Z", Err(9006)),
            ("2100-02-29T00:00:00Z", Err(9006)),
            ("2024-12-31T23:30:00.25-01:00", Ok("2025-01-01T00:30:00.25Z")),
            ("2024-01-01T00:30:00+05:45", Ok("2023-12-31T18:45:00Z")),
            ("2024-03-01T00:00:00+01:00", Ok("2024-02-29T23:00:00Z")),
            ("2024-12-31T24:00:00Z", Ok("2025-01-01T00:00:00Z")),
            ("2024-06-01T12:00:00", Ok("2024-06-01T12:00:00Z")),
            ("0001-01-01T00:00:00Z", Ok("0001-01-01T00:00:00Z")),
            ("9999-12-31T23:59:59Z", Ok("9999-12-31T23:59:59Z")),
            ("0001-01-03T03:04:05", Ok("0001-01-03T03:04:05")),
            ("0001-01-03T03:04:05Z", Err(9006)),
            ("0000-01-01T00:00:00Z", Err(9006)),
            ("2024-13-01T00:00:00Z", Err(9006)),
            ("2024-00-01T00:00:00Z", Err(9006)),
            ("2024-01-01T25:00:00Z", Err(9006)),
            ("2024-01-01T23:59:60Z", Err(9006)),
            ("2024-01-01 00:00:00Z", Err(9006)),
            ("2024-01-01T00:00:00.Z", Err(9006)),
            ("2024-01-01T00:00:00+25:00", Err(9006)),
            ("2024-01-01T00:00:00z", Err(9006)),
            ("2024-01-01", Err(9006)),
            // In UTC these lie in years that no dateTime here can say.
            ("9999-12-31T24:00:00-14:00", Err(9006)),
            ("1000-01-01T00:00:00+14:00", Err(9006)),
            ("9999-12-31T24:00:00+00:01", Ok("9999-12-31T23:59:00Z")),
            ("2024-01-01T00:00:0é", Err(9006)),
            ("", Err(9006)),
        ],
    );
    // A source may speak local time.
    with("type = \"dateTime\"", |kind| {
        assert_eq!(kind.coerce("2024-01-01T00:30:00+05:45"), "2024-01-01T00:30:00+05:45");
        assert_eq!(kind.coerce("soon"), "0001-01-01T00:00:00Z");
    });
}

// Proves: E-29
#[test]
fn e_29_octets() {
    table(
        "type = \"hexBinary(2..3)\"",
        &[
            ("dead", Ok("DEAD")),
            (" DEADBE ", Ok("DEADBE")),
            ("de", Err(9007)),
            ("deadbeef", Err(9007)),
            ("dea", Err(9006)),
            ("xy", Err(9006)),
        ],
    );
    table("type = \"hexBinary(5..5,13..13)\"", &[("0011223344", Ok("0011223344")), ("00112233", Err(9007))]);
    table(
        "type = \"base64(..4)\"",
        &[
            ("AAECAw==", Ok("AAECAw==")),
            ("AAEC\n Aw==", Ok("AAECAw==")),
            ("AAECAwQ=", Err(9007)),
            ("", Ok("")),
            ("AAE", Err(9006)),
            ("A===", Err(9006)),
            ("AA=A", Err(9006)),
            ("AA-_", Err(9006)),
        ],
    );
}

// Proves: R-SPV-14, R-SPV-15
#[test]
fn r_spv_14_enumerations_and_patterns() {
    table(
        "type = \"enum(Up,New Reno)\"",
        &[
            ("Up", Ok("Up")),
            ("New Reno", Ok("New Reno")),
            ("up", Err(9007)),
            ("", Err(9007)),
            (" Up", Err(9007)),
        ],
    );
    // R-SPV-15: what only the agent may say.
    table(
        "type = \"DiagnosticsState\"",
        &[("Requested", Ok("Requested")), ("Complete", Err(9007)), ("None", Err(9007))],
    );
    with("type = \"DiagnosticsState\"", |kind| {
        assert_eq!(kind.coerce("Complete"), "Complete");
        assert_eq!(kind.coerce("Complete@readOnly"), "");
        assert_eq!(kind.words(true).collect::<Vec<_>>(), ["Requested", "Canceled"]);
    });
    table(
        "type = \"string(32)\", pattern = ['2\\.\\d+', \"x|y\"]",
        &[
            ("2.19", Ok("2.19")),
            ("12.19", Err(9007)),
            ("2.19a", Err(9007)),
            ("y", Ok("y")),
            ("xy", Err(9007)),
            ("2.1\n", Err(9007)),
        ],
    );
}

// Proves: N-10
#[test]
fn r_spv_14_named_types() {
    table("type = \"Alias\"", &[("cpe-1", Ok("cpe-1")), ("", Err(9007)), ("1a", Err(9007))]); // N-10
    table(
        "type = \"IPv4Address\"",
        &[
            ("", Ok("")),
            ("010.0.00.1", Ok("10.0.0.1")),
            ("256.0.0.1", Err(9007)),
            ("1.2.3", Err(9007)),
            ("1.2.3.+4", Err(9007)),
        ],
    );
    table(
        "type = \"IPv6Address\"",
        &[("fe80::1", Ok("fe80::1")), ("fe80::1%eth0", Err(9007)), ("1.2.3.4", Err(9007))],
    );
    table("type = \"IPAddress\"", &[("::", Ok("::")), ("1.2.3.4", Ok("1.2.3.4")), ("host", Err(9007))]);
    table(
        "type = \"IPv4Prefix\"",
        &[
            ("/08", Ok("/8")),
            ("010.1.1.1/00", Ok("10.1.1.1/0")),
            ("10.0.0.0/33", Err(9007)),
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
        ],
    );
    table(
        "type = \"IPv6Prefix\"",
        &[("2001:db8::/32", Ok("2001:db8::/32")), ("::/129", Err(9007)), ("::", Err(9007))],
    );
    table("type = \"IPPrefix\"", &[("10.0.0.0/8", Ok("10.0.0.0/8")), ("::/0", Ok("::/0"))]);
    table(
        "type = \"MACAddress\"",
        &[("", Ok("")), ("00:aB:00:00:00:01", Ok("00:aB:00:00:00:01")), ("00-ab-00-00-00-01", Err(9007))],
    );
    table(
        "type = \"UUID\"",
        &[
            ("", Err(9007)),
            ("12345678-1234-1234-1234-1234567890aB", Ok("12345678-1234-1234-1234-1234567890aB")),
        ],
    );
    table(
        "type = \"ref()\"",
        &[
            ("", Ok("")),
            ("Device.IP.Interface.1", Ok("Device.IP.Interface.1")),
            ("IP.1", Err(9007)),
            ("Device..", Err(9007)),
        ],
    );
    table("type = \"Order\"", &[("0", Err(9007)), ("1", Ok("1"))]);
}

// Proves: R-SPV-16
#[test]
fn r_spv_16_lists() {
    table(
        "type = \"list(string(4))\", items = \"1..3\", list_size = 10",
        &[
            (" a ,\tb,c ", Ok("a,b,c")),
            ("", Err(9007)),
            ("a,b,c,d", Err(9007)),
            ("abcde", Err(9007)),
            ("abcd,abcd,a", Err(9007)),
            ("abcd,abcd", Ok("abcd,abcd")),
            ("a%2Cb,%25", Ok("a%2Cb,%25")),
            // Four characters when the escapes are resolved.
            ("%2C%2C%2C", Ok("%2C%2C%2C")),
        ],
    );
    table(
        "type = \"list(unsignedInt(1..9))\"",
        &[("", Ok("")), ("01, 2", Ok("1,2")), ("1,0", Err(9007)), ("1,x", Err(9006)), ("1,", Err(9006))],
    );
    table("type = \"list(IPv4Address)\"", &[("01.1.1.1, 2.2.2.2", Ok("1.1.1.1,2.2.2.2"))]);
    table(
        "type = \"list(enum(A,B C))\"",
        &[("B C,A", Ok("B C,A")), ("B%20C", Ok("B%20C")), ("D", Err(9007))],
    );
    with("type = \"list(unsignedInt(1..9))\", items = \"..2\"", |kind| {
        assert_eq!(kind.coerce("3, x,20,5,6"), "3,9");
        assert_eq!(kind.xsi_type(), "xsd:string");
    });
    with("type = \"list(string)\", list_size = 6", |kind| assert_eq!(kind.coerce("ab,cd,ef"), "ab,cd"));
    with("type = \"list(IPv4Address)\"", |kind| {
        // What is left over is in its canonical form too, and an item is judged as an item.
        assert_eq!(kind.coerce("092.0.2.1, 1\u{17}0.0.0.01 ,100.1"), "92.0.2.1,10.0.0.1");
        assert_eq!(kind.coerce("%2C,~%,b,"), "");
    });
}

#[test]
fn what_a_source_says_is_made_to_fit() {
    let cases = [
        ("string(3)", "h\u{e9}llo", "h\u{e9}l"),
        ("string(3)", "a\u{0}bcd", "abc"),
        ("string(6..6)", "abc", ""),
        ("enum(Up,Down)", "up", ""),
        ("unsignedInt", "-1", "0"),
        ("unsignedInt", "5000000000", "4294967295"),
        ("unsignedInt(64..65535)", "5", "64"),
        ("unsignedInt(0..0,64..65535)", "5", "0"),
        ("unsignedInt(64..65535)", "many", "64"),
        ("unsignedLong", "99999999999999999999", "18446744073709551615"),
        ("int", "-5000000000", "-2147483648"),
        ("decimal(..1)", "1.5", "1"),
        ("boolean", "1", "true"),
        ("boolean", "on", "false"),
        ("MACAddress", "eth0", ""),
        ("base64(..1)", "AAEC", ""),
    ];
    for (kind, text, expected) in cases {
        with(&format!("type = \"{kind}\""), |k| assert_eq!(k.coerce(text), expected, "{kind}: {text}"));
    }
}

// Proves: E-30
#[test]
fn e_30_the_type_named_by_the_acs() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("boolean", &["boolean", "string"], &["int", "unsignedInt", "dateTime", "nonsense", ""]),
        (
            "unsignedInt",
            &["unsignedInt", "int", "long", "unsignedLong", "string"],
            &["boolean", "decimal", "dateTime"],
        ),
        ("decimal", &["decimal", "int", "string"], &["boolean"]),
        ("string", &["string", "anyURI"], &["int", "boolean", "base64"]),
        ("dateTime", &["dateTime", "string"], &["int"]),
        ("base64", &["base64", "base64Binary", "string"], &["hexBinary"]),
        ("hexBinary", &["hexBinary", "string"], &["base64"]),
        ("list(int)", &["string"], &["int"]),
    ];
    for (kind, good, bad) in cases {
        with(&format!("type = \"{kind}\""), |k| {
            assert!(good.iter().all(|x| k.accepts_xsi(x)), "{kind}");
            assert!(!bad.iter().any(|x| k.accepts_xsi(x)), "{kind}");
            // What we call it ourselves is always understood.
            assert!(k.accepts_xsi(k.xsi_type().trim_start_matches("xsd:")), "{kind}");
        });
    }
}

#[test]
fn canonical_values_and_neutral_ones_are_stable() {
    for row in
        ["int(5..9)", "decimal(-3..-2)", "dateTime", "boolean", "unsignedLong", "hexBinary", "string(8)"]
    {
        with(&format!("type = \"{row}\""), |kind| {
            assert_eq!(kind.check(kind.neutral()).unwrap(), kind.neutral(), "{row}");
            assert_eq!(kind.coerce(kind.neutral()), kind.neutral(), "{row}");
        });
    }
}

#[test]
fn a_fault_text_never_quotes_the_value() {
    for row in
        ["string(3)", "enum(A)", "int", "dateTime", "MACAddress", "hexBinary", "string(9)\", pattern = \"x"]
    {
        with(&format!("type = \"{row}\""), |kind| {
            let misfit = kind.check("s3cret").unwrap_err();
            assert!(!misfit.text().contains("s3cret"), "{row}: {}", misfit.text());
        });
    }
}

#[test]
fn many_patterns_stay_bounded_and_right() {
    for n in 0..100 {
        assert!(forms::matches(&format!("a{n}|b"), &format!("a{n}")));
        assert!(!forms::matches(&format!("a{n}|b"), "a"));
    }
}

/// Whatever a source says, what is shown is a value of the type or its neutral one, and stays so.
#[test]
fn anything_is_made_to_fit() {
    let rows = [
        "type = \"string(2..5)\"",
        "type = \"string\", pattern = \"[a-z]*\"",
        "type = \"enum(A,true)\"",
        "type = \"int(-5..-5,3..9)\"",
        "type = \"unsignedLong(7..)\"",
        "type = \"decimal(-1..1)\"",
        "type = \"boolean\"",
        "type = \"dateTime\"",
        "type = \"base64(3..6)\"",
        "type = \"hexBinary(..2)\"",
        "type = \"IPPrefix\"",
        "type = \"MACAddress\"",
        "type = \"list(string(3))\", items = \"1..2\", list_size = 6",
        "type = \"list(int(1..5))\"",
        "type = \"list(IPv4Address)\"",
    ];
    let pieces = [
        "",
        "0",
        "-",
        "+",
        "1",
        "9",
        ".",
        ",",
        "%",
        "2C",
        ":",
        "T",
        "Z",
        "/",
        "=",
        " ",
        "\n",
        "é",
        "\u{0}",
        "ab",
        "2024-02-29",
        "23:59:59",
        "10.0.0.1",
        "true",
        "99999999999999999999",
    ];
    // A fixed walk through the pieces (the numbers of Knuth's MMIX generator).
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for row in rows {
        with(row, |kind| {
            for _ in 0..3000 {
                let text: String = (0..next(7)).map(|_| pieces[next(pieces.len())]).collect();
                let shown = kind.coerce(&text).into_owned();
                let fits = kind.judge(&shown).is_ok_and(|value| value == shown);
                assert!(fits || shown == kind.neutral() || kind.row.list, "{row}: {text:?} shows {shown:?}");
                assert_eq!(kind.coerce(&shown), shown, "{row}: {text:?}");
                if let Ok(value) = kind.check(&text) {
                    assert_eq!(kind.check(&value).unwrap(), value, "{row}: {text:?}");
                }
            }
        });
    }
}
