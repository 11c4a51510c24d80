//! Tests at work: when they begin, with which arguments, and what is told of their end. One runs at a time, so
//! that none measures another.

use super::Message;
use super::engine::Engine;
use super::host::Core;
use super::start;
use crate::cwmp::events;
use crate::diagnostics::run::{Canceled, Handle};
use crate::diagnostics::{Arguments, Around, Job, Kind, Report};
use crate::model::request::ParameterValue;
use crate::net::client::Options;
use crate::sys::clock::Now;
use std::io;
use std::sync::mpsc::Sender;

/// How a run ended; by the number of the run.
pub type Ended = Result<Report, Canceled>;

/// The engine's part in tests.
#[derive(Default)]
pub struct Diagnostics {
    /// Number of the last run.
    runs: u32,
    running: Option<Running>,
}

struct Running {
    run: u32,
    kind: &'static Kind,
    handle: Handle,
}

impl Engine {
    /// Begins what is due, where no session runs (DG-2) and the device does not go down.
    pub(super) fn diagnostics_turn(&mut self, now: Now) {
        self.core.end_unwanted();
        let going_down = self.held_until.is_some_and(|until| now.mono < until);
        let busy = self.session.is_some() || going_down || self.core.transfers.is_applying();
        if !busy && self.core.diagnostics.running.is_none() {
            while self.core.begin_diagnosis(&self.own, now) {
                self.ring();
            }
        }
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
        self.end_unwanted();
    }

    /// Wakes the worker whose test nobody wants any more.
    fn end_unwanted(&mut self) {
        let board = self.facts.borrow().board.clone();
        if let Some(running) = &mut self.diagnostics.running
            && !board.borrow().is_wanted(running.run)
        {
            running.handle.cancel();
        }
    }

    /// Begins the test that waits longest. True when it ended at once.
    fn begin_diagnosis(&mut self, engine: &Sender<Message>, now: Now) -> bool {
        let board = self.facts.borrow().board.clone();
        let Some(kind) = board.borrow().next() else { return false };
        self.diagnostics.runs = self.diagnostics.runs.wrapping_add(1);
        let run = self.diagnostics.runs;
        board.borrow_mut().begin(kind, run);
        log::info!("{} begins", kind.object);
        let started = self.job_of(kind, now).and_then(|job| {
            let tell = engine.clone();
            Handle::start(None, move |test| {
                drop(tell.send(Message::Diagnosis(run, (kind.run)(&job, test))));
            })
            .map_err(no_thread)
        });
        match started {
            Ok(handle) => {
                self.diagnostics.running = Some(Running { run, kind, handle });
                false
            }
            Err(report) => {
                self.told_of(kind, run, report);
                true
            }
        }
    }

    fn diagnosis_ended(&mut self, run: u32, ended: Ended) -> bool {
        let Some(running) = self.diagnostics.running.take_if(|running| running.run == run) else {
            return false;
        };
        match ended {
            Ok(report) => self.told_of(running.kind, run, report),
            Err(Canceled) => {
                log::info!("{} was canceled", running.kind.object);
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
        if is_event {
            self.queue.add(events::DIAGNOSTICS_COMPLETE, "");
            self.keep_records();
        }
        is_event
    }

    /// The arguments that the tree has for a test.
    fn job_of(&mut self, kind: &'static Kind, now: Now) -> Result<Job, Report> {
        let mut arguments = Arguments::default();
        let platform = self.tree.platform();
        let names: Vec<String> = self.tree.schema().find_object(kind.object).map_or(Vec::new(), |object| {
            object.params().filter(|p| p.is_writable(platform)).map(|p| p.name().to_owned()).collect()
        });
        self.tree.begin_rpc();
        for name in names.iter().filter(|name| *name != "DiagnosticsState") {
            let value = self.tree.value(&format!("{}{name}", kind.object)).unwrap_or_default();
            arguments.set(name, &value);
        }
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
        Ok(Job { arguments, device, around: Around { root: self.config.root.clone(), options } })
    }

    /// The kernel's device of a row of Device.IP.Interface.{i}.
    fn device_of(&mut self, interface: &str) -> Result<String, Report> {
        let row = format!("{}.", interface.trim_end_matches('.'));
        let names = ["X_CWMPD_Device", "Name"];
        let found = names.iter().find_map(|name| self.tree.value(&format!("{row}{name}")));
        found.filter(|name| !name.is_empty()).ok_or_else(|| {
            Report::error("Error_Internal", format!("{interface} has no device now"))
        })
    }
}

fn no_thread(error: io::Error) -> Report {
    Report::error("Error_Internal", format!("no thread for the test: {error}"))
}
