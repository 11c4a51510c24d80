//! Provider `system`: DeviceInfo.UpTime, the additional versions, and NetworkProperties.

use crate::handlers::reading::Reading;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

/// The provider.
pub struct System;

impl Reading for System {
    /// Seconds since the start never stand still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) {}

    fn get(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "UpTime" => {
                    if let Some(up) = host::uptime(ctx.root) {
                        out.put(i, up.as_secs());
                    }
                }
                "AdditionalHardwareVersion" => {
                    if let Some(version) = host::line(ctx.root, "/sys/class/dmi/id/bios_version") {
                        out.put(i, item(&version));
                    }
                }
                "AdditionalSoftwareVersion" => {
                    let uname = host::uname(ctx.root);
                    out.put(i, item(format!("{} {}", uname.sysname, uname.release).trim()));
                }
                // The third number is the most that a receive buffer may grow to.
                "MaxTCPWindowSize" => {
                    let line = host::line(ctx.root, "/proc/sys/net/ipv4/tcp_rmem");
                    let max = line.as_deref().and_then(|l| l.split_ascii_whitespace().nth(2));
                    if let Some(max) = max.and_then(|m| m.parse::<u32>().ok()) {
                        out.put(i, max);
                    }
                }
                "TCPImplementation" => out.put(i, implementations(ctx.root)),
                _ => {}
            }
        }
    }
}

/// A text that can stand in a list: at most 64 characters, its commas taken out.
fn item(text: &str) -> String {
    text.chars().filter(|c| *c != ',' && !c.is_control()).take(64).collect()
}

/// The standard's words for the kernel's congestion controls; it has none for cubic and bbr. What
/// Linux calls reno is the New Reno of RFC 6582.
fn implementations(root: &Path) -> String {
    let known = host::line(root, "/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap_or_default();
    let words = known.split_ascii_whitespace().filter_map(|name| match name {
        "reno" => Some("New Reno"),
        "vegas" => Some("Vegas"),
        _ => None,
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn what_proc_says_of_the_system() {
        let f = Folder::new();
        f.file("proc/uptime", "61.99 1.0\n");
        f.file("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
        f.file("proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic vegas bbr\n");
        f.file(".cwmpd/uname", "sysname=Linux\nrelease=5.15.134\n");
        const INFO: [&str; 3] = ["UpTime", "AdditionalSoftwareVersion", "AdditionalHardwareVersion"];
        const TCP: [&str; 2] = ["MaxTCPWindowSize", "TCPImplementation"];
        let read = || {
            let mut system = ReadOnly(Box::new(System));
            let info = probe::get(&mut system, f.root(), "Device.DeviceInfo.", &[], &INFO);
            let tcp = probe::get(&mut system, f.root(), "Device.DeviceInfo.NetworkProperties.", &[], &TCP);
            (probe::line(&info, &INFO), probe::line(&tcp, &TCP))
        };
        assert_eq!(read(), ("61|Linux 5.15.134|-".into(), "6291456|New Reno,Vegas".into()));
        f.file("proc/sys/net/ipv4/tcp_rmem", "4096 131072 99999999999999\n");
        f.file("proc/sys/net/ipv4/tcp_available_congestion_control", "");
        f.bytes("proc/uptime", &[0xff; 100]);
        f.file("sys/class/dmi/id/bios_version", "v4.19,\u{7}.0\n");
        assert_eq!(read(), ("-|Linux 5.15.134|v4.19.0".into(), "-|".into()));
    }
}
