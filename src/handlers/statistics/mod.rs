//! Provider `statistics`: what the agent has sampled for Device.PeriodicStatistics. What is to be sampled is kept by
//! the tree (`store`); the engine reads it there and has the [`sampler`] follow.

pub mod sampler;

use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::model::kind::forms::percent_encoded;
use crate::sys::clock;
use sampler::{Calculation, Sampler, Series, Set};
use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

/// The provider.
pub struct Statistics {
    /// Filled by the engine.
    pub sampler: Rc<RefCell<Sampler>>,
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|i| i.to_string()).collect::<Vec<_>>().join(",")
}

fn time(seconds: Option<i64>) -> String {
    seconds.map_or(clock::UNKNOWN_TIME.to_owned(), clock::utc)
}

fn of_set(set: Option<&Set>, name: &str) -> Option<String> {
    Some(match (name, set) {
        ("MinSampleInterval", _) => sampler::MIN_SAMPLE_INTERVAL.to_string(),
        ("MaxReportSamples", _) => sampler::MAX_REPORT_SAMPLES.to_string(),
        ("ForceSample", _) => "false".to_owned(),
        ("Status", None) => "Disabled".to_owned(),
        ("Status", Some(_)) => "Enabled".to_owned(),
        ("ReportStartTime", Some(set)) => time(set.report_start()),
        ("ReportEndTime", Some(set)) => time(set.report_end()),
        ("SampleSeconds", Some(set)) => list(set.samples.iter().map(|s| s.0)),
        _ => return None,
    })
}

fn of_series(series: &Series, name: &str) -> Option<String> {
    let is_histogram = series.settings.calculation == Calculation::Histogram;
    Some(match name {
        "SampleSeconds" => list(series.values.iter().map(|v| v.seconds)),
        "SuspectData" => list(series.values.iter().map(|v| u8::from(v.suspect))),
        "Values" if !is_histogram => list(series.values.iter().map(|v| percent_encoded(&v.text))),
        // TR-106: a list within a list stands in brackets.
        "ValuesIfHistogram" if is_histogram => list(series.values.iter().map(|v| format!("[{}]", v.text))),
        "Failures" => series.failures.to_string(),
        _ => return None,
    })
}

impl Handler for Statistics {
    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) -> Result<(), Failure> {
        Ok(())
    }

    fn get(
        &mut self,
        _: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let sampler = self.sampler.borrow();
        for (i, want) in want.iter().enumerate() {
            let name = want.param.name();
            let value = match row.numbers {
                [set, parameter] => sampler.series(*set, *parameter).and_then(|s| of_series(s, name)),
                [set] => of_set(sampler.set(*set), name),
                _ => of_set(None, name),
            };
            if let Some(value) = value {
                out.put(i, value);
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    /// ForceSample, the only one that is written.
    fn commit(&mut self, _: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        if let (Change::Set(sets), [number]) = (change, row.numbers)
            && sets.iter().any(|s| s.value == "true")
        {
            let forced = &mut self.sampler.borrow_mut().forced;
            if !forced.contains(number) {
                forced.push(*number);
            }
        }
        Ok(())
    }

    fn undo(&mut self, _: &Ctx<'_>, row: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        self.sampler.borrow_mut().forced.retain(|n| Some(n) != row.numbers.first());
        Ok(())
    }

    /// The engine looks when it has sampled.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, _: &mut dyn FnMut(Bell)) {}
}
