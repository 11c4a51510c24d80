//! x
use super::run::{Canceled, Run};
use super::{Job, Kind, Report};
/// x
pub const KIND: Kind = Kind { object: "Device.PacketCaptureDiagnostics.", word: "capture", run, judge: super::any };
/// x
pub const RUN_DIR: &str = "run_dir";
/// x
pub const ALLOWED: &str = "allowed";
fn run(_: &Job, _: &mut Run) -> Result<Report, Canceled> { Ok(Report::error("Error", "")) }
