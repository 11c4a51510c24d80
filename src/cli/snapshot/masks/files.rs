//! Files, by what they are: keys, accounts, arguments of programs, JSON, lines.

use super::{Masks, is_secret};
use std::ops::Range;

/// Stands for the hash of a password.
const NO_HASH: &str = "$0$masked";
/// Words at the beginning of a line behind which a name comes.
const LEADS: &[&str] = &["option", "list", "set", "export", "config"];

impl Masks {
    /// What a file holds, by its path below the root. `learn` makes secrets known instead.
    pub fn file(&mut self, path: &str, bytes: &[u8], learn: bool) -> Vec<u8> {
        if is_key_file(path) || is_private_der(bytes) {
            self.count += 1;
            return Vec::new();
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.bytes(bytes);
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        if path.starts_with("proc/") && name == "cmdline" {
            return self.arguments(text, learn).into_bytes();
        }
        if ["shadow", "gshadow", "passwd", "group"].contains(&name.trim_end_matches('-')) {
            return self.accounts(text).into_bytes();
        }
        if text.trim_start().starts_with(['{', '[']) {
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
            let mut rest = line;
            let mut is_first = true;
            while let Some(found) = assigned(rest, is_first) {
                let value = rest.get(found.clone()).unwrap_or_default();
                out.push_str(&self.text(rest.get(..found.start).unwrap_or_default()));
                match Masks::tells(value) {
                    true => {
                        if learn {
                            self.learn(value);
                        }
                        out.push_str(self.masked(value));
                    }
                    false => out.push_str(value),
                }
                rest = rest.get(found.end..).unwrap_or_default();
                is_first = false;
            }
            out.push_str(&self.text(rest));
        }
        out
    }

    /// A program's arguments: behind `--password`, and of `password=…`. They are parted by zero bytes, and by
    /// blanks in those that are command lines themselves.
    fn arguments(&mut self, text: &str, learn: bool) -> String {
        let mut before = String::new();
        let masked: Vec<String> =
            text.split('\0').map(|word| self.argument(&mut before, word, learn)).collect();
        masked.join("\0")
    }

    /// One of them, behind another one.
    pub(super) fn argument(&mut self, before: &mut String, word: &str, learn: bool) -> String {
        if word.trim_start().starts_with(['{', '[']) {
            before.clear();
            return self.json(word, learn);
        }
        if word.contains(' ') && !is_secret(before) {
            let masked: Vec<String> =
                word.split(' ').map(|word| self.argument(before, word, learn)).collect();
            before.clear();
            return masked.join(" ");
        }
        let (own, value) = word.split_once('=').unwrap_or((before.as_str(), word));
        let own = own.trim_start_matches('-').to_owned();
        let (lead, value) = match value.split_once(':') {
            // `curl -u user:password`
            Some((user, password)) if matches!(own.as_str(), "u" | "user") => (format!("{user}:"), password),
            _ => (String::new(), value),
        };
        let secret = is_secret(&own) || !lead.is_empty() || own == "sshpass-p";
        let masked = match secret && Masks::tells(value) {
            true => {
                if learn {
                    self.learn(value);
                }
                self.masked(value).to_owned()
            }
            false => self.text(value).into_owned(),
        };
        let is_name =
            !word.contains('=') && (word.starts_with('-') || is_secret(word) && !word.contains('/'));
        let program = word.rsplit('/').next().unwrap_or(word);
        *before = match (is_name, before.as_str(), program) {
            (true, "sshpass", "-p") => "sshpass-p".to_owned(),
            (true, ..) => word.trim_start_matches('-').to_owned(),
            (false, _, "sshpass") => program.to_owned(),
            _ => String::new(),
        };
        match word.split_once('=') {
            Some((name, _)) => format!("{name}={lead}{masked}"),
            None => format!("{lead}{masked}"),
        }
    }

    /// Hashes of passwords; whether there is one, and whether it is locked, stays.
    fn accounts(&mut self, text: &str) -> String {
        let mut line = |line: &str| {
            let mut fields: Vec<&str> = line.split(':').collect();
            let Some(hash) = fields.get_mut(1) else { return line.to_owned() };
            let bare = hash.trim_start_matches(['*', '!']);
            let locks = hash.get(..hash.len() - bare.len()).unwrap_or_default();
            // `*LK*` and `x` are none.
            if bare.len() <= 2 || !locks.is_empty() && bare == "LK*" {
                return line.to_owned();
            }
            self.count += 1;
            let masked = [locks, NO_HASH].concat();
            *hash = &masked;
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

/// Where the value of the first secret name of a line lies: behind `=` or `:`, or behind a blank when the name
/// begins the line.
fn assigned(line: &str, mut is_first: bool) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut at = 0;
    while let Some(start) = line.get(at..)?.find(is_name).map(|n| at + n) {
        let rest = line.get(start..)?;
        let name = rest.get(..rest.find(|c| !is_name(c)).unwrap_or(rest.len()))?;
        at = start + name.len();
        let behind = line.get(at..)?;
        // The quote of a name: `'password' 'x'`.
        let plain = behind.trim_start_matches(['"', '\'']);
        let gap = plain.len() - plain.trim_start_matches([' ', '\t']).len();
        let mark = plain.get(gap..)?.starts_with(['=', ':']);
        if is_secret(name) && (mark || is_first && gap > 0) {
            let value = plain.trim_start_matches(['=', ':', ' ', '\t']);
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let start = line.len() - value.len() + usize::from(quote.is_some());
            let value = line.get(start..)?;
            let length = match quote {
                Some(quote) => value.find(quote),
                None if is_first => None,
                None => value.find(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '&')),
            };
            let length = length.unwrap_or(value.trim_end_matches(['\n', '\r', ' ', '"', '\'']).len());
            return Some(start..start + length);
        }
        is_first = is_first && LEADS.contains(&name);
    }
    None
}

/// Files that are nothing but a secret.
fn is_key_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with("_key")
        || name.ends_with(".key")
        || name.ends_with(".p12")
        || name.ends_with(".pfx")
        || name.contains("secret")
        || name.contains("psk")
        || name.starts_with("id_") && !name.contains('.')
        || path.contains("ssl/private/")
}

/// A private key in DER: where a certificate has a sequence in its sequence, it has a number.
fn is_private_der(bytes: &[u8]) -> bool {
    let behind = match bytes {
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => rest,
        [0x30, length, rest @ ..] if *length < 0x80 => rest,
        _ => return false,
    };
    matches!(behind, [0x02, 0x01, 0..=3, ..])
}
