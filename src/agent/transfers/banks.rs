//! The platform's banks, as transfers need them.

use crate::agent::host::Core;
use crate::model::fault::Fault;

impl Core {
    pub(super) fn active_bank(&self) -> Option<String> {
        None
    }
    pub(super) fn other_bank(&self) -> Option<String> {
        None
    }
    pub(super) fn boot_bank(&self, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}
