//! What the ACS asks of transfers, and what it is told of them.

use super::*;
use crate::cwmp::transfers::{Complete, Method, Progress};

const FILE: &str = "<CommandKey>k</CommandKey><FileType>1 Firmware Upgrade Image</FileType>\
                    <URL>gopher://192.0.2.1/f</URL><Username>u</Username><Password>secret</Password>";

/// The whole body of a request for a transfer.
fn transfer(method: &str) -> String {
    let window = "<TimeWindowStruct><WindowStart>0</WindowStart><WindowEnd>9</WindowEnd><WindowMode>2 Immediately\
                  </WindowMode><UserMessage/><MaxRetries>-1</MaxRetries></TimeWindowStruct>";
    let rest = match method {
        "Download" => {
            "<FileSize>0</FileSize><TargetFileName/><DelaySeconds>5</DelaySeconds><SuccessURL>http://a/\
                       </SuccessURL><FailureURL/>"
                .to_owned()
        }
        "Upload" => "<DelaySeconds>5</DelaySeconds>".to_owned(),
        _ => format!("<FileSize>0</FileSize><TargetFileName/><TimeWindowList>{window}</TimeWindowList>"),
    };
    format!("<c:{method}>{FILE}{rest}</c:{method}>")
}

fn queued(key: &str, state: Progress, origin: Origin) -> Queued {
    Queued {
        command_key: key.to_owned(),
        state,
        origin,
        is_download: true,
        file_type: "2 Web Content".to_owned(),
        file_size: 5,
        target_file_name: String::new(),
    }
}

// Proves: R-GEN-7, R-GEN-8, X-1, X-8, X-26, X-37, X-41
#[test]
fn transfers_are_handed_over_and_answered_x8() {
    let mut talk = Talk::open();
    for (method, asked) in [
        ("Download", Method::Download),
        ("Upload", Method::Upload),
        ("ScheduleDownload", Method::ScheduleDownload),
    ] {
        let said = talk.says("<c:ID>77</c:ID>", &transfer(method));
        assert!(
            said.contains(&format!("<cwmp:{method}Response")) && said.contains(">77</cwmp:ID>"),
            "{said}"
        );
        // Nothing is done in the session: never Status 0.
        assert_eq!(said.contains("<Status>1</Status>"), method != "ScheduleDownload", "{said}");
        let got = talk.host.asked.pop().expect("a transfer");
        assert_eq!((got.method, got.origin, got.url.as_str()), (asked, Origin::Acs, "gopher://192.0.2.1/f"));
        assert_eq!(talk.host.calls, ["begin".to_owned(), format!("transfer {method} \"k\"")]);
        assert_eq!(talk.session.last_rpc(), Some(method));
        talk.host.calls.clear();
    }
    let said = talk.says("", "<c:CancelTransfer><CommandKey>a &amp; b</CommandKey></c:CancelTransfer>");
    assert!(said.contains("<cwmp:CancelTransferResponse/>"), "{said}");
    assert_eq!(talk.host.calls, ["begin", "cancel_transfer \"a & b\""]);
    assert_eq!(talk.empty(), "(done)");
}

/// Of GetQueuedTransfers' list only what the ACS asked for.
// Proves
#[test]
fn what_is_queued_is_listed_x43_x44() {
    let mut talk = Talk::open();
    assert!(talk.says("", "<c:GetQueuedTransfers/>").contains("cwmp:QueuedTransferStruct[0]"));
    talk.host.queued = vec![
        queued("a", Progress::NotYetStarted, Origin::Acs),
        queued("local", Progress::InProgress, Origin::Local),
        queued("b", Progress::Completed, Origin::Acs),
    ];
    let entry = |key: &str, state| format!("<CommandKey>{key}</CommandKey><State>{state}</State>");
    let some = talk.says("", "<c:GetQueuedTransfers/>");
    assert!(some.contains("cwmp:QueuedTransferStruct[2]") && !some.contains("local"), "{some}");
    let all = talk.says("", "<c:GetAllQueuedTransfers/>");
    assert!(all.contains("cwmp:AllQueuedTransferStruct[3]") && all.contains(&entry("local", 2)), "{all}");
    for said in [some, all] {
        assert!(said.contains(&entry("a", 1)) && said.contains(&entry("b", 3)), "{said}");
    }
}

/// Whatever went wrong, the fault is of the method's list (table 3), and nothing else is.
// Proves: R-GEN-4, X-5, X-6, X-7, X-40, X-41, E-19
#[test]
fn codes_are_of_the_methods_list_x5_x6_x40_x41() {
    let table: [(&str, String, &[u16]); 6] = [
        ("Download", transfer("Download"), &[9000, 9001, 9002, 9003, 9004, 9010, 9012, 9013]),
        ("Upload", transfer("Upload"), &[9000, 9001, 9002, 9003, 9004, 9011, 9012, 9013]),
        ("ScheduleDownload", transfer("ScheduleDownload"), &[9000, 9001, 9002, 9003, 9004, 9010, 9013]),
        ("CancelTransfer", "<c:CancelTransfer><CommandKey/></c:CancelTransfer>".into(), &[9000, 9001, 9021]),
        ("GetQueuedTransfers", "<c:GetQueuedTransfers/>".into(), &[9000, 9001, 9002]),
        ("GetAllQueuedTransfers", "<c:GetAllQueuedTransfers/>".into(), &[9000, 9001, 9002]),
    ];
    let told = |said: &str| said.split("FaultCode>").nth(1).and_then(|s| s.split('<').next()?.parse().ok());
    for (method, body, list) in &table {
        for code in (9000..=9032).chain([9800, 9899]) {
            let expected = if list.contains(&code) || code >= 9800 { code } else { 9001 };
            assert_eq!(code_for(method, Code(code)), Code(expected), "{method} {code}");
            if method.ends_with("QueuedTransfers") {
                continue; // has no way to fail
            }
            let mut talk = Talk::open();
            talk.host.fault = Some(Fault::new(Code(code), "no"));
            let said = talk.says("<c:ID>77</c:ID>", body);
            assert_eq!(told(&said), Some(expected), "{method} {code}: {said}");
            let whose = if expected == 9003 { "Client" } else { "Server" };
            assert!(said.contains(&format!("<faultcode>{whose}</faultcode>")), "{said}");
            assert_eq!(talk.empty(), "(done)");
        }
        // What the reader refuses, too.
        let deep = format!("<c:{method}>{}", "<a>".repeat(100));
        let code = if list.contains(&9004) { 9004 } else { 9001 };
        assert_eq!(told(&Talk::open().says("", &deep)), Some(code), "{method}");
    }
    // A cancellation that does not say of what cancels nothing: 9003 is not of the list.
    let mut talk = Talk::open();
    assert_eq!(told(&talk.says("", "<c:CancelTransfer/>")), Some(9001));
    assert_eq!(talk.host.calls, ["begin"]);
}

/// A method that the session's namespace does not have is not listed there and is 9000; nothing reaches
/// the host.
// Proves: E-9, R-GRM-1, R-GEN-1
#[test]
fn an_older_namespace_has_fewer_methods_r_grm_1() {
    use Namespace::{V1_0, V1_1, V1_2};
    let cancel = "<c:CancelTransfer><CommandKey>k</CommandKey></c:CancelTransfer>".to_owned();
    let table = [
        (transfer("Download"), V1_0),
        (transfer("Upload"), V1_0),
        ("<c:GetQueuedTransfers/>".to_owned(), V1_0),
        ("<c:GetAllQueuedTransfers/>".to_owned(), V1_1),
        (transfer("ScheduleDownload"), V1_2),
        // Without its arguments it is not there either.
        ("<c:ScheduleDownload/>".to_owned(), V1_2),
        (cancel, V1_2),
    ];
    for ns in [V1_0, V1_1, V1_2] {
        let mut talk = Talk::open();
        let ask = |talk: &mut Talk, body: &str| {
            talk.host.calls.clear();
            talk.sends(&envelope("", body).replace("urn:dslforum-org:cwmp-1-2", ns.urn()))
        };
        let methods = ask(&mut talk, "<c:GetRPCMethods/>");
        for (body, since) in &table {
            let name = body.trim_start_matches("<c:").split(['>', '/']).next().unwrap();
            let said = ask(&mut talk, body);
            assert!(said.contains(&format!("xmlns:cwmp=\"{}\"", ns.urn())), "{said}");
            assert_eq!(!said.contains("<FaultCode>9000<"), ns >= *since, "{ns:?} {said}");
            assert_eq!(methods.contains(&format!("<string>{name}</string>")), ns >= *since, "{methods}");
            let reached = ns >= *since && *body != "<c:ScheduleDownload/>";
            assert_eq!(talk.host.calls.len() == 2, reached, "{ns:?} {name}: {:?}", talk.host.calls);
        }
    }
}

fn complete() -> Complete {
    Complete {
        number: 3,
        command_key: "k".to_owned(),
        fault: (9016, "404".to_owned()),
        start_time: None,
        complete_time: None,
        url: "http://192.0.2.1/f".to_owned(),
        is_download: true,
        file_type: "1 Firmware Upgrade Image".to_owned(),
        file_size: 0,
        target_file_name: String::new(),
    }
}

/// The agent's requests about transfers.
fn reports() -> [AgentRequest; 3] {
    [
        AgentRequest::TransferComplete(complete()),
        AgentRequest::AutonomousTransferComplete(complete()),
        AgentRequest::request_download("1 Firmware Upgrade Image", vec![("a".into(), "b".into())]).unwrap(),
    ]
}

/// A session with these requests whose Inform was answered under these headers; gives what came then.
fn reporting(reports: &[AgentRequest], headers: &str) -> (Talk, String) {
    let mut talk = Talk::informed();
    talk.host.reports = reports.iter().rev().cloned().collect();
    talk.host.calls.clear();
    let said = talk.says(headers, INFORM_RESPONSE);
    talk.host.calls.retain(|call| call != "delivered");
    (talk, said)
}

fn response(request: &AgentRequest) -> String {
    format!("<c:{}Response/>", request.method())
}

#[track_caller]
fn is_report(said: &str, request: &AgentRequest, id: &str) {
    assert!(said.contains(&format!("<cwmp:{}>", request.method())), "{said}");
    assert!(said.contains(&format!("<cwmp:ID soap-env:mustUnderstand=\"1\">{id}</cwmp:ID>")), "{said}");
}

// Proves: C-11, C-13, C-14, E-11, V-16, V-17, X-20, X-46, X-48
#[test]
fn reports_go_out_one_by_one_and_are_answered_by_their_own_response_c11() {
    let reports = reports();
    let (mut talk, mut said) = reporting(&reports, "");
    for (n, request) in reports.iter().enumerate() {
        is_report(&said, request, &format!("9.{}", n + 2));
        // A request of the ACS is answered first, and what is out stays out (C-10).
        assert!(talk.says("", REBOOT).contains("RebootResponse"));
        talk.host.calls.clear();
        said = talk.says(&format!("<c:ID>9.{}</c:ID>", n + 2), &response(request));
        // The host is told which one: for a TransferComplete the number is in it.
        assert_eq!(talk.host.calls.len(), 1, "{:?}", talk.host.calls);
        assert!(talk.host.calls[0].starts_with(&format!("{}: Response(", request.method())));
    }
    assert_eq!(said, "(empty)");
    assert_eq!(talk.empty(), "(done)");
    // A response of another method answers nothing; after the empty POST no more go out (C-13).
    for (n, request) in reports.iter().enumerate() {
        let (mut talk, _) = reporting(&reports[n..], "");
        for other in reports.iter().filter(|other| other.method() != request.method()) {
            assert_eq!(talk.says("", &response(other)), "(empty)");
        }
        assert!(talk.host.calls.is_empty(), "{:?}", talk.host.calls);
        assert_eq!(talk.says("", &response(request)), "(empty)");
        assert_eq!(talk.host.calls.len(), 1);
        assert_eq!(talk.host.reports.len(), reports.len() - 1 - n);
    }
    // Silence is no answer, and does not end the session while some are left (C-14).
    let (mut talk, _) = reporting(&reports, "");
    is_report(&talk.empty(), &reports[1], "9.3");
    assert_eq!(talk.host.calls, ["TransferComplete: Missing"]);
}

// Proves: C-7, C-8, C-12, V-16, V-17
#[test]
fn a_report_that_is_refused_held_or_asked_for_again_c7_c8_c12() {
    for request in reports() {
        let pair = [request.clone(), AgentRequest::TransferComplete(complete())];
        // 8005: the same bytes, some times (C-7).
        let (mut talk, first) = reporting(&pair, "");
        for _ in 0..MAX_REPEATS {
            assert_eq!(talk.sends(&fault(8005)), first);
            assert!(talk.host.calls.is_empty());
        }
        is_report(&talk.sends(&fault(8005)), &pair[1], "9.3");
        assert_eq!(talk.host.calls, [format!("{}: 8005", request.method())]);
        // Any other: the session goes on (C-8).
        for code in [8000, 8001, 8002, 8003, 8004, 8006, 8800, 0] {
            let (mut talk, _) = reporting(&pair, "");
            is_report(&talk.sends(&fault(code)), &pair[1], "9.3");
            assert_eq!(talk.host.calls, [format!("{}: {code}", request.method())]);
            assert_eq!(talk.says("", &response(&pair[1])), "(empty)");
            assert_eq!(talk.empty(), "(done)");
        }
        // Held: it waits, in this session or to its end (C-12).
        let (mut talk, said) = reporting(&pair, HOLD);
        assert_eq!(said, "(empty)");
        assert!(talk.says(HOLD, REBOOT).contains("RebootResponse"));
        assert_eq!(talk.says(HOLD, ""), "(empty)");
        assert_eq!(talk.host.reports.len(), 2);
        is_report(&talk.says("", ""), &request, "9.2");
        assert_eq!(talk.says(HOLD, &response(&request)), "(empty)");
        // Held together with 8005: again when it is lifted.
        let (mut talk, first) = reporting(&pair, "");
        assert_eq!(talk.sends(&fault(8005).replace("<c:ID>9.1</c:ID>", HOLD)), "(empty)");
        assert_eq!(talk.empty(), first);
    }
}

/// The host is told in which namespace its request would go out, and can ask what that has.
// Proves: E-9, C-18
#[test]
fn reports_are_in_the_namespace_of_the_session_e9() {
    use Namespace::{V1_0, V1_1, V1_2};
    for (ns, is_in) in [(V1_0, [true, false, true]), (V1_1, [true; 3]), (V1_2, [true; 3])] {
        let reports = reports();
        assert_eq!(reports.each_ref().map(|request| request.is_in(ns)), is_in, "{ns:?}");
        let mut talk = Talk::informed();
        talk.host.reports = vec![reports[0].clone()];
        let answer = envelope("", INFORM_RESPONSE).replace("urn:dslforum-org:cwmp-1-2", ns.urn());
        let said = talk.sends(&answer);
        assert!(said.contains(&format!("xmlns:cwmp=\"{}\"", ns.urn())), "{said}");
        assert_eq!(talk.host.namespaces, [ns]);
        // cwmp-1-0 has no 9016.
        assert!(said.contains(if ns == V1_0 { ">9010<" } else { ">9016<" }), "{said}");
    }
}

// Proves: X-48
#[test]
fn request_download_is_bounded_x48() {
    let arguments = |n: usize, name: usize, value: usize| vec![("ü".repeat(name), "ü".repeat(value)); n];
    let code = |file_type: &str, list| {
        AgentRequest::request_download(file_type, list).err().map(|fault| fault.code.0)
    };
    for (file_type, n, name, value, refused) in [
        (1, 0, 1, 0, false),
        (64, 16, 64, 256, false),
        (0, 0, 1, 0, true),
        (65, 0, 1, 0, true),
        (1, 17, 1, 0, true),
        (1, 1, 0, 0, true),
        (1, 1, 65, 0, true),
        (1, 1, 1, 257, true),
    ] {
        let given = code(&"ü".repeat(file_type), arguments(n, name, value));
        assert_eq!(given, refused.then_some(9003), "{file_type} {n} {name} {value}");
    }
}
