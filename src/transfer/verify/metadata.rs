//! What an image says of itself (`fwtool -I`): the version, which is looked for after the reboot.

/// The most characters of a version that are kept.
pub const MAX_VERSION: usize = 256;

/// The version: distribution, version and revision, as far as they are named.
pub(super) fn version(_part: &[u8]) -> Option<String> {
    None
}

/// Whether what an image said of its version names a SoftwareVersion.
pub fn names(version: &str, software: &str) -> bool {
    version == software
}
