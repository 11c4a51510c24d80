//! The power-cut test: for each kind of transfer the daemon is killed behind every write to its journal and in
//! the middle of every step, started again, with a boot and without, and must tell the truth, once.

mod many;
mod run;
mod watch;

use run::{Kill, Kind, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// More writes than any transfer makes: the test would not end.
const MAX_WRITES: usize = 60;

/// Behind how many writes a transfer is cut off while its file is made use of: the one before, which is the only
/// one; and its neighbours, since a kill comes a moment later than the write that it waits for.
const MAX_FAILED: usize = 3;

/// Kills in the middle of a step, for a kind of transfer.
fn middles(kind: Kind) -> Vec<Kill> {
    let mut all = vec![Kill::Unanswered, Kill::Answered];
    if kind.has_file() {
        all.push(Kill::Fetching);
    }
    if kind.has_check() {
        all.push(Kill::Checking);
    }
    if kind.is_upload() {
        all.push(Kill::Saving);
    }
    if kind.has_apply() {
        all.push(Kill::Applying);
    }
    all
}

/// All runs of a kind; gives how many there were.
fn all_of(kind: Kind, boot: bool) -> usize {
    let mut runs = 0;
    for kill in middles(kind) {
        assert!(run(kind, boot, kill).cut, "{kind:?}: there is no {kill:?}");
        runs += 1;
    }
    let (mut failed, mut repeated) = (0, 0);
    for write in 1..=MAX_WRITES {
        runs += 1;
        let mut ran = run(kind, boot, Kill::Write(write));
        // On a busy machine a kill may come long after its write: once more, then.
        for _ in 0..3 {
            if failed + usize::from(ran.failed) <= MAX_FAILED && (ran.cut || write > 4) {
                break;
            }
            runs += 1;
            ran = run(kind, boot, Kill::Write(write));
        }
        failed += usize::from(ran.failed);
        repeated += usize::from(ran.repeated);
        assert!(failed <= MAX_FAILED, "{kind:?}: {failed} of {write} have failed");
        if !ran.cut {
            assert!(write > 4, "{kind:?}: only {write} writes");
            println!("{kind:?}, boot: {boot}: {write} writes, {failed} failed, {repeated} repeats");
            return runs;
        }
    }
    panic!("{kind:?} writes without end");
}

/// X-21, and what the issue of transfers promises: nothing is forgotten, nothing is told that is not so.
// Proves, V-16, V-17
#[test]
fn x_21_a_power_cut_at_every_step() {
    let jobs: Vec<(Kind, bool)> = Kind::ALL.iter().flat_map(|k| [(*k, false), (*k, true)]).collect();
    let (next, runs) = (AtomicUsize::new(0), Mutex::new(0));
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((kind, boot)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = all_of(*kind, *boot);
                    *runs.lock().expect("no panic so far") += done;
                }
            });
        }
    });
    let runs = *runs.lock().expect("no panic");
    println!("{runs} power cuts in {:?}", since.elapsed());
    assert!(runs >= 200, "{runs} runs");
}
