//! Keys of anonymous sections through changes of the file.

use super::*;

const RULES: &str = "\
config rule
\toption name 'Allow-DHCP'
\toption src wan
\toption proto udp
\toption dest_port 68
\toption target ACCEPT
config rule
\toption name 'Allow-Ping'
\toption src wan
\toption proto icmp
\tlist icmp_type echo-request
\toption target ACCEPT
config rule 'named'
\toption name 'Named'
\toption target REJECT
config rule
\toption name 'Allow-IGMP'
\toption src wan
\toption proto igmp
\toption target ACCEPT
config rule
\toption name 'Block'
\toption src lan
\toption dest_ip 203.0.113.9
\toption target REJECT
";

fn keys(text: &str) -> Vec<String> {
    package(text).of_kind("rule").map(|s| s.key().into_owned()).collect()
}

/// For each rule that there was, the name of the one that goes on it; `-` where none does.
fn gone_on(before: &str, after: &str) -> Vec<String> {
    let (had, now) = (keys(before), keys(after));
    let [had, now] = [&had, &now].map(|keys| keys.iter().map(String::as_str).collect::<Vec<_>>());
    let p = package(after);
    let names: Vec<String> = p.of_kind("rule").map(|s| s.get("name").unwrap_or("?").to_owned()).collect();
    let found = align(&had, &now);
    let mut used: Vec<usize> = found.iter().flatten().copied().collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), found.iter().flatten().count(), "none goes on two");
    found.into_iter().map(|at| at.map_or(owned("-"), |at| names[at].clone())).collect()
}

fn without(text: &str, name: &str) -> String {
    let p = package(text);
    let section = p.sections().find(|s| s.get("name") == Some(name)).expect("it is there");
    edited(&p, &[drop_section(&section.key())]).expect("it can go")
}

#[test]
fn a_section_goes_on_whatever_happens_around_it() {
    let all = ["Allow-DHCP", "Allow-Ping", "Named", "Allow-IGMP", "Block"];
    let with = |at: usize, name: &'static str| {
        let mut names = all;
        names[at] = name;
        names
    };
    let block = RULES.find("config rule\n\toption name 'Block'").expect("the last one");
    let new = "config rule\n\toption name New\n\toption src wan\n\toption target DROP\n";
    let cases: Vec<(&str, String, [&str; 5])> = vec![
        ("nothing", owned(RULES), all),
        ("quotes and comments", RULES.replace("'", "").replace("wan", "\"wan\" # c"), all),
        (
            "the order of options",
            RULES.replace(
                "\toption src wan\n\toption proto igmp\n",
                "\toption proto igmp\n\toption src wan\n",
            ),
            all,
        ),
        ("an option and a list of one", RULES.replace("list icmp_type", "option icmp_type"), all),
        ("an edit", RULES.replace("'Allow-Ping'", "Ping"), with(1, "Ping")),
        (
            "an edit of much",
            RULES.replace("proto igmp\n\toption target ACCEPT", "proto udp\n\toption target DROP"),
            all,
        ),
        ("one before", format!("{new}{RULES}"), all),
        ("one between", format!("{}{new}{}", &RULES[..block], &RULES[block..]), all),
        ("one gone", without(RULES, "Allow-DHCP"), with(0, "-")),
        ("the last one gone", without(RULES, "Block"), with(4, "-")),
        ("a named one gone", without(RULES, "Named"), with(2, "-")),
        ("moved to the front", format!("{}{}", &RULES[block..], &RULES[..block]), all),
        (
            "one gone, the next one edited",
            without(RULES, "Allow-Ping").replace("'Allow-IGMP'", "IGMP"),
            ["Allow-DHCP", "-", "Named", "IGMP", "Block"],
        ),
        (
            "one gone, another added",
            format!("{}{new}", without(RULES, "Allow-DHCP")),
            ["-", "Allow-Ping", "Named", "Allow-IGMP", "Block"],
        ),
    ];
    for (what, after, names) in cases {
        assert_eq!(gone_on(RULES, &after), names, "{what}");
    }
}

#[test]
fn of_sections_alike_the_order_tells() {
    let rule = |n: &str| format!("config rule\n\toption name {n}\n");
    let text = |names: &str| names.split(' ').map(rule).collect::<String>();
    let cases = [
        ("a a b a", "a a b a", "a a b a"),
        ("a a b a", "a b a", "a a b -"),
        ("a b", "c b", "c b"),
        ("a b", "b", "- b"),
        ("a b c", "a x c", "a x c"),
        ("a b c", "x c", "- - c"),
        ("a", "x", "x"),
    ];
    for (before, after, names) in cases {
        assert_eq!(gone_on(&text(before), &text(after)).join(" "), names, "{before} -> {after}");
    }
    assert_eq!(align(&[], &["a"]), []);
    assert_eq!(align(&["a", "b", "@r[0]"], &["b", "c"]), [None, Some(0), None]);
    // Keys of other sources are names, too.
    assert_eq!(align(&["02:00:5e:10:00:01", "x y"], &["x y", "02:00:5e:10:00:01"]), [Some(1), Some(0)]);
}

#[test]
fn a_stale_key_means_its_own_section_or_none() {
    let p = package(RULES);
    let key = |name: &str| {
        p.sections().find(|s| s.get("name") == Some(name)).expect("it is there").key().into_owned()
    };
    let (ping, igmp) = (key("Allow-Ping"), key("Allow-IGMP"));
    let edit = |text: &str, key: &str| edited(&package(text), &[set(key, "found", "1")]);
    let found = |text: &str, key: &str| {
        let after = package(&edit(text, key).map_err(|e| e.cause)?);
        let section = after.sections().find(|s| s.get("found").is_some()).expect("it was set");
        Ok::<_, Cause>(section.get("name").unwrap_or("?").to_owned())
    };
    // It moved, and was edited in part.
    let moved = without(RULES, "Allow-DHCP");
    assert_eq!(found(&moved, &ping), Ok(owned("Allow-Ping")));
    assert_eq!(found(&moved.replace("'Allow-Ping'", "Ping"), &ping), Ok(owned("Ping")));
    assert_eq!(found(&moved.replace("'Allow-Ping'", "Ping"), &igmp), Ok(owned("Allow-IGMP")));
    // It is gone, though another stands in its place.
    assert_eq!(found(&without(RULES, "Allow-Ping"), &ping), Err(Cause::Gone));
    // Two are alike: the one in its place.
    let twice = format!(
        "{RULES}config rule\n\toption name 'Allow-Ping'\n\toption src wan\n\toption proto icmp\n\tlist icmp_type echo-request\n\toption target ACCEPT\n"
    );
    let after = edit(&twice, &ping).expect("it is in its place");
    assert!(after.find("found").expect("it was set") < after.find("Named").expect("it is there"));
    // A name is no place: what has one now is not what had none.
    assert_eq!(
        found(
            &RULES.replace(
                "config rule\n\toption name 'Allow-Ping'",
                "config rule ping\n\toption name 'Allow-Ping'"
            ),
            &ping
        ),
        Err(Cause::Gone)
    );
}

#[test]
fn a_key_is_short_whatever_is_in_a_section() {
    let options: String = (0..200).map(|n| format!("\toption o{n} {n}\n")).collect();
    let text = format!("config rule\n{options}");
    let p = package(&text);
    let key = p.section("@rule[0]").expect("it is there").key().into_owned();
    assert!(key.len() <= 9 + 3 * 32, "{key}");
    assert_eq!(p.section(&key).map(|s| s.index()), Some(0));
    // A type with anything in it.
    let p = package("config a[1]~b]~c\n\toption x 1\n");
    let key = p.sections().next().expect("one").key().into_owned();
    assert_eq!(p.section(&key).and_then(|s| s.get("x")), Some("1"), "{key}");
}

#[test]
fn many_are_aligned_at_once() {
    let text = |from: usize| {
        (from..2000)
            .map(|n| format!("config rule\n\toption name n{n}\n\toption mac {n}\n"))
            .collect::<String>()
    };
    let (had, now) = (keys(&text(0)), keys(&text(1)));
    let [had, now] = [&had, &now].map(|keys| keys.iter().map(String::as_str).collect::<Vec<_>>());
    let found = align(&had, &now);
    // With three letters for an option some are alike: then the order tells, and they are alike.
    let right = found.iter().enumerate().filter(|(n, at)| **at == n.checked_sub(1)).count();
    assert!(right > 1990, "{right}");
}
