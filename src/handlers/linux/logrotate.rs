//! Provider `log_rotate`: DeviceInfo.LogRotate, from logrotate's own configuration; and the file of OpenWrt's
//! log daemon (package system), which turns over by itself. The key of a row is the list of paths its rule
//! stands for; the key of a log file is its path.

use crate::handlers::reading::{PerRpc, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::{clock, host, uci};
use std::path::Path;

const MAIN: &str = "/etc/logrotate.conf";
const FOLDER: &str = "/etc/logrotate.d";
/// What editors and package managers leave behind, and logrotate passes over.
const TABOO: [&str; 9] =
    ["~", ",v", ".swp", ".bak", ".disabled", ".dpkg-old", ".dpkg-dist", ".rpmnew", ".rpmsave"];
/// Where the program is.
const PROGRAMS: [&str; 3] = ["/usr/sbin/logrotate", "/usr/bin/logrotate", "/sbin/logrotate"];
/// No more rules than this are shown.
const MAX_RULES: usize = 128;
/// No more paths of a rule than this are looked at.
const MAX_PATHS: usize = 16;
/// No more log files of a rule than this are shown.
const MAX_FILES: usize = 256;
/// The standard's bound on the Name of a log file; a longer path could not be told from its neighbour.
const MAX_NAME: usize = 64;
/// So many suffixes a rotated log has at most: `.1`, `.gz`, a date.
const MAX_SUFFIXES: usize = 4;

/// The provider.
#[derive(Default)]
pub struct LogRotate {
    found: PerRpc<Found>,
}

#[derive(Default)]
struct Found {
    /// Whether the program is there to do it.
    installed: bool,
    rules: Vec<Rule>,
}

/// A rule, or the choices of the main file that all rules begin with.
#[derive(Clone, Default, PartialEq, Debug)]
struct Rule {
    paths: String,
    /// Old files kept.
    files: u32,
    /// KiB.
    size: u32,
    /// Minutes between two rotations; a month counts as 30 days.
    every: u32,
    /// Minutes that old files are kept.
    retention: u32,
    compress: bool,
    program: &'static str,
    /// The log daemon does it itself.
    own: bool,
}

impl Reading for LogRotate {
    /// Logs that are written never stand still, and their folders are searched.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let found = self.found.get(ctx, || read(ctx.root));
        match row.keys.first() {
            None => out.extend(found.rules.iter().map(|r| &r.paths)),
            Some(key) => {
                if let Some(rule) = found.rules.iter().find(|r| r.paths == *key) {
                    files(ctx.root, rule, out);
                }
            }
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        if row.keys.len() > 1 {
            log_file(ctx.root, row.key(), want, out);
            return;
        }
        let found = self.found.get(ctx, || read(ctx.root));
        let Some(rule) = found.rules.iter().find(|r| r.paths == row.key()) else {
            return;
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, found.installed || rule.own),
                "Name" => out.put(i, &rule.paths),
                "NumberOfFiles" => out.put(i, rule.files.max(1)),
                "MaxFileSize" => out.put(i, rule.size),
                "RollOver" => out.put(i, rule.every),
                "Retention" => out.put(i, rule.retention),
                "Compression" if !rule.compress => out.put(i, "None"),
                "Compression" => out.put(i, rule.program),
                _ => {}
            }
        }
    }
}

fn log_file(root: &Path, path: &str, want: &[Want<'_>], out: &mut Fields) {
    let Some(size) = host::metadata(root, path).map(|m| m.len()) else {
        return;
    };
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Name" => out.put(i, path),
            "Size" => out.put(i, u32::try_from(size).unwrap_or(u32::MAX)),
            "LastChange" => {
                if let Some(changed) = host::modified(root, path) {
                    out.put(i, clock::utc(changed));
                }
            }
            _ => {}
        }
    }
}

fn read(root: &Path) -> Found {
    let mut rules = Vec::new();
    let mut all = Rule { program: "GZIP", ..Rule::default() };
    let text = |path: &str| host::read(root, path).unwrap_or_default();
    parse(&text(MAIN), &mut all, &mut rules);
    for name in host::names(root, FOLDER) {
        if !name.starts_with('.') && !TABOO.iter().any(|t| name.ends_with(t)) {
            // What one file of the folder says outside of its rules holds for the files behind it too.
            parse(&text(&format!("{FOLDER}/{name}")), &mut all, &mut rules);
        }
    }
    logd(root, &mut rules);
    Found { installed: PROGRAMS.iter().any(|p| host::metadata(root, p).is_some_and(|m| m.is_file())), rules }
}

/// Logd's file keeps one old one, `.0`; its size is in KiB, and 64 without a word.
fn logd(root: &Path, rules: &mut Vec<Rule>) {
    let Ok(Some(package)) = uci::load(root, "system") else { return };
    for section in package.of_kind("system") {
        let path = section.get("log_file").filter(|p| p.starts_with('/') && !p.contains(char::is_whitespace));
        let Some(path) = path else { continue };
        let size = section.get("log_size").and_then(|s| s.parse().ok()).filter(|s| *s > 0).unwrap_or(64);
        add(rules, Some(Rule { paths: path.to_owned(), files: 1, size, own: true, ..Rule::default() }));
    }
}

/// Paths up to a `{`, choices one a line up to a `}`; scripts end with `endscript`.
fn parse(text: &str, all: &mut Rule, rules: &mut Vec<Rule>) {
    let mut paths: Vec<&str> = Vec::new();
    let mut rule: Option<Rule> = None;
    let mut script = false;
    for line in text.lines().map(str::trim) {
        if script {
            script = line != "endscript";
            continue;
        }
        let line = line.split_once('#').map_or(line, |(l, _)| l).trim();
        if let Some(open) = &mut rule {
            let first = line.split_ascii_whitespace().next().unwrap_or("");
            script = is_script(first);
            if first.starts_with('}') {
                add(rules, rule.take());
            } else {
                open.choose(line);
            }
            continue;
        }
        let (head, body) = line.split_once('{').map_or((line, None), |(h, b)| (h, Some(b)));
        let names: Vec<&str> = head.split_ascii_whitespace().map(|w| w.trim_matches(['"', '\''])).collect();
        if paths.is_empty() && body.is_none() && !head.starts_with(['/', '"', '\'']) {
            script = is_script(names.first().copied().unwrap_or(""));
            all.choose(line);
            continue;
        }
        paths.extend(names);
        if let Some(body) = body {
            let mut open = Rule { paths: paths.join(" "), ..all.clone() };
            paths.clear();
            match body.split_once('}') {
                Some((choice, _)) => {
                    open.choose(choice);
                    add(rules, Some(open));
                }
                None => {
                    open.choose(body);
                    rule = Some(open);
                }
            }
        }
    }
}

fn is_script(word: &str) -> bool {
    matches!(word, "postrotate" | "prerotate" | "firstaction" | "lastaction" | "preremove")
}

fn add(rules: &mut Vec<Rule>, rule: Option<Rule>) {
    let new = rule.filter(|r| {
        !r.paths.is_empty()
            && !r.paths.chars().any(char::is_control)
            && rules.iter().all(|known| known.paths != r.paths)
    });
    if rules.len() < MAX_RULES {
        rules.extend(new);
    }
}

impl Rule {
    fn choose(&mut self, line: &str) {
        const HOUR: u32 = 60;
        const DAY: u32 = 24 * HOUR;
        let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=').filter(|w| !w.is_empty());
        let Some(word) = words.next() else { return };
        let value = words.next().unwrap_or("");
        match word {
            "rotate" => self.files = value.parse().unwrap_or(self.files),
            "size" | "maxsize" => self.size = kib(value).unwrap_or(self.size),
            "hourly" => self.every = HOUR,
            "daily" => self.every = DAY,
            "weekly" => self.every = 7 * DAY,
            "monthly" => self.every = 30 * DAY,
            "yearly" => self.every = 365 * DAY,
            "maxage" => {
                self.retention = value.parse::<u32>().map_or(self.retention, |days| days.saturating_mul(DAY));
            }
            "compress" => self.compress = true,
            "nocompress" => self.compress = false,
            "compresscmd" => {
                self.program = match value.rsplit('/').next() {
                    Some("bzip2") => "BZIP2",
                    Some("lzop") => "LZO",
                    Some("xz") => "XZ",
                    Some("zstd") => "ZSTD",
                    _ => "GZIP",
                };
            }
            _ => {}
        }
    }
}

/// `100k`, `2M`, `1G`, or bytes.
fn kib(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let bytes = match text.get(digits.len()..)? {
        "" => number,
        "k" => number.checked_mul(1 << 10)?,
        "M" => number.checked_mul(1 << 20)?,
        "G" => number.checked_mul(1 << 30)?,
        _ => return None,
    };
    u32::try_from(bytes.div_ceil(1024)).ok()
}

/// The files of a rule that are there: the logs themselves and what became of them. Only the last
/// word of a path may have a `*`.
fn files(root: &Path, rule: &Rule, out: &mut Keys) {
    for pattern in rule.paths.split(' ').take(MAX_PATHS) {
        let Some((folder, pattern)) = pattern.rsplit_once('/') else {
            continue;
        };
        if folder.contains(['*', '?', '[']) {
            continue;
        }
        for name in host::names(root, folder) {
            let path = format!("{folder}/{name}");
            let shown = out.len() < MAX_FILES && path.chars().count() <= MAX_NAME;
            if shown
                && came_from(&name, pattern)
                && !out.contains(&path)
                && host::metadata(root, &path).is_some_and(|m| m.is_file())
            {
                out.push(path);
            }
        }
    }
}

/// Whether a name is that of a log, or of a log with the suffixes of rotation and compression.
fn came_from(name: &str, pattern: &str) -> bool {
    let mut name = name;
    for _ in 0..=MAX_SUFFIXES {
        if matches(name, pattern) {
            return true;
        }
        let Some(at) = name.rfind(['.', '-']) else {
            return false;
        };
        name = name.get(..at).unwrap_or("");
    }
    false
}

/// A pattern with at most one `*`.
fn matches(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => {
            !after.contains('*') && name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    const TABLE: &str = "Device.DeviceInfo.LogRotate.{i}.";
    const FILES: &str = "Device.DeviceInfo.LogRotate.{i}.LogFile.{i}.";
    const NAMES: [&str; 7] =
        ["Enable", "Name", "NumberOfFiles", "MaxFileSize", "RollOver", "Retention", "Compression"];

    fn table() -> ReadOnly {
        ReadOnly(Box::new(LogRotate::default()))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file(
            "etc/logrotate.conf",
            "# all\nweekly\nrotate 4\ncompress\ninclude /etc/logrotate.d\n/var/log/wtmp { monthly }\n",
        );
        f.file(
            "etc/logrotate.d/apt",
            "/var/log/apt/a.log\n\"/var/log/apt/*.b\" {\n rotate 0\n size=100k # small\n nocompress\n postrotate\n }\n rotate 9\n endscript\n}\n",
        );
        f.file("etc/logrotate.d/apt.dpkg-old", "/var/log/old { daily }\n");
        f.file(
            "etc/logrotate.d/x",
            "/var/log/x {\ndaily\nmaxage 2\ncompresscmd /usr/bin/xz\nmaxsize 1M\n}\n",
        );
        let apt = "/var/log/apt/a.log /var/log/apt/*.b";
        let get = |key| {
            let v = probe::get(&mut table(), f.root(), TABLE, &[key], &NAMES);
            probe::line(&v, &NAMES)
        };
        assert_eq!(probe::list(&mut table(), f.root(), TABLE, &[]), ["/var/log/wtmp", apt, "/var/log/x"]);
        assert_eq!(get("/var/log/wtmp"), "false|/var/log/wtmp|4|0|43200|0|GZIP");
        f.file("usr/sbin/logrotate", "");
        assert_eq!(get(apt), format!("true|{apt}|1|100|10080|0|None"));
        assert_eq!(get("/var/log/x"), "true|/var/log/x|4|1024|1440|2880|XZ");
        for name in ["a.log", "a.log.1", "a.log-20240101.gz", "c.b", "c.c", "eipp.log"] {
            f.file(&format!("var/log/apt/{name}"), "12345");
        }
        let logs = probe::list(&mut table(), f.root(), FILES, &[apt]);
        assert_eq!(
            logs,
            [
                "/var/log/apt/a.log",
                "/var/log/apt/a.log-20240101.gz",
                "/var/log/apt/a.log.1",
                "/var/log/apt/c.b"
            ]
        );
        let v = probe::get(&mut table(), f.root(), FILES, &[apt, &logs[2]], &["Name", "Size", "LastChange"]);
        assert_eq!((v["Name"].as_str(), v["Size"].as_str()), (&*logs[2], "5"));
        assert!(clock::parse(&v["LastChange"]).is_some_and(clock::believed));
        let gone = [apt, "/var/log/apt/none"];
        assert!(probe::get(&mut table(), f.root(), FILES, &gone, &["Name"]).is_empty());
    }

    #[test]
    fn hostile_files() {
        for text in [
            "{",
            "}",
            "{}",
            "/a {",
            "/a {\npostrotate\n",
            "/a\n/b\n",
            "\"\" {}\n",
            "/a{size 99999999999999999999k}\n",
            "/\u{1}{\n}\n",
            "/../../* {\n}\n",
            "/a/** {}\n",
        ] {
            let f = Folder::new();
            f.file("etc/logrotate.conf", text);
            let mut t = table();
            for key in probe::list(&mut t, f.root(), TABLE, &[]) {
                probe::get(&mut t, f.root(), TABLE, &[&key], &NAMES);
                for file in probe::list(&mut t, f.root(), FILES, &[&key]) {
                    assert!(!file.contains("logrotate"), "{text:?}: {file}");
                }
            }
        }
        let f = Folder::new();
        let many: String = (0..1000).map(|n| format!("/var/log/{n} {{ daily }}\n")).collect();
        f.file("etc/logrotate.conf", &many);
        assert_eq!(probe::list(&mut table(), f.root(), TABLE, &[]).len(), MAX_RULES);
        for (text, size) in [
            ("1", Some(1)),
            ("0", Some(0)),
            ("5G", Some(5 << 20)),
            ("-1", None),
            ("1T", None),
            ("k", None),
            ("4096G", None),
        ] {
            assert_eq!(kib(text), size, "{text}");
        }
    }
}
