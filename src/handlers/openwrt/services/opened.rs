//! Ports that hosts opened by UPnP or NAT-PMP: the leases of miniupnpd. They are rows that nobody but the host
//! can change.

use super::zones;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Fields, Want};
use crate::sys::host;
use std::net::IpAddr;
use std::path::Path;

/// How the key of such a row begins; no section is called so.
pub const PREFIX: &str = "upnp ";
/// The file, unless `upnpd` says another one.
const FILE: &str = "/var/run/miniupnpd.leases";
/// The most leases shown.
const MAX_LEASES: usize = 1024;

/// One open port: `TCP:51413:192.168.1.2:51413:1790859600:words`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    protocol: String,
    external: u16,
    client: IpAddr,
    internal: u16,
    /// When it ends, in seconds since 1970; 0 for never.
    until: i64,
    words: String,
}

impl Lease {
    fn parse(line: &str) -> Option<Lease> {
        let mut words = line.splitn(6, ':');
        let protocol = words.next().filter(|p| matches!(*p, "TCP" | "UDP"))?.to_owned();
        Some(Lease {
            protocol,
            external: words.next()?.parse().ok()?,
            client: words.next()?.parse().ok()?,
            internal: words.next()?.parse().ok()?,
            until: words.next()?.parse().ok()?,
            words: words.next().unwrap_or("").chars().filter(|c| !c.is_control()).take(256).collect(),
        })
    }

    /// The key of its row.
    pub fn key(&self) -> String {
        format!("{PREFIX}{} {}", self.protocol, self.external)
    }
}

/// The leases, in the order of the file.
pub fn read(root: &Path) -> Vec<Lease> {
    let text = host::read(root, FILE).unwrap_or_default();
    text.lines().filter_map(Lease::parse).take(MAX_LEASES).collect()
}

/// The values of a row.
pub fn fill(sources: &mut Sources, ctx: &Ctx<'_>, key: &str, want: &[Want<'_>], out: &mut Fields) {
    let all = read(ctx.root);
    let Some(lease) = all.iter().find(|l| l.key() == key) else {
        return;
    };
    let package = sources.readable(ctx, "upnpd");
    let outside = package.as_ref().and_then(|p| p.section("config")?.get("external_iface")).unwrap_or("wan");
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, true),
            "Status" => out.put(at, "Enabled"),
            "Origin" => out.put(at, "UPnP"),
            "Interface" => out.refer(at, zones::INTERFACE, &[outside]),
            "RemainingLeaseTime" if lease.until > 0 => {
                out.put(at, (lease.until - host::now(ctx.root)).max(0));
            }
            "ExternalPort" => out.put(at, lease.external),
            "InternalPort" => out.put(at, lease.internal),
            "Protocol" => out.put(at, &lease.protocol),
            "InternalClient" => out.put(at, lease.client),
            "Description" => out.put(at, &lease.words),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let parse =
            |line| Lease::parse(line).map(|l| (l.key(), l.client.to_string(), l.internal, l.until, l.words));
        let good = parse("TCP:51413:192.168.1.2:51414:1790859600:a:b");
        let want =
            ("upnp TCP 51413".to_owned(), "192.168.1.2".to_owned(), 51414, 1790859600, "a:b".to_owned());
        assert_eq!(good, Some(want));
        for line in [
            "",
            "TCP",
            "TCP:1:x:1:0:",
            "SCTP:1:10.0.0.1:1:0:x",
            "TCP:70000:10.0.0.1:1:0:x",
            "TCP:1:10.0.0.1:1",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert!(Lease::parse("UDP:1:10.0.0.1:1:0").is_some_and(|l| l.until == 0 && l.words.is_empty()));
    }
}
