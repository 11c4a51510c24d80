//! Devices as `Device.Ethernet.` and `Device.WiFi.` show them, and the counters of all of them.

use super::knobs::{Form, Knob};
use super::layers::{Layer, below, is, ports, pppoe};
use super::network::{Device, View};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::kernel_file;
use crate::sys::netlink::link::{Stats, link_flag};

/// Up and down of a device.
pub const UP: Knob = Knob { told: true, ..Knob::new("Enable", "sys/class/net/{}/flags", Form::Up) };
/// What the rows of a device with a switch of its own can be set to.
pub const KNOBS: &[Knob] = &[UP];

/// The standard's operational status (RFC 2863) of a device.
pub fn status(device: &Device) -> &'static str {
    match device.state {
        _ if !device.is_up() => "Down",
        1 => "NotPresent",
        2 => "Down",
        3 => "LowerLayerDown",
        5 => "Dormant",
        6 => "Up",
        // Drivers that keep no state (loopback, PPP, tunnels) still say whether packets pass.
        0 if device.flags & link_flag::LOWER_UP != 0 => "Up",
        _ => "Unknown",
    }
}

fn names(view: &View, layer: Layer, out: &mut Keys) {
    out.extend(view.devices.iter().filter(|d| is(view, d, layer)).map(|d| d.name.clone()));
}

/// The device of a row, if it still is one of the layer.
pub fn device<'v>(view: &'v View, row: &Row<'_>, layer: Layer) -> Option<&'v Device> {
    view.device_of(row).filter(|d| is(view, d, layer))
}

/// What every interface object of the standard has.
pub fn common(
    view: &View,
    (layer, key): (Layer, &str),
    device: &Device,
    name: &str,
    at: usize,
    out: &mut Fields,
) {
    match name {
        "Enable" => out.put(at, device.is_up()),
        "Status" => out.put(at, status(device)),
        "Name" => out.put(at, &device.name),
        "LowerLayers" => below(view, layer, key, device, &mut |place| place.refer(out, at)),
        "MACAddress" => {
            if let Some(mac) = device.mac {
                out.put(at, mac);
            }
        }
        _ => {}
    }
}

/// The keys of `Device.Ethernet.Interface.{i}.`
pub fn list_interfaces(view: &View, _row: &Row<'_>, out: &mut Keys) {
    names(view, Layer::Ethernet, out);
}

/// `Device.Ethernet.Interface.{i}.`
pub fn fill_interface(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ethernet) else {
        return;
    };
    let folder = || view.file("sys/class/net").join(&device.name);
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Upstream" => out.put(at, is_upstream(view, device)),
            // The kernel has -1 or nothing for a link that is down.
            "CurrentBitRate" => out.put(at, kernel_file::number::<u32>(&folder().join("speed")).unwrap_or(0)),
            "CurrentDuplexMode" => out.put(
                at,
                match kernel_file::read(&folder().join("duplex")).as_deref() {
                    Some("full") => "Full",
                    Some("half") => "Half",
                    _ => "Unknown",
                },
            ),
            name => common(view, (Layer::Ethernet, row.key()), device, name, at, out),
        }
    }
}

/// Whether the default route leaves by this device, or by one that stands on it alone.
pub fn is_upstream(view: &View, device: &Device) -> bool {
    let mut found = false;
    let mut over = view.uplink();
    // A chain of VLANs is short; one in a circle is no chain.
    for _ in 0..8 {
        let Some(upper) = over else { break };
        found |= upper.index == device.index;
        over = match upper.kind.as_str() {
            // Which port of a bridge leads out is not known.
            "bridge" => None,
            "bond" => return found || ports(view, upper).any(|p| p.index == device.index),
            // Of others (the ends of a veth) the kernel's `lower` is no lower layer.
            "vlan" | "macvlan" | "ipvlan" => view.at(upper.lower),
            _ if is(view, upper, Layer::Ppp) => pppoe(view),
            _ => None,
        };
    }
    found
}

/// The keys of `Device.Ethernet.Link.{i}.`
pub fn list_links(view: &View, _row: &Row<'_>, out: &mut Keys) {
    names(view, Layer::Link, out);
}

/// `Device.Ethernet.Link.{i}.`
pub fn fill_link(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Link) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "MTU" => out.put(at, device.mtu),
            "NoARP" => out.put(at, device.flags & link_flag::NO_ARP != 0),
            name => common(view, (Layer::Link, row.key()), device, name, at, out),
        }
    }
}

/// The keys of `Device.Ethernet.VLANTermination.{i}.`
pub fn list_vlans(view: &View, _row: &Row<'_>, out: &mut Keys) {
    names(view, Layer::Vlan, out);
}

/// `Device.Ethernet.VLANTermination.{i}.`
pub fn fill_vlan(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Vlan) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "VLANID" => out.put(at, device.vlan),
            "TPID" => out.put(at, if device.protocol == 0 { 0x8100 } else { device.protocol }),
            name => common(view, (Layer::Vlan, row.key()), device, name, at, out),
        }
    }
}

/// The keys of `Device.Ethernet.LAG.{i}.`
pub fn list_lags(view: &View, _row: &Row<'_>, out: &mut Keys) {
    names(view, Layer::Lag, out);
}

/// `Device.Ethernet.LAG.{i}.`
pub fn fill_lag(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Lag) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        common(view, (Layer::Lag, row.key()), device, w.param.name(), at, out);
    }
}

/// The keys of `Device.WiFi.SSID.{i}.`
pub fn list_ssids(view: &View, _row: &Row<'_>, out: &mut Keys) {
    names(view, Layer::Ssid, out);
}

/// `Device.WiFi.SSID.{i}.`
pub fn fill_ssid(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ssid) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Upstream" => out.put(at, is_upstream(view, device)),
            name => common(view, (Layer::Ssid, row.key()), device, name, at, out),
        }
    }
}

/// The keys of `Device.WiFi.Radio.{i}.`: radios with at least one device.
pub fn list_radios(view: &View, _row: &Row<'_>, out: &mut Keys) {
    for device in view.devices.iter().filter(|d| is(view, d, Layer::Ssid)) {
        if !out.contains(&device.phy) {
            out.push(device.phy.clone());
        }
    }
}

/// `Device.WiFi.Radio.{i}.`: a radio is on when one of its devices is.
pub fn fill_radio(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let mine = || view.devices.iter().filter(|d| is(view, d, Layer::Ssid) && d.phy == row.key());
    if mine().next().is_none() {
        return;
    }
    let up = mine().any(|d| d.is_up());
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, up),
            "Status" => out.put(at, if up { "Up" } else { "Down" }),
            "Name" => out.put(at, row.key()),
            "Upstream" => out.put(at, mine().any(|d| is_upstream(view, d))),
            _ => {}
        }
    }
}

/// The counters of the device that the row's last key names: every `Stats.` object.
pub fn fill_stats(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = view.device_of(row) else {
        return;
    };
    put_stats(&device.stats, want, out);
}

/// `Device.WiFi.Radio.{i}.Stats.`: the sums of the radio's devices.
pub fn fill_radio_stats(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let named = view.named(row).map(|n| n.device.as_str());
    // Named by a platform, a radio is that of one of its devices.
    let phy = match (named, &view.names) {
        (Some(name), _) => view.device(name).map_or(name, |d| &d.phy),
        (None, Some(_)) => return,
        (None, None) => row.key(),
    };
    let mut mine = view.devices.iter().filter(|d| !phy.is_empty() && d.phy == phy).peekable();
    if mine.peek().is_none() {
        return;
    }
    let sum = mine.fold(Stats::default(), |sum, device| sum.plus(&device.stats));
    put_stats(&sum, want, out);
}

fn put_stats(s: &Stats, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        let name = w.param.name();
        let count = match name {
            "BytesSent" => s.tx_bytes,
            "BytesReceived" => s.rx_bytes,
            "PacketsSent" => s.tx_packets,
            "PacketsReceived" => s.rx_packets,
            "ErrorsSent" => s.tx_errors,
            "ErrorsReceived" => s.rx_errors,
            "DiscardPacketsSent" => s.tx_dropped,
            "DiscardPacketsReceived" => s.rx_dropped,
            "MulticastPacketsReceived" => s.multicast,
            "Collisions" => s.collisions,
            _ => continue,
        };
        // StatsCounter32 rolls over (TR-106 3.2); the kernel's own are of 64 bits.
        let narrow =
            matches!(name, "ErrorsSent" | "ErrorsReceived" | "DiscardPacketsSent" | "DiscardPacketsReceived");
        out.put(at, if narrow { count & u64::from(u32::MAX) } else { count });
    }
}

/// For objects without a table of their own.
pub fn list_nothing(_view: &View, _row: &Row<'_>, _out: &mut Keys) {}
