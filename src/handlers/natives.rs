//! The native providers by name. `build.rs` reads this list too, so a row that names a provider that
//! does not exist is a compile error with file and line.

/// Every name that `native = "…"` may have in `datamodel/*.toml`.
pub const NAMES: &[&str] = &[
    // The network, in the order of `linux::NETWORK`.
    "ethernet_interface",
    "ethernet_link",
    "ethernet_vlan",
    "ethernet_lag",
    "link_stats",
    "wifi_radio",
    "wifi_ssid",
    "bridge",
    "bridge_stp",
    "bridge_port",
    "bridge_vlan",
    "bridge_vlan_port",
    "ip",
    "ip_interface",
    "ip_ipv4_address",
    "ip_ipv6_address",
    "ip_ipv6_prefix",
    "ip_active_port",
    "ppp_interface",
    "routing_router",
    "routing_ipv4",
    "routing_ipv6",
    "route_information",
    "route_information_interface",
    "neighbor_discovery",
    "neighbor_discovery_interface",
    "hosts",
    "hosts_ipv4",
    "hosts_ipv6",
    "interface_stack",
];
