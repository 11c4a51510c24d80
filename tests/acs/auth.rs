//! HTTP authentication, both ways: the ACS asks the agent for a password, and answers when the
//! agent asks for one at a connection request. Written for the tests alone, so that agent and ACS
//! do not share a mistake.

use base64::Engine as _;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// How the ACS asks the agent for its password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// It does not.
    #[default]
    None,
    /// `Basic`.
    Basic,
    /// `Digest`, with one challenge for each algorithm, in this order.
    Digest(Vec<Algorithm>),
}

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
}

impl Algorithm {
    /// Its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        match self {
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
            _ => hex(&Md5::digest(text)),
        }
    }
}

const REALM: &str = "scripted ACS";

/// Remembers the nonces it handed out.
#[derive(Debug, Default)]
pub struct Guard {
    /// With the highest `nc` seen.
    nonces: HashMap<String, u32>,
}

impl Guard {
    /// The challenges, one for each `WWW-Authenticate` header.
    pub fn challenges(&mut self, asked: &Authentication, stale: bool) -> Vec<String> {
        let Authentication::Digest(algorithms) = asked else {
            return vec![format!("Basic realm=\"{REALM}\"")];
        };
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |a: &Algorithm| {
            let nonce = unique();
            self.nonces.insert(nonce.clone(), 0);
            let name = a.name();
            format!(
                "Digest realm=\"{REALM}\", qop=\"auth\", algorithm={name}, nonce=\"{nonce}\", opaque=\"o\\\"p\"{stale}"
            )
        };
        algorithms.iter().map(challenge).collect()
    }

    /// Judges the `Authorization` of a request.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn check(
        &mut self,
        asked: &Authentication,
        (username, password): (&str, &str),
        (method, target): (&str, &str),
        authorization: Option<&str>,
    ) -> Result<(), String> {
        let algorithms = match asked {
            Authentication::None => return Ok(()),
            Authentication::Basic => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                let good = authorization == Some(&format!("Basic {pair}"));
                return if good { Ok(()) } else { Err("no good Basic answer".to_string()) };
            }
            Authentication::Digest(algorithms) => algorithms,
        };
        let text = authorization.ok_or("no Authorization")?;
        let fields = Fields::read(text.strip_prefix("Digest ").ok_or("not Digest")?);
        let must = |name: &str, value: &str| match fields.get(name) {
            Some(said) if said == value => Ok(()),
            said => Err(format!("{name} is {said:?}, not {value:?}")),
        };
        must("username", username)?;
        must("realm", REALM)?;
        must("uri", target)?;
        must("qop", "auth")?;
        must("opaque", "o\"p")?;
        let named = fields.get("algorithm").unwrap_or("MD5");
        let algorithm = algorithms.iter().find(|a| a.name() == named).ok_or("algorithm not offered")?;
        let nonce = fields.get("nonce").unwrap_or_default();
        let nc = fields.get("nc").unwrap_or_default();
        let cnonce = fields.get("cnonce").unwrap_or_default();
        let count = u32::from_str_radix(nc, 16).map_err(|_| "nc is no number")?;
        let ha1 = (username, password, REALM);
        must("response", &response(*algorithm, ha1, nonce, (nc, cnonce), method, target))?;
        let last = self.nonces.get_mut(nonce).ok_or("not a nonce of ours")?;
        if count <= std::mem::replace(last, count) {
            return Err(format!("nc {nc} was used"));
        }
        Ok(())
    }
}

/// The answer to the challenge of a `WWW-Authenticate` header; `None` for one that is not Digest
/// with `qop=auth`.
pub fn answer(challenge: &str, username: &str, password: &str, method: &str, uri: &str) -> Option<String> {
    let fields = Fields::read(challenge.strip_prefix("Digest ")?);
    let (realm, nonce) = (fields.get("realm")?, fields.get("nonce")?);
    fields.get("qop")?.split(',').find(|q| q.trim() == "auth")?;
    let algorithm = match fields.get("algorithm") {
        None | Some("MD5") => Algorithm::Md5,
        Some("SHA-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let cnonce = unique();
    let ha1 = (username, password, realm);
    let response = response(algorithm, ha1, nonce, ("00000001", &cnonce), method, uri);
    let name = algorithm.name();
    Some(format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={name}, \
         qop=auth, nc=00000001, cnonce=\"{cnonce}\", response=\"{response}\""
    ))
}

/// RFC 7616 3.4.1.
fn response(
    algorithm: Algorithm,
    (username, password, realm): (&str, &str, &str),
    nonce: &str,
    (nc, cnonce): (&str, &str),
    method: &str,
    uri: &str,
) -> String {
    let h = |text: String| algorithm.hash(&text);
    let mut ha1 = h(format!("{username}:{realm}:{password}"));
    if algorithm == Algorithm::Md5Sess {
        ha1 = h(format!("{ha1}:{nonce}:{cnonce}"));
    }
    let ha2 = h(format!("{method}:{uri}"));
    h(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"))
}

/// The fields of a Digest header.
struct Fields(HashMap<String, String>);

impl Fields {
    fn read(text: &str) -> Fields {
        let mut fields = HashMap::new();
        let mut chars = text.chars().peekable();
        while chars.peek().is_some() {
            let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
            let mut value = String::new();
            if chars.next_if_eq(&'"').is_some() {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    value.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
                }
                chars.by_ref().take_while(|c| *c != ',').for_each(drop);
            } else {
                value = chars.by_ref().take_while(|c| *c != ',').collect();
            }
            fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_string());
        }
        Fields(fields)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A text that this process has not used yet; a test needs no more of a nonce.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Algorithm::Md5.hash(&format!("{number} {}", std::process::id()))
}
