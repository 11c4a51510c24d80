//! What is worked on: how it begins, ends, or is given up.

use super::{Running, file, idle, is_image};
use crate::agent::Message;
use crate::agent::engine::Engine;
use crate::agent::host::Core;
use crate::agent::start;
use crate::cwmp::transfers::{Found, Outcome, Step, Task, Transfer, Work, fragment};
use crate::model::fault::{Code, Fault};
use crate::net::transfer::{Limits, Request};
use crate::state::journal::Batch;
use crate::sys::clock::{self, Now};
use crate::transfer::apply;
use crate::transfer::verify::Key;
use crate::transfer::worker::{Check, Event, Fetch, Job, Verify, Worker};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// How long a stop waits for a command that applies a file: less than the reactor waits for the engine.
const LAST_WORDS: Duration = Duration::from_millis(1000);

impl Engine {
    /// Does what is due of transfers, and says when (monotonic) to look again.
    pub(in crate::agent) fn transfers_turn(&mut self, now: Now) -> Option<Duration> {
        self.core.give_up_what_is_over(now);
        let going_down = self.held_until.is_some_and(|until| now.mono < until);
        if self.session.is_none() && !going_down {
            self.core.settle_health(now);
            self.core.miss_boot(now);
            if self.core.take_down(now) {
                self.hold();
            } else {
                while self.core.begin_work(&self.own, now) {}
            }
        }
        let held = self.held_until.filter(|until| now.mono < *until);
        [self.core.transfers_next(now), held].into_iter().flatten().min()
    }
}

impl Core {
    fn transfers_next(&self, now: Now) -> Option<Duration> {
        let all = &self.transfers;
        let idle = all.idle.next();
        let late = all.running.as_ref().filter(|r| r.firmware && !r.late).map(|r| r.until);
        let times = [all.queue.next(), idle, all.down_at, all.boot_by, self.health_at(), late];
        // What is past waits for the end of something, of which a message tells.
        times.into_iter().flatten().filter(|at| *at > now.mono).min()
    }

    /// what its window does not wait for.
    fn give_up_what_is_over(&mut self, now: Now) {
        if let Some(running) = self.transfers.running.as_mut() {
            running.late |= now.mono >= running.until;
        }
        let Some(running) = self.transfers.running.as_mut().filter(|r| r.given_up.is_none()) else { return };
        if self.transfers.queue.window_over(running.number, now) {
            log::info!("transfer #{}: its time window is over", running.number);
            let text = "the time window was over before it was finished";
            running.given_up = Some(Fault::new(Code::OUTSIDE_WINDOWS, text));
            running.worker.stop();
        }
    }

    /// Begins what can be done now. No session runs. True when that ended at once: no message
    /// will tell of it, and there may be more to do.
    fn begin_work(&mut self, engine: &Sender<Message>, now: Now) -> bool {
        // One that was dropped is not over before its worker says so.
        let dropped = self.transfers.running.as_ref().is_some_and(|running| running.dropped);
        if self.transfers.queue.all().next().is_none() || dropped {
            return false;
        }
        if let Some((number, orphan)) = self.transfers.orphan.take() {
            self.adopt(number, orphan, engine);
            return false;
        }
        self.read_transfer_policy();
        let idle = self.is_idle(now);
        let work = self.transfers.queue.next_work(now, idle);
        if let Some(Work { number, task: Task::Apply }) = work {
            self.note_before(number);
        }
        // Also what could not begin in its time, and has failed hereby.
        let kept = self.keep_records();
        self.tidy();
        let Some(Work { number, task }) = work else { return false };
        self.transfers.files.insert(number);
        let job = match task {
            // What cannot be repeated is not begun unless that is known to the next start.
            Task::Apply if !kept => {
                let text = "that it is applied cannot be written to stable storage";
                Err(Fault::new(Code::INTERNAL_ERROR, text))
            }
            _ => self.job(number, task, now),
        };
        let (run, tell) = (self.transfers.runs.wrapping_add(1), engine.clone());
        self.transfers.runs = run;
        let started = job.and_then(|job| {
            Worker::start(job, move |event| drop(tell.send(Message::Transfer(run, event)))).map_err(|error| {
                Fault::new(Code::INTERNAL_ERROR, format!("no thread for the transfer: {error}"))
            })
        });
        match started {
            Ok(worker) => {
                log::info!("transfer #{number}: {task:?} begins");
                let transfer = self.transfers.queue.get(number);
                let applies = task == Task::Apply;
                let image = transfer.is_some_and(|t| is_image(t.asked.method, &t.asked.file_type));
                let running = Running::new(run, number, worker, self.apply_until(now));
                self.transfers.running = Some(Running { applies, firmware: applies && image, ..running });
                false
            }
            Err(fault) => {
                self.ended(number, Event::Failed(fault), now);
                true
            }
        }
    }

    /// Monotonic: until when what is begun now may take to make use of its file.
    pub(super) fn apply_until(&self, now: Now) -> Duration {
        now.mono + Duration::from_secs(self.config.transfer.apply_timeout.into())
    }

    fn is_idle(&mut self, now: Now) -> bool {
        if !self.transfers.queue.wants_idle(now) {
            self.transfers.idle.forget();
            return false;
        }
        let least = self.config.transfer.idle_bytes_per_second;
        let root = &self.config.root;
        self.transfers.idle.look(now.mono, least, || idle::counters(root))
    }

    /// What is to be done, with all that it needs.
    fn job(&mut self, number: u32, task: Task, now: Now) -> Result<Job, Fault> {
        let gone = || Fault::new(Code::INTERNAL_ERROR, "there is no such transfer");
        let t = self.transfers.queue.get(number).cloned().ok_or_else(gone)?;
        let sha256 = fragment(&t.asked.url).unwrap_or_default();
        match task {
            Task::Fetch => Ok(Job::Fetch(Box::new(Fetch {
                request: self.request(&t, now),
                size: t.asked.file_size.into(),
                file: file(self, number),
                hash: sha256.is_some(),
            }))),
            Task::Verify => {
                let image = is_image(t.asked.method, &t.asked.file_type);
                let keys = if image { self.keys()? } else { Vec::new() };
                Ok(Job::Verify(Box::new(Verify {
                    file: file(self, number),
                    request: self.request(&t, now),
                    sha256,
                    hashed: self.transfers.hashed.filter(|(n, _)| *n == number).map(|(_, hash)| hash),
                    image,
                    keys,
                    now,
                    check: image.then(|| self.check(&t)),
                })))
            }
            Task::Apply => self.apply_job(&t),
            Task::Send => self.send_job(&t, now),
        }
    }

    fn keys(&self) -> Result<Vec<Key>, Fault> {
        Key::load(&self.config.transfer.trusted_keys)
            .map_err(|why| Fault::new(Code::FILE_AUTHENTICATION, format!("transfer.trusted_keys: {why}")))
    }

    /// The platform's own test.
    fn check(&self, t: &Transfer) -> Check {
        let (commands, settings) = (self.config.commands.clone(), self.config.transfer.clone());
        let words = self.words(t);
        Box::new(move |stop| apply::check(&commands, &settings, &words, stop))
    }

    /// How the file server of a transfer is asked.
    pub(super) fn request(&self, t: &Transfer, now: Now) -> Request {
        let mut options = start::client_options(self, now);
        options.url = t.asked.url.clone();
        options.username = t.asked.username.clone();
        options.password = t.asked.password.clone();
        options.compression = None;
        let settings = &self.config.transfer;
        Request {
            options,
            limits: Limits {
                max_bytes: settings.max_bytes,
                bytes_per_second: settings.max_bytes_per_second,
                silence: Duration::from_secs(settings.silence_timeout.into()),
                whole: Duration::from_secs(settings.total_timeout.into()),
            },
        }
    }

    /// From the worker.
    pub(in crate::agent) fn transfer_heard(&mut self, run: u32, event: Event) {
        let Some(running) = self.transfers.running.take_if(|running| running.run == run) else { return };
        let now = clock::now();
        let event = match (running.given_up, event) {
            (Some(fault), Event::Stopped | Event::Failed(_)) => Event::Failed(fault),
            (_, event) => event,
        };
        if running.dropped {
            self.tidy();
            return;
        }
        self.ended(running.number, event, now);
    }

    /// A step has ended.
    fn ended(&mut self, number: u32, event: Event, now: Now) {
        self.read_transfer_policy();
        let found = |size| Found { size: Some(size), ..Found::default() };
        let queue = &mut self.transfers.queue;
        match &event {
            Event::Fetched { bytes, sha256 } => {
                self.transfers.hashed = sha256.map(|hash| (number, hash));
                queue.note_found(number, found(*bytes));
                log::info!("transfer #{number}: {bytes} bytes came");
            }
            Event::Sent { bytes } => {
                queue.note_found(number, found(*bytes));
                log::info!("transfer #{number}: {bytes} bytes were taken");
            }
            Event::Verified { version } => {
                queue.note_found(number, Found { version: version.clone(), ..Found::default() });
                log::info!("transfer #{number}: the file is as it should be");
            }
            Event::Applied => log::info!("transfer #{number}: applied"),
            Event::Failed(fault) => log::warn!("transfer #{number} failed: {fault}"),
            Event::Stopped => {}
        }
        let outcome = match event {
            Event::Applied if self.boots_by(number) => {
                self.expect_boot(number, now);
                return;
            }
            Event::Fetched { .. } => self.transfers.queue.reached(number, Step::Fetched, now),
            Event::Verified { .. } => self.transfers.queue.reached(number, Step::Verified, now),
            Event::Applied | Event::Sent { .. } => self.transfers.queue.reached(number, Step::Done, now),
            Event::Failed(fault) => self.transfers.queue.failed(number, fault, now),
            Event::Stopped => {
                let fault = Fault::new(Code::INTERNAL_ERROR, "interrupted");
                self.transfers.queue.failed(number, fault, now)
            }
        };
        if outcome == Outcome::Again {
            log::info!("transfer #{number} is tried again later");
        }
        self.keep_transfers();
        if outcome == Outcome::Gone {
            // No report will do it.
            self.purge_credentials();
        }
    }

    /// Keeps the file of a transfer, or has it fetched again where it is not whole any more.
    pub(super) fn look_for_file(&mut self, number: u32, size: Option<u64>) {
        let there = std::fs::metadata(file(self, number)).ok().map(|found| found.len());
        if there.is_none() || (size.is_some() && there != size) {
            self.transfers.queue.refetch(number);
        }
        self.transfers.files.insert(number);
    }

    /// The agent stops. What applies a file, firmware apart, has a moment to end; the rest begins again at the
    /// next start.
    pub(in crate::agent) fn stop_transfers(&mut self, inbox: &Receiver<Message>) {
        let until = Instant::now() + LAST_WORDS;
        while self.transfers.running.as_ref().is_some_and(|running| running.applies && !running.firmware) {
            let left = until.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(Message::Transfer(run, event)) => self.transfer_heard(run, event),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// A batch of everything that is to survive, written; see [`Core::records`].
    pub(super) fn transfer_batch(&mut self, mut batch: Batch) -> bool {
        self.records(&mut batch);
        self.keep(batch)
    }
}
