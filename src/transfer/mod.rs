//! What a transfer does to files of this device, between the moment they are fetched and the report.
//! It never touches the tree.

pub mod apply;
pub mod verify;
pub mod worker;
