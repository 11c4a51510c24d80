//! What the session asks of the agent, answered from the tree: the engine's core without its session.

use super::acs::{Acs, KNOWN};
use super::diagnostics::Diagnostics;
use super::discovery::Discovery;
use super::fallback::Fallback;
use super::settings::Settings;
use super::start;
use super::transfers::Transfers;
use super::trial::Trials;
use super::udpecho::UdpEcho;
use crate::config::Config;
use crate::cwmp::events::{self, Queue};
use crate::cwmp::inform;
use crate::cwmp::reboots::Reboots;
use crate::cwmp::rpc::{self, AcsAnswer, AgentRequest, DeviceId, Namespace, Response};
use crate::cwmp::schedule::Schedule;
use crate::cwmp::session::{Host, InformFacts};
use crate::cwmp::transfers::{Asked, Queued};
use crate::handlers::agent::AgentFacts;
use crate::model::fault::{Code, Fault};
use crate::model::request::{ParameterValue, SetAttributes};
use crate::model::tree::{Item, Naming, Selection, Status, Tree, Writer};
use crate::state::journal::{Batch, Journal};
use crate::sys::clock;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

/// Journal key of the undelivered events.
pub const QUEUE: &str = "e/queue";
/// Journal key of the pending ScheduleInforms.
pub const SCHEDULE: &str = "e/schedule";
/// Journal key of the reboots asked for: their CommandKeys, JSON.
pub const REBOOT: &str = "b/reboot";
/// Journal key that is there while a factory reset is due.
pub const RESET: &str = "b/reset";
/// Journal key of ManagementServer.URL as it was when an ACS answered `0 BOOTSTRAP` last: who answers by
/// that URL knows the device.
pub const ACS: &str = "b/acs";
/// Journal key of another ManagementServer.URL, while `0 BOOTSTRAP` waits to be told because of it.
pub const NEW_ACS: &str = "b/new-acs";

/// Reboots kept for `M Reboot`; more than any session asks for in earnest.
const MAX_REBOOTS: usize = 64;
/// Changes that one Inform tells: it is kept whole in memory, and the ACS may watch the whole tree.
const MAX_CHANGED: usize = 2048;
/// Parameters that InformParameter rows may add to one Inform.
const MAX_INFORM_PARAMETERS: usize = 1024;

/// Everything of the engine that a session works with.
pub struct Core {
    pub config: Config,
    pub journal: Rc<RefCell<Journal>>,
    pub tree: Tree,
    pub facts: Rc<RefCell<AgentFacts>>,
    pub device: DeviceId,
    pub queue: Queue,
    pub schedule: Schedule,
    /// DelayReboot and ScheduleReboot.
    pub reboots: Reboots,
    pub settings: Settings,
    pub acs: Acs,
    /// The local address by which the ACS was last reached.
    pub local: Option<std::net::IpAddr>,
    /// What the Inform of the present session said of watched parameters, until it is answered: path, and
    /// the hash by which the value will be known.
    pub informed: Vec<(String, u64)>,
    /// A session failed after its Inform was answered: a retry is due, and with nothing else to tell
    /// its Inform has no event (V-3).
    pub owed: bool,
    /// The session that runs is a heartbeat's.
    pub heartbeat: bool,
    /// The device is to boot once the session has ended.
    pub reboot_due: bool,
    /// The device is to be reset once the session has ended.
    pub reset_due: bool,
    pub trials: Trials,
    pub transfers: Transfers,
    pub fallback: Fallback,
    pub diagnostics: Diagnostics,
    pub udp_echo: UdpEcho,
    /// What DHCP told.
    pub discovery: Discovery,
}

impl Core {
    /// Makes a batch durable; when that fails the agent goes on and the journal's health tells.
    pub fn keep(&self, batch: Batch) -> bool {
        match self.journal.borrow_mut().commit(batch) {
            Ok(()) => true,
            Err(error) => {
                log::error!("the journal cannot be written: {error}");
                false
            }
        }
    }

    /// Adds transfers, the event queue, the schedule and what is known of the ACS to a batch, when they changed in
    /// what must survive.
    pub fn records(&mut self, batch: &mut Batch) {
        // First, since the events follow it.
        self.transfer_records(batch);
        if let Some(record) = self.queue.record() {
            batch.put(QUEUE, record);
        }
        if let Some(record) = self.schedule.record() {
            batch.put(SCHEDULE, record);
        }
        if let Some(record) = self.acs.record() {
            batch.put(KNOWN, record);
        }
    }

    /// Writes the same, when they changed in what must survive.
    pub fn keep_records(&mut self) -> bool {
        let mut batch = Batch::default();
        self.records(&mut batch);
        self.keep(batch)
    }

    /// Values of what exists of these names, in order, at most so many: path, xsi:type, value.
    pub fn read(&mut self, names: &[String], most: usize) -> Vec<(String, &'static str, String)> {
        let mut out = Vec::new();
        for name in names {
            // One by one: a name that is gone must not take the others with it.
            let Ok(mut selection) = self.tree.values(std::slice::from_ref(name)) else { continue };
            while out.len() < most
                && self.tree.next(&mut selection, &mut |item| {
                    if let Item::Value { path, xsi_type, value } = item {
                        out.push((path.to_owned(), xsi_type, value.to_owned()));
                    }
                })
            {}
        }
        out
    }

    /// The names that enabled InformParameter rows add for these events (I-5, I-6).
    fn inform_parameters(&mut self, events: &[rpc::Event]) -> Vec<String> {
        const TABLE: &str = "Device.ManagementServer.InformParameter.";
        let mut rows: Vec<String> = Vec::new();
        if let Ok(mut selection) = self.tree.names(TABLE, true) {
            while self.tree.next(&mut selection, &mut |item| {
                if let Item::Name { path, .. } = item {
                    rows.push(path.to_owned());
                }
            }) {}
        }
        let mut names = Vec::new();
        for row in rows {
            let mut field = |name: &str| self.tree.value(&format!("{row}{name}")).unwrap_or_default();
            let (enable, name, list) = (field("Enable"), field("ParameterName"), field("EventList"));
            if enable == "true" && !name.is_empty() && inform::selects(&list, events) {
                names.push(name);
            }
        }
        names
    }

    /// The parameters of an Inform, each once: forced ones, those that InformParameter rows add for its
    /// events, and the changed ones.
    pub fn listed(
        &mut self,
        events: &[rpc::Event],
        changed: &[String],
    ) -> Vec<(String, &'static str, String)> {
        let mut parameters: Vec<(String, &'static str, String)> = Vec::new();
        // The ACS may watch the whole tree.
        let mut known = HashSet::new();
        let mut add = |core: &mut Core, names: &[String], most: usize| {
            for found in core.read(names, most) {
                if known.insert(found.0.clone()) {
                    parameters.push(found);
                }
            }
        };
        let forced = self.tree.forced_inform();
        add(self, &forced, usize::MAX);
        let asked = self.inform_parameters(events);
        add(self, &asked, MAX_INFORM_PARAMETERS);
        add(self, changed, usize::MAX);
        parameters
    }

    /// An Inform of these events and parameters, named as the ACS wants them (I-7).
    pub fn facts_of(
        &mut self,
        events: Vec<rpc::Event>,
        mut parameters: Vec<(String, &'static str, String)>,
    ) -> InformFacts {
        let naming = self.naming();
        self.tree.rename(naming, &mut parameters);
        let now = clock::now();
        InformFacts {
            device_id: self.device.clone(),
            events,
            current_time: match now.clock_set {
                true => clock::local(now.wall, &self.config.root),
                false => clock::UNKNOWN_TIME.to_owned(),
            },
            retry_count: self.schedule.failures(),
            parameters,
        }
    }

    /// How the ACS wants instances named in what it is told (N-12). It holds from the moment it is set.
    fn naming(&mut self) -> Naming {
        const MODE: &str = "Device.ManagementServer.InstanceMode";
        match self.tree.value(MODE).as_deref() {
            Some("InstanceAlias") => Naming::Aliases,
            _ => Naming::AsAsked,
        }
    }

    /// The ACS has set ParameterKey: that is no news to it (I-9).
    fn keyed(&mut self, parameter_key: &str) {
        const NAME: &str = "Device.ManagementServer.ParameterKey";
        self.facts.borrow_mut().parameter_key = parameter_key.to_owned();
        if let Some(print) = self.tree.fingerprint(NAME, parameter_key) {
            self.tree.reported(&[(NAME.to_owned(), print)]);
        }
    }

    /// Makes a batch durable, or nothing of it holds (R-GEN-5).
    pub(super) fn durable(&self, batch: Batch, what: &str) -> Result<(), Fault> {
        self.journal.borrow_mut().promise(batch).map_err(|error| {
            log::error!("{what} is refused, since it cannot be kept: {error}");
            Fault::new(Code::INTERNAL_ERROR, format!("{what} cannot be written to stable storage"))
        })
    }

    /// The CommandKeys of the reboots asked for.
    pub fn reboot_keys(&self) -> Option<Vec<String>> {
        self.journal.borrow().get(REBOOT).and_then(|bytes| serde_json::from_slice(bytes).ok())
    }
}

impl Host for Core {
    fn begin_rpc(&mut self) {
        self.tree.begin_rpc();
    }

    fn values(&mut self, names: &[String]) -> Result<Selection, Fault> {
        let naming = self.naming();
        Ok(self.tree.values(names)?.named(naming))
    }

    fn names(&mut self, path: &str, next_level: bool) -> Result<Selection, Fault> {
        let naming = self.naming();
        Ok(self.tree.names(path, next_level)?.named(naming))
    }

    fn attributes(&mut self, names: &[String]) -> Result<Selection, Fault> {
        let naming = self.naming();
        Ok(self.tree.attributes(names)?.named(naming))
    }

    fn set(&mut self, list: &[ParameterValue], parameter_key: &str) -> Result<Status, Fault> {
        const CREATE: &str = "Device.ManagementServer.AutoCreateInstances";
        let writer = Writer::Acs { parameter_key };
        let status = match self.tree.value(CREATE).as_deref() {
            Some("true") => self.tree.set_creating(list, writer)?,
            _ => self.tree.set(list, writer)?,
        };
        self.note_reboots(list);
        self.note_diagnostics(list);
        self.keyed(parameter_key);
        Ok(status)
    }

    fn add(&mut self, object: &str, parameter_key: &str) -> Result<(u32, Status), Fault> {
        self.room_in_plan(object)?;
        let added = self.tree.add(object, Writer::Acs { parameter_key })?;
        self.keyed(parameter_key);
        Ok(added)
    }

    fn delete(&mut self, object: &str, parameter_key: &str) -> Result<Status, Fault> {
        let status = self.tree.delete(object, Writer::Acs { parameter_key })?;
        self.keyed(parameter_key);
        Ok(status)
    }

    fn set_attributes(&mut self, list: &[SetAttributes]) -> Result<(), Fault> {
        self.tree.set_attributes(list)
    }

    fn reboot(&mut self, command_key: &str) -> Result<(), Fault> {
        let mut keys = self.reboot_keys().unwrap_or_default();
        if keys.len() >= MAX_REBOOTS {
            return Err(Fault::new(Code::REQUEST_DENIED, "too many reboots are due already"));
        }
        keys.push(command_key.to_owned());
        let mut batch = Batch::default();
        batch.put(REBOOT, serde_json::to_vec(&keys).unwrap_or_default());
        self.durable(batch, "the reboot")?;
        self.reboot_due = true;
        Ok(())
    }

    fn factory_reset(&mut self) -> Result<(), Fault> {
        let mut batch = Batch::default();
        batch.put(RESET, "due");
        self.durable(batch, "the factory reset")?;
        self.reset_due = true;
        Ok(())
    }

    fn schedule_inform(&mut self, delay_seconds: u32, command_key: &str) -> Result<(), Fault> {
        let before = self.schedule.clone();
        self.schedule.schedule_inform(delay_seconds, command_key, clock::now())?;
        let mut batch = Batch::default();
        if let Some(record) = self.schedule.record() {
            batch.put(SCHEDULE, record);
        }
        self.durable(batch, "the ScheduleInform").inspect_err(|_| self.schedule = before)
    }

    fn transfer(&mut self, asked: Asked) -> Result<(), Fault> {
        self.ask_transfer(asked).map(drop)
    }

    fn cancel_transfer(&mut self, command_key: &str) -> Result<(), Fault> {
        self.cancel_transfers(command_key)
    }

    fn queued_transfers(&mut self) -> Vec<Queued> {
        self.transfers.queue.queued()
    }

    fn inform(&mut self) -> InformFacts {
        self.tree.begin_rpc();
        if self.heartbeat {
            return self.heartbeat_inform();
        }
        // What is left over is still unreported, and asks for the next session.
        let changed = self.tree.changed(MAX_CHANGED);
        // V-13: the event is there exactly when a change is told. An ACS that was told nothing yet is
        // told no change: the first session may find by which address it is reached, for one.
        match changed.is_empty() || self.queue.contains(events::BOOTSTRAP) {
            true => self.queue.remove(events::VALUE_CHANGE),
            false => self.queue.add(events::VALUE_CHANGE, ""),
        }
        // V-3: only a session that is owed may tell no event. One that a person asked for, or whose
        // change was taken back meanwhile, stands for a periodic one.
        if self.queue.is_empty() && !self.owed {
            self.queue.add(events::PERIODIC, "");
        }
        let events = self.queue.begin_session();
        self.tell_transfers(&events);
        let parameters = self.listed(&events, &changed);
        let watched =
            parameters.iter().filter_map(|p| Some((p.0.clone(), self.tree.fingerprint(&p.0, &p.2)?)));
        self.informed = watched.collect();
        self.facts_of(events, parameters)
    }

    fn inform_delivered(&mut self) {
        let informed = std::mem::take(&mut self.informed);
        self.tree.reported(&informed);
        let mut batch = Batch::default();
        start::answered(self, &mut batch);
        self.records(&mut batch);
        self.trial_answered(batch);
        self.purge_credentials();
    }

    fn next_request(&mut self, namespace: Namespace) -> Option<AgentRequest> {
        if self.heartbeat {
            return None;
        }
        let wanted = self.config.acs.get_rpc_methods && !self.queue.contains(events::BOOTSTRAP);
        // What methods it has says which of the others it is asked.
        let Some(request) = self.acs.next_request(wanted) else {
            return self.next_transfer_request(namespace);
        };
        // On disk before it is sent: an ACS that breaks on it is not asked again by the retry.
        self.keep_records();
        Some(request)
    }

    fn answered(&mut self, request: &AgentRequest, answer: AcsAnswer) {
        self.transfer_answered(request, &answer);
        // An ACS that refuses keeps its methods to itself (R-GRM-3).
        if let AcsAnswer::Response(Response::GetRPCMethods { methods }) = answer {
            self.acs.learn(&methods);
            self.keep_records();
        }
    }
}

/// What was promised before the last process ended and has to be done now.
pub fn promised(core: &mut Core) {
    core.reset_due = core.journal.borrow().get(RESET).is_some();
    core.reboot_due = core.reboot_keys().is_some();
}
