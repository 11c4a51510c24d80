//! Transfers, in the second ring: the shipped daemon between the scripted ACS and a file server that
//! misbehaves. What a bad day must come to is the FaultCode that the ACS is told.

#[path = "../acs/mod.rs"]
mod acs;
mod banks;
mod bed;
#[path = "../daemon/mod.rs"]
mod daemon;
mod detached;
mod disk;
#[path = "../files/mod.rs"]
mod files;
mod firmware;
mod hooks;
mod inconvenient;
mod local;
mod power;
mod promises;
mod queue;
mod reports;
mod secrets;
mod wire;

use std::time::Duration;

/// When a test gives up.
const SOON: Duration = Duration::from_secs(30);
