//! Provider `ow_web`: uhttpd's ports and LuCI's languages. A port's key is its section, its protocol, and its
//! place among the ports of that protocol: `main HTTPS 1`.

use super::{CERTIFICATE, INTERFACE, Spec, bad, endpoint, first, interface_at, procd, put, with_port};
use crate::handlers::linux::certificate;
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::adds_nothing;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Package, Section};
use crate::sys::{clock, host};

const PACKAGE: &str = "uhttpd";
const LUCI: &str = "luci";
/// Protocols and the lists of their places.
const LISTS: [(&str, &str); 2] = [("HTTP", "listen_http"), ("HTTPS", "listen_https")];
/// No more languages than this are shown.
const MAX_LANGUAGES: usize = 64;
/// Addresses that stand for all.
const ALL_IPV4: &str = "0.0.0.0";
const ALL_IPV6: &str = "::";

/// The provider.
pub const SPEC: Spec = Spec {
    name: "ow_web",
    list,
    fill,
    plan,
    key: adds_nothing,
    packages: &[PACKAGE, LUCI, "firewall"],
    objects: &["*"],
};

/// The ports of a list in their order, each once.
fn ports(section: Section<'_>, list: &str) -> Vec<u16> {
    let mut found = Vec::new();
    for port in section.words(list).into_iter().filter_map(|word| endpoint(word).1) {
        if port > 0 && !found.contains(&port) {
            found.push(port);
        }
    }
    found
}

/// One row.
struct Port<'a> {
    section: Section<'a>,
    protocol: &'static str,
    list: &'static str,
    port: u16,
}

impl<'a> Port<'a> {
    fn of(package: &'a Package, key: &str) -> Option<Port<'a>> {
        let mut words = key.rsplitn(3, ' ');
        let nth = words.next()?.parse::<usize>().ok()?.checked_sub(1)?;
        let protocol = words.next()?;
        let (protocol, list) = LISTS.into_iter().find(|l| l.0 == protocol)?;
        let section = package.section(words.next()?)?;
        Some(Port { section, protocol, list, port: *ports(section, list).get(nth)? })
    }

    /// The addresses it is listened on at.
    fn addresses(&self) -> Vec<&'a str> {
        let words = self.section.words(self.list).into_iter();
        words.map(endpoint).filter(|e| e.1 == Some(self.port)).map(|e| e.0).collect()
    }
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let Some(package) = sources.package(ctx, PACKAGE)? else {
        return Ok(());
    };
    for section in package.of_kind(PACKAGE) {
        for (protocol, list) in LISTS {
            let count = ports(section, list).len();
            out.extend((1..=count).map(|n| format!("{} {protocol} {n}", section.key())));
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
    let package = sources.package(ctx, PACKAGE)?;
    if !row.keys.is_empty() {
        if let Some(port) = package.as_deref().and_then(|p| Port::of(p, row.key())) {
            one(sources, ctx, &port, want, out);
        }
        return Ok(());
    }
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "PasswordRequired" => out.put(i, has_password(ctx)),
            "AvailableLanguages" => {
                let luci = sources.package(ctx, LUCI)?;
                put(out, i, luci.as_deref().map(|l| languages(l).join(",")));
            }
            "CurrentLanguage" => {
                let luci = sources.package(ctx, LUCI)?;
                let chosen = luci.as_deref().and_then(|l| l.section("main")?.get("lang"));
                put(out, i, chosen.filter(|l| *l != "auto").map(|l| l.replace('_', "-")));
            }
            "HTTPAccessSupportedProtocols" => {
                let Some(section) = package.as_deref().and_then(|p| first(p, PACKAGE)) else { continue };
                let spoken = LISTS.iter().filter(|l| !ports(section, l.1).is_empty()).map(|l| l.0);
                out.put(i, spoken.collect::<Vec<_>>().join(","));
            }
            _ => {}
        }
    }
    Ok(())
}

fn one(sources: &mut Sources, ctx: &Ctx<'_>, port: &Port<'_>, want: &[Want<'_>], out: &mut Fields) {
    let addresses = port.addresses();
    let services = procd::services(sources, ctx);
    let running = services
        .as_deref()
        .and_then(|a| procd::instances(a, PACKAGE).map(|(_, i)| i).find(|i| procd::runs(*i)));
    let any = |all: &str| addresses.iter().any(|a| a.is_empty() || *a == all);
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(i, true),
            "Status" => out.put(i, if running.is_some() { "Up" } else { "Down" }),
            "Port" => out.put(i, port.port),
            "Protocol" => out.put(i, port.protocol),
            "AllowAllIPv4" => out.put(i, any(ALL_IPV4)),
            "AllowAllIPv6" => out.put(i, any(ALL_IPV6)),
            "AccessType" => {
                let open = sources.readable(ctx, "firewall").is_some_and(|f| is_open(&f, port.port));
                out.put(i, if open { "RemoteAccess" } else { "LocalAccess" });
            }
            "Interface" => {
                let key = addresses.first().and_then(|a| interface_at(sources, ctx, a));
                key.into_iter().for_each(|key| out.refer(i, INTERFACE, &[&key]));
            }
            "Certificate" if port.protocol == "HTTPS" => {
                let file = port.section.get("cert").unwrap_or("/etc/uhttpd.crt");
                let key = certificate::key_of(ctx.root, file);
                key.into_iter().for_each(|key| out.refer(i, CERTIFICATE, &[&key]));
            }
            "AllowedPathPrefixes" => {
                let mut all = vec!["/"];
                all.extend(["cgi_prefix", "ubus_prefix"].iter().filter_map(|o| port.section.get(o)));
                all.extend(port.section.items("lua_prefix").iter().filter_map(|i| i.split('=').next()));
                all.retain(|prefix| !prefix.contains([',', '%']));
                out.put(i, all.join(","));
            }
            "ActivationDate" => {
                let process = running.and_then(|i| procd::process(ctx, i));
                put(out, i, process.and_then(|p| p.started(ctx.root)).map(clock::utc));
            }
            _ => {}
        }
    }
}

/// Whether the firewall lets a port in from the zone `wan`.
fn is_open(firewall: &Package, port: u16) -> bool {
    let wan = |text: Option<&str>| matches!(text, Some("wan" | "*"));
    let zone = firewall.of_kind("zone").find(|z| z.get("name") == Some("wan"));
    if zone.is_some_and(|z| z.get("input").is_some_and(|i| i.eq_ignore_ascii_case("accept"))) {
        return true;
    }
    firewall.of_kind("rule").any(|rule| {
        rule.flag("enabled") != Some(false)
            && wan(rule.get("src"))
            && rule.get("dest").is_none()
            && rule.get("target").is_some_and(|t| t.eq_ignore_ascii_case("accept"))
            && rule
                .words("proto")
                .iter()
                .all(|p| matches!(*p, "tcp" | "all" | "any" | "tcpudp" | "udp" | "6" | "*"))
            && rule.words("dest_port").into_iter().any(|ports| holds(ports, port))
    })
}

/// `80`, `8000-8100`, `8000:8100`.
fn holds(ports: &str, port: u16) -> bool {
    let (from, to) = ports.split_once(['-', ':']).unwrap_or((ports, ports));
    from.parse().is_ok_and(|from: u16| from <= port) && to.parse().is_ok_and(|to: u16| port <= to)
}

/// Whether root has a password: rpcd asks for none where there is none. The password itself is not looked at.
fn has_password(ctx: &Ctx<'_>) -> bool {
    let shadow = host::read(ctx.root, "/etc/shadow").unwrap_or_default();
    let field = shadow.lines().find_map(|line| line.strip_prefix("root:")?.split(':').next());
    field.is_some_and(|hash| !hash.is_empty())
}

/// As the standard writes them: `pt-br` for LuCI's `pt_br`. English is always there.
fn languages(luci: &Package) -> Vec<String> {
    let mut found = vec!["en".to_owned()];
    let known = luci.section("languages");
    for (name, _) in known.iter().flat_map(|s| s.options()).take(MAX_LANGUAGES) {
        let name = name.replace('_', "-");
        let plain =
            (2..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if plain && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Err((0, Failure::denied("where uhttpd listens is its own list's to say")));
    };
    let mut plan = Plan::new();
    for (at, set) in sets.iter().enumerate() {
        let failed = |failure| (at, failure);
        if set.param.name() == "CurrentLanguage" {
            let luci = sources.package(ctx, LUCI).map_err(failed)?;
            let known = luci.as_deref().is_some_and(|l| languages(l).iter().any(|l| l == set.value));
            if !known && !set.value.is_empty() {
                return Err(bad(at, "no language that is installed: see AvailableLanguages"));
            }
            let value = if set.value.is_empty() { "auto".into() } else { set.value.replace('-', "_") };
            plan.push((LUCI.into(), Edit::Set { section: "main".into(), option: "lang".into(), value }));
            continue;
        }
        let package = sources.package(ctx, PACKAGE).map_err(failed)?;
        let port = package.as_deref().and_then(|p| Port::of(p, row.key()));
        let Some(port) = port else {
            return Err((at, Failure::denied("the port is gone")));
        };
        let new: u16 = set.value.parse().unwrap_or(0);
        let taken = LISTS.iter().any(|l| ports(port.section, l.1).contains(&new));
        if taken && new != port.port {
            return Err(bad(at, "uhttpd listens there already"));
        }
        let moved = |word: &str| match endpoint(word).1 == Some(port.port) {
            true => with_port(word, set.value),
            false => word.to_owned(),
        };
        let items = port.section.words(port.list).into_iter().map(moved).collect();
        plan.push((
            PACKAGE.into(),
            Edit::List { section: port.section.key().into(), option: port.list.into(), items },
        ));
    }
    Ok(plan)
}
