//! Device.SelfTestDiagnostics: one line for each thing that the agent stands on, for a person to read.
//!
//! A test that could look at everything is Complete, whatever it found: what is not well is in the report, in lines
//! that begin with `FAILED`. Nothing secret is in it: neither passwords nor the path of connection requests.

use super::run::{Canceled, Run, after};
use super::socket::{self, Refusal};
use super::{Job, Kind, Report};
use crate::net::client::{Client, Error, Options};
use crate::net::url::Url;
use crate::sys::{clock, file, x509};
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr, connect, getsockopt, socket as open,
    sockopt,
};
use nix::sys::statvfs::{FsFlags, statvfs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// The test.
pub const KIND: Kind =
    Kind { object: "Device.SelfTestDiagnostics.", word: "selftest", run, judge: super::any };

/// The most of one line, in bytes: ten of them fit into `Results`.
const MAX_LINE: usize = 100;
/// The largest file of certificates that is read, in bytes.
const MAX_PEM: u64 = 1024 * 1024;
/// How long the device itself may take to answer at one of its own sockets.
const OWN_ANSWER: Duration = Duration::from_secs(3);
/// Less than this is not enough to go on with, in KiB.
const LITTLE: u64 = 256;

/// What the agent tells this test.
pub mod fact {
    /// The URL of the ACS in use.
    pub const ACS: &str = "acs";
    /// What is wrong with the journal; empty when it is well.
    pub const JOURNAL: &str = "journal";
    /// What is wrong with an overlay; one for each.
    pub const OVERLAY: &str = "overlay";
    /// A source of values that is not well; one for each.
    pub const TROUBLE: &str = "trouble";
    /// Where the journal lies.
    pub const STATE_DIR: &str = "state_dir";
    /// Where all else lies.
    pub const RUN_DIR: &str = "run_dir";
    /// The file of the client's certificate, when there is one with a key.
    pub const CERTIFICATE: &str = "certificate";
    /// The file of its key.
    pub const KEY: &str = "key";
    /// The interface by which sessions leave, when one is set.
    pub const INTERFACE: &str = "interface";
    /// Host and port where connection requests are taken; nothing when they are not.
    pub const DOOR: &str = "door";
    /// Something, when no request is let in there, since nobody has set ConnectionRequestUsername.
    pub const CLOSED: &str = "closed";
    /// The socket of ubusd, where there is to be one.
    pub const UBUS: &str = "ubus";
}

/// What a look at something says: a word for a person, or what is wrong.
type Look = Result<String, String>;

/// The report while it grows.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, run: &mut Run, name: &str, look: Look) {
        let (word, text) = match &look {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        // One line each, whatever words of others are in it.
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut line: String = format!("{word} {name}: {text}").chars().map(clean).collect();
        while line.len() > MAX_LINE {
            line.pop();
        }
        run.show(&line);
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&line);
    }
}

/// Does it.
///
/// # Errors
/// It was canceled.
pub fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let facts = &job.around.facts;
    let mut lines = Lines::default();
    lines.add(run, "journal", journal(facts.text(fact::JOURNAL), facts.text(fact::STATE_DIR)));
    lines.add(run, "run folder", space(Path::new(facts.text(fact::RUN_DIR))));
    let overlay: Vec<&str> = facts.all(fact::OVERLAY).collect();
    lines.add(run, "overlay", none_of(&overlay, "all files were read"));
    let trouble: Vec<&str> = facts.all(fact::TROUBLE).collect();
    lines.add(run, "sources", none_of(&trouble, "none has failed"));
    if !facts.text(fact::UBUS).is_empty() {
        let look = ubus(facts.text(fact::UBUS), run)?;
        lines.add(run, "ubus", look);
    }
    let options = &job.around.options;
    let now = clock::now();
    lines.add(
        run,
        "clock",
        match options.clock_set {
            true => Ok(clock::utc(now.wall)),
            false => Err(format!("not set, it says {}", clock::utc(now.wall))),
        },
    );
    let believed = options.clock_set.then_some(now.wall);
    let url = Url::parse(facts.text(fact::ACS));
    let https = url.as_ref().is_ok_and(|url| url.https);
    lines.add(run, "roots", roots(options.ca_file.as_deref(), https, believed));
    lines.add(run, "certificate", own_certificate(facts.text(fact::CERTIFICATE), believed));
    let url = match url {
        Ok(url) => url,
        Err(_) => {
            lines.add(run, "acs", Err("no ACS is known".to_owned()));
            return Ok(report(lines));
        }
    };
    let look = names(job, &url, run)?;
    lines.add(run, "dns", look);
    let look = acs(job, run)?;
    lines.add(run, "acs", look);
    let look = door(facts.text(fact::DOOR), !facts.text(fact::CLOSED).is_empty(), run)?;
    lines.add(run, "connection request", look);
    Ok(report(lines))
}

fn report(lines: Lines) -> Report {
    let mut report = Report::complete();
    report.put("Results", lines.0);
    report
}

fn none_of(all: &[&str], well: &str) -> Look {
    match all {
        [] => Ok(well.to_owned()),
        [only] => Err((*only).to_owned()),
        [first, rest @ ..] => Err(format!("{first} (and {} more)", rest.len())),
    }
}

fn journal(problem: &str, folder: &str) -> Look {
    let room = space(Path::new(folder))?;
    match problem {
        "" => Ok(format!("healthy, {room}")),
        problem => Err(problem.to_owned()),
    }
}

/// Whether a folder can be written, by what the system says of it: nothing is written, flash wears out.
fn space(folder: &Path) -> Look {
    let disk = statvfs(folder).map_err(|e| format!("{}: {}", folder.display(), e.desc()))?;
    if disk.flags().contains(FsFlags::ST_RDONLY) {
        return Err(format!("{} is read-only", folder.display()));
    }
    let free = File::open(folder).ok().and_then(|folder| file::free_space(&folder));
    match free.map(|bytes| bytes / 1024) {
        Some(left) if left < LITTLE => Err(format!("{}: {left} KiB are free", folder.display())),
        Some(left) => Ok(format!("{left} KiB free")),
        None => Ok("can be written".to_owned()),
    }
}

/// How many certificates of a file there are, how many are not valid at this time, and the end of the first.
fn dates(path: &Path, now: Option<i64>) -> Result<(usize, usize, String), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut text)).map_err(failed)?;
    let found = CertificateDer::pem_slice_iter(&text).flatten().filter_map(|der| x509::read(&der));
    let (mut count, mut bad, mut first) = (0, 0, String::new());
    for certificate in found {
        let (from, to) = (clock::parse(&certificate.not_before), clock::parse(&certificate.not_after));
        let is_valid = now.is_none_or(|now| from.is_some_and(|t| t <= now) && to.is_none_or(|t| now <= t));
        count += 1;
        bad += usize::from(!is_valid);
        if count == 1 {
            first = format!("{} to {}", certificate.not_before, certificate.not_after);
        }
    }
    match count {
        0 => Err(format!("{} holds no certificate", path.display())),
        _ => Ok((count, bad, first)),
    }
}

fn roots(file: Option<&Path>, https: bool, now: Option<i64>) -> Look {
    match (file, https) {
        (None, false) => Ok("not needed for http".to_owned()),
        (None, true) => Err("https needs acs.ca_file, and there is none".to_owned()),
        (Some(file), _) => match dates(file, now)? {
            (count, bad, _) if bad == count => Err(format!("none of {count} is valid now")),
            (count, 0, _) => Ok(format!("{count} trusted")),
            (count, bad, _) => Ok(format!("{count} trusted, {bad} of them not valid now")),
        },
    }
}

fn own_certificate(file: &str, now: Option<i64>) -> Look {
    if file.is_empty() {
        return Ok("none is used".to_owned());
    }
    match dates(Path::new(file), now)? {
        (_, 0, first) => Ok(format!("valid {first}")),
        (_, bad, first) => Err(format!("{bad} of the chain not valid now ({first})")),
    }
}

fn names(job: &Job, url: &Url, run: &Run) -> Result<Look, Canceled> {
    if url.host_is_address() {
        return Ok(Ok("the ACS has an address, no name".to_owned()));
    }
    let began = Instant::now();
    Ok(match socket::addresses(job, &url.host, run) {
        Ok(all) => {
            let first = all.first().map(ToString::to_string).unwrap_or_default();
            Ok(format!("{} is {first}, {} ms", url.host, began.elapsed().as_millis()))
        }
        Err(Refusal::Canceled) => return Err(Canceled),
        Err(Refusal::Report(report)) => Err(report.why),
    })
}

/// Connects as a session would, and says nothing.
fn acs(job: &Job, run: &Run) -> Result<Look, Canceled> {
    let facts = &job.around.facts;
    let path = |name| Some(facts.text(name)).filter(|text| !text.is_empty()).map(Into::into);
    let options = Options {
        url: facts.text(fact::ACS).to_owned(),
        client_certificate: path(fact::CERTIFICATE).zip(path(fact::KEY)),
        bind_interface: Some(facts.text(fact::INTERFACE)).filter(|i| !i.is_empty()).map(str::to_owned),
        ..job.around.options.clone()
    };
    let wake = match run.second_wake() {
        Ok(wake) => wake,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let began = Instant::now();
    let opened = Client::new(options, wake).and_then(|mut client| {
        client.open()?;
        Ok(client.acs_address())
    });
    run.check()?;
    Ok(match opened {
        Ok(peer) => {
            let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
            Ok(format!("connected to {peer} in {} ms", began.elapsed().as_millis()))
        }
        Err(Error::Woken) => return Err(Canceled),
        Err(error) => Err(error.to_string()),
    })
}

/// Whether somebody listens where connection requests are to come.
fn door(door: &str, closed: bool, run: &Run) -> Result<Look, Canceled> {
    if door.is_empty() {
        return Ok(Ok("none are taken".to_owned()));
    }
    let address = match door.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => return Ok(Err(format!("{door} is no address"))),
    };
    // Without an address yet, its own port is looked at.
    let reached = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        _ => address,
    };
    let family = if reached.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let found = answers(family, &SockaddrStorage::from(reached), run)?;
    Ok(match found {
        Ok(()) if closed => Err(format!("{address} lets nobody in: no ConnectionRequestUsername")),
        Ok(()) => Ok(format!("{address} listens")),
        Err(why) => Err(format!("{address}: {why}")),
    })
}

fn ubus(path: &str, run: &Run) -> Result<Look, Canceled> {
    let address = match UnixAddr::new(path) {
        Ok(address) => address,
        Err(error) => return Ok(Err(format!("{path}: {}", error.desc()))),
    };
    let found = answers(AddressFamily::Unix, &address, run)?;
    Ok(found.map(|()| "ubusd listens".to_owned()).map_err(|why| format!("{path}: {why}")))
}

/// Whether a stream socket of this device takes a connection.
fn answers(
    family: AddressFamily,
    address: &dyn nix::sys::socket::SockaddrLike,
    run: &Run,
) -> Result<Result<(), String>, Canceled> {
    use nix::errno::Errno;
    let said = |errno: Errno| errno.desc().to_owned();
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = match open(family, SockType::Stream, flags, None) {
        Ok(socket) => socket,
        Err(errno) => return Ok(Err(said(errno))),
    };
    match connect(socket.as_raw_fd(), address) {
        Ok(()) => return Ok(Ok(())),
        Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Ok(Err(said(errno))),
    }
    let mut wanted = [(socket.as_fd(), PollFlags::POLLOUT, false)];
    if !run.wait(&mut wanted, after(OWN_ANSWER))? {
        return Ok(Err("nobody answers".to_owned()));
    }
    Ok(match getsockopt(&socket, sockopt::SocketError) {
        Ok(0) => Ok(()),
        Ok(number) => Err(said(Errno::from_raw(number))),
        Err(errno) => Err(said(errno)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Arguments, Around, Facts};
    use std::path::PathBuf;

    fn scratch(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("cwmpd-selftest-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn certificates_and_their_dates() {
        let mut parameters = rcgen::CertificateParams::new(vec!["acs.example.net".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        let file = scratch("pem", &pem);
        let at = |text| clock::parse(text);
        for (now, is_well) in [
            (None, true),
            (at("2023-12-31T00:00:00Z"), false),
            (at("2024-06-01T00:00:00Z"), true),
            (at("2025-01-02T00:00:00Z"), false),
        ] {
            assert_eq!(roots(Some(&file), true, now).is_ok(), is_well, "{now:?}");
            assert_eq!(own_certificate(file.to_str().unwrap(), now).is_ok(), is_well, "{now:?}");
        }
        std::fs::write(&file, "none").unwrap();
        assert!(roots(Some(&file), false, None).is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(roots(Some(&file), false, None).is_err());
        assert_eq!((roots(None, true, None).is_ok(), roots(None, false, None).is_ok()), (false, true));
    }

    #[test]
    fn folders_sockets_and_what_others_say() {
        assert!(space(Path::new("/no/such/folder")).is_err());
        assert!(journal("it is broken", "/").is_err());
        assert!(none_of(&[], "well").is_ok());
        assert_eq!(none_of(&["a", "b", "c"], "well"), Err("a (and 2 more)".to_owned()));
        let (_wake, waked) = std::io::pipe().unwrap();
        let mut run = Run::new(waked.into(), None);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(door(&address.to_string(), false, &run).unwrap().is_ok());
        assert!(door(&address.to_string(), true, &run).unwrap().is_err_and(|why| why.contains("nobody")));
        assert!(door(&format!("0.0.0.0:{}", address.port()), false, &run).unwrap().is_ok());
        drop(listener);
        assert!(door(&address.to_string(), false, &run).unwrap().is_err());
        assert!(door("", false, &run).unwrap().is_ok() && door("name:1", false, &run).unwrap().is_err());
        assert!(ubus("/no/such/socket", &run).unwrap().is_err());
        let mut lines = Lines::default();
        lines.add(&mut run, "acs", Err("a\nok b: c".to_owned() + &"ü".repeat(200)));
        assert!(lines.0.starts_with("FAILED acs: a ok b: cü") && lines.0.len() <= MAX_LINE, "{}", lines.0);
    }

    /// An ACS that is not there, by a name that is none, over https without roots, while nothing else is known.
    #[test]
    fn a_device_in_trouble() {
        let facts = Facts(vec![
            (fact::ACS, "https://no-such-name.invalid/secret-path".to_owned()),
            (fact::JOURNAL, "the disk is full".to_owned()),
            (fact::STATE_DIR, "/".to_owned()),
            (fact::OVERLAY, "a.toml: wrong".to_owned()),
            (fact::TROUBLE, "ubus: silent".to_owned()),
            (fact::UBUS, "/no/such/socket".to_owned()),
            (fact::DOOR, "203.0.113.1:1".to_owned()),
        ]);
        let around = Around { facts, ..Around::default() };
        let job = Job { arguments: Arguments::default(), device: None, around };
        let (wake, waked) = std::io::pipe().unwrap();
        let report = super::run(&job, &mut Run::new(waked.into(), None)).unwrap();
        assert_eq!(report.state, "Complete");
        let text = &report.values[0].1;
        for name in ["journal", "run folder", "overlay", "sources", "ubus", "clock", "roots", "dns", "acs"] {
            assert!(text.contains(&format!("FAILED {name}: ")), "{name} in\n{text}");
        }
        assert!(text.len() <= 1024 && !text.contains("secret"), "{text}");
        drop(wake);
    }
}
