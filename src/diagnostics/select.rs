//! Device.IP.Diagnostics.ServerSelectionDiagnostics: which of some hosts answers fastest. The hosts are asked in
//! rounds, one after the other, so that a busy moment meets all of them; one answers, or is given up, before the
//! next is asked.

use super::echo;
use super::ping;
use super::run::{self, Canceled, Run};
use super::socket::{self, Refusal};
use super::udpecho::Times;
use super::{Job, Kind, Report};
use nix::poll::PollFlags;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Its entry of [`super::KINDS`].
pub const KIND: Kind = Kind {
    object: "Device.IP.Diagnostics.ServerSelectionDiagnostics.",
    word: "select",
    run,
    judge: super::any,
};

/// Hosts of one run, as the standard has it.
pub const MAX_HOSTS: usize = 10;
/// How long one run may take; rounds that are left over are not done.
pub const MAX_TIME: Duration = Duration::from_secs(3600);
/// Where UDP Echo is served (RFC 862): the object has no parameter for it.
const PORT: u16 = 7;

/// What asks one host.
trait Probe {
    /// One packet and its answer; `None` when there was none in time.
    fn ask(&mut self, number: u16, timeout: Duration, run: &Run) -> Result<Option<Duration>, Canceled>;
    /// The address that packets leave from.
    fn from(&self) -> Option<IpAddr>;
}

/// A host that takes part.
struct Entrant<'a> {
    host: &'a str,
    probe: Box<dyn Probe>,
    times: Times,
}

fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let arguments = &job.arguments;
    let hosts = arguments.text("HostList").split(',').map(str::trim).filter(|host| !host.is_empty());
    let (mut entrants, mut refused) = (Vec::new(), None);
    for host in hosts.take(MAX_HOSTS) {
        match enter(job, host, run) {
            Ok(probe) => entrants.push(Entrant { host, probe, times: Times::default() }),
            Err(Refusal::Canceled) => return Err(Canceled),
            // Whom nobody knows does not take part; what the first one lacked is told when nobody does.
            Err(Refusal::Report(report)) => drop(refused.get_or_insert(report)),
        }
    }
    if entrants.is_empty() {
        let empty = || Box::new(Report::error("Error_Other", "HostList is empty"));
        return Ok(*refused.unwrap_or_else(empty));
    }
    let timeout = Duration::from_millis(arguments.number("Timeout").max(1));
    let until = run::after(MAX_TIME);
    for round in 0..arguments.number("NumberOfRepetitions").max(1) {
        for entrant in &mut entrants {
            if Instant::now() >= until {
                break;
            }
            let took = entrant.probe.ask(round as u16, timeout, run)?;
            if let Some(took) = took {
                entrant.times.add(took);
            }
            if run.is_shown() {
                let time = took.map(|took| format!("{:.3} ms", took.as_secs_f64() * 1000.0));
                run.show(&format!("{}: {}", entrant.host, time.unwrap_or_else(|| "no answer".to_owned())));
            }
        }
    }
    Ok(result(&entrants))
}

/// The smallest average; the first in the list of several.
fn result(entrants: &[Entrant<'_>]) -> Report {
    let mut report = Report::complete();
    let answered = entrants.iter().filter(|entrant| entrant.times.count > 0);
    let fastest = answered.min_by_key(|entrant| entrant.times.average());
    match fastest {
        Some(fastest) => {
            report.put("FastestHost", fastest.host);
            if let Some(address) = fastest.probe.from() {
                report.put("IPAddressUsed", address);
            }
            fastest.times.put(&mut report);
        }
        None => Times::default().put(&mut report),
    }
    report
}

fn enter(job: &Job, host: &str, run: &Run) -> Result<Box<dyn Probe>, Refusal> {
    let found = socket::addresses(job, host, run)?;
    let other = |error: io::Error| Report::error("Error_Other", format!("{host}: {error}"));
    let address = *found.first().ok_or_else(|| other(io::ErrorKind::NotFound.into()))?;
    match job.arguments.text("Protocol") {
        "UDP Echo" => {
            let socket = socket::udp(job, SocketAddr::new(address, PORT)).map_err(other)?;
            Ok(Box::new(Echo { socket }))
        }
        _ => {
            let echo = ping::Echo::toward(&pinging(job), &found).map_err(no_way)?;
            let from = socket::local(job, echo.peer);
            Ok(Box::new(Icmp { echo, from }))
        }
    }
}

/// The job of a ping: with a payload that nobody can guess.
fn pinging(job: &Job) -> Job {
    let mut arguments = job.arguments.clone();
    arguments.set("DataBlockSize", "24");
    Job { arguments, device: job.device.clone(), around: job.around.clone() }
}

/// This object has no word for what ping calls no route.
fn no_way(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Report(report) if report.state == "Error_NoRouteToHost" => {
            Report::error("Error_Other", report.why).into()
        }
        refusal => refusal,
    }
}

/// ICMP.
struct Icmp {
    echo: ping::Echo,
    from: Option<IpAddr>,
}

impl Probe for Icmp {
    fn ask(&mut self, number: u16, timeout: Duration, run: &Run) -> Result<Option<Duration>, Canceled> {
        Ok(match self.echo.one(number, timeout, run)? {
            ping::Outcome::Answered(took) => Some(took),
            _ => None,
        })
    }

    fn from(&self) -> Option<IpAddr> {
        self.from
    }
}

/// UDP Echo.
struct Echo {
    socket: UdpSocket,
}

impl Probe for Echo {
    fn ask(&mut self, number: u16, timeout: Duration, run: &Run) -> Result<Option<Duration>, Canceled> {
        let mut salt = [0; 2];
        // The number alone could be guessed.
        let _ = getrandom::fill(&mut salt);
        let number = u32::from(number) << 16 | u32::from(u16::from_be_bytes(salt));
        let request = echo::request(echo::WHOLE, number, 1);
        let (left, until) = (Instant::now(), run::after(timeout));
        // An error that an earlier packet has brought back stands before this one.
        if self.socket.send(&request).is_err() && self.socket.send(&request).is_err() {
            run.pause(until)?;
            return Ok(None);
        }
        let mut buffer = [0; echo::WHOLE + 1];
        while run.wait(&mut [(self.socket.as_fd(), PollFlags::POLLIN, false)], until)? {
            if let Ok(length) = self.socket.recv(&mut buffer)
                && echo::response(&request, buffer.get(..length).unwrap_or_default()).is_some()
            {
                return Ok(Some(left.elapsed()));
            }
            // What answers nothing must not make the wait longer.
            if Instant::now() >= until {
                break;
            }
        }
        Ok(None)
    }

    fn from(&self) -> Option<IpAddr> {
        Some(self.socket.local_addr().ok()?.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Probe for Fixed {
        fn ask(&mut self, _: u16, _: Duration, _: &Run) -> Result<Option<Duration>, Canceled> {
            Ok(None)
        }

        fn from(&self) -> Option<IpAddr> {
            Some([192, 0, 2, 9].into())
        }
    }

    #[test]
    fn the_smallest_average_wins() {
        let entrant = |host: &'static str, micros: &[u64]| {
            let mut times = Times::default();
            micros.iter().for_each(|n| times.add(Duration::from_micros(*n)));
            Entrant { host, probe: Box::new(Fixed), times }
        };
        let list =
            [entrant("dead", &[]), entrant("slow", &[10, 30]), entrant("a", &[5, 25]), entrant("b", &[15])];
        let report = result(&list);
        let text: Vec<String> = report.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text.join(" "),
            "FastestHost=a IPAddressUsed=192.0.2.9 AverageResponseTime=15 MinimumResponseTime=5 \
             MaximumResponseTime=25"
        );
        let none = result(&list[..1]);
        assert_eq!(none.state, "Complete");
        assert!(none.values.iter().all(|(_, value)| value == "0"), "{:?}", none.values);
    }
}
