//! A trial is promised, applied, and confirmed or put back.

use super::*;
use crate::model::request::SetAttributes;

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
    // From now on what is read is what there is.
    b.two.borrow_mut().row("Device.Link.{i}. l0").insert("Note".into(), "by hand".into());
    assert_eq!(b.value("Device.Link.1.Note"), "by hand");

    b.log();
    let back = b.put_back();
    let log = b.log();
    // Services take over what is put back.
    let (undone, ended) = (log.iter().position(|l| l == "undo Device.Info."), "session ended".to_owned());
    assert!(log.iter().position(|l| *l == ended) > undone && undone.is_some(), "{log:?}");
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
    assert_eq!(b.tree.changed(usize::MAX), Vec::<String>::new());
    b.put_back();
    assert!(b.tree.sweep());
    let mut changed = b.tree.changed(usize::MAX);
    changed.sort_unstable();
    assert_eq!(changed, ["Device.Info.Code", "Device.Info.Uplink", "Device.ManagementServer.URL"]);
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

/// Put back in the session in which it was promised, nothing was ever done, and nothing of it is shown.
#[test]
fn a_promise_is_put_back_in_its_session() {
    let mut b = Trials::new();
    b.value("Device.Link.1.Note");
    let before = b.state();
    b.tree.begin_session();
    b.acs(&[("Device.Later.Text", "later")], "k0").unwrap();
    b.acs(&[("Device.Info.Uplink", "fibre"), ("Device.Port.1.Name", "x")], "k1").unwrap();
    b.add("Device.Link.").unwrap();
    b.delete("Device.Link.1.").unwrap();
    assert_eq!(b.names("Device.Link.", false).unwrap().len(), 1 + 5 + 4);
    b.log();
    b.put_back();
    assert!(b.log().is_empty());
    assert_eq!((b.value("Device.Info.Uplink"), b.value("Device.Port.1.Name")), ("dsl".into(), "eth0".into()));
    assert_eq!(b.value("Device.Later.Text"), "later", "that was promised besides");
    assert_eq!(b.value("Device.LinkNumberOfEntries"), "1");
    assert_eq!(b.value("Device.Link.1.Note"), "old");
    assert_eq!((b.state().0, b.state().1), (before.0, before.1));
    b.end();
    assert_eq!((b.info("Uplink"), b.tree.trial()), ("dsl".into(), None));
}
