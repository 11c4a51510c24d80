//! Provider `users`: users, groups and shells, from `/etc/passwd`, `/etc/group` and `/etc/shells`.
//! No password leaves the machine, not even as a hash: of `/etc/shadow` only the lock is looked at.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

/// No more rows than this are shown in each table.
const MAX_ROWS: usize = 4096;
/// The standard's bound on names and shells.
const MAX_NAME: usize = 64;
/// Below this, and from 65534, accounts belong to the system.
const FIRST_ORDINARY: u32 = 1000;
const NOBODY: u32 = 65534;
/// Capabilities by their number in the kernel; a kernel has the first few up to its own last.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The provider.
#[derive(Default)]
pub struct Users {
    found: PerRpc<Found>,
}

#[derive(Default)]
struct Found {
    users: Vec<User>,
    groups: Vec<Group>,
    shells: Vec<String>,
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
    shell: String,
    locked: bool,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Reading for Users {
    fn bells(&self, _: &Ctx<'_>, row: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        // What else there is, the kernel's capabilities, holds as long as it runs.
        if row.object.is_table() {
            for path in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/shells"] {
                ring(Bell::File(path.to_owned()));
            }
        }
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let found = self.found.get(ctx, || read(ctx.root));
        match row.object.name() {
            "User" => out.extend(found.users.iter().map(|u| u.name.clone())),
            "Group" => out.extend(found.groups.iter().map(|g| g.name.clone())),
            "SupportedShell" => out.extend(&found.shells),
            _ => {}
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let found = self.found.get(ctx, || read(ctx.root));
        match row.object.name() {
            "Users" => (0..want.len()).for_each(|i| out.put(i, capabilities(ctx.root))),
            "User" => found.user(row.key(), want, out),
            "Group" => found.group(row.key(), want, out),
            _ if !found.shells.iter().any(|s| s == row.key()) => {}
            _ => {
                for (i, want) in want.iter().enumerate() {
                    match want.param.name() {
                        "Name" => out.put(i, row.key()),
                        "Enable" => out.put(i, true),
                        _ => {}
                    }
                }
            }
        }
    }
}

impl Found {
    fn user(&self, name: &str, want: &[Want<'_>], out: &mut Fields) {
        let Some(user) = self.users.iter().find(|u| u.name == name) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Username" => out.put(i, &user.name),
                "UserID" => out.put(i, user.uid),
                "Enable" => out.put(i, !user.locked),
                "StaticUser" => out.put(i, is_system(user.uid)),
                "GroupParticipation" => {
                    let of = |g: &&Group| g.gid == user.gid || g.members.contains(&user.name);
                    for group in self.groups.iter().filter(of) {
                        out.refer(i, "Device.Users.Group.{i}.", &[&group.name]);
                    }
                }
                "Shell" if self.shells.contains(&user.shell) => {
                    out.refer(i, "Device.Users.SupportedShell.{i}.", &[&user.shell]);
                }
                _ => {}
            }
        }
    }

    fn group(&self, name: &str, want: &[Want<'_>], out: &mut Fields) {
        let Some(group) = self.groups.iter().find(|g| g.name == name) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Groupname" => out.put(i, &group.name),
                "GroupID" => out.put(i, group.gid),
                "Enable" => out.put(i, true),
                "StaticGroup" => out.put(i, is_system(group.gid)),
                _ => {}
            }
        }
    }
}

fn is_system(id: u32) -> bool {
    !(FIRST_ORDINARY..NOBODY).contains(&id)
}

fn read(root: &Path) -> Found {
    let locked = locked(root);
    let mut found = Found::default();
    for fields in lines(root, "/etc/passwd") {
        let [name, _, uid, gid, _, _, shell] = fields.as_slice() else {
            continue;
        };
        let (Some(name), Ok(uid), Ok(gid)) = (plain(name), uid.parse(), gid.parse()) else {
            continue;
        };
        if found.users.len() < MAX_ROWS && !found.users.iter().any(|u| u.name == name) {
            let nologin = shell.ends_with("/nologin") || shell.ends_with("/false");
            let locked = nologin || locked.contains(&name);
            // An empty field means the ordinary shell.
            let shell = if shell.is_empty() { "/bin/sh" } else { shell }.to_owned();
            found.users.push(User { name, uid, gid, shell, locked });
        }
    }
    for fields in lines(root, "/etc/group") {
        let [name, _, gid, members] = fields.as_slice() else {
            continue;
        };
        let (Some(name), Ok(gid)) = (plain(name), gid.parse()) else {
            continue;
        };
        if found.groups.len() < MAX_ROWS && !found.groups.iter().any(|g| g.name == name) {
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            found.groups.push(Group { name, gid, members });
        }
    }
    for line in host::read(root, "/etc/shells").unwrap_or_default().lines() {
        let Some(shell) = plain(line.trim()) else {
            continue;
        };
        if shell.starts_with('/') && found.shells.len() < MAX_ROWS && !found.shells.contains(&shell) {
            found.shells.push(shell);
        }
    }
    found
}

/// The accounts whose password was locked; none when the file may not be read.
fn locked(root: &Path) -> Vec<String> {
    let lines = lines(root, "/etc/shadow");
    let is_locked = |f: &Vec<String>| f.get(1).is_some_and(|hash| hash.starts_with('!'));
    lines.into_iter().filter(is_locked).filter_map(|f| f.into_iter().next()).take(MAX_ROWS).collect()
}

/// The lines of a file of fields with colons between.
fn lines(root: &Path, path: &str) -> Vec<Vec<String>> {
    let text = host::read(root, path).unwrap_or_default();
    text.lines().map(|line| line.trim_end().split(':').map(str::to_owned).collect()).collect()
}

/// A name that is not empty and has no odd characters.
fn plain(name: &str) -> Option<String> {
    let good = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_graphic())
        && !name.starts_with(['#', '+']);
    good.then(|| name.to_owned())
}

fn capabilities(root: &Path) -> String {
    let Some(last) = host::number::<usize>(root, "/proc/sys/kernel/cap_last_cap") else {
        return String::new();
    };
    let names = CAPABILITIES.iter().take(last.saturating_add(1));
    names.map(|name| format!("CAP_{name}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const USER: [&str; 6] = ["Username", "UserID", "Enable", "StaticUser", "GroupParticipation", "Shell"];

    fn users() -> ReadOnly {
        ReadOnly(Box::new(Users::default()))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file("etc/passwd", "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\nann:x:1000:1000::/home/ann:\nroot:x:0:0:twice:/:/x\nshort:x\n+::::::\n");
        f.file("etc/shadow", "root:$1$secret:0:0:99999:7:::\nann:!$1$secret:0:0:::\n");
        f.file("etc/group", "root:x:0:\nadm:x:4:root,ann\nann:x:1000:\nbad:x:y:\n");
        f.file("etc/shells", "# shells\n/bin/ash\n/bin/sh\n\n");
        f.file("proc/sys/kernel/cap_last_cap", "1\n");
        assert_eq!(
            probe::list(&mut users(), f.root(), "Device.Users.User.{i}.", &[]),
            ["root", "daemon", "ann"]
        );
        assert_eq!(
            probe::list(&mut users(), f.root(), "Device.Users.Group.{i}.", &[]),
            ["root", "adm", "ann"]
        );
        assert_eq!(
            probe::list(&mut users(), f.root(), "Device.Users.SupportedShell.{i}.", &[]),
            ["/bin/ash", "/bin/sh"]
        );
        let get = |key| {
            probe::line(&probe::get(&mut users(), f.root(), "Device.Users.User.{i}.", &[key], &USER), &USER)
        };
        let groups = |a, b| format!("Device.Users.Group.{{i}}.<{a}> Device.Users.Group.{{i}}.<{b}>");
        let shell = |s| format!("Device.Users.SupportedShell.{{i}}.<{s}>");
        assert_eq!(get("root"), format!("root|0|true|true|{}|{}", groups("root", "adm"), shell("/bin/ash")));
        assert_eq!(get("daemon"), "daemon|1|false|true|-|-");
        assert_eq!(get("ann"), format!("ann|1000|false|false|{}|{}", groups("adm", "ann"), shell("/bin/sh")));
        let v = probe::get(&mut users(), f.root(), "Device.Users.User.{i}.", &["root"], &["Password"]);
        assert!(v.is_empty(), "no password is read");
        let v = probe::get(&mut users(), f.root(), "Device.Users.", &[], &["SupportedCapabilities"]);
        assert_eq!(v["SupportedCapabilities"], "CAP_CHOWN,CAP_DAC_OVERRIDE");
        let names = ["Groupname", "GroupID", "Enable", "StaticGroup"];
        let v = probe::get(&mut users(), f.root(), "Device.Users.Group.{i}.", &["ann"], &names);
        assert_eq!(probe::line(&v, &names), "ann|1000|true|false");
    }

    #[test]
    fn hostile_files() {
        let f = Folder::new();
        let many: String = (0..9000).map(|n| format!("u{n}:x:{n}:0:::\n")).collect();
        f.file("etc/passwd", &many);
        f.bytes("etc/group", &[0xff, b':', b':', b'1', b':', b'\n']);
        f.file("etc/shells", "relative\n/a b\n");
        f.file("proc/sys/kernel/cap_last_cap", "18446744073709551615\n");
        assert_eq!(probe::list(&mut users(), f.root(), "Device.Users.User.{i}.", &[]).len(), MAX_ROWS);
        assert!(probe::list(&mut users(), f.root(), "Device.Users.Group.{i}.", &[]).is_empty());
        assert!(probe::list(&mut users(), f.root(), "Device.Users.SupportedShell.{i}.", &[]).is_empty());
        let v = probe::get(&mut users(), f.root(), "Device.Users.", &[], &["SupportedCapabilities"]);
        assert_eq!(v["SupportedCapabilities"].split(',').count(), 41);
    }
}
