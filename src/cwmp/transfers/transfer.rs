//! One transfer: what was asked, how far it has come, and when it may go on.
//!
//! All its times count from the receipt of the request, on the monotonic clock in milliseconds; that
//! moment may lie before the boot, and is negative then. Through a reboot the wall clock tells how long
//! ago it was; until that can be believed the transfer is *adrift*, and counts from the boot.

use super::{Asked, FileType, Mode, Origin, Step, Window};
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use std::time::Duration;

/// The longest text of what was found out, in characters.
const MAX_FOUND: usize = 256;

/// What was found out on the way, for the report and for a later start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Bytes transferred.
    pub size: Option<u64>,
    /// The version that the image itself names.
    pub version: Option<String>,
    /// SoftwareVersion before it was applied.
    pub version_before: Option<String>,
    /// The bank that was booted before it was applied.
    pub bank_before: Option<String>,
    /// The bank that it is written to.
    pub bank: Option<String>,
}

impl Found {
    /// Takes what another has; texts are cut at 256 characters.
    pub(super) fn merge(&mut self, other: Found) {
        let cut = |text: Option<String>| text.map(|t| t.chars().take(MAX_FOUND).collect::<String>());
        self.size = other.size.or(self.size);
        for (mine, other) in [
            (&mut self.version, other.version),
            (&mut self.version_before, other.version_before),
            (&mut self.bank_before, other.bank_before),
            (&mut self.bank, other.bank),
        ] {
            if let Some(text) = cut(other) {
                *mine = Some(text);
            }
        }
    }
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// GET; ends with [`Step::Fetched`].
    Fetch,
    /// Length, hash, signature, the platform's test; ends with [`Step::Verified`].
    Verify,
    /// Make use of the file; ends with [`Step::Done`].
    Apply,
    /// An upload: make the file and PUT it; ends with [`Step::Done`].
    Send,
}

/// What a transfer waits for, for status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// Its time, monotonic.
    Until(Duration),
    /// Its turn.
    Turn,
    /// That the device is idle (mode 3).
    Idle,
    /// The person's consent (mode 4).
    Confirmation,
    /// After a reboot: a clock that tells which of its windows are over.
    Clock,
}

/// What holds a transfer back in the window that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    Idle,
    Confirmation,
}

/// A transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Names it in the agent, and its files; never 0.
    pub number: u32,
    /// What was asked, without credentials as soon as they are not needed any more.
    pub asked: Asked,
    /// How far it has come.
    pub step: Step,
    /// Why it failed; before [`Step::Done`], why the last attempt did.
    pub fault: Option<Fault>,
    /// Seconds since 1970.
    pub start_time: Option<i64>,
    /// The same.
    pub complete_time: Option<i64>,
    /// What was found out on the way.
    pub found: Found,
    /// A person has consented (mode 4).
    pub confirmed: bool,
    /// Attempts that failed in the window that counts.
    pub attempts: u32,
    /// The ACS that asked for it is no longer there: nobody is told.
    pub(super) former: bool,
    /// Receipt of the request: monotonic, milliseconds, rounded up.
    pub(super) received: i64,
    /// The same in seconds since 1970, when the clock was believed.
    pub(super) wall: Option<i64>,
    /// It came through a reboot, and how long that took is not known yet.
    pub(super) adrift: bool,
    /// The window that counts: those before are over or used up.
    pub(super) window: usize,
    /// The next attempt is not before; monotonic, milliseconds.
    pub(super) not_before: Option<i64>,
    /// When this process began it; monotonic, milliseconds.
    pub(super) begun: Option<i64>,
    /// The Inform of the session told it: the place of its event.
    pub(super) told: Option<usize>,
    /// It was given out in this session.
    pub(super) offered: bool,
    /// How often the ACS did not take its report.
    pub(super) refusals: u32,
    /// Its report alone makes no session before; monotonic.
    pub(super) report_at: Option<Duration>,
}

/// Whole milliseconds, rounded up: nothing comes early.
pub(super) fn ms(time: Duration) -> i64 {
    let up = u128::from(!time.subsec_nanos().is_multiple_of(1_000_000));
    i64::try_from(time.as_millis() + up).unwrap_or(i64::MAX)
}

pub(super) fn from_ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

impl Transfer {
    pub(super) fn new(number: u32, asked: Asked, now: Now) -> Transfer {
        Transfer {
            number,
            asked,
            step: Step::Queued,
            fault: None,
            start_time: None,
            complete_time: None,
            found: Found::default(),
            confirmed: false,
            attempts: 0,
            former: false,
            received: ms(now.mono),
            wall: now.clock_set.then_some(now.wall),
            adrift: false,
            window: 0,
            not_before: None,
            begun: None,
            told: None,
            offered: false,
            refusals: 0,
            report_at: None,
        }
    }

    /// What its file is for; `None` only in a damaged record.
    pub fn file_type(&self) -> Option<FileType> {
        FileType::parse(self.asked.method, &self.asked.file_type)
    }

    /// When it may begin, monotonic; for one with windows when the one that counts opens. Zero when
    /// that was before the boot.
    pub fn due(&self) -> Duration {
        from_ms(self.due_ms())
    }

    /// The time window that counts, and when it opens and closes (monotonic); `None` without windows
    /// and when none is left.
    pub fn window(&self) -> Option<(&Window, Duration, Duration)> {
        let window = self.asked.windows.get(self.window)?;
        Some((window, from_ms(self.at(window.start)), from_ms(self.at(window.end))))
    }

    /// What it waits for; `None` when it is worked on or has ended. `busy` is whether another is.
    pub fn waits(&self, now: Now, busy: bool) -> Option<Waits> {
        if matches!(self.step, Step::Applying | Step::Done | Step::Fetching) {
            return None;
        }
        let at = self.opens();
        if ms(now.mono) < at {
            return Some(Waits::Until(from_ms(at)));
        }
        if self.waits_for_clock(now) {
            return Some(Waits::Clock);
        }
        match self.gate() {
            Some(Gate::Confirmation) => Some(Waits::Confirmation),
            Some(Gate::Idle) if !busy => Some(Waits::Idle),
            _ => Some(Waits::Turn),
        }
    }

    /// Bytes: what was really transferred, else the hint of who asked; at most what the RPCs can say.
    pub(super) fn size(&self) -> u32 {
        self.found.size.map_or(self.asked.file_size, |size| u32::try_from(size).unwrap_or(u32::MAX))
    }

    pub(super) fn asks_confirmation(&self) -> bool {
        let asks = |w: &Window| w.mode == Mode::ConfirmationNeeded;
        self.step != Step::Done && self.asked.windows.iter().any(asks)
    }

    /// It begins, perhaps anew.
    pub(super) fn begin(&mut self, now: Now) {
        self.begun = Some(ms(now.mono));
        self.start_time = now.clock_set.then_some(now.wall);
        self.complete_time = None;
        self.found = Found::default();
    }

    /// It has ended; well without a fault.
    pub(super) fn end(&mut self, fault: Option<Fault>, now: Now) {
        self.step = Step::Done;
        self.fault = fault;
        self.complete_time = now.clock_set.then_some(now.wall);
        if let (Some(begun), Some(end)) = (self.begun, self.complete_time) {
            // The clock may have been set, or put right, since.
            self.start_time = Some(end.saturating_sub(ms(now.mono).saturating_sub(begun) / 1000));
        }
        self.forget_credentials();
    }

    pub(super) fn forget_credentials(&mut self) {
        self.asked.username = String::new();
        self.asked.password = String::new();
    }

    /// Whether a report of its end is owed to the ACS.
    pub(super) fn owes_report(&self) -> bool {
        self.step == Step::Done && !self.former
    }

    /// What a transfer fails with when it could not begin in its time.
    pub(super) fn too_late(&self) -> Fault {
        let code =
            if self.asked.method.is_download() { Code::TRANSFER_FAILURE } else { Code::UPLOAD_FAILURE };
        let text = match self.start_time {
            None => "the device could not begin within one hour of the time that was asked for",
            Some(_) => {
                "it was cut off, and could not begin anew within one hour of the time that was asked for"
            }
        };
        Fault::new(code, text)
    }

    ///
    pub(super) fn outside_windows(&self) -> Fault {
        let last = match &self.fault {
            Some(fault) => format!("; the last attempt: {}", fault.text),
            None => String::new(),
        };
        Fault::new(Code::OUTSIDE_WINDOWS, format!("not finished in the time windows that were given{last}"))
    }

    /// Whether the ACS asked for it, and may be told of it.
    pub(super) fn is_of_acs(&self) -> bool {
        self.asked.origin == Origin::Acs && !self.former
    }
}
