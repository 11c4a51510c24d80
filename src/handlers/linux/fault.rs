//! Providers `kernel_fault` and `process_fault`: what pstore kept of a kernel that went down, and
//! the core files of processes.

use crate::handlers::reading::Reading;
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host};
use std::path::Path;

const PSTORE: &str = "/sys/fs/pstore";
/// No more faults than this are shown.
const MAX_FAULTS: usize = 256;

/// The provider `kernel_fault`. A key is the name of a file in pstore.
pub struct KernelFaults;

impl Reading for KernelFaults {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        // The other files there are consoles and traces, which need no fault to be.
        out.extend(
            host::names(ctx.root, PSTORE).into_iter().filter(|n| n.starts_with("dmesg-")).take(MAX_FAULTS),
        );
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let path = format!("{PSTORE}/{}", row.key());
        let changed = host::modified(ctx.root, &path);
        for (i, want) in want.iter().enumerate() {
            match (want.param.name(), changed) {
                ("StoragePath", _) => out.put(i, PSTORE),
                ("FaultLocation", Some(_)) => out.put(i, &path),
                ("TimeStamp", Some(changed)) => out.put(i, clock::utc(changed)),
                ("Reason", Some(_)) => out.put(i, reason(ctx.root, &path)),
                ("LastInstruction", Some(_)) => put_found(i, said(ctx.root, &path, &INSTRUCTION), out),
                ("ProcessName", Some(_)) => put_found(i, said(ctx.root, &path, &["Comm:"]), out),
                _ => {}
            }
        }
    }
}

/// `Panic`, `Oops` …: pstore's first line is `Panic#2 Part1`.
fn reason(root: &Path, path: &str) -> String {
    let line = host::line(root, path).unwrap_or_default();
    let word = line.split(['#', ' ']).next().unwrap_or("");
    word.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// How a kernel that goes down begins the line that says where it was, by architecture.
const INSTRUCTION: [&str; 6] = ["RIP:", "EIP:", "PC is at", "pc :", "epc   :", "epc :"];

/// The word behind the first of these beginnings that the dump has.
fn said(root: &Path, path: &str, beginnings: &[&str]) -> Option<String> {
    let text = host::read(root, path).unwrap_or_default();
    let rest = text.lines().find_map(|line| beginnings.iter().find_map(|b| Some(line.split_once(b)?.1)))?;
    // `epc   : 83a1c0f4 function+0x44/0x2f0`, `RIP: 0010:function+0x44/0x2f0`
    let mut words = rest.split_ascii_whitespace();
    let first = words.next()?;
    let word = match words.next() {
        Some(second) if second.contains("+0x") => second,
        _ => first,
    };
    Some(word.chars().filter(|c| !c.is_control()).take(128).collect())
}

fn put_found(i: usize, text: Option<String>, out: &mut Fields) {
    text.into_iter().for_each(|text| out.put(i, text));
}

/// What the kernel calls the signals that leave a core file, by number as most architectures have them.
fn signal(number: &str) -> Option<&'static str> {
    Some(match number {
        "3" => "SIGQUIT",
        "4" => "SIGILL",
        "5" => "SIGTRAP",
        "6" => "SIGABRT",
        "8" => "SIGFPE",
        "11" => "SIGSEGV",
        _ => return None,
    })
}

/// The provider `process_fault`. A key is the name of a core file.
pub struct ProcessFaults;

/// Where core files go and how their names are made.
struct Cores {
    folder: String,
    /// `core.%e.%p`; everything before the last `/` is in `folder`.
    pattern: String,
}

impl Cores {
    /// From the kernel's core_pattern. `None` when the file goes to the folder of the process, or
    /// into a pipe to a program that is not known here.
    fn find(root: &Path) -> Option<Cores> {
        let pattern = host::line(root, "/proc/sys/kernel/core_pattern")?;
        if pattern.starts_with('|') {
            return pattern.contains("systemd-coredump").then(|| Cores {
                folder: "/var/lib/systemd/coredump".to_owned(),
                pattern: "core.%e.%u.%b.%p.%t".to_owned(),
            });
        }
        let (folder, name) = pattern.rsplit_once('/')?;
        // A folder with specifiers in it is many folders.
        (folder.starts_with('/') && !folder.contains('%'))
            .then(|| Cores { folder: folder.to_owned(), pattern: name.to_owned() })
    }

    /// What a file's name says; `None` when the pattern did not make it.
    fn parse(&self, name: &str) -> Option<Core> {
        let mut name = name;
        for packed in [".zst", ".xz", ".lz4", ".gz"] {
            name = name.strip_suffix(packed).unwrap_or(name);
        }
        let mut core = Core::default();
        let mut parts = self.pattern.split('%');
        let mut rest = name.strip_prefix(parts.next()?)?;
        let parts: Vec<&str> = parts.collect();
        for (nth, part) in parts.iter().enumerate() {
            let mut letters = part.chars();
            let letter = letters.next()?;
            let between = letters.as_str();
            let end = if nth + 1 == parts.len() {
                rest.len().checked_sub(between.len()).filter(|end| rest.get(*end..) == Some(between))?
            } else {
                rest.find(between)?
            };
            let value = rest.get(..end)?;
            match letter {
                'e' | 'E' | 'f' => core.name = value.to_owned(),
                'p' | 'P' => core.pid = value.to_owned(),
                's' => core.signal = signal(value),
                _ => {}
            }
            rest = rest.get(end + between.len()..)?;
        }
        rest.is_empty().then_some(core)
    }
}

/// What the name of a core file says.
#[derive(Default, PartialEq, Debug)]
struct Core {
    name: String,
    pid: String,
    /// What it died of, where the pattern tells.
    signal: Option<&'static str>,
}

impl Reading for ProcessFaults {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        let Some(cores) = Cores::find(ctx.root) else {
            return;
        };
        let names = host::names(ctx.root, &cores.folder);
        out.extend(names.into_iter().filter(|n| cores.parse(n).is_some()).take(MAX_FAULTS));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let Some(cores) = Cores::find(ctx.root) else {
            return;
        };
        let path = format!("{}/{}", cores.folder, row.key());
        let changed = host::modified(ctx.root, &path);
        let core = cores.parse(row.key());
        for (i, want) in want.iter().enumerate() {
            match (want.param.name(), changed, &core) {
                ("StoragePath", _, _) => out.put(i, &cores.folder),
                ("FaultLocation", Some(_), _) => out.put(i, &path),
                ("TimeStamp", Some(changed), _) => out.put(i, clock::utc(changed)),
                ("ProcessID", Some(_), Some(core)) => out.put(i, &core.pid),
                ("ProcessName", Some(_), Some(core)) => out.put(i, &core.name),
                ("Reason", Some(_), Some(Core { signal: Some(signal), .. })) => out.put(i, signal),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn a_kernel_that_went_down() {
        let f = Folder::new();
        f.file("sys/fs/pstore/dmesg-ramoops-0", "Panic#2 Part1\n<0>[ 1.0] Kernel panic\n");
        f.bytes("sys/fs/pstore/dmesg-ramoops-1", &[0xff, 0, 1, 2]);
        f.file("sys/fs/pstore/console-ramoops-0", "boot\n");
        let mut faults = ReadOnly(Box::new(KernelFaults));
        let table = "Device.DeviceInfo.KernelFaults.KernelFault.{i}.";
        assert_eq!(probe::list(&mut faults, f.root(), table, &[]), ["dmesg-ramoops-0", "dmesg-ramoops-1"]);
        let v = probe::get(&mut faults, f.root(), table, &["dmesg-ramoops-0"], &["Reason", "FaultLocation"]);
        assert_eq!(
            (v["Reason"].as_str(), v["FaultLocation"].as_str()),
            ("Panic", "/sys/fs/pstore/dmesg-ramoops-0")
        );
        let v = probe::get(&mut faults, f.root(), table, &["dmesg-ramoops-1"], &["Reason"]);
        assert_eq!(v["Reason"], "");
        assert!(probe::get(&mut faults, f.root(), table, &["dmesg-ramoops-7"], &["Reason"]).is_empty());
    }

    #[test]
    fn where_it_was_and_who() {
        let table = "Device.DeviceInfo.KernelFaults.KernelFault.{i}.";
        let names = ["LastInstruction", "ProcessName"];
        for (dump, want) in [
            (
                "<4>[1.0] CPU: 0 PID: 17 Comm: hostapd Tainted: G\n<4>[1.0] epc   : 83a1c0f4 tx+0x44/0x2f0 [ath]\n",
                "tx+0x44/0x2f0|hostapd",
            ),
            ("[1.0] CPU: 1 PID: 1 Comm: sh 6.1\n[1.0] RIP: 0010:crash+0x1/0x2\n", "0010:crash+0x1/0x2|sh"),
            ("[1.0] pc : el1_sync+0x10/0x20\n", "el1_sync+0x10/0x20|-"),
            ("[1.0] PC is at boom+0x8/0x10\n", "boom+0x8/0x10|-"),
            ("[1.0] epc   :\nComm:", "-|-"),
        ] {
            let f = Folder::new();
            f.file("sys/fs/pstore/dmesg-a", &format!("Oops#1 Part1\n{dump}"));
            let mut faults = ReadOnly(Box::new(KernelFaults));
            let v = probe::get(&mut faults, f.root(), table, &["dmesg-a"], &names);
            assert_eq!(probe::line(&v, &names), want, "{dump}");
        }
    }

    #[test]
    fn what_a_process_died_of() {
        let f = Folder::new();
        f.file("proc/sys/kernel/core_pattern", "/tmp/%e.%t.%p.%s.core\n");
        for (signal, want) in [("11", "SIGSEGV"), ("6", "SIGABRT"), ("99", "-"), ("", "-")] {
            let name = format!("odhcpd.1790850000.2211.{signal}.core");
            f.file(&format!("tmp/{name}"), "");
            let mut faults = ReadOnly(Box::new(ProcessFaults));
            let table = "Device.DeviceInfo.ProcessFaults.ProcessFault.{i}.";
            let v = probe::get(&mut faults, f.root(), table, &[&name], &["Reason"]);
            assert_eq!(probe::line(&v, &["Reason"]), want, "{signal}");
        }
    }

    #[test]
    fn core_files_by_the_kernels_pattern() {
        let f = Folder::new();
        f.file("proc/sys/kernel/core_pattern", "/var/crash/core.%e.%p\n");
        f.file("var/crash/core.uhttpd.812", "");
        f.file("var/crash/readme", "");
        let mut faults = ReadOnly(Box::new(ProcessFaults));
        let table = "Device.DeviceInfo.ProcessFaults.ProcessFault.{i}.";
        assert_eq!(probe::list(&mut faults, f.root(), table, &[]), ["core.uhttpd.812"]);
        let v = probe::get(&mut faults, f.root(), table, &["core.uhttpd.812"], &["ProcessID", "ProcessName"]);
        assert_eq!((v["ProcessID"].as_str(), v["ProcessName"].as_str()), ("812", "uhttpd"));
        let v = probe::get(&mut faults, f.root(), "Device.DeviceInfo.ProcessFaults.", &[], &["StoragePath"]);
        assert_eq!(v["StoragePath"], "/var/crash");
        f.file("proc/sys/kernel/core_pattern", "|/lib/systemd/systemd-coredump %P %u\n");
        let name = "core.sh.0.0123456789abcdef0123456789abcdef.99.1700000000000000.zst";
        f.file(&format!("var/lib/systemd/coredump/{name}"), "");
        assert_eq!(probe::list(&mut faults, f.root(), table, &[]), [name]);
        let v = probe::get(&mut faults, f.root(), table, &[name], &["ProcessID", "ProcessName"]);
        assert_eq!((v["ProcessID"].as_str(), v["ProcessName"].as_str()), ("99", "sh"));
    }

    #[test]
    fn hostile_patterns() {
        for pattern in [
            "",
            "core",
            "|/bin/other %p",
            "/",
            "/a/%",
            "/a/%%",
            "/a/%p%e",
            "/%e/core",
            "/a/\u{e9}%p\u{e9}",
            "/a/%p%",
        ] {
            let f = Folder::new();
            f.file("proc/sys/kernel/core_pattern", pattern);
            f.file("a/x", "");
            f.file("a/\u{e9}1\u{e9}", "");
            let mut out = Vec::new();
            if let Some(cores) = Cores::find(f.root()) {
                out.extend(host::names(f.root(), &cores.folder).iter().map(|n| cores.parse(n)));
                let _ = cores.parse("");
            }
        }
    }
}
