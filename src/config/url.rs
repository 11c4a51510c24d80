//! What the agent takes for the URL of an ACS.

use std::net::Ipv6Addr;

/// The longest URL (TR-181 ManagementServer.URL), characters.
pub const MAX_URL: usize = 2048;

/// Judges the URL of an ACS: http or https, a host (IPv6 in brackets), an optional port, no user or
/// password (T-37), and no character that a URL cannot have.
///
/// # Errors
/// The reason, which never repeats the URL: it might hold a password.
pub fn check(url: &str) -> Result<(), &'static str> {
    if url.is_empty() {
        return Err("no URL is given");
    }
    if url.len() > MAX_URL {
        return Err("longer than 2048 characters");
    }
    if url
        .bytes()
        .any(|b| !b.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&b))
    {
        return Err("holds a character that a URL cannot have");
    }
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("not of the form http://HOST/ or https://HOST/")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err("neither http nor https");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') {
        return Err(
            "user and password do not belong in the URL (use acs.username and acs.password)",
        );
    }
    if tail.contains('#') {
        return Err("holds a fragment (#)");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or("an IPv6 address without its closing bracket")?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| "what stands in brackets is not an IPv6 address")?;
            (host, port)
        }
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    if host.is_empty() || host.len() > 253 {
        return Err("no host, or one longer than 253 characters");
    }
    if !host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_')
        || !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
    {
        return Err("not the name or address of a host");
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(number)
            if number.bytes().all(|b| b.is_ascii_digit())
                && number.parse::<u16>().is_ok_and(|n| n > 0) =>
        {
            Ok(())
        }
        _ => Err("the port is not a number from 1 to 65535 (an IPv6 address stands in brackets)"),
    }
}

/// Whether the URL is https.
pub fn is_https(url: &str) -> bool {
    url.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_37_urls_of_an_acs() {
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
            assert_eq!(check(good), Ok(()), "{good}");
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
            "http://a:/",
            "http://a:x/",
            "http://a:+1/",
            "http://[::1]x",
            "http://-a/",
            "http://.a/",
            "http://a/#f",
            "http://a\n/",
            "http://a%40/",
            long.as_str(),
            long_host.as_str(),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let shown = check("http://user:sesame@a/").unwrap_err();
        assert!(!shown.contains("sesame"));
    }
}
