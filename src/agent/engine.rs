//! The engine: owns tree, journal and session, and takes one message at a time. It may wait for a
//! handler, never for the network.

use super::acs::Refusal;
use super::answer::{First, Rendering};
use super::bells::Rings;
use super::compression::Compression;
use super::control::{Request, SessionReport};
use super::control_server::{ReplyTo, Snapshot};
use super::door::Door;
use super::following::Following;
use super::host::Core;
use super::reactor::{Mailbox, Task};
use super::settings::Settings;
use super::transfers::shown;
use super::wire::{Event, Order, Wire};
use super::{Message, serving, start, status};
use crate::config::Config;
use crate::cwmp::events;
use crate::cwmp::session::{Incoming, Outgoing, Session};
use crate::cwmp::trigger::{self, Calls, Trigger};
use crate::model::tree::Selection;
use crate::net::client::{Error, Reached};
use crate::state::journal::Journal;
use crate::sys::clock::{self, Now};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Notes kept for `status`; older ones are in the log.
const MAX_NOTES: usize = 16;

/// What the engine is made of.
pub struct Parts {
    pub config: Config,
    pub config_path: PathBuf,
    pub journal: Journal,
    pub inbox: Receiver<Message>,
    pub own: Sender<Message>,
    pub mailbox: Mailbox,
    pub snapshot: Snapshot,
}

/// A session under way.
pub(super) struct Active {
    id: u32,
    wire: Wire,
    machine: Session,
    rendering: Option<Rendering>,
    started: Now,
    /// The events it set out to tell.
    events: Vec<String>,
}

/// The engine.
pub struct Engine {
    pub core: Core,
    pub door: Door,
    pub last: Option<SessionReport>,
    pub began: Now,
    pub notes: Vec<String>,
    pub overlay_problems: Vec<String>,
    /// Why the agent's object is not on the bus.
    pub bus_problem: Option<String>,
    pub compression: Compression,
    pub(super) following: Following,
    /// Answers to shells that were begun, by number.
    pub walks: Vec<(u32, Selection)>,
    /// The number of the last of them.
    pub walk_number: u32,
    /// Changes that shells asked for while a long answer is under way: its values must be those of
    /// one moment (R-GPV-10). No more than there are connections.
    waiting: Vec<(Request, ReplyTo)>,
    config_path: PathBuf,
    pub(super) own: Sender<Message>,
    pub(super) mailbox: Mailbox,
    snapshot: Snapshot,
    pub(super) session: Option<Active>,
    sessions: u32,
    /// Something asks for a session now, whatever the retry wait says (CR-20).
    kicked: bool,
    /// When what is watched is looked at.
    pub(super) rings: Rings,
    /// No session before this: a reboot was started.
    pub(super) held_until: Option<Duration>,
}

/// Why the engine stopped.
enum Ended {
    Stop,
    /// A factory reset was done: everything begins anew.
    Reset,
}

/// Runs the engine until it is told to stop.
pub fn run(parts: Parts) {
    let Parts { config, config_path, journal, inbox, own, mailbox, snapshot } = parts;
    let (core, opening) = start::open(config, &config_path, journal);
    let mut engine = Engine {
        core,
        door: opening.door,
        last: None,
        began: clock::now(),
        notes: opening.notes,
        overlay_problems: opening.overlay_problems,
        bus_problem: None,
        compression: Compression::default(),
        following: Following::default(),
        walks: Vec::new(),
        walk_number: 0,
        waiting: Vec::new(),
        config_path,
        own,
        mailbox,
        snapshot,
        session: None,
        sessions: 0,
        kicked: false,
        rings: Rings::new(),
        held_until: None,
    };
    engine.open_door(None);
    loop {
        match engine.serve(&inbox) {
            Ended::Stop => break,
            Ended::Reset => {
                engine.notes = start::again(&mut engine.core, &mut engine.door);
                engine.open_door(None);
            }
        }
    }
    engine.mailbox.send(Task::Quit);
}

impl Engine {
    fn serve(&mut self, inbox: &Receiver<Message>) -> Ended {
        loop {
            // Also at the start: what the last process promised is done before anything else.
            let stays = self.session.is_some() || self.core.transfers.is_applying();
            if !stays && self.core.reset_due && self.reset() {
                return Ended::Reset;
            }
            let now = clock::now();
            if self.session.is_none() && self.core.take_due_reboots(now) {
                self.rings.at_once(now.mono);
            }
            if !stays && self.core.reboot_due {
                self.reboot();
            }
            let wait = self.turn();
            let message = match wait {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => inbox.recv_timeout(wait),
            };
            match message {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.stop(inbox);
                    return Ended::Stop;
                }
                Ok(Message::ConnectionRequest) => self.called(),
                Ok(Message::Bus(problem)) => self.bus_problem = problem,
                Ok(Message::Rung) => self.rang(),
                Ok(Message::Reload) => self.reload(),
                Ok(Message::Wire(id, event)) => self.heard(id, event),
                Ok(Message::Transfer(run, event)) => self.core.transfer_heard(run, event),
                Ok(Message::Diagnosis(run, ended)) => self.diagnosis_heard(run, ended),
                Ok(Message::Control(request, reply)) if self.is_rendering() && request.changes() => {
                    self.waiting.push((request, reply));
                }
                Ok(Message::Control(request, reply)) => {
                    let acts = !matches!(request, Request::Get { .. } | Request::Names { .. });
                    let answer = serving::answer(self, request);
                    if acts {
                        // Who asks how it goes right afterwards sees what came of it.
                        self.publish();
                    }
                    reply.send(answer);
                }
                Ok(Message::ControlMore(number, reply)) => {
                    let answer = serving::more(self, number);
                    reply.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does what is due and says how long the engine may sleep (`None`: until a message comes).
    fn turn(&mut self) -> Option<Duration> {
        if !self.is_rendering() {
            for (request, reply) in std::mem::take(&mut self.waiting) {
                reply.send(serving::answer(self, request));
            }
        }
        let now = clock::now();
        if self.session.is_none() {
            self.put_back_failed(now);
        }
        // What becomes due while a session runs waits for its end.
        let mut next = [None; 8];
        if self.session.is_none() {
            next[0] = self.core.reboots.next(now);
        }
        next[5] = self.transfers_turn(now);
        next[6] = self.statistics_turn(now);
        next[7] = self.diagnostics_turn(now);
        if self.core.settings.enable_cwmp {
            let due = self.core.schedule.take_due(now);
            if due.heartbeat {
                self.core.queue.add(events::HEARTBEAT, "");
            }
            if due.periodic {
                self.core.queue.add(events::PERIODIC, "");
            }
            for key in &due.scheduled {
                self.core.queue.add_of_former(events::SCHEDULED, "");
                self.core.queue.add_of_former(events::M_SCHEDULE_INFORM, key);
            }
            if due.periodic || !due.scheduled.is_empty() {
                self.core.keep_records();
            }
            let held = self.held_until.filter(|until| now.mono < *until);
            let free = self.session.is_none() && held.is_none() && !self.core.transfers.hold();
            if free {
                self.sweep_if_due(now);
            }
            // Where DHCP has not said yet who the ACS is, there is nobody to begin a session with.
            if free && !self.core.settings.url.is_empty() {
                let (core, calls) = (&self.core, self.calls());
                match trigger::now(&core.queue, &core.schedule, calls, now) {
                    Some(trigger) => self.begin(now, trigger),
                    None => next[1] = trigger::later(&core.queue, &core.schedule, calls),
                }
            }
            // While a session runs its retry wait is over; what waits for the end of something is not to
            // wake the engine before that.
            let free = self.session.is_none() && held.is_none() && !self.core.transfers.hold();
            let sweep = self.rings.next().filter(|_| free);
            next[2..5].copy_from_slice(&[self.core.schedule.next(), held, sweep]);
        }
        let wait = next.into_iter().flatten().min();
        let wait = wait.map(|at| at.saturating_sub(now.mono).max(Duration::from_millis(1)));
        for trouble in self.core.tree.take_troubles() {
            self.note(trouble);
        }
        self.publish();
        wait
    }

    /// Whether an answer to the ACS is being read piece by piece.
    fn is_rendering(&self) -> bool {
        self.session.as_ref().and_then(|s| s.rendering.as_ref()).is_some_and(|r| !r.is_finished())
    }

    fn begin(&mut self, now: Now, trigger: Trigger) {
        let heartbeat = trigger == Trigger::Heartbeat;
        self.kicked &= heartbeat;
        self.sessions = self.sessions.wrapping_add(1);
        self.core.settings = Settings::read(&mut self.core.tree);
        start::choose_acs(&mut self.core, now, heartbeat);
        self.core.trial_attempt(now, trigger);
        let mut options = start::client_options(&self.core, now);
        self.core.acs.meet(&options.url);
        self.compression.begin(&mut options);
        match Wire::start(self.sessions, options, self.own.clone()) {
            Ok(wire) => {
                log::info!("session with {} begins", self.core.fallback.asked());
                let codes = self.core.begin_events(heartbeat);
                self.core.schedule.session_began();
                self.core.tree.begin_session();
                self.session = Some(Active {
                    id: self.sessions,
                    wire,
                    machine: Session::new(self.core.acs.namespace(), self.sessions),
                    rendering: None,
                    started: now,
                    events: codes,
                });
            }
            Err(error) if heartbeat => {
                log::warn!("no thread for the heartbeat: {error}");
                self.core.queue.remove(events::HEARTBEAT);
            }
            Err(error) => self.failed(now, &format!("no thread for the session: {error}"), None),
        }
    }

    fn heard(&mut self, id: u32, event: Event) {
        // What a session of the past says is nothing to the present one.
        let Some(active) = self.session.as_mut().filter(|s| s.id == id) else { return };
        match event {
            Event::Ready(local, acs) => {
                self.following.reached(acs);
                self.open_door(local);
                self.step(Incoming::Start);
                // The Inform itself may have found that a value changed.
                let codes = self.core.told();
                log::info!(
                    "Inform: {}",
                    if codes.is_empty() { "no event".to_owned() } else { codes.join(", ") }
                );
                if let Some(active) = &mut self.session {
                    active.events = codes;
                }
            }
            Event::Answered { body, local } => {
                self.compression.answered();
                self.core.local = local.or(self.core.local);
                if body.is_empty() {
                    self.step(Incoming::Empty);
                } else {
                    self.step(Incoming::Envelope(&body));
                }
            }
            Event::Pull => {
                let piece = active.rendering.as_mut().and_then(|r| r.piece(&mut self.core.tree));
                self.order(Order::Piece(piece));
            }
            Event::Again => {
                if let Some(rendering) = active.rendering.as_mut() {
                    // Whatever it is now, it was begun as a stream and goes on as one.
                    let (First::Whole(first) | First::Begun(first)) = rendering.first(&mut self.core.tree);
                    self.order(Order::Stream(first));
                }
            }
            Event::Failed(error, reached) => {
                self.compression.failed(&error);
                let longer = match &error {
                    Error::Status { code, retry_after, .. } => {
                        if active.machine.is_informed() && !self.compression.is_blamed() {
                            self.core.acs.refused(Refusal::Status(*code));
                        }
                        *retry_after
                    }
                    _ => None,
                };
                self.end(Some((error.to_string(), longer, reached)));
            }
        }
    }

    fn step(&mut self, incoming: Incoming<'_>) {
        let Some(active) = self.session.as_mut() else { return };
        active.rendering = None;
        let patience = active.machine.timeout();
        let outgoing = active.machine.step(incoming, &mut self.core);
        if let Some(wait) = active.machine.timeout().filter(|wait| Some(*wait) != patience) {
            let _ = active.wire.orders.send(Order::Patience(wait));
        }
        match outgoing {
            Outgoing::Whole(bytes) => self.order(Order::Whole(bytes)),
            Outgoing::Long(answer) => {
                let mut rendering = Rendering::new(*answer);
                let order = match rendering.first(&mut self.core.tree) {
                    First::Whole(bytes) => Order::Whole(bytes),
                    First::Begun(bytes) => {
                        active.rendering = Some(rendering);
                        Order::Stream(bytes)
                    }
                };
                self.order(order);
            }
            Outgoing::Empty => self.order(Order::Empty),
            Outgoing::Done => {
                self.order(Order::Finish);
                self.end(None);
            }
            Outgoing::Failed(why) => self.end(Some((why, None, Reached::Answered(200)))),
        }
    }

    fn order(&mut self, order: Order) {
        // The wire waits for orders whenever the engine gives one, so this never blocks for long; a
        // wire that is gone has said why, or will.
        if let Some(active) = &self.session {
            let _ = active.wire.orders.send(order);
        }
    }

    /// The session is over; `failed` says why it failed, how long the ACS wants us to wait, and how far
    /// the session came.
    fn end(&mut self, failed: Option<(String, Option<u32>, Reached)>) {
        let Some(active) = self.session.take() else { return };
        let now = clock::now();
        drop(active.wire);
        let answered = active.machine.is_delivered();
        let reached = failed.as_ref().map_or(Reached::Answered(200), |(_, _, reached)| *reached);
        self.core.trial_learns(answered, reached);
        self.core.discovery_learns(answered, now);
        // In whatever way it ended: what was answered with success is applied (R-SPV-9).
        for note in self.core.end_session(false) {
            log::warn!("{note}");
            self.note(note);
        }
        self.core.informed.clear();
        // Neither good nor bad news about what others have to tell (V-22).
        let heartbeat = std::mem::take(&mut self.core.heartbeat);
        if answered && !heartbeat {
            self.core.session_told();
        }
        match failed {
            None => {
                self.core.queue.end_session();
                if !heartbeat {
                    self.core.prove_health(now);
                    self.core.owed = false;
                    self.core.schedule.session_succeeded(now);
                }
                start::note_first_use(&mut self.core, now);
                self.last = status::ended(&active.machine, active.started, now, &active.events, None);
                log::info!(
                    "session ended: {} requests, {} faults",
                    active.machine.rpcs(),
                    active.machine.faults()
                );
            }
            Some((why, longer, _)) => {
                if let Some(code) = active.machine.inform_fault() {
                    self.core.acs.refused(Refusal::Fault(code));
                }
                self.last =
                    status::ended(&active.machine, active.started, now, &active.events, Some(why.clone()));
                if heartbeat {
                    log::warn!("heartbeat failed: {why}; the next one comes at its time");
                } else {
                    self.core.owed |= answered;
                    self.failed(now, &why, longer);
                    if !self.compression.is_blamed() {
                        self.kicked |= start::acs_failed(&mut self.core, answered);
                    }
                    if !answered {
                        self.trial_ended(now, reached, &why);
                    }
                }
            }
        }
        self.mailbox.send(Task::Ended(Box::new(self.last.clone().unwrap_or_default())));
        self.settings_changed();
        // Changes made by others while the session ran wait for a new one (C-21).
        self.rings.at_once(now.mono);
    }

    fn failed(&mut self, now: Now, why: &str, longer: Option<u32>) {
        self.core.queue.end_session();
        self.core.keep_records();
        let wait = self.core.schedule.session_failed(now, longer, start::random());
        log::warn!("session failed: {why}; next attempt in {} s", wait.as_secs());
    }

    /// Reads ManagementServer again and acts on what changed.
    pub fn settings_changed(&mut self) {
        let fresh = Settings::read(&mut self.core.tree);
        let now = clock::now();
        self.core.reboots.follow(fresh.delay_reboot, fresh.schedule_reboot, now);
        self.core.follow_statistics(now);
        self.core.follow_udp_echo();
        self.core.follow_plan(now, false);
        if fresh == self.core.settings && start::bootstrapped(&self.core) {
            return;
        }
        let old = &self.core.settings;
        if fresh.url != old.url || fresh.compression != old.compression {
            self.compression.forget();
        }
        if fresh.url != self.core.settings.url {
            self.core.schedule.forget_failures();
        }
        if !fresh.enable_cwmp {
            // Who called before CWMP was put off is not called back when it is put on (C-30).
            self.kicked = false;
            self.core.queue.remove(events::CONNECTION_REQUEST);
        }
        self.core.settings = fresh;
        start::schedule_settings(&mut self.core);
        start::bootstrap_if_new(&mut self.core);
        self.open_door(None);
    }

    fn called(&mut self) {
        if !self.core.settings.enable_cwmp {
            // Answered just before the port was closed.
            return;
        }
        log::info!("connection request");
        self.core.queue.add(events::CONNECTION_REQUEST, "");
        self.kicked = true;
    }

    /// A session now, asked for by a person.
    pub fn kick(&mut self) {
        self.kicked = true;
    }

    fn reload(&mut self) {
        match Config::load(&self.config_path) {
            Ok(config) => {
                log::info!("configuration read again");
                if let Some(note) = start::reconfigure(&mut self.core, config) {
                    log::warn!("{note}");
                    self.note(note);
                }
                self.settings_changed();
                self.open_door(None);
                // Somebody has just put something right, perhaps what the last session failed by.
                self.core.schedule.retry_now();
            }
            Err(error) => {
                let note = format!("the configuration was not taken over: {error}");
                log::error!("{note}");
                self.note(note);
            }
        }
    }

    /// Keeps a sentence for `status`, once.
    pub fn note(&mut self, note: String) {
        self.notes.retain(|known| *known != note);
        self.notes.push(note);
        let old = self.notes.len().saturating_sub(MAX_NOTES);
        self.notes.drain(..old);
    }

    fn publish(&self) {
        let report = status::report(self);
        let meter = shown::meter(&self.core);
        *self.snapshot.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) =
            (Instant::now(), report, meter);
    }

    /// What calls for a session beside queue and schedule.
    pub fn calls(&self) -> Calls {
        let report_at = self.core.transfers.queue.report_at();
        Calls { kicked: self.kicked, owed: self.core.owed, trial: self.core.trials.call(), report_at }
    }

    /// When the session that runs began.
    pub fn session_began(&self) -> Option<Now> {
        self.session.as_ref().map(|s| s.started)
    }
}
