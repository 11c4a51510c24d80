//! Where values live.

pub mod linux;
pub mod natives;
