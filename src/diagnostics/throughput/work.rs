//! A test at work: whose turn it is, and the moments that concern all connections.

use super::connection::{Common, Connection, End};
use super::interface::on_the_way;
use super::tally::{Marks, Moment, Tally};
use super::{MAX_CONNECTIONS, Plan, SHOWN, Way};
use crate::diagnostics::Report;
use crate::diagnostics::run::{Canceled, Run, after};
use crate::diagnostics::time::Clock;
use std::time::Instant;

/// See the module.
pub struct Work {
    connections: Vec<Connection>,
    tally: Tally,
    clock: Clock,
    /// When it has to be over, whatever happens.
    last: Instant,
    /// When the time of a time-based test is over, once it has begun.
    end: Option<Instant>,
    /// When the present interval ends, or the first begins.
    boundary: Option<Instant>,
    /// When a person saw something last, and how many bytes it was.
    shown: (Instant, u64),
}

impl Work {
    /// Nothing is open yet.
    pub fn new(plan: &Plan) -> Work {
        Work {
            connections: (0..plan.connections).map(|_| Connection::new()).collect(),
            tally: Tally::default(),
            clock: Clock::new(),
            last: after(plan.whole),
            end: None,
            boundary: None,
            shown: (Instant::now(), 0),
        }
    }

    /// Puts what was found into a report.
    pub fn tell(self, plan: &Plan, report: &mut Report) {
        let marks: Vec<Marks> = self.connections.into_iter().map(|connection| connection.marks).collect();
        self.tally.tell(plan, &self.clock, &marks, report);
    }

    /// Works until it is over: with what went wrong.
    pub fn go(&mut self, common: &mut Common<'_>, run: &mut Run) -> Result<Option<End>, Canceled> {
        let mut ready = [true; MAX_CONNECTIONS];
        loop {
            let mut is_busy = false;
            for (n, is_ready) in ready.iter_mut().enumerate().take(self.connections.len()) {
                match self.step(n, *is_ready, common) {
                    Ok(has_more) => (*is_ready, is_busy) = (has_more, is_busy || has_more),
                    Err(end) => return Ok(Some(end)),
                }
            }
            let now = Instant::now();
            if let Some(end) = self.at(now, common) {
                return Ok(Some(end));
            }
            self.show(now, common.plan, run);
            if self.connections.iter().all(Connection::is_over) {
                return Ok(None);
            }
            if now >= self.last {
                return Ok(Some(("Error_Timeout", "it does not come to an end".to_owned())));
            }
            let until = if is_busy { now } else { self.next_look(run.is_shown()) };
            self.wait(&mut ready, until, run)?;
        }
    }

    /// One connection's turn: whether it has more to do at once.
    fn step(&mut self, n: usize, ready: bool, common: &mut Common<'_>) -> Result<bool, End> {
        let before = self.bytes();
        let Some(connection) = self.connections.get_mut(n) else { return Ok(false) };
        if connection.until().is_none_or(|until| !ready && Instant::now() < until) {
            return Ok(false);
        }
        let had_begun = connection.marks.bom.is_some();
        let more = connection.step(common, ready)?;
        let (bom, eom) = (connection.marks.bom, connection.marks.eom);
        if let Some(bom) = bom.filter(|_| !had_begun) {
            self.has_begun(n, bom, before, common);
        }
        if let Some(eom) = eom {
            self.has_ended(n, eom, common);
        }
        Ok(more)
    }

    /// The first data of a connection; `before` is what all had moved until then.
    fn has_begun(&mut self, n: usize, bom: Instant, before: u64, common: &Common<'_>) {
        let plan = common.plan;
        if let Some(duration) = plan.duration
            && self.end.is_none()
        {
            self.end = bom.checked_add(duration);
            self.boundary = plan.interval.and_then(|_| bom.checked_add(plan.offset));
        }
        if self.connections.iter().all(|connection| connection.marks.bom.is_some()) {
            // A single connection is all there is from its request on.
            let interface = match self.connections.len() {
                1 => self.connections.get(n).and_then(|connection| connection.marks.begin),
                _ => common.counters.read(),
            };
            let bytes = before.saturating_sub(self.on_the_way(common));
            self.tally.is_full(Moment { at: bom, bytes, interface });
        }
    }

    fn has_ended(&mut self, n: usize, eom: Instant, common: &Common<'_>) {
        let interface = common.counters.read();
        if let Some(connection) = self.connections.get_mut(n) {
            connection.marks.end = interface;
        }
        self.tally.is_spare(Moment { at: eom, bytes: self.arrived(common), interface });
    }

    /// What the time brings: an interval is over, or the test.
    fn at(&mut self, now: Instant, common: &mut Common<'_>) -> Option<End> {
        let (plan, end) = (common.plan, self.end?);
        if let (Some(boundary), Some(interval)) = (self.boundary, plan.interval)
            && now >= boundary
        {
            let moment = Moment { at: now, bytes: self.arrived(common), interface: common.counters.read() };
            self.tally.interval(plan.way, &self.clock, moment);
            let mut next = boundary.checked_add(interval);
            while let Some(time) = next.filter(|time| *time <= now) {
                next = time.checked_add(interval);
            }
            self.boundary = next.filter(|time| *time <= end);
        }
        if now < end || common.is_over {
            return None;
        }
        common.is_over = true;
        if let Some(silent) = self.connections.iter().find(|connection| connection.marks.bom.is_none()) {
            let state = match silent.marks.rom {
                None => "Error_InitConnectionFailed",
                Some(_) => "Error_NoResponse",
            };
            return Some((state, "a connection had not begun when the time was over".to_owned()));
        }
        // What is sent has an end of its own, and an answer; what comes does not.
        for n in 0..self.connections.len() {
            if plan.way == Way::Download
                && let Some(connection) = self.connections.get_mut(n).filter(|one| !one.is_over())
            {
                connection.stop(now);
                self.has_ended(n, now, common);
            }
        }
        None
    }

    /// Bytes that all connections have moved.
    fn bytes(&self) -> u64 {
        self.connections.iter().map(|connection| connection.marks.bytes).sum()
    }

    /// Those of them that are where they were to go.
    fn arrived(&self, common: &Common<'_>) -> u64 {
        self.bytes().saturating_sub(self.on_the_way(common))
    }

    /// What an upload has handed to the kernel and no server has acknowledged.
    fn on_the_way(&self, common: &Common<'_>) -> u64 {
        if common.plan.way == Way::Download {
            return 0;
        }
        let local = |connection: &Connection| connection.local().map(|local| local.port());
        let ports: Vec<u16> = self.connections.iter().filter_map(local).collect();
        on_the_way(&common.job.around.root, &ports)
    }

    fn next_look(&self, is_shown: bool) -> Instant {
        let shown = self.shown.0.checked_add(SHOWN).filter(|_| is_shown);
        let others = [self.boundary, self.end.filter(|end| *end > Instant::now()), shown];
        let connections = self.connections.iter().filter_map(Connection::until);
        others.into_iter().flatten().chain(connections).fold(self.last, Instant::min)
    }

    /// Waits until a connection can go on.
    fn wait(&self, ready: &mut [bool], until: Instant, run: &Run) -> Result<(), Canceled> {
        let (mut numbers, mut wanted) = (Vec::new(), Vec::new());
        for (n, connection) in self.connections.iter().enumerate() {
            if let Some(want) = connection.wants() {
                numbers.push(n);
                wanted.push(want);
            }
        }
        run.wait(&mut wanted, until)?;
        for (n, (_, _, is_ready)) in numbers.into_iter().zip(wanted) {
            if let Some(place) = ready.get_mut(n) {
                *place |= is_ready;
            }
        }
        Ok(())
    }

    /// How it goes, for a person.
    fn show(&mut self, now: Instant, plan: &Plan, run: &mut Run) {
        let (last, before) = self.shown;
        let since = now.saturating_duration_since(last);
        if !run.is_shown() || since < SHOWN {
            return;
        }
        let bytes = self.bytes();
        self.shown = (now, bytes);
        let bits = bytes.saturating_sub(before).saturating_mul(8);
        let rate = bits as f64 / since.as_secs_f64() / 1e6;
        let done = if plan.way == Way::Download { "received" } else { "sent" };
        run.show(&format!("{bytes} bytes {done}, {rate:.1} Mbit/s"));
    }
}
