//! What comes from the device itself: its disk, its shells, its scripts, its administrator.

use super::scratch::Scratch;
use cwmpd::agent::control::{Line, Request};
use cwmpd::config::Config;
use cwmpd::cwmp::discovery::{self, Identity, Kind, Offer};
use cwmpd::cwmp::events::{CONNECTION_REQUEST, MAX_EVENTS, Queue};
use cwmpd::cwmp::reboots::Reboots;
use cwmpd::cwmp::schedule::{self, Schedule};
use cwmpd::handlers::exec::answer::{self, Answer};
use cwmpd::model::handler::Fields;
use cwmpd::net::url::Url;
use cwmpd::state::journal::{Batch, Journal};
use cwmpd::sys::clock::Now;
use std::path::PathBuf;
use std::time::Duration;

/// An option of a DHCP lease: the first byte says which. What is taken of it is a value of its parameter.
pub fn dhcp(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let kind = [Kind::VendorSpecific, Kind::VendorIdentifying, Kind::Version6][usize::from(*which) % 3];
    let mut offer = Offer::default();
    let wrong = discovery::read(kind, bytes, &mut offer);
    assert!(wrong.len() <= bytes.len() + 1);
    assert!(offer.url.is_empty() || Url::of_acs(&offer.url).is_ok());
    assert!(offer.provisioning_code.chars().count() <= 64);
    assert!(offer.retry_minimum_wait != Some(0) && offer.retry_multiplier.is_none_or(|n| n >= 1000));
    let g = &offer.gateway;
    assert!(*g == Identity::default() || Identity::new(&g.oui, &g.serial_number, &g.product_class).is_some());
}

/// A journal file as a disk could give it back: what is read is kept by the next start, and so is
/// what is written behind it.
pub fn journal(data: &[u8]) {
    thread_local! {
        static FOLDER: Scratch = Scratch::new("journal");
    }
    FOLDER.with(|folder| {
        let dir = &folder.0;
        let _ = std::fs::remove_file(dir.join("journal.damaged"));
        std::fs::write(dir.join("journal"), data).expect("a file");
        let mut journal = Journal::open(dir).expect("nobody else has it");
        let mut batch = Batch::default();
        batch.put("k", "what was promised");
        journal.commit(batch).expect("a folder of ours");
        let before = all(&journal);
        drop(journal);
        let journal = Journal::open(dir).expect("nobody else has it");
        assert_eq!(journal.health(), None, "damage is told once and then put right");
        assert_eq!(all(&journal), before);
        assert_eq!(journal.text("k"), Some("what was promised"));
    });
}

fn all(journal: &Journal) -> Vec<(String, Vec<u8>)> {
    journal.scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect()
}

/// Records of the event queue and of the schedule, as an older program or a bad disk could have left
/// them: what is kept of them is bounded, and comes back from the record that is made of it.
pub fn records(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut queue = Queue::from_record(&text);
    assert!(queue.pending().count() <= MAX_EVENTS);
    // A connection request is of one session.
    let kept: Vec<_> = queue.pending().filter(|e| e.code != CONNECTION_REQUEST).cloned().collect();
    if let Some(record) = queue.record() {
        let mut again = Queue::from_record(&record);
        assert_eq!(again.pending().cloned().collect::<Vec<_>>(), kept, "{record:?}");
        assert_eq!(again.record(), None);
    }
    let now = Now { mono: Duration::from_secs(1_000_000), wall: 1_800_000_000, clock_set: true };
    let settings = schedule::Settings::default();
    let mut schedule = Schedule::from_record(&text, false, settings, now, 7);
    assert!(schedule.scheduled() <= schedule::MAX_SCHEDULED);
    let record = schedule.record().unwrap_or_else(|| text.clone().into_owned());
    let mut again = Schedule::from_record(&record, false, settings, now, 7);
    assert_eq!((again.scheduled(), again.record()), (schedule.scheduled(), None));
    let later = Now { mono: now.mono * 10_000, ..now };
    assert_eq!(schedule.take_due(later).scheduled, again.take_due(later).scheduled);
    Schedule::from_record(&text, true, settings, now, 7).take_due(later);
    for (delay, time) in [(None, None), (Some(60), Some(1_900_000_000))] {
        let mut reboots = Reboots::from_record(&text, false, delay, time, now);
        let record = reboots.record().unwrap_or_else(|| text.clone().into_owned());
        let mut again = Reboots::from_record(&record, false, delay, time, now);
        assert_eq!((again.record(), again.next(now)), (None, reboots.next(now)));
        assert!(reboots.next(now).is_none_or(|at| at <= now.mono + Duration::from_secs(60)));
        assert_eq!(again.take_due(later), reboots.take_due(later));
    }
}

/// A line on the control socket, read on a stack as small as the daemon's.
pub fn control(data: &[u8]) {
    // What a shell reads of the daemon, on its own stack.
    if let Ok(line) = serde_json::from_slice::<Line>(data) {
        let mut bytes = Vec::new();
        line.write(&mut bytes).expect("memory");
        assert_eq!(bytes.iter().position(|b| *b == b'\n'), Some(bytes.len() - 1), "one line");
        assert_eq!(serde_json::from_slice::<Line>(&bytes).expect("it was written"), line);
    }
    let body = || {
        if let Ok(request) = Request::read(&mut &*data) {
            let mut line = serde_json::to_vec(&request).expect("a request is JSON");
            line.push(b'\n');
            // Escapes may make it longer than may be sent.
            if let Ok(again) = Request::read(&mut &line[..]) {
                assert_eq!(again, request);
            }
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, body);
        if let Err(panic) = thread.expect("a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A line that a script answers, read on a stack as small as the engine's.
pub fn exec_answer(data: &[u8]) {
    if data.len() > cwmpd::sys::child::MAX_LINE {
        return; // not read at all
    }
    let body = || {
        let Ok(answer) = Answer::read(data) else { return };
        let mut fields = Fields::default();
        fields.reset(answer.values.len());
        for (index, value) in answer.values.values().enumerate() {
            answer::fill(&mut fields, index, value);
            let _ = fields.get(index).map(str::len);
            if let Some(references) = fields.references(index) {
                references.for_each(drop);
            }
        }
        // Text and brackets, and at most five bytes more for each value.
        assert!(fields.len() <= 6 * data.len(), "{} of {}", fields.len(), data.len());
        if let Some(said) = answer.error {
            let text = answer::plain(&said.text);
            assert!(text.chars().count() <= answer::MAX_TEXT && !text.contains(char::is_control));
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, body);
        if let Err(panic) = thread.expect("a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A configuration file: refused with a line that is there and a reason on one line, or sound.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = PathBuf::from("/etc/cwmpd/x.toml");
    match Config::parse(text, &file) {
        Err(error) => {
            assert!(!error.reason.is_empty() && !error.reason.contains('\n'), "{error:?}");
            assert!(
                error.line.is_none_or(|line| (1..=text.split('\n').count()).contains(&line)),
                "{error:?}"
            );
        }
        Ok(config) => {
            assert!(Url::of_acs(&config.acs.url).is_ok());
            assert!(config.state_dir.is_absolute() && config.run_dir.is_absolute());
            assert!(config.acs.timeouts().session > Duration::ZERO && config.connection_request.burst > 0);
            config.warnings();
            for (path, value) in config.first_values() {
                assert!(path.starts_with("Device.") && !value.contains(char::is_control));
            }
            assert_eq!(Config::parse(text, &file).as_ref(), Ok(&config));
        }
    }
}
