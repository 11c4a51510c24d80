use super::*;
use crate::cwmp::rpc::AgentRequest;
use crate::cwmp::transfers::Origin;
use crate::soap::writer::{self, Answer};

fn complete() -> Complete {
    Complete {
        number: 7,
        command_key: "k".to_owned(),
        fault: (0, String::new()),
        start_time: Some(1_795_000_000),
        complete_time: None,
        url: "http://192.0.2.1/f".to_owned(),
        is_download: true,
        file_type: "1 Firmware Upgrade Image".to_owned(),
        file_size: 0,
        target_file_name: String::new(),
    }
}

fn sent(ns: Namespace, complete: &Complete) -> [String; 2] {
    [
        AgentRequest::TransferComplete(complete.clone()),
        AgentRequest::AutonomousTransferComplete(complete.clone()),
    ]
    .map(|request| String::from_utf8(writer::request(ns, "9.2", &request)).unwrap())
}

const NAMESPACES: [Namespace; 3] = [Namespace::V1_0, Namespace::V1_1, Namespace::V1_2];

/// The codes of the list, and in its place for any other the one of its direction; 9013 never.
// Proves
#[test]
fn only_codes_of_the_list_go_out_x7_x14() {
    for ns in NAMESPACES {
        for code in (0..=9999).chain([u16::MAX]) {
            let listed = match ns {
                Namespace::V1_0 => [0, 9001, 9002, 9010, 9011, 9012].contains(&code),
                _ => {
                    [0, 9001, 9002, 9010, 9011, 9012].contains(&code)
                        || (9014..=9020).contains(&code)
                        || (9800..=9899).contains(&code)
                }
            };
            for (is_download, general) in [(true, 9010), (false, 9011)] {
                let expected = if listed { code } else { general };
                assert_eq!(fault_code(ns, code, is_download), expected, "{ns:?} {code}");
            }
        }
    }
    for (code, told) in [(9013, 9010), (9020, 9020)] {
        let failed = Complete { fault: (code, "no <b>".to_owned()), ..complete() };
        for said in sent(Namespace::V1_2, &failed) {
            let text = format!(
                "<FaultStruct><FaultCode>{told}</FaultCode><FaultString>no &lt;b&gt;</FaultString></FaultStruct>"
            );
            assert!(said.contains(&text), "{said}");
        }
    }
}

// Proves
#[test]
fn a_good_end_and_its_times_x16_x17() {
    let fault = "<FaultStruct><FaultCode>0</FaultCode><FaultString></FaultString></FaultStruct>";
    let unknown = "0001-01-01T00:00:00Z";
    let table = [
        (Some(0), None, "1970-01-01T00:00:00Z", unknown),
        (None, Some(1_795_429_735), unknown, "2026-11-23T10:28:55Z"),
        (None, None, unknown, unknown),
    ];
    for ns in NAMESPACES {
        for (start_time, complete_time, start, end) in table {
            for said in sent(ns, &Complete { start_time, complete_time, ..complete() }) {
                let times = format!("<StartTime>{start}</StartTime><CompleteTime>{end}</CompleteTime>");
                assert!(said.contains(&format!("{fault}{times}")), "{said}");
            }
        }
    }
}

#[test]
fn texts_of_others_stay_within_the_schema() {
    let long = Complete {
        url: format!("http://{}", "é".repeat(2000)),
        fault: (9010, "é".repeat(300)),
        ..complete()
    };
    let [plain, autonomous] = sent(Namespace::V1_2, &long);
    for said in [&plain, &autonomous] {
        assert!(
            said.contains(&format!("<FaultString>{}</FaultString>", "é".repeat(MAX_FAULT_STRING))),
            "{said}"
        );
    }
    let url = format!("<TransferURL>http://{}</TransferURL>", "é".repeat(MAX_LOCAL_URL - 7));
    assert!(autonomous.contains(&url), "{autonomous}");
}

/// Which file type, of a Download or an Upload, is written as it is.
// Proves: X-47
#[test]
fn file_types_of_both_directions_x47() {
    for (file_type, is_download) in [
        ("1 Firmware Upgrade Image", true),
        ("4 Tone File", true),
        ("4 Vendor Log File", false),
        ("3 Vendor Configuration File 2", false),
        ("X 00D09E Map & Route", true),
    ] {
        let written = file_type.replace('&', "&amp;");
        let file_type = file_type.to_owned();
        let [_, said] = sent(Namespace::V1_2, &Complete { file_type, is_download, ..complete() });
        let direction = u8::from(is_download);
        let expected = format!("<IsDownload>{direction}</IsDownload><FileType>{written}</FileType>");
        assert!(said.contains(&expected), "{said}");
    }
}

// Proves: X-8
#[test]
fn queued_is_status_1_with_unknown_times_x8() {
    for (method, expected) in [
        (Method::Download, true),
        (Method::Upload, true),
        // It has neither.
        (Method::ScheduleDownload, false),
    ] {
        let said = String::from_utf8(writer::answer(Namespace::V1_2, Some("7"), Answer::Transfer(method)));
        let said = said.unwrap();
        assert!(said.contains(&format!("<cwmp:{}Response", method.name())), "{said}");
        let times = "<Status>1</Status><StartTime>0001-01-01T00:00:00Z</StartTime>\
                     <CompleteTime>0001-01-01T00:00:00Z</CompleteTime>";
        assert_eq!(said.contains(times), expected, "{said}");
    }
}

// Proves
#[test]
fn lists_of_sixteen_and_their_states_x43_x44() {
    let queued = |n: usize| Queued {
        command_key: format!("k{n}"),
        state: [Progress::NotYetStarted, Progress::InProgress, Progress::Completed][n % 3],
        origin: Origin::Acs,
        is_download: n.is_multiple_of(2),
        file_type: "2 Web Content".to_owned(),
        file_size: 5,
        target_file_name: "<t>".to_owned(),
    };
    let list: Vec<Queued> = (0..16).map(queued).collect();
    let text = |answer| String::from_utf8(writer::answer(Namespace::V1_2, None, answer)).unwrap();
    let some = text(Answer::GetQueuedTransfers(&list));
    let all = text(Answer::GetAllQueuedTransfers(&list));
    assert!(some.contains("<TransferList soap-enc:arrayType=\"cwmp:QueuedTransferStruct[16]\">"), "{some}");
    assert!(all.contains("<TransferList soap-enc:arrayType=\"cwmp:AllQueuedTransferStruct[16]\">"), "{all}");
    for n in 0..16 {
        let key = format!("<CommandKey>k{n}</CommandKey><State>{}</State>", n % 3 + 1);
        assert!(some.contains(&format!("<QueuedTransferStruct>{key}</QueuedTransferStruct>")), "{some}");
        let rest = format!(
            "<IsDownload>{}</IsDownload><FileType>2 Web Content</FileType><FileSize>5</FileSize>\
             <TargetFileName>&lt;t&gt;</TargetFileName></AllQueuedTransferStruct>",
            1 - n % 2
        );
        assert!(all.contains(&format!("<AllQueuedTransferStruct>{key}{rest}")), "{all}");
    }
    assert!(text(Answer::GetQueuedTransfers(&[])).contains("cwmp:QueuedTransferStruct[0]"));
}
