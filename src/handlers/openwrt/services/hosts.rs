//! What else is known of a host (`Device.Hosts.Host.{i}.`): its leases, and the station of a radio that it is. Its
//! key is its MAC address, as that of theirs.

use super::{lan, leases, pool, unhex};
use crate::handlers::openwrt::provider::{Spec, adds_nothing, lists_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Row, Want};
use crate::sys::ubus::Value;

/// The most leases that are told of a host (the standard's bound).
const MAX_CLIENTS: usize = 2;

/// The provider.
pub const SPECS: &[Spec] = &[Spec {
    name: "host_joined",
    list: lists_nothing,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &["dhcp", "wireless"],
    objects: &["*"],
}];

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let mac = row.key().to_ascii_lowercase();
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "DHCPClient" => {
                for (object, keys) in clients(sources, ctx, &mac)?.iter().take(MAX_CLIENTS) {
                    out.refer(at, object, &[&keys.0, &keys.1]);
                }
            }
            "AssociatedDevice" => {
                if let Some(section) = access_point(sources, ctx, &mac) {
                    out.refer(at, "Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.", &[&section, &mac]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A row of a lease: the table, and the keys of pool and client.
type Client = (&'static str, (String, String));

/// The rows of leases that are a host's.
fn clients(sources: &mut Sources, ctx: &Ctx<'_>, mac: &str) -> Result<Vec<Client>, Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let leases = leases::read(sources, ctx);
    let dump = lan::dump(sources, ctx);
    let six = sources.answer(ctx, "dhcp", "ipv6leases", &[]).unwrap_or_default();
    let own = unhex(mac).unwrap_or_default();
    let mut all = Vec::new();
    for pool in package.of_kind("dhcp") {
        let name = pool::interface(&pool);
        let net = lan::net(sources, ctx, name);
        if leases.iter().any(|l| l.mac == mac && pool::holds(net, l)) {
            let keys = (pool.key().into_owned(), mac.to_owned());
            all.push(("Device.DHCPv4.Server.Pool.{i}.Client.{i}.", keys));
        }
        let device = lan::interface(&dump, name).map_or("", |i| lan::text(i, "l3_device"));
        let leases = six.root().get("device").and_then(|d| d.get(device)?.get("leases"));
        let duids = leases.into_iter().flat_map(Value::fields).map(|l| lan::text(l.1, "duid"));
        // A DUID that is made of a link layer address ends with it (types 1 and 3).
        let is_own = |duid: &&str| {
            unhex(duid).is_some_and(|d| matches!(d.get(1), Some(1 | 3)) && d.len() >= 10 && d.ends_with(&own))
        };
        if let Some(duid) = duids.into_iter().find(is_own).filter(|_| own.len() == 6) {
            let keys = (pool.key().into_owned(), duid.to_owned());
            all.push(("Device.DHCPv6.Server.Pool.{i}.Client.{i}.", keys));
        }
    }
    Ok(all)
}

/// The key of the access point that has a station of this address. netifd calls a section without a name as
/// libuci does, and its row has a key of its own.
fn access_point(sources: &mut Sources, ctx: &Ctx<'_>, mac: &str) -> Option<String> {
    let status = sources.answer(ctx, "network.wireless", "status", &[])?;
    let package = sources.readable(ctx, "wireless")?;
    for (_, radio) in status.root().fields() {
        for (_, interface) in radio.get("interfaces").into_iter().flat_map(Value::fields) {
            let (section, ifname) = (lan::text(interface, "section"), lan::text(interface, "ifname"));
            if ifname.is_empty() {
                continue;
            }
            let object = format!("hostapd.{ifname}");
            let answer = sources.answer(ctx, &object, "get_clients", &[]);
            let clients = answer.as_ref().and_then(|a| a.root().get("clients"));
            if clients.into_iter().flat_map(Value::fields).any(|c| c.0.eq_ignore_ascii_case(mac)) {
                return Some(package.section(section)?.key().into_owned());
            }
        }
    }
    None
}
