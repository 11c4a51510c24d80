//! Public keys and signatures as `usign` and `signify` write them: a line of comment that nobody vouches
//! for, and a line of base64 with `Ed`, the key's number, and the key or the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::fs::File;
use std::io::Read;

/// The most bytes read of a key file; real ones have some 110, and none has more than a signature may.
const MAX_KEY_FILE: u64 = super::MAX_SIGNATURE as u64;

/// What both tools write first on the line of a comment.
const COMMENT: &str = "untrusted comment:";
/// The only algorithm there is.
const ED25519: &[u8] = b"Ed";

/// The number by which a signature names its key: random, and no secret. It proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyNumber(pub [u8; 8]);

impl fmt::Display for KeyNumber {
    /// As `usign -F` writes it, and as files in `/etc/opkg/keys` are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A public key whose owner may sign images.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its number.
    pub number: KeyNumber,
    /// The compressed point.
    pub(super) point: [u8; 32],
}

impl Key {
    /// Reads a public key: the text of a key file, or its line of base64 alone.
    ///
    /// # Errors
    /// Says in a few words why it is none; the key is not repeated.
    pub fn read(text: &str) -> Result<Key, &'static str> {
        let (number, point) = body(text.as_bytes()).ok_or("is no public key of usign or signify")?;
        if !super::ed25519::is_key(&point) {
            return Err("is a public key that anybody could sign for");
        }
        Ok(Key { number, point })
    }

    /// Those of `transfer.trusted_keys`: each the path of a key file, or the key itself.
    ///
    /// # Errors
    /// Names the first that cannot be read, and says why.
    pub fn load(entries: &[String]) -> Result<Vec<Key>, String> {
        entries.iter().map(|entry| Key::one(entry)).collect()
    }

    fn one(entry: &str) -> Result<Key, String> {
        if !entry.starts_with('/') {
            return Key::read(entry).map_err(|e| format!("an entry of transfer.trusted_keys {e}"));
        }
        let mut text = String::new();
        let read = File::open(entry).and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text));
        read.map_err(|e| format!("the key file {entry} cannot be read: {e}"))?;
        Key::read(&text).map_err(|e| format!("the key file {entry} {e}"))
    }
}

/// The trusted key of that number.
pub(super) fn find(keys: &[Key], number: KeyNumber) -> Result<&Key, String> {
    keys.iter()
        .find(|k| k.number == number)
        .ok_or_else(|| format!("is by key {number}, which is not trusted"))
}

/// A signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Signature {
    /// Of the key that made it, as it says.
    pub number: KeyNumber,
    /// R and S.
    pub bytes: [u8; 64],
}

impl Signature {
    /// Reads what `usign -S` and `signify -S` write.
    pub fn read(text: &[u8]) -> Option<Signature> {
        let (number, bytes) = body(text)?;
        Some(Signature { number, bytes })
    }
}

/// What the line of base64 holds behind the key's number; there is nothing else behind that line.
fn body<const N: usize>(text: &[u8]) -> Option<(KeyNumber, [u8; N])> {
    if text.len() > super::MAX_SIGNATURE {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim_end_matches(['\0', '\r', '\n', ' ']);
    let line = match text.strip_prefix(COMMENT) {
        Some(rest) => rest.split_once('\n')?.1,
        None => text,
    };
    let bytes = STANDARD.decode(line.trim()).ok()?;
    let (number, rest) = bytes.strip_prefix(ED25519)?.split_first_chunk()?;
    Some((KeyNumber(*number), rest.try_into().ok()?))
}
