//! One answer of the file server, in the manner that the test chose.

use super::server::{Entry, Shared, Stream};
use super::{Manner, Request};
use crate::acs::http::{self, Head};
use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Write};
use std::time::Duration;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// How much is written at a time.
const PIECE: usize = 64 * 1024;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    GoOn,
    /// Cut off.
    Close,
    /// Closed in order: with TLS it is said.
    Finish,
    Reset,
    HalfClose,
}

/// A request that is being answered.
pub struct Exchange<'a> {
    pub shared: &'a Shared,
    /// In the list of requests.
    pub index: usize,
    pub path: String,
    pub request: Request,
    pub entry: Entry,
}

type Wire = BufReader<Box<dyn Stream>>;

impl Exchange<'_> {
    /// Answers; gives what becomes of the connection.
    pub fn answer(&mut self, manner: &Manner, head: &Head, wire: &mut Wire) -> io::Result<End> {
        match manner {
            Manner::Mute => {
                self.hold(true);
                return Ok(End::Close);
            }
            Manner::Status(status) => return self.page(*status, &[], head, wire),
            Manner::Redirect(status, to) => {
                return self.page(*status, &[("Location".into(), to.clone())], head, wire);
            }
            Manner::Refuse(asked) => {
                let challenges = self.shared.change(|state| state.guard.challenges(asked, false));
                let fields = challenges.into_iter().map(|c| ("WWW-Authenticate".to_string(), c));
                return self.page(401, &fields.collect::<Vec<_>>(), head, wire);
            }
            _ => {}
        }
        match self.request.method.as_str() {
            "GET" => self.give(manner, wire),
            "PUT" => self.take(manner, head, wire),
            _ => self.page(405, &[], head, wire),
        }
    }

    /// A short page; the body of an upload is read before it, unless the client waits for leave.
    fn page(
        &mut self,
        status: u16,
        fields: &[(String, String)],
        head: &Head,
        wire: &mut Wire,
    ) -> io::Result<End> {
        let waits = head.says("Expect", "100-continue");
        if !waits {
            let mut body = Vec::new();
            http::body(head, wire)?.read_to_end(&mut body)?;
            self.note(|r| r.body = body);
        }
        let text = "This is not the file.\n";
        let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in fields {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        let close = if waits { "Connection: close\r\n" } else { "" };
        let _ = write!(out, "Content-Length: {}\r\n{close}\r\n{text}", text.len());
        self.note(|r| r.status = status);
        wire.get_mut().write_all(out.as_bytes())?;
        wire.get_mut().flush()?;
        Ok(if waits { End::Close } else { End::GoOn })
    }

    /// A GET.
    fn give(&mut self, manner: &Manner, wire: &mut Wire) -> io::Result<End> {
        let content = self.entry.content.clone();
        let from = self.part().filter(|_| !matches!(manner, Manner::Whole | Manner::Part(..)));
        let (mut status, mut range) = (200, None);
        let mut body = content.to_vec();
        if let Some(from) = from {
            if from >= content.len() {
                return self.head(416, &[format!("Content-Range: bytes */{}", content.len())], Some(0), wire);
            }
            status = 206;
            range = Some(format!("bytes {from}-{}/{}", content.len() - 1, content.len()));
            body.drain(..from);
        }
        let mut fields = Vec::new();
        match manner {
            Manner::Part(said, other) => {
                (status, range, body) = (206, Some(said.clone()), other.clone());
            }
            Manner::Gzip => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(&body)?;
                body = packed.finish()?;
                fields.push("Content-Encoding: gzip".to_string());
            }
            _ => {}
        }
        fields.extend(range.map(|r| format!("Content-Range: {r}")));
        fields.extend(self.entry.etag.as_ref().map(|e| format!("ETag: {e}")));
        fields.push("Content-Type: application/octet-stream".to_string());
        let length = match manner {
            Manner::NoLength | Manner::Chunks(_) => None,
            Manner::Length(more) => Some(body.len().saturating_add_signed(*more as isize)),
            _ => Some(body.len()),
        };
        match manner {
            Manner::Chunks(_) => fields.push("Transfer-Encoding: chunked".to_string()),
            Manner::NoLength | Manner::Length(_) => fields.push("Connection: close".to_string()),
            _ => {}
        }
        self.head(status, &fields, length, wire)?;
        self.content(manner, &body, from.unwrap_or(0) as u64, wire)
    }

    /// The content of a GET, from a byte of the file on.
    fn content(&mut self, manner: &Manner, body: &[u8], from: u64, wire: &mut Wire) -> io::Result<End> {
        let before = |at: &u64| body.split_at((at.saturating_sub(from) as usize).min(body.len()));
        match manner {
            Manner::BreakOff(at) => self.send(before(at).0, wire).map(|()| End::Close),
            Manner::Reset(at) => self.send(before(at).0, wire).map(|()| End::Reset),
            Manner::HalfClose(at) => self.send(before(at).0, wire).map(|()| End::HalfClose),
            Manner::Silent(at) => {
                self.send(before(at).0, wire)?;
                self.hold(true);
                Ok(End::Close)
            }
            Manner::Gate(at) => {
                let (first, rest) = before(at);
                self.send(first, wire)?;
                self.hold(false);
                self.send(rest, wire)?;
                Ok(End::GoOn)
            }
            Manner::Trickle(pause) => {
                for byte in body {
                    self.send(&[*byte], wire)?;
                    if self.shared.wait(*pause, |state| state.stopping.then_some(())).is_some() {
                        break;
                    }
                }
                Ok(End::GoOn)
            }
            Manner::Chunks(size) => {
                for piece in body.chunks((*size).max(1)) {
                    wire.get_mut().write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    self.send(piece, wire)?;
                    wire.get_mut().write_all(b"\r\n")?;
                }
                wire.get_mut().write_all(b"0\r\n\r\n")?;
                wire.get_mut().flush()?;
                Ok(End::GoOn)
            }
            Manner::NoLength => self.send(body, wire).map(|()| End::Finish),
            Manner::Length(_) => self.send(body, wire).map(|()| End::Close),
            _ => self.send(body, wire).map(|()| End::GoOn),
        }
    }

    /// A PUT.
    fn take(&mut self, manner: &Manner, head: &Head, wire: &mut Wire) -> io::Result<End> {
        if head.says("Expect", "100-continue") {
            wire.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            wire.get_mut().flush()?;
        }
        let (stop, end) = match manner {
            Manner::BreakOff(at) => (Some(*at), End::Close),
            Manner::Reset(at) => (Some(*at), End::Reset),
            Manner::HalfClose(at) => (Some(*at), End::HalfClose),
            Manner::Gate(at) | Manner::Silent(at) => (Some(*at), End::GoOn),
            _ => (None, End::GoOn),
        };
        let mut body = http::body(head, wire)?;
        let mut bytes = Vec::new();
        if let Some(at) = stop {
            (&mut body).take(at).read_to_end(&mut bytes)?;
            let came = bytes.clone();
            self.note(|r| r.body = came);
            match manner {
                Manner::Gate(_) => self.hold(false),
                Manner::Silent(_) => self.hold(true),
                _ => return Ok(end),
            }
        }
        let whole = body.read_to_end(&mut bytes);
        let came = bytes.clone();
        self.note(|r| r.body = came);
        whole?;
        self.shared.change(|state| state.uploaded.insert(self.path.clone(), bytes));
        self.head(201, &[], Some(0), wire)
    }

    /// Where the part begins that `Range` asks for, when it may be given (`If-Range`).
    fn part(&self) -> Option<usize> {
        let from = self.request.header("Range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
        let same = match self.request.header("If-Range") {
            Some(validator) => self.entry.etag.as_deref() == Some(validator) && validator.starts_with('"'),
            None => true,
        };
        same.then_some(from)
    }

    fn head(
        &mut self,
        status: u16,
        fields: &[String],
        length: Option<usize>,
        wire: &mut Wire,
    ) -> io::Result<End> {
        let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for field in fields {
            let _ = write!(out, "{field}\r\n");
        }
        if let Some(length) = length {
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        self.note(|r| r.status = status);
        wire.get_mut().write_all((out + "\r\n").as_bytes())?;
        wire.get_mut().flush()?;
        Ok(End::GoOn)
    }

    fn send(&mut self, bytes: &[u8], wire: &mut Wire) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            wire.get_mut().write_all(piece)?;
            wire.get_mut().flush()?;
            self.note(|r| r.sent += piece.len() as u64);
        }
        Ok(())
    }

    fn note(&mut self, change: impl FnOnce(&mut Request)) {
        self.shared.change(|state| change(&mut state.requests[self.index]));
    }

    /// Waits for the gate of the path, or for the end of the server; `for_ever` also behind an open gate.
    fn hold(&mut self, for_ever: bool) {
        let path = &self.path;
        self.shared.change(|state| state.entries.entry(path.clone()).or_default().waiting += 1);
        self.shared.wait(FOR_EVER, |state| {
            let open = !for_ever && state.entries.get(path).is_some_and(|e| e.open);
            (open || state.stopping).then_some(())
        });
        // `Files::put` may have begun a new count meanwhile
        self.shared.change(|state| {
            let entry = state.entries.entry(path.clone()).or_default();
            entry.waiting = entry.waiting.saturating_sub(1);
        });
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        503 => "Service Unavailable",
        _ => "As It Is",
    }
}
