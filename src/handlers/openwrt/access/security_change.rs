//! What a change of security means for a `wifi-iface`, judged as it will be when all values of the change are there.

use super::air::wireless;
use super::security::{FRAMES, Mode, Who, by_word, ciphers, methods, server_of, servers, word_of};
use super::{Edits, bad, gone};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Row, Set};
use crate::sys::uci::{Held, Section};

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
