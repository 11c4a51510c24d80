use super::*;

/// R-SPV-1, 4, 5, 11, 14, 17, 19, 20, N-10: what is refused, with which code; and nothing has changed.
// Proves: R-GEN-6, R-SPV-5, R-SPV-11, R-SPV-17, R-SPV-19, R-SPV-20
#[test]
fn bad_values_are_refused_one_by_one() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    b.add("Device.Rule.").unwrap();
    b.one.borrow_mut().refused = texts(&["Speed"]);
    let cases: &[(&str, &str, Code)] = &[
        ("Device.Nope", "x", Code::INVALID_NAME),
        ("Device.Info.", "x", Code::INVALID_NAME),
        ("Device.Port.*.Name", "x", Code::INVALID_NAME),
        ("Device.Port.9.Name", "x", Code::INVALID_NAME),
        ("Device.Info.Model", "x", Code::NOT_WRITABLE),
        ("Device.PortNumberOfEntries", "1", Code::NOT_WRITABLE),
        ("Device.Info.Count", "x", Code::INVALID_TYPE),
        ("Device.Info.Count", "11", Code::INVALID_VALUE),
        ("Device.Rule.1.Text", "123456789", Code::INVALID_VALUE),
        ("Device.Rule.1.Target", "Device.Port.9", Code::INVALID_VALUE),
        ("Device.Rule.1.Target", "Device.Port", Code::INVALID_VALUE),
        ("Device.Rule.1.Target", "Device.Rule.2", Code::INVALID_VALUE),
        ("Device.Rule.1.Target", "Device.Info", Code::INVALID_VALUE),
        ("Device.Rule.1.Targets", "Device.Port.1,Device.Port.7", Code::INVALID_VALUE),
        ("Device.Rule.1.Alias", "", Code::INVALID_VALUE),
        ("Device.Rule.1.Alias", "1st", Code::INVALID_VALUE),
        ("Device.Rule.1.Alias", "cpe-9", Code::INVALID_VALUE),
        ("Device.Rule.1.Alias", "cpe-2", Code::INVALID_VALUE),
        ("Device.Port.1.Name", "wan", Code::INVALID_VALUE),
        ("Device.Port.1.Speed", "5", Code::INVALID_VALUE),
    ];
    b.log();
    for (name, value, want) in cases {
        let fault = b.set(&[("Device.Info.Code", "changed"), (name, value)]).unwrap_err();
        assert_eq!(fault.code, Code::INVALID_ARGUMENTS, "{name}");
        let lines: Vec<(&str, Code)> = fault.parameters.iter().map(|p| (p.name.as_str(), p.code)).collect();
        assert_eq!(lines, [(*name, *want)], "{name} {value}");
        assert_eq!(b.value("Device.Info.Code"), "first", "R-GEN-5");
    }
    assert_eq!(b.key().as_deref(), Some("added"), "R-GEN-6");
    let all: Vec<(&str, &str)> =
        cases.iter().filter(|c| c.0.ends_with('t') || c.0.contains("Port")).map(|c| (c.0, c.1)).collect();
    let mut names: Vec<&str> = all.iter().map(|a| a.0).collect();
    names.dedup();
    let unique: Vec<(&str, &str)> = names.iter().map(|n| *all.iter().find(|a| a.0 == *n).unwrap()).collect();
    assert_eq!(b.set(&unique).unwrap_err().parameters.len(), unique.len(), "R-SPV-4: one line for each");
    assert!(b.log().is_empty(), "no handler was told to do anything");
}

/// R-SPV-6: 9004 speaks of an RPC, never of one parameter.
// Proves: R-SPV-6
#[test]
fn r_spv_6_what_a_handler_refuses_has_a_code_of_a_parameter() {
    let mut b = Bench::new();
    b.one.borrow_mut().refused = texts(&["Speed"]);
    for (said, told) in [
        (Code::RESOURCES_EXCEEDED, Code::REQUEST_DENIED),
        (Code::INTERNAL_ERROR, Code::INTERNAL_ERROR),
        (Code::INVALID_TYPE, Code::INVALID_TYPE),
        (Code(9850), Code(9850)),
    ] {
        b.one.borrow_mut().code = Some(said);
        let fault = b.set(&[("Device.Port.1.Speed", "5")]).unwrap_err();
        assert_eq!(fault.code, Code::INVALID_ARGUMENTS);
        assert_eq!(fault.parameters[0].code, told);
    }
}

/// R-SPV-21, without AutoCreateInstances: a set makes no row, and what came with it is not done.
// Proves: R-SPV-21
#[test]
fn r_spv_21_a_set_makes_no_row() {
    let mut b = Bench::new();
    let list = [("Device.Info.Code", "changed"), ("Device.Rule.[new].Text", "x")];
    let fault = b.set(&list).unwrap_err();
    assert_eq!(fault.parameters[0].code, Code::INVALID_NAME);
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "0");
    assert_eq!(b.value("Device.Info.Code"), "first");
}

// Proves: R-SPV-3, R-SPV-12, R-SPV-13
#[test]
fn a_set_as_a_whole_is_refused() {
    let mut b = Bench::new();
    // R-SPV-3, also under another name of the same instance
    assert_eq!(code(b.set(&[("Device.Info.Code", "a"), ("Device.Info.Code", "b")])), Code::INVALID_ARGUMENTS);
    let twice = [("Device.Port.1.Name", "a"), ("Device.Port.[cpe-1].Name", "b")];
    let fault = b.set(&twice).unwrap_err();
    assert_eq!((fault.code, fault.parameters.len()), (Code::INVALID_ARGUMENTS, 0));
    // R-SPV-12, in characters
    for (key, fine) in [("k".repeat(32), true), ("é".repeat(32), true), ("k".repeat(33), false)] {
        let result = b.set_as(&[("Device.Info.Code", "a")], Writer::Acs { parameter_key: &key });
        assert_eq!(result.is_ok(), fine, "{key}");
    }
    assert_eq!(b.key(), Some("é".repeat(32)));
    // R-SPV-13
    assert_eq!(b.set(&[]), Ok(Status::Applied));
    assert_eq!(b.key().as_deref(), Some("key"));
    let many = vec![("Device.Info.Code", "a"); 5000];
    assert_eq!(code(b.set(&many)), Code::RESOURCES_EXCEEDED);
}

/// E-30, E-31.
#[test]
fn the_type_must_be_the_models() {
    let mut b = Bench::new();
    for (name, xsi_type, fine) in [
        ("Device.Port.1.Enable", Some("boolean"), true),
        ("Device.Port.1.Enable", None, true),
        ("Device.Port.1.Enable", Some("string"), true),
        ("Device.Port.1.Enable", Some("int"), false),
        ("Device.Info.Count", Some("dateTime"), false),
    ] {
        let entry =
            ParameterValue { name: name.into(), value: "1".into(), xsi_type: xsi_type.map(Into::into) };
        match b.tree.set(&[entry], Writer::Local) {
            Ok(_) => assert!(fine, "{name} {xsi_type:?}"),
            Err(fault) => {
                assert!(!fine, "{fault}");
                assert_eq!(fault.parameters[0].code, Code::INVALID_TYPE);
            }
        }
    }
}

/// R-SPV-1, 2, 27: stored values and handlers' values together, in canonical form.
// Proves: R-SPV-2, R-SPV-27
#[test]
fn a_set_reaches_everything() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    b.log();
    let status = b.set(&[
        ("Device.Info.Code", "new"),
        ("Device.Port.1.Enable", "0"),
        ("Device.Port.[cpe-1].Speed", "+07"),
        ("Device.Link.1.Port", "Device.Port.[cpe-3]."),
        ("Device.Rule.1.Alias", "mine"),
        ("Device.Rule.1.Targets", "Device.Port.1, Device.Rule.[cpe-1]"),
        ("Device.Info.Secret", "hush"),
    ]);
    assert_eq!(status, Ok(Status::Applied));
    let log = b.log();
    let reads: Vec<&str> = log.iter().map(String::as_str).collect();
    assert_eq!(
        reads,
        [
            "stage Device.Port.{i}. eth0",
            "commit Device.Port.{i}. eth0",
            "session ended",
            "stage Device.Link.{i}. l0",
            "commit Device.Link.{i}. l0",
            "session ended",
        ]
    );
    for (path, value) in [
        ("Device.Info.Code", "new"),
        ("Device.Port.1.Enable", "false"),
        ("Device.Port.1.Speed", "7"),
        ("Device.Link.1.Port", "Device.Port.3"),
        ("Device.Rule.[mine].Alias", "mine"),
        ("Device.Rule.1.Targets", "Device.Port.1,Device.Rule.1"),
        ("Device.Info.Secret", ""),
    ] {
        assert_eq!(b.value(path), value, "{path}");
    }
    assert_eq!(b.tree.value("Device.Info.Secret").as_deref(), Some("hush"));
    assert_eq!(code(b.values(&["Device.Rule.[cpe-1].Text"])), Code::INVALID_NAME);
    assert_eq!(b.key().as_deref(), Some("key"));
    let mut b = b.restart();
    assert_eq!(b.value("Device.Info.Code"), "new");
    assert_eq!(b.value("Device.Rule.1.Alias"), "mine");
}

/// R-SPV-20: a functional key of a table with an enableParameter is unique among enabled rows.
// Proves: R-SPV-2, R-SPV-20
#[test]
fn keys_are_unique_among_enabled_rows() {
    let mut b = Bench::new();
    assert!(b.set(&[("Device.Port.1.Enable", "false")]).is_ok());
    assert!(b.set(&[("Device.Port.1.Name", "wan")]).is_ok(), "a disabled row may have the same key");
    let fault = b.set(&[("Device.Port.1.Enable", "true")]).unwrap_err();
    assert_eq!(fault.parameters[0].code, Code::REQUEST_DENIED);
    // Judged on the final state (R-SPV-2): the two change their names in one go.
    assert!(b.set(&[("Device.Port.1.Enable", "true"), ("Device.Port.1.Name", "eth0")]).is_ok());
    assert!(b.set(&[("Device.Port.1.Name", "eth1"), ("Device.Port.2.Name", "eth0")]).is_ok());
    let both = b.set(&[("Device.Port.1.Name", "same"), ("Device.Port.2.Name", "same")]).unwrap_err();
    assert_eq!(both.parameters.len(), 2);
    // An Alias is unique always.
    assert!(b.set(&[("Device.Port.1.Alias", "a"), ("Device.Port.1.Enable", "0")]).is_ok());
    assert_eq!(b.set(&[("Device.Port.2.Alias", "a")]).unwrap_err().parameters[0].code, Code::INVALID_VALUE);
}

/// A set of stored values alone is one batch on disk, without an intent; one of a handler's values
/// has its intent there.
#[test]
fn stored_values_need_no_intent() {
    let dir = std::env::temp_dir().join(format!("cwmpd-intent-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut b = Bench::new();
    b.journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
    let mut b = b.restart();
    let on_disk = |what: &[u8]| {
        let files = std::fs::read_dir(&dir).unwrap();
        files
            .filter_map(|f| std::fs::read(f.ok()?.path()).ok())
            .any(|bytes| bytes.windows(what.len()).any(|w| w == what))
    };
    b.set(&[("Device.Info.Code", "durable")]).unwrap();
    assert!(on_disk(b"durable"), "R-SPV-27");
    assert!(!on_disk(b"t/intent"));
    b.set(&[("Device.Port.1.Name", "x")]).unwrap();
    assert!(on_disk(b"t/intent"));
    drop(b);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A commit that fails, and cannot be put back: the rest is, and whoever asks is told.
#[test]
fn what_cannot_be_put_back_is_said() {
    let mut b = Bench::new();
    b.one.borrow_mut().failing = texts(&["undo Device.Port.{i}. eth0"]);
    b.two.borrow_mut().failing = texts(&["commit Device.Link.{i}. l0"]);
    let list = [("Device.Port.1.Name", "new"), ("Device.Port.2.Speed", "7"), ("Device.Link.1.Note", "n")];
    assert_eq!(b.set(&list).unwrap_err().code, Code::INTERNAL_ERROR);
    assert_eq!(b.value("Device.Port.2.Speed"), "100");
    let troubles = b.tree.take_troubles();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].starts_with("Device.Port.1. could not be put back"), "{troubles:?}");
    assert!(b.tree.take_troubles().is_empty(), "said once");
}

/// R-SPV-1: a commit that fails in the middle takes back what was done, newest first.
#[test]
fn a_failed_commit_is_undone() {
    let mut b = Bench::new();
    b.log();
    b.two.borrow_mut().failing = texts(&["commit Device.Link.{i}. l0"]);
    let list = [
        ("Device.Port.1.Name", "new"),
        ("Device.Port.2.Speed", "7"),
        ("Device.Link.1.Note", "n"),
        ("Device.Info.Code", "c"),
    ];
    let fault = b.set(&list).unwrap_err();
    assert_eq!(fault.code, Code::INTERNAL_ERROR);
    assert!(fault.text.contains("Device.Link.1."), "{}", fault.text);
    let undone: Vec<String> = b.log().into_iter().filter(|l| l.starts_with("undo")).collect();
    assert_eq!(
        undone,
        ["undo Device.Port.{i}. eth1", "undo Device.Port.{i}. eth0", "undo Device.Link.{i}. l0"]
    );
    for (path, value) in [
        ("Device.Port.1.Name", "eth0"),
        ("Device.Port.2.Speed", "100"),
        ("Device.Link.1.Note", "old"),
        ("Device.Info.Code", "first"),
    ] {
        assert_eq!(b.value(path), value, "{path}");
    }
    assert_eq!(b.key(), None);
    assert!(b.journal.borrow().get("t/intent").is_none());
}

#[test]
fn a_failed_stage_changes_nothing() {
    let mut b = Bench::new();
    b.log();
    b.two.borrow_mut().failing = texts(&["stage Device.Link.{i}. l0"]);
    assert_eq!(
        code(b.set(&[("Device.Port.1.Name", "new"), ("Device.Link.1.Note", "n")])),
        Code::INTERNAL_ERROR
    );
    assert!(!b.log().iter().any(|l| l.starts_with("commit")));
}

/// At most one change that cannot be taken back, and it is the last.
#[test]
fn what_cannot_be_undone_comes_last_and_alone() {
    let mut b = Bench::new();
    b.one.borrow_mut().one_way = true;
    let two = [("Device.Port.1.Name", "a"), ("Device.Port.2.Name", "b")];
    assert_eq!(code(b.set(&two)), Code::REQUEST_DENIED);
    b.log();
    b.two.borrow_mut().failing = texts(&["commit Device.Link.{i}. l0"]);
    b.set(&[("Device.Port.1.Name", "a"), ("Device.Link.1.Note", "n")]).unwrap_err();
    assert!(!b.log().iter().any(|l| l.starts_with("commit Device.Port")), "it was not begun");
    b.two.borrow_mut().failing.clear();
    assert!(b.set(&[("Device.Port.1.Name", "a"), ("Device.Link.1.Note", "n")]).is_ok());
}

/// R-SPV-8, 9, 10, 24.
// Proves: R-SPV-8, R-SPV-9, R-SPV-10, R-SPV-24
#[test]
fn what_carries_the_uplink_waits_for_the_end_of_the_session() {
    let mut b = Bench::new();
    b.tree.begin_session();
    assert_eq!(
        b.set(&[("Device.Info.Uplink", "fibre"), ("Device.Port.1.Name", "x")]),
        Ok(Status::AtSessionEnd)
    );
    assert!(b.tree.has_promised());
    assert_eq!(b.value("Device.Info.Uplink"), "fibre", "R-SPV-10");
    assert_eq!(b.one.borrow_mut().row("Device.Info.")["Uplink"], "dsl");
    assert_eq!(b.one.borrow_mut().row("Device.Port.{i}. eth0")["Name"], "x");
    assert!(b.tree.end_session().is_empty());
    assert!(!b.tree.has_promised());
    assert_eq!(b.one.borrow_mut().row("Device.Info.")["Uplink"], "fibre");
    assert!(b.journal.borrow().get("t/promised").is_none());
    // Outside a session there is nothing to wait for.
    assert_eq!(b.set(&[("Device.Info.Uplink", "dsl")]), Ok(Status::Applied));
}

#[test]
fn a_promise_that_fails_is_told_and_undone() {
    let mut b = Bench::new();
    b.tree.begin_session();
    b.set(&[("Device.Info.Uplink", "fibre")]).unwrap();
    b.one.borrow_mut().failing = texts(&["commit Device.Info."]);
    let notes = b.tree.end_session();
    assert!(notes[0].contains("Device.Info."), "{notes:?}");
    assert_eq!(b.value("Device.Info.Uplink"), "dsl");
}

/// R-SPV-23.
// Proves: R-SPV-23
#[test]
fn a_command_is_done_and_reads_neutral() {
    let mut b = Bench::new();
    b.set(&[("Device.Info.Reset", "1")]).unwrap();
    assert_eq!(b.one.borrow_mut().row("Device.Info.")["Reset"], "true");
    assert_eq!(b.value("Device.Info.Reset"), "false");
}

/// R-OBJ-1 to 6, 8, 10.
// Proves: R-OBJ-1, R-OBJ-2, R-OBJ-3, R-OBJ-4, R-OBJ-5, R-OBJ-6, R-OBJ-8, R-OBJ-10
#[test]
fn rows_are_added_and_deleted() {
    let mut b = Bench::new();
    assert_eq!(b.add("Device.Rule.").unwrap(), (1, Status::Applied));
    assert_eq!(b.key().as_deref(), Some("added"));
    for (path, value) in [
        ("Device.Rule.1.Alias", "cpe-1"),
        ("Device.Rule.1.Text", "new"),
        ("Device.Rule.1.Target", ""),
        ("Device.Rule.1.ItemNumberOfEntries", "0"),
        ("Device.RuleNumberOfEntries", "1"),
    ] {
        assert_eq!(b.value(path), value, "{path}");
    }
    assert_eq!(b.add("Device.Rule.1.Item.").unwrap().0, 1);
    assert_eq!(b.add("Device.Rule.1.Item.").unwrap().0, 2);
    b.set(&[("Device.Rule.1.Item.2.Text", "it"), ("Device.Rule.1.Alias", "mine")]).unwrap();
    assert_eq!(b.add("Device.Rule.").unwrap().0, 2);
    assert_eq!(b.delete("Device.Rule.[mine]."), Ok(Status::Applied));
    assert_eq!(b.key().as_deref(), Some("deleted"));
    assert_eq!(code(b.delete("Device.Rule.1.")), Code::INVALID_NAME, "R-OBJ-3");
    assert_eq!(b.values(&["Device.Rule."]).unwrap().len(), 5);
    assert_eq!(b.journal.borrow().scan("v/Device.Rule.1.").count(), 0);
    assert_eq!(b.journal.borrow().scan("i/Device.Rule.1.").count(), 0);
    let mut b = b.restart();
    assert_eq!(b.delete("Device.Rule.2."), Ok(Status::Applied));
    assert_eq!(b.add("Device.Rule.").unwrap().0, 3, "R-OBJ-6: never again");
    assert_eq!(b.value("Device.Rule.3.Alias"), "cpe-3");
}

/// The row that a handler makes has the key that it gave.
#[test]
fn a_handlers_rows_are_added_and_deleted() {
    let mut b = Bench::new();
    b.tree.begin_session();
    assert_eq!(b.value("Device.LinkNumberOfEntries"), "1");
    assert_eq!(b.add("Device.Link.").unwrap(), (2, Status::Applied));
    assert_eq!(b.value("Device.LinkNumberOfEntries"), "2", "also in the fixed list");
    b.set(&[("Device.Link.2.Note", "n")]).unwrap();
    assert_eq!(b.two.borrow_mut().row("Device.Link.{i}. k2")["Note"], "n");
    assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.1.", "Device.Link.2."]);
    b.delete("Device.Link.1.").unwrap();
    assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.2."]);
    b.tree.end_session();
    // The same key comes again: it is another thing now.
    b.two.borrow_mut().keys.get_mut("Device.Link.{i}.").unwrap().push("l0".into());
    assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.2.", "Device.Link.3."]);
    b.two.borrow_mut().failing = texts(&["commit Device.Link.{i}. k4"]);
    assert_eq!(code(b.add("Device.Link.")), Code::INTERNAL_ERROR);
    assert_eq!(b.names("Device.Link.", true).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_added_or_deleted() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    for object in [
        "Device.Port.",
        "Device.Rule",
        "Device.Rule.1.",
        "Device.Info.",
        "Device.Nope.",
        "",
        "Device.Rule.*.Item.",
        "Device.Rule.9.Item.",
    ] {
        assert_eq!(code(b.add(object)), Code::INVALID_NAME, "{object}");
    }
    for object in [
        "Device.Port.1.",
        "Device.Rule.",
        "Device.Rule.1",
        "Device.Rule.1.Text",
        "Device.Info.",
        "",
        "Device.Rule.*.",
    ] {
        assert_eq!(code(b.delete(object)), Code::INVALID_NAME, "{object}");
    }
    let long = "k".repeat(33);
    let writer = Writer::Acs { parameter_key: &long };
    assert_eq!(code(b.tree.add("Device.Rule.", writer)), Code::INVALID_ARGUMENTS);
    assert_eq!(code(b.tree.delete("Device.Rule.1.", writer)), Code::INVALID_ARGUMENTS);
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "1");
}

/// R-OBJ-9.
// Proves: R-OBJ-9
#[test]
fn a_row_is_added_with_an_alias() {
    let mut b = Bench::new();
    assert_eq!(b.add("Device.Rule.[first].").unwrap().0, 1);
    assert_eq!(b.value("Device.Rule.[first].Alias"), "first");
    for bad in ["first", "9th", "cpe-7", &"x".repeat(65)] {
        assert_eq!(code(b.add(&format!("Device.Rule.[{bad}]."))), Code::INVALID_ARGUMENTS, "{bad}");
    }
    assert_eq!(code(b.add("Device.Link.[x].")), Code::INVALID_NAME, "no Alias there");
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "1");
    assert_eq!(b.add("Device.Rule.").unwrap().0, 2, "what was refused used up no number");
}

/// R-SPV-18, R-OBJ-11.
// Proves: R-SPV-18, R-OBJ-11
#[test]
fn references_to_a_deleted_row_are_cleared() {
    let mut b = Bench::new();
    for _ in 0..12 {
        b.add("Device.Rule.").unwrap();
    }
    b.set(&[
        ("Device.Rule.2.Targets", "Device.Rule.1,Device.Port.1,Device.Rule.12"),
        ("Device.Rule.3.Targets", "Device.Rule.1"),
        ("Device.Rule.3.Text", "Device.R"),
    ])
    .unwrap();
    b.delete("Device.Rule.1.").unwrap();
    assert_eq!(b.value("Device.Rule.2.Targets"), "Device.Port.1,Device.Rule.12");
    assert_eq!(b.value("Device.Rule.3.Targets"), "");
    assert_eq!(b.value("Device.Rule.3.Text"), "Device.R");
}
