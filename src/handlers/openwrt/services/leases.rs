//! Leases of DHCP: those that dnsmasq (or odhcpd, where it is the main server) has given, and those that are
//! kept for a host. `Device.DHCPv4.Server.Pool.{i}.Client.{i}.` and `StaticAddress.{i}.`

use super::options::put;
use super::{bad, fresh, fresh_name, gone, lan, pool, read_only, set, unhex};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};
use crate::sys::{clock, host};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// The most leases that are shown.
const MAX_LEASES: usize = 4096;
/// Where dnsmasq keeps its leases when nothing is said.
const FILE: &str = "/tmp/dhcp.leases";

/// One lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// When it ends, in seconds since 1970; 0 for never.
    pub until: i64,
    /// The MAC address, in small letters.
    pub mac: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The name that the client gave itself.
    pub name: Option<String>,
    /// By what the client knows itself.
    pub id: Vec<u8>,
}

impl Lease {
    /// A line: time, MAC, address, name (`*` for none), client id.
    fn parse(line: &str) -> Option<Lease> {
        let mut words = line.split_ascii_whitespace();
        let until = words.next()?.parse().ok()?;
        let mac = words.next().filter(|m| is_mac(m))?.to_ascii_lowercase();
        let address = words.next()?.parse().ok()?;
        let name = words.next().filter(|n| *n != "*").map(str::to_owned);
        let id = words.next().and_then(unhex).unwrap_or_default();
        Some(Lease { until, mac, address, name, id })
    }

    /// Whether it is in force.
    pub fn is_active(&self, now: i64) -> bool {
        self.until == 0 || self.until > now
    }
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && unhex(text).is_some_and(|b| b.len() == 6)
}

/// The leases there are, in the order of the file: read once in an RPC.
pub fn read(sources: &mut Sources, ctx: &Ctx<'_>) -> Rc<[Lease]> {
    sources.leases(ctx, |sources| read_now(sources, ctx))
}

fn read_now(sources: &mut Sources, ctx: &Ctx<'_>) -> Vec<Lease> {
    let package = sources.readable(ctx, "dhcp").unwrap_or_default();
    if package.of_kind("odhcpd").any(|s| s.flag("maindhcp") == Some(true)) {
        return of_odhcpd(sources, ctx);
    }
    let file = package.of_kind("dnsmasq").find_map(|s| s.get("leasefile")).unwrap_or(FILE);
    let text = host::read(ctx.root, file).unwrap_or_default();
    text.lines().filter_map(Lease::parse).take(MAX_LEASES).collect()
}

fn of_odhcpd(sources: &mut Sources, ctx: &Ctx<'_>) -> Vec<Lease> {
    let now = host::now(ctx.root);
    let answer = sources.answer(ctx, "dhcp", "ipv4leases", &[]).unwrap_or_default();
    let devices = answer.root().get("device").into_iter().flat_map(|d| d.fields());
    let leases = devices.filter_map(|(_, d)| d.get("leases")).flat_map(|l| l.fields());
    let read = |lease: crate::sys::ubus::Value<'_>| {
        let mac = unhex(lan::text(lease, "mac")).filter(|b| b.len() == 6)?;
        let valid = lease.get("valid")?.number()?;
        Some(Lease {
            until: if valid < 0 || valid >= i64::from(u32::MAX) { 0 } else { now + valid },
            mac: mac.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"),
            address: lan::text(lease, "address").parse().ok()?,
            name: Some(lan::text(lease, "hostname").to_owned()).filter(|n| !n.is_empty()),
            id: Vec::new(),
        })
    };
    leases.filter_map(|(_, lease)| read(lease)).take(MAX_LEASES).collect()
}

/// The providers.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "dhcp4_lease",
        list,
        fill,
        plan: plans_nothing,
        key: adds_nothing,
        packages: &["dhcp"],
        objects: &["*"],
    },
    Spec {
        name: "dhcp4_static",
        list: list_fixed,
        fill: fill_fixed,
        plan: plan_fixed,
        key: fixed_key,
        packages: &["dhcp", "network"],
        objects: &[],
    },
];

/// The leases of the pool that a row is in.
struct OfPool {
    all: Rc<[Lease]>,
    net: Option<lan::Net>,
}

impl OfPool {
    fn iter(&self) -> impl Iterator<Item = &Lease> + Clone {
        self.all.iter().filter(|lease| pool::holds(self.net, lease))
    }
}

fn of_pool(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Result<OfPool, Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(pool) = pool::of(&package, row) else {
        return Ok(OfPool { all: Rc::default(), net: None });
    };
    let net = lan::net(sources, ctx, pool::interface(&pool));
    Ok(OfPool { all: read(sources, ctx), net })
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let leases = of_pool(sources, ctx, row)?;
    let own = |l: &&Lease| Some(&l.mac.as_str()) == row.keys.get(1);
    match row.object.name() {
        "Client" => {
            for lease in leases.iter() {
                if !out.contains(&lease.mac) {
                    out.push(&lease.mac);
                }
            }
        }
        "IPv4Address" => out.extend(leases.iter().filter(own).map(|l| l.address.to_string())),
        _ => {
            if let Some(lease) = leases.iter().find(own) {
                out.extend(lease.name.iter().map(|_| "12"));
                out.extend((!lease.id.is_empty()).then_some("61"));
            }
        }
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
    let leases = of_pool(sources, ctx, row)?;
    let now = host::now(ctx.root);
    let mut own = leases.iter().filter(|l| Some(&l.mac.as_str()) == row.keys.get(1));
    match row.object.name() {
        "Client" => {
            let active = own.clone().any(|l| l.is_active(now));
            for (at, want) in want.iter().enumerate().filter(|_| own.clone().next().is_some()) {
                match want.param.name() {
                    "Chaddr" => out.put(at, row.key()),
                    "Active" => out.put(at, active),
                    _ => {}
                }
            }
        }
        "IPv4Address" => {
            let Some(lease) = own.find(|l| Ok(l.address) == row.key().parse()) else {
                return Ok(());
            };
            for (at, want) in want.iter().enumerate() {
                match want.param.name() {
                    "IPAddress" => out.put(at, lease.address),
                    "LeaseTimeRemaining" if lease.until == 0 => out.put(at, clock::INFINITE_TIME),
                    "LeaseTimeRemaining" => out.put(at, clock::utc(lease.until)),
                    _ => {}
                }
            }
        }
        _ => {
            let Some(lease) = own.next() else { return Ok(()) };
            match row.key() {
                "12" => put(want, 12, lease.name.as_deref().unwrap_or("").as_bytes(), out),
                "61" => put(want, 61, &lease.id, out),
                _ => {}
            }
        }
    }
    Ok(())
}

// Hosts with an address of their own. One without an address is of the pool that its name tells, or of none.

/// How the sections are called that are made for a pool.
fn name_for(pool: &Section<'_>) -> String {
    let letters = pool::interface(pool).chars().filter(|c| c.is_ascii_alphanumeric());
    format!("host_{}", letters.collect::<String>())
}

fn is_of(host: &Section<'_>, pool: &Section<'_>, net: Option<lan::Net>) -> bool {
    match host.get("ip").map(str::parse) {
        Some(Ok(address)) => net.is_some_and(|net| net.contains(address)),
        Some(Err(_)) => false,
        None => {
            let ours = host.name().and_then(|n| n.strip_prefix("cwmpd_")?.rsplit_once('_'));
            ours.is_some_and(|(name, _)| name == name_for(pool))
        }
    }
}

fn fixed<'a>(sources: &mut Sources, ctx: &Ctx<'_>, package: &'a Package, row: &Row<'_>) -> Vec<Section<'a>> {
    let Some(pool) = pool::of(package, row) else {
        return Vec::new();
    };
    let net = lan::net(sources, ctx, pool::interface(&pool));
    package.of_kind("host").filter(|h| is_of(h, &pool, net)).collect()
}

fn list_fixed(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    out.extend(fixed(sources, ctx, &package, row).iter().map(Section::key));
    Ok(())
}

fn fill_fixed(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let Some(host) = package.section(row.key()) else { return Ok(()) };
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, host.flag("enable").unwrap_or(true)),
            "Chaddr" => out.put(at, host.words("mac").first().unwrap_or(&"").to_ascii_lowercase()),
            "Yiaddr" => out.put(at, host.get("ip").unwrap_or("")),
            _ => {}
        }
    }
    Ok(())
}

fn plan_fixed(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "dhcp").map_err(|f| (0, f))?.unwrap_or_default();
    let key = row.key();
    let mut edits = Vec::new();
    match change {
        Change::Add => edits = fresh("host", key, &[("enable", "0")]),
        Change::Delete => edits.push(Edit::Drop { section: key.to_owned() }),
        Change::Set(sets) => {
            let host = package.section(key).ok_or_else(|| (0, gone()))?;
            let pool = pool::of(&package, row).ok_or_else(|| (0, gone()))?;
            for (at, one) in sets.iter().enumerate() {
                match one.param.name() {
                    "Enable" => edits.push(set(key, "enable", if one.value == "true" { "1" } else { "0" })),
                    "Chaddr" => {
                        // A laptop in its dock has two: the standard sees the first.
                        let mut all = host.words("mac");
                        all.drain(..all.len().min(1));
                        let value = [&[one.value], &all[..]].concat();
                        edits.push(set(key, "mac", value.join(" ").trim()));
                    }
                    "Yiaddr" => {
                        let net = lan::net(sources, ctx, pool::interface(&pool));
                        let fits = |a: Ipv4Addr| net.is_some_and(|net| net.contains(a));
                        let text = one.value;
                        if !text.is_empty() && !text.parse().is_ok_and(fits) {
                            return Err((at, bad("not an address of the pool's network")));
                        }
                        if text.is_empty() && !is_of(&host, &pool, net) {
                            return Err((at, bad("an address is needed")));
                        }
                        edits.push(set(key, "ip", text));
                    }
                    _ => return Err((at, read_only())),
                }
            }
        }
    }
    Ok(edits.into_iter().map(|edit| ("dhcp".to_owned(), edit)).collect())
}

fn fixed_key(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
    let package = sources.package(ctx, "dhcp")?.unwrap_or_default();
    let kind = match pool::of(&package, row) {
        Some(pool) => name_for(&pool),
        None => return Err(Failure::denied("the pool is not there yet")),
    };
    fresh_name(sources, ctx, "dhcp", &kind, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let lease =
            Lease::parse("1790896212 02:00:00:00:0A:10 192.168.1.110 laptop 01:02:00:00:00:0a:10").unwrap();
        assert_eq!((lease.mac.as_str(), lease.name.as_deref()), ("02:00:00:00:0a:10", Some("laptop")));
        assert_eq!(
            (lease.id.len(), lease.is_active(1790896211), lease.is_active(1790896212)),
            (7, true, false)
        );
        let lease = Lease::parse("0 02:00:00:00:01:12 192.168.1.20 * *").unwrap();
        assert!(lease.name.is_none() && lease.id.is_empty() && lease.is_active(i64::MAX));
        for line in ["", "x 02:00:00:00:01:12 1.2.3.4 *", "1 02:00 1.2.3.4 *", "1 02:00:00:00:01:12 x *"] {
            assert_eq!(Lease::parse(line), None, "{line}");
        }
    }
}
