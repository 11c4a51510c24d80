//! Who the device is, as far as firmware tables, the device tree and the network ports tell.
//!
//! Resolved once in the device's life: the engine puts the configuration's words over these, and
//! journals the result, so that a port that is replaced does not make another device of it.

use crate::handlers::agent::DeviceIdentity;
use crate::sys::host;
use crate::sys::order;
use std::path::Path;

/// The standard's bound on the texts of DeviceId, in characters.
const MAX_TEXT: usize = 64;

/// The identity that the platform below `root` tells. Nothing of it is empty: what no source tells
/// gets a neutral text, and an OUI that is not known is `000000`.
pub fn resolve(root: &Path) -> DeviceIdentity {
    let uname = host::uname(root);
    let os = OsRelease::read(root);
    let macs = macs(root);

    let model =
        dmi(root, "product_name").or_else(|| device_tree(root, "model")).or_else(|| dmi(root, "board_name"));
    let vendor = dmi(root, "sys_vendor")
        .or_else(|| dmi(root, "board_vendor"))
        // A device tree says `vendor,model`.
        .or_else(|| device_tree(root, "compatible")?.split_once(',').map(|(vendor, _)| vendor.to_owned()));
    let machine = clean(&uname.machine);

    let oui = macs.iter().find(|m| m.is_universal()).map(|m| m.oui());
    let serial = dmi(root, "product_serial")
        .or_else(|| dmi(root, "board_serial"))
        .or_else(|| device_tree(root, "serial-number"))
        .or_else(|| cpuinfo_serial(root))
        .or_else(|| macs.iter().find(|m| m.is_universal()).or(macs.first()).map(Mac::digits))
        .unwrap_or_else(|| "000000000000".to_owned());
    let hardware = dmi(root, "product_version")
        .or_else(|| dmi(root, "board_version"))
        .or_else(|| device_tree(root, "model"))
        .or_else(|| machine.clone())
        .unwrap_or_else(|| "unknown".to_owned());
    let software = os
        .version
        .clone()
        .or_else(|| os.pretty_name.clone())
        .or_else(|| clean(&uname.release))
        .unwrap_or_else(|| "unknown".to_owned());
    let model_name = model.clone().unwrap_or_else(|| match &machine {
        Some(machine) => format!("Linux {machine}"),
        None => "Linux".to_owned(),
    });
    let description = match os.pretty_name {
        Some(os) => format!("{model_name}, {os}"),
        None => model_name.clone(),
    };
    DeviceIdentity {
        manufacturer: vendor.unwrap_or_else(|| "Unknown".to_owned()),
        manufacturer_oui: oui.unwrap_or_else(|| "000000".to_owned()),
        product_class: model.unwrap_or_else(|| "Linux".to_owned()),
        serial_number: serial,
        model_name: cut(&model_name, MAX_TEXT),
        description: cut(&description, 256),
        hardware_version: hardware,
        software_version: software,
    }
}

/// What firmware tables say, unless it is one of the texts that board makers forget to replace.
fn dmi(root: &Path, name: &str) -> Option<String> {
    let text = clean(&host::line(root, &format!("/sys/class/dmi/id/{name}"))?)?;
    let lower = text.to_ascii_lowercase();
    const FILLERS: [&str; 12] = [
        "to be filled",
        "default string",
        "not specified",
        "not applicable",
        "not available",
        "none",
        "unknown",
        "n/a",
        "system serial",
        "system product",
        "system manufacturer",
        "system version",
    ];
    let filler = FILLERS.iter().any(|f| lower.starts_with(f))
        || matches!(
            lower.as_str(),
            "0123456789" | "123456789" | "o.e.m." | "oem" | "sku" | "chassis serial number"
        )
        || text.bytes().all(|b| matches!(b, b'0' | b' ' | b'.' | b'-' | b'x' | b'X'));
    (!filler).then_some(text)
}

fn device_tree(root: &Path, name: &str) -> Option<String> {
    let line = host::line(root, &format!("/proc/device-tree/{name}"))
        .or_else(|| host::line(root, &format!("/sys/firmware/devicetree/base/{name}")))?;
    clean(&line)
}

/// The `Serial` line of small ARM boards.
fn cpuinfo_serial(root: &Path) -> Option<String> {
    let text = host::read(root, "/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("Serial"))?;
    clean(line.split_once(':')?.1).filter(|s| s.bytes().any(|b| b != b'0'))
}

/// The name and version of the system in one, as it calls itself.
pub fn system_name(root: &Path) -> Option<String> {
    OsRelease::read(root).pretty_name
}

/// What /etc/os-release says.
struct OsRelease {
    version: Option<String>,
    pretty_name: Option<String>,
}

impl OsRelease {
    fn read(root: &Path) -> OsRelease {
        let text = host::read(root, "/etc/os-release").or_else(|_| host::read(root, "/usr/lib/os-release"));
        let mut os = OsRelease { version: None, pretty_name: None };
        for line in text.unwrap_or_default().lines() {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let value = || clean(value.trim().trim_matches(['"', '\'']));
            match name.trim() {
                "VERSION_ID" => os.version = value(),
                "PRETTY_NAME" => os.pretty_name = value(),
                _ => {}
            }
        }
        os
    }
}

/// The address of a port.
#[derive(PartialEq, Eq, Debug)]
struct Mac {
    bytes: [u8; 6],
    /// Given by the maker of the port, not by software.
    permanent: bool,
}

impl Mac {
    /// Whether its first half names a maker: permanent and not locally administered.
    fn is_universal(&self) -> bool {
        self.permanent && self.bytes[0] & 0x02 == 0
    }

    fn oui(&self) -> String {
        self.digits()[..6].to_owned() // twelve ASCII digits
    }

    fn digits(&self) -> String {
        self.bytes.iter().map(|b| format!("{b:02X}")).collect()
    }
}

/// The addresses of the ports, hardware before software and then in the kernel's order.
fn macs(root: &Path) -> Vec<Mac> {
    let mut found = Vec::new();
    for name in host::names(root, "/sys/class/net") {
        let file = |f: &str| format!("/sys/class/net/{name}/{f}");
        let Some(bytes) = host::line(root, &file("address")).as_deref().and_then(mac) else {
            continue;
        };
        let index: u32 = host::number(root, &file("ifindex")).unwrap_or(u32::MAX);
        let hardware = host::metadata(root, &file("device")).is_some();
        let permanent = host::number::<u8>(root, &file("addr_assign_type")).unwrap_or(0) == 0;
        found.push((!hardware, index, Mac { bytes, permanent }));
    }
    order::sort_by(&mut found, |a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    found.into_iter().map(|(_, _, mac)| mac).collect()
}

/// Six bytes with colons, not all zero and no group address.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0u8; 6];
    let mut words = text.split(':');
    for byte in &mut bytes {
        let word = words.next().filter(|w| w.len() == 2)?;
        *byte = u8::from_str_radix(word, 16).ok()?;
    }
    (words.next().is_none() && bytes != [0; 6] && bytes[0] & 1 == 0).then_some(bytes)
}

/// A text without control characters, trimmed and cut to [`MAX_TEXT`]; `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let plain: String =
        text.chars().map(|c| if c.is_control() || c == '\u{fffd}' { ' ' } else { c }).collect();
    let text = cut(plain.trim(), MAX_TEXT);
    (!text.is_empty()).then_some(text)
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    // Proves: I-1
    #[test]
    fn a_board_with_firmware_tables() {
        let f = Folder::new();
        f.file("sys/class/dmi/id/sys_vendor", "PC Engines\n");
        f.file("sys/class/dmi/id/product_name", "apu2\n");
        f.file("sys/class/dmi/id/product_version", "1.0\n");
        f.file("sys/class/dmi/id/product_serial", "1219763\n");
        f.file("sys/class/net/lo/address", "00:00:00:00:00:00\n");
        f.file("sys/class/net/br0/address", "02:11:22:33:44:55\n");
        f.file("sys/class/net/br0/ifindex", "1\n");
        f.file("sys/class/net/eth0/address", "00:0d:b9:4a:7f:fc\n");
        f.file("sys/class/net/eth0/ifindex", "2\n");
        f.file("sys/class/net/eth0/device/vendor", "0x8086\n");
        f.file("etc/os-release", "NAME=\"OpenWrt\"\nVERSION_ID=\"23.05.2\"\nPRETTY_NAME='OpenWrt 23.05.2'\n");
        let id = resolve(f.root());
        assert_eq!(id.manufacturer, "PC Engines");
        assert_eq!(id.manufacturer_oui, "000DB9", "I-1: upper-case hex digits");
        assert_eq!((id.product_class.as_str(), id.serial_number.as_str()), ("apu2", "1219763"));
        assert_eq!((id.hardware_version.as_str(), id.software_version.as_str()), ("1.0", "23.05.2"));
        assert_eq!(id.description, "apu2, OpenWrt 23.05.2");
    }

    #[test]
    fn a_board_with_a_device_tree() {
        let f = Folder::new();
        f.bytes("proc/device-tree/model", b"Xiaomi Mi Router 3G\0");
        f.bytes("proc/device-tree/compatible", b"xiaomi,mi-router-3g\0mediatek,mt7621-soc\0");
        f.file("sys/class/net/eth0/address", "8c:53:c3:01:02:03\n");
        f.file("sys/class/net/eth0/addr_assign_type", "0\n");
        let id = resolve(f.root());
        assert_eq!((id.manufacturer.as_str(), id.product_class.as_str()), ("xiaomi", "Xiaomi Mi Router 3G"));
        assert_eq!((id.manufacturer_oui.as_str(), id.serial_number.as_str()), ("8C53C3", "8C53C3010203"));
        assert_eq!(id.hardware_version, "Xiaomi Mi Router 3G");
    }

    #[test]
    fn a_machine_that_says_nothing() {
        let f = Folder::new();
        f.file("sys/class/dmi/id/product_serial", "To Be Filled By O.E.M.\n");
        f.file("sys/class/dmi/id/product_name", "Default string\n");
        f.file("sys/class/dmi/id/board_serial", "0000-0000\n");
        f.file("sys/class/net/tap0/address", "06:00:ac:10:00:02\n");
        f.file(".cwmpd/uname", "machine=x86_64\nrelease=6.1.0\n");
        let id = resolve(f.root());
        assert_eq!(id.manufacturer_oui, "000000", "a local address names no maker");
        assert_eq!(id.serial_number, "0600AC100002");
        assert_eq!((id.software_version.as_str(), id.hardware_version.as_str()), ("6.1.0", "x86_64"));
        let nothing = resolve(Folder::new().root());
        for text in [
            &nothing.manufacturer,
            &nothing.serial_number,
            &nothing.software_version,
            &nothing.hardware_version,
        ] {
            assert!(!text.is_empty());
        }
    }

    #[test]
    fn hostile_texts_are_made_to_fit() {
        let f = Folder::new();
        f.bytes("sys/class/dmi/id/sys_vendor", &[0xff; 5000]);
        f.file("sys/class/dmi/id/product_name", &format!("a\u{1}b{}", "\u{e4}".repeat(200)));
        f.bytes("etc/os-release", b"VERSION_ID=\x01\x02\n=\nPRETTY_NAME=\n");
        for bad in [
            "",
            "zz:00:00:00:00:01",
            "00:11:22:33:44",
            "00:11:22:33:44:55:66",
            "\u{e9}\u{e9}:1",
            "01:00:5e:00:00:01",
        ] {
            assert_eq!(mac(bad), None, "{bad}");
        }
        let id = resolve(f.root());
        assert_eq!(id.manufacturer, "Unknown");
        assert_eq!(id.model_name.chars().count(), 64);
        assert!(!id.model_name.chars().any(char::is_control));
        assert!(!id.software_version.is_empty());
    }

    #[test]
    fn this_machine_has_an_identity() {
        let id = resolve(Path::new("/"));
        assert_eq!(id.manufacturer_oui.len(), 6);
        assert!(!id.serial_number.is_empty() && !id.software_version.is_empty());
    }
}
