//! A new image has to prove itself: unless it holds a session with the ACS within
//! `transfer.health_timeout` of its first boot, the former bank is booted again, and the ACS is told so.
//!
//! Its transfer is not done before. The key [`HEALTH`] is there from the first boot until it is proven, so
//! that a restart of the agent goes on waiting, and a boot by the agent's own hand is known for one.

use super::{Transfers, outcome::Running};
use crate::agent::host::Core;
use crate::agent::start;
use crate::cwmp::transfers::Step;
use crate::model::fault::{Code, Fault};
use crate::state::journal::Batch;
use crate::sys::clock::Now;
use std::time::Duration;

/// Journal key: the transfer's number, until when (monotonic, seconds), the former bank, and whether that
/// was switched back to.
pub const HEALTH: &str = "b/health";

/// An image that proves itself.
pub struct Health {
    number: u32,
    until: Duration,
    bank: String,
    /// It did not: the device is on its way back.
    failed: bool,
}

impl Health {
    fn record(&self) -> String {
        let failed = if self.failed { "failed" } else { "open" };
        format!("{} {} {failed} {}", self.number, self.until.as_secs(), self.bank)
    }

    fn from_record(record: &str) -> Option<Health> {
        let mut fields = record.splitn(4, ' ');
        let number = fields.next()?.parse().ok()?;
        let until = Duration::from_secs(fields.next()?.parse().ok()?);
        let failed = fields.next()? == "failed";
        Some(Health { number, until, bank: fields.next()?.to_owned(), failed })
    }
}

impl Transfers {
    /// What status says of it.
    pub(super) fn health_words(&self, number: u32) -> Option<String> {
        let health = self.health.as_ref().filter(|health| health.number == number)?;
        Some(match health.failed {
            true => format!("no session with the ACS: back to bank {}", health.bank),
            false => {
                format!("the new image has to hold a session with the ACS, or bank {} is booted", health.bank)
            }
        })
    }
}

impl Core {
    fn read_health(&self, number: u32) -> Option<Health> {
        let health = Health::from_record(self.journal.borrow().text(HEALTH)?)?;
        Some(health).filter(|health| health.number == number)
    }

    pub(super) fn keep_health(&self) {
        let mut batch = Batch::default();
        match &self.transfers.health {
            Some(health) => batch.put(HEALTH, health.record()),
            None => batch.delete(HEALTH),
        }
        self.keep(batch);
    }

    /// After a boot: what the former image has to tell when it was booted again by the agent itself.
    pub(super) fn switched_back(&mut self, number: u32, before: &Running, now: &Running) -> Option<Fault> {
        let health = self.read_health(number).filter(|health| health.failed)?;
        if health.bank != now.bank {
            // The platform did not follow. What runs is the new image, and nobody tries that again: the key
            // tells `must_prove_itself`, which takes it away.
            log::error!("bank {} was to be booted, and {} was", health.bank, now.bank);
            return None;
        }
        self.keep_health();
        let timeout = self.config.transfer.health_timeout;
        let text = format!(
            "the former image is back ({:.64}, bank {:.32}): the new one held no session with the ACS within {timeout} s",
            before.version, now.bank
        );
        Some(Fault::new(Code::FILE_CORRUPTED, text))
    }

    /// After the first boot of a new image: whether it has to prove itself. An image that was to be
    /// replaced and was not (see [`Core::switched_back`]) has not.
    pub(super) fn must_prove_itself(
        &mut self,
        number: u32,
        before: &Running,
        now: &Running,
        at: Now,
    ) -> bool {
        let seconds = self.config.transfer.health_timeout;
        let former = self.read_health(number);
        let banks = !before.bank.is_empty() && before.bank != now.bank;
        let can = seconds > 0 && banks && !self.config.commands.firmware_boot.is_empty();
        if !can || former.is_some_and(|health| health.failed) {
            self.keep_health();
            return false;
        }
        log::warn!("transfer #{number}: the new image has {seconds} s to hold a session with the ACS");
        let until = at.mono + Duration::from_secs(seconds.into());
        self.transfers.health = Some(Health { number, until, bank: before.bank.clone(), failed: false });
        self.keep_health();
        true
    }

    /// After a restart of the agent alone: whether the image proves itself still. One that did not is put back
    /// once more: nobody knows how far the last process came with that.
    pub(super) fn proves_itself(&mut self, number: u32) -> bool {
        self.transfers.health = self.read_health(number).map(|health| Health { failed: false, ..health });
        self.transfers.health.is_some()
    }

    /// Monotonic: until when it may.
    pub(super) fn health_at(&self) -> Option<Duration> {
        self.transfers.health.as_ref().filter(|health| !health.failed).map(|health| health.until)
    }

    /// A session was held with the ACS.
    pub(in crate::agent) fn prove_health(&mut self, now: Now) {
        let Some(health) = self.transfers.health.take_if(|health| !health.failed) else { return };
        log::info!("transfer #{}: the new image has held a session with the ACS", health.number);
        self.end_health(health.number, now);
    }

    /// The new image is what runs, and what stays.
    fn end_health(&mut self, number: u32, now: Now) {
        self.read_transfer_policy();
        self.transfers.queue.reached(number, Step::Done, now);
        let mut batch = Batch::default();
        batch.delete(HEALTH);
        self.transfer_batch(batch);
        self.tidy();
    }

    /// It has not held one in time: back to the former bank.
    pub(super) fn settle_health(&mut self, now: Now) {
        let Some(health) = self.transfers.health.as_mut().filter(|h| !h.failed && now.mono >= h.until) else {
            return;
        };
        log::error!("the new image held no session with the ACS in time: back to bank {}", health.bank);
        health.failed = true;
        let (number, bank) = (health.number, health.bank.clone());
        self.keep_health();
        match self.boot_bank(&bank) {
            Ok(()) => {
                start::reboot(self, "");
                self.goes_down(now);
            }
            Err(fault) => {
                log::error!("bank {bank} cannot be booted: {fault}");
                self.transfers.health = None;
                self.end_health(number, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back() {
        for bank in ["1", "", "bank b"] {
            let health =
                Health { number: 7, until: Duration::from_secs(300), bank: bank.into(), failed: true };
            let again = Health::from_record(&health.record()).unwrap();
            assert_eq!((again.number, again.until, again.failed), (7, health.until, true));
            assert_eq!(again.bank, bank);
        }
        for broken in ["", "x 1 open a", "1 x open a", "1 2"] {
            assert!(Health::from_record(broken).is_none(), "{broken}");
        }
    }
}
