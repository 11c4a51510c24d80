//! What the kernel counts beside us: the bytes of an interface, and what of a socket is still on its way.

use crate::sys::kernel_file;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The most that is read of the kernel's table of TCP sockets, in bytes.
const MAX_SOCKETS: u64 = 256 * 1024;
/// State ESTABLISHED there.
const ESTABLISHED: &str = "01";

/// Bytes that an interface has received and sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bytes {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}

/// The counters of one interface.
#[derive(Default)]
pub struct Counters {
    folder: Option<PathBuf>,
}

impl Counters {
    /// Those of a device, whose files lie below `root`.
    pub fn of(root: &Path, device: Option<&str>) -> Counters {
        let name = device.filter(|name| !name.is_empty() && !name.contains('/') && !name.starts_with('.'));
        Counters { folder: name.map(|name| root.join("sys/class/net").join(name).join("statistics")) }
    }

    /// What they show now.
    pub fn read(&self) -> Option<Bytes> {
        let folder = self.folder.as_ref()?;
        let number = |file: &str| kernel_file::number(&folder.join(file));
        Some(Bytes { received: number("rx_bytes")?, sent: number("tx_bytes")? })
    }
}

/// The device that has this address.
pub fn device_with(address: IpAddr) -> Option<String> {
    nix::ifaddrs::getifaddrs().ok()?.find_map(|interface| {
        let found = interface.address?;
        let own: IpAddr = match (found.as_sockaddr_in(), found.as_sockaddr_in6()) {
            (Some(v4), _) => v4.ip().into(),
            (_, Some(v6)) => v6.ip().into(),
            _ => return None,
        };
        (own == address).then_some(interface.interface_name)
    })
}

/// Bytes that the kernel has of connections with these local ports and that their peers have not acknowledged.
pub fn on_the_way(root: &Path, ports: &[u16]) -> u64 {
    let tables = ["proc/net/tcp", "proc/net/tcp6"].iter().filter_map(|file| File::open(root.join(file)).ok());
    tables.map(|table| queued(BufReader::new(table.take(MAX_SOCKETS)), ports)).sum()
}

fn queued(table: impl BufRead, ports: &[u16]) -> u64 {
    let of = |line: &str| -> Option<u64> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, _, state, queues) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        let is_ours = state == ESTABLISHED && ports.contains(&port);
        is_ours.then(|| u64::from_str_radix(queues.split(':').next()?, 16).ok()).flatten()
    };
    table.lines().skip(1).map_while(Result::ok).filter_map(|line| of(&line)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_queued_is_read_of_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
             \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0\n\
             \x20  1: 0200005B:C001 0100005B:0050 01 0001E240:00000000 01:00000000 00000000  0\n\
             \x20  2: 0200005B:C002 0100005B:0050 01 00000010:00000000 01:00000000 00000000  0\n\
             \x20  3: 0200005B:C003 0100005B:0050 01 00000100:00000000 01:00000000 00000000  0\n\
             torn off";
        assert_eq!(queued(table.as_bytes(), &[0xC001, 0xC002]), 123_456 + 16);
        assert_eq!(queued(table.as_bytes(), &[0x1F90]), 0);
        assert_eq!(queued(&b""[..], &[1]), 0);
    }

    #[test]
    fn counters_lie_below_the_root() {
        let root = std::env::temp_dir().join(format!("cwmpd-counters-{}", std::process::id()));
        let folder = root.join("sys/class/net/wan0/statistics");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("rx_bytes"), "18446744073709551615\n").expect("a file");
        fs::write(folder.join("tx_bytes"), "7\n").expect("a file");
        let read = |device| Counters::of(&root, device).read();
        assert_eq!(read(Some("wan0")), Some(Bytes { received: u64::MAX, sent: 7 }));
        for none in [None, Some(""), Some("lan0"), Some(".."), Some("x/../wan0")] {
            assert_eq!(read(none), None, "{none:?}");
        }
        fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn the_device_of_an_address() {
        assert_eq!(device_with(Ipv4Addr::LOCALHOST.into()).as_deref(), Some("lo"));
        assert_eq!(device_with(Ipv4Addr::new(192, 0, 2, 1).into()), None);
    }
}
