use super::rhythm::JUMP;
use super::*;

const T0: i64 = 1_700_000_000;

/// `mono` seconds after boot, with a clock that is right.
fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: T0 + mono as i64, clock_set: true }
}

fn wall(now: Now, wall: i64) -> Now {
    Now { wall, ..now }
}

fn unset(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: 77, clock_set: false }
}

fn every(interval: u32, time: Option<i64>) -> Settings {
    Settings {
        periodic_enable: true,
        periodic_interval: interval,
        periodic_time: time,
        ..Settings::default()
    }
}

fn schedule(settings: Settings, now: Now, random: u32) -> Schedule {
    Schedule::from_record("", false, settings, now, random)
}

/// Goes from one due moment to the next, with the clock that `now` tells: when it was periodic.
fn run(schedule: &mut Schedule, from: u64, to: u64, now: impl Fn(u64) -> Now) -> Vec<u64> {
    let mut fired = Vec::new();
    let mut mono = from;
    while let Some(next) = schedule.next().map(|n| n.as_secs().max(mono)).filter(|n| *n <= to) {
        mono = next;
        if schedule.take_due(now(mono)).periodic {
            fired.push(mono);
        }
    }
    fired
}

// Proves: C-24, C-25
#[test]
fn retry_waits_c24_c25() {
    let table = [
        (5, 2000, 1, 5_000, 10_000),
        (5, 2000, 2, 10_000, 20_000),
        (5, 2000, 5, 80_000, 160_000),
        (5, 2000, 10, 2_560_000, 5_120_000),
        (5, 2000, 11, 2_560_000, 5_120_000),
        (5, 2000, u32::MAX, 2_560_000, 5_120_000),
        (1, 1000, 7, 1_000, 1_000),
        (3, 1500, 3, 6_750, 10_125),
        (0, 0, 0, 1_000, 1_000),
    ];
    for (m, k, n, least, most) in table {
        let range = (Duration::from_millis(least), Duration::from_millis(most));
        assert_eq!(retry_range(n, m, k), range, "m {m} k {k} n {n}");
    }
    assert_eq!(retry_range(10, 65_535, 65_535), (MAX_RETRY_WAIT, MAX_RETRY_WAIT));
}

// Proves: C-22, C-26, C-27, C-29, C-33
#[test]
fn retries_grow_and_begin_anew_c22_c26_c27_c29_c33() {
    let mut s = schedule(Settings::default(), at(100), 0);
    assert_eq!((s.failures(), s.next()), (0, None));
    assert_eq!(s.session_failed(at(100), None, 0), Duration::from_secs(5));
    assert_eq!(s.take_due(at(104)), Due::default());
    assert_eq!(s.next(), Some(Duration::from_secs(105)));
    assert!(s.take_due(at(105)).retry);
    assert_eq!((s.failures(), s.retry_at()), (1, None));
    assert_eq!(s.session_failed(at(105), None, u32::MAX), Duration::from_secs(20));
    assert_eq!(s.failures(), 2);
    // A connection request does not wait.
    s.session_began();
    assert_eq!(s.retry_at(), None);
    assert_eq!(s.session_failed(at(110), Some(1), 0), Duration::from_secs(20));
    assert_eq!(s.session_failed(at(110), Some(600), 0), Duration::from_secs(600));
    assert_eq!(s.session_failed(at(110), Some(u32::MAX), 0), Duration::from_secs(86_400));
    s.session_succeeded(at(110));
    assert_eq!((s.failures(), s.next()), (0, None));
    let wait = s.session_failed(at(110), None, u32::MAX / 2);
    assert!(wait > Duration::from_millis(7_490) && wait < Duration::from_millis(7_510), "{wait:?}");
}

// Proves: I-10
#[test]
fn periodic_by_its_time_i10() {
    // T0 is 20 s past a whole minute; at +7 s of each minute.
    assert_eq!(T0 % 60, 20);
    let mut s = schedule(every(60, Some(7)), at(1000), 9);
    let first = 1000 + (60 - (T0 as u64 + 1000 - 7) % 60);
    assert_eq!(
        run(&mut s, 1000, 1300, at),
        (0..).map(|n| first + n * 60).take_while(|t| *t <= 1300).collect::<Vec<_>>()
    );
    // A time in the future sets the phase all the same.
    let mut s = schedule(every(60, Some(T0 + 1_000_000_007)), at(0), 9);
    assert!(run(&mut s, 0, 600, at).iter().all(|t| (T0 + *t as i64 - 7 - T0 - 1_000_000_000) % 60 == 0));
}

// Proves: I-10
#[test]
fn periodic_without_a_time_is_at_random_i10() {
    for random in [0, 1, 59, 60, 12345, u32::MAX] {
        for now in [at as fn(u64) -> Now, unset] {
            let mut s = schedule(every(60, None), now(1000), random);
            let fired = run(&mut s, 1000, 1300, now);
            let first = match random % 60 {
                0 => 1060,
                r => 1000 + u64::from(r),
            };
            assert_eq!(fired[..4], [first, first + 60, first + 120, first + 180]);
        }
    }
}

// Proves: I-11
#[test]
fn periodic_settings_hold_at_once_i11() {
    let mut s = schedule(every(3600, None), at(0), 3599);
    s.set(every(10, None), at(5), 3);
    assert_eq!(s.periodic_at(), Some(Duration::from_secs(8)));
    s.set(every(10, None), at(6), 9); // nothing new
    assert_eq!(s.periodic_at(), Some(Duration::from_secs(8)));
    s.set(Settings { retry_minimum: 7, ..every(10, None) }, at(6), 9);
    assert_eq!(s.periodic_at(), Some(Duration::from_secs(8)));
    s.set(Settings::default(), at(7), 0);
    assert_eq!((s.next(), s.take_due(at(1000))), (None, Due::default()));
}

// Proves: I-12
#[test]
fn a_late_look_gives_one_periodic_i12() {
    let mut s = schedule(every(60, Some(0)), at(0), 0);
    assert!(s.take_due(at(1_000)).periodic);
    assert!(!s.take_due(at(1_000)).periodic);
    let left = 60 - (T0 as u64 + 1_000) % 60;
    assert_eq!(s.periodic_at(), Some(Duration::from_secs(1_000 + left)));
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_makes_no_storm() {
    // Jumps by every amount, forward and back, in the middle of the story.
    for jump in [-100_000, -3600, -1801, -1, 1, 30, 1799, 1800, 3599, 3600, 1_000_000_000] {
        let now = |mono: u64| wall(at(mono), at(mono).wall + if mono > 5_000 { jump } else { 0 });
        let mut s = schedule(every(3600, Some(0)), now(0), 0);
        let fired = run(&mut s, 0, 40_000, now);
        for pair in fired.windows(2) {
            assert!(pair[1] - pair[0] >= 1799, "{jump}: {fired:?}");
            assert!(pair[1] - pair[0] <= 5401, "{jump}: {fired:?}");
        }
        assert!(fired.len() >= 10, "{jump}: {fired:?}");
        // In the end it stands where the clock says.
        let last = *fired.last().unwrap();
        assert!(now(last).wall.rem_euclid(3600) <= JUMP as i64, "{jump}: {fired:?}");
    }
    // A clock that jumps all the time: not more than twice as often, not less than half.
    let now = |mono: u64| wall(at(mono), T0 + (mono as i64 * 7919) % 100_003);
    let mut s = schedule(every(3600, Some(0)), now(0), 0);
    let fired = run(&mut s, 0, 360_000, now);
    assert!((50..=201).contains(&fired.len()), "{}", fired.len());
}

#[test]
fn a_clock_that_is_set_later_aligns_the_periodic() {
    let now = |mono: u64| if mono < 500 { unset(mono) } else { at(mono) };
    let mut s = schedule(every(3600, Some(0)), now(0), 1800);
    let fired = run(&mut s, 0, 20_000, now);
    assert!(fired.iter().all(|t| *t >= 500));
    assert!(fired.iter().skip(1).all(|t| at(*t).wall % 3600 == 0), "{fired:?}");
}

// Proves: R-SYS-8, R-SYS-9
#[test]
fn schedule_informs_r_sys_8_r_sys_9() {
    let mut s = schedule(Settings::default(), at(10), 0);
    s.schedule_inform(60, "a", at(10)).unwrap();
    s.schedule_inform(30, "b", at(10)).unwrap();
    s.schedule_inform(30, "b", at(10)).unwrap();
    assert_eq!(s.next(), Some(Duration::from_secs(40)));
    assert_eq!(s.take_due(at(39)), Due::default());
    // The wall clock does not matter.
    assert_eq!(s.take_due(wall(at(40), 0)).scheduled, ["b", "b"]);
    assert_eq!(s.take_due(at(500)).scheduled, ["a"]);
    for _ in 0..MAX_SCHEDULED {
        s.schedule_inform(u32::MAX, "", at(500)).unwrap();
    }
    assert_eq!(s.schedule_inform(1, "", at(500)).unwrap_err().code, Code::RESOURCES_EXCEEDED);
    s.forget_scheduled();
    assert_eq!((s.scheduled(), s.next()), (0, None));
}

fn stored() -> String {
    let mut s = schedule(Settings::default(), at(10), 0);
    s.schedule_inform(1000, "tab\tkey", at(10)).unwrap();
    let record = s.record().unwrap();
    assert_eq!(s.record(), None);
    record
}

// Proves: R-SYS-11
#[test]
fn schedule_informs_survive_r_sys_11() {
    let key = vec!["tab\tkey".to_string()];
    // The daemon restarted: the same monotonic clock.
    let mut s = Schedule::from_record(&stored(), false, Settings::default(), at(500), 0);
    assert_eq!(s.record(), None);
    assert_eq!(s.next(), Some(Duration::from_secs(1010)));
    assert_eq!(s.take_due(at(1010)).scheduled, key);
    assert_eq!(s.record().as_deref(), Some(""));

    // A reboot that took 400 s: the monotonic clock began anew, the wall clock went on.
    let booted = |mono: u64| Now { wall: T0 + 900 + mono as i64, ..at(mono) };
    let mut s = Schedule::from_record(&stored(), true, Settings::default(), booted(20), 0);
    assert_eq!(s.take_due(booted(20)), Due::default());
    assert_eq!(s.next(), Some(Duration::from_secs(110)));
    assert_eq!(s.take_due(booted(110)).scheduled, key);

    // The clock is set only later: looked at again, and due at once when it should have been.
    let mut s = Schedule::from_record(&stored(), true, Settings::default(), unset(20), 0);
    assert_eq!(s.take_due(unset(20)), Due::default());
    assert_eq!(s.next(), Some(Duration::from_secs(80)));
    assert_eq!(s.take_due(booted(200)).scheduled, key);

    // It is never set: the whole delay again, not for ever.
    let mut s = Schedule::from_record(&stored(), true, Settings::default(), unset(20), 0);
    assert_eq!(s.take_due(unset(1020)).scheduled, key);

    // A clock that went back does not put it off.
    let mut s = Schedule::from_record(&stored(), true, Settings::default(), wall(at(20), 5), 0);
    assert_eq!(s.take_due(wall(at(20), 5)), Due::default());
    assert_eq!(s.next(), Some(Duration::from_secs(1020)));
}

#[test]
fn a_damaged_record_gives_what_makes_sense() {
    let record = format!(
        "junk\n\t99999999999999999999\t5\tx\n\t18446744073709551615\t5\tk\n-\t1\t-5\tk\n{}",
        "\t1\t1\tk\n".repeat(100)
    );
    let mut s = Schedule::from_record(&record, false, Settings::default(), at(10), 0);
    assert_eq!(s.scheduled(), MAX_SCHEDULED);
    assert_eq!(s.take_due(at(15)).scheduled.len(), MAX_SCHEDULED);
}
