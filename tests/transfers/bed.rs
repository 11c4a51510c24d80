//! An agent, its ACS, a file server, and hooks that write down what they are given.

use crate::SOON;
use crate::acs::{Acs, Complete, Options, Session, Transfer};
use crate::daemon::Daemon;
use crate::files::Files;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// `3 Vendor Configuration File`: applied by a hook, without a boot.
pub const CONFIG: &str = "3 Vendor Configuration File";
/// `1 Firmware Upgrade Image`
pub const FIRMWARE: &str = "1 Firmware Upgrade Image";
/// `1 Vendor Configuration File`, of Upload.
pub const SAVED: &str = "1 Vendor Configuration File";
/// `2 Vendor Log File`, of Upload.
pub const LOG: &str = "2 Vendor Log File";
/// What most tests fetch.
pub const CONTENT: &[u8] = b"the content of a file of some length, and no more than that\n";

/// The three, and what belongs to them.
pub struct Bed {
    pub acs: Acs,
    pub files: Files,
    pub daemon: Daemon,
    /// Where connection requests are taken; the same after a restart, or that would be a change to tell.
    port: u16,
}

/// A port that this process has not used and that nobody listens at, below those that the kernel gives away.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() as u16 % 50) * 400 + number % 400;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// How the agent is configured beyond what every test needs.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Keys of `[acs]`.
    pub acs: String,
    /// Keys of `[transfer]`.
    pub transfer: String,
    /// Keys of `[commands]` that take the place of those of the bed, `{dir}` for the bed's folder.
    pub commands: String,
}

impl Bed {
    /// An agent that has not been started yet.
    pub fn new(name: &str, setup: &Setup) -> Bed {
        Bed::with(name, setup, Acs::start(Options::default()), Files::start())
    }

    /// The same with servers of the test's own.
    pub fn with(name: &str, setup: &Setup, acs: Acs, files: Files) -> Bed {
        let methods =
            ["Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload"];
        acs.change(|options| options.methods = methods.map(str::to_string).to_vec());
        let daemon = Daemon::new(env!("CARGO_BIN_EXE_cwmpd"), name, "", "");
        let bed = Bed { acs, files, daemon, port: free_port() };
        bed.script("apply", APPLY);
        bed.script("save", SAVE);
        bed.script("firmware", FLASH);
        bed.configure(setup, "1.0.0");
        bed
    }

    /// One that runs, for the common case.
    pub fn start(name: &str) -> Bed {
        Bed::started(name, &Setup::default())
    }

    /// One that runs.
    pub fn started(name: &str, setup: &Setup) -> Bed {
        let mut bed = Bed::new(name, setup);
        bed.daemon.start();
        bed
    }

    /// Writes the configuration anew.
    pub fn configure(&self, setup: &Setup, version: &str) {
        let url = self.acs.url();
        let acs = format!(
            "url = \"{url}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_interval_multiplier = 1000\n\
             retry_minimum_wait_interval = 1\nperiodic_inform_enable = false\n{}",
            setup.acs
        );
        let (dir, port) = (self.dir().display().to_string(), self.port);
        let mut commands = String::from("[commands]\n");
        for line in COMMANDS.lines() {
            let key = line.split(' ').next().unwrap_or_default();
            if !setup.commands.lines().any(|own| own.starts_with(&format!("{key} "))) {
                commands = commands + line + "\n";
            }
        }
        let commands = (commands + &setup.commands + "\n").replace("{dir}", &dir);
        let rest = format!(
            "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\nproduct_class = \"Box\"\n\
             serial_number = \"S1\"\nsoftware_version = \"{version}\"\nhardware_version = \"h1\"\n\
             [connection_request]\nlisten = \"127.0.0.1:{port}\"\nusername = \"caller\"\n\
             password = \"call-secret\"\nburst = 100\n[transfer]\n{}\n{commands}",
            setup.transfer.replace("{dir}", &dir)
        );
        self.daemon.configure(&acs, &rest);
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        &self.daemon.folder.0
    }

    /// Writes a script that `["sh", "{dir}/name"]` runs; `$dir` in it is the bed's folder.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, format!("dir='{}'\n{text}", self.dir().display())).expect("a script");
        path
    }

    /// What the hooks wrote down, a line each.
    pub fn record(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir().join("record")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What a hook was given last.
    pub fn applied(&self) -> Option<Vec<u8>> {
        fs::read(self.dir().join("applied")).ok()
    }

    /// A session that a person asks for.
    #[track_caller]
    pub fn kicked(&self) -> Session {
        self.daemon.ask(&["inform"]);
        self.acs.next_session(SOON)
    }

    /// Asks for a Download in the next session, which must be taken.
    #[track_caller]
    pub fn download(&self, transfer: &Transfer) {
        let mut session = self.acs.next_session(SOON);
        session.download(transfer).expect("it is promised");
        session.end();
    }

    /// Asks for an Upload in the next session, which must be taken.
    #[track_caller]
    pub fn upload(&self, transfer: &Transfer) {
        let mut session = self.acs.next_session(SOON);
        session.upload(transfer).expect("it is promised");
        session.end();
    }

    /// What the next session tells of transfers; it must tell something.
    #[track_caller]
    pub fn told(&self) -> Vec<Complete> {
        let mut session = self.acs.next_session(SOON);
        let completes = session.completes();
        assert!(!completes.is_empty(), "{:?} tell nothing", session.inform.codes());
        session.end();
        completes
    }

    /// The one transfer that the next session tells.
    #[track_caller]
    pub fn told_one(&self) -> Complete {
        let mut all = self.told();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// The transfers, as `cwmpd transfers --json` says.
    #[track_caller]
    pub fn transfers(&self) -> Vec<serde_json::Value> {
        let said = self.daemon.ask(&["transfers", "--json"]);
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What `cwmpd status --json` says.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let said = self.daemon.ask(&["status", "--json"]);
        let line = said.lines().next().expect("a line");
        let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        value["status"].take()
    }

    /// Waits until no transfer is left, and nothing waits to be told.
    #[track_caller]
    pub fn quiet(&self) {
        self.daemon.wait_for("end of all transfers", || {
            let status = self.status();
            let none = |name: &str| status[name].as_array().is_some_and(Vec::is_empty);
            let session = status["state"].as_str().is_some_and(|s| s.starts_with("in a session"));
            none("transfers") && none("pending_events") && !session
        });
    }

    /// The files that lie where fetched ones do.
    pub fn fetched_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir().join("run/transfers"));
        entries.map(|all| all.flatten().map(|e| e.path()).collect()).unwrap_or_default()
    }
}

/// The bed's commands.
const COMMANDS: &str = "\
reboot = []
factory_reset = []
config_apply = [\"sh\", \"{dir}/apply\", \"{file}\"]
web_apply = [\"sh\", \"{dir}/apply\", \"{file}\"]
file_apply = [\"sh\", \"{dir}/apply\", \"{file}\"]
config_save = [\"sh\", \"{dir}/save\"]
log_read = [\"sh\", \"{dir}/save\"]
firmware_apply = [\"sh\", \"{dir}/firmware\", \"{file}\"]
";

/// Copies its file; `begin` and `end` are written down.
const APPLY: &str = "\
echo begin >> $dir/record
cp \"$1\" $dir/applied.new && mv $dir/applied.new $dir/applied || exit 1
echo end >> $dir/record
";

/// What is uploaded.
const SAVE: &str = "\
echo saved >> $dir/record
echo 'what the device has'
";

/// Changes the version, as an image that was flashed does with the next boot.
const FLASH: &str = "\
echo $$ > $dir/flashing
echo begin >> $dir/record
cp \"$1\" $dir/applied.new && mv $dir/applied.new $dir/applied || exit 1
sed 's/software_version = .*/software_version = \"2.0.0\"/' $dir/cwmpd.toml > $dir/new.toml
mv $dir/new.toml $dir/cwmpd.toml
echo end >> $dir/record
";
