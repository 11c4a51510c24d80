//! Waits through restarts, reboots and clocks that jump.

use super::*;

const DAY: u64 = 86_400;
const TEN_YEARS: i64 = 3653 * 86_400;

/// So many seconds after a second boot that was `away` seconds after the time that [`at`] counts from.
fn after(away: u64, mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: BOOTED + (away + mono) as i64, clock_set: true }
}

fn jumped(now: Now, seconds: i64) -> Now {
    Now { wall: now.wall + seconds, ..now }
}

// Proves: X-45
#[test]
fn a_delay_goes_on_through_restarts_x45() {
    for (rebooted, start, first) in [
        // The daemon alone: the monotonic clock goes on, whatever the wall clock says.
        (false, at(1500), 2000),
        (false, blind(1500), 2000),
        (false, jumped(at(1500), TEN_YEARS), 2000),
        (false, jumped(at(1500), -TEN_YEARS), 2000),
        // A reboot, 1500 s after the boot before: 500 s are left.
        (true, after(1500, 10), 500),
        // It was away beyond the time: at once.
        (true, after(3000, 10), 10),
    ] {
        let mut q = queue(&[delayed("k", 1000)], at(1000));
        let mut journal = Journal::default();
        restart(&mut q, &mut journal, rebooted, start);
        let begins = (start.mono.as_secs()..4000).find(|mono| {
            let now = Now { mono: Duration::from_secs(*mono), ..start };
            q.clone().next_work(now, false).is_some()
        });
        assert_eq!(begins, Some(first), "{rebooted} {start:?}");
        let due = if first == 10 { Duration::ZERO } else { Duration::from_secs(first) };
        assert_eq!(q.next(), Some(due), "{rebooted} {start:?}");
    }
}

/// How long the reboot took is not known before there is a clock; until then the wait counts anew, and
/// the hour of X-12 with it.
// Proves
#[test]
fn a_reboot_without_a_clock_x45_x12() {
    let mut q = queue(&[delayed("k", 1000)], at(1000));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, true, blind(10));
    assert_eq!(q.next_work(blind(20), false), None);
    assert_eq!(q.next(), Some(Duration::from_secs(80)), "the clock is looked at");
    // The clock comes, and says that 600 s of the wait are over.
    assert_eq!(q.next_work(after(1500, 100), false), None);
    assert_eq!(q.next(), Some(Duration::from_secs(500)));
    assert_eq!(q.next_work(after(1500, 500), false), work(1, Task::Fetch));

    // It never comes.
    let mut q = journal.start(true, blind(10));
    assert_eq!(q.next_work(blind(1009), false), None);
    assert_eq!(q.next_work(blind(1010), false), work(1, Task::Fetch));

    // The daemon is started again before it comes.
    let mut q = journal.start(true, blind(10));
    restart(&mut q, &mut journal, false, blind(50));
    assert_eq!(q.next_work(after(1500, 100), false), None);
    assert_eq!(q.next(), Some(Duration::from_secs(500)));

    // Away for hours: what was due is begun while that is not known, and has failed once it is.
    let mut q = queue(&[download("k")], at(0));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, true, blind(10));
    assert_eq!(q.clone().next_work(blind(11), false), work(1, Task::Fetch));
    assert_eq!(q.next_work(after(2 * HOUR, 20), false), None);
    let t = q.get(1).expect("it is told");
    assert_eq!((t.step, t.fault.as_ref().map(|f| f.code)), (Step::Done, Some(Code::TRANSFER_FAILURE)));
}

/// A clock that cannot be right loses nothing and begins nothing before its time.
// Proves: X-45
#[test]
fn a_clock_that_jumps_ten_years_x45() {
    for jump in [TEN_YEARS, -TEN_YEARS] {
        for asked in [delayed("k", 1000), scheduled("k", &[window(1000, 1500, Mode::Immediately)])] {
            // It jumps while the device runs.
            let mut q = queue(std::slice::from_ref(&asked), at(0));
            let mut journal = Journal::default();
            assert_eq!(q.next_work(jumped(at(999), jump), true), None);
            assert_eq!(q.next(), Some(at(1000).mono));
            journal.write(&mut q);
            assert_eq!(q.clone().next_work(jumped(at(1000), jump), true), work(1, Task::Fetch));
            // It has jumped when the device boots: the wait counts from the boot.
            let mut q = journal.start(true, jumped(after(100, 5), jump));
            assert_eq!(q.next_work(jumped(after(100, 1004), jump), true), None);
            assert_eq!(q.get(1).map(|t| t.step), Some(Step::Queued));
            assert_eq!(q.next_work(jumped(after(100, 1005), jump), true), work(1, Task::Fetch));
            // It is found to be wrong after the boot.
            let mut q = journal.start(true, blind(5));
            assert_eq!(q.next_work(jumped(after(100, 60), jump), true), None);
            assert_eq!(q.next_work(after(100, 1004), true), None);
            assert_eq!(q.next_work(after(100, 1005), true), work(1, Task::Fetch));
        }
    }
}

/// What was asked for without a clock is noted by the first one, so that a reboot costs no wait.
// Proves: X-45
#[test]
fn asked_for_before_the_clock_was_set_x45() {
    let mut q = queue(&[delayed("k", 1000)], blind(100));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, true, after(500, 10));
    assert_eq!(q.next(), Some(Duration::from_secs(1010)), "nobody knows how long that took");
    let mut q = queue(&[delayed("k", 1000)], blind(100));
    q.next_work(at(200), false);
    restart(&mut q, &mut journal, true, after(500, 10));
    assert_eq!(q.next(), Some(Duration::from_secs(600)));
    // Twice in a row.
    restart(&mut q, &mut journal, true, blind(10));
    restart(&mut q, &mut journal, true, after(800, 10));
    q.next_work(after(800, 10), false);
    assert_eq!(q.next(), Some(Duration::from_secs(300)));
}

// Proves
#[test]
fn windows_through_a_reboot_x39_x45() {
    let windows = [window(1000, 2000, Mode::Immediately), window(10_000, 11_000, Mode::Immediately)];
    let mut q = queue(&[scheduled("k", &windows)], at(0));
    let mut journal = Journal::default();
    journal.write(&mut q);
    for (away, first) in [(900, 100), (1500, 10), (3000, 7000), (10_500, 10)] {
        let q = journal.start(true, after(away, 10));
        let begins = (10..9000).find(|mono| q.clone().next_work(after(away, *mono), false).is_some());
        assert_eq!(begins, Some(first), "{away}");
    }
    let mut late = journal.start(true, after(11_000, 10));
    assert_eq!(late.next_work(after(11_000, 10), false), None);
    assert_eq!(late.get(1).and_then(|t| Some(t.fault.as_ref()?.code)), Some(Code::OUTSIDE_WINDOWS));
}

/// No window is taken for open while the clock may yet say that it is over; but not for ever.
// Proves
#[test]
fn windows_wait_for_the_clock_x39_x45() {
    let windows = [window(0, 2000, Mode::Immediately), window(10_000, 11_000, Mode::Immediately)];
    let mut q = queue(&[scheduled("k", &windows)], at(0));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, true, blind(10));
    assert_eq!(q.next_work(blind(10), false), None);
    assert_eq!(q.get(1).and_then(|t| t.waits(blind(10), false)), Some(Waits::Clock));
    assert_eq!(q.next(), Some(Duration::from_secs(70)));
    let by = 10 + ADRIFT_WAIT.as_secs();
    assert_eq!(q.clone().next_work(blind(by - 1), false), None);
    assert_eq!(q.clone().next_work(blind(by), false), work(1, Task::Fetch));
    assert_eq!(q.next_work(after(3000, 100), false), None, "the first one is over");
    assert_eq!(q.next(), Some(Duration::from_secs(7000)));
    // Without a time to compare with there is nothing to wait for.
    let mut q = queue(&[scheduled("k", &windows)], blind(0));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, true, blind(10));
    assert_eq!(q.next_work(blind(10), false), work(1, Task::Fetch));
}

/// What was cut off is done again while there is time, and told when there is none.
// Proves
#[test]
fn cut_off_while_fetching_x12_x21() {
    for rebooted in [false, true] {
        for (asked, task) in [(download("k"), Task::Fetch), (upload("k"), Task::Send)] {
            let mut q = queue(&[asked], at(0));
            let mut journal = Journal::default();
            assert_eq!(q.next_work(at(1), false), work(1, task));
            journal.write(&mut q);
            let start = |mono| if rebooted { after(mono - 5, 5) } else { at(mono) };
            let mut again = journal.start(rebooted, start(HOUR));
            assert_eq!(again.next_work(start(HOUR), false), work(1, task));
            let mut late = journal.start(rebooted, start(HOUR + 1));
            assert_eq!(late.next_work(start(HOUR + 1), false), None);
            let t = late.get(1).expect("it is told");
            assert_eq!(t.step, Step::Done);
            assert!(t.fault.as_ref().is_some_and(|f| f.text.contains("cut off")), "{:?}", t.fault);
        }
    }
}

/// A file that is there is made use of, a day later too; one that is not is fetched again, if that is
/// still in time.
// Proves: X-21
#[test]
fn cut_off_with_the_file_there_x21() {
    for (steps, task) in [(1, Task::Verify), (2, Task::Apply)] {
        let mut q = queue(&[download("k")], at(0));
        let mut journal = Journal::default();
        for step in [Step::Fetched, Step::Verified].into_iter().take(steps) {
            q.next_work(at(0), false);
            q.reached(1, step, at(0));
        }
        journal.write(&mut q);
        let mut q = journal.start(true, after(DAY, 5));
        assert_eq!(q.next_work(after(DAY, 5), false), work(1, task));
        let mut q = journal.start(true, after(HOUR / 2, 5));
        q.refetch(1);
        assert_eq!(q.get(1).map(|t| t.asked.password.as_str()), Some("pass\tword"), "which needs them");
        assert_eq!(q.next_work(after(HOUR / 2, 5), false), work(1, Task::Fetch));
        let mut q = journal.start(true, after(DAY, 5));
        q.refetch(1);
        assert_eq!(q.next_work(after(DAY, 5), false), None);
        assert_eq!(q.get(1).map(|t| t.step), Some(Step::Done));
    }
}

// Proves: X-17
#[test]
fn start_and_complete_time_x17() {
    for (began, ended, expected) in [
        (at(10), at(30), (Some(BOOTED + 10), Some(BOOTED + 30))),
        (blind(10), blind(30), (None, None)),
        // The clock was set on the way.
        (blind(10), at(30), (Some(BOOTED + 10), Some(BOOTED + 30))),
        // It was wrong at first.
        (jumped(at(10), TEN_YEARS), at(30), (Some(BOOTED + 10), Some(BOOTED + 30))),
        (at(10), blind(30), (Some(BOOTED + 10), None)),
    ] {
        let mut q = queue(&[upload("k")], at(0));
        q.next_work(began, false);
        q.reached(1, Step::Done, ended);
        let mut journal = Journal::default();
        restart(&mut q, &mut journal, true, blind(5));
        let t = q.get(1).expect("it is told");
        assert_eq!((t.start_time, t.complete_time), expected);
    }
    // What never began has no start.
    let mut q = queue(&[upload("k")], at(0));
    q.next_work(at(2 * HOUR), false);
    let t = q.get(1).expect("it is told");
    assert_eq!((t.start_time, t.complete_time), (None, Some(BOOTED + 2 * HOUR as i64)));
}
