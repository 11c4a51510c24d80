//! Network devices (`linux/if_link.h`). Names and numbers are the kernel's.

use super::{Attribute, attributes, nested, number, text, u8_at, u16_at, u32_at, u64_at};

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
    pub rx_crc_errors: u64,
    pub rx_missed_errors: u64,
}

impl Stats {
    /// The sums of both.
    pub fn plus(self, other: &Stats) -> Stats {
        Stats {
            rx_packets: self.rx_packets.wrapping_add(other.rx_packets),
            tx_packets: self.tx_packets.wrapping_add(other.tx_packets),
            rx_bytes: self.rx_bytes.wrapping_add(other.rx_bytes),
            tx_bytes: self.tx_bytes.wrapping_add(other.tx_bytes),
            rx_errors: self.rx_errors.wrapping_add(other.rx_errors),
            tx_errors: self.tx_errors.wrapping_add(other.tx_errors),
            rx_dropped: self.rx_dropped.wrapping_add(other.rx_dropped),
            tx_dropped: self.tx_dropped.wrapping_add(other.tx_dropped),
            multicast: self.multicast.wrapping_add(other.multicast),
            collisions: self.collisions.wrapping_add(other.collisions),
            rx_crc_errors: self.rx_crc_errors.wrapping_add(other.rx_crc_errors),
            rx_missed_errors: self.rx_missed_errors.wrapping_add(other.rx_missed_errors),
        }
    }
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
        let (Some(hardware), Some(index), Some(flags)) =
            (u16_at(bytes, 2), u32_at(bytes, 4), u32_at(bytes, 8))
        else {
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
        !matches!(name, "" | "." | "..")
            && name.len() < 16
            && !name.contains(|c: char| c == '/' || c.is_ascii_whitespace())
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
        rx_crc_errors: at(12),
        rx_missed_errors: at(15),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut out = ((4 + data.len()) as u16).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    pub(in super::super) fn link() -> Vec<u8> {
        let mut out = vec![0; 16];
        out[2..4].copy_from_slice(&1u16.to_ne_bytes());
        out[4] = 7;
        out[8] = 1;
        let data = [attribute(1, &10u16.to_ne_bytes()), attribute(5, &0x8100u16.to_be_bytes())].concat();
        let info = [attribute(1, b"vlan\0"), attribute(2 | 0x8000, &data)].concat();
        let counters: Vec<u8> = (1..=24u64).flat_map(u64::to_ne_bytes).collect();
        for a in [
            attribute(3, b"eth0.10\0"),
            attribute(1, &[2, 0, 0, 0, 0, 1]),
            attribute(4, &1500u32.to_ne_bytes()),
            attribute(5, &2u32.to_ne_bytes()),
            attribute(16, &[6]),
            attribute(18, &info),
            attribute(23, &counters),
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
        assert_eq!(
            (l.index, l.name.as_str(), l.kind.as_str(), l.mtu, l.lower),
            (7, "eth0.10", "vlan", 1500, 2)
        );
        assert_eq!((l.vlan, l.protocol, l.state), (10, 0x8100, 6));
        assert_eq!((l.stats.rx_packets, l.stats.tx_bytes, l.stats.collisions), (1, 4, 10));
        assert_eq!((l.stats.rx_crc_errors, l.stats.rx_missed_errors), (13, 16));
        assert_eq!(l.mac.unwrap().to_string(), "02:00:00:00:00:01");
    }

    #[test]
    fn macs() {
        assert_eq!(Mac::read("02:00:5e:10:00:ff"), Some(Mac([2, 0, 0x5e, 0x10, 0, 255])));
        for bad in ["", "02", "02:00:5e:10:00", "02:00:5e:10:00:fg", "02:00:5e:10:00:ff:00", "2:0:5e:10:0:ff"]
        {
            assert_eq!(Mac::read(bad), None, "{bad}");
        }
        assert!(Mac([1, 0, 0, 0, 0, 0]).is_no_station() && Mac([0; 6]).is_no_station());
    }
}
