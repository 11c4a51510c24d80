//! What is secret in what a router says, and `XXXXXXXX` in its place.
//!
//! A value is secret by the name it goes by (`key`, `password`, `psk` …), in a configuration, an answer of ubus,
//! a line or a program's arguments; private keys and hashes of passwords are by their form. What is long enough
//! to be told from other words is replaced wherever else it stands, too. What is not secret stays: names,
//! addresses and serial numbers are what a snapshot is for.

mod files;
#[cfg(test)]
mod tests;

use crate::sys::sorted::SortedSet;
use crate::sys::uci::Package;
use std::borrow::Cow;

/// What stands for a secret.
pub const MASK: &str = "XXXXXXXX";
/// A key of WireGuard stays one.
const ZERO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// From this length on a secret is looked for everywhere, as a word of its own.
const MIN_WORD: usize = 6;
/// From this length on within words, too.
const MIN_PART: usize = 12;

/// Words of which one makes a name secret.
const WORDS: &[&str] = &[
    "key",
    "psk",
    "pin",
    "puk",
    "pincode",
    "pukcode",
    "secret",
    "secrets",
    "token",
    "community",
    "passphrase",
    "credential",
    "credentials",
    "hash",
    "pwd",
    "session",
    "r0kh",
    "r1kh",
    "otp",
    "pass",
    "pw",
    "cookie",
    "createuser",
];
/// Parts of a word that do.
const PARTS: &[&str] = &[
    "passw",
    "passphrase",
    "secret",
    "privkey",
    "private_key",
    "preshared",
    "apikey",
    "authkey",
    "accesskey",
    "community",
    "dpp_connector",
    // What a dynamic DNS provider is told besides the password, often one.
    "param_enc",
    "param_opt",
    "ubus_rpc_session",
];
/// Words that end as a key does.
const NO_KEYS: &[&str] = &["rekey", "monkey", "hotkey", "pubkey", "publickey", "ikey", "okey"];
/// Words beside which a key is none of them.
const OPEN: &[&str] = &[
    "public",
    "pub",
    "type",
    "mgmt",
    "index",
    "length",
    "size",
    "direction",
    "timeout",
    "id",
    "algorithm",
    "alg",
];
/// Switches, such as `PasswordAuth`.
const SWITCHES: &[&str] = &["on", "off", "yes", "no", "true", "false", "enabled", "disabled"];
/// Folders below which files with keys lie.
const TOPS: &[&str] =
    &["etc", "var", "tmp", "usr", "lib", "root", "home", "overlay", "rom", "mnt", "run", "opt"];
/// Words that are not looked for elsewhere, though somebody may have taken one for a password.
const COMMON: &[&str] = &["default", "openwrt", "router", "wireless", "network", "internet"];

/// Whether what goes by this name is secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let bare = |word: &&str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        WORDS.contains(&word) || word.ends_with("key") && !NO_KEYS.contains(&word)
    };
    PARTS.iter().any(|part| name.contains(part))
        || words.iter().any(bare) && !words.iter().any(|word| OPEN.contains(word))
}

/// The secrets that are known, and how many values were masked.
#[derive(Default)]
pub struct Masks {
    known: SortedSet<String>,
    /// How many were masked.
    pub count: usize,
}

impl Masks {
    /// Makes a secret known that is to be found nowhere.
    pub fn learn(&mut self, secret: &str) {
        // A mask is none.
        let tells = secret.bytes().any(|b| b != b'X');
        let is_common = SWITCHES.contains(&secret) || COMMON.contains(&secret);
        if tells && secret.len() >= MIN_WORD && !is_common {
            self.known.insert(secret.to_owned());
        }
    }

    /// The secrets of a package.
    pub fn learn_package(&mut self, package: &Package) {
        for section in package.sections() {
            for (option, _) in section.options().filter(|(option, _)| is_secret(option)) {
                for value in section.items(option) {
                    if !is_path(value) {
                        self.learn(value);
                    }
                }
            }
        }
    }

    /// A value that goes by a name.
    pub fn value<'a>(&mut self, name: &str, value: &'a str) -> Cow<'a, str> {
        // An index of one of four keys, as WEP has it, is none.
        if is_secret(name) && Masks::tells(value) {
            Cow::Borrowed(self.masked(value))
        } else {
            self.text(value)
        }
    }

    /// Whether a value that goes by a secret's name is one: not a switch, an index, or a file's name.
    fn tells(value: &str) -> bool {
        value.len() > 1 && !SWITCHES.contains(&value) && !is_path(value)
    }

    fn masked(&mut self, value: &str) -> &'static str {
        self.count += 1;
        if value.len() == ZERO_KEY.len() && value.ends_with('=') { ZERO_KEY } else { MASK }
    }

    /// Text without the secrets that are known, and without passwords of URLs.
    pub fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for secret in &self.known {
            if out.contains(secret.as_str()) {
                out = Cow::Owned(replaced(&out, secret, &mut self.count));
            }
        }
        if out.contains("://") {
            out = Cow::Owned(self.urls(&out));
        }
        out
    }

    /// The password of `scheme://user:password@host/place?token=secret`.
    fn urls(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("://") {
            out.push_str(before);
            out.push_str("://");
            let end = behind.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
            let (url, others) = behind.split_at(end.unwrap_or(behind.len()));
            let (host, place) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
            // A password may hold what ends a host, though it should not.
            let is_port =
                |text: &str| text.split('/').next().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
            let user = url.rsplit_once('@').and_then(|(user, host)| {
                let (user, password) = user.split_once(':')?;
                (!is_port(password)).then_some((user, host))
            });
            match host.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
                Some((user, host)) => {
                    self.count += 1;
                    out.extend([user, ":", MASK, "@", host]);
                    self.query(place, &mut out);
                }
                None => match user.filter(|(user, _)| !user.contains(['/', '?', '#', '.'])) {
                    Some((user, host)) => {
                        self.count += 1;
                        out.extend([user, ":", MASK, "@", host]);
                    }
                    None => {
                        out.push_str(host);
                        self.query(place, &mut out);
                    }
                },
            }
            rest = others;
        }
        out + rest
    }

    /// Path and query of a URL: what goes by a secret's name, or is nothing but one long word, is none.
    fn query(&mut self, place: &str, out: &mut String) {
        let Some((path, query)) = place.split_once('?') else { return out.push_str(place) };
        out.push_str(path);
        for (at, pair) in query.split('&').enumerate() {
            out.push(if at == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((name, value)) if is_secret(name) && value.len() > 1 && !value.starts_with('[') => {
                    out.extend([name, "=", self.masked("")]);
                }
                None if pair.len() >= MIN_PART => out.push_str(self.masked("")),
                _ => out.push_str(pair),
            }
        }
    }

    /// JSON, by the names of its fields. `learn` makes secrets known instead.
    pub fn json(&mut self, text: &str, learn: bool) -> String {
        let mut out = String::with_capacity(text.len());
        // The name of the field whose value comes, or of the array that is open.
        let mut name = String::new();
        let mut before_it = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['"', '{', '}']) {
            let (before, behind) = rest.split_at(at);
            // A number of some length may be a PIN.
            let number =
                before.trim_matches(|c: char| matches!(c, ':' | ',' | '[' | ']') || c.is_whitespace());
            let is_pin = number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit()) && is_secret(&name);
            out.push_str(&if is_pin { before.replace(number, "0") } else { before.to_owned() });
            let Some(end) = string_end(behind) else {
                // A brace.
                name.clear();
                out.push_str(behind.get(..1).unwrap_or_default());
                rest = behind.get(1..).unwrap_or_default();
                continue;
            };
            let (string, others) = behind.split_at(end);
            rest = others;
            let value: String = serde_json::from_str(string).unwrap_or_default();
            if others.trim_start().starts_with(':') {
                name = value;
                out.push_str(string);
                continue;
            }
            // A program's arguments: one may name the next.
            let is_argument = matches!(name.as_str(), "command" | "args" | "argv");
            if !is_argument || before.contains('[') {
                before_it.clear();
            }
            let masked = if is_argument {
                self.argument(&mut before_it, &value, learn)
            } else {
                if learn && is_secret(&name) && !is_path(&value) {
                    self.learn(&value);
                }
                self.value(&name, &value).into_owned()
            };
            match masked == value {
                true => out.push_str(string),
                false => out.push_str(&serde_json::to_string(&masked).unwrap_or_default()),
            }
        }
        out + rest
    }
}

/// A file that holds a key is named instead of one. Keys in base64 begin with a slash, too.
fn is_path(value: &str) -> bool {
    let top = value.strip_prefix('/').and_then(|path| path.split_once('/'));
    top.is_some_and(|(top, _)| TOPS.contains(&top)) && !value.contains(char::is_whitespace)
}

/// Where the string at the beginning ends, quotes included.
fn string_end(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    bytes.next().filter(|(_, b)| *b == b'"')?;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

fn replaced(text: &str, secret: &str, count: &mut usize) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(secret) {
        out.push_str(before);
        let whole = !is_word(out.chars().next_back()) && !is_word(behind.chars().next());
        if whole || secret.len() >= MIN_PART {
            *count += 1;
            out.push_str(MASK);
        } else {
            out.push_str(secret);
        }
        rest = behind;
    }
    out + rest
}
