//! What the types of the configuration cannot say: bounds, files that must be there, pairs.

use super::{Config, MAX_DHCP_INTERFACES, MAX_FALLBACK_URLS};
use crate::cwmp::discovery::Policy;
use crate::net::digest;
use crate::net::url::Url;
use std::io::Read;
use std::path::Path;

/// The longest `sun_path` of a Unix socket, without its final zero.
pub(super) const MAX_SOCKET: usize = 107;

/// The largest PEM file that is read, bytes.
const MAX_PEM: u64 = 4 * 1024 * 1024;

type Problem = (&'static str, String);

/// The first thing that is wrong: its key, and the reason.
pub(super) fn judge(config: &Config) -> Option<Problem> {
    folders(config).or_else(|| device(config)).or_else(|| acs(config)).or_else(|| rest(config))
}

fn folders(config: &Config) -> Option<Problem> {
    for (key, dir) in [("state_dir", &config.state_dir), ("run_dir", &config.run_dir)] {
        if !dir.is_absolute() {
            return Some((key, "not an absolute path".into()));
        }
    }
    if config.socket().as_os_str().len() > MAX_SOCKET {
        return Some(("run_dir", format!("too long for the socket in it ({MAX_SOCKET} bytes in all)")));
    }
    if let Some(socket) = &config.ubus_socket {
        if !socket.is_absolute() {
            return Some(("ubus_socket", "not an absolute path".into()));
        }
        if socket.as_os_str().len() > MAX_SOCKET {
            return Some(("ubus_socket", format!("longer than {MAX_SOCKET} bytes")));
        }
    }
    if !config.root.is_dir() {
        return Some(("root", format!("{} is not a folder", config.root.display())));
    }
    if config.overlay_dir.exists() && !config.overlay_dir.is_dir() {
        return Some(("overlay_dir", format!("{} is not a folder", config.overlay_dir.display())));
    }
    None
}

/// I-1
fn device(config: &Config) -> Option<Problem> {
    let d = &config.device;
    for (key, value, min) in [
        ("device.manufacturer", &d.manufacturer, 1),
        ("device.product_class", &d.product_class, 0),
        ("device.serial_number", &d.serial_number, 1),
        ("device.software_version", &d.software_version, 1),
        ("device.hardware_version", &d.hardware_version, 0),
    ] {
        let Some(value) = value else { continue };
        if !(min..=64).contains(&value.chars().count()) {
            return Some((key, format!("not of {min} to 64 characters")));
        }
        if value.chars().any(char::is_control) {
            return Some((key, "holds a control character".into()));
        }
    }
    let oui = d.manufacturer_oui.as_deref()?;
    let upper_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    if oui.len() != 6 || !oui.bytes().all(upper_hex) {
        return Some((
            "device.manufacturer_oui",
            format!("`{oui}` is not six upper-case hexadecimal digits"),
        ));
    }
    None
}

fn acs(config: &Config) -> Option<Problem> {
    let acs = &config.acs;
    let by_dhcp = acs.url.is_empty() && acs.dhcp_discovery != Policy::Off;
    if let (Err(reason), false) = (Url::of_acs(&acs.url), by_dhcp) {
        return Some(("acs.url", reason.into()));
    }
    if acs.fallback_urls.len() > MAX_FALLBACK_URLS {
        return Some(("acs.fallback_urls", format!("more than {MAX_FALLBACK_URLS}")));
    }
    if acs.dhcp_interfaces.len() > MAX_DHCP_INTERFACES {
        return Some(("acs.dhcp_interfaces", format!("more than {MAX_DHCP_INTERFACES}")));
    }
    if let Some(reason) = acs.fallback_urls.iter().find_map(|url| Url::of_acs(url).err()) {
        return Some(("acs.fallback_urls", reason.into()));
    }
    for (key, file, what) in [
        ("acs.ca_file", &acs.ca_file, "CERTIFICATE-----"),
        ("acs.client_certificate", &acs.client_certificate, "CERTIFICATE-----"),
        ("acs.client_key", &acs.client_key, "PRIVATE KEY-----"),
    ] {
        if let Some(Err(reason)) = file.as_deref().map(|file| pem(file, what)) {
            return Some((key, reason));
        }
    }
    match (&acs.client_certificate, &acs.client_key) {
        (Some(_), None) => {
            return Some(("acs.client_certificate", "goes with acs.client_key, which is missing".into()));
        }
        (None, Some(_)) => {
            return Some(("acs.client_key", "goes with acs.client_certificate, which is missing".into()));
        }
        _ => {}
    }
    if let Some(name) = &acs.bind_interface {
        // The kernel's own rule for names of interfaces.
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(bad) {
            return Some(("acs.bind_interface", format!("`{name}` is not the name of an interface")));
        }
    }
    numbers(&[
        ("acs.periodic_inform_interval", acs.periodic_inform_interval, 1, u32::MAX),
        ("acs.retry_minimum_wait_interval", acs.retry_minimum_wait_interval, 1, 65_535),
        ("acs.retry_interval_multiplier", acs.retry_interval_multiplier, 1000, 65_535),
        ("acs.connect_timeout", acs.connect_timeout, 1, 86_400),
        ("acs.response_timeout", acs.response_timeout, 1, 86_400),
        ("acs.progress_timeout", acs.progress_timeout, 1, 86_400),
        ("acs.session_timeout", acs.session_timeout, 1, 86_400),
        ("acs.confirm_timeout", acs.confirm_timeout, 0, 86_400),
        ("acs.fallback_after", acs.fallback_after, 1, 1000),
    ])
}

fn rest(config: &Config) -> Option<Problem> {
    let (acs, cr) = (&config.acs, &config.connection_request);
    for (key, value) in [
        ("acs.username", acs.username.as_str()),
        ("acs.password", acs.password.reveal()),
        ("connection_request.username", cr.username.as_str()),
        ("connection_request.password", cr.password.reveal()),
    ] {
        if value.chars().count() > 256 {
            return Some((key, "longer than 256 characters".into()));
        }
        if value.chars().any(char::is_control) {
            return Some((key, "holds a control character".into()));
        }
    }
    if !digest::is_speakable(&acs.username) {
        return Some(("acs.username", "holds a character other than visible ASCII".into()));
    }
    if cr.algorithms.is_empty() || cr.algorithms.len() > 2 || cr.algorithms.first() == cr.algorithms.get(1) {
        return Some(("connection_request.algorithms", "not MD5, SHA-256 or both, each once".into()));
    }
    numbers(&[
        ("connection_request.burst", cr.burst, 1, 1000),
        ("connection_request.refill", cr.refill, 1, 3600),
    ])
    .or_else(|| config.commands.judge())
    .or_else(|| config.transfer.judge())
}

pub(super) fn numbers(all: &[(&'static str, u32, u32, u32)]) -> Option<Problem> {
    let &(key, value, min, max) = all.iter().find(|(_, value, min, max)| !(min..=max).contains(&value))?;
    let bounds = if max == u32::MAX { format!("{min} or more") } else { format!("{min} to {max}") };
    Some((key, format!("{value} is not {bounds}")))
}

/// Whether the file can be read and holds what it should; TLS itself judges the rest.
fn pem(file: &Path, what: &str) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("{} cannot be read: {e}", file.display());
    // Asked before opening: to open a pipe would wait for somebody to write into it.
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(format!("{} is not a file", file.display()));
    }
    let mut text = Vec::new();
    std::fs::File::open(file).and_then(|f| f.take(MAX_PEM).read_to_end(&mut text)).map_err(unreadable)?;
    if text.windows(what.len()).any(|w| w == what.as_bytes()) {
        Ok(())
    } else {
        Err(format!("{} holds no PEM block `{what}`", file.display()))
    }
}

/// What will work but not well; a line each.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    let acs = &config.acs;
    let https = Url::of_acs(&acs.url).is_ok_and(|url| url.https);
    if https && acs.ca_file.is_none() {
        out.push(
            "acs.url is https but acs.ca_file is not given: no ACS is trusted, every session will fail"
                .into(),
        );
    }
    let clear = |url: &String| Url::of_acs(url).is_ok_and(|url| !url.https);
    if https && acs.fallback_urls.iter().any(clear) {
        out.push(
            "acs.fallback_urls: one is http while acs.url is https: whoever keeps the device from the \
             ACS leads it there, in clear"
                .into(),
        );
    }
    let others = acs.fallback_urls.iter().any(|url| Url::of_acs(url).is_ok_and(|url| url.https));
    if others && !https && acs.ca_file.is_none() {
        out.push("acs.fallback_urls: https needs acs.ca_file, the trusted roots, and there is none".into());
    }
    if !https && acs.basic_over_http {
        out.push("acs.basic_over_http: the password goes over the network in clear".into());
    }
    if acs.response_timeout < 30 {
        out.push("acs.response_timeout: TR-069 asks for at least 30 s".into());
    }
    if config.connection_request.username.is_empty() {
        out.push(
            "connection_request.username is not given: requests are refused until the ACS sets it".into(),
        );
    }
    if on_tmpfs(&config.state_dir) {
        out.push(format!(
            "state_dir: {} lies on tmpfs: everything is forgotten with a power cut",
            config.state_dir.display()
        ));
    }
    out
}

/// Whether a folder, or the nearest one above it that exists, lies in memory.
fn on_tmpfs(dir: &Path) -> bool {
    use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
    // An initramfs is one; nix has no name for it. The width of the type is the platform's.
    let ramfs = FsType(0x8584_58f6_u32 as _);
    let Some(there) = dir.ancestors().find(|d| d.is_dir()) else {
        return false;
    };
    statfs(there).is_ok_and(|fs| [TMPFS_MAGIC, ramfs].contains(&fs.filesystem_type()))
}
