//! Transfers, as the engine sees them: [`crate::cwmp::transfers::Queue`] says what is due and what is to be
//! told, [`crate::transfer`] does it in a thread; here the two are put together, and each step is made
//! durable before the next begins.
//!
//! # Data storage
//! The queue's records, under [`PREFIX`]. What is done and the events that tell it are one batch. While a
//! key [`PURGE`] is there, credentials that were deleted may still be in the journal's file: it is written
//! anew with the next report, by a transfer's end of which nobody is told, with the next Inform, or at the
//! next start. [`health::HEALTH`] is an image that has to prove
//! itself. The files lie in `download_dir`, named by the transfer's number alone.

mod applying;
mod banks;
mod begin;
mod health;
mod idle;
mod local;
mod outcome;
mod reports;
pub(super) mod shown;
mod work;

use super::host::Core;
use crate::cwmp::rpc::AgentRequest;
use crate::cwmp::transfers::{
    Asked, FileType, Method, Origin, Policy, Queue, ResultType, Step, TransferType,
};
use crate::model::fault::{Code, Fault};
use crate::state::journal::Batch;
use crate::sys::clock;
use crate::sys::file::free_space;
use crate::sys::sorted::SortedSet;
use crate::transfer::apply::{Purpose, firmware};
use crate::transfer::worker::Worker;
use std::path::PathBuf;
use std::time::Duration;

/// What the queue's keys in the journal begin with.
const PREFIX: &str = "q/";
/// Journal key that is there while deleted credentials may still be in its file.
const PURGE: &str = "b/purge";

/// What the engine knows of transfers.
#[derive(Default)]
pub struct Transfers {
    pub queue: Queue,
    running: Option<Running>,
    /// Counts the work that was begun.
    runs: u32,
    idle: idle::Idle,
    /// The SHA-256 of the file that came last, by the number of its transfer.
    hashed: Option<(u32, [u8; 32])>,
    /// Firmware was applied, and the device is to go down by itself; when (monotonic) it is told to.
    down_at: Option<Duration>,
    /// The same image; when (monotonic) it is no longer believed that it will be booted.
    boot_by: Option<Duration>,
    health: Option<health::Health>,
    /// Numbers that may have a file.
    files: SortedSet<u32>,
    /// RequestDownloads that the ACS has not answered.
    requests: Vec<AgentRequest>,
    /// The Inform of this session told that there are some.
    told_requests: bool,
    /// How many of them went out in this session.
    asked_requests: usize,
    /// A `firmware_apply` that the last process left behind.
    orphan: Option<(u32, firmware::Running)>,
}

/// The work under way.
struct Running {
    /// Tells what it says from what others said before.
    run: u32,
    number: u32,
    worker: Worker,
    /// The file is being made use of.
    applies: bool,
    /// Firmware is being written.
    firmware: bool,
    /// Monotonic: until when it may take, if it is.
    until: Duration,
    /// It takes longer.
    late: bool,
    /// It is being given up, for this reason.
    given_up: Option<Fault>,
    /// Nobody wants to know how it ends.
    dropped: bool,
}

impl Running {
    fn new(run: u32, number: u32, worker: Worker, until: Duration) -> Running {
        Running {
            run,
            number,
            worker,
            applies: false,
            firmware: false,
            until,
            late: false,
            given_up: None,
            dropped: false,
        }
    }
}

impl Transfers {
    /// Whether firmware is being written: no session is begun meanwhile, but for one that takes longer than
    /// it may, which would keep the device from its ACS for ever.
    pub fn hold(&self) -> bool {
        let firmware = self.running.as_ref().filter(|running| running.firmware);
        firmware.is_some_and(|running| !running.late) || self.orphan.is_some() || self.down_at.is_some()
    }

    /// Whether a file is being made use of: the device does not go down by the agent meanwhile, also when it
    /// was begun by the last process.
    pub fn is_applying(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.applies) || self.orphan.is_some()
    }

    /// The work under way is of no use any more, if it is on this one.
    fn abandon(&mut self, number: u32) {
        if let Some(running) = self.running.as_mut().filter(|running| running.number == number) {
            running.worker.stop();
            running.dropped = true;
        }
    }
}

/// The file of a transfer.
fn file(core: &Core, number: u32) -> PathBuf {
    core.config.download_dir().join(format!("{number}.file"))
}

impl Core {
    /// Adds what has changed of transfers to a batch; the events that tell of them are to follow in it.
    pub(super) fn transfer_records(&mut self, batch: &mut Batch) {
        for (key, value) in self.transfers.queue.records() {
            let secret = key.ends_with("/secret");
            let key = PREFIX.to_owned() + &key;
            match value {
                Some(value) => batch.put(key, value),
                None => {
                    batch.delete(key);
                    if secret {
                        batch.put(PURGE, "due");
                    }
                }
            }
        }
        self.transfers.queue.follow_events(&mut self.queue);
    }

    /// Makes durable what has changed of transfers, and deletes the files that are of no use any more.
    pub(super) fn keep_transfers(&mut self) {
        self.keep_records();
        self.tidy();
    }

    /// Deletes files that nobody needs.
    fn tidy(&mut self) {
        self.show_image();
        let queue = &self.transfers.queue;
        let is_needed = |number: &u32| {
            let step = queue.get(*number).map(|t| t.step);
            let worked_on = self.transfers.running.as_ref().is_some_and(|r| r.number == *number);
            worked_on || matches!(step, Some(Step::Fetched | Step::Verified | Step::Applying))
        };
        let (needed, gone): (SortedSet<u32>, SortedSet<u32>) =
            self.transfers.files.iter().copied().partition(is_needed);
        self.transfers.files = needed;
        for number in gone {
            remove_files(self, number);
        }
    }

    /// Writes the journal anew when deleted credentials may still be in it.
    pub(super) fn purge_credentials(&mut self) {
        if self.journal.borrow().get(PURGE).is_none() {
            return;
        }
        if let Err(error) = self.journal.borrow_mut().purge() {
            log::error!("credentials of a transfer may still be on disk: {error}");
            return;
        }
        let mut batch = Batch::default();
        batch.delete(PURGE);
        self.keep(batch);
    }

    /// Takes a transfer up; durable before this returns.
    ///
    /// # Errors
    /// What the answer says.
    pub(super) fn ask_transfer(&mut self, asked: Asked) -> Result<u32, Fault> {
        self.judge_transfer(&asked)?;
        let before = self.transfers.queue.clone();
        let number = self.transfers.queue.ask(asked, clock::now())?;
        let mut batch = Batch::default();
        self.transfer_records(&mut batch);
        if let Err(fault) = self.durable(batch, "the transfer") {
            self.transfers.queue = before;
            return Err(fault);
        }
        if let Some(t) = self.transfers.queue.get(number) {
            log::info!("transfer #{number}: {:?}", t.asked);
        }
        Ok(number)
    }

    /// What only the device can judge of a request: whether it can do this at all, whether a row is there,
    /// and whether there is room (X-24: FileSize is a hint, but what is larger than all free space, or than
    /// is ever fetched, is refused at once).
    fn judge_transfer(&mut self, asked: &Asked) -> Result<(), Fault> {
        let purpose = Purpose::asked(&self.config.commands, asked.method, &asked.file_type)?;
        let row = match purpose {
            Purpose::ConfigFile(i) => Some(format!("Device.DeviceInfo.VendorConfigFile.{i}.Name")),
            Purpose::LogFile(i) => Some(format!("Device.DeviceInfo.VendorLogFile.{i}.Name")),
            _ => None,
        };
        if let Some(row) = row
            && self.tree.value(&row).is_none()
        {
            return Err(Fault::new(Code::INVALID_ARGUMENTS, format!("there is no {row}")));
        }
        let size = u64::from(asked.file_size);
        if size > self.config.transfer.max_bytes {
            let text =
                format!("FileSize is more than transfer.max_bytes ({})", self.config.transfer.max_bytes);
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, text));
        }
        match free(&self.config.download_dir()) {
            Some(free) if size > free => {
                let text = format!("FileSize is {size} bytes, and {free} are free");
                Err(Fault::new(Code::RESOURCES_EXCEEDED, text))
            }
            _ => Ok(()),
        }
    }

    /// CancelTransfer.
    ///
    /// # Errors
    /// 9021; 9002 when it cannot be written.
    pub(super) fn cancel_transfers(&mut self, command_key: &str) -> Result<(), Fault> {
        let before = self.transfers.queue.clone();
        let gone = self.transfers.queue.cancel(command_key)?;
        if gone.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        self.transfer_records(&mut batch);
        if let Err(fault) = self.durable(batch, "that the transfer is canceled") {
            self.transfers.queue = before;
            return Err(fault);
        }
        for number in gone {
            log::info!("transfer #{number} is canceled");
            self.transfers.abandon(number);
        }
        self.tidy();
        self.purge_credentials();
        Ok(())
    }

    /// The ACS has answered `0 BOOTSTRAP`: what the former one asked for goes.
    pub(super) fn forget_transfers(&mut self) {
        let gone = self.transfers.queue.forget_former();
        for number in gone {
            self.transfers.abandon(number);
        }
    }

    /// Of which local transfers the ACS is told.
    fn read_transfer_policy(&mut self) {
        if self.transfers.queue.all().all(|t| t.asked.origin == Origin::Acs) {
            return;
        }
        let mut value = |name: &str| {
            let path = format!("Device.ManagementServer.AutonomousTransferCompletePolicy.{name}");
            self.tree.value(&path).unwrap_or_default()
        };
        let policy = Policy {
            enable: value("Enable") == "true",
            transfers: TransferType::parse(&value("TransferTypeFilter")).unwrap_or_default(),
            results: ResultType::parse(&value("ResultTypeFilter")).unwrap_or_default(),
            file_types: value("FileTypeFilter").split(',').map(|t| t.trim().to_owned()).collect(),
        };
        self.transfers.queue.set_policy(policy);
    }
}

fn remove_files(core: &Core, number: u32) {
    let _ = std::fs::remove_file(applying::begun(core, number));
    let file = file(core, number);
    for name in ["file", "part", "sig"] {
        let _ = std::fs::remove_file(file.with_extension(name));
    }
}

/// Bytes free where a folder is, or will be.
fn free(dir: &std::path::Path) -> Option<u64> {
    let there = dir.ancestors().find(|d| d.is_dir())?;
    free_space(&std::fs::File::open(there).ok()?)
}

/// Whether it is an image.
fn is_image(method: Method, file_type: &str) -> bool {
    FileType::parse(method, file_type).is_some_and(FileType::is_firmware)
}
