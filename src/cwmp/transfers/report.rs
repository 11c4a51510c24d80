//! What the ACS is told of transfers that have ended: TransferComplete, AutonomousTransferComplete, and
//! the events that go with them (X-9, X-14 to X-20, V-16, V-17).

use super::queue::Queue;
use super::transfer::Transfer;
use super::{Complete, Method, Origin, types};
use crate::cwmp::events;
use crate::cwmp::rpc::Event;
use crate::cwmp::schedule::Schedule;
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use std::time::Duration;

/// The longest FaultString, in characters.
pub const MAX_FAULT_STRING: usize = 256;

/// The multiple event of a transfer's RPC.
fn event(method: Method) -> &'static str {
    match method {
        Method::Download => events::M_DOWNLOAD,
        Method::ScheduleDownload => events::M_SCHEDULE_DOWNLOAD,
        Method::Upload => events::M_UPLOAD,
    }
}

/// FaultCode of TransferComplete: what that cannot say is said by the general code.
fn complete_code(code: Code, is_download: bool) -> Code {
    let general = if is_download { Code::TRANSFER_FAILURE } else { Code::UPLOAD_FAILURE };
    match code.0 {
        9001 | 9002 | 9012 | 9014..=9020 | 9800..=9899 => code,
        _ => general,
    }
}

fn fault_struct(fault: Option<&Fault>, is_download: bool) -> (u16, String) {
    let Some(fault) = fault else { return (0, String::new()) };
    let code = complete_code(fault.code, is_download);
    let text = if fault.text.is_empty() { code.words() } else { &fault.text };
    (code.0, text.chars().take(MAX_FAULT_STRING).collect())
}

impl Queue {
    /// The events of the transfers that have ended and were not reported are in the event queue, and no
    /// others of their kind: to be called when something has ended or was reported, after a bootstrap, and
    /// at the start.
    pub fn follow_events(&self, events: &mut events::Queue) {
        let owed = || self.transfers.iter().filter(|t| t.owes_report());
        let of_acs = owed().filter(|t| t.asked.origin == Origin::Acs);
        let of_acs: Vec<_> = of_acs.map(|t| (event(t.asked.method), t.asked.command_key.as_str())).collect();
        let local = owed().any(|t| t.asked.origin == Origin::Local);
        events.follow_transfers(&of_acs, local);
    }

    /// An Inform is made, with these events: those transfers are told by it whose events are among them,
    /// so only they are reported in its session.
    pub fn tell(&mut self, told: &[Event]) {
        for t in &mut self.transfers {
            (t.told, t.offered) = (None, false);
        }
        for (place, Event { code, command_key }) in told.iter().enumerate() {
            let autonomous = code == events::AUTONOMOUS_TRANSFER_COMPLETE;
            let meant = |t: &&mut Transfer| match t.asked.origin {
                _ if t.told.is_some() || !t.owes_report() => false,
                Origin::Local => autonomous,
                Origin::Acs => event(t.asked.method) == code && t.asked.command_key == *command_key,
            };
            // One event for each, but for local ones, which have one for all.
            let most = if autonomous { usize::MAX } else { 1 };
            self.transfers.iter_mut().filter(meant).take(most).for_each(|t| t.told = Some(place));
        }
    }

    /// The next report of this session, in the order of the Inform's events; each is given out once a
    /// session. By TransferComplete for a transfer of the ACS, by AutonomousTransferComplete for a local
    /// one.
    pub fn next_report(&mut self) -> Option<(Origin, Complete)> {
        let waiting = self.transfers.iter_mut().filter(|t| t.told.is_some() && !t.offered);
        let t = waiting.min_by_key(|t| (t.told, t.number))?;
        t.offered = true;
        Some((t.asked.origin, t.complete()))
    }

    /// The ACS has answered the report: nothing is left of the transfer, and its file is to be deleted.
    /// The events are [`Queue::follow_events`]'.
    pub fn reported(&mut self, number: u32) {
        self.transfers.retain(|t| t.number != number || t.told.is_none());
    }

    /// A session is over whose Inform was answered: what it told and the ACS did not take (a fault,
    /// silence, requests held to the end) makes no session by itself for a time that grows as that of
    /// failed sessions does. Any session that there is tells it again. `random` is any number.
    pub fn not_taken(&mut self, schedule: &Schedule, now: Now, random: u32) {
        for t in self.transfers.iter_mut().filter(|t| t.told.is_some()) {
            t.refusals = t.refusals.saturating_add(1);
            t.report_at = Some(now.mono + schedule.retry_wait(t.refusals, random));
            (t.told, t.offered) = (None, false);
        }
    }

    /// Until when what is to be reported makes no session by itself, monotonic; `None` when nothing waits
    /// or something may be told at once.
    pub fn report_at(&self) -> Option<Duration> {
        let mut earliest: Option<Duration> = None;
        for t in self.transfers.iter().filter(|t| t.owes_report()) {
            let at = t.report_at?;
            earliest = Some(earliest.map_or(at, |e| e.min(at)));
        }
        earliest
    }
}

impl Transfer {
    fn complete(&self) -> Complete {
        let is_download = self.asked.method.is_download();
        Complete {
            number: self.number,
            command_key: self.asked.command_key.clone(),
            fault: fault_struct(self.fault.as_ref(), is_download),
            start_time: self.start_time,
            complete_time: self.complete_time,
            url: self.asked.place().to_string(),
            is_download,
            file_type: types::in_lists(&self.asked),
            file_size: self.size(),
            target_file_name: self.asked.target_file_name.clone(),
        }
    }
}
