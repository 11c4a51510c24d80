//! Which transactions go on trial, join the open one, or confirm it.

use super::*;
use crate::model::schema::{Platform, SourceKind, flag};

/// Which transactions go on trial, what is said of it, and what the ACS is answered.
#[test]
fn what_carries_the_session_goes_on_trial() {
    const UPLINK: (&str, &str) = ("Device.Info.Uplink", "fibre");
    const URL: (&str, &str) = ("Device.ManagementServer.URL", "http://new/");
    const USER: (&str, &str) = ("Device.ManagementServer.Username", "me");
    const CODE: (&str, &str) = ("Device.Info.Code", "c");
    // Path, acs, credentials.
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<(bool, bool, bool)>, Status);
    let cases: &[Case<'_>] = &[
        (&[CODE], None, Status::Applied),
        (&[("Device.Later.Text", "x")], None, Status::AtSessionEnd),
        (&[("Device.Port.1.Alias", "a")], None, Status::Applied),
        (&[UPLINK], Some((true, false, false)), Status::AtSessionEnd),
        (&[URL], Some((false, true, false)), Status::Applied),
        (&[USER], Some((false, false, true)), Status::Applied),
        (&[("Device.ManagementServer.Password", "s")], Some((false, false, true)), Status::Applied),
        (&[CODE, URL, UPLINK], Some((true, true, false)), Status::AtSessionEnd),
        (&[("Device.Link.1.Number", "7")], Some((true, false, false)), Status::AtSessionEnd),
    ];
    for (list, expected, status) in cases {
        for session in [true, false] {
            let mut b = Trials::new();
            if session {
                b.tree.begin_session();
            }
            let status = if session { *status } else { Status::Applied };
            assert_eq!(b.set(list), Ok(status), "{list:?}");
            let Some(expected) = expected else {
                assert_eq!(b.tree.trial(), None, "{list:?}");
                continue;
            };
            let trial = b.trial();
            assert_eq!((trial.path, trial.acs, trial.credentials), *expected, "{list:?}");
            assert_eq!((trial.applied, trial.failed), (!session, None), "{list:?}");
            let mut names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
            let mut told: Vec<&str> = trial.names.iter().map(String::as_str).collect();
            names.sort_unstable();
            told.sort_unstable();
            assert_eq!(told, names);
            b.end();
            assert!(b.trial().applied);
            // And without trials, as ever.
            let mut b = Trials::untried();
            if session {
                b.tree.begin_session();
            }
            b.set(list).unwrap();
            assert_eq!(b.tree.trial(), None, "{list:?}");
            b.end();
            assert_eq!(b.of_trial(), Vec::<String>::new());
        }
    }
}

/// An ACS that sets in every session what there is already has no trial in every session.
#[test]
fn what_is_so_already_is_no_trial() {
    let mut b = Trials::new();
    b.tree.begin_session();
    let uplink = [("Device.Info.Uplink", "dsl"), ("Device.Info.Code", "c")];
    assert_eq!(b.acs(&uplink, "k1"), Ok(Status::AtSessionEnd), "as ever");
    let url = [("Device.ManagementServer.URL", "http://old/"), ("Device.ManagementServer.Password", "")];
    assert_eq!(b.acs(&url, "k2"), Ok(Status::Applied));
    assert_eq!(b.tree.trial(), None);
    b.acs(&[("Device.ManagementServer.Password", "s")], "k3").unwrap();
    b.end();
    b.confirm();
    b.tree.begin_session();
    // Hidden or not: it is what it was.
    b.acs(&[uplink[0], ("Device.ManagementServer.Password", "s")], "k4").unwrap();
    assert_eq!(b.tree.trial(), None);
    b.acs(&[uplink[0], ("Device.ManagementServer.Password", "t")], "k5").unwrap();
    assert!(b.trial().credentials);
    b.end();
    b.put_back();
    assert_eq!(b.tree.value("Device.ManagementServer.Password").as_deref(), Some("s"));
    // What is promised is what there is to be: in the order they were set.
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre")], "k6").unwrap();
    assert!(b.tree.trial().is_some());
    b.acs(&[("Device.Info.Uplink", "dsl")], "k7").unwrap();
    b.end();
    assert_eq!(b.info("Uplink"), "dsl");
}

/// An ACS that was asked by what was there before: its transactions confirm nothing, and join what is on trial.
#[test]
fn a_session_that_began_too_early_confirms_nothing() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Port.1.Name", "x")], "k1").unwrap();
    b.end();
    b.tree.begin_session();
    b.tree.hold_trial();
    b.acs(&[("Device.Info.Code", "z")], "k2").unwrap();
    assert!(b.trial().applied);
    b.acs(&[("Device.Port.1.Name", "y")], "k3").unwrap();
    b.acs(&[("Device.Info.Uplink", "radio")], "k4").unwrap();
    b.end();
    b.put_back();
    assert_eq!(b.info("Uplink"), "dsl", "as before both");
    // That holds for this session alone.
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre")], "k5").unwrap();
    b.end();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Code", "y")], "k6").unwrap();
    assert!(b.tree.trial().is_none());
}

/// The ACS could make a later transaction only because the path works: it confirms what is in force. One
/// that was refused proves nothing, and a local one neither.
#[test]
fn a_later_transaction_of_the_acs_confirms() {
    type Later = fn(&mut Trials) -> bool;
    let cases: &[(&str, Later, bool)] = &[
        ("a set", |b| b.acs(&[("Device.Info.Code", "z")], "k2").is_ok(), true),
        ("an empty set", |b| b.acs(&[], "k2").is_ok(), true),
        ("a new row", |b| b.add("Device.Rule.").is_ok(), true),
        ("what the trial has set", |b| b.acs(&[("Device.Port.1.Name", "y")], "k2").is_ok(), true),
        ("a refused set", |b| b.acs(&[("Device.Info.Count", "z")], "k2").is_ok(), false),
        ("a refused row", |b| b.add("Device.Port.").is_ok(), false),
        ("a local set", |b| b.local(&[("Device.Info.Code", "z")]).is_ok(), false),
    ];
    for (what, later, confirms) in cases {
        let mut b = Trials::new();
        b.tree.begin_session();
        b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Port.1.Name", "x")], "k1").unwrap();
        // In the same session it is only promised.
        b.acs(&[("Device.Info.Count", "4")], "k1").unwrap();
        assert!(b.tree.trial().is_some(), "{what}");
        b.end();
        b.tree.note_trial(15).unwrap();
        b.tree.begin_session();
        later(&mut b);
        b.end();
        assert_eq!(b.tree.trial().is_none(), *confirms, "{what}");
        assert_eq!(b.of_trial().is_empty(), *confirms, "{what}");
        assert_eq!(b.put_back().names.is_empty(), *confirms);
        assert_eq!(b.info("Uplink"), if *confirms { "fibre" } else { "dsl" }, "{what}");
    }
    // A new trial has its own time.
    let mut b = Trials::new();
    b.local(&[("Device.Info.Uplink", "fibre")]).unwrap();
    b.tree.note_trial(15).unwrap();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "radio")], "k2").unwrap();
    assert_eq!((b.trial().applied, b.trial().elapsed), (false, 0));
    let mut b = b.restart();
    assert_eq!((b.trial().applied, b.trial().elapsed), (true, 0));
    b.put_back();
    assert_eq!(b.info("Uplink"), "fibre", "what was confirmed is what is put back");
}

/// What must be made in the order of the trial's changes joins it, and is put back newest first; what
/// has nothing to do with it is made as ever.
#[test]
fn what_touches_the_trial_joins_it() {
    type Next = fn(&mut Trials) -> Status;
    let cases: &[(&str, bool, Next)] = &[
        ("another row", false, |b| b.acs(&[("Device.Port.2.Name", "y")], "k2").unwrap()),
        ("a value of the tree in the same row", false, |b| {
            b.acs(&[("Device.Port.1.Alias", "y")], "k2").unwrap()
        }),
        ("the same row", true, |b| b.acs(&[("Device.Port.1.Name", "y")], "k2").unwrap()),
        ("a row below one of the trial's", false, |b| {
            b.acs(&[("Device.Port.1.Stats.Limit", "9")], "k2").unwrap()
        }),
        ("the same row, locally", true, |b| b.local(&[("Device.Port.1.Speed", "9")]).unwrap()),
        ("a handler's reference to a new row", true, |b| {
            b.acs(&[("Device.Port.3.To", "Device.Link.2")], "k2").unwrap()
        }),
        ("what lies below a new row", true, |b| b.acs(&[("Device.Link.2.Sub.Text", "z")], "k2").unwrap()),
        ("what carries the session", true, |b| b.local(&[("Device.Info.Uplink", "radio")]).unwrap()),
    ];
    for (what, joins, next) in cases {
        let mut b = Trials::new();
        b.value("Device.Link.1.Note");
        let before = b.state();
        b.tree.begin_session();
        b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Port.1.Name", "x")], "k1").unwrap();
        b.add("Device.Link.").unwrap();
        let one = b.trial().names.len();
        let status = next(&mut b);
        assert_eq!(status == Status::AtSessionEnd, *joins, "{what}");
        let more = b.trial().names.len();
        b.end();
        let done = b.state();
        b.log();
        let back = b.put_back();
        assert_eq!(back.notes, Vec::<String>::new());
        let after = b.state();
        if *joins {
            assert!(more >= one, "{what}");
            assert_eq!(after, before, "{what}");
        } else {
            assert_eq!(more, one, "{what}");
            assert_ne!(after, before, "{what}: stays");
            assert_ne!(after, done, "{what}");
        }
    }
}

/// A local change while a trial is in force: one of what carries the session joins, its time goes on, and
/// all of it is put back newest first.
#[test]
fn a_local_change_joins_what_is_in_force() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n")], "k1").unwrap();
    b.end();
    b.tree.note_trial(60).unwrap();
    assert_eq!(b.local(&[("Device.Info.Uplink", "radio")]), Ok(Status::Applied));
    assert_eq!(b.local(&[("Device.Info.Code", "c")]), Ok(Status::Applied));
    assert_eq!(b.info("Uplink"), "radio");
    let trial = b.trial();
    assert_eq!((trial.elapsed, trial.applied), (60, true));
    assert_eq!(trial.names, ["Device.Info.Uplink", "Device.Link.1.Note"]);
    let mut b = b.restart();
    assert_eq!(b.trial(), trial);
    // While a session is under way it waits: what is in force can be confirmed without it.
    b.tree.begin_session();
    assert_eq!(b.local(&[("Device.Info.Uplink", "wave")]), Ok(Status::AtSessionEnd));
    b.log();
    let mut c = b.restart();
    assert_eq!(c.info("Uplink"), "wave");
    c.log();
    c.put_back();
    let undone: Vec<String> = c.log().into_iter().filter(|l| l.starts_with("undo")).collect();
    let info = "undo Device.Info.".to_owned();
    assert_eq!(undone, [info.clone(), info.clone(), info, "undo Device.Link.{i}. l0".to_owned()]);
    assert_eq!((c.info("Uplink"), c.link("Note")), ("dsl".into(), "old".into()));
    assert_eq!(c.value("Device.Info.Code"), "c");

    let mut b = c;
    b.local(&[("Device.Info.Uplink", "fibre")]).unwrap();
    b.tree.begin_session();
    b.local(&[("Device.Info.Uplink", "radio")]).unwrap();
    b.tree.note_trial(50).unwrap();
    b.confirm();
    assert_eq!((b.trial().applied, b.trial().elapsed), (false, 0));
    b.end();
    assert_eq!((b.trial().applied, b.trial().elapsed), (true, 0));
    let mut b = b.restart();
    assert_eq!((b.trial().applied, b.trial().elapsed), (true, 0));
    b.put_back();
    assert_eq!(b.info("Uplink"), "fibre");
}

/// The rows of the standard's data model that carry the session, as far as they may be written.
#[test]
fn the_rows_that_carry_the_session() {
    let schema = crate::model::builtin::builtin();
    let mut marked = Vec::new();
    for id in 0..schema.params.len() as u16 {
        let param = schema.param(id);
        let source = param.source(Platform::Linux).map(|s| s.kind);
        let own = source.is_some_and(|kind| kind != SourceKind::Alias);
        if param.has(flag::UPLINK) && param.is_writable(Platform::Linux) && own {
            assert!(param.has(flag::AFTER_SESSION));
            marked.push(format!("{}{}", param.object().path(), param.name()));
        }
        // Whatever waits for the end of the session does so because it carries it.
        assert_eq!(param.has(flag::AFTER_SESSION), param.has(flag::UPLINK), "{}", param.name());
    }
    assert_eq!(
        marked,
        [
            "Device.Bridging.Bridge.{i}.Enable",
            "Device.Bridging.Bridge.{i}.AgingTime",
            "Device.Bridging.Bridge.{i}.Port.{i}.PathCost",
            "Device.Bridging.Bridge.{i}.Port.{i}.Priority",
            "Device.Bridging.Bridge.{i}.STP.Enable",
            "Device.Bridging.Bridge.{i}.STP.BridgePriority",
            "Device.Bridging.Bridge.{i}.STP.HelloTime",
            "Device.Bridging.Bridge.{i}.STP.MaxAge",
            "Device.Bridging.Bridge.{i}.STP.ForwardingDelay",
            "Device.Ethernet.Interface.{i}.Enable",
            "Device.Ethernet.LAG.{i}.Enable",
            "Device.Ethernet.VLANTermination.{i}.Enable",
            "Device.IP.IPv6Enable",
            "Device.IP.Interface.{i}.IPv6Enable",
            "Device.IP.Interface.{i}.MaxMTUSize",
            "Device.ManagementServer.URL",
            "Device.ManagementServer.Username",
            "Device.ManagementServer.Password",
            "Device.NeighborDiscovery.InterfaceSetting.{i}.DADTransmits",
            "Device.USB.Interface.{i}.Enable",
            "Device.WiFi.SSID.{i}.Enable",
        ]
    );
}
