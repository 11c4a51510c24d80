//! `Device.DynamicDNS.`: how the services of ddns-scripts fare, from what its scripts leave in their run folder
//! (`NAME.pid`, `.update`, `.dat`, `.err`), and where they go, from its list of services.

use super::{gone, read_only, set};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::{Package, Section};
use crate::sys::{clock, host};

/// Where the scripts leave what they did when nothing is said.
const RUN: &str = "/var/run/ddns";
/// Where services are known; the first is the user's.
const LISTS: [&str; 2] = ["/usr/share/ddns/custom", "/usr/share/ddns/default"];

/// The provider.
pub const SPECS: &[Spec] =
    &[Spec { name: "ddns", list, fill, plan, key: adds_nothing, packages: &["ddns"], objects: &["*"] }];

fn service<'a>(package: &'a Package, row: &Row<'_>) -> Option<Section<'a>> {
    row.keys.first().and_then(|key| package.section(key))
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "ddns")?.unwrap_or_default();
    if service(&package, row).is_some() {
        out.push("name");
    }
    Ok(())
}

/// How a service fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    /// Of the client, in the standard's words.
    status: &'static str,
    /// Of its last attempt.
    error: &'static str,
    /// Of its name.
    name: &'static str,
    /// When the name was registered, in seconds since 1970; 0 for never.
    updated: i64,
}

fn state(ctx: &Ctx<'_>, package: &Package, service: &Section<'_>) -> State {
    let off = State { status: "Disabled", error: "NO_ERROR", name: "Disabled", updated: 0 };
    let said = ["ddns_rundir", "run_dir"];
    let folder = package.of_kind("ddns").find_map(|s| said.iter().find_map(|o| s.get(o))).unwrap_or(RUN);
    let read =
        |end: &str| host::read(ctx.root, &format!("{folder}/{}.{end}", service.id())).unwrap_or_default();
    let seconds = |text: &str| text.split(['.', ' ', '\n']).next().and_then(|s| s.parse::<i64>().ok());
    let uptime = seconds(&host::read(ctx.root, "/proc/uptime").unwrap_or_default());
    let updated = match (seconds(read("update").trim()), uptime) {
        (Some(at), Some(uptime)) if at > 0 && at <= uptime => host::now(ctx.root) - (uptime - at),
        _ => 0,
    };
    if service.flag("enabled") != Some(true) {
        return State { updated, ..off };
    }
    let runs = !read("pid").trim().is_empty();
    let error = match error(&read("dat"), &read("err")) {
        None if !runs && updated == 0 => Some("MISCONFIGURATION_ERROR"),
        error => error,
    };
    let (status, name) = match (error, updated > 0) {
        (Some("MISCONFIGURATION_ERROR"), _) => ("Error_Misconfigured", "Error"),
        (Some(_), _) => ("Error", "Error"),
        (None, true) => ("Updated", "Registered"),
        (None, false) => ("Connecting", "UpdateNeeded"),
    };
    State { status, error: error.unwrap_or("NO_ERROR"), name, updated }
}

/// What went wrong, by what the server answered and what the program that asked it complained of.
fn error(answer: &str, complaint: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 14] = [
        ("bad address", "DNS_ERROR"),
        ("unable to resolve", "DNS_ERROR"),
        ("could not resolve", "DNS_ERROR"),
        ("timed out", "TIMEOUT_ERROR"),
        ("refused", "CONNECTION_ERROR"),
        ("unreachable", "CONNECTION_ERROR"),
        ("connection error", "CONNECTION_ERROR"),
        ("401", "AUTHENTICATION_ERROR"),
        ("badauth", "AUTHENTICATION_ERROR"),
        ("!donator", "AUTHENTICATION_ERROR"),
        ("nohost", "MISCONFIGURATION_ERROR"),
        ("notfqdn", "MISCONFIGURATION_ERROR"),
        ("dnserr", "PROTOCOL_ERROR"),
        ("911", "PROTOCOL_ERROR"),
    ];
    let find = |text: &str| {
        let text = text.to_ascii_lowercase();
        WORDS.iter().find(|w| text.contains(w.0)).map(|w| w.1)
    };
    // A good answer settles it, whatever was complained of before.
    if answer.starts_with("good") || answer.starts_with("nochg") {
        return None;
    }
    find(complaint).or_else(|| find(answer))
}

/// The URL that a service is updated by.
fn url(ctx: &Ctx<'_>, service: &Section<'_>) -> Option<String> {
    let Some(name) = service.get("service_name").filter(|n| !n.contains('/')) else {
        return service.get("update_url").map(str::to_owned);
    };
    let family = if service.flag("use_ipv6") == Some(true) { "ipv6" } else { "ipv4" };
    LISTS.iter().find_map(|folder| {
        let text = host::read(ctx.root, &format!("{folder}/{name}.json")).ok()?;
        let answer = Answer::from_json(&text).ok()?;
        answer.root().get(family)?.get("url").and_then(Value::text).map(str::to_owned)
    })
}

/// Host and port of a URL, whose user may be a place for one.
fn server(url: &str) -> Option<(&str, Option<u16>)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok())),
        None => Some((host, None)),
    }
}

/// Seconds of an interval and its unit.
fn interval(service: &Section<'_>, name: &str, unless: (u32, &str)) -> u32 {
    let number = service.get(&format!("{name}_interval")).and_then(|n| n.parse().ok()).unwrap_or(unless.0);
    let unit = service.get(&format!("{name}_unit")).unwrap_or(unless.1);
    number.saturating_mul(match unit {
        "days" => 86400,
        "hours" => 3600,
        "minutes" => 60,
        _ => 1,
    })
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "ddns")?.unwrap_or_default();
    let found = service(&package, row);
    for (at, want) in want.iter().enumerate() {
        if want.param.name() == "SupportedServices" {
            let names = LISTS.iter().flat_map(|folder| host::names(ctx.root, folder));
            let names = names.filter_map(|n| n.strip_suffix(".json").map(str::to_owned));
            super::fields::put_list(names, at, out);
            continue;
        }
        let Some(service) = &found else { continue };
        let secure = service.flag("use_https") == Some(true);
        match want.param.name() {
            "Status" if row.object.name() == "Hostname" => out.put(at, state(ctx, &package, service).name),
            "Status" => out.put(at, state(ctx, &package, service).status),
            "LastError" => out.put(at, state(ctx, &package, service).error),
            "LastUpdate" => match state(ctx, &package, service).updated {
                0 => out.put(at, clock::UNKNOWN_TIME),
                time => out.put(at, clock::utc(time)),
            },
            "Enable" => out.put(at, service.flag("enabled") == Some(true)),
            "Name" => out.put(at, service.get("domain").or(service.get("lookup_host")).unwrap_or("")),
            "ServerAddress" => {
                if let Some((host, _)) = url(ctx, service).as_deref().and_then(server) {
                    out.put(at, host);
                }
            }
            "ServerPort" => {
                let port = url(ctx, service).as_deref().and_then(server).and_then(|s| s.1);
                out.put(at, port.unwrap_or(if secure { 443 } else { 80 }));
            }
            // A secure connection is asked for by an option of each service.
            "SupportedProtocols" => out.put(at, "HTTP,HTTPS"),
            "CheckInterval" => out.put(at, interval(service, "check", (10, "minutes"))),
            "RetryInterval" => out.put(at, interval(service, "retry", (60, "seconds"))),
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
    let package = sources.package(ctx, "ddns").map_err(|f| (0, f))?.unwrap_or_default();
    let service = service(&package, row).ok_or_else(|| (0, gone()))?;
    let Change::Set(sets) = change else { return Err((0, read_only())) };
    let key = service.key();
    let mut edits = Vec::new();
    for (at, one) in sets.iter().enumerate() {
        let interval = match one.param.name() {
            // What is updated, and by what it is seen whether that has come true.
            "Name" => {
                edits.push(set(&key, "domain", one.value));
                edits.push(set(&key, "lookup_host", one.value));
                continue;
            }
            "CheckInterval" => "check",
            "RetryInterval" => "retry",
            _ => return Err((at, read_only())),
        };
        edits.push(set(&key, &format!("{interval}_interval"), one.value));
        edits.push(set(&key, &format!("{interval}_unit"), "seconds"));
    }
    Ok(edits.into_iter().map(|edit| ("ddns".to_owned(), edit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others() {
        for (answer, complaint, want) in [
            ("good 192.0.2.1", "wget: timed out", None),
            ("", "wget: bad address 'x'", Some("DNS_ERROR")),
            ("badauth", "", Some("AUTHENTICATION_ERROR")),
            ("nohost", "", Some("MISCONFIGURATION_ERROR")),
            ("", "Connection refused", Some("CONNECTION_ERROR")),
            ("", "", None),
        ] {
            assert_eq!(error(answer, complaint), want, "{answer} {complaint}");
        }
        for (url, want) in [
            ("http://[USERNAME]:[PASSWORD]@members.example/nic?x=[IP]", Some(("members.example", None))),
            ("https://a.example:8245?x", Some(("a.example", Some(8245)))),
            ("nonsense", None),
        ] {
            assert_eq!(server(url), want, "{url}");
        }
    }
}
