//! What is written about transfers: the answers to the requests of the ACS, and the agent's own requests.

use super::{array, element};
use crate::cwmp::rpc::Namespace;
use crate::cwmp::transfers::{Complete, MAX_FAULT_STRING, MAX_LOCAL_URL, Method, Progress, Queued};
use crate::sys::clock::{self, UNKNOWN_TIME};

/// The answer to Download, Upload (X-8: not done yet, so both times are unknown) or ScheduleDownload.
pub(super) fn queued(out: &mut Vec<u8>, method: Method) {
    if method == Method::ScheduleDownload {
        return out.extend_from_slice(b"<cwmp:ScheduleDownloadResponse/>");
    }
    let open = |out: &mut Vec<u8>, with: &str| {
        for part in [with, method.name(), "Response>"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    open(out, "<cwmp:");
    element(out, "Status", "1");
    element(out, "StartTime", UNKNOWN_TIME);
    element(out, "CompleteTime", UNKNOWN_TIME);
    open(out, "</cwmp:");
}

/// GetQueuedTransfersResponse.
pub(super) fn list(out: &mut Vec<u8>, list: &[Queued]) {
    out.extend_from_slice(b"<cwmp:GetQueuedTransfersResponse>");
    array(out, "TransferList", "cwmp:QueuedTransferStruct", list.len());
    for transfer in list {
        out.extend_from_slice(b"<QueuedTransferStruct>");
        element(out, "CommandKey", &transfer.command_key);
        element(out, "State", state(transfer.state));
        out.extend_from_slice(b"</QueuedTransferStruct>");
    }
    out.extend_from_slice(b"</TransferList></cwmp:GetQueuedTransfersResponse>");
}

/// GetAllQueuedTransfersResponse.
pub(super) fn whole_list(out: &mut Vec<u8>, list: &[Queued]) {
    out.extend_from_slice(b"<cwmp:GetAllQueuedTransfersResponse>");
    array(out, "TransferList", "cwmp:AllQueuedTransferStruct", list.len());
    for transfer in list {
        out.extend_from_slice(b"<AllQueuedTransferStruct>");
        element(out, "CommandKey", &transfer.command_key);
        element(out, "State", state(transfer.state));
        element(out, "IsDownload", truth(transfer.is_download));
        file(out, &transfer.file_type, transfer.file_size, &transfer.target_file_name);
        out.extend_from_slice(b"</AllQueuedTransferStruct>");
    }
    out.extend_from_slice(b"</TransferList></cwmp:GetAllQueuedTransfersResponse>");
}

/// TransferComplete (A.3.3.2).
pub(super) fn complete(out: &mut Vec<u8>, ns: Namespace, complete: &Complete) {
    out.extend_from_slice(b"<cwmp:TransferComplete>");
    element(out, "CommandKey", &complete.command_key);
    end(out, ns, complete);
    out.extend_from_slice(b"</cwmp:TransferComplete>");
}

/// AutonomousTransferComplete (A.3.3.3). Nothing announces transfers, so AnnounceURL is empty.
pub(super) fn autonomous_complete(out: &mut Vec<u8>, ns: Namespace, complete: &Complete) {
    out.extend_from_slice(b"<cwmp:AutonomousTransferComplete>");
    element(out, "AnnounceURL", "");
    element(out, "TransferURL", first(&complete.url, MAX_LOCAL_URL));
    element(out, "IsDownload", truth(complete.is_download));
    file(out, &complete.file_type, complete.file_size, &complete.target_file_name);
    end(out, ns, complete);
    out.extend_from_slice(b"</cwmp:AutonomousTransferComplete>");
}

/// RequestDownload (A.4.2.2).
pub(super) fn request_download(out: &mut Vec<u8>, file_type: &str, arguments: &[(String, String)]) {
    out.extend_from_slice(b"<cwmp:RequestDownload>");
    element(out, "FileType", file_type);
    array(out, "FileTypeArg", "cwmp:ArgStruct", arguments.len());
    for (name, value) in arguments {
        out.extend_from_slice(b"<ArgStruct>");
        element(out, "Name", name);
        element(out, "Value", value);
        out.extend_from_slice(b"</ArgStruct>");
    }
    out.extend_from_slice(b"</FileTypeArg></cwmp:RequestDownload>");
}

fn file(out: &mut Vec<u8>, file_type: &str, size: u32, target_file_name: &str) {
    element(out, "FileType", file_type);
    element(out, "FileSize", &size.to_string());
    element(out, "TargetFileName", target_file_name);
}

/// FaultStruct, StartTime, CompleteTime.
fn end(out: &mut Vec<u8>, ns: Namespace, complete: &Complete) {
    let (code, text) = &complete.fault;
    out.extend_from_slice(b"<FaultStruct>");
    element(out, "FaultCode", &fault_code(ns, *code, complete.is_download).to_string());
    element(out, "FaultString", first(text, MAX_FAULT_STRING));
    out.extend_from_slice(b"</FaultStruct>");
    for (name, seconds) in [("StartTime", complete.start_time), ("CompleteTime", complete.complete_time)] {
        match seconds {
            Some(seconds) => element(out, name, &clock::utc(seconds)),
            None => element(out, name, UNKNOWN_TIME),
        }
    }
}

/// The code that FaultStruct may carry in this namespace: the given one, or where it is not of the
/// list the general one, of a download or an upload that failed. The list of cwmp-1-0 ends with 9012.
fn fault_code(ns: Namespace, code: u16, is_download: bool) -> u16 {
    match code {
        0 | 9001 | 9002 | 9010..=9012 => code,
        9014..=9020 | 9800..=9899 if ns > Namespace::V1_0 => code,
        _ if is_download => 9010,
        _ => 9011,
    }
}

fn state(state: Progress) -> &'static str {
    match state {
        Progress::NotYetStarted => "1",
        Progress::InProgress => "2",
        Progress::Completed => "3",
    }
}

fn truth(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

/// The first so many characters.
fn first(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
