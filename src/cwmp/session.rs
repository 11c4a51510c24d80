//! The session machine (TR-069 3.7.1): `step(incoming) -> outgoing`, without I/O.

use super::rpc::{DeviceId, Event};
use crate::model::fault::Fault;
use crate::model::request::{ParameterValue, SetAttributes};
use crate::model::tree::{Selection, Status};

/// What the session asks of the agent. The engine implements it over the tree; tests over a table.
pub trait Host {
    /// An RPC of the ACS begins: sources are read afresh.
    fn begin_rpc(&mut self);
    /// See [`crate::model::tree::Tree::values`].
    fn values(&mut self, names: &[String]) -> Result<Selection, Fault>;
    /// See [`crate::model::tree::Tree::names`].
    fn names(&mut self, path: &str, next_level: bool) -> Result<Selection, Fault>;
    /// See [`crate::model::tree::Tree::attributes`].
    fn attributes(&mut self, names: &[String]) -> Result<Selection, Fault>;
    /// See [`crate::model::tree::Tree::set`]; the writer is the ACS.
    fn set(&mut self, list: &[ParameterValue], parameter_key: &str) -> Result<Status, Fault>;
    /// See [`crate::model::tree::Tree::add`].
    fn add(&mut self, object: &str, parameter_key: &str) -> Result<(u32, Status), Fault>;
    /// See [`crate::model::tree::Tree::delete`].
    fn delete(&mut self, object: &str, parameter_key: &str) -> Result<Status, Fault>;
    /// See [`crate::model::tree::Tree::set_attributes`].
    fn set_attributes(&mut self, list: &[SetAttributes]) -> Result<(), Fault>;
    /// Notes a reboot for when the session has ended; durable before it returns (R-SYS-1 to 4).
    fn reboot(&mut self, command_key: &str) -> Result<(), Fault>;
    /// Notes a factory reset for when the session has ended; durable before it returns (R-SYS-5).
    fn factory_reset(&mut self) -> Result<(), Fault>;
    /// Notes a ScheduleInform; durable before it returns; 9004 when too many wait (R-SYS-7 to 9).
    fn schedule_inform(&mut self, delay_seconds: u32, command_key: &str) -> Result<(), Fault>;
    /// Everything the Inform says; fixes the set of events that this session delivers.
    fn inform(&mut self) -> InformFacts;
    /// InformResponse came with HTTP 200: what the Inform said is delivered (V-23), durable.
    fn inform_delivered(&mut self);
}

/// What an Inform says (A.3.3.1).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct InformFacts {
    /// I-1.
    pub device_id: DeviceId,
    /// V-1, V-2.
    pub events: Vec<Event>,
    /// I-2: local time with offset, or Unknown Time.
    pub current_time: String,
    /// C-22.
    pub retry_count: u32,
    /// Path, xsi:type, value (I-3 to I-5).
    pub parameters: Vec<(String, &'static str, String)>,
}

/// What came in from the wire.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The session begins: the first message is wanted (C-3).
    Start,
    /// HTTP 200 with a body.
    Envelope(&'a [u8]),
    /// 204, or 200 without a body (T-11).
    Empty,
}

/// What goes out.
pub enum Outgoing {
    /// A message kept whole: Inform, faults, small responses. Sent again byte for byte when the
    /// connection or a challenge asks for it.
    Whole(Vec<u8>),
    /// An answer that is rendered while it is sent.
    Long(LongAnswer),
    /// The empty POST (C-13).
    Empty,
    /// The session is over by the rules (C-15).
    Done,
    /// The session failed: why, for log and status (C-23).
    Failed(String),
}

/// An answer that may be larger than memory: `head`, then every item of the selection in its XML
/// form (`soap::writer` knows it by the item's variant), then `tail`.
pub struct LongAnswer {
    /// Everything before the first item, arrayType with its count included.
    pub head: Vec<u8>,
    /// What to walk.
    pub selection: Selection,
    /// Everything behind the last item.
    pub tail: Vec<u8>,
    /// The whole fault envelope to send in its place when the walk cannot begin.
    pub id: Option<String>,
}
