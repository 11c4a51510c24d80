//! What is secret in what a router says, and `XXXXXXXX` in its place.
//!
//! A value is secret by the name it goes by (`key`, `password`, `psk` …), in a configuration, an answer of ubus,
//! a line or a program's arguments; private keys and hashes of passwords are by their form. What is long enough
//! to be told from other words is replaced wherever else it stands, too. What is not secret stays: names,
//! addresses and serial numbers are what a snapshot is for.

use crate::sys::uci::Package;
use std::borrow::Cow;
use std::collections::BTreeSet;

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
];
/// Parts of a word that do.
const PARTS: &[&str] =
    &["passw", "passphrase", "secret", "privkey", "preshared", "apikey", "authkey", "ubus_rpc_session"];
/// Words beside which a key is none of them.
const OPEN: &[&str] =
    &["public", "pub", "type", "mgmt", "index", "length", "size", "direction", "timeout", "id", "file"];
/// Values that tell nothing.
const HARMLESS: &[&str] =
    &["", "on", "off", "yes", "no", "true", "false", "none", "auto", "enabled", "disabled", "default"];

/// Whether what goes by this name is secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let bare = |word: &&str| WORDS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()));
    PARTS.iter().any(|part| name.contains(part))
        || words.iter().any(bare) && !words.iter().any(|word| OPEN.contains(word))
}

/// The secrets that are known, and how many values were masked.
#[derive(Default)]
pub struct Masks {
    known: BTreeSet<String>,
    /// How many were masked.
    pub count: usize,
}

impl Masks {
    /// Makes a secret known that is to be found nowhere.
    pub fn learn(&mut self, secret: &str) {
        // A mask is none.
        let tells = secret.bytes().any(|b| b != b'X');
        if tells && secret.len() >= MIN_WORD && !HARMLESS.contains(&secret) {
            self.known.insert(secret.to_owned());
        }
    }

    /// The secrets of a package.
    pub fn learn_package(&mut self, package: &Package) {
        for section in package.sections() {
            for (option, _) in section.options().filter(|(option, _)| is_secret(option)) {
                section.items(option).iter().filter(|v| !is_path(v)).for_each(|value| self.learn(value));
            }
        }
    }

    /// A value that goes by a name.
    pub fn value<'a>(&mut self, name: &str, value: &'a str) -> Cow<'a, str> {
        // An index of one of four keys, as WEP has it, is none.
        let tells = value.len() > 1 && !HARMLESS.contains(&value) && !is_path(value);
        match is_secret(name) && tells {
            true => {
                self.count += 1;
                Cow::Borrowed(if value.len() == ZERO_KEY.len() && value.ends_with('=') {
                    ZERO_KEY
                } else {
                    MASK
                })
            }
            false => self.text(value),
        }
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

    /// The password of `scheme://user:password@host`.
    fn urls(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("://") {
            out.push_str(before);
            out.push_str("://");
            let end = behind.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#'));
            let (host, others) = behind.split_at(end.unwrap_or(behind.len()));
            match host.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
                Some((user, host)) => {
                    self.count += 1;
                    out.extend([user, ":", MASK, "@", host]);
                }
                None => out.push_str(host),
            }
            rest = others;
        }
        out + rest
    }

    /// JSON, by the names of its fields. `learn` makes secrets known instead.
    pub fn json(&mut self, text: &str, learn: bool) -> String {
        let mut out = String::with_capacity(text.len());
        // The name of the field whose value comes, or of the array that is open.
        let mut name = String::new();
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
            if learn && is_secret(&name) && !is_path(&value) {
                self.learn(&value);
            }
            let masked = self.value(&name, &value);
            match masked.as_ref() == value {
                true => out.push_str(string),
                false => out.push_str(&serde_json::to_string(&masked).unwrap_or_default()),
            }
        }
        out + rest
    }

    /// What a file holds, by its path below the root. `learn` makes secrets known instead.
    pub fn file(&mut self, path: &str, bytes: &[u8], learn: bool) -> Vec<u8> {
        if is_key_file(path) {
            self.count += 1;
            return Vec::new();
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.bytes(bytes);
        };
        if path.starts_with("proc/") && path.ends_with("/cmdline") {
            return self.arguments(text, learn).into_bytes();
        }
        if matches!(path, "etc/shadow" | "etc/passwd" | "etc/gshadow" | "etc/group") {
            return self.accounts(text).into_bytes();
        }
        if text.trim_start().starts_with('{') {
            return self.json(text, learn).into_bytes();
        }
        if path.starts_with("proc/") || path.starts_with("sys/") {
            return self.text(text).into_owned().into_bytes();
        }
        self.lines(text, learn).into_bytes()
    }

    /// `NAME=VALUE` and `NAME VALUE`, and private keys in PEM.
    fn lines(&mut self, text: &str, learn: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut private = false;
        for line in text.split_inclusive('\n') {
            if line.starts_with("-----END") {
                private = false;
            }
            if private {
                continue;
            }
            if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
                self.count += 1;
                private = true;
                out.push_str(line);
                continue;
            }
            let cut = line.find(['=', ' ', '\t', ':']).filter(|at| *at > 0);
            match cut.map(|at| line.split_at(at)).filter(|(name, _)| is_secret(name)) {
                Some((name, rest)) => {
                    let start = rest.find(|c: char| !matches!(c, '=' | ' ' | '\t' | ':' | '"' | '\''));
                    let (mark, value) = rest.split_at(start.unwrap_or(rest.len()));
                    let trimmed = value.trim_end_matches(['\n', '\r', ' ', '"', '\'']);
                    if learn {
                        self.learn(trimmed);
                    }
                    let masked = self.value(name, trimmed).into_owned();
                    out.extend([name, mark, &masked, value.get(trimmed.len()..).unwrap_or_default()]);
                }
                None => out.push_str(&self.text(line)),
            }
        }
        out
    }

    /// A program's arguments: behind `--password`, and of `password=…`.
    fn arguments(&mut self, text: &str, learn: bool) -> String {
        let mut name = "";
        let mut out = Vec::new();
        for word in text.split('\0') {
            let (own, value) = word.split_once('=').unwrap_or((name, word));
            let own = own.trim_start_matches('-');
            if learn && is_secret(own) && !is_path(value) {
                self.learn(value);
            }
            let masked = self.value(own, value);
            out.push(match word.split_once('=') {
                Some((before, _)) => format!("{before}={masked}"),
                None => masked.into_owned(),
            });
            name = if word.starts_with('-') || is_secret(word) { word.trim_start_matches('-') } else { "" };
        }
        out.join("\0")
    }

    /// Hashes of passwords; whether there is one stays.
    fn accounts(&mut self, text: &str) -> String {
        let mut line = |line: &str| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if let Some(hash) =
                fields.get_mut(1).filter(|hash| hash.len() > 2 && !hash.starts_with(['*', '!']))
            {
                self.count += 1;
                *hash = "$0$masked";
            }
            fields.join(":")
        };
        text.split('\n').map(&mut line).collect::<Vec<_>>().join("\n")
    }

    /// What is no text: only what is known can be found in it.
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for secret in &self.known {
            while let Some(at) = out.windows(secret.len()).position(|w| w == secret.as_bytes()) {
                self.count += 1;
                out[at..at + secret.len()].fill(b'X');
            }
        }
        out
    }
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

/// A file that holds a key is named instead of one.
fn is_path(value: &str) -> bool {
    value.starts_with('/') && !value.contains(char::is_whitespace) && std::path::Path::new(value).exists()
}

/// Files that are nothing but a secret.
fn is_key_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with("_key")
        || name.ends_with(".key")
        || name.contains("secret")
        || path.contains("ssl/private/")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for name in [
            "key",
            "key1",
            "KEY",
            "psk",
            "wpa_psk",
            "password",
            "Password",
            "identity_password",
            "passwd",
            "wps_pin",
            "pincode",
            "private_key",
            "preshared_key",
            "auth_secret",
            "shared_secret",
            "community",
            "sae_password",
            "api_key",
            "ubus_rpc_session",
            "root_password_hash",
            "priv_key_pwd",
            "wpa_passphrase",
            "PasswordAuth",
            "r1kh",
            "acct_secret",
            "token",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "public_key",
            "key_mgmt",
            "keepalive",
            "ssid",
            "keyboard",
            "pinger",
            "spin",
            "username",
            "wpa_group_rekey",
            "persistent_keepalive",
            "key_type",
            "tokens_per",
            "compass",
            "ipaddr",
            "mac",
            "monkey",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_goes_wherever_it_stands() {
        let mut m = Masks::default();
        let package = Package::parse(
            "wireless",
            b"config wifi-iface x\n\toption ssid home\n\toption key 'correct horse'\n\toption key1 1\n\toption psk admin\n".to_vec(),
            b"",
        )
        .expect("it is sound");
        m.learn_package(&package);
        assert_eq!(m.value("key", "correct horse"), MASK);
        assert_eq!(m.value("key1", "1"), "1");
        assert_eq!(m.value("ssid", "home"), "home");
        assert_eq!(m.value("private_key", &("B".repeat(43) + "=")), ZERO_KEY);
        assert_eq!(m.text("a:correct horse;"), format!("a:{MASK};"));
        assert_eq!(m.text("admin"), "admin", "too short to be told from other words");
        assert_eq!(
            m.text("https://me:pw@host/x?u=a@b http://h:80/"),
            format!("https://me:{MASK}@host/x?u=a@b http://h:80/")
        );
        assert_eq!(m.file("tmp/any.bin", b"\xffcorrect horse\xfe", false), b"\xffXXXXXXXXXXXXX\xfe");
    }

    #[test]
    fn files_are_masked_by_their_form() {
        let mut m = Masks::default();
        let told = |m: &mut Masks, path: &str, text: &str| {
            m.file(path, text.as_bytes(), true);
            String::from_utf8(m.file(path, text.as_bytes(), false)).expect("text stays text")
        };
        for (path, text, masked) in [
            (
                "etc/shadow",
                "root:$1$abc$def:19000:0\nguest::1\nx:*:1\n",
                "root:$0$masked:19000:0\nguest::1\nx:*:1\n",
            ),
            ("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n", "root:x:0:0:root:/root:/bin/ash\n"),
            ("etc/dropbear/dropbear_rsa_host_key", "anything", ""),
            ("etc/ppp/chap-secrets", "a * b\n", ""),
            (
                "etc/x.pem",
                "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nBBB\n-----END EC PRIVATE KEY-----\n",
                "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n",
            ),
            (
                "var/run/hostapd.conf",
                "ssid=home\nwpa_passphrase=swordfish\n",
                "ssid=home\nwpa_passphrase=XXXXXXXX\n",
            ),
            ("etc/ppp/options", "user me\npassword \"sword fish\"\n", "user me\npassword \"XXXXXXXX\"\n"),
            (
                "proc/7/cmdline",
                "pppd\0user\0me\0password\0hunter22\0--key=hunter23\0",
                "pppd\0user\0me\0password\0XXXXXXXX\0--key=XXXXXXXX\0",
            ),
            ("proc/8/status", "Name:\tswordfish x\n", "Name:\tXXXXXXXX x\n"),
            (
                "etc/board.json",
                "{ \"root_password_hash\": \"$1$x\", \"model\": { \"id\": \"a\" } }",
                "{ \"root_password_hash\": \"XXXXXXXX\", \"model\": { \"id\": \"a\" } }",
            ),
        ] {
            assert_eq!(told(&mut m, path, text), masked, "{path}");
        }
    }

    #[test]
    fn answers_are_masked_by_the_names_of_their_fields() {
        let mut m = Masks::default();
        let json = r#"{"config":{"ssid":"a\"b","key":"swordfish","keys":["one two"],"key1":"1","wps_pin":12345670,"up":true},"list":[{"name":"key"},{"psk":"x\\y"}],"note":"swordfish, too"}"#;
        m.json(json, true);
        let masked = m.json(json, false);
        assert_eq!(
            masked,
            r#"{"config":{"ssid":"a\"b","key":"XXXXXXXX","keys":["one two"],"key1":"1","wps_pin":0,"up":true},"list":[{"name":"key"},{"psk":"XXXXXXXX"}],"note":"XXXXXXXX, too"}"#
        );
        assert_eq!(m.json("{\"key\":\"unended", false), "{\"key\":\"unended");
        assert_eq!(m.json("", false), "");
    }
}
