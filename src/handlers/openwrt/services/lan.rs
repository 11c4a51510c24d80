//! Networks of netifd: what an interface is called, which addresses it has, whether it is up.

use crate::handlers::linux::network::mask4;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::Ctx;
use crate::sys::ubus::{Answer, Value};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// An address with its network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Net {
    /// The address of the box.
    pub address: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix: u8,
}

impl Net {
    /// `192.168.1.1/24`, or an address and the mask beside it.
    pub fn parse(address: &str, mask: Option<&str>) -> Option<Net> {
        let (address, prefix) = match address.split_once('/') {
            Some((address, length)) => (address, length.parse().ok()?),
            None => (address, mask.map_or(Some(32), |mask| Some(length(mask.parse().ok()?)))?),
        };
        Some(Net { address: address.parse().ok()?, prefix }).filter(|net| net.prefix <= 32)
    }

    /// The first address of the network.
    pub fn base(&self) -> u32 {
        self.address.to_bits() & mask4(self.prefix)
    }

    /// The last address of the network.
    pub fn last(&self) -> u32 {
        self.base() | !mask4(self.prefix)
    }

    /// Whether an address is of the network.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask4(self.prefix) == self.base()
    }
}

/// The length of a mask.
pub fn length(mask: Ipv4Addr) -> u8 {
    mask.to_bits().leading_ones() as u8
}

/// What netifd says of all interfaces.
pub fn dump(sources: &mut Sources, ctx: &Ctx<'_>) -> Rc<Answer> {
    sources.answer(ctx, "network.interface", "dump", &[]).unwrap_or_default()
}

/// The interfaces of an answer.
pub fn interfaces(dump: &Answer) -> impl Iterator<Item = Value<'_>> {
    dump.root().get("interface").into_iter().flat_map(Value::fields).map(|f| f.1)
}

/// A text of an interface.
pub fn text<'a>(interface: Value<'a>, name: &str) -> &'a str {
    interface.get(name).and_then(Value::text).unwrap_or("")
}

/// What netifd says of one interface.
pub fn interface<'a>(dump: &'a Answer, name: &str) -> Option<Value<'a>> {
    interfaces(dump).find(|i| text(*i, "interface") == name)
}

/// Whether it is up.
pub fn is_up(dump: &Answer, name: &str) -> bool {
    interface(dump, name).and_then(|i| i.get("up")?.flag()) == Some(true)
}

/// The IPv4 network of an interface: as it is configured, else as it is.
pub fn net(sources: &mut Sources, ctx: &Ctx<'_>, name: &str) -> Option<Net> {
    let package = sources.readable(ctx, "network");
    if let Some(section) = package.as_ref().and_then(|p| p.section(name))
        && let Some(net) =
            section.words("ipaddr").first().and_then(|address| Net::parse(address, section.get("netmask")))
    {
        return Some(net);
    }
    let dump = dump(sources, ctx);
    let first = interface(&dump, name)?.get("ipv4-address")?.at(0)?;
    let prefix = u8::try_from(first.get("mask")?.number()?).ok().filter(|n| *n <= 32)?;
    Some(Net { address: text(first, "address").parse().ok()?, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (address, mask, want) in [
            ("192.168.1.1", Some("255.255.255.0"), Some(("192.168.1.0", "192.168.1.255"))),
            ("10.0.3.1/22", None, Some(("10.0.0.0", "10.0.3.255"))),
            ("10.0.0.1", None, Some(("10.0.0.1", "10.0.0.1"))),
            ("10.0.0.1/33", None, None),
            ("10.0.0.1/x", None, None),
            ("fe80::1/64", None, None),
        ] {
            let found = Net::parse(address, mask).map(|net| [net.base(), net.last()]);
            let want = want.map(|(a, b)| [a, b].map(|t| t.parse::<Ipv4Addr>().unwrap().to_bits()));
            assert_eq!(found, want, "{address}");
        }
        let net = Net::parse("192.168.1.1/24", None).unwrap();
        assert!(net.contains([192, 168, 1, 200].into()) && !net.contains([192, 168, 2, 1].into()));
    }
}
