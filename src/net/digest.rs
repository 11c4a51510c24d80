//! HTTP authentication arithmetic (RFC 7616, RFC 2617, RFC 2069): challenges and answers read from
//! their headers, responses computed. Used by both sides: the ACS client answers challenges, the
//! connection-request listener verifies answers.

use crate::sys::hash::sha256;
use md5::{Digest as _, Md5};

/// The most challenges read from one header value; the rest is not looked at.
pub const MAX_CHALLENGES: usize = 16;
/// The most parameters read of one challenge; one that has more is dropped.
pub const MAX_PARAMETERS: usize = 32;
/// The longest name of a scheme or parameter, in bytes; reading stops at a longer one.
pub const MAX_NAME: usize = 64;
/// The longest value of a parameter, in bytes; a challenge with a longer one is dropped. Realm, nonce
/// and opaque come back in our answer, whose header has to fit the output buffer.
pub const MAX_PARAMETER: usize = 2048;

/// One element of `WWW-Authenticate`, or the one of `Authorization`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Challenge {
    /// `digest`, `basic`, ...: in lower case.
    pub scheme: String,
    /// What follows the scheme when it is no parameter list: Basic's base64.
    pub token: String,
    /// Names in lower case, values without quotes and escapes.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, by its lower-case name; of several the first.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    /// The digest algorithm: MD5 when none is named; `None` for one that is not known.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self.get("algorithm") {
            Some(name) => Algorithm::named(name),
            None => Some(Algorithm::Md5),
        }
    }
}

/// Reads a header value that holds one or several challenges (S-19). Reading stops at the first
/// thing that is no challenge; the one it stands in is dropped, those before it stay. So does one
/// with a control character: what it says is echoed in a header of ours.
pub fn parse(value: &str) -> Vec<Challenge> {
    let mut scan = Scan { rest: value };
    let mut found: Vec<Challenge> = Vec::new();
    while scan.challenge(&mut found) && found.len() <= MAX_CHALLENGES {}
    found.truncate(MAX_CHALLENGES);
    found
}

struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// Reads one element of the list; false at the end, which may be a fault.
    fn challenge(&mut self, found: &mut Vec<Challenge>) -> bool {
        self.skip(|c| c == ',' || c == ' ' || c == '\t');
        if self.rest.is_empty() {
            return false;
        }
        let word = self.token();
        if word.is_empty() || word.len() > MAX_NAME {
            found.pop();
            return false;
        }
        let spaced = self.skip(|c| c == ' ' || c == '\t');
        if self.rest.starts_with('=') {
            let Some(last) = found.last_mut() else {
                return false;
            };
            let sound = |value: &String| value.len() <= MAX_PARAMETER && !value.contains(unspeakable);
            let value = self.value().filter(sound);
            return match value {
                Some(value) if last.parameters.len() < MAX_PARAMETERS => {
                    last.parameters.push((word.to_ascii_lowercase(), value));
                    true
                }
                _ => {
                    found.pop();
                    false
                }
            };
        }
        let token = if spaced { self.token68() } else { "" };
        found.push(Challenge {
            scheme: word.to_ascii_lowercase(),
            token: token.to_string(),
            parameters: Vec::new(),
        });
        true
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) -> bool {
        let rest = self.rest.trim_start_matches(what);
        let any = rest.len() < self.rest.len();
        self.rest = rest;
        any
    }

    fn take(&mut self, end: usize) -> &'a str {
        let (head, tail) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = tail;
        head
    }

    fn token(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t', ',', '=', '"']);
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// What stands alone up to the next comma, `=` only at its end; else nothing is taken.
    fn token68(&mut self) -> &'a str {
        let end = self.rest.find(',').unwrap_or(self.rest.len());
        let (word, _) = self.rest.split_at(end); // find gives a boundary
        let word = word.trim_end();
        let body = word.trim_end_matches('=');
        if body.is_empty() || body.contains([' ', '\t', '=', '"']) {
            return "";
        }
        self.take(word.len())
    }

    /// `= value`, quoted or not; `None` when the quote does not end.
    fn value(&mut self) -> Option<String> {
        self.take(1);
        self.skip(|c| c == ' ' || c == '\t');
        if !self.rest.starts_with('"') {
            let end = self.rest.find([' ', '\t', ',']);
            return Some(self.take(end.unwrap_or(self.rest.len())).to_string());
        }
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.take(at + 1);
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                _ => text.push(c),
            }
        }
        None
    }
}

/// Whether a header can carry a user name: visible ASCII and spaces.
pub fn is_speakable(username: &str) -> bool {
    username.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// What no header can carry: control characters but the tab.
fn unspeakable(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// A text as a quoted-string, its quotes included. The caller keeps control characters out of it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The digest algorithms that are computed (S-16, S-19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
}

impl Algorithm {
    /// By its name in any case.
    pub fn named(name: &str) -> Option<Algorithm> {
        use Algorithm::*;
        let all = [Md5, Md5Sess, Sha256, Sha256Sess];
        all.into_iter().find(|a| name.eq_ignore_ascii_case(a.name()))
    }

    /// Its name as the header writes it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Whether the first hash is bound to nonce and cnonce.
    pub fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    /// Whether it is one of the SHA-256 family.
    pub fn is_sha256(self) -> bool {
        matches!(self, Algorithm::Sha256 | Algorithm::Sha256Sess)
    }

    /// The hash of the parts joined by colons, in lower-case hexadecimal.
    pub fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        if self.is_sha256() { hex(&sha256(&[text.as_bytes()])) } else { hex(&Md5::digest(text.as_bytes())) }
    }
}

/// What a response is computed from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// As the challenge names it.
    pub algorithm: Algorithm,
    /// Who.
    pub username: &'a str,
    /// The challenge's realm.
    pub realm: &'a str,
    /// The secret.
    pub password: &'a str,
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// `POST`, `GET`.
    pub method: &'a str,
    /// The request target: path and query. The verifier takes the `uri` parameter, once it has
    /// judged that it means the same.
    pub uri: &'a str,
    /// The client's nonce; used with qop and by the -sess algorithms.
    pub cnonce: &'a str,
    /// Eight hexadecimal digits with `qop=auth`; `None` computes without qop (RFC 2069).
    pub nc: Option<&'a str>,
}

/// The `response` parameter, in lower-case hexadecimal.
pub fn response(i: &Inputs<'_>) -> String {
    let a = i.algorithm;
    let mut ha1 = a.hash(&[i.username, i.realm, i.password]);
    if a.is_session() {
        ha1 = a.hash(&[&ha1, i.nonce, i.cnonce]);
    }
    let ha2 = a.hash(&[i.method, i.uri]);
    match i.nc {
        Some(nc) => a.hash(&[&ha1, i.nonce, nc, i.cnonce, "auth", &ha2]),
        None => a.hash(&[&ha1, i.nonce, &ha2]),
    }
}

/// Whether two texts are equal, in a time that tells only their lengths.
pub fn same(a: &str, b: &str) -> bool {
    let difference = a.bytes().zip(b.bytes()).fold(0u8, |d, (x, y)| d | (x ^ y));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

/// Fresh random bytes in hexadecimal, for nonces and cnonces.
pub fn random_hex<const BYTES: usize>() -> std::io::Result<String> {
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(hex(&bytes))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0'); // n is below 16
    let pairs = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    pairs.collect()
}

/// A Digest challenge that is being answered: counts its requests (S-17).
#[derive(Clone, Debug)]
pub struct Answering {
    algorithm: Algorithm,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Whether the algorithm was named, and so is echoed.
    named: bool,
    qop: bool,
    cnonce: String,
    count: u32,
}

impl Answering {
    /// Takes a challenge up; `None` when it is one that cannot be answered: another scheme, an
    /// unknown algorithm, no realm or nonce, or `auth-int` alone.
    pub fn new(challenge: &Challenge, cnonce: &str) -> Option<Answering> {
        if challenge.scheme != "digest" {
            return None;
        }
        let qop = challenge.get("qop").map(str::trim).filter(|q| !q.is_empty());
        let auth = |q: &str| q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth"));
        if qop.is_some_and(|q| !auth(q)) {
            return None;
        }
        Some(Answering {
            algorithm: challenge.algorithm()?,
            realm: challenge.get("realm")?.to_string(),
            nonce: challenge.get("nonce")?.to_string(),
            opaque: challenge.get("opaque").map(str::to_string),
            named: challenge.get("algorithm").is_some(),
            qop: qop.is_some(),
            cnonce: cnonce.to_string(),
            count: 0,
        })
    }

    /// The algorithm of the challenge.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A new connection has its own cnonce (S-17); the nonce and its count go on.
    pub fn set_cnonce(&mut self, cnonce: &str) {
        cnonce.clone_into(&mut self.cnonce);
    }

    /// `Authentication-Info: nextnonce` (S-20).
    pub fn set_nonce(&mut self, nonce: &str) {
        if nonce != self.nonce {
            nonce.clone_into(&mut self.nonce);
            self.count = 0;
        }
    }

    /// The last [`Answering::authorization`] was never sent: its count is free again.
    pub fn take_back(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// The value of `Authorization` for the next request.
    pub fn authorization(&mut self, username: &str, password: &str, method: &str, uri: &str) -> String {
        self.count = self.count.wrapping_add(1);
        let nc = format!("{:08x}", self.count);
        let response = response(&Inputs {
            algorithm: self.algorithm,
            username,
            realm: &self.realm,
            password,
            nonce: &self.nonce,
            method,
            uri,
            cnonce: &self.cnonce,
            nc: self.qop.then_some(&nc),
        });
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
        );
        if self.named {
            out += ", algorithm=";
            out += self.algorithm.name();
        }
        if let Some(opaque) = &self.opaque {
            out += ", opaque=";
            out += &quoted(opaque);
        }
        if self.qop {
            out += &format!(", qop=auth, nc={nc}");
        }
        if self.qop || self.algorithm.is_session() {
            out += &format!(", cnonce=\"{}\"", self.cnonce);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs<'a>(algorithm: Algorithm, nonce: &'a str, cnonce: &'a str) -> Inputs<'a> {
        Inputs {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            password: "Circle of Life",
            nonce,
            method: "GET",
            uri: "/dir/index.html",
            cnonce,
            nc: Some("00000001"),
        }
    }

    // Proves: S-16
    #[test]
    fn s16_examples_of_the_rfcs() {
        // RFC 7616 3.9.1
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        assert_eq!(response(&inputs(Algorithm::Md5, nonce, cnonce)), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            response(&inputs(Algorithm::Sha256, nonce, cnonce)),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
        // RFC 2617 3.5
        let rfc2617 = Inputs {
            realm: "testrealm@host.com",
            password: "Circle Of Life",
            ..inputs(Algorithm::Md5, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b")
        };
        assert_eq!(response(&rfc2617), "6629fae49393a05397450978507c4ef1");
        // RFC 2069 has no qop; the value is the one of its errata
        let rfc2069 = Inputs {
            realm: "testrealm@host.com",
            password: "CircleOfLife",
            nc: None,
            ..inputs(Algorithm::Md5, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "")
        };
        assert_eq!(response(&rfc2069), "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn s16_sess_binds_nonce_and_cnonce() {
        let i = inputs(Algorithm::Md5Sess, "n", "c");
        let md5 = |t: &str| Algorithm::Md5.hash(&[t]);
        let ha1 = md5(&format!("{}:n:c", md5("Mufasa:http-auth@example.org:Circle of Life")));
        let ha2 = md5("GET:/dir/index.html");
        assert_eq!(response(&i), md5(&format!("{ha1}:n:00000001:c:auth:{ha2}")));
    }

    // Proves: S-19
    #[test]
    fn s19_challenge_lists() {
        let list = parse(
            r#"Negotiate, Basic realm="a, \"b\" \\c" , ,Digest realm=plain, nonce="x=\"y\"",qop="auth,auth-int",Algorithm = SHA-256,"#,
        );
        let schemes: Vec<_> = list.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "digest"]);
        assert_eq!(list[1].get("realm"), Some(r#"a, "b" \c"#));
        assert_eq!(list[2].get("nonce"), Some(r#"x="y""#));
        assert_eq!(list[2].get("qop"), Some("auth,auth-int"));
        assert_eq!(list[2].algorithm(), Some(Algorithm::Sha256));
        assert_eq!(list[2].get("opaque"), None);
    }

    #[test]
    fn tokens_are_no_parameters() {
        let list = parse("Basic dXNlcjpwYXNz==, Bearer abc");
        assert_eq!(list[0].token, "dXNlcjpwYXNz==");
        assert_eq!(list[1].token, "abc");
        assert_eq!(parse("Digest username=\"x\"")[0].token, "");
    }

    #[test]
    fn malformed_lists_keep_what_stood_before() {
        assert_eq!(parse(r#"Basic realm="a", Digest nonce="no end"#).len(), 1);
        assert_eq!(parse(r#"Digest nonce="escape at the end\"#).len(), 0);
        assert_eq!(parse(r#"realm="without scheme""#).len(), 0);
        assert_eq!(parse(r#""quoted""#).len(), 0);
        assert_eq!(parse("").len(), 0);
        assert_eq!(parse("é=ü, Basic realm=\"ö\"").len(), 0);
        let many = "Basic realm=x, ".repeat(MAX_CHALLENGES + 5);
        assert_eq!(parse(&many).len(), MAX_CHALLENGES);
        let long = format!("Digest {}", "a=b, ".repeat(MAX_PARAMETERS + 1));
        assert_eq!(parse(&long).len(), 0);
        for (value, name, found) in
            [(MAX_PARAMETER, MAX_NAME, 1), (MAX_PARAMETER + 1, 1, 0), (1, MAX_NAME + 1, 0)]
        {
            let challenge = format!("Digest {}=\"{}\"", "n".repeat(name), "v".repeat(value));
            assert_eq!(parse(&challenge).len(), found, "{value} {name}");
        }
    }

    #[test]
    fn quoting_round_trips() {
        for text in ["", "plain", r#"a"b\c"#, "ü \\"] {
            let header = format!("Digest realm={}", quoted(text));
            assert_eq!(parse(&header)[0].get("realm"), Some(text), "{header}");
        }
    }

    #[test]
    fn equal_texts() {
        assert!(same("", "") && same("abc", "abc"));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
    }

    // Proves: S-17
    #[test]
    fn s17_s19_authorization_counts_and_echoes() {
        let challenge = parse(r#"Digest realm="r\"r", nonce="n", opaque="o\\", qop="auth""#).remove(0);
        let mut a = Answering::new(&challenge, "c").expect("a good challenge");
        a.authorization("u", "p", "POST", "/x");
        let second = parse(&a.authorization("u", "p", "POST", "/x")).remove(0);
        assert_eq!(second.get("nc"), Some("00000002"));
        assert_eq!(second.get("opaque"), Some("o\\"));
        assert_eq!(second.get("realm"), Some("r\"r"));
        assert_eq!(second.get("algorithm"), None);
        a.set_nonce("m");
        let third = parse(&a.authorization("u", "p", "POST", "/x")).remove(0);
        assert_eq!((third.get("nonce"), third.get("nc")), (Some("m"), Some("00000001")));
    }

    #[test]
    fn s16_what_is_not_answered() {
        let cannot = [
            r#"Basic realm="r""#,
            r#"Digest realm="r", nonce="n", qop="auth-int""#,
            r#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#,
            r#"Digest nonce="n""#,
            r#"Digest realm="r""#,
        ];
        for header in cannot {
            assert!(Answering::new(&parse(header)[0], "c").is_none(), "{header}");
        }
        let without_qop = parse(r#"Digest realm="r", nonce="n""#).remove(0);
        let mut a = Answering::new(&without_qop, "c").expect("RFC 2069");
        let answer = parse(&a.authorization("u", "p", "POST", "/")).remove(0);
        assert_eq!((answer.get("qop"), answer.get("nc"), answer.get("cnonce")), (None, None, None));
    }
}
