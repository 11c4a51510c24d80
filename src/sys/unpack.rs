//! An archive made a folder. Nothing of it is believed: no path and no link leads out of the folder, and an entry
//! neither replaces another one nor lies behind a link.

use super::tar::{Entry, Kind, Reader};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The most folders that its files may lie in.
pub const MAX_FOLDERS: usize = 32 << 10;

/// Makes a folder of an archive's bytes. It must not be there yet, and is not there afterwards when this fails.
///
/// # Errors
/// What is wrong with the archive or the folder, naming the entry.
pub fn unpack(bytes: &[u8], folder: &Path) -> Result<(), String> {
    within(bytes, folder, MAX_FOLDERS)
}

fn within(bytes: &[u8], folder: &Path, most: usize) -> Result<(), String> {
    let make = |folder: &Path| DirBuilder::new().mode(0o700).create(folder);
    make(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut unpacked = Unpacked { folder, most, links: HashSet::new(), folders: HashSet::new() };
    let done = Reader::new(bytes).try_for_each(|entry| {
        let entry = entry?;
        unpacked.put(&entry).map_err(|e| format!("{:?}: {e}", entry.path))
    });
    if done.is_err() {
        let _ = fs::remove_dir_all(folder);
    }
    done
}

/// What was put below a folder so far.
struct Unpacked<'a> {
    folder: &'a Path,
    /// As many folders may be made.
    most: usize,
    links: HashSet<String>,
    folders: HashSet<String>,
}

impl Unpacked<'_> {
    /// Puts one entry in its place.
    fn put(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let refused = |text: &str| Err(io::Error::new(ErrorKind::InvalidData, text.to_owned()));
        let is_folder = entry.kind == Kind::Folder;
        let ends = entry.path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain(is_folder.then_some(entry.path.len())) {
            let folder = entry.path.get(..end).unwrap_or_default();
            if self.links.contains(folder) {
                return refused("it lies behind a link");
            }
            if self.folders.contains(folder) {
                continue;
            }
            if self.folders.len() >= self.most {
                return refused("too many folders");
            }
            DirBuilder::new().mode(0o700).create(self.folder.join(folder))?;
            self.folders.insert(folder.to_owned());
        }
        let path = self.folder.join(&entry.path);
        match entry.kind {
            Kind::Folder => Ok(()),
            Kind::Link(target) => {
                if !is_inside(&entry.path, target) {
                    return refused("it leads elsewhere");
                }
                self.links.insert(entry.path.clone());
                std::os::unix::fs::symlink(target, &path)
            }
            Kind::File(bytes) => {
                // A name that is there already is no file of ours, or was told twice.
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                file.write_all(bytes)?;
                let modified = u64::try_from(entry.modified).unwrap_or(0);
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))
            }
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
    use crate::sys::{host, tar};
    use tar::Kind::{File, Folder as Dir, Link};

    fn archive(entries: &[(&str, Kind<'_>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (path, kind) in entries {
            let entry = Entry { path: (*path).to_owned(), kind: kind.clone(), modified: 5 };
            tar::write(&mut bytes, &entry).expect("it fits");
        }
        tar::finish(&mut bytes).expect("memory");
        bytes
    }

    #[test]
    fn an_archive_becomes_a_folder_that_only_its_owner_reads() {
        use std::os::unix::fs::MetadataExt;
        let f = Folder::new();
        let to = f.root().join("out");
        let entries = [
            ("a/b", File(b"text")),
            ("proc/1", Dir),
            ("var", Link("tmp")),
            ("a/c", Link("../a/b")),
            ("a", Dir),
        ];
        unpack(&archive(&entries), &to).expect("it is sound");
        assert_eq!(fs::read_to_string(to.join("a/c")).expect("a link"), "text");
        assert_eq!(host::modified(&to, "/a/b"), Some(5));
        assert_eq!(fs::metadata(&to).expect("a folder").mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(to.join("a/b")).expect("a file").mode() & 0o777, 0o600);
        assert!(unpack(&archive(&entries), &to).is_err(), "a folder that is there");
        assert!(to.join("a/b").exists(), "which stays");
    }

    #[test]
    fn nothing_leads_elsewhere() {
        let f = Folder::new();
        for bad in [
            vec![("l", Link("/etc"))],
            vec![("l", Link("../x"))],
            vec![("a/l", Link("../../x"))],
            vec![("l", Link("a/../../x"))],
            vec![("a/l", Link("../b/../../x"))],
            vec![("l", Link("a")), ("l/x", File(b"1"))],
            vec![("l", Link("a")), ("l/x/y", Dir)],
            vec![("l", Link("a")), ("l", Dir)],
            vec![("l", Link("a")), ("l", File(b"1"))],
            vec![("a", File(b"1")), ("a", File(b"2"))],
            vec![("a", File(b"1")), ("a/b", File(b"2"))],
            vec![("a/b", File(b"1")), ("a", Link("x"))],
        ] {
            let to = f.root().join("bad");
            let told = unpack(&archive(&bad), &to).expect_err("it leads elsewhere");
            let last = format!("{:?}: ", bad.last().expect("an entry").0);
            assert!(told.starts_with(&last), "{told}");
            assert!(!to.exists() && !f.root().join("x").exists(), "{bad:?}");
        }
    }

    #[test]
    fn folders_are_counted() {
        let f = Folder::new();
        let to = f.root().join("many");
        let bytes = archive(&[("a/b/c", File(b"")), ("a/b/d", File(b"")), ("e", Dir)]);
        assert_eq!(within(&bytes, &to, 2).expect_err("too many"), "\"e\": too many folders");
        assert!(!to.exists());
        within(&bytes, &to, 3).expect("as many as may be");
    }
}
