//! A snapshot as a root: unpacked into a folder of its own, asked, and removed. Nothing of it is believed: no
//! path and no link leads out of the folder, and its size is bounded.

use super::{PLATFORM, Question};
use crate::agent::control::{Failure, Line};
use crate::cli::{Exit, complain, show};
use crate::model::schema::Platform;
use crate::model::tree::{Item, Tree};
use crate::net::coding::{Coding, Limits};
use crate::sys::{clock, host, tar, ubus};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The most bytes of an archive, packed or not.
pub const MAX_ARCHIVE: usize = 64 << 20;
/// The most processor time that unpacking may take.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Answers from a snapshot.
pub(in crate::cli) fn replay(
    file: &Path,
    question: &Question,
    json: bool,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let failed = |e: String| {
        complain(&format!("{}: {e}", file.display()));
        Ok(Exit::Fault)
    };
    if let Question::Unpack(folder) = question {
        return match unpack(file, folder) {
            Ok(()) => Ok(Exit::Ok),
            Err(e) => failed(e),
        };
    }
    let folder = match Private::new() {
        Ok(folder) => folder,
        Err(e) => return failed(e.to_string()),
    };
    let root = folder.0.join("root");
    if let Err(e) = unpack(file, &root) {
        return failed(e);
    }
    let platform = host::line(&root, PLATFORM);
    let platform = if platform.as_deref() == Some("openwrt") { Platform::OpenWrt } else { Platform::Linux };
    let mut tree = super::tree(&root, platform, ubus::Place::Recorded(root.clone()));
    answer(&mut tree, question, json, out)
}

fn answer(tree: &mut Tree, question: &Question, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    let selection = match question {
        Question::Get(paths) => tree.values(paths),
        Question::Names(path, next_level) => tree.names(path, *next_level),
        Question::Unpack(_) => return Ok(Exit::Ok),
    };
    let mut selection = match selection {
        Ok(selection) => selection,
        Err(fault) => {
            let error = Failure::from(fault);
            if json {
                Line::Error { error }.write(out)?;
            } else {
                complain(&show::plain(&error.to_string(), true));
            }
            return Ok(Exit::Fault);
        }
    };
    let mut written = Ok(());
    while tree.next(&mut selection, &mut |item| {
        let line = match item {
            Item::Value { path, value, .. } => Line::Value { path: path.to_owned(), value: value.to_owned() },
            Item::Name { path, writable } => Line::Name { path: path.to_owned(), writable },
            Item::Attributes { .. } => return,
        };
        if written.is_ok() {
            written = if json { line.write(out) } else { show::line(&line, out) };
        }
    }) && written.is_ok()
    {}
    written?;
    if json {
        Line::ok().write(out)?;
    }
    Ok(Exit::Ok)
}

/// A folder that nobody else can look into, removed when it is dropped.
struct Private(PathBuf);

impl Private {
    fn new() -> io::Result<Private> {
        let start = clock::processor().as_nanos();
        let mut last = io::Error::other("no name is free");
        for n in 0..100 {
            let name = format!("cwmpd-replay-{}-{}", std::process::id(), start + n);
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Private(path)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks an archive into a folder that is not there yet.
///
/// # Errors
/// What is wrong with the archive or the folder; what was unpacked until then stays.
fn unpack(file: &Path, folder: &Path) -> Result<(), String> {
    let packed = File::open(file).map_err(|e| e.to_string())?;
    let limits = Limits { size: MAX_ARCHIVE, time: MAX_TIME };
    let bytes = Coding::Gzip.decompress(packed, limits).map_err(|e| format!("not a snapshot: {e}"))?;
    DirBuilder::new().mode(0o700).create(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut links = HashSet::new();
    for entry in tar::Reader::new(&bytes) {
        let entry = entry.map_err(|e| format!("not a snapshot: {e}"))?;
        put(folder, &entry, &mut links).map_err(|e| format!("{}: {e}", show::plain(&entry.path, false)))?;
    }
    Ok(())
}

/// Puts one entry in its place.
fn put(folder: &Path, entry: &tar::Entry<'_>, links: &mut HashSet<String>) -> io::Result<()> {
    let refused = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidData, text.to_owned()));
    let within = |at: usize| links.contains(entry.path.get(..at).unwrap_or_default());
    if entry.path.match_indices('/').any(|(at, _)| within(at)) {
        return refused("it lies behind a link");
    }
    let path = folder.join(&entry.path);
    let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    make(crate::sys::file::folder(&path))?;
    match entry.kind {
        tar::Kind::Folder => make(&path),
        tar::Kind::Link(target) => {
            if !is_inside(&entry.path, target) {
                return refused("it leads elsewhere");
            }
            links.insert(entry.path.clone());
            std::os::unix::fs::symlink(target, &path)
        }
        tar::Kind::File(bytes) => {
            // A name that is there already is no file of ours, or was told twice.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            let modified = u64::try_from(entry.modified).unwrap_or(0);
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))
        }
    }
}

/// Whether a link leads to somewhere below the top: upwards at its beginning only, and not too far.
fn is_inside(path: &str, target: &str) -> bool {
    let depth = path.matches('/').count();
    let mut names = target.split('/').filter(|name| !matches!(*name, "" | ".")).peekable();
    let mut ups = 0;
    while names.next_if(|name| *name == "..").is_some() {
        ups += 1;
    }
    !target.is_empty() && !target.starts_with('/') && ups <= depth && names.all(|name| name != "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    fn archive(f: &Folder, entries: &[(&str, tar::Kind<'_>)]) -> PathBuf {
        let mut bytes = Vec::new();
        for (path, kind) in entries {
            let entry = tar::Entry { path: (*path).to_owned(), kind: kind.clone(), modified: 5 };
            tar::write(&mut bytes, &entry).expect("it fits");
        }
        tar::finish(&mut bytes).expect("memory");
        f.bytes("archive", &Coding::Gzip.compress(&bytes).expect("memory"));
        f.root().join("archive")
    }

    #[test]
    fn an_archive_is_unpacked_below_its_folder_and_nowhere_else() {
        use tar::Kind::{File, Folder as Dir, Link};
        let f = Folder::new();
        let whole = archive(
            &f,
            &[("a/b", File(b"text")), ("proc/1", Dir), ("var", Link("tmp")), ("a/c", Link("../a/b"))],
        );
        let to = f.root().join("out");
        unpack(&whole, &to).expect("it is sound");
        assert_eq!(fs::read_to_string(to.join("a/c")).expect("a link"), "text");
        assert_eq!(host::modified(&to, "/a/b"), Some(5));
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(&to).expect("a folder").mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(to.join("a/b")).expect("a file").mode() & 0o777, 0o600);
        assert!(unpack(&whole, &to).is_err(), "a folder that is there");
        for (n, bad) in [
            vec![("l", Link("/etc"))],
            vec![("l", Link("../x"))],
            vec![("a/l", Link("../../x"))],
            vec![("l", Link("a/../../x"))],
            vec![("a/l", Link("../b/../../x"))],
            vec![("l", Link("a")), ("l/x", File(b"1"))],
            vec![("l", Link("a")), ("l/x/y", Dir)],
            vec![("a", File(b"1")), ("a", File(b"2"))],
            vec![("a", File(b"1")), ("a/b", File(b"2"))],
        ]
        .iter()
        .enumerate()
        {
            let to = f.root().join(format!("bad{n}"));
            assert!(unpack(&archive(&f, bad), &to).is_err(), "{bad:?}");
            assert!(!f.root().join("x").exists() && !to.join("../x").exists());
        }
        f.bytes("archive", b"\x1f\x8b nonsense");
        assert!(unpack(&f.root().join("archive"), &f.root().join("none")).is_err());
        assert!(!f.root().join("none").exists());
        f.bytes("archive", &Coding::Gzip.compress(&vec![0; MAX_ARCHIVE + 1]).expect("memory"));
        let told = unpack(&f.root().join("archive"), &f.root().join("none")).expect_err("a bomb");
        assert!(told.contains("not a snapshot"), "{told}");
    }
}
