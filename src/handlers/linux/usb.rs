//! Provider `usb`: host controllers, their ports and what is plugged in, from
//! `/sys/bus/usb/devices`. The kernel's names are the keys: `usb1` a controller (its root hub), `1-1.2`
//! a device by the ports that lead to it, `1-1.2:1.0` an interface, `1-1-port2` a port.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

const USB: &str = "/sys/bus/usb/devices";
/// No more names than this are looked at.
const MAX_DEVICES: usize = 1024;
const DEVICE: &str = "Device.USB.USBHosts.Host.{i}.Device.{i}.";

/// The provider.
#[derive(Default)]
pub struct Usb {
    names: PerRpc<Vec<String>>,
}

impl Reading for Usb {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let root = ctx.root;
        let names = self.names.get(ctx, || host::names(root, USB).into_iter().take(MAX_DEVICES).collect());
        match row.object.name() {
            "Host" => out.extend(names.iter().filter(|n| is_host(n)).cloned()),
            "Port" => {
                for hub in names.iter().filter(|n| n.ends_with(":1.0")) {
                    let ports = host::names(root, &format!("{USB}/{hub}"));
                    out.extend(ports.into_iter().filter(|p| p.contains("-port")).take(MAX_DEVICES));
                }
            }
            "Device" => {
                let bus = row.keys.first().map_or("", |k| k.trim_start_matches("usb"));
                let of = |n: &&String| n.split_once('-').is_some_and(|(b, _)| b == bus) && !n.contains(':');
                out.extend(names.iter().filter(of).cloned());
            }
            // The kernel shows the configuration that is chosen, and none of a device without one.
            "Configuration" => {
                let device = row.keys.get(1).copied().unwrap_or("");
                out.extend(text(root, device, "bConfigurationValue"));
            }
            "Interface" => {
                let device = row.keys.get(1).copied().unwrap_or("");
                let of = |n: &&String| n.split_once(':').is_some_and(|(d, _)| d == device);
                out.extend(names.iter().filter(of).cloned());
            }
            _ => {}
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let key = row.key();
        for (i, want) in want.iter().enumerate() {
            let name = want.param.name();
            match row.object.name() {
                "Host" => host_value(ctx.root, key, name, i, out),
                "Port" => port_value(ctx.root, key, name, i, out),
                "Device" => device_value(ctx.root, row, name, i, out),
                "Configuration" => out.put(i, decimal(key)),
                "Interface" => match name {
                    "InterfaceNumber" => put_hex_number(ctx.root, key, "bInterfaceNumber", i, out),
                    "InterfaceClass" => put_octet(ctx.root, key, "bInterfaceClass", i, out),
                    "InterfaceSubClass" => put_octet(ctx.root, key, "bInterfaceSubClass", i, out),
                    "InterfaceProtocol" => put_octet(ctx.root, key, "bInterfaceProtocol", i, out),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

fn is_host(name: &str) -> bool {
    name.strip_prefix("usb").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The root hub and the driver speak for the controller.
fn host_value(root: &Path, key: &str, name: &str, i: usize, out: &mut Fields) {
    if text(root, key, "bDeviceClass").is_none() {
        return;
    }
    match name {
        "Enable" => out.put(i, true),
        "Name" => out.put(i, key),
        "Type" => {
            // `xHCI Host Controller`
            let product = text(root, key, "product").unwrap_or_default().to_ascii_lowercase();
            let kind = ["OHCI", "EHCI", "UHCI", "xHCI"]
                .into_iter()
                .find(|k| product.contains(&k.to_ascii_lowercase()));
            out.put(i, kind.unwrap_or("Unknown"));
        }
        "PowerManagementEnable" => out.put(i, text(root, key, "power/control").as_deref() == Some("auto")),
        "USBVersion" => out.put(i, version(root, key)),
        _ => {}
    }
}

fn port_value(root: &Path, key: &str, name: &str, i: usize, out: &mut Fields) {
    // `usb1-port2` is a port of the root hub, `1-1-port2` of a hub that is plugged in.
    let Some((hub, _)) = key.rsplit_once("-port") else {
        return;
    };
    let on_host = is_host(hub);
    match name {
        "Name" => out.put(i, key),
        "Standard" => out.put(i, version(root, hub)),
        "Type" => out.put(i, if on_host { "Host" } else { "Hub" }),
        "Rate" => {
            if let Some(rate) = rate(root, hub) {
                out.put(i, rate);
            }
        }
        "Power" => out.put(
            i,
            match is_self_powered(root, hub) {
                Some(true) => "Self",
                Some(false) => "Bus",
                None => "Unknown",
            },
        ),
        _ => {}
    }
}

fn device_value(root: &Path, row: &Row<'_>, name: &str, i: usize, out: &mut Fields) {
    let key = row.key();
    match name {
        "DeviceNumber" => {
            if let Some(n) = host::number::<u32>(root, &path(key, "devnum")) {
                out.put(i, n);
            }
        }
        "USBVersion" => out.put(i, version(root, key)),
        "DeviceClass" => put_octet(root, key, "bDeviceClass", i, out),
        "DeviceSubClass" => put_octet(root, key, "bDeviceSubClass", i, out),
        "DeviceProtocol" => put_octet(root, key, "bDeviceProtocol", i, out),
        "DeviceVersion" => put_hex_number(root, key, "bcdDevice", i, out),
        "ProductID" => put_hex_number(root, key, "idProduct", i, out),
        "VendorID" => put_hex_number(root, key, "idVendor", i, out),
        "Manufacturer" => put_text(root, key, "manufacturer", i, out),
        "ProductClass" => put_text(root, key, "product", i, out),
        "SerialNumber" => put_text(root, key, "serial", i, out),
        "Port" => {
            let last = key.rsplit(['-', '.']).next().unwrap_or("");
            if let Ok(port) = last.parse::<u8>() {
                out.put(i, port);
            }
        }
        "USBPort" => {
            if let Some(port) = port_of(key) {
                out.refer(i, "Device.USB.Port.{i}.", &[&port]);
            }
        }
        "Rate" => out.put(i, rate(root, key).unwrap_or("Unknown")),
        // What is plugged into the controller itself has no parent device.
        "Parent" => {
            if let (Some((parent, _)), Some(bus)) = (key.rsplit_once('.'), row.keys.first()) {
                out.refer(i, DEVICE, &[bus, parent]);
            }
        }
        "MaxChildren" => {
            if let Some(n) = host::number::<u32>(root, &path(key, "maxchild")) {
                out.put(i, n);
            }
        }
        "IsSuspended" => out.put(i, text(root, key, "power/runtime_status").as_deref() == Some("suspended")),
        "IsSelfPowered" => {
            if let Some(own) = is_self_powered(root, key) {
                out.put(i, own);
            }
        }
        _ => {}
    }
}

/// The port that a device is plugged into: `1-1.2` is at port 2 of hub `1-1`, `1-1` at port 1 of `usb1`.
pub fn port_of(device: &str) -> Option<String> {
    if let Some((hub, port)) = device.rsplit_once('.') {
        return Some(format!("{hub}-port{port}"));
    }
    let (bus, port) = device.split_once('-')?;
    Some(format!("usb{bus}-port{port}"))
}

fn path(device: &str, file: &str) -> String {
    format!("{USB}/{device}/{file}")
}

fn text(root: &Path, device: &str, file: &str) -> Option<String> {
    // A key is one name, never a way out of the folder.
    if device.is_empty() || device.contains('/') || device.starts_with('.') {
        return None;
    }
    host::line(root, &path(device, file))
}

fn put_text(root: &Path, device: &str, file: &str, i: usize, out: &mut Fields) {
    if let Some(text) = text(root, device, file) {
        out.put(i, text.chars().filter(|c| !c.is_control()).take(64).collect::<String>());
    }
}

/// One octet in hex, as the file has it.
fn put_octet(root: &Path, device: &str, file: &str, i: usize, out: &mut Fields) {
    if let Some(octet) = text(root, device, file).and_then(|t| u8::from_str_radix(&t, 16).ok()) {
        out.put(i, format_args!("{octet:02X}"));
    }
}

/// A number that the file has in hex.
fn put_hex_number(root: &Path, device: &str, file: &str, i: usize, out: &mut Fields) {
    if let Some(n) = text(root, device, file).and_then(|t| u16::from_str_radix(&t, 16).ok()) {
        out.put(i, n);
    }
}

/// `2.00` is 2.0 in the standard's four characters.
fn version(root: &Path, device: &str) -> String {
    let text = text(root, device, "version").unwrap_or_default();
    text.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(4).collect()
}

fn rate(root: &Path, device: &str) -> Option<&'static str> {
    match text(root, device, "speed")?.as_str() {
        "1.5" => Some("Low"),
        "12" => Some("Full"),
        "480" => Some("High"),
        speed => (speed.parse::<u32>().ok()? >= 5000).then_some("Super"),
    }
}

/// Bit 6 of the attributes of the configuration that is chosen.
fn is_self_powered(root: &Path, device: &str) -> Option<bool> {
    let attributes = u8::from_str_radix(&text(root, device, "bmAttributes")?, 16).ok()?;
    Some(attributes & 0x40 != 0)
}

fn decimal(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    fn usb() -> ReadOnly {
        ReadOnly(Box::new(Usb::default()))
    }

    #[test]
    fn a_stick_behind_a_hub() {
        let f = Folder::new();
        let write = |device: &str, pairs: &[(&str, &str)]| {
            pairs.iter().for_each(|(file, text)| {
                f.file(&format!("sys/bus/usb/devices/{device}/{file}"), &format!("{text}\n"))
            });
        };
        write(
            "usb1",
            &[
                ("bDeviceClass", "09"),
                ("product", "xHCI Host Controller"),
                ("version", " 2.00"),
                ("speed", "480"),
                ("bmAttributes", "e0"),
            ],
        );
        write("1-0:1.0", &[("usb1-port1/connect_type", "hotplug"), ("usb1-port2/connect_type", "hotplug")]);
        write(
            "1-1",
            &[
                ("bDeviceClass", "09"),
                ("devnum", "2"),
                ("version", " 2.10"),
                ("maxchild", "4"),
                ("bConfigurationValue", "1"),
                ("bmAttributes", "a0"),
            ],
        );
        write("1-1:1.0", &[("1-1-port3/connect_type", "unknown"), ("bInterfaceNumber", "00")]);
        write(
            "1-1.3",
            &[
                ("bDeviceClass", "00"),
                ("devnum", "5"),
                ("version", " 3.20"),
                ("speed", "5000"),
                ("idVendor", "0781"),
                ("idProduct", "5581"),
                ("bcdDevice", "0100"),
                ("manufacturer", " SanDisk"),
                ("product", "Ultra"),
                ("serial", "4C53"),
                ("bmAttributes", "80"),
                ("bConfigurationValue", "1"),
                ("power/runtime_status", "active"),
            ],
        );
        write(
            "1-1.3:1.0",
            &[
                ("bInterfaceNumber", "00"),
                ("bInterfaceClass", "08"),
                ("bInterfaceSubClass", "06"),
                ("bInterfaceProtocol", "50"),
            ],
        );
        write("2-1", &[("devnum", "2")]);

        let hosts = "Device.USB.USBHosts.Host.{i}.";
        assert_eq!(probe::list(&mut usb(), f.root(), hosts, &[]), ["usb1"]);
        let names = ["Enable", "Name", "Type", "USBVersion", "PowerManagementEnable"];
        let v = probe::get(&mut usb(), f.root(), hosts, &["usb1"], &names);
        assert_eq!(probe::line(&v, &names), "true|usb1|xHCI|2.00|false");

        assert_eq!(probe::list(&mut usb(), f.root(), DEVICE, &["usb1"]), ["1-1", "1-1.3"]);
        let names = [
            "DeviceNumber",
            "USBVersion",
            "DeviceClass",
            "DeviceVersion",
            "ProductID",
            "VendorID",
            "Manufacturer",
            "ProductClass",
            "SerialNumber",
            "Port",
            "USBPort",
            "Rate",
            "Parent",
            "MaxChildren",
            "IsSuspended",
            "IsSelfPowered",
        ];
        let v = probe::get(&mut usb(), f.root(), DEVICE, &["usb1", "1-1.3"], &names);
        assert_eq!(
            probe::line(&v, &names),
            "5|3.20|00|256|21889|1921|SanDisk|Ultra|4C53|3|Device.USB.Port.{i}.<1-1-port3>|Super|\
             Device.USB.USBHosts.Host.{i}.Device.{i}.<usb1,1-1>|-|false|false"
        );
        let v = probe::get(&mut usb(), f.root(), DEVICE, &["usb1", "1-1"], &["USBPort", "Parent", "Rate"]);
        assert_eq!(
            probe::line(&v, &["USBPort", "Parent", "Rate"]),
            "Device.USB.Port.{i}.<usb1-port1>|-|Unknown"
        );

        let configuration = format!("{DEVICE}Configuration.{{i}}.");
        assert_eq!(probe::list(&mut usb(), f.root(), &configuration, &["usb1", "1-1.3"]), ["1"]);
        let interface = format!("{configuration}Interface.{{i}}.");
        assert_eq!(probe::list(&mut usb(), f.root(), &interface, &["usb1", "1-1.3", "1"]), ["1-1.3:1.0"]);
        let names = ["InterfaceNumber", "InterfaceClass", "InterfaceSubClass", "InterfaceProtocol"];
        let v = probe::get(&mut usb(), f.root(), &interface, &["usb1", "1-1.3", "1", "1-1.3:1.0"], &names);
        assert_eq!(probe::line(&v, &names), "0|08|06|50");

        let ports = "Device.USB.Port.{i}.";
        assert_eq!(probe::list(&mut usb(), f.root(), ports, &[]), ["usb1-port1", "usb1-port2", "1-1-port3"]);
        let names = ["Name", "Standard", "Type", "Rate", "Power"];
        let get = |key| probe::line(&probe::get(&mut usb(), f.root(), ports, &[key], &names), &names);
        assert_eq!(get("usb1-port1"), "usb1-port1|2.00|Host|High|Self");
        assert_eq!(get("1-1-port3"), "1-1-port3|2.10|Hub|-|Bus");
    }

    #[test]
    fn a_key_is_no_way_out() {
        let f = Folder::new();
        f.file("sys/bus/usb/devices/x", "");
        f.file("sys/bus/usb/product", "outside\n");
        for key in ["", "..", "../../usb", "/etc"] {
            let v = probe::get(
                &mut usb(),
                f.root(),
                DEVICE,
                &["usb1", key],
                &["ProductClass", "USBPort", "Port"],
            );
            assert_eq!(v.get("ProductClass"), None);
        }
    }
}
