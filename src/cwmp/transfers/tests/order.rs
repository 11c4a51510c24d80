use super::*;

// Proves
#[test]
fn in_the_order_of_their_times_x10_x11() {
    let mut q = queue(&[delayed("later", 60), delayed("soon", 5), download("now"), upload("then")], at(100));
    let start = Now { mono: Duration::from_millis(100_001), ..at(100) };
    assert_eq!(q.next(), Some(at(100).mono));
    assert_eq!(q.next_work(at(100), false), work(3, Task::Fetch), "at once");
    assert_eq!(q.next_work(start, false), None, "one at a time");
    assert_eq!(q.failed(3, fault(Code::CONTACT_SERVER), start), Outcome::Done);
    assert_eq!(q.next_work(start, false), work(4, Task::Send));
    assert_eq!(q.reached(4, Step::Done, start), Outcome::Done);
    assert_eq!(q.next_work(start, false), None);
    assert_eq!(q.next(), Some(at(105).mono));
    let almost = Now { mono: Duration::from_millis(104_999), ..at(104) };
    assert_eq!(q.next_work(almost, true), None, "not before its time");
    // Both are due now: the one that was due first.
    assert_eq!(q.next_work(at(200), false), work(2, Task::Fetch));
    q.failed(2, fault(Code::CONTACT_SERVER), at(200));
    assert_eq!(q.next_work(at(200), false), work(1, Task::Fetch));
    q.failed(1, fault(Code::CONTACT_SERVER), at(200));
    assert_eq!((q.next_work(at(200), false), q.next()), (None, None));
}

#[test]
fn step_by_step() {
    let mut q = queue(&[download("first"), download("second")], at(0));
    let mut journal = Journal::default();
    journal.write(&mut q);
    for (task, under_way, end) in [
        (Task::Fetch, Step::Fetching, Step::Fetched),
        (Task::Verify, Step::Fetched, Step::Verified),
        (Task::Apply, Step::Applying, Step::Done),
    ] {
        assert_eq!(q.next_work(at(10), false), work(1, task), "what has begun goes first");
        assert_eq!(q.get(1).map(|t| t.step), Some(under_way));
        assert_eq!(q.working().map(|t| t.number), Some(1));
        assert_eq!(q.next_work(at(11), false), None);
        let expected = if end == Step::Done { Outcome::Done } else { Outcome::Goes };
        assert_eq!(q.reached(1, end, at(20)), expected);
        assert_eq!(q.get(1).map(|t| t.step), Some(end));
        assert!(journal.write(&mut q) > 0, "each step is recorded");
        assert!(!q.is_busy());
    }
    assert_eq!(q.next_work(at(20), false), work(2, Task::Fetch));
    // Nothing comes twice, and nobody is confused by a worker that comes late.
    assert_eq!(q.reached(1, Step::Fetched, at(21)), Outcome::Gone);
    assert_eq!(q.failed(1, fault(Code::FILE_CORRUPTED), at(21)), Outcome::Gone);
    assert_eq!(q.failed(77, fault(Code::FILE_CORRUPTED), at(21)), Outcome::Gone);
    assert_eq!(q.get(1).and_then(|t| t.fault.clone()), None);
    assert_eq!(q.working().map(|t| t.number), Some(2));
}

/// Whatever it failed with, and in whatever step.
// Proves: X-13
#[test]
fn a_failed_transfer_is_not_tried_again_x13() {
    for steps in 0..3 {
        for asked in [download("k"), upload("k")] {
            let mut q = queue(&[asked], at(0));
            for step in [Step::Fetched, Step::Verified].into_iter().take(steps) {
                q.next_work(at(0), false);
                q.reached(1, step, at(0));
            }
            q.next_work(at(0), false);
            assert_eq!(q.failed(1, fault(Code::CONTACT_SERVER), at(1)), Outcome::Done);
            for later in [1, HOUR, 24 * HOUR] {
                assert_eq!(q.next_work(at(later), true), None);
            }
            assert_eq!(q.next(), None);
        }
    }
}

/// Another one is under way for hours: what could not be tried within an hour of its time has failed.
// Proves: X-12
#[test]
fn begun_within_an_hour_or_failed_x12() {
    let mut q = queue(&[download("long"), download("d"), upload("u"), delayed("later", 60)], at(0));
    assert_eq!(q.next_work(at(0), false), work(1, Task::Fetch));
    assert_eq!(q.next(), Some(Duration::from_millis(HOUR * 1000 + 1)));
    assert_eq!(q.next_work(at(HOUR), false), None);
    assert_eq!(q.queued().iter().filter(|t| t.state == Progress::NotYetStarted).count(), 3);
    let late = Now { mono: Duration::from_millis(HOUR * 1000 + 1), ..at(HOUR) };
    assert_eq!(q.next_work(late, false), None);
    let ends = |q: &Queue, n| q.get(n).and_then(|t| Some((t.step, t.fault.clone()?)));
    let (step, why) = ends(&q, 2).expect("a fault");
    assert_eq!((step, why.code), (Step::Done, Code::TRANSFER_FAILURE));
    assert!(why.text.contains("could not begin"), "{}", why.text);
    assert_eq!(ends(&q, 3).map(|(s, f)| (s, f.code)), Some((Step::Done, Code::UPLOAD_FAILURE)));
    assert_eq!(q.get(4).map(|t| t.step), Some(Step::Queued));
    assert_eq!(q.get(1).map(|t| t.step), Some(Step::Fetching), "what has begun may take its time");
    // The hour counts from the time that was asked for.
    q.reached(1, Step::Fetched, at(HOUR + 60));
    assert_eq!(q.next_work(at(HOUR + 60), false), work(1, Task::Verify));
    q.failed(1, fault(Code::FILE_CORRUPTED), at(HOUR + 60));
    assert_eq!(q.next_work(at(HOUR + 60), false), work(4, Task::Fetch));
}

// Proves: X-28
#[test]
fn one_key_two_transfers_x28() {
    let mut q = queue(&[download("k"), download("k")], at(0));
    for number in [1, 2] {
        assert_eq!(q.next_work(at(0), false), work(number, Task::Fetch));
        q.failed(number, fault(Code::ACCESS_FILE), at(0));
    }
    assert_eq!(q.queued().len(), 2);
}

/// A queue with one transfer in this step.
fn in_step(asked: Asked, step: Step) -> Queue {
    let mut q = queue(&[asked], at(0));
    for reached in [Step::Fetched, Step::Verified, Step::Done] {
        if q.get(1).is_some_and(|t| t.step == step) {
            return q;
        }
        q.next_work(at(0), true);
        if q.get(1).is_some_and(|t| t.step == step) {
            return q;
        }
        q.reached(1, reached, at(0));
    }
    q
}

// Proves
#[test]
fn cancelled_while_it_can_be_stopped_x41_x42() {
    for (step, expected) in [
        (Step::Queued, Ok(vec![1])),
        (Step::Fetching, Ok(vec![1])),
        (Step::Fetched, Ok(vec![1])),
        (Step::Verified, Ok(vec![1])),
        (Step::Applying, Err(9021)),
        (Step::Done, Err(9021)),
    ] {
        let window = window(0, 100, Mode::AtAnyTime);
        for asked in [download("k"), scheduled("k", &[window])] {
            let mut q = in_step(asked, step);
            assert_eq!(q.get(1).map(|t| t.step), Some(step));
            let mut journal = Journal::default();
            journal.write(&mut q);
            assert_eq!(q.cancel("K"), Ok(vec![]), "an unknown key does nothing");
            assert_eq!(journal.write(&mut q), 0);
            assert_eq!(q.cancel("k").map_err(|f| f.code.0), expected, "{step:?}");
            journal.write(&mut q);
            assert_eq!(journal.0.is_empty(), expected.is_ok(), "{step:?}");
            // Nothing is told of one that is gone, not even by a worker that comes late.
            if expected.is_ok() {
                assert_eq!(q.reached(1, Step::Done, at(1)), Outcome::Gone);
                let mut events = crate::cwmp::events::Queue::default();
                q.follow_events(&mut events);
                assert!(events.is_empty());
                assert!(!q.is_busy());
            }
        }
    }
}

/// All with the key or none; others are left alone, and so is what was asked for at the device.
// Proves: X-41
#[test]
fn all_with_the_key_or_none_x41() {
    let local = Asked { origin: Origin::Local, ..download("k") };
    let mut q = queue(&[download("k"), download("other"), upload("k"), local], at(0));
    q.next_work(at(0), false);
    for step in [Step::Fetched, Step::Verified] {
        q.reached(1, step, at(0));
        q.next_work(at(0), false);
    }
    assert_eq!(q.get(1).map(|t| t.step), Some(Step::Applying));
    assert_eq!(q.cancel("k").map_err(|f| f.code.0), Err(9021));
    assert_eq!(q.all().count(), 4);
    q.reached(1, Step::Done, at(0));
    q.tell(&[crate::cwmp::rpc::Event { code: "M Download".into(), command_key: "k".into() }]);
    q.reported(1);
    assert_eq!(q.cancel("k"), Ok(vec![3]));
    assert_eq!(q.all().map(|t| t.number).collect::<Vec<_>>(), [2, 4]);
}

// Proves
#[test]
fn what_is_queued_x43_x44() {
    let local = Asked { origin: Origin::Local, ..upload("") };
    let mut q = queue(&[download("done"), download("runs"), local, upload("waits")], at(0));
    q.next_work(at(0), false);
    q.note_found(1, Found { size: Some(u64::MAX), ..Found::default() });
    q.failed(1, fault(Code::FILE_CORRUPTED), at(0));
    q.next_work(at(0), false);
    let list = q.queued();
    let shown: Vec<_> = list
        .iter()
        .map(|t| {
            (t.command_key.as_str(), t.state, t.origin, t.is_download, t.file_type.as_str(), t.file_size)
        })
        .collect();
    let (acs, local, image) = (Origin::Acs, Origin::Local, "1 Firmware Upgrade Image");
    let config = "3 Vendor Configuration File";
    assert_eq!(
        shown,
        [
            ("done", Progress::Completed, acs, true, image, u32::MAX),
            ("runs", Progress::InProgress, acs, true, image, 1000),
            ("", Progress::NotYetStarted, local, false, config, 0),
            ("waits", Progress::NotYetStarted, acs, false, config, 0),
        ]
    );
    assert!(list.iter().all(|t| t.target_file_name == "../../etc/passwd"));
    // An upload's types have other numbers in a list of both.
    for (file_type, listed) in [
        ("2 Vendor Log File", "4 Vendor Log File"),
        ("3 Vendor Configuration File 2", "6 Vendor Configuration File 2"),
        ("4 Vendor Log File 3", "7 Vendor Log File 3"),
        ("X 00D09E Trace", "X 00D09E Trace"),
    ] {
        let asked = Asked { file_type: file_type.to_string(), ..upload("") };
        assert_eq!(types::in_lists(&asked), listed);
    }
}

/// One that is being applied goes on and is not told; what a person asked for stays.
#[test]
fn a_new_acs_has_no_transfers() {
    let local = Asked { origin: Origin::Local, ..upload("") };
    for step in [Step::Queued, Step::Fetching, Step::Fetched, Step::Verified, Step::Applying, Step::Done] {
        let mut q = in_step(download("k"), step);
        q.ask(local.clone(), at(0)).expect("good");
        let mut journal = Journal::default();
        journal.write(&mut q);
        let gone = q.forget_former();
        assert_eq!(gone.contains(&1), step != Step::Applying, "{step:?}");
        assert!(!gone.contains(&2));
        assert_eq!(q.queued().len(), 1);
        restart(&mut q, &mut journal, false, at(1));
        if step == Step::Applying {
            assert_eq!(q.cancel("k"), Ok(vec![]), "it is none of the new ACS's");
            assert_eq!(q.next_work(at(1), false), None, "it may still run");
            assert_eq!(q.resume(1, Resumed::Applied, at(2)), Outcome::Gone);
        }
        assert_eq!(q.next_work(at(2), false), work(2, Task::Send));
    }
}

/// Never the number of one that is there, or whose worker may still speak.
#[test]
fn numbers_are_not_used_again() {
    let mut q = Queue::default();
    let mut last = 0;
    for _ in 0..100 {
        let number = q.ask(download("k"), at(0)).expect("good");
        assert_eq!(number, last + 1);
        last = number;
        q.cancel("k").expect("it waits");
    }
    q.ask(download("k"), at(0)).expect("good");
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, false, at(0));
    assert_eq!(q.ask(download("k"), at(0)), Ok(last + 2));
}

/// A new image proves itself after its boot: nothing else begins until its end is known.
// Proves: X-21
#[test]
fn what_a_start_finds_being_applied_x21() {
    let failed = Resumed::Failed(fault(Code::FILE_CORRUPTED));
    for (found, outcome, code) in [
        (Resumed::Applied, Outcome::Done, Some(0)),
        (failed, Outcome::Done, Some(9018)),
        (Resumed::Again, Outcome::Goes, None),
        (Resumed::Runs, Outcome::Goes, None),
    ] {
        let mut q = in_step(download("k"), Step::Applying);
        q.ask(upload("next"), at(0)).expect("good");
        let mut journal = Journal::default();
        restart(&mut q, &mut journal, true, at(0));
        assert_eq!(q.next_work(at(1), false), None);
        assert_eq!(q.resume(1, found.clone(), at(2)), outcome);
        let t = q.get(1).expect("it is there");
        let ended = (t.step == Step::Done).then(|| t.fault.as_ref().map_or(0, |f| f.code.0));
        assert_eq!(ended, code);
        match found {
            Resumed::Again => assert_eq!(q.next_work(at(2), false), work(1, Task::Apply)),
            Resumed::Runs => {
                assert_eq!(q.next_work(at(2), false), None);
                assert_eq!(q.reached(1, Step::Done, at(3)), Outcome::Done);
            }
            _ => assert_eq!(q.next_work(at(2), false), work(2, Task::Send)),
        }
        assert_eq!(
            q.resume(1, Resumed::Applied, at(4)),
            if code.is_none() && found == Resumed::Again { Outcome::Done } else { Outcome::Gone }
        );
    }
}
