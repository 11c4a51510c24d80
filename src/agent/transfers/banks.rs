//! The platform's banks, as transfers need them, and what the tree shows of an image on its way.

use crate::agent::host::Core;
use crate::cwmp::transfers::{Step, Transfer};
use crate::handlers::firmware::Bank;
use crate::model::fault::{Code, Fault};

use super::is_image;

impl Core {
    /// The banks; none where there is one image, or where the platform does not say.
    pub(super) fn banks(&self) -> Vec<Bank> {
        let commands = self.facts.borrow().firmware.clone();
        commands.banks().unwrap_or_else(|error| {
            log::error!("commands.firmware_banks: {error}");
            Vec::new()
        })
    }

    /// Has a bank booted next.
    pub(super) fn boot_bank(&self, bank: &str) -> Result<(), Fault> {
        let commands = self.facts.borrow().firmware.clone();
        commands
            .set_boot(bank)
            .map_err(|error| Fault::new(Code::INTERNAL_ERROR, format!("commands.firmware_boot: {error}")))
    }

    /// Tells the tree how far an image is that is on its way to the spare bank (FirmwareImage.Status).
    pub(super) fn show_image(&self) {
        let mut images = self.transfers.queue.all().filter(|t| is_image(t.asked.method, &t.asked.file_type));
        let status = images.find_map(status);
        self.facts.borrow_mut().image_status = status;
    }
}

fn status(t: &Transfer) -> Option<&'static str> {
    match (t.step, &t.fault) {
        (Step::Queued, _) => None,
        (Step::Fetching, _) => Some("Downloading"),
        (Step::Fetched | Step::Verified | Step::Applying, _) => Some("Validating"),
        (Step::Done, None) => None,
        (Step::Done, Some(fault)) => Some(match fault.code {
            Code::FILE_CORRUPTED | Code::FILE_AUTHENTICATION => "ValidationFailed",
            Code::INTERNAL_ERROR | Code::TRANSFER_FAILURE => "InstallationFailed",
            _ => "DownloadFailed",
        }),
    }
}
