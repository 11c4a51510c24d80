//! Device.PeriodicStatistics at work: what the tree says is to be sampled, and when.

use super::engine::Engine;
use super::host::Core;
use crate::handlers::statistics::sampler::{
    Calculation, MAX_BOUNDARIES, MAX_PARAMETERS, MAX_REPORT_SAMPLES, MAX_SETS, MIN_SAMPLE_INTERVAL, Mode,
    Moment, Parameter, Settings,
};
use crate::sys::clock::{self, Now};
use std::time::Duration;

const OBJECT: &str = "Device.PeriodicStatistics.";
/// Values that are read of all that the ACS made: more are rows that are not sampled.
const MAX_VALUES: usize = 40 * MAX_SETS * MAX_PARAMETERS;

fn moment(now: Now) -> Moment {
    Moment { mono: now.mono, wall: now.clock_set.then_some(now.wall) }
}

/// One value of the tree into what is to be sampled. Rows come before what stands in them.
fn take(sets: &mut Vec<(bool, Settings)>, parameters: &mut Vec<(bool, Parameter)>, path: &str, value: &str) {
    let mut words = path.split('.');
    let (Some(Ok(set)), Some(word)) = (words.next().map(str::parse::<u32>), words.next()) else { return };
    if sets.last().is_none_or(|(_, s)| s.number != set) {
        close(sets, parameters);
        sets.push((false, Settings { number: set, ..Settings::default() }));
    }
    let Some((enabled, settings)) = sets.last_mut() else { return };
    let number = || value.parse().unwrap_or(1);
    match word {
        "Enable" => *enabled = value == "true",
        "SampleInterval" => settings.interval = number(),
        "ReportSamples" => settings.samples = number(),
        "FetchSamples" => settings.fetch = number(),
        "TimeReference" => settings.time = clock::known(value),
        "Parameter" => {
            let (Some(Ok(number)), Some(name)) = (words.next().map(str::parse::<u32>), words.next()) else {
                return;
            };
            if parameters.last().is_none_or(|(_, p)| p.number != number) {
                parameters.push((false, Parameter { number, ..Parameter::default() }));
            }
            if let Some(last) = parameters.last_mut() {
                of_parameter(last, name, value);
            }
        }
        _ => {}
    }
}

fn of_parameter((enabled, parameter): &mut (bool, Parameter), name: &str, value: &str) {
    let number = || value.parse::<i64>().unwrap_or(0);
    match name {
        "Enable" => *enabled = value == "true",
        "Reference" => value.clone_into(&mut parameter.reference),
        "SampleMode" => parameter.mode = if value == "Change" { Mode::Change } else { Mode::Current },
        "CalculationMode" => {
            parameter.calculation = match value {
                "Minimum" => Calculation::Minimum,
                "Maximum" => Calculation::Maximum,
                "Average" => Calculation::Average,
                "Histogram" => Calculation::Histogram,
                _ => Calculation::Latest,
            }
        }
        "LowThreshold" => parameter.thresholds = Some((number(), 0)),
        "HighThreshold" => {
            let low = parameter.thresholds.map_or(0, |(low, _)| low);
            parameter.thresholds = Some((low, number())).filter(|(low, high)| low != high);
        }
        "HistogramBinBoundaries" => parameter.boundaries = boundaries(value).unwrap_or_default(),
        _ => {}
    }
}

/// The parameters read so far are those of the set read last.
fn close(sets: &mut [(bool, Settings)], parameters: &mut Vec<(bool, Parameter)>) {
    let all = std::mem::take(parameters).into_iter();
    if let Some((_, settings)) = sets.last_mut() {
        let sampled = all.filter(|(enabled, p)| *enabled && !p.reference.is_empty()).map(|(_, p)| p);
        settings.parameters = sampled.take(MAX_PARAMETERS).collect();
    }
}

/// Boundaries of bins: whole numbers that ascend; `None` when they do not.
fn boundaries(text: &str) -> Option<Vec<i64>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let numbers: Vec<i64> = items.map(|item| item.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() <= MAX_BOUNDARIES && numbers.is_sorted_by(|a, b| a < b)).then_some(numbers)
}

/// Judges a value of SampleSet.{i} beyond its type.
pub fn judge(parameter: &str, value: &str) -> Result<(), String> {
    let number: u32 = value.parse().unwrap_or(0);
    match parameter {
        "SampleInterval" if number < MIN_SAMPLE_INTERVAL => Err(format!("less than {MIN_SAMPLE_INTERVAL} s")),
        "ReportSamples" if number > MAX_REPORT_SAMPLES => Err(format!("more than {MAX_REPORT_SAMPLES}")),
        "Parameter.{i}.HistogramBinBoundaries" if boundaries(value).is_none() => {
            Err(format!("not whole numbers that ascend, or more than {MAX_BOUNDARIES}"))
        }
        _ => Ok(()),
    }
}

impl Core {
    /// Reads what is to be sampled.
    pub fn follow_statistics(&mut self, now: Now) {
        self.tree.begin_rpc();
        let count = self.tree.value(&format!("{OBJECT}SampleSetNumberOfEntries"));
        let mut sets = Vec::new();
        if count.is_some_and(|n| n != "0") {
            let mut parameters = Vec::new();
            let table = format!("{OBJECT}SampleSet.");
            for (path, _, value) in self.read(std::slice::from_ref(&table), MAX_VALUES) {
                take(&mut sets, &mut parameters, path.strip_prefix(&*table).unwrap_or(""), &value);
            }
            close(&mut sets, &mut parameters);
        }
        let wanted = sets.into_iter().filter(|(enabled, _)| *enabled).map(|(_, settings)| settings);
        let sampler = self.facts.borrow().sampler.clone();
        sampler.borrow_mut().follow(wanted.collect(), moment(now));
    }

    /// Samples what is due. Says when to look again, and whether somebody may want to hear of it.
    fn sample(&mut self, now: Now) -> (Option<Duration>, bool) {
        let shared = self.facts.borrow().sampler.clone();
        if shared.borrow().next().is_none_or(|at| at > now.mono) {
            return (shared.borrow().next(), false);
        }
        if !shared.borrow().forced.is_empty() {
            // Perhaps asked for in one breath with the set itself.
            self.follow_statistics(now);
        }
        // Read first: what is sampled may be a sample, which the tree finds where it is kept.
        let wanted = shared.borrow().wants(moment(now));
        self.tree.begin_rpc();
        let values: Vec<Option<String>> = wanted.iter().map(|path| self.tree.value(path)).collect();
        let value = |path: &str| values.get(wanted.iter().position(|w| w == path)?)?.clone();
        let full = shared.borrow_mut().turn(moment(now), &mut |path| value(path));
        let next = shared.borrow().next();
        // From Enabled to Trigger and back in one moment: the ACS hears of a change, and reads Enabled.
        let told: Vec<(String, u64)> =
            full.iter().map(|set| (format!("{OBJECT}SampleSet.{set}.Status"), 0)).collect();
        if !told.is_empty() {
            self.tree.reported(&told);
        }
        (next, true)
    }
}

impl Engine {
    /// Samples what is due; says when to look again.
    pub(super) fn statistics_turn(&mut self, now: Now) -> Option<Duration> {
        let (next, sampled) = self.core.sample(now);
        if sampled {
            self.ring();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_settings() {
        let (mut sets, mut parameters) = (Vec::new(), Vec::new());
        for line in [
            "1.Enable=true",
            "1.SampleInterval=60",
            "1.ReportSamples=5",
            "1.TimeReference=2026-10-01T12:00:00Z",
            "1.FetchSamples=5",
            "1.Parameter.2.Enable=true",
            "1.Parameter.2.Reference=Device.DeviceInfo.UpTime",
            "1.Parameter.2.SampleMode=Change",
            "1.Parameter.2.CalculationMode=Histogram",
            "1.Parameter.2.LowThreshold=-5",
            "1.Parameter.2.HighThreshold=7",
            "1.Parameter.2.HistogramBinBoundaries=1, 5",
            "1.Parameter.3.Enable=false",
            "1.Parameter.3.Reference=Device.X",
            "1.Parameter.4.Enable=true",
            "1.Parameter.4.Reference=",
            "7.Enable=false",
            "7.Parameter.2.Enable=true",
            "7.Parameter.2.Reference=Device.Y",
            "7.Parameter.2.LowThreshold=3",
            "7.Parameter.2.HighThreshold=3",
        ] {
            let (path, value) = line.split_once('=').unwrap();
            take(&mut sets, &mut parameters, path, value);
        }
        close(&mut sets, &mut parameters);
        let wanted = Settings {
            number: 1,
            interval: 60,
            samples: 5,
            fetch: 5,
            time: Some(1_790_856_000),
            parameters: vec![Parameter {
                number: 2,
                reference: "Device.DeviceInfo.UpTime".into(),
                mode: Mode::Change,
                calculation: Calculation::Histogram,
                thresholds: Some((-5, 7)),
                boundaries: vec![1, 5],
            }],
        };
        assert_eq!(sets.first(), Some(&(true, wanted)));
        let (enabled, second) = &sets[1];
        assert_eq!((*enabled, second.number, second.parameters[0].thresholds), (false, 7, None));
    }

    #[test]
    fn no_more_parameters_than_can_be() {
        let (mut sets, mut parameters) = (Vec::new(), Vec::new());
        for n in 1..=MAX_VALUES {
            take(&mut sets, &mut parameters, &format!("1.Parameter.{n}.Enable"), "true");
            take(&mut sets, &mut parameters, &format!("1.Parameter.{n}.Reference"), "Device.X");
        }
        close(&mut sets, &mut parameters);
        assert_eq!(sets[0].1.parameters.len(), MAX_PARAMETERS);
    }

    #[test]
    fn what_cannot_be_sampled() {
        for (parameter, value, fits) in [
            ("SampleInterval", "9", false),
            ("SampleInterval", "10", true),
            ("ReportSamples", "97", false),
            ("ReportSamples", "96", true),
            ("Parameter.{i}.HistogramBinBoundaries", "", true),
            ("Parameter.{i}.HistogramBinBoundaries", "-1, 0,5", true),
            ("Parameter.{i}.HistogramBinBoundaries", "1,1", false),
            ("Parameter.{i}.HistogramBinBoundaries", "2,1", false),
            ("Parameter.{i}.HistogramBinBoundaries", "a", false),
            ("FetchSamples", "0", true),
        ] {
            assert_eq!(judge(parameter, value).is_ok(), fits, "{parameter} {value}");
        }
        let many = (0..=MAX_BOUNDARIES).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert!(judge("Parameter.{i}.HistogramBinBoundaries", &many).is_err());
    }
}
