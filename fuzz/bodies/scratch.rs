//! A folder for a body that writes files.

use std::path::PathBuf;

/// It goes with this value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// An empty one for the body of this name.
    pub fn new(name: &str) -> Scratch {
        // In memory where there is such a place: every start of a journal waits for the disk.
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
        let dir = base.join(format!("cwmpd-fuzz-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
