//! A file by PUT.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use ureq::{Agent, SendBody};

use super::fault::{fault, of_exchange, of_status};
use super::pace::Pace;
use super::{Failure, Limits, Meter, PIECE, Request, Sent, Source, open};
use crate::model::fault::Code;
use crate::net::buffer::BUFFER;
use crate::net::exchange::{self, Answer, Head, Request as _, rendering};
use crate::net::shared::{Shared, after};

/// Incomplete, or what the device could not make of its own file.
const INCOMPLETE: Code = Code::UPLOAD_FAILURE;
/// What a server may answer at length, in bytes.
const MAX_ANSWER: u64 = 1024 * 1024;
/// A body of so many bytes, or of unknown length, is announced first (`Expect: 100-continue`): a challenge
/// or redirect then costs no second sending.
const ANNOUNCED: u64 = 64 * 1024;
/// What is kept of a command's output to send it again, in bytes.
const MAX_REPLAY: usize = 64 * 1024;

/// Sends a file by PUT. 200, 201 and 204 are success. A redirect is followed with the same method and body,
/// by 301 and 302 too: that these turn into a GET is for POST alone (RFC 9110 15.4.2).
///
/// # Errors
/// See the module above.
pub fn put(request: Request, source: Source<'_>, meter: &Meter, wake: OwnedFd) -> Result<Sent, Failure> {
    let limits = request.limits;
    let body = Body::new(source)?;
    let length = body.length();
    meter.set(0, length);
    if length.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_large(limits.max_bytes));
    }
    let mut exchange = open(
        Request { limits: Limits { max_bytes: MAX_ANSWER, ..limits }, ..request },
        BUFFER,
        PIECE,
        INCOMPLETE,
        wake,
    )?;
    let mut upload = Upload {
        body,
        length,
        announced: length.is_none_or(|length| length >= ANNOUNCED),
        sent: 0,
        ended: false,
        most: limits.max_bytes,
        silence: limits.silence,
        pace: Pace::new(limits.bytes_per_second, Instant::now()),
        meter,
        shared: Arc::clone(exchange.shared()),
        failure: None,
    };
    let mut result = exchange.ask(&mut upload);
    // 417: it does not know the announcement, and says so.
    if matches!(&result, Ok(answer) if answer.status().as_u16() == 417 && upload.announced) {
        upload.announced = false;
        drop(result);
        result = match upload.rewind() {
            Ok(()) => exchange.ask(&mut upload),
            Err(e) => Err(rendering(e)),
        };
    }
    if let Some(failure) = upload.failure {
        return Err(failure);
    }
    let host = &exchange.url().host;
    let answer = result.map_err(|e| of_exchange(e, host, INCOMPLETE))?;
    match answer.status().as_u16() {
        200 | 201 | 204 if upload.ended && !exchange.shared().note().given_up => {
            Ok(Sent { bytes: upload.sent })
        }
        200 | 201 | 204 => {
            Err(fault(INCOMPLETE, format!("{host}: it says that all is well, and has not read all")))
        }
        other => Err(of_status(other, host)),
    }
}

fn too_large(most: u64) -> Failure {
    fault(INCOMPLETE, format!("the file has more than {most} bytes (max_bytes)"))
}

/// Where the bytes come from.
enum Body<'a> {
    File { file: File, start: u64, length: u64 },
    Pipe { output: OwnedFd, finish: Option<&'a mut dyn FnMut() -> Result<(), String>>, replay: Replay },
}

/// The beginning of what cannot be read twice.
#[derive(Default)]
struct Replay {
    kept: Vec<u8>,
    /// More came than is kept.
    lost: bool,
}

impl<'a> Body<'a> {
    fn new(source: Source<'a>) -> Result<Body<'a>, Failure> {
        match source {
            Source::File(mut file) => {
                let span = file.stream_position().and_then(|at| Ok((at, file.metadata()?.len())));
                let (start, end) = span.map_err(|e| fault(INCOMPLETE, format!("the file: {e}")))?;
                Ok(Body::File { file, start, length: end.saturating_sub(start) })
            }
            Source::Pipe { output, finish } => {
                Ok(Body::Pipe { output, finish: Some(finish), replay: Replay::default() })
            }
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Body::File { length, .. } => Some(*length),
            Body::Pipe { .. } => None,
        }
    }
}

/// The upload under way.
struct Upload<'m, 's> {
    body: Body<'s>,
    length: Option<u64>,
    announced: bool,
    /// Bytes that the connection took of the present sending.
    sent: u64,
    /// They are all.
    ended: bool,
    /// `max_bytes`
    most: u64,
    silence: Duration,
    pace: Pace,
    meter: &'m Meter,
    shared: Arc<Shared>,
    /// Why there are no more bytes; tells more than what ureq makes of it.
    failure: Option<Failure>,
}

impl Upload<'_, '_> {
    fn next(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        let share = self.pace.piece(room.len());
        let room = room.get_mut(..share).unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        let failed = |e| of_exchange(e, "the upload", INCOMPLETE);
        let ours = |why: &str| fault(INCOMPLETE, format!("the file: {why}"));
        let amount = match &mut self.body {
            Body::File { file, length, .. } => {
                let left = usize::try_from(*length - self.sent).unwrap_or(usize::MAX).min(room.len());
                let room = room.get_mut(..left).unwrap_or_default();
                let amount = file.read(room).map_err(|e| ours(&e.to_string()))?;
                if amount == 0 && left > 0 {
                    return Err(ours("it became shorter while it was sent"));
                }
                amount
            }
            Body::Pipe { output, finish, replay } => {
                let at = usize::try_from(self.sent).unwrap_or(usize::MAX);
                match replay.kept.get(at..).filter(|rest| !rest.is_empty()) {
                    Some(mut rest) => rest.read(room).unwrap_or(0), // a slice reads without fail
                    None if finish.is_none() => 0,
                    None => {
                        let until = after(self.silence);
                        let phase = "waiting for the output of the command";
                        shared.wait(output.as_fd(), PollFlags::POLLIN, until, phase).map_err(failed)?;
                        let amount = nix::unistd::read(output.as_fd(), room).map_err(|e| ours(e.desc()))?;
                        replay.add(room.get(..amount).unwrap_or_default());
                        if amount == 0
                            && let Some(finish) = finish.take()
                        {
                            finish().map_err(|why| ours(&why))?;
                        }
                        amount
                    }
                }
            }
        };
        self.sent += amount as u64;
        self.ended |= amount == 0 || self.length == Some(self.sent);
        if self.sent > self.most {
            return Err(too_large(self.most));
        }
        self.meter.set(self.sent, self.length);
        // What the server will not read goes nowhere, and need not wait.
        if !shared.note().given_up
            && let Some(until) = self.pace.moved(amount, Instant::now())
        {
            shared.pause(until).map_err(failed)?;
        }
        Ok(amount)
    }
}

impl Replay {
    fn add(&mut self, bytes: &[u8]) {
        self.lost |= self.kept.len() + bytes.len() > MAX_REPLAY;
        match self.lost {
            true => self.kept = Vec::new(),
            false => self.kept.extend_from_slice(bytes),
        }
    }
}

impl Read for Upload<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.next(room).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("the upload is given up")
        })
    }
}

impl exchange::Request for Upload<'_, '_> {
    fn method(&self) -> &'static str {
        "PUT"
    }

    fn follows(&self) -> &'static [u16] {
        &[301, 302, 307, 308]
    }

    fn send(&mut self, agent: &Agent, head: &Head<'_>) -> Result<Answer, ureq::Error> {
        let mut request = head.onto(agent.put(head.url.to_string())).header_raw("Accept", b"*/*");
        request = request.header_raw("Content-Type", b"application/octet-stream");
        request = match self.length {
            Some(length) => request.header_raw("Content-Length", length.to_string().as_bytes()),
            None => request.header_raw("Transfer-Encoding", b"chunked"),
        };
        if self.announced && !head.is_authorized() {
            request = request.header_raw("Expect", b"100-continue");
        }
        self.ended = self.length == Some(0);
        request.send(SendBody::from_reader(self))
    }

    fn rewind(&mut self) -> io::Result<()> {
        let rewound = match &mut self.body {
            Body::File { file, start, .. } => file.seek(SeekFrom::Start(*start)).map(drop),
            Body::Pipe { replay, .. } if !replay.lost => Ok(()),
            Body::Pipe { .. } => Err(io::Error::other("the output of a command cannot be sent twice")),
        };
        self.sent = 0;
        if let Err(e) = &rewound {
            self.failure = Some(fault(INCOMPLETE, format!("the file: {e}")));
        }
        rewound
    }
}
