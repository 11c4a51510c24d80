//! The running daemon.

pub mod control;
