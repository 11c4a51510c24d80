//! Provider `ow_schedule`: the times of firewall rules and redirects. The key is the section's.

use super::{Spec, bad, put};
use crate::handlers::openwrt::plan::Plan;
use crate::handlers::openwrt::provider::adds_nothing;
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Change, Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::uci::{Edit, Section};
use crate::sys::{clock, host};

const PACKAGE: &str = "firewall";
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAY: u32 = 24 * 3600;

/// The provider.
pub const SPEC: Spec =
    Spec { name: "ow_schedule", list, fill, plan, key: adds_nothing, packages: &[PACKAGE], objects: &["*"] };

fn is_timed(section: &Section<'_>) -> bool {
    matches!(section.kind(), "rule" | "redirect")
        && ["start_time", "stop_time", "weekdays"].iter().any(|o| section.get(o).is_some())
}

fn list(sources: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    if let Some(package) = sources.package(ctx, PACKAGE)? {
        out.extend(package.sections().filter(is_timed).map(|s| s.key()));
    }
    Ok(())
}

/// What the firewall calls a time of the day, `hh:mm` or `hh:mm:ss`, in seconds.
fn seconds(text: &str) -> Option<u32> {
    let mut numbers = text.split(':').map(|n| n.parse::<u32>().ok());
    let (h, m, s) = (numbers.next()??, numbers.next()??, numbers.next().unwrap_or(Some(0))?);
    (h < 24 && m < 60 && s < 60 && numbers.next().is_none()).then_some(h * 3600 + m * 60 + s)
}

/// Days by their first three letters, all of them where there are none; with `!` before the first all others.
fn days(section: Section<'_>) -> Vec<usize> {
    let mut words = section.words("weekdays");
    let not = match words.first_mut() {
        Some(first) => first.strip_prefix('!').map(|rest| *first = rest).is_some(),
        None => return (0..7).collect(),
    };
    let named = |day: &usize| {
        words.iter().any(|w| {
            w.get(..3).is_some_and(|w| {
                DAYS.get(*day).and_then(|d| d.get(..3)).is_some_and(|d| d.eq_ignore_ascii_case(w))
            })
        })
    };
    (0..7).filter(|day| named(day) != not).collect()
}

/// From when, and for how long; over midnight where it ends before it begins.
fn span(section: Section<'_>) -> (u32, u32) {
    let time = |option| section.get(option).and_then(seconds);
    let from = time("start_time").unwrap_or(0);
    let to = time("stop_time").unwrap_or(DAY);
    (from, if to > from { to - from } else { to + DAY - from })
}

/// For how many seconds more it is in force; `None` when it is not. Days count from Monday.
fn left(section: Section<'_>, weekday: usize, second: u32) -> Option<u32> {
    let (from, long) = span(section);
    let days = days(section);
    let end = from + long;
    let yesterday = (weekday + 6) % 7;
    let now = [(weekday, second), (yesterday, second + DAY)];
    now.into_iter().find_map(|(day, at)| (days.contains(&day) && from <= at && at < end).then(|| end - at))
}

/// The day of the week from Monday, and the second of the day; of the rule's clock, which is the zone's
/// unless it is told otherwise.
fn clock_of(ctx: &Ctx<'_>, section: Section<'_>) -> (usize, u32) {
    let now = host::now(ctx.root);
    let utc = section.flag("utc_time") == Some(true);
    let text = if utc { clock::utc(now) } else { clock::local(now, ctx.root) };
    let second = text.get(11..19).and_then(seconds).unwrap_or(0);
    // The date at that place, as days since 1970, which began on a Thursday.
    let midnight = text.get(..10).and_then(|date| clock::parse(&format!("{date}T00:00:00Z"))).unwrap_or(0);
    ((midnight.div_euclid(DAY.into()) + 3).rem_euclid(7) as usize, second)
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let package = sources.package(ctx, PACKAGE)?;
    let Some(section) = package.as_deref().and_then(|p| p.section(row.key())) else {
        return Ok(());
    };
    let enabled = section.flag("enabled") != Some(false);
    let (weekday, second) = clock_of(ctx, section);
    let left = left(section, weekday, second).filter(|_| enabled);
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(i, enabled),
            "Status" => out.put(i, if left.is_some() { "Active" } else { "Inactive" }),
            "TimeLeft" => out.put(i, left.unwrap_or(0)),
            "Description" => put(out, i, section.get("name")),
            "Day" => {
                let names: Vec<&str> =
                    days(section).into_iter().filter_map(|d| DAYS.get(d).copied()).collect();
                out.put(i, names.join(","));
            }
            "StartTime" => put(out, i, section.get("start_time").and_then(|t| t.get(..5))),
            "Duration" => out.put(i, span(section).1),
            _ => {}
        }
    }
    Ok(())
}

fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    let package = sources.package(ctx, PACKAGE).map_err(|f| (0, f))?;
    let section = package.as_deref().and_then(|p| p.section(row.key()));
    let (Change::Set(sets), Some(section)) = (change, section) else {
        return Err((0, Failure::denied("a time is a part of the rule that keeps it")));
    };
    let value =
        |name| sets.iter().enumerate().find(|(_, s)| s.param.name() == name).map(|(at, s)| (at, s.value));
    let mut edits = Vec::new();
    let mut set = |option: &str, value: String| {
        edits.push(Edit::Set { section: row.key().into(), option: option.into(), value });
    };
    if let Some((_, text)) = value("Description") {
        set("name", text.to_owned());
    }
    if let Some((_, list)) = value("Day") {
        let short: Vec<&str> = list.split(',').filter_map(|d| d.get(..3)).collect();
        // All of them is what the firewall takes no word for.
        set("weekdays", if short.len() == 7 { String::new() } else { short.join(" ") });
    }
    let (from, long) = (value("StartTime"), value("Duration"));
    if from.is_some() || long.is_some() {
        let (had, lasted) = span(section);
        let begin = from.map_or(Some(had), |(_, text)| if text.is_empty() { Some(0) } else { seconds(text) });
        let at = long.or(from).map_or(0, |(at, _)| at);
        let lasts = long.map_or(Some(lasted), |(_, n)| n.parse().ok()).filter(|n| (1..=DAY).contains(n));
        let (Some(begin), Some(lasts)) = (begin, lasts) else {
            return Err(bad(at, "a time of the firewall's is at most a day long"));
        };
        let end = (begin + lasts) % DAY;
        if end == begin && begin != 0 {
            return Err(bad(at, "a time that ends when it begins is none"));
        }
        let text = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
        set("start_time", text(begin));
        // Midnight as an end is the day's own.
        set("stop_time", if end == 0 { String::new() } else { text(end) });
    }
    Ok(edits.into_iter().map(|edit| (PACKAGE.to_owned(), edit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::uci::Package;

    fn package(options: &[(&str, &str)]) -> Package {
        let lines: String = options.iter().map(|(o, v)| format!("\toption {o} '{v}'\n")).collect();
        Package::parse("firewall", format!("config rule 'r'\n{lines}").into_bytes(), b"").unwrap()
    }

    #[test]
    fn how_long_it_lasts() {
        let noon = 12 * 3600;
        for (options, day, second, want) in [
            (&[("start_time", "08:00"), ("stop_time", "20:00:00")][..], 0, noon, Some(8 * 3600)),
            (&[("start_time", "08:00"), ("stop_time", "11:00")], 0, noon, None),
            // Over midnight, and what began yesterday.
            (
                &[("start_time", "22:00"), ("stop_time", "06:00"), ("weekdays", "Mon")],
                0,
                23 * 3600,
                Some(7 * 3600),
            ),
            (
                &[("start_time", "22:00"), ("stop_time", "06:00"), ("weekdays", "Mon")],
                1,
                3600,
                Some(5 * 3600),
            ),
            (&[("start_time", "22:00"), ("stop_time", "06:00"), ("weekdays", "Mon")], 0, 3600, None),
            (&[("weekdays", "!Mon tue")], 0, noon, None),
            (&[("weekdays", "!Mon tue")], 2, noon, Some(noon)),
            (&[("weekdays", "nonsense")], 2, noon, None),
            (&[("start_time", "99:99"), ("stop_time", "x")], 2, noon, Some(noon)),
        ] {
            let package = package(options);
            let section = package.section("r").unwrap();
            assert_eq!(left(section, day, second), want, "{options:?} {day} {second}");
        }
    }
}
