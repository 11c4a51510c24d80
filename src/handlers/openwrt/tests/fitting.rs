//! Values that are not to reach a configuration that scripts make of UCI.

use super::super::provider::Provider;
use super::{ACS, Bench, code};
use crate::handlers::openwrt::sources::Sources;
use crate::handlers::probe::Folder;
use crate::model::builtin::builtin;
use crate::model::fault::Code;
use crate::model::handler::{Change, Ctx, Handler, Row, Set};
use crate::model::tree::{Status, Writer};
use crate::sys::ubus::Place;
use std::rc::Rc;

const ROWS: &str = r##"
["Device.W."]
Ssid = { type = "string", uci = "wireless.a.ssid", write = true }
Names = { type = "list(string)", uci = "wireless.a.names", write = true }
Zone = { type = "boolean", uci = "firewall.z.network | has a", write = true }
["Device.D."]
Name = { type = "string", uci = "ddns.d.domain", write = true }
Password = { type = "string", uci = "ddns.d.password", write = true }
"##;
const WIRELESS: &str = "config wifi-iface 'a'\n\toption ssid 'one\nline'\n\tlist names 'tab\there'\n";
const FIREWALL: &str = "config zone 'z'\n";
const DDNS: &str = "config service 'd'\n\toption password '$ecret'\n";

fn bench() -> Bench {
    let files =
        [("etc/config/wireless", WIRELESS), ("etc/config/firewall", FIREWALL), ("etc/config/ddns", DDNS)];
    Bench::new(ROWS, &files)
}

#[test]
fn a_control_character_is_refused_by_name() {
    let mut b = bench();
    let local = Writer::Local;
    for odd in ["a\nwpa_psk_file=/tmp/x", "a\r", "a\tb", "\u{1}", "a\0b", "a\u{7f}", "a\u{85}b"] {
        for (name, value) in [
            ("Device.W.Ssid", odd.to_owned()),
            ("Device.W.Names", format!("x,{odd}z")),
            ("Device.W.Names", "x,a%0Ab".to_owned()),
        ] {
            for writer in [ACS, local] {
                let set = [("Device.D.Name", "a.example"), (name, &*value)];
                let fault = b.set_as(&set, writer).unwrap_err();
                let said: Vec<_> = fault.parameters.iter().map(|p| (p.name.as_str(), p.code.0)).collect();
                assert_eq!(said, [(name, 9007)], "{value:?}: {fault}");
            }
        }
    }
    assert_eq!((b.config("wireless"), b.config("ddns")), (WIRELESS.to_owned(), DDNS.to_owned()));
}

#[test]
fn what_is_there_stays_and_comes_back() {
    let mut b = bench();
    // As it is: nothing changes.
    assert_eq!(b.set(&[("Device.W.Ssid", "one\nline")]).unwrap(), Status::Applied);
    b.set(&[("Device.W.Names", "new,tab\there")]).unwrap();
    assert!(b.config("wireless").contains("\tlist names 'tab\there'\n"), "{}", b.config("wireless"));
    let now = b.config("wireless");
    b.bar("firewall");
    assert_eq!(code(b.set(&[("Device.W.Ssid", "two"), ("Device.W.Zone", "true")])), 9002);
    assert_eq!(b.config("wireless"), now, "undone, with its end of line");
    b.unbar("firewall");
    b.set(&[("Device.W.Ssid", "two")]).unwrap();
    assert_eq!(code(b.set(&[("Device.W.Ssid", "one\nline")])), 9007, "not any more");
}

#[test]
fn nothing_for_a_shell() {
    let mut b = bench();
    for odd in ["x;reboot", "$(reboot)", "`reboot`", "a'b", "a\"b", "a b", "a|b", "a&b", "a>b", "a\\", "-x"] {
        for name in ["Device.D.Name", "Device.D.Password"] {
            let fault = b.set(&[("Device.W.Ssid", odd), (name, odd)]).unwrap_err();
            let said: Vec<_> = fault.parameters.iter().map(|p| (p.name.as_str(), p.code.0)).collect();
            assert_eq!(said, [(name, 9007)], "{odd}: {fault}");
        }
    }
    b.set(&[("Device.D.Name", "_x-1.example.org"), ("Device.D.Password", "$ecret")]).unwrap();
    b.set(&[("Device.D.Password", "a!#%*+,-./:=?@[]^_{}~ü")]).unwrap();
    b.set(&[("Device.W.Ssid", "Bob's $5; (no) \"-\"")]).unwrap();
}

/// Natives plan edits of several values at once: the one that cannot be written is named.
#[test]
fn natives_name_the_value() {
    let f = Folder::new();
    f.file("etc/config/dhcp", "config dhcp 'lan'\n\toption interface 'lan'\n");
    f.file("etc/config/network", "config interface 'lan'\n\toption ipaddr '192.168.1.1/24'\n");
    let sources = Sources::new(Some(Place::Recorded(f.root().to_owned())), None, Rc::default());
    let spec = super::super::SPECS.iter().flat_map(|s| s.iter()).find(|s| s.name == "dhcp4_pool").unwrap();
    let mut provider = Provider { spec, sources };
    let schema = builtin();
    let object = schema.find_object("Device.DHCPv4.Server.Pool.{i}.").unwrap();
    let set = |name, value| {
        let param = object.params().find(|p| p.name() == name).unwrap();
        Set { param, arg: "", value, refers: None }
    };
    let sets = [set("DNSServers", "192.0.2.1"), set("DomainName", "lan\ndhcp-script=/tmp/x")];
    let (ctx, row) =
        (Ctx { epoch: 1, root: f.root() }, Row { object, arg: "", keys: &["lan"], numbers: &[1] });
    let mut bad = Vec::new();
    provider.check(&ctx, &row, &Change::Set(&sets), &mut bad);
    let said: Vec<_> = bad.iter().map(|(at, failure)| (*at, failure.code)).collect();
    assert_eq!(said, [(1, Code::INVALID_VALUE)]);
    assert!(provider.stage(&ctx, &row, &Change::Set(&sets)).is_err(), "nor is it staged unjudged");
    bad.clear();
    provider.check(&ctx, &row, &Change::Set(&sets[..1]), &mut bad);
    assert!(bad.is_empty());
}
