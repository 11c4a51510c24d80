//! A transfer as text, for the journal: a line for each thing that is known, and a last line that says
//! that it is whole. Credentials are in a record of their own.
//!
//! # Error handling
//! A damaged record is read as far as it makes sense. What it promised cannot be done then, since half a
//! URL may look like a whole one: the transfer has failed (9002), and the ACS is told so. One of
//! which not even the RPC is known is dropped.

use super::transfer::{Transfer, ms};
use super::{Asked, MAX_COMMAND_KEY, MAX_FILE_TYPE, MAX_LOCAL_URL, MAX_TEXT, MAX_TRANSFERS, MAX_WINDOWS};
use super::{MAX_RETRY_WAIT, Method, Mode, Origin, Step, Window, judge};
use crate::cwmp::fields;
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use crate::sys::order;
use std::fmt;

/// The last line.
const WHOLE: &str = "whole";
const SECRET: &str = "/secret";

const METHODS: [Method; 3] = [Method::Download, Method::ScheduleDownload, Method::Upload];
const STEPS: [(&str, Step); 6] = [
    ("Queued", Step::Queued),
    ("Fetching", Step::Fetching),
    ("Fetched", Step::Fetched),
    ("Verified", Step::Verified),
    ("Applying", Step::Applying),
    ("Done", Step::Done),
];
/// What the journal has of the transfers: keys without prefix, and texts.
#[derive(Clone, Default)]
pub(super) struct Recorded(Vec<(String, String)>);

impl fmt::Debug for Recorded {
    /// Without the texts: credentials are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl Recorded {
    /// What is to be written so that the journal has these transfers; it is taken as written.
    pub fn changes(&mut self, transfers: &[Transfer]) -> Vec<(String, Option<String>)> {
        let mut wanted = Vec::new();
        for t in transfers {
            wanted.push((t.number.to_string(), text(t)));
            if !t.asked.username.is_empty() || !t.asked.password.is_empty() {
                let mut secret = String::new();
                fields::push_line(&mut secret, &[&t.asked.username, &t.asked.password, WHOLE]);
                wanted.push((format!("{}{SECRET}", t.number), secret));
            }
        }
        let gone = self.0.iter().filter(|(key, _)| wanted.iter().all(|(k, _)| k != key));
        let mut changes: Vec<_> = gone.map(|(key, _)| (key.clone(), None)).collect();
        let new = wanted.iter().filter(|entry| !self.0.contains(entry));
        changes.extend(new.map(|(key, text)| (key.clone(), Some(text.clone()))));
        self.0 = wanted;
        changes
    }
}

/// The transfers of records (key without prefix, text), in the order of their numbers.
pub(super) fn read<'a>(
    records: impl Iterator<Item = (&'a str, &'a str)>,
    rebooted: bool,
    now: Now,
) -> (Vec<Transfer>, Recorded) {
    let stored: Vec<(String, String)> = records.map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut transfers: Vec<Transfer> = Vec::new();
    for (key, text) in &stored {
        let number = key.parse::<u32>().ok().filter(|n| *n != 0 && n.to_string() == *key);
        if let Some(transfer) = number.and_then(|n| one(n, text, rebooted, now)) {
            transfers.push(transfer);
        }
    }
    order::sort_by(&mut transfers, |a, b| a.number.cmp(&b.number));
    transfers.truncate(MAX_TRANSFERS);
    for t in transfers.iter_mut().filter(|t| t.step != Step::Done) {
        let key = format!("{}{SECRET}", t.number);
        let Some((_, secret)) = stored.iter().find(|(k, _)| *k == key) else { continue };
        for [username, password, whole] in fields::lines(secret) {
            if whole == WHOLE {
                t.asked.username = cut(&username, MAX_TEXT);
                t.asked.password = cut(&password, MAX_TEXT);
            }
        }
    }
    (transfers, Recorded(stored))
}

fn text(t: &Transfer) -> String {
    let mut out = String::with_capacity(512);
    let a = &t.asked;
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            fields::push_line(&mut out, &[name, value]);
        }
    };
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let mark = |yes: bool| if yes { "yes" } else { "" };
    line("method", a.method.name());
    line("local", mark(a.origin == Origin::Local));
    line("former", mark(t.former));
    line("key", &a.command_key);
    line("type", &a.file_type);
    line("url", &a.url);
    line("size", &a.file_size.to_string());
    line("name", &a.target_file_name);
    line("delay", &a.delay_seconds.to_string());
    line("received", &t.received.to_string());
    line("wall", &number(t.wall));
    line("adrift", mark(t.adrift));
    line("step", STEPS.iter().find(|(_, step)| *step == t.step).map_or("", |(name, _)| name));
    line("confirmed", mark(t.confirmed));
    line("past", &t.window.to_string());
    line("attempts", &t.attempts.to_string());
    line("after", &number(t.not_before));
    line("start", &number(t.start_time));
    line("complete", &number(t.complete_time));
    line("found size", &number(t.found.size.and_then(|s| i64::try_from(s).ok())));
    line("found version", t.found.version.as_deref().unwrap_or_default());
    line("version before", t.found.version_before.as_deref().unwrap_or_default());
    line("bank before", t.found.bank_before.as_deref().unwrap_or_default());
    line("bank", t.found.bank.as_deref().unwrap_or_default());
    for w in &a.windows {
        let (start, end) = (w.start.to_string(), w.end.to_string());
        let retries = w.max_retries.map(|n| n.to_string()).unwrap_or_default();
        fields::push_line(&mut out, &["window", &start, &end, w.mode.name(), &retries, &w.user_message]);
    }
    if let Some(fault) = &t.fault {
        fields::push_line(&mut out, &["fault", &fault.code.0.to_string(), &fault.text]);
    }
    fields::push_line(&mut out, &[WHOLE]);
    out
}

/// One transfer; `None` when not even the RPC is known, or nobody is to be told of the damage.
fn one(number: u32, text: &str, rebooted: bool, now: Now) -> Option<Transfer> {
    let whole = text.strip_suffix(WHOLE_LINE).is_some_and(|rest| rest.ends_with('\n'));
    let mut t = Transfer::new(number, empty(), now);
    let mut method = None;
    let mut step = None;
    t.wall = None;
    for [name, value] in fields::lines(text) {
        let words = |most: usize| Some(cut(&value, most));
        match name.as_str() {
            "method" => method = METHODS.into_iter().find(|m| m.name() == value),
            "local" => t.asked.origin = Origin::Local,
            "former" => t.former = true,
            "key" => t.asked.command_key = cut(&value, MAX_COMMAND_KEY),
            "type" => t.asked.file_type = cut(&value, MAX_FILE_TYPE),
            "url" => t.asked.url = cut(&value, MAX_LOCAL_URL),
            "size" => t.asked.file_size = value.parse().unwrap_or(0),
            "name" => t.asked.target_file_name = cut(&value, MAX_TEXT),
            "delay" => t.asked.delay_seconds = value.parse().unwrap_or(0),
            "received" => t.received = value.parse().map_or(t.received, |r: i64| r.min(ms(now.mono))),
            "wall" => t.wall = value.parse().ok(),
            "adrift" => t.adrift = true,
            "step" => step = STEPS.iter().find(|(name, _)| *name == value).map(|(_, step)| *step),
            "confirmed" => t.confirmed = true,
            "past" => t.window = value.parse().unwrap_or(0),
            "attempts" => t.attempts = value.parse().unwrap_or(0),
            "after" => t.not_before = value.parse().ok(),
            "start" => t.start_time = value.parse().ok(),
            "complete" => t.complete_time = value.parse().ok(),
            "found size" => t.found.size = value.parse().ok(),
            "found version" => t.found.version = words(MAX_TEXT),
            "version before" => t.found.version_before = words(MAX_TEXT),
            "bank before" => t.found.bank_before = words(MAX_TEXT),
            "bank" => t.found.bank = words(MAX_TEXT),
            _ => {}
        }
    }
    t.asked.method = method?;
    t.asked.windows = windows(text);
    for [name, code, text] in fields::lines(text) {
        if let ("fault", Ok(code)) = (name.as_str(), code.parse()) {
            t.fault = Some(Fault::new(Code(code), cut(&text, MAX_TEXT)));
        }
    }
    // Damaged or not, none waits longer than it would have.
    let latest = ms(now.mono).saturating_add(ms(MAX_RETRY_WAIT));
    t.not_before = t.not_before.map(|after| after.min(latest)).filter(|_| t.is_scheduled());
    if rebooted {
        t.received = ms(now.mono);
        t.adrift = true;
        t.not_before = None;
    }
    match step.filter(|_| whole) {
        Some(Step::Done) => t.step = Step::Done,
        Some(step) if judge::asked(&mut t.asked).is_ok() => t.step = step,
        _ if t.asked.origin == Origin::Local || t.former => return None,
        _ => {
            t.step = Step::Done;
            let text = "the record of this transfer was damaged; what has become of it is not known";
            t.fault = Some(Fault::new(Code::INTERNAL_ERROR, text));
        }
    }
    Some(t)
}

/// [`WHOLE`] as a line.
const WHOLE_LINE: &str = "whole\n";

fn windows(text: &str) -> Vec<Window> {
    let mut windows = Vec::new();
    for [name, start, end, mode, retries, user_message] in fields::lines(text) {
        let (Ok(start), Ok(end), Some(mode)) = (start.parse(), end.parse(), Mode::from_name(&mode)) else {
            continue;
        };
        if name == "window" && windows.len() < MAX_WINDOWS {
            let max_retries = retries.parse().ok();
            windows.push(Window {
                start,
                end,
                mode,
                user_message: cut(&user_message, MAX_TEXT),
                max_retries,
            });
        }
    }
    windows
}

fn empty() -> Asked {
    Asked {
        method: Method::Download,
        origin: Origin::Acs,
        command_key: String::new(),
        file_type: String::new(),
        url: String::new(),
        username: String::new(),
        password: String::new(),
        file_size: 0,
        target_file_name: String::new(),
        delay_seconds: 0,
        windows: Vec::new(),
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
