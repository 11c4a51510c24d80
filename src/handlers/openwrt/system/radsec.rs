//! Provider `ow_radsec`: where radsecproxy listens and where it sends from. A key is the protocol and the
//! place in its list: `TLS 1`.

use super::{CERTIFICATE, INTERFACE, Spec, bad, endpoint, first, interface_at, put, with_port};
use crate::handlers::linux::certificate;
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::adds_nothing;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Section};

const PACKAGE: &str = "radsecproxy";
/// The protocols and their ports (RFC 2865, 6614, 7360).
const PROTOCOLS: [(&str, u16); 4] = [("UDP", 1812), ("TCP", 1812), ("TLS", 2083), ("DTLS", 2083)];
/// No more places than this are shown for each.
const MAX_PLACES: usize = 16;

/// The provider.
pub const SPEC: Spec = Spec {
    name: "ow_radsec",
    list,
    fill,
    plan,
    key: adds_nothing,
    packages: &[PACKAGE],
    objects: &["network.interface"],
};

/// `Listen` or `Source`, as the options begin.
fn role(row: &Row<'_>) -> &'static str {
    if row.object.name() == "ListenConfig" { "Listen" } else { "Source" }
}

/// The option for a protocol, as it is written in this section; the package takes it in lower case, too.
fn option(section: Section<'_>, role: &str, protocol: &str) -> String {
    let option = [role, protocol].concat();
    let lower = option.to_ascii_lowercase();
    if section.get(&option).is_none() && section.get(&lower).is_some() { lower } else { option }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, PACKAGE)?;
    let Some(section) = package.as_deref().and_then(|p| first(p, "options")) else {
        return Ok(());
    };
    for (protocol, _) in PROTOCOLS {
        let places = section.items(&option(section, role(row), protocol)).len().min(MAX_PLACES);
        out.extend((1..=places).map(|n| format!("{protocol} {n}")));
    }
    Ok(())
}

/// Protocol and place of a row.
fn split(key: &str) -> Option<((&'static str, u16), usize)> {
    let (protocol, n) = key.split_once(' ')?;
    let found = PROTOCOLS.into_iter().find(|p| p.0 == protocol)?;
    Some((found, n.parse::<usize>().ok()?.checked_sub(1)?))
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(package) = sources.package(ctx, PACKAGE)? else {
        return Ok(());
    };
    if row.object.name() == "TLS" {
        let file =
            package.section(row.key()).and_then(|s| s.get("certificateFile").or(s.get("CertificateFile")));
        let key = file.and_then(|file| certificate::key_of(ctx.root, file));
        key.into_iter().for_each(|key| (0..want.len()).for_each(|i| out.refer(i, CERTIFICATE, &[&key])));
        return Ok(());
    }
    let (Some(section), Some(((protocol, usual), nth))) = (first(&package, "options"), split(row.key()))
    else {
        return Ok(());
    };
    let option = option(section, role(row), protocol);
    let items = section.items(&option);
    let Some((address, port)) = items.get(nth).map(|item| endpoint(item)) else {
        return Ok(());
    };
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Protocol" => out.put(i, protocol),
            "Port" => put(out, i, port.or(Some(usual)).filter(|p| *p > 0)),
            "Interface" => {
                if let Some(key) = interface_at(sources, ctx, address) {
                    out.refer(i, INTERFACE, &[&key]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, PACKAGE).map_err(|f| (0, f))?;
    let section = package.as_deref().and_then(|p| first(p, "options"));
    let (Change::Set(sets), Some(section), Some(((protocol, _), nth))) = (change, section, split(row.key()))
    else {
        return Err((0, Failure::denied("where radsecproxy listens is its own list's to say")));
    };
    let option = option(section, role(row), protocol);
    let mut items: Vec<String> = section.items(&option).into_iter().map(str::to_owned).collect();
    for (at, set) in sets.iter().enumerate().filter(|(_, set)| set.param.name() == "Port") {
        let Some(item) = items.get_mut(nth) else {
            return Err((at, Failure::denied("the place is gone")));
        };
        let new = with_port(item, set.value);
        *item = if endpoint(item).0.is_empty() { format!("*:{}", set.value) } else { new };
        let twice = items.iter().enumerate().any(|(n, other)| n != nth && Some(other) == items.get(nth));
        if twice {
            return Err(bad(at, "it listens there already"));
        }
    }
    Ok(vec![(PACKAGE.into(), Edit::List { section: section.key().into(), option, items })])
}
