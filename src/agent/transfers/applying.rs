//! Files made use of, and files made: what the commands of the platform are given, and the moment behind
//! `firmware_apply`.

use super::{Running, file, is_image, outcome};
use crate::agent::down::GOING_DOWN;
use crate::agent::host::Core;
use crate::agent::{Message, start};
use crate::cwmp::transfers::{Found, Resumed, Step, Transfer};
use crate::handlers::firmware::spare;
use crate::model::fault::{Code, Fault};
use crate::net::transfer as net;
use crate::sys::clock::{self, Now};
use crate::transfer::apply::firmware::{self, Ended};
use crate::transfer::apply::{self, Purpose, Source, Words};
use crate::transfer::worker::{Event, Job, Worker};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Is there from right before a command begins to apply a file: without it, and without a boot since, the
/// command has not been begun. (`firmware_apply` leaves notes of its own.)
pub(super) fn begun(core: &Core, number: u32) -> PathBuf {
    core.config.run_dir.join(format!("applying.{number}"))
}

fn purpose(t: &Transfer) -> Result<Purpose, Fault> {
    let unknown = || Fault::new(Code::INTERNAL_ERROR, "there is no such FileType");
    Purpose::of(t.asked.method, &t.asked.file_type).ok_or_else(unknown)
}

impl Core {
    /// What stands for the words of a command.
    pub(super) fn words(&self, t: &Transfer) -> Words {
        Words {
            file: file(self, t.number),
            file_type: t.asked.file_type.clone(),
            bank: t.found.bank.clone().unwrap_or_default(),
            command_key: t.asked.command_key.clone(),
            state_dir: self.config.state_dir.clone(),
            run_dir: self.config.run_dir.clone(),
        }
    }

    /// What runs now, noted before an image is applied: the next boot is judged by it.
    pub(super) fn note_before(&mut self, number: u32) {
        let t = self.transfers.queue.get(number);
        if !t.is_some_and(|t| is_image(t.asked.method, &t.asked.file_type)) {
            return;
        }
        // What an earlier transfer's firmware_apply left is not this one's.
        firmware::forget(&self.config.run_dir);
        let banks = self.banks();
        let found = Found {
            version_before: Some(self.facts.borrow().identity.software_version.clone()),
            bank_before: banks.iter().find(|bank| bank.active).map(|bank| bank.name.clone()),
            bank: spare(&banks).map(|bank| bank.name.clone()),
            ..Found::default()
        };
        self.transfers.queue.note_found(number, found);
    }

    /// What runs now.
    pub(super) fn running_firmware(&self) -> outcome::Running {
        outcome::Running {
            version: self.facts.borrow().identity.software_version.clone(),
            bank: self.banks().into_iter().find(|b| b.active).map(|b| b.name).unwrap_or_default(),
        }
    }

    pub(super) fn apply_job(&mut self, t: &Transfer) -> Result<Job, Fault> {
        let purpose = purpose(t)?;
        let (commands, settings) = (self.config.commands.clone(), self.config.transfer.clone());
        let words = self.words(t);
        if purpose != Purpose::Firmware {
            let note = begun(self, t.number);
            return Ok(Job::Run(Box::new(move |_, wake| {
                if let Err(error) = File::create(&note) {
                    let text = format!("that a file is applied cannot be noted in run_dir: {error}");
                    return Event::Failed(Fault::new(Code::INTERNAL_ERROR, text));
                }
                match apply::apply(purpose, &commands, &settings, &words, wake.as_fd()) {
                    Ok(()) => Event::Applied,
                    Err(failed) => failed.into(),
                }
            })));
        }
        let deadline = Duration::from_secs(settings.apply_timeout.into());
        Ok(Job::Run(Box::new(move |_, wake| match firmware::begin(&commands.firmware_apply, &words) {
            Ok(running) => wait(running, deadline, wake),
            Err(fault) => Event::Failed(fault),
        })))
    }

    pub(super) fn send_job(&mut self, t: &Transfer, now: Now) -> Result<Job, Fault> {
        let purpose = purpose(t)?;
        let (commands, settings) = (self.config.commands.clone(), self.config.transfer.clone());
        let (words, request) = (self.words(t), self.request(t, now));
        let row = match purpose {
            Purpose::ConfigFile(i) => Some(format!("Device.DeviceInfo.VendorConfigFile.{i}.Name")),
            Purpose::LogFile(i) => Some(format!("Device.DeviceInfo.VendorLogFile.{i}.Name")),
            _ => None,
        };
        let root = self.config.root.clone();
        let name = match row {
            None => None,
            Some(row) => {
                self.tree.begin_rpc();
                let gone = || Fault::new(Code::UPLOAD_FAILURE, format!("{row} is not there any more"));
                Some(self.tree.value(&row).ok_or_else(gone)?)
            }
        };
        Ok(Job::Run(Box::new(move |meter, wake| {
            let source = match name {
                Some(name) => apply::listed(&root, &name, &commands, &settings, &words, wake.as_fd()),
                None => apply::save(purpose, &commands, &settings, &words, wake.as_fd()),
            };
            let sent = match source {
                Err(failed) => return failed.into(),
                Ok(Source::File(file, _)) => net::put(request, net::Source::File(file), meter, wake),
                Ok(Source::Stream(output, mut making)) => {
                    let stop = match wake.try_clone() {
                        Ok(stop) => stop,
                        Err(e) => return Event::Failed(Fault::new(Code::INTERNAL_ERROR, e.to_string())),
                    };
                    let mut finish = || making.finish(stop.as_fd());
                    let source = net::Source::Pipe { output, finish: &mut finish };
                    net::put(request, source, meter, wake)
                }
            };
            match sent {
                Ok(sent) => Event::Sent { bytes: sent.bytes },
                Err(failure) => failure.into(),
            }
        })))
    }

    /// Whether what was applied is not in force before the next boot.
    pub(super) fn boots_by(&self, number: u32) -> bool {
        let t = self.transfers.queue.get(number);
        t.is_some_and(|t| purpose(t) == Ok(Purpose::Firmware))
    }

    /// Firmware was applied: the device is to go down by itself, or is told to.
    pub(super) fn expect_boot(&mut self, number: u32, now: Now) {
        log::warn!("transfer #{number}: the device is to boot the new image now");
        self.goes_down(now);
    }

    /// The device is to go down by itself; it is told to, and then given up, when it does not.
    pub(super) fn goes_down(&mut self, now: Now) {
        let within = Duration::from_secs(self.config.transfer.boot_timeout.into());
        self.transfers.down_at = Some(now.mono + GOING_DOWN.min(within / 2));
        self.transfers.boot_by = Some(now.mono + within);
    }

    /// It was told to, perhaps, and did not boot in all that time: the ACS is not kept waiting for ever, nor
    /// are the transfers behind this one.
    pub(super) fn miss_boot(&mut self, now: Now) {
        if self.transfers.boot_by.take_if(|by| now.mono >= *by).is_none() {
            return;
        }
        let within = self.config.transfer.boot_timeout;
        let text = format!("the image was written, and the device has not booted in the {within} s since");
        self.not_booted(now, text);
    }

    /// The device did not go down by itself: it is told to. True when it goes down now.
    pub(super) fn take_down(&mut self, now: Now) -> bool {
        if self.transfers.down_at.take_if(|at| now.mono >= *at).is_none() {
            return false;
        }
        log::warn!("firmware_apply has ended, and the device is still up: reboot");
        if start::reboot(self, "") {
            return true;
        }
        // Where somebody else boots the device, that is waited for.
        if !self.config.commands.reboot.is_empty() {
            self.not_booted(now, "the image was applied, and does not run: commands.reboot failed".into());
        }
        false
    }

    /// The image was applied, and is not booted: that is told, or it would hold up the others for ever.
    fn not_booted(&mut self, now: Now, text: String) {
        let applied = |t: &&Transfer| t.step == Step::Applying && purpose(t) == Ok(Purpose::Firmware);
        let Some(number) = self.transfers.queue.all().find(applied).map(|t| t.number) else { return };
        log::error!("transfer #{number} failed: {text}");
        let failed = Resumed::Failed(Fault::new(Code::TRANSFER_FAILURE, text));
        self.transfers.queue.resume(number, failed, now);
        self.transfers.boot_by = None;
        self.transfers.health = None;
        self.keep_health();
        self.keep_transfers();
    }

    /// Waits for a `firmware_apply` of the last process.
    pub(super) fn adopt(&mut self, number: u32, running: firmware::Running, engine: &Sender<Message>) {
        let deadline = Duration::from_secs(self.config.transfer.apply_timeout.into());
        let job = Job::Run(Box::new(move |_, wake| wait(running, deadline, wake)));
        let (run, tell) = (self.transfers.runs.wrapping_add(1), engine.clone());
        self.transfers.runs = run;
        match Worker::start(job, move |event| drop(tell.send(Message::Transfer(run, event)))) {
            Ok(worker) => {
                let running = Running::new(run, number, worker, self.apply_until(clock::now()));
                self.transfers.running = Some(Running { applies: true, firmware: true, ..running });
            }
            Err(error) => {
                log::error!("no thread to wait for firmware_apply: {error}");
                self.expect_boot(number, clock::now());
            }
        }
    }
}

/// Waits for `firmware_apply`. To whoever did not begin it its end says nothing: what is booted next will.
fn wait(mut running: firmware::Running, deadline: Duration, wake: std::os::fd::OwnedFd) -> Event {
    match running.wait(deadline, wake.as_fd()) {
        Ended::Well => Event::Applied,
        Ended::Unknown(words) => {
            log::warn!("firmware_apply has ended, and how is not known: {words}");
            Event::Applied
        }
        Ended::Failed(fault) => Event::Failed(fault),
        Ended::Running => Event::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::transfers::Queue;
    use crate::state::journal::Journal;

    /// An image was applied, and the device does not go down by itself.
    #[test]
    fn a_reboot_that_fails_is_told_and_holds_up_nobody() {
        for (reboot, code) in [("[\"false\"]", Some(9010)), ("[]", None)] {
            let dir = std::env::temp_dir().join(format!("cwmpd-no-boot-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let text = format!(
                "run_dir = {dir:?}\nstate_dir = {dir:?}\n[acs]\nurl = \"http://127.0.0.1/\"\n\
                 [commands]\nreboot = {reboot}\n"
            );
            let file = dir.join("cwmpd.toml");
            let config = crate::config::Config::parse(&text, &file).unwrap();
            let (mut core, _) = start::open(config, &file, Journal::in_memory());
            let now = clock::now();
            let record = "method\tDownload\ntype\t1 Firmware Upgrade Image\nurl\thttp://h/f\n\
                          step\tApplying\nwhole\n";
            core.transfers.queue = Queue::from_records([("1", record)].into_iter(), false, now);
            core.transfers.queue.resume(1, Resumed::Runs, now);
            core.transfers.down_at = Some(now.mono);
            assert!(!core.take_down(now));
            let fault = core.transfers.queue.get(1).unwrap().fault.as_ref().map(|f| f.code.0);
            assert_eq!((fault, core.transfers.queue.is_busy()), (code, code.is_none()), "{reboot}");
            std::fs::remove_dir_all(dir).unwrap();
        }
    }
}
