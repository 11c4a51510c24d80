//! Device.IP.Diagnostics.IPPing: ICMP echo, IPv4 and IPv6, measured in microseconds.
//!
//! One packet is on its way at a time: the next one goes when this one is answered, has met an error or has timed
//! out, and no sooner than [`SPACING`] after it. An answer counts for the packet that waits, and only if it comes
//! from the host, with its sequence number and every byte of its payload, some of which nobody can guess; what
//! comes late or twice counts for nothing. So each packet is a success or a failure (DG-12).
//!
//! * `Complete`: at least one packet went out; also when none was answered.
//! * `Error_CannotResolveHostName`: the host has no address of the wanted version, or is not a host at all.
//! * `Error_NoRouteToHost`: the kernel knows no way, or all that came back were ICMP errors that say so.
//! * `Error_Other`: no packet could be sent (a firewall of this device, a broadcast address, a payload too large), or
//!   [`MAX_TIME`] is over.
//! * `Error_Internal`: no socket, or an interface without a device.

use super::icmp::{self, Trouble, millis};
use super::run::{Canceled, Run, after};
use super::socket::{self, Refusal};
use super::{Job, Report};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, send, socket as open,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Between the beginnings of two packets, at least.
pub const SPACING: Duration = Duration::from_millis(20);
/// The longest that a test may take.
pub const MAX_TIME: Duration = Duration::from_secs(3600);
/// The largest payload; the type of `DataBlockSize` has the same bound.
const MAX_PAYLOAD: u64 = 65_507;
/// How often a packet is sent again because the kernel has learned that it must go in pieces.
const MAX_SMALLER: u32 = 3;

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
    let mut echo = Echo::toward(job, &addresses)?;
    let count = job.arguments.number("NumberOfRepetitions").clamp(1, u16::MAX.into()) as u16;
    let timeout = Duration::from_millis(job.arguments.number("Timeout"));
    let mut tally = Tally::default();
    for sequence in 1..=count {
        let began = Instant::now();
        let outcome = echo.one(sequence, timeout, run)?;
        tell(run, &echo, sequence, &outcome);
        let is_hopeless = matches!(outcome, Outcome::Unsent(Errno::EMSGSIZE));
        tally.count(outcome, echo.is_v6);
        if is_hopeless {
            // As large as the others: none of them can be sent.
            tally.failed += u64::from(count - sequence);
            tally.unsent += u64::from(count - sequence);
            break;
        }
        if sequence < count {
            if Instant::now() >= until {
                tally.is_late = true;
                break;
            }
            run.pause(began.checked_add(SPACING).unwrap_or(began))?;
        }
    }
    let mut report = tally.report();
    if let Some(address) = socket::local(job, echo.peer) {
        report.put("IPAddressUsed", address);
    }
    Ok(report)
}

/// What became of a packet.
#[derive(Debug)]
enum Outcome {
    /// After this time.
    Answered(Duration),
    Silent,
    Met(Trouble),
    /// It did not leave.
    Unsent(Errno),
}

fn tell(run: &mut Run, echo: &Echo, sequence: u16, outcome: &Outcome) {
    if !run.is_shown() {
        return;
    }
    let text = match outcome {
        Outcome::Answered(time) => {
            let (bytes, micros) = (echo.payload.len() + icmp::HEADER, time.as_micros());
            let (whole, part) = (micros / 1000, micros % 1000);
            format!("{bytes} bytes from {}: seq {sequence}, {whole}.{part:03} ms", echo.peer)
        }
        Outcome::Silent => format!("seq {sequence}: no answer in time"),
        Outcome::Met(trouble) => match (trouble.icmp, trouble.from) {
            (Some((kind, code)), Some(from)) => {
                format!(
                    "seq {sequence}: {from} answers ICMP type {kind}, code {code}: {}",
                    trouble.errno.desc()
                )
            }
            _ => format!("seq {sequence}: {}", trouble.errno.desc()),
        },
        Outcome::Unsent(error) => format!("seq {sequence}: cannot be sent: {}", error.desc()),
    };
    run.show(&text);
}

/// A socket toward the host.
struct Echo {
    fd: OwnedFd,
    peer: IpAddr,
    is_v6: bool,
    /// Raw sockets hear every echo of the host's; others get an identifier of their own from the kernel.
    id: Option<u16>,
    is_raw: bool,
    payload: Vec<u8>,
    buffer: Vec<u8>,
}

impl Echo {
    /// Toward the first of the addresses to which there is a way.
    fn toward(job: &Job, addresses: &[IpAddr]) -> Result<Echo, Refusal> {
        let mut why = io::Error::from(Errno::EADDRNOTAVAIL);
        for peer in addresses {
            match Echo::new(job, *peer) {
                Ok(echo) => return Ok(echo),
                Err(error) => why = error,
            }
        }
        Err(icmp::no_socket(&why).into())
    }

    fn new(job: &Job, peer: IpAddr) -> io::Result<Echo> {
        let is_v6 = peer.is_ipv6();
        let (family, protocol) = match is_v6 {
            true => (AddressFamily::Inet6, SockProtocol::IcmpV6),
            false => (AddressFamily::Inet, SockProtocol::Icmp),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Sockets for ping need no rights where net.ipv4.ping_group_range allows them.
        let (fd, is_raw) = match open(family, SockType::Datagram, flags, protocol) {
            Ok(fd) => (fd, false),
            Err(Errno::EACCES | Errno::EPERM | Errno::EPROTONOSUPPORT) => {
                let raw = open(family, SockType::Raw, flags, protocol);
                (raw.map_err(|e| io::Error::other(format!("no right to ping: {e}")))?, true)
            }
            Err(error) => return Err(error.into()),
        };
        socket::dress(job, &fd, peer)?;
        icmp::prepare(&fd, is_v6)?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(peer, 0)))?;
        let mut token = [0; 18];
        getrandom::fill(&mut token).map_err(|_| io::Error::from(Errno::EIO))?;
        let (id, secret) = token.split_at(2);
        let size = job.arguments.number("DataBlockSize").min(MAX_PAYLOAD) as usize;
        let payload = secret.iter().copied().cycle().take(size).collect();
        let id = is_raw.then(|| u16::from_be_bytes([id[0], id[1]]));
        Ok(Echo { fd, peer, is_v6, id, is_raw, payload, buffer: vec![0; size + 128] })
    }

    /// Sends a packet and waits for what becomes of it.
    fn one(&mut self, sequence: u16, timeout: Duration, run: &Run) -> Result<Outcome, Canceled> {
        let packet = icmp::request(self.is_v6, self.id.unwrap_or(0), sequence, &self.payload);
        let mut smaller = 0;
        loop {
            let sent = Instant::now();
            match send(self.fd.as_raw_fd(), &packet, MsgFlags::empty()) {
                Ok(_) => {}
                // An error of a packet before, which nobody waited for any more, is said here.
                Err(error) if smaller < MAX_SMALLER && self.is_of_another(error) => {
                    smaller += 1;
                    continue;
                }
                Err(error) => return Ok(Outcome::Unsent(error)),
            }
            match self.answer(sequence, sent, timeout, run)? {
                Outcome::Met(trouble) if trouble.is_too_large() && smaller < MAX_SMALLER => smaller += 1,
                outcome => return Ok(outcome),
            }
        }
    }

    /// Whether an error of sending is that of another packet: then there is something in the queue of errors.
    fn is_of_another(&mut self, error: Errno) -> bool {
        let came = icmp::next(&self.fd, &mut self.buffer, Instant::now());
        error != Errno::EMSGSIZE && matches!(came, Ok(Some(came)) if came.trouble.is_some())
    }

    fn answer(
        &mut self,
        sequence: u16,
        sent: Instant,
        timeout: Duration,
        run: &Run,
    ) -> Result<Outcome, Canceled> {
        let until = sent.checked_add(timeout).unwrap_or(sent);
        while run.wait(&mut [(self.fd.as_fd(), PollFlags::POLLIN, false)], until)? {
            let came = match icmp::next(&self.fd, &mut self.buffer, sent) {
                Ok(Some(came)) => came,
                Ok(None) => continue,
                Err(error) => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
                    return Ok(Outcome::Met(Trouble { icmp: None, from: None, errno }));
                }
            };
            let whole = self.buffer.get(..came.length).unwrap_or_default();
            if let Some(trouble) = came.trouble {
                let is_own = trouble.icmp.is_none() || icmp::is_request(whole, self.is_v6, self.id, sequence);
                if is_own {
                    return Ok(Outcome::Met(trouble));
                }
                continue;
            }
            let packet = if self.is_raw && !self.is_v6 { icmp::behind_header(whole) } else { whole };
            if icmp::is_reply(packet, self.is_v6, self.id, sequence, &self.payload) {
                let time = came.at.saturating_duration_since(sent);
                // In time by when it came, not by when we looked.
                return Ok(if time <= timeout { Outcome::Answered(time) } else { Outcome::Silent });
            }
        }
        Ok(Outcome::Silent)
    }
}

/// What there was so far.
#[derive(Default, Debug)]
struct Tally {
    succeeded: u64,
    failed: u64,
    /// Of those that failed, those to which the answer was that there is no way.
    no_route: u64,
    /// Of those that failed, those that did not leave; and why the last one did not.
    unsent: u64,
    why: Option<Errno>,
    /// Microseconds.
    total: u64,
    shortest: u64,
    longest: u64,
    /// The time of the whole test is over.
    is_late: bool,
}

impl Tally {
    fn count(&mut self, outcome: Outcome, is_v6: bool) {
        self.failed += 1;
        match outcome {
            Outcome::Answered(time) => {
                let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                self.failed -= 1;
                self.succeeded += 1;
                self.total = self.total.saturating_add(micros);
                self.longest = self.longest.max(micros);
                self.shortest = if self.succeeded == 1 { micros } else { self.shortest.min(micros) };
            }
            Outcome::Silent => {}
            Outcome::Met(trouble) if trouble.is_no_route(is_v6) => self.no_route += 1,
            Outcome::Met(_) => {}
            Outcome::Unsent(error) => match socket::is_no_route(&io::Error::from(error)) {
                true => self.no_route += 1,
                false => {
                    self.unsent += 1;
                    self.why = Some(error);
                }
            },
        }
    }

    fn report(&self) -> Report {
        let mut report = match self.failed {
            _ if self.is_late => Report::error("Error_Other", "the test took too long and was ended"),
            failed if self.succeeded > 0 || failed == 0 => Report::complete(),
            failed if failed == self.no_route => {
                Report::error("Error_NoRouteToHost", "all that came back were errors: there is no way to it")
            }
            failed => match self.why {
                Some(error) if self.unsent == failed => {
                    Report::error("Error_Other", format!("packets cannot be sent: {}", error.desc()))
                }
                _ => Report::complete(),
            },
        };
        let average = self.total.checked_div(self.succeeded).unwrap_or(0);
        report.put("SuccessCount", self.succeeded);
        report.put("FailureCount", self.failed);
        for (name, detailed, micros) in [
            ("AverageResponseTime", "AverageResponseTimeDetailed", average),
            ("MinimumResponseTime", "MinimumResponseTimeDetailed", self.shortest),
            ("MaximumResponseTime", "MaximumResponseTimeDetailed", self.longest),
        ] {
            report.put(name, millis(micros));
            report.put(detailed, micros);
        }
        report
    }
}

#[cfg(test)]
mod tests;
