//! Notification that is told, not polled: files, the kernel's network, and what changed while the agent
//! was down. Nothing here is watched that has no bell, so what is told was heard.

use crate::acs::{Acs, Attributes, Options, Session};
use crate::daemon::Daemon;
use crate::{SOON, agent, agent_at, kicked, over, settled};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const NOTE: &str = "Device.X_00D09E_Files.Note";
const PARTS: &str = "Device.X_00D09E_Files.PartNumberOfEntries";
const LOOPBACK: &str = "Device.IP.Interface.";

fn watch(name: &str, notification: u8) -> Attributes {
    Attributes { name: name.to_string(), notification: Some(notification), access_list: None }
}

/// What notification a parameter has.
fn has(session: &mut Session, name: &str) -> u8 {
    session.get_attributes(&[name]).expect("attributes")[0].notification.expect("a number")
}

/// The folder of the files that an overlay shows.
fn files(daemon: &Daemon) -> PathBuf {
    daemon.folder.0.join("files")
}

/// An agent that shows a file, and the names in a folder; not yet started.
fn with_files(acs: &Acs, name: &str) -> Daemon {
    let daemon = agent_at(&acs.url(), name, "");
    fs::create_dir_all(files(&daemon).join("parts")).expect("a folder");
    fs::write(files(&daemon).join("note"), "first\n").expect("a file");
    let overlays = daemon.folder.0.join("overlays");
    fs::create_dir_all(&overlays).expect("a folder");
    let dir = files(&daemon).display().to_string();
    let rows = format!(
        "[\"Device.X_00D09E_Files.\"]\n\
         Note = {{ type = \"string\", file = \"{dir}/note\" }}\n\
         PartNumberOfEntries = {{ type = \"unsignedInt\" }}\n\
         [\"Device.X_00D09E_Files.Part.{{i}}.\"]\n\
         file = \"{dir}/parts/*\"\nentries = \"PartNumberOfEntries\"\n\
         Text = {{ type = \"string\", file = \"{dir}/parts/{{1}}\" }}\n"
    );
    fs::write(overlays.join("files.toml"), rows).expect("an overlay");
    daemon
}

/// Replaces a file as programs do.
fn replace(daemon: &Daemon, name: &str, text: &str) {
    let new = files(daemon).join(".new");
    fs::write(&new, text).expect("a file");
    fs::rename(new, files(daemon).join(name)).expect("a file");
}

/// Whether the agent has an inotify descriptor, and a socket that hears rtnetlink's groups.
fn ears(daemon: &Daemon) -> (bool, bool) {
    let targets = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).into_iter().flatten().flatten();
        fds.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_string_lossy().into_owned()))
    };
    // sk, Eth, Pid, Groups, ... Inode
    let table = fs::read_to_string(format!("/proc/{}/net/netlink", daemon.pid())).unwrap_or_default();
    let groups = |inode: &str| {
        let lines = table.lines().map(|l| l.split_ascii_whitespace().collect::<Vec<_>>());
        lines.filter(|l| l.last() == Some(&inode)).any(|l| l.get(3).is_some_and(|g| *g != "00000000"))
    };
    let hears = |target: String| {
        target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']')).is_some_and(groups)
    };
    (targets().any(|t| t.contains("inotify")), targets().any(hears))
}

/// Nothing was found by looking now and then.
#[track_caller]
fn heard_all(daemon: &Daemon) {
    let log = daemon.log();
    assert!(log.contains("compared: Told") && !log.contains("compared: Time"), "{log}");
}

/// N-3, N-5: a file that another program changes is told; one that it replaces too, and the names in a
/// folder. What nobody watches any more is not listened to.
// Proves: N-3, N-5
#[test]
fn n_3_a_file_that_changes() {
    let acs = Acs::start(Options::default());
    let mut daemon = with_files(&acs, "files");
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[watch(NOTE, 2), watch(PARTS, 2)]).expect("active");
    session.end();
    over(&daemon);
    daemon.wait_for("an ear", || ears(&daemon) == (true, false));
    let told = |name: &str| {
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
        let value = session.inform.value(name).map(str::to_owned);
        session.end();
        over(&daemon);
        value
    };
    fs::write(files(&daemon).join("note"), "second\n").expect("a file");
    assert_eq!(told(NOTE).as_deref(), Some("second"), "written in place");
    replace(&daemon, "note", "third\n");
    assert_eq!(told(NOTE).as_deref(), Some("third"), "replaced");
    fs::write(files(&daemon).join("note"), "fourth\n").expect("a file");
    assert_eq!(told(NOTE).as_deref(), Some("fourth"), "the file that took its place is heard");
    fs::write(files(&daemon).join("parts/a"), "1\n").expect("a file");
    assert_eq!(told(PARTS).as_deref(), Some("1"));
    fs::remove_file(files(&daemon).join("note")).expect("a file");
    assert_eq!(told(NOTE).as_deref(), Some(""));
    let mut session = kicked(&acs, &daemon);
    session.set_attributes(&[watch("Device.X_00D09E_Files.", 1)]).expect("passive");
    session.end();
    over(&daemon);
    daemon.wait_for("no ear", || ears(&daemon) == (false, false));
    heard_all(&daemon);
}

/// N-6: a flood of changes by another program: the last of them is told, and nothing is left over.
// Proves: N-6
#[test]
fn n_6_a_flood_of_changes() {
    let acs = Acs::start(Options::default());
    let mut daemon = with_files(&acs, "flood");
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[watch(NOTE, 2), watch(INTERVAL, 2)]).expect("active");
    session.end();
    over(&daemon);
    for n in 0..500 {
        replace(&daemon, "note", &format!("{n}\n"));
        if n % 100 == 0 {
            daemon.ask(&["set", &format!("{INTERVAL}={}", 5000 + n)]);
        }
    }
    // Whatever number of sessions it takes.
    let (mut note, mut interval) = (None, None);
    while (note.as_deref(), interval.as_deref()) != (Some("499"), Some("5400")) {
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
        note = session.inform.value(NOTE).map(str::to_owned).or(note);
        interval = session.inform.value(INTERVAL).map(str::to_owned).or(interval);
        session.end();
    }
    assert!(acs.sessions() < 50, "a flood makes no flood of sessions");
}

/// N-7: what changed while the power was off: a file, a value of the agent's own program, a value of its
/// configuration.
// Proves: N-7, V-13, I-4
#[test]
fn n_7_changed_while_the_power_was_off() {
    const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";
    const HARDWARE: &str = "Device.DeviceInfo.HardwareVersion";
    let acs = Acs::start(Options::default());
    let mut daemon = with_files(&acs, "power-cut");
    daemon.start();
    let mut session = acs.next_session(SOON);
    let watched = [watch(NOTE, 2), watch(PARTS, 1), watch(INTERVAL, 2), watch(HARDWARE, 1)];
    session.set_attributes(&watched).expect("watched");
    session.end();
    over(&daemon);
    daemon.reboot();
    replace(&daemon, "note", "while it was off\n");
    fs::write(files(&daemon).join("parts/a"), "").expect("a file");
    let text = fs::read_to_string(daemon.config()).expect("a configuration");
    let text = text.replace("\"1.2.3\"", "\"1.2.4\"").replace("\"h1\"", "\"h2\"");
    let text = text.replace("[acs]\n", "[acs]\nperiodic_inform_interval = 7777\n");
    fs::write(daemon.config(), text).expect("a configuration");
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT", "4 VALUE CHANGE"]);
    for (name, value) in
        [(NOTE, "while it was off"), (PARTS, "1"), (INTERVAL, "7777"), (VERSION, "1.2.4"), (HARDWARE, "h2")]
    {
        assert_eq!(session.inform.value(name), Some(value), "{name}");
        let times = session.inform.parameters.iter().filter(|p| p.name == name).count();
        assert_eq!(times, 1, "I-4: {name}");
    }
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "told once");
    session.end();
}

/// A password that somebody changes is told by its name alone.
// Proves: I-4
#[test]
fn i_4_a_password_that_changes() {
    const PASSWORD: &str = "Device.ManagementServer.ConnectionRequestPassword";
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "hidden");
    let mut session = acs.next_session(SOON);
    session.set_attributes(&[watch(PASSWORD, 2)]).expect("active");
    session.set(&[(PASSWORD, "xsd:string", "the ACS knows it")], "").expect("set");
    session.end();
    over(&daemon);
    daemon.ask(&["set", &format!("{PASSWORD}=by hand")]);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
    assert_eq!(session.inform.value(PASSWORD), Some(""));
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "told once");
    session.end();
    assert!(!daemon.log().contains("by hand"));
}

/// R-SPA-6, R-SPA-14: what never stands still is refused by its name; the whole tree is accepted, and what
/// cannot be active in it is passive; all of it is there after a power cut.
// Proves: R-SPA-6, R-SPA-11, R-SPA-14
#[test]
fn r_spa_6_what_may_be_refused() {
    const UPTIME: &str = "Device.DeviceInfo.UpTime";
    const KEY: &str = "Device.ManagementServer.ParameterKey";
    const MODEL: &str = "Device.DeviceInfo.ModelName";
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "denied");
    let mut session = kicked(&acs, &daemon);
    let fault = session.set_attributes(&[watch(MODEL, 2), watch(UPTIME, 2)]).expect_err("denied");
    assert_eq!((fault.code, has(&mut session, MODEL)), (9009, 0), "R-SPA-6, R-SPA-1");
    session.set_attributes(&[watch(KEY, 2)]).expect("it may be denied, and is had cheaply");
    assert_eq!(has(&mut session, KEY), 2);
    session.set_attributes(&[watch("Device.DeviceInfo.", 2), watch("Device.Ethernet.", 1)]).expect("both");
    assert_eq!((has(&mut session, UPTIME), has(&mut session, MODEL)), (1, 2));
    session.set_attributes(&[watch("", 1)]).expect("R-SPA-14: the whole tree");
    let all = session.get_attributes(&["Device."]).expect("attributes");
    let forced = ["ProvisioningCode", "SoftwareVersion"];
    let is_forced = |name: &str| forced.iter().any(|f| name.ends_with(&format!("DeviceInfo.{f}")));
    for one in &all {
        assert_eq!(one.notification, Some(if is_forced(&one.name) { 2 } else { 1 }), "{}", one.name);
    }
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert_eq!(has(&mut session, UPTIME), 1, "R-SPA-11");
    assert_eq!(has(&mut session, "Device.DNS.SupportedRecordTypes"), 1);
    session.set_attributes(&[watch("", 0)]).expect("off");
    session.end();
}

/// A network namespace for a test by itself: the test runs again in it, as a process of its own. `false`
/// where that is not allowed, and there, where the test is to go on in earnest.
fn is_in_namespace(test: &str) -> bool {
    const INSIDE: &str = "CWMPD_TEST_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut can = Command::new("unshare");
    can.args(["-rn", "ip", "link", "set", "lo", "up"]).stderr(Stdio::null());
    if !can.status().is_ok_and(|s| s.success()) {
        println!("SKIPPED: no network namespaces (unshare -rn), or no ip, here");
        return false;
    }
    let own = std::env::current_exe().expect("the path of this program");
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", script])
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).status().expect("ip");
    assert!(done.success(), "ip {words:?}");
}

/// N-3: an address that another program gives an interface, and takes again, is told; so is a link that
/// comes and goes. The kernel tells, nobody looks.
// Proves: N-3
#[test]
fn n_3_the_kernel_tells() {
    if !is_in_namespace("notification::n_3_the_kernel_tells") {
        return;
    }
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "kernel");
    assert_eq!(ears(&daemon), (false, false), "nothing is watched that the kernel could tell of");
    let mut session = kicked(&acs, &daemon);
    let names = session.names(LOOPBACK, true).expect("interfaces");
    let row = &names.first().expect("the loopback").0;
    let addresses = format!("{row}IPv4AddressNumberOfEntries");
    let mtu = format!("{row}MaxMTUSize");
    const INTERFACES: &str = "Device.IP.InterfaceNumberOfEntries";
    const ROUTES: &str = "Device.Routing.Router.1.IPv4ForwardingNumberOfEntries";
    const HOSTS: &str = "Device.Hosts.HostNumberOfEntries";
    let active = [&addresses, &mtu, INTERFACES, ROUTES].map(|name| watch(name, 2));
    session.set_attributes(&active).expect("active");
    session.end();
    over(&daemon);
    daemon.wait_for("an ear", || ears(&daemon) == (false, true));
    let told = |name: &str, value: &str| {
        let session = acs.next_session(SOON);
        assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"]);
        assert_eq!(session.inform.value(name), Some(value), "{:?}", session.inform.parameters);
        session.end();
        over(&daemon);
    };
    ip(&["address", "add", "192.0.2.1/32", "dev", "lo"]);
    told(&addresses, "2");
    ip(&["address", "del", "192.0.2.1/32", "dev", "lo"]);
    told(&addresses, "1");
    ip(&["link", "set", "lo", "mtu", "1500"]);
    told(&mtu, "1500");
    ip(&["route", "add", "198.51.100.0/24", "dev", "lo"]);
    told(ROUTES, "1");
    let can = |kind: &str| {
        let words = ["link", "add", "new0", "type", kind];
        Command::new("ip").args(words).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    // The other end of a veth is one more.
    let Some(count) = can("dummy").then_some("2").or_else(|| can("veth").then_some("3")) else {
        println!("neither dummy nor veth interfaces here");
        return heard_all(&daemon);
    };
    told(INTERFACES, count);
    heard_all(&daemon);
    // Who goes silent is found by looking, but who comes is told of at once.
    let mut session = kicked(&acs, &daemon);
    session.set_attributes(&[watch(HOSTS, 2)]).expect("active");
    session.end();
    over(&daemon);
    ip(&["link", "set", "new0", "up"]);
    ip(&["neighbour", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "new0"]);
    told(HOSTS, "1");
}
