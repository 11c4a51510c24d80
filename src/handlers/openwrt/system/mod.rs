//! The system's subjects: clock, web interface, SSH, LEDs, software, and what else is neither network nor
//! service of the network.

pub mod general;
pub mod led;
pub mod modules;
pub mod packages;
pub mod procd;
pub mod radsec;
pub mod roles;
pub mod schedule;
pub mod ssh;
pub mod ssh_keys;
#[cfg(test)]
mod tests;
pub mod time;
pub mod web;

use super::provider::Spec;
use super::sources::{Shared, Sources};
use crate::model::fault::Code;
use crate::model::handler::{Ctx, Failure, Fields, Handler};
use crate::sys::ubus::Value;
use crate::sys::uci::{Package, Section};
use std::rc::Rc;

/// The providers of this subject that plan edits of packages.
pub const SPECS: &[Spec] =
    &[general::SPEC, led::SPEC, radsec::SPEC, roles::SPEC, schedule::SPEC, ssh::SPEC, time::SPEC, web::SPEC];

/// The providers of this subject that have a form of their own.
pub fn providers(sources: &Shared) -> Vec<(&'static str, Box<dyn Handler>)> {
    vec![
        ("ow_modules", modules::provider(Rc::clone(sources))),
        ("ow_ssh_keys", Box::new(ssh_keys::Keyring::default())),
    ]
}

const INTERFACE: &str = "Device.IP.Interface.{i}.";
const CERTIFICATE: &str = "Device.Security.Certificate.{i}.";

/// 9007 for the value at this index.
fn bad(at: usize, text: &str) -> (usize, Failure) {
    (at, Failure { code: Code::INVALID_VALUE, text: text.to_owned() })
}

/// Puts what there is.
fn put(out: &mut Fields, at: usize, value: Option<impl std::fmt::Display>) {
    value.into_iter().for_each(|value| out.put(at, value));
}

/// The sections of a type, with their places among those of the type.
fn first<'a>(package: &'a Package, kind: &str) -> Option<Section<'a>> {
    package.of_kind(kind).next()
}

/// The key of the interface that fits, as netifd tells.
fn interface(sources: &mut Sources, ctx: &Ctx<'_>, fits: impl Fn(Value<'_>) -> bool) -> Option<String> {
    let answer = sources.answer(ctx, "network.interface", "dump", &[])?;
    let all = answer.root().get("interface")?;
    let (_, found) = all.fields().find(|(_, one)| fits(*one))?;
    Some(found.get("interface")?.text()?.to_owned())
}

/// The key of the interface that has an address.
fn interface_at(sources: &mut Sources, ctx: &Ctx<'_>, address: &str) -> Option<String> {
    interface(sources, ctx, |one| {
        ["ipv4-address", "ipv6-address"]
            .iter()
            .filter_map(|list| one.get(list))
            .any(|list| list.fields().any(|(_, a)| a.get("address").and_then(Value::text) == Some(address)))
    })
}

/// The key of the interface on a device.
fn interface_on(sources: &mut Sources, ctx: &Ctx<'_>, device: &str) -> Option<String> {
    interface(sources, ctx, |one| one.get("l3_device").and_then(Value::text) == Some(device))
}

/// `ADDRESS:PORT`, `[ADDRESS]:PORT`, `PORT` or `ADDRESS`: the address without its brackets, empty where there is
/// none, and the port.
fn endpoint(text: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => (address, port.parse().ok()),
        Some(_) => (text, None),
        None => text.parse().map_or((text, None), |port| ("", Some(port))),
    }
}

/// The same endpoint with another port.
fn with_port(text: &str, port: &str) -> String {
    match endpoint(text) {
        ("", _) => port.to_owned(),
        (address, _) if address.contains(':') => format!("[{address}]:{port}"),
        (address, _) => format!("{address}:{port}"),
    }
}
