//! What carries the ACS session is tried out: promised, applied, confirmed or put back.

use super::*;
use crate::model::request::SetAttributes;
use crate::model::schema::{Platform, SourceKind, flag};
use crate::model::trial::{PutBack, Trial};
use crate::state::journal::Batch;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

pub(super) fn trial_model() -> String {
    let more = r#"
["Device.ManagementServer."]
URL      = { type = "URL", store = "http://old/", write = true, uplink = true }
Username = { type = "string", store = "", write = true, uplink = true }
Password = { type = "string", store = "", write = true, hidden = true, uplink = true }

["Device.Link.{i}.Sub."]
Text = { type = "string", native = "two", write = true }

["Device.Link.{i}.Hop.{i}."]
store = ""
create = true
Text = { type = "string", store = "", write = true }

["Device.Later."]
Refs = { type = "list(ref())", store = "", write = true }
Text = { type = "string", native = "one", write = true, after_session = true }
Own  = { type = "string", store = "", write = true }
"#;
    let link = "[\"Device.Link.{i}.\"]\nnative  = \"two\"\n";
    let text = model().replace(link, &format!("{link}uplink = true\nNumber = {{ type = \"string(8)\", write = true }}\nTo = {{ type = \"list(ref())\", write = true }}\n"));
    let text = text.replace("Lower   =", "To = { type = \"ref()\", write = true }\nLower   =");
    let text = text.replace("write = true, after_session = true }", "write = true, uplink = true }");
    format!("{text}{more}")
}

/// A tree that tries changes out.
pub(super) struct Trials(pub(super) Bench);

impl From<Trials> for Bench {
    fn from(trials: Trials) -> Bench {
        trials.0
    }
}

impl Deref for Trials {
    type Target = Bench;
    fn deref(&self) -> &Bench {
        &self.0
    }
}

impl DerefMut for Trials {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.0
    }
}

impl Trials {
    pub(super) fn new() -> Trials {
        Trials(Bench::new()).restart()
    }

    pub(super) fn restart(self) -> Trials {
        let Bench { journal, one, two, .. } = self.0;
        let (mut tree, notes) = sample::tree(&trial_model(), &journal, handlers(&one, &two));
        tree.set_trials(true);
        Trials(Bench { tree, journal, one, two, notes })
    }

    pub(super) fn trial(&self) -> Trial {
        self.tree.trial().expect("something is on trial")
    }

    pub(super) fn info(&self, name: &str) -> String {
        self.one.borrow_mut().row("Device.Info.")[name].clone()
    }

    pub(super) fn link(&self, name: &str) -> String {
        self.two.borrow_mut().row("Device.Link.{i}. l0").get(name).cloned().unwrap_or_default()
    }

    pub(super) fn acs(&mut self, list: &[(&str, &str)], key: &str) -> Result<Status, Fault> {
        self.set_as(list, Writer::Acs { parameter_key: key })
    }

    pub(super) fn local(&mut self, list: &[(&str, &str)]) -> Result<Status, Fault> {
        self.set_as(list, Writer::Local)
    }

    pub(super) fn end(&mut self) {
        let notes = self.tree.end_session();
        assert_eq!(notes, Vec::<String>::new());
    }

    pub(super) fn put_back(&mut self) -> PutBack {
        self.tree.put_back_trial(Batch::default())
    }

    pub(super) fn confirm(&mut self) {
        self.tree.confirm_trial(Batch::default()).unwrap();
    }

    /// Everything that a trial may change: rows, keys, and the tree's own values.
    pub(super) fn state(&self) -> State {
        let journal = self.journal.borrow();
        let mut own: Vec<(String, Vec<u8>)> = Vec::new();
        for kind in ["v/", "l/", "a/", "k"] {
            own.extend(journal.scan(kind).map(|(key, value)| (key.to_owned(), value.to_vec())));
        }
        // What is empty was made by asking.
        let held = |m: &Rc<RefCell<Memory>>| {
            let (mut rows, mut keys) = (m.borrow().rows.clone(), m.borrow().keys.clone());
            rows.retain(|_, row| !row.is_empty());
            keys.retain(|_, keys| !keys.is_empty());
            (rows, keys)
        };
        (held(&self.one), held(&self.two), own)
    }

    pub(super) fn of_trial(&self) -> Vec<String> {
        self.journal.borrow().scan("t/").map(|(key, _)| key.to_owned()).collect()
    }
}

type Held = (BTreeMap<String, BTreeMap<String, String>>, BTreeMap<String, Vec<String>>);
pub(super) type State = (Held, Held, Vec<(String, Vec<u8>)>);

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
            let mut b = Trials::new();
            b.tree.set_trials(false);
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

/// What is so already goes on no trial, so that who sets it in every session is not asked again and again.
#[test]
fn what_is_so_already_goes_on_no_trial() {
    let same = [("Device.Info.Uplink", "fibre"), ("Device.ManagementServer.URL", "http://old/")];
    let mut b = Trials::new();
    b.local(&same[..1]).unwrap();
    b.confirm();
    b.tree.begin_session();
    assert_eq!(b.acs(&same, ""), Ok(Status::AtSessionEnd));
    assert_eq!(b.tree.trial(), None);
    b.acs(&[("Device.Info.Uplink", "dsl")], "").unwrap();
    assert!(b.tree.trial().is_some());
    b.acs(&same, "").unwrap();
    b.end();
    assert_eq!(b.info("Uplink"), "fibre", "in the order they were set");
}

/// All that a transaction on trial asks of handlers waits for the end of the session, and reads as it
/// will be; what the tree keeps itself is in force with the answer.
// Proves: R-SPV-8, R-SPV-9, R-SPV-10, R-SPV-24
#[test]
fn the_whole_transaction_waits_for_the_end_of_the_session() {
    let mut b = Trials::new();
    let before = b.state();
    b.tree.begin_session();
    let list = [
        ("Device.Info.Uplink", "fibre"),
        ("Device.Port.1.Name", "x"),
        ("Device.Link.1.Note", "n"),
        ("Device.Info.Code", "c"),
        ("Device.Port.2.Alias", "second"),
        ("Device.ManagementServer.URL", "http://new/"),
    ];
    assert_eq!(b.acs(&list, "k1"), Ok(Status::AtSessionEnd));
    assert!(b.tree.has_promised());
    for (path, value) in list {
        assert_eq!(b.value(path), value, "R-SPV-10: {path}");
    }
    assert_eq!((b.state().0, b.state().1), (before.0.clone(), before.1.clone()), "nothing is done yet");
    assert_eq!(b.key().as_deref(), Some("k1"));
    b.end();
    assert!(!b.tree.has_promised());
    assert_eq!((b.info("Uplink"), b.link("Note")), ("fibre".into(), "n".into()));
    assert_eq!(b.one.borrow_mut().row("Device.Port.{i}. eth0")["Name"], "x");
    assert!(b.trial().applied);

    let back = b.put_back();
    assert_eq!(back.notes, Vec::<String>::new());
    assert_eq!(back.names.len(), list.len());
    assert_eq!(b.state(), before);
    assert_eq!(b.tree.trial(), None);
    assert_eq!(b.of_trial(), Vec::<String>::new());
    assert_eq!(b.value("Device.Port.[cpe-2].Alias"), "cpe-2");
    assert_eq!(b.restart().state(), before);
}

/// What was confirmed stays, with the batch that came with it; without a disk nothing is confirmed.
#[test]
fn what_is_confirmed_stays() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Info.Code", "c")], "k1").unwrap();
    // The session's own Inform is older than the promise: it says nothing of it.
    b.confirm();
    assert!(!b.trial().applied);
    b.end();
    let mut batch = Batch::default();
    batch.put("e/queue", "told");
    b.tree.note_trial(30).unwrap();
    b.tree.confirm_trial(batch).unwrap();
    assert_eq!(b.tree.trial(), None);
    assert_eq!(b.put_back(), PutBack::default());
    let mut b = b.restart();
    assert_eq!((b.tree.trial(), b.of_trial()), (None, Vec::new()));
    assert_eq!(b.journal.borrow().text("e/queue"), Some("told"));
    assert_eq!((b.info("Uplink"), b.value("Device.Info.Code")), ("fibre".into(), "c".into()));
    assert_eq!(b.key().as_deref(), Some("k1"));
    // With nothing on trial the batch is written all the same.
    let mut batch = Batch::default();
    batch.put("e/queue", "again");
    b.tree.confirm_trial(batch.clone()).unwrap();
    assert_eq!(b.journal.borrow().text("e/queue"), Some("again"));
    batch.put("e/queue", "back");
    b.tree.put_back_trial(batch);
    assert_eq!(b.journal.borrow().text("e/queue"), Some("back"));
}

/// I-9, I-4: what is put back is news to the ACS, who was told of the new value by its own hand.
#[test]
fn what_is_put_back_is_told() {
    let mut b = Trials::new();
    let watch = |name: &str| SetAttributes { name: name.into(), notification: Some(2), access_list: None };
    b.tree.set_attributes(&[watch("Device.Info.Uplink"), watch("Device.ManagementServer.URL")]).unwrap();
    b.tree.sweep();
    b.tree.begin_session();
    let list = [
        ("Device.Info.Uplink", "fibre"),
        ("Device.Info.Code", "c"),
        ("Device.ManagementServer.URL", "http://new/"),
    ];
    b.set(&list).unwrap();
    b.end();
    assert_eq!(b.tree.changed(), Vec::<String>::new());
    b.put_back();
    assert!(b.tree.sweep().active);
    let mut changed = b.tree.changed();
    changed.sort_unstable();
    assert_eq!(changed, ["Device.Info.Code", "Device.Info.Uplink", "Device.ManagementServer.URL"]);
}

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
    assert_eq!(b.set(&list), Ok(Status::AtSessionEnd));
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
        let told: Vec<String> =
            b.journal.borrow().scan("r/Device.Link.1.").map(|(k, _)| k.to_owned()).collect();
        assert!(!told.is_empty());
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
        let again: Vec<String> =
            b.journal.borrow().scan("r/Device.Link.1.").map(|(k, _)| k.to_owned()).collect();
        assert_eq!(again, told);
        assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.1."]);
        assert_eq!(
            b.names("Device.Link.1.Hop.", true).unwrap(),
            ["Device.Link.1.Hop.1.", "Device.Link.1.Hop.2."]
        );
        assert_eq!(b.value("Device.Link.1.Hop.2.Text"), "hop");
        for kind in ["v/", "l/", "a/", "r/", "i/"] {
            assert_eq!(b.journal.borrow().scan(&format!("{kind}Device.Link.2.")).count(), 0, "{kind}");
        }
        assert_eq!(b.add("Device.Link.").unwrap().0, 3, "R-OBJ-6");
        assert_eq!(b.add("Device.Link.1.Hop.").unwrap().0, 3, "R-OBJ-6");
    }
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
    b.confirm();
    assert!(!b.trial().applied);
    b.end();
    b.put_back();
    assert_eq!(b.info("Uplink"), "fibre");
}

/// What the tree keeps itself is put back where it is still what the trial made of it.
// Proves: R-GEN-6
#[test]
fn what_others_set_since_stays() {
    let mut b = Trials::new();
    b.acs(&[("Device.Info.Code", "first of all")], "k0").unwrap();
    b.tree.begin_session();
    let list = [
        ("Device.Info.Uplink", "fibre"),
        ("Device.Info.Code", "c"),
        ("Device.Info.Count", "7"),
        ("Device.Port.1.Alias", "one"),
        ("Device.Port.2.Alias", "two"),
    ];
    b.acs(&list, "k1").unwrap();
    // The ACS goes on in the same session with what carries nothing.
    b.acs(&[("Device.Info.Count", "8"), ("Device.Port.1.Alias", "uno")], "k2").unwrap();
    b.end();
    b.local(&[("Device.Info.Code", "d")]).unwrap();
    b.put_back();
    assert_eq!(b.info("Uplink"), "dsl");
    for (path, value) in [
        ("Device.Info.Code", "d"),
        ("Device.Info.Count", "8"),
        ("Device.Port.1.Alias", "uno"),
        ("Device.Port.2.Alias", "cpe-2"),
    ] {
        assert_eq!(b.value(path), value, "{path}");
    }
    assert_eq!(b.key().as_deref(), Some("k2"), "R-GEN-6: that transaction stands");
    // Of several transactions on trial each puts back its own key.
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre")], "k3").unwrap();
    b.acs(&[("Device.Info.Uplink", "radio")], "k4").unwrap();
    b.end();
    b.put_back();
    assert_eq!(b.key().as_deref(), Some("k2"));
    // The first key of all: there was none.
    let mut b = Trials::new();
    b.acs(&[("Device.ManagementServer.URL", "http://new/")], "k1").unwrap();
    b.put_back();
    assert_eq!((b.key(), b.value("Device.ManagementServer.URL")), (None, "http://old/".into()));
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

/// The rows of the standard's data model that carry the session, as far as they may be written.
#[test]
fn the_rows_that_carry_the_session() {
    let schema = crate::model::builtin::builtin();
    let mut marked = Vec::new();
    for id in 0..schema.params.len() as u16 {
        let param = schema.param(id);
        let source = param.source(Platform::Linux).map(|s| s.kind);
        if param.has(flag::UPLINK) && param.is_writable(Platform::Linux) && source != Some(SourceKind::Alias)
        {
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
            "Device.WiFi.SSID.{i}.Enable",
        ]
    );
}
