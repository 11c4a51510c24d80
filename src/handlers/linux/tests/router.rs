//! A router made of files, and what the tree must say of it.

use super::Root;

/// A router: PPPoE over a VLAN on eth0, a bridge of two ports and a radio, VLAN 10 on one port.
pub fn router() -> Root {
    let root = Root::new();
    let up = "flags=up,running,lower_up";
    root.file(
        ".cwmpd/links",
        &format!(
            "# a router\n\
             index=1 name=lo type=loopback mtu=65536 flags=up,loopback,running,lower_up mac=00:00:00:00:00:00\n\
             index=2 name=eth0 kind=veth lower=lan2 mac=02:00:00:00:00:02 mtu=1508 mtu_min=68 mtu_max=9000 state=up {up} rx_bytes=18446744073709551615 \
             tx_bytes=5 rx_errors=4294967296 tx_dropped=7 multicast=3 collisions=2\n\
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
    root.file(
        "tmp/dhcp.leases",
        "0 02:00:00:00:00:20 192.168.1.20 laptop 01:02\n1 02:00:00:00:00:24 192.168.1.24 old *\nrubbish\n",
    );
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
        root.file(&format!("proc/sys/net/ipv6/neigh/{device}/retrans_time_ms"), "1000");
    }
    root.file("proc/sys/net/ipv4/ip_forward", "1");
    root.file("proc/net/if_inet6", "");
    root.file(
        "proc/net/pppoe",
        "Id       Address              Device\n00000100 02:00:00:00:00:99  eth0.10\n",
    );
    root
}

#[rustfmt::skip]
/// Paths with keys for instance numbers, and values; `-` for what is not filled.
pub const GOLDEN: &[(&str, &str)] = &[
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
