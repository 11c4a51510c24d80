//! Questions to name servers and their answers (RFC 1035, RFC 3596), as bytes: no I/O. What a server says is
//! read within limits: a name is followed backwards only, so that pointers never go round, and what is beyond
//! a limit is left out or makes the answer none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name, in octets of the wire (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;
/// The longest part of a name.
const MAX_LABEL: usize = 63;
/// Records of an answer that are looked at; those behind them do not count.
pub const MAX_RECORDS: usize = 512;
/// Names that stand for each other, one after the other; who has more has no address.
pub const MAX_ALIASES: usize = 16;
/// Addresses that are taken from one answer.
pub const MAX_ADDRESSES: usize = 10;

const HEADER: usize = 12;
const CLASS_INTERNET: u16 = 1;
const CNAME: u16 = 5;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// An IPv4 address.
    A = 1,
    /// An IPv6 address.
    Aaaa = 28,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// As the wire has it, in lower case.
    name: Vec<u8>,
    asked: Type,
    id: u16,
}

/// What a server answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// It speaks for the zone (AA).
    pub is_authoritative: bool,
    /// It did not fit (TC): it is to be asked by TCP.
    pub is_truncated: bool,
    /// 0 is well, 2 the server's failure, 3 no such name, 5 refused.
    pub code: u8,
    /// The name that has the addresses, behind all aliases; without its final dot.
    pub name: String,
    /// In the order of the answer.
    pub addresses: Vec<IpAddr>,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// Not to this question: another id, another name. Somebody else may still answer it.
    Stray,
    /// To this question, but broken.
    Broken,
}

impl Question {
    /// `None` when this cannot be a name.
    pub fn new(name: &str, asked: Type, id: u16) -> Option<Question> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            wire.push(label.len() as u8);
            wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
        }
        wire.push(0);
        (wire.len() <= MAX_NAME).then_some(Question { name: wire, asked, id })
    }

    /// The message, with recursion desired.
    pub fn message(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.name.len() + 4);
        out.extend(self.id.to_be_bytes());
        out.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend(&self.name);
        out.extend((self.asked as u16).to_be_bytes());
        out.extend(CLASS_INTERNET.to_be_bytes());
        out
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn answer(&self, message: &[u8]) -> Result<Answer, Wrong> {
        let number = |at: usize| two(message, at);
        let flags = number(2).ok_or(Wrong::Stray)?;
        let questions = number(4).ok_or(Wrong::Stray)?;
        let records = number(6).ok_or(Wrong::Stray)?;
        let is_answer = flags & 0x8000 != 0 && flags & 0x7800 == 0;
        if number(0) != Some(self.id) || !is_answer || message.len() < HEADER {
            return Err(Wrong::Stray);
        }
        let mut answer = Answer {
            is_authoritative: flags & 0x0400 != 0,
            is_truncated: flags & 0x0200 != 0,
            code: (flags & 0x000f) as u8,
            ..Answer::default()
        };
        // Some servers leave the question out when they can do nothing with it.
        if questions == 0 && answer.code != 0 {
            return Ok(answer);
        }
        let (name, at) = name_at(message, HEADER).ok_or(Wrong::Stray)?;
        let is_ours = questions == 1 && name == self.name && number(at) == Some(self.asked as u16);
        if !is_ours || number(at + 2) != Some(CLASS_INTERNET) {
            return Err(Wrong::Stray);
        }
        if !answer.is_truncated && answer.code == 0 {
            let records = records_at(message, at + 4, records.into()).ok_or(Wrong::Broken)?;
            self.follow(message, &records, &mut answer)?;
        }
        Ok(answer)
    }

    /// From alias to alias to the addresses.
    fn follow(&self, message: &[u8], records: &[Record], answer: &mut Answer) -> Result<(), Wrong> {
        let mut name = self.name.clone();
        for _ in 0..=MAX_ALIASES {
            let of_name = || records.iter().filter(|r| r.owner == name);
            let addresses = of_name().filter(|r| r.kind == self.asked as u16);
            let found: Option<Vec<IpAddr>> =
                addresses.take(MAX_ADDRESSES).map(|r| self.address(message.get(r.data.clone())?)).collect();
            answer.addresses = found.ok_or(Wrong::Broken)?;
            let alias = of_name().find(|r| r.kind == CNAME);
            match alias {
                Some(alias) if answer.addresses.is_empty() => {
                    name = name_at(message, alias.data.start).ok_or(Wrong::Broken)?.0;
                }
                _ => break,
            }
        }
        answer.name = text(&name);
        Ok(())
    }

    fn address(&self, data: &[u8]) -> Option<IpAddr> {
        match self.asked {
            Type::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            Type::Aaaa => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
        }
    }
}

/// A record of the answer.
struct Record {
    owner: Vec<u8>,
    kind: u16,
    data: std::ops::Range<usize>,
}

fn two(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// The records that can be of use, of so many that the header tells of; `None` when they are not all there.
fn records_at(message: &[u8], mut at: usize, count: usize) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for _ in 0..count.min(MAX_RECORDS) {
        let (owner, rest) = name_at(message, at)?;
        let (kind, class) = (two(message, rest)?, two(message, rest + 2)?);
        let start = rest + 10;
        let data = start..start + usize::from(two(message, rest + 8)?);
        message.get(data.clone())?;
        at = data.end;
        let is_wanted = [CNAME, Type::A as u16, Type::Aaaa as u16].contains(&kind);
        if class == CLASS_INTERNET && is_wanted {
            records.push(Record { owner, kind, data });
        }
    }
    Some(records)
}

/// The name at a place, without pointers and in lower case, and where what follows it stands. Each pointer leads
/// before all that was read of the name so far.
fn name_at(message: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::new();
    let (mut at, mut bound, mut behind) = (start, start, None);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => {
                name.push(0);
                return Some((name, behind.unwrap_or(at + 1)));
            }
            1..=MAX_LABEL => {
                let label = message.get(at + 1..at + 1 + length)?;
                name.push(length as u8);
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at += 1 + length;
            }
            0xc0.. => {
                behind.get_or_insert(at + 2);
                at = usize::from(two(message, at)? & 0x3fff);
                if at >= bound {
                    return None;
                }
                bound = at;
            }
            _ => return None,
        }
        // The final zero has to fit, too.
        if name.len() >= MAX_NAME {
            return None;
        }
    }
}

/// A name for people: what is no visible ASCII, and dots and backslashes within a part, by their numbers.
fn text(wire: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = wire;
    while let [length, more @ ..] = rest {
        let Some((label, next)) = more.split_at_checked(usize::from(*length)) else { break };
        if label.is_empty() {
            break;
        }
        if !out.is_empty() {
            out.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' | ..=0x20 | 0x7f.. => out.push_str(&format!("\\{byte:03}")),
                byte => out.push(char::from(*byte)),
            }
        }
        rest = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::new("Www.Example.org", Type::A, 0x1234).expect("a name")
    }

    /// A message with the question and these records: owner, type, data.
    fn message(flags: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut out = question().message();
        out[2..4].copy_from_slice(&flags.to_be_bytes());
        out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (owner, kind, data) in records {
            out.extend(*owner);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(*data);
        }
        out
    }

    const OWN: &[u8] = b"\xc0\x0c";
    const ALIAS: &[u8] = b"\x03cdn\x07example\x03net\0";

    #[test]
    fn questions() {
        let bytes = question().message();
        assert_eq!(bytes[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[12..], *b"\x03www\x07example\x03org\0\0\x01\0\x01");
        let fits = |name: &str| Question::new(name, Type::Aaaa, 1).is_some();
        assert!(fits("localhost") && fits("a.b.") && fits(&"a".repeat(63)));
        assert!(!fits("") && !fits(".") && !fits("a..b") && !fits(&"a".repeat(64)));
        assert!(fits(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".")));
        assert!(!fits(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".")));
    }

    #[test]
    fn answers() {
        let plain = question().answer(&message(0x8580, &[(OWN, 1, &[192, 0, 2, 1])])).expect("an answer");
        assert!(plain.is_authoritative && !plain.is_truncated);
        assert_eq!((plain.code, plain.name.as_str()), (0, "www.example.org"));
        assert_eq!(plain.addresses, [IpAddr::from([192, 0, 2, 1])]);
        // In any order, beside others, and of the name behind the aliases only.
        let records: &[(&[u8], u16, &[u8])] = &[
            (b"\x05other\0", 1, &[192, 0, 2, 66]),
            (ALIAS, 1, &[192, 0, 2, 7]),
            (OWN, 46, b"signature"),
            (OWN, CNAME, ALIAS),
            (ALIAS, 1, &[192, 0, 2, 8]),
        ];
        let behind = question().answer(&message(0x8180, records)).expect("an answer");
        assert!(!behind.is_authoritative);
        assert_eq!(behind.name, "cdn.example.net");
        assert_eq!(behind.addresses, [IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8])]);
        assert!(question().answer(&message(0x8380, &[])).expect("an answer").is_truncated);
        assert_eq!(question().answer(&message(0x8183, &[])).expect("an answer").code, 3);
        let nothing = question().answer(&message(0x8180, &[])).expect("an answer");
        assert!(nothing.addresses.is_empty());
    }

    #[test]
    fn of_others() {
        let fine = message(0x8180, &[]);
        let changed = |at: usize, byte: u8| {
            let mut bytes = fine.clone();
            bytes[at] = byte;
            question().answer(&bytes)
        };
        assert_eq!(changed(0, 0x13), Err(Wrong::Stray), "another id");
        assert_eq!(changed(2, 0x01), Err(Wrong::Stray), "a question");
        assert_eq!(changed(2, 0xa9), Err(Wrong::Stray), "another opcode");
        assert_eq!(changed(14, b'x'), Err(Wrong::Stray), "another name");
        assert_eq!(changed(5, 2), Err(Wrong::Stray), "two questions");
        assert_eq!(changed(30, 28), Err(Wrong::Stray), "another type");
        assert!(changed(13, b'W').is_ok(), "letters of either case");
        for end in 0..fine.len() {
            assert_eq!(question().answer(&fine[..end]), Err(Wrong::Stray), "{end}");
        }
    }

    #[test]
    fn hostile_answers() {
        let broken = |records: &[(&[u8], u16, &[u8])]| question().answer(&message(0x8180, records));
        let first = question().message().len() as u8;
        // To itself, forwards, to each other, past the end, and a length that there is not.
        for owner in [&[0xc0, first][..], &[0xc0, first + 2], &[0xff, 0xff], &[0x40, 0], &[0x80, 0]] {
            assert_eq!(broken(&[(owner, 1, &[192, 0, 2, 1])]), Err(Wrong::Broken), "{owner:?}");
        }
        assert_eq!(
            broken(&[(b"\x01a\xc0\x21", 1, &[0; 4])]),
            Err(Wrong::Broken),
            "a pointer into its own name"
        );
        assert_eq!(broken(&[(OWN, 1, &[1, 2, 3])]), Err(Wrong::Broken), "an address of three octets");
        assert_eq!(broken(&[(OWN, CNAME, &[0xc0, 0xff])]), Err(Wrong::Broken), "an alias that is none");
        let mut short = message(0x8180, &[(OWN, 1, &[192, 0, 2, 1])]);
        short[7] = 2;
        assert_eq!(question().answer(&short), Err(Wrong::Broken), "fewer records than told");
        // A name that pointers make longer than names can be.
        let mut long = vec![(b"\x05other\0".to_vec(), 63u8)];
        long.push((
            [&[63][..], &[b'a'; 63], &[63], &[b'b'; 63], &[63], &[b'c'; 63], &[62], &[b'd'; 62], &[0]]
                .concat(),
            0,
        ));
        for (owner, _) in long.iter().skip(1) {
            assert_eq!(broken(&[(owner, 1, &[0; 4])]), Err(Wrong::Broken));
        }
        // Round in a circle: no address, no end.
        let circle = broken(&[(OWN, CNAME, ALIAS), (ALIAS, CNAME, OWN)]).expect("an answer");
        assert!(circle.addresses.is_empty());
    }

    #[test]
    fn many_records() {
        let one: (&[u8], u16, &[u8]) = (OWN, 1, &[192, 0, 2, 1]);
        let many = question().answer(&message(0x8180, &vec![one; 4096])).expect("an answer");
        assert_eq!(many.addresses.len(), MAX_ADDRESSES);
        let mut late: Vec<_> = vec![(OWN, 16, &b"text"[..]); MAX_RECORDS];
        late.push(one);
        assert!(question().answer(&message(0x8180, &late)).expect("an answer").addresses.is_empty());
        // Aliases of aliases: as many as may be, and one more.
        let name = |n: usize| format!("\x03{n:03}\0").into_bytes();
        for (count, fits) in [(MAX_ALIASES, true), (MAX_ALIASES + 1, false)] {
            let names: Vec<Vec<u8>> = (0..count).map(name).collect();
            let mut chain: Vec<(&[u8], u16, &[u8])> = vec![(OWN, CNAME, &names[0])];
            chain.extend(names.windows(2).map(|pair| (&pair[0][..], CNAME, &pair[1][..])));
            chain.push((&names[count - 1], 1, &[192, 0, 2, 9]));
            let answer = question().answer(&message(0x8180, &chain)).expect("an answer");
            assert_eq!(!answer.addresses.is_empty(), fits, "{count}");
        }
    }

    #[test]
    fn names_for_people() {
        assert_eq!(text(b"\x01a\x02b.\0"), "a.b\\046");
        assert_eq!(text(b"\x03\x00\xff \0"), "\\000\\255\\032");
        assert_eq!(text(b"\0"), "");
    }
}
