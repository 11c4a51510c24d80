//! Log lines: to standard error with their time, or to the machine's syslog (GW-16).
//!
//! A line is one line: control characters of a peer or a child are escaped, so that nobody writes a
//! line in the agent's name. Only the agent's own records pass, because a library might log a header
//! with credentials. Nothing here waits for syslogd: what it cannot take at once is counted, and the
//! count is said with the next line that it takes.

use crate::config::{LogSettings, LogTarget};
use crate::sys::clock;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use syslog::{Facility, LogFormat, LoggerBackend, Severity};

/// The longest line, bytes; what is longer is cut.
const MAX_LINE: usize = 2048;

static LOGGER: Logger = Logger { sink: Mutex::new(Sink::Stderr) };

/// Puts the settings in force; the first call starts logging, later ones (SIGHUP) change it.
pub fn set(settings: &LogSettings) {
    let sink = match settings.target {
        LogTarget::Stderr => Sink::Stderr,
        LogTarget::Syslog => Sink::Syslog(Syslog::new(None)),
    };
    *LOGGER.lock() = sink;
    // It fails when a logger is installed already: ours from an earlier call, or a test's own.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(settings.level);
}

struct Logger {
    sink: Mutex<Sink>,
}

enum Sink {
    Stderr,
    Syslog(Syslog),
}

impl Logger {
    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        let target = metadata.target();
        metadata.level() <= log::max_level() && (target == "cwmpd" || target.starts_with("cwmpd::"))
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = one_line(record.args());
        match &mut *self.lock() {
            Sink::Stderr => {
                let line = format!("{} {:5} {text}\n", stamp(clock::now()), record.level());
                // There is nowhere to say that stderr is gone.
                let _ = io::stderr().write_all(line.as_bytes());
            }
            Sink::Syslog(syslog) => syslog.send(severity(record.level()), &text),
        }
    }

    fn flush(&self) {}
}

/// The text on one line, escaped and cut.
fn one_line(args: &std::fmt::Arguments<'_>) -> String {
    let text = match args.as_str() {
        Some(text) => std::borrow::Cow::Borrowed(text),
        None => std::borrow::Cow::Owned(args.to_string()),
    };
    let mut line = String::with_capacity(text.len().min(MAX_LINE));
    for c in text.chars() {
        if line.len() >= MAX_LINE {
            line.push('…');
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// ISO 8601, or the time since boot while the clock is not set (GW-16).
fn stamp(now: clock::Now) -> String {
    if now.clock_set { clock::utc(now.wall) } else { elapsed(now) }
}

fn elapsed(now: clock::Now) -> String {
    format!("+{}.{:03}s", now.mono.as_secs(), now.mono.subsec_millis())
}

fn severity(level: log::Level) -> Severity {
    match level {
        log::Level::Error => Severity::LOG_ERR,
        log::Level::Warn => Severity::LOG_WARNING,
        log::Level::Info => Severity::LOG_INFO,
        log::Level::Debug | log::Level::Trace => Severity::LOG_DEBUG,
    }
}

type Connection = syslog::Logger<LoggerBackend, Line>;

/// The way to syslogd, opened again when syslogd was restarted.
struct Syslog {
    /// Another socket than the usual ones (tests).
    path: Option<PathBuf>,
    connection: Option<Connection>,
    /// Lines that could not be sent since the last one that could.
    lost: u32,
}

impl Syslog {
    fn new(path: Option<PathBuf>) -> Syslog {
        Syslog { path, connection: None, lost: 0 }
    }

    fn send(&mut self, severity: Severity, text: &str) {
        let mut text = std::borrow::Cow::Borrowed(text);
        if self.lost > 0 {
            let _ = write!(text.to_mut(), " ({} log lines before this one were lost)", self.lost);
        }
        // The second try is for a socket whose syslogd went away.
        for _ in 0..2 {
            if self.connection.is_none() {
                self.connection = self.connect();
            }
            let Some(connection) = &mut self.connection else {
                break;
            };
            match connection.formatter.format(&mut connection.backend, severity, &text) {
                Ok(()) => {
                    self.lost = 0;
                    return;
                }
                // It is there but slow: the line is lost, the connection is not.
                Err(syslog::Error::Write(e)) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.connection = None,
            }
        }
        self.lost = self.lost.saturating_add(1);
    }

    fn connect(&self) -> Option<Connection> {
        let line = Line { pid: std::process::id() };
        let connection = match &self.path {
            Some(path) => syslog::unix_custom(line, path),
            None => syslog::unix(line),
        };
        let connection = connection.ok()?;
        match &connection.backend {
            LoggerBackend::Unix(socket) => socket.set_nonblocking(true).ok()?,
            LoggerBackend::UnixStream(socket) => socket.get_ref().set_nonblocking(true).ok()?,
            _ => {}
        }
        Some(connection)
    }
}

/// The form of RFC 3164, with local time as syslog(3) has it; the crate's own form gives UTC.
#[derive(Clone)]
struct Line {
    pid: u32,
}

impl<T: std::fmt::Display> LogFormat<T> for Line {
    fn format<W: Write>(&self, out: &mut W, severity: Severity, message: T) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        let now = clock::now();
        let line = if now.clock_set {
            let local = clock::local(now.wall, std::path::Path::new("/"));
            format!("<{priority}>{} cwmpd[{}]: {message}", rfc3164(&local), self.pid)
        } else {
            // syslogd puts its own time in front.
            format!("<{priority}>cwmpd[{}]: {} {message}", self.pid, elapsed(now))
        };
        out.write_all(line.as_bytes()).map_err(syslog::Error::Write)
    }
}

/// `Nov  2 10:28:55` from `2026-11-02T10:28:55+00:00`.
fn rfc3164(local: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = local.get(5..7).and_then(|m| m.parse::<usize>().ok()).unwrap_or(1);
    let day = local.get(8..10).and_then(|d| d.parse::<u8>().ok()).unwrap_or(1);
    let time = local.get(11..19).unwrap_or("00:00:00");
    format!("{} {day:2} {time}", MONTHS.get(month.wrapping_sub(1)).unwrap_or(&"Jan"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn gw_16_stamps() {
        let mut now =
            clock::Now { mono: Duration::from_millis(12_345), wall: 1_795_343_335, clock_set: true };
        assert_eq!(stamp(now), "2026-11-22T10:28:55Z");
        now.clock_set = false;
        assert_eq!(stamp(now), "+12.345s");
        assert_eq!(rfc3164("2026-11-02T10:28:55+01:00"), "Nov  2 10:28:55");
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line(&format_args!("a\nb\u{1b}[0m\u{85}é")), "a\\nb\\u{1b}[0m\\u{85}é");
        let long = "x".repeat(5000);
        assert!(one_line(&format_args!("{long}")).len() <= MAX_LINE + 4);
    }

    #[test]
    fn only_the_agents_own_records_pass() {
        log::set_max_level(log::LevelFilter::Trace);
        for (target, passes) in
            [("cwmpd", true), ("cwmpd::net::client", true), ("cwmpdx", false), ("ureq", false)]
        {
            let metadata = log::Metadata::builder().target(target).level(log::Level::Error).build();
            assert_eq!(log::Log::enabled(&LOGGER, &metadata), passes, "{target}");
        }
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let n = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..n].to_vec()).unwrap()
    }

    #[test]
    fn syslog_is_opened_again_and_never_waited_for() {
        let path = std::env::temp_dir().join(format!("cwmpd-syslog-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut syslog = Syslog::new(Some(path.clone()));
        syslog.send(Severity::LOG_INFO, "nobody listens");
        let bind = || {
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket
        };
        let first = bind();
        syslog.send(Severity::LOG_INFO, "one");
        let line = receive(&first);
        assert!(line.starts_with("<30>"), "{line}");
        let end = format!("cwmpd[{}]: one (1 log lines before this one were lost)", std::process::id());
        assert!(line.ends_with(&end), "{line}");
        // syslogd is restarted.
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = bind();
        syslog.send(Severity::LOG_ERR, "two");
        let line = receive(&second);
        assert!(line.starts_with("<27>") && line.ends_with("]: two"), "{line}");
        // It is stopped for a while: this loop would never end if a send waited.
        let mut sent = 0;
        while syslog.lost == 0 {
            syslog.send(Severity::LOG_INFO, "many");
            sent += 1;
        }
        for _ in 1..sent {
            receive(&second);
        }
        syslog.send(Severity::LOG_INFO, "again");
        assert!(receive(&second).ends_with("again (1 log lines before this one were lost)"));
        std::fs::remove_file(path).unwrap();
    }
}
