//! DelayReboot and ScheduleReboot (R-SYS-10): from the tree to the clocks, and back.

use super::host::{Core, REBOOT};
use crate::cwmp::reboots::{Due, Reboots};
use crate::model::request::ParameterValue;
use crate::state::journal::Batch;
use crate::sys::clock::{self, Now};

/// Journal key of what the values do not tell, see [`Reboots::record`].
const REBOOTS: &str = "e/reboots";

/// ManagementServer.DelayReboot.
const DELAY: &str = "Device.ManagementServer.DelayReboot";
/// ManagementServer.ScheduleReboot.
const TIME: &str = "Device.ManagementServer.ScheduleReboot";

impl Core {
    /// A start: what the last process left. A boot ends a delay: "whenever the CPE reboots, this value
    /// MUST be reset by the CPE to -1".
    pub fn begin_reboots(&mut self, is_boot: bool) {
        let record = self.journal.borrow().text(REBOOTS).unwrap_or_default().to_owned();
        let (delay, time) = (self.settings.delay_reboot, self.settings.schedule_reboot);
        self.reboots = Reboots::from_record(&record, is_boot, delay, time, clock::now());
        if is_boot && delay.is_some() {
            self.put_back(DELAY, "-1");
            self.settings.delay_reboot = None;
        }
        self.keep_reboots();
    }

    /// Values were set: one of these two counts from now on, also when it is what it was.
    pub fn note_reboots(&mut self, list: &[ParameterValue]) {
        let is = |name: &str| list.iter().any(|p| p.name == name);
        let (set_delay, set_time) = (is(DELAY), is(TIME));
        if set_delay {
            let value = self.tree.value(DELAY).unwrap_or_default();
            self.reboots.set_delay(value.parse().ok()); // not -1
        }
        if set_time {
            let value = self.tree.value(TIME).unwrap_or_default();
            self.reboots.set_time(clock::known(&value), clock::now());
        }
        if set_delay || set_time {
            self.keep_reboots();
        }
    }

    /// Notes a reboot whose time has come, no session running; true when a value was put back to what
    /// means none. It goes the way of the Reboot RPC, but has no CommandKey to tell.
    pub fn take_due_reboots(&mut self, now: Now) -> bool {
        let mut changed = false;
        while let Some(due) = self.reboots.take_due(now) {
            changed = true;
            let (name, none) = match due {
                Due::Delay => (DELAY, "-1"),
                Due::Time | Due::Past => (TIME, clock::UNKNOWN_TIME),
            };
            if due == Due::Past {
                log::warn!("{name} was past already: no reboot");
            } else {
                log::warn!("the time of {name} has come");
                // On disk before the value is put back, so that a power cut between the two loses nothing.
                let mut batch = Batch::default();
                let keys = self.reboot_keys().unwrap_or_default();
                batch.put(REBOOT, serde_json::to_vec(&keys).unwrap_or_default());
                self.keep(batch);
                self.reboot_due = true;
            }
            self.put_back(name, none);
        }
        self.keep_reboots();
        changed
    }

    fn put_back(&mut self, name: &str, none: &str) {
        if let Err(fault) = self.tree.store(&[(name, none)]) {
            log::error!("{name}: {fault}");
        }
    }

    fn keep_reboots(&mut self) {
        if let Some(record) = self.reboots.record() {
            let mut batch = Batch::default();
            batch.put(REBOOTS, record);
            self.keep(batch);
        }
    }
}
