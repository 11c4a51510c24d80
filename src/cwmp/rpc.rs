//! The vocabulary: every message of the standard that the agent reads, as typed data.
//! Names are those of TR-069 Annex A.

use super::transfers::{Asked, Complete, MAX_FILE_TYPE};
use crate::model::fault::{Code, Fault};
pub use crate::model::request::{ParameterValue, SetAttributes};

/// The most arguments of a RequestDownload.
pub const MAX_FILE_TYPE_ARGS: usize = 16;
/// The longest name of one, in characters.
const MAX_ARG_NAME: usize = 64;
/// The longest value of one, in characters.
const MAX_ARG_VALUE: usize = 256;

/// The CWMP namespaces that exist (E-8); protocol 1.3 and 1.4 use the third.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Namespace {
    /// `urn:dslforum-org:cwmp-1-0`
    V1_0,
    /// `urn:dslforum-org:cwmp-1-1`
    V1_1,
    /// `urn:dslforum-org:cwmp-1-2`
    V1_2,
}

impl Namespace {
    /// The URN.
    pub fn urn(self) -> &'static str {
        match self {
            Namespace::V1_0 => "urn:dslforum-org:cwmp-1-0",
            Namespace::V1_1 => "urn:dslforum-org:cwmp-1-1",
            Namespace::V1_2 => "urn:dslforum-org:cwmp-1-2",
        }
    }

    /// The namespace with this URN.
    pub fn from_urn(urn: &str) -> Option<Namespace> {
        [Namespace::V1_0, Namespace::V1_1, Namespace::V1_2].into_iter().find(|n| n.urn() == urn)
    }

    /// The newest version of the protocol that is spoken in it.
    pub fn version(self) -> &'static str {
        match self {
            Namespace::V1_0 => "1.0",
            Namespace::V1_1 => "1.1",
            Namespace::V1_2 => "1.4",
        }
    }

    /// The one before it.
    pub fn older(self) -> Option<Namespace> {
        match self {
            Namespace::V1_0 => None,
            Namespace::V1_1 => Some(Namespace::V1_0),
            Namespace::V1_2 => Some(Namespace::V1_1),
        }
    }
}

/// A message from the ACS.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    /// The `cwmp:ID` header, as written.
    pub id: Option<String>,
    /// The `cwmp:HoldRequests` header.
    pub hold_requests: Option<bool>,
    /// The `cwmp:SessionTimeout` header, seconds.
    pub session_timeout: Option<u32>,
    /// The `cwmp:UseCWMPVersion` header.
    pub use_cwmp_version: Option<String>,
    /// A header with mustUnderstand="1" that the agent does not know (E-17).
    pub not_understood: Option<String>,
    /// The namespace of the method, when it was one of CWMP's.
    pub namespace: Option<Namespace>,
    /// What it says.
    pub body: Body,
}

/// The one child of the SOAP body.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// The ACS asks the agent.
    Request(Request),
    /// The ACS answers the agent.
    Response(Response),
    /// The ACS answers with a fault.
    Fault(AcsFault),
    /// No child: the ACS only has a header to send, such as HoldRequests.
    Nothing,
}

/// A request of the ACS. What is wrong with its arguments is kept as `Invalid`, so that the session
/// can answer 9003 (R-GEN-2) with the right ID.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // the arguments have the standard's names
pub enum Request {
    /// A.3.1.1
    GetRPCMethods,
    /// A.3.2.1
    SetParameterValues { list: Vec<ParameterValue>, parameter_key: String },
    /// A.3.2.2
    GetParameterValues { names: Vec<String> },
    /// A.3.2.3
    GetParameterNames { path: String, next_level: bool },
    /// A.3.2.4
    SetParameterAttributes { list: Vec<SetAttributes> },
    /// A.3.2.5
    GetParameterAttributes { names: Vec<String> },
    /// A.3.2.6
    AddObject { object: String, parameter_key: String },
    /// A.3.2.7
    DeleteObject { object: String, parameter_key: String },
    /// A.3.2.9
    Reboot { command_key: String },
    /// A.4.1.6
    FactoryReset,
    /// A.4.1.2
    ScheduleInform { delay_seconds: u32, command_key: String },
    /// A.3.2.8, A.4.1.5, A.4.1.8: which of them is in what is asked.
    Transfer(Box<Asked>),
    /// A.4.1.9
    CancelTransfer { command_key: String },
    /// A.4.1.1
    GetQueuedTransfers,
    /// A.4.1.7
    GetAllQueuedTransfers,
    /// A method the agent does not have: fault 9000 (R-GEN-1).
    Unknown { method: String },
    /// A known method with a missing, doubled or malformed argument (9003), or one beyond a limit
    /// of the reader (9004).
    Invalid { method: String, fault: Fault },
}

/// An answer of the ACS to a request of the agent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the arguments have the standard's names
pub enum Response {
    /// A.3.3.1; MaxEnvelopes is ignored (C-17).
    Inform,
    /// A.3.1.1, asked of the ACS.
    GetRPCMethods { methods: Vec<String> },
    /// A.3.3.2
    TransferComplete,
    /// A.3.3.3
    AutonomousTransferComplete,
    /// A.4.2.2
    RequestDownload,
    /// Another response, by its local name.
    Other { name: String },
}

/// A fault of the ACS (codes 8000 to 8899).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcsFault {
    /// `cwmp:FaultCode`; 0 when the fault had none (a plain SOAP fault).
    pub code: u16,
    /// `cwmp:FaultString`, or SOAP's faultstring.
    pub text: String,
}

/// A request of the agent to the ACS, other than the Inform.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the arguments have the standard's names
pub enum AgentRequest {
    /// A.3.1.1, asked of the ACS (R-GRM-3).
    GetRPCMethods,
    /// A.3.3.2: a transfer that the ACS asked for has ended.
    TransferComplete(Complete),
    /// A.3.3.3: one that it did not ask for has ended.
    AutonomousTransferComplete(Complete),
    /// A.4.2.2; made by [`AgentRequest::request_download`].
    RequestDownload { file_type: String, arguments: Vec<(String, String)> },
}

impl AgentRequest {
    /// The method's name.
    pub fn method(&self) -> &'static str {
        match self {
            AgentRequest::GetRPCMethods => "GetRPCMethods",
            AgentRequest::TransferComplete(_) => "TransferComplete",
            AgentRequest::AutonomousTransferComplete(_) => "AutonomousTransferComplete",
            AgentRequest::RequestDownload { .. } => "RequestDownload",
        }
    }

    /// Whether it may go out in a session of this namespace: older ones do not have every method. Whether
    /// the ACS has the method is another question (C-18).
    pub fn is_in(&self, namespace: Namespace) -> bool {
        match self {
            AgentRequest::AutonomousTransferComplete(_) => namespace >= Namespace::V1_1,
            AgentRequest::GetRPCMethods
            | AgentRequest::TransferComplete(_)
            | AgentRequest::RequestDownload { .. } => true,
        }
    }

    /// A RequestDownload with these arguments.
    ///
    /// # Errors
    /// 9003 when something is longer than the standard has it, or there are more than
    /// [`MAX_FILE_TYPE_ARGS`] arguments, or no file type.
    pub fn request_download(
        file_type: &str,
        arguments: Vec<(String, String)>,
    ) -> Result<AgentRequest, Fault> {
        let is_within = |most: usize, text: &str| text.chars().count() <= most;
        let wrong = if file_type.is_empty() || !is_within(MAX_FILE_TYPE, file_type) {
            "FileType is empty or too long"
        } else if arguments.len() > MAX_FILE_TYPE_ARGS {
            "FileTypeArg has too many entries"
        } else if arguments.iter().any(|(name, _)| name.is_empty() || !is_within(MAX_ARG_NAME, name)) {
            "a name in FileTypeArg is empty or too long"
        } else if !arguments.iter().all(|(_, value)| is_within(MAX_ARG_VALUE, value)) {
            "a value in FileTypeArg is too long"
        } else {
            return Ok(AgentRequest::RequestDownload { file_type: file_type.to_owned(), arguments });
        };
        Err(Fault::new(Code::INVALID_ARGUMENTS, wrong))
    }
}

/// What became of a request of the agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AcsAnswer {
    /// It was answered, by the response of its own method.
    Response(Response),
    /// It was refused; with code 8005 when the ACS asked for it again more often than is followed (C-7).
    Fault(AcsFault),
    /// The session went on or ended without an answer to it.
    Missing,
}

/// Device identity, constant for the life of the device (I-1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceId {
    /// At most 64 characters.
    pub manufacturer: String,
    /// Six upper-case hexadecimal digits.
    pub oui: String,
    /// At most 64 characters, may be empty.
    pub product_class: String,
    /// At most 64 characters.
    pub serial_number: String,
}

/// One entry of Inform's event list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// `1 BOOT`, `M Reboot` …
    pub code: String,
    /// Filled for "M" events, else empty (V-7).
    pub command_key: String,
}

/// What an Inform says (A.3.3.1).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct InformFacts {
    /// I-1.
    pub device_id: DeviceId,
    /// V-1, V-2.
    pub events: Vec<Event>,
    /// I-2: local time with offset, or Unknown Time.
    pub current_time: String,
    /// C-22.
    pub retry_count: u32,
    /// Path, xsi:type, value (I-3 to I-5).
    pub parameters: Vec<(String, &'static str, String)>,
}
