//! What a capacity test is to do: its arguments read, and the rules that hold among several of them.

use super::MAX_FLOWS;
use super::auth::Secret;
use super::pdu::{self, Activation};
use crate::diagnostics::{Arguments, Job, Report, socket};

/// The shortest and the longest test, in milliseconds (DG-14).
const TEST: (u64, u64) = (5_000, 60_000);
/// The largest payload without jumbo frames, in octets (DG-15).
const NO_JUMBO: u64 = 1472;
/// The highest row of the table of sending rates.
pub const MAX_ROW: u64 = 1152;

/// What load is filled with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The same octet everywhere.
    Octet(u8),
    /// Drawn by chance.
    Random,
}

/// The arguments of a test.
pub struct Plan {
    /// Hosts and ports; round and round for more flows than servers.
    pub servers: Vec<(String, u16)>,
    /// How many flows must come about.
    pub required: usize,
    /// How many are tried.
    pub attempts: usize,
    /// The request's size of packets.
    pub jumbo: bool,
    /// See [`pdu::Setup::traditional`].
    pub traditional: bool,
    /// Mbit/s of all flows; 0 says nothing of it.
    pub bandwidth: u16,
    /// What a server is asked for.
    pub activation: Activation,
    /// The key.
    pub secret: Option<Secret>,
    /// Local ports, both within.
    pub ports: (u16, u16),
    /// Of Ethernet.
    pub priority: i32,
    /// Of our load.
    pub content: Content,
    /// Sizes of our load.
    pub payload: (u32, u32),
    /// Sub-intervals of the first mode; 0 when there is one mode only.
    pub first_mode: usize,
    /// How long an answer, or a round trip, may take, in microseconds.
    pub wait: i64,
    /// How long nothing may be heard, in microseconds.
    pub silence: i64,
    /// IPRREnable.
    pub reordered: bool,
    /// RIPREnable.
    pub replicated: bool,
    /// LocalInterfaceRateIncluded.
    pub interface_rate: bool,
}

/// A server: `host`, `host:port`, `[IPv6]:port`, or an IPv6 address alone.
pub fn server(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None if text.matches(':').count() == 1 => text.split_once(':').map(|(h, p)| (h, Some(p)))?,
        None => (text, None),
    };
    let port = match port {
        None => pdu::PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    Some((host.to_owned(), port))
}

fn servers(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Judges one argument.
///
/// # Errors
/// Why it cannot be.
pub fn judge(name: &str, value: &str) -> Result<(), String> {
    match name {
        "ServerList" => match servers(value).iter().all(|item| server(item).is_some()) {
            true => Ok(()),
            false => Err("a server is host or host:port".to_owned()),
        },
        _ => Ok(()),
    }
}

/// Judges arguments that must fit each other (DG-14, DG-15).
///
/// # Errors
/// The names of those that do not, and why.
pub fn together(arguments: &Arguments) -> Result<(), (&'static [&'static str], String)> {
    let number = |name: &str| arguments.number(name);
    let length = number("NumberTestSubIntervals").saturating_mul(number("TestSubInterval"));
    if !(TEST.0..=TEST.1).contains(&length) || length % 1000 != 0 {
        let why = format!("sub-intervals make up {length} ms; whole seconds are wanted, 5 to 60");
        return Err((&["NumberTestSubIntervals", "TestSubInterval"], why));
    }
    if number("NumberFirstModeTestSubIntervals") > number("NumberTestSubIntervals") {
        let names = &["NumberFirstModeTestSubIntervals", "NumberTestSubIntervals"];
        return Err((names, "the first mode has more sub-intervals than the test".to_owned()));
    }
    let (least, most) = (number("UDPPayloadMin"), number("UDPPayloadMax"));
    if least > most {
        return Err((&["UDPPayloadMin", "UDPPayloadMax"], format!("{least} octets are more than {most}")));
    }
    if most > NO_JUMBO && !arguments.flag("JumboFramesPermitted") {
        let names = &["UDPPayloadMax", "JumboFramesPermitted"];
        return Err((names, format!("without jumbo frames {NO_JUMBO} octets are the most")));
    }
    if number("PortMin") > number("PortMax") {
        return Err((&["PortMin", "PortMax"], "the range of ports is empty".to_owned()));
    }
    if number("LowerThresh") > number("UpperThresh") {
        return Err((&["LowerThresh", "UpperThresh"], "the lower threshold is the higher one".to_owned()));
    }
    let content = arguments.text("UDPPayloadContent");
    if arguments.text("Role") == "Receiver" && !matches!(content, "zeroes" | "random") {
        let why = format!("a server's load cannot be asked for as {content}");
        return Err((&["UDPPayloadContent", "Role"], why));
    }
    // One flow to each server unless FlowCount says how many are needed.
    let count = servers(arguments.text("ServerList")).len();
    if number("FlowCount") == 0 && count > MAX_FLOWS {
        let why = format!("{count} servers need as many flows; there are {MAX_FLOWS}");
        return Err((&["ServerList", "FlowCount"], why));
    }
    Ok(())
}

/// The row of the table of sending rates that comes next to a rate without being above it.
pub fn row(kbps: u64, jumbo: bool, traditional: bool) -> u64 {
    let mbps = kbps / 1000;
    let row = match (jumbo, traditional) {
        _ if mbps <= 1000 => mbps,
        (true, _) if mbps >= 7920 => 1063 + (mbps - 7920) / 720,
        (true, _) => (990 + mbps / 100).clamp(1000, 1062),
        (false, false) => (990 + mbps / 100).clamp(1000, 1090),
        (false, true) => 1000 + (mbps.saturating_sub(960) / 120).min(92),
    };
    row.min(MAX_ROW)
}

impl Plan {
    /// Of a job.
    ///
    /// # Errors
    /// The report of what cannot be done.
    pub fn of(job: &Job) -> Result<Plan, Report> {
        let arguments = &job.arguments;
        together(arguments).map_err(|(_, why)| Report::error("Error_Other", why))?;
        let number = |name: &str| arguments.number(name);
        let small = |name: &str| u16::try_from(number(name)).unwrap_or(u16::MAX);
        let list = servers(arguments.text("ServerList"));
        let servers: Vec<_> = list.iter().filter_map(|item| server(item)).collect();
        if servers.is_empty() || servers.len() < list.len() {
            return Err(Report::error("Error_CannotResolveHostName", "ServerList names no server"));
        }
        if let Some((host, _)) = servers.iter().find(|(host, _)| !socket::is_host(host)) {
            let why = format!("{host:?} is neither a name nor an address");
            return Err(Report::error("Error_CannotResolveHostName", why));
        }
        let secret = Secret::of(job).map_err(|why| Report::error("Error_PasswordRequestFailed", why))?;
        let required = match number("FlowCount") as usize {
            0 => servers.len(),
            count => count.min(MAX_FLOWS),
        };
        let upstream = arguments.text("Role") == "Sender";
        let jumbo = arguments.flag("JumboFramesPermitted");
        let traditional = number("MTU") == 1500;
        let is_start = arguments.text("TestType") != "Fixed";
        let (index, kbps) = (number("StartSendingRateIndex"), number("StartSendingRate"));
        let row = match index {
            // A fixed rate is not to be nothing.
            0 => row(kbps, jumbo, traditional).max(u64::from(!is_start)),
            index => index.min(MAX_ROW),
        };
        let content = match arguments.text("UDPPayloadContent") {
            "ones" => Content::Octet(0xFF),
            "alternates0and1" => Content::Octet(0xAA),
            "random" => Content::Random,
            _ => Content::Octet(0),
        };
        let intervals = number("NumberTestSubIntervals");
        let silence = if upstream { "TimeoutNoStatusMessage" } else { "TimeoutNoTestTraffic" };
        let activation = Activation {
            upstream,
            lower: small("LowerThresh"),
            upper: small("UpperThresh"),
            feedback: small("StatusFeedbackInterval"),
            seconds: u16::try_from(intervals * number("TestSubInterval") / 1000).unwrap_or(60),
            class: (number("DSCP").min(63) as u8) << 2,
            index: if is_start && row == 0 { pdu::SEARCH } else { row as u16 }, // below MAX_ROW
            is_start: is_start && row > 0,
            one_way: arguments.flag("IPDVEnable"),
            delta: u8::try_from(number("HighSpeedDelta")).unwrap_or(u8::MAX),
            slow: small("SlowAdjThresh"),
            errors: small("SeqErrThresh"),
            only_loss: arguments.flag("ReordDupIgnoreEnable"),
            random: content == Content::Random,
            algorithm_c: arguments.text("RateAdjAlgorithm") == "C",
            period: small("TestSubInterval"),
        };
        Ok(Plan {
            required,
            attempts: required.max(number("MaximumFlows") as usize).min(MAX_FLOWS),
            servers,
            jumbo,
            traditional,
            bandwidth: small("MaximumTestBandwidth"),
            activation,
            secret,
            ports: (small("PortMin"), small("PortMax")),
            priority: number("EthernetPriority").min(7) as i32,
            content,
            payload: (number("UDPPayloadMin") as u32, number("UDPPayloadMax") as u32), // bounded by their types
            first_mode: number("NumberFirstModeTestSubIntervals") as usize,
            wait: number("TmaxRTT") as i64 * 1000,
            silence: number(silence) as i64 * 1000,
            reordered: arguments.flag("IPRREnable"),
            replicated: arguments.flag("RIPREnable"),
            interface_rate: arguments.flag("LocalInterfaceRateIncluded"),
        })
    }
}
