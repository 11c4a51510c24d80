//! `Device.Bridging.`: bridges with their ports, spanning tree and VLANs.
//!
//! A bridge's own device is its management port, whose lower layers are all the others (TR-181 2.4).
//! VLANs exist only in a bridge that looks at tags.

use super::knobs::{Form, Knob};
use super::layers::{Layer, ports};
use super::link::{UP, common, device};
use super::network::{Device, View};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::kernel_file;
use crate::sys::sorted::SortedSet;

/// `Device.Bridging.Bridge.{i}.`
pub const KNOBS: &[Knob] =
    &[UP, Knob::new("AgingTime", "sys/class/net/{}/bridge/ageing_time", Form::Finer(100))];
/// `Device.Bridging.Bridge.{i}.STP.`
pub const STP_KNOBS: &[Knob] = &[
    Knob::new("Enable", "sys/class/net/{}/bridge/stp_state", Form::Switch),
    Knob { step: 4096, ..Knob::new("BridgePriority", "sys/class/net/{}/bridge/priority", Form::Number) },
    // Hundredths of a second on both sides.
    Knob::new("HelloTime", "sys/class/net/{}/bridge/hello_time", Form::Number),
    Knob::new("MaxAge", "sys/class/net/{}/bridge/max_age", Form::Number),
    Knob::new("ForwardingDelay", "sys/class/net/{}/bridge/forward_delay", Form::Finer(100)),
];
/// `Device.Bridging.Bridge.{i}.Port.{i}.`; the kernel counts port priorities from 0 to 63.
pub const PORT_KNOBS: &[Knob] = &[
    Knob { step: 16, ..Knob::new("Priority", "sys/class/net/{}/brport/priority", Form::Coarser(4)) },
    Knob {
        range: Some((1, 65_535)),
        ..Knob::new("PathCost", "sys/class/net/{}/brport/path_cost", Form::Number)
    },
];

/// The keys of `Device.Bridging.Bridge.{i}.`
pub fn list(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.devices.iter().filter(|d| d.kind == "bridge").map(|d| d.name.clone()));
}

fn bridge<'v>(view: &'v View, row: &Row<'_>) -> Option<&'v Device> {
    view.device(row.keys.first()?).filter(|d| d.kind == "bridge")
}

/// `Device.Bridging.Bridge.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(bridge) = bridge(view, row) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, bridge.is_up()),
            "Status" => out.put(at, if bridge.is_up() { "Enabled" } else { "Disabled" }),
            "Name" => out.put(at, &bridge.name),
            "Standard" => out.put(at, if bridge.filtering { "802.1Q-2011" } else { "802.1D-2004" }),
            _ => {}
        }
    }
}

/// `Device.Bridging.Bridge.{i}.STP.`; what can be set is read from its files.
pub fn fill_stp(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(bridge) = bridge(view, row) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Status" => {
                let state: u32 = kernel_file::number(
                    &view.file("sys/class/net").join(&bridge.name).join("bridge/stp_state"),
                )
                .unwrap_or(0);
                out.put(at, if state == 0 { "Disabled" } else { "Enabled" });
            }
            // What runs in the kernel; a program may run another protocol in its place (state 2).
            "Protocol" => out.put(at, "STP"),
            _ => {}
        }
    }
}

/// The keys of `Device.Bridging.Bridge.{i}.Port.{i}.`: the bridge itself first.
pub fn list_ports(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some(bridge) = bridge(view, row) else {
        return;
    };
    out.push(view.port_key(bridge));
    out.extend(ports(view, bridge).map(|d| view.port_key(d)));
}

/// `Device.Bridging.Bridge.{i}.Port.{i}.`
pub fn fill_port(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let (Some(bridge), Some(port)) = (bridge(view, row), device(view, row, Layer::Port)) else {
        return;
    };
    let is_management = bridge.index == port.index;
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "ManagementPort" => out.put(at, is_management),
            "PortState" => out.put(at, port_state(view, port, is_management)),
            // The standard's default stands where no VLAN is the port's own.
            "PVID" => out.put(at, port.vlans.iter().find(|v| v.pvid).map_or(1, |v| v.id)),
            "TPID" => out.put(at, 0x8100),
            name => common(view, (Layer::Port, row.key()), port, name, at, out),
        }
    }
}

fn port_state(view: &View, port: &Device, is_management: bool) -> &'static str {
    if is_management {
        return if port.is_up() { "Forwarding" } else { "Disabled" };
    }
    match kernel_file::number::<u8>(&view.file("sys/class/net").join(&port.name).join("brport/state")) {
        Some(1) => "Listening",
        Some(2) => "Learning",
        Some(3) => "Forwarding",
        Some(4) => "Blocking",
        _ => "Disabled",
    }
}

/// The keys of `Device.Bridging.Bridge.{i}.VLAN.{i}.`: VLAN numbers.
pub fn list_vlans(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some(bridge) = bridge(view, row).filter(|b| b.filtering) else {
        return;
    };
    let all = ports(view, bridge).chain([bridge]).flat_map(|p| p.vlans.iter().map(|v| v.id));
    out.extend(SortedSet::from_iter(all).iter().map(u16::to_string));
}

/// `Device.Bridging.Bridge.{i}.VLAN.{i}.`
pub fn fill_vlan(_view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, true),
            "VLANID" => out.put(at, row.key()),
            _ => {}
        }
    }
}

/// The keys of `Device.Bridging.Bridge.{i}.VLANPort.{i}.`: `10/lan1`.
pub fn list_vlan_ports(view: &View, row: &Row<'_>, out: &mut Keys) {
    let Some(bridge) = bridge(view, row).filter(|b| b.filtering) else {
        return;
    };
    for port in [bridge].into_iter().chain(ports(view, bridge)) {
        out.extend(port.vlans.iter().map(|v| format!("{}/{}", v.id, port.name)));
    }
}

/// `Device.Bridging.Bridge.{i}.VLANPort.{i}.`
pub fn fill_vlan_port(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let (Some(bridge), Some((vlan, name))) = (bridge(view, row), row.key().split_once('/')) else {
        return;
    };
    let Some(port) = view.device(name) else {
        return;
    };
    let Some(member) = port.vlans.iter().find(|v| vlan.parse() == Ok(v.id)) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, true),
            "VLAN" => out.refer(at, "Device.Bridging.Bridge.{i}.VLAN.{i}.", &[&bridge.name, vlan]),
            "Port" => out.refer(at, "Device.Bridging.Bridge.{i}.Port.{i}.", &[&bridge.name, name]),
            "Untagged" => out.put(at, member.untagged),
            _ => {}
        }
    }
}
