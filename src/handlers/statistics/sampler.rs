//! The sampling of Device.PeriodicStatistics, without clock and tree: what is to be sampled, when, and what was.
//!
//! A sample covers an interval. Its value is the parameter's at the end, or, where a calculation over the interval
//! is asked for, one of several looks at it, [`LOOKS`] an interval, but never more often than
//! [`MIN_SAMPLE_INTERVAL`]. Samples are in memory only: a flash is not worn out by them, and a start begins anew.

use std::collections::VecDeque;
use std::time::Duration;

/// MinSampleInterval, seconds.
pub const MIN_SAMPLE_INTERVAL: u32 = 10;
/// MaxReportSamples.
pub const MAX_REPORT_SAMPLES: u32 = 96;
/// How many enabled sets are sampled; the others show Disabled.
pub const MAX_SETS: usize = 8;
/// How many enabled parameters of a set are sampled.
pub const MAX_PARAMETERS: usize = 32;
/// The longest value that is kept, in characters; what is longer is cut there and marked as suspect.
pub const MAX_VALUE: usize = 64;
/// How many boundaries a histogram has at most.
pub const MAX_BOUNDARIES: usize = 16;
/// Looks at a parameter in an interval, where a calculation needs them.
const LOOKS: u32 = 12;
/// Wall clock against monotonic clock: what differs by more seconds is a jump.
const JUMP: u64 = 2;

/// A moment: monotonic, and the wall clock where it is believed, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Since boot.
    pub mono: Duration,
    /// Seconds since 1970.
    pub wall: Option<i64>,
}

/// SampleMode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// The value.
    #[default]
    Current,
    /// By how much it differs from the sample before.
    Change,
}

/// CalculationMode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // the names are the standard's
pub enum Calculation {
    #[default]
    Latest,
    Minimum,
    Maximum,
    Average,
    Histogram,
}

/// An enabled row of SampleSet.{i}.Parameter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameter {
    /// Its instance number.
    pub number: u32,
    /// A full path.
    pub reference: String,
    /// SampleMode
    pub mode: Mode,
    /// CalculationMode
    pub calculation: Calculation,
    /// LowThreshold and HighThreshold; none while they are equal.
    pub thresholds: Option<(i64, i64)>,
    /// HistogramBinBoundaries, ascending: a bin below the first, between two, and from the last on.
    pub boundaries: Vec<i64>,
}

/// An enabled row of SampleSet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Its instance number.
    pub number: u32,
    /// SampleInterval, seconds, at least 1.
    pub interval: u32,
    /// ReportSamples, at least 1.
    pub samples: u32,
    /// FetchSamples; 0 for no trigger.
    pub fetch: u32,
    /// TimeReference, seconds since 1970; `None` for Unknown Time: intervals begin when sampling does.
    pub time: Option<i64>,
    /// Its enabled parameters.
    pub parameters: Vec<Parameter>,
}

/// One sample of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// As text; of a histogram the counts of its bins with commas between.
    pub text: String,
    /// For so many seconds of the interval it was known.
    pub seconds: u32,
    /// The data may not say what they seem to.
    pub suspect: bool,
}

/// What was sampled of a parameter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// What is asked for.
    pub settings: Parameter,
    /// Oldest first, as many as the set has.
    pub values: VecDeque<Value>,
    /// How often a sample came to be out of range.
    pub failures: u32,
    /// -1 below, 0 in range, 1 above.
    range: i8,
    /// The value at the end of the interval before, for [`Mode::Change`].
    before: Option<i64>,
    seen: Seen,
}

/// What was seen of a parameter in the interval under way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Seen {
    latest: Option<String>,
    least: Option<i64>,
    greatest: Option<i64>,
    sum: i128,
    count: u32,
    bins: Vec<u32>,
    /// A look at it found nothing, or no number where one is needed.
    missed: bool,
}

/// What was sampled of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// What is asked for.
    pub settings: Settings,
    /// By its parameters.
    pub series: Vec<Series>,
    /// Seconds of each sample's interval, and the wall clock at its end; oldest first.
    pub samples: VecDeque<(u32, Option<i64>)>,
    /// When sampling began; `None` where the clock was not set.
    pub began: Option<i64>,
    /// Of the interval under way.
    interval: Moment,
    /// Monotonic: when it ends, and when is looked in between.
    due: Duration,
    look: Option<Duration>,
    /// Samples since the last trigger.
    collected: u32,
}

impl Set {
    fn new(settings: Settings, now: Moment) -> Set {
        let series = settings.parameters.iter().map(|p| Series { settings: p.clone(), ..Series::default() });
        let mut set = Set {
            series: series.collect(),
            samples: VecDeque::new(),
            began: now.wall,
            interval: now,
            due: Duration::ZERO,
            look: None,
            collected: 0,
            settings,
        };
        set.begin(now);
        set
    }

    /// When the report begins: at the start of its first sample's interval; while there is none, of sampling.
    pub fn report_start(&self) -> Option<i64> {
        match self.samples.front() {
            Some((seconds, end)) => end.map(|end| end - i64::from(*seconds)),
            None => self.began,
        }
    }

    /// When it ends: with its last sample.
    pub fn report_end(&self) -> Option<i64> {
        self.samples.back().and_then(|(_, end)| *end)
    }

    /// An interval begins.
    fn begin(&mut self, now: Moment) {
        let interval = i64::from(self.settings.interval.max(1));
        let left = match (self.settings.time, now.wall) {
            // R: intervals end at the reference time plus and minus whole intervals.
            (Some(time), Some(wall)) => interval - wall.saturating_sub(time).rem_euclid(interval),
            _ => interval,
        };
        self.interval = now;
        self.due = now.mono + Duration::from_secs(left.unsigned_abs());
        self.plan_look(now);
    }

    fn plan_look(&mut self, now: Moment) {
        let calculates = |p: &Parameter| p.calculation != Calculation::Latest;
        let step = (self.settings.interval / LOOKS).max(MIN_SAMPLE_INTERVAL);
        let next = now.mono + Duration::from_secs(step.into());
        self.look = (self.settings.parameters.iter().any(calculates) && next < self.due).then_some(next);
    }

    /// When something is to be done for it.
    fn next(&self) -> Duration {
        self.look.map_or(self.due, |look| look.min(self.due))
    }

    fn look(&mut self, read: &mut Read<'_>) {
        for series in &mut self.series {
            series.look(read(&series.settings.reference));
        }
    }

    /// The interval ends. True when the ACS is to fetch what there is.
    fn sample(&mut self, now: Moment, read: &mut Read<'_>) -> bool {
        self.look(read);
        let elapsed = now.mono.saturating_sub(self.interval.mono);
        // A moment too early is no second too few.
        let seconds = elapsed.as_millis().div_ceil(1000).try_into().unwrap_or(u32::MAX);
        let jumped = match (now.wall, self.interval.wall) {
            (Some(end), Some(start)) => (end - start).abs_diff(elapsed.as_secs() as i64) > JUMP,
            (end, start) => end.is_some() != start.is_some(),
        };
        let most = self.settings.samples.clamp(1, MAX_REPORT_SAMPLES) as usize;
        for series in &mut self.series {
            series.sample(seconds, jumped);
            cut(&mut series.values, most);
        }
        self.samples.push_back((seconds, now.wall));
        cut(&mut self.samples, most);
        self.begin(now);
        self.collected += 1;
        let fetch = self.settings.fetch;
        let is_full = (1..=self.settings.samples).contains(&fetch) && self.collected >= fetch;
        if is_full {
            self.collected = 0;
        }
        is_full
    }
}

fn cut<T>(list: &mut VecDeque<T>, most: usize) {
    while list.len() > most {
        list.pop_front();
    }
}

/// A number in a value; what does not fit is the nearest that does.
fn number(text: &str) -> Option<i64> {
    let whole: i128 = match text {
        "true" => 1,
        "false" => 0,
        text => text.parse().ok()?,
    };
    Some(whole.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

impl Series {
    fn look(&mut self, value: Option<String>) {
        let needs_number =
            self.settings.mode == Mode::Change || !matches!(self.settings.calculation, Calculation::Latest);
        let found = value.as_deref().and_then(number);
        let seen = &mut self.seen;
        seen.missed |= value.is_none() || (needs_number && found.is_none());
        seen.latest = value;
        let Some(n) = found else { return };
        seen.least = Some(seen.least.map_or(n, |m| m.min(n)));
        seen.greatest = Some(seen.greatest.map_or(n, |m| m.max(n)));
        seen.sum += i128::from(n);
        seen.count += 1;
        let boundaries = &self.settings.boundaries;
        seen.bins.resize(boundaries.len() + 1, 0);
        let bin = boundaries.iter().take_while(|b| **b <= n).count();
        if let Some(count) = seen.bins.get_mut(bin) {
            *count += 1;
        }
    }

    fn sample(&mut self, seconds: u32, jumped: bool) {
        let seen = std::mem::take(&mut self.seen);
        let latest = seen.latest.as_deref().and_then(number);
        let mut suspect = seen.missed || jumped;
        let calculated = match self.settings.calculation {
            Calculation::Latest | Calculation::Histogram => latest,
            Calculation::Minimum => seen.least,
            Calculation::Maximum => seen.greatest,
            Calculation::Average => {
                let mean = seen.sum.checked_div(i128::from(seen.count));
                mean.and_then(|mean| i64::try_from(mean).ok())
            }
        };
        let value = match (self.settings.mode, calculated) {
            (Mode::Current, n) => n,
            (Mode::Change, Some(n)) => {
                // A counter that began anew has counted what it says.
                let before = self.before.replace(n);
                suspect |= before.is_none_or(|b| b > n);
                Some(before.map_or(0, |b| n.saturating_sub(b)))
            }
            (Mode::Change, None) => {
                self.before = None;
                None
            }
        };
        let text = match (self.settings.calculation, value) {
            (Calculation::Histogram, _) => {
                let mut bins = seen.bins;
                bins.resize(self.settings.boundaries.len() + 1, 0);
                bins.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
            }
            (Calculation::Latest, None) if self.settings.mode == Mode::Current => {
                let text = seen.latest.unwrap_or_default();
                let cut: String = text.chars().take(MAX_VALUE).collect();
                suspect |= cut.len() < text.len();
                cut
            }
            (_, value) => value.map(|n| n.to_string()).unwrap_or_default(),
        };
        if let Some(value) = value {
            self.judge(value);
        }
        self.values.push_back(Value { text, seconds, suspect });
    }

    /// Counts what leaves the range, on either side.
    fn judge(&mut self, value: i64) {
        let Some((low, high)) = self.settings.thresholds else { return };
        let range = if value <= low { -1 } else { i8::from(value >= high) };
        if range != 0 && range != self.range {
            self.failures = self.failures.saturating_add(1);
        }
        self.range = range;
    }
}

/// Reads a parameter's value; `None` when it is not there.
pub type Read<'r> = dyn FnMut(&str) -> Option<String> + 'r;

/// All sets that are sampled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sampler {
    sets: Vec<Set>,
    /// Instance numbers of sets of which a sample is wanted now (ForceSample).
    pub forced: Vec<u32>,
}

impl Sampler {
    /// Takes over what is asked for. What was sampled stays only while the same is asked for.
    pub fn follow(&mut self, wanted: Vec<Settings>, now: Moment) {
        let former = std::mem::take(&mut self.sets);
        for settings in wanted.into_iter().take(MAX_SETS) {
            let same = former.iter().find(|s| s.settings == settings).cloned();
            self.sets.push(same.unwrap_or_else(|| Set::new(settings, now)));
        }
    }

    /// When something is to be done, monotonic.
    pub fn next(&self) -> Option<Duration> {
        let forced = (!self.forced.is_empty()).then_some(Duration::ZERO);
        forced.or_else(|| self.sets.iter().map(Set::next).min())
    }

    /// What is read when all is done that is due.
    pub fn wants(&self, now: Moment) -> Vec<String> {
        let due = |s: &&Set| now.mono >= s.next() || self.forced.contains(&s.settings.number);
        let series = self.sets.iter().filter(due).flat_map(|s| &s.series);
        series.map(|s| s.settings.reference.clone()).collect()
    }

    /// Does what is due. Returns the instance numbers of the sets that the ACS is to fetch.
    pub fn turn(&mut self, now: Moment, read: &mut Read<'_>) -> Vec<u32> {
        let mut full = Vec::new();
        let forced = std::mem::take(&mut self.forced);
        for set in &mut self.sets {
            if now.mono >= set.due || forced.contains(&set.settings.number) {
                if set.sample(now, read) {
                    full.push(set.settings.number);
                }
            } else if set.look.is_some_and(|at| now.mono >= at) {
                set.look(read);
                set.plan_look(now);
            }
        }
        full
    }

    /// What was sampled of a set, by its instance number; `None` when it is not sampled.
    pub fn set(&self, number: u32) -> Option<&Set> {
        self.sets.iter().find(|s| s.settings.number == number)
    }

    /// What was sampled of a parameter of it.
    pub fn series(&self, set: u32, parameter: u32) -> Option<&Series> {
        self.set(set)?.series.iter().find(|s| s.settings.number == parameter)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
