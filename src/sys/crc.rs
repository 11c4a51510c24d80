//! CRC-32 as in gzip, Ethernet and zip: for the journal's records, the parts of images, and gzip bodies. With a
//! table of one kilobyte; the crate that does sixteen bytes at once costs twenty.

/// The polynomial, its bits mirrored.
const POLYNOMIAL: u32 = 0xedb8_8320;

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let (mut entry, mut bit) = (at as u32, 0);
        while bit < 8 {
            entry = if entry & 1 == 1 { entry >> 1 ^ POLYNOMIAL } else { entry >> 1 };
            bit += 1;
        }
        table[at] = entry;
        at += 1;
    }
    table
};

/// The checksum of what passes by.
#[derive(Clone, Copy, Default)]
pub struct Crc(u32);

impl Crc {
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // An index of eight bits is always within the table.
        self.0 =
            !bytes.iter().fold(!self.0, |crc, b| crc >> 8 ^ TABLE[((crc ^ u32::from(*b)) & 0xff) as usize]);
    }

    /// Of all so far.
    pub fn value(self) -> u32 {
        self.0
    }
}

/// The checksum of bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::default();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_others_have_it() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let bytes: Vec<u8> = (0..1000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let mut crc = Crc::default();
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(crc.value(), crc32fast::hash(&bytes[..at]));
            crc.update(&[*byte]);
        }
    }
}
