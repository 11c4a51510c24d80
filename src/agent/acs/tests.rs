use super::*;

const URL: &str = "http://acs.example.com/";

fn met() -> Acs {
    let mut acs = Acs::default();
    acs.meet(URL);
    acs
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// How each refusal is taken by an ACS that has never answered, and by one that has.
// Proves: E-16
#[test]
fn what_is_taken_for_a_refused_version_e16() {
    use Refusal::{Fault, Status};
    for (by, new, known) in [
        (Fault(8006), true, true),
        (Fault(8000), true, false),
        (Fault(8002), true, false),
        (Status(400), true, false),
        (Fault(8001), false, false),
        (Fault(8003), false, false),
        (Fault(8005), false, false),
        (Fault(0), false, false),
        (Status(404), false, false),
        (Status(500), false, false),
        (Status(503), false, false),
    ] {
        let mut acs = met();
        acs.refused(by);
        assert_eq!(acs.namespace() != NEWEST, new, "{by:?}, never answered");
        let mut acs = met();
        acs.answered(true);
        acs.refused(by);
        assert_eq!(acs.namespace() != NEWEST, known, "{by:?}, answered before");
    }
}

// Proves: E-16
#[test]
fn versions_step_down_and_begin_anew_e16() {
    let mut acs = met();
    assert_eq!(acs.version(), "1.4");
    acs.refused(Refusal::Fault(8006));
    assert_eq!(acs.version(), "1.1 (it refused 1.4: fault 8006)");
    acs.refused(Refusal::Status(400));
    assert_eq!(
        (acs.namespace(), acs.version().as_str()),
        (Namespace::V1_0, "1.0 (it refused 1.1: HTTP status 400)")
    );
    acs.refused(Refusal::Status(400));
    assert_eq!(acs.version(), "1.4 (it refused 1.0: HTTP status 400)");
    acs.refused(Refusal::Fault(8000));
    // It answers: this version stays, whatever goes wrong later.
    acs.answered(false);
    for by in [Refusal::Status(400), Refusal::Fault(8002), Refusal::Status(500)] {
        acs.refused(by);
        assert_eq!(acs.namespace(), Namespace::V1_1, "{by:?}");
    }
    acs.meet(URL);
    assert_eq!(acs.namespace(), Namespace::V1_1);
    // Another ACS, and a restart, begin with the newest.
    let mut restarted = Acs::from_record(&acs.record().unwrap());
    restarted.meet(URL);
    assert_eq!(restarted.version(), "1.4");
    // It never answered in the newest: what only may be a refusal is one.
    restarted.refused(Refusal::Status(400));
    assert_eq!(restarted.namespace(), Namespace::V1_1);
    acs.meet("http://other/");
    assert_eq!(acs.version(), "1.4");
}

// Proves: R-GRM-3
#[test]
fn methods_are_asked_for_once_r_grm_3() {
    let mut acs = met();
    assert_eq!(acs.next_request(false), None);
    assert_eq!(acs.record(), None, "nothing is known yet");
    acs.answered(true);
    assert_eq!(acs.next_request(true), Some(AgentRequest::GetRPCMethods));
    let record = acs.record().expect("noted before it is sent");
    assert_eq!(acs.next_request(true), None);
    let mut restarted = Acs::from_record(&record);
    restarted.meet(URL);
    assert_eq!(restarted.next_request(true), None, "nor after a restart");
    assert_eq!(restarted.record(), None, "nothing is new");
    acs.answered(false);
    assert_eq!(acs.next_request(true), None);
    acs.answered(true);
    assert_eq!(acs.next_request(true), Some(AgentRequest::GetRPCMethods), "0 BOOTSTRAP was delivered again");
    acs.meet("http://other/");
    assert_eq!(acs.next_request(true), Some(AgentRequest::GetRPCMethods), "another ACS");
    acs.meet(URL);
    assert_eq!(acs.next_request(true), None);
}

// Proves: C-18, C-19
#[test]
fn what_may_be_called_c18_c19() {
    let mut acs = met();
    acs.answered(true);
    let may = |acs: &Acs| METHODS.into_iter().filter(|m| acs.may_call(m)).collect::<Vec<_>>();
    assert_eq!(may(&acs), REQUIRED, "no list is known");
    for nonsense in [&[][..], &["TransferComplete", "inform"]] {
        acs.learn(&names(nonsense));
        assert_eq!(may(&acs), REQUIRED, "{nonsense:?}");
    }
    let odd = ["Odd", "RequestDownload", "", "Inform", "X_00D09E_Own", "Inform", "Inform\tKicked"];
    acs.learn(&names(&odd));
    assert_eq!(acs.methods(), ["RequestDownload", "Inform"]);
    assert_eq!(may(&acs), ["Inform", "RequestDownload"]);
    assert!(!acs.may_call("Odd"));
    assert_eq!(acs.next_request(true), None, "it has said that it does not have it");
    let mut restarted = Acs::from_record(&acs.record().unwrap());
    restarted.meet(URL);
    assert_eq!(restarted.methods(), ["RequestDownload", "Inform"], "kept");
    acs.answered(true);
    assert_eq!(may(&acs), REQUIRED, "another ACS may answer there");
}

#[test]
fn the_record_is_bounded_and_read_as_far_as_it_makes_sense() {
    let mut acs = Acs::default();
    for n in 0..3 * MAX_KNOWN {
        acs.meet(&format!("http://{n}/"));
        acs.answered(true);
        acs.next_request(true);
    }
    let record = acs.record().unwrap();
    assert_eq!(record.lines().count(), MAX_KNOWN);
    assert!(record.contains("http://23/\t1.4\tasked\t\n"), "{record}");
    let doubled = Acs::from_record(&record.repeat(2));
    assert_eq!(doubled.entries.len(), MAX_KNOWN);
    let mut damaged = Acs::from_record("x\n\thttp\n\\\t\t\t\nhttp://a/\t9.9\tmaybe\tInform Odd  Kicked\n");
    damaged.meet("http://a/");
    assert_eq!(damaged.methods(), ["Inform", "Kicked"]);
    acs.meet("http://22/");
    assert_eq!(acs.record(), None, "a move between two that are known is no news");
}
