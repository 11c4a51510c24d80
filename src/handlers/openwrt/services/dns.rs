//! `Device.DNS.Client.Server.{i}.`: the servers that interfaces were told of, and
//! `Device.DNS.Relay.Forwarding.{i}.`: those that dnsmasq asks, which are the same and its own `server` lines.

use super::{lan, zones};
use crate::handlers::openwrt::provider::{Spec, adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::Value;
use std::net::IpAddr;

/// The most servers that are shown.
const MAX_SERVERS: usize = 64;

/// The providers.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "dns_server",
        list,
        fill,
        plan: plans_nothing,
        key: adds_nothing,
        packages: &["network"],
        objects: &["network.interface"],
    },
    Spec {
        name: "dns_forwarder",
        list,
        fill,
        plan: plans_nothing,
        key: adds_nothing,
        packages: &["dhcp"],
        objects: &["network.interface"],
    },
];

/// One server.
struct Server {
    key: String,
    address: IpAddr,
    /// The interface that it is asked by, or told of by.
    interface: String,
    /// One of the standard's words.
    origin: &'static str,
}

/// How an interface of this protocol learns of servers.
fn origin(protocol: &str, six: bool) -> &'static str {
    match protocol {
        "dhcp" => "DHCPv4",
        "dhcpv6" => "DHCPv6",
        "pppoe" | "pppoa" | "ppp" | "pptp" | "l2tp" => "IPCP",
        "qmi" | "mbim" | "ncm" | "3g" | "modemmanager" | "wwan" => "3GPP-NAS",
        _ if six && protocol != "static" => "RouterAdvertisement",
        _ => "Static",
    }
}

/// The servers of the interfaces that are up.
fn told(sources: &mut Sources, ctx: &Ctx<'_>) -> Vec<Server> {
    let network = sources.readable(ctx, "network").unwrap_or_default();
    let dump = lan::dump(sources, ctx);
    let mut all: Vec<Server> = Vec::new();
    for interface in lan::interfaces(&dump).filter(|i| i.get("up").and_then(Value::flag) == Some(true)) {
        let name = lan::text(interface, "interface");
        let fixed = network.section(name).map(|s| s.words("dns")).unwrap_or_default();
        for (_, server) in interface.get("dns-server").into_iter().flat_map(Value::fields) {
            let Some(address) = server.text().and_then(|t| t.parse::<IpAddr>().ok()) else { continue };
            let key = format!("{name} {address}");
            if all.len() >= MAX_SERVERS || all.iter().any(|s| s.key == key) {
                continue;
            }
            let is_fixed = fixed.iter().any(|f| f.parse() == Ok(address));
            let origin = match is_fixed {
                true => "Static",
                false => origin(lan::text(interface, "proto"), address.is_ipv6()),
            };
            all.push(Server { key, address, interface: name.to_owned(), origin });
        }
    }
    all
}

/// The servers that dnsmasq asks of all names. One for some domains only is no forwarder of all.
fn asked(sources: &mut Sources, ctx: &Ctx<'_>) -> Vec<Server> {
    let package = sources.readable(ctx, "dhcp").unwrap_or_default();
    let mut all: Vec<Server> = Vec::new();
    let mut upstream = package.of_kind("dnsmasq").next().is_some();
    for instance in package.of_kind("dnsmasq") {
        upstream &= instance.flag("noresolv") != Some(true);
        for item in instance.words("server") {
            // ADDRESS#PORT@INTERFACE
            let (address, interface) = item.split_once('@').unwrap_or((item, ""));
            let Ok(address) = address.split('#').next().unwrap_or("").parse::<IpAddr>() else { continue };
            if all.len() < MAX_SERVERS && !all.iter().any(|s| s.key == item) {
                let interface = interface.to_owned();
                all.push(Server { key: item.to_owned(), address, interface, origin: "Static" });
            }
        }
    }
    if upstream {
        let mut told = told(sources, ctx);
        told.retain(|t| !all.iter().any(|s| s.address == t.address));
        all.extend(told);
    }
    all
}

fn servers(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Vec<Server> {
    if row.object.name() == "Forwarding" { asked(sources, ctx) } else { told(sources, ctx) }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    out.extend(servers(sources, ctx, row).into_iter().map(|s| s.key));
    Ok(())
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let all = servers(sources, ctx, row);
    if row.object.name() == "Config" {
        // Which of them this instance asks is all of them.
        let asked = asked(sources, ctx);
        for (at, _) in want.iter().enumerate().filter(|(_, w)| w.param.name() == "Forwarders") {
            for server in &asked {
                out.refer(at, "Device.DNS.Relay.Forwarding.{i}.", &[&server.key]);
            }
        }
        return Ok(());
    }
    let Some(server) = all.iter().find(|s| s.key == row.key()) else {
        return Ok(());
    };
    // A forwarder serves while dnsmasq answers at all.
    let package = sources.readable(ctx, "dhcp").unwrap_or_default();
    let relays = package.of_kind("dnsmasq").any(|s| s.get("port") != Some("0"));
    let on = row.object.name() != "Forwarding" || relays;
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, on),
            "Status" => out.put(at, if on { "Enabled" } else { "Disabled" }),
            "DNSServer" => out.put(at, server.address),
            "Interface" if !server.interface.is_empty() => {
                out.refer(at, zones::INTERFACE, &[&server.interface]);
            }
            "Type" => out.put(at, server.origin),
            _ => {}
        }
    }
    Ok(())
}
