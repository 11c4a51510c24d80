//! Provider `openwrt_station`: stations of an access point, as hostapd and iwinfo know them, and the link of an
//! end point.

use super::air::{hostapd, ifname, iwinfo, number, results};
use super::wifi::is_station;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::netlink::link::Mac;
use crate::sys::ubus::Value;
use crate::sys::{clock, host};

/// The stations of an access point.
///
/// # Errors
/// None.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let Some(name) = row.keys.first().and_then(|key| ifname(sources, ctx, key)) else {
        return Ok(());
    };
    // As hostapd writes them.
    let mac = |text: &str| Mac::read(text).map(|m| m.to_string().to_ascii_lowercase());
    match hostapd(sources, ctx, "get_clients", &name) {
        Some(answer) => {
            let clients = answer.root().get("clients").into_iter().flat_map(Value::fields);
            out.extend(clients.filter_map(|(name, _)| mac(name)));
        }
        None => {
            let joined = iwinfo(sources, ctx, "assoclist", &name);
            out.extend(results(&joined).filter_map(|s| mac(s.get("mac")?.text()?)));
        }
    }
    Ok(())
}

/// See [`crate::model::handler::Handler::get`].
///
/// # Errors
/// None.
pub fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(name) = row.keys.first().and_then(|key| ifname(sources, ctx, key)) else {
        return Ok(());
    };
    let joined = iwinfo(sources, ctx, "assoclist", &name);
    let Some(mac) = row.keys.get(1) else {
        // The end point's own link: the entry is the access point.
        let point = results(&joined).next();
        for (at, w) in want.iter().enumerate() {
            let value = point.and_then(|p| match w.param.name() {
                "LastDataDownlinkRate" => number(p, &["rx", "rate"]),
                "LastDataUplinkRate" => number(p, &["tx", "rate"]),
                name => common(p, name),
            });
            put(out, at, value);
        }
        return Ok(());
    };
    let known = hostapd(sources, ctx, "get_clients", &name);
    let mut clients =
        known.as_ref().and_then(|a| a.root().get("clients")).into_iter().flat_map(Value::fields);
    let client = clients.find(|(name, _)| name.eq_ignore_ascii_case(mac)).map(|(_, c)| c);
    let entry = results(&joined).find(|e| is_station(*e, mac));
    if client.is_none() && entry.is_none() {
        return Ok(());
    }
    let freq = known.as_ref().and_then(|a| a.root().get("freq")?.number());
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "MACAddress" => out.put(at, mac.to_ascii_uppercase()),
            "OperatingStandard" => out.put(at, standard(client, entry, freq)),
            "AuthenticationState" => out.put(at, flag(client, entry, "authorized")),
            "Active" => out.put(at, true),
            "AssociationTime" => {
                if let Some(age) = entry.and_then(|e| number(e, &["connected_time"])) {
                    out.put(at, clock::utc(host::now(ctx.root).saturating_sub(age)));
                }
            }
            name => put(out, at, counted(client, entry, name)),
        }
    }
    Ok(())
}

fn put(out: &mut Fields, at: usize, value: Option<i64>) {
    if let Some(value) = value {
        out.put(at, value);
    }
}

fn flag(client: Option<Value<'_>>, entry: Option<Value<'_>>, name: &str) -> bool {
    [client, entry].into_iter().flatten().any(|v| v.get(name).and_then(Value::flag) == Some(true))
}

/// The newest standard that both speak.
fn standard(client: Option<Value<'_>>, entry: Option<Value<'_>>, freq: Option<i64>) -> &'static str {
    let speaks = |name: &str| {
        let rate = entry.and_then(|e| e.get("rx")?.get(name)?.flag()) == Some(true);
        rate || client.and_then(|c| c.get(name)?.flag()) == Some(true)
    };
    let found = [("eht", "be"), ("he", "ax"), ("vht", "ac"), ("ht", "n")].into_iter().find(|n| speaks(n.0));
    found.map_or(if freq.unwrap_or(0) > 4000 { "a" } else { "g" }, |n| n.1)
}

/// Of a station; the kernel counts as the access point sees it.
fn counted(client: Option<Value<'_>>, entry: Option<Value<'_>>, name: &str) -> Option<i64> {
    let either = |first: &[&str], second: &[&str]| {
        client.and_then(|c| number(c, first)).or_else(|| number(entry?, second))
    };
    match name {
        "LastDataDownlinkRate" => either(&["rate", "tx"], &["tx", "rate"]),
        "LastDataUplinkRate" => either(&["rate", "rx"], &["rx", "rate"]),
        "BytesSent" => either(&["bytes", "tx"], &["tx", "bytes"]),
        "BytesReceived" => either(&["bytes", "rx"], &["rx", "bytes"]),
        "PacketsSent" => either(&["packets", "tx"], &["tx", "packets"]),
        "PacketsReceived" => either(&["packets", "rx"], &["rx", "packets"]),
        "SignalStrength" => either(&["signal"], &["signal"]),
        name => common(entry?, name),
    }
}

/// What iwinfo alone knows.
fn common(entry: Value<'_>, name: &str) -> Option<i64> {
    match name {
        "SignalStrength" => number(entry, &["signal"]),
        "Noise" => number(entry, &["noise"]),
        "SNR" => Some(number(entry, &["signal"])?.saturating_sub(number(entry, &["noise"])?).max(0)),
        // Of a hundred packets, since the station joined.
        "Retransmissions" => {
            let (again, sent) = (number(entry, &["tx", "retries"])?, number(entry, &["tx", "packets"])?);
            Some(again.saturating_mul(100).checked_div(sent.saturating_add(again)).unwrap_or(0).clamp(0, 100))
        }
        "RetransCount" => number(entry, &["tx", "retries"]),
        "FailedRetransCount" | "ErrorsSent" => number(entry, &["tx", "failed"]),
        _ => None,
    }
}
