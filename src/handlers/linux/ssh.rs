//! Provider `ssh`: the SSH daemon as its configuration has it, and the public keys that may log in.
//!
//! The row of a daemon is there when its configuration or its host key is; the key of a public key
//! is its account and a checksum of its text.

use super::process::Processes;
use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// No more public keys than this are shown.
const MAX_KEYS: usize = 256;
/// Longer lines hold no key.
const MAX_LINE: usize = 16 * 1024;
/// No more files than this are read for one configuration.
const MAX_FILES: usize = 64;

/// The provider.
pub struct Ssh {
    processes: Rc<RefCell<Processes>>,
    servers: PerRpc<Vec<Server>>,
    keys: PerRpc<Vec<Key>>,
}

/// One daemon as it is configured.
struct Server {
    /// Its name, and that of its process.
    name: &'static str,
    port: u16,
    root_login: bool,
    password_login: bool,
    root_password_login: bool,
    tries: u32,
}

/// One public key.
struct Key {
    key: String,
    user: String,
    text: String,
}

impl Ssh {
    /// The provider; the processes tell whether a daemon runs.
    pub fn new(processes: Rc<RefCell<Processes>>) -> Ssh {
        Ssh { processes, servers: PerRpc::default(), keys: PerRpc::default() }
    }

    fn servers(&mut self, ctx: &Ctx<'_>) -> &[Server] {
        let processes = &self.processes;
        self.servers.get(ctx, || {
            let mut processes = processes.borrow_mut();
            let words = processes.find(ctx, &["dropbear"]).map(|p| p.words(ctx.root)).unwrap_or_default();
            servers(ctx.root, &words)
        })
    }
}

impl Reading for Ssh {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        if row.object.name() == "AuthorizedKey" {
            out.extend(self.keys.get(ctx, || keys(ctx.root)).iter().map(|k| k.key.clone()));
        } else {
            out.extend(self.servers(ctx).iter().map(|s| s.name.to_owned()));
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        if row.object.name() == "AuthorizedKey" {
            let keys = self.keys.get(ctx, || keys(ctx.root));
            let Some(key) = keys.iter().find(|k| k.key == row.key()) else {
                return;
            };
            for (i, want) in want.iter().enumerate() {
                match want.param.name() {
                    "User" => out.refer(i, "Device.Users.User.{i}.", &[&key.user]),
                    "Key" => out.put(i, &key.text),
                    _ => {}
                }
            }
            return;
        }
        let processes = Rc::clone(&self.processes);
        let servers = self.servers(ctx);
        let server = servers.iter().find(|s| s.name == row.key());
        if server.is_none() && !row.keys.is_empty() {
            return;
        }
        // Of SSH. itself: whether any of them runs.
        let names: Vec<&str> =
            server.map_or_else(|| servers.iter().map(|s| s.name).collect(), |s| vec![s.name]);
        let mut processes = processes.borrow_mut();
        let process = processes.find(ctx, &names);
        for (i, want) in want.iter().enumerate() {
            match (want.param.name(), server) {
                ("Enable", _) => out.put(i, process.is_some()),
                ("Status", _) => out.put(i, if process.is_some() { "Enabled" } else { "Disabled" }),
                ("PID", _) => out.put(i, process.map_or(0, |p| p.pid)),
                ("ActivationDate", _) => {
                    if let Some(started) = process.and_then(|p| p.started(ctx.root)) {
                        out.put(i, clock::utc(started));
                    }
                }
                ("Port", Some(server)) => out.put(i, server.port),
                ("AllowRootLogin", Some(server)) => out.put(i, server.root_login),
                ("AllowPasswordLogin", Some(server)) => out.put(i, server.password_login),
                ("AllowRootPasswordLogin", Some(server)) => out.put(i, server.root_password_login),
                ("MaxAuthTries", Some(server)) => out.put(i, server.tries),
                _ => {}
            }
        }
    }
}

/// `words` are those that a running dropbear was started with.
fn servers(root: &Path, words: &[String]) -> Vec<Server> {
    let mut found = Vec::new();
    if host::metadata(root, "/etc/ssh/sshd_config").is_some_and(|m| m.is_file()) {
        found.push(openssh(root));
    }
    if host::metadata(root, "/etc/dropbear").is_some_and(|m| m.is_dir()) {
        found.push(dropbear(words));
    }
    found
}

/// Dropbear has no configuration but the words it is started with; without any it lets everybody in
/// who has a password or a key.
fn dropbear(words: &[String]) -> Server {
    let mut server = Server {
        name: "dropbear",
        port: 22,
        root_login: true,
        password_login: true,
        root_password_login: true,
        tries: 10,
    };
    let mut ports = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let next = words.get(n + 1).map_or("", String::as_str);
        match word.as_str() {
            "-w" => server.root_login = false,
            "-s" => server.password_login = false,
            "-g" => server.root_password_login = false,
            "-T" => server.tries = next.parse().unwrap_or(server.tries),
            // [ADDRESS:]PORT; of several the first.
            "-p" => {
                ports.extend(next.rsplit(':').next().and_then(|p| p.parse::<u16>().ok()).filter(|p| *p > 0))
            }
            _ => {}
        }
    }
    server.port = ports.first().copied().unwrap_or(server.port);
    server.root_password_login &= server.root_login && server.password_login;
    server
}

/// The first word for a thing is the one in force; what stands behind a Match holds for some only.
fn openssh(root: &Path) -> Server {
    let mut words = Vec::new();
    collect(root, "/etc/ssh/sshd_config", &mut words, &mut 0);
    let first =
        |name: &str| words.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    let root_login = first("PermitRootLogin").unwrap_or("prohibit-password");
    let password_login = first("PasswordAuthentication") != Some("no");
    Server {
        name: "sshd",
        port: first("Port").and_then(|p| p.parse().ok()).filter(|p| *p > 0).unwrap_or(22),
        root_login: root_login != "no",
        password_login,
        root_password_login: root_login == "yes" && password_login,
        tries: first("MaxAuthTries").and_then(|t| t.parse().ok()).unwrap_or(6),
    }
}

/// The words of a file and of those it includes, in their order.
fn collect(root: &Path, path: &str, words: &mut Vec<(String, String)>, files: &mut usize) {
    *files += 1;
    if *files > MAX_FILES {
        return;
    }
    for line in host::read(root, path).unwrap_or_default().lines() {
        let line = line.trim();
        let Some((name, value)) = line.split_once([' ', '\t', '=']) else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        if name.eq_ignore_ascii_case("Match") {
            return;
        }
        if name.eq_ignore_ascii_case("Include") {
            // Distributions include one folder, by `*.conf`.
            let Some(folder) = value.strip_suffix("/*.conf") else {
                continue;
            };
            for file in host::names(root, folder).iter().filter(|n| n.ends_with(".conf")) {
                collect(root, &format!("{folder}/{file}"), words, files);
            }
        } else if !name.starts_with('#') {
            words.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// The keys of root, of dropbear (which are root's), and of the folders below /home.
fn keys(root: &Path) -> Vec<Key> {
    let mut files = vec![
        ("root".to_owned(), "/root/.ssh/authorized_keys".to_owned()),
        ("root".to_owned(), "/etc/dropbear/authorized_keys".to_owned()),
    ];
    for user in host::names(root, "/home").into_iter().take(MAX_FILES) {
        let file = format!("/home/{user}/.ssh/authorized_keys");
        files.push((user, file));
    }
    let mut found: Vec<Key> = Vec::new();
    for (user, file) in files {
        for line in host::read(root, &file).unwrap_or_default().lines() {
            let text = line.trim();
            let is_key = text
                .split_ascii_whitespace()
                .any(|w| w.starts_with("ssh-") || w.starts_with("ecdsa-") || w.starts_with("sk-"));
            if !is_key || text.starts_with('#') || text.len() > MAX_LINE || text.chars().any(char::is_control)
            {
                continue;
            }
            let key = format!("{user} {:08x}", crate::sys::crc::crc32(text.as_bytes()));
            if found.len() < MAX_KEYS && !found.iter().any(|k| k.key == key) {
                found.push(Key { key, user: user.clone(), text: text.to_owned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const SERVER: &str = "Device.SSH.Server.{i}.";
    const NAMES: [&str; 8] = [
        "Enable",
        "Status",
        "Port",
        "AllowRootLogin",
        "AllowPasswordLogin",
        "AllowRootPasswordLogin",
        "MaxAuthTries",
        "PID",
    ];

    fn ssh() -> ReadOnly {
        ReadOnly(Box::new(Ssh::new(Rc::default())))
    }

    #[test]
    fn a_daemon_as_it_is_configured() {
        let f = Folder::new();
        let get = |key| probe::line(&probe::get(&mut ssh(), f.root(), SERVER, &[key], &NAMES), &NAMES);
        assert!(probe::list(&mut ssh(), f.root(), SERVER, &[]).is_empty());
        f.file("etc/ssh/sshd_config", "");
        assert_eq!(get("sshd"), "false|Disabled|22|true|true|false|6|0", "the daemon's own defaults");
        f.file("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n#Port 1\nport 2222\nPort 22\nPermitRootLogin yes\nMatch User x\nMaxAuthTries 1\n");
        f.file(
            "etc/ssh/sshd_config.d/own.conf",
            "PasswordAuthentication no\nInclude /etc/ssh/sshd_config.d/*.conf\n",
        );
        f.file("proc/9/stat", "9 (sshd) S");
        assert_eq!(get("sshd"), "true|Enabled|2222|true|false|false|6|9");
        assert_eq!(get("dropbear"), "-|-|-|-|-|-|-|-");
        f.file("etc/dropbear/authorized_keys", "");
        assert_eq!(probe::list(&mut ssh(), f.root(), SERVER, &[]), ["sshd", "dropbear"]);
        assert_eq!(get("dropbear"), "false|Disabled|22|true|true|true|10|0");
        f.file("proc/10/stat", "10 (dropbear) S");
        f.file(
            "proc/10/cmdline",
            &"/usr/sbin/dropbear -F -s -p 192.168.1.1:2022 -p 22 -T 3 -p".replace(' ', "\0"),
        );
        assert_eq!(get("dropbear"), "true|Enabled|2022|true|false|false|3|10");
        let v = probe::get(&mut ssh(), f.root(), "Device.SSH.", &[], &["Enable", "Status"]);
        assert_eq!((v["Enable"].as_str(), v["Status"].as_str()), ("true", "Enabled"));
    }

    #[test]
    fn keys_that_may_log_in() {
        let f = Folder::new();
        f.file(
            "root/.ssh/authorized_keys",
            "# none\nssh-ed25519 AAAA me@here\nssh-ed25519 AAAA me@here\nnonsense\n",
        );
        f.file("home/ann/.ssh/authorized_keys", "restrict ssh-rsa BBBB\n");
        let table = "Device.SSH.AuthorizedKey.{i}.";
        let keys = probe::list(&mut ssh(), f.root(), table, &[]);
        assert_eq!(keys.len(), 2);
        let v = probe::get(&mut ssh(), f.root(), table, &[&keys[1]], &["User", "Key"]);
        assert_eq!(
            (v["User"].as_str(), v["Key"].as_str()),
            ("Device.Users.User.{i}.<ann>", "restrict ssh-rsa BBBB")
        );
    }
}
