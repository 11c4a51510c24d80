//! What an image says of itself (`fwtool -I`): the version, which is looked for after the reboot. What
//! device it is for is the platform's own test to judge.

use serde_json::Value;

/// The most characters of a version that are kept.
pub const MAX_VERSION: usize = 128;

/// The version and the revision, as far as they are named: `23.05.2 r23630-842932a63d`. `part` is JSON
/// behind eight bytes, of which the first four are 0.
pub(super) fn version(part: &[u8]) -> Option<String> {
    let (_flags, json) = part.strip_prefix(&[0; 4])?.split_first_chunk::<4>()?;
    let json: Value = serde_json::from_slice(json).ok()?;
    let named = json.get("version")?;
    let texts = ["version", "revision"].iter().filter_map(|name| named.get(name)?.as_str());
    let words: Vec<&str> = texts.flat_map(words).collect();
    let text: String = words.join(" ").chars().take(MAX_VERSION).collect();
    (!text.is_empty()).then_some(text)
}

/// Whether what an image said of its version ([`super::Verified::version`]) names this SoftwareVersion:
/// the version or the revision alone, both, or either form behind the distribution's name.
pub fn names(version: &str, software: &str) -> bool {
    let named: Vec<&str> = words(version).collect();
    let told: Vec<&str> = words(software).collect();
    match (&named[..], &told[..]) {
        ([], _) | (_, []) => false,
        (named, [one]) => named.contains(one),
        ([first, ..], [_, second]) if first == second => true,
        (named, told) => named.iter().all(|word| told.contains(word)),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
}
