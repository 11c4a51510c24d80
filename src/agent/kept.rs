//! Tests over a restart of the daemon: what is known of each lies in `run_dir/diagnostics`, in a file of its own that
//! a boot does not find (DG-6). Losing one costs a result, and nothing else.

use super::host::Core;
use crate::cwmp::events;
use crate::diagnostics::board::{Board, MAX_KEPT};
use crate::diagnostics::{KINDS, Kind};
use crate::sys::file;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder in `run_dir`.
const FOLDER: &str = "diagnostics";

fn place(run_dir: &Path, kind: &Kind) -> PathBuf {
    run_dir.join(FOLDER).join(kind.word)
}

impl Core {
    /// Writes down what has become of tests since the last time, before anybody is told of it.
    pub(super) fn keep_diagnoses(&mut self) {
        let board = self.facts.borrow().board.clone();
        let mut board = board.borrow_mut();
        let run_dir = &self.config.run_dir;
        for kind in board.take_unkept() {
            let path = place(run_dir, kind);
            let done = match board.record(kind) {
                Some(text) => file::own_folder(&run_dir.join(FOLDER))
                    .and_then(|()| file::replace(&path, text.as_bytes(), 0o600)),
                // Too much to be kept: what was there before is another test's end.
                None => fs::remove_file(&path),
            };
            if let Err(error) = done {
                log::debug!("{}: {error}: a restart will not know of this test", path.display());
            }
        }
    }

    /// Takes up what was kept; after a boot nothing is. A test that the restart has ended is told (DG-2).
    pub(super) fn take_up_diagnoses(&mut self, is_boot: bool) {
        let board = self.facts.borrow().board.clone();
        if is_boot {
            *board.borrow_mut() = Board::default();
            let _ = fs::remove_dir_all(self.config.run_dir.join(FOLDER)); // mostly it is not there
            return;
        }
        for kind in KINDS {
            let Some(text) = kept(&place(&self.config.run_dir, kind)) else { continue };
            if board.borrow_mut().restore(kind, &text) {
                log::warn!("{} ran while the agent was started anew", kind.object);
                self.queue.add(events::DIAGNOSTICS_COMPLETE, "");
            }
        }
        self.keep_diagnoses();
    }
}

fn kept(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_KEPT as u64 + 1).read_to_string(&mut text).ok()?;
    Some(text)
}
