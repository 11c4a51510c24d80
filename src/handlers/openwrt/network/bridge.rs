//! Providers `net_bridge` and `net_bridge_vlan`: bridges that sections `device` say, and their VLANs, which are
//! sections `bridge-vlan`.
//!
//! The key of a bridge is the name of its device. That of a VLAN is its number; of one that the ACS made, whose
//! number comes later and may change, the name of its section.

use super::super::sources::Sources;
use super::vlan::{forget, free_name, section_name};
use super::{Planned, add_devices, denied, device, drop, edit, look, planned, read, set};
use crate::handlers::linux::bridge as kernel;
use crate::handlers::linux::network::part;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};

/// How sections that the ACS made are called.
const MADE: &str = "cwmpd_vlan_";
/// Sections of a bridge's VLANs.
pub const VLANS: &str = "bridge-vlan";

fn is_bridge(section: &Section<'_>) -> bool {
    section.get("type") == Some("bridge")
}

/// The section of a bridge.
pub fn bridge<'p>(package: &'p Package, name: &str) -> Option<Section<'p>> {
    device(package, name).filter(is_bridge)
}

/// The keys of `Device.Bridging.Bridge.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    look(sources, ctx, part::DEVICES, &mut |view| kernel::list(view, row, out))?;
    add_devices(read(sources, ctx), is_bridge, out);
    Ok(())
}

/// `Device.Bridging.Bridge.{i}.`
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
    let section = package.as_ref().and_then(|p| bridge(p, row.key()));
    look(sources, ctx, part::DEVICES, &mut |view| {
        kernel::fill(view, row, want, out);
        let Some(section) = &section else { return };
        let is_there = view.device(row.key()).is_some();
        for (at, w) in want.iter().enumerate() {
            match w.param.name() {
                "Enable" => out.put(at, section.flag("enabled").unwrap_or(true)),
                "Status" if !is_there => out.put(at, "Disabled"),
                "Name" if !is_there => out.put(at, row.key()),
                "Standard" if !is_there => {
                    let filters = section.flag("vlan_filtering").unwrap_or(false)
                        || package.as_ref().is_some_and(|p| vlans(p, row.key()).next().is_some());
                    out.put(at, if filters { "802.1Q-2011" } else { "802.1D-2004" });
                }
                _ => {}
            }
        }
    })
}

/// The key of a new bridge: the name of a device that is not there.
///
/// # Errors
/// The kernel cannot be asked.
pub fn key(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    free_name(sources, ctx, "br-cwmpd", number)
}

/// The edits of a change.
///
/// # Errors
/// 9001 for a bridge that no section says.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let name = row.key();
    if let Change::Add = change {
        let section = section_name(name);
        return Ok(planned(vec![
            Edit::Make { kind: "device".into(), name: section.clone() },
            set(&section, "type", "bridge"),
            set(&section, "name", name),
            set(&section, "bridge_empty", "1"),
            set(&section, "enabled", "0"),
        ]));
    }
    let package = edit(sources, ctx)?;
    let section = bridge(&package, name).ok_or_else(|| denied(0, "the bridge is not netifd's"))?;
    let Change::Set(sets) = change else {
        let mut edits = forget(&package, &section, name);
        edits.extend(vlans(&package, name).map(|vlan| drop(&vlan)));
        return Ok(planned(edits));
    };
    let key = section.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        match (one.param.name(), one.value) {
            ("Enable", "true") => edits.push(set(&key, "enabled", "")),
            ("Enable", _) => edits.push(set(&key, "enabled", "0")),
            ("Standard", "802.1D-2004") if vlans(&package, name).next().is_some() => {
                return Err(denied(at, "a bridge that has VLANs looks at their tags"));
            }
            ("Standard", "802.1D-2004") => edits.push(set(&key, "vlan_filtering", "")),
            ("Standard", _) => edits.push(set(&key, "vlan_filtering", "1")),
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    Ok(planned(edits))
}

/// The sections of a bridge's VLANs.
pub fn vlans<'p>(package: &'p Package, bridge: &str) -> impl Iterator<Item = Section<'p>> {
    package.of_kind(VLANS).filter(move |s| s.get("device") == Some(bridge))
}

/// The key of the VLAN that a section is: of one that the ACS made its name, else its number.
pub fn vlan_of<'a>(section: &Section<'a>) -> &'a str {
    match section.name() {
        Some(name) if name.starts_with(MADE) => name,
        _ => section.get("vlan").unwrap_or(""),
    }
}

/// The section of a VLAN.
pub fn vlan<'p>(package: &'p Package, bridge: &str, key: &str) -> Option<Section<'p>> {
    vlans(package, bridge).find(|section| vlan_of(section) == key)
}

/// The number of a VLAN; empty while it has none.
pub fn number<'a>(package: Option<&'a Package>, bridge: &str, key: &'a str) -> &'a str {
    match package.and_then(|p| vlan(p, bridge, key)) {
        Some(section) => section.get("vlan").unwrap_or(""),
        None if key.starts_with(MADE) => "",
        None => key,
    }
}

/// The key of the VLAN with a number.
pub fn key_of<'a>(package: Option<&'a Package>, bridge: &str, number: &'a str) -> &'a str {
    let made = package.and_then(|p| vlans(p, bridge).find(|s| s.get("vlan") == Some(number)));
    made.as_ref().map_or(number, vlan_of)
}

fn parent<'a>(row: &Row<'a>) -> &'a str {
    row.keys.first().copied().unwrap_or("")
}

/// The keys of `Device.Bridging.Bridge.{i}.VLAN.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list_vlans(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    out: &mut Keys,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let bridge = parent(row);
    let mut all = Keys::default();
    look(sources, ctx, part::DEVICES, &mut |view| kernel::list_vlans(view, row, &mut all))?;
    out.extend(all.iter().map(|id| key_of(package.as_deref(), bridge, id)));
    for section in package.iter().flat_map(|p| vlans(p, bridge)) {
        let key = vlan_of(&section);
        if !key.is_empty() && !out.contains(key) {
            out.push(key);
        }
    }
    Ok(())
}

/// `Device.Bridging.Bridge.{i}.VLAN.{i}.`
///
/// # Errors
/// None.
pub fn fill_vlan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let section = package.as_ref().and_then(|p| vlan(p, parent(row), row.key()));
    let number = number(package.as_deref(), parent(row), row.key());
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            // A VLAN without a number is none yet.
            "Enable" => out.put(at, !number.is_empty()),
            "VLANID" if !number.is_empty() => out.put(at, number),
            "Name" => {
                let name = section.as_ref().and_then(|s| s.get("name").or(s.name()));
                out.put(at, name.unwrap_or(""));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The key of a new VLAN: the name of its section.
///
/// # Errors
/// None.
pub fn vlan_key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let package = read(sources, ctx);
    let bridge = row.numbers.first().copied().unwrap_or(0);
    let mut name = format!("{MADE}{bridge}_{number}");
    while package.as_ref().is_some_and(|p| p.section(&name).is_some()) {
        name.push('b');
    }
    Ok(name)
}

/// The edits of a change.
///
/// # Errors
/// 9001 for a VLAN that no section says.
pub fn plan_vlan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let (bridge, name) = (parent(row), row.key());
    if let Change::Add = change {
        let made = Edit::Make { kind: VLANS.into(), name: name.to_owned() };
        return Ok(planned(vec![made, set(name, "device", bridge)]));
    }
    let package = edit(sources, ctx)?;
    let section = vlan(&package, bridge, name);
    let section = section.ok_or_else(|| denied(0, "the VLAN is of the kernel's own making"))?;
    let Change::Set(sets) = change else { return Ok(planned(vec![drop(&section)])) };
    let key = section.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        match one.param.name() {
            "VLANID" if vlan_of(&section) != key && Some(one.value) != section.get("vlan") => {
                return Err(denied(at, "the number is the VLAN: another VLAN is another row"));
            }
            "VLANID" => edits.push(set(&key, "vlan", one.value)),
            "Name" => edits.push(set(&key, "name", one.value)),
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    Ok(planned(edits))
}
