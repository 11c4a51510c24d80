//! Generic netlink: a family of the kernel's by its name, its requests, and what it tells everybody.

use super::{
    Attribute, BATCH, DEADLINE, Error, NLM_F_DUMP, NLM_F_REQUEST, SEQUENCE, attributes, messages, nested,
    talk, text, u16_at, u32_at,
};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Bytes of the header of generic netlink.
pub const HEADER: usize = 4;
/// GENL_ID_CTRL, who knows the families.
const CONTROL: u16 = 16;
/// CTRL_CMD_GETFAMILY.
const GET_FAMILY: u8 = 3;
/// CTRL_ATTR_FAMILY_ID, _NAME, _MCAST_GROUPS; within the last, _GRP_NAME and _GRP_ID.
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const GROUPS: u16 = 7;
const GROUP_NAME: u16 = 1;
const GROUP_ID: u16 = 2;
/// NLM_F_ACK
const ACK: u16 = 4;

/// Attributes of a request.
#[derive(Default)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// As they go out.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, kind: u16, data: &[u8]) -> Attributes {
        let len = (4 + data.len()).min(usize::from(u16::MAX));
        self.0.extend((len as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data.iter().take(len - 4));
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, kind: u16, number: u32) -> Attributes {
        self.with(kind, &number.to_ne_bytes())
    }

    /// Adds others within one.
    #[must_use]
    pub fn nest(self, kind: u16, inner: &Attributes) -> Attributes {
        // NLA_F_NESTED
        self.with(kind | 0x8000, &inner.0)
    }
}

/// A family, and who listens to one of its groups.
pub struct Family {
    id: u16,
    socket: OwnedFd,
    /// `None` where the group cannot be joined.
    events: Option<OwnedFd>,
}

impl Family {
    /// Looks a family up, and listens to one of its groups.
    ///
    /// # Errors
    /// `Refused(ENOENT)`: this kernel does not have it. Else as of all requests.
    pub fn open(name: &str, group: &str) -> Result<Family, Error> {
        let socket = open(0)?;
        let mut found = (0, 0);
        let wanted = Attributes::default().with(FAMILY_NAME, &[name.as_bytes(), &[0]].concat());
        ask(&socket, CONTROL, GET_FAMILY, ACK, &wanted, &mut |payload| {
            found = family(payload, group).unwrap_or(found);
        })?;
        let (id, group) = found;
        if id == 0 {
            return Err(Error::Refused(Errno::ENOENT as i32));
        }
        // Only the first 32 groups can be joined by an address; those of the kernel's own families are among them
        // unless many are loaded.
        let events = match group {
            1..=32 => open(1 << (group - 1)).ok(),
            _ => None,
        };
        Ok(Family { id, socket, events })
    }

    /// Asks for one thing, or for all there are of it (`dump`). `sink` gets each answer: its command, and what has
    /// [`attributes_of`].
    ///
    /// # Errors
    /// The kernel's refusal, or no answer in time.
    pub fn ask(
        &self,
        command: u8,
        dump: bool,
        wanted: &Attributes,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Error> {
        let flags = if dump { NLM_F_DUMP } else { ACK };
        ask(&self.socket, self.id, command, flags, wanted, sink)
    }

    /// Readable when the group says something; `None` where it cannot be heard.
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// What the group has said: payloads as those of [`Family::ask`]. True when something was lost.
    pub fn heard(&self, sink: &mut dyn FnMut(&[u8])) -> bool {
        let Some(socket) = &self.events else { return false };
        let mut buffer = vec![0; BATCH];
        loop {
            match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return false,
                Ok(len) => messages(buffer.get(..len).unwrap_or(&[]))
                    .filter(|message| message.kind == self.id)
                    .for_each(|message| sink(message.payload)),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// The attributes of a payload of generic netlink.
pub fn attributes_of(payload: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    attributes(payload, HEADER)
}

fn open(groups: u32) -> Result<OwnedFd, Error> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkGeneric)
        .map_err(|errno| Error::System("socket", errno))?;
    if groups != 0 {
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(|errno| Error::System("bind", errno))?;
    }
    Ok(fd)
}

fn ask(
    socket: &OwnedFd,
    family: u16,
    command: u8,
    flags: u16,
    wanted: &Attributes,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Error> {
    let len = 16 + HEADER + wanted.0.len();
    let mut out = Vec::with_capacity(len);
    out.extend((len as u32).to_ne_bytes());
    out.extend(family.to_ne_bytes());
    out.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    out.extend(SEQUENCE.to_ne_bytes());
    out.extend([0; 4]);
    // The version of the families that are asked here is not looked at.
    out.extend([command, 0, 0, 0]);
    out.extend(&wanted.0);
    talk(socket, &out, Instant::now() + DEADLINE, sink).map(drop)
}

/// Number of the family and of its group (0: it has none of this name).
fn family(payload: &[u8], group: &str) -> Option<(u16, u32)> {
    let id = attributes_of(payload).find(|a| a.kind == FAMILY_ID).and_then(|a| u16_at(a.data, 0))?;
    let of_group = |one: Attribute<'_>| {
        let name = nested(one).find(|a| a.kind == GROUP_NAME).map(|a| text(a.data))?;
        let id = nested(one).find(|a| a.kind == GROUP_ID).and_then(|a| u32_at(a.data, 0))?;
        (name == group).then_some(id)
    };
    let groups = attributes_of(payload).find(|a| a.kind == GROUPS);
    Some((id, groups.and_then(|groups| nested(groups).find_map(of_group)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_and_its_group() {
        let group =
            |name: &str, id| Attributes::default().with(GROUP_NAME, name.as_bytes()).number(GROUP_ID, id);
        let groups = Attributes::default().nest(1, &group("config\0", 5)).nest(2, &group("scan\0", 6));
        let all = Attributes::default().with(FAMILY_ID, &28_u16.to_ne_bytes()).nest(GROUPS, &groups);
        let payload = [&[1, 2, 0, 0][..], &all.0].concat();
        assert_eq!(family(&payload, "scan"), Some((28, 6)));
        assert_eq!(family(&payload, "mlme"), Some((28, 0)));
        assert_eq!(family(&payload[..8], "scan"), None);
        for len in 0..payload.len() {
            let _ = family(&payload[..len], "scan");
        }
    }

    /// The one family that each kernel has is the one that knows them.
    #[test]
    fn the_live_kernel_knows_its_families() {
        let control = Family::open("nlctrl", "notify").unwrap();
        assert_eq!(control.id, CONTROL);
        let mut names = Vec::new();
        control
            .ask(GET_FAMILY, true, &Attributes::default(), &mut |payload| {
                names.extend(attributes_of(payload).filter(|a| a.kind == FAMILY_NAME).map(|a| text(a.data)));
            })
            .unwrap();
        assert!(names.contains(&"nlctrl".to_owned()), "{names:?}");
        assert!(!control.heard(&mut |_| {}));
        let none = Family::open("no-such-family", "x").err();
        assert_eq!(none, Some(Error::Refused(Errno::ENOENT as i32)));
    }
}
