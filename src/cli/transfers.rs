//! `cwmpd transfers`: what moves, in words, and as a bar while one looks on.

use super::show::{duration, plain};
use super::{Exit, complain};
use crate::agent::control::{self, Line, Request, TransferReport};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often one that looks on asks the daemon.
const LOOK: Duration = Duration::from_millis(500);
/// How often somebody is told that is no terminal, unless something else than the number changes.
const TELL: Duration = Duration::from_secs(10);
/// Characters between the ends of the bar.
const BAR: u64 = 24;

/// Shows the transfers once, or until none is left that waits or runs.
pub(super) fn show(socket: &Path, follow: bool, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    if !follow {
        return Ok(match ask(socket) {
            Ok(list) => {
                list.iter().try_for_each(|transfer| whole(transfer, json, out))?;
                Exit::Ok
            }
            Err(exit) => exit,
        });
    }
    let mut eye = Eye { terminal: io::stdout().is_terminal() && !json, json, ..Eye::default() };
    loop {
        let list = match ask(socket) {
            Ok(list) => list,
            Err(exit) => return Ok(exit),
        };
        let left = eye.look(&list, Instant::now(), out)?;
        out.flush()?;
        if !left {
            return Ok(Exit::Ok);
        }
        std::thread::sleep(LOOK);
    }
}

fn ask(socket: &Path) -> Result<Vec<TransferReport>, Exit> {
    let mut found = Vec::new();
    let mut each = |line: Line| {
        if let Line::Status { status } = line {
            found = status.transfers;
        }
        true
    };
    match control::ask(socket, &Request::Status, &mut each) {
        Ok(_) => Ok(found),
        Err(error) => {
            complain(&plain(&error.to_string(), true));
            Err(match error {
                control::Error::Unreachable { .. } => Exit::Unreachable,
                _ => Exit::Fault,
            })
        }
    }
}

fn whole(transfer: &TransferReport, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, transfer)?;
        return out.write_all(b"\n");
    }
    writeln!(out, "{}", plain(&words(transfer), false))?;
    writeln!(out, "    {}", plain(&transfer.url, false))
}

/// One transfer, for a person.
pub(super) fn words(t: &TransferReport) -> String {
    let key =
        if t.command_key.is_empty() { String::new() } else { format!(" (CommandKey {})", t.command_key) };
    let mut text = format!("#{} {} {}{key}: {}", t.number, t.method, t.file_type, t.step);
    if let Some(far) = far(t) {
        text = text + ", " + &far;
    }
    if t.seconds > 0 {
        text += &format!(", not before {}", duration(t.seconds));
    }
    if t.fault != 0 {
        text += &format!(", FAILED: {}", t.fault);
    }
    if !t.note.is_empty() {
        text = text + if t.fault != 0 { " " } else { ", " } + &t.note;
    }
    text
}

/// How far the bytes have come, while some are on their way.
fn far(t: &TransferReport) -> Option<String> {
    match (t.bytes, t.total) {
        (0, 0) => None,
        (done, 0) => Some(size(done)),
        (done, total) if done >= total => Some(size(total)),
        (done, total) => Some(format!("{} % of {}", done.saturating_mul(100) / total, size(total))),
    }
}

/// `1.2 MB`
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes / 100 % 10),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// Somebody who looks on.
#[derive(Default)]
struct Eye {
    terminal: bool,
    json: bool,
    /// What was said of each last: number, words without the bytes, and when.
    said: Vec<(u32, String, Instant)>,
    /// Where the moving one was: number, bytes, when.
    moved: Option<(u32, u64, Instant)>,
    /// Bytes a second, smoothed.
    rate: u64,
    /// A bar stands on the last line of the terminal.
    bar: bool,
}

impl Eye {
    /// Says what is new; whether there is something to wait for.
    fn look(&mut self, list: &[TransferReport], now: Instant, out: &mut impl Write) -> io::Result<bool> {
        for transfer in list {
            let still = TransferReport { bytes: 0, total: 0, seconds: 0, ..transfer.clone() };
            let text = words(&still);
            let moves = transfer.step == "fetching" || transfer.step == "sending";
            let last = self.said.iter().position(|(number, _, _)| *number == transfer.number);
            let stale = match last.and_then(|at| self.said.get(at)) {
                Some((_, said, when)) => {
                    *said != text || (moves && !self.terminal && now.saturating_duration_since(*when) >= TELL)
                }
                None => true,
            };
            if !stale {
                continue;
            }
            self.clear(out)?;
            match self.json {
                true => whole(transfer, true, out)?,
                false => writeln!(out, "{}", plain(&words(transfer), false))?,
            }
            self.said.retain(|(number, _, _)| *number != transfer.number);
            self.said.push((transfer.number, text, now));
        }
        self.said.retain(|(number, _, _)| list.iter().any(|t| t.number == *number));
        let moving = list.iter().find(|t| t.step == "fetching" || t.step == "sending");
        match moving {
            Some(transfer) if self.terminal => {
                self.measure(transfer, now);
                self.clear(out)?;
                write!(out, "{}", bar(transfer, self.rate))?;
                self.bar = true;
            }
            _ => self.clear(out)?,
        }
        Ok(list.iter().any(|t| t.step != "done"))
    }

    /// Takes the bar away.
    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        match std::mem::take(&mut self.bar) {
            true => out.write_all(b"\r\x1b[K"),
            false => Ok(()),
        }
    }

    fn measure(&mut self, t: &TransferReport, now: Instant) {
        match self.moved {
            Some((number, bytes, when)) if number == t.number && bytes <= t.bytes => {
                let passed = now.saturating_duration_since(when).as_millis().max(1) as u64;
                let rate = (t.bytes - bytes).saturating_mul(1000) / passed;
                self.rate = if self.rate == 0 { rate } else { (self.rate * 3 + rate) / 4 };
            }
            _ => self.rate = 0,
        }
        self.moved = Some((t.number, t.bytes, now));
    }
}

/// `[######            ]  25 %  1.2 MB/s  8 s left`
fn bar(t: &TransferReport, rate: u64) -> String {
    if t.total == 0 {
        return format!("#{} {}  {}/s", t.number, size(t.bytes), size(rate));
    }
    let done = t.bytes.min(t.total);
    let full = (done.saturating_mul(BAR) / t.total) as usize;
    let left = match rate {
        0 => String::new(),
        _ => format!("  {} left", duration((t.total - done).div_ceil(rate))),
    };
    let percent = done.saturating_mul(100) / t.total;
    let (hashes, blanks) = ("#".repeat(full), " ".repeat(BAR as usize - full));
    format!("#{} [{hashes}{blanks}] {percent:3} %  {}/s{left}", t.number, size(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: &str, bytes: u64) -> TransferReport {
        TransferReport {
            number: 3,
            method: "Download".into(),
            file_type: "X".into(),
            step: step.into(),
            bytes,
            total: 10_000_000,
            ..TransferReport::default()
        }
    }

    #[test]
    fn in_words() {
        let waiting = TransferReport { seconds: 90, total: 0, note: "idle".into(), ..report("queued", 0) };
        assert_eq!(words(&waiting), "#3 Download X: queued, not before 1 min 30 s, idle");
        assert_eq!(words(&report("fetching", 2_500_000)), "#3 Download X: fetching, 25 % of 10.0 MB");
        let failed =
            TransferReport { fault: 9016, note: "404".into(), command_key: "k".into(), ..report("done", 0) };
        let failed = TransferReport { total: 0, ..failed };
        assert_eq!(words(&failed), "#3 Download X (CommandKey k): done, FAILED: 9016 404");
        assert_eq!(
            (size(999), size(1_234), size(12_345_678)),
            ("999 B".into(), "1.2 kB".into(), "12.3 MB".into())
        );
    }

    #[test]
    fn a_bar_on_a_terminal() {
        let mut eye = Eye { terminal: true, ..Eye::default() };
        let (mut out, now) = (Vec::new(), Instant::now());
        assert!(eye.look(&[report("fetching", 0)], now, &mut out).unwrap());
        assert!(eye.look(&[report("fetching", 5_000_000)], now + Duration::from_secs(1), &mut out).unwrap());
        assert!(!eye.look(&[report("done", 0)], now + Duration::from_secs(2), &mut out).unwrap());
        let empty = format!("#3 [{}]   0 %  0 B/s", " ".repeat(24));
        let half = format!("#3 [{}{}]  50 %  5.0 MB/s  1 s left", "#".repeat(12), " ".repeat(12));
        let text = format!(
            "#3 Download X: fetching, 0 % of 10.0 MB\n{empty}\r\x1b[K{half}\r\x1b[K#3 Download X: done, 0 % of 10.0 MB\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn lines_when_it_is_none() {
        let (mut eye, mut out, now) = (Eye::default(), Vec::new(), Instant::now());
        for (seconds, bytes) in [(0, 0), (1, 1_000_000), (11, 5_000_000)] {
            eye.look(&[report("fetching", bytes)], now + Duration::from_secs(seconds), &mut out).unwrap();
        }
        assert!(!eye.look(&[], now, &mut out).unwrap());
        let text = "#3 Download X: fetching, 0 % of 10.0 MB\n#3 Download X: fetching, 50 % of 10.0 MB\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
