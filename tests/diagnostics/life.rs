//! The rules that all tests share (group Z), by the example of IPPing: what may be written and when, when a test
//! begins and ends, what is told of it, and that nothing of it stays behind.

use super::net::{Bed, EVENT, FAR, NOBODY, SOON, in_namespaces};
use super::ping::PING;
use super::trace::TRACE;
use std::fs;

/// A test that takes an hour, of a host that never answers.
const LONG: [(&str, &str); 3] = [("Host", NOBODY), ("NumberOfRepetitions", "60"), ("Timeout", "60000")];

/// A long test, under way.
#[track_caller]
fn begun(bed: &Bed) {
    let before = count(bed, "IPPing. begins");
    bed.request(PING, &LONG);
    bed.daemon().wait_for("its begin", || count(bed, "IPPing. begins") > before);
    assert_eq!(bed.state(PING), "Requested");
}

fn count(bed: &Bed, what: &str) -> usize {
    bed.daemon().log().matches(what).count()
}

/// Nothing is told of it, though a session is held.
#[track_caller]
fn untold(bed: &Bed) {
    let session = bed.kicked();
    let codes = session.inform.codes();
    assert!(!codes.contains(&EVENT), "DG-3: {codes:?}");
    session.end();
}

// Proves: DG-1
#[test]
fn what_may_be_written() {
    in_namespaces("life::what_may_be_written", |bed| {
        let mut session = bed.kicked();
        for object in [PING, TRACE] {
            let words =
                ["None", "Complete", "Error", "Error_Internal", "Error_NoRouteToHost", "requested", ""];
            for word in words {
                assert_eq!(bed.set(&mut session, object, &[("DiagnosticsState", word)]), Err(9007), "{word}");
            }
            for (name, value) in [
                ("NumberOfRepetitions", "0"),
                ("NumberOfRepetitions", "1001"),
                ("NumberOfTries", "4"),
                ("MaxHopCount", "65"),
                ("Timeout", "0"),
                ("Timeout", "60001"),
                ("DataBlockSize", "0"),
                ("DataBlockSize", "65508"),
                ("DSCP", "64"),
                ("ProtocolVersion", "IPv5"),
                ("Interface", "Device.IP."),
            ] {
                let is_of_trace = matches!(name, "NumberOfTries" | "MaxHopCount");
                if is_of_trace == (object == TRACE) || !is_of_trace && name != "NumberOfRepetitions" {
                    assert_eq!(bed.set(&mut session, object, &[(name, value)]), Err(9007), "{name} {value}");
                }
            }
            assert_eq!(session.value(&format!("{object}DiagnosticsState")).as_deref(), Ok("None"));
        }
        session.end();
        untold(bed);
    });
}

// Proves: DG-2, DG-6
#[test]
fn it_begins_after_the_session_and_results_stay() {
    in_namespaces("life::it_begins_after_the_session_and_results_stay", |bed| {
        let mut session = bed.kicked();
        let arguments = [("Host", FAR), ("Timeout", "10000"), ("DiagnosticsState", "Requested")];
        assert_eq!(bed.set(&mut session, PING, &arguments), Ok(0));
        for _ in 0..20 {
            assert_eq!(session.value(&format!("{PING}DiagnosticsState")).as_deref(), Ok("Requested"));
        }
        assert_eq!(count(bed, "IPPing. begins"), 0, "the session runs");
        session.end();
        let mut told = bed.told();
        let results = bed.read(&mut told, PING);
        told.end();
        assert_eq!(results.number("SuccessCount"), 4);
        // In sessions to come, and when another test has run.
        bed.ask(TRACE, &[("Host", FAR), ("Timeout", "10000")]);
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, PING).0, results.0);
        session.end();
        // The next run begins with none.
        let next = bed.ask(PING, &[("Host", "-f")]);
        assert_eq!((next.number("SuccessCount"), next.text("IPAddressUsed")), (0, ""));
    });
}

// Proves: DG-3
#[test]
fn canceled_leaves_none_and_tells_nobody() {
    in_namespaces("life::canceled_leaves_none_and_tells_nobody", |bed| {
        let cancel = |bed: &Bed| {
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, PING, &[("DiagnosticsState", "Canceled")]), Ok(0));
            assert_eq!(session.value(&format!("{PING}DiagnosticsState")).as_deref(), Ok("None"));
            session.end();
        };
        // When nothing runs, and when nothing ever did.
        cancel(bed);
        begun(bed);
        cancel(bed);
        bed.daemon().wait_for("its end", || count(bed, "was canceled") == 1);
        untold(bed);
        // Asked for and canceled in one session.
        let mut session = bed.kicked();
        for word in ["Requested", "Canceled"] {
            assert_eq!(bed.set(&mut session, PING, &[("DiagnosticsState", word)]), Ok(0));
        }
        session.end();
        untold(bed);
        assert_eq!(count(bed, "IPPing. begins"), 1);
        // Behind a test that is complete.
        let results = bed.ask(PING, &[("Host", FAR), ("Timeout", "10000")]);
        cancel(bed);
        let mut session = bed.kicked();
        let now = bed.read(&mut session, PING);
        assert_eq!((now.state(), now.text("SuccessCount")), ("None", results.text("SuccessCount")));
        session.end();
    });
}

// Proves: DG-4
#[test]
fn writing_an_argument_ends_it() {
    in_namespaces("life::writing_an_argument_ends_it", |bed| {
        for (n, argument) in [("Timeout", "5"), ("Host", FAR), ("DSCP", "1")].into_iter().enumerate() {
            begun(bed);
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, PING, &[argument]), Ok(0));
            assert_eq!(
                session.value(&format!("{PING}DiagnosticsState")).as_deref(),
                Ok("None"),
                "{argument:?}"
            );
            session.end();
            bed.daemon().wait_for("its end", || count(bed, "was canceled") == n + 1);
            untold(bed);
        }
        // That of another object does not.
        begun(bed);
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, TRACE, &[("Timeout", "5")]), Ok(0));
        session.end();
        assert_eq!(bed.state(PING), "Requested");
        // A shell's does.
        bed.daemon().ask(&["set", &format!("{PING}Timeout=7")]);
        assert_eq!(bed.state(PING), "None");
        // And what is complete is so no more; its results stay.
        assert_eq!(bed.ask(PING, &[("Host", FAR), ("Timeout", "10000")]).state(), "Complete");
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, PING, &[("DSCP", "2")]), Ok(0));
        let now = bed.read(&mut session, PING);
        assert_eq!(now.state(), "None");
        assert!(now.number("SuccessCount") > 0);
        session.end();
    });
}

// Proves: DG-5
#[test]
fn requested_while_it_runs_begins_anew() {
    in_namespaces("life::requested_while_it_runs_begins_anew", |bed| {
        begun(bed);
        // The same test, and then another one: each takes the place of what runs.
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, PING, &[("DiagnosticsState", "Requested")]), Ok(0));
        session.end();
        bed.daemon().wait_for("the second", || count(bed, "IPPing. begins") == 2);
        let arguments = [("Host", FAR), ("NumberOfRepetitions", "2"), ("Timeout", "10000")];
        let results = bed.ask(PING, &arguments);
        assert_eq!((results.state(), results.number("SuccessCount")), ("Complete", 2));
        untold(bed);
        assert_eq!((count(bed, "IPPing. begins"), count(bed, "was canceled")), (3, 2));
    });
}

/// A line of `/proc/PID/status`.
fn of_process(bed: &Bed, name: &str) -> u64 {
    let file = format!("/proc/{}/status", bed.daemon().pid());
    let text = fs::read_to_string(file).expect("the daemon runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn descriptors(bed: &Bed) -> usize {
    fs::read_dir(format!("/proc/{}/fd", bed.daemon().pid())).expect("the daemon runs").count()
}

/// Hostile: 1,000 changes of the state, in sessions and between them.
// Proves: DG-3, DG-5
#[test]
fn a_state_flapped_a_thousand_times() {
    in_namespaces("life::a_state_flapped_a_thousand_times", |bed| {
        let flaps = |sessions: usize| {
            for _ in 0..sessions {
                let mut session = bed.kicked();
                for n in 0..20 {
                    let word = if n % 3 == 0 { "Canceled" } else { "Requested" };
                    let name = format!("{PING}DiagnosticsState");
                    assert_eq!(session.set(&[(&name, "xsd:string", word)], ""), Ok(0));
                }
                session.end();
            }
            let mut session = bed.kicked();
            assert_eq!(bed.set(&mut session, PING, &[("DiagnosticsState", "Canceled")]), Ok(0));
            session.end();
        };
        begun(bed);
        // The first ones, so that what is loaded once is there.
        flaps(2);
        let quiet = |bed: &Bed| {
            bed.daemon().wait_for("the end of all tests", || {
                count(bed, "IPPing. begins") == count(bed, "was canceled") && of_process(bed, "Threads:") <= 4
            });
        };
        quiet(bed);
        let (memory, open) = (of_process(bed, "VmRSS:"), descriptors(bed));
        flaps(50);
        quiet(bed);
        // Connections of sessions and shells come and go; what each test had would be two hundred.
        bed.daemon().wait_for("descriptors closed", || descriptors(bed) <= open + 8);
        let grown = of_process(bed, "VmRSS:").saturating_sub(memory);
        assert!(grown < 1024, "{grown} KiB more");
        untold(bed);
        let results = bed.ask(PING, &[("Host", FAR), ("NumberOfRepetitions", "1"), ("Timeout", "10000")]);
        assert_eq!(results.state(), "Complete");
    });
}

/// A restart of the daemon is none of the device.
// Proves: DG-2, DG-6
#[test]
fn a_restart_of_the_daemon_and_a_boot() {
    in_namespaces("life::a_restart_of_the_daemon_and_a_boot", |bed| {
        let ping = bed.ask(PING, &[("Host", FAR), ("Timeout", "10000")]);
        let trace = bed.ask(TRACE, &[("Host", FAR), ("Timeout", "10000")]);
        assert_eq!((ping.state(), trace.state()), ("Complete", "Complete"));
        let again = |bed: &mut Bed| {
            bed.daemon_mut().kill();
            bed.daemon_mut().start();
            bed.daemon().wait_ready();
        };
        again(bed);
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, PING).0, ping.0);
        assert_eq!(bed.read(&mut session, TRACE).0, trace.0);
        // Asked for, and nothing has begun: it was promised.
        assert_eq!(bed.set(&mut session, TRACE, &[("Host", FAR), ("DiagnosticsState", "Requested")]), Ok(0));
        bed.daemon_mut().kill();
        drop(session);
        bed.daemon_mut().start();
        let mut told = bed.told();
        assert_eq!(bed.read(&mut told, TRACE).state(), "Complete");
        told.end();
        // One that ran has ended; it is not tried again, or it could end the daemon each time.
        begun(bed);
        let runs = count(bed, "IPPing. begins");
        again(bed);
        let mut told = bed.told();
        assert_eq!(bed.read(&mut told, PING).state(), "Error_Internal");
        told.end();
        assert_eq!(count(bed, "IPPing. begins"), runs);
        // A boot begins with nothing.
        bed.daemon_mut().reboot();
        bed.daemon_mut().start();
        let mut session = bed.acs().next_session(SOON);
        assert_eq!(session.inform.codes(), ["1 BOOT"]);
        let left = bed.read(&mut session, TRACE);
        session.end();
        assert_eq!((left.state(), left.number("RouteHopsNumberOfEntries")), ("None", 0));
    });
}
