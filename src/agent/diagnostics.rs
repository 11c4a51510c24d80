//! Tests at work: when they begin, with which arguments, and what is told of their end. One runs at a time, so
//! that none measures another.

use super::Message;
use super::engine::Engine;
use super::host::Core;
use super::start;
use crate::cwmp::events;
use crate::diagnostics::run::{Canceled, Handle};
use crate::diagnostics::{self, Arguments, Around, Job, Kind, Report, capacity};
use crate::model::request::ParameterValue;
use crate::model::tree::Tree;
use crate::net::client::Options;
use crate::sys::clock::{self, Now};
use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How a run ended; by the number of the run.
pub type Ended = Result<Report, Canceled>;

/// The engine's part in tests.
#[derive(Default)]
pub struct Diagnostics {
    /// Number of the last run.
    runs: u32,
    running: Option<Running>,
    /// What is wrong with overlays.
    pub overlay_problems: Vec<String>,
}

impl Diagnostics {
    /// Nothing has run.
    pub fn new(overlay_problems: &[String]) -> Diagnostics {
        Diagnostics { overlay_problems: overlay_problems.to_vec(), ..Diagnostics::default() }
    }
}

struct Running {
    run: u32,
    kind: &'static Kind,
    handle: Handle,
    /// The row of the plan whose run it is; without one the ACS has asked for it.
    row: Option<u32>,
}

impl Engine {
    /// Begins what is due, where no session runs (DG-2) and the device does not go down. Says when to look again: what
    /// becomes due before that is over waits for its end.
    pub(super) fn diagnostics_turn(&mut self, now: Now) -> Option<Duration> {
        self.core.end_unwanted();
        let going_down = self.held_until.is_some_and(|until| now.mono < until);
        let busy = self.session.is_some() || going_down || self.core.transfers.is_applying();
        if busy || self.core.diagnostics.running.is_some() {
            return None;
        }
        while self.core.begin_diagnosis(&self.own, now) || self.core.begin_planned(&self.own, now) {
            self.ring();
        }
        if self.core.diagnostics.running.is_some() {
            return None;
        }
        let plan = self.core.facts.borrow().plan.clone();
        plan.borrow().next(now)
    }

    /// A worker has ended.
    pub(super) fn diagnosis_heard(&mut self, run: u32, ended: Ended) {
        if self.core.diagnosis_ended(run, ended) {
            self.ring();
        }
    }
}

impl Core {
    /// Values were set, by whomever: DG-4.
    pub fn note_diagnostics(&mut self, list: &[ParameterValue]) {
        let board = self.facts.borrow().board.clone();
        board.borrow_mut().written(list.iter().map(|value| value.name.as_str()));
        self.keep_diagnoses();
        self.end_unwanted();
        self.note_udp_echo(list);
    }

    /// Wakes the worker whose test nobody wants any more.
    fn end_unwanted(&mut self) {
        let (board, plan) = (self.facts.borrow().board.clone(), self.facts.borrow().plan.clone());
        if let Some(running) = &mut self.diagnostics.running {
            let is_wanted = match running.row {
                None => board.borrow().is_wanted(running.run),
                // The ACS goes first.
                row => plan.borrow().running() == row && board.borrow().next().is_none(),
            };
            if !is_wanted {
                running.handle.cancel();
            }
        }
    }

    /// Begins the test that waits longest. True when it ended at once.
    fn begin_diagnosis(&mut self, engine: &Sender<Message>, now: Now) -> bool {
        let board = self.facts.borrow().board.clone();
        let Some(kind) = board.borrow().next() else { return false };
        let run = self.next_run();
        board.borrow_mut().begin(kind, run);
        self.keep_diagnoses();
        log::info!("{} begins", kind.object);
        self.tree.begin_rpc();
        let arguments = arguments(&mut self.tree, kind);
        match self.start_test(kind, arguments, None, engine, now) {
            Ok(()) => false,
            Err(report) => {
                self.told_of(kind, run, report);
                true
            }
        }
    }

    /// Begins the run that is due longest, when the ACS wants none. True when it ended at once.
    fn begin_planned(&mut self, engine: &Sender<Message>, now: Now) -> bool {
        if self.diagnostics.running.is_some() {
            return false;
        }
        let Some((row, kind, arguments)) = self.due_run(now) else { return false };
        self.next_run();
        log::info!("{} begins by its schedule, row {row}", kind.object);
        let started =
            arguments.and_then(|arguments| self.start_test(kind, arguments, Some(row), engine, now));
        if let Err(report) = &started {
            log::warn!("{}: {}: {}", kind.object, report.state, report.why);
            self.planned_ended(row, report, false);
        }
        started.is_err()
    }

    fn next_run(&mut self) -> u32 {
        self.diagnostics.runs = self.diagnostics.runs.wrapping_add(1);
        self.diagnostics.runs
    }

    /// Starts a test under the number of the last run.
    fn start_test(
        &mut self,
        kind: &'static Kind,
        arguments: Arguments,
        row: Option<u32>,
        engine: &Sender<Message>,
        now: Now,
    ) -> Result<(), Report> {
        let run = self.diagnostics.runs;
        let job = self.job_of(kind, arguments, now)?;
        let tell = engine.clone();
        let handle = Handle::start(None, move |test| {
            drop(tell.send(Message::Diagnosis(run, (kind.run)(&job, test))));
        })
        .map_err(|error| no_thread(kind, error))?;
        self.diagnostics.running = Some(Running { run, kind, handle, row });
        Ok(())
    }

    fn diagnosis_ended(&mut self, run: u32, ended: Ended) -> bool {
        let Some(running) = self.diagnostics.running.take_if(|running| running.run == run) else {
            return false;
        };
        match (ended, running.row) {
            (Ok(report), None) => self.told_of(running.kind, run, report),
            (Ok(report), Some(row)) => {
                log::info!("{}, row {row}: {}", running.kind.object, report.state);
                self.planned_ended(row, &report, true);
                true
            }
            (Err(Canceled), row) => {
                log::info!("{} was canceled", running.kind.object);
                if let Some(row) = row {
                    let plan = self.facts.borrow().plan.clone();
                    plan.borrow_mut().gave_way(row, clock::now());
                }
                false
            }
        }
    }

    /// DG-2: event 8, also after an error; not for what is not wanted any more.
    fn told_of(&mut self, kind: &Kind, run: u32, report: Report) -> bool {
        let board = self.facts.borrow().board.clone();
        match report.why.as_str() {
            "" => log::info!("{}: {}", kind.object, report.state),
            why => log::info!("{}: {}: {why}", kind.object, report.state),
        }
        let is_event = board.borrow_mut().end(run, report);
        self.keep_diagnoses();
        if is_event {
            self.queue.add(events::DIAGNOSTICS_COMPLETE, "");
            self.keep_records();
        }
        is_event
    }

    /// What a test with these arguments is to do.
    fn job_of(&mut self, kind: &'static Kind, mut arguments: Arguments, now: Now) -> Result<Job, Report> {
        keys(&mut self.tree, kind, &mut arguments);
        let device = match arguments.text("Interface") {
            "" => None,
            interface => Some(self.device_of(interface)?),
        };
        let options = Options {
            url: String::new(),
            username: String::new(),
            password: String::new(),
            client_certificate: None,
            bind_interface: None,
            compression: None,
            ..start::client_options(self, now)
        };
        let facts = self.facts_for(kind);
        Ok(Job { arguments, device, around: Around { root: self.config.root.clone(), options, facts } })
    }

    /// The kernel's device of a row of Device.IP.Interface.{i}.
    pub(super) fn device_of(&mut self, interface: &str) -> Result<String, Report> {
        let row = format!("{}.", interface.trim_end_matches('.'));
        let names = ["X_CWMPD_Device", "Name"];
        let found = names.iter().find_map(|name| self.tree.value(&format!("{row}{name}")));
        found
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Report::error("Error_Internal", format!("{interface} has no device now")))
    }
}

/// The arguments of a test, as they stand.
pub(super) fn arguments(tree: &mut Tree, kind: &Kind) -> Arguments {
    let mut arguments = Arguments::default();
    let platform = tree.platform();
    let names: Vec<String> = tree.schema().find_object(kind.object).map_or(Vec::new(), |object| {
        object.params().filter(|p| p.is_writable(platform)).map(|p| p.name().to_owned()).collect()
    });
    for name in names.iter().filter(|name| *name != "DiagnosticsState") {
        let value = tree.value(&format!("{}{name}", kind.object)).unwrap_or_default();
        arguments.set(name, &value);
    }
    arguments
}

/// The row of keys whose Alias the arguments name goes with them (DG-16).
fn keys(tree: &mut Tree, kind: &Kind, arguments: &mut Arguments) {
    let alias = arguments.text("AuthenticationAlias").to_owned();
    if kind.object != capacity::OBJECT || alias.is_empty() {
        return;
    }
    let row = format!("{}[{alias}].", capacity::KEYS);
    for name in ["Alias", "AuthenticationKey"] {
        if let Some(value) = tree.value(&format!("{}{row}{name}", kind.object)) {
            arguments.set(&format!("{}1.{name}", capacity::KEYS), &value);
        }
    }
}

fn no_thread(kind: &Kind, error: io::Error) -> Report {
    Report::error(diagnostics::internal(kind), format!("no thread for the test: {error}"))
}
