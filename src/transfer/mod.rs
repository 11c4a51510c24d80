//! What a transfer does to files of this device, between the moment they are fetched and the report.

pub mod verify;
pub mod worker;
