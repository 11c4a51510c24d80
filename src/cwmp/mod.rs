//! PURE: TR-069's session, RPCs, events, Inform and schedule. Nothing here opens a socket or reads
//! a clock; time comes in as [`crate::sys::clock::Now`], the tree behind the [`session::Host`] trait.

pub mod events;
mod fields;
pub mod inform;
pub mod rpc;
pub mod schedule;
pub mod session;
pub mod trial;
