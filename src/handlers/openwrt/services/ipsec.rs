//! `Device.IPsec.`: the tunnels of strongSwan's `/etc/config/ipsec`. A `remote` is a profile, a `tunnel` of it a
//! filter; proposals name algorithms as strongSwan does.

use super::fields::{self, Field, Form::*, View};
use super::{bad, gone, read_only, set};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{Spec, adds_nothing, lists_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Set, Want};
use crate::sys::host;
use crate::sys::uci::{Edit, Package};

/// The providers.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "ipsec",
        list: lists_nothing,
        fill,
        plan,
        key: adds_nothing,
        packages: &["ipsec"],
        objects: &["*"],
    },
    Spec {
        name: "ipsec_filter",
        list: lists_nothing,
        fill: fill_filter,
        plan: plan_filter,
        key: adds_nothing,
        packages: &["ipsec"],
        objects: &[],
    },
];

/// The pieces of a tunnel's networks.
static FILTER: View = View {
    path: "Device.IPsec.Filter.{i}.",
    package: "ipsec",
    kind: "tunnel",
    fits: |_, _| true,
    split: false,
    fields: &[
        Field("DestIP", "remote_subnet", Address),
        Field("DestMask", "remote_subnet", Mask),
        Field("SourceIP", "local_subnet", Address),
        Field("SourceMask", "local_subnet", Mask),
    ],
    fresh: &[],
};

/// What the kernel counts, by parameter; several are added up.
const COUNTERS: &[(&str, &[&str])] = &[
    ("ErrorsSent", &["XfrmOutError", "XfrmOutNoStates", "XfrmOutStateProtoError", "XfrmOutStateExpired"]),
    ("UnknownSPIErrors", &["XfrmInNoStates"]),
    ("DecryptionErrors", &["XfrmInStateProtoError"]),
    ("ReplayErrors", &["XfrmInStateSeqError"]),
    ("PolicyErrors", &["XfrmInNoPols", "XfrmInPolBlock", "XfrmInPolError", "XfrmInTmplMismatch"]),
    (
        "OtherReceiveErrors",
        &[
            "XfrmInError",
            "XfrmInBufferError",
            "XfrmInHdrError",
            "XfrmInStateModeError",
            "XfrmInStateExpired",
            "XfrmInStateInvalid",
        ],
    ),
];

/// The kernel's names of what packets are encrypted with.
const KERNEL: &[(&str, &str)] = &[
    ("ecb(cipher_null)", "NULL"),
    ("cbc(des)", "DES"),
    ("cbc(des3_ede)", "3DES"),
    ("cbc(aes)", "AES-CBC"),
    ("ctr(aes)", "AES-CTR"),
    ("ccm(aes)", "AES-CCM-16"),
    ("rfc4309(ccm(aes))", "AES-CCM-16"),
    ("gcm(aes)", "AES-GCM-16"),
    ("rfc4106(gcm(aes))", "AES-GCM-16"),
    ("cbc(camellia)", "CAMELLIA-CBC"),
];

/// The kernel's names of what packets are protected with.
const KERNEL_SUMS: &[(&str, &str)] = &[
    ("hmac(md5)", "HMAC-MD5-96"),
    ("hmac(sha1)", "HMAC-SHA1-96"),
    ("xcbc(aes)", "AES-XCBC-96"),
    ("cmac(aes)", "AES-CMAC-96"),
    ("hmac(sha256)", "HMAC-SHA2-256-128"),
    ("hmac(sha384)", "HMAC-SHA2-256-192"),
    ("hmac(sha512)", "HMAC-SHA2-256-256"),
];

/// strongSwan's names of ciphers, as they begin and end.
const CIPHERS: &[(&str, &str, &str)] = &[
    ("aes", "gcm16", "AES-GCM-16"),
    ("aes", "gcm128", "AES-GCM-16"),
    ("aes", "gcm12", "AES-GCM-12"),
    ("aes", "gcm96", "AES-GCM-12"),
    ("aes", "gcm8", "AES-GCM-8"),
    ("aes", "gcm64", "AES-GCM-8"),
    ("aes", "ccm16", "AES-CCM-16"),
    ("aes", "ccm12", "AES-CCM-12"),
    ("aes", "ccm8", "AES-CCM-8"),
    ("aes", "ccm128", "AES-CCM-16"),
    ("aes", "ccm96", "AES-CCM-12"),
    ("aes", "ccm64", "AES-CCM-8"),
    ("aes", "ctr", "AES-CTR"),
    ("aes", "", "AES-CBC"),
    ("3des", "", "3DES"),
    ("camellia", "", "CAMELLIA-CBC"),
    ("blowfish", "", "BLOWFISH"),
    ("cast", "", "CAST"),
    ("null", "", "NULL"),
];

/// strongSwan's names of hashes: for integrity, and for pseudo-random functions.
const HASHES: &[(&str, &str, &str)] = &[
    ("md5", "HMAC-MD5-96", "HMAC-MD5"),
    ("sha", "HMAC-SHA1-96", "HMAC-SHA1"),
    ("sha1", "HMAC-SHA1-96", "HMAC-SHA1"),
    ("aesxcbc", "AES-XCBC-96", "AES-128-XCBC"),
    ("aescmac", "AES-CMAC-96", "AES-128-CMAC"),
    ("sha256", "HMAC-SHA2-256-128", "HMAC-SHA2-256"),
    ("sha384", "HMAC-SHA2-256-192", "HMAC-SHA2-384"),
    ("sha512", "HMAC-SHA2-256-256", "HMAC-SHA2-512"),
];

fn cipher(name: &str) -> Option<&'static str> {
    CIPHERS.iter().find(|c| name.starts_with(c.0) && name.ends_with(c.1)).map(|c| c.2)
}

/// `modp2048`, `ecp256`, `modp2048s256`.
fn group(name: &str) -> Option<String> {
    let (kind, size) = name.split_at_checked(name.find(|c: char| c.is_ascii_digit())?)?;
    let (size, prime) = size.split_once('s').map_or((size, None), |(size, prime)| (size, Some(prime)));
    let known = matches!(kind, "modp" | "ecp") && size.parse::<u16>().is_ok();
    let prime = prime.map_or(String::new(), |p| format!("-PRIME-{p}"));
    known.then(|| format!("{}-{size}{prime}", kind.to_ascii_uppercase()))
}

/// What the proposals of sections say of one parameter, each once.
fn proposed(package: &Package, names: &[&str], parameter: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for proposal in names.iter().filter_map(|n| package.section(n)) {
        let get = |option| proposal.get(option).unwrap_or("");
        let hash = |name: &str| HASHES.iter().find(|h| h.0 == name);
        let found = match parameter {
            "Encryption" => cipher(get("encryption_algorithm")).map(str::to_owned),
            "Integrity" => hash(get("hash_algorithm")).map(|h| h.1.to_owned()),
            "Random" => {
                let own = get("prf_algorithm").strip_prefix("prf").unwrap_or(get("hash_algorithm"));
                hash(own).map(|h| h.2.to_owned())
            }
            _ => group(get("dh_group")),
        };
        all.extend(found.filter(|f| !all.contains(f)));
    }
    all
}

/// The algorithms that the kernel has now.
fn kernel(ctx: &Ctx<'_>, names: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let text = host::read(ctx.root, "/proc/crypto").unwrap_or_default();
    let there = text.lines().filter_map(|l| l.strip_prefix("name")?.split_once(": ").map(|l| l.1));
    let there: Vec<&str> = there.collect();
    let mut all: Vec<&str> = names.iter().filter(|n| there.contains(&n.0)).map(|n| n.1).collect();
    all.dedup();
    all
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "ipsec")?.unwrap_or_default();
    let remote = row.keys.first().and_then(|key| package.section(key));
    let outer = remote.map(|r| r.words("crypto_proposal")).unwrap_or_default();
    let tunnels = remote.map(|r| r.words("tunnel")).unwrap_or_default();
    let tunnels = tunnels.iter().filter_map(|t| package.section(t));
    let inner: Vec<&str> = tunnels.flat_map(|t| t.words("crypto_proposal")).collect();
    for (at, want) in want.iter().enumerate() {
        let name = want.param.name();
        let mut list =
            |names: &[&str], what| fields::put_list(proposed(&package, names, what).iter(), at, out);
        match name {
            "IKEv2AllowedEncryptionAlgorithms" => list(&outer, "Encryption"),
            "ESPAllowedEncryptionAlgorithms" => list(&inner, "Encryption"),
            "IKEv2AllowedPseudoRandomFunctions" => list(&outer, "Random"),
            "IKEv2AllowedIntegrityAlgorithms" => list(&outer, "Integrity"),
            "ESPAllowedIntegrityAlgorithms" => list(&inner, "Integrity"),
            "IKEv2AllowedDiffieHellmanGroupTransforms" => list(&outer, "Group"),
            "ESPSupportedEncryptionAlgorithms" => fields::put_list(kernel(ctx, KERNEL).iter(), at, out),
            "SupportedIntegrityAlgorithms" => fields::put_list(kernel(ctx, KERNEL_SUMS).iter(), at, out),
            "RemoteEndpoints" => {
                let all = remote.map(|r| [r.words("remote_addrs"), r.words("gateway")].concat());
                fields::put_list(all.unwrap_or_default().into_iter(), at, out);
            }
            "AHSupported" => out.put(at, !host::names(ctx.root, "/sys/module/ah4").is_empty()),
            _ => {
                if let Some((_, names)) = COUNTERS.iter().find(|c| c.0 == name) {
                    put_counter(ctx, names, at, out);
                }
            }
        }
    }
    Ok(())
}

/// The other ends of a profile: a list since OpenWrt 24.10, one option before.
fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set([one]) = change else { return Err((0, read_only())) };
    let package = sources.package(ctx, "ipsec").map_err(|f| (0, f))?.unwrap_or_default();
    let remote = package.section(row.key()).ok_or_else(|| (0, gone()))?;
    if one.param.name() != "RemoteEndpoints" {
        return Err((0, read_only()));
    }
    let items: Vec<String> = one.value.split(',').filter(|i| !i.is_empty()).map(str::to_owned).collect();
    if items.iter().any(|i| i.contains(char::is_whitespace)) {
        return Err((0, bad("addresses or names, without blanks")));
    }
    let section = remote.key().into_owned();
    let edit = match (remote.get("gateway"), items.len()) {
        (Some(_), 0 | 1) => set(&section, "gateway", items.concat()),
        (Some(_), _) => return Err((0, bad("this version of strongSwan's configuration takes one"))),
        (None, _) => Edit::List { section, option: "remote_addrs".to_owned(), items },
    };
    Ok(vec![("ipsec".to_owned(), edit)])
}

fn put_counter(ctx: &Ctx<'_>, names: &[&str], at: usize, out: &mut Fields) {
    let Ok(text) = host::read(ctx.root, "/proc/net/xfrm_stat") else {
        return;
    };
    let counts = text.lines().filter_map(|l| {
        let mut words = l.split_ascii_whitespace();
        words.next().filter(|n| names.contains(n)).and(words.next()?.parse::<u64>().ok())
    });
    out.put(at, counts.fold(0u64, u64::saturating_add));
}

/// The edits that make a tunnel one of a profile, and of no other.
fn join(package: &Package, tunnel: &str, profile: Option<&str>, edits: &mut Vec<Edit>) {
    for remote in package.of_kind("remote") {
        let (section, option, item) = (remote.key().into_owned(), "tunnel".to_owned(), tunnel.to_owned());
        match (Some(section.as_str()) == profile, remote.words("tunnel").contains(&tunnel)) {
            (true, false) => edits.push(Edit::AddItem { section, option, item }),
            (false, true) => edits.push(Edit::RemoveItem { section, option, item }),
            _ => {}
        }
    }
}

fn fill_filter(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "ipsec")?.unwrap_or_default();
    let Some(place) = fields::find(&FILTER, &package, row.key()) else {
        return Ok(());
    };
    for (at, want) in want.iter().enumerate() {
        if want.param.name() == "Profile" {
            let own = package.of_kind("remote").find(|r| r.words("tunnel").contains(&row.key()));
            own.iter().for_each(|r| out.refer(at, "Device.IPsec.Profile.{i}.", &[&r.key()]));
        }
        if let Some(field) = FILTER.fields.iter().find(|f| f.0 == want.param.name()) {
            fields::show(&FILTER, &place, field, at, out);
        }
    }
    Ok(())
}

fn plan_filter(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else { return Err((0, read_only())) };
    let package = sources.package(ctx, "ipsec").map_err(|f| (0, f))?.unwrap_or_default();
    let place = fields::find(&FILTER, &package, row.key()).ok_or_else(|| (0, gone()))?;
    let mut edits = Vec::new();
    let (profiles, pieces): (Vec<&Set<'_>>, Vec<&Set<'_>>) =
        sets.iter().partition(|s| s.param.name() == "Profile");
    let pieces: Vec<Set<'_>> = pieces.into_iter().copied().collect();
    fields::plan_set(&FILTER, &place, &pieces, &mut edits)?;
    for profile in profiles {
        let own = profile.refers.and_then(<[String]>::first);
        join(&package, row.key(), own.map(String::as_str), &mut edits);
    }
    Ok(edits.into_iter().map(|edit| ("ipsec".to_owned(), edit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_algorithms() {
        for (name, want) in [
            ("aes256", Some("AES-CBC")),
            ("aes128gcm16", Some("AES-GCM-16")),
            ("aes192ccm64", Some("AES-CCM-8")),
            ("3des", Some("3DES")),
            ("chacha20poly1305", None),
        ] {
            assert_eq!(cipher(name), want, "{name}");
        }
        for (name, want) in [
            ("modp2048", Some("MODP-2048")),
            ("ecp256", Some("ECP-256")),
            ("modp2048s256", Some("MODP-2048-PRIME-256")),
            ("curve25519", None),
            ("modp", None),
        ] {
            assert_eq!(group(name).as_deref(), want, "{name}");
        }
    }
}
