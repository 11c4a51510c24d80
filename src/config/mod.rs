//! The configuration file: one file, of TOML or of UCI (`/etc/config/cwmpd`), read whole and judged before
//! anything is started.
//!
//! Only `acs.url` is required. Every key has its field below under the same name, with its default.
//! What is wrong is one [`Error`] with file, line and reason; what is merely unwise is a warning
//! ([`Config::warnings`]).

mod commands;
mod document;
mod judge;
mod reader;
mod secret;
mod transfer;

pub use crate::sys::command::expand;
pub use commands::{COMMAND_WORDS, Commands, has_word};
pub use document::default_file;
pub use secret::Secret;
pub use transfer::{MAX_TRUSTED_KEYS, Transfer, seconds};

use crate::cwmp::discovery::Policy;
use crate::model::schema::Platform;
use crate::net::client::Timeouts;
use crate::net::connection_request::Algorithm;
use crate::sys::host::is_live;
use crate::sys::ubus::{Place, SOCKET};
use document::Document;
use reader::{Section, Wrong};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where OpenWrt keeps what must survive: its `/var` is in memory.
const OPENWRT_STATE: &str = "/etc/cwmpd/state";

/// The largest configuration file that is read, bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The whole configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Whether `cwmpd run` is to do anything; true.
    pub enabled: bool,
    /// `"linux"` (default) or `"openwrt"` (default in a file of UCI).
    pub platform: Platform,
    /// What must survive a power cut; `/var/lib/cwmpd`, on OpenWrt `/etc/cwmpd/state`.
    pub state_dir: PathBuf,
    /// What must not: control socket and boot marker; on tmpfs; `/var/run/cwmpd`.
    pub run_dir: PathBuf,
    /// Everything the tree reads of the system lies below it; `/`.
    pub root: PathBuf,
    /// Overlays of the data model; a missing folder is empty; `/etc/cwmpd/datamodel.d`.
    pub overlay_dir: PathBuf,
    /// Where ubusd listens, on openwrt. When it is not given: `/var/run/ubus/ubus.sock` when `root` is `/`, and
    /// the recorded answers below any other `root`.
    pub ubus_socket: Option<PathBuf>,
    /// `[log]`
    pub log: LogSettings,
    /// `[device]`
    pub device: Device,
    /// `[acs]`
    pub acs: Acs,
    /// `[connection_request]`
    pub connection_request: ConnectionRequest,
    /// `[commands]`
    pub commands: Commands,
    /// `[transfer]`
    pub transfer: Transfer,
}

impl Config {
    fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let Config {
            enabled,
            platform,
            state_dir,
            run_dir,
            root,
            overlay_dir,
            ubus_socket,
            log,
            device,
            acs,
            connection_request,
            commands,
            transfer,
        } = self;
        from.get("enabled", enabled);
        from.get("platform", platform);
        from.get("state_dir", state_dir);
        from.get("run_dir", run_dir);
        from.get("root", root);
        from.get("overlay_dir", overlay_dir);
        from.get("ubus_socket", ubus_socket);
        from.table("log", &mut |table| log.read(table));
        from.table("device", &mut |table| device.read(table));
        from.table("acs", &mut |table| acs.read(table));
        from.table("connection_request", &mut |table| connection_request.read(table));
        from.table("commands", &mut |table| commands.read(table));
        from.table("transfer", &mut |table| transfer.read(table));
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enabled: true,
            platform: Platform::Linux,
            state_dir: "/var/lib/cwmpd".into(),
            run_dir: "/var/run/cwmpd".into(),
            root: "/".into(),
            overlay_dir: "/etc/cwmpd/datamodel.d".into(),
            ubus_socket: None,
            log: LogSettings::default(),
            device: Device::default(),
            acs: Acs::default(),
            connection_request: ConnectionRequest::default(),
            commands: Commands::default(),
            transfer: Transfer::default(),
        }
    }
}

/// Where log lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogTarget {
    /// Standard error, each line with its time.
    Stderr,
    /// The syslog of the machine, facility `daemon`.
    Syslog,
}

/// `[log]`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogSettings {
    /// `"stderr"` (default) or `"syslog"`.
    pub target: LogTarget,
    /// `"off"`, `"error"`, `"warn"`, `"info"` (default), `"debug"` or `"trace"`.
    pub level: log::LevelFilter,
}

impl LogSettings {
    fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let LogSettings { target, level } = self;
        from.get("target", target);
        from.get("level", level);
    }
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { target: LogTarget::Stderr, level: log::LevelFilter::Info }
    }
}

/// `[device]`: what is given here wins over what the system says of itself (I-1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Device {
    /// 1 to 64 characters.
    pub manufacturer: Option<String>,
    /// Six upper-case hexadecimal digits.
    pub manufacturer_oui: Option<String>,
    /// At most 64 characters, may be empty.
    pub product_class: Option<String>,
    /// 1 to 64 characters.
    pub serial_number: Option<String>,
    /// 1 to 64 characters.
    pub software_version: Option<String>,
    /// At most 64 characters.
    pub hardware_version: Option<String>,
}

impl Device {
    fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let Device {
            manufacturer,
            manufacturer_oui,
            product_class,
            serial_number,
            software_version,
            hardware_version,
        } = self;
        from.get("manufacturer", manufacturer);
        from.get("manufacturer_oui", manufacturer_oui);
        from.get("product_class", product_class);
        from.get("serial_number", serial_number);
        from.get("software_version", software_version);
        from.get("hardware_version", hardware_version);
    }
}

/// `[acs]`
#[derive(Clone, PartialEq, Debug)]
pub struct Acs {
    /// http or https, at most 2048 characters, without user and password (T-37). Required, unless DHCP may tell
    /// of it.
    pub url: String,
    /// At most 256 characters; empty (default) means the name made of the device's identity (S-14).
    pub username: String,
    /// At most 256 characters; empty.
    pub password: Secret,
    /// PEM file with the trusted roots (S-5).
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain (S-9); goes with `client_key`.
    pub client_certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub client_key: Option<PathBuf>,
    /// Interface that sessions leave by; at most 15 characters.
    pub bind_interface: Option<String>,
    /// Whether Basic is answered over http (S-12); false.
    pub basic_over_http: bool,
    /// First value of ManagementServer.PeriodicInformEnable; true.
    pub periodic_inform_enable: bool,
    /// Seconds, 1 and up (I-11): first value of PeriodicInformInterval; 86400.
    pub periodic_inform_interval: u32,
    /// Seconds, 1 to 65535 (C-25); 5.
    pub retry_minimum_wait_interval: u32,
    /// Thousandths, 1000 to 65535 (C-25); 2000.
    pub retry_interval_multiplier: u32,
    /// Whether each new ACS is asked once which methods it has (R-GRM-3); true.
    pub get_rpc_methods: bool,
    /// Seconds for name lookup, TCP and TLS together; 30.
    pub connect_timeout: u32,
    /// Seconds from the end of a request to the head of its answer; 60. T-7 wants at least 30.
    pub response_timeout: u32,
    /// Seconds between two pieces of a body; 60.
    pub progress_timeout: u32,
    /// Seconds for a whole session; 3600.
    pub session_timeout: u32,
    /// Seconds within which the ACS must have answered an Inform after a change of what carries the
    /// session, or the change is put back; 300. 0: changes are not tried out.
    pub confirm_timeout: u32,
    /// Other ACSs, in order, each as `url`; at most [`MAX_FALLBACK_URLS`], none by default.
    pub fallback_urls: Vec<String>,
    /// Failed sessions in a row before the next of them is tried, 1 to 1000; 3.
    pub fallback_after: u32,
    /// `"off"` (default); `"fill"`: what DHCP says of the ACS is taken where nothing is set; `"prefer"`: also in
    /// place of `url` above. What the ACS has set stays (DH-5).
    pub dhcp_discovery: Policy,
    /// Whose leases count, by the names that `cwmpd lease` is given; at most [`MAX_DHCP_INTERFACES`]. None (default):
    /// those of `bind_interface`, or without one of what carries the default route.
    pub dhcp_interfaces: Vec<String>,
}

impl Acs {
    fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let Acs {
            url,
            username,
            password,
            ca_file,
            client_certificate,
            client_key,
            bind_interface,
            basic_over_http,
            periodic_inform_enable,
            periodic_inform_interval,
            retry_minimum_wait_interval,
            retry_interval_multiplier,
            get_rpc_methods,
            connect_timeout,
            response_timeout,
            progress_timeout,
            session_timeout,
            confirm_timeout,
            fallback_urls,
            fallback_after,
            dhcp_discovery,
            dhcp_interfaces,
        } = self;
        from.get("url", url);
        from.get("username", username);
        from.get("password", password);
        from.get("ca_file", ca_file);
        from.get("client_certificate", client_certificate);
        from.get("client_key", client_key);
        from.get("bind_interface", bind_interface);
        from.get("basic_over_http", basic_over_http);
        from.get("periodic_inform_enable", periodic_inform_enable);
        from.get("periodic_inform_interval", periodic_inform_interval);
        from.get("retry_minimum_wait_interval", retry_minimum_wait_interval);
        from.get("retry_interval_multiplier", retry_interval_multiplier);
        from.get("get_rpc_methods", get_rpc_methods);
        from.get("connect_timeout", connect_timeout);
        from.get("response_timeout", response_timeout);
        from.get("progress_timeout", progress_timeout);
        from.get("session_timeout", session_timeout);
        from.get("confirm_timeout", confirm_timeout);
        from.get("fallback_urls", fallback_urls);
        from.get("fallback_after", fallback_after);
        from.get("dhcp_discovery", dhcp_discovery);
        from.get("dhcp_interfaces", dhcp_interfaces);
    }
}

/// The most entries of `acs.fallback_urls`.
pub const MAX_FALLBACK_URLS: usize = 8;
/// The most entries of `acs.dhcp_interfaces`.
pub const MAX_DHCP_INTERFACES: usize = 8;

impl Default for Acs {
    fn default() -> Acs {
        Acs {
            url: String::new(),
            username: String::new(),
            password: Secret::default(),
            ca_file: None,
            client_certificate: None,
            client_key: None,
            bind_interface: None,
            basic_over_http: false,
            periodic_inform_enable: true,
            periodic_inform_interval: 86_400,
            retry_minimum_wait_interval: 5,
            retry_interval_multiplier: 2000,
            get_rpc_methods: true,
            connect_timeout: 30,
            response_timeout: 60,
            progress_timeout: 60,
            session_timeout: 3600,
            confirm_timeout: 300,
            fallback_urls: Vec::new(),
            fallback_after: 3,
            dhcp_discovery: Policy::Off,
            dhcp_interfaces: Vec::new(),
        }
    }
}

impl Acs {
    /// The deadlines of a session.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: seconds(self.connect_timeout),
            response: seconds(self.response_timeout),
            progress: seconds(self.progress_timeout),
            session: seconds(self.session_timeout),
        }
    }
}

/// Where connection requests are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listen {
    /// Port 7547 on the local address of the last ACS session.
    Auto,
    /// This address; port 0 takes a free one.
    Address(SocketAddr),
}

/// `[connection_request]`
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectionRequest {
    /// `"auto"` (default) or `"ADDRESS:PORT"`.
    pub listen: Listen,
    /// At most 256 characters; empty (default): every request is refused (CR-17).
    pub username: String,
    /// At most 256 characters.
    pub password: Secret,
    /// `"MD5"` and `"SHA-256"`, in the order they are offered; MD5 alone.
    pub algorithms: Vec<Algorithm>,
    /// How many authenticated requests at once (CR-12), 1 to 1000; 4.
    pub burst: u32,
    /// Seconds after which one more is allowed, 1 to 3600; 3.
    pub refill: u32,
}

impl ConnectionRequest {
    fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let ConnectionRequest { listen, username, password, algorithms, burst, refill } = self;
        from.get("listen", listen);
        from.get("username", username);
        from.get("password", password);
        from.get("algorithms", algorithms);
        from.get("burst", burst);
        from.get("refill", refill);
    }
}

impl Default for ConnectionRequest {
    fn default() -> ConnectionRequest {
        ConnectionRequest {
            listen: Listen::Auto,
            username: String::new(),
            password: Secret::default(),
            algorithms: vec![Algorithm::Md5],
            burst: 4,
            refill: 3,
        }
    }
}

/// What is wrong with the configuration: one line, without a secret in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The file.
    pub file: PathBuf,
    /// Its line, counted from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.reason)
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What reading a table says.
    fn within(text: &str, file: &Path, wrong: Wrong) -> Error {
        Error { file: file.to_path_buf(), line: Some(line_at(text, wrong.at)), reason: wrong.reason }
    }
}

impl Config {
    /// Reads and judges a file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(file: &Path) -> Result<Config, Error> {
        Config::parse(&read(file)?, file)
    }

    /// Reads and judges a text; `file` is cited in errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<Config, Error> {
        let document = Document::parse(text, file)?;
        let mut config = Config { platform: document.platform(), ..Config::default() };
        let mut top = document.top();
        config.read(&mut top);
        top.end().map_err(|wrong| Error::within(text, file, wrong))?;
        config.commands.fill(config.platform, &document);
        if config.platform == Platform::OpenWrt && document.at("state_dir").is_none() {
            config.state_dir = OPENWRT_STATE.into();
        }
        match judge::judge(&config) {
            None => Ok(config),
            Some((key, reason)) => Err(Error {
                file: file.to_path_buf(),
                line: document.at(key).map(|at| line_at(text, at)),
                reason: format!("{key}: {reason}"),
            }),
        }
    }

    /// The control socket that a file leads to. Only `run_dir` is read, so that a daemon can be
    /// asked how it is also while its file is being edited.
    ///
    /// # Errors
    /// The file cannot be read, or is neither TOML nor UCI.
    pub fn socket_of(file: &Path) -> Result<PathBuf, Error> {
        let text = read(file)?;
        let document = Document::parse(&text, file)?;
        let mut config = Config::default();
        let mut top = document.top();
        top.get("run_dir", &mut config.run_dir);
        top.so_far().map_err(|wrong| Error::within(&text, file, wrong))?;
        Ok(config.socket())
    }

    /// What will work but not well, or not for long; a line each.
    pub fn warnings(&self) -> Vec<String> {
        judge::warnings(self)
    }

    /// The control socket of the daemon.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("cwmpd.sock")
    }

    /// Who answers calls of ubus.
    pub fn ubus(&self) -> Place {
        match &self.ubus_socket {
            Some(socket) => Place::Socket(socket.clone()),
            None if is_live(&self.root) => Place::Socket(SOCKET.into()),
            None => Place::Recorded(self.root.clone()),
        }
    }

    /// The first values that the file gives to parameters of ManagementServer.
    pub fn first_values(&self) -> Vec<(&'static str, String)> {
        let (acs, cr) = (&self.acs, &self.connection_request);
        vec![
            ("Device.ManagementServer.URL", acs.url.clone()),
            ("Device.ManagementServer.Username", acs.username.clone()),
            ("Device.ManagementServer.Password", acs.password.reveal().to_owned()),
            ("Device.ManagementServer.PeriodicInformEnable", acs.periodic_inform_enable.to_string()),
            ("Device.ManagementServer.PeriodicInformInterval", acs.periodic_inform_interval.to_string()),
            (
                "Device.ManagementServer.CWMPRetryMinimumWaitInterval",
                acs.retry_minimum_wait_interval.to_string(),
            ),
            (
                "Device.ManagementServer.CWMPRetryIntervalMultiplier",
                acs.retry_interval_multiplier.to_string(),
            ),
            ("Device.ManagementServer.ConnectionRequestUsername", cr.username.clone()),
            ("Device.ManagementServer.ConnectionRequestPassword", cr.password.reveal().to_owned()),
        ]
    }
}

fn read(file: &Path) -> Result<String, Error> {
    use std::io::Read;
    let error = |reason| Error { file: file.to_path_buf(), line: None, reason };
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|e| error(format!("cannot be read: {e}")))?;
    if text.len() as u64 > MAX_FILE {
        return Err(error(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

#[cfg(test)]
mod tests;
