//! Tables of the services' providers, on routers of a few files.

use super::super::provider::Provider;
use super::super::sources::Sources;
use crate::handlers::probe::{self, Folder};
use crate::sys::ubus::Place;
use std::rc::Rc;

/// The provider of a name, on a router.
fn provider(f: &Folder, name: &str) -> Provider {
    let sources = Sources::new(Some(Place::Recorded(f.root().to_owned())), None, Rc::default());
    let spec = super::super::SPECS.iter().flat_map(|s| s.iter()).find(|s| s.name == name);
    Provider { spec: spec.expect("a provider"), sources }
}

fn list(f: &Folder, name: &str, path: &str, keys: &[&str]) -> Vec<String> {
    probe::list(&mut provider(f, name), f.root(), path, keys)
}

/// The values of a row, with bars between.
fn line(f: &Folder, name: &str, path: &str, keys: &[&str], params: &[&str]) -> String {
    probe::line(&probe::get(&mut provider(f, name), f.root(), path, keys, params), params)
}

const POOL: &str = "Device.DHCPv4.Server.Pool.{i}.";
const CLIENT: &str = "Device.DHCPv4.Server.Pool.{i}.Client.{i}.";

fn router(files: &[(&str, &str)]) -> Folder {
    let f = Folder::new();
    f.file(".cwmpd/time", "1790856000\n");
    files.iter().for_each(|(path, text)| f.file(path, text));
    f
}

const NETWORK: &str = "config interface lan\n\toption proto static\n\toption ipaddr 192.168.1.1\n\toption netmask 255.255.255.0\n\
                       config interface big\n\toption proto static\n\tlist ipaddr 10.0.0.1/16\n\
                       config interface tiny\n\toption ipaddr 192.0.2.1/31\n";

#[test]
fn pools() {
    let f = router(&[
        ("etc/config/network", NETWORK),
        (
            "etc/config/dhcp",
            "config dhcp lan\n\toption start 100\n\toption limit 500\n\toption leasetime 12h\n\
             config dhcp big\n\toption start 0.0.1.0\n\toption limit 256\n\tlist dhcp_option 6,10.0.0.2,10.0.0.3\n\tlist dhcp_option option:router,10.0.0.9\n\
             config dhcp tiny\n\
             config dhcp odd\n\toption interface nowhere\n\toption start x\n\
             config dhcp off\n\toption interface lan\n\toption ignore 1\n",
        ),
    ]);
    let names =
        ["Enable", "Status", "Order", "MinAddress", "MaxAddress", "SubnetMask", "DNSServers", "IPRouters"];
    for (key, want) in [
        // The pool ends with the network.
        ("lan", "true|Error|1|192.168.1.100|192.168.1.254|255.255.255.0|192.168.1.1|192.168.1.1"),
        ("big", "true|Error|2|10.0.1.0|10.0.1.255|255.255.0.0|10.0.0.2,10.0.0.3|10.0.0.9"),
        ("tiny", "true|Error|3|-|-|255.255.255.254|192.0.2.1|192.0.2.1"),
        ("odd", "true|Error_Misconfigured|4|-|-|-|-|-"),
        ("off", "false|Disabled|5|192.168.1.100|192.168.1.249|255.255.255.0|192.168.1.1|192.168.1.1"),
        ("gone", "-|-|-|-|-|-|-|-"),
    ] {
        assert_eq!(line(&f, "dhcp4_pool", POOL, &[key], &names), want, "{key}");
    }
}

#[test]
fn leases_of_both_servers() {
    let f = router(&[
        ("etc/config/network", NETWORK),
        (
            "etc/config/dhcp",
            "config dnsmasq\n\toption leasefile /tmp/here\nconfig dhcp lan\n\toption interface lan\nconfig dhcp big\n",
        ),
        (
            "tmp/here",
            "1790856100 02:00:00:00:00:0A 192.168.1.5 a 01:02\n1 02:00:00:00:00:0b 192.168.1.6 * *\n\
             0 02:00:00:00:00:0c 10.0.4.4 c *\nnonsense\n1790856100 02:00:00:00:00:0a 192.168.1.7 a *\n",
        ),
    ]);
    assert_eq!(list(&f, "dhcp4_lease", CLIENT, &["lan"]), ["02:00:00:00:00:0a", "02:00:00:00:00:0b"]);
    assert_eq!(list(&f, "dhcp4_lease", CLIENT, &["big"]), ["02:00:00:00:00:0c"]);
    assert!(list(&f, "dhcp4_lease", CLIENT, &["gone"]).is_empty());
    let get = |keys: &[&str]| line(&f, "dhcp4_lease", CLIENT, keys, &["Chaddr", "Active"]);
    assert_eq!(get(&["lan", "02:00:00:00:00:0a"]), "02:00:00:00:00:0a|true");
    assert_eq!(get(&["lan", "02:00:00:00:00:0b"]), "02:00:00:00:00:0b|false", "it has ended");
    assert_eq!(get(&["lan", "02:00:00:00:00:0c"]), "-|-", "it is of the other pool");
    let addresses = "Device.DHCPv4.Server.Pool.{i}.Client.{i}.IPv4Address.{i}.";
    assert_eq!(
        list(&f, "dhcp4_lease", addresses, &["lan", "02:00:00:00:00:0a"]),
        ["192.168.1.5", "192.168.1.7"]
    );
    let time = line(
        &f,
        "dhcp4_lease",
        addresses,
        &["big", "02:00:00:00:00:0c", "10.0.4.4"],
        &["LeaseTimeRemaining"],
    );
    assert_eq!(time, "9999-12-31T23:59:59Z");
    let options = "Device.DHCPv4.Server.Pool.{i}.Client.{i}.Option.{i}.";
    assert_eq!(list(&f, "dhcp4_lease", options, &["lan", "02:00:00:00:00:0a"]), ["12", "61"]);

    // odhcpd as the main server.
    f.file("etc/config/dhcp", "config odhcpd odhcpd\n\toption maindhcp 1\nconfig dhcp lan\n");
    f.file(
        ".cwmpd/ubus/dhcp/ipv4leases.json",
        r#"{"device":{"br-lan":{"leases":[{"mac":"02000000000d","hostname":"d","address":"192.168.1.8","valid":60},
            {"mac":"0200","address":"192.168.1.9","valid":60},{"mac":"02000000000e","address":"192.168.1.9","valid":-1},7]},"x":3}}"#,
    );
    assert_eq!(list(&f, "dhcp4_lease", CLIENT, &["lan"]), ["02:00:00:00:00:0d", "02:00:00:00:00:0e"]);
    let get = |key| line(&f, "dhcp4_lease", addresses, &["lan", key, "192.168.1.9"], &["LeaseTimeRemaining"]);
    assert_eq!(get("02:00:00:00:00:0e"), "9999-12-31T23:59:59Z");
    assert_eq!(get("02:00:00:00:00:0d"), "-");
}

#[test]
fn names_that_were_heard() {
    let f = router(&[(
        ".cwmpd/ubus/umdns/browse.json",
        r#"{"_ipp._tcp":{"a b":{"port":631,"txt":["k=v=w","flag","=x","k=y"],"host":"p.local"},"odd":5},
            "_x":{"n":{"port":70000}},"none":{"n":{}},"_y._udp":[]}"#,
    )]);
    let (table, texts) = ("Device.DNS.SD.Service.{i}.", "Device.DNS.SD.Service.{i}.TextRecord.{i}.");
    assert_eq!(list(&f, "dns_sd", table, &[]), ["a b._ipp._tcp", "odd._ipp._tcp", "n._x"]);
    let names =
        ["InstanceName", "ApplicationProtocol", "TransportProtocol", "Domain", "Port", "Target", "Status"];
    let get = |key| line(&f, "dns_sd", table, &[key], &names);
    assert_eq!(get("a b._ipp._tcp"), "a b|ipp|TCP|local|631|p.local|LeaseActive");
    assert_eq!(get("gone"), "-|-|-|-|-|-|-");
    assert_eq!(list(&f, "dns_sd", texts, &["a b._ipp._tcp"]), ["k", "flag"]);
    assert_eq!(line(&f, "dns_sd", texts, &["a b._ipp._tcp", "k"], &["Key", "Value"]), "k|v=w");
}

#[test]
fn servers_of_names() {
    let dump = r#"{"interface":[
        {"interface":"wan","up":true,"proto":"dhcp","dns-server":["192.0.2.53","192.0.2.54","x",5]},
        {"interface":"wwan","up":true,"proto":"qmi","dns-server":["192.0.2.53"]},
        {"interface":"ppp","up":true,"proto":"pppoe","dns-server":["2001:db8::53"]},
        {"interface":"ra","up":true,"proto":"none","dns-server":["2001:db8::54"]},
        {"interface":"down","up":false,"proto":"dhcp","dns-server":["192.0.2.99"]},7,{}]}"#;
    let f = router(&[
        ("etc/config/network", "config interface wan\n\tlist dns 192.0.2.54\n"),
        (
            "etc/config/dhcp",
            "config dnsmasq\n\tlist server '192.0.2.1#5353'\n\tlist server /corp/192.0.2.2\n\tlist server 192.0.2.54@wan\n\tlist server no\n",
        ),
        (".cwmpd/ubus/network.interface/dump.json", dump),
    ]);
    let (table, relay) = ("Device.DNS.Client.Server.{i}.", "Device.DNS.Relay.Forwarding.{i}.");
    let all = ["wan 192.0.2.53", "wan 192.0.2.54", "wwan 192.0.2.53", "ppp 2001:db8::53", "ra 2001:db8::54"];
    assert_eq!(list(&f, "dns_server", table, &[]), all);
    let kinds = all.map(|key| line(&f, "dns_server", table, &[key], &["Type"]));
    assert_eq!(kinds, ["DHCPv4", "Static", "3GPP-NAS", "IPCP", "RouterAdvertisement"]);
    let asked = ["192.0.2.1#5353", "192.0.2.54@wan", all[0], all[2], all[3], all[4]];
    assert_eq!(list(&f, "dns_forwarder", relay, &[]), asked);
    let names = ["Enable", "DNSServer", "Interface", "Type"];
    let get = |key| line(&f, "dns_forwarder", relay, &[key], &names);
    assert_eq!(get("192.0.2.54@wan"), "true|192.0.2.54|Device.IP.Interface.{i}.<wan>|Static");
    assert_eq!(get("192.0.2.1#5353"), "true|192.0.2.1|-|Static");
    f.file(
        "etc/config/dhcp",
        "config dnsmasq\n\toption noresolv 1\n\toption port 0\n\toption server 192.0.2.1\n",
    );
    assert_eq!(list(&f, "dns_forwarder", relay, &[]), ["192.0.2.1"]);
    assert_eq!(line(&f, "dns_forwarder", relay, &["192.0.2.1"], &["Enable", "Status"]), "false|Disabled");
}

#[test]
fn rules_that_are_odd() {
    let f = router(&[(
        "etc/config/firewall",
        "config zone\n\toption name wan\n\toption network 'wan wan6'\n\toption masq 1\n\
         config rule a\n\toption src nowhere\n\toption target ACCEPT\n\toption dest_port 70000\n\toption proto 'tcp nonsense !17'\n\toption dscp x\n\toption icmp_type 300\n\
         config rule b\n\toption src wan\n\toption dest lan\n\toption target accept\n\toption proto tcpudp\n\toption src_mac ''\n\
         config rule c\n\
         config redirect r\n\toption src wan\n\toption src_dport 80:90\n\toption proto 6\n\
         config redirect s\n\toption target SNAT\n",
    )]);
    let rule = "Device.Firewall.Chain.{i}.Rule.{i}.";
    let keys = list(&f, "firewall", rule, &["rule"]);
    assert_eq!(keys, ["a", "a/nonsense", "a/!17", "b", "b/udp", "c", "c/udp"]);
    let names =
        ["Status", "Target", "SourceInterface", "Protocol", "ProtocolExclude", "DestPort", "DSCP", "Order"];
    for (key, want) in [
        ("a", "Error_Misconfigured|Accept|-|6|false|-1|-1|1"),
        ("a/nonsense", "Error_Misconfigured|Accept|-|-|false|-1|-1|2"),
        ("a/!17", "Error_Misconfigured|Accept|-|17|false|-1|-1|3"),
        ("b/udp", "Error_Misconfigured|Accept|Device.IP.Interface.{i}.<wan>|17|false|-1|-1|5"),
        ("c", "Enabled|-|-|6|false|-1|-1|6"),
        ("c/sctp", "-|-|-|-|-|-|-|-"),
        ("d", "-|-|-|-|-|-|-|-"),
    ] {
        let want = want.to_owned();
        assert_eq!(line(&f, "firewall", rule, &["rule", key], &names), want, "{key}");
    }
    assert_eq!(list(&f, "firewall", "Device.NAT.PortMapping.{i}.", &[]), ["r"]);
    let ports = ["ExternalPort", "ExternalPortEndRange", "InternalPort", "Protocol", "InternalClient"];
    assert_eq!(line(&f, "firewall", "Device.NAT.PortMapping.{i}.", &["r"], &ports), "80|90|80|TCP|");
    assert_eq!(list(&f, "firewall", "Device.Firewall.Pinhole.{i}.", &[]), ["b"]);
    assert_eq!(list(&f, "firewall", "Device.Firewall.Service.{i}.", &[]), ["a"]);
    let service = ["DestPort", "ICMPType", "Protocol"];
    assert_eq!(line(&f, "firewall", "Device.Firewall.Service.{i}.", &["a"], &service), "-1|-1|6,17");
}

#[test]
fn ports_that_hosts_opened() {
    let f = router(&[(
        "var/run/miniupnpd.leases",
        "TCP:80:192.168.1.2:8080:1790856060:web\nbad\nUDP:9:10.0.0.1:9:0:\n",
    )]);
    let table = "Device.NAT.PortMapping.{i}.";
    assert_eq!(list(&f, "firewall", table, &[]), ["upnp TCP 80", "upnp UDP 9"]);
    let names =
        ["Origin", "ExternalPort", "InternalPort", "InternalClient", "RemainingLeaseTime", "Description"];
    assert_eq!(line(&f, "firewall", table, &["upnp TCP 80"], &names), "UPnP|80|8080|192.168.1.2|60|web");
    assert_eq!(line(&f, "firewall", table, &["upnp UDP 9"], &names), "UPnP|9|9|10.0.0.1|-|");
    assert_eq!(line(&f, "firewall", table, &["upnp UDP 10"], &names), "-|-|-|-|-|-");
}

#[test]
fn leases_of_six() {
    let f = router(&[
        ("etc/config/dhcp", "config dhcp lan\n"),
        (
            ".cwmpd/ubus/network.interface/dump.json",
            r#"{"interface":[{"interface":"lan","up":true,"l3_device":"br-lan"}]}"#,
        ),
        (
            ".cwmpd/ubus/dhcp/ipv6leases.json",
            r#"{"device":{"br-lan":{"leases":[
                {"duid":"0003000102000000000a","valid":0,"ipv6-addr":[{"address":"2001:db8::5","preferred-lifetime":-1,"valid-lifetime":60}]},
                {"duid":"0003000102000000000a","valid":9,"ipv6-prefix":[{"address":"2001:db8:1::","prefix-length":62,"valid-lifetime":60}]},
                {"duid":"","valid":1},{"valid":1}]}}}"#,
        ),
    ]);
    let client = "Device.DHCPv6.Server.Pool.{i}.Client.{i}.";
    let duid = "0003000102000000000a";
    assert_eq!(list(&f, "dhcp6_lease", client, &["lan"]), [duid]);
    assert_eq!(line(&f, "dhcp6_lease", client, &["lan", duid], &["Active"]), "true");
    let (address, prefix) = (format!("{client}IPv6Address.{{i}}."), format!("{client}IPv6Prefix.{{i}}."));
    assert_eq!(list(&f, "dhcp6_lease", &address, &["lan", duid]), ["2001:db8::5"]);
    assert_eq!(list(&f, "dhcp6_lease", &prefix, &["lan", duid]), ["2001:db8:1::/62"]);
    let names = ["IPAddress", "PreferredLifetime", "ValidLifetime"];
    let found = line(&f, "dhcp6_lease", &address, &["lan", duid, "2001:db8::5"], &names);
    assert_eq!(found, "2001:db8::5|9999-12-31T23:59:59Z|2026-10-01T12:01:00Z");
}

#[test]
fn nothing_of_it_is_there() {
    let f = router(&[]);
    for (name, table, keys) in [
        ("firewall", "Device.NAT.PortMapping.{i}.", &[][..]),
        ("firewall", "Device.Hosts.AccessControl.{i}.", &[]),
        ("dhcp4_lease", CLIENT, &["lan"]),
        ("dhcp4_static", "Device.DHCPv4.Server.Pool.{i}.StaticAddress.{i}.", &["lan"]),
        ("dns_server", "Device.DNS.Client.Server.{i}.", &[]),
        ("dns_forwarder", "Device.DNS.Relay.Forwarding.{i}.", &[]),
        ("dns_sd", "Device.DNS.SD.Advertise.{i}.", &[]),
        ("ddns", "Device.DynamicDNS.Client.{i}.Hostname.{i}.", &["x"]),
        ("dhcp6_received", "Device.DHCPv6.Client.{i}.ReceivedOption.{i}.", &["wan6"]),
        ("dhcp4_requested", "Device.DHCPv4.Client.{i}.ReqOption.{i}.", &["wan"]),
    ] {
        assert!(list(&f, name, table, keys).is_empty(), "{table}");
    }
}

#[test]
fn leases_are_read_once_in_an_rpc() {
    use crate::model::handler::Ctx;
    let f = router(&[("tmp/dhcp.leases", "0 02:00:00:00:00:01 192.168.1.20 one *\n")]);
    let sources = Sources::new(Some(Place::Recorded(f.root().to_owned())), None, Rc::default());
    let mut read = |epoch| {
        let ctx = Ctx { epoch, root: f.root() };
        super::leases::read(&mut sources.borrow_mut(), &ctx).len()
    };
    assert_eq!(read(1), 1);
    f.file("tmp/dhcp.leases", "");
    assert_eq!((read(1), read(2)), (1, 0), "as it was read in the RPC, and afresh in the next");
}

/// netifd calls a section without a name as libuci does; the row that is referred to has a key of its own.
#[test]
fn the_access_point_of_a_host() {
    let wireless = "config wifi-iface\n\toption mode 'ap'\nconfig wifi-iface 'named'\n";
    let f = router(&[("etc/config/wireless", wireless), ("etc/config/dhcp", "")]);
    let package = crate::sys::uci::load(f.root(), "wireless").unwrap().unwrap();
    for section in package.of_kind("wifi-iface") {
        f.file(
            ".cwmpd/ubus/network.wireless/status.json",
            &format!(r#"{{"radio0":{{"interfaces":[{{"section":"{}","ifname":"wlan0"}}]}}}}"#, section.id()),
        );
        f.file(".cwmpd/ubus/hostapd.wlan0/get_clients.json", r#"{"clients":{"02:00:00:00:00:0A":{}}}"#);
        let got =
            line(&f, "host_joined", "Device.Hosts.Host.{i}.", &["02:00:00:00:00:0a"], &["AssociatedDevice"]);
        let key = section.key();
        let want = format!("Device.WiFi.AccessPoint.{{i}}.AssociatedDevice.{{i}}.<{key},02:00:00:00:00:0a>");
        assert_eq!(got, want);
    }
}
