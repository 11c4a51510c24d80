//! The records of a dump that are no links: addresses, routes, neighbours, sockets.
//!
//! Names and numbers are the kernel's (`linux/if_addr.h`, `linux/rtnetlink.h`,
//! `linux/neighbour.h`). What is missing in a message has its type's zero.

use super::link::Mac;
use super::{attributes, ip, number, u8_at, u16_at, u32_at};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
        let (Some(family), Some(prefix), Some(link)) = (u8_at(bytes, 0), u8_at(bytes, 1), u32_at(bytes, 4))
        else {
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
                12 => {
                    route.expires = u32_at(a.data, 8)
                        .filter(|e| (1..=i32::MAX as u32).contains(e))
                        .map_or(FOREVER, |e| e / 100)
                }
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
}

impl Neighbour {
    /// Reads the payload of an RTM_NEWNEIGH.
    pub fn parse(bytes: &[u8], out: &mut Vec<Neighbour>) {
        let (Some(family), Some(link), Some(state)) = (u8_at(bytes, 0), u32_at(bytes, 4), u16_at(bytes, 8))
        else {
            return;
        };
        let mut one = Neighbour { link, address: None, mac: None, state, confirmed: 0 };
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

/// State of a connected TCP socket.
pub const TCP_ESTABLISHED: u8 = 1;
/// State of a listening TCP socket.
pub const TCP_LISTEN: u8 = 10;

/// A TCP socket that listens or is connected.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Socket {
    /// This end.
    pub local: SocketAddr,
    /// The other end; `None` for one that listens.
    pub remote: Option<SocketAddr>,
}

impl Socket {
    /// A socket in this state; an IPv4 peer of a socket that takes both is shown as what it is.
    pub fn new(state: u8, local: SocketAddr, remote: SocketAddr) -> Option<Socket> {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        match state {
            TCP_ESTABLISHED => Some(Socket { local: plain(local), remote: Some(plain(remote)) }),
            TCP_LISTEN => Some(Socket { local: plain(local), remote: None }),
            _ => None,
        }
    }

    /// Reads a struct inet_diag_msg.
    pub fn parse(bytes: &[u8], out: &mut Vec<Socket>) {
        let family = u8_at(bytes, 0).unwrap_or(0);
        let len = if family == 2 { 4 } else { 16 };
        let end = |address: usize, port: usize| {
            let ip = ip(family, bytes.get(address..address + len)?)?;
            Some(SocketAddr::new(ip, u16_at(bytes, port).map(u16::from_be)?))
        };
        if let (Some(state), Some(local), Some(remote)) = (u8_at(bytes, 1), end(8, 4), end(24, 6)) {
            out.extend(Socket::new(state, local, remote));
        }
    }
}

/// Bits of an address of this family.
pub fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// struct rtvia: a next hop of another family.
fn via(data: &[u8]) -> Option<IpAddr> {
    ip(u16_at(data, 0)?.try_into().ok()?, data.get(2..)?)
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::super::link::tests::{attribute, link};
    use super::*;

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
            Socket::parse(&bytes, &mut Vec::new());
            let mut routes = Vec::new();
            Route::parse(&bytes, &mut routes);
            assert!(routes.iter().all(|r| r.prefix <= bits(r.destination)));
            assert!(routes.len() <= bytes.len());
        }
    }
}
