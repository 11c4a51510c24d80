//! The running daemon.

pub mod control;

use crate::config::Config;
use std::fmt;
use std::path::PathBuf;

/// Why the daemon could not start, or could not go on.
#[derive(Debug)]
pub struct RunError(pub String);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}

/// Runs the daemon until SIGTERM; `file` is read again on SIGHUP.
///
/// # Errors
/// It could not start, or could not go on.
pub fn run(_config: Config, _file: PathBuf) -> Result<(), RunError> {
    Err(RunError("the engine is not part of this build yet".into()))
}
