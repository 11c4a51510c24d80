//! The bodies of the fuzz targets over their seeds and over mutations of them, the same ones in
//! every run. What it is that breaks a body is said in hexadecimal, to become a seed.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    /// A part of a text of this length.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let most = (len - start).min(64);
        start..start + self.below(most + 1)
    }
}

/// What parsers stumble over.
const BITS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\"",
    b"\\",
    b"=",
    b",",
    b";",
    b"..",
    b"%00",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"<![CDATA[",
    b"&#0;",
    b"&#xD;",
    b"]]>",
    b"<!DOCTYPE a>",
    b"xmlns=\"\"",
    b"4294967296",
    b"-1",
    b"99999999999999999999",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{i}",
    b"*",
    b"'''",
    b"\x7f",
    b"\x1b[2J",
];

fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let part = numbers.range(text.len());
        match numbers.below(7) {
            0 => drop(text.drain(part)),
            1 => drop(text.splice(part, BITS[numbers.below(BITS.len())].iter().copied())),
            2 => {
                let copy = text[part].to_vec();
                let at = numbers.below(text.len() + 1);
                text.splice(at..at, copy);
            }
            3 => {
                let other = &seeds[numbers.below(seeds.len())];
                let piece = other[numbers.range(other.len())].to_vec();
                text.splice(part, piece);
            }
            4 => text.truncate(part.start),
            5 if !text.is_empty() => {
                let at = numbers.below(text.len());
                text[at] ^= 1 << numbers.below(8);
            }
            _ if !text.is_empty() => {
                let at = numbers.below(text.len());
                text[at] = numbers.below(256) as u8;
            }
            _ => text.push(numbers.below(256) as u8),
        }
    }
    text
}

fn run(target: &str, count: usize, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).expect("a seed")).collect();
    assert!(!seeds.is_empty());
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mutations = (0..count).map(|_| mutated(&mut numbers, &seeds));
    for input in seeds.iter().cloned().chain(mutations) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&input))) {
            let hex: String = input.iter().map(|b| format!("{b:02x}")).collect();
            eprintln!("{target} broke on {hex}\n{}", String::from_utf8_lossy(&input));
            resume_unwind(panic);
        }
    }
}

#[test]
fn messages_of_an_acs() {
    run("envelope", 1500, bodies::envelope);
}

#[test]
fn bytes_on_the_connection_request_port() {
    run("connection_request", 1500, bodies::connection_request);
}

#[test]
fn challenges() {
    run("digest_challenge", 3000, bodies::digest_challenge);
}

#[test]
fn cookies() {
    run("set_cookie", 3000, bodies::set_cookie);
}

#[test]
fn urls_and_locations() {
    run("url", 5000, bodies::url);
}

#[test]
fn paths() {
    run("path", 10_000, bodies::path);
}

#[test]
fn journals_from_a_bad_disk() {
    run("journal", 1500, bodies::journal);
}

#[test]
fn overlays() {
    run("overlay", 400, bodies::overlay);
}

#[test]
fn lines_on_the_control_socket() {
    run("control", 2000, bodies::control);
}
