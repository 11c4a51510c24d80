//! Provider `openwrt_wifi_security`: how a `wifi-iface` is secured (`encryption`, `ieee80211w`, `key`), its RADIUS
//! servers and WPS, in the words of the standard.

use super::air::wireless;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Row, Want};
use crate::sys::uci::Section;

/// How somebody who joins shows who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
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
pub(super) struct Mode {
    pub(super) word: &'static str,
    pub(super) uci: &'static str,
    pub(super) who: Who,
    pub(super) frames: &'static [u8],
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

pub(super) const FRAMES: [&str; 3] = ["Disabled", "Optional", "Required"];

pub(super) fn by_word(word: &str) -> Option<&'static Mode> {
    MODES.iter().find(|m| m.word == word)
}

/// The word for what UCI says, as netifd reads it.
pub(super) fn word_of(section: &Section<'_>) -> &'static str {
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
pub(super) fn ciphers(text: &str) -> (bool, bool) {
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
pub(super) fn servers<'s>(section: &Section<'s>, option: &str) -> Vec<&'s str> {
    match section.words(option) {
        none if none.is_empty() && option == "auth_server" => section.words("server"),
        some => some,
    }
}

/// The list of servers that a parameter speaks of, and which of it.
pub(super) fn server_of(row: &Row<'_>, name: &str) -> Option<(&'static str, usize)> {
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
pub(super) fn methods(section: &Section<'_>) -> (bool, bool) {
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
