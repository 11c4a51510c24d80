use super::*;
use Reached::{Answered, Connected, Nothing, Refused, Resolved, Tcp};

const PATH: Facts = Facts { path: true, acs: false, credentials: false };
const ACS: Facts = Facts { path: false, acs: true, credentials: false };
const CREDENTIALS: Facts = Facts { path: false, acs: false, credentials: true };
const ALL: Facts = Facts { path: true, acs: true, credentials: true };
const GOOD: Noted = Noted { proven: ALL, heard: false, accepted: false };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1000 + seconds)
}

/// A session that fails as soon as it begins.
fn fails(trial: &mut Trial, now: Duration, reached: Reached) -> Option<Blame> {
    trial.began(now);
    trial.failed(now, reached)
}

/// Sessions that all fail in the same way, each when it is due: when they began, and the blame.
fn run(trial: &mut Trial, reached: Reached, lasting: u64) -> (Vec<u64>, Option<Blame>) {
    let mut began = Vec::new();
    let mut now = at(0);
    while let Some(next) = trial.next() {
        now = now.max(next);
        began.push((now - at(0)).as_secs());
        trial.began(now);
        now += Duration::from_secs(lasting);
        if let Some(blame) = trial.failed(now, reached) {
            return (began, Some(blame));
        }
        assert!(began.len() < 100, "no end: {began:?}");
    }
    (began, None)
}

#[test]
fn attempts_and_their_deadline() {
    for (timeout, lasting, expected) in [
        (300, 0, &[0, 15, 30, 60, 120, 240, 300][..]),
        (300, 1, &[0, 15, 30, 60, 120, 240, 300]),
        // Attempts that last: what became due meanwhile is one attempt, at once.
        (300, 30, &[0, 30, 60, 120, 240, 300]),
        (300, 100, &[0, 100, 200]),
        // The one under way at the deadline is the last.
        (300, 70, &[0, 70, 140, 240]),
        (240, 0, &[0, 15, 30, 60, 120, 240]),
        (5, 0, &[0, 5]),
        (1000, 0, &[0, 15, 30, 60, 120, 240, 1000]),
    ] {
        let mut trial = Trial::new(PATH, GOOD, timeout, 0, at(0));
        let (mut began, blame) = run(&mut trial, Resolved, lasting);
        // Marks that passed during a session are one attempt right after it.
        began.dedup();
        assert_eq!((began.as_slice(), blame), (expected, Some(Blame::Path)), "{timeout} {lasting}");
    }
}

/// What was left of the time goes on after a start, with an attempt at once.
#[test]
fn a_start_goes_on_with_what_was_left() {
    for (elapsed, expected) in [
        (0, &[0, 15, 30, 60, 120, 240, 300][..]),
        (50, &[0, 15, 30, 60, 120, 240, 250]),
        (250, &[0, 15, 30, 50]),
        (299, &[0, 1]),
        (300, &[0]),
        (u32::MAX, &[0]),
    ] {
        let mut trial = Trial::new(PATH, GOOD, 300, elapsed, at(0));
        assert_eq!(trial.left(at(0)), 300_u32.saturating_sub(elapsed));
        assert_eq!(run(&mut trial, Nothing, 0), (expected.to_vec(), Some(Blame::Path)), "{elapsed}");
    }
}

/// What is put back when every attempt came so far and no further.
#[test]
fn the_same_failure_each_time() {
    let table = [
        (Nothing, Some(Blame::Path), Some(Blame::Acs), None, Some(Blame::Path)),
        (Resolved, Some(Blame::Path), Some(Blame::Acs), None, Some(Blame::Path)),
        (Tcp, Some(Blame::Path), Some(Blame::Acs), None, Some(Blame::Path)),
        (Refused, None, Some(Blame::Acs), None, Some(Blame::Acs)),
        (Connected, None, Some(Blame::Acs), None, Some(Blame::Acs)),
        (Answered(401), None, Some(Blame::Acs), Some(Blame::Credentials), Some(Blame::Acs)),
        (Answered(404), None, Some(Blame::Acs), None, Some(Blame::Acs)),
        (Answered(200), None, Some(Blame::Acs), None, Some(Blame::Acs)),
        (Answered(500), None, None, None, None),
        (Answered(503), None, None, None, None),
    ];
    for (reached, path, acs, credentials, together) in table {
        for (facts, blame) in [(PATH, path), (ACS, acs), (CREDENTIALS, credentials), (ALL, together)] {
            let mut trial = Trial::new(facts, GOOD, 300, 0, at(0));
            assert_eq!(run(&mut trial, reached, 0).1, blame, "{facts:?} {reached:?}");
            assert_eq!(trial.governs(), blame.is_some(), "an outage is waited for as ever");
            let unproven = Noted { proven: Facts::default(), ..GOOD };
            let mut trial = Trial::new(facts, unproven, 300, 0, at(0));
            assert!(trial.stands());
            assert_eq!(run(&mut trial, reached, 0).1, None, "nothing better is known: {facts:?}");
        }
    }
}

/// Attempts at 0, 200 and 400 s that end in different ways.
#[test]
fn different_failures() {
    let table = [
        // A way that was good once is never blamed again.
        (PATH, [Refused, Nothing, Nothing], None),
        (PATH, [Nothing, Nothing, Refused], None),
        (PATH, [Answered(503), Nothing, Nothing], None),
        (PATH, [Connected, Nothing, Nothing], None),
        (PATH, [Tcp, Nothing, Resolved], Some(Blame::Path)),
        // For a URL the last word counts.
        (ACS, [Answered(503), Answered(503), Answered(404)], Some(Blame::Acs)),
        (ACS, [Answered(404), Answered(404), Answered(503)], None),
        (ACS, [Nothing, Nothing, Connected], Some(Blame::Acs)),
        // Credentials are refused, or let in; an outage says nothing about them.
        (CREDENTIALS, [Answered(401), Nothing, Answered(503)], None),
        (CREDENTIALS, [Nothing, Answered(503), Answered(401)], Some(Blame::Credentials)),
        (CREDENTIALS, [Answered(200), Answered(401), Answered(401)], None),
    ];
    for (facts, ends, blame) in table {
        let mut trial = Trial::new(facts, GOOD, 300, 0, at(0));
        let [first, second, last] = ends;
        assert_eq!(fails(&mut trial, at(0), first), None, "before the deadline nothing is decided");
        assert_eq!(fails(&mut trial, at(200), second), None, "before the deadline nothing is decided");
        assert_eq!(fails(&mut trial, at(400), last), blame, "{facts:?} {ends:?}");
    }
}

/// A URL whose ACS was out of order and then is none at all: attempts go on by their marks, and past
/// the deadline the verdict comes with the failure.
#[test]
fn from_an_outage_back_to_a_failure() {
    let mut trial = Trial::new(ACS, GOOD, 300, 0, at(0));
    assert_eq!(fails(&mut trial, at(1), Answered(502)), None);
    assert_eq!(trial.next(), None);
    trial.began(at(40));
    assert_eq!(fails(&mut trial, at(41), Answered(404)), None);
    assert_eq!(trial.next(), Some(at(60)));
    trial.began(at(60));
    assert_eq!(fails(&mut trial, at(61), Answered(502)), None);
    trial.began(at(900));
    assert_eq!(fails(&mut trial, at(901), Refused), Some(Blame::Acs));
}

#[test]
fn attempts_that_are_left_out() {
    for (attempts, timeout, expected) in
        [(0, 300, 0), (1, 300, 15), (5, 300, 240), (6, 300, 300), (99, 300, 300), (2, 20, 20), (9, 5, 5)]
    {
        let mut trial = Trial::new(PATH, GOOD, timeout, 0, at(0));
        trial.skip(attempts);
        assert_eq!(trial.next(), Some(at(expected)), "{attempts} of {timeout} s");
    }
}

/// An attempt at the deadline that could not be made says nothing, and is made again.
#[test]
fn an_attempt_that_was_none() {
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    trial.began(at(300));
    assert_eq!(trial.next(), Some(at(360)));
    assert_eq!((trial.elapsed(at(300)), trial.left(at(300))), (300, 0));
}

/// Only what was good before is put back: an ACS that was reached and whose URL never answered.
#[test]
fn each_part_by_what_is_known_of_it() {
    for (proven, reached, blame) in [
        (PATH, Nothing, Some(Blame::Path)),
        (PATH, Answered(404), None),
        (ACS, Nothing, Some(Blame::Acs)),
        (CREDENTIALS, Nothing, None),
        (CREDENTIALS, Answered(401), Some(Blame::Credentials)),
    ] {
        let mut trial = Trial::new(ALL, Noted { proven, ..GOOD }, 300, 0, at(0));
        assert_eq!(fails(&mut trial, at(300), reached), blame, "{proven:?} {reached:?}");
    }
}

#[test]
fn a_change_that_joins() {
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    assert_eq!(fails(&mut trial, at(1), Nothing), None);
    trial.joined(ALL, ALL, at(5));
    assert_eq!((trial.next(), trial.left(at(5)), trial.facts()), (Some(at(5)), 295, ALL));
    trial.began(at(5));
    assert_eq!(trial.next(), Some(at(15)));
    // The way was good, and then it was changed again.
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    assert_eq!(fails(&mut trial, at(400), Refused), None);
    trial.joined(PATH, Facts::default(), at(500));
    assert_eq!((trial.next(), trial.left(at(500))), (Some(at(500)), 300));
    assert_eq!(trial.noted(), GOOD, "what is put back is what was good");
    assert_eq!(run(&mut trial, Nothing, 0).1, Some(Blame::Path));
}

#[test]
fn what_is_noted_comes_back() {
    for bits in 0..32 {
        let proven = Facts { path: bits & 1 > 0, acs: bits & 2 > 0, credentials: bits & 4 > 0 };
        let noted = Noted { proven, heard: bits & 8 > 0, accepted: bits & 16 > 0 };
        assert_eq!(Noted::from_record(&noted.record()), noted);
    }
    assert_eq!(Noted::from_record(""), GOOD);
    assert_eq!(Noted::default(), GOOD);
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    let _ = fails(&mut trial, at(0), Answered(200));
    assert_eq!(trial.noted(), Noted { heard: true, accepted: true, ..GOOD });
    let mut again = Trial::new(PATH, trial.noted(), 300, 20, at(0));
    assert_eq!(fails(&mut again, at(900), Nothing), None, "it was heard before the start");
}

/// Services that were told at 0 s, with a trial of so many seconds and moves at these moments: when a session
/// may confirm or blame.
#[test]
fn services_take_their_time() {
    for (timeout, moves, expected) in [
        // Nothing is seen of it.
        (300, &[][..], 90),
        // What is seen ends soon after the last of it, and not before 30 s.
        (300, &[2], 30),
        (300, &[2, 14, 15], 30),
        (300, &[2, 20], 35),
        // Late, and one after the other: a wireless client after its country's wait.
        (300, &[2, 29, 43, 57, 71], 86),
        (300, &[80], 95),
        // What moves when it is over is another's.
        (300, &[2, 30, 31], 30),
        (300, &[90], 90),
        // Half of the trial, whatever happens.
        (60, &[], 30),
        (60, &[29], 30),
        (300, &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 149], 150),
        (20, &[1], 10),
        (2, &[], 1),
    ] {
        let mut trial = Trial::new(PATH, GOOD, timeout, 0, at(0));
        trial.told(at(0));
        moves.iter().for_each(|after| trial.moved(at(*after)));
        let over = at(0) + Duration::from_secs(expected);
        assert!(
            trial.settles(over - Duration::from_millis(1)) && !trial.settles(over),
            "{timeout} {moves:?}"
        );
        assert_eq!((trial.waits(), trial.next()), (Some(at(0)), Some(over)), "who has something to tell may");
        let before = over - Duration::from_millis(1);
        for (began, counts) in [(before, false), (over, true)] {
            let mut trial = trial.clone();
            assert!(!trial.counts(), "no session began with it in force");
            trial.began(began);
            assert_eq!(trial.counts(), counts, "{timeout} {moves:?}");
            // Neither good news nor bad, however late they come.
            assert_eq!(trial.failed(at(1000), Nothing), counts.then_some(Blame::Path));
            let mut good = trial.clone();
            assert_eq!(good.failed(at(1000), Refused), None);
            assert_eq!(good.noted().heard, counts);
        }
    }
}

/// What moves while the session runs says that it began too early.
#[test]
fn a_move_during_the_session() {
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    trial.told(at(0));
    trial.moved(at(3));
    trial.began(at(28));
    assert_eq!(trial.next(), Some(at(30)));
    trial.moved(at(29));
    assert_eq!((trial.counts(), trial.next()), (false, Some(at(44))));
    // Another change of a shell: they are told anew, and the session under way says nothing.
    trial.began(at(44));
    assert!(trial.counts());
    trial.joined(PATH, PATH, at(45));
    assert!(!trial.counts());
    trial.told(at(45));
    assert_eq!((trial.waits(), trial.next(), trial.left(at(45))), (Some(at(45)), Some(at(135)), 255));
    // A change without services, beside one: as soon as there is a session.
    let mut trial = Trial::new(ACS, GOOD, 300, 0, at(0));
    trial.moved(at(1));
    assert_eq!((trial.settles(at(1)), trial.next(), trial.counts()), (false, Some(at(0)), false));
    trial.began(at(1));
    assert!(trial.counts());
    let mut trial = Trial::new(ACS, GOOD, 300, 0, at(0));
    trial.asked(at(1));
    assert_eq!((trial.counts(), trial.waits()), (true, Some(at(0))), "a heartbeat is no attempt, and heard");
}

/// At the deadline there is no verdict on a change that joined right before it; then there is.
#[test]
fn the_verdict_waits_for_services() {
    let mut trial = Trial::new(PATH, GOOD, 300, 0, at(0));
    trial.told(at(0));
    assert_eq!(fails(&mut trial, at(90), Nothing), None);
    trial.joined(PATH, PATH, at(290));
    trial.told(at(290));
    assert_eq!(fails(&mut trial, at(300), Nothing), None);
    assert_eq!(trial.next(), Some(at(380)));
    assert_eq!(fails(&mut trial, at(380), Nothing), Some(Blame::Path));
}
