//! The agent's own requests: when they go out, and what becomes of them.

use super::*;

const METHODS_RESPONSE: &str = "<c:GetRPCMethodsResponse><MethodList><string>Inform</string>\
                                <string>Odd</string></MethodList></c:GetRPCMethodsResponse>";
const MISSING: &str = "GetRPCMethods: Missing";

/// A session with so many requests of the agent, whose Inform is out.
fn with(own: u32) -> Talk {
    let mut talk = Talk::informed();
    talk.host.own = own;
    talk.host.calls.clear();
    talk
}

/// The same, whose Inform was answered; gives what came then.
fn asked(own: u32) -> (Talk, String) {
    let mut talk = with(own);
    let said = talk.says("<c:ID>9.1</c:ID>", INFORM_RESPONSE);
    talk.host.calls.clear();
    (talk, said)
}

#[track_caller]
fn is_request(said: &str, id: &str) {
    assert!(said.contains("<cwmp:GetRPCMethods/>"), "{said}");
    assert!(said.contains(&format!("<cwmp:ID soap-env:mustUnderstand=\"1\">{id}</cwmp:ID>")), "{said}");
}

fn refusal(code: u16, headers: &str) -> String {
    fault(code).replace("<c:ID>9.1</c:ID>", headers)
}

// Proves: E-11, C-11, C-13
#[test]
fn they_go_out_one_at_a_time_before_the_empty_post_c11() {
    let (mut talk, said) = asked(3);
    is_request(&said, "9.2");
    is_request(&talk.says("<c:ID>9.2</c:ID>", METHODS_RESPONSE), "9.3");
    is_request(&talk.says("<c:ID>9.3</c:ID>", METHODS_RESPONSE), "9.4");
    assert_eq!(talk.says("<c:ID>9.4</c:ID>", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.host.calls, ["GetRPCMethods: Inform Odd"; 3]);
    // What comes up after the empty POST waits for another session (C-13).
    talk.host.own = 1;
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), "(done)");
    assert_eq!(talk.host.own, 1);
}

// Proves: C-12, E-12
#[test]
fn none_goes_out_while_they_are_held_c12() {
    let mut talk = with(2);
    assert_eq!(talk.says(HOLD, INFORM_RESPONSE), "(empty)");
    assert!(talk.says(HOLD, REBOOT).contains("RebootResponse"));
    // An empty Body sends a header and nothing else: held as before, and the session goes on.
    assert_eq!(talk.says(HOLD, ""), "(empty)");
    assert_eq!(talk.host.own, 2);
    // Lifted by a message without the header.
    is_request(&talk.says("", ""), "9.2");
    // Held again with the answer: what is left waits, and the empty POST does not say that there is none.
    assert_eq!(talk.says(HOLD, METHODS_RESPONSE), "(empty)");
    // Lifted by an empty response, which has no header.
    is_request(&talk.empty(), "9.3");
    assert_eq!(talk.says("<c:ID>9.3</c:ID>", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.empty(), "(done)");
    // Held to the end.
    let mut talk = with(1);
    assert_eq!(talk.says(HOLD, INFORM_RESPONSE), "(empty)");
    is_request(&talk.empty(), "9.2");
}

// Proves: C-10
#[test]
fn a_request_of_the_acs_is_answered_first_c10() {
    // Instead of the answer to ours: that may come later, and nothing else of ours goes out before.
    let (mut talk, _) = asked(2);
    let said = talk.says("<c:ID>77</c:ID>", REBOOT);
    assert!(said.contains("RebootResponse") && said.contains(">77</cwmp:ID>"), "{said}");
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    is_request(&talk.says("<c:ID>9.2</c:ID>", METHODS_RESPONSE), "9.3");
    assert_eq!(talk.host.calls.last().unwrap(), "GetRPCMethods: Inform Odd");
    // Or not at all.
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), "(empty)");
    assert_eq!(talk.host.calls.last().unwrap(), MISSING);
    assert_eq!(talk.empty(), "(done)");
    // A request while ours is held back.
    let mut talk = with(1);
    assert_eq!(talk.says(HOLD, INFORM_RESPONSE), "(empty)");
    assert!(talk.says("", REBOOT).contains("RebootResponse"), "not ours, though it may go out now");
    is_request(&talk.empty(), "9.2");
}

// Proves: C-7
#[test]
fn fault_8005_the_same_bytes_again_c7() {
    let (mut talk, first) = asked(2);
    for _ in 0..MAX_REPEATS {
        assert_eq!(talk.sends(&refusal(8005, "<c:ID>9.2</c:ID>")), first);
        assert!(talk.host.calls.is_empty());
    }
    is_request(&talk.sends(&refusal(8005, "")), "9.3");
    assert_eq!(talk.host.calls, ["GetRPCMethods: 8005"], "given up");
    // Each request has its own count, and the session goes on.
    assert!(talk.sends(&refusal(8005, "")).contains(">9.3</cwmp:ID>"));
    assert_eq!(talk.says("", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.empty(), "(done)");
}

/// 8005, and held at once: again when it is no longer held.
// Proves: C-7, C-12
#[test]
fn fault_8005_waits_while_requests_are_held_c7_c12() {
    let (mut talk, first) = asked(1);
    assert_eq!(talk.sends(&refusal(8005, HOLD)), "(empty)");
    assert!(talk.says(HOLD, REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), first);
    assert_eq!(talk.says("", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.host.calls.last().unwrap(), "GetRPCMethods: Inform Odd");
    assert_eq!(talk.empty(), "(done)");
}

// Proves: C-8, R-GRM-3
#[test]
fn another_fault_does_not_end_the_session_c8() {
    for code in [8000, 8001, 8002, 8004, 8006, 8899, 0] {
        let (mut talk, _) = asked(2);
        is_request(&talk.sends(&refusal(code, "<c:ID>9.2</c:ID>")), "9.3");
        assert_eq!(talk.sends(&refusal(code, "")), "(empty)");
        assert_eq!(talk.host.calls, [format!("GetRPCMethods: {code}"), format!("GetRPCMethods: {code}")]);
        assert!(talk.says("", REBOOT).contains("RebootResponse"));
        assert_eq!(talk.empty(), "(done)");
    }
    // However many are refused: a fault is an answer, and no stray.
    let (mut talk, _) = asked(2 * MAX_STRAYS);
    for _ in 1..2 * MAX_STRAYS {
        assert!(talk.sends(&refusal(8000, "")).contains("<cwmp:GetRPCMethods/>"));
    }
    assert_eq!(talk.sends(&refusal(8000, "")), "(empty)");
    assert_eq!(talk.empty(), "(done)");
}

// Proves: E-11
#[test]
fn the_response_is_matched_by_its_method_whatever_its_id_e11() {
    for id in ["", "<c:ID>9.1</c:ID>", "<c:ID>somebody else's</c:ID>"] {
        let (mut talk, _) = asked(1);
        assert_eq!(talk.says(id, METHODS_RESPONSE), "(empty)");
        assert_eq!(talk.host.calls, ["GetRPCMethods: Inform Odd"], "{id}");
    }
}

// Proves: E-20
#[test]
fn a_response_of_another_method_is_a_stray_e20() {
    let (mut talk, _) = asked(2);
    // What is out is still waited for; the empty POST has said that there is nothing more of ours.
    assert_eq!(talk.says("<c:ID>9.2</c:ID>", INFORM_RESPONSE), "(empty)");
    assert!(talk.host.calls.is_empty());
    assert_eq!(talk.says("<c:ID>9.2</c:ID>", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.host.calls, ["GetRPCMethods: Inform Odd"]);
    assert_eq!((talk.empty().as_str(), talk.host.own), ("(done)", 1));
    // After that not even 8005 has it sent again (C-13).
    let (mut talk, _) = asked(1);
    assert_eq!(talk.says("", INFORM_RESPONSE), "(empty)");
    assert_eq!(talk.sends(&refusal(8005, "")), "(empty)");
    assert_eq!(talk.host.calls, ["GetRPCMethods: 8005"]);
    assert_eq!(talk.empty(), "(done)");
    // What never comes is told at the end.
    let (mut talk, _) = asked(1);
    assert_eq!(talk.says("", "<c:TransferCompleteResponse/>"), "(empty)");
    assert_eq!(talk.empty(), "(done)");
    assert_eq!(talk.host.calls, [MISSING]);
    // There is a limit.
    for stray in [INFORM_RESPONSE, ""] {
        let (mut talk, _) = asked(1);
        for _ in 0..MAX_STRAYS {
            assert_eq!(talk.says("", stray), "(empty)");
        }
        assert!(talk.says("", stray).starts_with("(failed)"));
    }
}

// Proves: C-14
#[test]
fn an_empty_response_does_not_end_a_session_with_requests_left_c14() {
    let (mut talk, _) = asked(2);
    is_request(&talk.empty(), "9.3");
    assert_eq!(talk.host.calls, [MISSING]);
    assert_eq!(talk.empty(), "(empty)");
    assert_eq!(talk.host.calls, [MISSING; 2]);
    assert_eq!(talk.empty(), "(done)");
    // A late answer answers nothing any more.
    let (mut talk, _) = asked(1);
    assert_eq!(talk.empty(), "(empty)");
    assert_eq!(talk.says("<c:ID>9.2</c:ID>", METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.host.calls, [MISSING]);
}

/// A header that must be understood, with an answer: no fault goes back (E-20), and it is taken.
// Proves: E-17, E-20
#[test]
fn a_header_not_understood_with_the_answer_e17() {
    let (mut talk, _) = asked(1);
    let header = "<x:Secret s:mustUnderstand='1'>1</x:Secret>";
    assert_eq!(talk.says(header, METHODS_RESPONSE), "(empty)");
    assert_eq!(talk.host.calls, ["GetRPCMethods: Inform Odd"]);
}

/// The namespace is that of the ACS's last message (E-9); a request is written when it goes out.
// Proves: E-9, E-14, E-15
#[test]
fn they_are_in_the_namespace_of_the_session_e9() {
    for (version, answered, urn) in [
        ("", "cwmp-1-0", "urn:dslforum-org:cwmp-1-0"),
        ("", "cwmp-1-1", "urn:dslforum-org:cwmp-1-1"),
        (
            "<c:UseCWMPVersion s:mustUnderstand='1'>1.1</c:UseCWMPVersion>",
            "cwmp-1-2",
            "urn:dslforum-org:cwmp-1-1",
        ),
    ] {
        let mut talk = with(1);
        let answer = envelope(version, INFORM_RESPONSE).replace("cwmp-1-2", answered);
        let said = talk.sends(&answer);
        is_request(&said, "9.2");
        assert!(said.contains(&format!("xmlns:cwmp=\"{urn}\"")), "{said}");
    }
}

// Proves: E-21
#[test]
fn an_answer_that_cannot_be_read_ends_the_session_e21() {
    let (mut talk, _) = asked(1);
    assert!(talk.sends("<s:Envelope").starts_with("(failed)"));
    assert!(talk.host.calls.is_empty(), "a session that fails says nothing");
}
