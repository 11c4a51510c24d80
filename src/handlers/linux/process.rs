//! Provider `process`: DeviceInfo.ProcessStatus.Process, from `/proc/PID`; and for its neighbours
//! the answer to whether a daemon runs.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// No more processes than this are shown, those with the lowest numbers first.
const MAX_PROCESSES: usize = 4096;
/// USER_HZ: what user space is told, the same on every architecture that Linux still has.
const TICKS_PER_SECOND: u64 = 100;
/// The standard's bound on Command, in characters.
const MAX_COMMAND: usize = 256;

/// The processes, read once per RPC and shared.
#[derive(Default)]
pub struct Processes {
    all: PerRpc<Vec<Process>>,
}

/// One process.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name in the kernel, at most 15 bytes.
    pub name: String,
    state: char,
    priority: i64,
    /// In ticks, user and system.
    time: u64,
    /// When it began, in ticks after boot.
    start: u64,
    pages: u64,
}

impl Processes {
    fn all(&mut self, ctx: &Ctx<'_>) -> &[Process] {
        self.all.get(ctx, || read(ctx.root))
    }

    /// The first process with one of these names (as the kernel cuts them, at 15 bytes).
    pub fn find(&mut self, ctx: &Ctx<'_>, names: &[&str]) -> Option<&Process> {
        self.all(ctx).iter().find(|p| names.contains(&p.name.as_str()))
    }

    /// Whether one of these daemons runs.
    pub fn runs(&mut self, ctx: &Ctx<'_>, names: &[&str]) -> bool {
        self.find(ctx, names).is_some()
    }
}

impl Process {
    /// The process with this number, as it is now.
    pub fn of(root: &Path, pid: u32) -> Option<Process> {
        let bytes = host::read_bytes(root, &format!("/proc/{pid}/stat"), 4096).ok()?;
        parse(pid, &String::from_utf8_lossy(&bytes))
    }

    /// How much of it is in memory, in KiB.
    pub fn resident(&self, root: &Path) -> u64 {
        self.pages.saturating_mul(host::page_kib(root))
    }

    /// How long it has been running, in seconds.
    pub fn age(&self, root: &Path) -> Option<u64> {
        Some(host::uptime(root)?.as_secs().saturating_sub(self.start / TICKS_PER_SECOND))
    }

    /// The words it was started with, the first 4 KiB of them.
    pub fn words(&self, root: &Path) -> Vec<String> {
        let bytes = host::read_bytes(root, &format!("/proc/{}/cmdline", self.pid), 4096).unwrap_or_default();
        let words = bytes.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned());
        words.filter(|w| !w.is_empty()).collect()
    }

    /// When it began, in seconds since 1970.
    pub fn started(&self, root: &Path) -> Option<i64> {
        let booted = host::now(root).checked_sub(host::uptime(root)?.as_secs() as i64)?;
        booted.checked_add_unsigned(self.start / TICKS_PER_SECOND)
    }
}

fn read(root: &Path) -> Vec<Process> {
    let mut pids: Vec<u32> = host::names(root, "/proc").iter().filter_map(|n| n.parse().ok()).collect();
    pids.sort_unstable();
    pids.truncate(MAX_PROCESSES);
    pids.iter().filter_map(|pid| Process::of(root, *pid)).collect()
}

/// The kernel does not quote the name: it may hold spaces and parentheses, so it ends at the last one.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let open = stat.find('(')?;
    let close = stat.rfind(')').filter(|close| *close > open)?;
    let words: Vec<&str> = stat.get(close + 1..)?.split_ascii_whitespace().collect();
    let number = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
    Some(Process {
        pid,
        name: stat.get(open + 1..close)?.to_owned(),
        state: words.first()?.chars().next()?,
        priority: words.get(15).and_then(|w| w.parse().ok()).unwrap_or(20),
        time: number(11).saturating_add(number(12)),
        start: number(19),
        pages: number(21),
    })
}

/// The provider.
pub struct ProcessTable {
    /// Shared with those who ask for daemons.
    pub processes: Rc<RefCell<Processes>>,
}

impl Reading for ProcessTable {
    /// Every process is read, and none of them stands still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        out.extend(self.processes.borrow_mut().all(ctx).iter().map(|p| p.pid.to_string()));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let Ok(pid) = row.key().parse::<u32>() else {
            return;
        };
        let mut processes = self.processes.borrow_mut();
        let all = processes.all(ctx);
        let Some(process) = all.binary_search_by_key(&pid, |p| p.pid).ok().and_then(|i| all.get(i)) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "PID" => out.put(i, process.pid),
                "Command" => out.put(i, command(ctx.root, process)),
                "Size" => out.put(i, fit(process.resident(ctx.root))),
                // 0 is the highest. Real-time priorities are negative, ordinary ones 0 to 39.
                "Priority" => out.put(i, process.priority.clamp(0, 99)),
                "CPUTime" => out.put(i, fit(process.time.saturating_mul(1000 / TICKS_PER_SECOND))),
                "State" => out.put(i, state(process.state)),
                _ => {}
            }
        }
    }
}

fn fit(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "Running",
        'D' => "Uninterruptible",
        'T' | 't' => "Stopped",
        'I' => "Idle",
        'Z' | 'X' | 'x' => "Zombie",
        _ => "Sleeping",
    }
}

/// The program as it was called, without its arguments: those may hold secrets (`pppd … password X`), and so may
/// the title that some give themselves, which goes on behind a blank. A kernel thread has no command line and is
/// shown by its name.
fn command(root: &Path, process: &Process) -> String {
    // Four bytes a character at most, and one more to see that it was cut.
    let bytes = host::read_bytes(root, &format!("/proc/{}/cmdline", process.pid), 4 * MAX_COMMAND as u64 + 4);
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default());
    let program = text.split(|c: char| c.is_control() || c == ' ').next().unwrap_or_default();
    match program.is_empty() {
        true => format!("[{}]", process.name),
        false => program.chars().take(MAX_COMMAND).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const TABLE: &str = "Device.DeviceInfo.ProcessStatus.Process.{i}.";
    const NAMES: [&str; 6] = ["PID", "Command", "Size", "Priority", "CPUTime", "State"];
    const TAIL: &str = "1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 200 1000000 25 18446744073709551615";

    fn table() -> ReadOnly {
        ReadOnly(Box::new(ProcessTable { processes: Rc::default() }))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file("proc/10/stat", &format!("10 (dropbear) S {TAIL}\n"));
        f.bytes("proc/10/cmdline", b"/usr/sbin/dropbear\0-F\0-p\x0022\0");
        f.file("proc/9/stat", &format!("9 (a) b) R (c) T {TAIL}"));
        f.file("proc/9/cmdline", "");
        f.file("proc/meminfo", "");
        assert_eq!(probe::list(&mut table(), f.root(), TABLE, &[]), ["9", "10"]);
        let v = probe::get(&mut table(), f.root(), TABLE, &["10"], &NAMES);
        assert_eq!(
            NAMES.map(|n| v[n].as_str()),
            ["10", "/usr/sbin/dropbear", "100", "20", "2000", "Sleeping"]
        );
        let v = probe::get(&mut table(), f.root(), TABLE, &["9"], &["Command", "State"]);
        assert_eq!((v["Command"].as_str(), v["State"].as_str()), ("[a) b) R (c]", "Stopped"));
        assert!(probe::get(&mut table(), f.root(), TABLE, &["11"], &NAMES).is_empty(), "gone meanwhile");
    }

    #[test]
    fn what_a_program_was_given_is_not_told() {
        let f = Folder::new();
        let told = |cmdline: &[u8]| {
            f.file("proc/7/stat", &format!("7 (pppd) S {TAIL}\n"));
            f.bytes("proc/7/cmdline", cmdline);
            probe::get(&mut table(), f.root(), TABLE, &["7"], &["Command"]).remove("Command").unwrap()
        };
        assert_eq!(told(b"/usr/sbin/pppd\0nodetach\0user\0me\0password\0s3cret\0"), "/usr/sbin/pppd");
        assert_eq!(told(b"wget: --password=s3cret"), "wget:", "a title of its own");
        assert_eq!(told(b"pppd\tpassword\ts3cret\0"), "pppd");
        assert_eq!(told(b" s3cret\0"), "[pppd]");
    }

    #[test]
    fn hostile_stat_lines() {
        for text in
            ["", "1", "1 (", "1 )(", "1 (x)", "1 (x) ", "\u{fffd}(\u{fffd})", ") S (", "1 ((((((((", "1 ()S"]
        {
            let _ = parse(1, text);
        }
        assert_eq!(parse(1, "1 (x) R 99999999999999999999999").map(|p| p.time), Some(0));
        let f = Folder::new();
        f.file("proc/4294967296/stat", "x");
        f.file("proc/7/stat", &"(".repeat(100_000));
        f.bytes("proc/8/stat", &[0xff; 10]);
        f.file("proc/12/stat", "12 (y) R");
        f.bytes("proc/12/cmdline", &[0xe2; 100_000]);
        assert_eq!(probe::list(&mut table(), f.root(), TABLE, &[]), ["12"]);
        let v = probe::get(&mut table(), f.root(), TABLE, &["12"], &NAMES);
        assert_eq!(v["Command"].chars().count(), 256);
    }

    #[test]
    fn this_process_is_among_them() {
        let me = std::process::id().to_string();
        let live = Path::new("/");
        let mut table = table();
        assert!(probe::list(&mut table, live, TABLE, &[]).contains(&me));
        let v = probe::get(&mut table, live, TABLE, &[&me], &NAMES);
        assert_eq!(v["PID"], me);
        assert_ne!(v["Size"], "0");
    }
}
