//! What is counted in a test, and what is told of it: times, bytes, the period in which all connections carry
//! data, and what came in each interval (DG-8, DG-10). No I/O, no clock.

use super::interface::Bytes;
use super::{MAX_INTERVALS, Plan, Way};
use crate::diagnostics::time::Clock;
use crate::diagnostics::{Record, Report};
use std::time::Instant;

/// What one connection has done.
#[derive(Clone, Default)]
pub struct Marks {
    /// TCPOpenRequestTime: its SYN was sent.
    pub open_request: Option<Instant>,
    /// TCPOpenResponseTime: it was answered.
    pub open_response: Option<Instant>,
    /// ROMTime: the request was sent.
    pub rom: Option<Instant>,
    /// BOMTime: the first data came, or was sent.
    pub bom: Option<Instant>,
    /// The last data until now.
    pub last: Option<Instant>,
    /// EOMTime: the last data came, or the answer to what was sent.
    pub eom: Option<Instant>,
    /// Bytes of HTTP, heads included.
    pub bytes: u64,
    /// The interface when the request was sent: nothing of the answer can have come before.
    pub begin: Option<Bytes>,
    /// The interface at the end.
    pub end: Option<Bytes>,
}

/// A moment of the test as a whole.
#[derive(Clone, Copy)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// Bytes of all connections that had arrived by then.
    pub bytes: u64,
    /// The interface.
    pub interface: Option<Bytes>,
}

/// See the module.
#[derive(Default)]
pub struct Tally {
    /// When the last connection had begun; from then on all are loaded.
    full: Option<Moment>,
    /// When the first had ended.
    spare: Option<Moment>,
    /// The beginning of the present interval, with what had come under full load.
    since: Option<(Moment, u64)>,
    intervals: Vec<Record>,
}

impl Tally {
    /// All connections carry data from now on.
    pub fn is_full(&mut self, moment: Moment) {
        self.full.get_or_insert(moment);
    }

    /// The first of them has ended.
    pub fn is_spare(&mut self, moment: Moment) {
        self.spare.get_or_insert(moment);
    }

    /// An interval begins, and one has ended where one had begun.
    pub fn interval(&mut self, way: Way, clock: &Clock, moment: Moment) {
        let loaded = match (&self.full, &self.spare) {
            (Some(full), spare) => spare.map_or(moment.bytes, |spare| spare.bytes).saturating_sub(full.bytes),
            (None, _) => 0,
        };
        if let Some((start, before)) = self.since.replace((moment, loaded))
            && self.intervals.len() < MAX_INTERVALS
        {
            let mut row = vec![
                ("StartTime", clock.text(start.at)),
                ("EndTime", clock.text(moment.at)),
                (way.test_bytes(), loaded.saturating_sub(before).to_string()),
            ];
            put_total(&mut row, ["TotalBytesReceived", "TotalBytesSent"], start.interface, moment.interface);
            self.intervals.push(row);
        }
    }

    /// Puts all into a report.
    pub fn tell(self, plan: &Plan, clock: &Clock, marks: &[Marks], report: &mut Report) {
        let all = |of: fn(&Marks) -> Option<Instant>| marks.iter().filter_map(of);
        let values = &mut report.values;
        put_time(values, clock, "TCPOpenRequestTime", all(|m| m.open_request).max());
        put_time(values, clock, "TCPOpenResponseTime", all(|m| m.open_response).max());
        put_time(values, clock, "ROMTime", all(|m| m.rom).min());
        put_time(values, clock, "BOMTime", all(|m| m.bom).min());
        put_time(values, clock, "EOMTime", all(|m| m.eom).max());
        let bytes: u64 = marks.iter().map(|m| m.bytes).sum();
        values.push((plan.way.test_bytes(), bytes.to_string()));
        let begin = marks.iter().filter(|m| m.rom.is_some()).min_by_key(|m| m.rom).and_then(|m| m.begin);
        let end = marks.iter().filter(|m| m.eom.is_some()).max_by_key(|m| m.eom).and_then(|m| m.end);
        put_total(values, ["TotalBytesReceived", "TotalBytesSent"], begin, end);
        if let (Some(full), Some(spare)) = (self.full, self.spare) {
            let period = spare.at.saturating_duration_since(full.at);
            let loaded = if period.is_zero() { 0 } else { spare.bytes.saturating_sub(full.bytes) };
            values.push(("PeriodOfFullLoading", (period.as_micros().min(u32::MAX.into())).to_string()));
            values.push((plan.way.loaded_bytes(), loaded.to_string()));
            let names = ["TotalBytesReceivedUnderFullLoading", "TotalBytesSentUnderFullLoading"];
            if !period.is_zero() {
                put_total(values, names, full.interface, spare.interface);
            }
        }
        if plan.per_connection {
            let row = |m: &Marks| row(plan.way, clock, m);
            report.tables.push(("PerConnectionResult", marks.iter().map(row).collect()));
        }
        if !self.intervals.is_empty() {
            report.tables.push(("IncrementalResult", self.intervals));
        }
    }
}

fn row(way: Way, clock: &Clock, marks: &Marks) -> Record {
    let mut row = Record::new();
    put_time(&mut row, clock, "TCPOpenRequestTime", marks.open_request);
    put_time(&mut row, clock, "TCPOpenResponseTime", marks.open_response);
    put_time(&mut row, clock, "ROMTime", marks.rom);
    put_time(&mut row, clock, "BOMTime", marks.bom);
    put_time(&mut row, clock, "EOMTime", marks.eom);
    row.push((way.test_bytes(), marks.bytes.to_string()));
    put_total(&mut row, ["TotalBytesReceived", "TotalBytesSent"], marks.begin, marks.end);
    row
}

fn put_time(out: &mut Record, clock: &Clock, name: &'static str, moment: Option<Instant>) {
    out.extend(moment.map(|moment| (name, clock.text(moment))));
}

fn put_total(out: &mut Record, names: [&'static str; 2], begin: Option<Bytes>, end: Option<Bytes>) {
    if let (Some(begin), Some(end)) = (begin, end) {
        // A counter that went back (its device was made anew) counts from there.
        let grown = |before: u64, after: u64| after.checked_sub(before).unwrap_or(after).to_string();
        let [received, sent] = names;
        out.push((received, grown(begin.received, end.received)));
        out.push((sent, grown(begin.sent, end.sent)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::throughput::tests::plan;
    use std::time::Duration;

    fn value<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
        record.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Two connections: the second begins later and ends earlier.
    #[test]
    fn full_loading_is_what_all_share() {
        let clock = Clock::new();
        let base = Instant::now();
        let at = |ms| base + Duration::from_millis(ms);
        let interface = |received, sent| Some(Bytes { received, sent });
        let one = Marks {
            open_request: Some(at(0)),
            open_response: Some(at(1)),
            rom: Some(at(2)),
            bom: Some(at(10)),
            last: Some(at(900)),
            eom: Some(at(900)),
            bytes: 9_000,
            begin: interface(100, 10),
            end: interface(20_100, 510),
        };
        let two = Marks {
            open_request: Some(at(1)),
            open_response: Some(at(3)),
            rom: Some(at(4)),
            bom: Some(at(200)),
            last: Some(at(700)),
            eom: Some(at(700)),
            bytes: 5_000,
            begin: interface(150, 20),
            end: interface(15_000, 400),
        };
        let mut tally = Tally::default();
        tally.is_full(Moment { at: at(200), bytes: 2_000, interface: interface(3_000, 100) });
        tally.is_spare(Moment { at: at(700), bytes: 12_000, interface: interface(15_000, 400) });
        tally.is_spare(Moment { at: at(900), bytes: 14_000, interface: None });
        let plan = Plan { per_connection: true, ..plan(Way::Download, "http://192.0.2.1/") };
        let mut report = Report::complete();
        tally.tell(&plan, &clock, &[one, two], &mut report);
        for (name, expected) in [
            ("TCPOpenRequestTime", clock.text(at(1))),
            ("TCPOpenResponseTime", clock.text(at(3))),
            ("ROMTime", clock.text(at(2))),
            ("BOMTime", clock.text(at(10))),
            ("EOMTime", clock.text(at(900))),
            ("TestBytesReceived", "14000".into()),
            ("TotalBytesReceived", "20000".into()),
            ("TotalBytesSent", "500".into()),
            ("PeriodOfFullLoading", "500000".into()),
            ("TestBytesReceivedUnderFullLoading", "10000".into()),
            ("TotalBytesReceivedUnderFullLoading", "12000".into()),
            ("TotalBytesSentUnderFullLoading", "300".into()),
        ] {
            assert_eq!(value(&report.values, name), Some(expected.as_str()), "{name}");
        }
        let [(table, rows)] = &report.tables[..] else { panic!("one table") };
        assert_eq!((*table, rows.len()), ("PerConnectionResult", 2));
        assert_eq!(value(&rows[1], "BOMTime"), Some(clock.text(at(200)).as_str()));
        assert_eq!(value(&rows[1], "TestBytesReceived"), Some("5000"));
        assert_eq!(value(&rows[1], "TotalBytesSent"), Some("380"));
    }

    #[test]
    fn connections_that_never_met_were_never_fully_loaded() {
        let at = Instant::now();
        let mut tally = Tally::default();
        tally.is_spare(Moment { at, bytes: 5, interface: None });
        tally.is_full(Moment { at: at + Duration::from_secs(1), bytes: 9, interface: None });
        let mut report = Report::complete();
        tally.tell(&plan(Way::Upload, "http://192.0.2.1/"), &Clock::new(), &[], &mut report);
        assert_eq!(value(&report.values, "PeriodOfFullLoading"), Some("0"));
        assert_eq!(value(&report.values, "TestBytesSentUnderFullLoading"), Some("0"));
    }

    #[test]
    fn intervals_follow_each_other_and_are_bounded_dg_10() {
        let clock = Clock::new();
        let base = Instant::now();
        let moment = |n: u64| Moment {
            at: base + Duration::from_secs(n),
            bytes: n * 1_000,
            interface: Some(Bytes { received: n * 1_100, sent: n }),
        };
        let mut tally = Tally::default();
        tally.is_full(Moment { bytes: 500, ..moment(0) });
        for n in 0..=MAX_INTERVALS as u64 + 5 {
            tally.interval(Way::Download, &clock, moment(n));
        }
        assert_eq!(tally.intervals.len(), MAX_INTERVALS);
        assert_eq!(value(&tally.intervals[0], "TestBytesReceived"), Some("500"), "only under full load");
        let second = &tally.intervals[1];
        assert_eq!(value(second, "TestBytesReceived"), Some("1000"));
        assert_eq!(value(second, "TotalBytesReceived"), Some("1100"));
        assert_eq!(value(second, "TotalBytesSent"), Some("1"));
        assert_eq!(value(second, "StartTime"), value(&tally.intervals[0], "EndTime"));
    }
}
