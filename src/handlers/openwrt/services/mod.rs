//! Services on OpenWrt: DHCP and DNS (dnsmasq, odhcpd, umdns), the firewall, dynamic DNS, UPnP, IPsec, portals.
//!
//! What a row can say by an expression is said in `datamodel/*.toml`; here is what has to be put together or
//! taken apart. [`fields`] makes rows of sections of which a parameter is a piece of an option.

pub mod access;
pub mod conntrack;
pub mod ddns;
pub mod dns;
pub mod fields;
pub mod firewall;
pub mod hosts;
pub mod ipsec;
pub mod lan;
pub mod leases;
pub mod leases6;
pub mod matching;
pub mod mdns;
pub mod opened;
pub mod options;
pub mod pool;
pub mod requests;
#[cfg(test)]
mod tests;
pub mod zones;

use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure};
use crate::sys::uci::Edit;

/// A value that UCI cannot say.
pub fn bad(text: impl Into<String>) -> Failure {
    Failure { code: crate::model::fault::Code::INVALID_VALUE, text: text.into() }
}

/// A row that is not there any more.
pub fn gone() -> Failure {
    Failure { code: crate::model::fault::Code::INVALID_NAME, text: "the row is gone".to_owned() }
}

/// A parameter that is written nowhere.
pub fn read_only() -> Failure {
    Failure::denied("read only on this platform")
}

/// The edit that sets an option; nothing removes it.
pub fn set(section: &str, option: &str, value: impl Into<String>) -> Edit {
    Edit::Set { section: section.to_owned(), option: option.to_owned(), value: value.into() }
}

/// The plan of a new section.
pub fn fresh(kind: &str, name: &str, options: &[(&str, &str)]) -> Vec<Edit> {
    let make = Edit::Make { kind: kind.to_owned(), name: name.to_owned() };
    let set = |(option, value): &(&str, &str)| set(name, option, *value);
    std::iter::once(make).chain(options.iter().map(set)).collect()
}

/// The name of a section that is to be made, `cwmpd_rule_7`: the row's number, or the next that is free.
///
/// # Errors
/// The package cannot be read.
pub fn fresh_name(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    package: &str,
    kind: &str,
    number: u32,
) -> Result<String, Failure> {
    let there = sources.package(ctx, package)?.unwrap_or_default();
    let mut names = (number..).map(|n| format!("cwmpd_{kind}_{n}"));
    let free = |name: &String| there.section(name).is_none() && !sources.is_gathered(package, name);
    names.find(free).ok_or_else(|| Failure::internal("no name is free"))
}

/// Bytes as hexBinary has them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
        }
        text
    })
}

/// The bytes of digits, with colons between or not.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
