//! IPLayerCapacityMetrics (TR-471): the client of the open UDP speed test protocol, in both directions.
//!
//! `plan` reads the arguments, `pdu` knows the datagrams and `auth` signs them, a `flow` is one socket's way from
//! setup to stop; `reception` and `emission` count and time the load, `results` says what came of it. The server
//! decides on the rate: the client reports what it receives, or sends what it is told to.

pub mod auth;
mod emission;
mod flow;
pub mod pdu;
mod plan;
mod reception;
mod results;
#[cfg(test)]
mod tests;

use super::run::{Canceled, Run};
use super::socket::{Refusal, addresses};
use super::throughput::interface::{Counters, device_with};
use super::{Job, Report};
use flow::{Failure, Flow};
use nix::poll::PollFlags;
use pdu::Setup;
use plan::Plan;
pub use plan::{judge, together};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The object.
pub const OBJECT: &str = "Device.IP.Diagnostics.IPLayerCapacityMetrics.";
/// Rows of keys that a job has beside its arguments: `IPLayerCapacityAuthCode.1.Alias`.
pub const KEYS: &str = "IPLayerCapacityAuthCode.";
/// IPLayerMaxConnections: the most flows of a test (DG-15).
pub const MAX_FLOWS: usize = 8;
/// How exact a timer is asked to be, in nanoseconds: the fastest one of a rate has 100 microseconds.
const SLACK: u64 = 10_000;

/// The time, which nobody sets while a test runs: microseconds since 1970.
#[derive(Clone, Copy)]
struct Clock {
    wall: i64,
    mono: Instant,
}

impl Clock {
    fn new() -> Clock {
        Clock { wall: results::micros(std::time::SystemTime::now()), mono: Instant::now() }
    }

    fn now(&self) -> i64 {
        self.wall + i64::try_from(self.mono.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }

    fn instant(&self, at: i64) -> Instant {
        let since = Duration::from_micros(u64::try_from(at.saturating_sub(self.wall)).unwrap_or(0));
        self.mono.checked_add(since.min(Duration::from_secs(3600))).unwrap_or(self.mono)
    }
}

/// The test.
///
/// # Errors
/// It was canceled.
pub fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    let plan = match Plan::of(job) {
        Ok(plan) => plan,
        Err(report) => return Ok(results::refused(Failure::new(report.state, report.why))),
    };
    match resolved(job, &plan, run) {
        Ok(servers) => measure(job, &plan, &servers, run),
        Err(refusal) => refusal.end().map(|report| results::refused(Failure::new(report.state, report.why))),
    }
}

/// All addresses of each server.
fn resolved(job: &Job, plan: &Plan, run: &Run) -> Result<Vec<Vec<SocketAddr>>, Refusal> {
    let each = plan.servers.iter().map(|(host, port)| {
        let found = addresses(job, host, run)?;
        Ok(found.into_iter().map(|address| SocketAddr::new(address, *port)).collect())
    });
    each.collect()
}

fn measure(job: &Job, plan: &Plan, servers: &[Vec<SocketAddr>], run: &mut Run) -> Result<Report, Canceled> {
    // Where the kernel does not give it the rates are a little rougher.
    let _ = nix::sys::prctl::set_timerslack(SLACK as _);
    let clock = Clock::new();
    let mut first = None;
    let mut flows = begun(job, plan, servers, clock, &mut first);
    let mut shown = 0;
    while let Some(due) = flows.iter().filter(|flow| flow.ended().is_none()).map(Flow::due).min() {
        let failed = flows.iter().filter(|flow| matches!(flow.ended(), Some(Err(_)))).count();
        if flows.len() - failed < plan.required {
            break;
        }
        let mut wanted: Vec<_> = flows
            .iter()
            .filter(|flow| flow.ended().is_none())
            .map(|flow| (flow.socket().as_fd(), PollFlags::POLLIN, false))
            .collect();
        run.wait(&mut wanted, clock.instant(due))?;
        let ready: Vec<bool> = wanted.iter().map(|(_, _, ready)| *ready).collect();
        for (flow, ready) in flows.iter_mut().filter(|flow| flow.ended().is_none()).zip(ready) {
            if ready {
                flow.hear(|| clock.now());
            }
            flow.turn(clock.now());
        }
        if run.is_shown() {
            let rows = rows(&flows, servers);
            if let Some(row) = rows.get(shown) {
                shown += 1;
                let [rate, ..] = row.rates;
                run.show(&format!("{shown}: {rate:.2} Mbit/s, {} lost", row.sum.errors[0]));
            }
        }
    }
    Ok(told(plan, &flows, servers, first))
}

/// The flows that could be begun, one to each server in turn.
fn begun<'a>(
    job: &Job,
    plan: &'a Plan,
    servers: &[Vec<SocketAddr>],
    clock: Clock,
    first: &mut Option<Failure>,
) -> Vec<Flow<'a>> {
    let ident = (flow::chance() % 0xFFFF) as u16 + 1; // 1 to 0xFFFF
    let share = plan.bandwidth / plan.attempts as u16; // at most MAX_FLOWS
    let mut flows: Vec<Flow<'a>> = Vec::new();
    for (index, addresses) in (0..plan.attempts).zip(servers.iter().cycle()) {
        let setup = Setup {
            index: index as u8, // below MAX_FLOWS
            count: plan.attempts as u8,
            ident,
            bandwidth: if plan.bandwidth > 0 { share.max(1) } else { 0 },
            upstream: plan.activation.upstream,
            jumbo: plan.jumbo,
            traditional: plan.traditional,
        };
        // The next address where there is no way to one.
        for server in addresses {
            match Flow::begin(job, plan, *server, setup, clock.now()) {
                Ok(flow) => {
                    flows.push(flow);
                    break;
                }
                Err(failure) => drop(first.get_or_insert(failure)),
            }
        }
    }
    if let Some(flow) = flows.first_mut().filter(|_| plan.interface_rate) {
        let own = flow.socket().local_addr().ok().and_then(|address| device_with(address.ip()));
        let device = job.device.clone().or(own);
        flow.count_with(Counters::of(&job.around.root, device.as_deref()));
    }
    flows
}

/// The sub-intervals that all flows have measured which were activated.
fn rows(flows: &[Flow<'_>], servers: &[Vec<SocketAddr>]) -> Vec<results::Row> {
    let six = servers.iter().flatten().next().is_some_and(SocketAddr::is_ipv6);
    let measured = flows.iter().filter(|flow| !flow.subs.is_empty());
    let count = measured.clone().map(|flow| flow.subs.len()).min().unwrap_or(0);
    let mut rows = vec![results::Row::default(); count];
    for flow in measured {
        let six = flow.socket().peer_addr().map_or(six, |peer| peer.is_ipv6());
        rows.iter_mut().zip(&flow.subs).for_each(|(row, sub)| row.add(sub, six));
    }
    rows
}

fn told(plan: &Plan, flows: &[Flow<'_>], servers: &[Vec<SocketAddr>], first: Option<Failure>) -> Report {
    let ended = |flow: &Flow<'_>| flow.ended().and_then(Result::err).cloned();
    let failure = flows.iter().find_map(ended).or(first);
    let good = flows.iter().filter(|flow| matches!(flow.ended(), Some(Ok(())))).count();
    let failure = failure.filter(|_| good < plan.required);
    let mut report = results::report(&rows(flows, servers), plan, failure.as_ref());
    let active = flows.iter().filter(|flow| flow.begun > 0);
    report.put("ActiveFlows", active.clone().count());
    if let (Some(begun), Some(last)) =
        (active.clone().map(|flow| flow.begun).min(), active.clone().map(|flow| flow.last).max())
    {
        report.put("BOMTime", results::moment(begun));
        report.put("EOMTime", results::moment(last));
        let length = active.map(|flow| flow.lengths().0).max().unwrap_or(0);
        report.put("TestInterval", length / 1000);
        report.put("TmaxUsed", TMAX);
        report.put("TmaxRTTUsed", plan.wait / 1000);
        // A server tells delays in milliseconds; our own are as exact as the timestamps of the load.
        report.put("TimestampResolutionUsed", if plan.activation.upstream { 1000 } else { 1 });
    }
    report
}

/// What `Tmax` is, in milliseconds: the protocol counts by numbers, and a datagram that its successors
/// overtake is lost at once.
const TMAX: u32 = 1000;
