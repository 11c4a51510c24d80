use super::*;
use crate::diagnostics::{MAX_ROWS, MAX_TEXT};

fn ping() -> &'static Kind {
    kind("Device.IP.Diagnostics.IPPing.").unwrap()
}

fn trace() -> &'static Kind {
    kind("Device.IP.Diagnostics.TraceRoute.").unwrap()
}

fn done(count: u32) -> Report {
    let mut report = Report::complete();
    report.put("SuccessCount", count);
    report
}

fn set(board: &mut Board, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| format!("{}{name}", ping().object)).collect();
    board.written(names.iter().map(String::as_str));
}

/// What is done one after the other, and what the state reads then.
// Proves: DG-1, DG-2, DG-3, DG-4, DG-5
#[test]
fn states() {
    for (steps, state) in [
        ("", "None"),
        ("cancel", "None"),
        ("ask", "Requested"),
        ("ask undo", "None"),
        ("ask cancel", "None"),
        ("ask begin", "Requested"),
        ("ask begin end", "Complete"),
        ("ask begin fail", "Error_Other"),
        ("ask begin cancel", "None"),
        ("ask begin cancel end", "None"),
        ("ask begin end cancel", "None"),
        // An argument alone ends it, wherever it is; with Requested beside it, it is of the new run.
        ("ask argument", "None"),
        ("ask begin argument", "None"),
        ("ask begin argument end", "None"),
        ("ask begin end argument", "None"),
        ("argument", "None"),
        ("ask both", "Requested"),
        ("ask begin ask", "Requested"),
        ("ask begin ask end", "Requested"),
        ("ask begin ask begin end", "Complete"),
        ("ask begin end ask", "Requested"),
        ("ask begin end ask undo", "Complete"),
        ("ask begin end other", "Complete"),
    ] {
        let mut board = Board::default();
        for step in steps.split_whitespace() {
            match step {
                "ask" => board.ask(ping()),
                "undo" => board.withdraw(ping()),
                "cancel" => board.cancel(ping()),
                "begin" => board.begin(ping(), 7),
                "end" => drop(board.end(7, done(4))),
                "fail" => drop(board.end(7, Report::error("Error_Other", "why"))),
                "argument" => set(&mut board, &["Timeout"]),
                "both" => set(&mut board, &["Timeout", "DiagnosticsState"]),
                _ => board.written(["Device.IP.Diagnostics.TraceRoute.Timeout"].into_iter()),
            }
        }
        assert_eq!(board.state(ping()), state, "{steps}");
    }
}

/// Only what is wanted to its end is an event; results stay until the next run.
// Proves: DG-2, DG-3, DG-6
#[test]
fn ends_and_results() {
    let mut board = Board::default();
    board.ask(ping());
    board.begin(ping(), 1);
    assert!(board.is_wanted(1) && !board.is_wanted(2) && !board.end(2, done(9)));
    assert!(board.end(1, done(4)) && !board.is_wanted(1));
    assert!(!board.end(1, done(5)), "once");
    assert_eq!(board.value(ping(), "SuccessCount"), Some("4"));
    board.cancel(ping());
    assert_eq!(board.value(ping(), "SuccessCount"), Some("4"), "results stay");
    board.ask(ping());
    assert_eq!(board.value(ping(), "SuccessCount"), Some("4"), "until it runs");
    board.begin(ping(), 2);
    assert_eq!(board.value(ping(), "SuccessCount"), None);
    board.ask(ping());
    assert!(!board.is_wanted(2) && !board.end(2, done(1)), "another is wanted now");
}

#[test]
fn what_was_asked_for_first_is_first() {
    let mut board = Board::default();
    assert!(board.next().is_none());
    board.ask(trace());
    board.ask(ping());
    assert_eq!(board.next().unwrap().word, "trace");
    board.ask(trace());
    assert_eq!(board.next().unwrap().word, "ping", "asked anew is asked last");
    board.begin(ping(), 1);
    assert_eq!(board.next().unwrap().word, "trace");
    board.cancel(trace());
    assert!(board.next().is_none());
}

fn hops(count: usize, length: usize) -> Report {
    let hop = |n: usize| vec![("Host", format!("{n}{}", "h".repeat(length))), ("RTTimes", "1,2,3".into())];
    let mut report = Report::complete();
    report.put("ResponseTime", 12);
    report.tables.push(("RouteHops", (0..count).map(hop).collect()));
    report
}

#[test]
fn results_are_bounded() {
    let mut board = Board::default();
    board.begin(trace(), 1);
    let mut report = hops(MAX_ROWS + 5, 0);
    report.put("IPAddressUsed", "\u{e9}".repeat(MAX_TEXT));
    board.end(1, report);
    assert_eq!(board.rows(trace(), "RouteHops"), MAX_ROWS);
    assert_eq!(board.value(trace(), "IPAddressUsed").unwrap().len(), MAX_TEXT);
    assert_eq!(board.cell(trace(), "RouteHops", 1, "Host"), Some("0"));
    assert_eq!(board.cell(trace(), "RouteHops", 0, "Host"), None);
    assert_eq!(board.cell(trace(), "RouteHops", MAX_ROWS + 1, "Host"), None);
    assert_eq!(board.rows(trace(), "Nothing"), 0);
}

/// What is kept of a board, and a new one that begins with it; whether that is an event.
fn again(board: &Board, kind: &'static Kind) -> (Board, bool) {
    let mut next = Board::default();
    let event = next.restore(kind, &board.record(kind).unwrap());
    (next, event)
}

// Proves: DG-2, DG-6
#[test]
fn a_restart_of_the_daemon() {
    let mut board = Board::default();
    assert_eq!(board.record(trace()), None);
    board.ask(trace());
    // It waited: it waits again, in its place.
    board.ask(ping());
    let (mut next, event) = again(&board, ping());
    assert!(!event && !next.restore(trace(), &board.record(trace()).unwrap()));
    assert_eq!((next.state(trace()), next.next().unwrap().word), ("Requested", "trace"));
    next.ask(trace());
    assert_eq!(next.next().unwrap().word, "ping", "who asks now is behind those that waited");
    // It ran: it has failed, and that is told.
    board.begin(trace(), 1);
    let (next, event) = again(&board, trace());
    assert!(event && next.next().is_none());
    assert_eq!(next.state(trace()), "Error_Internal");
    // It was over: state and results stay.
    board.end(1, hops(3, 1));
    let (next, event) = again(&board, trace());
    assert!(!event);
    assert_eq!((next.state(trace()), next.value(trace(), "ResponseTime")), ("Complete", Some("12")));
    assert_eq!(next.rows(trace(), "RouteHops"), 3);
    assert_eq!(next.cell(trace(), "RouteHops", 3, "RTTimes"), Some("1,2,3"));
    // It was asked for anew: the results of the last run are still there.
    board.ask(trace());
    let (next, _) = again(&board, trace());
    assert_eq!((next.state(trace()), next.rows(trace(), "RouteHops")), ("Requested", 3));
    board.cancel(trace());
    assert_eq!(again(&board, trace()).0.state(trace()), "None");
    for state in ["Error_MaxHopCountExceeded", "Error_Other", "Error_NoRouteToHost"] {
        board.begin(trace(), 2);
        board.end(2, Report::error(state, "why"));
        assert_eq!(again(&board, trace()).0.state(trace()), state);
    }
}

#[test]
fn what_is_kept_is_bounded_and_written_once() {
    let mut board = Board::default();
    board.ask(trace());
    board.begin(trace(), 1);
    assert_eq!(board.take_unkept().len(), 1);
    assert!(board.take_unkept().is_empty());
    board.end(1, hops(MAX_ROWS, 500));
    assert_eq!(board.take_unkept().len(), 1);
    let record = board.record(trace()).unwrap();
    assert!(record.len() <= MAX_KEPT);
    let (next, _) = again(&board, trace());
    assert_eq!((next.rows(trace(), "RouteHops"), next.value(trace(), "ResponseTime")), (0, Some("12")));
}

/// Whatever lies there, nothing of it is taken that the data model does not know, and nothing breaks.
#[test]
fn a_damaged_record_is_passed_over() {
    let mut board = Board::default();
    board.begin(trace(), 1);
    board.end(1, hops(2, 1));
    let whole = board.record(trace()).unwrap();
    for end in 0..whole.len() {
        let mut next = Board::default();
        assert!(!next.restore(trace(), &whole[..end]));
        assert_eq!(next, Board::default(), "{end}");
    }
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"state":"Error_Strange","values":[],"tables":[]}"#,
        r#"{"state":"None","values":[],"tables":[],"runs":true}"#,
        r#"{"state":"Complete","values":7,"tables":[]}"#,
        r#"{"state":"Complete","values":[[1,2]],"tables":[]}"#,
        r#"{"state":"Complete","values":[],"tables":[["RouteHops",[5]]]}"#,
    ] {
        let mut next = Board::default();
        assert!(!next.restore(trace(), text), "{text}");
        assert_eq!(next, Board::default(), "{text}");
    }
    let strange = r#"{"state":"Complete","valid":true,"values":[["Strange","1"],["ResponseTime","5"]],
        "tables":[["Strange",[]],["RouteHops",[[["Strange","1"],["Host","a"]]]]]}"#;
    let mut next = Board::default();
    assert!(!next.restore(trace(), strange));
    assert_eq!(next.value(trace(), "ResponseTime"), Some("5"));
    assert_eq!(next.value(trace(), "Strange"), None);
    assert_eq!(next.cell(trace(), "RouteHops", 1, "Host"), Some("a"));
    let long = format!("{}{}", " ".repeat(MAX_KEPT), whole);
    assert!(!next.restore(trace(), &long));
}
