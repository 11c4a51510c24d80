//! Rows by their Alias: in what is asked, in what is told, and in what is changed.

use super::*;
use crate::model::path::Path;
use crate::model::request::SetAttributes;
use crate::model::tree::Naming;
use crate::sys::sorted::SortedSet;

/// Two rules with items, the first called `a.b`, and a zone with two hosts; ports as ever.
fn named() -> Bench {
    let mut b = Bench::new();
    b.add("Device.Rule.[a.b].").unwrap();
    b.add("Device.Rule.").unwrap();
    b.add("Device.Rule.[a.b].Item.").unwrap();
    b.add("Device.Zone.[lan].").unwrap();
    b.add("Device.Zone.[lan].Host.[tv].").unwrap();
    b.add("Device.Zone.[guest].").unwrap();
    b.add("Device.Zone.[guest].Host.[pc].").unwrap();
    b.set(&[("Device.Zone.[lan].Host.[tv].Name", "t"), ("Device.Zone.2.Host.[pc].Name", "p")]).unwrap();
    b
}

/// The names that an answer has.
fn told(b: &mut Bench, naming: Naming, name: &str) -> Vec<String> {
    b.tree.begin_rpc();
    let selection = b.tree.values(&texts(&[name])).unwrap().named(naming);
    pairs(&mut b.tree, selection).into_iter().map(|p| p.0).collect()
}

fn told_names(b: &mut Bench, naming: Naming, path: &str, next_level: bool) -> Vec<String> {
    b.tree.begin_rpc();
    let selection = b.tree.names(path, next_level).unwrap().named(naming);
    pairs(&mut b.tree, selection).into_iter().map(|p| p.0).collect()
}

/// N-11, N-12, N-14, R-GPV-12: what the request named is named as it did, the rest by InstanceMode.
// Proves: N-11, N-12, N-13, N-14, R-GPV-12
#[test]
fn n_14_names_in_answers() {
    use Naming::{Aliases, AsAsked, Numbers};
    let mut b = named();
    for (asked, naming, want) in [
        ("Device.Zone.1.Host.1.Name", Numbers, "Device.Zone.1.Host.1.Name"),
        ("Device.Zone.1.Host.1.Name", AsAsked, "Device.Zone.1.Host.1.Name"),
        ("Device.Zone.1.Host.1.Name", Aliases, "Device.Zone.1.Host.1.Name"),
        ("Device.Zone.[lan].Host.1.Name", Numbers, "Device.Zone.1.Host.1.Name"),
        ("Device.Zone.[lan].Host.1.Name", AsAsked, "Device.Zone.[lan].Host.1.Name"),
        ("Device.Zone.[lan].Host.1.Name", Aliases, "Device.Zone.[lan].Host.1.Name"),
        ("Device.Zone.2.Host.[pc].Name", AsAsked, "Device.Zone.2.Host.[pc].Name"),
        ("Device.Zone.[guest].Host.[pc].Name", AsAsked, "Device.Zone.[guest].Host.[pc].Name"),
        ("Device.Port.[cpe-2].Stats.Limit", AsAsked, "Device.Port.[cpe-2].Stats.Limit"),
        ("Device.Port.[cpe-2].Stats.Limit", Numbers, "Device.Port.2.Stats.Limit"),
        // A table without Alias has numbers only.
        ("Device.Rule.[a.b].Item.1.Text", Aliases, "Device.Rule.[a.b].Item.1.Text"),
        ("Device.Link.1.Note", Aliases, "Device.Link.1.Note"),
        ("Device.Info.Model", Aliases, "Device.Info.Model"),
    ] {
        assert_eq!(told(&mut b, naming, asked), [want], "{asked} {naming:?}");
    }
    for (asked, naming, want) in [
        // What the request left open.
        ("Device.Zone.*.Host.*.Name", AsAsked, ["Device.Zone.1.Host.1.Name", "Device.Zone.2.Host.1.Name"]),
        (
            "Device.Zone.*.Host.*.Name",
            Aliases,
            ["Device.Zone.[lan].Host.[tv].Name", "Device.Zone.[guest].Host.[pc].Name"],
        ),
        (
            "Device.Zone.*.Host.1.Name",
            Aliases,
            ["Device.Zone.[lan].Host.1.Name", "Device.Zone.[guest].Host.1.Name"],
        ),
        ("Device.Rule.*.Text", AsAsked, ["Device.Rule.1.Text", "Device.Rule.2.Text"]),
        ("Device.Rule.*.Text", Aliases, ["Device.Rule.[a.b].Text", "Device.Rule.[cpe-2].Text"]),
        ("Device.Rule.[a.b].Item.", AsAsked, ["Device.Rule.[a.b].Item.1.Text"; 2]),
        ("Device.Rule.1.Item.", Aliases, ["Device.Rule.1.Item.1.Text"; 2]),
        (
            "Device.Zone.[lan].Host.",
            AsAsked,
            ["Device.Zone.[lan].Host.1.Alias", "Device.Zone.[lan].Host.1.Name"],
        ),
        ("Device.Zone.1.Host.", Aliases, ["Device.Zone.1.Host.[tv].Alias", "Device.Zone.1.Host.[tv].Name"]),
        (
            "Device.Zone.[lan].Host.",
            Aliases,
            ["Device.Zone.[lan].Host.[tv].Alias", "Device.Zone.[lan].Host.[tv].Name"],
        ),
    ] {
        let got = told(&mut b, naming, asked);
        let want = if want[0] == want[1] { &want[..1] } else { &want[..] };
        assert_eq!(
            got.get(..want.len()),
            Some(want).map(|w| w.iter().map(|w| w.to_string()).collect::<Vec<_>>()).as_deref(),
            "{asked} {naming:?}"
        );
    }
    // The whole tree: each row by its own name, all of them names that can be asked again.
    let numbers: SortedSet<String> = told(&mut b, Numbers, "Device.").into_iter().collect();
    let aliases = told(&mut b, Aliases, "Device.");
    assert_eq!(aliases.len(), numbers.len());
    let back: SortedSet<String> = aliases.iter().flat_map(|name| told(&mut b, Numbers, name)).collect();
    assert_eq!(back, numbers);
    assert!(aliases.iter().all(|name| Path::parse(name).is_ok()));
    assert_eq!(told(&mut b, AsAsked, "Device."), told(&mut b, Numbers, "Device."));
}

/// N-12, R-GPN-5, R-GPN-7: names of objects and of levels.
// Proves: N-12, R-GPN-7
#[test]
fn n_12_names_of_a_level() {
    use Naming::{Aliases, AsAsked};
    let mut b = named();
    for (path, next_level, naming, want) in [
        ("Device.Zone.", true, AsAsked, &["Device.Zone.1.", "Device.Zone.2."][..]),
        ("Device.Zone.", true, Aliases, &["Device.Zone.[lan].", "Device.Zone.[guest]."]),
        ("Device.Zone.1.Host.", true, Aliases, &["Device.Zone.1.Host.[tv]."]),
        ("Device.Zone.[lan].Host.", true, AsAsked, &["Device.Zone.[lan].Host.1."]),
        (
            "Device.Zone.[lan].Host.",
            false,
            AsAsked,
            &[
                "Device.Zone.[lan].Host.",
                "Device.Zone.[lan].Host.1.",
                "Device.Zone.[lan].Host.1.Alias",
                "Device.Zone.[lan].Host.1.Name",
                "Device.Zone.[lan].Host.1.Later",
            ],
        ),
        (
            "Device.Rule.[a.b].",
            true,
            AsAsked,
            &[
                "Device.Rule.[a.b].Alias",
                "Device.Rule.[a.b].Target",
                "Device.Rule.[a.b].Targets",
                "Device.Rule.[a.b].Text",
                "Device.Rule.[a.b].ItemNumberOfEntries",
                "Device.Rule.[a.b].Item.",
            ],
        ),
        ("Device.Rule.[a.b].Text", false, AsAsked, &["Device.Rule.[a.b].Text"]),
        ("Device.Seen.", true, Aliases, &["Device.Seen.1.", "Device.Seen.2."]),
        ("", true, Aliases, &["Device."]),
    ] {
        assert_eq!(told_names(&mut b, naming, path, next_level), want, "{path} {naming:?}");
    }
    assert_eq!(code(b.names("Device.Zone.[nobody].", true)), Code::INVALID_NAME);
}

/// R-GPV-6: wildcards stand where the standard has them, beside numbers and aliases, and nowhere else.
// Proves: R-GPV-6
#[test]
fn r_gpv_6_wildcards_and_aliases() {
    let mut b = named();
    b.add("Device.Zone.[lan].Host.[pc].").unwrap();
    for (asked, want) in [
        (
            "Device.Zone.*.Host.[pc].Name",
            &["Device.Zone.[lan].Host.[pc].Name", "Device.Zone.[guest].Host.[pc].Name"][..],
        ),
        ("Device.Zone.*.Host.[tv].Name", &["Device.Zone.[lan].Host.[tv].Name"]),
        ("Device.Zone.[guest].Host.*.Name", &["Device.Zone.[guest].Host.[pc].Name"]),
        ("Device.Zone.*.Host.2.Name", &["Device.Zone.[lan].Host.2.Name"]),
        ("Device.Zone.*.Host.[nobody].Name", &[]),
        ("Device.Rule.*.Item.[x].Text", &[]),
    ] {
        assert_eq!(told(&mut b, Naming::Aliases, asked), want, "{asked}");
    }
    // One after the other in one request, each by itself.
    b.tree.begin_rpc();
    let asked = texts(&[
        "Device.Zone.*.Host.[pc].Name",
        "Device.Zone.*.Host.[tv].Name",
        "Device.Zone.*.Host.[pc].Name",
    ]);
    let selection = b.tree.values(&asked).unwrap().named(Naming::AsAsked);
    let got: Vec<String> = pairs(&mut b.tree, selection).into_iter().map(|p| p.0).collect();
    let pc = ["Device.Zone.1.Host.[pc].Name", "Device.Zone.2.Host.[pc].Name"];
    assert_eq!(got, [pc[0], pc[1], "Device.Zone.1.Host.[tv].Name", pc[0], pc[1]]);
    b.tree.begin_rpc();
    let selection =
        b.tree.attributes(&texts(&["Device.Zone.*.Host.[pc].Name"])).unwrap().named(Naming::AsAsked);
    assert_eq!(pairs(&mut b.tree, selection).len(), 2);
    for name in ["Device.Zone.*.Name", "Device.Zone.1.Host.*.Name"] {
        assert_eq!(b.set(&[(name, "x")]).unwrap_err().parameters[0].code, Code::INVALID_NAME, "{name}");
        assert_eq!(b.create(&[(name, "x")]).unwrap_err().parameters[0].code, Code::INVALID_NAME, "{name}");
    }
    for object in ["Device.Zone.*.Host.", "Device.Zone.*.Host.[x].", "Device.Zone.*."] {
        assert_eq!(code(b.add(object)), Code::INVALID_NAME, "{object}");
        assert_eq!(code(b.delete(object)), Code::INVALID_NAME, "{object}");
    }
}

/// N-13, R-OBJ-9: an Alias in place of a number wherever a row is named.
// Proves: N-13, R-OBJ-9
#[test]
fn n_13_rows_are_changed_by_alias() {
    let mut b = named();
    b.set(&[("Device.Rule.[a.b].Text", "one"), ("Device.Rule.2.Text", "two")]).unwrap();
    assert_eq!(
        (b.value("Device.Rule.1.Text"), b.value("Device.Rule.[cpe-2].Text")),
        ("one".into(), "two".into())
    );
    // The same parameter under its two names is the same parameter (R-SPV-3).
    let twice = b.set(&[("Device.Rule.[a.b].Text", "x"), ("Device.Rule.1.Text", "y")]);
    assert_eq!(code(twice), Code::INVALID_ARGUMENTS);
    assert_eq!(b.add("Device.Rule.[a.b].Item.").unwrap().0, 2);
    assert_eq!(b.add("Device.Rule.[x[1]].").unwrap().0, 3);
    assert_eq!(b.value("Device.Rule.[x[1]].Alias"), "x[1]");
    assert_eq!(code(b.add("Device.Rule.[x[1]].")), Code::INVALID_ARGUMENTS, "R-OBJ-9: twice");
    assert_eq!(code(b.add("Device.Rule.[nobody].Item.")), Code::INVALID_NAME);
    assert_eq!(code(b.add("Device.Rule.[a.b].Item.[x].")), Code::INVALID_NAME, "no Alias there");
    b.delete("Device.Rule.[x[1]].").unwrap();
    assert_eq!(code(b.delete("Device.Rule.[x[1]].")), Code::INVALID_NAME);
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "2");
    // A fault tells the name as it was written (R-SPV-4).
    let fault = b.set(&[("Device.Port.[cpe-1].Speed", "fast")]).unwrap_err();
    assert_eq!(fault.parameters[0].name, "Device.Port.[cpe-1].Speed");
    // No Alias, or one of another row below another parent.
    for name in [
        "Device.Zone.1.Host.[pc].Name",
        "Device.Link.[cpe-1].Note",
        "Device.Zone.[cpe-1].Name",
        "Device.Zone.[cpe-02].Name",
    ] {
        assert_eq!(code(b.values(&[name])), Code::INVALID_NAME, "{name}");
    }
    let entry = SetAttributes { name: "Device.Rule.[a.b].".into(), notification: Some(1), access_list: None };
    b.tree.begin_rpc();
    b.tree.set_attributes(&[entry]).unwrap();
    b.set(&[("Device.Rule.[a.b].Alias", "renamed")]).unwrap();
    b.tree.begin_rpc();
    let selection =
        b.tree.attributes(&texts(&["Device.Rule.[renamed].Text"])).unwrap().named(Naming::AsAsked);
    let want = [("Device.Rule.[renamed].Text".to_owned(), "1true".to_owned())];
    assert_eq!(pairs(&mut b.tree, selection), want, "attributes belong to the row, whatever it is called");
}

/// N-10, R-SPV-2: an Alias that changes is used in paths as it was before; the final state counts.
// Proves: N-10, R-SPV-2
#[test]
fn n_10_an_alias_changes_while_it_is_used() {
    let mut b = named();
    let list = [
        ("Device.Rule.[a.b].Alias", "b"),
        ("Device.Rule.[a.b].Text", "first"),
        ("Device.Rule.[cpe-2].Text", "second"),
    ];
    b.set(&list).unwrap();
    assert_eq!(b.value("Device.Rule.[b].Text"), "first");
    assert_eq!(code(b.values(&["Device.Rule.[a.b].Text"])), Code::INVALID_NAME);
    // Under its new name it is not there before.
    let early = [("Device.Rule.[b].Alias", "c"), ("Device.Rule.[c].Text", "x")];
    assert_eq!(b.set(&early).unwrap_err().parameters[0].name, "Device.Rule.[c].Text");
    b.set(&[("Device.Rule.2.Alias", "c")]).unwrap();
    b.set(&[
        ("Device.Rule.[b].Alias", "c"),
        ("Device.Rule.[c].Alias", "b"),
        ("Device.Rule.[c].Text", "was c"),
    ])
    .unwrap();
    assert_eq!((b.value("Device.Rule.1.Alias"), b.value("Device.Rule.2.Alias")), ("c".into(), "b".into()));
    assert_eq!(b.value("Device.Rule.2.Text"), "was c");
    let both = b.set(&[("Device.Rule.1.Alias", "d"), ("Device.Rule.2.Alias", "d")]).unwrap_err();
    assert_eq!(both.parameters.len(), 2);
    for (bad, code) in [("", 9007), ("9", 9007), ("cpe-9", 9007), (&"x".repeat(65), 9007)] {
        assert_eq!(
            b.set(&[("Device.Rule.1.Alias", bad)]).unwrap_err().parameters[0].code,
            Code(code),
            "{bad}"
        );
    }
    b.set(&[("Device.Rule.1.Alias", "cpe-1")]).unwrap();
    let mut b = b.restart();
    assert_eq!(
        (b.value("Device.Rule.[cpe-1].Text"), b.value("Device.Rule.[b].Text")),
        ("first".into(), "was c".into())
    );
}

/// Also where the table's own keys do not name it.
// Proves: N-10
#[test]
fn n_10_an_alias_is_unique_without_being_a_key() {
    let mut b = named();
    b.add("Device.Zone.[lan].Host.[pc].").unwrap();
    let fault = b.set(&[("Device.Zone.[lan].Host.[pc].Alias", "tv")]).unwrap_err();
    assert_eq!(fault.parameters[0].code, Code::INVALID_VALUE);
    // In the table below another row it is another.
    b.set(&[("Device.Zone.[guest].Host.[pc].Alias", "tv")]).unwrap();
}

/// References are kept by number, set by either name, and told by InstanceMode; a notification is about
/// what they point to, not about how it is written.
// Proves: R-SPV-17, N-12
#[test]
fn references_by_alias() {
    let mut b = named();
    b.set(&[("Device.Rule.2.Alias", "x,y%"), ("Device.Port.2.Alias", "wan port")]).unwrap();
    b.set(&[
        ("Device.Rule.1.Target", "Device.Port.[wan port]"),
        ("Device.Rule.1.Targets", "Device.Rule.[x%2Cy%25], Device.Port.1, Device.Port.[cpe-3]"),
        ("Device.Zone.1.Via", "Device.Port.[wan port]."),
    ])
    .unwrap();
    let kept = |b: &mut Bench| {
        [b.value("Device.Rule.1.Target"), b.value("Device.Rule.1.Targets"), b.value("Device.Zone.1.Via")]
    };
    assert_eq!(kept(&mut b), ["Device.Port.2", "Device.Rule.2,Device.Port.1,Device.Port.3", "Device.Port.2"]);
    let read = |b: &mut Bench, naming, name: &str| {
        b.tree.begin_rpc();
        let selection = b.tree.values(&texts(&[name])).unwrap().named(naming);
        pairs(&mut b.tree, selection).pop().unwrap()
    };
    for (name, as_asked, by_alias) in [
        ("Device.Rule.1.Target", "Device.Port.2", "Device.Port.[wan port]"),
        (
            "Device.Rule.1.Targets",
            "Device.Rule.2,Device.Port.1,Device.Port.3",
            "Device.Rule.[x%2Cy%25],Device.Port.[cpe-1],Device.Port.[cpe-3]",
        ),
        ("Device.Zone.1.Via", "Device.Port.2", "Device.Port.[wan port]"),
        ("Device.Rule.2.Target", "", ""),
    ] {
        assert_eq!(read(&mut b, Naming::AsAsked, name).1, as_asked);
        let (shown, value) = read(&mut b, Naming::Aliases, name);
        assert_eq!((shown.as_str(), value.as_str()), (name, by_alias));
        // What was told can be set.
        b.set(&[(name, &value)]).unwrap();
        assert_eq!(read(&mut b, Naming::Numbers, name).1, as_asked);
    }
    for bad in
        ["Device.Port.[nobody]", "Device.Port.[wan port],Device.Port.1", "Device.Rule.[a.b]", "Device.Port.*"]
    {
        assert_eq!(
            b.set(&[("Device.Rule.1.Target", bad)]).unwrap_err().parameters[0].code,
            Code::INVALID_VALUE,
            "{bad}"
        );
    }
    // The row that is referred to gets another name: the reference stays, and nothing has changed.
    b.tree.begin_rpc();
    let entry =
        SetAttributes { name: "Device.Rule.1.Target".into(), notification: Some(2), access_list: None };
    b.tree.set_attributes(&[entry]).unwrap();
    b.set(&[("Device.Port.2.Alias", "dsl")]).unwrap();
    assert_eq!(read(&mut b, Naming::Aliases, "Device.Rule.1.Target").1, "Device.Port.[dsl]");
    assert!(!b.tree.sweep());
    // What is told of outside an answer.
    let mut list = vec![
        ("Device.Rule.1.Target".to_owned(), "xsd:string", "Device.Port.2".to_owned()),
        ("Device.Info.Model".to_owned(), "xsd:string", "router".to_owned()),
        ("Device.Rule.1.Item.1.Text".to_owned(), "xsd:string", "Device.Port.2".to_owned()),
    ];
    let before = list.clone();
    b.tree.rename(Naming::AsAsked, &mut list);
    assert_eq!(list, before);
    b.tree.rename(Naming::Aliases, &mut list);
    let pairs: Vec<(&str, &str)> = list.iter().map(|(p, _, v)| (p.as_str(), v.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("Device.Rule.[a.b].Target", "Device.Port.[dsl]"),
            ("Device.Info.Model", "router"),
            ("Device.Rule.[a.b].Item.1.Text", "Device.Port.2"),
        ]
    );
}

/// A row whose Alias no path can hold, or only one that is too long, is told by its number.
// Proves: N-13
#[test]
fn what_has_no_name_in_a_path_keeps_its_number() {
    let mut b = named();
    b.set(&[("Device.Rule.2.Alias", "a].b")]).unwrap();
    assert_eq!(
        told(&mut b, Naming::Aliases, "Device.Rule.*.Text"),
        ["Device.Rule.[a.b].Text", "Device.Rule.2.Text"]
    );
    assert!(b.values(&["Device.Rule.[a].b].Text"]).is_err());
    b.set(&[("Device.Rule.1.Target", "Device.Port.1"), ("Device.Rule.1.Targets", "Device.Rule.2")]).unwrap();
    let long = "\u{e9}".repeat(64);
    b.set(&[("Device.Zone.1.Alias", &long), ("Device.Zone.1.Host.1.Alias", &long)]).unwrap();
    // 256 characters hold this, though not 256 bytes.
    let name = format!("Device.Zone.[{long}].Host.[{long}].Name");
    assert_eq!(told(&mut b, Naming::Aliases, "Device.Zone.*.Host.*.Name")[0], name);
    assert_eq!(told(&mut b, Naming::Aliases, &name), [name.as_str()]);
    b.tree.begin_rpc();
    let selection = b.tree.values(&texts(&["Device.Rule.1.Targets"])).unwrap().named(Naming::Aliases);
    assert_eq!(pairs(&mut b.tree, selection)[0].1, "Device.Rule.2");
}

const DEEP: &str = r#"
["Device."]
RootDataModelVersion = { type = "string", const = "2.19" }
["Device.A.{i}."]
native = "one"
Alias = { type = "Alias", native = "one", write = true }
One   = { type = "string", native = "one" }
Two   = { type = "string", native = "one" }
["Device.A.{i}.B.{i}."]
store = ""
create = true
Alias = { type = "Alias", write = true }
["Device.A.{i}.B.{i}.C.{i}."]
store = ""
create = true
Alias = { type = "Alias", write = true }
["Device.A.{i}.B.{i}.C.{i}.D.{i}."]
store = ""
create = true
Alias = { type = "Alias", write = true }
Text  = { type = "string", store = "", write = true }
"#;

fn deep(aliases: &[&str]) -> (Bench, String) {
    let b = Bench::new();
    let (journal, one, two) = (b.journal, b.one, b.two);
    for (at, alias) in aliases.iter().enumerate() {
        let key = format!("a{at}");
        one.borrow_mut().keys.entry("Device.A.{i}.".into()).or_default().push(key.clone());
        one.borrow_mut().row(&format!("Device.A.{{i}}. {key}")).insert("Alias".into(), (*alias).into());
    }
    let (tree, notes) = sample::tree(DEEP, &journal, handlers(&one, &two));
    (Bench { tree, journal, one, two, notes }, "x".repeat(64))
}

/// The names of rows with four long aliases have no room: they are told by number, each of them.
#[test]
fn names_too_long_are_told_by_number() {
    let (mut b, long) = deep(&["first"]);
    for table in ["Device.A.1.B.", "Device.A.1.B.1.C.", "Device.A.1.B.1.C.1.D."] {
        b.add(&format!("{table}[{long}].")).unwrap();
    }
    let all = told_names(&mut b, Naming::Aliases, "Device.", false);
    assert!(all.iter().all(|name| Path::parse(name).is_ok()));
    assert!(all.contains(&format!("Device.A.[first].B.[{long}].C.[{long}].D.[{long}].Text")), "{all:?}");
    let row = "Device.A.1.B.1.C.1.D.1.Alias".to_owned();
    b.one
        .borrow_mut()
        .row("Device.A.{i}. a0")
        .insert("Alias".into(), "first and longer than it was before".into());
    let all = told_names(&mut b, Naming::Aliases, "Device.", false);
    assert!(all.iter().all(|name| Path::parse(name).is_ok()));
    assert!(all.contains(&row), "{all:?}");
    assert_eq!(told(&mut b, Naming::Numbers, &all[all.len() - 1]), [row.replace("Alias", "Text")]);
}

/// An Alias that a source tells names its row as far as it can: it is read once for a row, and when a
/// name is looked for once for a table.
#[test]
fn aliases_of_a_source() {
    let (mut b, _) = deep(&["good", "", "twice", "twice", "9", "q].x"]);
    let reads = |b: &Bench| {
        let log = std::mem::take(&mut b.one.borrow_mut().log);
        log.iter().filter(|l| l.starts_with("get Device.A.{i}. a0")).count()
    };
    let names = told(&mut b, Naming::Aliases, "Device.A.*.One");
    assert_eq!(
        names,
        [
            "Device.A.[good].One",
            "Device.A.2.One",
            "Device.A.[twice].One",
            "Device.A.4.One",
            "Device.A.5.One",
            "Device.A.6.One",
        ]
    );
    for (name, want) in
        [("Device.A.[twice].One", "Device.A.3.One"), ("Device.A.[good].One", "Device.A.1.One")]
    {
        assert_eq!(told(&mut b, Naming::Numbers, name), [want]);
    }
    for bad in ["Device.A.[].One", "Device.A.[cpe-2].One"] {
        assert_eq!(code(b.values(&[bad])), Code::INVALID_NAME, "{bad}");
    }
    reads(&b);
    told(&mut b, Naming::Aliases, "Device.A.");
    // The row itself, its Alias, and once the table, to know that no other row has the same.
    assert_eq!(reads(&b), 3);
    b.add("Device.A.1.B.").unwrap();
    b.add("Device.A.1.B.1.C.").unwrap();
    for _ in 0..50 {
        b.add("Device.A.1.B.1.C.1.D.").unwrap();
    }
    reads(&b);
    let names: Vec<String> = (1..=50).map(|n| format!("Device.A.[good].B.[cpe-1].C.1.D.{n}.Text")).collect();
    let list: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "v")).collect();
    b.set(&list).unwrap();
    assert_eq!(reads(&b), 1, "a table is read once in a request, however many names are in it");
    told(&mut b, Naming::Aliases, "Device.A.*.B.");
    assert_eq!(reads(&b), 2);
}

/// Rows of the same numbers below other parents have their own names.
#[test]
fn the_same_numbers_elsewhere() {
    let (mut b, _) = deep(&["p", "q", "r"]);
    b.add("Device.A.1.B.[x].").unwrap();
    b.add("Device.A.3.B.[y].").unwrap();
    b.add("Device.A.3.B.1.C.[z].").unwrap();
    let mut rows = told_names(&mut b, Naming::Aliases, "Device.A.", false);
    rows.retain(|n| n.ends_with("]."));
    let want = [
        "Device.A.[p].",
        "Device.A.[p].B.[x].",
        "Device.A.[q].",
        "Device.A.[r].",
        "Device.A.[r].B.[y].",
        "Device.A.[r].B.[y].C.[z].",
    ];
    assert_eq!(rows, want);
    b.tree.begin_rpc();
    let asked = ["Device.A.1.B.", "Device.A.2.", "Device.A.3.", "Device.A.1.B.", "Device.A.3.B."];
    let selection = b.tree.attributes(&texts(&asked)).unwrap().named(Naming::Aliases);
    let got: Vec<String> =
        pairs(&mut b.tree, selection).into_iter().map(|p| p.0).filter(|n| n.contains(".B.")).collect();
    let (x, y) = ("Device.A.1.B.[x].Alias", "Device.A.3.B.[y].Alias");
    assert_eq!(got, [x, y, "Device.A.3.B.[y].C.[z].Alias", x, y, "Device.A.3.B.[y].C.[z].Alias"]);
}

/// An answer that is begun again tells what is so then.
#[test]
fn an_answer_that_begins_again_reads_aliases_anew() {
    let mut b = named();
    b.tree.begin_rpc();
    let mut selection = b.tree.values(&texts(&["Device.Rule.*.Text"])).unwrap().named(Naming::Aliases);
    let mut first = Vec::new();
    b.tree.next(&mut selection, &mut |item| {
        if let Item::Value { path, .. } = item {
            first.push(path.to_owned());
        }
    });
    assert_eq!(first, ["Device.Rule.[a.b].Text"]);
    b.journal
        .borrow_mut()
        .commit({
            let mut batch = crate::state::journal::Batch::default();
            batch.put("l/Device.Rule.1.", "other");
            batch
        })
        .unwrap();
    selection.rewind();
    assert_eq!(pairs(&mut b.tree, selection)[0].0, "Device.Rule.[other].Text");
}
