//! Where values live.

pub mod natives;
