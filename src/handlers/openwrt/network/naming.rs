//! Which device is whose: the names of [`crate::handlers::linux::naming`], as netifd tells them.

use super::super::sources::Sources;
use super::{NETWORK, note};
use crate::handlers::linux::layers::Layer;
use crate::handlers::linux::naming::{Named, Namer, Names};
use crate::model::handler::Ctx;
use crate::sys::ubus::Value;
use crate::sys::uci::{Package, Section};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Weak;

/// Protocols whose device is one of PPP.
pub const PPP: &[&str] = &["pppoe", "pppoa", "ppp", "l2tp", "pptp"];
/// Protocols that give an interface IPv6 and nothing else.
const SIX: &[&str] = &["dhcpv6", "6in4", "6to4", "6rd"];
const GRE: &[&str] = &["gre", "gretap", "grev6", "grev6tap"];
const VXLAN: &[&str] = &["vxlan", "vxlan6"];

/// Tells the names to providers of the kernel's network.
pub struct Netifd(pub Weak<RefCell<Sources>>);

impl Namer for Netifd {
    fn names(&mut self, ctx: &Ctx<'_>) -> Names {
        let Some(sources) = self.0.upgrade() else { return Names::default() };
        // Who has the sources in hand gives the names with them ([`super::look`]).
        sources.try_borrow_mut().map(|mut sources| names(&mut sources, ctx)).unwrap_or_default()
    }
}

/// All names, as netifd has them now.
pub fn names(sources: &mut Sources, ctx: &Ctx<'_>) -> Names {
    let mut all = Vec::new();
    let package = sources.readable(ctx, NETWORK);
    if let Some(answer) = sources.answer(ctx, "network.interface", "dump", &[]) {
        let list = answer.root().get("interface");
        interfaces(&mut all, list, package.as_deref());
    }
    if let Some(answer) = sources.answer(ctx, "network.wireless", "status", &[]) {
        radios(&mut all, answer.root());
        let wireless = sources.readable(ctx, "wireless");
        // netifd calls a section without a name as libuci does; its row has a key of its own.
        for one in all.iter_mut().filter(|n| n.layer == Layer::Ssid) {
            let section = wireless.as_ref().and_then(|w| w.section(&one.key));
            if let Some(section) = section.filter(|s| s.name().is_none()) {
                one.key = section.key().into_owned();
            }
        }
    }
    if let Some(package) = &package {
        for section in package.of_kind("device") {
            let Some(bridge) = section.get("name") else { continue };
            for (key, fields) in note::all(&section, note::PORT) {
                let device = fields.first().copied().unwrap_or("");
                all.push(named(Layer::Port, key, device, bridge));
            }
        }
    }
    Names(all)
}

fn named(layer: Layer, key: &str, device: &str, lower: &str) -> Named {
    let (key, device, lower) = (key.to_owned(), device.to_owned(), lower.to_owned());
    Named { layer, key, device, lower, six: false, addresses: Vec::new() }
}

fn text<'a>(value: Value<'a>, name: &str) -> &'a str {
    value.get(name).and_then(Value::text).unwrap_or("")
}

/// The addresses of an entry of netifd's dump: its own, and those it took of delegated prefixes.
fn addresses(entry: Value<'_>) -> Vec<IpAddr> {
    let all = |name| entry.get(name).into_iter().flat_map(|list: Value<'_>| list.fields());
    let own = all("ipv4-address").chain(all("ipv6-address")).map(|(_, one)| one);
    let taken = all("ipv6-prefix-assignment").filter_map(|(_, one)| one.get("local-address"));
    own.chain(taken).filter_map(|one| text(one, "address").parse().ok()).collect()
}

fn interfaces(all: &mut Vec<Named>, list: Option<Value<'_>>, package: Option<&Package>) {
    let entries: Vec<Value<'_>> =
        list.into_iter().flat_map(|list| list.fields()).map(|(_, entry)| entry).collect();
    let device_of = |name: &str| {
        let entry = entries.iter().find(|e| text(**e, "interface") == name)?;
        entry.get("l3_device").or(entry.get("device")).and_then(Value::text)
    };
    for entry in &entries {
        let (key, proto) = (text(*entry, "interface"), text(*entry, "proto"));
        let (device, lower) = (text(*entry, "l3_device"), text(*entry, "device"));
        let is_dynamic = entry.get("dynamic").and_then(Value::flag) == Some(true);
        if is_dynamic {
            continue;
        }
        let addresses = addresses(*entry);
        let six = SIX.contains(&proto) || !addresses.is_empty() && addresses.iter().all(IpAddr::is_ipv6);
        all.push(Named { six, addresses, ..named(Layer::Ip, key, device, lower) });
        if PPP.contains(&proto) {
            all.push(named(Layer::Ppp, key, device, lower));
        }
        let kind = [(GRE, Layer::Gre), (VXLAN, Layer::Vxlan), (&["map"], Layer::Map)];
        if let Some((_, layer)) = kind.iter().find(|(protos, _)| protos.contains(&proto)) {
            let link = package.and_then(|p| p.section(key)).and_then(|s: Section<'_>| s.get("tunlink"));
            all.push(named(*layer, key, device, link.and_then(device_of).unwrap_or("")));
        }
    }
    // What a protocol made besides its interface has no section; its addresses are those of the interface.
    for entry in &entries {
        let (key, device) = (text(*entry, "interface"), text(*entry, "l3_device"));
        let has_row = all.iter().any(|n| n.layer == Layer::Ip && n.key == key);
        let owner = all.iter_mut().find(|n| n.layer == Layer::Ip && n.device == device);
        if let (false, false, Some(owner)) = (has_row, device.is_empty(), owner) {
            owner.addresses.extend(addresses(*entry));
        }
    }
}

/// What netifd says of radios and their interfaces.
fn radios(all: &mut Vec<Named>, root: Value<'_>) {
    for (radio, status) in root.fields() {
        for (_, one) in status.get("interfaces").into_iter().flat_map(|list| list.fields()) {
            let (section, device) = (text(one, "section"), text(one, "ifname"));
            if !section.is_empty() && !device.is_empty() {
                all.push(named(Layer::Ssid, section, device, ""));
                all.push(named(Layer::Radio, radio, device, ""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ubus::Answer;

    const DUMP: &str = r#"{"interface":[
        {"interface":"lan","proto":"static","device":"br-lan","l3_device":"br-lan","ipv4-address":[{"address":"192.168.1.1","mask":24}],
         "ipv6-prefix-assignment":[{"address":"fd00::","mask":60,"local-address":{"address":"fd00::1","mask":60}},{"address":"fd01::","mask":60,"local-address":{}}]},
        {"interface":"wan","proto":"pppoe","device":"dsl0.7","l3_device":"pppoe-wan","ipv4-address":[{"address":"198.51.100.23","mask":32}]},
        {"interface":"wan_6","proto":"dhcpv6","dynamic":true,"l3_device":"pppoe-wan","ipv6-address":[{"address":"2001:db8::7","mask":128}]},
        {"interface":"wan6","proto":"dhcpv6","device":"pppoe-wan"},
        {"interface":"t","proto":"gre","l3_device":"gre4-t"},
        {"interface":7}, 5
    ]}"#;

    #[test]
    fn netifd_tells_who_is_who() {
        let package = b"config interface 't'\n\toption tunlink 'wan'\n".to_vec();
        let package = Package::parse("network", package, b"").unwrap();
        let answer = Answer::from_json(DUMP).unwrap();
        let mut all = Vec::new();
        interfaces(&mut all, answer.root().get("interface"), Some(&package));
        let show: Vec<String> = all
            .iter()
            .filter(|n| !n.key.is_empty())
            .map(|n| {
                let addresses: Vec<String> = n.addresses.iter().map(IpAddr::to_string).collect();
                let addresses = addresses.join(" ");
                format!("{:?} {} {}>{} {} {addresses}", n.layer, n.key, n.device, n.lower, n.six)
            })
            .collect();
        assert_eq!(
            show,
            [
                "Ip lan br-lan>br-lan false 192.168.1.1 fd00::1",
                "Ip wan pppoe-wan>dsl0.7 false 198.51.100.23 2001:db8::7",
                "Ppp wan pppoe-wan>dsl0.7 false ",
                "Ip wan6 >pppoe-wan true ",
                "Ip t gre4-t> false ",
                "Gre t gre4-t>pppoe-wan false ",
            ]
        );
    }

    #[test]
    fn radios_are_found_by_their_interfaces() {
        let status = r#"{"radio0":{"up":true,"interfaces":[{"section":"home","ifname":"phy0-ap0"},{"section":"off"}]},
            "radio1":{"interfaces":[]},"radio2":7}"#;
        let answer = Answer::from_json(status).unwrap();
        let mut all = Vec::new();
        radios(&mut all, answer.root());
        let show: Vec<String> = all.iter().map(|n| format!("{:?} {} {}", n.layer, n.key, n.device)).collect();
        assert_eq!(show, ["Ssid home phy0-ap0", "Radio radio0 phy0-ap0"]);
    }
}
