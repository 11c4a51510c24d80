//! What rules of the firewall match, as UCI says it and as the standard does: `!10-20`, `!10.0.0.0/8`, names of
//! protocols, of ICMP types and of DSCP classes.

use crate::sys::uci::Section;

/// The protocols of a rule that names none.
const TCP_UDP: [&str; 2] = ["tcp", "udp"];

/// Protocols that are named in rules, with their numbers.
const PROTOCOLS: [(&str, u8); 16] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

/// Classes of DSCP that are named in rules.
const CLASSES: [(&str, u8); 23] = [
    ("CS0", 0),
    ("CS1", 8),
    ("CS2", 16),
    ("CS3", 24),
    ("CS4", 32),
    ("CS5", 40),
    ("CS6", 48),
    ("CS7", 56),
    ("BE", 0),
    ("LE", 1),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("EF", 46),
];

/// Types of ICMP that are named in rules, for IPv4 and IPv6.
const ICMP: [(&str, i16, i16); 14] = [
    ("echo-reply", 0, 129),
    ("destination-unreachable", 3, 1),
    ("echo-request", 8, 128),
    ("router-advertisement", 9, 134),
    ("router-solicitation", 10, 133),
    ("time-exceeded", 11, 3),
    ("parameter-problem", 12, 4),
    ("timestamp-request", 13, -1),
    ("timestamp-reply", 14, -1),
    ("packet-too-big", -1, 2),
    ("bad-header", -1, 4),
    ("neighbour-solicitation", -1, 135),
    ("neighbour-advertisement", -1, 136),
    ("redirect", 5, 137),
];

/// One thing that is matched, with what stands before and behind it: `!10-20`, `192.0.2.0/24`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Match<'a> {
    /// All but it.
    pub not: bool,
    /// An address, a port, a name.
    pub first: &'a str,
    /// The length of a prefix, the last port; empty when it is one.
    pub last: &'a str,
}

impl<'a> Match<'a> {
    /// Takes a text apart at the first of these letters.
    pub fn parse(text: &'a str, separators: &[char]) -> Match<'a> {
        let (not, text) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.trim()),
        };
        let (first, last) = text.split_once(separators).unwrap_or((text, ""));
        Match { not, first, last }
    }

    /// The text again; empty when it is nothing.
    pub fn text(&self, separator: char) -> String {
        let mut text = String::new();
        if self.first.is_empty() {
            return text;
        }
        if self.not {
            text.push('!');
        }
        text.push_str(self.first);
        if !self.last.is_empty() && self.last != self.first {
            text.push(separator);
            text.push_str(self.last);
        }
        text
    }
}

/// Which protocols a rule is about, with an exclamation mark where it is about all others.
pub fn protocols<'a>(section: &Section<'a>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for word in section.words("proto") {
        match word {
            "tcpudp" => all.extend(TCP_UDP),
            word => all.push(word),
        }
    }
    if all.is_empty() {
        all.extend(TCP_UDP);
    }
    all
}

/// The number of a protocol, -1 for all; `None` of a name that nobody knows.
pub fn protocol(name: &str) -> Option<i32> {
    let name = name.trim_start_matches('!').to_ascii_lowercase();
    if matches!(name.as_str(), "all" | "any" | "*") {
        return Some(-1);
    }
    let known = PROTOCOLS.iter().find(|p| p.0 == name).map(|p| i32::from(p.1));
    known.or_else(|| name.parse::<u8>().ok().map(i32::from))
}

/// The word for a protocol's number.
pub fn protocol_name(number: &str) -> String {
    match number.parse::<u8>() {
        Ok(number) => {
            let known = PROTOCOLS.iter().find(|p| p.1 == number);
            known.map_or_else(|| number.to_string(), |p| p.0.to_owned())
        }
        Err(_) => "all".to_owned(),
    }
}

/// The number of a DSCP class.
pub fn class(name: &str) -> Option<u8> {
    let known = CLASSES.iter().find(|c| c.0.eq_ignore_ascii_case(name)).map(|c| c.1);
    known.or_else(|| name.parse().ok()).filter(|n| *n < 64)
}

/// The number of a type of ICMP, by its name or as `130/0`.
pub fn icmp(name: &str, six: bool) -> Option<i16> {
    let known = ICMP.iter().find(|t| t.0 == name).map(|t| if six { t.2 } else { t.1 });
    known.or_else(|| name.split('/').next()?.parse::<u8>().ok().map(i16::from)).filter(|n| *n >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_there_and_back() {
        for (text, separator, want) in [
            ("80", '-', (false, "80", "")),
            ("!10-20", '-', (true, "10", "20")),
            ("10:20", '-', (false, "10", "20")),
            ("192.0.2.0/24", '/', (false, "192.0.2.0", "24")),
            ("! fe80::/10", '/', (true, "fe80::", "10")),
            ("", '-', (false, "", "")),
            ("!", '/', (true, "", "")),
        ] {
            let separators: &[char] = if separator == '-' { &['-', ':'] } else { &['/'] };
            let found = Match::parse(text, separators);
            assert_eq!((found.not, found.first, found.last), want, "{text}");
            let again = found.text(separator);
            let wanted = text.replace(' ', "").replace(':', if separator == '-' { "-" } else { ":" });
            assert_eq!(again, if want.1.is_empty() { String::new() } else { wanted }, "{text}");
        }
        assert_eq!(Match { not: false, first: "80", last: "80" }.text('-'), "80");
    }

    #[test]
    fn names() {
        for (name, want) in [
            ("tcp", Some(6)),
            ("!UDP", Some(17)),
            ("all", Some(-1)),
            ("*", Some(-1)),
            ("89", Some(89)),
            ("x", None),
        ] {
            assert_eq!(protocol(name), want, "{name}");
        }
        assert_eq!(
            ["6", "58", "200", "-1", ""].map(protocol_name),
            ["tcp", "ipv6-icmp", "200", "all", "all"]
        );
        assert_eq!(["EF", "cs3", "12", "64", "x"].map(class), [Some(46), Some(24), Some(12), None, None]);
        let types = [("echo-request", false), ("echo-request", true), ("130/0", true), ("x", true)];
        assert_eq!(types.map(|t| icmp(t.0, t.1)), [Some(8), Some(128), Some(130), None]);
        assert_eq!(icmp("packet-too-big", false), None);
    }
}
