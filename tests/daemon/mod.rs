//! The shipped daemon as a child process in a temporary folder: started, asked, killed, started again.
//! Shared by the tests and by the quickstart example.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; never a measure of speed.
pub const DEADLINE: Duration = Duration::from_secs(20);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder that goes away with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new empty folder.
    pub fn new(name: &str) -> Folder {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cwmpd-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An agent: its folder, its configuration, and its process while it runs.
pub struct Daemon {
    binary: PathBuf,
    /// state, run, log and configuration lie below it.
    pub folder: Folder,
    child: Option<Child>,
}

impl Daemon {
    /// Writes a configuration. `extra` is TOML that may add to every section: sections are merged by
    /// hand here, so give `[acs]` keys in `acs` and whole other sections in `rest`. The variable
    /// `CWMPD_BINARY` puts another program in place of `binary`: one for another processor, with its emulator
    /// in front (`.ci/cross test`).
    pub fn new(binary: impl AsRef<Path>, name: &str, acs: &str, rest: &str) -> Daemon {
        let binary = std::env::var_os("CWMPD_BINARY").map_or(binary.as_ref().to_owned(), PathBuf::from);
        let daemon = Daemon { binary, folder: Folder::new(name), child: None };
        daemon.configure(acs, rest);
        daemon
    }

    /// Writes the configuration anew.
    pub fn configure(&self, acs: &str, rest: &str) {
        let dir = self.folder.0.display();
        let commands =
            if rest.contains("[commands]") { "" } else { "[commands]\nreboot = []\nfactory_reset = []\n" };
        let text = format!(
            "state_dir = \"{dir}/state\"\nrun_dir = \"{dir}/run\"\noverlay_dir = \"{dir}/overlays\"\n\
             [log]\nlevel = \"debug\"\n[acs]\n{acs}\n{rest}\n{commands}"
        );
        fs::write(self.config(), text).expect("a configuration file");
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.0.join("cwmpd.toml")
    }

    /// Starts the daemon; what it logs is appended to `log` in its folder.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log =
            File::options().create(true).append(true).open(self.folder.0.join("log")).expect("a log file");
        let child = Command::new(&self.binary)
            .args(["run", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", self.binary.display()));
        self.child = Some(child);
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = File::open(self.folder.0.join("log")) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// SIGKILL: a power cut for the process. `run` stays, so the next start is no boot.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and how long it took to end; panics when it does not end.
    pub fn stop(&mut self) -> Duration {
        let mut child = self.child.take().expect("it runs");
        let since = Instant::now();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                assert!(status.success(), "ended with {status}; log:\n{}", self.log());
                return since.elapsed();
            }
            assert!(since.elapsed() < DEADLINE, "still there after {DEADLINE:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGHUP.
    #[allow(dead_code)] // each program that has this module uses a part of it
    pub fn reload(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("a signal");
    }

    /// Its process id.
    #[allow(dead_code)]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Empties `run_dir`, as a reboot does with tmpfs.
    pub fn reboot(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.folder.0.join("run"));
    }

    /// Runs a word of the command line against it.
    pub fn cli(&self, words: &[&str]) -> Output {
        Command::new(&self.binary)
            .args(words)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .output()
            .expect("the command line runs")
    }

    /// Runs a word of the command line that must succeed; its output.
    pub fn ask(&self, words: &[&str]) -> String {
        let output = self.cli(words);
        assert!(
            output.status.success(),
            "{words:?}: {}\n{}\nlog:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the control socket answers.
    pub fn wait_ready(&self) {
        self.wait_for("the control socket", || self.cli(&["status"]).status.success());
    }

    /// Waits until something is so.
    pub fn wait_for(&self, what: &str, mut so: impl FnMut() -> bool) {
        let since = Instant::now();
        while !so() {
            assert!(since.elapsed() < DEADLINE, "no {what} within {DEADLINE:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
    }
}
