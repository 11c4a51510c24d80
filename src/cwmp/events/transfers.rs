//! The events of transfers, which follow from what the transfers are: their own responses deliver them
//! (V-16, V-17).

use super::{
    AUTONOMOUS_TRANSFER_COMPLETE, M_DOWNLOAD, M_SCHEDULE_DOWNLOAD, M_UPLOAD, Queue, TRANSFER_COMPLETE,
};

fn is_multiple(code: &str) -> bool {
    matches!(code, M_DOWNLOAD | M_SCHEDULE_DOWNLOAD | M_UPLOAD)
}

/// Whether the event tells of a transfer that has ended.
pub fn is_transfer(code: &str) -> bool {
    is_multiple(code) || matches!(code, TRANSFER_COMPLETE | AUTONOMOUS_TRANSFER_COMPLETE)
}

impl Queue {
    /// Makes the queue have the events (code, CommandKey) of these transfers that have ended, and no
    /// others of their kind; `local` is whether there is one of which AutonomousTransferComplete tells.
    /// What an ACS asked for belongs to the last one that answered. Of two that are alike the older goes,
    /// which was told.
    pub fn follow_transfers(&mut self, of_acs: &[(&str, &str)], local: bool) {
        let mut missing = of_acs.to_vec();
        let mut kept: Vec<_> = std::mem::take(&mut self.entries).into_iter().rev().collect();
        kept.retain(|e| match e.event.code.as_str() {
            TRANSFER_COMPLETE => !of_acs.is_empty(),
            AUTONOMOUS_TRANSFER_COMPLETE => local,
            code if is_multiple(code) => {
                let alike = missing.iter().position(|(c, key)| *c == code && *key == e.event.command_key);
                alike.map(|place| missing.remove(place)).is_some()
            }
            _ => true,
        });
        self.entries = kept.into_iter().rev().collect();
        let told_of = self.entries.iter().any(|e| e.event.code == TRANSFER_COMPLETE);
        if !missing.is_empty() || (!of_acs.is_empty() && !told_of) {
            self.add_of_former(TRANSFER_COMPLETE, "");
        }
        for (code, command_key) in missing {
            self.add_of_former(code, command_key);
        }
        if local && !self.contains(AUTONOMOUS_TRANSFER_COMPLETE) {
            self.add(AUTONOMOUS_TRANSFER_COMPLETE, "");
        }
    }
}

#[cfg(test)]
mod tests;
