//! Sections as rows, of which a parameter is a piece of an option: the rules of the firewall and what else is
//! written like them. A [`View`] is a table; each of its [`Field`]s says how an option tells a parameter.

use super::matching::{self, Match};
use super::{bad, zones};
use crate::model::handler::{Failure, Fields, Set};
use crate::sys::uci::{Edit, Held, Package, Section};
use std::fmt::Write as _;

/// A table of sections.
pub struct View {
    /// The object's path.
    pub path: &'static str,
    /// The package.
    pub package: &'static str,
    /// The type of its sections.
    pub kind: &'static str,
    /// Which of them are rows.
    pub fits: fn(&Package, &Section<'_>) -> bool,
    /// Whether a rule about several protocols is as many rows.
    pub split: bool,
    /// The parameters.
    pub fields: &'static [Field],
    /// What a new section says.
    pub fresh: &'static [(&'static str, &'static str)],
}

/// A parameter, the option that tells it, and how.
pub struct Field(pub &'static str, pub &'static str, pub Form);

/// How an option tells a parameter.
#[derive(Clone, Copy)]
pub enum Form {
    /// A truth, when nothing is said this one.
    Flag(bool),
    /// `Enabled` or `Disabled`, by a truth that is so unless it is said otherwise.
    Status,
    /// The position of the row.
    Order,
    /// The text.
    Text,
    /// Words of UCI (letters do not matter) and of the standard; writing takes the first.
    Words(&'static [(&'static str, &'static str)]),
    /// `Controller` for what was made over CWMP, else `User`.
    Origin,
    /// The first interface of the zone; writing, the zone of an interface.
    Zone,
    /// Whether it is `*`.
    Any,
    /// 4, 6 or -1; nothing says this one.
    Family(i8),
    /// Whether it is about all others.
    Not,
    /// An address, without the length of its prefix.
    Address,
    /// The prefix with its length; nothing for a single address.
    Prefix,
    /// The mask of the prefix.
    Mask,
    /// The first port; for none this.
    Port(i8),
    /// The last port, where there are several; for none this.
    LastPort(i8),
    /// All ports.
    Ports,
    /// The number of the one protocol of the row.
    Protocol,
    /// The numbers of all protocols.
    Protocols,
    /// `TCP` or `UDP`.
    Transport,
    /// The first type of ICMP.
    Icmp,
    /// A list, as it stands.
    List,
    /// A class of DSCP.
    Class,
    /// The set of addresses at this end that has to be met, or (true) must not.
    SetName(&'static str, bool),
    /// Whether something is logged.
    Log,
}
use Form::*;

/// One row: a section, and which of its protocols.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The package.
    pub package: &'a Package,
    /// The section.
    pub section: Section<'a>,
    /// The position of the row's protocol among those of the section.
    pub part: usize,
}

/// The ports that a list tells of a range, at most.
const MAX_RANGE: u16 = 32;
/// What parts two ports.
const PORTS: &[char] = &['-', ':'];

/// The rows of a table, in order.
pub fn rows<'a>(view: &View, package: &'a Package) -> Vec<Place<'a>> {
    let mut all = Vec::new();
    for section in package.of_kind(view.kind).filter(|s| (view.fits)(package, s)) {
        let parts = if view.split { matching::protocols(&section).len() } else { 1 };
        all.extend((0..parts).map(|part| Place { package, section, part }));
    }
    all
}

/// The key of a row: that of its section, and of a further protocol its name behind a slash.
pub fn key(place: &Place<'_>) -> String {
    let mut key = place.section.key().into_owned();
    if place.part > 0 {
        let protocols = matching::protocols(&place.section);
        let _ = write!(key, "/{}", protocols.get(place.part).unwrap_or(&""));
    }
    key
}

/// The row of a key.
pub fn find<'a>(view: &View, package: &'a Package, key: &str) -> Option<Place<'a>> {
    let (name, protocol) = match key.rsplit_once('/') {
        Some((name, protocol)) if view.split => (name, Some(protocol)),
        _ => (key, None),
    };
    let section = package.section(name).filter(|s| s.kind() == view.kind && (view.fits)(package, s))?;
    let part = match protocol {
        Some(protocol) => matching::protocols(&section).iter().position(|p| *p == protocol)?,
        None => 0,
    };
    Some(Place { package, section, part })
}

/// Puts the value of a parameter.
pub fn show(view: &View, place: &Place<'_>, field: &Field, at: usize, out: &mut Fields) {
    let Place { package, section, part } = *place;
    let option = field.1;
    let text = section.get(option);
    let is_six = section.get("family").is_some_and(|f| f.ends_with('6'));
    let first = section.words(option).first().copied().unwrap_or("");
    match field.2 {
        Flag(unless) => out.put(at, section.flag(option).unwrap_or(unless)),
        Status => {
            let unknown =
                |end| section.get(end).is_some_and(|z| z != "*" && zones::zone(package, z).is_none());
            out.put(
                at,
                match section.flag(option) {
                    Some(false) => "Disabled",
                    _ if unknown("src") || unknown("dest") => "Error_Misconfigured",
                    _ => "Enabled",
                },
            );
        }
        Order => {
            let own = (section.index(), part);
            let order = rows(view, package).iter().position(|p| (p.section.index(), p.part) == own);
            out.put(at, order.map_or(0, |n| n + 1));
        }
        Text => out.put(at, text.unwrap_or("")),
        Words(words) => {
            let text = text.unwrap_or("");
            if let Some(word) = words.iter().find(|w| w.0.eq_ignore_ascii_case(text)) {
                out.put(at, word.1);
            }
        }
        Origin => {
            let ours = section.name().is_some_and(|name| name.starts_with("cwmpd_"));
            out.put(at, if ours { "Controller" } else { "User" });
        }
        Zone => {
            if let Some(interface) = text.and_then(|zone| zones::first_interface(package, zone)) {
                out.refer(at, zones::INTERFACE, &[interface]);
            }
        }
        Any => out.put(at, text == Some("*")),
        Family(unless) => out.put(
            at,
            match text.map(str::to_ascii_lowercase).as_deref() {
                Some("ipv4" | "4" | "inet") => 4,
                Some("ipv6" | "6" | "inet6") => 6,
                Some(_) => -1,
                None => unless,
            },
        ),
        Not => out.put(at, Match::parse(first, &[]).not),
        Address => out.put(at, Match::parse(first, &['/']).first),
        Prefix => {
            let found = Match::parse(first, &['/']);
            if !found.last.is_empty() {
                out.put(at, format_args!("{}/{}", found.first, found.last));
            }
        }
        Mask => {
            if let Ok(length) = Match::parse(first, &['/']).last.parse::<u8>() {
                out.put(at, std::net::Ipv4Addr::from(crate::handlers::linux::network::mask4(length)));
            }
        }
        Port(none) => put_port(Match::parse(first, PORTS).first, none, at, out),
        LastPort(none) => put_port(Match::parse(first, PORTS).last, none, at, out),
        Ports => put_ports(&section.words(option), at, out),
        Protocol => {
            let all = matching::protocols(&section);
            if let Some(number) = all.get(part).and_then(|p| matching::protocol(p)) {
                // The name `icmp` is that of both.
                out.put(at, if is_six && number == 1 { 58 } else { number });
            }
        }
        Protocols => {
            let all = matching::protocols(&section);
            let numbers = all.iter().filter_map(|p| matching::protocol(p));
            put_list(numbers.map(|n| if is_six && n == 1 { 58 } else { n }), at, out);
        }
        Transport => {
            let all = matching::protocols(&section);
            if let Some(name @ ("tcp" | "udp")) = all.get(part).map(|p| match matching::protocol(p) {
                Some(6) => "tcp",
                Some(17) => "udp",
                _ => "",
            }) {
                out.put(at, name.to_ascii_uppercase());
            }
        }
        Icmp => {
            let word = section.words(option).first().and_then(|name| matching::icmp(name, is_six));
            out.put(at, word.unwrap_or(-1));
        }
        List => put_list(section.words(option).into_iter(), at, out),
        Class => {
            let found = Match::parse(first, &[]).first;
            out.put(at, matching::class(found).map_or(-1, i16::from));
        }
        SetName(end, not) => {
            let found = Match::parse(text.unwrap_or(""), &[' ']);
            let is_end = found.last.is_empty() && end == "dest" || found.last.starts_with(&end[..2]);
            let set = package.of_kind("ipset").find(|s| s.get("name") == Some(found.first));
            if let Some(set) = set.filter(|_| found.not == not && is_end) {
                out.refer(at, "Device.Firewall.Set.{i}.", &[&set.key()]);
            }
        }
        Log => out.put(at, text.is_some() && section.flag(option) != Some(false)),
    }
}

fn put_port(port: &str, none: i8, at: usize, out: &mut Fields) {
    match port.parse::<u16>() {
        Ok(port) => out.put(at, port),
        Err(_) => out.put(at, none),
    }
}

fn put_ports(words: &[&str], at: usize, out: &mut Fields) {
    let mut all = Vec::new();
    for word in words {
        let found = Match::parse(word, PORTS);
        let Ok(from) = found.first.parse::<u16>() else { continue };
        let to = found.last.parse::<u16>().unwrap_or(from).min(from.saturating_add(MAX_RANGE));
        all.extend(i32::from(from)..=i32::from(to));
    }
    if all.is_empty() {
        all.push(-1);
    }
    put_list(all.into_iter(), at, out);
}

/// Puts a list.
pub fn put_list(items: impl Iterator<Item = impl std::fmt::Display>, at: usize, out: &mut Fields) {
    let mut text = String::new();
    for (n, item) in items.enumerate() {
        let _ = write!(text, "{}{item}", if n == 0 { "" } else { "," });
    }
    out.put(at, text);
}

/// Plans new values of a row.
///
/// # Errors
/// Which of them cannot be said.
pub fn plan_set(
    view: &View,
    place: &Place<'_>,
    sets: &[Set<'_>],
    edits: &mut Vec<Edit>,
) -> Result<(), (usize, Failure)> {
    let mut done: Vec<&str> = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let Some(field) = view.fields.iter().find(|f| f.0 == set.param.name()) else {
            return Err((at, Failure::denied("read only on this platform")));
        };
        if done.contains(&field.1) {
            continue;
        }
        done.push(field.1);
        // All values that are pieces of this option.
        let same = sets.iter().enumerate().skip(at).filter_map(|(at, set)| {
            let field = view.fields.iter().find(|f| f.0 == set.param.name() && f.1 == field.1)?;
            Some((at, *set, field.2))
        });
        write(place, field.1, &same.collect::<Vec<_>>(), edits)?;
    }
    Ok(())
}

type Piece<'a> = (usize, Set<'a>, Form);

/// One option from the pieces that are set and those that it has.
fn write(
    place: &Place<'_>,
    option: &str,
    pieces: &[Piece<'_>],
    edits: &mut Vec<Edit>,
) -> Result<(), (usize, Failure)> {
    let Place { package, section, .. } = *place;
    // What was a list stays one, and where lists are read nothing else is.
    let is_list = matches!(section.held(option), Some(Held::Many(_))) || package.name() == "ipsec";
    let one = |value: String| {
        let (section, option) = (section.key().into_owned(), option.to_owned());
        if is_list {
            let items = value.split_ascii_whitespace().map(str::to_owned).collect();
            return Edit::List { section, option, items };
        }
        Edit::Set { section, option, value }
    };
    let words = section.words(option);
    let first = words.first().copied().unwrap_or("").to_owned();
    let is_piece =
        |form: &Form| matches!(form, Not | Address | Prefix | Mask | Port(_) | LastPort(_) | Class | Icmp);
    if let Some((at, ..)) = pieces.iter().find(|p| words.len() > 1 && is_piece(&p.2)) {
        return Err((*at, Failure::denied("several are set here, and the row can tell but one")));
    }
    let separator = match pieces.first() {
        Some((_, _, Address | Prefix | Mask)) => '/',
        Some((_, _, Port(_) | LastPort(_))) => '-',
        // Whether a match is negated is said of what stands there.
        Some((_, _, Not)) if first.contains('/') || first.contains("::") => '/',
        Some((_, _, Not)) => '-',
        _ => ' ',
    };
    let split: &[char] = match separator {
        '/' => &['/'],
        '-' if option.ends_with("port") => PORTS,
        _ => &[' '],
    };
    let mut found = Match::parse(&first, split);
    let mut owned = (found.first.to_owned(), found.last.to_owned());
    let mut whole: Option<String> = None;
    for (at, set, form) in pieces {
        let value = set.value;
        match form {
            Flag(_) => whole = Some(if value == "true" { "1" } else { "0" }.to_owned()),
            Text | List => whole = Some(value.replace(',', " ")),
            Words(words) => {
                let word = words.iter().find(|w| w.1 == value).ok_or((*at, bad("not to be had here")))?;
                whole = Some(word.0.to_owned());
            }
            Zone => {
                let zone = match set.refers.and_then(<[String]>::first) {
                    Some(interface) => zones::zone_of(place.package, interface)
                        .ok_or_else(|| (*at, bad(format!("no zone of the firewall has {interface}"))))?,
                    None => "",
                };
                // All interfaces, said beside it, is more.
                whole = Some(whole.filter(|w| w == "*").unwrap_or_else(|| zone.to_owned()));
            }
            Any if value == "true" => whole = Some("*".to_owned()),
            Any if section.get(option) == Some("*") && whole.is_none() => whole = Some(String::new()),
            Any => {}
            Family(_) => {
                whole = Some(match value {
                    "4" => "ipv4".to_owned(),
                    "6" => "ipv6".to_owned(),
                    _ => "any".to_owned(),
                });
            }
            Not => found.not = value == "true",
            Address => owned.0 = value.to_owned(),
            Prefix | Mask if value.is_empty() => owned.1.clear(),
            Prefix => {
                let (address, length) = value.split_once('/').unwrap_or((value, ""));
                if owned.0.is_empty() {
                    owned.0 = address.to_owned();
                }
                owned.1 = length.to_owned();
            }
            Mask => {
                let mask: std::net::Ipv4Addr = value.parse().map_err(|_| (*at, bad("no mask of IPv4")))?;
                if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() < 32 {
                    return Err((*at, bad("a mask with a gap")));
                }
                owned.1 = mask.to_bits().leading_ones().to_string();
            }
            Port(none) => owned.0 = if value == none.to_string() { String::new() } else { value.to_owned() },
            LastPort(none) => {
                owned.1 = if value == none.to_string() { String::new() } else { value.to_owned() };
            }
            Ports => {
                let words: Vec<&str> = value.split(',').filter(|w| *w != "-1").collect();
                whole = Some(words.join(" "));
            }
            Protocol | Transport => whole = Some(protocol_in_place(place, set)),
            Protocols => {
                let names: Vec<String> = value.split(',').map(matching::protocol_name).collect();
                whole =
                    Some(if names.iter().any(|n| n == "all") { "all".to_owned() } else { names.join(" ") });
            }
            Icmp => whole = Some(if value == "-1" { String::new() } else { value.to_owned() }),
            Class => owned.0 = if value == "-1" { String::new() } else { value.to_owned() },
            SetName(end, not) => match set.refers.and_then(<[String]>::first) {
                Some(key) => {
                    let name = place.package.section(key).and_then(|s| s.get("name")).unwrap_or(key);
                    whole = Some(format!("{}{name} {end}", if *not { "!" } else { "" }));
                }
                None => whole = Some(String::new()),
            },
            Log => whole = Some(if value == "true" { "1" } else { "" }.to_owned()),
            Status | Order | Origin => return Err((*at, Failure::denied("read only"))),
        }
    }
    let says_not = pieces.iter().find(|p| matches!(p.2, Not));
    if let Some((at, _, _)) = says_not.filter(|_| found.not && owned.0.is_empty() && whole.is_none()) {
        return Err((*at, bad("there is nothing that it could be other than")));
    }
    edits.push(match whole {
        Some(value) if says_not.is_some() && found.not => one(format!("!{value}")),
        Some(value) => one(value),
        None => {
            let last = owned.1.parse::<u32>().ok();
            if separator == '-'
                && last.is_some_and(|last| owned.0.parse().is_ok_and(|first: u32| first > last))
            {
                return Err((pieces.first().map_or(0, |p| p.0), bad("the last port is below the first")));
            }
            one(Match { not: found.not, first: &owned.0, last: &owned.1 }.text(separator))
        }
    });
    Ok(())
}

/// The protocols of a rule with that of the row replaced.
fn protocol_in_place(place: &Place<'_>, set: &Set<'_>) -> String {
    let name = match set.value {
        "TCP" => "tcp".to_owned(),
        "UDP" => "udp".to_owned(),
        number => matching::protocol_name(number),
    };
    let mut all = matching::protocols(&place.section);
    if all.len() == 1 || name == "all" || place.section.get("proto").is_none() {
        return name;
    }
    if let Some(own) = all.get_mut(place.part) {
        *own = &name;
    }
    all.dedup();
    all.join(" ")
}

/// Plans that a row goes: its section, or of several protocols its own.
pub fn plan_delete(view: &View, place: &Place<'_>) -> Edit {
    let section = place.section.key().into_owned();
    let mut all = matching::protocols(&place.section);
    if view.split && all.len() > 1 {
        all.remove(place.part.min(all.len() - 1));
        return Edit::Set { section, option: "proto".to_owned(), value: all.join(" ") };
    }
    Edit::Drop { section }
}
