//! Envelopes.

use cwmpd::cwmp::rpc::{self, Body, Envelope, Namespace, ParameterValue, Request};
use cwmpd::cwmp::transfers::MAX_WINDOWS;
use cwmpd::model::fault::{Code, Fault};
use cwmpd::soap::{reader, writer};

/// A message of the ACS: its lists are bounded, and an answer with its ID can be read again.
pub fn envelope(data: &[u8]) {
    let Ok(envelope) = reader::read(data) else {
        return;
    };
    let entries = match &envelope.body {
        Body::Request(rpc::Request::SetParameterValues { list, .. }) => list.len(),
        Body::Request(rpc::Request::GetParameterValues { names }) => names.len(),
        Body::Request(rpc::Request::SetParameterAttributes { list }) => list.len(),
        _ => 0,
    };
    assert!(entries <= reader::MAX_ENTRIES);
    let id = envelope.id.as_deref();
    assert!(id.is_none_or(|id| id.len() <= reader::MAX_HEADER));
    let fault = Fault::new(Code::INVALID_ARGUMENTS, String::from_utf8_lossy(data));
    let namespace = envelope.namespace.unwrap_or(Namespace::V1_0);
    let answer = writer::fault(namespace, id, &fault);
    let again = reader::read(&answer).expect("our own fault can be read");
    assert!(matches!(&again.body, Body::Fault(f) if f.code == 9003));
    // What no XML may hold is not sent, whoever sent it to us.
    let legal = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\0'..=' ' | '\u{FFFE}' | '\u{FFFF}' if c != ' ' => '\u{FFFD}',
        _ => c,
    };
    let echoed: Option<String> = id.map(|id| id.chars().map(legal).collect());
    assert_eq!(again.id, echoed, "the ID comes back as it was");
    if let Body::Request(request) = &envelope.body
        && let Some(text) = written(request)
        && text.len() <= reader::MAX_BODY
    {
        let again = reader::read(&text).expect("what was read can be written and read");
        assert_eq!(again.body, envelope.body, "{}", String::from_utf8_lossy(&text));
    }
}

/// A request as an ACS would write it, with names, values and keys escaped by our own writer; `None`
/// for those that have none.
fn written(request: &Request) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let element = |out: &mut Vec<u8>, name: &str, text: &str| {
        out.extend(format!("<{name}>").bytes());
        writer::escape(out, text);
        out.extend(format!("</{name}>").bytes());
    };
    match request {
        Request::GetParameterValues { names } | Request::GetParameterAttributes { names } => {
            out.extend(b"<ParameterNames>");
            names.iter().for_each(|name| element(&mut out, "string", name));
            out.extend(b"</ParameterNames>");
        }
        Request::SetParameterValues { list, parameter_key } => {
            out.extend(b"<ParameterList>");
            for ParameterValue { name, value, xsi_type } in list {
                out.extend(b"<ParameterValueStruct>");
                element(&mut out, "Name", name);
                match xsi_type {
                    None => out.extend(b"<Value>"),
                    // Of this one the reader judges nothing.
                    Some(word) if word.contains(char::is_control) => return None,
                    Some(word) => {
                        out.extend(b"<Value xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='");
                        writer::escape(&mut out, word);
                        out.extend(b"'>");
                    }
                }
                writer::escape(&mut out, value);
                out.extend(b"</Value></ParameterValueStruct>");
            }
            out.extend(b"</ParameterList>");
            element(&mut out, "ParameterKey", parameter_key);
        }
        Request::GetParameterNames { path, next_level } => {
            element(&mut out, "ParameterPath", path);
            element(&mut out, "NextLevel", &next_level.to_string());
        }
        Request::AddObject { object, parameter_key } | Request::DeleteObject { object, parameter_key } => {
            element(&mut out, "ObjectName", object);
            element(&mut out, "ParameterKey", parameter_key);
        }
        Request::Reboot { command_key } | Request::CancelTransfer { command_key } => {
            element(&mut out, "CommandKey", command_key)
        }
        Request::GetQueuedTransfers | Request::GetAllQueuedTransfers => {}
        Request::Transfer(asked) => {
            assert!(asked.windows.len() <= MAX_WINDOWS && asked.password.chars().count() <= 256);
            for (name, text) in [
                ("CommandKey", &asked.command_key),
                ("FileType", &asked.file_type),
                ("URL", &asked.url),
                ("Username", &asked.username),
                ("Password", &asked.password),
                ("FileSize", &asked.file_size.to_string()),
                ("TargetFileName", &asked.target_file_name),
                ("DelaySeconds", &asked.delay_seconds.to_string()),
            ] {
                element(&mut out, name, text);
            }
            out.extend(b"<SuccessURL/><FailureURL/><TimeWindowList>");
            for window in &asked.windows {
                out.extend(b"<TimeWindowStruct>");
                element(&mut out, "WindowStart", &window.start.to_string());
                element(&mut out, "WindowEnd", &window.end.to_string());
                element(&mut out, "WindowMode", window.mode.name());
                element(&mut out, "UserMessage", &window.user_message);
                let retries = window.max_retries.map_or("-1".to_owned(), |n| n.to_string());
                element(&mut out, "MaxRetries", &retries);
                out.extend(b"</TimeWindowStruct>");
            }
            out.extend(b"</TimeWindowList>");
        }
        Request::ScheduleInform { delay_seconds, command_key } => {
            element(&mut out, "DelaySeconds", &delay_seconds.to_string());
            element(&mut out, "CommandKey", command_key);
        }
        _ => return None,
    }
    let method = match request {
        Request::GetParameterValues { .. } => "GetParameterValues",
        Request::GetParameterAttributes { .. } => "GetParameterAttributes",
        Request::SetParameterValues { .. } => "SetParameterValues",
        Request::GetParameterNames { .. } => "GetParameterNames",
        Request::AddObject { .. } => "AddObject",
        Request::DeleteObject { .. } => "DeleteObject",
        Request::Reboot { .. } => "Reboot",
        Request::CancelTransfer { .. } => "CancelTransfer",
        Request::GetQueuedTransfers => "GetQueuedTransfers",
        Request::GetAllQueuedTransfers => "GetAllQueuedTransfers",
        Request::Transfer(asked) => asked.method.name(),
        _ => "ScheduleInform",
    };
    let soap = "http://schemas.xmlsoap.org/soap/envelope/";
    let head = format!("<Envelope xmlns='{soap}'><Body><{method}>");
    let tail = format!("</{method}></Body></Envelope>");
    Some([head.as_bytes(), &out, tail.as_bytes()].concat())
}
