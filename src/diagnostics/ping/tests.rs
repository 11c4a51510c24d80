use super::*;

fn met(kind: u8, code: u8) -> Outcome {
    Outcome::Met(Trouble { icmp: Some((kind, code)), from: None, errno: Errno::EHOSTUNREACH })
}

fn answered(micros: u64) -> Outcome {
    Outcome::Answered(Duration::from_micros(micros))
}

fn told(outcomes: Vec<Outcome>) -> Report {
    let mut tally = Tally::default();
    outcomes.into_iter().for_each(|outcome| tally.count(outcome, false));
    tally.report()
}

fn value(report: &Report, name: &str) -> u64 {
    let found = report.values.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.parse().expect("a number")
}

// Proves: DG-12
#[test]
fn counts_add_up_and_averages_without_success_are_0() {
    use Errno::{EMSGSIZE, ENETUNREACH, EPERM};
    let table: Vec<(Vec<Outcome>, &str, [u64; 5])> = vec![
        (vec![answered(1499), answered(2501)], "Complete", [2, 0, 2000, 1499, 2501]),
        (vec![Outcome::Silent, answered(700), Outcome::Silent], "Complete", [1, 2, 700, 700, 700]),
        (vec![Outcome::Silent, Outcome::Silent], "Complete", [0, 2, 0, 0, 0]),
        (vec![met(3, 1), met(3, 0)], "Error_NoRouteToHost", [0, 2, 0, 0, 0]),
        (vec![met(3, 1), Outcome::Silent], "Complete", [0, 2, 0, 0, 0]),
        (vec![met(3, 1), answered(10)], "Complete", [1, 1, 10, 10, 10]),
        (vec![met(3, 13)], "Complete", [0, 1, 0, 0, 0]),
        (vec![Outcome::Unsent(ENETUNREACH), met(3, 0)], "Error_NoRouteToHost", [0, 2, 0, 0, 0]),
        (vec![Outcome::Unsent(EPERM), Outcome::Unsent(EPERM)], "Error_Other", [0, 2, 0, 0, 0]),
        (vec![Outcome::Unsent(EMSGSIZE)], "Error_Other", [0, 1, 0, 0, 0]),
        (vec![Outcome::Unsent(EPERM), Outcome::Silent], "Complete", [0, 2, 0, 0, 0]),
        (vec![Outcome::Unsent(EPERM), answered(5)], "Complete", [1, 1, 5, 5, 5]),
    ];
    for (outcomes, state, expected) in table {
        let (said, count) = (format!("{outcomes:?}"), outcomes.len() as u64);
        let report = told(outcomes);
        let names = ["SuccessCount", "FailureCount", "AverageResponseTimeDetailed"];
        let more = ["MinimumResponseTimeDetailed", "MaximumResponseTimeDetailed"];
        let all: Vec<u64> = names.iter().chain(&more).map(|name| value(&report, name)).collect();
        assert_eq!((report.state, all.as_slice()), (state, &expected[..]), "{said}");
        assert_eq!(all[0] + all[1], count, "{said}");
    }
}

#[test]
fn milliseconds_beside_microseconds() {
    let report = told(vec![answered(1499), answered(2501)]);
    let names = ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"];
    assert_eq!(names.map(|name| value(&report, name)), [1, 2, 3]);
}

#[test]
fn what_took_too_long_is_told_with_its_counts() {
    let mut tally = Tally { is_late: true, ..Tally::default() };
    tally.count(answered(5), false);
    let report = tally.report();
    assert_eq!((report.state, value(&report, "SuccessCount")), ("Error_Other", 1));
}
