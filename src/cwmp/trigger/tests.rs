use super::events::{
    AUTONOMOUS_TRANSFER_COMPLETE, BOOTSTRAP, CONNECTION_REQUEST, DIAGNOSTICS_COMPLETE, HEARTBEAT, PERIODIC,
    VALUE_CHANGE,
};
use super::*;
use crate::cwmp::schedule::Settings;

fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: 1_800_000_000 + mono as i64, clock_set: true }
}

fn queue(codes: &[&str]) -> Queue {
    let mut queue = Queue::default();
    codes.iter().for_each(|code| queue.add(code, ""));
    queue
}

/// A schedule with a throttle, whose last good session ended at 100 s.
fn throttled(seconds: u32) -> Schedule {
    let settings = Settings { throttle: seconds, ..Settings::default() };
    let mut schedule = Schedule::from_record("", false, settings, at(0), 0);
    schedule.session_succeeded(at(100));
    schedule
}

const NONE: Calls = Calls { kicked: false, owed: false, trial: Call::Nothing, report_at: None };
const KICKED: Calls = Calls { kicked: true, ..NONE };
const OWED: Calls = Calls { owed: true, ..NONE };

// Proves: C-31
#[test]
fn only_active_changes_wait_c31() {
    let table = [
        // throttle, what waits, calls, first moment at which a session begins
        (60, &[VALUE_CHANGE][..], NONE, Some(160)),
        (0, &[VALUE_CHANGE], NONE, Some(101)),
        (60, &[VALUE_CHANGE, PERIODIC], NONE, Some(101)),
        (60, &[VALUE_CHANGE], KICKED, Some(101)),
        (60, &[VALUE_CHANGE], OWED, Some(101)),
        (60, &[PERIODIC], NONE, Some(101)),
        (60, &[], NONE, None),
        (60, &[], OWED, Some(101)),
        (u32::MAX, &[VALUE_CHANGE], NONE, Some(100 + u64::from(u32::MAX))),
    ];
    for (throttle, codes, calls, expected) in table {
        let (queue, schedule) = (queue(codes), throttled(throttle));
        let begins = |mono| super::now(&queue, &schedule, calls, at(mono)) == Some(Trigger::Events);
        let first = [101, 159, 160, 99 + u64::from(u32::MAX), 100 + u64::from(u32::MAX)];
        assert_eq!(first.into_iter().find(|m| begins(*m)), expected, "{throttle} {codes:?} {calls:?}");
    }
}

/// The report that was not taken makes no session before its time; everything else does, and tells it.
// Proves: C-8
#[test]
fn a_report_that_was_not_taken_waits_c8() {
    const M: &str = "M Download";
    const SEVEN: &str = "7 TRANSFER COMPLETE";
    let report = |at| Calls { report_at: Some(Duration::from_secs(at)), ..NONE };
    let table = [
        // throttle, what waits, calls, first moment at which a session begins
        (0, &[SEVEN, M][..], NONE, Some(101)),
        (0, &[SEVEN, M], report(150), Some(150)),
        (0, &[AUTONOMOUS_TRANSFER_COMPLETE], report(150), Some(150)),
        (0, &[SEVEN, M, PERIODIC], report(150), Some(101)),
        (0, &[SEVEN, M, VALUE_CHANGE], report(150), Some(101)),
        (30, &[SEVEN, M, VALUE_CHANGE], report(150), Some(130)),
        (60, &[SEVEN, M, VALUE_CHANGE], report(150), Some(150)),
        (60, &[SEVEN, M, VALUE_CHANGE], NONE, Some(101)),
        (60, &[VALUE_CHANGE], report(150), Some(160)),
        (0, &[PERIODIC], report(150), Some(101)),
        (0, &[], report(150), None),
        (0, &[SEVEN, M], Calls { kicked: true, ..report(150) }, Some(101)),
        (0, &[SEVEN, M], Calls { owed: true, ..report(150) }, Some(101)),
        (0, &[SEVEN, M], Calls { trial: Call::Session, ..report(150) }, Some(101)),
        (0, &[SEVEN, M], report(100), Some(101)),
    ];
    for (throttle, codes, calls, expected) in table {
        let (queue, schedule) = (queue(codes), throttled(throttle));
        let first = (101..300).find(|mono| super::now(&queue, &schedule, calls, at(*mono)).is_some());
        assert_eq!(first, expected, "{throttle} {codes:?} {calls:?}");
        // The engine is woken for it.
        let woken = later(&queue, &schedule, calls).filter(|at| at.as_secs() > 101).map(|at| at.as_secs());
        assert_eq!(woken, expected.filter(|mono| *mono > 101), "{throttle} {codes:?} {calls:?}");
    }
}

/// A test of some milliseconds ends while the ACS still stores the session that asked for it; whoever calls is not
/// kept waiting, and a session that failed is tried again by its own rule.
// Proves: DG-2
#[test]
fn a_test_that_ends_behind_a_session_waits_a_moment_dg2() {
    let just = |millis: u64| Now { mono: at(100).mono + Duration::from_millis(millis), ..at(100) };
    for (codes, calls, held) in [
        (&[DIAGNOSTICS_COMPLETE][..], NONE, true),
        (&[DIAGNOSTICS_COMPLETE, PERIODIC], NONE, false),
        (&[DIAGNOSTICS_COMPLETE], KICKED, false),
        (&[DIAGNOSTICS_COMPLETE], OWED, false),
    ] {
        let (queue, schedule) = (queue(codes), throttled(0));
        let begins = |millis| super::now(&queue, &schedule, calls, just(millis)).is_some();
        assert_eq!((!begins(5), !begins(999), begins(1000)), (held, held, true), "{codes:?} {calls:?}");
        let woken = later(&queue, &schedule, calls);
        assert_eq!(woken, held.then(|| Duration::from_secs(101)), "{codes:?} {calls:?}");
    }
    let (queue, mut schedule) = (queue(&[DIAGNOSTICS_COMPLETE]), throttled(0));
    let over = Now { mono: at(100).mono + schedule.session_failed(at(100), None, 0), ..at(100) };
    assert!(schedule.take_due(over).retry);
    assert_eq!(super::now(&queue, &schedule, NONE, over), Some(Trigger::Events));
}

/// A new throttle holds at once, for what waits already too.
// Proves: C-31
#[test]
fn a_changed_throttle_holds_at_once_c31() {
    let (queue, mut schedule) = (queue(&[VALUE_CHANGE]), throttled(3600));
    assert_eq!(super::now(&queue, &schedule, NONE, at(150)), None);
    schedule.set(Settings { throttle: 50, ..Settings::default() }, at(150), 0);
    assert_eq!(super::now(&queue, &schedule, NONE, at(150)), Some(Trigger::Events));
    schedule.set(Settings { throttle: 51, ..Settings::default() }, at(150), 0);
    assert_eq!(super::now(&queue, &schedule, NONE, at(150)), None);
    assert_eq!(held_until(&queue, &schedule, NONE), Some(Duration::from_secs(151)));
}

/// "including for the purpose of retrying a failed session": the retry waits by its own rule only.
// Proves: C-31
#[test]
fn a_retry_is_not_throttled_c31() {
    let (queue, mut schedule) = (queue(&[VALUE_CHANGE]), throttled(3600));
    let wait = schedule.session_failed(at(100), None, 0);
    assert_eq!(super::now(&queue, &schedule, NONE, at(101)), None, "the retry wait");
    let over = Now { mono: at(100).mono + wait, ..at(100) };
    assert!(schedule.take_due(over).retry);
    assert_eq!(super::now(&queue, &schedule, NONE, over), Some(Trigger::Events));
    // A start of the agent has no session behind it to wait for.
    let fresh = Schedule::from_record("", false, Settings { throttle: 9, ..Settings::default() }, at(0), 0);
    assert_eq!(super::now(&queue, &fresh, NONE, at(0)), Some(Trigger::Events));
}

/// A change on trial has times of its own, for what waits too; or it waits as after any failure.
#[test]
fn what_is_on_trial_calls_for_sessions() {
    const AT: Calls = Calls { trial: Call::At(Duration::from_secs(150), Duration::from_secs(150)), ..NONE };
    /// The change is being made meanwhile.
    const LATER: Calls =
        Calls { trial: Call::At(Duration::from_secs(150), Duration::from_secs(180)), ..NONE };
    const SESSION: Calls = Calls { trial: Call::Session, ..NONE };
    let mut failed = throttled(3600);
    failed.session_failed(at(100), None, 0);
    for (schedule, calls, codes, mono, expected) in [
        (throttled(3600), AT, &[][..], 149, None),
        (throttled(3600), AT, &[], 150, Some(Trigger::Trial)),
        (failed.clone(), AT, &[], 150, Some(Trigger::Trial)),
        (failed.clone(), AT, &[PERIODIC], 149, None),
        (failed.clone(), AT, &[PERIODIC], 150, Some(Trigger::Events)),
        (failed.clone(), Calls { kicked: true, ..AT }, &[], 149, Some(Trigger::Events)),
        (failed.clone(), Calls { owed: true, ..AT }, &[], 150, Some(Trigger::Events)),
        (throttled(3600), LATER, &[], 179, None),
        (throttled(3600), LATER, &[], 180, Some(Trigger::Trial)),
        (throttled(3600), LATER, &[PERIODIC], 149, None),
        (throttled(3600), LATER, &[PERIODIC], 150, Some(Trigger::Events)),
        (throttled(3600), Calls { owed: true, ..LATER }, &[], 150, Some(Trigger::Events)),
        (failed.clone(), SESSION, &[], 101, None),
        (throttled(3600), SESSION, &[], 101, Some(Trigger::Trial)),
        (throttled(3600), SESSION, &[VALUE_CHANGE], 101, Some(Trigger::Events)),
    ] {
        assert_eq!(super::now(&queue(codes), &schedule, calls, at(mono)), expected, "{calls:?} {codes:?}");
    }
    let waiting = queue(&[VALUE_CHANGE]);
    assert_eq!(later(&waiting, &throttled(60), AT), Some(Duration::from_secs(150)));
    assert_eq!(later(&waiting, &throttled(60), LATER), Some(Duration::from_secs(150)));
    assert_eq!(later(&queue(&[]), &throttled(60), LATER), Some(Duration::from_secs(180)));
    assert_eq!(later(&waiting, &throttled(60), NONE), Some(Duration::from_secs(160)));
}

// Proves: HB-3
#[test]
fn a_heartbeat_goes_first_and_waits_for_retries_hb3() {
    let ok = throttled(0);
    for (codes, calls, expected) in [
        (&[HEARTBEAT][..], NONE, Some(Trigger::Heartbeat)),
        (&[HEARTBEAT, PERIODIC], NONE, Some(Trigger::Heartbeat)),
        (&[HEARTBEAT, CONNECTION_REQUEST], KICKED, Some(Trigger::Heartbeat)),
        (&[HEARTBEAT], OWED, Some(Trigger::Heartbeat)),
        (&[PERIODIC], NONE, Some(Trigger::Events)),
    ] {
        assert_eq!(super::now(&queue(codes), &ok, calls, at(101)), expected, "{codes:?}");
    }
    // An ACS that does not know the device yet is told so first.
    let mut fresh = queue(&[BOOTSTRAP]);
    fresh.add(HEARTBEAT, "");
    assert_eq!(super::now(&fresh, &ok, NONE, at(101)), Some(Trigger::Events));
    // While another session's retry is pending it waits, also when that is called for; then it goes.
    let waiting = queue(&[HEARTBEAT, PERIODIC]);
    let mut schedule = throttled(0);
    let wait = schedule.session_failed(at(200), None, 0);
    assert_eq!(super::now(&waiting, &schedule, NONE, at(201)), None);
    assert_eq!(super::now(&waiting, &schedule, KICKED, at(201)), Some(Trigger::Events));
    let over = Now { mono: at(200).mono + wait, ..at(200) };
    schedule.take_due(over);
    assert_eq!(super::now(&waiting, &schedule, NONE, over), Some(Trigger::Events), "the retry");
    schedule.session_began();
    schedule.session_succeeded(over);
    assert_eq!(super::now(&waiting, &schedule, NONE, over), Some(Trigger::Heartbeat));
}
