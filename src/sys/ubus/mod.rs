//! ubus, OpenWrt's bus of services: calls, what objects there are, events, and an object of our own.
//!
//! Everything goes through one process, ubusd, over a socket of the machine. Messages are a header and
//! attributes ([`message`]), what objects say to each other are tables of named fields ([`value`]), both
//! big-endian on every machine. Nothing that comes is believed: lengths, depth and numbers of fields are
//! checked once, before anything is looked at, and what is then read stays bytes: [`Value`] finds its way in
//! them and builds no tree.
//!
//! A call waits, with its deadline, in the thread that makes it. What waits for others to speak ([`Listener`],
//! [`Published`]) has a descriptor to poll and never waits.

mod client;
mod json;
pub mod listener;
mod message;
pub mod published;
pub mod recorded;
mod stream;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use client::{HOLD, Ubus};
pub use listener::Listener;
pub use published::Published;

pub use value::{Answer, Value};
pub use writer::Writer;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where ubusd listens unless `ubus_socket` says otherwise.
pub const SOCKET: &str = "/var/run/ubus/ubus.sock";
/// How long a call may take, everything included, unless its caller knows better.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// The longest message, bytes without its header: ubusd's own bound.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// How deep tables and arrays may nest.
pub const MAX_DEPTH: usize = 32;
/// The most fields of an answer, those within others included.
pub const MAX_FIELDS: usize = 32 * 1024;

/// Who answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// ubusd, at this socket.
    Socket(PathBuf),
    /// Files below this root ([`recorded`]).
    Recorded(PathBuf),
}

/// What a call carries.
#[derive(Clone, Copy)]
pub enum Args<'a> {
    /// Nothing.
    None,
    /// Names and values; each is sent as the type that the method names for it, text when it names none.
    Words(&'a [(&'a str, &'a str)]),
    /// A whole table.
    Table(&'a Answer),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// Nobody listens at the socket; what the system says.
    Absent(&'static str),
    /// ubusd itself does not answer in time.
    Silent,
    /// The connection ended, or carried what is no message.
    Broken(&'static str),
    /// There is no such object.
    NoObject,
    /// The object did not answer in time.
    TimedOut,
    /// The answer was a status other than 0.
    Status(u32),
    /// The answer is not sound; what is wrong with it.
    Malformed(&'static str),
    /// A message would be longer than [`MAX_MESSAGE`], nest too deep or hold too many fields.
    TooLong,
    /// A recorded answer is no JSON; what is wrong with it.
    Record(String),
}

impl Problem {
    /// Whether the bus is at fault, and every object with it.
    pub fn is_bus(&self) -> bool {
        matches!(self, Problem::Absent(_) | Problem::Silent | Problem::Broken(_))
    }

    /// Whether somebody who is there failed to do what was to be expected: it is better left alone for a
    /// while. A status is an answer, and an object that is not there costs nothing.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Problem::NoObject | Problem::Status(_) | Problem::TooLong)
    }
}

/// What ubus calls a status.
pub fn status_text(status: u32) -> &'static str {
    const TEXTS: [&str; 14] = [
        "success",
        "invalid command",
        "invalid argument",
        "method not found",
        "not found",
        "no response",
        "permission denied",
        "request timed out",
        "operation not supported",
        "unknown error",
        "connection failed",
        "out of memory",
        "parsing message data failed",
        "system error",
    ];
    TEXTS.get(status as usize).copied().unwrap_or("an unknown status")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Absent(why) => write!(f, "ubusd cannot be reached: {why}"),
            Problem::Silent => f.write_str("ubusd does not answer"),
            Problem::Broken(why) => write!(f, "the connection with ubusd broke: {why}"),
            Problem::NoObject => f.write_str("no such object"),
            Problem::TimedOut => f.write_str("no answer in time"),
            Problem::Status(status) => f.write_str(status_text(*status)),
            Problem::Malformed(why) => write!(f, "the answer is damaged: {why}"),
            Problem::TooLong => f.write_str("longer than a message may be"),
            Problem::Record(why) => write!(f, "the recorded answer cannot be read: {why}"),
        }
    }
}

impl std::error::Error for Problem {}
