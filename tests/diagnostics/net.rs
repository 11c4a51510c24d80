//! A network of the test's own: the device, two routers and a far host, each a network namespace, joined by
//! veth pairs, with IPv4 and IPv6; the scripted ACS on the far host, where the test itself runs, and the
//! shipped daemon on the device.
//!
//!     device  wan0 ---- dev0  r1  up0 ---- down0  r2  up0 ---- far0  far
//!             wan1 ---- dev1
//!
//! `10.92.N.x` and `fd92:0:0:N::x`, where N is 0 (wan0), 8 (wan1), 1 (between the routers) and 2 (far).

use super::acs::{Acs, Options, Session};
use super::daemon::{Daemon, Folder};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Set in the process that runs on the far host: the prefix of all names.
const INSIDE: &str = "CWMPD_DIAGNOSTICS_INSIDE";
/// When a test gives up.
pub const SOON: Duration = Duration::from_secs(60);
/// The event that a test's end makes.
pub const EVENT: &str = "8 DIAGNOSTICS COMPLETE";

/// The far host.
pub const FAR: &str = "10.92.2.2";
pub const FAR6: &str = "fd92:0:0:2::2";
/// The device on `wan0`.
pub const DEVICE: &str = "10.92.0.2";
pub const DEVICE6: &str = "fd92:0:0:0::2";
/// What the device reaches on its way to the far host.
pub const HOPS: [&str; 3] = ["10.92.0.1", "10.92.1.2", FAR];
pub const HOPS6: [&str; 3] = ["fd92::1", "fd92:0:0:1::2", "fd92:0:0:2::2"];
/// Behind r2, nobody has it: no answer, not even an ICMP error.
pub const NOBODY: &str = "10.92.66.1";
pub const NOBODY6: &str = "fd92:0:0:66::1";
/// No router has a way to it: the first one says so.
pub const UNREACHABLE: &str = "10.92.77.1";
pub const UNREACHABLE6: &str = "fd92:0:0:77::1";

/// What the ACS reads below an object, by the names behind the object's path.
#[derive(Clone, Debug, Default)]
pub struct Results(pub BTreeMap<String, String>);

impl Results {
    /// A value; panics where there is none.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.0))
    }

    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|e| panic!("{name}: {e}: {:?}", self.0))
    }

    /// DiagnosticsState.
    #[track_caller]
    pub fn state(&self) -> &str {
        self.text("DiagnosticsState")
    }

    /// A column of a table of results, by instance number: `column("RouteHops", "HostAddress")`.
    #[track_caller]
    pub fn column(&self, table: &str, name: &str) -> Vec<&str> {
        let rows = (1..).map_while(|n| self.0.get(&format!("{table}.{n}.{name}")));
        rows.map(String::as_str).collect()
    }
}

/// The network, and who is in it.
pub struct Bed {
    prefix: String,
    /// Whether this process has made it.
    own: bool,
    /// `None` in the process that only makes the network.
    inside: Option<Inside>,
}

struct Inside {
    acs: Acs,
    daemon: Daemon,
    _wrapper: Folder,
}

impl Bed {
    /// The namespace of `device`, `r1`, `r2` or `far`.
    pub fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.prefix)
    }

    /// Runs lines of `ip` at a place; each must succeed.
    #[track_caller]
    pub fn ip(&self, place: &str, lines: &str) {
        batch(&self.namespace(place), lines).unwrap_or_else(|why| panic!("ip, {place}: {why}"));
    }

    /// Runs a program at a place; it must succeed. Its output.
    #[track_caller]
    pub fn at(&self, place: &str, words: &[&str]) -> String {
        run(&self.namespace(place), words).unwrap_or_else(|why| panic!("{words:?}, {place}: {why}"))
    }

    /// Writes a value below `/proc/sys/net` of a place: `("device", "ipv4/ping_group_range", "0 0")`.
    #[track_caller]
    pub fn sysctl(&self, place: &str, name: &str, value: &str) {
        self.at(place, &["sh", "-c", &format!("echo '{value}' > /proc/sys/net/{name}")]);
    }

    /// A counter of a device: `("device", "wan1", "tx_packets")`.
    #[track_caller]
    pub fn counter(&self, place: &str, device: &str, name: &str) -> u64 {
        let text = self.at(place, &["cat", &format!("/sys/class/net/{device}/statistics/{name}")]);
        text.trim().parse().expect("a number")
    }

    /// The agent.
    pub fn daemon(&self) -> &Daemon {
        &self.inside().daemon
    }

    /// The agent, to be killed and started.
    pub fn daemon_mut(&mut self) -> &mut Daemon {
        &mut self.inside.as_mut().expect("inside").daemon
    }

    /// The scripted ACS.
    pub fn acs(&self) -> &Acs {
        &self.inside().acs
    }

    fn inside(&self) -> &Inside {
        self.inside.as_ref().expect("inside")
    }

    /// A session that a person asks for.
    #[track_caller]
    pub fn kicked(&self) -> Session {
        self.daemon().ask(&["inform"]);
        self.acs().next_session(SOON)
    }

    /// Sets arguments below an object, in an open session, with the types that the agent tells.
    #[track_caller]
    pub fn set(&self, session: &mut Session, object: &str, arguments: &[(&str, &str)]) -> Result<u32, u16> {
        let names: Vec<String> = arguments.iter().map(|(name, _)| format!("{object}{name}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let now = session.get(&all).unwrap_or_else(|fault| panic!("{all:?}: {fault:?}"));
        let kind =
            |name: &str| now.iter().find(|value| value.name == name).expect("its value").xsi_type.clone();
        let kinds: Vec<String> = all.iter().map(|name| kind(name)).collect();
        let list: Vec<(&str, &str, &str)> =
            (0..all.len()).map(|i| (all[i], kinds[i].as_str(), arguments[i].1)).collect();
        session.set(&list, "").map_err(|fault| match fault.parameters.first() {
            Some(first) => first.1,
            None => fault.code,
        })
    }

    /// Asks for a test with these arguments, in a session that ends.
    #[track_caller]
    pub fn request(&self, object: &str, arguments: &[(&str, &str)]) {
        let mut session = self.kicked();
        let mut all = arguments.to_vec();
        all.push(("DiagnosticsState", "Requested"));
        assert_eq!(self.set(&mut session, object, &all), Ok(0), "{arguments:?}");
        session.end();
    }

    /// Waits for the session with event 8, which is open.
    #[track_caller]
    pub fn told(&self) -> Session {
        let session = self.acs().next_session(SOON);
        assert_eq!(session.inform.codes(), [EVENT], "DG-2");
        session
    }

    /// What is below an object.
    #[track_caller]
    pub fn read(&self, session: &mut Session, object: &str) -> Results {
        let values = session.get(&[object]).unwrap_or_else(|fault| panic!("{object}: {fault:?}"));
        let own = |name: &str| name.strip_prefix(object).unwrap_or(name).to_owned();
        Results(values.into_iter().map(|value| (own(&value.name), value.value)).collect())
    }

    /// A test from asking to its results: DG-1, DG-2.
    #[track_caller]
    pub fn ask(&self, object: &str, arguments: &[(&str, &str)]) -> Results {
        self.request(object, arguments);
        let mut session = self.told();
        let results = self.read(&mut session, object);
        session.end();
        results
    }

    /// The state now, in a session of its own.
    #[track_caller]
    pub fn state(&self, object: &str) -> String {
        let mut session = self.kicked();
        let state = session.value(&format!("{object}DiagnosticsState")).expect("a state");
        session.end();
        state
    }

    /// The row of Device.IP.Interface for a device of the kernel's, without a final dot.
    #[track_caller]
    pub fn interface(&self, device: &str) -> String {
        let mut session = self.kicked();
        let all = self.read(&mut session, "Device.IP.Interface.");
        session.end();
        let found = all.0.iter().find_map(|(name, value)| {
            let row = name.strip_suffix(".Name")?;
            (value == device && row.parse::<u32>().is_ok()).then(|| format!("Device.IP.Interface.{row}"))
        });
        found.unwrap_or_else(|| panic!("no row of {device}: {:?}", all.0))
    }

    /// The network without anybody in it.
    fn new() -> Result<Bed, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("cwmpd-d{}-{number}", std::process::id());
        let bed = Bed { prefix, own: true, inside: None };
        for place in PLACES {
            ip(&["netns", "add", &bed.namespace(place)])?;
        }
        // Names are asked of the far host; where no server is, that is said at once.
        let folder = format!("/etc/netns/{}", bed.namespace("device"));
        fs::create_dir_all(&folder).map_err(|e| format!("{folder}: {e}"))?;
        let file = format!("{folder}/resolv.conf");
        let text = format!("nameserver {FAR}\noptions timeout:1 attempts:1\n");
        fs::write(&file, text).map_err(|e| format!("{file}: {e}"))?;
        for place in PLACES {
            bed.wire(place)?;
        }
        Ok(bed)
    }

    /// Links, addresses and routes of a place.
    fn wire(&self, place: &str) -> Result<(), String> {
        let name = self.namespace(place);
        for area in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{area}");
            let line = format!("echo 0 > {path}/accept_dad; echo 0 > {path}/disable_ipv6");
            run(&name, &["sh", "-c", &line])?;
        }
        if place.starts_with('r') {
            let line = "cd /proc/sys/net; echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding";
            run(&name, &["sh", "-c", line])?;
        }
        // Routers tell of every packet that they cannot send on.
        let line = "cd /proc/sys/net; echo 0 > ipv4/icmp_ratelimit; echo 0 > ipv6/icmp/ratelimit";
        run(&name, &["sh", "-c", line])?;
        let text = match place {
            "r1" => format!(
                "link add dev0 type veth peer name wan0 netns {device}\n\
                 link add dev1 type veth peer name wan1 netns {device}\n\
                 link add up0 type veth peer name down0 netns {r2}\n\
                 {dev0}{dev1}{up0}\
                 route add 10.92.2.0/24 via 10.92.1.2\nroute add 10.92.66.0/24 via 10.92.1.2\n\
                 -6 route add fd92:0:0:2::/64 via fd92:0:0:1::2\n-6 route add fd92:0:0:66::/64 via fd92:0:0:1::2\n",
                device = self.namespace("device"),
                r2 = self.namespace("r2"),
                dev0 = address("dev0", 0, 1),
                dev1 = address("dev1", 8, 1),
                up0 = address("up0", 1, 1),
            ),
            "r2" => format!(
                "link add up0 type veth peer name far0 netns {far}\n{down0}{up0}\
                 route add 10.92.0.0/24 via 10.92.1.1\nroute add 10.92.8.0/24 via 10.92.1.1\n\
                 route add blackhole 10.92.66.0/24\n\
                 -6 route add fd92:0:0:0::/64 via fd92:0:0:1::1\n-6 route add fd92:0:0:8::/64 via fd92:0:0:1::1\n\
                 -6 route add blackhole fd92:0:0:66::/64\n",
                far = self.namespace("far"),
                down0 = address("down0", 1, 2),
                up0 = address("up0", 2, 1),
            ),
            "far" => format!(
                "{}route add default via 10.92.2.1\n-6 route add default via fd92:0:0:2::1\n",
                address("far0", 2, 2)
            ),
            _ => format!(
                "{}{}route add default via 10.92.0.1 metric 10\n-6 route add default via fd92::1 metric 10\n\
                 route add default via 10.92.8.1 metric 20\n-6 route add default via fd92:0:0:8::1 metric 20\n",
                address("wan0", 0, 2),
                address("wan1", 8, 2)
            ),
        };
        batch(&name, &format!("link set lo up\n{text}"))
    }

    /// Runs one test of this program again, on the far host.
    fn again(&self, test: &str) {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new("ip")
            .args(["netns", "exec", &self.namespace("far")])
            .arg(program)
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, &self.prefix)
            .status()
            .expect("ip runs");
        assert!(status.success(), "{test}, on the far host: {status}");
    }

    /// The daemon, behind its first session.
    fn people(&mut self) {
        let address = format!("{FAR}:8080").parse().expect("an address");
        let acs = Acs::start(Options { address, ..Options::default() });
        let wrapper = Folder::new("diagnostics-wrapper");
        let binary = wrapper.0.join("cwmpd");
        let device = self.namespace("device");
        let text = format!("#!/bin/sh\nexec ip netns exec {device} {} \"$@\"\n", env!("CARGO_BIN_EXE_cwmpd"));
        fs::write(&binary, text).expect("a file");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("its mode");
        let keys = format!(
            "url = \"{}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_minimum_wait_interval = 1\n\
             retry_interval_multiplier = 1000\n",
            acs.url()
        );
        let rest = "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\n\
                    product_class = \"Box\"\nserial_number = \"S1\"\n";
        let mut daemon = Daemon::new(binary, "diagnostics", &keys, rest);
        daemon.start();
        acs.next_session(SOON).end();
        self.inside = Some(Inside { acs, daemon, _wrapper: wrapper });
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.own {
            for place in PLACES {
                let name = self.namespace(place);
                let _ = ip(&["netns", "del", &name]); // one that was never made
                let _ = fs::remove_dir_all(format!("/etc/netns/{name}"));
            }
        }
    }
}

/// In the order in which they can be wired: who makes a pair comes before who has its other end.
const PLACES: [&str; 4] = ["r1", "r2", "far", "device"];

/// Runs a dialogue in a network of its own; `test` is the name of the test that calls this, with its module:
/// `ping::complete`.
pub fn in_namespaces(test: &str, dialogue: impl FnOnce(&mut Bed)) {
    if let Ok(prefix) = std::env::var(INSIDE) {
        let mut bed = Bed { prefix, own: false, inside: None };
        bed.people();
        return dialogue(&mut bed);
    }
    match Bed::new() {
        Ok(bed) => bed.again(test),
        // Past what the harness keeps to itself: a test that was skipped is not to look like one that ran.
        Err(why) => {
            let said = writeln!(std::io::stderr(), "{test}: skipped: no namespaces here: {why}");
            said.expect("standard error");
        }
    }
}

/// Lines that give a device both its addresses.
fn address(device: &str, network: u32, host: u32) -> String {
    format!(
        "addr add 10.92.{network}.{host}/24 dev {device}\n\
         -6 addr add fd92:0:0:{network}::{host}/64 dev {device} nodad\nlink set {device} up\n"
    )
}

fn ip(words: &[&str]) -> Result<String, String> {
    said(Command::new("ip").args(words).output().map_err(|e| format!("ip (iproute2): {e}"))?)
}

fn run(namespace: &str, words: &[&str]) -> Result<String, String> {
    ip(&[&["netns", "exec", namespace][..], words].concat())
}

/// Lines of `ip`; those that begin with `-6` are of that family.
fn batch(namespace: &str, lines: &str) -> Result<(), String> {
    for (family, marked) in [("-4", false), ("-6", true)] {
        let own = lines.lines().filter(|line| line.starts_with("-6 ") == marked);
        let text: Vec<&str> = own.map(|line| line.trim_start_matches("-6 ")).collect();
        let mut child = Command::new("ip")
            .args([family, "-n", namespace, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("ip (iproute2): {e}"))?;
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all((text.join("\n") + "\n").as_bytes()).map_err(|e| e.to_string())?;
        drop(input);
        said(child.wait_with_output().map_err(|e| e.to_string())?)?;
    }
    Ok(())
}

fn said(output: std::process::Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
