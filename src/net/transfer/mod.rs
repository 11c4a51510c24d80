//! Files from and to a file server by HTTP: GET into a file, PUT from one. Blocking, for a
//! thread of its own; every wait can be woken, as those of the ACS client, whose connections, TLS, Digest
//! and Basic these are.
//!
//! # Faults
//! No name, no TCP, no TLS (a bad certificate too): 9015. Credentials that are refused or missing, 407: 9012.
//! Any other HTTP status, and redirects without end: 9016. A body that breaks off, stays silent, is part of
//! the file only, or takes too long: 9017, and 9011 for an upload. A content coding that was not asked for:
//! 9018. What the device itself has no room for, by `max_bytes` or by its disk: 9010. Nothing is repeated
//! but the rest of a body that broke off.

mod fault;
mod get;
mod pace;
mod part;
mod put;
mod resume;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::client::Options;
use super::digest::is_speakable;
use super::exchange::Exchange;
use super::shared::Bounds;
use super::url::Url;
use crate::model::fault::{Code, Fault};
use fault::of_exchange;
pub use get::get;
pub use put::put;

/// What moves at once, in bytes: the buffer of the connection, and that between it and the file.
const PIECE: usize = 32 * 1024;
/// What all heads of one transfer may have beside the file, in bytes.
const MAX_HEADS: u64 = 256 * 1024;

/// What both ways need to know.
#[derive(Clone)]
pub struct Request {
    /// The URL, Username and Password of the RPC; roots, client certificate, interface, clock, user agent
    /// and deadlines of a connection as toward the ACS. Compression is not used, and Basic over http is
    /// answered whatever `basic_over_http` says.
    pub options: Options,
    /// What may come, how fast, and for how long.
    pub limits: Limits,
}

/// Bounds of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest file, in bytes, either way.
    pub max_bytes: u64,
    /// Bytes a second on average; 0 for as many as can be.
    pub bytes_per_second: u32,
    /// The longest time without a byte, either way.
    pub silence: Duration,
    /// The longest time for all of it, connecting included.
    pub whole: Duration,
}

/// How far a transfer is, for `status`; shared by reference.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Amounts>);

/// What a [`Meter`] shows, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amounts {
    /// Moved until now; goes back to 0 when a file has to begin anew.
    pub done: u64,
    /// In all, once it is known.
    pub expected: Option<u64>,
}

impl Meter {
    /// What it shows now.
    pub fn read(&self) -> Amounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, done: u64, expected: Option<u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Amounts { done, expected };
    }
}

/// Sees the bytes of a file as they are written: a hash, say.
pub trait Tee {
    /// The file begins anew: what was seen is void.
    fn anew(&mut self);
    /// The next bytes.
    fn piece(&mut self, bytes: &[u8]);
}

/// Sees nothing.
impl Tee for () {
    fn anew(&mut self) {}
    fn piece(&mut self, _: &[u8]) {}
}

/// Why there is no file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The wait was woken: whoever did it knows why.
    Stopped,
    /// The server answered with another HTTP status than one of success, and what that means as a fault.
    Status(u16, Fault),
    /// Everything else.
    Fault(Fault),
}

/// A file that came whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Got {
    /// Its length.
    pub bytes: u64,
}

/// A file that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Its length.
    pub bytes: u64,
}

/// What an upload sends.
pub enum Source<'a> {
    /// From its present place to its end, with its length.
    File(File),
    /// What a command writes, in chunks, since its length is not known.
    Pipe {
        /// Where the command's output is read.
        output: OwnedFd,
        /// Called once, at its end and before the server is told of it: an error gives the upload up, so
        /// that half of a file is not taken for one.
        finish: &'a mut dyn FnMut() -> Result<(), String>,
    },
}

/// The connections of a transfer: the RPC's credentials are for the place that it names, and Basic is
/// answered over http too.
fn open(
    request: Request,
    input: usize,
    output: usize,
    incomplete: Code,
    wake: OwnedFd,
) -> Result<Exchange, Failure> {
    let Request { mut options, limits } = request;
    if !is_speakable(&options.username) {
        let text = "the user name holds a character other than visible ASCII".to_string();
        return Err(fault::fault(Code::SERVER_AUTHENTICATION, text));
    }
    options.basic_over_http = true;
    (options.timeouts.response, options.timeouts.progress) = (limits.silence, limits.silence);
    options.timeouts.session = limits.whole;
    // The chunks of a body may be as small as a byte.
    let response = limits.max_bytes.max(MAX_HEADS).saturating_mul(8);
    let host = Url::parse(&options.url).map(|url| url.host).unwrap_or_default();
    let exchange = Exchange::new(options, Bounds { input, output, response }, wake);
    let mut exchange = exchange.map_err(|e| of_exchange(e, &host, incomplete))?;
    exchange.keep_credentials_here();
    Ok(exchange)
}
