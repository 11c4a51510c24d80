//! What the agent's own parameters may be set to, beyond what their types say.

use super::planned;
use super::refused::Refused;
use super::statistics;
use crate::cwmp::events;
use crate::diagnostics;
use crate::model::path::Path;
use crate::model::together::Misfits;
use crate::model::tree::Tree;
use crate::net::digest;
use crate::net::url::Url;
use crate::sys::clock;

/// Judges values of an object that are to be set with those that stay (DG-14, DG-15).
///
/// # Errors
/// Those that do not fit each other (9007).
pub fn together(tree: &mut Tree, object: &str, set: &[(String, String)]) -> Result<(), Misfits> {
    if object.starts_with(&*planned::table()) {
        return planned::together(tree, object, set);
    }
    let of_object = diagnostics::TOGETHER.iter().find(|(own, _)| *own == object);
    let (Some((_, judge)), Some(kind)) = (of_object, diagnostics::kind(object)) else { return Ok(()) };
    let mut arguments = super::diagnostics::arguments(tree, kind);
    set.iter().for_each(|(name, value)| arguments.set(name, value));
    judge(&arguments).map_err(|(names, why)| (names.iter().map(|name| (*name).to_owned()).collect(), why))
}

/// Judges a value of the right type for a parameter, named with `{i}` for its instances.
///
/// # Errors
/// Why it cannot be (9007).
pub fn judge(tree: &mut Tree, parameter: &str, value: &str, refused: &Refused) -> Result<(), String> {
    if let Some(name) = parameter.strip_prefix("Device.PeriodicStatistics.SampleSet.{i}.") {
        return statistics::judge(name, value);
    }
    if let Some(name) = parameter.strip_prefix(&*planned::table()) {
        return planned::judge(name.trim_start_matches("{i}."), value);
    }
    if let Some(kind) = diagnostics::kind(parameter) {
        return (kind.judge)(parameter.trim_start_matches(kind.object), value);
    }
    match parameter.strip_prefix("Device.ManagementServer.") {
        Some("URL") if refused.left(value, clock::now()).is_some() => {
            let left = refused.left(value, clock::now()).unwrap_or(0);
            Err(format!("it was put back, as nothing answered there; it is taken up again in {left} s"))
        }
        // T-37, T-38: a device that knows no ACS could never be told of one again.
        Some("URL") => Url::of_acs(value).map(drop).map_err(str::to_owned),
        // A name that no header can carry would end every session before it begins, and so the ACS
        // could never put it right.
        Some("Username") if !digest::is_speakable(value) => {
            Err("a user name for HTTP holds visible ASCII only".to_owned())
        }
        // R-SYS-10: the standard's times before the year 1000 are relative, and to nothing here.
        Some("ScheduleReboot") if clock::parse(value).is_none() => {
            Err("an absolute time is wanted, or Unknown Time".to_owned())
        }
        // I-5
        Some("InformParameter.{i}.EventList") => {
            match value.split(',').any(|code| code.trim() == events::VALUE_CHANGE) {
                true => Err("4 VALUE CHANGE cannot select parameters".to_owned()),
                false => Ok(()),
            }
        }
        // I-6
        Some("InformParameter.{i}.ParameterName")
            // In an Alias it stands for itself.
            if value.contains('*') && Path::parse(value).is_err() =>
        {
            Err("a * stands for an instance number, not for a part of a name".to_owned())
        }
        Some("InformParameter.{i}.ParameterName") => {
            match tree.forced_inform().iter().any(|forced| forced == value) {
                true => Err("it is in every Inform already".to_owned()),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
