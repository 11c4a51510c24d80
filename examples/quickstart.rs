//! The story of one agent and one ACS, on loopback, with the real daemon and this machine's own data:
//!
//!     cargo run --release --example quickstart
//!
//! The ACS is the small scripted one of the tests. The agent is this same program started with the
//! words of `cwmpd`'s command line, so it is the real daemon in a process of its own. Everything
//! happens in a temporary folder; nothing on the machine is changed.

#[path = "../tests/acs/mod.rs"]
mod acs;
#[allow(dead_code)]
#[path = "../tests/daemon/mod.rs"]
mod daemon;

use acs::{Acs, Fault, Options, Session};
use daemon::Daemon;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const PROVISIONING_CODE: &str = "Device.DeviceInfo.ProvisioningCode";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.peek().is_some() {
        return cwmpd::cli::main(words).into();
    }
    match story() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("the agent answered with a fault: {fault:?}");
            ExitCode::FAILURE
        }
    }
}

/// A heading of the story.
fn step(number: u32, what: &str) {
    println!("\n{number}. {what}");
}

/// A line below it.
fn tell(what: impl std::fmt::Display) {
    println!("   {what}");
}

fn events(session: &Session) -> String {
    session.inform.codes().join(", ")
}

fn story() -> Result<(), Fault> {
    println!("cwmpd {}: one agent, one ACS, on loopback", env!("CARGO_PKG_VERSION"));

    step(1, "The agent boots and informs the ACS");
    let acs = Acs::start(Options::default());
    let this_program = std::env::current_exe().expect("the path of this program");
    let first_values = format!("url = \"{}\"\nperiodic_inform_interval = 3600", acs.url());
    let door =
        "[connection_request]\nlisten = \"127.0.0.1:0\"\nusername = \"acs\"\npassword = \"quickstart\"";
    let mut agent = Daemon::new(this_program, "quickstart", &first_values, door);
    let since = Instant::now();
    agent.start();
    let mut session = acs.next_session(PATIENCE);
    tell(format!("Inform after {} ms: {}", since.elapsed().as_millis(), events(&session)));
    let inform = &session.inform;
    tell(format!(
        "DeviceId: Manufacturer {}, OUI {}, ProductClass {}, SerialNumber {}",
        inform.manufacturer, inform.oui, inform.product_class, inform.serial_number
    ));
    for name in ["Device.DeviceInfo.SoftwareVersion", "Device.DeviceInfo.HardwareVersion"] {
        tell(format!("{name} = {}", inform.value(name).unwrap_or_default()));
    }
    let url = inform.value("Device.ManagementServer.ConnectionRequestURL").unwrap_or_default().to_owned();

    step(2, "The ACS configures it: SetParameterValues, SetParameterAttributes, AddObject");
    let status = session.set(
        &[
            (PROVISIONING_CODE, "xsd:string", "quickstart.gold"),
            ("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "900"),
        ],
        "config-1",
    )?;
    tell(format!("SetParameterValues, ParameterKey config-1: Status {status}"));
    let (row, status) = session.add("Device.ManagementServer.InformParameter.", "config-2")?;
    tell(format!("AddObject Device.ManagementServer.InformParameter.: instance {row}, Status {status}"));
    let row = format!("Device.ManagementServer.InformParameter.{row}.");
    session.set(
        &[
            (&format!("{row}ParameterName"), "xsd:string", "Device.DeviceInfo.UpTime"),
            (&format!("{row}EventList"), "xsd:string", "6 CONNECTION REQUEST"),
            (&format!("{row}Enable"), "xsd:boolean", "1"),
        ],
        "config-3",
    )?;
    tell("from now on each Inform with 6 CONNECTION REQUEST shows Device.DeviceInfo.UpTime");
    let refused = session.set(&[("Device.DeviceInfo.SerialNumber", "xsd:string", "mine")], "config-4");
    if let Err(fault) = refused {
        tell(format!("a read-only parameter is refused: fault {} {}", fault.code, fault.text));
    }

    step(3, "It reads the whole tree: GetParameterValues Device.");
    let since = Instant::now();
    let read = session.get_count(&["Device."]);
    let took = since.elapsed();
    tell(format!(
        "{} values of this machine, {} KB of XML, in {:.1} ms: {:.1} µs a value",
        read.values,
        read.bytes / 1000,
        took.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e6 / read.values.max(1) as f64
    ));
    let names = session.names("Device.", false)?;
    let objects = names.iter().filter(|(name, _)| name.ends_with('.')).count();
    tell(format!("GetParameterNames lists {} objects and {} parameters", objects, names.len() - objects));
    session.end();

    step(4, "The ACS calls: a connection request");
    let wrong = acs.connection_request(&url, "acs", "wrong");
    tell(format!("with a wrong password: HTTP {wrong}"));
    let right = acs.connection_request(&url, "acs", "quickstart");
    tell(format!("with the right one: HTTP {right}"));
    let session = acs.next_session(PATIENCE);
    tell(format!("Inform: {}", events(&session)));
    tell(format!(
        "Device.DeviceInfo.UpTime = {}",
        session.inform.value("Device.DeviceInfo.UpTime").unwrap_or_default()
    ));
    session.end();

    step(5, "Somebody at the device changes a value with active notification");
    agent.ask(&["set", &format!("{PROVISIONING_CODE}=changed.at.the.device")]);
    tell(format!("cwmpd set {PROVISIONING_CODE}=changed.at.the.device"));
    let session = acs.next_session(PATIENCE);
    tell(format!(
        "Inform: {}; {PROVISIONING_CODE} = {}",
        events(&session),
        session.inform.value(PROVISIONING_CODE).unwrap_or_default()
    ));
    session.end();

    step(6, "The power is cut, and comes back");
    agent.reboot();
    tell("kill -9, and an empty run folder, as after a reboot");
    agent.start();
    let mut session = acs.next_session(PATIENCE);
    tell(format!("Inform: {}", events(&session)));
    for name in [
        PROVISIONING_CODE,
        "Device.ManagementServer.PeriodicInformInterval",
        "Device.ManagementServer.ParameterKey",
        &format!("{row}ParameterName"),
    ] {
        tell(format!("{name} = {}", session.value(name)?));
    }
    session.end();

    step(7, "The agent says how it goes: cwmpd status");
    agent.wait_for("end of the session", || agent.ask(&["status"]).contains("1 BOOT"));
    for line in agent.ask(&["status"]).lines() {
        tell(line);
    }
    let took = agent.stop();
    println!("\nSIGTERM: ended in {} ms. That was the story.", took.as_millis());
    Ok(())
}
