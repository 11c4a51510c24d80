//! Hostile values, and the heartbeat's own rules; the periodic Inform's are in the schedule's tests.

use super::super::{Due, MIN_HEARTBEAT, Schedule, Settings};
use super::*;

const T0: i64 = 1_700_000_000;
const MAX: u32 = u32::MAX;

fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: T0 + mono as i64, clock_set: true }
}

fn rhythm(interval: u32, time: Option<i64>, now: Now, random: u32) -> Rhythm {
    Rhythm::of(None, Some(Beat { interval, time }), now, random).expect("a beat")
}

#[test]
fn intervals_and_times_of_every_size() {
    let times = [None, Some(i64::MIN), Some(-1), Some(0), Some(T0), Some(T0 + 1), Some(i64::MAX)];
    let clocks = [(T0, true), (i64::MAX, true), (i64::MIN, true), (0, false)];
    for interval in [0, 1, 2, 3, 4, 5, 30, 3600, MAX - 1, MAX] {
        for time in times {
            for (wall, clock_set) in clocks {
                for mono in [0, 1, u64::from(MAX), 1 << 40] {
                    let now = Now { mono: Duration::from_secs(mono), wall, clock_set };
                    let longest = Duration::from_secs(interval.max(1).into());
                    let mut r = rhythm(interval, time, now, MAX);
                    for _ in 0..3 {
                        let wait = r.due() - now.mono;
                        assert!(wait > Duration::ZERO && wait <= longest, "{interval} {time:?} {wait:?}");
                        assert!(!r.take_due(now));
                        r = Rhythm::of(Some(r), Some(r.beat), now, 7).expect("the same");
                    }
                    let due = Now { mono: r.due(), ..now };
                    assert!(r.take_due(due), "{interval} {time:?}");
                    assert!(r.due() > due.mono && !r.take_due(due), "{interval} {time:?}");
                }
            }
        }
    }
}

#[test]
fn every_second_is_not_more_often_than_that() {
    for time in [None, Some(0)] {
        for jump in [0_i64, -3600, -1, 1, 86_400, 1_000_000_000] {
            let now = |mono: u64| Now { wall: at(mono).wall + if mono > 50 { jump } else { 0 }, ..at(mono) };
            let mut r = rhythm(1, time, now(0), 0);
            let came = (1..=100).filter(|mono| r.take_due(now(*mono))).count();
            assert!((98..=100).contains(&came), "{time:?} {jump}: {came}");
        }
    }
}

#[test]
fn a_wait_of_136_years_is_shortened_by_the_clock_alone() {
    // It stands a minute ahead, by a clock that is put right by an hour ten seconds later.
    let mut r = rhythm(MAX, Some(T0 + 60), at(0), 0);
    assert_eq!(r.due(), at(60).mono);
    assert!(!r.take_due(Now { wall: T0 - 3590, ..at(10) }));
    assert_eq!(r.due(), at(60).mono, "never later than it was");
    assert!(r.take_due(Now { wall: T0 - 3540, ..at(60) }));
    assert!(r.due() > at(60).mono + Duration::from_secs(u64::from(MAX) / 2));
}

fn heartbeat(interval: u32, time: Option<i64>) -> Settings {
    Settings {
        heartbeat_enable: true,
        heartbeat_interval: interval,
        heartbeat_time: time,
        ..Settings::default()
    }
}

/// The moments of heartbeats up to one, and what else came due.
fn beats(s: &mut Schedule, from: u64, to: u64, now: impl Fn(u64) -> Now) -> Vec<u64> {
    let mut found = Vec::new();
    let mut mono = from;
    while let Some(next) = s.next().map(|n| n.as_secs().max(mono)).filter(|n| *n <= to) {
        mono = next;
        let due = s.take_due(now(mono));
        assert_eq!(Due { heartbeat: false, ..due.clone() }, Due::default(), "only heartbeats");
        if due.heartbeat {
            found.push(mono);
        }
    }
    found
}

/// "These MUST begin on the very next midnight, even if it refers to a day in the future."
// Proves: HB-2
#[test]
fn heartbeats_at_their_times_hb2() {
    for time in [T0 + 7, T0 + 7 + 86_400 * 1000, T0 + 7 - 86_400 * 1000] {
        let mut s = Schedule::from_record("", false, heartbeat(60, Some(time)), at(0), 9);
        assert_eq!(beats(&mut s, 0, 200, at), [7, 67, 127, 187], "{time}");
    }
    // Unknown Time, or no clock: a random point, then whole intervals.
    let unset = |mono: u64| Now { wall: 5, clock_set: false, ..at(mono) };
    let table = [(None, at as fn(u64) -> Now), (Some(T0 + 7), unset)];
    for (time, now) in table {
        let firsts: Vec<u64> = [0, 1 << 16, 59 << 16, MAX]
            .into_iter()
            .map(|random: u32| {
                let mut s = Schedule::from_record("", false, heartbeat(60, time), now(0), random);
                let found = beats(&mut s, 0, 400, now);
                assert!(found.windows(2).all(|w| w[1] - w[0] == 60), "{found:?}");
                found[0]
            })
            .collect();
        assert_eq!(firsts, [60, 1, 59, u64::from(MAX) % 60]);
    }
}

// Proves: HB-1, HB-2
#[test]
fn a_heartbeat_policy_holds_at_once_hb1() {
    let mut s = Schedule::from_record("", false, Settings::default(), at(0), 0);
    assert_eq!(s.heartbeat_at(), None);
    s.set(heartbeat(3600, Some(T0)), at(100), 0);
    assert_eq!(s.heartbeat_at(), Some(at(3600).mono));
    s.set(heartbeat(30, Some(T0)), at(100), 0);
    assert_eq!(s.heartbeat_at(), Some(at(120).mono));
    s.set(Settings { throttle: 5, ..heartbeat(30, Some(T0)) }, at(110), 0);
    assert_eq!(s.heartbeat_at(), Some(at(120).mono), "nothing new for heartbeats");
    // Whatever stands in the tree.
    s.set(heartbeat(0, Some(T0)), at(100), 0);
    assert_eq!(beats(&mut s, 100, 200, at), [120, 150, 180]);
    assert_eq!(MIN_HEARTBEAT, 30);
    s.set(Settings::default(), at(200), 0);
    assert_eq!((s.heartbeat_at(), s.next()), (None, None));
}

/// A heartbeat neither waits for a failed session's retry nor changes it; what to do meanwhile is
/// another's to decide.
// Proves: V-22
#[test]
fn heartbeats_and_retries_go_their_own_ways_v22() {
    let mut s = Schedule::from_record("", false, heartbeat(30, Some(T0)), at(1), 0);
    s.session_failed(at(10), None, 0);
    let (failures, retry) = (s.failures(), s.retry_at());
    assert_eq!(retry, Some(at(15).mono));
    let due = s.take_due(Now { mono: at(10).mono, ..at(30) });
    assert!(!due.heartbeat && !due.retry);
    let mut early = s.clone();
    early.session_failed(at(29), None, 0);
    let due = early.take_due(at(30));
    assert!(due.heartbeat && !due.retry, "{due:?}");
    assert_eq!(early.failures(), failures + 1);
    assert_eq!(s.retry_at(), retry);
}

/// Periodic Informs and heartbeats without a time of their own do not come together.
#[test]
fn two_random_points() {
    for random in [12_345, 0x1234_5678, MAX - 5] {
        let settings = Settings { periodic_enable: true, periodic_interval: 3600, ..heartbeat(3600, None) };
        let s = Schedule::from_record("", false, settings, at(0), random);
        assert_ne!(s.periodic_at(), s.heartbeat_at(), "{random}");
    }
}
