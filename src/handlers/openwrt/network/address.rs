//! Addresses of IP interfaces: those that the kernel has, those that the section says, and those that the ACS
//! made and that are not in force ([`note`]).
//!
//! Keys: `primary` of an interface's first IPv4 address, so that it keeps its number while a provider gives ever
//! new ones; address and length of another; of one that the ACS made, or moved, the key in its note. Only what
//! the section says can be changed: the rest is what a provider gave.

use super::super::plan::Plan;
use super::super::sources::Sources;
use super::{Planned, add_item, denied, edit, look, note, planned, read, remove_item, set, wrong};
use crate::handlers::linux::ip;
use crate::handlers::linux::network::{OwnAddress, View, mask4, part};
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Set, Want};
use crate::sys::uci::{Edit, Held, Section};
use std::net::{IpAddr, Ipv4Addr};

/// The key of an interface's first IPv4 address.
const PRIMARY: &str = "primary";

/// Where the addresses of a family stand.
struct Form {
    six: bool,
    /// The list of a static interface.
    option: &'static str,
    /// The list of notes.
    note: &'static str,
    /// The length of a prefix of which none is said.
    bits: u8,
}

const V4: Form = Form { six: false, option: "ipaddr", note: note::IPV4, bits: 24 };
const V6: Form = Form { six: true, option: "ip6addr", note: note::IPV6, bits: 64 };

/// One address.
struct Own<'v> {
    key: String,
    address: Option<IpAddr>,
    bits: u8,
    kernel: Option<&'v OwnAddress>,
    /// As the section has it.
    item: Option<String>,
    /// It has a note: whether it is to be in force.
    noted: Option<bool>,
}

/// The list of a section's addresses: WireGuard has one for both families.
fn option_of(section: &Section<'_>, form: &Form) -> &'static str {
    if section.get("proto") == Some("wireguard") { "addresses" } else { form.option }
}

/// The bits of a mask, as `255.255.255.0` or `24`.
fn mask_bits(text: &str) -> Option<u8> {
    match text.parse::<Ipv4Addr>() {
        Ok(mask) => {
            let ones = mask.to_bits().leading_ones();
            (mask.to_bits() == mask4(ones as u8)).then_some(ones as u8)
        }
        Err(_) => text.parse().ok().filter(|bits| *bits <= 32),
    }
}

/// The addresses that a section says: text, address, length.
fn said(section: &Section<'_>, form: &Form) -> Vec<(String, IpAddr, u8)> {
    let most = if form.six { 128 } else { 32 };
    let whole = section.get("netmask").and_then(mask_bits).filter(|_| !form.six).unwrap_or(most);
    let words = section.words(option_of(section, form)).into_iter();
    let parsed = words.filter_map(|word| {
        let (address, bits) = word.split_once('/').unwrap_or((word, ""));
        let address: IpAddr = address.parse().ok().filter(|a: &IpAddr| a.is_ipv6() == form.six)?;
        let bits = match bits {
            "" => whole,
            bits if form.six => bits.parse().ok().filter(|b| *b <= most)?,
            bits => mask_bits(bits)?,
        };
        Some((word.to_owned(), address, bits))
    });
    parsed.collect()
}

/// All addresses of an interface, in the order of their numbers.
fn all<'v>(
    view: Option<&'v View>,
    row: &Row<'_>,
    section: Option<&Section<'_>>,
    form: &Form,
) -> Vec<Own<'v>> {
    let mut all: Vec<Own<'v>> = Vec::new();
    // What the section says comes first: the kernel may still have what it said before.
    for (text, address, bits) in section.map_or(Vec::new(), |section| said(section, form)) {
        let key = format!("{address}/{bits}");
        all.push(Own { key, address: Some(address), bits, kernel: None, item: Some(text), noted: None });
    }
    let kernel = view.and_then(|view| view.addresses_at(row)).map(|(_, own)| own);
    for own in kernel.into_iter().flatten().filter(|a| a.local.is_ipv6() == form.six) {
        match all.iter_mut().find(|known| known.address == Some(own.local)) {
            Some(known) => known.kernel = Some(own),
            None => {
                let key = format!("{}/{}", own.local, own.prefix);
                let (address, bits) = (Some(own.local), own.prefix);
                all.push(Own { key, address, bits, kernel: Some(own), item: None, noted: None });
            }
        }
    }
    let Some(section) = section else { return all };
    let notes = note::all(section, form.note);
    for (key, fields) in &notes {
        let address = fields.first().and_then(|a| a.parse().ok());
        let bits = fields.get(1).and_then(|b| b.parse().ok()).unwrap_or(form.bits);
        let noted = Some(fields.get(2) == Some(&"1"));
        match all.iter_mut().find(|own| address.is_some() && own.address == address && own.noted.is_none()) {
            Some(own) => (own.key, own.noted) = ((*key).to_owned(), noted),
            None => {
                all.push(Own { key: (*key).to_owned(), address, bits, kernel: None, item: None, noted });
            }
        }
    }
    let has_primary = notes.iter().any(|(key, _)| *key == PRIMARY);
    if let (false, false, Some(own)) = (form.six, has_primary, all.iter_mut().find(|own| own.noted.is_none()))
    {
        own.key = PRIMARY.to_owned();
    }
    all
}

/// Who looks at addresses of an interface, and at its section.
type See<'s> = dyn FnMut(&View, Vec<Own<'_>>, Option<&Section<'_>>) + 's;

/// Shows somebody the addresses of a row's interface.
fn with_all(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    form: &Form,
    see: &mut See<'_>,
) -> Result<(), Failure> {
    let package = read(sources, ctx);
    let interface = row.keys.first().copied().unwrap_or("");
    let section = package.as_ref().and_then(|p| p.section(interface));
    look(sources, ctx, part::ADDRESSES, &mut |view| {
        see(view, all(Some(view), row, section.as_ref(), form), section.as_ref());
    })
}

fn list(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    form: &Form,
    out: &mut Keys,
) -> Result<(), Failure> {
    with_all(sources, ctx, row, form, &mut |_, all, _| out.extend(all.into_iter().map(|own| own.key)))
}

/// The keys of `Device.IP.Interface.{i}.IPv4Address.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list4(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    list(sources, ctx, row, &V4, out)
}

/// The keys of `Device.IP.Interface.{i}.IPv6Address.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn list6(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    list(sources, ctx, row, &V6, out)
}

/// What an IPv4 address is by the protocol of its interface.
fn addressing(section: Option<&Section<'_>>, own: &Own<'_>) -> &'static str {
    let proto = section.and_then(|s| s.get("proto")).unwrap_or("");
    match (proto, own.address) {
        _ if own.item.is_some() || own.noted.is_some() => "Static",
        (_, Some(IpAddr::V4(address))) if address.is_link_local() => "AutoIP",
        ("dhcp", _) => "DHCP",
        ("pppoe" | "pppoa" | "ppp" | "l2tp" | "pptp" | "3g", _) => "IPCP",
        ("qmi" | "mbim" | "ncm" | "modemmanager" | "wwan", _) => "3GPP-NAS",
        _ => "Static",
    }
}

/// `Device.IP.Interface.{i}.IPv4Address.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill4(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    with_all(sources, ctx, row, &V4, &mut |view, all, section| {
        let Some(own) = all.iter().find(|own| own.key == row.key()) else { return };
        for (at, w) in want.iter().enumerate() {
            match (w.param.name(), own.address) {
                ("AddressingType", _) => out.put(at, addressing(section, own)),
                ("IPAddress", Some(address)) => out.put(at, address),
                ("SubnetMask", Some(_)) => out.put(at, Ipv4Addr::from_bits(mask4(own.bits))),
                (name, _) => common(view, row, own, name, at, out),
            }
        }
    })
}

/// What both families have.
fn common(view: &View, row: &Row<'_>, own: &Own<'_>, name: &str, at: usize, out: &mut Fields) {
    match (name, own.kernel, view.addresses_at(row)) {
        ("Enable", ..) => out.put(at, own.noted.unwrap_or(true)),
        ("Status", Some(address), Some((device, _))) => out.put(at, ip::address_status(device, address)),
        ("Status", ..) => out.put(at, "Disabled"),
        _ => {}
    }
}

/// `Device.IP.Interface.{i}.IPv6Address.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill6(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    with_all(sources, ctx, row, &V6, &mut |view, all, _| {
        let Some(own) = all.iter().find(|own| own.key == row.key()) else { return };
        for (at, w) in want.iter().enumerate() {
            match (w.param.name(), own.kernel, own.address) {
                ("Enable" | "Status", ..) => common(view, row, own, w.param.name(), at, out),
                ("Origin", ..) if own.item.is_some() || own.noted.is_some() => out.put(at, "Static"),
                ("Origin", Some(_), Some(IpAddr::V6(a)))
                    if !a.is_loopback() && own.kernel.is_some_and(|k| ip::origin(a, k) == "Static") =>
                {
                    // netifd gives what it took of a prefix no lifetime when the prefix has none.
                    out.put(at, "AutoConfigured");
                }
                (name, Some(address), Some(IpAddr::V6(local))) => {
                    ip::fill_ipv6_one(view, row, local, address, name, at, out);
                }
                ("IPAddress", None, Some(address)) => out.put(at, address),
                ("IPAddressStatus", None, _) => out.put(at, "Invalid"),
                _ => {}
            }
        }
    })
}

/// The key of a new address.
///
/// # Errors
/// None.
pub fn key(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, number: u32) -> Result<String, Failure> {
    Ok(format!("a{number}"))
}

/// The edits of a change of an IPv4 address.
///
/// # Errors
/// 9001 for an address that a provider gave, 9007 for a mask with holes.
pub fn plan4(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    plan(sources, ctx, row, change, &V4)
}

/// The edits of a change of an IPv6 address.
///
/// # Errors
/// 9001 for an address that a provider gave.
pub fn plan6(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    plan(sources, ctx, row, change, &V6)
}

fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, form: &Form) -> Planned {
    let interface = row.keys.first().copied().unwrap_or("");
    let key = row.key();
    if let Change::Add = change {
        // Its interface may be one that is made with it.
        let bits = form.bits.to_string();
        return Ok(planned(vec![add_item(interface, form.note, [key, ",,", &bits, ",0"].concat())]));
    }
    let package = edit(sources, ctx)?;
    let section = package.section(interface).ok_or_else(|| denied(0, "the interface is gone"))?;
    let mut result = Err(denied(0, "the address is gone"));
    look(sources, ctx, part::ADDRESSES, &mut |view| {
        if let Some(own) = all(Some(view), row, Some(&section), form).iter().find(|own| own.key == key) {
            result = match change {
                _ if own.item.is_none() && own.noted.is_none() => {
                    Err(denied(0, "the address is not static: whoever gave it changes it"))
                }
                Change::Set(sets) => change_one(&section, own, sets, form),
                _ => Ok(write(&section, own, form, None, None)),
            };
        }
    })
    .map_err(|failure| (0, failure))?;
    result
}

/// The edits that give an address new values.
fn change_one(section: &Section<'_>, own: &Own<'_>, sets: &[Set<'_>], form: &Form) -> Planned {
    let (mut address, mut bits) = (own.address, own.bits);
    let mut on = own.noted.unwrap_or(true);
    for (at, one) in sets.iter().enumerate() {
        match (one.param.name(), one.value) {
            ("Enable", value) => on = value == "true",
            ("IPAddress", "") => address = None,
            ("IPAddress", value) => address = Some(value.parse().map_err(|_| wrong(at, "no address"))?),
            ("SubnetMask", "") => bits = form.bits,
            ("SubnetMask", value) => {
                bits = mask_bits(value).ok_or_else(|| wrong(at, "the mask has holes"))?;
            }
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    let proto = section.get("proto").unwrap_or("none");
    let in_force = address.filter(|_| on);
    if in_force.is_some() && !matches!(proto, "static" | "wireguard" | "none") {
        return Err(denied(0, "the protocol of the interface takes no static address"));
    }
    let mut plan = write(section, own, form, in_force.map(|a| (a, bits)), Some((address, bits, on)));
    if in_force.is_some() && proto == "none" {
        plan.extend(planned(vec![set(&section.key(), "proto", "static")]));
    }
    Ok(plan)
}

/// The edits that put an address into the list, out of it, or both, and note what the list cannot say.
fn write(
    section: &Section<'_>,
    own: &Own<'_>,
    form: &Form,
    new: Option<(IpAddr, u8)>,
    row: Option<(Option<IpAddr>, u8, bool)>,
) -> Plan {
    let (name, option) = (section.key(), option_of(section, form));
    // `option ipaddr` with `option netmask`, as most have it.
    let is_single = matches!(section.held(option), Some(Held::One(one)) if own.item.as_deref() == Some(one));
    let text = new.map(|(address, bits)| format!("{address}/{bits}"));
    let mut edits: Vec<Edit> = Vec::new();
    match (&own.item, new) {
        (Some(old), Some((address, bits))) if is_single && !old.contains('/') && !form.six => {
            edits.push(set(&name, option, address.to_string()));
            edits.push(set(&name, "netmask", Ipv4Addr::from_bits(mask4(bits)).to_string()));
        }
        (Some(_), Some(_)) if is_single => edits.extend(text.clone().map(|text| set(&name, option, text))),
        (Some(old), _) if Some(old) == text.as_ref() => {}
        (old, _) => {
            edits.extend(old.iter().map(|old| remove_item(&name, option, old.clone())));
            if is_single && new.is_none() && !form.six {
                edits.push(set(&name, "netmask", ""));
            }
            edits.extend(text.clone().map(|text| add_item(&name, option, text)));
        }
    }
    // The key says all of an address that is in force, and of the only one.
    let natural = own.key == PRIMARY && is_single || text.as_deref() == Some(&own.key);
    let keep = row.filter(|_| !(natural && new.is_some()));
    let fields = keep.map(|(address, bits, on)| {
        let address = address.map(|a| a.to_string()).unwrap_or_default();
        [address, bits.to_string(), u8::from(on).to_string()]
    });
    let fields = fields.as_ref().map(|f| f.each_ref().map(String::as_str));
    edits.extend(note::put(section, form.note, &own.key, fields.as_ref().map(|f| f.as_slice())));
    planned(edits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::uci::Package;

    #[test]
    fn masks() {
        for (text, bits) in [
            ("255.255.255.0", Some(24)),
            ("0.0.0.0", Some(0)),
            ("255.255.255.255", Some(32)),
            ("23", Some(23)),
            ("33", None),
            ("255.0.255.0", None),
            ("0.255.0.0", None),
            ("", None),
        ] {
            assert_eq!(mask_bits(text), bits, "{text}");
        }
    }

    /// What a section says of addresses, and the keys of the rows.
    fn rows(text: &str, form: &Form) -> Vec<String> {
        let package = Package::parse("network", text.into(), b"").unwrap();
        let section = package.section("lan").unwrap();
        let schema = crate::model::builtin::builtin();
        let object = schema.find_object("Device.IP.Interface.{i}.IPv4Address.{i}.").unwrap();
        let row = Row { object, arg: "", keys: &["lan"], numbers: &[1] };
        let show = |own: Own<'_>| {
            let address = own.address.map_or(String::new(), |a| a.to_string());
            format!("{} {address}/{} {:?} {:?}", own.key, own.bits, own.item, own.noted)
        };
        all(None, &row, Some(&section), form).into_iter().map(show).collect()
    }

    #[test]
    fn rows_of_a_section() {
        let text = "config interface 'lan'\n\toption proto 'static'\n\toption netmask '255.255.254.0'\n\
            \tlist ipaddr '192.168.1.1'\n\tlist ipaddr '10.0.0.1/8'\n\tlist ipaddr 'nonsense'\n\tlist ipaddr 'fd00::9'\n\
            \tlist ip6addr 'fd00::1/64'\n\tlist ip6addr 'fd00::2'\n\tlist cwmpd_ipaddr 'a7,10.0.0.1,8,1'\n\tlist cwmpd_ipaddr 'a8,,24,0'\n";
        assert_eq!(
            rows(text, &V4),
            [
                "primary 192.168.1.1/23 Some(\"192.168.1.1\") None",
                "a7 10.0.0.1/8 Some(\"10.0.0.1/8\") Some(true)",
                "a8 /24 None Some(false)",
            ]
        );
        assert_eq!(
            rows(text, &V6),
            [
                "fd00::1/64 fd00::1/64 Some(\"fd00::1/64\") None",
                "fd00::2/128 fd00::2/128 Some(\"fd00::2\") None",
            ]
        );
        let text = "config interface 'lan'\n\toption proto 'wireguard'\n\tlist addresses '10.9.0.1/24'\n\tlist addresses 'fd00::9/64'\n";
        assert_eq!(rows(text, &V4), ["primary 10.9.0.1/24 Some(\"10.9.0.1/24\") None"]);
        assert_eq!(rows(text, &V6), ["fd00::9/64 fd00::9/64 Some(\"fd00::9/64\") None"]);
    }
}
