//! Provider `memory`: DeviceInfo.MemoryStatus and its MemoryMonitor, from `/proc/meminfo` and the
//! file system that survives a reboot.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

/// The provider.
#[derive(Default)]
pub struct Memory {
    info: PerRpc<Option<Info>>,
}

/// In KiB.
#[derive(Clone, Copy)]
struct Info {
    total: u64,
    free: u64,
    available: u64,
}

impl Reading for Memory {
    /// Free memory never stands still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) {}

    fn get(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let info = *self.info.get(ctx, || read(ctx.root));
        for (i, want) in want.iter().enumerate() {
            match (want.param.name(), info) {
                ("Total", Some(info)) => out.put(i, fit(info.total)),
                ("Free", Some(info)) => out.put(i, fit(info.free)),
                // Caches are given back on demand, so they do not count as used.
                ("MemUtilization", Some(info)) if info.total > 0 => {
                    let used = info.total.saturating_sub(info.available);
                    out.put(i, used.saturating_mul(100) / info.total);
                }
                ("TotalPersistent", _) => {
                    if let Some(space) = persistent(ctx.root) {
                        out.put(i, fit(space.total));
                    }
                }
                ("FreePersistent", _) => {
                    if let Some(space) = persistent(ctx.root) {
                        out.put(i, fit(space.free));
                    }
                }
                _ => {}
            }
        }
    }
}

/// An unsignedInt holds 4 TiB counted in KiB; beyond that it says its most.
fn fit(kib: u64) -> u32 {
    u32::try_from(kib).unwrap_or(u32::MAX)
}

fn read(root: &Path) -> Option<Info> {
    let text = host::read(root, "/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let free = field("MemFree")?;
    Some(Info { total: field("MemTotal")?, free, available: field("MemAvailable").unwrap_or(free) })
}

/// What survives a reboot: the writable layer over a read-only system where there is one.
fn persistent(root: &Path) -> Option<host::Space> {
    host::space(root, "/overlay")
        .filter(|s| s.total > 0 && is_mount(root, "/overlay"))
        .or_else(|| host::space(root, "/"))
}

fn is_mount(root: &Path, point: &str) -> bool {
    host::mounts(root).iter().any(|m| m.point == point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const STATUS: &str = "Device.DeviceInfo.MemoryStatus.";
    const NAMES: [&str; 4] = ["Total", "Free", "TotalPersistent", "FreePersistent"];

    fn memory() -> ReadOnly {
        ReadOnly(Box::new(Memory::default()))
    }

    fn utilization(f: &Folder) -> Option<String> {
        let path = "Device.DeviceInfo.MemoryStatus.MemoryMonitor.";
        probe::get(&mut memory(), f.root(), path, &[], &["MemUtilization"]).remove("MemUtilization")
    }

    #[test]
    fn a_router_with_an_overlay() {
        let f = Folder::new();
        f.file(
            "proc/meminfo",
            "MemTotal:         123456 kB\nMemFree:           30000 kB\nMemAvailable:      61728 kB\n",
        );
        f.file("proc/self/mounts", "/dev/mtdblock6 /overlay jffs2 rw 0 0\n");
        f.file(".cwmpd/statvfs", "/ 1 1\n/overlay 8192 5000000000\n");
        let v = probe::get(&mut memory(), f.root(), STATUS, &[], &NAMES);
        assert_eq!(probe::line(&v, &NAMES), "123456|30000|8192|4294967295");
        assert_eq!(utilization(&f).as_deref(), Some("50"));
    }

    #[test]
    fn hostile_files_fill_nothing() {
        for text in [
            "",
            "MemTotal:\nMemFree: x kB\n",
            "MemTotal: 99999999999999999999 kB\nMemFree: 1 kB\n",
            "\u{0}\u{1}",
        ] {
            let f = Folder::new();
            f.file("proc/meminfo", text);
            let v = probe::get(&mut memory(), f.root(), STATUS, &[], &NAMES);
            assert!(v.is_empty() && utilization(&f).is_none(), "{text:?}");
        }
    }

    #[test]
    fn one_rpc_reads_once() {
        let f = Folder::new();
        f.file("proc/meminfo", "MemTotal: 8 kB\nMemFree: 4 kB\n");
        let mut memory = memory();
        let mut free =
            |epoch| probe::get_at(&mut memory, f.root(), epoch, STATUS, &[], &["Free"])["Free"].clone();
        assert_eq!(free(1), "4");
        f.file("proc/meminfo", "MemTotal: 8 kB\nMemFree: 2 kB\n");
        assert_eq!((free(1).as_str(), free(2).as_str()), ("4", "2"));
    }
}
