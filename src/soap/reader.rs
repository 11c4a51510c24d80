//! Bytes of the ACS become one typed message.
//!
//! Lenient where the field is: any prefix, also one that nobody declared; no ID; elements nobody
//! knows; array counts that lie (they are not read at all: nothing is allocated by a number the peer
//! wrote). Strict where it matters: one message, well-formed, inside the limits.
//!
//! # Error handling
//! What makes the message unreadable is an [`Error`], and ends the session (E-21). What is wrong with
//! the arguments of a known method becomes [`Request::Invalid`], and is answered.

mod arguments;
mod transfers;

use super::xml::{Document, Element, Ns, decode, is_legal};
pub use super::xml::{Error, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENT_NAME, MAX_NAMESPACES, MAX_TAG};
use crate::cwmp::rpc::{AcsFault, Body, Envelope, Request, Response};
use crate::model::fault::{Code, Fault};

/// The largest message that is read, in bytes: 2 MiB, and room for the envelope around a value of
/// that size. The wire enforces it too. All text of a message together is bounded by it.
pub const MAX_BODY: usize = 2 * 1024 * 1024 + 64 * 1024;
/// How many entries a list may have; more is fault 9004.
pub const MAX_ENTRIES: usize = 16 * 1024;
/// How many methods of a GetRPCMethodsResponse are kept; the rest is ignored (C-19).
pub const MAX_METHODS: usize = 256;
/// The longest name of a method that is kept, in characters (R-GRM-1); longer ones are ignored.
pub const MAX_METHOD_NAME: usize = 64;
/// The longest header value that is kept, in bytes.
pub const MAX_HEADER: usize = 4096;
/// How much of the text of a fault of the ACS is kept, in characters.
pub const MAX_FAULT_TEXT: usize = 256;

/// Reads one message.
///
/// # Errors
/// See [`Error`].
pub fn read(bytes: &[u8]) -> Result<Envelope, Error> {
    if bytes.len() > MAX_BODY {
        return Err(Error::Limit(format!("a message larger than {MAX_BODY} bytes")));
    }
    let text = decode(bytes)?;
    let mut doc = Document::new(&text);
    let root = doc.child()?.ok_or_else(|| Error::NotSoap("it has no element".to_string()))?;
    if root.name() != "Envelope" || !matches!(root.ns, Ns::Envelope | Ns::None) {
        return Err(Error::NotSoap("its root is not a SOAP 1.1 Envelope".to_string()));
    }
    let mut envelope = Envelope {
        id: None,
        hold_requests: None,
        session_timeout: None,
        use_cwmp_version: None,
        not_understood: None,
        namespace: None,
        body: Body::Response(Response::Other { name: String::new() }),
    };
    let mut found = false;
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        let ours = matches!(element.ns, Ns::Envelope | Ns::None);
        match element.name() {
            "Header" if ours => headers(&mut doc, &mut envelope)?,
            "Body" if ours && found => return Err(Error::NotSoap("it has two Bodies".to_string())),
            "Body" if ours => {
                found = true;
                if body(&mut doc, &mut envelope)?.is_break() {
                    return Ok(envelope);
                }
            }
            _ => doc.leave(depth)?,
        }
    }
    if doc.child()?.is_some() {
        return Err(Error::NotSoap("something follows its Envelope".to_string()));
    }
    if !found {
        return Err(Error::NotSoap("it has no Body".to_string()));
    }
    Ok(envelope)
}

fn headers(doc: &mut Document<'_>, envelope: &mut Envelope) -> Result<(), Error> {
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        let known = is_cwmp(element.ns);
        match element.name() {
            "ID" if known => envelope.id = Some(header(doc)?),
            "HoldRequests" if known => envelope.hold_requests = boolean(&header(doc)?),
            "SessionTimeout" if known => envelope.session_timeout = header(doc)?.trim().parse().ok(),
            "UseCWMPVersion" if known => envelope.use_cwmp_version = Some(header(doc)?.trim().to_string()),
            // Sent by old ACSs (CWMP 1.0), without meaning for us.
            "NoMoreRequests" if known => doc.leave(depth)?,
            name => {
                if for_us(doc, &element) && envelope.not_understood.is_none() {
                    envelope.not_understood = Some(name.to_string());
                }
                doc.leave(depth)?;
            }
        }
    }
    Ok(())
}

/// Whether an element may be one of CWMP's: it is, or it has no namespace, or only the Envelope's
/// because that was made the default and forgotten.
fn is_cwmp(ns: Ns) -> bool {
    matches!(ns, Ns::Cwmp(_) | Ns::None | Ns::Envelope)
}

/// Whether a header is addressed to us and must be understood (SOAP 1.1, 4.2.2 and 4.2.3).
fn for_us(doc: &Document<'_>, element: &Element<'_>) -> bool {
    let next = "http://schemas.xmlsoap.org/soap/actor/next";
    let must = doc.attribute(element, Ns::Envelope, "mustUnderstand");
    let actor = doc.attribute(element, Ns::Envelope, "actor");
    matches!(must.as_deref().map(str::trim), Some("1" | "true"))
        && actor.as_deref().map(str::trim).is_none_or(|a| a.is_empty() || a == next)
}

fn header(doc: &mut Document<'_>) -> Result<String, Error> {
    let text = doc.text()?;
    if text.len() > MAX_HEADER {
        return Err(Error::Limit(format!("a header longer than {MAX_HEADER} bytes")));
    }
    Ok(text)
}

/// Reads the Body; breaks when a limit was met, behind which nothing is read any more.
fn body(doc: &mut Document<'_>, envelope: &mut Envelope) -> Result<std::ops::ControlFlow<()>, Error> {
    let Some(element) = doc.child()? else {
        envelope.body = Body::Nothing;
        return Ok(std::ops::ControlFlow::Continue(()));
    };
    let depth = doc.depth();
    let name = element.name();
    if let Ns::Cwmp(version) = element.ns {
        envelope.namespace = version;
    }
    let fault_ns = matches!(element.ns, Ns::Envelope | Ns::None);
    envelope.body = if name == "Fault" && fault_ns {
        Body::Fault(acs_fault(doc)?)
    } else if !is_cwmp(element.ns) {
        Body::Request(Request::Unknown { method: name.to_string() })
    } else if let Some(method) = name.strip_suffix("Response") {
        Body::Response(response(doc, method)?)
    } else {
        match arguments::request(doc, name) {
            Ok(request) => Body::Request(request),
            Err(Problem::Fault(fault)) => Body::Request(Request::Invalid { method: name.to_string(), fault }),
            // The head is known, so this can still be answered: R-GEN-3.
            Err(Problem::Error(Error::Limit(text))) => {
                let fault = Fault::new(Code::RESOURCES_EXCEEDED, text);
                envelope.body = Body::Request(Request::Invalid { method: name.to_string(), fault });
                return Ok(std::ops::ControlFlow::Break(()));
            }
            Err(Problem::Error(error)) => return Err(error),
        }
    };
    match doc.leave(depth) {
        Err(Error::Limit(_)) if matches!(envelope.body, Body::Request(Request::Invalid { .. })) => {
            return Ok(std::ops::ControlFlow::Break(()));
        }
        left => left?,
    }
    if doc.child()?.is_some() {
        return Err(Error::NotSoap("its Body has more than one child".to_string()));
    }
    Ok(std::ops::ControlFlow::Continue(()))
}

fn response(doc: &mut Document<'_>, method: &str) -> Result<Response, Error> {
    Ok(match method {
        "Inform" => Response::Inform,
        "TransferComplete" => Response::TransferComplete,
        "AutonomousTransferComplete" => Response::AutonomousTransferComplete,
        "RequestDownload" => Response::RequestDownload,
        "GetRPCMethods" => {
            let mut methods = Vec::new();
            while let Some(list) = doc.child()? {
                let depth = doc.depth();
                while list.name() == "MethodList" && doc.child()?.is_some() {
                    let name = doc.text()?;
                    let name = name.trim();
                    if methods.len() < MAX_METHODS && name.chars().count() <= MAX_METHOD_NAME {
                        methods.push(name.to_string());
                    }
                }
                doc.leave(depth)?;
            }
            Response::GetRPCMethods { methods }
        }
        _ => Response::Other { name: format!("{method}Response") },
    })
}

fn acs_fault(doc: &mut Document<'_>) -> Result<AcsFault, Error> {
    let mut fault = AcsFault { code: 0, text: String::new() };
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match element.name() {
            "faultstring" => fault.text = doc.text()?,
            "detail" => {
                while let Some(element) = doc.child()? {
                    let depth = doc.depth();
                    while let Some(part) = if element.name() == "Fault" { doc.child()? } else { None } {
                        let depth = doc.depth();
                        match part.name() {
                            "FaultCode" => fault.code = doc.text()?.trim().parse().unwrap_or(0),
                            "FaultString" => fault.text = doc.text()?,
                            _ => doc.leave(depth)?,
                        }
                    }
                    doc.leave(depth)?;
                }
            }
            _ => doc.leave(depth)?,
        }
    }
    fault.text = fault.text.chars().filter(|c| !c.is_control()).take(MAX_FAULT_TEXT).collect();
    Ok(fault)
}

/// What stops the reading of a request.
enum Problem {
    /// The message cannot be read.
    Error(Error),
    /// The arguments are wrong; the message goes on.
    Fault(Fault),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem::Error(error)
    }
}

/// xsd:boolean (E-25).
fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;
