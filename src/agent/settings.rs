//! What the engine itself reads from the tree: the values of ManagementServer that steer it.

use crate::config::{Config, expand};
use crate::cwmp::schedule;
use crate::handlers::agent::AgentFacts;
use crate::handlers::firmware;
use crate::model::tree::Tree;
use crate::sys::clock;

/// `Device.ManagementServer.` as the engine uses it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub enable_cwmp: bool,
    pub url: String,
    pub username: String,
    pub password: String,
    /// `Disabled`, `GZIP` or `Deflate`.
    pub compression: String,
    pub periodic_enable: bool,
    /// Seconds, at least 1.
    pub periodic_interval: u32,
    /// Seconds since 1970; `None` for Unknown Time: any phase.
    pub periodic_time: Option<i64>,
    /// Seconds, 1 to 65535.
    pub retry_minimum_wait: u32,
    /// Thousandths, 1000 to 65535.
    pub retry_multiplier: u32,
    pub request_enable: bool,
    pub request_username: String,
    pub request_password: String,
    /// Seconds, at least 30; `None` while heartbeats are off.
    pub heartbeat: Option<u32>,
    /// Seconds since 1970; `None` for Unknown Time: any phase.
    pub heartbeat_time: Option<i64>,
    /// DefaultActiveNotificationThrottle, seconds.
    pub throttle: u32,
    /// Seconds; `None` for no reboot.
    pub delay_reboot: Option<u32>,
    /// Seconds since 1970; `None` for no reboot.
    pub schedule_reboot: Option<i64>,
}

impl Settings {
    /// Reads them afresh.
    pub fn read(tree: &mut Tree) -> Settings {
        tree.begin_rpc();
        let mut text =
            |name: &str| tree.value(&format!("Device.ManagementServer.{name}")).unwrap_or_default();
        let number = |text: String, default: u32| text.parse().unwrap_or(default);
        let time = |text: String| clock::known(&text);
        Settings {
            enable_cwmp: text("EnableCWMP") != "false",
            url: text("URL"),
            username: text("Username"),
            password: text("Password"),
            compression: text("HTTPCompression"),
            periodic_enable: text("PeriodicInformEnable") == "true",
            periodic_interval: number(text("PeriodicInformInterval"), 86_400).max(1),
            periodic_time: time(text("PeriodicInformTime")),
            retry_minimum_wait: number(text("CWMPRetryMinimumWaitInterval"), 5).clamp(1, 65_535),
            retry_multiplier: number(text("CWMPRetryIntervalMultiplier"), 2000).clamp(1000, 65_535),
            request_enable: text("HTTPConnectionRequestEnable") != "false",
            request_username: text("ConnectionRequestUsername"),
            request_password: text("ConnectionRequestPassword"),
            heartbeat: (text("HeartbeatPolicy.Enable") == "true")
                .then(|| number(text("HeartbeatPolicy.ReportingInterval"), 3600)),
            heartbeat_time: time(text("HeartbeatPolicy.InitiationTime")),
            throttle: number(text("DefaultActiveNotificationThrottle"), 0),
            // -1 is no number of seconds.
            delay_reboot: text("DelayReboot").parse().ok(),
            schedule_reboot: time(text("ScheduleReboot")),
        }
    }

    /// What of it the schedule needs.
    pub fn schedule(&self) -> schedule::Settings {
        schedule::Settings {
            periodic_enable: self.periodic_enable,
            periodic_interval: self.periodic_interval,
            periodic_time: self.periodic_time,
            retry_minimum: self.retry_minimum_wait,
            retry_multiplier: self.retry_multiplier,
            // While CWMP is off no moment of a heartbeat passes that would have to be made up for.
            heartbeat_enable: self.enable_cwmp && self.heartbeat.is_some(),
            heartbeat_interval: self.heartbeat.unwrap_or_default(),
            heartbeat_time: self.heartbeat_time,
            throttle: self.throttle,
        }
    }
}

/// Tells the tree which commands the platform has.
pub fn tell_commands(config: &Config, facts: &mut AgentFacts) {
    let (state_dir, run_dir) = (config.state_dir.to_string_lossy(), config.run_dir.to_string_lossy());
    let folders = [("state_dir", &*state_dir), ("run_dir", &*run_dir)];
    let words = |argv: &[String]| expand(argv, &folders);
    let commands = &config.commands;
    facts.firmware =
        firmware::Commands { list: words(&commands.firmware_banks), boot: words(&commands.firmware_boot) };
    facts.has_log = !commands.log_read.is_empty();
}
