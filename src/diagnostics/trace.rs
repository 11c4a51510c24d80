//! Device.IP.Diagnostics.TraceRoute: datagrams whose time to live grows by one from hop to hop, and the ICMP errors
//! that they meet, as the kernel's queue of errors gives them: no rights are needed.
//!
//! Each try has a socket and a port of its own (33434 and up, as traceroute's), so that no answer is taken for that
//! of another. The host is reached when it says that nobody takes datagrams at that port, or answers with one.
//! `RTTimes` has one number a try: 0 for one that was not answered, else at least 1. `Host` is the hop's address
//! as `HostAddress` is: no name is asked for, which would take longer than the rest.
//!
//! * `Complete`: the host was reached.
//! * `Error_MaxHopCountExceeded`: it was not within so many hops.
//! * `Error_CannotResolveHostName`: the host has no address of the wanted version, or is not a host at all.
//! * `Error_NoRouteToHost`: the kernel knows no way, or somebody on the way says that there is none.
//! * `Error_Other`: somebody on the way forbids it, a datagram cannot be sent (a broadcast address), or [`MAX_TIME`] is over.
//! * `Error_Internal`: no socket, or an interface without a device.
//!
//! The hops found are told in each case.

use super::icmp::{self, Trouble, millis};
use super::run::{Canceled, Run, after};
use super::socket::{self, Refusal};
use super::{Job, Record, Report};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The port of the first try.
const PORT: u16 = 33_434;
/// The longest that a test may take.
pub const MAX_TIME: Duration = Duration::from_secs(3600);
/// The largest payload; the type of `DataBlockSize` has the same bound.
const MAX_PAYLOAD: u64 = 65_507;
/// How often a datagram is sent again because the kernel has learned that it must go in pieces.
const MAX_SMALLER: u32 = 3;
/// Of what comes back; no more of it is looked at.
const BUFFER: usize = 512;

/// The test.
///
/// # Errors
/// It was canceled.
pub fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    test(job, run).or_else(Refusal::end)
}

fn test(job: &Job, run: &mut Run) -> Result<Report, Refusal> {
    let until = after(MAX_TIME);
    let addresses = socket::addresses(job, job.arguments.text("Host"), run)?;
    let peer = way(job, &addresses)?;
    let is_v6 = peer.is_ipv6();
    let payload = vec![0; job.arguments.number("DataBlockSize").min(MAX_PAYLOAD) as usize];
    let timeout = Duration::from_millis(job.arguments.number("Timeout"));
    let tries = job.arguments.number("NumberOfTries").clamp(1, 3);
    let mut port = PORT;
    let mut hops: Vec<Hop> = Vec::new();
    let mut end = None;
    for ttl in 1..=job.arguments.number("MaxHopCount").clamp(1, 64) as i32 {
        let mut hop = Hop::default();
        for _ in 0..tries {
            let outcome = match Try::new(job, SocketAddr::new(peer, port), ttl) {
                Ok(one) => one.go(&payload, timeout, run)?,
                Err(error) => Outcome::Unsent(error),
            };
            port += 1;
            hop.note(outcome, peer);
            if Instant::now() >= until {
                hop.end.get_or_insert(End::Late);
            }
            if matches!(hop.end, Some(End::Late | End::Unsent(_))) {
                break;
            }
        }
        tell(run, ttl, &hop);
        end = hop.end.clone();
        let is_empty = matches!(end, Some(End::Unsent(_))) && hop.from.is_none();
        if !is_empty {
            hops.push(hop);
        }
        if end.is_some() {
            break;
        }
    }
    let mut report = told(end, &hops, is_v6);
    if let Some(address) = socket::local(job, peer) {
        report.put("IPAddressUsed", address);
    }
    Ok(report)
}

/// The first of the addresses to which there is a way.
fn way(job: &Job, addresses: &[IpAddr]) -> Result<IpAddr, Refusal> {
    let mut why = io::Error::from(Errno::EADDRNOTAVAIL);
    for peer in addresses {
        match socket::udp(job, SocketAddr::new(*peer, PORT)) {
            Ok(_) => return Ok(*peer),
            Err(error) => why = error,
        }
    }
    Err(icmp::no_socket(&why).into())
}

/// What became of a datagram.
enum Outcome {
    /// The host has answered with one.
    Answered(Duration),
    Met(Trouble, Duration),
    Silent,
    /// It did not leave.
    Unsent(io::Error),
}

/// Why no further hop is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    Reached,
    /// Somebody says that there is no way.
    NoRoute,
    /// Somebody forbids it, or knows no such protocol.
    Forbidden,
    Unsent(String),
    Late,
}

/// A datagram with its own socket.
struct Try(UdpSocket);

impl Try {
    fn new(job: &Job, peer: SocketAddr, ttl: i32) -> io::Result<Try> {
        let socket = socket::udp(job, peer)?;
        let is_v6 = peer.is_ipv6();
        match is_v6 {
            true => setsockopt(&socket, sockopt::Ipv6Ttl, &ttl)?,
            false => setsockopt(&socket, sockopt::Ipv4Ttl, &ttl)?,
        }
        icmp::prepare(&socket, is_v6)?;
        Ok(Try(socket))
    }

    fn go(&self, payload: &[u8], timeout: Duration, run: &Run) -> Result<Outcome, Canceled> {
        let mut buffer = vec![0; BUFFER];
        for _ in 0..=MAX_SMALLER {
            let sent = Instant::now();
            if let Err(error) = self.0.send(payload) {
                return Ok(Outcome::Unsent(error));
            }
            let until = sent.checked_add(timeout).unwrap_or(sent);
            match self.answer(&mut buffer, sent, until, run)? {
                Outcome::Met(trouble, _) if trouble.is_too_large() => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Silent)
    }

    fn answer(
        &self,
        buffer: &mut [u8],
        sent: Instant,
        until: Instant,
        run: &Run,
    ) -> Result<Outcome, Canceled> {
        while run.wait(&mut [(self.0.as_fd(), PollFlags::POLLIN, false)], until)? {
            match icmp::next(&self.0, buffer, sent) {
                Ok(Some(came)) => {
                    let time = came.at.saturating_duration_since(sent);
                    let is_of_icmp = |trouble: &Trouble| trouble.icmp.is_some() || trouble.is_too_large();
                    match came.trouble {
                        _ if came.at > until => return Ok(Outcome::Silent),
                        None => return Ok(Outcome::Answered(time)),
                        Some(trouble) if is_of_icmp(&trouble) => return Ok(Outcome::Met(trouble, time)),
                        Some(trouble) => return Ok(Outcome::Unsent(trouble.errno.into())),
                    }
                }
                Ok(None) => {}
                Err(error) => return Ok(Outcome::Unsent(error)),
            }
        }
        Ok(Outcome::Silent)
    }
}

/// What is known of a hop.
#[derive(Default, Debug)]
struct Hop {
    /// Who answered last.
    from: Option<IpAddr>,
    /// The code of its ICMP message.
    code: u8,
    /// Microseconds of each try; `None` for one without an answer.
    times: Vec<Option<u64>>,
    end: Option<End>,
}

impl Hop {
    fn note(&mut self, outcome: Outcome, peer: IpAddr) {
        let is_v6 = peer.is_ipv6();
        let (from, code, time, end) = match outcome {
            Outcome::Silent => return self.times.push(None),
            Outcome::Unsent(error) => {
                let end = match socket::is_no_route(&error) {
                    true => End::NoRoute,
                    false => End::Unsent(error.to_string()),
                };
                self.end.get_or_insert(end);
                return self.times.push(None);
            }
            Outcome::Answered(time) => (Some(peer), 0, time, Some(End::Reached)),
            Outcome::Met(trouble, time) => {
                let code = trouble.icmp.map_or(0, |(_, code)| code);
                let end = match &trouble {
                    _ if trouble.is_exceeded(is_v6) => None,
                    // Whatever the host itself refuses, it was reached.
                    _ if trouble.is_port(is_v6) || trouble.from == Some(peer) => Some(End::Reached),
                    _ if trouble.is_no_route(is_v6) => Some(End::NoRoute),
                    _ => Some(End::Forbidden),
                };
                (trouble.from, code, time, end)
            }
        };
        (self.from, self.code) = (from.or(self.from), code);
        self.times.push(Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
        // One try that has reached it is enough.
        if end == Some(End::Reached) || self.end.is_none() {
            self.end = end;
        }
    }

    fn record(&self) -> Record {
        let from = self.from.map_or(String::new(), |from| from.to_string());
        let times: Vec<String> = self.times.iter().map(|t| t.map_or(0, whole).to_string()).collect();
        vec![
            ("Host", from.clone()),
            ("HostAddress", from),
            ("ErrorCode", self.code.to_string()),
            ("RTTimes", times.join(",")),
        ]
    }

    /// Milliseconds, of the tries that were answered.
    fn average(&self) -> u64 {
        let (mut sum, mut count) = (0u64, 0);
        for time in self.times.iter().flatten() {
            sum = sum.saturating_add(*time);
            count += 1;
        }
        sum.checked_div(count).map_or(0, whole)
    }
}

/// Milliseconds of an answer: 0 is kept for none.
fn whole(micros: u64) -> u64 {
    millis(micros).max(1)
}

fn tell(run: &mut Run, ttl: i32, hop: &Hop) {
    if !run.is_shown() {
        return;
    }
    let time = |time: &Option<u64>| match time {
        Some(micros) => format!("{}.{:03} ms", micros / 1000, micros % 1000),
        None => "*".to_owned(),
    };
    let times: Vec<String> = hop.times.iter().map(time).collect();
    let from = hop.from.map_or("no answer".to_owned(), |from| from.to_string());
    run.show(&format!("{ttl:2}  {from}  {}", times.join("  ")));
}

fn told(end: Option<End>, hops: &[Hop], is_v6: bool) -> Report {
    let last = hops.last();
    let code = last.map_or(0, |hop| hop.code);
    let version = if is_v6 { "ICMPv6" } else { "ICMP" };
    let mut report = match &end {
        Some(End::Reached) => Report::complete(),
        Some(End::NoRoute) => Report::error("Error_NoRouteToHost", "the way ends before the host"),
        Some(End::Forbidden) => {
            Report::error("Error_Other", format!("somebody on the way refuses it ({version}, code {code})"))
        }
        Some(End::Unsent(why)) => Report::error("Error_Other", format!("a datagram cannot be sent: {why}")),
        Some(End::Late) => Report::error("Error_Other", "the test took too long and was ended"),
        None => Report::error("Error_MaxHopCountExceeded", format!("not reached within {} hops", hops.len())),
    };
    // If no route could be determined, this is 0.
    let time = last.filter(|_| end == Some(End::Reached)).map_or(0, Hop::average);
    report.put("ResponseTime", time);
    report.tables.push(("RouteHops", hops.iter().map(Hop::record).collect()));
    report
}

#[cfg(test)]
mod tests;
