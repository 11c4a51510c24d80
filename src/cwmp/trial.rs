//! A change that carries the ACS session is on trial until the ACS answers an Inform: when sessions are
//! attempted meanwhile, and what their failures say about the change.
//!
//! A change is blamed only for what it can have caused. Somebody who answers, with an error or with a
//! refusal, is reached: the way is good, and the outage is the ACS's own. Such an outage confirms
//! nothing and undoes nothing, or a dead data centre would roll back a fleet; the change then stays in
//! force, and sessions wait as after any failure.
//!
//! Where services make the change later than they are told of it, a session says something about it only when
//! it began after that: see [`settling`]. One that began before neither confirms nor blames nor excuses it.
//!
//! Time is the monotonic clock's. While the device is down it stands still: what is left goes on at the
//! next start.
//!
//! # Data storage
//! [`Noted`] is what has to be known again after a start, beside the time that is over.

pub mod settling;

use crate::net::client::Reached;
use settling::Settling;
use std::time::Duration;

/// When sessions are attempted, in seconds since the change came into force, or since a start that
/// found it in force: whoever reboots each few minutes for want of an ACS comes to an end too. The last
/// attempt is at the deadline.
pub const ATTEMPTS: [u32; 6] = [0, 15, 30, 60, 120, 240];

/// How long after the deadline the next attempt is, when one could not even be begun.
const LATE: Duration = Duration::from_secs(60);

/// What a change touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The way to the ACS: interfaces, addresses, routes, name lookup, firewall.
    pub path: bool,
    /// ManagementServer.URL.
    pub acs: bool,
    /// ManagementServer.Username or Password.
    pub credentials: bool,
}

impl Facts {
    fn fields(self) -> [bool; 3] {
        [self.path, self.acs, self.credentials]
    }

    fn both(self, other: Facts, each: fn(bool, bool) -> bool) -> Facts {
        Facts {
            path: each(self.path, other.path),
            acs: each(self.acs, other.acs),
            credentials: each(self.credentials, other.credentials),
        }
    }

    /// What both touch.
    pub fn and(self, other: Facts) -> Facts {
        self.both(other, |a, b| a && b)
    }

    /// What either touches.
    pub fn or(self, other: Facts) -> Facts {
        self.both(other, |a, b| a || b)
    }
}

/// What is known of a trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Noted {
    /// What was good before the change: the ACS was reached, answered, let us in. Only to that there is
    /// a way back.
    pub proven: Facts,
    /// Since the change somebody answered: the way is not at fault.
    pub heard: bool,
    /// Since the change the ACS let us in: the credentials are not at fault.
    pub accepted: bool,
}

/// Of what nothing is noted: an ACS has made the change, in a session.
impl Default for Noted {
    fn default() -> Noted {
        let proven = Facts { path: true, acs: true, credentials: true };
        Noted { proven, heard: false, accepted: false }
    }
}

/// The words of a record.
const WORDS: [&str; 5] = ["unproven-path", "unproven-acs", "unproven-credentials", "heard", "accepted"];

impl Noted {
    /// Reads a record; what is damaged in it is not noted.
    pub fn from_record(record: &str) -> Noted {
        let [path, acs, credentials, heard, accepted] = WORDS.map(|w| record.split(' ').any(|r| r == w));
        let proven = Facts { path: !path, acs: !acs, credentials: !credentials };
        Noted { proven, heard, accepted }
    }

    /// The record to store.
    pub fn record(self) -> String {
        let [path, acs, credentials] = self.proven.fields();
        let said = [!path, !acs, !credentials, self.heard, self.accepted];
        let words = WORDS.iter().zip(said).filter(|(_, so)| *so).map(|(word, _)| *word);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Why a change is put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// No connection to the ACS came about.
    Path,
    /// The ACS of the new URL did not answer as one.
    Acs,
    /// The ACS refuses the new credentials.
    Credentials,
}

impl Blame {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Blame::Path => "no connection to the ACS came about",
            Blame::Acs => "nothing at the new URL answered as an ACS",
            Blame::Credentials => "the ACS refused the new user name or password",
        }
    }
}

/// A change on trial.
#[derive(Clone, Debug)]
pub struct Trial {
    facts: Facts,
    noted: Noted,
    /// Monotonic: since when attempts are counted.
    start: Duration,
    /// Seconds in force before that.
    before: u32,
    /// Seconds until the verdict.
    timeout: u32,
    /// Monotonic: the next attempt.
    at: Duration,
    /// The last attempt blamed nothing on the change.
    resting: bool,
    /// Services make the change.
    settling: Option<Settling>,
    /// Monotonic: when the last session began, of those that began with the change in force.
    session: Option<Duration>,
}

impl Trial {
    /// A change that came into force now, or did so `elapsed` seconds of running time before; `timeout`
    /// is `acs.confirm_timeout`. The first attempt is due at once.
    pub fn new(facts: Facts, noted: Noted, timeout: u32, elapsed: u32, now: Duration) -> Trial {
        let (at, resting, settling, session) = (now, false, None, None);
        Trial { facts, noted, start: now, before: elapsed, timeout, at, resting, settling, session }
    }

    /// Services have just been told of the change, or may have been a moment ago.
    pub fn told(&mut self, now: Duration) {
        self.settling = Some(Settling::new(self.timeout, now));
    }

    /// Something moved that such a change may move.
    pub fn moved(&mut self, now: Duration) {
        if let Some(settling) = self.settling.as_mut().filter(|settling| now < settling.over()) {
            settling.moved(now);
        }
    }

    /// Whether services may still be making the change.
    pub fn settles(&self, now: Duration) -> bool {
        self.settled_at().is_some_and(|over| now < over)
    }

    fn settled_at(&self) -> Option<Duration> {
        self.settling.map(|settling| settling.over())
    }

    /// Whether the last session says something about the change: it began when that had been made.
    pub fn counts(&self) -> bool {
        self.session.is_some_and(|began| self.settled_at().is_none_or(|over| began >= over))
    }

    /// Leaves out so many of the first attempts; the last one stays.
    pub fn skip(&mut self, attempts: usize) {
        self.at = self.start;
        for _ in 0..attempts {
            self.at = self.after(self.at).unwrap_or(self.at);
        }
    }

    /// The first attempt after a moment; `None` after the deadline.
    fn after(&self, now: Duration) -> Option<Duration> {
        let deadline = self.start + Duration::from_secs(self.timeout.saturating_sub(self.before).into());
        let marks = ATTEMPTS.iter().map(|s| self.start + Duration::from_secs((*s).into()));
        marks.filter(|at| *at < deadline).chain([deadline]).find(|at| *at > now)
    }

    /// Seconds in force.
    pub fn elapsed(&self, now: Duration) -> u32 {
        let since = now.saturating_sub(self.start).as_secs();
        self.before.saturating_add(u32::try_from(since).unwrap_or(u32::MAX))
    }

    /// Seconds until the verdict, 0 when that is over.
    pub fn left(&self, now: Duration) -> u32 {
        self.timeout.saturating_sub(self.elapsed(now))
    }

    /// A local transaction has joined the trial: nothing that was found out holds for it, and an attempt
    /// is due. The time goes on, but for a change that stands already for want of a verdict: that begins
    /// anew.
    pub fn joined(&mut self, facts: Facts, proven: Facts, now: Duration) {
        if self.resting {
            (self.start, self.before) = (now, 0);
        }
        self.facts = facts;
        self.noted = Noted { proven: self.noted.proven.or(proven), heard: false, accepted: false };
        (self.resting, self.at, self.session) = (false, now, None);
    }

    /// What is touched.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Since the change, or before it, as far as it matters.
    pub fn noted(&self) -> Noted {
        self.noted
    }

    /// Whether the trial says when sessions are attempted, in place of the waits after a failure.
    pub fn governs(&self) -> bool {
        !self.resting
    }

    /// Whether it stands for want of anything to blame on it, or anything better to go back to.
    pub fn stands(&self) -> bool {
        self.resting || self.facts.and(self.noted.proven) == Facts::default()
    }

    /// When the next attempt is due; `None` when that is left to the waits after a failure.
    pub fn next(&self) -> Option<Duration> {
        self.governs().then(|| self.at.max(self.settled_at().unwrap_or_default()))
    }

    /// Before this no session begins that has something to tell; `None` as for [`Trial::next`].
    pub fn waits(&self) -> Option<Duration> {
        self.governs().then_some(self.at)
    }

    /// A session begins that is no attempt: a heartbeat's.
    pub fn asked(&mut self, now: Duration) {
        self.session = Some(now);
    }

    /// A session begins.
    pub fn began(&mut self, now: Duration) {
        self.asked(now);
        self.at = self.after(now).unwrap_or(now + LATE);
    }

    /// The session failed before its Inform was answered, having come so far. `Some` when the change
    /// is to be put back.
    pub fn failed(&mut self, now: Duration, reached: Reached) -> Option<Blame> {
        if !self.counts() {
            return None;
        }
        self.noted.heard |= reached >= Reached::Refused;
        self.noted.accepted |= matches!(reached, Reached::Answered(200..=299));
        let blame = self.blame(reached);
        self.resting = blame.is_none();
        blame.filter(|_| self.left(now) == 0)
    }

    /// What of the change may be why a session came no further.
    fn blame(&self, reached: Reached) -> Option<Blame> {
        let outage = matches!(reached, Reached::Answered(500..));
        let refused = reached == Reached::Answered(401);
        let [path, acs, credentials] = self.facts.and(self.noted.proven).fields();
        match () {
            () if path && !self.noted.heard => Some(Blame::Path),
            () if acs && !outage => Some(Blame::Acs),
            // An ACS that let us in once and no more does not mind the credentials.
            () if credentials && refused && !self.noted.accepted => Some(Blame::Credentials),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests;
