//! Provider `ow_ssh_keys`: the lines of `/etc/dropbear/authorized_keys`. The key of a row is a checksum of its
//! line until the ACS changes it; then a comment in the line above keeps the key (`# cwmpd KEY`), so that the
//! row stays the same one whatever its line says. A row that was added has its comment alone until its Key
//! is set.

use crate::handlers::reading::PerRpc;
use crate::model::fault::Code;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::sys::file::Replacement;
use crate::sys::{crc, host};
use std::io::Write;

const FILE: &str = "/etc/dropbear/authorized_keys";
const FOLDER: &str = "/etc/dropbear";
const MARK: &str = "# cwmpd ";
/// No more keys than this are shown or kept.
const MAX_KEYS: usize = 256;
/// The most characters of a key: one of RSA with 16384 bits has a sixth of it.
const MAX_KEY: usize = 16 * 1024;
/// Kinds of keys that dropbear knows.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The provider.
#[derive(Default)]
pub struct Keyring {
    lines: PerRpc<Vec<String>>,
}

/// Where a row lies in the file.
#[derive(Debug, PartialEq)]
struct Place {
    key: String,
    /// The line of its comment.
    mark: Option<usize>,
    /// The line of the key itself.
    line: Option<usize>,
}

/// The kind and what follows it; options of the line stand before the kind.
fn is_key(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip_while(|w| !KINDS.contains(w));
    let body = words.nth(1).unwrap_or("");
    body.len() >= 16 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

/// The rows of a file.
fn places<S: AsRef<str>>(lines: &[S]) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for (at, line) in lines.iter().enumerate() {
        let line = line.as_ref().trim();
        let close = |open: &mut Option<(String, usize)>, line| {
            open.take().map(|(key, mark)| Place { key, mark: Some(mark), line })
        };
        if let Some(key) = line.strip_prefix(MARK) {
            found.extend(close(&mut open, None));
            open = Some((key.to_owned(), at));
        } else if is_key(line) && line.len() <= MAX_KEY && !line.starts_with('#') {
            let sum = || format!("{:08x}", crc::crc32(line.as_bytes()));
            let place = close(&mut open, Some(at));
            found.push(place.unwrap_or_else(|| Place { key: sum(), mark: None, line: Some(at) }));
        } else {
            // Something stands between: the comment is alone.
            found.extend(close(&mut open, None));
        }
    }
    found.extend(open.map(|(key, mark)| Place { key, mark: Some(mark), line: None }));
    let mut seen: Vec<String> = Vec::new();
    found.retain(|place| {
        let new = !place.key.is_empty() && !seen.contains(&place.key);
        seen.push(place.key.clone());
        new
    });
    found.truncate(MAX_KEYS);
    found
}

fn read(ctx: &Ctx<'_>) -> Vec<String> {
    host::read(ctx.root, FILE).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The file as it was read to be changed.
#[derive(Debug)]
struct Text {
    lines: Vec<String>,
    /// Its bytes as they were; `None` where there is no file.
    had: Option<Vec<u8>>,
}

/// The lines as they are to be written again.
///
/// # Errors
/// The file cannot be read, is too long, or has bytes that are no text: then it is not the agent's to change.
fn load(ctx: &Ctx<'_>) -> Result<Text, Failure> {
    let refused = |why: &str| Failure::denied(format!("{FILE}: {why}"));
    let had = bytes(ctx).map_err(|e| refused(&e.to_string()))?;
    let text = had.as_deref().unwrap_or_default();
    if text.len() as u64 == host::MAX_FILE {
        return Err(refused("too long"));
    }
    let text = std::str::from_utf8(text).map_err(|_| refused("not text"))?;
    Ok(Text { lines: text.lines().map(str::to_owned).collect(), had })
}

/// All of the file that is looked at; `None` where there is none.
fn bytes(ctx: &Ctx<'_>) -> std::io::Result<Option<Vec<u8>>> {
    match host::read_bytes(ctx.root, FILE, host::MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes the file, or does nothing where nothing changes. Dropbear trusts only root's own. Nobody locks this
/// file: whether it still is what was read is looked at when all but the rename is done.
///
/// # Errors
/// 9002: it cannot be written, or somebody else has changed it since it was read. Then it stays theirs.
fn write(ctx: &Ctx<'_>, text: &Text) -> Result<(), Failure> {
    let mut new = text.lines.join("\n");
    if !new.is_empty() {
        new.push('\n');
    }
    if text.had.as_deref().unwrap_or_default() == new.as_bytes() {
        return Ok(());
    }
    let failed = |e: std::io::Error| Failure::internal(format!("{FILE}: {e}"));
    let mut file = Replacement::create_unique(&host::below(ctx.root, FILE), 0o600).map_err(failed)?;
    file.write_all(new.as_bytes()).and_then(|()| file.sync()).map_err(failed)?;
    if bytes(ctx).map_err(failed)? != text.had {
        return Err(Failure::internal(format!("{FILE}: somebody else has changed it meanwhile")));
    }
    file.commit().map(drop).map_err(failed)
}

/// Puts a row's line in place: behind its comment, which is made where there is none; without a line the
/// comment alone.
fn set(lines: &mut Vec<String>, key: &str, text: &str) {
    let place = places(lines).into_iter().find(|p| p.key == key);
    let at = match place {
        Some(Place { mark: Some(mark), line, .. }) => {
            line.into_iter().for_each(|line| drop(lines.remove(line)));
            mark
        }
        Some(Place { line: Some(line), .. }) => {
            if lines.get(line).is_some_and(|had| had.trim() == text) {
                return;
            }
            if let Some(had) = lines.get_mut(line) {
                *had = [MARK, key].concat();
            }
            line
        }
        _ => {
            lines.push([MARK, key].concat());
            lines.len() - 1
        }
    };
    if !text.is_empty() {
        lines.insert(at + 1, text.to_owned());
    }
}

/// Takes a row's lines out.
fn remove(lines: &mut Vec<String>, key: &str) {
    if let Some(place) = places(lines).into_iter().find(|p| p.key == key) {
        place.line.into_iter().chain(place.mark).for_each(|at| drop(lines.remove(at)));
    }
}

impl Handler for Keyring {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        out.extend(places(self.lines.get(ctx, || read(ctx))).into_iter().map(|p| p.key));
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let lines = self.lines.get(ctx, || read(ctx));
        let Some(place) = places(lines).into_iter().find(|p| p.key == row.key()) else {
            return Ok(());
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "User" => out.refer(i, "Device.Users.User.{i}.", &["root"]),
                "Key" => {
                    let line = place.line.and_then(|at| lines.get(at)).map(|l| l.trim());
                    line.into_iter().for_each(|line| out.put(i, line));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        for (at, set) in sets.iter().enumerate() {
            let plain = set.value.len() <= MAX_KEY && !set.value.chars().any(char::is_control);
            let good = plain && is_key(set.value) && !set.value.starts_with(['#', ' ']);
            if !good && !set.value.is_empty() {
                let text = "a key as a line of authorized_keys: its kind and its text, no comment alone";
                bad.push((at, Failure { code: Code::INVALID_VALUE, text: text.into() }));
            }
        }
        if host::metadata(ctx.root, FOLDER).is_none_or(|m| !m.is_dir()) {
            bad.push((0, Failure::denied("dropbear is not installed")));
        }
    }

    /// Whether the row has a comment (`m`), only its line (`l`) or nothing (`-`), at which line of the file it
    /// begins, and the line itself.
    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let lines = load(ctx)?.lines;
        let place = places(&lines).into_iter().find(|p| p.key == row.key());
        let kind = place.as_ref().map_or('-', |p| if p.mark.is_some() { 'm' } else { 'l' });
        let at = place.as_ref().and_then(|p| p.mark.or(p.line)).unwrap_or(0);
        let line = place.and_then(|p| p.line).and_then(|at| lines.get(at)).map_or("", String::as_str);
        Ok(format!("{kind}{at}\n{line}").into_bytes())
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        self.lines = PerRpc::default();
        let mut text = load(ctx)?;
        let lines = &mut text.lines;
        match change {
            Change::Add => set(lines, row.key(), ""),
            Change::Delete => remove(lines, row.key()),
            Change::Set(sets) => {
                for one in sets.iter().filter(|s| s.param.name() == "Key") {
                    set(lines, row.key(), one.value);
                }
            }
        }
        write(ctx, &text)
    }

    fn undo(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        self.lines = PerRpc::default();
        let mut file = load(ctx)?;
        let lines = &mut file.lines;
        let saved = String::from_utf8_lossy(saved);
        let (head, text) = saved.split_once('\n').unwrap_or((&saved, ""));
        let (kind, at) = head.split_at_checked(1).unwrap_or(("-", ""));
        let found = places(lines).into_iter().find(|p| p.key == row.key());
        let at = found.and_then(|p| p.mark.or(p.line)).or(at.parse().ok()).unwrap_or(0);
        remove(lines, row.key());
        let at = at.min(lines.len());
        if kind != "-" && !text.is_empty() {
            lines.insert(at, text.to_owned());
        }
        if kind == "m" {
            lines.insert(at, [MARK, row.key()].concat());
        }
        write(ctx, &file)
    }

    fn add_key(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
        let all = places(&load(ctx)?.lines);
        if all.len() >= MAX_KEYS {
            return Err(Failure { code: Code::RESOURCES_EXCEEDED, text: format!("at most {MAX_KEYS} keys") });
        }
        let mut keys = (number..).map(|n| format!("acs-{n}"));
        Ok(keys.find(|key| all.iter().all(|p| p.key != *key)).unwrap_or_default())
    }

    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::File(FILE.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample one@example.org";
    const TWO: &str = "restrict,command=\"x y\" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA two";

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn rows_are_lines_and_comments() {
        let file = lines(&format!(
            "# mine\n{ONE}\n\n# cwmpd acs-2\n{TWO}\n# cwmpd acs-3\nnonsense\n# cwmpd acs-2\n{ONE}\n#{ONE}\n"
        ));
        let keys: Vec<(String, Option<usize>)> = places(&file).into_iter().map(|p| (p.key, p.line)).collect();
        let sum = format!("{:08x}", crc::crc32(ONE.as_bytes()));
        assert_eq!(keys, [(sum, Some(1)), ("acs-2".into(), Some(4)), ("acs-3".into(), None)]);
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 short",
            "ssh-dss AAAAB3NzaC1kc3MAAACBA",
            "ssh-rsa AAAA$(reboot)AAAAAAAAAA",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_row_stays_itself() {
        let mut file = lines(&format!("# mine\n{ONE}\n# end\n"));
        let key = places(&file)[0].key.clone();
        set(&mut file, &key, TWO);
        assert_eq!(file, lines(&format!("# mine\n# cwmpd {key}\n{TWO}\n# end\n")));
        assert_eq!(places(&file)[0].key, key);
        set(&mut file, &key, TWO);
        assert_eq!(file.len(), 4, "once is enough");
        set(&mut file, "acs-7", "");
        set(&mut file, "acs-7", ONE);
        assert_eq!(file[4..], lines(&format!("# cwmpd acs-7\n{ONE}")));
        remove(&mut file, &key);
        remove(&mut file, &key);
        assert_eq!(file, lines(&format!("# mine\n# end\n# cwmpd acs-7\n{ONE}\n")));
    }

    #[test]
    fn what_is_no_text_is_left_alone() {
        use crate::handlers::probe::Folder;
        use crate::model::builtin::builtin;
        let schema = builtin();
        let object = schema.find_object("Device.SSH.AuthorizedKey.{i}.").unwrap();
        let f = Folder::new();
        let ctx = Ctx { epoch: 1, root: f.root() };
        let row = Row { object, arg: "", keys: &["acs-1"], numbers: &[1] };
        for bytes in
            [[b"\xff\n".as_slice(), ONE.as_bytes()].concat(), vec![b'\n'; host::MAX_FILE as usize + 1]]
        {
            f.bytes("etc/dropbear/authorized_keys", &bytes);
            assert!(Keyring::default().stage(&ctx, &row, &Change::Add).is_err());
            assert!(Keyring::default().commit(&ctx, &row, &Change::Add).is_err());
            assert!(std::fs::read(f.root().join("etc/dropbear/authorized_keys")).unwrap() == bytes);
        }
    }

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        use crate::handlers::probe::Folder;
        let f = Folder::new();
        let ctx = Ctx { epoch: 1, root: f.root() };
        let folder = f.root().join("etc/dropbear");
        std::fs::create_dir_all(&folder).unwrap();
        for before in [None, Some(format!("{ONE}\n"))] {
            if let Some(before) = &before {
                f.file("etc/dropbear/authorized_keys", before);
            }
            let mut text = load(&ctx).unwrap();
            set(&mut text.lines, "acs-1", TWO);
            let theirs = format!("{ONE}\n{ONE} theirs\n");
            f.file("etc/dropbear/authorized_keys", &theirs);
            let failure = write(&ctx, &text).unwrap_err();
            assert_eq!(failure.code, Code::INTERNAL_ERROR, "{}", failure.text);
            assert_eq!(f.text("etc/dropbear/authorized_keys"), theirs);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        }
    }

    #[test]
    fn what_was_changed_is_put_back() {
        use crate::handlers::probe::Folder;
        use crate::model::builtin::builtin;
        use crate::model::handler::Set;
        let schema = builtin();
        let object = schema.find_object("Device.SSH.AuthorizedKey.{i}.").unwrap();
        let param = object.params().find(|p| p.name() == "Key").unwrap();
        let sets = |value| [Set { param, arg: "", value, refers: None }];
        let (new, none) = (sets(TWO), sets(""));
        let before = format!("# mine\n{ONE}\n# cwmpd acs-4\nssh-rsa AAAAB3NzaC1yc2EAAAADAQ four\n# end\n");
        let first = places(&lines(&before))[0].key.clone();
        for key in [first.as_str(), "acs-4", "acs-9"] {
            for change in [Change::Set(&new), Change::Set(&none), Change::Delete, Change::Add] {
                let f = Folder::new();
                f.file("etc/dropbear/authorized_keys", &before);
                let ctx = Ctx { epoch: 1, root: f.root() };
                let row = Row { object, arg: "", keys: &[key], numbers: &[1] };
                let saved = Keyring::default().stage(&ctx, &row, &change).unwrap();
                assert_eq!(f.text("etc/dropbear/authorized_keys"), before, "staging has no effect");
                Keyring::default().commit(&ctx, &row, &change).unwrap();
                let done = f.text("etc/dropbear/authorized_keys");
                Keyring::default().commit(&ctx, &row, &change).unwrap();
                assert_eq!(f.text("etc/dropbear/authorized_keys"), done, "once is enough");
                for _ in 0..2 {
                    Keyring::default().undo(&ctx, &row, &change, &saved).unwrap();
                    assert_eq!(f.text("etc/dropbear/authorized_keys"), before, "{key}");
                }
            }
        }
    }
}
