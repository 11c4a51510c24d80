//! Scheduled diagnostics: a row that the ACS makes runs by itself, beside the ACS's own tests, and only a threshold
//! that is crossed is told.

use super::acs::{Attributes, Session};
use super::net::{Bed, EVENT, FAR, NOBODY, Results, SOON, in_namespaces};
use super::ping::PING;

const TABLE: &str = "Device.X_00D09E_ScheduledDiagnostics.";

/// The table's name in this build.
fn table() -> String {
    TABLE.replace("X_00D09E_", cwmpd::model::builtin::VENDOR_PREFIX)
}

#[track_caller]
fn add(session: &mut Session, object: &str) -> String {
    let (number, _) = session.add(object, "").unwrap_or_else(|fault| panic!("{object}: {fault:?}"));
    format!("{object}{number}.")
}

/// A row of IPPing with these arguments, not enabled yet.
#[track_caller]
fn row(bed: &Bed, session: &mut Session, arguments: &[(&str, &str)]) -> String {
    let row = add(session, &table());
    let settings = [("Diagnostics", PING), ("Interval", "3600"), ("Jitter", "0"), ("KeepResults", "3")];
    assert_eq!(bed.set(session, &row, &settings), Ok(0));
    for (name, value) in arguments {
        let argument = add(session, &format!("{row}Argument."));
        assert_eq!(bed.set(session, &argument, &[("Name", name), ("Value", value)]), Ok(0), "{name}");
    }
    row
}

/// Waits until the row has made so many runs; by the log, so that no session is made for it.
#[track_caller]
fn ran(bed: &Bed, times: usize) {
    let ends = || bed.daemon().log().matches("IPPing., row ").count();
    bed.daemon().wait_for("a run's end", || ends() >= times);
}

/// What a row reads, in a session that tells of no change.
#[track_caller]
fn quietly(bed: &Bed, row: &str) -> Results {
    let mut session = bed.kicked();
    let codes = session.inform.codes();
    assert!(!codes.contains(&"4 VALUE CHANGE") && !codes.contains(&EVENT), "{codes:?}");
    let results = bed.read(&mut session, row);
    session.end();
    results
}

#[test]
fn it_runs_by_itself_and_tells_what_is_crossed() {
    in_namespaces("planned::it_runs_by_itself_and_tells_what_is_crossed", |bed| {
        // What the ACS's own test has to show is to stay.
        let own = bed.ask(PING, &[("Host", FAR), ("NumberOfRepetitions", "2"), ("Timeout", "10000")]);
        let mut session = bed.kicked();
        let arguments = [("Host", NOBODY), ("NumberOfRepetitions", "3"), ("Timeout", "20")];
        let row = row(bed, &mut session, &arguments);
        let threshold = add(&mut session, &format!("{row}Threshold."));
        let settings = [("Name", "FailureCount"), ("Limit", "1"), ("Clear", "0"), ("Consecutive", "2")];
        assert_eq!(bed.set(&mut session, &threshold, &settings), Ok(0));
        let crossed = format!("{threshold}Crossed");
        let attributes = session.get_attributes(&[&crossed]).expect("attributes");
        assert_eq!(attributes[0].notification, Some(2), "active without being asked");
        let before = bed.read(&mut session, &row);
        assert_eq!((before.text("Status"), before.text("ResultNumberOfEntries")), ("Disabled", "0"));
        assert_eq!(before.text("LastRun"), "0001-01-01T00:00:00Z");
        assert_eq!(bed.set(&mut session, &row, &[("Enable", "true")]), Ok(0));
        session.end();
        // Once: lost packets, but not twice in a row. The next session tells nothing.
        ran(bed, 1);
        let results = quietly(bed, &row);
        assert_eq!((results.text("Status"), results.text("ResultNumberOfEntries")), ("Scheduled", "1"));
        assert_eq!(results.column("Result", "State"), ["Complete"]);
        let values: Vec<&str> = results.column("Result", "Values")[0].split(',').collect();
        assert!(values.contains(&"FailureCount=3") && values.contains(&"SuccessCount=0"), "{values:?}");
        assert!(results.text("LastRun") < results.text("NextRun"), "{results:?}");
        // A row that is changed runs at once. Again: now it is crossed, and told.
        let again = |host: &str, timeout: &str| {
            let mut session = bed.kicked();
            let codes = session.inform.codes();
            assert!(!codes.contains(&"4 VALUE CHANGE"), "{codes:?}");
            for (number, value) in [("1", host), ("3", timeout)] {
                let argument = format!("{row}Argument.{number}.");
                assert_eq!(bed.set(&mut session, &argument, &[("Value", value)]), Ok(0));
            }
            session.end();
        };
        again(NOBODY, "21");
        let told = bed.acs().next_session(SOON);
        assert_eq!(told.inform.codes(), ["4 VALUE CHANGE"]);
        assert_eq!(told.inform.value(&crossed), Some("true"));
        told.end();
        // Not again while it stays so.
        again(NOBODY, "22");
        ran(bed, 3);
        assert_eq!(quietly(bed, &threshold).text("Crossed"), "true");
        // Of all that the ACS's own test knows nothing.
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, PING).0, own.0);
        session.end();
        // A restart knows of it, and does not tell it again.
        bed.daemon_mut().kill();
        bed.daemon_mut().start();
        bed.daemon().wait_ready();
        let results = quietly(bed, &row);
        assert_eq!(results.text("Threshold.1.Crossed"), "true");
        assert_eq!((results.text("Status"), results.text("ResultNumberOfEntries")), ("Scheduled", "0"));
        // Behind clear.
        let before = bed.daemon().log().matches("IPPing., row ").count();
        let mut session = bed.kicked();
        for (number, value) in [("1", FAR), ("3", "10000")] {
            let argument = format!("{row}Argument.{number}.");
            assert_eq!(bed.set(&mut session, &argument, &[("Value", value)]), Ok(0));
        }
        session.end();
        ran(bed, before + 1);
        let told = bed.acs().next_session(SOON);
        assert_eq!(told.inform.codes(), ["4 VALUE CHANGE"]);
        assert_eq!(told.inform.value(&crossed), Some("false"));
        told.end();
    });
}

#[test]
fn what_the_acs_asks_for_goes_first() {
    in_namespaces("planned::what_the_acs_asks_for_goes_first", |bed| {
        let mut session = bed.kicked();
        let row =
            row(bed, &mut session, &[("Host", NOBODY), ("NumberOfRepetitions", "60"), ("Timeout", "60000")]);
        assert_eq!(bed.set(&mut session, &row, &[("Enable", "true")]), Ok(0));
        session.end();
        let begins = || bed.daemon().log().matches("begins by its schedule").count();
        bed.daemon().wait_for("its begin", || begins() == 1);
        assert_eq!(quietly(bed, &row).text("Status"), "Running");
        // It takes an hour, and gives way at once.
        let own = bed.ask(PING, &[("Host", FAR), ("NumberOfRepetitions", "2"), ("Timeout", "10000")]);
        assert_eq!((own.state(), own.number("SuccessCount")), ("Complete", 2));
        // And begins anew afterwards.
        bed.daemon().wait_for("its second begin", || begins() == 2);
        assert_eq!(quietly(bed, &row).text("Status"), "Running");
        // Disabled it ends, deleted it is gone; nobody is told.
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, &row, &[("Enable", "false")]), Ok(0));
        session.end();
        bed.daemon().wait_for("its end", || bed.daemon().log().matches("was canceled").count() == 2);
        assert_eq!(quietly(bed, &row).text("Status"), "Disabled");
        let mut session = bed.kicked();
        assert_eq!(session.delete(&row, ""), Ok(0));
        session.end();
        let mut session = bed.kicked();
        assert!(session.get(&[&row]).is_err());
        session.end();
    });
}

#[test]
fn what_a_row_may_say() {
    in_namespaces("planned::what_a_row_may_say", |bed| {
        let mut session = bed.kicked();
        let row = row(bed, &mut session, &[("Host", FAR)]);
        let argument = format!("{row}Argument.1.");
        let threshold = add(&mut session, &format!("{row}Threshold."));
        for (object, values) in [
            (&row, &[("Diagnostics", "Device.IP.Diagnostics.")][..]),
            (&row, &[("Diagnostics", "Device.PacketCaptureDiagnostics.")]),
            (&row, &[("Diagnostics", "; reboot")]),
            (&row, &[("Interval", "59")]),
            (&row, &[("Schedule", "0 3 * *")]),
            (&row, &[("Schedule", "0 0 30 2 *")]),
            (&row, &[("Jitter", "86401")]),
            (&row, &[("KeepResults", "33")]),
            // An argument is judged as in the test's object.
            (&argument, &[("Name", "DiagnosticsState")]),
            (&argument, &[("Name", "SuccessCount")]),
            (&argument, &[("Name", "Timeout"), ("Value", "0")]),
            (&argument, &[("Name", "Timeout"), ("Value", "soon")]),
            (&argument, &[("Name", "ProtocolVersion"), ("Value", "IPv5")]),
            (&argument, &[("Name", "Interface"), ("Value", "Device.IP.Interface.4711")]),
            // Another test has other arguments.
            (&row, &[("Diagnostics", "Device.SelfTestDiagnostics.")]),
            (&threshold, &[("Name", "FailureCount"), ("Limit", "many")]),
            (&threshold, &[("Limit", "5"), ("Clear", "6")]),
            (&threshold, &[("Consecutive", "11")]),
        ] {
            assert_eq!(bed.set(&mut session, object, values), Err(9007), "{values:?}");
        }
        for (object, values) in [
            (&row, &[("Diagnostics", "Device.IP.Diagnostics.TraceRoute")][..]),
            (&row, &[("Interval", "0"), ("Schedule", "*/5 8-18 * * 1-5")]),
            (&argument, &[("Name", "MaxHopCount"), ("Value", "3")]),
            (&threshold, &[("Name", "DiagnosticsState"), ("Condition", "IsNot"), ("Limit", "Complete")]),
        ] {
            assert_eq!(bed.set(&mut session, object, values), Ok(0), "{values:?}");
        }
        // No more rows than are run.
        let full = |session: &mut Session, table: &str, most: usize| {
            for n in 2..=most {
                session.add(table, "").unwrap_or_else(|fault| panic!("{table} {n}: {fault:?}"));
            }
            assert_eq!(session.add(table, "").map_err(|fault| fault.code), Err(9004), "{table}");
        };
        full(&mut session, &table(), 16);
        full(&mut session, &format!("{row}Argument."), 32);
        full(&mut session, &format!("{row}Threshold."), 16);
        // What the ACS does not want to hear it can put off.
        let off =
            Attributes { name: format!("{threshold}Crossed"), notification: Some(0), access_list: None };
        assert_eq!(session.set_attributes(&[off]), Ok(()));
        session.end();
    });
}
