//! A firmware image of 100 MiB as the agent verifies it, from disk (from the page cache, that is), beside
//! `sha256sum` and, where it is installed, `usign -V`. Wall-clock time in milliseconds, the median of some
//! readings taken in turns, so that all see the same machine.
//!
//! `CWMPD_BENCH_MIB` is another size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cwmpd::sys::clock;
use cwmpd::transfer::verify::{Expected, Hasher, Key, verify};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const READINGS: usize = 7;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Work<'a> {
    name: &'static str,
    /// Whether it went well; what is not installed does not.
    run: &'a dyn Fn() -> bool,
    times: Vec<Duration>,
}

fn run(command: &str, arguments: &[&str], folder: &Path) -> bool {
    let done = Command::new(command).args(arguments).current_dir(folder).stdout(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

fn text(parts: &[&[u8]]) -> String {
    format!("untrusted comment: of a bench\n{}\n", STANDARD.encode(parts.concat()))
}

fn main() {
    let mib = std::env::var("CWMPD_BENCH_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let folder = Folder(std::env::temp_dir().join(format!("cwmpd-bench-verify-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let path = folder.0.join("image");
    let image: Vec<u8> = (0..mib << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let beside = text(&[b"Ed", &[7; 8], pair.sign(&image).as_ref()]);
    let key = text(&[b"Ed", &[7; 8], pair.public_key().as_ref()]);
    std::fs::write(&path, &image).expect("an image");
    std::fs::write(folder.0.join("image.sig"), &beside).expect("a signature");
    std::fs::write(folder.0.join("key"), &key).expect("a key");
    let mut hasher = Hasher::default();
    hasher.update(&image);
    let hash = hasher.finish();
    drop(image);

    let keys = [Key::read(&key).expect("a key")];
    let judge = |sha256, keys: &[Key]| {
        let expected = Expected { sha256, hashed: None, image: true, keys, now: clock::now() };
        verify(&path, &expected, Some(beside.as_bytes())).is_ok()
    };
    let hashed = || judge(Some(hash), &[]);
    let signed = || judge(None, &keys);
    let both = || judge(Some(hash), &keys);
    let sha256sum = || run("sha256sum", &["image"], &folder.0);
    let usign = || run("usign", &["-V", "-q", "-m", "image", "-p", "key"], &folder.0);
    let mut works: [Work; 5] = [
        Work { name: "SHA-256", run: &hashed, times: Vec::new() },
        Work { name: "signature", run: &signed, times: Vec::new() },
        Work { name: "both", run: &both, times: Vec::new() },
        Work { name: "sha256sum", run: &sha256sum, times: Vec::new() },
        Work { name: "usign -V", run: &usign, times: Vec::new() },
    ];
    for _ in 0..READINGS {
        for work in &mut works {
            let started = Instant::now();
            work.times.extend((work.run)().then(|| started.elapsed()));
        }
    }
    println!("verify: an image of {mib} MiB, milliseconds, MiB a second");
    for Work { name, times, .. } in &mut works {
        times.sort();
        match times.get(times.len() / 2) {
            Some(median) => {
                let rate = f64::from(mib) / median.as_secs_f64();
                println!("{name:12} {:>8.1} {rate:>8.0}", median.as_secs_f64() * 1000.0);
            }
            None => println!("{name:12} is not here"),
        }
    }
}
