//! Notes: rows that the ACS made, kept in a list of the section they are to be in, an item `KEY,FIELD,…` each.
//!
//! An item has no blanks, so programs that read lists by words see it whole; none of them knows the option.

use super::{add_item, remove_item};
use crate::sys::uci::{Edit, Section};

/// IPv4 addresses of an interface: key, address, length of the prefix.
pub const IPV4: &str = "cwmpd_ipaddr";
/// IPv6 addresses of an interface.
pub const IPV6: &str = "cwmpd_ip6addr";
/// Static prefixes of an interface.
pub const PREFIX: &str = "cwmpd_ip6prefix";
/// Ports of a bridge: key, device, `0` while it is to be no port.
pub const PORT: &str = "cwmpd_port";
/// VLANs of ports of a bridge: key, VLAN, port, `t` or `u`, `0` while it is not to be in force.
pub const MEMBER: &str = "cwmpd_vlan_port";
/// The most notes in a list.
const MAX: usize = 64;

/// The notes of a section: key and fields.
pub fn all<'a>(section: &Section<'a>, option: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let notes = section.items(option).into_iter().filter_map(|item| {
        let mut fields = item.split(',');
        let key = fields.next().filter(|k| !k.is_empty())?;
        Some((key, fields.collect()))
    });
    notes.take(MAX).collect()
}

/// The fields of the note with this key.
pub fn find<'a>(section: &Section<'a>, option: &str, key: &str) -> Option<Vec<&'a str>> {
    all(section, option).into_iter().find(|(k, _)| *k == key).map(|(_, fields)| fields)
}

/// The edits that take a note away, and put another in its place.
pub fn put(section: &Section<'_>, option: &str, key: &str, fields: Option<&[&str]>) -> Vec<Edit> {
    let name = section.key();
    let is_it = |item: &&str| item.split(',').next() == Some(key);
    let new = fields.map(|fields| {
        let mut item = key.to_owned();
        for field in fields {
            item.push(',');
            item.push_str(field);
        }
        item
    });
    let old = section.items(option).into_iter().filter(is_it).filter(|item| Some(*item) != new.as_deref());
    let mut edits: Vec<Edit> = old.map(|item| remove_item(&name, option, item)).collect();
    edits.extend(new.map(|item| add_item(&name, option, item)));
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::uci::Package;

    #[test]
    fn a_note_is_replaced_whole() {
        let text = "config interface 'lan'\n\tlist cwmpd_ipaddr 'a1,192.168.2.1,24'\n\tlist cwmpd_ipaddr 'a2,,'\n\tlist cwmpd_ipaddr ',x'\n";
        let package = Package::parse("network", text.into(), b"").unwrap();
        let lan = package.section("lan").unwrap();
        assert_eq!(all(&lan, IPV4), [("a1", vec!["192.168.2.1", "24"]), ("a2", vec!["", ""])]);
        assert_eq!(find(&lan, IPV4, "a2"), Some(vec!["", ""]));
        assert_eq!(find(&lan, IPV4, "a"), None);
        let edits = put(&lan, IPV4, "a1", Some(&["10.0.0.1", "8"]));
        assert_eq!(
            edits,
            [remove_item("lan", IPV4, "a1,192.168.2.1,24"), add_item("lan", IPV4, "a1,10.0.0.1,8")]
        );
        assert_eq!(put(&lan, IPV4, "a2", None), [remove_item("lan", IPV4, "a2,,")]);
        assert_eq!(put(&lan, IPV4, "a2", Some(&["", ""])), [add_item("lan", IPV4, "a2,,")]);
        assert_eq!(put(&lan, IPV4, "a3", None), []);
    }
}
