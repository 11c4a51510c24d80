//! The file of a capture, as libpcap has written it since 1998, with times in microseconds.

use std::io::{self, Write};

/// What stands before the network header of each packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// An Ethernet header (LINKTYPE_ETHERNET).
    Ethernet,
    /// What Linux says of a packet, for devices of any kind (LINKTYPE_LINUX_SLL).
    Cooked,
}

/// The longest packet, in bytes; what is behind it is left out, and the packet says so.
pub const SNAP: usize = 65_535;
/// Bytes of the file's header.
pub const HEADER: usize = 24;
/// Bytes of each packet's own header.
pub const RECORD: usize = 16;

/// When a packet came: seconds since 1970, microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp(pub u32, pub u32);

/// Writes the file's header.
///
/// # Errors
/// Of the writer.
pub fn begin(out: &mut dyn Write, link: Link) -> io::Result<()> {
    let kind: u32 = match link {
        Link::Ethernet => 1,
        Link::Cooked => 113,
    };
    let mut header = Vec::with_capacity(HEADER);
    header.extend(0xa1b2_c3d4_u32.to_le_bytes());
    header.extend(2_u16.to_le_bytes());
    header.extend(4_u16.to_le_bytes());
    // Offset and accuracy of the times: nobody uses them.
    header.extend([0; 8]);
    header.extend((SNAP as u32).to_le_bytes());
    header.extend(kind.to_le_bytes());
    out.write_all(&header)
}

/// The header of a packet of which `kept` bytes follow, and which had `whole`.
pub fn record(stamp: Stamp, kept: usize, whole: usize) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let fields = [stamp.0, stamp.1, kept as u32, whole as u32];
    for (place, field) in out.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    out
}

/// The header that a packet has in a cooked capture.
pub fn cooked(kind: u8, hardware: u16, address: &[u8], protocol: u16) -> [u8; 16] {
    let mut out = [0; 16];
    out[1] = kind;
    out[2..4].copy_from_slice(&hardware.to_be_bytes());
    let len = address.len().min(8);
    out[5] = len as u8;
    out[6..6 + len].copy_from_slice(&address[..len]);
    out[14..16].copy_from_slice(&protocol.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_libpcap_has_it() {
        let mut out = Vec::new();
        begin(&mut out, Link::Ethernet).unwrap();
        out.extend(record(Stamp(1, 2), 3, 4));
        let expected = [
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0][..],
            &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
        let header = cooked(4, 512, &[1, 2, 3, 4, 5, 6], 0x86dd);
        assert_eq!(header, [0, 4, 2, 0, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x86, 0xdd]);
        assert_eq!(cooked(0, 1, &[9; 20], 0)[5], 8);
    }
}
