//! What a value may hold that is to be written to UCI, whoever asks for it: an ACS, a shell, or the bus.
//!
//! UCI quotes any text, but most of OpenWrt's programs do not read UCI: scripts write their configuration
//! (`hostapd.conf`, `dnsmasq.conf`, `swanctl.conf`, …) or their command line of it, and hardly any of them quotes.
//!
//! # What is kept out
//! * Control characters in any value, tabs and ends of lines included: behind one a line of another program's
//!   configuration would begin. No option of the data model has a use for one.
//! * In packages whose scripts give values to a shell's `eval`, or write commands of them ([`EVALUATED`]), what a
//!   shell takes for more than a part of a word; in `ddns` also what a program would take for an option of its own.
//!
//! What an option holds already may stay, and what an undo puts back is not looked at.
//!
//! # What is not
//! * A blank in an option that scripts split makes words of it (an interface's name of dnsmasq's, the APN of a
//!   modem): arguments of that one program, in no shell. Where the standard's type is narrower (addresses,
//!   numbers, references) there is none.
//! * Commas, quotes, braces or `#` that mean something in a daemon's own line (`dhcp_option` of dnsmasq, a text of
//!   `swanctl.conf`): they reach as far as the line that the ACS is to say anyway.
//! * A name that begins with `-`, outside of `ddns`.
//!
//! What is written beside UCI looks for itself: `ssh_keys` for lines, `file` rows have a file each. Programs of
//! `exec` get JSON.

use super::plan::Plan;
use super::sources::Sources;
use crate::model::fault::Code;
use crate::model::handler::{Change, Ctx, Failure};
use crate::model::kind::forms;
use crate::sys::uci::{Edit, Held, Package};

/// Packages of whose values scripts make text for a shell: ddns-scripts, qos-scripts and sqm-scripts.
const EVALUATED: [&str; 3] = ["ddns", "qos", "sqm"];
/// What ends a word for a shell, or has it look for something else in it.
const SHELL: &str = " '\"`$\\&|;<>()";

/// Why a value cannot be written to a package.
fn unfit(package: &str, value: &str) -> Option<&'static str> {
    if value.chars().any(char::is_control) {
        return Some("a control character cannot be written");
    }
    let evaluated = EVALUATED.contains(&package);
    // A range of qos-scripts may begin so.
    let option = package == "ddns" && value.starts_with('-');
    let odd = option || evaluated && value.contains(|c| SHELL.contains(c));
    odd.then_some("blanks, quotes, or what else means something to a shell cannot be written here")
}

/// Whether an option holds this value already.
fn holds(package: &Package, edit: &Edit, value: &str) -> bool {
    let section = package.section(edit.section());
    match section.and_then(|s| s.held(edit.option()?)) {
        Some(Held::One(held)) => held == value,
        Some(Held::Many(items)) => items.iter().any(|item| item == value),
        None => false,
    }
}

/// Whether values of edits may be written.
///
/// # Errors
/// 9007: one may not.
pub fn judge<'e>(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    name: &str,
    edits: impl Iterator<Item = &'e Edit>,
) -> Result<(), Failure> {
    for edit in edits {
        let values = match edit {
            Edit::Set { value, .. } => std::slice::from_ref(value),
            Edit::AddItem { item, .. } => std::slice::from_ref(item),
            Edit::List { items, .. } => items,
            Edit::Unset { .. } | Edit::RemoveItem { .. } | Edit::Make { .. } | Edit::Drop { .. } => continue,
        };
        for value in values {
            let Some(why) = unfit(name, value) else { continue };
            let package = sources.readable(ctx, name);
            if !package.is_some_and(|package| holds(&package, edit, value)) {
                return Err(Failure { code: Code::INVALID_VALUE, text: why.to_owned() });
            }
        }
    }
    Ok(())
}

/// As [`judge`], of edits of several packages.
///
/// # Errors
/// 9007: a value may not be written.
pub fn judge_plan(sources: &mut Sources, ctx: &Ctx<'_>, plan: &Plan) -> Result<(), Failure> {
    plan.iter().try_for_each(|(name, edit)| judge(sources, ctx, name, std::iter::once(edit)))
}

/// Which value of a change it is that does not fit what it is written to; the first where none stands out.
pub fn culprit(change: &Change<'_>, plan: &Plan) -> usize {
    let Change::Set(sets) = change else { return 0 };
    let odd = |text: &str| plan.iter().any(|(name, _)| unfit(name, text).is_some());
    let controls = |value: &str| forms::items(value).any(|item| item.contains(char::is_control));
    let found = sets.iter().position(|set| set.value.contains(char::is_control) || controls(set.value));
    found.or_else(|| sets.iter().position(|set| odd(set.value))).unwrap_or(0)
}
