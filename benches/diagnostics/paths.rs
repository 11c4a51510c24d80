//! Ping and trace: times beside ping's, losses beside what was dropped, hops beside traceroute's.

use super::net::{Bed, DEVICE, FAR, FAR6};
use super::{QUIET, at, number, ours};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket,
    sockopt,
};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

const ROUNDS: usize = 4;
const PACKETS: usize = 50;

/// Whether a program is there.
fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|o| o.status.success())
}

/// The tool, or that of busybox under the same name; with the words that call it.
fn tool(name: &'static str) -> Option<(String, Vec<&'static str>)> {
    match (has(name), has("busybox")) {
        (true, _) => Some((name.to_owned(), vec![name])),
        (_, true) => Some((format!("busybox {name}"), vec!["busybox", name])),
        _ => None,
    }
}

/// Round-trip times over the three hops, in milliseconds: averages of some rounds, ours and the tool's in turn.
pub fn ping(bed: &Bed) {
    for (sockets, range) in [("ping socket", "0 2147483647"), ("raw socket", "1 0")] {
        bed.sysctl("device", "ipv4/ping_group_range", range);
        for host in [FAR, FAR6] {
            let Some((name, words)) = tool("ping") else { return println!("ping: no tool to compare with") };
            let (mut own, mut other) = ([0.0; 2], [0.0; 2]);
            for _ in 0..ROUNDS {
                let count = PACKETS.to_string();
                let arguments = [
                    ("Host", host),
                    ("NumberOfRepetitions", &count),
                    ("Timeout", "1000"),
                    ("DataBlockSize", "56"),
                ];
                let said = ours(bed, "ping", &arguments);
                assert_eq!(number(&said, "SuccessCount"), PACKETS as f64);
                own[0] += number(&said, "MinimumResponseTimeDetailed") / 1000.0;
                own[1] += number(&said, "AverageResponseTimeDetailed") / 1000.0;
                let text =
                    bed.at("device", &[&words[..], &["-n", "-c", &count, "-i", "0.02", host]].concat());
                let times =
                    text.lines().find_map(|line| line.split_once("min/avg/max")).expect("a summary").1;
                let times = times.split_once("= ").expect("times").1;
                let mut times = times.split('/').map(|t| t.trim().trim_end_matches(" ms").parse::<f64>());
                for sum in &mut other {
                    *sum += times.next().expect("a time").expect("a number");
                }
            }
            let mean = |sums: [f64; 2]| sums.map(|sum| sum / ROUNDS as f64);
            let (own, other) = (mean(own), mean(other));
            let apart = (own[1] - other[1]).abs();
            println!(
                "ping {host:14} {sockets:11}  ours min {:.3} avg {:.3} ms   {name} min {:.3} avg {:.3} ms   apart \
                 {apart:.3} ms (allowed 0.200){}",
                own[0],
                own[1],
                other[0],
                other[1],
                if apart <= 0.2 { "" } else { "  MISSED" }
            );
        }
    }
}

/// A thousand packets, some of which are dropped: as the dropping rule counts them, where there is iptables, and as
/// a host counts those that it leaves unanswered.
pub fn loss(bed: &Bed) {
    if has("iptables") {
        let rule = "-p icmp --icmp-type echo-request -m statistic --mode nth --every 7 --packet 0 -j DROP";
        let add = ["-I", "FORWARD"].into_iter().chain(rule.split(' '));
        let words: Vec<&str> = ["iptables"].into_iter().chain(add).collect();
        bed.at("r1", &words);
        let said = thousand(bed);
        let text = bed.at("r1", &["iptables", "-L", "FORWARD", "-v", "-x", "-n"]);
        let line = text.lines().find(|line| line.contains("DROP")).expect("the rule");
        let dropped: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a counter");
        compare("iptables' nth", &said, dropped);
        bed.at("r1", &["iptables", "-F"]);
    } else {
        println!("loss, iptables' nth: no iptables here");
    }
    bed.sysctl("far", "ipv4/icmp_echo_ignore_all", "1");
    let mut host = at(bed, "far", QUIET).stdout(Stdio::piped()).spawn().expect("ip runs");
    let mut lines = BufReader::new(host.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    let said = thousand(bed);
    let silent = lines.next().expect("the host counts").parse().expect("a number");
    compare("a host that skips", &said, silent);
    host.wait().expect("the host");
}

fn thousand(bed: &Bed) -> Vec<(String, String)> {
    let arguments =
        [("Host", FAR), ("NumberOfRepetitions", "1000"), ("Timeout", "100"), ("DataBlockSize", "56")];
    ours(bed, "ping", &arguments)
}

fn compare(how: &str, said: &[(String, String)], dropped: f64) {
    let (won, lost) = (number(said, "SuccessCount"), number(said, "FailureCount"));
    let verdict = if lost == dropped && won + lost == 1000.0 { "exact" } else { "MISSED" };
    println!("loss, {how}: ours {lost} of {} lost, dropped {dropped}: {verdict}", won + lost);
}

/// Answers the pings of the far host in its kernel's place, but not each seventh; tells how many it left out of
/// 1,000.
pub fn quiet_host() {
    let raw =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp).expect("raw");
    setsockopt(&raw, sockopt::ReceiveTimeout, &nix::sys::time::TimeVal::new(30, 0)).expect("a deadline");
    println!("ready");
    let device =
        SockaddrIn::from(format!("{DEVICE}:0").parse::<std::net::SocketAddrV4>().expect("an address"));
    let (mut heard, mut silent) = (0, 0);
    while heard < 1000 {
        let mut buffer = [0; 256];
        let length = recv(raw.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("a packet");
        let packet = &mut buffer[20..length];
        if packet[0] != 8 {
            continue;
        }
        heard += 1;
        if heard % 7 == 0 {
            silent += 1;
            continue;
        }
        // The type goes from 8 to 0, and the sum of all with it (RFC 1624).
        packet[0] = 0;
        let sum = u32::from(u16::from_be_bytes([packet[2], packet[3]])) + 0x800;
        let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        sendto(raw.as_raw_fd(), packet, &device, MsgFlags::empty()).expect("sent");
    }
    println!("{silent}");
}

/// The list of hops.
pub fn trace(bed: &Bed) {
    for host in [FAR, FAR6] {
        let name = if host == FAR6 { "traceroute6" } else { "traceroute" };
        let Some((name, words)) = tool(name) else { return println!("trace: no tool to compare with") };
        let arguments = [
            ("Host", host),
            ("NumberOfTries", "3"),
            ("Timeout", "2000"),
            ("DataBlockSize", "32"),
            ("MaxHopCount", "30"),
        ];
        let said = ours(bed, "trace", &arguments);
        let own: Vec<&str> = said
            .iter()
            .filter(|(name, _)| name.ends_with(".HostAddress"))
            .map(|(_, value)| value.as_str())
            .collect();
        let text = bed.at("device", &[&words[..], &["-n", "-q", "1", host]].concat());
        let other: Vec<&str> =
            text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        let verdict = if own == other && own.len() >= 3 { "equal" } else { "MISSED" };
        println!("trace {host}: ours {}   {name} {}   {verdict}", own.join(" "), other.join(" "));
    }
}
