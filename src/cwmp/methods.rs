//! The methods of the agent: their names, and the faults that each may end with.

use super::rpc::{Namespace, Request};
use crate::model::fault::Code;

/// Every method of the agent (R-GRM-1).
pub const METHODS: &[&str] = &[
    "GetRPCMethods",
    "SetParameterValues",
    "GetParameterValues",
    "GetParameterNames",
    "SetParameterAttributes",
    "GetParameterAttributes",
    "AddObject",
    "DeleteObject",
    "Reboot",
    "ScheduleInform",
    "FactoryReset",
    "Download",
    "Upload",
    "ScheduleDownload",
    "CancelTransfer",
    "GetQueuedTransfers",
    "GetAllQueuedTransfers",
];

/// Whether a method of the agent is there in this namespace: some came with a later one, and the schema of
/// an older has no response for them. The agent does not have them in a session of that (R-GRM-1, 9000).
pub(super) fn is_in(method: &str, namespace: Namespace) -> bool {
    namespace
        >= match method {
            "GetAllQueuedTransfers" => Namespace::V1_1,
            "ScheduleDownload" | "CancelTransfer" => Namespace::V1_2,
            _ => Namespace::V1_0,
        }
}

/// The code that a method may end with (A.3.2, A.4.1; R-GEN-4): the given one when it is of the
/// method's list, else the nearest that is. 9001 and vendors' codes are in every list, and 9002 in every
/// other than CancelTransfer's.
pub(super) fn code_for(method: &str, code: Code) -> Code {
    let more: &[u16] = match method {
        "GetRPCMethods" => &[],
        "SetParameterValues" => &[9003, 9004, 9005, 9006, 9007, 9008],
        "GetParameterValues" | "GetParameterAttributes" | "AddObject" => &[9003, 9004, 9005],
        "GetParameterNames" | "DeleteObject" => &[9003, 9005],
        "SetParameterAttributes" => &[9003, 9004, 9005, 9009],
        "Reboot" | "FactoryReset" => &[9003],
        "ScheduleInform" => &[9003, 9004],
        "Download" => &[9000, 9003, 9004, 9010, 9012, 9013],
        "Upload" => &[9000, 9003, 9004, 9011, 9012, 9013],
        "ScheduleDownload" => &[9000, 9003, 9004, 9010, 9013],
        "CancelTransfer" => &[9000, 9021],
        "GetQueuedTransfers" | "GetAllQueuedTransfers" => &[9000],
        _ => return Code::METHOD_NOT_SUPPORTED,
    };
    match code.0 {
        9002 if method == "CancelTransfer" => Code::REQUEST_DENIED,
        9001 | 9002 | 9800..=9899 => code,
        n if more.contains(&n) => code,
        _ => Code::REQUEST_DENIED,
    }
}

/// The name of the method that is asked for.
pub(super) fn name_of(request: &Request) -> &str {
    match request {
        Request::GetRPCMethods => "GetRPCMethods",
        Request::SetParameterValues { .. } => "SetParameterValues",
        Request::GetParameterValues { .. } => "GetParameterValues",
        Request::GetParameterNames { .. } => "GetParameterNames",
        Request::SetParameterAttributes { .. } => "SetParameterAttributes",
        Request::GetParameterAttributes { .. } => "GetParameterAttributes",
        Request::AddObject { .. } => "AddObject",
        Request::DeleteObject { .. } => "DeleteObject",
        Request::Reboot { .. } => "Reboot",
        Request::FactoryReset => "FactoryReset",
        Request::ScheduleInform { .. } => "ScheduleInform",
        Request::Transfer(asked) => asked.method.name(),
        Request::CancelTransfer { .. } => "CancelTransfer",
        Request::GetQueuedTransfers => "GetQueuedTransfers",
        Request::GetAllQueuedTransfers => "GetAllQueuedTransfers",
        Request::Unknown { method } | Request::Invalid { method, .. } => method,
    }
}
