//! What `status` tells.

use serde::{Deserialize, Serialize};

/// Everything a person at the device wants to know. Never holds a password.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusReport {
    /// Of the agent: `0.1.0`.
    pub version: String,
    /// `linux` or `openwrt`.
    pub platform: String,
    /// Seconds since the daemon was started.
    pub uptime: u64,
    /// I-1.
    pub manufacturer: String,
    /// I-1.
    pub manufacturer_oui: String,
    /// I-1; may be empty.
    pub product_class: String,
    /// I-1.
    pub serial_number: String,
    /// Never empty.
    pub software_version: String,
    /// ManagementServer.URL.
    pub acs_url: String,
    /// Another of `acs.fallback_urls`, while that is in use.
    pub acs_in_use: Option<String>,
    /// The name the agent gives to the ACS.
    pub acs_username: String,
    /// The version of CWMP that the agent speaks to it, and why when it is not the newest: `1.1 (it refused
    /// 1.4: fault 8006)`.
    pub acs_version: String,
    /// The methods that the ACS says to have (C-18); empty while it has not said.
    pub acs_methods: Vec<String>,
    /// In words: `waiting`, `in a session since …: waiting for the ACS to answer`.
    pub state: String,
    /// The last session that ended.
    pub last_session: Option<SessionReport>,
    /// How many sessions failed since the last that did not (C-22).
    pub retry_count: u32,
    /// The next session that is planned.
    pub next_session: Option<NextReport>,
    /// A change that waits to be confirmed by the ACS.
    pub trial: Option<TrialReport>,
    /// The last change that was put back.
    pub rollback: Option<RollbackReport>,
    /// The next heartbeat, while HeartbeatPolicy asks for them.
    pub next_heartbeat: Option<NextReport>,
    /// The reboot that DelayReboot or ScheduleReboot asks for.
    pub next_reboot: Option<RebootReport>,
    /// Transfers that wait, run, or have ended and were not told yet.
    pub transfers: Vec<TransferReport>,
    /// Events not yet delivered: code, and CommandKey when it has one.
    pub pending_events: Vec<(String, String)>,
    /// ManagementServer.ConnectionRequestURL; `None` while there is no listener.
    pub connection_request_url: Option<String>,
    /// Objects and parameters of the model on this platform, `{i}` counted once.
    pub served: (u32, u32),
    /// What is wrong with the stored state.
    pub state_problem: Option<String>,
    /// Overlays that were refused, with file, line and reason.
    pub overlay_problems: Vec<String>,
    /// Anything else that is worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// A session that ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionReport {
    /// When it began, dateTime with offset; the time since boot while the clock is not set.
    pub began: String,
    /// How long it took, milliseconds.
    pub milliseconds: u64,
    /// The events it told of.
    pub events: Vec<String>,
    /// How many requests of the ACS it answered.
    pub requests: u32,
    /// Why it failed, with the phase; `None` when it did not.
    pub failure: Option<String>,
}

/// A session to come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NextReport {
    /// Seconds from now.
    pub seconds: u64,
    /// When, dateTime with offset; empty while the clock is not set.
    pub at: String,
    /// Why: `periodic`, `retry 3`, `scheduled by the ACS`, `active change, throttled`,
    /// `the end of a transfer, not taken before`.
    pub why: String,
}

/// A reboot to come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RebootReport {
    /// Seconds from now; `None` while that is not known.
    pub seconds: Option<u64>,
    /// Why, or what it waits for: `DelayReboot`, `DelayReboot, from the end of the session`.
    pub why: String,
}

/// A change on trial. Names, never values.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialReport {
    /// What was changed: full paths, rows with their final dot.
    pub parameters: Vec<String>,
    /// Seconds until it is put back unless the ACS answers.
    pub seconds_left: u32,
    /// What failed since was not its fault: it stands until the ACS answers.
    pub standing: bool,
}

/// A transfer. Never holds its credentials.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TransferReport {
    /// What `cwmpd transfers cancel` takes as `#number`.
    pub number: u32,
    /// Empty for one that was asked for at the device.
    pub command_key: String,
    /// `Download`, `ScheduleDownload`, `Upload`, or with `local` before it.
    pub method: String,
    /// FileType.
    pub file_type: String,
    /// Without query and fragment.
    pub url: String,
    /// `queued`, `fetching`, `fetched`, `verified`, `applying`, `done`; `sending` for an upload.
    pub step: String,
    /// What it waits for, or how it ended, in words.
    pub note: String,
    /// Bytes that went over the wire.
    pub bytes: u64,
    /// Bytes that there are; 0 for unknown.
    pub total: u64,
    /// Seconds until it may begin; 0 when nothing but others is before it.
    pub seconds: u64,
    /// FaultCode; 0 unless it has failed.
    pub fault: u16,
}

/// A change that was put back. Names, never values.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RollbackReport {
    /// When, dateTime with offset; empty when the clock was not set.
    pub time: String,
    /// Why.
    pub reason: String,
    /// Full paths, rows with their final dot.
    pub parameters: Vec<String>,
    /// How many there were.
    pub count: u32,
}
