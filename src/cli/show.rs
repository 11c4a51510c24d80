//! Answers of the daemon in words.

use crate::agent::control::{Line, StatusReport};
use std::io::{self, Write};

/// One line of an answer, for a person.
pub(super) fn line(line: &Line, out: &mut impl Write) -> io::Result<()> {
    match line {
        Line::Value { path, value } => {
            writeln!(out, "{}={}", plain(path, false), plain(value, false))
        }
        Line::Name { path, .. } | Line::Instance { path, .. } => {
            writeln!(out, "{}", plain(path, false))
        }
        Line::Status { status: report } => status(report, out),
        Line::Ok { .. } | Line::Error { .. } => Ok(()),
    }
}

/// Text of others made fit for a terminal: control characters are escaped (`--json` has them as
/// they are), line ends too unless `lines` are wanted.
pub(super) fn plain(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !(lines && c == '\n') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn status(s: &StatusReport, out: &mut impl Write) -> io::Result<()> {
    let mut say = |name: &str, text: &str| match name {
        "" => writeln!(out, "{:20}{}", "", plain(text, false)),
        _ => writeln!(out, "{name:18}  {}", plain(text, false)),
    };
    say("Agent", &format!("cwmpd {} on {}, up {}", s.version, s.platform, duration(s.uptime)))?;
    say("Device", &format!("{} {} {}", s.manufacturer, s.manufacturer_oui, s.product_class))?;
    say("Serial number", &s.serial_number)?;
    say("Software version", &s.software_version)?;
    say("Model", &format!("{} objects, {} parameters", s.served.0, s.served.1))?;
    let user = if s.acs_username.is_empty() { String::new() } else { format!(" as {}", s.acs_username) };
    say("ACS", &format!("{}{user}", s.acs_url))?;
    if let Some(url) = &s.acs_in_use {
        say("ACS in use", url)?;
    }
    say("ACS version", &s.acs_version)?;
    if !s.acs_methods.is_empty() {
        say("ACS methods", &s.acs_methods.join(" "))?;
    }
    say("State", &s.state)?;
    match &s.last_session {
        None => say("Last session", "none yet")?,
        Some(last) => {
            let outcome = match &last.failure {
                None => format!("went well, {} requests of the ACS", last.requests),
                Some(why) => format!("FAILED: {why}"),
            };
            let (seconds, rest) = (last.milliseconds / 1000, last.milliseconds % 1000);
            say("Last session", &format!("{} ({seconds}.{rest:03} s) {outcome}", last.began))?;
            say("", &format!("events: {}", last.events.join(", ")))?;
        }
    }
    if s.retry_count > 0 {
        say("Failed in a row", &s.retry_count.to_string())?;
    }
    match &s.next_session {
        None => say("Next session", "none is planned")?,
        Some(next) => {
            let at = if next.at.is_empty() { String::new() } else { format!(" ({})", next.at) };
            say("Next session", &format!("in {}{at}: {}", duration(next.seconds), next.why))?;
        }
    }
    if let Some(trial) = &s.trial {
        let how = match trial.standing {
            true => "it stands, and waits for an answer of the ACS".to_owned(),
            false => format!("put back in {} unless the ACS answers", duration(trial.seconds_left.into())),
        };
        say("On trial", &how)?;
        trial.parameters.iter().try_for_each(|name| say("", name))?;
    }
    if let Some(last) = &s.rollback {
        let time = if last.time.is_empty() { "at an unknown time" } else { &last.time };
        say("Put back", &format!("{time}: {}", last.reason))?;
        last.parameters.iter().try_for_each(|name| say("", name))?;
    }
    if let Some(next) = &s.next_heartbeat {
        let at = if next.at.is_empty() { String::new() } else { format!(" ({})", next.at) };
        say("Next heartbeat", &format!("in {}{at}: {}", duration(next.seconds), next.why))?;
    }
    if let Some(next) = &s.next_reboot {
        let due = next.seconds.map_or("due".to_owned(), |s| format!("in {}", duration(s)));
        say("Reboot", &format!("{due}: {}", next.why))?;
    }
    for (i, transfer) in s.transfers.iter().enumerate() {
        say(if i == 0 { "Transfers" } else { "" }, &super::transfers::words(transfer))?;
    }
    if s.pending_events.is_empty() {
        say("Pending events", "none")?;
    }
    for (i, (code, key)) in s.pending_events.iter().enumerate() {
        let key = if key.is_empty() { String::new() } else { format!(" (CommandKey {key})") };
        say(if i == 0 { "Pending events" } else { "" }, &format!("{code}{key}"))?;
    }
    let listener = s.connection_request_url.as_deref().unwrap_or("not listening");
    say("Connection request", listener)?;
    say("Stored state", s.state_problem.as_deref().unwrap_or("sound"))?;
    for problem in &s.overlay_problems {
        say("Refused overlay", problem)?;
    }
    for note in &s.notes {
        say("Note", note)?;
    }
    Ok(())
}

/// `2 d 3 h`, `5 min 20 s`: the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::control::{
        NextReport, RebootReport, RollbackReport, SessionReport, TransferReport, TrialReport,
    };

    #[test]
    fn durations() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (320, "5 min 20 s"), (7260, "2 h 1 min"), (183_600, "2 d 3 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn values_cannot_steer_a_terminal() {
        let mut out = Vec::new();
        let value = Line::Value { path: "A".into(), value: "x\u{1b}[2J\n=é".into() };
        line(&value, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A=x\\u{1b}[2J\\n=é\n");
    }

    #[test]
    fn status_in_words() {
        let report = StatusReport {
            version: "0.1.0".into(),
            platform: "linux".into(),
            uptime: 320,
            manufacturer: "Example".into(),
            manufacturer_oui: "00D09E".into(),
            product_class: "Box".into(),
            serial_number: "S1".into(),
            software_version: "12".into(),
            acs_url: "http://acs.example.com/".into(),
            acs_in_use: Some("http://acs2.example.com/".into()),
            acs_username: "00D09E-Box-S1".into(),
            acs_version: "1.4".into(),
            acs_methods: vec!["Inform".into(), "TransferComplete".into()],
            state: "waiting".into(),
            last_session: Some(SessionReport {
                began: "2026-11-22T10:28:55+00:00".into(),
                milliseconds: 1042,
                events: vec!["0 BOOTSTRAP".into(), "1 BOOT".into()],
                requests: 3,
                failure: Some("no TCP connection: refused".into()),
            }),
            retry_count: 2,
            next_session: Some(NextReport { seconds: 14, at: String::new(), why: "retry 2".into() }),
            trial: Some(TrialReport {
                parameters: vec!["Device.IP.Interface.1.Enable".into()],
                seconds_left: 240,
                standing: false,
            }),
            rollback: Some(RollbackReport {
                time: "2026-11-22T09:00:00+00:00".into(),
                reason: "no connection".into(),
                parameters: vec!["Device.ManagementServer.URL".into()],
                count: 1,
            }),
            next_heartbeat: Some(NextReport {
                seconds: 75,
                at: "2026-11-22T10:30:10+00:00".into(),
                why: "by HeartbeatPolicy".into(),
            }),
            next_reboot: Some(RebootReport { seconds: Some(3600), why: "DelayReboot".into() }),
            transfers: vec![TransferReport {
                number: 4,
                command_key: "fw-7".into(),
                method: "Download".into(),
                file_type: "1 Firmware Upgrade Image".into(),
                url: "http://files.example.com/image".into(),
                step: "fetching".into(),
                bytes: 450_000,
                total: 1_000_000,
                ..TransferReport::default()
            }],
            pending_events: vec![("1 BOOT".into(), String::new()), ("M Reboot".into(), "k7".into())],
            connection_request_url: None,
            served: (60, 350),
            state_problem: None,
            overlay_problems: vec!["/etc/x.toml:3: no such type".into()],
            notes: vec![],
        };
        let mut out = Vec::new();
        status(&report, &mut out).unwrap();
        let expected = "\
Agent               cwmpd 0.1.0 on linux, up 5 min 20 s
Device              Example 00D09E Box
Serial number       S1
Software version    12
Model               60 objects, 350 parameters
ACS                 http://acs.example.com/ as 00D09E-Box-S1
ACS in use          http://acs2.example.com/
ACS version         1.4
ACS methods         Inform TransferComplete
State               waiting
Last session        2026-11-22T10:28:55+00:00 (1.042 s) FAILED: no TCP connection: refused
                    events: 0 BOOTSTRAP, 1 BOOT
Failed in a row     2
Next session        in 14 s: retry 2
On trial            put back in 4 min 0 s unless the ACS answers
                    Device.IP.Interface.1.Enable
Put back            2026-11-22T09:00:00+00:00: no connection
                    Device.ManagementServer.URL
Next heartbeat      in 1 min 15 s (2026-11-22T10:30:10+00:00): by HeartbeatPolicy
Reboot              in 1 h 0 min: DelayReboot
Transfers           #4 Download 1 Firmware Upgrade Image (CommandKey fw-7): fetching, 45 % of 1.0 MB
Pending events      1 BOOT
                    M Reboot (CommandKey k7)
Connection request  not listening
Stored state        sound
Refused overlay     /etc/x.toml:3: no such type
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
