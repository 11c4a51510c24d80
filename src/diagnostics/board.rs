//! What is known of every test: state and results, as the tree shows them (DG-1 to DG-6). No I/O, no clock.
//!
//! `Requested` only asks: the engine begins when no session runs ([`Board::next`]). Whatever takes a request back
//! while its test runs leaves it to the engine to end the test ([`Board::is_wanted`]); what it then reports is
//! told to nobody.

mod kept;
#[cfg(test)]
mod tests;

use super::{KINDS, Kind, MAX_ROWS, MAX_TEXT, Record, Report, kind};
use crate::sys::sorted::SortedMap;
pub use kept::MAX_KEPT;

/// State of a test that has not run, or was canceled.
pub const NONE: &str = "None";
/// State of a test that waits, or runs.
pub const REQUESTED: &str = "Requested";

/// Single packets of UDPEchoDiagnostics.
pub const PACKETS: &str = "IndividualPacketResult";
/// Tables that are told only while the state says what is in them (TR-143); others stay as results do.
const PASSING: [&str; 3] = [PACKETS, "PerConnectionResult", "IncrementalResult"];

/// One test.
#[derive(Default, PartialEq, Eq, Debug)]
struct Test {
    /// Results of the last run.
    report: Report,
    /// `report.state` counts: nothing was written since (DG-4).
    is_valid: bool,
    /// Waits to be begun; the number says in which order.
    asked: Option<u32>,
    /// The run under way that is still wanted.
    running: Option<u32>,
    /// What a restart is to know of it was not taken yet.
    is_unkept: bool,
}

/// All of them.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Board {
    tests: SortedMap<&'static str, Test>,
    asked: u32,
}

impl Board {
    /// DG-1, DG-5: a test is asked for; one that runs begins anew.
    pub fn ask(&mut self, kind: &'static Kind) {
        self.asked = self.asked.wrapping_add(1);
        let test = self.tests.entry(kind.object).or_default();
        test.asked = Some(self.asked);
        (test.running, test.is_unkept) = (None, true);
    }

    /// The request did not become true: the transaction it was in was undone.
    pub fn withdraw(&mut self, kind: &'static Kind) {
        if let Some(test) = self.tests.get_mut(kind.object) {
            (test.asked, test.is_unkept) = (None, true);
        }
    }

    /// DG-3, DG-4: canceled, or an argument was written. The state is None; results stay.
    pub fn cancel(&mut self, kind: &'static Kind) {
        if let Some(test) = self.tests.get_mut(kind.object) {
            (test.asked, test.running, test.is_valid) = (None, None, false);
            test.is_unkept = true;
        }
    }

    /// These were set, in one transaction: who has an argument among them and was not asked for in the same
    /// breath is canceled (DG-4).
    pub fn written<'a>(&mut self, names: impl Iterator<Item = &'a str> + Clone) {
        for kind in KINDS {
            let mut own = names.clone().filter_map(|name| name.strip_prefix(kind.object)).peekable();
            if own.peek().is_some() && !own.any(|name| name == "DiagnosticsState") {
                self.cancel(kind);
            }
        }
    }

    /// What is to be begun now: what was asked for first.
    pub fn next(&self) -> Option<&'static Kind> {
        let waiting = self.tests.iter().filter_map(|(object, test)| Some((test.asked?, *object)));
        kind(waiting.min()?.1)
    }

    /// It begins under this number: the results of the last run are gone (DG-6).
    pub fn begin(&mut self, kind: &'static Kind, run: u32) {
        let test = self.tests.entry(kind.object).or_default();
        *test = Test { running: Some(run), is_unkept: true, ..Test::default() };
    }

    /// Whether a run is still wanted.
    pub fn is_wanted(&self, run: u32) -> bool {
        self.tests.values().any(|test| test.running == Some(run))
    }

    /// A run has ended. True when that is an event (DG-2): not when it is not wanted any more (DG-3).
    pub fn end(&mut self, run: u32, report: Report) -> bool {
        let Some(test) = self.tests.values_mut().find(|test| test.running == Some(run)) else { return false };
        test.running = None;
        test.report = bounded(report);
        (test.is_valid, test.is_unkept) = (true, true);
        true
    }

    /// What DiagnosticsState reads.
    pub fn state(&self, kind: &Kind) -> &str {
        match self.tests.get(kind.object) {
            Some(test) if test.asked.is_some() || test.running.is_some() => REQUESTED,
            Some(test) if test.is_valid => test.report.state,
            _ => NONE,
        }
    }

    /// A result.
    pub fn value(&self, kind: &Kind, name: &str) -> Option<&str> {
        find(&self.tests.get(kind.object)?.report.values, name)
    }

    /// How many rows a table of results has.
    pub fn rows(&self, kind: &Kind, table: &str) -> usize {
        self.table(kind, table).map_or(0, <[Record]>::len)
    }

    /// A value of a row, the first of which is 1.
    pub fn cell(&self, kind: &Kind, table: &str, row: usize, name: &str) -> Option<&str> {
        find(self.table(kind, table)?.get(row.checked_sub(1)?)?, name)
    }

    fn table(&self, kind: &Kind, table: &str) -> Option<&[Record]> {
        let test = self.tests.get(kind.object)?;
        if PASSING.contains(&table) && [NONE, REQUESTED].contains(&self.state(kind)) {
            return None;
        }
        let tables = &test.report.tables;
        tables.iter().find(|(name, _)| *name == table).map(|(_, rows)| rows.as_slice())
    }
}

fn find<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// No test fills the memory with what a peer has sent.
fn bounded(mut report: Report) -> Report {
    let cut = |record: &mut Record| {
        for (_, value) in record {
            let end = (0..=MAX_TEXT.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
            value.truncate(end.unwrap_or(0));
        }
    };
    cut(&mut report.values);
    for (_, rows) in &mut report.tables {
        rows.truncate(MAX_ROWS);
        rows.iter_mut().for_each(cut);
    }
    report
}
