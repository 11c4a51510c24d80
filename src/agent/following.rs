//! The address that connection requests are taken at when `listen = "auto"`: the one by which the ACS is
//! reached. A new lease or another uplink changes it while no session runs: the kernel tells that
//! addresses or routes changed, and then it is looked up; a change moves the port, and the new
//! ConnectionRequestURL asks for a session (CR-15, CR-18).

use std::net::{IpAddr, SocketAddr};

/// What is followed.
#[derive(Default)]
pub struct Following {
    /// Where the last session connected to.
    acs: Option<SocketAddr>,
}

impl Following {
    /// A session connected to this address of the ACS.
    pub fn reached(&mut self, acs: Option<SocketAddr>) {
        self.acs = acs.or(self.acs);
    }

    /// Whether there is an address to follow, so that the kernel's word is wanted.
    pub fn is_on(&self) -> bool {
        self.acs.is_some()
    }

    /// The address by which the ACS is reached now, when it is not `local` any more: one question to the
    /// kernel, no packet. While there is no way to the ACS nothing is known to have changed.
    pub fn look(
        &self,
        local: Option<IpAddr>,
        toward: impl FnOnce(SocketAddr) -> std::io::Result<IpAddr>,
    ) -> Option<IpAddr> {
        toward(self.acs?).ok().filter(|found| Some(*found) != local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: CR-18
    #[test]
    fn only_another_address_is_news() {
        let acs = SocketAddr::from(([192, 0, 2, 1], 443));
        let (old, new) = (IpAddr::from([198, 51, 100, 1]), IpAddr::from([198, 51, 100, 2]));
        let mut following = Following::default();
        let never = |_: SocketAddr| -> std::io::Result<IpAddr> { panic!("nobody is followed") };
        following.reached(None);
        assert_eq!((following.is_on(), following.look(Some(old), never)), (false, None));
        following.reached(Some(acs));
        following.reached(None);
        assert!(following.is_on());
        let found = |address: IpAddr| {
            move |peer: SocketAddr| {
                assert_eq!(peer, acs);
                Ok(address)
            }
        };
        assert_eq!(following.look(Some(old), found(old)), None, "the same");
        let no_way = |_: SocketAddr| Err(std::io::ErrorKind::NetworkUnreachable.into());
        assert_eq!(following.look(Some(old), no_way), None);
        assert_eq!(following.look(Some(old), found(new)), Some(new));
        assert_eq!(following.look(None, found(new)), Some(new));
    }
}
