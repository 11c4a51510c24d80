//! Provider `agent`: what the agent knows of itself and no file of the platform tells.

use super::reading::{ReadOnly, Reading};
use super::statistics::sampler::Sampler;
use super::{firmware, gateway};
use crate::diagnostics::board::Board;
use crate::diagnostics::plan::Plan;
use crate::diagnostics::responder::Tally;
use crate::model::handler::{Bell, Ctx, Fields, Handler, Keys, Row, Want};
use crate::sys::clock;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// What the engine tells the tree about the agent. It is filled at start and kept up to date; a
/// reader sees what it holds at that moment.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct AgentFacts {
    /// Who the device is: the same as Inform's DeviceId (I-1), constant for its life.
    pub identity: DeviceIdentity,
    /// ManagementServer.ParameterKey, at most 32 characters.
    pub parameter_key: String,
    /// ManagementServer.ConnectionRequestURL; empty while no port is open (CR-14).
    pub connection_request_url: String,
    /// DeviceInfo.FirstUseDate: when the agent first held a session with its clock set, in seconds
    /// since 1970; `None` while that is unknown.
    pub first_use: Option<i64>,
    /// The agent's own configuration file, the first row of DeviceInfo.VendorConfigFile.
    pub config_file: Option<PathBuf>,
    /// PEM file with the roots it trusts.
    pub ca_file: Option<PathBuf>,
    /// PEM file with its own certificates.
    pub client_certificate: Option<PathBuf>,
    /// The last change that was put back; `None` when none ever was.
    pub rollback: Option<Rollback>,
    /// The platform's commands for its banks.
    pub firmware: firmware::Commands,
    /// Status of the FirmwareImage that a transfer is filling, or failed to fill: one of the standard's
    /// words. It shows where there is a bank to spare.
    pub image_status: Option<&'static str>,
    /// Who the gateway of this device is; empty while it has not said so (F-5); it has no MAC address here.
    pub gateway: gateway::Device,
    /// The devices that said to this gateway who they are (F-4), by MAC address.
    pub devices: Vec<gateway::Device>,
    /// Sources of the platform that are not well, and why.
    pub troubles: Vec<String>,
    /// State and results of tests.
    pub board: Rc<RefCell<Board>>,
    /// Tests that run by themselves.
    pub plan: Rc<RefCell<Plan>>,
    /// What the responder of UDP Echo has counted.
    pub udp_echo: Tally,
    /// What is sampled for Device.PeriodicStatistics.
    pub sampler: Rc<RefCell<Sampler>>,
    /// `log_read` is configured: the system's log is a VendorLogFile.
    pub has_log: bool,
}

/// A change that was put back because the ACS could not be reached with it. Holds no value of any
/// parameter.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rollback {
    /// When, in seconds since 1970; `None` when the clock was not set.
    pub time: Option<i64>,
    /// Why, in words; at most 256 characters.
    pub reason: String,
    /// Full paths of what was put back, rows with their final dot.
    pub parameters: Vec<String>,
    /// How many there were, this one included.
    pub count: u32,
}

/// Who the device is. Every text has at most 64 characters, `description` 256.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DeviceIdentity {
    /// Never empty.
    pub manufacturer: String,
    /// Six hex digits in upper case.
    pub manufacturer_oui: String,
    /// May be empty.
    pub product_class: String,
    /// Never empty.
    pub serial_number: String,
    /// For a person.
    pub model_name: String,
    /// For a person.
    pub description: String,
    /// Never empty.
    pub hardware_version: String,
    /// Never empty.
    pub software_version: String,
}

/// The provider `agent`.
pub fn provider(facts: Rc<RefCell<AgentFacts>>) -> Box<dyn Handler> {
    Box::new(ReadOnly(Box::new(Agent { facts })))
}

struct Agent {
    facts: Rc<RefCell<AgentFacts>>,
}

impl Reading for Agent {
    /// Nobody but the engine changes what it knows, and it looks when it does.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, _: &mut dyn FnMut(Bell)) {}

    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) {}

    fn get(&mut self, _: &Ctx<'_>, _: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let facts = self.facts.borrow();
        let id = &facts.identity;
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Manufacturer" => out.put(i, &id.manufacturer),
                "ManufacturerOUI" => out.put(i, &id.manufacturer_oui),
                "ModelName" => out.put(i, &id.model_name),
                "Description" => out.put(i, &id.description),
                "ProductClass" => out.put(i, &id.product_class),
                "SerialNumber" => out.put(i, &id.serial_number),
                "HardwareVersion" => out.put(i, &id.hardware_version),
                "SoftwareVersion" => out.put(i, &id.software_version),
                "ParameterKey" => out.put(i, &facts.parameter_key),
                "ConnectionRequestURL" => out.put(i, &facts.connection_request_url),
                "FirstUseDate" => {
                    out.put(i, facts.first_use.map_or(clock::UNKNOWN_TIME.to_owned(), clock::utc))
                }
                name => rollback(facts.rollback.as_ref(), name, i, out),
            }
        }
    }
}

/// `X_CWMPD_Rollback.`
fn rollback(last: Option<&Rollback>, name: &str, at: usize, out: &mut Fields) {
    match (name, last) {
        ("Time", last) => {
            let time = last.and_then(|r| r.time);
            out.put(at, time.map_or(clock::UNKNOWN_TIME.to_owned(), clock::utc));
        }
        ("Reason", Some(last)) => out.put(at, &last.reason),
        ("Parameters", Some(last)) => out.put(at, last.parameters.join(",")),
        ("Count", last) => out.put(at, last.map_or(0, |r| r.count).to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe;
    use std::path::Path;

    #[test]
    fn a_reader_sees_what_the_engine_wrote_last() {
        let facts = Rc::new(RefCell::new(AgentFacts::default()));
        let mut agent = provider(facts.clone());
        let read = |agent: &mut dyn Handler, path, name| {
            probe::get(agent, Path::new("/"), path, &[], &[name])[name].clone()
        };
        assert_eq!(read(&mut *agent, "Device.DeviceInfo.", "FirstUseDate"), clock::UNKNOWN_TIME);
        assert_eq!(read(&mut *agent, "Device.ManagementServer.", "ConnectionRequestURL"), "");
        facts.borrow_mut().parameter_key = "k1".into();
        facts.borrow_mut().identity.manufacturer_oui = "000DB9".into();
        facts.borrow_mut().first_use = Some(1_700_000_000);
        assert_eq!(read(&mut *agent, "Device.ManagementServer.", "ParameterKey"), "k1");
        assert_eq!(read(&mut *agent, "Device.DeviceInfo.", "ManufacturerOUI"), "000DB9");
        assert_eq!(read(&mut *agent, "Device.DeviceInfo.", "FirstUseDate"), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn the_last_rollback() {
        let facts = Rc::new(RefCell::new(AgentFacts::default()));
        let mut agent = provider(facts.clone());
        let mut read = || {
            let (path, names) = ("Device.X_CWMPD_Rollback.", ["Time", "Reason", "Parameters", "Count"]);
            let values = probe::get(&mut *agent, Path::new("/"), path, &[], &names);
            names.map(|name| values.get(name).cloned().unwrap_or_default())
        };
        assert_eq!(read(), [clock::UNKNOWN_TIME, "", "", "0"]);
        facts.borrow_mut().rollback = Some(Rollback {
            time: Some(1_700_000_000),
            reason: "silence".into(),
            parameters: vec!["Device.A".into(), "Device.B.1.".into()],
            count: 2,
        });
        assert_eq!(read(), ["2023-11-14T22:13:20Z", "silence", "Device.A,Device.B.1.", "2"]);
    }
}
