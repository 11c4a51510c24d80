//! Devices of the network that stand on USB, as `Device.USB.Interface.` shows them: modems, tethered phones,
//! dongles. What of them is Ethernet is among the Ethernet interfaces, too.

use super::link;
use super::network::{Device, View};
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::host;

const USB: &str = "/sys/bus/usb/devices";

/// The interface of USB that a device stands on, `1-1:1.4`: what its sysfs link leads to.
fn function(view: &View, device: &Device) -> Option<String> {
    let folder = host::below(&view.root, &format!("/sys/class/net/{}", device.name));
    let target = host::target(&folder.join("device"))?;
    let name = target.file_name()?.to_str()?;
    let is_usb = name.split_once(':').is_some_and(|(port, _)| port.contains('-'));
    is_usb.then(|| name.to_owned())
}

/// The keys of `Device.USB.Interface.{i}.`
pub fn list(view: &View, _: &Row<'_>, out: &mut Keys) {
    out.extend(view.devices.iter().filter(|d| function(view, d).is_some()).map(|d| &d.name));
}

/// `Device.USB.Interface.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = view.device(row.key()) else { return };
    let Some(function) = function(view, device) else { return };
    let usb = function.split(':').next().unwrap_or("");
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, device.is_up()),
            "Status" => out.put(at, link::status(device)),
            "Name" => out.put(at, &device.name),
            "MACAddress" => device.mac.into_iter().for_each(|mac| out.put(at, mac)),
            "Upstream" => out.put(at, link::is_upstream(view, device)),
            // Mbit/s, as the port has agreed with what is plugged in; the slowest speed is 1.5.
            "MaxBitRate" => {
                let speed = host::line(&view.root, &format!("{USB}/{usb}/speed"));
                let whole = speed.as_deref().and_then(|s| s.split('.').next()?.parse::<u32>().ok());
                whole.into_iter().for_each(|speed| out.put(at, speed));
            }
            "Port" => {
                if let Some(port) = super::usb::port_of(usb) {
                    out.refer(at, "Device.USB.Port.{i}.", &[&port]);
                }
            }
            _ => {}
        }
    }
}
