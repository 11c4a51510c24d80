//! The records of a dump: links, addresses, routes, neighbours.
//!
//! Names and numbers are the kernel's (`linux/if_link.h`, `linux/if_addr.h`, `linux/rtnetlink.h`,
//! `linux/neighbour.h`). What is missing in a message has its type's zero.

use super::{Attribute, attributes, nested, u8_at, u16_at, u32_at, u64_at};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of [`Link::flags`].
#[allow(missing_docs)] // the names are the kernel's
pub mod link_flag {
    pub const UP: u32 = 0x1;
    pub const LOOPBACK: u32 = 0x8;
    pub const POINT_TO_POINT: u32 = 0x10;
    pub const RUNNING: u32 = 0x40;
    pub const NO_ARP: u32 = 0x80;
    pub const LOWER_UP: u32 = 0x1_0000;
}

/// Values of [`Link::hardware`].
#[allow(missing_docs)] // the names are the kernel's
pub mod hardware {
    pub const ETHER: u16 = 1;
    pub const PPP: u16 = 512;
    pub const TUNNEL: u16 = 768;
    pub const TUNNEL6: u16 = 769;
    pub const LOOPBACK: u16 = 772;
    pub const SIT: u16 = 776;
    pub const GRE: u16 = 778;
    pub const GRE6: u16 = 823;
    pub const RAW_IP: u16 = 519;
    pub const NONE: u16 = 65_534;
}

/// Bits of [`Address::flags`].
#[allow(missing_docs)] // the names are the kernel's
pub mod address_flag {
    pub const TEMPORARY: u32 = 0x1;
    pub const OPTIMISTIC: u32 = 0x4;
    pub const DAD_FAILED: u32 = 0x8;
    pub const DEPRECATED: u32 = 0x20;
    pub const TENTATIVE: u32 = 0x40;
    pub const PERMANENT: u32 = 0x80;
    pub const MANAGE_TEMPORARY: u32 = 0x100;
}

/// Bits of [`Neighbour::state`].
#[allow(missing_docs)] // the names are the kernel's
pub mod neighbour_state {
    pub const INCOMPLETE: u16 = 0x01;
    pub const REACHABLE: u16 = 0x02;
    pub const STALE: u16 = 0x04;
    pub const DELAY: u16 = 0x08;
    pub const PROBE: u16 = 0x10;
    pub const FAILED: u16 = 0x20;
    pub const NO_ARP: u16 = 0x40;
    pub const PERMANENT: u16 = 0x80;
}

/// A lifetime without end, in seconds.
pub const FOREVER: u32 = u32::MAX;

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads `02:00:5e:10:00:01`.
    pub fn read(text: &str) -> Option<Mac> {
        let mut out = [0; 6];
        let mut words = text.split(':');
        for byte in &mut out {
            *byte = words.next().filter(|w| w.len() == 2).and_then(|w| u8::from_str_radix(w, 16).ok())?;
        }
        words.next().is_none().then_some(Mac(out))
    }

    /// Whether it names a group, or nobody.
    pub fn is_no_station(self) -> bool {
        self.0[0] & 1 != 0 || self.0 == [0; 6]
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

/// Counters of a link since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // the names are the kernel's
pub struct Stats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub multicast: u64,
    pub collisions: u64,
}

/// One VLAN of a bridge port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortVlan {
    /// 1 to 4094.
    pub id: u16,
    /// Frames without a tag belong to it.
    pub pvid: bool,
    /// Frames leave without a tag.
    pub untagged: bool,
}

/// One network device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// The kernel's number of it.
    pub index: u32,
    /// `eth0`.
    pub name: String,
    /// What its owner wrote on it (`ifalias`).
    pub alias: String,
    /// `vlan`, `bridge`, `bond` …; empty for a device with a driver of its own.
    pub kind: String,
    /// ARPHRD_*, see [`hardware`].
    pub hardware: u16,
    /// IFF_*, see [`link_flag`].
    pub flags: u32,
    /// IF_OPER_*: 0 unknown, 1 not present, 2 down, 3 lower layer down, 4 testing, 5 dormant, 6 up.
    pub state: u8,
    /// Bytes.
    pub mtu: u32,
    /// The least MTU it takes; 0 when not told.
    pub mtu_min: u32,
    /// The greatest MTU it takes; 0 when not told.
    pub mtu_max: u32,
    /// Its MAC address, when it has one.
    pub mac: Option<Mac>,
    /// The bridge or bond it is a port of; 0 for none.
    pub master: u32,
    /// The device it stands on; 0 for none, or when that is in another namespace.
    pub lower: u32,
    /// VLAN device: its VLAN.
    pub vlan: u16,
    /// VLAN device: the protocol of its tags, 0x8100 or 0x88a8.
    pub protocol: u16,
    /// Bridge port: its VLANs.
    pub vlans: Vec<PortVlan>,
    /// Counters.
    pub stats: Stats,
}

impl Link {
    /// Reads the payload of an RTM_NEWLINK.
    pub fn parse(bytes: &[u8], out: &mut Vec<Link>) {
        let (Some(hardware), Some(index), Some(flags)) = (u16_at(bytes, 2), u32_at(bytes, 4), u32_at(bytes, 8)) else {
            return;
        };
        let mut link = Link { index, hardware, flags, ..Link::default() };
        let mut elsewhere = false;
        for a in attributes(bytes, 16) {
            match a.kind {
                1 => link.mac = a.data.try_into().ok().map(Mac),
                3 => link.name = text(a.data),
                4 => link.mtu = number(a),
                5 => link.lower = number(a),
                10 => link.master = number(a),
                16 => link.state = u8_at(a.data, 0).unwrap_or(0),
                18 => link.info(a),
                20 => link.alias = text(a.data),
                23 => link.stats = stats(a.data),
                26 => link.vlans(a),
                37 => elsewhere = true,
                50 => link.mtu_min = number(a),
                51 => link.mtu_max = number(a),
                _ => {}
            }
        }
        if elsewhere || link.lower == link.index {
            link.lower = 0;
        }
        // A name is part of paths below /sys and /proc; the kernel allows none that would leave them.
        if link.has_usable_name() {
            out.push(link);
        }
    }

    /// Whether its name can be a word of a path and of a key.
    pub fn has_usable_name(&self) -> bool {
        let name = self.name.as_str();
        !matches!(name, "" | "." | "..") && name.len() < 16 && !name.contains(|c: char| c == '/' || c.is_ascii_whitespace())
    }

    fn info(&mut self, info: Attribute<'_>) {
        for a in nested(info) {
            match a.kind {
                1 => self.kind = text(a.data),
                2 => {
                    // The numbers are those of a VLAN; what other kinds say under them is not used.
                    for data in nested(a) {
                        match data.kind {
                            1 => self.vlan = u16_at(data.data, 0).unwrap_or(0),
                            5 => self.protocol = u16_at(data.data, 0).map_or(0, u16::from_be),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if self.kind != "vlan" {
            (self.vlan, self.protocol) = (0, 0);
        }
    }

    fn vlans(&mut self, families: Attribute<'_>) {
        // Only a message of the bridge family has the ports' VLANs here (IFLA_BRIDGE_VLAN_INFO).
        for a in nested(families).filter(|a| a.kind == 2 && a.data.len() == 4) {
            let (flags, id) = (u16_at(a.data, 0).unwrap_or(0), u16_at(a.data, 2).unwrap_or(0));
            if (1..=4094).contains(&id) {
                self.vlans.push(PortVlan { id, pvid: flags & 2 != 0, untagged: flags & 4 != 0 });
            }
        }
    }

    /// Administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & link_flag::UP != 0
    }

    /// The loopback device.
    pub fn is_loopback(&self) -> bool {
        self.flags & link_flag::LOOPBACK != 0
    }
}

/// One address of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The index of its link.
    pub link: u32,
    /// The address itself.
    pub local: IpAddr,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// Bits of its prefix, at most 32 or 128.
    pub prefix: u8,
    /// IFA_F_*, see [`address_flag`].
    pub flags: u32,
    /// Seconds it is preferred; [`FOREVER`].
    pub preferred: u32,
    /// Seconds it is valid; [`FOREVER`].
    pub valid: u32,
    /// Who made it: 1 kernel (loopback), 2 kernel (router advertisement), 3 kernel (link-local).
    pub protocol: u8,
}

impl Address {
    /// Reads the payload of an RTM_NEWADDR.
    pub fn parse(bytes: &[u8], out: &mut Vec<Address>) {
        let (Some(family), Some(prefix), Some(link)) = (u8_at(bytes, 0), u8_at(bytes, 1), u32_at(bytes, 4)) else {
            return;
        };
        let (mut address, mut local) = (None, None);
        let mut flags = u8_at(bytes, 2).unwrap_or(0) as u32;
        let (mut preferred, mut valid, mut protocol) = (FOREVER, FOREVER, 0);
        for a in attributes(bytes, 8) {
            match a.kind {
                1 => address = ip(family, a.data),
                2 => local = ip(family, a.data),
                6 => {
                    preferred = u32_at(a.data, 0).unwrap_or(FOREVER);
                    valid = u32_at(a.data, 4).unwrap_or(FOREVER);
                }
                8 => flags = u32_at(a.data, 0).unwrap_or(flags),
                11 => protocol = u8_at(a.data, 0).unwrap_or(0),
                _ => {}
            }
        }
        // On a point-to-point link IFA_LOCAL is ours and IFA_ADDRESS the peer's.
        let Some(own) = local.or(address) else { return };
        let peer = address.filter(|a| *a != own);
        let prefix = prefix.min(bits(own));
        out.push(Address { link, local: own, peer, prefix, flags, preferred, valid, protocol });
    }
}

/// One way to a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The destination; all zeros with `prefix` 0 for the default route.
    pub destination: IpAddr,
    /// Bits of the destination.
    pub prefix: u8,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The index of the link it leaves by; 0 for none.
    pub link: u32,
    /// Smaller wins.
    pub metric: u32,
    /// Type of service it is for; 0 for all.
    pub tos: u8,
    /// The table; 254 is main.
    pub table: u32,
    /// Who made it, RTPROT_*: 2 kernel, 3 boot, 4 static, 9 router advertisement, 16 DHCP, 188 OSPF, 189 RIP.
    pub protocol: u8,
    /// RTN_*: 1 unicast, 2 local, 3 broadcast, 4 anycast, 5 multicast, 6 blackhole, 7 unreachable, 8 prohibit.
    pub kind: u8,
    /// Preference of a router advertisement: 0 medium, 1 high, 3 low.
    pub preference: u8,
    /// Seconds until it goes; [`FOREVER`].
    pub expires: u32,
}

/// The table that counts when nothing else is said.
pub const TABLE_MAIN: u32 = 254;

impl Route {
    /// Reads the payload of an RTM_NEWROUTE; a route with several next hops gives as many records.
    pub fn parse(bytes: &[u8], out: &mut Vec<Route>) {
        const CLONED: u32 = 0x200;
        let (Some(family), Some(prefix), Some(tos), Some(flags)) =
            (u8_at(bytes, 0), u8_at(bytes, 1), u8_at(bytes, 3), u32_at(bytes, 8))
        else {
            return;
        };
        let any = match family {
            2 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            10 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return,
        };
        if flags & CLONED != 0 {
            return;
        }
        let mut route = Route {
            destination: any,
            prefix: prefix.min(bits(any)),
            gateway: None,
            link: 0,
            metric: 0,
            tos,
            table: u8_at(bytes, 4).unwrap_or(0).into(),
            protocol: u8_at(bytes, 5).unwrap_or(0),
            kind: u8_at(bytes, 7).unwrap_or(0),
            preference: 0,
            expires: FOREVER,
        };
        let mut hops: &[u8] = &[];
        for a in attributes(bytes, 12) {
            match a.kind {
                1 => route.destination = ip(family, a.data).unwrap_or(any),
                4 => route.link = number(a),
                5 => route.gateway = ip(family, a.data),
                6 => route.metric = number(a),
                9 => hops = a.data,
                // struct rta_cacheinfo: the third word is what is left, in hundredths of a second.
                12 => route.expires = u32_at(a.data, 8).filter(|e| (1..=i32::MAX as u32).contains(e)).map_or(FOREVER, |e| e / 100),
                15 => route.table = number(a),
                18 => route.gateway = via(a.data),
                20 => route.preference = u8_at(a.data, 0).unwrap_or(0),
                _ => {}
            }
        }
        if hops.is_empty() {
            out.push(route);
        } else {
            route.each_hop(family, hops, out);
        }
    }

    /// struct rtnexthop: length, flags, weight, link; then attributes.
    fn each_hop(self, family: u8, mut hops: &[u8], out: &mut Vec<Route>) {
        const HEADER: usize = 8;
        while let Some(len) = u16_at(hops, 0).map(usize::from).filter(|len| *len >= HEADER) {
            let Some(hop) = hops.get(..len) else { return };
            let mut route = Route { link: u32_at(hop, 4).unwrap_or(0), gateway: None, ..self.clone() };
            for a in attributes(hop, HEADER) {
                match a.kind {
                    5 => route.gateway = ip(family, a.data),
                    18 => route.gateway = via(a.data),
                    _ => {}
                }
            }
            out.push(route);
            hops = hops.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
}

/// One station the kernel knows; with `address` `None`, what a bridge learned of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// The index of the link (for a bridge's knowledge, of the port) it was seen on.
    pub link: u32,
    /// Its IP address.
    pub address: Option<IpAddr>,
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// NUD_*, see [`neighbour_state`].
    pub state: u16,
    /// Seconds since it was last known to be there.
    pub confirmed: u32,
    /// It is a router (IPv6).
    pub router: bool,
}

impl Neighbour {
    /// Reads the payload of an RTM_NEWNEIGH.
    pub fn parse(bytes: &[u8], out: &mut Vec<Neighbour>) {
        let (Some(family), Some(link), Some(state), Some(flags)) =
            (u8_at(bytes, 0), u32_at(bytes, 4), u16_at(bytes, 8), u8_at(bytes, 10))
        else {
            return;
        };
        let mut one = Neighbour { link, address: None, mac: None, state, confirmed: 0, router: flags & 0x80 != 0 };
        for a in attributes(bytes, 12) {
            match a.kind {
                1 => one.address = ip(family, a.data),
                2 => one.mac = a.data.try_into().ok().map(Mac),
                // Hundredths of a second.
                3 => one.confirmed = u32_at(a.data, 0).unwrap_or(0) / 100,
                _ => {}
            }
        }
        out.push(one);
    }
}

/// Bits of an address of this family.
pub fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(a: Attribute<'_>) -> u32 {
    u32_at(a.data, 0).unwrap_or(0)
}

/// Text up to its zero byte; what is not UTF-8 is replaced.
fn text(data: &[u8]) -> String {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    String::from_utf8_lossy(data.get(..end).unwrap_or(&[])).into_owned()
}

fn ip(family: u8, data: &[u8]) -> Option<IpAddr> {
    match family {
        2 => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        10 => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    }
}

/// struct rtvia: a next hop of another family.
fn via(data: &[u8]) -> Option<IpAddr> {
    ip(u16_at(data, 0)?.try_into().ok()?, data.get(2..)?)
}

fn stats(data: &[u8]) -> Stats {
    let at = |n: usize| u64_at(data, n * 8).unwrap_or(0);
    Stats {
        rx_packets: at(0),
        tx_packets: at(1),
        rx_bytes: at(2),
        tx_bytes: at(3),
        rx_errors: at(4),
        tx_errors: at(5),
        rx_dropped: at(6),
        tx_dropped: at(7),
        multicast: at(8),
        collisions: at(9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut out = ((4 + data.len()) as u16).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn link() -> Vec<u8> {
        let mut out = vec![0; 16];
        out[2..4].copy_from_slice(&1u16.to_ne_bytes());
        out[4] = 7;
        out[8] = 1;
        let data = [attribute(1, &10u16.to_ne_bytes()), attribute(5, &0x8100u16.to_be_bytes())].concat();
        let info = [attribute(1, b"vlan\0"), attribute(2 | 0x8000, &data)].concat();
        let counters: Vec<u8> = (1..=24u64).flat_map(u64::to_ne_bytes).collect();
        for a in [
            attribute(3, b"eth0.10\0"), attribute(1, &[2, 0, 0, 0, 0, 1]), attribute(4, &1500u32.to_ne_bytes()),
            attribute(5, &2u32.to_ne_bytes()), attribute(16, &[6]), attribute(18, &info), attribute(23, &counters),
        ] {
            out.extend(a);
        }
        out
    }

    #[test]
    fn a_vlan_device() {
        let mut out = Vec::new();
        Link::parse(&link(), &mut out);
        let l = &out[0];
        assert_eq!((l.index, l.name.as_str(), l.kind.as_str(), l.mtu, l.lower), (7, "eth0.10", "vlan", 1500, 2));
        assert_eq!((l.vlan, l.protocol, l.state), (10, 0x8100, 6));
        assert_eq!((l.stats.rx_packets, l.stats.tx_bytes, l.stats.collisions), (1, 4, 10));
        assert_eq!(l.mac.unwrap().to_string(), "02:00:00:00:00:01");
    }

    #[test]
    fn several_next_hops() {
        let hop = |link: u32, gateway: [u8; 4]| {
            let a = attribute(5, &gateway);
            let mut out = ((8 + a.len()) as u16).to_ne_bytes().to_vec();
            out.extend([0, 0]);
            out.extend(link.to_ne_bytes());
            out.extend(a);
            out
        };
        let mut route = vec![2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let mut hops = [hop(3, [10, 0, 0, 1]), hop(4, [10, 1, 0, 1])].concat();
        hops.extend([200, 0, 0, 0]);
        route.extend(attribute(9, &hops));
        let mut out = Vec::new();
        Route::parse(&route, &mut out);
        let seen: Vec<_> = out.iter().map(|r| (r.link, r.gateway.unwrap().to_string())).collect();
        assert_eq!(seen, [(3, "10.0.0.1".to_string()), (4, "10.1.0.1".to_string())]);
    }

    #[test]
    fn whatever_the_bytes_nothing_panics() {
        let whole = link();
        // Truncated anywhere, and any byte turned into any of the nasty ones.
        for end in 0..whole.len() {
            Link::parse(&whole[..end], &mut Vec::new());
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                Link::parse(&bytes, &mut Vec::new());
            }
        }
        // Random bytes from a fixed seed, so that a failure can be had again.
        let mut seed = 0x2545_f491_u32;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            let mut next = || {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                seed
            };
            for _ in 0..next() % 96 {
                // Small numbers are likelier to look like lengths and kinds.
                bytes.push(if next() % 2 == 0 { next() as u8 % 24 } else { next() as u8 });
            }
            if let Some(first) = bytes.first_mut() {
                *first = [2, 7, 10, *first][next() as usize % 4];
            }
            Link::parse(&bytes, &mut Vec::new());
            Address::parse(&bytes, &mut Vec::new());
            Neighbour::parse(&bytes, &mut Vec::new());
            let mut routes = Vec::new();
            Route::parse(&bytes, &mut routes);
            assert!(routes.iter().all(|r| r.prefix <= bits(r.destination)));
            assert!(routes.len() <= bytes.len());
        }
    }

    #[test]
    fn macs() {
        assert_eq!(Mac::read("02:00:5e:10:00:ff"), Some(Mac([2, 0, 0x5e, 0x10, 0, 255])));
        for bad in ["", "02", "02:00:5e:10:00", "02:00:5e:10:00:fg", "02:00:5e:10:00:ff:00", "2:0:5e:10:0:ff"] {
            assert_eq!(Mac::read(bad), None, "{bad}");
        }
        assert!(Mac([1, 0, 0, 0, 0, 0]).is_no_station() && Mac([0; 6]).is_no_station());
    }
}
