//! The numbers of a list: next free number, then number, length of the key and key of each, numbers
//! ascending; all numbers little endian (u32, u16 for the length).

/// Bytes of the next free number.
pub const START: usize = 4;

/// The next free number.
pub fn next(record: &[u8]) -> u32 {
    record.first_chunk().map_or(1, |b| u32::from_le_bytes(*b).max(1))
}

/// Number and key of each; ends early where the record is damaged.
pub fn entries(record: &[u8]) -> impl Iterator<Item = (u32, &str)> + Clone {
    let mut rest = record.get(4..).unwrap_or(&[]);
    std::iter::from_fn(move || {
        let (number, tail) = rest.split_first_chunk()?;
        let (len, tail) = tail.split_first_chunk()?;
        let (key, tail) = tail.split_at_checked(u16::from_le_bytes(*len) as usize)?;
        rest = tail;
        Some((u32::from_le_bytes(*number), std::str::from_utf8(key).ok()?))
    })
}

/// Bytes of one entry.
pub fn size(key: &str) -> usize {
    6 + key.len()
}

/// Makes a record; `room` is how long it will be at most.
pub fn encode<'a>(next: u32, room: usize, entries: impl Iterator<Item = (u32, &'a str)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(room);
    out.extend(next.to_le_bytes());
    for (number, key) in entries {
        out.extend(number.to_le_bytes());
        out.extend((key.len() as u16).to_le_bytes());
        out.extend(key.as_bytes());
    }
    out.shrink_to_fit();
    out
}
