//! Device.IP.Diagnostics.UDPEchoDiagnostics: packets to a responder of UDP Echo or Echo Plus, and when they came
//! back. They leave at their times whether or not the one before has come back.

use super::echo::{self, Response};
use super::run::{Canceled, Run};
use super::time::Clock;
use super::{Job, Kind, Record, Report, socket};
use nix::poll::PollFlags;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Its entry of [`super::KINDS`].
pub const KIND: Kind =
    Kind { object: "Device.IP.Diagnostics.UDPEchoDiagnostics.", word: "udpecho", run, judge: super::any };

/// How long one run may be meant to take; what would take longer is not begun.
pub const MAX_TIME: Duration = Duration::from_secs(3600);
/// Packets of others that are looked at in one go, before the time is looked at again.
const BURST: usize = 64;

/// One packet.
struct Packet {
    number: u32,
    left: Instant,
    back: Option<(Duration, Response)>,
}

/// What a run needs to know.
struct Test {
    socket: UdpSocket,
    size: usize,
    count: usize,
    timeout: Duration,
    interval: Duration,
    packets: Vec<Packet>,
    clock: Clock,
}

/// Smallest, mean and largest of response times, in microseconds; all 0 when there are none (DG-12).
#[derive(Default, PartialEq, Eq, Debug, Clone, Copy)]
pub struct Times {
    /// How many there are.
    pub count: u32,
    /// All together.
    total: u64,
    /// The smallest.
    pub minimum: u64,
    /// The largest.
    pub maximum: u64,
}

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        // A time that the clock cannot tell from none is not "no answer".
        let micros = (time.as_micros() as u64).clamp(1, u32::MAX.into());
        self.minimum = if self.count == 0 { micros } else { self.minimum.min(micros) };
        self.maximum = self.maximum.max(micros);
        self.total = self.total.saturating_add(micros);
        self.count = self.count.saturating_add(1);
    }

    /// The mean, to the nearest.
    pub fn average(&self) -> u64 {
        let count = u64::from(self.count.max(1));
        (self.total + count / 2) / count
    }

    /// Into the results that go by the standard's names.
    pub fn put(&self, report: &mut Report) {
        report.put("AverageResponseTime", self.average());
        report.put("MinimumResponseTime", self.minimum);
        report.put("MaximumResponseTime", self.maximum);
    }
}

fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let arguments = &job.arguments;
    let addresses = match socket::addresses(job, arguments.text("Host"), run) {
        Ok(addresses) => addresses,
        Err(refusal) => return refusal.end(),
    };
    let count = arguments.number("NumberOfRepetitions").max(1);
    let timeout = Duration::from_millis(arguments.number("Timeout").max(1));
    let interval = Duration::from_millis(arguments.number("InterTransmissionTime").max(1));
    let expected = interval.saturating_mul(count.saturating_sub(1).min(u32::MAX.into()) as u32);
    if expected.saturating_add(timeout) > MAX_TIME {
        return Ok(Report::error(
            "Error_Other",
            format!("it would take longer than {} s", MAX_TIME.as_secs()),
        ));
    }
    let port = arguments.number("Port").clamp(1, 65_535) as u16;
    let Some(peer) = addresses.first().map(|address| SocketAddr::new(*address, port)) else {
        return Ok(Report::error("Error_Internal", "no address"));
    };
    let socket = match socket::udp(job, peer) {
        Ok(socket) => socket,
        Err(error) => return Ok(Report::error("Error_Other", format!("{peer}: {error}"))),
    };
    let used = socket.local_addr().map(|address| address.ip());
    let size = arguments.number("DataBlockSize").clamp(1, 65_535) as usize;
    let mut test = Test {
        socket,
        size,
        count: count as usize,
        timeout,
        interval,
        packets: Vec::new(),
        clock: Clock::new(),
    };
    if let Err(error) = test.measure(peer, run)? {
        return Ok(Report::error("Error_Other", format!("{peer}: {error}")));
    }
    let mut report = test.report(arguments.flag("EnableIndividualPacketResults"));
    if let Ok(address) = used {
        report.put("IPAddressUsed", address);
    }
    Ok(report)
}

impl Test {
    /// Sends all, and waits for what comes back. The inner error says that not even the first could be sent.
    fn measure(&mut self, peer: SocketAddr, run: &mut Run) -> Result<io::Result<()>, Canceled> {
        let begin = Instant::now();
        let first = random();
        loop {
            let sent = self.packets.len();
            let next =
                begin.checked_add(self.interval.saturating_mul(sent as u32)).filter(|_| sent < self.count);
            if next.is_some_and(|next| next <= Instant::now()) {
                if let Err(error) = self.send(first.wrapping_add(sent as u32))
                    && sent == 0
                {
                    return Ok(Err(error));
                }
                continue;
            }
            let is_open = self.packets.iter().any(|packet| packet.back.is_none());
            let last = self.packets.last().and_then(|packet| packet.left.checked_add(self.timeout));
            let until = match (next, last) {
                (Some(next), _) => next,
                (None, Some(last)) if is_open && Instant::now() < last => last,
                _ => return Ok(Ok(())),
            };
            if run.wait(&mut [(self.socket.as_fd(), PollFlags::POLLIN, false)], until)? {
                self.hear(peer, run);
            }
        }
    }

    fn send(&mut self, number: u32) -> io::Result<()> {
        let data = echo::request(self.size, number, self.packets.len() as u32 + 1);
        self.packets.push(Packet { number, left: Instant::now(), back: None });
        let sent = match self.socket.send(&data) {
            // That nobody listens was the answer to an earlier packet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.socket.send(&data),
            sent => sent,
        };
        sent.map(drop)
    }

    fn hear(&mut self, peer: SocketAddr, run: &mut Run) {
        // One octet more, to see what is too long.
        let mut buffer = vec![0; self.size + 1];
        for _ in 0..BURST {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP's word that nobody listens: the packet is lost, as others are.
                Err(_) => continue,
            };
            let now = Instant::now();
            let data = buffer.get(..length).unwrap_or_default();
            let Some((at, said)) = self.answered(data) else { continue };
            let Some(packet) = self.packets.get_mut(at) else { continue };
            let took = now.saturating_duration_since(packet.left);
            if took <= self.timeout {
                packet.back = Some((took, said));
                if run.is_shown() {
                    let time = took.as_secs_f64() * 1000.0;
                    run.show(&format!("{length} bytes from {peer}: packet {}, {time:.3} ms", at + 1));
                }
            }
        }
    }

    /// Which packet this answers: the youngest, where there is no room for a whole number.
    fn answered(&self, data: &[u8]) -> Option<(usize, Response)> {
        let open = self.packets.iter().enumerate().rev().filter(|(_, packet)| packet.back.is_none());
        let now = Instant::now();
        for (at, packet) in open {
            if now.saturating_duration_since(packet.left) > self.timeout {
                break;
            }
            let wide = data.len().min(4);
            if data.get(..wide) != packet.number.to_be_bytes().get(4 - wide..) {
                continue;
            }
            let request = echo::request(self.size, packet.number, at as u32 + 1);
            if let Some(said) = echo::response(&request, data) {
                return Some((at, said));
            }
        }
        None
    }

    fn report(&self, single: bool) -> Report {
        let mut times = Times::default();
        self.packets.iter().filter_map(|packet| packet.back).for_each(|(took, _)| times.add(took));
        let mut report = Report::complete();
        report.put("SuccessCount", times.count);
        report.put("FailureCount", self.count.saturating_sub(times.count as usize));
        times.put(&mut report);
        if single {
            let rows =
                self.packets.iter().take(super::MAX_ROWS).map(|packet| packet.record(&self.clock)).collect();
            report.tables.push((super::board::PACKETS, rows));
        }
        report
    }
}

impl Packet {
    fn record(&self, clock: &Clock) -> Record {
        let mut record = vec![
            ("PacketSuccess", self.back.is_some().to_string()),
            ("PacketSendTime", clock.text(self.left)),
            ("TestGenSN", self.number.to_string()),
        ];
        if let Some((took, said)) = self.back {
            record.push(("PacketReceiveTime", clock.text(self.left.checked_add(took).unwrap_or(self.left))));
            record.push(("TestRespSN", said.number.to_string()));
            record.push(("TestRespRcvTimeStamp", said.received.to_string()));
            record.push(("TestRespReplyTimeStamp", said.replied.to_string()));
            record.push(("TestRespReplyFailureCount", said.failures.to_string()));
        }
        record
    }
}

/// TestGenSN of the first packet: who does not see the packets cannot answer them.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_none_are_0_dg_12() {
        let mut times = Times::default();
        assert_eq!((times.average(), times.minimum, times.maximum), (0, 0, 0));
        times.add(Duration::from_nanos(10));
        assert_eq!((times.average(), times.minimum, times.maximum), (1, 1, 1));
        times.add(Duration::from_micros(4));
        assert_eq!((times.average(), times.minimum, times.maximum, times.count), (3, 1, 4, 2));
        times.add(Duration::from_secs(100_000));
        assert_eq!(times.maximum, u64::from(u32::MAX));
    }

    #[test]
    fn answers_find_their_packets() {
        let test = |size: usize, numbers: &[u32]| {
            let packet = |number: &u32| Packet { number: *number, left: Instant::now(), back: None };
            Test {
                socket: UdpSocket::bind("127.0.0.1:0").expect("a socket"),
                size,
                count: numbers.len(),
                timeout: Duration::from_secs(3600),
                interval: Duration::from_secs(1),
                packets: numbers.iter().map(packet).collect(),
                clock: Clock::new(),
            }
        };
        let whole = test(24, &[5, 6, 7]);
        let at = |test: &Test, data: &[u8]| test.answered(data).map(|(at, _)| at);
        assert_eq!(at(&whole, &echo::request(24, 6, 2)), Some(1));
        assert_eq!(at(&whole, &echo::request(24, 6, 3)), None, "the iteration of another");
        assert_eq!(at(&whole, &echo::request(24, 9, 2)), None);
        assert_eq!(at(&whole, &echo::request(25, 6, 2)), None, "too long");
        let small = test(1, &[0x1ff, 0x200, 0x2ff]);
        assert_eq!(at(&small, &[0]), Some(1));
        assert_eq!(at(&small, &[0xff]), Some(2), "the youngest");
        assert_eq!(at(&small, &[]), None);
        let report = small.report(true);
        let value = |name: &str| report.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!((value("SuccessCount"), value("FailureCount")), (Some("0"), Some("3")));
        assert_eq!(report.tables[0].1.len(), 3);
    }
}
