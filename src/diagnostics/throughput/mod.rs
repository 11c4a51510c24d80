//! DownloadDiagnostics and UploadDiagnostics (TR-143): how fast files come from, or go to, a server by HTTP or
//! https.
//!
//! All connections are served by one thread and one `poll`, so that what is measured costs one buffer and no
//! locks, and the moments that the standard asks for (all connections loaded, an interval over) are seen as they
//! come. Nothing that comes is kept; of plain HTTP the kernel does not even copy it.
//!
//! # States
//! No connection: Error_NoRouteToHost where there is no way, else Error_InitConnectionFailed (refused, no answer,
//! no TLS). No answer to the request: Error_NoResponse. 401 and 407: Error_LoginFailed, since HTTP's
//! authentication is not to be used (DG-7). Another status, redirects among them (the URL is what is to be
//! measured), or a transfer that broke: Error_TransferFailed, of uploads Error_NoTransferComplete. A file that is
//! shorter than was said: Error_IncorrectSize. Silence amidst the transfer, and what takes longer than
//! [`MAX_TEST`]: Error_Timeout. No usable URL: Error_Other.

mod connection;
mod http;
mod interface;
mod tally;
#[cfg(test)]
mod tests;
mod wire;
mod work;

use super::run::{Canceled, Run};
use super::socket::{Refusal, addresses};
use super::{Job, Report};
use crate::net::client::Timeouts;
use crate::net::{tls, url::Url};
use connection::Common;
use interface::Counters;
use std::net::SocketAddr;
use std::time::Duration;
use work::Work;

/// The most connections of a test (Download/Upload…MaxConnections, DG-9).
pub const MAX_CONNECTIONS: usize = 8;
/// The most rows of IncrementalResult (…MaxIncrementalResult).
pub const MAX_INTERVALS: usize = 256;
/// The longest that a test which ends with its file may take.
pub const MAX_TEST: Duration = Duration::from_secs(600);
/// The longest wait for anything: a connection, an answer, the next bytes. The configuration may say less.
pub const MAX_SILENCE: Duration = Duration::from_secs(60);
/// The most connections that are opened in one test, those for a server that closes after each file among them.
pub const MAX_OPENED: u32 = 1024;
/// What moves at once, in bytes: a whole number of frames.
const PIECE: usize = 64 * 1024;
/// A chunk of an upload of no fixed length, with what stands around it, in bytes.
const FRAME: u64 = 16 * 1024;
/// How often a person sees how it goes.
const SHOWN: Duration = Duration::from_secs(1);

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To us.
    Download,
    /// From us.
    Upload,
}

impl Way {
    fn test_bytes(self) -> &'static str {
        match self {
            Way::Download => "TestBytesReceived",
            Way::Upload => "TestBytesSent",
        }
    }

    fn loaded_bytes(self) -> &'static str {
        match self {
            Way::Download => "TestBytesReceivedUnderFullLoading",
            Way::Upload => "TestBytesSentUnderFullLoading",
        }
    }

    /// The state of a transfer that broke or was refused.
    fn broken(self) -> &'static str {
        match self {
            Way::Download => "Error_TransferFailed",
            Way::Upload => "Error_NoTransferComplete",
        }
    }
}

/// What is to be done.
struct Plan {
    way: Way,
    url: Url,
    /// Of a time-based test, from BOMTime on.
    duration: Option<Duration>,
    /// Of its intervals, and how long after BOMTime the first begins.
    interval: Option<Duration>,
    offset: Duration,
    connections: usize,
    per_connection: bool,
    /// Of the file that each connection uploads, in bytes.
    length: u64,
    timeouts: Timeouts,
    /// For all of it.
    whole: Duration,
}

/// DownloadDiagnostics.
///
/// # Errors
/// It was canceled.
pub fn download(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    test(Way::Download, job, run)
}

/// UploadDiagnostics.
///
/// # Errors
/// It was canceled.
pub fn upload(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    test(Way::Upload, job, run)
}

/// Judges an argument of either: a URL is one of http or https, without user and password (DG-7).
///
/// # Errors
/// Why it cannot be.
pub fn judge(name: &str, value: &str) -> Result<(), String> {
    if !matches!(name, "DownloadURL" | "UploadURL") || value.is_empty() {
        return Ok(());
    }
    let scheme = value.split(':').next().unwrap_or_default();
    match Url::of_acs(value) {
        _ if scheme.eq_ignore_ascii_case("ftp") => Err("FTP is none of the transports".to_owned()),
        Ok(_) => Ok(()),
        Err(why) => Err(why.to_owned()),
    }
}

fn test(way: Way, job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let done = Plan::of(way, job).map_err(Refusal::from).and_then(|plan| measure(&plan, job, run));
    done.or_else(Refusal::end)
}

impl Plan {
    fn of(way: Way, job: &Job) -> Result<Plan, Report> {
        let arguments = &job.arguments;
        let seconds = |name: &str| Duration::from_secs(arguments.number(name).min(999));
        let some = |time: Duration| (!time.is_zero()).then_some(time);
        let name = if way == Way::Download { "DownloadURL" } else { "UploadURL" };
        let url = Url::of_acs(arguments.text(name))
            .map_err(|why| Report::error("Error_Other", format!("{name}: {why}")))?;
        let timeouts = job.around.options.timeouts;
        let timeouts = Timeouts {
            connect: timeouts.connect.min(MAX_SILENCE),
            response: timeouts.response.min(MAX_SILENCE),
            progress: timeouts.progress.min(MAX_SILENCE),
            session: timeouts.session,
        };
        let duration = some(seconds("TimeBasedTestDuration"));
        // Before and behind the time of a test there is one connection, and the answers to two requests.
        let around = timeouts.connect + 2 * timeouts.response;
        Ok(Plan {
            way,
            url,
            duration,
            interval: some(seconds("TimeBasedTestMeasurementInterval")).filter(|_| duration.is_some()),
            offset: seconds("TimeBasedTestMeasurementOffset"),
            connections: (arguments.number("NumberOfConnections").max(1) as usize).min(MAX_CONNECTIONS),
            per_connection: arguments.flag("EnablePerConnectionResults"),
            length: arguments.number("TestFileLength"),
            timeouts,
            whole: duration.map_or(MAX_TEST, |duration| duration + around),
        })
    }
}

fn measure(plan: &Plan, job: &Job, run: &mut Run) -> Result<Report, Refusal> {
    let broken = |why: String| Refusal::from(Report::error("Error_Internal", why));
    let hosts = addresses(job, &plan.url.host, run)?;
    let tls = match plan.url.https {
        true => Some(tls::config(&job.around.options).map_err(|error| broken(error.to_string()))?),
        false => None,
    };
    let hosts: Vec<SocketAddr> =
        hosts.into_iter().map(|address| SocketAddr::new(address, plan.url.port)).collect();
    let mut common = Common {
        plan,
        job,
        addresses: &hosts,
        tls,
        piece: piece(plan).map_err(broken)?,
        is_over: false,
        opened: 0,
        local: None,
        counters: Counters::default(),
    };
    let mut work = Work::new(plan);
    let mut report = match work.go(&mut common, run)? {
        None => Report::complete(),
        Some((state, why)) => Report::error(state, why),
    };
    if let Some(local) = common.local {
        report.put("IPAddressUsed", local);
    }
    work.tell(plan, &mut report);
    Ok(report)
}

/// What moves at once. Of an upload it is noise that no link on the way can compress, cut into frames that are
/// chunks of HTTP, and sent over and over.
fn piece(plan: &Plan) -> Result<Vec<u8>, String> {
    let mut piece = vec![0; PIECE];
    if plan.way == Way::Upload {
        getrandom::fill(&mut piece).map_err(|error| error.to_string())?;
        for frame in piece.chunks_mut(FRAME as usize) {
            let size = format!("{:04x}\r\n", frame.len() - 8);
            let (head, end) = (frame.get_mut(..6).unwrap_or_default(), size.as_bytes());
            head.copy_from_slice(end);
            let from = frame.len() - 2;
            frame.get_mut(from..).unwrap_or_default().copy_from_slice(b"\r\n");
        }
    }
    Ok(piece)
}
