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
#[path = "../tests/files/mod.rs"]
mod files;

use acs::{Acs, Fault, Options, Session, Transfer};
use daemon::Daemon;
use files::{Files, Manner};
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// The key that images of this device are signed with, as `usign` and `signify` write it.
const VENDOR_KEY: &str = "RWQTaY96AKG0RajS5qqHfA81FOfNvVNaLGue99YhKsw/tt/PAjSwaNw3";
/// What it says of the image below; its secret half is not kept.
const SIGNATURE: &str = "untrusted comment: signed by the quickstart's vendor\n\
    RWQTaY96AKG0RYSTz0enz6NHRF6e2QXqXQC9voEFxhdf+hlJL3Vl9Wx+FFGcQ083L5mmnL35XCD4GbaeJcqJ3H1KlsYWW7nndQs=\n";
const IMAGE_SHA256: &str = "95582bba68136286e4c0b25238702371464ca981f0a288896a839eddb93c5d53";
/// In place of a flash: writes down what it was given, and has the next boot say another version. The new firmware
/// has a mistake, too: it was built without the credentials of connection requests.
const RECORDER: &str = "cp \"$1\" \"$2/flashed.new\"\n\
    sed -e 's/^software_version = .*/software_version = \"2.0.0\"/' -e '/^username = /d' -e '/^password = /d' \\\n\
    \"$2/cwmpd.toml\" > \"$2/new.toml\"\n\
    mv \"$2/new.toml\" \"$2/cwmpd.toml\"\n\
    mv \"$2/flashed.new\" \"$2/flashed\"\n";
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

/// A small image, the same each time: it is signed.
fn image() -> Vec<u8> {
    let mut text = "cwmpd quickstart image, version 2.0.0\n".to_string();
    for n in 0..400 {
        text += &format!("block {n:04}: all of this is what a router would flash\n");
    }
    text.into_bytes()
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
    let mut agent = Daemon::new(this_program, "quickstart", &first_values, "");
    let folder = agent.folder.0.display().to_string();
    fs::write(format!("{folder}/recorder"), RECORDER).expect("a script");
    agent.configure(
        &first_values,
        &format!(
            "[device]\nsoftware_version = \"1.0.0\"\n\
             [connection_request]\nlisten = \"127.0.0.1:0\"\nusername = \"acs\"\npassword = \"quickstart\"\n\
             [transfer]\ntrusted_keys = [\"{VENDOR_KEY}\"]\n\
             [commands]\nreboot = []\nfactory_reset = []\n\
             firmware_apply = [\"sh\", \"{folder}/recorder\", \"{{file}}\", \"{folder}\"]"
        ),
    );
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

    step(7, "Firmware: Download, verified, flashed, booted, and told");
    let files = Files::start();
    firmware(&acs, &files, &mut agent, &folder)?;

    step(8, "The ACS can call it no more, and asks for diagnoses");
    let url = diagnoses(&acs, &files, &agent, &url)?;

    step(9, "A change solves it: SetParameterValues, and the same diagnosis again");
    solution(&acs, &agent, &url)?;

    step(10, "The agent says how it goes: cwmpd status");
    agent.wait_for("end of the session", || agent.ask(&["status"]).contains("6 CONNECTION REQUEST"));
    for line in agent.ask(&["status"]).lines() {
        tell(line);
    }
    let took = agent.stop();
    println!("\nSIGTERM: ended in {} ms. That was the story.", took.as_millis());
    Ok(())
}

/// The ACS has a new image, and the agent makes use of it.
fn firmware(acs: &Acs, files: &Files, agent: &mut Daemon, folder: &str) -> Result<(), Fault> {
    let image = image();
    let url = files.put("/image", &*image);
    files.put("/image.sig", SIGNATURE);
    files.always("/image", Manner::Gate(image.len() as u64 / 2));
    agent.ask(&["inform"]);
    let mut session = acs.next_session(PATIENCE);
    let url = format!("{url}#sha256={IMAGE_SHA256}");
    let download = Transfer::new("upgrade-1", "1 Firmware Upgrade Image", &url);
    session.download(&download)?;
    tell(format!("Download, CommandKey upgrade-1: Status 1; {} bytes, SHA-256 in the URL", image.len()));
    session.end();
    files.wait_at_gate("/image", PATIENCE);
    let half = format!("{} bytes", image.len() / 2);
    tell(format!("the file server holds it at {half}; cwmpd transfers:"));
    for line in agent.ask(&["transfers"]).lines() {
        tell(format!("  {line}"));
    }
    files.open("/image");
    agent.wait_for("flashed image", || fs::metadata(format!("{folder}/flashed")).is_ok());
    let same = fs::read(format!("{folder}/flashed")).is_ok_and(|flashed| flashed == image);
    tell(format!("length, hash and signature were good; firmware_apply was given the same bytes: {same}"));
    agent.reboot();
    tell("the device boots the new image");
    agent.start();
    let mut session = acs.next_session(PATIENCE);
    tell(format!("Inform: {}", events(&session)));
    let version = session.inform.value("Device.DeviceInfo.SoftwareVersion").unwrap_or_default();
    tell(format!("Device.DeviceInfo.SoftwareVersion = {version}"));
    for told in session.completes() {
        tell(format!(
            "TransferComplete: CommandKey {}, FaultCode {}{}, {} to {}",
            told.command_key, told.code, told.text, told.start_time, told.complete_time
        ));
    }
    session.end();
    Ok(())
}

/// One test: its arguments and the request, and in the session of `8 DIAGNOSTICS COMPLETE` its results.
fn diagnosis(
    acs: &Acs,
    agent: &Daemon,
    object: &str,
    arguments: &[(&str, &str, &str)],
    results: &[&str],
) -> Result<Vec<String>, Fault> {
    agent.ask(&["inform"]);
    let mut session = acs.next_session(PATIENCE);
    let state = format!("{object}DiagnosticsState");
    let names: Vec<String> = arguments.iter().map(|(name, ..)| format!("{object}{name}")).collect();
    let mut values: Vec<(&str, &str, &str)> =
        names.iter().zip(arguments).map(|(name, (_, kind, value))| (&name[..], *kind, *value)).collect();
    values.push((&state, "xsd:string", "Requested"));
    session.set(&values, "diagnosis-1")?;
    session.end();
    let mut session = acs.next_session(PATIENCE);
    let mut found = vec![session.value(&state)?];
    tell(format!("{object} Inform: {}; DiagnosticsState = {}", events(&session), found[0]));
    for name in results {
        found.push(session.value(&format!("{object}{name}"))?);
    }
    session.end();
    Ok(found)
}

const SELF_TEST: &str = "Device.SelfTestDiagnostics.";

/// What does not go wrong, and what does. The URL of connection requests, which is another one since the boot.
fn diagnoses(acs: &Acs, files: &Files, agent: &Daemon, url: &str) -> Result<String, Fault> {
    agent.ask(&["inform"]);
    let mut session = acs.next_session(PATIENCE);
    let url = session.value("Device.ManagementServer.ConnectionRequestURL").unwrap_or(url.to_owned());
    session.end();
    tell(format!("a connection request: HTTP {}", acs.connection_request(&url, "acs", "quickstart")));

    let arguments = [("Host", "xsd:string", "127.0.0.1"), ("NumberOfRepetitions", "xsd:unsignedInt", "5")];
    let names = ["SuccessCount", "FailureCount", "AverageResponseTimeDetailed"];
    let found = diagnosis(acs, agent, "Device.IP.Diagnostics.IPPing.", &arguments, &names)?;
    if let [_, good, bad, average] = &found[..] {
        tell(format!("  {good} answers, {bad} lost, {average} µs on average"));
    }

    let whole = files.put("/speed", vec![0x5a; 8 << 20]);
    let arguments = [("DownloadURL", "xsd:string", &whole[..])];
    let names = ["TestBytesReceived", "BOMTime", "EOMTime"];
    let found = diagnosis(acs, agent, "Device.IP.Diagnostics.DownloadDiagnostics.", &arguments, &names)?;
    if let [_, bytes, from, to] = &found[..] {
        tell(format!("  {bytes} bytes from {from} to {to}"));
    }

    for line in diagnosis(acs, agent, SELF_TEST, &[], &["Results"])?[1].lines() {
        tell(format!("  {line}"));
    }
    Ok(url)
}

/// What was missing is set, and is there.
fn solution(acs: &Acs, agent: &Daemon, url: &str) -> Result<(), Fault> {
    agent.ask(&["inform"]);
    let mut session = acs.next_session(PATIENCE);
    session.set(
        &[
            ("Device.ManagementServer.ConnectionRequestUsername", "xsd:string", "acs"),
            ("Device.ManagementServer.ConnectionRequestPassword", "xsd:string", "quickstart"),
        ],
        "config-5",
    )?;
    session.end();
    let lines = diagnosis(acs, agent, SELF_TEST, &[], &["Results"])?;
    for line in lines[1].lines().filter(|line| line.contains("connection request")) {
        tell(format!("  {line}"));
    }
    tell(format!("a connection request: HTTP {}", acs.connection_request(url, "acs", "quickstart")));
    let session = acs.next_session(PATIENCE);
    tell(format!("Inform: {}", events(&session)));
    session.end();
    Ok(())
}
