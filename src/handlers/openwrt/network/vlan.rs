//! Provider `net_vlan`: VLANs on devices. The kernel has those that are up; a section `device` of type 8021q or
//! 8021ad says others, and all that can be changed. The key is the name of the device.

use super::super::sources::Sources;
use super::interface::lower_device;
use super::{Planned, add_devices, denied, device, drop, edit, look, planned, read, set, wrong};
use crate::handlers::linux::layers;
use crate::handlers::linux::link;
use crate::handlers::linux::network::part;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Set, Want};
use crate::sys::uci::{Edit, Package, Section};

/// The types of a device that is a VLAN, with their EtherTypes.
const TYPES: [(&str, u16); 2] = [("8021q", 0x8100), ("8021ad", 0x88a8)];

fn is_vlan(section: &Section<'_>) -> bool {
    section.get("type").is_some_and(|t| TYPES.iter().any(|(name, _)| *name == t))
}

fn vlan<'p>(package: &'p Package, name: &str) -> Option<Section<'p>> {
    device(package, name).filter(is_vlan)
}

/// The keys of `Device.Ethernet.VLANTermination.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    look(sources, ctx, part::DEVICES, &mut |view| link::list_vlans(view, row, out))?;
    add_devices(read(sources, ctx), is_vlan, out);
    Ok(())
}

/// `Device.Ethernet.VLANTermination.{i}.`
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
    let section = package.as_ref().and_then(|p| vlan(p, row.key()));
    look(sources, ctx, part::DEVICES, &mut |view| {
        let is_there = view.device_of(row).is_some();
        if is_there {
            link::fill_vlan(view, row, want, out);
        }
        if let Some(at) = want.iter().position(|w| w.param.name() == "VLANPriority") {
            out.put(at, section.as_ref().and_then(priority).map_or(-1, i32::from));
        }
        let Some(section) = &section else { return };
        for (at, w) in want.iter().enumerate() {
            match w.param.name() {
                "Enable" => out.put(at, section.flag("enabled").unwrap_or(true)),
                "Status" if !is_there => out.put(at, "NotPresent"),
                "Name" if !is_there => out.put(at, row.key()),
                "VLANID" if !is_there => {
                    if let Some(id) = section.get("vid") {
                        out.put(at, id);
                    }
                }
                "TPID" if !is_there => {
                    let kind = TYPES.iter().find(|(name, _)| section.get("type") == Some(name));
                    out.put(at, kind.map_or(TYPES[0].1, |(_, id)| *id));
                }
                "LowerLayers" if !is_there => {
                    let lower = section.get("ifname").and_then(|name| view.device(name));
                    if let Some(place) = lower.and_then(|device| layers::top(view, device)) {
                        place.refer(out, at);
                    }
                }
                _ => {}
            }
        }
    })
}

/// The priority of packets that have none: what 0 is mapped to.
fn priority(section: &Section<'_>) -> Option<u8> {
    let all = section.words("egress_qos_mapping");
    let of_none = all.iter().find_map(|word| word.strip_prefix("0:"))?;
    of_none.parse().ok().filter(|p| *p <= 7)
}

/// The key of a new VLAN: the name of a device that is not there.
///
/// # Errors
/// The kernel cannot be asked.
pub fn key(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    free_name(sources, ctx, "vlan", number)
}

/// A name that no device has, and no section says.
///
/// # Errors
/// The kernel cannot be asked.
pub fn free_name(sources: &mut Sources, ctx: &Ctx<'_>, start: &str, number: u32) -> Result<String, Failure> {
    let package = read(sources, ctx);
    let mut name = format!("{start}{number}");
    look(sources, ctx, part::DEVICES, &mut |view| {
        let is_taken = |name: &str| {
            view.device(name).is_some() || package.as_ref().is_some_and(|p| device(p, name).is_some())
        };
        while is_taken(&name) {
            name.push('b');
        }
    })?;
    Ok(name)
}

/// The name of the section of a device that the ACS made.
pub fn section_name(device: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    "cwmpd_".chars().chain(device.chars().map(plain)).collect()
}

/// The edits of a change.
///
/// # Errors
/// 9001 for a VLAN that no section says, 9007 for what it cannot stand on.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let name = row.key();
    if let Change::Add = change {
        let section = section_name(name);
        return Ok(planned(vec![
            Edit::Make { kind: "device".into(), name: section.clone() },
            set(&section, "type", TYPES[0].0),
            set(&section, "name", name),
            set(&section, "enabled", "0"),
        ]));
    }
    let package = edit(sources, ctx)?;
    let section = vlan(&package, name);
    let section = section.ok_or_else(|| denied(0, "the VLAN is made by the name of its device alone"))?;
    let Change::Set(sets) = change else { return Ok(planned(forget(&package, &section, name))) };
    let key = section.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        match one.param.name() {
            "Enable" => edits.push(set(&key, "enabled", if one.value == "true" { "" } else { "0" })),
            "LowerLayers" => {
                let lower = lower_device(sources, ctx, at, one)?;
                if lower == name {
                    return Err(wrong(at, "a VLAN cannot stand on itself"));
                }
                edits.push(set(&key, "ifname", lower));
            }
            "VLANID" => edits.push(set(&key, "vid", one.value)),
            "TPID" => {
                let id = one.value.parse::<u16>().ok();
                let kind = TYPES.iter().find(|(_, ethertype)| Some(*ethertype) == id);
                edits.push(set(&key, "type", kind.ok_or_else(|| wrong(at, "neither 33024 nor 34984"))?.0));
            }
            "VLANPriority" => edits.push(mapping(&section, one)),
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    Ok(planned(edits))
}

/// Maps priority 0 as it is to be, and leaves the others.
fn mapping(section: &Section<'_>, one: &Set<'_>) -> Edit {
    const OPTION: &str = "egress_qos_mapping";
    let others = section.words(OPTION).into_iter().filter(|word| !word.starts_with("0:"));
    let mut items: Vec<String> = others.map(str::to_owned).collect();
    if one.value != "-1" {
        items.insert(0, format!("0:{}", one.value));
    }
    Edit::List { section: section.key().into_owned(), option: OPTION.to_owned(), items }
}

/// The edits that take a device away, out of bridges and from under interfaces, too.
pub fn forget(package: &Package, section: &Section<'_>, name: &str) -> Vec<Edit> {
    let mut edits = vec![drop(section)];
    for bridge in package.of_kind("device").filter(|s| s.words("ports").contains(&name)) {
        edits.push(super::remove_item(&bridge.key(), "ports", name));
    }
    for interface in package.of_kind("interface").filter(|s| s.get("device") == Some(name)) {
        edits.push(set(&interface.key(), "device", ""));
    }
    edits
}
