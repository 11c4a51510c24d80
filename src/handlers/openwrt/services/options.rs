//! DHCP options as dnsmasq's and odhcpd's configuration has them (`42,192.0.2.1`) and as the standard does
//! (number and bytes): `Device.DHCPv4.Server.Pool.{i}.Option.{i}.` and that of DHCPv6.

use super::{bad, gone, hex, unhex};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Options that are called by a name.
const NAMES: [(&str, u8); 19] = [
    ("netmask", 1),
    ("time-offset", 2),
    ("router", 3),
    ("dns-server", 6),
    ("log-server", 7),
    ("domain-name", 15),
    ("mtu", 26),
    ("broadcast", 28),
    ("ntp-server", 42),
    ("vendor-encap", 43),
    ("netbios-ns", 44),
    ("lease-time", 51),
    ("vendor-class", 60),
    ("tftp-server", 66),
    ("bootfile-name", 67),
    ("domain-search", 119),
    ("sip-server", 120),
    ("classless-static-route", 121),
    ("vendor-id-encap", 125),
];

/// Options whose number has this many bytes; of others as few as hold it.
const WIDE: [(u8, usize); 10] =
    [(2, 4), (13, 2), (22, 2), (24, 4), (26, 2), (35, 4), (38, 4), (51, 4), (58, 4), (59, 4)];

/// Options that are addresses.
const ADDRESSES: [u8; 20] = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 32, 41, 42, 44, 45, 48, 49, 69, 150];

/// Those that pools have a parameter of their own for.
const OWN: [u8; 4] = [3, 6, 15, 44];

/// The names of domains in the form of the DNS.
const NAME_LISTS: [u8; 1] = [119];

/// One option of a pool: its number, its value, and the item that says it.
pub struct Given<'a> {
    /// The number.
    pub tag: u8,
    /// What stands behind the number.
    pub value: &'a str,
    /// The whole item.
    pub item: &'a str,
}

/// The options that a pool sends to all its clients.
pub fn given<'a>(pool: &Section<'a>) -> Vec<Given<'a>> {
    let read = |item: &'a str| {
        let (tag, value) = item.split_once(',').unwrap_or((item, ""));
        let tag = match tag.strip_prefix("option:") {
            Some(name) => NAMES.iter().find(|n| n.0 == name)?.1,
            None => tag.parse().ok()?,
        };
        Some(Given { tag, value, item })
    };
    pool.words("dhcp_option").into_iter().filter_map(read).collect()
}

/// The edits that give a pool an option, or take it away when there is no value.
pub fn give(pool: &Section<'_>, tag: u8, value: &str, edits: &mut Vec<Edit>) {
    let (section, option) = (pool.key().into_owned(), "dhcp_option".to_owned());
    let item = if value.is_empty() { String::new() } else { format!("{tag},{value}") };
    let old = given(pool);
    for old in old.iter().filter(|o| o.tag == tag && o.item != item) {
        edits.push(Edit::RemoveItem {
            section: section.clone(),
            option: option.clone(),
            item: old.item.to_owned(),
        });
    }
    if !item.is_empty() && !old.iter().any(|o| o.item == item) {
        edits.push(Edit::AddItem { section, option, item });
    }
}

/// The bytes that an option has on the wire; `None` of forms that are not looked into.
fn to_bytes(tag: u8, value: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = value.split(',').filter(|p| !p.is_empty()).collect();
    let addresses: Option<Vec<[u8; 4]>> =
        parts.iter().map(|p| p.parse::<Ipv4Addr>().ok().map(|a| a.octets())).collect();
    if let Some(addresses) = addresses {
        return Some(addresses.concat());
    }
    if NAME_LISTS.contains(&tag) {
        return Some(names(&parts));
    }
    if tag == 121 {
        return None;
    }
    if value.contains(':')
        && let Some(bytes) = unhex(value)
    {
        return Some(bytes);
    }
    if let Ok(number) = value.parse::<u32>() {
        let wide = WIDE.iter().find(|w| w.0 == tag).map(|w| w.1);
        let few = 4 - (number.leading_zeros() as usize / 8).min(3);
        return Some(number.to_be_bytes()[4 - wide.unwrap_or(few)..].to_vec());
    }
    Some(value.as_bytes().to_vec())
}

/// What stands in the configuration for such bytes.
fn from_bytes(tag: u8, bytes: &[u8]) -> Option<String> {
    if ADDRESSES.contains(&tag) {
        let all = bytes.chunks(4).map(|b| Some(Ipv4Addr::from(<[u8; 4]>::try_from(b).ok()?).to_string()));
        return Some(all.collect::<Option<Vec<_>>>()?.join(",")).filter(|t| !t.is_empty());
    }
    if NAME_LISTS.contains(&tag) {
        return Some(unnamed(bytes)?.join(","));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|t| {
        let plain = t.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b'\'' | b'\\'));
        // What reads as something else than text is said in digits.
        plain && t.parse::<u64>().is_err() && t.parse::<Ipv4Addr>().is_err() && unhex(t).is_none()
    });
    match (text, bytes) {
        (_, []) => None,
        (Some(text), _) => Some(text.to_owned()),
        (None, [one]) => Some(one.to_string()),
        (None, bytes) => Some(bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")),
    }
}

/// Domains in the form of the DNS (RFC 1035), without what would shorten them.
pub fn names(domains: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for domain in domains {
        for label in domain.split('.').filter(|l| !l.is_empty() && l.len() < 64) {
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
    }
    bytes
}

/// Domains from the form of the DNS; `None` of pointers and of what ends too early.
pub fn unnamed(mut bytes: &[u8]) -> Option<Vec<String>> {
    let (mut all, mut labels) = (Vec::new(), Vec::new());
    while let Some((length, rest)) = bytes.split_first() {
        let (label, rest) = rest.split_at_checked(usize::from(*length)).filter(|_| *length < 64)?;
        bytes = rest;
        if label.is_empty() {
            all.push(labels.join("."));
            labels.clear();
            continue;
        }
        let label = std::str::from_utf8(label).ok()?;
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        labels.push(Some(label).filter(|_| plain)?);
    }
    (labels.is_empty() && !all.is_empty()).then_some(all)
}

/// The providers.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "dhcp4_option",
        list: list4,
        fill: fill4,
        plan: plan4,
        key: adds_nothing,
        packages: &["dhcp"],
        objects: &[],
    },
    Spec {
        name: "dhcp6_option",
        list: list6,
        fill: fill6,
        plan: plan6,
        key: adds_nothing,
        packages: &["dhcp"],
        objects: &[],
    },
];

fn pool<'a>(package: &'a Package, row: &Row<'_>) -> Option<Section<'a>> {
    row.keys.first().and_then(|key| package.section(key))
}

fn list4(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(pool) = pool(&package, row) else { return Ok(()) };
    for option in given(&pool).iter().filter(|o| !OWN.contains(&o.tag)) {
        let key = option.tag.to_string();
        if !out.contains(&key) {
            out.push(key);
        }
    }
    Ok(())
}

fn fill4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(pool) = pool(&package, row) else { return Ok(()) };
    let all = given(&pool);
    let Some(option) = all.iter().find(|o| Ok(o.tag) == row.key().parse()) else {
        return Ok(());
    };
    put(want, option.tag, &to_bytes(option.tag, option.value).unwrap_or_default(), out);
    Ok(())
}

/// Puts an option that is sent.
pub fn put(want: &[Want<'_>], tag: impl std::fmt::Display, bytes: &[u8], out: &mut Fields) {
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, true),
            "Tag" => out.put(at, &tag),
            "Value" => out.put(at, hex(bytes)),
            _ => {}
        }
    }
}

fn plan4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "dhcp").map_err(|f| (0, f))?.unwrap_or_default();
    let (Some(pool), Ok(tag)) = (pool(&package, row), row.key().parse::<u8>()) else {
        return Err((0, gone()));
    };
    let value = one_value(change)?;
    let bytes = unhex(value).ok_or_else(|| (0, bad("bytes are needed")))?;
    let text = from_bytes(tag, &bytes).ok_or_else(|| (0, bad("no value of this option")))?;
    let mut edits = Vec::new();
    give(&pool, tag, &text, &mut edits);
    Ok(edits.into_iter().map(|edit| ("dhcp".to_owned(), edit)).collect())
}

/// The one value that can be set of an option.
fn one_value<'a>(change: &Change<'a>) -> Result<&'a str, (usize, Failure)> {
    match change {
        Change::Set([set]) if set.param.name() == "Value" => Ok(set.value),
        Change::Set(_) => Err((0, super::read_only())),
        _ => Err((0, Failure::denied("options are not added or deleted"))),
    }
}

/// The options of DHCPv6 that odhcpd sends, and the list of the pool that says what.
const LISTS6: [(&str, &str); 3] = [("23", "dns"), ("24", "domain"), ("56", "ntp")];

fn items6<'a>(pool: &Section<'a>, list: &str) -> Vec<&'a str> {
    let mut all = pool.words(list);
    if list != "domain" {
        all.retain(|a| a.parse::<Ipv6Addr>().is_ok());
    }
    all
}

fn list6(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    if let Some(pool) = pool(&package, row) {
        let there = LISTS6.iter().filter(|o| !items6(&pool, o.1).is_empty());
        out.extend(there.map(|o| o.0));
    }
    Ok(())
}

fn fill6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let (Some(pool), Some((tag, list))) = (pool(&package, row), LISTS6.iter().find(|o| o.0 == row.key()))
    else {
        return Ok(());
    };
    let items = items6(&pool, list);
    let addresses = items.iter().filter_map(|a| a.parse::<Ipv6Addr>().ok()).map(|a| a.octets());
    let bytes = match *tag {
        "23" => addresses.collect::<Vec<_>>().concat(),
        "24" => names(&items),
        // RFC 5908: each server is an option of its own in it.
        _ => addresses.flat_map(|a| [&[0, 1, 0, 16], &a[..]].concat()).collect(),
    };
    put(want, tag, &bytes, out);
    Ok(())
}

fn plan6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "dhcp").map_err(|f| (0, f))?.unwrap_or_default();
    let (Some(pool), Some((tag, list))) = (pool(&package, row), LISTS6.iter().find(|o| o.0 == row.key()))
    else {
        return Err((0, gone()));
    };
    let bytes = unhex(one_value(change)?).ok_or_else(|| (0, bad("bytes are needed")))?;
    let wrong = || (0, bad("no value of this option"));
    let addresses = |bytes: &[u8]| -> Option<Vec<String>> {
        bytes.chunks(16).map(|b| Some(Ipv6Addr::from(<[u8; 16]>::try_from(b).ok()?).to_string())).collect()
    };
    let mut items = match *tag {
        "23" => addresses(&bytes),
        "24" => unnamed(&bytes),
        _ => bytes.chunks(20).map(|b| addresses(b.strip_prefix(&[0, 1, 0, 16])?)?.pop()).collect(),
    }
    .ok_or_else(wrong)?;
    // Those of IPv4 are other clients' business.
    let others = pool.words(list).into_iter().filter(|i| i.parse::<Ipv4Addr>().is_ok());
    items.extend(others.map(str::to_owned));
    let edit = Edit::List { section: pool.key().into_owned(), option: (*list).to_owned(), items };
    Ok(vec![("dhcp".to_owned(), edit)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_options() {
        for (tag, text, want) in [
            (42, "192.0.2.1,192.0.2.2", Some("C0000201C0000202")),
            (66, "tftp.example", Some("746674702E6578616D706C65")),
            (43, "01:04:c0:a8:01:14", Some("0104C0A80114")),
            (26, "1400", Some("0578")),
            (224, "5", Some("05")),
            (224, "70000", Some("011170")),
            (2, "3600", Some("00000E10")),
            (119, "a.example,b", Some("0161076578616D706C65000162 00")),
            (121, "10.0.0.0/8,10.0.0.1", None),
        ] {
            let found = to_bytes(tag, text).map(|b| hex(&b));
            assert_eq!(found, want.map(|w| w.replace(' ', "")), "{tag},{text}");
        }
    }

    #[test]
    fn options_of_bytes() {
        for (tag, digits, want) in [
            (42, "C0000201C0000202", Some("192.0.2.1,192.0.2.2")),
            (42, "C00002", None),
            (66, "746674702E6578616D706C65", Some("tftp.example")),
            (252, "0A", Some("10")),
            (252, "0A0B", Some("0a:0b")),
            // Text that dnsmasq would take for a number, for bytes, or for two values.
            (66, "3130", Some("31:30")),
            (66, "61623A6364", Some("61:62:3a:63:64")),
            (66, "612C62", Some("61:2c:62")),
            (119, "0161000162 00", Some("a,b")),
            (119, "01", None),
            (119, "C00C", None),
            (66, "", None),
        ] {
            let bytes = unhex(&digits.replace(' ', "")).unwrap();
            assert_eq!(from_bytes(tag, &bytes).as_deref(), want, "{tag} {digits}");
        }
    }
}
