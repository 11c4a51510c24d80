//! The bodies of the fuzz targets over their seeds and over mutations of them, the same ones in
//! every run. What it is that breaks a body is said in hexadecimal, to become a seed.

#[path = "../fuzz/bodies/mod.rs"]
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
    b"\x81\0\0\x08",
    b"\0\0\0\x04",
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
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

/// A test for each target: its name, how many mutations, and in the log a word for what it is.
macro_rules! targets {
    ($($target:ident $count:literal;)*) => {
        $(
            #[test]
            fn $target() {
                run(stringify!($target), $count, bodies::$target);
            }
        )*
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
    };
}

targets! {
    envelope 20_000;
    connection_request 2_000;
    request_head 60_000;
    digest_challenge 20_000;
    digest_answer 8_000;
    set_cookie 15_000;
    url 30_000;
    response 1_500;
    coding 2_000;
    path 100_000;
    value 60_000;
    tree 1_500;
    overlay 1_500;
    journal 3_000;
    records 40_000;
    control 5_000;
    exec_answer 5_000;
    config 8_000;
    dhcp 40_000;
    image 4_000;
    ubus_table 40_000;
    ubus_messages 4_000;
    uci 6_000;
    archive 1_500;
}

/// Each target has a test here, a file for the fuzzer, and a place in its manifest.
#[test]
fn every_target_is_everywhere() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(fuzz.join(folder))
            .expect("a folder")
            .map(|e| e.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets = TARGETS.to_vec();
    targets.sort_unstable();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    assert!(targets.iter().all(|t| manifest.contains(&format!("\"fuzz_targets/{t}.rs\""))));
}
