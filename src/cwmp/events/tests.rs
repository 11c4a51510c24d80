use super::*;

fn codes(queue: &Queue) -> Vec<String> {
    queue.pending().map(|e| format!("{} {}", e.code, e.command_key).trim_end().to_string()).collect()
}

fn with(codes: &[&str]) -> Queue {
    let mut queue = Queue::default();
    for code in codes {
        queue.add(code, if code.starts_with('M') { "k" } else { "" });
    }
    queue
}

const ALL: &[&str] = &[
    "1 BOOT",
    "2 PERIODIC",
    "3 SCHEDULED",
    "4 VALUE CHANGE",
    "5 KICKED",
    "6 CONNECTION REQUEST",
    "7 TRANSFER COMPLETE",
    "8 DIAGNOSTICS COMPLETE",
    "9 REQUEST DOWNLOAD",
    "10 AUTONOMOUS TRANSFER COMPLETE",
    "11 DU STATE CHANGE COMPLETE",
    "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
    "13 WAKEUP",
    "M Reboot",
    "M ScheduleInform",
    "M Download",
    "M X_CWMPD_Thing",
];

// Proves: V-5, V-6, V-7
#[test]
fn single_once_multiple_each_v5_v6_v7() {
    let mut queue = with(&[PERIODIC, PERIODIC, M_SCHEDULE_INFORM, M_SCHEDULE_INFORM]);
    queue.add(PERIODIC, "not kept");
    assert_eq!(codes(&queue), ["2 PERIODIC", "M ScheduleInform k", "M ScheduleInform k"]);
}

/// V-26: a vendor's event is single, its `M` event is one for each CommandKey.
// Proves: V-26
#[test]
fn vendor_events_v26() {
    let mut queue = Queue::default();
    for key in ["one", "two"] {
        queue.add("X 00D09E Thing", key);
        queue.add("M X_00D09E_Thing", key);
    }
    assert_eq!(codes(&queue), ["X 00D09E Thing", "M X_00D09E_Thing one", "M X_00D09E_Thing two"]);
    queue.begin_session();
    queue.delivered();
    assert!(codes(&queue).is_empty());
}

// Proves: V-1, V-3, V-23, V-25
#[test]
fn a_session_delivers_what_it_told_v1_v3_v23_v25() {
    let mut queue = with(&[BOOT, M_REBOOT]);
    let told = queue.begin_session();
    assert_eq!(told.len(), 2);
    // During the session: told in the next one, also what is being told now.
    queue.add(CONNECTION_REQUEST, "");
    queue.add(BOOT, "");
    queue.delivered();
    assert_eq!(codes(&queue), ["6 CONNECTION REQUEST", "1 BOOT"]);
    queue.end_session();
    assert_eq!(codes(&queue), ["6 CONNECTION REQUEST", "1 BOOT"]);
    // The session failed before the answer: the same and what is new, once (V-25).
    assert_eq!(queue.begin_session().len(), 2);
    queue.add(BOOT, "");
    queue.add(PERIODIC, "");
    queue.end_session();
    assert_eq!(codes(&queue), ["1 BOOT", "2 PERIODIC"]);
    queue.begin_session();
    queue.delivered();
    queue.end_session();
    assert!(queue.is_empty());
}

// Proves: V-12, V-13, V-14, V-15
#[test]
fn what_a_failed_session_keeps_v12_v13_v14_v15() {
    let mut queue = with(ALL);
    queue.begin_session();
    queue.end_session();
    let expected: Vec<&str> = ALL.iter().copied().filter(|c| *c != CONNECTION_REQUEST).collect();
    assert_eq!(queue.pending().map(|e| e.code.as_str()).collect::<Vec<_>>(), expected);
    // A connection request during the failed session is one for the next.
    let mut queue = with(&[CONNECTION_REQUEST]);
    queue.begin_session();
    queue.add(CONNECTION_REQUEST, "");
    queue.end_session();
    assert_eq!(codes(&queue), ["6 CONNECTION REQUEST"]);
}

// Proves: V-16, V-17
#[test]
fn what_an_inform_response_delivers_v16_v17() {
    let mut queue = with(ALL);
    queue.begin_session();
    queue.delivered();
    let expected = [
        "7 TRANSFER COMPLETE",
        "9 REQUEST DOWNLOAD",
        "10 AUTONOMOUS TRANSFER COMPLETE",
        "11 DU STATE CHANGE COMPLETE",
        "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
        "M Download k",
    ];
    assert_eq!(codes(&queue), expected);
}

// Proves: V-11, V-16, V-17, V-19, V-20
#[test]
fn what_a_reboot_keeps_v11_v12_v13_v19_v20() {
    let mut queue = with(ALL);
    queue.boot();
    let expected = [
        "2 PERIODIC",
        "3 SCHEDULED",
        "7 TRANSFER COMPLETE",
        "10 AUTONOMOUS TRANSFER COMPLETE",
        "11 DU STATE CHANGE COMPLETE",
        "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
        "M Reboot k",
        "M ScheduleInform k",
        "M Download k",
        "M X_CWMPD_Thing k",
        "1 BOOT",
    ];
    assert_eq!(codes(&queue), expected);
    queue.boot();
    assert_eq!(codes(&queue).iter().filter(|c| *c == "1 BOOT").count(), 1);
    // Two reboots by the ACS, two entries (V-19).
    queue.add(M_REBOOT, "second");
    assert_eq!(queue.pending().filter(|e| e.code == M_REBOOT).count(), 2);
}

// Proves: V-8, V-9, V-10
#[test]
fn bootstrap_discards_the_others_v8_v9_v10() {
    let mut queue = with(&ALL[1..]);
    queue.add(BOOTSTRAP, "");
    assert_eq!(codes(&queue), ["0 BOOTSTRAP"]);
    // The other ACS answers: nothing of the former one is left.
    queue.begin_session();
    queue.delivered();
    queue.end_session();
    assert!(queue.entries.is_empty());
    assert_eq!(queue.record(), None, "nothing was ever recorded");
    let mut queue = with(&[BOOT]);
    queue.add(BOOTSTRAP, "");
    assert_eq!(codes(&queue), ["0 BOOTSTRAP", "1 BOOT"]);
    // Undelivered, it is there after the next start too.
    queue.boot();
    assert_eq!(codes(&queue), ["0 BOOTSTRAP", "1 BOOT"]);
}

/// V-9: what belongs to the former ACS is told to nobody while the other has not answered, and to the
/// former one when the URL turns out to be wrong; through a restart.
// Proves: V-8, V-9
#[test]
fn what_is_set_aside_comes_back_v9() {
    let mut queue = with(&[PERIODIC, M_REBOOT, BOOT]);
    queue.add(BOOTSTRAP, "");
    queue.add(PERIODIC, "");
    queue.add_of_former(M_SCHEDULE_INFORM, "of the former");
    let told: Vec<String> = queue.begin_session().into_iter().map(|e| e.code).collect();
    assert_eq!(told, [BOOTSTRAP, BOOT, PERIODIC]);
    queue.end_session();
    assert!(!queue.is_empty() && !queue.contains(M_REBOOT));
    let mut queue = Queue::from_record(&queue.record().unwrap());
    assert_eq!(codes(&queue), ["0 BOOTSTRAP", "1 BOOT", "2 PERIODIC"]);
    // A third URL before the second has answered: one bootstrap, and still nothing is lost.
    queue.add(BOOTSTRAP, "");
    assert_eq!(codes(&queue), ["0 BOOTSTRAP", "1 BOOT"]);
    queue.withdraw_bootstrap();
    assert_eq!(codes(&queue), ["2 PERIODIC", "M Reboot k", "1 BOOT", "M ScheduleInform of the former"]);
    // With no ACS to be bootstrapped it is an event as any other.
    queue.add_of_former(M_SCHEDULE_INFORM, "next");
    assert_eq!(queue.pending().last().unwrap().command_key, "next");
}

/// What is set aside during a session is told by it all the same, and delivered to who was told.
#[test]
fn an_answer_to_the_former_acs_delivers_v23() {
    let mut queue = with(&[PERIODIC, M_REBOOT]);
    queue.begin_session();
    queue.add(BOOTSTRAP, "");
    queue.delivered();
    queue.end_session();
    assert_eq!(queue.entries.len(), 1);
    assert_eq!(codes(&queue), ["0 BOOTSTRAP"]);
}

/// V-26: what was put back is told until it is heard, through boots and failures.
// Proves: V-26
#[test]
fn a_rollback_is_told_v26() {
    let mut queue = with(&[ROLLBACK, ROLLBACK]);
    let words: Vec<&str> = ROLLBACK.split(' ').collect();
    assert!(matches!(words.as_slice(), ["X", vendor, "ROLLBACK"] if !vendor.contains('_')), "{ROLLBACK}");
    queue.begin_session();
    queue.end_session();
    queue.boot();
    assert_eq!(codes(&Queue::from_record(&queue.record().unwrap())), [ROLLBACK, BOOT]);
    queue.begin_session();
    queue.delivered();
    assert!(queue.is_empty());
}

/// V-2: also with what is set aside, which goes first.
// Proves: V-2
#[test]
fn the_limit_counts_what_is_set_aside_v2() {
    let mut queue = Queue::default();
    for n in 0..60 {
        queue.add(M_SCHEDULE_INFORM, &n.to_string());
    }
    queue.add(BOOTSTRAP, "");
    for n in 0..10 {
        queue.add(M_REBOOT, &n.to_string());
    }
    assert_eq!(queue.entries.len(), MAX_EVENTS);
    assert_eq!(queue.pending().count(), 11);
    for n in 0..100 {
        queue.add_of_former(M_SCHEDULE_INFORM, &n.to_string());
        queue.add(M_REBOOT, &n.to_string());
    }
    assert_eq!(queue.entries.len(), MAX_EVENTS);
    assert!(queue.contains(BOOTSTRAP));
    let crowd: String = (0..80).map(|n| format!("X 00D09E {n}\t\n")).collect();
    assert_eq!(Queue::from_record(&crowd).pending().count(), MAX_EVENTS);
}

// Proves: V-2
#[test]
fn at_most_64_entries_the_oldest_multiple_goes_first_v2() {
    let mut queue = with(&[BOOT]);
    for n in 0..70 {
        queue.add(M_SCHEDULE_INFORM, &n.to_string());
    }
    queue.add(PERIODIC, "");
    let pending = codes(&queue);
    assert_eq!(pending.len(), MAX_EVENTS);
    assert_eq!(pending[0], "1 BOOT");
    assert_eq!(pending[1], "M ScheduleInform 8");
    assert_eq!(pending[63], "2 PERIODIC");
}

// Proves: V-24
#[test]
fn records_survive_v24() {
    let mut queue = with(&[BOOT, CONNECTION_REQUEST]);
    queue.add(M_REBOOT, "tab\tline\nback\\slash é");
    let record = queue.record().unwrap();
    assert_eq!(queue.record(), None);
    let mut again = Queue::from_record(&record);
    assert_eq!(again.record(), None);
    assert_eq!(codes(&again), ["1 BOOT", "M Reboot tab\tline\nback\\slash é"]);
    // What need not survive is no reason to write.
    queue.begin_session();
    queue.add(CONNECTION_REQUEST, "");
    assert_eq!(queue.record(), None);
    queue.delivered();
    assert_eq!(queue.record().as_deref(), Some(""));
    assert!(Queue::from_record("").is_empty());
}

#[test]
fn a_damaged_record_gives_what_makes_sense() {
    let long = "x".repeat(1000);
    let queue =
        Queue::from_record(&format!("1 BOOT\t\njunk\n\0\n{long}\t\nM Reboot\t{long}\nM Reboot\tk\n2 PERI"));
    assert_eq!(codes(&queue), ["1 BOOT", "M Reboot k"]);
    let many: String = (0..1000).map(|n| format!("M Reboot\t{n}\n")).collect();
    assert_eq!(Queue::from_record(&many).pending().count(), MAX_EVENTS);
}

#[test]
fn removed_events_v13() {
    let mut queue = with(&[VALUE_CHANGE, BOOT]);
    assert!(queue.contains(VALUE_CHANGE));
    queue.remove(VALUE_CHANGE);
    assert_eq!(codes(&queue), ["1 BOOT"]);
}

#[test]
fn what_happens_before_the_inform_is_told_once_v5() {
    let mut queue = with(&[PERIODIC, CONNECTION_REQUEST]);
    queue.begin_session();
    queue.add(PERIODIC, "");
    queue.add(CONNECTION_REQUEST, "");
    let told: Vec<String> = queue.begin_session().into_iter().map(|e| e.code).collect();
    assert_eq!(told, [PERIODIC, CONNECTION_REQUEST]);
    // One that comes later stands for a session of its own, also when this one fails.
    queue.add(CONNECTION_REQUEST, "");
    queue.end_session();
    assert_eq!(codes(&queue), [PERIODIC, CONNECTION_REQUEST]);
}

/// HB-3, V-22: apart from all others, in no record, and over with its session whatever becomes of it.
// Proves: V-22, HB-3
#[test]
fn a_heartbeat_stands_apart_v22() {
    let mut queue = with(&[BOOT, CONNECTION_REQUEST]);
    let before = queue.record();
    queue.add(HEARTBEAT, "");
    queue.add(HEARTBEAT, "");
    assert!(queue.contains(HEARTBEAT));
    assert_eq!(queue.record(), None, "it need not survive: {before:?}");
    assert_eq!(codes(&queue), ["1 BOOT", "6 CONNECTION REQUEST"]);
    // Another session does not take it along.
    assert_eq!(queue.begin_session().len(), 2);
    queue.end_session();
    assert_eq!(codes(&queue), ["1 BOOT"]);
    assert!(queue.contains(HEARTBEAT));
    // Its own takes none of the others along.
    queue.add(PERIODIC, "");
    let told: Vec<String> = queue.begin_heartbeat().into_iter().map(|e| e.code).collect();
    assert_eq!(told, [HEARTBEAT], "once, however often it was due");
    queue.add(CONNECTION_REQUEST, "");
    queue.delivered();
    queue.end_session();
    assert_eq!(codes(&queue), ["1 BOOT", "2 PERIODIC", "6 CONNECTION REQUEST"]);
    queue.remove(CONNECTION_REQUEST);
    assert!(!queue.contains(HEARTBEAT));
    queue.add(BOOT, "");
    assert_eq!(codes(&queue), ["1 BOOT", "2 PERIODIC"]);
    // One becomes due while one is told: that is another one.
    queue.add(HEARTBEAT, "");
    assert!(queue.contains(HEARTBEAT));
    queue.remove(HEARTBEAT);
    assert!(!queue.contains(HEARTBEAT));
    assert!(!Queue::from_record("14 HEARTBEAT\t\n").contains(BOOT));
}

/// V-9: a new ACS is told nothing before `0 BOOTSTRAP`.
// Proves: V-9
#[test]
fn bootstrap_discards_a_heartbeat_v9() {
    let mut queue = with(&[HEARTBEAT]);
    assert!(queue.is_empty() && queue.contains(HEARTBEAT));
    queue.add(BOOTSTRAP, "");
    assert!(!queue.contains(HEARTBEAT));
}

#[test]
fn nothing_but_changed_values_c31() {
    for (codes, only) in [
        (&[][..], false),
        (&[VALUE_CHANGE], true),
        (&[VALUE_CHANGE, HEARTBEAT], true),
        (&[VALUE_CHANGE, PERIODIC], false),
        (&[CONNECTION_REQUEST], false),
        (&[HEARTBEAT], false),
    ] {
        assert_eq!(with(codes).is_only_value_change(), only, "{codes:?}");
    }
}
