//! Transfers in `status`.

use crate::agent::control::TransferReport;
use crate::agent::host::Core;
use crate::cwmp::transfers::{Origin, Step, Transfer, Waits};
use crate::net::transfer::Meter;
use crate::sys::clock::Now;
use std::sync::Arc;

/// The transfers, for status.
pub fn report(core: &Core, now: Now) -> Vec<TransferReport> {
    let all = &core.transfers;
    let busy = all.queue.is_busy();
    all.queue.all().map(|t| one(t, now, busy, all.health_words(t.number))).collect()
}

/// What shows how far the one that moves is, by its number.
pub fn meter(core: &Core) -> Option<(u32, Arc<Meter>)> {
    let running = core.transfers.running.as_ref()?;
    let step = core.transfers.queue.get(running.number)?.step;
    (step == Step::Fetching).then(|| (running.number, Arc::clone(&running.worker.meter)))
}

fn one(t: &Transfer, now: Now, busy: bool, proves: Option<String>) -> TransferReport {
    let waits = t.waits(now, busy);
    let step = match t.step {
        Step::Queued => "queued",
        Step::Fetching if !t.asked.method.is_download() => "sending",
        Step::Fetching => "fetching",
        Step::Fetched => "fetched",
        Step::Verified => "verified",
        Step::Applying => "applying",
        Step::Done => "done",
    };
    let local = if t.asked.origin == Origin::Local { "local " } else { "" };
    let note = match (&t.fault, waits) {
        (Some(fault), None) if t.step == Step::Done => fault.text.clone(),
        (_, Some(Waits::Confirmation)) => {
            let message = t.window().map_or("", |(window, _, _)| window.user_message.as_str());
            let text = "waits for `cwmpd transfers confirm`";
            if message.is_empty() { text.to_owned() } else { format!("{text}: {message}") }
        }
        (_, Some(Waits::Idle)) => "waits until the device is idle".to_owned(),
        (_, Some(Waits::Clock)) => "waits until the clock is set".to_owned(),
        (Some(fault), Some(_)) => format!("the last attempt failed: {fault}"),
        (_, Some(Waits::Turn | Waits::Until(_))) => String::new(),
        (_, None) => proves.unwrap_or_default(),
    };
    let seconds = match waits {
        Some(Waits::Until(at)) => at.saturating_sub(now.mono).as_secs(),
        _ => 0,
    };
    let bytes = t.found.size.unwrap_or(0);
    TransferReport {
        number: t.number,
        command_key: t.asked.command_key.clone(),
        method: format!("{local}{}", t.asked.method.name()),
        file_type: t.asked.file_type.clone(),
        url: t.asked.place().to_owned(),
        step: step.to_owned(),
        note,
        bytes,
        total: bytes.max(t.asked.file_size.into()),
        seconds,
        fault: t.fault.as_ref().filter(|_| t.step == Step::Done).map_or(0, |fault| fault.code.0),
    }
}
