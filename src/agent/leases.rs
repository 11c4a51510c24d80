//! What the device's DHCP clients and server hand over, as small files in `run_dir/leases`: what a provider
//! said with a lease (options 43, 125 and 17), and which devices said who they are (Annex F).
//!
//! Files, and not messages, since a lease may be there before the agent is: who hands over (`cwmpd lease`)
//! writes the file whole, and then tells the daemon, if there is one. They lie in memory, as leases do.
//!
//! # Error handling
//! Files are written by this program alone, but what stands in them was said by the network: it is bounded
//! when it is written, and judged when it is read.

use super::start;
use crate::config::Config;
use crate::cwmp::discovery::{self, Identity, Kind, MAX_OPTION, Offer};
use crate::cwmp::fields;
use crate::handlers;
use crate::sys::{file, order};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The folder in `run_dir`.
const FOLDER: &str = "leases";
/// The most leases that are read; a router has one or two uplinks.
pub const MAX_LEASES: usize = 16;
/// The most devices that are kept: whoever is on the LAN can invent them.
pub const MAX_DEVICES: usize = 256;
/// The most bytes of a file: two options in hexadecimal digits.
const MAX_FILE: u64 = 5 * MAX_OPTION as u64;
/// The longest name of an interface, in bytes: netifd's may be longer than the kernel's 15.
const MAX_INTERFACE: usize = 32;

/// What one lease said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The name of its file: family and interface, `4-wan`.
    pub id: String,
    /// Of which interface, as who handed it over calls it; on OpenWrt netifd's name.
    pub interface: String,
    /// The kernel's name of the same.
    pub device: String,
    /// What was said.
    pub offer: Offer,
}

/// A device that said who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Managed {
    /// Its MAC address in lower case.
    pub mac: String,
    /// Who it is.
    pub identity: Identity,
}

/// All that was handed over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leases {
    /// Those of DHCPv4 before those of DHCPv6, by name.
    pub leases: Vec<Lease>,
    /// By MAC address.
    pub devices: Vec<Managed>,
    /// What could not be understood, a line each.
    pub wrong: Vec<String>,
}

/// Whether a file's name is a lease's: `4-` or `6-` and the interface. What is half written begins with a dot.
fn is_lease(name: &str) -> bool {
    name.starts_with("4-") || name.starts_with("6-")
}

fn folder(run_dir: &Path) -> PathBuf {
    run_dir.join(FOLDER)
}

/// Whether a name can stand in the name of a file, and in an argument.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
    (1..=MAX_INTERFACE).contains(&name.len()) && !name.starts_with(['.', '-']) && name.bytes().all(fits)
}

fn judge_name(name: &str) -> Result<(), String> {
    if is_name(name) { Ok(()) } else { Err(format!("`{}` is no name of an interface", name.escape_debug())) }
}

/// Keeps what a lease said: number and hexadecimal digits of each option, as DHCP clients have them. `device` is the
/// kernel's name of the interface.
///
/// # Errors
/// In words: not a name, an option; no room for one more; or the file cannot be written.
pub fn keep(
    run_dir: &Path,
    family: u8,
    interface: &str,
    device: &str,
    options: &[(u16, &str)],
) -> Result<(), String> {
    judge_name(interface)?;
    judge_name(device)?;
    let name = format!("{family}-{interface}");
    let there = names(run_dir);
    if !there.contains(&name) && there.iter().filter(|n| is_lease(n)).count() >= MAX_LEASES {
        return Err(format!("there are {MAX_LEASES} leases already"));
    }
    let mut text = format!("device {device}\n");
    for (number, digits) in options {
        let digits: String = digits.chars().filter(|c| *c != ':').collect();
        if digits.len() > 2 * MAX_OPTION || unhex(&digits).is_none() {
            return Err(format!("option {number} is not given as hexadecimal digits"));
        }
        text.push_str(&format!("{number} {digits}\n"));
    }
    write(run_dir, &name, text.as_bytes())
}

/// Forgets a lease that is no more.
///
/// # Errors
/// In words: not a name; or the file cannot be removed.
pub fn forget(run_dir: &Path, family: u8, interface: &str) -> Result<(), String> {
    judge_name(interface)?;
    remove(run_dir, &format!("{family}-{interface}"))
}

fn remove(run_dir: &Path, name: &str) -> Result<(), String> {
    match fs::remove_file(folder(run_dir).join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{name}: {error}")),
        _ => Ok(()),
    }
}

/// Keeps who a device is, or with `None` forgets it.
///
/// # Errors
/// In words: no MAC address; no room for one more; or the file cannot be written.
pub fn keep_device(run_dir: &Path, mac: &str, identity: Option<&Identity>) -> Result<(), String> {
    let mac = mac.to_ascii_lowercase();
    let is_mac = mac.len() == 17
        && mac.bytes().enumerate().all(|(at, b)| if at % 3 == 2 { b == b':' } else { b.is_ascii_hexdigit() });
    if !is_mac {
        return Err(format!("`{}` is no MAC address", mac.escape_debug()));
    }
    let name = format!("device-{mac}");
    let Some(identity) = identity else {
        return remove(run_dir, &name);
    };
    let there = names(run_dir);
    if !there.contains(&name) && there.iter().filter(|n| n.starts_with("device-")).count() >= MAX_DEVICES {
        return Err(format!("there are {MAX_DEVICES} devices already"));
    }
    let mut text = String::new();
    fields::push_line(&mut text, &[&identity.oui, &identity.serial_number, &identity.product_class]);
    write(run_dir, &name, text.as_bytes())
}

fn write(run_dir: &Path, name: &str, content: &[u8]) -> Result<(), String> {
    let folder = folder(run_dir);
    let said = |error: io::Error| format!("{}: {error}", folder.join(name).display());
    // The daemon may not have made its folder yet; both are for their owner alone.
    for dir in [run_dir, &folder] {
        file::own_folder(dir).map_err(said)?;
    }
    file::replace(&folder.join(name), content, 0o600).map_err(said)
}

/// The names in the folder, in order, as many as there can be.
fn names(run_dir: &Path) -> Vec<String> {
    let Ok(dir) = fs::read_dir(folder(run_dir)) else { return Vec::new() };
    let all = dir.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = all.take(2 * (MAX_LEASES + MAX_DEVICES)).collect();
    order::sort(&mut names);
    names
}

/// Who this device is, for what its DHCP clients and server say of it. Once the agent has run, the journal knows,
/// which only the agent reads: the same, unless configuration or platform have changed since.
pub fn device(config: &Config) -> Option<Identity> {
    let id = start::device_id(config, &handlers::linux::identity::resolve(&config.root));
    Identity::new(&id.oui, &id.serial_number, &id.product_class)
}

/// Reads all that was handed over.
pub fn read(run_dir: &Path) -> Leases {
    let mut found = Leases::default();
    for name in names(run_dir) {
        let Some(text) = content(&folder(run_dir).join(&name)) else { continue };
        if let Some(mac) = name.strip_prefix("device-") {
            let said = fields::lines::<3>(&text).next();
            let identity = said.and_then(|[oui, serial, class]| Identity::new(&oui, &serial, &class));
            match identity {
                Some(identity) if found.devices.len() < MAX_DEVICES => {
                    found.devices.push(Managed { mac: mac.to_owned(), identity });
                }
                _ => {}
            }
        } else if let Some((family, interface)) = name.split_once('-')
            && is_lease(&name)
            && found.leases.len() < MAX_LEASES
        {
            let offer = offer(family, interface, &text, &mut found.wrong);
            let device = text.lines().find_map(|line| line.strip_prefix("device ")).unwrap_or(interface);
            let (interface, device) = (interface.to_owned(), device.to_owned());
            found.leases.push(Lease { id: name, interface, device, offer });
        }
    }
    found
}

fn content(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

fn offer(family: &str, interface: &str, text: &str, wrong: &mut Vec<String>) -> Offer {
    let mut offer = Offer::default();
    // 43 before 125 (DH-4): the vendor class asks for it.
    for (wanted, option, kind) in
        [("4", 43, Kind::VendorSpecific), ("4", 125, Kind::VendorIdentifying), ("6", 17, Kind::Version6)]
    {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let mut said = lines.filter(|(number, _)| family == wanted && number.parse() == Ok(option));
        let Some(bytes) = said.next().and_then(|(_, digits)| unhex(digits)) else { continue };
        for reason in discovery::read(kind, &bytes, &mut offer) {
            wrong.push(format!("DHCP on {interface}, option {option}: {reason}"));
        }
    }
    offer
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let nibble = |b: &u8| char::from(*b).to_digit(16);
    let pair = |two: &[u8]| match two {
        [high, low] => Some((nibble(high)? * 16 + nibble(low)?) as u8),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    const OPTION_43: &str = "0118687474703a2f2f6163732e6578616d706c652e6e65742f2f";
    const URL: &str = "http://acs.example.net//";

    #[test]
    fn a_lease_comes_back() {
        let f = Folder::new();
        let run = f.root().join("run");
        assert_eq!(read(&run), Leases::default());
        keep(&run, 6, "wan6", "eth1", &[(17, "00000DE9000100126874 7470")]).unwrap_err();
        keep(&run, 6, "wan6", "eth1", &[(17, "00000de90001000868747470733a2f2f")]).unwrap();
        keep(&run, 4, "wan", "eth1", &[(43, OPTION_43), (125, "00:00:0d:e9:01:01")]).unwrap();
        let found = read(&run);
        assert_eq!(found.leases.iter().map(|l| l.interface.as_str()).collect::<Vec<_>>(), ["wan", "wan6"]);
        assert_eq!(found.leases[0].offer.url, URL);
        assert_eq!(
            found.wrong,
            [
                "DHCP on wan, option 125: a sub-option is longer than the option",
                "DHCP on wan6, option 17: what is offered as the ACS's URL is none",
            ]
        );
        // Each option counts in its own family only, and a new lease says all there is.
        keep(&run, 4, "wan", "eth1", &[(17, "00000de900010000"), (9, "")]).unwrap();
        assert_eq!(read(&run).leases[0].offer, Offer::default());
        let mode = |path: &Path| {
            use std::os::unix::fs::PermissionsExt;
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode(&folder(&run)), mode(&folder(&run).join("4-wan"))), (0o700, 0o600));
    }

    #[test]
    fn what_is_no_lease_is_refused() {
        let f = Folder::new();
        for (interface, digits) in [
            ("", ""),
            ("../wan", ""),
            ("a/b", ""),
            (".hidden", ""),
            ("-f", ""),
            ("a b", ""),
            ("$(id)", ""),
            (&"w".repeat(33), ""),
            ("wan", "0"),
            ("wan", "0g"),
            ("wan", "$(id)"),
            ("wan", &"00".repeat(MAX_OPTION + 1)),
        ] {
            assert!(keep(f.root(), 4, interface, "eth1", &[(43, digits)]).is_err(), "{interface} {digits}");
        }
        assert!(names(f.root()).is_empty());
    }

    #[test]
    fn no_more_leases_than_can_be() {
        let f = Folder::new();
        let keep_one = |n: usize| keep(f.root(), 4, &format!("wan{n}"), "eth1", &[(43, OPTION_43)]);
        for n in 0..MAX_LEASES {
            keep_one(n).unwrap();
        }
        keep_one(MAX_LEASES).unwrap_err();
        assert_eq!((read(f.root()).leases.len(), names(f.root()).len()), (MAX_LEASES, MAX_LEASES));
        // One that is there may say something else; one that is gone makes room.
        keep_one(3).unwrap();
        forget(f.root(), 4, "wan3").unwrap();
        forget(f.root(), 4, "wan3").unwrap();
        forget(f.root(), 4, "../../x").unwrap_err();
        keep_one(MAX_LEASES).unwrap();
        let f = Folder::new();
        f.file("leases/4-wan", &format!("43 {}\n", "00".repeat(3 * MAX_OPTION)));
        assert_eq!(read(f.root()).leases[0].offer, Offer::default(), "half of it is nothing");
    }

    /// F-4: devices come and go; nobody on the LAN can fill the memory with them.
    // Proves: F-4
    #[test]
    fn f_4_devices_come_and_go() {
        let f = Folder::new();
        let identity = Identity::new("00d09e", "S\u{e9}rial 1", "").unwrap();
        keep_device(f.root(), "02:00:00:00:01:AA", Some(&identity)).unwrap();
        keep_device(f.root(), "02:00:00:00:01:0b", Some(&identity)).unwrap();
        let macs = || read(f.root()).devices.into_iter().map(|d| d.mac).collect::<Vec<_>>();
        assert_eq!(macs(), ["02:00:00:00:01:0b", "02:00:00:00:01:aa"]);
        assert_eq!(read(f.root()).devices[0].identity, identity);
        keep_device(f.root(), "02:00:00:00:01:aa", None).unwrap();
        keep_device(f.root(), "02:00:00:00:01:ac", None).unwrap();
        assert_eq!(macs(), ["02:00:00:00:01:0b"]);
        for bad in ["", "02:00:00:00:01", "02:00:00:00:01:0g", "../../../etc/passwd", "02-00-00-00-01-0b"] {
            assert!(keep_device(f.root(), bad, Some(&identity)).is_err(), "{bad}");
        }
        for n in 0..MAX_DEVICES - 1 {
            keep_device(f.root(), &format!("02:00:00:01:{:02x}:{:02x}", n / 256, n % 256), Some(&identity))
                .unwrap();
        }
        assert!(keep_device(f.root(), "02:00:00:00:02:00", Some(&identity)).is_err());
        keep_device(f.root(), "02:00:00:00:01:0b", Some(&identity)).unwrap();
        assert_eq!(macs().len(), MAX_DEVICES);
    }
}
