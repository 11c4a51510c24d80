//! The receiving side: load is counted, and told of in feedback. No socket; times are microseconds since 1970.

use super::pdu::{Counted, Load, NO_DELAY, STATUS, STOP, Stamp, Status};

/// How many sequence numbers are remembered, to tell what is doubled from what is late.
const HISTORY: usize = 32;

/// What became of the load in one sub-interval; times in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sub {
    /// When it ended, since 1970.
    pub end: i64,
    /// Its length.
    pub time: i64,
    /// Datagrams.
    pub datagrams: u64,
    /// Octets of their UDP payload.
    pub bytes: u64,
    /// Lost, out of order, doubled.
    pub errors: [u32; 3],
    /// One-way delay, least and most, with the difference of the clocks in it.
    pub delay: Option<(i64, i64)>,
    /// Round trip, least and most.
    pub round_trip: Option<(i64, i64)>,
    /// Octets that went through the interface, the test's direction only.
    pub interface: u64,
}

/// Widens a range.
fn widen(range: &mut Option<(i64, i64)>, value: i64) {
    let (least, most) = range.unwrap_or((value, value));
    *range = Some((least.min(value), most.max(value)));
}

/// Rounded to milliseconds, as the protocol has delays.
fn millis(micros: i64) -> u32 {
    u32::try_from((micros + 500) / 1000).unwrap_or(0).min(NO_DELAY - 1)
}

/// Minimum, maximum, sum and count in milliseconds, as the protocol has them.
const NO_VARIATION: [u32; 4] = [NO_DELAY, 0, 0, 0];

fn vary(variation: &mut [u32; 4], value: u32) {
    let [least, most, sum, count] = variation;
    (*least, *most) = ((*least).min(value), (*most).max(value));
    (*sum, *count) = (sum.saturating_add(value), count.saturating_add(1));
}

/// What is counted until the next feedback.
#[derive(Clone, Copy, Debug)]
struct Trial {
    since: i64,
    errors: [u32; 3],
    variation: [u32; 4],
    datagrams: u32,
    bytes: u32,
    round_trip: Option<u32>,
    is_updated: bool,
}

impl Trial {
    fn new(since: i64) -> Trial {
        let (errors, variation) = ([0; 3], NO_VARIATION);
        Trial { since, errors, variation, datagrams: 0, bytes: 0, round_trip: None, is_updated: false }
    }
}

/// The load of one flow.
#[derive(Debug)]
pub struct Reception {
    /// The highest sequence number.
    last: u32,
    history: [u32; HISTORY],
    remembered: usize,
    /// The least difference of the clocks.
    delta: Option<i64>,
    round_trip: Option<i64>,
    /// The feedback whose echo was seen last.
    echoed: Stamp,
    /// The longest round trip that counts.
    longest: i64,
    trial: Trial,
    /// When the sub-interval under way began.
    since: Option<i64>,
    sub: Sub,
    counted: Counted,
    /// The last one that has ended.
    saved: Counted,
    ended: u32,
    elapsed: u32,
    feedbacks: u32,
}

impl Reception {
    /// Begins now; round trips of more than `longest` microseconds do not count.
    pub fn new(now: i64, longest: i64) -> Reception {
        Reception {
            last: 0,
            history: [0; HISTORY],
            remembered: 0,
            delta: None,
            round_trip: None,
            echoed: Stamp::default(),
            longest,
            trial: Trial::new(now),
            since: None,
            sub: Sub::default(),
            counted: Reception::none(),
            saved: Counted::default(),
            ended: 0,
            elapsed: 0,
            feedbacks: 0,
        }
    }

    fn none() -> Counted {
        Counted { variation: NO_VARIATION, round_trip: [NO_DELAY, 0], ..Counted::default() }
    }

    /// When the sub-interval under way began; the first one begins with the first load.
    pub fn since(&self) -> Option<i64> {
        self.since
    }

    /// A datagram of load has come.
    pub fn load(&mut self, load: &Load, now: i64) {
        self.since.get_or_insert(now);
        self.sub.datagrams += 1;
        self.sub.bytes += u64::from(load.payload);
        self.counted.datagrams = self.counted.datagrams.saturating_add(1);
        self.counted.bytes += u64::from(load.payload);
        self.trial.datagrams = self.trial.datagrams.saturating_add(1);
        self.trial.bytes = self.trial.bytes.saturating_add(load.payload.into());
        if self.is_next(load.sequence) {
            self.round_trip(load, now);
            self.delay(now - load.sent.micros());
        }
    }

    fn each_errors(&mut self, change: impl Fn(&mut [u32; 3])) {
        for errors in [&mut self.trial.errors, &mut self.sub.errors, &mut self.counted.errors] {
            change(errors);
        }
    }

    /// Counts what its number says. False when others with higher numbers came before it.
    fn is_next(&mut self, sequence: u32) -> bool {
        let is_next = sequence > self.last;
        if is_next {
            let lost = sequence - self.last - 1;
            self.each_errors(|[loss, _, _]| *loss = loss.saturating_add(lost));
            self.last = sequence;
        } else if self.history.contains(&sequence) {
            self.each_errors(|[_, _, doubled]| *doubled = doubled.saturating_add(1));
            return false;
        } else {
            // It was counted as lost when its successor came.
            self.each_errors(|[loss, late, _]| {
                (*loss, *late) = (loss.saturating_sub(1), late.saturating_add(1))
            });
        }
        if let Some(place) = self.history.get_mut(self.remembered % HISTORY) {
            *place = sequence;
        }
        self.remembered = self.remembered.wrapping_add(1);
        is_next
    }

    /// The first load behind a feedback measures the round trip; its sender's time does not count.
    fn round_trip(&mut self, load: &Load, now: i64) {
        if load.feedback == self.echoed {
            return;
        }
        self.echoed = load.feedback;
        let held = i64::from(load.held) * 1000;
        // The time it was held is told in whole milliseconds, so the rest is no more exact.
        let took = (now - load.feedback.micros() - held + 500).div_euclid(1000).max(0) * 1000;
        if took > self.longest {
            return;
        }
        if self.round_trip.is_none_or(|least| took < least) {
            (self.round_trip, self.trial.is_updated) = (Some(took), true);
        }
        let beyond = millis(took - self.round_trip.unwrap_or(took));
        self.trial.round_trip = Some(beyond);
        let [least, most] = self.counted.round_trip;
        self.counted.round_trip = [least.min(beyond), most.max(beyond)];
        widen(&mut self.sub.round_trip, took);
    }

    fn delay(&mut self, delta: i64) {
        widen(&mut self.sub.delay, delta);
        let is_first = self.delta.is_none();
        if self.delta.is_none_or(|least| delta < least) {
            (self.delta, self.trial.is_updated) = (Some(delta), true);
        }
        if !is_first {
            let beyond = millis(delta - self.delta.unwrap_or(delta));
            vary(&mut self.trial.variation, beyond);
            vary(&mut self.counted.variation, beyond);
        }
    }

    /// Ends the sub-interval under way; the next one begins.
    pub fn end_sub(&mut self, now: i64) -> Sub {
        let time = now - self.since.unwrap_or(now);
        self.since = Some(now);
        self.ended = self.ended.wrapping_add(1);
        self.elapsed = self.elapsed.saturating_add(millis(time));
        let micros = u32::try_from(time).unwrap_or(u32::MAX);
        self.saved = Counted { time: micros, elapsed: self.elapsed, ..self.counted };
        self.counted = Reception::none();
        Sub { end: now, time, ..std::mem::take(&mut self.sub) }
    }

    /// The next feedback. None before the first load: it would say nothing.
    pub fn feedback(&mut self, now: i64, stops: bool, is_deaf: bool, mode: u8) -> Option<[u8; STATUS]> {
        if self.last == 0 && !stops {
            return None;
        }
        self.feedbacks = self.feedbacks.wrapping_add(1);
        let trial = std::mem::replace(&mut self.trial, Trial::new(now));
        let time = u32::try_from(now - trial.since).unwrap_or(u32::MAX);
        let signed = |micros: i64| i32::try_from((micros + 500).div_euclid(1000)).unwrap_or(i32::MAX);
        let status = Status {
            action: if stops { STOP } else { 0 },
            is_deaf,
            sequence: self.feedbacks,
            sub_interval: self.ended,
            counted: self.saved,
            errors: trial.errors,
            clock_delta: self.delta.map_or(0, signed),
            variation: trial.variation,
            round_trip: self.round_trip.map_or(NO_DELAY, millis),
            round_trip_variation: trial.round_trip.unwrap_or(NO_DELAY),
            is_updated: trial.is_updated,
            trial: [time, trial.datagrams, trial.bytes],
            sent: Stamp::of(now),
            ..Status::default()
        };
        Some(status.written(mode))
    }
}
