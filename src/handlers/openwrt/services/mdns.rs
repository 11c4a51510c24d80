//! `Device.DNS.SD.`: services that umdns announces for this box, and those that it has heard of.

use super::lan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use std::rc::Rc;

/// The most services shown, of each kind.
const MAX_SERVICES: usize = 1024;

/// The provider.
pub const SPECS: &[Spec] = &[Spec {
    name: "dns_sd",
    list,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &["umdns"],
    objects: &["umdns"],
}];

/// One service: what it is (`_http._tcp`), who has it, and what is told of it.
struct Service<'a> {
    kind: &'a str,
    name: &'a str,
    told: Value<'a>,
}

impl Service<'_> {
    fn key(&self) -> String {
        format!("{}.{}", self.name, self.kind)
    }

    /// Its texts, `path=/`: umdns says each as a field of its own, or all as an array.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.told.fields().filter(|f| f.0 == "txt").map(|f| f.1);
        let texts = fields.flat_map(each_of).filter_map(Value::text);
        texts.map(|t| t.split_once('=').unwrap_or((t, "")))
    }
}

fn each_of(value: Value<'_>) -> Vec<Value<'_>> {
    if value.is_array() { value.fields().map(|f| f.1).collect() } else { vec![value] }
}

fn services(answer: &Answer) -> impl Iterator<Item = Service<'_>> {
    let kinds = answer.root().fields();
    let all = kinds.flat_map(|(kind, all)| all.fields().map(move |(name, told)| (kind, name, told)));
    let all = all.map(|(kind, name, told)| Service { kind: kind.trim_end_matches(".local"), name, told });
    all.filter(|s| s.kind.starts_with('_')).take(MAX_SERVICES)
}

/// The service of a key: found by its type and its name, without a look at the others.
fn find<'a>(answer: &'a Answer, key: &str) -> Option<Service<'a>> {
    answer.root().fields().find_map(|(kind, all)| {
        let kind = kind.trim_end_matches(".local");
        let name = key.strip_suffix(kind)?.strip_suffix('.').filter(|_| kind.starts_with('_'))?;
        let (name, told) = all.fields().find(|f| f.0 == name)?;
        Some(Service { kind, name, told })
    })
}

fn answer(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Rc<Answer> {
    let method = if row.object.path().contains(".Advertise.") { "announcements" } else { "browse" };
    sources.answer(ctx, "umdns", method, &[]).unwrap_or_default()
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let answer = answer(sources, ctx, row);
    if row.object.name() != "TextRecord" {
        out.extend(services(&answer).map(|s| s.key()));
        return Ok(());
    }
    if let Some(service) = row.keys.first().and_then(|key| find(&answer, key)) {
        for (name, _) in service.texts().filter(|t| !t.0.is_empty()) {
            if !out.contains(name) {
                out.push(name);
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
    let answer = answer(sources, ctx, row);
    let Some(service) = row.keys.first().and_then(|key| find(&answer, key)) else {
        return Ok(());
    };
    let is_text = row.object.name() == "TextRecord";
    let announced = row.object.path().contains(".Advertise.");
    let (protocol, transport) = service.kind.split_once('.').unwrap_or((service.kind, ""));
    // What is announced goes by the name of the box.
    let system = sources.readable(ctx, "system").unwrap_or_default();
    let own = system.of_kind("system").find_map(|s| s.get("hostname")).unwrap_or(service.name);
    for (at, want) in want.iter().enumerate() {
        let number = |name: &str| service.told.get(name).and_then(Value::number);
        let mut put_number = |name: &str| {
            if let Some(number) = number(name) {
                out.put(at, number);
            }
        };
        match want.param.name() {
            "Key" => out.put(at, row.key()),
            "Value" if is_text => {
                if let Some((_, value)) = service.texts().find(|t| t.0 == row.key()) {
                    out.put(at, value);
                }
            }
            "Enable" => out.put(at, true),
            "Status" => out.put(at, if announced { "Enabled" } else { "LeaseActive" }),
            "InstanceName" => out.put(at, if announced { own } else { service.name }),
            "ApplicationProtocol" => out.put(at, protocol.trim_start_matches('_')),
            "TransportProtocol" => out.put(at, transport.trim_start_matches('_').to_ascii_uppercase()),
            "Domain" => out.put(
                at,
                Some(lan::text(service.told, "domain")).filter(|d| !d.is_empty()).unwrap_or("local"),
            ),
            "Port" => put_number("port"),
            "Target" => out.put(at, lan::text(service.told, "host")),
            "LastUpdate" => out.put(at, lan::text(service.told, "last_update")),
            "TimeToLive" => put_number("ttl"),
            "Priority" => put_number("priority"),
            "Weight" => put_number("weight"),
            "Host" => {
                let address = lan::text(service.told, "ipv4").parse().ok();
                let leases = super::leases::read(sources, ctx);
                for lease in leases.iter().filter(|l| Some(l.address) == address) {
                    out.refer(at, "Device.Hosts.Host.{i}.", &[&lease.mac]);
                }
            }
            _ => {}
        }
    }
    Ok(())
}
