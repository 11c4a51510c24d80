//! When what is watched is looked at (N-3 to N-6). Two halves: [`Ear`] is the reactor's, and hears the
//! bells of the system; [`Rings`] is the engine's, and knows what to listen to and when a sweep is due.
//!
//! Bells are used once: the first ring, and those that follow within a short time, make one message to
//! the engine, and the descriptors are closed. The engine listens anew before it looks, so that nothing
//! falls in between. A kernel that floods fills the buffer of a socket that nobody polls.

use crate::model::tree::Bells as Wanted;
use crate::sys::bells::Bells;
use crate::sys::ubus::{HOLD, Place};
use crate::sys::watch::Heard;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it must be quiet after a ring before the engine looks: changes mostly come in bursts.
const QUIET: Duration = Duration::from_millis(300);
/// How long after the first ring it looks at the latest.
const PATIENCE: Duration = Duration::from_secs(1);
/// Sweeps for rings are so far apart at least.
const GAP: Duration = Duration::from_secs(1);
/// How often what has no bell is compared while it is actively watched.
const EVERY: Duration = Duration::from_secs(10);

/// The reactor's half.
#[derive(Default)]
pub struct Ear {
    bells: Option<Box<Bells>>,
    /// When the first ring was heard that the engine does not know of.
    first: Option<Instant>,
    /// Not polled before this: something was heard just now.
    rest: Option<Instant>,
}

impl Ear {
    /// Listens to these bells from now on.
    pub fn set(&mut self, bells: Option<Box<Bells>>) {
        *self = Ear { bells, first: None, rest: None };
    }

    /// What to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let all = self.bells.iter().filter(|_| self.rest.is_none()).flat_map(|b| b.fds());
        all.chain(self.bells.iter().filter(|_| self.rest.is_some()).filter_map(|b| b.impatient()))
    }

    /// When it wants its turn.
    pub fn deadline(&self) -> Option<Instant> {
        self.rest
    }

    /// Reads what there is to hear; `true` when the engine is to be told, and the bells are used up.
    pub fn turn(&mut self, now: Instant) -> bool {
        if self.rest.is_some_and(|until| now < until) {
            // Only so that nobody waits for us.
            let impatient = self.bells.as_mut().filter(|bells| bells.impatient().is_some());
            if impatient.is_some_and(|bells| bells.hear_services() == Heard::Ring) {
                self.first.get_or_insert(now);
            }
            return false;
        }
        let heard = self.bells.as_mut().map_or(Heard::Nothing, |bells| bells.heard());
        self.hear(heard, now)
    }

    fn hear(&mut self, heard: Heard, now: Instant) -> bool {
        let first = match (self.first, heard) {
            (None, Heard::Nothing) => {
                self.rest = None;
                return false;
            }
            // Names that nobody asked about, perhaps a thousand a second: they are not to keep us busy.
            (None, Heard::Chatter) => {
                self.rest = Some(now + QUIET);
                return false;
            }
            (None, Heard::Ring) => now,
            (Some(first), Heard::Ring) => first,
            (Some(_), _) => {
                self.set(None);
                return true;
            }
        };
        let latest = first + PATIENCE;
        if now >= latest {
            self.set(None);
            return true;
        }
        self.first = Some(first);
        self.rest = Some((now + QUIET).min(latest));
        false
    }
}

/// Why a sweep is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Something rang, or the agent itself may have changed what is watched.
    Told,
    /// It is time for what has no bell.
    Time,
}

/// The engine's half. Times are of the monotonic clock.
#[derive(Default)]
pub struct Rings {
    /// When the first change became known that was not looked at yet.
    first: Option<Duration>,
    due: Option<Duration>,
    last: Option<Duration>,
    by_time: Option<Duration>,
    wanted: Wanted,
    /// The reactor has no bells that could ring.
    spent: bool,
    /// They cannot be had: all is compared by time.
    deaf: bool,
    /// The bus is not tried before this: it let us wait in vain.
    held: Option<Instant>,
}

impl Rings {
    /// Nothing was looked at yet: the first sweep is due.
    pub fn new() -> Rings {
        Rings { due: Some(Duration::ZERO), spent: true, ..Rings::default() }
    }

    /// Somebody changed something through the agent; more may follow.
    pub fn changed(&mut self, now: Duration) {
        let first = *self.first.get_or_insert(now);
        let at = (now + QUIET).min(first + PATIENCE);
        self.due = Some(match self.due {
            Some(due) if due <= now => due,
            _ => at,
        });
    }

    /// The agent may have changed what is watched, and will not go on with it.
    pub fn at_once(&mut self, now: Duration) {
        self.due = Some(now);
    }

    /// The bells rang, and the reactor has waited for quiet.
    pub fn heard(&mut self, now: Duration) {
        self.spent = true;
        self.at_once(now);
    }

    /// When the next sweep is due.
    pub fn next(&self) -> Option<Duration> {
        let earliest = self.last.map_or(Duration::ZERO, |last| last + GAP);
        let told = self.due.map(|due| due.max(earliest));
        [told, self.by_time].into_iter().flatten().min()
    }

    /// Takes a sweep that is due.
    pub fn take(&mut self, now: Duration) -> Option<Cause> {
        if self.next().is_none_or(|at| now < at) {
            return None;
        }
        self.last = Some(now);
        self.by_time = None;
        // A sweep by time sees what was told too, but other bells may be wanted since.
        let told = self.due.take_if(|due| *due <= now).is_some();
        if told {
            self.first = None;
        }
        Some(if told { Cause::Told } else { Cause::Time })
    }

    /// A sweep was made; `doubtful` when some row could not be compared.
    pub fn swept(&mut self, now: Duration, doubtful: bool) {
        self.by_time = (self.wanted.sweep || self.deaf || doubtful).then(|| now + EVERY);
    }

    /// Takes over which bells are wanted; whether they are others than before.
    pub fn want(&mut self, wanted: Wanted) -> bool {
        let other = (self.wanted.kernel, self.wanted.ubus, &self.wanted.files)
            != (wanted.kernel, wanted.ubus, &wanted.files);
        self.wanted = wanted;
        self.spent |= other;
        other
    }

    /// Bells for the reactor, when it needs new ones; services tell at `ubus`, when they do.
    pub fn listen(&mut self, root: &Path, ubus: &Place) -> Option<Option<Box<Bells>>> {
        if !std::mem::take(&mut self.spent) {
            return None;
        }
        let files = self.wanted.files.iter().map(String::as_str);
        let services = match ubus {
            Place::Socket(socket)
                if self.wanted.ubus != 0 && self.held.is_none_or(|until| Instant::now() >= until) =>
            {
                Some((socket.as_path(), self.wanted.ubus))
            }
            _ => None,
        };
        match Bells::listen(root, self.wanted.kernel, files, services) {
            Ok(bells) => {
                log::debug!(
                    "listening for changes: kernel {:#x}, {} files, services {:#x}",
                    self.wanted.kernel,
                    self.wanted.files.len(),
                    self.wanted.ubus
                );
                // Recorded answers tell of nothing; a bus that is not there is tried with each sweep.
                self.deaf = self.wanted.ubus != 0 && !bells.hears_services();
                self.spent = self.deaf && matches!(ubus, Place::Socket(_));
                if bells.is_bus_silent() {
                    self.held = Some(Instant::now() + HOLD);
                }
                Some((!bells.is_empty()).then(|| Box::new(bells)))
            }
            Err(error) => {
                if !std::mem::replace(&mut self.deaf, true) {
                    log::warn!("changes cannot be listened for, and are looked for instead: {error}");
                }
                // The next ring of the agent's own tries again.
                self.spent = true;
                Some(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A burst makes one message, however long it lasts; chatter makes none and keeps nobody busy.
    // Proves: N-4
    #[test]
    fn a_burst_is_heard_once() {
        let start = Instant::now();
        let at = |n| start + ms(n);
        let ring = |ear: &mut Ear, n| ear.hear(Heard::Ring, at(n));
        let mut ear = Ear::default();
        assert!(!ring(&mut ear, 0));
        assert_eq!(ear.deadline(), Some(at(300)));
        assert!(!ear.turn(at(299)), "not looked at while it rests");
        assert!(ear.hear(Heard::Nothing, at(300)), "quiet again");
        assert_eq!(ear.deadline(), None);
        // It goes on and on: told a second after the first at the latest.
        assert!(
            !ring(&mut ear, 1000) && !ring(&mut ear, 1300) && !ring(&mut ear, 1600) && !ring(&mut ear, 1900)
        );
        assert_eq!(ear.deadline(), Some(at(2000)));
        assert!(ring(&mut ear, 2000));
        assert!(!ear.hear(Heard::Chatter, at(3000)));
        assert_eq!(ear.deadline(), Some(at(3300)));
        assert!(!ear.hear(Heard::Nothing, at(3300)));
        assert_eq!(ear.deadline(), None);
        assert!(!ring(&mut ear, 4000) && ear.hear(Heard::Chatter, at(4300)));
    }

    fn wanting(sweep: bool) -> Rings {
        let mut rings = Rings::new();
        assert_eq!(rings.take(ms(50_000)), Some(Cause::Told), "the first one is due at the start");
        rings.want(Wanted { sweep, ..Wanted::default() });
        rings.swept(ms(50_000), false);
        rings
    }

    /// Many changes, one sweep; a flood, one sweep a second; and the last one is not lost.
    // Proves: N-4, N-6
    #[test]
    fn many_changes_make_one_sweep() {
        let mut rings = wanting(false);
        assert_eq!(rings.next(), None, "nothing to do, nothing wakes it");
        rings.changed(ms(60_000));
        rings.changed(ms(60_200));
        assert_eq!(rings.next(), Some(ms(60_500)));
        for n in 0..100 {
            rings.changed(ms(60_200 + n * 10));
        }
        assert_eq!(rings.take(ms(60_999)), None);
        assert_eq!(rings.take(ms(61_000)), Some(Cause::Told));
        let mut sweeps = Vec::new();
        for n in 61_001..=70_000 {
            if n % 7 == 0 {
                rings.changed(ms(n));
            }
            if n % 11 == 0 {
                rings.heard(ms(n));
            }
            if rings.take(ms(n)).is_some() {
                sweeps.push(n);
            }
        }
        assert!(sweeps.len() <= 9 && sweeps.windows(2).all(|w| w[1] - w[0] >= 1000), "{sweeps:?}");
        rings.changed(ms(70_001));
        let last = rings.next().unwrap();
        assert_eq!(rings.take(last), Some(Cause::Told));
        assert_eq!(rings.next(), None);
    }

    /// A source that failed may be well again without a word.
    #[test]
    fn what_could_not_be_compared_is_compared_again() {
        let mut rings = wanting(false);
        rings.swept(ms(60_000), true);
        assert_eq!(rings.take(ms(70_000)), Some(Cause::Time));
        rings.swept(ms(70_000), false);
        assert_eq!(rings.next(), None);
    }

    #[test]
    fn what_has_no_bell_is_compared_by_time() {
        let mut rings = wanting(true);
        assert_eq!(rings.next(), Some(ms(60_000)));
        assert_eq!(rings.take(ms(60_000)), Some(Cause::Time));
        rings.swept(ms(60_000), false);
        rings.at_once(ms(60_400));
        assert_eq!(rings.next(), Some(ms(61_000)));
        assert_eq!(rings.take(ms(61_000)), Some(Cause::Told));
        rings.want(Wanted::default());
        rings.swept(ms(61_000), false);
        assert_eq!(rings.next(), None);
    }

    /// Bells that cannot be had, here more files than are allowed, are made up for by time.
    #[test]
    fn bells_that_cannot_be_had() {
        let mut rings = wanting(false);
        let files = (0..=crate::sys::watch::MAX_FILES).map(|n| format!("/etc/{n}")).collect();
        assert!(rings.want(Wanted { files, ..Wanted::default() }));
        let root = std::env::temp_dir();
        let place = Place::Recorded(root.clone());
        assert!(rings.listen(&root, &place).is_some_and(|b| b.is_none()));
        rings.swept(ms(60_000), false);
        assert_eq!(rings.next(), Some(ms(70_000)));
        assert!(rings.want(Wanted { files: ["/etc/1".to_owned()].into(), ..Wanted::default() }));
        assert!(rings.listen(&root, &place).is_some_and(|b| b.is_some()));
        assert!(rings.listen(&root, &place).is_none(), "they are there");
        rings.heard(ms(61_000));
        assert!(rings.listen(&root, &place).is_some_and(|b| b.is_some()), "used up");
        rings.swept(ms(61_000), false);
        rings.take(ms(61_000));
        rings.swept(ms(61_000), false);
        assert_eq!(rings.next(), None);
    }
}
