//! Two network namespaces with a veth pair between them, made and removed by each test.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set in the process that runs in the ACS's namespace: the names of both.
const INSIDE: &str = "CWMPD_UPLINK_INSIDE";

/// The ACS's address.
pub const GATEWAY: &str = "10.91.0.1";
/// The device's address to begin with.
pub const HOME: &str = "10.91.0.2/24";
/// An address that answers of the ACS are not sent to.
pub const SILENT: &str = "10.91.0.66/24";

/// The namespaces.
pub struct Bed {
    /// Where the scripted ACS is, and the test itself; `acs0` is its end.
    pub acs: String,
    /// Where the daemon is; `wan0` is its end.
    pub device: String,
    /// Whether this process has made them.
    own: bool,
}

impl Bed {
    /// Runs `ip`; it must succeed.
    #[track_caller]
    pub fn ip(&self, words: &[&str]) -> String {
        ip(words).unwrap_or_else(|why| panic!("ip {}: {why}", words.join(" ")))
    }

    /// The device's addresses on the way to the ACS.
    pub fn addresses(&self) -> Vec<String> {
        let said = self.ip(&["-n", &self.device, "-4", "-o", "addr", "show", "dev", "wan0"]);
        let address = |line: &str| line.split_whitespace().nth(3).map(str::to_owned);
        said.lines().filter_map(address).collect()
    }

    /// New namespaces.
    fn new() -> Result<Bed, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("cwmpd-{}-{number}-{side}", std::process::id());
        let bed = Bed { acs: name("acs"), device: name("device"), own: true };
        let (acs, device) = (bed.acs.as_str(), bed.device.as_str());
        ip(&["netns", "add", acs])?;
        ip(&["netns", "add", device])?;
        let pair = ["link", "add", "acs0", "type", "veth", "peer", "name", "wan0", "netns", device];
        ip(&[&["-n", acs][..], &pair].concat())?;
        let gateway = format!("{GATEWAY}/24");
        for (side, interface, address) in [(acs, "acs0", gateway.as_str()), (device, "wan0", HOME)] {
            ip(&["-n", side, "addr", "add", address, "dev", interface])?;
            ip(&["-n", side, "link", "set", interface, "up"])?;
            ip(&["-n", side, "link", "set", "lo", "up"])?;
        }
        let silent = SILENT.split('/').next().unwrap_or_default();
        ip(&["-n", acs, "route", "add", "blackhole", silent])?;
        Ok(bed)
    }

    /// Runs one test of this program again, in the ACS's namespace.
    fn run(&self, test: &str) {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new("ip")
            .args(["netns", "exec", &self.acs])
            .arg(program)
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, format!("{} {}", self.acs, self.device))
            .status()
            .expect("ip runs");
        assert!(status.success(), "{test}, in its namespace: {status}");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for name in [&self.acs, &self.device].into_iter().filter(|_| self.own) {
            let _ = ip(&["netns", "del", name]); // one that was never made
        }
    }
}

/// Runs a dialogue in namespaces of its own; `test` is the name of the test that calls this.
pub fn in_namespaces(test: &str, dialogue: impl FnOnce(&Bed)) {
    if let Ok(names) = std::env::var(INSIDE) {
        let (acs, device) = names.split_once(' ').expect("two names");
        return dialogue(&Bed { acs: acs.to_owned(), device: device.to_owned(), own: false });
    }
    match Bed::new() {
        Ok(bed) => bed.run(test),
        // Past what the harness keeps to itself: a test that was skipped is not to look like one that ran.
        Err(why) => {
            let said = writeln!(std::io::stderr(), "{test}: SKIPPED, no network namespaces here: {why}");
            said.expect("standard error");
        }
    }
}

fn ip(words: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(words).output().map_err(|e| format!("ip (iproute2): {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
