//! Provider `dns`: DNS.Client with its servers, from resolv.conf and the leases of DHCP clients, and
//! DNS.Relay, from dnsmasq's configuration. The key of a server is its address as the file says it.

use super::process::Processes;
use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

/// No more servers than this are shown, of each kind.
const MAX_SERVERS: usize = 64;
/// Daemons that answer DNS for the network, as the kernel cuts their names.
const RELAYS: [&str; 5] = ["dnsmasq", "unbound", "named", "kresd", "systemd-resolve"];
/// What tells of the client's servers; folders end with a slash.
const CLIENT_FILES: &[&str] =
    &["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/systemd/netif/leases/", "/var/lib/dhcp/"];
/// The rows of the table that an interface's name points into.
const INTERFACE: &str = "Device.IP.Interface.{i}.";

/// The provider.
pub struct Dns {
    processes: Rc<RefCell<Processes>>,
    found: PerRpc<Found>,
}

/// Servers by what they serve.
#[derive(Default)]
struct Found {
    client: Vec<Server>,
    relay: Vec<Server>,
}

/// One server.
#[derive(Clone, PartialEq, Debug)]
struct Server {
    /// `fe80::1%eth0`
    key: String,
    address: IpAddr,
    interface: Option<String>,
    /// One of the standard's words.
    origin: &'static str,
}

impl Dns {
    /// The provider; the processes tell whether a relay runs.
    pub fn new(processes: Rc<RefCell<Processes>>) -> Dns {
        Dns { processes, found: PerRpc::default() }
    }
}

impl Found {
    /// The servers of a table, by the object it stands in.
    fn of(&self, table: &str) -> &[Server] {
        if table == "Forwarding" { &self.relay } else { &self.client }
    }
}

impl Reading for Dns {
    fn bells(&self, _: &Ctx<'_>, row: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        for path in CLIENT_FILES {
            ring(Bell::File((*path).to_owned()));
        }
        if row.object.path().starts_with("Device.DNS.Relay.") {
            // Whether a relay runs, and where its configuration leads.
            ring(Bell::None);
        }
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let found = self.found.get(ctx, || read(ctx.root));
        out.extend(found.of(row.object.name()).iter().map(|s| s.key.clone()));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let relays = || self.processes.borrow_mut().runs(ctx, &RELAYS);
        let word = |on: bool| if on { "Enabled" } else { "Disabled" };
        if row.object.name() == "Relay" {
            let runs = relays();
            for (i, want) in want.iter().enumerate() {
                match want.param.name() {
                    "Enable" => out.put(i, runs),
                    "Status" => out.put(i, word(runs)),
                    _ => {}
                }
            }
            return;
        }
        // A forwarder serves while its relay runs; the client is a library and always there.
        let on = row.object.name() != "Forwarding" || relays();
        let found = self.found.get(ctx, || read(ctx.root));
        let Some(server) = found.of(row.object.name()).iter().find(|s| s.key == row.key()) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, on),
                "Status" => out.put(i, word(on)),
                "DNSServer" => out.put(i, server.address),
                "Interface" => {
                    if let Some(name) = &server.interface {
                        out.refer(i, INTERFACE, &[name]);
                    }
                }
                "Type" => out.put(i, server.origin),
                _ => {}
            }
        }
    }
}

fn read(root: &Path) -> Found {
    let mut client = Vec::new();
    resolv_conf(root, "/etc/resolv.conf", &mut client);
    // The stub of systemd-resolved stands for the servers it asks.
    let stub = |s: &Server| s.address.to_string() == "127.0.0.53";
    if client.iter().any(stub) {
        client.retain(|s| !stub(s));
        resolv_conf(root, "/run/systemd/resolve/resolv.conf", &mut client);
    }
    let relay = forwarders(root);
    let mut found = Found { client, relay };
    let leased = leases(root);
    for server in found.client.iter_mut().chain(&mut found.relay) {
        if let Some((_, interface)) = leased.iter().find(|(address, _)| *address == server.address) {
            server.origin = "DHCPv4";
            if server.interface.is_none() {
                server.interface.clone_from(interface);
            }
        }
    }
    found
}

fn resolv_conf(root: &Path, path: &str, out: &mut Vec<Server>) {
    for line in host::read(root, path).unwrap_or_default().lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("nameserver") {
            words.next().into_iter().for_each(|word| add(out, word));
        }
    }
}

/// `192.0.2.1`, `fe80::1%eth0`; what is no address, and what is there already, is left out.
fn add(out: &mut Vec<Server>, word: &str) {
    let (address, interface) = match word.split_once('%') {
        Some((address, interface)) => (address, Some(interface.to_owned())),
        None => (word, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return;
    };
    let plain = word.len() <= 64 && word.bytes().all(|b| b.is_ascii_graphic());
    if out.len() < MAX_SERVERS && plain && !out.iter().any(|s| s.address == address) {
        out.push(Server { key: word.to_owned(), address, interface, origin: "Static" });
    }
}

/// The servers that dnsmasq asks: those of its own lines, and those of resolv.conf unless it is told
/// not to read it. A server for one domain only is no forwarder of all.
fn forwarders(root: &Path) -> Vec<Server> {
    let mut files = vec!["/etc/dnsmasq.conf".to_owned()];
    for folder in ["/etc/dnsmasq.d", "/var/etc"] {
        let names = host::names(root, folder)
            .into_iter()
            .filter(|n| folder != "/var/etc" || n.starts_with("dnsmasq.conf"));
        files.extend(names.map(|n| format!("{folder}/{n}")));
    }
    let mut servers = Vec::new();
    let mut resolv = Some("/etc/resolv.conf".to_owned());
    let mut configured = false;
    for file in files.iter().take(64) {
        let Ok(text) = host::read(root, file) else {
            continue;
        };
        configured = true;
        for line in text.lines() {
            let line = line.trim();
            if let Some(server) = line.strip_prefix("server=") {
                // ADDRESS#PORT@INTERFACE
                let (address, interface) = match server.split_once('@') {
                    Some((address, interface)) => (address, Some(interface)),
                    None => (server, None),
                };
                let address = address.split('#').next().unwrap_or("").trim();
                match interface {
                    Some(interface) => add(&mut servers, &format!("{address}%{interface}")),
                    None => add(&mut servers, address),
                }
            } else if let Some(path) = line.strip_prefix("resolv-file=") {
                resolv = resolv.map(|_| path.trim().to_owned());
            } else if line == "no-resolv" {
                resolv = None;
            }
        }
    }
    if let (true, Some(path)) = (configured, resolv) {
        resolv_conf(root, &path, &mut servers);
        // The relay does not ask itself.
        servers.retain(|s| !s.address.is_loopback());
    }
    servers
}

/// The servers that came by DHCP, and by which interface where that is told.
fn leases(root: &Path) -> Vec<(IpAddr, Option<String>)> {
    let mut found = Vec::new();
    // systemd-networkd: a file for each interface, named by its index.
    for index in host::names(root, "/run/systemd/netif/leases").iter().take(MAX_SERVERS) {
        let text = host::read(root, &format!("/run/systemd/netif/leases/{index}")).unwrap_or_default();
        let name = host::names(root, "/sys/class/net")
            .into_iter()
            .find(|n| host::line(root, &format!("/sys/class/net/{n}/ifindex")).as_deref() == Some(index));
        let servers = text.lines().filter_map(|l| l.strip_prefix("DNS="));
        let addresses = servers.flat_map(str::split_ascii_whitespace).filter_map(|w| w.parse().ok());
        found.extend(addresses.map(|a| (a, name.clone())));
    }
    // dhclient: the last lease is in force, the ones before named the same servers or none in use.
    for file in host::names(root, "/var/lib/dhcp").iter().filter(|n| n.ends_with(".leases")).take(MAX_SERVERS)
    {
        let mut interface = None;
        for line in host::read(root, &format!("/var/lib/dhcp/{file}")).unwrap_or_default().lines() {
            let line = line.trim().trim_end_matches(';');
            if let Some(name) = line.strip_prefix("interface ") {
                let name = name.trim_matches('"');
                let plain = name.bytes().all(|b| b.is_ascii_graphic());
                interface = plain.then(|| name.to_owned());
            } else if let Some(list) = line.strip_prefix("option domain-name-servers ") {
                let addresses = list.split(',').filter_map(|w| w.trim().parse().ok());
                found.extend(addresses.map(|a| (a, interface.clone())));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const SERVER: &str = "Device.DNS.Client.Server.{i}.";
    const FORWARDING: &str = "Device.DNS.Relay.Forwarding.{i}.";
    const NAMES: [&str; 5] = ["Enable", "Status", "DNSServer", "Interface", "Type"];

    fn dns() -> ReadOnly {
        ReadOnly(Box::new(Dns::new(Rc::default())))
    }

    #[test]
    fn servers_of_the_client() {
        let f = Folder::new();
        f.file("etc/resolv.conf", "# x\nsearch lan\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\nnameserver nonsense\nnameserver\n");
        f.file(
            "var/lib/dhcp/dhclient.eth0.leases",
            "lease {\n  interface \"eth0\";\n  option domain-name-servers 192.0.2.53, 192.0.2.54;\n}\n",
        );
        assert_eq!(probe::list(&mut dns(), f.root(), SERVER, &[]), ["192.0.2.53", "fe80::1%eth0"]);
        let get = |key| probe::line(&probe::get(&mut dns(), f.root(), SERVER, &[key], &NAMES), &NAMES);
        assert_eq!(get("192.0.2.53"), "true|Enabled|192.0.2.53|Device.IP.Interface.{i}.<eth0>|DHCPv4");
        assert_eq!(get("fe80::1%eth0"), "true|Enabled|fe80::1|Device.IP.Interface.{i}.<eth0>|Static");
        assert_eq!(get("192.0.2.99"), "-|-|-|-|-");
        f.file("etc/resolv.conf", "nameserver 127.0.0.53\n");
        f.file("run/systemd/resolve/resolv.conf", "nameserver 198.51.100.1\n");
        f.file("run/systemd/netif/leases/3", "ADDRESS=1.2.3.4\nDNS=198.51.100.1 198.51.100.2\n");
        f.file("sys/class/net/wan/ifindex", "3\n");
        assert_eq!(probe::list(&mut dns(), f.root(), SERVER, &[]), ["198.51.100.1"]);
        assert_eq!(get("198.51.100.1"), "true|Enabled|198.51.100.1|Device.IP.Interface.{i}.<wan>|DHCPv4");
    }

    #[test]
    fn forwarders_of_the_relay() {
        let f = Folder::new();
        f.file("etc/resolv.conf", "nameserver 127.0.0.1\nnameserver 192.0.2.53\n");
        assert!(probe::list(&mut dns(), f.root(), FORWARDING, &[]).is_empty(), "no relay is configured");
        f.file(
            "etc/dnsmasq.conf",
            "#server=10.0.0.1\nserver=10.0.0.2#5353\nserver=/corp/10.0.0.3\nserver=10.0.0.4@wan\n",
        );
        assert_eq!(
            probe::list(&mut dns(), f.root(), FORWARDING, &[]),
            ["10.0.0.2", "10.0.0.4%wan", "192.0.2.53"]
        );
        let get =
            || probe::line(&probe::get(&mut dns(), f.root(), FORWARDING, &["10.0.0.2"], &NAMES), &NAMES);
        assert_eq!(get(), "false|Disabled|10.0.0.2|-|Static");
        f.file("proc/7/stat", "7 (dnsmasq) S");
        assert_eq!(get(), "true|Enabled|10.0.0.2|-|Static");
        let v = probe::get(&mut dns(), f.root(), "Device.DNS.Relay.", &[], &["Enable", "Status"]);
        assert_eq!((v["Enable"].as_str(), v["Status"].as_str()), ("true", "Enabled"));
        f.file("etc/dnsmasq.d/own", "no-resolv\n");
        assert_eq!(probe::list(&mut dns(), f.root(), FORWARDING, &[]).len(), 2);
    }

    #[test]
    fn hostile_files() {
        let f = Folder::new();
        let many: String = (0..2000).map(|n| format!("nameserver 10.0.{}.{}\n", n / 250, n % 250)).collect();
        f.file("etc/resolv.conf", &many);
        assert_eq!(probe::list(&mut dns(), f.root(), SERVER, &[]).len(), MAX_SERVERS);
        f.bytes("etc/resolv.conf", b"\xff%\n\0\nnameserver fe80::1%a\x1fb\n");
        f.file("etc/dnsmasq.conf", "server=\nserver=@\nserver=#\nresolv-file=\nserver=1.2.3.4@%%%\n");
        assert!(probe::list(&mut dns(), f.root(), SERVER, &[]).is_empty());
        assert_eq!(probe::list(&mut dns(), f.root(), FORWARDING, &[]), ["1.2.3.4%%%%"]);
    }
}
