use super::*;

const WHY: Code = Code::CONTACT_SERVER;

/// Fetch, verify and apply, each in a second from `mono` on; the last outcome.
fn whole(q: &mut Queue, mono: u64) -> Outcome {
    let mut outcome = Outcome::Gone;
    for (second, step) in (mono..).zip([Step::Fetched, Step::Verified, Step::Done]) {
        let number = q.next_work(at(second), false).expect("work").number;
        outcome = q.reached(number, step, at(second));
    }
    outcome
}

// Proves: X-39
#[test]
fn only_within_its_windows_x39() {
    for mode in [Mode::AtAnyTime, Mode::Immediately] {
        let windows = [window(10, 20, mode), window(100, 200, mode)];
        let mut q = queue(&[scheduled("k", &windows)], at(1000));
        assert_eq!(q.next(), Some(at(1010).mono));
        assert_eq!(q.next_work(at(1009), false), None);
        assert_eq!(whole(&mut q.clone(), 1010), Outcome::Done);
        // Nothing could begin in the first one.
        assert_eq!(q.next_work(at(1020), false), None);
        assert_eq!(q.next(), Some(at(1100).mono));
        assert_eq!(q.next_work(at(1099), false), None);
        assert_eq!(whole(&mut q.clone(), 1197), Outcome::Done);
        assert_eq!(q.next_work(at(1200), false), None);
        let t = q.get(1).expect("it is told");
        assert_eq!((t.step, t.fault.as_ref().map(|f| f.code)), (Step::Done, Some(Code::OUTSIDE_WINDOWS)));
    }
}

/// Fetched in the first and not applied in time: all is done in the second, or has failed.
// Proves: X-39
#[test]
fn both_fetched_and_applied_in_one_window_x39() {
    let windows = [window(0, 20, Mode::AtAnyTime), window(100, 200, Mode::AtAnyTime)];
    for steps in 0..3 {
        // Content that may be stopped while it is applied.
        let file_type = "2 Web Content".to_string();
        let mut q = queue(&[Asked { file_type, ..scheduled("k", &windows) }], at(0));
        for (end, outcome) in [(20, Outcome::Again), (200, Outcome::Done)] {
            for step in [Step::Fetched, Step::Verified].into_iter().take(steps) {
                q.next_work(at(end - 5), false).expect("work");
                q.reached(1, step, at(end - 5));
            }
            q.next_work(at(end - 4), false).expect("work");
            assert_eq!(q.next(), Some(at(end).mono), "the end of the window is looked at");
            assert!(!q.window_over(1, at(end - 1)));
            assert!(q.window_over(1, at(end)));
            assert_eq!(q.next_work(at(end), false), None);
            assert_eq!(q.next(), None, "nothing turns around while the worker is stopped");
            assert_eq!(q.failed(1, fault(Code::OUTSIDE_WINDOWS), at(end)), outcome);
        }
        let t = q.get(1).expect("it is told");
        assert_eq!(t.fault.as_ref().map(|f| f.code), Some(Code::OUTSIDE_WINDOWS));
    }
}

/// Fetched, and no work on it when the window ends (a restart came between).
// Proves: X-39
#[test]
fn what_lies_there_at_the_end_of_a_window_is_fetched_anew_x39() {
    let windows = [window(0, 20, Mode::AtAnyTime), window(100, 200, Mode::AtAnyTime)];
    for steps in 1..3 {
        let mut q = queue(&[scheduled("k", &windows)], at(0));
        for step in [Step::Fetched, Step::Verified].into_iter().take(steps) {
            q.next_work(at(0), false).expect("work");
            q.reached(1, step, at(0));
        }
        assert_eq!(q.next_work(at(50), false), None);
        assert_eq!(q.next_work(at(100), false), work(1, Task::Fetch));
    }
}

// Proves: X-39
#[test]
fn firmware_that_is_being_applied_is_left_alone_x39() {
    for (file_type, over) in [
        ("1 Firmware Upgrade Image", false),
        ("6 Stored Firmware Image", false),
        ("3 Vendor Configuration File", true),
    ] {
        let asked = scheduled("k", &[window(0, 20, Mode::Immediately)]);
        let mut q = queue(&[Asked { file_type: file_type.to_string(), ..asked }], at(0));
        for step in [Step::Fetched, Step::Verified] {
            q.next_work(at(0), false).expect("work");
            q.reached(1, step, at(0));
        }
        assert_eq!(q.next_work(at(19), false), work(1, Task::Apply));
        assert_eq!(q.window_over(1, at(20)), over, "{file_type}");
        assert_eq!(q.next(), over.then(|| at(20).mono));
        assert_eq!(q.next_work(at(99), false), None);
        assert_eq!(q.reached(1, Step::Done, at(99)), Outcome::Done);
        assert_eq!(q.get(1).and_then(|t| t.fault.clone()), None, "it went well");
    }
    // A Download has no windows.
    let mut q = queue(&[download("k")], at(0));
    q.next_work(at(0), false);
    assert!(!q.window_over(1, at(1_000_000)) && !q.window_over(7, at(0)));
}

/// MaxRetries holds for each window by itself.
// Proves
#[test]
fn retries_x38() {
    for most in [0, 1, 3] {
        let w = |start, end| Window { max_retries: Some(most), ..window(start, end, Mode::AtAnyTime) };
        let mut q = queue(&[scheduled("k", &[w(0, 32_000), w(50_000, 82_000)])], at(0));
        let mut now = 0;
        for (window, last) in [(0, Outcome::Again), (1, Outcome::Done)] {
            for attempt in 0..=most {
                now = q.next().expect("another attempt").as_secs();
                assert_eq!(q.next_work(at(now), false), work(1, Task::Fetch), "{window} {attempt}");
                let outcome = q.failed(1, fault(WHY), at(now));
                assert_eq!(outcome, if attempt == most { last } else { Outcome::Again });
                // The waits grow: 60 s, 120 s, 240 s.
                if attempt < most {
                    assert_eq!(q.next(), Some(at(now + (60 << attempt)).mono));
                    assert_eq!(q.next_work(at(now + (60 << attempt) - 1), false), None);
                }
            }
        }
        assert!((50_000..82_000).contains(&now));
        // The attempts are used up, the window is not over: it is the last fault that is told.
        assert_eq!(q.get(1).and_then(|t| Some(t.fault.as_ref()?.code)), Some(WHY));
    }
}

/// The device decides: the way there is tried until the window is over; a file that is not good is not
/// fetched again in the same window.
// Proves
#[test]
fn retries_as_the_device_likes_x38() {
    let w = Window { max_retries: None, ..window(0, 86_400, Mode::AtAnyTime) };
    let mut q = queue(&[scheduled("k", std::slice::from_ref(&w))], at(0));
    let mut times = Vec::new();
    while let Some(next) = q.next() {
        let now = at(next.as_secs());
        if q.next_work(now, false).is_some() {
            times.push(next.as_secs());
            q.failed(1, fault(WHY), now);
        }
    }
    assert_eq!(times[..8], [0, 60, 180, 420, 900, 1860, 3780, 7380]);
    assert!(times.len() < 40 && times.iter().all(|t| *t < 86_400));
    let t = q.get(1).expect("it is told").fault.clone().expect("a fault");
    assert_eq!(t.code, Code::OUTSIDE_WINDOWS);
    assert!(t.text.contains("why"), "the last reason is told: {}", t.text);

    for steps in 1..3 {
        let mut q = queue(&[scheduled("k", std::slice::from_ref(&w))], at(0));
        for step in [Step::Fetched, Step::Verified].into_iter().take(steps) {
            q.next_work(at(0), false).expect("work");
            q.reached(1, step, at(0));
        }
        q.next_work(at(0), false).expect("work");
        assert_eq!(q.failed(1, fault(Code::FILE_CORRUPTED), at(1)), Outcome::Done);
    }
    // In a short window the waits are short.
    let w = Window { max_retries: None, ..window(0, 64, Mode::AtAnyTime) };
    let mut q = queue(&[scheduled("k", &[w])], at(0));
    q.next_work(at(0), false);
    q.failed(1, fault(WHY), at(0));
    assert_eq!(q.next(), Some(at(2).mono));
}

// Proves: X-38
#[test]
fn when_idle_x38() {
    let windows = [window(10, 1000, Mode::WhenIdle)];
    let mut q = queue(&[scheduled("k", &windows)], at(0));
    assert!(!q.wants_idle(at(9)));
    assert_eq!(q.next_work(at(10), false), None);
    assert!(q.wants_idle(at(10)));
    assert_eq!(q.next(), Some(at(10).mono + IDLE_LOOK));
    assert_eq!(q.get(1).and_then(|t| t.waits(at(10), false)), Some(Waits::Idle));
    // Others need not wait for it.
    q.ask(upload("u"), at(10)).expect("good");
    assert_eq!(q.next_work(at(10), false), work(2, Task::Send));
    assert!(!q.wants_idle(at(11)), "there is nothing to begin");
    q.reached(2, Step::Done, at(11));
    assert_eq!(q.next_work(at(40), true), work(1, Task::Fetch));
    q.reached(1, Step::Fetched, at(41));
    assert_eq!(q.next_work(at(41), false), work(1, Task::Verify), "that disturbs nobody");
    q.reached(1, Step::Verified, at(42));
    assert_eq!(q.next_work(at(42), false), None);
    assert!(q.wants_idle(at(42)));
    assert_eq!(q.next_work(at(72), true), work(1, Task::Apply));
    // Never idle: the window ends.
    let mut q = queue(&[scheduled("k", &windows)], at(0));
    assert_eq!(q.next_work(at(990), false), None);
    assert_eq!(q.next(), Some(at(1000).mono));
    assert_eq!(q.next_work(at(1000), true), None);
    assert_eq!(q.get(1).map(|t| t.step), Some(Step::Done));
}

// Proves: X-38
#[test]
fn with_consent_x38() {
    let windows = [window(10, 1000, Mode::ConfirmationNeeded)];
    let mut q = queue(&[scheduled("k", &windows), scheduled("other", &windows), download("k")], at(0));
    q.cancel("other").expect("it waits");
    q.next_work(at(0), false).expect("the Download");
    q.failed(3, fault(WHY), at(0));
    assert_eq!(q.next_work(at(10), true), None);
    assert_eq!(q.next(), Some(at(1000).mono));
    let t = q.get(1).expect("it waits");
    assert_eq!(t.waits(at(10), false), Some(Waits::Confirmation));
    assert_eq!(t.window().map(|(w, ..)| w.user_message.as_str()), Some("May I?"));
    assert_eq!((q.confirm("nobody's"), q.confirm("k"), q.confirm("k")), (0, 1, 0));
    let mut journal = Journal::default();
    restart(&mut q, &mut journal, false, at(11));
    assert_eq!(whole(&mut q, 11), Outcome::Done);
    // Nobody consents.
    let mut q = queue(&[scheduled("k", &windows)], at(0));
    q.next_work(at(1000), true);
    assert_eq!(q.get(1).and_then(|t| Some(t.fault.as_ref()?.code)), Some(Code::OUTSIDE_WINDOWS));
    assert_eq!(q.confirm("k"), 0);
}

/// Nothing turns around: when the time of `next` has come there is work, or another time.
#[test]
fn next_is_never_past_without_work() {
    let mut random = 1_u64;
    let mut die = |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % sides
    };
    let modes = [Mode::AtAnyTime, Mode::Immediately, Mode::WhenIdle, Mode::ConfirmationNeeded];
    for _ in 0..60 {
        let mut q = Queue::default();
        let mut journal = Journal::default();
        let mut mono = 0;
        let mut ended = 0;
        for n in 0..80 {
            let mode = modes[die(4) as usize];
            let retries = [None, Some(0), Some(2)][die(3) as usize];
            let w = Window { max_retries: retries, ..window(die(100) as u32, 100 + die(900) as u32, mode) };
            let asked = [download("d"), delayed("l", die(9000) as u32), upload("u"), scheduled("s", &[w])];
            if die(3) == 0 {
                let _ = q.ask(asked[die(4) as usize].clone(), at(mono));
            }
            mono = match (q.next(), die(4)) {
                (Some(next), 1..) => next.as_secs_f64().ceil().max(mono as f64) as u64,
                _ => mono + die(100),
            };
            let idle = die(4) == 0;
            let busy = q.working().map(|t| t.number);
            let work = q.next_work(at(mono), idle);
            if work.is_none() {
                assert!(q.next().is_none_or(|next| next > at(mono).mono), "{n}: {:?}", q);
            }
            if let Some(number) = busy.or(work.map(|w| w.number)) {
                let step = q.get(number).map(|t| t.step);
                match (die(4), step) {
                    (0, _) => drop(q.failed(number, fault(WHY), at(mono))),
                    (1, Some(Step::Fetched)) => drop(q.reached(number, Step::Verified, at(mono))),
                    (1, Some(Step::Applying)) => drop(q.reached(number, Step::Done, at(mono))),
                    (1, Some(_)) => drop(q.reached(number, Step::Fetched, at(mono))),
                    _ => {}
                }
            }
            if die(10) == 0 {
                restart(&mut q, &mut journal, false, at(mono));
                let applying: Vec<u32> =
                    q.all().filter(|t| t.step == Step::Applying).map(|t| t.number).collect();
                applying.into_iter().for_each(|number| {
                    q.resume(number, Resumed::Applied, at(mono));
                });
            }
            ended = ended.max(q.all().filter(|t| t.step == Step::Done).count());
            if die(20) == 0 {
                q.forget_former();
            }
        }
        // What nobody disturbs comes to an end.
        q.working().map(|t| t.number).map(|number| q.failed(number, fault(WHY), at(mono)));
        let mut rounds = 0;
        while let Some(next) = q.next() {
            mono = next.as_secs_f64().ceil().max(mono as f64) as u64;
            if let Some(work) = q.next_work(at(mono), false) {
                q.failed(work.number, fault(WHY), at(mono));
            }
            rounds += 1;
            assert!(rounds < 20_000, "{q:?}");
        }
        assert!(q.all().all(|t| t.step == Step::Done), "{q:?}");
    }
}
