//! The body of an upload, and what the server says to it before its end.

use super::{Common, Connection, End, Phase, is_patience, judge};
use crate::diagnostics::throughput::{FRAME, PIECE, Plan, Way, http};
use std::io;
use std::time::Instant;

impl Connection {
    pub(super) fn send(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let plan = common.plan;
        let whole = common.piece.len() as u64;
        let at = self.sent % whole;
        let left = left(plan, self.sent, common.is_over);
        if left == 0 {
            self.out = if plan.duration.is_some() { b"0\r\n\r\n".to_vec() } else { Vec::new() };
            (self.gone, self.phase) = (0, Phase::Closing);
            return Ok(true);
        }
        let amount = left.min(whole - at);
        let piece = common.piece.get(at as usize..(at + amount) as usize).unwrap_or_default();
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.write(piece) {
            Ok(amount) => {
                self.sent += amount as u64;
                self.data(amount, Instant::now());
                self.wait(plan.timeouts.progress);
                Ok(true)
            }
            Err(error) if is_patience(&error) => Ok(false),
            Err(error) => self.cut(plan.way, &error).map(|()| true),
        }
    }

    pub(super) fn close(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        if self.gone < self.out.len() {
            return self.put_out(common.plan.way);
        }
        // What TLS holds back goes out as well.
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.flush() {
            Err(error) if is_patience(&error) => return Ok(false),
            Err(error) => self.cut(common.plan.way, &error)?,
            Ok(()) => {}
        }
        self.data(self.out.len(), Instant::now());
        self.phase = Phase::Hearing;
        self.wait(common.plan.timeouts.response);
        Ok(true)
    }

    /// An upload cannot go on. What the server said before is the better reason.
    pub(super) fn cut(&mut self, way: Way, error: &io::Error) -> Result<(), End> {
        let state = match (way, self.marks.bom) {
            (Way::Upload, Some(_)) => way.broken(),
            _ => "Error_NoResponse",
        };
        let mut room = [0; 2048];
        while let Some(wire) = &mut self.wire
            && self.head.len() < http::MAX_HEAD
            && let Ok(amount @ 1..) = wire.read(&mut room)
        {
            self.head.extend_from_slice(room.get(..amount).unwrap_or_default());
            if let Some(head) = self.final_head(way)? {
                judge(way, head.status)?;
            }
        }
        Err((state, format!("the connection broke: {error}")))
    }

    /// Whether the server answers before it has all; a refusal is an error at once.
    pub(super) fn listen(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        // Once it has all, an answer is no interruption.
        if left(common.plan, self.sent, false) == 0 {
            return Ok(false);
        }
        let Some(wire) = &mut self.wire else { return Ok(false) };
        let mut room = [0; 2048];
        match wire.read(&mut room) {
            Ok(0) => {
                let why = "the server closed the connection before it had all".to_owned();
                return Err((common.plan.way.broken(), why));
            }
            Ok(amount) => self.head.extend_from_slice(room.get(..amount).unwrap_or_default()),
            Err(error) if is_patience(&error) => return Ok(false),
            Err(error) => return self.cut(common.plan.way, &error).map(|()| true),
        }
        if let Some(head) = self.final_head(common.plan.way)? {
            judge(common.plan.way, head.status)?;
            let why = format!("status {} before all was sent", head.status);
            return Err((common.plan.way.broken(), why));
        }
        Ok(false)
    }
}

/// How much of the body is still to go, from a place of it; without an end (the time is not over) as much
/// as goes at once.
fn left(plan: &Plan, sent: u64, is_over: bool) -> u64 {
    let to_the_end_of_the_chunk = (FRAME - sent % FRAME) % FRAME;
    match (plan.duration, is_over) {
        (None, _) => plan.length.saturating_sub(sent),
        (Some(_), false) => PIECE as u64,
        (Some(_), true) => to_the_end_of_the_chunk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::throughput::interface::Counters;
    use crate::diagnostics::throughput::tests::{job, plan};
    use crate::diagnostics::throughput::wire::Wire;
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    /// A server may answer the last byte while its connection waits for its next turn.
    #[test]
    fn an_answer_to_all_of_it_is_none_too_early() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let plan = Plan { length: 100, ..plan(Way::Upload, "http://127.0.0.1/") };
        let job = job(&[]);
        for (sent, fits) in [(100, true), (99, false)] {
            let mut common = Common {
                plan: &plan,
                job: &job,
                addresses: &[address],
                tls: None,
                piece: vec![0; PIECE],
                is_over: false,
                opened: 1,
                local: None,
                counters: Counters::default(),
            };
            let mut connection = Connection::new();
            connection.wire = Some(Wire::open(&job, address).expect("a socket"));
            let (mut server, _) = listener.accept().expect("a connection");
            server.write_all(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n").expect("it is taken");
            (connection.phase, connection.sent) = (Phase::Sending, sent);
            connection.wait(Duration::from_secs(60));
            let done = connection.step(&mut common, true);
            assert_eq!((done.is_ok(), connection.is_over()), (fits, fits), "{done:?}");
        }
    }

    #[test]
    fn a_body_ends_with_its_length_or_with_a_whole_chunk() {
        let plain = Plan { length: 100, ..plan(Way::Upload, "http://192.0.2.1/") };
        for (sent, expected) in [(0, 100), (99, 1), (100, 0)] {
            assert_eq!(left(&plain, sent, false), expected);
        }
        let timed = Plan { duration: Some(Duration::from_secs(1)), ..plain };
        for (sent, expected) in
            [(0, 0), (1, FRAME - 1), (FRAME - 1, 1), (FRAME, 0), (5 * FRAME + 7, FRAME - 7)]
        {
            assert_eq!(left(&timed, sent, true), expected, "{sent}");
            assert!(left(&timed, sent, false) > 0);
        }
    }
}
