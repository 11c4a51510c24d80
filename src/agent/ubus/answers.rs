//! What callers are answered: tables, made of the lines that a shell would get.

use crate::agent::control::{Failure, Line, StatusReport};
use crate::model::fault::Code;
use crate::sys::ubus::published::{INVALID_ARGUMENT, Method};
use crate::sys::ubus::{Answer, Writer};
use serde::Serialize;

/// ubus's words for what failed.
const PERMISSION_DENIED: u32 = 6;
const UNKNOWN_ERROR: u32 = 9;
const NO_MEMORY: u32 = 11;

/// Anything that is JSON.
pub(super) fn of_json(what: &impl Serialize) -> Option<Answer> {
    Answer::from_json(&serde_json::to_string(what).ok()?).ok()
}

/// What the agent says of itself, or of its transfers alone.
pub(super) fn report(method: &Method, report: &StatusReport) -> Result<Answer, Failure> {
    let answer = match method.0 {
        "transfers" => of_json(&serde_json::json!({ "transfers": report.transfers })),
        _ => of_json(report),
    };
    answer.ok_or_else(too_long)
}

/// The lines of an answer of the engine as a table.
pub(super) fn lines(method: &Method, lines: &[u8]) -> Result<Answer, Failure> {
    let mut writer = Writer::default();
    let gets = method.0 == "get";
    if gets {
        writer.table("values");
    }
    let mut whole = false;
    for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line).map_err(|_| broken())? {
            Line::Value { path, value } => writer.text(&path, &value),
            Line::Error { error } => return Err(error),
            Line::Ok { applied_later, .. } => {
                if gets {
                    writer.end();
                } else if method.0 == "set" {
                    writer.flag("applied_later", applied_later == 1);
                }
                whole = true;
            }
            _ => {}
        }
    }
    match whole {
        true => writer.finish().map_err(|_| too_long()),
        false => Err(broken()),
    }
}

/// An answer that is longer than one may be.
pub(super) fn too_long() -> Failure {
    Failure::new(Code::RESOURCES_EXCEEDED, "that is more than one answer holds: ask for less at once")
}

/// An answer that is none.
pub(super) fn broken() -> Failure {
    Failure::new(Code::INTERNAL_ERROR, "the agent has no answer")
}

/// A failure as a table; ubus itself has numbers only.
pub(super) fn fault(failure: &Failure) -> Option<Answer> {
    let mut writer = Writer::default();
    writer.table("fault");
    writer.number("code", failure.code.into());
    writer.text("text", &failure.text);
    if !failure.parameters.is_empty() {
        writer.array("parameters");
        for bad in &failure.parameters {
            writer.table("");
            writer.text("path", &bad.path);
            writer.number("code", bad.code.into());
            writer.text("text", &bad.text);
            writer.end();
        }
        writer.end();
    }
    writer.end();
    writer.finish().ok()
}

/// The status for a fault.
pub(super) fn status(code: u16) -> u32 {
    match Code(code) {
        Code::REQUEST_DENIED | Code::NOT_WRITABLE => PERMISSION_DENIED,
        Code::INVALID_ARGUMENTS | Code::INVALID_NAME | Code::INVALID_TYPE | Code::INVALID_VALUE => {
            INVALID_ARGUMENT
        }
        Code::RESOURCES_EXCEEDED => NO_MEMORY,
        _ => UNKNOWN_ERROR,
    }
}
