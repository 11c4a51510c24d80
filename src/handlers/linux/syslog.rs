//! Provider `syslog`: whether a log daemon runs, and where it writes: to files and to other hosts,
//! from rsyslog's and syslogd's configuration or the words busybox's was started with. The key of an
//! action is where it writes to, in rsyslog's notation: `/var/log/messages`, `@192.0.2.1:514`.

use super::process::Processes;
use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Log daemons, as the kernel cuts their names.
const DAEMONS: [&str; 6] = ["rsyslogd", "syslogd", "syslog-ng", "logd", "systemd-journal", "metalog"];
/// No more actions than this are shown.
const MAX_ACTIONS: usize = 64;
/// The port of syslog.
const PORT: u16 = 514;

/// The provider.
pub struct Syslog {
    processes: Rc<RefCell<Processes>>,
    actions: PerRpc<Vec<String>>,
}

/// Where an action writes to.
#[derive(PartialEq, Debug)]
enum Target<'a> {
    File(&'a str),
    Remote { protocol: &'static str, address: &'a str, port: u16 },
}

impl Syslog {
    /// The provider; the processes tell which daemon runs.
    pub fn new(processes: Rc<RefCell<Processes>>) -> Syslog {
        Syslog { processes, actions: PerRpc::default() }
    }

    fn actions(&mut self, ctx: &Ctx<'_>) -> &[String] {
        let processes = &self.processes;
        self.actions.get(ctx, || {
            let mut found = Vec::new();
            configured(ctx.root, &mut found);
            let mut processes = processes.borrow_mut();
            // A syslogd without a configuration is busybox's.
            if let (true, Some(daemon)) = (found.is_empty(), processes.find(ctx, &["syslogd"])) {
                busybox(&daemon.words(ctx.root), &mut found);
            }
            found
        })
    }
}

impl Reading for Syslog {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        out.extend(self.actions(ctx));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let runs = self.processes.borrow_mut().runs(ctx, &DAEMONS);
        let key = row.key();
        if !row.keys.is_empty() && !self.actions(ctx).iter().any(|a| a == key) {
            return;
        }
        let target = Target::of(key);
        let is_file = row.object.name() == "LogFile";
        for (i, want) in want.iter().enumerate() {
            match (want.param.name(), &target) {
                ("Enable", target) => out.put(
                    i,
                    match target {
                        _ if row.keys.is_empty() => runs,
                        Some(Target::File(_)) => is_file,
                        Some(Target::Remote { .. }) => !is_file,
                        None => false,
                    },
                ),
                ("Status", Some(Target::File(_))) => out.put(i, "Disabled"),
                ("Status", _) => out.put(i, if runs { "Enabled" } else { "Disabled" }),
                ("FilePath", Some(Target::File(path))) => out.put(i, path),
                ("VendorLogFileRef", Some(Target::File(path))) => {
                    out.refer(i, "Device.DeviceInfo.VendorLogFile.{i}.", &[path]);
                }
                ("Address", Some(Target::Remote { address, .. })) => out.put(i, address),
                ("Protocol", Some(Target::Remote { protocol, .. })) => out.put(i, protocol),
                ("Port", Some(Target::Remote { port, .. })) => out.put(i, port),
                ("Port", _) => out.put(i, PORT),
                _ => {}
            }
        }
    }
}

impl Target<'_> {
    /// `/FILE`, `@HOST` over UDP, `@@HOST` over TCP, each host with `:PORT` or without.
    fn of(key: &str) -> Option<Target<'_>> {
        if key.starts_with('/') {
            return Some(Target::File(key));
        }
        let rest = key.strip_prefix('@')?;
        let (protocol, rest) = rest.strip_prefix('@').map_or(("UDP", rest), |rest| ("TCP", rest));
        let (address, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':')),
            // More colons than one are an address of IPv6 without its port.
            None => match rest.split_once(':') {
                Some((address, port)) if !port.contains(':') => (address, Some(port)),
                _ => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|p| *p > 0)?,
            None => PORT,
        };
        (!address.is_empty()).then_some(Target::Remote { protocol, address, port })
    }
}

fn add(found: &mut Vec<String>, target: &str) {
    let plain = target.len() <= 256 && target.bytes().all(|b| b.is_ascii_graphic());
    if plain
        && found.len() < MAX_ACTIONS
        && Target::of(target).is_some()
        && !found.iter().any(|f| f == target)
    {
        found.push(target.to_owned());
    }
}

/// Busybox's daemon writes to one file, or to the hosts it is given; to both with `-L`, to memory
/// only with `-C`.
fn busybox(words: &[String], found: &mut Vec<String>) {
    let has = |name: &str| words.iter().any(|w| w.starts_with(name));
    let after = |name: &'static str| {
        words.windows(2).filter(move |w| w.first().is_some_and(|w| w == name)).filter_map(|w| w.last())
    };
    after("-R").for_each(|host| add(found, &format!("@{host}")));
    if (found.is_empty() || has("-L")) && !has("-C") {
        add(found, after("-O").next().map_or("/var/log/messages", String::as_str));
    }
}

/// Lines of a selector and where it goes: `auth,authpriv.*  -/var/log/auth.log`.
fn configured(root: &Path, found: &mut Vec<String>) {
    let mut files = vec!["/etc/rsyslog.conf".to_owned(), "/etc/syslog.conf".to_owned()];
    let more = host::names(root, "/etc/rsyslog.d");
    files.extend(
        more.iter().filter(|n| n.ends_with(".conf")).take(MAX_ACTIONS).map(|n| format!("/etc/rsyslog.d/{n}")),
    );
    for file in files {
        for line in host::read(root, &file).unwrap_or_default().lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(selector), Some(target), None) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if selector.contains('.') && !selector.starts_with(['#', '$', '&']) {
                // The hyphen asks for no fsync after each line.
                add(found, target.trim_start_matches('-'));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const ACTION: &str = "Device.Syslog.Action.{i}.";
    const FILE: [&str; 3] = ["Enable", "FilePath", "VendorLogFileRef"];
    const REMOTE: [&str; 5] = ["Enable", "Status", "Address", "Protocol", "Port"];

    fn syslog() -> ReadOnly {
        ReadOnly(Box::new(Syslog::new(Rc::default())))
    }

    fn get(f: &Folder, object: &str, key: &str, names: &[&str]) -> String {
        let path = format!("{ACTION}{object}.");
        probe::line(&probe::get(&mut syslog(), f.root(), &path, &[key], names), names)
    }

    #[test]
    fn rsyslogs_lines() {
        let f = Folder::new();
        f.file("etc/rsyslog.conf", "# a\n$WorkDirectory /var/spool\nauth,authpriv.*\t/var/log/auth.log\n*.*;auth.none -/var/log/syslog\nmodule(load=\"x.y\") /z more\n");
        f.file("etc/rsyslog.d/50.conf", "*.* @@192.0.2.9:6514\n*.emerg :omusrmsg:*\n");
        f.file("proc/3/stat", "3 (rsyslogd) S");
        let keys = probe::list(&mut syslog(), f.root(), ACTION, &[]);
        assert_eq!(keys, ["/var/log/auth.log", "/var/log/syslog", "@@192.0.2.9:6514"]);
        let reference = "Device.DeviceInfo.VendorLogFile.{i}.</var/log/syslog>";
        assert_eq!(get(&f, "LogFile", "/var/log/syslog", &FILE), format!("true|/var/log/syslog|{reference}"));
        assert_eq!(get(&f, "LogRemote", "/var/log/syslog", &REMOTE), "false|Disabled|-|-|514");
        assert_eq!(get(&f, "LogRemote", "@@192.0.2.9:6514", &REMOTE), "true|Enabled|192.0.2.9|TCP|6514");
        assert_eq!(get(&f, "LogFile", "@@192.0.2.9:6514", &FILE), "false|-|-");
        assert_eq!(get(&f, "LogFile", "/etc/shadow", &FILE), "-|-|-", "no action writes there");
    }

    #[test]
    fn busyboxs_words() {
        let f = Folder::new();
        f.file("proc/3/stat", "3 (syslogd) S");
        let words = |text: &str| {
            f.file("proc/3/cmdline", &text.replace(' ', "\0"));
            probe::list(&mut syslog(), f.root(), ACTION, &[])
        };
        assert_eq!(words("/sbin/syslogd -n"), ["/var/log/messages"]);
        assert_eq!(
            words("/sbin/syslogd -n -R 192.0.2.1:1514 -L -O /tmp/log"),
            ["@192.0.2.1:1514", "/tmp/log"]
        );
        assert_eq!(words("/sbin/syslogd -R loghost"), ["@loghost"]);
        assert!(words("/sbin/syslogd -C16").is_empty());
        let v = probe::get(&mut syslog(), f.root(), "Device.Syslog.", &[], &["Enable", "Status"]);
        assert_eq!((v["Enable"].as_str(), v["Status"].as_str()), ("true", "Enabled"));
    }

    #[test]
    fn targets() {
        let remote = |protocol, address, port| Some(Target::Remote { protocol, address, port });
        for (text, target) in [
            ("@h", remote("UDP", "h", 514)),
            ("@@[2001:db8::1]:10514", remote("TCP", "2001:db8::1", 10514)),
            ("@2001:db8::1", remote("UDP", "2001:db8::1", 514)),
            ("@h:0", None),
            ("@h:x", None),
            ("@", None),
            ("@@[]", None),
            (":omusrmsg:*", None),
            ("", None),
        ] {
            assert_eq!(Target::of(text), target, "{text}");
        }
    }
}
