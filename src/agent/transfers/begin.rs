//! What a start does with the transfers that the last process left: each goes on or is reported, and what
//! cannot be repeated is not.

use super::applying::begun;
use super::{PREFIX, PURGE, Transfers, file, outcome, remove_files};
use crate::agent::host::Core;
use crate::cwmp::transfers::{Found, Queue, Resumed, Step, Transfer};
use crate::model::fault::{Code, Fault};
use crate::sys::clock::{self, Now};
use crate::transfer::apply::{Purpose, firmware};

impl Core {
    /// A start; the events of a boot are in the queue already. What is found out and the events that tell
    /// of it are one batch.
    pub(in crate::agent) fn begin_transfers(&mut self, is_boot: bool) {
        let now = clock::now();
        let queue = {
            let journal = self.journal.borrow();
            let records = journal.scan(PREFIX).filter_map(|(key, value)| {
                Some((key.strip_prefix(PREFIX)?, std::str::from_utf8(value).ok()?))
            });
            Queue::from_records(records, is_boot, now)
        };
        // What a worker of before says is not heard.
        let runs = self.transfers.runs.wrapping_add(1);
        self.transfers = Transfers { queue, runs, ..Transfers::default() };
        self.read_requests(is_boot);
        self.read_transfer_policy();
        let list: Vec<Transfer> = self.transfers.queue.all().cloned().collect();
        for t in &list {
            match t.step {
                Step::Applying => self.resume_applying(t, is_boot, now),
                Step::Fetched | Step::Verified => self.look_for_file(t.number, t.found.size),
                Step::Queued | Step::Fetching | Step::Done => {}
            }
        }
        self.clear_folder();
        self.keep_transfers();
        if self.journal.borrow().get(PURGE).is_some() {
            self.purge_credentials();
        }
    }

    /// It was being applied when the last process ended.
    fn resume_applying(&mut self, t: &Transfer, is_boot: bool, now: Now) {
        let number = t.number;
        self.transfers.files.insert(number);
        let purpose = Purpose::of(t.asked.method, &t.asked.file_type);
        let found = match purpose {
            // What is written now was begun in this boot, whatever the marker of the start says.
            Some(Purpose::Firmware) if is_boot && !self.is_written() => self.judge_image(t, now),
            Some(Purpose::Firmware) => self.find_firmware_apply(t, now),
            _ if !is_boot && !begun(self, number).exists() && file(self, number).is_file() => Resumed::Again,
            _ => Resumed::Failed(Fault::new(
                Code::TRANSFER_FAILURE,
                "the agent was interrupted while the file was applied: what came of it is not known",
            )),
        };
        match &found {
            Resumed::Applied => log::info!("transfer #{number}: the new image runs"),
            Resumed::Failed(fault) => log::warn!("transfer #{number} failed: {fault}"),
            Resumed::Runs | Resumed::Again => {}
        }
        self.transfers.queue.resume(number, found, now);
    }

    fn is_written(&self) -> bool {
        matches!(firmware::find(&self.config.run_dir), firmware::Found::Running(_))
    }

    /// The device has booted since: which image runs says how it went.
    fn judge_image(&mut self, t: &Transfer, now: Now) -> Resumed {
        let Found { version, version_before, bank_before, .. } = t.found.clone();
        let before = outcome::Running {
            version: version_before.unwrap_or_default(),
            bank: bank_before.unwrap_or_default(),
        };
        let running = self.running_firmware();
        if let Some(fault) = self.switched_back(t.number, &before, &running) {
            return Resumed::Failed(fault);
        }
        match outcome::judge(&before, version.as_deref(), &running) {
            Err(fault) => Resumed::Failed(fault),
            Ok(()) if self.must_prove_itself(t.number, &before, &running, now) => Resumed::Runs,
            Ok(()) => Resumed::Applied,
        }
    }

    /// The device has not booted since.
    fn find_firmware_apply(&mut self, t: &Transfer, now: Now) -> Resumed {
        if self.proves_itself(t.number) {
            return Resumed::Runs;
        }
        match firmware::find(&self.config.run_dir) {
            firmware::Found::Running(running) => {
                log::warn!("transfer #{}: firmware_apply still runs", t.number);
                self.transfers.orphan = Some((t.number, running));
                Resumed::Runs
            }
            firmware::Found::Ended(words) => {
                log::warn!("transfer #{}: firmware_apply has ended: {words}", t.number);
                self.expect_boot(t.number, now);
                Resumed::Runs
            }
            // It was not begun: the process ended right before.
            firmware::Found::Nothing if file(self, t.number).is_file() => Resumed::Again,
            firmware::Found::Nothing => Resumed::Failed(Fault::new(
                Code::TRANSFER_FAILURE,
                "the agent was interrupted before the image was applied, and its file is gone",
            )),
        }
    }

    /// Files of transfers that are no more, and parts of files.
    fn clear_folder(&mut self) {
        let Ok(names) = std::fs::read_dir(self.config.download_dir()) else { return };
        for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let Some((number, kind)) = name.split_once('.') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match kind {
                "file" if self.transfers.files.contains(&number) => {}
                "file" | "part" | "sig" => {
                    let _ = std::fs::remove_file(self.config.download_dir().join(&name));
                }
                _ => {}
            }
        }
    }

    /// After a factory reset: what was being done is of no use any more.
    pub(in crate::agent) fn end_transfers(&mut self) {
        let numbers: Vec<u32> = self.transfers.files.iter().copied().collect();
        let runs = self.transfers.runs;
        self.transfers = Transfers { runs, ..Transfers::default() };
        for number in numbers {
            remove_files(self, number);
        }
    }
}
