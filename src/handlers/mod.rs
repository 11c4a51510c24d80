//! Where values live.

pub mod agent;
pub mod linux;
pub mod natives;
#[cfg(test)]
pub mod probe;
pub mod reading;
