//! The address that connection requests are taken at when `listen = "auto"`: the one by which the ACS is
//! reached. A new lease or another uplink changes it while no session runs, so it is looked up now and
//! then; a change moves the port, and the new ConnectionRequestURL asks for a session (CR-15, CR-18).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How often it is looked up: one question to the kernel, no packet.
const EVERY: Duration = Duration::from_secs(10);

/// What is followed.
#[derive(Default)]
pub struct Following {
    /// Where the last session connected to.
    acs: Option<SocketAddr>,
    /// When it is looked up next, by the monotonic clock.
    at: Option<Duration>,
}

impl Following {
    /// A session connected to this address of the ACS.
    pub fn reached(&mut self, acs: Option<SocketAddr>, now: Duration) {
        self.acs = acs.or(self.acs);
        self.at = self.acs.map(|_| now + EVERY);
    }

    /// When it wants its turn.
    pub fn next(&self) -> Option<Duration> {
        self.at
    }

    /// The address by which the ACS is reached now, when it is due to be looked up and is not `local`
    /// any more. While there is no way to the ACS nothing is known to have changed.
    pub fn look(
        &mut self,
        now: Duration,
        local: Option<IpAddr>,
        toward: impl FnOnce(SocketAddr) -> std::io::Result<IpAddr>,
    ) -> Option<IpAddr> {
        let acs = self.acs.filter(|_| self.at.is_some_and(|at| now >= at))?;
        self.at = Some(now + EVERY);
        toward(acs).ok().filter(|found| Some(*found) != local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looked_up_when_due() {
        let s = Duration::from_secs;
        let acs = SocketAddr::from(([192, 0, 2, 1], 443));
        let (old, new) = (IpAddr::from([198, 51, 100, 1]), IpAddr::from([198, 51, 100, 2]));
        let mut following = Following::default();
        let never = |_: SocketAddr| -> std::io::Result<IpAddr> { panic!("not due") };
        assert_eq!((following.next(), following.look(s(100), Some(old), never)), (None, None));
        following.reached(None, s(100));
        assert_eq!(following.next(), None, "nobody was reached");
        following.reached(Some(acs), s(100));
        assert_eq!(following.look(s(109), Some(old), never), None);
        let found = |address: IpAddr| {
            move |peer: SocketAddr| {
                assert_eq!(peer, acs);
                Ok(address)
            }
        };
        assert_eq!(following.look(s(110), Some(old), found(old)), None, "the same");
        assert_eq!(following.next(), Some(s(120)));
        let no_way = |_: SocketAddr| Err(std::io::ErrorKind::NetworkUnreachable.into());
        assert_eq!(following.look(s(120), Some(old), no_way), None);
        assert_eq!(following.look(s(130), Some(old), found(new)), Some(new));
        assert_eq!(following.look(s(131), Some(old), never), None);
    }
}
