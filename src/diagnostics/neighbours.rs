//! x
use super::run::{Canceled, Run};
use super::{Job, Kind, Report};
/// x
pub const KIND: Kind = Kind { object: "Device.WiFi.NeighboringWiFiDiagnostic.", word: "neighbours", run, judge: super::any };
/// x
pub const DEVICE: &str = "device";
/// x
pub const MAX_DEVICES: usize = 64;
fn run(_: &Job, _: &mut Run) -> Result<Report, Canceled> { Ok(Report::error("Error", "")) }
