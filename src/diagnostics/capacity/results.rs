//! Sub-intervals of all flows, and what the standard makes of them (TR-181 IPLayerCapacityMetrics).

use super::flow::Failure;
use super::plan::Plan;
use super::reception::Sub;
use crate::diagnostics::{Record, Report, time};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Octets of UDP and IPv4.
const LAYER_3: u64 = 28;
/// What IPv6 has more.
const SIX: u64 = 20;
/// What Ethernet adds: without its check sequence, with it, with that and a VLAN's tag.
const ETHERNET: [u64; 3] = [14, 18, 22];

/// One sub-interval of all flows.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Row {
    /// When it ended, in microseconds since 1970.
    pub end: i64,
    /// Mbit/s: of IP, and of Ethernet in its three kinds.
    pub rates: [f64; 4],
    /// Mbit/s of the interface.
    pub interface: f64,
    /// All of its counts.
    pub sum: Sub,
}

fn mbps(octets: u64, micros: i64) -> f64 {
    if micros > 0 { octets as f64 * 8.0 / micros as f64 } else { 0.0 }
}

fn wider(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

impl Row {
    /// Takes a flow's in.
    pub fn add(&mut self, sub: &Sub, six: bool) {
        let layer_3 = LAYER_3 + if six { SIX } else { 0 };
        for (rate, more) in self.rates.iter_mut().zip([0, ETHERNET[0], ETHERNET[1], ETHERNET[2]]) {
            let octets = sub.bytes.saturating_add(sub.datagrams.saturating_mul(layer_3 + more));
            *rate += mbps(octets, sub.time);
        }
        self.interface += mbps(sub.interface, sub.time);
        self.end = self.end.max(sub.end);
        self.sum = added(&self.sum, sub);
    }
}

fn added(a: &Sub, b: &Sub) -> Sub {
    let mut errors = a.errors;
    errors.iter_mut().zip(b.errors).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    Sub {
        datagrams: a.datagrams.saturating_add(b.datagrams),
        errors,
        delay: wider(a.delay, b.delay),
        round_trip: wider(a.round_trip, b.round_trip),
        ..*a
    }
}

/// Microseconds as seconds with nine digits.
fn seconds(micros: i64) -> String {
    format!("{:.9}", micros as f64 / 1e6)
}

fn range(range: Option<(i64, i64)>) -> String {
    seconds(range.map_or(0, |(least, most)| most - least))
}

fn least(range: Option<(i64, i64)>) -> String {
    seconds(range.map_or(0, |(least, _)| least))
}

fn when(micros: i64) -> String {
    time::micros(UNIX_EPOCH + Duration::from_micros(micros.max(0) as u64))
}

/// What a sub-interval tells, by the names of its place.
struct Names {
    rate: &'static str,
    end: &'static str,
    loss: &'static str,
    round_trip: &'static str,
    delay: &'static str,
    least_delay: &'static str,
    reordered: &'static str,
    replicated: &'static str,
    interface: &'static str,
}

const IN_ROW: Names = Names {
    rate: "IPLayerCapacity",
    end: "TimeOfSubInterval",
    loss: "LossRatio",
    round_trip: "RTTRange",
    delay: "PDVRange",
    least_delay: "MinOnewayDelay",
    reordered: "ReorderedRatio",
    replicated: "ReplicatedRatio",
    interface: "InterfaceEthMbps",
};

const AT_MAX: Names = Names {
    rate: "MaxIPLayerCapacity",
    end: "TimeOfMax",
    loss: "LossRatioAtMax",
    round_trip: "RTTRangeAtMax",
    delay: "PDVRangeAtMax",
    least_delay: "MinOnewayDelayAtMax",
    reordered: "ReorderedRatioAtMax",
    replicated: "ReplicatedRatioAtMax",
    interface: "InterfaceEthMbpsAtMax",
};

const SUMMARY: Names = Names {
    rate: "IPLayerCapacitySummary",
    end: "",
    loss: "LossRatioSummary",
    round_trip: "RTTRangeSummary",
    delay: "PDVRangeSummary",
    least_delay: "MinOnewayDelaySummary",
    reordered: "ReorderedRatioSummary",
    replicated: "ReplicatedRatioSummary",
    interface: "InterfaceEthMbpsSummary",
};

fn tell(row: &Row, names: &Names, plan: &Plan, out: &mut Record) {
    let sum = &row.sum;
    let [lost, late, doubled] = sum.errors;
    let sent = sum.datagrams as f64 + f64::from(lost);
    let ratio = |count: u32, wanted: bool| match wanted && sent > 0.0 {
        true => format!("{:.9}", f64::from(count) / sent),
        false => format!("{:.9}", 0.0),
    };
    out.push((names.rate, format!("{:.2}", row.rates[0])));
    if !names.end.is_empty() {
        out.push((names.end, when(row.end)));
    }
    out.push((names.loss, ratio(lost, true)));
    out.push((names.round_trip, range(sum.round_trip)));
    out.push((names.delay, range(sum.delay)));
    out.push((names.least_delay, least(sum.delay)));
    out.push((names.reordered, ratio(late, plan.reordered)));
    out.push((names.replicated, ratio(doubled, plan.replicated)));
    out.push((names.interface, format!("{:.2}", row.interface)));
}

/// The sub-interval with the largest capacity, the first of them.
fn tell_max(rows: &[Row], plan: &Plan, out: &mut Record) -> Option<Row> {
    let max = rows.iter().copied().reduce(|a, b| if b.rates[0] > a.rates[0] { b } else { a })?;
    tell(&max, &AT_MAX, plan, out);
    let names = ["MaxETHCapacityNoFCS", "MaxETHCapacityWithFCS", "MaxETHCapacityWithFCSVLAN"];
    for (name, rate) in names.into_iter().zip(max.rates.into_iter().skip(1)) {
        out.push((name, format!("{rate:.2}")));
    }
    Some(max)
}

/// The report of a test that has measured nothing.
pub fn refused(failure: Failure) -> Report {
    let mut report = Report::error(failure.state, failure.why);
    report.put("StatusCode", failure.code);
    report.put("StatusMessage", report.why.clone());
    report
}

/// The report of a test whose sub-intervals these are, also of one that failed in the midst of it.
pub fn report(rows: &[Row], plan: &Plan, failure: Option<&Failure>) -> Report {
    let mut report = match failure {
        Some(failure) => refused(failure.clone()),
        None => Report::complete(),
    };
    if rows.is_empty() {
        return report;
    }
    let first = match plan.first_mode {
        0 => rows.len(),
        count => count.min(rows.len()),
    };
    let (mode, rest) = rows.split_at(first);
    if let Some(max) = tell_max(mode, plan, &mut report.values) {
        let (shortest, longest) = max.sum.round_trip.unwrap_or_default();
        report.put("RTTMinAtMax", seconds(shortest));
        report.put("RTTMaxAtMax", seconds(longest));
    }
    let mut whole = Row::default();
    for row in rows {
        whole.rates[0] += row.rates[0] / rows.len() as f64;
        whole.interface += row.interface / rows.len() as f64;
        whole.sum = added(&whole.sum, &row.sum);
    }
    tell(&whole, &SUMMARY, plan, &mut report.values);
    report.put("MinRTTSummary", least(whole.sum.round_trip));
    let mut table = Vec::with_capacity(rows.len());
    for row in rows {
        let mut record = Record::with_capacity(9);
        tell(row, &IN_ROW, plan, &mut record);
        table.push(record);
    }
    report.tables.push(("IncrementalResult", table));
    let mut second = Record::new();
    if tell_max(rest, plan, &mut second).is_some() {
        report.tables.push(("ModalResult", vec![second]));
    }
    report
}

/// A moment as text, for BOMTime and EOMTime.
pub fn moment(micros: i64) -> String {
    when(micros)
}

/// Microseconds since 1970.
pub fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX / 2)
}
