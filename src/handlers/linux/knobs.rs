//! What of the network can be set: files of procfs and sysfs that the kernel obeys at once.
//!
//! `stage` keeps each file's text as it was, one line `path=text` a file; `undo` writes it back, and
//! passes over files that are gone with their device. Of a device's `flags` only the up bit is ever
//! changed, back and forth: the others belong to other programs.

use super::network::{Device, hexadecimal};
use crate::model::fault::Code;
use crate::model::handler::{Failure, Set};
use crate::sys::netlink::link::link_flag;
use crate::sys::{host, kernel_file};
use std::io::ErrorKind;
use std::path::Path;

/// How the standard's value and the file's text belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The same number; a negative one in the file (no limit) shows as the greatest.
    Number,
    /// The file counts in finer units: so many for one of the standard's.
    Finer(u32),
    /// The file counts in coarser units: one for so many of the standard's.
    Coarser(u32),
    /// `true` is 1.
    Switch,
    /// `true` is 0.
    Reverse,
    /// `true` is the up bit.
    Up,
}

/// One parameter that can be set.
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// The file below the root; `{}` stands for the key of the row.
    pub file: &'static str,
    /// How the value is written.
    pub form: Form,
    /// What the value must be a multiple of.
    pub step: u32,
    /// Least and greatest value where the kernel takes fewer than the standard.
    pub range: Option<(u32, u32)>,
    /// Whether [`super::network::View`] has the value too, so that it need not be read one by one.
    pub told: bool,
}

impl Knob {
    /// A knob that takes all values of the standard and is read from its file.
    pub const fn new(name: &'static str, file: &'static str, form: Form) -> Knob {
        Knob { name, file, form, step: 1, range: None, told: false }
    }

    fn path(&self, key: &str) -> Result<String, Failure> {
        // Keys with knobs are names of devices; anything else must not become a path.
        if self.file.contains("{}") && (key.is_empty() || key.contains('/') || key.starts_with("..")) {
            return Err(Failure::internal("not the name of a device"));
        }
        Ok(self.file.replace("{}", key))
    }

    /// The value in the file, in the standard's form; `None` when the file says nothing.
    pub fn show(&self, root: &Path, key: &str) -> Option<String> {
        if self.told {
            return None;
        }
        let text = kernel_file::read(&host::below(root, &self.path(key).ok()?))?;
        let number = || text.parse::<i64>().ok();
        let counted = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Some(match self.form {
            Form::Number => counted(number()?).to_string(),
            Form::Finer(n) => (counted(number()?) / n).to_string(),
            Form::Coarser(n) => counted(number()?).saturating_mul(n).to_string(),
            Form::Switch => (number()? != 0).to_string(),
            Form::Reverse => (number()? == 0).to_string(),
            Form::Up => (hexadecimal(&text)? & link_flag::UP != 0).to_string(),
        })
    }

    /// The text of the file for a value; `now` is what the file says.
    fn text(&self, value: &str, now: &str) -> Result<String, Failure> {
        let wrong =
            || Failure { code: Code::INVALID_VALUE, text: "not a value that the kernel takes".into() };
        let number = || value.parse::<u32>().map_err(|_| wrong());
        let on = value == "true";
        Ok(match self.form {
            // The kernel's numbers are signed.
            Form::Number => i32::try_from(number()?).map_err(|_| wrong())?.to_string(),
            Form::Finer(n) => {
                i32::try_from(number()?.checked_mul(n).ok_or_else(wrong)?).map_err(|_| wrong())?.to_string()
            }
            Form::Coarser(n) => (number()? / n).to_string(),
            Form::Switch => u8::from(on).to_string(),
            Form::Reverse => u8::from(!on).to_string(),
            Form::Up => {
                let flags =
                    hexadecimal(now).ok_or_else(|| Failure::internal("the device's flags cannot be read"))?;
                format!("{:#x}", if on { flags | link_flag::UP } else { flags & !link_flag::UP })
            }
        })
    }
}

/// The knob of this name.
pub fn find<'k>(knobs: &'k [Knob], name: &str) -> Option<&'k Knob> {
    knobs.iter().find(|k| k.name == name)
}

fn of<'k>(knobs: &'k [Knob], set: &Set<'_>) -> Result<&'k Knob, Failure> {
    find(knobs, set.param.name()).ok_or_else(|| Failure::denied("the kernel has no switch for it"))
}

fn now(root: &Path, path: &str) -> Result<String, Failure> {
    kernel_file::read(&host::below(root, path))
        .ok_or_else(|| Failure::denied(format!("the kernel has no /{path} here")))
}

/// Whether a value can be set.
///
/// # Errors
/// 9001 when there is no such file here, 9007 when the kernel would refuse the value.
pub fn check(
    knobs: &[Knob],
    root: &Path,
    key: &str,
    device: Option<&Device>,
    set: &Set<'_>,
) -> Result<(), Failure> {
    let knob = of(knobs, set)?;
    let path = knob.path(key)?;
    knob.text(set.value, &now(root, &path)?)?;
    let wrong = |text: String| Err(Failure { code: Code::INVALID_VALUE, text });
    let unit = if let Form::Coarser(n) = knob.form { n.max(knob.step) } else { knob.step };
    let Ok(number) = set.value.parse::<u32>() else {
        return Ok(());
    };
    if number % unit != 0 {
        return wrong(format!("not a multiple of {unit}"));
    }
    // The kernel tells 0 for a device without limits.
    let range = match device {
        Some(d) if knob.file.ends_with("/mtu") => {
            Some((d.mtu_min, if d.mtu_max == 0 { u32::MAX } else { d.mtu_max }))
        }
        _ => knob.range,
    };
    match range {
        Some((least, greatest)) if !(least..=greatest).contains(&number) => {
            wrong(format!("the kernel takes {least} to {greatest}"))
        }
        _ => Ok(()),
    }
}

/// The files that a change of `path` touches: the switch for all devices moves each device's own.
fn touched(root: &Path, path: &str) -> Vec<String> {
    const ALL: &str = "proc/sys/net/ipv6/conf/all/disable_ipv6";
    let mut paths = vec![path.to_string()];
    if path == ALL
        && let Ok(folder) = std::fs::read_dir(host::below(root, "proc/sys/net/ipv6/conf"))
    {
        let names = folder.flatten().filter_map(|e| e.file_name().into_string().ok()).filter(|n| n != "all");
        paths.extend(names.map(|n| format!("proc/sys/net/ipv6/conf/{n}/disable_ipv6")));
    }
    paths
}

/// What the files say now.
///
/// # Errors
/// A file is not there.
pub fn stage(knobs: &[Knob], root: &Path, key: &str, sets: &[Set<'_>]) -> Result<Vec<u8>, Failure> {
    let mut saved = String::new();
    for set in sets {
        for path in touched(root, &of(knobs, set)?.path(key)?) {
            let text = now(root, &path)?;
            saved.push_str(&format!("{path}={text}\n"));
        }
    }
    Ok(saved.into_bytes())
}

/// Writes the values.
///
/// # Errors
/// The kernel refused one; those before it are written.
pub fn commit(knobs: &[Knob], root: &Path, key: &str, sets: &[Set<'_>]) -> Result<(), Failure> {
    for set in sets {
        let knob = of(knobs, set)?;
        let path = knob.path(key)?;
        let text = knob.text(set.value, &now(root, &path)?)?;
        kernel_file::write(&host::below(root, &path), &text)
            .map_err(|e| Failure::internal(format!("/{path}: {e}")))?;
    }
    Ok(())
}

/// Writes back what [`stage`] kept; tries every file, and fails with the first reason.
///
/// # Errors
/// A file that is there could not be written.
pub fn undo(root: &Path, saved: &[u8]) -> Result<(), Failure> {
    let mut result = Ok(());
    for line in String::from_utf8_lossy(saved).lines() {
        let Some((path, old)) = line.split_once('=') else {
            continue;
        };
        // A device's name may hold two dots, but no folder above is ever meant.
        if !(path.starts_with("proc/sys/net/") || path.starts_with("sys/class/net/")) || path.contains("/../")
        {
            continue;
        }
        let file = host::below(root, path);
        let text = match (
            path.ends_with("/flags"),
            hexadecimal(old),
            kernel_file::read(&file).and_then(|t| hexadecimal(&t)),
        ) {
            (true, Some(old), Some(now)) => {
                format!("{:#x}", now & !link_flag::UP | old & link_flag::UP)
            }
            _ => old.to_string(),
        };
        match kernel_file::write(&file, &text) {
            Err(e) if e.kind() != ErrorKind::NotFound && result.is_ok() => {
                result = Err(Failure::internal(format!("/{path}: {e}")));
            }
            _ => {}
        }
    }
    result
}
