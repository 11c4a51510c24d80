//! Device.DNS.Diagnostics.NSLookupDiagnostics: asks name servers by itself, for A and AAAA at once, each from a
//! socket with a port and an id of its own. A repetition is one row of results. Servers of the system are asked in
//! turn, as its resolver would; a server that is named is asked alone.

use super::dns::{Answer, Question, Type, Wrong};
use super::run::{self, Canceled, Run};
use super::socket::{self, Refusal};
use super::{Job, Kind, Record, Report};
use crate::sys::host;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Its entry of [`super::KINDS`].
pub const KIND: Kind =
    Kind { object: "Device.DNS.Diagnostics.NSLookupDiagnostics.", word: "nslookup", run, judge: super::any };

/// Servers that are asked in turn: as many as the C library takes from resolv.conf.
pub const MAX_SERVERS: usize = 3;
/// Domains of resolv.conf that are tried with a name that is not fully qualified.
pub const MAX_DOMAINS: usize = 3;
/// Messages that answer something else, until a server is no more listened to.
pub const MAX_STRAYS: usize = 256;
/// How long one run may take; repetitions that are left over are not done.
pub const MAX_TIME: Duration = Duration::from_secs(3600);
/// The longest message by UDP that is looked at; servers send no more than 512 to who does not ask for more.
const MAX_DATAGRAM: usize = 4096;
/// Where servers of the system stand; the first of these that names one counts. The second is OpenWrt's.
const RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/tmp/resolv.conf.d/resolv.conf.auto"];
/// Where name servers listen.
const PORT: u16 = 53;

/// How one question ended.
#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    Answer(Answer),
    /// Nothing listens there, or there is no way to it.
    Unavailable,
    Silent,
    /// It speaks, but not as it should.
    Broken,
}

/// One question under way.
struct Asked {
    question: Question,
    socket: UdpSocket,
    strays: usize,
    end: Option<End>,
}

/// What came of a repetition.
struct Outcome {
    status: &'static str,
    server: IpAddr,
    /// Until the first answer; `None` when there was none.
    time: Option<Duration>,
    name: String,
    is_authoritative: bool,
    addresses: Vec<IpAddr>,
}

/// What the system knows of names.
#[derive(Default, PartialEq, Eq, Debug)]
struct Resolver {
    servers: Vec<SocketAddr>,
    domains: Vec<String>,
}

fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let arguments = &job.arguments;
    let host = arguments.text("HostName");
    let mut resolver = Resolver::read(&job.around.root);
    if !arguments.text("DNSServer").is_empty() {
        resolver.servers = match named_servers(job, run) {
            Ok(servers) => servers,
            Err(refusal) => return refusal.end(),
        };
    }
    if resolver.servers.is_empty() {
        return Ok(Report::error("Error_DNSServerNotResolved", "the system names no DNS server"));
    }
    let names = names(host, &resolver.domains);
    if names.is_empty() {
        return Ok(Report::error("Error_Other", "the host is no name"));
    }
    let timeout = Duration::from_millis(arguments.number("Timeout").max(1));
    let until = run::after(MAX_TIME);
    let (mut rows, mut successes) = (Vec::new(), 0);
    for _ in 0..arguments.number("NumberOfRepetitions").max(1) {
        if Instant::now() >= until {
            break;
        }
        let outcome = look_up(job, &names, &resolver.servers, timeout, run)?;
        if run.is_shown() {
            run.show(&outcome.told());
        }
        successes += u32::from(outcome.status == "Success");
        rows.push(outcome.record());
    }
    // "A failure on all attempts means that DiagnosticsState SHOULD be Error_Other."
    let mut report = match successes {
        0 => Report::error("Error_Other", format!("{host}: no lookup succeeded")),
        _ => Report::complete(),
    };
    report.put("SuccessCount", successes);
    report.tables.push(("Result", rows));
    Ok(report)
}

/// The addresses of DNSServer.
fn named_servers(job: &Job, run: &Run) -> Result<Vec<SocketAddr>, Refusal> {
    let server = job.arguments.text("DNSServer");
    match socket::addresses(job, server, run) {
        Ok(found) => Ok(found.into_iter().take(MAX_SERVERS).map(|ip| SocketAddr::new(ip, PORT)).collect()),
        Err(Refusal::Report(report)) => Err(Report::error("Error_DNSServerNotResolved", report.why).into()),
        Err(canceled) => Err(canceled),
    }
}

/// What a host may be called: with the device's domain, unless it is fully qualified (it ends with a dot). As
/// resolvers do, a name that has a dot is tried as it is first.
fn names(host: &str, domains: &[String]) -> Vec<String> {
    if !socket::is_host(host) || host.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    if !host.ends_with('.') {
        names.extend(domains.iter().map(|domain| format!("{host}.{domain}")));
    }
    let at = if host.contains('.') { 0 } else { names.len() };
    names.insert(at, host.to_owned());
    names.retain(|name| Question::new(name, Type::A, 0).is_some());
    names
}

/// One repetition: the next server when one does not know what to say, the next name when there is none of it.
fn look_up(
    job: &Job,
    names: &[String],
    servers: &[SocketAddr],
    timeout: Duration,
    run: &Run,
) -> Result<Outcome, Canceled> {
    let mut last = None;
    'all: for name in names {
        for server in servers {
            let outcome = ask(job, name, *server, timeout, run)?;
            let (status, is_first) = (outcome.status, last.is_none());
            // What the first name came to is told when others come to no more.
            if is_first || status != "Error_HostNameNotResolved" {
                last = Some(outcome);
            }
            match status {
                "Success" => break 'all,
                "Error_HostNameNotResolved" => break,
                _ => {}
            }
        }
    }
    Ok(last.unwrap_or_else(|| Outcome::none(Ipv4Addr::UNSPECIFIED.into())))
}

/// Asks one server for both kinds of addresses.
fn ask(job: &Job, name: &str, server: SocketAddr, timeout: Duration, run: &Run) -> Result<Outcome, Canceled> {
    let (began, until) = (Instant::now(), run::after(timeout));
    let mut first = None;
    let mut asked: Vec<Asked> = Vec::new();
    for kind in [Type::A, Type::Aaaa] {
        let Some(question) = Question::new(name, kind, id()) else { return Ok(Outcome::none(server.ip())) };
        let sent = socket::udp(job, server).and_then(|socket| {
            // Else the kernel keeps to itself that there is no way to the server.
            match server.is_ipv4() {
                true => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
                false => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
            }
            socket.send(&question.message())?;
            Ok(socket)
        });
        match sent {
            Ok(socket) => asked.push(Asked { question, socket, strays: 0, end: None }),
            // Also ECONNREFUSED, when the answer to the other question was quick.
            Err(_) => return Ok(Outcome::of(server.ip(), None, vec![End::Unavailable])),
        }
    }
    loop {
        let open = || asked.iter().filter(|a| a.end.is_none());
        let mut wanted: Vec<_> = open().map(|a| (a.socket.as_fd(), PollFlags::POLLIN, false)).collect();
        if wanted.is_empty() || !run.wait(&mut wanted, until)? {
            break;
        }
        let ready: Vec<bool> = wanted.iter().map(|(_, _, ready)| *ready).collect();
        let open = asked.iter_mut().filter(|a| a.end.is_none());
        for (one, _) in open.zip(ready).filter(|(_, ready)| *ready) {
            one.hear(job, server, until, run)?;
            if matches!(one.end, Some(End::Answer(_))) {
                first.get_or_insert(began.elapsed());
            }
        }
    }
    let ends = asked.into_iter().map(|a| a.end.unwrap_or(End::Silent)).collect();
    Ok(Outcome::of(server.ip(), first, ends))
}

impl Asked {
    fn hear(&mut self, job: &Job, server: SocketAddr, until: Instant, run: &Run) -> Result<(), Canceled> {
        let mut buffer = [0; MAX_DATAGRAM];
        let length = match self.socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(_) => {
                self.end = Some(End::Unavailable);
                return Ok(());
            }
        };
        match self.question.answer(buffer.get(..length).unwrap_or_default()) {
            Ok(answer) if answer.is_truncated => {
                self.end = Some(by_stream(job, &self.question, server, until, run)?);
            }
            Ok(answer) => self.end = Some(End::Answer(answer)),
            Err(Wrong::Stray) if self.strays < MAX_STRAYS => self.strays += 1,
            Err(_) => self.end = Some(End::Broken),
        }
        Ok(())
    }
}

/// The same question by TCP, for an answer that did not fit.
fn by_stream(
    job: &Job,
    question: &Question,
    server: SocketAddr,
    until: Instant,
    run: &Run,
) -> Result<End, Canceled> {
    let Ok(mut stream) = connect(job, server) else { return Ok(End::Unavailable) };
    let message = question.message();
    let mut out = (message.len() as u16).to_be_bytes().to_vec();
    out.extend(message);
    let (mut sent, mut got) = (0, Vec::new());
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let flags = if sent < out.len() { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        if !run.wait(&mut [(stream.as_fd(), flags, false)], until)? {
            return Ok(End::Silent);
        }
        let rest = out.get(sent..).unwrap_or_default();
        let moved = match rest.is_empty() {
            false => stream.write(rest).inspect(|n| sent += n),
            true => stream.read(&mut buffer).inspect(|n| got.extend(buffer.get(..*n).unwrap_or_default())),
        };
        match moved {
            Ok(0) => return Ok(End::Broken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) if got.is_empty() => return Ok(End::Unavailable),
            Err(_) => return Ok(End::Broken),
            Ok(_) => {}
        }
        // Two octets say how long it is: 64 KiB at most.
        let [high, low, answer @ ..] = &got[..] else { continue };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if let Some(answer) = answer.get(..length) {
            return Ok(match question.answer(answer) {
                Ok(answer) if !answer.is_truncated => End::Answer(answer),
                _ => End::Broken,
            });
        }
    }
}

/// A connection that is begun.
fn connect(job: &Job, server: SocketAddr) -> io::Result<TcpStream> {
    use nix::sys::socket as kernel;
    let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = kernel::socket(family, SockType::Stream, flags, None)?;
    socket::dress(job, &fd, server.ip())?;
    match kernel::connect(fd.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error.into()),
    }
}

fn id() -> u16 {
    let mut bytes = [0; 2];
    // Without random numbers the port is still the kernel's.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

impl Outcome {
    fn none(server: IpAddr) -> Outcome {
        Outcome {
            status: "Error_Other",
            server,
            time: None,
            name: String::new(),
            is_authoritative: false,
            addresses: Vec::new(),
        }
    }

    /// What the answers to both questions come to.
    fn of(server: IpAddr, time: Option<Duration>, ends: Vec<End>) -> Outcome {
        let answers: Vec<&Answer> = ends
            .iter()
            .filter_map(|end| match end {
                End::Answer(answer) if answer.code == 0 || answer.code == 3 => Some(answer),
                _ => None,
            })
            .collect();
        let found = |answer: &&&Answer| !answer.addresses.is_empty();
        let status = if answers.iter().any(|answer| found(&answer)) {
            "Success"
        } else if answers.len() == ends.len() || answers.iter().any(|answer| answer.code == 3) {
            "Error_HostNameNotResolved"
        } else if ends.contains(&End::Unavailable) {
            "Error_DNSServerNotAvailable"
        } else if ends.contains(&End::Silent) {
            "Error_Timeout"
        } else {
            "Error_Other"
        };
        let of_use = || answers.iter().filter(found);
        let lists: Vec<&[IpAddr]> = of_use().map(|answer| answer.addresses.as_slice()).collect();
        Outcome {
            status,
            server,
            time,
            name: of_use().next().map(|answer| answer.name.clone()).unwrap_or_default(),
            is_authoritative: of_use().all(|answer| answer.is_authoritative),
            addresses: both(&lists),
        }
    }

    fn record(self) -> Record {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let answer_type = match (self.status, self.is_authoritative) {
            ("Success", true) => "Authoritative",
            ("Success", false) => "NonAuthoritative",
            _ => "None",
        };
        vec![
            ("Status", self.status.to_owned()),
            ("AnswerType", answer_type.to_owned()),
            ("HostNameReturned", self.name),
            ("IPAddresses", addresses.join(",")),
            ("DNSServerIP", self.server.to_string()),
            ("ResponseTime", self.time.map_or(0, milliseconds).to_string()),
        ]
    }

    fn told(&self) -> String {
        let time = self.time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        match self.addresses.is_empty() {
            true => format!("{}: {} after {time:.3} ms", self.server, self.status),
            false => {
                let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
                format!("{}: {} is {}, {time:.3} ms", self.server, self.name, all.join(", "))
            }
        }
    }
}

/// To the nearest; 0 would say that there was no answer.
fn milliseconds(time: Duration) -> u64 {
    ((time.as_micros() as u64 + 500) / 1000).max(1)
}

/// Ten addresses at most; none of two kinds takes more than half while the other has some.
fn both(lists: &[&[IpAddr]]) -> Vec<IpAddr> {
    const MOST: usize = super::dns::MAX_ADDRESSES;
    match lists {
        [one, other] => {
            let of_one = one.len().min((MOST / 2).max(MOST.saturating_sub(other.len())));
            one.iter().take(of_one).chain(*other).take(MOST).copied().collect()
        }
        _ => lists.iter().flat_map(|list| list.iter()).take(MOST).copied().collect(),
    }
}

impl Resolver {
    fn read(root: &Path) -> Resolver {
        let mut resolver = Resolver::default();
        for path in RESOLV_CONF {
            for line in host::read(root, path).unwrap_or_default().lines() {
                let mut words = line.split_ascii_whitespace();
                match words.next() {
                    Some("nameserver") if resolver.servers.len() < MAX_SERVERS => {
                        resolver.servers.extend(words.next().and_then(server));
                    }
                    // The last one counts.
                    Some("search" | "domain") => {
                        let known =
                            words.map(|word| word.trim_matches('.')).filter(|word| socket::is_host(word));
                        resolver.domains = known.take(MAX_DOMAINS).map(str::to_owned).collect();
                    }
                    _ => {}
                }
            }
            if !resolver.servers.is_empty() {
                break;
            }
        }
        resolver
    }
}

/// `192.0.2.53`, `fe80::1%eth0`
fn server(word: &str) -> Option<SocketAddr> {
    match word.split_once('%') {
        Some((address, device)) => {
            let scope = if_nametoindex(device).ok()?;
            Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into())
        }
        None => Some(SocketAddr::new(word.parse().ok()?, PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    fn answer(code: u8, addresses: &[&str]) -> End {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        End::Answer(Answer {
            code,
            addresses,
            name: "a.b".into(),
            is_authoritative: true,
            ..Answer::default()
        })
    }

    #[test]
    fn what_two_answers_come_to() {
        let four = answer(0, &["192.0.2.1"]);
        let (none, no_name, failure) = (answer(0, &[]), answer(3, &[]), answer(2, &[]));
        for (ends, status) in [
            (vec![four.clone(), none.clone()], "Success"),
            (vec![End::Silent, four.clone()], "Success"),
            (vec![none.clone(), none.clone()], "Error_HostNameNotResolved"),
            (vec![no_name.clone(), End::Silent], "Error_HostNameNotResolved"),
            (vec![none.clone(), End::Silent], "Error_Timeout"),
            (vec![End::Silent, End::Silent], "Error_Timeout"),
            (vec![End::Unavailable], "Error_DNSServerNotAvailable"),
            (vec![End::Silent, End::Unavailable], "Error_DNSServerNotAvailable"),
            (vec![failure.clone(), failure], "Error_Other"),
            (vec![End::Broken, none], "Error_Other"),
        ] {
            let outcome = Outcome::of(IpAddr::from([192, 0, 2, 53]), None, ends.clone());
            assert_eq!(outcome.status, status, "{ends:?}");
        }
        let record =
            Outcome::of([192, 0, 2, 53].into(), Some(Duration::from_micros(300)), vec![four]).record();
        let text: Vec<String> = record.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text.join(" "),
            "Status=Success AnswerType=Authoritative HostNameReturned=a.b IPAddresses=192.0.2.1 \
             DNSServerIP=192.0.2.53 ResponseTime=1"
        );
    }

    #[test]
    fn ten_addresses_of_both_kinds() {
        let some = |kind: u8, n: u8| -> Vec<IpAddr> { (0..n).map(|i| [10, 0, kind, i].into()).collect() };
        for (a, b, of_a, of_b) in [(3, 2, 3, 2), (10, 0, 10, 0), (10, 10, 5, 5), (10, 2, 8, 2), (1, 10, 1, 9)]
        {
            let found = both(&[&some(4, a), &some(6, b)]);
            let count = |kind: u8| {
                found.iter().filter(|ip| ip.to_string().starts_with(&format!("10.0.{kind}."))).count()
            };
            assert_eq!((count(4), count(6)), (of_a, of_b), "{a} {b}");
        }
        assert_eq!(both(&[&some(4, 10)]).len(), 10);
    }

    #[test]
    fn what_the_system_says() {
        let folder = Folder::new();
        assert_eq!(Resolver::read(folder.root()), Resolver::default());
        folder.file("tmp/resolv.conf.d/resolv.conf.auto", "search lan\nnameserver 192.0.2.7\n");
        let texts =
            |resolver: &Resolver| resolver.servers.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = Resolver::read(folder.root());
        assert_eq!((texts(&found), found.domains), (vec!["192.0.2.7:53".to_owned()], vec!["lan".to_owned()]));
        folder.file(
            "etc/resolv.conf",
            "# x\ndomain old.example\nnameserver ::1\nnameserver nonsense\nsearch a.example. ;id b.example c d\n\
             nameserver fe80::1%lo\nnameserver 192.0.2.8\nnameserver 192.0.2.9\n",
        );
        let found = Resolver::read(folder.root());
        assert_eq!(texts(&found), ["[::1]:53", "[fe80::1%1]:53", "192.0.2.8:53"]);
        assert_eq!(found.domains, ["a.example", "b.example", "c"]);
    }

    #[test]
    fn names_that_are_tried() {
        let domains = ["lan".to_owned()];
        assert_eq!(names("box", &domains), ["box.lan", "box"]);
        assert_eq!(names("www.example.org", &domains), ["www.example.org", "www.example.org.lan"]);
        assert_eq!(names("www.example.org.", &domains), ["www.example.org."]);
        for none in ["", "-f", ";id", "$(id)", "192.0.2.1", "::1", "a..b"] {
            assert!(names(none, &[]).is_empty(), "{none}");
        }
    }
}
