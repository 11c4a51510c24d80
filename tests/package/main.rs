//! OpenWrt's package: what `openwrt/pack.sh` makes, and the scripts in it, run under a shell with OpenWrt's
//! functions recorded.

mod dhcp;
mod install;
mod manifest;
mod pack;
mod scripts;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's folder `openwrt`.
pub fn openwrt() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openwrt")
}

/// A folder of a test, gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new one, empty.
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cwmpd-package-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// What a file says; nothing when there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a program to its end; its output.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Runs a program that has to do well; what it printed.
#[track_caller]
pub fn good(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `openwrt/pack.sh` with a file of these bytes as the agent; the package.
#[track_caller]
pub fn pack(folder: &Folder, binary: &str, umask: &str) -> PathBuf {
    let binary = folder.write("built", binary);
    let script = format!("umask {umask}; exec \"$0\" \"$1\" mipsel_24kc");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(openwrt().join("pack.sh")).arg(binary);
    command.env("OUT", folder.path("out")).env_remove("SOURCE_DATE_EPOCH");
    PathBuf::from(good(&mut command).trim_end())
}

/// Unpacks a `.tar.gz`.
#[track_caller]
pub fn unpack(archive: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    good(Command::new("tar").arg("-xpzf").arg(archive).arg("-C").arg(into));
}
