//! Hearing what others tell on the bus: events, and notifications of objects.

/// What the bus can tell of, as bits.
pub mod topic {
    /// netifd: its interfaces.
    pub const INTERFACE: u8 = 1;
    /// hostapd: access points and their stations.
    pub const WIRELESS: u8 = 2;
    /// procd: services.
    pub const SERVICE: u8 = 4;
    /// dnsmasq and odhcpd: leases.
    pub const LEASE: u8 = 8;

    /// What tells of changes of what this object answers; 0 when nothing does.
    pub fn of(object: &str) -> u8 {
        match object {
            "service" => SERVICE,
            "dnsmasq" | "dhcp" => LEASE,
            "iwinfo" | "network.wireless" => WIRELESS | INTERFACE,
            _ if object.starts_with("network.interface") => INTERFACE,
            _ if object.starts_with("hostapd.") => WIRELESS,
            _ => 0,
        }
    }
}
