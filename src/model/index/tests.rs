//! Numbers given to keys, and the list that takes the keys over.

use super::*;

fn keys(names: &[&str]) -> Keys {
    let mut keys = Keys::default();
    keys.extend(names);
    keys
}

fn known(next: u32, entries: &[(u32, &str)]) -> Vec<u8> {
    record::encode(next, 4, entries.iter().copied())
}

fn shown(list: &List) -> Vec<(u32, &str)> {
    (0..list.len()).map(|pos| (list.number(pos).unwrap(), list.key(pos))).collect()
}

/// What is known (next number, numbers and keys), what the source tells, the rows shown, the new
/// record, how many were left out as doubles.
type Case<'a> = (
    u32,
    &'a [(u32, &'a str)],
    &'a [&'a str],
    &'a [(u32, &'a str)],
    Option<(u32, &'a [(u32, &'a str)])>,
    usize,
);

#[test]
fn numbers_are_given_once_and_stay() {
    const AB: &[(u32, &str)] = &[(1, "a"), (2, "b")];
    let cases: &[Case<'_>] = &[
        (1, &[], &[], &[], None, 0),
        (1, &[], &["b", "a"], &[(1, "b"), (2, "a")], Some((3, &[(1, "b"), (2, "a")])), 0),
        (3, AB, &["a", "b"], AB, None, 0),
        // The order of the source changes no number, and nothing is written for it.
        (3, AB, &["b", "a"], AB, None, 0),
        (3, AB, &["b"], &[(2, "b")], None, 0),
        (3, AB, &["a"], &[(1, "a")], None, 0),
        // What is gone keeps its number for the day it comes back.
        (3, AB, &["c", "b"], &[(2, "b"), (3, "c")], Some((4, &[(1, "a"), (2, "b"), (3, "c")])), 0),
        (
            9,
            AB,
            &["a", "b", "x"],
            &[(1, "a"), (2, "b"), (9, "x")],
            Some((10, &[(1, "a"), (2, "b"), (9, "x")])),
            0,
        ),
        // Twice the same: the first one counts.
        (3, AB, &["b", "a", "b"], AB, None, 1),
        (1, &[], &["x", "y", "x", "x"], &[(1, "x"), (2, "y")], Some((3, &[(1, "x"), (2, "y")])), 2),
        // A record that says less than it holds gives no number twice all the same.
        (1, AB, &["c"], &[(3, "c")], Some((4, &[(1, "a"), (2, "b"), (3, "c")])), 0),
        // All numbers are used up.
        (u32::MAX, AB, &["a", "z"], &[(1, "a")], None, 0),
    ];
    for (next, entries, told, rows, record, doubles) in cases {
        let told = keys(told);
        let assigned = assign(&known(*next, entries), &told);
        assert_eq!(assigned.record, record.map(|(n, e)| known(n, e)), "{entries:?}");
        assert_eq!(assigned.doubles, *doubles, "{entries:?}");
        let mut list = List::build(assigned.numbers, told);
        assert_eq!(shown(&list), *rows, "{entries:?}");
        for (pos, (number, key)) in rows.iter().enumerate() {
            assert_eq!((list.find(*number), list.find_key(key)), (Some(pos), Some(pos)));
        }
        assert_eq!((list.find(77), list.find_key("none")), (None, None));
    }
}

#[test]
fn of_those_gone_the_newest_are_remembered() {
    let names: Vec<String> = (1..=MAX_GONE + 3).map(|n| format!("k{n}")).collect();
    let all: Vec<(u32, &str)> = names.iter().zip(1..).map(|(k, n)| (n, k.as_str())).collect();
    let next = names.len() as u32 + 1;
    let assigned = assign(&known(next, &all), &keys(&["k2", "new"]));
    assert_eq!(assigned.numbers, [2, next]);
    let record = assigned.record.unwrap();
    let left: Vec<u32> = record::entries(&record).map(|e| e.0).collect();
    // 1 and 3 are the oldest of those gone; 2 is there.
    assert_eq!((left.len(), &left[..2]), (MAX_GONE + 2, &[2, 4][..]));
    assert_eq!(record::next(&record), next + 1);
}

#[test]
fn what_a_record_cannot_hold_is_not_shown() {
    let mut told = Keys::default();
    told.extend((0..5000).map(|n| format!("{n:0>250}")));
    let assigned = assign(&[], &told);
    let record = assigned.record.unwrap();
    let held = record::entries(&record).count();
    assert!(record.len() <= MAX_RECORD_BYTES && held < 5000, "{held}");
    assert_eq!((held + assigned.full, List::build(assigned.numbers, told).len()), (5000, held));
}

#[test]
fn the_sink_is_bounded() {
    let mut sink = keys(&["", "a", &"x".repeat(MAX_KEY + 1)]);
    assert_eq!((sink.len(), sink.left_out()), (1, 2));
    sink.extend((0..MAX_INSTANCES).map(|n| n.to_string()));
    assert_eq!((sink.len(), sink.left_out()), (MAX_INSTANCES, 3));
    assert_eq!((sink.get(0), sink.get(2), sink.get(MAX_INSTANCES)), ("a", "1", ""));
}

#[test]
fn rows_come_into_a_list_and_go() {
    let mut list = List::build(vec![2, 5], keys(&["b", "eee"]));
    for (number, key) in [(9, "i"), (1, "aa"), (3, "")] {
        list.insert(number, key);
    }
    assert_eq!(shown(&list), [(1, "aa"), (2, "b"), (3, ""), (5, "eee"), (9, "i")]);
    for number in [9, 1, 4] {
        list.remove(number);
    }
    assert_eq!(shown(&list), [(2, "b"), (3, ""), (5, "eee")]);
    assert_eq!(list.find_key("eee"), Some(2));
}
