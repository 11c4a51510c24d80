use super::*;

/// A transfer of which everything is known.
fn full() -> (Queue, Journal) {
    let w = |start, end, mode| Window {
        user_message: "May\tI?\n\\é".to_string(),
        max_retries: Some(u32::MAX),
        ..window(start, end, mode)
    };
    let windows = [w(0, 500, Mode::ConfirmationNeeded), w(600, 700, Mode::WhenIdle)];
    let mut q = queue(&[scheduled("key\t\n", &windows)], at(100));
    q.confirm("key\t\n");
    q.next_work(at(110), true);
    q.failed(1, Fault::new(Code::CONTACT_SERVER, "no\troute\n"), at(111));
    q.note_found(
        1,
        Found {
            size: Some(5_000_000_000),
            version: Some("2.0".to_string()),
            version_before: Some("1.0".to_string()),
            bank_before: Some("a".to_string()),
            bank: Some("b".to_string()),
        },
    );
    let mut journal = Journal::default();
    journal.write(&mut q);
    (q, journal)
}

// Proves: X-45
#[test]
fn all_comes_back_x45() {
    let (q, journal) = full();
    let mut again = journal.start(false, at(112));
    assert_eq!(
        again.all().collect::<Vec<_>>(),
        q.all()
            .map(|t| {
                // What only this process knows.
                let mut t = t.clone();
                t.begun = None;
                t
            })
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    assert!(again.records().is_empty(), "and nothing is written for it");
}

#[test]
fn only_what_changed_is_written() {
    let mut q = queue(&[download("a"), download("b")], at(0));
    assert_eq!(q.records().len(), 4);
    assert!(q.records().is_empty());
    q.next_work(at(0), false);
    let keys: Vec<String> = q.records().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["1"]);
    q.cancel("b").expect("it waits");
    assert_eq!(q.records(), [("2".to_string(), None), ("2/secret".to_string(), None)]);
}

/// In one record of their own, and gone as soon as nothing is fetched with them any more.
// Proves: X-33
#[test]
fn credentials_are_forgotten_x33() {
    for (asked, until) in [
        (download("k"), Step::Applying),
        (upload("k"), Step::Done),
        (scheduled("k", &[window(0, 100, Mode::AtAnyTime)]), Step::Done),
    ] {
        let upload = !asked.method.is_download();
        let mut q = queue(&[asked], at(0));
        let mut journal = Journal::default();
        let ends = if upload { &[Step::Done][..] } else { &[Step::Fetched, Step::Verified, Step::Done] };
        for end in ends {
            for ended in [false, true] {
                match ended {
                    false => drop(q.next_work(at(0), false)),
                    true => drop(q.reached(1, *end, at(0))),
                }
                restart(&mut q, &mut journal, false, at(0));
                let t = q.get(1).expect("it is there").clone();
                let needed = t.step < until;
                assert_eq!(t.asked.username.is_empty(), !needed, "{:?}", t.step);
                assert_eq!(journal.keys().contains(&"1/secret"), needed);
                let shown = format!("{q:?}");
                assert!(!shown.contains("word") && !shown.contains("sesame"), "{shown}");
                let secret = |(key, text): &&(String, String)| key == "1" && text.contains("word");
                assert_eq!(journal.0.iter().find(secret), None);
                // The restart took the worker with it.
                if t.step == Step::Queued || t.step == Step::Applying {
                    match t.step {
                        Step::Applying => drop(q.resume(1, Resumed::Runs, at(0))),
                        _ => drop(q.next_work(at(0), false)),
                    }
                }
            }
        }
        assert_eq!(q.get(1).map(|t| t.step), Some(Step::Done));
    }
    // A failure is an end, too; and without any there is no record.
    let mut q = queue(&[download("k")], at(0));
    q.next_work(at(0), false);
    q.failed(1, fault(Code::SERVER_AUTHENTICATION), at(0));
    let mut journal = Journal::default();
    journal.write(&mut q);
    assert_eq!(journal.keys(), ["1"]);
}

/// Cut anywhere, or a byte of it wrong: it never panics, the ACS is told, and nothing is begun with half
/// of what it asked for.
// Proves: X-21
#[test]
fn a_damaged_record_is_told_x21() {
    let (whole, journal) = full();
    let asked = whole.get(1).expect("it is there").asked.clone();
    let text = journal.0.iter().find(|(key, _)| key == "1").map(|(_, text)| text.clone()).expect("a record");
    let mut told = 0;
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let mut q = Queue::from_records([("1", &text[..end])].into_iter(), end % 2 == 0, at(120));
        let Some(t) = q.all().next().cloned() else {
            assert!(end < "method\tScheduleDownload".len(), "one with its method is told: {end}");
            continue;
        };
        assert_eq!(
            (t.step, t.fault.as_ref().map(|f| f.code)),
            (Step::Done, Some(Code::INTERNAL_ERROR)),
            "{end}"
        );
        assert!(asked.command_key.starts_with(&t.asked.command_key));
        assert_eq!(q.next_work(at(121), true), None);
        told += 1;
    }
    assert!(told > 200);
    // Changed at any byte it is done, or told, and never panics.
    for place in 0..text.len() {
        for byte in [b'\t', b'9', b'\\'] {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = byte;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let mut q = Queue::from_records([("1", changed.as_str())].into_iter(), place % 2 == 0, at(120));
            q.next_work(at(121), true);
            let _ = (q.next(), q.queued(), q.records());
        }
    }
}

#[test]
fn others_records_are_bounded() {
    let (_, journal) = full();
    let text = journal.0[0].1.clone();
    let many: Vec<(String, String)> = (0..1000).map(|n| (n.to_string(), text.clone())).collect();
    let mut q = Queue::from_records(many.iter().map(|(k, v)| (k.as_str(), v.as_str())), false, at(200));
    let numbers: Vec<u32> = q.all().map(|t| t.number).collect();
    assert_eq!(numbers, (1..=MAX_TRANSFERS as u32).collect::<Vec<_>>());
    assert_eq!(q.records().len(), 1000 - MAX_TRANSFERS, "the others are deleted");

    let long = "é".repeat(100_000);
    let mut damaged = format!("method\tUpload\nkey\t{long}\nurl\t{long}\nname\t{long}\ntype\t{long}\n");
    damaged +=
        &format!("received\t{}\nwall\t{}\npast\t{}\nattempts\t{}\n", i64::MIN, i64::MIN, u64::MAX, u32::MAX);
    for junk in [damaged.as_str(), "", "whole\n", "method\tTelepathy\nwhole\n", "\\", "1\t\t\n\t"] {
        for key in ["7", "0", "07", "-1", "x", "", "7/secret", "4294967296"] {
            let secret = format!("{long}\t{long}\twhole\n");
            let records = [(key, junk), ("7/secret", secret.as_str())];
            let mut q = Queue::from_records(records.into_iter(), true, at(0));
            assert_eq!(q.all().count(), usize::from(key == "7" && junk == damaged));
            q.next_work(at(1), true);
            let left: usize = q.all().map(|t| format!("{t:?}").len()).sum();
            assert!(left < 8000, "{left}");
            assert!(q.records().iter().any(|(k, text)| k == "7/secret" && text.is_none()));
        }
    }
    // Extremes of times neither panic nor make it wait longer than it was asked to.
    for time in [i64::MIN, -1, 0, 1, i64::MAX] {
        for window in [0, 1, 2, u64::MAX] {
            let whole = format!(
                "method\tUpload\ntype\t2 Vendor Log File\nurl\thttp://a/\ndelay\t60\nreceived\t{time}\nwall\t{time}\n\
                 past\t{window}\nafter\t{time}\nstep\tQueued\nwhole\n"
            );
            for (rebooted, now) in [(false, at(10)), (true, at(10)), (true, blind(10))] {
                let mut q = Queue::from_records([("1", whole.as_str())].into_iter(), rebooted, now);
                q.next_work(now, true);
                let _ = (q.next(), q.records());
                q.next_work(at(70), true);
                assert!(q.get(1).is_some_and(|t| t.step != Step::Queued), "{time} {window} {rebooted}");
            }
        }
    }
}

#[test]
fn what_is_found_is_bounded() {
    let mut q = queue(&[download("k")], at(0));
    let bank = Some("b".to_string());
    q.note_found(1, Found { version: Some("é".repeat(10_000)), bank: bank.clone(), ..Found::default() });
    q.note_found(1, Found { size: Some(7), ..Found::default() });
    let found = &q.get(1).expect("it is there").found;
    assert_eq!(found.version.as_ref().map(|v| v.chars().count()), Some(256));
    assert_eq!((found.size, &found.bank), (Some(7), &bank), "what is not said stays");
}
