//! FilterExpression: a part of libpcap's language that needs no compiler and no kernel, with the same meaning.
//!
//! ```text
//! EXPRESSION = FACTOR { ("and" | "&&" | "or" | "||") FACTOR }       from left to right, as libpcap has it
//! FACTOR     = ("not" | "!") FACTOR | "(" EXPRESSION ")" | PRIMITIVE
//! PRIMITIVE  = [PROTOCOL] [("src" | "dst") ] ("host" ADDRESS | "net" ADDRESS/LENGTH | "port" NUMBER) | PROTOCOL
//! PROTOCOL   = ip ip6 arp icmp icmp6 tcp udp
//! ```
//!
//! Names of hosts and services are not looked up. What is not here is refused when it is set (9007), never guessed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The deepest that parentheses and negations may be nested.
const MAX_DEPTH: usize = 16;
/// The most words and signs of an expression.
const MAX_TOKENS: usize = 128;

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// Which end of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Either,
    Source,
    Destination,
}

/// One expression. Empty lets everything pass.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter(Option<Node>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// An EtherType.
    Ether(u16),
    /// A protocol of IP: of IPv4, of IPv6.
    Protocol(Option<u8>, Option<u8>),
    /// Addresses with these leading bits.
    Net(End, IpAddr, u8),
    Port(End, u16),
}

/// What a filter sees of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    ether: u16,
    protocol: Option<u8>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    ports: Option<(u16, u16)>,
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is not of the language above.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(Filter(None));
        }
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let node = parser.expression(0)?;
        match parser.peek() {
            None => Ok(Filter(Some(node))),
            Some(word) => Err(format!("`{word}` is not expected there")),
        }
    }

    /// Whether a packet passes.
    pub fn passes(&self, view: &View) -> bool {
        self.0.as_ref().is_none_or(|node| node.holds(view))
    }
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '(' | ')' | '!' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '!')).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(len);
        out.push(word);
        rest = behind.trim_start();
        if out.len() > MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} words"));
        }
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or("it ends where something is wanted")?;
        self.at += 1;
        Ok(word)
    }

    fn is(&mut self, words: &[&str]) -> bool {
        let found = self.peek().is_some_and(|word| words.contains(&word));
        self.at += usize::from(found);
        found
    }

    fn expression(&mut self, depth: usize) -> Result<Node, String> {
        let mut left = self.factor(depth)?;
        loop {
            if self.is(&["and", "&&"]) {
                left = Node::And(left.into(), self.factor(depth)?.into());
            } else if self.is(&["or", "||"]) {
                left = Node::Or(left.into(), self.factor(depth)?.into());
            } else {
                return Ok(left);
            }
        }
    }

    fn factor(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        if self.is(&["not", "!"]) {
            return Ok(Node::Not(self.factor(depth + 1)?.into()));
        }
        if self.is(&["("]) {
            let inner = self.expression(depth + 1)?;
            return match self.is(&[")"]) {
                true => Ok(inner),
                false => Err("a parenthesis is not closed".to_owned()),
            };
        }
        self.primitive()
    }

    fn primitive(&mut self) -> Result<Node, String> {
        let word = self.peek().unwrap_or("");
        let protocol = protocol(word);
        if protocol.is_some() {
            self.at += 1;
        }
        let end = match self.peek() {
            Some("src") => End::Source,
            Some("dst") => End::Destination,
            _ => End::Either,
        };
        self.at += usize::from(end != End::Either);
        let own = match (self.peek(), &protocol) {
            (Some("host" | "net"), Some(Node::Ether(_)) | None) => self.net(end, &protocol)?,
            (Some("port"), Some(Node::Protocol(..)) | None) if !matches!(word, "icmp" | "icmp6") => {
                self.at += 1;
                let text = self.take()?;
                let digits = text.bytes().all(|b| b.is_ascii_digit());
                let port = text.parse().ok().filter(|_| digits);
                Node::Port(end, port.ok_or_else(|| format!("`{text}` is no port"))?)
            }
            _ if end == End::Either && protocol.is_some() => return protocol.ok_or_else(String::new),
            _ => {
                let word = self.take()?;
                return Err(format!("`{word}` is not understood there"));
            }
        };
        Ok(match protocol {
            None => own,
            Some(protocol) => Node::And(protocol.into(), own.into()),
        })
    }

    /// `host` or `net` with what follows.
    fn net(&mut self, end: End, protocol: &Option<Node>) -> Result<Node, String> {
        let is_net = self.take()? == "net";
        let text = self.take()?;
        let (address, length) = match text.split_once('/') {
            Some((address, length)) if is_net => (address, Some(length)),
            _ => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None if is_net => return Err(format!("`{text}` wants a length, as in 192.0.2.0/24")),
            None => most,
            Some(text) => text.parse().ok().filter(|n| *n <= most).ok_or(format!("`{text}` is no length"))?,
        };
        if bits(address) & !mask(address, length) != 0 {
            return Err(format!("`{text}` has bits behind its length"));
        }
        if let Some(Node::Ether(ether)) = protocol
            && (*ether == IPV6) == address.is_ipv4()
        {
            return Err(format!("`{text}` is not of that protocol"));
        }
        Ok(Node::Net(end, address, length))
    }
}

fn protocol(word: &str) -> Option<Node> {
    Some(match word {
        "ip" => Node::Ether(IPV4),
        "ip6" => Node::Ether(IPV6),
        "arp" => Node::Ether(ARP),
        "icmp" => Node::Protocol(Some(1), None),
        "icmp6" => Node::Protocol(None, Some(58)),
        "tcp" => Node::Protocol(Some(TCP), Some(TCP)),
        "udp" => Node::Protocol(Some(UDP), Some(UDP)),
        _ => return None,
    })
}

/// An address as a number, its first bit the highest of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn mask(address: IpAddr, length: u8) -> u128 {
    let all = if address.is_ipv4() { u128::from(u32::MAX) << 96 } else { u128::MAX };
    match length {
        0 => 0,
        length => all & (u128::MAX << (128 - u32::from(length.min(128)))),
    }
}

impl Node {
    fn holds(&self, view: &View) -> bool {
        match self {
            Node::Not(inner) => !inner.holds(view),
            Node::And(one, other) => one.holds(view) && other.holds(view),
            Node::Or(one, other) => one.holds(view) || other.holds(view),
            Node::Ether(ether) => view.ether == *ether,
            Node::Protocol(four, six) => match view.ether {
                IPV4 => four.is_some() && view.protocol == *four,
                IPV6 => six.is_some() && view.protocol == *six,
                _ => false,
            },
            Node::Net(end, net, length) => {
                let fits = |one: Option<IpAddr>| {
                    one.is_some_and(|one| {
                        one.is_ipv4() == net.is_ipv4() && bits(one) & mask(*net, *length) == bits(*net)
                    })
                };
                either(*end, || fits(view.source), || fits(view.destination))
            }
            Node::Port(end, port) => {
                view.ports.is_some_and(|(source, to)| either(*end, || source == *port, || to == *port))
            }
        }
    }
}

fn either(end: End, source: impl Fn() -> bool, destination: impl Fn() -> bool) -> bool {
    match end {
        End::Source => source(),
        End::Destination => destination(),
        End::Either => source() || destination(),
    }
}

impl View {
    /// What is to be seen of a packet of this EtherType, from its network header on. What is cut off, or is no
    /// packet of its protocol, has no addresses or no ports.
    pub fn of(ether: u16, packet: &[u8]) -> View {
        let seen = View { ether, ..View::default() };
        match ether {
            IPV4 => View::ipv4(seen, packet).unwrap_or(seen),
            IPV6 => View::ipv6(seen, packet).unwrap_or(seen),
            ARP | RARP => {
                let place = |at| four(packet, at).map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
                View { source: place(14), destination: place(24), ..seen }
            }
            _ => seen,
        }
    }

    fn ipv4(seen: View, packet: &[u8]) -> Option<View> {
        let protocol = *packet.get(9)?;
        let place = |at| four(packet, at).map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
        let header = usize::from(packet.first()? & 15) * 4;
        let is_first = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff == 0;
        let ports = if is_first { ports(protocol, packet.get(header..)) } else { None };
        Some(View { protocol: Some(protocol), source: place(12), destination: place(16), ports, ..seen })
    }

    fn ipv6(seen: View, packet: &[u8]) -> Option<View> {
        const FRAGMENT: u8 = 44;
        let place = |at: usize| {
            let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bytes)))
        };
        let next = *packet.get(6)?;
        // As libpcap: the first header, and the one behind a fragment's.
        let (protocol, at) = match (next, packet.get(40)) {
            (FRAGMENT, Some(behind)) => (*behind, None),
            _ => (next, Some(40)),
        };
        let ports = at.and_then(|at| ports(protocol, packet.get(at..)));
        Some(View { protocol: Some(protocol), source: place(8), destination: place(24), ports, ..seen })
    }
}

fn ports(protocol: u8, segment: Option<&[u8]>) -> Option<(u16, u16)> {
    let bytes = four(segment?, 0)?;
    let both = (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]));
    matches!(protocol, TCP | UDP | SCTP).then_some(both)
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp4(source: [u8; 4], to: [u8; 4], ports: (u16, u16)) -> View {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, UDP, 0, 0];
        packet.extend(source);
        packet.extend(to);
        packet.extend(ports.0.to_be_bytes());
        packet.extend(ports.1.to_be_bytes());
        View::of(IPV4, &packet)
    }

    fn passes(filter: &str, view: &View) -> bool {
        Filter::parse(filter).unwrap_or_else(|why| panic!("{filter}: {why}")).passes(view)
    }

    #[test]
    fn what_passes() {
        let dns = udp4([192, 0, 2, 7], [198, 51, 100, 1], (40_000, 53));
        for (filter, expected) in [
            ("", true),
            ("udp", true),
            ("tcp", false),
            ("ip", true),
            ("ip6", false),
            ("arp or udp", true),
            ("host 192.0.2.7", true),
            ("host 192.0.2.8", false),
            ("src host 192.0.2.7", true),
            ("dst host 192.0.2.7", false),
            ("ip host 192.0.2.7", true),
            ("arp host 192.0.2.7", false),
            ("net 192.0.2.0/24", true),
            ("dst net 192.0.2.0/24", false),
            ("net 0.0.0.0/0", true),
            ("net ::/0", false),
            ("port 53", true),
            ("src port 53", false),
            ("udp dst port 53", true),
            ("tcp port 53", false),
            ("not port 53", false),
            ("!tcp", true),
            ("not (tcp or icmp) and (port 53)", true),
            // From left to right: (udp or tcp) and port 80.
            ("udp or tcp and port 80", false),
            ("tcp and port 80 or udp", true),
            ("tcp && udp || ip", true),
            ("icmp6 or icmp", false),
        ] {
            assert_eq!(passes(filter, &dns), expected, "{filter}");
        }
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 64];
        packet.extend([0xfd; 16]);
        packet.extend([0xfe; 16]);
        let ping = View::of(IPV6, &packet);
        let ours = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
        assert!(passes(&format!("icmp6 and src host {ours} and dst net fefe::/16"), &ping));
        assert!(!passes("icmp", &ping) && !passes("port 0", &ping) && !passes("host 253.253.253.253", &ping));
        let mut arp = vec![0; 28];
        arp[14..18].copy_from_slice(&[10, 0, 0, 1]);
        arp[24..28].copy_from_slice(&[10, 0, 0, 2]);
        let arp = View::of(ARP, &arp);
        assert!(
            passes("arp src host 10.0.0.1", &arp) && passes("dst host 10.0.0.2", &arp) && !passes("ip", &arp)
        );
    }

    /// Fragments behind the first have no ports; what is cut off is nothing.
    #[test]
    fn what_is_not_whole() {
        let mut packet =
            vec![0x45, 0, 0, 28, 0, 0, 0, 1, 64, UDP, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 53, 0, 53];
        assert!(!passes("port 53", &View::of(IPV4, &packet)));
        packet[7] = 0;
        assert!(passes("port 53", &View::of(IPV4, &packet)));
        for ether in [IPV4, IPV6, ARP, 0x1234] {
            for len in 0..packet.len() {
                let _ = View::of(ether, &packet[..len]);
            }
        }
        packet[0] = 0x4f;
        assert!(!passes("port 53", &View::of(IPV4, &packet)), "a header longer than the packet");
    }

    #[test]
    fn what_is_refused() {
        let deep = format!("{}udp{}", "(".repeat(20), ")".repeat(20));
        let long = format!("udp{}", " or udp".repeat(80));
        for text in [
            "host",
            "host example.org",
            "host 1.2.3.4/8",
            "net 10.0.0.1/8",
            "net 10.0.0.0",
            "net 10.0.0.0/33",
            "net 1::/129",
            "port",
            "port 65536",
            "port +1",
            "port http",
            "port 1-2",
            "udp udp",
            "tcp host 1.2.3.4",
            "icmp port 1",
            "ip port 1",
            "ip6 host 1.2.3.4",
            "arp host ::1",
            "src",
            "src tcp",
            "(udp",
            "udp)",
            "()",
            "not",
            "and",
            "udp and",
            "or udp",
            "ether[0] & 1 != 0",
            "vlan 3",
            "greater 100",
            "10.0.0.1",
            "udp; id",
            "$(id)",
            "-w /etc/passwd",
            &deep,
            &"! ".repeat(40),
            &long,
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
