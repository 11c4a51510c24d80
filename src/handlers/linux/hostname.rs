//! Provider `hostname`: DeviceInfo.HostName, which is really set: for the running kernel in
//! `/proc/sys/kernel/hostname`, for the next boot in `/etc/hostname`.

use crate::model::fault::Code;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Row, Want};
use crate::sys::{file, host};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const RUNNING: &str = "/proc/sys/kernel/hostname";
const AT_BOOT: &str = "/etc/hostname";
/// The kernel's own bound, HOST_NAME_MAX.
const MAX_NAME: usize = 64;

/// The provider.
pub struct Hostname;

impl Handler for Hostname {
    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        _: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let name = host::line(ctx.root, RUNNING).or_else(|| host::line(ctx.root, AT_BOOT));
        if let Some(name) = name {
            let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
            (0..want.len()).for_each(|i| out.put(i, &name));
        }
        Ok(())
    }

    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        // Who sets the name mostly writes it down too; the running one is the kernel's and does not tell.
        ring(Bell::File(AT_BOOT.to_owned()));
        ring(Bell::None);
    }

    fn check(&mut self, _: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        for (i, set) in sets.iter().enumerate() {
            if !is_host_name(set.value) {
                let text =
                    format!("a host name has 1 to {MAX_NAME} letters, digits, hyphens and single dots");
                bad.push((i, Failure { code: Code::INVALID_VALUE, text }));
            }
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let Change::Set(_) = change else {
            return Err(Failure::denied("the host name is one value"));
        };
        let running = host::line(ctx.root, RUNNING).unwrap_or_default();
        let at_boot = match host::read_bytes(ctx.root, AT_BOOT, host::MAX_FILE) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            // What cannot be read could not be put back.
            Err(e) => return Err(Failure::denied(format!("{AT_BOOT}: {e}"))),
        };
        // What was in the file is kept to the byte; a zero byte parts it from the running name, and
        // a missing file is told from an empty one by there being nothing behind.
        let mut saved = running.into_bytes();
        if let Some(bytes) = at_boot {
            saved.push(0);
            saved.extend(bytes);
        }
        Ok(saved)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Err(Failure::denied("the host name is one value"));
        };
        let Some(set) = sets.last() else {
            return Ok(());
        };
        write_running(ctx.root, set.value.as_bytes())?;
        write_at_boot(ctx.root, Some(format!("{}\n", set.value).as_bytes()))
    }

    fn undo(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        let mut parts = saved.splitn(2, |b| *b == 0);
        let running = parts.next().unwrap_or_default();
        if !running.is_empty() {
            write_running(ctx.root, running)?;
        }
        write_at_boot(ctx.root, parts.next())
    }
}

/// Labels of letters, digits and inner hyphens, parted by dots.
pub fn is_host_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// The kernel takes the name as one write to the file in place.
fn write_running(root: &Path, name: &[u8]) -> Result<(), Failure> {
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(host::below(root, RUNNING))
        .and_then(|mut file| file.write_all(name))
        .map_err(|e| Failure::internal(format!("{RUNNING}: {e}")))
}

/// Replaces the file whole, or removes it; nothing is written where nothing changes.
fn write_at_boot(root: &Path, bytes: Option<&[u8]>) -> Result<(), Failure> {
    let path = host::below(root, AT_BOOT);
    if fs::read(&path).ok().as_deref() == bytes {
        return Ok(());
    }
    let done = match bytes {
        Some(bytes) => file::replace(&path, bytes, 0o644),
        None => fs::remove_file(&path).and_then(|()| file::sync_folder(file::folder(&path))),
    };
    done.map_err(|e| Failure::internal(format!("{AT_BOOT}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::model::builtin::builtin;
    use crate::model::handler::Set;

    #[test]
    fn a_name_is_set_and_put_back() {
        let f = Folder::new();
        f.file("proc/sys/kernel/hostname", "OpenWrt\n");
        f.file("etc/hostname", "# mine\nOpenWrt\n");
        let schema = builtin();
        let object = schema.find_object("Device.DeviceInfo.").unwrap();
        let param = object.params().find(|p| p.name() == "HostName").unwrap();
        let row = Row { object, arg: "hostname", keys: &[], numbers: &[] };
        let ctx = Ctx { epoch: 1, root: f.root() };
        let read = || {
            probe::get(&mut Hostname, f.root(), "Device.DeviceInfo.", &[], &["HostName"])["HostName"].clone()
        };
        let sets = [Set { param, arg: "hostname", value: "gw-7.lan", refers: None }];
        let change = Change::Set(&sets);
        let mut bad = Vec::new();
        Hostname.check(&ctx, &row, &change, &mut bad);
        assert!(bad.is_empty());
        let saved = Hostname.stage(&ctx, &row, &change).unwrap();
        assert_eq!(read(), "OpenWrt", "staging has no effect");
        Hostname.commit(&ctx, &row, &change).unwrap();
        Hostname.commit(&ctx, &row, &change).unwrap();
        assert_eq!((read().as_str(), f.text("etc/hostname").as_str()), ("gw-7.lan", "gw-7.lan\n"));
        for _ in 0..2 {
            Hostname.undo(&ctx, &row, &change, &saved).unwrap();
            assert_eq!((read().as_str(), f.text("etc/hostname").as_str()), ("OpenWrt", "# mine\nOpenWrt\n"));
        }
    }

    #[test]
    fn a_file_that_was_not_there_goes_again() {
        let f = Folder::new();
        f.file("proc/sys/kernel/hostname", "(none)\n");
        f.file("etc/passwd", "");
        let schema = builtin();
        let object = schema.find_object("Device.DeviceInfo.").unwrap();
        let param = object.params().find(|p| p.name() == "HostName").unwrap();
        let row = Row { object, arg: "hostname", keys: &[], numbers: &[] };
        let ctx = Ctx { epoch: 1, root: f.root() };
        let sets = [Set { param, arg: "hostname", value: "a", refers: None }];
        let saved = Hostname.stage(&ctx, &row, &Change::Set(&sets)).unwrap();
        Hostname.commit(&ctx, &row, &Change::Set(&sets)).unwrap();
        assert!(f.root().join("etc/hostname").exists());
        Hostname.undo(&ctx, &row, &Change::Set(&sets), &saved).unwrap();
        assert!(!f.root().join("etc/hostname").exists());
    }

    #[test]
    fn what_is_no_host_name_is_9007() {
        for good in ["a", "gw-7.lan", "7", &"x".repeat(64)] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a\nb",
            "b\u{fc}ro",
            "a_b",
            "$(reboot)",
            &"x".repeat(65),
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
