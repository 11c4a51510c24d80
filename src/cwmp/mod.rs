//! PURE: TR-069's session, RPCs, events, Inform and schedule. Nothing here opens a socket or reads
//! a clock; time comes in as [`crate::sys::clock::Now`], the tree behind the [`session::Host`] trait.

mod asking;
pub mod discovery;
pub mod events;
pub(crate) mod fields;
mod host;
pub mod inform;
mod methods;
pub mod reboots;
pub mod rpc;
pub mod schedule;
pub mod session;
pub mod transfers;
pub mod trial;
pub mod trigger;
