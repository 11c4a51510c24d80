//! Thin wrappers around the system.

pub mod bells;
pub mod child;
pub mod clock;
pub mod command;
pub mod crc;
pub mod file;
pub mod hash;
pub mod host;
pub mod kernel_file;
pub mod netlink;
pub mod order;
pub mod sorted;
pub mod spawn;
pub mod tar;
pub mod trace;
pub mod ubus;
pub mod uci;
pub mod unpack;
pub mod watch;
pub mod x509;
