//! Expressions written.

use super::{ACS, Bench, code};
use crate::model::tree::{Status, Writer};

const ROWS: &str = r##"
["Device."]
TNumberOfEntries = { type = "unsignedInt" }
["Device.T.{i}."]
entries = "TNumberOfEntries"
uci = "wireless.@wifi-iface[mode=ap,device~radio0] | with wireless.@station[iface=$] | from firewall.@zone.network | new disabled=1 | name cw"
create = true
Alias  = { type = "Alias", write = true }
Enable = { type = "boolean", uci = "wireless.{1}.disabled | default 0 | not", write = true }
Ssid   = { type = "string(32)", uci = "wireless.{1}.ssid", write = true }
Keep   = { type = "int(..7200)", uci = "wireless.{1}.keep | seconds", write = true }
Mode   = { type = "enum(Personal,None)", uci = "wireless.{1}.encryption | map psk2=Personal none=None", write = true }
Macs   = { type = "list(MACAddress)", uci = "wireless.{1}.maclist", write = true }
Rates  = { type = "list(unsignedInt)", uci = "wireless.{1}.rates | items", write = true }
Net    = { type = "ref(Device.I.{i}.)", uci = "wireless.{1}.network | ref Device.I.{i}.", write = true }
Nets   = { type = "list(ref(Device.I.{i}.))", uci = "wireless.{1}.nets | ref Device.I.{i}.", write = true }
Guest  = { type = "boolean", uci = "firewall.@zone[name=guest].network | has {1}", write = true }
["Device.T.{i}.S.{i}."]
uci = "wireless.@station[iface={1}]"
create = true
Mac    = { type = "MACAddress", uci = "wireless.{2}.mac | upper", write = true }
["Device.I.{i}."]
uci = "network.@interface"
Mtu    = { type = "unsignedInt", uci = "network.@device[name=(uci network.{1}.device)].mtu", write = true }
Proto  = { type = "string", uci = "network.{1}.proto", write = true, uplink = true }
["Device.G."]
Ula    = { type = "string", uci = "network.globals:globals.ula_prefix", write = true }
Host   = { type = "string", uci = "system.@system[0].hostname", write = true }
None   = { type = "string", uci = "system.nothing.hostname", write = true }
NoPack = { type = "string", uci = "absent.x.y", write = true }
"##;

const WIRELESS: &str = "\
config wifi-device 'radio0'

config wifi-iface 'default_radio0'
	option device 'radio0'
	option mode 'ap'
	option ssid 'Home'
	option encryption 'psk2'

config station
	option iface 'default_radio0'
	option mac '02:00:00:00:00:0a'
";
const NETWORK: &str = "config interface 'lan'\n\toption device 'br-lan'\n\toption proto 'static'\n\nconfig interface 'guest'\n\toption proto 'static'\n";
const FIREWALL: &str = "config zone\n\toption name 'guest'\n\tlist network 'guest'\n\nconfig zone\n\toption name 'lan'\n\toption network 'lan default_radio0'\n";
const SYSTEM: &str = "config system\n\toption hostname OpenWrt\n";

fn bench() -> Bench {
    Bench::new(
        ROWS,
        &[
            ("etc/config/wireless", WIRELESS),
            ("etc/config/network", NETWORK),
            ("etc/config/firewall", FIREWALL),
            ("etc/config/system", SYSTEM),
        ],
    )
}

#[test]
fn values_go_the_way_back() {
    let mut b = bench();
    b.tree.begin_session();
    let status = b.set(&[
        ("Device.T.1.Enable", "false"),
        ("Device.T.1.Ssid", "it's"),
        ("Device.T.1.Keep", "7200"),
        ("Device.T.1.Mode", "None"),
        ("Device.T.1.Macs", "02:00:00:00:00:01,02:00:00:00:00:02"),
        ("Device.T.1.Rates", "6,12"),
        ("Device.T.1.Net", "Device.I.2"),
        ("Device.T.1.Nets", "Device.I.2,Device.I.1"),
        ("Device.T.1.Guest", "true"),
        ("Device.I.1.Mtu", "1400"),
        ("Device.G.Ula", "fd00::/48"),
        ("Device.G.Host", "gw"),
    ]);
    assert_eq!(status.unwrap(), Status::AtSessionEnd);
    assert_eq!(
        b.config("wireless"),
        WIRELESS.replace(
            "'Home'\n\toption encryption 'psk2'\n",
            "'it'\\''s'\n\toption encryption 'none'\n\toption disabled '1'\n\toption keep '2h'\n\
             \tlist maclist '02:00:00:00:00:01'\n\tlist maclist '02:00:00:00:00:02'\n\toption rates '6 12'\n\
             \toption network 'guest'\n\tlist nets 'guest'\n\tlist nets 'lan'\n"
        )
    );
    assert_eq!(
        b.config("firewall"),
        FIREWALL
            .replace("\tlist network 'guest'\n", "\tlist network 'guest'\n\tlist network 'default_radio0'\n")
    );
    let network = b.config("network");
    assert!(network.starts_with(NETWORK), "{network}");
    assert!(network.contains("config globals 'globals'\n\toption ula_prefix 'fd00::/48'\n"), "{network}");
    let device = network.split("config device '").nth(1).unwrap();
    assert!(
        device.starts_with("cwmpd_device_") && device.contains("option name 'br-lan'\n\toption mtu '1400'\n"),
        "{device}"
    );
    assert_eq!(b.value("Device.T.1.Nets"), "Device.I.2,Device.I.1");
    // The same again changes nothing, and is applied.
    b.tree.end_session();
    b.tree.begin_session();
    assert_eq!(b.set(&[("Device.T.1.Ssid", "it's"), ("Device.I.1.Mtu", "1400")]).unwrap(), Status::Applied);
    // Nothing removes the option.
    b.set(&[("Device.T.1.Ssid", ""), ("Device.T.1.Nets", ""), ("Device.T.1.Guest", "0")]).unwrap();
    assert!(!b.config("wireless").contains("ssid") && !b.config("wireless").contains("nets"));
    assert_eq!(b.config("firewall"), FIREWALL);
}

#[test]
fn a_value_that_cannot_be_is_named_and_nothing_is_staged() {
    let mut b = bench();
    for (name, value, want) in [
        ("Device.T.1.Keep", "7201", 9007),
        ("Device.T.1.Mode", "Enterprise", 9007),
        ("Device.T.1.Ssid", "a\u{7}b", 9007),
        ("Device.T.1.Net", "Device.I.9", 9007),
        ("Device.G.None", "x", 9001),
        ("Device.G.NoPack", "x", 9001),
    ] {
        let fault = b.set(&[("Device.G.Host", "new"), (name, value)]).unwrap_err();
        let said: Vec<(&str, u16)> = fault.parameters.iter().map(|p| (p.name.as_str(), p.code.0)).collect();
        assert_eq!(said, [(name, want)], "{fault}");
        assert_eq!(b.config("system"), SYSTEM);
    }
}

/// The second package cannot be written: 9002, and the first is as it was.
#[test]
fn packages_are_written_together_or_not_at_all() {
    let mut b = bench();
    b.bar("wireless");
    let values = [("Device.G.Host", "new"), ("Device.I.1.Mtu", "1400"), ("Device.T.1.Ssid", "x")];
    let fault = b.set(&values).unwrap_err();
    assert_eq!(fault.code.0, 9002, "{fault}");
    assert_eq!((b.config("system"), b.config("network")), (SYSTEM.to_owned(), NETWORK.to_owned()));
    b.unbar("wireless");
    b.set(&values).unwrap();
    assert!(b.config("system").contains("'new'") || b.config("system").contains(" new"));
}

#[test]
fn rows_are_made_and_taken_away() {
    let mut b = bench();
    b.tree.begin_session();
    assert_eq!(b.tree.add("Device.T.", ACS).unwrap(), (2, Status::AtSessionEnd));
    let made =
        "\nconfig wifi-iface 'cw2'\n\toption mode 'ap'\n\tlist device 'radio0'\n\toption disabled '1'\n";
    assert_eq!(b.config("wireless"), format!("{WIRELESS}{made}"));
    assert_eq!(b.value("Device.T.2.Enable"), "false");
    b.set(&[("Device.T.2.Ssid", "new")]).unwrap();
    assert_eq!(b.config("wireless"), format!("{WIRELESS}{made}\toption ssid 'new'\n"));
    assert_eq!(b.tree.add("Device.T.2.S.", ACS).unwrap().0, 1);
    assert!(b.config("wireless").ends_with("\nconfig station 'cwmpd_station_1'\n\toption iface 'cw2'\n"));
    b.tree.delete("Device.T.2.", ACS).unwrap();
    assert_eq!(b.config("wireless"), WIRELESS);
    b.tree.delete("Device.T.1.", ACS).unwrap();
    assert_eq!(b.config("wireless"), "config wifi-device 'radio0'\n");
    assert_eq!(b.config("firewall"), FIREWALL.replace("lan default_radio0", "lan"));
    // A name is not given twice.
    assert_eq!(b.tree.add("Device.T.", ACS).unwrap().0, 3);
    assert!(b.config("wireless").contains("'cw3'"));
}

/// R-SPV-22: the row and its values are one transaction.
#[test]
fn a_set_makes_a_row_with_its_values() {
    let mut b = bench();
    let values =
        [("Device.T.[mine].Ssid", "new"), ("Device.T.[mine].Enable", "1"), ("Device.T.[mine].Guest", "1")];
    b.set(&values).unwrap();
    assert!(b.config("wireless").ends_with(
        "\nconfig wifi-iface 'cw2'\n\toption mode 'ap'\n\tlist device 'radio0'\n\toption disabled '0'\n\toption ssid 'new'\n"
    ));
    assert!(b.config("firewall").contains("\tlist network 'cw2'\n"));
    // One that cannot be: nothing of it is left.
    let (wireless, firewall) = (b.config("wireless"), b.config("firewall"));
    assert_eq!(code(b.set(&[("Device.T.[other].Ssid", "x"), ("Device.T.[other].Mode", "y")])), 9007);
    b.bar("firewall");
    let values = [("Device.T.[other].Ssid", "x"), ("Device.T.[other].Guest", "1")];
    assert_eq!(b.set(&values).unwrap_err().code.0, 9002);
    assert_eq!((b.config("wireless"), b.config("firewall")), (wireless, firewall));
}

/// A file that is broken is refused with its line, and is not rewritten; one that others change meanwhile
/// keeps their change.
#[test]
fn others_write_too() {
    let mut b = bench();
    let broken = format!("{WIRELESS}\noption 'x\n");
    b.root.file("etc/config/wireless", &broken);
    b.values("Device.T.");
    assert_eq!(b.config("wireless"), broken);
    b.root.file("etc/config/wireless", WIRELESS);
    // Somebody saves behind the agent's reading.
    b.value("Device.T.1.Ssid");
    b.root.file("etc/config/wireless", &format!("{WIRELESS}\toption theirs '1'\n"));
    b.set(&[("Device.T.1.Ssid", "x")]).unwrap();
    assert!(b.config("wireless").contains("'x'") && b.config("wireless").contains("theirs '1'"));
    // What somebody has not committed yet stays pending, and the same option is refused.
    let id = crate::sys::uci::load(b.root.root(), "system").unwrap().unwrap();
    let pending = format!("system.{}.hostname='theirs'\n", id.section("@system[0]").unwrap().id());
    b.root.file("tmp/.uci/system", &pending);
    assert_eq!(b.value("Device.G.Host"), "theirs");
    b.set(&[("Device.G.Host", "ours")]).unwrap_err();
    assert_eq!(b.config("system"), SYSTEM);
    assert_eq!(b.root.text("tmp/.uci/system"), pending);
}

/// What carries the session is written when it has ended, and put back by a new process as well.
#[test]
fn a_trial_is_put_back() {
    let mut b = bench();
    b.tree.set_trials(true);
    b.tree.begin_session();
    let values = [("Device.I.1.Proto", "dhcp"), ("Device.I.1.Mtu", "1400"), ("Device.T.[new].Ssid", "x")];
    assert_eq!(b.set(&values).unwrap(), Status::AtSessionEnd);
    assert_eq!((b.config("network"), b.config("wireless")), (NETWORK.to_owned(), WIRELESS.to_owned()));
    assert_eq!(b.value("Device.I.1.Proto"), "dhcp");
    assert_eq!(b.tree.end_session(), [""; 0]);
    assert!(b.config("network").contains("option proto 'dhcp'") && b.config("network").contains("'1400'"));
    assert!(b.config("wireless").ends_with("\toption ssid 'x'\n"));
    let mut b = b.restart();
    let back = b.tree.put_back_trial(crate::state::journal::Batch::default());
    assert_eq!(back.notes, [""; 0]);
    assert_eq!((b.config("network"), b.config("wireless")), (NETWORK.to_owned(), WIRELESS.to_owned()));
}

/// Services are told when the session has ended; a crash before it is made good by the next start.
#[test]
fn services_hear_of_what_was_written() {
    let mut b = bench();
    let marker = |b: &Bench| std::fs::read_to_string(b.root.root().join("run/cwmpd/reload")).ok();
    b.tree.begin_session();
    b.set(&[("Device.G.Host", "x"), ("Device.T.1.Ssid", "y")]).unwrap();
    b.set(&[("Device.G.Host", "z")]).unwrap();
    assert_eq!(marker(&b).as_deref(), Some("system\nwireless"));
    assert!(b.sources.borrow().waits());
    // The process dies.
    let mut b = b.restart();
    assert_eq!(marker(&b), None);
    assert_eq!(b.set_as(&[("Device.G.Host", "w")], Writer::Local).unwrap(), Status::Applied);
    assert_eq!(marker(&b), None);
    assert!(!b.sources.borrow().waits());
}
