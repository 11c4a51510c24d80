//! Makes keys, signatures, certificates and images as the tools do.

use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use crate::transfer::verify::{Expected, Key, Verified, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// When the certificates below are looked at; they are valid from 1,000 before to 1,000 after.
pub const WALL: i64 = 1_800_000_000;

pub fn now(wall: i64) -> Now {
    Now { mono: Duration::ZERO, wall, clock_set: true }
}

/// One who signs.
pub struct Owner {
    number: [u8; 8],
    pair: Ed25519KeyPair,
}

impl Owner {
    pub fn new(seed: u8) -> Owner {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Owner { number: [seed, 0, 1, 2, 3, 4, 5, seed], pair }
    }

    pub fn text(&self) -> String {
        text("public key", &[b"Ed", &self.number[..], self.pair.public_key().as_ref()])
    }

    pub fn key(&self) -> Key {
        Key::read(&self.text()).unwrap()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        text("signed by key", &[b"Ed", &self.number[..], self.pair.sign(message).as_ref()]).into_bytes()
    }
}

pub fn text(comment: &str, parts: &[&[u8]]) -> String {
    format!("untrusted comment: {comment}\n{}\n", STANDARD.encode(parts.concat()))
}

/// A blob of libubox.
pub fn blob(kind: u8, name: Option<&str>, contents: &[u8]) -> Vec<u8> {
    let mut inner = Vec::new();
    if let Some(name) = name {
        inner.extend((name.len() as u16).to_be_bytes());
        inner.extend(name.as_bytes());
        inner.push(0);
        inner.resize(inner.len().div_ceil(4) * 4, 0);
    }
    inner.extend(contents);
    let flag = if name.is_some() { 0x80 } else { 0 };
    let mut out = (u32::from(kind | flag) << 24 | (inner.len() + 4) as u32).to_be_bytes().to_vec();
    out.extend(inner);
    out.resize(out.len().div_ceil(4) * 4, 0);
    out
}

/// What a certificate says, in order; some tests leave one out or say it twice.
pub fn claims(kind: u32, from: i64, until: i64, key: &str) -> Vec<Vec<u8>> {
    vec![
        blob(5, Some("certtype"), &kind.to_be_bytes()),
        blob(4, Some("validfrom"), &from.to_be_bytes()),
        blob(4, Some("expiresat"), &until.to_be_bytes()),
        blob(3, Some("pubkey"), format!("{key}\0").as_bytes()),
    ]
}

/// An element of a chain: what is claimed, signed.
pub fn certified(by: &Owner, claims: &[Vec<u8>]) -> Vec<u8> {
    let payload = blob(2, Some("ucert"), &claims.concat());
    blob(0, None, &[blob(0, None, &by.sign(&payload)), blob(1, None, &payload)].concat())
}

pub fn certificate(by: &Owner, of: &Owner) -> Vec<u8> {
    certified(by, &claims(1, WALL - 1000, WALL + 1000, &of.text()))
}

/// The last element of a chain.
pub fn signed(by: &Owner, message: &[u8]) -> Vec<u8> {
    blob(0, None, &blob(0, None, &by.sign(message)))
}

/// Appends a part as fwtool does.
pub fn append(image: &mut Vec<u8>, kind: u8, data: &[u8]) {
    image.extend(data);
    let crc = !crc32fast::hash(image);
    image.extend(b"FWx0");
    image.extend(crc.to_be_bytes());
    image.extend([kind, 0, 0, 0]);
    image.extend((data.len() as u32 + 16).to_be_bytes());
}

pub fn append_metadata(image: &mut Vec<u8>, json: &str) {
    append(image, 1, &[&[0; 8], json.as_bytes()].concat());
}

/// An image on disk, gone with it.
pub struct OnDisk(PathBuf);

impl OnDisk {
    pub fn new(bytes: &[u8]) -> OnDisk {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cwmpd-image-{}-{count}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        OnDisk(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What is expected of an image that one of these keys shall have signed.
pub fn expected(keys: &[Key]) -> Expected<'_> {
    Expected { sha256: None, hashed: None, image: true, keys, now: now(WALL) }
}

pub fn judge(image: &[u8], keys: &[Key], beside: Option<&[u8]>) -> Result<Verified, Fault> {
    verify(OnDisk::new(image).path(), &expected(keys), beside)
}

/// The code and the text of a refusal.
pub fn refused(image: &[u8], keys: &[Key], beside: Option<&[u8]>) -> (Code, String) {
    let fault = judge(image, keys, beside).expect_err("it is refused");
    assert!(fault.text.chars().count() <= 256, "{} characters: {}", fault.text.len(), fault.text);
    (fault.code, fault.text)
}
