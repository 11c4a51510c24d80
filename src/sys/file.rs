//! Files replaced whole: a reader, and a start after a power cut, finds the old text or the new one.

use nix::sys::statvfs::fstatvfs;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that is written beside the one it will replace; forgotten when dropped.
pub struct Replacement {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once it stands in its place.
    out: Option<BufWriter<File>>,
    /// Nothing was written since it was made durable.
    synced: bool,
}

impl Replacement {
    /// Begins a replacement of `path`, with these permission bits whatever the umask says. A rest of
    /// an earlier one that a power cut left is removed. A symbolic link at `path` itself is replaced.
    ///
    /// # Errors
    /// The folder is not there or cannot be written.
    pub fn create(path: &Path, mode: u32) -> io::Result<Replacement> {
        let temporary = temporary(path, "new")?;
        match std::fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        Replacement::begin(path, temporary, mode)
    }

    /// As [`Replacement::create`], for a file that others replace as well: the new one's name is nobody
    /// else's. What was left by a process that is no more is removed.
    ///
    /// # Errors
    /// The folder is not there or cannot be written.
    pub fn create_unique(path: &Path, mode: u32) -> io::Result<Replacement> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let all = temporary(path, "cwmpd-")?;
        let begins = all.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in std::fs::read_dir(folder(path))?.flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&begins)?.split('.').next());
            if rest.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let unique = format!("cwmpd-{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Replacement::begin(path, temporary(path, &unique)?, mode)
    }

    fn begin(path: &Path, temporary: PathBuf, mode: u32) -> io::Result<Replacement> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&temporary)?;
        let out = Some(BufWriter::new(file));
        let made = Replacement { target: path.to_path_buf(), temporary, out, synced: false };
        made.file()?.set_permissions(Permissions::from_mode(mode))?;
        Ok(made)
    }

    fn file(&self) -> io::Result<&File> {
        self.out.as_ref().map(BufWriter::get_ref).ok_or_else(|| io::Error::other("already in its place"))
    }

    /// Gives the file to an owner and a group.
    ///
    /// # Errors
    /// As the system says: only root may.
    pub fn give(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::fchown(self.file()?, Some(uid), Some(gid))
    }

    /// The file by another descriptor, for a lock that is to be there before others see it.
    ///
    /// # Errors
    /// As the system says.
    pub fn reopened(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.temporary)
    }

    /// Makes what was written durable, but does not put it in its place yet.
    ///
    /// # Errors
    /// Not everything is on disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if !self.synced {
            self.file()?.sync_all()?;
        }
        self.synced = true;
        Ok(())
    }

    /// Makes it durable and puts it in its place; returns the file, open for reading and writing.
    ///
    /// # Errors
    /// The old file stands, unless only the last step failed, the fsync of the folder: then the new
    /// one may or may not survive a power cut.
    pub fn commit(self) -> io::Result<File> {
        let target = self.target.clone();
        let file = self.put()?;
        sync_folder(folder(&target))?;
        Ok(file)
    }

    /// As [`Replacement::commit`] without the fsync of the folder: that is the caller's, and until then a power
    /// cut may bring back the old file, whole.
    ///
    /// # Errors
    /// The old file stands.
    pub fn put(mut self) -> io::Result<File> {
        self.sync()?;
        std::fs::rename(&self.temporary, &self.target)?;
        let out = self.out.take().ok_or_else(|| io::Error::other("already in its place"))?;
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.synced = false;
        match &mut self.out {
            Some(out) => out.write(bytes),
            None => Err(io::Error::other("already in its place")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // What is still in the buffer must not be written to a file that is being removed.
            let _ = out.into_parts();
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Replaces the content of a file, whole and durably. Symbolic links are followed; owner and
/// permission bits stay as they are, a new file gets `mode`.
///
/// # Errors
/// The old content stands (see [`Replacement::commit`] for the one exception).
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let path = match std::fs::canonicalize(path) {
        Ok(path) => path,
        Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(e) => return Err(e),
    };
    let present = std::fs::metadata(&path).ok();
    let mode = present.as_ref().map_or(mode, |m| m.mode() & 0o7777);
    let mut new = Replacement::create(&path, mode)?;
    if let Some(m) = present {
        // Only root may give a file away; for anybody else it was their own already.
        let _ = new.give(m.uid(), m.gid());
    }
    new.write_all(content)?;
    new.commit().map(drop)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The names may not survive a power cut. A file system that cannot fsync folders is no error.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        Err(e) if e.raw_os_error() == Some(nix::errno::Errno::EINVAL as i32) => Ok(()),
        done => done,
    }
}

/// Makes a folder, mode 0700, unless it is there; in one that is there nobody but its owner, who is this
/// user or root, can put something in the place of a file (where others can write it is sticky, as `/tmp`).
///
/// # Errors
/// It cannot be made, or others can.
pub fn own_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let found = std::fs::metadata(dir)?;
    let owners = [0, nix::unistd::geteuid().as_raw()];
    match owners.contains(&found.uid()) && found.mode() & 0o1002 != 0o002 {
        true => Ok(()),
        false => Err(io::Error::other("others can replace files in this folder")),
    }
}

/// The folder a file lies in; `.` for a bare name.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// `.NAME.` and an end, beside the file: hidden, so that programs which read a whole folder skip it.
fn temporary(path: &Path, end: &str) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(end);
    Ok(path.with_file_name(hidden))
}

/// Bytes free for the agent on the file system of an open file or folder; `None` for one that does not tell.
pub fn free_space(of: &File) -> Option<u64> {
    let disk = fstatvfs(of).ok().filter(|disk| disk.blocks() > 0)?;
    #[allow(clippy::unnecessary_cast)] // the types differ from one system to the next
    Some((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("cwmpd-file-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn replaces_whole_and_keeps_mode_and_links() {
        let dir = scratch("replace");
        let file = dir.join("resolv.conf");
        replace(&file, b"one", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        std::fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        let link = dir.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o664);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "no rests");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_replacement_that_is_dropped_leaves_the_old_file_and_no_rest() {
        let dir = scratch("drop");
        let file = dir.join("f");
        replace(&file, b"old", 0o600).unwrap();
        let mut new = Replacement::create(&file, 0o600).unwrap();
        new.write_all(b"new").unwrap();
        drop(new);
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
