//! Trials that fail, are cut off, are too large, or meet another program: what a trial leaves then.

use super::*;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::model::trial::MAX_NAMES;
use crate::state::journal::MAX_VALUE;

const LINK: &str = "Device.Link.{i}. l0";

/// A change that cannot be made at the end of the session: all of the trial is taken back at once, and
/// waits for its owner to say so; nothing else is tried or confirmed meanwhile.
#[test]
fn a_trial_that_cannot_be_applied_is_over() {
    for (fails, undone) in [("commit", true), ("stage", false)] {
        let mut b = Trials::new();
        b.value("Device.Link.1.Note");
        let before = b.state();
        b.tree.begin_session();
        b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.ManagementServer.URL", "http://new/")], "k1")
            .unwrap();
        b.acs(&[("Device.Link.1.Note", "n"), ("Device.Port.1.Name", "x")], "k2").unwrap();
        b.two.borrow_mut().failing = texts(&[&format!("{fails} {LINK}")]);
        b.log();
        let notes = b.tree.end_session();
        assert!(
            notes[0].contains("a promised change failed: Device.Link.1.: it was told to fail"),
            "{notes:?}"
        );
        assert_eq!(b.info("Uplink"), "dsl");
        assert_eq!(b.one.borrow_mut().row("Device.Port.{i}. eth0")["Name"], "eth0");
        let log = b.log();
        assert_eq!(log.contains(&format!("undo {LINK}")), undone, "{log:?}");
        assert!(b.trial().failed.unwrap().contains("Device.Link.1."));
        assert_eq!(code(b.tree.confirm_trial(Batch::default())), Code::REQUEST_DENIED);
        assert_eq!(code(b.local(&[("Device.Info.Uplink", "radio")])), Code::REQUEST_DENIED);
        assert!(b.acs(&[("Device.Info.Count", "4")], "").is_ok());
        assert!(b.tree.trial().is_some(), "that confirmed nothing");

        // The next process finds the same.
        b.two.borrow_mut().failing.clear();
        b.log();
        let mut b = b.restart();
        assert!(b.trial().failed.is_some());
        assert!(b.log().is_empty(), "it is not made again");
        b.local(&[("Device.Info.Count", "3")]).unwrap();
        b.journal.borrow_mut().commit(Batch { ops: vec![("k".into(), Some(b"k2".to_vec()))] }).unwrap();
        let mut batch = Batch::default();
        batch.put("e/queue", "told");
        let back = b.tree.put_back_trial(batch);
        assert_eq!(back.notes, Vec::<String>::new());
        assert_eq!(back.names.len(), 4);
        assert_eq!(b.value("Device.Info.Count"), "3");
        b.journal.borrow_mut().commit(Batch { ops: vec![("v/Device.Info.Count".into(), None)] }).unwrap();
        assert_eq!(b.state(), before, "{fails}");
        assert_eq!((b.of_trial(), b.journal.borrow().text("e/queue")), (Vec::new(), Some("told")));
    }
}

/// What was undone already at the end of the session is not undone again by the same process; what could
/// not be is said once more.
#[test]
fn what_cannot_be_put_back_is_said() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n")], "k1").unwrap();
    b.two.borrow_mut().failing = texts(&[&format!("commit {LINK}")]);
    b.one.borrow_mut().failing = texts(&["undo Device.Info."]);
    let notes = b.tree.end_session();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].starts_with("Device.Info. could not be put back"), "{notes:?}");
    b.log();
    let back = b.put_back();
    assert_eq!(back.notes, notes[1..]);
    assert!(b.log().iter().all(|l| !l.starts_with("undo")));
    assert_eq!(b.tree.trial(), None);

    // A handler without undo: the rest is put back.
    let mut b = Trials::new();
    b.one.borrow_mut().one_way = true;
    b.local(&[("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n")]).unwrap();
    let back = b.put_back();
    assert_eq!(back.notes, ["Device.Info. cannot be put back"]);
    assert_eq!((b.info("Uplink"), b.link("Note")), ("fibre".into(), "old".into()));
}

/// Outside a session a change is made at once or refused, and a trial begins only with one that is made.
#[test]
fn a_local_change_that_fails_is_no_trial() {
    let mut b = Trials::new();
    b.value("Device.Link.1.Note");
    let before = b.state();
    b.two.borrow_mut().failing = texts(&[&format!("commit {LINK}")]);
    let list = [("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n"), ("Device.Info.Code", "c")];
    assert_eq!(code(b.local(&list)), Code::INTERNAL_ERROR);
    assert_eq!((b.tree.trial(), b.of_trial()), (None, Vec::new()));
    assert_eq!(b.state(), before);
}

/// A start makes what was promised, keeps what is in force with the time that has passed, and goes on
/// with what was being put back.
// Proves: R-SPV-9
#[test]
fn a_trial_outlives_the_process() {
    let mut b = Trials::new();
    b.tree.begin_session();
    let list = [("Device.Info.Uplink", "fibre"), ("Device.ManagementServer.URL", "http://new/")];
    b.acs(&list, "k1").unwrap();
    b.add("Device.Link.").unwrap();
    b.acs(&[("Device.Link.2.Note", "n")], "k2").unwrap();
    let promised = b.trial();
    assert!(!promised.applied);
    b.log();
    let mut b = b.restart();
    let log = b.log();
    assert!(
        log.contains(&"commit Device.Info.".to_owned()) && log.contains(&"session ended".to_owned()),
        "{log:?}"
    );
    assert_eq!(b.notes.len(), 3, "{:?}", b.notes);
    assert_eq!(b.info("Uplink"), "fibre");
    assert_eq!(b.value("Device.Link.2.Note"), "n");
    let trial = b.trial();
    assert_eq!((trial.applied, &trial.names, trial.failed), (true, &promised.names, None));

    // A power cut alone is no failure, and nothing is made again.
    b.tree.note_trial(75).unwrap();
    b.one.borrow_mut().row("Device.Info.").insert("Uplink".into(), "by hand".into());
    b.log();
    let mut b = b.restart();
    assert!(b.notes.is_empty() && b.log().is_empty(), "{:?}", b.notes);
    assert_eq!((b.trial().elapsed, b.trial().applied), (75, true));
    b.put_back();
    assert_eq!((b.info("Uplink"), b.of_trial()), ("dsl".into(), Vec::new()));
    assert_eq!(b.names("Device.Link.", true).unwrap(), ["Device.Link.1."]);

    // A URL has nothing to be made; its trial begins all the same.
    b.tree.begin_session();
    b.acs(&list[1..], "k3").unwrap();
    let mut b = b.restart();
    assert!(b.trial().applied && b.notes.is_empty());
    assert_eq!(b.value("Device.ManagementServer.URL"), "http://new/");
    b.put_back();
    assert_eq!(b.value("Device.ManagementServer.URL"), "http://old/");
}

/// What the journal could not hold is refused before it is made (9004); the names are bounded.
#[test]
fn a_trial_is_bounded() {
    let mut b = Trials::new();
    let long = "x".repeat(MAX_VALUE / 2);
    // A handler's value alone would fit; with the old one of the tree's own, which a put-back needs, not.
    b.local(&[("Device.Later.Text", &long), ("Device.Later.Own", &long)]).unwrap();
    b.tree.begin_session();
    for (name, value) in [("Device.Link.1.Number", "1"), ("Device.Later.Own", "short")] {
        let list = [("Device.Later.Text", long.as_str()), (name, value), ("Device.Info.Uplink", "fibre")];
        assert_eq!(code(b.acs(&list, "k")), Code::RESOURCES_EXCEEDED, "{name}");
        assert_eq!((b.tree.trial(), b.tree.has_promised()), (None, false));
        assert_eq!((b.info("Uplink"), b.key()), ("dsl".into(), None));
        assert_eq!(b.value("Device.Info.Uplink"), "dsl");
    }
    b.end();
    assert_eq!(
        code(b.local(&[
            ("Device.Later.Own", "short"),
            ("Device.Later.Text", "t"),
            ("Device.Info.Uplink", "fibre")
        ])),
        Code::RESOURCES_EXCEEDED
    );
    assert_eq!((b.tree.trial(), b.info("Uplink")), (None, "dsl".into()));
    assert_eq!(b.value("Device.Later.Text").len(), long.len());
    b.local(&[("Device.Later.Own", "")]).unwrap();
    // Two that are too large together: the second is refused before anything of it is made.
    b.local(&[("Device.Info.Uplink", "fibre"), ("Device.Later.Text", "t")]).unwrap();
    let half = "y".repeat(MAX_VALUE * 2 / 3);
    b.log();
    b.local(&[("Device.Info.Uplink", "radio"), ("Device.Later.Text", &half)]).unwrap_err();
    assert!(!b.log().iter().any(|l| l.starts_with("commit")));
    assert_eq!(b.info("Uplink"), "fibre");
    b.put_back();

    for _ in 0..MAX_NAMES {
        b.add("Device.Rule.").unwrap();
    }
    let names: Vec<String> = (1..=MAX_NAMES).map(|n| format!("Device.Rule.{n}.Text")).collect();
    let mut list: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "t")).collect();
    list.push(("Device.Info.Uplink", "fibre"));
    b.local(&list).unwrap();
    assert_eq!(b.trial().names.len(), MAX_NAMES);
    assert_eq!(b.put_back().names.len(), MAX_NAMES);
    assert_eq!(b.value("Device.Rule.7.Text"), "new");
}

// Proves: R-SYS-5
#[test]
fn a_factory_reset_forgets_the_trial() {
    let mut b = Trials::new();
    b.local(&[("Device.Info.Uplink", "fibre"), ("Device.ManagementServer.URL", "http://new/")]).unwrap();
    b.tree.note_trial(3).unwrap();
    let mut empty = Batch::default();
    b.journal.borrow().scan("").for_each(|(key, _)| empty.delete(key));
    b.journal.borrow_mut().commit(empty).unwrap();
    b.tree.forget();
    assert_eq!(b.tree.trial(), None);
    assert_eq!(b.put_back(), PutBack::default());
    assert_eq!(b.info("Uplink"), "fibre", "that is the platform's to reset");
    assert_eq!(b.value("Device.ManagementServer.URL"), "http://old/");
}

/// A record that is damaged at any byte stops nothing, and what is not whole is not made or put back.
#[test]
fn a_damaged_record_stops_nothing() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Info.Code", "c")], "k").unwrap();
    b.add("Device.Link.").unwrap();
    let whole = b.journal.borrow().get("t/trial").unwrap().to_vec();
    for cut in 0..whole.len() {
        let mut batch = Batch::default();
        batch.put("t/trial", &whole[..cut]);
        b.journal.borrow_mut().commit(batch).unwrap();
        b = b.restart();
        assert_eq!(b.notes.len(), 1, "{:?}", b.notes);
        assert_eq!((b.tree.trial(), b.of_trial()), (None, Vec::new()));
        assert_eq!(b.info("Uplink"), "dsl");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x81;
        let mut batch = Batch::default();
        batch.put("t/trial", bytes);
        b.journal.borrow_mut().commit(batch).unwrap();
        b = b.restart();
        b.put_back();
        assert_eq!(b.of_trial(), Vec::<String>::new(), "at {at}");
    }
}

/// A newer program that does not know a parameter any more puts back the rest.
#[test]
fn a_newer_program_puts_back_what_it_knows() {
    let mut b = Trials::new();
    b.local(&[("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n"), ("Device.Info.Code", "c")])
        .unwrap();
    let Bench { journal, one, two, .. } = b.into();
    let text = trial_model().replace("Note    = { type = \"string(8)\", write = true }\n", "");
    let (mut tree, notes) = sample::tree(&text, &journal, handlers(&one, &two));
    assert!(notes.iter().any(|n| n.contains("Device.Link.{i}.Note")), "{notes:?}");
    assert_eq!(tree.trial().unwrap().names, ["Device.Info.Uplink", "Device.Info.Code"]);
    tree.put_back_trial(Batch::default());
    assert_eq!(one.borrow_mut().row("Device.Info.")["Uplink"], "dsl");
    assert_eq!(tree.value("Device.Info.Code").as_deref(), Some("first"));
}

/// A newer program may have other types: what was promised and is no value any more is not made.
#[test]
fn what_is_no_value_any_more_is_not_made() {
    let mut b = Trials::new();
    b.tree.begin_session();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Link.1.Note", "n")], "k").unwrap();
    let Bench { journal, one, two, .. } = b.into();
    let text = trial_model().replace("Note    = { type = \"string(8)\"", "Note    = { type = \"enum(a,b)\"");
    let (tree, notes) = sample::tree(&text, &journal, handlers(&one, &two));
    assert!(
        notes.iter().any(|n| n.contains("Device.Link.1.Note: what was promised is no value")),
        "{notes:?}"
    );
    assert_eq!(two.borrow_mut().row(LINK)["Note"], "old");
    assert_eq!(one.borrow_mut().row("Device.Info.")["Uplink"], "fibre");
    assert!(tree.trial().unwrap().applied);
}

/// Looks into the journal when a handler is told to do something.
struct Looking(MemoryHandler, Rc<RefCell<Journal>>, Seen);

/// What was done, and the record then.
type Seen = Rc<RefCell<Vec<(String, Option<Vec<u8>>)>>>;

impl Looking {
    fn look(&self, what: &str) {
        let record = self.1.borrow().get("t/trial").map(<[u8]>::to_vec);
        self.2.borrow_mut().push((what.to_owned(), record));
    }
}

impl Handler for Looking {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        self.0.list(ctx, row, out)
    }
    fn get(&mut self, c: &Ctx<'_>, r: &Row<'_>, w: &[Want<'_>], out: &mut Fields) -> Result<(), Failure> {
        self.0.get(c, r, w, out)
    }
    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        self.0.stage(ctx, row, change)
    }
    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        self.look("commit");
        self.0.commit(ctx, row, change)
    }
    fn undo(&mut self, c: &Ctx<'_>, r: &Row<'_>, ch: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        self.look("undo");
        self.0.undo(c, r, ch, saved)
    }
}

/// What the undo needs is on disk before the first commit, and with what the row is then, not with what
/// it was when the change was promised; and before the first undo it is noted that it has begun.
#[test]
fn the_record_is_on_disk_first() {
    let b = Trials::new();
    let Bench { journal, one, two, .. } = b.into();
    let seen = Rc::default();
    let looking = |memory: &Rc<RefCell<Memory>>| -> Box<dyn Handler> {
        Box::new(Looking(MemoryHandler(memory.clone()), journal.clone(), Rc::clone(&seen)))
    };
    let natives = vec![("one", looking(&one)), ("two", looking(&two))];
    let handlers = Handlers { by_kind: Vec::new(), natives };
    let (mut tree, _) = sample::tree(&trial_model(), &journal, handlers);
    tree.set_trials(true);
    tree.begin_session();
    let entry = ParameterValue { name: "Device.Info.Uplink".into(), value: "fibre".into(), xsi_type: None };
    tree.set(&[entry], Writer::Acs { parameter_key: "k" }).unwrap();
    one.borrow_mut().row("Device.Info.").insert("Uplink".into(), "just before".into());
    assert!(tree.end_session().is_empty());
    let holds = |record: &[u8], text: &str| record.windows(text.len()).any(|w| w == text.as_bytes());
    let (what, record) = seen.borrow_mut().remove(0);
    let record = record.unwrap();
    assert_eq!(what, "commit");
    assert!(holds(&record, "just before") && !holds(&record, "dsl"));
    assert_ne!(journal.borrow().get("t/trial").unwrap(), record, "and afterwards, that it is done");
    tree.put_back_trial(Batch::default());
    let (what, record) = seen.borrow_mut().remove(0);
    assert_eq!(what, "undo");
    assert!(holds(&record.unwrap(), "being put back"));
    assert_eq!(one.borrow_mut().row("Device.Info.")["Uplink"], "just before");
}

/// Without a disk a transaction on trial is refused whole, and what is on trial stays so.
#[test]
fn without_a_disk_nothing_goes_on_trial() {
    let dir = std::env::temp_dir().join(format!("cwmpd-trial-{}", std::process::id()));
    std::fs::write(&dir, "in the way of a folder").unwrap();
    let mut b = Trials::new();
    b.value("Device.Link.1.Note");
    b.local(&[("Device.Info.Uplink", "fibre")]).unwrap();
    let mut broken = Journal::open(&dir.join("state")).unwrap();
    let all = b.journal.borrow().scan("").map(|(k, v)| (k.to_owned(), Some(v.to_vec()))).collect();
    broken.commit(Batch { ops: all }).unwrap_err();
    b.journal = Rc::new(RefCell::new(broken));
    let mut b = b.restart();
    let (trial, before) = (b.trial(), b.state());
    for session in [false, true] {
        if session {
            b.tree.begin_session();
        }
        let list = [("Device.Info.Uplink", "radio"), ("Device.Info.Code", "c")];
        assert_eq!(code(b.local(&list)), Code::INTERNAL_ERROR);
        assert_eq!(code(b.acs(&list, "k")), Code::INTERNAL_ERROR);
        assert_eq!(code(b.delete("Device.Link.1.")), Code::INTERNAL_ERROR);
        assert_eq!(code(b.tree.confirm_trial(Batch::default())), Code::INTERNAL_ERROR);
        assert_eq!((b.trial(), b.state()), (trial.clone(), before.clone()), "in a session: {session}");
        assert_eq!(b.value("Device.Info.Uplink"), "fibre");
    }
    b.end();
    // To put back cannot be refused: it holds in memory.
    b.put_back();
    assert_eq!((b.tree.trial(), b.info("Uplink")), (None, "dsl".into()));
    std::fs::remove_file(dir).unwrap();
}

/// A row and its values in one transaction: the values are staged by nobody, and to take the row away is
/// to take them back.
#[test]
fn a_row_that_comes_with_its_values_is_put_back_with_them() {
    use crate::model::intent::Op;
    use crate::model::trial::Group;
    let mut b = Trials::new();
    b.value("Device.Link.1.Note");
    let before = b.state();
    b.tree.begin_session();
    b.add("Device.Link.").unwrap();
    b.set(&[("Device.Link.2.Note", "n")]).unwrap();
    let record = b.tree.trial.as_mut().unwrap();
    let later = record.groups.pop().unwrap();
    let Some(Group { changes, kept, .. }) = record.groups.first_mut() else { panic!("one is left") };
    changes.extend(later.changes);
    kept.extend(later.kept);
    assert!(matches!(changes.iter().map(|c| &c.op).collect::<Vec<_>>()[..], [Op::Add, Op::Set(_)]));
    b.log();
    b.end();
    let asked: Vec<String> = b.log().into_iter().filter(|l| l.contains("k2")).collect();
    assert_eq!(
        asked,
        ["stage Device.Link.{i}. k2", "commit Device.Link.{i}. k2", "commit Device.Link.{i}. k2"]
    );
    assert_eq!(b.value("Device.Link.2.Note"), "n");
    let mut b = b.restart();
    b.put_back();
    assert_eq!(b.log().iter().filter(|l| l.starts_with("undo")).count(), 1);
    assert_eq!(b.state(), before);
}
