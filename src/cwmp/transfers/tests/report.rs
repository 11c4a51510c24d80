use super::*;
use crate::cwmp::events;
use crate::cwmp::rpc::Event;
use crate::cwmp::schedule::{Schedule, Settings};

fn schedule() -> Schedule {
    Schedule::from_record("", false, Settings::default(), at(0), 0)
}

/// These have ended, in this order, with these codes.
fn ended(asked: &[(Asked, u16)]) -> Queue {
    let mut q = Queue::default();
    q.set_policy(all_local());
    for (asked, code) in asked {
        let number = q.ask(asked.clone(), at(0)).expect("good");
        end(&mut q, number, *code);
    }
    q
}

fn end(q: &mut Queue, number: u32, code: u16) -> Outcome {
    while q.get(number).is_some_and(|t| t.step == Step::Queued) {
        let work = q.next_work(at(3), true).expect("work");
        assert_eq!(work.number, number);
    }
    match code {
        0 => q.reached(number, Step::Done, at(4)),
        code => q.failed(number, Fault::new(Code(code), "why"), at(4)),
    }
}

fn all_local() -> Policy {
    let file_types = ["1 Firmware Upgrade Image", "3 Vendor Configuration File"].map(str::to_string);
    Policy { enable: true, file_types: file_types.to_vec(), ..Policy::default() }
}

fn local() -> Asked {
    Asked { origin: Origin::Local, ..upload("") }
}

fn codes(told: &[Event]) -> Vec<String> {
    told.iter().map(|e| format!("{} {}", e.code, e.command_key).trim().to_string()).collect()
}

/// The session's reports that can be had now, by their numbers.
fn reports(q: &mut Queue) -> Vec<u32> {
    std::iter::from_fn(|| q.next_report().map(|(_, complete)| complete.number)).collect()
}

// Proves, V-16
#[test]
fn one_7_and_an_m_for_each_x20() {
    let windows = [window(0, 10, Mode::Immediately)];
    let mut q = ended(&[(download("a"), 0), (scheduled("b", &windows), 9015), (upload("c"), 0)]);
    q.ask(download("still"), at(2)).expect("good");
    let mut queue = events::Queue::default();
    queue.add(events::PERIODIC, "");
    q.follow_events(&mut queue);
    q.follow_events(&mut queue);
    let told = queue.begin_session();
    assert_eq!(
        codes(&told),
        ["2 PERIODIC", "7 TRANSFER COMPLETE", "M Download a", "M ScheduleDownload b", "M Upload c"]
    );
    q.tell(&told);
    queue.delivered();
    assert_eq!(reports(&mut q), [1, 2, 3]);
    assert!(reports(&mut q).is_empty(), "each once");
    // Each response takes its own away, and the last one the 7.
    for (number, left) in [
        (2, &["7 TRANSFER COMPLETE", "M Download a", "M Upload c"][..]),
        (1, &["7 TRANSFER COMPLETE", "M Upload c"]),
        (3, &[]),
    ] {
        q.reported(number);
        q.follow_events(&mut queue);
        assert_eq!(codes(&queue.pending().cloned().collect::<Vec<_>>()), left);
    }
    queue.end_session();
    assert!(queue.is_empty());
    assert_eq!(q.all().count(), 1);
}

/// What ends while a session runs is told by the next one, with an event of its own.
// Proves
#[test]
fn only_what_the_inform_told_is_reported_x19() {
    let mut q = ended(&[(download("k"), 0)]);
    let mut queue = events::Queue::default();
    q.follow_events(&mut queue);
    q.tell(&queue.begin_session());
    queue.delivered();
    let second = q.ask(download("k"), at(2)).expect("good");
    end(&mut q, second, 9016);
    q.follow_events(&mut queue);
    assert_eq!(reports(&mut q), [1]);
    q.reported(second);
    assert_eq!(q.all().count(), 2, "it was not told");
    q.reported(1);
    q.follow_events(&mut queue);
    assert!(reports(&mut q).is_empty());
    queue.end_session();
    let told = queue.begin_session();
    assert_eq!(codes(&told), ["7 TRANSFER COMPLETE", "M Download k"]);
    q.tell(&told);
    assert_eq!(reports(&mut q), [second]);
    // One event, one report, though two with its key have ended by now.
    let third = q.ask(download("k"), at(2)).expect("good");
    end(&mut q, third, 0);
    q.tell(&told);
    assert_eq!(reports(&mut q), [second]);
    // An Inform without them, that of a heartbeat, tells none.
    q.tell(&queue.begin_heartbeat());
    assert!(reports(&mut q).is_empty());
    // Nor does one that has another key, or the 7 alone.
    q.tell(&[Event { code: "7 TRANSFER COMPLETE".into(), command_key: String::new() }]);
    assert!(reports(&mut q).is_empty());
    q.tell(&[Event { code: "M Download".into(), command_key: "other".into() }]);
    assert!(reports(&mut q).is_empty());
}

/// Only the response removes it; a power cut at any moment makes it told again.
// Proves: X-21, V-16
#[test]
fn told_until_the_response_is_seen_x21() {
    let mut q = ended(&[(download("k"), 9017)]);
    let mut journal = Journal::default();
    let mut queue = events::Queue::default();
    q.follow_events(&mut queue);
    for rebooted in [false, true] {
        restart(&mut q, &mut journal, rebooted, at(10));
        assert_eq!(q.next_work(at(10 * HOUR), true), None, "it is not done again");
        // The events are those of the transfers, whatever became of the queue's own record.
        for lost in [false, true] {
            let record = if lost { None } else { queue.record() };
            let mut queue = events::Queue::from_record(&record.unwrap_or_default());
            q.follow_events(&mut queue);
            let told = queue.begin_session();
            assert_eq!(codes(&told), ["7 TRANSFER COMPLETE", "M Download k"]);
            q.tell(&told);
            let (origin, complete) = q.next_report().expect("a report");
            assert_eq!((origin, complete.command_key.as_str()), (Origin::Acs, "k"));
            assert_eq!(complete.fault, (9017, "why".to_string()));
        }
    }
    q.tell(&[Event { code: "M Download".into(), command_key: "k".into() }]);
    q.reported(1);
    journal.write(&mut q);
    assert!(journal.0.is_empty());
    // Events without a transfer are told to nobody.
    q.follow_events(&mut queue);
    assert!(queue.is_empty());
}

// Proves
#[test]
fn codes_of_transfer_complete_x14_x16() {
    let allowed = [0, 9001, 9002, 9010, 9011, 9012, 9014, 9015, 9016, 9017, 9018, 9019, 9020];
    for (asked, general) in [(download("k"), 9010), (upload("k"), 9011)] {
        for code in 9000..=9900 {
            let mut q = ended(&[(asked.clone(), code)]);
            q.tell(&[
                Event { code: "M Download".into(), command_key: "k".into() },
                Event { code: "M Upload".into(), command_key: "k".into() },
            ]);
            let (_, complete) = q.next_report().expect("a report");
            let legal = allowed.contains(&code) || (9800..=9899).contains(&code);
            let told = match code {
                9010 | 9011 => general,
                code if legal => code,
                _ => general,
            };
            assert_eq!(complete.fault, (told, "why".to_string()), "{code}");
        }
        let mut q = ended(&[(asked.clone(), 0)]);
        q.tell(&[
            Event { code: "M Download".into(), command_key: "k".into() },
            Event { code: "M Upload".into(), command_key: "k".into() },
        ]);
        let (_, complete) = q.next_report().expect("a report");
        assert_eq!(complete.fault, (0, String::new()));
        assert_eq!(complete.url, "http://files.example/image.bin", "without what may be secret");
    }
    // A text is never empty, and never too long.
    for (text, length) in [("", "Internal error".len()), (&*"é".repeat(5000), MAX_FAULT_STRING)] {
        let mut q = queue(&[download("k")], at(0));
        q.next_work(at(0), false);
        q.failed(1, Fault::new(Code::INTERNAL_ERROR, text), at(0));
        q.tell(&[Event { code: "M Download".into(), command_key: "k".into() }]);
        assert_eq!(q.next_report().map(|(_, c)| c.fault.1.chars().count()), Some(length));
    }
}

/// The same report does not start one session after the other; any session tells it.
// Proves: C-8
#[test]
fn a_report_that_is_not_taken_waits_c8() {
    let mut q = ended(&[(download("a"), 0), (download("b"), 0)]);
    let mut queue = events::Queue::default();
    q.follow_events(&mut queue);
    assert_eq!(q.report_at(), None);
    let mut now = 100;
    for wait in [10, 20, 40, 80] {
        q.tell(&queue.begin_session());
        assert_eq!(reports(&mut q), [1, 2]);
        // Default m = 5 s and k = 2; the random point is the end of the range.
        q.not_taken(&schedule(), at(now), u32::MAX);
        assert_eq!(q.report_at(), Some(at(now + wait).mono));
        assert!(reports(&mut q).is_empty(), "not in the same session");
        queue.end_session();
        now += wait;
    }
    // One is taken, the other's wait goes on; a new one is told at once.
    q.tell(&queue.begin_session());
    q.reported(1);
    q.not_taken(&schedule(), at(now), 0);
    assert_eq!(q.report_at(), Some(at(now + 80).mono));
    let third = q.ask(download("c"), at(2)).expect("good");
    end(&mut q, third, 0);
    assert_eq!(q.report_at(), None);
    // What no Inform told was not refused.
    q.tell(&[]);
    q.not_taken(&schedule(), at(now), 0);
    assert_eq!(q.report_at(), None);
    // The count is not kept: a start begins anew.
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, false, at(now));
    assert_eq!(q.report_at(), None);
}

/// No M event, one 10 for all, and the standard's names of the file types.
// Proves: V-17, X-46, X-47
#[test]
fn local_transfers_x46_x47() {
    let mut q = ended(&[(local(), 0), (Asked { origin: Origin::Local, ..download("") }, 9015)]);
    let mut queue = events::Queue::default();
    q.follow_events(&mut queue);
    let told = queue.begin_session();
    assert_eq!(codes(&told), ["10 AUTONOMOUS TRANSFER COMPLETE"]);
    q.tell(&told);
    let (origin, complete) = q.next_report().expect("a report");
    assert_eq!(origin, Origin::Local);
    let told = (complete.is_download, complete.file_type.as_str(), complete.fault.0);
    assert_eq!(told, (false, "3 Vendor Configuration File", 0));
    let (_, second) = q.next_report().expect("a report");
    assert_eq!((second.is_download, second.fault.0), (true, 9015));
    q.reported(1);
    q.follow_events(&mut queue);
    assert!(queue.contains(events::AUTONOMOUS_TRANSFER_COMPLETE));
    q.reported(2);
    q.follow_events(&mut queue);
    assert!(queue.is_empty());
}

// Proves: X-46
#[test]
fn the_policy_of_local_transfers_x46() {
    let (up, down) = (local(), Asked { origin: Origin::Local, ..download("") });
    let types = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    let log = Asked { file_type: "4 Vendor Log File 3".to_string(), ..up.clone() };
    let policy = all_local();
    for (policy, asked, success, told) in [
        (policy.clone(), &up, true, true),
        (policy.clone(), &down, false, true),
        (Policy { enable: false, ..policy.clone() }, &up, true, false),
        (Policy { transfers: TransferType::Upload, ..policy.clone() }, &up, true, true),
        (Policy { transfers: TransferType::Upload, ..policy.clone() }, &down, true, false),
        (Policy { transfers: TransferType::Download, ..policy.clone() }, &up, true, false),
        (Policy { transfers: TransferType::Download, ..policy.clone() }, &down, true, true),
        (Policy { results: ResultType::Success, ..policy.clone() }, &up, true, true),
        (Policy { results: ResultType::Success, ..policy.clone() }, &up, false, false),
        (Policy { results: ResultType::Failure, ..policy.clone() }, &up, true, false),
        (Policy { results: ResultType::Failure, ..policy.clone() }, &up, false, true),
        (Policy { file_types: types(&[]), ..policy.clone() }, &up, true, false),
        (Policy { file_types: types(&["1 Firmware Upgrade Image"]), ..policy.clone() }, &up, true, false),
        (
            Policy { file_types: types(&["2 Web Content", " 4 Vendor Log File"]), ..policy.clone() },
            &log,
            true,
            true,
        ),
        (policy.clone(), &log, true, false),
    ] {
        assert_eq!(policy.wants(asked, success), told, "{policy:?} {asked:?} {success}");
        let mut q = queue(std::slice::from_ref(asked), at(0));
        q.set_policy(policy);
        let outcome = end(&mut q, 1, if success { 0 } else { 9015 });
        assert_eq!(outcome, if told { Outcome::Done } else { Outcome::Gone });
        assert_eq!(q.all().count(), usize::from(told));
    }
    for (text, transfers, results) in [
        ("Both", Some(TransferType::Both), Some(ResultType::Both)),
        ("Upload", Some(TransferType::Upload), None),
        ("Download", Some(TransferType::Download), None),
        ("Success", None, Some(ResultType::Success)),
        ("Failure", None, Some(ResultType::Failure)),
        ("both", None, None),
    ] {
        assert_eq!((TransferType::parse(text), ResultType::parse(text)), (transfers, results));
    }
    // The ACS is told of what it asked for, whatever the policy says.
    let mut q = ended(&[]);
    q.set_policy(Policy::default());
    q.ask(download("k"), at(0)).expect("good");
    assert_eq!(end(&mut q, 1, 0), Outcome::Done);
}

/// A new URL sets the reports aside; the former ACS hears of them when it is put back, the new one never.
#[test]
fn reports_of_a_former_acs() {
    let mut q = ended(&[(download("before"), 0), (local(), 0)]);
    let mut queue = events::Queue::default();
    q.follow_events(&mut queue);
    queue.add(events::BOOTSTRAP, "");
    let second = q.ask(upload("since"), at(2)).expect("good");
    end(&mut q, second, 0);
    q.follow_events(&mut queue);
    let told = queue.begin_session();
    assert_eq!(codes(&told), ["0 BOOTSTRAP", "10 AUTONOMOUS TRANSFER COMPLETE"]);
    q.tell(&told);
    assert_eq!(reports(&mut q), [2]);
    // The URL was wrong after all.
    let (mut back, mut q_back) = (queue.clone(), q.clone());
    back.end_session();
    back.withdraw_bootstrap();
    q_back.follow_events(&mut back);
    let mut told = codes(&back.begin_session());
    told.sort();
    let mut expected =
        ["10 AUTONOMOUS TRANSFER COMPLETE", "7 TRANSFER COMPLETE", "M Download before", "M Upload since"];
    expected.sort();
    assert_eq!(told, expected);
    q_back.tell(&back.begin_session());
    assert_eq!(reports(&mut q_back).len(), 3);
    // The new one has answered.
    assert!(queue.delivered());
    assert_eq!(q.forget_former(), [1, second]);
    q.follow_events(&mut queue);
    assert_eq!(codes(&queue.pending().cloned().collect::<Vec<_>>()), ["10 AUTONOMOUS TRANSFER COMPLETE"]);
}
