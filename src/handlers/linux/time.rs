//! Provider `time`: Device.Time and its Client table, from the zone files, the NTP daemon that runs
//! and its configuration. Nothing here is written: which daemon a system has, and how it is told, is
//! not one thing on Linux.

use super::process::Processes;
use crate::handlers::reading::Reading;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A daemon that keeps the time.
struct Client {
    /// The key of its row.
    key: &'static str,
    /// As the kernel cuts it, at 15 bytes.
    process: &'static str,
    /// Its configuration; the first that exists is read.
    files: &'static [&'static str],
    /// What it writes when it has synchronized.
    marks: &'static [&'static str],
}

const CLIENTS: [Client; 3] = [
    Client {
        key: "systemd-timesyncd",
        process: "systemd-timesyn",
        files: &["/etc/systemd/timesyncd.conf"],
        marks: &["/run/systemd/timesync/synchronized"],
    },
    Client {
        key: "chronyd",
        process: "chronyd",
        files: &["/etc/chrony/chrony.conf", "/etc/chrony.conf"],
        marks: &["/var/lib/chrony/drift", "/var/lib/chrony/chrony.drift"],
    },
    Client {
        key: "ntpd",
        process: "ntpd",
        files: &["/etc/ntpsec/ntp.conf", "/etc/ntp.conf", "/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"],
        marks: &[
            "/var/lib/ntpsec/ntp.drift",
            "/var/lib/ntp/ntp.drift",
            "/var/lib/ntp/drift",
            "/var/db/ntpd.drift",
        ],
    },
];

/// No more servers than this are shown.
const MAX_SERVERS: usize = 32;

/// The provider.
pub struct Time {
    /// Tells which daemon runs.
    pub processes: Rc<RefCell<Processes>>,
}

impl Reading for Time {
    /// The clock never stands still.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        let known = CLIENTS.iter().filter(|c| c.file(ctx.root).is_some());
        out.extend(known.map(|c| c.key.to_owned()));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let mut processes = self.processes.borrow_mut();
        // The row of one client, or Device.Time. itself: then what holds of one holds.
        let clients = CLIENTS.iter().filter(|c| row.keys.is_empty() || c.key == row.key());
        let (mut known, mut runs, mut synchronized) = (None, false, false);
        for client in clients {
            known = Some(client);
            if processes.runs(ctx, &[client.process]) {
                runs = true;
                synchronized |= client.is_synchronized(ctx.root);
            }
        }
        let Some(client) = known else { return };
        let config = if row.keys.is_empty() { Config::default() } else { client.config(ctx.root) };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, runs),
                "Status" => out.put(
                    i,
                    match (runs, synchronized) {
                        (false, _) => "Disabled",
                        (true, false) => "Unsynchronized",
                        (true, true) => "Synchronized",
                    },
                ),
                "CurrentLocalTime" => out.put(i, clock::local(host::now(ctx.root), ctx.root)),
                "LocalTimeZone" => out.put(i, zone(ctx.root)),
                "Servers" => out.put(i, config.servers.join(",")),
                "IBurst" => out.put(i, config.iburst),
                _ => {}
            }
        }
    }
}

/// What the configuration of a daemon says.
#[derive(Default, PartialEq, Debug)]
struct Config {
    servers: Vec<String>,
    iburst: bool,
}

impl Client {
    fn file(&self, root: &Path) -> Option<&'static str> {
        self.files.iter().copied().find(|f| host::metadata(root, f).is_some_and(|m| m.is_file()))
    }

    /// Whether one of its marks is younger than the system is up: daemons write their drift only when
    /// they follow a server. One that writes no mark counts as unsynchronized.
    fn is_synchronized(&self, root: &Path) -> bool {
        let Some(up) = host::uptime(root) else {
            return false;
        };
        let booted = host::now(root).saturating_sub_unsigned(up.as_secs());
        self.marks.iter().any(|m| host::modified(root, m).is_some_and(|changed| changed >= booted))
    }

    fn config(&self, root: &Path) -> Config {
        let text = self.file(root).and_then(|f| host::read(root, f).ok()).unwrap_or_default();
        let mut config = Config::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            if let Some((name, value)) = line.split_once('=') {
                if name.trim() == "NTP" {
                    value.split_ascii_whitespace().for_each(|server| config.add(server));
                }
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            if matches!(words.next(), Some("server" | "servers" | "pool" | "peer")) {
                words.next().into_iter().for_each(|server| config.add(server));
                config.iburst |= words.any(|w| w == "iburst");
            }
        }
        config
    }
}

impl Config {
    fn add(&mut self, server: &str) {
        let plain =
            server.len() <= 253 && server.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b));
        if plain && self.servers.len() < MAX_SERVERS {
            self.servers.push(server.to_owned());
        }
    }
}

/// The zone as POSIX writes it: OpenWrt's file, or the last line of the system's zone file. A system
/// with neither keeps UTC.
fn zone(root: &Path) -> String {
    let rule = host::line(root, "/etc/TZ").or_else(|| {
        let bytes = host::read_bytes(root, "/etc/localtime", 256 * 1024).ok()?;
        // Version 2 of the format ends with the rule between two line ends.
        let body = bytes.strip_prefix(b"TZif")?.strip_suffix(b"\n")?;
        let rule = body.rsplit(|b| *b == b'\n').next()?;
        Some(std::str::from_utf8(rule).ok()?.to_owned())
    });
    let plain =
        |rule: &String| !rule.is_empty() && rule.len() <= 256 && rule.bytes().all(|b| b.is_ascii_graphic());
    rule.filter(plain).unwrap_or_else(|| "UTC0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const TABLE: &str = "Device.Time.Client.{i}.";

    fn time() -> ReadOnly {
        ReadOnly(Box::new(Time { processes: Rc::default() }))
    }

    #[test]
    fn a_daemon_that_follows_its_servers() {
        let f = Folder::new();
        f.file("proc/uptime", "100.0 1.0\n");
        f.file("proc/5/stat", "5 (chronyd) S 1 1 1 0");
        f.file("etc/chrony.conf", "# servers\npool 2.debian.pool.ntp.org iburst\nserver 192.0.2.1 # near\nserver bad,name\nserver\ndriftfile /x\n");
        f.file("etc/ntp.conf", "server ntp.example.org\n");
        let names = ["Enable", "Status", "Servers", "IBurst"];
        let get = |key| probe::line(&probe::get(&mut time(), f.root(), TABLE, &[key], &names), &names);
        assert_eq!(probe::list(&mut time(), f.root(), TABLE, &[]), ["chronyd", "ntpd"]);
        assert_eq!(get("chronyd"), "true|Unsynchronized|2.debian.pool.ntp.org,192.0.2.1|true");
        assert_eq!(get("ntpd"), "false|Disabled|ntp.example.org|false");
        assert_eq!(get("sundial"), "-|-|-|-");
        f.file("var/lib/chrony/drift", "1 2\n");
        let v =
            probe::get(&mut time(), f.root(), "Device.Time.", &[], &["Enable", "Status", "CurrentLocalTime"]);
        assert_eq!((v["Enable"].as_str(), v["Status"].as_str()), ("true", "Synchronized"));
        assert!(clock::parse(&v["CurrentLocalTime"]).is_some());
    }

    #[test]
    fn systemds_own() {
        let f = Folder::new();
        f.file("etc/systemd/timesyncd.conf", "[Time]\n#NTP=old\nNTP = a.example b.example\nFallbackNTP=c\n");
        let v = probe::get(&mut time(), f.root(), TABLE, &["systemd-timesyncd"], &["Servers", "Status"]);
        assert_eq!((v["Servers"].as_str(), v["Status"].as_str()), ("a.example,b.example", "Disabled"));
    }

    #[test]
    fn the_zone_as_posix_writes_it() {
        let f = Folder::new();
        assert_eq!(zone(f.root()), "UTC0");
        f.bytes("etc/localtime", b"TZif2\0\0\0\xff\nCET-1CEST,M3.5.0,M10.5.0/3\n");
        assert_eq!(zone(f.root()), "CET-1CEST,M3.5.0,M10.5.0/3");
        f.file("etc/TZ", "EST5EDT\n");
        assert_eq!(zone(f.root()), "EST5EDT");
        f.bytes("etc/TZ", b"\xff bad\n");
        assert_eq!(zone(f.root()), "UTC0");
        let f = Folder::new();
        for bad in [&b""[..], b"TZif", b"TZif\n", b"\n\n", b"TZif2\n\xff\xff\n"] {
            f.bytes("etc/localtime", bad);
            assert_eq!(zone(f.root()), "UTC0");
        }
    }
}
