//! What the kernel says of the network, written in the files that [`super::recorded`] reads.

use super::network::{self, Device};
use super::recorded::{self, ADDRESS_FLAGS, LINK_FLAGS, NEIGHBOUR_STATES};
use super::{queue, sockets};
use crate::sys::netlink::link::PortVlan;
use crate::sys::netlink::queue::{Queue, ROOT};
use crate::sys::netlink::route::{Address, FOREVER, Neighbour, Route};
use std::fmt::Write;
use std::path::Path;

/// The files below `.cwmpd/` and their text: what the kernel of this machine says, or what the files below
/// another root say already. What cannot be asked is left out, and told.
pub fn files(root: &Path, mut tell: impl FnMut(String)) -> Vec<(&'static str, String)> {
    let live = root == Path::new("/");
    let devices = network::devices(root, live).unwrap_or_else(|e| {
        tell(format!("devices: {e}"));
        Vec::new()
    });
    let mut files = vec![("links", links(&devices))];
    let all = [
        ("addresses", network::raw_addresses(root, live, &devices).map(|all| addresses(&all, &devices))),
        ("routes", network::raw_routes(root, live, &devices).map(|all| routes(&all, &devices))),
        ("neighbours", network::neighbours(root, live, &devices).map(|all| neighbours(&all, &devices))),
        ("queues", queue::raw(root, live, &devices).map(|all| queues(&all, &devices))),
    ];
    for (name, text) in all {
        match text {
            Ok(text) => files.push((name, text)),
            Err(e) => tell(format!("{name}: {e}")),
        }
    }
    files.push(("sockets", self::sockets(root, live)));
    files
}

/// A word of a line; nothing for what its reader takes anyway.
fn word(out: &mut String, name: &str, value: impl std::fmt::Display, usual: &str) {
    let before = out.len();
    // Writing to a String cannot fail.
    let _ = write!(out, " {name}={value}");
    if out.get(before + name.len() + 2..) == Some(usual) {
        out.truncate(before);
    }
}

fn bits(value: u32, names: &[(&str, u32)]) -> String {
    let set: Vec<&str> = names.iter().filter(|(_, bit)| value & bit != 0).map(|(name, _)| *name).collect();
    set.join(",")
}

fn seconds(value: u32) -> String {
    if value == FOREVER { "forever".to_owned() } else { value.to_string() }
}

fn name(devices: &[Device], index: u32) -> &str {
    devices.iter().find(|d| d.index == index).map_or("", |d| &d.name)
}

/// A line without the blank that it begins with.
fn line(out: &mut String, words: &str) {
    out.push_str(words.trim_start());
    out.push('\n');
}

fn links(devices: &[Device]) -> String {
    let mut out = String::new();
    // Behind `#` nothing is read.
    for d in devices.iter().filter(|d| !d.name.contains('#')) {
        let mut w = String::new();
        word(&mut w, "index", d.index, "");
        word(&mut w, "name", &d.name, "");
        word(&mut w, "type", d.hardware, "1");
        word(&mut w, "kind", &d.kind, "");
        word(&mut w, "mac", d.mac.map(|m| m.to_string()).unwrap_or_default(), "");
        word(&mut w, "mtu", d.mtu, "1500");
        word(&mut w, "mtu_min", d.mtu_min, "0");
        word(&mut w, "mtu_max", d.mtu_max, "0");
        word(&mut w, "flags", bits(d.flags, LINK_FLAGS), "");
        word(&mut w, "state", d.state, "0");
        word(&mut w, "vlan", d.vlan, "0");
        word(&mut w, "protocol", d.protocol, "0");
        word(&mut w, "master", name(devices, d.master), "");
        word(&mut w, "lower", name(devices, d.lower), "");
        let vlan = |v: &PortVlan| {
            let mark = |is: bool, text| if is { text } else { "" };
            format!("{}{}{}", v.id, mark(v.pvid, ":pvid"), mark(v.untagged, ":untagged"))
        };
        word(&mut w, "vlans", d.vlans.iter().map(vlan).collect::<Vec<_>>().join(","), "");
        let mut stats = d.stats;
        for (name, counter) in recorded::counters(&mut stats) {
            word(&mut w, name, *counter, "0");
        }
        line(&mut out, &w);
    }
    out
}

fn addresses(all: &[Address], devices: &[Device]) -> String {
    let mut out = String::new();
    for a in all {
        let mut w = String::new();
        word(&mut w, "dev", name(devices, a.link), "");
        word(&mut w, "address", format_args!("{}/{}", a.local, a.prefix), "");
        word(&mut w, "peer", a.peer.map(|p| p.to_string()).unwrap_or_default(), "");
        word(&mut w, "flags", bits(a.flags, ADDRESS_FLAGS), "");
        word(&mut w, "preferred", seconds(a.preferred), "forever");
        word(&mut w, "valid", seconds(a.valid), "forever");
        word(&mut w, "proto", a.protocol, "0");
        line(&mut out, &w);
    }
    out
}

fn routes(all: &[Route], devices: &[Device]) -> String {
    let mut out = String::new();
    for r in all {
        let mut w = String::new();
        word(&mut w, "dst", format_args!("{}/{}", r.destination, r.prefix), "");
        word(&mut w, "via", r.gateway.map(|g| g.to_string()).unwrap_or_default(), "");
        word(&mut w, "dev", name(devices, r.link), "");
        word(&mut w, "metric", r.metric, "0");
        word(&mut w, "tos", r.tos, "0");
        word(&mut w, "table", r.table, "254");
        word(&mut w, "proto", r.protocol, "3");
        word(&mut w, "type", r.kind, "1");
        word(&mut w, "pref", r.preference, "0");
        word(&mut w, "expires", seconds(r.expires), "forever");
        line(&mut out, &w);
    }
    out
}

type Neighbours = (Vec<Neighbour>, Vec<Neighbour>);

fn neighbours((known, learned): &Neighbours, devices: &[Device]) -> String {
    let mut out = String::new();
    for n in known.iter().chain(learned) {
        let mut w = String::new();
        if n.address.is_none() {
            let master = devices.iter().find(|d| d.index == n.link).map_or(0, |d| d.master);
            let bridge = name(devices, master);
            word(&mut w, "bridge", if bridge.is_empty() { "-" } else { bridge }, "");
        }
        word(&mut w, "dev", name(devices, n.link), "");
        word(&mut w, "address", n.address.map(|a| a.to_string()).unwrap_or_default(), "");
        word(&mut w, "mac", n.mac.map(|m| m.to_string()).unwrap_or_default(), "");
        word(&mut w, "state", bits(n.state.into(), NEIGHBOUR_STATES), "");
        word(&mut w, "confirmed", n.confirmed, "0");
        line(&mut out, &w);
    }
    out
}

fn queues(all: &[Queue], devices: &[Device]) -> String {
    let mut out = String::new();
    for q in all {
        let mut w = String::new();
        word(&mut w, "dev", name(devices, q.link), "");
        word(&mut w, "kind", &q.kind, "");
        word(&mut w, "parent", q.parent, &ROOT.to_string());
        word(&mut w, "hardware", u8::from(q.hardware), "0");
        word(&mut w, "bytes", q.bytes, "0");
        word(&mut w, "packets", q.packets, "0");
        word(&mut w, "drops", q.drops, "0");
        word(&mut w, "waiting", q.waiting, "0");
        line(&mut out, &w);
    }
    out
}

fn sockets(root: &Path, live: bool) -> String {
    let mut out = String::new();
    for socket in sockets::read(root, live) {
        let mut w = String::new();
        word(&mut w, "local", socket.local, "");
        word(&mut w, "remote", socket.remote.map(|r| r.to_string()).unwrap_or_default(), "");
        line(&mut out, &w);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    /// What a folder's files say, in the form of this room.
    fn told(root: &Path) -> Vec<(&'static str, String)> {
        files(root, |e| panic!("{e}"))
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let f = Folder::new();
        f.file(
            ".cwmpd/links",
            "index=2 name=eth0 mac=02:00:00:00:00:01 mtu=1496 mtu_min=68 mtu_max=9000 flags=up,running,lower_up state=up rx_bytes=1000 multicast=7 rx_missed_errors=2\n\
             name=lo type=loopback flags=up,loopback,running\n\
             index=9 name=eth0.10 kind=vlan lower=eth0 vlan=10 protocol=0x8100 state=lowerlayerdown\n\
             index=10 name=br-lan kind=bridge\n\
             index=11 name=lan1 master=br-lan vlans=1:pvid:untagged,10\n\
             index=12 name=ppp0 type=ppp flags=up,pointopoint,noarp\n",
        );
        f.file(
            ".cwmpd/addresses",
            "dev=br-lan address=192.168.1.1/24 flags=permanent\n\
             dev=ppp0 address=198.51.100.23/32 peer=198.51.100.1 preferred=10 valid=20\n\
             dev=br-lan address=fe80::1/64 flags=permanent,tentative proto=kernel_ll\n",
        );
        f.file(
            ".cwmpd/routes",
            "dst=default via=198.51.100.1 dev=ppp0 metric=100 proto=dhcp\n\
             dst=default via=fe80::2 dev=ppp0 proto=ra pref=high expires=300\n\
             dst=10.0.0.0/8 type=unreachable tos=4\n",
        );
        f.file(
            ".cwmpd/neighbours",
            "dev=br-lan address=192.168.1.20 mac=02:00:00:00:00:20 state=reachable confirmed=3\n\
             dev=br-lan address=192.168.1.21 state=incomplete\n\
             bridge=br-lan dev=lan1 mac=02:00:00:00:00:20 confirmed=3\n",
        );
        f.file(
            ".cwmpd/queues",
            "dev=eth0 kind=fq_codel packets=10 bytes=1000 drops=1 waiting=2\ndev=eth0 parent=65546 kind=codel hardware=1\n",
        );
        f.file(
            ".cwmpd/sockets",
            "local=127.0.0.1:53\nlocal=192.168.1.1:22 remote=192.168.1.20:50000\nlocal=[::]:80\n",
        );
        let once = told(f.root());
        let again = Folder::new();
        for (name, text) in &once {
            again.file(&format!(".cwmpd/{name}"), text);
        }
        assert_eq!(told(again.root()), once);
        let lines = |name: &str| once.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_str());
        assert_eq!(
            lines("addresses"),
            Some(
                "dev=br-lan address=192.168.1.1/24 flags=permanent\n\
                 dev=ppp0 address=198.51.100.23/32 peer=198.51.100.1 preferred=10 valid=20\n\
                 dev=br-lan address=fe80::1/64 flags=tentative,permanent proto=3\n"
            )
        );
        assert_eq!(
            lines("routes"),
            Some(
                "dst=0.0.0.0/0 via=198.51.100.1 dev=ppp0 metric=100 proto=16\n\
                 dst=::/0 via=fe80::2 dev=ppp0 proto=9 pref=1 expires=300\n\
                 dst=10.0.0.0/8 tos=4 type=7\n"
            )
        );
        assert_eq!(
            lines("neighbours"),
            Some(
                "dev=br-lan address=192.168.1.20 mac=02:00:00:00:00:20 state=reachable confirmed=3\n\
                 dev=br-lan address=192.168.1.21 state=incomplete\n\
                 bridge=br-lan dev=lan1 mac=02:00:00:00:00:20 confirmed=3\n"
            )
        );
        assert_eq!(
            lines("sockets"),
            Some("local=127.0.0.1:53\nlocal=192.168.1.1:22 remote=192.168.1.20:50000\nlocal=[::]:80\n")
        );
        let links = lines("links").unwrap_or_default();
        assert!(
            links.contains("index=9 name=eth0.10 kind=vlan state=3 vlan=10 protocol=33024 lower=eth0\n"),
            "{links}"
        );
        assert!(links.contains("name=lan1 master=br-lan vlans=1:pvid:untagged,10\n"), "{links}");
    }
}
