//! A file that comes: `<stem>.part` until it is whole, then its own name. Dropped before, nothing is left.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::fault::cut;
use crate::model::fault::{Code, Fault};
use crate::sys::file::{folder, free_space, own_folder, sync_folder};

/// See the module. What goes wrong here is this device's own: 9010, and the text names the file.
pub struct Part {
    target: PathBuf,
    path: PathBuf,
    /// `None` once it has its own name.
    file: Option<File>,
}

impl Part {
    /// Makes it, and its folder where there is none; not where others could replace it once it was verified. A
    /// rest of an earlier one is removed, never followed or written to.
    pub fn create(target: &Path) -> Result<Part, Fault> {
        let dir = folder(target);
        own_folder(dir).map_err(|e| failed(dir, &e))?;
        let path = target.with_extension("part");
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(&path, &e)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(&path).map_err(|e| failed(&path, &e))?;
        Ok(Part { target: target.to_path_buf(), path, file: Some(file) })
    }

    fn file(&mut self) -> Result<&mut File, Fault> {
        let gone = || failed(&self.path, &io::Error::other("already in its place"));
        self.file.as_mut().ok_or_else(gone)
    }

    /// Refuses what the disk has no room for now. A file system that does not tell is believed to have it.
    pub fn has_room(&mut self, wanted: u64) -> Result<(), Fault> {
        let path = self.path.clone();
        let Some(free) = free_space(self.file()?).filter(|free| wanted > *free) else { return Ok(()) };
        let text = format!("{wanted} bytes do not fit on the disk, of which {free} are free");
        Err(failed(folder(&path), &text))
    }

    /// The next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file()?.write_all(bytes).map_err(|e| failed(&self.path, &e))
    }

    /// Empties it.
    pub fn anew(&mut self) -> Result<(), Fault> {
        let file = self.file()?;
        file.set_len(0).and_then(|()| file.rewind()).map_err(|e| failed(&self.path, &e))
    }

    /// It is whole: durable, and in its place.
    pub fn finish(mut self) -> Result<(), Fault> {
        self.file()?.sync_all().map_err(|e| failed(&self.path, &e))?;
        std::fs::rename(&self.path, &self.target).map_err(|e| failed(&self.target, &e))?;
        self.file = None;
        sync_folder(folder(&self.target)).map_err(|e| failed(&self.target, &e))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path); // as far as it goes
        }
    }
}

fn failed(path: &Path, why: &dyn Display) -> Fault {
    Fault::new(Code::TRANSFER_FAILURE, cut(format!("{}: {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("cwmpd-part-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    // Proves: X-25
    #[test]
    fn a_file_is_its_owners_and_no_link_is_followed() {
        let dir = scratch("create");
        let target = dir.join("deep/7.file");
        let mut part = Part::create(&target).unwrap();
        part.write(b"half").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&dir.join("deep")), mode(&dir.join("deep/7.part"))), (0o700, 0o600));
        drop(part);
        assert_eq!(std::fs::read_dir(dir.join("deep")).unwrap().count(), 0, "nothing is left");

        let precious = dir.join("precious");
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, dir.join("deep/7.part")).unwrap();
        let mut part = Part::create(&target).unwrap();
        part.write(b"wrong").unwrap();
        part.anew().unwrap();
        part.write(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
        assert_eq!((std::fs::read(&target).unwrap(), mode(&target)), (b"new".to_vec(), 0o600));
        assert_eq!(std::fs::read_dir(dir.join("deep")).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    // Proves: X-24
    #[test]
    fn what_has_no_room_or_no_folder_is_9010_and_names_it() {
        let dir = scratch("room");
        let mut part = Part::create(&dir.join("1.file")).unwrap();
        part.has_room(1).unwrap();
        let fault = part.has_room(u64::MAX).unwrap_err();
        assert_eq!(fault.code, Code::TRANSFER_FAILURE);
        assert!(fault.text.contains("do not fit") && fault.text.contains("cwmpd-part-room"), "{fault}");
        std::fs::write(dir.join("plain"), "").unwrap();
        let fault = Part::create(&dir.join("plain/1.file")).err().unwrap();
        assert!(fault.code == Code::TRANSFER_FAILURE && fault.text.contains("plain"), "{fault}");
        // whoever can write there could replace what was verified
        let shared = dir.join("shared");
        std::fs::create_dir(&shared).unwrap();
        for (mode, free) in [(0o1777, true), (0o757, false), (0o755, true)] {
            std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(mode)).unwrap();
            let part = Part::create(&shared.join("1.file"));
            assert_eq!(part.is_ok(), free, "{mode:o}");
            if let Err(fault) = part {
                assert!(fault.code == Code::TRANSFER_FAILURE && fault.text.contains("others"), "{fault}");
            }
        }
        // what stands in the way and is no file is left alone
        std::fs::create_dir(dir.join("2.part")).unwrap();
        let fault = Part::create(&dir.join("2.file")).err().unwrap();
        assert!(fault.text.contains("2.part"), "{fault}");
        drop(part);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
