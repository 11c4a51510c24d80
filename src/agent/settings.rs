//! What the engine itself reads from the tree: the values of ManagementServer that steer it.

use crate::model::tree::Tree;

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
}

impl Settings {
    /// Reads them afresh.
    pub fn read(tree: &mut Tree) -> Settings {
        tree.begin_rpc();
        let mut text =
            |name: &str| tree.value(&format!("Device.ManagementServer.{name}")).unwrap_or_default();
        let number = |text: String, default: u32| text.parse().unwrap_or(default);
        Settings {
            enable_cwmp: text("EnableCWMP") != "false",
            url: text("URL"),
            username: text("Username"),
            password: text("Password"),
            compression: text("HTTPCompression"),
            periodic_enable: text("PeriodicInformEnable") == "true",
            periodic_interval: number(text("PeriodicInformInterval"), 86_400).max(1),
            periodic_time: crate::sys::clock::parse(&text("PeriodicInformTime")).filter(|t| *t > 0),
            retry_minimum_wait: number(text("CWMPRetryMinimumWaitInterval"), 5).clamp(1, 65_535),
            retry_multiplier: number(text("CWMPRetryIntervalMultiplier"), 2000).clamp(1000, 65_535),
            request_enable: text("HTTPConnectionRequestEnable") != "false",
            request_username: text("ConnectionRequestUsername"),
            request_password: text("ConnectionRequestPassword"),
        }
    }
}
