//! Messages and attributes of netlink as they lie in a buffer: native byte order, aligned to four.

use std::net::IpAddr;

/// The most bytes of one datagram; the kernel fills a dump's buffers up to 32 KiB.
pub const BATCH: usize = 32 * 1024;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// RTM_NEWLINK …, or a control message below 16.
    pub kind: u16,
    /// NLM_F_* bits.
    pub flags: u16,
    /// The request it answers.
    pub sequence: u32,
    /// What stands behind the header.
    pub payload: &'a [u8],
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Its number, without the flag bits.
    pub kind: u16,
    /// Its value.
    pub data: &'a [u8],
}

/// The number at `at`; `None` beyond the end.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    piece(bytes, at).map(u64::from_ne_bytes)
}

/// The number at `at`; `None` beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    piece(bytes, at).map(u32::from_ne_bytes)
}

/// The number at `at`; `None` beyond the end.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    piece(bytes, at).map(u16::from_ne_bytes)
}

/// The byte at `at`; `None` beyond the end.
pub fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn piece<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The messages of a datagram; ends at the first whose length cannot be true.
pub fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    const HEADER: usize = 16;
    std::iter::from_fn(move || {
        let len = u32_at(rest, 0)? as usize;
        let whole = rest.get(..len)?;
        let payload = whole.get(HEADER..)?;
        let message = Message {
            kind: u16_at(whole, 4)?,
            flags: u16_at(whole, 6)?,
            sequence: u32_at(whole, 8)?,
            payload,
        };
        // No overflow: len is at most the length of a slice in memory; a last message may lack padding.
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

/// The attributes behind a fixed header of `header` bytes; ends at the first whose length cannot be
/// true.
pub fn attributes(bytes: &[u8], header: usize) -> impl Iterator<Item = Attribute<'_>> {
    const HEADER: usize = 4;
    // NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    const KIND: u16 = 0x3fff;
    let mut rest = bytes.get(header..).unwrap_or(&[]);
    std::iter::from_fn(move || {
        let len = u16_at(rest, 0)? as usize;
        let whole = rest.get(..len)?;
        let attribute = Attribute { kind: u16_at(whole, 2)? & KIND, data: whole.get(HEADER..)? };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(attribute)
    })
}

/// The attributes within an attribute.
pub fn nested(attribute: Attribute<'_>) -> impl Iterator<Item = Attribute<'_>> {
    attributes(attribute.data, 0)
}

/// The value as a number; 0 when it is none.
pub(super) fn number(a: Attribute<'_>) -> u32 {
    u32_at(a.data, 0).unwrap_or(0)
}

/// Text up to its zero byte; what is not UTF-8 is replaced.
pub(super) fn text(data: &[u8]) -> String {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    String::from_utf8_lossy(data.get(..end).unwrap_or(&[])).into_owned()
}

/// An address of family 2 or 10.
pub(super) fn ip(family: u8, data: &[u8]) -> Option<IpAddr> {
    match family {
        2 => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        10 => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie_end_the_walk() {
        for (len, count) in [(0u32, 0), (1, 0), (15, 0), (16, 1), (17, 1), (20, 1), (21, 0), (u32::MAX, 0)] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.resize(20, 0);
            // What is left behind a message of 16 bytes is four zeros: a length of 0.
            assert_eq!(messages(&bytes).count(), count, "{len}");
        }
        for (len, count) in [(0u16, 0), (3, 0), (4, 1), (7, 1), (8, 1), (9, 0), (u16::MAX, 0)] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.resize(8, 0);
            assert_eq!(attributes(&bytes, 0).count(), count, "{len}");
        }
        assert_eq!(attributes(&[1, 2], 16).count(), 0);
        assert_eq!(u64_at(&[0; 8], usize::MAX), None);
        assert_eq!(u16_at(&[0; 2], 1), None);
    }
}
