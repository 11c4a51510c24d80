//! What the clients of DHCP send and ask for, and what they were told: `SentOption.{i}.`, `ReqOption.{i}.` and
//! `ReceivedOption.{i}.` of `Device.DHCPv4.Client.{i}.` and `Device.DHCPv6.Client.{i}.`

use super::options::put;
use super::{bad, gone, hex, lan, read_only, set, unhex};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Package, Section};

/// What udhcpc asks for by itself, unless `defaultreqopts` forbids it.
const DEFAULTS: [&str; 8] = ["1", "3", "6", "12", "15", "28", "42", "121"];

/// Options of the interface that are options of DHCP: number, name, and whether it is in digits.
const OWN4: &[(&str, &str, bool)] =
    &[("12", "hostname", false), ("60", "vendorid", false), ("61", "clientid", true)];
/// Those of DHCPv6.
const OWN6: &[(&str, &str, bool)] =
    &[("1", "clientid", true), ("15", "userclass", false), ("16", "vendorclass", true)];

macro_rules! spec {
    ($name:literal, $list:path, $fill:path, $plan:path, $packages:expr, $objects:expr) => {
        Spec {
            name: $name,
            list: $list,
            fill: $fill,
            plan: $plan,
            key: adds_nothing,
            packages: $packages,
            objects: $objects,
        }
    };
}

/// The providers.
pub const SPECS: &[Spec] = &[
    spec!("dhcp4_sent", list_sent, fill_sent, plan_sent, &["network"], &[]),
    spec!("dhcp4_requested", list_requested, fill_requested, plans_nothing, &["network"], &[]),
    spec!("dhcp6_sent", list_sent, fill_sent, plan_sent, &["network"], &[]),
    spec!("dhcp6_received", list_received, fill_received, plans_nothing, &[], &["network.interface"]),
];

fn own(row: &Row<'_>) -> &'static [(&'static str, &'static str, bool)] {
    if row.object.path().contains("DHCPv6") { OWN6 } else { OWN4 }
}

fn client<'a>(package: &'a Package, row: &Row<'_>) -> Option<Section<'a>> {
    row.keys.first().and_then(|key| package.section(key))
}

/// `61`, `0x3d`.
fn tag(word: &str) -> Option<u16> {
    match word.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The options that are sent: number, and bytes. `sendopts` has them as words, `0x3d:010203`.
fn sent(client: &Section<'_>, row: &Row<'_>) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (number, option, digits) in own(row) {
        if let Some(value) = client.get(option) {
            let bytes = if *digits { unhex(value).unwrap_or_default() } else { value.as_bytes().to_vec() };
            all.push(((*number).to_owned(), bytes));
        }
    }
    for word in client.words("sendopts") {
        if let Some((number, value)) = word.split_once(':')
            && let Some(number) = tag(number)
        {
            let number = number.to_string();
            if !all.iter().any(|o| o.0 == number) {
                all.push((number, unhex(value).unwrap_or_else(|| value.as_bytes().to_vec())));
            }
        }
    }
    all
}

fn list_sent(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let package = sources.package(ctx, "network")?.unwrap_or_default();
    if let Some(client) = client(&package, row) {
        out.extend(sent(&client, row).into_iter().map(|o| o.0));
    }
    Ok(())
}

fn fill_sent(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "network")?.unwrap_or_default();
    let Some(client) = client(&package, row) else { return Ok(()) };
    if let Some((number, bytes)) = sent(&client, row).iter().find(|o| o.0 == row.key()) {
        put(want, number, bytes, out);
    }
    Ok(())
}

fn plan_sent(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, "network").map_err(|f| (0, f))?.unwrap_or_default();
    let client = client(&package, row).ok_or_else(|| (0, gone()))?;
    let Change::Set([one]) = change else { return Err((0, read_only())) };
    let bytes = unhex(one.value).filter(|b| !b.is_empty()).ok_or_else(|| (0, bad("bytes are needed")))?;
    let edit = match own(row).iter().find(|o| o.0 == row.key() && client.get(o.1).is_some()) {
        Some((_, option, true)) => set(&client.key(), option, hex(&bytes).to_ascii_lowercase()),
        Some((_, option, false)) => {
            // The shell that starts the client splits at blanks.
            let text = String::from_utf8(bytes).ok().filter(|t| t.bytes().all(|b| b.is_ascii_graphic()));
            set(&client.key(), option, text.ok_or_else(|| (0, bad("text without blanks is needed")))?)
        }
        None => {
            let word = |word: &str| match word.split_once(':').map(|(number, _)| (number, tag(number))) {
                Some((number, Some(found))) if found.to_string() == row.key() => {
                    format!("{number}:{}", hex(&bytes).to_ascii_lowercase())
                }
                _ => word.to_owned(),
            };
            let words: Vec<String> = client.words("sendopts").into_iter().map(word).collect();
            set(&client.key(), "sendopts", words.join(" "))
        }
    };
    Ok(vec![("network".to_owned(), edit)])
}

/// The numbers of the options that are asked for.
fn requested(client: &Section<'_>) -> Vec<String> {
    let defaults = if client.flag("defaultreqopts") == Some(false) { &[][..] } else { &DEFAULTS[..] };
    let mut all: Vec<String> = defaults.iter().map(|d| (*d).to_owned()).collect();
    for number in client.words("reqopts").into_iter().filter_map(tag).map(|n| n.to_string()) {
        if !all.contains(&number) {
            all.push(number);
        }
    }
    all
}

fn list_requested(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    out: &mut Keys,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "network")?.unwrap_or_default();
    if let Some(client) = client(&package, row) {
        out.extend(requested(&client));
    }
    Ok(())
}

fn fill_requested(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "network")?.unwrap_or_default();
    let Some(client) = client(&package, row) else { return Ok(()) };
    let Some(order) = requested(&client).iter().position(|n| n == row.key()) else {
        return Ok(());
    };
    for (at, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(at, true),
            "Order" => out.put(at, order + 1),
            "Tag" => out.put(at, row.key()),
            _ => {}
        }
    }
    Ok(())
}

/// What a server of DHCPv6 told beyond what netifd looks into: options, each with its number and length
/// before it, as netifd passes them on.
fn received(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>) -> Vec<(String, u16, Vec<u8>)> {
    let dump = lan::dump(sources, ctx);
    let name = row.keys.first().copied().unwrap_or("");
    let data = lan::interface(&dump, name).and_then(|i| i.get("data"));
    let bytes = data.and_then(|d| unhex(lan::text(d, "passthru"))).unwrap_or_default();
    options(&bytes)
}

fn options(mut bytes: &[u8]) -> Vec<(String, u16, Vec<u8>)> {
    let mut all: Vec<(String, u16, Vec<u8>)> = Vec::new();
    while let Some(([a, b, c, d], rest)) = bytes.split_first_chunk() {
        let number = u16::from_be_bytes([*a, *b]);
        let Some((value, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d]))) else {
            break;
        };
        let before = all.iter().filter(|o| o.1 == number).count();
        let key = if before == 0 { number.to_string() } else { format!("{number} {before}") };
        all.push((key, number, value.to_vec()));
        bytes = rest;
    }
    all
}

fn list_received(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    out.extend(received(sources, ctx, row).into_iter().map(|o| o.0));
    Ok(())
}

fn fill_received(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    if let Some((_, number, bytes)) = received(sources, ctx, row).iter().find(|o| o.0 == row.key()) {
        put(want, number, bytes, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_were_passed_on() {
        let bytes = unhex("0017000420010db8 0017000100 0018000401 6100 62").unwrap_or_default();
        assert!(bytes.is_empty(), "blanks are no digits");
        let bytes = unhex("0017000420010db8001700010000180004ff").unwrap();
        let found: Vec<(String, usize)> = options(&bytes).into_iter().map(|o| (o.0, o.2.len())).collect();
        assert_eq!(found, [("23".to_owned(), 4), ("23 1".to_owned(), 1)]);
        assert_eq!([tag("0x3d"), tag("61"), tag("x"), tag("0x12345")], [Some(61), Some(61), None, None]);
    }
}
