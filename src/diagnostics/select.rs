//! Device.IP.Diagnostics.ServerSelectionDiagnostics: which of some hosts answers fastest.

use super::run::{Canceled, Run};
use super::{Job, Kind, Report};

/// Its entry of [`super::KINDS`].
pub const KIND: Kind = Kind {
    object: "Device.IP.Diagnostics.ServerSelectionDiagnostics.",
    word: "select",
    run,
    judge: super::any,
};

fn run(_: &Job, _: &mut Run) -> Result<Report, Canceled> {
    Ok(Report::error("Error_Internal", "not yet"))
}
