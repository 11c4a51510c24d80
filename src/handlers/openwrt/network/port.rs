//! Providers `net_bridge_port` and `net_bridge_vlan_port`: the ports of bridges, and which VLANs they are in.
//!
//! Ports are items of a bridge's list `ports`, memberships are items `PORT:tu*` of a VLAN's. The key of a port
//! is its device, that of a membership `VLAN/DEVICE`. Of rows that the ACS made, and of those that it took out of
//! force, the bridge keeps a note.

use super::super::sources::Sources;
use super::bridge::{bridge, key_of, number, vlan, vlans};
use super::interface::lower_device;
use super::{Planned, add_item, denied, edit, look, note, planned, read, remove_item, wrong};
use crate::handlers::linux::bridge as kernel;
use crate::handlers::linux::layers;
use crate::handlers::linux::network::{Device, View, part};
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};
use std::rc::Rc;

const PORTS: &str = "ports";

fn parent<'a>(row: &Row<'a>) -> &'a str {
    row.keys.first().copied().unwrap_or("")
}

/// The keys of `Device.Bridging.Bridge.{i}.Port.{i}.`: the bridge itself first.
///
/// # Errors
/// The kernel cannot be asked.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let section = package.as_ref().and_then(|p| bridge(p, parent(row)));
    look(sources, ctx, part::DEVICES, &mut |view| {
        kernel::list_ports(view, row, out);
        if out.is_empty() && section.is_some() {
            out.push(parent(row));
        }
        let Some(section) = &section else { return };
        let noted = note::all(section, note::PORT);
        let ports = section.words(PORTS).into_iter();
        let other = ports.filter(|port| !noted.iter().any(|(_, fields)| fields.first() == Some(port)));
        for key in other.chain(noted.iter().map(|(key, _)| *key)) {
            if !out.contains(key) {
                out.push(key);
            }
        }
    })
}

/// `Device.Bridging.Bridge.{i}.Port.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let section = package.as_ref().and_then(|p| bridge(p, parent(row)));
    look(sources, ctx, part::DEVICES, &mut |view| {
        // A device of this name may be somewhere else as yet.
        let is_in =
            |d: &&Device| d.name == parent(row) || view.at(d.master).is_some_and(|m| m.name == parent(row));
        let is_there = view.device_of(row).filter(is_in).is_some();
        if is_there {
            kernel::fill_port(view, row, want, out);
        }
        let device = view.port_device(parent(row), row.key());
        let is_port =
            device == parent(row) || section.as_ref().is_none_or(|s| s.words(PORTS).contains(&device));
        for (at, w) in want.iter().enumerate() {
            match w.param.name() {
                "Enable" if section.is_some() => {
                    out.put(at, enabled(section.as_ref(), row.key()).unwrap_or(is_port || is_there))
                }
                "AcceptableFrameTypes" => out.put(at, frames(view, row)),
                "IngressFiltering" => out.put(at, view.device(parent(row)).is_some_and(|b| b.filtering)),
                "Status" if !is_there => out.put(at, if device.is_empty() { "Down" } else { "NotPresent" }),
                "Name" if !is_there => out.put(at, device),
                "ManagementPort" if !is_there => out.put(at, device == parent(row)),
                "TPID" if !is_there => out.put(at, 0x8100),
                "PortState" if !is_there => out.put(at, "Disabled"),
                "LowerLayers" if !is_there && !device.is_empty() => {
                    if let Some(place) = view.device(device).and_then(|d| layers::base(view, d)) {
                        place.refer(out, at);
                    }
                }
                _ => {}
            }
        }
    })
}

/// What a note says of a port's being one.
fn enabled(section: Option<&Section<'_>>, key: &str) -> Option<bool> {
    note::find(section?, note::PORT, key).map(|fields| fields.get(1) == Some(&"1"))
}

/// What of packets a port takes: it has VLANs with and without tags, or only one of both.
fn frames(view: &View, row: &Row<'_>) -> &'static str {
    let filters = view.device(parent(row)).is_some_and(|bridge| bridge.filtering);
    match view.device_of(row).filter(|_| filters) {
        Some(device) if device.vlans.iter().all(|v| !v.untagged && !v.pvid) => "AdmitOnlyVLANTagged",
        Some(device) if device.vlans.iter().all(|v| v.untagged) => "AdmitOnlyPrioUntagged",
        _ => "AdmitAll",
    }
}

/// The key of a new port.
///
/// # Errors
/// None.
pub fn key(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    Ok(format!("port_{number}"))
}

/// The section of a row's bridge, to be changed.
fn section_of<'p>(package: &'p Rc<Package>, row: &Row<'_>) -> Result<Section<'p>, (usize, Failure)> {
    bridge(package, parent(row)).ok_or_else(|| denied(0, "the bridge is not netifd's"))
}

/// The section of the bridge of a row that is made, which may be made with it.
fn made_in(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Result<String, (usize, Failure)> {
    let package = edit(sources, ctx)?;
    Ok(match bridge(&package, parent(row)) {
        Some(section) => section.key().into_owned(),
        None => super::vlan::section_name(parent(row)),
    })
}

/// The edits of a change of a port.
///
/// # Errors
/// 9001 for the bridge's own port and for a bridge that no section says; 9007 for what is no device.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let key = row.key();
    if let Change::Add = change {
        return Ok(planned(vec![add_item(&made_in(sources, ctx, row)?, note::PORT, [key, ",,0"].concat())]));
    }
    let package = edit(sources, ctx)?;
    let section = section_of(&package, row)?;
    let noted = note::find(&section, note::PORT, key);
    let old = noted.as_ref().map_or(key, |fields| fields.first().copied().unwrap_or(""));
    let is_port = section.words(PORTS).contains(&old);
    let Change::Set(sets) = change else {
        if key == parent(row) {
            return Err(denied(0, "a bridge has its own port"));
        }
        if noted.is_none() && !is_port {
            return Err(denied(0, "the device is put into the bridge by another program"));
        }
        return Ok(planned(leave(&package, row, &section, key, old)));
    };
    let mut on = noted.as_ref().map_or(is_port, |fields| fields.get(1) == Some(&"1"));
    let mut device = old.to_owned();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        match one.param.name() {
            _ if key == parent(row) => return Err(denied(at, "the bridge's own port goes with the bridge")),
            "Enable" => on = one.value == "true",
            "LowerLayers" => device = lower_device(sources, ctx, at, one)?,
            "PVID" => edits.extend(
                own_vlan(&package, row, old, one.value)
                    .ok_or_else(|| wrong(at, "the port is in no such VLAN"))?,
            ),
            "ManagementPort" => return Err(denied(at, "the bridge's own device is its management port")),
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    if device == parent(row) {
        return Err(wrong(0, "a bridge is no port of itself"));
    }
    let name = section.key();
    let in_force = on && !device.is_empty();
    if is_port && (!in_force || device != old) {
        edits.push(remove_item(&name, PORTS, old));
    }
    if in_force && (!is_port || device != old) {
        edits.push(add_item(&name, PORTS, device.clone()));
    }
    let keep = !(in_force && device == key);
    let fields = [device.as_str(), if on { "1" } else { "0" }];
    edits.extend(note::put(&section, note::PORT, key, keep.then_some(&fields[..])));
    Ok(planned(edits))
}

/// The edits that take a port out of its bridge and out of all VLANs there.
fn leave(package: &Package, row: &Row<'_>, section: &Section<'_>, key: &str, device: &str) -> Vec<Edit> {
    let mut edits = note::put(section, note::PORT, key, None);
    if !device.is_empty() {
        edits.push(remove_item(&section.key(), PORTS, device));
        for (vlan, item) in memberships(package, parent(row), device) {
            edits.push(remove_item(&vlan.key(), PORTS, item.text));
        }
    }
    for (noted, fields) in note::all(section, note::MEMBER) {
        if fields.get(1) == Some(&key) {
            edits.extend(note::put(section, note::MEMBER, noted, None));
        }
    }
    edits
}

/// An item of a VLAN's ports.
struct Item<'a> {
    text: &'a str,
    port: &'a str,
    tagged: bool,
    pvid: bool,
}

impl<'a> Item<'a> {
    fn read(text: &'a str) -> Item<'a> {
        let (port, flags) = text.split_once(':').unwrap_or((text, ""));
        Item { text, port, tagged: flags.contains('t'), pvid: flags.contains('*') }
    }

    fn text(port: &str, tagged: bool, pvid: bool) -> String {
        format!("{port}:{}{}", if tagged { 't' } else { 'u' }, if pvid { "*" } else { "" })
    }
}

/// The VLANs of a bridge that a device is in.
fn memberships<'p>(package: &'p Package, bridge: &str, device: &str) -> Vec<(Section<'p>, Item<'p>)> {
    let all = vlans(package, bridge)
        .flat_map(|vlan| vlan.words(PORTS).into_iter().map(move |w| (vlan, Item::read(w))));
    all.filter(|(_, item)| item.port == device).collect()
}

/// The edits that make a VLAN the one of what comes in without a tag.
fn own_vlan(package: &Package, row: &Row<'_>, device: &str, id: &str) -> Option<Vec<Edit>> {
    let all = memberships(package, parent(row), device);
    all.iter().find(|(vlan, _)| vlan.get("vlan") == Some(id))?;
    let mut edits = Vec::new();
    for (vlan, item) in all {
        let pvid = vlan.get("vlan") == Some(id);
        if pvid != item.pvid {
            edits.push(remove_item(&vlan.key(), PORTS, item.text));
            edits.push(add_item(&vlan.key(), PORTS, Item::text(device, item.tagged, pvid)));
        }
    }
    Some(edits)
}

/// A membership as it is, or is to be.
struct Member {
    /// The key of the VLAN, and that of the port; empty while it is not said.
    vlan: String,
    port: String,
    tagged: bool,
    /// What comes without a tag is for this VLAN.
    pvid: bool,
    on: bool,
}

impl Member {
    fn noted(fields: &[&str]) -> Member {
        let field = |n: usize| fields.get(n).copied().unwrap_or("");
        let (vlan, port) = (field(0).to_owned(), field(1).to_owned());
        Member {
            vlan,
            port,
            tagged: !field(2).contains('u'),
            pvid: field(2).contains('*'),
            on: field(3) == "1",
        }
    }

    fn fields(&self) -> [&str; 4] {
        let tag = match (self.tagged, self.pvid) {
            (true, false) => "t",
            (true, true) => "t*",
            (false, false) => "u",
            (false, true) => "u*",
        };
        [&self.vlan, &self.port, tag, if self.on { "1" } else { "0" }]
    }
}

/// Whether a membership with these keys is noted, and so goes by the note's key.
fn is_noted(section: Option<&Section<'_>>, vlan: &str, port: &str) -> bool {
    let notes = section.map_or(Vec::new(), |section| note::all(section, note::MEMBER));
    notes.iter().any(|(_, fields)| fields.first() == Some(&vlan) && fields.get(1) == Some(&port))
}

/// The keys of `Device.Bridging.Bridge.{i}.VLANPort.{i}.`: `20/lan4`.
///
/// # Errors
/// The kernel cannot be asked.
pub fn list_members(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    out: &mut Keys,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let bridge_name = parent(row);
    let section = package.as_ref().and_then(|p| bridge(p, bridge_name));
    look(sources, ctx, part::DEVICES, &mut |view| {
        let mut kernel_keys = Keys::default();
        kernel::list_vlan_ports(view, row, &mut kernel_keys);
        let said = package.iter().flat_map(|p| vlans(p, bridge_name)).flat_map(|vlan| {
            let id = vlan.get("vlan").unwrap_or("");
            vlan.words(PORTS).into_iter().map(move |word| format!("{id}/{}", Item::read(word).port))
        });
        for key in kernel_keys.iter().map(str::to_owned).chain(said) {
            let Some((id, device)) = key.split_once('/') else { continue };
            let port = view.device(device).map_or(device, |d| view.port_key(d));
            let vlan = key_of(package.as_deref(), bridge_name, id);
            if !is_noted(section.as_ref(), vlan, port) && !out.contains(&key) {
                out.push(&key);
            }
        }
        if let Some(section) = &section {
            out.extend(note::all(section, note::MEMBER).into_iter().map(|(key, _)| key));
        }
    })
}

/// `Device.Bridging.Bridge.{i}.VLANPort.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill_member(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let name = parent(row);
    let section = package.as_ref().and_then(|p| bridge(p, name));
    look(sources, ctx, part::DEVICES, &mut |view| {
        let noted = section.as_ref().and_then(|s| note::find(s, note::MEMBER, row.key()));
        let member = match noted {
            Some(fields) => Member::noted(&fields),
            None => {
                let Some((id, device)) = row.key().split_once('/') else { return };
                let said = package.as_ref().and_then(|p| said(p, name, id, device));
                let of_kernel =
                    view.device(device).and_then(|d| d.vlans.iter().find(|v| id.parse() == Ok(v.id)));
                let Some(tagged) = said.or(of_kernel.map(|v| !v.untagged)) else { return };
                let port = view.device(device).map_or(device, |d| view.port_key(d));
                let vlan = key_of(package.as_deref(), name, id);
                Member { vlan: vlan.to_owned(), port: port.to_owned(), tagged, pvid: false, on: true }
            }
        };
        for (at, w) in want.iter().enumerate() {
            match w.param.name() {
                "Enable" => out.put(at, member.on),
                "Untagged" => out.put(at, !member.tagged),
                "VLAN" if !member.vlan.is_empty() => {
                    out.refer(at, "Device.Bridging.Bridge.{i}.VLAN.{i}.", &[name, &member.vlan]);
                }
                "Port" if !member.port.is_empty() => {
                    out.refer(at, "Device.Bridging.Bridge.{i}.Port.{i}.", &[name, &member.port]);
                }
                _ => {}
            }
        }
    })
}

/// Whether a section says that a device is in a VLAN, and with a tag.
fn said(package: &Package, bridge: &str, id: &str, device: &str) -> Option<bool> {
    let all = memberships(package, bridge, device);
    all.iter().find(|(vlan, _)| vlan.get("vlan") == Some(id)).map(|(_, item)| item.tagged)
}

/// The key of a new membership.
///
/// # Errors
/// None.
pub fn member_key(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    Ok(format!("member_{number}"))
}

/// The edits of a change of a membership.
///
/// # Errors
/// 9001 for one that no section says; 9007 for a VLAN or port of another bridge.
pub fn plan_member(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let key = row.key();
    if let Change::Add = change {
        let item = [key, ",,,t,0"].concat();
        return Ok(planned(vec![add_item(&made_in(sources, ctx, row)?, note::MEMBER, item)]));
    }
    let package = edit(sources, ctx)?;
    let section = section_of(&package, row)?;
    let mut result = Err(denied(0, "the port is put into the VLAN by another program"));
    look(sources, ctx, part::DEVICES, &mut |view| {
        let noted = note::find(&section, note::MEMBER, key).map(|fields| Member::noted(&fields));
        let natural = || {
            let (id, device) = key.split_once('/')?;
            let tagged = said(&package, parent(row), id, device)?;
            let port = view.device(device).map_or(device, |d| view.port_key(d)).to_owned();
            let vlan = key_of(Some(&package), parent(row), id).to_owned();
            Some(Member { vlan, port, tagged, pvid: false, on: true })
        };
        if let Some(old) = noted.or_else(natural) {
            result = change_member(&package, &section, view, row, old, change);
        }
    })
    .map_err(|failure| (0, failure))?;
    result
}

fn change_member(
    package: &Package,
    section: &Section<'_>,
    view: &View,
    row: &Row<'_>,
    old: Member,
    change: &Change<'_>,
) -> Planned {
    let (name, key) = (parent(row), row.key());
    let place = |member: &Member| {
        let vlan = vlan(package, name, &member.vlan)?;
        let device = view.port_device(name, &member.port).to_owned();
        (!device.is_empty()).then_some((vlan, device))
    };
    let mut new = Member { vlan: old.vlan.clone(), port: old.port.clone(), ..old };
    if let Change::Set(sets) = change {
        for (at, one) in sets.iter().enumerate() {
            let own = || match one.refers {
                _ if one.value.is_empty() => Ok(String::new()),
                Some([bridge, key]) if bridge == name => Ok(key.clone()),
                _ => Err(wrong(at, "no row of this bridge")),
            };
            match one.param.name() {
                "Enable" => new.on = one.value == "true",
                "Untagged" => new.tagged = one.value != "true",
                "VLAN" => new.vlan = own()?,
                "Port" => new.port = own()?,
                _ => return Err(denied(at, "read only on this platform")),
            }
        }
    } else {
        new.on = false;
    }
    let mut edits = Vec::new();
    // What comes without a tag goes on to its VLAN: that is the port's PVID to say.
    let before = place(&old).filter(|_| old.on);
    let item = before.as_ref().and_then(|(vlan, device)| {
        vlan.words(PORTS).into_iter().map(Item::read).find(|item| item.port == device)
    });
    new.pvid = item.as_ref().map_or(new.pvid, |item| item.pvid);
    let after = place(&new)
        .filter(|_| new.on)
        .map(|(vlan, device)| (vlan, Item::text(&device, new.tagged, new.pvid)));
    let same = matches!((&before, &item, &after), (Some((a, _)), Some(i), Some((b, text))) if a.key() == b.key() && i.text == text);
    if !same {
        if let (Some((vlan, _)), Some(item)) = (&before, &item) {
            edits.push(remove_item(&vlan.key(), PORTS, item.text));
        }
        if let Some((vlan, text)) = &after {
            edits.push(add_item(&vlan.key(), PORTS, text.clone()));
        }
    }
    let id = number(Some(package), name, &new.vlan);
    let natural = after.is_some() && key == format!("{id}/{}", view.port_device(name, &new.port));
    let keep = matches!(change, Change::Set(_)) && !natural;
    edits.extend(note::put(section, note::MEMBER, key, keep.then_some(&new.fields()[..])));
    Ok(planned(edits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_vlan() {
        for (text, port, tagged, pvid) in [
            ("lan1", "lan1", false, false),
            ("lan1:t", "lan1", true, false),
            ("lan1:u*", "lan1", false, true),
            ("eth0.2:t*", "eth0.2", true, true),
            ("", "", false, false),
        ] {
            let item = Item::read(text);
            assert_eq!((item.port, item.tagged, item.pvid), (port, tagged, pvid), "{text}");
        }
        assert_eq!(Item::text("lan1", true, false), "lan1:t");
        assert_eq!(Item::text("lan1", false, true), "lan1:u*");
    }

    #[test]
    fn a_note_says_all_of_a_membership() {
        for fields in [["v", "p", "t", "0"], ["v", "", "u*", "1"], ["", "", "t*", "0"], ["v", "p", "u", "1"]]
        {
            assert_eq!(Member::noted(&fields).fields(), fields);
        }
        assert_eq!(Member::noted(&[]).fields(), ["", "", "t", "0"]);
    }
}
