//! Typed messages become bytes: head, body, tail, appended to one buffer without a format call per
//! value. A long answer is [`head`], [`item`] after [`item`], [`tail`].

mod transfers;

use super::{ENCODING, ENVELOPE, XSD, XSI};
use crate::cwmp::rpc::{AgentRequest, InformFacts, Namespace};
use crate::cwmp::transfers::{Method, Queued};
use crate::model::fault::{Code, Fault};
use crate::model::tree::{Item, Status};

/// What the agent says to speak in the header of its Inform (E-13). The header is of CWMP 1.4: an Inform
/// in an older namespace has none, since the ACS did not take the newest.
pub const SUPPORTED_VERSIONS: &str = "1.0,1.1,1.2,1.3,1.4";

/// A short answer to a request of the ACS.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The methods of the agent.
    GetRPCMethods(&'a [&'a str]),
    /// R-SPV-8.
    SetParameterValues(Status),
    /// R-SPA-1.
    SetParameterAttributes,
    /// The new instance number (R-OBJ-7).
    AddObject(u32, Status),
    /// R-OBJ-7.
    DeleteObject(Status),
    /// R-SYS-1.
    Reboot,
    /// R-SYS-5.
    FactoryReset,
    /// R-SYS-8.
    ScheduleInform,
    /// Download, ScheduleDownload or Upload is queued.
    Transfer(Method),
    ///
    CancelTransfer,
    /// X-44; of what the ACS asked for.
    GetQueuedTransfers(&'a [Queued]),
    ///
    GetAllQueuedTransfers(&'a [Queued]),
}

/// A list that may be long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// GetParameterValuesResponse.
    Values,
    /// GetParameterNamesResponse.
    Names,
    /// GetParameterAttributesResponse.
    Attributes,
}

impl List {
    fn method(self) -> &'static str {
        match self {
            List::Values => "GetParameterValuesResponse",
            List::Names => "GetParameterNamesResponse",
            List::Attributes => "GetParameterAttributesResponse",
        }
    }

    fn entry(self) -> &'static str {
        match self {
            List::Values => "cwmp:ParameterValueStruct",
            List::Names => "cwmp:ParameterInfoStruct",
            List::Attributes => "cwmp:ParameterAttributeStruct",
        }
    }
}

/// The Inform (A.3.3.1); MaxEnvelopes is 1 (C-17).
pub fn inform(ns: Namespace, id: &str, facts: &InformFacts) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    open(&mut out, ns, Some(id), true);
    out.extend_from_slice(b"<cwmp:Inform><DeviceId>");
    element(&mut out, "Manufacturer", &facts.device_id.manufacturer);
    element(&mut out, "OUI", &facts.device_id.oui);
    element(&mut out, "ProductClass", &facts.device_id.product_class);
    element(&mut out, "SerialNumber", &facts.device_id.serial_number);
    out.extend_from_slice(b"</DeviceId>");
    array(&mut out, "Event", "cwmp:EventStruct", facts.events.len());
    for event in &facts.events {
        out.extend_from_slice(b"<EventStruct>");
        element(&mut out, "EventCode", &event.code);
        element(&mut out, "CommandKey", &event.command_key);
        out.extend_from_slice(b"</EventStruct>");
    }
    out.extend_from_slice(b"</Event><MaxEnvelopes>1</MaxEnvelopes>");
    element(&mut out, "CurrentTime", &facts.current_time);
    element(&mut out, "RetryCount", &facts.retry_count.to_string());
    array(&mut out, "ParameterList", "cwmp:ParameterValueStruct", facts.parameters.len());
    for (path, xsi_type, value) in &facts.parameters {
        item(&mut out, Item::Value { path, xsi_type, value });
    }
    out.extend_from_slice(b"</ParameterList></cwmp:Inform>");
    close(&mut out);
    out
}

/// A request of the agent's own that is not the Inform, with its ID (E-11).
pub fn request(ns: Namespace, id: &str, request: &AgentRequest) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, ns, Some(id), false);
    match request {
        AgentRequest::GetRPCMethods => out.extend_from_slice(b"<cwmp:GetRPCMethods/>"),
        AgentRequest::TransferComplete(complete) => transfers::complete(&mut out, ns, complete),
        AgentRequest::AutonomousTransferComplete(complete) => {
            transfers::autonomous_complete(&mut out, ns, complete)
        }
        AgentRequest::RequestDownload { file_type, arguments } => {
            transfers::request_download(&mut out, file_type, arguments)
        }
    }
    close(&mut out);
    out
}

/// A short answer with the ID of its request (E-10); without one when the request had none.
pub fn answer(ns: Namespace, id: Option<&str>, answer: Answer<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, ns, id, false);
    match answer {
        Answer::GetRPCMethods(methods) => {
            out.extend_from_slice(b"<cwmp:GetRPCMethodsResponse>");
            array(&mut out, "MethodList", "xsd:string", methods.len());
            for method in methods {
                element(&mut out, "string", method);
            }
            out.extend_from_slice(b"</MethodList></cwmp:GetRPCMethodsResponse>");
        }
        Answer::SetParameterValues(status) => {
            out.extend_from_slice(b"<cwmp:SetParameterValuesResponse>");
            element(&mut out, "Status", status_text(status));
            out.extend_from_slice(b"</cwmp:SetParameterValuesResponse>");
        }
        Answer::SetParameterAttributes => out.extend_from_slice(b"<cwmp:SetParameterAttributesResponse/>"),
        Answer::AddObject(number, status) => {
            out.extend_from_slice(b"<cwmp:AddObjectResponse>");
            element(&mut out, "InstanceNumber", &number.to_string());
            element(&mut out, "Status", status_text(status));
            out.extend_from_slice(b"</cwmp:AddObjectResponse>");
        }
        Answer::DeleteObject(status) => {
            out.extend_from_slice(b"<cwmp:DeleteObjectResponse>");
            element(&mut out, "Status", status_text(status));
            out.extend_from_slice(b"</cwmp:DeleteObjectResponse>");
        }
        Answer::Reboot => out.extend_from_slice(b"<cwmp:RebootResponse/>"),
        Answer::FactoryReset => out.extend_from_slice(b"<cwmp:FactoryResetResponse/>"),
        Answer::ScheduleInform => out.extend_from_slice(b"<cwmp:ScheduleInformResponse/>"),
        Answer::Transfer(method) => transfers::queued(&mut out, method),
        Answer::CancelTransfer => out.extend_from_slice(b"<cwmp:CancelTransferResponse/>"),
        Answer::GetQueuedTransfers(list) => transfers::list(&mut out, list),
        Answer::GetAllQueuedTransfers(list) => transfers::whole_list(&mut out, list),
    }
    close(&mut out);
    out
}

/// The fault that an RPC ends with (E-18).
pub fn fault(ns: Namespace, id: Option<&str>, fault: &Fault) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, ns, id, false);
    out.extend_from_slice(b"<soap-env:Fault>");
    element(&mut out, "faultcode", faultcode(fault.code));
    out.extend_from_slice(b"<faultstring>CWMP fault</faultstring><detail><cwmp:Fault>");
    element(&mut out, "FaultCode", &fault.code.0.to_string());
    element(&mut out, "FaultString", &fault.text);
    for parameter in &fault.parameters {
        out.extend_from_slice(b"<SetParameterValuesFault>");
        element(&mut out, "ParameterName", &parameter.name);
        element(&mut out, "FaultCode", &parameter.code.0.to_string());
        element(&mut out, "FaultString", &parameter.text);
        out.extend_from_slice(b"</SetParameterValuesFault>");
    }
    out.extend_from_slice(b"</cwmp:Fault></detail></soap-env:Fault>");
    close(&mut out);
    out
}

/// The answer to a request with a header that must be understood and is not (E-17). It is SOAP's
/// fault, not CWMP's; without detail, since it is not about the body (SOAP 1.1, 4.4).
pub fn must_understand(ns: Namespace, id: Option<&str>, header: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, ns, id, false);
    out.extend_from_slice(b"<soap-env:Fault><faultcode>soap-env:MustUnderstand</faultcode><faultstring>");
    escape(&mut out, "Header not understood: ");
    escape(&mut out, header);
    out.extend_from_slice(b"</faultstring></soap-env:Fault>");
    close(&mut out);
    out
}

/// Everything of a long answer before its first item; `count` goes into arrayType (E-4).
pub fn head(ns: Namespace, id: Option<&str>, list: List, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, ns, id, false);
    out.extend_from_slice(b"<cwmp:");
    out.extend_from_slice(list.method().as_bytes());
    out.push(b'>');
    array(&mut out, "ParameterList", list.entry(), count);
    out
}

/// Everything of a long answer behind its last item.
pub fn tail(list: List) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"</ParameterList></cwmp:");
    out.extend_from_slice(list.method().as_bytes());
    out.push(b'>');
    close(&mut out);
    out
}

/// One item of a long answer, appended.
pub fn item(out: &mut Vec<u8>, item: Item<'_>) {
    match item {
        Item::Value { path, xsi_type, value } => {
            out.extend_from_slice(b"<ParameterValueStruct><Name>");
            escape(out, path);
            out.extend_from_slice(b"</Name><Value xsi:type=\"");
            out.extend_from_slice(xsi_type.as_bytes());
            out.extend_from_slice(b"\">");
            escape(out, value);
            out.extend_from_slice(b"</Value></ParameterValueStruct>");
        }
        Item::Name { path, writable } => {
            out.extend_from_slice(b"<ParameterInfoStruct><Name>");
            escape(out, path);
            out.extend_from_slice(b"</Name><Writable>");
            out.push(if writable { b'1' } else { b'0' });
            out.extend_from_slice(b"</Writable></ParameterInfoStruct>");
        }
        Item::Attributes { path, notification, subscriber } => {
            out.extend_from_slice(b"<ParameterAttributeStruct><Name>");
            escape(out, path);
            out.extend_from_slice(b"</Name><Notification>");
            out.push(b'0' + notification.min(6));
            out.extend_from_slice(b"</Notification><AccessList soap-enc:arrayType=\"xsd:string[");
            out.extend_from_slice(match subscriber {
                true => b"1]\"><string>Subscriber</string>",
                false => b"0]\">".as_slice(),
            });
            out.extend_from_slice(b"</AccessList></ParameterAttributeStruct>");
        }
    }
}

/// The bytes at which [`escape`] looks twice.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut at = 0;
    while at < 256 {
        special[at] = matches!(at as u8, 0..=0x1F | b'&' | b'<' | b'>' | b'"' | b'\'' | 0xEF);
        at += 1;
    }
    special
};

/// Appends text with what XML reserves escaped. Tab and line ends become character references, else
/// the reader's normalisation would change them (E-24); what XML 1.0 does not allow becomes U+FFFD
/// (E-22).
pub fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    // Nearly every text of an answer of millions is without: one look at a table for each byte.
    while let Some(ahead) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| SPECIAL[*b as usize])) {
        at += ahead;
        let (with, len): (&[u8], usize) = match bytes[at] {
            b'&' => (b"&amp;", 1),
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'"' => (b"&quot;", 1),
            b'\'' => (b"&apos;", 1),
            b'\t' => (b"&#9;", 1),
            b'\n' => (b"&#10;", 1),
            b'\r' => (b"&#13;", 1),
            0..=0x1F => (b"\xEF\xBF\xBD", 1),
            // U+FFFE and U+FFFF
            0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => (b"\xEF\xBF\xBD", 3),
            _ => {
                at += 1;
                continue;
            }
        };
        // In bounds: `at` is a byte of the text, and `from` the end of a character before it.
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(with);
        at += len;
        from = at;
    }
    out.extend_from_slice(&bytes[from..]);
}

fn open(out: &mut Vec<u8>, ns: Namespace, id: Option<&str>, is_inform: bool) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope");
    for (prefix, urn) in
        [("soap-env", ENVELOPE), ("soap-enc", ENCODING), ("xsd", XSD), ("xsi", XSI), ("cwmp", ns.urn())]
    {
        for part in [" xmlns:", prefix, "=\"", urn, "\""] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.push(b'>');
    if let Some(id) = id {
        out.extend_from_slice(b"<soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">");
        escape(out, id);
        out.extend_from_slice(b"</cwmp:ID>");
        if is_inform && ns == Namespace::V1_2 {
            out.extend_from_slice(b"<cwmp:SupportedCWMPVersions soap-env:mustUnderstand=\"0\">");
            escape(out, SUPPORTED_VERSIONS);
            out.extend_from_slice(b"</cwmp:SupportedCWMPVersions>");
        }
        out.extend_from_slice(b"</soap-env:Header>");
    }
    out.extend_from_slice(b"<soap-env:Body>");
}

fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</soap-env:Body></soap-env:Envelope>\n");
}

fn element(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    escape(out, text);
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

fn array(out: &mut Vec<u8>, name: &str, entry: &str, count: usize) {
    for part in ["<", name, " soap-enc:arrayType=\"", entry, "[", &count.to_string(), "]\">"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Applied => "0",
        Status::AtSessionEnd => "1",
    }
}

/// Whose fault it is, by the table of A.5 (E-19).
fn faultcode(code: Code) -> &'static str {
    match code.0 {
        9003 | 9005..=9008 => "Client",
        _ => "Server",
    }
}

#[cfg(test)]
mod tests;
