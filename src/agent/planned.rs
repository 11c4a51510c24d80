//! Tests that run by themselves (`Device.X_…_ScheduledDiagnostics.{i}.`): what the tree says of them, and what becomes of
//! a run. One runs at a time, and what the ACS asks for goes before it.

use super::host::Core;
use super::start;
use crate::diagnostics::plan::cron::Cron;
use crate::diagnostics::plan::threshold::Threshold;
use crate::diagnostics::plan::{
    self, Around, MAX_ARGUMENTS, MAX_PLANS, MAX_THRESHOLDS, MIN_INTERVAL, Settings,
};
use crate::diagnostics::{self, Arguments, Kind, Report, capture};
use crate::model::builtin::VENDOR_PREFIX;
use crate::model::fault::{Code, Fault};
use crate::model::together::Misfits;
use crate::model::tree::Tree;
use crate::sys::clock::{self, Now};
use crate::sys::sorted::SortedMap;

/// Values that are read of all that the ACS made: no row that is run has more.
const MAX_READ: usize = MAX_PLANS * (24 + 4 * plan::MAX_RESULTS + 4 * MAX_ARGUMENTS + 10 * MAX_THRESHOLDS);

/// The table, with its final dot.
pub fn table() -> String {
    format!("Device.{VENDOR_PREFIX}ScheduledDiagnostics.")
}

/// One row as the tree has it: names behind its path, and values.
type Values = SortedMap<String, String>;

fn text<'a>(values: &'a Values, name: &str) -> &'a str {
    values.get(name).map_or("", String::as_str)
}

/// The instance numbers of a table in the row.
fn instances(values: &Values, table: &str) -> Vec<u32> {
    let number = |name: &String| name.strip_prefix(table)?.strip_prefix('.')?.split('.').next()?.parse().ok();
    let mut all: Vec<u32> = values.keys().filter_map(number).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The test of this name, with or without its final dot. A capture's result is a file, of which there is one.
fn kind_of(path: &str) -> Result<Option<&'static Kind>, String> {
    let object = format!("{}.", path.trim_end_matches('.'));
    match diagnostics::KINDS.iter().find(|kind| kind.object == object) {
        _ if path.is_empty() => Ok(None),
        Some(kind) if kind.object == capture::KIND.object => {
            Err("a capture of packets is not made by schedule".to_owned())
        }
        Some(kind) => Ok(Some(kind)),
        None => Err("this is the object of no test".to_owned()),
    }
}

/// Judges a value of a row by itself; `name` is behind the table's path and `{i}.`.
pub fn judge(name: &str, value: &str) -> Result<(), String> {
    match name {
        "Diagnostics" => kind_of(value).map(drop),
        "Interval" => match value.parse() {
            Ok(0u32) => Ok(()),
            Ok(seconds) if seconds >= MIN_INTERVAL => Ok(()),
            _ => Err(format!("less than {MIN_INTERVAL} s; 0 is by Schedule")),
        },
        "Schedule" if !value.is_empty() => Cron::parse(value).map(drop),
        _ => Ok(()),
    }
}

/// Judges a row as it will stand: each argument as if it were set in the test's object, and thresholds.
pub fn together(tree: &mut Tree, row: &str, set: &[(String, String)]) -> Result<(), Misfits> {
    let mut values = read(tree, row);
    let is_set = |name: &str| set.iter().any(|(own, _)| own == name);
    set.iter().for_each(|(name, value)| drop(values.insert(name.clone(), value.clone())));
    let kind = kind_of(text(&values, "Diagnostics")).unwrap_or(None);
    if let Some(kind) = kind {
        let own = own_arguments(&values);
        // A name whose value is still to come is judged by itself.
        let given: Vec<_> = own
            .iter()
            .filter(|(n, _, value)| !value.is_empty() || is_set(&format!("Argument.{n}.Value")))
            .cloned()
            .collect();
        let misfit = arguments(tree, kind, &given).map(drop).err();
        let name = own.iter().find_map(|(n, name, _)| argument(tree, kind, name).err().map(|why| (*n, why)));
        if let Some((number, why)) = misfit.or(name.map(|(n, why)| (Some(n), why))) {
            let mut names = vec!["Diagnostics".to_owned()];
            let whose = number.map_or_else(|| own.iter().map(|(n, ..)| *n).collect(), |n| vec![n]);
            for n in whose {
                names.extend([format!("Argument.{n}.Name"), format!("Argument.{n}.Value")]);
            }
            return Err((names, why));
        }
    }
    for number in instances(&values, "Threshold") {
        let path = format!("Threshold.{number}.");
        // One that is being made has nothing to hold a result against.
        let is_touched = set.iter().any(|(name, _)| name.starts_with(&path));
        if let (true, false, Err((name, why))) =
            (is_touched, text(&values, &format!("{path}Limit")).is_empty(), threshold(&values, number))
        {
            let other = if name == "Clear" { "Limit" } else { name };
            let names = [name, other, "Condition"].map(|name| format!("{path}{name}"));
            return Err((names.to_vec(), why));
        }
    }
    Ok(())
}

/// What is below a row, by the names behind its path.
fn read(tree: &mut Tree, row: &str) -> Values {
    let mut values = Values::new();
    let Ok(mut selection) = tree.values(&[row.to_owned()]) else { return values };
    while values.len() < MAX_READ
        && tree.next(&mut selection, &mut |item| {
            if let crate::model::tree::Item::Value { path, value, .. } = item
                && let Some(name) = path.strip_prefix(row)
            {
                values.insert(name.to_owned(), value.to_owned());
            }
        })
    {}
    values
}

/// Instance number, name and value of each argument that has a name.
fn own_arguments(values: &Values) -> Vec<(u32, String, String)> {
    let of = |n: u32, name: &str| text(values, &format!("Argument.{n}.{name}")).to_owned();
    let all = instances(values, "Argument").into_iter().take(MAX_ARGUMENTS);
    all.map(|n| (n, of(n, "Name"), of(n, "Value"))).filter(|(_, name, _)| !name.is_empty()).collect()
}

fn threshold(values: &Values, number: u32) -> Result<Threshold, (&'static str, String)> {
    let of = |name: &str| text(values, &format!("Threshold.{number}.{name}"));
    let consecutive = of("Consecutive").parse().unwrap_or(1);
    Threshold::new(of("Name"), of("Condition"), of("Limit"), of("Clear"), consecutive)
}

/// Judges the name of an argument.
fn argument(tree: &Tree, kind: &Kind, name: &str) -> Result<(), String> {
    use crate::model::schema::flag;
    let platform = tree.platform();
    let object = tree.schema().find_object(kind.object);
    let param = object.and_then(|object| object.param(name));
    match param.filter(|param| param.is_writable(platform) && name != "DiagnosticsState") {
        None => Err(format!("{name:.64} is no argument of {}", kind.object)),
        // Here it could be read.
        Some(param) if param.has(flag::HIDDEN) => Err(format!("{name} is a secret, which no row holds")),
        Some(_) => Ok(()),
    }
}

/// The test's defaults and these; by whose number it does not fit, and why.
fn arguments(
    tree: &mut Tree,
    kind: &Kind,
    own: &[(u32, String, String)],
) -> Result<Arguments, (Option<u32>, String)> {
    let mut all = diagnostics::defaults(tree.schema(), tree.platform(), kind);
    for (number, name, value) in own {
        let fits = argument(tree, kind, name);
        let fits = fits.and_then(|()| tree.judge_value(&format!("{}{name}", kind.object), value));
        all.set(name, &fits.map_err(|why| (Some(*number), why))?);
    }
    if let Some((_, judge)) = diagnostics::TOGETHER.iter().find(|(object, _)| *object == kind.object) {
        judge(&all).map_err(|(_, why)| (None, why))?;
    }
    Ok(all)
}

fn settings(number: u32, values: &Values) -> Settings {
    let count = |name: &str| text(values, name).parse().unwrap_or(0);
    let own = own_arguments(values).into_iter().map(|(_, name, value)| (name, value));
    let crossed = |n: u32| text(values, &format!("Threshold.{n}.Crossed")) == "true";
    let thresholds = instances(values, "Threshold").into_iter().take(MAX_THRESHOLDS);
    Settings {
        number,
        is_enabled: text(values, "Enable") == "true",
        kind: kind_of(text(values, "Diagnostics")).unwrap_or(None),
        interval: count("Interval"),
        cron: Cron::parse(text(values, "Schedule")).ok(),
        jitter: count("Jitter"),
        keep: count("KeepResults") as usize,
        arguments: own.collect(),
        thresholds: thresholds.filter_map(|n| Some((n, crossed(n), threshold(values, n).ok()?))).collect(),
    }
}

impl Core {
    /// Reads what is to run by itself. `settles` at the start of the agent.
    pub fn follow_plan(&mut self, now: Now, settles: bool) {
        self.tree.begin_rpc();
        let table = table();
        let count = self.tree.value(&format!("{}NumberOfEntries", table.trim_end_matches('.')));
        let mut rows: SortedMap<u32, Values> = SortedMap::new();
        if count.is_some_and(|n| n != "0") {
            for (path, _, value) in self.read(std::slice::from_ref(&table), MAX_READ) {
                let rest = path.strip_prefix(&table).and_then(|rest| rest.split_once('.'));
                if let Some((Ok(number), name)) = rest.map(|(number, name)| (number.parse(), name)) {
                    rows.entry(number).or_default().insert(name.to_owned(), value);
                }
            }
        }
        let wanted = rows.iter().map(|(number, values)| settings(*number, values)).collect();
        let plan = self.facts.borrow().plan.clone();
        let zone = clock::Zone::of(&self.config.root);
        let offset = |seconds| zone.offset(seconds);
        plan.borrow_mut().follow(wanted, Around { now, offset: &offset, random: &start::random }, settles);
    }

    /// The run that is to begin now: its row, its test, and its arguments.
    #[allow(clippy::type_complexity)] // read at one place, apart at once
    pub(super) fn due_run(&mut self, now: Now) -> Option<(u32, &'static Kind, Result<Arguments, Report>)> {
        let plan = self.facts.borrow().plan.clone();
        if !plan.borrow().is_due(now) {
            return None;
        }
        let zone = clock::Zone::of(&self.config.root);
        let offset = |seconds| zone.offset(seconds);
        let (number, kind, own) = {
            let mut plan = plan.borrow_mut();
            let settings = plan.begin(Around { now, offset: &offset, random: &start::random })?;
            let own = settings.arguments.iter().cloned().map(|(name, value)| (0, name, value));
            (settings.number, settings.kind?, own.collect::<Vec<_>>())
        };
        self.tree.begin_rpc();
        let arguments = arguments(&mut self.tree, kind, &own)
            .map_err(|(_, why)| Report::error(diagnostics::internal(kind), format!("an argument: {why}")));
        Some((number, kind, arguments))
    }

    /// A run has ended, if it could be begun: no event, but a threshold may have been crossed.
    pub(super) fn planned_ended(&mut self, number: u32, report: &Report, is_begun: bool) {
        let plan = self.facts.borrow().plan.clone();
        let told = plan.borrow_mut().end(number, report, is_begun);
        for (threshold, crossed) in told {
            let path = format!("{}{number}.Threshold.{threshold}.Crossed", table());
            log::info!("{path}: {crossed}");
            let [before, after] = if crossed { ["false", "true"] } else { ["true", "false"] };
            self.tree.known_before(&path, before);
            // Written when it changes only: a line that is bad stays so for a while.
            if let Err(fault) = self.tree.store(&[(&path, after)]) {
                log::warn!("{path}: {fault}");
            }
        }
    }

    /// Whether another row may be added: 9004 if not.
    pub fn room_in_plan(&mut self, object: &str) -> Result<(), Fault> {
        let Some(rest) = object.strip_prefix(&*table()) else { return Ok(()) };
        let (most, count) = match rest.split('.').nth(1) {
            Some("Argument") => (MAX_ARGUMENTS, "ArgumentNumberOfEntries"),
            Some("Threshold") => (MAX_THRESHOLDS, "ThresholdNumberOfEntries"),
            _ => (MAX_PLANS, ""),
        };
        let path = match (count, rest.split_once('.')) {
            ("", _) | (_, None) => format!("{}NumberOfEntries", table().trim_end_matches('.')),
            (count, Some((row, _))) => format!("{}{row}.{count}", table()),
        };
        match self.tree.value(&path).and_then(|n| n.parse::<usize>().ok()) {
            Some(there) if there >= most => {
                Err(Fault::new(Code::RESOURCES_EXCEEDED, format!("no more than {most} rows")))
            }
            _ => Ok(()),
        }
    }
}
