//! The queue: what is asked, what is done next, and how that ended.

use super::policy::Policy;
use super::record;
use super::transfer::{Found, Transfer, ms};
use super::{Asked, Origin, Progress, Queued, Step, judge, types};
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use std::time::Duration;

/// The most transfers, those of which the ACS is still to be told among them; more are answered 9004
/// (X-27; a list of them has at most 16 entries, X-43).
pub const MAX_TRANSFERS: usize = 16;
/// What has become of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There is more to do: [`Queue::next_work`] says it.
    Goes,
    /// Its file is to be deleted; it is tried again later.
    Again,
    /// It has ended, and the ACS is to be told.
    Done,
    /// It has ended and is forgotten: nobody is to be told, or there is no such transfer.
    Gone,
}

/// What a start found of a transfer in [`Step::Applying`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resumed {
    /// It still runs, or its end cannot be told yet (a new image proves itself): an end follows by
    /// [`Queue::reached`] or [`Queue::failed`].
    Runs,
    /// It was done.
    Applied,
    /// It is not known, and may be done twice: it is applied again, from the file that is there.
    Again,
    /// It failed, and is not tried again.
    Failed(Fault),
}

/// The transfers.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub(super) transfers: Vec<Transfer>,
    /// The one that is worked on.
    pub(super) working: Option<u32>,
    /// The last number that was given away.
    last: u32,
    policy: Policy,
    pub(super) looked_at: Duration,
    recorded: record::Recorded,
}

impl Queue {
    /// The queue of its records (key without prefix, value); `rebooted` when the monotonic clock began
    /// anew since they were made. What was being fetched waits again; what was being applied waits for
    /// [`Queue::resume`].
    pub fn from_records<'a>(
        records: impl Iterator<Item = (&'a str, &'a str)>,
        rebooted: bool,
        now: Now,
    ) -> Queue {
        let (transfers, recorded) = record::read(records, rebooted, now);
        let last = transfers.iter().map(|t| t.number).max().unwrap_or(0);
        let mut queue = Queue { transfers, last, looked_at: now.mono, recorded, ..Queue::default() };
        for t in &mut queue.transfers {
            t.look_at_clock(now);
            if t.step == Step::Fetching {
                t.step = Step::Queued;
            }
        }
        queue
    }

    /// What must be written since the last call: key without prefix; `None` deletes. Credentials are
    /// under keys of their own (`3/secret`): a journal from which such a one is deleted is to be purged.
    pub fn records(&mut self) -> Vec<(String, Option<String>)> {
        self.recorded.changes(&self.transfers)
    }

    /// AutonomousTransferCompletePolicy, for local transfers that end from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// A transfer is asked for. It waits for [`Queue::next_work`]; its number, when it is good.
    ///
    /// # Errors
    /// 9003; 9013; 9004 when there are [`MAX_TRANSFERS`] already.
    pub fn ask(&mut self, mut asked: Asked, now: Now) -> Result<u32, Fault> {
        judge::asked(&mut asked)?;
        if self.transfers.len() >= MAX_TRANSFERS {
            let text = format!("there are {MAX_TRANSFERS} transfers already");
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, text));
        }
        let number = self.free_number();
        self.transfers.push(Transfer::new(number, asked, now));
        Ok(number)
    }

    fn free_number(&mut self) -> u32 {
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if self.get(self.last).is_none() {
                return self.last;
            }
        }
    }

    /// CancelTransfer: all that the ACS asked for with this key are gone, and nobody is told (X-41,
    /// Their numbers: a worker is to be stopped, files are to be deleted.
    ///
    /// # Errors
    /// 9021 when one is being applied or has ended: it can no longer not have been, and its
    /// TransferComplete follows. None is gone then.
    pub fn cancel(&mut self, command_key: &str) -> Result<Vec<u32>, Fault> {
        let meant = |t: &Transfer| t.is_of_acs() && t.asked.command_key == command_key;
        for t in self.transfers.iter().filter(|t| meant(t)) {
            let state = match t.step {
                Step::Applying => "is being applied",
                Step::Done => "has ended, and waits to be told",
                _ => continue,
            };
            return Err(Fault::new(Code::CANCEL_NOT_PERMITTED, format!("the transfer {state}")));
        }
        Ok(self.remove(meant))
    }

    /// A person at the device takes one back: it ends with this fault, whatever attempts it has left, and
    /// who asked for it is told. Not while it is being applied.
    pub fn give_up(&mut self, number: u32, fault: Fault, now: Now) -> Outcome {
        if self.working == Some(number) {
            self.working = None;
        }
        match self.get(number) {
            Some(t) if !matches!(t.step, Step::Applying | Step::Done) => self.end(number, Some(fault), now),
            _ => Outcome::Gone,
        }
    }

    /// A person at the device consents to a ScheduleDownload in mode 4; how many there were with this
    /// key that had waited for it.
    pub fn confirm(&mut self, command_key: &str) -> usize {
        let mut confirmed = 0;
        for t in &mut self.transfers {
            if t.asked.command_key == command_key && t.asks_confirmation() && !t.confirmed {
                t.confirmed = true;
                confirmed += 1;
            }
        }
        confirmed
    }

    /// All, in no certain order.
    pub fn all(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter()
    }

    /// The one of this number.
    pub fn get(&self, number: u32) -> Option<&Transfer> {
        self.transfers.iter().find(|t| t.number == number)
    }

    /// GetAllQueuedTransfers, in the order in which they were asked for.
    pub fn queued(&self) -> Vec<Queued> {
        let entry = |t: &Transfer| Queued {
            command_key: t.asked.command_key.clone(),
            state: match t.step {
                Step::Queued => Progress::NotYetStarted,
                Step::Done => Progress::Completed,
                _ => Progress::InProgress,
            },
            origin: t.asked.origin,
            is_download: t.asked.method.is_download(),
            file_type: types::in_lists(&t.asked),
            file_size: t.size(),
            target_file_name: t.asked.target_file_name.clone(),
        };
        self.transfers.iter().filter(|t| !t.former).map(entry).collect()
    }

    /// Whether one is worked on, or may still be being applied since before the start.
    pub fn is_busy(&self) -> bool {
        self.working.is_some() || self.transfers.iter().any(|t| t.step == Step::Applying)
    }

    /// The one that is worked on.
    pub fn working(&self) -> Option<&Transfer> {
        self.working.and_then(|number| self.get(number))
    }

    /// A step has ended well: [`Step::Fetched`], [`Step::Verified`] or [`Step::Done`].
    pub fn reached(&mut self, number: u32, step: Step, now: Now) -> Outcome {
        if self.working == Some(number) {
            self.working = None;
        }
        let Some(t) = self.find(number).filter(|t| t.step != Step::Done) else { return Outcome::Gone };
        if step == Step::Done {
            return self.end(number, None, now);
        }
        t.step = step;
        Outcome::Goes
    }

    /// An attempt has failed, or was given up because [`Queue::window_over`]. A Download or Upload has
    /// ended with it; a ScheduleDownload may have attempts or a window left.
    pub fn failed(&mut self, number: u32, fault: Fault, now: Now) -> Outcome {
        if self.working == Some(number) {
            self.working = None;
        }
        let Some(t) = self.find(number).filter(|t| t.step != Step::Done) else { return Outcome::Gone };
        if !t.is_scheduled() {
            return self.end(number, Some(fault), now);
        }
        let in_time = ms(now.mono) < t.closes();
        let given_up = fault.code == Code::OUTSIDE_WINDOWS;
        if !given_up {
            t.fault = Some(fault.clone());
        }
        if in_time && !t.retries(now) {
            t.next_window();
        }
        if t.advance(now) {
            t.step = Step::Queued;
            return Outcome::Again;
        }
        let fault = if in_time && !given_up { fault } else { t.outside_windows() };
        self.end(number, Some(fault), now)
    }

    /// The file of one in [`Step::Fetched`] or [`Step::Verified`] is not there (any more): it is fetched
    /// again, if there is still time.
    pub fn refetch(&mut self, number: u32) {
        self.working = self.working.filter(|working| *working != number);
        if let Some(t) = self.find(number).filter(|t| matches!(t.step, Step::Fetched | Step::Verified)) {
            t.step = Step::Queued;
        }
    }

    /// Something was found out; what is `None` leaves what was known.
    pub fn note_found(&mut self, number: u32, found: Found) {
        if let Some(t) = self.find(number) {
            t.found.merge(found);
        }
    }

    /// After a start: what became of one in [`Step::Applying`].
    pub fn resume(&mut self, number: u32, found: Resumed, now: Now) -> Outcome {
        let Some(t) = self.find(number).filter(|t| t.step == Step::Applying) else { return Outcome::Gone };
        match found {
            Resumed::Runs => {
                self.working = Some(number);
                Outcome::Goes
            }
            Resumed::Applied => self.end(number, None, now),
            Resumed::Again => {
                t.step = Step::Verified;
                Outcome::Goes
            }
            Resumed::Failed(fault) => self.end(number, Some(fault), now),
        }
    }

    /// `0 BOOTSTRAP` is delivered: what the former ACS asked for goes. Their numbers: a worker is to be
    /// stopped, files are to be deleted. One that is being applied goes on, and nobody is told.
    pub fn forget_former(&mut self) -> Vec<u32> {
        for t in self.transfers.iter_mut().filter(|t| t.step == Step::Applying) {
            t.former = t.asked.origin == Origin::Acs;
        }
        self.remove(|t| t.is_of_acs())
    }

    pub(super) fn end(&mut self, number: u32, fault: Option<Fault>, now: Now) -> Outcome {
        let success = fault.is_none();
        self.working = self.working.filter(|working| *working != number);
        let Some(t) = self.transfers.iter_mut().find(|t| t.number == number) else { return Outcome::Gone };
        t.end(fault, now);
        let told = match t.asked.origin {
            Origin::Acs => !t.former,
            Origin::Local => self.policy.wants(&t.asked, success),
        };
        if told {
            return Outcome::Done;
        }
        self.transfers.retain(|t| t.number != number);
        Outcome::Gone
    }

    fn remove(&mut self, which: impl Fn(&Transfer) -> bool) -> Vec<u32> {
        let gone: Vec<u32> = self.transfers.iter().filter(|t| which(t)).map(|t| t.number).collect();
        self.transfers.retain(|t| !gone.contains(&t.number));
        self.working = self.working.filter(|number| !gone.contains(number));
        gone
    }

    pub(super) fn find(&mut self, number: u32) -> Option<&mut Transfer> {
        self.transfers.iter_mut().find(|t| t.number == number)
    }
}
