//! Provider `unix_socket`: UnixDomainSockets, from `/proc/net/unix`. The key is the socket's path;
//! a socket without one is nobody's to find.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use crate::sys::sorted::SortedMap;
use std::path::Path;

/// No more sockets than this are shown.
const MAX_SOCKETS: usize = 1024;
/// The kernel's flag of a socket that listens, SO_ACCEPTCON.
const LISTENS: u32 = 0x1_0000;

/// The provider.
#[derive(Default)]
pub struct UnixSockets {
    /// By path, whether somebody listens there.
    found: PerRpc<SortedMap<String, bool>>,
}

impl Reading for UnixSockets {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        out.extend(self.found.get(ctx, || read(ctx.root)).keys().cloned());
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let found = self.found.get(ctx, || read(ctx.root));
        let Some((path, listens)) = found.get_key_value(row.key()) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Mode" => out.put(i, if *listens { "Listen" } else { "Connect" }),
                "Path" => out.put(i, path),
                _ => {}
            }
        }
    }
}

/// Num, RefCount, Protocol, Flags, Type, St, Inode, and the path to the end of the line. The ends of
/// accepted connections have the listener's path too: of several with one path the listener is shown.
fn read(root: &Path) -> SortedMap<String, bool> {
    let mut found = SortedMap::new();
    for line in host::read(root, "/proc/net/unix").unwrap_or_default().lines().skip(1) {
        let mut words = line.splitn(8, ' ').skip(3);
        let flags = words.next().and_then(|f| u32::from_str_radix(f, 16).ok()).unwrap_or(0);
        // The inode is padded, so that spaces are left in front of the path.
        let Some(path) = line.find(['/', '@']).and_then(|at| line.get(at..)) else {
            continue;
        };
        if path.chars().any(char::is_control) {
            continue;
        }
        let listens = flags & LISTENS != 0;
        if let Some(known) = found.get_mut(path) {
            *known |= listens;
        } else if found.len() < MAX_SOCKETS {
            found.insert(path.to_owned(), listens);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file(
            "proc/net/unix",
            "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000000000000000: 00000003 00000000 00000000 0001 03  1234 /var/run/ubus/ubus.sock\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 99999 /var/run/ubus/ubus.sock\n\
             0000000000000000: 00000002 00000000 00000000 0002 01   100 /dev/log\n\
             0000000000000000: 00000002 00000000 00010000 0001 01   101 @/a b\n\
             0000000000000000: 00000003 00000000 00000000 0001 03   102\n",
        );
        let mut sockets = ReadOnly(Box::new(UnixSockets::default()));
        let table = "Device.UnixDomainSockets.UnixDomainSocket.{i}.";
        assert_eq!(
            probe::list(&mut sockets, f.root(), table, &[]),
            ["/dev/log", "/var/run/ubus/ubus.sock", "@/a b"]
        );
        let mut mode = |key| probe::get(&mut sockets, f.root(), table, &[key], &["Mode"]).remove("Mode");
        assert_eq!(mode("/var/run/ubus/ubus.sock").as_deref(), Some("Listen"));
        assert_eq!(mode("/dev/log").as_deref(), Some("Connect"));
        assert_eq!(mode("/gone"), None);
    }
}
