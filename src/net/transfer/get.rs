//! A file by GET.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use ureq::Agent;
use ureq::http::{HeaderMap, header};

use super::fault::{fault, of_exchange, of_status};
use super::pace::Pace;
use super::part::Part;
use super::resume::{Continuations, judge, strong_etag};
use super::{Failure, Got, Meter, PIECE, Request, Tee, open};
use crate::model::fault::Code;
use crate::net::buffer::BUFFER;
use crate::net::coding::Coding;
use crate::net::error::Error;
use crate::net::exchange::{self, Answer, Exchange, Head, texts};

/// Incomplete: broken off, silent, too long, or not what was asked for.
const INCOMPLETE: Code = Code::COMPLETE_DOWNLOAD;

/// Fetches a file. It is written to `<stem>.part` beside `file` (mode 0600; the folder is made, mode 0700,
/// when it is not there), made durable and renamed to `file` when it is whole; of a failure nothing is left.
/// `size` is FileSize, a hint, 0 for unknown: only what cannot fit is refused by it.
///
/// # Errors
/// See the module above.
pub fn get(
    request: Request,
    size: u64,
    file: &Path,
    meter: &Meter,
    tee: &mut dyn Tee,
    wake: OwnedFd,
) -> Result<Got, Failure> {
    meter.set(0, (size > 0).then_some(size));
    let limits = request.limits;
    let mut part = Part::create(file).map_err(Failure::Fault)?;
    part.has_room(size).map_err(Failure::Fault)?;
    let exchange = open(request, PIECE, BUFFER, INCOMPLETE, wake)?;
    let mut fetch = Fetch {
        exchange,
        part,
        meter,
        tee,
        pace: Pace::new(limits.bytes_per_second, Instant::now()),
        most: limits.max_bytes,
        done: 0,
        total: None,
        least: 0,
        size,
        etag: None,
        continuations: Continuations::default(),
    };
    let mut answer = fetch.exchange.ask(&mut Get { rest: None }).map_err(|e| fetch.failed(e))?;
    fetch.begin(&answer)?;
    while let Some(why) = fetch.take(answer)? {
        answer = fetch.go_on(why)?;
    }
    fetch.part.finish().map_err(Failure::Fault)?;
    Ok(Got { bytes: fetch.done })
}

/// The file under way.
struct Fetch<'a> {
    exchange: Exchange,
    part: Part,
    meter: &'a Meter,
    tee: &'a mut dyn Tee,
    pace: Pace,
    /// `max_bytes`
    most: u64,
    /// Bytes in the file.
    done: u64,
    /// All that it will have, as far as the server has said.
    total: Option<u64>,
    /// What it must have where nothing else says that it came whole: FileSize, or 0.
    least: u64,
    /// FileSize; 0 for unknown.
    size: u64,
    /// What says that it is the same file still.
    etag: Option<String>,
    continuations: Continuations,
}

impl Fetch<'_> {
    fn host(&self) -> &str {
        &self.exchange.url().host
    }

    fn failed(&self, error: Error) -> Failure {
        of_exchange(error, self.host(), INCOMPLETE)
    }

    fn incomplete(&self, why: &str) -> Failure {
        fault(INCOMPLETE, format!("{}: {why}", self.host()))
    }

    /// Judges the head of an answer that shall bring the whole file.
    fn begin(&mut self, answer: &Answer) -> Result<(), Failure> {
        match answer.status().as_u16() {
            200 => {}
            206 => return Err(self.incomplete("a part of the file where all of it was asked for (206)")),
            other => return Err(of_status(other, self.host())),
        }
        self.judge_coding(answer.headers())?;
        self.total = answer.body().content_length();
        self.etag = strong_etag(answer.headers());
        self.least = 0;
        let chunked = |text: &String| text.trim().eq_ignore_ascii_case("chunked");
        match self.total {
            Some(total) => self.has_room(total)?,
            None if texts(answer.headers(), header::TRANSFER_ENCODING).iter().any(chunked) => {}
            None => {
                self.least = self.size;
                if self.size == 0 {
                    let host = self.host();
                    log::warn!("{host} does not say how long the file is: if it breaks off, nobody can tell");
                }
            }
        }
        self.show();
        Ok(())
    }

    /// Bytes of a coding that nobody asked for are not the file.
    fn judge_coding(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let content = texts(headers, header::CONTENT_ENCODING);
        let why = match Coding::of_response(&content, &texts(headers, header::TRANSFER_ENCODING)) {
            Ok(None) => return Ok(()),
            Ok(Some(coding)) => {
                format!("the file comes compressed ({}), which was not asked for", coding.name())
            }
            Err(why) => why,
        };
        Err(fault(Code::FILE_CORRUPTED, format!("{}: {why}", self.host())))
    }

    fn has_room(&mut self, total: u64) -> Result<(), Failure> {
        if total > self.most {
            return Err(self.too_large());
        }
        self.part.has_room(total.saturating_sub(self.done)).map_err(Failure::Fault)
    }

    fn too_large(&self) -> Failure {
        fault(Code::TRANSFER_FAILURE, format!("the file has more than {} bytes (max_bytes)", self.most))
    }

    fn show(&self) {
        self.meter.set(self.done, self.total);
    }

    /// Writes a body to the file. Gives the reason when it broke off and could go on.
    fn take(&mut self, mut answer: Answer) -> Result<Option<String>, Failure> {
        let mut room = vec![0; PIECE];
        let mut reader = answer.body_mut().as_reader();
        loop {
            let share = self.pace.piece(room.len());
            let amount = match reader.read(room.get_mut(..share).unwrap_or_default()) {
                Ok(amount) => amount,
                Err(e) => match self.exchange.failure(e) {
                    Error::Broken(why) => return Ok(Some(why)),
                    // the connection was good once: whatever ends it now leaves the file incomplete
                    Error::Tls(why) => return Err(self.incomplete(&why)),
                    other => return Err(self.failed(other)),
                },
            };
            let bytes = room.get(..amount).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            let done = self.done.saturating_add(bytes.len() as u64);
            if done > self.most {
                return Err(self.too_large());
            }
            if self.total.is_some_and(|total| done > total) {
                return Err(self.incomplete("more bytes come than the file has"));
            }
            self.part.write(bytes).map_err(Failure::Fault)?;
            self.tee.piece(bytes);
            self.done = done;
            self.show();
            if let Some(until) = self.pace.moved(amount, Instant::now()) {
                self.exchange.shared().pause(until).map_err(|e| self.failed(e))?;
            }
        }
        let short = self.done < self.total.unwrap_or(self.least);
        Ok(short.then(|| "the body ended before its end".to_string()))
    }

    /// The answer that brings the rest of a file that broke off.
    fn go_on(&mut self, mut why: String) -> Result<Answer, Failure> {
        loop {
            let of = self.total.map_or(String::new(), |total| format!(" of {total}"));
            let broke = format!("broke off after {}{of} bytes: {why}", self.done);
            let Some(etag) = self.etag.clone() else {
                return Err(self.incomplete(&broke));
            };
            let Some(at) = self.continuations.next(Instant::now()) else {
                return Err(self.incomplete(&format!("{broke}; it was continued often enough")));
            };
            log::info!("{}: the file {broke}; it is continued", self.host());
            self.exchange.shared().pause(at).map_err(|e| self.failed(e))?;
            let rest = (self.done, etag.as_str());
            let answer = match self.exchange.ask(&mut Get { rest: Some(rest) }) {
                Ok(answer) => answer,
                Err(Error::Woken) => return Err(Failure::Stopped),
                Err(Error::Broken(again)) => {
                    why = again;
                    continue;
                }
                Err(e) => return Err(self.incomplete(&format!("{broke}; and cannot go on: {e}"))),
            };
            let judged = match answer.status().as_u16() {
                206 => self.judge_coding(answer.headers()).and_then(|()| {
                    judge(answer.headers(), self.done, self.total, &etag)
                        .map_err(|why| self.incomplete(&format!("{broke}; and the rest of it is {why}")))
                }),
                200 => {
                    self.anew()?;
                    self.begin(&answer)?;
                    return Ok(answer);
                }
                other => Err(self.incomplete(&format!("{broke}; and cannot go on: HTTP status {other}"))),
            };
            let total = judged?;
            self.total = Some(total);
            self.has_room(total)?;
            return Ok(answer);
        }
    }

    /// It is another file now, or the server knows no Range.
    fn anew(&mut self) -> Result<(), Failure> {
        log::info!("{}: the file begins anew", self.host());
        self.part.anew().map_err(Failure::Fault)?;
        self.tee.anew();
        self.done = 0;
        Ok(())
    }
}

/// The request for all of it, or for what comes behind so many bytes if the ETag is the same still.
struct Get<'a> {
    rest: Option<(u64, &'a str)>,
}

impl exchange::Request for Get<'_> {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn follows(&self) -> &'static [u16] {
        &[301, 302, 303, 307, 308]
    }

    fn send(&mut self, agent: &Agent, head: &Head<'_>) -> Result<Answer, ureq::Error> {
        let mut request = head.onto(agent.get(head.url.to_string())).header_raw("Accept", b"*/*");
        request = request.header_raw("Accept-Encoding", b"identity");
        if let Some((from, etag)) = self.rest {
            request = request
                .header_raw("Range", format!("bytes={from}-").as_bytes())
                .header_raw("If-Range", etag.as_bytes());
        }
        request.call()
    }

    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }
}
