//! The arguments of the methods that the agent has, A.3 and A.4.

use super::transfers;
use super::{Document, Element, Error, MAX_ENTRIES, Ns, Problem, boolean, is_legal};
use crate::cwmp::rpc::{ParameterValue, Request, SetAttributes};
use crate::model::fault::{Code, Fault};
use std::borrow::Cow;

/// The longest CommandKey and ParameterKey, in characters (R-SPV-12, R-SYS-3, R-SYS-8).
pub(super) const MAX_KEY: usize = 32;
/// The longest ObjectName, in characters (R-OBJ-1).
pub(super) const MAX_OBJECT_NAME: usize = 256;

/// All arguments that any method takes; `None` is missing so far.
#[derive(Default)]
struct Arguments {
    names: Option<Vec<String>>,
    values: Option<Vec<ParameterValue>>,
    attributes: Option<Vec<SetAttributes>>,
    path: Option<String>,
    next_level: Option<bool>,
    object: Option<String>,
    parameter_key: Option<String>,
    command_key: Option<String>,
    delay_seconds: Option<u32>,
}

/// Reads the arguments of `method`, whose element is open.
pub(super) fn request(doc: &mut Document<'_>, method: &str) -> Result<Request, Problem> {
    if let Some(method) = transfers::method(method) {
        return transfers::request(doc, method);
    }
    let mut a = Arguments::default();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match (method, argument(&element)) {
            ("GetParameterValues" | "GetParameterAttributes", n @ "ParameterNames") => {
                once(&mut a.names, n, strings(doc)?)?
            }
            ("SetParameterValues", n @ "ParameterList") => once(&mut a.values, n, values(doc)?)?,
            ("SetParameterAttributes", n @ "ParameterList") => once(&mut a.attributes, n, attributes(doc)?)?,
            ("GetParameterNames", n @ "ParameterPath") => once(&mut a.path, n, word(doc, n)?)?,
            ("GetParameterNames", n @ "NextLevel") => once(&mut a.next_level, n, truth(doc, n)?)?,
            ("AddObject" | "DeleteObject", n @ "ObjectName") => {
                once(&mut a.object, n, at_most(MAX_OBJECT_NAME, n, word(doc, n)?)?)?
            }
            ("SetParameterValues" | "AddObject" | "DeleteObject", n @ "ParameterKey") => {
                once(&mut a.parameter_key, n, at_most(MAX_KEY, n, exact(doc, n)?)?)?
            }
            ("Reboot" | "ScheduleInform" | "CancelTransfer", n @ "CommandKey") => {
                once(&mut a.command_key, n, at_most(MAX_KEY, n, exact(doc, n)?)?)?
            }
            ("ScheduleInform", n @ "DelaySeconds") => once(&mut a.delay_seconds, n, number(doc, n)?)?,
            _ => doc.leave(depth)?,
        }
    }
    // A missing key is taken as an empty one: it promises nothing, and ACSs in the field leave it out.
    Ok(match method {
        "GetRPCMethods" => Request::GetRPCMethods,
        "SetParameterValues" => Request::SetParameterValues {
            list: needed(a.values, "ParameterList")?,
            parameter_key: a.parameter_key.unwrap_or_default(),
        },
        "GetParameterValues" => Request::GetParameterValues { names: some(a.names)? },
        "GetParameterNames" => Request::GetParameterNames {
            path: needed(a.path, "ParameterPath")?,
            next_level: needed(a.next_level, "NextLevel")?,
        },
        "SetParameterAttributes" => {
            Request::SetParameterAttributes { list: needed(a.attributes, "ParameterList")? }
        }
        "GetParameterAttributes" => Request::GetParameterAttributes { names: some(a.names)? },
        "AddObject" => Request::AddObject {
            object: needed(a.object, "ObjectName")?,
            parameter_key: a.parameter_key.unwrap_or_default(),
        },
        "DeleteObject" => Request::DeleteObject {
            object: needed(a.object, "ObjectName")?,
            parameter_key: a.parameter_key.unwrap_or_default(),
        },
        "Reboot" => Request::Reboot { command_key: a.command_key.unwrap_or_default() },
        "FactoryReset" => Request::FactoryReset,
        "ScheduleInform" => Request::ScheduleInform {
            delay_seconds: match needed(a.delay_seconds, "DelaySeconds")? {
                0 => return Err(invalid("DelaySeconds must be more than 0")), // R-SYS-7
                n => n,
            },
            command_key: a.command_key.unwrap_or_default(),
        },
        // Here the key says what is meant, so it must be there.
        "CancelTransfer" => Request::CancelTransfer { command_key: needed(a.command_key, "CommandKey")? },
        "GetQueuedTransfers" => Request::GetQueuedTransfers,
        "GetAllQueuedTransfers" => Request::GetAllQueuedTransfers,
        _ => Request::Unknown { method: method.to_string() },
    })
}

pub(super) fn invalid(text: impl Into<String>) -> Problem {
    Problem::Fault(Fault::new(Code::INVALID_ARGUMENTS, text))
}

/// The name of an argument, which by E-3 has no namespace; one of a namespace that is neither
/// CWMP's nor SOAP's is somebody's extension (E-7).
pub(super) fn argument<'e>(element: &'e Element<'_>) -> &'e str {
    if element.ns == Ns::Other { "" } else { element.name() }
}

/// Whether an element is an entry of an array. SOAP gives the name no meaning, but what is neither
/// the standard's nor the customary one is an unknown element (E-7).
pub(super) fn is_entry(element: &Element<'_>, name: &str) -> bool {
    // `xsd:string` is in a namespace of its own.
    (element.ns != Ns::Other || name == "string") && (element.name() == name || element.name() == "item")
}

pub(super) fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(invalid(format!("{name} is given twice"))),
    }
}

pub(super) fn needed<T>(value: Option<T>, name: &str) -> Result<T, Problem> {
    value.ok_or_else(|| invalid(format!("{name} is missing")))
}

/// R-GPV-1: one name or more.
fn some(names: Option<Vec<String>>) -> Result<Vec<String>, Problem> {
    let names = needed(names, "ParameterNames")?;
    if names.is_empty() {
        return Err(invalid("ParameterNames is empty"));
    }
    Ok(names)
}

/// Text as it stands; characters that XML does not have cannot be kept, so they are refused.
pub(super) fn exact(doc: &mut Document<'_>, name: &str) -> Result<String, Problem> {
    let text = doc.text()?;
    if !is_legal(&text) {
        return Err(invalid(format!("{name} has a character that XML does not allow")));
    }
    Ok(text)
}

/// Text without the white space around it.
pub(super) fn word(doc: &mut Document<'_>, name: &str) -> Result<String, Problem> {
    let text = exact(doc, name)?;
    let trimmed = text.trim();
    Ok(if trimmed.len() == text.len() { text } else { trimmed.to_string() })
}

/// A limit in characters (E-23).
pub(super) fn at_most(limit: usize, name: &str, text: String) -> Result<String, Problem> {
    if text.chars().count() > limit {
        return Err(invalid(format!("{name} is longer than {limit} characters")));
    }
    Ok(text)
}

fn truth(doc: &mut Document<'_>, name: &str) -> Result<bool, Problem> {
    boolean(&doc.text()?).ok_or_else(|| invalid(format!("{name} is not a boolean")))
}

pub(super) fn number(doc: &mut Document<'_>, name: &str) -> Result<u32, Problem> {
    doc.text()?.trim().parse().map_err(|_| invalid(format!("{name} is not an unsignedInt")))
}

fn push<T>(list: &mut Vec<T>, entry: T) -> Result<(), Problem> {
    if list.len() >= MAX_ENTRIES {
        return Err(Problem::Error(Error::Limit(format!("a list of more than {MAX_ENTRIES} entries"))));
    }
    list.push(entry);
    Ok(())
}

fn strings(doc: &mut Document<'_>) -> Result<Vec<String>, Problem> {
    let mut list = Vec::new();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        if is_entry(&element, "string") {
            push(&mut list, word(doc, "ParameterNames")?)?;
        } else {
            doc.leave(depth)?;
        }
    }
    Ok(list)
}

fn values(doc: &mut Document<'_>) -> Result<Vec<ParameterValue>, Problem> {
    let mut list = Vec::new();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        if is_entry(&element, "ParameterValueStruct") {
            push(&mut list, value(doc)?)?;
        } else {
            doc.leave(depth)?;
        }
    }
    Ok(list)
}

fn value(doc: &mut Document<'_>) -> Result<ParameterValue, Problem> {
    let (mut name, mut value, mut xsi_type) = (None, None, None);
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match argument(&element) {
            n @ "Name" => once(&mut name, n, word(doc, n)?)?,
            n @ "Value" => {
                xsi_type = xsi(doc, &element);
                once(&mut value, n, exact(doc, n)?)?;
            }
            _ => doc.leave(depth)?,
        }
    }
    let name = needed(name, "Name of a ParameterValueStruct")?;
    let value = needed(value, "Value of a ParameterValueStruct")?;
    Ok(ParameterValue { name, value, xsi_type })
}

/// The types that values have; any other word is kept as it is, to be refused by its name (E-30).
const TYPES: [&str; 10] = [
    "string",
    "boolean",
    "unsignedInt",
    "int",
    "dateTime",
    "unsignedLong",
    "long",
    "hexBinary",
    "base64",
    "base64Binary",
];

/// The local name of xsi:type; the prefix is the peer's affair.
fn xsi(doc: &Document<'_>, element: &Element<'_>) -> Option<Cow<'static, str>> {
    let full = doc.attribute(element, Ns::Xsi, "type")?;
    let local = full.trim().rsplit(':').next().unwrap_or("");
    match TYPES.iter().find(|known| **known == local) {
        Some(known) => Some(Cow::Borrowed(known)),
        None if local.is_empty() => None,
        None => Some(Cow::Owned(local.to_string())),
    }
}

fn attributes(doc: &mut Document<'_>) -> Result<Vec<SetAttributes>, Problem> {
    let mut list = Vec::new();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        if is_entry(&element, "SetParameterAttributesStruct") {
            push(&mut list, set_attributes(doc)?)?;
        } else {
            doc.leave(depth)?;
        }
    }
    Ok(list)
}

fn set_attributes(doc: &mut Document<'_>) -> Result<SetAttributes, Problem> {
    let (mut name, mut change, mut list_change) = (None, None, None);
    let (mut notification, mut access_list) = (None, None);
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match argument(&element) {
            n @ "Name" => once(&mut name, n, word(doc, n)?)?,
            n @ "NotificationChange" => once(&mut change, n, truth(doc, n)?)?,
            n @ "Notification" => once(&mut notification, n, doc.text()?)?,
            n @ "AccessListChange" => once(&mut list_change, n, truth(doc, n)?)?,
            n @ "AccessList" => once(&mut access_list, n, strings(doc)?)?,
            _ => doc.leave(depth)?,
        }
    }
    // R-SPA-3: without its Change, the value does not matter, nor whether it is one.
    let notification = match needed(change, "NotificationChange")? {
        false => None,
        true => {
            let text = needed(notification, "Notification")?;
            Some(text.trim().parse().map_err(|_| invalid("Notification is not a number"))?)
        }
    };
    let access_list = match needed(list_change, "AccessListChange")? {
        false => None,
        true => Some(needed(access_list, "AccessList")?),
    };
    let name = needed(name, "Name of a SetParameterAttributesStruct")?;
    Ok(SetAttributes { name, notification, access_list })
}
