//! What the agent sends about transfers.

use super::{ODD, ODD_READ, V, body, peer};
use cwmpd::cwmp::rpc::{AgentRequest, Namespace};
use cwmpd::cwmp::transfers::{Complete, Origin, Progress, Queued};
use cwmpd::soap::writer;

/// A list with all that an entry may have.
pub fn queued() -> [Queued; 3] {
    let entry = |key: &str, state, is_download, file_type: &str, file_size| Queued {
        command_key: key.to_string(),
        state,
        origin: Origin::Acs,
        is_download,
        file_type: file_type.to_string(),
        file_size,
        target_file_name: ODD.to_string(),
    };
    [
        entry("k & é", Progress::NotYetStarted, true, "1 Firmware Upgrade Image", u32::MAX),
        entry("", Progress::InProgress, false, "4 Vendor Log File 2", 0),
        entry("k & é", Progress::Completed, true, "X 00D09E Map & Route", 1),
    ]
}

fn complete(code: u16, text: &str) -> Complete {
    Complete {
        number: 3,
        command_key: "k & é".to_string(),
        fault: (code, text.to_string()),
        start_time: Some(1_795_429_735),
        complete_time: (code == 0).then_some(1_795_429_795),
        url: "https://192.0.2.1/f&g".to_string(),
        is_download: false,
        file_type: "2 Vendor Log File".to_string(),
        file_size: 4711,
        target_file_name: ODD.to_string(),
    }
}

/// The agent's own requests.
pub fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let request = |ns, request: AgentRequest| writer::request(ns, "17.2", &request);
    let good = || AgentRequest::TransferComplete(complete(0, ""));
    let bad = || AgentRequest::TransferComplete(complete(9020, ODD));
    let autonomous = |file_type: &str| {
        let complete = Complete { file_type: file_type.to_string(), ..complete(9018, "it is corrupt") };
        AgentRequest::AutonomousTransferComplete(complete)
    };
    let wanted = || {
        let arguments = vec![("Version".to_string(), ODD.to_string()), ("é".to_string(), String::new())];
        AgentRequest::request_download("1 Firmware Upgrade Image", arguments).unwrap()
    };
    let (oldest, old) = (Namespace::V1_0, Namespace::V1_1);
    vec![
        ("transfer-complete", request(V, good())),
        ("transfer-complete-fault", request(V, bad())),
        ("transfer-complete-fault-1-1", request(old, bad())),
        // Its schema ends with 9012.
        ("transfer-complete-fault-1-0", request(oldest, bad())),
        ("autonomous-transfer-complete", request(V, autonomous("3 Vendor Configuration File 2"))),
        ("autonomous-transfer-complete-1-1", request(old, autonomous("4 Vendor Log File"))),
        ("request-download", request(V, wanted())),
        ("request-download-1-0", request(oldest, wanted())),
    ]
}

// Proves
#[test]
fn as_another_codec_understands_the_responses_about_transfers() {
    use peer::BodyElement as B;
    let unknown = "0001-01-01T00:00:00Z".parse().unwrap();
    let text = |s: &str| s.to_string();
    let list = |key: &str, state: &str| peer::QueuedTransferStruct::new(Some(text(key)), Some(text(state)));
    let all = |key: &str, state: &str, is_download, file_type: &str, size| {
        peer::AllQueuedTransfers::new(
            text(key),
            text(state),
            is_download,
            text(file_type),
            size,
            text(ODD_READ),
        )
    };
    for (name, expected) in [
        ("download-response", B::DownloadResponse(peer::DownloadResponse::new(text("1"), unknown, unknown))),
        ("upload-response", B::UploadResponse(peer::UploadResponse::new(1, Some(unknown), Some(unknown)))),
        ("schedule-download-response", B::ScheduleDownloadResponse(peer::ScheduleDownloadResponse {})),
        ("cancel-transfer-response", B::CancelTransferResponse(peer::CancelTransferResponse {})),
        (
            "get-queued-transfers-response",
            B::GetQueuedTransfersResponse(peer::GetQueuedTransfersResponse::new(vec![
                list("k & é", "1"),
                list("", "2"),
                list("k & é", "3"),
            ])),
        ),
        (
            "get-all-queued-transfers-response",
            B::GetAllQueuedTransfersResponse(peer::GetAllQueuedTransfersResponse::new(vec![
                all("k & é", "1", 1, "1 Firmware Upgrade Image", u32::MAX),
                all("", "2", 0, "4 Vendor Log File 2", 0),
                all("k & é", "3", 1, "X 00D09E Map & Route", 1),
            ])),
        ),
        (
            "get-all-queued-transfers-response-empty",
            B::GetAllQueuedTransfersResponse(peer::GetAllQueuedTransfersResponse::new(vec![])),
        ),
    ] {
        assert_eq!(body(name), expected, "{name}");
    }
}

// Proves
#[test]
fn as_another_codec_understands_the_reports() {
    use peer::BodyElement as B;
    let text = |s: &str| s.to_string();
    let (start, end) = ("2026-11-23T10:28:55Z".parse().unwrap(), "2026-11-23T10:29:55Z".parse().unwrap());
    let unknown = "0001-01-01T00:00:00Z".parse().unwrap();
    let complete = |code, words: &str, end| {
        let fault = peer::FaultStruct::new(code, text(words));
        B::TransferComplete(peer::TransferComplete::new(text("k & é"), fault, Some(start), Some(end)))
    };
    let autonomous = |file_type: &str| {
        B::AutonomousTransferComplete(peer::AutonomousTransferComplete::new(
            String::new(),
            text("https://192.0.2.1/f&g"),
            0,
            text(file_type),
            4711,
            text(ODD_READ),
            peer::FaultStruct::new(9018, text("it is corrupt")),
            start,
            unknown,
        ))
    };
    let arguments = || {
        vec![
            peer::ArgStruct::new(text("Version"), text(ODD_READ)),
            peer::ArgStruct::new(text("é"), String::new()),
        ]
    };
    for (name, expected) in [
        ("transfer-complete", complete(0, "", end)),
        ("transfer-complete-fault", complete(9020, ODD_READ, unknown)),
        ("transfer-complete-fault-1-1", complete(9020, ODD_READ, unknown)),
        ("transfer-complete-fault-1-0", complete(9011, ODD_READ, unknown)),
        ("autonomous-transfer-complete", autonomous("3 Vendor Configuration File 2")),
        ("autonomous-transfer-complete-1-1", autonomous("4 Vendor Log File")),
        (
            "request-download",
            B::RequestDownload(peer::RequestDownload::new(text("1 Firmware Upgrade Image"), arguments())),
        ),
        (
            "request-download-1-0",
            B::RequestDownload(peer::RequestDownload::new(text("1 Firmware Upgrade Image"), arguments())),
        ),
    ] {
        assert_eq!(body(name), expected, "{name}");
    }
}
