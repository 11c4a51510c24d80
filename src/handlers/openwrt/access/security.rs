//! Provider `openwrt_wifi_security`: how a `wifi-iface` is secured (`encryption`, `ieee80211w`, `key`), its RADIUS
//! servers and WPS, in the words of the standard.

use super::air::wireless;
use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::uci::{Held, Section};

/// How somebody who joins shows who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// Not at all.
    Open,
    /// By a key that all share, in WEP.
    Wep,
    /// By a passphrase.
    Phrase,
    /// To a RADIUS server.
    Server,
}

/// One mode: the standard's word, UCI's, who, and what `ieee80211w` may be; the first is what netifd takes when
/// nobody says it.
struct Mode {
    word: &'static str,
    uci: &'static str,
    who: Who,
    frames: &'static [u8],
}

const MODES: &[Mode] = &[
    Mode { word: "None", uci: "none", who: Who::Open, frames: &[0] },
    Mode { word: "WEP-64", uci: "wep", who: Who::Wep, frames: &[0] },
    Mode { word: "WEP-128", uci: "wep", who: Who::Wep, frames: &[0] },
    Mode { word: "WPA-Personal", uci: "psk", who: Who::Phrase, frames: &[0] },
    Mode { word: "WPA2-Personal", uci: "psk2", who: Who::Phrase, frames: &[0, 1, 2] },
    Mode { word: "WPA3-Personal", uci: "sae", who: Who::Phrase, frames: &[2] },
    Mode { word: "WPA-WPA2-Personal", uci: "psk-mixed", who: Who::Phrase, frames: &[0, 1] },
    Mode { word: "WPA3-Personal-Transition", uci: "sae-mixed", who: Who::Phrase, frames: &[1, 2] },
    Mode { word: "WPA-Enterprise", uci: "wpa", who: Who::Server, frames: &[0] },
    Mode { word: "WPA2-Enterprise", uci: "wpa2", who: Who::Server, frames: &[0, 1, 2] },
    // `wpa3-mixed` lets those in who speak WPA2 alone: it reads as this, and need not protect frames.
    Mode { word: "WPA3-Enterprise", uci: "wpa3", who: Who::Server, frames: &[2, 1] },
    Mode { word: "WPA-WPA2-Enterprise", uci: "wpa-mixed", who: Who::Server, frames: &[0, 1] },
    Mode { word: "OWE", uci: "owe", who: Who::Open, frames: &[2] },
];

const FRAMES: [&str; 3] = ["Disabled", "Optional", "Required"];

fn by_word(word: &str) -> Option<&'static Mode> {
    MODES.iter().find(|m| m.word == word)
}

/// The word for what UCI says, as netifd reads it.
fn word_of(section: &Section<'_>) -> &'static str {
    let text = section.get("encryption").unwrap_or("");
    let (starts, has) = (|p: &str| text.starts_with(p), |p: &str| text.contains(p));
    if starts("owe") {
        "OWE"
    } else if starts("wpa3") {
        "WPA3-Enterprise"
    } else if starts("psk3-mixed") || starts("sae-mixed") {
        "WPA3-Personal-Transition"
    } else if starts("psk3") || starts("sae") {
        "WPA3-Personal"
    } else if has("psk2") {
        "WPA2-Personal"
    } else if has("psk") {
        if has("mixed") { "WPA-WPA2-Personal" } else { "WPA-Personal" }
    } else if starts("wpa2") {
        "WPA2-Enterprise"
    } else if has("wpa") {
        if has("mixed") { "WPA-WPA2-Enterprise" } else { "WPA-Enterprise" }
    } else if has("wep") {
        match wep_key(section).map(str::len) {
            Some(13 | 15 | 26) => "WEP-128",
            _ => "WEP-64",
        }
    } else {
        "None"
    }
}

/// The key of WEP that is in use.
fn wep_key<'s>(section: &Section<'s>) -> Option<&'s str> {
    match section.get("key").unwrap_or("1") {
        index @ ("1" | "2" | "3" | "4") => section.get(&["key", index].concat()),
        key => Some(key),
    }
}

/// The ciphers of the encryption: TKIP, AES.
fn ciphers(text: &str) -> (bool, bool) {
    let last = text.split_once('+').map_or("", |(_, rest)| rest);
    let both = ["tkip+aes", "tkip+ccmp", "aes+tkip", "ccmp+tkip"];
    match last {
        "tkip" => (true, false),
        last if both.contains(&last) => (true, true),
        _ => (false, true),
    }
}

fn frames(section: &Section<'_>, mode: &Mode) -> u8 {
    let said = section.get("ieee80211w").and_then(|w| w.parse().ok()).filter(|w| *w <= 2);
    let default = match section.get("encryption") {
        Some(text) if text.starts_with("wpa3-mixed") => 1,
        _ => mode.frames.first().copied().unwrap_or(0),
    };
    match mode.frames {
        [only] => *only,
        _ => said.unwrap_or(default),
    }
}

/// The words of a list of servers; `server` is what `auth_server` was called.
fn servers<'s>(section: &Section<'s>, option: &str) -> Vec<&'s str> {
    match section.words(option) {
        none if none.is_empty() && option == "auth_server" => section.words("server"),
        some => some,
    }
}

/// The list of servers that a parameter speaks of, and which of it.
fn server_of(row: &Row<'_>, name: &str) -> Option<(&'static str, usize)> {
    let accounting = row.object.name() == "Accounting";
    Some(match (name, accounting) {
        ("RadiusServerIPAddr", _) => ("auth_server", 0),
        ("SecondaryRadiusServerIPAddr", _) => ("auth_server", 1),
        ("ServerIPAddr", true) => ("acct_server", 0),
        ("SecondaryServerIPAddr", true) => ("acct_server", 1),
        _ => return None,
    })
}

/// The methods of WPS that are on: button, label.
fn methods(section: &Section<'_>) -> (bool, bool) {
    let on = |option: &str| section.flag(option) == Some(true);
    (on("wps_pushbutton"), on("wps_label"))
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
    let Some(package) = wireless(sources, ctx) else {
        return Ok(());
    };
    let Some(section) = row.keys.first().and_then(|key| package.section(key)) else {
        return Ok(());
    };
    let word = word_of(&section);
    let Some(mode) = by_word(word) else { return Ok(()) };
    let is_wpa = !matches!(mode.who, Who::Open | Who::Wep) || word == "OWE";
    let (button, label) = methods(&section);
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "ModeEnabled" => out.put(at, word),
            "EncryptionMode" if is_wpa => {
                out.put(
                    at,
                    match ciphers(section.get("encryption").unwrap_or("")) {
                        (true, true) => "TKIP,AES",
                        (true, false) => "TKIP",
                        _ => "AES",
                    },
                );
            }
            "MFPConfig" => out.put(at, FRAMES.get(usize::from(frames(&section, mode))).unwrap_or(&"")),
            "Enable" => out.put(at, button || label),
            "ConfigMethodsEnabled" => {
                out.put(
                    at,
                    match (button, label) {
                        (true, true) => "PushButton,Label",
                        (true, false) => "PushButton",
                        (false, true) => "Label",
                        _ => "",
                    },
                );
            }
            "Status" => {
                let locked = section.get("wps_ap_setup_locked").is_some_and(|l| l != "0");
                out.put(
                    at,
                    match (button || label, locked, mode.who) {
                        (false, ..) => "Disabled",
                        (_, true, _) => "SetupLocked",
                        (_, _, Who::Open) => "Unconfigured",
                        _ => "Configured",
                    },
                );
            }
            name => {
                let place = server_of(row, name);
                let server = place.and_then(|(option, nth)| servers(&section, option).get(nth).copied());
                if let Some(server) = server {
                    out.put(at, server);
                }
            }
        }
    }
    Ok(())
}

/// The values of a change by name.
struct Wanted<'a>(&'a [Set<'a>]);

impl<'a> Wanted<'a> {
    fn at(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|s| s.param.name() == name)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        Some(self.0.get(self.at(name)?)?.value)
    }

    /// A failure about one of these, whichever is there.
    fn about(&self, names: &[&str], text: impl Into<String>) -> (usize, Failure) {
        (names.iter().find_map(|n| self.at(n)).unwrap_or(0), bad(text))
    }
}

/// What a change of security means for `wireless`, judged as it will be when all values of it are there.
///
/// # Errors
/// A mode without the key or the server it needs, or what UCI and hostapd have no word for.
pub fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Ok(Plan::new());
    };
    let package = wireless(sources, ctx).ok_or((0, gone()))?;
    let key = row.keys.first().copied().unwrap_or("");
    let section = package.section(key).ok_or((0, gone()))?;
    let wanted = Wanted(sets);
    let mut edits = Edits::new("wireless", key);
    let had_servers = servers_edit(row, &section, &wanted, &mut edits)?;
    if row.object.name() == "Security" {
        mode_edit(&section, &wanted, had_servers, &mut edits)?;
    }
    if row.object.name() == "WPS" {
        wps_edit(&section, &wanted, &mut edits)?;
    }
    Ok(edits.plan)
}

/// Puts servers in their lists; says whether there is one to ask who somebody is.
fn servers_edit(
    row: &Row<'_>,
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    edits: &mut Edits<'_>,
) -> Result<bool, (usize, Failure)> {
    let mut asked = !servers(section, "auth_server").is_empty();
    for option in ["auth_server", "acct_server"] {
        let mut all: Vec<String> = servers(section, option).into_iter().map(str::to_owned).collect();
        let mut last = None;
        for nth in 0..2 {
            let here = |s: &Set<'_>| server_of(row, s.param.name()) == Some((option, nth));
            let Some((at, set)) = wanted.0.iter().enumerate().find(|(_, s)| here(s)) else {
                continue;
            };
            last = Some(at);
            while all.len() <= nth {
                all.push(String::new());
            }
            if let Some(slot) = all.get_mut(nth) {
                *slot = set.value.to_owned();
            }
        }
        let Some(at) = last else { continue };
        while all.last().is_some_and(String::is_empty) {
            all.pop();
        }
        if all.iter().any(String::is_empty) {
            return Err((at, bad("there is no second server without a first")));
        }
        if option == "auth_server" {
            asked = !all.is_empty();
            if section.get("server").is_some() {
                edits.set("server", "");
            }
        }
        match (all.len(), section.held(option)) {
            (1, None | Some(Held::One(_))) => edits.set(option, all.remove(0)),
            _ => edits.list(option, all),
        }
    }
    Ok(asked)
}

/// The key for a mode, as UCI is to have it, from whichever parameter names it.
fn phrase(wanted: &Wanted<'_>) -> Result<Option<String>, (usize, Failure)> {
    let mut key: Option<String> = None;
    for name in ["KeyPassphrase", "SAEPassphrase", "PreSharedKey"] {
        let Some(value) = wanted.get(name).filter(|v| !v.is_empty()) else {
            continue;
        };
        let fits = match name {
            "PreSharedKey" => value.len() == 64,
            _ => (8..=63).contains(&value.len()) && value.bytes().all(|b| (b' '..=b'~').contains(&b)),
        };
        if !fits {
            return Err(wanted.about(
                &[name],
                "a key has 64 hexadecimal digits, a passphrase 8 to 63 characters of ASCII",
            ));
        }
        let value = if name == "PreSharedKey" { value.to_ascii_lowercase() } else { value.to_owned() };
        if key.as_ref().is_some_and(|k| *k != value) {
            return Err(wanted.about(&[name], "UCI has one key for all of them"));
        }
        key = Some(value);
    }
    Ok(key)
}

fn mode_edit(
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    has_server: bool,
    edits: &mut Edits<'_>,
) -> Result<(), (usize, Failure)> {
    let was = word_of(section);
    let mode = by_word(wanted.get("ModeEnabled").unwrap_or(was));
    let mode = mode.ok_or_else(|| wanted.about(&["ModeEnabled"], "none of ModesSupported"))?;
    let changed = mode.word != was;
    encryption_edit(section, wanted, mode, changed, edits)?;
    frames_edit(section, wanted, mode, changed, edits)?;
    let phrase = phrase(wanted)?;
    match mode.who {
        Who::Open => {}
        Who::Wep if phrase.is_some() => {
            let about = ["KeyPassphrase", "SAEPassphrase", "PreSharedKey"];
            return Err(wanted.about(&about, "not with WEP: UCI has one place for both"));
        }
        Who::Wep => return wep_edit(section, wanted, mode, edits),
        Who::Server if !has_server && changed => {
            return Err(wanted.about(&["ModeEnabled"], "it needs a RadiusServerIPAddr"));
        }
        Who::Server => {}
        Who::Phrase => {
            let key = phrase.as_deref().or(section.get("key")).unwrap_or("");
            if changed && !(8..=64).contains(&key.len()) {
                return Err(wanted.about(&["ModeEnabled"], "it needs a KeyPassphrase"));
            }
        }
    }
    if let Some(key) = phrase {
        edits.set("key", key);
    }
    // Kept for when WEP is chosen.
    if let Some(key) = wanted.get("WEPKey").filter(|k| !k.is_empty()) {
        edits.set("key1", key.to_ascii_lowercase());
    }
    Ok(())
}

fn encryption_edit(
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    mode: &Mode,
    changed: bool,
    edits: &mut Edits<'_>,
) -> Result<(), (usize, Failure)> {
    let text = section.get("encryption").unwrap_or("");
    let asked = wanted.get("EncryptionMode").map(|list| {
        let has = |word: &str| list.split(',').any(|w| w.trim() == word);
        (has("TKIP"), has("AES"))
    });
    let is_wpa = !matches!(mode.who, Who::Open | Who::Wep);
    if !changed && (asked.is_none() || asked == Some(ciphers(text)) || !is_wpa) {
        return Ok(());
    }
    let (base, held) = match changed {
        true => (mode.uci, ""),
        false => text.split_once('+').unwrap_or((text, "")),
    };
    let ciphers = match asked.filter(|_| is_wpa) {
        Some((true, _)) if mode.frames.first() != Some(&0) => {
            return Err(wanted.about(&["EncryptionMode"], "TKIP is no cipher of WPA3"));
        }
        Some((true, true)) => "tkip+ccmp",
        Some((true, false)) => "tkip",
        // AES is what netifd takes when nobody says it.
        Some((false, true)) if held.is_empty() => "",
        Some((false, true)) => "ccmp",
        Some((false, false)) => {
            return Err(wanted.about(&["EncryptionMode"], "one of them is needed"));
        }
        None => "",
    };
    edits.set("encryption", if ciphers.is_empty() { base.to_owned() } else { [base, "+", ciphers].concat() });
    Ok(())
}

fn frames_edit(
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    mode: &Mode,
    changed: bool,
    edits: &mut Edits<'_>,
) -> Result<(), (usize, Failure)> {
    let held = section.get("ieee80211w").and_then(|w| w.parse::<u8>().ok());
    match wanted.get("MFPConfig").and_then(|word| FRAMES.iter().position(|f| *f == word)) {
        Some(n) => {
            let n = n as u8;
            if !mode.frames.contains(&n) {
                return Err(wanted.about(&["MFPConfig"], format!("not with {}", mode.word)));
            }
            // What netifd takes by itself need not be said.
            if held.is_some() || mode.frames.first() != Some(&n) {
                edits.set("ieee80211w", n.to_string());
            }
        }
        None if changed && held.is_some_and(|h| !mode.frames.contains(&h)) => edits.set("ieee80211w", ""),
        None => {}
    }
    Ok(())
}

fn wep_edit(
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    mode: &Mode,
    edits: &mut Edits<'_>,
) -> Result<(), (usize, Failure)> {
    let digits = if mode.word == "WEP-128" { 26 } else { 10 };
    match wanted.get("WEPKey").filter(|k| !k.is_empty()) {
        Some(key) if key.len() == digits => {
            edits.set("key1", key.to_ascii_lowercase());
            edits.set("key", "1");
        }
        Some(_) => {
            return Err(wanted.about(&["WEPKey"], format!("{} needs {} octets", mode.word, digits / 2)));
        }
        None if word_of(section) != mode.word => {
            return Err(wanted.about(&["ModeEnabled"], "it needs a WEPKey"));
        }
        None => {}
    }
    Ok(())
}

fn wps_edit(
    section: &Section<'_>,
    wanted: &Wanted<'_>,
    edits: &mut Edits<'_>,
) -> Result<(), (usize, Failure)> {
    let had = methods(section);
    let mut now = had;
    if let Some(list) = wanted.get("ConfigMethodsEnabled") {
        let mut words = list.split(',').map(str::trim).filter(|w| !w.is_empty());
        if let Some(other) = words.clone().find(|w| !matches!(*w, "PushButton" | "Label")) {
            let text = format!("`{other}` is none of ConfigMethodsSupported");
            return Err(wanted.about(&["ConfigMethodsEnabled"], text));
        }
        now = (words.clone().any(|w| w == "PushButton"), words.any(|w| w == "Label"));
    }
    match wanted.get("Enable") {
        Some("true") if now == (false, false) => now.0 = true,
        Some("false") => now = (false, false),
        _ => {}
    }
    for (option, had, now) in [("wps_pushbutton", had.0, now.0), ("wps_label", had.1, now.1)] {
        if had != now {
            edits.set(option, if now { "1" } else { "" });
        }
    }
    Ok(())
}
