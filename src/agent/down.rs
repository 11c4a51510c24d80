//! The ends of the agent: a factory reset, a reboot, a stop.

use super::engine::Engine;
use super::{Message, boot, start};
use crate::sys::clock;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long a device may take to go down after its reboot command ended well.
pub const GOING_DOWN: Duration = Duration::from_secs(60);

impl Engine {
    /// True when everything begins anew.
    pub(super) fn reset(&mut self) -> bool {
        self.core.reset_due = false;
        self.core.reboot_due = false;
        if let Err(error) = boot::forget(&mut self.core.journal.borrow_mut()) {
            // The promise stands on disk and is kept at the next start.
            log::error!("the factory reset cannot be made durable: {error}");
            return false;
        }
        if let Err(error) = self.core.journal.borrow_mut().purge() {
            log::error!("old values may still be on disk: {error}");
        }
        log::warn!("factory reset: the agent's own state is cleared");
        let argv = self.core.config.commands.factory_reset.clone();
        if start::command(&self.core, &argv, "factory_reset", "")
            && start::command(&self.core, &self.core.config.commands.reboot, "reboot", "")
        {
            self.hold();
        }
        true
    }

    pub(super) fn reboot(&mut self) {
        self.core.reboot_due = false;
        log::warn!("reboot, as the ACS asked");
        let key = self.core.reboot_keys().and_then(|mut keys| keys.pop()).unwrap_or_default();
        if start::reboot(&self.core, &key) {
            self.hold();
        }
    }

    /// The device goes down: no session is begun while it does.
    pub(super) fn hold(&mut self) {
        self.held_until = Some(clock::now().mono + GOING_DOWN);
    }

    pub(super) fn stop(&mut self, inbox: &Receiver<Message>) {
        if self.session.is_some() {
            log::info!("stopped in the middle of a session");
            // Not a failure of the ACS: no retry wait, and events stay for the next start.
            let active = self.session.take();
            drop(active);
            for note in self.core.tree.end_session() {
                log::warn!("{note}");
            }
        }
        self.core.stop_transfers(inbox);
        self.core.keep_records();
    }
}
