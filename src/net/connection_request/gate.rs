//! PURE: who gets in. One request head in, one answer out; what must be remembered between requests
//! (nonces, the limit) lives here.

use super::head::{self, Head};
use super::limit::Limit;
use super::nonce::Nonces;
use super::{Algorithm, Settings};
use crate::net::digest::{self, Challenge, Inputs};
use std::time::Instant;

/// The realm of the challenge; tells nothing about the device.
const REALM: &str = "connection request";

/// The answers a peer can get, in the order in which they are considered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// 400: no HTTP request.
    Malformed,
    /// 431: the head is longer than the buffer.
    TooLarge,
    /// 405: not a GET.
    Method,
    /// 404: not our path, whoever asks.
    Path,
    /// 401; `stale` when all was right but the nonce.
    Challenge {
        /// Said in the challenge, so that the peer need not ask anybody for its password again.
        stale: bool,
    },
    /// 503: authenticated, but too often (CR-12).
    TooOften,
    /// 200: a connection request.
    Accepted,
}

/// Judges requests by the settings in force.
pub struct Gate {
    settings: Settings,
    nonces: Nonces,
    limit: Limit,
}

impl Gate {
    /// # Errors
    /// The system has no random numbers.
    pub fn new(settings: Settings) -> std::io::Result<Gate> {
        let limit = Limit::new(settings.burst, settings.refill);
        Ok(Gate { settings, nonces: Nonces::new()?, limit })
    }

    /// New settings; nonces that are out stay good, tokens that are spent stay spent.
    pub fn set(&mut self, settings: Settings) {
        self.limit.set(settings.burst, settings.refill);
        self.settings = settings;
    }

    /// The answer to a request; an accepted one uses up its nonce count and a token.
    pub fn judge(&mut self, head: &Head<'_>, now: Instant) -> Answer {
        if head.method != "GET" {
            return Answer::Method;
        }
        if !digest::same(head::path(head.target), &self.settings.path) {
            return Answer::Path;
        }
        let Some((nonce, count)) = head.authorization.and_then(|a| self.authenticate(a)) else {
            return Answer::Challenge { stale: false };
        };
        if !self.nonces.redeem(&nonce, count, now) {
            return Answer::Challenge { stale: true };
        }
        if !self.limit.take(now) {
            return Answer::TooOften;
        }
        Answer::Accepted
    }

    /// Checks everything but the nonce. Gives the nonce with its count when the peer knows the
    /// password.
    fn authenticate(&self, authorization: &str) -> Option<(String, u32)> {
        let known = &self.settings.credentials;
        let answers = digest::parse(authorization);
        let [answer] = answers.as_slice() else {
            return None;
        };
        if known.username.is_empty() || answer.scheme != "digest" {
            return None; // CR-17, CR-5
        }
        let algorithm = answer.algorithm()?;
        let offered = self.settings.algorithms.iter().any(|a| a.digest() == algorithm);
        let (nonce, nc) = (answer.get("nonce")?, answer.get("nc")?);
        let (username, realm) = (answer.get("username")?, answer.get("realm")?);
        let uri = answer.get("uri")?;
        let expected = digest::response(&Inputs {
            algorithm,
            username: &known.username,
            realm: REALM,
            password: &known.password,
            nonce,
            method: "GET",
            uri,
            cnonce: answer.get("cnonce")?,
            nc: Some(nc),
        });
        // the query has no meaning, so two targets that differ in it only mean the same
        let same_target = digest::same(head::path(uri), &self.settings.path);
        let same_user = digest::same(username, &known.username);
        let response = answer.get("response")?.to_ascii_lowercase();
        let good = digest::same(&response, &expected)
            && same_user
            && same_target
            && offered
            && realm == REALM
            && is_auth(answer);
        Some((nonce.to_string(), count(nc)?)).filter(|_| good)
    }

    /// The bytes of an answer; a challenge gets a nonce.
    pub fn write(&mut self, answer: Answer, keep: bool, now: Instant) -> Vec<u8> {
        let (status, more) = match answer {
            Answer::Malformed => ("400 Bad Request", String::new()),
            Answer::TooLarge => ("431 Request Header Fields Too Large", String::new()),
            Answer::Method => ("405 Method Not Allowed", "Allow: GET\r\n".to_string()),
            Answer::Path => ("404 Not Found", String::new()),
            Answer::Challenge { stale } => ("401 Unauthorized", self.challenges(stale, now)),
            Answer::TooOften => ("503 Service Unavailable", String::new()),
            Answer::Accepted => ("200 OK", String::new()),
        };
        let connection = if keep { "keep-alive" } else { "close" };
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: {connection}\r\n\r\n")
            .into_bytes()
    }

    /// One header for each algorithm: by RFC 7616 3.7 the client takes the first it can.
    fn challenges(&mut self, stale: bool, now: Instant) -> String {
        let mut out = String::new();
        let stale = if stale { ", stale=true" } else { "" };
        for algorithm in &self.settings.algorithms {
            let nonce = self.nonces.issue(now);
            let name = algorithm.digest().name();
            out += &format!(
                "WWW-Authenticate: Digest realm=\"{REALM}\", qop=\"auth\", algorithm={name}, nonce=\"{nonce}\"{stale}\r\n"
            );
        }
        out
    }
}

impl Algorithm {
    fn digest(self) -> digest::Algorithm {
        match self {
            Algorithm::Md5 => digest::Algorithm::Md5,
            Algorithm::Sha256 => digest::Algorithm::Sha256,
        }
    }
}

fn is_auth(answer: &Challenge) -> bool {
    answer.get("qop").is_some_and(|q| q.eq_ignore_ascii_case("auth"))
}

/// Eight hexadecimal digits.
fn count(nc: &str) -> Option<u32> {
    let digits = nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(nc, 16).ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::super::Credentials;
    use super::super::head::{Scan, scan};
    use super::*;
    use crate::net::digest::Answering;
    use std::time::Duration;

    const PATH: &str = "/Xa3";

    fn settings() -> Settings {
        Settings {
            path: PATH.to_string(),
            credentials: Credentials { username: "acs".into(), password: "pass:word".into() },
            algorithms: vec![Algorithm::Md5],
            burst: 4,
            refill: Duration::from_secs(3),
        }
    }

    fn gate() -> (Gate, Instant) {
        (Gate::new(settings()).expect("random numbers"), Instant::now())
    }

    fn judge(gate: &mut Gate, request: &str, now: Instant) -> Answer {
        match scan(request.as_bytes()) {
            Scan::Whole(head, _) => gate.judge(&head, now),
            other => panic!("{request:?}: {other:?}"),
        }
    }

    fn get(target: &str, authorization: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nAuthorization: {authorization}\r\n\r\n")
    }

    /// The challenge a request without credentials gets.
    fn challenge(gate: &mut Gate, now: Instant) -> Challenge {
        let bytes = gate.write(Answer::Challenge { stale: false }, true, now);
        let text = String::from_utf8(bytes).expect("ASCII");
        let header = text.lines().find_map(|l| l.strip_prefix("WWW-Authenticate: "));
        digest::parse(header.expect("a challenge")).remove(0)
    }

    fn answering(gate: &mut Gate, now: Instant) -> Answering {
        Answering::new(&challenge(gate, now), "c").expect("a usable challenge")
    }

    const REFUSED: Answer = Answer::Challenge { stale: false };
    const STALE: Answer = Answer::Challenge { stale: true };

    // Proves: CR-1, CR-2
    #[test]
    fn cr1_cr2_path_and_method() {
        let (mut gate, now) = gate();
        let good = answering(&mut gate, now).authorization("acs", "pass:word", "GET", PATH);
        for path in ["/", "/Xa", "/Xa3/", "/Xa33", "/xa3", "//Xa3", "/%58a3", "*", "/other?/Xa3"] {
            assert_eq!(judge(&mut gate, &get(path, "x"), now), Answer::Path, "{path}");
            assert_eq!(judge(&mut gate, &get(path, &good), now), Answer::Path, "{path}");
        }
        for method in ["POST", "HEAD", "get", "PUT", "OPTIONS", "CONNECT"] {
            let request = format!("{method} {PATH} HTTP/1.1\r\nAuthorization: {good}\r\n\r\n");
            assert_eq!(judge(&mut gate, &request, now), Answer::Method, "{method}");
        }
        assert_eq!(judge(&mut gate, &get(PATH, &good), now), Answer::Accepted);
    }

    // Proves: CR-4, CR-5
    #[test]
    fn cr4_cr5_what_does_not_authenticate() {
        let (mut gate, now) = gate();
        let mut a = answering(&mut gate, now);
        let good = a.authorization("acs", "pass:word", "GET", PATH);
        let refused = [
            "".to_string(),
            "Basic YWNzOnBhc3M6d29yZA==".to_string(), // CR-5: right, but Basic
            a.authorization("acs", "wrong", "GET", PATH),
            a.authorization("acs", "", "GET", PATH),
            a.authorization("", "pass:word", "GET", PATH),
            a.authorization("acS", "pass:word", "GET", PATH),
            a.authorization("acs", "pass:word", "POST", PATH),
            a.authorization("acs", "pass:word", "GET", "/other"),
            a.authorization("acs", "pass:word", "GET", ""),
            good.replace("qop=auth", "qop=auth-int"),
            good.replace(", qop=auth", ""),
            good.replace("nc=00000001", "nc=1"),
            good.replace("nc=00000001", "nc=+0000001"),
            good.replace(", nc=00000001", ""),
            good.replace(", cnonce=\"c\"", ""),
            good.replace("algorithm=MD5", "algorithm=SHA-256"),
            good.replace("algorithm=MD5", "algorithm=MD5-sess"),
            good.replace("algorithm=MD5", "algorithm=none"),
            good.replace(REALM, "another"),
            good.replace("response=", "reply="),
            format!("Basic YTpi, {good}"),
        ];
        for header in &refused {
            assert_eq!(judge(&mut gate, &get(PATH, header), now), REFUSED, "{header}");
        }
        let none = format!("GET {PATH} HTTP/1.1\r\n\r\n");
        assert_eq!(judge(&mut gate, &none, now), REFUSED);
        let twice = format!("GET {PATH} HTTP/1.1\r\nAuthorization: {good}\r\nAuthorization: {good}\r\n\r\n");
        assert_eq!(judge(&mut gate, &twice, now), REFUSED);
        // none of that used the nonce up
        assert_eq!(judge(&mut gate, &get(PATH, &good), now), Answer::Accepted);
    }

    #[test]
    fn cr4_every_byte_of_the_response_counts() {
        let (mut gate, now) = gate();
        let good = answering(&mut gate, now).authorization("acs", "pass:word", "GET", PATH);
        let at = good.find("response=\"").expect("a response") + 10;
        for i in at..at + 32 {
            let mut wrong = good.clone().into_bytes();
            wrong[i] = if wrong[i] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert_eq!(judge(&mut gate, &get(PATH, &wrong), now), REFUSED, "{i}");
        }
    }

    // Proves: CR-3
    #[test]
    fn cr3_query_is_ignored_and_absolute_form_is_known() {
        let (mut gate, now) = gate();
        let table = [
            ("/Xa3?a=b", "/Xa3?a=b"),
            ("/Xa3?a=b", "/Xa3"),
            ("http://192.0.2.1:7547/Xa3", "/Xa3"),
            ("http://192.0.2.1:7547/Xa3", "http://192.0.2.1:7547/Xa3"),
        ];
        for (target, uri) in table {
            let header = answering(&mut gate, now).authorization("acs", "pass:word", "GET", uri);
            assert_eq!(judge(&mut gate, &get(target, &header), now), Answer::Accepted, "{target}");
        }
    }

    // Proves: CR-6
    #[test]
    fn cr6_replay_is_refused_and_told_as_stale() {
        let (mut gate, now) = gate();
        let mut a = answering(&mut gate, now);
        let first = get(PATH, &a.authorization("acs", "pass:word", "GET", PATH));
        let second = get(PATH, &a.authorization("acs", "pass:word", "GET", PATH));
        assert_eq!(judge(&mut gate, &second, now), Answer::Accepted);
        for replay in [&first, &second] {
            assert_eq!(judge(&mut gate, replay, now), STALE);
        }
        let late = now + super::super::nonce::LIFETIME + Duration::from_secs(1);
        let third = get(PATH, &a.authorization("acs", "pass:word", "GET", PATH));
        assert_eq!(judge(&mut gate, &third, late), STALE);
        // a nonce that is not ours, with the right password: stale too, so that the peer asks again
        let foreign = Answering::new(
            &digest::parse(&format!("Digest realm=\"{REALM}\", nonce=\"n\", qop=\"auth\""))[0],
            "c",
        );
        let header = foreign.expect("usable").authorization("acs", "pass:word", "GET", PATH);
        assert_eq!(judge(&mut gate, &get(PATH, &header), now), STALE);
        let text = String::from_utf8(gate.write(STALE, true, now)).expect("ASCII");
        assert!(text.contains(", stale=true\r\n"), "{text}");
    }

    // Proves: CR-12
    #[test]
    fn cr12_limit_comes_after_authentication() {
        let (mut gate, now) = gate();
        let ask = |gate: &mut Gate, password: &str, now| {
            let header = answering(gate, now).authorization("acs", password, "GET", PATH);
            judge(gate, &get(PATH, &header), now)
        };
        for _ in 0..100 {
            assert_eq!(ask(&mut gate, "wrong", now), REFUSED);
        }
        for _ in 0..4 {
            assert_eq!(ask(&mut gate, "pass:word", now), Answer::Accepted);
        }
        for _ in 0..10 {
            assert_eq!(ask(&mut gate, "pass:word", now), Answer::TooOften);
            assert_eq!(ask(&mut gate, "wrong", now), REFUSED);
        }
        let later = now + Duration::from_secs(3);
        assert_eq!(ask(&mut gate, "pass:word", later), Answer::Accepted);
        assert_eq!(ask(&mut gate, "pass:word", later), Answer::TooOften);
        let busy = String::from_utf8(gate.write(Answer::TooOften, false, now)).expect("ASCII");
        assert!(busy.starts_with("HTTP/1.1 503 ") && !busy.contains("Retry-After"), "{busy}");
    }

    // Proves: CR-17
    #[test]
    fn cr17_empty_username_refuses_everyone() {
        for password in ["", "pass:word"] {
            let mut open = settings();
            open.credentials = Credentials { username: String::new(), password: password.into() };
            let (mut gate, now) = gate();
            gate.set(open);
            let header = answering(&mut gate, now).authorization("", password, "GET", PATH);
            assert_eq!(judge(&mut gate, &get(PATH, &header), now), REFUSED);
        }
    }

    // Proves: CR-5, CR-6
    #[test]
    fn cr6_algorithms_are_offered_as_told() {
        let (mut gate, now) = gate();
        let text = |gate: &mut Gate| String::from_utf8(gate.write(REFUSED, true, now)).expect("ASCII");
        let md5 = text(&mut gate);
        assert_eq!(md5.matches("WWW-Authenticate: Digest ").count(), 1, "{md5}");
        assert!(md5.contains("algorithm=MD5,") && md5.contains("qop=\"auth\""), "{md5}");
        assert!(!md5.contains("Basic"), "CR-5: {md5}");
        gate.set(Settings { algorithms: vec![Algorithm::Sha256, Algorithm::Md5], ..settings() });
        let both = text(&mut gate);
        let (sha, md5) = (both.find("algorithm=SHA-256"), both.find("algorithm=MD5"));
        assert!(sha.is_some() && sha < md5, "{both}");
        let header = answering(&mut gate, now).authorization("acs", "pass:word", "GET", PATH);
        assert!(header.contains("algorithm=SHA-256"), "{header}");
        assert_eq!(judge(&mut gate, &get(PATH, &header), now), Answer::Accepted);
    }
}
