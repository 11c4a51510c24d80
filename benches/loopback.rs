//! The shipped daemon over this machine's real tree, read whole over loopback: microseconds a value,
//! the daemon's anonymous memory, the processor time of a session that asks nothing, and how long the
//! first Inform takes to be on the wire. The ACS is a bare socket, so that its own work does not count.
//!
//! `CWMPD_BENCH_BINARY` measures another binary; `CWMPD_BENCH_ROUNDS` changes the number of readings.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const BODY: &str = "<soap-env:Envelope xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">1</cwmp:ID>\
    </soap-env:Header><soap-env:Body>@</soap-env:Body></soap-env:Envelope>";
const READ: &str =
    "<cwmp:GetParameterValues><ParameterNames><string>@</string></ParameterNames></cwmp:GetParameterValues>";
const INFORMED: &str = "<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>";

/// The agent in a folder of its own; both end with it.
struct Agent {
    binary: PathBuf,
    folder: PathBuf,
    child: Child,
}

impl Agent {
    fn start(binary: &Path, url: &str) -> Agent {
        let folder = std::env::temp_dir().join(format!("cwmpd-bench-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let dir = folder.display();
        let text = format!(
            "state_dir = \"{dir}/state\"\nrun_dir = \"{dir}/run\"\noverlay_dir = \"{dir}/overlays\"\n\
             [log]\nlevel = \"error\"\n[acs]\nurl = \"{url}\"\n[connection_request]\nlisten = \"127.0.0.1:0\"\n\
             [commands]\nreboot = []\nfactory_reset = []\n"
        );
        fs::write(folder.join("cwmpd.toml"), text).expect("a configuration");
        let mut command = Command::new(binary);
        command.args(["run", "--config"]).arg(folder.join("cwmpd.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the daemon");
        Agent { binary: binary.to_owned(), folder, child }
    }

    fn inform(&self) {
        let mut command = Command::new(&self.binary);
        command.args(["inform", "--config"]).arg(self.folder.join("cwmpd.toml")).stdout(Stdio::null());
        assert!(command.status().expect("the command line").success());
    }

    fn rss_anon(&self) -> i64 {
        rss_anon(self.child.id())
    }

    /// User and system time so far, of threads that ended too; in ticks of 10 ms.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |s| s.1).split_whitespace().skip(11).take(2);
        Duration::from_millis(fields.filter_map(|f| f.parse::<u64>().ok()).sum::<u64>() * 10)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn rss_anon(pid: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The session as the ACS sees it.
struct Session(TcpStream);

impl Session {
    /// The next session, its Inform read.
    fn accept(listener: &TcpListener) -> Session {
        let (stream, _) = listener.accept().expect("the agent");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_nodelay(true).expect("no delay");
        let mut session = Session(stream);
        assert!(find(&session.message(), b":Inform>").is_some());
        session
    }

    /// One POST, head and body as they came.
    fn message(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(64 * 1024);
        let mut piece = vec![0; 256 * 1024];
        let mut body = None;
        loop {
            match self.0.read(&mut piece).expect("a request in time") {
                0 => panic!("the agent hung up: {}", String::from_utf8_lossy(&all)),
                n => all.extend_from_slice(&piece[..n]),
            }
            if body.is_none() {
                body = find(&all, b"\r\n\r\n").map(|head| (head + 4, length(&all[..head])));
            }
            match body {
                Some((from, Some(length))) if all.len() >= from + length => return all,
                Some((_, None)) if all.ends_with(b"\r\n0\r\n\r\n") => return all,
                _ => {}
            }
        }
    }

    fn answer(&mut self, message: &str) {
        let body = BODY.replace('@', message);
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.write_all((head + &body).as_bytes()).expect("the agent listens");
    }

    /// The InformResponse, what the agent asks then, and the empty POST.
    fn open(&mut self) {
        self.answer(INFORMED);
        if find(&self.message(), b":GetRPCMethods").is_some() {
            self.answer("<cwmp:GetRPCMethodsResponse><MethodList/></cwmp:GetRPCMethodsResponse>");
            self.message();
        }
    }

    fn read(&mut self, path: &str) -> (Duration, Vec<u8>) {
        let started = Instant::now();
        self.answer(&READ.replace('@', path));
        let answer = self.message();
        (started.elapsed(), answer)
    }

    /// The empty response; returns when the agent has hung up.
    fn close(mut self) {
        self.0.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("the agent listens");
        while matches!(self.0.read(&mut [0; 64]), Ok(1..)) {}
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// What Content-Length says; `None` for chunks.
fn length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|l| l.strip_prefix("content-length:")).and_then(|l| l.trim().parse().ok())
}

fn values(answer: &[u8]) -> usize {
    answer.windows(22).filter(|w| *w == b"<ParameterValueStruct>").count()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let binary = std::env::var_os("CWMPD_BENCH_BINARY")
        .map_or(PathBuf::from(env!("CARGO_BIN_EXE_cwmpd")), PathBuf::from);
    let rounds: usize = std::env::var("CWMPD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(10);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));

    let mut starts = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let agent = Agent::start(&binary, &url);
        Session::accept(&listener);
        starts.push(started.elapsed());
        drop(agent);
    }
    println!("start to the first Inform on the wire: {:.1} ms", millis(median(starts)));

    let agent = Agent::start(&binary, &url);
    let mut session = Session::accept(&listener);
    session.open();
    session.close();
    let sessions = rounds.max(1) * 10;
    let before = agent.cpu();
    for _ in 0..sessions {
        agent.inform();
        let mut session = Session::accept(&listener);
        session.open();
        session.close();
    }
    let each = (agent.cpu() - before) / sessions as u32;
    println!("a session that asks nothing: {:.2} ms of processor time", millis(each));

    let idle = agent.rss_anon();
    agent.inform();
    let mut session = Session::accept(&listener);
    session.open();
    println!("one subtree after the other, a session; the median of {rounds} readings:");
    for path in SUBTREES {
        let read: Vec<(Duration, Vec<u8>)> = (0..rounds).map(|_| session.read(path)).collect();
        let count = read.iter().map(|r| values(&r.1)).max().unwrap_or(0);
        let bytes = read.iter().map(|r| r.1.len()).max().unwrap_or(0);
        let time = median(read.into_iter().map(|r| r.0).collect());
        println!(
            "{count:>7} values {:>7} KiB {:>9.2} ms {:>8.2} µs a value  {path}",
            bytes / 1024,
            millis(time),
            time.as_secs_f64() * 1e6 / count.max(1) as f64
        );
    }
    // In a reading of its own: looking costs the daemon time.
    let (pid, peak, over) = (agent.child.id(), Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = thread::spawn({
        let (peak, over) = (peak.clone(), over.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(rss_anon(pid), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
    session.read("Device.");
    over.store(true, Ordering::Relaxed);
    watch.join().expect("it only looks");
    session.close();
    agent.inform();
    Session::accept(&listener);
    println!(
        "RssAnon of the daemon: {idle} KiB between sessions, {} KiB at most while it was read whole, {} KiB after",
        peak.load(Ordering::Relaxed),
        agent.rss_anon()
    );
}

/// The whole tree first, then where its time goes.
const SUBTREES: &[&str] = &[
    "Device.",
    "Device.DeviceInfo.",
    "Device.DeviceInfo.ProcessStatus.Process.",
    "Device.IP.",
    "Device.Ethernet.",
    "Device.Routing.",
    "Device.UnixDomainSockets.",
    "Device.ManagementServer.",
];

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
