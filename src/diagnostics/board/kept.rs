//! What a restart of the daemon knows of a test: as text, made and read without any I/O.
//!
//! The ACS was promised a result when it was answered with Status 0. So a test that waited is asked for again, and
//! one that ran ends with an error that says so: was it what ended the daemon, it shall not do so again and again.

use super::{Board, NONE, Report, Test, bounded};
use crate::diagnostics::{KINDS, Kind, Record};
use crate::model::builtin::{builtin, text};
use serde_json::{Value, json};

/// The most bytes that are kept of one test: of a larger one the tables are left out.
pub const MAX_KEPT: usize = 64 * 1024;

impl Board {
    /// Tests of which a restart is to know something else than before; each is named once.
    pub fn take_unkept(&mut self) -> Vec<&'static Kind> {
        let mut taken = Vec::new();
        for kind in KINDS {
            if let Some(test) = self.tests.get_mut(kind.object).filter(|test| test.is_unkept) {
                test.is_unkept = false;
                taken.push(kind);
            }
        }
        taken
    }

    /// What a restart is to know of a test; `None` for one of which nothing is known.
    pub fn record(&self, kind: &Kind) -> Option<String> {
        let test = self.tests.get(kind.object)?;
        let whole = record(test, true);
        match whole.len() <= MAX_KEPT {
            true => Some(whole),
            false => Some(record(test, false)).filter(|text| text.len() <= MAX_KEPT),
        }
    }

    /// Takes over what was kept of a test. True when it has ended by the restart: that is an event (DG-2). What
    /// cannot be read is passed over.
    pub fn restore(&mut self, kind: &'static Kind, kept: &str) -> bool {
        let Some(value) = Some(kept).filter(|kept| kept.len() <= MAX_KEPT) else { return false };
        let Ok(value) = serde_json::from_str::<Value>(value) else { return false };
        let Some(report) = report(kind, &value) else { return false };
        let test = Test { report, is_valid: value["valid"] == true, ..Test::default() };
        self.tests.insert(kind.object, test);
        if let Some(number) = value["asked"].as_u64() {
            // Those that wait keep their order.
            let number = u32::try_from(number).unwrap_or(u32::MAX / 2);
            self.asked = self.asked.max(number);
            if let Some(test) = self.tests.get_mut(kind.object) {
                test.asked = Some(number);
            }
        } else if value["runs"] == true {
            // This object knows no other error.
            let state = if kind.object.starts_with("Device.WiFi.") { "Error" } else { "Error_Internal" };
            let why = "the agent was started anew while the test ran";
            let test = Test { report: Report::error(state, why), is_valid: true, ..Test::default() };
            self.tests.insert(kind.object, Test { is_unkept: true, ..test });
            return true;
        }
        false
    }
}

fn record(test: &Test, with_tables: bool) -> String {
    let row =
        |row: &Record| Value::from(row.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>());
    let tables = test.report.tables.iter().filter(|_| with_tables);
    let tables = tables.map(|(name, rows)| json!([name, rows.iter().map(row).collect::<Vec<_>>()]));
    json!({
        "state": test.report.state,
        "valid": test.is_valid,
        "asked": test.asked,
        "runs": test.running.is_some(),
        "values": row(&test.report.values),
        "tables": tables.collect::<Vec<_>>(),
    })
    .to_string()
}

/// Names are those of the data model's tables; others are left out.
fn report(kind: &Kind, value: &Value) -> Option<Report> {
    let schema = builtin();
    let object = schema.find_object(kind.object)?;
    let states = object.param("DiagnosticsState")?;
    let state = value["state"].as_str()?;
    let known = schema.kinds.get(usize::from(states.row().kind))?.words;
    let mut words = schema.words.get(usize::from(known.0)..usize::from(known.1))?.iter();
    let state = match state {
        "" => "",
        "Complete" => "Complete",
        state => {
            let word = words.find_map(|word| text(*word).filter(|w| w.split('@').next() == Some(state)))?;
            word.split('@').next()?
        }
    };
    if state == NONE {
        return None;
    }
    let row = |of: &str, value: &Value| -> Option<Record> {
        let object = schema.find_object(of)?;
        let mut record = Record::new();
        for pair in value.as_array()? {
            let (name, value) = (pair[0].as_str()?, pair[1].as_str()?);
            if let Some(name) = object.param(name).and_then(|param| text(param.row().name)) {
                record.push((name, value.to_owned()));
            }
        }
        Some(record)
    };
    let mut report = Report { state, values: row(kind.object, &value["values"])?, ..Report::default() };
    for table in value["tables"].as_array()? {
        let path = format!("{}{}.{{i}}.", kind.object, table[0].as_str()?);
        let Some(object) = schema.find_object(&path) else { continue };
        let name = text(object.row().path)?.strip_prefix(kind.object)?.trim_end_matches(".{i}.");
        let rows = table[1].as_array()?.iter().map(|value| row(&path, value));
        report.tables.push((name, rows.collect::<Option<_>>()?));
    }
    Some(bounded(report))
}
