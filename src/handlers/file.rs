//! Source `file`: one value a file, and one instance for each name in a folder.
//!
//! `{1}` in a path is the key of the first `{i}`, `{#1}` its number. Everything lies below the root;
//! with a root of its own, links are followed inside it.
//!
//! # Error handling
//! A file that is missing, cannot be read, or is no plain file fills nothing: the next value is not to
//! suffer from it.

use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Set, Want};
use crate::sys::{file, host, kernel_file};
use nix::unistd::{AccessFlags, access};
use std::io;
use std::path::{Path, PathBuf};

/// The most bytes of a file that are a value; the rest is left out.
pub const MAX_VALUE: u64 = 64 * 1024;
/// The most instances that the names of a folder make.
pub const MAX_INSTANCES: usize = 4096;
/// Permission bits of a file that was not there.
const MODE: u32 = 0o644;

/// The handler of `file`.
#[derive(Default)]
pub struct FileValues;

/// A path as a row says it, with the keys and numbers of one instance in it.
///
/// # Errors
/// A key that could lead elsewhere.
fn expand(pattern: &str, row: &Row<'_>) -> Result<String, Failure> {
    let mut path = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some((before, from)) = rest.split_once('{') {
        path.push_str(before);
        let Some((word, behind)) = from.split_once('}') else {
            path.push('{');
            rest = from;
            continue;
        };
        let at = |digits: &str| digits.parse::<usize>().ok()?.checked_sub(1);
        let number = word.strip_prefix('#').and_then(at).and_then(|i| row.numbers.get(i));
        match (number, at(word).and_then(|i| row.keys.get(i))) {
            (Some(number), _) => path.push_str(&number.to_string()),
            (None, Some(key)) if is_name(key) => path.push_str(key),
            (None, Some(_)) => {
                return Err(Failure::denied("the key of this row is no part of a path"));
            }
            // Braces of the path's own.
            (None, None) => {
                path.push('{');
                rest = from;
                continue;
            }
        }
        rest = behind;
    }
    path.push_str(rest);
    Ok(path)
}

/// Whether a key can stand in a path without leading anywhere else.
fn is_name(key: &str) -> bool {
    !key.is_empty() && key != "." && !key.contains(['/', '\0']) && !key.contains("..")
}

/// Whether the kernel makes what is in the file: it is written in place, and never made or replaced.
fn is_kernel_file(root: &Path, real: &Path) -> bool {
    let inside = real.strip_prefix(root).unwrap_or(real);
    inside.starts_with("proc") || inside.starts_with("sys")
}

/// Where a path leads.
fn real(root: &Path, path: &str) -> PathBuf {
    let below = host::below(root, path);
    match host::is_live(root) {
        true => std::fs::canonicalize(&below).unwrap_or(below),
        false => below,
    }
}

/// The bell of a file, or of a folder's names. Files of the kernel have none.
fn bell(root: &Path, path: String) -> Bell {
    match is_kernel_file(root, &real(root, path.trim_end_matches('/'))) {
        true => Bell::None,
        false => Bell::File(path),
    }
}

/// The bell of a file whose name has places for keys. What leads elsewhere reads nothing, and never will.
pub(super) fn bell_of(ctx: &Ctx<'_>, row: &Row<'_>, pattern: &str) -> Bell {
    expand(pattern, row).map_or(Bell::None, |path| bell(ctx.root, path))
}

/// What a file held before a change.
#[derive(Debug, PartialEq)]
enum Old {
    Absent,
    Bytes(Vec<u8>),
}

/// What a file holds.
fn old(ctx: &Ctx<'_>, path: &str) -> Result<Old, Failure> {
    match host::read_bytes(ctx.root, path, MAX_VALUE + 1) {
        Ok(bytes) if bytes.len() as u64 > MAX_VALUE => {
            Err(Failure::denied(format!("{path} is longer than {MAX_VALUE} bytes")))
        }
        Ok(bytes) => Ok(Old::Bytes(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Old::Absent),
        // What cannot be read could not be put back.
        Err(error) => Err(Failure::denied(format!("{path}: {error}"))),
    }
}

/// Length and bytes of the path, then 0 for a file that was absent, or 1, length and bytes.
fn save(path: &str, old: &Old, out: &mut Vec<u8>) {
    put(path.as_bytes(), out);
    match old {
        Old::Absent => out.push(0),
        Old::Bytes(bytes) => {
            out.push(1);
            put(bytes, out);
        }
    }
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

/// The next of what [`save`] wrote.
fn next<'a>(saved: &mut &'a [u8]) -> Option<(&'a str, Old)> {
    let text = take(saved)?;
    let (state, rest) = saved.split_first()?;
    *saved = rest;
    let old = match state {
        0 => Old::Absent,
        _ => Old::Bytes(take(saved)?.to_vec()),
    };
    Some((std::str::from_utf8(text).ok()?, old))
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = from.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *from = rest;
    Some(bytes)
}

/// Writes a file as its kind wants it, unless it holds the bytes already.
fn write(ctx: &Ctx<'_>, path: &str, bytes: &[u8]) -> Result<(), Failure> {
    if matches!(old(ctx, path), Ok(Old::Bytes(now)) if now == bytes) {
        return Ok(());
    }
    let real = real(ctx.root, path);
    let done = match is_kernel_file(ctx.root, &real) {
        true => {
            let text = String::from_utf8_lossy(bytes);
            kernel_file::write(&real, text.strip_suffix('\n').unwrap_or(&text))
        }
        false => file::replace(&real, bytes, MODE),
    };
    done.map_err(|error| Failure::internal(format!("{path}: {error}")))
}

/// Whether a file could be written.
fn can_write(ctx: &Ctx<'_>, path: &str) -> Result<(), Failure> {
    let real = real(ctx.root, path);
    let place = if is_kernel_file(ctx.root, &real) { real.as_path() } else { file::folder(&real) };
    if std::fs::metadata(&real).is_ok_and(|m| !m.is_file()) {
        return Err(Failure::denied(format!("{path} is no plain file")));
    }
    access(place, AccessFlags::W_OK)
        .map_err(|error| Failure::denied(format!("{path} cannot be written: {error}")))
}

/// The sets of a change.
fn sets<'a>(change: &Change<'a>) -> Result<&'a [Set<'a>], Failure> {
    match change {
        Change::Set(sets) => Ok(sets),
        _ => Err(Failure::denied("rows that files make are not added or deleted")),
    }
}

impl Handler for FileValues {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        // The star is looked for before keys take their places: theirs would be no pattern.
        let Some((before, after)) = row.arg.split_once('*') else {
            return Err(Failure::internal("a table's file names its instances by one `*`"));
        };
        let (folder, prefix) = before.rsplit_once('/').unwrap_or(("", before));
        let (suffix, below) = after.split_once('/').map_or((after, None), |(s, b)| (s, Some(b)));
        let folder = expand(folder, row)?;
        let prefix = expand(prefix, row)?;
        let suffix = expand(suffix, row)?;
        let below = below.map(|b| expand(b, row)).transpose()?;
        let mut names = host::names(ctx.root, &folder).into_iter().filter(|name| {
            let fits = name.len() >= prefix.len() + suffix.len()
                && name.starts_with(&prefix)
                && name.ends_with(&suffix);
            let hidden = name.starts_with('.') && !prefix.starts_with('.');
            fits && !hidden
                && is_name(name)
                && below
                    .as_ref()
                    .is_none_or(|b| host::metadata(ctx.root, &format!("{folder}/{name}/{b}")).is_some())
        });
        out.extend(names.by_ref().take(MAX_INSTANCES));
        if names.next().is_some() {
            log::warn!("{}: more than {MAX_INSTANCES} names; the rest is left out", row.arg);
        }
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        for (index, want) in want.iter().enumerate() {
            let Ok(path) = expand(want.arg, row) else {
                continue;
            };
            match host::read_bytes(ctx.root, &path, MAX_VALUE) {
                Ok(bytes) => out.put(index, String::from_utf8_lossy(&bytes).trim_end_matches('\n')),
                Err(error) => log::debug!("{path}: {error}"),
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        match sets(change) {
            Ok(sets) => {
                for (index, set) in sets.iter().enumerate() {
                    let judged = expand(set.arg, row).and_then(|path| can_write(ctx, &path));
                    bad.extend(judged.err().map(|failure| (index, failure)));
                }
            }
            Err(failure) => bad.push((0, failure)),
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let mut saved = Vec::new();
        for set in sets(change)? {
            let path = expand(set.arg, row)?;
            save(&path, &old(ctx, &path)?, &mut saved);
        }
        Ok(saved)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        for set in sets(change)? {
            write(ctx, &expand(set.arg, row)?, format!("{}\n", set.value).as_bytes())?;
        }
        Ok(())
    }

    fn undo(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        let mut rest = saved;
        let mut failed = None;
        while !rest.is_empty() {
            let Some((path, old)) = next(&mut rest) else {
                return Err(Failure::internal("what was saved is damaged"));
            };
            let done = match old {
                Old::Bytes(bytes) => write(ctx, path, &bytes),
                Old::Absent => match std::fs::remove_file(real(ctx.root, path)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Failure::internal(format!("{path}: {error}")))
                    }
                    _ => Ok(()),
                },
            };
            failed = failed.or(done.err());
        }
        failed.map_or(Ok(()), Err)
    }

    fn bells(&self, ctx: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let path = match want {
            Some(want) => expand(want.arg, row),
            None => {
                let (before, after) = row.arg.split_once('*').unwrap_or((row.arg, ""));
                if after.contains('/') {
                    // What lies below each name decides too.
                    ring(Bell::None);
                }
                expand(before.rsplit_once('/').map_or("", |(folder, _)| folder), row).map(|f| f + "/")
            }
        };
        // A key that leads elsewhere reads nothing, and never will.
        if let Ok(path) = path {
            ring(bell(ctx.root, path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;
    use crate::model::fault::Code;
    use crate::model::grammar::schema_from;
    use crate::model::schema::Schema;
    use std::os::unix::fs::PermissionsExt;

    const ROWS: &str = r##"
["Device.X_T.{i}."]
file = "/sys/class/led*"
Type  = { type = "string", file = "/sys/class/{1}/type" }
Limit = { type = "unsignedInt", file = "/etc/limit-{#1}-{x}", write = true }
Knob  = { type = "unsignedInt", file = "/proc/sys/{1}", write = true }
"##;

    fn schema(rows: &str) -> Schema {
        schema_from(&[("rows.toml", rows)], &[]).unwrap()
    }

    fn row<'a>(schema: &'a Schema, keys: &'a [&'a str], numbers: &'a [u32]) -> Row<'a> {
        let object = schema.find_object("Device.X_T.{i}.").unwrap();
        Row { object, arg: "", keys, numbers }
    }

    fn get(root: &Path, row: &Row<'_>, name: &str, arg: &str) -> Option<String> {
        let mut out = Fields::default();
        out.reset(1);
        let want = [Want { param: row.object.param(name).unwrap(), arg }];
        FileValues.get(&Ctx { epoch: 1, root }, row, &want, &mut out).unwrap();
        out.get(0).map(str::to_owned)
    }

    fn list(root: &Path, pattern: &str, keys: &[&str]) -> Vec<String> {
        let schema = schema(ROWS);
        let mut out = Keys::default();
        let row = Row { arg: pattern, ..row(&schema, keys, &[]) };
        FileValues.list(&Ctx { epoch: 1, root }, &row, &mut out).unwrap();
        out.iter().map(str::to_owned).collect()
    }

    #[test]
    fn values_are_files_without_their_last_newline() {
        let f = Folder::new();
        let schema = schema(ROWS);
        let row = row(&schema, &["eth0", "b"], &[3, 7]);
        f.file("etc/eth0/b", "one\ntwo\n");
        f.file("etc/3-7", "numbers");
        f.file("etc/{x}{1", "braces\n");
        f.file("etc/big", &"x".repeat(MAX_VALUE as usize + 9));
        f.bytes("etc/latin", b"\xe9t\xe9\n");
        f.link("etc/link", "/etc/eth0/b");
        let read = |arg| get(f.root(), &row, "Type", arg);
        assert_eq!(read("/etc/{1}/{2}").as_deref(), Some("one\ntwo"));
        assert_eq!(read("/etc/{#1}-{#2}").as_deref(), Some("numbers"));
        assert_eq!(read("/etc/{x}{1").as_deref(), Some("braces"));
        assert_eq!(read("/etc/big").map(|t| t.len() as u64), Some(MAX_VALUE));
        assert_eq!(read("/etc/latin").as_deref(), Some("\u{fffd}t\u{fffd}"));
        assert_eq!(read("/etc/link").as_deref(), Some("one\ntwo"));
        assert_eq!(read("/etc/missing"), None);
        assert_eq!(read("/etc"), None, "a folder has no value");
        // Of the host, not of the root.
        assert_eq!(read("/proc/self/stat"), None);
    }

    #[test]
    fn a_key_that_leads_elsewhere_reads_nothing_and_writes_nothing() {
        let f = Folder::new();
        f.file("secret", "s");
        f.file("etc/x", "y");
        let schema = schema(ROWS);
        for key in ["../secret", "..", ".", "", "a/../../secret", "x\0", "/secret", "x/y"] {
            let keys = [key];
            let row = row(&schema, &keys, &[1]);
            assert_eq!(get(f.root(), &row, "Type", "/etc/{1}"), None, "{key:?}");
            let param = row.object.param("Knob").unwrap();
            let sets = [Set { param, arg: "/etc/{1}", value: "1", refers: None }];
            let ctx = Ctx { epoch: 1, root: f.root() };
            let mut bad = Vec::new();
            FileValues.check(&ctx, &row, &Change::Set(&sets), &mut bad);
            assert_eq!(bad.len(), 1, "{key:?}");
            assert!(FileValues.stage(&ctx, &row, &Change::Set(&sets)).is_err());
            assert!(FileValues.commit(&ctx, &row, &Change::Set(&sets)).is_err());
        }
    }

    #[test]
    fn names_of_a_folder_are_instances() {
        let f = Folder::new();
        for name in ["class/eth1/wireless", "class/eth0/x", "class/lo/x", "class/.hidden/x", "class/a..b/x"] {
            f.file(name, "");
        }
        assert_eq!(list(f.root(), "/class/*", &[]), ["eth0", "eth1", "lo"]);
        assert_eq!(list(f.root(), "/class/eth*", &[]), ["eth0", "eth1"]);
        assert_eq!(list(f.root(), "/class/e*1", &[]), ["eth1"]);
        assert_eq!(list(f.root(), "/class/eth0*eth0", &[]), [""; 0], "no letter counts twice");
        assert_eq!(list(f.root(), "/class/*/wireless", &[]), ["eth1"]);
        assert_eq!(list(f.root(), "/class/{1}/*", &["lo"]), ["x"]);
        assert_eq!(list(f.root(), "/none/*", &[]), [""; 0]);
        for n in 0..MAX_INSTANCES + 3 {
            std::fs::create_dir(f.root().join(format!("class/n{n:05}"))).unwrap();
        }
        let names = list(f.root(), "/class/n*", &[]);
        assert_eq!((names.len(), names[MAX_INSTANCES - 1].as_str()), (MAX_INSTANCES, "n04095"));
    }

    #[test]
    fn a_set_takes_effect_and_is_put_back_to_the_byte() {
        let f = Folder::new();
        f.file("etc/limit", "  12");
        std::fs::set_permissions(f.root().join("etc/limit"), PermissionsExt::from_mode(0o640)).unwrap();
        f.file("proc/sys/knob", "0\n");
        let schema = schema(ROWS);
        let row = row(&schema, &["knob"], &[1]);
        let ctx = Ctx { epoch: 1, root: f.root() };
        let param = |name| row.object.param(name).unwrap();
        let sets = [
            Set { param: param("Limit"), arg: "/etc/limit", value: "99", refers: None },
            Set { param: param("Limit"), arg: "/etc/new", value: "5", refers: None },
            Set { param: param("Knob"), arg: "/proc/sys/{1}", value: "1", refers: None },
        ];
        let change = Change::Set(&sets);
        let mut bad = Vec::new();
        FileValues.check(&ctx, &row, &change, &mut bad);
        assert_eq!(bad, []);
        let saved = FileValues.stage(&ctx, &row, &change).unwrap();
        assert_eq!(f.text("etc/limit"), "  12");
        let inode =
            |p: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(f.root().join(p)).unwrap());
        let knob = inode("proc/sys/knob");
        for _ in 0..2 {
            FileValues.commit(&ctx, &row, &change).unwrap();
            assert_eq!(
                (f.text("etc/limit"), f.text("etc/new"), f.text("proc/sys/knob")),
                ("99\n".into(), "5\n".into(), "1\n".into())
            );
        }
        assert_eq!(inode("proc/sys/knob"), knob, "the kernel's files are written in place");
        for _ in 0..2 {
            FileValues.undo(&ctx, &row, &change, &saved).unwrap();
            assert_eq!((f.text("etc/limit"), f.text("proc/sys/knob")), ("  12".into(), "0\n".into()));
            assert!(!f.root().join("etc/new").exists());
        }
        let mode = std::fs::metadata(f.root().join("etc/limit")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(
            FileValues.undo(&ctx, &row, &change, &saved[..saved.len() - 1]).is_err(),
            "a damaged record is told"
        );
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        let f = Folder::new();
        f.file("etc/folder/x", "");
        f.file("etc/big", &"x".repeat(MAX_VALUE as usize + 1));
        let schema = schema(ROWS);
        let row = row(&schema, &["a"], &[1]);
        let ctx = Ctx { epoch: 1, root: f.root() };
        let param = row.object.param("Limit").unwrap();
        for arg in ["/none/x", "/etc/folder", "/proc/sys/none"] {
            let sets = [Set { param, arg, value: "1", refers: None }];
            let mut bad = Vec::new();
            FileValues.check(&ctx, &row, &Change::Set(&sets), &mut bad);
            assert_eq!(bad.first().map(|b| b.1.code), Some(Code::REQUEST_DENIED), "{arg}");
        }
        let sets = [Set { param, arg: "/etc/big", value: "1", refers: None }];
        assert!(
            FileValues.stage(&ctx, &row, &Change::Set(&sets)).is_err(),
            "what is not saved whole is not changed"
        );
        assert!(FileValues.stage(&ctx, &row, &Change::Delete).is_err());
    }
}
