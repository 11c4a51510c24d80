//! Several transfers, and the power cut again and again.

use super::watch::Watch;
use crate::SOON;
use crate::acs::{Acs, Complete, Options, Post, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, LOG};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Power cuts.
const CUTS: usize = 25;

/// What is asked for, and the code that each must end with.
fn asked(bed: &Bed) -> Vec<(Transfer, bool, u16)> {
    let url = bed.files.put("/f", CONTENT);
    let none = bed.files.url("/none");
    vec![
        (Transfer::new("1", CONFIG, &url), false, 0),
        (Transfer::new("2", CONFIG, &none), false, 9016),
        (Transfer::new("3", LOG, &bed.files.url("/up")), true, 0),
        (Transfer::new("4", "2 Web Content", &url), false, 0),
        (Transfer::new("4", "2 Web Content", &none), false, 9016),
        (Transfer::new("6", LOG, &none), true, 0),
    ]
}

/// Everything that the ACS is told, each answered; as much of it as there is before the power is cut.
fn listen(acs: &Acs, told: &Mutex<Vec<Complete>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Some(mut session) = acs.inform_within(Duration::from_millis(20)) else { continue };
        session.doomed(true);
        let dialogue = AssertUnwindSafe(|| {
            session.answer_inform();
            while let Post::Envelope(request, _) = session.peek() {
                if let Some(complete) = Complete::read(&request).expect("as the schema has it") {
                    told.lock().expect("no panic").push(complete);
                }
                session.accept();
            }
            session.ready();
        });
        if let Err(panic) = catch_unwind(dialogue) {
            // A dialogue that lost its agent unwinds with a text of its own; a broken rule is a panic.
            let lost = panic.downcast_ref::<String>().is_some_and(|why| why.contains("sessions began"));
            if !lost {
                over.store(true, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Cuts the power behind one of the next writes, another one each time; the first of three is a boot.
fn cut(bed: &mut Bed, number: usize, over: &AtomicBool) {
    let watch = Watch::new(&bed.dir().join("state"));
    let (mut writes, since) = (0, Instant::now());
    while writes <= number % 4 && since.elapsed() < Duration::from_millis(300) {
        writes += watch.writes(5);
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
    match number % 3 {
        0 => bed.daemon.reboot(),
        _ => bed.daemon.kill(),
    }
    bed.daemon.start();
}

/// each is told, with what is so; one that is told again, because its answer was not on disk, is
/// told with the same words.
// Proves
#[test]
fn six_transfers_and_many_power_cuts() {
    let mut bed = Bed::start("many-cuts");
    let mut session = bed.acs.next_session(SOON);
    let all = asked(&bed);
    for (transfer, upload, _) in &all {
        let asked = if *upload { session.upload(transfer) } else { session.download(transfer) };
        asked.expect("it is promised");
    }
    session.end();
    let (told, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let acs = std::mem::replace(&mut bed.acs, Acs::start(Options::default()));
    std::thread::scope(|scope| {
        let listener = scope.spawn(|| listen(&acs, &told, &over));
        (0..CUTS).for_each(|number| cut(&mut bed, number, &over));
        let status = catch_unwind(AssertUnwindSafe(|| {
            bed.daemon.wait_ready();
            bed.daemon.cli(&["inform"]); // one that runs will do as well
            bed.quiet();
        }));
        over.store(true, Ordering::Relaxed);
        for end in [listener.join(), status] {
            end.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let told = told.into_inner().expect("no panic");
    // identical repeats apart, what was told
    let mut once: Vec<Complete> = Vec::new();
    for complete in &told {
        let complete = Complete { id: None, ..complete.clone() };
        if !once.contains(&complete) {
            once.push(complete);
        }
    }
    println!("{CUTS} power cuts, {} reports of {}", told.len(), once.len());
    assert_eq!(once.len(), all.len(), "each is told once: {told:?}");
    for (transfer, _, code) in &all {
        // an application that was cut off is the one end that may be another one
        let ends = |c: &Complete| c.command_key == transfer.command_key && [*code, 9010].contains(&c.code);
        assert!(once.iter().any(ends), "{transfer:?}: {once:?}");
    }
}
