//! Thin wrappers around the system.

pub mod clock;
pub mod host;
pub mod file;
pub mod kernel_file;
pub mod netlink;
