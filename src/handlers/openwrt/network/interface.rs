//! Provider `net_interface`: what of an IP interface, or of one of PPP, lies in its section or in that of its
//! device, as the protocol has it; and `net_ppp`, what of PPP is in words of options.

use super::super::sources::Sources;
use super::naming::PPP;
use super::{Planned, denied, device, device_key, edit, look, planned, read, set, wrong};
use crate::handlers::linux::layers::{self, Layer};
use crate::handlers::linux::network::{View, part};
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::uci::{Package, Section};
use crate::sys::{host, kernel_file};

/// Protocols that have an MTU of their own.
const OWN_MTU: &[&str] = &[
    "pppoe",
    "pppoa",
    "ppp",
    "l2tp",
    "pptp",
    "6in4",
    "6rd",
    "6to4",
    "dslite",
    "map",
    "ipip",
    "gre",
    "gretap",
    "grev6",
    "grev6tap",
    "vxlan",
    "vxlan6",
    "vti",
    "vti6",
    "xfrm",
    "wireguard",
    "qmi",
    "mbim",
];
/// Seconds between two echoes, and how many may stay without an answer, where nothing is said.
const KEEPALIVE: (u32, u32) = (5, 1);

/// The device that a section names; nothing for an alias of another interface.
fn device_name<'a>(section: &Section<'a>) -> Option<&'a str> {
    let name = section.get("device").or(section.get("ifname"))?;
    let name = name.split_ascii_whitespace().next()?;
    (!name.starts_with('@')).then_some(name)
}

/// `Device.IP.Interface.{i}.` and `Device.PPP.Interface.{i}.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(package) = read(sources, ctx) else { return Ok(()) };
    let Some(section) = package.section(row.key()) else { return Ok(()) };
    look(sources, ctx, part::DEVICES, &mut |view| {
        for (at, w) in want.iter().enumerate() {
            match w.param.name() {
                "LowerLayers" => lower(view, row, &section, at, out),
                "MaxMTUSize" => {
                    if let Some(mtu) = mtu(&package, &section, view, row) {
                        out.put(at, mtu.clamp(64, 65_535));
                    }
                }
                "IPv6Enable" => out.put(at, has_ipv6(&package, &section, view, row)),
                _ => {}
            }
        }
    })
}

/// What an interface stands on: the device of its section; of one without, what the kernel says.
fn lower(view: &View, row: &Row<'_>, section: &Section<'_>, at: usize, out: &mut Fields) {
    let key = row.key();
    let is_ip = row.object.path().starts_with("Device.IP.");
    if is_ip && section.get("proto").is_some_and(|p| PPP.contains(&p)) {
        return out.refer(at, "Device.PPP.Interface.{i}.", &[key]);
    }
    let layer = if is_ip { Layer::Ip } else { Layer::Ppp };
    let said = device_name(section).and_then(|name| view.device(name));
    match (said.and_then(|device| layers::top(view, device)), view.device_of(row)) {
        (Some(place), _) => place.refer(out, at),
        (None, Some(device)) => layers::below(view, layer, key, device, &mut |place| place.refer(out, at)),
        _ => {}
    }
}

fn mtu(package: &Package, section: &Section<'_>, view: &View, row: &Row<'_>) -> Option<u32> {
    let own =
        section.get("proto").is_some_and(|p| OWN_MTU.contains(&p)).then(|| section.get("mtu")).flatten();
    let of_device = || device_name(section).and_then(|name| device(package, name)).and_then(|d| d.get("mtu"));
    let said = own.or_else(of_device).and_then(|text| text.parse().ok());
    said.or_else(|| view.device_of(row).map(|device| device.mtu))
}

fn has_ipv6(package: &Package, section: &Section<'_>, view: &View, row: &Row<'_>) -> bool {
    let said = match section.get("proto") {
        Some(proto) if PPP.contains(&proto) => section.flag("ipv6"),
        _ => device_name(section).and_then(|name| device(package, name)).and_then(|d| d.flag("ipv6")),
    };
    said.unwrap_or_else(|| {
        let file = |name: &str| format!("proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        let device = view.device_of(row).map(|device| view.file(&file(&device.name)));
        device.and_then(|path| kernel_file::number::<u8>(&path)) == Some(0)
    })
}

/// The device that a value of LowerLayers means; empty for none.
///
/// # Errors
/// 9007: more than one, or a row that is no device to stand on.
pub fn lower_device(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    at: usize,
    one: &Set<'_>,
) -> Result<String, (usize, Failure)> {
    const DEVICES: &[&str] = &[
        "Device.Ethernet.Interface.",
        "Device.Ethernet.Link.",
        "Device.Ethernet.VLANTermination.",
        "Device.Ethernet.LAG.",
        "Device.PTM.Link.",
        "Device.ATM.Link.",
    ];
    let keys = match (one.value, one.refers) {
        ("", _) => return Ok(String::new()),
        (_, Some([])) | (_, None) => return Err(wrong(at, "no row of a device")),
        (_, Some(keys)) => keys,
    };
    let is_one = !one.value.contains(',');
    match keys {
        [device] if is_one && DEVICES.iter().any(|d| one.value.starts_with(d)) => Ok(device.clone()),
        [bridge, port] if is_one && one.value.starts_with("Device.Bridging.Bridge.") => {
            let mut device = None;
            look(sources, ctx, part::DEVICES, &mut |view| {
                device = Some(view.port_device(bridge, port).to_owned());
            })
            .map_err(|failure| (at, failure))?;
            device.filter(|d| !d.is_empty()).ok_or_else(|| wrong(at, "the port has no device yet"))
        }
        _ => Err(wrong(at, "netifd has an interface on one device")),
    }
}

/// The edits of a change.
///
/// # Errors
/// 9007 for what the device does not take, 9001 where there is none.
pub fn plan(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let Change::Set(sets) = change else { return Ok(Vec::new()) };
    let package = edit(sources, ctx)?;
    let section = package.section(row.key()).ok_or_else(|| denied(0, "the interface is gone"))?;
    let (key, proto) = (row.key(), section.get("proto").unwrap_or(""));
    let mut edits = Vec::new();
    // What is set of the device is for the one that the interface stands on then.
    let mut lower = device_name(&section).unwrap_or("").to_owned();
    for (at, one) in sets.iter().enumerate().filter(|(_, one)| one.param.name() == "LowerLayers") {
        lower = lower_device(sources, ctx, at, one)?;
        edits.push(set(key, "device", lower.clone()));
    }
    for (at, one) in sets.iter().enumerate() {
        let on = one.value == "true";
        let (option, value) = match one.param.name() {
            "LowerLayers" => continue,
            "MaxMTUSize" if OWN_MTU.contains(&proto) => {
                edits.push(set(key, "mtu", one.value));
                continue;
            }
            "IPv6Enable" if PPP.contains(&proto) => {
                edits.push(set(key, "ipv6", if on { "auto" } else { "0" }));
                continue;
            }
            "MaxMTUSize" => ("mtu", one.value),
            "IPv6Enable" => ("ipv6", if on { "1" } else { "0" }),
            _ => return Err(denied(at, "read only on this platform")),
        };
        if lower.is_empty() {
            return Err(denied(at, "the interface has no device of its own"));
        }
        let device = device_key(&package, &lower, &mut edits);
        edits.push(set(&device, option, value));
    }
    Ok(planned(edits))
}

/// How often the peer is asked whether it is there: failures, and seconds between.
fn keepalive(section: &Section<'_>) -> (u32, u32) {
    let mut words = section.get("keepalive").unwrap_or("").split([' ', ',']).filter_map(|w| w.parse().ok());
    (words.next().unwrap_or(KEEPALIVE.0), words.next().unwrap_or(KEEPALIVE.1))
}

/// `Device.PPP.Interface.{i}.` and `PPPoE.`
///
/// # Errors
/// The kernel cannot be asked.
pub fn fill_ppp(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let Some(package) = read(sources, ctx) else { return Ok(()) };
    let Some(section) = package.section(row.key()) else { return Ok(()) };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "ConnectionTrigger" => out.put(at, trigger(&section)),
            "IdleDisconnectTime" => out.put(at, section.get("demand").unwrap_or("0")),
            "LCPEcho" => out.put(at, keepalive(&section).1),
            "LCPEchoRetry" => out.put(at, keepalive(&section).0),
            "SessionID" => {
                let device = device_name(&section).unwrap_or("");
                if let Some(id) = session(ctx, device) {
                    out.put(at, id);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn trigger(section: &Section<'_>) -> &'static str {
    match (section.flag("auto"), section.get("demand").unwrap_or("0")) {
        (Some(false), _) => "Manual",
        (_, "0" | "") => "AlwaysOn",
        _ => "OnDemand",
    }
}

/// The session over a device; its number is written with the bytes of the network, in hexadecimal.
fn session(ctx: &Ctx<'_>, device: &str) -> Option<u16> {
    let text = kernel_file::read(&host::below(ctx.root, "proc/net/pppoe"))?;
    let line = text.lines().skip(1).find(|line| line.split_ascii_whitespace().nth(2) == Some(device))?;
    u32::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok().map(|id| id as u16)
}

/// The edits of a change.
///
/// # Errors
/// 9001: the interface is gone.
pub fn plan_ppp(sources: &mut Sources, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Planned {
    let Change::Set(sets) = change else { return Ok(Vec::new()) };
    let package = edit(sources, ctx)?;
    let section = package.section(row.key()).ok_or_else(|| denied(0, "the interface is gone"))?;
    let (key, mut edits) = (row.key(), Vec::new());
    let (mut failures, mut seconds) = keepalive(&section);
    for (at, one) in sets.iter().enumerate() {
        let number = || one.value.parse::<u32>().map_err(|_| wrong(at, "no number"));
        match (one.param.name(), one.value) {
            ("ConnectionTrigger", "Manual") => edits.push(set(key, "auto", "0")),
            ("ConnectionTrigger", "AlwaysOn") => edits.extend([set(key, "auto", ""), set(key, "demand", "")]),
            ("ConnectionTrigger", _) => {
                edits.push(set(key, "auto", ""));
                let is_set = section.get("demand").is_some_and(|d| !matches!(d, "" | "0"));
                if !is_set && !sets.iter().any(|s| s.param.name() == "IdleDisconnectTime") {
                    // pppd has no session on demand that never ends.
                    edits.push(set(key, "demand", "300"));
                }
            }
            ("IdleDisconnectTime", value) => edits.push(set(key, "demand", value)),
            ("LCPEcho", _) => seconds = number()?,
            ("LCPEchoRetry", _) => failures = number()?,
            _ => return Err(denied(at, "read only on this platform")),
        }
    }
    if (failures, seconds) != keepalive(&section) {
        edits.push(set(key, "keepalive", format!("{failures} {seconds}")));
    }
    Ok(planned(edits))
}
