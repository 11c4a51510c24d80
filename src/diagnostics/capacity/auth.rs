//! Who may test: the key of AuthenticationEnabled (DG-16), and how it signs datagrams.
//!
//! A key is never used itself: for each test two are derived from it and the time (NIST SP 800-108 in counter
//! mode with HMAC-SHA-256), one for either direction. So an answer that they sign is one to this test.

use super::pdu;
use crate::diagnostics::{Arguments, Job};
use crate::sys::host;
use ring::hmac;

/// The longest key, in octets.
const MAX_KEY: usize = 64;
/// The largest file of keys, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// The only mode that has a digest: control messages are signed.
const MODE: u8 = 1;

/// A key and the number that the server knows it by.
#[derive(PartialEq, Eq)]
pub struct Secret {
    id: u8,
    key: Vec<u8>,
}

impl Secret {
    /// The key that the arguments name; `None` when there is to be no authentication.
    ///
    /// # Errors
    /// They name none; nothing of a key is in the text.
    pub fn of(job: &Job) -> Result<Option<Secret>, String> {
        let arguments = &job.arguments;
        if !arguments.flag("AuthenticationEnabled") {
            return Ok(None);
        }
        let code = arguments.text("AuthenticationCode");
        let alias = arguments.text("AuthenticationAlias");
        let file = arguments.text("AuthenticationKeyFileLocation");
        match (code, alias, file) {
            (code, "", "") if !code.is_empty() => Secret::new(0, code),
            (code, alias, "") if !code.is_empty() => Secret::new(number(alias)?, code),
            ("", alias, "") if !alias.is_empty() => Secret::new(number(alias)?, of_table(arguments, alias)?),
            ("", alias, file) if !file.is_empty() => {
                let text = host::read_bytes(&job.around.root, file, MAX_FILE + 1)
                    .map_err(|e| format!("the file of keys: {e}"))?;
                of_file(&text, alias)
            }
            _ => {
                Err("neither a code, nor an alias, nor a file of keys, nor a pair that belongs together"
                    .into())
            }
        }
        .map(Some)
    }

    fn new(id: u8, key: &str) -> Result<Secret, String> {
        match key.len() {
            1..=MAX_KEY => Ok(Secret { id, key: key.as_bytes().to_vec() }),
            _ => Err(format!("a key has 1 to {MAX_KEY} octets")),
        }
    }
}

/// The protocol knows a key by a number: the one that an alias ends with (`3`, `key-3`).
fn number(alias: &str) -> Result<u8, String> {
    let name = alias.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = alias.get(name.len()..).unwrap_or_default();
    digits.parse().map_err(|_| "an alias of a key ends with its number, 0 to 255".to_owned())
}

/// The key of a row of IPLayerCapacityAuthCode.
fn of_table<'a>(arguments: &'a Arguments, alias: &str) -> Result<&'a str, String> {
    let row = arguments.0.iter().find_map(|(name, value)| {
        let row = name.strip_prefix(super::KEYS)?.strip_suffix(".Alias")?;
        (value == alias).then_some(row)
    });
    let row = row.ok_or("no row of IPLayerCapacityAuthCode has this alias")?;
    Ok(arguments.text(&format!("{}{row}.AuthenticationKey", super::KEYS)))
}

/// Lines `NUMBER,KEY`; blanks do not count, and nothing behind a `#`. Without an alias there is one only.
fn of_file(bytes: &[u8], alias: &str) -> Result<Secret, String> {
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file of keys has more than {MAX_FILE} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the file of keys is no text")?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if line.is_empty() {
            continue;
        }
        let wrong = |_| format!("line {} of the file of keys is none of NUMBER,KEY", at + 1);
        let (id, key) = line.split_once(',').ok_or(()).map_err(wrong)?;
        let id = id.parse().map_err(|_| wrong(()))?;
        found.push(Secret::new(id, key.trim_end_matches(',')).map_err(|_| wrong(()))?);
    }
    match alias {
        "" if found.len() != 1 => Err("without an alias a file of keys has one line".to_owned()),
        "" => Ok(found.swap_remove(0)),
        alias => {
            let id = number(alias)?;
            found.into_iter().find(|secret| secret.id == id).ok_or("the file of keys has no such key".into())
        }
    }
}

/// The keys of one flow.
pub struct Keys {
    id: u8,
    ours: hmac::Key,
    theirs: hmac::Key,
}

impl Keys {
    /// Of a secret, for a test that begins at this second since 1970.
    pub fn derive(secret: &Secret, time: u32) -> Keys {
        let base = hmac::Key::new(hmac::HMAC_SHA256, &secret.key);
        let part = |counter: u32| {
            let mut context = hmac::Context::with_key(&base);
            context.update(&counter.to_be_bytes());
            context.update(b"UDPSTP\0");
            context.update(time.to_string().as_bytes());
            context.update(&512_u32.to_be_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
        };
        Keys { id: secret.id, ours: part(1), theirs: part(2) }
    }

    /// Signs a datagram whose mode of authentication stands at `mode`.
    pub fn sign(&self, datagram: &mut [u8], mode: usize, time: u32) {
        pdu::put(datagram, mode, &[MODE]);
        pdu::put(datagram, mode + 1, &time.to_be_bytes());
        pdu::put(datagram, mode + 37, &[self.id]);
        let digest = hmac::sign(&self.ours, datagram);
        pdu::put(datagram, mode + 5, digest.as_ref());
    }

    /// Whether the server has signed it.
    pub fn is_theirs(&self, datagram: &[u8], mode: usize) -> bool {
        let mut plain = datagram.to_vec();
        pdu::put(&mut plain, mode + 5, &[0; 32]);
        pdu::put(&mut plain, mode + pdu::TO_CHECKSUM, &[0; 2]);
        let digest = datagram.get(mode + 5..mode + 37).unwrap_or_default();
        datagram.get(mode) == Some(&MODE) && hmac::verify(&self.theirs, &plain, digest).is_ok()
    }

    /// What stands for the mode in feedback.
    pub fn mode(keys: Option<&Keys>) -> u8 {
        keys.map_or(0, |_| MODE)
    }
}
