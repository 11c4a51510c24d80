//! Thin wrappers around the system.

pub mod clock;
pub mod host;
pub mod file;
