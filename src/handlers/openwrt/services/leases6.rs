//! Leases of DHCPv6, as odhcpd tells them: `Device.DHCPv6.Server.Pool.{i}.Client.{i}.` A client is known by its
//! DUID; it has as many leases as it asked for.

use super::options::put;
use super::{lan, pool, unhex};
use crate::handlers::openwrt::provider::{Spec, adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::{clock, host};
use std::rc::Rc;

/// The most entries of an answer that are looked at.
const MAX_LEASES: usize = 4096;

/// The provider.
pub const SPECS: &[Spec] = &[Spec {
    name: "dhcp6_lease",
    list,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &["dhcp"],
    objects: &["dhcp"],
}];

/// What odhcpd says, and the device of the pool that a row is in.
fn read(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Result<(Rc<Answer>, String), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let name = pool::of(&package, row).map_or("", |pool| pool::interface(&pool));
    let dump = lan::dump(sources, ctx);
    let device = lan::interface(&dump, name).map_or("", |i| lan::text(i, "l3_device"));
    Ok((sources.answer(ctx, "dhcp", "ipv6leases", &[]).unwrap_or_default(), device.to_owned()))
}

/// The leases of a device.
fn leases<'a>(answer: &'a Answer, device: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let leases = answer.root().get("device").and_then(|d| d.get(device)?.get("leases"));
    leases.into_iter().flat_map(|l| l.fields()).map(|f| f.1).take(MAX_LEASES)
}

/// Addresses (`ipv6-addr`) or prefixes (`ipv6-prefix`) of a client, with what stands before and behind the
/// slash.
fn held<'a>(answer: &'a Answer, device: &str, duid: &str, what: &str) -> Vec<(String, Value<'a>)> {
    let own = leases(answer, device).filter(|l| lan::text(*l, "duid") == duid);
    let all = own.filter_map(|l| l.get(what)).flat_map(|l| l.fields()).map(|f| f.1);
    let key = |one: Value<'_>| match one.get("prefix-length").and_then(|n| n.number()) {
        Some(length) => format!("{}/{length}", lan::text(one, "address")),
        None => lan::text(one, "address").to_owned(),
    };
    all.map(|one| (key(one), one)).collect()
}

/// What the rows of a table within a client are.
fn what(row: &Row<'_>) -> &'static str {
    if row.object.name() == "IPv6Prefix" { "ipv6-prefix" } else { "ipv6-addr" }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let (answer, device) = read(sources, ctx, row)?;
    let duid = row.keys.get(1).copied().unwrap_or("");
    match row.object.name() {
        "Client" => {
            for lease in leases(&answer, &device) {
                let duid = lan::text(lease, "duid");
                if !out.contains(duid) {
                    out.push(duid);
                }
            }
        }
        // The DUID itself is the one option that is told of a client.
        "Option" if leases(&answer, &device).any(|l| lan::text(l, "duid") == duid) => out.push("1"),
        "Option" => {}
        _ => out.extend(held(&answer, &device, duid, what(row)).into_iter().map(|h| h.0)),
    }
    Ok(())
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let (answer, device) = read(sources, ctx, row)?;
    let duid = row.keys.get(1).copied().unwrap_or("");
    let mut own = leases(&answer, &device).filter(|l| lan::text(*l, "duid") == duid);
    match row.object.name() {
        "Client" => {
            let bound = |lease: Value<'_>| lease.get("valid").and_then(|v| v.number()) != Some(0);
            let active = own.any(bound);
            for (at, want) in want.iter().enumerate() {
                if want.param.name() == "Active" {
                    out.put(at, active);
                }
            }
        }
        "Option" => put(want, 1, &unhex(duid).unwrap_or_default(), out),
        _ => {
            let all = held(&answer, &device, duid, what(row));
            let Some((key, one)) = all.iter().find(|h| h.0 == row.key()) else {
                return Ok(());
            };
            for (at, want) in want.iter().enumerate() {
                match want.param.name() {
                    "PreferredLifetime" => out.put(at, lifetime(ctx, *one, "preferred-lifetime")),
                    "ValidLifetime" => out.put(at, lifetime(ctx, *one, "valid-lifetime")),
                    _ => out.put(at, key),
                }
            }
        }
    }
    Ok(())
}

/// When it is over.
fn lifetime(ctx: &Ctx<'_>, one: Value<'_>, name: &str) -> String {
    match one.get(name).and_then(|n| n.number()) {
        // Without end: -1, in 32 bits.
        Some(seconds) if seconds < 0 || seconds >= i64::from(u32::MAX) => clock::INFINITE_TIME.to_owned(),
        Some(seconds) => clock::utc(host::now(ctx.root).saturating_add(seconds)),
        None => clock::UNKNOWN_TIME.to_owned(),
    }
}
