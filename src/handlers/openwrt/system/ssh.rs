//! Provider `ow_ssh`: what dropbear's sections do not say of themselves: which process serves one, and who
//! is connected to it. The key of a connection is its far end.

use super::{Spec, procd, put};
use crate::handlers::linux::sockets;
use crate::handlers::openwrt::provider::{adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::{Package, Section};
use crate::sys::{clock, host};
use std::net::SocketAddr;

const PACKAGE: &str = "dropbear";
/// Where dropbear listens unless it is told.
const PORT: &str = "22";

/// The provider.
pub const SPEC: Spec = Spec {
    name: "ow_ssh",
    list,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &[PACKAGE],
    objects: &["*"],
};

fn is_on(section: &Section<'_>) -> bool {
    section.flag("enable") != Some(false)
}

fn port<'a>(section: Section<'a>) -> &'a str {
    section.get("Port").unwrap_or(PORT)
}

/// Whether an instance listens on a port: `-p 22`, `-p ADDRESS:22`.
fn listens(instance: Value<'_>, port: &str) -> bool {
    let after = procd::words(instance).skip_while(|w| *w != "-p").nth(1);
    after.is_some_and(|word| word.rsplit(':').next() == Some(port))
}

/// The instance of a section: of those on its port, the one at its place among the sections that are on.
fn instance<'a>(answer: &'a Answer, package: &Package, section: Section<'_>) -> Option<Value<'a>> {
    let port = port(section);
    let same = |s: &Section<'_>| is_on(s) && s.get("Port").unwrap_or(PORT) == port;
    let nth = package.of_kind(PACKAGE).filter(same).position(|s| s.index() == section.index())?;
    procd::instances(answer, PACKAGE).map(|(_, i)| i).filter(|i| listens(*i, port)).nth(nth)
}

/// The far ends of the connections to a section's port.
fn peers(ctx: &Ctx<'_>, section: Section<'_>) -> Vec<SocketAddr> {
    let port: Option<u16> = port(section).parse().ok();
    let all = sockets::read(ctx.root, host::is_live(ctx.root));
    all.iter().filter(|s| Some(s.local.port()) == port).filter_map(|s| s.remote).collect()
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, PACKAGE)?;
    let server = row.keys.first().copied().unwrap_or("");
    if let Some(section) = package.as_deref().and_then(|p| p.section(server)).filter(is_on) {
        out.extend(peers(ctx, section).iter().map(SocketAddr::to_string));
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
    if row.object.name() == "Session" {
        let peer: Option<SocketAddr> = row.key().parse().ok();
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "IPAddress" => put(out, i, peer.map(|p| p.ip())),
                "Port" => put(out, i, peer.map(|p| p.port())),
                _ => {}
            }
        }
        return Ok(());
    }
    let Some(package) = sources.package(ctx, PACKAGE)? else {
        return Ok(());
    };
    let services = procd::services(sources, ctx);
    let Some(server) = row.keys.first() else {
        let up = procd::is_up(sources, ctx, PACKAGE);
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, package.of_kind(PACKAGE).any(|s| is_on(&s))),
                "Status" => out.put(i, if up { "Enabled" } else { "Disabled" }),
                _ => {}
            }
        }
        return Ok(());
    };
    let Some(section) = package.section(server) else {
        return Ok(());
    };
    let instance =
        services.as_deref().and_then(|a| instance(a, &package, section)).filter(|_| is_on(&section));
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Status" => out.put(
                i,
                match instance {
                    _ if !is_on(&section) => "Disabled",
                    Some(instance) if procd::runs(instance) => "Enabled",
                    _ => "Error",
                },
            ),
            "PID" => put(out, i, instance.and_then(procd::pid)),
            "ActivationDate" => {
                let process = instance.and_then(|i| procd::process(ctx, i));
                put(out, i, process.and_then(|p| p.started(ctx.root)).map(clock::utc));
            }
            // Of an interface it takes the addresses, and no others.
            "AllowAllIPv4" | "AllowAllIPv6" => out.put(i, section.get("Interface").is_none()),
            _ => {}
        }
    }
    Ok(())
}
