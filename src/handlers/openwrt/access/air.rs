//! What netifd, iwinfo and hostapd say of what the sections of `wireless` became.

use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::Ctx;
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::{Package, Section};
use std::rc::Rc;

/// What became of a `wifi-iface`.
pub struct Running {
    /// Its device; empty while there is none.
    pub ifname: String,
    /// Whether netifd gave up on its radio.
    pub failed: bool,
}

/// The package `wireless`.
pub fn wireless(sources: &mut Sources, ctx: &Ctx<'_>) -> Option<Rc<Package>> {
    sources.readable(ctx, "wireless")
}

/// What became of a section. netifd calls a section without a name as libuci does.
pub fn running(sources: &mut Sources, ctx: &Ctx<'_>, section: &Section<'_>) -> Running {
    let mut out = Running { ifname: String::new(), failed: false };
    let Some(status) = sources.answer(ctx, "network.wireless", "status", &[]) else {
        return out;
    };
    for (radio, state) in status.root().fields() {
        let mut interfaces = state.get("interfaces").into_iter().flat_map(Value::fields);
        let here = interfaces.find(|(_, i)| i.get("section").and_then(Value::text) == Some(section.id()));
        if let Some((_, interface)) = here {
            out.ifname = interface.get("ifname").and_then(Value::text).unwrap_or("").to_owned();
        }
        if section.get("device") == Some(radio) {
            out.failed = state.get("retry_setup_failed").and_then(Value::flag) == Some(true);
        }
    }
    out
}

/// The device of the section of this key.
pub fn ifname(sources: &mut Sources, ctx: &Ctx<'_>, key: &str) -> Option<String> {
    let package = wireless(sources, ctx)?;
    let name = running(sources, ctx, &package.section(key)?).ifname;
    (!name.is_empty()).then_some(name)
}

/// What iwinfo says of a device or a radio.
pub fn iwinfo(sources: &mut Sources, ctx: &Ctx<'_>, method: &str, device: &str) -> Option<Rc<Answer>> {
    sources.answer(ctx, "iwinfo", method, &[("device", device)])
}

/// What hostapd says of an access point by its device.
pub fn hostapd(sources: &mut Sources, ctx: &Ctx<'_>, method: &str, ifname: &str) -> Option<Rc<Answer>> {
    sources.answer(ctx, &["hostapd.", ifname].concat(), method, &[])
}

/// The entries of `results`.
pub fn results(answer: &Option<Rc<Answer>>) -> impl Iterator<Item = Value<'_>> {
    let results = answer.as_ref().and_then(|a| a.root().get("results"));
    results.into_iter().flat_map(Value::fields).map(|(_, entry)| entry)
}

/// A number below a table, by its names.
pub fn number(value: Value<'_>, path: &[&str]) -> Option<i64> {
    path.iter().try_fold(value, |v, name| v.get(name))?.number()
}
