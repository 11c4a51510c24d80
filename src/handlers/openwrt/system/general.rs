//! Provider `ow_system`: what the section `system` says of the device as a whole: its name, its zone, and how
//! large the log's file may grow.

use super::{Spec, bad, first, put};
use crate::handlers::linux::hostname::is_host_name;
use crate::handlers::linux::logrotate::LogRotate;
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::{adds_nothing, lists_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::handlers::reading::Reading as _;
use crate::model::handler::{Change, Ctx, Failure, Fields, Row, Want};
use crate::sys::uci::Edit;

/// The provider.
pub const SPEC: Spec = Spec {
    name: "ow_system",
    list: lists_nothing,
    fill,
    plan,
    key: adds_nothing,
    packages: &["system"],
    objects: &[],
};

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, "system")?;
    let section = package.as_deref().and_then(|p| first(p, "system"));
    if row.object.name() == "LogRotate" {
        LogRotate::default().get(ctx, row, want, out);
        return Ok(());
    }
    for (i, want) in want.iter().enumerate() {
        let option = |name, usual| section.map(|s| s.get(name).unwrap_or(usual));
        match want.param.name() {
            "HostName" => put(out, i, option("hostname", "OpenWrt")),
            "LocalTimeZone" => put(out, i, option("timezone", "UTC")),
            _ => {}
        }
    }
    Ok(())
}

/// A zone is set by its rule; the name that chose one before goes, since it would win.
fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let Change::Set(sets) = change else {
        return Err((0, Failure::denied("there is one system")));
    };
    let package = sources.package(ctx, "system").map_err(|f| (0, f))?;
    let Some(section) = package.as_deref().and_then(|p| first(p, "system")) else {
        return Err((0, Failure::denied("package system has no section of type system")));
    };
    let key = || section.key().into_owned();
    let set =
        |option: &str, value: &str| Edit::Set { section: key(), option: option.into(), value: value.into() };
    let mut plan = Plan::new();
    for (at, one) in sets.iter().enumerate() {
        match one.param.name() {
            "HostName" if !is_host_name(one.value) => {
                return Err(bad(at, "a host name has 1 to 64 letters, digits, hyphens and single dots"));
            }
            "HostName" => plan.push(("system".into(), set("hostname", one.value))),
            "LocalTimeZone" if !is_zone(one.value) => {
                return Err(bad(at, "a zone is a rule of POSIX: CET-1CEST,M3.5.0,M10.5.0/3"));
            }
            "LocalTimeZone" => {
                plan.push(("system".into(), set("timezone", one.value)));
                if section.get("timezone") != Some(one.value) {
                    plan.push(("system".into(), Edit::Unset { section: key(), option: "zonename".into() }));
                }
            }
            // In KiB. Logrotate's own rules are logrotate's.
            _ if section.get("log_file") != Some(row.key()) => {
                return Err((
                    at,
                    Failure::denied("read from logrotate's configuration, which has a form of its own"),
                ));
            }
            _ if one.value == "0" => return Err(bad(at, "the log daemon knows no file without a bound")),
            _ => plan.push(("system".into(), set("log_size", one.value))),
        }
    }
    Ok(plan)
}

/// `std offset [dst [offset] [,start[/time],end[/time]]]` (POSIX 8.3); `UTC` alone is OpenWrt's own word.
pub fn is_zone(text: &str) -> bool {
    let mut rest = text;
    if text == "UTC" || text == "GMT" {
        return true;
    }
    if text.len() > 256 || !name(&mut rest) || !time(&mut rest) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    if !name(&mut rest) {
        return false;
    }
    if !rest.is_empty() && !rest.starts_with(',') && !time(&mut rest) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let mut dates = rest.split(',');
    dates.next() == Some("")
        && dates.next().is_some_and(date)
        && dates.next().is_some_and(date)
        && dates.next().is_none()
}

/// Three letters or more, or anything in angle brackets.
fn name(rest: &mut &str) -> bool {
    let (len, skip) = match rest.strip_prefix('<') {
        Some(inner) => {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '-';
            let len = inner.find(|c| !good(c)).unwrap_or(0);
            if inner.get(len..len + 1) != Some(">") {
                return false;
            }
            (len, 2)
        }
        None => (rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()), 0),
    };
    *rest = rest.get(len + skip..).unwrap_or("");
    len >= 3
}

/// `[+-]hh[:mm[:ss]]`
fn time(rest: &mut &str) -> bool {
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ":+-".contains(c))).unwrap_or(rest.len());
    let (text, behind) = rest.split_at(end);
    *rest = behind;
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut numbers = text.split(':').map(|n| n.parse::<u32>().ok().filter(|_| n.len() <= 3));
    let hours = numbers.next().flatten().is_some_and(|h| h <= 167);
    hours && numbers.clone().count() <= 2 && numbers.all(|n| n.is_some_and(|n| n < 60))
}

/// `Mm.w.d`, `Jn` or `n`, each with `/time` or without.
fn date(text: &str) -> bool {
    let (day, at) = text.split_once('/').map_or((text, None), |(d, t)| (d, Some(t)));
    let mut at = at.unwrap_or("0");
    let number = |text: &str, from: u32, to: u32| text.parse().is_ok_and(|n: u32| (from..=to).contains(&n));
    let good = match day.strip_prefix('M') {
        Some(month) => {
            let parts: Vec<&str> = month.split('.').collect();
            matches!(parts[..], [m, w, d] if number(m, 1, 12) && number(w, 1, 5) && number(d, 0, 6))
        }
        None => day.strip_prefix('J').map_or_else(|| number(day, 0, 365), |n| number(n, 1, 365)),
    };
    good && time(&mut at) && at.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_zone;

    #[test]
    fn rules_of_posix() {
        for good in [
            "UTC",
            "GMT0",
            "UTC0",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "EST5EDT",
            "EST5EDT,M3.2.0,M11.1.0",
            "<-03>3",
            "<+0330>-3:30<+0430>,J79/24,J263/24",
            "IST-5:30",
            "AEST-10AEDT,M10.1.0,M4.1.0/3",
            "EST+5EDT+4:00,0/0,365",
        ] {
            assert!(is_zone(good), "{good}");
        }
        for bad in [
            "",
            "Europe/Berlin",
            "CET",
            "CE-1",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,,",
            "CET-1;reboot",
            "<a",
            "<>0",
            "CET-1CEST,M3.5.0,M10.5.0/3,J1",
            "CET-1 CEST",
            "CET1:2:3:4",
            "CET-\n1",
            "CET200",
        ] {
            assert!(!is_zone(bad), "{bad}");
        }
    }
}
