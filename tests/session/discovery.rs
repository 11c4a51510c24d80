//! The ACS by DHCP, and who is whose gateway: what DHCP clients and servers hand over, and what comes of it.

use crate::acs::{Acs, Options};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_at, kicked, over, status, text};
use std::fs;
use std::process::{Command, Output};

const URL: &str = "Device.ManagementServer.URL";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const WAIT: &str = "Device.ManagementServer.CWMPRetryMinimumWaitInterval";
/// Whatever the default route of the machine is that the tests run on.
const UPLINK: &str = "dhcp_interfaces = [\"wan\", \"wan6\"]\n";
const FILL: &str = "dhcp_discovery = \"fill\"\ndhcp_interfaces = [\"wan\", \"wan6\"]\n";

/// A word of the command line with variables of a DHCP client's or server's script.
fn said(daemon: &Daemon, words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cwmpd"))
        .args(words)
        .arg("--config")
        .arg(daemon.config())
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the command line runs")
}

/// The same, which must succeed.
#[track_caller]
fn say(daemon: &Daemon, words: &[&str], variables: &[(&str, &str)]) {
    let output = said(daemon, words, variables);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sub-options of option 43 in hexadecimal digits.
fn hex(list: &[(u8, &str)]) -> String {
    let bytes =
        list.iter().flat_map(|(code, value)| [&[*code, value.len() as u8], value.as_bytes()].concat());
    bytes.map(|b| format!("{b:02x}")).collect()
}

/// An agent that belongs to nobody yet.
fn nobodys(name: &str, more: &str) -> Daemon {
    let mut daemon = agent_at("", name, more);
    daemon.start();
    daemon.wait_ready();
    daemon
}

/// DH-2, DH-3, DH-5, DH-6: no session while there is nobody to have it with; DHCP tells of one, then of
/// another; then the ACS says where to go, and DHCP's word counts no more; until a factory reset (DH-7).
// Proves: DH-2, DH-3, DH-5, DH-6, DH-7
#[test]
fn dh_6_the_acs_by_dhcp() {
    let [first, second, third] = [(); 3].map(|()| Acs::start(Options::default()));
    let mut daemon = nobodys("dhcp", FILL);
    let output = daemon.cli(&["inform"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no ACS"), "nobody to ask");
    let lease = |daemon: &Daemon, acs: &Acs, code: &str| {
        let option = hex(&[(1, &acs.url()), (2, code), (3, "7")]);
        say(daemon, &["lease", "4", "wan"], &[("opt43", &option), ("opt125", "")]);
    };
    lease(&daemon, &first, "one");
    let mut session = first.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.value(CODE), Ok("one".to_owned()));
    assert_eq!(session.value(WAIT), Ok("7".to_owned()));
    session.end();
    over(&daemon);

    // A renewed lease that says the same is no news.
    lease(&daemon, &first, "one");
    assert_eq!(first.sessions(), 1);
    lease(&daemon, &second, "one");
    let mut session = second.next_session(SOON);
    assert!(session.inform.codes().contains(&"0 BOOTSTRAP"), "DH-6: {:?}", session.inform.codes());
    session.set(&[(URL, "xsd:string", &third.url())], "k").expect("taken");
    session.end();
    let session = third.next_session(SOON);
    assert!(session.inform.codes().contains(&"0 BOOTSTRAP"));
    session.end();
    over(&daemon);

    // DH-5, also across a restart.
    lease(&daemon, &first, "two");
    assert_eq!(text(&status(&daemon), "acs_url"), third.url());
    daemon.stop();
    daemon.start();
    daemon.wait_ready();
    assert_eq!(text(&status(&daemon), "acs_url"), third.url());
    let mut session = kicked(&third, &daemon);
    assert_eq!(session.value(CODE), Ok("two".to_owned()), "nobody but DHCP has set it");
    // The lease lies there still when everything else is forgotten.
    session.factory_reset().expect("done");
    session.end();
    let session = first.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    session.end();
}

/// A lease that was there before the agent; and the two other options.
#[test]
fn a_lease_that_was_first() {
    let acs = Acs::start(Options::default());
    let url = acs.url();
    let mut daemon = agent_at("", "before", FILL);
    let option = format!("00000de9{:04x}{:04x}{}", 1, url.len(), &hex(&[(0, &url)])[4..]);
    say(&daemon, &["lease", "6", "wan6"], &[("OPTION_17", &option)]);
    daemon.start();
    acs.next_session(SOON).end();
    over(&daemon);
    // What makes no sense is told, changes nothing, and harms nobody.
    say(&daemon, &["lease", "4", "wan"], &[("opt43", &hex(&[(1, "http://u:secret@x/")])), ("opt125", "00")]);
    daemon.wait_for("warning", || daemon.log().contains("DHCP on wan, option 125: an enterprise's part"));
    assert!(daemon.log().contains("what is offered as the ACS's URL is none"));
    assert!(!daemon.log().contains("secret@"));
    for (words, variables) in [
        (&["lease", "4", "../x"][..], &[("opt43", "00")][..]),
        (&["lease", "4", "wan"], &[("opt43", "`id`")]),
        (
            &["lease", "device", "add", "$(id)"],
            &[("DNSMASQ_CPEWAN_OUI", "00D09E"), ("DNSMASQ_CPEWAN_SERIAL", "1")],
        ),
    ] {
        assert_eq!(said(&daemon, words, variables).status.code(), Some(1), "{words:?}");
    }
    assert_eq!(text(&status(&daemon), "acs_url"), url);
    kicked(&acs, &daemon).end();
}

/// Without discovery DHCP has no say; with a URL in the file it has one only when it is preferred.
// Proves: DH-5
#[test]
fn dh_5_the_file_and_dhcp() {
    let [file, dhcp] = [(); 2].map(|()| Acs::start(Options::default()));
    let refused = agent_at("", "off", "").cli(&["check"]);
    assert_eq!(refused.status.code(), Some(3), "no URL, and none to come");
    let option = hex(&[(1, &dhcp.url())]);
    for (n, more) in
        ["", FILL, "dhcp_discovery = \"prefer\"\ndhcp_interfaces = [\"wan\"]\n"].iter().enumerate()
    {
        let mut daemon = agent_at(&file.url(), &format!("whose{n}"), &format!("{LONG_WAIT}{more}"));
        say(&daemon, &["lease", "4", "wan"], &[("opt43", &option)]);
        daemon.start();
        let acs = if n == 2 { &dhcp } else { &file };
        acs.next_session(SOON).end();
        over(&daemon);
    }
    assert_eq!((file.sessions(), dhcp.sessions()), (2, 1));
}

/// F-4, F-5: the gateway's name comes with the lease and is news to the ACS; devices of this gateway are rows while
/// their leases last.
// Proves: F-4, F-5
#[test]
fn f_5_gateway_and_devices() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "gateway", UPLINK);
    daemon.start();
    let mut session = acs.next_session(SOON);
    let gateway = "Device.GatewayInfo.";
    let names = ["ManufacturerOUI", "SerialNumber", "ProductClass"].map(|n| format!("{gateway}{n}"));
    assert_eq!(names.each_ref().map(|n| session.value(n)), [(); 3].map(|()| Ok(String::new())));
    session.end();
    over(&daemon);
    let part = hex(&[(4, "00d09f"), (5, "G1"), (6, "Hub")]);
    let option = format!("00000de9{:02x}{part}", part.len() / 2);
    say(&daemon, &["lease", "4", "wan"], &[("opt125", &option)]);
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["4 VALUE CHANGE"], "F-5: told without being asked");
    assert_eq!(names.each_ref().map(|n| session.value(n).expect("a value")), ["00D09F", "G1", "Hub"]);
    session.end();
    over(&daemon);

    let count = "Device.ManagementServer.ManageableDeviceNumberOfEntries";
    let device = |what: &str, mac: &str, serial: &str| {
        let names = ["DNSMASQ_CPEWAN_OUI", "DNSMASQ_CPEWAN_SERIAL", "DNSMASQ_CPEWAN_CLASS"];
        let values = ["00d09e", serial, "Phone"];
        let variables: Vec<(&str, &str)> = names.into_iter().zip(values).collect();
        say(&daemon, &["lease", "device", what, mac], &variables);
    };
    device("add", "02:00:00:00:00:0A", "D1");
    device("add", "02:00:00:00:00:0b", "D2");
    // Nobody in particular.
    say(&daemon, &["lease", "device", "add", "02:00:00:00:00:0c"], &[]);
    assert_eq!(daemon.ask(&["get", count]), format!("{count}=2\n"));
    let table = "Device.ManagementServer.ManageableDevice.";
    assert_eq!(
        daemon.ask(&["get", &format!("{table}2.")]),
        format!(
            "{table}2.ManufacturerOUI=00D09E\n{table}2.SerialNumber=D2\n{table}2.ProductClass=Phone\n{table}2.Host=\n"
        )
    );
    device("del", "02:00:00:00:00:0a", "");
    assert_eq!(daemon.ask(&["get", count]), format!("{count}=1\n"), "F-4: with its lease");
}

/// F-1, F-2, F-3, DH-1: what DHCP's clients and server are to say of the device.
// Proves: F-1, F-2, F-3, DH-1
#[test]
fn f_1_options_of_the_device() {
    let daemon = agent_at("http://acs.example/", "options", "");
    // The bytes are explained beside the code that makes them.
    assert_eq!(
        daemon.ask(&["dhcp-options"]),
        "vendorid dslforum.org\n\
         4:125 00000de9110106303044303945020253310303426f78\n\
         6:16 00000de9000c64736c666f72756d2e6f7267\n\
         6:17 00000de90001000630304430394500020002533100030003426f78\n\
         dnsmasq tag:cpewan-id,vi-encap:3561,4,\"00D09E\"\n\
         dnsmasq tag:cpewan-id,vi-encap:3561,5,\"S1\"\n\
         dnsmasq tag:cpewan-id,vi-encap:3561,6,\"Box\"\n"
    );
}

/// An agent in a recorded router with these routes.
fn routed(name: &str, routes: &str) -> Daemon {
    let daemon = agent_at("", name, "dhcp_discovery = \"fill\"\n");
    let dir = daemon.folder.0.display().to_string();
    let config = fs::read_to_string(daemon.config()).expect("a configuration");
    fs::write(daemon.config(), format!("root = \"{dir}/root\"\n{config}")).expect("a configuration");
    fs::create_dir_all(daemon.folder.0.join("root/.cwmpd")).expect("a folder");
    write(&daemon, "links", "name=eth1\nname=br-guest\nname=wwan0\n");
    write(&daemon, "routes", routes);
    daemon
}

fn write(daemon: &Daemon, name: &str, text: &str) {
    fs::write(daemon.folder.0.join("root/.cwmpd").join(name), text).expect("a record");
}

/// DH-2: a DHCP server on the guests' network is nobody to name the ACS; the uplink's lease is there before its route,
/// and counts when that comes. DH-5: when the client starts anew, nothing changes, also while another uplink's lease
/// is there; and a lease that is gone tells nothing any more.
// Proves: DH-2, DH-5
#[test]
fn dh_2_only_the_uplink_names_the_acs() {
    let [guest, wan, lte] = [(); 3].map(|()| Acs::start(Options::default()));
    let mut daemon = routed("uplink", "");
    daemon.start();
    daemon.wait_ready();
    let lease = |daemon: &Daemon, interface: &str, device: &str, acs: &Acs| {
        let option = hex(&[(1, &acs.url())]);
        say(daemon, &["lease", "4", interface, device], &[("opt43", &option)]);
    };
    lease(&daemon, "guest", "br-guest", &guest);
    lease(&daemon, "wan", "eth1", &wan);
    assert_eq!(text(&status(&daemon), "acs_url"), "", "there is no default route yet");
    write(
        &daemon,
        "routes",
        "dst=default via=192.0.2.1 dev=eth1 metric=5\ndst=default via=192.0.2.9 dev=br-guest metric=9\n",
    );
    // What rings while there is no ACS has routes looked at, too.
    daemon.ask(&["set", "Device.ManagementServer.PeriodicInformInterval=4000"]);
    wan.next_session(SOON).end();
    over(&daemon);

    // The other uplink takes over, while wan's client starts anew.
    write(&daemon, "routes", "dst=default via=192.0.2.1 dev=eth1\ndst=default via=192.0.2.5 dev=wwan0\n");
    lease(&daemon, "alte", "wwan0", &lte);
    say(&daemon, &["lease", "del", "4", "wan"], &[]);
    assert_eq!(text(&status(&daemon), "acs_url"), wan.url());
    lease(&daemon, "wan", "eth1", &wan);
    assert_eq!(text(&status(&daemon), "acs_url"), wan.url());
    let mut session = kicked(&wan, &daemon);
    say(&daemon, &["lease", "del", "4", "wan"], &[]);
    say(&daemon, &["lease", "del", "4", "guest"], &[]);
    // What is forgotten with everything else is found anew by the leases that are left.
    session.factory_reset().expect("done");
    session.end();
    lte.next_session(SOON).end();
    assert_eq!((guest.sessions(), lte.sessions()), (0, 1));
}
