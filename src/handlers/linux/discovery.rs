//! `Device.NeighborDiscovery.`: how the kernel looks for its IPv6 neighbours, a row a device.

use super::knobs::{Form, Knob};
use super::layers::{Layer, is};
use super::link::device;
use super::network::View;
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::{host, kernel_file};

/// `Device.NeighborDiscovery.InterfaceSetting.{i}.`
pub const KNOBS: &[Knob] = &[
    Knob::new("DADTransmits", "proc/sys/net/ipv6/conf/{}/dad_transmits", Form::Number),
    Knob::new("RetransTimer", "proc/sys/net/ipv6/neigh/{}/retrans_time_ms", Form::Number),
    // Seconds there, milliseconds here.
    Knob::new(
        "RtrSolicitationInterval",
        "proc/sys/net/ipv6/conf/{}/router_solicitation_interval",
        Form::Coarser(1000),
    ),
    Knob::new("MaxRtrSolicitations", "proc/sys/net/ipv6/conf/{}/router_solicitations", Form::Number),
];

fn setting(view: &View, name: &str, file: &str) -> Option<i64> {
    kernel_file::number(&view.file("proc/sys/net/ipv6/conf").join(name).join(file))
}

/// `Device.NeighborDiscovery.`
pub fn fill(view: &View, _row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    for (at, w) in want.iter().enumerate() {
        if w.param.name() == "Enable" {
            out.put(at, setting(view, "all", "disable_ipv6") == Some(0));
        }
    }
}

/// The keys of `Device.NeighborDiscovery.InterfaceSetting.{i}.`: devices that can have IPv6.
pub fn list(view: &View, _row: &Row<'_>, out: &mut Keys) {
    let conf = view.file("proc/sys/net/ipv6/conf");
    let with = view
        .devices
        .iter()
        .filter(|d| is(view, d, Layer::Ip) && !d.is_loopback() && view.key(Layer::Ip, d).is_some())
        .filter(|d| host::is_there(&conf.join(&d.name)));
    out.extend(with.map(|d| d.name.clone()));
}

/// `Device.NeighborDiscovery.InterfaceSetting.{i}.`; what can be set is read from its files.
pub fn fill_setting(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ip) else {
        return;
    };
    let is_on = setting(view, &device.name, "disable_ipv6") == Some(0);
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Enable" => out.put(at, is_on),
            "Status" => out.put(at, if is_on && device.is_up() { "Enabled" } else { "Disabled" }),
            "Interface" => view.refer_ip(out, at, device, true),
            "NUDEnable" => out.put(at, is_on),
            "RSEnable" => {
                // 1 means: unless the machine forwards; 2 means: always.
                let accepts = match setting(view, &device.name, "accept_ra") {
                    Some(2) => true,
                    Some(1) => setting(view, &device.name, "forwarding") == Some(0),
                    _ => false,
                };
                let asks = setting(view, &device.name, "router_solicitations").is_some_and(|n| n != 0);
                out.put(at, is_on && accepts && asks);
            }
            _ => {}
        }
    }
}
