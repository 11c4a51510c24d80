//! By which address of ours a peer would be reached.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

/// Asks the kernel, which looks it up in its routes; nothing is sent. `interface` is the one that the
/// connection would be bound to.
///
/// # Errors
/// There is no way to the peer now, or the interface cannot be bound to.
pub fn toward(peer: SocketAddr, interface: Option<&str>) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    if let Some(interface) = interface {
        setsockopt(&socket, sockopt::BindToDevice, &interface.into())?;
    }
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_ourselves_is_loopback() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 7547));
        assert_eq!(toward(here, None).expect("a way"), Ipv4Addr::LOCALHOST);
        assert!(toward(here, Some("nosuch0")).is_err());
    }
}
