//! Files and folders that ring when they change: inotify.
//!
//! A file is watched itself, for what is written into it, and in its folder, by its name, since most
//! programs write a new file and rename it. Where it is a link, so is what it leads to. Where the folder
//! is not there, the nearest one above that is tells when it is made. Whoever hears a ring watches anew:
//! what is behind the names may be something else by then.
//!
//! procfs and sysfs do not tell of changes; a file on another machine (NFS) only of this one's.

use super::host;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

/// The most files and folders of one watch.
pub const MAX_FILES: usize = 128;
/// The most links followed from one name.
const MAX_LINKS: usize = 8;
/// The most buffers of events read at once: a flood is not read to its end.
const MAX_READ: usize = 64;

/// What is heard of a folder: names that come, go, or are given to another file.
fn names() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

/// What is heard of a file.
fn contents() -> AddWatchFlags {
    AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF
}

/// What events of a descriptor are about us.
enum Interest {
    /// Those of this name.
    Name(OsString),
    /// All of them.
    All,
}

/// Watched files and folders.
pub struct Watch {
    inotify: Inotify,
    wanted: Vec<(WatchDescriptor, Interest)>,
}

/// What was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Something that nobody asked for: another name in the same folder.
    Chatter,
    /// What is watched changed.
    Ring,
}

impl Watch {
    /// Watches files, and folders (names that end with a slash) with all names in them. Paths lie below
    /// `root`.
    ///
    /// # Errors
    /// The system gives no more watches, or a folder may not be read; `InvalidInput` for more than
    /// [`MAX_FILES`].
    pub fn new<'a>(root: &Path, paths: impl IntoIterator<Item = &'a str>) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch = Watch { inotify, wanted: Vec::new() };
        for (at, path) in paths.into_iter().enumerate() {
            if at >= MAX_FILES {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many files"));
            }
            match path.strip_suffix('/') {
                Some(folder) => watch.folder(root, folder)?,
                None => watch.file(root, path)?,
            }
        }
        Ok(watch)
    }

    fn add(&mut self, real: &Path, mask: AddWatchFlags, interest: Interest) -> io::Result<bool> {
        match self.inotify.add_watch(real, mask) {
            Ok(descriptor) => {
                self.wanted.push((descriptor, interest));
                Ok(true)
            }
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// All names of a folder.
    fn folder(&mut self, root: &Path, path: &str) -> io::Result<()> {
        if !self.add(&host::below(root, path), names(), Interest::All)? {
            self.name(root, Path::new(path))?;
        }
        Ok(())
    }

    /// The name in its folder; where that is not there, the next one above.
    fn name(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        let mut path = path;
        while let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            let real = host::below(root, &folder.to_string_lossy());
            if self.add(&real, names(), Interest::Name(name.to_owned()))? {
                return Ok(());
            }
            path = folder;
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, path: &str) -> io::Result<()> {
        let mut path = plain(Path::new(path));
        for _ in 0..=MAX_LINKS {
            self.name(root, &path)?;
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Ok(());
            };
            let real = host::below(root, &folder.to_string_lossy()).join(name);
            match std::fs::read_link(&real) {
                // An absolute link takes the place of the folder; it too lies below the root.
                Ok(target) => path = plain(&folder.join(target)),
                Err(_) => {
                    self.add(&real, contents(), Interest::All)?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads what is there.
    pub fn heard(&self) -> Heard {
        let mut heard = Heard::Nothing;
        for _ in 0..MAX_READ {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return heard,
                // Nobody knows what was lost.
                Err(_) => return Heard::Ring,
            };
            for event in events {
                let lost = AddWatchFlags::IN_Q_OVERFLOW | AddWatchFlags::IN_IGNORED;
                let is_ours = |(descriptor, interest): &(WatchDescriptor, Interest)| {
                    *descriptor == event.wd
                        && match (interest, &event.name) {
                            // The folder itself is gone or elsewhere.
                            (_, None) | (Interest::All, _) => true,
                            (Interest::Name(wanted), Some(name)) => wanted == name,
                        }
                };
                if event.mask.intersects(lost) || self.wanted.iter().any(is_ours) {
                    heard = Heard::Ring;
                } else if heard == Heard::Nothing {
                    heard = Heard::Chatter;
                }
            }
        }
        heard
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// A path from the root, without dots in it.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;
    use std::fs;

    /// What `change` makes heard of `path`.
    fn hears(f: &Folder, path: &str, change: impl FnOnce(&Path)) -> Heard {
        let watch = Watch::new(f.root(), [path]).unwrap();
        assert_eq!(watch.heard(), Heard::Nothing, "{path}");
        change(f.root());
        watch.heard()
    }

    fn file() -> Folder {
        let f = Folder::new();
        f.file("etc/name", "a\n");
        f.file("etc/other", "a\n");
        f
    }

    /// Every way in which the text of a file becomes another one.
    #[test]
    fn a_file_rings_however_it_is_changed() {
        let rings: [fn(&Path); 6] = [
            |root| fs::write(root.join("etc/name"), "b\n").unwrap(),
            |root| {
                fs::write(root.join("etc/.new"), "b\n").unwrap();
                fs::rename(root.join("etc/.new"), root.join("etc/name")).unwrap();
            },
            |root| fs::remove_file(root.join("etc/name")).unwrap(),
            |root| fs::rename(root.join("etc/name"), root.join("etc/away")).unwrap(),
            |root| fs::rename(root.join("etc"), root.join("elsewhere")).unwrap(),
            |root| {
                use std::io::Write as _;
                let mut file = fs::OpenOptions::new().append(true).open(root.join("etc/name")).unwrap();
                file.write_all(b"c").unwrap();
                // Still open: what was written can be read already.
                std::mem::forget(file);
            },
        ];
        for (at, change) in rings.into_iter().enumerate() {
            // The folder's own name is not watched, so that the root tells of it only by the file's own.
            let heard = hears(&file(), "/etc/name", change);
            assert_eq!(heard, Heard::Ring, "{at}");
        }
        let quiet: [fn(&Path); 3] = [
            |root| fs::write(root.join("etc/other"), "b\n").unwrap(),
            |root| drop(fs::read(root.join("etc/name")).unwrap()),
            |root| fs::write(root.join("etc/name2"), "b\n").unwrap(),
        ];
        for (at, change) in quiet.into_iter().enumerate() {
            assert_ne!(hears(&file(), "/etc/name", change), Heard::Ring, "{at}");
        }
        assert_eq!(
            hears(&file(), "/etc/name", |root| fs::write(root.join("etc/new"), "").unwrap()),
            Heard::Chatter
        );
    }

    #[test]
    fn what_is_not_there_rings_when_it_comes() {
        for (path, made) in [("/etc/none", "etc/none"), ("/new/deep/file", "new"), ("/new/list/", "new")] {
            let heard = hears(&file(), path, |root| match made.contains('/') {
                true => fs::write(root.join(made), "").unwrap(),
                false => fs::create_dir(root.join(made)).unwrap(),
            });
            assert_eq!(heard, Heard::Ring, "{path}");
        }
    }

    /// Links are followed below the root, and each of them rings.
    #[test]
    fn links() {
        let linked = || {
            let f = file();
            f.file("tmp/real", "1\n");
            f.link("tmp/middle", "real");
            f.link("etc/link", "/tmp/middle");
            f.link("etc/round", "round");
            f
        };
        let rings: [fn(&Path); 3] = [
            |root| fs::write(root.join("tmp/real"), "2\n").unwrap(),
            |root| fs::remove_file(root.join("tmp/middle")).unwrap(),
            |root| fs::remove_file(root.join("etc/link")).unwrap(),
        ];
        for change in rings {
            assert_eq!(hears(&linked(), "/etc/link", change), Heard::Ring);
        }
        assert_eq!(hears(&linked(), "/etc/round", |_| {}), Heard::Nothing);
        assert_eq!(
            hears(&linked(), "/etc/../tmp/./real", |r| fs::write(r.join("tmp/real"), "3").unwrap()),
            Heard::Ring
        );
    }

    #[test]
    fn a_folder_rings_for_its_names() {
        let rings: [fn(&Path); 2] = [
            |root| fs::write(root.join("etc/new"), "").unwrap(),
            |root| fs::remove_file(root.join("etc/other")).unwrap(),
        ];
        for change in rings {
            assert_eq!(hears(&file(), "/etc/", change), Heard::Ring);
        }
        assert_eq!(hears(&file(), "/etc/", |r| fs::write(r.join("etc/name"), "b").unwrap()), Heard::Nothing);
    }

    /// A folder in which a file is watched and that is watched itself.
    #[test]
    fn two_wishes_about_one_folder() {
        let f = file();
        let watch = Watch::new(f.root(), ["/etc/name", "/etc/", "/etc/other"]).unwrap();
        fs::write(f.root().join("etc/new"), "").unwrap();
        assert_eq!(watch.heard(), Heard::Ring);
        fs::write(f.root().join("etc/name"), "b").unwrap();
        assert_eq!(watch.heard(), Heard::Ring);
    }

    #[test]
    fn no_more_files_than_a_bound() {
        let f = file();
        let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("/etc/{n}")).collect();
        assert!(Watch::new(f.root(), names.iter().map(String::as_str)).is_err());
        assert!(Watch::new(f.root(), names.iter().skip(1).map(String::as_str)).is_ok());
    }
}
