//! `[transfer]`: how files are fetched, trusted and made use of.

use super::Config;
use super::reader::Section;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most entries of `transfer.trusted_keys`.
pub const MAX_TRUSTED_KEYS: usize = 16;
/// The most that `transfer.max_bytes` may be: 1 TiB.
const MOST_BYTES: u64 = 1 << 40;
/// A key of usign and signify, without its text form: algorithm, key number, Ed25519 key.
const KEY_BYTES: usize = 2 + 8 + 32;

/// `[transfer]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Where fetched files lie while they are needed; `transfers` in `run_dir`.
    pub download_dir: Option<PathBuf>,
    /// Keys that images are signed with, each a file of usign or signify or the key itself in base64; at
    /// most [`MAX_TRUSTED_KEYS`]. With one, an image without a good signature is refused (9019).
    pub trusted_keys: Vec<String>,
    /// The largest file that is fetched, or written to be uploaded, bytes; 256 MiB.
    pub max_bytes: u64,
    /// How fast files are fetched and sent, bytes a second; 0, the default: as fast as can be.
    pub max_bytes_per_second: u32,
    /// Seconds without a byte; 60.
    pub silence_timeout: u32,
    /// Seconds in all for fetching or sending one file; 3600.
    pub total_timeout: u32,
    /// Seconds for `firmware_check`; 120.
    pub check_timeout: u32,
    /// Seconds for commands that make use of a file; 600. `firmware_apply` is not ended by it: that it
    /// takes longer is logged.
    pub apply_timeout: u32,
    /// Seconds for `config_save` and `log_read`; 120. What is streamed has `total_timeout`.
    pub save_timeout: u32,
    /// Seconds within which the device is to boot after `firmware_apply` ended well; 3600. It is told to by
    /// `commands.reboot` after a minute, or half that time; when all of it is over, the ACS hears 9010.
    pub boot_timeout: u32,
    /// Seconds within which a new image must have held a session with the ACS, or the former one is
    /// booted again, where there are two banks; 0, the default: it need not.
    pub health_timeout: u32,
    /// Below this many bytes a second, in and out, the device counts as idle (`3 When Idle`); 65536.
    pub idle_bytes_per_second: u32,
}

impl Transfer {
    pub(super) fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let Transfer {
            download_dir,
            trusted_keys,
            max_bytes,
            max_bytes_per_second,
            silence_timeout,
            total_timeout,
            check_timeout,
            apply_timeout,
            save_timeout,
            boot_timeout,
            health_timeout,
            idle_bytes_per_second,
        } = self;
        from.get("download_dir", download_dir);
        from.get("trusted_keys", trusted_keys);
        from.get("max_bytes", max_bytes);
        from.get("max_bytes_per_second", max_bytes_per_second);
        from.get("silence_timeout", silence_timeout);
        from.get("total_timeout", total_timeout);
        from.get("check_timeout", check_timeout);
        from.get("apply_timeout", apply_timeout);
        from.get("save_timeout", save_timeout);
        from.get("boot_timeout", boot_timeout);
        from.get("health_timeout", health_timeout);
        from.get("idle_bytes_per_second", idle_bytes_per_second);
    }
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer {
            download_dir: None,
            trusted_keys: Vec::new(),
            max_bytes: 256 << 20,
            max_bytes_per_second: 0,
            silence_timeout: 60,
            total_timeout: 3600,
            check_timeout: 120,
            apply_timeout: 600,
            save_timeout: 120,
            boot_timeout: 3600,
            health_timeout: 0,
            idle_bytes_per_second: 65_536,
        }
    }
}

/// Seconds of the configuration as a time.
pub fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

impl Transfer {
    /// The first thing that is wrong: its key, and the reason.
    pub(super) fn judge(&self) -> Option<(&'static str, String)> {
        if self.download_dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
            return Some(("transfer.download_dir", "not an absolute path".into()));
        }
        if self.trusted_keys.len() > MAX_TRUSTED_KEYS {
            return Some(("transfer.trusted_keys", format!("more than {MAX_TRUSTED_KEYS}")));
        }
        if let Some(reason) = self.trusted_keys.iter().find_map(|key| judge_key(key)) {
            return Some(("transfer.trusted_keys", reason));
        }
        if !(1..=MOST_BYTES).contains(&self.max_bytes) {
            let reason = format!("{} is not 1 to {MOST_BYTES}", self.max_bytes);
            return Some(("transfer.max_bytes", reason));
        }
        super::judge::numbers(&[
            ("transfer.silence_timeout", self.silence_timeout, 1, 86_400),
            ("transfer.total_timeout", self.total_timeout, 1, 604_800),
            ("transfer.check_timeout", self.check_timeout, 1, 86_400),
            ("transfer.apply_timeout", self.apply_timeout, 1, 86_400),
            ("transfer.save_timeout", self.save_timeout, 1, 86_400),
            ("transfer.boot_timeout", self.boot_timeout, 2, 604_800),
            ("transfer.health_timeout", self.health_timeout, 0, 86_400),
        ])
    }
}

/// A file that is there, or something of a key's form.
fn judge_key(key: &str) -> Option<String> {
    if key.starts_with('/') {
        let file = Path::new(key);
        return match std::fs::metadata(file) {
            Err(error) => Some(format!("{key} cannot be read: {error}")),
            Ok(found) if !found.is_file() => Some(format!("{key} is not a file")),
            Ok(_) => None,
        };
    }
    let shaped = STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES && bytes.starts_with(b"Ed"));
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    (!shaped).then(|| format!("`{shown}` is neither an absolute path nor a public key of usign or signify"))
}

impl Config {
    /// Where fetched files lie.
    pub fn download_dir(&self) -> PathBuf {
        self.transfer.download_dir.clone().unwrap_or_else(|| self.run_dir.join("transfers"))
    }
}
