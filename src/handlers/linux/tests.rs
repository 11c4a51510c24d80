//! The providers of the network over a router made of files, and once over this machine.
//!
//! The walk is a small tree: it lists and fills every object that a provider of the network serves
//! and holds each value against its type.

use super::network_providers;
use crate::model::builtin::builtin;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Row, Set, Want};
use crate::model::schema::{Object, Platform, Schema, SourceKind};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with the test.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cwmpd-network-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Root(std::env::temp_dir().join(name))
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path))
            .unwrap()
            .trim()
            .to_string()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The providers with the built-in schema.
struct Agent {
    schema: Schema,
    handlers: HashMap<&'static str, Box<dyn Handler>>,
    epoch: u32,
}

impl Agent {
    fn new() -> Agent {
        let mut all = Vec::new();
        network_providers(&mut all);
        Agent {
            schema: builtin(),
            handlers: all.into_iter().collect(),
            epoch: 0,
        }
    }

    /// Every value by a path with keys for instance numbers; a reference as `> object keys`.
    fn walk(&mut self, root: &Path) -> BTreeMap<String, String> {
        self.epoch += 1;
        let ctx = Ctx {
            epoch: self.epoch,
            root,
        };
        let mut out = BTreeMap::new();
        for object in self.schema.object(0).children() {
            below(
                &mut self.handlers,
                &ctx,
                object,
                &mut Vec::new(),
                "Device.",
                &mut out,
            );
        }
        out
    }

    /// Checks, stages and commits; gives what undo needs, or the codes of what is bad.
    fn set(
        &mut self,
        root: &Path,
        object: &str,
        keys: &[&str],
        values: &[(&str, &str)],
    ) -> Result<Vec<u8>, Vec<u16>> {
        let object = self.schema.find_object(object).unwrap();
        let source = object.source(Platform::Linux).unwrap();
        let handler = self.handlers.get_mut(source.arg).unwrap();
        let ctx = Ctx {
            epoch: self.epoch,
            root,
        };
        let row = Row {
            object,
            arg: source.arg,
            keys,
            numbers: &[],
        };
        let sets: Vec<Set<'_>> = values
            .iter()
            .map(|(name, value)| {
                let param = object.param(name).unwrap();
                assert!(param.is_writable(Platform::Linux), "{name}");
                Set {
                    param,
                    arg: source.arg,
                    value,
                    refers: None,
                }
            })
            .collect();
        let change = Change::Set(&sets);
        let mut bad: Vec<(usize, Failure)> = Vec::new();
        handler.check(&ctx, &row, &change, &mut bad);
        if !bad.is_empty() {
            return Err(bad.into_iter().map(|(_, f)| f.code.0).collect());
        }
        let saved = handler.stage(&ctx, &row, &change).unwrap();
        // A promised change may be committed twice.
        handler.commit(&ctx, &row, &change).unwrap();
        handler.commit(&ctx, &row, &change).unwrap();
        Ok(saved)
    }

    fn undo(&mut self, root: &Path, object: &str, keys: &[&str], saved: &[u8]) {
        let object = self.schema.find_object(object).unwrap();
        let source = object.source(Platform::Linux).unwrap();
        let row = Row {
            object,
            arg: source.arg,
            keys,
            numbers: &[],
        };
        let ctx = Ctx {
            epoch: self.epoch,
            root,
        };
        for _ in 0..2 {
            self.handlers
                .get_mut(source.arg)
                .unwrap()
                .undo(&ctx, &row, &Change::Set(&[]), saved)
                .unwrap();
        }
    }
}

fn below(
    handlers: &mut HashMap<&'static str, Box<dyn Handler>>,
    ctx: &Ctx<'_>,
    object: Object<'_>,
    keys: &mut Vec<String>,
    path: &str,
    out: &mut BTreeMap<String, String>,
) {
    let source = object
        .source(Platform::Linux)
        .filter(|s| s.kind == SourceKind::Native);
    let served = source.filter(|s| handlers.contains_key(s.arg));
    let path = format!("{path}{}.", object.name());
    let mut instances = vec![None];
    if object.is_table() {
        let Some(source) = served else { return };
        let words: Vec<&str> = keys.iter().map(String::as_str).collect();
        let row = Row {
            object,
            arg: source.arg,
            keys: &words,
            numbers: &[],
        };
        let mut names = Vec::new();
        handlers
            .get_mut(source.arg)
            .unwrap()
            .list(ctx, &row, &mut names)
            .unwrap();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(
            unique.len(),
            names.len(),
            "{path}: a key stands twice: {names:?}"
        );
        instances = names.into_iter().map(Some).collect();
    }
    for key in instances {
        let here = match &key {
            Some(key) => format!("{path}[{key}]."),
            None => path.clone(),
        };
        keys.extend(key.clone());
        if let Some(source) = served {
            row(
                handlers.get_mut(source.arg).unwrap().as_mut(),
                ctx,
                object,
                source.arg,
                keys,
                &here,
                out,
            );
        }
        for child in object.children() {
            below(handlers, ctx, child, keys, &here, out);
        }
        if key.is_some() {
            keys.pop();
        }
    }
}

fn row(
    handler: &mut dyn Handler,
    ctx: &Ctx<'_>,
    object: Object<'_>,
    arg: &str,
    keys: &[String],
    path: &str,
    out: &mut BTreeMap<String, String>,
) {
    let is_native = |p: &crate::model::schema::Param<'_>| {
        p.source(Platform::Linux)
            .is_some_and(|s| s.kind == SourceKind::Native && s.arg == arg)
    };
    let want: Vec<Want<'_>> = object
        .params()
        .filter(is_native)
        .map(|param| Want { param, arg })
        .collect();
    let words: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut fields = Fields::default();
    fields.reset(want.len());
    handler
        .get(
            ctx,
            &Row {
                object,
                arg,
                keys: &words,
                numbers: &[],
            },
            &want,
            &mut fields,
        )
        .unwrap();
    for (at, w) in want.iter().enumerate() {
        let name = format!("{path}{}", w.param.name());
        if let Some(references) = fields.references(at) {
            let text: Vec<String> = references
                .map(|(o, k)| format!("> {o} {}", k.join(" ")))
                .collect();
            out.insert(name, text.join(", "));
        } else if let Some(value) = fields.get(at) {
            // A value that is not canonical or does not fit would be changed by the tree.
            assert_eq!(w.param.kind().coerce(value), value, "{name}");
            out.insert(name, value.to_string());
        } else {
            out.insert(name, "-".into());
        }
    }
}

/// A router: PPPoE over a VLAN on eth0, a bridge of two ports and a radio, VLAN 10 on one port.
fn router() -> Root {
    let root = Root::new();
    let up = "flags=up,running,lower_up";
    root.file(
        ".cwmpd/links",
        &format!(
            "# a router\n\
             index=1 name=lo type=loopback mtu=65536 flags=up,loopback,running,lower_up mac=00:00:00:00:00:00\n\
             index=2 name=eth0 mac=02:00:00:00:00:02 mtu=1508 mtu_min=68 mtu_max=9000 state=up {up} rx_bytes=18446744073709551615 \
             tx_bytes=5 rx_errors=4294967296 tx_dropped=7 multicast=3 collisions=2 alias=to%20the%20provider\n\
             index=3 name=lan1 master=br-lan mac=02:00:00:00:00:03 state=up {up} vlans=1:pvid:untagged,10\n\
             index=4 name=lan2 master=br-lan mac=02:00:00:00:00:04 state=lowerlayerdown flags=up vlans=1:pvid:untagged\n\
             index=5 name=wlan0 master=br-lan mac=02:00:00:00:00:05 state=up {up}\n\
             index=6 name=br-lan kind=bridge mac=02:00:00:00:00:03 state=up {up}\n\
             index=7 name=eth0.10 kind=vlan lower=eth0 vlan=10 protocol=0x8100 mac=02:00:00:00:00:02 state=up {up}\n\
             index=8 name=ppp0 type=ppp mtu=1492 flags=up,running,pointopoint,noarp,lower_up\n\
             index=9 name=ifb0 kind=ifb mac=02:00:00:00:00:09\n\
             this is no record\n"
        ),
    );
    root.file(
        ".cwmpd/addresses",
        "dev=lo address=127.0.0.1/8 flags=permanent\n\
         dev=lo address=::1/128 flags=permanent proto=kernel_lo\n\
         dev=br-lan address=192.168.1.1/24 flags=permanent\n\
         dev=br-lan address=192.168.2.1/24 flags=permanent\n\
         dev=br-lan address=fe80::1/64 flags=permanent proto=kernel_ll\n\
         dev=br-lan address=2001:db8:1::1/64 flags=permanent\n\
         dev=ppp0 address=100.64.0.2/32 peer=100.64.0.1 flags=permanent\n\
         dev=ppp0 address=fe80::2/128 peer=fe80::99 flags=permanent\n\
         dev=eth0 address=2001:db8:2::7/64 flags=mngtmpaddr,deprecated preferred=0 valid=100 proto=kernel_ra\n",
    );
    root.file(
        ".cwmpd/routes",
        "dst=default dev=ppp0\n\
         dst=192.168.1.0/24 dev=br-lan proto=kernel\n\
         dst=10.0.0.0/8 type=blackhole metric=5 proto=static\n\
         dst=10.1.0.0/16 via=192.168.1.9 dev=br-lan proto=ospf metric=20\n\
         dst=127.0.0.1/32 dev=lo table=local type=local\n\
         dst=2001:db8:1::/64 dev=br-lan proto=kernel metric=256\n\
         dst=default via=fe80::fe dev=eth0 proto=ra pref=high expires=1000\n",
    );
    root.file(
        ".cwmpd/neighbours",
        "dev=br-lan address=fe80::20 mac=02:00:00:00:00:20 state=stale confirmed=9999\n\
         dev=br-lan address=192.168.1.20 mac=02:00:00:00:00:20 state=stale confirmed=9999\n\
         bridge=br-lan dev=lan1 mac=02:00:00:00:00:20 confirmed=3\n\
         dev=br-lan address=192.168.1.21 mac=02:00:00:00:00:21 state=reachable\n\
         bridge=br-lan dev=wlan0 mac=02:00:00:00:00:21\n\
         dev=br-lan address=192.168.1.22 mac=02:00:00:00:00:22 state=stale confirmed=301\n\
         dev=br-lan address=224.0.0.1 mac=01:00:5e:00:00:01 state=noarp\n\
         dev=br-lan address=192.168.1.23 state=failed\n\
         dev=ppp0 address=100.64.0.1 mac=02:00:00:00:00:99 state=reachable\n",
    );
    root.file("tmp/dhcp.leases", "0 02:00:00:00:00:20 192.168.1.20 laptop 01:02\n1 02:00:00:00:00:24 192.168.1.24 old *\nrubbish\n");
    root.file("sys/class/net/eth0/speed", "1000\n");
    root.file("sys/class/net/eth0/duplex", "full\n");
    root.file("sys/class/net/eth0/mtu", "1508\n");
    root.file("sys/class/net/eth0/flags", "0x1103\n");
    root.file("sys/class/net/lan2/speed", "-1\n");
    root.file("sys/class/net/wlan0/phy80211/name", "phy0\n");
    let bridge = "sys/class/net/br-lan/bridge";
    for (file, value) in [
        ("vlan_filtering", "1"),
        ("ageing_time", "30000"),
        ("stp_state", "0"),
        ("priority", "32768"),
        ("hello_time", "200"),
        ("max_age", "2000"),
        ("forward_delay", "1500"),
    ] {
        root.file(&format!("{bridge}/{file}"), value);
    }
    for (file, value) in [("state", "3"), ("priority", "32"), ("path_cost", "4")] {
        root.file(&format!("sys/class/net/lan1/brport/{file}"), value);
    }
    for device in ["all", "default", "br-lan", "eth0"] {
        for (file, value) in [
            ("disable_ipv6", "0"),
            ("dad_transmits", "1"),
            ("router_solicitation_interval", "4"),
            ("router_solicitations", "-1"),
            ("accept_ra", "1"),
            ("forwarding", "0"),
        ] {
            root.file(&format!("proc/sys/net/ipv6/conf/{device}/{file}"), value);
        }
        root.file(
            &format!("proc/sys/net/ipv6/neigh/{device}/retrans_time_ms"),
            "1000",
        );
    }
    root.file("proc/sys/net/ipv4/ip_forward", "1");
    root.file("proc/net/if_inet6", "");
    root.file(
        "proc/net/pppoe",
        "Id       Address              Device\n00000100 02:00:00:00:00:99  eth0.10\n",
    );
    root
}

#[test]
fn a_router_made_of_files() {
    let root = router();
    let mut agent = Agent::new();
    let seen = agent.walk(&root.0);
    let mut wrong = Vec::new();
    for (path, value) in GOLDEN {
        if seen.get(*path).map(String::as_str) != Some(value) {
            wrong.push(format!("{path}: {:?}, not {value:?}", seen.get(*path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for absent in [
        "Device.Ethernet.Interface.[br-lan].Name",
        "Device.Ethernet.Interface.[wlan0].Name",
        "Device.Ethernet.Link.[lan1].Name",
        "Device.Ethernet.Link.[eth0.10].Name",
        "Device.IP.Interface.[lan1].Name",
        "Device.IP.Interface.[ifb0].Name",
        "Device.Hosts.Host.[02:00:00:00:00:99].Active",
        "Device.Hosts.Host.[02:00:00:00:00:24].Active",
        "Device.Bridging.Bridge.[br-lan].Port.[eth0].Name",
    ] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
    let stack: Vec<&str> = seen
        .keys()
        .filter_map(|k| {
            k.strip_prefix("Device.InterfaceStack.[")?
                .strip_suffix("].LowerLayer")
        })
        .collect();
    assert_eq!(
        stack,
        [
            "ip/br-lan link/br-lan",
            "ip/eth0 link/eth0",
            "ip/eth0.10 vlan/eth0.10",
            "ip/ppp0 ppp/ppp0",
            "link/br-lan port/br-lan/br-lan",
            "link/eth0 ethernet/eth0",
            "port/br-lan/br-lan port/br-lan/lan1",
            "port/br-lan/br-lan port/br-lan/lan2",
            "port/br-lan/br-lan port/br-lan/wlan0",
            "port/br-lan/lan1 ethernet/lan1",
            "port/br-lan/lan2 ethernet/lan2",
            "port/br-lan/wlan0 ssid/wlan0",
            "ppp/ppp0 vlan/eth0.10",
            "ssid/wlan0 radio/phy0",
            "vlan/eth0.10 link/eth0",
        ]
    );
}

#[rustfmt::skip]
const GOLDEN: &[(&str, &str)] = &[
    ("Device.Ethernet.Interface.[eth0].Enable", "true"),
    ("Device.Ethernet.Interface.[eth0].Status", "Up"),
    ("Device.Ethernet.Interface.[eth0].MACAddress", "02:00:00:00:00:02"),
    ("Device.Ethernet.Interface.[eth0].Upstream", "true"),
    ("Device.Ethernet.Interface.[eth0].CurrentBitRate", "1000"),
    ("Device.Ethernet.Interface.[eth0].CurrentDuplexMode", "Full"),
    ("Device.Ethernet.Interface.[eth0].Stats.BytesReceived", "18446744073709551615"),
    ("Device.Ethernet.Interface.[eth0].Stats.BytesSent", "5"),
    ("Device.Ethernet.Interface.[eth0].Stats.ErrorsReceived", "0"),
    ("Device.Ethernet.Interface.[eth0].Stats.DiscardPacketsSent", "7"),
    ("Device.Ethernet.Interface.[eth0].Stats.MulticastPacketsReceived", "3"),
    ("Device.Ethernet.Interface.[eth0].Stats.Collisions", "2"),
    ("Device.Ethernet.Interface.[lan2].Status", "LowerLayerDown"),
    ("Device.Ethernet.Interface.[lan2].Upstream", "false"),
    ("Device.Ethernet.Interface.[lan2].CurrentBitRate", "0"),
    ("Device.Ethernet.Interface.[lan2].CurrentDuplexMode", "Unknown"),
    ("Device.Ethernet.Link.[br-lan].LowerLayers", "> Device.Bridging.Bridge.{i}.Port.{i}. br-lan br-lan"),
    ("Device.Ethernet.Link.[eth0].MTU", "1508"),
    ("Device.Ethernet.VLANTermination.[eth0.10].VLANID", "10"),
    ("Device.Ethernet.VLANTermination.[eth0.10].TPID", "33024"),
    ("Device.Ethernet.VLANTermination.[eth0.10].LowerLayers", "> Device.Ethernet.Link.{i}. eth0"),
    ("Device.WiFi.Radio.[phy0].Status", "Up"),
    ("Device.WiFi.SSID.[wlan0].LowerLayers", "> Device.WiFi.Radio.{i}. phy0"),
    ("Device.Bridging.Bridge.[br-lan].Standard", "802.1Q-2011"),
    ("Device.Bridging.Bridge.[br-lan].AgingTime", "300"),
    ("Device.Bridging.Bridge.[br-lan].STP.Enable", "false"),
    ("Device.Bridging.Bridge.[br-lan].STP.BridgePriority", "32768"),
    ("Device.Bridging.Bridge.[br-lan].STP.HelloTime", "200"),
    ("Device.Bridging.Bridge.[br-lan].STP.ForwardingDelay", "15"),
    ("Device.Bridging.Bridge.[br-lan].Port.[br-lan].ManagementPort", "true"),
    ("Device.Bridging.Bridge.[br-lan].Port.[lan1].ManagementPort", "false"),
    ("Device.Bridging.Bridge.[br-lan].Port.[lan1].PortState", "Forwarding"),
    ("Device.Bridging.Bridge.[br-lan].Port.[lan1].Priority", "128"),
    ("Device.Bridging.Bridge.[br-lan].Port.[lan1].PathCost", "4"),
    ("Device.Bridging.Bridge.[br-lan].Port.[lan2].PathCost", "-"),
    ("Device.Bridging.Bridge.[br-lan].Port.[wlan0].LowerLayers", "> Device.WiFi.SSID.{i}. wlan0"),
    ("Device.Bridging.Bridge.[br-lan].VLAN.[10].VLANID", "10"),
    ("Device.Bridging.Bridge.[br-lan].VLANPort.[10/lan1].Untagged", "false"),
    ("Device.Bridging.Bridge.[br-lan].VLANPort.[1/lan2].Untagged", "true"),
    ("Device.Bridging.Bridge.[br-lan].VLANPort.[1/lan2].Port", "> Device.Bridging.Bridge.{i}.Port.{i}. br-lan lan2"),
    ("Device.IP.IPv6Capable", "true"),
    ("Device.IP.IPv6Enable", "true"),
    ("Device.IP.IPv6Status", "Enabled"),
    ("Device.IP.Interface.[lo].Type", "Loopback"),
    ("Device.IP.Interface.[lo].Loopback", "true"),
    ("Device.IP.Interface.[lo].MaxMTUSize", "65535"),
    ("Device.IP.Interface.[lo].Status", "Up"),
    ("Device.IP.Interface.[lo].LowerLayers", "-"),
    ("Device.IP.Interface.[lo].IPv4Address.[primary].IPAddress", "127.0.0.1"),
    ("Device.IP.Interface.[lo].IPv6Address.[::1/128].Origin", "WellKnown"),
    ("Device.IP.Interface.[br-lan].LowerLayers", "> Device.Ethernet.Link.{i}. br-lan"),
    ("Device.IP.Interface.[br-lan].Router", "> Device.Routing.Router.{i}. main"),
    ("Device.IP.Interface.[br-lan].IPv4Address.[primary].IPAddress", "192.168.1.1"),
    ("Device.IP.Interface.[br-lan].IPv4Address.[primary].SubnetMask", "255.255.255.0"),
    ("Device.IP.Interface.[br-lan].IPv4Address.[primary].AddressingType", "Static"),
    ("Device.IP.Interface.[br-lan].IPv4Address.[192.168.2.1/24].IPAddress", "192.168.2.1"),
    ("Device.IP.Interface.[br-lan].IPv6Address.[2001:db8:1::1/64].Prefix", "> Device.IP.Interface.{i}.IPv6Prefix.{i}. br-lan 2001:db8:1::/64"),
    ("Device.IP.Interface.[br-lan].IPv6Address.[2001:db8:1::1/64].ValidLifetime", "9999-12-31T23:59:59Z"),
    ("Device.IP.Interface.[br-lan].IPv6Prefix.[2001:db8:1::/64].OnLink", "true"),
    ("Device.IP.Interface.[br-lan].IPv6Prefix.[2001:db8:1::/64].Origin", "Static"),
    ("Device.IP.Interface.[br-lan].IPv6Prefix.[fe80::/64].Origin", "WellKnown"),
    ("Device.IP.Interface.[eth0].IPv6Address.[2001:db8:2::7/64].IPAddressStatus", "Deprecated"),
    ("Device.IP.Interface.[eth0].IPv6Address.[2001:db8:2::7/64].Origin", "AutoConfigured"),
    ("Device.IP.Interface.[eth0].IPv6Prefix.[2001:db8:2::/64].Origin", "RouterAdvertisement"),
    ("Device.IP.Interface.[ppp0].LowerLayers", "> Device.PPP.Interface.{i}. ppp0"),
    ("Device.IP.Interface.[ppp0].IPv4Address.[primary].AddressingType", "IPCP"),
    ("Device.IP.Interface.[ppp0].IPv6Enable", "-"),
    ("Device.PPP.Interface.[ppp0].LowerLayers", "> Device.Ethernet.VLANTermination.{i}. eth0.10"),
    ("Device.PPP.Interface.[ppp0].ConnectionStatus", "Connected"),
    ("Device.PPP.Interface.[ppp0].IPCP.LocalIPAddress", "100.64.0.2"),
    ("Device.PPP.Interface.[ppp0].IPCP.RemoteIPAddress", "100.64.0.1"),
    ("Device.PPP.Interface.[ppp0].IPv6CP.RemoteInterfaceIdentifier", "fe80::99"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[0.0.0.0/0 dev ppp0].DestIPAddress", "-"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[0.0.0.0/0 dev ppp0].Interface", "> Device.IP.Interface.{i}. ppp0"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[0.0.0.0/0 dev ppp0].StaticRoute", "true"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[192.168.1.0/24 dev br-lan].DestSubnetMask", "255.255.255.0"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[192.168.1.0/24 dev br-lan].StaticRoute", "false"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[blackhole 10.0.0.0/8 metric 5].Type", "Blackhole"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[10.1.0.0/16 via 192.168.1.9 dev br-lan metric 20].Origin", "OSPF"),
    ("Device.Routing.Router.[main].IPv4Forwarding.[10.1.0.0/16 via 192.168.1.9 dev br-lan metric 20].GatewayIPAddress", "192.168.1.9"),
    ("Device.Routing.Router.[main].IPv6Forwarding.[2001:db8:1::/64 dev br-lan metric 256].DestIPPrefix", "2001:db8:1::/64"),
    ("Device.Routing.Router.[main].IPv6Forwarding.[::/0 via fe80::fe dev eth0].Origin", "RA"),
    ("Device.Routing.Router.[main].IPv6Forwarding.[::/0 via fe80::fe dev eth0].NextHop", "fe80::fe"),
    ("Device.Routing.RouteInformation.InterfaceSetting.[eth0].PreferredRouteFlag", "High"),
    ("Device.Routing.RouteInformation.InterfaceSetting.[eth0].SourceRouter", "fe80::fe"),
    ("Device.NeighborDiscovery.InterfaceSetting.[eth0].MaxRtrSolicitations", "4294967295"),
    ("Device.NeighborDiscovery.InterfaceSetting.[eth0].RtrSolicitationInterval", "4000"),
    ("Device.NeighborDiscovery.InterfaceSetting.[eth0].RSEnable", "true"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].IPAddress", "192.168.1.20"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].HostName", "laptop"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].Active", "true"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].Layer1Interface", "> Device.Ethernet.Interface.{i}. lan1"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].Layer3Interface", "> Device.IP.Interface.{i}. br-lan"),
    ("Device.Hosts.Host.[02:00:00:00:00:20].IPv6Address.[fe80::20].IPAddress", "fe80::20"),
    ("Device.Hosts.Host.[02:00:00:00:00:21].InterfaceType", "Wi-Fi"),
    ("Device.Hosts.Host.[02:00:00:00:00:21].Layer1Interface", "> Device.WiFi.Radio.{i}. phy0"),
    ("Device.Hosts.Host.[02:00:00:00:00:22].Active", "false"),
    ("Device.Hosts.Host.[02:00:00:00:00:22].InterfaceType", "Other"),
];

#[test]
fn what_is_set_takes_effect_and_is_undone() {
    let root = router();
    let mut agent = Agent::new();
    // Times that are counted from now differ from walk to walk.
    let still = |mut seen: BTreeMap<String, String>| {
        seen.retain(|path, _| !path.ends_with("Lifetime") && !path.ends_with("ExpirationTime"));
        seen
    };
    let before = still(agent.walk(&root.0));
    let stp = "Device.Bridging.Bridge.{i}.STP.";
    let changes: &[(&str, &[&str], &[(&str, &str)], &[(&str, &str)])] = &[
        (
            "Device.IP.Interface.{i}.",
            &["eth0"],
            &[("MaxMTUSize", "1400"), ("IPv6Enable", "false")],
            &[
                ("sys/class/net/eth0/mtu", "1400"),
                ("proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1"),
            ],
        ),
        (
            "Device.IP.",
            &[],
            &[("IPv6Enable", "false")],
            &[("proc/sys/net/ipv6/conf/all/disable_ipv6", "1")],
        ),
        (
            "Device.Ethernet.Interface.{i}.",
            &["eth0"],
            &[("Enable", "false")],
            &[("sys/class/net/eth0/flags", "0x1102")],
        ),
        (
            "Device.Bridging.Bridge.{i}.",
            &["br-lan"],
            &[("AgingTime", "60")],
            &[("sys/class/net/br-lan/bridge/ageing_time", "6000")],
        ),
        (
            stp,
            &["br-lan"],
            &[
                ("Enable", "true"),
                ("BridgePriority", "4096"),
                ("ForwardingDelay", "4"),
            ],
            &[
                ("sys/class/net/br-lan/bridge/stp_state", "1"),
                ("sys/class/net/br-lan/bridge/forward_delay", "400"),
            ],
        ),
        (
            "Device.Bridging.Bridge.{i}.Port.{i}.",
            &["br-lan", "lan1"],
            &[("Priority", "240"), ("PathCost", "100")],
            &[
                ("sys/class/net/lan1/brport/priority", "60"),
                ("sys/class/net/lan1/brport/path_cost", "100"),
            ],
        ),
        (
            "Device.NeighborDiscovery.InterfaceSetting.{i}.",
            &["eth0"],
            &[
                ("DADTransmits", "2"),
                ("RtrSolicitationInterval", "7000"),
                ("MaxRtrSolicitations", "3"),
                ("RetransTimer", "500"),
            ],
            &[(
                "proc/sys/net/ipv6/conf/eth0/router_solicitation_interval",
                "7",
            )],
        ),
    ];
    for (object, keys, values, files) in changes {
        let saved = agent.set(&root.0, object, keys, values).unwrap();
        for (file, text) in *files {
            assert_eq!(root.read(file), *text, "{file}");
        }
        let after = agent.walk(&root.0);
        for (name, value) in *values {
            let path = keys.iter().fold(object.to_string(), |p, k| {
                p.replacen("{i}", &format!("[{k}]"), 1)
            }) + name;
            assert_eq!(after.get(&path).map(String::as_str), Some(*value), "{path}");
        }
        agent.undo(&root.0, object, keys, &saved);
        assert_eq!(still(agent.walk(&root.0)), before, "{object}");
    }
}

#[test]
fn what_the_kernel_would_refuse_is_found_before() {
    let root = router();
    let mut agent = Agent::new();
    let stp = "Device.Bridging.Bridge.{i}.STP.";
    let port = "Device.Bridging.Bridge.{i}.Port.{i}.";
    for (object, keys, value, code) in [
        (
            "Device.IP.Interface.{i}.",
            &["eth0"][..],
            ("MaxMTUSize", "64"),
            9007,
        ),
        (
            "Device.IP.Interface.{i}.",
            &["eth0"],
            ("MaxMTUSize", "9001"),
            9007,
        ),
        (stp, &["br-lan"], ("BridgePriority", "4097"), 9007),
        (port, &["br-lan", "lan1"], ("Priority", "17"), 9007),
        (port, &["br-lan", "lan1"], ("PathCost", "0"), 9007),
        // No such switch on this machine: the management port, a device without IPv6, a device that went.
        (port, &["br-lan", "br-lan"], ("PathCost", "5"), 9001),
        (
            "Device.IP.Interface.{i}.",
            &["ppp0"],
            ("IPv6Enable", "false"),
            9001,
        ),
        (
            "Device.IP.Interface.{i}.",
            &["gone"],
            ("MaxMTUSize", "1500"),
            9001,
        ),
        (
            "Device.NeighborDiscovery.InterfaceSetting.{i}.",
            &["eth0"],
            ("DADTransmits", "4294967295"),
            9007,
        ),
        (
            "Device.NeighborDiscovery.InterfaceSetting.{i}.",
            &["eth0"],
            ("RtrSolicitationInterval", "4500"),
            9007,
        ),
    ] {
        assert_eq!(
            agent.set(&root.0, object, keys, &[value]),
            Err(vec![code]),
            "{value:?} {keys:?}"
        );
    }
    // A key that is no device's name never becomes a path.
    let result = agent.set(
        &root.0,
        "Device.IP.Interface.{i}.",
        &["../../../etc"],
        &[("MaxMTUSize", "1500")],
    );
    assert_eq!(result, Err(vec![9002]));
}

#[test]
fn of_the_host_nothing_shows_through() {
    let root = Root::new();
    std::fs::create_dir_all(&root.0).unwrap();
    let seen = Agent::new().walk(&root.0);
    let instances: Vec<&String> = seen
        .keys()
        .filter(|k| k.contains('[') && !k.contains("Router.[main]"))
        .collect();
    assert!(instances.is_empty(), "{instances:?}");
    assert_eq!(
        seen.get("Device.IP.IPv6Capable").map(String::as_str),
        Some("false")
    );
}

#[test]
fn this_machine_has_a_loopback() {
    let mut agent = Agent::new();
    let seen = agent.walk(Path::new("/"));
    let (objects, _) = agent.schema.counts(Platform::Linux);
    println!(
        "{objects} objects, {} values of the network here",
        seen.len()
    );
    let lo = seen.iter().find(|(k, v)| {
        k.starts_with("Device.IP.Interface.[") && k.ends_with("].Loopback") && *v == "true"
    });
    let (path, _) = lo.expect("every network namespace has a loopback");
    let device = path.strip_suffix("Loopback").unwrap();
    if seen.get(&format!("{device}Enable")).map(String::as_str) == Some("true") {
        let address = seen.get(&format!("{device}IPv4Address.[primary].IPAddress"));
        assert_eq!(address.map(String::as_str), Some("127.0.0.1"));
    }
}

#[test]
fn every_provider_has_its_name() {
    let mut all = Vec::new();
    network_providers(&mut all);
    for (name, _) in &all {
        assert!(crate::handlers::natives::NAMES.contains(name), "{name}");
    }
    let schema = builtin();
    for (name, _) in &all {
        let is_used = schema
            .sources
            .iter()
            .any(|s| s.kind == SourceKind::Native && schema.text(s.arg) == *name);
        assert!(is_used, "{name} serves nothing");
    }
}
