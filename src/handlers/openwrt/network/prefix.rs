//! IPv6 prefixes of IP interfaces: those that were delegated or are static, those that an interface took of
//! them, and those of the kernel's addresses. The key is the prefix, or the note's of one that the ACS made.

use super::super::sources::Sources;
use super::{Planned, add_item, denied, edit, look, note, planned, read, remove_item, wrong};
use crate::handlers::linux::ip;
use crate::handlers::linux::network::{View, part, prefix_text};
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::Section;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

const OPTION: &str = "ip6prefix";
const TABLE: &str = "Device.IP.Interface.{i}.IPv6Prefix.{i}.";

/// Where a prefix is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// netifd took it of that of another interface.
    Child,
    /// A server delegated it to this interface.
    Delegated,
    /// The section says it.
    Static,
    /// Only the kernel has it.
    Kernel,
}

/// One prefix.
struct Own {
    key: String,
    /// `2001:db8::/48`; empty of one that the ACS has not said yet.
    prefix: String,
    origin: Origin,
    /// Seconds; `None` for ever.
    preferred: Option<u32>,
    valid: Option<u32>,
    /// It has a note: whether it is to be in force.
    noted: Option<bool>,
}

fn parse(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (address, bits) = text.split_once('/')?;
    Some((address.parse().ok()?, bits.parse().ok().filter(|b| *b <= 128)?))
}

/// The prefix of an entry of netifd's.
fn prefix_of(value: Value<'_>) -> Option<String> {
    let address: Ipv6Addr = value.get("address")?.text()?.parse().ok()?;
    Some(format!("{address}/{}", value.get("mask")?.number()?))
}

fn entries<'a>(dump: &'a Answer, interface: &str, list: &str) -> Vec<Value<'a>> {
    let all = dump.root().get("interface").into_iter().flat_map(Value::fields).map(|(_, entry)| entry);
    let own = all.filter(|e| e.get("interface").and_then(Value::text) == Some(interface));
    own.filter_map(|e| e.get(list)).flat_map(Value::fields).map(|(_, one)| one).collect()
}

/// All prefixes of an interface, in the order of their numbers.
fn all(dump: Option<&Answer>, view: &View, row: &Row<'_>, section: Option<&Section<'_>>) -> Vec<Own> {
    let interface = row.keys.first().copied().unwrap_or("");
    let mut all: Vec<Own> = Vec::new();
    let mut add = |prefix: String, origin, preferred, valid| {
        if !all.iter().any(|own: &Own| own.prefix == prefix) {
            all.push(Own { key: prefix.clone(), prefix, origin, preferred, valid, noted: None });
        }
    };
    let said: Vec<String> = section.map_or(Vec::new(), |section| {
        section.words(OPTION).into_iter().filter_map(parse).map(|(a, b)| prefix_text(a.into(), b)).collect()
    });
    for (list, origin) in [("ipv6-prefix", Origin::Delegated), ("ipv6-prefix-assignment", Origin::Child)] {
        for value in dump.map_or(Vec::new(), |dump| entries(dump, interface, list)) {
            let Some(prefix) = prefix_of(value) else { continue };
            let seconds = |name| value.get(name).and_then(Value::number).and_then(|n| u32::try_from(n).ok());
            let origin = if said.contains(&prefix) { Origin::Static } else { origin };
            add(prefix, origin, seconds("preferred"), seconds("valid"));
        }
    }
    said.into_iter().for_each(|prefix| add(prefix, Origin::Static, None, None));
    for (prefix, _) in ip::prefixes_of(view, row) {
        add(prefix, Origin::Kernel, None, None);
    }
    for (key, fields) in section.map_or(Vec::new(), |section| note::all(section, note::PREFIX)) {
        let prefix = fields.first().copied().unwrap_or("");
        let noted = Some(fields.get(1) == Some(&"1"));
        match all.iter_mut().find(|own| !prefix.is_empty() && own.prefix == prefix) {
            Some(own) => (own.key, own.noted) = (key.to_owned(), noted),
            None => all.push(Own {
                key: key.to_owned(),
                prefix: prefix.to_owned(),
                origin: Origin::Static,
                preferred: None,
                valid: None,
                noted,
            }),
        }
    }
    all
}

fn dump(sources: &mut Sources, ctx: &Ctx<'_>) -> Option<Rc<Answer>> {
    sources.answer(ctx, "network.interface", "dump", &[])
}

/// Who looks at the prefixes of an interface, and at netifd's dump.
type See<'s> = dyn FnMut(&View, Option<&Answer>, Vec<Own>) + 's;

fn with_all(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, see: &mut See<'_>) -> Result<(), Failure> {
    let (package, dump) = (read(sources, ctx), dump(sources, ctx));
    let interface = row.keys.first().copied().unwrap_or("");
    let section = package.as_ref().and_then(|p| p.section(interface));
    look(sources, ctx, part::ADDRESSES | part::ROUTES, &mut |view| {
        see(view, dump.as_deref(), all(dump.as_deref(), view, row, section.as_ref()));
    })
}

/// The keys of `Device.IP.Interface.{i}.IPv6Prefix.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    with_all(sources, ctx, row, &mut |_, _, all| out.extend(all.into_iter().map(|own| own.key)))
}

/// `Device.IP.Interface.{i}.IPv6Prefix.{i}.`, and Prefixes of `Device.RouterAdvertisement.InterfaceSetting.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    if row.object.path().starts_with("Device.RouterAdvertisement.") {
        let at = want.iter().position(|w| w.param.name() == "Prefixes");
        return at.map_or(Ok(()), |at| advertised(sources, ctx, row, at, out));
    }
    with_all(sources, ctx, row, &mut |view, dump, all| {
        let Some(own) = all.iter().find(|own| own.key == row.key()) else { return };
        let place = (own.origin != Origin::Kernel).then_some(own);
        for (at, w) in want.iter().enumerate() {
            match (w.param.name(), place) {
                ("Enable", _) => out.put(at, own.noted.unwrap_or(true)),
                ("Prefix", _) => out.put(at, &own.prefix),
                ("ParentPrefix", Some(own)) => parent(dump, own, at, out),
                ("ChildPrefixBits", Some(own)) => bits(dump, own, at, out),
                ("Status", Some(own)) => {
                    let is_on = own.noted != Some(false) && !own.prefix.is_empty();
                    out.put(at, if is_on { "Enabled" } else { "Disabled" });
                }
                ("PrefixStatus", Some(own)) => {
                    out.put(at, if own.preferred == Some(0) { "Deprecated" } else { "Preferred" });
                }
                ("Origin", Some(own)) => out.put(at, origin(own)),
                ("StaticType", Some(own)) => {
                    out.put(at, if own.origin == Origin::Static { "Static" } else { "Inapplicable" });
                }
                ("Autonomous", Some(_)) => out.put(at, false),
                ("PreferredLifetime", Some(own)) => {
                    ip::put_time(ctx.root, out, at, own.preferred.unwrap_or(u32::MAX));
                }
                ("ValidLifetime", Some(own)) => {
                    ip::put_time(ctx.root, out, at, own.valid.unwrap_or(u32::MAX));
                }
                (name, _) => ip::fill_prefix_one(view, row, &own.prefix, name, at, out),
            }
        }
    })
}

fn origin(own: &Own) -> &'static str {
    let ula = parse(&own.prefix).is_some_and(|(a, _)| a.is_unique_local());
    match own.origin {
        Origin::Static => "Static",
        Origin::Child if ula && own.valid.is_none() => "AutoConfigured",
        Origin::Child => "Child",
        _ => "PrefixDelegation",
    }
}

/// The prefix that a child was taken of, and whose it is.
fn parent_of<'a>(dump: &'a Answer, own: &Own) -> Option<(&'a str, String)> {
    let (child, bits) = parse(&own.prefix)?;
    let all = dump.root().get("interface").into_iter().flat_map(Value::fields).map(|(_, entry)| entry);
    for entry in all {
        let Some(name) = entry.get("interface").and_then(Value::text) else { continue };
        for (_, one) in entry.get("ipv6-prefix").into_iter().flat_map(Value::fields) {
            let Some(prefix) = prefix_of(one) else { continue };
            let is_in = |(_, length): (Ipv6Addr, u8)| {
                length <= bits && prefix_text(IpAddr::V6(child), length) == prefix
            };
            if parse(&prefix).is_some_and(is_in) {
                return Some((name, prefix));
            }
        }
    }
    None
}

fn parent(dump: Option<&Answer>, own: &Own, at: usize, out: &mut Fields) {
    let found = dump.filter(|_| own.origin == Origin::Child).and_then(|dump| parent_of(dump, own));
    if let Some((interface, prefix)) = found {
        out.refer(at, TABLE, &[interface, &prefix]);
    }
}

/// What a child has of its own behind the bits of its parent.
fn bits(dump: Option<&Answer>, own: &Own, at: usize, out: &mut Fields) {
    let found = dump.filter(|_| own.origin == Origin::Child).and_then(|dump| parent_of(dump, own));
    let Some((_, parent)) = found else { return };
    if let (Some((child, bits)), Some((_, length))) = (parse(&own.prefix), parse(&parent)) {
        let mask = u128::MAX.checked_shr(length.into()).unwrap_or(0);
        out.put(at, format!("{}/{bits}", Ipv6Addr::from_bits(child.to_bits() & mask)));
    }
}

/// The prefixes that odhcpd advertises on an interface: those that it has.
fn advertised(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    at: usize,
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(dhcp) = sources.readable(ctx, "dhcp") else { return Ok(()) };
    let Some(section) = dhcp.section(row.key()) else { return Ok(()) };
    let interface = section.get("interface").unwrap_or("");
    if matches!(section.get("ra"), None | Some("disabled")) {
        return Ok(());
    }
    let inner = Row { keys: &[interface], ..*row };
    with_all(sources, ctx, &inner, &mut |_, _, all| {
        for own in all.iter().filter(|own| matches!(own.origin, Origin::Child)).take(8) {
            out.refer(at, TABLE, &[interface, &own.key]);
        }
    })
}

/// The key of a new prefix.
///
/// # Errors
/// None.
pub fn key(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    Ok(format!("p{number}"))
}

/// The edits of a change of a static prefix.
///
/// # Errors
/// 9001 for one that is not static.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let interface = row.keys.first().copied().unwrap_or("");
    let key = row.key();
    if let Change::Add = change {
        return Ok(planned(vec![add_item(interface, note::PREFIX, [key, ",,0"].concat())]));
    }
    let package = edit(sources, ctx)?;
    let section = package.section(interface).ok_or_else(|| denied(0, "the interface is gone"))?;
    let noted = note::find(&section, note::PREFIX, key);
    let is_said = |prefix: &str| {
        let same = |word: &&str| parse(word).is_some_and(|(a, b)| prefix_text(a.into(), b) == prefix);
        section.words(OPTION).into_iter().find(same)
    };
    let old = noted.as_ref().map_or(key, |fields| fields.first().copied().unwrap_or(""));
    let item = is_said(old);
    if noted.is_none() && item.is_none() {
        return Err(denied(0, "the prefix is not static: whoever delegated it changes it"));
    }
    let mut on = noted.as_ref().is_none_or(|fields| fields.get(1) == Some(&"1"));
    let mut prefix = old.to_owned();
    let name = section.key();
    let Change::Set(sets) = change else {
        let mut edits = note::put(&section, note::PREFIX, key, None);
        edits.extend(item.map(|item| remove_item(&name, OPTION, item)));
        return Ok(planned(edits));
    };
    for (at, one) in sets.iter().enumerate() {
        match (one.param.name(), one.value) {
            ("Enable", value) => on = value == "true",
            ("Prefix", "") => prefix.clear(),
            ("Prefix", value) => {
                let (address, bits) = parse(value).ok_or_else(|| wrong(at, "no prefix"))?;
                prefix = prefix_text(address.into(), bits);
            }
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    let in_force = on && !prefix.is_empty();
    let mut edits = Vec::new();
    if let Some(item) = item.filter(|_| !in_force || prefix != old) {
        edits.push(remove_item(&name, OPTION, item));
    }
    if in_force && (item.is_none() || prefix != old) {
        edits.push(add_item(&name, OPTION, prefix.clone()));
    }
    let fields = [prefix.as_str(), if on { "1" } else { "0" }];
    let keep = !(in_force && prefix == key);
    edits.extend(note::put(&section, note::PREFIX, key, keep.then_some(&fields[..])));
    Ok(planned(edits))
}
