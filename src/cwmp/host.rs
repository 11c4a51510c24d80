//! What a session needs of the agent around it.

use super::rpc::{AcsAnswer, AgentRequest, InformFacts, Namespace};
use super::transfers::{Asked, Queued};
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
    /// Takes a Download, ScheduleDownload or Upload into the queue; durable before it returns. Faults 9001 to
    /// 9004 and 9013; an internal one is told as 9002.
    fn transfer(&mut self, asked: Asked) -> Result<(), Fault>;
    /// Cancels what waits of this CommandKey, if anything; durable before it returns; 9021 when something
    /// of it cannot be stopped any more.
    fn cancel_transfer(&mut self, command_key: &str) -> Result<(), Fault>;
    /// All transfers that were asked for and not told of yet, at most 16, in the order in which they were
    /// asked for.
    fn queued_transfers(&mut self) -> Vec<Queued>;
    /// Everything the Inform says; fixes the set of events that this session delivers.
    fn inform(&mut self) -> InformFacts;
    /// InformResponse came with HTTP 200: what the Inform said is delivered (V-23), durable.
    fn inform_delivered(&mut self);
    /// The next request that the agent has for the ACS; asked for when one may go out (C-11 to C-13).
    /// It gives only methods that the ACS may know (C-18) and that the session's namespace has
    /// ([`AgentRequest::is_in`]). Each is given once in a session; what must be known of it after a power cut
    /// is durable before this returns.
    fn next_request(&mut self, namespace: Namespace) -> Option<AgentRequest>;
    /// What became of a request that [`Host::next_request`] gave. A session that fails says nothing:
    /// what was out then was not answered.
    fn answered(&mut self, request: &AgentRequest, answer: AcsAnswer);
}
