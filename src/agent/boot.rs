//! What a start has to find out: whether the device booted or only the daemon restarted, who the
//! device is, and which values of the configuration file are new.

use crate::cwmp::rpc::DeviceId;
use crate::model::tree::SALT;
use crate::state::journal::{Batch, Journal};
use std::io;
use std::path::{Path, PathBuf};

/// Journal key of the device identity; it alone survives a factory reset.
pub const IDENTITY: &str = "d/identity";

/// Journal key of the random bytes for hashes of hidden values.
const SALT_KEY: &str = "b/salt";

/// The marker of the last start, in `run_dir` (tmpfs: a reboot removes it).
pub struct Marker {
    file: PathBuf,
    boot_id: String,
    is_boot: bool,
}

impl Marker {
    /// The marker of this run folder, and whether this start is a boot: no marker, or another boot id.
    pub fn look(run_dir: &Path) -> (Marker, bool) {
        // The kernel's own id: also when the tree's root is a recorded router.
        let boot_id =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let file = run_dir.join("started");
        let is_boot = match std::fs::read_to_string(&file) {
            Ok(last) => last.trim() != boot_id,
            Err(_) => true,
        };
        (Marker { file, boot_id, is_boot }, is_boot)
    }

    /// Leaves the marker. Called once the boot's events are on disk, so that a crash before this
    /// point is a boot again and never a boot forgotten.
    ///
    /// # Errors
    /// The folder cannot be written: every start will then be a boot.
    pub fn leave(&self) -> io::Result<()> {
        match self.is_boot || !self.file.exists() {
            // Whole or not at all: a marker that was cut short would make the next start a boot.
            true => crate::sys::file::replace(&self.file, self.boot_id.as_bytes(), 0o644),
            false => Ok(()),
        }
    }

    /// The next start is a boot (after a factory reset).
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The identity in the journal; resolved, bounded and journaled at the first start (I-1).
pub fn identity(journal: &mut Journal, resolve: impl FnOnce() -> DeviceId) -> DeviceId {
    if let Some(known) =
        journal.get(IDENTITY).and_then(|bytes| serde_json::from_slice::<[String; 4]>(bytes).ok())
    {
        let [manufacturer, oui, product_class, serial_number] = known;
        return DeviceId { manufacturer, oui, product_class, serial_number };
    }
    let id = resolve();
    let mut batch = Batch::default();
    let fields = [&id.manufacturer, &id.oui, &id.product_class, &id.serial_number];
    if let Ok(text) = serde_json::to_vec(&fields) {
        batch.put(IDENTITY, text);
    }
    if let Err(error) = journal.commit(batch) {
        log::error!("the device identity is not on disk: {error}");
    }
    id
}

/// Values of the configuration file are first values: one is taken over when the file's own value
/// differs from what the file had when it was last taken over. Returns what is to be stored, and the
/// batch that remembers it.
pub fn first_values<'a>(
    journal: &Journal,
    file: &'a [(&'static str, String)],
) -> (Vec<(&'static str, &'a str)>, Batch) {
    let mut fresh = Vec::new();
    let mut batch = Batch::default();
    for (path, value) in file {
        let key = format!("c/{path}");
        if journal.text(&key) != Some(value) {
            fresh.push((*path, value.as_str()));
            batch.put(key, value.as_bytes());
        }
    }
    (fresh, batch)
}

/// Everything but the device identity is forgotten (R-SYS-5, R-SYS-6).
///
/// # Errors
/// It is not on disk; the reset must not go on.
pub fn forget(journal: &mut Journal) -> io::Result<()> {
    let mut batch = Batch::default();
    for (key, _) in journal.scan("").filter(|(key, _)| *key != IDENTITY) {
        batch.delete(key);
    }
    journal.commit(batch)
}

/// The random bytes that are mixed into hashes of hidden values; made and journaled at the first start.
pub fn salt(journal: &mut Journal) -> [u8; SALT] {
    if let Some(known) = journal.get(SALT_KEY).and_then(|bytes| bytes.try_into().ok()) {
        return known;
    }
    let mut salt = [0; SALT];
    if let Err(error) = getrandom::fill(&mut salt) {
        // The hashes tell more than they should to who reads the journal, in which some secrets are whole.
        log::warn!("no random bytes for hashes of hidden values: {error}");
    }
    let mut batch = Batch::default();
    batch.put(SALT_KEY, salt);
    if let Err(error) = journal.commit(batch) {
        log::error!("the salt of hidden values is not on disk: {error}");
    }
    salt
}

/// A fresh random path of one segment for connection requests (CR-1).
pub fn random_path() -> String {
    use base64::Engine as _;
    let mut bytes = [0; 18];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Digest still guards the door; a path that can be guessed only loses the first hurdle.
        log::warn!("no random bytes for the connection-request path: {error}");
    }
    format!("/{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_boot_until_its_marker_is_left() {
        let dir = std::env::temp_dir().join(format!("cwmpd-boot-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (marker, boot) = Marker::look(&dir);
        assert!(boot, "an empty run_dir is always a boot");
        assert!(Marker::look(&dir).1, "nothing was left yet");
        marker.leave().unwrap();
        assert!(!Marker::look(&dir).1, "the daemon restarting by itself is no boot");
        std::fs::write(dir.join("started"), "another-boot-id").unwrap();
        assert!(Marker::look(&dir).1, "another boot id");
        marker.leave().unwrap();
        marker.remove();
        assert!(Marker::look(&dir).1, "a factory reset starts as a boot");
        marker.leave().unwrap();
        let (marker, _) = Marker::look(&dir);
        marker.remove();
        marker.leave().unwrap();
        assert!(!Marker::look(&dir).1, "what was to boot the device failed");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn first_values_yield_to_the_acs_until_the_file_changes() {
        const URL: &str = "Device.ManagementServer.URL";
        let mut journal = Journal::in_memory();
        let file = vec![(URL, "http://a/".to_owned())];
        let (fresh, batch) = first_values(&journal, &file);
        assert_eq!(fresh, [(URL, "http://a/")]);
        journal.commit(batch).unwrap();
        assert!(first_values(&journal, &file).0.is_empty(), "taken over once");
        let file = vec![(URL, "http://b/".to_owned())];
        assert_eq!(first_values(&journal, &file).0.len(), 1, "the file's own value changed");
    }

    // Proves: R-SYS-5
    #[test]
    fn r_sys_5_a_reset_keeps_the_identity_alone() {
        let mut journal = Journal::in_memory();
        let id = DeviceId { serial_number: "S1".into(), ..DeviceId::default() };
        identity(&mut journal, || id.clone());
        let mut batch = Batch::default();
        batch.put("v/Device.X", "1");
        batch.put("k", "key");
        journal.commit(batch).unwrap();
        forget(&mut journal).unwrap();
        assert_eq!(journal.scan("").map(|(k, _)| k).collect::<Vec<_>>(), [IDENTITY]);
        assert_eq!(identity(&mut journal, || panic!("resolved once")), id);
    }

    #[test]
    fn the_salt_is_kept() {
        let mut journal = Journal::in_memory();
        let one = salt(&mut journal);
        assert_eq!(salt(&mut journal), one);
        assert_ne!(salt(&mut Journal::in_memory()), one);
    }

    // Proves: CR-1
    #[test]
    fn cr_1_the_path_is_one_random_segment() {
        let (a, b) = (random_path(), random_path());
        assert_ne!(a, b);
        assert!(a.len() > 20 && a.starts_with('/') && !a[1..].contains('/'));
    }
}
