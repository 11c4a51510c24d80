use super::*;

const T0: i64 = 1_800_000_000;

/// `mono` seconds after boot, with a clock that is right.
fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: T0 + mono as i64, clock_set: true }
}

fn unset(mono: u64) -> Now {
    Now { wall: 77, clock_set: false, ..at(mono) }
}

fn reboots() -> Reboots {
    Reboots::from_record("", false, None, None, at(0))
}

/// Goes from one look to the next: what is due, and when.
fn run(reboots: &mut Reboots, from: u64, to: u64, now: impl Fn(u64) -> Now) -> Vec<(u64, Due)> {
    let mut found = Vec::new();
    let mut mono = from;
    let mut looks = 0;
    loop {
        while let Some(due) = reboots.take_due(now(mono)) {
            found.push((mono, due));
        }
        let Some(next) = reboots.next(now(mono)).map(|n| n.as_secs()).filter(|n| *n <= to) else { break };
        assert!(next > mono, "it would spin at {mono}");
        mono = next;
        looks += 1;
    }
    assert!(looks <= (to - from) / 60 + 2, "no look more often than once a minute: {looks}");
    found
}

// Proves: R-SYS-10
#[test]
fn a_delay_counts_from_the_end_of_its_session_r_sys_10() {
    for (seconds, due) in [(0, 100), (1, 101), (600, 700), (0x7fff_ffff, 100 + 0x7fff_ffff)] {
        let mut r = reboots();
        r.set_delay(Some(seconds));
        assert_eq!(r.next(at(50)), Some(at(50).mono), "looked at as soon as no session runs");
        assert_eq!(r.planned(at(50)), Some((None, Due::Delay)));
        // The session ends at 100 s.
        let mut early = r.clone();
        assert_eq!(early.take_due(at(100)).is_some(), seconds == 0);
        assert_eq!(run(&mut r, 100, due, at), [(due, Due::Delay)], "{seconds}");
        assert_eq!((r.next(at(due)), r.planned(at(due))), (None, None), "once");
    }
}

// Proves: R-SYS-10
#[test]
fn a_new_delay_replaces_the_former_and_none_cancels_r_sys_10() {
    let mut r = reboots();
    r.set_delay(Some(100));
    assert_eq!(r.take_due(at(0)), None);
    r.set_delay(Some(100)); // the same value in a later session
    assert_eq!(r.take_due(at(50)), None);
    assert_eq!(r.take_due(at(149)), None);
    assert_eq!(r.planned(at(149)), Some((Some(1), Due::Delay)));
    r.follow(Some(100), None, at(149)); // nothing new
    assert_eq!(r.take_due(at(150)), Some(Due::Delay));
    r.set_delay(Some(100));
    r.set_time(Some(T0 + 500), at(150));
    r.follow(None, None, at(151));
    assert_eq!(run(&mut r, 151, 10_000, at), []);
}

// Proves: R-SYS-10
#[test]
fn a_time_comes_or_is_past_r_sys_10() {
    let table = [
        // set at 100 s to, the session ends at, what comes of it
        (T0 + 200, 110, vec![(200, Due::Time)]),
        (T0 + 105, 110, vec![(110, Due::Time)]),
        (T0 + 101, 100, vec![(101, Due::Time)]),
        (T0 + 100, 110, vec![(110, Due::Past)]),
        (T0 + 99, 110, vec![(110, Due::Past)]),
        (0, 110, vec![(110, Due::Past)]),
        (i64::MIN, 110, vec![(110, Due::Past)]),
        (i64::MAX, 110, vec![]),
        (T0 + 4000, 110, vec![(4000, Due::Time)]),
    ];
    for (wall, end, expected) in table {
        let mut r = reboots();
        r.set_time(Some(wall), at(100));
        assert_eq!(run(&mut r, end, 10_000, at), expected, "{}", wall.saturating_sub(T0));
        assert_eq!(r.planned(at(10_000)).is_some(), expected.is_empty());
    }
}

/// "Clock not set": it waits; the first clock that can be believed says whether it is past.
// Proves: R-SYS-10
#[test]
fn a_time_waits_for_the_clock_r_sys_10() {
    for (wall, expected) in [(T0 + 900, (900, Due::Time)), (T0 + 200, (500, Due::Past))] {
        let now = |mono: u64| if mono < 500 { unset(mono) } else { at(mono) };
        let mut r = reboots();
        r.set_time(Some(wall), unset(100));
        assert_eq!(r.planned(unset(100)), Some((None, Due::Time)));
        let found = run(&mut r, 100, 10_000, now);
        assert_eq!(found.len(), 1);
        let (when, due) = found[0];
        assert_eq!(due, expected.1);
        assert!(when >= expected.0 && when < expected.0 + 60, "{when}");
    }
}

#[test]
fn a_clock_that_jumps_brings_the_time_or_puts_it_off() {
    // Forward past it: its time has come.
    let now = |mono: u64| Now { wall: at(mono).wall + if mono > 300 { 100_000 } else { 0 }, ..at(mono) };
    let mut r = reboots();
    r.set_time(Some(T0 + 5000), at(100));
    let found = run(&mut r, 100, 10_000, now);
    assert!(matches!(found[..], [(301..=361, Due::Time)]), "{found:?}");
    // Back: it waits longer.
    let now = |mono: u64| Now { wall: at(mono).wall - if mono > 300 { 2000 } else { 0 }, ..at(mono) };
    let mut r = reboots();
    r.set_time(Some(T0 + 5000), at(100));
    assert_eq!(run(&mut r, 100, 10_000, now), [(7000, Due::Time)]);
    // A clock that nobody believes any more: it waits.
    let mut r = reboots();
    r.set_time(Some(T0 + 5000), at(100));
    assert_eq!(run(&mut r, 100, 9000, |m| if m > 300 { unset(m) } else { at(m) }), []);
}

#[test]
fn both_come_one_after_the_other() {
    let mut r = reboots();
    r.set_delay(Some(50));
    r.set_time(Some(T0 + 50), at(0));
    assert_eq!(r.take_due(at(0)), None);
    assert_eq!(r.take_due(at(50)), Some(Due::Delay));
    assert_eq!(r.take_due(at(50)), Some(Due::Time));
    assert_eq!(r.take_due(at(50)), None);
}

/// The record of a delay of 100 s whose session ended at 20 s, and of a time at 500 s.
fn stored() -> String {
    let mut r = reboots();
    r.set_delay(Some(100));
    r.set_time(Some(T0 + 500), at(10));
    assert!(r.record().is_some(), "what is set is kept at once");
    assert_eq!(r.take_due(at(20)), None);
    let record = r.record().unwrap();
    assert_eq!(r.record(), None);
    assert_eq!(r.take_due(at(30)), None);
    assert_eq!(r.record(), None, "nothing is written while it waits");
    record
}

// Proves: R-SYS-10
#[test]
fn what_waits_survives_a_restart_r_sys_10() {
    let again = |mono, delay, time| Reboots::from_record(&stored(), false, delay, time, at(mono));
    let mut r = again(60, Some(100), Some(T0 + 500));
    assert_eq!(r.record(), None);
    assert_eq!(run(&mut r, 60, 1000, at), [(120, Due::Delay), (500, Due::Time)], "the delay counts on");
    assert_eq!(r.record().as_deref(), Some(""));
    // Both came while no daemon ran.
    let mut r = again(900, Some(100), Some(T0 + 500));
    assert_eq!(run(&mut r, 900, 1000, at), [(900, Due::Delay), (900, Due::Time)]);
    // Killed between the answer and the record: what is set counts as set just now.
    let mut r = again(600, Some(50), Some(T0 + 550));
    assert_eq!(run(&mut r, 600, 1000, at), [(600, Due::Past), (650, Due::Delay)]);
    let mut r = again(60, None, None);
    assert_eq!((run(&mut r, 60, 1000, at), r.record().as_deref()), (vec![], Some("")));
    // Damage shortens a delay, and never prolongs it.
    let record = format!("delay\t100\t{}\njunk\ndelay\nx\ty\tz\n", u64::MAX);
    let mut r = Reboots::from_record(&record, false, Some(100), None, at(60));
    assert_eq!(run(&mut r, 60, 1000, at), [(160, Due::Delay)]);
}

/// "Whenever the CPE reboots, this value MUST be reset by the CPE to -1."
// Proves: R-SYS-10
#[test]
fn a_boot_ends_a_delay_and_not_a_time_to_come_r_sys_10() {
    let booted = |mono: u64| Now { mono: Duration::from_secs(mono), ..at(300 + mono) };
    let mut r = Reboots::from_record(&stored(), true, Some(100), Some(T0 + 500), booted(5));
    assert_eq!(run(&mut r, 5, 1000, booted), [(200, Due::Time)]);
    // Past, as the first believed clock after the boot says: not done (again).
    let late = |mono: u64| if mono < 50 { unset(mono) } else { at(600 + mono) };
    let mut r = Reboots::from_record(&stored(), true, Some(100), Some(T0 + 500), late(5));
    let found = run(&mut r, 5, 1000, late);
    assert!(matches!(found[..], [(50..=120, Due::Past)]), "{found:?}");
}
