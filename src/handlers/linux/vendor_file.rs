//! Providers `vendor_config_file` and `vendor_log_file`: the files that say how the system is set
//! up, and the ones it writes its log to. The key of a row is the file's path.

use crate::handlers::agent::AgentFacts;
use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host, uci};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Files that many a system has, and what they are.
const CONFIG_FILES: [(&str, &str); 8] = [
    ("/etc/network/interfaces", "Network interfaces"),
    ("/etc/resolv.conf", "DNS client"),
    ("/etc/hosts", "Names of hosts"),
    ("/etc/sysctl.conf", "Kernel parameters"),
    ("/etc/fstab", "File systems"),
    ("/etc/dnsmasq.conf", "DHCP server and DNS relay"),
    ("/etc/nftables.conf", "Firewall"),
    ("/etc/ssh/sshd_config", "SSH server"),
];
/// Where OpenWrt keeps what it is told, a file for each package.
const UCI: &str = "/etc/config";
/// No more of those than this are shown.
const MAX_PACKAGES: usize = 256;
/// Where logs are; on OpenWrt the second is a link to memory.
const LOG_FOLDER: &str = "/var/log";
/// Names of logs that do not end with `.log`.
const LOG_NAMES: [&str; 8] = ["messages", "syslog", "debug", "secure", "cron", "maillog", "dmesg", "daemon"];
/// No more logs than this are shown.
const MAX_LOGS: usize = 128;
/// The standard's bound on Name; a longer path could not be told from its neighbour.
const MAX_NAME: usize = 64;

/// The provider `vendor_config_file`.
pub struct ConfigFiles {
    /// Tells which file is the agent's own.
    pub facts: Rc<RefCell<AgentFacts>>,
}

impl ConfigFiles {
    fn own(&self) -> Option<String> {
        self.facts.borrow().config_file.as_deref().and_then(Path::to_str).map(str::to_owned)
    }
}

impl Reading for ConfigFiles {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        let known = CONFIG_FILES.iter().map(|(path, _)| (*path).to_owned());
        let packages = host::names(ctx.root, UCI).into_iter().take(MAX_PACKAGES);
        let packages = packages.filter(|name| is_package(name)).map(|name| format!("{UCI}/{name}"));
        for path in self.own().into_iter().chain(known).chain(packages) {
            if is_file(ctx.root, &path) && !out.contains(&path) {
                out.push(path);
            }
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let path = row.key();
        let own = self.own().is_some_and(|own| own == path);
        let known = CONFIG_FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text);
        let package = path.strip_prefix(UCI).and_then(|p| p.strip_prefix('/')).filter(|p| is_package(p));
        let said = own.then_some("This agent").or(known).map(str::to_owned);
        let Some(description) = said.or_else(|| package.map(|name| format!("UCI package {name}"))) else {
            return;
        };
        let Some(changed) = host::modified(ctx.root, path) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, path),
                // The minute it was last changed in is what tells one version from another.
                "Version" => out.put(i, clock::utc(changed).get(..16).unwrap_or_default()),
                "Date" => out.put(i, clock::utc(changed)),
                "Description" => out.put(i, &description),
                _ => {}
            }
        }
    }
}

/// The key and Name of the system's log, which no file holds: `log_read` gives it.
pub const SYSTEM_LOG: &str = "system log";

/// The provider `vendor_log_file`.
pub struct LogFiles {
    /// Tells whether the system's log is among them.
    facts: Rc<RefCell<AgentFacts>>,
    mounts: PerRpc<Vec<host::Mount>>,
    logd: PerRpc<Logd>,
}

/// What OpenWrt's log daemon is told (package system).
#[derive(Default)]
struct Logd {
    /// The size of its ring, in bytes; `None` where there is no such daemon.
    ring: Option<u32>,
    /// Its files and how large each may grow, in bytes.
    files: Vec<(String, u32)>,
}

impl Logd {
    /// In KiB, as its script has it without a word.
    const USUAL: u32 = 64;

    fn read(root: &Path) -> Logd {
        let mut logd = Logd::default();
        let Ok(Some(package)) = uci::load(root, "system") else {
            return logd;
        };
        for section in package.of_kind("system") {
            let size = |option| section.get(option).and_then(|s| s.parse::<u32>().ok()).filter(|s| *s > 0);
            let bytes = |kib: u32| kib.saturating_mul(1024);
            let ring = size("log_buffer_size").or(size("log_size")).unwrap_or(Logd::USUAL);
            logd.ring.get_or_insert(bytes(ring));
            if let Some(path) = section.get("log_file").filter(|p| p.starts_with('/')) {
                logd.files.push((path.to_owned(), bytes(size("log_size").unwrap_or(Logd::USUAL))));
            }
        }
        logd
    }

    fn file_size(&self, path: &str) -> Option<u32> {
        self.files.iter().find(|f| f.0 == path).map(|f| f.1)
    }
}

impl LogFiles {
    /// The files, and what `facts` tells.
    pub fn new(facts: Rc<RefCell<AgentFacts>>) -> LogFiles {
        LogFiles { facts, mounts: PerRpc::default(), logd: PerRpc::default() }
    }
}

impl Reading for LogFiles {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        if self.facts.borrow().has_log {
            out.push(SYSTEM_LOG);
        }
        let logd = self.logd.get(ctx, || Logd::read(ctx.root));
        out.extend(logd.files.iter().map(|f| &f.0).filter(|path| is_file(ctx.root, path)));
        for name in host::names(ctx.root, LOG_FOLDER) {
            let path = format!("{LOG_FOLDER}/{name}");
            if is_log(&name) && out.len() < MAX_LOGS && is_file(ctx.root, &path) && !out.contains(&path) {
                out.push(path);
            }
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let path = row.key();
        // The ring of logd is in memory.
        if path == SYSTEM_LOG && self.facts.borrow().has_log {
            for (i, want) in want.iter().enumerate() {
                match (want.param.name(), self.logd.get(ctx, || Logd::read(ctx.root)).ring) {
                    ("Name", _) => out.put(i, SYSTEM_LOG),
                    ("MaximumSize", Some(size)) => out.put(i, size),
                    _ => {}
                }
            }
            return;
        }
        if !is_file(ctx.root, path) {
            return;
        }
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, path),
                "Persistent" => {
                    // On OpenWrt /var is a link to /tmp, which is where the mount tells.
                    let place = host::below(ctx.root, path);
                    let place =
                        if host::is_live(ctx.root) { place.canonicalize().unwrap_or(place) } else { place };
                    let inside = place.strip_prefix(ctx.root).map(|p| format!("/{}", p.display()));
                    let mounts = self.mounts.get(ctx, || host::mounts(ctx.root));
                    out.put(i, !host::is_volatile(mounts, inside.as_deref().unwrap_or(path)));
                }
                // Elsewhere it stays 0: who rotates the file, and when, no file of the kernel says.
                "MaximumSize" => {
                    let size = self.logd.get(ctx, || Logd::read(ctx.root)).file_size(path);
                    size.into_iter().for_each(|size| out.put(i, size));
                }
                _ => {}
            }
        }
    }
}

/// Copies that a package manager or an editor left have a dot or a hyphen in their names.
fn is_package(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_log(name: &str) -> bool {
    LOG_NAMES.contains(&name) || name.strip_suffix(".log").is_some_and(|stem| !stem.is_empty())
}

fn is_file(root: &Path, path: &str) -> bool {
    path.chars().count() <= MAX_NAME
        && !path.chars().any(char::is_control)
        && host::metadata(root, path).is_some_and(|m| m.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn files_that_exist() {
        let f = Folder::new();
        f.file("etc/hosts", "127.0.0.1 localhost\n");
        f.file("etc/cwmpd/cwmpd.toml", "");
        f.file("etc/nftables.conf/x", "a folder is no file");
        let facts = Rc::new(RefCell::new(AgentFacts {
            config_file: Some("/etc/cwmpd/cwmpd.toml".into()),
            ..AgentFacts::default()
        }));
        let mut files = ReadOnly(Box::new(ConfigFiles { facts: facts.clone() }));
        let table = "Device.DeviceInfo.VendorConfigFile.{i}.";
        assert_eq!(probe::list(&mut files, f.root(), table, &[]), ["/etc/cwmpd/cwmpd.toml", "/etc/hosts"]);
        let v = probe::get(&mut files, f.root(), table, &["/etc/hosts"], &["Name", "Description"]);
        assert_eq!((v["Name"].as_str(), v["Description"].as_str()), ("/etc/hosts", "Names of hosts"));
        for other in ["/etc/shadow", "/etc/../etc/hosts", "", "/etc/fstab"] {
            assert!(probe::get(&mut files, f.root(), table, &[other], &["Name"]).is_empty(), "{other}");
        }
        // A file of the host is no file below the root.
        facts.borrow_mut().config_file = std::env::current_exe().ok();
        assert_eq!(probe::list(&mut files, f.root(), table, &[]), ["/etc/hosts"]);
    }

    #[test]
    fn logs_and_where_they_lie() {
        let f = Folder::new();
        f.file("tmp/log/messages", "x\n");
        f.file("tmp/log/a.log", "");
        f.file("tmp/log/wtmp", "");
        f.file("tmp/log/.log", "");
        f.file(&format!("tmp/log/{}.log", "l".repeat(90)), "");
        f.link("var", "tmp");
        f.file("proc/self/mounts", "/dev/root / squashfs ro 0 0\ntmpfs /tmp tmpfs rw 0 0\n");
        let facts: Rc<RefCell<AgentFacts>> = Rc::default();
        let mut logs = ReadOnly(Box::new(LogFiles::new(facts.clone())));
        let table = "Device.DeviceInfo.VendorLogFile.{i}.";
        assert_eq!(probe::list(&mut logs, f.root(), table, &[]), ["/var/log/a.log", "/var/log/messages"]);
        let v = probe::get(&mut logs, f.root(), table, &["/var/log/messages"], &["Name", "Persistent"]);
        assert_eq!((v["Name"].as_str(), v["Persistent"].as_str()), ("/var/log/messages", "false"));
        f.file("proc/self/mounts", "/dev/root / ext4 rw 0 0\n");
        let v = probe::get_at(&mut logs, f.root(), 2, table, &["/var/log/messages"], &["Persistent"]);
        assert_eq!(v["Persistent"], "true");
        facts.borrow_mut().has_log = true;
        let keys = probe::list(&mut logs, f.root(), table, &[]);
        assert_eq!(keys, ["system log", "/var/log/a.log", "/var/log/messages"]);
        let v = probe::get(&mut logs, f.root(), table, &["system log"], &["Name"]);
        assert_eq!(v["Name"], "system log");
    }
}
