//! Provider `cpu`: DeviceInfo.ProcessStatus.CPUUsage, its CPU table and the Processor table, from
//! `/proc/stat`.
//!
//! A share of time needs two looks at the counters: it is taken over the time since the last RPC
//! that asked, and since boot the first time.

use crate::handlers::reading::Reading;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use crate::sys::sorted::SortedMap;
use std::path::Path;

/// Shares over less than this many ticks (of 1/100 s, all processors together) say nothing: the
/// shares before are kept.
const SHORTEST: u64 = 50;
/// More processors than the kernel can be built for.
const MAX_PROCESSORS: usize = 8192;

/// The provider.
#[derive(Default)]
pub struct Cpu {
    epoch: Option<u32>,
    /// The counters that the shares begin at; `cpu` is all processors together.
    base: SortedMap<String, Ticks>,
    /// The shares shown, in percent.
    shares: SortedMap<String, Ticks>,
    /// The processors in the kernel's order.
    names: Vec<String>,
}

/// Time, or shares of it.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Ticks {
    user: u64,
    system: u64,
    idle: u64,
    all: u64,
}

impl Cpu {
    fn refresh(&mut self, ctx: &Ctx<'_>) {
        if self.epoch == Some(ctx.epoch) {
            return;
        }
        self.epoch = Some(ctx.epoch);
        let now = read(ctx.root, &mut self.names);
        let all = |t: &SortedMap<String, Ticks>| t.get("cpu").map_or(0, |t| t.all);
        if !self.shares.is_empty() && all(&now).abs_diff(all(&self.base)) < SHORTEST {
            return;
        }
        let share = |(name, now): (&String, &Ticks)| {
            let base = self.base.get(name).copied().unwrap_or_default();
            (name.clone(), now.since(base))
        };
        self.shares = SortedMap::from_iter(now.iter().map(share));
        self.base = now;
    }
}

impl Ticks {
    /// Percent of the time since `base`; nothing passed is idle.
    fn since(self, base: Ticks) -> Ticks {
        let all = self.all.saturating_sub(base.all);
        if all == 0 {
            return Ticks { idle: 100, all: 0, ..Ticks::default() };
        }
        let percent = |now: u64, then: u64| (now.saturating_sub(then).saturating_mul(100) / all).min(100);
        let idle = percent(self.idle, base.idle);
        Ticks {
            user: percent(self.user, base.user),
            system: percent(self.system, base.system),
            idle,
            all: 100 - idle,
        }
    }
}

impl Reading for Cpu {
    /// Shares of time never stand still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        self.refresh(ctx);
        out.extend(&self.names);
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        self.refresh(ctx);
        let key = if row.keys.is_empty() { "cpu" } else { row.key() };
        let Some(share) = self.shares.get(key).copied() else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, key),
                "UserModeUtilization" => out.put(i, share.user),
                "SystemModeUtilization" => out.put(i, share.system),
                "IdleModeUtilization" => out.put(i, share.idle),
                "CPUUtilization" | "CPUUsage" => out.put(i, share.all),
                "UpTime" => {
                    if let Some(up) = host::uptime(ctx.root) {
                        out.put(i, up.as_secs());
                    }
                }
                "Architecture" => {
                    if let Some(word) = architecture(ctx.root) {
                        out.put(i, word);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The counters by processor: user nice system idle iowait irq softirq steal (the rest is counted
/// in user already).
fn read(root: &Path, names: &mut Vec<String>) -> SortedMap<String, Ticks> {
    names.clear();
    let mut found = SortedMap::new();
    for line in host::read(root, "/proc/stat").unwrap_or_default().lines().take(MAX_PROCESSORS) {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next().filter(|w| w.starts_with("cpu")) else {
            break;
        };
        let mut n = [0u64; 8];
        for (slot, word) in n.iter_mut().zip(words) {
            *slot = word.parse().unwrap_or(0);
        }
        let [user, nice, system, idle, iowait, irq, softirq, steal] = n;
        let sum = |list: &[u64]| list.iter().fold(0u64, |a, b| a.saturating_add(*b));
        let ticks = Ticks {
            user: sum(&[user, nice]),
            system: sum(&[system, irq, softirq]),
            idle: sum(&[idle, iowait]),
            all: sum(&[user, nice, system, idle, iowait, irq, softirq, steal]),
        };
        if name != "cpu" {
            names.push(name.to_owned());
        }
        found.insert(name.to_owned(), ticks);
    }
    found
}

/// The standard's word for what uname calls the machine; it has none for 64-bit ARM and RISC-V.
fn architecture(root: &Path) -> Option<&'static str> {
    let machine = host::uname(root).machine;
    let big = match host::line(root, "/sys/kernel/cpu_byteorder").as_deref() {
        Some(order) => order == "big",
        // Older kernels do not say, but then this program runs as they do.
        None => host::is_live(root) && cfg!(target_endian = "big"),
    };
    match machine.as_str() {
        "x86_64" => Some("x86_64"),
        "i386" | "i486" | "i586" | "i686" => Some("i386"),
        "mips" | "mips64" => Some(if big { "mipseb" } else { "mipsel" }),
        "ppc" | "ppc64" | "ppc64le" => Some("powerpc"),
        "m68k" => Some("m68k"),
        m if m.starts_with("armv") => Some("arm"),
        m if m.starts_with("sh3") => Some(if big { "sh3eb" } else { "sh3el" }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const TABLE: &str = "Device.DeviceInfo.ProcessStatus.CPU.{i}.";
    const NAMES: [&str; 4] =
        ["CPUUtilization", "UserModeUtilization", "SystemModeUtilization", "IdleModeUtilization"];

    #[test]
    fn shares_are_over_the_time_between_two_rpcs() {
        let f = Folder::new();
        f.file("proc/stat", "cpu  200 0 200 600 0 0 0 0 0 0\ncpu0 100 0 100 300 0 0 0 0\ncpu1 100 0 100 300 0 0 0 0\nintr 1\n");
        let mut cpu = ReadOnly(Box::new(Cpu::default()));
        assert_eq!(probe::list(&mut cpu, f.root(), TABLE, &[]), ["cpu0", "cpu1"]);
        let since_boot = probe::get_at(&mut cpu, f.root(), 1, TABLE, &["cpu1"], &NAMES);
        assert_eq!(NAMES.map(|n| since_boot[n].as_str()), ["40", "20", "20", "60"]);
        f.file(
            "proc/stat",
            "cpu  200 0 200 610 0 0 0 0 0 0\ncpu0 100 0 100 310 0 0 0 0\ncpu1 100 0 100 300 0 0 0 0\n",
        );
        let soon = probe::get_at(&mut cpu, f.root(), 2, TABLE, &["cpu1"], &NAMES);
        assert_eq!(soon, since_boot, "a moment says nothing");
        f.file(
            "proc/stat",
            "cpu  300 0 200 700 0 0 0 0 0 0\ncpu0 200 0 100 300 0 0 0 0\ncpu1 100 0 100 400 0 0 0 0\n",
        );
        let later = probe::get_at(&mut cpu, f.root(), 3, TABLE, &["cpu0"], &NAMES);
        assert_eq!(NAMES.map(|n| later[n].as_str()), ["100", "100", "0", "0"]);
        let usage =
            probe::get_at(&mut cpu, f.root(), 3, "Device.DeviceInfo.ProcessStatus.", &[], &["CPUUsage"]);
        assert_eq!(usage["CPUUsage"], "50");
    }

    #[test]
    fn hostile_counters_are_no_more_than_hundred() {
        let f = Folder::new();
        let huge = u64::MAX;
        f.file("proc/stat", &format!("cpu {huge} {huge} {huge} {huge} {huge}\ncpu0 x y\ncpu1\n"));
        let mut cpu = ReadOnly(Box::new(Cpu::default()));
        for key in ["cpu0", "cpu1"] {
            let v = probe::get(&mut cpu, f.root(), TABLE, &[key], &NAMES);
            assert!(v.values().all(|v| v.parse::<u32>().is_ok_and(|v| v <= 100)), "{v:?}");
        }
        f.bytes("proc/stat", &[0xff; 64]);
        assert!(probe::get_at(&mut cpu, f.root(), 2, TABLE, &["cpu7"], &NAMES).is_empty(), "gone");
    }

    #[test]
    fn machines_by_the_standards_names() {
        let f = Folder::new();
        for (machine, order, word) in [
            ("x86_64", "", Some("x86_64")),
            ("i686", "", Some("i386")),
            ("mips", "big", Some("mipseb")),
            ("mips", "little", Some("mipsel")),
            ("armv7l", "", Some("arm")),
            ("aarch64", "", None),
            ("", "", None),
        ] {
            f.file(".cwmpd/uname", &format!("machine={machine}\n"));
            f.file("sys/kernel/cpu_byteorder", order);
            assert_eq!(architecture(f.root()), word, "{machine}");
        }
    }
}
