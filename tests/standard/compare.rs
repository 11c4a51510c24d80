//! The table of the standard, and how a row of ours differs from a line of it.

use cwmpd::model::builtin::VENDOR_PREFIX;
use cwmpd::model::grammar::{KindSpec, ObjectSpec, ParamSpec};
use cwmpd::model::schema::{Base, Format, NONE, Object, PLATFORMS, Param, Platform, Schema, flag};
use std::collections::{BTreeSet, HashMap};

/// The platforms and their names.
pub const ALL: [(Platform, &str); PLATFORMS] = [(Platform::Linux, "linux"), (Platform::OpenWrt, "openwrt")];

/// One line of the table.
pub struct Standard<'t> {
    writable: bool,
    /// `StatsCounter32<unsignedInt>`, `string`, `object`.
    kind: &'t str,
    constraints: Vec<&'t str>,
    status: &'t str,
}

impl<'t> Standard<'t> {
    /// The lines of `tr181.tsv` by path.
    pub fn table(text: &'t str) -> HashMap<&'t str, Standard<'t>> {
        let mut table = HashMap::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [path, _, access, kind, constraints, .., status] = cells[..] else {
                continue;
            };
            let constraints = constraints.split(" ; ").filter(|c| !c.is_empty());
            // Patterns and enumerations of several alternatives hold ` || `, never ` ; `.
            let row = Standard { writable: access == "W", kind, constraints: constraints.collect(), status };
            table.insert(path, row);
        }
        table
    }

    /// The values of a constraint that is written `key=value`, every time it stands there.
    fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'t str> + 's {
        self.constraints.iter().filter_map(move |c| c.strip_prefix(key)?.strip_prefix('='))
    }

    fn one(&self, key: &str) -> Option<&'t str> {
        self.constraints.iter().find_map(|c| c.strip_prefix(key)?.strip_prefix('='))
    }

    fn has(&self, word: &str) -> bool {
        self.constraints.contains(&word)
    }

    /// What stands between the braces of a constraint.
    fn braces(&self, key: &str) -> Option<&'t str> {
        self.one(key)?.strip_prefix('{')?.strip_suffix('}')
    }
}

/// What the comparison found.
#[derive(Default)]
pub struct Report {
    /// Every difference.
    pub wrong: Vec<String>,
    /// Rows narrowed with a reason, by platform.
    pub narrowed: [usize; PLATFORMS],
    /// Vendor rows, which the standard does not know.
    pub vendor: usize,
}

/// One row while it is compared.
struct Comparison<'r> {
    path: &'r str,
    wrong: &'r mut Vec<String>,
}

impl Comparison<'_> {
    fn differs(&mut self, what: &str, ours: impl std::fmt::Debug, standard: impl std::fmt::Debug) {
        self.wrong.push(format!("{}: {what} is {ours:?}, in the standard {standard:?}", self.path));
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, standard: T) {
        if ours != standard {
            self.differs(what, ours, standard);
        }
    }
}

/// Compares the tables with the standard; the specs they were made of say why a row is narrower.
pub fn compare(schema: &Schema, specs: &[ObjectSpec], standard: &HashMap<&str, Standard<'_>>) -> Report {
    let mut report = Report::default();
    let is_vendor = |path: &str| path.contains(&format!(".{VENDOR_PREFIX}"));
    for object in (0..schema.objects.len()).map(|id| schema.object(id as u16)) {
        let why = |platform: Platform| {
            specs.iter().any(|s| s.path == object.path() && s.why[platform as usize].is_some())
        };
        if is_vendor(object.path()) {
            report.vendor += 1;
        } else {
            match standard.get(object.path()) {
                Some(row) => compare_object(object, row, &why, &mut report),
                None => report.wrong.push(format!("{}: not in the standard", object.path())),
            }
        }
        for param in object.params() {
            let path = format!("{}{}", object.path(), param.name());
            if is_vendor(&path) {
                report.vendor += 1;
                continue;
            }
            let Some(row) = standard.get(path.as_str()) else {
                report.wrong.push(format!("{path}: not in the standard"));
                continue;
            };
            let spec = param_spec(specs, object.path(), param.name());
            compare_param(param, spec, &path, row, &mut report);
        }
    }
    report
}

fn param_spec<'s>(specs: &'s [ObjectSpec], object: &str, name: &str) -> &'s ParamSpec {
    let rows = specs.iter().filter(|s| s.path == object).flat_map(|s| &s.params);
    rows.into_iter().find(|p| p.name == name).unwrap_or_else(|| panic!("{object}{name} is in no file"))
}

/// Access on each platform where the row exists; narrower needs a reason, wider is wrong.
fn compare_access(
    path: &str,
    standard: bool,
    exists: &dyn Fn(Platform) -> bool,
    ours: &dyn Fn(Platform) -> bool,
    why: &dyn Fn(Platform) -> bool,
    report: &mut Report,
) {
    for (platform, name) in ALL {
        if !exists(platform) {
            continue;
        }
        match (standard, ours(platform)) {
            (true, false) if why(platform) => report.narrowed[platform as usize] += 1,
            (true, false) => report.wrong.push(format!("{path}: read-only on {name} without a why")),
            (false, true) => {
                report.wrong.push(format!("{path}: writable on {name}, read-only in the standard"))
            }
            _ => {}
        }
    }
}

fn compare_object(
    object: Object<'_>,
    row: &Standard<'_>,
    why: &dyn Fn(Platform) -> bool,
    report: &mut Report,
) {
    let path = object.path();
    let mut found = Comparison { path, wrong: &mut report.wrong };
    if row.kind != "object" || !matches!(row.status, "current" | "deprecated") {
        found.differs("kind and status", "object, served", (row.kind, row.status));
        return;
    }
    if !object.is_table() {
        return;
    }
    found.same("entries", object.entries().map(|p| p.name()), row.one("numEntries"));
    let has = |name: &str| object.param(name).is_some();
    found.same("enable", object.enable().map(|p| p.name()), row.one("enable").filter(|n| has(n)));
    let ours: BTreeSet<&str> = object.schema.words(object.row().keys).collect();
    // A key can only be kept when all its parameters are served.
    let whole = |key: &&str| key.strip_prefix("nf:").unwrap_or(key).split('+').all(has);
    let theirs: BTreeSet<&str> =
        row.one("keys").unwrap_or("").split(';').filter(|k| !k.is_empty()).filter(whole).collect();
    found.same("keys", ours, theirs);
    compare_access(path, row.writable, &|p| object.exists(p), &|p| object.is_creatable(p), why, report);
}

fn compare_param(param: Param<'_>, spec: &ParamSpec, path: &str, row: &Standard<'_>, report: &mut Report) {
    let mut found = Comparison { path, wrong: &mut report.wrong };
    if row.kind == "object" || !matches!(row.status, "current" | "deprecated") {
        found.differs("kind and status", "parameter, served", (row.kind, row.status));
        return;
    }
    compare_kind(&spec.kind, row, spec.write.contains(&true), &mut found);
    found.same("hidden", param.has(flag::HIDDEN), row.has("hidden") || row.has("secured"));
    found.same("command", param.has(flag::COMMAND), row.has("command"));
    found.same("forced_inform", param.has(flag::FORCED_INFORM), row.has("forcedInform=true"));
    let notify = [
        (flag::CAN_DENY, "canDeny"),
        (flag::FORCE_ENABLED, "forceEnabled"),
        (flag::FORCE_DEFAULT, "forceDefaultEnabled"),
    ];
    let ours = notify.iter().find(|(bit, _)| param.has(*bit)).map(|(_, word)| *word);
    found.same("notify", ours, row.one("activeNotify").filter(|n| *n != "normal"));
    compare_access(
        path,
        row.writable,
        &|p| param.row().sources[p as usize] != NONE,
        &|p| param.is_writable(p),
        &|p| spec.why[p as usize].is_some(),
        report,
    );
}

fn compare_kind(ours: &KindSpec, row: &Standard<'_>, writable: bool, found: &mut Comparison<'_>) {
    let (name, base) = match row.kind.split_once('<') {
        Some((name, base)) => (name, base.trim_end_matches('>')),
        None => ("", row.kind),
    };
    found.same("base type", base_word(ours.base), base);
    let format = format_word(ours.format);
    if !matches!(ours.format, Format::Plain | Format::Reference) || is_format(name) {
        found.same("named type", format, name);
    }

    let list = row.constraints.iter().find(|c| **c == "list" || c.starts_with("list("));
    found.same("list", ours.list, list.is_some());
    let is_argument = writable && is_of_test(found.path);
    if let (true, Some(list)) = (ours.list, list) {
        let inside = list.trim_start_matches("list(").trim_end_matches(')');
        let bound = |key: &str| inside.split(',').find_map(|c| c.strip_prefix(key)?.strip_prefix('='));
        let items = bound("items").map_or((0, i64::MAX), range);
        let most = if ours.items.1 == u16::MAX { i64::MAX } else { ours.items.1.into() };
        let ours_items = (i64::from(ours.items.0), most);
        if !(is_argument && items.0 <= ours_items.0 && most <= items.1) {
            found.same("items", ours_items, items);
        }
        let size = bound("listsize").map_or((0, i64::MAX), range);
        let most = if ours.list_max == u32::MAX { i64::MAX } else { ours.list_max.into() };
        found.same("list_size", (0, most), size);
    }

    let words = row.braces("enum");
    match words {
        Some(words) => compare_words(ours, words, writable, found),
        None if row.one("enumRef").is_some() => {}
        None => found.same("enumeration", ours.words.as_slice(), &[]),
    }
    // What refers to a parameter, and weakly, is any path: nothing that has to be there.
    let refers = row
        .constraints
        .iter()
        .filter(|c| **c != "pathRef(weak)=~parameter")
        .find_map(|c| c.strip_prefix("pathRef(")?.split_once("=").map(|(_, t)| t));
    found.same("reference", ours.format == Format::Reference, refers.is_some());
    if let Some(theirs) = refers {
        compare_targets(ours, theirs, found);
    }

    let is_length = matches!(ours.base, Base::String | Base::Base64 | Base::HexBinary);
    let key = if is_length { "size" } else { "range" };
    let theirs: BTreeSet<(i64, i64)> = row.all(key).map(|r| closed(ours.base, range(r))).collect();
    let bounds: BTreeSet<(i64, i64)> = ours.ranges.iter().map(|r| closed(ours.base, *r)).collect();
    // The words say their own length, and a path's is that of all paths.
    let open = words.is_some() || row.one("enumRef").is_some() || (refers.is_some() && theirs.is_empty());
    // What a test may be asked to do has an end here, and what it found, also where the standard has none.
    let within = |b: &(i64, i64)| theirs.is_empty() || theirs.iter().any(|t| t.0 <= b.0 && b.1 <= t.1);
    let ends = is_of_test(found.path)
        && (theirs.is_empty() || is_argument && (!is_length || bounds.is_subset(&theirs)));
    if !open && bounds != theirs && !(ends && bounds.iter().all(within)) {
        found.differs(key, &bounds, &theirs);
    }

    let own_form =
        matches!(ours.format, Format::MacAddress | Format::Ipv4Address | Format::Ipv4Prefix | Format::Uuid);
    if !own_form {
        let theirs: BTreeSet<&str> =
            row.braces("pattern").map(|p| p.split(" || ").map(str::trim).collect()).unwrap_or_default();
        let patterns: BTreeSet<&str> = ours.patterns.iter().map(|p| p.as_str()).collect();
        found.same("pattern", patterns, theirs);
    }
}

/// Whether a parameter belongs to a test of the network, or to its other end.
fn is_of_test(path: &str) -> bool {
    cwmpd::diagnostics::kind(path).is_some() || path.starts_with("Device.IP.Diagnostics.UDPEchoConfig.")
}

/// Every word of ours is one of the standard's, and none that it demands is missing: `?` marks one
/// that may be left out, `!deleted` one that must be.
fn compare_words(ours: &KindSpec, theirs: &str, writable: bool, found: &mut Comparison<'_>) {
    if ours.words.is_empty() {
        found.differs("enumeration", "none", theirs);
        return;
    }
    let plain = |word: &str| word.trim_end_matches("@readOnly").to_string();
    let mut known = HashMap::new();
    for word in theirs.split('|') {
        let optional = word.ends_with('?');
        let word = word.trim_end_matches('?');
        let read_only = word.ends_with("@readOnly");
        let bare = plain(word);
        if let Some(gone) = bare.split_once('!') {
            found.wrong.extend(
                ours.words
                    .iter()
                    .filter(|w| plain(w) == gone.0)
                    .map(|w| format!("{}: value {w} is {}", found.path, gone.1)),
            );
            continue;
        }
        if !optional && !ours.words.iter().any(|w| plain(w) == bare) {
            found.wrong.push(format!("{}: value {bare} is missing", found.path));
        }
        known.insert(bare, read_only);
    }
    for word in &ours.words {
        match known.get(&plain(word)) {
            None if word.starts_with(VENDOR_PREFIX) => {}
            // All states have this word of the named type; where the standard has not, no test reports it.
            None if word == "Error@readOnly" && found.path.ends_with(".DiagnosticsState") => {}
            None => found.wrong.push(format!("{}: value {word} is not in the standard", found.path)),
            Some(read_only) if writable && *read_only != word.ends_with("@readOnly") => {
                found
                    .wrong
                    .push(format!("{}: value {word} is marked differently in the standard", found.path));
            }
            Some(_) => {}
        }
    }
}

/// Targets are compared without `{i}`; a reference to the parameter's own table, or to any row, is
/// not.
fn compare_targets(ours: &KindSpec, theirs: &str, found: &mut Comparison<'_>) {
    let theirs: Vec<&str> = theirs.split(' ').map(|t| t.trim_end_matches("~row")).collect();
    if theirs.iter().any(|t| t.trim_start_matches(['#', '.']).is_empty()) {
        return;
    }
    let object = &found.path[..found.path.rfind('.').map_or(0, |dot| dot + 1)];
    let bare = |path: &str| path.replace("{i}.", "");
    let theirs: BTreeSet<String> = theirs.iter().map(|t| bare(&absolute(object, t))).collect();
    let targets: BTreeSet<String> = ours.targets.iter().map(|t| bare(t)).collect();
    if targets.is_empty() || !targets.is_subset(&theirs) {
        found.differs("reference", targets, theirs);
    }
}

/// TR-106: a dot in front begins at the root, each `#` goes up one object.
fn absolute(object: &str, relative: &str) -> String {
    if relative.starts_with("Device.") {
        return relative.to_string();
    }
    if let Some(rest) = relative.strip_prefix('.') {
        return format!("Device.{rest}");
    }
    let rest = relative.trim_start_matches('#');
    let mut at = object;
    for _ in rest.len()..relative.len() {
        let body = at.trim_end_matches("{i}.").trim_end_matches('.');
        at = &at[..body.rfind('.').map_or(0, |dot| dot + 1)];
    }
    format!("{at}{}", rest.trim_start_matches('.'))
}

fn base_word(base: Base) -> &'static str {
    match base {
        Base::String => "string",
        Base::Int => "int",
        Base::UnsignedInt => "unsignedInt",
        Base::Long => "long",
        Base::UnsignedLong => "unsignedLong",
        Base::Decimal => "decimal",
        Base::Boolean => "boolean",
        Base::DateTime => "dateTime",
        Base::Base64 => "base64",
        Base::HexBinary => "hexBinary",
    }
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Plain | Format::Reference => "",
        Format::Alias => "_AliasCWMP",
        Format::IpAddress => "IPAddress",
        Format::Ipv4Address => "IPv4Address",
        Format::Ipv6Address => "IPv6Address",
        Format::IpPrefix => "IPPrefix",
        Format::Ipv4Prefix => "IPv4Prefix",
        Format::Ipv6Prefix => "IPv6Prefix",
        Format::MacAddress => "MACAddress",
        Format::Uuid => "UUID",
    }
}

/// Whether a named type has a form of its own here (others are their base type with bounds).
fn is_format(name: &str) -> bool {
    use Format::*;
    let formats =
        [Alias, IpAddress, Ipv4Address, Ipv6Address, IpPrefix, Ipv4Prefix, Ipv6Prefix, MacAddress, Uuid];
    formats.iter().any(|f| format_word(*f) == name)
}

/// `0..64`, `..100`, `1..`, with or without `:step5`.
fn range(text: &str) -> (i64, i64) {
    let text = text.split(':').next().unwrap_or("");
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    (min.parse().unwrap_or(i64::MIN), max.parse().unwrap_or(i64::MAX))
}

/// A range with its open ends put where the base type has them.
fn closed(base: Base, (min, max): (i64, i64)) -> (i64, i64) {
    let (least, most) = match base {
        Base::Int => (i32::MIN.into(), i32::MAX.into()),
        Base::UnsignedInt => (0, u32::MAX.into()),
        Base::Long | Base::Decimal => (i64::MIN, i64::MAX),
        _ => (0, i64::MAX),
    };
    (min.max(least), max.min(most))
}
