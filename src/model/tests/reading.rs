use super::*;

// Proves: R-SPV-23, R-GPV-9, R-OBJ-10
#[test]
fn values_of_every_source() {
    let mut b = Bench::new();
    for (path, value) in [
        ("Device.RootDataModelVersion", "2.19"),
        ("Device.Info.Model", "router"),
        ("Device.Info.UpTime", "77"),
        ("Device.Info.Code", "first"),
        // R-GPV-9, R-SPV-19
        ("Device.Info.Secret", ""),
        // R-SPV-23
        ("Device.Info.Reset", "false"),
        // DM-3
        ("Device.PortNumberOfEntries", "3"),
        ("Device.RuleNumberOfEntries", "0"),
        // R-OBJ-10
        ("Device.Port.2.Alias", "cpe-2"),
        ("Device.Port.2.Speed", "100"),
        ("Device.Port.3.Stats.Bytes", "18446744073709551615"),
        // What a source does not fill is neutral.
        ("Device.Port.3.Stats.Limit", "0"),
        ("Device.Link.1.Port", ""),
    ] {
        assert_eq!(b.value(path), value, "{path}");
    }
}

/// R-GPV-8.
// Proves: R-GPV-8
#[test]
fn values_carry_the_types_of_the_model() {
    let mut b = Bench::new();
    let mut selection = b.tree.values(&texts(&["Device.Port.1."])).unwrap();
    let mut types = Vec::new();
    while b.tree.next(&mut selection, &mut |item| {
        if let Item::Value { xsi_type, .. } = item {
            types.push(xsi_type);
        }
    }) {}
    let all = ["boolean", "string", "string", "int", "string", "unsignedLong", "unsignedInt"];
    assert_eq!(types, all.map(|t| format!("xsd:{t}")));
}

/// R-GPV-1, 2, 3, 6, DM-1: what names there are, and how many values they give.
// Proves: R-GPV-1, R-GPV-2, R-GPV-3, R-GPV-6
#[test]
fn names_of_a_request() {
    let mut b = Bench::new();
    let all = b.values(&["Device."]).unwrap();
    assert_eq!(b.values(&[""]).unwrap(), all);
    for (name, count) in [
        ("Device.Info.", 8),
        ("Device.Port.", 21),
        ("Device.Port.2.", 7),
        ("Device.Port.2.Stats.", 2),
        ("Device.Port.*.Name", 3),
        ("Device.Port.*.Stats.", 6),
        ("Device.Port.*.", 21),
        ("Device.Port.[cpe-3].Name", 1),
        ("Device.Rule.", 0),
        ("Device.Rule.*.Text", 0),
        ("Device.Rule.*.Item.*.Text", 0),
        ("Device.Rule.*.Item.7.Text", 0),
        ("Device.Empty.", 0),
    ] {
        assert_eq!(b.values(&[name]).unwrap().len(), count, "{name}");
    }
}

/// R-GPV-4, R-GPN-4, DM-1.
// Proves: R-GEN-3, R-GPV-4, R-GPN-4
#[test]
fn unknown_names_are_9005_and_are_named() {
    let mut b = Bench::new();
    for name in [
        "Device.Nope",
        "Device.Info",
        "Device.Info.model",
        "Device.Info.Model.",
        // Not on this platform.
        "Device.Info.Gone",
        "Device.Port.4.",
        "Device.Port.4.Name",
        "Device.Port.1",
        "Device.Port.Name",
        "Device.Port.[nobody].Name",
        "Device.Rule.1.Item.",
        "Device.Info.*.",
        "Device.1.",
        "InternetGatewayDevice.",
        "Device..",
        ".",
        "*",
    ] {
        let fault = b.values(&["Device.Info.Model", name]).unwrap_err();
        assert_eq!(fault.code, Code::INVALID_NAME, "{name}");
        assert!(fault.text.contains(name), "{}", fault.text);
        assert_eq!(code(b.names(name, false)), Code::INVALID_NAME, "{name}");
    }
    assert_eq!(code(b.values(&[])), Code::INVALID_ARGUMENTS);
    let many = vec!["Device."; 20_000];
    assert_eq!(code(b.values(&many)), Code::RESOURCES_EXCEEDED); // R-GEN-3
}

/// Whoever does not ask for aliases is told numbers: the agent itself, and shells.
// Proves: N-11, N-13
#[test]
fn an_alias_is_answered_with_the_number() {
    let mut b = Bench::new();
    let want = ("Device.Port.3.Name".to_owned(), "wan".to_owned());
    assert_eq!(b.values(&["Device.Port.[cpe-3].Name"]).unwrap(), [want]);
    let names = b.names("Device.Port.[cpe-3].", true).unwrap();
    assert!(names.contains(&"Device.Port.3.Stats.".to_owned()), "{names:?}");
}

#[test]
fn names_are_answered_in_order_and_as_often_as_asked() {
    let mut b = Bench::new();
    let asked = ["Device.Port.2.Name", "Device.Port.2.Speed", "Device.Port.1.Name", "Device.Port.2.Name"];
    let got: Vec<String> = b.values(&asked).unwrap().into_iter().map(|p| p.0).collect();
    assert_eq!(got, asked);
}

/// One question to each handler for each row, however many parameters of it are asked.
#[test]
fn rows_are_read_whole() {
    let mut b = Bench::new();
    b.values(&["Device.Port.1.Name"]).unwrap();
    b.one.borrow_mut().log.clear();
    b.values(&["Device.Port.1.Name", "Device.Port.1.Speed", "Device.Port.1.Enable"]).unwrap();
    let log = b.one.borrow().log.clone();
    assert_eq!(log.iter().filter(|l| l.starts_with("get")).count(), 1, "{log:?}");
}

/// R-GPN-1, 2, 5, 7, 8, 9.
// Proves: R-GPN-1, R-GPN-2, R-GPN-3, R-GPN-5, R-GPN-7, R-GPN-8, R-GPN-9
#[test]
fn names_of_a_level_and_of_a_tree() {
    let mut b = Bench::new();
    let cases: &[(&str, bool, &[&str])] = &[
        ("", true, &["Device."]),
        ("Device.Port.", true, &["Device.Port.1.", "Device.Port.2.", "Device.Port.3."]),
        (
            "Device.Port.1.",
            true,
            &[
                "Device.Port.1.Enable",
                "Device.Port.1.Alias",
                "Device.Port.1.Name",
                "Device.Port.1.Speed",
                "Device.Port.1.Lower",
                "Device.Port.1.Stats.",
            ],
        ),
        (
            "Device.Port.1.Stats.",
            false,
            &["Device.Port.1.Stats.", "Device.Port.1.Stats.Bytes", "Device.Port.1.Stats.Limit"],
        ),
        ("Device.Rule.", true, &[]),
        ("Device.Rule.", false, &["Device.Rule."]),
        ("Device.Empty.", true, &[]),
        ("Device.Empty.", false, &["Device.Empty."]),
        ("Device.Port.1.Name", false, &["Device.Port.1.Name"]),
        ("Device.Port.*.Name", false, &["Device.Port.1.Name", "Device.Port.2.Name", "Device.Port.3.Name"]),
        (
            "Device.Link.",
            false,
            &["Device.Link.", "Device.Link.1.", "Device.Link.1.Note", "Device.Link.1.Port"],
        ),
        ("Device.Link.1.", false, &["Device.Link.1.", "Device.Link.1.Note", "Device.Link.1.Port"]),
    ];
    for (path, next_level, want) in cases {
        assert_eq!(b.names(path, *next_level).unwrap(), *want, "{path} {next_level}");
    }
    let root = b.names("Device.", true).unwrap();
    for name in
        ["Device.RootDataModelVersion", "Device.Info.", "Device.Port.", "Device.Rule.", "Device.Empty."]
    {
        assert!(root.iter().any(|n| n == name), "{name} in {root:?}");
    }
    assert!(!root.contains(&"Device.".to_owned()));
    let whole = b.names("", false).unwrap();
    assert_eq!(whole.first().map(String::as_str), Some("Device."));
    assert_eq!(b.names("Device.", false).unwrap(), whole);
    // R-GPN-3
    assert_eq!(code(b.names("Device.Info.Model", true)), Code::INVALID_ARGUMENTS);
}

/// R-GPN-6.
// Proves: R-GPN-6
#[test]
fn writable_says_what_can_be_done() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    let selection = b.tree.names("Device.", false).unwrap();
    let all = pairs(&mut b.tree, selection);
    for (path, writable) in [
        ("Device.", "false"),
        ("Device.Info.", "false"),
        ("Device.Info.Model", "false"),
        ("Device.Info.Code", "true"),
        ("Device.Port.", "false"),
        ("Device.Port.1.", "false"),
        ("Device.Port.1.Name", "true"),
        ("Device.Rule.", "true"),
        ("Device.Rule.1.", "true"),
        ("Device.Rule.1.Item.", "true"),
    ] {
        assert!(all.contains(&(path.into(), writable.into())), "{path} {writable}");
    }
}

/// Every name that GetParameterNames lists can be read, and the other way round.
#[test]
fn what_is_listed_is_readable() {
    let mut b = Bench::new();
    b.tree.begin_session();
    b.add("Device.Rule.").unwrap();
    b.add("Device.Rule.1.Item.").unwrap();
    let names = b.names("Device.", false).unwrap();
    let leaves: Vec<&String> = names.iter().filter(|n| !n.ends_with('.')).collect();
    let values: Vec<String> = b.values(&["Device."]).unwrap().into_iter().map(|p| p.0).collect();
    assert_eq!(leaves, values.iter().collect::<Vec<_>>());
    for name in names {
        assert!(b.values(&[&name]).is_ok(), "{name}");
    }
}

#[test]
fn instances_are_fixed_in_a_session_until_names_are_asked() {
    let mut b = Bench::new();
    b.tree.begin_session();
    assert_eq!(b.value("Device.PortNumberOfEntries"), "3");
    b.one.borrow_mut().keys.get_mut("Device.Port.{i}.").unwrap()[1] = "new".into();
    b.one.borrow_mut().rows.remove("Device.Port.{i}. eth1");
    // The row that went away reads neutral; the new one is not there yet.
    assert_eq!(b.value("Device.Port.2.Name"), "");
    assert_eq!(b.value("Device.Port.2.Speed"), "0");
    assert_eq!(code(b.values(&["Device.Port.4.Name"])), Code::INVALID_NAME);
    // A walk over another table changes nothing.
    b.names("Device.Link.", false).unwrap();
    assert_eq!(b.value("Device.Port.2.Name"), "");
    assert_eq!(
        b.names("Device.Port.", true).unwrap(),
        ["Device.Port.1.", "Device.Port.3.", "Device.Port.4."]
    );
    assert_eq!(code(b.values(&["Device.Port.2.Name"])), Code::INVALID_NAME);
    assert!(b.values(&["Device.Port.4.Name"]).is_ok());
    b.tree.end_session();
    // Outside a session every RPC looks afresh.
    b.one.borrow_mut().keys.get_mut("Device.Port.{i}.").unwrap().push("eth1".into());
    assert_eq!(b.names("Device.Port.", true).unwrap().len(), 4);
    assert!(b.values(&["Device.Port.2.Name"]).is_ok(), "a key that comes back has its old number");
}

/// Who lists a table and then asks for the names below each instance, one by one, finds each of them.
#[test]
fn an_instance_that_names_name_stays_as_it_was_listed() {
    let mut b = Bench::new();
    b.tree.begin_session();
    assert_eq!(b.names("Device.Port.", true).unwrap().len(), 3);
    b.one.borrow_mut().keys.get_mut("Device.Port.{i}.").unwrap()[1] = "new".into();
    for path in ["Device.Port.1.", "Device.Port.2.", "Device.Port.3."] {
        assert!(!b.names(path, true).unwrap().is_empty(), "{path}");
    }
    assert!(b.values(&["Device.Port.2.Name"]).is_ok());
    // One that came meanwhile is found all the same, and then the table is as it is now.
    assert!(!b.names("Device.Port.4.", true).unwrap().is_empty());
    assert_eq!(code(b.names("Device.Port.2.", true)), Code::INVALID_NAME);
}

/// R-OBJ-6: numbers belong to keys, whatever the order, and outlive the process where they are kept.
#[test]
fn numbers_stay_with_their_keys() {
    let mut b = Bench::new();
    assert_eq!(b.value("Device.Port.3.Name"), "wan");
    b.value("Device.SeenNumberOfEntries");
    b.one
        .borrow_mut()
        .keys
        .insert("Device.Port.{i}.".into(), texts(&["wan", "eth0", "usb", "usb", "", "eth1"]));
    b.two.borrow_mut().keys.insert("Device.Seen.{i}.".into(), texts(&["c", "b"]));
    assert_eq!(b.value("Device.Port.3.Name"), "wan");
    assert_eq!(b.names("Device.Port.", true).unwrap().len(), 4, "doubles and empty keys are left out");
    assert_eq!(b.names("Device.Seen.", true).unwrap(), ["Device.Seen.2.", "Device.Seen.3."]);
    b.one.borrow_mut().keys.insert("Device.Port.{i}.".into(), texts(&["new", "wan"]));
    let mut b = b.restart();
    assert_eq!(b.names("Device.Port.", true).unwrap(), ["Device.Port.3.", "Device.Port.5."]);
    assert_eq!(
        b.names("Device.Seen.", true).unwrap(),
        ["Device.Seen.1.", "Device.Seen.2."],
        "volatile: begins anew"
    );
}

/// New numbers are on disk before an answer that shows them leaves, in one batch.
#[test]
fn numbers_are_durable_before_the_answer() {
    let mut b = Bench::new();
    b.tree.begin_rpc();
    let selection = b.tree.names("Device.Port.", true).unwrap();
    assert!(b.journal.borrow().get("i/Device.Port.").is_some());
    drop(selection);
}

/// What handlers refer to by key is read as a path.
#[test]
fn references_become_paths() {
    let mut b = Bench::new();
    let to = |key: &str| ("Device.Port.{i}.".to_owned(), vec![key.to_owned()]);
    b.one
        .borrow_mut()
        .references
        .insert("Device.Port.{i}. wan Lower".into(), vec![to("eth1"), to("nobody"), to("eth0")]);
    b.two.borrow_mut().references.insert("Device.Link.{i}. l0 Port".into(), vec![to("wan")]);
    assert_eq!(b.value("Device.Port.3.Lower"), "Device.Port.2,Device.Port.1");
    assert_eq!(b.value("Device.Link.1.Port"), "Device.Port.3");
}

#[test]
fn a_source_that_fails_reads_neutral_and_harms_nobody() {
    let mut b = Bench::new();
    b.one.borrow_mut().failing = texts(&["get Device.Port.{i}. eth1", "list Device.Rule.{i}."]);
    assert_eq!(b.value("Device.Port.2.Name"), "");
    assert_eq!(b.value("Device.Port.1.Name"), "eth0");
    b.one.borrow_mut().failing = texts(&["list Device.Port.{i}."]);
    assert_eq!(b.value("Device.PortNumberOfEntries"), "0");
}

#[test]
fn a_selection_can_begin_again() {
    let mut b = Bench::new();
    let mut selection = b.tree.values(&texts(&["Device.Port.", "Device.Info.Model"])).unwrap();
    for _ in 0..2 {
        assert!(b.tree.next(&mut selection, &mut |_| {}));
    }
    selection.rewind();
    assert_eq!(pairs(&mut b.tree, selection).len(), 22);
}

/// R-GPV-10: while an answer is under way nothing it walks over changes under it.
// Proves: R-GPV-10
#[test]
fn an_answer_holds_what_it_counted() {
    let mut b = Bench::new();
    let mut selection = b.tree.values(&texts(&["Device.Port."])).unwrap();
    assert!(b.tree.next(&mut selection, &mut |_| {}));
    b.one.borrow_mut().keys.clear();
    assert_eq!(b.names("Device.Port.", true).unwrap().len(), 3);
    assert_eq!(code(b.tree.add("Device.Rule.", Writer::Local)), Code::REQUEST_DENIED);
    let mut count = 5; // the first row has five parameters
    while b.tree.next(&mut selection, &mut |_| count += 1) {}
    assert_eq!(count, selection.count);
    assert!(b.names("Device.Port.", true).unwrap().is_empty());
    assert!(b.tree.add("Device.Rule.", Writer::Local).is_ok());
}

#[test]
fn the_agent_reads_what_the_acs_may_not() {
    let mut b = Bench::new();
    assert_eq!(b.tree.value("Device.Info.Secret").as_deref(), Some("s3cret"));
    assert_eq!(b.tree.value("Device.Info.Nope"), None);
    b.tree.store(&[("Device.Info.Secret", "other"), ("Device.Info.Count", "07")]).unwrap();
    assert_eq!(b.tree.value("Device.Info.Secret").as_deref(), Some("other"));
    assert_eq!(b.value("Device.Info.Count"), "7");
    assert_eq!(
        code(b.tree.store(&[("Device.Info.Count", "9"), ("Device.Info.Count", "11")])),
        Code::INVALID_VALUE
    );
    assert_eq!(b.value("Device.Info.Count"), "7");
    assert_eq!(code(b.tree.store(&[("Device.Info.Model", "x")])), Code::INVALID_NAME);
    assert_eq!(b.tree.forced_inform(), ["Device.RootDataModelVersion"]);
}
