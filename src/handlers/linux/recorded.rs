//! What netlink would say, read from files: the network of a machine that is not this one.
//!
//! With a `root` other than `/` nothing of the host shows through, so that `root` can hold a whole
//! recorded router. Below `root/.cwmpd/` lie text files: `links`, `addresses`, `routes`,
//! `neighbours`, `queues` and `sockets`. One record a line, made of words `name=value` in any order; a `#` begins a comment,
//! unknown words are passed over. A missing file is an empty one, and a
//! line that cannot be read is logged and left out. Devices are named by their names.
//!
//! ```text
//! # links; type ether (default) loopback ppp tunnel tunnel6 sit gre gre6 rawip none
//! # state unknown (default) notpresent down lowerlayerdown testing dormant up
//! # flags of up loopback pointopoint running noarp lower_up
//! index=2 name=eth0 mac=02:00:00:00:00:01 mtu=1500 flags=up,running,lower_up state=up rx_bytes=1000
//! name=eth0.10 kind=vlan lower=eth0 vlan=10 protocol=0x8100 flags=up,running,lower_up state=up
//! name=lan1 master=br-lan vlans=1:pvid:untagged,10
//! # addresses; flags of temporary optimistic dadfailed deprecated tentative permanent mngtmpaddr
//! # preferred and valid in seconds or forever (default)
//! dev=br-lan address=192.168.1.1/24 flags=permanent
//! dev=ppp0 address=10.0.0.2/32 peer=10.0.0.1
//! # routes; type as in `ip route`, proto kernel boot static ra dhcp ospf rip or a number
//! dst=default via=10.0.0.1 dev=ppp0 metric=100 proto=dhcp
//! # neighbours; state of incomplete reachable stale delay probe failed noarp permanent
//! dev=br-lan address=192.168.1.20 mac=02:00:00:00:00:20 state=reachable confirmed=3
//! bridge=br-lan dev=lan1 mac=02:00:00:00:00:20 confirmed=3
//! # queues; parent root (default) or a number; hardware=1 when the device itself runs it
//! dev=eth0 kind=fq_codel packets=10 bytes=1000 drops=1 waiting=2
//! # TCP sockets; those without `remote` listen
//! local=192.168.1.1:22 remote=192.168.1.20:50000
//! ```
//!
//! Without `sockets` it is `proc/net/tcp` and `tcp6`, which must be in this machine's byte order.
//!
//! An index that is not given is the line's number. Counters have the kernel's names (`rx_packets`,
//! `tx_dropped`, `multicast` …). MTU and the up flag are overruled by `root/sys/class/net/*/mtu` and
//! `flags` where those exist, since that is where a change is written to.

use super::network::Device;
use crate::sys::netlink::MAX_RECORDS;
use crate::sys::netlink::link::{Link, Mac, PortVlan, Stats, hardware, link_flag};
use crate::sys::netlink::queue::{Queue, ROOT};
use crate::sys::netlink::route::{
    Address, FOREVER, Neighbour, Route, Socket, TABLE_MAIN, address_flag, bits, neighbour_state,
};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The folder below `root`.
pub const FOLDER: &str = ".cwmpd";
/// The most bytes of one file.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Flags of links, of those that are told.
pub(super) const LINK_FLAGS: &[(&str, u32)] = &[
    ("up", link_flag::UP),
    ("loopback", link_flag::LOOPBACK),
    ("pointopoint", link_flag::POINT_TO_POINT),
    ("running", link_flag::RUNNING),
    ("noarp", link_flag::NO_ARP),
    ("lower_up", link_flag::LOWER_UP),
];
/// Flags of addresses.
pub(super) const ADDRESS_FLAGS: &[(&str, u32)] = &[
    ("temporary", address_flag::TEMPORARY),
    ("optimistic", address_flag::OPTIMISTIC),
    ("dadfailed", address_flag::DAD_FAILED),
    ("deprecated", address_flag::DEPRECATED),
    ("tentative", address_flag::TENTATIVE),
    ("permanent", address_flag::PERMANENT),
    ("mngtmpaddr", address_flag::MANAGE_TEMPORARY),
];
/// States of neighbours.
pub(super) const NEIGHBOUR_STATES: &[(&str, u32)] = &[
    ("incomplete", neighbour_state::INCOMPLETE as u32),
    ("reachable", neighbour_state::REACHABLE as u32),
    ("stale", neighbour_state::STALE as u32),
    ("delay", neighbour_state::DELAY as u32),
    ("probe", neighbour_state::PROBE as u32),
    ("failed", neighbour_state::FAILED as u32),
    ("noarp", neighbour_state::NO_ARP as u32),
    ("permanent", neighbour_state::PERMANENT as u32),
];

/// The words of one line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .split_ascii_whitespace()
            .find_map(|w| w.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v))
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or("").to_string()
    }

    /// A number in decimal, or in hexadecimal behind `0x`; `or` when there is none.
    fn number(&self, name: &str, or: u64) -> Option<u64> {
        match self.get(name) {
            None => Some(or),
            Some("forever") => Some(FOREVER.into()),
            Some(text) => match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            },
        }
    }

    fn u32(&self, name: &str, or: u32) -> Option<u32> {
        self.number(name, or.into())?.try_into().ok()
    }

    fn u16(&self, name: &str, or: u16) -> Option<u16> {
        self.number(name, or.into())?.try_into().ok()
    }

    fn u8(&self, name: &str, or: u8) -> Option<u8> {
        self.number(name, or.into())?.try_into().ok()
    }

    /// One of a few names, or a number; `or` when there is none.
    fn named(&self, name: &str, names: &[(&str, u32)], or: u32) -> Option<u32> {
        match self.get(name) {
            Some(text) if !text.starts_with(|c: char| c.is_ascii_digit()) => find(names, text),
            _ => self.u32(name, or),
        }
    }

    /// A comma-separated set of names.
    fn bits(&self, name: &str, names: &[(&str, u32)]) -> Option<u32> {
        let words = self.get(name).unwrap_or("").split(',').filter(|w| !w.is_empty());
        words.map(|w| find(names, w)).try_fold(0, |sum, bit| Some(sum | bit?))
    }

    fn ip(&self, name: &str) -> Option<Option<IpAddr>> {
        self.get(name).map(|text| text.parse().ok()).map_or(Some(None), |ip| ip.map(Some))
    }
}

fn find(names: &[(&str, u32)], text: &str) -> Option<u32> {
    names.iter().find(|(n, _)| *n == text).map(|(_, v)| *v)
}

/// Reads a file's records; what `one` cannot read is logged with its line.
fn records<T>(
    root: &Path,
    file: &str,
    mut one: impl FnMut(usize, &Words<'_>) -> Option<T>,
) -> Result<Vec<T>, String> {
    let path = root.join(FOLDER).join(file);
    let mut text = String::new();
    match std::fs::File::open(&path) {
        Ok(open) => {
            open.take(MAX_FILE).read_to_string(&mut text).map_err(|e| format!("{}: {e}", path.display()))?
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let mut out = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = line.split_once('#').map_or(line, |(words, _)| words).trim();
        if words.is_empty() {
            continue;
        }
        match one(at + 1, &Words(words)) {
            Some(record) if out.len() < MAX_RECORDS => out.push(record),
            Some(_) => break,
            None => log::warn!("{}:{}: not a record of {file}", path.display(), at + 1),
        }
    }
    Ok(out)
}

/// A link's counters, by the kernel's names.
pub(super) fn counters(s: &mut Stats) -> [(&'static str, &mut u64); 12] {
    [
        ("rx_packets", &mut s.rx_packets),
        ("tx_packets", &mut s.tx_packets),
        ("rx_bytes", &mut s.rx_bytes),
        ("tx_bytes", &mut s.tx_bytes),
        ("rx_errors", &mut s.rx_errors),
        ("tx_errors", &mut s.tx_errors),
        ("rx_dropped", &mut s.rx_dropped),
        ("tx_dropped", &mut s.tx_dropped),
        ("multicast", &mut s.multicast),
        ("collisions", &mut s.collisions),
        ("rx_crc_errors", &mut s.rx_crc_errors),
        ("rx_missed_errors", &mut s.rx_missed_errors),
    ]
}

/// The devices.
///
/// # Errors
/// The file is there and cannot be read.
pub fn links(root: &Path) -> Result<Vec<Link>, String> {
    const TYPES: &[(&str, u32)] = &[
        ("ether", hardware::ETHER as u32),
        ("loopback", hardware::LOOPBACK as u32),
        ("ppp", hardware::PPP as u32),
        ("tunnel", hardware::TUNNEL as u32),
        ("tunnel6", hardware::TUNNEL6 as u32),
        ("sit", hardware::SIT as u32),
        ("gre", hardware::GRE as u32),
        ("gre6", hardware::GRE6 as u32),
        ("rawip", hardware::RAW_IP as u32),
        ("none", hardware::NONE as u32),
    ];
    const STATES: &[(&str, u32)] = &[
        ("unknown", 0),
        ("notpresent", 1),
        ("down", 2),
        ("lowerlayerdown", 3),
        ("testing", 4),
        ("dormant", 5),
        ("up", 6),
    ];
    let named = records(root, "links", |line, w| {
        let mut link = Link {
            index: w.u32("index", line as u32)?,
            name: w.text("name"),
            kind: w.text("kind"),
            hardware: w.named("type", TYPES, hardware::ETHER.into())? as u16,
            flags: w.bits("flags", LINK_FLAGS)?,
            state: w.named("state", STATES, 0)? as u8,
            mtu: w.u32("mtu", 1500)?,
            mtu_min: w.u32("mtu_min", 0)?,
            mtu_max: w.u32("mtu_max", 0)?,
            mac: w.get("mac").and_then(Mac::read),
            vlan: w.u16("vlan", 0)?,
            protocol: w.u16("protocol", 0)?,
            ..Link::default()
        };
        for word in w.get("vlans").unwrap_or("").split(',').filter(|v| !v.is_empty()) {
            let id = word.split(':').next()?.parse().ok().filter(|id| (1..=4094).contains(id))?;
            link.vlans.push(PortVlan {
                id,
                pvid: word.contains(":pvid"),
                untagged: word.contains(":untagged"),
            });
        }
        for (name, counter) in counters(&mut link.stats) {
            *counter = w.number(name, 0)?;
        }
        let above = (w.text("master"), w.text("lower"));
        link.has_usable_name().then_some((link, above))
    })?;
    // Names become indexes when all are known.
    let index: Vec<(String, u32)> = named.iter().map(|(l, _)| (l.name.clone(), l.index)).collect();
    let of = |name: &str| index.iter().find(|(n, _)| n == name).map_or(0, |(_, i)| *i);
    Ok(named
        .into_iter()
        .map(|(link, (master, lower))| Link { master: of(&master), lower: of(&lower), ..link })
        .collect())
}

fn index(links: &[Device], name: Option<&str>) -> Option<u32> {
    links.iter().find(|l| Some(l.name.as_str()) == name).map(|l| l.index)
}

/// `192.168.1.1/24`; without bits it is one address.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().ok()?;
    let prefix = prefix.map_or(Some(bits(address)), |p| p.parse().ok())?;
    (prefix <= bits(address)).then_some((address, prefix))
}

/// The addresses.
///
/// # Errors
/// The file is there and cannot be read.
pub fn addresses(root: &Path, links: &[Device]) -> Result<Vec<Address>, String> {
    records(root, "addresses", |_, w| {
        let (local, prefix) = network(w.get("address")?)?;
        Some(Address {
            link: index(links, w.get("dev"))?,
            local,
            peer: w.ip("peer")?,
            prefix,
            flags: w.bits("flags", ADDRESS_FLAGS)?,
            preferred: w.u32("preferred", FOREVER)?,
            valid: w.u32("valid", FOREVER)?,
            protocol: w.named("proto", &[("kernel_lo", 1), ("kernel_ra", 2), ("kernel_ll", 3)], 0)? as u8,
        })
    })
}

/// The routes.
///
/// # Errors
/// The file is there and cannot be read.
pub fn routes(root: &Path, links: &[Device]) -> Result<Vec<Route>, String> {
    const KINDS: &[(&str, u32)] = &[
        ("unicast", 1),
        ("local", 2),
        ("broadcast", 3),
        ("anycast", 4),
        ("multicast", 5),
        ("blackhole", 6),
        ("unreachable", 7),
        ("prohibit", 8),
    ];
    const PROTOCOLS: &[(&str, u32)] =
        &[("kernel", 2), ("boot", 3), ("static", 4), ("ra", 9), ("dhcp", 16), ("ospf", 188), ("rip", 189)];
    records(root, "routes", |_, w| {
        let gateway = w.ip("via")?;
        let (destination, prefix) = match w.get("dst")? {
            "default" if gateway.is_some_and(|g| g.is_ipv6()) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
            "default" => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            text => network(text)?,
        };
        Some(Route {
            destination,
            prefix,
            gateway,
            link: match w.get("dev") {
                None => 0,
                name => index(links, name)?,
            },
            metric: w.u32("metric", 0)?,
            tos: w.u8("tos", 0)?,
            table: w.named("table", &[("main", TABLE_MAIN), ("local", 255), ("default", 253)], TABLE_MAIN)?,
            protocol: w.named("proto", PROTOCOLS, 3)? as u8,
            kind: w.named("type", KINDS, 1)? as u8,
            preference: w.named("pref", &[("medium", 0), ("high", 1), ("low", 3)], 0)? as u8,
            expires: w.u32("expires", FOREVER)?,
        })
    })
}

/// The neighbours, and what bridges learned.
///
/// # Errors
/// The file is there and cannot be read.
pub fn neighbours(root: &Path, links: &[Device]) -> Result<(Vec<Neighbour>, Vec<Neighbour>), String> {
    let all = records(root, "neighbours", |_, w| {
        let address = w.ip("address")?;
        let learned = w.get("bridge").is_some();
        (learned || address.is_some()).then_some(())?;
        Some(Neighbour {
            link: index(links, w.get("dev"))?,
            address,
            mac: w.get("mac").and_then(Mac::read),
            state: w.bits("state", NEIGHBOUR_STATES)? as u16,
            confirmed: w.u32("confirmed", 0)?,
        })
    })?;
    Ok(all.into_iter().partition(|n| n.address.is_some()))
}

/// The queue disciplines.
///
/// # Errors
/// The file is there and cannot be read.
pub fn queues(root: &Path, links: &[Device]) -> Result<Vec<Queue>, String> {
    records(root, "queues", |_, w| {
        Some(Queue {
            link: index(links, w.get("dev"))?,
            parent: w.named("parent", &[("root", ROOT)], ROOT)?,
            kind: w.text("kind"),
            hardware: w.number("hardware", 0)? != 0,
            bytes: w.number("bytes", 0)?,
            packets: w.number("packets", 0)?,
            drops: w.u32("drops", 0)?,
            waiting: w.u32("waiting", 0)?,
        })
    })
}

/// The TCP sockets; `None` without the file.
pub fn sockets(root: &Path) -> Option<Vec<Socket>> {
    root.join(FOLDER).join("sockets").is_file().then_some(())?;
    let one = |_, w: &Words<'_>| {
        let remote = w.get("remote").map(str::parse).transpose().ok()?;
        Some(Socket { local: w.get("local")?.parse().ok()?, remote })
    };
    records(root, "sockets", one).ok()
}
