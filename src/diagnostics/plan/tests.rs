use super::*;
use crate::diagnostics::{KINDS, internal};
use crate::sys::clock;

const START: i64 = 1_790_856_000; // 2026-10-01T12:00:00Z, a Thursday

fn utc(_: i64) -> i64 {
    0
}

fn at(text: &str) -> i64 {
    clock::parse(text).expect(text)
}

#[test]
fn the_next_time_by_the_clock() {
    for (cron, after, next) in [
        ("* * * * *", "2026-10-01T12:00:00Z", "2026-10-01T12:01:00Z"),
        ("* * * * *", "2026-10-01T12:00:59Z", "2026-10-01T12:01:00Z"),
        ("0 3 * * *", "2026-10-01T12:00:00Z", "2026-10-02T03:00:00Z"),
        ("0 3 * * *", "2026-10-01T02:59:59Z", "2026-10-01T03:00:00Z"),
        ("0 3 * * *", "2026-10-01T03:00:00Z", "2026-10-02T03:00:00Z"),
        ("*/15 * * * *", "2026-12-31T23:50:00Z", "2027-01-01T00:00:00Z"),
        ("5,35-37 8-9/1 * * *", "2026-10-01T09:36:00Z", "2026-10-01T09:37:00Z"),
        ("5,35-37 8-9/1 * * *", "2026-10-01T09:37:00Z", "2026-10-02T08:05:00Z"),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
        // The 31st is not in every month.
        ("0 0 31 * *", "2026-10-31T00:00:00Z", "2026-12-31T00:00:00Z"),
        // Leap days; 2100 has none.
        ("0 0 29 2 *", "2026-10-01T12:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
        // Days of the week; 0 and 7 are Sunday.
        ("0 0 * * 0", "2026-10-01T12:00:00Z", "2026-10-04T00:00:00Z"),
        ("0 0 * * 7", "2026-10-01T12:00:00Z", "2026-10-04T00:00:00Z"),
        ("0 0 * * 1-5", "2026-10-02T12:00:00Z", "2026-10-05T00:00:00Z"),
        ("0 0 * * */6", "2026-10-01T12:00:00Z", "2026-10-03T00:00:00Z"),
        // Both kinds of days: either is enough, and not both needed.
        ("0 0 13 * 5", "2026-10-01T12:00:00Z", "2026-10-02T00:00:00Z"),
        ("0 0 13 * 5", "2026-10-09T12:00:00Z", "2026-10-13T00:00:00Z"),
        ("0 0 30 2 5", "2026-10-01T12:00:00Z", "2027-02-05T00:00:00Z"),
        // One with a star that steps is no restriction that stands by itself.
        ("0 0 */10 * 5", "2026-10-01T12:00:00Z", "2026-12-11T00:00:00Z"),
    ] {
        let found = Cron::parse(cron).expect(cron).next(at(after), &utc);
        assert_eq!(found.map(clock::utc).as_deref(), Some(next), "{cron} behind {after}");
    }
}

#[test]
fn what_is_no_time_says_why() {
    for (cron, why) in [
        ("", "five fields are wanted, m h dom mon dow; there are 0"),
        ("* * * *", "there are 4"),
        ("* * * * * *", "there are 6"),
        ("@daily", "there are 1"),
        ("60 * * * *", "minute: 60: 0 to 59 are possible"),
        ("* 24 * * *", "hour: 24: 0 to 23"),
        ("* * 0 * *", "day of the month: 0: 1 to 31"),
        ("* * * 13 *", "month: 13: 1 to 12"),
        ("* * * * 8", "day of the week: 8: 0 to 7"),
        ("* * * jan *", "month: jan: no number"),
        ("5-1 * * * *", "minute: 5-1: the range ends before it begins"),
        ("1- * * * *", "no range of numbers"),
        ("-1 * * * *", "no range of numbers"),
        ("*/0 * * * *", "no step"),
        ("*/ * * * *", "no step"),
        ("5/10 * * * *", "a step wants a range or *"),
        ("1,,2 * * * *", "minute: : no number"),
        ("1, * * * *", "no number"),
        ("+1 * * * *", "no number"),
        ("001 * * * *", "no number"),
        ("** * * * *", "no number"),
        ("0 0 30 2 *", "no month has this day: 30 2"),
        ("0 0 31 4,6,9,11 *", "no month has this day"),
        ("é * * * *", "minute: é: no number"),
        ("99999999999999999999999999999999999999 * * * *", "no number"),
    ] {
        let said = Cron::parse(cron).expect_err(cron);
        assert!(said.contains(why), "{cron}: {said}");
    }
}

/// Central Europe: an hour ahead, two from 2026-03-29T01:00Z to 2026-10-25T01:00Z.
fn berlin(seconds: i64) -> i64 {
    let summer = at("2026-03-29T01:00:00Z")..at("2026-10-25T01:00:00Z");
    if summer.contains(&seconds) { 7200 } else { 3600 }
}

/// New York: five hours behind, four from 2026-03-08T07:00Z to 2026-11-01T06:00Z.
fn new_york(seconds: i64) -> i64 {
    let summer = at("2026-03-08T07:00:00Z")..at("2026-11-01T06:00:00Z");
    if summer.contains(&seconds) { -4 * 3600 } else { -5 * 3600 }
}

/// Each local time once a day, also where an hour is left out or comes twice.
#[test]
fn local_time_and_its_odd_days() {
    type Zone = fn(i64) -> i64;
    for (zone, cron, from, days) in [
        (berlin as Zone, "30 3 * * *", "2026-03-28T00:00:00Z", ["28T02:30", "29T01:30", "30T01:30"]),
        (berlin, "30 2 * * *", "2026-03-28T00:00:00Z", ["28T01:30", "29T01:30", "30T00:30"]),
        (berlin, "30 2 * * *", "2026-10-23T22:00:00Z", ["24T00:30", "25T01:30", "26T01:30"]),
        (new_york, "30 2 * * *", "2026-03-07T00:00:00Z", ["07T07:30", "08T07:30", "09T06:30"]),
        (new_york, "30 1 * * *", "2026-10-31T00:00:00Z", ["31T05:30", "01T05:30", "02T06:30"]),
        (new_york, "0 0 * * *", "2026-10-31T00:00:00Z", ["31T04:00", "01T04:00", "02T05:00"]),
    ] {
        let cron_of = Cron::parse(cron).expect(cron);
        let mut now = at(from);
        for day in days {
            now = cron_of.next(now, &zone).expect("a time");
            assert!(clock::utc(now).contains(day), "{cron}: {} and not {day}", clock::utc(now));
        }
    }
}

fn number(name: &str, condition: &str, limit: &str, clear: &str, consecutive: u32) -> Threshold {
    Threshold::new(name, condition, limit, clear, consecutive).expect("a threshold")
}

#[test]
fn thresholds_and_their_way_back() {
    // `!` is told: crossed; `.` is told: not any more; `-` is no news.
    for (condition, limit, clear, consecutive, values, news) in [
        ("Above", "100", "", 1, "100 101 200 100 101", "-!-.!"),
        ("Above", "100", "80", 1, "101 90 81 80 90 101", "!--.-!"),
        ("Above", "100", "80", 3, "101 101 90 101 101 101 101 80", "-----!-."),
        ("Below", "10", "", 1, "10 9 9.99 10", "-!-."),
        ("Below", "10", "20", 2, "9 9 15 19 20 9 15 9 9", "-!--.---!"),
        ("Above", "-5", "-10", 1, "-6 -4 -9 -10", "-!-."),
        // What says nothing changes nothing, and does not stand between two in a row.
        ("Above", "1", "", 2, "2 x 2 inf 1", "--!-."),
        ("Is", "Error_Timeout", "", 1, "Complete Error_Timeout Complete", "-!."),
        ("IsNot", "Complete", "", 2, "Error_Other Error_Timeout Error_Other Complete", "-!-."),
    ] {
        let threshold = number("A", condition, limit, clear, consecutive);
        let mut tally = Tally::default();
        let said: String = values
            .split(' ')
            .map(|value| match (tally.judge(&threshold, Some(value)), tally.crossed) {
                (false, _) => '-',
                (true, true) => '!',
                (true, false) => '.',
            })
            .collect();
        assert_eq!(said, news, "{condition} {limit} {clear} {consecutive}: {values}");
    }
    let mut tally = Tally::new(true);
    assert!(!tally.judge(&number("A", "Above", "1", "", 1), None), "a run without this result");
    assert!(tally.crossed);
}

#[test]
fn thresholds_that_cannot_be() {
    for (condition, limit, clear, whose) in [
        ("Above", "", "", Some("Limit")),
        ("Above", "fast", "", Some("Limit")),
        ("Below", "1e3", "", Some("Limit")),
        ("Below", "NaN", "", Some("Limit")),
        ("Above", "1", "x", Some("Clear")),
        ("Above", "1", "2", Some("Clear")),
        ("Below", "2", "1", Some("Clear")),
        ("Below", "2", "2", None),
        ("Above", "-0.5", "-1", None),
        ("Is", "", "", None),
        ("IsNot", "Complete", "whatever", None),
    ] {
        let said = Threshold::new("A", condition, limit, clear, 1).err().map(|(name, _)| name);
        assert_eq!(said, whose, "{condition} {limit} {clear}");
    }
}

fn ping() -> Settings {
    let kind = KINDS.first();
    Settings { number: 3, is_enabled: true, kind, interval: 60, keep: 2, ..Settings::default() }
}

/// The moment so many seconds behind the beginning.
fn moment(seconds: u64) -> Now {
    let (mono, wall) = (Duration::from_secs(1000 + seconds), START + seconds as i64);
    Now { mono, wall, clock_set: true }
}

fn around(now: Now, random: &dyn Fn() -> u32) -> Around<'_> {
    Around { now, offset: &utc, random }
}

/// Seconds from the beginning to the next run.
fn next(plan: &Plan, now: Now) -> Option<u64> {
    Some(plan.next(now)?.as_secs() - 1000)
}

fn report(state: &'static str, value: u32) -> Report {
    Report { state, values: vec![("FailureCount", value.to_string())], ..Report::default() }
}

#[test]
fn an_interval_is_kept_whatever_the_clock_does() {
    let least = || 0;
    let mut plan = Plan::default();
    assert_eq!((plan.status(3), plan.next(moment(0))), ("Disabled", None));
    plan.follow(vec![ping()], around(moment(0), &least), false);
    assert_eq!((plan.status(3), next(&plan, moment(0))), ("Scheduled", Some(0)), "at once");
    let begun = plan.begin(around(moment(0), &least)).expect("a run");
    assert_eq!(begun.number, 3);
    assert_eq!((plan.status(3), plan.running()), ("Running", Some(3)));
    assert_eq!(plan.end(3, &report("Complete", 0), true), []);
    assert_eq!((plan.status(3), next(&plan, moment(5)), plan.last(3)), ("Scheduled", Some(60), Some(START)));
    assert_eq!(plan.upcoming(3, moment(5)), Some(START + 60));
    // A clock that jumps moves no run.
    let jumped = |seconds: u64, by: i64| Now { wall: moment(seconds).wall + by, ..moment(seconds) };
    assert!(!plan.is_due(jumped(59, 1_000_000)) && plan.is_due(jumped(60, -1_000_000)));
    // Late by a session of ten minutes: once, and then an interval later.
    assert!(plan.begin(around(jumped(660, -1_000_000), &least)).is_some());
    plan.end(3, &report("Complete", 0), true);
    assert_eq!(next(&plan, moment(661)), Some(720));
    // The same again is no news; another argument is.
    plan.follow(vec![ping()], around(moment(662), &least), false);
    assert_eq!(next(&plan, moment(662)), Some(720));
    let other = Settings { arguments: vec![("Host".into(), "a".into())], ..ping() };
    plan.follow(vec![other.clone()], around(moment(663), &least), false);
    assert_eq!(next(&plan, moment(663)), Some(663));
    assert!(plan.begin(around(moment(663), &least)).is_some());
    // Changed or deleted while it runs: it is wanted no more, and what it says counts for nothing.
    plan.follow(vec![ping()], around(moment(664), &least), false);
    assert_eq!((plan.running(), plan.end(3, &report("Complete", 0), true)), (None, vec![]));
    assert_eq!(plan.outcomes(3).count(), 2);
    plan.follow(Vec::new(), around(moment(665), &least), false);
    assert_eq!((plan.status(3), plan.outcomes(3).count(), plan.next(moment(665))), ("Disabled", 0, None));
}

#[test]
fn a_start_settles_and_the_acs_goes_first() {
    let least = || 0;
    let mut plan = Plan::default();
    plan.follow(vec![ping()], around(moment(0), &least), true);
    assert_eq!(next(&plan, moment(0)), Some(SETTLE.as_secs()));
    assert!(plan.begin(around(moment(299), &least)).is_none());
    assert!(plan.begin(around(moment(300), &least)).is_some());
    plan.gave_way(3, moment(301));
    assert_eq!((plan.running(), plan.outcomes(3).count(), next(&plan, moment(301))), (None, 0, Some(301)));
    assert!(plan.begin(around(moment(310), &least)).is_some());
    plan.end(3, &report("Complete", 0), true);
    assert_eq!(next(&plan, moment(311)), Some(360), "in the step it had");
}

#[test]
fn jitter_stays_in_its_range() {
    for (jitter, interval, random, late) in [
        (0, 3600, u32::MAX, 0),
        (10, 3600, 0, 0),
        (10, 3600, u32::MAX, 10),
        (10, 3600, u32::MAX / 2, 5),
        (1, 3600, u32::MAX / 2 + 1, 1),
        // No more than half an interval.
        (86_400, 60, u32::MAX, 30),
    ] {
        let random = || random;
        let mut plan = Plan::default();
        plan.follow(vec![Settings { jitter, interval, ..ping() }], around(moment(0), &random), false);
        assert_eq!(next(&plan, moment(0)), Some(late), "{jitter}");
        // Late by its jitter, it does not drift.
        for n in 1..4 {
            let now = moment(next(&plan, moment(0)).expect("a run"));
            assert!(plan.begin(around(now, &random)).is_some());
            plan.end(3, &report("Complete", 0), true);
            assert_eq!(next(&plan, now), Some(n * u64::from(interval) + late), "{jitter}");
        }
    }
    // By the clock, too.
    let most = || u32::MAX;
    let cron = Cron::parse("0 3 * * *").ok();
    let mut plan = Plan::default();
    let settings = Settings { interval: 0, cron, jitter: 900, ..ping() };
    plan.follow(vec![settings], around(moment(0), &most), false);
    assert_eq!(plan.upcoming(3, moment(0)).map(clock::utc).as_deref(), Some("2026-10-02T03:15:00Z"));
}

#[test]
fn a_time_of_the_day_follows_the_clock() {
    let least = || 0;
    let cron = Cron::parse("0 13 * * *").ok();
    let settings = Settings { interval: 0, cron, ..ping() };
    let unset = Now { wall: 77, clock_set: false, ..moment(0) };
    let mut plan = Plan::default();
    plan.follow(vec![settings], around(unset, &least), true);
    assert_eq!((plan.status(3), plan.upcoming(3, unset), plan.is_due(unset)), ("Scheduled", None, false));
    assert!(plan.next(unset).is_some_and(|at| at > unset.mono), "somebody looks when it may be set");
    // It is set.
    assert!(plan.is_due(moment(10)) && plan.begin(around(moment(10), &least)).is_none());
    assert_eq!(plan.upcoming(3, moment(10)), Some(START + 3600));
    assert!(plan.next(moment(10)).is_some_and(|at| at <= moment(10 + 600).mono), "a jump is noticed");
    // Put forward over the time: it runs, once.
    let later = Now { wall: START + 7200, ..moment(20) };
    assert_eq!(plan.begin(around(later, &least)).map(|settings| settings.number), Some(3));
    plan.end(3, &report("Complete", 0), true);
    assert_eq!(plan.upcoming(3, later), Some(START + 3600 + 86_400));
    // Put back: the time of today is still to come.
    let back = Now { wall: START, ..moment(30) };
    assert!(plan.is_due(back) && plan.begin(around(back, &least)).is_none());
    assert_eq!(plan.upcoming(3, back), Some(START + 3600));
}

#[test]
fn what_comes_of_runs_is_kept_and_bounded() {
    let least = || 0;
    let thresholds = vec![
        (1, false, number("FailureCount", "Above", "0", "", 2)),
        (4, true, number("DiagnosticsState", "IsNot", "Complete", "", 1)),
        (5, false, number("Unknown", "Above", "0", "", 1)),
    ];
    let mut plan = Plan::default();
    plan.follow(vec![Settings { thresholds, ..ping() }], around(moment(0), &least), false);
    let mut run = |n: u64, report: &Report, is_begun: bool| {
        assert!(plan.begin(around(moment(60 * n), &least)).is_some(), "{n}");
        let told = plan.end(3, report, is_begun);
        (told, plan.status(3), plan.outcomes(3).map(|o| o.key).collect::<Vec<_>>())
    };
    assert_eq!(run(0, &report("Complete", 1), true), (vec![(4, false)], "Scheduled", vec![1]));
    assert_eq!(run(1, &report("Complete", 1), true), (vec![(1, true)], "Scheduled", vec![1, 2]));
    assert_eq!(run(2, &report("Complete", 1), true), (vec![], "Scheduled", vec![2, 3]), "told once");
    // One that could not begin.
    let kind = ping().kind.expect("ping");
    let none = Report::error(internal(kind), "no thread");
    assert_eq!(run(3, &none, false), (vec![(4, true)], "Error", vec![3, 4]));
    let long = "é".repeat(MAX_VALUE);
    let many = (0..2 * MAX_VALUES).map(|_| ("A", long.clone())).collect();
    assert_eq!(run(4, &Report { values: many, ..Report::complete() }, true).0, [(4, false)]);
    let last = plan.outcomes(3).last().expect("it");
    assert_eq!((last.values.len(), last.values[0].1.len()), (MAX_VALUES, MAX_VALUE));
    assert_eq!((last.time, last.state), (Some(START + 240), "Complete"));
    // More rows than are run.
    let rows = (1..=20).map(|number| Settings { number, keep: 1000, ..ping() }).collect();
    plan.follow(rows, around(moment(300), &least), false);
    assert_eq!((plan.status(MAX_PLANS as u32), plan.status(MAX_PLANS as u32 + 1)), ("Scheduled", "Disabled"));
    for n in 0..100 {
        plan.begin(around(moment(300 + 60 * n), &least));
        (1..=16).for_each(|number| drop(plan.end(number, &report("Complete", 0), true)));
    }
    assert!((1..=16).all(|number| plan.outcomes(number).count() <= MAX_RESULTS));
}

#[test]
fn rows_that_cannot_run() {
    let least = || 0;
    for (settings, status) in [
        (Settings { is_enabled: false, ..ping() }, "Disabled"),
        (Settings { kind: None, ..ping() }, "Error"),
        (Settings { interval: 0, ..ping() }, "Error"),
        (Settings { interval: 59, ..ping() }, "Error"),
    ] {
        let mut plan = Plan::default();
        plan.follow(vec![settings], around(moment(0), &least), false);
        assert_eq!((plan.status(3), plan.next(moment(0))), (status, None));
        assert!(plan.begin(around(moment(0), &least)).is_none());
    }
}
