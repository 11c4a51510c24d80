//! TCP sockets: the table `Device.IP.ActivePort.{i}.`, which is of TCP alone.

use super::network::View;
use super::recorded;
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::host;
use crate::sys::netlink::route::Socket;
use crate::sys::netlink::{Dump, collect};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The most sockets shown.
const MAX_SOCKETS: usize = 16_384;
/// The most bytes read of one file: above what [`MAX_SOCKETS`] lines of IPv6 take.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// All of them; several that listen on the same port count once. A kernel that does not tell over
/// netlink is read by its files, as is any root but `/`.
pub fn read(root: &Path, live: bool) -> Vec<Socket> {
    let told = live.then(|| collect(Dump::Sockets, Socket::parse).ok()).flatten();
    let mut all = told.or_else(|| recorded::sockets(root)).unwrap_or_else(|| files(root));
    let mut seen = HashSet::new();
    all.retain(|socket| seen.insert(socket.clone()));
    all.truncate(MAX_SOCKETS);
    all
}

/// A machine without IPv6 has no `tcp6`.
fn files(root: &Path) -> Vec<Socket> {
    let mut out = Vec::new();
    for file in ["proc/net/tcp", "proc/net/tcp6"] {
        let Ok(open) = std::fs::File::open(host::below(root, file)) else {
            continue;
        };
        let mut lines = BufReader::new(open.take(MAX_FILE));
        let mut line = String::new();
        while out.len() < MAX_SOCKETS && matches!(lines.read_line(&mut line), Ok(1..)) {
            out.extend(socket(&line));
            line.clear();
        }
    }
    out
}

fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (end(words.next()?)?, end(words.next()?)?);
    Socket::new(u8::from_str_radix(words.next()?, 16).ok()?, local, remote)
}

/// `0100007F:1F90`: the address as words of 32 bits in the byte order of the machine.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word =
        |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn key(socket: &Socket) -> String {
    match socket.remote {
        Some(remote) => format!("{} {remote}", socket.local),
        None => socket.local.to_string(),
    }
}

fn is(socket: &Socket, key: &str) -> bool {
    let (local, remote) = key.split_once(' ').map_or((key, None), |(l, r)| (l, Some(r)));
    // Numbers first: text is made only for what has a chance.
    local.parse() == Ok(socket.local) && remote.map(str::parse) == socket.remote.map(Ok)
}
/// The keys of `Device.IP.ActivePort.{i}.`.
pub fn list(view: &View, _row: &Row<'_>, out: &mut Keys) {
    out.extend(view.sockets.iter().map(key));
}

/// `Device.IP.ActivePort.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(socket) = view.seek(&view.sockets, |s| is(s, row.key())) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match (w.param.name(), socket.remote) {
            ("LocalIPAddress", _) => out.put(at, socket.local.ip()),
            ("LocalPort", _) => out.put(at, socket.local.port()),
            ("RemoteIPAddress", Some(remote)) => out.put(at, remote.ip()),
            ("RemotePort", Some(remote)) => out.put(at, remote.port()),
            ("Status", Some(_)) => out.put(at, "ESTABLISHED"),
            ("Status", None) => out.put(at, "LISTEN"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(bytes: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(bytes))
    }

    #[test]
    fn lines_of_proc() {
        let zero = v4([0; 4]);
        let listening = format!(
            "   0: {}:1F90 {zero}:0000 0A 00000000:00000000 00:00000000 00000000",
            v4([127, 0, 0, 1])
        );
        let s = socket(&listening).unwrap();
        assert_eq!((key(&s).as_str(), s.remote), ("127.0.0.1:8080", None));
        assert!(is(&s, "127.0.0.1:8080") && !is(&s, "127.0.0.1:8080 10.0.0.1:1"));
        let mapped = format!("{}{}{}{}", v4([0; 4]), v4([0; 4]), v4([0, 0, 255, 255]), v4([10, 0, 0, 1]));
        let s = socket(&format!(" 1: {mapped}:0050 {mapped}:C000 01 x")).unwrap();
        assert_eq!(key(&s), "10.0.0.1:80 10.0.0.1:49152");
        assert!(is(&s, &key(&s)));
        for bad in [
            "",
            "x",
            "sl local_address rem_address st",
            "0: 1:1 1:1 01",
            "0: é0000000:0050 00000000:0000 0A",
            "0: 0100007F:1F90 00000000:0000 06",
        ] {
            assert_eq!(socket(bad), None, "{bad}");
        }
    }
}
