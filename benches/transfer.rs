//! A file of 100 MiB over loopback: fetched, hashed and written as the daemon does it, beside
//! `curl -o f && sha256sum f` with the same server in the same run (left out where there is no curl).
//! Then how much anonymous memory the fetch takes, in a round of its own: looking costs time.
//!
//! The files lie in `/dev/shm` where there is one, as `run_dir` is in memory; `CWMPD_BENCH_DIR` names
//! another folder, `CWMPD_BENCH_ROUNDS` the number of rounds.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cwmpd::net::client::Options;
use cwmpd::net::transfer::{Limits, Meter, Request, Tee, get};
use sha2::{Digest, Sha256};

const SIZE: usize = 100 << 20;
const BLOCK: usize = 256 * 1024;

/// Gives the file to everybody, whatever is asked; its bytes are made before.
fn serve(listener: TcpListener) {
    let mut seed = 1u32;
    let mut byte = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let block: Vec<u8> = (0..BLOCK).map(|_| byte()).collect();
    let answer = move |mut socket: TcpStream| -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 1024];
            match socket.read(&mut piece)? {
                0 => return Ok(()),
                n => head.extend_from_slice(&piece[..n]),
            }
        }
        socket.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
        for _ in 0..SIZE / BLOCK {
            socket.write_all(&block)?;
        }
        Ok(())
    };
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let _ = answer(socket); // who hangs up sees it itself
        }
    });
}

struct Hash(Sha256);

impl Tee for Hash {
    fn anew(&mut self) {
        self.0.reset();
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// Fetches once, and gives the hash.
fn fetch(url: &str, file: &Path) -> String {
    let options = Options { url: url.to_owned(), user_agent: "cwmpd/bench".to_owned(), ..Options::default() };
    let limits = Limits {
        max_bytes: 256 << 20,
        bytes_per_second: 0,
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(600),
    };
    let (_waker, wake) = UnixStream::pair().expect("a pair");
    let mut hash = Hash(Sha256::new());
    let request = Request { options, limits };
    let got = get(request, 0, file, &Meter::default(), &mut hash, wake.into()).expect("the file");
    assert_eq!(got.bytes, SIZE as u64);
    hash.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The same by curl and sha256sum; `None` where they are missing.
fn curl(url: &str, file: &Path) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["-s", "-o"]).arg(file).arg(url).stdin(Stdio::null());
    if !command.status().ok()?.success() {
        return None;
    }
    let output = Command::new("sha256sum").arg(file).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

fn rss_anon() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn timed<T>(times: &mut Vec<f64>, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    times.push(begun.elapsed().as_secs_f64() * 1e3);
    done
}

fn told(times: &mut [f64]) -> String {
    times.sort_unstable_by(f64::total_cmp);
    let at = |i: usize| times.get(i).copied().unwrap_or_default();
    format!("{:.0} ms (fastest {:.0} ms)", at(times.len() / 2), at(0))
}

fn main() {
    let rounds: usize = std::env::var("CWMPD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(9);
    let shm = PathBuf::from("/dev/shm");
    let beside = if shm.is_dir() { shm } else { std::env::temp_dir() };
    let beside = std::env::var_os("CWMPD_BENCH_DIR").map_or(beside, PathBuf::from);
    let folder = beside.join(format!("cwmpd-bench-transfer-{}", std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/image", listener.local_addr().expect("bound"));
    serve(listener);

    let file = folder.join("1.file");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut other = true;
    for _ in 0..rounds {
        let hash = timed(&mut ours, || fetch(&url, &file));
        fs::remove_file(&file).expect("it was there");
        if other {
            let theirs = timed(&mut theirs, || curl(&url, &file));
            other = theirs.is_some_and(|theirs| {
                assert_eq!(theirs, hash);
                true
            });
            let _ = fs::remove_file(&file);
        }
    }
    println!("100 MiB fetched, hashed and written: {}", told(&mut ours));
    match other {
        true => println!("curl -o f && sha256sum f:           {}", told(&mut theirs)),
        false => println!("curl or sha256sum is missing: nothing to compare with"),
    }

    let (peak, over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = thread::spawn({
        let (peak, over) = (peak.clone(), over.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(rss_anon(), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
    while peak.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    let idle = rss_anon();
    thread::spawn({
        let (url, file) = (url.clone(), file.clone());
        move || fetch(&url, &file)
    })
    .join()
    .expect("the file");
    over.store(true, Ordering::Relaxed);
    watch.join().expect("it only looks");
    println!("RssAnon: {} KiB above the {idle} KiB at rest", peak.load(Ordering::Relaxed) - idle);
    let _ = fs::remove_dir_all(&folder);
}
