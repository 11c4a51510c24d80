//! By which local address a peer is reached, asked of the kernel without sending a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

/// The local address that packets to this host would carry; `None` when the name does not resolve
/// or no route leads there. Connecting a datagram socket only chooses a route.
pub fn local_towards(host: &str, port: u16) -> Option<IpAddr> {
    (host, port).to_socket_addrs().ok()?.find_map(|peer: SocketAddr| {
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(peer).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_reached_from_loopback() {
        let local = super::local_towards("127.0.0.1", 7547).unwrap();
        assert!(local.is_loopback());
        assert_eq!(super::local_towards("no.such.host.invalid", 80), None);
    }
}
