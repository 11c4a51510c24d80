//! What shells ask through the control socket, answered from the tree.

use super::control::{Failure, Line, Request};
use super::control_server::{CONNECTIONS, Reply};
use super::engine::Engine;
use super::ubus::MAX_CALLS;
use crate::cwmp::events;
use crate::model::fault::{Code, Fault};
use crate::model::path::{Path, Segment};
use crate::model::request::ParameterValue;
use crate::model::tree::{Item, Selection, Status, Writer};

/// Lines rendered for one turn of the engine: a shell that reads slowly holds up nobody.
const PIECE: usize = 64 * 1024;

/// Answers a request, or begins to.
pub fn answer(engine: &mut Engine, request: Request) -> Reply {
    // A read between two RPCs of a session must not unfix its instances; `begin_rpc` keeps them.
    engine.core.tree.begin_rpc();
    let result = match request {
        Request::Get { paths } => engine.core.tree.values(&paths).map(|selection| walk(engine, selection)),
        Request::Names { path, next_level } => {
            engine.core.tree.names(&path, next_level).map(|selection| walk(engine, selection))
        }
        Request::Set { values } => set(engine, values),
        Request::Add { path } => add(engine, &path),
        Request::Del { path } => engine
            .core
            .tree
            .delete(&path, Writer::Local)
            .map(|status| changed(engine, status, Vec::new(), false)),
        request @ (Request::Transfer { .. }
        | Request::RequestDownload { .. }
        | Request::Confirm { .. }
        | Request::Cancel { .. }) => engine.core.serve_transfers(request).map(|number| {
            let line = number.map(|n| bytes(&Line::Instance { instance: n, path: format!("#{n}") }));
            Reply::Last([line.unwrap_or_default(), done()].concat())
        }),
        // A session now, asked for by a person.
        Request::Inform { .. } if !engine.core.settings.enable_cwmp => {
            Err(Fault::new(Code::REQUEST_DENIED, "EnableCWMP is false: no session is begun (C-30)"))
        }
        Request::Inform { .. } if engine.core.settings.url.is_empty() => Err(Fault::new(
            Code::REQUEST_DENIED,
            "there is no ACS: acs.url is empty, and DHCP has told of none",
        )),
        Request::Inform { event } if !event.is_empty() && !events::is_of_vendor(&event) => {
            Err(Fault::new(Code::INVALID_ARGUMENTS, "the event is none of a vendor's, `X OUI NAME` (V-26)"))
        }
        Request::Inform { event } => {
            if !event.is_empty() {
                engine.core.queue.add(&event, "");
                engine.core.keep_records();
            }
            engine.kick();
            Ok(Reply::Last(done()))
        }
        Request::Leases => {
            engine.leases_changed();
            Ok(Reply::Last(done()))
        }
        // Answered from the snapshot, before it came here.
        Request::Status => Ok(Reply::Last(done())),
    };
    result.unwrap_or_else(|fault| Reply::Last(bytes(&Line::Error { error: Failure::from(fault) })))
}

/// Goes on with an answer that was begun.
pub fn more(engine: &mut Engine, number: u32) -> Reply {
    match engine.walks.iter().position(|(n, _)| *n == number) {
        Some(at) => {
            let (_, selection) = engine.walks.remove(at);
            walk(engine, selection)
        }
        // It was the oldest of too many: the shell sees an answer without an end.
        None => Reply::Last(Vec::new()),
    }
}

fn walk(engine: &mut Engine, mut selection: Selection) -> Reply {
    let mut out = Vec::with_capacity(PIECE + 4096);
    while out.len() < PIECE {
        let more = engine.core.tree.next(&mut selection, &mut |item| {
            let line = match item {
                Item::Value { path, value, .. } => {
                    Line::Value { path: path.to_owned(), value: value.to_owned() }
                }
                Item::Name { path, writable } => Line::Name { path: path.to_owned(), writable },
                Item::Attributes { .. } => return,
            };
            out.extend_from_slice(&bytes(&line));
        });
        if !more {
            out.extend_from_slice(&done());
            return Reply::Last(out);
        }
    }
    // A shell that went away leaves its walk behind: the oldest makes room.
    if engine.walks.len() >= CONNECTIONS + MAX_CALLS {
        engine.walks.remove(0);
    }
    engine.walk_number = engine.walk_number.wrapping_add(1);
    engine.walks.push((engine.walk_number, selection));
    Reply::More(out, engine.walk_number)
}

fn set(engine: &mut Engine, values: Vec<(String, String)>) -> Result<Reply, Fault> {
    if values.is_empty() {
        return Err(Fault::new(Code::INVALID_ARGUMENTS, "nothing to set"));
    }
    let list: Vec<ParameterValue> =
        values.into_iter().map(|(name, value)| ParameterValue { name, value, xsi_type: None }).collect();
    let status = engine.core.tree.set(&list, Writer::Local)?;
    engine.core.note_reboots(&list);
    engine.core.note_diagnostics(&list);
    let again = list.iter().any(|value| engine.core.trials.has(&value.name));
    Ok(changed(engine, status, Vec::new(), again))
}

fn add(engine: &mut Engine, path: &str) -> Result<Reply, Fault> {
    engine.core.room_in_plan(path)?;
    let (instance, status) = engine.core.tree.add(path, Writer::Local)?;
    // `Device.X.[alias].` names the new row; what stands before it is the table.
    let table = match Path::parse(path).ok().and_then(|p| p.segments.last().copied()) {
        Some(last @ Segment::Alias(_)) => path.len().checked_sub(last.to_string().len() + 1),
        _ => None,
    };
    let table = table.and_then(|end| path.get(..end)).unwrap_or(path);
    let line = Line::Instance { instance, path: format!("{table}{instance}.") };
    Ok(changed(engine, status, bytes(&line), false))
}

/// A change by somebody other than the ACS: promised parts are applied at once when no session runs,
/// and whoever watches is told. `again`: some of it was on trial already.
fn changed(engine: &mut Engine, status: Status, mut lines: Vec<u8>, again: bool) -> Reply {
    let mut later = status == Status::AtSessionEnd;
    if engine.session_began().is_none() {
        later = false;
        for note in engine.core.end_session(again) {
            log::warn!("{note}");
            engine.note(note);
        }
        engine.settings_changed();
        engine.ring();
    }
    lines.extend_from_slice(&bytes(&Line::Ok { ok: true, applied_later: later.into() }));
    Reply::Last(lines)
}

fn bytes(line: &Line) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory cannot fail, and no line holds a map with keys that are no strings.
    let _ = line.write(&mut out);
    out
}

fn done() -> Vec<u8> {
    bytes(&Line::ok())
}
