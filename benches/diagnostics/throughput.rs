//! Throughput as the agent measures it, beside what curl gets, from and to nginx (Debian) over a veth pair between
//! two network namespaces: unshaped, and behind a `tbf` of 100 Mbit/s, which counts frames and so leaves
//! 1448 of 1514 bytes for payload. Then how much memory eight connections take. Needs root, iproute2, nginx, curl.

use cwmpd::diagnostics::run::Run;
use cwmpd::diagnostics::{Arguments, Around, Facts, Job, Report, throughput};
use cwmpd::net::client::Options;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set in the process that runs in the client's namespace: the folder, and the namespaces' common name.
const INSIDE: &str = "CWMPD_BENCH_INSIDE";
const SERVER: &str = "10.93.0.1";
const FILE: u64 = 2 << 30;
const UPLOAD: u64 = 256 << 20;
/// Payload of a full frame of 1514 bytes, at 100 Mbit/s, in Mbit/s.
const SHAPED: f64 = 100.0 * 1448.0 / 1514.0;

/// Makes the bed, and runs itself again in it.
pub fn main() {
    if let Ok(inside) = std::env::var(INSIDE) {
        let (folder, name) = inside.split_once(' ').expect("two words");
        return compare(Path::new(folder), name);
    }
    let name = format!("cwmpd-b{}", std::process::id());
    let folder = PathBuf::from("/dev/shm").join(&name);
    match bed(&name, &folder) {
        Ok(mut nginx) => {
            let status = Command::new("ip")
                .args(["netns", "exec", &format!("{name}-c")])
                .arg(std::env::current_exe().expect("this program"))
                .env(INSIDE, format!("{} {name}", folder.display()))
                .status();
            println!(
                "{}",
                if status.is_ok_and(|s| s.success()) { "done" } else { "it did not come to its end" }
            );
            let _ = nginx.kill();
            let _ = nginx.wait();
        }
        Err(why) => println!("skipped: {why}"),
    }
    for side in ["c", "s"] {
        let _ = run("ip", &["netns", "del", &format!("{name}-{side}")]);
    }
    let _ = fs::remove_dir_all(&folder);
}

fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(words).output().map_err(|e| format!("{program}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Namespaces, the pair, and nginx.
fn bed(name: &str, folder: &Path) -> Result<Child, String> {
    let (client, server) = (format!("{name}-c"), format!("{name}-s"));
    let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>());
    ip(&format!("netns add {client}"))?;
    ip(&format!("netns add {server}"))?;
    ip(&format!("-n {client} link add wan0 type veth peer name srv0 netns {server}"))?;
    for (side, device, address) in [(&client, "wan0", "10.93.0.2"), (&server, "srv0", SERVER)] {
        ip(&format!("-n {side} addr add {address}/24 dev {device}"))?;
        ip(&format!("-n {side} link set {device} up"))?;
        ip(&format!("-n {side} link set lo up"))?;
    }
    let made = |e: std::io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(folder.join("put")).map_err(made)?;
    File::create(folder.join("file")).and_then(|file| file.set_len(FILE)).map_err(made)?;
    let at = folder.display();
    let text = format!(
        "daemon off; user root; pid {at}/pid; error_log {at}/error; worker_processes 1; events {{}}\n\
         http {{ access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {at}/put;\n\
         server {{ listen 80; root {at}; location /put/ {{ dav_methods PUT; }} }} }}\n"
    );
    let config = folder.join("nginx.conf");
    fs::write(&config, text).map_err(made)?;
    let mut nginx = Command::new("ip")
        .args(["netns", "exec", &server, "nginx", "-c"])
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("nginx: {e}"))?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while run("ip", &["netns", "exec", &client, "curl", "-sI", &format!("http://{SERVER}/file")]).is_err() {
        if Instant::now() > deadline {
            let _ = nginx.kill();
            return Err("nginx does not answer curl; are both there?".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(nginx)
}

fn measured(way: &str, arguments: &[(&str, &str)]) -> Report {
    let (_waker, wake) = UnixStream::pair().expect("a pair");
    let options = Options { user_agent: "cwmpd".to_owned(), ..Options::default() };
    let url =
        [("DownloadURL", format!("http://{SERVER}/file")), ("UploadURL", format!("http://{SERVER}/put/x"))];
    let mut all = Arguments::default();
    url.iter().for_each(|(name, value)| all.set(name, value));
    arguments.iter().for_each(|(name, value)| all.set(name, value));
    let job = Job {
        arguments: all,
        device: None,
        around: Around { root: PathBuf::from("/"), options, facts: Facts::default() },
    };
    let test = if way == "download" { throughput::download } else { throughput::upload };
    let report = test(&job, &mut Run::new(wake.into(), None)).expect("nobody cancels it");
    assert_eq!(report.state, "Complete", "{}", report.why);
    report
}

/// Mbit/s under full load, as an ACS computes them.
fn rate(way: &str, arguments: &[(&str, &str)]) -> f64 {
    let report = measured(way, arguments);
    let value = |name: &str| -> f64 {
        let found = report.values.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.parse().ok()).expect("a number")
    };
    let bytes = if way == "download" { "TestBytesReceived" } else { "TestBytesSent" };
    value(&format!("{bytes}UnderFullLoading")) * 8.0 / value("PeriodOfFullLoading")
}

/// The same by curl, which counts from the first byte of its connection on.
fn curl(way: &str, folder: &Path, seconds: Option<&str>) -> f64 {
    let mut command = Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-w", "%{speed_download} %{speed_upload}"]);
    if let Some(seconds) = seconds {
        command.args(["-m", seconds]);
    }
    match way {
        "download" => command.arg(format!("http://{SERVER}/file")),
        _ => command.arg("-T").arg(folder.join("noise")).arg(format!("http://{SERVER}/put/y")),
    };
    let said = String::from_utf8(command.output().expect("curl").stdout).expect("text");
    let speeds: Vec<f64> = said.split(' ').map(|text| text.parse().expect("a number")).collect();
    speeds.iter().sum::<f64>() * 8.0 / 1e6
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn compare(folder: &Path, name: &str) {
    let rounds: usize = std::env::var("CWMPD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(5);
    // Not of zeros: what is read of a hole costs nothing.
    let noise: Vec<u8> = (0..UPLOAD).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u8).collect();
    fs::write(folder.join("noise"), &noise).expect("room");
    drop(noise);
    let length = UPLOAD.to_string();
    let own = [("TestFileLength", length.as_str())];
    for way in ["download", "upload"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(rate(way, &own));
            theirs.push(curl(way, folder, None));
        }
        let (ours, theirs) = (middle(ours), middle(theirs));
        let share = ours / theirs * 100.0;
        println!("{way}, unshaped: {ours:.0} Mbit/s, curl {theirs:.0} Mbit/s: {share:.0} %");
    }
    let eight = [("NumberOfConnections", "8")];
    println!("download, unshaped, 8 connections: {:.0} Mbit/s", rate("download", &eight));
    memory(&eight);
    for (way, side, device) in [("download", "s", "srv0"), ("upload", "c", "wan0")] {
        let shape = "root tbf rate 100mbit burst 32kb latency 50ms";
        let line = format!("netns exec {name}-{side} tc qdisc add dev {device} {shape}");
        run("ip", &line.split(' ').collect::<Vec<_>>()).expect("tbf");
        let theirs = curl(way, folder, Some("5"));
        println!("{way}, tbf 100 Mbit/s: {SHAPED:.2} Mbit/s are left for payload, curl {theirs:.2} Mbit/s");
        for connections in ["1", "4", "8"] {
            let time = [("TimeBasedTestDuration", "5"), ("NumberOfConnections", connections)];
            let ours = rate(way, &time);
            let off = (ours / SHAPED - 1.0) * 100.0;
            println!("    {connections} connections: {ours:.2} Mbit/s: {off:+.2} %");
        }
        let line = format!("netns exec {name}-{side} tc qdisc del dev {device} root");
        run("ip", &line.split(' ').collect::<Vec<_>>()).expect("tbf");
    }
}

fn rss_anon() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Of both ways, with this many connections.
fn memory(arguments: &[(&str, &str)]) {
    let (peak, over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = thread::spawn({
        let (peak, over) = (Arc::clone(&peak), Arc::clone(&over));
        move || {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(rss_anon(), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(500));
            }
        }
    });
    while peak.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    for way in ["download", "upload"] {
        let idle = rss_anon();
        peak.store(idle, Ordering::Relaxed);
        let arguments = [&[("TestFileLength", "20000000")], arguments].concat();
        // On a thread of its own, as in the agent.
        thread::scope(|scope| scope.spawn(|| measured(way, &arguments)).join()).expect("no panic");
        let most = peak.load(Ordering::Relaxed) - idle;
        println!("{way}, 8 connections: RssAnon {most} KiB above the {idle} KiB at rest");
    }
    over.store(true, Ordering::Relaxed);
    watch.join().expect("it only looks");
}
