//! Rows that come and go on trial.

use super::*;
use crate::model::request::SetAttributes;

/// A row that is promised can be seen, set and deleted in the session, and is made at its end.
// Proves: R-OBJ-2, R-OBJ-6, R-SPV-10
#[test]
fn a_promised_row_is_there_in_the_session() {
    let mut b = Trials::new();
    b.value("Device.Link.1.Note");
    let before = b.state();
    b.tree.begin_session();
    b.log();
    assert_eq!(b.add("Device.Link.").unwrap(), (2, Status::AtSessionEnd));
    assert_eq!(b.add("Device.Link.").unwrap(), (3, Status::AtSessionEnd));
    for _ in 0..2 {
        // As it was fixed, and as it is when names are asked.
        assert_eq!(b.value("Device.LinkNumberOfEntries"), "3");
        let all = ["Device.Link.1.", "Device.Link.2.", "Device.Link.3."];
        assert_eq!(b.names("Device.Link.", true).unwrap(), all);
    }
    assert_eq!(b.value("Device.Link.2.Note"), "", "nobody knows what it will be");
    let list = [
        ("Device.Link.2.Note", "n"),
        ("Device.Link.2.Sub.Text", "below"),
        ("Device.Link.2.Port", "Device.Port.2"),
    ];
    // Only it could judge them, and it would not know the row.
    b.two.borrow_mut().refused = texts(&["Note", "Port", "Text"]);
    assert_eq!(b.set(&list), Ok(Status::AtSessionEnd));
    b.two.borrow_mut().refused.clear();
    for (path, value) in list {
        assert_eq!(b.value(path), value, "{path}");
    }
    assert_eq!(b.add("Device.Link.2.Hop.").unwrap().0, 1);
    assert_eq!(b.delete("Device.Link.3."), Ok(Status::AtSessionEnd));
    assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.1.", "Device.Link.2."]);
    assert_eq!(code(b.values(&["Device.Link.3.Note"])), Code::INVALID_NAME);
    let asked: Vec<String> = b.log().into_iter().filter(|l| l.contains("k2") || l.contains("k3")).collect();
    // `add` is staged; of a row that is not there no handler is asked more.
    assert_eq!(asked, ["stage Device.Link.{i}. k2", "stage Device.Link.{i}. k3"]);
    assert_eq!((b.state().0, b.state().1), (before.0.clone(), before.1.clone()));
    let names = &b.trial().names;
    assert_eq!(*names, ["Device.Link.2.", "Device.Link.2.Hop.1.", "Device.Link.3."]);

    b.end();
    assert_eq!(b.two.borrow().keys["Device.Link.{i}."], ["l0", "k2"]);
    assert_eq!(b.value("Device.Link.2.Note"), "n");
    assert_eq!(b.value("Device.Link.2.Sub.Text"), "below");
    let mut b = b.restart();
    assert_eq!(b.value("Device.Link.2.Sub.Text"), "below");
    b.add("Device.Rule.").unwrap();
    b.tree
        .set_attributes(&[SetAttributes {
            name: "Device.Link.2.Hop.1.Text".into(),
            notification: Some(1),
            access_list: None,
        }])
        .unwrap();
    assert_eq!(b.tree.trial(), None, "that was the ACS");
    assert_eq!(b.value("Device.LinkNumberOfEntries"), "2");
}

/// What came goes again, with all that stands below it and refers to it; and what went comes back under
/// its number with all it had. No number is given twice.
// Proves: R-OBJ-6, R-SPV-18
#[test]
fn rows_are_put_back() {
    for session in [true, false] {
        let mut b = Trials::new();
        for _ in 0..2 {
            b.add("Device.Link.1.Hop.").unwrap();
        }
        b.add("Device.Rule.").unwrap();
        let rule = ("Device.Rule.1.Targets", "Device.Port.3,Device.Rule.1");
        b.acs(&[("Device.Link.1.Hop.2.Text", "hop"), rule, ("Device.Port.2.Alias", "two")], "k0").unwrap();
        b.tree
            .set_attributes(&[SetAttributes {
                name: "Device.Link.1.".into(),
                notification: Some(1),
                access_list: None,
            }])
            .unwrap();
        b.end();
        b.confirm();
        let before = b.state();
        let attributes = |b: &mut Trials| {
            let selection = b.tree.attributes(&texts(&["Device.Link."])).unwrap();
            pairs(&mut b.tree, selection)
        };
        let watched = attributes(&mut b);
        assert!(watched.iter().all(|(_, a)| a.starts_with('1')), "{watched:?}");
        if session {
            b.tree.begin_session();
        }
        let writer = Writer::Local;
        assert_eq!(b.tree.add("Device.Link.", writer).unwrap().0, 2);
        b.local(&[("Device.Link.2.Note", "new"), ("Device.Link.2.Port", "Device.Port.1")]).unwrap();
        assert_eq!(b.tree.add("Device.Link.2.Hop.", writer).unwrap().0, 1);
        b.local(&[("Device.Link.2.Hop.1.Text", "h")]).unwrap();
        b.tree.delete("Device.Link.1.", writer).unwrap();
        assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.2."]);
        assert_eq!(b.journal.borrow().scan("a/Device.Link.1.").count(), 0);
        b.end();
        assert_eq!(b.two.borrow().keys["Device.Link.{i}."], ["k2"]);
        assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.2."]);
        // Attributes of the new row, and a reference to it that the tree keeps, are no part of the trial.
        b.local(&[("Device.Later.Refs", "Device.Link.2,Device.Link.2.Hop.1,Device.Port.1")]).unwrap();
        b.tree
            .set_attributes(&[SetAttributes {
                name: "Device.Link.2.Note".into(),
                notification: Some(1),
                access_list: None,
            }])
            .unwrap();
        let mut b = b.restart();
        let back = b.put_back();
        assert_eq!(back.notes, Vec::<String>::new());
        assert_eq!(back.names, ["Device.Link.1.", "Device.Link.2.", "Device.Link.2.Hop.1."]);
        assert_eq!(b.value("Device.Later.Refs"), "Device.Port.1", "R-SPV-18");
        b.local(&[("Device.Later.Refs", "")]).unwrap();
        b.journal.borrow_mut().commit(Batch { ops: vec![("v/Device.Later.Refs".into(), None)] }).unwrap();
        assert_eq!(b.state(), before, "in a session: {session}");
        assert_eq!(attributes(&mut b), watched);
        assert_eq!(b.tree.changed(usize::MAX), Vec::<String>::new(), "the ACS knows them still");
        b.two.borrow_mut().row("Device.Link.{i}. l0").insert("Note".into(), "by hand".into());
        b.tree.begin_rpc();
        assert_eq!(b.tree.changed(usize::MAX), ["Device.Link.1.Note"]);
        assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.1."]);
        assert_eq!(
            b.names("Device.Link.1.Hop.", true).unwrap(),
            ["Device.Link.1.Hop.1.", "Device.Link.1.Hop.2."]
        );
        assert_eq!(b.value("Device.Link.1.Hop.2.Text"), "hop");
        for kind in ["v/", "l/", "a/", "i/"] {
            assert_eq!(b.journal.borrow().scan(&format!("{kind}Device.Link.2.")).count(), 0, "{kind}");
        }
        assert_eq!(b.add("Device.Link.").unwrap().0, 3, "R-OBJ-6");
        assert_eq!(b.add("Device.Link.1.Hop.").unwrap().0, 3, "R-OBJ-6");
    }
}

/// Rows that the tree keeps itself are there at once; an Alias carries nothing.
#[test]
fn rows_of_the_tree_carry_the_session() {
    let mut b = Trials::new();
    b.add("Device.Way.").unwrap();
    b.acs(&[("Device.Way.1.Text", "one")], "k0").unwrap();
    b.confirm();
    assert_eq!(b.tree.trial(), None);
    b.acs(&[("Device.Way.1.Alias", "mine")], "k0").unwrap();
    assert_eq!(b.tree.trial(), None);
    b.add("Device.Later.").unwrap_err();
    let before = b.state();
    b.tree.begin_session();
    assert_eq!(b.tree.add("Device.Way.[new].", Writer::Local).unwrap(), (2, Status::Applied));
    b.local(&[("Device.Later.Refs", "Device.Way.2,Device.Way.1,Device.Port.1")]).unwrap();
    assert_eq!(b.tree.delete("Device.Way.1.", Writer::Local), Ok(Status::Applied));
    assert_eq!(b.names("Device.Way.", true).unwrap(), ["Device.Way.2."]);
    assert_eq!(b.value("Device.Later.Refs"), "Device.Way.2,Device.Port.1");
    let trial = b.trial();
    assert_eq!(
        (trial.path, trial.names),
        (true, texts(&["Device.Way.1.", "Device.Way.2.", "Device.Later.Refs"]))
    );
    b.end();
    let mut b = b.restart();
    b.put_back();
    assert_eq!(b.names("Device.Way.", true).unwrap(), ["Device.Way.1."]);
    assert_eq!(b.value("Device.Way.[mine].Text"), "one");
    // The reference to the row that came back does so too; that to the row that went does not.
    assert_eq!(b.value("Device.Later.Refs"), "Device.Way.1,Device.Port.1");
    b.journal.borrow_mut().commit(Batch { ops: vec![("v/Device.Later.Refs".into(), None)] }).unwrap();
    assert_eq!(b.state(), before);
    assert_eq!(b.add("Device.Way.").unwrap().0, 3);
}

/// A row that goes away meanwhile, and is no part of the trial, is not referred to by what is promised or
/// put back.
// Proves: R-SPV-18
#[test]
fn what_is_put_back_refers_to_no_row_that_went() {
    let mut b = Trials::new();
    for _ in 0..2 {
        b.add("Device.Rule.").unwrap();
    }
    b.acs(&[("Device.Later.Refs", "Device.Rule.1,Device.Rule.2")], "k").unwrap();
    b.tree.begin_session();
    b.acs(&[("Device.Link.1.To", "Device.Rule.1,Device.Port.1"), ("Device.Later.Refs", "")], "k").unwrap();
    assert_eq!(b.delete("Device.Rule.1."), Ok(Status::Applied));
    assert_eq!(b.value("Device.Link.1.To"), "Device.Port.1");
    b.end();
    assert_eq!(b.link("To"), "Device.Port.1");
    b.tree.delete("Device.Rule.2.", Writer::Local).unwrap();
    let mut b = b.restart();
    assert!(b.trial().applied);
    b.put_back();
    assert_eq!(b.value("Device.Later.Refs"), "");
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "0");
}

/// Rows that a set makes come and go with it, also where they and others are numbered in the same moment.
// Proves: R-SPV-10, R-SPV-21, R-SPV-22
#[test]
fn rows_that_a_set_makes_are_put_back() {
    const LIST: [(&str, &str); 5] = [
        ("Device.Zone.[new].Name", "n"),
        ("Device.Zone.[new].Host.[h].Name", "hn"),
        ("Device.Zone.[new].Kept", "k"),
        ("Device.Way.[w].Text", "t"),
        ("Device.Info.Code", "c"),
    ];
    for (session, known) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut b = Trials::new();
        b.two.borrow_mut().keys.insert("Device.Zone.{i}.".into(), texts(&["old"]));
        b.two.borrow_mut().row("Device.Zone.{i}. old").insert("Name".into(), "o".into());
        if known {
            b.value("Device.Zone.1.Name");
        }
        let before = b.state();
        if session {
            b.tree.begin_session();
        }
        b.log();
        let status = if session { Status::AtSessionEnd } else { Status::Applied };
        assert_eq!(b.create(&LIST), Ok(status));
        for (path, value) in LIST {
            assert_eq!(b.value(path), value, "R-SPV-10: {path}");
        }
        assert_eq!(b.names("Device.Zone.", true).unwrap(), ["Device.Zone.1.", "Device.Zone.2."]);
        let trial = b.trial();
        let names = ["Device.Way.1.", "Device.Zone.2.", "Device.Zone.2.Host.1.", "Device.Info.Code"];
        assert_eq!((trial.path, trial.applied, trial.names), (true, !session, texts(&names)));
        if session {
            assert_eq!((b.state().0, b.state().1), (before.0.clone(), before.1.clone()));
            let asked: Vec<String> =
                b.log().into_iter().filter(|l| l.contains("Zone") && !l.starts_with("add_key")).collect();
            let staged = ["stage Device.Zone.{i}. k2", "stage Device.Zone.{i}.Host.{i}. k2 k1"];
            assert_eq!(asked, staged, "of rows that are not there no handler is asked more");
            // More of it, in a transaction of its own.
            b.create(&[("Device.Zone.[new].Host.[g].Name", "gn")]).unwrap();
            assert_eq!(b.value("Device.Zone.[new].Host.[g].Name"), "gn");
        }
        b.end();
        let mut b = b.restart();
        for (path, value) in LIST {
            assert_eq!(b.value(path), value, "{path}");
        }
        let hosts = if session { "2" } else { "1" };
        assert_eq!(b.value("Device.Zone.[new].HostNumberOfEntries"), hosts);
        assert_eq!(b.put_back().notes, Vec::<String>::new());
        assert_eq!(b.state(), before, "in a session: {session}, known: {known}");
        assert_eq!(b.names("Device.Zone.", true).unwrap(), ["Device.Zone.1."]);
        assert_eq!(b.value("Device.Zone.1.Name"), "o");
        b.create(&LIST[..1]).unwrap();
        assert_eq!(b.value("Device.Zone.3.Name"), "n", "R-OBJ-6");
    }
    // The row alone carries the session.
    let mut b = Trials::new();
    let before = b.state();
    b.create(&[("Device.Zone.[new].Alias", "other")]).unwrap();
    assert_eq!(b.trial().names, ["Device.Zone.1."]);
    b.put_back();
    assert_eq!(b.state(), before);
    // One that cannot be made at the end takes all with it.
    let mut b = Trials::new();
    b.tree.begin_session();
    b.two.borrow_mut().failing = texts(&["commit Device.Zone.{i}.Host.{i}. k1 k1"]);
    b.create(&LIST).unwrap();
    assert_eq!(b.tree.end_session().len(), 1);
    assert!(b.trial().failed.is_some());
    b.put_back();
    assert_eq!(b.state(), before);
    assert_eq!(b.value("Device.ZoneNumberOfEntries"), "0");
    assert_eq!(b.state(), before);
}

/// A row goes on trial, with what was promised to it and refers to it: all of that comes back with it.
#[test]
fn a_row_comes_back_with_what_belonged_to_it() {
    // By a shell, and stored references.
    let mut b = Trials::new();
    b.add("Device.Way.").unwrap();
    b.acs(&[("Device.Later.Refs", "Device.Way.1,Device.Port.1")], "k").unwrap();
    b.confirm();
    b.local(&[("Device.Info.Uplink", "fibre"), ("Device.Later.Refs", "")]).unwrap();
    b.tree.delete("Device.Way.1.", Writer::Local).unwrap();
    b.put_back();
    assert_eq!(b.value("Device.Later.Refs"), "Device.Way.1,Device.Port.1");
    assert_eq!(b.names("Device.Way.", true).unwrap(), ["Device.Way.1."]);

    // In a session, and a promise that is no part of the trial.
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Link.1.Sub.Later", "v")], "k1").unwrap();
    assert_eq!(b.tree.trial(), None);
    b.delete("Device.Link.1.").unwrap();
    assert_eq!(b.trial().names, ["Device.Link.1."]);
    b.end();
    b.put_back();
    assert_eq!(b.value("Device.Link.1.Sub.Later"), "v", "the ACS was told that it is so");
}
