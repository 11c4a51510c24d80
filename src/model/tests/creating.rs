//! Rows that a SetParameterValues makes (AutoCreateInstances).

use super::*;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::model::tree::MAX_KEPT;
use crate::state::journal::Batch;
use crate::sys::sorted::SortedMap;

/// Everything that a change could leave behind.
#[allow(clippy::type_complexity)] // compared, never looked into
fn whole(b: &mut Bench) -> (SortedMap<String, Vec<u8>>, Vec<String>, SortedMap<String, Vec<String>>) {
    let names = b.names("Device.", false).unwrap();
    let kept = b.journal.borrow().scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
    let mut keys = b.two.borrow().keys.clone();
    keys.retain(|_, rows| !rows.is_empty());
    (kept, names, keys)
}

/// R-SPV-21: the row is made, once for all its values, with its Alias and with defaults.
// Proves: R-SPV-21, R-OBJ-5, R-SPV-1
#[test]
fn r_spv_21_a_set_makes_rows() {
    let mut b = Bench::new();
    let list = [
        ("Device.Rule.[new].Text", "x"),
        ("Device.Info.Code", "set"),
        ("Device.Rule.[new].Target", "Device.Port.1"),
        ("Device.Rule.[other].Text", "y"),
        ("Device.Rule.[new].Item.", ""),
    ];
    // Item has no Alias, so this names no parameter; see below for nesting.
    assert_eq!(b.create(&list).unwrap_err().parameters.len(), 1);
    assert_eq!(b.create(&list[..4]), Ok(Status::Applied));
    assert_eq!(b.names("Device.Rule.", true).unwrap(), ["Device.Rule.1.", "Device.Rule.2."]);
    for (name, value) in [
        ("Device.Rule.[new].Text", "x"),
        ("Device.Rule.1.Alias", "new"),
        ("Device.Rule.1.Target", "Device.Port.1"),
        ("Device.Rule.1.Targets", ""),
        ("Device.Rule.2.Alias", "other"),
        ("Device.Rule.[other].Text", "y"),
        ("Device.RuleNumberOfEntries", "2"),
        ("Device.Info.Code", "set"),
    ] {
        assert_eq!(b.value(name), value, "{name}");
    }
    assert_eq!(b.key().as_deref(), Some("created"));
    // Those that are there are set, those that are not are made, by number only what is there.
    b.create(&[
        ("Device.Rule.[new].Text", "x2"),
        ("Device.Rule.[third].Text", "z"),
        ("Device.Rule.2.Text", "y2"),
    ])
    .unwrap();
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "3");
    assert_eq!(b.create(&[("Device.Rule.4.Text", "w")]).unwrap_err().parameters[0].code, Code::INVALID_NAME);
    b.delete("Device.Rule.[third].").unwrap();
    b.create(&[("Device.Rule.[third].Text", "again")]).unwrap();
    assert_eq!(b.value("Device.Rule.[third].Text"), "again");
    assert_eq!(b.value("Device.Rule.4.Alias"), "third", "R-OBJ-6: with another number");
    let mut b = b.restart();
    assert_eq!(
        (b.value("Device.Rule.[new].Text"), b.value("Device.Rule.2.Text")),
        ("x2".into(), "y2".into())
    );
}

/// R-SPV-21: parent and child both new; and rows that a handler makes, before anything in them is set.
// Proves: R-SPV-21, R-SPV-22
#[test]
fn r_spv_21_rows_in_rows() {
    for in_session in [false, true] {
        let mut b = Bench::new();
        if in_session {
            b.tree.begin_session();
        }
        b.log();
        let list = [
            ("Device.Zone.[lan].Host.[tv].Name", "t"),
            ("Device.Zone.[lan].Host.[pc].Name", "p"),
            ("Device.Zone.[lan].Name", "home"),
            ("Device.Zone.[lan].Via", "Device.Port.2"),
            ("Device.Zone.[lan].Kept", "mine"),
            ("Device.Link.1.Note", "too"),
            ("Device.Zone.[guest].Host.[pc].Name", "g"),
        ];
        assert_eq!(b.create(&list), Ok(Status::Applied));
        let mut log = b.log();
        log.retain(|l| !l.starts_with("add_key") && l != "session ended");
        let (zone, host) = ("Device.Zone.{i}.", "Device.Zone.{i}.Host.{i}.");
        let rows = [
            format!("{zone} k1"),
            format!("{host} k1 k1"),
            format!("{host} k1 k2"),
            format!("{zone} k2"),
            format!("{host} k2 k1"),
        ];
        let sets = [&rows[1], &rows[2], &rows[0], &"Device.Link.{i}. l0".to_owned(), &rows[4]];
        let both = |what: &str, of: &mut dyn Iterator<Item = &String>| {
            of.map(|r| format!("{what} {r}")).collect::<Vec<_>>()
        };
        let want = [
            both("stage", &mut rows.iter()),
            both("commit", &mut rows.iter()),
            both("stage", &mut sets.iter().copied()),
            both("commit", &mut sets.iter().copied()),
        ];
        assert_eq!(log, want.concat());
        for (name, value) in [
            ("Device.Zone.1.Host.1.Alias", "tv"),
            ("Device.Zone.1.Host.1.Name", "t"),
            ("Device.Zone.1.Host.[pc].Name", "p"),
            ("Device.Zone.[lan].Name", "home"),
            ("Device.Zone.[lan].Via", "Device.Port.2"),
            ("Device.Zone.[lan].Kept", "mine"),
            ("Device.Zone.2.Alias", "guest"),
            ("Device.Zone.2.Name", ""),
            ("Device.Zone.2.Kept", "kept"),
            ("Device.Zone.[guest].Host.[pc].Name", "g"),
            ("Device.Zone.1.HostNumberOfEntries", "2"),
            ("Device.ZoneNumberOfEntries", "2"),
            ("Device.Link.1.Note", "too"),
        ] {
            assert_eq!(b.value(name), value, "{name}");
        }
        assert_eq!(b.journal.borrow().get("t/intent"), None);
        b.tree.end_session();
        let mut b = b.restart();
        assert_eq!(b.value("Device.Zone.[guest].Host.[pc].Name"), "g");
        assert_eq!(b.value("Device.Zone.1.Host.[tv].Name"), "t");
        assert_eq!(b.add("Device.Zone.").unwrap().0, 3);
    }
}

/// R-SPV-21: what cannot be made is 9005, at each parameter that asks for it.
// Proves: R-SPV-21, N-10
#[test]
fn r_spv_21_rows_that_cannot_be_made() {
    let mut b = Bench::new();
    b.add("Device.Rule.[here].").unwrap();
    let before = whole(&mut b);
    let long = format!("Device.Rule.[{}].Text", "x".repeat(65));
    for name in [
        // Not a table in which the ACS makes rows, or one without names.
        "Device.Port.[new].Speed",
        "Device.Seen.[new].Name",
        "Device.Link.[new].Note",
        "Device.Rule.[here].Item.[new].Text",
        // No Alias that somebody can give.
        "Device.Rule.[9].Text",
        "Device.Rule.[cpe-2].Text",
        "Device.Rule.[cpe-0].Text",
        "Device.Rule.[cpe-x].Text",
        &long,
        // No parameter.
        "Device.Rule.[new].",
        "Device.Rule.[new].Nope",
        "Device.Rule.[new]",
        "Device.Rule.[new].Item.1.Text",
        "Device.Rule.2.Text",
        "Device.Zone.1.Host.[new].Name",
    ] {
        let fault = b
            .create(&[
                ("Device.Info.Code", "changed"),
                (name, "x"),
                ("Device.Rule.[ok].Text", "x"),
                (name, "y"),
            ])
            .unwrap_err();
        assert_eq!(fault.code, Code::INVALID_ARGUMENTS);
        let told: Vec<(&str, Code)> = fault.parameters.iter().map(|p| (p.name.as_str(), p.code)).collect();
        assert_eq!(told, [(name, Code::INVALID_NAME); 2], "{name}");
        assert_eq!(whole(&mut b), before, "{name}");
    }
    // Without the permission nothing is made at all.
    let fault = b.set(&[("Device.Rule.[new].Text", "x"), ("Device.Rule.[new].Target", "")]).unwrap_err();
    assert_eq!(fault.parameters.iter().map(|p| p.code).collect::<Vec<_>>(), [Code::INVALID_NAME; 2]);
    assert_eq!(whole(&mut b), before);
}

/// R-SPV-22: whatever goes wrong, nothing is left of the rows, and no number is used up.
// Proves: R-SPV-22, R-SPV-1, R-GEN-5
#[test]
fn r_spv_22_all_or_nothing() {
    // What is made to fail, by an entry or by a handler, and the code of the fault.
    type Spoil = Box<dyn Fn(&mut Bench)>;
    fn nothing(_: &mut Bench) {}
    let fails = |call: &'static str| -> Spoil {
        Box::new(move |b: &mut Bench| b.two.borrow_mut().failing = texts(&[call]))
    };
    let cases: Vec<(Spoil, &str, &str, u16)> = vec![
        (Box::new(nothing), "Device.Port.1.Speed", "fast", 9003),
        (Box::new(nothing), "Device.Info.Model", "x", 9003),
        (Box::new(nothing), "Device.Rule.[new].Target", "Device.Port.9", 9003),
        (Box::new(|b| b.two.borrow_mut().refused = texts(&["Note"])), "Device.Link.1.Note", "x", 9003),
        // Refused by the handler of the new row, when it has made it.
        (Box::new(|b| b.two.borrow_mut().refused = texts(&["Name"])), "Device.Link.1.Note", "x", 9003),
        (fails("stage Device.Zone.{i}. k1"), "Device.Link.1.Note", "x", 9002),
        (fails("commit Device.Zone.{i}. k1"), "Device.Link.1.Note", "x", 9002),
        (fails("commit Device.Zone.{i}.Host.{i}. k1 k1"), "Device.Link.1.Note", "x", 9002),
        (fails("stage Device.Link.{i}. l0"), "Device.Link.1.Note", "x", 9002),
        (fails("commit Device.Link.{i}. l0"), "Device.Link.1.Note", "x", 9002),
        (fails("add_key Device.Zone.{i}."), "Device.Link.1.Note", "x", 9003),
        (Box::new(|b| b.two.borrow_mut().one_way = true), "Device.Link.1.Note", "x", 9001),
    ];
    for in_session in [false, true] {
        for (at, (spoil, name, value, code)) in cases.iter().enumerate() {
            let mut b = Bench::new();
            b.add("Device.Rule.[here].").unwrap();
            b.add("Device.Zone.[here].").unwrap();
            b.delete("Device.Zone.[here].").unwrap();
            if in_session {
                b.tree.begin_session();
            }
            let before = whole(&mut b);
            spoil(&mut b);
            // Keys of rows are the numbers' after the one that was used already.
            let failing: Vec<String> = b
                .two
                .borrow()
                .failing
                .iter()
                .map(|f| f.replace("k1", "k2").replace("k2 k2", "k2 k1"))
                .collect();
            b.two.borrow_mut().failing = failing;
            let list = [
                ("Device.Rule.[new].Text", "x"),
                ("Device.Zone.[z].Host.[h].Name", "h"),
                ("Device.Zone.[z].Via", "Device.Port.1"),
                (*name, *value),
                ("Device.Info.Code", "changed"),
            ];
            let fault = b.create(&list).unwrap_err();
            assert_eq!(fault.code.0, *code, "{at}: {fault}");
            assert_eq!(fault.parameters.is_empty(), *code != 9003, "{at}: {fault}");
            b.two.borrow_mut().failing.clear();
            b.two.borrow_mut().refused.clear();
            b.two.borrow_mut().one_way = false;
            assert_eq!(whole(&mut b), before, "{at}");
            assert!(b.tree.take_troubles().is_empty());
            b.create(&list[..3]).unwrap();
            assert_eq!(b.value("Device.Rule.2.Alias"), "new", "{at}");
            assert_eq!(b.value("Device.Zone.2.Host.1.Alias"), "h", "{at}");
        }
    }
}

/// R-SPV-2, R-SPV-20: the order of the entries has no meaning, names are judged on the state before,
/// keys on the state after.
// Proves: R-SPV-2, R-SPV-20, R-SPV-22
#[test]
fn r_spv_2_in_any_order() {
    let refer = ("Device.Rule.[a].Targets", "Device.Rule.[b],Device.Rule.[here]");
    let make = ("Device.Rule.[b].Text", "x");
    for list in [[refer, make], [make, refer]] {
        let mut b = Bench::new();
        b.add("Device.Rule.[here].").unwrap();
        b.create(&list).unwrap();
        let (a, other) = (b.value("Device.Rule.[a].Targets"), b.value("Device.Rule.3.Alias"));
        assert_eq!(
            (a.as_str(), other.as_str()),
            if list[0] == make {
                ("Device.Rule.2,Device.Rule.1", "a")
            } else {
                ("Device.Rule.3,Device.Rule.1", "b")
            }
        );
    }
    let mut b = Bench::new();
    b.add("Device.Rule.[here].").unwrap();
    let before = whole(&mut b);
    for (list, blamed, code) in [
        // A number, or the name that goes with it, is no row before the row is made.
        ([("Device.Rule.[a].Text", "x"), ("Device.Rule.2.Target", "")], "Device.Rule.2.Target", 9005),
        ([("Device.Rule.2.Target", ""), ("Device.Rule.[a].Text", "x")], "Device.Rule.2.Target", 9005),
        (
            [("Device.Rule.[a].Text", "x"), ("Device.Rule.[cpe-2].Target", "")],
            "Device.Rule.[cpe-2].Target",
            9005,
        ),
        (
            [("Device.Rule.[a].Target", "Device.Rule.[b]"), ("Device.Rule.[a].Text", "x")],
            "Device.Rule.[a].Target",
            9007,
        ),
        // Two rows of one name, in the end.
        (
            [("Device.Rule.[here].Alias", "a"), ("Device.Rule.[a].Text", "x")],
            "Device.Rule.[here].Alias",
            9007,
        ),
        ([("Device.Rule.[a].Alias", "b"), ("Device.Rule.[b].Text", "x")], "Device.Rule.[a].Alias", 9007),
        ([("Device.Rule.[a].Alias", ""), ("Device.Rule.[b].Text", "x")], "Device.Rule.[a].Alias", 9007),
        ([("Device.Zone.[a].Name", "x"), ("Device.Zone.[b].Name", "x")], "Device.Zone.[a].Name", 9007),
    ] {
        let fault = b.create(&list).unwrap_err();
        let first = &fault.parameters[0];
        assert_eq!((first.name.as_str(), first.code.0), (blamed, code), "{list:?}: {fault}");
        assert_eq!(whole(&mut b), before, "{list:?}");
    }
    // The name that a row is made with need not be the one that it keeps.
    b.create(&[
        ("Device.Rule.[here].Alias", "there"),
        ("Device.Rule.[a].Alias", "here"),
        ("Device.Rule.[a].Text", "x"),
    ])
    .unwrap();
    assert_eq!(
        (b.value("Device.Rule.[here].Text"), b.value("Device.Rule.1.Alias")),
        ("x".into(), "there".into())
    );
    assert_eq!(b.value("Device.Rule.2.Alias"), "here");
}

/// A handler that cannot take a row away makes it alone, with what the tree keeps itself.
// Proves: R-SPV-22
#[test]
fn a_row_for_good_is_made_alone() {
    let mut b = Bench::new();
    b.two.borrow_mut().one_way = true;
    let before = whole(&mut b);
    for more in [("Device.Zone.[z].Name", "n"), ("Device.Port.1.Speed", "5"), ("Device.Zone.[y].Kept", "k")] {
        let list = [("Device.Zone.[z].Kept", "mine"), more];
        assert_eq!(code(b.create(&list)), Code::REQUEST_DENIED, "{more:?}");
        assert_eq!(whole(&mut b), before, "{more:?}");
    }
    b.create(&[("Device.Zone.[z].Kept", "mine"), ("Device.Rule.[r].Text", "t")]).unwrap();
    assert_eq!(
        (b.value("Device.Zone.[z].Kept"), b.value("Device.Rule.[r].Text")),
        ("mine".into(), "t".into())
    );
}

/// R-SPV-8: what of a new row carries the connection waits for the end of the session; the row does not.
// Proves: R-SPV-8, R-SPV-22
#[test]
fn a_new_row_with_a_promise() {
    let mut b = Bench::new();
    b.tree.begin_session();
    let list = [("Device.Zone.[z].Host.[h].Later", "soon"), ("Device.Zone.[z].Name", "now")];
    assert_eq!(b.create(&list), Ok(Status::AtSessionEnd));
    assert_eq!(b.value("Device.Zone.[z].Host.[h].Later"), "soon");
    assert_eq!(b.two.borrow_mut().row("Device.Zone.{i}.Host.{i}. k1 k1").get("Later"), None);
    let mut b = b.restart();
    assert_eq!(b.two.borrow_mut().row("Device.Zone.{i}.Host.{i}. k1 k1").get("Later").unwrap(), "soon");
    assert_eq!(b.value("Device.Zone.[z].Host.[h].Later"), "soon");
}

/// R-SPV-6, R-GEN-3: no room is a fault of the whole; nothing is left of what was begun.
// Proves: R-SPV-6
#[test]
fn no_room_for_new_rows() {
    let mut b = Bench::new();
    let before = whole(&mut b);
    let piece = crate::state::journal::MAX_VALUE;
    for n in 0..=MAX_KEPT as usize / piece {
        let mut batch = Batch::default();
        batch.put(format!("x/{n}"), vec![0; piece]);
        b.journal.borrow_mut().commit(batch).unwrap();
    }
    let fault = b.create(&[("Device.Rule.[a].Text", "x")]).unwrap_err();
    assert_eq!((fault.code, fault.parameters.len()), (Code::RESOURCES_EXCEEDED, 0));
    assert_eq!(whole(&mut b).1, before.1);
    // Room for the values, not for the numbers beside them: 39 bytes are left, and `l/Device.Rule.1.` with
    // its Alias and `v/Device.Rule.1.Text` with its value are 38.
    let mut b = Bench::new();
    // Whatever else is kept is there first.
    whole(&mut b);
    let journal = b.journal.clone();
    let put = |key: &str, len: usize| {
        let mut batch = Batch::default();
        batch.put(key, vec![0; len]);
        journal.borrow_mut().commit(batch).unwrap();
    };
    (0..MAX_KEPT as usize / piece - 1).for_each(|n| put(&format!("x/{n}"), piece));
    put("x/last", 0);
    let left = |b: &Bench| (MAX_KEPT - b.journal.borrow().size()) as usize;
    put("x/a", piece);
    put("x/last", left(&b) - 39);
    let before = whole(&mut b);
    assert_eq!(left(&b), 39);
    assert_eq!(code(b.create(&[("Device.Rule.[a].Text", "x")])), Code::RESOURCES_EXCEEDED);
    assert_eq!(whole(&mut b), before);
    // A record of numbers that is at its end.
    let mut b = Bench::new();
    let mut batch = Batch::default();
    batch.put("i/Device.Rule.", u32::MAX.to_le_bytes());
    b.journal.borrow_mut().commit(batch).unwrap();
    let fault = b.create(&[("Device.Zone.[a].Name", "x"), ("Device.Rule.[a].Text", "x")]).unwrap_err();
    assert_eq!((fault.code, fault.parameters.len()), (Code::RESOURCES_EXCEEDED, 0));
    assert_eq!(b.value("Device.ZoneNumberOfEntries"), "0");
}

/// Fills the disk when the last change of a set has been made.
struct Filling(MemoryHandler, Rc<RefCell<Journal>>);

impl Handler for Filling {
    fn list(&mut self, c: &Ctx<'_>, r: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        self.0.list(c, r, out)
    }
    fn get(&mut self, c: &Ctx<'_>, r: &Row<'_>, w: &[Want<'_>], out: &mut Fields) -> Result<(), Failure> {
        self.0.get(c, r, w, out)
    }
    fn stage(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>) -> Result<Vec<u8>, Failure> {
        self.0.stage(c, r, ch)
    }
    fn commit(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>) -> Result<(), Failure> {
        if r.object.name() == "Link" {
            self.1.borrow_mut().fill_disk();
        }
        self.0.commit(c, r, ch)
    }
    fn undo(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>, s: &[u8]) -> Result<(), Failure> {
        self.0.undo(c, r, ch, s)
    }
    fn add_key(&mut self, c: &Ctx<'_>, r: &Row<'_>, number: u32) -> Result<String, Failure> {
        self.0.add_key(c, r, number)
    }
}

/// R-SPV-22: the disk is full when all is done but the last record: the rows go again.
// Proves: R-GEN-5, R-SPV-22
#[test]
fn a_full_disk_leaves_no_row() {
    let dir = std::env::temp_dir().join(format!("cwmpd-full-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut b = Bench::new();
    b.journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
    let (mut tree, _) = open(&b.journal, &b.one, &b.two);
    tree.handlers = vec![
        Box::new(MemoryHandler(b.one.clone())),
        Box::new(Filling(MemoryHandler(b.two.clone()), b.journal.clone())),
    ];
    b.tree = tree;
    b.add("Device.Rule.[here].").unwrap();
    let before = whole(&mut b);
    let list = [
        ("Device.Zone.[z].Host.[h].Name", "h"),
        ("Device.Rule.[new].Text", "x"),
        ("Device.Link.1.Note", "last"),
    ];
    assert_eq!(code(b.create(&list)), Code::INTERNAL_ERROR);
    assert_eq!(whole(&mut b), before);
    assert_eq!(b.value("Device.Link.1.Note"), "old");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Somebody reads while the set is judged: what is read makes no number durable that may yet be taken back.
// Proves: R-SPV-22
#[test]
fn reading_keeps_no_number() {
    let mut b = Bench::new();
    b.add("Device.Rule.[here].").unwrap();
    b.tree.judge_with(|tree: &mut Tree, name: &str, _: &str| match name {
        "Device.Rule.{i}.Text" => match tree.value("Device.PortNumberOfEntries") {
            Some(count) => Err(format!("there are {count} ports")),
            None => Ok(()),
        },
        _ => Ok(()),
    });
    let before = whole(&mut b);
    let fault = b.create(&[("Device.Rule.[a].Targets", ""), ("Device.Rule.[a].Text", "x")]).unwrap_err();
    assert_eq!(fault.parameters[0].text, "there are 3 ports");
    assert_eq!(whole(&mut b), before);
    b.create(&[("Device.Rule.[a].Targets", "")]).unwrap();
    assert_eq!(b.value("Device.Rule.2.Alias"), "a");
}

/// As many rows as one set can name.
#[test]
fn many_rows_at_once() {
    let many: Vec<String> = (0..2000).map(|n| format!("Device.Rule.[r{n}].Text")).collect();
    let list: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "x")).collect();
    let mut b = Bench::new();
    b.create(&list).unwrap();
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "2000");
    assert_eq!(b.value("Device.Rule.[r1999].Text"), "x");
}
