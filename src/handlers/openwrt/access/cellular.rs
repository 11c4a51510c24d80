//! Provider `openwrt_cellular`: modems, as ModemManager tells of them (`mmcli -J` through its rpcd plugin), and
//! the options that each protocol of netifd calls otherwise.

use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::ubus::{Answer, Value};
use crate::sys::uci::Section;
use std::rc::Rc;

/// What mmcli writes where there is nothing to say.
const NOTHING: &str = "--";
/// The technologies of radio: ModemManager's word, and the standard's.
const TECHNOLOGIES: &[(&str, &str)] = &[
    ("5gnr", "NR"),
    ("lte", "LTE"),
    ("hspa-plus", "UMTSHSPA"),
    ("hspa", "UMTSHSPA"),
    ("hsupa", "UMTSHSPA"),
    ("hsdpa", "UMTSHSPA"),
    ("umts", "UMTS"),
    ("edge", "EDGE"),
    ("gprs", "GPRS"),
    ("gsm", "GPRS"),
    ("evdo", "CDMA2000HRPD"),
    ("1xrtt", "CDMA2000OneX"),
];
/// What can be preferred: the standard's word, the `modes` of uqmi, and the `allowedmode` of ModemManager.
const PREFERRED: &[(&str, &str, &str)] =
    &[("NR", "5gnr", "5g"), ("LTE", "lte", "4g"), ("UMTS", "umts", "3g"), ("GPRS", "gsm", "2g")];

/// A field below a table, unless it says nothing.
fn field<'a>(value: Value<'a>, path: &[&str]) -> Option<&'a str> {
    let found = path.iter().try_fold(value, |v, name| v.get(name))?;
    found.text().filter(|t| *t != NOTHING && !t.is_empty())
}

fn dump(sources: &mut Sources, ctx: &Ctx<'_>) -> Option<Rc<Answer>> {
    sources.answer(ctx, "modemmanager", "dump", &[])
}

fn modems(answer: &Option<Rc<Answer>>) -> impl Iterator<Item = Value<'_>> {
    let all = answer.as_ref().and_then(|a| a.root().get("modem"));
    all.into_iter().flat_map(Value::fields).map(|(_, modem)| modem)
}

/// The modem at a place in sysfs.
fn at<'a>(answer: &'a Option<Rc<Answer>>, place: &str) -> Option<Value<'a>> {
    modems(answer).find(|m| field(*m, &["device"]) == Some(place))
}

/// The cards: those of modems that have one, by the modem's place.
///
/// # Errors
/// None.
pub fn list(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    let answer = dump(sources, ctx);
    let card = |m: &Value<'_>| field(*m, &["generic", "sim", "properties", "iccid"]).is_some();
    out.extend(modems(&answer).filter(card).filter_map(|m| field(m, &["device"])));
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
    let package = sources.readable(ctx, "network");
    let answer = dump(sources, ctx);
    let Some(key) = row.keys.first() else {
        fill_all(package.as_ref().map(|p| p.of_kind("interface")).into_iter().flatten(), &answer, want, out);
        return Ok(());
    };
    let section = package.as_ref().and_then(|p| p.section(key));
    let card = row.object.path().starts_with("Device.TrustedElements.");
    let place = if card { Some(*key) } else { section.as_ref().and_then(|s| s.get("device")) };
    let modem = place.and_then(|p| at(&answer, p));
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "SIMReferenceList" => {
                if let (Some(_), Some(place)) = (modem, place) {
                    out.refer(at, "Device.TrustedElements.SIM.{i}.", &[place]);
                }
            }
            name => {
                let said = section.as_ref().and_then(|s| configured(s, name));
                if let Some(value) = said.or_else(|| told(modem?, name)) {
                    out.put(at, value);
                }
            }
        }
    }
    Ok(())
}

/// What is one for all modems.
fn fill_all<'p>(
    mut interfaces: impl Iterator<Item = Section<'p>>,
    answer: &Option<Rc<Answer>>,
    want: &[Want<'_>],
    out: &mut Fields,
) {
    let may = interfaces.find(is_managed).map(|s| s.flag("allow_roaming"));
    let roams = modems(answer).find_map(|m| field(m, &["3gpp", "registration-state"]));
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "RoamingEnabled" => {
                // Not said, the modem may.
                if let Some(may) = may {
                    out.put(at, may != Some(false));
                }
            }
            "RoamingStatus" => {
                if let Some(state) = roams {
                    out.put(at, if state == "roaming" { "Roaming" } else { "Home" });
                }
            }
            _ => {}
        }
    }
}

fn is_managed(section: &Section<'_>) -> bool {
    section.get("proto") == Some("modemmanager")
}

/// The option that a protocol calls otherwise than another.
fn option(section: &Section<'_>, name: &str) -> &'static str {
    match (name, is_managed(section)) {
        ("IPVersion", true) => "iptype",
        ("IPVersion", false) => "pdptype",
        (_, true) => "allowedmode",
        (_, false) => "modes",
    }
}

/// What UCI says.
fn configured(section: &Section<'_>, name: &str) -> Option<String> {
    let text = section.get(option(section, name)).unwrap_or("");
    Some(
        match name {
            "IPVersion" => match text {
                "ip" | "ipv4" => "4",
                "ipv6" => "6",
                _ => "-1",
            },
            "PreferredAccessTechnology" => {
                PREFERRED.iter().find(|p| [p.1, p.2].contains(&text)).map_or("Auto", |p| p.0)
            }
            _ => return None,
        }
        .to_owned(),
    )
}

/// What the modem says.
fn told(modem: Value<'_>, name: &str) -> Option<String> {
    let card = |name| field(modem, &["generic", "sim", "properties", name]);
    let whole = |text: &str| text.split('.').next().unwrap_or("").to_owned();
    Some(match name {
        "IMEI" => field(modem, &["3gpp", "imei"])?.to_owned(),
        "SupportedAccessTechnologies" => supported(modem)?,
        "CurrentAccessTechnology" => {
            let now = modem.get("generic")?.get("access-technologies")?.at(0)?.text()?;
            TECHNOLOGIES.iter().find(|t| t.0 == now)?.1.to_owned()
        }
        "NetworkInUse" => field(modem, &["3gpp", "operator-name"])?.to_owned(),
        "RSSI" | "RSRP" | "RSRQ" => {
            let what = name.to_ascii_lowercase();
            let radios = ["lte", "5g", "umts", "gsm"];
            whole(radios.iter().find_map(|r| field(modem, &["signal", r, &what]))?)
        }
        "UpstreamMaxBitRate" => speed(modem, "uplink-speed")?,
        "DownstreamMaxBitRate" => speed(modem, "downlink-speed")?,
        "Status" => match (card("iccid"), field(modem, &["generic", "unlock-required"])) {
            (_, Some("sim-puk")) => "Blocked",
            (_, Some("sim-pin")) => "Available",
            (None, _) => "None",
            _ => "Valid",
        }
        .to_owned(),
        "IMSI" => card("imsi")?.to_owned(),
        "ICCID" => card("iccid")?.to_owned(),
        "MSISDN" => {
            modem.get("generic")?.get("own-numbers")?.at(0)?.text()?.trim_start_matches('+').to_owned()
        }
        "EID" => card("eid")?.to_owned(),
        "GID1" => card("gid1")?.to_owned(),
        "Type" => match card("sim-type") {
            Some("esim") => "eSIM",
            _ => "USIM",
        }
        .to_owned(),
        "PINCheck" => {
            let locks = modem.get("3gpp")?.get("enabled-locks")?;
            let locked = locks.fields().any(|(_, l)| l.text() == Some("sim"));
            if locked { "OnNetworkAccess" } else { "Off" }.to_owned()
        }
        _ => return None,
    })
}

/// What the modem can speak, from `["gsm-umts, lte"]`.
fn supported(modem: Value<'_>) -> Option<String> {
    let all = modem.get("generic")?.get("supported-capabilities")?;
    let has =
        |word: &str| all.fields().any(|(_, c)| c.text().is_some_and(|t| t.split(", ").any(|w| w == word)));
    let words = [
        ("gsm-umts", "GPRS,EDGE,UMTS,UMTSHSPA"),
        ("cdma-evdo", "CDMA2000OneX,CDMA2000HRPD"),
        ("lte", "LTE"),
        ("5gnr", "NR"),
    ];
    let found: Vec<&str> = words.iter().filter(|w| has(w.0)).map(|w| w.1).collect();
    (!found.is_empty()).then(|| found.join(","))
}

/// Kbps of the first bearer that has a speed.
fn speed(modem: Value<'_>, name: &str) -> Option<String> {
    let bearers = modem.get("generic")?.get("bearers")?;
    let bits = bearers.fields().find_map(|(_, b)| field(b, &["stats", name])?.parse::<u64>().ok())?;
    Some((bits / 1000).to_string())
}

/// What a change means for `network`.
///
/// # Errors
/// A technology that cannot be preferred alone; roaming without a modem of ModemManager.
pub fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let package = sources.readable(ctx, "network").ok_or((0, gone()))?;
    let Some(key) = row.keys.first() else {
        let mut edits = Edits::new("network", "");
        let may = if sets.iter().any(|s| s.value == "true") { "1" } else { "0" };
        for section in package.of_kind("interface").filter(is_managed) {
            edits.set_in(&section.key(), "allow_roaming", may);
        }
        if edits.plan.is_empty() {
            return Err((0, Failure::denied("no modem here is ModemManager's")));
        }
        return Ok(edits.plan);
    };
    let section = package.section(key).ok_or((0, gone()))?;
    let mut edits = Edits::new("network", key);
    for (at, set) in sets.iter().enumerate() {
        let name = set.param.name();
        let text = match (name, set.value) {
            ("IPVersion", "4") if is_managed(&section) || section.get("proto") == Some("qmi") => "ipv4",
            ("IPVersion", "4") => "ip",
            ("IPVersion", "6") => "ipv6",
            ("IPVersion", _) => "ipv4v6",
            ("PreferredAccessTechnology", "Auto" | "") => "",
            ("PreferredAccessTechnology", word) => {
                let known = PREFERRED.iter().find(|p| p.0 == word);
                let known = known.ok_or_else(|| (at, bad("none of Auto, NR, LTE, UMTS, GPRS")))?;
                if is_managed(&section) { known.2 } else { known.1 }
            }
            _ => continue,
        };
        edits.set(option(&section, name), text);
    }
    Ok(edits.plan)
}
