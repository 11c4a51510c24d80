//! The URLs of an ACS: absolute, `http` or `https`, without userinfo (T-37, T-38, T-40).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest URL that is taken, in bytes (ManagementServer.URL).
pub const MAX_URL: usize = 2048;

/// A URL taken apart. Its text form is one that an HTTP request can carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// `https`, else `http`.
    pub https: bool,
    /// Name in lower case, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// Given or by scheme; never 0.
    pub port: u16,
    /// Path and query, from its first slash on: the request target.
    pub target: String,
}

impl Url {
    /// Reads an absolute URL; the error says what is wrong with it, without citing it.
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        if text.len() > MAX_URL {
            return Err("it is longer than 2048 characters");
        }
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("its scheme is neither http nor https"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end); // find gives a boundary
        let (host, port) = authority_parts(authority)?;
        let port = match port {
            "" => default_port(https),
            digits => number(digits).ok_or("its port is no number from 1 to 65535")?,
        };
        Ok(Url { https, host, port, target: encoded_target(target)? })
    }

    /// Reads ManagementServer.URL as a person or an ACS writes it: stricter than [`Url::parse`], which
    /// mends what a redirect says. A user or password is refused (T-37), and so is a fragment.
    ///
    /// # Errors
    /// The reason, which never repeats the URL: it might hold a password.
    pub fn of_acs(text: &str) -> Result<Url, &'static str> {
        if text.is_empty() {
            return Err("no URL is given");
        }
        if text.bytes().any(|b| !b.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&b)) {
            return Err("it holds a character that a URL cannot have");
        }
        if text.contains('#') {
            return Err("it holds a fragment (#)");
        }
        Url::parse(text)
    }

    /// What a `Location` means when this URL answered with it (T-28, RFC 3986 5.2).
    pub fn join(&self, location: &str) -> Result<Url, &'static str> {
        let location = location.trim();
        if location.matches([':', '/', '?', '#']).next() == Some(":") {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme()));
        }
        let location = location.split('#').next().unwrap_or("");
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location, None),
        };
        let mut target = match path {
            "" => self.path().to_string(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let (folder, _) = self.path().rsplit_once('/').unwrap_or_default();
                without_dots(&format!("{folder}/{path}"))
            }
        };
        match (query, self.target.split_once('?')) {
            (Some(query), _) => target = format!("{target}?{query}"),
            (None, Some((_, query))) if path.is_empty() => target = format!("{target}?{query}"),
            _ => {}
        }
        let target = encoded_target(&target)?;
        let url = Url { target, ..self.clone() };
        if url.to_string().len() > MAX_URL {
            return Err("it is longer than 2048 characters");
        }
        Ok(url)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// What the Host header says: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.https) { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether requests to both go to the same server: scheme, host and port.
    pub fn same_origin(&self, other: &Url) -> bool {
        self.https == other.https && self.host == other.host && self.port == other.port
    }

    /// Whether the host is written as an address.
    pub fn host_is_address(&self) -> bool {
        self.host.contains(':') || self.host.parse::<Ipv4Addr>().is_ok()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.target)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

fn number(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|&port| plain && port != 0)
}

/// Host in its kept form, and the port's text without its colon.
fn authority_parts(authority: &str) -> Result<(String, &str), &'static str> {
    if authority.contains('@') {
        return Err("it holds a user name");
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, port) = rest.split_once(']').ok_or("its address has no ]")?;
        let address: Ipv6Addr = literal.parse().map_err(|_| "its IPv6 address is malformed")?;
        let port = match port {
            "" => "",
            port => port.strip_prefix(':').ok_or("something follows its address")?,
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || host.starts_with('.') || host.len() > 253 {
        return Err("it has no host");
    }
    if !host.bytes().all(allowed) {
        return Err("its host holds a character that no name has");
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// The target with its slash, without fragment, and with what a request line cannot carry encoded.
fn encoded_target(text: &str) -> Result<String, &'static str> {
    let text = text.split('#').next().unwrap_or("");
    let mut out = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        out.push('/');
    }
    for b in text.bytes() {
        match b {
            0..=31 | 127 => return Err("it holds a control character"),
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 128.. => {
                out += &format!("%{b:02X}");
            }
            _ => out.push(char::from(b)),
        }
    }
    Ok(out)
}

/// An absolute path without its `.` and `..` segments (RFC 3986 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: T-38, T-40
    #[test]
    fn t38_t40_good_urls() {
        let table = [
            ("http://acs.example", "http://acs.example/", 80),
            ("HTTPS://ACS.Example:7548/a?b=c#d", "https://acs.example:7548/a?b=c", 7548),
            ("http://[::1]:7547/", "http://[::1]:7547/", 7547),
            ("https://[2001:DB8:0::1]", "https://[2001:db8::1]/", 443),
            ("http://10.0.0.1:80?x", "http://10.0.0.1/?x", 80),
            ("http://a_b.example:/ü {}", "http://a_b.example/%C3%BC%20%7B%7D", 80),
        ];
        for (text, want, port) in table {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.to_string().as_str(), url.port), (want, port));
            assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url));
        }
    }

    // Proves: T-38
    #[test]
    fn t37_t38_bad_urls() {
        let table = [
            "",
            "acs.example",
            "ftp://acs.example/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://user:pass@acs.example/",
            "http://a@b/",
            "http://[::1",
            "http://[::1]x/",
            "http://[fe80::1%25eth0]/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+1/",
            "http://a b/",
            "http://a:80:80/",
            "http://ü/",
            "http://a/\r\nX: y",
            "http://%41/",
        ];
        for text in table {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        let long = format!("http://a/{}", "x".repeat(MAX_URL - 9));
        assert!(Url::parse(&long).is_ok());
        assert!(Url::parse(&(long + "x")).is_err());
    }

    // Proves: T-28
    #[test]
    fn t28_locations() {
        let base = Url::parse("https://acs.example:8443/a/b?q").expect("base");
        let table = [
            ("http://other/x", "http://other/x"),
            ("//other/x", "https://other/x"),
            ("/x", "https://acs.example:8443/x"),
            ("x?y", "https://acs.example:8443/a/x?y"),
            ("?z", "https://acs.example:8443/a/b?z"),
            ("", "https://acs.example:8443/a/b?q"),
            ("../../../x/./y/..", "https://acs.example:8443/x/"),
            ("x:1", ""),
            ("http://u@other/", ""),
            ("/x\ny", ""),
        ];
        for (location, want) in table {
            let got = base.join(location).map(|u| u.to_string()).unwrap_or_default();
            assert_eq!(got, want, "{location}");
        }
    }

    #[test]
    fn t_37_t_38_urls_of_an_acs() {
        for good in [
            "http://acs.example.com/",
            "https://acs.example.com",
            "HTTPS://acs.example.com:7548/cwmp?x=1&y=@z",
            "http://192.0.2.1:7547/acs",
            "http://[2001:db8::1]/",
            "http://[::1]:7547",
            "http://genie_acs:7547/",
            "http://a/%20",
        ] {
            assert!(Url::of_acs(good).is_ok(), "{good}");
        }
        let long = format!("http://a/{}", "x".repeat(2048));
        let long_host = format!("http://{}/", "a".repeat(254));
        for bad in [
            "",
            "acs.example.com",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://user:pass@a/",
            "http://user@a/",
            "http://a b/",
            "http://a/ü",
            "http://[::1/",
            "http://[a]/",
            "http://[]/",
            "http://::1/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:x/",
            "http://a:+1/",
            "http://[::1]x",
            "http://.a/",
            "http://a/#f",
            "http://a\n/",
            "http://a%40/",
            long.as_str(),
            long_host.as_str(),
        ] {
            assert!(Url::of_acs(bad).is_err(), "{bad}");
        }
        let shown = Url::of_acs("http://user:sesame@a/").unwrap_err();
        assert!(!shown.contains("sesame"));
    }
}
