//! The body of an upload, and what the server says to it before its end.

use super::{Common, Connection, End, Phase, is_patience, judge};
use crate::diagnostics::throughput::{FRAME, Way, http};
use std::io;
use std::time::Instant;

impl Connection {
    pub(super) fn send(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let plan = common.plan;
        let whole = common.piece.len() as u64;
        let at = self.sent % whole;
        let left = match (plan.duration, common.is_over) {
            (None, _) => plan.length - self.sent,
            (Some(_), false) => whole,
            // To the end of the present chunk.
            (Some(_), true) => (FRAME - self.sent % FRAME) % FRAME,
        };
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
