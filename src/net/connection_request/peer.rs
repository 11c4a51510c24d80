//! One connection: bytes in, a head, an answer out, as far as goes without waiting.

use super::gate::{Answer, Gate};
use super::head::{self, MAX_HEAD, Scan};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// From the connection, or from the last answer, to the end of the next answer.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long a finished connection waits for the peer to close it. Closing it at once with unread
/// bytes behind would reset it, and the peer might lose our answer.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// The most requests on one connection.
pub(super) const MAX_REQUESTS: u32 = 8;
/// The most reads for one connection in one turn; the others wait meanwhile.
const READS_PER_TURN: usize = 4;

/// How far a peer has come; a later one is dearer when a place is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Standing {
    /// Answered for the last time, waits to be closed.
    Leaving,
    /// Has not sent a request yet.
    Silent,
    /// Has its challenge.
    Challenged,
    /// Knows the password; its answer is not out yet.
    Authenticated,
}

/// What a turn did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    /// Connection requests whose 200 went to the kernel.
    pub accepted: usize,
    /// Whether the connection goes on.
    pub alive: bool,
}

/// A connection.
pub(super) struct Peer {
    pub stream: TcpStream,
    pub address: IpAddr,
    pub standing: Standing,
    /// When it is closed, whatever it does.
    pub deadline: Instant,
    input: Vec<u8>,
    /// Bytes of a body that are still to be passed over.
    body: usize,
    output: Vec<u8>,
    /// What the output says.
    answer: Option<Answer>,
    keep: bool,
    requests: u32,
}

/// Why a turn stops here.
enum Stop {
    /// Nothing more can be done now.
    Wait,
    /// The connection is over.
    Over,
}

impl Peer {
    /// Takes over a connection that does not block.
    pub fn new(stream: TcpStream, address: IpAddr, now: Instant) -> Peer {
        Peer {
            stream,
            address,
            standing: Standing::Silent,
            deadline: now + REQUEST_TIME,
            input: Vec::new(),
            body: 0,
            output: Vec::new(),
            answer: None,
            keep: true,
            requests: 0,
        }
    }

    /// Whether it waits for room to write, and not for bytes to read.
    pub fn wants_to_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// Does what can be done without waiting.
    pub fn turn(&mut self, gate: &mut Gate, now: Instant) -> Turn {
        let mut accepted = 0;
        let mut reads = READS_PER_TURN;
        let alive = loop {
            if now >= self.deadline {
                break false;
            }
            let step = if self.wants_to_write() {
                self.write(now).map(|answer| accepted += usize::from(answer == Answer::Accepted))
            } else if self.standing == Standing::Leaving {
                self.drain(&mut reads)
            } else {
                self.next_request(gate, &mut reads, now)
            };
            match step {
                Ok(()) => {}
                Err(Stop::Wait) => break true,
                Err(Stop::Over) => break false,
            }
        };
        Turn { accepted, alive }
    }

    /// Brings the output to its end; what was answered then counts.
    fn write(&mut self, now: Instant) -> Result<Answer, Stop> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(Stop::Over),
                Ok(n) => drop(self.output.drain(..n.min(self.output.len()))),
                Err(e) => return Err(stop(&e)),
            }
        }
        let answer = self.answer.take().unwrap_or(Answer::Malformed); // set with every output
        if self.keep {
            self.standing = Standing::Challenged;
            self.deadline = now + REQUEST_TIME;
        } else {
            self.standing = Standing::Leaving;
            self.input = Vec::new();
            self.deadline = now + LINGER_TIME;
            let _ = self.stream.shutdown(Shutdown::Write); // fails when the peer is gone: seen by read
        }
        Ok(answer)
    }

    /// Answers the next request in the buffer, or reads more of it.
    fn next_request(&mut self, gate: &mut Gate, reads: &mut usize, now: Instant) -> Result<(), Stop> {
        let skipped = self.body.min(self.input.len());
        self.input.drain(..skipped);
        self.body -= skipped;
        let (answer, keep) = match head::scan(&self.input) {
            Scan::Whole(head, length) => {
                let answer = gate.judge(&head, now);
                // only a challenge is worth another request on this connection
                let keep = head.keep && matches!(answer, Answer::Challenge { .. });
                self.body = head.body;
                self.input.drain(..length);
                (answer, keep)
            }
            Scan::Broken => (Answer::Malformed, false),
            Scan::Partial if self.input.len() >= MAX_HEAD => (Answer::TooLarge, false),
            Scan::Partial => return self.read(reads),
        };
        log::debug!("connection request from {}: {answer:?}", self.address);
        self.requests += 1;
        self.keep = keep && self.requests < MAX_REQUESTS;
        self.output = gate.write(answer, self.keep, now);
        if matches!(answer, Answer::Accepted | Answer::TooOften) {
            self.standing = Standing::Authenticated;
        }
        self.answer = Some(answer);
        Ok(())
    }

    fn read(&mut self, reads: &mut usize) -> Result<(), Stop> {
        let mut piece = [0; 1024];
        let room = piece.len().min(MAX_HEAD - self.input.len()); // below MAX_HEAD, as the caller saw
        let piece = piece.get_mut(..room).unwrap_or_default();
        let n = read(&mut self.stream, piece, reads)?;
        self.input.extend_from_slice(piece.get(..n).unwrap_or_default());
        Ok(())
    }

    /// Throws away what comes until the peer closes.
    fn drain(&mut self, reads: &mut usize) -> Result<(), Stop> {
        read(&mut self.stream, &mut [0; 4096], reads).map(drop)
    }
}

/// Reads at least one byte. A peer that has closed its side has sent all of its requests: those
/// before the end were answered already.
fn read(stream: &mut TcpStream, piece: &mut [u8], reads: &mut usize) -> Result<usize, Stop> {
    if *reads == 0 {
        return Err(Stop::Wait);
    }
    *reads -= 1;
    match stream.read(piece) {
        Ok(0) => Err(Stop::Over),
        Ok(n) => Ok(n),
        Err(e) => Err(stop(&e)),
    }
}

fn stop(error: &std::io::Error) -> Stop {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Stop::Wait,
        _ => Stop::Over,
    }
}
