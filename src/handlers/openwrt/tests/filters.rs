//! Filters alone, both ways.

use crate::handlers::openwrt::filters::{Found, Written, read, write};
use crate::model::grammar::expression::Filter;

fn shown(filter: &str, items: Option<&[&str]>) -> String {
    let filter = Filter::parse(filter).unwrap();
    let found = items.map(|items| match items {
        [one] => Found::One((*one).to_owned()),
        many => Found::Many(many.iter().map(|i| (*i).to_owned()).collect()),
    });
    match read(filter, found, &|| 1_790_856_000) {
        None => "-".to_owned(),
        Some(Found::One(one)) => one,
        Some(Found::Many(many)) => format!("[{}]", many.join("|")),
    }
}

#[test]
fn reading() {
    for (filter, items, want) in [
        ("not", Some(&["0"][..]), "true"),
        ("not", Some(&["enabled"]), "false"),
        ("not", Some(&["what"]), "-"),
        ("not", None, "-"),
        ("map a=b c=d%20e *=f", Some(&["c"]), "d e"),
        ("map a=b c=d *=f", Some(&["z"]), "f"),
        ("map a=b *=*", Some(&["z"]), "z"),
        ("map a=b", Some(&["z"]), "-"),
        ("map =Auto 1=One", None, "Auto"),
        ("map =Auto 1=One *=x", Some(&["2"]), "x"),
        ("map a=1 b=2", Some(&["a", "x", "b"]), "[1|2]"),
        ("times 1000", Some(&["3"]), "3000"),
        ("times 1000", Some(&["9223372036854775807"]), "-"),
        ("div 1000", Some(&["3999"]), "3"),
        ("div 3", Some(&["-4"]), "-1"),
        ("plus -1", Some(&["3.7"]), "2"),
        ("default x y", None, "x y"),
        ("default x", Some(&["y"]), "y"),
        ("is static", Some(&["static"]), "true"),
        ("is static dhcp", Some(&["dhcp"]), "false"),
        ("is static", None, "false"),
        ("has b", Some(&["a", "b c"]), "true"),
        ("has d", Some(&["a", "b c"]), "false"),
        ("has d", None, "false"),
        ("present", None, "false"),
        ("present", Some(&[""]), "false"),
        ("present", Some(&["x"]), "true"),
        ("count", None, "0"),
        ("count", Some(&["a", "b"]), "2"),
        ("word 1", Some(&["a b c"]), "b"),
        ("word -1", Some(&["a b c"]), "c"),
        ("word 3", Some(&["a b c"]), "-"),
        ("cut : 1", Some(&["a:b:c"]), "b"),
        ("cut %2C 0", Some(&["a,b"]), "a"),
        ("items", Some(&["a b", "c"]), "[a|b|c]"),
        ("items ,", Some(&["a, b,,c"]), "[a|b|c]"),
        ("items", Some(&[" "]), "-"),
        ("join ,", Some(&["a", "b"]), "a,b"),
        ("join", Some(&["a", "b"]), "a b"),
        ("seconds", Some(&["12h"]), "43200"),
        ("seconds", Some(&["90"]), "90"),
        ("seconds", Some(&["2d"]), "172800"),
        ("seconds", Some(&["infinite"]), "-1"),
        ("seconds", Some(&["soon"]), "-"),
        ("seconds", Some(&["é"]), "-"),
        ("time", Some(&["1790856000"]), "2026-10-01T12:00:00Z"),
        ("fromnow", Some(&["60"]), "2026-10-01T12:01:00Z"),
        ("ago", Some(&["60"]), "2026-10-01T11:59:00Z"),
        ("mask", Some(&["24"]), "255.255.255.0"),
        ("mask", Some(&["10.0.0.1/8"]), "255.0.0.0"),
        ("mask", Some(&["0"]), "0.0.0.0"),
        ("mask", Some(&["255.255.0.0"]), "255.255.0.0"),
        ("mask", Some(&["33"]), "-"),
        ("address", Some(&["10.0.0.1/8"]), "10.0.0.1"),
        ("upper", Some(&["aB:1"]), "AB:1"),
        ("lower", Some(&["aB:1"]), "ab:1"),
        ("number", Some(&["1000 Mbit/s"]), "1000"),
        ("number", Some(&[" -7dBm"]), "-7"),
        ("number", Some(&["dBm"]), "-"),
    ] {
        assert_eq!(shown(filter, items), want, "{filter} of {items:?}");
    }
}

fn put(filter: &str, value: Written) -> String {
    match write(Filter::parse(filter).unwrap(), value) {
        Ok(Written::Nothing) => "-".to_owned(),
        Ok(Written::Text(text)) => text,
        Ok(Written::Items(items)) => format!("[{}]", items.join("|")),
        Ok(Written::Item(item, there)) => format!("{}{item}", if there { '+' } else { '-' }),
        Err(failure) => failure.code.0.to_string(),
    }
}

#[test]
fn writing() {
    let text = |t: &str| Written::Text(t.to_owned());
    let items = |i: &[&str]| Written::Items(i.iter().map(|i| (*i).to_owned()).collect());
    for (filter, value, want) in [
        ("not", text("true"), "false"),
        ("not", Written::Nothing, "-"),
        ("map a=b c=d *=f", text("d"), "c"),
        ("map a=b c=d *=f", text("f"), "9007"),
        ("map a=b *=*", text("z"), "z"),
        ("map =Auto 1=One", text("Auto"), "-"),
        ("map none= 1=One", Written::Nothing, "none"),
        ("map a=1 b=2", items(&["2", "1"]), "[b|a]"),
        ("map a=1 b=2", items(&["2", "3"]), "9007"),
        ("times 1000", text("3000"), "3"),
        ("times 1000", text("3001"), "9007"),
        ("div 1000", text("3"), "3000"),
        ("div 1000", text("9223372036854775807"), "9007"),
        ("plus 1", text("3"), "2"),
        ("default x", text("x"), "x"),
        ("is static", text("true"), "static"),
        ("is static", text("false"), "-"),
        ("is static dhcp", text("false"), "dhcp"),
        ("has lan1", text("true"), "+lan1"),
        ("has lan1", text("false"), "-lan1"),
        ("items", items(&["a", "b"]), "a b"),
        ("items ,", items(&["a", "b,"]), "9007"),
        ("seconds", text("43200"), "12h"),
        ("seconds", text("90"), "90"),
        ("seconds", text("120"), "2m"),
        ("seconds", text("-1"), "infinite"),
        ("seconds", text("0"), "0"),
        ("mask", text("255.255.255.0"), "24"),
        ("mask", text("0.0.0.0"), "0"),
        ("mask", text("255.0.255.0"), "9007"),
        ("upper", text("AB"), "AB"),
    ] {
        let said = format!("{filter} of {value:?}");
        assert_eq!(put(filter, value), want, "{said}");
    }
}
