//! How the engine begins: tree, identity, events of the boot; and what it derives from configuration
//! and settings for the others (client options, the connection-request door, the schedule).

use super::acs::{Acs, KNOWN};
use super::boot::{self, Marker};
use super::diagnostics::Diagnostics;
use super::discovery::Discovery;
use super::door::Door;
use super::fallback::{Fallback, Next};
use super::host::{ACS, Core, NEW_ACS, QUEUE, REBOOT, RESET, SCHEDULE, promised};
use super::judge::{judge, together};
use super::settings::{self, Settings};
use super::transfers::Transfers;
use super::trial::{self, Trials};
use super::udpecho::UdpEcho;
use crate::config::{Config, Transfer, expand};
use crate::cwmp::events::{self, Queue};
use crate::cwmp::inform::default_username;
use crate::cwmp::reboots::Reboots;
use crate::cwmp::rpc::DeviceId;
use crate::cwmp::schedule::Schedule;
use crate::handlers::agent::{AgentFacts, DeviceIdentity};
use crate::model::fault::Code;
use crate::model::request::ParameterValue;
use crate::model::tree::{Tree, Writer};
use crate::model::{builtin, overlay};
use crate::net::client::Options;
use crate::net::coding::Coding;
use crate::state::journal::{Batch, Journal};
use crate::sys::clock::{self, Now};
use crate::{handlers, sys};
use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Journal key of the connection-request path.
const PATH: &str = "b/path";
/// Journal key of the time of the first session, seconds since 1970.
const FIRST_USE: &str = "b/first-use";
/// Journal key of the local address by which the ACS was last reached.
const LOCAL: &str = "b/local";

/// What opening found.
pub struct Opening {
    pub door: Door,
    pub notes: Vec<String>,
    pub overlay_problems: Vec<String>,
}

/// A random number for waits and phases; not a secret.
pub fn random() -> u32 {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return clock::now().mono.subsec_nanos();
    }
    u32::from_le_bytes(bytes)
}

/// Opens everything: schema with overlays, handlers, tree (which puts right what the last process
/// left), identity, first values, events.
pub fn open(config: Config, config_path: &Path, journal: Journal) -> (Core, Opening) {
    let mut notes: Vec<String> = journal.health().into_iter().collect();
    for note in &notes {
        log::error!("{note}");
    }
    let (schema, problems) = overlay::load(builtin::builtin(), &config.overlay_dir);
    let overlay_problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for problem in &overlay_problems {
        log::error!("overlay refused: {problem}");
    }
    let journal = Rc::new(RefCell::new(journal));
    let facts = Rc::new(RefCell::new(AgentFacts {
        config_file: Some(config_path.to_owned()),
        ..AgentFacts::default()
    }));
    let around = handlers::Around {
        platform: config.platform,
        ubus: config.ubus(),
        run_dir: Some(config.run_dir.clone()),
    };
    let handlers = handlers::all(around, facts.clone());
    let (tree, said) = Tree::open(schema, config.platform, config.root.clone(), journal.clone(), handlers);
    for note in &said {
        log::warn!("{note}");
    }
    notes.extend(said);
    let queue = Queue::from_record(journal.borrow().text(QUEUE).unwrap_or_default());
    let acs = Acs::from_record(journal.borrow().text(KNOWN).unwrap_or_default());
    let mut core = Core {
        device: DeviceId::default(),
        queue,
        schedule: Schedule::default(),
        reboots: Reboots::default(),
        settings: Settings::default(),
        acs,
        local: None,
        informed: Vec::new(),
        owed: false,
        heartbeat: false,
        reboot_due: false,
        reset_due: false,
        trials: Trials::default(),
        transfers: Transfers::default(),
        fallback: Fallback::default(),
        discovery: Discovery::default(),
        diagnostics: Diagnostics::new(&overlay_problems),
        udp_echo: UdpEcho::default(),
        config,
        journal,
        tree,
        facts,
    };
    let mut door = Door { address: None, path: String::new() };
    notes.extend(begin(&mut core, &mut door));
    (core, Opening { door, notes, overlay_problems })
}

/// Begins anew in the same process after a factory reset: the state is empty but for the identity.
pub fn again(core: &mut Core, door: &mut Door) -> Vec<String> {
    let (marker, _) = Marker::look(&core.config.run_dir);
    marker.remove();
    core.tree.forget();
    core.queue = Queue::default();
    core.fallback = Fallback::default();
    core.discovery = Discovery::default();
    core.acs = Acs::default();
    core.end_transfers();
    door.path.clear();
    begin(core, door)
}

fn begin(core: &mut Core, door: &mut Door) -> Vec<String> {
    let mut notes = Vec::new();
    identify(core);
    core.tree.salt(boot::salt(&mut core.journal.borrow_mut()));
    core.settings = Settings::read(&mut core.tree);
    trial::open(core, clock::now());
    let refused = core.trials.refused.clone();
    core.tree.judge_with(move |tree, name, value| judge(tree, name, value, &refused.borrow()));
    core.tree.judge_together_with(together);
    take_first_values(core);
    core.follow_leases();
    core.follow_statistics(clock::now());
    core.follow_udp_echo();
    core.follow_plan(clock::now(), true);
    door.path = random_path_kept(core);
    // A daemon that was restarted may have no session for a day, and can be called all the same.
    core.local = core.local.or_else(|| core.journal.borrow().text(LOCAL)?.parse().ok());
    core.settings = Settings::read(&mut core.tree);
    core.acs.meet(&core.settings.url);
    let (marker, is_boot) = Marker::look(&core.config.run_dir);
    let record = core.journal.borrow().text(SCHEDULE).unwrap_or_default().to_owned();
    core.schedule = Schedule::from_record(&record, is_boot, core.settings.schedule(), clock::now(), random());
    core.begin_reboots(is_boot);
    if is_boot {
        booted(core);
    } else {
        promised(core);
    }
    core.begin_transfers(is_boot);
    core.take_up_diagnoses(is_boot);
    bootstrap_if_new(core);
    if let Err(error) = marker.leave() {
        notes.push(format!("the run folder cannot be written, every start will be a boot: {error}"));
    }
    notes
}

/// Events of a boot, on disk before the marker is left (V-11, V-19, R-SYS-2).
fn booted(core: &mut Core) {
    core.queue.boot();
    for key in core.reboot_keys().unwrap_or_default() {
        core.queue.add(events::M_REBOOT, &key);
    }
    let mut batch = Batch::default();
    core.records(&mut batch);
    batch.delete(REBOOT);
    core.keep(batch);
    // A reset that was promised and cut off by the power is done now.
    core.reset_due = core.journal.borrow().get(RESET).is_some();
}

/// Whether the ACS of the present URL knows the device, or `0 BOOTSTRAP` waits to be told to it.
pub fn bootstrapped(core: &Core) -> bool {
    let (journal, url) = (core.journal.borrow(), core.settings.url.as_str());
    journal.text(NEW_ACS).or(journal.text(ACS)) == Some(url)
}

/// A first contact, or a changed URL: `0 BOOTSTRAP` (V-8). What belongs to the former ACS is set aside
/// until the new one has answered; when the URL is the former one again by then, it is told as ever.
pub fn bootstrap_if_new(core: &mut Core) {
    if core.settings.url.is_empty() || bootstrapped(core) {
        return;
    }
    let mut batch = Batch::default();
    if core.journal.borrow().text(ACS) == Some(core.settings.url.as_str()) {
        core.queue.withdraw_bootstrap();
        batch.delete(NEW_ACS);
    } else {
        core.queue.add(events::BOOTSTRAP, "");
        batch.put(NEW_ACS, core.settings.url.as_bytes());
    }
    core.records(&mut batch);
    core.keep(batch);
}

/// The ACS has answered the Inform: what it said is delivered (V-23). With `0 BOOTSTRAP` it is the ACS
/// from now on, and what the former one had asked for is discarded (V-9, R-SYS-5).
pub fn answered(core: &mut Core, batch: &mut Batch) {
    let bootstrap = core.queue.delivered();
    core.acs.answered(bootstrap);
    if bootstrap {
        core.schedule.forget_scheduled();
        core.forget_transfers();
        let url = core.journal.borrow().text(NEW_ACS).map_or(core.settings.url.clone(), str::to_owned);
        batch.put(ACS, url);
        batch.delete(NEW_ACS);
    }
    if core.fallback.answered() {
        log::info!("{} answers again and is the ACS in use", core.fallback.asked());
    }
}

/// Who a device is that was never started: what the configuration says, and else the platform.
pub fn device_id(config: &Config, found: &DeviceIdentity) -> DeviceId {
    let device = &config.device;
    let pick = |own: &Option<String>, found: &str| own.clone().unwrap_or_else(|| found.to_owned());
    DeviceId {
        manufacturer: pick(&device.manufacturer, &found.manufacturer),
        oui: pick(&device.manufacturer_oui, &found.manufacturer_oui),
        product_class: pick(&device.product_class, &found.product_class),
        serial_number: pick(&device.serial_number, &found.serial_number),
    }
}

fn identify(core: &mut Core) {
    let device = &core.config.device;
    let found = handlers::linux::identity::resolve(&core.config.root);
    core.device = boot::identity(&mut core.journal.borrow_mut(), || device_id(&core.config, &found));
    let pick = |own: &Option<String>, found: &str| own.clone().unwrap_or_else(|| found.to_owned());
    let mut facts = core.facts.borrow_mut();
    facts.identity = DeviceIdentity {
        manufacturer: core.device.manufacturer.clone(),
        manufacturer_oui: core.device.oui.clone(),
        product_class: core.device.product_class.clone(),
        serial_number: core.device.serial_number.clone(),
        // An upgrade changes these two: they are found out at every start.
        software_version: pick(&device.software_version, &found.software_version),
        hardware_version: pick(&device.hardware_version, &found.hardware_version),
        ..found
    };
    settings::tell_commands(&core.config, &mut facts);
    facts.ca_file = core.config.acs.ca_file.clone();
    facts.client_certificate = core.config.acs.client_certificate.clone();
    facts.parameter_key = core.journal.borrow().text("k").unwrap_or_default().to_owned();
    facts.first_use = core.journal.borrow().text(FIRST_USE).and_then(|text| text.parse().ok());
}

fn take_first_values(core: &mut Core) {
    let file = core.config.first_values();
    let (fresh, mut batch) = boot::first_values(&core.journal.borrow(), &file);
    // How an ACS that once answered is reached goes on trial, as any other change of it.
    let knows_acs = core.journal.borrow().get(ACS).is_some();
    let (tried, plain): (Vec<_>, Vec<_>) =
        fresh.into_iter().partition(|(path, _)| knows_acs && trial::REACHES_ACS.contains(path));
    let again = tried.iter().any(|(path, _)| core.trials.has(path));
    let mut stored = plain;
    if !tried.is_empty() {
        let entry = |(name, value): &(&str, &str)| ParameterValue {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            xsi_type: None,
        };
        let list: Vec<ParameterValue> = tried.iter().map(entry).collect();
        match core.tree.set(&list, Writer::Local) {
            Ok(_) => {}
            Err(fault) if fault.parameters.iter().any(|p| p.code == Code::INVALID_VALUE) => {
                log::warn!("the configuration file's ACS is not taken over now: {fault}");
                batch.ops.retain(|(key, _)| !tried.iter().any(|(path, _)| key.ends_with(path)));
            }
            // The ACS keeps others from these, but not the file.
            Err(_) => stored.extend(tried),
        }
    }
    if !stored.is_empty()
        && let Err(fault) = core.tree.store(&stored)
    {
        log::error!("first values of the configuration file: {fault}");
        return;
    }
    core.keep(batch);
    core.follow_trial(again);
}

fn random_path_kept(core: &Core) -> String {
    if let Some(path) = core.journal.borrow().text(PATH) {
        return path.to_owned();
    }
    let path = boot::random_path();
    let mut batch = Batch::default();
    batch.put(PATH, path.as_bytes());
    core.keep(batch);
    path
}

/// A session succeeded: the first one with the clock set is the device's first use.
pub fn note_first_use(core: &mut Core, now: Now) {
    if now.clock_set && core.facts.borrow().first_use.is_none() {
        core.facts.borrow_mut().first_use = Some(now.wall);
        let mut batch = Batch::default();
        batch.put(FIRST_USE, now.wall.to_string());
        core.keep(batch);
    }
}

/// A configuration that was read again: what can change while running changes. The note says that
/// something waits for a restart: the paths that folders and tables were opened by stay in force.
pub fn reconfigure(core: &mut Core, config: Config) -> Option<String> {
    crate::logging::set(&config.log);
    let old = &core.config;
    let taken = Config {
        platform: old.platform,
        state_dir: old.state_dir.clone(),
        run_dir: old.run_dir.clone(),
        root: old.root.clone(),
        overlay_dir: old.overlay_dir.clone(),
        ubus_socket: old.ubus_socket.clone(),
        transfer: Transfer {
            // Files lie there that transfers go on with.
            download_dir: old.transfer.download_dir.clone(),
            ..config.transfer.clone()
        },
        ..config.clone()
    };
    let waits = taken != config;
    core.config = taken;
    trial::switch(core);
    // Versions may be told anew; who the device is was journaled once and for all.
    identify(core);
    take_first_values(core);
    core.judge_leases();
    waits
        .then(|| "platform, root and folders of the new configuration hold from the next start on".to_owned())
}

/// Tells the schedule what ManagementServer says.
pub fn schedule_settings(core: &mut Core) {
    let settings = core.settings.schedule();
    if !settings.heartbeat_enable {
        core.queue.remove(events::HEARTBEAT);
    }
    core.schedule.set(settings, clock::now(), random());
}

/// The name that the ACS is given: ManagementServer.Username, or the standard's default (S-14).
pub fn username(core: &Core) -> String {
    match core.settings.username.is_empty() {
        true => default_username(&core.device),
        false => core.settings.username.clone(),
    }
}

/// Chooses the ACS of the session that begins; a heartbeat goes to the one in use.
pub fn choose_acs(core: &mut Core, now: Now, heartbeat: bool) {
    let acs = &core.config.acs;
    core.fallback.set(&core.settings.url, &acs.fallback_urls, acs.fallback_after);
    if !heartbeat {
        core.fallback.begin(now.mono, core.trials.has_acs());
    }
}

/// The session failed. True when the next is due at once.
pub fn acs_failed(core: &mut Core, answered: bool) -> bool {
    match core.fallback.failed(answered) {
        Next::Same => false,
        Next::Moved => {
            log::warn!("the next session is tried with {}", core.fallback.asked());
            false
        }
        Next::AtOnce => {
            log::info!("the first ACS does not answer; {} stays in use", core.fallback.asked());
            true
        }
    }
}

/// What the client of the next session is told.
pub fn client_options(core: &Core, now: Now) -> Options {
    let acs = &core.config.acs;
    let settings = &core.settings;
    Options {
        url: core.fallback.asked().to_owned(),
        username: username(core),
        password: settings.password.clone(),
        ca_file: acs.ca_file.clone(),
        client_certificate: acs.client_certificate.clone().zip(acs.client_key.clone()),
        bind_interface: acs.bind_interface.clone(),
        basic_over_http: acs.basic_over_http,
        clock_set: now.clock_set,
        compression: Coding::of_parameter(&settings.compression),
        user_agent: concat!("cwmpd/", env!("CARGO_PKG_VERSION")).to_owned(),
        timeouts: acs.timeouts(),
    }
}

/// The ACS is reached by this local address: the next start listens there at once.
pub fn keep_local(core: &Core, local: IpAddr) {
    let text = local.to_string();
    if core.journal.borrow().text(LOCAL) != Some(text.as_str()) {
        let mut batch = Batch::default();
        batch.put(LOCAL, text);
        core.keep(batch);
    }
}

/// How long a command may take before the agent goes on without it.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// Boots the device. True when the command ended well.
pub fn reboot(core: &Core, command_key: &str) -> bool {
    let argv = &core.config.commands.reboot;
    let (marker, _) = Marker::look(&core.config.run_dir);
    if argv.is_empty() {
        return false;
    }
    // The next start is the boot that was asked for, also where `run_dir` and boot id outlive it (a
    // container): else it would find the reboot still due, and boot again, for ever.
    marker.remove();
    let done = command(core, argv, "reboot", command_key);
    if !done && let Err(error) = marker.leave() {
        log::error!("the run folder cannot be written, the next start will be a boot: {error}");
    }
    done
}

/// Runs one of `[commands]` to its end; an empty vector means there is nothing to run. True when it
/// ended well.
pub fn command(core: &Core, argv: &[String], what: &str, command_key: &str) -> bool {
    if argv.is_empty() {
        return false;
    }
    command_for(core, argv, what, &[("command_key", command_key)])
}

/// The same, with words of its own.
pub fn command_for(core: &Core, argv: &[String], what: &str, own: &[(&str, &str)]) -> bool {
    let (state_dir, run_dir) =
        (core.config.state_dir.to_string_lossy(), core.config.run_dir.to_string_lossy());
    let folders = [("state_dir", &*state_dir), ("run_dir", &*run_dir)];
    match sys::command::run(&expand(argv, &[&folders, own].concat()), COMMAND_DEADLINE, None) {
        Ok(()) => true,
        Err(error) => {
            log::error!("commands.{what}: {error}");
            false
        }
    }
}
