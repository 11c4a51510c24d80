//! Which device is which object, and what stands on what: the interface stack of TR-181 (2.4).
//!
//! One device of Linux is often several rows: `eth0` is an `Ethernet.Interface`, the `Ethernet.Link`
//! on it and the `IP.Interface` on that; a bridge is a `Bridge` with its management port, and a link
//! and an IP interface above it.

use super::naming;
use super::network::{Device, View, is_port};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::kernel_file;
use crate::sys::netlink::link::hardware;

/// A layer of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// `Device.IP.Interface.{i}.`
    Ip,
    /// `Device.PPP.Interface.{i}.`
    Ppp,
    /// `Device.Ethernet.VLANTermination.{i}.`
    Vlan,
    /// `Device.Ethernet.Link.{i}.`
    Link,
    /// `Device.Ethernet.LAG.{i}.`
    Lag,
    /// `Device.Bridging.Bridge.{i}.Port.{i}.`
    Port,
    /// `Device.Ethernet.Interface.{i}.`
    Ethernet,
    /// `Device.WiFi.SSID.{i}.`
    Ssid,
    /// `Device.WiFi.Radio.{i}.`
    Radio,
    /// `Device.GRE.Tunnel.{i}.Interface.{i}.`, only where the platform names it.
    Gre,
    /// `Device.VXLAN.Tunnel.{i}.Interface.{i}.`, only where the platform names it.
    Vxlan,
    /// `Device.MAP.Domain.{i}.Interface.`, only where the platform names it; nothing refers to it.
    Map,
}

/// Every layer with its table and the word it has in a key, from the top down.
const LAYERS: &[(Layer, &str, &str)] = &[
    (Layer::Ip, "Device.IP.Interface.{i}.", "ip"),
    (Layer::Ppp, "Device.PPP.Interface.{i}.", "ppp"),
    (Layer::Vlan, "Device.Ethernet.VLANTermination.{i}.", "vlan"),
    (Layer::Link, "Device.Ethernet.Link.{i}.", "link"),
    (Layer::Lag, "Device.Ethernet.LAG.{i}.", "lag"),
    (Layer::Port, "Device.Bridging.Bridge.{i}.Port.{i}.", "port"),
    (Layer::Ethernet, "Device.Ethernet.Interface.{i}.", "ethernet"),
    (Layer::Ssid, "Device.WiFi.SSID.{i}.", "ssid"),
    (Layer::Radio, "Device.WiFi.Radio.{i}.", "radio"),
    (Layer::Gre, "Device.GRE.Tunnel.{i}.Interface.{i}.", "gre"),
    (Layer::Vxlan, "Device.VXLAN.Tunnel.{i}.Interface.{i}.", "vxlan"),
];

/// A row of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The layer.
    pub layer: Layer,
    /// For a port, its bridge.
    bridge: &'a str,
    /// The key of its innermost instance.
    name: &'a str,
}

impl<'a> Place<'a> {
    fn new(layer: Layer, name: &'a str) -> Place<'a> {
        Place { layer, bridge: "", name }
    }

    /// The row that a device is in a layer.
    pub fn of(view: &'a View, layer: Layer, device: &'a Device) -> Option<Place<'a>> {
        Some(Place::new(layer, view.key(layer, device)?))
    }

    /// The port of a bridge; the bridge's own name is its management port.
    pub fn port(bridge: &'a str, name: &'a str) -> Place<'a> {
        Place { layer: Layer::Port, bridge, name }
    }

    /// Puts a reference to it.
    pub fn refer(self, out: &mut Fields, at: usize) {
        let Some((_, object, _)) = LAYERS.iter().find(|l| l.0 == self.layer) else {
            return;
        };
        match self.layer {
            Layer::Port => out.refer(at, object, &[self.bridge, self.name]),
            // The one interface of a tunnel has the tunnel's key.
            Layer::Gre | Layer::Vxlan => out.refer(at, object, &[self.name, self.name]),
            _ => out.refer(at, object, &[self.name]),
        }
    }

    /// `port/br-lan/eth0`: names of devices have no slash.
    fn key(self) -> String {
        let word = LAYERS.iter().find(|l| l.0 == self.layer).map_or("", |l| l.2);
        match self.layer {
            Layer::Port => format!("{word}/{}/{}", self.bridge, self.name),
            _ => format!("{word}/{}", self.name),
        }
    }

    fn read(key: &'a str) -> Option<Place<'a>> {
        let (word, name) = key.split_once('/')?;
        let (layer, ..) = LAYERS.iter().find(|l| l.2 == word)?;
        match layer {
            Layer::Port => name.split_once('/').map(|(bridge, name)| Place::port(bridge, name)),
            _ => Some(Place::new(*layer, name)),
        }
    }
}

/// Whether a device is a row of a layer (a port, of its master's or its own bridge).
pub fn is(view: &View, device: &Device, layer: Layer) -> bool {
    let ether = device.hardware == hardware::ETHER;
    let kind = device.kind.as_str();
    match layer {
        // An ifb only holds packets back; it has no addresses, and neither has a VRF's master.
        Layer::Ip => {
            let carries_ip = matches!(
                device.hardware,
                hardware::ETHER
                    | hardware::LOOPBACK
                    | hardware::PPP
                    | hardware::NONE
                    | hardware::RAW_IP
                    | hardware::TUNNEL
                    | hardware::TUNNEL6
                    | hardware::SIT
                    | hardware::GRE
                    | hardware::GRE6
            );
            carries_ip && !is_port(view, device) && !matches!(kind, "ifb" | "vrf")
        }
        Layer::Ppp => device.hardware == hardware::PPP,
        Layer::Vlan => kind == "vlan",
        Layer::Link => ether && !is_port(view, device) && !matches!(kind, "vlan" | "ifb" | "vrf"),
        Layer::Lag => kind == "bond",
        Layer::Port => kind == "bridge" || view.at(device.master).is_some_and(|m| m.kind == "bridge"),
        // A port with a driver of its own, of a switch chip, or of a container.
        Layer::Ethernet => ether && device.phy.is_empty() && matches!(kind, "" | "dsa" | "veth"),
        Layer::Ssid => ether && !device.phy.is_empty(),
        Layer::Radio => false,
        Layer::Gre | Layer::Vxlan | Layer::Map => {
            view.names.as_ref().is_some_and(|n| n.on(layer, &device.name).is_some())
        }
    }
}

/// The highest row below IP that a device is.
pub fn top<'a>(view: &'a View, device: &'a Device) -> Option<Place<'a>> {
    [Layer::Ppp, Layer::Vlan, Layer::Link]
        .into_iter()
        .find(|layer| is(view, device, *layer))
        .and_then(|layer| Place::of(view, layer, device))
        .or_else(|| base(view, device))
}

/// The row of a device below its link.
pub fn base<'a>(view: &'a View, device: &'a Device) -> Option<Place<'a>> {
    if device.kind == "bridge" {
        return Some(Place::port(&device.name, view.port_key(device)));
    }
    [Layer::Vlan, Layer::Lag, Layer::Ssid, Layer::Ethernet, Layer::Gre, Layer::Vxlan]
        .into_iter()
        .find(|layer| is(view, device, *layer))
        .and_then(|layer| Place::of(view, layer, device))
}

/// The lowest row of a device: what its packets leave by.
pub fn lowest<'a>(view: &'a View, device: &'a Device) -> Option<Place<'a>> {
    base(view, device)
        .or_else(|| top(view, device))
        .or_else(|| is(view, device, Layer::Ip).then(|| Place::of(view, Layer::Ip, device))?)
}

/// Calls `each` for every row that the row of this device in this layer stands on.
/// `key` is that of the row.
pub fn below<'v>(
    view: &'v View,
    layer: Layer,
    key: &str,
    device: &'v Device,
    each: &mut dyn FnMut(Place<'v>),
) {
    let named = view.names.as_ref().and_then(|n| n.find(layer, key));
    match layer {
        Layer::Ip => top(view, device).into_iter().for_each(each),
        Layer::Ppp if named.is_some() => {
            let lower = named.and_then(|n| view.device(&n.lower));
            lower.and_then(|d| top(view, d)).into_iter().for_each(each);
        }
        // The packets of a tunnel are sent by an interface.
        Layer::Gre | Layer::Vxlan => {
            let lower = named.and_then(|n| view.names.as_ref()?.ip(&n.lower, false));
            lower.map(|n| Place::new(Layer::Ip, &n.key)).into_iter().for_each(each);
        }
        Layer::Ppp => pppoe(view).and_then(|d| top(view, d)).into_iter().for_each(each),
        Layer::Vlan => view.at(device.lower).and_then(|d| top(view, d)).into_iter().for_each(each),
        Layer::Link => base(view, device).into_iter().for_each(each),
        Layer::Lag => ports(view, device).filter_map(|d| base(view, d)).for_each(each),
        Layer::Port if device.kind == "bridge" => {
            ports(view, device).for_each(|d| each(Place::port(&device.name, view.port_key(d))));
        }
        Layer::Port => base(view, device).into_iter().for_each(each),
        Layer::Ssid => Place::of(view, Layer::Radio, device).into_iter().for_each(each),
        Layer::Ethernet | Layer::Radio | Layer::Map => {}
    }
}

/// The devices whose master this is.
pub fn ports<'v>(view: &'v View, master: &Device) -> impl Iterator<Item = &'v Device> {
    let index = master.index;
    view.devices.iter().filter(move |d| d.master == index)
}

/// The device under a PPPoE session. The kernel does not tell which session is whose, so it is known
/// only where there is one of each.
pub fn pppoe(view: &View) -> Option<&Device> {
    let mut sessions = view.devices.iter().filter(|d| d.hardware == hardware::PPP);
    (sessions.next().is_some() && sessions.next().is_none()).then_some(())?;
    let text = kernel_file::read(&view.file("proc/net/pppoe"))?;
    // A heading, then lines of session, address and device.
    let mut lines = text.lines().skip(1);
    let name = lines.next()?.split_ascii_whitespace().nth(2)?;
    lines.next().is_none().then(|| view.device(name))?
}

/// The keys of `Device.InterfaceStack.{i}.`: `ip/eth0 link/eth0`.
pub fn list(view: &View, _row: &Row<'_>, out: &mut Keys) {
    for (layer, ..) in LAYERS {
        if let Some(names) = view.names.as_ref().filter(|_| naming::is_named(*layer)) {
            for named in names.of(*layer) {
                let Some(device) = view.device(&named.device) else { continue };
                let higher = Place::new(*layer, &named.key);
                below(view, *layer, &named.key, device, &mut |lower| {
                    out.push(format!("{} {}", higher.key(), lower.key()));
                });
            }
            continue;
        }
        for device in view.devices.iter().filter(|d| is(view, d, *layer)) {
            let master = view.at(device.master).map_or(device.name.as_str(), |m| &m.name);
            let higher = match layer {
                Layer::Port if device.kind == "bridge" => Place::port(&device.name, view.port_key(device)),
                Layer::Port => Place::port(master, view.port_key(device)),
                _ => Place::new(*layer, &device.name),
            };
            below(view, *layer, &device.name, device, &mut |lower| {
                out.push(format!("{} {}", higher.key(), lower.key()))
            });
        }
    }
}

/// `Device.InterfaceStack.{i}.`
pub fn fill(_view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some((higher, lower)) = row.key().split_once(' ') else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        let key = match w.param.name() {
            "HigherLayer" => higher,
            "LowerLayer" => lower,
            _ => continue,
        };
        if let Some(place) = Place::read(key) {
            place.refer(out, at);
        }
    }
}
